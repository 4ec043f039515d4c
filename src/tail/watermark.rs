//! Up to when everything is shipped.

use std::time::{Duration, Instant};

use crate::changes::Watermark;

use super::follower::{Follower, Standing};

/// How long a write may be acknowledged in a plain segment before a marker covers it: markers come every 100 ms
/// (CASSANDRA-13987).
pub(super) const MARKER_LAG: Duration = Duration::from_secs(1);
const MARKER_LAG_MILLIS: i64 = 1000;

/// A watermark that holds as soon as the positions in it are confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    time: i64,
    /// What must be confirmed.
    positions: Vec<(i64, u64)>,
    /// The end of what is written: Cassandra makes the next segment before it is needed, and that has nothing in it.
    end: Option<(i64, u64)>,
}

/// Works out the watermark while segments are followed.
#[derive(Debug)]
pub(super) struct Watermarks {
    /// `commitlog_sync_period`.
    sync_period: Duration,
    /// False where writes can stand somewhere that is not followed: then no time is named.
    sees_all: bool,
    candidate: Option<Candidate>,
    /// The greatest end of a segment that is shipped as a whole.
    done: Option<(i64, u64)>,
    /// The last that was published.
    published: Option<Watermark>,
    published_at: Option<Instant>,
}

impl Watermarks {
    /// None known yet.
    pub(super) fn new(sync_period: Duration, sees_all: bool) -> Self {
        Self {
            sync_period,
            sees_all,
            candidate: None,
            done: None,
            published: None,
            published_at: None,
        }
    }

    /// Notes how all segments stand after a pass over them that began at `began` (ms since 1970).
    pub(super) fn passed<'f>(&mut self, began: i64, followers: impl Iterator<Item = &'f Follower>) {
        if self.candidate.is_some() {
            // The earlier one will hold sooner.
            return;
        }
        let sync = i64::try_from(self.sync_period.as_millis()).unwrap_or(i64::MAX);
        let mut behind = MARKER_LAG_MILLIS;
        let mut positions = Vec::new();
        let mut end = None;
        for follower in followers {
            if follower.may_be_cut_off() {
                return;
            }
            let synced_only = MARKER_LAG_MILLIS.saturating_add(sync);
            match follower.standing {
                Standing::Ended => {}
                Standing::Drained if follower.is_plain() => {}
                Standing::Drained | Standing::Unsynced | Standing::Unread => behind = synced_only,
                // It cannot be said how long something has been unreadable.
                Standing::Unclear => return,
            }
            positions.push((follower.id(), follower.offset));
            if follower.is_in_use() {
                end = end.max(Some((follower.id(), follower.offset)));
            }
        }
        let time = if self.sees_all { began.saturating_sub(behind) } else { 0 };
        self.candidate = Some(Candidate { time, positions, end });
    }

    /// What was not published yet is not, so that the next pass is.
    pub(super) fn look_again(&mut self) {
        self.candidate = None;
    }

    /// Notes that a segment is shipped as a whole, up to `offset`, and followed no more.
    pub(super) fn done(&mut self, segment: i64, offset: u64) {
        self.done = self.done.max(Some((segment, offset)));
    }

    /// The clock was put back: what was promised by one that was ahead is not true of writes that get their times from now on.
    pub(super) fn forget_time(&mut self) {
        self.published = None;
        self.candidate = None;
    }

    /// The last that was published.
    pub(super) fn published(&self) -> Option<Watermark> {
        self.published
    }

    /// The watermark to publish now, if there is one that is newer than the last and `pause` has gone by.
    pub(super) fn due<'f>(
        &mut self,
        pause: Duration,
        followers: impl Iterator<Item = &'f Follower> + Clone,
    ) -> Option<Watermark> {
        let candidate = self.candidate.as_ref()?;
        let confirmed = |&(id, offset): &(i64, u64)| {
            // One that is done is gone from the list.
            followers.clone().find(|f| f.id() == id).is_none_or(|f| f.confirmed() >= offset)
        };
        if !candidate.positions.iter().all(confirmed) {
            return None;
        }
        if self.published_at.is_some_and(|at| at.elapsed() < pause) {
            return None;
        }
        let candidate = self.candidate.take()?;
        let (segment, offset) = candidate
            .end
            .or_else(|| candidate.positions.iter().max().copied())
            // All of them are done: of a node that is stopped, or a copy.
            .or_else(|| self.done.max(self.published.map(|m| (m.segment, u64::from(m.offset)))))
            .unwrap_or_default();
        let found = Watermark {
            segment,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            time: candidate.time.max(self.published.map_or(i64::MIN, |last| last.time)),
        };
        self.published_at = Some(Instant::now());
        self.published = Some(found);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_segments_are_done_the_end_of_the_last_is_named() {
        let mut marks = Watermarks::new(Duration::from_secs(10), true);
        let position = |marks: &mut Watermarks| {
            marks.passed(9_000, std::iter::empty());
            let mark = marks.due(Duration::ZERO, std::iter::empty()).unwrap();
            (mark.segment, mark.offset)
        };
        assert_eq!(position(&mut marks), (0, 0));
        marks.done(7, 100);
        marks.done(6, 200);
        assert_eq!(position(&mut marks), (7, 100));
        assert_eq!(position(&mut marks), (7, 100));
    }

    #[test]
    fn a_time_holds_on_unless_the_clock_is_put_back() {
        let mut marks = Watermarks::new(Duration::from_secs(10), true);
        let published = |marks: &mut Watermarks, began| {
            marks.passed(began, std::iter::empty());
            marks.due(Duration::ZERO, std::iter::empty()).unwrap().time
        };
        assert_eq!(published(&mut marks, 4_600_000), 4_599_000);
        assert_eq!(published(&mut marks, 4_599_500), 4_599_000);
        marks.forget_time();
        assert_eq!(published(&mut marks, 1_000_000), 999_000);
    }
}
