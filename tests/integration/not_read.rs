//! What lies beside the tables and is not read is counted in the report and in the last words.

use std::path::{Path, PathBuf};

use cassport::sstable::stats::{CommitLogPosition, Statistics};
use cassport::sstable::{Component, Descriptor};

use crate::support::{cassport, copy_tree, run, small_data, tree};

/// Runs `extract`; its report's `notRead`, and its words.
fn not_read(root: &Path, more: &[&str]) -> (serde_json::Value, String) {
    let output = root.join("../out");
    let mut command = cassport(["extract", "--profile", "jsonl", "--overwrite"]);
    command.arg("--data-dir").arg(root).arg("--output").arg(&output).args(more);
    let words = String::from_utf8(run(command, 0).stderr).unwrap();
    let report = std::fs::read(output.join("_cassport/agents/000/report.json")).unwrap();
    let mut report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    (report["notRead"].take(), words)
}

/// Up to where the SSTables of `table` have the commit log.
fn flushed(table: &Path) -> CommitLogPosition {
    let data: Vec<PathBuf> =
        tree(table).keys().filter(|n| n.ends_with("Data.db")).map(|n| table.join(n)).collect();
    let end = |path: &PathBuf| {
        let (descriptor, _) = Descriptor::parse(path).unwrap().unwrap();
        let path = descriptor.path(Component::Statistics);
        let stats = Statistics::read(&path, descriptor.version).unwrap().stats;
        stats.commit_log_intervals.unwrap().iter().map(|i| i.end).max().unwrap()
    };
    data.iter().map(end).max().unwrap()
}

/// A segment of 4.x with one section that ends at `end`.
fn segment(root: &Path, id: i64, end: u32) {
    let mut bytes = 7_u32.to_be_bytes().to_vec();
    bytes.extend(id.to_be_bytes());
    bytes.extend(b"\0\x02{}CRCC");
    bytes.extend(end.to_be_bytes());
    bytes.extend(b"CRCC");
    bytes.resize(end as usize + 100, 0);
    std::fs::write(root.join(format!("../commitlog/CommitLog-7-{id}.log")), bytes).unwrap();
}

#[test]
fn what_was_seen_but_not_read_is_counted() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("data");
    let table = small_data(&root);
    let (counts, words) = not_read(&root, &[]);
    let none = serde_json::json!({"hints": 0, "batchlog": 0, "paxos": 0, "unflushedSegments": 0,
        "indexes": 0, "indexComponents": 0, "views": 0, "unknownTableIds": 0});
    let mut expected = none.clone();
    // The schema is that of the whole corpus.
    for name in ["views", "unknownTableIds"] {
        expected[name] = counts[name].clone();
    }
    assert_eq!(counts, expected);
    assert!(!words.contains("batch log") && !words.contains("Paxos"), "{words}");

    // Any SSTables serve: nothing but their number of partitions is asked for. These have 24 and 5.
    for (name, gone) in [("batches", "nb-1-"), ("paxos", "nothing")] {
        let folder = root.join(format!("system/{name}-919a4bc57a333573b03e13fc3f68b465"));
        copy_tree(&table, &folder);
        for file in tree(&folder).keys().filter(|file| file.starts_with(gone)) {
            std::fs::remove_file(folder.join(file)).unwrap();
        }
    }
    for directory in ["hints", "commitlog"] {
        std::fs::create_dir(root.join("..").join(directory)).unwrap();
    }
    for host in 0..3 {
        std::fs::write(root.join(format!("../hints/{host}-1-2.hints")), "").unwrap();
        std::fs::write(root.join(format!("../hints/{host}-1-2.crc32")), "").unwrap();
    }
    let orphan = table.with_file_name("gone-00000000000011f18bcf9bc0a4d8bfe1");
    copy_tree(&table, &orphan);
    // Of both kinds of attached indexes, and one beside an SSTable that is not there.
    for name in [
        "nb-1-big-SI_by_name.db",
        "nb-1-big-SAI+aa+Meta.db",
        "nb-1-big-SAI+aa+ix+KDTree.db",
        "nb-99-big-SI_x.db",
    ] {
        std::fs::write(table.join(name), "any").unwrap();
    }
    expected["indexComponents"] = 3.into();
    expected["hints"] = 3.into();
    expected["batchlog"] = 5.into();
    expected["paxos"] = 29.into();
    expected["unknownTableIds"] = (expected["unknownTableIds"].as_u64().unwrap() + 1).into();

    // Of the segments, one is older, one ends where the SSTables end, one is newer and empty.
    let flushed = flushed(&table);
    let (id, position) = (flushed.segment_id, u32::try_from(flushed.position).unwrap());
    segment(&root, id - 1, position + 500);
    segment(&root, id, position);
    segment(&root, id + 1, 28);
    let only = ["-t", "storage.lz4"];
    assert_eq!(not_read(&root, &only).0["unflushedSegments"], 0);
    segment(&root, id, position + 1);
    segment(&root, id + 1, 60);
    expected["unflushedSegments"] = 2.into();
    let (counts, words) = not_read(&root, &only);
    for name in
        ["hints", "batchlog", "paxos", "unflushedSegments", "indexComponents", "unknownTableIds"]
    {
        assert_eq!(counts[name], expected[name], "{name}: {counts}");
    }
    assert!(
        words.contains(
            "seen but not read: files of hints 3, partitions of the batch log 5, partitions of the Paxos state 29, \
             commit-log segments newer than the SSTables 2, files of attached indexes 3"
        ),
        "{words}"
    );
    // A table without SSTables may have rows in every segment.
    expected["unflushedSegments"] = 3.into();
    assert_eq!(not_read(&root, &[]).0, expected);
}
