//! Several updates of one partition into one, with every deletion kept: what a memtable does (`AtomicBTreePartition`), and
//! what a compaction does that may purge nothing.
//!
//! The result says what its parts say: merged with any further source it answers the same rows, at the same clock. So what
//! goes is only what a deletion that stays covers, or what lost to a cell that stays. Two things of Cassandra's are not
//! of that kind, and depend on the order in which it meets them as well: counter cells of which one deletion covers some,
//! and the bytes of a clustering that can be written in several ways (1.0 and 1.00).

use std::sync::Arc;

use crate::error::{DecodeError, Error, Result};
use crate::rows::{
    ClusteringKind, ClusteringOrder, ClusteringValue, DeletionTime, LivenessInfo, Marker,
    PartitionUpdate, Row, RowView, Span, UpdateContent,
};
use crate::schema::TableMetadata;

use super::heap::SourceHeap;
use super::reconcile::{MergedRow, RowMerge, TieBreak};

/// So many updates are combined at once; more of them in rounds. A merge of the cells of one row looks at all versions for
/// each of its cells, which for a hundred thousand of them would never end.
const AT_ONCE: usize = 32;

/// Combines `updates`, all of one partition of one table, oldest first: of cells that tie in everything the first stays.
///
/// `rule` and `now` (seconds) decide between cells of the same write time, as in [`super::PartitionMerge`].
pub fn combine(rule: TieBreak, now: i64, updates: &[&PartitionUpdate]) -> Result<PartitionUpdate> {
    let Some(first) = updates.first() else {
        return Err(Error::Bug("no update to combine".into()));
    };
    UpdateCombiner::new(&first.table, rule, now).combine(updates)
}

/// [`combine`] for many partitions of one table: its memory is reused.
#[derive(Debug)]
pub struct UpdateCombiner {
    table: Arc<TableMetadata>,
    rules: RowMerge,
    merged: MergedRow,
    heap: SourceHeap,
    /// Index of the row or marker at hand, of each update.
    next: Vec<usize>,
    /// The range deletion open in each update.
    open: Vec<DeletionTime>,
    /// Updates at the least position.
    group: Vec<u32>,
}

impl UpdateCombiner {
    /// Combines updates of `table`.
    pub fn new(table: &Arc<TableMetadata>, rule: TieBreak, now: i64) -> Self {
        Self {
            table: Arc::clone(table),
            rules: RowMerge::new(table, rule, now, false),
            merged: MergedRow::default(),
            heap: SourceHeap::default(),
            next: Vec::new(),
            open: Vec::new(),
            group: Vec::new(),
        }
    }

    /// From now on by this clock (seconds).
    pub fn set_now(&mut self, now: i64) {
        self.rules.now = now;
    }

    /// The order of rows of the table.
    pub fn order(&self) -> &ClusteringOrder {
        &self.rules.order
    }

    /// See [`combine`].
    pub fn combine(&mut self, updates: &[&PartitionUpdate]) -> Result<PartitionUpdate> {
        let Some(first) = updates.first() else {
            return Err(Error::Bug("no update to combine".into()));
        };
        for update in updates {
            let same_table =
                Arc::ptr_eq(&update.table, &self.table) || *update.table == *self.table;
            if update.key != first.key || !same_table {
                return Err(Error::Bug("updates of different partitions combined".into()));
            }
        }
        if updates.len() <= AT_ONCE {
            return self.combine_few(&first.key, updates);
        }
        let mut round = Vec::with_capacity(updates.len().div_ceil(AT_ONCE));
        for some in updates.chunks(AT_ONCE) {
            round.push(self.combine_few(&first.key, some)?);
        }
        self.combine(&round.iter().collect::<Vec<_>>())
    }

