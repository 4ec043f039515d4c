use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::large::{PartitionMemory, SplitMemory};
use super::super::source::OverlaySource;
use super::*;
use crate::dht::{Partitioner, Token, TokenRange};
use crate::merge::TieBreak;
use crate::rows::{PartitionSource, Unfiltered};
use crate::schema::parse_schema;

fn id(number: u128) -> TableId {
    TableId(Uuid::from_u128(0x1000_0000_0000_1000_8000_0000_0000_0000 + number))
}

/// Table `ks.tN` with id N.
fn table(number: u128) -> Arc<TableMetadata> {
    let text = format!("CREATE TABLE ks.t{number} (k blob PRIMARY KEY, v blob);");
    let mut table =
        parse_schema(&text, None).unwrap().table("ks", &format!("t{number}")).unwrap().clone();
    table.id = Some(id(number));
    Arc::new(table)
}

/// A mutation of one row: its key, its write time (less than 64) and its value.
fn mutation(number: u128, key: &[u8], time: u8, value: &[u8]) -> Vec<u8> {
    let len = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let mut out = vec![1];
    out.extend(id(number).0.as_bytes());
    out.push(len(key));
    out.extend(key);
    out.extend([0x10, time, 0, 0, 1, 1, b'v', 1, 0x24, 0, 8, len(value)]);
    out.extend(value);
    out.push(1);
    out
}

fn crc(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_be_bytes()
}

/// Writes a segment with one section for each list of mutations; the position of each mutation.
fn segment(directory: &Path, number: i64, sections: &[Vec<Vec<u8>>]) -> (PathBuf, Vec<i32>) {
    let halves = |at: usize| {
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        [&[e, f, g, h, a, b, c, d][..], &u32::try_from(at).unwrap().to_be_bytes()[..]].concat()
    };
    let mut out = 7_u32.to_be_bytes().to_vec();
    out.extend(number.to_be_bytes());
    out.extend([0, 2, b'{', b'}']);
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    out.extend(crc(&[&[0, 0, 0, 7], &[e, f, g, h, a, b, c, d], &[0, 0, 0, 2], b"{}"]));
    let mut ends = Vec::new();
    for section in sections {
        let marker = out.len();
        out.extend([0; 8]);
        for payload in section {
            let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
            out.extend(len);
            out.extend(crc(&[&len]));
            out.extend(payload);
            out.extend(crc(&[&len, payload]));
            ends.push(i32::try_from(out.len()).unwrap());
        }
        let end = u32::try_from(out.len()).unwrap().to_be_bytes();
        out[marker..marker + 4].copy_from_slice(&end);
        out[marker + 4..marker + 8].copy_from_slice(&crc(&[&halves(marker)]));
    }
    out.extend([0; 4096]);
    let path = directory.join(format!("CommitLog-7-{number}.log"));
    std::fs::write(&path, out).unwrap();
    (path, ends)
}

/// A log in a directory, and how it is to be replayed.
struct Log {
    dir: tempfile::TempDir,
    tables: Vec<OverlayTable>,
    truncated_at: BTreeMap<TableId, CommitLogPosition>,
    partitioner: Partitioner,
    schema_persisted: BTreeMap<TableId, PersistedPositions>,
    memory: usize,
    skip_damage: bool,
}

impl Log {
    fn new(tables: &[u128]) -> Self {
        let wanted = |number: &u128| OverlayTable {
            table: table(*number),
            persisted: PersistedPositions::default(),
        };
        Self {
            dir: tempfile::tempdir().unwrap(),
            tables: tables.iter().map(wanted).collect(),
            truncated_at: BTreeMap::new(),
            partitioner: Partitioner::Murmur3,
            schema_persisted: BTreeMap::new(),
            memory: 1 << 20,
            skip_damage: false,
        }
    }

    fn segment(&self, number: i64, sections: &[Vec<Vec<u8>>]) -> Vec<i32> {
        segment(self.dir.path(), number, sections).1
    }

    /// Replays it; tables up to 7 are known.
    fn replay(&self) -> Result<Overlay> {
        let segments = find_segments(&[self.dir.path().to_path_buf()])?;
        let known: BTreeMap<TableId, Arc<TableMetadata>> =
            (0..8).map(|number| (id(number), table(number))).collect();
        replay(
            self.tables.clone(),
            &ReplayOptions {
                segments: &segments,
                keys: &EncryptionKeys::none(),
                known: &|id| known.get(&id).cloned(),
                truncated_at: &self.truncated_at,
                partitioner: &self.partitioner,
                schema_persisted: &self.schema_persisted,
                memory: self.memory,
                directory: self.dir.path(),
                skip_damage: self.skip_damage,
                cancel: &AtomicI32::new(0),
            },
        )
    }
}

