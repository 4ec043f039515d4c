//! The limit of open files: the soft one is raised, the hard one is respected before work begins.

use std::path::Path;
use std::process::Command;

use crate::support::{cassport, repository, run};

/// `extract` of all tables of a corpus, which are some sixty SSTables, in a process whose limit of open files `ulimit` sets.
fn extract(ulimit: &str, output: &Path, more: &[&str]) -> Command {
    let inner = cassport(["extract", "--profile", "jsonl", "--threads", "1"]);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit {ulimit} && exec \"$0\" \"$@\""));
    command.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg("--data-dir").arg(repository("testdata/4.1/data"));
    command.arg("--output").arg(output).args(more);
    command
}

#[test]
fn the_soft_limit_of_open_files_is_no_limit() {
    let scratch = tempfile::tempdir().unwrap();
    for mode in [&[][..], &["--no-mmap"]] {
        let output = scratch.path().join(format!("out{}", mode.len()));
        run(extract("-Sn 24", &output, mode), 0);
        assert!(output.join("_cassport/complete.json").exists());
    }
}

#[test]
fn a_hard_limit_that_does_not_suffice_is_told_before_anything_is_written() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    for mode in [&[][..], &["--no-mmap"]] {
        let words = String::from_utf8(run(extract("-n 40", &output, mode), 2).stderr).unwrap();
        assert!(words.contains("open files, and this process may have 40\n"), "{words}");
        assert!(words.contains("hint") && words.contains("ulimit -Hn"), "{words}");
        assert!(!output.exists());
    }
    // As many as are asked for are enough.
    for mode in [&[][..], &["--no-mmap"]] {
        let words = String::from_utf8(run(extract("-n 40", &output, mode), 2).stderr).unwrap();
        let needed = words.split(" SSTables need ").nth(1).unwrap().split(' ').next().unwrap();
        let output = scratch.path().join(format!("out{}", mode.len()));
        run(extract(&format!("-n {needed}"), &output, mode), 0);
    }
}