    fn combine_few(&mut self, key: &[u8], updates: &[&PartitionUpdate]) -> Result<PartitionUpdate> {
        let mut out = PartitionUpdate::new(Arc::clone(&self.table), key.to_vec());
        out.deletion = updates.iter().fold(DeletionTime::LIVE, |most, u| most.max(u.deletion));
        let statics: Vec<_> = updates
            .iter()
            .filter_map(|u| u.static_row.as_ref().map(|row| RowView { row, data: &u.data }))
            .collect();
        if !statics.is_empty() {
            let deletion = out.deletion;
            let static_row = self.merge_row(&statics, true, deletion, &mut out)?;
            out.static_row = static_row.filter(|row| !row.says_nothing());
        }
        self.heap.clear();
        self.next.clear();
        self.next.resize(updates.len(), 0);
        self.open.clear();
        self.open.resize(updates.len(), DeletionTime::LIVE);
        for i in 0..u32::try_from(updates.len()).unwrap_or(u32::MAX) {
            self.restore(updates, i);
        }
        // The range that is open in the output: live, or more than the partition's deletion.
        let mut written = DeletionTime::LIVE;
        while self.take_group(updates) {
            if let Some(side) = self.marker_side(updates) {
                let most = self.open.iter().fold(DeletionTime::LIVE, |most, open| most.max(*open));
                let range = if most.supersedes(&out.deletion) { most } else { DeletionTime::LIVE };
                if range != written {
                    let place = self.group.first().and_then(|&i| self.at(updates, i));
                    self.put_marker(&mut out, place, side, written, range)?;
                    written = range;
                }
            } else {
                let versions: Vec<_> =
                    self.group.iter().filter_map(|&i| self.at(updates, i)).collect();
                let active = out.deletion.max(written);
                let row = self.merge_row(&versions, false, active, &mut out)?;
                if let Some(row) = row.filter(|row| !row.says_nothing()) {
                    self.check_order(&out, RowView { row: &row, data: &out.data }, 0)?;
                    out.content.push(UpdateContent::Row(row));
                }
            }
            let group = std::mem::take(&mut self.group);
            for &i in &group {
                if let Some(next) = self.next.get_mut(i as usize) {
                    *next += 1;
                }
                self.restore(updates, i);
            }
            self.group = group;
        }
        Ok(out)
    }

