//! What is deleted of a partition and stays so after the merge: what a copy that has older data does not have any more.
//!
//! A deletion under a newer one of the same place says nothing that the newer one does not say, and a tombstone that lost to a newer
//! cell nothing that the cell does not; these are left out. What has expired at the clock is deleted from then on, as a compaction
//! writes it. Whether a deletion is old enough to be purged is not asked: it is in the files, and a copy may be older.

use crate::error::Result;
use crate::rows::{
    Cell, ClusteringValue, DeletionTime, LivenessInfo, NO_TTL, RangeBound, Row, RowView, Span,
};

use super::partitions::RowSink;
use super::purge::row_deletion;
use super::reconcile::RowMerge;

/// The deleted part of one row after the other; its memory is reused.
#[derive(Debug, Default)]
pub(super) struct DeadRow {
    pub(super) row: Row,
}

impl DeadRow {
    /// Takes what is deleted of `row`, of which the merge has left tombstones and deletions, and which `active` covers; false if
    /// nothing is.
    ///
    /// Spans stay those of `row`. Cells are tombstones, also where they were values that have expired; a row marker that has
    /// expired stays as it is, as there is no tombstone of it.
    pub(super) fn take(&mut self, row: &Row, active: DeletionTime, rules: &RowMerge) -> bool {
        if !row.has_times && row.deletion.is_live() && row.complex.is_empty() {
            return false;
        }
        let dead = &mut self.row;
        dead.clear();
        let own = row_deletion(row);
        let deletion = own.max(active);
        if is_newer(own, active) {
            (dead.deletion, dead.shadowable) = (own, row.shadowable);
        }
        let marker = row.liveness;
        if !marker.is_empty() && !deletion.deletes(marker.timestamp) && !marker.is_live(rules.now) {
            dead.liveness = marker;
            dead.has_times = true;
        }
        let of_cells = rules.reach(deletion);
        dead.complex
            .extend(row.complex.iter().filter(|complex| is_newer(complex.deletion, of_cells)));
        let mut complex = row.complex.iter().peekable();
        let mut of_column = (u16::MAX, of_cells);
        for cell in &row.cells {
            while let Some(next) = complex.peek().filter(|c| c.column <= cell.column) {
                of_column = (next.column, next.deletion.max(of_cells));
                complex.next();
            }
            let deletion = if of_column.0 == cell.column { of_column.1 } else { of_cells };
            let covered = !deletion.is_live() && deletion.deletes(cell.timestamp);
            if !covered && !cell.is_live(rules.now) {
                dead.has_times = true;
                dead.cells.push(Cell { ttl: NO_TTL, value: Span::default(), ..*cell });
            }
        }
        let says_something = !dead.deletion.is_live()
            || dead.liveness != LivenessInfo::NONE
            || !dead.complex.is_empty()
            || !dead.cells.is_empty();
        if says_something {
            dead.clustering.extend_from_slice(&row.clustering);
        }
        says_something
    }
}

/// When a deletion was made does not matter for what it deletes.
fn is_newer(deletion: DeletionTime, than: DeletionTime) -> bool {
    deletion.marked_for_delete_at > than.marked_for_delete_at
}

/// The range that is deleted where a walk stands: handed on at its end, as only then that is known.
#[derive(Debug, Default)]
pub(super) struct OpenRange {
    open: Option<DeletionTime>,
    start: Row,
    data: Vec<u8>,
    start_inclusive: bool,
}

impl OpenRange {
    /// Before the first row of a partition.
    pub(super) fn begin(&mut self) {
        self.open = None;
    }

    /// True if a range has begun that has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// From `at` on, a bound that lies on `side` of its rows, the deletion `active` is in force: that of the partition, or of a
    /// range.
    pub(super) fn change<K: RowSink>(
        &mut self,
        partition: DeletionTime,
        active: DeletionTime,
        at: RowView<'_>,
        side: i8,
        sink: &mut K,
    ) -> Result<()> {
        let next = is_newer(active, partition).then_some(active);
        let time = |range: Option<DeletionTime>| range.map(|range| range.marked_for_delete_at);
        if time(self.open) == time(next) {
            return Ok(());
        }
        if let Some(deletion) = self.open {
            let start = RangeBound {
                prefix: RowView { row: &self.start, data: &self.data },
                inclusive: self.start_inclusive,
            };
            sink.deleted_range(deletion, start, RangeBound { prefix: at, inclusive: side > 0 })?;
        }
        self.open = next;
        if next.is_some() {
            self.remember(at);
            self.start_inclusive = side < 0;
        }
        Ok(())
    }

    fn remember(&mut self, at: RowView<'_>) {
        self.start.clear();
        self.data.clear();
        for value in &at.row.clustering {
            self.start.clustering.push(match value.bytes(at.data) {
                None => ClusteringValue::Null,
                // A clustering is shorter than 64 KiB a value.
                Some(bytes) => {
                    let start = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
                    self.data.extend_from_slice(bytes);
                    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    ClusteringValue::Value(Span { start, len })
                }
            });
        }
    }
}

#[cfg(test)]
#[path = "deletions_tests.rs"]
mod tests;
