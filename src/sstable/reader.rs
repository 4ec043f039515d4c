//! One SSTable, opened: everything a scan needs to know besides where to begin.

use std::sync::Arc;

use crate::dht::{Token, murmur3_token};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::ReadMode;
use crate::rows::Row;
use crate::rows::codec::{
    DroppedUdts, RowCodec, RowDecoder, SerializationHeader, Step, UnknownColumn, partition_head,
};
use crate::rows::legacy::LegacyLayout;
use crate::schema::TableMetadata;

use super::big::{PrimaryIndex, RowIndexLocation};
use super::compression::DataChunks;
use super::cursor::RowCursor;
use super::stats::Statistics;
use super::stream::{DataStream, LargeRows, WorkerRows};
use super::{Component, Descriptor, Partitioner};

/// Where a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionPosition {
    /// Its token.
    pub token: Token,
    /// Its key.
    pub key: Vec<u8>,
    /// Its offset in the uncompressed stream.
    pub offset: u64,
}

/// How the rows of an SSTable are decoded.
#[derive(Debug, Clone)]
pub(super) enum RowFormat {
    /// 3.0 and later.
    Rows(Arc<RowCodec>),
    /// 2.x: atoms.
    Atoms(Arc<LegacyLayout>),
}

/// What stands in for a missing Index.db: a partition every [`SstableReader::SAMPLE`] bytes.
type Samples = Vec<PartitionPosition>;

/// An open SSTable (`SSTableReader`).
#[derive(Debug)]
pub struct SstableReader {
    descriptor: Descriptor,
    statistics: Statistics,
    chunks: Arc<DataChunks>,
    rows: RowFormat,
    unknown: Vec<UnknownColumn>,
    index: Option<PrimaryIndex>,
    samples: Samples,
}

impl SstableReader {
    /// Bytes between the partitions that are remembered when there is no Index.db.
    const SAMPLE: u64 = 1 << 20;

    /// Opens the SSTable as one of `table`. Its files are held from now on: mapped, or by a descriptor each.
    pub fn open(descriptor: &Descriptor, table: &TableMetadata, mode: ReadMode) -> Result<Self> {
        let mut reader = Self::open_data(descriptor, table, mode)?;
        reader.index = PrimaryIndex::open(descriptor, reader.partitioner(), mode)?;
        if reader.index.is_none() {
            tracing::info!(sstable = %descriptor.path(Component::Data).display(), "no Index.db, reading Data.db once to find partitions");
            reader.samples = reader.sample()?;
        }
        Ok(reader)
    }

    /// Opens the SSTable to plan with it: nothing of Data.db is read. What only that could tell is not known then: where
    /// partitions are without Index.db, and how a dropped column that could be either was stored.
    pub fn open_to_plan(
        descriptor: &Descriptor,
        table: &TableMetadata,
        mode: ReadMode,
    ) -> Result<Self> {
        let mut reader = Self::open_unread(descriptor, table, mode)?;
        reader.index = PrimaryIndex::open(descriptor, reader.partitioner(), mode)?;
        Ok(reader)
    }

    /// Opens Data.db and what its rows are decoded with, as if there were no index: for [`super::DataWalk`].
    pub fn open_data(
        descriptor: &Descriptor,
        table: &TableMetadata,
        mode: ReadMode,
    ) -> Result<Self> {
        let mut reader = Self::open_unread(descriptor, table, mode)?;
        if let Some(header) = &reader.statistics.header
            && RowCodec::has_ambiguous_dropped_column(table, header)
            && reader.walk(0, |_| false).is_err()
        {
            let unsigned = descriptor.version.has_uint_deletion_time();
            let frozen = RowCodec::new(table, header, unsigned, DroppedUdts::Frozen);
            if let Ok((codec, _)) = frozen {
                reader.rows = RowFormat::Rows(Arc::new(codec));
            }
        }
        Ok(reader)
    }

    fn open_unread(descriptor: &Descriptor, table: &TableMetadata, mode: ReadMode) -> Result<Self> {
        let statistics =
            Statistics::read(&descriptor.path(Component::Statistics), descriptor.version)?;
        let chunks = Arc::new(DataChunks::open(descriptor, mode)?);
        let (rows, unknown) = match &statistics.header {
            Some(header) => {
                let (codec, unknown) = row_codec(descriptor, table, header)?;
                (RowFormat::Rows(Arc::new(codec)), unknown)
            }
            None => (RowFormat::Atoms(Arc::new(LegacyLayout::new(table))), Vec::new()),
        };
        Ok(Self {
            descriptor: descriptor.clone(),
            statistics,
            chunks,
            rows,
            unknown,
            index: None,
            samples: Samples::new(),
        })
    }

