//! Reads the partitions of one SSTable within a token range, in order (`BigTableScanner`).
//!
//! A scanner opens nothing and allocates no buffer before its first partition is asked for: its place in the merge comes
//! from the index alone. So a split over ten thousand SSTables that do not overlap holds the buffers of one at a time.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::dht::{Partitioner, Token, TokenRange};
use crate::error::{DecodeError, Error, Result};
use crate::rows::codec::{CellsLeftOut, Step};
use crate::rows::legacy::LegacyLayout;
use crate::rows::{DeletionTime, Row, RowView};
use crate::rows::{PartitionSource, Unfiltered};

use super::Component;
use super::cursor::RowCursor;
use super::reader::{PartitionPosition, SstableReader};
use super::stream::{DataStream, WorkerRows};

/// What is known of a scan that was stopped by damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanState {
    /// The least token that may be lost.
    pub first_lost: Token,
    /// Offset where the partition at hand begins.
    pub partition_offset: u64,
}

/// A scan of one SSTable.
#[derive(Debug)]
pub struct SstableScanner {
    reader: Arc<SstableReader>,
    stream: DataStream,
    cursor: RowCursor,
    range: TokenRange,
    /// Offset of the first partition, and where the scan stands or stopped.
    started_at: u64,
    partition_offset: u64,
    key: Vec<u8>,
    token: Token,
    /// The partition at hand was read to its end and the next one's key is not known yet.
    between: bool,
    deletion: DeletionTime,
    row: Row,
    /// Bytes of the unfiltered at hand, to be left behind by the next move.
    current_len: usize,
    /// The stream stands at the head of the partition at hand (else it is still to be sought).
    positioned: bool,
    /// The partition at hand was opened and its end has not been read.
    inside: bool,
    done: bool,
    /// Markers and rows read, for the index of what a partition holds.
    pub rows_read: u64,
}

impl SstableScanner {
    /// A scan of `reader` over `range`. `small`: use the least window, for merges of very many sources.
    pub fn new(
        reader: Arc<SstableReader>,
        range: TokenRange,
        rows: Arc<WorkerRows>,
        small: bool,
    ) -> Result<Self> {
        let after = (range.start != Token::MIN).then_some(range.start);
        let first = reader.first_in(after, range.end)?;
        let end = reader.chunks().data_len();
        let position =
            first.unwrap_or(PartitionPosition { token: Token::MAX, key: Vec::new(), offset: end });
        let mut scanner = Self::open(reader, position, rows, small);
        scanner.done |= !range.contains(scanner.token);
        scanner.range = range;
        Ok(scanner)
    }

    /// A scan that begins with the partition at `position`, which the index gave; the least window.
    pub fn at(
        reader: Arc<SstableReader>,
        position: PartitionPosition,
        rows: Arc<WorkerRows>,
    ) -> Self {
        Self::open(reader, position, rows, true)
    }

    fn open(
        reader: Arc<SstableReader>,
        position: PartitionPosition,
        rows: Arc<WorkerRows>,
        small: bool,
    ) -> Self {
        let stream = DataStream::new(Arc::clone(reader.chunks()), rows, small);
        let cursor = RowCursor::new(&reader);
        let PartitionPosition { token, key, offset } = position;
        Self {
            stream,
            cursor,
            range: TokenRange::ALL,
            started_at: offset,
            partition_offset: offset,
            done: offset >= reader.chunks().data_len(),
            reader,
            key,
            token,
            between: false,
            deletion: DeletionTime::LIVE,
            row: Row::EMPTY,
            current_len: 0,
            positioned: false,
            inside: false,
            rows_read: 0,
        }
    }

    /// Goes on in the open partition at `offset` from its beginning, where the index of its rows says that one begins.
    pub fn skip_to(&mut self, offset: u64) -> Result<()> {
        self.stream.seek(self.partition_offset.saturating_add(offset));
        self.stream.ensure(1)?;
        self.current_len = 0;
        self.cursor.skip();
        Ok(())
    }

    /// The SSTable.
    pub fn reader(&self) -> &Arc<SstableReader> {
        &self.reader
    }

    /// Where the scan began and where it stands (once done: where the next range begins), in the uncompressed stream.
    pub fn extent(&self) -> (u64, u64) {
        (self.started_at, self.partition_offset)
    }

    /// What is known after damage.
    pub fn state(&self) -> ScanState {
        // Between two partitions the token of the next one is not known yet. All of LocalPartitioner have the same.
        let is_local = matches!(self.reader.partitioner(), Partitioner::Local(_));
        let first_lost = if self.between && !is_local {
            Token(self.token.0.saturating_add(1))
        } else {
            self.token
        };
        ScanState { first_lost, partition_offset: self.partition_offset }
    }

    /// Cells of dropped columns, and of columns that the schema does not know, so far.
    pub fn cells_left_out(&self) -> CellsLeftOut {
        self.cursor.left_out()
    }

    /// Chunks read so far.
    pub fn chunks_read(&self) -> u64 {
        self.stream.chunks_read
    }

    fn check_order(&self, token: Token, key: &[u8]) -> Result<()> {
        let ascending = match self.reader.partitioner() {
            Partitioner::Murmur3 => (token, key) > (self.token, self.key.as_slice()),
            other => other.compare(&self.key, key).is_none_or(Ordering::is_lt),
        };
        if ascending {
            return Ok(());
        }
        let error = DecodeError::invalid(
            format!("the partition's token {token} is not after the one before it, {}", self.token),
            0,
        );
        Err(self.reader.damage(error, self.stream.position()))
    }

