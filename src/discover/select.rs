//! Which tables are meant, and where their SSTables are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use glob_match::glob_match;

use super::data_dir::{DataDirs, TableDir};
use super::live_set::LiveSstable;
use super::schema_source::fits;
use crate::error::{Error, Result};
use crate::schema::{Schema, TableMetadata};

/// Keyspaces of Cassandra itself.
const SYSTEM_KEYSPACES: [&str; 8] = [
    "system",
    "system_auth",
    "system_cluster_metadata",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// What the user selects. A pattern is `keyspace.table` or a bare name of either kind, with `*` and `?`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TablePatterns {
    /// Keyspaces.
    pub keyspaces: Vec<String>,
    /// Tables; a bare name has to be unique.
    pub tables: Vec<String>,
    /// Keyspaces or tables to leave out.
    pub excludes: Vec<String>,
}

/// A table to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedTable {
    /// Its definition.
    pub metadata: TableMetadata,
    /// Its live SSTables; a table may have none.
    pub sstables: Vec<LiveSstable>,
    /// SSTables of it in formats that are not read, and why: an extract without them is not whole.
    pub unsupported: Vec<(PathBuf, String)>,
}

/// A table that is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExcludedTable {
    /// Keyspace.
    pub keyspace: String,
    /// Name.
    pub table: String,
    /// Why.
    pub why: String,
}

/// A folder that belongs to no table of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrphanDir {
    /// The folder, on each disk.
    pub folders: Vec<PathBuf>,
    /// Live SSTables in it.
    pub sstables: u64,
    /// Why it is not read.
    pub why: String,
}

/// What is read and what is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Tables to read, in order of keyspace and name.
    pub tables: Vec<SelectedTable>,
    /// Tables that are left out although nothing that was selected says so, in order.
    pub excluded: Vec<ExcludedTable>,
    /// Folders without a table.
    pub orphans: Vec<OrphanDir>,
}

fn is_system(keyspace: &str) -> bool {
    SYSTEM_KEYSPACES.contains(&keyspace)
}

fn has_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '{'])
}

/// A pattern, taken apart.
struct Pattern<'a> {
    keyspace: Option<&'a str>,
    table: &'a str,
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a str) -> Self {
        match text.split_once('.') {
            Some((keyspace, table)) => Self { keyspace: Some(keyspace), table },
            None => Self { keyspace: None, table: text },
        }
    }

    fn matches(&self, table: &TableMetadata) -> bool {
        self.keyspace.is_none_or(|pattern| glob_match(pattern, &table.keyspace))
            && glob_match(self.table, &table.name)
    }

    /// True if a table of Cassandra itself is meant, and not just hit by a wide pattern.
    fn names_system(&self) -> bool {
        self.keyspace.is_some_and(names_system)
    }
}

fn names_system(pattern: &str) -> bool {
    !has_glob(pattern) || pattern.starts_with("system")
}

/// Tables with the folders that fit them.
struct Candidates<'a> {
    tables: Vec<(&'a TableMetadata, Vec<&'a TableDir>)>,
}

/// Selects tables and finds their SSTables.
pub fn select_tables(
    schema: &Schema,
    dirs: &DataDirs,
    patterns: &TablePatterns,
) -> Result<Selection> {
    let mut selection = Selection::default();
    let candidates = match_folders(schema, dirs, &mut selection)?;
    let wanted = wanted(&candidates, patterns)?;
    let excludes = excludes(&candidates, patterns)?;
    for (i, (table, folders)) in candidates.tables.iter().enumerate() {
        let exclude = |why: &str| ExcludedTable {
            keyspace: table.keyspace.clone(),
            table: table.name.clone(),
            why: why.to_owned(),
        };
        match wanted.get(&i) {
            None => continue,
            Some(_) if excludes.contains(&i) => {
                selection.excluded.push(exclude("--exclude"));
                continue;
            }
            Some(Some(why)) => {
                selection.excluded.push(exclude(why));
                continue;
            }
            Some(None) if folders.is_empty() && dirs.snapshot.is_some() => {
                selection.excluded.push(exclude("not in the snapshot"));
                continue;
            }
            Some(None) => {}
        }
        selection.tables.push(SelectedTable {
            metadata: (*table).clone(),
            sstables: folders.iter().flat_map(|dir| dir.sstables.iter().cloned()).collect(),
            unsupported: folders.iter().flat_map(|dir| dir.unsupported.iter().cloned()).collect(),
        });
    }
    selection.excluded.sort();
    selection.excluded.dedup();
    Ok(selection)
}

