//! The loop of a tail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::changes::{change_folder, change_status_object, watermark_object};
use crate::discover::Source;
use crate::error::{Error, Result};
use crate::merge::TieBreak;
use crate::output::manifest::write_json;
use crate::output::state::{Phase, Status};
use crate::progress::{Events, StreamStanding, UnixMillis, clock, vitals};
use crate::store::{Store, host_name, open};

use super::backups::Backups;
use super::base::{StoredBase, open_source};
use super::beginning::Beginning;
use super::clock_watch::ClockWatch;
use super::delivery::Parcel;
use super::follower::{Follower, Standing};
use super::held::HeldMutations;
use super::listing::SegmentDirs;
use super::object::Workshop;
use super::options::{Base, TailOptions};
use super::report::TailReport;
use super::shipper::Shipper;
use super::space::SpaceWatch;
use super::state::TailState;
use super::translate::Translator;
use super::wake::Wake;
use super::watermark::{MARKER_LAG, Watermarks};

/// Between two looks at the segments where nothing wakes the tail: markers come every 100 ms.
const POLL: Duration = Duration::from_millis(50);
/// Between two tries at mutations that are held, two looks at the space, two saves of positions without records.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// Between two words about how it goes, where no watermark comes.
const STATUS: Duration = Duration::from_secs(5);
/// Of the memory, what an object may have before it goes into a file.
const OBJECT_SHARE: u64 = 16;
/// Bytes of stored rows that are handed on at once: there may be more of them than memory.
const LARGE: usize = 256 << 10;
/// Between two watermarks, at least.
const WATERMARK: Duration = Duration::from_secs(1);
/// How long after the start the time of the start is one up to which all is shipped.
const SETTLED: Duration = MARKER_LAG.saturating_add(Duration::from_millis(200));

/// Ships changes until a signal comes, or with `once` until everything there is shipped.
///
/// `cancel` is the number of the signal. Errors of the source that leave other segments readable are in the report; those of
/// the store and of the state end the run.
pub fn run(options: &TailOptions, events: &dyn Events, cancel: &AtomicI32) -> Result<TailReport> {
    let _duty = vitals::on_duty(vitals::Role::Tail);
    let mut tail = Tail::open(options, events, cancel)?;
    let (wake, words) = Wake::new(tail.dirs.paths());
    for words in &words {
        events.warning(words);
    }
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

/// A tail at work. What it follows is in `segments.rs`, how that is read in `reading.rs`, how it is shipped in `delivery.rs`.
pub(super) struct Tail<'a> {
    pub(super) options: &'a TailOptions,
    pub(super) events: &'a dyn Events,
    pub(super) cancel: &'a AtomicI32,
    pub(super) host: Uuid,
    pub(super) store: Arc<dyn Store>,
    pub(super) shipper: Shipper<Parcel>,
    /// Where objects are made.
    pub(super) workshop: Workshop,
    pub(super) state: TailState,
    pub(super) held: HeldMutations,
    pub(super) translator: Translator,
    pub(super) backups: Backups,
    pub(super) dirs: SegmentDirs,
    pub(super) followers: BTreeMap<i64, Follower>,
    /// Stored, and not yet noted.
    pub(super) stored: Vec<Parcel>,
    pub(super) watermarks: Watermarks,
    pub(super) beginning: Beginning,
    pub(super) clock: ClockWatch,
    /// When the directories were last listed: by the clock (ms since 1970), and by one that nobody sets.
    pub(super) listed: (i64, Instant),
    /// Until then what is held may be of a definition that is on its way to the disk.
    pub(super) held_until: Option<Instant>,
    /// When the status was last published.
    told: Option<Instant>,
    pub(super) space: SpaceWatch,
    pub(super) report: TailReport,
    pub(super) started: Instant,
}

