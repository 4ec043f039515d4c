//! Which SSTables of a table are live: those that Cassandra would load (`LogAwareFileLister`, `Directories`).
//!
//! Left out are: new SSTables of operations that did not finish and old ones of those that did ([`super::txn_log`]);
//! temporary files (`tmp-`, `tmplink-` of 2.x, `*.tmp`); SSTables without a Data.db or with an empty one, which an
//! interrupted writer left. All of them are counted.
//!
//! Reading a directory of a running node: the files are listed before the logs, as Cassandra deletes a log after the files
//! that it makes obsolete. Where the logs contradict the files, or the files changed meanwhile, all is listed again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::txn_log::{Outcome, Record, RecordKind, TransactionLog, is_log_name, log_error};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::sstable::{Component, Descriptor};

/// How often a directory that changes under us is listed before we take what we have.
const MAX_ATTEMPTS: u32 = 4;

/// An SSTable that Cassandra would load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSstable {
    /// Directory, version, id.
    pub descriptor: Descriptor,
    /// Length of Data.db.
    pub data_len: u64,
    /// The components that are there, Data.db among them.
    pub components: BTreeSet<Component>,
}

/// What lies beside the live SSTables and is not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Old SSTables of operations that were committed.
    pub obsolete: u64,
    /// New SSTables of operations that were not.
    pub unfinished: u64,
    /// Temporary SSTables and files.
    pub temporary: u64,
    /// SSTables without a Data.db.
    pub without_data: u64,
    /// SSTables with an empty Data.db.
    pub empty: u64,
    /// SSTables of the secondary indexes of 2.1, which lie in the table's own directory.
    pub index_sstables: u64,
    /// Transaction logs.
    pub logs: u64,
}

impl Leftovers {
    /// Adds what was found elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.obsolete += other.obsolete;
        self.unfinished += other.unfinished;
        self.temporary += other.temporary;
        self.without_data += other.without_data;
        self.empty += other.empty;
        self.index_sstables += other.index_sstables;
        self.logs += other.logs;
    }
}

/// What was found in the directories of one table.
#[derive(Debug, Default)]
pub(super) struct LiveSet {
    pub(super) live: Vec<LiveSstable>,
    pub(super) leftovers: Leftovers,
    pub(super) unsupported: Vec<(PathBuf, String)>,
    pub(super) warnings: Vec<String>,
}

/// The files of one SSTable.
#[derive(Debug)]
struct Group {
    directory: PathBuf,
    names: Vec<String>,
    components: BTreeSet<Component>,
    state: State,
}

