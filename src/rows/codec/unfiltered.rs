//! Decoding of partitions from bytes: the hot path.
//!
//! ```text
//! partition   := bytes16 key, deletion, [static row], unfiltered*, u8 01
//! deletion    := before oa: i32 local deletion time, i64 marked-for-delete-at
//!                from oa:   u8 80 = live; else i64 marked-for-delete-at, u32 local deletion time. A first byte with
//!                           0x80 and more bits is a negative time (5.0 writes what it cannot read back)
//! row         := u8 flags, [u8 extended], clustering, uv body size, body
//! body        := uv previous size, [uv ts, [uv ttl, uv ldt]], [uv ts, uv ldt], [subset], columns
//! column      := simple: cell; complex: [uv ts, uv ldt], uv count, cells
//! cell        := u8 flags, [uv ts], [uv ldt], [uv ttl], [bytesV path], [value]
//! marker      := u8 02, u8 kind, u16 size, values, uv body size, uv previous size, uv ts, uv ldt, [uv ts, uv ldt]
//! ```
//! All times are differences to the header's minima. The body size counts what follows its own vint.
//!
//! A decoder gets a window of bytes that begins at an unfiltered and may end anywhere. It decodes one unfiltered if all of
//! it is there, and otherwise says how many bytes it needs; nothing is kept between calls but the [`Row`] it fills.

use std::sync::Arc;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::{ClusteringKind, ClusteringValue, DeletionTime, Marker, Row, Span};

use super::columns::{CellsLeftOut, ColumnReader};
use super::flags::{
    END_OF_PARTITION, EXT_IS_STATIC, EXT_SCYLLA_SHADOWABLE, EXT_SHADOWABLE, EXTENSION,
    HAS_ALL_COLUMNS, HAS_COMPLEX_DELETION, HAS_DELETION, HAS_TIMESTAMP, HAS_TTL, IS_MARKER,
};
use super::plan::{RowCodec, VARIABLE};
use super::times::read_deletion_time;

/// What one call to the decoder found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A row, static or not, of this many bytes; it is in the [`Row`].
    Row(usize),
    /// A range tombstone marker of this many bytes; its values are in the [`Row`]'s clustering.
    Marker(usize, Marker),
    /// The end of the partition, one byte.
    End,
    /// The window ends before the unfiltered does; at least this many bytes are needed.
    Need(usize),
}

/// The head of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionHead {
    /// Key, in the window.
    pub key: Span,
    /// Deletion of the whole partition.
    pub deletion: DeletionTime,
    /// Bytes up to the static row or first unfiltered.
    pub len: usize,
}

/// Decodes the rows of one SSTable, one after the other, or those of updates with the same columns.
#[derive(Debug)]
pub struct RowDecoder {
    pub(super) codec: Arc<RowCodec>,
    /// Columns present in a row of a table with 64 columns or more.
    present: Vec<bool>,
    /// Cells that were read and not kept, so far.
    pub left_out: CellsLeftOut,
}

const DEFAULT_WINDOW: usize = 4096;

/// As the size of the unfiltered before: whatever it is. For one that a row index led to.
pub const PREVIOUS_UNKNOWN: u64 = u64::MAX;

fn span(start: usize, len: usize) -> Result<Span, DecodeError> {
    match (u32::try_from(start), u32::try_from(len)) {
        (Ok(start), Ok(len)) => Ok(Span { start, len }),
        _ => Err(DecodeError::invalid("a row of more than 4 GiB", start as u64)),
    }
}

/// Takes bytes and returns where they are.
#[inline]
pub(super) fn take_span(
    r: &mut ByteReader<'_>,
    len: usize,
    what: &'static str,
) -> Result<Span, DecodeError> {
    let start = r.position();
    r.skip(len, what)?;
    span(start, len)
}

fn is_truncated(error: &DecodeError) -> bool {
    matches!(error.kind, DecodeErrorKind::Truncated { .. })
}

impl RowDecoder {
    /// A decoder for files with this plan.
    pub fn new(codec: Arc<RowCodec>) -> Self {
        Self { codec, present: Vec::new(), left_out: CellsLeftOut::default() }
    }

    /// The plan.
    pub fn codec(&self) -> &RowCodec {
        &self.codec
    }

