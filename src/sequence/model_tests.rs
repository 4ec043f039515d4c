//! Random change streams of several hosts, sequenced in any interleaving, against one merge of everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::changes::samples::Tape;
use crate::changes::{
    ChangeRecordWriter, LogPosition, Origin, Position, Watermark, change_object, watermark_object,
};
use crate::dht::Token;
use crate::error::Result;
use crate::merge::{PartitionMerge, RowSink, TieBreak, combine};
use crate::output::dynamodb::DdbShape;
use crate::output::{FormatOptions, Profile, RecordFormat, RecordWriter};
use crate::progress::{Events, NoEvents};
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, DeletionTime, LivenessInfo,
    LocalDeletionTime, Marker, NO_TTL, PartitionUpdate, Row, RowView, Span, UpdateContent,
    UpdateSource,
};
use crate::schema::{TableMetadata, parse_schema};
use crate::store::{LocalStore, Location, Store};

const SCHEMA: &str = "CREATE TABLE ks.wide (k int, a int, b int, s int STATIC, t set<int> STATIC, \
    v int, w text, m map<int, int>, PRIMARY KEY (k, a, b)) WITH CLUSTERING ORDER BY (a ASC, b DESC); \
    CREATE TABLE ks.plain (k text PRIMARY KEY, v int); \
    CREATE TABLE ks.hits (k int, a int, c counter, PRIMARY KEY (k, a)); \
    CREATE TABLE ks.worth (k int, d decimal, v int, PRIMARY KEY (k, d));";
const START: i64 = 1_700_000_000;

fn tables() -> Vec<Arc<TableMetadata>> {
    let schema = parse_schema(SCHEMA, None).unwrap();
    schema.tables().map(|table| Arc::new(table.clone())).collect()
}

fn small(n: usize) -> i64 {
    i64::try_from(n).unwrap()
}

fn int(n: usize) -> Vec<u8> {
    i32::try_from(n).unwrap().to_be_bytes().to_vec()
}

struct Draft<'t, 'c> {
    t: &'t mut Tape<'c>,
    update: PartitionUpdate,
    expiring: bool,
}

impl Draft<'_, '_> {
    fn span(&mut self, bytes: &[u8]) -> Span {
        let start = u32::try_from(self.update.data.len()).unwrap();
        self.update.data.extend_from_slice(bytes);
        Span { start, len: u32::try_from(bytes.len()).unwrap() }
    }

    fn time(&mut self) -> i64 {
        1000 + small(self.t.below(12))
    }

    fn deletion(&mut self) -> DeletionTime {
        let micros = self.time();
        DeletionTime { marked_for_delete_at: micros, local_deletion_time: LocalDeletionTime(1) }
    }

    /// TTL and expiry: some seconds around the clocks at which the test looks.
    fn expiry(&mut self) -> (i32, LocalDeletionTime) {
        if self.expiring && self.t.one_in(4) {
            (100, LocalDeletionTime(START + 10 * small(self.t.below(5))))
        } else {
            (NO_TTL, LocalDeletionTime::NONE)
        }
    }

    fn cell(&mut self, column: u16, path: &[u8], value: &[u8]) -> Cell {
        let (timestamp, (ttl, local_deletion_time)) = (self.time(), self.expiry());
        let (path, value) = (self.span(path), self.span(value));
        let mut cell = Cell { timestamp, local_deletion_time, ttl, column, source: 0, value, path };
        if self.t.one_in(5) {
            cell.ttl = NO_TTL;
            cell.local_deletion_time = LocalDeletionTime(1);
            cell.value = Span::default();
        }
        cell
    }

    fn cells(&mut self, is_static: bool, row: &mut Row) {
        let table = Arc::clone(&self.update.table);
        let columns = if is_static { &table.statics } else { &table.regulars };
        for (i, column) in columns.iter().enumerate() {
            let index = u16::try_from(i).unwrap();
            if self.t.one_in(2) {
                continue;
            }
            if table.counter {
                let mut context = vec![0, 1, 0x80, 0];
                context.extend([u8::try_from(self.t.below(3)).unwrap(); 16]);
                let clock = small(self.t.below(6));
                context.extend(clock.to_be_bytes());
                context.extend((clock * 10).to_be_bytes());
                let mut cell = self.cell(index, b"", &context);
                if !cell.is_tombstone() {
                    (cell.ttl, cell.local_deletion_time) = (NO_TTL, LocalDeletionTime::NONE);
                } else {
                    // Deleting counters is final, and the order of what comes after it is not defined.
                    continue;
                }
                row.cells.push(cell);
            } else if column.cql_type.is_multi_cell() {
                if self.t.one_in(3) {
                    let deletion = self.deletion();
                    row.complex.push(ComplexDeletion { column: index, deletion });
                }
                for path in 0..3 {
                    if self.t.one_in(2) {
                        let value =
                            if column.name == "m" { int(self.t.below(3)) } else { Vec::new() };
                        let cell = self.cell(index, &int(path), &value);
                        row.cells.push(cell);
                    }
                }
            } else if column.name == "w" {
                let value = self.t.pick(&["", "a", "x,\"y\"\n", "\\N"]);
                let cell = self.cell(index, b"", value.as_bytes());
                row.cells.push(cell);
            } else {
                let value = int(self.t.below(3));
                let cell = self.cell(index, b"", &value);
                row.cells.push(cell);
            }
        }
        row.has_times = row.liveness.ttl != NO_TTL
            || row.cells.iter().any(|cell| cell.local_deletion_time.is_some());
    }