/// Memory of which all but a hundred bytes are for one split at a time.
fn memory(large: usize) -> Arc<SplitMemory> {
    SplitMemory::new(&PartitionMemory::new(100, large))
}

type Rows = Vec<(Vec<u8>, i64, Vec<u8>)>;

/// Keys, write times and values of a table in a range.
fn rows_in(overlay: &Overlay, table: u32, range: TokenRange) -> Rows {
    let mut source =
        OverlaySource::new(overlay, table, range, TieBreak::From40, 0, &memory(1 << 20)).unwrap();
    let mut rows = Vec::new();
    while !source.is_done() {
        assert!(range.contains(source.token()));
        source.begin().unwrap();
        assert_eq!(source.next().unwrap(), Unfiltered::Row);
        let view = source.row();
        let cell = view.row.cells[0];
        rows.push((source.key().to_vec(), cell.timestamp, cell.value.of(view.data).to_vec()));
        assert_eq!(source.next().unwrap(), Unfiltered::End);
        source.finish().unwrap();
    }
    rows
}

fn rows(overlay: &Overlay, table: u32) -> Rows {
    let mut rows = rows_in(overlay, table, TokenRange::ALL);
    rows.sort();
    rows
}

/// The base of write times in mutations.
const EPOCH: i64 = 1_442_880_000_000_000;

fn row(key: &[u8], time: i64, value: &[u8]) -> (Vec<u8>, i64, Vec<u8>) {
    (key.to_vec(), EPOCH + time, value.to_vec())
}

#[test]
fn what_no_sstable_has_is_taken_and_the_newest_of_it_stays() {
    let mut log = Log::new(&[1, 2]);
    let first = log.segment(
        5,
        &[
            vec![mutation(1, b"a", 1, b"old"), mutation(2, b"a", 9, b"other")],
            vec![mutation(1, b"b", 1, b"flushed")],
        ],
    );
    log.segment(
        7,
        &[vec![
            mutation(1, b"a", 3, b"new"),
            mutation(1, b"a", 2, b"late"),
            mutation(3, b"x", 1, b""),
        ]],
    );
    log.segment(9, &[]);
    let at = |position| CommitLogPosition { segment_id: 5, position };
    log.tables[0].persisted.add(at(first[2]), at(first[2]));
    let overlay = log.replay().unwrap();
    assert_eq!(rows(&overlay, 0), [row(b"a", 3, b"new")]);
    assert_eq!(rows(&overlay, 1), [row(b"a", 9, b"other")]);
    assert_eq!((overlay.updates.as_slice(), overlay.persisted), (&[3, 1][..], 1));
    let names: Vec<_> = overlay.segments.iter().map(|s| (s.id, s.mutations)).collect();
    assert_eq!(names, [(5, 3), (7, 3)], "a segment without mutations is not worth a word");
    let last = CommitLogPosition { segment_id: 7, position: overlay.segments[1].end };
    assert_eq!(overlay.read_to, Some(last), "not the segment that was made in advance");
    assert_eq!(overlay.number_of(&table(2)), Some(1));
    assert_eq!(overlay.number_of(&table(3)), None);
    assert_eq!(overlay.unknown, UnknownUpdates::default(), "table 3 is known, but not wanted");
    assert!(overlay.notices.is_empty() && overlay.damage.is_empty());
}

#[test]
fn what_is_at_or_before_a_truncation_is_gone() {
    let mut log = Log::new(&[1]);
    let ends = log.segment(
        5,
        &[vec![mutation(1, b"a", 1, b"1"), mutation(1, b"b", 1, b"2"), mutation(1, b"c", 1, b"3")]],
    );
    log.segment(6, &[vec![mutation(1, b"a", 1, b"4")]]);
    let at = CommitLogPosition { segment_id: 5, position: ends[1] };
    log.truncated_at.insert(id(1), at);
    let overlay = log.replay().unwrap();
    assert_eq!(rows(&overlay, 0), [row(b"a", 1, b"4"), row(b"c", 1, b"3")]);
}

#[test]
fn updates_of_tables_that_nobody_knows_are_counted() {
    let log = Log::new(&[1]);
    log.segment(
        5,
        &[vec![
            mutation(20, b"a", 1, b"1"),
            mutation(21, b"a", 1, b"1"),
            mutation(20, b"b", 1, b"1"),
            mutation(1, b"b", 1, b"1"),
        ]],
    );
    let overlay = log.replay().unwrap();
    assert_eq!(overlay.unknown.updates, 3);
    assert_eq!(overlay.unknown.tables, BTreeSet::from([id(20), id(21)]));
    assert_eq!(rows(&overlay, 0).len(), 1);
}

