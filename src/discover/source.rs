//! The input of a run: data directories, the schema, the node.

use std::path::Path;

use crate::error::{Error, Result};
use crate::io::ReadMode;
use crate::merge::TieBreak;
use crate::schema::{Schema, TableMetadata};

use super::options::InputOptions;
use super::system_rows::read_rows;
use super::{
    DataDirs, HostInfo, LiveSstable, RawRow, ScanOptions, Selection, SystemTables, TablePatterns,
    find_schema, select_tables, system_table,
};

/// Everything that is known about the input before a row is read.
#[derive(Debug)]
pub struct Source {
    /// Directories and live SSTables.
    pub dirs: DataDirs,
    /// The schema.
    pub schema: Schema,
    /// The node, from `system.local`; none where that is not there.
    pub host: Option<HostInfo>,
    release: Option<String>,
    warnings: Vec<String>,
}

/// Reads system tables from the SSTables of the directories.
struct DiskTables<'a> {
    dirs: &'a DataDirs,
    mode: ReadMode,
    now: i64,
}

impl SystemTables for DiskTables<'_> {
    fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>> {
        match self.dirs.system_table(table) {
            Some(dir) => read_live(table, &dir.sstables, self.mode, self.now),
            None => Ok(Vec::new()),
        }
    }
}

fn read_live(
    table: &TableMetadata,
    sstables: &[LiveSstable],
    mode: ReadMode,
    now: i64,
) -> Result<Vec<RawRow>> {
    let descriptors: Vec<_> = sstables.iter().map(|sstable| sstable.descriptor.clone()).collect();
    read_rows(table, &descriptors, mode, now)
}

impl Source {
    /// Looks at the directories and reads schema and node from them. `now`: the clock, seconds.
    pub fn open(options: &InputOptions, now: i64) -> Result<Self> {
        let scan = ScanOptions { snapshot: options.snapshot.clone(), backups: options.backups };
        let dirs = DataDirs::scan(&options.data_dirs, &scan)?;
        let mode = options.read_mode;
        check_one_node(&dirs, mode, now)?;
        let mut tables = DiskTables { dirs: &dirs, mode, now };
        let schema = find_schema(&dirs, &options.schema, &mut tables, &mut || Ok(None))?;
        let mut warnings = dirs.warnings.clone();
        // A node that cannot be read is not worth stopping for: nothing but its name and the tie rule are asked of it.
        let host = HostInfo::read(&mut tables).unwrap_or_else(|error| {
            warnings.push(format!("system.local cannot be read: {error}"));
            None
        });
        let release = options
            .cassandra_version
            .clone()
            .or_else(|| host.as_ref().and_then(|host| host.release_version.clone()));
        if release.as_deref().and_then(TieBreak::of_release).is_none() {
            warnings.push(
                "the release of Cassandra is not known (no system.local): cells with equal write times are told apart as \
                 from 4.0 on; --cassandra-version says otherwise"
                    .into(),
            );
        }
        Ok(Self { dirs, schema, host, release, warnings })
    }

    /// Things the user should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The release whose rules hold.
    pub fn release_version(&self) -> Option<String> {
        self.release.clone()
    }

    /// How cells of equal write time are told apart.
    pub fn tie_break(&self) -> TieBreak {
        self.release.as_deref().and_then(TieBreak::of_release).unwrap_or(TieBreak::From40)
    }

    /// The tables that `options` select, and why others are left out.
    pub fn select(&self, options: &InputOptions) -> Result<Selection> {
        let patterns = TablePatterns {
            keyspaces: options.keyspaces.clone(),
            tables: options.tables.clone(),
            excludes: options.exclude.clone(),
        };
        select_tables(&self.schema, &self.dirs, &patterns)
    }

    /// A path as the manifest names it: relative to its data root.
    pub fn relative(&self, path: &Path) -> String {
        let mut roots = self.dirs.roots.iter().chain(&self.dirs.enclosing);
        match roots.find_map(|root| path.strip_prefix(root).ok()) {
            Some(inside) => inside.display().to_string(),
            None => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }
}

/// Refuses the directories of several nodes: the same table of two replicas is not one table.
fn check_one_node(dirs: &DataDirs, mode: ReadMode, now: i64) -> Result<()> {
    let local = system_table("system", "local")?;
    let mut known: Option<(uuid::Uuid, &Path)> = None;
    let by_root = dirs.by_root(&local);
    for (root, sstables) in &by_root {
        let Ok(rows) = read_live(&local, sstables, mode, now) else { continue };
        let Some(id) = HostInfo::from_rows(&rows)?.and_then(|host| host.host_id) else { continue };
        match known {
            Some((other, first)) if other != id => {
                return Err(Error::Usage {
                    what: format!(
                        "{} and {} are of different nodes ({other} and {id})",
                        first.display(),
                        root.display()
                    ),
                    hint: Some("extract one node at a time, each to its own --output".into()),
                });
            }
            _ => known = Some((id, root)),
        }
    }
    Ok(())
}
