use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::ErrorClass;

fn store() -> (tempfile::TempDir, LocalStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = LocalStore::open(&directory.path().join("out")).unwrap();
    (directory, store)
}

fn files_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(files_below(&path));
        } else {
            names.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn an_object_appears_when_it_is_finished_and_not_before() {
    let (_directory, store) = store();
    let name = "ks/t/LOAD00000001.csv";
    let mut writer = store.create(name).unwrap();
    writer.write_all(b"a,").unwrap();
    writer.write_all(b"b\n").unwrap();
    assert_eq!(store.get(name).unwrap(), None);
    assert_eq!(store.head(name).unwrap(), None);
    assert_eq!(store.list("").unwrap(), []);
    let meta = writer.finish().unwrap();
    assert_eq!(meta, Checksum::of(b"a,b\n"));
    assert_eq!(store.get(name).unwrap().unwrap(), b"a,b\n");
    assert_eq!(store.head(name).unwrap().unwrap().bytes, 4);
    store.sync(&[name]).unwrap();
    assert_eq!(files_below(store.root()), ["LOAD00000001.csv"]);
}

#[test]
fn an_object_that_is_dropped_or_aborted_leaves_nothing_and_the_old_one_stays() {
    let (_directory, store) = store();
    store.put("t/a", b"old").unwrap();
    let mut writer = store.create("t/a").unwrap();
    writer.write_all(b"new").unwrap();
    drop(writer);
    assert_eq!(files_below(store.root()), ["a"]);
    let mut writer = store.create("t/a").unwrap();
    writer.write_all(b"new").unwrap();
    writer.abort().unwrap();
    assert_eq!(store.get("t/a").unwrap().unwrap(), b"old");
    assert_eq!(files_below(store.root()), ["a"]);
    let mut writer = store.create("t/a").unwrap();
    writer.write_all(b"new").unwrap();
    writer.finish().unwrap();
    assert_eq!(store.get("t/a").unwrap().unwrap(), b"new");
}

#[test]
fn what_a_dead_run_left_is_replaced_or_cleaned_but_only_under_the_prefix() {
    let (_directory, store) = store();
    store.put("ks/t/LOAD00300001.csv", b"x").unwrap();
    let folder = store.root().join("ks/t");
    for name in [".LOAD00300002.csv.tmp", ".LOAD00300003.csv.~0.tmp", ".LOAD00400001.csv.tmp"] {
        std::fs::write(folder.join(name), "half").unwrap();
    }
    assert_eq!(store.list("ks/").unwrap().len(), 1);
    store.create("ks/t/LOAD00300002.csv").unwrap().finish().unwrap();
    assert_eq!(store.get("ks/t/LOAD00300002.csv").unwrap().unwrap(), b"");
    assert_eq!(store.clean_temporaries("ks/t/LOAD003").unwrap(), 1);
    assert_eq!(
        files_below(store.root()),
        [".LOAD00400001.csv.tmp", "LOAD00300001.csv", "LOAD00300002.csv"]
    );
    assert_eq!(store.clean_temporaries("other/").unwrap(), 0);
    assert_eq!(store.clean_temporaries("").unwrap(), 1);
}

#[test]
fn of_many_that_put_if_absent_one_succeeds() {
    let (_directory, store) = store();
    let created = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (store, created) = (&store, &created);
            scope.spawn(move || {
                let bytes = format!("agent {i}");
                match store.put_if_absent("_cassport/run.json", bytes.as_bytes()).unwrap() {
                    PutOutcome::Created(meta) => {
                        assert_eq!(meta, Checksum::of(bytes.as_bytes()));
                        created.fetch_add(1, Ordering::Relaxed);
                        let found = store.get("_cassport/run.json").unwrap().unwrap();
                        assert_eq!(found, bytes.as_bytes());
                    }
                    PutOutcome::Exists => {}
                }
            });
        }
    });
    assert_eq!(created.load(Ordering::Relaxed), 1);
    assert_eq!(files_below(store.root()), ["run.json"]);
}

#[test]
fn a_prefix_is_text_and_lists_are_in_order_of_names() {
    let (_directory, store) = store();
    for name in ["ks/t2/b", "ks/t/b", "ks/t/a", "ks/t-deletes/a", "_cassport/run.json"] {
        store.put(name, b"1").unwrap();
    }
    let names = |prefix: &str| {
        store.list(prefix).unwrap().into_iter().map(|object| object.name).collect::<Vec<_>>()
    };
    assert_eq!(names("ks/t"), ["ks/t-deletes/a", "ks/t/a", "ks/t/b", "ks/t2/b"]);
    assert_eq!(names("ks/t/"), ["ks/t/a", "ks/t/b"]);
    assert_eq!(names("ks/t/a"), ["ks/t/a"]);
    assert_eq!(names("no/such"), [""; 0]);
    assert_eq!(names("").len(), 5);
    store.delete("ks/t/a").unwrap();
    store.delete("ks/t/a").unwrap();
    assert_eq!(names("ks/t/"), ["ks/t/b"]);
    assert!(store.list("../").is_err());
}

#[test]
fn errors_name_the_path_and_say_what_to_do() {
    let (_directory, store) = store();
    store.put("ks", b"a file where a folder should be").unwrap();
    for error in [
        store.put("ks/t/a", b"").unwrap_err(),
        store.create("ks/t/a").map(|_| ()).unwrap_err(),
        store.put_if_absent("ks/t/a", b"").unwrap_err(),
        store.sync(&["missing"]).unwrap_err(),
    ] {
        assert_eq!(error.class(), ErrorClass::Output, "{error}");
        assert!(error.to_string().contains(&store.root().display().to_string()), "{error}");
    }
    assert_eq!(store.get("ks/t/a").unwrap(), None);
    for bad in ["../a", "/a", "a/../../b"] {
        assert!(store.put(bad, b"").is_err());
        assert!(store.create(bad).is_err());
        assert!(store.get(bad).is_err());
        assert!(store.delete(bad).is_err());
    }
}

#[test]
fn a_full_disk_is_an_error_with_a_hint() {
    let path = PathBuf::from("/out/ks/t/LOAD00000001.csv");
    let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut writer = LocalWriter {
        syncer: Arc::default(),
        temporary: PathBuf::from("/nonexistent/.x.tmp"),
        path: path.clone(),
        file,
        sum: Checksum::default(),
        done: false,
    };
    let error = writer.write_all(b"x").unwrap_err();
    assert_eq!(error.to_string(), format!("cannot write {}", path.display()));
    assert_eq!(error.hint(), Some("free space or choose another --output"));
}
