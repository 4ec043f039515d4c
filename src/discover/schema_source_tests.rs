use std::fs;

use super::super::data_dir::ScanOptions;
use super::super::raw_row::{RawRow, RawValue};
use super::*;
use crate::error::ErrorClass;

const ID: &str = "0123456789abcdef0123456789abcdef";
const DROPPED: &str = "fedcba9876543210fedcba9876543210";

fn make(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    for component in ["Data.db", "Statistics.db"] {
        fs::write(directory.join(format!("nb-1-big-{component}")), "x").unwrap();
    }
}

fn node(root: &Path) {
    make(&root.join("system_schema/tables-afddfb9dbc1e30688056eed6c302ba09"));
    let live = root.join(format!("ks/t-{ID}"));
    make(&live);
    for (table, id) in [("t", ID), ("old", DROPPED)] {
        let snapshot = root.join(format!("ks/{table}-{id}/snapshots/mon"));
        make(&snapshot);
        let cql = format!(
            "CREATE TABLE IF NOT EXISTS {table} (k int PRIMARY KEY, snap int) WITH ID = '{id}';"
        );
        fs::write(snapshot.join("schema.cql"), cql).unwrap();
    }
}

fn scan(path: &Path, snapshot: Option<&str>) -> DataDirs {
    let options = ScanOptions { snapshot: snapshot.map(str::to_owned), backups: false };
    DataDirs::scan(&[path.to_path_buf()], &options).unwrap()
}

/// One table, `ks.t`, in `system_schema`.
struct Rows;

impl SystemTables for Rows {
    fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>> {
        let mut row = RawRow::new();
        let mut set = |name: &str, value: &[u8]| {
            row.insert(name.to_owned(), RawValue::Simple(value.to_vec()));
        };
        set("keyspace_name", b"ks");
        set("table_name", b"t");
        match table.name.as_str() {
            "tables" => set("id", &hex_simd::decode_to_vec(ID).unwrap()),
            "columns" => {
                set("column_name", b"k");
                set("kind", b"partition_key");
                set("type", b"int");
            }
            _ => return Ok(Vec::new()),
        }
        Ok(vec![row])
    }
}

struct Nothing;

impl SystemTables for Nothing {
    fn rows(&mut self, _: &TableMetadata) -> Result<Vec<RawRow>> {
        Ok(Vec::new())
    }
}

fn names(schema: &Schema) -> Vec<String> {
    schema.tables().map(TableMetadata::qualified_name).collect()
}

fn find(dirs: &DataDirs, option: &SchemaOption, tables: &mut dyn SystemTables) -> Result<Schema> {
    find_schema(dirs, option, tables, &mut || Ok(None))
}

#[test]
fn the_nodes_own_tables_come_first_then_2_x_then_the_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    node(dir.path());
    let dirs = scan(dir.path(), None);
    let schema = find(&dirs, &SchemaOption::Auto, &mut Rows).unwrap();
    assert_eq!(names(&schema), ["ks.t"]);
    assert!(schema.origin.contains("system_schema in /"), "{}", schema.origin);
    // A part of the node finds the same.
    let part = scan(&dir.path().join("ks"), None);
    assert_eq!(names(&find(&part, &SchemaOption::Auto, &mut Rows).unwrap()), ["ks.t"]);
    // A table that was dropped since the snapshot is added from there.
    let snapshot = scan(dir.path(), Some("mon"));
    let schema = find(&snapshot, &SchemaOption::Auto, &mut Rows).unwrap();
    assert_eq!(names(&schema), ["ks.old", "ks.t"]);
    assert!(schema.table("ks", "t").unwrap().regulars.is_empty());

    let mut legacy = || Ok(Some(Schema { origin: "2.x".into(), ..Schema::default() }));
    let schema = find_schema(&snapshot, &SchemaOption::Auto, &mut Nothing, &mut legacy).unwrap();
    assert_eq!(schema.origin, "2.x");
    let schema = find(&snapshot, &SchemaOption::Auto, &mut Nothing).unwrap();
    assert_eq!(names(&schema), ["ks.old", "ks.t"]);
    assert_eq!(schema.table("ks", "t").unwrap().regulars.len(), 1);
    assert!(schema.origin.contains("schema.cql and 1 more"), "{}", schema.origin);
}

#[test]
fn no_schema_names_the_places() {
    let dir = tempfile::tempdir().unwrap();
    make(&dir.path().join(format!("ks/t-{ID}")));
    let dirs = scan(dir.path(), None);
    let error = find(&dirs, &SchemaOption::Auto, &mut Nothing).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Missing);
    let root = dir.path().to_str().unwrap();
    for words in
        [&format!("{root}/system_schema"), &format!("{root}/system/schema_*"), "schema.cql in "]
    {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.hint().unwrap().contains("--schema FILE"));
}

#[test]
fn a_given_file_wins_and_its_errors_name_it() {
    let dir = tempfile::tempdir().unwrap();
    node(dir.path());
    let file = dir.path().join("my.cql");
    let option = SchemaOption::File(file.clone());
    let dirs = scan(&dir.path().join("ks"), None);
    fs::write(&file, "CREATE TABLE mine (k int PRIMARY KEY);").unwrap();
    // The only keyspace there is, is meant.
    assert_eq!(names(&find(&dirs, &option, &mut Rows).unwrap()), ["ks.mine"]);
    for (text, words) in [
        ("CREATE TABLE ks.t (k int);", "line 1, column 14"),
        ("USE ks;", "no CREATE TABLE"),
        ("CREATE TABLE ks.t (k nope PRIMARY KEY)", "unknown type"),
    ] {
        fs::write(&file, text).unwrap();
        let error = find(&dirs, &option, &mut Rows).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("my.cql"), "{error}");
    }
    fs::write(&file, [0xff]).unwrap();
    assert!(find(&dirs, &option, &mut Rows).unwrap_err().to_string().contains("UTF-8"));
    fs::remove_file(&file).unwrap();
    assert_eq!(find(&dirs, &option, &mut Rows).unwrap_err().class(), ErrorClass::Input);
}

#[test]
fn headers_of_real_files_make_a_schema() {
    let shared = std::env::var_os("CASSPORT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let fixtures = shared.join("fixtures/apache-cassandra/legacy-sstables");
    if !fixtures.is_dir() {
        eprintln!("SKIPPED: no shared test data; set CASSPORT_SHARED to its folder");
        return;
    }
    for version in ["ma", "mb", "mc", "md", "me", "na", "nb", "oa"] {
        let dirs = scan(&fixtures.join(version).join("legacy_tables"), None);
        let schema = find(&dirs, &SchemaOption::Header, &mut Nothing).unwrap();
        let table = schema.table("legacy_tables", &format!("legacy_{version}_clust")).unwrap();
        let shown = |columns: &[crate::schema::ColumnMetadata]| -> Vec<String> {
            columns.iter().map(|c| format!("{} {}", c.name, c.cql_type)).collect()
        };
        assert_eq!(shown(&table.partition_key), ["key1 text"], "{version}");
        assert_eq!(shown(&table.clustering), ["ck1 text"]);
        assert_eq!(shown(&table.regulars), ["val text"]);
        let counter =
            schema.table("legacy_tables", &format!("legacy_{version}_clust_counter")).unwrap();
        assert!(counter.counter);
    }
}
