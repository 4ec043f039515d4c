//! A Partitions.db that a node wrote, and some made by hand.

use std::collections::BTreeMap;

use super::super::keys::behind_token;
use super::super::trie::tests::TestTrie;
use super::*;
use crate::dht::murmur3_token;

/// Section 10.1 of the format notes: keys "0" to "4" in their own order, all narrow.
const SIMPLE: &str = "0809ff0837e908ddd10802b9082fa1a0300400f00c00900600301b4000013000013400000000\
                      0000001c0000000000000005000000000000001a";

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(partitions: &[u8], rows: &[u8]) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::write(files.descriptor().path(Component::Partitions), partitions).unwrap();
        std::fs::write(files.descriptor().path(Component::Rows), rows).unwrap();
        files
    }

    fn descriptor(&self) -> Descriptor {
        Descriptor::parse(&self.dir.path().join("da-1-bti-Data.db")).unwrap().unwrap().0
    }

    fn open(&self, partitioner: &Partitioner, data_len: u64) -> Result<Option<PartitionIndex>> {
        PartitionIndex::open(&self.descriptor(), partitioner, data_len, ReadMode::Read)
    }
}

fn offsets(index: &PartitionIndex) -> Result<Vec<u64>> {
    let mut partitions = index.partitions();
    let mut found = Vec::new();
    while let Some(partition) = partitions.next_partition()? {
        found.push(partition.data_offset);
    }
    Ok(found)
}

#[test]
fn the_worked_example_has_five_partitions() {
    let files = Files::new(&hex_simd::decode_to_vec(SIMPLE).unwrap(), &[]);
    let index = files.open(&Partitioner::ByteOrdered, 200).unwrap().unwrap();
    assert_eq!((index.first_key(), index.last_key()), (&b"0"[..], &b"4"[..]));
    assert_eq!(index.partition_count(), 5);
    assert_eq!(offsets(&index).unwrap(), [0, 22, 46, 70, 94]);
    assert_eq!(index.last().unwrap().data_offset, 94);
    for (i, key) in [b"0", b"1", b"2", b"3", b"4"].into_iter().enumerate() {
        let found = index.lookup(key).unwrap().unwrap();
        assert_eq!(found.data_offset, [0, 22, 46, 70, 94][i]);
        assert!(index.may_be(&found, key));
        assert!(!index.may_be(&found, b"5"));
    }
    // Other hashes, and no path.
    for absent in [&b"00"[..], b"4x", b"5", b"", b"\x7f"] {
        assert_eq!(index.lookup(absent).unwrap(), None, "{absent:?}");
    }
    for (from, expected) in
        [(0, Some(0)), (1, Some(22)), (22, Some(22)), (94, Some(94)), (95, None)]
    {
        let found = index.first_at_or_after(from).unwrap();
        assert_eq!(found.map(|found| found.data_offset), expected, "{from}");
    }
    let short = files.open(&Partitioner::ByteOrdered, 94).unwrap().unwrap();
    let error = offsets(&short).unwrap_err();
    assert!(error.to_string().contains("position in Data.db"), "{error}");
    assert!(error.hint().unwrap().contains("Data.db is then read without them"), "{error}");
}

#[test]
fn footers_that_cannot_be_are_refused() {
    let good = hex_simd::decode_to_vec(SIMPLE).unwrap();
    for len in 0..good.len() {
        assert!(
            Files::new(&good[..len], &[]).open(&Partitioner::ByteOrdered, 200).is_err(),
            "{len}"
        );
    }
    for (byte, value) in
        [(40, 0x23), (41, 0x1d), (34, 0x80), (49, 0), (49, 10), (57, 0x1c), (50, 0xff)]
    {
        let mut bytes = good.clone();
        bytes[byte] = value;
        let opened = Files::new(&bytes, &[]).open(&Partitioner::ByteOrdered, 200);
        assert!(opened.is_err(), "byte {byte} {value}: {opened:?}");
    }
    let files = Files::new(&good, &[]);
    std::fs::remove_file(files.descriptor().path(Component::Rows)).unwrap();
    assert!(files.open(&Partitioner::ByteOrdered, 200).unwrap().is_none());
}

