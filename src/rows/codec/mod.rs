//! How rows are written, in SSTables and in mutations alike (`UnfilteredSerializer`, from 3.0 on).

mod columns;
mod common;
mod flags;
mod header;
mod plan;
mod times;
mod unfiltered;
mod update;

pub use columns::CellsLeftOut;
pub use header::{HeaderColumn, SerializationHeader};
pub use plan::{DroppedUdts, RowCodec, UnknownColumn};
pub(crate) use times::read_deletion_time;
pub use unfiltered::{PREVIOUS_UNKNOWN, PartitionHead, RowDecoder, Step, partition_head};
pub use update::{UpdateDecoder, UpdateError};
