//! One partition of several sources: rows and range tombstones in clustering order (`UnfilteredRowIterators.merge`).

use crate::error::Result;
use crate::rows::{DeletionTime, RowView};

use super::deletions::{DeadRow, OpenRange};
use super::heap::SourceHeap;
use super::partitions::RowSink;
use super::purge::{MergeBooks, settle_row, settle_static};
use super::reconcile::{MergedRow, RowMerge};
use super::sequence::Sequence;
use crate::rows::{PartitionSource, Unfiltered};

/// Walks partitions; its memory is reused.
#[derive(Debug, Default)]
pub(super) struct PartitionWalk {
    merged: MergedRow,
    static_merged: MergedRow,
    heap: SourceHeap,
    /// What each source stands at.
    at: Vec<Unfiltered>,
    /// The range deletion open in each source.
    open: Vec<DeletionTime>,
    /// Sources at the least position.
    group: Vec<u32>,
    /// Of the only source, and of each one of several.
    sequence: Sequence,
    sequences: Vec<Sequence>,
    /// For sinks that are told of deletions.
    dead: DeadRow,
    range: OpenRange,
}

fn index(i: u32) -> usize {
    i as usize
}

/// A source's position for comparing: its row or bound, and the side.
fn position<'s, S: PartitionSource>(source: &'s S, at: &Unfiltered) -> (RowView<'s>, i8) {
    let side = match at {
        Unfiltered::Marker(marker) => marker.kind.side(),
        Unfiltered::Row | Unfiltered::End => 0,
    };
    (source.row(), side)
}

impl PartitionWalk {
    /// Hands the rows of a partition that only `source` has to `sink`.
    pub(super) fn single<S: PartitionSource, K: RowSink>(
        &mut self,
        rules: &RowMerge,
        source: &mut S,
        sink: &mut K,
        books: &mut MergeBooks,
    ) -> Result<()> {
        source.begin()?;
        let partition = source.deletion();
        books.partitions_read += 1;
        books.partitions_merged += 1;
        books.partition_deletions += u64::from(!partition.is_live());
        sink.partition(source.key(), source.token())?;
        if K::DELETIONS {
            self.range.begin();
            if !partition.is_live() {
                sink.deleted_partition(partition)?;
            }
        }
        let mut has_static = false;
        if let Some(view) = source.static_row() {
            books.cells_read += view.row.cells.len() as u64;
            let copy = &mut self.static_merged;
            copy.merge(rules, true, 1, |_| (view, 0), partition, books)?;
            if K::DELETIONS && self.dead.take(&copy.row, partition, rules) {
                sink.deleted_row(RowView { row: &self.dead.row, data: &copy.data }, true)?;
            }
            has_static = settle_static(&mut copy.row, partition, rules, books);
        }
        sink.static_row(has_static.then(|| self.static_merged.view()))?;
        let mut active = partition;
        self.sequence.begin();
        loop {
            let at = source.next()?;
            if !self.sequence.follows(&rules.order, &at, || source.row()) {
                return Err(source.out_of_order());
            }
            match at {
                Unfiltered::Row => {
                    let (row, data) = source.row_mut();
                    books.rows_read += 1;
                    books.cells_read += row.cells.len() as u64;
                    if K::DELETIONS && self.dead.take(row, active, rules) {
                        sink.deleted_row(RowView { row: &self.dead.row, data }, false)?;
                    }
                    if settle_row(row, active, rules, false, books) {
                        sink.row(RowView { row, data })?;
                    }
                }
                Unfiltered::Marker(marker) => {
                    books.range_deletions += u64::from(!marker.start.is_live());
                    active = partition.max(marker.start);
                    if K::DELETIONS {
                        let side = marker.kind.side();
                        self.range.change(partition, active, source.row(), side, sink)?;
                    }
                }
                Unfiltered::End => break,
            }
        }
        if K::DELETIONS && self.range.is_open() {
            return Err(source.out_of_order());
        }
        sink.end_partition()?;
        source.finish()
    }

