//! A run of `sequence`: who may write, where it stands, and one batch after the other.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::batch::Batcher;
use super::journal::{
    BatchEntry, CLAIM, FOLDER, SETTINGS, STATUS, SequenceSettings, SequencedUntil, WATERMARK,
    batch_of, entry_name,
};
use super::options::{SequenceOptions, SequenceProfile};
use super::outbox::Expected;
use super::state::{Standing, StateStore};
use super::tables::Tables;
use crate::changes::{CHANGES, Watermark, host_of_object, parse_change_object, watermark_object};
use crate::error::{Error, Result};
use crate::merge::TieBreak;
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::output::manifest::{FORMAT_VERSION, Manifest, read_json, tool, write_json};
use crate::output::names::{AGENTS, COMPLETE, RUN, SCHEMA};
use crate::output::run::{RunInfo, fingerprint};
use crate::output::state::{HandOff, HandOffProof, Phase, Status};
use crate::output::{Profile, RecordOptions};
use crate::progress::{
    Events, SequencedTable as TableStanding, SequencerStanding, Ticker, UnixMillis, clock, vitals,
};
use crate::schema::parse_schema;
use crate::store::{Claim, PutOutcome, Store, host_name, open};

/// Between two looks at the flag that stops.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of records in a batch: a part of the memory, but no more than this.
const MAX_BATCH_BYTES: u64 = 32 << 20;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceOutcome {
    /// The extract is not sealed, and `--release` was not given: nothing was written.
    pub held_back: bool,
    /// Change files written by this process.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Batches done, of all processes.
    pub batches: u64,
    /// Rows written, of all processes.
    pub rows: u64,
    /// What the user should know of tables.
    pub tables: Vec<SequencedTable>,
}

/// What became of one table's changes, of all processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencedTable {
    /// `keyspace.table`.
    pub name: String,
    /// Rows written.
    pub rows: u64,
    /// Why nothing of it is written any more.
    pub stopped: Option<String>,
    /// It is in no definition that the profile has.
    pub unknown: bool,
    /// Records not used, as it is stopped or unknown.
    pub held: u64,
    /// Rows that the profile cannot carry.
    pub refused: u64,
}

impl SequenceOutcome {
    /// True if every change is in the files.
    pub fn is_whole(&self) -> bool {
        !self.held_back
            && self
                .tables
                .iter()
                .all(|table| table.stopped.is_none() && table.held == 0 && table.refused == 0)
    }
}

/// Runs `sequence`. `cancel` is set to a signal's number to end it after the batch at hand.
pub fn run(
    options: &SequenceOptions,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<SequenceOutcome> {
    if !options.output.may_exist() {
        return Err(Error::Missing {
            what: format!("{} is not a directory", options.output),
            hint: Some("give the --output that tail writes to".to_owned()),
        });
    }
    let _duty = vitals::on_duty(vitals::Role::Sequence);
    let store: Arc<dyn Store> = open(&options.output, &options.s3)?;
    if !wait_for_release(options, &*store, events, cancel)? {
        return Ok(SequenceOutcome { held_back: true, ..SequenceOutcome::default() });
    }
    let claim = Claim::take(&store, CLAIM, "the sequencer", options.heartbeat, cancel, events)?;
    let beating = Beating::default();
    let done = std::thread::scope(|scope| {
        let (claim, beating) = (&claim, &beating);
        if let Some(claim) = claim {
            scope.spawn(move || beating.beat(claim, options.heartbeat));
        }
        let done = Running { options, store: &store, events, cancel, beating }.run();
        beating.ticker.stop();
        done
    });
    if let Some(claim) = claim
        && let Err(error) = claim.release()
    {
        tracing::warn!(%error, "the claim of the sequencer could not be given up");
    }
    done
}

/// What of `complete.json` is of interest here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sealed {
    #[serde(default)]
    hand_off: Vec<HandOff>,
}

/// The beat of the claim, in a thread of its own: a batch may take longer than a beat.
#[derive(Default)]
struct Beating {
    ticker: Ticker,
    failed: Mutex<Option<Error>>,
}

