//! The schema as 3.0 and later keep it in their own tables (`SchemaKeyspace`), and those tables themselves.
//!
//! Their definitions are those of 5.0, which has all columns of the releases before it. Columns that a release lacks have
//! no values, and columns that a later one has are decoded by what the SSTables say of them, so one definition reads all.

use std::collections::BTreeMap;

use super::raw_row::{Columns, RawRow, SystemTables};
use crate::cql::{CqlType, parse_cql_type};
use crate::error::{Error, Result};
use crate::schema::{
    ColumnKind, ColumnMetadata, CompactKind, DEFAULT_GC_GRACE_SECONDS, DroppedColumn,
    IndexMetadata, KeyspaceMetadata, RawFields, RowOrder, Schema, TableId, TableMetadata,
    ViewMetadata, map_literal, parse_schema, resolve_types, text_literal, was_multi_cell,
};

/// The tables we read. Ids are MD5 name UUIDs of keyspace and table, the same on every node.
const DEFINITIONS: &str = "
CREATE KEYSPACE system_schema WITH replication = {'class': 'org.apache.cassandra.locator.LocalStrategy'};
CREATE TABLE system_schema.keyspaces (
    keyspace_name text PRIMARY KEY, durable_writes boolean, replication frozen<map<text, text>>
) WITH ID = 'abac5682dea631c5b535b3d6cffd0fb6' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.tables (
    keyspace_name text, table_name text, additional_write_policy text, allow_auto_snapshot boolean,
    bloom_filter_fp_chance double, caching frozen<map<text, text>>, cdc boolean, comment text,
    compaction frozen<map<text, text>>, compression frozen<map<text, text>>, crc_check_chance double,
    dclocal_read_repair_chance double, default_time_to_live int, extensions frozen<map<text, blob>>,
    flags frozen<set<text>>, gc_grace_seconds int, id uuid, incremental_backups boolean, max_index_interval int,
    memtable text, memtable_flush_period_in_ms int, min_index_interval int, read_repair text,
    read_repair_chance double, speculative_retry text, PRIMARY KEY (keyspace_name, table_name)
) WITH ID = 'afddfb9dbc1e30688056eed6c302ba09' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.columns (
    keyspace_name text, table_name text, column_name text, clustering_order text, column_name_bytes blob, kind text,
    position int, type text, PRIMARY KEY (keyspace_name, table_name, column_name)
) WITH ID = '24101c25a2ae3af787c1b40ee1aca33f' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.column_masks (
    keyspace_name text, table_name text, column_name text, function_keyspace text, function_name text,
    function_argument_types frozen<list<text>>, function_argument_values frozen<list<text>>,
    function_argument_nulls frozen<list<boolean>>, PRIMARY KEY (keyspace_name, table_name, column_name)
) WITH ID = '738cc5ed01683268b9d1853d4bc278af' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.dropped_columns (
    keyspace_name text, table_name text, column_name text, dropped_time timestamp, kind text, type text,
    PRIMARY KEY (keyspace_name, table_name, column_name)
) WITH ID = '5e7583b5f3f43af19a39b7e1d6f5f11f' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.types (
    keyspace_name text, type_name text, field_names frozen<list<text>>, field_types frozen<list<text>>,
    PRIMARY KEY (keyspace_name, type_name)
) WITH ID = '5a8b1ca866023f77a0459273d308917a' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.views (
    keyspace_name text, view_name text, additional_write_policy text, allow_auto_snapshot boolean, base_table_id uuid,
    base_table_name text, bloom_filter_fp_chance double, caching frozen<map<text, text>>, cdc boolean, comment text,
    compaction frozen<map<text, text>>, compression frozen<map<text, text>>, crc_check_chance double,
    dclocal_read_repair_chance double, default_time_to_live int, extensions frozen<map<text, blob>>,
    gc_grace_seconds int, id uuid, include_all_columns boolean, incremental_backups boolean, max_index_interval int,
    memtable text, memtable_flush_period_in_ms int, min_index_interval int, read_repair text,
    read_repair_chance double, speculative_retry text, where_clause text, PRIMARY KEY (keyspace_name, view_name)
) WITH ID = '9786ac1cdd583201a7cdad556410c985' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.indexes (
    keyspace_name text, table_name text, index_name text, kind text, options frozen<map<text, text>>,
    PRIMARY KEY (keyspace_name, table_name, index_name)
) WITH ID = '0feb57ac311f382fba6d9024d305702f' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.triggers (
    keyspace_name text, table_name text, trigger_name text, options frozen<map<text, text>>,
    PRIMARY KEY (keyspace_name, table_name, trigger_name)
) WITH ID = '4df70b666b05325195a132b54005fd48' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.functions (
    keyspace_name text, function_name text, argument_types frozen<list<text>>, argument_names frozen<list<text>>,
    body text, called_on_null_input boolean, language text, return_type text,
    PRIMARY KEY (keyspace_name, function_name, argument_types)
) WITH ID = '96489b7980be3e14a70166a0b9159450' AND gc_grace_seconds = 604800;
CREATE TABLE system_schema.aggregates (
    keyspace_name text, aggregate_name text, argument_types frozen<list<text>>, final_func text, initcond text,
    return_type text, state_func text, state_type text,
    PRIMARY KEY (keyspace_name, aggregate_name, argument_types)
) WITH ID = '924c55872e3a345bb10c12f37c1ba895' AND gc_grace_seconds = 604800;
CREATE KEYSPACE system WITH replication = {'class': 'org.apache.cassandra.locator.LocalStrategy'};
CREATE TABLE system.local (
    key text PRIMARY KEY, bootstrapped text, broadcast_address inet, broadcast_port int, cluster_name text,
    cql_version text, data_center text, gossip_generation int, host_id uuid, listen_address inet, listen_port int,
    native_protocol_version text, partitioner text, rack text, release_version text, rpc_address inet, rpc_port int,
    schema_version uuid, thrift_version text, tokens set<text>, truncated_at map<uuid, blob>
) WITH ID = '7ad54392bcdd35a684174e047860b377' AND gc_grace_seconds = 0;
CREATE TABLE system.peers (
    peer inet PRIMARY KEY, data_center text, host_id uuid, preferred_ip inet, rack text, release_version text,
    rpc_address inet, schema_version uuid, tokens set<text>
) WITH ID = '37f71aca7dc2383ba70672528af04d4f' AND gc_grace_seconds = 0;
CREATE TABLE system.peers_v2 (
    peer inet, peer_port int, data_center text, host_id uuid, native_address inet, native_port int, preferred_ip inet,
    preferred_port int, rack text, release_version text, schema_version uuid, tokens set<text>,
    PRIMARY KEY (peer, peer_port)
) WITH ID = 'c4325fbb8e5e3bafbd070f9250ed818e' AND gc_grace_seconds = 0;
";

