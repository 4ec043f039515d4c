//! No input crashes it: every prefix and every single-bit flip of a small SSTable set, all components, gives the right rows
//! or a clean error that names the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use cassport::dht::{Token, TokenRange};
use cassport::discover::{InputOptions, Source};
use cassport::extract::{ExtractOptions, OnCorrupt, run};
use cassport::io::ReadMode;
use cassport::merge::{PartitionMerge, RowSink, TieBreak};
use cassport::output::{FormatOptions, MetadataMode, Profile, RecordFormat, RecordWriter};
use cassport::progress::NoEvents;
use cassport::rows::RowView;
use cassport::schema::TableMetadata;
use cassport::sstable::{Descriptor, LargeRows, SstableReader, SstableScanner, WorkerRows};
use cassport::{Error, ErrorClass};

use crate::support::{
    BTI_LINE, cassport as program, copy_tree, repository, run as run_program, tree,
};

const NOW: i64 = 1_795_279_700;

/// Collects records as JSON lines.
struct Lines {
    writer: RecordWriter,
    has_static: bool,
    rows: usize,
}

impl RowSink for Lines {
    fn partition(&mut self, key: &[u8], _token: Token) -> cassport::Result<()> {
        self.rows = 0;
        self.writer.start_partition(key).map_err(|r| Error::usage(r.to_string()))
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> cassport::Result<()> {
        self.has_static = row.is_some();
        self.writer.set_static(row);
        Ok(())
    }

    fn row(&mut self, row: RowView<'_>) -> cassport::Result<()> {
        self.rows += 1;
        self.writer.write_row(row).map(|_| ()).map_err(|r| Error::usage(r.to_string()))
    }

    fn end_partition(&mut self) -> cassport::Result<()> {
        if self.rows == 0 && self.has_static {
            self.writer.write_static_only().map_err(|r| Error::usage(r.to_string()))?;
        }
        Ok(())
    }
}

/// The records of one table directory, read through the library.
fn records(table: &TableMetadata, directory: &Path, mode: ReadMode) -> cassport::Result<Vec<u8>> {
    let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(8 << 20))));
    let mut scanners = Vec::new();
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.to_string_lossy().ends_with("Data.db")) {
        let Ok(Some((descriptor, _))) = Descriptor::parse(path) else { continue };
        let reader = Arc::new(SstableReader::open(&descriptor, table, mode)?);
        scanners.push(SstableScanner::new(reader, TokenRange::ALL, Arc::clone(&rows), false)?);
    }
    let mut options = FormatOptions::new(Profile::Jsonl, NOW);
    options.metadata = MetadataMode::Cell;
    let writer = RecordWriter::new(Arc::new(RecordFormat::new(table, &options)?));
    let mut sink = Lines { writer, has_static: false, rows: 0 };
    let mut merge = PartitionMerge::new(table, TieBreak::From40, NOW, false, scanners);
    while merge.step(&mut sink)? {}
    Ok(sink.writer.take())
}

/// A copy of one table of a corpus, with its definition.
fn small_table(line: &str, keyspace: &str, name: &str, scratch: &Path) -> (TableMetadata, PathBuf) {
    let options = InputOptions {
        data_dirs: vec![repository("testdata").join(line).join("data")],
        ..InputOptions::default()
    };
    let source = Source::open(&options, NOW).unwrap();
    let table = source.schema.table(keyspace, name).unwrap().clone();
    let dirs = source
        .dirs
        .tables
        .iter()
        .find(|t| t.keyspace == keyspace && t.table == name && t.id == table.id)
        .unwrap();
    let copy = scratch.join("table");
    copy_tree(&dirs.directories[0], &copy);
    (table, copy)
}

/// True if a text has the name of a file of an SSTable, of 2.1 or later.
fn names_file(text: &str) -> bool {
    text.contains("-big-") || text.contains("-ka-") || text.contains("-bti-")
}

/// Right rows or a clean error; what it was, for the count.
fn judge(what: &str, got: cassport::Result<Vec<u8>>, expected: &[u8]) -> bool {
    match got {
        Ok(rows) => {
            assert!(rows == expected, "{what}: other rows and no error");
            true
        }
        Err(error) => {
            let class = error.class();
            let clean = matches!(
                class,
                ErrorClass::Corrupt
                    | ErrorClass::Unsupported
                    | ErrorClass::Missing
                    | ErrorClass::Input
            );
            assert!(clean, "{what}: {class:?}: {error}");
            assert!(names_file(&error.to_string()), "{what}: the error names no file: {error}");
            false
        }
    }
}

