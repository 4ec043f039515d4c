//! Whole runs over the committed corpora: same bytes, books, refusals, the files for DMS.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dms_contract::{check_import, check_output, check_row_counts};
use crate::support::{
    BTI_LINE, LEGACY_LINES, LINES, cassport, copy_tree, repository, run, tree, without_times,
};

const CLOCK: &str = "1795279700";

fn extract(data: &Path, output: &Path, more: &[&str], code: i32) -> String {
    let mut command = cassport(["extract", "--now", CLOCK]);
    command.arg("--data-dir").arg(data).arg("--output").arg(output).args(more);
    String::from_utf8_lossy(&run(command, code).stderr).into_owned()
}

fn stable(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    without_times(tree(directory))
}

fn same(a: &BTreeMap<String, Vec<u8>>, b: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}: other files");
    for (name, bytes) in a {
        assert!(*bytes == b[name], "{what}: {name} differs");
    }
}

#[test]
fn same_input_same_options_same_clock_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let data = repository("testdata/4.0/data");
    // Small splits, so that there are many files and several workers.
    let reference = scratch.path().join("reference");
    // Some rows of the corpus do not fit their DMS types: they are quarantined, which is exit code 1.
    extract(&data, &reference, &["--threads", "1", "--file-size", "1KiB"], 1);
    let reference = stable(&reference);
    assert!(reference.keys().filter(|name| name.contains("LOAD")).count() > 40);
    for more in [
        &["--threads", "2"][..],
        &["--threads", "4"],
        &["--threads", "2", "--memory", "64MiB"],
        &["--threads", "4", "--no-mmap"],
    ] {
        let output = scratch.path().join(more.join(""));
        extract(&data, &output, &[more, &["--file-size", "1KiB"]].concat(), 1);
        same(&reference, &stable(&output), &more.join(" "));
    }
}

