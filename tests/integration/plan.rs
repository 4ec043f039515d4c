//! `plan`: what it tells is what a run then does, and it reads no data for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{BTI_LINE, LINES, cassport, copy_tree, repository, run, small_data};

const CLOCK: &str = "1795279700";

fn data_of(line: &str) -> std::path::PathBuf {
    repository("testdata").join(line).join("data")
}

fn plan(data: &Path, more: &[&str]) -> Value {
    let mut command = cassport(["plan", "--json", "--now", CLOCK]);
    command.arg("--data-dir").arg(data).args(more);
    serde_json::from_slice(&run(command, 0).stdout).unwrap()
}

fn document(output: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(output.join("_cassport").join(name)).unwrap()).unwrap()
}

/// The tables of a document by name.
fn tables(document: &Value) -> BTreeMap<String, Value> {
    let name = |table: &Value| {
        let text = |key: &str| table[key].as_str().unwrap().to_owned();
        format!("{}.{}", text("keyspace"), text("table"))
    };
    document["tables"].as_array().unwrap().iter().map(|t| (name(t), t.clone())).collect()
}

/// Files of rows by table, as a manifest has them: those with rows, and those without.
fn files(manifest: &Value) -> BTreeMap<String, (u64, u64)> {
    let count = |table: &Value| {
        let files = table["files"].as_array().unwrap();
        let statics = files.iter().filter(|f| f["name"].as_str().unwrap().contains("/STATIC"));
        let statics = statics.count() as u64;
        (files.len() as u64 - statics, statics)
    };
    tables(manifest).iter().map(|(name, table)| (name.clone(), count(table))).collect()
}

#[test]
fn as_many_objects_are_planned_as_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut compared, mut several) = (0, 0);
    for line in LINES.into_iter().chain([BTI_LINE]) {
        for (profile, size) in [("dms", "1KiB"), ("csv", "3KiB"), ("jsonl", "256MiB")] {
            let options = ["--profile", profile, "--file-size", size];
            let planned = plan(&data_of(line), &options);
            let output = scratch.path().join(format!("{line}-{profile}"));
            let mut command = cassport(["extract", "--now", CLOCK]);
            command.arg("--data-dir").arg(data_of(line)).arg("--output").arg(&output);
            let code = command.args(options).output().unwrap().status.code();
            assert!(matches!(code, Some(0 | 1)), "{line} {profile}: {code:?}");
            let written = files(&document(&output, "agents/000/manifest.json"));
            let planned = tables(&planned);
            assert_eq!(planned.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
            for (name, (rows, statics)) in written {
                let told = &planned[&name]["written"];
                let what = format!("{line} {profile} {size} {name}");
                let report = tables(&document(&output, "agents/000/report.json"));
                let books = &report[&name];
                // Whether anything lives in a split that holds something is for the data to say.
                let gone = ["rowsShadowed", "rowsExpired", "rowsOnlyTombstones", "rowsQuarantined"];
                let all_live = gone.iter().all(|key| books[key] == 0);
                if all_live && statics == 0 {
                    assert_eq!(told["objects"], rows, "{what}: {told}");
                    compared += 1;
                    several += usize::from(rows > 1);
                }
                assert!(told["objects"].as_u64().unwrap() >= rows, "{what}: {told}");
                assert!(told["staticObjectsAtMost"].as_u64().unwrap() >= statics, "{what}");
                assert_eq!(told["objectsUnsure"], 0, "{what}");
            }
        }
    }
    assert!(compared > 200 && several > 40, "{compared} {several}");
}

/// Runs an extract; its report and manifest by table.
fn extracted(data: &Path, output: &Path, more: &[&str]) -> [BTreeMap<String, Value>; 2] {
    let mut command = cassport(["extract", "--now", CLOCK]);
    command.arg("--data-dir").arg(data).arg("--output").arg(output).args(more);
    let code = command.output().unwrap().status.code();
    assert!(matches!(code, Some(0 | 1)), "{data:?} {more:?}: {code:?}");
    ["report.json", "manifest.json"]
        .map(|name| tables(&document(output, &format!("agents/000/{name}"))))
}

