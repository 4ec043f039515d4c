//! One suite for every store: what is written on the trait, and nothing that only one of them does.

use std::io::{Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use cassport::store::{Checksum, LocalStore, PutOutcome, ReplaceOutcome, Store};
use cassport::{Error, ErrorClass};

use super::servers::{self, Bucket, Kind, noise};

const MIB: usize = 1 << 20;

/// A store under test.
struct Subject {
    name: &'static str,
    store: Box<dyn Store>,
    /// Looks for what should not be left behind.
    bucket: Option<Bucket>,
    _directory: Option<tempfile::TempDir>,
}

fn subjects() -> Vec<Subject> {
    let directory = tempfile::tempdir().unwrap();
    let local = LocalStore::open(&directory.path().join("out")).unwrap();
    let mut subjects = vec![Subject {
        name: "directory",
        store: Box::new(local),
        bucket: None,
        _directory: Some(directory),
    }];
    for server in servers::all() {
        let bucket = server.bucket();
        subjects.push(Subject {
            name: match server.kind {
                Kind::S3sFs => "s3s-fs",
                Kind::Moto => "moto",
            },
            store: Box::new(bucket.store("some/run")),
            bucket: Some(bucket),
            _directory: None,
        });
    }
    subjects
}

fn names(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix).unwrap().into_iter().map(|object| object.name).collect()
}

