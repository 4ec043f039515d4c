//! Segments by the encoder: whole, growing, cut, and with each bit flipped.

use std::io::Write;

use super::*;
use crate::commitlog::LogVersion;
use crate::commitlog::encoder::{Packing, SegmentWriter};
use crate::io::Compressor;

const ID: i64 = 1_699_285_478_684;
const KEY: [u8; 16] = [9; 16];

/// A step without its borrow.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Entry(usize, Vec<u8>),
    Wait(WaitFor),
    End(Option<String>),
    Damage(SegmentDamage),
}

struct TestFile {
    _dir: tempfile::TempDir,
    path: PathBuf,
    file: File,
}

impl TestFile {
    fn new(version: LogVersion, bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = SegmentName { id: ID, version: version.number() }.file_name();
        let path = dir.path().join(name);
        let mut file = File::create(&path).unwrap();
        file.write_all(bytes).unwrap();
        Self { _dir: dir, path, file }
    }

    /// Writes in place, as Cassandra does into its map.
    fn set(&self, bytes: &[u8]) {
        use std::os::unix::fs::FileExt;
        self.file.set_len(bytes.len() as u64).unwrap();
        self.file.write_all_at(bytes, 0).unwrap();
    }

    fn open(&self) -> SegmentReader {
        SegmentReader::open(&self.path, &keys()).unwrap().unwrap()
    }
}

fn keys() -> EncryptionKeys {
    let mut keys = EncryptionKeys::none();
    keys.insert("testing:1", KEY.to_vec()).unwrap();
    keys
}

fn step(reader: &mut SegmentReader, bound: Bound) -> Seen {
    match reader.next(bound).unwrap() {
        SegmentStep::Entry { end, payload } => {
            assert_eq!(end.segment_id, ID);
            Seen::Entry(usize::try_from(end.position).unwrap(), payload.to_vec())
        }
        SegmentStep::Wait(what) => Seen::Wait(what),
        SegmentStep::End { notice } => Seen::End(notice),
        SegmentStep::Damage(damage) => Seen::Damage(damage),
    }
}

/// All steps up to one that says wait or end.
fn steps(reader: &mut SegmentReader, bound: Bound) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let before = reader.position();
        let next = step(reader, bound);
        let last = matches!(next, Seen::Wait(_) | Seen::End(_));
        if let Seen::Entry(end, _) = &next {
            assert_eq!(reader.position().position, i32::try_from(*end).unwrap());
        }
        assert!(reader.position() >= before);
        seen.push(next);
        assert!(seen.len() < 10_000, "{:?}", seen.last());
        if last {
            assert_eq!(&step(reader, bound), seen.last().unwrap(), "asked once more");
            return seen;
        }
    }
}

fn entries(writer: &SegmentWriter) -> Vec<Seen> {
    writer.entries.iter().map(|(end, payload)| Seen::Entry(*end, payload.clone())).collect()
}

fn packings() -> Vec<Packing> {
    use Compressor::{Deflate, Lz4, Noop, Snappy, Zstd};
    let compressed = [Lz4, Snappy, Deflate, Zstd, Noop].map(Packing::Compressed);
    let encrypted = Packing::Encrypted { key: KEY, iv: [3; 16], chunk: 64 };
    [Packing::Plain, encrypted].into_iter().chain(compressed).collect()
}

