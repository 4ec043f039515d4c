//! Profile `parquet`: typed columns for Spark, Athena, DuckDB and pyarrow (`dms-contract.md` 4.4, `loaders-tried.md`).
//!
//! ```text
//! tinyint, smallint, int          INT8, INT16, INT32              date        DATE
//! bigint, counter                 INT64                           timestamp   TIMESTAMP(MILLIS, UTC)
//! float, double, boolean          FLOAT, DOUBLE, BOOLEAN          blob        BINARY
//! text, ascii                     STRING                          list, set, vector   LIST
//! time, uuid, inet, duration      STRING                          map         MAP
//! varint, decimal                 STRING, or DECIMAL if asked     tuple, UDT  STRUCT (a tuple's fields are _1, _2, …)
//! ```
//! Every column and every element is nullable: a partition without rows has no clustering, and values of no bytes, which old
//! Cassandra has for every type, are null (and counted). A decimal of CQL has any scale, so it is text unless
//! `--column-type c=DECIMAL(p,s)` says otherwise; then what does not fit is refused. So are timestamps beyond the range of
//! microseconds, for which Spark and DuckDB refuse the whole file, unless the column is asked for as INT8 (INT64).
//!
//! Rows are gathered by column and handed to the encoder about every 4 MiB; a row group ends at 32 MiB of values. Both are
//! constants and bytes are counted as they come in, so the file depends neither on the memory given nor on anything else
//! but its rows, and a worker holds one row group at most ([`PER_WORKER`]).

mod athena;
mod column;
mod decimal;
mod format;
mod node;
mod writer;

pub use athena::athena_table;
pub(super) use format::ColumnarFormat;
pub(super) use writer::ColumnarWriter;

/// Memory that one worker takes beside what every profile's takes: the encoded row group, its bytes on the way out (a vector
/// that may have doubled), and the rows before they are encoded.
pub(crate) const PER_WORKER: u64 = 96 << 20;

#[cfg(test)]
#[path = "parquet_tests.rs"]
mod tests;
