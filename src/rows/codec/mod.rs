//! How rows are written, in SSTables and in mutations alike (`UnfilteredSerializer`, from 3.0 on).

mod header;

pub use header::{HeaderColumn, SerializationHeader};
