//! Rules 2, 6, 22 and 23: change files, and what they make of the rows before them. Rules 4, 5, 7 to 10 and 19 hold for their
//! records as for those of rows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use super::csv::{self, Record};
use super::definition::TableDefinition;
use super::rows::{Seen, check_record};
use super::{Declared, Findings};

/// Operation, table and schema stand before the columns.
const LEADING: usize = 3;
const OPERATIONS: [&str; 6] = ["INSERT", "UPDATE", "DELETE", "I", "U", "D"];

/// Rows by table and key.
pub(super) type Rows = BTreeMap<String, BTreeMap<Vec<String>, Vec<String>>>;

/// A change, ready to be applied.
pub(super) struct Applied {
    table: String,
    key: Vec<String>,
    /// The row; none if it is deleted.
    row: Option<Vec<String>>,
}

/// Checks the change files in `folder`; what each of them does, in their order.
pub(super) fn check_files(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    folder: &str,
    tables: &[TableDefinition],
    declared: &BTreeMap<String, Declared>,
) -> Vec<Vec<Applied>> {
    let mut files = Vec::new();
    let mut before: Option<(String, SystemTime)> = None;
    for (object, bytes) in objects {
        let Some(name) = object.strip_prefix(&format!("{folder}/")) else { continue };
        let number = name.strip_prefix("CDC").and_then(|rest| rest.strip_suffix(".csv"));
        if !number.is_some_and(|n| n.len() == 10 && n.bytes().all(|b| b.is_ascii_digit())) {
            findings.add(object, 2, "is not CDC, ten decimal digits, .csv");
            continue;
        }
        let modified = directory.join(object).metadata().unwrap().modified().unwrap();
        if let Some((name, time)) = &before
            && modified < *time
        {
            findings.add(object, 2, format!("is older than {name}, which is read before it"));
        }
        before = Some((object.clone(), modified));
        if *bytes == 0 || *bytes > 1 << 30 {
            findings.add(object, 4, format!("has {bytes} bytes: none, or more than 1 GiB"));
        }
        let content = std::fs::read(directory.join(object)).unwrap();
        let mut file = Vec::new();
        for record in csv::parse(findings, object, &content) {
            file.extend(check_change(findings, object, record, tables, declared));
        }
        files.push(file);
    }
    files
}

fn check_change(
    findings: &mut Findings,
    object: &str,
    mut record: Record,
    tables: &[TableDefinition],
    declared: &BTreeMap<String, Declared>,
) -> Option<Applied> {
    let text = |index: usize| record.fields.get(index).map_or("", |field| field.text.as_str());
    let (operation, name, owner) = (text(0).to_owned(), text(1).to_owned(), text(2).to_owned());
    if !OPERATIONS.contains(&operation.to_uppercase().as_str()) {
        let what = format!("{operation:?} is no operation");
        findings.at(object, record.line, "", 6, what);
        return None;
    }
    let Some(table) = tables.iter().find(|table| table.name == name && table.owner == owner) else {
        let what = format!("table {name:?} of schema {owner:?} is not in the definition");
        findings.at(object, record.line, "", 6, what);
        return None;
    };
    let expected = table.columns.len() + LEADING;
    if record.fields.len() != expected {
        let what = format!("{} fields, not {expected}", record.fields.len());
        findings.at(object, record.line, "", 6, what);
        return None;
    }
    record.fields.drain(..LEADING);
    let declared = declared.get(&format!("{owner}.{name}"))?;
    // A row may change more than once.
    check_record(findings, object, table, declared, &record, &mut Seen::default());
    let (key, row) = key_and_row(table, &record);
    let deleted = operation.to_uppercase().starts_with('D');
    Some(Applied { table: format!("{owner}.{name}"), key, row: (!deleted).then_some(row) })
}

fn key_and_row(table: &TableDefinition, record: &Record) -> (Vec<String>, Vec<String>) {
    let text = |field: &csv::Field| format!("{:?}", field.value());
    let row: Vec<String> = record.fields.iter().map(text).collect();
    let of_key = table.columns.iter().zip(&row).filter(|(column, _)| column.is_key);
    (of_key.map(|(_, value)| value.clone()).collect(), row)
}