/// How an option's column becomes CQL.
enum OptionKind {
    Text,
    TextMap,
    BlobMap,
    Int,
    Double,
    Boolean,
}

const OPTIONS: [(&str, OptionKind); 21] = [
    ("additional_write_policy", OptionKind::Text),
    ("allow_auto_snapshot", OptionKind::Boolean),
    ("bloom_filter_fp_chance", OptionKind::Double),
    ("caching", OptionKind::TextMap),
    ("cdc", OptionKind::Boolean),
    ("comment", OptionKind::Text),
    ("compaction", OptionKind::TextMap),
    ("compression", OptionKind::TextMap),
    ("crc_check_chance", OptionKind::Double),
    ("dclocal_read_repair_chance", OptionKind::Double),
    ("default_time_to_live", OptionKind::Int),
    ("extensions", OptionKind::BlobMap),
    ("gc_grace_seconds", OptionKind::Int),
    ("incremental_backups", OptionKind::Boolean),
    ("max_index_interval", OptionKind::Int),
    ("memtable", OptionKind::Text),
    ("memtable_flush_period_in_ms", OptionKind::Int),
    ("min_index_interval", OptionKind::Int),
    ("read_repair", OptionKind::Text),
    ("read_repair_chance", OptionKind::Double),
    ("speculative_retry", OptionKind::Text),
];

