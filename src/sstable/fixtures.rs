//! Where the tests of this module find files that real nodes wrote.

use std::path::{Path, PathBuf};

use super::{Component, Descriptor};

/// The folder of shared test data, if it is there.
fn fixtures_dir() -> Option<PathBuf> {
    let shared = std::env::var_os("CASSPORT_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let dir = shared.join("fixtures/apache-cassandra");
    dir.is_dir().then_some(dir)
}

fn collect(dir: &Path, found: &mut Vec<Descriptor>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(Some((descriptor, Component::Data))) = Descriptor::parse(&path) {
            found.push(descriptor);
        }
    }
}

/// All SSTables of the project's corpora and of the shared test data that this module reads; a line says so where one
/// of them is not there.
pub(crate) fn sstables() -> Vec<Descriptor> {
    let mut found = Vec::new();
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    if corpora.is_dir() {
        collect(&corpora, &mut found);
        assert!(found.len() >= 500, "{} SSTables in {}", found.len(), corpora.display());
    } else {
        eprintln!("SKIPPED: no corpora in {}", corpora.display());
    }
    if let Some(dir) = fixtures_dir() {
        let before = found.len();
        collect(&dir, &mut found);
        assert!(found.len() >= before + 70, "{} SSTables", found.len() - before);
    } else {
        eprintln!("SKIPPED: no shared test data; set CASSPORT_SHARED to its folder");
    }
    found
}
