use std::fs;

use super::*;
use crate::schema::RowOrder;

const ID: &str = "0123456789abcdef0123456789abcdef";
const OTHER_ID: &str = "fedcba9876543210fedcba9876543210";

fn make(directory: &Path, generations: &[u32]) {
    fs::create_dir_all(directory).unwrap();
    for generation in generations {
        for component in ["Data.db", "Statistics.db"] {
            fs::write(directory.join(format!("nb-{generation}-big-{component}")), "x").unwrap();
        }
    }
}

/// A data root with a user table, a re-created one, a snapshot, a backup, an index and the node's own tables.
fn node(root: &Path) {
    let table = root.join(format!("ks/t-{ID}"));
    make(&table, &[1, 2]);
    make(&table.join(".by_name"), &[1]);
    make(&table.join("backups"), &[2, 3]);
    make(&table.join("snapshots/mon"), &[1]);
    fs::write(table.join("snapshots/mon/schema.cql"), "").unwrap();
    make(&root.join(format!("ks/t-{OTHER_ID}/snapshots/dropped-1-t")), &[7]);
    make(&root.join("ks/old_style"), &[5]);
    make(&root.join("system/local-7ad54392bcdd35a684174e047860b377"), &[1]);
    make(&root.join("system_schema/tables-afddfb9dbc1e30688056eed6c302ba09"), &[1]);
    fs::create_dir_all(root.join("lost+found")).unwrap();
}

fn scan(paths: &[PathBuf]) -> Result<DataDirs> {
    DataDirs::scan(paths, &ScanOptions::default())
}

fn tagged(paths: &[PathBuf], tag: &str) -> Result<DataDirs> {
    DataDirs::scan(paths, &ScanOptions { snapshot: Some(tag.into()), backups: false })
}

/// `keyspace.table: generations`.
fn summary(tables: &[TableDir]) -> Vec<String> {
    let list = |dir: &TableDir| {
        let ids: Vec<_> = dir.sstables.iter().map(|s| s.descriptor.id.to_string()).collect();
        format!("{}.{}: {}", dir.keyspace, dir.table, ids.join(" "))
    };
    tables.iter().map(list).collect()
}

fn local() -> TableMetadata {
    TableMetadata {
        keyspace: "system".into(),
        name: "local".into(),
        id: Some(TableId(Uuid::parse_str("7ad54392bcdd35a684174e047860b377").unwrap())),
        partition_key: Vec::new(),
        clustering: Vec::new(),
        statics: Vec::new(),
        regulars: Vec::new(),
        dropped: Vec::new(),
        compact: crate::schema::CompactKind::None,
        counter: false,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

#[test]
fn a_data_root_gives_all_its_tables_and_counts_what_is_beside_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("data");
    node(&root);
    for (name, file) in [
        ("hints", "a-1-2.hints"),
        ("commitlog", "CommitLog-7-1.log"),
        ("cdc_raw", "CommitLog-7-1.log"),
    ] {
        fs::create_dir_all(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join(file), "").unwrap();
    }
    let whole =
        ["ks.old_style: 5", "ks.t: 1 2", "ks.t: ", "system.local: 1", "system_schema.tables: 1"];
    // An installation keeps the root in `data`.
    for path in [root.clone(), dir.path().to_path_buf(), root.join("../data")] {
        let dirs = scan(&[path]).unwrap();
        assert_eq!(summary(&dirs.tables), whole);
        assert!(dirs.is_whole() && dirs.surrounding.is_empty());
        assert_eq!(dirs.roots.len(), 1);
        let t = &dirs.tables[1];
        assert_eq!((t.index_folders, t.backups, t.snapshots.len()), (1, 2, 1));
        assert_eq!(t.id.unwrap().0.simple().to_string(), ID);
        assert_eq!(
            dirs.other_data(),
            OtherData { hints: 1, commitlog_segments: 1, cdc_segments: 1 }
        );
        assert_eq!(dirs.by_root(&local()).len(), 1);
    }
}

#[test]
fn several_disks_are_united_and_two_nodes_can_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["d1", "d2"].map(|name| dir.path().join(name));
    node(&one);
    make(&two.join(format!("ks/t-{ID}")), &[4]);
    make(&two.join("system/local-7ad54392bcdd35a684174e047860b377"), &[]);
    let dirs = scan(&[one.clone(), two.clone(), one.clone()]).unwrap();
    assert_eq!(summary(&dirs.tables)[1], "ks.t: 1 2 4");
    assert_eq!(dirs.tables[1].directories.len(), 2);
    assert_eq!(dirs.by_root(&local()).len(), 1);

    make(&two.join("system/local-7ad54392bcdd35a684174e047860b377"), &[1]);
    let dirs = scan(&[one.clone(), two.clone()]).unwrap();
    let roots: Vec<_> = dirs.by_root(&local()).into_iter().map(|(root, _)| root).collect();
    assert_eq!(roots, [one, two]);
}

