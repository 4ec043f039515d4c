//! What a merge reads from.

use std::cmp::Ordering;

use super::{DeletionTime, Marker, Row, RowView};
use crate::dht::Token;
use crate::error::{Error, Result};

/// What a source stands at within a partition (`Unfiltered`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfiltered {
    /// A row: [`PartitionSource::row`].
    Row,
    /// A range tombstone marker; its values are in [`PartitionSource::row`]'s clustering.
    Marker(Marker),
    /// The partition has ended.
    End,
}

/// Partitions in order of token and key, each with its rows and markers in clustering order.
///
/// The order of calls: while [`PartitionSource::is_done`] is false there is a partition at hand ([`PartitionSource::key`]).
/// `begin` opens it; `next` goes through it to [`Unfiltered::End`]; `finish` moves on to the next one.
pub trait PartitionSource {
    /// True when there is no further partition.
    fn is_done(&self) -> bool;
    /// Token of the partition at hand.
    fn token(&self) -> Token;
    /// Key of the partition at hand.
    fn key(&self) -> &[u8];
    /// The order of the key at hand and another of the same token.
    fn compare_key(&self, other: &[u8]) -> Ordering {
        self.key().cmp(other)
    }
    /// Opens the partition at hand: its deletion and its static row are there afterwards.
    fn begin(&mut self) -> Result<()>;
    /// Deletion of the open partition.
    fn deletion(&self) -> DeletionTime;
    /// The static row of the open partition, if it has one that is not empty.
    fn static_row(&self) -> Option<RowView<'_>>;
    /// Moves to the next row or marker of the open partition.
    fn next(&mut self) -> Result<Unfiltered>;
    /// The row (or the clustering of the marker) that `next` moved to.
    fn row(&self) -> RowView<'_>;
    /// The same, to be changed in place.
    fn row_mut(&mut self) -> (&mut Row, &[u8]);
    /// The error of a source whose row or marker at hand does not come after the one before it: what, and where.
    fn out_of_order(&self) -> Error;
    /// Leaves the open partition, whether it was read to its end or not, and moves to the one after it.
    fn finish(&mut self) -> Result<()>;
}
