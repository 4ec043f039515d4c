//! Rows that a profile cannot write: many of them do not flood the screen, and each is told once.

use crate::support::{cassport, repository, run};

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