    fn row(&mut self, clustering: &[usize]) -> Row {
        let mut row = Row::EMPTY;
        for value in clustering {
            let span = self.span(&int(*value));
            row.clustering.push(ClusteringValue::Value(span));
        }
        let counter = self.update.table.counter;
        if !counter && self.t.one_in(2) {
            let (timestamp, (ttl, local_deletion_time)) = (self.time(), self.expiry());
            row.liveness = LivenessInfo { timestamp, ttl, local_deletion_time };
        }
        if !counter && self.t.one_in(6) {
            row.deletion = self.deletion();
        }
        self.cells(false, &mut row);
        row
    }
}

/// One mutation of one partition.
fn mutation(
    t: &mut Tape<'_>,
    tables: &[Arc<TableMetadata>],
    expiring: bool,
    deletions: bool,
) -> PartitionUpdate {
    let table = &tables[t.pick(&[2, 2, 2, 2, 1, 0])];
    let key = if table.name == "plain" {
        t.pick(&["x", "y,"]).as_bytes().to_vec()
    } else {
        int(t.below(2))
    };
    let update = PartitionUpdate::new(Arc::clone(table), key);
    let mut draft = Draft { t, update, expiring };
    let wide = table.name == "wide";
    if !table.counter && deletions && draft.t.one_in(14) {
        draft.update.deletion = draft.deletion();
        return draft.update;
    }
    if wide && draft.t.one_in(4) {
        let mut row = Row::EMPTY;
        draft.cells(true, &mut row);
        if !row.cells.is_empty() || !row.complex.is_empty() {
            draft.update.static_row = Some(row);
        }
    }
    if wide && deletions && draft.t.one_in(5) {
        // All of one `a`, or everything on one side of it.
        let a = draft.t.below(3);
        let deletion = draft.deletion();
        let bound = |draft: &mut Draft<'_, '_>, open: bool| {
            let mut row = Row::EMPTY;
            if !open {
                let span = draft.span(&int(a));
                row.clustering.push(ClusteringValue::Value(span));
            }
            row
        };
        let (from, to) = (draft.t.one_in(3), draft.t.one_in(3));
        let (start, end) = (bound(&mut draft, from), bound(&mut draft, to));
        let markers = [
            (ClusteringKind::InclStartBound, DeletionTime::LIVE, deletion, start),
            (ClusteringKind::InclEndBound, deletion, DeletionTime::LIVE, end),
        ];
        for (kind, end, start, row) in markers {
            draft.update.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
        }
        return draft.update;
    }
    let clustering: Vec<usize> = match table.name.as_str() {
        "wide" => vec![draft.t.below(3), draft.t.below(2)],
        "hits" => vec![draft.t.below(2)],
        _ => Vec::new(),
    };
    let row = draft.row(&clustering);
    draft.update.content.push(UpdateContent::Row(row));
    draft.update
}

/// Rows by table and key, as `jsonl` has both.
type Rows = BTreeMap<(String, String), String>;

/// What one merge of all updates gives at `now`.
fn merged(updates: &[PartitionUpdate], rule: TieBreak, now: i64) -> Rows {
    struct Sink {
        writer: RecordWriter,
        table: Arc<TableMetadata>,
        any: bool,
        rows: Rows,
    }
    impl Sink {
        fn keep(&mut self) {
            let text = String::from_utf8(self.writer.take()).unwrap();
            for line in text.lines() {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let columns = self.table.partition_key.iter().chain(&self.table.clustering);
                let key: Vec<String> = columns.map(|c| value[&c.name].to_string()).collect();
                self.rows.insert((self.table.name.clone(), key.join("|")), line.to_owned());
            }
        }
    }
    impl RowSink for Sink {
        fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
            self.any = false;
            self.writer.start_partition(key).unwrap();
            Ok(())
        }
        fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
            self.writer.set_static(row);
            Ok(())
        }
        fn row(&mut self, row: RowView<'_>) -> Result<()> {
            self.any = true;
            self.writer.write_row(row).unwrap();
            Ok(())
        }
        fn end_partition(&mut self) -> Result<()> {
            if !self.any {
                self.writer.write_static_only().unwrap();
            }
            self.keep();
            Ok(())
        }
    }
    let mut rows = Rows::new();
    for table in tables() {
        let format = RecordFormat::new(&table, &FormatOptions::new(Profile::Jsonl, now)).unwrap();
        let writer = RecordWriter::new(Arc::new(format));
        let mut sink = Sink { writer, table: Arc::clone(&table), any: false, rows: Rows::new() };
        let mine: Vec<_> = updates.iter().filter(|u| u.table.name == table.name).collect();
        let sources = mine.into_iter().map(|u| UpdateSource::new(vec![u.clone()]).unwrap());
        let mut merge = PartitionMerge::new(&table, rule, now, false, sources.collect());
        while merge.step(&mut sink).unwrap() {}
        rows.append(&mut sink.rows);
    }
    rows
}

