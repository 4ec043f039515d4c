//! Tails over copies of what a real node wrote, step by step.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use super::*;
use crate::changes::{LogPosition, Position, change_folder, change_object};
use crate::commitlog::{Bound, CommitLogPosition, EncryptionKeys, SegmentReader, SegmentStep};
use crate::discover::InputOptions;
use crate::progress::NoEvents;
use crate::store::Location;
use crate::store::s3::S3Options;
use crate::tail::follower::Standing;
use crate::tail::sink::Sink;
use crate::tail::translate::Translated;
use crate::tail::{Base, Follow, Shipped, TailOptions};

const CORPUS: &str = "testdata/3.11-cdc";
static GOES_ON: AtomicI32 = AtomicI32::new(0);

/// Whole segments of `cdc_raw` of 3.11, in order.
fn segments() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(format!("{CORPUS}/cdc_raw")).unwrap();
    let mut segments: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    segments
}

fn copy(segment: &Path, to: &Path) -> PathBuf {
    let to = to.join(segment.file_name().unwrap());
    std::fs::copy(segment, &to).unwrap();
    to
}

struct Place {
    directory: tempfile::TempDir,
    options: TailOptions,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [live, archive, output] =
            ["live", "archive", "out"].map(|name| directory.path().join(name));
        for path in [&live, &archive] {
            std::fs::create_dir(path).unwrap();
        }
        let options = TailOptions {
            input: InputOptions {
                data_dirs: vec![format!("{CORPUS}/data").into()],
                ..InputOptions::default()
            },
            cdc_raw: None,
            commitlog_dir: None,
            archive: None,
            backups: false,
            output: Location::Directory(output),
            s3: S3Options::default(),
            state_dir: directory.path().join("state"),
            follow: Follow::Marked,
            base: Base::None,
            flush_interval: Duration::ZERO,
            flush_size: 1 << 30,
            once: false,
            shipped: Shipped::Keep,
            now: None,
            memory: 64 << 20,
            cdc_total_space: None,
            sync_period: Duration::from_secs(1),
            host_id: None,
            keys: EncryptionKeys::default(),
        };
        Self { directory, options }
    }

    fn live() -> (Self, PathBuf) {
        let mut place = Self::new();
        let live = place.directory.path().join("live");
        place.options.commitlog_dir = Some(live.clone());
        (place, live)
    }

    /// A live directory with these segments, to be shipped with stored rows in one object for each.
    fn with_base(segments: &[PathBuf]) -> Self {
        let (mut place, live) = Self::live();
        place.options.base = Base::Auto;
        place.options.flush_interval = Duration::from_secs(3600);
        for segment in segments {
            copy(segment, &live);
        }
        place
    }

    fn archive() -> (Self, PathBuf) {
        let mut place = Self::new();
        let archive = place.directory.path().join("archive");
        place.options.archive = Some(archive.clone());
        (place, archive)
    }

    fn tail(&self) -> Tail<'_> {
        let mut tail = Tail::open(&self.options, &NoEvents, &GOES_ON).unwrap();
        tail.list().unwrap();
        tail
    }
}

/// Reads and ships what is there; the watermark then, if there is one.
fn shipped(tail: &mut Tail<'_>) -> Option<i64> {
    while tail.pass().unwrap() {}
    tail.shipper.drain(&mut tail.stored).unwrap();
    tail.settle().unwrap();
    tail.watermarks.due(Duration::ZERO, tail.followers.values()).map(|mark| mark.time)
}

/// Nothing more is expected of any segment.
fn is_ended(tail: &Tail<'_>) -> bool {
    tail.followers.values().all(|follower| follower.standing == Standing::Ended)
}

/// How many mutations are in whole segments.
fn mutations(segments: &[PathBuf]) -> u64 {
    let (place, archive) = Place::archive();
    for segment in segments {
        let copied = copy(segment, &archive);
        age(&copied);
    }
    let mut tail = place.tail();
    while tail.pass().unwrap() {}
    assert!(tail.report.is_whole(), "{:?}", tail.report);
    assert!(is_ended(&tail), "old ones are final");
    tail.report.mutations
}

/// Gives a file a time of change of long ago.
fn age(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .unwrap();
}

#[test]
fn what_came_after_the_last_listing_does_not_count_as_shipped() {
    let segments = segments();
    let (place, live) = Place::live();
    copy(&segments[0], &live);
    let mut tail = place.tail();
    let listed = tail.listed.0;
    // Reading takes long; meanwhile another segment is made, and written to.
    std::thread::sleep(Duration::from_secs(3));
    copy(&segments[1], &live);
    let mark = shipped(&mut tail).unwrap();
    assert!(mark < listed, "{mark} {listed}");
    // It is found although there was always something to read.
    std::thread::sleep(LIST);
    tail.list_if_due().unwrap();
    assert_eq!(tail.followers.len(), 2);
}

