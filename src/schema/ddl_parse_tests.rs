use super::*;
use crate::cql::CqlType;
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, TableMetadata};

fn parse(text: &str) -> Schema {
    parse_schema(text, Some("ks")).unwrap()
}

fn table(text: &str) -> TableMetadata {
    parse(text).table("ks", "t").unwrap().clone()
}

fn shown(columns: &[ColumnMetadata]) -> Vec<String> {
    columns.iter().map(|c| format!("{} {}", c.name, c.cql_type)).collect()
}

/// A snapshot's schema.cql of 4.1.
const SNAPSHOT: &str = r#"
CREATE TYPE IF NOT EXISTS ks."Addr" (street text, "zip code" int);
CREATE TABLE IF NOT EXISTS ks.t (
    k1 int,
    "K2" text,
    c1 timeuuid,
    c2 text,
    s frozen<"Addr"> static,
    gone map<text, int>,
    back int,
    v list<frozen<tuple<int, text>>>,
    PRIMARY KEY ((k1, "K2"), c1, c2)
) WITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c18
    AND CLUSTERING ORDER BY (c1 DESC, c2 ASC)
    AND additional_write_policy = '99p'
    AND bloom_filter_fp_chance = 0.01
    AND caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}
    AND cdc = false
    AND comment = 'it''s -- a; comment'
    AND compression = {'class': 'org.apache.cassandra.io.compress.LZ4Compressor', 'chunk_length_in_kb': '16'}
    AND default_time_to_live = 60
    AND gc_grace_seconds = 3600
    AND memtable = 'default';
ALTER TABLE ks.t DROP gone USING TIMESTAMP 1700000000000000;
ALTER TABLE ks.t DROP back USING TIMESTAMP 1700000000000001;
ALTER TABLE ks.t ADD back bigint;
CREATE INDEX t_v_idx ON ks.t (values(v));
CREATE CUSTOM INDEX sai ON ks.t ("K2") USING 'StorageAttachedIndex' WITH OPTIONS = {'case_sensitive': false};
"#;

#[test]
fn a_snapshots_schema_is_read() {
    let schema = parse_schema(SNAPSHOT, None).unwrap();
    let table = schema.table("ks", "t").unwrap();
    assert_eq!(table.id.unwrap().to_string(), "5a1c395e-b41f-11e5-9f22-ba0be0483c18");
    assert_eq!(shown(&table.partition_key), ["k1 int", "K2 text"]);
    assert_eq!(shown(&table.clustering), ["c1 timeuuid", "c2 text"]);
    assert!(table.clustering[0].reversed && !table.clustering[1].reversed);
    assert_eq!(shown(&table.statics), ["s frozen<\"Addr\">"]);
    assert_eq!(shown(&table.regulars), ["back bigint", "v list<frozen<tuple<int, text>>>"]);
    let dropped: Vec<_> = table
        .dropped
        .iter()
        .map(|d| (d.name.as_str(), d.cql_type.to_string(), d.dropped_micros))
        .collect();
    assert_eq!(
        dropped,
        [
            ("back", "int".to_owned(), 1_700_000_000_000_001),
            ("gone", "map<text, int>".to_owned(), 1_700_000_000_000_000),
        ]
    );
    assert_eq!((table.gc_grace_seconds, table.default_time_to_live), (3600, 60));
    assert_eq!(table.options["comment"], "'it''s -- a; comment'");
    assert_eq!(table.options["bloom_filter_fp_chance"], "0.01");
    assert_eq!(table.options["caching"], "{'keys': 'ALL', 'rows_per_partition': 'NONE'}");
    assert!(!table.options.contains_key("id"));
    let indexes: Vec<_> =
        table.indexes.iter().map(|i| (i.name.as_str(), i.kind.as_str())).collect();
    assert_eq!(indexes, [("sai", "CUSTOM"), ("t_v_idx", "COMPOSITES")]);
    assert_eq!(table.indexes[0].options["case_sensitive"], "false");
    assert_eq!(table.indexes[0].options["target"], "\"K2\"");
    assert_eq!(table.indexes[1].options["target"], "values(v)");
}

