//! Runs that are stopped by a signal, slowed down, or find their source changed: real processes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cassport::store::Store;
use rustix::process::{Pid, Signal, kill_process};

use crate::killed::{Place, same};
use crate::s3::command;
use crate::s3::proxy::{Fault, Proxy, rule};
use crate::s3::servers;
use crate::support::{cassport, copy_tree, repository, run, small_data};

const CLOCK: &str = "1795279700";
const STATE: &str = "_cassport/agents/000/state.json";

/// Waits until `what` is there, for a long time on a busy machine.
fn until<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "it did not come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn object(place: &Place, name: &str) -> Option<Vec<u8>> {
    match place {
        Place::Directory(directory) => std::fs::read(directory.join(name)).ok(),
        Place::Bucket(bucket) => bucket.store("run").get(name).unwrap(),
    }
}

/// The files of finished splits, by what `state.json` says now.
fn finished(place: &Place) -> Vec<String> {
    let bytes = object(place, STATE).unwrap_or_default();
    let state: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let tables = state["tables"].as_object().into_iter().flatten();
    let splits = tables.flat_map(|(_, table)| table["splits"].as_object().unwrap());
    // A split without deletions has no list of their files.
    let files = splits.flat_map(|(_, split)| {
        [&split["files"], &split["deletes"]]
            .into_iter()
            .filter_map(|list| list.as_array())
            .flatten()
    });
    files.map(|file| file["name"].as_str().unwrap().to_owned()).collect()
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn stop(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Waits for the end of a process: its exit code, and what it said.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn written_at(place: &Place, name: &str) -> Option<SystemTime> {
    let Place::Directory(directory) = place else { return None };
    Some(std::fs::metadata(directory.join(name)).unwrap().modified().unwrap())
}

/// Stops runs by both signals; what they finished stays, and the same command makes the whole of it.
fn stopped_by_signals(mut new_place: impl FnMut() -> Place) {
    let reference = new_place();
    run(reference.extract(&[]), 0);
    let expected = reference.files();
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let place = new_place();
        // Some three seconds of work.
        let child = start(place.extract(&["--read-rate", "64KiB/s"]));
        until(|| (finished(&place).len() >= 2).then_some(()));
        stop(&child, signal);
        let (ended_with, words) = ended(child);
        assert_eq!(ended_with, Some(code), "{words}");
        assert!(words.contains("the same command again continues"), "{words}");
        let left = place.files();
        let done = finished(&place);
        assert!(done.len() >= 2 && !left.contains_key("_cassport/complete.json"), "{done:?}");
        let rows = |files: &BTreeMap<String, Vec<u8>>| {
            files.keys().filter(|name| !name.starts_with("_cassport/")).cloned().collect::<Vec<_>>()
        };
        let mut sorted = done.clone();
        sorted.sort();
        assert_eq!(rows(&left), sorted, "finished files and nothing else");
        assert!(done.len() < rows(&expected).len(), "it was not stopped within its work");
        for name in &done {
            assert!(left[name] == expected[name], "{name} differs");
        }
        let before: Vec<_> = done.iter().map(|name| written_at(&place, name)).collect();
        run(place.extract(&[]), 0);
        same(&expected, &place.files(), "after the signal");
        let after: Vec<_> = done.iter().map(|name| written_at(&place, name)).collect();
        assert_eq!(before, after, "what was finished is not written again");
    }
}

#[test]
fn a_signal_leaves_finished_files_in_a_directory_and_the_same_command_continues() {
    let scratch = tempfile::tempdir().unwrap();
    let mut number = 0;
    stopped_by_signals(|| {
        number += 1;
        Place::Directory(scratch.path().join(number.to_string()))
    });
}

#[test]
fn a_signal_leaves_finished_objects_in_a_bucket_and_the_same_command_continues() {
    for server in servers::all() {
        stopped_by_signals(|| Place::Bucket(server.bucket()));
    }
}

#[test]
fn a_signal_ends_a_run_at_once_while_the_store_is_out_of_order() {
    for (fault, target) in [
        (Fault::Answer(503, "SlowDown"), "/LOAD"),
        (Fault::Stall, "/LOAD"),
        // Nothing at all goes through any more: no last words either.
        (Fault::Answer(503, "SlowDown"), "/run/"),
    ] {
        let bucket = servers::s3s_fs().bucket();
        let place = Place::Bucket(bucket.clone());
        let reference = Place::Bucket(servers::s3s_fs().bucket());
        run(reference.extract(&[]), 0);
        let proxy =
            Proxy::start(bucket.server.address, vec![rule("PUT", target, fault).times(usize::MAX)]);
        let endpoint = format!("http://{}", proxy.address);
        let mut through_proxy = command(&["extract", "--output", &bucket.url("run")]);
        through_proxy
            .args(["--s3-path-style", "--s3-endpoint", &endpoint, "--now", CLOCK])
            .args([
                "--file-size",
                "1KiB",
                "--threads",
                "2",
                "-k",
                "storage,shop",
                "--deletes",
                "--data-dir",
            ])
            .arg(repository("testdata/4.1/data"));
        let child = start(through_proxy);
        // By the sixth attempt the pause before the next is some seconds; all of them take ten minutes.
        let wanted = if fault == Fault::Stall || target == "/run/" { 2 } else { 12 };
        until(|| (proxy.count("PUT", target) >= wanted).then_some(()));
        let asked = Instant::now();
        stop(&child, Signal::TERM);
        let (code, words) = ended(child);
        let took = asked.elapsed();
        assert_eq!(code, Some(143), "{fault:?} {target}: {words}");
        assert!(took < Duration::from_secs(30), "{fault:?} {target}: {took:?}");
        eprintln!("{fault:?} {target}: ended {took:?} after the signal");
        run(place.extract(&[]), 0);
        same(&reference.files(), &place.files(), "after the outage");
    }
}

#[test]
fn an_sstable_that_is_gone_when_a_run_goes_on_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    copy_tree(&repository("testdata/4.1/data"), &data);
    let output = scratch.path().join("out");
    let extract = |more: &[&str]| {
        let mut command = cassport(["extract", "-k", "storage", "--file-size", "1KiB"]);
        command.args(["--threads", "1"]).args(more).arg("--data-dir").arg(&data);
        command.arg("--output").arg(&output);
        command
    };
    let child = start(extract(&["--read-rate", "64KiB/s"]));
    let place = Place::Directory(output.clone());
    until(|| (!finished(&place).is_empty()).then_some(()));
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();

    // A compaction has made one of two, behind the back of the run.
    let folders = std::fs::read_dir(data.join("storage")).unwrap().map(|entry| entry.unwrap());
    let folder = folders
        .map(|entry| entry.path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("zstd-"))
        .unwrap();
    let files = |prefix: &str| -> Vec<PathBuf> {
        let all = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let of = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(prefix);
        all.filter(of).collect()
    };
    let moved = scratch.path().join("moved");
    std::fs::create_dir(&moved).unwrap();
    assert!(files("nb-1-big-").len() > 5);
    for path in files("nb-1-big-") {
        std::fs::rename(&path, moved.join(path.file_name().unwrap())).unwrap();
    }
    let words = String::from_utf8(run(extract(&[]), 3).stderr).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(words.contains(&format!("storage/{name}/nb-1-big, which is gone")), "{words}");
    assert!(words.contains("take a snapshot"), "{words}");

    // An SSTable more is another source, and none is missing for it.
    for entry in std::fs::read_dir(&moved).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        std::fs::copy(&path, folder.join(&file)).unwrap();
        std::fs::copy(&path, folder.join(file.replace("nb-1-", "nb-99-"))).unwrap();
    }
    let words = String::from_utf8(run(extract(&[]), 4).stderr).unwrap();
    assert!(words.contains("made from other input files"), "{words}");
    for path in files("nb-99-big-") {
        std::fs::remove_file(path).unwrap();
    }
    run(extract(&[]), 0);
}