/// Applies files of changes naively, and checks that each line changes something.
fn apply(store: &LocalStore, rows: &mut Rows, mut seen: usize) -> usize {
    let files = store.list("cdc-changes/").unwrap();
    let mut shown: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        assert_eq!(file.name, format!("cdc-changes/CDC{:010}.jsonl", i + 1));
        for line in String::from_utf8(store.get(&file.name).unwrap().unwrap()).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let table = value["table"].as_str().unwrap().to_owned();
            let definition = tables().into_iter().find(|t| t.name == table).unwrap();
            let columns = definition.partition_key.iter().chain(&definition.clustering);
            let key: Vec<String> = columns
                .map(|c| value["key"].get(&c.name).map_or("null".into(), |v| v.to_string()))
                .collect();
            let key = (table, key.join("|"));
            let row = match value["op"].as_str().unwrap() {
                "upsert" => {
                    let (_, row) = line.split_once("\"row\":").unwrap();
                    Some(row.strip_suffix('}').unwrap().to_owned())
                }
                "delete" => None,
                other => panic!("{other}"),
            };
            if let Some(before) = shown.insert(key.clone(), row.clone()) {
                assert_ne!(before, row, "{}: nothing changed: {line}", file.name);
            }
            if i >= seen {
                match row {
                    Some(row) => rows.insert(key, row),
                    None => rows.remove(&key),
                };
            }
        }
    }
    seen = seen.max(files.len());
    seen
}

fn host(n: usize) -> Uuid {
    Uuid::from_u128(0xa000 + u128::try_from(n).unwrap())
}

/// Lines of one object, by name.
type Objects = Vec<(String, Vec<u8>)>;

/// Ships mutations in their order as one host does: base records (by `base`) and changes, cut anywhere.
fn ship(
    t: &mut Tape<'_>,
    n: usize,
    mutations: &[&PartitionUpdate],
    mut base: impl FnMut(&PartitionUpdate) -> Vec<PartitionUpdate>,
) -> Objects {
    let mut objects = Objects::new();
    let mut writer = ChangeRecordWriter::default();
    let mut start = LogPosition { segment: 1_700_000_000_000, offset: 0 };
    let mut at = start;
    for mutation in mutations {
        at.offset += 100;
        writer.begin(&Origin { host_id: host(n), position: Position::Log(at) });
        for stored in base(mutation) {
            writer.update(&stored, true).unwrap();
        }
        writer.update(mutation, false).unwrap();
        if t.one_in(3) {
            let name = change_object(host(n), &Position::Log(start)).unwrap();
            objects.push((name, zstd::encode_all(&writer.take()[..], 1).unwrap()));
            if t.one_in(2) {
                at = LogPosition { segment: at.segment + 1, offset: 0 };
            }
            start = at;
        }
    }
    let name = change_object(host(n), &Position::Log(start)).unwrap();
    objects.push((name, zstd::encode_all(&writer.take()[..], 1).unwrap()));
    objects
}

pub(super) fn options(output: &Path, state: &Path) -> SequenceOptions {
    SequenceOptions {
        output: Location::Directory(output.to_path_buf()),
        s3: Default::default(),
        profile: Some(SequenceProfile::Jsonl),
        ddb_shape: None,
        ddb_keys: None,
        cdc_path: "cdc-changes".to_owned(),
        state_dir: state.to_path_buf(),
        flush_interval: Duration::from_millis(10),
        flush_size: 400,
        release: true,
        once: true,
        now: Some(START),
        tie_break: Some(TieBreak::From40),
        heartbeat: Duration::from_secs(10),
        memory: 16 << 20,
    }
}

fn once(options: &SequenceOptions) -> Result<SequenceOutcome> {
    run(options, &NoEvents, &AtomicI32::new(0))
}

/// An output with the schema, as if an extract had been there.
fn output_with_schema(directory: &Path, profile: &str) -> LocalStore {
    let store = LocalStore::open(directory).unwrap();
    let names: Vec<_> = tables().iter().map(|table| table.qualified_name()).collect();
    let json = serde_json::json!({
        "formatVersion": 1, "tool": "x", "clock": "2023-11-14T00:00:00Z", "profile": profile,
        "metadata": "none", "compression": "none", "cluster": null, "partitioner": "x",
        "ownership": "all", "agents": 1, "options": {"tables": names},
        "schemaFingerprint": "x", "ring": [], "ranges": [], "fingerprint": "f",
    });
    store.put("_cassport/run.json", json.to_string().as_bytes()).unwrap();
    store.put("_cassport/schema.cql", SCHEMA.as_bytes()).unwrap();
    store
}