/// Definitions of the node's own tables: `system_schema.*`, and `system.local`, `peers` and `peers_v2`.
pub fn system_tables() -> Result<Schema> {
    let mut schema = parse_schema(DEFINITIONS, None)?;
    schema.origin = "built in".into();
    Ok(schema)
}

/// The definition of one of the node's own tables.
pub fn system_table(keyspace: &str, name: &str) -> Result<TableMetadata> {
    let mut schema = system_tables()?;
    let found = schema.keyspaces.get_mut(keyspace).and_then(|k| k.tables.remove(name));
    found.ok_or_else(|| Error::Bug(format!("table {keyspace}.{name} is not built in")))
}

/// The live rows of `system_schema`.
#[derive(Debug, Clone, Default)]
pub struct SystemRows {
    /// Rows by table name.
    pub tables: BTreeMap<String, Vec<RawRow>>,
}

impl SystemRows {
    /// Reads all tables of `system_schema`.
    pub fn read(source: &mut dyn SystemTables) -> Result<Self> {
        let definitions = system_tables()?;
        let mut rows = Self::default();
        for table in
            definitions.keyspaces.get("system_schema").into_iter().flat_map(|k| k.tables.values())
        {
            rows.tables.insert(table.name.clone(), source.rows(table)?);
        }
        Ok(rows)
    }

    /// True if no table is described.
    pub fn is_empty(&self) -> bool {
        self.of("tables").next().is_none()
    }

    fn of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = Columns<'a>> {
        let rows = self.tables.get(table).map(Vec::as_slice).unwrap_or_default();
        rows.iter().map(move |row| Columns { table, row })
    }
}

type Key = (String, String);

fn key(row: &Columns<'_>, name: &str) -> Result<Key> {
    Ok((row.need_text("keyspace_name")?, row.need_text(name)?))
}

/// What the rows say of one table, before its own row is read.
#[derive(Default)]
struct Parts {
    columns: Vec<(i32, ColumnMetadata)>,
    dropped: Vec<DroppedColumn>,
    indexes: Vec<IndexMetadata>,
}

/// Builds the schema from the rows of `system_schema`.
pub fn build_schema(rows: &SystemRows) -> Result<Schema> {
    let mut keyspaces: BTreeMap<String, KeyspaceMetadata> = BTreeMap::new();
    for row in rows.of("keyspaces") {
        let name = row.need_text("keyspace_name")?;
        let keyspace = keyspace(&mut keyspaces, &name);
        keyspace.durable_writes = row.boolean("durable_writes")?.unwrap_or(true);
        keyspace.replication = row.text_map("replication")?.unwrap_or_default();
    }
    let mut types: BTreeMap<String, BTreeMap<String, RawFields>> = BTreeMap::new();
    for row in rows.of("types") {
        let (keyspace, name) = key(&row, "type_name")?;
        let names = row.texts("field_names")?.unwrap_or_default();
        let fields = names.into_iter().zip(row.texts("field_types")?.unwrap_or_default());
        types.entry(keyspace).or_default().insert(name, fields.collect());
    }
    for (name, raw) in types {
        keyspace(&mut keyspaces, &name).types = resolve_types(&name, &raw)?;
    }
    let mut parts = read_parts(rows, &keyspaces)?;
    for (table, name_column) in [("tables", "table_name"), ("views", "view_name")] {
        for row in rows.of(table) {
            let key = key(&row, name_column)?;
            let parts = parts.remove(&key).unwrap_or_default();
            let (ks, name) = key;
            let keyspace = keyspace(&mut keyspaces, &ks);
            if parts.columns.iter().all(|(_, c)| c.kind != ColumnKind::PartitionKey) {
                // What an interrupted DROP of an old release leaves; Cassandra does not load such a table either.
                keyspace
                    .not_printed
                    .insert(format!("table {name}, whose columns are not in system_schema"));
                continue;
            }
            let built = build_table(&row, ks, name.clone(), parts)?;
            keyspace.tables.insert(name, built);
        }
    }
    for (table, name_column, what) in [
        ("functions", "function_name", "function"),
        ("aggregates", "aggregate_name", "aggregate"),
        ("triggers", "trigger_name", "trigger"),
    ] {
        for row in rows.of(table) {
            let (ks, name) = key(&row, name_column)?;
            let on = row.text("table_name")?.map(|t| format!(" on {t}")).unwrap_or_default();
            keyspace(&mut keyspaces, &ks).not_printed.insert(format!("{what} {name}{on}"));
        }
    }
    Ok(Schema { keyspaces, origin: "system_schema".into(), ..Schema::default() })
}

