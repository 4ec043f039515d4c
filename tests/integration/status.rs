//! `status`: what the agents of an output said last.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{cassport, repository, run, small_data};

fn extract(data: &Path, output: &Path, more: &[&str], code: i32) {
    let mut command = cassport(["extract", "--now", "1795279700", "-k", "storage"]);
    command.arg("--data-dir").arg(data).arg("--output").arg(output).args(more);
    run(command, code);
}

fn status(output: &Path, more: &[&str], code: i32) -> String {
    let mut command = cassport(["status"]);
    command.arg("--output").arg(output).args(more);
    String::from_utf8(run(command, code).stdout).unwrap()
}

#[test]
fn agents_that_are_done_and_agents_that_have_not_begun_are_seen() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, output) = (repository("testdata/4.1/data"), scratch.path().join("out"));
    status(&output, &[], 3);
    extract(&data, &output, &["--shard", "0/3"], 0);
    extract(&data, &output, &["--shard", "2/3"], 0);
    let found: serde_json::Value = serde_json::from_str(&status(&output, &["--json"], 0)).unwrap();
    assert_eq!((&found["agentsWanted"], &found["sealed"]), (&3.into(), &false.into()));
    let agents = found["agents"].as_array().unwrap();
    let numbers: Vec<_> = agents.iter().map(|agent| agent["agent"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 2]);
    assert!(agents.iter().all(|agent| agent["phase"] == "complete" && agent["percent"] == 100.0));
    let table = found["tables"].as_array().unwrap().iter().find(|t| t["table"] == "lz4").unwrap();
    assert_eq!((&table["percent"], &table["state"]), (&66.7.into(), &"Full load".into()));
    let rows = table["rows"].as_u64().unwrap();
    assert!(status(&output, &[], 0).contains("2 of 3 agents complete"));

    extract(&data, &output, &["--shard", "1/3"], 0);
    let mut seal = cassport(["seal", "--output"]);
    seal.arg(&output);
    run(seal, 0);
    // Killed between manifest and last word: the manifest says it all.
    std::fs::remove_file(output.join("_cassport/agents/001/status.json")).unwrap();
    let text = status(&output, &["--watch", "1s"], 0);
    assert!(text.contains("3 of 3 agents complete, sealed"), "{text}");
    // The sequencer has no source to take it from.
    let cql = std::fs::read_to_string(output.join("_cassport/schema.cql")).unwrap();
    assert!(cql.contains("CREATE TABLE storage."), "{cql}");
    let found: serde_json::Value = serde_json::from_str(&status(&output, &["--json"], 0)).unwrap();
    let table = found["tables"].as_array().unwrap().iter().find(|t| t["table"] == "lz4").unwrap();
    assert_eq!((&table["percent"], &table["state"]), (&100.0.into(), &"Table completed".into()));
    assert!(table["rows"].as_u64().unwrap() > rows, "{table}");
}

#[test]
fn an_agent_that_failed_says_why() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, output) = (scratch.path().join("data"), scratch.path().join("out"));
    let folder = small_data(&data);
    let victim = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with("-Data.db"))
        .unwrap();
    let mut bytes = std::fs::read(&victim).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&victim, bytes).unwrap();
    extract(&data, &output, &[], 3);
    let found: serde_json::Value = serde_json::from_str(&status(&output, &["--json"], 0)).unwrap();
    let agent = &found["agents"][0];
    assert_eq!(agent["phase"], "failed");
    let words = agent["lastError"].as_str().unwrap();
    assert!(words.contains("Data.db"), "{words}");
    assert!(status(&output, &["--watch"], 0).contains(words.lines().next().unwrap()));
    // And its claim is given up.
    assert!(!output.join("_cassport/agents/000/claim.json").exists());
}

#[test]
fn the_signal_for_cut_over_waits_for_the_sequencer_too() {
    let output = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = output.path().join("_cassport").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let stream = "changes/00000000-0000-0000-0000-000000000007/watermark.json";
    put(stream, "{\"segment\":1,\"offset\":2,\"time\":1700000000000}\n");
    let wait = |since: &str| {
        let mut command = cassport(["status", "--wait-caught-up", "--since", since, "--output"]);
        command.arg(output.path()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    // Without a sequencer the stream says it all.
    assert_eq!(wait("1700000000").wait().unwrap().code(), Some(0));
    // One that has not written down what was shipped.
    put("sequence/settings.json", "{}");
    put("sequence/watermark.json", "{\"time\":1699999999999}\n");
    let mut waiting = wait("1700000000");
    std::thread::sleep(Duration::from_secs(3));
    assert!(waiting.try_wait().unwrap().is_none());
    put("sequence/watermark.json", "{\"time\":1700000000000}\n");
    assert_eq!(waiting.wait().unwrap().code(), Some(0));
}
