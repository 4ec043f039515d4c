//! Killed at any instant, started again: nothing lost, nothing twice.
//!
//! Real processes, real `kill -9` at random instants. `CASSPORT_KILLS` sets how many each test deals (12 without it), and
//! `CASSPORT_SEED` when; a failure names the seed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::s3::command;
use crate::s3::servers::{self, Bucket, Kind};
use crate::support::{Dice, kills, repository, run, tree, without_times};

const CLOCK: &str = "1795279700";

/// Where an output goes.
pub(crate) enum Place {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl Place {
    pub(crate) fn command(&self, name: &str, more: &[&str]) -> Command {
        let mut arguments = vec![name, "--output"];
        let (output, endpoint);
        match self {
            Self::Directory(directory) => {
                output = directory.to_str().unwrap().to_owned();
                arguments.push(&output);
            }
            Self::Bucket(bucket) => {
                output = bucket.url("run");
                endpoint = format!("http://{}", bucket.server.address);
                arguments.extend([&output, "--s3-path-style", "--s3-endpoint", &endpoint]);
            }
        }
        arguments.extend(more);
        command(&arguments)
    }

    pub(crate) fn extract(&self, more: &[&str]) -> Command {
        let options = ["--now", CLOCK, "--file-size", "1KiB", "--threads", "2"];
        let selection = ["-k", "storage,shop", "--deletes"];
        let mut command = self.command("extract", &[&options[..], &selection, more].concat());
        command.arg("--data-dir").arg(repository("testdata/4.1/data"));
        command
    }

    /// Every file or object that is there, hidden ones too.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        match self {
            Self::Directory(directory) => without_times(tree(directory)),
            Self::Bucket(bucket) => {
                without_times(bucket.objects().into_iter().map(|(key, bytes)| {
                    let name = key.strip_prefix("run/").unwrap().to_owned();
                    // Each output has a bucket of its own, which the settings name.
                    let text = || String::from_utf8(bytes.clone()).unwrap();
                    let settings = name.ends_with("s3-source-settings.json");
                    let bytes = match settings {
                        true => text().replace(&bucket.name, "BUCKET").into_bytes(),
                        false => bytes,
                    };
                    (name, bytes)
                }))
            }
        }
    }
}

/// Starts `command` and kills it after `patience` unless it ended by itself.
fn kill_after(mut command: Command, patience: Duration) -> (bool, ExitStatus) {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return (false, status);
        }
        if start.elapsed() >= patience {
            child.kill().unwrap();
            let status = child.wait().unwrap();
            return (status.code().is_none(), status);
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

pub(crate) fn same(
    expected: &BTreeMap<String, Vec<u8>>,
    found: &BTreeMap<String, Vec<u8>>,
    what: &str,
) {
    assert_eq!(
        expected.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>(),
        "{what}: other files"
    );
    for (name, bytes) in expected {
        assert!(*bytes == found[name], "{what}: {name} differs");
    }
}

/// Kills one agent over and over, in several outputs, each of which must become what an undisturbed run makes.
fn one_agent(
    mut new_place: impl FnMut(usize) -> Place,
    extract: impl Fn(&Place) -> Command,
    kills: usize,
    mut is_what_is_wanted: impl FnMut(&Place) -> bool,
) {
    let reference = new_place(0);
    let start = Instant::now();
    run(extract(&reference), 0);
    let usual = u64::try_from(start.elapsed().as_micros()).unwrap();
    let expected = reference.files();
    let mut dice = Dice::new(0);
    let (mut dealt, mut outputs, mut wanted) = (0, 0, 0);
    while dealt < kills || wanted == 0 {
        assert!(dealt < 20 * kills, "no kill was at the right instant");
        outputs += 1;
        let place = new_place(outputs);
        // A few kills an output, and then it may end.
        for _ in 0..1 + dice.below(5) {
            let patience = Duration::from_micros(dice.below(usual + usual / 4));
            let (killed, status) = kill_after(extract(&place), patience);
            dealt += usize::from(killed);
            assert!(killed || status.success(), "{status}");
            wanted += usize::from(is_what_is_wanted(&place));
        }
        run(extract(&place), 0);
        same(&expected, &place.files(), &format!("output {outputs} after {dealt} kills"));
    }
    eprintln!("{dealt} kills over {outputs} outputs, {wanted} as wanted");
}

/// The same with three agents side by side, then sealed.
fn several_agents(mut new_place: impl FnMut(usize) -> Place) {
    const SHARDS: [&str; 3] = ["0/3", "1/3", "2/3"];
    let reference = new_place(0);
    let start = Instant::now();
    for shard in SHARDS {
        run(reference.extract(&["--shard", shard]), 0);
    }
    let usual = u64::try_from(start.elapsed().as_micros()).unwrap() / 3;
    run(reference.command("seal", &[]), 0);
    let expected = reference.files();
    let mut dice = Dice::new(0);
    let (mut dealt, mut outputs) = (0, 0);
    while dealt < kills() {
        outputs += 1;
        let place = new_place(outputs);
        let patience: Vec<Vec<u64>> = SHARDS
            .iter()
            .map(|_| (0..1 + dice.below(4)).map(|_| dice.below(2 * usual)).collect())
            .collect();
        dealt += std::thread::scope(|scope| {
            let agents: Vec<_> = SHARDS
                .iter()
                .zip(&patience)
                .map(|(shard, patience)| {
                    let place = &place;
                    scope.spawn(move || {
                        let mut dealt = 0;
                        for &micros in patience {
                            let command = place.extract(&["--shard", shard]);
                            let (killed, status) =
                                kill_after(command, Duration::from_micros(micros));
                            dealt += usize::from(killed);
                            assert!(killed || status.success(), "{status}");
                        }
                        run(place.extract(&["--shard", shard]), 0);
                        dealt
                    })
                })
                .collect();
            agents.into_iter().map(|agent| agent.join().unwrap()).sum::<usize>()
        });
        run(place.command("seal", &[]), 0);
        same(&expected, &place.files(), &format!("output {outputs} after {dealt} kills"));
    }
    eprintln!("{dealt} kills over {outputs} outputs of three agents");
}

fn small_files(place: &Place) -> Command {
    place.extract(&[])
}

fn directories(scratch: &Path) -> impl FnMut(usize) -> Place {
    move |number| Place::Directory(scratch.join(number.to_string()))
}

#[test]
fn killed_at_any_instant_and_started_again_a_directory_is_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    one_agent(directories(scratch.path()), small_files, kills(), |_| true);
}

