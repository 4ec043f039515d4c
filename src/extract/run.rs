//! A run of `extract`, from options to a sealed output.

use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dht::{Token, TokenRange};
use crate::discover::Source;
use crate::error::{Error, ErrorClass, Result};
use crate::output::manifest::{Manifest, TableCounters};
use crate::output::{Compression, REFUSED, RecordWriter};
use crate::progress::{Books, Events, Report, TableReport, Ticker, vitals};
use crate::sstable::{LargeRows, ReadRate, WorkerRows};
use crate::store::{Location, Store, open};

use super::budget::{MemoryBudget, OutputMemory};
use super::damage::{add_range, lost_range};
use super::heartbeat::Tally;
use super::options::{ExtractOptions, OnCorrupt, OutputTarget};
use super::overlay;
use super::plan::{Plan, Purpose, TablePlan, prepare};
use super::publish::{Opened, Publication, clock_of_output};
use super::results::{TableResult, outcome};
use super::sink::{Destination, StdoutState};
use super::worker::Worker;

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The books, and what was skipped.
    pub report: Report,
    /// Where the output is, for the last words; none for standard output.
    pub location: Option<String>,
    /// What was written; none for standard output.
    pub manifest: Option<Box<Manifest>>,
    /// The same command had already finished: nothing was done.
    pub already_complete: bool,
}

/// Runs `extract`. `cancel` is set to a signal's number to stop it between rows.
pub fn run(
    options: &ExtractOptions,
    events: &dyn Events,
    cancel: &Arc<AtomicI32>,
) -> Result<Outcome> {
    let _duty = vitals::on_duty(vitals::Role::Extract);
    let tally = Tally::new(events);
    let events: &dyn Events = &tally;
    let mut options = options.clone();
    // Opening a directory makes it, which an input that cannot be read is no reason for.
    let mut store = match &options.output {
        OutputTarget::Store(location) if location.may_exist() => {
            Some(open_to_stop(location, &options, cancel)?)
        }
        OutputTarget::Store(_) | OutputTarget::Stdout | OutputTarget::Discard => None,
    };
    if let (Some(store), false, false) = (&store, options.now_given, options.overwrite)
        && let Some(clock) = clock_of_output(&**store)?
    {
        options.now = clock;
    }
    let options = &options;
    let source = Source::open(&options.input, options.now)?;
    for warning in source.warnings() {
        events.warning(warning);
    }
    let plan = prepare(&source, options, Purpose::Extract, events, cancel)?;
    let budget = plan.memory_budget(options, output_memory(options))?;
    let publication = match &options.output {
        OutputTarget::Store(location) => {
            let store = match store.take() {
                Some(store) => store,
                None => open_to_stop(location, options, cancel)?,
            };
            if let Some(words) =
                too_small_a_disk(location, plan.tables.iter().map(TablePlan::bytes).sum())
            {
                events.warning(&words);
            }
            match Publication::open(store, location, options, &source, &plan, cancel, events)? {
                Opened::Ready(publication) => Some(publication),
                Opened::AlreadyComplete(report, manifest) => {
                    return Ok(Outcome {
                        report: *report,
                        location: Some(location.to_string()),
                        manifest: Some(manifest),
                        already_complete: true,
                    });
                }
            }
        }
        OutputTarget::Stdout | OutputTarget::Discard => None,
    };
    let destination = match (&options.output, &publication) {
        (_, Some(publication)) => publication.destination(),
        (OutputTarget::Stdout, None) => {
            if let [_] = plan.tables.as_slice() {
                Destination::Stdout(Mutex::new(StdoutState::default()))
            } else {
                return Err(Error::Usage {
                    what: format!(
                        "standard output takes one table, {} are selected",
                        plan.tables.len()
                    ),
                    hint: Some("name one with -t, or give a directory to --output".into()),
                });
            }
        }
        (OutputTarget::Store(_) | OutputTarget::Discard, None) => Destination::Discard,
    };
    events.ready();
    let results: Vec<Mutex<TableResult>> = plan.tables.iter().map(|_| Mutex::default()).collect();
    let run = Running {
        options,
        events,
        cancel,
        plan: &plan,
        destination: &destination,
        results: &results,
        publication: publication.as_deref(),
        failed: Mutex::new(None),
        stop: AtomicI32::new(0),
    };
    let Some(publication) = &publication else {
        run.all_splits(budget)?;
        let report = run.report(&source, &taken(&results))?;
        return Ok(Outcome { report, location: None, manifest: None, already_complete: false });
    };
    let ticker = Ticker::default();
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            while ticker.wait(options.heartbeat) {
                if let Err(error) = publication.beat(&tally) {
                    run.fail(error);
                }
            }
        });
        let done = run.publish(publication, &source, budget);
        ticker.stop();
        done
    });
    publication.leave(&tally, done.as_ref().err());
    let (report, manifest) = done?;
    let location = Some(publication.location());
    Ok(Outcome { report, location, manifest: Some(Box::new(manifest)), already_complete: false })
}

