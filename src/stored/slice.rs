//! A part of a partition, by clustering.

use std::cmp::Ordering;

use crate::error::Result;
use crate::merge::ClusteringOrder;
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, DeletionTime, Marker, PartitionUpdate, Row, RowView,
    Span, UpdateContent,
};

/// A place before or after the rows that begin with some clustering values (`ClusteringBound`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceBound {
    row: Row,
    data: Vec<u8>,
    side: i8,
}

impl SliceBound {
    /// Before the rows whose clustering begins with `values`; with no values, before all rows.
    pub fn before(values: &[Option<&[u8]>]) -> Self {
        Self::new(values, -1)
    }

    /// After the rows whose clustering begins with `values`; with no values, after all rows.
    pub fn after(values: &[Option<&[u8]>]) -> Self {
        Self::new(values, 1)
    }

    /// By values and side, as [`SliceBound::view`] and [`SliceBound::side`] give them.
    pub(super) fn new(values: &[Option<&[u8]>], side: i8) -> Self {
        let (mut row, mut data) = (Row::EMPTY, Vec::new());
        for value in values {
            row.clustering.push(match value {
                None => ClusteringValue::Null,
                // Bounds of more than 4 GiB there are none; they would be cut here, and so find less.
                Some(bytes) => {
                    let start = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    let len = u32::try_from(bytes.len()).unwrap_or_default();
                    data.extend_from_slice(bytes);
                    ClusteringValue::Value(Span { start, len })
                }
            });
        }
        Self { row, data, side }
    }

    /// The place of the bound that `kind` and the clustering of `view` make; of a row, the place before it.
    pub fn of(kind: ClusteringKind, view: RowView<'_>) -> Self {
        let values: Vec<_> = view.row.clustering.iter().map(|v| v.bytes(view.data)).collect();
        Self::new(&values, if kind.side() > 0 { 1 } else { -1 })
    }

    /// The clustering values.
    pub fn view(&self) -> RowView<'_> {
        RowView { row: &self.row, data: &self.data }
    }

    /// -1 before the rows that begin with the values, 1 after them.
    pub fn side(&self) -> i8 {
        self.side
    }

    /// Where this bound lies, seen from a row or bound.
    pub(super) fn compare_to(
        &self,
        order: &ClusteringOrder,
        view: RowView<'_>,
        side: i8,
    ) -> Ordering {
        order.compare(self.view(), self.side, view, side)
    }
}

/// The rows between two bounds (`Slice`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Where it begins.
    pub start: SliceBound,
    /// Where it ends.
    pub end: SliceBound,
}

impl Slice {
    /// All rows.
    pub fn all() -> Self {
        Self { start: SliceBound::before(&[]), end: SliceBound::after(&[]) }
    }

    /// The row with this clustering, or all rows that begin with these values.
    pub fn with_prefix(values: &[Option<&[u8]>]) -> Self {
        Self { start: SliceBound::before(values), end: SliceBound::after(values) }
    }

    /// The row that has the clustering of `view`.
    pub fn of_row(view: RowView<'_>) -> Self {
        let values: Vec<_> = view.row.clustering.iter().map(|v| v.bytes(view.data)).collect();
        Self::with_prefix(&values)
    }

    /// True if the row `view` is in it.
    pub fn contains(&self, order: &ClusteringOrder, view: RowView<'_>) -> bool {
        self.start.compare_to(order, view, 0).is_lt() && self.end.compare_to(order, view, 0).is_gt()
    }

    /// True if it has all rows.
    pub fn is_all(&self) -> bool {
        self.start.row.clustering.is_empty()
            && self.end.row.clustering.is_empty()
            && self.start.side < self.end.side
    }
}

/// Takes rows and markers in order and keeps those of a slice: ranges that reach beyond it are cut at its bounds.
#[derive(Debug)]
pub(super) struct SliceCollector<'a> {
    order: &'a ClusteringOrder,
    slice: &'a Slice,
    pub(super) update: PartitionUpdate,
    /// The range deletion that is open.
    open: DeletionTime,
    inside: bool,
    cells: usize,
}

/// What [`SliceCollector::place`] says of a row or marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    Before,
    Inside,
    Behind,
}

