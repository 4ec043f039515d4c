//! `extract --commitlog-dir`: what was never flushed, on corpora of nodes that were killed (`testdata/*-unflushed`). That all of their
//! rows are Cassandra's is in `corpora.rs`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use cassport::dht::TokenRange;
use cassport::discover::Source;
use cassport::error::ErrorClass;
use cassport::extract::{ExtractOptions, LogDirectory, RangeSum, Replay};
use cassport::output::MetadataMode;
use cassport::progress::Events;

use crate::support::{Json, cassport, extract_options, repository, run, tree};

/// A corpus with a commit log.
struct Corpus {
    path: PathBuf,
    description: Json,
}

impl Corpus {
    fn open(name: &str) -> Self {
        let path = repository("testdata").join(name);
        let text = std::fs::read_to_string(path.join("corpus.json")).unwrap();
        Self { path, description: Json::parse(&text) }
    }

    fn clock(&self) -> String {
        let Some(Json::Number(clock)) = self.description.get("clock") else { panic!("no clock") };
        clock.clone()
    }

    fn tables(&self) -> Vec<String> {
        let text = |table: &Json, name: &str| table.get(name).unwrap().text().to_owned();
        let tables = self.description.get("tables").unwrap().elements().iter();
        tables.map(|t| format!("{}.{}", text(t, "keyspace"), text(t, "table"))).collect()
    }

    fn log(&self) -> PathBuf {
        self.path.join("commitlog")
    }

    /// What `extract` writes of it with these options besides.
    fn extract(&self, options: &[&str], code: i32) -> (tempfile::TempDir, String) {
        let output = tempfile::tempdir().unwrap();
        let clock = self.clock();
        let mut command = cassport(["extract", "--profile", "jsonl", "--now", clock.as_str()]);
        command.arg("--data-dir").arg(self.path.join("data"));
        command.arg("--output").arg(output.path().join("out")).args(options);
        for table in self.tables() {
            command.arg("-t").arg(table);
        }
        let done = run(command, code);
        (output, String::from_utf8_lossy(&done.stderr).into_owned())
    }

    fn options(&self, log: &Path) -> ExtractOptions {
        let now = self.clock().parse().unwrap();
        let mut options = extract_options(&self.path.join("data"), self.tables(), now);
        options.commit_log.directories = vec![LogDirectory { node: None, path: log.to_owned() }];
        options.records.metadata = MetadataMode::Cell;
        options
    }
}

/// Warnings.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Events for Heard {
    fn warning(&self, words: &str) {
        self.0.lock().unwrap().push(words.to_owned());
    }
}

/// Rows and digest over all tables, and what was said of the log.
fn sum(source: &Source, options: &ExtractOptions) -> cassport::Result<(RangeSum, Vec<String>)> {
    let heard = Heard::default();
    let replay = Replay::open(source, options, &heard)?;
    let names: Vec<String> = replay.tables().map(|(name, _)| name.to_owned()).collect();
    let mut sum = RangeSum::default();
    for name in names {
        sum.merge(replay.sum(&name, TokenRange::ALL, &heard, &AtomicI32::new(0))?);
    }
    let words = heard.0.into_inner().unwrap();
    Ok((sum, words.into_iter().filter(|words| words.contains("CommitLog-")).collect()))
}

const CORPORA: [&str; 2] = ["2.2-unflushed", "4.1-unflushed"];

/// Segments that hold anything, by length.
fn segments(corpus: &Corpus) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(corpus.log()).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.metadata().unwrap().len() > 1000);
    found.sort();
    found
}

