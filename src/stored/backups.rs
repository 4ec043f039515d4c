//! Incremental backups as a source of changes (`incremental_backups: true`).
//!
//! Cassandra links each SSTable that it flushed, or was sent, into `<keyspace>/<table>-<id>/backups/`, one component after the
//! other, and never removes one. What an SSTable holds is what was written between two flushes: of several writes to one cell
//! the last, tombstones as well. The order of SSTables means nothing to the outcome, for the write times decide.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::dht::TokenRange;
use crate::discover::list_backups;
use crate::error::Result;
use crate::io::ReadMode;
use crate::merge::ClusteringOrder;
use crate::rows::{ClusteringKind, DeletionTime, PartitionSource, PartitionUpdate, Unfiltered};
use crate::schema::TableMetadata;
use crate::sstable::{
    Component, Descriptor, LargeRows, SstableReader, SstableScanner, Toc, WorkerRows,
};

use super::slice::{Placed, Slice, SliceBound, SliceCollector};

/// Rows and markers of one update, and its memory: a larger partition comes in several. Fixed, since numbers of records
/// depend on them.
const UPDATE_ITEMS: usize = 1_000;
const UPDATE_BYTES: usize = 4 << 20;

/// Where an update comes from: the same each time the SSTable is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOrigin {
    /// Name of the SSTable without component, such as `nb-12-big`.
    pub sstable: String,
    /// Number of the update's first record: before it there were this many rows, static rows, markers and partition deletions.
    pub record: u64,
}

/// An SSTable of which all components are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUpSstable {
    /// Its place and name.
    pub descriptor: Descriptor,
}

impl BackedUpSstable {
    /// Its name without component, such as `nb-12-big`.
    pub fn name(&self) -> String {
        name_of(&self.descriptor)
    }
}

fn name_of(descriptor: &Descriptor) -> String {
    let data = descriptor.path(Component::Data);
    let name = data.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.strip_suffix("-Data.db").map(str::to_owned).unwrap_or(name)
}

/// Watches the folders of backups of one table.
#[derive(Debug)]
pub struct BackupSource {
    table: Arc<TableMetadata>,
    folders: Vec<PathBuf>,
    mode: ReadMode,
    rows: Arc<WorkerRows>,
    taken: BTreeSet<String>,
    incomplete: Vec<String>,
    /// [`UPDATE_ITEMS`]; less in tests.
    items: usize,
}

impl BackupSource {
    /// A source over the table folders `folders` (one per disk). `row_limit`: bytes that one row may have.
    pub fn new(
        table: Arc<TableMetadata>,
        folders: &[PathBuf],
        mode: ReadMode,
        row_limit: usize,
    ) -> Self {
        Self {
            table,
            folders: folders.iter().map(|folder| folder.join("backups")).collect(),
            mode,
            rows: Arc::new(WorkerRows::new(Arc::new(LargeRows::new(row_limit)))),
            taken: BTreeSet::new(),
            incomplete: Vec::new(),
            items: UPDATE_ITEMS,
        }
    }

    /// Decodes what comes by this definition of the table.
    pub fn set_table(&mut self, table: Arc<TableMetadata>) {
        self.table = table;
    }

    /// The SSTable of this name was shipped by a run before: it is left out.
    pub fn set_taken(&mut self, name: impl Into<String>) {
        self.taken.insert(name.into());
    }

    /// Names of the SSTables that were taken and are still there: what a checkpoint has to keep.
    pub fn taken(&self) -> impl Iterator<Item = &str> {
        self.taken.iter().map(String::as_str)
    }

    /// Names of the SSTables of which components are missing, as of the last [`BackupSource::poll`]. One that stays here was
    /// left by a node that died while it made the links.
    pub fn incomplete(&self) -> &[String] {
        &self.incomplete
    }

    /// The next SSTable that is complete and was not taken, in order of their ids; it is taken by this. None if there is none
    /// at present. Ask again when something may have changed: links raise no other sign.
    pub fn poll(&mut self) -> Result<Option<BackedUpSstable>> {
        self.incomplete.clear();
        let listed = list_backups(&self.folders)?;
        let names: BTreeSet<String> = listed.iter().map(|s| name_of(&s.descriptor)).collect();
        // What somebody has removed need not be remembered.
        self.taken.retain(|name| names.contains(name));
        let mut next = None;
        for sstable in listed {
            let name = name_of(&sstable.descriptor);
            if self.taken.contains(&name) {
                continue;
            }
            if !is_complete(&sstable.descriptor)? {
                self.incomplete.push(name);
            } else if next.is_none() {
                next = Some(BackedUpSstable { descriptor: sstable.descriptor });
            }
        }
        if let Some(next) = &next {
            self.taken.insert(next.name());
        }
        Ok(next)
    }