impl<'a> Tail<'a> {
    /// A tail that has read nothing yet.
    pub(super) fn open(
        options: &'a TailOptions,
        events: &'a dyn Events,
        cancel: &'a AtomicI32,
    ) -> Result<Self> {
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
            Base::Auto => Some(StoredBase::new(&source, options, beginning.time())),
        };
        let mut backups = Backups::default();
        let translator = Translator::new(host, &source, &options.input, cdc_only, base)?;
        if options.backups {
            backups.renew(&source, translator.tables(), options.input.read_mode, &state)?;
        }
        Ok(Self {
            options,
            events,
            cancel,
            host,
            shipper: Shipper::start(Arc::clone(&store))?,
            workshop: Workshop {
                directory: options.state_dir.clone(),
                memory: usize::try_from(options.memory / OBJECT_SHARE).unwrap_or(usize::MAX),
                large: LARGE,
            },
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
            listed: (began.0, Instant::now()),
            held_until: None,
            told: None,
            space: SpaceWatch::new(options),
            report: TailReport::default(),
            started: Instant::now(),
        })
    }
}

impl Tail<'_> {
    pub(super) fn is_stopped(&self) -> bool {
        self.cancel.load(Ordering::Relaxed) != 0
    }

    pub(super) fn follow(&mut self, wake: &Wake) -> Result<()> {
        self.list()?;
        self.look_at_space();
        let mut kept_house = Instant::now();
        loop {
            vitals::sign();
            self.list_if_due()?;
            let since_start = self.started.elapsed();
            let progressed = self.pass()?;
            self.settle()?;
            self.tell_standing();
            if self.is_stopped() {
                break;
            }
            if self.options.once && !progressed {
                if !self.is_too_early_to_end(since_start) {
                    break;
                }
                wake.wait(SETTLED.saturating_sub(since_start));
                self.watermarks.look_again();
                self.list()?;
                continue;
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
            if wake.wait(longest) {
                self.list()?;
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

    /// True if a pass that began this long after the start cannot tell yet that all is shipped that was written before it, of a
    /// stopped node or a copy, whose segments are all at their end: without that the stream has no beginning to seal with.
    fn is_too_early_to_end(&self, since_start: Duration) -> bool {
        self.followers.is_empty() && self.beginning.is_pending() && since_start < SETTLED
    }

    /// Takes a follower out of the map for as long as `work` is done on it.
    pub(super) fn with_follower<T>(
        &mut self,
        id: i64,
        work: impl FnOnce(&mut Self, &mut Follower) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(mut follower) = self.followers.remove(&id) else { return Ok(None) };
        let done = work(self, &mut follower);
        self.followers.insert(id, follower);
        done.map(Some)
    }

    pub(super) fn keep_house(&mut self) -> Result<()> {
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
    pub(super) fn save_positions(&mut self) -> Result<()> {
        for (&id, follower) in &mut self.followers {
            follower.state.offset = follower.confirmed();
            self.state.set_segment(id, follower.state.clone());
        }
        self.state.save()
    }

    /// What of the changes is not shipped, and will perhaps never be.
    fn trouble(&self) -> Option<String> {
        let gone = self.report.lost.last().or(self.report.damage.last()).cloned();
        gone.or_else(|| {
            let (count, why) = (self.held.all().len(), self.report.held_why.last()?);
            (count > 0).then(|| format!("{count} mutations are held, among them one because {why}"))
        })
    }

    /// Publishes the watermark and the status, if it is time.
    pub(super) fn publish(&mut self, last: bool) -> Result<()> {
        let pause = if last { Duration::ZERO } else { WATERMARK.max(self.options.flush_interval) };
        let mark = self.watermarks.due(pause, self.followers.values());
        if let Some(mark) = mark {
            self.store.put(&watermark_object(self.host), mark.to_json().as_bytes())?;
            self.beginning.publish(&*self.store, mark)?;
        } else if !last && self.told.is_some_and(|at| at.elapsed() < STATUS) {
            return Ok(());
        }
        self.told = Some(Instant::now());
        let until = self.watermarks.published().map(|mark| mark.time).filter(|&time| time > 0);
        let now = clock::now();
        let status = Status {
            host: host_name(),
            updated: now.to_string(),
            elapsed_seconds: self.started.elapsed().as_secs(),
            tables_loading: self.translator.tables().wanted().count() as u64,
            rows: self.report.records,
            bytes_read: self.report.bytes_read,
            bytes_written: self.report.bytes_written,
            lag_seconds: until.map(|time| now.seconds_since(UnixMillis(time))),
            last_error: self.trouble(),
            ..Status::new(0, if last { Phase::Complete } else { Phase::Tailing })
        };
        self.store.put(&change_status_object(self.host), &write_json(&status)?).map(drop)
    }
}