#[test]
fn every_bit_of_it_can_be_wrong_and_nothing_is_read_that_is_not_there() {
    let good = hex_simd::decode_to_vec(SIMPLE).unwrap();
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let files = Files::new(&bytes, &[]);
        let Ok(Some(index)) = files.open(&Partitioner::ByteOrdered, 200) else { continue };
        if let Ok(offsets) = offsets(&index) {
            assert!(offsets.is_sorted() && offsets.iter().all(|offset| *offset < 200), "{bit}");
        }
        drop(index.last());
        drop(index.lookup(b"2"));
        drop(index.first_at_or_after(50));
        drop(index.after(Token(5)));
    }
}

/// Keys with their offsets in Data.db, each under the shortest path that tells it from its neighbours.
fn murmur_index(keys: &mut [Vec<u8>]) -> (Vec<u8>, Vec<u64>) {
    keys.sort_by_key(|key| (murmur3_token(key), key.clone()));
    let encoded: Vec<_> =
        keys.iter().map(|key| decorated_key(&Partitioner::Murmur3, key).unwrap()).collect();
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let mut content = BTreeMap::new();
    let mut offsets = Vec::new();
    for (i, key) in encoded.iter().enumerate() {
        let before = i.checked_sub(1).map_or(0, |before| common(&encoded[before], key));
        let behind = encoded.get(i + 1).map_or(0, |behind| common(behind, key));
        let offset = 1000 * i as u64;
        let position = (!offset).to_be_bytes();
        let payload = [&[hash_byte(&keys[i])][..], &position].concat();
        content.insert(key[..=before.max(behind)].to_vec(), (15, payload));
        offsets.push(offset);
    }
    let mut trie = TestTrie::default();
    let root = trie.write(&content);
    let mut bytes = trie.bytes;
    let at = bytes.len() as u64;
    for key in [&keys[0], &keys[keys.len() - 1]] {
        bytes.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
        bytes.extend(key);
    }
    for number in [at, keys.len() as u64, root] {
        bytes.extend(number.to_be_bytes());
    }
    (bytes, offsets)
}

#[test]
fn searches_by_token_and_by_offset_find_what_a_walk_finds() {
    let mut keys: Vec<Vec<u8>> = (0..700_u32).map(|i| format!("key {i}").into_bytes()).collect();
    let (bytes, expected) = murmur_index(&mut keys);
    assert!(bytes.len() > 3 * 4096);
    let files = Files::new(&bytes, &[]);
    let index = files.open(&Partitioner::Murmur3, 700_000).unwrap().unwrap();
    assert_eq!(offsets(&index).unwrap(), expected);
    let tokens: Vec<Token> = keys.iter().map(|key| murmur3_token(key)).collect();
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(index.lookup(key).unwrap().unwrap().data_offset, expected[i]);
        for (from, to) in [(expected[i], i), (expected[i] + 1, i + 1)] {
            let found = index.first_at_or_after(from).unwrap().map(|found| found.data_offset);
            assert_eq!(found.as_ref(), expected.get(to));
        }
        for token in [tokens[i].0 - 1, tokens[i].0, tokens[i].0 + 1] {
            let right = tokens.partition_point(|other| other.0 <= token);
            let mut after = index.after(Token(token)).unwrap();
            let first = after.next_partition().unwrap();
            // The one before it may have the same beginning as the token, and then it comes first.
            let is_right =
                first.as_ref().map(|found| found.data_offset) == expected.get(right).copied();
            if let Some(first) = first.filter(|_| !is_right) {
                assert!(first.least_token().0 <= token);
                assert_eq!(first.data_offset, expected[right - 1]);
                let next = after.next_partition().unwrap().map(|found| found.data_offset);
                assert_eq!(next.as_ref(), expected.get(right));
            }
        }
    }
    assert!(
        index.lookup(b"no such key").unwrap().is_none_or(|found| !index.may_be(&found, b"other"))
    );
    assert!(behind_token(tokens[0]) > decorated_key(&Partitioner::Murmur3, &keys[0]).unwrap());
}
