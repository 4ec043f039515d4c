//! [`DataDirs`]: the tables in whatever the user points at.
//!
//! ```text
//! <data root>/<keyspace>/<table>-<32 hex digits of the id>/   SSTables, transaction logs
//!                        <table>/                              made by 2.0 or older, or by hand
//!                                .<index>/                     a secondary index
//!                                backups/  snapshots/<tag>/    the same files again
//! ```
//! Taken are: a data root, several of one node (their union), an installation whose `data` is one, a keyspace folder, a
//! table folder, a snapshot folder, a folder of backups, and a single Data.db. What a folder is, is told by where SSTables
//! and names with a table id are, not by its own name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::live_set::{Leftovers, LiveSstable, live_set, names_in};
use crate::error::{Error, Result};
use crate::schema::{TableId, TableMetadata};
use crate::sstable::{Component, Descriptor};

/// Keyspaces whose tables describe the node itself.
const OWN_KEYSPACES: [&str; 2] = ["system", "system_schema"];

/// What to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Read the snapshot with this tag and not the live SSTables.
    pub snapshot: Option<String>,
    /// Read the incremental backups too.
    pub backups: bool,
}

/// The SSTables of one table, over all disks of the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableDir {
    /// Keyspace, from the path.
    pub keyspace: String,
    /// Table, from the path.
    pub table: String,
    /// Table id, from the path; none in directories without one.
    pub id: Option<TableId>,
    /// The table's own folders, one per disk.
    pub folders: Vec<PathBuf>,
    /// Where its SSTables were taken from: the folders, or their snapshots and backups.
    pub directories: Vec<PathBuf>,
    /// The live SSTables, in order of their ids.
    pub sstables: Vec<LiveSstable>,
    /// What lies beside them.
    pub leftovers: Leftovers,
    /// Folders of secondary indexes.
    pub index_folders: u64,
    /// Tags of the snapshots that are there.
    pub snapshots: BTreeSet<String>,
    /// SSTables in backups that were not asked for.
    pub backups: u64,
    /// SSTables of versions that this program does not read, and why.
    pub unsupported: Vec<(PathBuf, String)>,
    /// `schema.cql` beside the SSTables (of a snapshot).
    pub schema_cql: Vec<PathBuf>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DataDirs {
    /// Tables in order of keyspace, name and id.
    pub tables: Vec<TableDir>,
    /// Tables of `system` and `system_schema` of the data roots around what was given, where that was less than a root.
    pub surrounding: Vec<TableDir>,
    /// Data roots, given or found in what was given.
    pub roots: Vec<PathBuf>,
    /// Data roots around what was given.
    pub enclosing: Vec<PathBuf>,
    /// The tag of the snapshot that was asked for.
    pub snapshot: Option<String>,
    /// Everything that was looked at, for messages.
    pub looked_at: Vec<PathBuf>,
    /// Things the user should know.
    pub warnings: Vec<String>,
}

/// What a node keeps beside its data directories, in files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtherData {
    /// Files of hints for other nodes.
    pub hints: u64,
    /// Commit-log segments.
    pub commitlog_segments: u64,
    /// Segments in `cdc_raw`.
    pub cdc_segments: u64,
}

/// A folder of a table, as it was met.
#[derive(Debug, Clone)]
struct Found {
    folder: PathBuf,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// What the options say.
    Folder,
    /// This directory, which is complete in itself.
    Exactly(PathBuf),
    /// One SSTable of this directory, by its prefix.
    One(PathBuf, String),
}

type Key = (String, String, Option<TableId>);
type FoundTables = BTreeMap<Key, Vec<Found>>;

fn missing(what: String, hint: &str) -> Error {
    Error::Missing { what, hint: Some(hint.to_owned()) }
}

const WHAT_IS_TAKEN: &str = "give a Cassandra data directory (often /var/lib/cassandra/data), a keyspace, table or snapshot folder in it, or a Data.db";

