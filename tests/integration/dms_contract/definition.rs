//! Rules 3, 12 and 13: the external table definition.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Findings;

/// A table as the definition has it.
#[derive(Debug)]
pub(super) struct TableDefinition {
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) columns: Vec<ColumnDefinition>,
}

/// A column as the definition has it.
#[derive(Debug)]
pub(super) struct ColumnDefinition {
    pub(super) name: String,
    pub(super) column_type: String,
    pub(super) length: u64,
    pub(super) precision: u64,
    pub(super) scale: u64,
    pub(super) nullable: bool,
    pub(super) is_key: bool,
    pub(super) date_format: Option<String>,
}

const TYPES: [&str; 19] = [
    "BYTE", "DATE", "TIME", "DATETIME", "INT1", "INT2", "INT4", "INT8", "NUMERIC", "REAL4",
    "REAL8", "STRING", "UINT1", "UINT2", "UINT4", "UINT8", "BLOB", "CLOB", "BOOLEAN",
];

const DATE_FORMATS: [&str; 4] =
    ["YYYY-MM-dd HH:mm:ss", "YYYY/MM/dd HH:mm:ss", "MM/dd/YYYY HH:mm:ss", "YYYYMMdd HH:mm:ss"];

/// Checks a definition by itself; returns what of it can be used.
pub(super) fn check(findings: &mut Findings, object: &str, bytes: &[u8]) -> Vec<TableDefinition> {
    if bytes.len() > 2_000_000 {
        findings.add(object, 12, format!("has {} bytes, more than 2 MB", bytes.len()));
    }
    let root: Value = match serde_json::from_slice(bytes) {
        Ok(root) => root,
        Err(error) => {
            findings.add(object, 12, error.to_string());
            return Vec::new();
        }
    };
    known_keys(findings, object, &root, &["TableCount", "Tables"]);
    let tables = root["Tables"].as_array().cloned().unwrap_or_default();
    if tables.is_empty() || root["TableCount"].as_str() != Some(&tables.len().to_string()) {
        findings.add(object, 12, "TableCount is not the number of tables, or there are none");
    }
    tables.iter().map(|table| check_table(findings, object, table)).collect()
}

fn check_table(findings: &mut Findings, object: &str, table: &Value) -> TableDefinition {
    let keys = ["TableName", "TablePath", "TableOwner", "TableColumns", "TableColumnsTotal"];
    known_keys(findings, object, table, &keys);
    let mut text = |key: &str| match table[key].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => {
            findings.add(object, 12, format!("{key} is not a text: {}", table[key]));
            String::new()
        }
    };
    let (name, owner, path) = (text("TableName"), text("TableOwner"), text("TablePath"));
    let total = text("TableColumnsTotal");
    let columns = table["TableColumns"].as_array().cloned().unwrap_or_default();
    if total != columns.len().to_string() || columns.is_empty() {
        findings.add(object, 12, format!("{owner}.{name}: TableColumnsTotal is not their number"));
    }
    if path != format!("{owner}/{name}/") {
        findings.add(object, 3, format!("{owner}.{name}: TablePath {path:?} is not its folder"));
    }
    let columns: Vec<_> =
        columns.iter().map(|column| check_column(findings, object, column)).collect();
    let names: BTreeSet<_> = columns.iter().map(|column| &column.name).collect();
    if names.len() != columns.len() {
        findings.add(object, 12, format!("{owner}.{name}: two columns have one name"));
    }
    if !columns.iter().any(|column| column.is_key) {
        findings.add(object, 12, format!("{owner}.{name}: no key column"));
    }
    TableDefinition { owner, name, path, columns }
}

