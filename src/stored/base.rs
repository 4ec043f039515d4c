//! The stored rows behind a change: what somebody who has only the changes needs to make full rows.

use std::time::SystemTime;

use crate::cql::CqlType;
use crate::error::Result;
use crate::rows::{
    ClusteringOrder, DeletionTime, NO_TTL, PartitionUpdate, Row, RowView, UpdateContent,
};

use super::kept::KeptRows;
use super::slice::{Slice, SliceBound};
use super::table::{StoredPage, StoredRows};
use super::touched::Touched;

/// Rows of an SSTable that are read at a time where one may do.
const ROWS_AT_ONCE: usize = 32;

/// Reads what is stored of keys that a change touches first.
///
/// | the change | handed on |
/// |---|---|
/// | a row | that row; with the first row of a partition its static row |
/// | the static row | all rows of the partition |
/// | in a table with static columns, what may end a row (a deletion, a null, a TTL) | rows of the partition up to one that stays for certain: without any it is a record of its own |
/// | deletion of a range or the partition | the rows it hits, also those that an SSTable hides already, for it has the deletion; of one that it deletes altogether only what shows that it was there |
///
/// Rows come as they are stored, merged over all SSTables: each cell with its write time and TTL, tombstones as well, as an
/// update with the static row (if any) and rows only. A deletion of the partition or of a range that covers a row is that row's
/// deletion, also of one that is not stored: a write that comes late, by a hint or a repair, may be older. For the static row
/// it comes as the deletion of the partition. Keys that are not stored and not deleted give nothing.
///
/// Rows that a compaction has dropped already, for it met the deletion before anybody looked, are found in snapshots of the
/// table ([`BaseRows::with_snapshots()`]); without any, such deletions are counted ([`BaseRows::take_late()`]).
#[derive(Debug)]
pub struct BaseRows {
    stored: StoredRows,
    kept: KeptRows,
    late: u64,
}

/// Takes base rows; its error ends the reading.
pub type EachBase<'a> = dyn FnMut(PartitionUpdate) -> Result<()> + 'a;

impl BaseRows {
    /// Base rows of one table.
    pub fn new(stored: StoredRows) -> Self {
        Self { stored, kept: KeptRows::default(), late: 0 }
    }

    /// Looks also into snapshots that were taken at `since` or later for rows that deletions hit.
    #[must_use]
    pub fn with_snapshots(self, since: SystemTime) -> Self {
        Self { kept: KeptRows::new(Some(since)), ..self }
    }

    /// Deletions of ranges and partitions since the last call that an SSTable had already when they were looked up, while there
    /// was no snapshot: which rows they hit may not have been seen.
    pub fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
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
        each: &mut EachBase<'_>,
    ) -> Result<()> {
        let table = std::sync::Arc::clone(self.stored.table());
        if touched.has_partition(&table, &change.key) {
            if !change.deletion.is_live() {
                self.dropped(touched, change, &Slice::all(), change.deletion, now, each)?;
            }
            return self.dropped_in_ranges(touched, change, now, each);
        }
        self.stored.refresh()?;
        if change.static_row.is_some() || !change.deletion.is_live() {
            let first = touched.stored_rows(&table, &change.key);
            if first && !self.slice(touched, change, &Slice::all(), change.deletion, now, each)? {
                touched.partition(&table, &change.key);
                return self.dropped_in_ranges(touched, change, now, each);
            }
        } else if change.may_end_rows() && !touched.is_counted(&table, &change.key) {
            self.others(touched, change, now, each)?;
        }
        for content in &change.content {
            if let UpdateContent::Row(row) = content {
                let view = RowView { row, data: &change.data };
                if touched.row(&table, &change.key, view) {
                    self.row(touched, change, view, now, each)?;
                }
            }
        }
        for (slice, deletion) in ranges(change) {
            self.slice(touched, change, &slice, deletion, now, each)?;
        }
        Ok(())
    }

    /// Hands on live rows of the partition that `change` does not name, up to one that does not expire.
    fn others(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        now: i64,
        each: &mut EachBase<'_>,
    ) -> Result<()> {
        let table = std::sync::Arc::clone(self.stored.table());
        let order = ClusteringOrder::new(&table);
        let ranges = ranges(change);
        let is_named = |view: RowView<'_>| {
            let in_range = ranges.iter().any(|(slice, _)| slice.contains(&order, view));
            in_range
                || change.content.iter().any(|content| match content {
                    UpdateContent::Row(row) => {
                        let named = RowView { row, data: &change.data };
                        order.compare(named, 0, view, 0).is_eq()
                    }
                    UpdateContent::Marker(..) => false,
                })
        };
        let mut next = Some(Slice::all());
        while let Some(slice) = next {
            let Some(page) = self.stored.read_few(&change.key, &slice, now, ROWS_AT_ONCE)? else {
                break;
            };
            let with_static = self.with_static(touched, &page.update);
            let mut stays = false;
            let base = select(&page.update, with_static, |view| {
                let row = view.row;
                let live =
                    row.liveness.is_live(now) || row.cells.iter().any(|cell| cell.is_live(now));
                if stays || !live || is_named(view) {
                    return None;
                }
                let has_marker = row.liveness.is_live(now) && row.liveness.ttl == NO_TTL;
                stays = has_marker || row.cells.iter().any(|c| c.is_live(now) && !c.is_expiring());
                touched.row(&table, &change.key, view).then_some(Keep::All)
            })?;
            if !base.is_empty() {
                each(base)?;
            }
            if stays {
                return Ok(());
            }
            next = page.next.map(|start| Slice { start, end: slice.end });
        }
        touched.counted(&table, &change.key);
        Ok(())
    }

    fn dropped_in_ranges(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        now: i64,
        each: &mut EachBase<'_>,
    ) -> Result<()> {
        for (slice, deletion) in ranges(change) {
            self.dropped(touched, change, &slice, deletion, now, each)?;
        }
        Ok(())
    }

    /// Hands on traces of the rows that `deletion` hit and that only snapshots have; false if there are none.
    fn dropped(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        slice: &Slice,
        deletion: DeletionTime,
        now: i64,
        each: &mut EachBase<'_>,
    ) -> Result<bool> {
        self.kept.read(&self.stored, &change.key, slice, now, &mut |page| {
            hidden(page, deletion, touched, each)
        })
    }

    fn row(
        &mut self,
        touched: &mut Touched,
        change: &PartitionUpdate,
        view: RowView<'_>,
        now: i64,
        each: &mut EachBase<'_>,
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
            spellings(&page, each)?;
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
        each: &mut EachBase<'_>,
    ) -> Result<bool> {
        let table = std::sync::Arc::clone(self.stored.table());
        let mut next = Some(slice.clone());
        let mut deletions = false;
        let mut is_late = false;
        while let Some(slice) = next {
            let Some(page) = self.stored.read(&change.key, &slice, now)? else { break };
            let stored = deletion_of_all(&page.update);
            deletions |= !stored.is_live();
            is_late |= stored.marked_for_delete_at >= deletion.marked_for_delete_at;
            let with_static = self.with_static(touched, &page.update);
            let base = select(&page.update, with_static, |view| {
                let kept = fate(view.row, deletion, now)?;
                touched.row(&table, &change.key, view).then_some(kept)
            })?;
            if !base.is_empty() {
                each(base)?;
                spellings(&page, each)?;
            }
            if !deletion.is_live() {
                hidden(&page, deletion, touched, each)?;
            }
            next = page.next.map(|start| Slice { start, end: slice.end });
        }
        if !deletion.is_live() {
            let found = self.dropped(touched, change, slice, deletion, now, each)?;
            self.late += u64::from(is_late && !found);
        }
        Ok(deletions)
    }

    fn with_static(&self, touched: &mut Touched, update: &PartitionUpdate) -> bool {
        !update.table.statics.is_empty() && touched.static_row(&update.table, &update.key)
    }
}