#[test]
fn keyspaces_types_and_views_may_come_in_any_order() {
    let schema = parse(
        "USE other; CREATE MATERIALIZED VIEW v AS SELECT  v, k FROM t\n WHERE v IS NOT  NULL AND k IS NOT NULL
             PRIMARY KEY (v, k) WITH CLUSTERING ORDER BY (k DESC) AND comment = '';
         CREATE TABLE t (k int PRIMARY KEY, v text, w frozen<b>, x frozen<other.a>);
         CREATE TYPE b (f frozen<a>); CREATE TYPE a (g int);
         CREATE KEYSPACE other WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3} AND durable_writes = false;
         ALTER TYPE a ADD h text; ALTER TYPE a RENAME g TO gg AND h TO hh;
         CREATE MATERIALIZED VIEW all AS SELECT * FROM t WHERE v IS NOT NULL PRIMARY KEY (v, k);",
    );
    let keyspace = &schema.keyspaces["other"];
    assert!(!keyspace.durable_writes);
    assert_eq!(keyspace.replication["replication_factor"], "3");
    let names: Vec<_> = keyspace.types["a"].fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gg", "hh"]);
    let view = &keyspace.tables["v"];
    assert_eq!(view.view.as_ref().unwrap().where_clause, "v IS NOT NULL AND k IS NOT NULL");
    assert_eq!(
        (shown(&view.partition_key), shown(&view.clustering)),
        (vec!["v text".into()], vec!["k int".into()])
    );
    assert!(view.clustering[0].reversed && view.regulars.is_empty());
    assert_eq!(keyspace.tables["all"].regulars.len(), 2);
    assert!(keyspace.tables["all"].view.as_ref().unwrap().include_all_columns);
}

#[test]
fn compact_tables_have_the_columns_of_their_sstables() {
    let one = table("CREATE TABLE t (k int PRIMARY KEY, a text, value int) WITH COMPACT STORAGE");
    assert_eq!(one.compact, CompactKind::StaticCompact);
    assert_eq!(shown(&one.statics), ["a text", "value int"]);
    assert!(one.statics.iter().all(|column| column.kind == ColumnKind::Static));
    assert_eq!(shown(&one.clustering), ["column1 text"]);
    assert_eq!(shown(&one.regulars), ["value1 blob"]);

    let counter =
        table("CREATE TABLE t (k int PRIMARY KEY, column1 counter) WITH COMPACT STORAGE;");
    assert!(counter.counter);
    assert_eq!(
        (shown(&counter.clustering), shown(&counter.regulars)),
        (vec!["column2 text".into()], vec!["value counter".into()])
    );

    let dense =
        table("CREATE TABLE t (k int, c int, v text, PRIMARY KEY (k, c)) WITH COMPACT STORAGE");
    assert_eq!(
        (dense.compact, shown(&dense.regulars)),
        (CompactKind::Dense, vec!["v text".into()])
    );
    let keys = table("CREATE TABLE t (k int, c int, PRIMARY KEY (k, c)) WITH COMPACT STORAGE");
    assert_eq!(
        (keys.compact, shown(&keys.regulars)),
        (CompactKind::Dense, vec!["value empty".into()])
    );
    let plain = table("CREATE TABLE t (k int, c int, PRIMARY KEY (k, c))");
    assert_eq!((plain.compact, plain.regulars.len()), (CompactKind::None, 0));
    let dropped = table(
        "CREATE TABLE t (k int PRIMARY KEY, a int) WITH COMPACT STORAGE; ALTER TABLE t DROP COMPACT STORAGE;",
    );
    assert_eq!(
        (dropped.compact, dropped.statics.len(), dropped.clustering.len()),
        (CompactKind::None, 1, 1)
    );
}