    /// Hands the merged rows of a partition that the sources numbered in `shared` have to `sink`.
    pub(super) fn merge<S: PartitionSource, K: RowSink>(
        &mut self,
        rules: &RowMerge,
        sources: &mut [S],
        shared: &[u32],
        sink: &mut K,
        books: &mut MergeBooks,
    ) -> Result<()> {
        self.at.clear();
        self.at.resize(sources.len(), Unfiltered::End);
        self.open.clear();
        self.open.resize(sources.len(), DeletionTime::LIVE);
        self.sequences.resize_with(sources.len(), Sequence::default);
        let mut partition = DeletionTime::LIVE;
        books.partitions_merged += 1;
        for &i in shared {
            let Some(source) = sources.get_mut(index(i)) else { continue };
            source.begin()?;
            if let Some(sequence) = self.sequences.get_mut(index(i)) {
                sequence.begin();
            }
            books.partitions_read += 1;
            books.partition_deletions += u64::from(!source.deletion().is_live());
            partition = partition.max(source.deletion());
        }
        if let Some(first) = shared.first().and_then(|&i| sources.get(index(i))) {
            sink.partition(first.key(), first.token())?;
        }
        if K::DELETIONS {
            self.range.begin();
            if !partition.is_live() {
                sink.deleted_partition(partition)?;
            }
        }
        let has_static = self.merge_static(rules, sources, shared, partition, sink, books)?;
        sink.static_row(has_static.then(|| self.static_merged.view()))?;

        self.heap.clear();
        for &i in shared {
            self.advance(rules, sources, i, books)?;
        }
        let mut active = partition;
        while self.take_group(rules, sources) {
            if self.take_markers(books) {
                let ranges = shared.iter().filter_map(|&i| self.open.get(index(i)));
                active = ranges.fold(partition, |most, open| most.max(*open));
                if K::DELETIONS {
                    self.change_range(sources, partition, active, sink)?;
                }
            } else {
                self.emit_row(rules, sources, active, sink, books)?;
            }
            let group = std::mem::take(&mut self.group);
            for &i in &group {
                self.advance(rules, sources, i, books)?;
            }
            self.group = group;
        }
        if K::DELETIONS
            && self.range.is_open()
            && let Some(source) = shared.first().and_then(|&i| sources.get(index(i)))
        {
            return Err(source.out_of_order());
        }
        sink.end_partition()?;
        for &i in shared {
            if let Some(source) = sources.get_mut(index(i)) {
                source.finish()?;
            }
        }
        Ok(())
    }

    /// Tells `sink` of the range that ends where the sources of the group stand.
    fn change_range<S: PartitionSource, K: RowSink>(
        &mut self,
        sources: &[S],
        partition: DeletionTime,
        active: DeletionTime,
        sink: &mut K,
    ) -> Result<()> {
        let Some(first) = self.group.first().copied() else { return Ok(()) };
        let (Some(source), Some(at)) = (sources.get(index(first)), self.at.get(index(first)))
        else {
            return Ok(());
        };
        let (view, side) = position(source, at);
        self.range.change(partition, active, view, side, sink)
    }

    fn merge_static<S: PartitionSource, K: RowSink>(
        &mut self,
        rules: &RowMerge,
        sources: &[S],
        shared: &[u32],
        partition: DeletionTime,
        sink: &mut K,
        books: &mut MergeBooks,
    ) -> Result<bool> {
        let mut versions = Vec::new();
        for &i in shared {
            if let Some(view) = sources.get(index(i)).and_then(PartitionSource::static_row) {
                books.cells_read += view.row.cells.len() as u64;
                versions.push((view, u16::try_from(i).unwrap_or(u16::MAX)));
            }
        }
        if versions.is_empty() {
            return Ok(false);
        }
        let merged = &mut self.static_merged;
        let version = |i: usize| versions.get(i).copied().unwrap_or((EMPTY_VIEW, 0));
        merged.merge(rules, true, versions.len(), version, partition, books)?;
        if K::DELETIONS && self.dead.take(&merged.row, partition, rules) {
            sink.deleted_row(RowView { row: &self.dead.row, data: &merged.data }, true)?;
        }
        Ok(settle_static(&mut merged.row, partition, rules, books))
    }

