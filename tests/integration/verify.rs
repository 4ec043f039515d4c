//! `verify`: sound files and outputs have no finding; each kind of damage is told with its file and place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use cassport::dht::Partitioner;
use cassport::discover::{InputOptions, SchemaOption, Source};
use cassport::io::ReadMode;
use cassport::progress::NoEvents;
use cassport::sstable::big::PrimaryIndex;
use cassport::sstable::compression::{ChunkScratch, DataChunks};
use cassport::sstable::stats::Statistics;
use cassport::sstable::{
    Component, DataWalk, Descriptor, LargeRows, SstableReader, WalkStep, WorkerRows,
};
use cassport::verify::{
    Check, CheckKind, SourceOptions, SourceReport, SstableChecks, verify_source,
};

use crate::support::{
    BTI_LINE, LEGACY_LINES, LINES, cassport, copy_tree, is_legacy_sstable, repository, run, shared,
    small_data, tree,
};

fn options(data: &Path) -> SourceOptions {
    let input = InputOptions { data_dirs: vec![data.to_path_buf()], ..InputOptions::default() };
    SourceOptions { input, threads: 2, now: 1_800_000_000 }
}

fn verified(options: &SourceOptions) -> SourceReport {
    verify_source(options, &NoEvents, &AtomicI32::new(0)).unwrap()
}

/// What is not as it should be in files that real nodes wrote; a table may do without a Bloom filter.
fn alarms(report: &SourceReport, allowed: &[&str]) -> Vec<String> {
    let mut alarms = Vec::new();
    for sstable in &report.sstables {
        // The BTI format has no Summary.db.
        let without = usize::from(sstable.file.to_string_lossy().contains("-bti-"));
        assert_eq!(sstable.checks.len(), CheckKind::ALL.len() - without);
        for check in sstable.checks.iter().filter(|check| !check.is_ok()) {
            let why = check.not_possible.as_deref();
            if !check.findings.is_empty() || !why.is_some_and(|why| allowed.contains(&why)) {
                alarms.push(format!("{} {check:?}", sstable.file.display()));
            }
        }
    }
    alarms
}

#[test]
fn sound_files_have_no_finding() {
    let (mut count, mut rows) = (0, 0);
    for line in LEGACY_LINES.into_iter().chain(LINES).chain([BTI_LINE]) {
        for mode in [ReadMode::Map, ReadMode::Read] {
            let mut options = options(&repository("testdata").join(line).join("data"));
            options.input.read_mode = mode;
            let mut found = verified(&options);
            if mode == ReadMode::Map {
                options.input.keyspaces = vec!["system".into()];
                if !LEGACY_LINES.contains(&line) {
                    options.input.keyspaces.push("system_schema".into());
                }
                found.sstables.extend(verified(&options).sstables);
            }
            let alarms = alarms(&found, &["there is no Filter.db"]);
            assert!(alarms.is_empty(), "{line}: {}", alarms.join("\n"));
            count += found.sstables.len();
            rows += found.sstables.iter().map(|sstable| sstable.rows).sum::<u64>();
        }
    }
    println!("{count} SSTables, {rows} rows");
    assert!(count >= 900 && rows > 15_000, "{count} SSTables, {rows} rows");
}

#[test]
fn sound_fixtures_have_no_finding() {
    let Some(root) = shared("fixtures/apache-cassandra") else { return };
    let table = fs::read_to_string(repository("testdata/fixtures.tsv")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split('\t').next().unwrap();
        if line.split('\t').nth(1) == Some("refused") {
            continue;
        }
        let path = root.join(name);
        let mut options = options(&path);
        options.input.schema = SchemaOption::Header;
        if is_legacy_sstable(&path) {
            let keyspace = path.ancestors().nth(2).unwrap().file_name().unwrap();
            options.input.keyspaces = vec![keyspace.to_string_lossy().into_owned()];
            options.input.schema = SchemaOption::File(repository("testdata/fixtures-legacy.cql"));
        }
        let report = verified(&options);
        count += report.sstables.len();
        if name.contains("cf_with_duplicates_3_0") {
            let [sstable] = report.sstables.as_slice() else { panic!("{name}") };
            failed(sstable, CheckKind::RowOrder, "mb-3-big-Data.db", Some(32), "there twice");
            continue;
        }
        let allowed =
            ["there is no Filter.db", "there is no Summary.db", "there is no Digest.crc32"];
        let alarms = alarms(&report, &allowed);
        assert!(alarms.is_empty(), "{}", alarms.join("\n"));
    }
    assert!(count >= 70, "{count}");
}