/// Finds the folders of every table; what is left over are orphans.
fn match_folders<'a>(
    schema: &'a Schema,
    dirs: &'a DataDirs,
    selection: &mut Selection,
) -> Result<Candidates<'a>> {
    let mut candidates = Candidates { tables: Vec::new() };
    let mut used = BTreeSet::new();
    for table in schema.tables() {
        let mut folders = Vec::new();
        for (i, dir) in dirs.tables.iter().enumerate() {
            if fits(table, dir) {
                used.insert(i);
                folders.push(dir);
            }
        }
        if table.id.is_none() {
            refuse_ambiguous(table, &folders)?;
        }
        // A table whose folder was not given is not asked about, unless the whole node was.
        if dirs.is_whole() || !folders.is_empty() {
            candidates.tables.push((table, folders));
        }
    }
    for (i, dir) in dirs.tables.iter().enumerate() {
        if used.contains(&i) {
            continue;
        }
        if is_system(&dir.keyspace) {
            selection.excluded.push(ExcludedTable {
                keyspace: dir.keyspace.clone(),
                table: dir.table.clone(),
                why: "system keyspace".into(),
            });
            continue;
        }
        let why = match schema.table(&dir.keyspace, &dir.table) {
            _ if dir.table.contains('.') => "a secondary index".to_owned(),
            Some(TableMetadata { id: Some(id), .. }) => {
                format!(
                    "the table {}.{} has the id {id} now: it was dropped and made again",
                    dir.keyspace, dir.table
                )
            }
            Some(_) | None => {
                format!(
                    "no table {}.{} with this id in the schema ({})",
                    dir.keyspace, dir.table, schema.origin
                )
            }
        };
        selection.orphans.push(OrphanDir {
            folders: dir.folders.clone(),
            sstables: (dir.sstables.len() + dir.unsupported.len()) as u64,
            why,
        });
    }
    Ok(candidates)
}

/// Without an id in the schema, two folders of one name cannot be told apart.
fn refuse_ambiguous(table: &TableMetadata, folders: &[&TableDir]) -> Result<()> {
    let full: Vec<String> = folders
        .iter()
        .filter(|dir| !dir.sstables.is_empty() || !dir.unsupported.is_empty())
        .filter_map(|dir| dir.folders.first())
        .map(|folder| folder.display().to_string())
        .collect();
    if full.len() <= 1 {
        return Ok(());
    }
    Err(Error::Schema {
        what: format!("the schema has no id for {}, but there are {}", table.qualified_name(), full.join(" and ")),
        hint: Some("add WITH ID = … (the 32 digits of the right folder) to its CREATE TABLE, or give that folder only".into()),
    })
}