fn open_to_stop(
    location: &Location,
    options: &ExtractOptions,
    cancel: &Arc<AtomicI32>,
) -> Result<Arc<dyn Store>> {
    let store = open(location, &options.s3)?;
    store.stop_on(cancel);
    Ok(store)
}

/// Warns where a disk will hardly take the text of `bytes` of uncompressed data. How long the text is depends on the values
/// (1.5 times as much is usual for CSV), and a run that goes on has written a part of it: so this is a warning.
fn too_small_a_disk(location: &Location, bytes: u64) -> Option<String> {
    let Location::Directory(directory) = location else { return None };
    let disk = rustix::fs::statvfs(directory).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    (free < bytes).then(|| {
        format!(
            "{} has {} MB free, and there are {} MB of uncompressed data to write as text: it may not suffice",
            directory.display(),
            free / 1_000_000,
            bytes / 1_000_000
        )
    })
}

pub(super) fn output_memory(options: &ExtractOptions) -> OutputMemory {
    let mut memory = match &options.output {
        OutputTarget::Store(Location::S3(_)) => OutputMemory {
            fixed: options.s3.transfer.fixed(),
            per_worker: options.s3.transfer.per_worker(),
        },
        OutputTarget::Store(Location::Directory(_))
        | OutputTarget::Stdout
        | OutputTarget::Discard => OutputMemory::default(),
    };
    memory.per_worker += options.records.profile.memory_per_worker();
    if options.records.compression != Compression::None {
        memory.per_worker += Compression::MEMORY;
    }
    if options.deletes {
        // A second file at a time: its parts, its compressor, its buffer.
        memory.per_worker += match &options.output {
            OutputTarget::Store(Location::S3(_)) => options.s3.transfer.per_worker(),
            OutputTarget::Store(Location::Directory(_))
            | OutputTarget::Stdout
            | OutputTarget::Discard => 0,
        };
        if options.records.compression != Compression::None {
            memory.per_worker += Compression::MEMORY;
        }
        memory.per_worker += super::deletes::MEMORY;
    }
    memory
}

/// Takes the results out, when all workers are done.
fn taken(results: &[Mutex<TableResult>]) -> Vec<TableResult> {
    results
        .iter()
        .map(|result| std::mem::take(&mut *result.lock().unwrap_or_else(PoisonError::into_inner)))
        .collect()
}

struct Running<'a> {
    options: &'a ExtractOptions,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
    plan: &'a Plan,
    destination: &'a Destination,
    results: &'a [Mutex<TableResult>],
    publication: Option<&'a Publication>,
    failed: Mutex<Option<Error>>,
    /// Copy of `cancel` for the workers, or -1 after a failure.
    stop: AtomicI32,
}

