//! Incremental backups as changes: what clusters without CDC have.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::discover::Source;
use crate::error::Result;
use crate::io::ReadMode;
use crate::schema::TableId;
use crate::stored::{BackedUpSstable, BackupSource, BackupUpdates};

use super::state::{BackupState, TailState};
use super::tables::Tables;

/// The largest row of an SSTable that is shipped.
const LARGEST_ROW: usize = 256 << 20;

/// An SSTable being shipped.
pub(super) struct OpenBackup {
    /// Its name in the state and in names of objects: `keyspace.table-nb-12-big`.
    pub(super) name: String,
    /// What is left of it.
    pub(super) updates: BackupUpdates,
    /// What is confirmed of it.
    pub(super) state: BackupState,
}

/// The `backups` folders of all tables that are shipped.
#[derive(Debug, Default)]
pub(super) struct Backups {
    sources: BTreeMap<TableId, (String, BackupSource)>,
}

impl Backups {
    /// Looks for the folders of tables that are new, and takes new definitions.
    pub(super) fn renew(
        &mut self,
        source: &Source,
        tables: &Tables,
        mode: ReadMode,
        state: &TailState,
    ) -> Result<()> {
        for table in tables.wanted() {
            let Some(id) = table.id else { continue };
            if let Some((_, known)) = self.sources.get_mut(&id) {
                known.set_table(Arc::clone(table));
                continue;
            }
            let folders: Vec<_> = source
                .dirs
                .tables
                .iter()
                .filter(|dir| dir.id == Some(id))
                .flat_map(|dir| dir.folders.iter().cloned())
                .collect();
            if folders.is_empty() {
                continue;
            }
            let name = table.qualified_name();
            let mut backups = BackupSource::new(Arc::clone(table), &folders, mode, LARGEST_ROW);
            let prefix = format!("{name}-");
            for sstable in state.finished_backups() {
                if let Some(sstable) = sstable.strip_prefix(&prefix) {
                    backups.set_taken(sstable);
                }
            }
            self.sources.insert(id, (name, backups));
        }
        Ok(())
    }

    /// The next SSTable to ship, if there is one.
    pub(super) fn next(&mut self, state: &TailState) -> Result<Option<OpenBackup>> {
        for (table, source) in self.sources.values_mut() {
            let Some(sstable) = source.poll()? else { continue };
            let name = name_of(table, &sstable);
            let updates = source.read(&sstable)?;
            return Ok(Some(OpenBackup { state: state.backup(&name), name, updates }));
        }
        Ok(None)
    }

    /// SSTables of which components are missing, with their tables.
    pub(super) fn incomplete(&self) -> impl Iterator<Item = String> {
        self.sources.values().flat_map(|(table, source)| {
            source.incomplete().iter().map(move |sstable| format!("{table}-{sstable}"))
        })
    }
}

fn name_of(table: &str, sstable: &BackedUpSstable) -> String {
    format!("{table}-{}", sstable.name())
}