#[derive(Debug)]
enum State {
    Supported(Descriptor),
    Unsupported(&'static str),
    Temporary,
    Index,
}

/// SSTables of several directories by directory and file-name prefix.
type Groups = BTreeMap<PathBuf, BTreeMap<String, Group>>;

#[derive(Debug, Default)]
struct Listing {
    groups: Groups,
    temporary_files: u64,
}

/// Names in a directory in order; a name that is not UTF-8 is none of Cassandra's.
pub(super) fn names_in(directory: &Path) -> Result<Vec<String>> {
    let fail = |source| Error::Input { action: "list", path: directory.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        if let Ok(name) = entry.map_err(fail)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// True for a secondary index of 2.1: `<keyspace>-<table>.<index>-ka-1-Data.db`.
fn is_legacy_index(name: &str) -> bool {
    name.split('-').nth(1).is_some_and(|table| table.contains('.') && name.split('-').count() > 4)
}

fn list(directories: &[PathBuf], only: Option<&str>) -> Result<Listing> {
    let mut listing = Listing::default();
    for directory in directories {
        let groups = listing.groups.entry(directory.clone()).or_default();
        for name in names_in(directory)? {
            if name.ends_with(".tmp") || name.ends_with(".lockfile") {
                listing.temporary_files += 1;
                continue;
            }
            let (component, state) = match Descriptor::parse(&directory.join(&name)) {
                Ok(None) => continue,
                Ok(Some((_, component))) if is_legacy_index(&name) => (component, State::Index),
                Ok(Some((descriptor, component))) => (component, State::Supported(descriptor)),
                Err(other) => {
                    let Some(component) = Component::parse(&other.component) else { continue };
                    let state = if other.temporary {
                        State::Temporary
                    } else if is_legacy_index(&name) {
                        State::Index
                    } else {
                        State::Unsupported(other.reason)
                    };
                    (component, state)
                }
            };
            let Some((prefix, _)) = name.rsplit_once('-') else { continue };
            let prefix = format!("{prefix}-");
            if only.is_some_and(|only| only != prefix) {
                continue;
            }
            let group = groups.entry(prefix).or_insert_with(|| Group {
                directory: directory.clone(),
                names: Vec::new(),
                components: BTreeSet::new(),
                state,
            });
            group.names.push(name);
            group.components.insert(component);
        }
    }
    Ok(listing)
}

/// Paths of the logs in `directories`, by name: the copies of one log have the same name.
fn list_logs(directories: &[PathBuf]) -> Result<BTreeMap<String, Vec<PathBuf>>> {
    let mut logs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for directory in directories {
        for name in names_in(directory)?.into_iter().filter(|name| is_log_name(name)) {
            let path = directory.join(&name);
            logs.entry(name).or_default().push(path);
        }
    }
    Ok(logs)
}

/// What the logs say.
#[derive(Debug, Default)]
struct Verdicts {
    obsolete: BTreeSet<(PathBuf, String)>,
    unfinished: BTreeSet<(PathBuf, String)>,
    warnings: Vec<String>,
    logs: u64,
}

/// Why the logs could not be applied.
enum Setback {
    /// They contradict the files, or went away: listing again may help.
    Again(Error),
    Fatal(Error),
}

fn read_logs(directories: &[PathBuf], groups: &Groups) -> Result<Verdicts, Setback> {
    let mut verdicts = Verdicts::default();
    for paths in list_logs(directories).map_err(Setback::Fatal)?.into_values() {
        let log = TransactionLog::read(paths).map_err(|error| match &error {
            Error::Input { source, .. } if source.kind() == ErrorKind::NotFound => {
                Setback::Again(error)
            }
            _ => Setback::Fatal(error),
        })?;
        apply_log(&log, groups, &mut verdicts)?;
    }
    Ok(verdicts)
}

fn apply_log(
    log: &TransactionLog,
    groups: &Groups,
    verdicts: &mut Verdicts,
) -> Result<(), Setback> {
    // A copy speaks of the SSTables in its own directory and of those on the other disks of the node.
    let directories: Vec<&Path> = log.replicas.iter().filter_map(|path| path.parent()).collect();
    let find = |record: &Record| {
        directories.iter().find_map(|directory| groups.get(*directory)?.get(record.prefix()))
    };
    let first = log.replicas.first().cloned().unwrap_or_default();
    let (kind, set) = match log.outcome() {
        Outcome::Committed => (RecordKind::Remove, &mut verdicts.obsolete),
        Outcome::Aborted => (RecordKind::Add, &mut verdicts.unfinished),
        Outcome::Unfinished => {
            check_old_files(log, directories.len(), &find)
                .map_err(|cause| Setback::Again(log_error(first.clone(), cause)))?;
            (RecordKind::Add, &mut verdicts.unfinished)
        }
    };
    for group in log.of_kind(kind).filter_map(find) {
        if let Some(name) = group.names.first().and_then(|name| name.rsplit_once('-')) {
            set.insert((group.directory.clone(), format!("{}-", name.0)));
        }
    }
    for record in log.of_kind(RecordKind::Remove) {
        if let Some(group) = find(record)
            && let Some(found) = newest_seconds(group)
            && record.time > 0
            && found != record.time.div_euclid(1000)
        {
            verdicts.warnings.push(format!(
                "{}: {} has another modification time than recorded; copying without times does that, but so does a log that belongs to other files",
                first.display(),
                record.prefix()
            ));
        }
    }
    if let Some(why) = &log.last_damaged {
        verdicts
            .warnings
            .push(format!("{}: {why}; taken as not written, as Cassandra does", first.display()));
    }
    verdicts.logs += 1;
    Ok(())
}

/// An operation that did not finish must have left all its old files where they were.
fn check_old_files<'a>(
    log: &TransactionLog,
    known_disks: usize,
    find: &impl Fn(&Record) -> Option<&'a Group>,
) -> Result<(), String> {
    let mut disks: BTreeMap<&str, (bool, Option<&Record>)> = BTreeMap::new();
    for record in &log.records {
        if record.directory().is_empty() {
            continue;
        }
        let disk = disks.entry(record.directory()).or_default();
        match find(record) {
            Some(_) => disk.0 = true,
            None if record.kind == RecordKind::Remove => disk.1 = disk.1.or(Some(record)),
            None => {}
        }
    }
    // Disks that were not given hold none of the SSTables, and their own copy of the log watches over them.
    let mut absent = disks.len().saturating_sub(known_disks);
    for (seen, missing) in disks.values() {
        match missing {
            Some(_) if !seen && absent > 0 => absent -= 1,
            Some(record) => return Err(contradiction(record, 0)),
            None => {}
        }
    }
    for record in log.of_kind(RecordKind::Remove) {
        if let Some(group) = find(record) {
            let found = group.names.len() as u64;
            if found < record.files {
                return Err(contradiction(record, found));
            }
        }
    }
    Ok(())
}

fn contradiction(record: &Record, found: u64) -> String {
    format!(
        "the operation did not finish, so its old SSTables must be there, but of {} {found} files are, {} are recorded; Cassandra refuses such a directory too",
        record.prefix(),
        record.files
    )
}

fn newest_seconds(group: &Group) -> Option<i64> {
    group
        .names
        .iter()
        .filter_map(|name| {
            let modified = std::fs::metadata(group.directory.join(name)).ok()?.modified().ok()?;
            i64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
        })
        .max()
}

/// Finds the live SSTables in the directories of one table.
///
/// `with_logs` is false for snapshots and backups, which hold nothing unfinished; `only` takes one SSTable by its prefix.
pub(super) fn live_set(
    directories: &[PathBuf],
    with_logs: bool,
    only: Option<&str>,
) -> Result<LiveSet> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let is_last = attempt == MAX_ATTEMPTS;
        let listing = list(directories, only)?;
        if !with_logs {
            return sort_out(listing, &Verdicts::default());
        }
        let verdicts = match read_logs(directories, &listing.groups) {
            Ok(verdicts) => verdicts,
            Err(Setback::Again(_)) if !is_last => continue,
            Err(Setback::Again(error) | Setback::Fatal(error)) => return Err(error),
        };
        if is_last || same_names(&listing, &list(directories, only)?) {
            return sort_out(listing, &verdicts);
        }
    }
}

