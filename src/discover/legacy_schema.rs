//! The schema as 2.x keeps it in `system.schema_*` (`LegacySchemaTables`, `LegacySchemaMigrator`), in the model of 3.0.
//!
//! Types are Java class names, options JSON. What makes a table compact is not said but follows from its comparator:
//!
//! ```text
//! compound   the comparator is a CompositeType, or the table is Super
//! dense      all of the comparator is clustering (CASSANDRA-11502: the stored flag is not always right)
//! CQL table  compound and not dense; neither: static compact; Super and dense: clustering of two columns
//! ```

use std::collections::BTreeMap;

use serde_json::Value;

use super::legacy_tables::{LegacyTable, value_type};
use super::raw_row::{Columns, RawRow, SystemTables};
use crate::cql::UdtType;
use crate::error::{Error, Result};
use crate::schema::{KeyspaceMetadata, Schema, TableMetadata, parse_schema};

/// The tables we read. Ids are the same on every node.
const DEFINITIONS: &str = "
CREATE KEYSPACE system WITH replication = {'class': 'org.apache.cassandra.locator.LocalStrategy'};
CREATE TABLE system.schema_keyspaces (
    keyspace_name text PRIMARY KEY, durable_writes boolean, strategy_class text, strategy_options text
) WITH COMPACT STORAGE AND ID = 'b0f2235744583cdb9631c43e59ce3676' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_columnfamilies (
    keyspace_name text, columnfamily_name text, bloom_filter_fp_chance double, caching text, cf_id uuid,
    column_aliases text, comment text, compaction_strategy_class text, compaction_strategy_options text,
    comparator text, compression_parameters text, default_time_to_live int, default_validator text,
    dropped_columns map<text, bigint>, gc_grace_seconds int, index_interval int, is_dense boolean, key_aliases text,
    key_validator text, local_read_repair_chance double, max_compaction_threshold int, max_index_interval int,
    memtable_flush_period_in_ms int, min_compaction_threshold int, min_index_interval int, read_repair_chance double,
    speculative_retry text, subcomparator text, type text, value_alias text,
    PRIMARY KEY (keyspace_name, columnfamily_name)
) WITH ID = '45f5b36024bc3f83a3631034ea4fa697' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_columns (
    keyspace_name text, columnfamily_name text, column_name text, component_index int, index_name text,
    index_options text, index_type text, type text, validator text,
    PRIMARY KEY (keyspace_name, columnfamily_name, column_name)
) WITH ID = '296e9c049bec3085827dc17d3df2122a' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_usertypes (
    keyspace_name text, type_name text, field_names list<text>, field_types list<text>,
    PRIMARY KEY (keyspace_name, type_name)
) WITH ID = '3aa752254f82350b8d5c430fa221fa0a' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_triggers (
    keyspace_name text, columnfamily_name text, trigger_name text, trigger_options map<text, text>,
    PRIMARY KEY (keyspace_name, columnfamily_name, trigger_name)
) WITH ID = '0359bc7171233ee19a4ab9dfb11fc125' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_functions (
    keyspace_name text, function_name text, signature frozen<list<text>>, argument_names list<text>,
    argument_types list<text>, body text, called_on_null_input boolean, language text, return_type text,
    PRIMARY KEY (keyspace_name, function_name, signature)
) WITH ID = 'd1b675fe2b503ca48e49c0f81989dcad' AND gc_grace_seconds = 604800;
CREATE TABLE system.schema_aggregates (
    keyspace_name text, aggregate_name text, signature frozen<list<text>>, argument_types list<text>, final_func text,
    initcond blob, return_type text, state_func text, state_type text,
    PRIMARY KEY (keyspace_name, aggregate_name, signature)
) WITH ID = 'a5fc57fc9d6c3bfda3fc01ad54686fea' AND gc_grace_seconds = 604800;
CREATE TABLE system.compactions_in_progress (
    id uuid PRIMARY KEY, columnfamily_name text, inputs set<int>, keyspace_name text
) WITH ID = '55080ab05d9c388690a4acb25fe1f77b' AND gc_grace_seconds = 0;
";

/// Definitions of the tables that only 2.x has: those it keeps its schema in, and the compactions that are going on.
pub fn legacy_system_tables() -> Result<Schema> {
    parse_schema(DEFINITIONS, None)
}

/// The live rows of `system.schema_*`, by table.
type Rows = BTreeMap<String, Vec<RawRow>>;

