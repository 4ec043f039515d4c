//! Which segments are followed: those that are new, and those that are gone.

use std::time::{Duration, Instant};

use crate::changes::{LostChanges, lost_object};
use crate::error::Result;
use crate::progress::clock;

use super::beginning::unseen;
use super::follower::Follower;
use super::listing::{Found, SegmentFile};
use super::run::Tail;
use super::state::SegmentState;

/// Between two listings of the directories where nothing wakes the tail.
const LIST: Duration = Duration::from_secs(1);
/// Segments of the commit-log directory that are opened before it is their turn. A snapshot flushes everything, and then
/// Cassandra removes all of them at once but the last; what is open can still be read.
const OPEN_AHEAD: usize = 256;

impl Tail<'_> {
    /// Looks for segments that are new or gone.
    pub(super) fn list(&mut self) -> Result<()> {
        self.listed = (clock::now().0, Instant::now());
        let found = self.dirs.list()?;
        if let Some((segment, offset, words)) = self.beginning.listed(found.keys().next().copied())
        {
            self.lost(segment, offset, words)?;
        }
        // To `cdc_raw` come only segments with changes, so ids are left out anyway; and none of those is removed elsewhere.
        let all_come = self.dirs.live.is_some() || self.dirs.archive.is_some();
        if all_come && self.dirs.cdc_raw.is_none() {
            let known = self.state.segments().map(|(id, _)| id).max();
            let known = known.into_iter().chain(self.followers.keys().copied()).max();
            let gaps =
                known.map(|known| unseen(known, found.keys().copied().filter(|&id| id > known)));
            for (first, last) in gaps.into_iter().flatten() {
                let words = format!(
                    "commit-log segments {first} to {last} of host {} were made and removed while no tail looked: the changes in \
                     them are lost here. Replicas' tails may have them; else extract the tables anew",
                    self.host
                );
                self.lost(first, 0, words)?;
            }
        }
        for (id, file) in &found {
            match self.followers.get_mut(id) {
                // Moved or linked to where it changes less: the open file is the same.
                Some(follower) => {
                    follower.file = file.clone();
                    follower.vanished = false;
                }
                None => self.take_up(*id, file)?,
            }
        }
        for (id, follower) in &mut self.followers {
            follower.vanished |= !found.contains_key(id);
        }
        let gone: Vec<i64> = self
            .state
            .segments()
            .filter(|(id, state)| {
                let is_known = found.contains_key(id) || self.followers.contains_key(id);
                !state.finished && !is_known && !self.may_be_on_its_way(state)
            })
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            let mut state = self.state.segment(id);
            self.vanished(id, &state)?;
            state.finished = true;
            self.state.set_segment(id, state);
        }
        Ok(())
    }

    /// The same, if it was not done for a while.
    pub(super) fn list_if_due(&mut self) -> Result<()> {
        if self.listed.1.elapsed() >= LIST { self.list() } else { Ok(()) }
    }

    fn take_up(&mut self, id: i64, file: &SegmentFile) -> Result<()> {
        let mut state = self.state.segment(id);
        if state.finished {
            // Cassandra links a segment again when it replays it after a crash.
            return self.delete_if_told(&Follower::new(file.clone(), state));
        }
        state.live = file.found == Found::Live;
        state.indexed |= file.holds_changes();
        // Known from now on, also if this run ends before it is read: a gap in the ids is one that nobody saw.
        self.state.set_segment(id, state.clone());
        let mut follower = Follower::new(file.clone(), state);
        let open = self.followers.values().filter(|other| other.reader.is_some()).count();
        if file.found == Found::Live && open < OPEN_AHEAD {
            // What stands against it is told when it is read.
            drop(follower.open(&self.options.keys));
        }
        self.followers.insert(id, follower);
        Ok(())
    }

    /// A segment with changes goes from the commit log to `cdc_raw`; between two listings it can be in neither.
    fn may_be_on_its_way(&self, state: &SegmentState) -> bool {
        state.live && self.dirs.cdc_raw.is_some()
    }

    /// A segment is gone that was not read to its end.
    pub(super) fn vanished(&mut self, id: i64, state: &SegmentState) -> Result<()> {
        if state.may_vanish() || self.may_be_on_its_way(state) {
            return Ok(());
        }
        let words = format!(
            "commit-log segment {id} of host {} vanished before it was read to its end: the changes behind position {} are \
             lost here. Replicas' tails may have them; else extract the tables anew",
            self.host, state.offset
        );
        self.lost(id, state.offset, words)
    }

    /// Tells of changes that nobody can read any more, and notes it for `seal`.
    pub(super) fn lost(&mut self, segment: i64, offset: u64, words: String) -> Result<()> {
        self.events.warning(&words);
        let lost = LostChanges { segment, offset, time: clock::now().0, words: words.clone() };
        self.store.put(&lost_object(self.host, segment), &lost.to_json()?)?;
        self.report.lost.push(words);
        Ok(())
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
