//! One table of 2.x, from its row of `schema_columnfamilies` and those of `schema_columns`.

use std::collections::{BTreeMap, BTreeSet};

use super::legacy_schema::{json_map, schema_error};
use super::raw_row::Columns;
use crate::cql::{CqlType, MarshalType, parse_marshal_type};
use crate::error::Result;
use crate::schema::{
    ColumnKind, ColumnMetadata, CompactKind, DEFAULT_GC_GRACE_SECONDS, DroppedColumn,
    IndexMetadata, RowOrder, TableId, TableMetadata, map_literal, text_literal,
};

/// Parses a type; user-defined types and what is in collections are frozen in 2.x without saying so.
pub(super) fn value_type(text: &str, what: &str) -> Result<MarshalType> {
    let parsed = parse_marshal_type(text).map_err(|e| schema_error(format!("{what}: {e}")))?;
    let cql_type = match parsed.cql_type {
        udt @ CqlType::Udt { .. } => udt.freeze(),
        other => other,
    };
    Ok(MarshalType { cql_type, ..parsed })
}

/// A comparator taken apart: its components, and the collections that it lists.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Comparator {
    /// Text of each component but the list of collections.
    pub(super) components: Vec<String>,
    /// Collections by the name of their column, dropped ones too.
    pub(super) collections: BTreeMap<String, String>,
    pub(super) is_composite: bool,
}

/// Splits at commas that are in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// The parameters of `class`, if that is what `text` is.
fn parameters<'a>(text: &'a str, class: &str) -> Option<&'a str> {
    let (name, rest) = text.trim().split_once('(')?;
    (name.rsplit('.').next() == Some(class)).then_some(())?;
    rest.strip_suffix(')')
}

pub(super) fn parse_comparator(text: &str) -> Comparator {
    let Some(inside) = parameters(text, "CompositeType") else {
        return Comparator { components: vec![text.to_owned()], ..Comparator::default() };
    };
    let mut found = Comparator { is_composite: true, ..Comparator::default() };
    for part in split(inside) {
        match parameters(part, "ColumnToCollectionType") {
            None => found.components.push(part.to_owned()),
            Some(list) => {
                for entry in split(list) {
                    if let Some((name, cql_type)) = entry.split_once(':')
                        && let Ok(name) = hex_simd::decode_to_vec(name)
                        && let Ok(name) = String::from_utf8(name)
                    {
                        found.collections.insert(name, cql_type.to_owned());
                    }
                }
            }
        }
    }
    found
}

/// What a row of `schema_columns` says.
struct RawColumn {
    column: ColumnMetadata,
    /// `compact_value`: the one column of a dense table.
    is_value: bool,
    position: i32,
}

/// A table that is being put together.
pub(super) struct LegacyTable<'a> {
    keyspace: &'a str,
    name: &'a str,
    row: Columns<'a>,
    columns: Vec<Columns<'a>>,
}

fn column(name: String, cql_type: CqlType, kind: ColumnKind) -> ColumnMetadata {
    ColumnMetadata { name, cql_type, kind, reversed: false, mask: None }
}

impl<'a> LegacyTable<'a> {
    pub(super) fn new(
        keyspace: &'a str,
        name: &'a str,
        row: Columns<'a>,
        columns: Vec<Columns<'a>>,
    ) -> Self {
        Self { keyspace, name, row, columns }
    }

    fn what(&self, of: &str) -> String {
        format!("{}.{}: {of}", self.keyspace, self.name)
    }

    fn typed(&self, option: &str) -> Result<CqlType> {
        match self.row.text(option)? {
            Some(text) => Ok(value_type(&text, &self.what(option))?.cql_type),
            None => Ok(CqlType::Blob),
        }
    }

