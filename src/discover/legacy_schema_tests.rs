use super::super::raw_row::{RawRow, RawValue, SystemTables};
use super::*;
use crate::cql::CqlType;
use crate::schema::{ColumnMetadata, CompactKind};

/// Rows of `schema_columnfamilies` and `schema_columns`.
#[derive(Default)]
struct Tables {
    rows: Rows,
}

fn row(values: &[(&str, &str)]) -> RawRow {
    values
        .iter()
        .map(|(name, value)| {
            let bytes = match *name {
                "component_index" => value.parse::<i32>().unwrap().to_be_bytes().to_vec(),
                "is_dense" => vec![u8::from(*value == "true")],
                _ => value.as_bytes().to_vec(),
            };
            ((*name).to_owned(), RawValue::Simple(bytes))
        })
        .collect()
}

impl Tables {
    fn add(&mut self, table: &str, values: &[(&str, &str)]) {
        let mut row = row(values);
        row.insert("keyspace_name".into(), RawValue::Simple(b"ks".to_vec()));
        self.rows.entry(table.to_owned()).or_default().push(row);
    }

    /// A table with these columns: name, kind, type, component index.
    fn table(&mut self, options: &[(&str, &str)], columns: &[(&str, &str, &str, Option<&str>)]) {
        let mut all = vec![("columnfamily_name", "t")];
        all.extend(options);
        self.add("schema_columnfamilies", &all);
        for (name, kind, validator, index) in columns {
            let mut values = vec![
                ("columnfamily_name", "t"),
                ("column_name", *name),
                ("type", *kind),
                ("validator", *validator),
            ];
            values.extend(index.map(|index| ("component_index", index)));
            self.add("schema_columns", &values);
        }
    }

    fn read(&mut self) -> TableMetadata {
        let schema = read_legacy_schema(self).unwrap().unwrap();
        schema.table("ks", "t").unwrap().clone()
    }
}

impl SystemTables for Tables {
    fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>> {
        Ok(self.rows.get(&table.name).cloned().unwrap_or_default())
    }
}

fn read(options: &[(&str, &str)], columns: &[(&str, &str, &str, Option<&str>)]) -> TableMetadata {
    let mut tables = Tables::default();
    tables.table(options, columns);
    tables.read()
}

fn names(columns: &[ColumnMetadata]) -> Vec<&str> {
    columns.iter().map(|column| column.name.as_str()).collect()
}

const KEY: (&str, &str, &str, Option<&str>) = ("k", "partition_key", "Int32Type", None);

#[test]
fn a_cql_table_has_its_columns_in_order() {
    let comparator = "CompositeType(ReversedType(Int32Type),UTF8Type,UTF8Type,\
                      ColumnToCollectionType(676f6e65:ListType(Int32Type),6d:MapType(UTF8Type,Int32Type)))";
    let mut tables = Tables::default();
    tables.table(
        &[("type", "Standard"), ("comparator", comparator), ("is_dense", "false")],
        &[
            ("b", "partition_key", "Int32Type", Some("1")),
            ("a", "partition_key", "UTF8Type", Some("0")),
            ("d", "clustering_key", "UTF8Type", Some("1")),
            ("c", "clustering_key", "ReversedType(Int32Type)", Some("0")),
            ("v", "regular", "UserType(ks,7564,66:Int32Type)", Some("2")),
            ("m", "regular", "MapType(UTF8Type,Int32Type)", Some("2")),
            ("s", "static", "UTF8Type", Some("2")),
        ],
    );
    let dropped = vec![
        (b"gone".to_vec(), 7_i64.to_be_bytes().to_vec()),
        (b"s".to_vec(), 8_i64.to_be_bytes().to_vec()),
        (b"simple".to_vec(), 9_i64.to_be_bytes().to_vec()),
    ];
    let rows = tables.rows.get_mut("schema_columnfamilies").unwrap();
    rows[0].insert("dropped_columns".into(), RawValue::Elements(dropped));
    let table = tables.read();
    assert_eq!(table.compact, CompactKind::None);
    assert_eq!(names(&table.partition_key), ["a", "b"]);
    assert_eq!(names(&table.clustering), ["c", "d"]);
    assert!(table.clustering[0].reversed && !table.clustering[1].reversed);
    assert_eq!(names(&table.statics), ["s"]);
    assert_eq!(names(&table.regulars), ["v", "m"]);
    assert!(matches!(table.regulars[0].cql_type, CqlType::Udt { frozen: true, .. }));
    let found: Vec<_> =
        table.dropped.iter().map(|d| (&*d.name, d.multi_cell, d.kind, d.dropped_micros)).collect();
    use crate::schema::ColumnKind::{Regular, Static};
    assert_eq!(
        found,
        [("gone", true, Regular, 7), ("s", false, Static, 8), ("simple", false, Regular, 9)]
    );
}

