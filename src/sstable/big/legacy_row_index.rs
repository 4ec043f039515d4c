//! The index of the rows of one partition in 2.x (`IndexHelper.IndexInfo`).
//!
//! ```text
//! DeletionTime  deletion of the partition, a copy
//! i32 n         number of blocks, at least 2
//! n × { bytes16 first name, bytes16 last name, i64 offset from the partition's start, i64 width }
//! ```
//! Blocks end between atoms, so that a row may lie in two of them; range tombstones that are open where a block begins are
//! repeated there. Behind the last block stand the two bytes that end the partition.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::DeletionTime;
use crate::rows::codec::read_deletion_time;

/// Two lengths of names and two numbers.
const LEAST_BLOCK_LEN: usize = 20;

/// One block of atoms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyIndexBlock<'a> {
    /// Name of the first atom that is not a repeated tombstone.
    pub first: &'a [u8],
    /// Name of the last atom.
    pub last: &'a [u8],
    /// Where it begins, from the start of the partition.
    pub offset: u64,
    /// Its length.
    pub width: u64,
}

/// The index of one partition.
#[derive(Debug, Clone)]
pub struct LegacyRowIndex<'a> {
    /// The deletion of the whole partition.
    pub partition_deletion: DeletionTime,
    /// The blocks, each beginning where the one before it ends.
    pub blocks: Vec<LegacyIndexBlock<'a>>,
}

impl<'a> LegacyRowIndex<'a> {
    /// Decodes the bytes of an index entry.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = ByteReader::new(bytes);
        let partition_deletion = read_deletion_time(&mut r, false)?;
        let at = r.position() as u64;
        let what = "number of index blocks";
        let found = r.read_u32(what)?;
        let limit = r.remaining() / LEAST_BLOCK_LEN;
        if usize::try_from(found).is_ok_and(|found| found > limit) {
            let kind = DecodeErrorKind::Limit { what, found: found.into(), limit: limit as u64 };
            return Err(DecodeError::new(kind, at));
        }
        let mut blocks = Vec::new();
        let mut expected: Option<u64> = None;
        for _ in 0..found {
            let first = r.read_bytes16("first name of a block")?;
            let last = r.read_bytes16("last name of a block")?;
            let at = r.position() as u64;
            let offset = r.read_u64("offset of a block")?;
            let width = r.read_u64("width of a block")?;
            let what = "offset of an index block";
            if let Some(expected) = expected.filter(|expected| *expected != offset) {
                let kind = DecodeErrorKind::Mismatch { what, found: offset, expected };
                return Err(DecodeError::new(kind, at));
            }
            let Some(end) = offset.checked_add(width) else {
                let kind = DecodeErrorKind::Limit {
                    what: "width of an index block",
                    found: width,
                    limit: u64::MAX - offset,
                };
                return Err(DecodeError::new(kind, at + 8));
            };
            expected = Some(end);
            blocks.push(LegacyIndexBlock { first, last, offset, width });
        }
        r.finish("length of the row index")?;
        Ok(Self { partition_deletion, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Section 14.3 of the format notes.
    fn worked_example() -> Vec<u8> {
        let hex = "7fffffff8000000000000000\
                   00000002\
                   000affff00000000027363 00\
                   000c0004000000020000027263 00\
                   000000000000001200000000000004ed\
                   000a000400000001 00000000\
                   000c0004000000010000027263 00\
                   00000000000004ff0000000000000134";
        hex_simd::decode_to_vec(hex.replace(' ', "")).unwrap()
    }

    #[test]
    fn the_worked_example_has_two_blocks() {
        let bytes = worked_example();
        assert_eq!(bytes.len(), 100);
        let index = LegacyRowIndex::decode(&bytes).unwrap();
        assert!(index.partition_deletion.is_live());
        let places: Vec<_> = index.blocks.iter().map(|b| (b.offset, b.width)).collect();
        assert_eq!(places, [(18, 1261), (1279, 308)]);
        assert_eq!(index.blocks[0].first, b"\xff\xff\0\0\0\0\x02sc\0");
        assert_eq!(index.blocks[1].last, b"\0\x04\0\0\0\x01\0\0\x02rc\0");
    }

    #[test]
    fn prefixes_and_blocks_that_do_not_meet_are_refused() {
        let good = worked_example();
        for len in 0..good.len() {
            assert!(LegacyRowIndex::decode(&good[..len]).is_err(), "{len}");
        }
        assert!(LegacyRowIndex::decode(&[&good[..], &[0]].concat()).is_err());
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            drop(LegacyRowIndex::decode(&bytes));
        }
        let mut gap = good;
        gap[49] ^= 1;
        assert!(LegacyRowIndex::decode(&gap).is_err());
    }
}
