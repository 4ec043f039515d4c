//! A finished run once more, without writing: what each range of tokens gives now.

use std::fs::File;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dht::TokenRange;
use crate::discover::Source;
use crate::error::{Error, Result};
use crate::output::manifest::RecordDigest;
use crate::output::{OutputColumn, RecordWriter};
use crate::progress::Events;
use crate::sstable::{LargeRows, WorkerRows};
use crate::store::{
    Checksum, ListedObject, ObjectMeta, ObjectReader, ObjectVersion, ObjectWriter, PutOutcome,
    ReplaceOutcome, Store, VersionedObject,
};

use super::budget::OutputMemory;
use super::damage::{add_range, lost_range};
use super::options::{ExtractOptions, OnCorrupt};
use super::plan::{Plan, Purpose, TablePlan, prepare};
use super::sink::Destination;
use super::worker::Worker;

/// Rows and digest of one file that a range of tokens gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RangeSum {
    /// Records of rows.
    pub rows: u64,
    /// Records of deletions.
    pub deletions: u64,
    /// Sum of the digests of both.
    pub digest: RecordDigest,
}

impl RangeSum {
    /// That of one file.
    pub fn of_file(name_is_of_deletes: bool, records: u64, digest: RecordDigest) -> Self {
        let (rows, deletions) = if name_is_of_deletes { (0, records) } else { (records, 0) };
        Self { rows, deletions, digest }
    }

    /// Adds another file.
    pub fn merge(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.deletions = self.deletions.saturating_add(other.deletions);
        self.digest.merge(other.digest);
    }
}

/// Who takes the bytes of a file: its name, and a piece of it; an error stops the work.
pub type Tap = dyn FnMut(&str, &[u8]) -> Result<()> + Send;

/// A source opened to be extracted in memory.
pub struct Replay {
    plan: Plan,
    workers: usize,
    small_windows: bool,
    large: Arc<LargeRows>,
    on_corrupt: OnCorrupt,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("tables", &self.plan.tables.len()).finish_non_exhaustive()
    }
}

impl Replay {
    /// Opens the tables of `source` that `options` select; where the options would write is not looked at.
    pub fn open(source: &Source, options: &ExtractOptions, events: &dyn Events) -> Result<Self> {
        let plan = prepare(source, options, Purpose::Extract, events, &AtomicI32::new(0))?;
        let budget = plan.memory_budget(options, OutputMemory::default())?;
        Ok(Self {
            plan,
            workers: budget.workers,
            small_windows: budget.small_windows,
            large: Arc::new(LargeRows::new(budget.large_rows)),
            on_corrupt: options.on_corrupt,
        })
    }

    /// Ranges that may be done at a time.
    pub fn workers(&self) -> usize {
        self.workers.max(1)
    }

