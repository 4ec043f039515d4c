//! Going through what there is to read: segments as far as they may be read, and SSTables of `backups` folders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::changes::Position;
use crate::commitlog::SegmentStep;
use crate::error::{Error, ErrorClass, Result};
use crate::progress::{clock, vitals};

use super::backups::OpenBackup;
use super::delivery::{Contents, offset_of};
use super::follower::{Follower, Standing};
use super::run::Tail;
use super::sink::Sink;
use super::state::BackupState;
use super::translate::Translated;

/// How long a segment may be there with half a header before that is called damage.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// How long after a mutation was held for a new reason nothing counts as shipped: definitions are on the disk sooner.
const HELD_PATIENCE: Duration = Duration::from_secs(60);
/// A sign of life for each 64 KiB of a segment.
const SIGN_SHIFT: u32 = 16;

impl Tail<'_> {
    /// Goes through all segments once; false if there was nothing to read.
    pub(super) fn pass(&mut self) -> Result<bool> {
        let began = clock::now().0;
        if self.clock.was_put_back(began, Instant::now()) {
            self.watermarks.forget_time();
            self.list()?;
        }
        // What is written to segments that came after that is not seen, however long this takes.
        let seen_until = self.listed.0.min(began);
        let ids: Vec<i64> = self.followers.keys().copied().collect();
        let mut behind = BTreeMap::new();
        let mut in_use = 0;
        for (&id, follower) in self.followers.iter().rev() {
            behind.insert(id, in_use);
            in_use += usize::from(follower.is_in_use());
        }
        let mut progressed = false;
        for id in ids {
            let in_use = behind.get(&id).copied().unwrap_or(0);
            progressed |= self.with_follower(id, |tail, f| tail.read(f, in_use))?.unwrap_or(false);
            self.settle()?;
            if self.is_stopped() {
                return Ok(progressed);
            }
            self.list_if_due()?;
        }
        while let Some(backup) = self.backups.next(&self.state)? {
            progressed = true;
            self.ship_backup(backup)?;
            self.settle()?;
            if self.is_stopped() {
                return Ok(progressed);
            }
        }
        for words in std::mem::take(&mut self.translator.words) {
            self.events.warning(&words);
        }
        let late = self.translator.take_late();
        if late > 0 && self.report.late_deletions == 0 {
            self.events.warning(
                "a deletion of many rows was in SSTables before this tail came to it, and there is no snapshot that was taken since \
                 the stream began: rows that a compaction dropped for it may stay in the target. Keep the snapshot of the \
                 extract until the cut-over",
            );
        }
        self.report.late_deletions += late;
        // What is held is not shipped. What stays so, of a table that was dropped, stops the time only at first.
        if self.held_until.is_none_or(|until| Instant::now() >= until) {
            self.watermarks.passed(seen_until, self.followers.values());
        }
        Ok(progressed)
    }

    /// Reads a segment as far as it may be read; true if there was something.
    pub(super) fn read(&mut self, follower: &mut Follower, in_use_behind: usize) -> Result<bool> {
        if follower.standing == Standing::Ended {
            return Ok(false);
        }
        match follower.open(&self.options.keys) {
            Ok(true) => {}
            Ok(false) => {
                follower.ended_unread();
                return Ok(false);
            }
            Err(error) => return self.cannot_open(follower, error),
        }
        if !follower.adopted {
            self.adopt(follower)?;
        }
        let bound = follower.bound(self.options.follow, in_use_behind)?;
        follower.state.passed = in_use_behind > 0 && follower.standing == Standing::Drained;
        let mut progressed = false;
        let mut signed = 0;
        self.translator.look_at_clock();
        loop {
            let Some(reader) = &mut follower.reader else { return Ok(progressed) };
            let version = reader.descriptor().version;
            match reader.next(bound)? {
                SegmentStep::Entry { end, payload } => {
                    progressed = true;
                    self.report.mutations += 1;
                    self.report.bytes_read += payload.len() as u64;
                    let mut sink = Sink {
                        object: &mut follower.object,
                        start: follower.next_object,
                        workshop: &self.workshop,
                        cancel: self.cancel,
                    };
                    let translated =
                        match self.translator.mutation(version, end, payload, &mut sink) {
                            Err(Error::Stopped(_)) => {
                                // Of a mutation there is all or nothing in an object: the next run reads it again.
                                follower.object = None;
                                follower.seek(follower.next_object);
                                return Ok(progressed);
                            }
                            translated => translated?,
                        };
                    match translated {
                        Translated::Records(records) => {
                            if let Some(object) = &mut follower.object
                                && records > 0
                            {
                                object.end_mutation(records.into(), offset_of(end)?);
                            }
                        }
                        Translated::Unknown(why) => {
                            self.held.keep(end, version, payload)?;
                            if self.report.held_why.insert(why.clone()) {
                                self.held_until = Some(Instant::now() + HELD_PATIENCE);
                                let words = format!("a mutation that ends at {end} is held: {why}");
                                self.events.warning(&words);
                            }
                        }
                        Translated::Undecodable(why) => {
                            let path = &follower.file.path;
                            let words = format!(
                                "{}: the mutation that ends at {end} cannot be decoded: {why}",
                                path.display()
                            );
                            self.events.warning(&words);
                            self.report.damaged(words);
                            follower.state.damaged = true;
                            self.held.keep(end, version, payload)?;
                        }
                    }
                    follower.offset = offset_of(end)?;
                    self.ship_if_full(follower)?;
                    // To look at the clock takes longer than to read a small mutation.
                    if follower.offset >> SIGN_SHIFT != signed {
                        signed = follower.offset >> SIGN_SHIFT;
                        vitals::sign();
                        self.translator.look_at_clock();
                        self.ship_if_old(follower)?;
                    }
                    if self.is_stopped() {
                        return Ok(progressed);
                    }
                }
                SegmentStep::Wait(what) => {
                    follower.waits_for(what);
                    break;
                }
                SegmentStep::End { notice } => {
                    if let Some(words) = notice {
                        self.events.file_warning(&follower.file.path, &words);
                    }
                    follower.standing = Standing::Ended;
                    // Records of the next segment go into objects of their own.
                    self.ship(follower)?;
                    return Ok(true);
                }
                SegmentStep::Damage(damage) => {
                    let error = damage.to_error(&follower.file.path).to_string();
                    self.report.damaged(error.clone());
                    follower.state.damaged = true;
                    progressed = true;
                    self.lost(follower.id(), follower.offset, error)?;
                }
            }
        }
        self.ship_if_full(follower)?;
        self.ship_if_old(follower)?;
        Ok(progressed)
    }

    /// Ships what is left of an SSTable of a `backups` folder. It is read to its end before anything else: it does not change.
    pub(super) fn ship_backup(&mut self, mut backup: OpenBackup) -> Result<()> {
        let sstable = backup.name.clone();
        self.translator.begin_sstable();
        let object_start = |record| Position::Sstable { sstable: sstable.clone(), record };
        // Updates of this record and before are in objects.
        let mut shipped: Option<u64> = None;
        while let Some(Position::Sstable { record, .. }) =
            self.adopted(&object_start(backup.state.records))?
        {
            shipped = Some(record);
            backup.state.records = record + 1;
        }
        let mut object = None;
        let mut next = backup.updates.next().transpose()?;
        while let Some((origin, update)) = next {
            vitals::sign();
            next = backup.updates.next().transpose()?;
            self.report.mutations += 1;
            let is_shipped =
                shipped.map_or(origin.record < backup.state.records, |last| origin.record <= last);
            if !is_shipped {
                let mut sink = Sink {
                    object: &mut object,
                    start: backup.state.records,
                    workshop: &self.workshop,
                    cancel: self.cancel,
                };
                let (sstable, record) = (&origin.sstable, origin.record);
                let records = match self.translator.backup(sstable, record, &update, &mut sink) {
                    // What is shipped of it is known; the next run goes on behind that.
                    Err(Error::Stopped(_)) => return Ok(()),
                    records => records?,
                };
                if let Some(object) = &mut object {
                    object.end_mutation(records.into(), record + 1);
                }
            }
            let full = object.as_ref().is_some_and(|o| o.is_full(self.options.flush_size));
            if (full || next.is_none())
                && let Some(object) = object.take()
            {
                let object = object.finish()?;
                let state = BackupState { records: object.end, finished: next.is_none() };
                let start = object_start(object.start);
                self.hand_over(object, &start, Contents::Backup { name: sstable.clone(), state })?;
                backup.state = state;
            }
            if self.is_stopped() {
                return Ok(());
            }
        }
        if !backup.state.finished {
            // Everything of it was there already.
            backup.state.finished = true;
            self.state.set_backup(&sstable, backup.state);
            self.state.save()?;
        }
        Ok(())
    }

    /// A segment that cannot be opened at all: others go on.
    pub(super) fn cannot_open(&mut self, follower: &mut Follower, error: Error) -> Result<bool> {
        if matches!(&error, Error::Input { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
        {
            // Removed between the listing and now.
            follower.standing = Standing::Ended;
            follower.vanished = true;
            self.vanished(follower.id(), &follower.state)?;
            return Ok(false);
        }
        follower.standing = Standing::Unclear;
        // A header that is being written, or a copy that somebody makes into the archive.
        let may_pass = error.class() == ErrorClass::Corrupt && !follower.vanished;
        if may_pass && follower.unreadable_for() < HEADER_PATIENCE {
            return Ok(false);
        }
        if !follower.state.damaged {
            self.events.warning(&error.to_string());
            self.report.damaged(error.to_string());
            follower.state.damaged = true;
        }
        Ok(false)
    }
}