    /// Decodes the unfiltered at the start of `window` into `row`.
    ///
    /// `previous`: size of the unfiltered before it; for the first one the size of the partition's head and static row
    /// together; 0 for the static row itself.
    pub fn decode(
        &mut self,
        window: &[u8],
        previous: u64,
        row: &mut Row,
    ) -> Result<Step, DecodeError> {
        let mut r = ByteReader::new(window);
        match self.decode_head(&mut r, row) {
            Ok(Head::End) => Ok(Step::End),
            Ok(Head::Row { flags, extended, end }) => {
                let Some(body) = window.get(..end) else { return Ok(Step::Need(end)) };
                let mut r = ByteReader::at(body, r.position());
                self.decode_row(&mut r, flags, extended, previous, row)?;
                Ok(Step::Row(end))
            }
            Ok(Head::Marker { kind, end }) => {
                let Some(body) = window.get(..end) else { return Ok(Step::Need(end)) };
                let mut r = ByteReader::at(body, r.position());
                let marker = self.decode_marker(&mut r, kind, previous)?;
                Ok(Step::Marker(end, marker))
            }
            Err(error) if is_truncated(&error) => {
                Ok(Step::Need(window.len().saturating_mul(2).max(DEFAULT_WINDOW)))
            }
            Err(error) => Err(error),
        }
    }

    #[inline]
    fn decode_head(&self, r: &mut ByteReader<'_>, row: &mut Row) -> Result<Head, DecodeError> {
        Ok(match self.read_prefix(r, row)? {
            Prefix::End => Head::End,
            Prefix::Row { flags, extended } => Head::Row { flags, extended, end: read_end(r)? },
            Prefix::Marker(kind) => Head::Marker { kind, end: read_end(r)? },
        })
    }

    /// Reads flags and clustering, which stand before the sizes that SSTables have and mutations have not.
    #[inline(always)]
    pub(super) fn read_prefix(
        &self,
        r: &mut ByteReader<'_>,
        row: &mut Row,
    ) -> Result<Prefix, DecodeError> {
        row.clear();
        let at = r.position() as u64;
        let flags = r.read_u8("row flags")?;
        if flags & END_OF_PARTITION != 0 {
            if flags != END_OF_PARTITION {
                return Err(tag("end of partition", u64::from(flags), at));
            }
            return Ok(Prefix::End);
        }
        if flags & IS_MARKER != 0 {
            if flags != IS_MARKER {
                return Err(tag("marker flags", u64::from(flags), at));
            }
            let code = r.read_u8("marker kind")?;
            let kind = match ClusteringKind::from_code(code) {
                Some(kind) if kind != ClusteringKind::Clustering => kind,
                _ => return Err(tag("marker kind", u64::from(code), at + 1)),
            };
            let size = usize::from(r.read_u16("marker size")?);
            if size > self.codec.clustering.len() {
                return Err(r.error(DecodeErrorKind::Limit {
                    what: "number of values of a bound",
                    found: size as u64,
                    limit: self.codec.clustering.len() as u64,
                }));
            }
            self.read_clustering(r, size, row)?;
            return Ok(Prefix::Marker(kind));
        }
        let extended = if flags & EXTENSION != 0 { r.read_u8("extended flags")? } else { 0 };
        if extended & !(EXT_IS_STATIC | EXT_SHADOWABLE | EXT_SCYLLA_SHADOWABLE) != 0 {
            return Err(tag("extended flags", u64::from(extended), at + 1));
        }
        if flags & HAS_TTL != 0 && flags & HAS_TIMESTAMP == 0 {
            return Err(tag("row flags", u64::from(flags), at));
        }
        if extended & EXT_IS_STATIC == 0 {
            self.read_clustering(r, self.codec.clustering.len(), row)?;
        }
        Ok(Prefix::Row { flags, extended })
    }