#[track_caller]
fn failed<'c>(
    sstable: &'c SstableChecks,
    kind: CheckKind,
    file: &str,
    offset: Option<u64>,
    words: &str,
) -> &'c Check {
    let check = sstable.check(kind).unwrap();
    let is_it = |finding: &&cassport::verify::Finding| {
        finding.file.to_string_lossy().ends_with(file)
            && (offset.is_none() || finding.offset == offset)
            && finding.cause.contains(words)
    };
    assert!(check.findings.iter().any(|f| is_it(&f)), "{file} {offset:?} {words}: {sstable:#?}");
    check
}

/// Offsets of rows and of their ends.
type Rows = Vec<(u64, u64)>;

/// One SSTable of a table of a corpus, alone in a data root of its own.
struct One {
    root: tempfile::TempDir,
    descriptor: Descriptor,
    name: String,
}

impl One {
    /// The largest.
    fn new(line: &str, keyspace: &str, table: &str) -> Self {
        Self::nth(line, keyspace, table, 0)
    }

    /// The `n`th from the largest.
    fn nth(line: &str, keyspace: &str, table: &str, n: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let from = repository("testdata").join(line).join("data");
        copy_tree(&from.join("system_schema"), &root.path().join("system_schema"));
        let mut folders = fs::read_dir(from.join(keyspace)).unwrap().map(|e| e.unwrap().path());
        let of_table = |folder: &PathBuf| {
            folder.file_name().unwrap().to_str().unwrap().starts_with(&format!("{table}-"))
        };
        let folder = folders.find(of_table).unwrap();
        let mut data: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().ends_with("-Data.db"))
            .collect();
        data.sort_by_key(|path| fs::metadata(path).unwrap().len());
        let (descriptor, _) = Descriptor::parse(&data[data.len() - 1 - n]).unwrap().unwrap();
        let to = root.path().join(keyspace).join(folder.file_name().unwrap());
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name.to_str().unwrap().starts_with(&descriptor.prefix()) {
                fs::copy(entry.path(), to.join(name)).unwrap();
            }
        }
        let descriptor = Descriptor { directory: to, ..descriptor };
        Self { root, descriptor, name: format!("{keyspace}.{table}") }
    }

    fn path(&self, component: Component) -> PathBuf {
        self.descriptor.path(component)
    }

    fn read(&self, component: Component) -> Vec<u8> {
        fs::read(self.path(component)).unwrap()
    }

    fn write(&self, component: Component, bytes: &[u8]) {
        fs::write(self.path(component), bytes).unwrap();
    }

    fn change(&self, component: Component, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.read(component.clone());
        change(&mut bytes);
        self.write(component, &bytes);
    }

    fn remove(&self, component: Component) {
        fs::remove_file(self.path(component)).unwrap();
    }

    fn options(&self) -> SourceOptions {
        let mut options = options(self.root.path());
        options.input.tables = vec![self.name.clone()];
        options
    }

    fn checks(&self) -> SstableChecks {
        let report = verified(&self.options());
        let [sstable] = report.sstables.as_slice() else { panic!("{report:?}") };
        sstable.clone()
    }

    /// Offsets in Data.db of markers that begin a range where none is open.
    fn markers(&self) -> Vec<u64> {
        let mut walk = self.walk();
        let mut markers = Vec::new();
        while walk.next_partition().unwrap().is_some() {
            loop {
                match walk.next_step().unwrap() {
                    WalkStep::Marker(m) if m.kind.is_start() && !m.kind.is_end() => {
                        markers.push(walk.position());
                    }
                    WalkStep::End => break,
                    WalkStep::Static | WalkStep::Row | WalkStep::Marker(_) => {}
                }
            }
        }
        markers
    }

    fn walk(&self) -> DataWalk {
        let options = self.options();
        let source = Source::open(&options.input, 0).unwrap();
        let selection = source.select(&options.input).unwrap();
        let table = &selection.tables[0].metadata;
        let reader = SstableReader::open_data(&self.descriptor, table, ReadMode::Read).unwrap();
        let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(1 << 20))));
        DataWalk::new(Arc::new(reader), rows)
    }

    /// Offsets in Data.db of each partition, and of its rows with their ends.
    fn partitions(&self) -> Vec<(u64, Rows, u64)> {
        let mut walk = self.walk();
        let mut partitions = Vec::new();
        while let Some(partition) = walk.next_partition().unwrap() {
            let mut rows = Vec::new();
            loop {
                match walk.next_step().unwrap() {
                    WalkStep::Row => rows.push((walk.position(), walk.end())),
                    WalkStep::End => break,
                    WalkStep::Static | WalkStep::Marker(_) => {}
                }
            }
            partitions.push((partition.offset, rows, walk.end()));
        }
        partitions
    }

    /// Not compressed, and without the checksums that would tell a change of Data.db at once.
    fn bare(self) -> Self {
        let chunks = DataChunks::open(&self.descriptor, ReadMode::Read).unwrap();
        let (mut scratch, mut out) = (ChunkScratch::default(), vec![0; chunks.chunk_len()]);
        let mut data = Vec::new();
        for index in 0..chunks.chunk_count() {
            let len = chunks.read_chunk(index, &mut scratch, &mut out).unwrap();
            data.extend_from_slice(&out[..len]);
        }
        self.write(Component::Data, &data);
        for component in
            [Component::Digest, Component::Crc, Component::CompressionInfo, Component::Toc]
        {
            drop(fs::remove_file(self.path(component)));
        }
        let checks = self.checks();
        assert!(!checks.has_findings() && !checks.is_unreadable(), "{checks:#?}");
        self
    }

    fn index(&self) -> PrimaryIndex {
        PrimaryIndex::open(&self.descriptor, &Partitioner::Murmur3, ReadMode::Read)
            .unwrap()
            .unwrap()
    }
}

