//! Tries on disk (`io.tries.TrieNode`, `io.tries.Walker`).
//!
//! A node begins with a byte: its type in the high half, payload bits in the low one, of which 0 means that there is no
//! payload. A payload follows its node. Children lie before their parent, at a distance that is subtracted from its position.
//!
//! | type | | behind the first byte |
//! | --- | --- | --- |
//! | 0 | leaf | |
//! | 1 | one child | its byte; the distance is in the low half of the first byte, and there is no payload |
//! | 2, 4 | one child | its byte, the distance in 1 or 2 bytes |
//! | 3 | one child | as 1, and its byte stands behind 12 bits of distance |
//! | 5 to 9 | sparse | u8 n, n bytes in ascending order, n distances of 1, 1½, 2, 3 or 5 bytes |
//! | 10 to 15 | dense | u8 first byte, u8 n - 1, n distances of 1½, 2, 3, 4, 5 or 8 bytes, 0 for no child |
//!
//! No node crosses a border between two pages of 4,096 bytes. Everything here ends on any bytes: a path goes down in the file
//! with every step, and is not longer than [`MAX_PATH`]; who goes through a whole trie counts the nodes ([`TrieWalk`]).

use crate::error::{DecodeError, DecodeErrorKind, Result};
use crate::io::InputFile;

/// Bytes of a page (`PageAware.PAGE_SIZE`).
const PAGE: u64 = 4096;
/// The longest path: a key of 65,535 bytes of which every second is zero, its token, or as many clustering values.
pub(super) const MAX_PATH: usize = 1 << 20;
/// What a payload has at most: an offset of 8 bytes and a hash, or an offset and a deletion.
const MAX_PAYLOAD: usize = 24;

/// A file with tries, and the page of it that was read last.
#[derive(Debug)]
pub(super) struct TriePages<'f> {
    file: &'f InputFile,
    page: Vec<u8>,
    page_at: Option<u64>,
}

/// A node in its page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'p> {
    position: u64,
    layout: Layout,
    payload_bits: u8,
    /// From the first byte of the node to the end of the page.
    bytes: &'p [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Leaf,
    /// The byte and the distance.
    Single(u8, u64),
    /// Children, and half bytes of a distance.
    Sparse(usize, usize),
    /// The first byte, and as above.
    Dense(u8, usize, usize),
}

/// What stands behind a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payload {
    /// The low half of the node's first byte.
    pub(super) bits: u8,
    /// Where it begins in the file.
    pub(super) offset: u64,
    bytes: [u8; MAX_PAYLOAD],
    len: usize,
}

impl Payload {
    /// Its bytes, and what follows in the page.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl<'p> Node<'p> {
    /// Decodes the node at `position`, where `bytes` begin.
    pub(super) fn decode(position: u64, bytes: &'p [u8]) -> Result<Self, DecodeError> {
        let cut = |wanted: usize| {
            let kind = DecodeErrorKind::Truncated {
                what: "trie node",
                wanted: wanted as u64,
                left: bytes.len() as u64,
            };
            DecodeError::new(kind, position)
        };
        let byte = |at: usize| bytes.get(at).copied().ok_or_else(|| cut(at + 1));
        let first = byte(0)?;
        let (kind, low) = (first >> 4, first & 15);
        let sparse = |nibbles: usize| Ok(Layout::Sparse(usize::from(byte(1)?), nibbles));
        let dense =
            |nibbles: usize| Ok(Layout::Dense(byte(1)?, usize::from(byte(2)?) + 1, nibbles));
        let layout = match kind {
            0 => Layout::Leaf,
            1 => Layout::Single(byte(1)?, low.into()),
            2 => Layout::Single(byte(1)?, byte(2)?.into()),
            3 => Layout::Single(byte(2)?, u64::from(low) << 8 | u64::from(byte(1)?)),
            4 => Layout::Single(byte(1)?, u64::from(byte(2)?) << 8 | u64::from(byte(3)?)),
            5 => sparse(2)?,
            6 => sparse(3)?,
            7 => sparse(4)?,
            8 => sparse(6)?,
            9 => sparse(10)?,
            10 => dense(3)?,
            11 => dense(4)?,
            12 => dense(6)?,
            13 => dense(8)?,
            14 => dense(10)?,
            _ => dense(16)?,
        };
        let payload_bits = if matches!(kind, 1 | 3) { 0 } else { low };
        let node = Self { position, layout, payload_bits, bytes };
        let len = node.len();
        if len > bytes.len() {
            return Err(cut(len));
        }
        if layout == Layout::Leaf && payload_bits == 0 {
            return Err(DecodeError::invalid("a trie node without children or payload", position));
        }
        if matches!(layout, Layout::Sparse(0, _)) {
            return Err(DecodeError::invalid(
                "a trie node whose number of children is 0",
                position,
            ));
        }
        Ok(node)
    }

