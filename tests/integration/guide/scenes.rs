//! The commands of the guides on the committed corpora.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cassport::progress::clock;
use cassport::store::{LocalStore, Store};
use rustix::process::{Pid, Signal, kill_process};

use super::Scene;
use crate::s3::servers::{self, Bucket};
use crate::support::{copy_tree, repository, run, stderr, tree};

/// Those below, by the names that the table has of them.
pub(super) const PLAYED: [&str; 6] = ["first", "unflushed", "agents", "changes", "plan", "verify"];

const PATIENCE: Duration = Duration::from_secs(120);

/// Keyspaces of 4.1 whose rows profile dms carries, with what says whose they are.
fn quiet_data(root: &Path) -> PathBuf {
    let data = root.join("data");
    for keyspace in ["system", "system_schema", "shop", "storage"] {
        copy_tree(&repository("testdata/4.1/data").join(keyspace), &data.join(keyspace));
    }
    data
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_first_command_of_the_readme_writes_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository("testdata"), directory.path().join("testdata")).unwrap();
    let scene = Scene::new("first", Vec::new(), None);
    let mut command = scene.next();
    command.current_dir(directory.path());
    run(command, 0);
    let files = tree(&directory.path().join("out"));
    assert!(files.contains_key("shop/orders/LOAD00000001.csv"), "{:?}", files.keys());
    assert!(files.contains_key("_cassport/complete.json"), "{:?}", files.keys());
}

#[test]
fn a_clone_is_extracted_with_its_commit_log() {
    let directory = tempfile::tempdir().unwrap();
    let corpus = repository("testdata/4.1-unflushed");
    let replaced = vec![("/clone", text(&corpus)), ("--output out", output(directory.path()))];
    let scene = Scene::new("unflushed", replaced, None);
    let done = scene.next().output().unwrap();
    // Random values, of which the default profile cannot carry all: that is told, and nothing else is amiss.
    finished_or_refused(&done);
    let report =
        std::fs::read_to_string(directory.path().join("out/_cassport/agents/000/report.json"));
    let report: serde_json::Value = serde_json::from_str(&report.unwrap()).unwrap();
    assert_eq!(report["balanced"], true, "{report}");
    assert!(!report["commitLogs"].as_array().unwrap().is_empty(), "{report}");
}

fn output(directory: &Path) -> String {
    format!("--output {}", directory.join("out").display())
}

/// Exit code 0, or 1 for rows that the profile refuses.
fn finished_or_refused(done: &std::process::Output) {
    let said = stderr(done);
    match done.status.code() {
        Some(0) => {}
        Some(1) => assert!(said.contains("refused") || said.contains("cannot carry"), "{said}"),
        code => panic!("{code:?}: {said}"),
    }
}

#[test]
fn an_agent_writes_its_share_into_a_bucket_and_the_whole_is_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let data = quiet_data(directory.path());
    let bucket = servers::s3s_fs().bucket();
    let replaced = vec![
        ("/var/lib/cassandra/data", text(&data)),
        ("s3://bucket/prefix", bucket.url("prefix")),
    ];
    let scene = Scene::new("agents", replaced, Some(bucket.clone()));
    run(scene.next(), 0);
    let watched = run(scene.next(), 0);
    let watched = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert!(watched.contains("1 of 1 agents complete"), "{watched}");
    let said = stderr(&run(scene.next(), 0));
    assert!(said.contains("sealed: ") && said.contains("by 1 agent"), "{said}");
    let names: Vec<String> = bucket.objects().into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"prefix/shop/orders/LOAD00000001.csv".to_owned()), "{names:?}");
}

/// Where a migration goes.
enum Target {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl Target {
    fn url(&self) -> String {
        match self {
            Self::Directory(directory) => text(directory),
            Self::Bucket(bucket) => bucket.url("prefix"),
        }
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let store: Box<dyn Store> = match self {
            Self::Directory(directory) => Box::new(LocalStore::open(directory).unwrap()),
            Self::Bucket(bucket) => Box::new(bucket.store("prefix")),
        };
        store.list(folder).unwrap().into_iter().map(|object| object.name).collect()
    }

