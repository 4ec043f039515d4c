//! Which positions of a node's commit log a table's SSTables have (`IntervalSet<CommitLogPosition>`,
//! `CommitLogReplayer.persistedIntervals`).

use uuid::Uuid;

use crate::commitlog::CommitLogPosition;
use crate::sstable::stats::StatsMetadata;

/// Before every position (`CommitLogPosition.NONE`).
const NONE: CommitLogPosition = CommitLogPosition { segment_id: -1, position: 0 };

/// Closed intervals of positions, apart from each other and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistedPositions {
    intervals: Vec<(CommitLogPosition, CommitLogPosition)>,
}

impl PersistedPositions {
    /// The positions that SSTables with these statistics have of the log of `host`. SSTables that were streamed as whole files
    /// have positions in the log of another node, and say so from 3.11.11 on.
    pub fn of<'s>(
        sstables: impl IntoIterator<Item = &'s StatsMetadata>,
        host: Option<Uuid>,
    ) -> Self {
        let mut persisted = Self::default();
        for stats in sstables {
            let foreign = matches!((host, stats.originating_host_id), (Some(a), Some(b)) if a != b);
            if foreign {
                continue;
            }
            match &stats.commit_log_intervals {
                Some(intervals) => intervals.iter().for_each(|i| persisted.add(i.start, i.end)),
                None => {
                    let start = stats.commit_log_lower_bound.unwrap_or(NONE);
                    persisted.add(start, stats.commit_log_upper_bound);
                }
            }
        }
        persisted
    }

    /// Adds an interval, with its ends; none where it ends before it begins.
    pub fn add(&mut self, start: CommitLogPosition, end: CommitLogPosition) {
        if start > end {
            return;
        }
        self.intervals.push((start, end));
        self.intervals.sort_unstable();
        let mut joined: Vec<(CommitLogPosition, CommitLogPosition)> =
            Vec::with_capacity(self.intervals.len());
        for &(start, end) in &self.intervals {
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        self.intervals = joined;
    }

    /// True if what ends at `position` is in the SSTables.
    pub fn contains(&self, position: CommitLogPosition) -> bool {
        let before = self.intervals.partition_point(|(start, _)| *start <= position);
        let interval = before.checked_sub(1).and_then(|i| self.intervals.get(i));
        interval.is_some_and(|(_, end)| position <= *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment_id: i64, position: i32) -> CommitLogPosition {
        CommitLogPosition { segment_id, position }
    }

    #[test]
    fn intervals_have_their_ends_and_join_where_they_meet() {
        let mut persisted = PersistedPositions::default();
        assert!(!persisted.contains(at(1, 1)));
        persisted.add(at(5, 10), at(5, 20));
        persisted.add(at(2, 0), at(3, 7));
        persisted.add(at(5, 20), at(6, 1));
        persisted.add(at(9, 2), at(9, 1));
        for (position, expected) in [
            (at(1, 900), false),
            (at(2, 0), true),
            (at(2, 900), true),
            (at(3, 7), true),
            (at(3, 8), false),
            (at(5, 9), false),
            (at(5, 10), true),
            (at(5, 900), true),
            (at(6, 1), true),
            (at(6, 2), false),
            (at(9, 1), false),
        ] {
            assert_eq!(persisted.contains(position), expected, "{position}");
        }
        assert_eq!(persisted.intervals.len(), 2);
    }
}