/// Shuffles by the tape.
fn shuffled<T>(t: &mut Tape<'_>, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        let j = t.below(i + 1);
        items.swap(i, j);
    }
}

/// Each mutation on some hosts, in an order of their own.
fn streams<'m>(
    t: &mut Tape<'_>,
    mutations: &'m [PartitionUpdate],
) -> Vec<Vec<&'m PartitionUpdate>> {
    let mut hosts: Vec<Vec<&PartitionUpdate>> = vec![Vec::new(); 3];
    for mutation in mutations {
        let sure = t.below(3);
        for (n, stream) in hosts.iter_mut().enumerate() {
            if n == sure || t.one_in(2) {
                stream.push(mutation);
            }
        }
    }
    hosts.iter_mut().for_each(|stream| shuffled(t, stream));
    hosts
}

/// `CASSPORT_CASES`, or so many as take some seconds.
fn cases() -> u32 {
    std::env::var("CASSPORT_CASES").map_or(16, |text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn rows_applied_naively_are_those_of_one_merge_in_any_interleaving(
        choices in proptest::collection::vec(any::<u16>(), 0..1500),
    ) {
        let mut t = Tape { choices: &choices, at: 0 };
        let (tables, directory) = (tables(), tempfile::tempdir().unwrap());
        let (output, state) = (directory.path().join("o"), directory.path().join("s"));
        let store = output_with_schema(&output, "jsonl");
        let rule = t.pick(&[TieBreak::From40, TieBreak::Until311]);
        let mutations: Vec<_> = (0..1 + t.below(40))
            .map(|_| mutation(&mut t, &tables, rule == TieBreak::From40, true))
            .collect();
        let streams = streams(&mut t, &mutations);
        let mut objects: Vec<Objects> = streams
            .iter()
            .enumerate()
            .map(|(n, stream)| ship(&mut t, n, stream, |_| Vec::new()))
            .collect();
        let mut options = options(&output, &state);
        options.tie_break = Some(rule);
        let (mut rows, mut seen, mut known) = (Rows::new(), 0, Vec::new());
        let mut now = START;
        // Some objects of some hosts at a time.
        while objects.iter().any(|left| !left.is_empty()) {
            for left in &mut objects {
                for _ in 0..t.below(4).min(left.len()) {
                    let at = t.below(left.len());
                    let (name, bytes) = left.remove(at);
                    store.put(&name, &bytes).unwrap();
                    known.push(name);
                }
            }
            if t.at > choices.len() {
                for (name, bytes) in objects.iter_mut().flat_map(std::mem::take) {
                    store.put(&name, &bytes).unwrap();
                }
            }
            if rule == TieBreak::From40 {
                now += 5 * small(t.below(3));
            }
            options.now = Some(now);
            let outcome = once(&options).unwrap();
            prop_assert!(outcome.is_whole());
            seen = apply(&store, &mut rows, seen);
        }
        prop_assert_eq!(&rows, &merged(&mutations, rule, now));
        // What expires is written without any change.
        for later in [START + 20, START + 100] {
            options.now = Some(later.max(now));
            once(&options).unwrap();
            seen = apply(&store, &mut rows, seen);
            prop_assert_eq!(&rows, &merged(&mutations, rule, later.max(now)));
        }
        // Copies of everything from another replica change nothing.
        let again: Vec<_> = mutations.iter().rev().collect();
        for (name, bytes) in ship(&mut t, 7, &again, |_| Vec::new()) {
            store.put(&name, &bytes).unwrap();
        }
        let files = contents(&store);
        let outcome = once(&options).unwrap();
        prop_assert_eq!(&contents(&store), &files);
        // A state that is gone is made again, and files that were taken away do not come back.
        std::fs::remove_dir_all(&state).unwrap();
        let rebuilt = once(&options).unwrap();
        prop_assert_eq!(rebuilt.rows, outcome.rows);
        prop_assert_eq!(&contents(&store), &files);
        let more = ship(&mut t, 8, &again, |_| Vec::new());
        more.iter().for_each(|(name, bytes)| drop(store.put(name, bytes).unwrap()));
        once(&options).unwrap();
        prop_assert_eq!(&contents(&store), &files);
    }

    #[test]
    fn rows_that_were_stored_become_what_they_were_merged_with_the_changes(
        choices in proptest::collection::vec(any::<u16>(), 0..1500),
    ) {
        let mut t = Tape { choices: &choices, at: 0 };
        let (tables, directory) = (tables(), tempfile::tempdir().unwrap());
        let (output, state) = (directory.path().join("o"), directory.path().join("s"));
        let store = output_with_schema(&output, "jsonl");
        let rule = TieBreak::From40;
        // What was there, and what the extract made of it.
        let stored: Vec<_> =
            (0..t.below(15)).map(|_| mutation(&mut t, &tables, false, false)).collect();
        let mutations: Vec<_> =
            (0..1 + t.below(15)).map(|_| mutation(&mut t, &tables, true, true)).collect();
        let mut touched_statics = BTreeSet::new();
        let of_all = |m: &&PartitionUpdate| m.static_row.is_some() || !m.deletion.is_live();
        for mutation in mutations.iter().filter(of_all) {
            touched_statics.insert(mutation.key.clone());
        }
        let streams = streams(&mut t, &mutations);
        // By segment: those of 3.11 come in any order.
        let mut coming: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for (n, stream) in streams.iter().enumerate() {
            let mut touched = BTreeSet::new();
            let base = |mutation: &_| base_of(mutation, &stored, &mut touched);
            for (name, bytes) in ship(&mut t, n, stream, base) {
                let segment = name.rsplit_once('-').unwrap().0.to_owned();
                coming.entry(segment).or_default().push_back((name, bytes));
            }
        }
        let mut coming: Vec<_> = coming.into_values().collect();
        let mut rows = merged(&stored, rule, START);
        let options = options(&output, &state);
        // Those of one host come before or behind those of another, in several batches.
        while !coming.is_empty() {
            let n = t.below(coming.len());
            let Some((name, bytes)) = coming[n].pop_front() else {
                coming.remove(n);
                continue;
            };
            store.put(&name, &bytes).unwrap();
            if t.one_in(4) {
                once(&options).unwrap();
            }
        }
        once(&options).unwrap();
        apply(&store, &mut rows, 0);
        let mut expected = merged(&[stored, mutations].concat(), rule, START);
        // Whether a partition has no rows is only known of those whose static columns were changed, or that were deleted.
        for all in [&mut rows, &mut expected] {
            all.retain(|(table, key), _| {
                let alone = table == "wide" && key.ends_with("|null|null");
                let k: i32 = key.split('|').next().unwrap().parse().unwrap_or_default();
                !alone || touched_statics.contains(k.to_be_bytes().as_slice())
            });
        }
        prop_assert_eq!(rows, expected);
    }
}

fn contents(store: &LocalStore) -> BTreeMap<String, Vec<u8>> {
    let files = store.list("cdc-changes/").unwrap();
    files.into_iter().map(|f| (f.name.clone(), store.get(&f.name).unwrap().unwrap())).collect()
}

/// What `tail --base auto` ships before a mutation: at the first touch of a row the row and the static row, of a static row or
/// by a deletion the whole partition.
fn base_of(
    mutation: &PartitionUpdate,
    stored: &[PartitionUpdate],
    touched: &mut BTreeSet<(String, Vec<u8>, String)>,
) -> Vec<PartitionUpdate> {
    let same = |u: &&PartitionUpdate| u.table.name == mutation.table.name && u.key == mutation.key;
    let mine: Vec<&PartitionUpdate> = stored.iter().filter(same).collect();
    if mine.is_empty() {
        return Vec::new();
    }
    let mut all = combine(TieBreak::From40, START, &mine).unwrap();
    let of_row = |data: &[u8], row: &Row| {
        let values: Vec<_> =
            row.clustering.iter().map(|v| v.bytes(data).map(<[u8]>::to_vec)).collect();
        format!("{values:?}")
    };
    let named = match mutation.content.first() {
        Some(UpdateContent::Row(row)) if mutation.static_row.is_none() => {
            Some(of_row(&mutation.data, row))
        }
        _ => None,
    };
    let data = all.data.clone();
    all.content.retain(|content| match content {
        UpdateContent::Row(row) => {
            let row = of_row(&data, row);
            let wanted = named.as_ref().is_none_or(|named| *named == row);
            wanted && touched.insert((all.table.name.clone(), all.key.clone(), row))
        }
        UpdateContent::Marker(..) => true,
    });
    if !touched.insert((all.table.name.clone(), all.key.clone(), "static".into())) {
        all.static_row = None;
    }
    vec![all]
}

/// One mutation of `ks.plain` as an object.
fn plain(n: usize, offset: u32, key: &str, value: usize, micros: i64) -> (String, Vec<u8>) {
    let table = tables().into_iter().find(|table| table.name == "plain").unwrap();
    let mut update = PartitionUpdate::new(table, key.as_bytes().to_vec());
    update.data = int(value);
    let cell = Cell {
        timestamp: micros,
        local_deletion_time: LocalDeletionTime::NONE,
        ttl: NO_TTL,
        column: 0,
        source: 0,
        value: Span { start: 0, len: 4 },
        path: Span::default(),
    };
    update.content.push(UpdateContent::Row(Row { cells: vec![cell], ..Row::EMPTY }));
    let mut writer = ChangeRecordWriter::default();
    let position = Position::Log(LogPosition { segment: 1, offset });
    writer.begin(&Origin { host_id: host(n), position: position.clone() });
    writer.update(&update, false).unwrap();
    let bytes = zstd::encode_all(writer.buffer(), 1).unwrap();
    (change_object(host(n), &position).unwrap(), bytes)
}

/// An object with one event about `ks.<table>`.
fn event(n: usize, offset: u32, write: impl FnOnce(&mut ChangeRecordWriter)) -> (String, Vec<u8>) {
    let mut writer = ChangeRecordWriter::default();
    let position = Position::Log(LogPosition { segment: 1, offset });
    writer.begin(&Origin { host_id: host(n), position: position.clone() });
    write(&mut writer);
    let bytes = zstd::encode_all(writer.buffer(), 1).unwrap();
    (change_object(host(n), &position).unwrap(), bytes)
}

struct World {
    _directory: tempfile::TempDir,
    store: LocalStore,
    options: SequenceOptions,
}

fn world(profile: SequenceProfile) -> World {
    let directory = tempfile::tempdir().unwrap();
    let (output, state) = (directory.path().join("o"), directory.path().join("s"));
    let store = output_with_schema(&output, "dms");
    let options =
        SequenceOptions { profile: Some(profile), flush_size: 1 << 20, ..options(&output, &state) };
    World { _directory: directory, store, options }
}

impl World {
    fn put(&self, (name, bytes): (String, Vec<u8>)) {
        self.store.put(&name, &bytes).unwrap();
    }

    fn once(&self) -> SequenceOutcome {
        once(&self.options).unwrap()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.store.get(name).unwrap().unwrap()).unwrap()
    }
}

