//! Readers of other people on our files: `tests/loaders` in Python, as far as it needs no running Cassandra.

use std::path::PathBuf;
use std::process::Command;

use crate::support::repository;

#[test]
fn duckdb_and_pyarrow_read_what_cassandra_answered() {
    let python = std::env::var_os("CASSPORT_TEST_PYTHON")
        .map_or_else(|| repository("target/moto/bin/python"), PathBuf::from);
    let has = |python: &PathBuf| {
        let found = Command::new(python).args(["-c", "import duckdb, pyarrow"]).output();
        found.is_ok_and(|output| output.status.success())
    };
    if !has(&python) {
        println!("SKIPPED: no DuckDB and pyarrow: pip install -r tests/requirements.txt");
        return;
    }
    for line in ["4.1", "5.0"] {
        let output = Command::new(&python)
            .arg(repository("tests/loaders/corpus_readers.py"))
            .arg(repository("testdata").join(line))
            .args(["--cassport", env!("CARGO_BIN_EXE_cassport")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        println!("{line}\n{said}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}\n{stderr}");
        assert!(said.contains("duckdb, datalake, gzip: ") && said.contains(" 0 different"));
    }
}