impl Running<'_> {
    /// Does what is left to do, and completes the output.
    fn publish(
        &self,
        publication: &Publication,
        source: &Source,
        budget: MemoryBudget,
    ) -> Result<(Report, Manifest)> {
        publication.resume(self.results, self.events, self.plan)?;
        self.all_splits(budget)?;
        let results = taken(self.results);
        let report = self.report(source, &results)?;
        let manifest = publication.complete(
            self.options,
            source,
            self.plan,
            &results,
            &report,
            self.events,
        )?;
        Ok((report, manifest))
    }

    /// Checks that the splits join, and adds up their books.
    fn report(&self, source: &Source, results: &[TableResult]) -> Result<Report> {
        for (table, result) in self.plan.tables.iter().zip(results) {
            check_joints(table, result)?;
        }
        Ok(make_report(source, self.plan, results, self.options))
    }

    /// Does all splits: workers take the next one from a counter.
    fn all_splits(&self, budget: MemoryBudget) -> Result<()> {
        let work: Vec<(usize, usize)> = self
            .plan
            .tables
            .iter()
            .enumerate()
            .flat_map(|(t, table)| (0..table.splits.len()).map(move |s| (t, s)))
            .filter(|&(t, s)| !self.is_done(t, s))
            .collect();
        let next = AtomicUsize::new(0);
        let large = Arc::new(LargeRows::new(budget.large_rows));
        let rate = self.options.read_rate.map(|rate| Arc::new(ReadRate::new(rate)));
        // In order and one at a time where the order of writing is the order of output.
        let workers = match self.destination {
            Destination::Stdout(_) => 1,
            Destination::Store { .. } | Destination::Discard => {
                budget.workers.min(work.len()).max(1)
            }
        };
        let role = vitals::role();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .start_handler(move |_| vitals::join(role))
            .thread_name(|i| format!("worker-{i}"))
            .build()
            .map_err(|e| Error::Bug(format!("cannot start workers: {e}")))?;
        pool.scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|_| {
                    let rows = WorkerRows::new(Arc::clone(&large)).at_rate(rate.clone());
                    let rows = Arc::new(rows);
                    while let Some(&(table, split)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if self.stop.load(Ordering::Relaxed) != 0
                            || self.cancel.load(Ordering::Relaxed) != 0
                        {
                            return;
                        }
                        if let Err(error) = self.guarded(table, split, &rows, budget.small_windows)
                        {
                            self.fail(error);
                            return;
                        }
                    }
                });
            }
        });
        if let Some(error) = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        match self.cancel.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Stopped(signal)),
        }
    }

    fn is_done(&self, table: usize, split: usize) -> bool {
        let number =
            self.plan.tables.get(table).and_then(|t| t.splits.get(split)).map(|s| s.number);
        let Some((number, result)) = number.zip(self.results.get(table)) else { return false };
        result.lock().unwrap_or_else(PoisonError::into_inner).splits.contains_key(&number)
    }

    fn fail(&self, error: Error) {
        self.stop.store(-1, Ordering::Relaxed);
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        // What the first failure stopped is not worth a word.
        if failed.is_none() && error.class() != ErrorClass::Stopped(-1) {
            *failed = Some(error);
        }
    }

    /// A panic in a worker is a bug of ours and is reported as one, with the other workers stopped in order.
    fn guarded(
        &self,
        table: usize,
        split: usize,
        rows: &Arc<WorkerRows>,
        small: bool,
    ) -> Result<()> {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.one_split(table, split, rows, small)
        }));
        caught.unwrap_or_else(|panic| {
            let words = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(Error::Bug(format!("a worker panicked: {words}")))
        })
    }

    fn one_split(
        &self,
        table: usize,
        split: usize,
        rows: &Arc<WorkerRows>,
        small: bool,
    ) -> Result<()> {
        let Some(plan) = self.plan.tables.get(table) else { return Ok(()) };
        let Some(split) = plan.splits.get(split) else { return Ok(()) };
        let worker = Worker {
            destination: self.destination,
            events: self.events,
            cancel: if self.stop.load(Ordering::Relaxed) == 0 { self.cancel } else { &self.stop },
            rows: Arc::clone(rows),
            small_windows: small,
        };
        self.events.split_started(&plan.job.name, u64::from(split.number));
        let mut lost = plan.lost();
        lost.retain(|range| range.start < split.range.end && range.end > split.range.start);
        let mut quarantine = Vec::new();
        let mut failed_chunks = 0;
        let (mut done, stats) = loop {
            let mut writer = RecordWriter::new(Arc::clone(&plan.job.format));
            match worker.run(&plan.job, split.range, split.number, &lost, &mut writer) {
                Ok(done) => break (done, writer.stats().clone()),
                Err((error, states)) => {
                    if self.options.on_corrupt == OnCorrupt::Fail {
                        return Err(error);
                    }
                    let Some((range, entry)) = lost_range(&plan.job, &error, &states, split.range)
                    else {
                        return Err(error);
                    };
                    failed_chunks += 1;
                    self.events.quarantined(&entry);
                    quarantine.push(entry);
                    add_range(&mut lost, range);
                }
            }
        };
        done.books.chunks_failed += failed_chunks;
        quarantine.append(&mut done.quarantine);
        done.quarantine = quarantine;
        let outcome = outcome(split.range, done, stats, !lost.is_empty());
        if let Some(publication) = self.publication {
            publication.split_finished(&plan.job, split.number, &outcome)?;
        }
        if let Some(result) = self.results.get(table) {
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            result.splits.insert(split.number, outcome);
        }
        self.events.split_finished(&plan.job.name, u64::from(split.number));
        Ok(())
    }
}

