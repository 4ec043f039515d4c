//! Tries made by hand: every type of node, pages, damage.

use std::collections::BTreeMap;

use super::*;
use crate::io::ReadMode;

/// A node with these children, as type `kind`.
fn encode(position: u64, kind: u8, bits: u8, children: &[(u8, u64)]) -> Vec<u8> {
    let distance = |target: u64| position - target;
    let first = kind << 4 | bits;
    let mut out = vec![first];
    let packed = |distances: &[u64], nibbles: usize| {
        let digits: Vec<u8> = distances
            .iter()
            .flat_map(|d| (0..nibbles).rev().map(move |n| u8::try_from(d >> (4 * n) & 15).unwrap()))
            .collect();
        digits.chunks(2).map(|p| p[0] << 4 | p.get(1).copied().unwrap_or(0)).collect::<Vec<u8>>()
    };
    let distances: Vec<u64> = children.iter().map(|(_, target)| distance(*target)).collect();
    match kind {
        0 => {}
        1 => out = vec![0x10 | u8::try_from(distances[0]).unwrap(), children[0].0],
        3 => {
            let [high, low] = u16::try_from(distances[0]).unwrap().to_be_bytes();
            out = vec![0x30 | high, low, children[0].0];
        }
        2 | 4 => {
            out.push(children[0].0);
            out.extend(packed(&distances, if kind == 2 { 2 } else { 4 }));
        }
        5..=9 => {
            out.push(u8::try_from(children.len()).unwrap());
            out.extend(children.iter().map(|(byte, _)| byte));
            out.extend(packed(&distances, [2, 3, 4, 6, 10][usize::from(kind - 5)]));
        }
        _ => {
            let (start, end) = (children[0].0, children.last().unwrap().0);
            out.extend([start, end - start]);
            let all: Vec<u64> = (start..=end)
                .map(|byte| children.iter().find(|c| c.0 == byte).map_or(0, |c| distance(c.1)))
                .collect();
            out.extend(packed(&all, [3, 4, 6, 8, 10, 16][usize::from(kind - 10)]));
        }
    }
    out
}

/// A path and its payload.
type Entry<'e> = (&'e [u8], &'e (u8, Vec<u8>));

/// A writer of tries. Of the types that fit it takes one after the other, so that many occur.
#[derive(Default)]
pub(in crate::sstable::bti) struct TestTrie {
    pub(in crate::sstable::bti) bytes: Vec<u8>,
    /// How often each type was written.
    pub(in crate::sstable::bti) kinds: [usize; 16],
    /// At most this type, so that large ones can be had with small distances.
    turn: usize,
}

impl TestTrie {
    /// Writes a trie and says where its root is. A payload is its bits and its bytes.
    pub(in crate::sstable::bti) fn write(
        &mut self,
        content: &BTreeMap<Vec<u8>, (u8, Vec<u8>)>,
    ) -> u64 {
        let all: Vec<_> = content.iter().map(|(k, v)| (k.as_slice(), v)).collect();
        self.node(&all, 0)
    }