#[test]
fn segments_that_are_removed_before_it_is_their_turn_are_read_all_the_same() {
    let segments = segments();
    let (place, live) = Place::live();
    let copies: Vec<PathBuf> = segments.iter().map(|segment| copy(segment, &live)).collect();
    let mut tail = place.tail();
    // A snapshot flushes everything, and Cassandra discards the log.
    for path in &copies {
        std::fs::remove_file(path).unwrap();
    }
    tail.list().unwrap();
    while tail.pass().unwrap() {}
    assert_eq!(tail.report.lost, [""; 0]);
    assert_eq!(tail.report.mutations, mutations(&segments));
}

#[test]
fn a_segment_that_is_being_copied_into_the_archive_is_read_to_its_end() {
    let segment = &segments()[0];
    let whole = std::fs::read(segment).unwrap();
    let expected = mutations(std::slice::from_ref(segment));
    // Where a section ends nothing shows that more is to come; anywhere else the section is cut off.
    let boundary = u32::from_be_bytes(whole[next_marker(&whole)..][..4].try_into().unwrap());
    let middle = whole.len() / 2;
    for cut in [10, boundary as usize, boundary as usize + 4, middle, whole.len() - 70] {
        let (place, archive) = Place::archive();
        let target = archive.join(segment.file_name().unwrap());
        std::fs::write(&target, &whole[..cut]).unwrap();
        let mut tail = place.tail();
        let mark = shipped(&mut tail);
        assert!(!is_ended(&tail), "cut at {cut}");
        assert!(tail.report.mutations < expected, "cut at {cut}");
        assert_eq!(mark, None, "cut at {cut}");
        // A copy that stalls is no other thing.
        if cut > boundary as usize + 8 {
            age(&target);
            while tail.pass().unwrap() {}
            assert!(!is_ended(&tail), "cut at {cut}");
        }
        std::fs::write(&target, &whole).unwrap();
        while tail.pass().unwrap() {}
        assert_eq!(tail.report.mutations, expected, "cut at {cut}");
        assert!(tail.report.is_whole(), "cut at {cut}: {:?}", tail.report);
        age(&target);
        while tail.pass().unwrap() {}
        assert!(is_ended(&tail), "cut at {cut}");
    }
}

/// Where the first section's marker is: behind the header, which has a length of its JSON.
fn next_marker(segment: &[u8]) -> usize {
    let json = u16::from_be_bytes(segment[12..14].try_into().unwrap());
    14 + usize::from(json) + 4
}

#[test]
fn an_archived_segment_that_is_removed_unread_is_a_loss_and_so_is_one_that_is_damaged() {
    let segments = segments();
    let (place, archive) = Place::archive();
    let copied = copy(&segments[0], &archive);
    let tail = place.tail();
    let folder = change_folder(tail.host);
    drop(tail);
    std::fs::remove_file(&copied).unwrap();
    // The one that was listed, and was not opened, is known by the state.
    let mut tail = place.tail();
    tail.list().unwrap();
    assert_eq!(tail.report.lost, [""; 0], "nothing was saved");
    copy(&segments[0], &archive);
    tail.list().unwrap();
    tail.save_positions().unwrap();
    drop(tail);
    std::fs::remove_file(&copied).unwrap();
    let tail = place.tail();
    assert_eq!(tail.report.lost.len(), 1, "{:?}", tail.report);
    assert!(tail.report.lost[0].contains("vanished before it was read"), "{:?}", tail.report);
    drop(tail);

    let (place, archive) = Place::archive();
    let copied = copy(&segments[0], &archive);
    let mut bytes = std::fs::read(&copied).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(&copied, bytes).unwrap();
    age(&copied);
    let mut tail = place.tail();
    while tail.pass().unwrap() {}
    assert_eq!((tail.report.damages, tail.report.lost.len()), (1, 1), "{:?}", tail.report);
    let notes = tail.store.list(&format!("{folder}lost/")).unwrap();
    assert_eq!(notes.len(), 1, "for seal");
}