#[test]
fn damaged_data_is_told_by_digest_and_chunk() {
    let one = One::new("4.1", "storage", "lz4");
    assert!(one.checks().checks.iter().all(Check::is_ok));
    one.change(Component::Digest, |digits| {
        digits[0] = if digits[0] == b'1' { b'2' } else { b'1' };
    });
    failed(&one.checks(), CheckKind::Digest, "-Data.db", None, "checksum");
    one.remove(Component::Digest);
    let checks = one.checks();
    let digest = checks.check(CheckKind::Digest).unwrap();
    assert_eq!(digest.word(), "not possible");
    assert!(!checks.has_findings() && !checks.is_unreadable());

    let one = One::new("4.1", "storage", "lz4");
    one.change(Component::Data, |data| data[100] ^= 1);
    let checks = one.checks();
    failed(&checks, CheckKind::Digest, "-Data.db", None, "checksum");
    failed(&checks, CheckKind::Chunks, "-Data.db", Some(0), "checksum");
    // Told once, and what could not be looked at is not called sound.
    assert_eq!(checks.check(CheckKind::Rows).unwrap().word(), "not possible");
    assert_eq!(checks.check(CheckKind::Index).unwrap().word(), "not possible");

    let one = One::new("4.1", "storage", "lz4");
    one.change(Component::Data, |data| data.truncate(data.len() - 1));
    let checks = one.checks();
    assert!(checks.check(CheckKind::Chunks).unwrap().findings.len() == 1, "{checks:#?}");
}

#[test]
fn partitions_and_rows_out_of_order_are_told() {
    let one = One::new("4.1", "storage", "plain").bare();
    let partitions = one.partitions();
    // Two partitions change places: everything within them stays as it was.
    let [(a, _, middle), (_, _, end)] = [&partitions[1], &partitions[2]].map(Clone::clone);
    one.change(Component::Data, |data| {
        data[a as usize..end as usize].rotate_left((middle - a) as usize);
    });
    let second = a + (end - middle);
    let checks = one.checks();
    failed(&checks, CheckKind::KeyOrder, "-Data.db", Some(second), "does not come after");
    failed(&checks, CheckKind::Index, "-Index.db", None, "another key");
    assert!(checks.check(CheckKind::Rows).unwrap().is_ok());

    let one = One::new("4.1", "storage", "wide").bare();
    let partitions = one.partitions();
    // Two rows of one length change places; what they say of the row before stays true.
    let swap = partitions.iter().flat_map(|(_, rows, _)| rows.array_windows::<3>()).find(
        |[before, one, other]| {
            let len = |row: &(u64, u64)| row.1 - row.0;
            len(before) == len(one) && len(one) == len(other)
        },
    );
    let Some([_, first, second]) = swap else { panic!("no rows of one length in storage.wide") };
    one.change(Component::Data, |data| {
        data[first.0 as usize..second.1 as usize].rotate_left((first.1 - first.0) as usize);
    });
    let checks = one.checks();
    failed(&checks, CheckKind::RowOrder, "-Data.db", Some(second.0), "does not come after");
    one.change(Component::Data, |data| {
        data.copy_within(first.0 as usize..first.1 as usize, second.0 as usize);
    });
    failed(&one.checks(), CheckKind::RowOrder, "-Data.db", Some(second.0), "there twice");
}