impl DataDirs {
    /// Looks at `paths` and finds their tables and live SSTables.
    pub fn scan(paths: &[PathBuf], options: &ScanOptions) -> Result<Self> {
        let mut dirs = Self::default();
        let mut tables = FoundTables::new();
        let mut tag = options.snapshot.clone();
        for path in paths {
            dirs.looked_at.push(path.clone());
            let snapshot = dirs.sort_in(path, &mut tables)?;
            tag = tag.or(snapshot);
        }
        let mut surrounding = FoundTables::new();
        for root in dirs.enclosing.clone() {
            for keyspace in OWN_KEYSPACES {
                if root.join(keyspace).is_dir() {
                    add_keyspace(&root.join(keyspace), keyspace, &mut surrounding)?;
                }
            }
        }
        dirs.tables = read_tables(tables, options, &mut dirs.warnings)?;
        let around = ScanOptions { snapshot: tag, backups: options.backups };
        dirs.surrounding = read_tables(surrounding, &around, &mut dirs.warnings)?;
        dirs.check(options)?;
        // What is not in the snapshot is not there.
        dirs.tables.retain(|dir| !dir.directories.is_empty());
        dirs.surrounding.retain(|dir| !dir.directories.is_empty());
        dirs.snapshot.clone_from(&options.snapshot);
        Ok(dirs)
    }

    /// True if whole data roots were given, so that a table without a folder has no data.
    pub fn is_whole(&self) -> bool {
        !self.roots.is_empty()
    }

    /// The folder of a table that describes the node (`system`, `system_schema`): of the given ones or around them.
    pub fn system_table(&self, table: &TableMetadata) -> Option<&TableDir> {
        let find = |tables: &'_ [TableDir]| {
            tables.iter().position(|dir| {
                dir.keyspace == table.keyspace
                    && dir.table == table.name
                    && (dir.id == table.id || dir.id.is_none())
            })
        };
        find(&self.tables)
            .and_then(|i| self.tables.get(i))
            .or_else(|| find(&self.surrounding).and_then(|i| self.surrounding.get(i)))
    }

    /// The SSTables of a table of the node by data root, to see whether the roots are of one node: two host ids in
    /// `system.local` of two roots mean that they are not.
    pub fn by_root(&self, table: &TableMetadata) -> Vec<(PathBuf, Vec<LiveSstable>)> {
        let Some(dir) = self.system_table(table) else { return Vec::new() };
        let mut roots = Vec::new();
        for root in self.roots.iter().chain(&self.enclosing) {
            let sstables: Vec<_> = dir
                .sstables
                .iter()
                .filter(|sstable| sstable.descriptor.directory.starts_with(root))
                .cloned()
                .collect();
            if !sstables.is_empty() {
                roots.push((root.clone(), sstables));
            }
        }
        roots
    }

    /// Counts what lies beside the data roots: `../hints`, `../commitlog`, `../cdc_raw`.
    pub fn other_data(&self) -> OtherData {
        let count = |name, suffix| self.beside(name, suffix).len() as u64;
        OtherData {
            hints: count("hints", ".hints"),
            commitlog_segments: count("commitlog", ".log"),
            cdc_segments: count("cdc_raw", ".log"),
        }
    }

    /// The commit-log segments beside the data roots.
    pub(super) fn commitlog_segments(&self) -> Vec<PathBuf> {
        self.beside("commitlog", ".log")
    }

    /// Files of the directory `name` beside each data root.
    fn beside(&self, name: &str, suffix: &str) -> Vec<PathBuf> {
        let parents: BTreeSet<&Path> =
            self.roots.iter().chain(&self.enclosing).filter_map(|root| root.parent()).collect();
        let mut found = Vec::new();
        for directory in parents.into_iter().map(|parent| parent.join(name)) {
            // A place that cannot be listed is as good as one that is elsewhere: these are counted where they are seen.
            let names = names_in(&directory).unwrap_or_default();
            let files = names.iter().filter(|name| name.ends_with(suffix));
            found.extend(files.map(|name| directory.join(name)));
        }
        found
    }

    fn sort_in(&mut self, path: &Path, tables: &mut FoundTables) -> Result<Option<String>> {
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                missing(format!("{} does not exist", path.display()), WHAT_IS_TAKEN)
            }
            _ => Error::Input { action: "look at", path: path.to_path_buf(), source },
        })?;
        let path = &named(path)?;
        if !metadata.is_dir() {
            let place = one_sstable(path)?;
            self.enclose(place.root.as_deref());
            add(tables, place);
            return Ok(None);
        }
        if let Some(place) = inside_table(path)? {
            self.enclose(place.root.as_deref());
            let tag = place.tag.clone();
            add(tables, place);
            return Ok(tag);
        }
        if is_table_folder(path)? {
            let place = Place::of_folder(path, Source::Folder);
            self.enclose(place.root.as_deref());
            add(tables, place);
            return Ok(None);
        }
        if is_keyspace_folder(path)? {
            self.enclose(path.parent());
            add_keyspace(path, &name_of(path), tables)?;
            return Ok(None);
        }
        // An installation keeps its data in `data`, or in `data/data`.
        let mut looked_at = Vec::new();
        for root in [path.clone(), path.join("data"), path.join("data/data")] {
            if !root.is_dir() {
                continue;
            }
            let keyspaces = keyspaces_in(&root)?;
            if !keyspaces.is_empty() {
                for keyspace in keyspaces {
                    add_keyspace(&root.join(&keyspace), &keyspace, tables)?;
                }
                if !self.roots.contains(&root) {
                    self.roots.push(root);
                }
                return Ok(None);
            }
            looked_at.push(root.display().to_string());
        }
        Err(missing(
            format!("no SSTables and no keyspaces in {}", looked_at.join(", ")),
            WHAT_IS_TAKEN,
        ))
    }

    fn enclose(&mut self, root: Option<&Path>) {
        let Some(root) = root else { return };
        let holds_own = OWN_KEYSPACES.iter().any(|keyspace| root.join(keyspace).is_dir());
        let known = self.roots.iter().chain(&self.enclosing).any(|other| other == root);
        if holds_own && !known {
            self.enclosing.push(root.to_path_buf());
        }
    }

    fn check(&self, options: &ScanOptions) -> Result<()> {
        let places = || {
            self.looked_at.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        if let Some(tag) = &options.snapshot
            && self.tables.iter().all(|dir| !dir.snapshots.contains(tag))
        {
            let tags: BTreeSet<&str> =
                self.tables.iter().flat_map(|dir| &dir.snapshots).map(String::as_str).collect();
            let tags = match tags.len() {
                0 => "there are no snapshots at all".to_owned(),
                _ => format!("there are: {}", tags.into_iter().collect::<Vec<_>>().join(", ")),
            };
            return Err(missing(
                format!("no snapshot {tag:?} in {}; {tags}", places()),
                "give one of these with --snapshot, or none to read the live SSTables",
            ));
        }
        if self.tables.iter().all(|dir| dir.sstables.is_empty() && dir.unsupported.is_empty()) {
            let mut what = format!("no SSTables to read in {}", places());
            let left = |count: fn(&Leftovers) -> u64| -> u64 {
                self.tables.iter().map(|dir| count(&dir.leftovers)).sum()
            };
            for (count, words) in [
                (left(|l| l.obsolete), "obsolete"),
                (left(|l| l.unfinished + l.temporary), "unfinished"),
                (left(|l| l.without_data + l.empty), "without data"),
                (self.tables.iter().map(|dir| dir.backups).sum(), "in backups"),
            ] {
                if count > 0 {
                    what.push_str(&format!("; {count} {words}"));
                }
            }
            let snapshots = self.tables.iter().any(|dir| !dir.snapshots.is_empty());
            let hint = if snapshots && options.snapshot.is_none() {
                "there are snapshots: read one with --snapshot TAG"
            } else {
                WHAT_IS_TAKEN
            };
            return Err(missing(what, hint));
        }
        Ok(())
    }
}

