//! `extract --deletes`: a target that holds an older state has the rows of the newer one after deletions and rows are applied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cassport::changes::{Change, ChangeRecordReader};
use cassport::rows::{ClusteringOrder, PartitionUpdate, Row, RowView, UpdateContent};
use cassport::schema::{CompactKind, Schema, TableMetadata, parse_schema};
use serde_json::value::RawValue;

use crate::corpora::corpora;
use crate::support::{Json, cassport, copy_tree, repository, run, stderr, tree};

/// What `extract` writes of `data` into `output`.
fn extract(data: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = cassport(["extract", "--profile", "jsonl", "-q"]);
    command.arg("--data-dir").arg(data).arg("--output").arg(output).args(more);
    command
}

fn read(path: &Path) -> Json {
    Json::parse(&std::fs::read_to_string(path).unwrap())
}

/// Members of an object in their own text.
fn members(line: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Removes the newer half of each table's SSTables, but those of the node's own tables; how many.
fn make_older(data: &Path) -> usize {
    let mut removed = 0;
    for keyspace in std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap()) {
        if keyspace.file_name().to_str().unwrap().starts_with("system") {
            continue;
        }
        for table in std::fs::read_dir(keyspace.path()).unwrap().map(|entry| entry.unwrap().path())
        {
            let mut generations: BTreeMap<u64, Vec<std::path::PathBuf>> = BTreeMap::new();
            for file in std::fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path()) {
                let name = file.file_name().unwrap().to_str().unwrap().to_owned();
                let number = name.split('-').find_map(|part| part.parse().ok());
                if let Some(number) = number.filter(|_| file.is_file()) {
                    generations.entry(number).or_default().push(file);
                }
            }
            let keep = generations.len().div_ceil(2);
            for file in generations.into_values().skip(keep).flatten() {
                removed += usize::from(file.to_str().unwrap().ends_with("-Data.db"));
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    removed
}

/// A key as the target has it: text of the partition key's columns and of the clustering columns.
type Key = (Vec<String>, Vec<String>);

/// A target without write times: rows by key.
struct Target {
    table: Arc<TableMetadata>,
    order: ClusteringOrder,
    rows: BTreeMap<Key, String>,
}

impl Target {
    fn new(schema: &Schema, keyspace: &str, table: &str) -> Self {
        let table = Arc::new(schema.table(keyspace, table).unwrap().clone());
        Self { order: ClusteringOrder::new(&table), table, rows: BTreeMap::new() }
    }

    fn key(&self, members: &BTreeMap<String, Box<RawValue>>) -> Key {
        let text = |name: &String| members[name].get().to_owned();
        let partition = self.table.partition_key.iter().map(|c| text(&c.name)).collect();
        if self.table.compact == CompactKind::StaticCompact {
            return (partition, Vec::new());
        }
        let mut clustering: Vec<String> = (self.table.clustering.iter())
            .filter(|c| members.contains_key(&c.name))
            .map(|c| text(&c.name))
            .collect();
        if self.table.compact == CompactKind::Super
            && let Some(column) = members.get("column2")
        {
            clustering.push(column.get().to_owned());
        }
        (partition, clustering)
    }

    fn is_static_only(&self, key: &Key) -> bool {
        !self.table.statics.is_empty()
            && !key.1.is_empty()
            && key.1.iter().all(|value| value == "null")
    }

    /// Writes a row, in place of the one of its key; a partition that has rows has no record without one.
    fn put(&mut self, line: &str) {
        let key = self.key(&members(line));
        if !self.is_static_only(&key) {
            let without = (key.0.clone(), vec!["null".to_owned(); key.1.len()]);
            if self.is_static_only(&without) {
                self.rows.remove(&without);
            }
        }
        self.rows.insert(key, line.to_owned());
    }

    /// The clustering of a row of the target.
    fn clustering(&self, key: &Key) -> PartitionUpdate {
        let columns = self.table.partition_key.iter().chain(&self.table.clustering);
        let values = key.0.iter().chain(&key.1);
        let named = columns.zip(values).map(|(column, value)| {
            format!("{}:{value}", serde_json::to_string(&column.name).unwrap())
        });
        let key = named.collect::<Vec<_>>().join(",");
        let head =
            format!("\"keyspace\":\"{}\",\"table\":\"{}\"", self.table.keyspace, self.table.name);
        self.update(&format!("{{\"op\":\"delete\",{head},\"key\":{{{key}}},\"deleted\":1}}"))
    }

    /// A record, with the position that deletions beside an extract do not have.
    fn update(&self, line: &str) -> PartitionUpdate {
        let host = "00000000-0000-0000-0000-000000000000";
        let position = "\"position\":{\"segment\":1,\"offset\":1},\"index\":0";
        let line =
            format!("{},\"hostId\":\"{host}\",{position}}}", line.strip_suffix('}').unwrap());
        let reader =
            ChangeRecordReader::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
        let record = reader.record(&self.table).unwrap_or_else(|e| panic!("{e}: {line}"));
        match record.change {
            Change::Update(update) => update,
            other => panic!("not an update: {other:?}"),
        }
    }

    /// Applies a record to a target that knows no write times: rows that it is about go, and come back with the rows of the
    /// extract if they live.
    fn delete(&mut self, line: &str) {
        let record = members(line);
        assert!(
            !["hostId", "position", "index"].iter().any(|name| record.contains_key(*name)),
            "{line}"
        );
        let op: String = serde_json::from_str(record["op"].get()).unwrap();
        let key = self.key(&serde_json::from_str(record["key"].get()).unwrap());
        match op.as_str() {
            "delete_partition" => self.rows.retain(|(partition, _), _| *partition != key.0),
            "delete_range" => {
                let update = self.update(line);
                let hit: Vec<Key> =
                    self.rows.keys().filter(|k| self.is_in(&update, k, &key)).cloned().collect();
                hit.iter().for_each(|key| drop(self.rows.remove(key)));
            }
            "upsert" | "delete" if record.contains_key("static") => {
                let compact = self.table.compact == CompactKind::StaticCompact;
                let hit: Vec<Key> = (self.rows.keys())
                    .filter(|k| k.0 == key.0 && (compact || self.is_static_only(k)))
                    .cloned()
                    .collect();
                hit.iter().for_each(|key| drop(self.rows.remove(key)));
            }
            // The rows of a super column have its key as the beginning of theirs.
            "upsert" | "delete" => {
                self.rows.retain(|k, _| k.0 != key.0 || !k.1.starts_with(&key.1));
            }
            other => panic!("{other}: {line}"),
        }
    }

    fn is_in(&self, range: &PartitionUpdate, row: &Key, of: &Key) -> bool {
        if row.0 != of.0 || self.is_static_only(row) {
            return false;
        }
        let own = self.clustering(row);
        let [UpdateContent::Row(own_row)] = own.content.as_slice() else { panic!("one row") };
        let [UpdateContent::Marker(start, from), UpdateContent::Marker(end, to)] =
            range.content.as_slice()
        else {
            panic!("a start and an end")
        };
        let compare = |bound: &Row, side| {
            let bound = RowView { row: bound, data: &range.data };
            self.order.compare(RowView { row: own_row, data: &own.data }, 0, bound, side)
        };
        compare(from, start.kind.side()).is_gt() && compare(to, end.kind.side()).is_lt()
    }
}

fn lines(files: &BTreeMap<String, Vec<u8>>, folder: &str) -> Vec<String> {
    let in_folder = files.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
    in_folder
        .flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().split_terminator('\n'))
        .map(str::to_owned)
        .collect()
}

/// The tables of an output, and its files of rows and deletions.
fn tables(output: &Path) -> Vec<(String, String)> {
    let manifest = read(&output.join("_cassport/agents/000/manifest.json"));
    let names = manifest.get("tables").unwrap().elements().iter();
    names
        .map(|t| {
            (
                t.get("keyspace").unwrap().text().to_owned(),
                t.get("table").unwrap().text().to_owned(),
            )
        })
        .collect()
}

#[test]
fn a_target_with_an_older_state_has_the_rows_of_the_extract_after_deletions_and_rows() {
    let scratch = tempfile::tempdir().unwrap();
    let (mut compared, mut gone, mut rows) = (0, 0, 0);
    for corpus in corpora() {
        let name = corpus.file_name().unwrap().to_str().unwrap();
        let scratch = scratch.path().join(name);
        let data = scratch.join("data");
        copy_tree(&corpus.join("data"), &data);
        let Json::Number(clock) = read(&corpus.join("corpus.json")).get("clock").unwrap().clone()
        else {
            panic!("no clock")
        };
        let (newer, older) = (scratch.join("newer"), scratch.join("older"));
        run(extract(&data, &newer, &["--deletes", "--now", &clock]), 0);
        if make_older(&data) == 0 {
            continue;
        }
        // A target that keeps what expires: the older state as of a time at which nothing had.
        run(extract(&data, &older, &["--now", "1000000000"]), 0);
        let schema = std::fs::read_to_string(newer.join("_cassport/schema.cql")).unwrap();
        let schema = parse_schema(&schema, None).unwrap();
        let (newer_files, older_files) = (tree(&newer), tree(&older));
        for (keyspace, table) in tables(&newer) {
            let folder = format!("{keyspace}/{table}");
            let mut target = Target::new(&schema, &keyspace, &table);
            lines(&older_files, &folder).iter().for_each(|line| target.put(line));
            let deletions = lines(&newer_files, &format!("{folder}-deletes"));
            let before = target.rows.len();
            deletions.iter().for_each(|line| target.delete(line));
            let wanted: BTreeSet<String> = lines(&newer_files, &folder).into_iter().collect();
            wanted.iter().for_each(|line| target.put(line));
            let found: BTreeSet<String> = target.rows.values().cloned().collect();
            let extra: Vec<_> = found.difference(&wanted).collect();
            assert_eq!(
                found, wanted,
                "{name} {folder}: these should have gone: {extra:#?}\n{deletions:#?}"
            );
            compared += 1;
            rows += before;
            let newer_keys: BTreeSet<&Key> = target.rows.keys().collect();
            let mut old = Target::new(&schema, &keyspace, &table);
            lines(&older_files, &folder).iter().for_each(|line| old.put(line));
            gone += old.rows.keys().filter(|key| !newer_keys.contains(key)).count();
        }
    }
    println!("{compared} tables, {rows} rows of older states, {gone} of them gone");
    assert!(compared > 100 && gone > 200, "{compared} tables, {gone} rows gone");
}

/// Output of the corpus of 4.1, cut small, with deletions.
fn corpus_with_deletes(output: &Path, more: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let data = repository("testdata/4.1/data");
    let options = [
        "--deletes",
        "--now",
        "1795279645",
        "--file-size",
        "1KiB",
        "-k",
        "deletes,statics,collections",
    ];
    run(extract(&data, output, &[&options, more].concat()), 0);
    tree(output)
}

fn deletions(manifest: &Json) -> u64 {
    let number = |table: &Json| match table.get("deletes").unwrap().get("records").unwrap() {
        Json::Number(text) => text.parse::<u64>().unwrap(),
        other => panic!("no number: {other:?}"),
    };
    manifest.get("tables").unwrap().elements().iter().map(number).sum()
}

#[test]
fn deletions_are_in_manifest_report_seal_plan_and_verify() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    let files = corpus_with_deletes(&output, &[]);
    let of_deletes: Vec<&String> = files.keys().filter(|name| name.contains("-deletes/")).collect();
    assert!(of_deletes.len() > 5, "{of_deletes:?}");
    assert!(
        of_deletes.iter().all(|name| name.ends_with(".jsonl") && name.contains("-deletes/LOAD000"))
    );
    let lines: usize = of_deletes
        .iter()
        .map(|name| files[*name].iter().filter(|byte| **byte == b'\n').count())
        .sum();
    let manifest = read(&output.join("_cassport/agents/000/manifest.json"));
    assert_eq!(deletions(&manifest), lines as u64);
    assert_eq!(deletions(&read(&output.join("_cassport/complete.json"))), lines as u64);
    let report = read(&output.join("_cassport/agents/000/report.json"));
    let emitted = report.get("total").unwrap().get("deletionsEmitted").unwrap();
    assert_eq!(*emitted, Json::Number(lines.to_string()));
    assert_eq!(report.get("balanced"), Some(&Json::Bool(true)));

    let data = repository("testdata/4.1/data");
    let mut plan = cassport([
        "plan",
        "--json",
        "--deletes",
        "--file-size",
        "1KiB",
        "-k",
        "deletes,statics,collections",
    ]);
    plan.arg("--data-dir").arg(&data);
    let plan = Json::parse(std::str::from_utf8(&run(plan, 0).stdout).unwrap());
    let written = plan.get("total").unwrap().get("written").unwrap().clone();
    let Some(Json::Number(most)) = written.get("deletesObjectsAtMost") else {
        panic!("{written:?}")
    };
    assert!(most.parse::<usize>().unwrap() >= of_deletes.len(), "{most} {}", of_deletes.len());
    let mut without = cassport(["plan", "--json", "-k", "deletes"]);
    without.arg("--data-dir").arg(&data);
    let text = String::from_utf8(run(without, 0).stdout).unwrap();
    assert!(
        text.contains("\"deletesObjectsAtMost\": 0")
            && !text.contains("\"deletesObjectsAtMost\": 1")
    );

    let verify = |more: &[&str], code| {
        let mut command = cassport(["verify"]);
        command.args(more);
        String::from_utf8(run(command, code).stdout).unwrap()
    };
    let (place, source) = (output.to_str().unwrap(), data.to_str().unwrap());
    let words = verify(&["--output", place, "--full"], 0);
    assert!(words.contains(&format!("and {lines} deletions: as the manifests say")), "{words}");
    let against = ["--data-dir", source, "--against", place];
    let words = verify(&against, 0);
    assert!(
        words.contains(&format!("and {lines} deletions: source and output are the same")),
        "{words}"
    );

    // A record that is another one, of the same length.
    let victim = output.join(of_deletes[0]);
    let text = std::fs::read_to_string(&victim).unwrap();
    let at = text
        .find("\"deleted\":")
        .or_else(|| text.find("\"writetime\":"))
        .or_else(|| text.find("\"reset\":"))
        .unwrap();
    let digit = at + text[at..].find(|c: char| c.is_ascii_digit()).unwrap();
    let other = if text.as_bytes()[digit] == b'1' { "2" } else { "1" };
    std::fs::write(&victim, format!("{}{other}{}", &text[..digit], &text[digit + 1..])).unwrap();
    let words = verify(&["--output", place, "--full"], 5);
    assert!(words.contains(of_deletes[0]), "{words}");
    let words = verify(&against, 5);
    assert!(words.contains(of_deletes[0]) && words.contains("\n  source  {\"op\":"), "{words}");
    std::fs::remove_file(&victim).unwrap();
    assert!(verify(&["--output", place], 5).contains("it is not there"));
    std::fs::write(output.join("deletes/mixed-deletes/LOAD000FFFFF.jsonl"), "{}\n").unwrap();
    assert!(verify(&["--output", place], 5).contains("no manifest names it"));
}

