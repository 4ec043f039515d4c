//! The index of the rows of one partition, in its entry of Index.db (`RowIndexEntry`, "promoted index").
//!
//! ```text
//! uv            length of the partition's header: key, deletion, static row
//! DeletionTime  deletion of the partition, a copy
//! uv n          number of blocks
//! n × block
//! n × i32       offset of each block from the first one
//!
//! block:  prefix first, prefix last
//!         uv offset from the partition's start, sv width - 65536
//!         u8 present, [DeletionTime] the range deletion that is open at the block's end
//! prefix: u8 kind; of a row: values of all clustering columns; of a marker: u16 n, n values
//! ```
//! Only partitions with two blocks or more (of 64 KiB, as configured) have one. The last block includes the byte that
//! ends the partition. Nothing is built for blocks that are not asked for: a partition of 100 GB has a million of them.

use super::super::clustering_bytes::read_clustering_values;
use crate::cql::MarshalType;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::codec::read_deletion_time;
use crate::rows::{ClusteringKind, DeletionTime};
use crate::sstable::Version;

/// `IndexInfo.Serializer.WIDTH_BASE`.
const WIDTH_BASE: i64 = 64 << 10;
/// Two kinds, two numbers, a flag, and the offset.
const LEAST_BLOCK_LEN: usize = 9;

/// First or last clustering of a block: of a row or of a range tombstone marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPrefix<'a> {
    /// What it is.
    pub kind: ClusteringKind,
    /// Values; a null one as none.
    pub values: Vec<Option<&'a [u8]>>,
}

/// One block of rows (`IndexInfo`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBlock<'a> {
    /// First clustering in it.
    pub first: IndexPrefix<'a>,
    /// Last clustering in it.
    pub last: IndexPrefix<'a>,
    /// Where it begins, from the start of the partition.
    pub offset: u64,
    /// Its length.
    pub width: u64,
    /// The range deletion that is open at its end, if one is.
    pub open_marker: Option<DeletionTime>,
}

/// The index of one partition.
#[derive(Debug, Clone)]
pub struct RowIndex<'a> {
    header_len: u64,
    partition_deletion: DeletionTime,
    blocks: &'a [u8],
    offsets: &'a [u8],
    /// Where `blocks` begins in what was decoded.
    blocks_at: usize,
    version: Version,
    clustering: &'a [MarshalType],
}

impl<'a> RowIndex<'a> {
    /// Decodes the bytes of an index entry; `clustering` are the types in the SSTable's serialization header.
    pub fn decode(
        bytes: &'a [u8],
        version: Version,
        clustering: &'a [MarshalType],
    ) -> Result<Self, DecodeError> {
        let mut r = ByteReader::new(bytes);
        let header_len = r.read_uvint("length of the partition header")?;
        let partition_deletion = read_deletion_time(&mut r, version.has_uint_deletion_time())?;
        let at = r.position() as u64;
        let what = "number of index blocks";
        let found = r.read_uvint(what)?;
        let limit = (r.remaining() / LEAST_BLOCK_LEN) as u64;
        let count = match usize::try_from(found) {
            Ok(count) if found <= limit => count,
            _ => {
                return Err(DecodeError::new(DecodeErrorKind::Limit { what, found, limit }, at));
            }
        };
        let blocks_at = r.position();
        let blocks = r.take(r.remaining() - 4 * count, "index blocks")?;
        let offsets = r.take(4 * count, "offsets of the index blocks")?;
        Ok(Self { header_len, partition_deletion, blocks, offsets, blocks_at, version, clustering })
    }

    /// Length of the partition's header: where its first row or marker begins.
    pub fn header_len(&self) -> u64 {
        self.header_len
    }

    /// The deletion of the whole partition.
    pub fn partition_deletion(&self) -> DeletionTime {
        self.partition_deletion
    }

    /// Number of blocks.
    pub fn block_count(&self) -> usize {
        self.offsets.len() / 4
    }