/// Every segment cut and with flipped bits, at places spread over it: the same rows, or an error, or fewer rows and a word that the
/// log ends in what was being written (a cut where a section ends cannot be told from a log that was never longer).
#[test]
fn no_damage_of_a_commit_log_crashes_or_gives_other_rows_in_silence() {
    for name in CORPORA {
        let corpus = Corpus::open(name);
        let options = corpus.options(&corpus.log());
        let source = Source::open(&options.input, options.now).unwrap();
        let (whole, words) = sum(&source, &options).unwrap();
        assert!(whole.rows > 40 && words.is_empty(), "{words:?}");
        let scratch = tempfile::tempdir().unwrap();
        let options = corpus.options(scratch.path());
        let (mut same, mut refused, mut told, mut shorter) = (0, 0, 0, 0);
        for segment in segments(&corpus) {
            for other in segments(&corpus) {
                std::fs::copy(&other, scratch.path().join(other.file_name().unwrap())).unwrap();
            }
            let path = scratch.path().join(segment.file_name().unwrap());
            let bytes = std::fs::read(&segment).unwrap();
            let mut judge = |what: String, damaged: &[u8], is_cut: bool| {
                std::fs::write(&path, damaged).unwrap();
                match sum(&source, &options) {
                    Ok((sum, _)) if sum == whole => same += 1,
                    Ok((_, words)) if !words.is_empty() => told += 1,
                    Ok(_) if is_cut => shorter += 1,
                    Ok(_) => panic!("{name}: {what}: other rows in silence"),
                    Err(error) => {
                        let class = error.class();
                        let is_clean =
                            matches!(class, ErrorClass::Corrupt | ErrorClass::Unsupported);
                        assert!(is_clean, "{name}: {what}: {class:?}: {error}");
                        let words = error.to_string();
                        assert!(words.contains("CommitLog-"), "{name}: {what}: {words}");
                        refused += 1;
                    }
                }
            };
            let len = bytes.len();
            // The header and the first marker one by one, then with strides that no entry is a multiple of.
            for at in (0..48).chain((48..len).step_by(len / 60 + 1)) {
                judge(format!("cut at {at}"), &bytes[..at], true);
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                judge(format!("bit {} of {at}", at % 8), &flipped, false);
            }
        }
        println!(
            "{name}: {same} the same, {refused} refused, {told} told, {shorter} shorter as cut"
        );
        assert!(refused > 50, "{name}");
        assert!(told > 0, "{name}: the last segment may end in anything");
    }
}

#[test]
fn neither_threads_nor_memory_change_a_byte_of_what_the_log_adds() {
    for name in CORPORA {
        let corpus = Corpus::open(name);
        let log = corpus.log();
        let log = ["--commitlog-dir", log.to_str().unwrap()];
        let with = |options: &[&str]| corpus.extract(&[&log[..], options].concat(), 0).0;
        let rows = |output: &tempfile::TempDir| {
            let files = tree(&output.path().join("out")).into_iter();
            files.filter(|(file, _)| !file.starts_with("_cassport")).collect::<Vec<_>>()
        };
        let first = rows(&with(&["--threads", "1", "--file-size", "20KiB"]));
        let second = rows(&with(&["--threads", "2", "--file-size", "20KiB"]));
        assert!(first == second, "{name}: two threads");
        let spilled = tempfile::tempdir().unwrap();
        let spilled = spilled.path().to_str().unwrap().to_owned();
        let little = ["--memory", "96MiB", "--spill-dir", spilled.as_str()];
        let little = [&little[..], &["--threads", "4", "--file-size", "20KiB"]].concat();
        assert!(first == rows(&with(&little)), "{name}: four threads and little memory");
        let (without, words) = corpus.extract(&[], 0);
        assert!(first != rows(&without), "{name}: the log adds nothing");
        assert!(words.contains("--commitlog-dir"), "{words}");
    }
}

