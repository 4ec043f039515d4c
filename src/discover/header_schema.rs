//! A makeshift schema from the headers of the SSTables, for files without any.
//!
//! Statistics.db has the types of the key columns but not their names, and the names and types of the other columns that
//! occur in the file. Invented are `key1…` and `ck1…`. Not known: options, columns that no file has, which columns were
//! dropped, and whether a table is compact. A frozen user-defined type of 3.0 cannot be told from one that is not
//! (CASSANDRA-15035).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::data_dir::{DataDirs, TableDir};
use crate::cql::{CqlType, UdtType};
use crate::error::{Error, Result};
use crate::rows::codec::{HeaderColumn, SerializationHeader};
use crate::schema::{
    ColumnKind, ColumnMetadata, CompactKind, DEFAULT_GC_GRACE_SECONDS, KeyspaceMetadata, RowOrder,
    Schema, TableMetadata,
};
use crate::sstable::Component;
use crate::sstable::stats::Statistics;

/// Makes a schema of all tables with SSTables, except Cassandra's own.
pub fn header_schema(dirs: &DataDirs) -> Result<Schema> {
    let mut schema = Schema { origin: "the headers of the SSTables".into(), ..Schema::default() };
    let mut atoms = None;
    for dir in dirs.tables.iter().filter(|dir| !dir.keyspace.starts_with("system")) {
        let mut headers = Vec::new();
        for sstable in &dir.sstables {
            let path = sstable.descriptor.path(Component::Statistics);
            match Statistics::read(&path, sstable.descriptor.version)?.header {
                Some(header) => headers.push((path.clone(), header)),
                None => atoms = Some(path),
            }
        }
        let Some(((_, first), rest)) = headers.split_first() else { continue };
        for (path, header) in rest {
            if header.key_type != first.key_type
                || header.clustering_types != first.clustering_types
            {
                return Err(Error::Schema {
                    what: format!("{} has another key than the SSTables before it", path.display()),
                    hint: Some(
                        "the folder mixes tables: give the schema as CQL with --schema FILE".into(),
                    ),
                });
            }
        }
        let headers: Vec<&SerializationHeader> = headers.iter().map(|(_, header)| header).collect();
        let table = table_of(dir, &headers);
        let keyspace =
            schema.keyspaces.entry(dir.keyspace.clone()).or_insert_with(|| KeyspaceMetadata {
                name: dir.keyspace.clone(),
                durable_writes: true,
                ..KeyspaceMetadata::default()
            });
        let columns = [&table.partition_key, &table.clustering, &table.statics, &table.regulars];
        for column in columns.into_iter().flatten() {
            collect_types(&column.cql_type, &mut keyspace.types);
        }
        if keyspace.tables.insert(dir.table.clone(), table).is_some() {
            return Err(Error::Schema {
                what: format!(
                    "{}.{} has SSTables in folders with several ids",
                    dir.keyspace, dir.table
                ),
                hint: Some("give the folder that is meant".into()),
            });
        }
    }
    if let (Some(path), true) = (atoms, schema.keyspaces.is_empty()) {
        return Err(Error::Missing {
            what: format!(
                "{} has no header to make a schema of: SSTables of Cassandra 2.x have none",
                path.display()
            ),
            hint: Some("give the schema as CQL with --schema FILE".into()),
        });
    }
    if schema.keyspaces.is_empty() {
        return Err(Error::Missing {
            what: match dirs.tables.iter().find_map(|dir| dir.unsupported.first()) {
                Some((path, why)) => {
                    format!("{} has no header that is read: it is {why}", path.display())
                }
                None => "no SSTable whose header could be read".into(),
            },
            hint: Some("give the schema as CQL with --schema FILE".into()),
        });
    }
    Ok(schema)
}