    /// Where block `index` begins in `blocks`; the end for the one behind the last.
    fn block_start(&self, index: usize) -> Result<usize, DecodeError> {
        if index == self.block_count() {
            return Ok(self.blocks.len());
        }
        let mut r = ByteReader::at(self.offsets, index.saturating_mul(4));
        let base = self.blocks_at + self.blocks.len();
        let start = r.read_u32("offset of an index block").map_err(|e| e.shifted(base as u64))?;
        match usize::try_from(start) {
            Ok(start) if start < self.blocks.len() && (index > 0 || start == 0) => Ok(start),
            _ => Err(DecodeError::invalid(
                format!("index block {index} begins at {start} of {}", self.blocks.len()),
                (base + 4 * index) as u64,
            )),
        }
    }

    /// Decodes block `index`.
    pub fn block(&self, index: usize) -> Result<IndexBlock<'a>, DecodeError> {
        let start = self.block_start(index)?;
        let end = self.block_start(index + 1)?;
        let base = (self.blocks_at + start) as u64;
        let Some(bytes) = self.blocks.get(start..end) else {
            return Err(DecodeError::invalid(
                format!("index block {index} begins at {start}, the next one at {end}"),
                base,
            ));
        };
        self.read_block(&mut ByteReader::new(bytes)).map_err(|e| e.shifted(base))
    }

    fn read_block(&self, r: &mut ByteReader<'a>) -> Result<IndexBlock<'a>, DecodeError> {
        let first = self.prefix(r)?;
        let last = self.prefix(r)?;
        let offset = r.read_uvint("offset of the block")?;
        let at = r.position() as u64;
        let width = r.read_svint("width of the block")?;
        let Some(width) = WIDTH_BASE.checked_add(width).and_then(|w| u64::try_from(w).ok()) else {
            return Err(DecodeError::invalid(format!("width of the block is {width}"), at));
        };
        let at = r.position() as u64;
        let open_marker = match r.read_u8("flag of an open marker")? {
            0 => None,
            1 => Some(read_deletion_time(r, self.version.has_uint_deletion_time())?),
            value => {
                let what = "flag of an open marker";
                let kind = DecodeErrorKind::InvalidTag { what, value: value.into() };
                return Err(DecodeError::new(kind, at));
            }
        };
        r.finish("length of the index block")?;
        Ok(IndexBlock { first, last, offset, width, open_marker })
    }

    fn prefix(&self, r: &mut ByteReader<'a>) -> Result<IndexPrefix<'a>, DecodeError> {
        let at = r.position() as u64;
        let code = r.read_u8("kind of a clustering")?;
        let Some(kind) = ClusteringKind::from_code(code) else {
            let what = "kind of a clustering";
            let kind = DecodeErrorKind::InvalidTag { what, value: code.into() };
            return Err(DecodeError::new(kind, at));
        };
        let count = match kind {
            ClusteringKind::Clustering => self.clustering.len(),
            ClusteringKind::ExclEndBound
            | ClusteringKind::InclStartBound
            | ClusteringKind::ExclEndInclStartBoundary
            | ClusteringKind::InclEndExclStartBoundary
            | ClusteringKind::InclEndBound
            | ClusteringKind::ExclStartBound => usize::from(r.read_u16("number of values")?),
        };
        let mut values = Vec::new();
        read_clustering_values(r, self.clustering, count, |value| values.push(value))?;
        Ok(IndexPrefix { kind, values })
    }

    /// All blocks, each checked to begin where the one before it ends, the first right behind the header.
    pub fn blocks(&self) -> impl Iterator<Item = Result<IndexBlock<'a>, DecodeError>> {
        let mut expected = Some(self.header_len);
        (0..self.block_count()).map(move |index| {
            let block = self.block(index)?;
            if expected != Some(block.offset) {
                return Err(DecodeError::new(
                    DecodeErrorKind::Mismatch {
                        what: "offset of an index block",
                        found: block.offset,
                        expected: expected.unwrap_or(u64::MAX),
                    },
                    self.blocks_at as u64,
                ));
            }
            expected = block.offset.checked_add(block.width);
            Ok(block)
        })
    }
}

#[cfg(test)]
#[path = "row_index_tests.rs"]
pub(super) mod tests;