#[test]
fn rows_that_cannot_be_decoded_are_told() {
    let one = One::new("4.1", "storage", "wide").bare();
    let partitions = one.partitions();
    let (_, rows, _) = partitions.iter().find(|(_, rows, _)| rows.len() > 1).unwrap();
    let at = rows[1].0;
    one.change(Component::Data, |data| data[at as usize] = 0xff);
    let checks = one.checks();
    failed(&checks, CheckKind::Rows, "-Data.db", Some(at), "");
    assert_eq!(checks.check(CheckKind::Statistics).unwrap().word(), "not possible");
}

#[test]
fn an_index_that_is_not_that_of_the_data_is_told() {
    let one = One::new("4.1", "storage", "plain");
    let index = one.index();
    let mut entries = index.entries();
    let (mut positions, mut offsets) = (Vec::new(), Vec::new());
    while let Some(entry) = entries.next_entry().unwrap() {
        positions.push(entry.position);
        offsets.push(entry.data_offset);
    }
    let whole = one.read(Component::Index);
    let last = *positions.last().unwrap();
    one.write(Component::Index, &whole[..last as usize]);
    let checks = one.checks();
    failed(&checks, CheckKind::Index, "-Index.db", Some(last), "ends before");
    failed(&checks, CheckKind::Summary, "-Summary.db", None, "last key");
    // A partition that is not there.
    one.write(Component::Index, &whole);
    let end = *offsets.last().unwrap() as usize;
    let plain = One::new("4.1", "storage", "plain").bare();
    plain.change(Component::Data, |data| data.truncate(end));
    failed(&plain.checks(), CheckKind::Index, "-Index.db", Some(last), "which has none there");
    // Every changed byte of a position is noticed.
    let at = positions[1] as usize;
    let key_len = usize::from(u16::from_be_bytes([whole[at], whole[at + 1]]));
    for byte in at + 2..at + 2 + key_len + 1 {
        one.write(Component::Index, &whole);
        one.change(Component::Index, |index| index[byte] ^= 1);
        let checks = one.checks();
        failed(&checks, CheckKind::Index, "-Index.db", Some(positions[1]), "");
    }
    one.remove(Component::Index);
    let checks = one.checks();
    assert!(!checks.has_findings(), "{checks:#?}");
    assert_eq!(checks.check(CheckKind::Summary).unwrap().word(), "not possible");
    let one = One::new("4.1", "storage", "lz4");
    one.remove(Component::Index);
    assert!(one.checks().check(CheckKind::Filter).unwrap().is_ok());
    one.change(Component::Filter, |filter| filter[8..].fill(0));
    failed(&one.checks(), CheckKind::Filter, "-Filter.db", None, "denies a key");
}

#[test]
fn tries_that_are_not_those_of_the_data_are_told() {
    for (table, component, kind) in [
        ("lz4", Component::Partitions, CheckKind::Index),
        ("wide", Component::Rows, CheckKind::RowIndex),
        ("frozen_down", Component::Rows, CheckKind::RowIndex),
    ] {
        let one = One::new(BTI_LINE, "storage", table);
        let whole = one.read(component.clone());
        let step = whole.len() / 90;
        let (mut tried, mut missed) = (0, Vec::new());
        for byte in (0..whole.len()).step_by(step) {
            one.change(component.clone(), |bytes| bytes[byte] ^= 1 << (byte % 8));
            let checks = one.checks();
            tried += 1;
            if !checks.has_findings() {
                missed.push(byte);
            } else if component == Component::Partitions {
                failed(&checks, kind, ".db", None, "");
            }
            one.write(component.clone(), &whole);
        }
        // What fills a page, and the half byte behind an odd number of distances, mean nothing. A place in the trie of rows may
        // be another as long as it is right.
        assert!(tried > 80 && missed.len() * 10 < tried, "{table}: {missed:?} of {tried}");
        assert!(!one.checks().has_findings());
        one.change(component.clone(), |bytes| bytes.truncate(bytes.len() - 1));
        assert!(one.checks().has_findings(), "{table}");
        one.remove(component);
        let checks = one.checks();
        assert!(!checks.has_findings(), "{checks:#?}");
        for kind in [CheckKind::Index, CheckKind::RowIndex] {
            assert_eq!(checks.check(kind).unwrap().word(), "not possible");
        }
        assert!(checks.check(CheckKind::Filter).unwrap().is_ok());
    }
    // The trie of another SSTable, and data that ends before it.
    let one = One::new(BTI_LINE, "storage", "lz4");
    let other = One::nth(BTI_LINE, "storage", "lz4", 1);
    one.write(Component::Partitions, &other.read(Component::Partitions));
    let checks = one.checks();
    failed(&checks, CheckKind::Index, "-bti-Partitions.db", None, "Statistics.db");
    let one = One::new(BTI_LINE, "storage", "lz4").bare();
    let partitions = one.partitions();
    let (last, _, _) = partitions.last().unwrap();
    one.change(Component::Data, |data| data.truncate(*last as usize));
    failed(&one.checks(), CheckKind::Index, "-bti-Partitions.db", None, "position in Data.db");
}

