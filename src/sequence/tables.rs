//! The tables that changes are about: definitions, layouts, and those of which nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codec::LayoutMap;
use super::definition::{Evolution, evolve};
use super::options::SequenceProfile;
use super::state::KeptTable;
use crate::error::{Error, Result};
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::output::run::RunInfo;
use crate::output::{OutputColumn, OutputKind, RecordFormat, RecordOptions};
use crate::schema::{CompactKind, Schema, TableMetadata, parse_schema};

/// A table.
#[derive(Debug, Default)]
pub(super) struct TableEntry {
    pub(super) kept: KeptTable,
    /// Its definition; none if there is none yet.
    pub(super) table: Option<Arc<TableMetadata>>,
    /// By layout.
    pub(super) maps: Vec<LayoutMap>,
    /// It is to be written to the state.
    pub(super) dirty: bool,
}

/// What a schema record does.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SchemaEffect {
    /// Nothing.
    Same,
    /// The definition is another one from now on.
    Changed,
    /// Nothing of the table is written from now on.
    Stopped,
}

/// All tables.
#[derive(Debug)]
pub(super) struct Tables {
    profile: SequenceProfile,
    /// Options of the extract's run.
    pub(super) options: RecordOptions,
    schema: Option<Schema>,
    /// `keyspace.table` of the extract's run, where its tables are all that there are.
    selected: Option<BTreeSet<String>>,
    tables: BTreeMap<String, TableEntry>,
}

fn names(columns: &[crate::schema::ColumnMetadata]) -> Vec<String> {
    columns.iter().map(|column| column.name.clone()).collect()
}

impl TableEntry {
    /// From now on by this definition. `again`: it is one that the state has a layout of.
    fn define(&mut self, table: TableMetadata, again: bool) {
        let layout = (names(&table.statics), names(&table.regulars));
        if !again && self.kept.layouts.last() != Some(&layout) {
            self.kept.layouts.push(layout);
            self.dirty = true;
        }
        self.maps = self
            .kept
            .layouts
            .iter()
            .map(|(statics, regulars)| LayoutMap::new(&table, statics, regulars))
            .collect();
        self.table = Some(Arc::new(table));
    }

    /// Stops writing the table.
    pub(super) fn stop(&mut self, why: String) {
        if self.kept.stopped.is_none() {
            self.kept.stopped = Some(why);
            self.dirty = true;
        }
    }

