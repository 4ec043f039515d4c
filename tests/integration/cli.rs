//! The program as users meet it: help, messages, exit codes.

use std::io::Read;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;

/// The program without the variables of whoever runs the tests.
fn cassport(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("cassport").unwrap();
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CASSPORT_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").args(args);
    command
}

/// Runs it: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    output(cassport(args))
}

fn output(mut command: Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_is_no_error() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for words in [
        "Usage: cassport [OPTIONS] <COMMAND>",
        "--config <FILE>",
        "CASSPORT_DATA_DIR",
        "Exit codes",
    ] {
        assert!(out.contains(words), "{words} is not in\n{out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.as_str()), (0, concat!("cassport ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn every_command_has_help() {
    let (_, out, _) = run(&["--help"]);
    let commands: Vec<&str> = out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.contains(&"config") && commands.contains(&"generate"), "{commands:?}");
    for command in commands {
        let (code, out, err) = run(&["help", command]);
        assert_eq!((code, err.as_str()), (0, ""), "{command}");
        assert!(out.contains(&format!("Usage: cassport {command}")) || command == "help", "{out}");
    }
}

#[test]
fn the_help_shows_options_by_heading() {
    let (_, out, _) = run(&["config", "-h"]);
    let headings: Vec<&str> =
        out.lines().filter(|line| line.ends_with(':') && !line.starts_with(' ')).collect();
    assert_eq!(
        headings,
        [
            "Options:",
            "Input:",
            "Commit log:",
            "Output:",
            "Several agents:",
            "S3 (credentials, profile and region as the AWS CLI finds them):",
            "Run:",
            "Observation:",
            "Global options:"
        ],
        "{out}"
    );
    assert!(!out.contains("discard"), "{out}");
    let line = "--file-size <SIZE>             About how much uncompressed source data goes into one file [default: 256MiB]";
    assert!(out.contains("--file-size <SIZE>"), "{line}\n{out}");
}

#[test]
fn usage_errors_are_exit_code_2() {
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &[],
        &["config", "--threads", "0"],
        &["config", "--file-size", "much"],
        &["config", "--profile", "xml"],
        &["-v", "-q", "config"],
        &["generate"],
        &["generate", "completions", "tcsh"],
        &["seal"],
        &["seal", "--output", "s3://b/prefix"],
        &["seal", "--output", "s3://bucket/prefix", "--s3-endpoint", "nowhere"],
        &["config", "--config", "/nowhere/cassport.toml"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(!err.is_empty(), "{args:?}");
    }
}

#[test]
fn a_place_that_cannot_be_is_refused_in_words() {
    let (_, _, err) = run(&["seal", "--output", "gs://bucket/prefix"]);
    assert_eq!(
        err,
        "error: gs://bucket/prefix is neither a directory nor an S3 URL\n  hint   outputs are directories or \
         s3://BUCKET/PREFIX\n"
    );
}

#[test]
fn a_missing_input_is_exit_code_3() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    let (code, out, err) = run(&["seal", "--output", gone.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(
        err.starts_with("error: ") && err.contains("\n  hint   give the --output of the extract\n"),
        "{err}"
    );
    assert!(!gone.exists(), "a mistyped directory is not made");
    let (code, _, err) = run(&["seal", "--output", directory.path().to_str().unwrap()]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("no run to seal"), "{err}");
}

#[test]
fn errors_are_json_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    let gone = gone.to_str().unwrap();
    let (code, _, err) = run(&["--log-format", "json", "seal", "--output", gone]);
    assert_eq!(code, 3);
    let lines: Vec<serde_json::Value> =
        err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{err}");
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(lines[0]["code"], 3);
    assert_eq!(lines[0]["message"], format!("{gone} is not a directory"));
    assert_eq!(lines[0]["hint"], "give the --output of the extract");
}

#[test]
fn the_configuration_file_is_pointed_into() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cassport.toml");
    std::fs::write(&path, "threads = 2\nfile-sise = \"1MiB\"\n").unwrap();
    let (code, _, err) = run(&["config", "--config", path.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert_eq!(
        err,
        format!(
            "error: there is no option \"file-sise\"\n  file   {}\n  at     line 2, column 1\n    2 | file-sise = \
             \"1MiB\"\n      | ^^^^^^^^^\n  hint   names are those of the options, without the dashes: see cassport \
             extract --help\n",
            path.display()
        )
    );
}

#[test]
fn the_command_line_wins_over_variables_and_variables_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cassport.toml");
    std::fs::write(&path, "threads = 2\nmemory = \"2GiB\"\nprofile = \"csv\"\nno-mmap = true\n")
        .unwrap();
    let mut command = cassport(&["config", "--threads", "7"]);
    command
        .env("CASSPORT_CONFIG", &path)
        .env("CASSPORT_THREADS", "5")
        .env("CASSPORT_MEMORY", "3GiB")
        .env("CASSPORT_NO_MMAP", "no")
        .env("CASSPORT_DATA_DIR", "/a:/b");
    let (code, out, err) = output(command);
    assert_eq!((code, err.as_str()), (0, ""));
    for (key, value, origin) in [
        ("threads", "\"7\"", "command line"),
        ("memory", "\"3GiB\"", "variable"),
        ("no-mmap", "false", "variable"),
        ("data-dir", "[\"/a\", \"/b\"]", "variable"),
        ("profile", "\"csv\"", "file"),
        ("file-size", "\"256MiB\"", "default"),
    ] {
        let setting = format!("{key} = {value}");
        let line = format!("{setting:<32} # {origin}");
        assert!(out.lines().any(|found| found == line), "{line:?} is not in\n{out}");
    }
}

#[test]
fn the_manual_and_completions_are_written() {
    let (code, page, _) = run(&["generate", "man"]);
    assert_eq!(code, 0);
    assert!(page.contains(".TH cassport 1") && page.contains("\\-\\-column\\-type"), "{page}");
    for (shell, words) in
        [("bash", "_cassport()"), ("zsh", "#compdef cassport"), ("fish", "complete -c cassport")]
    {
        let (code, script, _) = run(&["generate", "completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains(words), "{shell}: {script}");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("cassport"))
        .args(["generate", "completions", "zsh"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), err.as_str()), (Some(141), ""));
}

/// The data directories of the corpus, one per release line.
fn corpus(line: &str) -> String {
    format!("{}/testdata/{line}/data", env!("CARGO_MANIFEST_DIR"))
}

const LINES: [&str; 5] = ["3.0", "3.11", "4.0", "4.1", "5.0"];

/// A copy of the folder of one table of the corpus, in a data directory of its own.
fn copy_of_table(
    line: &str,
    keyspace: &str,
    table: &str,
) -> (tempfile::TempDir, std::path::PathBuf) {
    let folders = std::fs::read_dir(format!("{}/{keyspace}", corpus(line))).unwrap();
    let is_it = |name: &str| name.rsplit_once('-').is_some_and(|(before, _)| before == table);
    let from = folders
        .map(|entry| entry.unwrap())
        .find(|entry| is_it(entry.file_name().to_str().unwrap()))
        .unwrap_or_else(|| panic!("{keyspace}.{table} is not in the corpus of {line}"));
    let root = tempfile::tempdir().unwrap();
    let to = root.path().join(keyspace).join(from.file_name());
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(from.path()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    (root, to)
}

fn inspected(args: &[&str]) -> (i32, serde_json::Value) {
    let mut all = vec!["-q", "inspect", "--json"];
    all.extend(args);
    let (code, out, err) = run(&all);
    let json = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"));
    (code, json)
}

#[test]
fn inspect_finds_every_table_of_every_release_whole() {
    for line in LINES {
        let (code, found) = inspected(&["--check", "--data-dir", &corpus(line)]);
        assert_eq!(code, 0, "{line}: {:#}", found["damage"]);
        assert_eq!(found["checked"], true);
        let tables = found["tables"].as_array().unwrap();
        let orders = tables.iter().find(|table| table["table"] == "orders").unwrap();
        assert!(orders["sums"]["rows"].as_u64().unwrap() > 0, "{line}: {orders:#}");
        assert!(orders["sums"]["partitions"].as_u64().unwrap() > 0, "{line}: {orders:#}");
        // Two SSTables, of 24 rows and of 5, one cell and one partition each.
        let lz4 = tables.iter().find(|table| table["table"] == "lz4").unwrap();
        for count in ["partitions", "rows", "cells"] {
            let counts: Vec<u64> = lz4["sstables"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sstable| sstable["statistics"][count].as_u64().unwrap())
                .collect();
            assert_eq!(counts, [24, 5], "{line}: {count}");
            assert_eq!(lz4["sums"][count], 29, "{line}: {count}");
        }
        assert!(tables.iter().all(|table| table["keyspace"] != "system"), "{line}");
        let release = found["node"]["releaseVersion"].as_str().unwrap();
        assert!(release.starts_with(line), "{line}: {release}");
        let sstables: usize =
            tables.iter().map(|table| table["sstables"].as_array().unwrap().len()).sum();
        assert_eq!(found["total"]["sstables"], sstables, "{line}");
        for table in tables {
            let stored: u64 = table["sstables"]
                .as_array()
                .unwrap()
                .iter()
                .map(|sstable| std::fs::metadata(sstable["file"].as_str().unwrap()).unwrap().len())
                .sum();
            assert_eq!(table["sums"]["storedBytes"], stored, "{line}: {}", table["table"]);
        }
    }
}

#[test]
fn inspect_draws_for_people() {
    let (code, out, err) = run(&["inspect", "--data-dir", &corpus("4.1"), "-k", "shop"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for words in [
        "shop.orders\n",
        "  SSTables    3 (nb LZ4), 763 B on disk, 1.0 kB of data\n",
        "  content     9 partitions, 14 rows, 35 cells, 18 tombstones and expiring cells",
        "  repaired    0 % of the bytes on disk\n",
        "  partition sizes\n    to 100 B        6 ████████████████████████████████\n     to 1 kB        3 ████████████████\n",
        "  nb-1-big-Data.db  486 B, 4 partitions, 8 rows, unrepaired\n",
        "2 tables, 6 SSTables, 1.4 kB on disk, 1.8 kB of data, 23 rows in SSTables\n",
        "no damage seen; --check",
    ] {
        assert!(out.contains(words), "{words:?} is not in\n{out}");
    }
    assert!(!out.contains("system."), "{out}");
    let (code, out, err) = run(&["inspect", "--data-dir", &corpus("4.1"), "-k", "nothing"]);
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
}

#[test]
fn inspect_finds_a_flipped_bit_when_it_reads_the_data() {
    // Of many chunks, and of one: the last chunk is read as well as the first.
    for (line, table) in LINES.into_iter().flat_map(|line| [(line, "lz4"), (line, "plain")]) {
        let (root, folder) = copy_of_table(line, "storage", table);
        let data = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with("-Data.db"))
            .max_by_key(|path| path.metadata().unwrap().len())
            .unwrap();
        let mut bytes = std::fs::read(&data).unwrap();
        let late = bytes.len() - 40;
        bytes[late] ^= 1;
        std::fs::write(&data, bytes).unwrap();
        let root = root.path().to_str().unwrap();
        assert_eq!(inspected(&["--data-dir", root]).0, 0, "{line}: not read, not seen");
        for mode in
            [&["--data-dir", root, "--check"][..], &["--data-dir", root, "--check", "--no-mmap"]]
        {
            let (code, found) = inspected(mode);
            assert_eq!(code, 3, "{line}");
            let damage = found["damage"].as_array().unwrap();
            assert_eq!(damage.len(), 1, "{line}: {damage:#?}");
            assert_eq!(damage[0]["file"], data.to_str().unwrap());
            assert_eq!(found["total"]["damaged"], 1);
        }
    }
}

#[test]
fn inspect_says_which_statistics_it_cannot_read() {
    let (root, folder) = copy_of_table("4.1", "shop", "orders");
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.to_str().unwrap().ends_with("-Statistics.db") {
            std::fs::write(path, b"nothing").unwrap();
        }
    }
    let (code, out, _) = run(&["inspect", "--data-dir", root.path().to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(out.contains("Statistics.db not readable") && out.contains("\nDAMAGED: "), "{out}");
}

#[test]
fn inspect_tells_folders_that_no_table_has() {
    let (root, folder) = copy_of_table("4.1", "shop", "orders");
    for keyspace in ["system", "system_schema"] {
        let from = format!("{}/{keyspace}", corpus("4.1"));
        copy_all(from.as_ref(), &root.path().join(keyspace));
    }
    let orphan = folder.with_file_name("orders-00000000000011f18bcf9bc0a4d8bfe1");
    std::fs::rename(&folder, &orphan).unwrap();
    let (code, found) = inspected(&["--data-dir", root.path().to_str().unwrap()]);
    assert_eq!(code, 0, "{found:#}");
    let orphans = found["node"]["orphans"].as_array().unwrap();
    let found = orphans.iter().find(|found| found["folders"][0] == orphan.to_str().unwrap());
    let found = found.unwrap_or_else(|| panic!("{orphans:#?}"));
    assert_eq!(found["sstables"], 3);
    assert!(found["why"].as_str().unwrap().contains("orders"), "{found}");
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
