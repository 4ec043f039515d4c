//! Every SSTable of the shared fixtures is read to its end, with as many partitions and rows as Cassandra's own
//! `SSTableExport` shows. Those of 2.x, which no `SSTableExport` shows as rows, with as many as Cassandra's own tests of them
//! expect; their schema is in `testdata/fixtures-legacy.cql`.
//!
//! `testdata/fixtures.tsv` lists them all: path, partitions, rows, or `refused` and the words that must be in our error. A
//! fixture without a line, or a line without its fixture, fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cassport::dht::TokenRange;
use cassport::discover::{InputOptions, SchemaOption, Source};
use cassport::io::ReadMode;
use cassport::rows::{PartitionSource, Unfiltered};
use cassport::sstable::{LargeRows, SstableReader, SstableScanner, WorkerRows};

use crate::support::{is_legacy_sstable, repository, shared};

fn data_files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            data_files(&path, out);
        } else if name.ends_with("-Data.db") {
            out.push(path);
        }
    }
}

/// Partitions and rows of one SSTable, with the schema that its own header gives, if it has one.
fn count(path: &Path) -> Result<(u64, u64), String> {
    let words = |e: cassport::Error| format!("{e}");
    let keyspace = path.ancestors().nth(2).and_then(Path::file_name);
    let keyspace = keyspace.map(|name| name.to_string_lossy().into_owned());
    let schema = match is_legacy_sstable(path) {
        true => SchemaOption::File(repository("testdata/fixtures-legacy.cql")),
        false => SchemaOption::Header,
    };
    let options = InputOptions {
        data_dirs: vec![path.to_path_buf()],
        schema,
        // System keyspaces are only read where they are named.
        keyspaces: Vec::from_iter(keyspace.filter(|_| is_legacy_sstable(path))),
        ..InputOptions::default()
    };
    let source = Source::open(&options, 0).map_err(words)?;
    let selection = source.select(&options).map_err(words)?;
    let [selected] = selection.tables.as_slice() else {
        return Err(format!("{} tables", selection.tables.len()));
    };
    let [sstable] = selected.sstables.as_slice() else {
        return Err(format!("{} SSTables", selected.sstables.len()));
    };
    let reader = SstableReader::open(&sstable.descriptor, &selected.metadata, ReadMode::Map)
        .map_err(words)?;
    let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(64 << 20))));
    let mut scanner =
        SstableScanner::new(Arc::new(reader), TokenRange::ALL, rows, false).map_err(words)?;
    let (mut partitions, mut row_count) = (0, 0);
    while !scanner.is_done() {
        scanner.begin().map_err(words)?;
        partitions += 1;
        loop {
            match scanner.next().map_err(words)? {
                Unfiltered::Row => row_count += 1,
                Unfiltered::Marker(_) => {}
                Unfiltered::End => break,
            }
        }
        scanner.finish().map_err(words)?;
    }
    Ok((partitions, row_count))
}

#[test]
fn every_fixture_holds_what_cassandra_shows_of_it() {
    let Some(root) = shared("fixtures/apache-cassandra") else { return };
    let table = std::fs::read_to_string(repository("testdata/fixtures.tsv")).unwrap();
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        expected.insert(fields.next().unwrap(), fields.collect());
    }
    let mut found = Vec::new();
    data_files(&root, &mut found);
    let mut wrong = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        let Some(wanted) = expected.remove(name.as_str()) else {
            wrong.push(format!("{name}: not in fixtures.tsv"));
            continue;
        };
        match (count(&path), wanted.as_slice()) {
            (Ok((partitions, rows)), [p, r])
                if partitions.to_string() == *p && rows.to_string() == *r => {}
            (Err(error), ["refused", words]) if error.contains(words) => {}
            (got, wanted) => wrong.push(format!("{name}: expected {wanted:?}, got {got:?}")),
        }
    }
    wrong.extend(expected.keys().map(|name| format!("{name}: listed and not there")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
