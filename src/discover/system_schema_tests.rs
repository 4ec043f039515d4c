use super::super::raw_row::RawValue;
use super::*;
use crate::schema::write_schema;

fn simple(bytes: impl AsRef<[u8]>) -> RawValue {
    RawValue::Simple(bytes.as_ref().to_vec())
}

/// A frozen list, set or map of texts.
fn frozen(count: usize, values: &[&str]) -> RawValue {
    let mut bytes = i32::try_from(count).unwrap().to_be_bytes().to_vec();
    for value in values {
        bytes.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(value.as_bytes());
    }
    RawValue::Simple(bytes)
}

fn list(values: &[&str]) -> RawValue {
    frozen(values.len(), values)
}

fn map(values: &[&str]) -> RawValue {
    frozen(values.len() / 2, values)
}

fn row(cells: &[(&str, RawValue)]) -> RawRow {
    cells.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn column(table: &str, name: &str, kind: &str, position: i32, cql_type: &str) -> RawRow {
    let order = match (kind, name.starts_with("desc")) {
        ("clustering", true) => "desc",
        ("clustering", false) => "asc",
        _ => "none",
    };
    row(&[
        ("keyspace_name", simple("ks")),
        ("table_name", simple(table)),
        ("column_name", simple(name)),
        ("clustering_order", simple(order)),
        ("kind", simple(kind)),
        ("position", simple(position.to_be_bytes())),
        ("type", simple(cql_type)),
    ])
}

fn table(name: &str, id: u8, flags: &[&str], more: &[(&str, RawValue)]) -> RawRow {
    let mut cells = row(&[
        ("keyspace_name", simple("ks")),
        ("table_name", simple(name)),
        ("id", simple([id; 16])),
        ("flags", list(flags)),
    ]);
    cells.extend(row(more));
    cells
}

/// Rows as a node of 4.1 (5.0 for the mask) would have them.
fn rows() -> SystemRows {
    let in_ks = |more: &[(&str, RawValue)]| {
        let mut cells = row(&[("keyspace_name", simple("ks"))]);
        cells.extend(row(more));
        cells
    };
    let keyspaces = vec![in_ks(&[
        ("durable_writes", simple([1])),
        (
            "replication",
            map(&["class", "org.apache.cassandra.locator.NetworkTopologyStrategy", "dc1", "3"]),
        ),
    ])];
    let tables = vec![
        table(
            "t",
            1,
            &["compound"],
            &[
                ("bloom_filter_fp_chance", simple(0.01_f64.to_be_bytes())),
                ("caching", map(&["keys", "ALL", "rows_per_partition", "NONE"])),
                ("cdc", simple([0])),
                ("comment", simple("it's")),
                ("crc_check_chance", simple(1.0_f64.to_be_bytes())),
                ("dclocal_read_repair_chance", simple(0.0_f64.to_be_bytes())),
                ("default_time_to_live", simple(60_i32.to_be_bytes())),
                ("extensions", map(&[])),
                ("gc_grace_seconds", simple(5_i32.to_be_bytes())),
                ("read_repair", simple("BLOCKING")),
                ("read_repair_chance", simple(0.0_f64.to_be_bytes())),
            ],
        ),
        table("static_compact", 2, &[], &[("extensions", map(&["k", "ab"]))]),
        table("dense", 3, &["dense"], &[]),
        table("super_table", 4, &["dense", "super"], &[]),
        table("counters", 5, &["compound", "counter"], &[]),
        table("broken", 6, &["compound"], &[]),
    ];
    let columns = vec![
        column("t", "k2", "partition_key", 1, "text"),
        column("t", "k1", "partition_key", 0, "int"),
        column("t", "asc2", "clustering", 1, "text"),
        column("t", "desc1", "clustering", 0, "timeuuid"),
        column("t", "st", "static", -1, "frozen<outer>"),
        column("t", "list", "regular", -1, "list<int>"),
        column("t", "v", "regular", -1, "'org.apache.cassandra.db.marshal.DateType'"),
        column("static_compact", "k", "partition_key", 0, "int"),
        column("static_compact", "column1", "clustering", 0, "text"),
        column("static_compact", "a", "static", -1, "text"),
        column("static_compact", "value", "regular", -1, "blob"),
        column("dense", "k", "partition_key", 0, "int"),
        column("dense", "c", "clustering", 0, "int"),
        column("dense", "value", "regular", -1, "empty"),
        column("super_table", "k", "partition_key", 0, "int"),
        column("super_table", "column1", "clustering", 0, "text"),
        column("super_table", "", "regular", -1, "map<int, blob>"),
        column("counters", "k", "partition_key", 0, "int"),
        column("counters", "n", "regular", -1, "counter"),
        column("mv", "v", "partition_key", 0, "int"),
        column("mv", "k1", "clustering", 0, "int"),
        column("mv", "k2", "clustering", 1, "text"),
    ];
    let dropped = |name: &str, kind: Option<&str>, cql_type: &str| {
        let mut cells = in_ks(&[
            ("table_name", simple("t")),
            ("column_name", simple(name)),
            ("dropped_time", simple(1_700_000_000_123_i64.to_be_bytes())),
            ("type", simple(cql_type)),
        ]);
        cells.extend(kind.map(|kind| ("kind".to_owned(), simple(kind))));
        cells
    };
    let named = |columns: &[(&str, &str)]| {
        let cells: Vec<_> = columns.iter().map(|(name, value)| (*name, simple(value))).collect();
        in_ks(&cells)
    };
    let udt = |name: &str, fields: &[&str], types: &[&str]| {
        in_ks(&[
            ("type_name", simple(name)),
            ("field_names", list(fields)),
            ("field_types", list(types)),
        ])
    };
    let mut mask = named(&[
        ("table_name", "t"),
        ("column_name", "v"),
        ("function_keyspace", "system"),
        ("function_name", "mask_inner"),
    ]);
    mask.insert("function_argument_types".into(), list(&["int", "int", "text"]));
    mask.insert("function_argument_values".into(), list(&["1", "", "*"]));
    mask.insert("function_argument_nulls".into(), frozen(3, &["\0", "\x01", "\0"]));
    let index = |name: &str, kind: &str, options: &[&str]| {
        let mut cells = named(&[("table_name", "t"), ("index_name", name), ("kind", kind)]);
        cells.insert("options".into(), map(options));
        cells
    };
    let mut view =
        named(&[("view_name", "mv"), ("base_table_name", "t"), ("where_clause", "v IS NOT NULL")]);
    view.insert("include_all_columns".into(), simple([0]));
    view.insert("id".into(), simple([9; 16]));
    SystemRows {
        tables: BTreeMap::from([
            ("keyspaces".into(), keyspaces),
            ("tables".into(), tables),
            ("columns".into(), columns),
            (
                "dropped_columns".into(),
                vec![
                    dropped("old", None, "int"),
                    dropped("list", Some("regular"), "frozen<tuple<int, text>>"),
                    dropped("gone", Some("static"), "map<text, int>"),
                ],
            ),
            (
                "types".into(),
                vec![
                    udt("inner", &["n"], &["int"]),
                    udt("outer", &["a", "b"], &["frozen<zz>", "text"]),
                    udt("zz", &["i"], &["frozen<inner>"]),
                ],
            ),
            ("column_masks".into(), vec![mask]),
            (
                "indexes".into(),
                vec![
                    index("z", "COMPOSITES", &["target", "v"]),
                    index("a", "CUSTOM", &["class_name", "SAI", "target", "values(list)"]),
                ],
            ),
            ("views".into(), vec![view]),
            ("triggers".into(), vec![named(&[("table_name", "t"), ("trigger_name", "trg")])]),
            ("functions".into(), vec![named(&[("function_name", "f")])]),
        ]),
    }
}

fn shown(columns: &[ColumnMetadata]) -> Vec<String> {
    columns.iter().map(|c| format!("{} {}", c.name, c.cql_type)).collect()
}

#[test]
fn the_nodes_own_tables_are_built_in_with_their_ids() {
    let schema = system_tables().unwrap();
    assert_eq!(schema.tables().count(), 14);
    assert!(schema.tables().all(|table| table.id.is_some() && table.compact == CompactKind::None));
    let local = system_table("system", "local").unwrap();
    assert_eq!(local.id.unwrap().0.simple().to_string(), "7ad54392bcdd35a684174e047860b377");
    assert!(local.regulars.iter().any(|c| c.name == "tokens" && c.cql_type.is_multi_cell()));
    let tables = system_table("system_schema", "tables").unwrap();
    assert_eq!((tables.gc_grace_seconds, tables.regulars.len()), (604_800, 23));
    assert!(tables.regulars.iter().all(|column| !column.cql_type.is_multi_cell()));
    // Ids are MD5 name UUIDs of the keyspace's and the table's name together.
    for table in schema.tables() {
        use md5::{Digest, Md5};
        let mut hash: [u8; 16] = Md5::digest(format!("{}{}", table.keyspace, table.name)).into();
        hash[6] = hash[6] & 0x0f | 0x30;
        hash[8] = hash[8] & 0x3f | 0x80;
        assert_eq!(table.id.unwrap().0.as_bytes(), &hash, "{}", table.qualified_name());
    }
}

#[test]
fn tables_are_built_from_rows_in_any_order() {
    let schema = build_schema(&rows()).unwrap();
    let keyspace = &schema.keyspaces["ks"];
    assert_eq!(keyspace.replication["dc1"], "3");
    let t = &keyspace.tables["t"];
    assert_eq!(t.id.unwrap().0.as_bytes(), &[1; 16]);
    assert_eq!(shown(&t.partition_key), ["k1 int", "k2 text"]);
    assert_eq!(shown(&t.clustering), ["desc1 timeuuid", "asc2 text"]);
    assert!(t.clustering[0].reversed && !t.clustering[1].reversed);
    assert_eq!(shown(&t.statics), ["st frozen<outer>"]);
    assert_eq!(
        shown(&t.regulars),
        ["v 'org.apache.cassandra.db.marshal.DateType'", "list list<int>"]
    );
    assert_eq!(t.regulars[0].mask.as_deref(), Some("system.mask_inner(1, null, '*')"));
    let dropped: Vec<_> =
        t.dropped.iter().map(|d| (d.name.as_str(), d.kind, d.dropped_micros)).collect();
    let micros = 1_700_000_000_123_000;
    assert_eq!(
        dropped,
        [
            ("gone", ColumnKind::Static, micros),
            ("list", ColumnKind::Regular, micros),
            ("old", ColumnKind::Regular, micros)
        ]
    );
    assert_eq!((t.gc_grace_seconds, t.default_time_to_live), (5, 60));
    let CqlType::Udt { udt, .. } = &t.statics[0].cql_type else { panic!() };
    assert_eq!(udt.fields.len(), 2);
}

#[test]
fn options_are_cql_and_those_that_4_0_ignores_are_left_out() {
    let schema = build_schema(&rows()).unwrap();
    let options: Vec<String> = schema
        .table("ks", "t")
        .unwrap()
        .options
        .iter()
        .map(|(name, literal)| format!("{name} = {literal}"))
        .collect();
    assert_eq!(
        options,
        [
            "bloom_filter_fp_chance = 0.01",
            "caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}",
            "cdc = false",
            "comment = 'it''s'",
            "crc_check_chance = 1.0",
            "default_time_to_live = 60",
            "gc_grace_seconds = 5",
            "read_repair = 'BLOCKING'",
        ]
    );
    let compact = schema.table("ks", "static_compact").unwrap();
    assert_eq!(compact.options["extensions"], "{'k': 0x6162}");
}

#[test]
fn flags_tell_the_kinds_of_tables() {
    let schema = build_schema(&rows()).unwrap();
    for (name, compact, counter) in [
        ("t", CompactKind::None, false),
        ("static_compact", CompactKind::StaticCompact, false),
        ("dense", CompactKind::Dense, false),
        ("super_table", CompactKind::Super, false),
        ("counters", CompactKind::None, true),
        ("mv", CompactKind::None, false),
    ] {
        let table = schema.table("ks", name).unwrap();
        assert_eq!((table.compact, table.counter), (compact, counter), "{name}");
    }
    let view = schema.table("ks", "mv").unwrap().view.clone().unwrap();
    assert_eq!((view.base_table.as_str(), view.include_all_columns), ("t", false));
}

#[test]
fn what_is_not_printed_is_named() {
    let schema = build_schema(&rows()).unwrap();
    let noted: Vec<_> = schema.keyspaces["ks"].not_printed.iter().map(String::as_str).collect();
    assert_eq!(
        noted,
        ["function f", "table broken, whose columns are not in system_schema", "trigger trg on t"]
    );
}

#[test]
fn a_schema_from_the_disk_is_written_and_read_back() {
    let mut schema = build_schema(&rows()).unwrap();
    let text = write_schema(&schema, &|_| true);
    let read = parse_schema(&text, None).unwrap();
    schema.origin.clear();
    schema.keyspaces.get_mut("ks").unwrap().not_printed.clear();
    assert_eq!(read, schema, "{text}");
}

#[test]
fn damaged_rows_are_errors_that_name_the_column() {
    type Change = fn(&mut SystemRows);
    let changes: [(Change, &str); 6] = [
        (
            |r| drop(r.tables.get_mut("tables").unwrap()[0].insert("id".into(), simple([1; 3]))),
            "tables: column id: 3 bytes",
        ),
        (
            |r| {
                drop(
                    r.tables.get_mut("tables").unwrap()[0].insert("comment".into(), simple([0xff])),
                )
            },
            "tables: column comment: not valid UTF-8",
        ),
        (
            |r| {
                drop(
                    r.tables.get_mut("tables").unwrap()[0]
                        .insert("caching".into(), simple([0, 0, 0, 9])),
                )
            },
            "tables: column caching",
        ),
        (
            |r| drop(r.tables.get_mut("columns").unwrap()[0].remove("type")),
            "columns: column type: no value",
        ),
        (
            |r| {
                drop(
                    r.tables.get_mut("columns").unwrap()[0]
                        .insert("type".into(), simple("nowhere")),
                )
            },
            "ks.t: column k2: ",
        ),
        (
            |r| drop(r.tables.get_mut("columns").unwrap()[0].insert("kind".into(), simple("odd"))),
            "unknown kind \"odd\"",
        ),
    ];
    for (change, words) in changes {
        let mut rows = rows();
        change(&mut rows);
        let error = build_schema(&rows).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        assert_eq!(error.class(), crate::ErrorClass::Missing);
    }
}

#[test]
fn all_tables_are_asked_for() {
    struct Source(Vec<String>);
    impl SystemTables for Source {
        fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>> {
            self.0.push(table.name.clone());
            Ok(Vec::new())
        }
    }
    let mut source = Source(Vec::new());
    assert!(SystemRows::read(&mut source).unwrap().is_empty());
    assert_eq!(source.0.len(), 11);
}