#[test]
fn every_changed_byte_of_the_index_of_rows_is_noticed() {
    let one = One::new("4.1", "storage", "wide");
    let index = one.index();
    let mut entries = index.entries();
    let mut found = None;
    while let Some(entry) = entries.next_entry().unwrap() {
        found = found.or(entry.row_index);
    }
    let at = found.expect("storage.wide has an index of rows");
    let whole = one.read(Component::Index);
    let step = (at.len / 60).max(1) as usize;
    let mut tried = 0;
    for byte in (at.offset as usize..(at.offset + at.len) as usize).step_by(step) {
        one.change(Component::Index, |index| index[byte] ^= 1);
        let checks = one.checks();
        failed(&checks, CheckKind::RowIndex, "-Index.db", None, "");
        one.write(Component::Index, &whole);
        tried += 1;
    }
    assert!(tried >= 30, "{tried}");
    assert!(one.checks().checks.iter().all(Check::is_ok));
}

#[test]
fn a_summary_or_filter_that_is_not_that_of_the_keys_is_told() {
    let one = One::new("4.1", "storage", "lz4");
    let whole = one.read(Component::Summary);
    let first = 24 + u32::from_le_bytes(whole[24..28].try_into().unwrap()) as usize;
    one.change(Component::Summary, |summary| summary[first] ^= 1);
    failed(&one.checks(), CheckKind::Summary, "-Summary.db", Some(24), "another key");
    one.write(Component::Summary, &whole);
    let entries = u32::from_be_bytes(whole[4..8].try_into().unwrap()) as usize;
    let len = u64::from_be_bytes(whole[8..16].try_into().unwrap()) as usize;
    let position = 24 + len - 8;
    one.change(Component::Summary, |summary| summary[position] ^= 1);
    let offset = 24 + 4 * (entries as u64 - 1);
    failed(&one.checks(), CheckKind::Summary, "-Summary.db", Some(offset), "no entry");
    one.write(Component::Summary, &whole);
    one.change(Component::Summary, |summary| summary[position + 3] ^= 1);
    failed(&one.checks(), CheckKind::Summary, "-Summary.db", Some(offset), "ends at");
    one.write(Component::Summary, &whole[..whole.len() - 1]);
    failed(&one.checks(), CheckKind::Summary, "-Summary.db", None, "");
    one.write(Component::Summary, &whole);
    one.change(Component::Filter, |filter| filter[8..].fill(0));
    let checks = one.checks();
    let check = failed(&checks, CheckKind::Filter, "-Filter.db", None, "denies a key");
    assert_eq!(check.findings.len(), 20);
    assert!(check.more > 0 && check.findings[0].partition_key.is_some());
}

