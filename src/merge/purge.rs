//! What a read at the clock sees of a row, and the books of the merge.

use crate::rows::{DeletionTime, LivenessInfo, Row};

use super::reconcile::RowMerge;

/// Counts of the merge (`report.json`): each fragment and each cell that was read is in exactly one of the outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MergeBooks {
    /// Row fragments read (not static rows).
    pub rows_read: u64,
    /// Fragments that joined another.
    pub rows_merged: u64,
    /// Rows handed on.
    pub rows_emitted: u64,
    /// Rows with nothing left after a deletion.
    pub rows_shadowed: u64,
    /// Rows with nothing left after expiry.
    pub rows_expired: u64,
    /// Rows that only hold tombstones.
    pub rows_only_tombstones: u64,
    /// Cells read, of columns that the schema has.
    pub cells_read: u64,
    /// Live cells handed on.
    pub cells_emitted: u64,
    /// Cells that lost to another cell.
    pub cells_superseded: u64,
    /// Cells under a deletion.
    pub cells_shadowed: u64,
    /// Cells whose TTL is over.
    pub cells_expired: u64,
    /// Tombstones.
    pub cell_tombstones: u64,
    /// Partitions read, once per source.
    pub partitions_read: u64,
    /// Partition deletions, once per source.
    pub partition_deletions: u64,
    /// Range tombstone markers that open a range, once per source.
    pub range_deletions: u64,
    /// Partitions after merging that hold anything at all.
    pub partitions_merged: u64,
}

/// The deletion of a row as it counts: a shadowable one holds only while no newer liveness exists
/// (`Row.Deletion.isShadowedBy`).
#[inline]
pub(super) fn row_deletion(row: &Row) -> DeletionTime {
    if row.shadowable && row.liveness.timestamp > row.deletion.marked_for_delete_at {
        DeletionTime::LIVE
    } else {
        row.deletion
    }
}

/// True if `deletion` and those of the row's complex columns are older than everything in the row. (Those of the columns
/// are tested against all cells: an INSERT of a whole collection leaves one that is older than the row itself.)
#[inline]
fn nothing_deleted(row: &Row, deletion: DeletionTime) -> bool {
    if deletion.is_live() && row.complex.is_empty() {
        return true;
    }
    let newest = row.complex.iter().fold(deletion, |newest, c| newest.max(c.deletion));
    (row.liveness.is_empty() || !deletion.deletes(row.liveness.timestamp))
        && row.cells.iter().all(|cell| !newest.deletes(cell.timestamp))
}

/// Leaves in `row` what a read at the clock sees: live cells, and a live liveness or none. False if that is no row.
///
/// `active` is the partition or range deletion in force. Of the row's fate only its cells are entered in `books`; the row
/// itself is entered by [`settle_row`].
#[inline]
fn settle_cells(
    row: &mut Row,
    active: DeletionTime,
    rules: &RowMerge,
    books: &mut MergeBooks,
) -> Fate {
    let now = rules.now;
    let deletion = row_deletion(row).max(active);
    let of_cells = rules.reach(deletion);
    if !row.has_times && nothing_deleted(row, of_cells) {
        books.cells_emitted += row.cells.len() as u64;
        return if row.cells.is_empty() && row.liveness.is_empty() {
            Fate::OnlyTombstones
        } else {
            Fate::Live
        };
    }
    let (mut shadowed, mut expired, mut tombstones) = (0_u64, 0_u64, 0_u64);
    if !row.liveness.is_empty() {
        if deletion.deletes(row.liveness.timestamp) {
            row.liveness = LivenessInfo::NONE;
            shadowed += 1;
        } else if !row.liveness.is_live(now) {
            row.liveness = LivenessInfo::NONE;
            expired += 1;
        }
    }
    let (marker_shadowed, marker_expired) = (shadowed, expired);
    let mut complex = row.complex.iter().peekable();
    let mut column_deletion = (u16::MAX, of_cells);
    row.cells.retain(|cell| {
        while let Some(next) = complex.peek().filter(|c| c.column <= cell.column) {
            column_deletion = (next.column, next.deletion.max(of_cells));
            complex.next();
        }
        let deletion = if column_deletion.0 == cell.column { column_deletion.1 } else { of_cells };
        if deletion.deletes(cell.timestamp) && !deletion.is_live() {
            shadowed += 1;
            false
        } else if cell.is_live(now) {
            true
        } else {
            if cell.is_tombstone() {
                tombstones += 1;
            } else {
                expired += 1;
            }
            false
        }
    });
    books.cells_emitted += row.cells.len() as u64;
    books.cells_shadowed += shadowed - marker_shadowed;
    books.cells_expired += expired - marker_expired;
    books.cell_tombstones += tombstones;
    if !row.cells.is_empty() || !row.liveness.is_empty() {
        Fate::Live
    } else if shadowed > 0 {
        Fate::Shadowed
    } else if expired > 0 {
        Fate::Expired
    } else {
        Fate::OnlyTombstones
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Live,
    Shadowed,
    Expired,
    OnlyTombstones,
}

/// [`settle_cells`] for a row, entered in the books once; true if it is to be handed on.
///
/// Of a materialized view whose key has a base column that is no key there, only the liveness decides
/// (`TableMetadata.enforceStrictLiveness`). `shadowed`: the merge has already left out cells under a deletion.
#[inline]
pub(super) fn settle_row(
    row: &mut Row,
    active: DeletionTime,
    rules: &RowMerge,
    shadowed: bool,
    books: &mut MergeBooks,
) -> bool {
    let mut fate = settle_cells(row, active, rules, books);
    if shadowed && fate != Fate::Live {
        fate = Fate::Shadowed;
    }
    if rules.strict_liveness && fate == Fate::Live && row.liveness.is_empty() {
        books.cells_emitted -= row.cells.len() as u64;
        books.cells_shadowed += row.cells.len() as u64;
        fate = Fate::Shadowed;
    }
    match fate {
        Fate::Live => {
            books.rows_emitted += 1;
            return true;
        }
        Fate::Shadowed => books.rows_shadowed += 1,
        Fate::Expired => books.rows_expired += 1,
        Fate::OnlyTombstones => books.rows_only_tombstones += 1,
    }
    false
}

/// [`settle_cells`] for a static row, whose cells count and which itself is not a row; true if it holds anything.
pub(super) fn settle_static(
    row: &mut Row,
    active: DeletionTime,
    rules: &RowMerge,
    books: &mut MergeBooks,
) -> bool {
    settle_cells(row, active, rules, books) == Fate::Live
}