#[test]
fn what_was_held_and_is_stored_by_a_run_that_died_is_not_stored_again() {
    let (place, live) = Place::live();
    let segment = copy(&segments()[0], &live);
    let mut reader = SegmentReader::open(&segment, &place.options.keys).unwrap().unwrap();
    let version = reader.descriptor().version;
    let mut tail = Tail::open(&place.options, &NoEvents, &GOES_ON).unwrap();
    let mut held = Vec::new();
    while let SegmentStep::Entry { end, payload } = reader.next(Bound::whole()).unwrap() {
        let mut sink =
            Sink { object: &mut None, start: 0, workshop: &tail.workshop, cancel: &GOES_ON };
        let translated = tail.translator.mutation(version, end, payload, &mut sink).unwrap();
        let is_shipped = matches!(translated, Translated::Records(1..));
        if is_shipped {
            tail.held.keep(end, version, payload).unwrap();
            held.push(end);
        }
    }
    let name = |end: CommitLogPosition| {
        let at = LogPosition::try_from(end).unwrap();
        change_object(tail.host, &Position::Log(at)).unwrap()
    };
    let names: Vec<String> = held.iter().copied().map(name).collect();
    // By that run's look at the stored rows.
    tail.store.put(&names[0], b"other bytes").unwrap();
    tail.ship_held().unwrap();
    assert_eq!(tail.held.all(), []);
    assert_eq!(tail.store.get(&names[0]).unwrap().unwrap(), b"other bytes");
    let stored = tail.store.list(&change_folder(tail.host)).unwrap().len();
    assert_eq!((stored, tail.report.adopted), (names.len(), 1));
}

#[test]
fn what_is_held_for_a_new_reason_does_not_count_as_shipped() {
    let (place, live) = Place::live();
    copy(&segments()[0], &live);
    let mut tail = place.tail();
    assert!(shipped(&mut tail).is_some());
    tail.held_until = Some(Instant::now() + Duration::from_millis(500));
    assert_eq!(shipped(&mut tail), None);
    std::thread::sleep(Duration::from_millis(500));
    assert!(shipped(&mut tail).is_some());
}

/// Names and records of the objects of a tail.
fn objects(tail: &Tail<'_>) -> Vec<(String, Vec<u8>)> {
    let listed = tail.store.list(&change_folder(tail.host)).unwrap();
    let names = listed.into_iter().map(|object| object.name);
    let of_records = names.filter(|name| name.ends_with(".zst"));
    let read = |name: String| {
        let bytes = tail.store.get(&name).unwrap().unwrap();
        (name, bytes)
    };
    of_records.map(read).collect()
}

fn ship_all(tail: &mut Tail<'_>) {
    while tail.pass().unwrap() {}
    let ids: Vec<i64> = tail.followers.keys().copied().collect();
    for id in ids {
        tail.with_follower(id, Tail::ship).unwrap();
    }
    tail.shipper.drain(&mut tail.stored).unwrap();
    tail.settle().unwrap();
}

#[test]
fn objects_that_outgrow_the_memory_are_the_same() {
    let shipped = |memory: usize, large: usize| {
        let place = Place::with_base(&segments());
        let mut tail = place.tail();
        tail.workshop.memory = memory;
        tail.workshop.large = large;
        ship_all(&mut tail);
        objects(&tail)
    };
    let in_memory = shipped(1 << 20, 1 << 20);
    assert!(in_memory.iter().any(|(_, bytes)| bytes.len() > 1_000));
    assert_eq!(shipped(100, 0), in_memory);
}

#[test]
fn a_signal_ends_the_reading_of_stored_rows_and_the_next_run_begins_that_mutation_anew() {
    static STOPS: AtomicI32 = AtomicI32::new(0);
    let whole = Place::with_base(&segments()[..1]);
    let mut tail = whole.tail();
    ship_all(&mut tail);
    let expected = objects(&tail);

    let place = Place::with_base(&segments()[..1]);
    let mut tail = Tail::open(&place.options, &NoEvents, &STOPS).unwrap();
    tail.workshop.large = 0;
    tail.list().unwrap();
    STOPS.store(15, std::sync::atomic::Ordering::Relaxed);
    // A pass is one mutation now, until one has stored rows before it.
    let mut reached = 0;
    let mut passes = 0..1_000;
    let id = loop {
        assert!(passes.next().is_some(), "no stored rows, or no end of reading them");
        tail.pass().unwrap();
        let (&id, follower) = tail.followers.iter().next().unwrap();
        if follower.offset < reached {
            assert_eq!(follower.offset, follower.next_object);
            assert!(follower.object.is_none(), "all or nothing of a mutation");
            break id;
        }
        reached = follower.offset;
    };
    assert!(tail.report.mutations > 1);
    tail.save_positions().unwrap();
    assert_eq!(objects(&tail), []);
    drop(tail);
    let mut tail = place.tail();
    assert!(tail.followers.contains_key(&id));
    ship_all(&mut tail);
    assert_eq!(objects(&tail), expected);
}