fn of<'a>(rows: &'a Rows, table: &'a str) -> impl Iterator<Item = Columns<'a>> {
    let rows = rows.get(table).map(Vec::as_slice).unwrap_or_default();
    rows.iter().map(move |row| Columns { table, row })
}

/// Reads the schema from `system.schema_*`; none if no table is described there.
pub fn read_legacy_schema(source: &mut dyn SystemTables) -> Result<Option<Schema>> {
    let definitions = legacy_system_tables()?;
    let mut rows = Rows::new();
    for table in definitions.tables().filter(|table| table.name.starts_with("schema_")) {
        rows.insert(table.name.clone(), source.rows(table)?);
    }
    if of(&rows, "schema_columnfamilies").next().is_none() {
        return Ok(None);
    }
    build(&rows).map(Some)
}

/// An error of the schema tables.
pub(super) fn schema_error(what: String) -> Error {
    Error::Schema { what, hint: Some("give the schema as CQL with --schema FILE".into()) }
}

/// A JSON object of texts, which may be there as numbers.
pub(super) fn json_map(
    row: &Columns<'_>,
    column: &str,
) -> Result<Option<BTreeMap<String, String>>> {
    let Some(text) = row.text(column)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let not_json = || schema_error(format!("{}: column {column} is no JSON object", row.table));
    let Ok(Value::Object(object)) = serde_json::from_str(&text) else { return Err(not_json()) };
    Ok(Some(
        object
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => (key, text),
                other => (key, other.to_string()),
            })
            .collect(),
    ))
}

fn keyspace<'a>(schema: &'a mut Schema, name: &str) -> &'a mut KeyspaceMetadata {
    schema.keyspaces.entry(name.to_owned()).or_insert_with(|| KeyspaceMetadata {
        name: name.to_owned(),
        durable_writes: true,
        ..KeyspaceMetadata::default()
    })
}

fn build(rows: &Rows) -> Result<Schema> {
    let mut schema = Schema { origin: "system.schema_*".into(), ..Schema::default() };
    for row in of(rows, "schema_keyspaces") {
        let keyspace = keyspace(&mut schema, &row.need_text("keyspace_name")?);
        keyspace.durable_writes = row.boolean("durable_writes")?.unwrap_or(true);
        keyspace.replication = json_map(&row, "strategy_options")?.unwrap_or_default();
        if let Some(class) = row.text("strategy_class")? {
            keyspace.replication.insert("class".into(), class);
        }
    }
    for row in of(rows, "schema_usertypes") {
        let (ks, name) = (row.need_text("keyspace_name")?, row.need_text("type_name")?);
        let names = row.list("field_names")?;
        let mut fields = Vec::new();
        for (field, text) in names.into_iter().zip(row.list("field_types")?) {
            let what = format!("type {ks}.{name}: field {field}");
            fields.push((field, value_type(&text, &what)?.cql_type.freeze()));
        }
        let udt = UdtType { keyspace: ks.clone(), name: name.clone(), fields };
        keyspace(&mut schema, &ks).types.insert(name, udt.into());
    }
    let mut columns: BTreeMap<(String, String), Vec<Columns<'_>>> = BTreeMap::new();
    for row in of(rows, "schema_columns") {
        let key = (row.need_text("keyspace_name")?, row.need_text("columnfamily_name")?);
        columns.entry(key).or_default().push(row);
    }
    for row in of(rows, "schema_columnfamilies") {
        let (ks, name) = (row.need_text("keyspace_name")?, row.need_text("columnfamily_name")?);
        let key = (ks, name);
        let own = columns.remove(&key).unwrap_or_default();
        let (ks, name) = key;
        let table: TableMetadata = LegacyTable::new(&ks, &name, row, own).build()?;
        keyspace(&mut schema, &ks).tables.insert(name, table);
    }
    for (table, column, what) in [
        ("schema_functions", "function_name", "function"),
        ("schema_aggregates", "aggregate_name", "aggregate"),
        ("schema_triggers", "trigger_name", "trigger"),
    ] {
        for row in of(rows, table) {
            let ks = row.need_text("keyspace_name")?;
            let on = row.text("columnfamily_name")?.map(|t| format!(" on {t}")).unwrap_or_default();
            let words = format!("{what} {}{on}", row.need_text(column)?);
            keyspace(&mut schema, &ks).not_printed.insert(words);
        }
    }
    Ok(schema)
}

#[cfg(test)]
#[path = "legacy_schema_tests.rs"]
mod tests;
