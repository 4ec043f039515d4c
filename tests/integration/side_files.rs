//! Rules 24 and 25 of the contract: what the files of the profiles for CQL may hold, and that the lists beside files name exactly
//! what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{cassport, repository, tree};

fn extract(output: &Path, profile: &str, more: &[&str]) -> String {
    let mut command = cassport(["extract", "--now=1800000000", "--file-size=64KiB"]);
    command.arg("--data-dir").arg(repository("testdata/5.0/data")).arg("--output").arg(output);
    let output = command.args(["--profile", profile]).args(more).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{profile}: {:?}", output.status);
    String::from_utf8(output.stderr).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The tables of the manifest that have files, with columns and types.
fn tables(output: &Path) -> Vec<Value> {
    let manifest = json(&output.join("_cassport/agents/000/manifest.json"));
    let tables = manifest["tables"].as_array().unwrap().clone();
    tables.into_iter().filter(|t| !t["files"].as_array().unwrap().is_empty()).collect()
}

fn names(value: &Value) -> (String, String) {
    (value["keyspace"].as_str().unwrap().into(), value["table"].as_str().unwrap().into())
}

/// Records as fields, and whether a field was in quotes.
fn records(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// What is wrong with a field of the profile `cqlsh`.
fn fault(cql_type: &str, text: &str) -> Option<String> {
    if text == "\\N" {
        return None;
    }
    let wrong = match cql_type {
        "boolean" => !["True", "False"].contains(&text),
        "timestamp" => text.parse::<i64>().is_err(),
        "duration" => true,
        _ => text.contains(['\n', '\r']),
    };
    wrong.then(|| format!("{text:?} is no {cql_type} for cqlsh"))
}

#[test]
fn rule_24_fields_are_what_cqlsh_reads() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let said = extract(&output, "cqlsh", &[]);
    let mut fields = 0;
    for table in tables(&output) {
        let (keyspace, name) = names(&table);
        let columns = table["columns"].as_array().unwrap();
        for file in table["files"].as_array().unwrap() {
            let file = file["name"].as_str().unwrap();
            assert!(file.contains("/LOAD"), "{file}: COPY FROM wants the whole key");
            let bytes = std::fs::read(output.join(file)).unwrap();
            // One line is one record: nothing of it is torn where cqlsh cuts its chunks.
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            let records = records(&bytes);
            assert_eq!(lines, records.len(), "{file}");
            for record in records.iter().skip(1) {
                assert_eq!(record.len(), columns.len(), "{file}");
                for (text, column) in record.iter().zip(columns) {
                    let found = fault(column["type"].as_str().unwrap(), text);
                    assert_eq!(found, None, "{file}, {}", column["name"]);
                    fields += 1;
                }
            }
        }
        let command = format!("FROM '{}/{keyspace}/{name}/LOAD*.csv'", output.display());
        assert!(said.contains(&command) || said.contains("and so for"), "{said}");
    }
    assert!(fields > 3000, "{fields}");
    for (cql_type, text) in [
        ("boolean", "true"),
        ("timestamp", "2020-01-01T00:00:00Z"),
        ("text", "a\nb"),
        ("duration", "1d"),
    ] {
        assert!(fault(cql_type, text).is_some(), "{cql_type} {text}");
    }
}

#[test]
fn rule_24_the_lists_of_dsbulk_have_all_files_once() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    extract(&output, "csv", &["--compression", "gzip"]);
    for table in tables(&output) {
        let (keyspace, name) = names(&table);
        let list = |kind: &str| {
            let path = output.join(format!("_cassport/{keyspace}.{name}.{kind}"));
            std::fs::read_to_string(path).unwrap_or_default()
        };
        let mut listed: Vec<PathBuf> =
            [list("urls"), list("static.urls")].concat().lines().map(PathBuf::from).collect();
        assert!(list("urls").lines().all(|line| line.contains("/LOAD")));
        assert!(list("static.urls").lines().all(|line| line.contains("/STATIC")));
        listed.sort();
        let folder = output.join(&keyspace).join(&name);
        let mut there: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        there.sort();
        assert_eq!(listed, there, "{keyspace}.{name}");
        assert!(there.iter().all(|path| path.to_str().unwrap().ends_with(".csv.gz")));
    }
}

/// What is wrong with the folder of a table of the profile `datalake`.
fn folder_fault(folder: &Path) -> Option<String> {
    let files = tree(folder);
    let manifest = json(&folder.join("_manifest.json"));
    let entries: BTreeMap<String, u64> = manifest["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let name = entry["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            (name, entry["meta"]["content_length"].as_u64().unwrap())
        })
        .collect();
    let there: BTreeMap<String, u64> = files
        .iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(name, bytes)| (name.clone(), bytes.len() as u64))
        .collect();
    if entries != there {
        return Some(format!("{entries:?} are listed, {there:?} are there"));
    }
    let time = |name: &str| std::fs::metadata(folder.join(name)).unwrap().modified().unwrap();
    let success = time("_SUCCESS");
    files
        .keys()
        .find(|name| time(name) > success)
        .map(|name| format!("{name} is newer than _SUCCESS"))
}

#[test]
fn rule_25_a_datalake_folder_has_what_its_list_says_and_its_success_is_the_newest() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    extract(&output, "datalake", &[]);
    let all = tables(&output);
    for table in &all {
        let (keyspace, name) = names(table);
        let folder = output.join(&keyspace).join(&name);
        assert_eq!(folder_fault(&folder), None, "{keyspace}.{name}");
        let ddl = output.join(format!("_cassport/{keyspace}.{name}.spark-schema.ddl"));
        let ddl = std::fs::read_to_string(ddl).unwrap();
        let file = table["files"][0]["name"].as_str().unwrap();
        let header = records(&std::fs::read(output.join(file)).unwrap()).remove(0);
        let in_ddl: Vec<String> = ddl
            .trim_end()
            .split(",\n")
            .map(|line| line.rsplit_once("` ").unwrap().0[1..].replace("``", "`"))
            .collect();
        assert_eq!(in_ddl, header, "{keyspace}.{name}");
        assert_eq!(header[..2], ["Op", "cp_ts"]);
    }
    // Each broken once.
    let (keyspace, name) = names(&all[0]);
    let folder = output.join(keyspace).join(name);
    std::fs::write(folder.join("LOAD00F00001.csv"), "x\n").unwrap();
    assert!(folder_fault(&folder).unwrap().contains("LOAD00F00001.csv"));
    std::fs::remove_file(folder.join("LOAD00F00001.csv")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let manifest = std::fs::read(folder.join("_manifest.json")).unwrap();
    std::fs::write(folder.join("_manifest.json"), manifest).unwrap();
    assert!(folder_fault(&folder).unwrap().contains("newer than _SUCCESS"));
}

#[test]
fn starting_afresh_takes_back_what_says_that_a_folder_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    extract(&output, "datalake", &["--table=storage.lz4"]);
    assert!(output.join("storage/lz4/_SUCCESS").exists());
    extract(&output, "jsonl", &["--table=storage.lz4", "--overwrite"]);
    let left = tree(&output.join("storage/lz4"));
    assert!(left.keys().all(|name| name.ends_with(".jsonl")), "{:?}", left.keys());
}