#[test]
fn tables_in_warning_comments_are_read() {
    let in_comment = |columns: &str| {
        table(&format!(
            "/*\nWarning: Table ks.t omitted because it has constructs not compatible with CQL (was created via legacy API).\n\n\
             Approximate structure, for reference:\n(this should not be used to reproduce this schema)\n\n\
             CREATE TABLE IF NOT EXISTS ks.t ({columns})\n\tWITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c18\n\tAND COMPACT STORAGE\n*/"
        ))
    };
    for columns in [
        "k blob, column1 text, \"\" map<int, blob>, PRIMARY KEY (k, column1)",
        "k blob, column1 text, column2 int, value blob, PRIMARY KEY (k, column1, column2)",
    ] {
        let table = in_comment(columns);
        assert_eq!(table.compact, CompactKind::Super);
        assert_eq!(shown(&table.clustering), ["column1 text"]);
        assert_eq!(shown(&table.regulars), [" map<int, blob>"]);
        assert!(table.id.is_some());
    }
    let table =
        in_comment("k blob, column1 int, a text static, value blob, PRIMARY KEY (k, column1)");
    assert_eq!(table.compact, CompactKind::StaticCompact);
    assert_eq!(shown(&table.clustering), ["column1 int"]);
}

#[test]
fn tables_are_altered_renamed_and_dropped() {
    let schema = parse(
        "CREATE TABLE t (k int, c int, a int, b int MASKED WITH DEFAULT, PRIMARY KEY (k, c)) WITH CLUSTERING ORDER BY (c DESC);
         ALTER TABLE t ADD (d text, e vector<float, 3>); ALTER TABLE t ADD f int static, g int;
         ALTER TABLE t RENAME k TO kk AND c TO cc; ALTER TABLE t DROP (a, g) USING TIMESTAMP 5;
         ALTER TABLE t ALTER d TYPE blob; ALTER TABLE t WITH gc_grace_seconds = 7;
         ALTER TABLE t ALTER e MASKED WITH mask_inner(1, 'x)'); ALTER TABLE t DROP f; ALTER TABLE t ADD f int;
         ALTER TABLE t DROP d;
         CREATE TABLE x (k int PRIMARY KEY, l 'org.apache.cassandra.db.marshal.DateType'); CREATE INDEX ON x (l); DROP INDEX x_l_idx;
         CREATE TABLE y (k int PRIMARY KEY); DROP TABLE IF EXISTS y; CREATE KEYSPACE z WITH replication = {}; DROP KEYSPACE z;
         CREATE TYPE u (a int); DROP TYPE u",
    );
    let table = schema.table("ks", "t").unwrap();
    assert_eq!(
        (shown(&table.partition_key), shown(&table.clustering)),
        (vec!["kk int".into()], vec!["cc int".into()])
    );
    assert!(table.clustering[0].reversed);
    assert_eq!(shown(&table.regulars), ["b int", "e vector<float, 3>", "f int"]);
    assert_eq!(table.regulars[0].mask.as_deref(), Some("system.mask_default()"));
    assert_eq!(table.regulars[1].mask.as_deref(), Some("mask_inner(1, 'x)')"));
    // Without a time everything written so far is gone, unless the column is there again.
    let dropped: Vec<_> =
        table.dropped.iter().map(|d| (d.name.as_str(), d.dropped_micros)).collect();
    assert_eq!(dropped, [("a", 5), ("d", i64::MAX), ("g", 5)]);
    assert_eq!(table.gc_grace_seconds, 7);
    let keyspace = &schema.keyspaces["ks"];
    assert_eq!(keyspace.tables.keys().collect::<Vec<_>>(), ["t", "x"]);
    assert!(keyspace.tables["x"].indexes.is_empty() && keyspace.types.is_empty());
    assert_eq!(keyspace.tables["x"].regulars[0].cql_type, CqlType::LegacyTimestamp);
    assert!(!schema.keyspaces.contains_key("z"));
}