/// Hands on rows of single SSTables whose clustering is spelled otherwise than the merged row's (decimals: 1.0 and 1.00): an
/// extract may have met them in another order, and have that spelling.
fn spellings(page: &StoredPage, each: &mut EachBase<'_>) -> Result<()> {
    let table = &page.update.table;
    if page.parts.len() < 2 || !table.clustering.iter().any(|c| has_decimals(&c.cql_type)) {
        return Ok(());
    }
    fn rows(update: &PartitionUpdate) -> impl Iterator<Item = RowView<'_>> {
        update.content.iter().filter_map(|content| match content {
            UpdateContent::Row(row) => Some(RowView { row, data: &update.data }),
            UpdateContent::Marker(..) => None,
        })
    }
    let order = ClusteringOrder::new(table);
    for part in &page.parts {
        let mut base = PartitionUpdate::new(std::sync::Arc::clone(table), part.key.clone());
        // Both are in order.
        let mut merged = rows(&page.update).peekable();
        for view in rows(part) {
            while merged.next_if(|row| order.compare(*row, 0, view, 0).is_lt()).is_some() {}
            let same = merged.peek().filter(|row| order.compare(**row, 0, view, 0).is_eq());
            if same.is_some_and(|row| !is_spelled_as(*row, view)) {
                base.push_row(view)?;
            }
        }
        if !base.is_empty() {
            each(base)?;
        }
    }
    Ok(())
}

/// The ranges that `change` deletes.
fn ranges(change: &PartitionUpdate) -> Vec<(Slice, DeletionTime)> {
    let mut found = Vec::new();
    let mut begun: Option<SliceBound> = None;
    for content in &change.content {
        let UpdateContent::Marker(marker, row) = content else { continue };
        let bound = || SliceBound::of(marker.kind, RowView { row, data: &change.data });
        if !marker.end.is_live() {
            let start = begun.take().unwrap_or_else(|| SliceBound::before(&[]));
            found.push((Slice { start, end: bound() }, marker.end));
        }
        if !marker.start.is_live() {
            begun = Some(bound());
        }
    }
    found
}

/// True if values that are equal may have other bytes, and other text.
fn has_decimals(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Decimal => true,
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => has_decimals(element),
        CqlType::Map { key, value, .. } => has_decimals(key) || has_decimals(value),
        CqlType::Tuple(elements) => elements.iter().any(has_decimals),
        CqlType::Udt { udt, .. } => udt.fields.iter().any(|(_, field)| has_decimals(field)),
        _ => false,
    }
}

fn is_spelled_as(a: RowView<'_>, b: RowView<'_>) -> bool {
    let pairs = a.row.clustering.iter().zip(&b.row.clustering);
    pairs.into_iter().all(|(x, y)| x.bytes(a.data) == y.bytes(b.data))
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
    each: &mut EachBase<'_>,
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
