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
    assert_eq!(headings, ["Options:", "Input:", "Output:", "Run:", "Global options:"], "{out}");
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
        &["seal", "--output", "s3://bucket/prefix"],
        &["config", "--config", "/nowhere/cassport.toml"],
    ] {
        let (code, out, err) = run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(!err.is_empty(), "{args:?}");
    }
}

#[test]
fn s3_is_refused_in_words() {
    let (_, _, err) = run(&["seal", "--output", "s3://bucket/prefix"]);
    assert_eq!(
        err,
        "error: S3 is not built into this version yet: s3://bucket/prefix\n  hint   write to a directory and copy it \
         with `aws s3 sync`\n"
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
    let (code, _, err) = run(&["--log-format", "json", "seal", "--output", "/nowhere/at/all"]);
    assert_eq!(code, 3);
    let lines: Vec<serde_json::Value> =
        err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{err}");
    assert_eq!(lines[0]["level"], "ERROR");
    assert_eq!(lines[0]["code"], 3);
    assert_eq!(lines[0]["message"], "/nowhere/at/all is not a directory");
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
    let mut child = Process::new(assert_cmd::cargo::cargo_bin("cassport"))
        .args(["generate", "completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Closed before anything is read: the script is longer than what a pipe holds, or the write comes later.
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((status.code(), err.as_str()), (Some(141), ""));
}
