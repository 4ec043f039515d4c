//! Records as the profiles want them: `output.md` section 2 and `dms-contract.md`.
//!
//! A [`RecordFormat`] is made once per table from its schema and the options; it knows the columns of the output and how
//! each is written. A [`RecordWriter`] per worker turns live rows into lines. What a profile cannot carry is a
//! [`Refusal`]: the row leaves nothing behind, and the caller counts it.

mod buffer;
mod csv;
mod dates;
pub mod dms;
mod format;
mod json;
mod keys;
pub mod manifest;
mod metadata;
pub mod names;
mod numbers;
mod options;
mod record;
pub mod run;
mod scalar;
pub mod state;
mod stats;
mod text;
mod types;

pub use format::{OutputColumn, OutputKind, RecordFormat};
pub use options::{FormatOptions, JsonNumbers, MetadataMode, Profile};
pub use record::{RecordWriter, Refusal};
pub use stats::{ColumnStats, RecordCounters, RecordStats};
pub use types::{ColumnType, ColumnTypeOverride};
