//! One partition of one table in memory: what a mutation says of it, or what is stored of it.

use std::sync::Arc;

use super::{
    Cell, ClusteringValue, ComplexDeletion, DeletionTime, Marker, PartitionSource, Row, RowView,
    Span, Unfiltered,
};
use crate::dht::{Token, murmur3_token};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::schema::TableMetadata;

/// A row or a range tombstone marker of a [`PartitionUpdate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateContent {
    /// A row.
    Row(Row),
    /// A marker; the values of its bound are the clustering of the row.
    Marker(Marker, Row),
}

/// What one mutation says of one partition of one table (`PartitionUpdate`), or any other part of a partition that is
/// held in memory.
///
/// Rows and markers stand in clustering order, as in an SSTable. All spans point into [`PartitionUpdate::data`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionUpdate {
    /// The table. Columns of cells are indexes into its static and regular columns.
    pub table: Arc<TableMetadata>,
    /// Partition key, serialized.
    pub key: Vec<u8>,
    /// Deletion of the whole partition.
    pub deletion: DeletionTime,
    /// The static row, if it says anything of one.
    pub static_row: Option<Row>,
    /// Rows and markers in clustering order.
    pub content: Vec<UpdateContent>,
    /// The bytes of keys, paths and values.
    pub data: Vec<u8>,
}

impl PartitionUpdate {
    /// An update that says nothing of the partition `key` of `table`.
    pub fn new(table: Arc<TableMetadata>, key: Vec<u8>) -> Self {
        Self {
            table,
            key,
            deletion: DeletionTime::LIVE,
            static_row: None,
            content: Vec::new(),
            data: Vec::new(),
        }
    }

    /// Appends a copy of a row.
    pub fn push_row(&mut self, view: RowView<'_>) -> Result<()> {
        let row = self.copy_row(view)?;
        self.content.push(UpdateContent::Row(row));
        Ok(())
    }

    /// Appends a marker; `bound` has the values of its bound as clustering.
    pub fn push_marker(&mut self, marker: Marker, bound: RowView<'_>) -> Result<()> {
        let mut row = Row::EMPTY;
        self.copy_clustering(bound, &mut row)?;
        self.content.push(UpdateContent::Marker(marker, row));
        Ok(())
    }

    /// Makes a copy of `view` the static row.
    pub fn set_static_row(&mut self, view: RowView<'_>) -> Result<()> {
        self.static_row = Some(self.copy_row(view)?);
        Ok(())
    }

    fn copy_row(&mut self, view: RowView<'_>) -> Result<Row> {
        let mut row = Row { clustering: Vec::new(), ..view.row.clone() };
        self.copy_clustering(view, &mut row)?;
        for cell in &mut row.cells {
            cell.value = self.append(cell.value.of(view.data))?;
            cell.path = self.append(cell.path.of(view.data))?;
        }
        Ok(row)
    }

    fn copy_clustering(&mut self, view: RowView<'_>, row: &mut Row) -> Result<()> {
        for value in &view.row.clustering {
            row.clustering.push(match value {
                ClusteringValue::Null => ClusteringValue::Null,
                ClusteringValue::Value(span) => {
                    ClusteringValue::Value(self.append(span.of(view.data))?)
                }
            });
        }
        Ok(())
    }

    /// Appends bytes to [`PartitionUpdate::data`]; an error beyond 4 GiB.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Span> {
        let (start, len) = (u32::try_from(self.data.len()), u32::try_from(bytes.len()));
        self.data.extend_from_slice(bytes);
        match (start, len) {
            (Ok(start), Ok(len)) if u32::try_from(self.data.len()).is_ok() => {
                Ok(Span { start, len })
            }
            _ => {
                let words =
                    format!("more than 4 GiB of one partition of {}", self.table.qualified_name());
                let kind = DecodeErrorKind::Unsupported(words);
                Err(DecodeError::new(kind, 0).in_file("(in memory)".as_ref()))
            }
        }
    }

    /// About the memory it takes.
    pub fn memory(&self) -> usize {
        let of_row = |row: &Row| {
            row.clustering.len() * size_of::<ClusteringValue>()
                + row.cells.len() * size_of::<Cell>()
                + row.complex.len() * size_of::<ComplexDeletion>()
        };
        let of_content = |content: &UpdateContent| match content {
            UpdateContent::Row(row) | UpdateContent::Marker(_, row) => {
                size_of::<UpdateContent>() + of_row(row)
            }
        };
        size_of::<Self>()
            + self.key.len()
            + self.data.len()
            + self.static_row.as_ref().map_or(0, of_row)
            + self.content.iter().map(of_content).sum::<usize>()
    }

    /// Token of its key (Murmur3Partitioner).
    pub fn token(&self) -> Token {
        murmur3_token(&self.key)
    }

    /// True if rows of a partition with static columns may be gone for it, at once or when something of it expires: then it
    /// counts which other rows there are.
    pub fn may_end_rows(&self) -> bool {
        !self.table.statics.is_empty()
            && self.content.iter().any(|content| match content {
                UpdateContent::Marker(..) => true,
                UpdateContent::Row(row) => {
                    row.has_times || !row.deletion.is_live() || !row.complex.is_empty()
                }
            })
    }

    /// True if it says nothing: Cassandra logs such updates when a dropped and re-added column is written at or before
    /// the drop.
    pub fn is_empty(&self) -> bool {
        self.deletion.is_live() && self.static_row.is_none() && self.content.is_empty()
    }
}