    /// Moves a source on and puts it back into the heap unless its partition has ended.
    fn advance<S: PartitionSource>(
        &mut self,
        rules: &RowMerge,
        sources: &mut [S],
        i: u32,
        books: &mut MergeBooks,
    ) -> Result<()> {
        let (Some(source), Some(at)) = (sources.get_mut(index(i)), self.at.get_mut(index(i)))
        else {
            return Ok(());
        };
        *at = source.next()?;
        if let Some(sequence) = self.sequences.get_mut(index(i))
            && !sequence.follows(&rules.order, at, || source.row())
        {
            return Err(source.out_of_order());
        }
        match at {
            Unfiltered::End => return Ok(()),
            Unfiltered::Row => {
                books.rows_read += 1;
                books.cells_read += source.row().row.cells.len() as u64;
            }
            Unfiltered::Marker(_) => {}
        }
        let (sources, ats) = (&*sources, &self.at);
        self.heap.push(i, &|a, b| compare(rules, sources, ats, a, b).is_lt());
        Ok(())
    }

    /// Takes all sources at the least position out of the heap; false when all have ended.
    fn take_group<S: PartitionSource>(&mut self, rules: &RowMerge, sources: &[S]) -> bool {
        self.group.clear();
        let ats = &self.at;
        let less = |a, b| compare(rules, sources, ats, a, b).is_lt();
        let Some(first) = self.heap.pop(&less) else { return false };
        self.group.push(first);
        while let Some(next) = self.heap.peek() {
            if compare(rules, sources, ats, first, next).is_ne() {
                break;
            }
            self.group.extend(self.heap.pop(&less));
        }
        // The same order whatever the heap did: ties of equal cells go to the first source.
        self.group.sort_unstable();
        true
    }

    /// Notes which ranges the group's markers open and close; false if the group is a row.
    fn take_markers(&mut self, books: &mut MergeBooks) -> bool {
        let mut any = false;
        for &i in &self.group {
            if let (Some(Unfiltered::Marker(marker)), Some(open)) =
                (self.at.get(index(i)), self.open.get_mut(index(i)))
            {
                any = true;
                books.range_deletions += u64::from(!marker.start.is_live());
                *open = marker.start;
            }
        }
        any
    }

    fn emit_row<S: PartitionSource, K: RowSink>(
        &mut self,
        rules: &RowMerge,
        sources: &mut [S],
        active: DeletionTime,
        sink: &mut K,
        books: &mut MergeBooks,
    ) -> Result<()> {
        if let &[only] = self.group.as_slice() {
            let Some(source) = sources.get_mut(index(only)) else { return Ok(()) };
            let (row, data) = source.row_mut();
            if K::DELETIONS && self.dead.take(row, active, rules) {
                sink.deleted_row(RowView { row: &self.dead.row, data }, false)?;
            }
            if settle_row(row, active, rules, false, books) {
                sink.row(RowView { row, data })?;
            }
            return Ok(());
        }
        books.rows_merged += self.group.len() as u64 - 1;
        let (merged, group) = (&mut self.merged, &self.group);
        let version = |n: usize| {
            let i = group.get(n).copied().unwrap_or_default();
            let view = sources.get(index(i)).map_or(EMPTY_VIEW, PartitionSource::row);
            (view, u16::try_from(i).unwrap_or(u16::MAX))
        };
        merged.merge(rules, false, group.len(), version, active, books)?;
        if K::DELETIONS && self.dead.take(&merged.row, active, rules) {
            sink.deleted_row(RowView { row: &self.dead.row, data: &merged.data }, false)?;
        }
        let shadowed = merged.shadowed;
        if settle_row(&mut merged.row, active, rules, shadowed, books) {
            sink.row(merged.view())?;
        }
        Ok(())
    }
}

static EMPTY_ROW: crate::rows::Row = crate::rows::Row::EMPTY;
const EMPTY_VIEW: RowView<'static> = RowView { row: &EMPTY_ROW, data: &[] };

fn compare<S: PartitionSource>(
    rules: &RowMerge,
    sources: &[S],
    ats: &[Unfiltered],
    a: u32,
    b: u32,
) -> std::cmp::Ordering {
    let (Some(x), Some(y)) = (sources.get(index(a)), sources.get(index(b))) else {
        return a.cmp(&b);
    };
    let (Some(x_at), Some(y_at)) = (ats.get(index(a)), ats.get(index(b))) else {
        return a.cmp(&b);
    };
    let ((x, x_side), (y, y_side)) = (position(x, x_at), position(y, y_at));
    rules.order.compare(x, x_side, y, y_side)
}