    fn kind(&self) -> u8 {
        self.bytes.first().map_or(0, |first| first >> 4)
    }

    /// Bytes of the node without its payload.
    fn len(&self) -> usize {
        match (self.layout, self.kind()) {
            (Layout::Leaf, _) => 1,
            (Layout::Single(..), 1) => 2,
            (Layout::Single(..), 4) => 4,
            (Layout::Single(..), _) => 3,
            (Layout::Sparse(count, nibbles), _) => 2 + count + (count * nibbles).div_ceil(2),
            (Layout::Dense(_, span, nibbles), _) => 3 + (span * nibbles).div_ceil(2),
        }
    }

    /// True if it has no children.
    pub(super) fn is_leaf(&self) -> bool {
        self.layout == Layout::Leaf
    }

    /// Places for children; those of a dense node may be empty.
    pub(super) fn slots(&self) -> usize {
        match self.layout {
            Layout::Leaf => 0,
            Layout::Single(..) => 1,
            Layout::Sparse(count, _) | Layout::Dense(_, count, _) => count,
        }
    }

    /// The byte of a place.
    fn byte_of(&self, slot: usize) -> Option<u8> {
        match self.layout {
            Layout::Leaf => None,
            Layout::Single(byte, _) => (slot == 0).then_some(byte),
            Layout::Sparse(count, _) => self.bytes.get(2 + slot).copied().filter(|_| slot < count),
            Layout::Dense(first, span, _) => {
                u8::try_from(slot).ok().filter(|_| slot < span).and_then(|i| first.checked_add(i))
            }
        }
    }

    fn distance(&self, slot: usize) -> u64 {
        let (base, nibbles) = match self.layout {
            Layout::Leaf => return 0,
            Layout::Single(_, distance) => return distance,
            Layout::Sparse(count, nibbles) => (2 + count, nibbles),
            Layout::Dense(_, _, nibbles) => (3, nibbles),
        };
        let at = base + slot * nibbles / 2;
        let taken = self.bytes.get(at..at + nibbles.div_ceil(2)).unwrap_or_default();
        let number = taken.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        match (nibbles, slot % 2) {
            (3, 0) => number >> 4,
            (3, _) => number & 0xfff,
            _ => number,
        }
    }

    /// Byte and position of the child at a place; none for an empty one.
    pub(super) fn child(&self, slot: usize) -> Result<Option<(u8, u64)>, DecodeError> {
        let Some(byte) = self.byte_of(slot) else {
            let words = "a trie node with a child beyond the last byte";
            return Err(DecodeError::invalid(words, self.position));
        };
        match (self.distance(slot), self.layout) {
            (0, Layout::Dense(..)) => Ok(None),
            (distance @ 1.., _) if distance <= self.position => {
                Ok(Some((byte, self.position - distance)))
            }
            (distance, _) => {
                let words = format!("a trie node whose child lies {distance} bytes before it");
                Err(DecodeError::invalid(words, self.position))
            }
        }
    }

    /// The first place whose byte is `byte` or greater, and whether it is `byte`.
    pub(super) fn search(&self, byte: u8) -> (usize, bool) {
        if let Layout::Dense(first, span, _) = self.layout {
            let slot = usize::from(byte.saturating_sub(first)).min(span);
            return (slot, byte >= first && slot < span);
        }
        let found = (0..self.slots()).find(|&slot| self.byte_of(slot).is_some_and(|b| b >= byte));
        let slot = found.unwrap_or(self.slots());
        (slot, self.byte_of(slot) == Some(byte))
    }

