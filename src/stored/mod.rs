//! Changes joined with what a node has stored: rows read by key from its local SSTables, and SSTables as changes.
//!
//! * [`StoredRows`]: one table's live SSTables, held open for reads of a [`Slice`] of one partition, by single reads through
//!   Bloom filter and index. The answer is a [`crate::rows::PartitionUpdate`] with every write time, TTL and tombstone.
//! * [`BaseRows`]: the stored rows behind a change whose keys are touched for the first time, and [`Touched`], the keys of
//!   which that is known.
//! * [`BackupSource`]: the SSTables that incremental backups leave in `backups/`, one after the other, as changes.

mod backups;
mod base;
mod kept;
mod slice;
mod sstable;
mod table;
mod touched;

#[cfg(test)]
mod fixtures;

pub use backups::{BackedUpSstable, BackupOrigin, BackupSource, BackupUpdates};
pub use base::{BaseRows, EachBase};
pub use slice::{Slice, SliceBound};
pub use table::{ReadLimits, StoredPage, StoredRows};
pub use touched::Touched;