#[test]
fn splits_of_any_size_hold_the_same_records() {
    let scratch = tempfile::tempdir().unwrap();
    let data = repository("testdata/4.1/data");
    let mut digests = Vec::new();
    for size in ["1KiB", "7KiB", "256MiB"] {
        let output = scratch.path().join(size);
        extract(&data, &output, &["--file-size", size, "--profile", "jsonl"], 0);
        let manifest =
            std::fs::read_to_string(output.join("_cassport/agents/000/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
        let of_tables: Vec<_> = manifest["tables"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| (t["rows"].clone(), t["digest"].clone()))
            .collect();
        digests.push(of_tables);
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}

#[test]
fn nothing_skipped_in_silence() {
    let scratch = tempfile::tempdir().unwrap();
    for line in LINES {
        let output = scratch.path().join(line);
        extract(&repository("testdata").join(line).join("data"), &output, &["--profile", "csv"], 1);
        let report =
            std::fs::read_to_string(output.join("_cassport/agents/000/report.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["balanced"], true, "{line}: {report}");
        assert!(report["total"]["rowsRead"].as_u64().unwrap() > 1000, "{line}");
        assert_eq!(report["notRead"]["unknownTableIds"], 1, "{line}: the dropped table's folder");
        assert_eq!(report["notRead"]["views"], 1, "{line}");
    }
}

#[test]
fn inputs_are_never_modified() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    copy_tree(&repository("testdata/5.0/data"), &data);
    let before = tree(&data);
    extract(&data, &scratch.path().join("out"), &[], 1);
    run(cassport(["inspect", "--check", "--data-dir", data.to_str().unwrap()]), 0);
    same(&before, &tree(&data), "the input");
}

#[test]
fn the_output_for_dms_keeps_its_contract() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    extract(&repository("testdata/4.1/data"), &output, &["-k", "shop"], 0);
    let violations = check_output(&output);
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn whole_corpora_for_dms_keep_its_contract_and_have_the_rows_of_cassandra() {
    let scratch = tempfile::tempdir().unwrap();
    for line in LEGACY_LINES.iter().chain(&LINES).chain([&BTI_LINE]) {
        let corpus = repository("testdata").join(line);
        let description = std::fs::read(corpus.join("corpus.json")).unwrap();
        let description: serde_json::Value = serde_json::from_slice(&description).unwrap();
        let (output, clock) = (scratch.path().join(line), description["clock"].to_string());
        let mut command = cassport(["extract", "-q", "--deletes", "--now", &clock, "--output"]);
        command.arg(&output).arg("--data-dir").arg(corpus.join("data"));
        let code = command.output().unwrap().status.code();
        // Some rows do not fit their types.
        assert!(matches!(code, Some(0 | 1)), "{line}: {code:?}");
        let mut violations = check_output(&output);
        // The least and the greatest double are none of DynamoDB's numbers, which DMS says of the row.
        violations.retain(|v| !(v.rule == 19 && v.what.ends_with("is no number of DynamoDB")));
        assert!(violations.is_empty(), "{line}: {violations:#?}");
        let of_table = |table: &serde_json::Value| {
            let name = |key: &str| table[key].as_str().unwrap().to_owned();
            (format!("{}.{}", name("keyspace"), name("table")), table["rows"].as_u64().unwrap())
        };
        let expected = description["tables"].as_array().unwrap().iter().map(of_table).collect();
        let violations = check_row_counts(&output, &expected);
        assert!(violations.is_empty(), "{line}: {violations:#?}");
    }
}

#[test]
fn items_of_whole_corpora_are_what_an_import_takes() {
    let scratch = tempfile::tempdir().unwrap();
    for line in [LINES[3], LINES[4]] {
        for (shape, compression) in [("native", "none"), ("dms", "gzip"), ("native", "zstd")] {
            let output = scratch.path().join(format!("{line}-{shape}-{compression}"));
            let mut command = cassport(["extract", "-q", "--now", CLOCK, "--profile", "ddb-json"]);
            command.args(["--ddb-shape", shape, "--compression", compression, "--output"]);
            command
                .arg(&output)
                .arg("--data-dir")
                .arg(repository("testdata").join(line).join("data"));
            let code = command.output().unwrap().status.code();
            assert!(matches!(code, Some(0 | 1)), "{line}: {code:?}");
            let violations = check_import(&output);
            assert!(violations.is_empty(), "{line} {shape}: {violations:#?}");
        }
    }
}

#[test]
fn the_same_command_again_is_already_complete_and_another_one_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, output) = (repository("testdata/3.11/data"), scratch.path().join("out"));
    extract(&data, &output, &["-k", "shop"], 0);
    let before = tree(&output);
    let words = extract(&data, &output, &["-k", "shop"], 0);
    assert!(words.contains("already complete"), "{words}");
    let words = extract(&data, &output, &["-k", "shop", "--profile", "csv"], 4);
    assert!(words.contains("profile") && words.contains("--overwrite"), "{words}");
    let words = extract(&data, &output, &["-k", "deletes"], 4);
    assert!(words.contains("another run"), "{words}");
    same(&before, &tree(&output), "an output that was refused");
    extract(&data, &output, &["-k", "shop", "--profile", "csv", "--overwrite"], 0);
    assert!(
        tree(&output).keys().all(|name| !name.contains("table-mappings")),
        "nothing of the old run is left"
    );
}

#[test]
fn a_run_that_was_stopped_continues_to_the_same_bytes() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, whole) = (repository("testdata/4.1/data"), scratch.path().join("whole"));
    let options = ["--file-size", "1KiB", "--threads", "1", "-k", "storage"];
    extract(&data, &whole, &options, 0);
    let resumed = scratch.path().join("resumed");
    extract(&data, &resumed, &options, 0);
    // What a run leaves that was killed between two splits: state without manifest, a file not there yet, a temporary one.
    let own = resumed.join("_cassport/agents/000");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(own.join("manifest.json")).unwrap()).unwrap();
    std::fs::remove_dir_all(resumed.join("_cassport/agents")).unwrap();
    std::fs::remove_file(resumed.join("_cassport/complete.json")).unwrap();
    let victim = manifest["tables"][0]["files"][0]["name"].as_str().unwrap();
    std::fs::remove_file(resumed.join(victim)).unwrap();
    let temporary = resumed.join(victim).with_file_name(".LOAD00000001.csv.tmp");
    std::fs::write(&temporary, b"half a li").unwrap();
    extract(&data, &resumed, &options, 0);
    same(&stable(&whole), &stable(&resumed), "the resumed output");
}

#[test]
fn outputs_that_cannot_be_written_are_exit_code_4_and_leave_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let data = repository("testdata/4.1/data");
    let file = scratch.path().join("a-file");
    std::fs::write(&file, b"x").unwrap();
    let words = extract(&data, &file, &["-k", "shop"], 4);
    assert!(words.contains("a-file"), "{words}");
    // A device that is always full.
    let mut command = cassport(["extract", "-t", "shop.orders", "--output", "-"]);
    command
        .arg("--data-dir")
        .arg(&data)
        .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn standard_output_takes_one_table_and_nothing_else() {
    let data = repository("testdata/4.1/data");
    let command = |table: &str| {
        let mut command = cassport(["extract", "--output", "-", "--profile", "csv", "-t", table]);
        command.arg("--data-dir").arg(&data);
        command
    };
    let output = run(command("shop.customers"), 0);
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = csv::Reader::from_reader(text.as_bytes()).records().count();
    assert_eq!(rows, 4, "{text}");
    let words = String::from_utf8(run(command("shop.*"), 2).stderr).unwrap();
    assert!(words.contains("one table"), "{words}");
}