fn check_column(findings: &mut Findings, object: &str, column: &Value) -> ColumnDefinition {
    let keys = [
        "ColumnName",
        "ColumnType",
        "ColumnLength",
        "ColumnNullable",
        "ColumnIsPk",
        "ColumnPrecision",
        "ColumnScale",
        "ColumnDateFormat",
    ];
    known_keys(findings, object, column, &keys);
    let name = column["ColumnName"].as_str().unwrap_or_default().to_owned();
    let mut wrong = |rule: u8, what: String| findings.at(object, 0, &name, rule, what);
    for (key, value) in column.as_object().into_iter().flatten() {
        if !value.is_string() {
            wrong(12, format!("{key} is not a string: {value}"));
        }
    }
    let column_type = column["ColumnType"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() || !TYPES.contains(&column_type.as_str()) {
        wrong(12, format!("no name, or unknown type {column_type:?}"));
    }
    let number = |key: &str| column[key].as_str().and_then(|text| text.parse::<u64>().ok());
    let (length, precision, scale) =
        (number("ColumnLength"), number("ColumnPrecision"), number("ColumnScale"));
    let sized = matches!(column_type.as_str(), "STRING" | "BYTE");
    if sized != length.is_some_and(|length| (1..=2_147_483_647).contains(&length)) {
        wrong(12, format!("{column_type} with ColumnLength {length:?}"));
    }
    let sound = match column_type.as_str() {
        "NUMERIC" => match (precision, scale) {
            (Some(precision), Some(scale)) => precision <= 38 && scale <= 31 && scale <= precision,
            _ => false,
        },
        "DATETIME" => precision.is_none() && scale.is_some_and(|scale| scale <= 9),
        _ => precision.is_none() && scale.is_none(),
    };
    if !sound {
        wrong(12, format!("{column_type} with precision {precision:?} and scale {scale:?}"));
    }
    let date_format = column["ColumnDateFormat"].as_str().map(str::to_owned);
    if let Some(format) = &date_format {
        let plain = format.strip_suffix(".F").unwrap_or(format);
        if !DATE_FORMATS.contains(&plain) {
            wrong(12, format!("ColumnDateFormat {format:?} is not one of the eight"));
        }
    }
    let mut flag = |key: &str| match column[key].as_str() {
        Some("true") => true,
        Some("false") => false,
        _ => {
            wrong(12, format!("{key} is neither true nor false"));
            false
        }
    };
    let (nullable, is_key) = (flag("ColumnNullable"), flag("ColumnIsPk"));
    if is_key && nullable {
        wrong(8, "a key column is nullable".to_owned());
    }
    if !is_key && !nullable {
        wrong(13, "a column outside the key is not nullable".to_owned());
    }
    ColumnDefinition {
        name,
        column_type,
        length: length.unwrap_or(0),
        precision: precision.unwrap_or(0),
        scale: scale.unwrap_or(0),
        nullable,
        is_key,
        date_format,
    }
}

fn known_keys(findings: &mut Findings, object: &str, value: &Value, known: &[&str]) {
    for key in value.as_object().into_iter().flat_map(|map| map.keys()) {
        if !known.contains(&key.as_str()) {
            findings.add(object, 12, format!("unknown key {key}"));
        }
    }
}

/// Rules 3 and 12 over all definitions of an output.
pub(super) fn check_together(
    findings: &mut Findings,
    tables: &[TableDefinition],
    cdc_paths: &BTreeSet<String>,
) {
    let object = "_cassport/external-table-definition.json";
    for (index, table) in tables.iter().enumerate() {
        let name = format!("{}.{}", table.owner, table.name);
        let others = tables.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others {
            if (&other.owner, &other.name) == (&table.owner, &table.name) {
                findings.add(object, 12, format!("{name} is there twice"));
            } else if other.path.starts_with(&table.path) {
                findings.add(object, 3, format!("the folder of {name} is a prefix of another's"));
            }
        }
        if cdc_paths.iter().any(|path| format!("{path}/").starts_with(&table.path)) {
            findings.add(object, 3, format!("the folder of {name} is a prefix of CdcPath"));
        }
    }
}
