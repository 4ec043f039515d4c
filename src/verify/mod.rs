//! Whether files are what they say they are: SSTables within themselves, an output against its manifests, a source against
//! an output.
//!
//! * [`verify_source`]: each SSTable by [`CheckKind`]: checksums, order, index against data, filter, statistics.
//! * [`verify_output`]: each object of an output by HEAD, or by reading it.
//! * [`verify_against`]: the source extracted once more in memory, compared with an output by digest.

mod against;
mod checks;
mod content;
mod differ;
mod files;
mod index;
mod legacy_blocks;
mod output;
mod prefix;
mod records;
mod source;
mod statistics;
mod sum;
mod text;
mod trie_index;

pub use against::{AgainstOptions, AgainstReport, DifferentRange, verify_against};
pub use checks::{Check, CheckKind, Finding, SstableChecks};
pub use differ::Side;
pub use output::{ObjectFinding, OutputOptions, OutputReport, verify_output};
pub use records::{RecordSplitter, RecordSum};
pub use source::{SourceOptions, SourceReport, verify_source};
