use std::fs;
use std::time::{Duration, SystemTime};

use super::super::txn_log::record_line;
use super::*;

const LOG: &str = "nb_txn_compaction_8f1c2a40-1111-11ee-9c6b-0242ac110002.log";
const COMPONENTS: [&str; 3] = ["Data.db", "Statistics.db", "TOC.txt"];

fn make(directory: &Path, prefix: &str) {
    fs::create_dir_all(directory).unwrap();
    for component in COMPONENTS {
        fs::write(directory.join(format!("{prefix}{component}")), "x").unwrap();
    }
}

fn record(word: &str, directory: &str, prefix: &str) -> String {
    record_line(
        word,
        &format!("/old/{directory}/ks/t-1/{prefix}"),
        0,
        if word == "ADD" { 0 } else { 3 },
    )
}

const COMMIT: &str = "COMMIT:[,0,0][2613697770]";
const ABORT: &str = "ABORT:[,0,0][737437348]";

fn prefixes(set: &LiveSet) -> Vec<String> {
    set.live.iter().map(|sstable| sstable.descriptor.prefix()).collect()
}

/// A table with generations 1 and 2 compacted into 3, and a log with these lines.
fn compaction(lines: &[String]) -> (tempfile::TempDir, Result<LiveSet>) {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["nb-1-big-", "nb-2-big-", "nb-3-big-", "nb-9-big-"] {
        make(dir.path(), prefix);
    }
    fs::write(dir.path().join(LOG), lines.join("\n") + "\n").unwrap();
    let set = live_set(&[dir.path().to_path_buf()], true, None);
    (dir, set)
}

fn operation(end: Option<&str>) -> Vec<String> {
    let mut lines = vec![
        record("REMOVE", "d1", "nb-1-big-"),
        record("ADD", "d1", "nb-3-big-"),
        record("REMOVE", "d1", "nb-2-big-"),
    ];
    lines.extend(end.map(str::to_owned));
    lines
}

#[test]
fn a_committed_operation_leaves_the_new_sstables() {
    let (_dir, set) = compaction(&operation(Some(COMMIT)));
    let set = set.unwrap();
    assert_eq!(prefixes(&set), ["nb-3-big-", "nb-9-big-"]);
    assert_eq!((set.leftovers.obsolete, set.leftovers.logs), (2, 1));
}

#[test]
fn an_aborted_or_unfinished_operation_leaves_the_old_ones() {
    for end in [Some(ABORT), None, Some("COMM"), Some("COMMIT:[,0,0][2613697771]")] {
        let (_dir, set) = compaction(&operation(end));
        let set = set.unwrap();
        assert_eq!(prefixes(&set), ["nb-1-big-", "nb-2-big-", "nb-9-big-"], "{end:?}");
        assert_eq!(set.leftovers.unfinished, 1);
        assert_eq!(
            set.warnings.len(),
            usize::from(end.is_some_and(|end| end != ABORT)),
            "{:?}",
            set.warnings
        );
    }
}

#[test]
fn an_unfinished_operation_without_its_old_files_is_an_error_that_names_the_log() {
    for gone in [
        &["nb-2-big-TOC.txt"] as &[_],
        &["nb-1-big-Data.db", "nb-1-big-Statistics.db", "nb-1-big-TOC.txt"],
    ] {
        for end in [None, Some("COMMIT:[,0,")] {
            let (dir, set) = compaction(&operation(end));
            assert!(set.is_ok());
            for name in gone {
                fs::remove_file(dir.path().join(name)).unwrap();
            }
            let error = live_set(&[dir.path().to_path_buf()], true, None).unwrap_err();
            assert_eq!(error.class(), crate::ErrorClass::Corrupt);
            assert!(error.to_string().contains(LOG), "{error}");
            assert!(error.hint().unwrap().contains("snapshot"));
        }
    }
}

#[test]
fn a_committed_operation_may_miss_old_files() {
    let (dir, _) = compaction(&operation(Some(COMMIT)));
    fs::remove_file(dir.path().join("nb-1-big-Data.db")).unwrap();
    let set = live_set(&[dir.path().to_path_buf()], true, None).unwrap();
    assert_eq!(prefixes(&set), ["nb-3-big-", "nb-9-big-"]);
    assert_eq!(set.leftovers.without_data, 0);
}