#[test]
fn little_memory_changes_nothing_but_where_the_updates_are() {
    let mut log = Log::new(&[1, 2]);
    let mut expected: BTreeMap<(u128, Vec<u8>), (u8, Vec<u8>)> = BTreeMap::new();
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    for number in 0..4 {
        let sections: Vec<Vec<Vec<u8>>> = (0..5)
            .map(|_| {
                let one = |_| {
                    let table = u128::from(1 + random(2));
                    let key = vec![b'k', u8::try_from(random(60)).unwrap()];
                    let time = u8::try_from(random(20)).unwrap();
                    let value = vec![u8::try_from(random(200)).unwrap(); 20];
                    let best = expected.entry((table, key.clone())).or_default();
                    *best = (time, value.clone()).max(best.clone());
                    mutation(table, &key, time, &value)
                };
                (0..60).map(one).collect()
            })
            .collect();
        log.segment(number, &sections);
    }
    let expected_of = |table: u128| {
        let of_table = expected.iter().filter(|((t, _), _)| *t == table);
        of_table
            .map(|((_, key), (time, value))| row(key, i64::from(*time), value))
            .collect::<Rows>()
    };
    for (memory, spills) in [(1 << 30, false), (4_000, true), (60_000, true)] {
        log.memory = memory;
        let overlay = log.replay().unwrap();
        assert_eq!(overlay.spilled > 0, spills, "{memory}");
        assert!(overlay.runs().len() <= 17, "{}", overlay.runs().len());
        for (number, table) in [(0, 1), (1, 2)] {
            assert_eq!(rows(&overlay, number), expected_of(table), "{memory}");
            // In token order, whatever the pieces.
            let whole = rows_in(&overlay, number, TokenRange::ALL);
            let mut joined = Vec::new();
            let mut start = Token::MIN;
            for end in [-(1_i64 << 62), -5, 0, 1 << 60, i64::MAX].map(Token) {
                joined.extend(rows_in(&overlay, number, TokenRange { start, end }));
                start = end;
            }
            assert_eq!(joined, whole);
        }
        let left: Vec<_> = std::fs::read_dir(log.dir.path()).unwrap().collect();
        assert_eq!(left.len(), 4, "files of runs have no name");
    }
}

#[test]
fn a_partition_that_is_too_large_says_what_to_do() {
    let log = Log::new(&[1]);
    log.segment(1, &[(0..60).map(|time| mutation(1, b"a", time, &[7; 100])).collect()]);
    let overlay = log.replay().unwrap();
    let few = memory(4_000);
    let error =
        OverlaySource::new(&overlay, 0, TokenRange::ALL, TieBreak::From40, 0, &few).unwrap_err();
    assert!(error.to_string().contains("partition key 0x61"), "{error}");
    assert!(error.hint().unwrap().contains("--memory"), "{error}");
    assert_eq!(rows(&overlay, 0), [row(b"a", 59, &[7; 100])]);
}

