//! How rows are written, in SSTables and in mutations alike (`UnfilteredSerializer`, from 3.0 on).

mod flags;
mod header;
mod plan;
mod unfiltered;

pub use header::{HeaderColumn, SerializationHeader};
pub use plan::{DroppedUdts, RowCodec, UnknownColumn};
pub(crate) use unfiltered::read_deletion_time;
pub use unfiltered::{PartitionHead, RowDecoder, Step};