#[test]
fn rows_are_told_as_they_are_where_sstables_do_not_overlap() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut exact, mut rows) = (0, 0);
    for line in LINES {
        for keyspace in ["storage", "types", "shop", "collections"] {
            for folder in std::fs::read_dir(data_of(line).join(keyspace)).unwrap() {
                let all = std::fs::read_dir(folder.unwrap().path()).unwrap();
                let mut files: Vec<_> = all.map(|entry| entry.unwrap().path()).collect();
                files.retain(|path| path.to_str().unwrap().ends_with("-Data.db"));
                // One SSTable overlaps with nothing. The first of each table will do.
                let Some(file) = files.into_iter().min() else { continue };
                let output = scratch.path().join(format!("{line}-{exact}-{rows}"));
                let [report, manifest] = extracted(&file, &output, &["--profile", "jsonl"]);
                for (name, table) in tables(&plan(&file, &["--profile", "jsonl"])) {
                    let books = &report[&name];
                    assert_eq!(books["rowsMerged"], 0);
                    // Static rows are rows to Cassandra's statistics, and not to the books.
                    let columns = manifest[&name]["columns"].as_array().unwrap();
                    if columns.iter().any(|column| column["kind"] == "static") {
                        continue;
                    }
                    assert_eq!(table["source"]["rows"], books["rowsRead"], "{line} {name}");
                    if books["rowsRead"] == books["rowsEmitted"] {
                        assert_eq!(table["written"]["rows"], manifest[&name]["rows"]);
                        exact += 1;
                        rows += manifest[&name]["rows"].as_u64().unwrap();
                    }
                }
                std::fs::remove_dir_all(output).unwrap();
            }
        }
    }
    assert!(exact > 50 && rows > 500, "{exact} tables, {rows} rows");
}

#[test]
fn bytes_are_told_about_as_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    for line in LINES.into_iter().chain([BTI_LINE]) {
        for profile in ["dms", "csv", "jsonl"] {
            let output = scratch.path().join(format!("{line}-{profile}"));
            let [_, manifest] = extracted(&data_of(line), &output, &["--profile", profile]);
            let (mut told, mut written) = (0, 0);
            for (name, table) in tables(&plan(&data_of(line), &["--profile", profile])) {
                let rows = manifest[&name]["rows"].as_u64().unwrap();
                told += rows * table["recordBytes"].as_u64().unwrap();
                let files = manifest[&name]["files"].as_array().unwrap();
                written += files.iter().map(|f| f["bytes"].as_u64().unwrap()).sum::<u64>();
            }
            eprintln!("{line} {profile}: {told} bytes told, {written} written");
            assert!(told < 2 * written && written < 2 * told, "{line} {profile}");
        }
    }
}

/// Makes every Data.db of tables of users as long as it was, and empty.
fn empty_data(directory: &Path) -> usize {
    let mut emptied = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            if name != "system" && name != "system_schema" {
                emptied += empty_data(&path);
            }
        } else if name.ends_with("-Data.db") {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let len = file.metadata().unwrap().len();
            file.set_len(0).unwrap();
            file.set_len(len).unwrap();
            emptied += 1;
        }
    }
    emptied
}

#[test]
fn nothing_of_the_data_is_read() {
    for line in ["3.0", "4.1", "5.0"] {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("data");
        copy_tree(&data_of(line), &data);
        let told = |more: &[&str]| {
            ["--no-mmap", ""].map(|map| {
                let map: Vec<&str> = [map].into_iter().filter(|m| !m.is_empty()).collect();
                plan(&data, &[&["--file-size", "1KiB"], more, &map].concat())
            })
        };
        let before = told(&[]);
        let shards = told(&["--shard", "1/3"]);
        // Without Index.db only the data could tell where partitions are.
        let folder = std::fs::read_dir(data.join("storage")).unwrap().next().unwrap().unwrap();
        assert!(empty_data(&data) > 40);
        assert_eq!(before, told(&[]), "{line}");
        assert_eq!(shards, told(&["--shard", "1/3"]), "{line}");
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.to_str().unwrap().ends_with("-Index.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let [told, _] = told(&[]);
        assert!(told["total"]["written"]["objectsUnsure"].as_u64().unwrap() > 0, "{line}");
    }
}

/// Codes of what is found, by column.
fn found(plan: &Value, table: &str) -> Vec<(String, String, String)> {
    let findings = tables(plan)[table]["findings"].clone();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    findings
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(&f["code"]), text(&f["column"]), text(&f["kind"])))
        .collect()
}