#[test]
fn dms_gets_words_table_and_schema_before_the_columns() {
    let world = world(SequenceProfile::Dms);
    world.put(plain(0, 1, "y,", 5, 10));
    world.once();
    assert_eq!(world.text("cdc-changes/CDC0000000001.csv"), "INSERT,plain,ks,\"y,\",5\n");
    world.put(plain(0, 2, "y,", 6, 11));
    world.put(plain(1, 1, "y,", 4, 9));
    let outcome = world.once();
    assert_eq!(world.text("cdc-changes/CDC0000000002.csv"), "UPDATE,plain,ks,\"y,\",6\n");
    assert_eq!((outcome.files, outcome.rows, outcome.batches), (1, 2, 2));
    let table = tables().into_iter().find(|table| table.name == "plain").unwrap();
    let mut gone = PartitionUpdate::new(table, b"y,".to_vec());
    gone.deletion =
        DeletionTime { marked_for_delete_at: 20, local_deletion_time: LocalDeletionTime(1) };
    world.put(event(1, 2, |writer| {
        writer.update(&gone, false).unwrap();
    }));
    world.once();
    assert_eq!(world.text("cdc-changes/CDC0000000003.csv"), "DELETE,plain,ks,\"y,\",\\N\n");
    // The same from another node, and again.
    world.put(event(2, 2, |writer| {
        writer.update(&gone, false).unwrap();
    }));
    let outcome = world.once();
    assert_eq!((outcome.files, outcome.rows, outcome.batches), (0, 3, 4));
}

