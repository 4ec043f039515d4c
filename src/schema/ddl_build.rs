//! From parsed statements to the schema: types, keys, and the shape that compact tables have in SSTables.
//!
//! `COMPACT STORAGE` in CQL hides columns which the files have (`CreateTableStatement`, `CompactTables`):
//!
//! * without clustering columns (static compact): the columns are static, and there are a clustering column `column1` of
//!   type text and a regular column `value` of type blob (counter for counters) for what Thrift wrote;
//! * with clustering columns (dense): one regular column; where none is declared, `value` of type empty;
//! * super column families, which CQL cannot express, stand in a comment: a regular map column with an empty name, or, as
//!   3.11 shows dense ones, `column2` and `value` in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::user_types::{RawFields, expand_user_types, resolve_types, was_multi_cell};
use super::{
    ColumnKind, ColumnMetadata, CompactKind, DroppedColumn, IndexMetadata, KeyspaceMetadata,
    RowOrder, Schema, TableId, TableMetadata, ViewMetadata,
};
use crate::cql::{CqlType, UdtType, parse_cql_type};
use crate::error::{Error, Result};

/// `gc_grace_seconds` where none is given.
pub(crate) const DEFAULT_GC_GRACE_SECONDS: i64 = 864_000;

/// Everything that the statements said so far.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) keyspaces: BTreeMap<String, RawKeyspace>,
    pub(super) skipped: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct RawKeyspace {
    pub(super) defined: bool,
    pub(super) durable_writes: bool,
    pub(super) replication: BTreeMap<String, String>,
    pub(super) types: BTreeMap<String, RawFields>,
    pub(super) tables: BTreeMap<String, RawTable>,
    pub(super) indexes: Vec<RawIndex>,
    pub(super) not_printed: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct RawColumn {
    pub(super) name: String,
    pub(super) type_text: String,
    pub(super) is_static: bool,
    pub(super) mask: Option<String>,
    /// Line and column.
    pub(super) at: (usize, usize),
}

#[derive(Debug)]
pub(super) struct RawIndex {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) custom: bool,
    pub(super) options: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct RawView {
    pub(super) base: String,
    pub(super) where_clause: String,
    /// None for `*`.
    pub(super) selected: Option<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct RawTable {
    pub(super) keyspace: String,
    pub(super) name: String,
    pub(super) at: (usize, usize),
    pub(super) id: Option<TableId>,
    pub(super) columns: Vec<RawColumn>,
    pub(super) partition_key: Vec<String>,
    pub(super) clustering: Vec<String>,
    pub(super) descending: BTreeSet<String>,
    pub(super) compact: bool,
    /// `DROP COMPACT STORAGE`: the hidden columns show, the files stay.
    pub(super) storage_dropped: bool,
    pub(super) in_comment: bool,
    pub(super) options: BTreeMap<String, String>,
    /// Dropped columns and the time, if it is known.
    pub(super) dropped: Vec<(RawColumn, Option<i64>)>,
    pub(super) view: Option<RawView>,
}

impl RawTable {
    pub(super) fn new(keyspace: String, name: String, at: (usize, usize)) -> Self {
        Self {
            keyspace,
            name,
            at,
            id: None,
            columns: Vec::new(),
            partition_key: Vec::new(),
            clustering: Vec::new(),
            descending: BTreeSet::new(),
            compact: false,
            storage_dropped: false,
            in_comment: false,
            options: BTreeMap::new(),
            dropped: Vec::new(),
            view: None,
        }
    }

    pub(super) fn change(&mut self, name: &str, change: impl FnOnce(&mut RawColumn)) {
        if let Some(column) = self.columns.iter_mut().find(|column| column.name == name) {
            change(column);
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.change(from, |column| to.clone_into(&mut column.name));
        for name in self.partition_key.iter_mut().chain(&mut self.clustering) {
            if name == from {
                to.clone_into(name);
            }
        }
        if self.descending.remove(from) {
            self.descending.insert(to.to_owned());
        }
    }
}

/// `ALTER TABLE … ADD`.
pub(super) fn add_column(
    table: &mut RawTable,
    column: RawColumn,
    tolerant: bool,
) -> Result<(), String> {
    if table.columns.iter().any(|other| other.name == column.name) {
        return if tolerant {
            Ok(())
        } else {
            Err(format!("column {} is there already", column.name))
        };
    }
    // When it was dropped is not known, so what was written before cannot be told from what came after.
    table.dropped.retain(|(old, micros)| old.name != column.name || micros.is_some());
    table.columns.push(column);
    Ok(())
}

/// `ALTER TABLE … DROP`.
pub(super) fn drop_column(
    table: &mut RawTable,
    name: &str,
    micros: Option<i64>,
    tolerant: bool,
) -> Result<(), String> {
    let is_key = table.partition_key.iter().chain(&table.clustering).any(|key| key == name);
    let found = table.columns.iter().position(|column| column.name == name).filter(|_| !is_key);
    let Some(at) = found else {
        return if tolerant { Ok(()) } else { Err(format!("there is no column {name} to drop")) };
    };
    let column = table.columns.remove(at);
    table.dropped.retain(|(old, _)| old.name != name);
    table.dropped.push((column, micros));
    Ok(())
}

type Types = BTreeMap<String, Arc<UdtType>>;

fn fail(table: &RawTable, at: (usize, usize), what: impl std::fmt::Display) -> Error {
    let (line, column) = at;
    let name = format!("{}.{}", table.keyspace, table.name);
    Error::Schema {
        what: format!("line {line}, column {column}: table {name}: {what}"),
        hint: None,
    }
}

impl Draft {
    pub(super) fn keyspace(&mut self, name: &str) -> &mut RawKeyspace {
        self.keyspaces.entry(name.to_owned()).or_insert_with(|| RawKeyspace {
            defined: false,
            durable_writes: true,
            replication: BTreeMap::new(),
            types: BTreeMap::new(),
            tables: BTreeMap::new(),
            indexes: Vec::new(),
            not_printed: BTreeSet::new(),
        })
    }

    pub(super) fn build(self) -> Result<Schema> {
        let mut schema = Schema { skipped: self.skipped, ..Schema::default() };
        for (name, raw) in self.keyspaces {
            let types = resolve_types(&name, &raw.types)?;
            let mut keyspace = KeyspaceMetadata {
                name: name.clone(),
                durable_writes: raw.durable_writes,
                replication: raw.replication,
                tables: BTreeMap::new(),
                not_printed: raw.not_printed,
                types,
            };
            let (views, tables): (Vec<_>, Vec<_>) =
                raw.tables.into_values().partition(|table| table.view.is_some());
            for table in tables {
                let built = build_table(&table, &keyspace.types)?;
                keyspace.tables.insert(table.name, built);
            }
            for view in views {
                match build_view(&view, &keyspace.tables)? {
                    Some(built) => drop(keyspace.tables.insert(view.name, built)),
                    None => {
                        let what =
                            format!("materialized view {}, whose table is not here", view.name);
                        keyspace.not_printed.insert(what);
                    }
                }
            }
            for index in raw.indexes {
                add_index(&mut keyspace, index);
            }
            schema.keyspaces.insert(name, keyspace);
        }
        Ok(schema)
    }
}

fn add_index(keyspace: &mut KeyspaceMetadata, raw: RawIndex) {
    let Some(table) = keyspace.tables.get_mut(&raw.table) else {
        let what = format!("index {}, whose table is not here", raw.name);
        keyspace.not_printed.insert(what);
        return;
    };
    let kind = match table.compact {
        _ if raw.custom => "CUSTOM",
        CompactKind::StaticCompact => "KEYS",
        CompactKind::None | CompactKind::Dense | CompactKind::Super => "COMPOSITES",
    };
    if table.indexes.iter().all(|index| index.name != raw.name) {
        let index = IndexMetadata { name: raw.name, kind: kind.into(), options: raw.options };
        table.indexes.push(index);
        table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

fn cql_type(table: &RawTable, column: &RawColumn, types: &Types) -> Result<CqlType> {
    parse_cql_type(&column.type_text, &|name| types.get(name).cloned())
        .map_err(|e| fail(table, column.at, format!("column {}: {e}", column.name)))
}

fn empty_table(raw: &RawTable) -> TableMetadata {
    let number = |name: &str| {
        raw.options.get(name).and_then(|text| text.trim_matches('\'').parse::<i64>().ok())
    };
    TableMetadata {
        keyspace: raw.keyspace.clone(),
        name: raw.name.clone(),
        id: raw.id,
        partition_key: Vec::new(),
        clustering: Vec::new(),
        statics: Vec::new(),
        regulars: Vec::new(),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: number("gc_grace_seconds").unwrap_or(DEFAULT_GC_GRACE_SECONDS),
        default_time_to_live: number("default_time_to_live").unwrap_or(0),
        options: raw.options.clone(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

fn take_named(
    table: &RawTable,
    columns: &mut Vec<ColumnMetadata>,
    name: &str,
    kind: ColumnKind,
) -> Result<ColumnMetadata> {
    let Some(at) = columns.iter().position(|column| column.name == name) else {
        return Err(fail(
            table,
            table.at,
            format!("key column {name} is not a column, or is in the key twice"),
        ));
    };
    let column = columns.remove(at);
    let reversed = table.descending.contains(name);
    Ok(ColumnMetadata { kind, reversed, ..column })
}

fn build_table(raw: &RawTable, types: &Types) -> Result<TableMetadata> {
    let mut table = empty_table(raw);
    let mut columns = Vec::new();
    for column in &raw.columns {
        columns.push(ColumnMetadata {
            name: column.name.clone(),
            cql_type: cql_type(raw, column, types)?,
            kind: if column.is_static { ColumnKind::Static } else { ColumnKind::Regular },
            reversed: false,
            mask: column.mask.clone(),
        });
    }
    for name in &raw.partition_key {
        let column = take_named(raw, &mut columns, name, ColumnKind::PartitionKey)?;
        table.partition_key.push(column);
    }
    for name in &raw.clustering {
        table.clustering.push(take_named(raw, &mut columns, name, ColumnKind::Clustering)?);
    }
    (table.statics, table.regulars) =
        columns.into_iter().partition(|column| column.kind == ColumnKind::Static);
    table.counter =
        table.statics.iter().chain(&table.regulars).any(|c| c.cql_type == CqlType::Counter);
    if raw.compact {
        shape(&mut table, raw.in_comment);
    }
    if raw.storage_dropped {
        table.compact = CompactKind::None;
    }
    for (column, micros) in &raw.dropped {
        let is_static = column.is_static || table.compact == CompactKind::StaticCompact;
        let cql_type = cql_type(raw, column, types)?;
        table.dropped.push(DroppedColumn {
            name: column.name.clone(),
            multi_cell: was_multi_cell(&cql_type, &column.type_text),
            cql_type: expand_user_types(cql_type),
            kind: if is_static { ColumnKind::Static } else { ColumnKind::Regular },
            dropped_micros: micros.unwrap_or(i64::MAX),
        });
    }
    table.dropped.sort_by(|a, b| a.name.cmp(&b.name));
    table.sort_columns();
    Ok(table)
}

fn hidden(name: String, cql_type: CqlType, kind: ColumnKind) -> ColumnMetadata {
    ColumnMetadata { name, cql_type, kind, reversed: false, mask: None }
}

/// Gives a compact table the columns that its SSTables have.
pub(super) fn shape(table: &mut TableMetadata, in_comment: bool) {
    let used: BTreeSet<String> =
        [&table.partition_key, &table.clustering, &table.statics, &table.regulars]
            .into_iter()
            .flatten()
            .map(|column| column.name.clone())
            .collect();
    // As CompactTables.DefaultNames: value, value1, value2; column1, column2.
    let unused = |name: &String| !used.contains(name);
    let value = |cql_type| {
        let names =
            (0_u64..).map(|i| if i == 0 { "value".to_owned() } else { format!("value{i}") });
        hidden(names.into_iter().find(unused).unwrap_or_default(), cql_type, ColumnKind::Regular)
    };
    if table.regulars.iter().any(|column| column.name.is_empty()) {
        table.compact = CompactKind::Super;
    } else if !table.statics.is_empty() {
        // Written out with its hidden columns: CQL itself has no static columns in compact tables.
        table.compact = CompactKind::StaticCompact;
    } else if table.clustering.is_empty() {
        table.compact = CompactKind::StaticCompact;
        table.statics = std::mem::take(&mut table.regulars);
        for column in &mut table.statics {
            column.kind = ColumnKind::Static;
        }
        let name = (1_u64..).map(|i| format!("column{i}")).find(unused).unwrap_or_default();
        table.clustering.push(hidden(name, CqlType::Text, ColumnKind::Clustering));
        table.regulars.push(value(if table.counter { CqlType::Counter } else { CqlType::Blob }));
    } else if in_comment && table.clustering.len() == 2 && table.regulars.len() == 1 {
        table.compact = CompactKind::Super;
        if let (Some(key), Some(value)) = (table.clustering.pop(), table.regulars.pop()) {
            let map = CqlType::Map {
                key: Box::new(key.cql_type),
                value: Box::new(value.cql_type),
                frozen: false,
            };
            table.regulars.push(hidden(String::new(), map, ColumnKind::Regular));
        }
    } else {
        table.compact = CompactKind::Dense;
        if table.regulars.is_empty() {
            table.regulars.push(value(CqlType::Empty));
        }
    }
}

/// A view's columns are those of its table; none if the table is not known.
fn build_view(
    raw: &RawTable,
    tables: &BTreeMap<String, TableMetadata>,
) -> Result<Option<TableMetadata>> {
    let Some(view) = &raw.view else { return Ok(None) };
    let Some(base) = tables.get(&view.base) else { return Ok(None) };
    let mut table = empty_table(raw);
    let is_key =
        |name: &str| raw.partition_key.iter().chain(&raw.clustering).any(|key| key == name);
    let mut columns: Vec<ColumnMetadata> = [&base.partition_key, &base.clustering, &base.regulars]
        .into_iter()
        .flatten()
        .filter(|column| {
            let selected = view.selected.as_ref().is_none_or(|list| list.contains(&column.name));
            selected || is_key(&column.name)
        })
        .map(|column| hidden(column.name.clone(), column.cql_type.clone(), ColumnKind::Regular))
        .collect();
    for name in view.selected.iter().flatten() {
        if columns.iter().all(|column| column.name != *name) {
            return Err(fail(raw, raw.at, format!("column {name} is not in {}", view.base)));
        }
    }
    for name in &raw.partition_key {
        table.partition_key.push(take_named(raw, &mut columns, name, ColumnKind::PartitionKey)?);
    }
    for name in &raw.clustering {
        table.clustering.push(take_named(raw, &mut columns, name, ColumnKind::Clustering)?);
    }
    table.regulars = columns;
    table.view = Some(ViewMetadata {
        base_table: view.base.clone(),
        where_clause: view.where_clause.clone(),
        include_all_columns: view.selected.is_none(),
    });
    table.sort_columns();
    Ok(Some(table))
}