    fn node(&mut self, content: &[Entry<'_>], depth: usize) -> u64 {
        let (own, below) = match content.split_first() {
            Some((first, rest)) if first.0.len() == depth => (Some(first.1), rest),
            _ => (None, content),
        };
        let children: Vec<(u8, u64)> = below
            .chunk_by(|a, b| a.0[depth] == b.0[depth])
            .map(|group| (group[0].0[depth], self.node(group, depth + 1)))
            .collect();
        let page = usize::try_from(PAGE).unwrap();
        loop {
            let position = self.bytes.len() as u64;
            let bits = own.map_or(0, |own| own.0);
            let (kind, mut node) = self.smallest(position, bits, &children);
            node.extend(own.map(|own| own.1.as_slice()).unwrap_or_default());
            if self.bytes.len() % page + node.len() <= page {
                self.kinds[kind] += 1;
                self.turn += 1;
                self.bytes.extend(node);
                return position;
            }
            self.bytes.resize(self.bytes.len().next_multiple_of(page), 0);
        }
    }

    fn smallest(&self, position: u64, bits: u8, children: &[(u8, u64)]) -> (usize, Vec<u8>) {
        let farthest = children.iter().map(|(_, target)| position - target).max().unwrap_or(0);
        let limits: [u64; 16] = [
            0,
            15,
            255,
            0xfff,
            0xffff,
            0xff,
            0xfff,
            0xffff,
            0xff_ffff,
            0xff_ffff_ffff,
            0xfff,
            0xffff,
            0xff_ffff,
            0xffff_ffff,
            0xff_ffff_ffff,
            u64::MAX,
        ];
        let fits = |kind: &usize| match kind {
            0 => children.is_empty(),
            1 | 3 => children.len() == 1 && bits == 0 && farthest <= limits[*kind],
            2 | 4 => children.len() == 1 && farthest <= limits[*kind],
            _ => !children.is_empty() && farthest <= limits[*kind],
        };
        let possible: Vec<usize> = (0..16).filter(fits).collect();
        let kind = possible[self.turn % possible.len()];
        (kind, encode(position, u8::try_from(kind).unwrap(), bits, children))
    }
}

pub(in crate::sstable::bti) fn file(bytes: &[u8], mode: ReadMode) -> InputFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("da-1-bti-Partitions.db");
    std::fs::write(&path, bytes).unwrap();
    InputFile::open(&path, mode).unwrap()
}

/// All paths and payload bytes of a trie.
fn walked(file: &InputFile, root: u64, payload_len: usize) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut walk = TrieWalk::new(file, root);
    let mut found = Vec::new();
    while let Some(payload) = walk.next_payload()? {
        found.push((walk.path().to_vec(), payload.bytes()[..payload_len].to_vec()));
    }
    Ok(found)
}

/// Keys of many shapes, of which some are the beginnings of others.
fn content(count: u32) -> BTreeMap<Vec<u8>, (u8, Vec<u8>)> {
    (0..count)
        .map(|i| {
            let mut key = i.wrapping_mul(2_654_435_761).to_be_bytes().to_vec();
            key.truncate(1 + usize::try_from(i % 4).unwrap());
            key.extend(vec![7; if i % 50 == 0 { 40 } else { 0 }]);
            (key, (u8::try_from(1 + i % 15).unwrap(), i.to_be_bytes().to_vec()))
        })
        .collect()
}

#[test]
fn all_types_of_nodes_are_read() {
    let content = content(3000);
    let mut trie = TestTrie::default();
    let root = trie.write(&content);
    assert!(trie.kinds.iter().all(|&count| count > 0), "{:?}", trie.kinds);
    assert!(trie.bytes.len() > 20 * 4096);
    let expected: Vec<_> = content.iter().map(|(k, v)| (k.clone(), v.1.clone())).collect();
    for mode in [ReadMode::Map, ReadMode::Read] {
        let file = file(&trie.bytes, mode);
        assert_eq!(walked(&file, root, 4).unwrap(), expected);
        let mut pages = TriePages::new(&file);
        let mut path = Vec::new();
        let last = pages.last_payload(root, &mut path).unwrap();
        let end = expected.last().unwrap();
        assert_eq!((&path, &last.bytes()[..4]), (&end.0, end.1.as_slice()));
        let mut path = Vec::new();
        let first = pages.first_payload(root, &mut path).unwrap();
        assert_eq!((&path, &first.bytes()[..4]), (&expected[0].0, expected[0].1.as_slice()));
    }
}

