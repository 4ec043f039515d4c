//! The stored rows behind a change: what somebody who has only the changes needs to make full rows.

use crate::error::Result;
use crate::rows::{DeletionTime, PartitionUpdate, Row, RowView, UpdateContent};

use super::slice::{Slice, SliceBound};
use super::table::{StoredPage, StoredRows};
use super::touched::Touched;

/// Reads what is stored of keys that a change touches first.
///
/// | the change | handed on |
/// |---|---|
/// | a row | that row; with the first row of a partition its static row |
/// | the static row | all rows of the partition |
/// | deletion of a range or the partition | the rows it hits, also those that an SSTable hides already, for it has the deletion; of one that it deletes altogether only what shows that it was there |
///
/// Rows come as they are stored, merged over all SSTables: each cell with its write time and TTL, tombstones as well, as an
/// update with the static row (if any) and rows only. A deletion of the partition or of a range that covers a row is that row's
/// deletion, also of one that is not stored: a write that comes late, by a hint or a repair, may be older. For the static row
/// it comes as the deletion of the partition. Keys that are not stored and not deleted give nothing.
#[derive(Debug)]
pub struct BaseRows {
    stored: StoredRows,
}

/// Takes base rows.
type Each<'a> = dyn FnMut(PartitionUpdate) -> Result<()> + 'a;

impl BaseRows {
    /// Base rows of one table.
    pub fn new(stored: StoredRows) -> Self {
        Self { stored }
    }

    /// What is read from.
    pub fn stored(&mut self) -> &mut StoredRows {
        &mut self.stored
    }

    /// Hands the stored rows behind `change` to `each`, those whose keys are not in `touched`; a large partition in several
    /// updates. `now`: the clock, seconds.
    ///
    /// Keys are in `touched` as soon as they were handed on: if they do not reach their destination, or after an error,
    /// [`Touched::clear`] it.
    pub fn first_touches(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        now: i64,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let table = std::sync::Arc::clone(self.stored.table());
        if touched.has_partition(&table, &change.key) {
            return Ok(());
        }
        self.stored.refresh()?;
        if change.static_row.is_some() || !change.deletion.is_live() {
            let first = touched.stored_rows(&table, &change.key);
            if first && !self.slice(touched, change, &Slice::all(), change.deletion, now, each)? {
                touched.partition(&table, &change.key);
                return Ok(());
            }
        }
        let mut begun: Option<SliceBound> = None;
        for content in &change.content {
            match content {
                UpdateContent::Row(row) => {
                    let view = RowView { row, data: &change.data };
                    if touched.row(&table, &change.key, view) {
                        self.row(touched, change, view, now, each)?;
                    }
                }
                UpdateContent::Marker(marker, row) => {
                    let view = RowView { row, data: &change.data };
                    let bound = || SliceBound::of(marker.kind, view);
                    if !marker.end.is_live() {
                        let start = begun.take().unwrap_or_else(|| SliceBound::before(&[]));
                        let slice = Slice { start, end: bound() };
                        self.slice(touched, change, &slice, marker.end, now, each)?;
                    }
                    if !marker.start.is_live() {
                        begun = Some(bound());
                    }
                }
            }
        }
        Ok(())
    }

    fn row(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        view: RowView<'_>,
        now: i64,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let mut next = Some(Slice::of_row(view));
        while let Some(slice) = next {
            let Some(page) = self.stored.read(&change.key, &slice, now)? else { return Ok(()) };
            let with_static = self.with_static(touched, &page.update);
            let mut base = select(&page.update, with_static, |_| Some(Keep::All))?;
            let deletion = deletion_of_all(&page.update);
            if base.content.is_empty() && !deletion.is_live() {
                let clustering = view.row.clustering.clone();
                let deleted = Row { clustering, deletion, ..Row::EMPTY };
                base.push_row(RowView { row: &deleted, data: view.data })?;
            }
            if !base.is_empty() {
                each(base)?;
            }
            next = page.next.map(|start| Slice { start, end: slice.end });
        }
        Ok(())
    }

    /// Hands on the rows of a slice that are stored; true if deletions in it cover rows that are not.
    fn slice(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        slice: &Slice,
        deletion: DeletionTime,
        now: i64,
        each: &mut Each<'_>,
    ) -> Result<bool> {
        let table = std::sync::Arc::clone(self.stored.table());
        let mut next = Some(slice.clone());
        let mut deletions = false;
        while let Some(slice) = next {
            let Some(page) = self.stored.read(&change.key, &slice, now)? else { break };
            deletions |= !deletion_of_all(&page.update).is_live();
            let with_static = self.with_static(touched, &page.update);
            let base = select(&page.update, with_static, |view| {
                let kept = fate(view.row, deletion, now)?;
                touched.row(&table, &change.key, view).then_some(kept)
            })?;
            if !base.is_empty() {
                each(base)?;
            }
            if !deletion.is_live() {
                hidden(&page, deletion, touched, each)?;
            }
            next = page.next.map(|start| Slice { start, end: slice.end });
        }
        Ok(deletions)
    }

