//! `tail` over what real nodes wrote: `testdata/<line>-cdc` has a data directory, the segments beside it, and what Cassandra
//! answered at the end (`testdata/gen/changes.py --corpus`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::corpora::{Tally, answer, compare_rows, extracted, lines, same};
use crate::dms_contract::{check_change_times, check_changed_output, check_import};
use crate::support::{Json, cassport, copy_tree, on_a_small_disk, repository, run, stderr, tree};

/// 3.11 has whole segments in `cdc_raw`, and a commit log beside it; 4.1 has segments with their indexes.
const CORPORA: [&str; 2] = ["3.11-cdc", "4.1-cdc"];
const PATIENCE: Duration = Duration::from_secs(120);

/// A copy of a corpus, and what is made of it.
struct Place {
    corpus: PathBuf,
    directory: tempfile::TempDir,
}

impl Place {
    fn new(corpus: &str) -> Self {
        let place = Self {
            corpus: repository("testdata").join(corpus),
            directory: tempfile::tempdir().unwrap(),
        };
        for name in ["data", "cdc_raw", "commitlog"] {
            if place.corpus.join(name).exists() {
                copy_tree(&place.corpus.join(name), &place.path(name));
            }
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn description(&self) -> Json {
        Json::parse(&std::fs::read_to_string(self.corpus.join("corpus.json")).unwrap())
    }

    fn clock(&self) -> String {
        match self.description().get("clock") {
            Some(Json::Number(clock)) => clock.clone(),
            other => panic!("no clock: {other:?}"),
        }
    }

    /// `tail --once` into `output`, with a state of its own; what is shipped is deleted.
    fn tail(&self, output: &str) -> Command {
        self.tail_once(output, "delete")
    }

    /// The same, which leaves the segments for others.
    fn tail_keeping(&self, output: &str) -> Command {
        self.tail_once(output, "keep")
    }

    fn tail_once(&self, output: &str, shipped: &str) -> Command {
        let mut command = cassport(["tail", "--once", "--shipped", shipped]);
        command.arg("--data-dir").arg(self.path("data"));
        command.arg("--cdc-raw").arg(self.path("cdc_raw"));
        if self.path("commitlog").exists() {
            command.arg("--commitlog-dir").arg(self.path("commitlog"));
        }
        command.arg("--output").arg(self.path(output));
        command.arg("--state-dir").arg(self.path(&format!("{output}-state")));
        command
    }

    /// The lines of all change records, in the order of their objects.
    fn records(&self, output: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, bytes) in tree(&self.path(output).join("_cassport/changes")) {
            if name.ends_with(".jsonl.zst") {
                let text = String::from_utf8(zstd::decode_all(&*bytes).unwrap()).unwrap();
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines
    }

    /// The changes among them, without their numbers in their mutation, sorted: definitions and stored rows that come before
    /// them are shipped again by a run that takes over, and are counted too.
    fn changes(&self, output: &str) -> Vec<String> {
        let mut changes: Vec<String> = self
            .records(output)
            .into_iter()
            .filter(|line| {
                !line.contains("\"base\":true") && !line.starts_with("{\"op\":\"schema\"")
            })
            .map(|line| line[..line.rfind(",\"index\":").unwrap()].to_owned())
            .collect();
        changes.sort();
        changes
    }
}

/// A row with every column of the answer: one from before a column was added has nothing of it.
fn whole(table: &Json, row: &Json) -> Json {
    let mut members = row.members().to_vec();
    for (column, _) in table.get("columns").unwrap().members() {
        for name in [column.clone(), format!("writetime({column})"), format!("ttl({column})")] {
            if row.get(&name).is_none() {
                members.push((name, Json::Null));
            }
        }
    }
    Json::Object(members)
}

/// The rows in the order of the answer; those that it has not come last.
fn in_order(table: &Json, expected: &[Json], rows: impl Iterator<Item = Json>) -> Vec<Json> {
    let keys = table.get("keys").unwrap().elements();
    let types = table.get("columns").unwrap();
    let is = |a: &Json, b: &Json| {
        keys.iter().all(|key| {
            let key = key.text();
            same(types.get(key).unwrap().text(), a.get(key).unwrap(), b.get(key).unwrap())
        })
    };
    let place = |row: &Json| {
        expected.iter().position(|line| is(line.get("row").unwrap(), row)).unwrap_or(usize::MAX)
    };
    let mut rows: Vec<Json> = rows.collect();
    rows.sort_by_key(place);
    rows
}

#[test]
fn changes_over_an_extract_are_what_cassandra_would_answer() {
    for corpus in CORPORA {
        let place = Place::new(corpus);
        let description = place.description();
        let tables = description.get("tables").unwrap().elements();
        let clock = place.clock();
        let mut extract = cassport(["extract", "--profile", "jsonl", "--metadata", "cell"]);
        extract.args(["--now", &clock]).arg("--data-dir").arg(place.path("data"));
        extract.arg("--output").arg(place.path("out"));
        let mut sequence = cassport(["sequence", "--once", "--now", &clock]);
        sequence.arg("--output").arg(place.path("out"));
        sequence.arg("--state-dir").arg(place.path("sequence"));
        run(extract, 0);
        let said = stderr(&run(place.tail("out"), 0));
        assert!(said.contains("segments shipped to their end"), "{said}");
        run(sequence, 0);
        let mut changed: BTreeMap<(String, String), BTreeMap<String, Json>> = BTreeMap::new();
        for table in tables {
            let name = |what: &str| table.get(what).unwrap().text().to_owned();
            let rows = changed.entry((name("keyspace"), name("table"))).or_default();
            for row in extracted(&place.path("out"), table) {
                let keys = table.get("keys").unwrap().elements().iter();
                let key = keys.map(|k| (k.text().to_owned(), row.get(k.text()).unwrap().clone()));
                rows.insert(format!("{:?}", Json::Object(key.collect())), row);
            }
        }
        for (_, bytes) in tree(&place.path("out").join("cdc-changes")) {
            for line in lines(std::str::from_utf8(&bytes).unwrap()) {
                let text = |what: &str| line.get(what).unwrap().text().to_owned();
                let rows = changed.entry((text("keyspace"), text("table"))).or_default();
                let key = format!("{:?}", line.get("key").unwrap());
                match text("op").as_str() {
                    "delete" => rows.remove(&key),
                    _ => rows.insert(key, line.get("row").unwrap().clone()),
                };
            }
        }
        let mut tally = Tally::default();
        for table in tables {
            let name = |what: &str| table.get(what).unwrap().text().to_owned();
            let rows = changed.remove(&(name("keyspace"), name("table"))).unwrap_or_default();
            let expected = answer(&place.corpus, table);
            let got = in_order(table, &expected, rows.into_values().map(|row| whole(table, &row)));
            compare_rows(table, &expected, &got, &mut tally);
        }
        println!("{corpus}: {} rows, {} cells compared", tally.rows, tally.cells);
        assert!(tally.rows > 20, "{corpus} has hardly anything to compare");
        let different = tally.different.join("\n");
        assert!(tally.different.is_empty(), "{corpus}: {different}");
        // What is shipped is gone from cdc_raw, as was told; the commit log itself is Cassandra's.
        let left = |name: &str| tree(&place.path(name)).len();
        assert_eq!(left("cdc_raw"), 0);
        let there = place.corpus.join("commitlog");
        assert!(!there.exists() || left("commitlog") == tree(&there).len());
    }
}

impl Place {
    /// An extract for `profile`, and over it what the sequencer makes of the changes; names of the tables that it stopped.
    fn change_files(&self, output: &str, profile: &str, more: &[&str]) -> Vec<String> {
        let clock = self.clock();
        let mut extract = cassport(["extract", "-q", "--profile", profile, "--now", &clock]);
        extract.args(more).arg("--data-dir").arg(self.path("data"));
        extract.arg("--output").arg(self.path(output));
        let code = extract.output().unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
        run(self.tail_keeping(output), 0);
        let mut sequence =
            cassport(["sequence", "--once", "--now", &clock, "--flush-size", "2KiB"]);
        sequence.arg("--output").arg(self.path(output));
        sequence.arg("--state-dir").arg(self.path(&format!("{output}-sequence")));
        let done = sequence.output().unwrap();
        let said = stderr(&done);
        assert!(matches!(done.status.code(), Some(0 | 1)), "{said}");
        let stopped = said.lines().filter_map(|line| line.trim().split_once(" is stopped:"));
        stopped.map(|(table, _)| table.to_owned()).collect()
    }

    /// The same tables at their end, as an extract with the commit log laid over the SSTables has them.
    fn end(&self, output: &str, profile: &str, more: &[&str]) {
        let mut extract = cassport(["extract", "-q", "--profile", profile, "--now", &self.clock()]);
        extract.args(more).arg("--data-dir").arg(self.path("data"));
        extract.arg("--commitlog-dir").arg(self.path("cdc_raw"));
        extract.arg("--output").arg(self.path(output));
        let code = extract.output().unwrap().status.code();
        assert!(matches!(code, Some(0 | 1)), "{code:?}");
    }
}

#[test]
fn change_files_keep_the_contract_of_dms_and_lead_to_the_rows_of_the_end() {
    let place = Place::new("4.1-cdc");
    let stopped = place.change_files("out", "dms", &[]);
    place.end("end", "dms", &[]);
    let files = tree(&place.path("out").join("cdc-changes"));
    assert!(files.len() > 3, "{:?}", files.keys());
    let mut found = check_changed_output(&place.path("out"), Some(&place.path("end")));
    // The least double is none of DynamoDB's numbers, which DMS says of the row.
    found.retain(|v| !(v.rule == 19 && v.what.ends_with("is no number of DynamoDB")));
    found.retain(|v| v.rule != 22 || !stopped.iter().any(|table| v.what.starts_with(table)));
    assert!(found.is_empty(), "{found:#?}");
    assert!(stopped.len() < 3, "{stopped:?}");
}

#[test]
fn change_files_of_a_datalake_say_times_that_do_not_go_back() {
    for corpus in CORPORA {
        let place = Place::new(corpus);
        place.change_files("out", "datalake", &[]);
        let found = check_change_times(&place.path("out"));
        assert!(found.is_empty(), "{corpus}: {found:#?}");
    }
}

/// Items of a table by their key.
fn items(
    files: &BTreeMap<String, Vec<u8>>,
    folder: &str,
    keys: &[String],
) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for (_, bytes) in files.iter().filter(|(name, _)| name.starts_with(folder)) {
        for line in std::str::from_utf8(bytes).unwrap().split_terminator('\n') {
            let item: serde_json::Value = serde_json::from_str(line).unwrap();
            items.insert(item_key(&item["Item"], keys), item["Item"].to_string());
        }
    }
    items
}

fn item_key(item: &serde_json::Value, keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key}={};", item[key])).collect()
}

#[test]
fn write_requests_lead_from_the_items_of_the_extract_to_those_of_the_end() {
    for (shape, keys) in [("native", "auto"), ("dms", "auto"), ("native", "composite")] {
        let place = Place::new("4.1-cdc");
        let more = ["--ddb-shape", shape, "--ddb-keys", keys];
        let stopped = place.change_files("out", "ddb-json", &more);
        place.end("end", "ddb-json", &more);
        let found = check_import(&place.path("out"));
        assert!(found.is_empty(), "{shape}: {found:#?}");
        let (files, end) = (tree(&place.path("out")), tree(&place.path("end")));
        let mut compared = 0;
        for (name, bytes) in files.iter().filter(|(name, _)| name.ends_with(".import-table.json")) {
            let request: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let creation = &request["TableCreationParameters"];
            let schema = creation["KeySchema"].as_array().unwrap().iter();
            let keys: Vec<String> =
                schema.map(|key| key["AttributeName"].as_str().unwrap().to_owned()).collect();
            let folder = request["S3BucketSource"]["S3KeyPrefix"].as_str().unwrap();
            let table = creation["TableName"].as_str().unwrap();
            if stopped.iter().any(|name| name == table) {
                continue;
            }
            let mut rows = items(&files, folder, &keys);
            for (_, bytes) in files.iter().filter(|(name, _)| name.starts_with("cdc-changes/")) {
                for line in std::str::from_utf8(bytes).unwrap().split_terminator('\n') {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    let (put, delete) = (&line["Put"], &line["Delete"]);
                    if put["TableName"] == table {
                        rows.insert(item_key(&put["Item"], &keys), put["Item"].to_string());
                        compared += 1;
                    } else if delete["TableName"] == table {
                        rows.remove(&item_key(&delete["Key"], &keys));
                    }
                }
            }
            assert_eq!(rows, items(&end, folder, &keys), "{shape}: {name}");
        }
        assert!(compared > 20, "{shape}: {compared} puts");
    }
}

#[test]
fn the_log_of_a_stopped_node_has_a_beginning_that_a_seal_can_prove() {
    let place = Place::new("4.1-cdc");
    run(place.tail("out"), 0);
    let mut extract = cassport(["extract", "--profile", "jsonl", "--now", &place.clock()]);
    extract.arg("--data-dir").arg(place.path("data")).arg("--output").arg(place.path("out"));
    run(extract, 0);
    let complete = std::fs::read_to_string(place.path("out/_cassport/complete.json")).unwrap();
    assert!(complete.contains("\"proof\": \"positions\""), "{complete}");
}

#[test]
fn killed_at_any_instant_and_started_again_nothing_is_lost_and_nothing_comes_twice() {
    for corpus in CORPORA {
        let place = Place::new(corpus);
        let start = Instant::now();
        run(place.tail_keeping("one"), 0);
        let took = start.elapsed();
        let expected = place.changes("one");
        assert!(expected.len() > 50, "{} changes", expected.len());
        const KILLS: u32 = 12;
        for i in 0..KILLS {
            let mut command = place.tail("killed");
            command.args(["--flush-size", "1KiB"]).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(took * i / (KILLS - 2));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        run(place.tail("killed"), 0);
        let found = place.changes("killed");
        for (i, (a, b)) in expected.iter().zip(&found).enumerate() {
            assert_eq!(a, b, "{corpus}: record {i} of {} and {}", expected.len(), found.len());
        }
        assert_eq!(expected.len(), found.len(), "{corpus}");
    }
}

#[test]
fn every_segment_says_by_itself_how_its_records_are_read() {
    for corpus in CORPORA {
        let place = Place::new(corpus);
        run(place.tail("out"), 0);
        let mut told: BTreeMap<(String, String), bool> = BTreeMap::new();
        for line in place.records("out") {
            let record = Json::parse(&line);
            let segment = format!("{:?}", record.get("position").unwrap().get("segment"));
            let table = record.get("tableId").unwrap().text().to_owned();
            let is_schema = record.get("op").unwrap().text() == "schema";
            let known = told.entry((segment, table)).or_default();
            *known |= is_schema;
            assert!(*known, "{corpus}: nothing is told of its table before {line}");
        }
        assert!(told.len() > 1, "{told:?}");
    }
}

#[test]
fn mutations_of_tables_that_the_schema_does_not_have_wait_for_it() {
    let place = Place::new("4.1-cdc");
    run(place.tail_keeping("one"), 0);
    let schema = place.path("other.cql");
    std::fs::write(
        &schema,
        "CREATE KEYSPACE ks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n\
         CREATE TABLE ks.t (k int PRIMARY KEY);\n",
    )
    .unwrap();
    let mut command = place.tail("held");
    command.arg("--schema").arg(&schema);
    let said = stderr(&run(command, 1));
    assert!(said.contains("is held: table id"), "{said}");
    assert!(said.contains("until they can be decoded"), "{said}");
    assert!(place.changes("held").is_empty());
    // What they came from stays until they are shipped.
    assert!(!tree(&place.path("cdc_raw")).is_empty());
    run(place.tail("held"), 0);
    assert_eq!(place.changes("one"), place.changes("held"));
}

#[test]
fn segments_of_another_cluster_ship_nothing_and_are_not_deleted() {
    let place = Place::new("4.1-cdc");
    let before = tree(&place.path("cdc_raw"));
    let mut command = place.tail("out");
    let other = Place::new("3.11-cdc");
    command.args(["--data-dir"]).arg(other.path("data"));
    // Two nodes given as one.
    let said = stderr(&run(command, 2));
    assert!(said.contains("are of different nodes"), "{said}");
    let mut command = cassport(["tail", "--once", "--shipped", "delete", "--data-dir"]);
    command.arg(other.path("data")).arg("--cdc-raw").arg(place.path("cdc_raw"));
    command.arg("--output").arg(place.path("out")).arg("--state-dir").arg(place.path("state"));
    let said = stderr(&run(command, 1));
    assert!(said.contains("is held: table id"), "{said}");
    assert!(place.records("out").is_empty());
    let kept = |name: &str, bytes: &Vec<u8>| tree(&place.path("cdc_raw")).get(name) == Some(bytes);
    let held: Vec<_> = tree(&place.path("state/held")).into_keys().collect();
    for name in held {
        let segment = name.split('-').next().unwrap().to_owned();
        let (log, bytes) =
            before.iter().find(|(n, _)| n.ends_with(&format!("{segment}.log"))).unwrap();
        assert!(kept(log, bytes), "{log} is gone, and {name} is held");
    }
}

#[test]
fn on_a_full_disk_it_ends_with_4_and_goes_on_when_there_is_room() {
    for corpus in CORPORA {
        let place = Place::new(corpus);
        run(place.tail_keeping("one"), 0);
        let expected = place.changes("one");
        let (disk, copy) = (place.path("disk"), place.path("copy"));
        let command = |keep: bool| {
            let mut command = cassport(["tail", "--once", "--flush-size", "1KiB", "--data-dir"]);
            command.arg(place.path("data")).arg("--cdc-raw").arg(place.path("cdc_raw"));
            if place.path("commitlog").exists() {
                command.arg("--commitlog-dir").arg(place.path("commitlog"));
            }
            command.args(["--shipped", if keep { "keep" } else { "delete" }]);
            command
                .arg("--output")
                .arg(disk.join("out"))
                .arg("--state-dir")
                .arg(disk.join("state"));
            command
        };
        for kilobytes in [24, 40, 64] {
            let Some(done) = on_a_small_disk(&command(true), &disk, kilobytes, &copy) else {
                return;
            };
            let said = stderr(&done);
            assert_eq!(done.status.code(), Some(4), "{kilobytes} kB: {said}");
            assert!(said.contains("No space left on device"), "{said}");
        }
        let Some(done) = on_a_small_disk(&command(false), &disk, 64 << 10, &copy) else { return };
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        std::fs::rename(copy.join("out"), place.path("full")).unwrap();
        assert_eq!(expected, place.changes("full"), "{corpus}");
        assert_eq!(tree(&place.path("cdc_raw")).len(), 0);
    }
}

#[test]
fn a_signal_ends_it_in_order() {
    let place = Place::new("4.1-cdc");
    let mut command = cassport(["tail", "--shipped", "delete", "--data-dir"]);
    command.arg(place.path("data")).arg("--cdc-raw").arg(place.path("cdc_raw"));
    command.arg("--output").arg(place.path("out")).arg("--state-dir").arg(place.path("state"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while let left = names(&place.path("cdc_raw"))
        && !left.is_empty()
    {
        assert!(start.elapsed() < PATIENCE, "{left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let marks = tree(&place.path("out").join("_cassport/changes"));
    assert!(marks.keys().any(|name| name.ends_with("watermark.json")), "{:?}", marks.keys());
}

/// The files of a directory from which somebody else takes them meanwhile.
fn names(directory: &std::path::Path) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_segment_with_half_a_header_is_waited_for() {
    let place = Place::new("4.1-cdc");
    run(place.tail_keeping("one"), 0);
    let log = std::fs::read_dir(place.path("cdc_raw"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .min()
        .unwrap();
    let whole = std::fs::read(&log).unwrap();
    // Its checksum is written last.
    let mut half = whole.clone();
    half[16..].fill(0);
    std::fs::write(&log, &half).unwrap();
    let said = stderr(&run(place.tail("once"), 1));
    assert!(said.contains("half written or damaged"), "{said}");
    let mut place = place;
    place.directory = tempfile::tempdir().unwrap();
    for name in ["data", "cdc_raw"] {
        copy_tree(&place.corpus.join(name), &place.path(name));
    }
    let log = place.path("cdc_raw").join(log.file_name().unwrap());
    std::fs::write(&log, &half).unwrap();
    let mut command = cassport(["tail", "--shipped", "delete", "--data-dir"]);
    command.arg(place.path("data")).arg("--cdc-raw").arg(place.path("cdc_raw"));
    command.arg("--output").arg(place.path("out")).arg("--state-dir").arg(place.path("out-state"));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    std::fs::write(&log, &whole).unwrap();
    let start = Instant::now();
    while let left = names(&place.path("cdc_raw"))
        && !left.is_empty()
    {
        assert!(start.elapsed() < PATIENCE, "{left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_segment_on_its_way_to_cdc_raw_is_not_lost_and_one_that_vanished_is_noted() {
    let place = Place::new("3.11-cdc");
    run(place.tail("expected"), 0);
    let expected = place.changes("expected");

    let place = Place::new("3.11-cdc");
    let (name, bytes) = tree(&place.path("cdc_raw")).into_iter().next_back().unwrap();
    let (raw, live) = (place.path("cdc_raw").join(&name), place.path("commitlog").join(&name));
    std::fs::rename(&raw, &live).unwrap();
    run(place.tail("out"), 0);
    // Neither here nor there, as between two listings.
    std::fs::remove_file(&live).unwrap();
    let done = run(place.tail("out"), 0);
    assert!(!stderr(&done).contains("lost"), "{}", stderr(&done));
    std::fs::write(&raw, bytes).unwrap();
    run(place.tail("out"), 0);
    assert!(!raw.exists(), "shipped to its end, and deleted as told");
    assert_eq!(place.changes("out"), expected);

    // Without cdc_raw nothing comes back.
    let place = Place::new("3.11-cdc");
    let alone = || {
        let mut command = cassport(["tail", "--once"]);
        command.arg("--data-dir").arg(place.path("data"));
        command.arg("--commitlog-dir").arg(place.path("commitlog"));
        command.arg("--output").arg(place.path("alone"));
        command.arg("--state-dir").arg(place.path("alone-state"));
        command
    };
    copy_tree(&place.path("cdc_raw"), &place.path("commitlog"));
    run(alone(), 0);
    std::fs::remove_file(place.path("commitlog").join(&name)).unwrap();
    let done = run(alone(), 1);
    assert!(stderr(&done).contains("vanished before it was read to its end"), "{}", stderr(&done));
    let notes = tree(&place.path("alone/_cassport/changes"));
    assert_eq!(notes.iter().filter(|(name, _)| name.contains("/lost/")).count(), 1);
}
