//! Which positions of a node's commit log a table's SSTables have (`IntervalSet<CommitLogPosition>`,
//! `CommitLogReplayer.persistedIntervals`).

use uuid::Uuid;

use crate::commitlog::CommitLogPosition;
use crate::sstable::stats::StatsMetadata;

/// Before every position (`CommitLogPosition.NONE`).
const NONE: CommitLogPosition = CommitLogPosition { segment_id: -1, position: 0 };

/// Whose log it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHost {
    id: Option<Uuid>,
    named_only: bool,
}

impl LogHost {
    /// The node with this id, if it is known, and this release.
    pub fn new(id: Option<Uuid>, release: Option<&str>) -> Self {
        Self { id, named_only: release.is_none_or(names_hosts) }
    }

    /// True if the positions in an SSTable that names `origin` are taken for those of this host's log. What was streamed here as a
    /// whole file has positions in the log of another node.
    fn wrote(&self, origin: Option<Uuid>) -> bool {
        match (self.id, origin) {
            (Some(id), Some(origin)) => id == origin,
            (Some(_), None) => !self.named_only,
            (None, _) => true,
        }
    }
}

/// True if a release writes into each SSTable whose log its positions are of, and believes none that says nothing
/// (CASSANDRA-16619): from 3.0.25, 3.11.11 and 4.0 on.
fn names_hosts(release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next(), next()) {
        (3, 0, patch) => patch >= 25,
        (3, 11, patch) => patch >= 11,
        (major, _, _) => major >= 4,
    }
}

/// Closed intervals of positions, apart from each other and in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PersistedPositions {
    intervals: Vec<(CommitLogPosition, CommitLogPosition)>,
}

impl PersistedPositions {
    /// The positions that SSTables with these statistics have of the log of `host`, whose positions they are if `host` says so.
    pub fn of<'s>(sstables: impl IntoIterator<Item = &'s StatsMetadata>, host: LogHost) -> Self {
        let mut persisted = Self::default();
        for stats in sstables {
            if !host.wrote(stats.originating_host_id) {
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

    /// Where the last interval ends; none without any.
    pub fn end(&self) -> Option<CommitLogPosition> {
        self.intervals.last().map(|(_, end)| *end)
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
    fn positions_of_another_host_and_of_none_where_all_are_named_are_not_of_this_log() {
        let [here, there] = [1, 2].map(Uuid::from_u128);
        for (release, believes_none) in [
            ("2.2.19", true),
            ("3.0.24", true),
            ("3.0.25", false),
            ("3.7", true),
            ("3.11.10", true),
            ("3.11.19", false),
            ("4.0-beta4", false),
            ("5.0.6", false),
        ] {
            let host = LogHost::new(Some(here), Some(release));
            assert!(host.wrote(Some(here)) && !host.wrote(Some(there)), "{release}");
            assert_eq!(host.wrote(None), believes_none, "{release}");
        }
        let unknown = LogHost::new(None, None);
        assert!(unknown.wrote(None) && unknown.wrote(Some(there)));
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