#[test]
fn what_the_target_refuses_or_changes_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let schema = scratch.path().join("schema.cql");
    let id = "00000000000000000000000000000001";
    std::fs::write(
        &schema,
        "CREATE KEYSPACE odd WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};
         CREATE TYPE odd.u (a int);
         CREATE TABLE odd.t (a int, b text, c decimal, value text, d map<text, int>, e frozen<u>, f double,
             g blob, h timestamp, i varint, s int static, j date,
             PRIMARY KEY ((a, b), c)) WITH default_time_to_live = 60 AND id = 00000000-0000-0000-0000-000000000001;
         CREATE TABLE odd.n (k int PRIMARY KEY, n counter) WITH id = 00000000-0000-0000-0000-000000000002;
         CREATE KEYSPACE storage WITH replication = {'class': 'SimpleStrategy', 'replication_factor': '1'};
         CREATE TABLE storage.lz4 (k text PRIMARY KEY, v blob);",
    )
    .unwrap();
    let data = scratch.path().join("data");
    small_data(&data);
    std::fs::create_dir_all(data.join(format!("odd/t-{id}"))).unwrap();
    std::fs::create_dir_all(data.join(format!("odd/n-{}", id.replace('1', "2")))).unwrap();
    let schema = schema.to_str().unwrap();
    let with = |more: &[&str]| plan(&data, &[&["--schema", schema], more].concat());
    let dms = with(&[]);
    let expected = |list: &[(&str, &str, &str)]| -> Vec<(String, String, String)> {
        list.iter().map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string())).collect()
    };
    for wanted in expected(&[
        ("ttl", "-", "lost"),
        ("static-columns", "-", "changed"),
        ("reserved-word", "value", "changed"),
        ("generated-key", "cp_pk", "changed"),
        ("generated-key", "cp_sk", "changed"),
        ("type-as-string", "d", "changed"),
        ("type-as-string", "e", "changed"),
        ("type-as-string", "g", "changed"),
        ("value-may-not-fit", "c", "possible"),
        ("value-may-not-fit", "f", "possible"),
        ("value-may-not-fit", "h", "possible"),
        ("value-may-not-fit", "i", "possible"),
        ("value-may-not-fit", "j", "possible"),
    ]) {
        let found = found(&dms, "odd.t");
        assert!(found.contains(&wanted), "{wanted:?} in {found:?}");
    }
    let counter = found(&dms, "odd.n");
    let wanted = expected(&[("counters", "-", "changed"), ("key-as-string", "k", "changed")]);
    assert_eq!(counter, wanted);
    // The hints help.
    let mended = with(&[
        "--expires-column=gone",
        "--rename=value=val",
        "--column-type=c=STRING",
        "--column-type=f=STRING",
        "--column-type=h=INT8",
        "--column-type=i=STRING",
        "--column-type=j=STRING",
    ]);
    let left = found(&mended, "odd.t");
    let avoided = ["ttl", "reserved-word", "value-may-not-fit"];
    assert!(left.iter().all(|(code, ..)| !avoided.contains(&code.as_str())), "{left:?}");
    // A loader of CSV does not mind.
    let csv = with(&["--profile", "csv"]);
    let wanted = expected(&[("ttl", "-", "lost"), ("static-only-partitions", "-", "changed")]);
    assert_eq!(found(&csv, "odd.t"), wanted);
    let csv = with(&["--profile", "csv", "--metadata", "cell"]);
    assert!(found(&csv, "odd.n").contains(&expected(&[("counter-metadata", "-", "refused")])[0]));
    // TTLs as statistics tell them.
    let corpus = plan(&data_of("4.1"), &["-k", "ttl,storage"]);
    let mut with_ttl: Vec<String> = tables(&corpus).into_keys().collect();
    with_ttl.retain(|name| found(&corpus, name).iter().any(|(code, ..)| code == "ttl"));
    assert!(
        !with_ttl.is_empty() && with_ttl.iter().all(|name| name.starts_with("ttl.")),
        "{with_ttl:?}"
    );
}

