//! Rows, cells and deletions as JSON, as they lie in an SSTable.

use serde_json::{Value, json};

use crate::cql::CqlType;
use crate::io::ByteReader;
use crate::output::value_json;
use crate::rows::{Cell, DeletionTime, Marker, RowView};
use crate::schema::{ColumnMetadata, TableMetadata};

/// A value; numbers longer than JSON readers keep stay text.
pub(super) fn value(cql_type: &CqlType, bytes: &[u8]) -> Value {
    let text = value_json(cql_type, bytes);
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The partition key by column.
pub(super) fn key(table: &TableMetadata, key: &[u8]) -> Value {
    if let [only] = table.partition_key.as_slice() {
        return json!({ only.name.clone(): value(&only.cql_type, key) });
    }
    let mut r = ByteReader::new(key);
    let mut out = serde_json::Map::new();
    for column in &table.partition_key {
        let bytes = r.read_bytes16("key component").unwrap_or_default();
        out.insert(column.name.clone(), value(&column.cql_type, bytes));
        // The byte behind each component says nothing in a key.
        if r.skip(1, "end of component").is_err() {
            break;
        }
    }
    Value::Object(out)
}

/// Clustering values by column; a bound has fewer than the table.
pub(super) fn clustering(table: &TableMetadata, view: RowView<'_>) -> Value {
    let mut out = serde_json::Map::new();
    for (column, found) in table.clustering.iter().zip(&view.row.clustering) {
        let shown =
            found.bytes(view.data).map_or(Value::Null, |bytes| value(&column.cql_type, bytes));
        out.insert(column.name.clone(), shown);
    }
    Value::Object(out)
}

/// A deletion; null for none.
pub(super) fn deletion(deletion: &DeletionTime) -> Value {
    if deletion.is_live() {
        return Value::Null;
    }
    json!({ "markedForDeleteAt": deletion.marked_for_delete_at, "localDeletionTime": deletion.local_deletion_time.0 })
}

/// A marker's kind and deletions.
pub(super) fn marker(table: &TableMetadata, view: RowView<'_>, marker: &Marker) -> Value {
    json!({
        "bound": format!("{:?}", marker.kind), "clustering": clustering(table, view),
        "ends": deletion(&marker.end), "starts": deletion(&marker.start),
    })
}

fn path_type(cql_type: &CqlType) -> &CqlType {
    match cql_type {
        CqlType::Set { element, .. } => element,
        CqlType::Map { key, .. } => key,
        CqlType::Udt { .. } => &CqlType::Smallint,
        _ => &CqlType::Timeuuid,
    }
}

fn value_type<'t>(cql_type: &'t CqlType, path: &[u8]) -> &'t CqlType {
    match cql_type {
        CqlType::List { element, frozen: false } => element,
        CqlType::Map { value, frozen: false, .. } => value,
        CqlType::Udt { udt, frozen: false } => {
            let index =
                path.first_chunk::<2>().map_or(usize::MAX, |b| usize::from(u16::from_be_bytes(*b)));
            udt.fields.get(index).map_or(&CqlType::Blob, |(_, t)| t)
        }
        other => other,
    }
}

/// One cell.
pub(super) fn cell(column: &ColumnMetadata, cell: &Cell, data: &[u8]) -> Value {
    let mut out = serde_json::Map::new();
    out.insert("column".into(), column.name.clone().into());
    let path = cell.path.of(data);
    if column.cql_type.is_multi_cell() {
        out.insert("path".into(), value(path_type(&column.cql_type), path));
    }
    if cell.is_tombstone() {
        out.insert("deleted".into(), true.into());
    } else if !matches!(column.cql_type, CqlType::Set { frozen: false, .. }) {
        out.insert("value".into(), value(value_type(&column.cql_type, path), cell.value.of(data)));
    }
    out.insert("writetime".into(), cell.timestamp.into());
    if cell.is_expiring() {
        out.insert("ttl".into(), cell.ttl.into());
    }
    if cell.local_deletion_time.is_some() {
        let name = if cell.is_expiring() { "expires" } else { "localDeletionTime" };
        out.insert(name.into(), cell.local_deletion_time.0.into());
    }
    Value::Object(out)
}

/// A row with everything in it.
pub(super) fn row(table: &TableMetadata, view: RowView<'_>, is_static: bool) -> Value {
    let columns = if is_static { &table.statics } else { &table.regulars };
    let mut out = serde_json::Map::new();
    out.insert(
        if is_static { "static" } else { "clustering" }.into(),
        match is_static {
            true => true.into(),
            false => clustering(table, view),
        },
    );
    let liveness = &view.row.liveness;
    if !liveness.is_empty() {
        let mut shown = json!({ "writetime": liveness.timestamp });
        if let (Some(shown), true) = (shown.as_object_mut(), liveness.ttl != crate::rows::NO_TTL) {
            shown.insert("ttl".into(), liveness.ttl.into());
            shown.insert("expires".into(), liveness.local_deletion_time.0.into());
        }
        out.insert("marker".into(), shown);
    }
    if !view.row.deletion.is_live() {
        out.insert("deletion".into(), deletion(&view.row.deletion));
    }
    let name = |index: u16| columns.get(usize::from(index)).map_or("", |c| c.name.as_str());
    let complex: Vec<Value> = view
        .row
        .complex
        .iter()
        .map(|c| json!({ "column": name(c.column), "deletion": deletion(&c.deletion) }))
        .collect();
    if !complex.is_empty() {
        out.insert("columnDeletions".into(), complex.into());
    }
    let cells = view
        .row
        .cells
        .iter()
        .filter_map(|c| Some(cell(columns.get(usize::from(c.column))?, c, view.data)));
    out.insert("cells".into(), cells.collect::<Vec<_>>().into());
    Value::Object(out)
}