fn table_of(dir: &TableDir, headers: &[&SerializationHeader]) -> TableMetadata {
    let column = |name: String, cql_type: CqlType, kind, reversed| ColumnMetadata {
        name,
        cql_type,
        kind,
        reversed,
        mask: None,
    };
    let statics = unite(headers.iter().map(|header| header.statics.as_slice()));
    let regulars = unite(headers.iter().map(|header| header.regulars.as_slice()));
    let taken: BTreeSet<&String> = statics.keys().chain(regulars.keys()).collect();
    let invent = |prefix: &str, i: usize| {
        let mut name = format!("{prefix}{}", i + 1);
        while taken.contains(&name) {
            name.insert(0, '_');
        }
        name
    };
    let (key_types, clustering_types) = match headers.first() {
        Some(header) => (
            match &header.key_type {
                CqlType::Composite(types) => types.clone(),
                single => vec![single.clone()],
            },
            header.clustering_types.clone(),
        ),
        None => (Vec::new(), Vec::new()),
    };
    let of_kind = |columns: &BTreeMap<String, CqlType>, kind| -> Vec<ColumnMetadata> {
        columns.iter().map(|(name, t)| column(name.clone(), t.clone(), kind, false)).collect()
    };
    let mut table = TableMetadata {
        keyspace: dir.keyspace.clone(),
        name: dir.table.clone(),
        id: dir.id,
        partition_key: key_types
            .into_iter()
            .enumerate()
            .map(|(i, t)| column(invent("key", i), t, ColumnKind::PartitionKey, false))
            .collect(),
        clustering: clustering_types
            .into_iter()
            .enumerate()
            .map(|(i, t)| column(invent("ck", i), t.cql_type, ColumnKind::Clustering, t.reversed))
            .collect(),
        counter: statics.values().chain(regulars.values()).any(|t| *t == CqlType::Counter),
        statics: of_kind(&statics, ColumnKind::Static),
        regulars: of_kind(&regulars, ColumnKind::Regular),
        dropped: Vec::new(),
        compact: CompactKind::None,
        gc_grace_seconds: DEFAULT_GC_GRACE_SECONDS,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    };
    table.sort_columns();
    table
}

/// Columns of all files; of several types of one name, that of the newest file.
fn unite<'a>(files: impl Iterator<Item = &'a [HeaderColumn]>) -> BTreeMap<String, CqlType> {
    files.flatten().map(|column| (column.name.clone(), column.cql_type.clone())).collect()
}

/// Adds the user-defined types in a type.
fn collect_types(cql_type: &CqlType, types: &mut BTreeMap<String, Arc<UdtType>>) {
    match cql_type {
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => collect_types(element, types),
        CqlType::Map { key, value, .. } => {
            collect_types(key, types);
            collect_types(value, types);
        }
        CqlType::Tuple(elements) | CqlType::Composite(elements) => {
            elements.iter().for_each(|element| collect_types(element, types));
        }
        CqlType::Udt { udt, .. } => {
            types.insert(udt.name.clone(), Arc::clone(udt));
            udt.fields.iter().for_each(|(_, field)| collect_types(field, types));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::parse_marshal_type;

    fn header(statics: &[(&str, &str)], regulars: &[(&str, &str)]) -> SerializationHeader {
        let marshal = |text: &str| parse_marshal_type(text).unwrap();
        let columns = |list: &[(&str, &str)]| -> Vec<HeaderColumn> {
            list.iter()
                .map(|(name, t)| HeaderColumn {
                    name: (*name).into(),
                    cql_type: marshal(t).cql_type,
                })
                .collect()
        };
        SerializationHeader {
            min_timestamp: 0,
            min_local_deletion_time: 0,
            min_ttl: 0,
            key_type: marshal("CompositeType(Int32Type,UTF8Type)").cql_type,
            clustering_types: vec![marshal("ReversedType(LongType)"), marshal("UTF8Type")],
            statics: columns(statics),
            regulars: columns(regulars),
        }
    }

    #[test]
    fn names_are_invented_and_columns_of_all_files_united() {
        let dir = TableDir { keyspace: "ks".into(), table: "t".into(), ..TableDir::default() };
        let old = header(&[("s", "Int32Type")], &[("a", "Int32Type"), ("ck2", "UTF8Type")]);
        let new =
            header(&[], &[("a", "IntegerType"), ("u", "FrozenType(UserType(ks,61,62:Int32Type))")]);
        let table = table_of(&dir, &[&old, &new]);
        let shown = |columns: &[ColumnMetadata]| -> Vec<String> {
            columns.iter().map(|c| format!("{} {}", c.name, c.cql_type)).collect()
        };
        assert_eq!(shown(&table.partition_key), ["key1 int", "key2 text"]);
        assert_eq!(shown(&table.clustering), ["ck1 bigint", "_ck2 text"]);
        assert!(table.clustering[0].reversed && !table.clustering[1].reversed);
        assert_eq!(shown(&table.statics), ["s int"]);
        assert_eq!(shown(&table.regulars), ["a varint", "ck2 text", "u frozen<a>"]);
        let mut types = BTreeMap::new();
        collect_types(&table.regulars[2].cql_type, &mut types);
        assert_eq!(types.keys().collect::<Vec<_>>(), ["a"]);
    }
}
