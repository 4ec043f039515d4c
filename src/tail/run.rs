//! The loop of a tail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::changes::{
    LogPosition, LostChanges, Position, change_folder, change_object, change_status_object,
    lost_object, watermark_object,
};
use crate::commitlog::{CommitLogPosition, SegmentStep};
use crate::discover::Source;
use crate::error::{Error, ErrorClass, Result};
use crate::merge::TieBreak;
use crate::output::manifest::write_json;
use crate::output::state::{Phase, Status};
use crate::progress::{Events, StreamStanding, UnixMillis, clock, vitals};
use crate::store::{Store, host_name, open};

use super::adopt::adopted_end;
use super::backups::{Backups, OpenBackup};
use super::base::{StoredBase, open_source};
use super::beginning::{Beginning, unseen};
use super::clock_watch::ClockWatch;
use super::follower::{Follower, Standing};
use super::held::HeldMutations;
use super::listing::{Found, SegmentDirs, SegmentFile};
use super::object::{ChangeObject, FinishedObject};
use super::options::{Base, Shipped, TailOptions};
use super::report::TailReport;
use super::shipper::Shipper;
use super::space::SpaceWatch;
use super::state::{BackupState, SegmentState, TailState};
use super::translate::{Translated, Translator};
use super::wake::Wake;
use super::watermark::Watermarks;

/// Between two looks at the segments where nothing wakes the tail: markers come every 100 ms.
const POLL: Duration = Duration::from_millis(50);
/// Between two listings of the directories where nothing wakes it.
const LIST: Duration = Duration::from_secs(1);
/// Between two tries at mutations that are held, two looks at the space, two saves of positions without records.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How long a segment may be there with half a header before that is called damage.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// A sign of life for each 64 KiB of a segment.
const SIGN_SHIFT: u32 = 16;
/// Between two watermarks, at least.
const WATERMARK: Duration = Duration::from_secs(1);

/// An object on its way.
#[derive(Debug)]
struct Parcel {
    contents: Contents,
    records: u64,
    bytes: u64,
}

/// What an object was made of.
#[derive(Debug)]
enum Contents {
    /// Records of a segment.
    Segment { id: i64, end: u64, offset: u64 },
    /// Records of an SSTable of a `backups` folder.
    Backup { name: String, state: BackupState },
    /// The records of one mutation that was held.
    Held { end: CommitLogPosition },
}

/// Ships changes until a signal comes, or with `once` until everything there is shipped.
///
/// `cancel` is the number of the signal. Errors of the source that leave other segments readable are in the report; those of
/// the store and of the state end the run.
pub fn run(options: &TailOptions, events: &dyn Events, cancel: &AtomicI32) -> Result<TailReport> {
    let _duty = vitals::on_duty(vitals::Role::Tail);
    let now = options.now.unwrap_or_else(|| clock::now().seconds());
    let source = open_source(&options.input, now)?;
    for words in source.warnings() {
        events.warning(words);
    }
    let host = host_of(options, &source)?;
    let store: Arc<dyn Store> = open(&options.output, &options.s3)?;
    let state = TailState::open(&options.state_dir, host, &options.output.to_string())?;
    // What a run left that was killed while it wrote; nobody else writes below this host's folder.
    store.clean_temporaries(&change_folder(host))?;
    let known = state.segments().map(|(id, _)| id);
    let began = clock::now();
    let dirs = dirs_of(options);
    let beginning = Beginning::open(&*store, host, &dirs, &source, known, began)?;
    let sees_all = sees_all(options, &source);
    if !sees_all {
        events.warning(
            "what this tail reads shows a write only when Cassandra is done with a segment or flushes a table: when this host has \
             caught up cannot be told (status shows no lag); --commitlog-dir beside it shows writes at once",
        );
    }
    let cdc_only = options.cdc_raw.is_some();
    let base = match options.base {
        Base::None => None,
        Base::Auto => Some(StoredBase::new(&source, options)),
    };
    let mut backups = Backups::default();
    let translator = Translator::new(host, &source, &options.input, cdc_only, base)?;
    if options.backups {
        backups.renew(&source, translator.tables(), options.input.read_mode, &state)?;
    }
    let (wake, words) = Wake::new(dirs.paths());
    for words in &words {
        events.warning(words);
    }
    let mut tail = Tail {
        options,
        events,
        cancel,
        host,
        shipper: Shipper::start(Arc::clone(&store))?,
        store,
        state,
        held: HeldMutations::open(&options.state_dir)?,
        translator,
        backups,
        dirs,
        followers: BTreeMap::new(),
        stored: Vec::new(),
        watermarks: Watermarks::new(options.sync_period, sees_all),
        beginning,
        clock: ClockWatch::default(),
        space: SpaceWatch::new(options),
        report: TailReport::default(),
        started: Instant::now(),
    };
    events.ready();
    tail.follow(&wake)?;
    tail.report.held = tail.held.all().len() as u64;
    Ok(tail.report)
}

