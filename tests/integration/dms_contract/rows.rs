//! Rules 5 to 11 and 19: the records of a table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::csv::{self, Record};
use super::definition::TableDefinition;
use super::keys::{self, Part};
use super::{Declared, Findings, fields};

const MAX_ITEM: usize = 409_600;

/// Checks all files of a table.
pub(super) fn check_table(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    table: &TableDefinition,
    declared: Option<&Declared>,
) {
    let definition = "_cassport/external-table-definition.json";
    let Some(declared) = declared else {
        let what = format!("{}.{} is in no manifest", table.owner, table.name);
        findings.add(definition, 12, what);
        return;
    };
    let names = table.columns.iter().map(|column| &column.name);
    if !names.eq(declared.columns.iter().map(|(name, _, _)| name)) {
        let what = format!("{}.{}: columns are not in the writer's order", table.owner, table.name);
        findings.add(definition, 12, what);
        return;
    }
    let mut seen = Seen::default();
    for object in objects.keys().filter(|name| name.starts_with(&table.path)) {
        let bytes = std::fs::read(directory.join(object)).unwrap();
        for record in csv::parse(findings, object, &bytes) {
            let expected = table.columns.len();
            if record.fields.len() != expected {
                let what = format!("{} fields, not {expected}", record.fields.len());
                findings.at(object, record.line, "", 6, what);
                continue;
            }
            check_record(findings, object, table, declared, &record, &mut seen);
        }
    }
    if seen.null_tokens != declared.null_tokens {
        let what = format!(
            "{} quoted NULL tokens, the manifests count {}",
            seen.null_tokens, declared.null_tokens
        );
        findings.add(&table.path, 8, what);
    }
    if seen.large_items != declared.large_items {
        let what = format!(
            "{} items over 400 KB, the manifests count {}",
            seen.large_items, declared.large_items
        );
        findings.add(&table.path, 19, what);
    }
}

/// What is known of a table's records so far.
#[derive(Default)]
pub(super) struct Seen {
    keys: BTreeSet<Vec<String>>,
    null_tokens: u64,
    large_items: u64,
}

pub(super) fn check_record(
    findings: &mut Findings,
    object: &str,
    table: &TableDefinition,
    declared: &Declared,
    record: &Record,
    seen: &mut Seen,
) {
    let line = record.line;
    let mut item = 0;
    let mut key = Vec::new();
    let key_limits = [2048_usize, 1024];
    for ((column, field), (_, cql, _)) in
        table.columns.iter().zip(&record.fields).zip(&declared.columns)
    {
        let mut wrong = |rule, what: String| findings.at(object, line, &column.name, rule, what);
        let Some(value) = field.value() else {
            if column.is_key || !column.nullable {
                wrong(8, "NULL in a column that must not have it".to_owned());
            }
            key.extend(column.is_key.then(String::new));
            continue;
        };
        seen.null_tokens += u64::from(value == csv::NULL);
        item += column.name.len() + value.len();
        if let Err(what) = fields::check(column, value) {
            wrong(7, format!("{value:?} {what}"));
        } else if let Err((rule, what)) = fields::check_cql(cql, value) {
            wrong(rule, format!("{value:?} {what}"));
        }
        let is_number = column.column_type.starts_with("REAL") || column.column_type == "NUMERIC";
        if is_number && !column.is_key && !is_dynamodb_number(value) {
            wrong(19, format!("{value:?} is no number of DynamoDB"));
        }
        if column.is_key {
            if value.is_empty() {
                wrong(8, "an empty key".to_owned());
            }
            if key_limits.get(key.len()).is_some_and(|limit| value.len() > *limit) {
                wrong(19, format!("a key of {} bytes", value.len()));
            }
            key.push(value.to_owned());
        }
    }
    seen.large_items += u64::from(item > MAX_ITEM);
    for (name, kind) in [("cp_pk", "partition_key"), ("cp_sk", "clustering")] {
        let parts: Vec<_> = declared
            .columns
            .iter()
            .zip(&record.fields)
            .filter(|((_, _, found), _)| found == kind)
            .map(|((_, cql, _), field)| Part { cql, value: field.value() })
            .collect();
        let generated =
            |(other, _, kind): &(String, String, String)| other == name && kind == "composite_key";
        let Some(index) = declared.columns.iter().position(generated) else { continue };
        if let Some(text) = record.fields[index].value()
            && let Err(what) = keys::check(text, &parts, name == "cp_sk")
        {
            findings.at(object, line, name, 19, format!("{text:?} {what}"));
        }
    }
    if !seen.keys.insert(key.clone()) {
        findings.at(object, line, "", 11, format!("the key {key:?} is there twice"));
    }
}

/// At most 38 significant digits, between 1E-130 and 9.99E+125.
pub(super) fn is_dynamodb_number(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (Some((whole, fraction)), Ok(exponent)) =
        (fields::decimal(mantissa), exponent.parse::<i64>())
    else {
        return false;
    };
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return true;
    }
    let leading_zeros = digits.len() - digits.trim_start_matches('0').len();
    let magnitude =
        i64::try_from(whole.len()).unwrap() - i64::try_from(leading_zeros).unwrap() - 1 + exponent;
    significant.len() <= 38 && (-130..=125).contains(&magnitude)
}

/// Bytes of the longest value in a BLOB or CLOB column; none if there is no such column.
pub(super) fn longest_lob(
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    tables: &[TableDefinition],
) -> Option<usize> {
    let is_lob = |name: &str| matches!(name, "BLOB" | "CLOB");
    let mut longest = None;
    for table in tables {
        let lobs: Vec<_> = (0..table.columns.len())
            .filter(|index| is_lob(&table.columns[*index].column_type))
            .collect();
        if lobs.is_empty() {
            continue;
        }
        longest = longest.max(Some(0));
        for object in objects.keys().filter(|name| name.starts_with(&table.path)) {
            let bytes = std::fs::read(directory.join(object)).unwrap();
            for record in csv::parse(&mut Findings::default(), object, &bytes) {
                let lens =
                    lobs.iter().filter_map(|index| Some(record.fields.get(*index)?.text.len()));
                longest = longest.max(lens.max());
            }
        }
    }
    longest
}