fn damage(log: &Log, number: i64, offset: usize) {
    let path = log.dir.path().join(format!("CommitLog-7-{number}.log"));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[offset] ^= 1;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn only_the_last_segment_may_end_in_damage() {
    let mut log = Log::new(&[1]);
    let first = log.segment(
        5,
        &[vec![mutation(1, b"a", 1, b"1"), mutation(1, b"b", 1, b"2"), mutation(1, b"c", 1, b"3")]],
    );
    log.segment(8, &[]);
    // In the last of its mutations: what was being written.
    let last = usize::try_from(first[2]).unwrap() - 6;
    damage(&log, 5, last);
    let overlay = log.replay().unwrap();
    assert_eq!(rows(&overlay, 0), [row(b"a", 1, b"1"), row(b"b", 1, b"2")]);
    assert!(overlay.notices[0].contains("when the node stopped"), "{:?}", overlay.notices);
    // With anything behind it in the same segment or a later one it is damage.
    log.segment(7, &[vec![mutation(1, b"d", 1, b"4")]]);
    let error = log.replay().unwrap_err();
    assert!(error.to_string().contains("CommitLog-7-5.log"), "{error}");
    log.skip_damage = true;
    let overlay = log.replay().unwrap();
    assert_eq!(rows(&overlay, 0).len(), 3);
    assert_eq!((overlay.damage.len(), overlay.read_to), (1, None));
    assert!(overlay.damage[0].cause.contains("checksum"), "{:?}", overlay.damage);
}

#[test]
fn changes_of_the_schema_that_are_not_flushed_are_told() {
    let mut log = Log::new(&[1]);
    let columns = crate::commitlog::system_table_id("system_schema", "columns");
    let payload = [&[1], &columns.0.as_bytes()[..], b"\x02ks", &[0; 40]].concat();
    let ends = log.segment(5, &[vec![payload]]);
    assert!(log.replay().unwrap().notices.is_empty(), "nothing known of the schema's SSTables");
    log.schema_persisted.insert(columns, PersistedPositions::default());
    let notices = log.replay().unwrap().notices;
    assert!(notices[0].contains("schema of ks"), "{notices:?}");
    let at = CommitLogPosition { segment_id: 5, position: ends[0] };
    log.schema_persisted.get_mut(&columns).unwrap().add(at, at);
    assert!(log.replay().unwrap().notices.is_empty());
}

#[test]
fn a_mutation_that_the_schema_does_not_fit_is_an_error_that_names_it() {
    let mut log = Log::new(&[1]);
    let mut strange = mutation(1, b"a", 1, b"1");
    // Another column.
    let at = strange.iter().position(|b| *b == b'v').unwrap();
    strange[at] = b'w';
    log.segment(5, &[vec![strange, mutation(1, b"b", 1, b"2")]]);
    let error = log.replay().unwrap_err();
    assert!(error.to_string().contains("no regular column \"w\""), "{error}");
    assert!(error.hint().unwrap().contains("--schema"), "{error}");
    log.skip_damage = true;
    let overlay = log.replay().unwrap();
    assert_eq!((rows(&overlay, 0).len(), overlay.damage.len()), (1, 1));
}

#[test]
fn a_directory_without_segments_is_no_commit_log() {
    let log = Log::new(&[1]);
    let error = log.replay().unwrap_err();
    assert!(error.to_string().contains("no commit-log segments in"), "{error}");
    // One segment twice: the longer one.
    let other = tempfile::tempdir().unwrap();
    log.segment(5, &[vec![mutation(1, b"a", 1, b"1")]]);
    std::fs::write(other.path().join("CommitLog-7-5.log"), b"short").unwrap();
    let both = [other.path().to_path_buf(), log.dir.path().to_path_buf()];
    assert_eq!(find_segments(&both).unwrap(), [log.dir.path().join("CommitLog-7-5.log")]);
}

#[test]
fn tables_are_cut_where_the_log_has_enough_bytes_whatever_the_memory() {
    let mut log = Log::new(&[1, 2]);
    let section = |round: u8| (0..200).map(|k| mutation(1, &[k, round], 1, &[7; 50])).collect();
    log.segment(5, &[section(1), section(2)]);
    let overlay = log.replay().unwrap();
    let bytes: u64 = overlay.weights[0].iter().sum();
    let borders = overlay.borders(0, bytes / 4);
    assert!((3..=4).contains(&borders.len()), "{borders:?}");
    assert!(borders.is_sorted());
    assert!(borders.iter().all(|b| b.0.unsigned_abs() % (1 << 54) == 0), "{borders:?}");
    let before = TokenRange { start: Token::MIN, end: Token(borders[1].0 - 1) };
    let share = rows_in(&overlay, 0, before).len();
    assert!((170..=230).contains(&share), "half of 400: {share}");
    assert_eq!((overlay.borders(0, 2 * bytes), overlay.borders(1, 1)), (vec![], vec![]));
    // One part with the bytes of many pieces has as many borders.
    assert!(overlay.borders(0, 10).len() as u64 > bytes / 10 - 100);
    log.memory = 3_000;
    assert_eq!(log.replay().unwrap().borders(0, bytes / 4), borders);
}

#[test]
fn partitions_come_in_the_order_of_the_partitioner() {
    let mut log = Log::new(&[1]);
    // Some of the same first eight bytes, which are one token of ByteOrderedPartitioner.
    let key = |i: u32| {
        [&b"12345678"[..8 * (i as usize % 2)], &i.wrapping_mul(2_654_435_761).to_be_bytes()]
            .concat()
    };
    let keys: Vec<Vec<u8>> = (0..200).map(key).collect();
    log.segment(1, &[keys.iter().map(|key| mutation(1, key, 1, b"v")).collect()]);
    for partitioner in [Partitioner::Murmur3, Partitioner::Random, Partitioner::ByteOrdered] {
        log.partitioner = partitioner.clone();
        let overlay = log.replay().unwrap();
        let found = rows_in(&overlay, 0, TokenRange::ALL);
        let mut expected = keys.clone();
        expected.sort_by(|a, b| partitioner.compare(a, b).unwrap());
        assert!(found.iter().map(|(key, ..)| key).eq(&expected), "{partitioner:?}");
        let middle = partitioner.token(&expected[100]);
        let upper = rows_in(&overlay, 0, TokenRange { start: middle, end: Token::MAX });
        let above = expected.iter().filter(|key| partitioner.token(key) > middle);
        assert!(upper.iter().map(|(key, ..)| key).eq(above), "{partitioner:?}");
    }
}