    /// Reads an SSTable as changes, in the order in which it has them.
    pub fn read(&self, sstable: &BackedUpSstable) -> Result<BackupUpdates> {
        let reader = Arc::new(SstableReader::open(&sstable.descriptor, &self.table, self.mode)?);
        let rows = Arc::clone(&self.rows);
        Ok(BackupUpdates {
            scanner: SstableScanner::new(reader, TokenRange::ALL, rows, false)?,
            table: Arc::clone(&self.table),
            order: ClusteringOrder::new(&self.table),
            sstable: sstable.name(),
            record: 0,
            inside: None,
            pending: None,
            items: self.items,
        })
    }
}

/// True if everything that TOC.txt lists is there; it is linked like any other component, so it may come first.
fn is_complete(descriptor: &Descriptor) -> Result<bool> {
    let Some(toc) = Toc::read(descriptor)? else { return Ok(false) };
    Ok(!toc.components().is_empty()
        && toc.components().iter().all(|component| descriptor.path(component).exists()))
}

/// What a partition that is in the middle of being read goes on with.
#[derive(Debug)]
struct Inside {
    start: SliceBound,
    open: DeletionTime,
}

/// The changes in one SSTable; an iterator.
#[derive(Debug)]
pub struct BackupUpdates {
    scanner: SstableScanner,
    table: Arc<TableMetadata>,
    order: ClusteringOrder,
    sstable: String,
    record: u64,
    inside: Option<Inside>,
    /// The row or marker that did not fit into the update before.
    pending: Option<Unfiltered>,
    items: usize,
}

impl BackupUpdates {
    fn next_update(&mut self) -> Result<Option<(BackupOrigin, PartitionUpdate)>> {
        if self.inside.is_none() && self.scanner.is_done() {
            return Ok(None);
        }
        let mut update = PartitionUpdate::new(Arc::clone(&self.table), self.scanner.key().to_vec());
        let (start, open) = match self.inside.take() {
            Some(Inside { start, open }) => (start, open),
            None => {
                self.scanner.begin()?;
                update.deletion = self.scanner.deletion();
                if let Some(view) = self.scanner.static_row() {
                    update.set_static_row(view)?;
                }
                (SliceBound::before(&[]), DeletionTime::LIVE)
            }
        };
        let slice = Slice { start, end: SliceBound::after(&[]) };
        let mut collector = SliceCollector::new(&self.order, &slice, update, open);
        let mut open = open;
        let mut taken = 0;
        let update = loop {
            let found = match self.pending.take() {
                Some(found) => found,
                None => self.scanner.next()?,
            };
            let marker = match found {
                Unfiltered::End => {
                    let update = collector.finish(&slice.end)?;
                    self.scanner.finish()?;
                    break update;
                }
                Unfiltered::Row => None,
                Unfiltered::Marker(marker) => Some(marker),
            };
            let view = self.scanner.row();
            if taken >= self.items || taken > 0 && collector.memory() >= UPDATE_BYTES {
                let kind = marker.map_or(ClusteringKind::Clustering, |marker| marker.kind);
                let cut = SliceBound::of(kind, view);
                self.pending = Some(found);
                let update = collector.finish(&cut)?;
                self.inside = Some(Inside { start: cut, open });
                break update;
            }
            taken += 1;
            match marker {
                None => collector.row(view)?,
                Some(marker) => {
                    collector.marker(marker, view, Placed::Inside)?;
                    open = marker.start;
                }
            }
        };
        let origin = BackupOrigin { sstable: self.sstable.clone(), record: self.record };
        self.record += u64::from(!update.deletion.is_live())
            + u64::from(update.static_row.is_some())
            + update.content.len() as u64;
        Ok(Some((origin, update)))
    }
}

impl Iterator for BackupUpdates {
    type Item = Result<(BackupOrigin, PartitionUpdate)>;

    /// The next update; after an error there is nothing to go on with.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_update().transpose()
    }
}

#[cfg(test)]
#[path = "backups_tests.rs"]
mod tests;