#[test]
fn what_was_half_written_when_all_was_done_is_gone_after_the_next_run() {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("out"));
    let run = || assert!(small_files(&place).output().unwrap().status.success());
    run();
    let half = scratch.path().join("out/_cassport/agents/000/.status.json.tmp");
    std::fs::write(&half, b"{").unwrap();
    run();
    assert!(!half.exists());
}

#[test]
fn killed_at_any_instant_and_started_again_a_bucket_is_the_same() {
    let server = servers::s3s_fs();
    one_agent(|_| Place::Bucket(server.bucket()), small_files, kills(), |_| true);
}

/// Objects of two and three parts: the names of the columns make the rows long.
fn in_parts(place: &Place) -> Command {
    let long = |column: String| format!("--rename={column}={column}{}", "x".repeat(115_000));
    let columns = (0..10).map(|i| format!("c{i:03}")).chain(["k".to_owned(), "v".to_owned()]);
    let renamed: Vec<String> = columns.map(long).collect();
    let tables = ["-t", "storage.lz4,storage.many_columns,storage.zstd", "--profile", "jsonl"];
    // The smallest parts that there are, and time to be killed between them.
    let slow = ["--memory", "128MiB", "--upload-rate", "20MB/s", "--threads", "2", "--now", CLOCK];
    let mut command = place.command("extract", &[tables.as_slice(), &slow].concat());
    command.args(renamed).arg("--data-dir").arg(repository("testdata/4.1/data"));
    command
}

#[test]
fn killed_between_the_parts_of_an_upload_and_started_again_a_bucket_is_the_same() {
    for server in servers::all() {
        let buckets = std::cell::RefCell::new(Vec::<Bucket>::new());
        let new_place = |_| {
            buckets.borrow_mut().push(server.bucket());
            Place::Bucket(buckets.borrow().last().unwrap().clone())
        };
        let lists_uploads = server.kind == Kind::Moto;
        one_agent(new_place, in_parts, kills().div_ceil(2), |place| {
            let Place::Bucket(bucket) = place else { unreachable!() };
            !lists_uploads || bucket.dangling_uploads() > 0
        });
        let buckets = buckets.into_inner();
        let large =
            |(name, bytes): &(String, Vec<u8>)| name.contains("/LOAD") && bytes.len() > 5 << 20;
        assert_eq!(buckets[0].objects().iter().filter(|object| large(object)).count(), 3);
        // A store that cannot list its uploads keeps what a dead process began: nobody can find it.
        if lists_uploads {
            for bucket in buckets {
                assert_eq!(bucket.dangling_uploads(), 0, "{}", bucket.name);
            }
        }
    }
}

#[test]
fn several_agents_killed_and_started_again_make_the_same_directory() {
    let scratch = tempfile::tempdir().unwrap();
    several_agents(directories(scratch.path()));
}

#[test]
fn several_agents_killed_and_started_again_make_the_same_bucket() {
    let server = servers::s3s_fs();
    several_agents(|_| Place::Bucket(server.bucket()));
}

#[test]
fn shards_add_up_to_the_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let complete = |place: &Place| -> serde_json::Value {
        let files = place.files();
        serde_json::from_slice(&files["_cassport/complete.json"]).unwrap()
    };
    let mut new_place = directories(scratch.path());
    let (whole, parts) = (new_place(0), new_place(1));
    run(whole.extract(&[]), 0);
    for shard in ["0/4", "1/4", "3/4"] {
        run(parts.extract(&["--shard", shard]), 0);
    }
    // One is missing: that is said, and nothing is sealed.
    run(parts.command("seal", &[]), 5);
    run(parts.extract(&["--shard", "2/4"]), 0);
    run(parts.command("seal", &[]), 0);
    let (whole, parts) = (complete(&whole), complete(&parts));
    let sums = |complete: &serde_json::Value| -> Vec<(String, u64, String)> {
        let table = |t: &serde_json::Value| {
            let text = |key: &str| t[key].as_str().unwrap().to_owned();
            (text("table"), t["rows"].as_u64().unwrap(), text("digest"))
        };
        complete["tables"].as_array().unwrap().iter().map(table).collect()
    };
    assert_eq!(sums(&whole), sums(&parts));
    assert!(sums(&whole).iter().any(|(_, rows, _)| *rows > 20));
}
