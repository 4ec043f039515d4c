//! One row.

use super::cell::Cell;
use super::clustering::ClusteringValue;
use super::deletion::{DeletionTime, LivenessInfo};

/// Deletion of a complex column (`ComplexColumnData.complexDeletion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComplexDeletion {
    /// The column, as in [`Cell::column`].
    pub column: u16,
    /// Its deletion.
    pub deletion: DeletionTime,
}

/// A row, static or not (`BTreeRow`); reused from row to row, so that the hot path allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Clustering values; empty for static rows and for tables without clustering columns. For a marker, the bound's.
    pub clustering: Vec<ClusteringValue>,
    /// Row marker.
    pub liveness: LivenessInfo,
    /// Row deletion.
    pub deletion: DeletionTime,
    /// The deletion only holds while no newer liveness exists (materialized views of 3.x).
    pub shadowable: bool,
    /// Deletions of complex columns, ascending by column.
    pub complex: Vec<ComplexDeletion>,
    /// Cells, ascending by column and, within a complex column, by path.
    pub cells: Vec<Cell>,
    /// True if any cell or the liveness has a TTL or a deletion time: without it nothing has to be asked of the clock.
    pub has_times: bool,
}

impl Row {
    /// An empty row.
    pub const EMPTY: Self = Self {
        clustering: Vec::new(),
        liveness: LivenessInfo::NONE,
        deletion: DeletionTime::LIVE,
        shadowable: false,
        complex: Vec::new(),
        cells: Vec::new(),
        has_times: false,
    };

    /// Nothing is written and nothing deleted by it.
    #[inline]
    pub fn says_nothing(&self) -> bool {
        self.liveness.is_empty()
            && self.deletion.is_live()
            && self.cells.is_empty()
            && self.complex.is_empty()
    }

    /// Empties it, keeping its memory.
    #[inline]
    pub fn clear(&mut self) {
        self.clustering.clear();
        self.liveness = LivenessInfo::NONE;
        self.deletion = DeletionTime::LIVE;
        self.shadowable = false;
        self.complex.clear();
        self.cells.clear();
        self.has_times = false;
    }
}

impl Default for Row {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// One end of a range that is deleted.
#[derive(Debug, Clone, Copy)]
pub struct RangeBound<'a> {
    /// The values of the prefix are the clustering of the row; none for the end of the partition.
    pub prefix: RowView<'a>,
    /// Rows with this prefix belong to the range.
    pub inclusive: bool,
}

/// A row and the bytes its spans point into.
#[derive(Debug, Clone, Copy)]
pub struct RowView<'a> {
    /// The row.
    pub row: &'a Row,
    /// The bytes.
    pub data: &'a [u8],
}
