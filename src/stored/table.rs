//! The live SSTables of one table of a running node, for reads by key.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::discover::{LiveSstable, list_live_sstables};
use crate::error::{Error, Result};
use crate::io::ReadMode;
use crate::merge::{TieBreak, UpdateCombiner};
use crate::progress::clock::now;
use crate::rows::PartitionUpdate;
use crate::schema::TableMetadata;
use crate::sstable::{LargeRows, WorkerRows};

use super::slice::{Slice, SliceBound, cut};
use super::sstable::{Part, PartLimits, StoredSstable, too_large};

/// How often SSTables that vanish are listed again before that is an error.
const ATTEMPTS: u32 = 5;
/// The wait before the second listing; the next ones wait longer.
const PAUSE: Duration = Duration::from_millis(20);
/// A folder that changed so recently may change again without its time telling: file systems count in ticks.
const SETTLED: Duration = Duration::from_secs(2);

/// What one read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Rows and range tombstone markers of each SSTable in one page; at least 1 is taken.
    pub rows: usize,
    /// Memory, in bytes, of all that one page holds; what does not fit with a single row of each SSTable is an error.
    pub bytes: usize,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { rows: 1_000, bytes: 32 << 20 }
    }
}

/// What is stored of a slice of a partition, or of its first part.
#[derive(Debug)]
pub struct StoredPage {
    /// The partition's deletion and static row, and the rows and range tombstones; ranges are cut at the ends of the page.
    pub update: PartitionUpdate,
    /// The same as each SSTable has it: rows that a deletion in another one covers are in these only.
    pub parts: Vec<PartitionUpdate>,
    /// Where the next page begins, if there is one.
    pub next: Option<SliceBound>,
}

/// The live SSTables of a table, open.
///
/// An SSTable that a compaction removed stays readable while it is open, and takes disk space as long: [`StoredRows::refresh`]
/// lets go of it. Call it before the reads that have to see what was flushed since, and every few seconds otherwise.
#[derive(Debug)]
pub struct StoredRows {
    table: Arc<TableMetadata>,
    folders: Vec<PathBuf>,
    rule: TieBreak,
    mode: ReadMode,
    limits: ReadLimits,
    combiner: UpdateCombiner,
    now: i64,
    rows: Arc<WorkerRows>,
    /// By path of Data.db, so in one order whatever the listing's was.
    sstables: BTreeMap<PathBuf, StoredSstable>,
    /// Modification times of the folders when they were listed.
    listed: Vec<Option<SystemTime>>,
}

impl StoredRows {
    /// Opens the live SSTables in `folders` (one per disk) as those of `table`; there may be none.
    pub fn open(
        table: &Arc<TableMetadata>,
        folders: Vec<PathBuf>,
        rule: TieBreak,
        mode: ReadMode,
        limits: ReadLimits,
    ) -> Result<Self> {
        let mut stored = Self {
            table: Arc::clone(table),
            folders,
            rule,
            mode,
            limits,
            combiner: UpdateCombiner::new(table, rule, 0),
            now: 0,
            rows: Arc::new(WorkerRows::new(Arc::new(LargeRows::new(limits.bytes)))),
            sstables: BTreeMap::new(),
            listed: Vec::new(),
        };
        stored.list()?;
        Ok(stored)
    }

    /// The table.
    pub fn table(&self) -> &Arc<TableMetadata> {
        &self.table
    }

    /// Its folders, one per disk.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// The SSTables of the same table in other folders.
    pub(super) fn of_folders(&self, folders: Vec<PathBuf>) -> Result<Self> {
        Self::open(&self.table, folders, self.rule, self.mode, self.limits)
    }

    /// Number of SSTables that are open.
    pub fn sstable_count(&self) -> usize {
        self.sstables.len()
    }

    /// Opens new SSTables and lets go of those that are no longer live; true if there were any. Costs a `stat` for each folder
    /// where nothing has changed.
    pub fn refresh(&mut self) -> Result<bool> {
        let times: Vec<_> = self.folders.iter().map(|folder| modified(folder)).collect();
        let settled = times.iter().flatten().all(|time| {
            // A time in the future tells nothing.
            elapsed(*time).is_some_and(|since| since > SETTLED)
        });
        if settled && times == self.listed {
            return Ok(false);
        }
        self.list()
    }

    /// Lists the folders and opens what is new, again where an SSTable vanished in between.
    fn list(&mut self) -> Result<bool> {
        let mut attempt = 1;
        loop {
            match self.try_list() {
                Err(error) if is_gone(&error) && attempt < ATTEMPTS => {
                    std::thread::sleep(PAUSE * attempt);
                    attempt += 1;
                }
                Err(error) if is_gone(&error) => return Err(self.keeps_vanishing(&error)),
                other => return other,
            }
        }
    }

    fn try_list(&mut self) -> Result<bool> {
        // Before the listing: what changes while it runs is then seen as a change.
        let times: Vec<_> = self.folders.iter().map(|folder| modified(folder)).collect();
        let live = list_live_sstables(&self.folders)?;
        let mut found = BTreeMap::new();
        let mut changed = false;
        let mut opened = Ok(());
        for LiveSstable { descriptor, .. } in live {
            let path = descriptor.path(crate::sstable::Component::Data);
            let sstable = match self.sstables.remove(&path) {
                Some(open) => open,
                None => {
                    changed = true;
                    let new = StoredSstable::open(&descriptor, &self.table, self.mode);
                    // Cassandra removes Data.db first: while it is there, all was there.
                    match new.and_then(|new| still_there(&path).map(|()| new)) {
                        Ok(sstable) => sstable,
                        Err(error) => {
                            opened = Err(still_there(&path).err().unwrap_or(error));
                            break;
                        }
                    }
                }
            };
            found.insert(path, sstable);
        }
        if let Err(error) = opened {
            // What is open stays so.
            self.sstables.append(&mut found);
            return Err(error);
        }
        changed |= !self.sstables.is_empty();
        self.sstables = found;
        self.listed = times;
        Ok(changed)
    }

