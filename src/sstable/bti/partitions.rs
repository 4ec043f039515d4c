//! Partitions.db (`PartitionIndex`): a trie from the beginnings of partition keys to where the partitions are.
//!
//! ```text
//! nodes    in pages, see trie
//! bytes16  first partition key
//! bytes16  last partition key
//! i64      where these two begin
//! i64      number of partitions
//! i64      position of the root
//!
//! payload: u8 hash of the key, iN position; N is the payload bits less 7
//! ```
//! A path has only as much of a key as tells it from the keys before and after it, so that what is found may be another
//! partition than was asked for: the key in Data.db decides. The hash is the low byte of the second half of the key's hash in the
//! Bloom filter. A position of 0 or more is that of an entry in Rows.db; of others all bits are inverted, and it is one in Data.db.

use crate::dht::{Partitioner, Token, murmur3_128};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile, ReadMode};
use crate::sstable::{Component, Descriptor};

use super::keys::{behind_token, decorated_key, least_token};
use super::rows::TrieIndexEntry;
use super::trie::{Payload, TriePages, TrieWalk, check_path};

/// Three numbers.
const FOOTER_LEN: u64 = 24;
/// The two keys with their lengths.
const MAX_KEYS_LEN: u64 = 2 * (2 + 65_535);
/// A leaf and its payload.
const LEAST_PARTITION_LEN: u64 = 3;
/// Payload bits from which on there is a hash (`PartitionIndex.FLAG_HAS_HASH_BYTE`).
const HAS_HASH: u8 = 8;
const HINT: &str = "restore Partitions.db and Rows.db from another copy or a snapshot, or remove them: Data.db is then read without them";

/// An open Partitions.db with its Rows.db.
#[derive(Debug)]
pub struct PartitionIndex {
    trie: InputFile,
    rows: InputFile,
    partitioner: Partitioner,
    /// Length of the uncompressed Data.db.
    data_len: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    count: u64,
    root: u64,
}

/// What a path through the trie leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartition {
    /// The path: the beginning of the key in its encoding.
    path: Vec<u8>,
    hash: Option<u8>,
    /// Where in Partitions.db that stands.
    pub position: u64,
    /// Where the partition begins in the uncompressed Data.db.
    pub data_offset: u64,
    /// The index of its rows, if it is large.
    pub row_index: Option<TrieIndexEntry>,
}

impl FoundPartition {
    /// The least token that its key can have.
    pub fn least_token(&self) -> Token {
        least_token(&self.path)
    }
}