#[test]
fn other_statements_are_skipped_and_noted() {
    let schema = parse(
        "CREATE OR REPLACE FUNCTION ks.f (a int) RETURNS NULL ON NULL INPUT RETURNS int LANGUAGE java AS $$ return a; // ; $$;
         CREATE AGGREGATE IF NOT EXISTS agg (int) SFUNC f STYPE int; CREATE TRIGGER trg ON t USING 'x';
         CREATE ROLE r WITH PASSWORD = 'x;y'; GRANT SELECT ON t TO r; INSERT INTO t (k) VALUES ({1: 0xff});
         CREATE INDEX i ON nowhere (a);",
    );
    let keyspace = &schema.keyspaces["ks"];
    let noted: Vec<_> = keyspace.not_printed.iter().map(String::as_str).collect();
    assert_eq!(
        noted,
        ["aggregate agg", "function f", "index i, whose table is not here", "trigger trg on t"]
    );
    let skipped: Vec<_> = schema.skipped.iter().map(String::as_str).collect();
    assert_eq!(skipped, ["CREATE ROLE r WITH PASSWORD", "GRANT SELECT ON t TO r", "INSERT INTO t"]);
}

#[test]
fn errors_name_the_place() {
    for (text, place, words) in [
        ("CREATE TABLE t (k int);", "line 1, column 14", "no PRIMARY KEY"),
        (
            "\n  CREATE TABLE t (k int PRIMARY KEY, v nonsense);",
            "line 2, column 38",
            "unknown type",
        ),
        ("CREATE TABLE t (k int, PRIMARY KEY (x));", "line 1, column 14", "key column x"),
        ("CREATE TABLE t (k int, PRIMARY KEY (k, k));", "line 1, column 14", "twice"),
        ("CREATE TABLE t (k int PRIMARY KEY, k int);", "line 1, column 36", "twice"),
        (
            "CREATE TABLE t (k int PRIMARY KEY); CREATE TABLE t (k int PRIMARY KEY);",
            "column 50",
            "twice",
        ),
        (
            "CREATE TABLE t (k int PRIMARY KEY) WITH CLUSTERING ORDER BY (k ASC);",
            "line 1",
            "no clustering column",
        ),
        ("CREATE TABLE t (k int PRIMARY KEY", "line 1, column 34", "')' expected, the text ends"),
        (
            "CREATE TABLE t (k list<int PRIMARY KEY)",
            "line 1, column 28",
            "'>' expected, \"PRIMARY\" found",
        ),
        ("CREATE TABLE t (k int PRIMARY KEY) WITH ID = x;", "line 1, column 46", "a table id"),
        ("ALTER TABLE t ADD x int;", "line 1", "not created before"),
        ("CREATE TABLE t (k int PRIMARY KEY); ALTER TABLE t DROP k;", "column 56", "no column k"),
        ("hello world;", "line 1, column 1", "a CQL statement expected, \"hello\" found"),
        ("CREATE TYPE a (f frozen<b>); CREATE TYPE b (f frozen<a>);", "type ks.b", "unknown type"),
    ] {
        let error = parse_schema(text, Some("ks")).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(words), "{text}\n{error}");
    }
    let error = parse_schema("CREATE TABLE t (k int PRIMARY KEY)", None).unwrap_err();
    assert!(
        error.to_string().starts_with("schema: line 1, column 14: t has no keyspace"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("USE"));
}

#[test]
fn every_prefix_of_a_text_is_read_or_refused() {
    for (at, _) in SNAPSHOT.char_indices() {
        drop(parse_schema(SNAPSHOT.get(..at).unwrap(), Some("ks")));
    }
    assert!(
        parse_schema(&format!("CREATE TYPE t (a {}", "list<".repeat(100_000)), Some("ks")).is_err()
    );
}