#[test]
fn whatever_a_user_points_at_is_found() {
    let data = repository("testdata/4.1/data");
    let table = std::fs::read_dir(data.join("shop")).unwrap().map(|e| e.unwrap().path());
    let table = table.into_iter().find(|p| p.to_string_lossy().contains("orders")).unwrap();
    let one = std::fs::read_dir(&table).unwrap().map(|e| e.unwrap().path());
    let one = one.into_iter().find(|p| p.to_string_lossy().ends_with("Data.db")).unwrap();
    for (path, least) in [(data.join("shop"), 7), (table, 7), (one, 1)] {
        let mut command = cassport([
            "extract",
            "--output",
            "-",
            "--profile",
            "jsonl",
            "-t",
            "shop.orders",
            "--now",
            CLOCK,
        ]);
        command.arg("--data-dir").arg(&path);
        let rows = run(command, 0).stdout.iter().filter(|&&b| b == b'\n').count();
        assert!(rows >= least, "{}: {rows} rows", path.display());
    }
}

#[test]
fn a_snapshot_is_read_with_the_schema_beside_it() {
    for line in LINES {
        let data = repository("testdata").join(line).join("data");
        let mut command =
            cassport(["extract", "--output", "-", "--profile", "jsonl", "--snapshot", "snap1"]);
        command.arg("--data-dir").arg(&data).args(["-t", "snap.frozen_in_time"]);
        let output = run(command, 0);
        assert!(!output.stdout.is_empty(), "{line}");
        // The snapshot folder alone: its schema.cql has to do.
        let table = std::fs::read_dir(data.join("snap")).unwrap().next().unwrap().unwrap().path();
        let scratch = tempfile::tempdir().unwrap();
        let alone =
            scratch.path().join("snap").join(table.file_name().unwrap()).join("snapshots/snap1");
        copy_tree(&table.join("snapshots/snap1"), &alone);
        let mut command = cassport(["extract", "--output", "-", "--profile", "jsonl"]);
        command.arg("--data-dir").arg(&alone);
        let from_snapshot = run(command, 0);
        assert_eq!(output.stdout, from_snapshot.stdout, "{line}");
    }
}

#[test]
fn columns_are_chosen_renamed_and_the_write_time_replaced() {
    let data = repository("testdata/4.1/data");
    let mut command =
        cassport(["extract", "--output", "-", "--profile", "jsonl", "-t", "shop.customers"]);
    command.arg("--data-dir").arg(&data).args([
        "--include-columns",
        "name,email",
        "--rename",
        "shop.customers.name=full_name",
        "--metadata",
        "row",
        "--writetime",
        "2000-01-01T00:00:00Z",
    ]);
    let text = String::from_utf8(run(command, 0).stdout).unwrap();
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let names: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(first["writetime(*)"], 946_684_800_000_000_i64);
    for name in ["id", "full_name", "email", "writetime(*)", "ttl(*)"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    assert_eq!(names.len(), 5, "{names:?}");
    let mut command = cassport([
        "extract",
        "--output",
        "-",
        "--exclude-columns",
        "nothing",
        "-t",
        "shop.customers",
    ]);
    command.arg("--data-dir").arg(&data);
    let words = String::from_utf8(run(command, 2).stderr).unwrap();
    assert!(words.contains("nothing"), "{words}");
}

#[test]
fn the_schema_is_printed_as_it_was_read() {
    for line in LINES.into_iter().chain([BTI_LINE]) {
        let mut command = cassport(["schema"]);
        command.arg("--data-dir").arg(repository("testdata").join(line).join("data"));
        let text = String::from_utf8(run(command, 0).stdout).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("schema.cql");
        std::fs::write(&file, &text).unwrap();
        let mut command = cassport(["schema", "--schema"]);
        command.arg(&file).arg("--data-dir").arg(repository("testdata").join(line).join("data"));
        let again = String::from_utf8(run(command, 0).stdout).unwrap();
        assert_eq!(text, again, "{line}");
        assert!(text.contains("CREATE TABLE shop.orders"), "{line}");
    }
}

#[test]
fn cat_shows_a_partition_merged_raw_and_explained() {
    let data = repository("testdata/4.1/data");
    let cat = |more: &[&str]| {
        let mut command =
            cassport(["cat", "-t", "shop.orders", "--key", "'chloe'", "--now", CLOCK]);
        command.arg("--data-dir").arg(&data).args(more);
        let text = String::from_utf8(run(command, 0).stdout).unwrap();
        text.lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
            .collect::<Vec<_>>()
    };
    let merged = cat(&[]);
    assert!(!merged.is_empty() && merged.iter().all(|row| row["customer"] == "chloe"));
    let raw = cat(&["--raw"]);
    assert!(raw.len() > merged.len() && raw.iter().all(|line| line["key"]["customer"] == "chloe"));
    let explained = cat(&["--explain"]);
    let exists = explained.iter().filter(|line| line["exists"] == true).count();
    assert_eq!(exists, merged.len());
    let won = explained.iter().flat_map(|l| l["cells"].as_array().cloned().unwrap_or_default());
    assert!(won.filter(|cell| cell["fate"] == "won").count() > 5);
}
