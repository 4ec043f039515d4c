use uuid::Uuid;

use super::*;
use crate::error::ErrorClass;
use crate::schema::{TableId, parse_schema};

const SCHEMA: &str = "
CREATE TABLE system.local (k int PRIMARY KEY) WITH ID = '00000000000000000000000000000001';
CREATE TABLE system_auth.roles (k int PRIMARY KEY) WITH ID = '00000000000000000000000000000002';
CREATE TABLE shop.orders (k int PRIMARY KEY, v int) WITH ID = '00000000000000000000000000000003';
CREATE TABLE shop.empty (k int PRIMARY KEY) WITH ID = '00000000000000000000000000000004';
CREATE MATERIALIZED VIEW shop.by_v AS SELECT * FROM shop.orders WHERE v IS NOT NULL PRIMARY KEY (v, k) WITH ID = '00000000000000000000000000000005';
CREATE TABLE other.orders (k int PRIMARY KEY);
";

fn dir(keyspace: &str, table: &str, id: Option<u128>) -> TableDir {
    TableDir {
        keyspace: keyspace.into(),
        table: table.into(),
        id: id.map(|id| TableId(Uuid::from_u128(id))),
        folders: vec![PathBuf::from(format!("/d/{keyspace}/{table}-{id:?}"))],
        unsupported: vec![(PathBuf::from("x-Data.db"), "old".into())],
        ..TableDir::default()
    }
}

fn dirs() -> DataDirs {
    DataDirs {
        tables: vec![
            dir("system", "local", Some(1)),
            dir("system", "gone", Some(99)),
            dir("shop", "orders", Some(3)),
            dir("shop", "orders", Some(33)),
            dir("shop", "dropped", Some(34)),
            dir("shop", "orders.by_name", Some(3)),
            dir("shop", "by_v", Some(5)),
            dir("other", "orders", Some(77)),
        ],
        roots: vec![PathBuf::from("/d")],
        ..DataDirs::default()
    }
}

fn select(
    dirs: &DataDirs,
    keyspaces: &[&str],
    tables: &[&str],
    excludes: &[&str],
) -> Result<Selection> {
    let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    let patterns =
        TablePatterns { keyspaces: own(keyspaces), tables: own(tables), excludes: own(excludes) };
    select_tables(&parse_schema(SCHEMA, None).unwrap(), dirs, &patterns)
}

fn names(selection: &Selection) -> Vec<String> {
    selection.tables.iter().map(|table| table.metadata.qualified_name()).collect()
}

#[test]
fn by_default_all_but_views_and_system_keyspaces() {
    let selection = select(&dirs(), &[], &[], &[]).unwrap();
    assert_eq!(names(&selection), ["other.orders", "shop.empty", "shop.orders"]);
    assert_eq!(selection.tables[2].unsupported.len(), 1);
    assert!(selection.tables[1].unsupported.is_empty());
    let excluded: Vec<_> = selection
        .excluded
        .iter()
        .map(|e| format!("{}.{} {}", e.keyspace, e.table, e.why))
        .collect();
    assert_eq!(
        excluded,
        [
            "shop.by_v materialized view",
            "system.gone system keyspace",
            "system.local system keyspace",
            "system_auth.roles system keyspace",
        ]
    );
    let orphans: Vec<_> = selection.orphans.iter().map(|o| o.why.as_str()).collect();
    assert_eq!(orphans.len(), 3, "{orphans:?}");
    assert!(orphans[0].contains("dropped and made again"), "{orphans:?}");
    assert!(orphans[1].contains("no table shop.dropped"), "{orphans:?}");
    assert!(orphans[2].contains("secondary index"), "{orphans:?}");
}

