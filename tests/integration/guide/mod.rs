//! What README.md and deploy/README.md tell to type: every command in their code blocks is run here as it stands, with paths in
//! place of its placeholders, or listed with the reason why it is not. A command that is neither fails.

mod aws;
mod scenes;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::process::Command;

use crate::s3::command;
use crate::s3::servers::Bucket;
use crate::support::repository;

const DOCUMENTS: [&str; 2] = ["README.md", "deploy/README.md"];

/// What becomes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The scene of this name runs it, in the order in which they stand here.
    Run(&'static str),
    /// The document that it hands over is checked against AWS's own description of the request.
    Request,
    /// Not here, because of this.
    Not(&'static str),
}

use Fate::{Not, Request, Run};

/// Every command of the documents.
const COMMANDS: &[(&str, Fate)] = &[
    (
        "cargo run --locked -- extract --data-dir testdata/4.1/data -k shop --now 2026-11-21T17:00:00Z --output out",
        Run("first"),
    ),
    ("cargo test --locked", Not("it is what runs this; .ci/run runs it as it stands")),
    (
        "cassport extract --data-dir /clone/data --commitlog-dir /clone/commitlog --output out",
        Run("unflushed"),
    ),
    (
        "cassport extract --data-dir /var/lib/cassandra/data --ownership primary --output s3://bucket/prefix",
        Run("agents"),
    ),
    ("cassport status --output s3://bucket/prefix --watch", Run("agents")),
    ("cassport seal --output s3://bucket/prefix", Run("agents")),
    (
        "cassport tail --data-dir DIR --cdc-raw DIR --shipped delete --state-dir DIR --output s3://bucket/prefix",
        Run("changes"),
    ),
    (
        "nodetool snapshot -t migration",
        Not("needs a running node; the scene of the changes makes the links that it makes"),
    ),
    (
        "cassport extract --data-dir DIR --snapshot migration --output s3://bucket/prefix",
        Run("changes"),
    ),
    ("cassport seal --output s3://bucket/prefix", Run("changes")),
    ("cassport sequence --state-dir DIR --output s3://bucket/prefix", Run("changes")),
    (
        "cassport status --wait-caught-up --since 2026-11-22T12:00:00Z --output s3://bucket/prefix",
        Run("changes"),
    ),
    ("cassport plan --data-dir DIR --output s3://bucket/prefix", Run("plan")),
    ("cassport plan --nodes-file nodes.toml --ownership primary --rate 50MB/s --json", Run("plan")),
    ("cassport verify --data-dir DIR -k shop", Run("verify")),
    ("cassport verify --output s3://bucket/prefix", Run("verify")),
    ("cassport verify --data-dir DIR --against OUTPUT", Run("verify")),
    (
        "cp deploy/systemd/*.service /etc/systemd/system/",
        Not("changes this machine; tests/deploy/check has systemd look at the units"),
    ),
    (
        "cp deploy/config/tail.toml /etc/cassport/tail.toml",
        Not("changes this machine; what is in the file is compared with the options"),
    ),
    ("systemctl enable --now cassport-tail", Not("needs systemd as the first process")),
    ("systemctl start cassport-extract", Not("needs systemd as the first process")),
    (
        "aws batch register-job-definition --cli-input-json file://deploy/aws/batch-job-definition.json",
        Request,
    ),
    ("aws batch submit-job --cli-input-json file://deploy/aws/batch-submit-job.json", Request),
    ("cargo install --path .", Not("a release build: minutes")),
    (
        "rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl",
        Not("changes this machine, and fetches from where a test must not depend on"),
    ),
    ("pip install ziglang cargo-zigbuild", Not("changes this machine")),
    (
        "cargo zigbuild --release --locked --target aarch64-unknown-linux-musl --bin cassport",
        Not("a release build: minutes"),
    ),
    ("deploy/packages x86_64-unknown-linux-musl", Not("a release build: minutes")),
];

/// The commands in the code blocks of a document, without what is said of them behind `#`.
fn commands_of(document: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository(document)).unwrap();
    let mut commands = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("```") {
            fence = if fence.is_none() { Some(kind) } else { None };
            continue;
        }
        match fence {
            Some("sh") => {}
            // testdata/gen/items.py takes it out of there and runs it.
            Some("python") => continue,
            Some(kind) => panic!("{document}: whether a block of '{kind}' is to be typed: {line}"),
            None => continue,
        }
        let command = line.split(" #").next().unwrap_or_default().trim();
        if !command.is_empty() && !command.starts_with('#') {
            assert!(!command.ends_with('\\'), "{document}: a command on one line: {line}");
            commands.push(command.to_owned());
        }
    }
    assert!(fence.is_none(), "{document} ends within a block");
    commands
}

#[test]
fn every_command_of_the_guides_is_run_or_said_why_not() {
    let told: Vec<String> = DOCUMENTS.into_iter().flat_map(commands_of).collect();
    let listed: Vec<&str> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(told, listed, "COMMANDS has the commands of the guides, in their order");
    // And no scene that is not played.
    let named: BTreeSet<&str> = COMMANDS
        .iter()
        .filter_map(|(_, fate)| if let Run(scene) = fate { Some(*scene) } else { None })
        .collect();
    assert_eq!(named, scenes::PLAYED.into_iter().collect::<BTreeSet<_>>());
}

/// The commands of one scene, and what stands in place of their placeholders.
struct Scene {
    commands: Vec<&'static str>,
    next: Cell<usize>,
    replaced: Vec<(&'static str, String)>,
    bucket: Option<Bucket>,
}

impl Scene {
    fn new(
        name: &'static str,
        replaced: Vec<(&'static str, String)>,
        bucket: Option<Bucket>,
    ) -> Self {
        let commands: Vec<&str> = COMMANDS
            .iter()
            .filter(|(_, fate)| *fate == Run(name))
            .map(|(command, _)| *command)
            .collect();
        assert!(!commands.is_empty(), "{name}");
        Self { commands, next: Cell::new(0), replaced, bucket }
    }

    /// The next command of the guide, ready to be run. What is replaced must be there.
    fn next(&self) -> Command {
        let number = self.next.get();
        self.next.set(number + 1);
        let mut text = self.commands[number].to_owned();
        for (placeholder, value) in &self.replaced {
            text = text.replace(placeholder, value);
        }
        let own =
            text.strip_prefix("cargo run --locked -- ").map(|rest| format!("cassport {rest}"));
        let text = own.unwrap_or(text);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words[0], "cassport");
        println!("{text}");
        let mut command = command(&words[1..]);
        if let Some(bucket) = &self.bucket {
            let endpoint = format!("http://{}", bucket.server.address);
            command.env("CASSPORT_S3_ENDPOINT", endpoint).env("CASSPORT_S3_PATH_STYLE", "true");
        }
        command
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.next.get(), self.commands.len(), "not run: {:?}", self.commands);
        }
    }
}
