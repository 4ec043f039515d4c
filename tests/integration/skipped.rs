//! Rows that a profile cannot write: many of them do not flood the screen, and each is told once.

use std::path::Path;

use crate::support::{cassport, copy_tree, repository, run, shared, tree};

#[test]
fn of_many_skipped_rows_twenty_are_named_once_and_the_report_has_all() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    let tables = ["types.clustered_b", "types.composite", "types.scalars"];
    let mut command = cassport(["extract", "--column-type", "c_varint=NUMERIC(1,0)"]);
    command.args(tables.iter().flat_map(|table| ["-t", table]));
    command.arg("--data-dir").arg(repository("testdata/4.1/data"));
    command.arg("--output").arg(&output);
    let words = String::from_utf8(run(command, 1).stderr).unwrap();

    let report = std::fs::read(output.join("_cassport/agents/000/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let skipped = report["quarantine"].as_array().unwrap().len();
    assert!(skipped > 20, "{report:#}");
    assert!(words.contains(&format!("NOT COMPLETE: {skipped} places skipped")), "{words}");
    assert!(words.contains(&format!("\n  and {} more in the report\n", skipped - 20)), "{words}");
    let named = words.matches(": column '").count();
    assert_eq!(named, 20, "{words}");
    assert_eq!(words.matches("something had to be skipped").count(), 1, "{words}");
}

/// A table whose SSTable has one row twice, as nodes upgraded from 2.x wrote them (CASSANDRA-12144).
#[test]
fn a_row_twice_in_one_sstable_is_damage() {
    let Some(table) = shared(
        "fixtures/apache-cassandra/invalid-legacy-sstables/Keyspace1/cf_with_duplicates_3_0",
    ) else {
        return;
    };
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    // Also where another SSTable has the partition.
    let two = scratch.path().join("Keyspace1/cf_with_duplicates_3_0");
    copy_tree(&table, &two);
    for name in tree(&table).keys() {
        std::fs::copy(table.join(name), two.join(name.replace("mb-3", "mb-4"))).unwrap();
    }
    for table in [table, two] {
        row_twice(&table, &output);
    }
}

fn row_twice(table: &Path, output: &Path) {
    let extract = |more: &[&str], code| {
        let mut command = cassport(["extract", "--profile", "jsonl", "--schema", "header"]);
        command.arg("--data-dir").arg(table).arg("--output").arg(output).args(more);
        String::from_utf8(run(command, code).stderr).unwrap()
    };
    let words = extract(&["--overwrite"], 3);
    for part in ["mb-3-big-Data.db", "partition key 0x00000001", "rows out of order", "scrub"] {
        assert!(words.contains(part), "{part} is not in {words}");
    }
    extract(&["--overwrite", "--on-corrupt", "skip"], 1);
    let report = std::fs::read(output.join("_cassport/agents/000/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let entry = &report["quarantine"][0];
    assert!(entry["cause"].as_str().unwrap().contains("rows out of order"), "{entry}");
    let token = |end: &str| entry["tokens"][end].as_str().unwrap().parse::<i64>().unwrap();
    let lost = cassport::dht::murmur3_token(&[0, 0, 0, 1]).0;
    assert!(token("start") < lost && lost <= token("end"), "{entry}");
    assert_eq!(report["balanced"], true);
    assert_eq!(report["total"]["recordsEmitted"], 0);
}