    /// Names of the tables, `keyspace.table`, and the columns of their records.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &[OutputColumn])> {
        let tables = self.plan.tables.iter();
        tables.map(|table| (table.job.name.as_str(), table.job.format.columns()))
    }

    fn table(&self, name: &str) -> Result<&TablePlan> {
        self.plan
            .tables
            .iter()
            .find(|table| table.job.name == name)
            .ok_or_else(|| Error::Bug(format!("table {name} is not of this source")))
    }

    /// What `range` of a table gives, over all its files.
    pub fn sum(
        &self,
        table: &str,
        range: TokenRange,
        events: &dyn Events,
        cancel: &AtomicI32,
    ) -> Result<RangeSum> {
        self.run(table, range, &Destination::Discard, events, cancel)
    }

    /// Hands the bytes of the files that `range` of a table gives to `tap`, header lines among them.
    pub fn tap(
        &self,
        table: &str,
        range: TokenRange,
        tap: Box<Tap>,
        events: &dyn Events,
        cancel: &AtomicI32,
    ) -> Result<RangeSum> {
        let store = Arc::new(TapStore { tap: Arc::new(Mutex::new(tap)) });
        self.run(table, range, &Destination::Store { store, agent: 0 }, events, cancel)
    }

    fn run(
        &self,
        table: &str,
        range: TokenRange,
        destination: &Destination,
        events: &dyn Events,
        cancel: &AtomicI32,
    ) -> Result<RangeSum> {
        let plan = self.table(table)?;
        let worker = Worker {
            destination,
            events,
            cancel,
            rows: Arc::new(WorkerRows::new(Arc::clone(&self.large))),
            small_windows: self.small_windows,
        };
        let mut lost = plan.lost();
        lost.retain(|gap| gap.start < range.end && gap.end > range.start);
        loop {
            let mut writer = RecordWriter::new(Arc::clone(&plan.job.format));
            match worker.run(&plan.job, range, 1, &lost, &mut writer) {
                Ok(done) => {
                    let mut sum = RangeSum::default();
                    for file in done.files {
                        let digest = RecordDigest(file.digest);
                        sum.merge(RangeSum::of_file(false, file.records, digest));
                    }
                    if let Some(file) = done.deletes {
                        let digest = RecordDigest(file.digest);
                        sum.merge(RangeSum::of_file(true, file.records, digest));
                    }
                    return Ok(sum);
                }
                Err((error, states)) => {
                    // As the run itself went around damage.
                    let known = match self.on_corrupt {
                        OnCorrupt::Skip => lost_range(&plan.job, &error, &states, range),
                        OnCorrupt::Fail => None,
                    };
                    let Some((gap, _)) = known else { return Err(error) };
                    add_range(&mut lost, gap);
                }
            }
        }
    }
}

/// A store whose objects go to a [`Tap`]; it can be written to and nothing else.
struct TapStore {
    tap: Arc<Mutex<Box<Tap>>>,
}

struct TapWriter {
    name: String,
    tap: Arc<Mutex<Box<Tap>>>,
}

impl ObjectWriter for TapWriter {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let mut tap = self.tap.lock().unwrap_or_else(PoisonError::into_inner);
        tap(&self.name, bytes)
    }

    fn finish(self: Box<Self>) -> Result<ObjectMeta> {
        Ok(Checksum::of(&[]))
    }

    fn abort(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn not_here<T>() -> Result<T> {
    Err(Error::Bug("only rows are written while a source is verified".to_owned()))
}

impl Store for TapStore {
    fn location(&self, name: &str) -> String {
        name.to_owned()
    }

    fn put(&self, _: &str, _: &[u8]) -> Result<ObjectMeta> {
        not_here()
    }

    fn put_if_absent(&self, _: &str, _: &[u8]) -> Result<PutOutcome> {
        not_here()
    }

    fn put_file_if_absent(&self, _: &str, _: &mut File) -> Result<PutOutcome> {
        not_here()
    }

    fn put_if_unchanged(&self, _: &str, _: &[u8], _: &ObjectVersion) -> Result<ReplaceOutcome> {
        not_here()
    }

    fn get(&self, _: &str) -> Result<Option<Vec<u8>>> {
        not_here()
    }

    fn read(&self, _: &str) -> Result<Option<Box<dyn ObjectReader>>> {
        not_here()
    }

    fn get_versioned(&self, _: &str) -> Result<Option<VersionedObject>> {
        not_here()
    }

    fn head(&self, _: &str) -> Result<Option<ObjectMeta>> {
        not_here()
    }

    fn list(&self, _: &str) -> Result<Vec<ListedObject>> {
        not_here()
    }

    fn delete(&self, _: &str) -> Result<()> {
        not_here()
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(TapWriter { name: name.to_owned(), tap: Arc::clone(&self.tap) }))
    }

    fn sync(&self, _: &[&str]) -> Result<()> {
        not_here()
    }

    fn clean_temporaries(&self, _: &str) -> Result<u64> {
        not_here()
    }
}