/// The live SSTables in the folders of one table of a running node, in order of their ids; a folder that is not there has none.
pub fn list_live_sstables(folders: &[PathBuf]) -> Result<Vec<LiveSstable>> {
    let there: Vec<PathBuf> = folders.iter().filter(|folder| folder.is_dir()).cloned().collect();
    Ok(live_set(&there, true, None)?.live)
}

/// The SSTables in folders of incremental backups, in order of their ids; those of which not all files are there yet as well.
pub fn list_backups(folders: &[PathBuf]) -> Result<Vec<LiveSstable>> {
    let there: Vec<PathBuf> = folders.iter().filter(|folder| folder.is_dir()).cloned().collect();
    let set = live_set(&there, false, None)?;
    match set.unsupported.into_iter().next() {
        None => Ok(set.live),
        Some((path, reason)) => {
            Err(DecodeError::new(DecodeErrorKind::Unsupported(reason), 0).in_file(&path))
        }
    }
}

fn same_names(a: &Listing, b: &Listing) -> bool {
    let names = |listing: &Listing| -> Vec<Vec<String>> {
        listing.groups.values().flat_map(|g| g.values().map(|g| g.names.clone())).collect()
    };
    names(a) == names(b)
}

fn sort_out(listing: Listing, verdicts: &Verdicts) -> Result<LiveSet> {
    let mut set = LiveSet { warnings: verdicts.warnings.clone(), ..LiveSet::default() };
    set.leftovers.temporary = listing.temporary_files;
    set.leftovers.logs = verdicts.logs;
    for (directory, groups) in listing.groups {
        for (prefix, group) in groups {
            let key = (directory.clone(), prefix);
            let data = directory.join(format!("{}Data.db", key.1));
            let left = &mut set.leftovers;
            if verdicts.obsolete.contains(&key) {
                left.obsolete += 1;
                continue;
            }
            if verdicts.unfinished.contains(&key) {
                left.unfinished += 1;
                continue;
            }
            match group.state {
                State::Temporary => {
                    left.temporary += 1;
                    continue;
                }
                State::Index => {
                    left.index_sstables += 1;
                    continue;
                }
                State::Supported(_) | State::Unsupported(_) => {}
            }
            if !group.components.contains(&Component::Data) {
                left.without_data += 1;
                continue;
            }
            let data_len = std::fs::metadata(&data)
                .map_err(|source| Error::Input { action: "look at", path: data.clone(), source })?
                .len();
            match group.state {
                _ if data_len == 0 => {
                    left.empty += 1;
                    set.warnings.push(format!("{} is empty; left out", data.display()));
                }
                State::Supported(descriptor) => set.live.push(LiveSstable {
                    descriptor,
                    data_len,
                    components: group.components,
                }),
                State::Unsupported(reason) => set.unsupported.push((data, reason.to_owned())),
                State::Temporary | State::Index => {}
            }
        }
    }
    set.live.sort_by(|a, b| {
        let key = |s: &LiveSstable| (s.descriptor.id, s.descriptor.version);
        key(a).cmp(&key(b)).then_with(|| a.descriptor.directory.cmp(&b.descriptor.directory))
    });
    set.unsupported.sort();
    Ok(set)
}

#[cfg(test)]
#[path = "live_set_tests.rs"]
mod tests;