    /// The row or marker at which update `i` stands, by its clustering.
    fn at<'u>(&self, updates: &[&'u PartitionUpdate], i: u32) -> Option<RowView<'u>> {
        place(updates, &self.next, i).map(|(view, _)| view)
    }

    fn restore(&mut self, updates: &[&PartitionUpdate], i: u32) {
        let (next, order) = (&self.next, &self.rules.order);
        if place(updates, next, i).is_some() {
            self.heap.push(i, &|a, b| compare(order, updates, next, a, b).is_lt());
        }
    }

    /// Takes all updates at the least position out of the heap; false when all have ended.
    fn take_group(&mut self, updates: &[&PartitionUpdate]) -> bool {
        self.group.clear();
        let (next, order) = (&self.next, &self.rules.order);
        let less = |a, b| compare(order, updates, next, a, b).is_lt();
        let Some(first) = self.heap.pop(&less) else { return false };
        self.group.push(first);
        while let Some(other) = self.heap.peek() {
            if compare(order, updates, next, first, other).is_ne() {
                break;
            }
            self.group.extend(self.heap.pop(&less));
        }
        self.group.sort_unstable();
        true
    }

    /// Notes which ranges the group's markers open and close; the side on which they lie, or none if the group is a row.
    fn marker_side(&mut self, updates: &[&PartitionUpdate]) -> Option<i8> {
        let mut side = None;
        for &i in &self.group {
            let at = self.next.get(i as usize).copied().unwrap_or_default();
            if let Some(UpdateContent::Marker(marker, _)) =
                updates.get(i as usize).and_then(|u| u.content.get(at))
                && let Some(open) = self.open.get_mut(i as usize)
            {
                *open = marker.start;
                side = Some(marker.kind.side());
            }
        }
        side
    }

    /// Appends the marker where `before` ends and `after` begins; joins it with one that lies at the same place.
    fn put_marker(
        &self,
        out: &mut PartitionUpdate,
        place: Option<RowView<'_>>,
        side: i8,
        mut before: DeletionTime,
        after: DeletionTime,
    ) -> Result<()> {
        let Some(place) = place else { return Ok(()) };
        if let Some(UpdateContent::Marker(last, row)) = out.content.last() {
            let last_view = RowView { row, data: &out.data };
            let order = self.rules.order.compare(last_view, last.kind.side(), place, side);
            if order.is_eq() {
                before = last.end;
                out.content.pop();
                if before == after {
                    return Ok(());
                }
            }
        }
        self.check_order(out, place, side)?;
        let kind = match (before.is_live(), after.is_live(), side < 0) {
            (true, _, true) => ClusteringKind::InclStartBound,
            (true, _, false) => ClusteringKind::ExclStartBound,
            (false, true, true) => ClusteringKind::ExclEndBound,
            (false, true, false) => ClusteringKind::InclEndBound,
            (false, false, true) => ClusteringKind::ExclEndInclStartBoundary,
            (false, false, false) => ClusteringKind::InclEndExclStartBoundary,
        };
        let marker = Marker { kind, end: before, start: after };
        out.push_marker(marker, place)
    }

    /// What is appended to `out` must come after what is there: otherwise an update's rows were out of order.
    fn check_order(&self, out: &PartitionUpdate, view: RowView<'_>, side: i8) -> Result<()> {
        let (last, last_side) = match out.content.last() {
            None => return Ok(()),
            Some(UpdateContent::Row(row)) => (row, 0),
            Some(UpdateContent::Marker(marker, row)) => (row, marker.kind.side()),
        };
        let order = &self.rules.order;
        let found = order.compare(RowView { row: last, data: &out.data }, last_side, view, side);
        if found.is_lt() || found.is_gt() && !order.is_known() {
            return Ok(());
        }
        let what = format!(
            "{}: rows of an update are not in clustering order",
            out.table.qualified_name()
        );
        Err(DecodeError::invalid(what, 0).in_file("(in memory)".as_ref()))
    }

    /// The versions of a row as one, its bytes appended to those of `out`; without what `active` or its own deletions cover.
    fn merge_row(
        &mut self,
        versions: &[RowView<'_>],
        is_static: bool,
        active: DeletionTime,
        out: &mut PartitionUpdate,
    ) -> Result<Option<Row>> {
        let Some(&first) = versions.first() else { return Ok(None) };
        let version = |i: usize| (versions.get(i).copied().unwrap_or(first), 0);
        let merged = &mut self.merged;
        let is_view = self.table.view.is_some();
        merged.merge_for_later(&self.rules, is_view, is_static, versions.len(), version, active)?;
        let base = out.append(&merged.data)?.start;
        let mut row = merged.row.clone();
        let moved = |span: Span| Span { start: span.start + base, ..span };
        for value in &mut row.clustering {
            if let ClusteringValue::Value(span) = value {
                *span = moved(*span);
            }
        }
        for cell in &mut row.cells {
            (cell.value, cell.path) = (moved(cell.value), moved(cell.path));
        }
        if !row.deletion.supersedes(&active) {
            (row.deletion, row.shadowable) = (DeletionTime::LIVE, false);
        }
        let covering = if is_view { active } else { row.deletion.max(active) };
        if !covering.is_live() && covering.deletes(row.liveness.timestamp) {
            row.liveness = LivenessInfo::NONE;
        }
        Ok(Some(row))
    }
}

/// Clustering and side of what update `i` stands at.
fn place<'u>(updates: &[&'u PartitionUpdate], next: &[usize], i: u32) -> Option<(RowView<'u>, i8)> {
    let update = updates.get(i as usize)?;
    let (row, side) = match update.content.get(*next.get(i as usize)?)? {
        UpdateContent::Row(row) => (row, 0),
        UpdateContent::Marker(marker, row) => (row, marker.kind.side()),
    };
    Some((RowView { row, data: &update.data }, side))
}

fn compare(
    order: &ClusteringOrder,
    updates: &[&PartitionUpdate],
    next: &[usize],
    a: u32,
    b: u32,
) -> std::cmp::Ordering {
    match (place(updates, next, a), place(updates, next, b)) {
        (Some((x, x_side)), Some((y, y_side))) => order.compare(x, x_side, y, y_side),
        _ => a.cmp(&b),
    }
}

#[cfg(test)]
#[path = "combine_tests.rs"]
pub(super) mod tests;