#[test]
fn report_and_manifest_say_how_far_the_log_was_read() {
    let corpus = Corpus::open("4.1-unflushed");
    let log = corpus.log();
    let (output, words) = corpus.extract(&["--commitlog-dir", log.to_str().unwrap()], 0);
    let own = output.path().join("out/_cassport/agents/000");
    let read = |file: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(own.join(file)).unwrap()).unwrap()
    };
    let (manifest, report) = (read("manifest.json"), read("report.json"));
    let logs = &manifest["commitLogs"];
    assert_eq!(logs, &report["commitLogs"]);
    assert_eq!(logs[0]["hostId"], manifest["hostId"]);
    let last = logs[0]["segments"].as_array().unwrap().last().unwrap();
    assert_eq!(logs[0]["readTo"], last["end"]);
    let name = last["name"].as_str().unwrap();
    assert!(name.contains(&last["end"][0].to_string()), "{name}: {last}");
    assert!(logs[0]["updatesTaken"].as_u64().unwrap() > 50, "{logs}");
    assert_eq!(report["balanced"], true);
    assert_eq!(report["notRead"]["unflushedSegments"], 0);
    let told = format!("up to {}:{}", last["end"][0], last["end"][1]);
    assert!(words.contains(&told), "{told} in {words}");
}

#[test]
fn a_log_is_of_a_node_and_not_of_a_snapshot() {
    let corpus = Corpus::open("4.1-unflushed");
    let log = corpus.log();
    let log = log.to_str().unwrap();
    let (_output, words) = corpus.extract(&["--commitlog-dir", log, "--snapshot", "x"], 2);
    assert!(words.contains("not to a snapshot"), "{words}");
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().to_str().unwrap();
    let (_output, words) = corpus.extract(&["--commitlog-dir", nowhere], 3);
    assert!(words.contains("no commit-log segments"), "{words}");
}

