//! `--on-corrupt skip` with an SSTable that cannot even be opened: it is left out with all tokens that it may hold, and the rest
//! is there. Without it the run stops.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cassport::dht::{Token, murmur3_token};

use crate::support::{cassport, run, small_data, tree};

struct Extract {
    data: PathBuf,
    output: PathBuf,
}

impl Extract {
    fn new(scratch: &Path) -> Self {
        Self { data: scratch.join("data"), output: scratch.join("out") }
    }

    fn run(&self, more: &[&str], code: i32) -> String {
        let mut command =
            cassport(["extract", "-t", "storage.lz4", "--profile", "jsonl", "--now", "1795279700"]);
        command.arg("--data-dir").arg(&self.data).arg("--output").arg(&self.output).args(more);
        String::from_utf8(run(command, code).stderr).unwrap()
    }

    /// The keys in the output.
    fn keys(&self) -> BTreeSet<String> {
        let files = tree(&self.output);
        let rows = files.iter().filter(|(name, _)| name.contains("LOAD"));
        rows.flat_map(|(_, bytes)| {
            String::from_utf8(bytes.clone()).unwrap().lines().map(key).collect::<Vec<_>>()
        })
        .collect()
    }

    fn report(&self) -> serde_json::Value {
        let path = self.output.join("_cassport/agents/000/report.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

fn key(line: &str) -> String {
    let row: serde_json::Value = serde_json::from_str(line).unwrap();
    row["k"].as_str().unwrap().to_owned()
}

/// Damages a file: none of these can be read as what it was.
fn spoil(file: &Path) {
    std::fs::write(file, b"\x7fspoilt").unwrap();
}

#[test]
fn an_sstable_that_cannot_be_opened_is_left_out_when_told_so() {
    let scratch = tempfile::tempdir().unwrap();
    let extract = Extract::new(scratch.path());
    let table = small_data(&extract.data);
    extract.run(&[], 0);
    let whole = extract.keys();
    assert!(whole.len() > 20, "{whole:?}");
    for component in ["Statistics.db", "CompressionInfo.db"] {
        for missing in [false, true] {
            let file = file_of(&table, component);
            let bytes = std::fs::read(&file).unwrap();
            if missing {
                std::fs::remove_file(&file).unwrap()
            } else {
                spoil(&file)
            }
            let name = file.file_name().unwrap().to_str().unwrap();
            let what = format!("{name}, missing: {missing}");

            let words = extract.run(&["--overwrite"], 3);
            assert!(words.contains(name), "{what}: {words}");
            let words = extract.run(&["--overwrite", "--on-corrupt", "skip"], 1);
            assert!(words.contains("NOT COMPLETE: 1 place skipped"), "{what}: {words}");

            let report = extract.report();
            assert_eq!(report["balanced"], true);
            let [entry] = report["quarantine"].as_array().unwrap().as_slice() else {
                panic!("{what}: {report:#}")
            };
            assert_eq!(entry["table"], "storage.lz4");
            assert_eq!(words.matches(entry["cause"].as_str().unwrap()).count(), 1, "{words}");
            assert_eq!(words.matches("something had to be skipped").count(), 1, "{words}");
            let prefix = name.strip_suffix(component).unwrap();
            assert!(entry["file"].as_str().unwrap().contains(prefix), "{what}: {entry}");
            // Everything but the tokens that are listed, and nothing of these.
            let token = |end: &str| Token(entry["tokens"][end].as_str().unwrap().parse().unwrap());
            let (start, end) = (token("start"), token("end"));
            let lost = |key: &&String| {
                let token = murmur3_token(key.as_bytes());
                token > start && token <= end
            };
            let saved: BTreeSet<String> = whole.iter().filter(|k| !lost(k)).cloned().collect();
            assert!((1..whole.len()).contains(&saved.len()), "{what}: {saved:?}");
            assert_eq!(extract.keys(), saved, "{what}");

            let words = extract.run(&["--on-corrupt", "skip"], 1);
            assert!(words.contains("already complete"), "{what}: {words}");
            std::fs::write(&file, bytes).unwrap();
            let words = extract.run(&["--on-corrupt", "skip"], 4);
            assert!(
                words.contains("other input files"),
                "the mended input is another one: {words}"
            );
        }
    }
    extract.run(&["--overwrite", "--on-corrupt", "skip"], 0);
    assert_eq!(extract.keys(), whole);
}

#[test]
fn without_an_index_all_tokens_are_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let extract = Extract::new(scratch.path());
    let table = small_data(&extract.data);
    spoil(&file_of(&table, "Statistics.db"));
    for component in ["Index.db", "Summary.db"] {
        std::fs::remove_file(file_of(&table, component)).unwrap();
    }
    extract.run(&["--on-corrupt", "skip"], 1);
    assert!(extract.keys().is_empty());
    let entry = &extract.report()["quarantine"][0];
    assert_eq!(entry["tokens"]["start"], i64::MIN.to_string());
    assert_eq!(entry["tokens"]["end"], i64::MAX.to_string());
}

#[test]
fn an_index_that_leads_nowhere_costs_its_sstable() {
    let scratch = tempfile::tempdir().unwrap();
    let extract = Extract::new(scratch.path());
    let table = small_data(&extract.data);
    let index = file_of(&table, "Index.db");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&index, bytes).unwrap();
    // So small splits that the index is asked while the run is planned.
    extract.run(&["--file-size", "1KiB"], 3);
    extract.run(&["--overwrite", "--file-size", "1KiB", "--on-corrupt", "skip"], 1);
    let report = extract.report();
    assert!(!report["quarantine"].as_array().unwrap().is_empty(), "{report:#}");
    assert_eq!(report["balanced"], true);
}

/// A component of the second SSTable, which has fewer partitions.
fn file_of(table: &Path, component: &str) -> PathBuf {
    let files = tree(table);
    table.join(files.keys().rfind(|name| name.ends_with(component)).unwrap())
}