#[test]
fn statistics_that_are_not_those_of_the_content_are_told() {
    // 3.11 keeps no checksums in Statistics.db.
    let one = One::new("3.11", "storage", "lz4");
    let whole = one.read(Component::Statistics);
    let number = |at: usize| u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    let stats = number(4 + 2 * 8 + 4);
    let buckets = number(stats);
    let used = (0..buckets)
        .map(|i| stats + 4 + 16 * i + 8)
        .find(|at| whole[*at..*at + 8] != [0; 8])
        .unwrap();
    let cells = number(stats + 4 + 16 * buckets);
    let times = stats + 8 + 16 * (buckets + cells) + 12;
    for (at, value, words) in [
        (used, 7_777_u64, "are recorded"),
        (times, i64::MAX as u64, "write times"),
        (times + 8, 1, "write times"),
    ] {
        one.change(Component::Statistics, |statistics| {
            statistics[at..at + 8].copy_from_slice(&value.to_be_bytes());
        });
        failed(&one.checks(), CheckKind::Statistics, "-Statistics.db", None, words);
        one.write(Component::Statistics, &whole);
    }
    one.change(Component::Statistics, |statistics| {
        statistics[times + 16..times + 24].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
    });
    failed(&one.checks(), CheckKind::Statistics, "-Statistics.db", None, "local deletion times");
    one.write(Component::Statistics, &whole[..20]);
    let checks = one.checks();
    failed(&checks, CheckKind::Statistics, "-Statistics.db", None, "");
    assert_eq!(checks.check(CheckKind::Rows).unwrap().word(), "not possible");
    assert!(checks.check(CheckKind::Chunks).unwrap().is_ok());
    one.remove(Component::Statistics);
    let checks = one.checks();
    assert!(checks.is_unreadable() && !checks.has_findings());
}

#[test]
fn clusterings_and_keys_that_are_not_those_recorded_are_told() {
    let one = One::new("3.11", "storage", "wide");
    let recorded = |one: &One| {
        Statistics::read(&one.path(Component::Statistics), one.descriptor.version).unwrap().stats
    };
    let stats = recorded(&one);
    let mut lists = Vec::new();
    for values in [&stats.min_clustering, &stats.max_clustering] {
        lists.extend((values.len() as u32).to_be_bytes());
        for value in values {
            lists.extend((value.len() as u16).to_be_bytes());
            lists.extend(value);
        }
    }
    one.change(Component::Statistics, |bytes| {
        let at = 6 + bytes.windows(lists.len()).position(|window| window == lists).unwrap();
        bytes[at] = 0x7f;
        bytes[at + 1..at + stats.min_clustering[0].len()].fill(0xff);
    });
    failed(&one.checks(), CheckKind::Statistics, "-Statistics.db", None, "clusterings");

    // From 4.0 on the parts of Statistics.db have checksums, which are to fit.
    let one = One::new("5.0", "storage", "lz4");
    let (first, _) = recorded(&one).key_range.unwrap();
    one.change(Component::Statistics, |bytes| {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let (stats, header) = (number(8 + 2 * 8 + 4), number(8 + 3 * 8 + 4));
        let key = bytes[stats..header].windows(first.len()).rposition(|w| w == first).unwrap();
        bytes[stats + key] ^= 1;
        let crc = crc32fast::hash(&bytes[stats..header - 4]);
        bytes[header - 4..header].copy_from_slice(&crc.to_be_bytes());
    });
    failed(&one.checks(), CheckKind::Statistics, "-Statistics.db", None, "first and last key");
}

#[test]
fn range_tombstones_that_do_not_alternate_are_told() {
    let mut ones = (0..).map(|n| One::nth("4.1", "deletes", "mixed", n).bare());
    let one = ones.find(|one| !one.markers().is_empty()).unwrap();
    let at = one.markers()[0];
    // The kind of an end that lies after its prefix.
    one.change(Component::Data, |data| data[at as usize + 1] = 6);
    let checks = one.checks();
    failed(&checks, CheckKind::RowOrder, "-Data.db", Some(at), "ends that has not begun");
}

#[test]
fn exit_codes_tell_differences_from_what_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let table = small_data(directory.path());
    let root = directory.path().to_str().unwrap();
    let before = tree(directory.path());
    let sound = run(cassport(["verify", "--data-dir", root, "--threads", "2"]), 0);
    let text = String::from_utf8(sound.stdout).unwrap();
    assert!(text.contains("2 of 2 SSTables are sound"), "{text}");
    assert_eq!(before, tree(directory.path()), "an input was changed");
    let named = |end: &str| {
        let names = fs::read_dir(&table).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.to_str().unwrap().ends_with(end)).min().unwrap()
    };
    let statistics = named("-Statistics.db");
    fs::rename(&statistics, statistics.with_extension("gone")).unwrap();
    let text = String::from_utf8(run(cassport(["verify", "--data-dir", root]), 3).stdout).unwrap();
    assert!(text.contains("unreadable") && text.contains("Statistics.db is missing"), "{text}");
    let filter = named("-Filter.db");
    let mut bytes = fs::read(&filter).unwrap();
    bytes[8..].fill(0);
    fs::write(&filter, bytes).unwrap();
    fs::rename(statistics.with_extension("gone"), &statistics).unwrap();
    let json = run(cassport(["verify", "--data-dir", root, "--json"]), 5).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["sound"], false);
    let checks = json["sstables"].as_array().unwrap().iter();
    let failed: Vec<_> = checks
        .flat_map(|sstable| sstable["checks"].as_array().unwrap())
        .filter(|check| check["result"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["check"], "filter");
    run(cassport(["verify", "--data-dir", root, "--full"]), 2);
    run(cassport(["verify", "--data-dir", root, "--output", root]), 2);
    run(cassport(["verify"]), 2);
}