#[test]
fn a_search_begins_at_the_path_that_can_lead_to_the_key() {
    // Without paths that are the beginnings of others, as in Partitions.db.
    let mut content = content(2000);
    let keys: Vec<Vec<u8>> = content.keys().cloned().collect();
    for pair in keys.windows(2).filter(|pair| pair[1].starts_with(&pair[0])) {
        content.remove(&pair[0]);
    }
    let keys: Vec<Vec<u8>> = content.keys().cloned().collect();
    let mut trie = TestTrie::default();
    let root = trie.write(&content);
    let file = file(&trie.bytes, ReadMode::Read);
    let mut wanted: Vec<Vec<u8>> =
        (0..5000_u32).map(|i| i.wrapping_mul(859_433).to_be_bytes().to_vec()).collect();
    wanted
        .extend(keys.iter().flat_map(|key| {
            [key.clone(), [key, &[9][..]].concat(), key[..key.len() - 1].to_vec()]
        }));
    for key in wanted {
        let expected = keys.iter().find(|path| key.starts_with(path) || **path > key);
        let mut walk = TrieWalk::seek(&file, root, &key).unwrap();
        let found = walk.next_payload().unwrap().map(|_| walk.path().to_vec());
        assert_eq!(found.as_ref(), expected, "{key:x?}");
        let before = keys.iter().rfind(|path| **path < key && !key.starts_with(path));
        let found = walk.payload_before().unwrap().map(|(path, _)| path);
        assert_eq!(found.as_ref(), before, "{key:x?}");
        // And goes on from there.
        let behind = expected.and_then(|path| keys.iter().find(|other| *other > path));
        let next = walk.next_payload().unwrap().map(|_| walk.path().to_vec());
        assert_eq!(next.as_ref(), behind, "{key:x?}");
    }
}

#[test]
fn damage_ends_in_an_error_or_in_other_paths_and_always_ends() {
    let content = content(40);
    let mut trie = TestTrie::default();
    let root = trie.write(&content);
    let (mut refused, mut read) = (0, 0);
    for bit in 0..8 * trie.bytes.len() {
        let mut bytes = trie.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let file = file(&bytes, ReadMode::Read);
        for root in [root, u64::try_from(bit / 8).unwrap()] {
            match walked(&file, root, 0) {
                Ok(_) => read += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("da-1-bti-Partitions.db"), "{error}");
                }
            }
            let mut pages = TriePages::new(&file);
            drop(pages.first_payload(root, &mut Vec::new()));
            drop(pages.last_payload(root, &mut Vec::new()));
            drop(TrieWalk::seek(&file, root, b"\x40\x80\0\0\0").and_then(|mut w| w.next_payload()));
        }
    }
    assert!(refused > 100 && read > 100, "{refused} {read}");
}

#[test]
fn nodes_that_cannot_be_are_refused() {
    for (bytes, words) in [
        (&[][..], "1 bytes"),
        (&[0x00], "without children"),
        (&[0x50, 0x00], "number of children is 0"),
        (&[0x50, 0x02, 1, 2, 3], "6 bytes"),
        (&[0xa0, 0x00, 0xff, 0, 0], "387 bytes"),
        (&[0x40, 0x01, 0], "4 bytes"),
    ] {
        let error = Node::decode(7, bytes).unwrap_err();
        assert_eq!(error.offset, 7);
        assert!(error.to_string().contains(words), "{bytes:x?}: {error}");
    }
    // A child before the file, at the node itself, and beyond the last byte.
    for bytes in [&[0x20, 1, 9][..], &[0x20, 1, 0], &[0xa0, 0xff, 0x01, 0, 0x10, 0x01]] {
        let node = Node::decode(8, bytes).unwrap();
        assert!((0..node.slots()).any(|slot| node.child(slot).is_err()), "{bytes:x?}");
    }
    // Paths that meet again: each node has two children that are the next one. To the end there are 2^60 ways.
    let mut bytes = vec![0x08, 0, 0];
    for _ in 0..60 {
        let to = if bytes.len() == 3 { 3 } else { 6 };
        bytes.extend([0x50, 2, 1, 2, to, to]);
    }
    let root = bytes.len() as u64 - 6;
    let error = walked(&file(&bytes, ReadMode::Map), root, 0).unwrap_err();
    assert!(error.to_string().contains("meet again"), "{error}");
}
