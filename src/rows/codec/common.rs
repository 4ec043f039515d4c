//! The common cell: neither deleted nor expiring, of a column whose cells are kept.
//!
//! Nine in ten cells of most tables are such. They are read here without an error to make and without a cursor in memory;
//! whatever is not such a cell, or not all there, is left to the careful reader, which also knows what to say.

use crate::rows::{Cell, LocalDeletionTime, NO_TTL, Span};

use super::flags::{CELL_EMPTY_VALUE, CELL_ROW_TIMESTAMP};
use super::plan::{ColumnPlan, VARIABLE};

/// What cells of a row share.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowTimes {
    /// Write time of cells that have that of the row; none if the row has none.
    pub(super) row: Option<i64>,
    /// What write times are differences to.
    pub(super) least: i64,
}

/// An unsigned vint at `at` and where it ends; none if the bytes may not be there.
#[inline(always)]
pub(super) fn uvint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let rest = bytes.get(at..)?;
    let &first = rest.first()?;
    if first < 0x80 {
        return Some((u64::from(first), at + 1));
    }
    // One load of the eight bytes behind the first; fewer of them are the careful reader's.
    let (_, tail) = rest.first_chunk::<9>()?.split_first()?;
    let extra = first.leading_ones();
    let loaded = u64::from_be_bytes(*tail.first_chunk::<8>()?) >> (64 - 8 * extra);
    let high = (u64::from(first) & (0x7f >> extra)).checked_shl(8 * extra).unwrap_or_default();
    Some((high | loaded, at + 1 + extra as usize))
}

/// `len` bytes at `at`, and where they end; none if they are not there.
#[inline(always)]
fn piece(bytes: &[u8], at: usize, len: u64) -> Option<(Span, usize)> {
    let left = bytes.len().checked_sub(at)?;
    if len > left as u64 {
        return None;
    }
    let span = Span { start: u32::try_from(at).ok()?, len: u32::try_from(len).ok()? };
    Some((span, at + span.len as usize))
}

/// The cell at `at` of a row, of the column numbered `column`, and where it ends; none if it is not a common one.
#[inline(always)]
pub(super) fn cell(
    body: &[u8],
    at: usize,
    plan: &ColumnPlan,
    column: u16,
    times: RowTimes,
) -> Option<(Cell, usize)> {
    let &flags = body.get(at)?;
    let mut at = at + 1;
    if flags & !(CELL_ROW_TIMESTAMP | CELL_EMPTY_VALUE) != 0 {
        return None;
    }
    let timestamp = if flags & CELL_ROW_TIMESTAMP != 0 {
        times.row?
    } else {
        let (delta, next) = uvint(body, at)?;
        at = next;
        times.least.wrapping_add(delta.cast_signed())
    };
    let mut path = Span::default();
    if plan.complex {
        let (len, next) = uvint(body, at)?;
        (path, at) = piece(body, next, len)?;
    }
    let mut value = Span::default();
    if flags & CELL_EMPTY_VALUE == 0 {
        let len = if plan.fixed_len == VARIABLE {
            let (len, next) = uvint(body, at)?;
            at = next;
            len
        } else {
            u64::from(plan.fixed_len)
        };
        (value, at) = piece(body, at, len)?;
    }
    let cell = Cell {
        timestamp,
        local_deletion_time: LocalDeletionTime::NONE,
        ttl: NO_TTL,
        column,
        source: 0,
        value,
        path,
    };
    Some((cell, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::ByteReader;

    #[test]
    fn vints_are_those_of_the_careful_reader() {
        for extra in 0..9_u32 {
            for low in [0_u64, 1, 0x80, 0x1234, 0xfedc_ba98_7654_3210, u64::MAX] {
                let first = u8::MAX.checked_shl(8 - extra).unwrap_or(0);
                for first in [first, first | (0x7f_u8.checked_shr(extra).unwrap_or(0) & 0x55)] {
                    let mut bytes = vec![0xee, first];
                    bytes.extend(low.to_be_bytes());
                    bytes.push(0xdd);
                    let mut r = ByteReader::at(&bytes, 1);
                    let expected = r.read_uvint("vint").unwrap();
                    assert_eq!(uvint(&bytes, 1), Some((expected, r.position())), "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn what_may_not_be_there_is_left_to_the_careful_reader() {
        assert_eq!(uvint(&[], 0), None);
        assert_eq!(uvint(&[0x7f], 0), Some((0x7f, 1)));
        assert_eq!(uvint(&[0x7f], 1), None);
        assert_eq!(uvint(&[0x7f], 2), None);
        assert_eq!(uvint(&[0x80, 1], 0), None);
        assert_eq!(piece(&[1, 2], 1, 1), Some((Span { start: 1, len: 1 }, 2)));
        assert_eq!(piece(&[1, 2], 2, 0), Some((Span { start: 2, len: 0 }, 2)));
        assert_eq!(piece(&[1, 2], 1, 2), None);
        assert_eq!(piece(&[1, 2], 3, 0), None);
        assert_eq!(piece(&[1, 2], 1, u64::MAX), None);
    }
}