    /// Number of the layout that rows are written with.
    pub(super) fn layout(&self) -> u32 {
        u32::try_from(self.kept.layouts.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}

impl Tables {
    /// The tables of an output: `run` and `schema` are those of its extract; `items` are shape and keys of items, where the profile
    /// has any.
    pub(super) fn new(
        profile: SequenceProfile,
        items: Option<(DdbShape, DdbKeys)>,
        run: Option<&RunInfo>,
        schema: Option<Schema>,
        kept: Vec<(String, KeptTable)>,
    ) -> Result<Self> {
        let mut options = match run {
            Some(run) => RecordOptions::of_run(run, profile.of_records())?,
            None => RecordOptions::new(profile.of_records()),
        };
        (options.ddb_shape, options.ddb_keys) = items.unwrap_or_default();
        let selected = run.filter(|_| profile == SequenceProfile::Dms).map(|run| {
            let tables = run.options.get("tables").and_then(|tables| tables.as_array());
            let names = tables.into_iter().flatten().filter_map(|name| name.as_str());
            names.map(str::to_owned).collect()
        });
        let mut this = Self { profile, options, schema, selected, tables: BTreeMap::new() };
        for (name, kept) in kept {
            let Some((keyspace, table)) = name.split_once('.') else { continue };
            let mut entry = TableEntry { kept, ..TableEntry::default() };
            let definitions = std::mem::take(&mut entry.kept.definitions);
            let stopped = entry.kept.stopped.take();
            this.begin(&mut entry, keyspace, table, true);
            for cql in definitions {
                this.apply(&mut entry, keyspace, table, &cql, true).map_err(|words| {
                    Error::Refused {
                        what: format!("the sequencer's state is damaged: {words}"),
                        hint: Some("remove the state directory".to_owned()),
                    }
                })?;
            }
            entry.kept.stopped = stopped;
            entry.dirty = false;
            this.tables.insert(name, entry);
        }
        Ok(this)
    }

    fn is_selected(&self, keyspace: &str, table: &str) -> bool {
        let name = format!("{keyspace}.{table}");
        self.selected.as_ref().is_none_or(|selected| selected.contains(&name))
    }

    /// Gives a new table the definition that the extract knew.
    fn begin(&self, entry: &mut TableEntry, keyspace: &str, table: &str, again: bool) {
        if !self.is_selected(keyspace, table) {
            return;
        }
        let known = self.schema.as_ref().and_then(|schema| schema.table(keyspace, table));
        if let Some(known) = known {
            entry.define(known.clone(), again);
            Self::check(entry);
        }
    }

    fn check(entry: &mut TableEntry) {
        if entry.table.as_ref().is_some_and(|table| table.compact == CompactKind::Super) {
            entry.stop("rows of a super column family are entries of one column".to_owned());
        }
    }

    /// The table `keyspace.table`, new or known.
    pub(super) fn entry(&mut self, keyspace: &str, table: &str) -> &mut TableEntry {
        let name = format!("{keyspace}.{table}");
        if !self.tables.contains_key(&name) {
            let number = u32::try_from(self.tables.len()).unwrap_or(u32::MAX);
            let kept = KeptTable { number, ..KeptTable::default() };
            let mut entry = TableEntry { kept, dirty: true, ..TableEntry::default() };
            self.begin(&mut entry, keyspace, table, false);
            self.tables.insert(name.clone(), entry);
        }
        self.tables.entry(name).or_default()
    }

    /// The table named `keyspace.table`, if it is known.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut TableEntry> {
        self.tables.get_mut(name)
    }

    /// The name of the table with this number.
    pub(super) fn name_of(&self, number: u32) -> Option<&str> {
        self.tables.iter().find(|(_, e)| e.kept.number == number).map(|(name, _)| name.as_str())
    }

    /// All tables, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &TableEntry)> {
        self.tables.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Takes the tables that are to be written to the state.
    pub(super) fn take_dirty(&mut self) -> Vec<(String, KeptTable)> {
        let mut out = Vec::new();
        for (name, entry) in &mut self.tables {
            if std::mem::take(&mut entry.dirty) {
                out.push((name.clone(), entry.kept.clone()));
            }
        }
        out
    }

    /// True if the record would change the definition of a table that has one.
    pub(super) fn would_change(
        &mut self,
        keyspace: &str,
        table: &str,
        cql: &str,
    ) -> Result<bool, String> {
        let newer = definition_in(cql, keyspace, table)?;
        let entry = self.entry(keyspace, table);
        let current = entry.table.as_ref().filter(|_| entry.kept.stopped.is_none());
        Ok(current.is_some_and(|current| evolve(current, &newer) != Evolution::Same))
    }

    /// Applies a schema record. The error is why it cannot be read.
    pub(super) fn apply_record(
        &mut self,
        keyspace: &str,
        table: &str,
        cql: &str,
    ) -> Result<SchemaEffect, String> {
        let mut entry = std::mem::take(self.entry(keyspace, table));
        let effect = self.apply(&mut entry, keyspace, table, cql, false);
        *self.entry(keyspace, table) = entry;
        effect
    }

    /// True if items of the newer definition have other keys than those of the current one: where partitions without rows come to
    /// be, these need keys that tables without them do not have.
    fn items_have_other_keys(
        &self,
        current: &TableMetadata,
        newer: &TableMetadata,
    ) -> Result<bool, String> {
        let keys = |table: &TableMetadata| {
            let options = self.options.of_table(table, 0).map_err(|error| error.to_string())?;
            let format = RecordFormat::new(table, &options).map_err(|error| error.to_string())?;
            let is_key = |column: &&OutputColumn| column.kind == OutputKind::CompositeKey;
            let names = format.columns().iter().filter(is_key).map(|column| column.name.clone());
            Ok::<_, String>(names.collect::<Vec<_>>())
        };
        Ok(keys(current)? != keys(newer)?)
    }

    fn apply(
        &self,
        entry: &mut TableEntry,
        keyspace: &str,
        name: &str,
        cql: &str,
        again: bool,
    ) -> Result<SchemaEffect, String> {
        let newer = definition_in(cql, keyspace, name)?;
        if entry.kept.stopped.is_some() || !self.is_selected(keyspace, name) {
            return Ok(SchemaEffect::Same);
        }
        let Some(current) = &entry.table else {
            entry.kept.definitions.push(cql.to_owned());
            entry.define(newer, again);
            Self::check(entry);
            entry.dirty = true;
            return Ok(SchemaEffect::Changed);
        };
        match evolve(current, &newer) {
            Evolution::Same => Ok(SchemaEffect::Same),
            Evolution::Changed { added, .. }
                if self.profile == SequenceProfile::Dms && !added.is_empty() =>
            {
                entry.stop(format!(
                    "column {} was added, and the files of profile dms have a fixed number of columns",
                    added.join(", ")
                ));
                Ok(SchemaEffect::Stopped)
            }
            Evolution::Changed { table, .. }
                if self.profile == SequenceProfile::DdbJson
                    && self.items_have_other_keys(current, &table)? =>
            {
                entry.stop(
                    "its static columns were added or dropped, and its items have other keys from then on"
                        .to_owned(),
                );
                Ok(SchemaEffect::Stopped)
            }
            Evolution::Changed { table, .. } => {
                entry.kept.definitions.push(cql.to_owned());
                let keep = self.profile == SequenceProfile::Dms;
                let table = if keep { with_all_columns(current, *table) } else { *table };
                entry.define(table, again);
                entry.dirty = true;
                Ok(SchemaEffect::Changed)
            }
            Evolution::Conflict(why) => {
                entry.stop(why);
                Ok(SchemaEffect::Stopped)
            }
        }
    }
}

/// The newer definition with the columns that were dropped: the files of a profile with a fixed number of columns keep
/// them, without values from now on.
fn with_all_columns(current: &TableMetadata, mut newer: TableMetadata) -> TableMetadata {
    for (ours, theirs) in
        [(&current.statics, &mut newer.statics), (&current.regulars, &mut newer.regulars)]
    {
        for column in ours {
            if !theirs.iter().any(|other| other.name == column.name) {
                theirs.push(column.clone());
            }
        }
    }
    newer.dropped = current.dropped.clone();
    newer.sort_columns();
    newer
}

fn definition_in(cql: &str, keyspace: &str, name: &str) -> Result<TableMetadata, String> {
    let schema = parse_schema(cql, Some(keyspace)).map_err(|error| format!("cql: {error}"))?;
    let table = schema.table(keyspace, name).cloned();
    table.ok_or_else(|| format!("cql does not define {keyspace}.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "CREATE TABLE ks.t (k int PRIMARY KEY, v int);";
    const NEW: &str = "CREATE TABLE ks.t (k int PRIMARY KEY, v int, n int);";

    fn run() -> RunInfo {
        let json = serde_json::json!({
            "formatVersion": 1, "tool": "x", "clock": "x", "profile": "dms", "metadata": "none",
            "compression": "none", "cluster": null, "partitioner": "x", "ownership": "all",
            "agents": 1, "options": {"tables": ["ks.t"], "rename": {"v": "w"}},
            "schemaFingerprint": "x", "ring": [], "ranges": [], "fingerprint": "f",
        });
        serde_json::from_value(json).unwrap()
    }

    fn tables(profile: SequenceProfile) -> Tables {
        let schema = parse_schema(OLD, None).unwrap();
        Tables::new(profile, None, Some(&run()), Some(schema), Vec::new()).unwrap()
    }

    #[test]
    fn a_column_that_is_added_stops_a_table_of_fixed_width_and_widens_the_others() {
        let mut dms = tables(SequenceProfile::Dms);
        assert_eq!(dms.options.rename["v"], "w");
        assert!(dms.would_change("ks", "t", NEW).unwrap());
        assert!(!dms.would_change("ks", "t", OLD).unwrap());
        assert_eq!(dms.apply_record("ks", "t", OLD), Ok(SchemaEffect::Same));
        assert_eq!(dms.apply_record("ks", "t", NEW), Ok(SchemaEffect::Stopped));
        let stopped = dms.entry("ks", "t").kept.stopped.clone().unwrap();
        assert!(stopped.contains("column n was added"), "{stopped}");
        for profile in [SequenceProfile::Jsonl, SequenceProfile::Datalake] {
            let mut wide = tables(profile);
            assert_eq!(wide.apply_record("ks", "t", NEW), Ok(SchemaEffect::Changed));
            let entry = wide.entry("ks", "t");
            assert_eq!((entry.layout(), entry.maps.len()), (1, 2));
            assert_eq!(entry.maps[0].regulars, [Some(1)]);
            // And it is the same when it is read again.
            let kept = wide.take_dirty();
            let schema = parse_schema(OLD, None).unwrap();
            let mut again =
                Tables::new(profile, None, Some(&run()), Some(schema), kept.clone()).unwrap();
            assert_eq!(again.entry("ks", "t").kept, kept[0].1);
            assert_eq!(again.entry("ks", "t").table, wide.entry("ks", "t").table);
            assert!(again.take_dirty().is_empty());
        }
    }

    #[test]
    fn items_whose_keys_would_be_others_stop_their_table() {
        let old = "CREATE TABLE ks.t (k int, c int, v int, PRIMARY KEY (k, c));";
        let new = "CREATE TABLE ks.t (k int, c int, s int STATIC, v int, PRIMARY KEY (k, c));";
        let of = |shape, cql: &str, then: &str| {
            let schema = parse_schema(cql, None).unwrap();
            let profile = SequenceProfile::DdbJson;
            let items = Some((shape, DdbKeys::Auto));
            let mut tables = Tables::new(profile, items, None, Some(schema), Vec::new()).unwrap();
            tables.apply_record("ks", "t", then)
        };
        assert_eq!(of(DdbShape::Native, old, new), Ok(SchemaEffect::Stopped));
        assert_eq!(of(DdbShape::Native, OLD, NEW), Ok(SchemaEffect::Changed));
        assert_eq!(of(DdbShape::Dms, OLD, NEW), Ok(SchemaEffect::Changed));
    }

    #[test]
    fn tables_that_the_run_does_not_have_are_unknown_to_dms_alone() {
        let other = "CREATE TABLE ks.u (k int PRIMARY KEY);";
        let mut dms = tables(SequenceProfile::Dms);
        assert_eq!(dms.apply_record("ks", "u", other), Ok(SchemaEffect::Same));
        assert!(dms.entry("ks", "u").table.is_none());
        let mut jsonl = tables(SequenceProfile::Jsonl);
        assert_eq!(jsonl.apply_record("ks", "u", other), Ok(SchemaEffect::Changed));
        let number = jsonl.entry("ks", "u").kept.number;
        assert_eq!(jsonl.name_of(number), Some("ks.u"));
        assert!(jsonl.apply_record("ks", "u", "CREATE TABLE ks.x (k int PRIMARY KEY);").is_err());
        assert!(jsonl.apply_record("ks", "u", "not CQL").is_err());
    }

    #[test]
    fn a_column_that_is_dropped_stays_in_files_of_fixed_width() {
        let dropped = format!("{OLD} ALTER TABLE ks.t DROP v USING TIMESTAMP 5;");
        let mut dms = tables(SequenceProfile::Dms);
        dms.apply_record("ks", "t", &dropped).unwrap();
        let table = dms.entry("ks", "t").table.clone().unwrap();
        assert_eq!(names(&table.regulars), ["v"]);
        let mut jsonl = tables(SequenceProfile::Jsonl);
        jsonl.apply_record("ks", "t", &dropped).unwrap();
        assert!(jsonl.entry("ks", "t").table.clone().unwrap().regulars.is_empty());
    }
}
