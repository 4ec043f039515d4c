//! SSTables that snapshots keep when compactions have removed them.
//!
//! A compaction drops what a deletion covers. Whoever reads the node's SSTables after it does not see which rows the deletion
//! hit; a snapshot that was taken before shows them. The rows that a target was loaded with are in the extract's.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::error::Result;

use super::slice::Slice;
use super::table::{StoredPage, StoredRows};

/// Looks at a snapshot that may be in the making, and the pause between two.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// The snapshots of a table that were taken since some time.
#[derive(Debug, Default)]
pub(super) struct KeptRows {
    since: Option<SystemTime>,
    folders: Vec<PathBuf>,
    rows: Option<StoredRows>,
}

impl KeptRows {
    /// Those taken at `since` or later; with none there are none.
    pub(super) fn new(since: Option<SystemTime>) -> Self {
        Self { since, folders: Vec::new(), rows: None }
    }

    /// Hands what they have of `slice` to `each`, in pages. False if there is no snapshot, or none that can be read.
    pub(super) fn read(
        &mut self,
        live: &StoredRows,
        key: &[u8],
        slice: &Slice,
        now: i64,
        each: &mut dyn FnMut(&StoredPage) -> Result<()>,
    ) -> Result<bool> {
        let Some(rows) = self.open(live) else { return Ok(false) };
        let mut next = Some(slice.clone());
        while let Some(slice) = next {
            let page = match rows.read(key, &slice, now) {
                Ok(Some(page)) => page,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "a snapshot cannot be read");
                    self.rows = None;
                    return Ok(false);
                }
            };
            each(&page)?;
            next = page.next.map(|start| Slice { start, end: slice.end });
        }
        Ok(true)
    }

    fn open(&mut self, live: &StoredRows) -> Option<&mut StoredRows> {
        let folders = self.list(live);
        if folders.is_empty() {
            self.rows = None;
            return None;
        }
        if folders != self.folders {
            self.rows = None;
        }
        self.folders = folders;
        for attempt in 1..=ATTEMPTS {
            let opened = match self.rows.take() {
                Some(mut rows) => rows.refresh().map(|_| rows),
                None => live.of_folders(self.folders.clone()),
            };
            match opened {
                Ok(rows) => {
                    self.rows = Some(rows);
                    break;
                }
                Err(error) if attempt == ATTEMPTS => {
                    tracing::warn!(%error, "a snapshot cannot be read");
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
        self.rows.as_mut()
    }

    /// `<table>/snapshots/<tag>` of all disks.
    fn list(&self, live: &StoredRows) -> Vec<PathBuf> {
        let Some(since) = self.since else { return Vec::new() };
        let mut found = Vec::new();
        for folder in live.folders() {
            let Ok(entries) = std::fs::read_dir(folder.join("snapshots")) else { continue };
            for entry in entries.flatten() {
                let taken = entry.metadata().and_then(|of| of.modified());
                if taken.is_ok_and(|taken| taken >= since) {
                    found.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }
}
