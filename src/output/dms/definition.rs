//! The external table definition, cut into several where it would be larger than an endpoint takes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::mapping::mappings;
use super::settings::{source_settings, task_settings};
use super::types::{DmsType, column_length};
use super::{DmsFiles, DmsTable, DmsTarget};
use crate::error::{Error, Result};
use crate::output::manifest::write_json;
use crate::output::names::table_folder;

/// DMS takes at most 2 MB of definition for an endpoint.
pub const MAX_DEFINITION_BYTES: usize = 2_000_000;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    table_count: String,
    tables: Vec<Table>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Table {
    table_name: String,
    table_path: String,
    table_owner: String,
    table_columns: Vec<Column>,
    table_columns_total: String,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Column {
    column_name: String,
    column_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_length: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_precision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_scale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_date_format: Option<&'static str>,
    column_nullable: &'static str,
    column_is_pk: &'static str,
}

/// Makes all files for DMS; names are relative to the folder they belong in.
///
/// There is one task-settings.json. The other three come once per source endpoint, from the second on with `-2`, `-3`
/// before the extension and with a folder of changes of their own.
pub fn write_dms_files(tables: &[DmsTable], target: &DmsTarget) -> Result<DmsFiles> {
    write_dms_files_within(tables, target, MAX_DEFINITION_BYTES)
}

pub(super) fn write_dms_files_within(
    tables: &[DmsTable],
    target: &DmsTarget,
    max_bytes: usize,
) -> Result<DmsFiles> {
    let mut made = DmsFiles::default();
    if tables.is_empty() {
        made.warnings.push("there are no tables: nothing for DMS to load".to_owned());
        return Ok(made);
    }
    let mut targets = BTreeSet::new();
    for (index, (part, definition)) in parts(tables, max_bytes)?.into_iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
        let mapping = write_json(&mappings(part, &mut targets, &mut made.warnings)?)?;
        let embedded = serde_json::to_string(&definition)
            .map_err(|error| Error::Bug(format!("cannot write JSON: {error}")))?;
        made.files.extend([
            (format!("external-table-definition{suffix}.json"), write_json(&definition)?),
            (format!("table-mappings{suffix}.json"), mapping),
            (
                format!("s3-source-settings{suffix}.json"),
                write_json(&source_settings(target, &suffix, embedded))?,
            ),
        ]);
        let names = part.iter().map(|table| format!("{}.{}", table.keyspace, table.table));
        made.endpoints.push(names.collect());
    }
    made.files.push(("task-settings.json".to_owned(), task_settings(tables)?.into_bytes()));
    if made.endpoints.len() > 1 {
        made.warnings.push(format!(
            "the external table definition exceeds 2 MB: make {} source endpoints and tasks, one for each s3-source-settings",
            made.endpoints.len()
        ));
    }
    Ok(made)
}

/// Cuts the tables into parts whose definitions, as pretty JSON, keep within `max_bytes`.
fn parts(tables: &[DmsTable], max_bytes: usize) -> Result<Vec<(&[DmsTable], Definition)>> {
    let mut parts = Vec::new();
    let mut rest = tables;
    while !rest.is_empty() {
        let mut entries = Vec::new();
        // Pretty JSON of a table inside the document is indented by four more blanks a line, and a comma follows it.
        let mut bytes = write_json(&definition_of(Vec::new()))?.len() + 16;
        for table in rest {
            let entry = entry(table);
            let text = write_json(&entry)?;
            let lines = text.iter().filter(|byte| **byte == b'\n').count();
            bytes += text.len() + 4 * lines + 2;
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            if bytes > max_bytes {
                return Err(Error::Refused {
                    what: format!(
                        "{}.{} has {} columns: more than an external table definition of DMS can hold",
                        table.keyspace,
                        table.table,
                        table.columns.len()
                    ),
                    hint: Some("leave columns out with --exclude-columns".to_owned()),
                });
            }
            entries.push(entry);
        }
        let Some((part, left)) = rest.split_at_checked(entries.len()) else {
            return Err(Error::Bug("more entries than tables".to_owned()));
        };
        parts.push((part, definition_of(entries)));
        rest = left;
    }
    Ok(parts)
}

fn definition_of(tables: Vec<Table>) -> Definition {
    Definition { table_count: tables.len().to_string(), tables }
}

fn entry(table: &DmsTable) -> Table {
    let columns = table.columns.iter().map(|column| {
        let is_key = table.is_key(column);
        let (precision, scale, date_format) = match column.column_type {
            DmsType::Numeric { precision, scale } => {
                (Some(precision.to_string()), Some(scale.to_string()), None)
            }
            DmsType::Datetime => (None, Some("3".to_owned()), Some("YYYY-MM-dd HH:mm:ss.F")),
            _ => (None, None, None),
        };
        Column {
            column_name: column.name.clone(),
            column_type: column.column_type.name(),
            column_length: column_length(column.column_type, column.max_bytes)
                .map(|length| length.to_string()),
            column_precision: precision,
            column_scale: scale,
            column_date_format: date_format,
            column_nullable: if is_key { "false" } else { "true" },
            column_is_pk: if is_key { "true" } else { "false" },
        }
    });
    Table {
        table_name: table.table.clone(),
        table_path: table_folder(&table.keyspace, &table.table),
        table_owner: table.keyspace.clone(),
        table_columns: columns.collect(),
        table_columns_total: table.columns.len().to_string(),
    }
}
