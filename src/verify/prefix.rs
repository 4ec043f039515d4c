//! A clustering, or the bound of a range, that is kept while its source moves on.

use std::cmp::Ordering;

use crate::merge::ClusteringOrder;
use crate::rows::{ClusteringKind, ClusteringValue, Row, RowView, Span};

/// A copy of a clustering and what it is of.
#[derive(Debug)]
pub(super) struct Prefix {
    kind: ClusteringKind,
    row: Row,
    data: Vec<u8>,
}

impl Default for Prefix {
    fn default() -> Self {
        Self { kind: ClusteringKind::Clustering, row: Row::EMPTY, data: Vec::new() }
    }
}

impl Prefix {
    /// A prefix of these values.
    pub(super) fn of<'v>(
        kind: ClusteringKind,
        values: impl Iterator<Item = Option<&'v [u8]>>,
    ) -> Self {
        let mut prefix = Self { kind, ..Self::default() };
        values.for_each(|value| prefix.push(value));
        prefix
    }

    /// Copies the clustering of `view`, reusing the memory.
    pub(super) fn set(&mut self, kind: ClusteringKind, view: RowView<'_>) {
        self.kind = kind;
        self.row.clustering.clear();
        self.data.clear();
        for value in &view.row.clustering {
            self.push(value.bytes(view.data));
        }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        self.row.clustering.push(match value {
            None => ClusteringValue::Null,
            Some(bytes) => {
                let start = u32::try_from(self.data.len()).unwrap_or(u32::MAX);
                self.data.extend_from_slice(bytes);
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                ClusteringValue::Value(Span { start, len })
            }
        });
    }

    /// True if it has no values: a bound of everything.
    pub(super) fn is_empty(&self) -> bool {
        self.row.clustering.is_empty()
    }

    pub(super) fn view(&self) -> RowView<'_> {
        RowView { row: &self.row, data: &self.data }
    }

    /// How it compares with another clustering.
    pub(super) fn compare(
        &self,
        order: &ClusteringOrder,
        other: RowView<'_>,
        side: i8,
    ) -> Ordering {
        order.compare(self.view(), self.kind.side(), other, side)
    }

    /// True if it is the same kind of prefix with the same values, byte for byte.
    pub(super) fn is<'v>(
        &self,
        kind: ClusteringKind,
        values: impl ExactSizeIterator<Item = Option<&'v [u8]>>,
    ) -> bool {
        let own = &self.row.clustering;
        self.kind == kind
            && own.len() == values.len()
            && own.iter().zip(values).all(|(own, other)| own.bytes(&self.data) == other)
    }
}
