//! A strict checker of outputs for DMS: the rules of the contract that a local full load can break.
//!
//! It reads what is in the directory and nothing of the program that wrote it, except the list of DynamoDB's reserved words.
//! Rules by their numbers: 1 to 23 (of 14 to 16 what our mappings use; of 19 what a text file shows; of 21 the number of rows; 23
//! where files say the time). Profiles for CQL (24) and lists beside files (25) are checked elsewhere.

mod changes;
mod csv;
mod definition;
mod fields;
mod import;
mod keys;
mod rows;
mod task;
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde_json::Value;

use self::definition::TableDefinition;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Object, relative to the output.
    pub(crate) object: String,
    /// Line of the record's start, from 1; 0 if it is not about a record.
    pub(crate) line: u64,
    /// Column, if it is about one.
    pub(crate) column: String,
    /// Number of the rule.
    pub(crate) rule: u8,
    /// What is wrong.
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, line, column, rule, what } = self;
        write!(f, "{object}:{line}:{column}: rule {rule}: {what}")
    }
}

/// Violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Violation>,
}

impl Findings {
    fn add(&mut self, object: &str, rule: u8, what: impl Into<String>) {
        self.at(object, 0, "", rule, what);
    }

    fn at(&mut self, object: &str, line: u64, column: &str, rule: u8, what: impl Into<String>) {
        let (object, column, what) = (object.to_owned(), column.to_owned(), what.into());
        self.found.push(Violation { object, line, column, rule, what });
    }
}

/// What the manifests of all agents say about a table.
#[derive(Debug, Default)]
struct Declared {
    /// Name and CQL type in the order of the writer.
    columns: Vec<(String, String, String)>,
    null_tokens: u64,
    large_items: u64,
}

/// Checks the output in `directory`; nothing found means that it keeps the contract.
pub(crate) fn check_output(directory: &Path) -> Vec<Violation> {
    check_changed_output(directory, None)
}

/// The same; after the change files its rows are those of the output `reference`, of the same tables at their end.
pub(crate) fn check_changed_output(directory: &Path, reference: Option<&Path>) -> Vec<Violation> {
    let mut findings = Findings::default();
    let objects = objects_below(directory);
    let declared = declarations(directory, &objects);
    let mut tables: Vec<TableDefinition> = Vec::new();
    let mut cdc_paths = BTreeSet::new();
    let parts: Vec<&str> = objects
        .keys()
        .filter_map(|name| name.strip_prefix("_cassport/external-table-definition"))
        .filter_map(|rest| rest.strip_suffix(".json"))
        .collect();
    if parts.is_empty() {
        findings.add("_cassport/external-table-definition.json", 12, "is not there");
    }
    for part in parts {
        let file = |kind: &str| format!("_cassport/{kind}{part}.json");
        let name = file("external-table-definition");
        let bytes = std::fs::read(directory.join(&name)).unwrap();
        let here = definition::check(&mut findings, &name, &bytes);
        if let Some(mappings) = read_json(&mut findings, directory, &file("table-mappings"), 14) {
            task::check_mappings(&mut findings, &file("table-mappings"), &mappings, &here);
        }
        let settings_name = file("s3-source-settings");
        if let Some(settings) = read_json(&mut findings, directory, &settings_name, 18) {
            task::check_source(&mut findings, &settings_name, &settings, &bytes);
            cdc_paths.extend(settings["CdcPath"].as_str().map(str::to_owned));
        }
        tables.extend(here);
    }
    let name = "_cassport/task-settings.json";
    if let Some(settings) = read_json(&mut findings, directory, name, 17) {
        let longest = rows::longest_lob(directory, &objects, &tables);
        task::check_settings(&mut findings, name, &settings, longest);
    }
    // Where the sequencer writes unless told otherwise; the settings of an extract need not know of it.
    if objects.keys().any(|name| name.starts_with("cdc-changes/")) {
        cdc_paths.insert("cdc-changes".to_owned());
    }
    definition::check_together(&mut findings, &tables, &cdc_paths);
    check_places(&mut findings, &objects, &tables, &cdc_paths);
    for table in &tables {
        let name = format!("{}.{}", table.owner, table.name);
        rows::check_table(&mut findings, directory, &objects, table, declared.get(&name));
    }
    for folder in &cdc_paths {
        let of_tables = (&tables[..], &declared);
        let files = changes::check_files(
            &mut findings,
            directory,
            &objects,
            folder,
            of_tables.0,
            of_tables.1,
        );
        let loaded = changes::loaded(directory, &objects, &tables);
        let reference = reference
            .map(|reference| changes::loaded(reference, &objects_below(reference), &tables));
        changes::replay(&mut findings, folder, loaded, &files, reference.as_ref());
    }
    findings.found.sort();
    findings.found
}