    /// The child for `byte`.
    pub(super) fn child_of(&self, byte: u8) -> Result<Option<u64>, DecodeError> {
        match self.search(byte) {
            (slot, true) => Ok(self.child(slot)?.map(|(_, position)| position)),
            (_, false) => Ok(None),
        }
    }

    /// The first child at or behind a place: the place behind it, its byte, its position.
    pub(super) fn next_child(&self, from: usize) -> Result<Option<(usize, u8, u64)>, DecodeError> {
        for slot in from..self.slots() {
            if let Some((byte, position)) = self.child(slot)? {
                return Ok(Some((slot + 1, byte, position)));
            }
        }
        Ok(None)
    }

    /// The last child before a place: its byte and its position.
    pub(super) fn last_child(&self, before: usize) -> Result<Option<(u8, u64)>, DecodeError> {
        for slot in (0..before.min(self.slots())).rev() {
            if let Some(child) = self.child(slot)? {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// Its payload.
    pub(super) fn payload(&self) -> Option<Payload> {
        if self.payload_bits == 0 {
            return None;
        }
        let len = self.len();
        let rest = self.bytes.get(len..).unwrap_or_default();
        let mut bytes = [0; MAX_PAYLOAD];
        let taken = rest.len().min(MAX_PAYLOAD);
        for (to, from) in bytes.iter_mut().zip(rest) {
            *to = *from;
        }
        let offset = self.position + len as u64;
        Some(Payload { bits: self.payload_bits, offset, bytes, len: taken })
    }
}

impl<'f> TriePages<'f> {
    pub(super) fn new(file: &'f InputFile) -> Self {
        Self { file, page: Vec::new(), page_at: None }
    }

    /// The node at `position`.
    pub(super) fn node(&mut self, position: u64) -> Result<Node<'_>> {
        let start = position - position % PAGE;
        let end = (start + PAGE).min(self.file.len());
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        if self.file.mapped().is_none() && self.page_at != Some(start) {
            self.page_at = None;
            self.file.slice(start, len, &mut self.page)?;
            self.page_at = Some(start);
        }
        let page = match self.file.mapped() {
            Some(all) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                all.get(start..start.saturating_add(len)).unwrap_or_default()
            }
            None => self.page.get(..len).unwrap_or_default(),
        };
        let at = usize::try_from(position - start).unwrap_or(usize::MAX);
        let bytes = page.get(at..).unwrap_or_default();
        Node::decode(position, bytes).map_err(|e| e.in_file(self.file.path()))
    }

    /// The payload that comes first at or below the node at `position`; the bytes to it are added to `path`.
    pub(super) fn first_payload(
        &mut self,
        mut position: u64,
        path: &mut Vec<u8>,
    ) -> Result<Payload> {
        loop {
            let file = self.file;
            let node = self.node(position)?;
            if let Some(payload) = node.payload() {
                return Ok(payload);
            }
            let next = node.next_child(0).map_err(|e| e.in_file(file.path()))?;
            let (_, byte, child) = next.ok_or_else(|| childless(position).in_file(file.path()))?;
            path.push(byte);
            check_path(path.len(), position).map_err(|e| e.in_file(file.path()))?;
            position = child;
        }
    }

    /// The payload that comes last at or below the node at `position`; the bytes to it are added to `path`.
    pub(super) fn last_payload(
        &mut self,
        mut position: u64,
        path: &mut Vec<u8>,
    ) -> Result<Payload> {
        loop {
            let file = self.file;
            let node = self.node(position)?;
            let last = node.last_child(node.slots()).map_err(|e| e.in_file(file.path()))?;
            match (last, node.payload()) {
                (Some((byte, child)), _) => {
                    path.push(byte);
                    check_path(path.len(), position).map_err(|e| e.in_file(file.path()))?;
                    position = child;
                }
                (None, Some(payload)) => return Ok(payload),
                (None, None) => return Err(childless(position).in_file(file.path())),
            }
        }
    }
}

fn childless(position: u64) -> DecodeError {
    DecodeError::invalid("a trie node without children or payload", position)
}

pub(super) fn check_path(len: usize, position: u64) -> Result<(), DecodeError> {
    if len <= MAX_PATH {
        return Ok(());
    }
    let (what, found, limit) = ("depth of the trie", len as u64, MAX_PATH as u64);
    Err(DecodeError::new(DecodeErrorKind::Limit { what, found, limit }, position))
}

/// A node on the way, and the place of the child to go to next.
#[derive(Debug, Clone, Copy)]
struct Frame {
    position: u64,
    next: usize,
    /// Its own payload was given.
    entered: bool,
}

/// Goes through the payloads of a trie in order.
#[derive(Debug)]
pub(super) struct TrieWalk<'f> {
    pages: TriePages<'f>,
    stack: Vec<Frame>,
    path: Vec<u8>,
    /// The last of what lies before the place that was sought: a node, and the path to it.
    before: Option<(u64, Vec<u8>)>,
    /// Nodes that may still be entered: a file has no more nodes than bytes, and each of them is entered once.
    left: u64,
}

