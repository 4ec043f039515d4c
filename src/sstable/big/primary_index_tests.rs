use std::path::Path;

use super::*;
use crate::dht::murmur3_token;
use crate::sstable::Format;
use crate::sstable::big::{LegacyRowIndex, RowIndex};
use crate::sstable::fixtures::sstables;
use crate::sstable::stats::Statistics;

/// Keys of `count` partitions in the order of Murmur3Partitioner.
fn keys(count: u32) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = (0..count).map(|i| format!("key {i}").into_bytes()).collect();
    keys.sort_by_key(|key| murmur3_token(key));
    keys
}

struct Written {
    _dir: tempfile::TempDir,
    descriptor: Descriptor,
    keys: Vec<Vec<u8>>,
}

const PARTITION_LEN: u64 = 100;

impl Written {
    /// An Index.db of `count` partitions of 100 bytes, every seventh with a row index, and its Summary.db.
    fn new(count: u32, interval: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (descriptor, _) =
            Descriptor::parse(&dir.path().join("nb-1-big-Data.db")).unwrap().unwrap();
        let keys = keys(count);
        let (mut index, mut offsets, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        let samples = keys.len().div_ceil(interval);
        for (i, key) in keys.iter().enumerate() {
            if i % interval == 0 {
                let at = u32::try_from(4 * samples + entries.len()).unwrap();
                offsets.extend_from_slice(&at.to_le_bytes());
                entries.extend_from_slice(key);
                entries.extend_from_slice(&(index.len() as u64).to_le_bytes());
            }
            index.extend_from_slice(&u16::try_from(key.len()).unwrap().to_be_bytes());
            index.extend_from_slice(key);
            index.push(0xf0);
            let offset = u32::try_from(i as u64 * PARTITION_LEN).unwrap();
            index.extend_from_slice(&offset.to_be_bytes());
            if i % 7 == 3 {
                index.push(60);
                index.extend_from_slice(&[0xee; 60]);
            } else {
                index.push(0);
            }
        }
        let mut summary = u32::try_from(interval).unwrap().to_be_bytes().to_vec();
        summary.extend_from_slice(&u32::try_from(samples).unwrap().to_be_bytes());
        summary.extend_from_slice(&((offsets.len() + entries.len()) as u64).to_be_bytes());
        summary.extend_from_slice(&128_u32.to_be_bytes());
        summary.extend_from_slice(&u32::try_from(samples).unwrap().to_be_bytes());
        summary.extend_from_slice(&offsets);
        summary.extend_from_slice(&entries);
        for key in [keys.first().unwrap(), keys.last().unwrap()] {
            summary.extend_from_slice(&u32::try_from(key.len()).unwrap().to_be_bytes());
            summary.extend_from_slice(key);
        }
        std::fs::write(descriptor.path(Component::Index), &index).unwrap();
        std::fs::write(descriptor.path(Component::Summary), &summary).unwrap();
        Self { _dir: dir, descriptor, keys }
    }

    fn open(&self, mode: ReadMode) -> PrimaryIndex {
        PrimaryIndex::open(&self.descriptor, &Partitioner::Murmur3, mode).unwrap().unwrap()
    }

    fn edit(&self, component: Component, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.descriptor.path(component);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
    }

    /// Every search gives what a linear one gives.
    fn check_searches(&self, index: &PrimaryIndex) {
        let key = |i: usize| self.keys.get(i).cloned();
        let found = |entry: Option<(Vec<u8>, u64)>| {
            entry.map(|(key, offset)| (key, offset / PARTITION_LEN))
        };
        let expected = |i: usize| key(i).map(|key| (key, i as u64));
        assert_eq!(found(index.first().unwrap()), expected(0));
        assert_eq!(found(index.last().unwrap()), expected(self.keys.len() - 1));
        assert_eq!(found(index.first_after(Token::MIN).unwrap()), expected(0));
        assert_eq!(found(index.first_after(Token::MAX).unwrap()), None);
        for i in (0..self.keys.len()).step_by(1 + self.keys.len() / 300) {
            let token = murmur3_token(&self.keys[i]);
            assert_eq!(found(index.first_after(token).unwrap()), expected(i + 1), "after {i}");
            assert_eq!(found(index.first_after(Token(token.0 - 1)).unwrap()), expected(i));
            let at = i as u64 * PARTITION_LEN;
            assert_eq!(found(index.first_at_or_after(at).unwrap()), expected(i), "at {at}");
            assert_eq!(found(index.first_at_or_after(at + 1).unwrap()), expected(i + 1));
        }
    }
}

#[test]
fn searches_find_what_a_linear_search_finds() {
    for (count, interval) in [(1, 128), (2, 1), (128, 128), (129, 128), (1000, 16), (3000, 128)] {
        let files = Written::new(count, interval);
        for mode in [ReadMode::Map, ReadMode::Read] {
            let index = files.open(mode);
            files.check_searches(&index);
            assert!(index.samples.get().is_none(), "Summary.db was not used");
            let estimate = index.estimated_partition_count().unwrap();
            assert!(estimate.abs_diff(count.into()) <= interval as u64, "{estimate}");
        }
    }
}

#[test]
fn searches_work_without_summary_and_with_a_wrong_one() {
    let files = Written::new(1000, 16);
    // Positions of another file, as after a copy gone wrong; a hole; a cut; one that is no Summary.db at all.
    let other = Written::new(900, 16);
    let foreign = std::fs::read(other.descriptor.path(Component::Summary)).unwrap();
    let good = std::fs::read(files.descriptor.path(Component::Summary)).unwrap();
    let mut hole = good.clone();
    hole[24..24 + 4 * 63].fill(0);
    for bad in [foreign, hole, good[..good.len() - 1].to_vec(), b"no summary".to_vec(), Vec::new()]
    {
        files.edit(Component::Summary, |bytes| *bytes = bad);
        for mode in [ReadMode::Map, ReadMode::Read] {
            let index = files.open(mode);
            files.check_searches(&index);
            assert!(index.samples.get().is_some());
        }
    }
    std::fs::remove_file(files.descriptor.path(Component::Summary)).unwrap();
    let index = files.open(ReadMode::Read);
    files.check_searches(&index);
    let estimate = index.estimated_partition_count().unwrap();
    assert!((900..1100).contains(&estimate), "{estimate}");
    std::fs::remove_file(files.descriptor.path(Component::Index)).unwrap();
    let absent = PrimaryIndex::open(&files.descriptor, &Partitioner::Murmur3, ReadMode::Map);
    assert!(absent.unwrap().is_none());
}

#[test]
fn flipped_bits_in_a_summary_never_change_an_answer() {
    let files = Written::new(60, 8);
    let good = std::fs::read(files.descriptor.path(Component::Summary)).unwrap();
    for bit in (0..good.len() * 8).step_by(3) {
        files.edit(Component::Summary, |bytes| {
            bytes.clone_from(&good);
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        files.check_searches(&files.open(ReadMode::Read));
    }
}

fn read_to_end(index: &PrimaryIndex) -> Result<usize> {
    let mut entries = index.entries();
    let mut count = 0;
    while entries.next_entry()?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn damage_in_index_db_is_noticed() {
    let files = Written::new(50, 8);
    assert_eq!(read_to_end(&files.open(ReadMode::Read)).unwrap(), 50);
    let path = files.descriptor.path(Component::Index);
    let good = std::fs::read(&path).unwrap();
    let mut borders = 0;
    for len in 0..good.len() {
        std::fs::write(&path, &good[..len]).unwrap();
        for mode in [ReadMode::Map, ReadMode::Read] {
            borders += usize::from(read_to_end(&files.open(mode)).is_ok());
        }
    }
    assert_eq!(borders, 2 * 50, "only a cut between two entries can go unnoticed");
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let index = files.open(ReadMode::Map);
        let _either = read_to_end(&index);
        let _either = index.first_after(Token(0));
    }
    // Two entries exchanged: 2 + 5 or 6 bytes of key, 5 of position, 1 of length.
    let swapped = Written::new(2, 8);
    swapped.edit(Component::Index, |bytes| {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        *bytes = [second, first].concat();
    });
    let error = read_to_end(&swapped.open(ReadMode::Map)).unwrap_err();
    assert!(error.to_string().contains("begins at"), "{error}");
    swapped.edit(Component::Index, |bytes| {
        let half = bytes.len() / 2;
        bytes[half - 2] = 0;
        let last = bytes.len() - 2;
        bytes[last] = 100;
    });
    let error = read_to_end(&swapped.open(ReadMode::Map)).unwrap_err();
    assert!(error.to_string().contains("Murmur3Partitioner") && error.hint().is_some(), "{error}");
}

#[test]
fn a_cut_between_two_entries_shows_in_the_last_key() {
    let files = Written::new(300, 128);
    let ends = (files.keys[0].clone(), files.keys[299].clone());
    files.open(ReadMode::Map).check_key_range(Some(&ends)).unwrap();
    let mut index = files.open(ReadMode::Map);
    let mut entries = index.entries();
    let mut positions = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        positions.push(usize::try_from(entry.position).unwrap());
    }
    files.edit(Component::Index, |bytes| bytes.truncate(positions[299]));
    index = files.open(ReadMode::Map);
    assert_eq!(read_to_end(&index).unwrap(), 299);
    let error = index.check_key_range(None).unwrap_err();
    assert!(error.to_string().contains("Summary.db"), "{error}");
    let error = index.check_key_range(Some(&ends)).unwrap_err();
    assert!(error.to_string().contains("Statistics.db"), "{error}");
}

#[test]
fn tokens_of_other_partitioners_are_refused() {
    let files = Written::new(2, 8);
    let index = PrimaryIndex::open(&files.descriptor, &Partitioner::Random, ReadMode::Map);
    let error = index.unwrap().unwrap().first_after(Token(0)).unwrap_err();
    assert!(error.to_string().contains("RandomPartitioner"), "{error}");
}

#[test]
fn the_worked_examples_read_as_described() {
    let dir = tempfile::tempdir().unwrap();
    let open = |version: &str, bytes: &[u8]| {
        let name = dir.path().join(format!("{version}-1-big-Data.db"));
        let (descriptor, _) = Descriptor::parse(Path::new(&name)).unwrap().unwrap();
        std::fs::write(descriptor.path(Component::Index), bytes).unwrap();
        PrimaryIndex::open(&descriptor, &Partitioner::Murmur3, ReadMode::Map).unwrap().unwrap()
    };
    let one = open("oa", &[0, 4, 0, 0, 0, 1, 0, 0]);
    let mut entries = one.entries();
    let entry = entries.next_entry().unwrap().unwrap();
    assert_eq!((entry.key, entry.data_offset, entry.row_index), (&[0, 0, 0, 1][..], 0, None));
    assert_eq!(entries.next_entry().unwrap(), None);

    let wide = super::super::row_index::tests::WIDE;
    let one = open("mc", &[&[0, 2, 0x76, 0x31, 0, 100][..], &wide].concat());
    assert_eq!(one.first().unwrap(), Some((b"v1".to_vec(), 0)));
    let at = one.entries().next_entry().unwrap().unwrap().row_index.unwrap();
    assert_eq!(at, RowIndexLocation { offset: 6, len: 100 });
    assert_eq!(one.row_index(at, &mut Vec::new()).unwrap(), wide);
}

#[test]
fn real_indexes_are_in_order_and_fit_their_summaries() {
    let mut blocks = 0;
    for descriptor in sstables().into_iter().filter(|found| found.format == Format::Big) {
        let path = descriptor.path(Component::Statistics);
        let statistics = Statistics::read(&path, descriptor.version).unwrap();
        let clustering_types =
            statistics.header.as_ref().map(|header| header.clustering_types.clone());
        for mode in [ReadMode::Map, ReadMode::Read] {
            let partitioner = &statistics.validation.partitioner;
            let index = PrimaryIndex::open(&descriptor, partitioner, mode).unwrap().unwrap();
            let mut entries = index.entries();
            let mut all = Vec::new();
            while let Some(entry) = entries.next_entry().unwrap_or_else(|e| panic!("{e}")) {
                all.push((entry.found(), entry.position, entry.row_index));
            }
            assert_eq!(all.len() as u64, statistics.partition_count(), "{descriptor}");
            for (found, _, row_index) in &all {
                let same = index.first_at_or_after(found.1).unwrap().unwrap();
                assert_eq!(&same, found, "{descriptor}");
                let Some(at) = *row_index else { continue };
                let mut buf = Vec::new();
                let bytes = index.row_index(at, &mut buf).unwrap();
                let Some(clustering_types) = &clustering_types else {
                    blocks += LegacyRowIndex::decode(bytes).unwrap().blocks.len();
                    continue;
                };
                let rows = RowIndex::decode(bytes, descriptor.version, clustering_types);
                for block in rows.unwrap().blocks() {
                    block.unwrap_or_else(|e| panic!("{}", index.row_index_error(at, e)));
                    blocks += 1;
                }
            }
            // One of the fixtures of 2.1 was written without.
            let Some(summary) = index.summary() else {
                assert!(descriptor.version.has_atoms(), "{descriptor}");
                continue;
            };
            assert!(!index.summary_is_wrong.load(Ordering::Relaxed), "{descriptor}");
            assert_eq!(summary.first_key(), all.first().unwrap().0.0);
            assert_eq!(summary.last_key(), all.last().unwrap().0.0);
            let mut key = Vec::new();
            for i in 0..summary.entry_count() {
                let position = summary.entry(i, &mut key).unwrap();
                let found = all.iter().find(|(_, at, _)| *at == position);
                assert_eq!(found.unwrap().0.0, key, "{descriptor}");
            }
            index.check_key_range(statistics.stats.key_range.as_ref()).unwrap();
        }
    }
    assert!(blocks > 0 || sstables().is_empty());
}
