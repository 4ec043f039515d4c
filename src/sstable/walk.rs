//! Reads all of a Data.db from its beginning, by what stands in it alone: no index is asked where partitions begin, and no
//! order is asked of them. What `verify` compares everything else with.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::rows::codec::Step;
use crate::rows::{DeletionTime, Marker, Row, RowView};

use super::cursor::RowCursor;
use super::reader::SstableReader;
use super::stream::{DataStream, WorkerRows};

/// A partition, before its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkedPartition {
    /// Where it begins in the uncompressed stream.
    pub offset: u64,
    /// Deletion of all of it.
    pub deletion: DeletionTime,
}

/// What a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkStep {
    /// The static row, where there is anything in it.
    Static,
    /// A row.
    Row,
    /// A range tombstone marker; its values are in the clustering of [`DataWalk::row`].
    Marker(Marker),
    /// The end of the partition.
    End,
}

/// A walk over the partitions of one SSTable.
#[derive(Debug)]
pub struct DataWalk {
    reader: Arc<SstableReader>,
    stream: DataStream,
    cursor: RowCursor,
    key: Vec<u8>,
    row: Row,
    current_len: usize,
    head_len: usize,
    /// The head of a partition was read, and not what follows it.
    at_head: bool,
    at_static: bool,
}

impl DataWalk {
    /// A walk over `reader`, which [`SstableReader::open_data`] may have opened.
    pub fn new(reader: Arc<SstableReader>, rows: Arc<WorkerRows>) -> Self {
        let stream = DataStream::new(Arc::clone(reader.chunks()), rows, false);
        let cursor = RowCursor::new(&reader);
        Self {
            reader,
            stream,
            cursor,
            key: Vec::new(),
            row: Row::EMPTY,
            current_len: 0,
            head_len: 0,
            at_head: false,
            at_static: false,
        }
    }

    /// Reads the head of the next partition; none at the end of the data. The one before must have been read to its end.
    pub fn next_partition(&mut self) -> Result<Option<WalkedPartition>> {
        self.consume();
        if self.stream.at_end() {
            return Ok(None);
        }
        let offset = self.stream.position();
        let head = self.reader.read_head(&mut self.stream)?;
        self.key.clear();
        self.key.extend_from_slice(head.key.of(self.stream.window()));
        self.current_len = head.len;
        self.head_len = head.len;
        self.at_head = true;
        self.at_static = false;
        Ok(Some(WalkedPartition { offset, deletion: head.deletion }))
    }

    /// Key of the partition at hand.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Moves on within the partition.
    pub fn next_step(&mut self) -> Result<WalkStep> {
        self.consume();
        if std::mem::take(&mut self.at_head) {
            self.cursor
                .begin(&self.reader, &mut self.stream, self.head_len)
                .map_err(|error| self.with_key(error))?;
            if self.cursor.static_row().is_some() {
                self.at_static = true;
                return Ok(WalkStep::Static);
            }
        }
        self.at_static = false;
        let step = self
            .cursor
            .next(&self.reader, &mut self.stream, &mut self.row)
            .map_err(|error| self.with_key(error))?;
        self.current_len = self.cursor.step_len(&step);
        Ok(match step {
            Step::Row(_) => WalkStep::Row,
            Step::Marker(_, marker) => WalkStep::Marker(marker),
            Step::End | Step::Need(_) => WalkStep::End,
        })
    }

    /// Offset in the stream of the head or step at hand; of a static row, and of a marker of 2.x, where the next step begins.
    pub fn position(&self) -> u64 {
        self.stream.position()
    }

    /// Where the head or step at hand ends.
    pub fn end(&self) -> u64 {
        self.stream.position() + self.current_len as u64
    }

    /// The row at hand, static or not, or the clustering of the marker.
    pub fn row(&self) -> RowView<'_> {
        let in_window = RowView { row: &self.row, data: self.stream.window() };
        match self.at_static {
            true => self.cursor.static_row().unwrap_or(in_window),
            false => self.cursor.marker_row().unwrap_or(in_window),
        }
    }

    fn consume(&mut self) {
        self.stream.consume(std::mem::take(&mut self.current_len));
    }

    #[cold]
    fn with_key(&self, error: Error) -> Error {
        let hex = hex_simd::encode_to_string(&self.key, hex_simd::AsciiCase::Lower);
        error.map_damage(|d| d.partition_key = Some(format!("0x{hex}")))
    }
}