/// A table's folder and which of its SSTables were meant.
struct Place {
    keyspace: String,
    table: String,
    id: Option<TableId>,
    folder: PathBuf,
    source: Source,
    tag: Option<String>,
    root: Option<PathBuf>,
}

impl Place {
    fn of_folder(folder: &Path, source: Source) -> Self {
        let mut of_table = folder;
        let mut suffix = String::new();
        // The folder of a secondary index: a table of its own, named as Cassandra names it.
        let own = name_of(folder);
        if own.starts_with('.')
            && let Some(parent) = folder.parent()
        {
            suffix = own;
            of_table = parent;
        }
        let name = name_of(of_table);
        let (table, id) = split_name(&name);
        let above = of_table.parent();
        Self {
            keyspace: above.map(name_of).unwrap_or_default(),
            table: format!("{table}{suffix}"),
            id,
            folder: folder.to_path_buf(),
            source,
            tag: None,
            root: above.and_then(Path::parent).map(Path::to_path_buf),
        }
    }
}

fn add(tables: &mut FoundTables, place: Place) {
    let found = Found { folder: place.folder, source: place.source };
    let list = tables.entry((place.keyspace, place.table, place.id)).or_default();
    let same = |a: &Source, b: &Source| match (a, b) {
        (Source::Folder, Source::Folder) => true,
        (Source::Exactly(a), Source::Exactly(b)) => a == b,
        (Source::One(a, x), Source::One(b, y)) => a == b && x == y,
        (Source::Folder | Source::Exactly(_) | Source::One(..), _) => false,
    };
    if !list.iter().any(|other| other.folder == found.folder && same(&other.source, &found.source))
    {
        list.push(found);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The path with the names that tell keyspace and table, whatever the working directory is.
pub(super) fn named(path: &Path) -> Result<PathBuf> {
    let fail = |source| Error::Input { action: "resolve", path: path.to_path_buf(), source };
    let absolute = std::path::absolute(path).map_err(fail)?;
    if absolute.components().any(|part| part == std::path::Component::ParentDir) {
        return std::fs::canonicalize(path).map_err(fail);
    }
    Ok(absolute)
}

/// `<table>-<32 hex digits>`; names of tables have no '-'.
fn split_name(name: &str) -> (&str, Option<TableId>) {
    if let Some((table, hex)) = name.rsplit_once('-')
        && !table.is_empty()
        && hex.len() == 32
        && let Ok(id) = Uuid::try_parse(hex)
    {
        return (table, Some(TableId(id)));
    }
    (name, None)
}

fn is_sstable_file(name: &str) -> bool {
    !matches!(Descriptor::parse(Path::new(name)), Ok(None))
}

fn is_table_folder(path: &Path) -> Result<bool> {
    Ok(split_name(&name_of(path)).1.is_some()
        || names_in(path)?.iter().any(|name| is_sstable_file(name)))
}

/// Names of the sub-folders that could be a table or a keyspace.
fn folders_in(path: &Path) -> Result<Vec<String>> {
    Ok(names_in(path)?
        .into_iter()
        .filter(|name| {
            !name.starts_with('.')
                && !matches!(name.as_str(), "snapshots" | "backups" | "tmp" | "lost+found")
                && path.join(name).is_dir()
        })
        .collect())
}

fn is_keyspace_folder(path: &Path) -> Result<bool> {
    for name in folders_in(path)? {
        if is_table_folder(&path.join(name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn keyspaces_in(root: &Path) -> Result<Vec<String>> {
    let mut keyspaces = Vec::new();
    for name in folders_in(root)? {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && is_keyspace_folder(&root.join(&name))? {
            keyspaces.push(name);
        }
    }
    Ok(keyspaces)
}

fn add_keyspace(path: &Path, keyspace: &str, tables: &mut FoundTables) -> Result<()> {
    for name in folders_in(path)? {
        let folder = path.join(&name);
        if is_table_folder(&folder)? {
            let mut place = Place::of_folder(&folder, Source::Folder);
            keyspace.clone_into(&mut place.keyspace);
            add(tables, place);
        }
    }
    Ok(())
}

/// A single Data.db.
fn one_sstable(path: &Path) -> Result<Place> {
    let name = name_of(path);
    let is_data = match Descriptor::parse(path) {
        Ok(Some((_, component))) => component == Component::Data,
        Ok(None) => false,
        Err(other) => other.component == Component::Data.name(),
    };
    let (Some((prefix, _)), true, Some(directory)) =
        (name.rsplit_once('-'), is_data, path.parent())
    else {
        return Err(Error::Usage {
            what: format!("{} is neither a directory nor a Data.db", path.display()),
            hint: Some(WHAT_IS_TAKEN.to_owned()),
        });
    };
    let source = Source::One(directory.to_path_buf(), format!("{prefix}-"));
    let folder = match inside_table(directory)? {
        Some(place) => place.folder,
        None => directory.to_path_buf(),
    };
    Ok(Place::of_folder(&folder, source))
}

/// A snapshot folder, or the folder of backups: complete in itself, and named by the folders above it.
fn inside_table(path: &Path) -> Result<Option<Place>> {
    let exactly = Source::Exactly(path.to_path_buf());
    let Some(parent) = path.parent() else { return Ok(None) };
    if name_of(parent) == "snapshots"
        && let Some(folder) = parent.parent()
    {
        let mut place = Place::of_folder(folder, exactly);
        place.tag = Some(name_of(path));
        return Ok(Some(place));
    }
    // A table may be called so too, but then it is not inside a table.
    if name_of(path) == "backups" && is_table_folder(parent)? {
        return Ok(Some(Place::of_folder(parent, exactly)));
    }
    Ok(None)
}

fn read_tables(
    tables: FoundTables,
    options: &ScanOptions,
    warnings: &mut Vec<String>,
) -> Result<Vec<TableDir>> {
    let tagged = match &options.snapshot {
        Some(tag) => tables
            .iter()
            .filter(|(_, found)| {
                found.iter().any(|f| f.folder.join("snapshots").join(tag).is_dir())
            })
            .map(|((keyspace, ..), _)| keyspace.clone())
            .collect(),
        None => BTreeSet::new(),
    };
    let mut read = Vec::new();
    for ((keyspace, table, id), found) in tables {
        let mut dir = TableDir { keyspace, table, id, ..TableDir::default() };
        // A snapshot of one keyspace is read with the schema that is live.
        let live_anyway =
            OWN_KEYSPACES.contains(&dir.keyspace.as_str()) && !tagged.contains(&dir.keyspace);
        let tag = options.snapshot.as_deref().filter(|_| !live_anyway);
        read_table(&mut dir, &found, tag, options.backups, warnings)?;
        read.push(dir);
    }
    Ok(read)
}

fn read_table(
    dir: &mut TableDir,
    found: &[Found],
    tag: Option<&str>,
    backups: bool,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let mut live = Vec::new();
    let mut complete = Vec::new();
    let mut single = Vec::new();
    for Found { folder, source } in found {
        if !dir.folders.contains(folder) {
            dir.folders.push(folder.clone());
        }
        match source {
            Source::Exactly(directory) => complete.push(directory.clone()),
            Source::One(directory, prefix) => single.push((directory.clone(), prefix.clone())),
            Source::Folder => {
                look_around(dir, folder, backups)?;
                match tag {
                    None => live.push(folder.clone()),
                    Some(tag) => {
                        let snapshot = folder.join("snapshots").join(tag);
                        if snapshot.is_dir() {
                            complete.push(snapshot);
                        }
                    }
                }
                if backups && folder.join("backups").is_dir() {
                    complete.push(folder.join("backups"));
                }
            }
        }
    }
    let mut sets = Vec::new();
    if !live.is_empty() {
        sets.push(live_set(&live, true, None)?);
    }
    for directory in &complete {
        sets.push(live_set(std::slice::from_ref(directory), false, None)?);
        let cql = directory.join("schema.cql");
        if cql.is_file() {
            dir.schema_cql.push(cql);
        }
    }
    for (directory, prefix) in &single {
        sets.push(live_set(std::slice::from_ref(directory), false, Some(prefix))?);
    }
    dir.directories = live;
    dir.directories.extend(complete);
    dir.directories.extend(single.into_iter().map(|(directory, _)| directory));
    dir.directories.dedup();
    let mut seen = BTreeSet::new();
    for set in sets {
        for sstable in set.live {
            // A backup is a hard link to an SSTable that may still be there.
            if !backups || seen.insert((sstable.descriptor.prefix(), sstable.data_len)) {
                dir.sstables.push(sstable);
            }
        }
        dir.leftovers.add(&set.leftovers);
        dir.unsupported.extend(set.unsupported);
        warnings.extend(set.warnings);
    }
    dir.sstables.sort_by(|a, b| {
        let key = |s: &LiveSstable| (s.descriptor.id, s.descriptor.version);
        key(a).cmp(&key(b)).then_with(|| a.descriptor.directory.cmp(&b.descriptor.directory))
    });
    Ok(())
}

/// Counts what is in a table's folder and not read.
fn look_around(dir: &mut TableDir, folder: &Path, backups: bool) -> Result<()> {
    for name in names_in(folder)? {
        let path = folder.join(&name);
        if name.starts_with('.') && path.is_dir() {
            dir.index_folders += 1;
        } else if name == "snapshots" && path.is_dir() {
            dir.snapshots
                .extend(names_in(&path)?.into_iter().filter(|tag| path.join(tag).is_dir()));
        } else if name == "backups" && !backups && path.is_dir() {
            let data = names_in(&path)?.iter().filter(|name| name.ends_with("-Data.db")).count();
            dir.backups += data as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "data_dir_tests.rs"]
mod tests;