/// An output of `storage.lz4`, in several files.
fn extracted(root: &Path, profile: &str) -> PathBuf {
    let output = root.join(format!("out-{profile}"));
    run(
        cassport([
            "extract".as_ref(),
            "--data-dir".as_ref(),
            root.join("data").as_os_str(),
            "--output".as_ref(),
            output.as_os_str(),
            "--profile".as_ref(),
            profile.as_ref(),
            "--file-size=2KiB".as_ref(),
            "--now=1800000000".as_ref(),
        ]),
        0,
    );
    output
}

fn verify_output(output: &Path, full: bool, code: i32) -> String {
    let mut arguments = vec!["verify".as_ref(), "--output".as_ref(), output.as_os_str()];
    if full {
        arguments.push("--full".as_ref());
    }
    String::from_utf8(run(cassport(arguments), code).stdout).unwrap()
}

fn verify_against(data: &Path, output: &Path, code: i32) -> String {
    let arguments = [
        "verify".as_ref(),
        "--data-dir".as_ref(),
        data.as_os_str(),
        "--against".as_ref(),
        output.as_os_str(),
    ];
    String::from_utf8(run(cassport(arguments), code).stdout).unwrap()
}

#[test]
fn every_corpus_is_what_its_output_says() {
    for line in LEGACY_LINES.into_iter().chain(LINES).chain([BTI_LINE]) {
        let data = repository("testdata").join(line).join("data");
        for (profile, metadata) in [
            ("dms", "row"),
            ("csv", "none"),
            ("jsonl", "cell"),
            ("cqlsh", "none"),
            ("datalake", "cell"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let output = directory.path().join("out");
            let mut command = cassport(["extract", "--file-size=64KiB", "--rename=id=ident"]);
            command.arg("--data-dir").arg(&data).arg("--output").arg(&output);
            command.args(["--profile", profile, "--metadata", metadata, "--now=1800000000"]);
            assert!(matches!(command.output().unwrap().status.code(), Some(0 | 1)), "{line}");
            let text = verify_output(&output, true, 0);
            assert!(text.contains("as the manifests say"), "{line} {profile}: {text}");
            let text = verify_against(&data, &output, 0);
            assert!(text.contains("are the same"), "{line} {profile}: {text}");
        }
    }
}

#[test]
fn an_output_with_a_missing_altered_or_further_file_is_told() {
    let directory = tempfile::tempdir().unwrap();
    small_data(&directory.path().join("data"));
    for profile in ["dms", "csv", "jsonl", "cqlsh", "datalake"] {
        let output = extracted(directory.path(), profile);
        let folder = output.join("storage/lz4");
        let mut files: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > 2, "{files:?}");
        let text = verify_output(&output, false, 0);
        assert!(text.contains("keeps no checksums"), "{text}");
        let file = &files[1];
        let shown = file.to_str().unwrap();
        let whole = fs::read(file).unwrap();
        let told = |full: bool, words: &[&str]| {
            let text = verify_output(&output, full, 5);
            assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
        };

        let mut changed = whole.clone();
        let at = changed.iter().rposition(u8::is_ascii_digit).unwrap();
        changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
        fs::write(file, &changed).unwrap();
        verify_output(&output, false, 0);
        told(true, &[shown, "CRC64NVME", "digest of its records"]);
        fs::write(file, &whole[..whole.len() - 1]).unwrap();
        told(false, &[shown, "bytes are there"]);
        told(true, &[shown, "ends within a record", "rows are there"]);
        fs::remove_file(file).unwrap();
        told(false, &[shown, "it is not there"]);
        fs::write(file, &whole).unwrap();
        let further = folder.join(format!("LOAD0000FFFF.{profile}"));
        fs::write(&further, b"1\n").unwrap();
        told(false, &[further.to_str().unwrap(), "no manifest names it"]);
        fs::rename(&further, folder.join("notes.txt")).unwrap();
        verify_output(&output, true, 0);
        fs::remove_file(output.join("_cassport/agents/000/manifest.json")).unwrap();
        told(false, &["no manifest"]);
        fs::remove_file(output.join("_cassport/run.json")).unwrap();
        verify_output(&output, false, 3);
    }
    verify_output(&directory.path().join("nowhere"), false, 3);
    assert!(!directory.path().join("nowhere").exists());
}

