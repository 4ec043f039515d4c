//! LocalPartitioner: tables whose partitions stand in the order of a type. What Cassandra wrote with it are index tables, which are
//! read here as tables of their own.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{cassport, copy_tree, repository, run, tree};

const CORPORA: [&str; 2] = ["4.1-local", "5.0-bti-local"];

fn definition(value: &str) -> String {
    format!(
        "CREATE TABLE indexed.ix (value {value}, k blob, PRIMARY KEY (value, k)) WITH ID = '00000000-0000-1000-8000-000000000007';"
    )
}

/// The index as if it were a table, and its definition.
fn table_of(corpus: &str, index: &str, value: &str, scratch: &Path) -> (PathBuf, PathBuf) {
    let data = repository(&format!("testdata/regressions/{corpus}/data/indexed"));
    let base = std::fs::read_dir(data).unwrap().next().unwrap().unwrap().path();
    let root = scratch.join(format!("{corpus}-{index}"));
    copy_tree(&base.join(index), &root.join("indexed/ix-00000000000010008000000000000007"));
    let schema = scratch.join(format!("{index}.cql"));
    let keyspace = "CREATE KEYSPACE indexed WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1};\n";
    std::fs::write(&schema, format!("{keyspace}{}", definition(value))).unwrap();
    (root, schema)
}

/// Value and key of each row of the indexed table, as Cassandra answered.
fn answers(corpus: &str, column: &str) -> Vec<(Value, String)> {
    let path = repository(&format!("testdata/regressions/{corpus}/answers/indexed.numbers.jsonl"));
    let of_line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let key = i32::try_from(line["row"]["k"].as_i64().unwrap()).unwrap();
        (line["row"][column].take(), format!("0x{key:08x}"))
    };
    std::fs::read_to_string(path).unwrap().lines().map(of_line).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| value.to_string().parse().unwrap())
}

fn lines(output: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for (name, bytes) in tree(output) {
        if name.starts_with("indexed/ix/") {
            let text = String::from_utf8(bytes).unwrap();
            found.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
    }
    found
}

#[test]
fn tables_in_the_order_of_a_type_are_merged() {
    let scratch = tempfile::tempdir().unwrap();
    for corpus in CORPORA {
        for (index, column, value) in [(".by_n", "n", "int"), (".by_d", "d", "decimal")] {
            let (root, schema) = table_of(corpus, index, value, scratch.path());
            let mut expected = answers(corpus, column);
            expected
                .sort_by(|a, b| number(&a.0).total_cmp(&number(&b.0)).then_with(|| a.1.cmp(&b.1)));
            for more in
                [&["--threads", "1"][..], &["--threads", "2", "--file-size", "1MiB", "--no-mmap"]]
            {
                let output = scratch.path().join("out");
                let mut command =
                    cassport(["extract", "--profile", "jsonl", "--overwrite", "-t", "indexed.ix"]);
                command.arg("--data-dir").arg(&root).arg("--schema").arg(&schema);
                run(
                    {
                        command.arg("--output").arg(&output).args(more);
                        command
                    },
                    0,
                );
                let found = lines(&output);
                let pairs: Vec<(f64, &str)> = found
                    .iter()
                    .map(|row| (number(&row["value"]), row["k"].as_str().unwrap()))
                    .collect();
                let values = pairs
                    .windows(2)
                    .all(|w| w[0].0.total_cmp(&w[1].0) != Ordering::Greater || w[0].0 == w[1].0);
                assert!(values, "{corpus} {index}: {pairs:?}");
                // Each key of the table once, under its value.
                let mut sorted = pairs.clone();
                sorted
                    .sort_by(|a, b| (a.0 + 0.0).total_cmp(&(b.0 + 0.0)).then_with(|| a.1.cmp(b.1)));
                let wanted: Vec<(f64, &str)> =
                    expected.iter().map(|(v, k)| (number(v) + 0.0, k.as_str())).collect();
                assert_eq!(
                    sorted.iter().map(|p| (p.0 + 0.0, p.1)).collect::<Vec<_>>(),
                    wanted,
                    "{corpus} {index}"
                );
            }
        }
    }
}

#[test]
fn one_partition_of_several_sstables_comes_once() {
    let scratch = tempfile::tempdir().unwrap();
    for corpus in CORPORA {
        let (root, schema) = table_of(corpus, ".by_n", "int", scratch.path());
        let mut command = cassport(["cat", "-t", "indexed.ix", "--key", "3"]);
        command.arg("--data-dir").arg(&root).arg("--schema").arg(&schema);
        let text = String::from_utf8(run(command, 0).stdout).unwrap();
        let keys: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["k"].take())
            .collect();
        assert_eq!(keys, ["0x00000002", "0x00000005", "0x0000000c"], "{corpus}");
    }
}

#[test]
fn a_commit_log_is_not_laid_over_them() {
    let scratch = tempfile::tempdir().unwrap();
    let (root, schema) = table_of("4.1-local", ".by_n", "int", scratch.path());
    let mut command = cassport(["extract", "-t", "indexed.ix"]);
    command.arg("--data-dir").arg(&root).arg("--schema").arg(&schema);
    command.arg("--output").arg(scratch.path().join("out"));
    command.arg("--commitlog-dir").arg(repository("testdata/4.1-unflushed/commitlog"));
    let words = String::from_utf8(run(command, 2).stderr).unwrap();
    assert!(words.contains("ordered by LocalPartitioner"), "{words}");
}
