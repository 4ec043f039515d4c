//! `cassport sequence` as a process: killed at any instant and started again, the same files.
//!
//! `CASSPORT_KILLS` sets how many kills each test deals (12 without it), and `CASSPORT_SEED` when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cassport::changes::{
    ChangeRecordWriter, LogPosition, Origin, Position, Watermark, change_object, watermark_object,
};
use cassport::rows::{
    Cell, ClusteringValue, DeletionTime, LivenessInfo, LocalDeletionTime, NO_TTL, PartitionUpdate,
    Row, Span, UpdateContent,
};
use cassport::schema::{TableMetadata, parse_schema};
use cassport::store::{LocalStore, Store};

use crate::s3::command;
use crate::s3::servers::{self, Bucket};
use crate::support::{Dice, kills, on_a_small_disk, run, stderr, tree};

const SCHEMA: &str = "CREATE TABLE shop.orders (customer int, id int, name text STATIC, total int, \
    note text, PRIMARY KEY (customer, id));";
const CLOCK: &str = "1700000000";
const HOSTS: usize = 3;

fn table() -> Arc<TableMetadata> {
    Arc::new(parse_schema(SCHEMA, None).unwrap().table("shop", "orders").unwrap().clone())
}

/// One mutation: a row with or without marker, a deletion, a static column, an expiry; few keys, so that they meet.
fn mutation(dice: &mut Dice, table: &Arc<TableMetadata>) -> PartitionUpdate {
    fn span(update: &mut PartitionUpdate, bytes: &[u8]) -> Span {
        let start = update.data.len() as u32;
        update.data.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }
    let key = dice.below(40) as u32;
    let micros = |dice: &mut Dice| 1_600_000_000_000_000 + dice.below(100_000).cast_signed();
    let mut update = PartitionUpdate::new(Arc::clone(table), key.to_be_bytes().to_vec());
    let deletion = |dice: &mut Dice| DeletionTime {
        marked_for_delete_at: micros(dice),
        local_deletion_time: LocalDeletionTime(1),
    };
    if dice.below(60) == 0 {
        update.deletion = deletion(dice);
        return update;
    }
    let cell = |dice: &mut Dice, update: &mut PartitionUpdate, column: u16, value: &[u8]| {
        let expiring = dice.below(5) == 0;
        let expires = 1_700_000_000 - 50 + dice.below(100).cast_signed();
        Cell {
            timestamp: micros(dice),
            local_deletion_time: if expiring {
                LocalDeletionTime(expires)
            } else {
                LocalDeletionTime::NONE
            },
            ttl: if expiring { 3600 } else { NO_TTL },
            column,
            source: 0,
            value: span(update, value),
            path: Span::default(),
        }
    };
    if dice.below(30) == 0 {
        let name = format!("customer {}", dice.below(5));
        let cells = vec![cell(dice, &mut update, 0, name.as_bytes())];
        update.static_row = Some(Row { cells, has_times: true, ..Row::EMPTY });
        return update;
    }
    let id = (dice.below(20) as u32).to_be_bytes();
    let clustering = vec![ClusteringValue::Value(span(&mut update, &id))];
    let mut row = Row { clustering, has_times: true, ..Row::EMPTY };
    match dice.below(8) {
        0 => row.deletion = deletion(dice),
        1..4 => row.liveness = LivenessInfo { timestamp: micros(dice), ..LivenessInfo::NONE },
        _ => {}
    }
    let note = format!("note \"{}\", {}", dice.below(50), "x".repeat(dice.below(60) as usize));
    row.cells.push(cell(dice, &mut update, 0, note.as_bytes()));
    let total = (dice.below(1000) as u32).to_be_bytes();
    row.cells.push(cell(dice, &mut update, 1, &total));
    update.content.push(UpdateContent::Row(row));
    update
}