    fn raw_columns(&self) -> Result<Vec<RawColumn>> {
        let mut raw = Vec::new();
        for row in &self.columns {
            let name = row.need_text("column_name")?;
            let validator = row.text("validator")?.unwrap_or_default();
            let parsed = value_type(&validator, &self.what(&format!("column {name}")))?;
            let kind = row.text("type")?;
            let (kind, is_value) = match kind.as_deref() {
                Some("partition_key") => (ColumnKind::PartitionKey, false),
                Some("clustering_key") => (ColumnKind::Clustering, false),
                Some("static") => (ColumnKind::Static, false),
                Some("compact_value") => (ColumnKind::Regular, true),
                Some("regular") | None => (ColumnKind::Regular, false),
                Some(other) => {
                    return Err(schema_error(
                        self.what(&format!("column {name} is of the unknown kind {other:?}")),
                    ));
                }
            };
            let position = row.int("component_index")?.unwrap_or(0);
            let column =
                ColumnMetadata { reversed: parsed.reversed, ..column(name, parsed.cql_type, kind) };
            raw.push(RawColumn { column, is_value, position });
        }
        raw.sort_by(|a, b| {
            a.position.cmp(&b.position).then_with(|| a.column.name.cmp(&b.column.name))
        });
        Ok(raw)
    }

    /// `LegacySchemaMigrator.calculateIsDense`.
    fn is_dense(
        &self,
        columns: &[RawColumn],
        comparator: &Comparator,
        is_super: bool,
    ) -> Result<bool> {
        if self.row.boolean("is_dense")? == Some(false)
            || columns.iter().any(|c| c.column.kind == ColumnKind::Regular && !c.is_value)
        {
            return Ok(false);
        }
        if is_super {
            return Ok(true);
        }
        let clustering = columns.iter().filter(|c| c.column.kind == ColumnKind::Clustering);
        let last = clustering.map(|c| c.position).max();
        let components = i32::try_from(comparator.components.len()).unwrap_or(i32::MAX);
        Ok(match last {
            Some(last) => last == components - 1,
            None => {
                let only_text = comparator.is_composite
                    && comparator.components.len() == 1
                    && comparator.components.first().is_some_and(|c| c.ends_with("UTF8Type"));
                !only_text
            }
        })
    }

    /// Builds it.
    pub(super) fn build(&self) -> Result<TableMetadata> {
        let is_super = self.row.text("type")?.as_deref() == Some("Super");
        let comparator = parse_comparator(&self.row.text("comparator")?.unwrap_or_default());
        let mut raw = self.raw_columns()?;
        let is_compound = comparator.is_composite || is_super;
        let is_dense = self.is_dense(&raw, &comparator, is_super)?;
        if self.row.boolean("is_dense")? != Some(is_dense) && !is_dense {
            raw.retain(|c| {
                let is_clustering = c.column.kind == ColumnKind::Clustering;
                (is_super || !c.is_value) && (is_compound || !is_clustering)
            });
        }
        let mut of_kind = |kind, is_value| -> Vec<ColumnMetadata> {
            raw.extract_if(.., |c| c.column.kind == kind && c.is_value == is_value)
                .map(|c| c.column)
                .collect()
        };
        let default_type = self.typed("default_validator")?;
        let mut table = TableMetadata {
            keyspace: self.keyspace.to_owned(),
            name: self.name.to_owned(),
            id: self.row.uuid("cf_id")?.map(TableId),
            partition_key: of_kind(ColumnKind::PartitionKey, false),
            clustering: of_kind(ColumnKind::Clustering, false),
            statics: of_kind(ColumnKind::Static, false),
            regulars: of_kind(ColumnKind::Regular, false),
            dropped: Vec::new(),
            compact: match (is_super, is_dense, is_compound) {
                (true, false, _) => CompactKind::Super,
                (_, true, _) => CompactKind::Dense,
                (false, false, true) => CompactKind::None,
                (false, false, false) => CompactKind::StaticCompact,
            },
            counter: default_type == CqlType::Counter,
            gc_grace_seconds: self
                .row
                .int("gc_grace_seconds")?
                .map_or(DEFAULT_GC_GRACE_SECONDS, i64::from),
            default_time_to_live: self.row.int("default_time_to_live")?.map_or(0, i64::from),
            options: self.options()?,
            view: None,
            indexes: Vec::new(),
            order: RowOrder::default(),
        };
        let values = of_kind(ColumnKind::Regular, true);
        self.complete(&mut table, &comparator, values, default_type, is_super)?;
        self.drop_columns(&mut table, &comparator)?;
        self.add_indexes(&mut table)?;
        table.sort_columns();
        Ok(table)
    }