#[test]
fn a_datalake_gets_files_of_a_table_with_a_header_and_the_write_time() {
    let world = world(SequenceProfile::Datalake);
    world.put(plain(0, 1, "a", 5, 1_700_000_000_000_001));
    world.once();
    let name = "ks/plain/20231114-221320000.csv";
    assert_eq!(world.text(name), "Op,cp_ts,k,v\nI,2023-11-14 22:13:20.000001,a,5\n");
}

#[test]
fn dynamodb_gets_write_requests_with_the_items_and_keys_of_the_extract() {
    let mut world = world(SequenceProfile::DdbJson);
    world.options.ddb_shape = Some(DdbShape::Native);
    world.put(plain(0, 1, "a\"", 5, 10));
    world.once();
    assert_eq!(
        world.text("cdc-changes/CDC0000000001.json"),
        "{\"Put\":{\"TableName\":\"ks.plain\",\"Item\":{\"k\":{\"S\":\"a\\\"\"},\"v\":{\"N\":\"5\"}}}}\n"
    );
    let table = tables().into_iter().find(|table| table.name == "plain").unwrap();
    let mut gone = PartitionUpdate::new(table, b"a\"".to_vec());
    gone.deletion =
        DeletionTime { marked_for_delete_at: 20, local_deletion_time: LocalDeletionTime(1) };
    world.put(event(1, 2, |writer| {
        writer.update(&gone, false).unwrap();
    }));
    world.once();
    assert_eq!(
        world.text("cdc-changes/CDC0000000002.json"),
        "{\"Delete\":{\"TableName\":\"ks.plain\",\"Key\":{\"k\":{\"S\":\"a\\\"\"}}}}\n"
    );
    // Items of another shape would be others.
    world.options.ddb_shape = Some(DdbShape::Dms);
    let error = once(&world.options).unwrap_err().to_string();
    assert!(error.contains("--ddb-shape is native there and dms here"), "{error}");
    world.options.profile = Some(SequenceProfile::Jsonl);
    assert!(once(&world.options).unwrap_err().to_string().contains("of profile ddb-json"));
}

#[test]
fn nothing_is_written_before_the_extract_is_sealed() {
    let mut world = world(SequenceProfile::Dms);
    world.options.release = false;
    world.put(plain(0, 1, "a", 5, 10));
    let outcome = world.once();
    assert!(outcome.held_back && !outcome.is_whole());
    assert!(world.store.list("_cassport/sequence/").unwrap().is_empty());
    world.store.put("_cassport/complete.json", b"{\"formatVersion\":1}").unwrap();
    assert_eq!(world.once().files, 1);
}