/// Objects of three hosts: each mutation on some of them, in an order of their own.
fn objects(count: usize) -> Vec<(String, Vec<u8>)> {
    let (mut dice, table) = (Dice::new(77), table());
    let mut streams: Vec<Vec<PartitionUpdate>> = vec![Vec::new(); HOSTS];
    for _ in 0..count {
        let update = mutation(&mut dice, &table);
        let sure = dice.below(HOSTS as u64) as usize;
        for (n, stream) in streams.iter_mut().enumerate() {
            if n == sure || dice.below(2) == 0 {
                let at = stream.len() - (dice.below(30) as usize).min(stream.len());
                stream.insert(at, update.clone());
            }
        }
    }
    let mut objects = Vec::new();
    for (n, stream) in streams.iter().enumerate() {
        let host_id = uuid::Uuid::from_u128(0xbeef + n as u128);
        let mut writer = ChangeRecordWriter::default();
        let mut position = LogPosition { segment: 1_700_000_000_000, offset: 0 };
        let mut start = position;
        for (i, update) in stream.iter().enumerate() {
            position.offset += 50;
            writer.begin(&Origin { host_id, position: Position::Log(position) });
            writer.update(update, false).unwrap();
            if dice.below(40) == 0 || i + 1 == stream.len() {
                let name = change_object(host_id, &Position::Log(start)).unwrap();
                objects.push((name, zstd::encode_all(&writer.take()[..], 1).unwrap()));
                start = position;
            }
        }
        let mark = Watermark { segment: position.segment, offset: position.offset, time: 1 };
        objects.push((watermark_object(host_id), mark.to_json().into_bytes()));
    }
    objects
}

enum Place {
    Directory(PathBuf),
    Bucket(Bucket),
}

impl Place {
    fn store(&self) -> Box<dyn Store> {
        match self {
            Self::Directory(directory) => Box::new(LocalStore::open(directory).unwrap()),
            Self::Bucket(bucket) => Box::new(bucket.store("run")),
        }
    }

    /// The side files of an extract that is sealed.
    fn prepare(&self, objects: &[(String, Vec<u8>)]) {
        let store = self.store();
        let run = serde_json::json!({
            "formatVersion": 1, "tool": "x", "clock": "2023-11-14T00:00:00Z", "profile": "dms",
            "metadata": "none", "compression": "none", "cluster": null, "partitioner": "x",
            "ownership": "all", "agents": 1, "options": {"tables": ["shop.orders"]},
            "schemaFingerprint": "x", "ring": [], "ranges": [], "fingerprint": "f",
        });
        store.put("_cassport/run.json", run.to_string().as_bytes()).unwrap();
        store.put("_cassport/schema.cql", SCHEMA.as_bytes()).unwrap();
        store.put("_cassport/complete.json", b"{\"formatVersion\":1}").unwrap();
        for (name, bytes) in objects {
            store.put(name, bytes).unwrap();
        }
    }

    fn sequence(&self, state: &Path, more: &[&str]) -> Command {
        let (output, endpoint);
        let mut arguments = vec!["sequence", "--output"];
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
        arguments.extend(["--now", CLOCK, "--memory", "16MiB", "--flush-size", "20KiB"]);
        arguments.extend(["--state-dir", state.to_str().unwrap()]);
        arguments.extend(more);
        command(&arguments)
    }

    /// What depends on the changes alone: the change files and the journal.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let store = self.store();
        let mut out = BTreeMap::new();
        for folder in ["cdc-changes/", "_cassport/sequence/0"] {
            for object in store.list(folder).unwrap() {
                let bytes = store.get(&object.name).unwrap().unwrap();
                out.insert(object.name, bytes);
            }
        }
        out
    }

    /// The rows that the change files leave, each line applied in order. An operation that does not fit is an error.
    fn rows(&self) -> BTreeMap<(String, String), Vec<String>> {
        let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (i, (name, bytes)) in
            self.files().into_iter().filter(|(name, _)| name.starts_with("cdc-")).enumerate()
        {
            assert_eq!(name, format!("cdc-changes/CDC{:010}.csv", i + 1));
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&bytes[..]);
            for record in reader.records() {
                let record: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
                let [operation, table, keyspace, customer, id, rest @ ..] = record.as_slice()
                else {
                    panic!("{record:?}");
                };
                assert_eq!((table.as_str(), keyspace.as_str()), ("orders", "shop"));
                let key = (customer.clone(), id.clone());
                let before = match operation.as_str() {
                    "DELETE" => rows.remove(&key),
                    _ => rows.insert(key.clone(), rest.to_vec()),
                };
                let fits = match operation.as_str() {
                    "INSERT" => before.is_none(),
                    "UPDATE" => before.as_deref().is_some_and(|before| before != rest),
                    "DELETE" => before.is_some() || !seen.contains(&key),
                    _ => false,
                };
                assert!(fits, "{name}: {record:?} after {before:?}");
                seen.insert(key);
            }
        }
        rows
    }
}

