//! Range tombstones of 2.x, which overlap, repeat and hide each other, as markers, which do not (`TombstoneTracker`).

use crate::rows::{ClusteringKind, ClusteringValue, DeletionTime, Marker, Row, RowView, Span};

use super::bounds::Bound;
use super::names::LegacyLayout;

/// A place among the rows, with its bytes.
#[derive(Debug, Clone, Default)]
struct Place {
    row: Row,
    data: Vec<u8>,
    side: i8,
}

impl Place {
    fn copy(bound: &Bound, data: &[u8]) -> Self {
        let mut place = Self { row: Row::EMPTY, data: Vec::new(), side: bound.side };
        for value in &bound.row.clustering {
            place.row.clustering.push(match value {
                ClusteringValue::Null => ClusteringValue::Null,
                ClusteringValue::Value(span) => {
                    // Shorter than the name it comes from, which has 65,535 bytes at most.
                    let start = u32::try_from(place.data.len()).unwrap_or(u32::MAX);
                    place.data.extend_from_slice(span.of(data));
                    ClusteringValue::Value(Span { start, len: span.len })
                }
            });
        }
        place
    }

    fn key(&self) -> (&Row, &[u8], i8) {
        (&self.row, &self.data, self.side)
    }
}

#[derive(Debug)]
struct OpenRange {
    end: Place,
    deletion: DeletionTime,
}

/// The range tombstones that are open at a place of a partition.
///
/// Of two of which one covers the other only that one is kept, so in order of their ends each deletes less than the one
/// before: the first is the one in force, and there are never more than tombstones that really overlap.
#[derive(Debug, Default)]
pub(super) struct OpenRanges {
    open: Vec<OpenRange>,
    /// Where the deletion in force changes, and what it was before: not handed out until it is known that nothing else
    /// starts there.
    pending: Option<(Place, DeletionTime)>,
    /// The values of the marker handed out last.
    at: Place,
}

impl OpenRanges {
    pub(super) fn clear(&mut self) {
        self.open.clear();
        self.pending = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.pending.is_none()
    }

    fn active(&self) -> DeletionTime {
        self.open.first().map_or(DeletionTime::LIVE, |range| range.deletion)
    }

    /// The clustering of the marker handed out last.
    pub(super) fn marker_row(&self) -> RowView<'_> {
        RowView { row: &self.at.row, data: &self.at.data }
    }

    /// The same, to be changed in place.
    pub(super) fn marker_row_mut(&mut self) -> (&mut Row, &[u8]) {
        (&mut self.at.row, &self.at.data)
    }

    /// The next marker that lies before `place`, or any for none.
    pub(super) fn next_before(
        &mut self,
        layout: &LegacyLayout,
        place: Option<(&Row, &[u8], i8)>,
    ) -> Option<Marker> {
        loop {
            let due =
                |at: &Place| place.is_none_or(|place| layout.compare(at.key(), place).is_lt());
            let (at, end) = match &self.pending {
                Some((at, _)) if due(at) => self.pending.take()?,
                Some(_) => return None,
                None => {
                    let first = self.open.first()?;
                    if !due(&first.end) {
                        return None;
                    }
                    let first = self.open.remove(0);
                    (first.end, first.deletion)
                }
            };
            let start = self.active();
            if start == end {
                continue;
            }
            let kind = match (at.side < 0, end.is_live(), start.is_live()) {
                (true, true, _) => ClusteringKind::InclStartBound,
                (true, false, true) => ClusteringKind::ExclEndBound,
                (true, false, false) => ClusteringKind::ExclEndInclStartBoundary,
                (false, true, _) => ClusteringKind::ExclStartBound,
                (false, false, true) => ClusteringKind::InclEndBound,
                (false, false, false) => ClusteringKind::InclEndExclStartBoundary,
            };
            self.at = at;
            return Some(Marker { kind, end, start });
        }
    }

    /// Opens a range, after all markers before its start have been handed out. One that is open already (2.x repeats them at
    /// the blocks of its index) or covered by one that is changes nothing.
    pub(super) fn open(
        &mut self,
        layout: &LegacyLayout,
        data: &[u8],
        (start, end): (&Bound, &Bound),
        deletion: DeletionTime,
    ) {
        let end_key = (&end.row, data, end.side);
        let start_key = (&start.row, data, start.side);
        if deletion.is_live() || layout.compare(end_key, start_key).is_le() {
            return;
        }
        let ends_after = |range: &OpenRange| layout.compare(range.end.key(), end_key);
        if self.open.iter().any(|r| ends_after(r).is_ge() && !deletion.supersedes(&r.deletion)) {
            return;
        }
        let before = self.active();
        self.open.retain(|r| ends_after(r).is_gt() || r.deletion.supersedes(&deletion));
        let place = self.open.partition_point(|r| ends_after(r).is_lt());
        self.open.insert(place, OpenRange { end: Place::copy(end, data), deletion });
        if self.pending.is_none() && self.active() != before {
            self.pending = Some((Place::copy(start, data), before));
        }
    }
}