fn dirs_of(options: &TailOptions) -> SegmentDirs {
    SegmentDirs {
        archive: options.archive.clone(),
        cdc_raw: options.cdc_raw.clone(),
        live: options.commitlog_dir.clone(),
    }
}

/// True if a write can be seen soon after it was made: in the commit log itself, or from 4.0 on in `cdc_raw`.
fn sees_all(options: &TailOptions, source: &Source) -> bool {
    options.commitlog_dir.is_some()
        || options.cdc_raw.is_some() && source.tie_break() == TieBreak::From40
}

/// The host whose commit log it is.
fn host_of(options: &TailOptions, source: &Source) -> Result<Uuid> {
    let found = source.host.as_ref().and_then(|host| host.host_id);
    match (options.host_id, found) {
        (Some(given), Some(found)) if given != found => Err(Error::usage(format!(
            "--host-id is {given}, the data directories are those of {found}"
        ))),
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Err(Error::Missing {
            what: "which host this is: there is no host_id in system.local of the data directories".into(),
            hint: Some("--data-dir with all data directories of the node, or --host-id as `nodetool info` shows it".into()),
        }),
    }
}

struct Tail<'a> {
    options: &'a TailOptions,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
    host: Uuid,
    store: Arc<dyn Store>,
    shipper: Shipper<Parcel>,
    state: TailState,
    held: HeldMutations,
    translator: Translator,
    backups: Backups,
    dirs: SegmentDirs,
    followers: BTreeMap<i64, Follower>,
    /// Stored, and not yet noted.
    stored: Vec<Parcel>,
    watermarks: Watermarks,
    beginning: Beginning,
    clock: ClockWatch,
    space: SpaceWatch,
    report: TailReport,
    started: Instant,
}