#[test]
fn patterns_select_what_they_name() {
    for (keyspaces, tables, excludes, expected) in [
        (
            &["shop"] as &[&str],
            &[] as &[&str],
            &[] as &[&str],
            &["shop.empty", "shop.orders"] as &[&str],
        ),
        (&["sh*"], &["orders"], &[], &["shop.orders"]),
        (&[], &["shop.*"], &["shop.e*"], &["shop.orders"]),
        (&[], &["*.orders"], &[], &["other.orders", "shop.orders"]),
        (&[], &["shop.orders", "shop.by_v"], &[], &["shop.by_v", "shop.orders"]),
        (&[], &["by_v"], &[], &["shop.by_v"]),
        (&[], &["*"], &[], &["other.orders", "shop.empty", "shop.orders"]),
        (&["system"], &[], &[], &["system.local"]),
        (&["*"], &[], &["shop"], &["other.orders"]),
        (&[], &["system.*"], &[], &["system.local"]),
        (&[], &["local"], &[], &["system.local"]),
        (&[], &["*.*"], &[], &["other.orders", "shop.empty", "shop.orders"]),
    ] {
        let selection = select(&dirs(), keyspaces, tables, excludes).unwrap();
        assert_eq!(names(&selection), expected, "{keyspaces:?} {tables:?} {excludes:?}");
    }
    let selection = select(&dirs(), &["shop"], &[], &["orders"]).unwrap();
    assert!(selection.excluded.iter().any(|e| e.table == "orders" && e.why == "--exclude"));
    assert!(selection.excluded.iter().all(|e| e.keyspace != "other"));
}

#[test]
fn names_that_match_nothing_are_errors_with_near_misses() {
    for (keyspaces, tables, excludes, what, hint) in [
        (
            &["shpo"] as &[&str],
            &[] as &[&str],
            &[] as &[&str],
            "no keyspace matches \"shpo\"",
            "did you mean shop?",
        ),
        (&[], &["shop.order"], &[], "no table matches \"shop.order\"", "did you mean shop.orders?"),
        (&[], &["Orders_"], &[], "no table matches", "did you mean orders?"),
        (&["other"], &["empty"], &[], "no table matches", "there are: orders"),
        (&[], &[], &["shop.nothing_like_it"], "no table to exclude matches", "there are: "),
    ] {
        let error = select(&dirs(), keyspaces, tables, excludes).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Missing);
        assert!(error.to_string().contains(what), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error} {:?}", error.hint());
    }
    let error = select(&dirs(), &[], &["orders"], &[]).unwrap_err();
    assert!(error.to_string().contains("other.orders, shop.orders"), "{error}");
    assert_eq!(error.class(), ErrorClass::Usage);
}

#[test]
fn only_tables_whose_folders_were_given_are_asked_about() {
    let part = DataDirs { tables: vec![dir("shop", "orders", Some(3))], ..DataDirs::default() };
    assert_eq!(names(&select(&part, &[], &[], &[]).unwrap()), ["shop.orders"]);
    assert!(select(&part, &[], &["shop.empty"], &[]).is_err());
    // A folder without an id goes by its name.
    let part = DataDirs { tables: vec![dir("shop", "orders", None)], ..DataDirs::default() };
    assert_eq!(names(&select(&part, &[], &[], &[]).unwrap()), ["shop.orders"]);
}

#[test]
fn what_is_not_in_the_snapshot_is_not_an_empty_table() {
    let snapshot = DataDirs { snapshot: Some("mon".into()), ..dirs() };
    let selection = select(&snapshot, &["shop"], &[], &[]).unwrap();
    assert_eq!(names(&selection), ["shop.orders"]);
    assert!(
        selection.excluded.iter().any(|e| e.table == "empty" && e.why == "not in the snapshot")
    );
}

#[test]
fn two_folders_of_one_name_need_an_id_in_the_schema() {
    let mut two = dirs();
    two.tables.push(dir("other", "orders", Some(78)));
    let error = select(&two, &[], &[], &[]).unwrap_err();
    assert!(error.to_string().contains("no id for other.orders"), "{error}");
    // One of them is empty: the other is meant.
    two.tables.last_mut().unwrap().unsupported.clear();
    assert!(select(&two, &[], &[], &[]).is_ok());
}

#[test]
fn distances_are_edits() {
    for (a, b, expected) in
        [("", "abc", 3), ("orders", "order", 1), ("shpo", "shop", 2), ("a", "a", 0)]
    {
        assert_eq!(distance(a, b), expected);
    }
}
