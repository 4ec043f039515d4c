//! Writes the schema as CQL that Cassandra accepts, in the form of a snapshot's `schema.cql`: with table ids and with
//! dropped columns, so that the SSTables of the source can be put under the tables made from it.
//!
//! A column that was dropped stands in CREATE TABLE and is dropped after it with the original time; if it was added again,
//! that follows. Tables that CQL cannot express are written into a comment, as Cassandra 3.x does; [`super::parse_schema`]
//! reads them from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Write};

use super::ddl_build::shape;
use super::ddl_lexer::INCOMPATIBLE;
use super::{
    ColumnKind, ColumnMetadata, CompactKind, IndexMetadata, KeyspaceMetadata, Schema,
    TableMetadata, ViewMetadata,
};
use crate::cql::{CqlType, UdtType, write_identifier};

/// A name as CQL writes it, quoted where it has to be.
#[derive(Debug, Clone, Copy)]
pub struct Identifier<'a>(pub &'a str);

impl Display for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_identifier(f, self.0)
    }
}

/// A string literal.
pub(crate) fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A map literal as table options have it: blobs as they are, everything else as strings.
pub(crate) fn map_literal(map: &BTreeMap<String, String>) -> String {
    let value = |text: &str| {
        let is_blob =
            text.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        if is_blob { text.to_owned() } else { text_literal(text) }
    };
    let entries: Vec<String> =
        map.iter().map(|(key, text)| format!("{}: {}", text_literal(key), value(text))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Writes the keyspaces, types, tables, indexes and views, of the tables that `filter` takes.
///
/// Types are written for every keyspace with such a table; a view is written after its table, and not without it.
pub fn write_schema(schema: &Schema, filter: &dyn Fn(&TableMetadata) -> bool) -> String {
    let mut out = String::new();
    for keyspace in schema.keyspaces.values() {
        // Writing to a string cannot fail.
        drop_result(write_keyspace(&mut out, keyspace, filter));
    }
    for statement in &schema.skipped {
        drop_result(writeln!(out, "-- not read: {}", one_line(statement)));
    }
    out
}

fn drop_result(written: fmt::Result) {
    debug_assert!(written.is_ok(), "a string takes everything");
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn write_keyspace(
    out: &mut String,
    keyspace: &KeyspaceMetadata,
    filter: &dyn Fn(&TableMetadata) -> bool,
) -> fmt::Result {
    let taken: Vec<&TableMetadata> =
        keyspace.tables.values().filter(|table| filter(table)).collect();
    if taken.is_empty() && !keyspace.tables.is_empty() {
        return Ok(());
    }
    let name = Identifier(&keyspace.name);
    if keyspace.replication.is_empty() {
        writeln!(
            out,
            "-- keyspace {}: its replication is not known here",
            one_line(&name.to_string())
        )?;
    } else {
        let replication = map_literal(&keyspace.replication);
        let durable = keyspace.durable_writes;
        writeln!(
            out,
            "CREATE KEYSPACE {name} WITH replication = {replication} AND durable_writes = {durable};"
        )?;
    }
    for udt in in_order(keyspace) {
        write!(out, "\nCREATE TYPE {name}.{} (", Identifier(&udt.name))?;
        for (i, (field, cql_type)) in udt.fields.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(out, "{comma}\n    {} {cql_type}", Identifier(field))?;
        }
        out.push_str("\n);\n");
    }
    for table in taken.iter().filter(|table| table.view.is_none()) {
        write_table(out, table)?;
        for index in &table.indexes {
            write_index(out, table, index)?;
        }
    }
    for table in &taken {
        let Some(view) = &table.view else { continue };
        if taken.iter().any(|base| base.name == view.base_table) {
            write_view(out, table, view)?;
        } else {
            writeln!(
                out,
                "\n-- materialized view {}: its table is not taken",
                one_line(&table.name)
            )?;
        }
    }
    for what in &keyspace.not_printed {
        writeln!(out, "\n-- not printed: {}", one_line(what))?;
    }
    out.push('\n');
    Ok(())
}

/// Types after those they use.
fn in_order(keyspace: &KeyspaceMetadata) -> Vec<&UdtType> {
    let mut order: Vec<&UdtType> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&UdtType> = keyspace.types.values().map(AsRef::as_ref).collect();
    while !open.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) = open.into_iter().partition(|udt| {
            let mut used = BTreeSet::new();
            udt.fields.iter().for_each(|(_, field)| collect_names(field, &mut used));
            used.iter().all(|name| done.contains(name) || !keyspace.types.contains_key(*name))
        });
        // Types that use each other do not exist; if they did, they would be written as they come.
        let ready = if ready.is_empty() { waiting.clone() } else { ready };
        done.extend(ready.iter().map(|udt| udt.name.as_str()));
        order.extend(&ready);
        open = waiting.into_iter().filter(|udt| !done.contains(udt.name.as_str())).collect();
    }
    order
}

