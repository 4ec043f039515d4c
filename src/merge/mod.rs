//! Many sources into one: partitions in token order, rows in clustering order, cells by Cassandra's rules; then what is
//! live at one instant. Knows no files: a source is a [`crate::rows::PartitionSource`].
//!
//! * [`PartitionMerge`] finds the partitions that several sources share.
//! * `unfiltereds` walks the rows and range tombstones of one such partition.
//! * [`combine()`] makes one update of several and keeps every deletion, for what is merged again later.
//! * `deletions` is what a sink is told that asks for what is deleted ([`RowSink::DELETIONS`]).
//! * `reconcile` decides between cells, `purge` what a reader at the clock sees.

mod combine;
mod deletions;
mod heap;
mod partitions;
mod purge;
mod reconcile;
mod sequence;
mod unfiltereds;

#[cfg(test)]
mod model_source;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod rule_tests;

pub use crate::rows::ClusteringOrder;
pub use combine::{UpdateCombiner, combine};
pub use partitions::{PartitionMerge, RowSink};
pub use purge::MergeBooks;
pub use reconcile::TieBreak;