impl<'f> TrieWalk<'f> {
    /// From the first payload of the trie with this root on.
    pub(super) fn new(file: &'f InputFile, root: u64) -> Self {
        let stack = vec![Frame { position: root, next: 0, entered: false }];
        let (pages, left) = (TriePages::new(file), file.len());
        Self { pages, stack, path: Vec::new(), before: None, left }
    }

    /// From the payload on whose path is the beginning of `key`, or, where there is none, the first that comes after `key`. Payloads
    /// of nodes that have children and lie on the way are left out.
    pub(super) fn seek(file: &'f InputFile, root: u64, key: &[u8]) -> Result<Self> {
        let mut walk = Self::new(file, root);
        walk.stack.clear();
        let mut position = root;
        for (depth, &byte) in key.iter().enumerate() {
            let node = walk.pages.node(position)?;
            if node.is_leaf() {
                break;
            }
            let (slot, found) = node.search(byte);
            let child = if found { node.child(slot) } else { Ok(None) };
            let child = child.map_err(|e| e.in_file(file.path()))?;
            let lesser = node.last_child(slot).map_err(|e| e.in_file(file.path()))?;
            let next = if child.is_some() { slot + 1 } else { slot };
            if let Some((byte, lesser)) = lesser {
                let path = walk.path.get(..depth).unwrap_or_default();
                walk.before = Some((lesser, [path, &[byte]].concat()));
            }
            walk.stack.push(Frame { position, next, entered: true });
            walk.path.truncate(depth);
            let Some((byte, child)) = child else { return Ok(walk) };
            walk.path.push(byte);
            position = child;
        }
        walk.stack.push(Frame { position, next: 0, entered: false });
        Ok(walk)
    }

    /// The last payload that lies before the place that was sought and cannot be at it; none if there is none. With its path.
    pub(super) fn payload_before(&mut self) -> Result<Option<(Vec<u8>, Payload)>> {
        let Some((node, mut path)) = self.before.clone() else { return Ok(None) };
        let payload = self.pages.last_payload(node, &mut path)?;
        Ok(Some((path, payload)))
    }

    /// The bytes that lead to the payload that was given last.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// The next payload.
    pub(super) fn next_payload(&mut self) -> Result<Option<Payload>> {
        while let Some(frame) = self.stack.last_mut() {
            let position = frame.position;
            let fresh = !std::mem::replace(&mut frame.entered, true);
            let from = frame.next;
            let file = self.pages.file;
            let node = self.pages.node(position)?;
            if fresh {
                let Some(left) = self.left.checked_sub(1) else {
                    let words = "a trie in which paths meet again";
                    return Err(DecodeError::invalid(words, position).in_file(file.path()));
                };
                self.left = left;
                if let Some(payload) = node.payload() {
                    return Ok(Some(payload));
                }
            }
            let depth = self.stack.len();
            match node.next_child(from).map_err(|e| e.in_file(file.path()))? {
                Some((next, byte, child)) => {
                    if let Some(frame) = self.stack.last_mut() {
                        frame.next = next;
                    }
                    self.path.truncate(depth - 1);
                    self.path.push(byte);
                    check_path(depth, position).map_err(|e| e.in_file(file.path()))?;
                    self.stack.push(Frame { position: child, next: 0, entered: false });
                }
                None => {
                    if from == 0 && fresh {
                        return Err(childless(position).in_file(file.path()));
                    }
                    self.stack.pop();
                    self.path.truncate(self.stack.len().saturating_sub(1));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[path = "trie_tests.rs"]
pub(super) mod tests;
