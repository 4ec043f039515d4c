//! A part of a Rows.db that a node wrote, and one made by hand.

use std::collections::BTreeMap;

use super::super::trie::tests::{TestTrie, file};
use super::*;
use crate::io::ReadMode;
use crate::rows::LocalDeletionTime;

/// Section 10.2 of the format notes: from byte 71 on, whose nodes lead to others before it.
const CLUST: &str = "0301066d5006313233343 83a4539241008042140 0e0400013000 0d0d80";

fn clust() -> Vec<u8> {
    let tail = hex_simd::decode_to_vec(CLUST.replace(' ', "")).unwrap();
    // Leaves for the children that the notes do not show: 1 byte at distances 69, 57, 36, 16 and 8 from 75.
    let mut bytes = vec![0; 71];
    for (at, offset) in [(6, 5373_u16), (18, 16125), (39, 26877), (59, 37629), (67, 64497)] {
        bytes[at] = 0x03;
        bytes[at + 2..at + 4].copy_from_slice(&offset.to_be_bytes());
    }
    bytes.extend(tail);
    bytes
}

#[test]
fn the_worked_example_leads_to_its_blocks() {
    for mode in [ReadMode::Map, ReadMode::Read] {
        let rows = file(&clust(), mode);
        let entry = TrieIndexEntry::read(&rows, 0x5d).unwrap();
        assert_eq!((entry.key.as_slice(), entry.data_offset, entry.root), (&b"0"[..], 0, 89));
        assert_eq!(entry.block_count, 13);
        assert!(entry.partition_deletion.is_live());
        let index = TrieRowIndex { rows: &rows, root: entry.root };
        let mut blocks = index.blocks();
        let mut found = Vec::new();
        while let Some(block) = blocks.next_block().unwrap() {
            found.push((blocks.separator().to_vec(), block.offset));
        }
        let expected: [(&[u8], u64); 7] = [
            (b"", 4),
            (b"\x401", 5373),
            (b"\x402", 16125),
            (b"\x403", 26877),
            (b"\x404", 37629),
            (b"\x408", 64497),
            (b"\x40:", 67181),
        ];
        assert_eq!(found, expected.map(|(path, offset)| (path.to_vec(), offset)));
        let floor = |bound: &[u8]| index.floor(bound).unwrap().map(|block| block.offset);
        for (bound, offset) in [
            (&b"\x40"[..], None),
            (b"\x40\x30\x20", None),
            (b"\x401", Some(5373)),
            (b"\x40199\0\x20", Some(5373)),
            (b"\x402\0\x20", Some(16125)),
            (b"\x407\0\x60", Some(37629)),
            (b"\x409\0\x20", Some(64497)),
            (b"\x41\0\x20", Some(67181)),
            (b"\x60", Some(67181)),
            (b"\x20", None),
        ] {
            assert_eq!(floor(bound), offset, "{bound:x?}");
        }
    }
}

#[test]
fn entries_that_cannot_be_are_refused() {
    let good = clust();
    for len in 0..good.len() {
        assert!(TrieIndexEntry::read(&file(&good[..len], ReadMode::Read), 0x5d).is_err(), "{len}");
    }
    for bit in 0..8 * good.len() {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let rows = file(&bytes, ReadMode::Read);
        let Ok(entry) = TrieIndexEntry::read(&rows, 0x5d) else { continue };
        assert!(entry.root < 0x5d, "{bit}");
        let index = TrieRowIndex { rows: &rows, root: entry.root };
        let mut blocks = index.blocks();
        while let Ok(Some(_)) = blocks.next_block() {}
        drop(index.floor(b"\x407\0\x20"));
    }
    // A root behind the entry.
    let mut bytes = good;
    bytes[0x61] = 0x0c;
    assert!(TrieIndexEntry::read(&file(&bytes, ReadMode::Read), 0x5d).is_err());
}

#[test]
fn open_deletions_stand_behind_the_offsets() {
    let deletion = DeletionTime {
        marked_for_delete_at: 1_600_000_000_000_001,
        local_deletion_time: LocalDeletionTime(4_000_000_000),
    };
    let open =
        [&1_600_000_000_000_001_i64.to_be_bytes()[..], &4_000_000_000_u32.to_be_bytes()].concat();
    let mut content = BTreeMap::new();
    content.insert(Vec::new(), (1, vec![9]));
    for i in 1..400_u16 {
        let offset = 100 * i;
        let payload = match i % 3 {
            0 => (8 | 3, [&[0][..], &offset.to_be_bytes(), &open].concat()),
            _ => (3, [&[0][..], &offset.to_be_bytes()].concat()),
        };
        // Paths of which some are the beginnings of others.
        content.insert(
            [&[0x40][..], &(i / 5).to_be_bytes(), &vec![0x41; usize::from(i % 5)]].concat(),
            payload,
        );
    }
    let mut trie = TestTrie::default();
    let root = trie.write(&content);
    let rows = file(&trie.bytes, ReadMode::Map);
    let index = TrieRowIndex { rows: &rows, root };
    let paths: Vec<&Vec<u8>> = content.keys().collect();
    for i in 1..400_u16 {
        let path = paths[usize::from(i)];
        for bound in
            [path.clone(), [path, &b"\x40\x01"[..]].concat(), [path, &b"\x42"[..]].concat()]
        {
            let expected = paths.iter().rposition(|path| **path <= bound).unwrap();
            let block = index.floor(&bound).unwrap().unwrap();
            assert_eq!(block.offset, 100 * expected as u64, "{bound:x?}");
            assert_eq!(block.open, (expected % 3 == 0).then_some(deletion), "{bound:x?}");
        }
    }
    assert_eq!(index.floor(b"\x20").unwrap(), None);
}