impl Beating {
    fn beat(&self, claim: &Claim, interval: Duration) {
        while self.ticker.wait(interval) {
            if let Err(error) = claim.beat() {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                return;
            }
        }
    }

    /// An error if the claim is another process's.
    fn check(&self) -> Result<()> {
        match self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Waits until the extract is sealed; false if that is not to be waited for, or a signal came.
fn wait_for_release(
    options: &SequenceOptions,
    store: &dyn Store,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<bool> {
    if options.release {
        return Ok(true);
    }
    let mut said = false;
    loop {
        if store.head(COMPLETE)?.is_some() {
            return Ok(true);
        }
        if options.once {
            return Ok(false);
        }
        if !said {
            events.warning(&format!(
                "changes are held back until {} is there (from seal), as a load has to come before them",
                store.location(COMPLETE)
            ));
            said = true;
            events
                .sequencer(&SequencerStanding { held_back: true, ..SequencerStanding::default() });
            events.ready();
        }
        if !pause(options.flush_interval, cancel) {
            return Ok(false);
        }
    }
}

/// Waits; false if a signal came.
fn pause(how_long: Duration, cancel: &AtomicI32) -> bool {
    let start = Instant::now();
    loop {
        vitals::sign();
        if cancel.load(Ordering::Relaxed) != 0 {
            return false;
        }
        let left = how_long.saturating_sub(start.elapsed());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

fn tie_break_text(rule: TieBreak) -> &'static str {
    match rule {
        TieBreak::Until22 => "2.2",
        TieBreak::Until311 => "3.11",
        TieBreak::From40 => "4.0",
    }
}

struct Running<'a> {
    options: &'a SequenceOptions,
    store: &'a Arc<dyn Store>,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
    beating: &'a Beating,
}

/// The run and the schema of the extract, as text.
struct Extracted {
    run: Option<RunInfo>,
    schema: Option<Vec<u8>>,
}

impl Running<'_> {
    fn run(&self) -> Result<SequenceOutcome> {
        let started = Instant::now();
        let mut extracted = self.extracted()?;
        let settings = self.settings(&extracted)?;
        // What came after the sequencer had begun without it is not looked at: rows would look different from then on.
        if settings.run.is_none() {
            extracted = Extracted { run: None, schema: None };
        }
        let schema = match &extracted.schema {
            Some(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                Some(parse_schema(&text, None)?)
            }
            None => None,
        };
        let cache = usize::try_from(self.options.memory / 4).unwrap_or(usize::MAX);
        let state = StateStore::open(&self.options.state_dir, cache)?;
        let mut standing = state.standing()?;
        if standing.batches == 0 {
            standing.id = settings.id.clone();
        } else if standing.id != settings.id {
            return Err(Error::Refused {
                what: format!(
                    "the state in {} is of another output",
                    self.options.state_dir.display()
                ),
                hint: Some("one --state-dir for each output".to_owned()),
            });
        }
        let tables = Tables::new(
            settings.profile,
            settings.items()?,
            extracted.run.as_ref(),
            schema,
            state.tables()?,
        )?;
        let mut batcher = Batcher {
            store: self.store,
            settings: &settings,
            tie_break: TieBreak::of_release(&settings.tie_break).unwrap_or(TieBreak::From40),
            state: &state,
            tables,
            standing,
            // Records in memory take some times the bytes of their text.
            batch_bytes: MAX_BATCH_BYTES.min(self.options.memory / 64).max(1 << 16),
            events: self.events,
            warned: 0,
            bytes_written: 0,
            written: 0,
            begun: None,
        };
        let done = self.batches(&mut batcher, started);
        let error = done.as_ref().err().map(ToString::to_string);
        let phase = if error.is_some() { Phase::Failed } else { Phase::Complete };
        if let Err(error) = self.put_status(&batcher, started, phase, None, error) {
            tracing::warn!(%error, "the last status could not be written");
        }
        done.map(|()| outcome(&batcher))
    }

    fn batches(&self, batcher: &mut Batcher<'_>, started: Instant) -> Result<()> {
        self.catch_up(batcher)?;
        let mut done: BTreeSet<String> = BTreeSet::new();
        let mut hosts = self.objects(&done)?.hosts;
        self.tell_unproven(&hosts)?;
        let mut shown = None;
        self.events.ready();
        loop {
            // What was shipped by the time that the watermarks say is in the objects that are listed after them.
            let mut time = self.shipped_until(&hosts)?;
            let objects = self.objects(&done)?;
            if objects.hosts != hosts {
                let new = objects.hosts.difference(&hosts).copied().collect();
                self.tell_unproven(&new)?;
                (hosts, time) = (objects.hosts, None);
            }
            let mut pending = VecDeque::from(objects.pending.clone());
            self.tell_standing(batcher, pending.len(), None);
            while self.batch(batcher, &mut pending)? {
                vitals::sign();
                self.tell_standing(batcher, pending.len(), None);
                self.put_status(batcher, started, Phase::Sequencing, None, None)?;
            }
            if self.cancel.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
            done.extend(objects.pending);
            if shown != time
                && let Some(time) = time
            {
                self.store.put(WATERMARK, &SequencedUntil { time }.to_json())?;
                shown = Some(time);
            }
            self.tell_standing(batcher, 0, time);
            self.put_status(batcher, started, Phase::Sequencing, time, None)?;
            if self.options.once || !pause(self.options.flush_interval, self.cancel) {
                return Ok(());
            }
        }
    }

    /// Says of which hosts `seal` has not proven that nothing is missing between extract and stream.
    fn tell_unproven(&self, hosts: &BTreeSet<uuid::Uuid>) -> Result<()> {
        let Some(bytes) = self.store.get(COMPLETE)? else { return Ok(()) };
        let complete: Sealed = read_json(&self.store.location(COMPLETE), &bytes)?;
        let proven = |id: &uuid::Uuid| {
            let id = id.to_string();
            complete.hand_off.iter().any(|h| h.host_id == id && h.proof != HandOffProof::Unproven)
        };
        for host in hosts.iter().filter(|host| !proven(host)) {
            self.events.warning(&format!(
                "it is not proven that nothing is missing between the extract and the changes of host {host}: seal again, now that \
                 there are change streams, proves it or says what is missing"
            ));
        }
        Ok(())
    }

    /// Objects of change records that are not done, and all hosts that have a tail, also if it has shipped none.
    fn objects(&self, done: &BTreeSet<String>) -> Result<Objects> {
        let mut objects = Objects::default();
        for object in self.store.list(CHANGES)? {
            objects.hosts.extend(host_of_object(&object.name));
            if parse_change_object(&object.name).is_some() && !done.contains(&object.name) {
                objects.pending.push(object.name);
            }
        }
        Ok(objects)
    }

    /// What was written before this time (milliseconds) is shipped by all hosts; none if one does not say.
    fn shipped_until(&self, hosts: &BTreeSet<uuid::Uuid>) -> Result<Option<i64>> {
        let mut least = None;
        for host in hosts {
            let name = watermark_object(*host);
            let Some(bytes) = self.store.get(&name)? else { return Ok(None) };
            let time = Watermark::parse(&bytes, &self.store.location(&name))?.time;
            least = Some(least.map_or(time, |least: i64| least.min(time)));
        }
        Ok(least)
    }

    /// Does one batch; false if there is nothing to do, or a signal came.
    fn batch(&self, batcher: &mut Batcher<'_>, pending: &mut VecDeque<String>) -> Result<bool> {
        self.beating.check()?;
        if self.cancel.load(Ordering::Relaxed) != 0 {
            return Ok(false);
        }
        let now = self.options.now.map_or_else(|| clock::now().0, |now| now.saturating_mul(1000));
        // A clock that jumps back does not bring back what has expired.
        let clock = now.max(batcher.standing.clock);
        let work = batcher.gather(pending)?;
        if work.inputs.is_empty() && !batcher.has_due(clock)? {
            return Ok(false);
        }
        let entry = batcher.entry(clock, &work.inputs);
        let bytes = write_json(&entry)?;
        let name = entry_name(entry.batch);
        self.beating.check()?;
        if self.store.put_if_absent(&name, &bytes)? == PutOutcome::Exists
            && self.store.get(&name)?.as_ref() != Some(&bytes)
        {
            return Err(Error::Refused {
                what: format!(
                    "{} was written by another sequencer while this one was running",
                    self.store.location(&name)
                ),
                hint: Some("one sequencer per output: let that one go on".to_owned()),
            });
        }
        batcher.execute(&entry, &bytes, work, Expected::Make)?;
        Ok(true)
    }

    /// Does the batches that have an entry and that the state does not know.
    fn catch_up(&self, batcher: &mut Batcher<'_>) -> Result<()> {
        let entries: BTreeSet<u64> =
            self.store.list(FOLDER)?.iter().filter_map(|object| batch_of(&object.name)).collect();
        let last = entries.last().copied().unwrap_or(0);
        let done = batcher.standing.batches;
        if done > 0 {
            let name = entry_name(done);
            let known = match self.store.get(&name)? {
                Some(bytes) => fingerprint(&[&bytes]) == batcher.standing.entry,
                None => false,
            };
            if !known {
                return Err(Error::Refused {
                    what: format!(
                        "the state in {} has done batch {done}, and {} is not there or is another one",
                        self.options.state_dir.display(),
                        self.store.location(&name)
                    ),
                    hint: Some("the state is of another output, or the output was put back".into()),
                });
            }
        }
        if last > done + 1 {
            self.events.warning(&format!(
                "the state is behind: batches {} to {last} are read again from the change records",
                done + 1
            ));
        }
        for batch in done + 1..=last {
            if self.cancel.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
            self.beating.check()?;
            let name = entry_name(batch);
            let Some(bytes) = self.store.get(&name)? else {
                return Err(Error::Missing {
                    what: format!("{} is gone", self.store.location(&name)),
                    hint: Some("the state cannot be made again without it".to_owned()),
                });
            };
            let entry: BatchEntry = read_json(&self.store.location(&name), &bytes)?;
            if entry.batch != batch {
                return Err(Error::Refused {
                    what: format!("{} is of batch {}", self.store.location(&name), entry.batch),
                    hint: None,
                });
            }
            let expected = if batch == last { Expected::Make } else { Expected::Made };
            let work = batcher.gather_again(&entry)?;
            batcher.execute(&entry, &bytes, work, expected)?;
        }
        Ok(())
    }

    fn extracted(&self) -> Result<Extracted> {
        let run = self.store.get(RUN)?;
        let run = run.map(|bytes| read_json(&self.store.location(RUN), &bytes)).transpose()?;
        Ok(Extracted { run, schema: self.store.get(SCHEMA)? })
    }

    /// Makes `settings.json`, or adopts the one that is there.
    fn settings(&self, extracted: &Extracted) -> Result<SequenceSettings> {
        let existing: Option<SequenceSettings> = match self.store.get(SETTINGS)? {
            Some(bytes) => Some(read_json(&self.store.location(SETTINGS), &bytes)?),
            None => None,
        };
        let profile = match (self.options.profile, &existing, &extracted.run) {
            (Some(profile), ..) => profile,
            (None, Some(existing), _) => existing.profile,
            (None, None, Some(run)) => run.profile.parse()?,
            (None, None, None) => SequenceProfile::Dms,
        };
        let items = self.items(profile, extracted)?;
        if let Some(existing) = existing {
            return self.adopt(existing, profile, items, extracted);
        }
        if profile == SequenceProfile::Dms
            && (extracted.run.is_none() || extracted.schema.is_none())
        {
            return Err(Error::Missing {
                what: format!(
                    "{} or {} is not there: profile dms needs the columns of the extract",
                    self.store.location(RUN),
                    self.store.location(SCHEMA)
                ),
                hint: Some("extract with --profile dms first, or sequence as jsonl".to_owned()),
            });
        }
        let rule = match self.options.tie_break {
            Some(rule) => rule,
            None => self.rule_of_release()?,
        };
        let settings = SequenceSettings {
            format_version: FORMAT_VERSION,
            tool: tool(),
            profile,
            ddb_shape: items.map(|(shape, _)| shape.as_str().to_owned()),
            ddb_keys: items.map(|(_, keys)| keys.as_str().to_owned()),
            cdc_path: self.options.cdc_path.clone(),
            flush_size: self.options.flush_size,
            tie_break: tie_break_text(rule).to_owned(),
            run: extracted.run.as_ref().map(|run| run.fingerprint.clone()),
            schema: extracted.schema.as_ref().map(|schema| fingerprint(&[schema])),
            id: uuid::Uuid::new_v4().to_string(),
        };
        match self.store.put_if_absent(SETTINGS, &write_json(&settings)?)? {
            PutOutcome::Created(_) => Ok(settings),
            PutOutcome::Exists => {
                let bytes = self.store.get(SETTINGS)?.unwrap_or_default();
                let existing = read_json(&self.store.location(SETTINGS), &bytes)?;
                self.adopt(existing, profile, items, extracted)
            }
        }
    }

    /// Shape and keys of items: those asked for, or those of the extract's; where that was written for DMS, what DMS makes of it. None
    /// for other profiles.
    fn items(
        &self,
        profile: SequenceProfile,
        extracted: &Extracted,
    ) -> Result<Option<(DdbShape, DdbKeys)>> {
        let (shape, keys) = (self.options.ddb_shape, self.options.ddb_keys);
        if profile != SequenceProfile::DdbJson {
            return match (shape, keys) {
                (None, None) => Ok(None),
                _ => Err(Error::Usage {
                    what: "--ddb-shape and --ddb-keys are of profile ddb-json".to_owned(),
                    hint: Some("--profile ddb-json".to_owned()),
                }),
            };
        }
        let Some(run) = &extracted.run else {
            return Ok(Some((shape.unwrap_or_default(), keys.unwrap_or_default())));
        };
        let of_run = RecordOptions::of_run(run, profile.of_records())?;
        if run.profile == Profile::DdbJson.as_str() {
            let wanted = (shape.unwrap_or(of_run.ddb_shape), keys.unwrap_or(of_run.ddb_keys));
            if wanted != (of_run.ddb_shape, of_run.ddb_keys) {
                return Err(Error::Usage {
                    what: format!(
                        "the items of the extract have shape {} and keys {}: changes of another would not meet them",
                        of_run.ddb_shape.as_str(),
                        of_run.ddb_keys.as_str()
                    ),
                    hint: Some("leave --ddb-shape and --ddb-keys out".to_owned()),
                });
            }
            return Ok(Some(wanted));
        }
        let default = match run.profile == Profile::Dms.as_str() {
            true => DdbShape::Dms,
            false => DdbShape::default(),
        };
        Ok(Some((shape.unwrap_or(default), keys.unwrap_or_default())))
    }

    fn adopt(
        &self,
        existing: SequenceSettings,
        profile: SequenceProfile,
        items: Option<(DdbShape, DdbKeys)>,
        extracted: &Extracted,
    ) -> Result<SequenceSettings> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, there: &str, here: &str| {
            if there != here {
                differences.push(format!("{what} is {there} there and {here} here"));
            }
        };
        compare("the profile", existing.profile.as_str(), profile.as_str());
        if let Some((shape, keys)) = items {
            let there = |text: &Option<String>| text.clone().unwrap_or_default();
            compare("--ddb-shape", &there(&existing.ddb_shape), shape.as_str());
            compare("--ddb-keys", &there(&existing.ddb_keys), keys.as_str());
        }
        compare("--cdc-path", &existing.cdc_path, &self.options.cdc_path);
        if let Some(rule) = self.options.tie_break {
            compare("the rule for ties", &existing.tie_break, tie_break_text(rule));
        }
        if let (Some(there), Some(run)) = (&existing.run, &extracted.run) {
            compare("the extract's run", there, &run.fingerprint);
        }
        if let (Some(there), Some(schema)) = (&existing.schema, &extracted.schema) {
            compare("the extract's schema", there, &fingerprint(&[schema]));
        }
        if existing.run.is_some() && extracted.run.is_none() {
            differences.push("run.json is gone".to_owned());
        }
        if existing.schema.is_some() && extracted.schema.is_none() {
            differences.push("schema.cql is gone".to_owned());
        }
        if differences.is_empty() {
            return Ok(existing);
        }
        Err(Error::Refused {
            what: format!(
                "{} was made by another sequencer: {}",
                self.store.location(SETTINGS),
                differences.join("; ")
            ),
            hint: Some("give the same options, or another --output".to_owned()),
        })
    }

    /// By the release that a manifest of the extract names.
    fn rule_of_release(&self) -> Result<TieBreak> {
        for object in self.store.list(AGENTS)? {
            if !object.name.ends_with("/manifest.json") {
                continue;
            }
            let Some(bytes) = self.store.get(&object.name)? else { continue };
            let manifest: Manifest = read_json(&self.store.location(&object.name), &bytes)?;
            let release = manifest.release_version.as_deref();
            if let Some(rule) = release.and_then(TieBreak::of_release) {
                return Ok(rule);
            }
        }
        Ok(TieBreak::From40)
    }

    /// Says where it stands, to whoever looks on.
    fn tell_standing(&self, batcher: &Batcher<'_>, pending: usize, time: Option<i64>) {
        let tables = batcher.tables.iter().map(|(name, entry)| {
            let (keyspace, table) = name.split_once('.').unwrap_or(("", name));
            TableStanding {
                keyspace: keyspace.to_owned(),
                table: table.to_owned(),
                rows: entry.kept.rows,
                held: entry.kept.held,
                refused: entry.kept.refused,
                stopped: entry.kept.stopped.clone(),
            }
        });
        self.events.sequencer(&SequencerStanding {
            held_back: false,
            batches: batcher.standing.batches,
            rows: batcher.standing.rows,
            files: batcher.written,
            bytes_written: batcher.bytes_written,
            objects_pending: pending as u64,
            written_until_millis: time,
            lag_seconds: None,
            tables: tables.collect(),
        });
    }

    fn put_status(
        &self,
        batcher: &Batcher<'_>,
        started: Instant,
        phase: Phase,
        time: Option<i64>,
        last_error: Option<String>,
    ) -> Result<()> {
        let now = clock::now();
        let lag = time.map(|time| now.seconds_since(UnixMillis(time)).max(0.0));
        let stopped = batcher.tables.iter().filter(|(_, e)| e.kept.stopped.is_some()).count();
        let status = Status {
            host: host_name(),
            updated: now.to_string(),
            elapsed_seconds: started.elapsed().as_secs(),
            percent: 100.0,
            tables_loading: batcher.tables.iter().count().saturating_sub(stopped) as u64,
            tables_errored: stopped as u64,
            rows: batcher.standing.rows,
            bytes_written: batcher.bytes_written,
            lag_seconds: lag,
            last_error,
            ..Status::new(0, phase)
        };
        self.store.put(STATUS, &write_json(&status)?).map(drop)
    }
}

#[derive(Default)]
struct Objects {
    hosts: BTreeSet<uuid::Uuid>,
    pending: Vec<String>,
}

fn outcome(batcher: &Batcher<'_>) -> SequenceOutcome {
    let Standing { batches, rows, .. } = batcher.standing;
    SequenceOutcome {
        held_back: false,
        files: batcher.written,
        bytes: batcher.bytes_written,
        batches,
        rows,
        tables: batcher
            .tables
            .iter()
            .map(|(name, entry)| SequencedTable {
                name: name.to_owned(),
                rows: entry.kept.rows,
                stopped: entry.kept.stopped.clone(),
                unknown: entry.table.is_none(),
                held: entry.kept.held,
                refused: entry.kept.refused,
            })
            .collect(),
    }
}