/// Starts `command` and kills it after `patience` unless it ended by itself; true if it was killed.
fn kill_after(mut command: Command, patience: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let mut words = String::new();
            std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut words).unwrap();
            assert!(status.success(), "{status}: {words}");
            return false;
        }
        if start.elapsed() >= patience {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn same(expected: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<String, Vec<u8>>, what: &str) {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(expected), names(found), "{what}: other files");
    for (name, bytes) in expected {
        assert!(*bytes == found[name], "{what}: {name} differs");
    }
}

fn killed_and_started_again(mut new_place: impl FnMut(usize) -> Place) {
    let (objects, scratch) = (objects(4000), tempfile::tempdir().unwrap());
    let state = |n: usize| scratch.path().join(format!("state{n}"));
    let reference = new_place(0);
    reference.prepare(&objects);
    let start = Instant::now();
    run(reference.sequence(&state(0), &["--once"]), 0);
    let usual = start.elapsed().as_micros() as u64;
    let expected = reference.files();
    assert!(expected.len() > 20, "{}", expected.len());
    assert!(reference.rows().len() > 100);
    let mut dice = Dice::new(0);
    let (mut dealt, mut outputs) = (0, 0);
    while dealt < kills() {
        outputs += 1;
        let place = new_place(outputs);
        place.prepare(&objects);
        for _ in 0..1 + dice.below(5) {
            let patience = Duration::from_micros(dice.below(usual + usual / 4));
            dealt +=
                usize::from(kill_after(place.sequence(&state(outputs), &["--once"]), patience));
            // A state that is lost is made again.
            if dice.below(4) == 0 && state(outputs).exists() {
                std::fs::remove_dir_all(state(outputs)).unwrap();
            }
        }
        run(place.sequence(&state(outputs), &["--once"]), 0);
        same(&expected, &place.files(), &format!("output {outputs} after {dealt} kills"));
    }
    eprintln!("{dealt} kills over {outputs} outputs");
}

#[test]
fn killed_at_any_instant_and_started_again_a_directory_has_the_same_change_files() {
    let scratch = tempfile::tempdir().unwrap();
    killed_and_started_again(|n| Place::Directory(scratch.path().join(n.to_string())));
}

#[test]
fn killed_at_any_instant_and_started_again_a_bucket_has_the_same_change_files() {
    let server = servers::s3s_fs();
    killed_and_started_again(|_| Place::Bucket(server.bucket()));
}

#[test]
fn killed_while_changes_come_in_the_rows_are_those_of_an_undisturbed_run() {
    let (objects, scratch) = (objects(2500), tempfile::tempdir().unwrap());
    let reference = Place::Directory(scratch.path().join("reference"));
    reference.prepare(&objects);
    run(reference.sequence(&scratch.path().join("state"), &["--once"]), 0);
    let place = Place::Directory(scratch.path().join("disturbed"));
    place.prepare(&[]);
    let state = scratch.path().join("disturbed-state");
    let dealt = std::thread::scope(|scope| {
        let (place, objects) = (&place, &objects);
        scope.spawn(move || {
            let store = place.store();
            for (name, bytes) in objects {
                store.put(name, bytes).unwrap();
                std::thread::sleep(Duration::from_millis(12));
            }
        });
        let (mut dice, mut dealt) = (Dice::new(5), 0);
        while dealt < kills() {
            let patience = Duration::from_millis(20 + dice.below(500));
            let flags = ["--flush-interval", "20ms"];
            dealt += usize::from(kill_after(place.sequence(&state, &flags), patience));
        }
        dealt
    });
    run(place.sequence(&state, &["--once"]), 0);
    assert_eq!(place.rows(), reference.rows());
    eprintln!("{dealt} kills; {} and {} files", place.files().len(), reference.files().len());
}

#[test]
fn one_sequencer_at_a_time_and_a_signal_ends_it_in_order() {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("o"));
    place.prepare(&objects(50));
    let state = scratch.path().join("s");
    let mut first = place.sequence(&state, &["--flush-interval", "20ms", "--heartbeat", "200ms"]);
    let mut first = first.stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while place.rows().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let flags = ["--once", "--heartbeat", "200ms"];
    let refused = run(place.sequence(&scratch.path().join("s2"), &flags), 4);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("the sequencer of this output is being run by process"), "{words}");
    let pid = rustix::process::Pid::from_child(&first);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(first.wait().unwrap().success());
    assert!(place.store().get("_cassport/sequence/claim.json").unwrap().is_none());
    run(place.sequence(&state, &["--once"]), 0);
}