    /// The order of its partitions.
    pub fn partitioner(&self) -> &Partitioner {
        &self.statistics.validation.partitioner
    }

    /// Token of a key. Only those of Murmur3Partitioner are tokens; for others all keys have the same one, so that a merge
    /// orders them by their bytes, as ByteOrderedPartitioner does.
    pub(super) fn token(&self, key: &[u8]) -> Token {
        if *self.partitioner() == Partitioner::Murmur3 { murmur3_token(key) } else { Token(0) }
    }

    /// Its name and place.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Statistics.db.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Data.db.
    pub fn chunks(&self) -> &Arc<DataChunks> {
        &self.chunks
    }

    /// How its rows are decoded.
    pub(super) fn rows(&self) -> &RowFormat {
        &self.rows
    }

    /// How the names of its cells are read, if it is one of 2.x.
    pub fn legacy_layout(&self) -> Option<&LegacyLayout> {
        match &self.rows {
            RowFormat::Rows(_) => None,
            RowFormat::Atoms(layout) => Some(layout),
        }
    }

    /// Columns that the schema does not know.
    pub fn unknown_columns(&self) -> &[UnknownColumn] {
        &self.unknown
    }

    /// True if Index.db is there.
    pub fn has_index(&self) -> bool {
        self.index.is_some()
    }

    /// The partition with this key, and where Index.db has the index of its rows, if it is large.
    pub fn locate(
        &self,
        key: &[u8],
    ) -> Result<Option<(PartitionPosition, Option<RowIndexLocation>)>> {
        let token = self.token(key);
        let at = |offset| PartitionPosition { token, key: key.to_vec(), offset };
        if let Some(index) = &self.index {
            let found = index.lookup(key)?;
            return Ok(found.map(|(offset, rows)| (at(offset), rows)));
        }
        let compare = |other: &[u8]| self.partitioner().compare(other, key);
        let first = self
            .samples
            .partition_point(|sample| compare(&sample.key).is_some_and(std::cmp::Ordering::is_le));
        let Some(sample) = self.samples.get(first.saturating_sub(1)) else { return Ok(None) };
        let behind = |other: &[u8]| compare(other).is_some_and(std::cmp::Ordering::is_gt);
        let found = self.walk(sample.offset, |at| at.key == key || behind(&at.key))?;
        Ok(found.filter(|found| found.key == key).map(|found| (found, None)))
    }

    /// Index.db, where it is there.
    pub fn index(&self) -> Option<&PrimaryIndex> {
        self.index.as_ref()
    }

    /// The first partition with a token greater than `after`, or the very first one for none.
    pub fn first_after(&self, after: Option<Token>) -> Result<Option<PartitionPosition>> {
        match &self.index {
            Some(index) => {
                let found = match after {
                    Some(token) => index.first_after(token)?,
                    None => index.first()?,
                };
                if found.is_none() && after.is_none() && self.chunks.data_len() > 0 {
                    let path = self.descriptor.path(Component::Index);
                    let error =
                        DecodeError::invalid("it names no partition, but Data.db is not empty", 0);
                    return Err(error.in_file(&path).map_damage(|d| {
                        d.hint = Some("move Index.db and Summary.db of this SSTable away: they are not needed".into());
                    }));
                }
                Ok(found.map(|(key, offset)| PartitionPosition {
                    token: murmur3_token(&key),
                    key,
                    offset,
                }))
            }
            None => {
                let from = match after {
                    None => self.samples.first(),
                    Some(token) => {
                        let later = self.samples.partition_point(|sample| sample.token <= token);
                        self.samples.get(later.saturating_sub(1))
                    }
                };
                match from {
                    Some(from) => {
                        self.walk(from.offset, |at| after.is_none_or(|token| at.token > token))
                    }
                    None => Ok(None),
                }
            }
        }
    }

    /// The first partition at or after `offset` of the uncompressed stream.
    pub fn first_at_or_after(&self, offset: u64) -> Result<Option<PartitionPosition>> {
        match &self.index {
            Some(index) => Ok(index
                .first_at_or_after(offset)?
                .map(|(key, offset)| PartitionPosition { token: self.token(&key), key, offset })),
            None => {
                let later = self.samples.partition_point(|sample| sample.offset <= offset);
                match self.samples.get(later.saturating_sub(1)) {
                    Some(from) => self.walk(from.offset, |at| at.offset >= offset),
                    None => Ok(None),
                }
            }
        }
    }