    #[inline]
    fn read_clustering(
        &self,
        r: &mut ByteReader<'_>,
        size: usize,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        let mut header = 0;
        for (i, &fixed_len) in self.codec.clustering.iter().take(size).enumerate() {
            if i % 32 == 0 {
                header = r.read_uvint("clustering header")?;
            }
            let bits = (header >> (2 * (i % 32))) & 3;
            let value = match bits {
                0 if fixed_len != VARIABLE => {
                    ClusteringValue::Value(take_span(r, fixed_len as usize, "clustering value")?)
                }
                0 => {
                    // Not checked against the window here: a short window is asked to grow.
                    let start = r.position();
                    let len = r.read_uvint("length of a clustering value")?;
                    if len > MAX_CLUSTERING_VALUE {
                        return Err(DecodeError::new(
                            DecodeErrorKind::Limit {
                                what: "length of a clustering value",
                                found: len,
                                limit: MAX_CLUSTERING_VALUE,
                            },
                            start as u64,
                        ));
                    }
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    ClusteringValue::Value(take_span(r, len, "clustering value")?)
                }
                1 => ClusteringValue::Value(take_span(r, 0, "clustering value")?),
                _ => ClusteringValue::Null,
            };
            row.clustering.push(value);
        }
        Ok(())
    }

    fn decode_marker(
        &self,
        r: &mut ByteReader<'_>,
        kind: ClusteringKind,
        previous: u64,
    ) -> Result<Marker, DecodeError> {
        check_previous(r, previous)?;
        let marker = self.read_marker(r, kind)?;
        r.finish("marker size")?;
        Ok(marker)
    }

    /// Reads the deletions of a marker.
    pub(super) fn read_marker(
        &self,
        r: &mut ByteReader<'_>,
        kind: ClusteringKind,
    ) -> Result<Marker, DecodeError> {
        let first = self.codec.read_delta_deletion(r)?;
        let (end, start) = if kind.is_boundary() {
            (first, self.codec.read_delta_deletion(r)?)
        } else if kind.is_start() {
            (DeletionTime::LIVE, first)
        } else {
            (first, DeletionTime::LIVE)
        };
        Ok(Marker { kind, end, start })
    }

    #[inline]
    fn decode_row(
        &mut self,
        r: &mut ByteReader<'_>,
        flags: u8,
        extended: u8,
        previous: u64,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        let is_static = extended & EXT_IS_STATIC != 0;
        // A static row has no clustering: among rows that have one it could not be told where it belongs.
        if is_static != (previous == 0) {
            let words = if is_static { "a static row among the rows" } else { "no static row" };
            return Err(r.invalid(words));
        }
        check_previous(r, previous)?;
        self.read_body(r, flags, extended, row)?;
        if self.codec.empty_value_column && !r.is_empty() {
            r.skip(r.remaining(), "value of an empty column")?;
        }
        r.finish("row size")
    }

    /// Reads what follows the clustering of a row, or in SSTables its sizes.
    #[inline(always)]
    pub(super) fn read_body(
        &mut self,
        r: &mut ByteReader<'_>,
        flags: u8,
        extended: u8,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        let is_static = extended & EXT_IS_STATIC != 0;
        if flags & HAS_TIMESTAMP != 0 {
            row.liveness.timestamp = self.codec.read_timestamp(r)?;
            if flags & HAS_TTL != 0 {
                row.liveness.ttl = self.codec.read_ttl(r)?;
                row.liveness.local_deletion_time = self.codec.read_local_deletion_time(r)?;
                row.has_times = true;
            }
        }
        if flags & HAS_DELETION != 0 {
            row.deletion = self.codec.read_delta_deletion(r)?;
            row.shadowable = extended & EXT_SHADOWABLE != 0;
        }
        if extended & EXT_SCYLLA_SHADOWABLE != 0 {
            self.codec.read_delta_deletion(r)?;
        }
        // Borrowed and not counted: all workers that read the SSTable would count in one place.
        let codec = &*self.codec;
        let plans = if is_static { &codec.statics } else { &codec.regulars };
        let complex_deletion = flags & HAS_COMPLEX_DELETION != 0;
        let mut columns = ColumnReader::new(codec, &mut self.left_out, complex_deletion, row);
        if flags & HAS_ALL_COLUMNS != 0 {
            columns.read_each(r, plans.iter(), row)?;
        } else if plans.len() < 64 {
            let missing = r.read_uvint("column subset")?;
            if plans.len() < 64 && missing >> plans.len() != 0 {
                return Err(
                    r.error(DecodeErrorKind::InvalidTag { what: "column subset", value: missing })
                );
            }
            let present = plans.iter().enumerate().filter(|(i, _)| missing & (1 << i) == 0);
            columns.read_each(r, present.map(|(_, plan)| plan), row)?;
        } else {
            read_large_subset(r, plans.len(), &mut self.present)?;
            let present = plans.iter().zip(&self.present).filter(|&(_, &there)| there);
            columns.read_each(r, present.map(|(plan, _)| plan), row)?;
        }
        if !codec.in_order {
            row.cells.sort_by_key(|cell| cell.column);
            row.complex.sort_by_key(|complex| complex.column);
        }
        Ok(())
    }
}