#[test]
fn a_table_that_is_truncated_or_widened_is_stopped_and_the_others_go_on() {
    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<String>>);
    impl Events for Heard {
        fn warning(&self, words: &str) {
            self.0.lock().unwrap().push(words.to_owned());
        }
    }
    let world = world(SequenceProfile::Dms);
    let wide = tables().into_iter().find(|table| table.name == "wide").unwrap();
    let plain_table = tables().into_iter().find(|table| table.name == "plain").unwrap();
    world.put(plain(0, 1, "a", 5, 10));
    world.put(event(0, 2, |writer| {
        let cql = "CREATE TABLE ks.plain (k text PRIMARY KEY, v int, n int);";
        writer.schema(&plain_table, cql);
        writer.truncate(&wide, LogPosition { segment: 1, offset: 1 }, 9);
    }));
    world.put(plain(0, 3, "a", 6, 11));
    let heard = Heard::default();
    let outcome = run(&world.options, &heard, &AtomicI32::new(0)).unwrap();
    assert!(!outcome.is_whole());
    let of = |name: &str| outcome.tables.iter().find(|t| t.name == name).unwrap().clone();
    assert!(of("ks.plain").stopped.unwrap().contains("column n was added"));
    assert!(of("ks.wide").stopped.unwrap().contains("truncated"));
    assert_eq!((of("ks.plain").held, of("ks.plain").rows), (1, 1));
    let heard = heard.0.into_inner().unwrap();
    assert!(heard.iter().any(|words| words.contains("ks.plain: column n")), "{heard:?}");
    assert_eq!(world.text("cdc-changes/CDC0000000001.csv"), "INSERT,plain,ks,a,5\n");
    assert_eq!(world.store.list("cdc-changes/").unwrap().len(), 1);
}

#[test]
fn jsonl_carries_columns_and_tables_that_were_added() {
    let world = world(SequenceProfile::Jsonl);
    let cql = "CREATE TABLE ks.plain (k text PRIMARY KEY, n int, v int);";
    let table = parse_schema(cql, None).unwrap().table("ks", "plain").unwrap().clone();
    world.put(plain(0, 1, "a", 5, 10));
    world.once();
    world.put(event(0, 2, |writer| {
        writer.schema(&table, cql);
        let mut update = PartitionUpdate::new(Arc::new(table.clone()), b"a".to_vec());
        update.data = int(7);
        let cell = Cell {
            timestamp: 11,
            local_deletion_time: LocalDeletionTime::NONE,
            ttl: NO_TTL,
            column: 0,
            source: 0,
            value: Span { start: 0, len: 4 },
            path: Span::default(),
        };
        update.content.push(UpdateContent::Row(Row { cells: vec![cell], ..Row::EMPTY }));
        writer.update(&update, false).unwrap();
    }));
    world.once();
    assert_eq!(
        world.text("cdc-changes/CDC0000000002.jsonl"),
        "{\"op\":\"upsert\",\"keyspace\":\"ks\",\"table\":\"plain\",\"key\":{\"k\":\"a\"},\"row\":{\"k\": \"a\", \"n\": 7, \"v\": 5}}\n"
    );
    // A definition that comes in the middle of changes begins a batch of its own.
    assert_eq!(world.once().batches, 2);
}

/// An object of records about a row of `ks.worth`, whose clustering is `scale` zeros behind the point.
fn spelled(n: usize, offset: u32, scale: u8, micros: &[i64], is_base: bool) -> (String, Vec<u8>) {
    let table = tables().into_iter().find(|table| table.name == "worth").unwrap();
    event(n, offset, |writer| {
        for micros in micros {
            let mut update = PartitionUpdate::new(Arc::clone(&table), int(1));
            update.data = vec![0, 0, 0, scale, 0];
            let clustering = vec![ClusteringValue::Value(Span { start: 0, len: 5 })];
            let liveness = LivenessInfo { timestamp: *micros, ..LivenessInfo::NONE };
            let row = Row { clustering, liveness, ..Row::EMPTY };
            update.content.push(UpdateContent::Row(row));
            writer.update(&update, is_base).unwrap();
        }
    })
}