#[test]
fn differing_rows_of_source_and_output_are_shown() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let table = small_data(&data);
    for profile in ["csv", "jsonl"] {
        let output = extracted(directory.path(), profile);
        let text = verify_against(&data, &output, 0);
        assert!(text.contains("source and output are the same"), "{text}");

        // A row of the output is changed behind its manifest's back.
        let mut files: Vec<_> = fs::read_dir(output.join("storage/lz4"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let whole = fs::read_to_string(&files[1]).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        let changed = lines[3].replacen(|c: char| c.is_ascii_digit(), "x", 1);
        fs::write(&files[1], whole.replacen(lines[3], &changed, 1)).unwrap();
        let text = verify_against(&data, &output, 5);
        assert!(text.contains(files[1].to_str().unwrap()), "{text}");
        let start = |line: &str| line.chars().take(60).collect::<String>();
        assert!(text.contains(&format!("source  {}", start(lines[3]))), "{text}");
        assert!(text.contains(&format!("output  {}", start(&changed))), "{text}");
        assert_eq!(text.matches("\n  source  ").count(), 1, "{text}");
        fs::write(&files[1], &whole).unwrap();
    }

    // Rows of ranges that no file of the output holds.
    let output = directory.path().join("out-jsonl");
    let manifest = output.join("_cassport/agents/000/manifest.json");
    let whole = fs::read(&manifest).unwrap();
    for first in [true, false] {
        let mut json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        let tables = json["tables"].as_array_mut().unwrap();
        let table = tables.iter_mut().find(|table| table["table"] == "lz4").unwrap();
        let files = table["files"].as_array_mut().unwrap();
        assert!(files.len() > 1);
        files.remove(if first { 0 } else { files.len() - 1 });
        fs::write(&manifest, json.to_string()).unwrap();
        let text = verify_against(&data, &output, 5);
        assert_eq!(text.matches("the output 0").count(), 1, "{text}");
        assert!(text.contains("\n  source  {") && !text.contains("\n  output  {"), "{text}");
    }
    fs::write(&manifest, whole).unwrap();

    // The source has less than when it was extracted.
    let mut data_files: Vec<_> = fs::read_dir(&table)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with("-Data.db"))
        .collect();
    data_files.sort();
    let (descriptor, _) = Descriptor::parse(&data_files[0]).unwrap().unwrap();
    for entry in fs::read_dir(&table).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with(&descriptor.prefix()) {
            fs::remove_file(path).unwrap();
        }
    }
    let text = verify_against(&data, &output, 5);
    assert!(text.contains("they differ") && text.contains("\n  output  {"), "{text}");
    assert_eq!(text.matches("\n  output  ").count() + text.matches("\n  source  ").count(), 10);

    // With damage elsewhere the difference is still named.
    let damaged_too = {
        let whole = fs::read(&data_files[1]).unwrap();
        let mut bytes = whole.clone();
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
        fs::write(&data_files[1], bytes).unwrap();
        let text = verify_against(&data, &output, 5);
        fs::write(&data_files[1], whole).unwrap();
        text
    };
    assert!(damaged_too.contains("cannot be read: storage.lz4"), "{damaged_too}");
    assert!(damaged_too.contains("they differ"), "{damaged_too}");
    assert!(damaged_too.contains("\n  output  {"), "{damaged_too}");

    // And damage in it is no difference.
    let mut bytes = fs::read(&data_files[1]).unwrap();
    bytes[50] ^= 1;
    fs::write(&data_files[1], bytes).unwrap();
    let arguments = ["verify", "--data-dir"].map(std::ffi::OsStr::new);
    let more = ["--against".as_ref(), output.as_os_str()];
    let command = cassport(arguments.into_iter().chain([data.as_os_str()]).chain(more));
    let code = { command }.output().unwrap();
    let text = String::from_utf8(code.stdout).unwrap();
    assert!(text.contains("cannot be read: storage.lz4"), "{text}");
}