/// Two replicas of which one has not flushed: its log is laid over its own SSTables.
#[test]
fn each_node_has_its_own_log() {
    let corpus = Corpus::open("4.1-unflushed");
    let (data, log) = (corpus.path.join("data"), corpus.log());
    let whole = corpus.extract(&["--commitlog-dir", log.to_str().unwrap()], 0).0;
    let scratch = tempfile::tempdir().unwrap();
    let other = scratch.path().join("data");
    crate::support::copy_tree(&data, &other);
    // One node twice would be refused.
    for entry in std::fs::read_dir(other.join("system")).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let extract = |log: &str, code: i32| {
        let output = tempfile::tempdir().unwrap();
        let clock = corpus.clock();
        let mut command = cassport(["extract", "--profile", "jsonl", "--now", clock.as_str()]);
        command.arg("--node").arg(format!("a={}", data.display()));
        command.arg("--node").arg(format!("b={}", other.display()));
        command.args(["--cassandra-version", "4.1.9", "--commitlog-dir", log]);
        command.arg("--output").arg(output.path().join("out"));
        for table in corpus.tables() {
            command.arg("-t").arg(table);
        }
        let done = run(command, code);
        (output, String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let rows = |output: &tempfile::TempDir| {
        let files = tree(&output.path().join("out")).into_iter();
        files.filter(|(file, _)| !file.starts_with("_cassport")).collect::<Vec<_>>()
    };
    let (output, _) = extract(&format!("a={}", log.display()), 0);
    assert!(rows(&output) == rows(&whole));
    let manifest = output.path().join("out/_cassport/agents/000/manifest.json");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    assert_eq!(manifest["commitLogs"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["commitLogs"][0]["node"], "a");
    let (_output, words) = extract(log.to_str().unwrap(), 2);
    assert!(words.contains("of which node is it?"), "{words}");
    let (_output, words) = extract(&format!("b={}", log.display()), 0);
    assert!(words.contains("TRUNCATE"), "what b says of truncations is not known: {words}");
}

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_be_bytes()
}

/// Writes a segment of version 7 for `big.t (k blob PRIMARY KEY, v blob)`: mutations of one row with a value of 1000 bytes each.
fn write_segment(directory: &Path, number: i64, mutations: u32) {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    let swapped = [e, f, g, h, a, b, c, d];
    let mut out = 7_u32.to_be_bytes().to_vec();
    out.extend(number.to_be_bytes());
    out.extend([0, 2, b'{', b'}']);
    out.extend(crc(&[&[0, 0, 0, 7], &swapped, &[0, 0, 0, 2], b"{}"]));
    let marker = out.len();
    out.extend([0; 8]);
    for i in 0..mutations {
        let key = (u64::from(i) % 9000).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let time = u8::try_from(number % 60).unwrap();
        let mut payload = vec![1];
        payload.extend(0x1000_0000_0000_1000_8000_0000_0000_0077_u128.to_be_bytes());
        payload.push(8);
        payload.extend(key);
        // Row estimate, least times, one column "v", one row with a marker and all columns, a value of 1000 bytes.
        payload.extend([0x10, time, 0, 0, 1, 1, b'v', 1, 0x24, 0, 8, 0x83, 0xe8]);
        payload.extend([i.to_be_bytes()[3] ^ time; 1000]);
        payload.push(1);
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        out.extend(len);
        out.extend(crc(&[&len]));
        out.extend(&payload);
        out.extend(crc(&[&len, &payload]));
    }
    let end = u32::try_from(out.len()).unwrap().to_be_bytes();
    let place = u32::try_from(marker).unwrap().to_be_bytes();
    out[marker..marker + 4].copy_from_slice(&end);
    out[marker + 4..marker + 8].copy_from_slice(&crc(&[&swapped, &place]));
    out.extend([0; 4096]);
    std::fs::write(directory.join(format!("CommitLog-7-{number}.log")), out).unwrap();
}

/// Runs a command; the most memory that it had, KiB.
fn run_measured(mut command: std::process::Command) -> u64 {
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return most;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_log_much_larger_than_the_memory_goes_through_files_and_gives_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, log, spill) = (
        scratch.path().join("node/data"),
        scratch.path().join("log"),
        scratch.path().join("spill"),
    );
    crate::support::small_data(&data);
    for directory in [&log, &spill] {
        std::fs::create_dir(directory).unwrap();
    }
    for number in 1..=5 {
        write_segment(&log, number, 12_000);
    }
    let schema = scratch.path().join("schema.cql");
    std::fs::write(
        &schema,
        "CREATE KEYSPACE big WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n\
         CREATE TABLE big.t (k blob PRIMARY KEY, v blob) WITH ID = 10000000-0000-1000-8000-000000000077;\n",
    )
    .unwrap();
    let extract = |memory: &str, threads: &str| {
        let output = scratch.path().join(format!("{memory}-{threads}"));
        let mut command = cassport(["extract", "--profile", "jsonl", "--now", "1800000000"]);
        command.args(["-t", "big.t", "--file-size", "4MiB", "--metadata", "cell"]);
        command.args(["--memory", memory, "--threads", threads]);
        command.arg("--schema").arg(&schema).arg("--data-dir").arg(&data);
        command.arg("--commitlog-dir").arg(&log).arg("--spill-dir").arg(&spill);
        command.arg("--output").arg(&output);
        let kib = run_measured(command);
        let report = std::fs::read(output.join("_cassport/agents/000/report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["total"]["recordsEmitted"], 9000, "{report}");
        assert_eq!(report["balanced"], true);
        let spilled = report["commitLogs"][0]["bytesSpilled"].as_u64().unwrap_or(0);
        println!("{memory}, {threads} threads: {} MiB at most, {spilled} bytes spilled", kib >> 10);
        let files = tree(&output.join("big/t"));
        assert!(files.len() > 2, "the log alone cuts the table: {:?}", files.keys());
        (files, spilled, kib)
    };
    let (whole, none_spilled, _) = extract("2GiB", "1");
    assert_eq!(none_spilled, 0);
    for threads in ["1", "2", "4"] {
        let (files, spilled, kib) = extract("96MiB", threads);
        assert!(files == whole, "{threads} threads");
        assert!(spilled > 40 << 20, "{spilled}");
        assert!(kib < 160 << 10, "{kib} KiB");
        assert_eq!(std::fs::read_dir(&spill).unwrap().count(), 0);
    }
}