    /// Adds the columns that have no rows of their own: those of Thrift tables, and the hidden ones of compact tables.
    fn complete(
        &self,
        table: &mut TableMetadata,
        comparator: &Comparator,
        values: Vec<ColumnMetadata>,
        default_type: CqlType,
        is_super: bool,
    ) -> Result<()> {
        let used: BTreeSet<String> =
            [&table.partition_key, &table.clustering, &table.statics, &table.regulars, &values]
                .into_iter()
                .flatten()
                .map(|column| column.name.clone())
                .collect();
        let free = |mut names: Box<dyn Iterator<Item = String>>| {
            names.find(|name| !used.contains(name)).unwrap_or_default()
        };
        let key_types = match self.typed("key_validator")? {
            CqlType::Composite(types) => types,
            single => vec![single],
        };
        if table.partition_key.is_empty() {
            for (i, cql_type) in key_types.into_iter().enumerate() {
                let name = if i == 0 { "key".to_owned() } else { format!("key{}", i + 1) };
                table.partition_key.push(column(name, cql_type, ColumnKind::PartitionKey));
            }
        }
        let mut components = comparator.components.clone();
        if is_super {
            components.truncate(1);
            components.extend(self.row.text("subcomparator")?);
        }
        let clustering = match table.compact {
            CompactKind::None => 0,
            CompactKind::Dense => components.len(),
            CompactKind::StaticCompact | CompactKind::Super => 1,
        };
        for (i, text) in components.iter().enumerate().take(clustering).skip(table.clustering.len())
        {
            let parsed = value_type(text, &self.what("comparator"))?;
            let name = free(Box::new((i + 1..).map(|i| format!("column{i}"))));
            table.clustering.push(ColumnMetadata {
                reversed: parsed.reversed,
                ..column(name, parsed.cql_type, ColumnKind::Clustering)
            });
        }
        let hidden = |cql_type| {
            let names = (0_u64..).map(|i| match i {
                0 => "value".to_owned(),
                i => format!("value{i}"),
            });
            column(free(Box::new(names)), cql_type, ColumnKind::Regular)
        };
        match table.compact {
            CompactKind::None | CompactKind::Super => table.regulars.extend(values),
            CompactKind::Dense => {
                table.regulars = match values.into_iter().next() {
                    // A table of nothing but its key.
                    Some(value) if value.name.is_empty() => vec![hidden(CqlType::Empty)],
                    Some(value) => vec![value],
                    None => vec![hidden(default_type)],
                };
            }
            CompactKind::StaticCompact => {
                table.statics = std::mem::take(&mut table.regulars);
                for own in &mut table.statics {
                    own.kind = ColumnKind::Static;
                }
                table.regulars = vec![hidden(default_type)];
            }
        }
        Ok(())
    }