/// The rows of the full load.
pub(super) fn loaded(
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    tables: &[TableDefinition],
) -> Rows {
    let mut rows = Rows::new();
    for table in tables {
        let of_table = rows.entry(format!("{}.{}", table.owner, table.name)).or_default();
        for object in objects.keys().filter(|name| name.starts_with(&table.path)) {
            let bytes = std::fs::read(directory.join(object)).unwrap();
            for record in csv::parse(&mut Findings::default(), object, &bytes) {
                if record.fields.len() == table.columns.len() {
                    of_table.extend([key_and_row(table, &record)]);
                }
            }
        }
    }
    rows
}

fn apply(rows: &mut Rows, file: &[Applied]) {
    for change in file {
        let of_table = rows.entry(change.table.clone()).or_default();
        match &change.row {
            Some(row) => drop(of_table.insert(change.key.clone(), row.clone())),
            None => drop(of_table.remove(&change.key)),
        }
    }
}

/// Rule 22: each file twice does what it does once; and what is there in the end is `reference`, if that is given.
pub(super) fn replay(
    findings: &mut Findings,
    folder: &str,
    mut rows: Rows,
    files: &[Vec<Applied>],
    reference: Option<&Rows>,
) {
    for (i, file) in files.iter().enumerate() {
        apply(&mut rows, file);
        let once = rows.clone();
        apply(&mut rows, file);
        if rows != once {
            findings.add(folder, 22, format!("file {} does something else when read twice", i + 1));
        }
    }
    let Some(reference) = reference else { return };
    let none = BTreeMap::new();
    for table in rows.keys().chain(reference.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (found, wanted) =
            (rows.get(table).unwrap_or(&none), reference.get(table).unwrap_or(&none));
        let keys = found.keys().chain(wanted.keys()).collect::<std::collections::BTreeSet<_>>();
        for key in keys {
            let (found, wanted) = (found.get(key), wanted.get(key));
            if found != wanted {
                findings.add(
                    folder,
                    22,
                    format!("{table} {key:?}: {found:?} in place of {wanted:?}"),
                );
            }
        }
    }
}

/// Rule 23 where change files say the time (`datalake`): for each row `cp_ts` does not go back. `keys` are the key columns by folder.
pub(super) fn check_times(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    keys: &BTreeMap<String, Vec<String>>,
) {
    for (folder, keys) in keys {
        let mut newest: BTreeMap<Vec<String>, (usize, String)> = BTreeMap::new();
        let is_change = |name: &&String| {
            name.strip_prefix(folder).is_some_and(|file| file.starts_with(char::is_numeric))
        };
        for object in objects.keys().filter(is_change) {
            let bytes = std::fs::read(directory.join(object)).unwrap();
            // Its canonical form is another one than that of `dms`.
            let mut records = csv::parse(&mut Findings::default(), object, &bytes);
            if records.is_empty() {
                continue;
            }
            let header: Vec<String> =
                records.remove(0).fields.into_iter().map(|field| field.text).collect();
            let index = |name: &str| header.iter().position(|column| column == name);
            let (Some(time), Some(keys)) =
                (index("cp_ts"), keys.iter().map(|key| index(key)).collect::<Option<Vec<_>>>())
            else {
                findings.add(object, 23, "has no cp_ts, or not all columns of the key");
                continue;
            };
            for record in records {
                let key: Vec<String> =
                    keys.iter().map(|i| format!("{:?}", record.fields[*i].value())).collect();
                let time = record.fields[time].text.clone();
                // Years may have more than four digits.
                let time = (time.find('-').unwrap_or_default(), time);
                match newest.get(&key) {
                    Some(before) if *before > time => {
                        let what = format!("{key:?} was written at {} before", before.1);
                        findings.at(object, record.line, "cp_ts", 23, what);
                    }
                    _ => drop(newest.insert(key, time)),
                }
            }
        }
    }
}