#[test]
fn a_damaged_record_before_the_last_is_an_error() {
    let mut lines = operation(Some(COMMIT));
    lines[1] = lines[1].replace("nb-3", "nb-4");
    let error = compaction(&lines).1.unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[test]
fn records_are_matched_inside_the_logs_directory_and_over_all_its_disks() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["d1", "d2"].map(|name| dir.path().join(name));
    make(&one, "nb-1-big-");
    make(&two, "nb-2-big-");
    make(&two, "nb-3-big-");
    // The same name on a disk without a copy of the log is another SSTable.
    let three = dir.path().join("d3");
    make(&three, "nb-1-big-");
    let lines = [
        record("REMOVE", "d1", "nb-1-big-"),
        record("REMOVE", "d2", "nb-2-big-"),
        record("ADD", "d2", "nb-3-big-"),
    ];
    let text = lines.join("\n") + "\n";
    fs::write(one.join(LOG), &text).unwrap();
    fs::write(two.join(LOG), format!("{text}{COMMIT}\n")).unwrap();
    let set = live_set(&[one.clone(), two.clone(), three.clone()], true, None).unwrap();
    assert_eq!(prefixes(&set), ["nb-1-big-", "nb-3-big-"]);
    assert_eq!(set.live[0].descriptor.directory, three);

    // One disk alone: the records of the other do not contradict it.
    let set = live_set(std::slice::from_ref(&one), true, None).unwrap();
    assert_eq!(prefixes(&set), ["nb-1-big-"]);
    // Its own files do.
    fs::remove_file(one.join("nb-1-big-TOC.txt")).unwrap();
    assert!(live_set(std::slice::from_ref(&one), true, None).is_err());
    for component in ["Data.db", "Statistics.db"] {
        fs::remove_file(one.join(format!("nb-1-big-{component}"))).unwrap();
    }
    assert!(live_set(&[one], true, None).is_err());
}

#[test]
fn another_modification_time_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), "nb-1-big-");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for component in COMPONENTS {
        let file =
            fs::File::options().write(true).open(dir.path().join(format!("nb-1-big-{component}")));
        file.unwrap().set_modified(time).unwrap();
    }
    for (millis, warnings) in [(1_700_000_000_999, 0), (1_700_000_001_000, 1)] {
        let line = record_line("REMOVE", "/old/d1/ks/t-1/nb-1-big-", millis, 3);
        fs::write(dir.path().join(LOG), format!("{line}\n{COMMIT}\n")).unwrap();
        let set = live_set(&[dir.path().to_path_buf()], true, None).unwrap();
        assert_eq!(set.warnings.len(), warnings, "{:?}", set.warnings);
        assert!(set.live.is_empty());
    }
}

#[test]
fn what_an_interrupted_writer_left_is_counted_and_not_read() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), "nb-1-big-");
    make(dir.path(), "nb-2-big-");
    make(dir.path(), "nb-3-big-");
    make(dir.path(), "tmp-la-4-big-");
    make(dir.path(), "ks-t-tmplink-ka-5-");
    make(dir.path(), "ks-t-ic-6-");
    make(dir.path(), "ks-t.idx-ka-7-");
    fs::remove_file(dir.path().join("nb-2-big-Data.db")).unwrap();
    fs::write(dir.path().join("nb-3-big-Data.db"), "").unwrap();
    for name in
        ["nb-1-big-Statistics.db.tmp", "manifest.json", "nb-1-big-SAI+aa+ix+Meta.db", "x.lockfile"]
    {
        fs::write(dir.path().join(name), "x").unwrap();
    }
    let set = live_set(&[dir.path().to_path_buf()], true, None).unwrap();
    assert_eq!(prefixes(&set), ["nb-1-big-"]);
    assert_eq!(set.live[0].components.len(), 4);
    assert_eq!(set.live[0].data_len, 1);
    let expected = Leftovers {
        temporary: 4,
        without_data: 1,
        empty: 1,
        index_sstables: 1,
        ..Leftovers::default()
    };
    assert_eq!(set.leftovers, expected);
    assert_eq!(set.unsupported.len(), 1);
    assert!(set.unsupported[0].0.ends_with("ks-t-ic-6-Data.db"));
}

#[test]
fn order_is_that_of_the_ids() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["nb-10-big-", "nb-9-big-", "oa-3gsm_0lob_1zdg02we44my8dy25w-big-"] {
        make(dir.path(), prefix);
    }
    let set = live_set(&[dir.path().to_path_buf()], true, None).unwrap();
    assert_eq!(prefixes(&set), ["nb-9-big-", "nb-10-big-", "oa-3gsm_0lob_1zdg02we44my8dy25w-big-"]);
}