fn keyspace<'a>(
    keyspaces: &'a mut BTreeMap<String, KeyspaceMetadata>,
    name: &str,
) -> &'a mut KeyspaceMetadata {
    keyspaces.entry(name.to_owned()).or_insert_with(|| KeyspaceMetadata {
        name: name.to_owned(),
        durable_writes: true,
        ..KeyspaceMetadata::default()
    })
}

fn column_type(
    keyspaces: &BTreeMap<String, KeyspaceMetadata>,
    (keyspace, table): &Key,
    column: &str,
    text: &str,
) -> Result<CqlType> {
    let types = keyspaces.get(keyspace).map(|k| &k.types);
    parse_cql_type(text, &|name| types?.get(name).cloned()).map_err(|error| Error::Schema {
        what: format!("{keyspace}.{table}: column {column}: {error}"),
        hint: Some("give the schema as CQL with --schema FILE".into()),
    })
}

fn column_kind(row: &Columns<'_>) -> Result<ColumnKind> {
    let kind = row.text("kind")?;
    match kind.as_deref() {
        Some("partition_key") => Ok(ColumnKind::PartitionKey),
        Some("clustering") => Ok(ColumnKind::Clustering),
        Some("static") => Ok(ColumnKind::Static),
        // Dropped columns had no kind in early 3.x.
        Some("regular") | None => Ok(ColumnKind::Regular),
        Some(other) => Err(Error::Schema {
            what: format!("{}: a column of the unknown kind {other:?}", row.table),
            hint: None,
        }),
    }
}

fn read_parts(
    rows: &SystemRows,
    keyspaces: &BTreeMap<String, KeyspaceMetadata>,
) -> Result<BTreeMap<Key, Parts>> {
    let mut parts: BTreeMap<Key, Parts> = BTreeMap::new();
    let mut masks = BTreeMap::new();
    for row in rows.of("column_masks") {
        masks.insert((key(&row, "table_name")?, row.need_text("column_name")?), mask(&row)?);
    }
    for row in rows.of("columns") {
        let key = key(&row, "table_name")?;
        let name = row.need_text("column_name")?;
        let cql_type = column_type(keyspaces, &key, &name, &row.need_text("type")?)?;
        let column = ColumnMetadata {
            cql_type,
            kind: column_kind(&row)?,
            reversed: row.text("clustering_order")?.is_some_and(|o| o.eq_ignore_ascii_case("desc")),
            mask: masks.remove(&(key.clone(), name.clone())),
            name,
        };
        let position = row.int("position")?.unwrap_or(-1);
        parts.entry(key).or_default().columns.push((position, column));
    }
    for row in rows.of("dropped_columns") {
        let key = key(&row, "table_name")?;
        let name = row.need_text("column_name")?;
        let text = row.need_text("type")?;
        let cql_type = column_type(keyspaces, &key, &name, &text)?;
        let millis = row.bigint("dropped_time")?.unwrap_or(i64::MAX);
        parts.entry(key).or_default().dropped.push(DroppedColumn {
            name,
            multi_cell: was_multi_cell(&cql_type, &text),
            cql_type,
            kind: column_kind(&row)?,
            dropped_micros: millis.saturating_mul(1000),
        });
    }
    for row in rows.of("indexes") {
        parts.entry(key(&row, "table_name")?).or_default().indexes.push(IndexMetadata {
            name: row.need_text("index_name")?,
            kind: row.text("kind")?.unwrap_or_else(|| "COMPOSITES".into()),
            options: row.text_map("options")?.unwrap_or_default(),
        });
    }
    Ok(parts)
}