/// Proves that the splits of each SSTable join: each begins where the one before it ended, the first at the start of the
/// data and the last at its end. A damaged index could otherwise hide partitions. Where tokens between two splits are not
/// this agent's, there is nothing to join.
fn check_joints(table: &TablePlan, result: &TableResult) -> Result<()> {
    if result.splits.values().any(|split| split.damaged || split.extents.is_empty()) {
        return Ok(());
    }
    let ranges = table.splits.iter().map(|split| split.range);
    for (i, reader) in table.job.readers.iter().enumerate() {
        let mut before = (Token::MIN, 0);
        let extents = result.splits.values().filter_map(|split| split.extents.get(i).copied());
        let end = TokenRange { start: Token::MAX, end: Token::MAX };
        let last = (end, (reader.chunks().data_len(), 0));
        for (range, extent) in ranges.clone().zip(extents).chain([last]) {
            let (up_to, expected) = std::mem::replace(&mut before, (range.end, extent.1));
            if up_to == range.start && extent.0 != expected {
                let descriptor = reader.descriptor();
                let path = descriptor.path(descriptor.format.index_component());
                let words =
                    format!("it leads past the data from offset {expected} to {}", extent.0);
                return Err(crate::error::DecodeError::invalid(words, expected)
                    .in_file(&path)
                    .map_damage(|d| {
                        d.table = Some(table.job.name.clone());
                        d.hint = Some(descriptor.format.index_hint().into());
                    }));
            }
        }
    }
    Ok(())
}

fn make_report(
    source: &Source,
    plan: &Plan,
    results: &[TableResult],
    options: &ExtractOptions,
) -> Report {
    let mut tables = Vec::new();
    let mut quarantine = Vec::new();
    for (table, result) in plan.tables.iter().zip(results) {
        quarantine.extend(table.left_out.iter().map(|sstable| sstable.quarantine.clone()));
        let mut books = Books::default();
        for split in result.splits.values() {
            books.merge(&split.books);
            quarantine.extend(split.quarantine.iter().cloned());
        }
        books.unrepaired_bytes = table.unrepaired_bytes();
        let mut counters = TableCounters::default();
        result.splits.values().for_each(|split| counters.merge(&split.counters));
        counters.more.retain(|name, _| name.starts_with(REFUSED));
        tables.push(TableReport {
            keyspace: table.job.table.keyspace.clone(),
            table: table.job.table.name.clone(),
            books,
            refused: counters.more,
        });
    }
    let flushed = plan.tables.iter().map(|table| {
        source.flushed_to(table.job.readers.iter().map(|reader| &reader.statistics().stats))
    });
    let logs = || plan.overlays.iter().flat_map(|logs| &logs.nodes).map(|node| &node.overlay);
    let overlaid = logs().flat_map(|log| &log.segments).map(|segment| segment.id);
    let mut not_read = source.not_read(&plan.selection, flushed, &overlaid.collect());
    for log in logs() {
        not_read.unknown_table_ids += log.unknown.tables.len() as u64;
        quarantine.extend(overlay::quarantine(log));
    }
    let mut report = Report::new(0, tables, not_read);
    report.commit_logs = overlay::reports(plan.overlays.as_ref());
    report.quarantine = quarantine;
    report.warnings = source.warnings().iter().chain(&plan.warnings).cloned().collect();
    if options.records.expires_column.is_none() {
        for (table, result) in plan.tables.iter().zip(results) {
            let expiring: u64 =
                result.splits.values().filter_map(|s| s.counters.more.get("rowsExpiring")).sum();
            if expiring > 0 {
                report.warnings.push(format!(
                    "{}: {expiring} rows expire; without --expires-column the target will keep them for ever",
                    table.job.name
                ));
            }
        }
    }
    report
}
