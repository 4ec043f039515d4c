//! From records to objects that the store has confirmed, and to positions that move behind them.

use crate::changes::{LogPosition, Position, change_object};
use crate::commitlog::CommitLogPosition;
use crate::error::{Error, Result};

use super::adopt::adopted_end;
use super::follower::Follower;
use super::listing::Found;
use super::object::FinishedObject;
use super::options::Shipped;
use super::run::Tail;
use super::sink::Sink;
use super::state::BackupState;
use super::translate::Translated;

/// An object on its way.
#[derive(Debug)]
pub(super) struct Parcel {
    contents: Contents,
    records: u64,
    bytes: u64,
}

/// What an object was made of.
#[derive(Debug)]
pub(super) enum Contents {
    /// Records of a segment.
    Segment { id: i64, end: u64, offset: u64 },
    /// Records of an SSTable of a `backups` folder.
    Backup { name: String, state: BackupState },
    /// The records of one mutation that was held.
    Held { end: CommitLogPosition },
}

impl Tail<'_> {
    /// Finds the objects of a segment that a former run stored and did not live to note.
    pub(super) fn adopt(&mut self, follower: &mut Follower) -> Result<()> {
        let mut offset = follower.offset;
        while let Some(Position::Log(end)) =
            self.adopted(&log_position(follower.id(), follower.next_object)?)?
        {
            follower.next_object = u64::from(end.offset);
            offset = offset.max(follower.next_object);
        }
        if offset != follower.offset {
            follower.seek(offset);
        }
        follower.state.offset = follower.offset;
        follower.state.next_object = follower.next_object;
        follower.adopted = true;
        Ok(())
    }

    /// The end of the object that begins at `start`, if a former run stored it.
    pub(super) fn adopted(&mut self, start: &Position) -> Result<Option<Position>> {
        let end = adopted_end(&*self.store, &change_object(self.host, start)?, start)?;
        if end.is_some() {
            self.report.adopted += 1;
        }
        Ok(end)
    }

    /// Hands over the object being made if it is as large as one may be.
    pub(super) fn ship_if_full(&mut self, follower: &mut Follower) -> Result<()> {
        match &follower.object {
            Some(object) if object.is_full(self.options.flush_size) => self.ship(follower),
            _ => Ok(()),
        }
    }

    /// Hands over the object being made if it is as old as one may be.
    pub(super) fn ship_if_old(&mut self, follower: &mut Follower) -> Result<()> {
        match &follower.object {
            Some(object) if object.is_old(self.options.flush_interval) => self.ship(follower),
            _ => Ok(()),
        }
    }

    /// Hands over the object being made.
    pub(super) fn ship(&mut self, follower: &mut Follower) -> Result<()> {
        let Some(object) = follower.object.take() else { return Ok(()) };
        let object = object.finish()?;
        let start = log_position(follower.id(), object.start)?;
        let (id, end, offset) = (follower.id(), object.end, follower.offset);
        follower.next_object = end;
        follower.under_way += 1;
        self.hand_over(object, &start, Contents::Segment { id, end, offset })
    }

    /// Gives the shipper an object whose records begin at `start`.
    pub(super) fn hand_over(
        &mut self,
        object: FinishedObject,
        start: &Position,
        contents: Contents,
    ) -> Result<()> {
        let name = change_object(self.host, start)?;
        let bytes = object.packed.len();
        let parcel = Parcel { contents, records: object.records, bytes };
        self.shipper.ship(name, object.packed, parcel, &mut self.stored)
    }

    /// Notes what is stored, and what is finished.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.shipper.take(&mut self.stored)?;
        let mut changed = !self.stored.is_empty();
        for parcel in std::mem::take(&mut self.stored) {
            self.report.objects += 1;
            self.report.records += parcel.records;
            self.report.bytes_written += parcel.bytes;
            match parcel.contents {
                Contents::Segment { id, end, offset } => {
                    if let Some(follower) = self.followers.get_mut(&id) {
                        follower.state.offset = offset;
                        follower.state.next_object = end;
                        follower.under_way -= 1;
                        self.state.set_segment(id, follower.state.clone());
                    }
                }
                Contents::Backup { name, state } => {
                    self.report.segments += u64::from(state.finished);
                    self.state.set_backup(&name, state);
                }
                Contents::Held { end } => self.held.remove(end)?,
            }
        }
        let done: Vec<i64> =
            self.followers.iter().filter(|(_, f)| f.is_done()).map(|(&id, _)| id).collect();
        for &id in &done {
            if let Some(follower) = self.followers.get_mut(&id) {
                follower.state.finished = true;
                follower.state.offset = follower.offset;
                self.state.set_segment(id, follower.state.clone());
                changed = true;
            }
        }
        if changed {
            self.state.save()?;
        }
        for id in done {
            if let Some(follower) = self.followers.remove(&id) {
                self.report.segments += 1;
                self.watermarks.done(id, follower.offset);
                self.translator.forget_told(id);
                self.delete_if_told(&follower)?;
            }
        }
        Ok(())
    }

    /// Deletes a segment of `cdc_raw` that is shipped to its end, and its index. Nothing else is ever deleted.
    pub(super) fn delete_if_told(&self, follower: &Follower) -> Result<()> {
        let keep = self.options.shipped == Shipped::Keep
            || follower.file.found != Found::CdcRaw
            || follower.vanished
            || follower.state.damaged
            || self.held.of_segment(follower.id()) > 0;
        if keep {
            return Ok(());
        }
        // The log before its index: an index alone is nothing, a log without its index looks unread.
        for path in [follower.file.path.clone(), follower.index_path()] {
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Output { action: "delete", path, source }),
            }
        }
        Ok(())
    }

    /// Tries what is held once more: the schema may know it now.
    pub(super) fn ship_held(&mut self) -> Result<()> {
        for mutation in self.held.all().to_vec() {
            let end = offset_of(mutation.end)?;
            // Named by its own position, where no other object begins: this mutation is in none of them.
            let start = log_position(mutation.end.segment_id, end)?;
            if self.store.head(&change_object(self.host, &start)?)?.is_some() {
                // Stored by a run that did not live to note it. What is read of the stored row now may be otherwise.
                self.report.adopted += 1;
                self.held.remove(mutation.end)?;
                continue;
            }
            self.translator.forget_told(mutation.end.segment_id);
            let payload = self.held.payload(&mutation)?;
            let mut object = None;
            let mut sink = Sink {
                object: &mut object,
                start: end,
                workshop: &self.workshop,
                cancel: self.cancel,
            };
            let (version, at) = (mutation.version, mutation.end);
            let records = match self.translator.mutation(version, at, &payload, &mut sink) {
                Ok(Translated::Records(records)) => records,
                Ok(_) => continue,
                // It stays held.
                Err(Error::Stopped(_)) => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(mut object) = object else {
                self.held.remove(mutation.end)?;
                continue;
            };
            object.end_mutation(records.into(), end);
            self.hand_over(object.finish()?, &start, Contents::Held { end: mutation.end })?;
            // One at a time: the next look must not find it held again.
            self.shipper.drain(&mut self.stored)?;
            self.settle()?;
        }
        if self.held.all().is_empty() {
            self.held_until = None;
        }
        Ok(())
    }
}

pub(super) fn offset_of(end: CommitLogPosition) -> Result<u64> {
    LogPosition::try_from(end).map(|end| u64::from(end.offset))
}

pub(super) fn log_position(segment: i64, offset: u64) -> Result<Position> {
    let offset = u32::try_from(offset)
        .map_err(|_| Error::Bug(format!("position {offset} of segment {segment} is none")))?;
    Ok(Position::Log(LogPosition { segment, offset }))
}