    #[cold]
    fn with_key(&self, error: Error) -> Error {
        let hex = hex_simd::encode_to_string(&self.key, hex_simd::AsciiCase::Lower);
        error.map_damage(|d| d.partition_key = Some(format!("0x{hex}")))
    }

    fn open_partition(&mut self) -> Result<()> {
        if !self.positioned {
            self.stream.seek(self.partition_offset);
            self.positioned = true;
        }
        let head = self.reader.read_head(&mut self.stream)?;
        let key = head.key.of(self.stream.window());
        if key != self.key.as_slice() {
            let descriptor = self.reader.descriptor();
            let index = descriptor.format.index_component();
            let words =
                format!("{index} names another partition key than Data.db has at this position");
            let error = DecodeError::invalid(words, self.partition_offset);
            return Err(error.in_file(&descriptor.path(index)).map_damage(|d| {
                d.hint = Some(descriptor.format.index_hint().into());
            }));
        }
        self.deletion = head.deletion;
        self.stream.consume(head.len);
        self.current_len = 0;
        self.cursor.begin(&self.reader, &mut self.stream, head.len)
    }

    /// Where an empty name ended the partition before its end, goes on with the partition that the index has next, as Cassandra
    /// does (`SSTableScanner`).
    fn pass_over_hidden_atoms(&mut self) -> Result<()> {
        let layout = self.reader.legacy_layout();
        if !layout.is_some_and(LegacyLayout::may_have_empty_name) || self.stream.at_end() {
            return Ok(());
        }
        let Some(index) = self.reader.index() else { return Ok(()) };
        let position = self.stream.position();
        let next = index.first_at_or_after(position)?;
        let next = next.map_or(self.reader.chunks().data_len(), |(_, offset)| offset);
        if next > position {
            tracing::warn!(
                path = %self.reader.descriptor().path(Component::Data).display(), offset = position, bytes = next - position,
                "a cell with an empty name (DELETE of the empty clustering) ends a partition before its end: Cassandra shows nothing behind it, \
                 nor is anything read here"
            );
            self.stream.seek(next);
        }
        Ok(())
    }

    fn move_to_next_partition(&mut self) -> Result<()> {
        self.pass_over_hidden_atoms()?;
        self.partition_offset = self.stream.position();
        self.between = true;
        if self.stream.at_end() {
            self.done = true;
        } else {
            let head = self.reader.read_head(&mut self.stream)?;
            let key = head.key.of(self.stream.window());
            let token = self.reader.token(key);
            self.check_order(token, key)?;
            self.key.clear();
            self.key.extend_from_slice(head.key.of(self.stream.window()));
            self.token = token;
            self.done = token > self.range.end;
        }
        self.between = false;
        if self.done {
            self.stream.release();
        }
        Ok(())
    }
}

impl PartitionSource for SstableScanner {
    fn is_done(&self) -> bool {
        self.done
    }

    fn token(&self) -> Token {
        self.token
    }

    fn key(&self) -> &[u8] {
        &self.key
    }

    fn compare_key(&self, other: &[u8]) -> Ordering {
        match self.reader.partitioner() {
            local @ Partitioner::Local(_) => local.compare(&self.key, other),
            _ => None,
        }
        .unwrap_or_else(|| self.key.as_slice().cmp(other))
    }

    fn begin(&mut self) -> Result<()> {
        let opened = self.open_partition();
        self.inside = true;
        opened.map_err(|e| self.with_key(e))
    }

    fn deletion(&self) -> DeletionTime {
        self.deletion
    }

    fn static_row(&self) -> Option<RowView<'_>> {
        self.cursor.static_row()
    }

    #[inline]
    fn next(&mut self) -> Result<Unfiltered> {
        self.stream.consume(self.current_len);
        self.current_len = 0;
        let step = self.cursor.next(&self.reader, &mut self.stream, &mut self.row);
        match step {
            Ok(Step::Row(len)) => {
                self.current_len = len;
                self.rows_read += 1;
                Ok(Unfiltered::Row)
            }
            Ok(Step::Marker(len, marker)) => {
                self.current_len = len;
                Ok(Unfiltered::Marker(marker))
            }
            Ok(step @ (Step::End | Step::Need(_))) => {
                self.stream.consume(self.cursor.step_len(&step));
                self.inside = false;
                Ok(Unfiltered::End)
            }
            Err(error) => Err(self.with_key(error)),
        }
    }

    #[inline]
    fn row(&self) -> RowView<'_> {
        match self.cursor.marker_row() {
            None => RowView { row: &self.row, data: self.stream.window() },
            Some(view) => view,
        }
    }

    #[inline]
    fn row_mut(&mut self) -> (&mut Row, &[u8]) {
        match self.cursor.marker_row_mut() {
            None => (&mut self.row, self.stream.window()),
            Some(marker) => marker,
        }
    }

    #[cold]
    fn out_of_order(&self) -> Error {
        let words = "rows out of order: this one does not come after the one before it, or is the same row again";
        let error = self.reader.damage(DecodeError::invalid(words, 0), self.stream.position());
        self.with_key(error).map_damage(|d| {
            d.hint = Some(
                "nodetool scrub puts such rows in order; those with empty values in descending columns, written before 2.1.16, \
                 2.2.8, 3.0.9 or 3.8, are read with a --cassandra-version from before (CASSANDRA-12127); --on-corrupt=skip \
                 leaves out the partition and lists it"
                    .into(),
            );
        })
    }

    fn finish(&mut self) -> Result<()> {
        while self.inside {
            self.next()?;
        }
        self.move_to_next_partition()
    }
}
