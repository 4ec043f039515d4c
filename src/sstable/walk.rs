//! Reads all of a Data.db from its beginning, by what stands in it alone: no index is asked where partitions begin, and no
//! order is asked of them. What `verify` compares everything else with.

use std::sync::Arc;

use crate::error::{DecodeError, Error, Result};
use crate::rows::codec::{RowDecoder, Step};
use crate::rows::{DeletionTime, Marker, Row, RowView};

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
    /// The static row, which every partition of a file with static columns begins with; it may be empty.
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
    decoder: RowDecoder,
    key: Vec<u8>,
    row: Row,
    current_len: usize,
    previous: u64,
    static_is_next: bool,
}

impl DataWalk {
    /// A walk over `reader`, which [`SstableReader::open_data`] may have opened.
    pub fn new(reader: Arc<SstableReader>, rows: Arc<WorkerRows>) -> Self {
        let stream = DataStream::new(Arc::clone(reader.chunks()), rows, false);
        let decoder = RowDecoder::new(Arc::clone(reader.codec()));
        Self {
            reader,
            stream,
            decoder,
            key: Vec::new(),
            row: Row::EMPTY,
            current_len: 0,
            previous: 0,
            static_is_next: false,
        }
    }

    /// Reads the head of the next partition; none at the end of the data. The one before must have been read to its end.
    pub fn next_partition(&mut self) -> Result<Option<WalkedPartition>> {
        self.consume();
        if self.stream.at_end() {
            return Ok(None);
        }
        let offset = self.stream.position();
        let head = self.reader.read_head(&mut self.stream, &self.decoder)?;
        self.key.clear();
        self.key.extend_from_slice(head.key.of(self.stream.window()));
        self.current_len = head.len;
        self.previous = head.len as u64;
        self.static_is_next = self.decoder.codec().has_static();
        Ok(Some(WalkedPartition { offset, deletion: head.deletion }))
    }

    /// Key of the partition at hand.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Moves on within the partition.
    pub fn next_step(&mut self) -> Result<WalkStep> {
        self.consume();
        let is_static = std::mem::take(&mut self.static_is_next);
        let previous = if is_static { 0 } else { self.previous };
        let step = self
            .reader
            .read_unfiltered(&mut self.stream, &mut self.decoder, previous, &mut self.row)
            .map_err(|error| self.with_key(error))?;
        let (len, step) = match step {
            Step::Row(len) if is_static => {
                // The first row counts its distance from the partition's head.
                self.previous += len as u64;
                self.current_len = len;
                return Ok(WalkStep::Static);
            }
            _ if is_static => {
                let words = "no static row where the table has static columns";
                let error = self.reader.damage(DecodeError::invalid(words, 0), self.position());
                return Err(self.with_key(error));
            }
            Step::Row(len) => (len, WalkStep::Row),
            Step::Marker(len, marker) => (len, WalkStep::Marker(marker)),
            Step::End | Step::Need(_) => (1, WalkStep::End),
        };
        self.current_len = len;
        self.previous = len as u64;
        Ok(step)
    }

    /// Offset in the stream of the head or step at hand.
    pub fn position(&self) -> u64 {
        self.stream.position()
    }

    /// Where the head or step at hand ends.
    pub fn end(&self) -> u64 {
        self.stream.position() + self.current_len as u64
    }

    /// The row at hand, or the clustering of the marker.
    pub fn row(&self) -> RowView<'_> {
        RowView { row: &self.row, data: self.stream.window() }
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