fn damage_every_component(line: &str, keyspace: &str, name: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let (table, directory) = small_table(line, keyspace, name, scratch.path());
    let expected = records(&table, &directory, ReadMode::Read).unwrap();
    assert!(expected.len() > 100);
    let (mut right, mut refused) = (0_u64, 0_u64);
    for (file, bytes) in tree(&directory) {
        if file.contains('/') || !names_file(&file) {
            continue;
        }
        let path = directory.join(&file);
        // The statistics of an empty histogram fill thousands of bytes that are all alike; all else is tried in full.
        let step = if bytes.len() > 2000 { 11 } else { 1 };
        let unchecked = file.ends_with("Statistics.db")
            && (file.starts_with(['m', 'l']) || file.contains("-ka-"));
        for len in (0..bytes.len()).step_by(step) {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let what = format!("{file} cut to {len} bytes");
            if judge(&what, records(&table, &directory, ReadMode::Read), &expected) {
                right += 1
            } else {
                refused += 1
            }
        }
        for bit in (0..bytes.len() * 8).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            let what = format!("{file} with bit {bit} flipped");
            let got = records(&table, &directory, ReadMode::Read);
            // Statistics.db has no checksum before 4.0: a flipped base of the times cannot be told from a right one, nor the
            // name of another partitioner.
            let got = match got {
                Ok(_) if unchecked => Ok(expected.clone()),
                // A type that was flipped into another: the value is refused by the record, not by the file.
                Err(error) if unchecked && error.class() == ErrorClass::Usage => {
                    Ok(expected.clone())
                }
                other => other,
            };
            if judge(&what, got, &expected) { right += 1 } else { refused += 1 }
        }
        std::fs::write(&path, &bytes).unwrap();
    }
    println!("{line} {keyspace}.{name}: {right} right, {refused} refused");
    assert!(right > 100 && refused > 100);
}

#[test]
fn no_damage_of_an_nb_sstable_crashes_or_gives_other_rows() {
    damage_every_component("4.1", "shop", "customers");
}

#[test]
fn no_damage_of_an_oa_sstable_crashes_or_gives_other_rows() {
    damage_every_component("5.0", "shop", "customers");
}

#[test]
fn no_damage_of_a_da_sstable_crashes_or_gives_other_rows() {
    damage_every_component(BTI_LINE, "shop", "orders");
}

#[test]
fn no_damage_of_a_ka_sstable_crashes_or_gives_other_rows() {
    damage_every_component("2.1", "shop", "orders");
}

#[test]
fn no_damage_of_an_la_sstable_crashes_or_gives_other_rows() {
    damage_every_component("2.2", "storage", "plain");
}

#[test]
fn no_damage_of_an_me_sstable_crashes() {
    damage_every_component("3.11", "shop", "customers");
}

fn extract_options(data: &Path, on_corrupt: OnCorrupt) -> ExtractOptions {
    let options = crate::support::extract_options(data, vec!["storage.lz4".into()], NOW);
    ExtractOptions { memory: 64 << 20, file_size: 200, on_corrupt, ..options }
}

/// A data root with one table, its schema and its node; the root and the table's folder.
fn small_data(scratch: &Path) -> (PathBuf, PathBuf) {
    let root = scratch.join("data");
    let table = crate::support::small_data(&root);
    (root, table)
}

#[test]
fn an_index_that_leads_astray_loses_no_partition_in_silence() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, table) = small_data(scratch.path());
    let options = extract_options(&data, OnCorrupt::Fail);
    let cancel = Arc::new(AtomicI32::new(0));
    let records = |options: &ExtractOptions| {
        run(options, &NoEvents, &cancel).map(|o| o.report.total.records_emitted)
    };
    let expected = records(&options).unwrap();
    assert!(expected > 20, "{expected}");
    let index: Vec<PathBuf> = std::fs::read_dir(&table)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| ["Index.db", "Summary.db"].iter().any(|n| p.to_string_lossy().ends_with(n)))
        .collect();
    for path in index {
        let bytes = std::fs::read(&path).unwrap();
        for bit in (0..bytes.len() * 8).step_by(13) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            match records(&options) {
                Ok(found) => assert_eq!(found, expected, "{} bit {bit}", path.display()),
                Err(error) => assert_eq!(
                    error.class(),
                    ErrorClass::Corrupt,
                    "{} bit {bit}: {error}",
                    path.display()
                ),
            }
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(records(&options).unwrap(), expected, "without {}", path.display());
        std::fs::write(&path, &bytes).unwrap();
    }
}