impl Tail<'_> {
    fn is_stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) != 0
    }

    fn follow(&mut self, wake: &Wake) -> Result<()> {
        self.list()?;
        self.look_at_space();
        let mut listed = Instant::now();
        let mut kept_house = Instant::now();
        loop {
            vitals::sign();
            let progressed = self.pass()?;
            self.settle()?;
            self.tell_standing();
            if self.is_stopped() || self.options.once && !progressed {
                break;
            }
            if kept_house.elapsed() >= HOUSEKEEPING {
                self.keep_house()?;
                kept_house = Instant::now();
            }
            self.publish(false)?;
            if progressed {
                continue;
            }
            let due = self.followers.values().filter_map(|f| f.object.as_ref());
            let longest =
                due.map(|o| o.due_in(self.options.flush_interval)).fold(POLL, Duration::min);
            if wake.wait(longest) || listed.elapsed() >= LIST {
                self.list()?;
                listed = Instant::now();
            }
        }
        self.ship_held()?;
        let ids: Vec<i64> = self.followers.keys().copied().collect();
        for id in ids {
            self.with_follower(id, Self::ship)?;
        }
        self.shipper.drain(&mut self.stored)?;
        self.settle()?;
        self.save_positions()?;
        let told = |f: &&Follower| f.reader.is_none() && f.state.damaged;
        let unclear = self.followers.values().filter(|f| f.standing == Standing::Unclear);
        for follower in unclear.filter(|f| !told(f)) {
            self.events.file_warning(
                &follower.file.path,
                &format!(
                    "something at position {} cannot be read; if Cassandra is still writing it, the next run reads it",
                    follower.position()
                ),
            );
            self.report.damaged(format!(
                "{} at {}: half written or damaged",
                follower.file.path.display(),
                follower.position()
            ));
        }
        for sstable in self.backups.incomplete() {
            self.events.warning(&format!(
                "{sstable} in backups is without some of its components: not shipped, unless they come"
            ));
        }
        self.publish(true)
    }

    /// Takes a follower out of the map for as long as `work` is done on it.
    fn with_follower<T>(
        &mut self,
        id: i64,
        work: impl FnOnce(&mut Self, &mut Follower) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(mut follower) = self.followers.remove(&id) else { return Ok(None) };
        let done = work(self, &mut follower);
        self.followers.insert(id, follower);
        done.map(Some)
    }

    /// Looks for segments that are new or gone.
    fn list(&mut self) -> Result<()> {
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

    fn take_up(&mut self, id: i64, file: &SegmentFile) -> Result<()> {
        let mut state = self.state.segment(id);
        if state.finished {
            // Cassandra links a segment again when it replays it after a crash.
            return self.delete_if_told(&Follower::new(file.clone(), state));
        }
        state.live = file.found == Found::Live;
        // Known from now on, also if this run ends before it is read: a gap in the ids is one that nobody saw.
        self.state.set_segment(id, state.clone());
        self.followers.insert(id, Follower::new(file.clone(), state));
        Ok(())
    }

    /// A segment with changes goes from the commit log to `cdc_raw`; between two listings it can be in neither.
    fn may_be_on_its_way(&self, state: &SegmentState) -> bool {
        state.live && self.dirs.cdc_raw.is_some()
    }

    /// A segment is gone that was not read to its end.
    fn vanished(&mut self, id: i64, state: &SegmentState) -> Result<()> {
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
    fn lost(&mut self, segment: i64, offset: u64, words: String) -> Result<()> {
        self.events.warning(&words);
        let lost = LostChanges { segment, offset, time: clock::now().0, words: words.clone() };
        self.store.put(&lost_object(self.host, segment), &lost.to_json()?)?;
        self.report.lost.push(words);
        Ok(())
    }

    /// Goes through all segments once; false if there was nothing to read.
    fn pass(&mut self) -> Result<bool> {
        let began = clock::now().0;
        if self.clock.was_put_back(began, Instant::now()) {
            self.watermarks.forget_time();
        }
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
        self.watermarks.passed(began, self.followers.values());
        Ok(progressed)
    }

    /// Reads a segment as far as it may be read; true if there was something.
    fn read(&mut self, follower: &mut Follower, in_use_behind: usize) -> Result<bool> {
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
        loop {
            let Some(reader) = &mut follower.reader else { return Ok(progressed) };
            let version = reader.descriptor().version;
            match reader.next(bound)? {
                SegmentStep::Entry { end, payload } => {
                    progressed = true;
                    self.report.mutations += 1;
                    self.report.bytes_read += payload.len() as u64;
                    match self.translator.mutation(version, end, payload)? {
                        Translated::Records(0) => {}
                        Translated::Records(records) => {
                            let object = match &mut follower.object {
                                Some(object) => object,
                                None => {
                                    follower.object.insert(ChangeObject::new(follower.next_object)?)
                                }
                            };
                            object.add(self.translator.lines(), records.into(), offset_of(end)?)?;
                        }
                        Translated::Unknown(why) => {
                            self.held.keep(end, version, payload)?;
                            if self.report.held_why.insert(why.clone()) {
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
                    self.ship_if_due(follower)?;
                    if follower.offset >> SIGN_SHIFT != signed {
                        signed = follower.offset >> SIGN_SHIFT;
                        vitals::sign();
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
                    let error = damage.to_error(&follower.file.path);
                    self.events.warning(&error.to_string());
                    self.report.damaged(error.to_string());
                    follower.state.damaged = true;
                    progressed = true;
                }
            }
        }
        self.ship_if_due(follower)?;
        Ok(progressed)
    }

    /// Ships what is left of an SSTable of a `backups` folder. It is read to its end before anything else: it does not change.
    fn ship_backup(&mut self, mut backup: OpenBackup) -> Result<()> {
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
        let mut object: Option<ChangeObject> = None;
        let mut next = backup.updates.next().transpose()?;
        while let Some((origin, update)) = next {
            vitals::sign();
            next = backup.updates.next().transpose()?;
            self.report.mutations += 1;
            let is_shipped =
                shipped.map_or(origin.record < backup.state.records, |last| origin.record <= last);
            if !is_shipped {
                let records = self.translator.backup(&origin.sstable, origin.record, &update)?;
                let open = match &mut object {
                    Some(open) => open,
                    None => object.insert(ChangeObject::new(backup.state.records)?),
                };
                open.add(self.translator.lines(), records.into(), origin.record + 1)?;
            }
            let full =
                object.as_ref().is_some_and(|o| o.is_due(self.options.flush_size, Duration::MAX));
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
    fn cannot_open(&mut self, follower: &mut Follower, error: Error) -> Result<bool> {
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

    /// Finds the objects of a segment that a former run stored and did not live to note.
    fn adopt(&mut self, follower: &mut Follower) -> Result<()> {
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
    fn adopted(&mut self, start: &Position) -> Result<Option<Position>> {
        let end = adopted_end(&*self.store, &change_object(self.host, start)?, start)?;
        if end.is_some() {
            self.report.adopted += 1;
        }
        Ok(end)
    }

    fn ship_if_due(&mut self, follower: &mut Follower) -> Result<()> {
        let (size, interval) = (self.options.flush_size, self.options.flush_interval);
        match &follower.object {
            Some(object) if object.is_due(size, interval) => self.ship(follower),
            _ => Ok(()),
        }
    }

    /// Hands over the object being made.
    fn ship(&mut self, follower: &mut Follower) -> Result<()> {
        let Some(object) = follower.object.take() else { return Ok(()) };
        let object = object.finish()?;
        let start = log_position(follower.id(), object.start)?;
        let (id, end, offset) = (follower.id(), object.end, follower.offset);
        follower.next_object = end;
        follower.under_way += 1;
        self.hand_over(object, &start, Contents::Segment { id, end, offset })
    }

    /// Gives the shipper an object whose records begin at `start`.
    fn hand_over(
        &mut self,
        object: FinishedObject,
        start: &Position,
        contents: Contents,
    ) -> Result<()> {
        let name = change_object(self.host, start)?;
        let bytes = object.bytes.len() as u64;
        let parcel = Parcel { contents, records: object.records, bytes };
        self.shipper.ship(name, object.bytes, parcel, &mut self.stored)
    }

    /// Notes what is stored, and what is finished.
    fn settle(&mut self) -> Result<()> {
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
                self.translator.forget_told(id);
                self.delete_if_told(&follower)?;
            }
        }
        Ok(())
    }

    /// Deletes a segment of `cdc_raw` that is shipped to its end, and its index. Nothing else is ever deleted.
    fn delete_if_told(&self, follower: &Follower) -> Result<()> {
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
    fn ship_held(&mut self) -> Result<()> {
        for mutation in self.held.all().to_vec() {
            self.translator.forget_told(mutation.end.segment_id);
            let payload = self.held.payload(&mutation)?;
            let Translated::Records(records) =
                self.translator.mutation(mutation.version, mutation.end, &payload)?
            else {
                continue;
            };
            if records == 0 {
                self.held.remove(mutation.end)?;
                continue;
            }
            let end = offset_of(mutation.end)?;
            let mut object = ChangeObject::new(end)?;
            object.add(self.translator.lines(), records.into(), end)?;
            // Named by its own position, where no other object begins: this mutation is in none of them.
            let start = log_position(mutation.end.segment_id, end)?;
            self.hand_over(object.finish()?, &start, Contents::Held { end: mutation.end })?;
            // One at a time: the next look must not find it held again.
            self.shipper.drain(&mut self.stored)?;
            self.settle()?;
        }
        Ok(())
    }

    fn keep_house(&mut self) -> Result<()> {
        self.ship_held()?;
        if self.options.backups {
            let (backups, state, mode) =
                (&mut self.backups, &self.state, self.options.input.read_mode);
            self.translator.refresh(|source, tables| backups.renew(source, tables, mode, state))?;
        }
        self.look_at_space();
        self.save_positions()
    }

    fn look_at_space(&mut self) {
        if let Some(words) = self.space.look() {
            self.events.warning(&words);
        }
        if let Some(space) = self.space.found() {
            self.events.cdc_space(space.used, space.limit);
        }
    }

    /// Says where the stream stands, to whoever looks on.
    fn tell_standing(&self) {
        let report = &self.report;
        let mark = self.watermarks.published();
        // A watermark of segments that are all done names none.
        let known = || self.state.segments().last().map(|(id, state)| (id, state.offset));
        let named = mark.filter(|mark| mark.segment > 0);
        let position = named.map(|mark| (mark.segment, u64::from(mark.offset))).or_else(known);
        let (segment, offset) = position.unwrap_or_default();
        self.events.stream(&StreamStanding {
            host_id: self.host.to_string(),
            segment,
            offset,
            shipped_until_millis: mark.map(|mark| mark.time).filter(|&time| time > 0),
            lag_seconds: None,
            segments_followed: self.followers.len() as u64,
            segments_shipped: report.segments,
            mutations: report.mutations,
            records: report.records,
            objects: report.objects,
            bytes_read: report.bytes_read,
            bytes_written: report.bytes_written,
            held: self.held.all().len() as u64,
            damages: report.damages,
            lost: report.lost.len() as u64,
        });
    }

    /// Saves how far all segments are, also those that have shipped nothing.
    fn save_positions(&mut self) -> Result<()> {
        for (&id, follower) in &mut self.followers {
            follower.state.offset = follower.confirmed();
            self.state.set_segment(id, follower.state.clone());
        }
        self.state.save()
    }

    /// Publishes the watermark and the status, if it is time.
    fn publish(&mut self, last: bool) -> Result<()> {
        let pause = if last { Duration::ZERO } else { WATERMARK.max(self.options.flush_interval) };
        let Some(mark) = self.watermarks.due(pause, self.followers.values()) else { return Ok(()) };
        self.store.put(&watermark_object(self.host), mark.to_json().as_bytes())?;
        self.beginning.publish(&*self.store, mark)?;
        let now = clock::now();
        let status = Status {
            host: host_name(),
            updated: now.to_string(),
            elapsed_seconds: self.started.elapsed().as_secs(),
            tables_loading: self.translator.tables().wanted().count() as u64,
            rows: self.report.records,
            bytes_read: self.report.bytes_read,
            bytes_written: self.report.bytes_written,
            lag_seconds: (mark.time > 0).then(|| now.seconds_since(UnixMillis(mark.time))),
            last_error: self.report.lost.last().or(self.report.damage.last()).cloned(),
            ..Status::new(0, if last { Phase::Complete } else { Phase::Tailing })
        };
        self.store.put(&change_status_object(self.host), &write_json(&status)?).map(drop)
    }
}

fn offset_of(end: CommitLogPosition) -> Result<u64> {
    LogPosition::try_from(end).map(|end| u64::from(end.offset))
}

fn log_position(segment: i64, offset: u64) -> Result<Position> {
    let offset = u32::try_from(offset)
        .map_err(|_| Error::Bug(format!("position {offset} of segment {segment} is none")))?;
    Ok(Position::Log(LogPosition { segment, offset }))
}
