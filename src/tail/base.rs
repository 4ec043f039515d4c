//! The stored rows behind first touches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::discover::{InputOptions, Source};
use crate::error::{Error, ErrorClass, Result};
use crate::io::ReadMode;
use crate::merge::TieBreak;
use crate::progress::{UnixMillis, clock};
use crate::rows::PartitionUpdate;
use crate::schema::{TableId, TableMetadata};
use crate::stored::{BaseRows, EachBase, ReadLimits, StoredRows, Touched};

use super::options::TailOptions;

/// Looks at files that a running node changes, and the pause between two.
const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(100);
/// What remembering a key takes, about.
const BYTES_PER_KEY: u64 = 48;
/// Of the memory, what a page of stored rows may take: the rest remembers keys.
const PAGE_SHARE: u64 = 4;
/// Rows of an SSTable in a page, if they are small: for each page filter and indexes are asked for its place.
const ROWS_OF_PAGE: usize = 16 << 10;
/// What a page need not exceed, however much memory there is.
const LARGEST_PAGE: u64 = 256 << 20;

/// Reads the stored rows behind first touches, of all tables.
#[derive(Debug)]
pub(super) struct StoredBase {
    tables: BTreeMap<TableId, BaseRows>,
    touched: Touched,
    folders: BTreeMap<(String, String), Vec<PathBuf>>,
    rule: TieBreak,
    mode: ReadMode,
    limits: ReadLimits,
    now: Option<i64>,
    /// Since when snapshots are looked into.
    since: SystemTime,
    /// Deletions whose rows may not have been seen.
    late: u64,
}

impl StoredBase {
    /// Reads from the directories of `source`; of a stream that began at `began`.
    pub(super) fn new(source: &Source, options: &TailOptions, began: UnixMillis) -> Self {
        let page = (options.memory / PAGE_SHARE).clamp(1 << 20, LARGEST_PAGE);
        let keys = options.memory.saturating_sub(page) / BYTES_PER_KEY;
        Self {
            tables: BTreeMap::new(),
            touched: Touched::new(usize::try_from(keys).unwrap_or(usize::MAX)),
            folders: folders(source),
            rule: source.tie_break(),
            mode: options.input.read_mode,
            limits: ReadLimits {
                bytes: usize::try_from(page).unwrap_or(usize::MAX),
                rows: ROWS_OF_PAGE,
            },
            now: options.now,
            since: UNIX_EPOCH + Duration::from_millis(u64::try_from(began.0).unwrap_or_default()),
            late: 0,
        }
    }

    /// Deletions, since the last call, of which it is not certain that all rows that they hit were found.
    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    /// Takes new tables and definitions.
    pub(super) fn renew(&mut self, source: &Source) {
        self.folders = folders(source);
        // Opened again, by the new definition, when they are touched again.
        self.tables.clear();
    }

    /// Hands the stored rows of what `change` touches for the first time to `each`, in order; some of them twice if files
    /// change meanwhile.
    pub(super) fn before(
        &mut self,
        change: &PartitionUpdate,
        each: &mut EachBase<'_>,
    ) -> Result<()> {
        patiently(|| {
            let read = self.read(change, each);
            if read.is_err() {
                // Opened and listed anew at the next look.
                self.tables.clear();
            }
            read
        })
    }

    fn read(&mut self, change: &PartitionUpdate, each: &mut EachBase<'_>) -> Result<()> {
        let Some(id) = change.table.id else { return Ok(()) };
        if !self.tables.contains_key(&id) {
            let rows = self.open(&change.table)?;
            self.tables.insert(id, rows);
        }
        let Some(rows) = self.tables.get_mut(&id) else { return Ok(()) };
        let now = self.now.unwrap_or_else(|| clock::now().seconds());
        let read = rows.first_touches(&mut self.touched, change, now, each);
        self.late += rows.take_late();
        if read.is_err() {
            self.touched.clear();
        }
        read
    }

    fn open(&self, table: &Arc<TableMetadata>) -> Result<BaseRows> {
        let name = (table.keyspace.clone(), table.name.clone());
        let folders = self.folders.get(&name).cloned().unwrap_or_default();
        StoredRows::open(table, folders, self.rule, self.mode, self.limits)
            .map(|stored| BaseRows::new(stored).with_snapshots(self.since))
    }
}

/// Looks at the directories of a node that may be running.
pub(super) fn open_source(options: &InputOptions, now: i64) -> Result<Source> {
    patiently(|| Source::open(options, now))
}

/// Looks again as long as what is there changes under our hands: a node that runs writes and removes SSTables, and between
/// the listing and the reading of one it may be half there or gone.
fn patiently<T>(mut look: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match look() {
            Err(error) if attempt < ATTEMPTS && is_passing(&error) => {
                std::thread::sleep(PAUSE);
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// True for what may be otherwise at the next look.
fn is_passing(error: &Error) -> bool {
    matches!(error.class(), ErrorClass::Corrupt | ErrorClass::Missing | ErrorClass::Input)
}

fn folders(source: &Source) -> BTreeMap<(String, String), Vec<PathBuf>> {
    let mut folders: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
    for table in source.dirs.tables.iter() {
        let id = source.schema.table(&table.keyspace, &table.table).and_then(|known| known.id);
        // The folder of a table of the same name that was dropped has another id.
        if table.id.is_none() || table.id == id {
            let name = (table.keyspace.clone(), table.table.clone());
            folders.entry(name).or_default().extend(table.folders.iter().cloned());
        }
    }
    folders
}
