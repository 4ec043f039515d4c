//! Atoms: what a partition of 2.x is a list of (`OnDiskAtom`).
//!
//! ```text
//! atom             := bytes16 name, u8 mask, body          an empty name ends the partition
//! 10 range tombstone  bytes16 end name, i32 local deletion time, i64 marked-for-delete-at
//! 04 counter          i64 timestamp of the last delete, i64 timestamp, bytes32 counter context
//! 02 expiring cell    i32 TTL, i32 local expiration time, i64 timestamp, bytes32 value
//! 01 deleted cell     i64 timestamp, bytes32 = i32 local deletion time
//! 00 cell             i64 timestamp, bytes32 value
//! ```
//! The same in SSTables from `jb` to `lb` and, for cells, in mutations of 2.0 to 2.2.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::codec::read_deletion_time;
use crate::rows::{DeletionTime, LocalDeletionTime, NO_TTL, Span};

const DELETED: u8 = 0x01;
const EXPIRING: u8 = 0x02;
const COUNTER: u8 = 0x04;
const COUNTER_UPDATE: u8 = 0x08;
/// Mask of range tombstones.
pub(super) const RANGE_TOMBSTONE: u8 = 0x10;

/// One atom. Its spans point into the bytes it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyAtom {
    /// A cell.
    Cell(LegacyCell),
    /// A range tombstone.
    Range(LegacyRange),
}

/// A cell (`Cell`, `ExpiringCell`, `DeletedCell`, `CounterCell`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyCell {
    /// The name, as the comparator of the table serializes it.
    pub name: Span,
    /// The value; empty for a deleted cell, a counter context for a counter.
    pub value: Span,
    /// Write time, µs.
    pub timestamp: i64,
    /// When it expires or was deleted.
    pub local_deletion_time: LocalDeletionTime,
    /// Seconds; [`NO_TTL`] if it does not expire.
    pub ttl: i32,
}

/// A range tombstone (`RangeTombstone`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyRange {
    /// Where it starts: a name, or the beginning of one. Empty, which only a mutation has, for the start of the partition.
    pub start: Span,
    /// Where it ends. Empty for the end of the partition.
    pub end: Span,
    /// What it deletes.
    pub deletion: DeletionTime,
}

// Inlined down to the loop over atoms: what a call returns by way of memory is read in other pieces than it was written in,
// which takes as long as the rest of the atom.
#[inline(always)]
fn span(bytes: &[u8], end: usize) -> Result<Span, DecodeError> {
    match (u32::try_from(end - bytes.len()), u32::try_from(bytes.len())) {
        (Ok(start), Ok(len)) => Ok(Span { start, len }),
        _ => Err(DecodeError::invalid("a row of more than 4 GiB", end as u64)),
    }
}

/// Reads bytes with a 16-bit length before them, as a span of the reader's bytes.
#[inline(always)]
pub fn read_name(r: &mut ByteReader<'_>, what: &'static str) -> Result<Span, DecodeError> {
    let bytes = r.read_bytes16(what)?;
    span(bytes, r.position())
}

#[inline(always)]
fn read_value(r: &mut ByteReader<'_>) -> Result<Span, DecodeError> {
    let bytes = r.read_bytes32("value")?;
    span(bytes, r.position())
}

/// Reads an atom; none at the end of the partition. A failed read may leave the cursor anywhere in the atom.
#[inline(always)]
pub fn read_atom(r: &mut ByteReader<'_>) -> Result<Option<LegacyAtom>, DecodeError> {
    let name = read_name(r, "cell name")?;
    if name.len == 0 {
        return Ok(None);
    }
    let mask = r.read_u8("cell mask")?;
    if mask == RANGE_TOMBSTONE {
        let end = read_name(r, "end of a range tombstone")?;
        let deletion = read_deletion_time(r, false)?;
        return Ok(Some(LegacyAtom::Range(LegacyRange { start: name, end, deletion })));
    }
    read_body(r, name, mask).map(|cell| Some(LegacyAtom::Cell(cell)))
}

#[inline(always)]
fn read_body(r: &mut ByteReader<'_>, name: Span, mask: u8) -> Result<LegacyCell, DecodeError> {
    let mut cell = LegacyCell {
        name,
        value: Span::default(),
        timestamp: 0,
        local_deletion_time: LocalDeletionTime::NONE,
        ttl: NO_TTL,
    };
    match mask {
        0 => {}
        EXPIRING => {
            cell.ttl = r.read_i32("TTL")?;
            if cell.ttl <= 0 {
                return Err(r.invalid(format!("a TTL of {} seconds", cell.ttl)));
            }
            let time = r.read_i32("local expiration time")?;
            cell.local_deletion_time = LocalDeletionTime(i64::from(time));
        }
        DELETED => {
            cell.timestamp = r.read_i64("write time")?;
            let at = r.position() as u64;
            let value = r.read_bytes32("local deletion time")?;
            let Ok(time) = <[u8; 4]>::try_from(value) else {
                let kind = DecodeErrorKind::Mismatch {
                    what: "length of a local deletion time",
                    found: value.len() as u64,
                    expected: 4,
                };
                return Err(DecodeError::new(kind, at));
            };
            cell.local_deletion_time = LocalDeletionTime(i64::from(i32::from_be_bytes(time)));
            return Ok(cell);
        }
        // The timestamp of the last delete is of 1.x and before; 3.0 and later do not look at it either.
        COUNTER => r.skip(8, "timestamp of the last delete")?,
        COUNTER_UPDATE => {
            let words = "a counter update that was not applied, which is not stored";
            return Err(r.invalid(words));
        }
        _ => {
            let kind = DecodeErrorKind::InvalidTag { what: "cell mask", value: mask.into() };
            return Err(r.error(kind));
        }
    }
    cell.timestamp = r.read_i64("write time")?;
    cell.value = read_value(r)?;
    Ok(cell)
}