    fn with_static(&self, touched: &mut Touched, update: &PartitionUpdate) -> bool {
        !update.table.statics.is_empty() && touched.static_row(&update.table, &update.key)
    }
}

/// What is handed on of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// The least that shows that there was a row.
    Trace,
}

/// What a row that `deletion` hits is worth: nothing if it is dead already, unless by something newer.
fn fate(row: &Row, deletion: DeletionTime, now: i64) -> Option<Keep> {
    if deletion.is_live() {
        return Some(Keep::All);
    }
    let live = row.liveness.is_live(now) || row.cells.iter().any(|cell| cell.is_live(now));
    let newer = row.deletion.supersedes(&deletion)
        || row.complex.iter().any(|complex| complex.deletion.supersedes(&deletion));
    let survives = newer
        || !row.liveness.is_empty() && !deletion.deletes(row.liveness.timestamp)
        || row.cells.iter().any(|cell| !deletion.deletes(cell.timestamp));
    match (survives, live) {
        (true, _) => Some(Keep::All),
        (false, true) => Some(Keep::Trace),
        (false, false) => None,
    }
}

/// Hands on traces of the rows in `page` that were not handed on and that an SSTable shows as they were before something deleted
/// them. Where a deletion was flushed before anybody looked, nothing else tells which rows it hit.
fn hidden(
    page: &StoredPage,
    deletion: DeletionTime,
    touched: &mut Touched,
    each: &mut Each<'_>,
) -> Result<()> {
    for part in &page.parts {
        let mut base = PartitionUpdate::new(std::sync::Arc::clone(&part.table), part.key.clone());
        for content in &part.content {
            let UpdateContent::Row(row) = content else { continue };
            let view = RowView { row, data: &part.data };
            let trace = trace(row);
            let was_there = !trace.liveness.is_empty() || !trace.cells.is_empty();
            // What this deletion leaves is for those to say that it is hidden by, and they may be in no stream.
            let covered = (trace.liveness.is_empty() || deletion.deletes(trace.liveness.timestamp))
                && trace.cells.iter().all(|cell| deletion.deletes(cell.timestamp));
            if was_there && covered && touched.row(&part.table, &part.key, view) {
                base.push_row(RowView { row: &trace, data: &part.data })?;
            }
        }
        if !base.is_empty() {
            each(base)?;
        }
    }
    Ok(())
}

/// The newest deletion of a partition or a range in `stored`; of a slice of one row, what deletes that row.
fn deletion_of_all(stored: &PartitionUpdate) -> DeletionTime {
    let ranges = stored.content.iter().filter_map(|content| match content {
        UpdateContent::Marker(marker, _) => Some(marker.start),
        UpdateContent::Row(_) => None,
    });
    ranges.fold(stored.deletion, DeletionTime::max)
}

/// The rows of `stored` that `keep` says, each with what deletes it of the partition or a range.
fn select(
    stored: &PartitionUpdate,
    with_static: bool,
    mut keep: impl FnMut(RowView<'_>) -> Option<Keep>,
) -> Result<PartitionUpdate> {
    let mut base = PartitionUpdate::new(std::sync::Arc::clone(&stored.table), stored.key.clone());
    if with_static {
        base.deletion = stored.deletion;
        if let Some(row) = &stored.static_row {
            base.set_static_row(RowView { row, data: &stored.data })?;
        }
    }
    let mut open = DeletionTime::LIVE;
    for content in &stored.content {
        let row = match content {
            UpdateContent::Row(row) => row,
            UpdateContent::Marker(marker, _) => {
                open = marker.start;
                continue;
            }
        };
        let deletion = row.deletion.max(stored.deletion).max(open);
        let row = &Row { deletion, ..row.clone() };
        let view = RowView { row, data: &stored.data };
        match keep(view) {
            None => {}
            Some(Keep::All) => base.push_row(view)?,
            Some(Keep::Trace) => base.push_row(RowView { row: &trace(row), data: &stored.data })?,
        }
    }
    Ok(base)
}

/// The row's marker, or if it has none one of its live cells.
fn trace(row: &Row) -> Row {
    let mut trace = Row { clustering: row.clustering.clone(), ..Row::EMPTY };
    trace.has_times = row.has_times;
    if row.liveness.is_empty() {
        // The newest without an expiry, where there is one: it was there the longest.
        let best = row.cells.iter().filter(|cell| !cell.is_tombstone());
        trace.cells.extend(best.max_by_key(|cell| (!cell.is_expiring(), cell.timestamp)));
    } else {
        trace.liveness = row.liveness;
    }
    trace
}

#[cfg(test)]
#[path = "base_tests.rs"]
mod tests;