#[test]
fn without_a_sealed_extract_nothing_is_written_and_that_is_said() {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("o"));
    place.prepare(&objects(50));
    place.store().delete("_cassport/complete.json").unwrap();
    let state = scratch.path().join("s");
    let held = run(place.sequence(&state, &["--once"]), 1);
    assert!(String::from_utf8_lossy(&held.stderr).contains("held back until"));
    assert!(place.files().is_empty());
    run(place.sequence(&state, &["--once", "--release"]), 0);
    assert!(!place.rows().is_empty());
}

#[test]
fn on_a_full_disk_it_ends_with_4_and_goes_on_when_there_is_room() {
    let objects = objects(4000);
    let scratch = tempfile::tempdir().unwrap();
    let reference = Place::Directory(scratch.path().join("reference"));
    reference.prepare(&objects);
    run(reference.sequence(&scratch.path().join("reference-state"), &["--once"]), 0);
    let expected = reference.files();
    let disk = scratch.path().join("disk");
    // The state, and then the output, on the disk that is full; the other one has room.
    for of_state in [true, false] {
        let (copy, other) = (scratch.path().join("copy"), scratch.path().join("other"));
        let (output, state) = if of_state {
            (other.clone(), disk.join("s"))
        } else {
            (disk.join("out"), other.clone())
        };
        Place::Directory(if of_state { other.clone() } else { copy.join("out") }).prepare(&objects);
        // What is there before, in pages.
        let blocks: usize = match of_state {
            true => 0,
            false => tree(&copy).values().map(|bytes| bytes.len().div_ceil(4096)).sum(),
        };
        let base = u32::try_from(blocks * 4).unwrap();
        let mut full = 0;
        for kilobytes in [base + 16, base + 64, base + 150, base + 300, 64 << 10] {
            let command = Place::Directory(output.clone()).sequence(&state, &["--once"]);
            let Some(done) = on_a_small_disk(&command, &disk, kilobytes, &copy) else { return };
            let said = stderr(&done);
            match done.status.code() {
                Some(4) => {
                    full += 1;
                    assert!(said.contains("No space left on device"), "{kilobytes} kB: {said}");
                }
                code => assert_eq!(code, Some(0), "{kilobytes} kB: {said}"),
            }
        }
        assert!(full >= 2, "{full} times full, of the state: {of_state}");
        let found = Place::Directory(if of_state { other.clone() } else { copy.join("out") });
        same(&expected, &found.files(), if of_state { "state" } else { "output" });
        std::fs::remove_dir_all(&copy).unwrap();
        std::fs::remove_dir_all(&other).unwrap();
    }
}

/// The change files that come of these records, which are all of one host and come at once.
fn sequenced(records: &[&str]) -> Vec<String> {
    sequenced_in_turn(&[records])
}

/// The change files that come of the records of several segments of one host, each of which comes when the one before is
/// sequenced.
fn sequenced_in_turn(segments: &[&[&str]]) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let place = Place::Directory(scratch.path().join("out"));
    let host_id = uuid::Uuid::from_u128(0xbeef);
    let id = table().id;
    for (segment, records) in (7..).zip(segments) {
        let line = |(i, record): (usize, &&str)| {
            let (op, rest) = record.split_once('|').unwrap();
            let id = id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
            format!(
                "{{\"op\":\"{op}\",\"keyspace\":\"shop\",\"table\":\"orders\",\"tableId\":{id},{rest},\"hostId\":\"{host_id}\",\
                 \"position\":{{\"segment\":{segment},\"offset\":50}},\"index\":{i}}}\n"
            )
        };
        let lines: String = records.iter().enumerate().map(line).collect();
        let start = Position::Log(LogPosition { segment, offset: 0 });
        let name = change_object(host_id, &start).unwrap();
        place.prepare(&[(name, zstd::encode_all(lines.as_bytes(), 1).unwrap())]);
        run(place.sequence(&scratch.path().join("state"), &["--once"]), 0);
    }
    let files = place.files().into_iter().filter(|(name, _)| name.starts_with("cdc-"));
    let text: String = files.map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_the_target_may_have_is_deleted_there_also_where_the_tail_saw_it_late() {
    // Of a row that nobody inserted tombstones are all that is left, also in what was stored when the tail looked.
    let lines = sequenced(&[
        r#"upsert|"key":{"customer":1,"id":2},"cells":{"note":{"deleted":true,"writetime":5}},"base":true"#,
        r#"upsert|"key":{"customer":1,"id":2},"cells":{"note":{"deleted":true,"writetime":5}}"#,
    ]);
    assert!(lines.len() == 1 && lines[0].starts_with("DELETE,orders,shop,1,2,"), "{lines:?}");
    // The partition had no rows when it was loaded, and has one by the time of its first batch.
    let lines = sequenced(&[
        r#"upsert|"key":{"customer":1},"static":true,"cells":{"name":{"value":"a","writetime":5}}"#,
        r#"upsert|"key":{"customer":1,"id":2},"marker":{"writetime":6},"cells":{}"#,
    ]);
    let begins = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    let counts = (begins("INSERT,orders,shop,1,2,"), begins("DELETE,orders,shop,1,"), lines.len());
    assert_eq!(counts, (1, 1, 2), "{lines:?}");
}