#[test]
fn an_object_is_read_piece_by_piece() {
    for Subject { name, store, .. } in subjects() {
        assert!(store.read("ks/t/none").unwrap().is_none(), "{name}");
        for (object, bytes) in [
            ("ks/t/empty", Vec::new()),
            ("ks/t/small", b"a,b\n".to_vec()),
            ("ks/t/large", noise(20 * MIB + 17, 7)),
        ] {
            let mut writer = store.create(object).unwrap();
            writer.write_all(&bytes).unwrap();
            writer.finish().unwrap();
            let mut reader = store.read(object).unwrap().unwrap();
            let (mut read, mut pieces) = (Vec::new(), 0);
            while let Some(piece) = reader.next_piece().unwrap() {
                assert!(!piece.is_empty() && piece.len() <= 8 * MIB, "{name}: {}", piece.len());
                read.extend_from_slice(piece);
                pieces += 1;
            }
            assert!(read == bytes, "{name} {object}");
            assert!(bytes.len() < MIB || pieces >= 3, "{name}: {pieces} pieces");
            assert!(reader.next_piece().unwrap().is_none(), "{name}");
        }
    }
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_not_two_halves() {
    for Subject { name, store, bucket, .. } in subjects() {
        store.put("ks/t/a", &noise(20 * MIB, 1)).unwrap();
        let mut reader = store.read("ks/t/a").unwrap().unwrap();
        let mut read = reader.next_piece().unwrap().unwrap().to_vec();
        store.put("ks/t/a", &noise(20 * MIB, 2)).unwrap();
        let rest = loop {
            match reader.next_piece() {
                Ok(Some(piece)) => read.extend_from_slice(piece),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match (rest, bucket) {
            // A file that was opened stays what it was.
            (Ok(()), None) => assert!(read == noise(20 * MIB, 1), "{name}"),
            (Err(error), Some(_)) => assert_eq!(error.class(), ErrorClass::Output, "{name}"),
            (rest, _) => panic!("{name}: {rest:?}"),
        }
    }
}

#[test]
fn an_object_appears_when_it_is_finished_and_not_before() {
    for Subject { name, store, .. } in subjects() {
        for (object, pieces) in [
            ("ks/t/empty", vec![]),
            ("ks/t/small", vec![b"a,".to_vec(), vec![], b"b\n".to_vec()]),
            ("ks/t/one-part", vec![noise(5 * MIB, 1)]),
            ("ks/t/large", vec![noise(3 * MIB, 2), noise(9 * MIB, 3), noise(17, 4)]),
        ] {
            let mut writer = store.create(object).unwrap();
            for piece in &pieces {
                writer.write_all(piece).unwrap();
            }
            assert_eq!(store.get(object).unwrap(), None, "{name}");
            assert_eq!(store.head(object).unwrap(), None, "{name}");
            assert_eq!(names(&*store, object), [""; 0], "{name}");
            let meta = writer.finish().unwrap();
            let whole = pieces.concat();
            assert_eq!(meta, Checksum::of(&whole), "{name}");
            assert!(store.get(object).unwrap().unwrap() == whole, "{name} {object}");
            let head = store.head(object).unwrap().unwrap();
            assert_eq!(head.bytes, whole.len() as u64, "{name}");
            assert!(head.crc64nvme.is_empty() || head == meta, "{name}: {head:?} {meta:?}");
            if name == "moto" {
                assert_eq!(head, meta, "{object}");
            }
            assert_eq!(names(&*store, object), [object], "{name}");
        }
        store.sync(&["ks/t/small", "ks/t/large"]).unwrap();
    }
}

#[test]
fn what_is_dropped_or_aborted_leaves_nothing_and_the_former_stays() {
    for Subject { name, store, bucket, .. } in subjects() {
        let before = bucket.as_ref().map_or(0, Bucket::dangling_uploads);
        store.put("t/a", b"old").unwrap();
        for size in [3, 12 * MIB] {
            let mut writer = store.create("t/a").unwrap();
            writer.write_all(&noise(size, 1)).unwrap();
            drop(writer);
            let mut writer = store.create("t/a").unwrap();
            writer.write_all(&noise(size, 2)).unwrap();
            writer.abort().unwrap();
            assert_eq!(store.get("t/a").unwrap().unwrap(), b"old", "{name}");
        }
        // Of s3s-fs all tests see the same place.
        if name == "moto" {
            assert_eq!(bucket.unwrap().dangling_uploads(), before, "{name}");
        }
        let mut writer = store.create("t/a").unwrap();
        writer.write_all(b"new").unwrap();
        writer.finish().unwrap();
        assert_eq!(store.get("t/a").unwrap().unwrap(), b"new", "{name}");
    }
}

#[test]
fn what_a_dead_run_left_is_cleaned_but_only_under_the_prefix() {
    for Subject { name, store, bucket, .. } in subjects() {
        for object in ["ks/t/LOAD00300001.csv", "ks/t/LOAD00300002.csv", "ks/t/LOAD00400001.csv"] {
            let mut writer = store.create(object).unwrap();
            writer.write_all(&noise(6 * MIB, 1)).unwrap();
            // A process that is killed runs nothing either.
            std::mem::forget(writer);
        }
        if name == "s3s-fs" {
            assert_eq!(store.clean_temporaries("ks/t/LOAD003").unwrap(), 0, "it cannot list them");
            continue;
        }
        assert_eq!(store.clean_temporaries("ks/t/LOAD003").unwrap(), 2, "{name}");
        assert_eq!(store.clean_temporaries("ks/t/LOAD003").unwrap(), 0, "{name}");
        if let Some(bucket) = bucket {
            assert_eq!(bucket.dangling_uploads(), 1, "{name}");
        }
        assert_eq!(store.clean_temporaries("ks/t2/").unwrap(), 0, "{name}");
        assert_eq!(store.clean_temporaries("").unwrap(), 1, "{name}");
        assert_eq!(names(&*store, ""), [""; 0], "{name}");
    }
}

#[test]
fn a_prefix_is_text_and_lists_are_in_order_and_whole() {
    for Subject { name, store, .. } in subjects() {
        for object in ["ks/t2/b", "ks/t/b", "ks/t/a", "ks/t-deletes/a", "_cassport/run.json", "z"] {
            store.put(object, b"12").unwrap();
        }
        assert_eq!(names(&*store, "ks/t"), ["ks/t-deletes/a", "ks/t/a", "ks/t/b", "ks/t2/b"]);
        assert_eq!(names(&*store, "ks/t/"), ["ks/t/a", "ks/t/b"], "{name}");
        assert_eq!(names(&*store, "ks/t/a"), ["ks/t/a"], "{name}");
        assert_eq!(names(&*store, "no/such"), [""; 0], "{name}");
        assert!(store.list("").unwrap().iter().all(|object| object.bytes == 2), "{name}");
        // moto has five to a page.
        assert_eq!(names(&*store, "").len(), 6, "{name}");
        store.delete("ks/t/a").unwrap();
        store.delete("ks/t/a").unwrap();
        assert_eq!(names(&*store, "ks/t/"), ["ks/t/b"], "{name}");
    }
}

#[test]
fn of_many_that_put_if_absent_one_succeeds() {
    for Subject { name, store, .. } in subjects() {
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
        assert_eq!(created.load(Ordering::Relaxed), 1, "{name}");
        let again = store.put_if_absent("_cassport/run.json", b"late").unwrap();
        assert_eq!(again, PutOutcome::Exists, "{name}");
        assert_eq!(names(&*store, "_cassport/"), ["_cassport/run.json"], "{name}");
    }
}

#[test]
fn what_a_file_has_from_where_it_stands_becomes_an_object_in_nobodys_place() {
    for Subject { name, store, bucket, .. } in subjects() {
        for (object, len) in [("c/empty", 0), ("c/small", 1_000), ("c/large", 20 * MIB + 17)] {
            let bytes = noise(len, 11);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"before").unwrap();
            file.write_all(&bytes).unwrap();
            let mut put = || {
                file.seek(SeekFrom::Start(6)).unwrap();
                store.put_file_if_absent(object, &mut file).unwrap()
            };
            assert_eq!(put(), PutOutcome::Created(Checksum::of(&bytes)), "{name} {object}");
            assert_eq!(put(), PutOutcome::Exists, "{name} {object}");
            assert!(store.get(object).unwrap().unwrap() == bytes, "{name} {object}");
        }
        assert_eq!(names(&*store, "c/"), ["c/empty", "c/large", "c/small"], "{name}");
        // Of s3s-fs all tests see the same place.
        if let Some(bucket) = bucket.filter(|bucket| bucket.server.kind == Kind::Moto) {
            assert_eq!(bucket.dangling_uploads(), 0, "{name}");
        }
    }
}

#[test]
fn an_object_is_replaced_only_if_nobody_else_did() {
    for Subject { name, store, .. } in subjects() {
        let object = "_cassport/agents/000/claim.json";
        assert_eq!(store.get_versioned(object).unwrap(), None, "{name}");
        store.put(object, b"1").unwrap();
        let first = store.get_versioned(object).unwrap().unwrap();
        assert_eq!(first.bytes, b"1", "{name}");
        let ReplaceOutcome::Replaced(second) =
            store.put_if_unchanged(object, b"2", &first.version).unwrap()
        else {
            panic!("{name}: not replaced")
        };
        assert_eq!(store.get_versioned(object).unwrap().unwrap().version, second, "{name}");
        let late = store.put_if_unchanged(object, b"3", &first.version).unwrap();
        assert_eq!(late, ReplaceOutcome::Changed, "{name}");
        assert_eq!(store.get(object).unwrap().unwrap(), b"2", "{name}");
        store.delete(object).unwrap();
        let gone = store.put_if_unchanged(object, b"3", &second).unwrap();
        assert_eq!(gone, ReplaceOutcome::Changed, "{name}");
        assert_eq!(store.get(object).unwrap(), None, "{name}");
        // Nothing is lost of what many count up together.
        store.put(object, b"0").unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        loop {
                            let found = store.get_versioned(object).unwrap().unwrap();
                            let text = String::from_utf8(found.bytes).unwrap();
                            let next = (text.parse::<u32>().unwrap() + 1).to_string();
                            let put =
                                store.put_if_unchanged(object, next.as_bytes(), &found.version);
                            if put.unwrap() != ReplaceOutcome::Changed {
                                break;
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(store.get(object).unwrap().unwrap(), b"20", "{name}");
        assert_eq!(names(&*store, ""), [object], "{name}: locks are not objects");
    }
}

#[test]
fn many_writers_share_the_room_for_parts() {
    for Subject { name, store, .. } in subjects() {
        std::thread::scope(|scope| {
            for i in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    // Two at a time in one thread, as rows and statics are.
                    let (rows, statics) = (noise(13 * MIB, i), noise(6 * MIB, i + 100));
                    let mut first = store.create(&format!("t/LOAD{i}")).unwrap();
                    let mut second = store.create(&format!("t/STATIC{i}")).unwrap();
                    for start in (0..rows.len()).step_by(MIB) {
                        first.write_all(&rows[start..(start + MIB).min(rows.len())]).unwrap();
                        let part = &statics[start.min(statics.len())..];
                        second.write_all(&part[..part.len().min(MIB)]).unwrap();
                    }
                    assert_eq!(first.finish().unwrap(), Checksum::of(&rows));
                    assert_eq!(second.finish().unwrap(), Checksum::of(&statics));
                    assert!(store.get(&format!("t/LOAD{i}")).unwrap().unwrap() == rows);
                });
            }
        });
        assert_eq!(names(&*store, "t/").len(), 8, "{name}");
    }
}

#[test]
fn names_that_lead_out_of_the_output_are_refused() {
    for Subject { name, store, .. } in subjects() {
        for bad in ["../a", "/a", "a/../../b", "", "a//b", ".x.lock"] {
            let errors: Vec<Error> = [
                store.put(bad, b"").map(drop),
                store.create(bad).map(drop),
                store.get(bad).map(drop),
                store.head(bad).map(drop),
                store.delete(bad),
                store.put_if_absent(bad, b"").map(drop),
            ]
            .into_iter()
            .filter_map(Result::err)
            .collect();
            assert_eq!(errors.len(), 6, "{name} {bad}");
            assert!(errors.iter().all(|error| error.class() == ErrorClass::Output), "{name}");
        }
        assert!(store.list("../").is_err(), "{name}");
        assert!(store.location("ks/t/a").ends_with("/ks/t/a"), "{name}");
    }
}
