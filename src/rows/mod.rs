//! Rows as Cassandra's storage engine knows them since 3.0: cells, rows, range tombstone markers, deletions.
//!
//! Nothing here owns a value. A [`Row`] is a reusable list of numbers and of [`Span`]s into some bytes (a decompressed
//! window of Data.db, or the arena of a merge); whoever passes a row on passes the bytes with it, as a [`RowView`].

mod cell;
mod clustering;
pub mod codec;
mod counter;
mod deletion;
pub mod legacy;
mod order;
mod partition;
mod row;
mod update;

pub use cell::{Cell, LocalDeletionTime, NO_TTL, Span};
pub use clustering::{ClusteringKind, ClusteringValue, Marker};
pub use counter::{CounterShard, ShardKind, counter_total, merge_counter_contexts};
pub(crate) use counter::{read_shards, write_shards};
pub use deletion::{DeletionTime, LivenessInfo, NO_TIMESTAMP};
pub use order::ClusteringOrder;
pub use partition::{PartitionSource, Unfiltered};
pub use row::{ComplexDeletion, RangeBound, Row, RowView};
pub use update::{PartitionUpdate, UpdateContent, UpdateSource};