fn open_if_there(path: &std::path::Path, mode: ReadMode) -> Result<Option<InputFile>> {
    match InputFile::open(path, mode) {
        Ok(file) => Ok(Some(file)),
        Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl PartitionIndex {
    /// Opens Partitions.db and Rows.db of `descriptor`, whose uncompressed Data.db has `data_len` bytes; `None` if one of them is
    /// not there.
    pub fn open(
        descriptor: &Descriptor,
        partitioner: &Partitioner,
        data_len: u64,
        mode: ReadMode,
    ) -> Result<Option<Self>> {
        let open = |component| open_if_there(&descriptor.path(component), mode);
        let (Some(trie), Some(rows)) = (open(Component::Partitions)?, open(Component::Rows)?)
        else {
            return Ok(None);
        };
        let mut index = Self {
            trie,
            rows,
            partitioner: partitioner.clone(),
            data_len,
            first_key: Vec::new(),
            last_key: Vec::new(),
            count: 0,
            root: 0,
        };
        index.read_footer()?;
        Ok(Some(index))
    }

    fn read_footer(&mut self) -> Result<()> {
        let len = self.trie.len();
        let fail = |kind, at| DecodeError::new(kind, at).in_file(self.trie.path()).map_damage(hint);
        let Some(footer_at) = len.checked_sub(FOOTER_LEN) else {
            let what = "footer";
            return Err(fail(
                DecodeErrorKind::Truncated { what, wanted: FOOTER_LEN, left: len },
                0,
            ));
        };
        let mut buf = Vec::new();
        let bytes = self.trie.slice(footer_at, 24, &mut buf)?.unwrap_or_default();
        let mut r = ByteReader::new(bytes);
        let mut next = |what| r.read_u64(what).map_err(|e| self.damage(e.shifted(footer_at)));
        let keys_at = next("position of the keys")?;
        let count = next("number of partitions")?;
        let root = next("position of the root")?;
        let keys_len = footer_at.saturating_sub(keys_at);
        if keys_at > footer_at || keys_len > MAX_KEYS_LEN {
            let what = "position of the keys";
            let limit = footer_at;
            return Err(fail(DecodeErrorKind::Limit { what, found: keys_at, limit }, footer_at));
        }
        if root >= keys_at {
            let what = "position of the root";
            let limit = keys_at.saturating_sub(1);
            return Err(fail(DecodeErrorKind::Limit { what, found: root, limit }, footer_at + 16));
        }
        let limit = keys_at / LEAST_PARTITION_LEN;
        if count == 0 || count > limit {
            let what = "number of partitions";
            return Err(fail(DecodeErrorKind::Limit { what, found: count, limit }, footer_at + 8));
        }
        let keys_len = usize::try_from(keys_len).unwrap_or(usize::MAX);
        let bytes = self.trie.slice(keys_at, keys_len, &mut buf)?.unwrap_or_default();
        let mut r = ByteReader::new(bytes);
        let mut read = || -> Result<_, DecodeError> {
            let first = r.read_bytes16("first partition key")?.to_vec();
            let last = r.read_bytes16("last partition key")?.to_vec();
            r.finish("first and last partition key")?;
            Ok((first, last))
        };
        let (first, last) = read().map_err(|e| self.damage(e.shifted(keys_at)))?;
        (self.first_key, self.last_key, self.count, self.root) = (first, last, count, root);
        Ok(())
    }

    /// The path of Partitions.db.
    pub fn path(&self) -> &std::path::Path {
        self.trie.path()
    }

    /// The path of Rows.db.
    pub fn rows_path(&self) -> &std::path::Path {
        self.rows.path()
    }

    /// Where the last 24 bytes of Partitions.db begin.
    pub fn footer_position(&self) -> u64 {
        self.trie.len().saturating_sub(FOOTER_LEN)
    }

    /// Rows.db.
    pub(in crate::sstable) fn rows_file(&self) -> &InputFile {
        &self.rows
    }

    /// The first partition key.
    pub fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    /// The last partition key.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// The number of partitions.
    pub fn partition_count(&self) -> u64 {
        self.count
    }

    /// True if a key can be the one of a path. Where the order of the partitioner is not known, only its hash is asked.
    pub fn may_be(&self, found: &FoundPartition, key: &[u8]) -> bool {
        found.hash.is_none_or(|hash| hash == hash_byte(key))
            && decorated_key(&self.partitioner, key).is_none_or(|all| all.starts_with(&found.path))
    }

    /// All partitions in order.
    pub fn partitions(&self) -> IndexedPartitions<'_> {
        IndexedPartitions {
            index: self,
            walk: TrieWalk::new(&self.trie, self.root),
            previous: None,
            count: 0,
        }
    }

    /// The last partition.
    pub fn last(&self) -> Result<FoundPartition> {
        let mut pages = TriePages::new(&self.trie);
        let mut path = Vec::new();
        let payload = pages.last_payload(self.root, &mut path).map_err(hinted)?;
        self.found(path, payload)
    }

    /// The partitions that may have a token greater than `token`: the first of those given may have an equal or a lesser one, and
    /// no other does.
    pub fn after(&self, token: Token) -> Result<IndexedPartitions<'_>> {
        let walk = TrieWalk::seek(&self.trie, self.root, &behind_token(token)).map_err(hinted)?;
        Ok(IndexedPartitions { index: self, walk, previous: None, count: 0 })
    }

    /// The first partition that begins at or after `data_offset` of the uncompressed Data.db.
    pub fn first_at_or_after(&self, data_offset: u64) -> Result<Option<FoundPartition>> {
        let mut pages = TriePages::new(&self.trie);
        let mut path = Vec::new();
        let payload = pages.first_payload(self.root, &mut path).map_err(hinted)?;
        let first = self.found(path, payload)?;
        if first.data_offset >= data_offset {
            return Ok(Some(first));
        }
        // What comes first below `node` lies before the offset, `behind` does not, and nothing is between the two.
        let (mut node, mut way, mut behind) = (self.root, Vec::new(), None);
        loop {
            let mut children = Vec::new();
            let here = pages.node(node).map_err(hinted)?;
            let mut from = 0;
            while let Some((next, byte, child)) =
                here.next_child(from).map_err(|e| self.damage(e))?
            {
                children.push((byte, child));
                from = next;
            }
            let (mut low, mut high) = (0, children.len());
            while low < high {
                let middle = low + (high - low) / 2;
                let Some(&(byte, child)) = children.get(middle) else { break };
                let mut path = way.clone();
                path.push(byte);
                let payload = pages.first_payload(child, &mut path).map_err(hinted)?;
                let found = self.found(path, payload)?;
                if found.data_offset < data_offset {
                    low = middle + 1;
                } else {
                    behind = Some(found);
                    high = middle;
                }
            }
            let Some(&(byte, child)) = low.checked_sub(1).and_then(|last| children.get(last))
            else {
                return Ok(behind);
            };
            way.push(byte);
            check_path(way.len(), node).map_err(|e| self.damage(e))?;
            node = child;
        }
    }

    /// What the trie has for a key, which may be another partition; none if it has nothing, or if the partitioner's order is
    /// not known.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<FoundPartition>> {
        let Some(wanted) = decorated_key(&self.partitioner, key) else { return Ok(None) };
        let mut pages = TriePages::new(&self.trie);
        let mut position = self.root;
        for depth in 0..=wanted.len() {
            let node = pages.node(position).map_err(hinted)?;
            if node.is_leaf() {
                let Some(payload) = node.payload() else { return Ok(None) };
                let path = wanted.get(..depth).unwrap_or_default().to_vec();
                let (hash, _) = read_payload(&payload).map_err(|e| self.damage(e))?;
                if hash.is_some_and(|hash| hash != hash_byte(key)) {
                    return Ok(None);
                }
                return self.found(path, payload).map(Some);
            }
            let Some(&byte) = wanted.get(depth) else { return Ok(None) };
            match node.child_of(byte).map_err(|e| self.damage(e))? {
                Some(child) => position = child,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// True if keys can be looked up.
    pub fn knows_order(&self) -> bool {
        decorated_key(&self.partitioner, &[]).is_some()
    }

    fn found(&self, path: Vec<u8>, payload: Payload) -> Result<FoundPartition> {
        let (hash, at) = read_payload(&payload).map_err(|e| self.damage(e))?;
        let position = payload.offset;
        let (data_offset, row_index) = match u64::try_from(at) {
            Ok(entry) => {
                let entry = TrieIndexEntry::read(&self.rows, entry).map_err(hinted)?;
                (entry.data_offset, Some(entry))
            }
            Err(_) => ((!at).cast_unsigned(), None),
        };
        if data_offset >= self.data_len {
            let limit = self.data_len;
            let kind =
                DecodeErrorKind::Limit { what: "position in Data.db", found: data_offset, limit };
            return Err(self.damage(DecodeError::new(kind, position)));
        }
        let found = FoundPartition { path, hash, position, data_offset, row_index };
        if let Some(entry) = &found.row_index
            && !self.may_be(&found, &entry.key)
        {
            let words =
                format!("its entry at {} of Rows.db is that of another key", entry.position);
            return Err(self.damage(DecodeError::invalid(words, position)));
        }
        Ok(found)
    }

    /// The error of a path that does not lead where it says.
    pub fn leads_astray(&self, found: &FoundPartition) -> Error {
        let words =
            format!("it leads to {} of Data.db, where another partition is", found.data_offset);
        self.damage(DecodeError::invalid(words, found.position))
    }

    #[cold]
    fn damage(&self, error: DecodeError) -> Error {
        hinted(error.in_file(self.trie.path()))
    }
}

fn hint(damage: &mut crate::error::Damage) {
    let name = damage.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    damage.what = name.rsplit('-').next().map(str::to_owned);
    damage.hint = Some(HINT.into());
}

#[cold]
pub(super) fn hinted(error: Error) -> Error {
    error.map_damage(hint)
}

/// The low byte of the second half of the key's hash.
fn hash_byte(key: &[u8]) -> u8 {
    murmur3_128(key).1.to_le_bytes().first().copied().unwrap_or_default()
}

/// The hash, if there is one, and the position.
fn read_payload(payload: &Payload) -> Result<(Option<u8>, i64), DecodeError> {
    let mut r = ByteReader::new(payload.bytes());
    let mut read = || -> Result<_, DecodeError> {
        let (hash, len) = match payload.bits.checked_sub(HAS_HASH) {
            Some(more) => (Some(r.read_u8("hash of the key")?), usize::from(more) + 1),
            None => (None, usize::from(payload.bits)),
        };
        Ok((hash, signed(r.take(len, "position of a partition")?)))
    };
    read().map_err(|e| e.shifted(payload.offset))
}

/// A signed number of as many bytes as there are.
pub(super) fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let start = if negative { u64::MAX } else { 0 };
    bytes.iter().fold(start, |sum, byte| sum << 8 | u64::from(*byte)).cast_signed()
}

/// Partitions of a Partitions.db in order; [`IndexedPartitions::next_partition`] gives one after the other.
#[derive(Debug)]
pub struct IndexedPartitions<'a> {
    index: &'a PartitionIndex,
    walk: TrieWalk<'a>,
    previous: Option<u64>,
    count: u64,
}

impl IndexedPartitions<'_> {
    /// The next one; none at the end. It is an error if it does not come after the one before it in Data.db.
    pub fn next_partition(&mut self) -> Result<Option<FoundPartition>> {
        let Some(payload) = self.walk.next_payload().map_err(hinted)? else { return Ok(None) };
        let found = self.index.found(self.walk.path().to_vec(), payload)?;
        if let Some(before) = self.previous.filter(|before| *before >= found.data_offset) {
            let words = format!(
                "the partition begins at {} of Data.db, the one before it at {before}",
                found.data_offset
            );
            return Err(self.index.damage(DecodeError::invalid(words, found.position)));
        }
        self.previous = Some(found.data_offset);
        self.count += 1;
        Ok(Some(found))
    }

    /// The partition before the place that was sought, where the first one given lies behind it.
    pub fn before(&mut self) -> Result<Option<FoundPartition>> {
        match self.walk.payload_before().map_err(hinted)? {
            Some((path, payload)) => self.index.found(path, payload).map(Some),
            None => Ok(None),
        }
    }

    /// How many were given.
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
#[path = "partitions_tests.rs"]
mod tests;