/// Partitions in memory as a source of a merge: ascending by token and key, each key once.
#[derive(Debug)]
pub struct UpdateSource {
    updates: Vec<PartitionUpdate>,
    partition: usize,
    /// Index of the next row or marker of the open partition.
    next: usize,
    token: Token,
    /// What `row` shows before the first row.
    none: Row,
}

impl UpdateSource {
    /// A source over `updates`, which are sorted here; of one key there may be one.
    pub fn new(mut updates: Vec<PartitionUpdate>) -> Result<Self> {
        updates.sort_by(|a, b| (a.token(), &a.key).cmp(&(b.token(), &b.key)));
        if let Some([a, _]) = updates.windows(2).find(|w| matches!(w, [a, b] if a.key == b.key)) {
            return Err(out_of_order(&a.table, "one partition twice in one source"));
        }
        let token = updates.first().map_or(Token(0), PartitionUpdate::token);
        Ok(Self { updates, partition: 0, next: 0, token, none: Row::EMPTY })
    }

    fn current(&self) -> Option<&PartitionUpdate> {
        self.updates.get(self.partition)
    }
}

fn out_of_order(table: &TableMetadata, what: &str) -> Error {
    DecodeError::invalid(format!("{}: {what}", table.qualified_name()), 0)
        .in_file("(in memory)".as_ref())
}

impl PartitionSource for UpdateSource {
    fn is_done(&self) -> bool {
        self.partition >= self.updates.len()
    }

    fn token(&self) -> Token {
        self.token
    }

    fn key(&self) -> &[u8] {
        self.current().map_or(&[], |update| &update.key)
    }

    fn begin(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }

    fn deletion(&self) -> DeletionTime {
        self.current().map_or(DeletionTime::LIVE, |update| update.deletion)
    }

    fn static_row(&self) -> Option<RowView<'_>> {
        let update = self.current()?;
        update.static_row.as_ref().map(|row| RowView { row, data: &update.data })
    }

    fn next(&mut self) -> Result<Unfiltered> {
        let found = match self.current().and_then(|update| update.content.get(self.next)) {
            None => return Ok(Unfiltered::End),
            Some(UpdateContent::Row(_)) => Unfiltered::Row,
            Some(UpdateContent::Marker(marker, _)) => Unfiltered::Marker(*marker),
        };
        self.next += 1;
        Ok(found)
    }

    fn row(&self) -> RowView<'_> {
        let at = self.next.wrapping_sub(1);
        match self.current().and_then(|update| Some((update.content.get(at)?, update))) {
            Some((UpdateContent::Row(row) | UpdateContent::Marker(_, row), update)) => {
                RowView { row, data: &update.data }
            }
            None => RowView { row: &self.none, data: &[] },
        }
    }

    fn row_mut(&mut self) -> (&mut Row, &[u8]) {
        let at = self.next.wrapping_sub(1);
        match self.updates.get_mut(self.partition) {
            Some(PartitionUpdate { content, data, .. }) => match content.get_mut(at) {
                Some(UpdateContent::Row(row) | UpdateContent::Marker(_, row)) => (row, data),
                None => (&mut self.none, &[]),
            },
            None => (&mut self.none, &[]),
        }
    }

    fn out_of_order(&self) -> Error {
        match self.current() {
            Some(update) => out_of_order(&update.table, "rows of a partition out of order"),
            None => DecodeError::invalid("rows out of order", 0).in_file("(in memory)".as_ref()),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.partition += 1;
        self.next = 0;
        self.token = self.current().map_or(Token(0), PartitionUpdate::token);
        Ok(())
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
