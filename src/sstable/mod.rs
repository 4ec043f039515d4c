//! SSTables: Data.db and the files beside it, as Cassandra 2.1 to 5.0 writes them in the BIG format (`ka` to `oa`, and
//! `jb` of 2.0) and in the BTI format (`da`).
//!
//! A table directory holds files named `<version>-<id>-<format>-<component>`. A [`Descriptor`] is everything but the
//! component; [`Descriptor::path`] adds it.

pub mod big;
pub mod bti;
mod clustering_bytes;
mod component;
pub mod compression;
mod cursor;
mod descriptor;
mod digest;
mod filter;
mod key_range;
mod legacy_rows;
mod positions;
mod read_rate;
mod reader;
mod scanner;
pub mod stats;
mod stream;
mod toc;
mod version;
mod walk;

#[cfg(test)]
pub(crate) mod fixtures;

pub use component::Component;
pub use descriptor::{Descriptor, SstableId, UnsupportedSstable};
pub use digest::{DigestHasher, read_digest, verify_digest};
pub use filter::Filter;
pub use key_range::recorded_token_range;
pub use read_rate::ReadRate;
pub use reader::{PartitionPosition, RowIndexPlace, SstableReader};
pub use scanner::{ScanState, SstableScanner};
pub use stream::{LargeRows, WorkerRows};
pub use toc::Toc;
pub use version::{Format, Version};
pub use walk::{DataWalk, WalkStep, WalkedPartition};