/// A table with each of its SSTables `times` times, by hard links under other generations.
fn multiplied(root: &Path, times: usize) -> u64 {
    let folder = small_data(root);
    let mut bytes = 0;
    let entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    for path in entries {
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some((generation, rest)) = name.strip_prefix("nb-").and_then(|n| n.split_once('-'))
        else {
            continue;
        };
        if rest == "big-Data.db" {
            bytes += std::fs::metadata(&path).unwrap().len() * times as u64;
        }
        for copy in 1..times {
            let link = folder.join(format!("nb-{copy}{generation:0>4}-{rest}"));
            std::fs::hard_link(&path, link).unwrap();
        }
    }
    bytes
}

#[test]
fn a_run_reads_no_faster_than_it_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    // Some hundred SSTables, which take much less time than the rate gives them.
    let bytes = multiplied(&data, 100);
    assert!(bytes > 200_000, "{bytes}");
    for (threads, no_mmap) in [("1", false), ("2", true)] {
        let output = scratch.path().join(threads);
        let mut command = cassport(["extract", "--read-rate", "64KiB/s", "--threads", threads]);
        command.arg("--data-dir").arg(&data).arg("--output").arg(&output);
        command.args(no_mmap.then_some("--no-mmap"));
        let start = Instant::now();
        run(command, 0);
        let took = start.elapsed();
        let report: serde_json::Value = serde_json::from_slice(
            &std::fs::read(output.join("_cassport/agents/000/report.json")).unwrap(),
        )
        .unwrap();
        assert!(report["total"]["bytesRead"].as_u64().unwrap() >= bytes);
        // What was read last is not waited for, and a CRC stands behind each chunk.
        let least = Duration::from_micros(bytes * 1_000_000 / 65_536) * 9 / 10;
        assert!(took >= least, "{bytes} bytes in {took:?}");
    }
}