#[test]
fn parts_of_a_data_root_find_the_schema_around_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_path_buf();
    node(&root);
    let table = root.join(format!("ks/t-{ID}"));
    for (path, expected) in [
        (root.join("ks"), vec!["ks.old_style: 5", "ks.t: 1 2", "ks.t: "]),
        (table.clone(), vec!["ks.t: 1 2"]),
        (table.join("snapshots/mon"), vec!["ks.t: 1"]),
        (table.join("backups"), vec!["ks.t: 2 3"]),
        (table.join("nb-2-big-Data.db"), vec!["ks.t: 2"]),
        (table.join("snapshots/mon/nb-1-big-Data.db"), vec!["ks.t: 1"]),
        (table.join(".by_name"), vec!["ks.t.by_name: 1"]),
        (root.join("ks/old_style"), vec!["ks.old_style: 5"]),
    ] {
        let dirs = scan(std::slice::from_ref(&path)).unwrap();
        assert_eq!(summary(&dirs.tables), expected, "{}", path.display());
        assert!(!dirs.is_whole());
        assert_eq!(summary(&dirs.surrounding), ["system.local: 1", "system_schema.tables: 1"]);
        assert_eq!(dirs.enclosing, std::slice::from_ref(&root));
    }
}

#[test]
fn a_snapshot_is_read_with_the_schema_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_path_buf();
    node(&root);
    let dirs = tagged(std::slice::from_ref(&root), "mon").unwrap();
    assert_eq!(summary(&dirs.tables), ["ks.t: 1", "system.local: 1", "system_schema.tables: 1"]);
    assert_eq!(dirs.tables[0].schema_cql.len(), 1);
    // A snapshot of everything is read as a whole.
    make(&root.join("system_schema/tables-afddfb9dbc1e30688056eed6c302ba09/snapshots/mon"), &[8]);
    let dirs = tagged(std::slice::from_ref(&root), "mon").unwrap();
    assert_eq!(summary(&dirs.tables)[2], "system_schema.tables: 8");
    let only = tagged(&[root.join("ks")], "mon").unwrap();
    assert_eq!(summary(&only.surrounding)[1], "system_schema.tables: 8");

    let error = tagged(&[root], "tue").unwrap_err();
    assert_eq!(error.class(), crate::ErrorClass::Missing);
    assert!(error.to_string().contains("dropped-1-t, mon"), "{error}");
}

#[test]
fn logs_count_in_the_table_folder_only_and_backups_come_once() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join(format!("ks/t-{ID}"));
    make(&table, &[1, 2]);
    make(&table.join("backups"), &[1, 2, 3]);
    make(&table.join("snapshots/mon"), &[2]);
    let log = super::super::txn_log::record_line("ADD", "/old/ks/t/nb-2-big-", 0, 0);
    for folder in [table.clone(), table.join("snapshots/mon")] {
        fs::write(folder.join("nb_txn_flush_1.log"), &log).unwrap();
    }
    assert_eq!(summary(&scan(std::slice::from_ref(&table)).unwrap().tables), ["ks.t: 1"]);
    let snapshot = tagged(std::slice::from_ref(&table), "mon").unwrap();
    assert_eq!(summary(&snapshot.tables), ["ks.t: 2"]);
    let options = ScanOptions { snapshot: None, backups: true };
    let dirs = DataDirs::scan(&[table], &options).unwrap();
    assert_eq!(summary(&dirs.tables), ["ks.t: 1 2 3"]);
    assert_eq!(dirs.tables[0].backups, 0);
}

#[test]
fn what_cannot_be_read_is_named_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::write(root.join("nb-1-big-Index.db"), "").unwrap();
    fs::create_dir_all(root.join(format!("ks/t-{ID}"))).unwrap();
    make(&root.join(format!("ks2/t-{ID}/snapshots/mon")), &[1]);
    for (path, class, words) in [
        ("nowhere", crate::ErrorClass::Missing, "does not exist"),
        ("a", crate::ErrorClass::Missing, "no SSTables and no keyspaces"),
        ("nb-1-big-Index.db", crate::ErrorClass::Usage, "neither a directory nor a Data.db"),
        ("ks", crate::ErrorClass::Missing, "no SSTables to read"),
        ("ks2", crate::ErrorClass::Missing, "no SSTables to read"),
    ] {
        let path = root.join(path);
        let error = scan(std::slice::from_ref(&path)).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(path.to_str().unwrap()), "{text}");
        assert_eq!(error.hint().unwrap().contains("--snapshot"), path.ends_with("ks2"));
    }
}

#[test]
fn names_of_folders_are_taken_apart() {
    let id = |text: &str| Some(TableId(Uuid::parse_str(text).unwrap()));
    assert_eq!(split_name(&format!("t-{ID}")), ("t", id(ID)));
    for name in
        ["t", "-0123456789abcdef0123456789abcdef", "t-0123", "t-0123456789abcdef0123456789abcdeg"]
    {
        assert_eq!(split_name(name), (name, None));
    }
}
