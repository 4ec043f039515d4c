//! All SSTables of the selected tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rayon::prelude::*;

use crate::discover::{InputOptions, LiveSstable, SchemaOption, SelectedTable, Source};
use crate::error::{Error, Result};
use crate::progress::Events;
use crate::schema::TableMetadata;
use crate::sstable::stats::Statistics;
use crate::sstable::{Component, LargeRows, SstableReader, WorkerRows};

use super::checks::{CheckKind, SstableChecks};
use super::content::Content;
use super::{files, index};

/// Bytes of the largest rows that are held, over all threads. Cassandra takes no value of more than 256 MiB.
const LARGE_ROWS: usize = 1 << 30;

/// What to verify.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// What to read.
    pub input: InputOptions,
    /// Threads, each of which does one SSTable at a time; at least 1.
    pub threads: usize,
    /// The clock: decides nothing but which rows of system tables have expired.
    pub now: i64,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct SourceReport {
    /// Each SSTable that was looked at, by table.
    pub sstables: Vec<SstableChecks>,
    /// SSTables of formats that are not read, and why.
    pub unsupported: Vec<(PathBuf, String)>,
}

impl SourceReport {
    /// True if anything is wrong.
    pub fn has_findings(&self) -> bool {
        self.sstables.iter().any(SstableChecks::has_findings)
    }

    /// True if anything could not be read.
    pub fn is_unreadable(&self) -> bool {
        !self.unsupported.is_empty() || self.sstables.iter().any(SstableChecks::is_unreadable)
    }
}

/// Makes all checks of all SSTables of the selected tables. `cancel` is set to a signal's number to stop.
pub fn verify_source(
    options: &SourceOptions,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<SourceReport> {
    let source = Source::open(&options.input, options.now)?;
    source.warnings().iter().for_each(|words| events.warning(words));
    let selection = source.select(&options.input)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|error| Error::Bug(format!("cannot start threads: {error}")))?;
    let large = Arc::new(LargeRows::new(LARGE_ROWS));
    let mut report = SourceReport::default();
    let mut jobs = Vec::new();
    for table in &selection.tables {
        report.unsupported.extend(table.unsupported.iter().cloned());
        let name = table.metadata.qualified_name();
        if !table.sstables.is_empty() {
            events.table_planned(&name, table.sstables.len() as u64, planned(table));
            events.split_started(&name, 0);
        }
        let job = |sstable| Job { options, table: &table.metadata, sstable, events, cancel };
        jobs.extend(table.sstables.iter().map(job));
    }
    let one = |job: &Job<'_>| job.run(Arc::new(WorkerRows::new(Arc::clone(&large))));
    let checked: Result<Vec<SstableChecks>> = pool.install(|| jobs.par_iter().map(one).collect());
    report.sstables = checked?;
    for table in selection.tables.iter().filter(|table| !table.sstables.is_empty()) {
        events.table_finished(&table.metadata.qualified_name());
    }
    Ok(report)
}

/// Data.db is read twice: as it is on disk, and as rows.
fn planned(table: &SelectedTable) -> u64 {
    table.sstables.iter().map(|sstable| 2 * sstable.data_len).sum()
}

struct Job<'a> {
    options: &'a SourceOptions,
    table: &'a TableMetadata,
    sstable: &'a LiveSstable,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
}

impl Job<'_> {
    fn run(&self, rows: Arc<WorkerRows>) -> Result<SstableChecks> {
        let descriptor = &self.sstable.descriptor;
        let mode = self.options.input.read_mode;
        let name = self.table.qualified_name();
        let mut report = SstableChecks::new(&name, descriptor.path(Component::Data));
        let mut progress = |bytes: u64| {
            self.events.bytes_read(&name, bytes);
            match self.cancel.load(Ordering::Relaxed) {
                0 => Ok(()),
                signal => Err(Error::Stopped(signal)),
            }
        };
        files::check(descriptor, mode, &mut report, &mut progress)?;
        let path = descriptor.path(Component::Statistics);
        let statistics = match Statistics::read(&path, descriptor.version) {
            Ok(statistics) => statistics,
            Err(error) => {
                report.add_error(CheckKind::Statistics, error)?;
                for kind in CheckKind::ALL {
                    if !matches!(
                        kind,
                        CheckKind::Digest | CheckKind::Chunks | CheckKind::Statistics
                    ) {
                        report.not_possible(kind, "it needs Statistics.db");
                    }
                }
                return Ok(report);
            }
        };
        let indexed = index::check(descriptor, &statistics, mode, &mut report, &mut progress)?;
        let reader = match SstableReader::open_data(descriptor, self.table, mode) {
            Ok(reader) => Arc::new(reader),
            Err(error) => {
                report.add_error(CheckKind::Rows, error)?;
                for kind in CheckKind::OF_WALK {
                    report.not_possible(kind, "Data.db cannot be opened");
                }
                return Ok(report);
            }
        };
        let foreign = self.sstable.components.iter().any(|c| c.name() == "Scylla.db");
        let content = Content {
            table: self.table,
            reader: &reader,
            indexed: &indexed,
            foreign,
            guessed: self.options.input.schema == SchemaOption::Header,
        };
        content.check(rows, &mut report, &mut progress)?;
        Ok(report)
    }
}