#[test]
fn shards_write_the_deletions_of_the_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = corpus_with_deletes(&scratch.path().join("whole"), &[]);
    let all = |files: &BTreeMap<String, Vec<u8>>| {
        let of_deletes = files.iter().filter(|(name, _)| name.contains("-deletes/"));
        let mut lines: Vec<String> = of_deletes
            .flat_map(|(_, bytes)| std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned))
            .collect();
        lines.sort();
        lines
    };
    let output = scratch.path().join("parts");
    for shard in ["0/3", "1/3", "2/3"] {
        corpus_with_deletes(&output, &["--shard", shard]);
    }
    assert_eq!(all(&tree(&output)), all(&whole));
    let seal = || {
        let mut seal = cassport(["seal"]);
        seal.arg("--output").arg(&output);
        seal
    };
    run(seal(), 0);
    let digests = |complete: &Json| {
        let of = |t: &Json| t.get("deletes").unwrap().get("digest").unwrap().text().to_owned();
        complete.get("tables").unwrap().elements().iter().map(of).collect::<Vec<_>>()
    };
    let complete = |output: &Path| digests(&read(&output.join("_cassport/complete.json")));
    assert_eq!(complete(&output), complete(&scratch.path().join("whole")));
    // A file that no agent wrote is read by whoever applies what is in the folder.
    std::fs::write(output.join("deletes/mixed-deletes/LOAD00000009.jsonl"), "{}\n").unwrap();
    std::fs::remove_file(output.join("_cassport/complete.json")).unwrap();
    assert!(stderr(&run(seal(), 5)).contains("is in no manifest"));
}

