//! Mutations that were never flushed, as one more source of the merge: what `extract --commitlog-dir` adds to the SSTables.
//!
//! [`replay()`] goes through the segments of a commit log as Cassandra does when it starts: in the order of their ids, without
//! what the SSTables have already or what a TRUNCATE took away. What is left goes into sorted runs, in memory up to a budget
//! and in files beyond it; [`OverlaySource`] merges the runs back, for one table and one range of tokens at a time.
//!
//! The runs hold the updates as the log has them, each with its position, and only reading combines those of one partition:
//! so the outcome does not depend on where a run had to end, which depends on the memory.

mod encoding;
mod large;
mod persisted;
mod replay;
mod run;
mod sorter;
mod source;

pub use large::{PartitionMemory, SplitMemory};
pub use persisted::{LogHost, PersistedPositions};
pub use replay::{
    OverlaidSegment, Overlay, OverlayTable, ReplayDamage, ReplayOptions, UnknownUpdates,
    find_segments, replay,
};
pub use source::OverlaySource;