    /// Walks over the partitions from `offset` on to the first that `wanted` says yes to.
    fn walk(
        &self,
        offset: u64,
        mut wanted: impl FnMut(&PartitionPosition) -> bool,
    ) -> Result<Option<PartitionPosition>> {
        let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(usize::MAX))));
        let mut stream = DataStream::new(Arc::clone(&self.chunks), rows, false);
        let mut cursor = RowCursor::new(self);
        let mut row = Row::EMPTY;
        stream.seek(offset);
        while !stream.at_end() {
            let head = self.read_head(&mut stream)?;
            let key = head.key.of(stream.window()).to_vec();
            let at = PartitionPosition { token: self.token(&key), key, offset: stream.position() };
            if wanted(&at) {
                return Ok(Some(at));
            }
            stream.consume(head.len);
            cursor.begin(self, &mut stream, head.len)?;
            loop {
                let step = cursor.next(self, &mut stream, &mut row)?;
                stream.consume(cursor.step_len(&step));
                if step == Step::End {
                    break;
                }
            }
        }
        Ok(None)
    }

    fn sample(&self) -> Result<Samples> {
        let mut samples = Samples::new();
        let mut next = 0;
        self.walk(0, |at| {
            if at.offset >= next {
                next = at.offset + Self::SAMPLE;
                samples.push(at.clone());
            }
            false
        })?;
        Ok(samples)
    }

    /// Reads the head of the partition at the stream's position.
    pub(super) fn read_head(
        &self,
        stream: &mut DataStream,
    ) -> Result<crate::rows::codec::PartitionHead> {
        let unsigned = self.descriptor.version.has_uint_deletion_time();
        let mut needed = 32;
        loop {
            let whole = stream.ensure(needed)?;
            match partition_head(stream.window(), unsigned)
                .map_err(|e| self.damage(e, stream.position()))?
            {
                Ok(head) => return Ok(head),
                Err(more) if whole && more > needed => needed = more,
                Err(more) => return Err(self.cut_off(stream, more)),
            }
        }
    }

    /// Decodes the unfiltered at the stream's position; never [`Step::Need`].
    #[inline]
    pub(super) fn read_unfiltered(
        &self,
        stream: &mut DataStream,
        decoder: &mut RowDecoder,
        previous: u64,
        row: &mut Row,
    ) -> Result<Step> {
        loop {
            match decoder.decode(stream.window(), previous, row) {
                Ok(Step::Need(needed)) => {
                    let had = stream.window().len();
                    // At the end of the data there may be less than a cautious decoder asked for.
                    if !stream.ensure(needed)? && stream.window().len() == had {
                        return Err(self.cut_off(stream, needed));
                    }
                }
                Ok(step) => return Ok(step),
                Err(error) => return Err(self.damage(error, stream.position())),
            }
        }
    }

    #[cold]
    pub(super) fn cut_off(&self, stream: &DataStream, needed: usize) -> Error {
        let kind = DecodeErrorKind::Truncated {
            what: "partition",
            wanted: needed as u64,
            left: stream.window().len() as u64,
        };
        self.damage(DecodeError::new(kind, 0), stream.position())
    }

    /// A decode error at `base` of the stream as damage of this Data.db.
    #[cold]
    pub(super) fn damage(&self, error: DecodeError, base: u64) -> Error {
        let shifted = error.shifted(base);
        let chunk = shifted.offset / self.chunks.chunk_len().max(1) as u64;
        shifted.in_file(&self.descriptor.path(Component::Data)).map_damage(|d| {
            d.what = Some("partition".into());
            d.format = Some(self.chunks.format_name());
            d.chunk = Some(chunk);
            d.hint = Some(
                "restore this SSTable from another copy; --on-corrupt=skip leaves out the damaged tokens and lists them"
                    .into(),
            );
        })
    }
}

fn row_codec(
    descriptor: &Descriptor,
    table: &TableMetadata,
    header: &SerializationHeader,
) -> Result<(RowCodec, Vec<UnknownColumn>)> {
    let unsigned = descriptor.version.has_uint_deletion_time();
    RowCodec::new(table, header, unsigned, DroppedUdts::MultiCell).map_err(|e| {
        e.in_file(&descriptor.path(Component::Statistics)).map_damage(|d| {
            d.table = Some(table.qualified_name());
            d.offset = None;
            d.hint = Some(
                "the schema does not belong to these files: give the right one by --schema".into(),
            );
        })
    })
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