#[test]
fn a_row_spelled_in_several_ways_is_one_row_in_the_target() {
    let objects = [
        spelled(0, 1, 10, &[5], true),
        spelled(0, 2, 10, &[6], false),
        spelled(1, 1, 2, &[7, 8], false),
        spelled(2, 1, 0, &[4], true),
        spelled(2, 2, 0, &[6], false),
    ];
    for order in [[0, 1, 2, 3, 4], [3, 4, 2, 0, 1], [2, 3, 0, 4, 1], [0, 3, 2, 1, 4]] {
        for profile in [SequenceProfile::Dms, SequenceProfile::Jsonl] {
            let world = world(profile);
            // What the extract had, of whichever node.
            let there = if profile == SequenceProfile::Dms { "1,0.0000000000" } else { "1,0E-10" };
            let mut target = BTreeSet::from([there.to_owned()]);
            let mut lines = 0;
            for i in order {
                world.put(objects[i].clone());
                world.once();
                let files = world.store.list("cdc-changes/").unwrap();
                let all: Vec<_> = files.iter().map(|file| world.text(&file.name)).collect();
                let all = all.concat();
                for line in all.lines().skip(lines) {
                    let (deletes, key) = if profile == SequenceProfile::Dms {
                        let parts: Vec<_> = line.split(',').collect();
                        let key = parts[3..5].join(",");
                        if parts[0] == "UPDATE" && !target.contains(&key) {
                            // DMS updates nothing then.
                            continue;
                        }
                        (parts[0] == "DELETE", key)
                    } else {
                        let (_, key) = line.split_once("\"d\":").unwrap();
                        let key = format!("1,{}", key.split_once('}').unwrap().0);
                        (line.contains("\"delete\""), key)
                    };
                    if deletes {
                        target.remove(&key)
                    } else {
                        target.insert(key)
                    };
                }
                lines = all.lines().count();
            }
            assert_eq!(target, BTreeSet::from(["1,0".to_owned()]), "{order:?} {profile:?}");
            // The same again changes nothing, whatever it spells.
            world.put(spelled(1, 9, 10, &[6], false));
            world.put(spelled(2, 9, 2, &[8], false));
            let before = world.once().rows;
            assert_eq!(before, world.once().rows);
            assert_eq!(usize::try_from(before).unwrap(), lines, "{order:?} {profile:?}");
        }
    }
}

#[test]
fn damage_names_object_and_line_and_nothing_is_written() {
    let world = world(SequenceProfile::Jsonl);
    world.put(plain(0, 1, "a", 5, 10));
    let (name, bytes) = plain(0, 2, "a", 6, 11);
    let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
    let bad = text.replace("\"value\":6", "\"value\":\"x\"");
    let bytes = zstd::encode_all(format!("{text}{bad}").as_bytes(), 1).unwrap();
    world.store.put(&name, &bytes).unwrap();
    let error = once(&world.options).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains(&name) && words.contains("line 2") && words.contains("column v"),
        "{words}"
    );
    assert_eq!(error.class(), crate::error::ErrorClass::Corrupt);
    assert!(world.store.list("cdc-changes/").unwrap().is_empty());
    // An object cut off, and then the whole one.
    world.store.put(&name, &bytes[..bytes.len() / 2]).unwrap();
    assert!(once(&world.options).unwrap_err().to_string().contains(&name));
    world.store.put(&name, &zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    assert_eq!(world.once().files, 1);
}

#[test]
fn another_sequencers_files_and_states_are_refused() {
    let world = world(SequenceProfile::Jsonl);
    world.put(plain(0, 1, "a", 5, 10));
    world.store.put("cdc-changes/CDC0000000001.jsonl", b"somebody else's\n").unwrap();
    let words = once(&world.options).unwrap_err().to_string();
    assert!(words.contains("is there with other bytes"), "{words}");
    world.store.delete("cdc-changes/CDC0000000001.jsonl").unwrap();
    assert_eq!(world.once().files, 1);
    // Other options.
    let mut other = world.options.clone();
    other.cdc_path = "elsewhere".to_owned();
    let words = once(&other).unwrap_err().to_string();
    assert!(words.contains("--cdc-path is cdc-changes there"), "{words}");
    // Another output with this state.
    let second = tempfile::tempdir().unwrap();
    let store = output_with_schema(second.path(), "jsonl");
    let mut other = world.options.clone();
    other.output = Location::Directory(second.path().to_path_buf());
    let words = once(&other).unwrap_err().to_string();
    assert!(words.contains("is of another output"), "{words}");
    drop(store);
    // An entry that is not the one the state knows.
    let entry = world.store.get("_cassport/sequence/0000000001.json").unwrap().unwrap();
    world.store.put("_cassport/sequence/0000000001.json", b"{}").unwrap();
    let words = once(&world.options).unwrap_err().to_string();
    assert!(words.contains("is not there or is another one"), "{words}");
    world.store.put("_cassport/sequence/0000000001.json", &entry).unwrap();
    world.once();
}

#[test]
fn what_all_hosts_have_shipped_is_sequenced_up_to() {
    let world = world(SequenceProfile::Jsonl);
    for (n, time) in [(0, 7000), (1, 5000)] {
        world.put(plain(n, 1, "a", 5, 10));
        let mark = Watermark { segment: 1, offset: 2, time };
        world.store.put(&watermark_object(host(n)), mark.to_json().as_bytes()).unwrap();
    }
    world.once();
    assert_eq!(world.text("_cassport/sequence/watermark.json"), "{\"time\":5000}\n");
    let status: serde_json::Value =
        serde_json::from_str(&world.text("_cassport/sequence/status.json")).unwrap();
    assert_eq!(status["phase"], "complete");
    assert_eq!(status["rows"], 1);
}