    /// Waits for an object.
    fn until(&self, folder: &str, end: &str) {
        let start = Instant::now();
        while !self.names(folder).iter().any(|name| name.ends_with(end)) {
            assert!(start.elapsed() < PATIENCE, "{end} did not come to {folder}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A process that goes on until it is stopped.
struct Running(Child);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn stop(self) -> std::process::Output {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait_with_output().unwrap()
    }
}

/// A node whose log was copied, made to look like one that runs: its last segment has room, and a name of Cassandra's own.
fn running_node(root: &Path) -> PathBuf {
    let corpus = repository("testdata/4.1-cdc");
    for name in ["data", "cdc_raw"] {
        copy_tree(&corpus.join(name), &root.join(name));
    }
    let last = tree(&root.join("cdc_raw")).into_keys().filter(|name| name.ends_with(".log")).max();
    let segment = root.join("cdc_raw").join(last.unwrap());
    let file = std::fs::File::options().write(true).open(&segment).unwrap();
    file.set_len(1 << 20).unwrap();
    std::fs::create_dir(root.join("commitlog")).unwrap();
    std::fs::hard_link(&segment, root.join("commitlog").join(segment.file_name().unwrap()))
        .unwrap();
    segment
}

/// `nodetool snapshot -t migration`, as far as it concerns the disk.
fn snapshot(data: &Path) {
    for (name, _) in tree(data) {
        let path = data.join(&name);
        let (folder, file) = (path.parent().unwrap(), path.file_name().unwrap());
        if !name.starts_with("system") {
            let links = folder.join("snapshots/migration");
            std::fs::create_dir_all(&links).unwrap();
            std::fs::hard_link(&path, links.join(file)).unwrap();
        }
    }
}

#[test]
fn a_migration_while_the_source_is_written_to_goes_as_the_guide_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let targets = [
        Target::Directory(directory.path().join("out")),
        Target::Bucket(servers::s3s_fs().bucket()),
    ];
    for (number, target) in targets.into_iter().enumerate() {
        let root = directory.path().join(number.to_string());
        let segment = running_node(&root);
        let path = |name: &str| text(&root.join(name));
        let replaced = vec![
            ("tail --data-dir DIR", format!("tail --data-dir {}", path("data"))),
            ("--cdc-raw DIR", format!("--cdc-raw {}", path("cdc_raw"))),
            ("delete --state-dir DIR", format!("delete --state-dir {}", path("tail"))),
            ("extract --data-dir DIR", format!("extract --data-dir {}", path("data"))),
            ("sequence --state-dir DIR", format!("sequence --state-dir {}", path("sequence"))),
            ("--since 2026-11-22T12:00:00Z", format!("--since {}", clock::now())),
            ("s3://bucket/prefix", target.url()),
        ];
        let bucket = if let Target::Bucket(bucket) = &target { Some(bucket.clone()) } else { None };
        let scene = Scene::new("changes", replaced, bucket);

        let tail = Running::start(scene.next());
        target.until("_cassport/changes/", "/began.json");
        snapshot(&root.join("data"));
        finished_or_refused(&scene.next().output().unwrap());
        let sealed = scene.next().output().unwrap();
        let words = stderr(&sealed);
        assert!(words.contains("nothing is missing between extract and tail"), "{words}");
        assert!(target.names("_cassport/").contains(&"_cassport/complete.json".to_owned()));
        let sequence = Running::start(scene.next());
        run(scene.next(), 0);
        target.until("cdc-changes/", "CDC0000000001.csv");
        finished_or_refused(&sequence.stop());
        assert_eq!(tail.stop().status.code(), Some(0));
        // What was shipped is gone, as was told; the segment in use is Cassandra's.
        let left: Vec<String> = tree(&root.join("cdc_raw")).into_keys().collect();
        assert_eq!(left, [text(Path::new(segment.file_name().unwrap()))]);
        assert_eq!(std::fs::metadata(&segment).unwrap().nlink(), 2);
    }
}

#[test]
fn a_plan_is_made_of_one_node_and_of_a_center() {
    let directory = tempfile::tempdir().unwrap();
    let data = quiet_data(directory.path());
    let nodes = directory.path().join("nodes.toml");
    std::fs::write(&nodes, format!("[nodes]\nnode1 = [{:?}]\n", text(&data))).unwrap();
    let bucket = servers::s3s_fs().bucket();
    let replaced = vec![
        ("--data-dir DIR", format!("--data-dir {}", text(&data))),
        ("nodes.toml", text(&nodes)),
        ("s3://bucket/prefix", bucket.url("prefix")),
    ];
    let scene = Scene::new("plan", replaced, Some(bucket));
    let said = String::from_utf8(run(scene.next(), 0).stdout).unwrap();
    assert!(said.contains("cassport extract") && said.contains("shop.orders"), "{said}");
    let said = String::from_utf8(run(scene.next(), 0).stdout).unwrap();
    let plan: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(plan["agents"].as_array().unwrap().len(), 1, "{said}");
}

#[test]
fn source_output_and_both_are_verified() {
    let directory = tempfile::tempdir().unwrap();
    let data = quiet_data(directory.path());
    let bucket = servers::s3s_fs().bucket();
    let local = directory.path().join("out");
    for output in [text(&local), bucket.url("prefix")] {
        let mut extract = crate::s3::command(&["extract", "--output", &output]);
        extract.arg("--data-dir").arg(&data);
        extract.env("CASSPORT_S3_ENDPOINT", format!("http://{}", bucket.server.address));
        run(
            {
                extract.env("CASSPORT_S3_PATH_STYLE", "true");
                extract
            },
            0,
        );
    }
    let replaced = vec![
        ("--data-dir DIR", format!("--data-dir {}", text(&data))),
        ("OUTPUT", text(&local)),
        ("s3://bucket/prefix", bucket.url("prefix")),
    ];
    let scene = Scene::new("verify", replaced, Some(bucket));
    for _ in 0..3 {
        run(scene.next(), 0);
    }
}
