//! Records as the profiles want them: `output.md` section 2 and `dms-contract.md`.
//!
//! A [`RecordFormat`] is made once per table from its schema and the options; it knows the columns of the output and how
//! each is written. A [`RecordWriter`] per worker turns live rows into lines. What a profile cannot carry is a
//! [`Refusal`]: the row leaves nothing behind, and the caller counts it.

pub mod dms;
pub mod dynamodb;
pub mod manifest;
pub mod names;
pub mod run;
pub mod state;

mod buffer;
mod compression;
mod csv;
mod dates;
mod elements;
mod format;
mod json;
mod json_text;
mod keys;
mod literal;
mod metadata;
mod numbers;
mod options;
mod parquet;
mod record;
mod record_options;
mod refusal;
mod scalar;
mod stats;
mod text;
mod typed;
mod types;
mod value;

pub use compression::{Compression, Compressor};
pub use format::{OutputColumn, OutputKind, RecordFormat};
pub use json_text::{JsonText, Stamp};
pub(crate) use literal::unsupported_by_cqlsh;
pub use options::{FormatOptions, JsonNumbers, MetadataMode, Profile};
pub use parquet::athena_table;
pub use record::RecordWriter;
pub use record_options::RecordOptions;
pub use refusal::{REFUSED, Refusal, RefusalKind};
pub use stats::{ColumnStats, Count, Counts, RecordCounters, RecordStats};
pub use types::{ColumnType, ColumnTypeOverride};
pub use value::{ValueWriter, value_json};
