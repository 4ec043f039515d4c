//! Rows.db (`TrieIndexEntry`, `RowIndexReader`): for each partition of two blocks or more a trie, and behind it an entry.
//!
//! ```text
//! bytes16       partition key; Partitions.db points here
//! uv            where the partition begins in the uncompressed Data.db
//! sv            position of the root less the position of this number's neighbour before it, the end of the key
//! uv            number of blocks
//! DeletionTime  deletion of the partition, a copy, as in `oa`
//!
//! payload: iN offset of the block from the partition's beginning, [i64, u32 range deletion open there]; N is the payload bits without
//!          8, which says that a deletion follows
//! ```
//! Paths are not clusterings: that of a block is greater than all clusterings before it, and not greater than those in it. The first
//! block has the empty path. Behind the last one follows the end of the partition, as if it were a block. Static rows
//! are in no block.

use crate::error::{DecodeError, DecodeErrorKind, Result};
use crate::io::{ByteReader, InputFile};
use crate::rows::DeletionTime;
use crate::rows::codec::read_deletion_time;

use super::partitions::{PartitionIndex, hinted, signed};
use super::trie::{Payload, TriePages, TrieWalk};

/// A payload with a deletion (`RowIndexReader.FLAG_OPEN_MARKER`).
const HAS_DELETION: u8 = 8;
/// Key and length, three vints, a deletion.
const MAX_ENTRY_LEN: u64 = 2 + 65_535 + 3 * 9 + 12;
/// What is read of an entry at first; most keys are shorter.
const PROBE_LEN: u64 = 256;

/// The entry of a partition in Rows.db.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrieIndexEntry {
    /// Where it begins.
    pub position: u64,
    /// Partition key.
    pub key: Vec<u8>,
    /// Where the partition begins in the uncompressed Data.db.
    pub data_offset: u64,
    /// Number of blocks.
    pub block_count: u64,
    /// The deletion of the whole partition.
    pub partition_deletion: DeletionTime,
    root: u64,
}

/// A block of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowBlock {
    /// Where that stands in Rows.db.
    pub position: u64,
    /// Where the block begins, from the start of the partition.
    pub offset: u64,
    /// The range deletion that is open there, if one is.
    pub open: Option<DeletionTime>,
}

impl TrieIndexEntry {
    pub(super) fn read(rows: &InputFile, position: u64) -> Result<Self> {
        let left = rows.len().saturating_sub(position);
        let mut buf = Vec::new();
        let mut wanted = left.min(PROBE_LEN);
        loop {
            let len = usize::try_from(wanted).unwrap_or(usize::MAX);
            let bytes = rows.slice(position, len, &mut buf)?.unwrap_or_default();
            match Self::decode(bytes, position) {
                Err(_) if wanted < left.min(MAX_ENTRY_LEN) => wanted = left.min(MAX_ENTRY_LEN),
                decoded => return decoded.map_err(|e| e.in_file(rows.path())),
            }
        }
    }

    fn decode(bytes: &[u8], position: u64) -> Result<Self, DecodeError> {
        let mut r = ByteReader::new(bytes);
        let mut read = || -> Result<_, DecodeError> {
            let key = r.read_bytes16("partition key")?.to_vec();
            let base = position + r.position() as u64;
            let data_offset = r.read_uvint("position in Data.db")?;
            let at = r.position() as u64;
            let root = r.read_svint("position of the root")?;
            let block_count = r.read_uvint("number of index blocks")?;
            let partition_deletion = read_deletion_time(&mut r, true)?;
            // A trie lies before its entry.
            let root = base.checked_add_signed(root).filter(|root| *root < position);
            let root = root.ok_or_else(|| {
                DecodeError::invalid("the root of the rows does not lie before their entry", at)
            })?;
            if block_count > root {
                let (what, limit) = ("number of index blocks", root);
                let kind = DecodeErrorKind::Limit { what, found: block_count, limit };
                return Err(DecodeError::new(kind, at));
            }
            Ok(Self { position, key, data_offset, block_count, partition_deletion, root })
        };
        read().map_err(|e| e.shifted(position))
    }
}

fn read_block(payload: &Payload) -> Result<RowBlock, DecodeError> {
    let mut r = ByteReader::new(payload.bytes());
    let mut read = || -> Result<_, DecodeError> {
        let len = usize::from(payload.bits & !HAS_DELETION);
        let offset = signed(r.take(len, "offset of a block")?);
        let open = match payload.bits & HAS_DELETION != 0 {
            true => Some(read_deletion_time(&mut r, true)?),
            false => None,
        };
        let Ok(offset) = u64::try_from(offset) else {
            return Err(DecodeError::invalid(format!("the offset of a block is {offset}"), 0));
        };
        Ok(RowBlock { position: payload.offset, offset, open })
    };
    read().map_err(|e| e.shifted(payload.offset))
}

/// The index of the rows of one partition.
#[derive(Debug, Clone, Copy)]
pub struct TrieRowIndex<'a> {
    rows: &'a InputFile,
    root: u64,
}

impl<'a> TrieRowIndex<'a> {
    /// The index that an entry of `index` leads to.
    pub fn new(index: &'a PartitionIndex, entry: &TrieIndexEntry) -> Self {
        Self { rows: index.rows_file(), root: entry.root }
    }

    /// The last block of which no row lies behind a place: `bound` is what [`super::write_clustering`] makes of that. None for the
    /// first block.
    pub fn floor(&self, bound: &[u8]) -> Result<Option<RowBlock>> {
        let fail = |error: DecodeError| hinted(error.in_file(self.rows.path()));
        let mut pages = TriePages::new(self.rows);
        // What is greatest below a node, or what stands at one.
        let (mut below, mut at) = (None, None);
        let mut position = self.root;
        let mut depth = 0;
        loop {
            let node = pages.node(position).map_err(hinted)?;
            if depth > 0
                && let Some(payload) = node.payload()
            {
                (below, at) = (None, Some(payload));
            }
            let Some(&byte) = bound.get(depth) else { break };
            let (slot, found) = node.search(byte);
            if let Some((_, lesser)) = node.last_child(slot).map_err(fail)? {
                (below, at) = (Some(lesser), None);
            }
            let child = if found { node.child(slot).map_err(fail)? } else { None };
            let Some((_, child)) = child else { break };
            position = child;
            depth += 1;
        }
        let payload = match below {
            Some(node) => Some(pages.last_payload(node, &mut Vec::new()).map_err(hinted)?),
            None => at,
        };
        payload.map(|payload| read_block(&payload).map_err(fail)).transpose()
    }

    /// All blocks in order, and behind them the end of the partition.
    pub fn blocks(&self) -> RowBlocks<'a> {
        RowBlocks { rows: self.rows, walk: TrieWalk::new(self.rows, self.root) }
    }
}

/// The blocks of a partition; [`RowBlocks::next_block`] gives one after the other.
#[derive(Debug)]
pub struct RowBlocks<'a> {
    rows: &'a InputFile,
    walk: TrieWalk<'a>,
}

impl RowBlocks<'_> {
    /// The next one; none at the end.
    pub fn next_block(&mut self) -> Result<Option<RowBlock>> {
        let Some(payload) = self.walk.next_payload().map_err(hinted)? else { return Ok(None) };
        let block = read_block(&payload).map_err(|e| hinted(e.in_file(self.rows.path())))?;
        Ok(Some(block))
    }

    /// The path of the block that was given last: greater than all clusterings before it.
    pub fn separator(&self) -> &[u8] {
        self.walk.path()
    }
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