/// Cassandra's `max_value_size`, above which it takes a value for damage. (What CQL takes is far less: 64 KiB for all
/// clustering values of a row together.)
const MAX_CLUSTERING_VALUE: u64 = 256 << 20;

/// Reads the head of a partition; `Err(needed)` inside if the window is too short. `unsigned`: deletions are those of `oa`.
pub fn partition_head(
    window: &[u8],
    unsigned: bool,
) -> Result<Result<PartitionHead, usize>, DecodeError> {
    let mut r = ByteReader::new(window);
    let mut read = || {
        let len = usize::from(r.read_u16("partition key")?);
        let key = take_span(&mut r, len, "partition key")?;
        let deletion = read_deletion_time(&mut r, unsigned)?;
        Ok(PartitionHead { key, deletion, len: r.position() })
    };
    match read() {
        Ok(head) => Ok(Ok(head)),
        // The longest head: a key of 65,535 bytes with its length, and a deletion of 12.
        Err(error) if is_truncated(&error) => {
            Ok(Err((window.len() * 2).clamp(32, 2 + 65_535 + 12)))
        }
        Err(error) => Err(error),
    }
}

/// What an unfiltered is, as its first bytes tell.
pub(super) enum Prefix {
    End,
    Row { flags: u8, extended: u8 },
    Marker(ClusteringKind),
}

enum Head {
    End,
    Row { flags: u8, extended: u8, end: usize },
    Marker { kind: ClusteringKind, end: usize },
}

#[cold]
pub(super) fn tag(what: &'static str, value: u64, offset: u64) -> DecodeError {
    DecodeError::new(DecodeErrorKind::InvalidTag { what, value }, offset)
}

/// Reads the body size; returns where the body ends.
#[inline]
fn read_end(r: &mut ByteReader<'_>) -> Result<usize, DecodeError> {
    let size = r.read_uvint("row size")?;
    usize::try_from(size).ok().and_then(|size| size.checked_add(r.position())).ok_or_else(|| {
        r.error(DecodeErrorKind::Limit {
            what: "row size",
            found: size,
            limit: u64::from(u32::MAX),
        })
    })
}

#[inline]
fn check_previous(r: &mut ByteReader<'_>, expected: u64) -> Result<(), DecodeError> {
    let found = r.read_uvint("size of the row before")?;
    if found != expected && expected != PREVIOUS_UNKNOWN {
        return Err(r.error(DecodeErrorKind::Mismatch {
            what: "size of the row before",
            found,
            expected,
        }));
    }
    Ok(())
}

/// Which columns a row of a table with 64 columns or more has (`Columns.Serializer`).
fn read_large_subset(
    r: &mut ByteReader<'_>,
    columns: usize,
    found: &mut Vec<bool>,
) -> Result<(), DecodeError> {
    let missing = r.read_uvint("column subset")?;
    let Some(present) = (columns as u64).checked_sub(missing) else {
        return Err(r.error(DecodeErrorKind::Limit {
            what: "number of missing columns",
            found: missing,
            limit: columns as u64,
        }));
    };
    found.clear();
    let lists_present = present < columns as u64 / 2;
    found.resize(columns, !lists_present);
    let listed = if missing == 0 {
        0
    } else if lists_present {
        present
    } else {
        missing
    };
    // Ascending: an index named twice would leave the cells of another column to be read as this one's.
    let mut least = 0;
    for _ in 0..listed {
        let index = r.read_uvint("column index")?;
        let at = usize::try_from(index).ok().filter(|&at| at >= least);
        match at.and_then(|at| found.get_mut(at).zip(at.checked_add(1))) {
            Some((there, next)) => {
                *there = lists_present;
                least = next;
            }
            None => {
                return Err(
                    r.error(DecodeErrorKind::InvalidTag { what: "column index", value: index })
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "unfiltered_encoder.rs"]
mod encoder;
#[cfg(test)]
#[path = "unfiltered_examples.rs"]
mod examples;
#[cfg(test)]
#[path = "unfiltered_tests.rs"]
mod tests;