impl<'a> SliceCollector<'a> {
    /// A collector of `slice` into `update`; `open` is the range deletion in force where reading begins.
    pub(super) fn new(
        order: &'a ClusteringOrder,
        slice: &'a Slice,
        update: PartitionUpdate,
        open: DeletionTime,
    ) -> Self {
        Self { order, slice, update, open, inside: false, cells: 0 }
    }

    /// Where something lies. A marker at a bound belongs to the slice that begins there, for what it opens.
    pub(super) fn place(&self, view: RowView<'_>, side: i8) -> Placed {
        if self.slice.start.compare_to(self.order, view, side).is_gt() {
            Placed::Before
        } else if self.slice.end.compare_to(self.order, view, side).is_le() {
            Placed::Behind
        } else {
            Placed::Inside
        }
    }

    fn enter(&mut self) -> Result<()> {
        if !std::mem::replace(&mut self.inside, true) {
            self.begin_range()?;
        }
        Ok(())
    }

    /// The range that is open begins where the slice does.
    fn begin_range(&mut self) -> Result<()> {
        if self.open.is_live() {
            return Ok(());
        }
        let start = &self.slice.start;
        let kind = if start.side < 0 {
            ClusteringKind::InclStartBound
        } else {
            ClusteringKind::ExclStartBound
        };
        let marker = Marker { kind, end: DeletionTime::LIVE, start: self.open };
        self.update.push_marker(marker, start.view())
    }

    /// Takes a row that lies inside.
    pub(super) fn row(&mut self, view: RowView<'_>) -> Result<()> {
        self.enter()?;
        self.cells += view.row.cells.len();
        self.update.push_row(view)
    }

    /// About the memory of what was taken.
    pub(super) fn memory(&self) -> usize {
        self.update.data.len()
            + self.cells * size_of::<Cell>()
            + self.update.content.len() * size_of::<UpdateContent>()
    }

    /// Takes a marker that lies inside, or before.
    pub(super) fn marker(&mut self, marker: Marker, view: RowView<'_>, at: Placed) -> Result<()> {
        if at == Placed::Inside {
            if !self.inside
                && self.slice.start.compare_to(self.order, view, marker.kind.side()).is_eq()
            {
                // What ends where the slice begins is not of it.
                self.inside = true;
                self.open = marker.start;
                return self.begin_range();
            }
            self.enter()?;
            self.update.push_marker(marker, view)?;
        }
        self.open = marker.start;
        Ok(())
    }

    /// What was collected, as what lies before `end`, which is the slice's own end or less.
    pub(super) fn finish(mut self, end: &SliceBound) -> Result<PartitionUpdate> {
        self.enter()?;
        if !self.open.is_live()
            && let Some(UpdateContent::Marker(marker, row)) = self.update.content.last()
            && end
                .compare_to(
                    self.order,
                    RowView { row, data: &self.update.data },
                    marker.kind.side(),
                )
                .is_eq()
        {
            // It begins where this ends: only what it closes is of this.
            self.open = marker.end;
            self.update.content.pop();
        }
        if !self.open.is_live() {
            let kind = if end.side < 0 {
                ClusteringKind::ExclEndBound
            } else {
                ClusteringKind::InclEndBound
            };
            let marker = Marker { kind, end: self.open, start: DeletionTime::LIVE };
            self.update.push_marker(marker, end.view())?;
        }
        Ok(self.update)
    }
}

/// The part of `update` in `slice`, with its deletion and static row.
pub(super) fn cut(
    order: &ClusteringOrder,
    update: &PartitionUpdate,
    slice: &Slice,
) -> Result<PartitionUpdate> {
    let mut part = PartitionUpdate::new(std::sync::Arc::clone(&update.table), update.key.clone());
    part.deletion = update.deletion;
    if let Some(row) = &update.static_row {
        part.set_static_row(RowView { row, data: &update.data })?;
    }
    let mut collector = SliceCollector::new(order, slice, part, DeletionTime::LIVE);
    for content in &update.content {
        match content {
            UpdateContent::Row(row) => {
                let view = RowView { row, data: &update.data };
                match collector.place(view, 0) {
                    Placed::Before => {}
                    Placed::Inside => collector.row(view)?,
                    Placed::Behind => break,
                }
            }
            UpdateContent::Marker(marker, row) => {
                let view = RowView { row, data: &update.data };
                match collector.place(view, marker.kind.side()) {
                    Placed::Behind => break,
                    at => collector.marker(*marker, view, at)?,
                }
            }
        }
    }
    collector.finish(&slice.end)
}