/// Three sections with mutations and an empty one.
fn sample(version: LogVersion, packing: &Packing) -> SegmentWriter {
    let mut writer = SegmentWriter::new(version, ID, packing.clone());
    writer.section(&[b"first mutation", &[7; 100]]);
    writer.section(&[
        b"second section, which compresses: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ]);
    writer.section(&[]);
    writer.section(&[&[0; 30], b"the last one"]);
    writer
}

#[test]
fn every_packing_gives_its_entries_and_their_positions() {
    for version in [LogVersion::V22, LogVersion::V30, LogVersion::V40, LogVersion::V50] {
        for packing in packings() {
            let writer = sample(version, &packing);
            let mut expected = entries(&writer);
            expected.push(Seen::End(None));
            for tail in [0, 4096] {
                let bytes = [writer.bytes.clone(), vec![0; tail]].concat();
                let file = TestFile::new(version, &bytes);
                assert_eq!(steps(&mut file.open(), Bound::whole()), expected, "{packing:?}");
            }
        }
    }
}

#[test]
fn reading_goes_on_at_any_position() {
    for packing in packings() {
        let writer = sample(LogVersion::V40, &packing);
        let file = TestFile::new(LogVersion::V40, &writer.bytes);
        let all = entries(&writer);
        for (i, (end, _)) in writer.entries.iter().enumerate() {
            let mut reader = file.open();
            reader.seek(*end as u64);
            assert_eq!(reader.position().position, i32::try_from(*end).unwrap());
            let mut expected = all[i + 1..].to_vec();
            expected.push(Seen::End(None));
            assert_eq!(steps(&mut reader, Bound::whole()), expected, "{packing:?} from {end}");
            // And back.
            reader.seek(0);
            assert_eq!(steps(&mut reader, Bound::whole()).len(), all.len() + 1);
        }
    }
}

/// Every state of a segment between its first and its last byte, section after section and byte after byte.
#[test]
fn a_growing_segment_gives_each_entry_once_and_as_soon_as_it_may() {
    for packing in packings() {
        let writer = sample(LogVersion::V40, &packing);
        let mapped = packing == Packing::Plain;
        let header_len = usize::try_from(writer_header_len(&writer)).unwrap();
        let len = writer.bytes.len();
        let file = TestFile::new(LogVersion::V40, &writer.bytes[..header_len]);
        let mut reader = file.open();
        let mut seen = Vec::new();
        for written in header_len..=len {
            let mut bytes = writer.bytes[..written].to_vec();
            if mapped {
                bytes.resize(len + 64, 0);
            }
            file.set(&bytes);
            loop {
                match step(&mut reader, Bound::marked(0)) {
                    Seen::Wait(_) => break,
                    entry @ Seen::Entry(..) => seen.push(entry),
                    other => panic!("{packing:?} with {written} bytes: {other:?}"),
                }
            }
        }
        assert_eq!(seen, entries(&writer), "{packing:?}");
        assert_eq!(step(&mut reader, Bound::whole()), Seen::End(None));
    }
}

fn writer_header_len(writer: &SegmentWriter) -> u32 {
    CommitLogDescriptor::read(&writer.bytes).unwrap().unwrap().header_len
}

#[test]
fn nothing_is_read_that_is_not_synced() {
    for packing in packings() {
        let mut writer = SegmentWriter::new(LogVersion::V40, ID, packing.clone());
        writer.section(&[b"first section"]);
        let synced = writer.logical as u64;
        let file = TestFile::new(LogVersion::V40, &writer.bytes);
        let mut reader = file.open();
        writer.section(&[b"second section"]);
        file.set(&writer.bytes);
        let all = entries(&writer);
        let waits = |what| Seen::Wait(what);
        assert_eq!(
            steps(&mut reader, Bound::synced(synced)),
            [all[0].clone(), waits(WaitFor::Sync)]
        );
        assert_eq!(steps(&mut reader, Bound::synced(synced + 1)), [waits(WaitFor::Sync)]);
        assert_eq!(
            steps(&mut reader, Bound::marked(synced)),
            [all[1].clone(), waits(WaitFor::Data)]
        );
        // A copy of a live node of which only so much can be trusted.
        let bound = Bound { synced, marked: false, is_final: true, may_grow: false };
        let found = steps(&mut file.open(), bound);
        assert_eq!(found.len(), 2);
        assert!(matches!(&found[1], Seen::End(Some(words)) if words.contains("synced")));
    }
}

/// Bytes that were zeros at the first look must not stay so: the marker comes after the entries, the map is written in any order.
#[test]
fn what_was_zeros_is_read_anew() {
    let writer = sample(LogVersion::V40, &Packing::Plain);
    let start = usize::try_from(writer_header_len(&writer)).unwrap();
    let mut bytes = writer.bytes.clone();
    // The end of the first section is there before its checksum (CASSANDRA-16842) and before the entries.
    bytes[start + 4..].fill(0);
    let file = TestFile::new(LogVersion::V40, &bytes);
    let mut reader = file.open();
    let bound = Bound::marked(0);
    assert_eq!(steps(&mut reader, bound), [Seen::Wait(WaitFor::Rewrite)]);
    bytes[start + 4..start + 8].copy_from_slice(&writer.bytes[start + 4..start + 8]);
    file.set(&bytes);
    assert_eq!(steps(&mut reader, bound), [Seen::Wait(WaitFor::Rewrite)]);
    // The first entry is whole, the second not.
    let second = start + 8 + 12 + 14;
    bytes[start + 8..second + 20].copy_from_slice(&writer.bytes[start + 8..second + 20]);
    file.set(&bytes);
    let all = entries(&writer);
    assert_eq!(steps(&mut reader, bound), [all[0].clone(), Seen::Wait(WaitFor::Rewrite)]);
    file.set(&writer.bytes);
    let mut expected = all[1..].to_vec();
    expected.push(Seen::Wait(WaitFor::Data));
    assert_eq!(steps(&mut reader, bound), expected);
}

#[test]
fn a_torn_marker_is_the_end_of_a_final_segment() {
    let writer = sample(LogVersion::V40, &Packing::Plain);
    let torn = |tail: &[u8]| {
        let end = u32::try_from(writer.bytes.len() + 500).unwrap().to_be_bytes();
        let bytes = [&writer.bytes, &end[..], &[0; 4], tail].concat();
        let file = TestFile::new(LogVersion::V40, &bytes);
        let mut seen = steps(&mut file.open(), Bound::whole());
        assert_eq!(
            steps(&mut file.open(), Bound::marked(0)).pop(),
            Some(Seen::Wait(WaitFor::Rewrite))
        );
        seen.split_off(writer.entries.len())
    };
    assert!(matches!(&torn(&[0; 1000])[..], [Seen::End(Some(_))]));
    let mut behind = vec![0; 1000];
    behind[999] = 1;
    match &torn(&behind)[..] {
        [Seen::Damage(damage), Seen::End(None)] => {
            assert_eq!(damage.extent, DamageExtent::Rest);
            assert_eq!(damage.bytes, 1008);
            assert_eq!(damage.file_offset, writer.bytes.len() as u64);
            let error = damage.to_error(Path::new("x.log")).to_string();
            assert!(error.contains("sync marker") && error.contains("1008 bytes"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_tail_of_a_recycled_segment_is_not_read() {
    let mut old = SegmentWriter::new(LogVersion::V21, ID - 5, Packing::Plain);
    (0..20).for_each(|_| old.section(&[b"of the life before"]));
    let mut writer = SegmentWriter::new(LogVersion::V21, ID, Packing::Plain);
    writer.section(&[b"new mutation"]);
    let mut bytes = old.bytes.clone();
    bytes[..writer.bytes.len()].copy_from_slice(&writer.bytes);
    let file = TestFile::new(LogVersion::V21, &bytes);
    let mut expected = entries(&writer);
    expected.push(Seen::End(None));
    assert_eq!(steps(&mut file.open(), Bound::whole()), expected);
    // Closed: the last section ends with the file, and zeros end its entries.
    let mut bytes = writer.bytes.clone();
    bytes.extend([0; 100]);
    let start = usize::try_from(writer_header_len(&writer)).unwrap();
    let end = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[start..start + 4].copy_from_slice(&end);
    let file = TestFile::new(LogVersion::V21, &bytes);
    assert_eq!(steps(&mut file.open(), Bound::whole()), expected);
    *bytes.last_mut().unwrap() = 1;
    let file = TestFile::new(LogVersion::V21, &bytes);
    assert_eq!(steps(&mut file.open(), Bound::whole()), expected);
}

/// Each cut of a final segment gives the entries before it, and says what is lost.
#[test]
fn every_prefix_gives_what_is_whole() {
    for packing in packings() {
        let writer = sample(LogVersion::V40, &packing);
        let all = entries(&writer);
        let start = usize::try_from(writer_header_len(&writer)).unwrap();
        for len in start..writer.bytes.len() {
            let file = TestFile::new(LogVersion::V40, &writer.bytes[..len]);
            let mut seen = steps(&mut file.open(), Bound::whole());
            assert!(matches!(seen.pop(), Some(Seen::End(None))));
            let lost = match seen.last() {
                Some(Seen::Damage(damage)) => {
                    assert_eq!(damage.extent, DamageExtent::Section, "{damage:?}");
                    let words = damage.cause.to_string();
                    assert!(words.contains("the file ends"), "{words}");
                    seen.pop();
                    true
                }
                _ => false,
            };
            assert_eq!(seen, all[..seen.len()], "{packing:?} {len}");
            assert!(lost || seen.len() < all.len());
            if packing == Packing::Plain {
                // Entries are given as far as they go.
                let whole = writer.entries.iter().filter(|(end, _)| *end <= len).count();
                assert_eq!(seen.len(), whole, "{len}");
            }
            // While it is open, all of it may still come.
            let seen = steps(&mut file.open(), Bound::marked(0));
            assert!(matches!(seen.last(), Some(Seen::Wait(WaitFor::Data))), "{seen:?}");
        }
        for len in 0..start {
            let file = TestFile::new(LogVersion::V40, &writer.bytes[..len]);
            assert!(SegmentReader::open(&file.path, &keys()).unwrap().is_none());
        }
    }
}

/// Whatever bit is flipped: entries are right or missing, and what is missing is said.
#[test]
fn every_flipped_bit_is_damage_and_nothing_else() {
    for packing in packings() {
        let writer = sample(LogVersion::V40, &packing);
        let all = entries(&writer);
        let bytes = [writer.bytes.clone(), vec![0; 32]].concat();
        let file = TestFile::new(LogVersion::V40, &bytes);
        for bit in 0..writer.bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            file.set(&bytes);
            let opened = SegmentReader::open(&file.path, &keys());
            let Ok(Some(mut reader)) = opened else { continue };
            let seen = steps(&mut reader, Bound::whole());
            let payloads = |seen: &[Seen]| -> Vec<Vec<u8>> {
                let entries = seen.iter().filter_map(|s| match s {
                    Seen::Entry(_, payload) => Some(payload.clone()),
                    _ => None,
                });
                entries.collect()
            };
            let (found, expected) = (payloads(&seen), payloads(&all));
            assert!(is_subsequence(&found, &expected), "{packing:?} bit {bit}: {seen:?}");
            let said = seen.iter().any(|s| matches!(s, Seen::Damage(_) | Seen::End(Some(_))));
            assert!(said || found.len() == expected.len(), "{packing:?} bit {bit}: {seen:?}");
            // While it is open the reader waits, or goes on where that is right; it ends.
            let mut reader = file.open();
            let seen = steps(&mut reader, Bound::marked(0));
            assert!(matches!(seen.last(), Some(Seen::Wait(_))));
        }
    }
}

fn is_subsequence(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|p| whole.any(|w| w == p))
}

#[test]
fn one_wrong_mutation_is_one_mutation() {
    for packing in packings().into_iter().filter(|p| *p != Packing::Compressed(Compressor::Noop)) {
        let mut plain = crate::commitlog::encoder::entry(b"damaged mutation");
        *plain.last_mut().unwrap() ^= 1;
        plain.extend(crate::commitlog::encoder::entry(b"good mutation"));
        let mut writer = SegmentWriter::new(LogVersion::V40, ID, packing.clone());
        let start = writer.logical;
        writer.raw_section(&plain);
        writer.section(&[b"second section"]);
        let file = TestFile::new(LogVersion::V40, &writer.bytes);
        let seen = steps(&mut file.open(), Bound::whole());
        match &seen[..] {
            [Seen::Damage(damage), Seen::Entry(end, good), Seen::Entry(..), Seen::End(None)] => {
                assert_eq!((damage.extent, damage.bytes), (DamageExtent::Entry, 28));
                assert_eq!(damage.position.position, i32::try_from(start + 8).unwrap());
                assert_eq!(*end, start + 8 + 28 + 25);
                assert_eq!(good, b"good mutation");
            }
            other => panic!("{packing:?}: {other:?}"),
        }
        let mut reader = file.open();
        assert_eq!(steps(&mut reader, Bound::marked(0)), [Seen::Wait(WaitFor::Rewrite)]);
        // The index has passed it: it will not change.
        let synced = writer.logical as u64;
        assert_eq!(steps(&mut reader, Bound::synced(synced)).len(), 4);
    }
}

#[test]
fn lengths_that_cannot_be_cost_the_rest_of_the_section() {
    let good = crate::commitlog::encoder::entry(b"good mutation");
    let length = |len: u32| {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&len.to_be_bytes());
        [len.to_be_bytes(), crc.finalize().to_be_bytes()].concat()
    };
    for wrong in [1, 9, 26, 0x7fff_ffff, u32::MAX] {
        for packing in packings() {
            let mut writer = SegmentWriter::new(LogVersion::V40, ID, packing.clone());
            writer.raw_section(&[&good[..], &length(wrong), &good].concat());
            writer.section(&[b"second section"]);
            let file = TestFile::new(LogVersion::V40, &writer.bytes);
            let seen = steps(&mut file.open(), Bound::whole());
            match &seen[..] {
                [Seen::Entry(..), Seen::Damage(damage), Seen::Entry(..), Seen::End(None)] => {
                    assert_eq!(damage.extent, DamageExtent::Section);
                    assert_eq!(damage.bytes, 8 + good.len() as u64, "{damage:?}");
                }
                other => panic!("{packing:?} {wrong}: {other:?}"),
            }
        }
    }
    // Fewer bytes than a length are no entry (CASSANDRA-13282).
    let mut writer = SegmentWriter::new(LogVersion::V40, ID, Packing::Plain);
    writer.raw_section(&[&good[..], &[1, 2, 3]].concat());
    let file = TestFile::new(LogVersion::V40, &writer.bytes);
    assert_eq!(steps(&mut file.open(), Bound::whole()).len(), 2);
}

#[test]
fn large_entries_are_read_in_one_piece() {
    let large: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_be_bytes()[3]).collect();
    for packing in packings() {
        let mut writer = SegmentWriter::new(LogVersion::V40, ID, packing);
        writer.section(&[&[1; 200_000], &large, &[2; 100_000], &[3; 10]]);
        let file = TestFile::new(LogVersion::V40, &writer.bytes);
        let mut expected = entries(&writer);
        expected.push(Seen::End(None));
        assert_eq!(steps(&mut file.open(), Bound::whole()), expected);
    }
}

#[test]
fn a_wrong_key_and_a_wrong_name_are_said() {
    let packing = Packing::Encrypted { key: [1; 16], iv: [3; 16], chunk: 64 };
    let writer = sample(LogVersion::V40, &packing);
    let file = TestFile::new(LogVersion::V40, &writer.bytes);
    let seen = steps(&mut file.open(), Bound::whole());
    assert!(matches!(&seen[0], Seen::Damage(damage) if damage.extent == DamageExtent::Section));
    assert!(SegmentReader::open(&file.path, &EncryptionKeys::none()).is_err());
    let other = file.path.with_file_name("CommitLog-7-1.log");
    std::fs::copy(&file.path, &other).unwrap();
    let error = SegmentReader::open(&other, &keys()).unwrap_err().to_string();
    assert!(error.contains("not of the one in the name"), "{error}");
}

/// Up to 3.x the last section of a closed segment ends with the file, and zeros fill it up.
#[test]
fn zeros_end_the_last_section_and_are_damage_in_any_other() {
    let mut writer = SegmentWriter::new(LogVersion::V30, ID, Packing::Plain);
    let good = crate::commitlog::encoder::entry(b"good mutation");
    writer.raw_section(&[&good[..], &[0; 50]].concat());
    let closed = TestFile::new(LogVersion::V30, &writer.bytes);
    let seen = steps(&mut closed.open(), Bound::whole());
    assert!(matches!(&seen[..], [Seen::Entry(..), Seen::End(None)]), "{seen:?}");
    // Cut: what was behind is not known to be zeros.
    let cut = TestFile::new(LogVersion::V30, &writer.bytes[..writer.bytes.len() - 10]);
    let seen = steps(&mut cut.open(), Bound::whole());
    match &seen[..] {
        [Seen::Entry(..), Seen::Damage(damage), Seen::End(None)] => assert_eq!(damage.bytes, 50),
        other => panic!("{other:?}"),
    }
    writer.section(&[b"second section"]);
    let other = TestFile::new(LogVersion::V30, &writer.bytes);
    let seen = steps(&mut other.open(), Bound::whole());
    match &seen[..] {
        [Seen::Entry(..), Seen::Damage(damage), Seen::Entry(..), Seen::End(None)] => {
            assert_eq!((damage.extent, damage.bytes), (DamageExtent::Section, 50));
        }
        other => panic!("{other:?}"),
    }
}
