//! SSTables of the BTI format: with their tries, without them, and with damaged ones the same files are written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cassport::dht::murmur3_token;

use crate::support::{BTI_LINE, cassport, copy_tree, repository, run, tree};

/// A data root with the schema, the node and one table; and the table's folder.
fn data_with(keyspace: &str, table: &str, root: &Path) -> PathBuf {
    let from = repository("testdata").join(BTI_LINE).join("data");
    for keyspace in ["system", "system_schema"] {
        copy_tree(&from.join(keyspace), &root.join(keyspace));
    }
    let mut folders = std::fs::read_dir(from.join(keyspace)).unwrap().map(|e| e.unwrap().path());
    let is_it = |folder: &PathBuf| {
        folder.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0 == table
    };
    let found = folders.find(is_it).unwrap();
    let copy = root.join(keyspace).join(found.file_name().unwrap());
    copy_tree(&found, &copy);
    copy
}

/// What an extract writes, the books of the run apart, and what it says.
fn extracted(
    data: &Path,
    table: &str,
    more: &[&str],
    code: i32,
) -> (BTreeMap<String, Vec<u8>>, String) {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    let mut command =
        cassport(["extract", "--profile", "jsonl", "--file-size", "1KiB", "-t", table]);
    command.arg("--data-dir").arg(data).arg("--output").arg(&output).args(more);
    command.args(["--now", "1800000000"]);
    let words = String::from_utf8_lossy(&run(command, code).stderr).into_owned();
    let mut files = tree(&output);
    files.retain(|name, _| !name.starts_with("_cassport/") || name.ends_with("/report.json"));
    (files, words)
}

/// Without the report, which has times.
fn rows(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.retain(|name, _| !name.starts_with("_cassport/"));
    files
}

fn components(folder: &Path, component: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut found: Vec<_> =
        all.filter(|path| path.to_str().unwrap().ends_with(component)).collect();
    found.sort();
    assert!(!found.is_empty(), "{component}");
    found
}

#[test]
fn data_alone_gives_the_same_files_as_data_with_its_tries() {
    for (keyspace, table) in [("storage", "lz4"), ("storage", "wide"), ("deletes", "mixed")] {
        let scratch = tempfile::tempdir().unwrap();
        let folder = data_with(keyspace, table, scratch.path());
        let name = format!("{keyspace}.{table}");
        let (files, words) = extracted(scratch.path(), &name, &["--threads", "2"], 0);
        let expected = rows(files);
        assert!(expected.len() > 1, "{name}: {} files", expected.len());
        assert!(!words.contains("damaged"), "{words}");
        let (files, _) = extracted(scratch.path(), &name, &["--no-mmap", "--threads", "1"], 0);
        assert_eq!(rows(files), expected, "{name}");
        for component in ["-Partitions.db", "-Rows.db"] {
            for path in components(&folder, component) {
                let whole = std::fs::read(&path).unwrap();
                std::fs::remove_file(&path).unwrap();
                let (files, _) = extracted(scratch.path(), &name, &[], 0);
                assert_eq!(rows(files), expected, "{name} without {}", path.display());
                for cut in [whole.len() / 2, whole.len().saturating_sub(1)] {
                    std::fs::write(&path, &whole[..cut]).unwrap();
                    let (files, words) = extracted(scratch.path(), &name, &[], 0);
                    assert_eq!(rows(files), expected, "{name}: {cut} bytes of {}", path.display());
                    // What is told is what was needed: nothing leads from a narrow partition to Rows.db.
                    if component == "-Partitions.db" {
                        assert!(words.contains("the index is damaged"), "{words}");
                    }
                }
                std::fs::write(&path, &whole).unwrap();
            }
        }
    }
}

/// The lines of all files in their order.
fn lines(files: BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let texts = rows(files).into_values().map(|text| String::from_utf8(text).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn a_trie_with_any_bit_wrong_leads_to_the_same_rows() {
    for (keyspace, table) in [("deletes", "mixed"), ("storage", "lz4")] {
        let scratch = tempfile::tempdir().unwrap();
        let folder = data_with(keyspace, table, scratch.path());
        let name = format!("{keyspace}.{table}");
        let expected = lines(extracted(scratch.path(), &name, &[], 0).0);
        assert!(expected.len() > 50, "{}", expected.len());
        for component in ["-Partitions.db", "-Rows.db"] {
            let paths = components(&folder, component);
            let path = paths.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
            let whole = std::fs::read(path).unwrap();
            let step = 8 * whole.len() / 25 + 1;
            for bit in (0..8 * whole.len()).step_by(step) {
                let mut bytes = whole.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(path, bytes).unwrap();
                let (files, words) = extracted(scratch.path(), &name, &[], 0);
                assert_eq!(lines(files), expected, "{} bit {bit}: {words}", path.display());
            }
            std::fs::write(path, whole).unwrap();
        }
    }
}

#[test]
fn damaged_data_costs_the_tokens_that_are_listed_and_no_others() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = data_with("storage", "lz4", scratch.path());
    let whole = lines(extracted(scratch.path(), "storage.lz4", &[], 0).0);
    let data = components(&folder, "-Data.db");
    let victim = data.iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(victim, bytes).unwrap();
    let (_, words) = extracted(scratch.path(), "storage.lz4", &[], 3);
    assert!(words.contains(victim.file_name().unwrap().to_str().unwrap()), "{words}");
    let (files, words) = extracted(scratch.path(), "storage.lz4", &["--on-corrupt", "skip"], 1);
    let report = files.iter().find(|(name, _)| name.ends_with("report.json")).unwrap().1.clone();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["balanced"], true);
    let saved = lines(files);
    let lost = |line: &String| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let token = murmur3_token(row["k"].as_str().unwrap().as_bytes());
        report["quarantine"].as_array().unwrap().iter().any(|entry| {
            let end = |end: &str| entry["tokens"][end].as_str().unwrap().parse::<i64>().unwrap();
            token.0 > end("start") && token.0 <= end("end")
        })
    };
    let expected: Vec<String> = whole.iter().filter(|line| !lost(line)).cloned().collect();
    assert_eq!(saved, expected, "{words}");
    assert!(saved.len() > whole.len() / 4 && saved.len() < whole.len(), "{}", saved.len());
}

#[test]
fn a_partition_is_found_by_its_key() {
    let data = repository("testdata").join(BTI_LINE).join("data");
    let mut command = cassport(["cat", "-t", "storage.wide", "--key", "'wide'"]);
    command.arg("--data-dir").arg(&data).args(["--now", "1800000000"]);
    let text = String::from_utf8(run(command, 0).stdout).unwrap();
    assert!(text.lines().count() > 500, "{text}");
    let mut command = cassport(["inspect", "--check", "--data-dir"]);
    command.arg(&data).args(["-k", "storage"]);
    let text = String::from_utf8(run(command, 0).stdout).unwrap();
    assert!(text.contains("(da LZ4)") && text.contains("no damage"), "{text}");
}