/// The masking function with its further arguments, which are kept as text without quotes.
fn mask(row: &Columns<'_>) -> Result<String> {
    let types = row.texts("function_argument_types")?.unwrap_or_default();
    let values = row.texts("function_argument_values")?.unwrap_or_default();
    let nulls = row.booleans("function_argument_nulls")?;
    let arguments: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let quoted = matches!(
                types.get(i).map(String::as_str),
                Some("text" | "varchar" | "ascii" | "inet" | "timestamp" | "date" | "time")
            );
            match nulls.get(i) {
                Some(true) => "null".to_owned(),
                Some(false) | None if quoted => text_literal(value),
                Some(false) | None => value.clone(),
            }
        })
        .collect();
    let keyspace = row.need_text("function_keyspace")?;
    Ok(format!("{keyspace}.{}({})", row.need_text("function_name")?, arguments.join(", ")))
}

fn options(row: &Columns<'_>) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    for (name, kind) in OPTIONS {
        let literal = match kind {
            OptionKind::Text => row.text(name)?.map(|text| text_literal(&text)),
            OptionKind::TextMap => row.text_map(name)?.map(|map| map_literal(&map)),
            // Before 4.0 CQL has no extensions, and nobody has any.
            OptionKind::BlobMap => {
                row.blob_map(name)?.filter(|map| !map.is_empty()).map(|map| map_literal(&map))
            }
            OptionKind::Int => row.int(name)?.map(|n| n.to_string()),
            OptionKind::Double => row.double(name)?.map(|n| format!("{n:?}")),
            OptionKind::Boolean => row.boolean(name)?.map(|b| b.to_string()),
        };
        options.extend(literal.map(|literal| (name.to_owned(), literal)));
    }
    if options.contains_key("read_repair") {
        // 4.0 and later write them for drivers and ignore them.
        options.remove("read_repair_chance");
        options.remove("dclocal_read_repair_chance");
    }
    Ok(options)
}

fn build_table(
    row: &Columns<'_>,
    keyspace: String,
    name: String,
    mut parts: Parts,
) -> Result<TableMetadata> {
    let flags = row.text_set("flags")?;
    let has = |flag: &str| flags.as_ref().is_some_and(|flags| flags.contains(flag));
    let compact = match &flags {
        // Views have no flags.
        None => CompactKind::None,
        Some(_) if has("super") => CompactKind::Super,
        Some(_) if has("dense") => CompactKind::Dense,
        Some(_) if has("compound") => CompactKind::None,
        Some(_) => CompactKind::StaticCompact,
    };
    let view = match row.text("base_table_name")? {
        None => None,
        Some(base_table) => Some(ViewMetadata {
            base_table,
            where_clause: row.text("where_clause")?.unwrap_or_default(),
            include_all_columns: row.boolean("include_all_columns")?.unwrap_or(false),
        }),
    };
    parts.columns.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.name.cmp(&y.name)));
    parts.dropped.sort_by(|a, b| a.name.cmp(&b.name));
    parts.indexes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut of_kind = |kind| -> Vec<ColumnMetadata> {
        parts.columns.extract_if(.., |(_, c)| c.kind == kind).map(|(_, column)| column).collect()
    };
    let mut table = TableMetadata {
        keyspace,
        name,
        id: row.uuid("id")?.map(TableId),
        partition_key: of_kind(ColumnKind::PartitionKey),
        clustering: of_kind(ColumnKind::Clustering),
        statics: of_kind(ColumnKind::Static),
        regulars: of_kind(ColumnKind::Regular),
        dropped: parts.dropped,
        compact,
        counter: has("counter"),
        gc_grace_seconds: row.int("gc_grace_seconds")?.map_or(DEFAULT_GC_GRACE_SECONDS, i64::from),
        default_time_to_live: row.int("default_time_to_live")?.map_or(0, i64::from),
        options: options(row)?,
        view,
        indexes: parts.indexes,
        order: RowOrder::default(),
    };
    table.sort_columns();
    Ok(table)
}

#[cfg(test)]
#[path = "system_schema_tests.rs"]
mod tests;