#[test]
fn rows_are_the_same_bytes_with_and_without_deletions() {
    let scratch = tempfile::tempdir().unwrap();
    let data = repository("testdata/4.1/data");
    for (profile, more) in
        [("csv", "gzip"), ("parquet", "zstd"), ("ddb-json", "none"), ("dms", "none")]
    {
        let outputs =
            ["without", "with"].map(|name| scratch.path().join(format!("{profile}-{name}")));
        for (output, deletes) in outputs.iter().zip([&[][..], &["--deletes"]]) {
            let mut command =
                cassport(["extract", "--profile", profile, "--compression", more, "-q"]);
            command.args(["--now", "1795279645", "-k", "deletes,statics", "--data-dir"]).arg(&data);
            let code = command
                .arg("--output")
                .arg(output)
                .args(deletes)
                .output()
                .unwrap()
                .status
                .code()
                .unwrap();
            assert!(code <= 1, "{profile}: {code}");
        }
        let [without, with] = outputs.map(|output| {
            let mut files = tree(&output);
            files.retain(|name, _| {
                !name.starts_with("_cassport/agents")
                    && !name.ends_with("run.json")
                    && !name.ends_with("complete.json")
            });
            files
                .into_iter()
                .map(|(name, bytes)| {
                    // Lists name the place.
                    let text = String::from_utf8(bytes.clone())
                        .map(|text| text.replace(output.to_str().unwrap(), "PLACE").into_bytes());
                    (name, text.unwrap_or(bytes))
                })
                .collect::<BTreeMap<_, _>>()
        });
        let (of_deletes, rest): (BTreeMap<_, _>, BTreeMap<_, _>) =
            with.into_iter().partition(|(name, _)| name.contains("-deletes/"));
        assert_eq!(
            rest.keys().collect::<Vec<_>>(),
            without.keys().collect::<Vec<_>>(),
            "{profile}"
        );
        assert!(rest == without, "{profile}");
        assert!(!of_deletes.is_empty(), "{profile}");
        let ending = if profile == "csv" { ".jsonl.gz" } else { ".jsonl" };
        assert!(
            of_deletes.keys().all(|name| name.ends_with(ending)),
            "{profile}: {:?}",
            of_deletes.keys()
        );
    }
}

