//! Where a change comes from.

use std::fmt;

use uuid::Uuid;

use crate::commitlog::CommitLogPosition;
use crate::error::{Error, Result};

/// A position in the commit log of one node (`CommitLogPosition`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Id of the segment: milliseconds at the start of the node, and counting up from there.
    pub segment: i64,
    /// Offset in the segment.
    pub offset: u32,
}

impl TryFrom<CommitLogPosition> for LogPosition {
    type Error = Error;

    /// Fails for a negative position, which no reader of the log gives.
    fn try_from(end: CommitLogPosition) -> Result<Self> {
        let offset = u32::try_from(end.position)
            .map_err(|_| Error::Bug(format!("a mutation ends at the negative position {end}")))?;
        Ok(Self { segment: end.segment_id, offset })
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

/// Where on a node a change stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// The end of the mutation's entry in the commit log.
    Log(LogPosition),
    /// A partition of an SSTable of the incremental backups.
    Sstable {
        /// Its name without component: `nb-12-big`.
        sstable: String,
        /// Which of its partitions, from 0.
        record: u64,
    },
}

/// Where a change comes from; with the index of a record in its mutation it identifies the record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Host id of the node.
    pub host_id: Uuid,
    /// Where on it.
    pub position: Position,
}