    fn drop_columns(&self, table: &mut TableMetadata, comparator: &Comparator) -> Result<()> {
        for (name, micros) in self.row.bigint_map("dropped_columns")? {
            let cql_type = match comparator.collections.get(&name) {
                Some(text) => value_type(text, &self.what(&format!("column {name}")))?.cql_type,
                // 2.x does not keep the types of other columns.
                None => CqlType::Blob,
            };
            let is_static = table.statics.iter().any(|column| column.name == name);
            table.dropped.push(DroppedColumn {
                multi_cell: cql_type.is_multi_cell(),
                cql_type,
                kind: if is_static { ColumnKind::Static } else { ColumnKind::Regular },
                dropped_micros: micros,
                name,
            });
        }
        table.dropped.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    fn add_indexes(&self, table: &mut TableMetadata) -> Result<()> {
        for row in &self.columns {
            let Some(kind) = row.text("index_type")? else { continue };
            let name = row.need_text("column_name")?;
            let mut options = json_map(row, "index_options")?.unwrap_or_default();
            let columns = [&table.clustering, &table.statics, &table.regulars];
            let cql_type = columns
                .into_iter()
                .flatten()
                .find(|column| column.name == name)
                .map(|column| column.cql_type.clone());
            let quoted = crate::schema::Identifier(&name).to_string();
            let target = if options.remove("index_keys").is_some() {
                format!("keys({quoted})")
            } else if options.remove("index_keys_and_values").is_some() {
                format!("entries({quoted})")
            } else {
                match cql_type {
                    Some(
                        CqlType::List { frozen, .. }
                        | CqlType::Set { frozen, .. }
                        | CqlType::Map { frozen, .. },
                    ) => format!("{}({quoted})", if frozen { "full" } else { "values" }),
                    _ => quoted,
                }
            };
            options.insert("target".into(), target);
            let index =
                row.text("index_name")?.unwrap_or_else(|| format!("{}_{name}_idx", self.name));
            table.indexes.push(IndexMetadata { name: index, kind, options });
        }
        table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }

    /// The options as CQL of 3.0 and later writes them.
    fn options(&self) -> Result<BTreeMap<String, String>> {
        let row = &self.row;
        let mut options = BTreeMap::new();
        let mut put = |name: &str, literal: Option<String>| {
            options.extend(literal.map(|literal| (name.to_owned(), literal)));
        };
        for name in ["comment", "speculative_retry"] {
            put(name, row.text(name)?.map(|text| text_literal(&text)));
        }
        for name in [
            "default_time_to_live",
            "gc_grace_seconds",
            "max_index_interval",
            "memtable_flush_period_in_ms",
            "min_index_interval",
        ] {
            put(name, row.int(name)?.map(|number| number.to_string()));
        }
        for (column, name) in [
            ("bloom_filter_fp_chance", "bloom_filter_fp_chance"),
            ("local_read_repair_chance", "dclocal_read_repair_chance"),
            ("read_repair_chance", "read_repair_chance"),
        ] {
            put(name, row.double(column)?.map(|number| format!("{number:?}")));
        }
        let caching = json_map(row, "caching").ok().flatten();
        put("caching", caching.map(|map| map_literal(&map)));
        if let Some(class) = row.text("compaction_strategy_class")? {
            let mut map = json_map(row, "compaction_strategy_options")?.unwrap_or_default();
            for (column, name) in [
                ("min_compaction_threshold", "min_threshold"),
                ("max_compaction_threshold", "max_threshold"),
            ] {
                if let Some(number) = row.int(column)? {
                    map.entry(name.into()).or_insert_with(|| number.to_string());
                }
            }
            map.insert("class".into(), class);
            put("compaction", Some(map_literal(&map)));
        }
        if let Some(mut map) = json_map(row, "compression_parameters")? {
            for (old, new) in
                [("sstable_compression", "class"), ("chunk_length_kb", "chunk_length_in_kb")]
            {
                if let Some(value) = map.remove(old) {
                    map.insert(new.into(), value);
                }
            }
            let chance = map.remove("crc_check_chance");
            put("crc_check_chance", chance.filter(|text| text.parse::<f64>().is_ok()));
            if map.get("class").is_none_or(String::is_empty) {
                map = BTreeMap::from([("enabled".into(), "false".into())]);
            }
            put("compression", Some(map_literal(&map)));
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparators_are_taken_apart() {
        let simple = parse_comparator("org.apache.cassandra.db.marshal.UTF8Type");
        assert_eq!(simple.components, ["org.apache.cassandra.db.marshal.UTF8Type"]);
        assert!(!simple.is_composite);
        let text = "org.apache.cassandra.db.marshal.CompositeType(a.ReversedType(a.Int32Type),a.UTF8Type,\
                    a.ColumnToCollectionType(6c:a.ListType(a.Int32Type),6d:a.MapType(a.UTF8Type,a.LongType)))";
        let found = parse_comparator(text);
        assert_eq!(found.components, ["a.ReversedType(a.Int32Type)", "a.UTF8Type"]);
        let collections: Vec<_> = found.collections.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(
            collections,
            [("l", "a.ListType(a.Int32Type)"), ("m", "a.MapType(a.UTF8Type,a.LongType)")]
        );
        for odd in
            ["", "(", "CompositeType(", "CompositeType()", "CompositeType(,)", "x)y(", "\u{e9}("]
        {
            drop(parse_comparator(odd));
        }
    }
}