/// The tables that are asked for, each with a reason if it is left out all the same.
fn wanted(
    candidates: &Candidates<'_>,
    patterns: &TablePatterns,
) -> Result<BTreeMap<usize, Option<&'static str>>> {
    let mut wanted = BTreeMap::new();
    let in_keyspaces = |table: &TableMetadata| {
        patterns.keyspaces.is_empty()
            || patterns.keyspaces.iter().any(|pattern| glob_match(pattern, &table.keyspace))
    };
    for pattern in &patterns.keyspaces {
        let hit = candidates.tables.iter().any(|(table, _)| glob_match(pattern, &table.keyspace));
        if !hit {
            let names = candidates.tables.iter().map(|(table, _)| table.keyspace.clone());
            return Err(absent("keyspace", pattern, names));
        }
    }
    if patterns.tables.is_empty() {
        for (i, (table, _)) in
            candidates.tables.iter().enumerate().filter(|(_, (t, _))| in_keyspaces(t))
        {
            let named = patterns
                .keyspaces
                .iter()
                .any(|pattern| glob_match(pattern, &table.keyspace) && names_system(pattern));
            wanted.insert(i, default_reason(table, named, false));
        }
        return Ok(wanted);
    }
    for text in &patterns.tables {
        let pattern = Pattern::parse(text);
        let hits: Vec<usize> = candidates
            .tables
            .iter()
            .enumerate()
            .filter(|(_, (table, _))| in_keyspaces(table) && pattern.matches(table))
            .map(|(i, _)| i)
            .collect();
        if hits.is_empty() {
            let names =
                candidates.tables.iter().filter(|(t, _)| in_keyspaces(t)).map(|(table, _)| {
                    match pattern.keyspace {
                        Some(_) => table.qualified_name(),
                        None => table.name.clone(),
                    }
                });
            return Err(absent("table", text, names));
        }
        if pattern.keyspace.is_none() && !has_glob(text) && hits.len() > 1 {
            let names: Vec<String> = hits
                .iter()
                .filter_map(|i| candidates.tables.get(*i))
                .map(|(t, _)| t.qualified_name())
                .collect();
            return Err(Error::Usage {
                what: format!("table {text} is not unique: there are {}", names.join(", ")),
                hint: Some("write keyspace.table".into()),
            });
        }
        for i in hits {
            let Some((table, _)) = candidates.tables.get(i) else { continue };
            let named = !has_glob(pattern.table);
            let system = pattern.names_system() || pattern.keyspace.is_none() && named;
            let system = system
                || patterns
                    .keyspaces
                    .iter()
                    .any(|k| glob_match(k, &table.keyspace) && names_system(k));
            let reason = default_reason(table, system, named);
            let entry = wanted.entry(i).or_insert(reason);
            if reason.is_none() {
                *entry = None;
            }
        }
    }
    Ok(wanted)
}

fn default_reason(
    table: &TableMetadata,
    system_named: bool,
    table_named: bool,
) -> Option<&'static str> {
    if is_system(&table.keyspace) && !system_named {
        Some("system keyspace")
    } else if table.view.is_some() && !table_named {
        Some("materialized view")
    } else {
        None
    }
}

fn excludes(candidates: &Candidates<'_>, patterns: &TablePatterns) -> Result<BTreeSet<usize>> {
    let mut excluded = BTreeSet::new();
    for text in &patterns.excludes {
        let pattern = Pattern::parse(text);
        let before = excluded.len();
        let mut hit = false;
        for (i, (table, _)) in candidates.tables.iter().enumerate() {
            if pattern.matches(table) || glob_match(text, &table.keyspace) {
                hit = true;
                excluded.insert(i);
            }
        }
        if !hit && excluded.len() == before {
            let names = candidates.tables.iter().map(|(table, _)| table.qualified_name());
            return Err(absent("table to exclude", text, names));
        }
    }
    Ok(excluded)
}

fn absent(what: &str, text: &str, names: impl Iterator<Item = String>) -> Error {
    let names: BTreeSet<String> = names.collect();
    let mut near: Vec<(usize, &String)> = names
        .iter()
        .map(|name| (distance(&text.to_lowercase(), &name.to_lowercase()), name))
        .collect();
    near.sort();
    let limit = (text.chars().count() / 3).max(2);
    let near: Vec<&str> = near
        .into_iter()
        .filter(|(d, _)| *d <= limit)
        .take(3)
        .map(|(_, name)| name.as_str())
        .collect();
    let hint = if near.is_empty() {
        let some: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|n| !n.starts_with("system"))
            .take(10)
            .collect();
        format!("there are: {}", some.join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Error::Missing { what: format!("no {what} matches {text:?}"), hint: Some(hint) }
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((y, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or_default();
            let changed = diagonal + usize::from(x != *y);
            next.push(changed.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