    fn keeps_vanishing(&self, error: &Error) -> Error {
        let folders: Vec<_> = self.folders.iter().map(|f| f.display().to_string()).collect();
        Error::Missing {
            what: format!(
                "SSTables of {} vanish faster than they can be opened: after {ATTEMPTS} listings of {}, {error}",
                self.table.qualified_name(),
                folders.join(", ")
            ),
            hint: Some(
                "if compactions are not the cause, see whether the folder is a complete copy"
                    .into(),
            ),
        }
    }

    /// The partition's deletion and static row; none if no SSTable has the partition. `now` (seconds) decides between cells of
    /// the same write time, as releases until 3.11 do.
    pub fn read_static(&mut self, key: &[u8], now: i64) -> Result<Option<PartitionUpdate>> {
        let Some(page) = self.read_page(key, None, now)? else { return Ok(None) };
        Ok(Some(page.update))
    }

    /// What is stored of the rows in `slice`, or as much of it as a page holds; none if no SSTable has the partition.
    pub fn read(&mut self, key: &[u8], slice: &Slice, now: i64) -> Result<Option<StoredPage>> {
        self.read_page(key, Some(slice), now)
    }

    /// As [`StoredRows::read()`], of so many rows of each SSTable in a page.
    pub fn read_few(
        &mut self,
        key: &[u8],
        slice: &Slice,
        now: i64,
        rows: usize,
    ) -> Result<Option<StoredPage>> {
        let limits = self.limits;
        self.limits.rows = rows.min(limits.rows);
        let page = self.read_page(key, Some(slice), now);
        self.limits = limits;
        page
    }

    fn read_page(
        &mut self,
        key: &[u8],
        slice: Option<&Slice>,
        now: i64,
    ) -> Result<Option<StoredPage>> {
        if self.now != now {
            self.now = now;
            self.combiner.set_now(now);
        }
        let mut attempt = 1;
        loop {
            match self.try_read(key, slice) {
                // Open files stay readable, but not on every network file system.
                Err(error) if is_gone(&error) && attempt < ATTEMPTS => {
                    std::thread::sleep(PAUSE * attempt);
                    self.sstables.clear();
                    self.list()?;
                    attempt += 1;
                }
                Err(error) if is_gone(&error) => return Err(self.keeps_vanishing(&error)),
                other => return other,
            }
        }
    }

    fn try_read(&mut self, key: &[u8], slice: Option<&Slice>) -> Result<Option<StoredPage>> {
        let mut hits = Vec::new();
        for sstable in self.sstables.values() {
            if let Some(at) = sstable.find(key)? {
                hits.push((sstable, at));
            }
        }
        let limits = PartLimits {
            items: self.limits.rows.max(1),
            bytes: self.limits.bytes / hits.len().max(1) / 4,
        };
        let mut parts: Vec<Part> = Vec::with_capacity(hits.len());
        let mut memory = 0_usize;
        for (sstable, at) in hits {
            let part =
                sstable.read(&self.table, self.combiner.order(), at, slice, limits, &self.rows)?;
            memory = memory.saturating_add(part.update.memory());
            // As much again for what they are combined into.
            if memory > self.limits.bytes / 2 {
                return Err(too_large(sstable.descriptor(), key, memory, self.limits.bytes / 2));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let order = self.combiner.order();
        let next = parts
            .iter()
            .filter_map(|part| part.cut.as_ref())
            .min_by(|a, b| a.compare_to(order, b.view(), b.side()));
        let next = next.cloned();
        if let (Some(end), Some(slice)) = (&next, slice) {
            let page = Slice { start: slice.start.clone(), end: end.clone() };
            for part in &mut parts {
                if part.cut.as_ref() != Some(end) {
                    part.update = cut(order, &part.update, &page)?;
                }
            }
        }
        let updates: Vec<_> = parts.iter().map(|part| &part.update).collect();
        let update = self.combiner.combine(&updates)?;
        let parts = parts.into_iter().map(|part| part.update).collect();
        Ok(Some(StoredPage { update, parts, next }))
    }
}

fn still_there(data: &Path) -> Result<()> {
    match std::fs::metadata(data) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Input { action: "look at", path: data.to_path_buf(), source }),
    }
}

fn modified(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder).and_then(|metadata| metadata.modified()).ok()
}

/// Time since then; none if that is in the future.
fn elapsed(since: SystemTime) -> Option<Duration> {
    let now = u64::try_from(now().0).ok()?;
    (UNIX_EPOCH + Duration::from_millis(now)).duration_since(since).ok()
}

/// A file that was listed is not there any more.
fn is_gone(error: &Error) -> bool {
    const ESTALE: i32 = 116;
    matches!(error, Error::Input { source, .. }
        if source.kind() == ErrorKind::NotFound || source.raw_os_error() == Some(ESTALE))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