#[test]
fn deletions_have_the_names_of_the_rows_and_leave_out_what_these_leave_out() {
    let scratch = tempfile::tempdir().unwrap();
    let plain = corpus_with_deletes(&scratch.path().join("plain"), &[]);
    let cells = |folder: &str, files: &BTreeMap<String, Vec<u8>>| -> BTreeSet<String> {
        let records = lines(files, folder);
        let cells = records.iter().filter_map(|line| Json::parse(line).get("cells").cloned());
        let names = cells.flat_map(|cells| cells.members().to_vec());
        names.map(|(name, _)| name).collect()
    };
    let folders: BTreeSet<&str> =
        (plain.keys()).filter_map(|name| Some(name.split_once("-deletes/")?.0)).collect();
    let (folder, names) = (folders.iter())
        .map(|folder| (folder, cells(&format!("{folder}-deletes"), &plain)))
        .find(|(_, names)| names.len() > 1)
        .unwrap();
    let mut names = names.iter();
    let (excluded, other) = (names.next().unwrap(), names.next().unwrap());
    let table = folder.replace('/', ".");
    let rename = format!("{table}.{other}=renamed");
    let exclude = format!("{table}.{excluded}");
    let output = scratch.path().join("out");
    let files = corpus_with_deletes(&output, &["--exclude-columns", &exclude, "--rename", &rename]);
    let changed = cells(&format!("{folder}-deletes"), &files);
    assert!(changed.contains("renamed"), "{changed:?}");
    assert!(!changed.contains(excluded) && !changed.contains(other), "{changed:?}");
}

#[test]
fn what_cannot_be_beside_deletions_is_refused() {
    let data = repository("testdata/4.1/data");
    let mut command =
        cassport(["extract", "--deletes", "-t", "deletes.mixed", "--output", "-", "--data-dir"]);
    command.arg(&data);
    assert!(stderr(&run(command, 2)).contains("standard output is none"));
    let mut command = cassport([
        "extract",
        "--deletes",
        "--writetime",
        "1000",
        "--output",
        "/tmp/none",
        "--data-dir",
    ]);
    command.arg(&data);
    assert!(stderr(&run(command, 2)).contains("--writetime"));
}