#[test]
fn what_is_not_needed_may_be_missing_and_what_is_needed_is_said() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, table) = small_data(scratch.path());
    let cancel = Arc::new(AtomicI32::new(0));
    let options = extract_options(&data, OnCorrupt::Fail);
    let expected = run(&options, &NoEvents, &cancel).unwrap().report.total.records_emitted;
    for (path, bytes) in tree(&table) {
        let file = table.join(&path);
        let needed = ["Statistics.db", "CompressionInfo.db"].iter().any(|n| path.ends_with(n));
        if path.ends_with("Data.db") {
            continue;
        }
        std::fs::remove_file(&file).unwrap();
        match run(&options, &NoEvents, &cancel) {
            Ok(outcome) if !needed => {
                assert_eq!(outcome.report.total.records_emitted, expected, "without {path}")
            }
            Err(error) if needed => {
                assert!(error.to_string().contains(&path), "{path}: {error}");
                assert!(error.hint().is_some(), "{path}");
            }
            Ok(_) => panic!("{path} is needed and was not missed"),
            Err(error) => panic!("{path} is not needed: {error}"),
        }
        std::fs::write(&file, bytes).unwrap();
    }
}

#[test]
fn on_corrupt_skip_saves_what_is_healthy_and_lists_what_is_lost() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, table) = small_data(scratch.path());
    let output = scratch.path().join("out");
    let extract = |more: &[&str], code| {
        let mut command =
            program(["extract", "-t", "storage.lz4", "--profile", "jsonl", "--now", "1795279700"]);
        command.arg("--data-dir").arg(&data).arg("--output").arg(&output).args(more);
        run_program(command, code)
    };
    extract(&[], 0);
    let whole = all_lines(&output);
    let victim = tree(&table).keys().find(|name| name.ends_with("Data.db")).unwrap().clone();
    let mut bytes = std::fs::read(table.join(&victim)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(table.join(&victim), bytes).unwrap();
    let words = String::from_utf8_lossy(&extract(&["--overwrite"], 3).stderr).into_owned();
    for expected in [victim.as_str(), "cause", "hint", "offset"] {
        assert!(words.contains(expected), "{expected} in {words}");
    }
    extract(&["--overwrite", "--on-corrupt", "skip"], 1);
    let saved = all_lines(&output);
    assert!(
        saved.len() < whole.len() && saved.iter().all(|line| whole.contains(line)),
        "{} of {}",
        saved.len(),
        whole.len()
    );
    let report = std::fs::read_to_string(output.join("_cassport/agents/000/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    let entry = &report["quarantine"][0];
    assert!(entry["file"].as_str().unwrap().contains(&victim), "{report}");
    assert!(entry["tokens"]["start"].is_string() && entry["offsets"]["start"].is_u64(), "{report}");
    assert_eq!(report["balanced"], true);
}

fn all_lines(output: &Path) -> Vec<String> {
    let files = tree(output);
    let rows = files.iter().filter(|(name, _)| name.contains("LOAD"));
    rows.flat_map(|(_, bytes)| {
        String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn what_is_not_there_or_not_known_is_said_in_words() {
    let scratch = tempfile::tempdir().unwrap();
    let empty = scratch.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let said = |data: &Path, more: &[&str], code: i32| {
        let mut command = program(["extract", "--output"]);
        command.arg(scratch.path().join("never")).arg("--data-dir").arg(data).args(more);
        String::from_utf8_lossy(&run_program(command, code).stderr).into_owned()
    };
    assert!(said(&empty, &[], 3).contains("empty"));
    assert!(said(&scratch.path().join("nowhere"), &[], 3).contains("does not exist"));
    let data = repository("testdata/4.1/data");
    let words = said(&data, &["-t", "shop.ordrs"], 3);
    assert!(words.contains("orders"), "near misses are named: {words}");
    // A table without a schema.
    let (_, table) = small_data(scratch.path());
    let alone = scratch.path().join("alone/storage").join(table.file_name().unwrap());
    copy_tree(&table, &alone);
    let words = said(&alone, &[], 3);
    assert!(words.contains("schema") && words.contains("--schema"), "{words}");
    // Formats of other releases.
    for (name, words) in [("ic", "2.0"), ("ea", "after"), ("zz", "zz")] {
        let directory =
            scratch.path().join(name).join("ks").join("t-0123456789abcdef0123456789abcdef");
        std::fs::create_dir_all(&directory).unwrap();
        let file = match name {
            "ic" => "ks-t-ic-1-Data.db".to_owned(),
            "ea" => "ea-1-bti-Data.db".to_owned(),
            other => format!("{other}-1-big-Data.db"),
        };
        std::fs::write(directory.join(file), b"something").unwrap();
        let cql = scratch.path().join("t.cql");
        std::fs::write(&cql, "CREATE TABLE ks.t (k int PRIMARY KEY);").unwrap();
        let said = said(&directory, &["--schema", cql.to_str().unwrap()], 3);
        assert!(said.contains(words), "{name}: {said}");
    }
}