fn collect_names<'a>(cql_type: &'a CqlType, names: &mut BTreeSet<&'a str>) {
    match cql_type {
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => collect_names(element, names),
        CqlType::Map { key, value, .. } => {
            collect_names(key, names);
            collect_names(value, names);
        }
        CqlType::Tuple(elements) | CqlType::Composite(elements) => {
            elements.iter().for_each(|element| collect_names(element, names));
        }
        CqlType::Udt { udt, .. } => {
            names.insert(&udt.name);
        }
        _ => {}
    }
}

/// The table as CREATE TABLE has to say it; none if no CREATE TABLE makes it.
fn visible(table: &TableMetadata) -> Option<TableMetadata> {
    let mut plain = table.clone();
    match table.compact {
        CompactKind::None => return Some(plain),
        CompactKind::Super => return None,
        CompactKind::StaticCompact => {
            plain.clustering.clear();
            plain.regulars = std::mem::take(&mut plain.statics);
            for column in &mut plain.regulars {
                column.kind = ColumnKind::Regular;
            }
        }
        CompactKind::Dense => plain.regulars.retain(|column| column.cql_type != CqlType::Empty),
    }
    let mut made = plain.clone();
    shape(&mut made, false);
    made.sort_columns();
    let same = made.compact == table.compact
        && made.clustering == table.clustering
        && made.statics == table.statics
        && made.regulars == table.regulars;
    // CQL has one value column in a dense table; Thrift could have more.
    let expressible = table.compact == CompactKind::StaticCompact || plain.regulars.len() <= 1;
    (same && expressible).then_some(plain)
}

fn write_column(out: &mut String, column: &ColumnMetadata) -> fmt::Result {
    write!(out, "{} {}", Identifier(&column.name), column.cql_type)?;
    if column.kind == ColumnKind::Static {
        out.push_str(" static");
    }
    if let Some(mask) = &column.mask {
        write!(out, " MASKED WITH {mask}")?;
    }
    Ok(())
}

fn write_table(out: &mut String, table: &TableMetadata) -> fmt::Result {
    let keyspace = Identifier(&table.keyspace);
    let name = Identifier(&table.name);
    let shown = visible(table);
    let (plain, in_comment) = shown.as_ref().map_or((table, true), |plain| (plain, false));
    out.push('\n');
    if in_comment {
        write!(
            out,
            "/*\nWarning: Table {keyspace}.{name} {INCOMPATIBLE} (was created via legacy API).\n\n\
             Approximate structure, for reference:\n(this should not be used to reproduce this schema)\n\n"
        )?;
    }
    write!(out, "CREATE TABLE {keyspace}.{name} (")?;
    let dropped: BTreeSet<&str> = table.dropped.iter().map(|column| column.name.as_str()).collect();
    for column in [&plain.partition_key, &plain.clustering, &plain.statics, &plain.regulars]
        .into_iter()
        .flatten()
        .filter(|column| !dropped.contains(column.name.as_str()))
    {
        out.push_str("\n    ");
        write_column(out, column)?;
        out.push(',');
    }
    for column in &table.dropped {
        let is_static =
            column.kind == ColumnKind::Static && table.compact != CompactKind::StaticCompact;
        let suffix = if is_static { " static" } else { "" };
        let text = column.cql_type.to_string();
        let text = match &column.cql_type {
            // A user-defined type that was not frozen; for tuples the type's own text always says so.
            CqlType::Tuple(_) if column.multi_cell => {
                text.strip_prefix("frozen<").and_then(|t| t.strip_suffix('>')).unwrap_or(&text)
            }
            _ => &text,
        };
        write!(out, "\n    {} {text}{suffix},", Identifier(&column.name))?;
    }
    out.push_str("\n    ");
    write_primary_key(out, plain)?;
    out.push_str("\n)");
    write_properties(out, plain)?;
    out.push_str(";\n");
    for column in &table.dropped {
        let what = Identifier(&column.name);
        write!(out, "ALTER TABLE {keyspace}.{name} DROP {what}")?;
        if column.dropped_micros != i64::MAX {
            write!(out, " USING TIMESTAMP {}", column.dropped_micros)?;
        }
        out.push_str(";\n");
        let again = plain.statics.iter().chain(&plain.regulars).find(|c| c.name == column.name);
        if let Some(again) = again {
            write!(out, "ALTER TABLE {keyspace}.{name} ADD ")?;
            write_column(out, again)?;
            out.push_str(";\n");
        }
    }
    if in_comment {
        out.push_str("*/\n");
    }
    Ok(())
}