#[test]
fn a_row_that_was_stored_and_is_deleted_by_what_came_before_is_deleted_in_the_target() {
    // The deletion of the partition is of a segment that came first. What deletes the row now deletes nothing any more.
    let partition = r#"delete_partition|"key":{"customer":1},"deleted":9"#;
    let stored =
        r#"upsert|"key":{"customer":1,"id":2},"marker":{"writetime":5},"cells":{},"base":true"#;
    let range = r#"delete_range|"key":{"customer":1},"range":{"start":{"values":[1],"inclusive":true}},"deleted":6"#;
    let deletes = |lines: &[String]| {
        lines.iter().filter(|line| line.starts_with("DELETE,orders,shop,1,2,")).count()
    };
    for segments in [&[&[partition][..], &[stored, range]][..], &[&[partition, stored, range]]] {
        let lines = sequenced_in_turn(segments);
        assert_eq!(deletes(&lines), 1, "{lines:?}");
    }
    // A row that outlives it has other static columns now.
    let newer =
        r#"upsert|"key":{"customer":1,"id":2},"marker":{"writetime":20},"cells":{},"base":true"#;
    let lines = sequenced_in_turn(&[&[partition], &[newer, range]]);
    let updates = lines.iter().filter(|line| line.starts_with("UPDATE,orders,shop,1,2,"));
    assert_eq!(updates.count(), 1, "{lines:?}");
}

#[test]
fn the_record_of_a_partition_without_rows_goes_with_the_partition() {
    let stored = r#"upsert|"key":{"customer":1},"static":true,"cells":{"name":{"value":"a","writetime":5}},"base":true"#;
    let deletion = r#"delete_partition|"key":{"customer":1},"deleted":9"#;
    let lines = sequenced(&[stored, deletion]);
    assert!(lines.len() == 1 && lines[0].starts_with("DELETE,orders,shop,1,"), "{lines:?}");
    // A copy of it is nothing new, also when something else of the partition came in between.
    let late = r#"delete|"key":{"customer":1,"id":2},"deleted":6"#;
    let lines = sequenced(&[deletion, late, deletion]);
    assert!(lines.len() == 2 && lines[0].starts_with("DELETE,orders,shop,1,"), "{lines:?}");
}

#[test]
fn a_partition_whose_last_row_is_deleted_is_one_record_though_nobody_wrote_its_static_columns() {
    let base = [
        r#"upsert|"key":{"customer":1},"static":true,"cells":{"name":{"value":"a","writetime":5}},"base":true"#,
        r#"upsert|"key":{"customer":1,"id":2},"marker":{"writetime":5},"cells":{},"base":true"#,
        r#"upsert|"key":{"customer":1,"id":3},"marker":{"writetime":5},"cells":{},"base":true"#,
    ];
    let delete = |id: u32| format!("delete|\"key\":{{\"customer\":1,\"id\":{id}}},\"deleted\":6");
    let (first, second) = (delete(2), delete(3));
    let lines = sequenced(&[base[0], base[1], base[2], &first]);
    assert!(lines[0].starts_with("DELETE,orders,shop,1,2,"), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("DELETE,")), "{lines:?}");
    let lines = sequenced(&[base[0], base[1], base[2], &first, &second]);
    let of = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    assert_eq!(
        (of("DELETE,orders,shop,1,"), of("INSERT,orders,shop,1,"), lines.len()),
        (2, 1, 3),
        "{lines:?}"
    );
}