/// Rule 21: the tables in `directory` have as many rows as an independent reader of the same SSTables found (`expected`, by
/// `keyspace.table`), but for those that the report says were refused.
pub(crate) fn check_row_counts(
    directory: &Path,
    expected: &BTreeMap<String, u64>,
) -> Vec<Violation> {
    let mut findings = Findings::default();
    let objects = objects_below(directory);
    let mut refused: BTreeMap<String, u64> = BTreeMap::new();
    for name in objects.keys().filter(|name| name.ends_with("/report.json")) {
        let report: Value =
            serde_json::from_slice(&std::fs::read(directory.join(name)).unwrap()).unwrap();
        for table in report["tables"].as_array().unwrap() {
            let text = |key: &str| table[key].as_str().unwrap().to_owned();
            *refused.entry(format!("{}.{}", text("keyspace"), text("table"))).or_default() +=
                table["rowsQuarantined"].as_u64().unwrap();
        }
    }
    for (table, expected) in expected {
        let folder = format!("{}/", table.replacen('.', "/", 1));
        let mut rows = refused.get(table).copied().unwrap_or_default();
        for object in objects.keys().filter(|name| name.starts_with(&folder)) {
            let bytes = std::fs::read(directory.join(object)).unwrap();
            rows += csv::parse(&mut findings, object, &bytes).len() as u64;
        }
        if rows != *expected {
            findings.add(&folder, 21, format!("{rows} rows, {expected} are live"));
        }
    }
    findings.found
}

/// Rule 23: change files of profile `datalake`, which say when rows were written.
pub(crate) fn check_change_times(directory: &Path) -> Vec<Violation> {
    let mut findings = Findings::default();
    let objects = objects_below(directory);
    let is_key = |kind: &str| matches!(kind, "partition_key" | "clustering");
    let keys = declarations(directory, &objects).into_iter().map(|(table, declared)| {
        let of_key = declared.columns.into_iter().filter(|(_, _, kind)| is_key(kind));
        (format!("{}/", table.replacen('.', "/", 1)), of_key.map(|(name, _, _)| name).collect())
    });
    changes::check_times(&mut findings, directory, &objects, &keys.collect());
    findings.found
}

/// Rules 19 and 20: an output of profile `ddb-json`, and write requests of the sequencer behind it.
pub(crate) fn check_import(directory: &Path) -> Vec<Violation> {
    let mut findings = Findings::default();
    let objects = objects_below(directory);
    let requests = import::check(&mut findings, directory, &objects);
    import::check_requests(&mut findings, directory, &objects, &requests);
    findings.found
}

/// Names and sizes of all files, temporary ones too: a whole output has none.
fn objects_below(directory: &Path) -> BTreeMap<String, u64> {
    let mut objects = BTreeMap::new();
    let mut folders = vec![directory.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                objects.insert(name, path.metadata().unwrap().len());
            }
        }
    }
    objects
}

fn declarations(directory: &Path, objects: &BTreeMap<String, u64>) -> BTreeMap<String, Declared> {
    let mut declared: BTreeMap<String, Declared> = BTreeMap::new();
    for name in objects.keys() {
        if !name.starts_with("_cassport/agents/") || !name.ends_with("/manifest.json") {
            continue;
        }
        let bytes = std::fs::read(directory.join(name)).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        for table in manifest["tables"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let key = format!("{}.{}", text(&table["keyspace"]), text(&table["table"]));
            let entry = declared.entry(key).or_default();
            entry.columns = table["columns"]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| (text(&c["name"]), text(&c["type"]), text(&c["kind"])))
                .collect();
            let count = |name: &str| table["counters"][name].as_u64().unwrap_or(0);
            entry.null_tokens += count("textEqualToNullToken");
            entry.large_items += count("itemsOver400KB");
        }
    }
    declared
}

fn read_json(findings: &mut Findings, directory: &Path, name: &str, rule: u8) -> Option<Value> {
    let parsed = std::fs::read(directory.join(name))
        .map_err(|error| error.to_string())
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match parsed {
        Ok(value) => Some(value),
        Err(words) => {
            findings.add(name, rule, words);
            None
        }
    }
}

/// Rules 1 and 4: names and sizes under the folders of tables, and nothing outside known folders.
fn check_places(
    findings: &mut Findings,
    objects: &BTreeMap<String, u64>,
    tables: &[TableDefinition],
    cdc_paths: &BTreeSet<String>,
) {
    for (name, bytes) in objects {
        let known = name.starts_with("_cassport/")
            || cdc_paths.iter().any(|path| name.starts_with(&format!("{path}/")))
            || tables.iter().any(|t| name.starts_with(&format!("{}/{}-deletes/", t.owner, t.name)));
        if known {
            continue;
        }
        let Some(file) = tables.iter().find_map(|table| name.strip_prefix(&table.path)) else {
            findings.add(name, 1, "lies in no table's folder");
            continue;
        };
        let number = file.strip_prefix("LOAD").and_then(|rest| rest.strip_suffix(".csv"));
        let legal = number.is_some_and(|number| {
            number.len() == 8
                && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
                && !number.ends_with("00000")
        });
        if !legal {
            findings.add(name, 1, "is not LOAD, three hex digits, five hex digits from 1, .csv");
        }
        if *bytes == 0 || *bytes > 1 << 30 {
            findings.add(name, 4, format!("has {bytes} bytes: none, or more than 1 GiB"));
        }
    }
}