fn write_primary_key(out: &mut String, table: &TableMetadata) -> fmt::Result {
    let names = |columns: &[ColumnMetadata]| {
        columns.iter().map(|c| Identifier(&c.name).to_string()).collect::<Vec<_>>().join(", ")
    };
    let partition = names(&table.partition_key);
    out.push_str("PRIMARY KEY (");
    if table.partition_key.len() == 1 {
        out.push_str(&partition);
    } else {
        write!(out, "({partition})")?;
    }
    if !table.clustering.is_empty() {
        write!(out, ", {}", names(&table.clustering))?;
    }
    out.push(')');
    Ok(())
}

fn write_properties(out: &mut String, table: &TableMetadata) -> fmt::Result {
    let mut properties = Vec::new();
    properties.extend(table.id.map(|id| format!("ID = {id}")));
    if table.compact != CompactKind::None {
        properties.push("COMPACT STORAGE".to_owned());
    }
    if !table.clustering.is_empty() {
        let order = |column: &ColumnMetadata| {
            format!("{} {}", Identifier(&column.name), if column.reversed { "DESC" } else { "ASC" })
        };
        let columns: Vec<String> = table.clustering.iter().map(order).collect();
        properties.push(format!("CLUSTERING ORDER BY ({})", columns.join(", ")));
    }
    properties.extend(
        table.options.iter().map(|(name, literal)| format!("{} = {literal}", Identifier(name))),
    );
    if !properties.is_empty() {
        write!(out, " WITH {}", properties.join("\n    AND "))?;
    }
    Ok(())
}

fn write_index(out: &mut String, table: &TableMetadata, index: &IndexMetadata) -> fmt::Result {
    let Some(target) = index.options.get("target") else {
        return writeln!(
            out,
            "-- not printed: index {}, which does not say on what",
            one_line(&index.name)
        );
    };
    let place = format!("{}.{}", Identifier(&table.keyspace), Identifier(&table.name));
    let name = Identifier(&index.name);
    if index.kind != "CUSTOM" {
        return writeln!(out, "CREATE INDEX {name} ON {place} ({target});");
    }
    let class = index.options.get("class_name").map(String::as_str).unwrap_or_default();
    write!(out, "CREATE CUSTOM INDEX {name} ON {place} ({target}) USING {}", text_literal(class))?;
    let mut rest = index.options.clone();
    rest.retain(|option, _| !matches!(option.as_str(), "target" | "class_name"));
    if !rest.is_empty() {
        write!(out, " WITH OPTIONS = {}", map_literal(&rest))?;
    }
    out.push_str(";\n");
    Ok(())
}

fn write_view(out: &mut String, table: &TableMetadata, view: &ViewMetadata) -> fmt::Result {
    let keyspace = Identifier(&table.keyspace);
    write!(
        out,
        "\nCREATE MATERIALIZED VIEW {keyspace}.{} AS\n    SELECT ",
        Identifier(&table.name)
    )?;
    if view.include_all_columns {
        out.push('*');
    } else {
        let columns = [&table.partition_key, &table.clustering, &table.regulars];
        let names: Vec<String> =
            columns.into_iter().flatten().map(|c| Identifier(&c.name).to_string()).collect();
        out.push_str(&names.join(", "));
    }
    write!(out, "\n    FROM {keyspace}.{}", Identifier(&view.base_table))?;
    if !view.where_clause.is_empty() {
        write!(out, "\n    WHERE {}", view.where_clause)?;
    }
    out.push_str("\n    ");
    write_primary_key(out, table)?;
    out.push_str("\n   ");
    write_properties(out, table)?;
    out.push_str(";\n");
    Ok(())
}

#[cfg(test)]
#[path = "ddl_tests.rs"]
mod tests;