/// The words of a command of a plan, which quotes with `'` alone, as the program.
fn as_command(line: &str) -> Command {
    let mut words = vec![String::new()];
    let mut inside = false;
    for c in line.chars() {
        match c {
            '\'' => inside = !inside,
            ' ' if !inside => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(words.remove(0), "cassport");
    cassport(words)
}

#[test]
fn the_commands_of_a_plan_run_to_a_sealed_output_that_is_as_told() {
    let scratch = tempfile::tempdir().unwrap();
    let nodes = scratch.path().join("nodes.toml");
    let dirs: Vec<String> = ["4.0", "4.1"]
        .iter()
        .map(|line| format!("\"n {line}\" = [\"{}\"]", data_of(line).display()))
        .collect();
    std::fs::write(&nodes, format!("[nodes]\n{}\n", dirs.join("\n"))).unwrap();
    let data = data_of("4.1");
    let (data, nodes) = (data.to_str().unwrap(), nodes.to_str().unwrap());
    for (name, options, agents) in [
        ("one", &["--data-dir", data][..], 1),
        ("a name with blanks", &["--data-dir", data, "--shard", "1/3"], 3),
        ("owner", &["--data-dir", data, "--ownership", "primary"], 1),
        ("replicas", &["--nodes-file", nodes, "--shard", "0/2", "--cassandra-version", "4.1"], 2),
        ("reconciled", &["--nodes-file", nodes], 1),
    ] {
        let output = scratch.path().join(name);
        let mut command = cassport(["plan", "--json", "-k", "storage", "--file-size", "2KiB"]);
        command
            .args(["--now", CLOCK, "--rate", "1MB/s"])
            .args(options)
            .arg("--output")
            .arg(&output);
        let told: Value = serde_json::from_slice(&run(command, 0).stdout).unwrap();
        assert!(!output.exists(), "a plan writes nothing");
        let planned = told["agents"].as_array().unwrap();
        assert_eq!(planned.len(), agents, "{name}");
        let sum = |figure: &str| {
            planned.iter().map(|a| a["written"][figure].as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(told["total"]["written"]["objects"], sum("objects"), "{name}");
        for agent in planned {
            let command = as_command(agent["command"].as_str().unwrap());
            run(command, 0);
            let folder = format!("agents/{:03X}/manifest.json", agent["agent"].as_u64().unwrap());
            let written = files(&document(&output, &folder));
            let mut of_tables = 0;
            for (table, planned) in tables(agent) {
                assert_eq!(planned["written"]["objects"], written[&table].0, "{name} {table}");
                of_tables += planned["source"]["dataBytes"].as_u64().unwrap();
            }
            assert_eq!(agent["source"]["dataBytes"], of_tables);
            let seconds = agent["seconds"].as_f64().unwrap();
            assert_eq!((seconds * 1e6).round() as u64, of_tables, "{seconds}");
        }
        match told["seal"].as_str() {
            Some(seal) => drop(run(as_command(seal), 0)),
            None => assert_eq!(agents, 1),
        }
        assert!(output.join("_cassport/complete.json").exists(), "{name}");
        // All parts together are the whole.
        let read: u64 =
            planned.iter().map(|agent| agent["source"]["dataBytes"].as_u64().unwrap()).sum();
        let all = told["total"]["source"]["dataBytes"].as_u64().unwrap();
        assert!(all - read <= planned.len() as u64 * 40, "{name}: {read} of {all}");
        assert_eq!(
            told["nodes"].as_array().unwrap().len(),
            1 + usize::from(options.contains(&nodes))
        );
    }
}

#[test]
fn a_plan_for_people_has_all_parts() {
    let mut command = cassport(["plan", "--now", CLOCK, "-k", "shop,ttl", "--shard", "0/2"]);
    command.args([
        "--price",
        "write-units=1.25",
        "--price",
        "requests=0.005",
        "--load-rate",
        "5MB/s",
    ]);
    command.arg("--data-dir").arg(data_of("4.1")).args(["--output", "s3://bucket/run"]);
    let text = String::from_utf8(run(command, 0).stdout).unwrap();
    for words in [
        "shop.orders",
        "total",
        "shard 1/2",
        "# agent 0",
        "cassport extract --shard=1/2 --data-dir=",
        "cassport seal --output=s3://bucket/run",
        "price of write-units",
        "DMS",
        "in profile dms:",
        "~ rows   estimate",
    ] {
        assert!(text.contains(words), "{words:?} in\n{text}");
    }
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
    let mut command = cassport(["plan"]);
    command.arg("--data-dir").arg(data_of("4.1"));
    let text = String::from_utf8(run(command, 0).stdout).unwrap();
    assert!(text.contains("left out: ") && text.contains("materialized view"), "{text}");
}

#[test]
fn a_plan_that_cannot_be_is_refused() {
    let data = data_of("4.1");
    let refused = |more: &[&str], code: i32| {
        let mut command = cassport(["plan"]);
        command.arg("--data-dir").arg(&data).args(more);
        String::from_utf8(run(command, code).stderr).unwrap()
    };
    assert!(refused(&["--price", "gold=1"], 2).contains("write-units"));
    assert!(refused(&["--price", "dms=much"], 2).contains("no amount"));
    assert!(refused(&["--price", "dms=1", "--price", "dms=2"], 2).contains("two prices"));
    assert!(refused(&["--output", "-"], 2).contains("an output that is kept"));
    assert!(refused(&["-t", "no.such"], 3).contains("no.such"));
    assert!(refused(&["--include-columns", "nothing"], 2).contains("nothing"));
    run(cassport(["plan"]), 2);
}