#[test]
fn what_makes_a_table_compact_is_told_by_its_comparator() {
    // (comparator, stored flag, columns) and what comes of it.
    let clustering = |name, index| (name, "clustering_key", "UTF8Type", Some(index));
    let value = |name| (name, "compact_value", "Int32Type", None);
    let two = "CompositeType(UTF8Type,UTF8Type)";
    let dense = read(
        &[("comparator", two), ("is_dense", "true")],
        &[KEY, clustering("c", "0"), clustering("d", "1"), value("v")],
    );
    assert_eq!((dense.compact, names(&dense.regulars)), (CompactKind::Dense, vec!["v"]));
    let only_key = read(&[("comparator", "UTF8Type")], &[KEY, clustering("c", "0"), value("")]);
    assert_eq!(only_key.compact, CompactKind::Dense);
    assert_eq!(only_key.regulars[0].cql_type, CqlType::Empty);
    let fixed = [KEY, ("x", "regular", "Int32Type", None), ("y", "regular", "UTF8Type", None)];
    let compact = read(&[("comparator", "UTF8Type"), ("default_validator", "LongType")], &fixed);
    assert_eq!(compact.compact, CompactKind::StaticCompact);
    assert_eq!(
        (names(&compact.statics), names(&compact.clustering)),
        (vec!["x", "y"], vec!["column1"])
    );
    assert_eq!(compact.regulars[0].cql_type, CqlType::Bigint);
    // Nothing but a key, which is stored as dense (CASSANDRA-11502).
    let nothing = read(&[("comparator", "CompositeType(UTF8Type)"), ("is_dense", "true")], &[KEY]);
    assert_eq!((nothing.compact, nothing.clustering.len()), (CompactKind::None, 0));
}

#[test]
fn tables_of_thrift_get_the_names_that_cql_shows() {
    let thrift = read(
        &[
            ("comparator", "LongType"),
            ("key_validator", "CompositeType(UTF8Type,Int32Type)"),
            ("default_validator", "CounterColumnType"),
        ],
        &[],
    );
    assert_eq!(names(&thrift.partition_key), ["key", "key2"]);
    assert_eq!(
        (names(&thrift.clustering), names(&thrift.regulars)),
        (vec!["column1"], vec!["value"])
    );
    assert!(thrift.counter);
    assert_eq!(thrift.compact, CompactKind::Dense);
    let super_table = read(
        &[("type", "Super"), ("comparator", "UTF8Type"), ("subcomparator", "Int32Type")],
        &[KEY],
    );
    assert_eq!(super_table.compact, CompactKind::Dense);
    assert_eq!(names(&super_table.clustering), ["column1", "column2"]);
    assert_eq!(super_table.clustering[1].cql_type, CqlType::Int);
}

#[test]
fn options_are_written_as_3_0_writes_them() {
    let table = read(
        &[
            ("comparator", "CompositeType(UTF8Type)"),
            ("comment", "it's"),
            ("caching", r#"{"keys":"ALL", "rows_per_partition":"NONE"}"#),
            ("compaction_strategy_class", "org.example.Strategy"),
            ("compaction_strategy_options", r#"{"min_threshold":"3"}"#),
            (
                "compression_parameters",
                r#"{"sstable_compression":"LZ4Compressor","chunk_length_kb":"4","crc_check_chance":"0.5"}"#,
            ),
        ],
        &[KEY, ("v", "regular", "Int32Type", Some("0"))],
    );
    let expected = [
        ("caching", "{'keys': 'ALL', 'rows_per_partition': 'NONE'}"),
        ("comment", "'it''s'"),
        ("compaction", "{'class': 'org.example.Strategy', 'min_threshold': '3'}"),
        ("compression", "{'chunk_length_in_kb': '4', 'class': 'LZ4Compressor'}"),
        ("crc_check_chance", "0.5"),
    ];
    let found: Vec<_> = table.options.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(found, expected);
}

#[test]
fn keyspaces_types_and_indexes_are_read() {
    let mut tables = Tables::default();
    tables.table(
        &[("comparator", "CompositeType(UTF8Type)")],
        &[KEY, ("v", "regular", "Int32Type", Some("0"))],
    );
    let columns = tables.rows.get_mut("schema_columns").unwrap();
    columns[1].extend(row(&[
        ("index_type", "COMPOSITES"),
        ("index_name", "i"),
        ("index_options", "{}"),
    ]));
    tables.add(
        "schema_keyspaces",
        &[
            ("strategy_class", "org.apache.cassandra.locator.SimpleStrategy"),
            ("strategy_options", r#"{"replication_factor":"3"}"#),
        ],
    );
    tables.add("schema_usertypes", &[("type_name", "ud")]);
    let list = |texts: [&str; 2]| {
        let cell = |(i, text): (u8, &str)| (vec![i; 16], text.as_bytes().to_vec());
        RawValue::Elements((0..).zip(texts).map(cell).collect())
    };
    let types = tables.rows.get_mut("schema_usertypes").unwrap();
    types[0].insert("field_names".into(), list(["f", "g"]));
    types[0].insert("field_types".into(), list(["Int32Type", "ListType(UTF8Type)"]));
    let schema = read_legacy_schema(&mut tables).unwrap().unwrap();
    let keyspace = &schema.keyspaces["ks"];
    assert_eq!(keyspace.replication["replication_factor"], "3");
    assert_eq!(keyspace.types["ud"].fields.len(), 2);
    assert!(matches!(keyspace.types["ud"].fields[1].1, CqlType::List { frozen: true, .. }));
    assert_eq!(keyspace.tables["t"].indexes[0].options["target"], "v");
}

#[test]
fn no_tables_are_no_schema_and_bad_types_are_errors() {
    assert!(read_legacy_schema(&mut Tables::default()).unwrap().is_none());
    let mut tables = Tables::default();
    tables.table(&[("comparator", "UTF8Type")], &[("k", "partition_key", "MapType(", None)]);
    assert!(read_legacy_schema(&mut tables).unwrap_err().to_string().contains("column k"));
    let mut tables = Tables::default();
    tables.table(&[("comparator", "UTF8Type")], &[("k", "other", "Int32Type", None)]);
    assert!(read_legacy_schema(&mut tables).is_err());
}
