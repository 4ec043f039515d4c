//! One SSTable, opened: everything a scan needs to know besides where to begin (`positions`).

use std::sync::{Arc, OnceLock};

use crate::dht::{Partitioner, Token};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::ReadMode;
use crate::rows::Row;
use crate::rows::codec::{
    DroppedUdts, RowCodec, RowDecoder, SerializationHeader, Step, UnknownColumn, partition_head,
};
use crate::rows::legacy::LegacyLayout;
use crate::schema::TableMetadata;

use super::big::{PrimaryIndex, RowIndexLocation};
use super::bti::{PartitionIndex, TrieIndexEntry};
use super::compression::DataChunks;
use super::positions::Samples;
use super::stats::Statistics;
use super::stream::DataStream;
use super::{Component, Descriptor, Format};

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

/// Where the index of the rows of a large partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowIndexPlace {
    /// In Index.db.
    Big(RowIndexLocation),
    /// In Rows.db.
    Bti(TrieIndexEntry),
}

/// What leads from keys to partitions.
#[derive(Debug)]
pub(super) enum KeyIndex {
    Big(PrimaryIndex),
    Bti(PartitionIndex),
}

/// An open SSTable (`SSTableReader`).
#[derive(Debug)]
pub struct SstableReader {
    descriptor: Descriptor,
    statistics: Statistics,
    chunks: Arc<DataChunks>,
    rows: RowFormat,
    unknown: Vec<UnknownColumn>,
    pub(super) index: Option<KeyIndex>,
    /// What stands in for an index that is not there or, of BTI, damaged.
    pub(super) samples: OnceLock<Samples>,
    /// It is not to be planned with, but to be read.
    may_read_data: bool,
}

impl SstableReader {
    /// Opens the SSTable as one of `table`. Its files are held from now on: mapped, or by a descriptor each.
    pub fn open(descriptor: &Descriptor, table: &TableMetadata, mode: ReadMode) -> Result<Self> {
        let mut reader = Self::open_data(descriptor, table, mode)?;
        reader.open_index(mode)?;
        if reader.index.is_none() {
            tracing::info!(sstable = %descriptor.path(Component::Data).display(), "no {}, reading Data.db once to find partitions", descriptor.format.index_names());
            reader.sample_once()?;
        }
        Ok(reader)
    }

    /// Opens the SSTable to plan with it: nothing of Data.db is read but, of BTI, the keys that are asked for. What only the rest
    /// could tell is not known then: where partitions are without an index, and how a dropped column that could be either was
    /// stored.
    pub fn open_to_plan(
        descriptor: &Descriptor,
        table: &TableMetadata,
        mode: ReadMode,
    ) -> Result<Self> {
        let mut reader = Self::open_unread(descriptor, table, mode)?;
        reader.may_read_data = false;
        reader.open_index(mode)?;
        Ok(reader)
    }

    fn open_index(&mut self, mode: ReadMode) -> Result<()> {
        let descriptor = &self.descriptor;
        let opened = match descriptor.format {
            Format::Big => PrimaryIndex::open(descriptor, self.partitioner(), mode)
                .map(|index| index.map(KeyIndex::Big)),
            Format::Bti => {
                let data_len = self.chunks.data_len();
                PartitionIndex::open(descriptor, self.partitioner(), data_len, mode)
                    .map(|index| index.map(KeyIndex::Bti))
            }
        };
        self.index = match opened {
            // What is not needed must not stand in the way.
            Err(error) if self.is_trie_damage(&error) => {
                self.warn_of_trie(&error);
                None
            }
            other => other?,
        };
        Ok(())
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
        let mut statistics =
            Statistics::read(&descriptor.path(Component::Statistics), descriptor.version)?;
        let key = table.partition_key.iter().map(|column| column.cql_type.clone());
        statistics.validation.partitioner = statistics.validation.partitioner.of_key(key);
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
            samples: OnceLock::new(),
            may_read_data: true,
        })
    }

    /// The order of its partitions.
    pub fn partitioner(&self) -> &Partitioner {
        &self.statistics.validation.partitioner
    }

    /// The place of a key ([`Partitioner::token`]).
    pub fn token(&self, key: &[u8]) -> Token {
        self.partitioner().token(key)
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

    /// False if it was opened to plan with it.
    pub(super) fn may_read_data(&self) -> bool {
        self.may_read_data
    }

    /// Columns that the schema does not know.
    pub fn unknown_columns(&self) -> &[UnknownColumn] {
        &self.unknown
    }

    /// Index.db, where it is there.
    pub fn index(&self) -> Option<&PrimaryIndex> {
        match &self.index {
            Some(KeyIndex::Big(index)) => Some(index),
            Some(KeyIndex::Bti(_)) | None => None,
        }
    }

    /// Partitions.db and Rows.db, where they are there and can be opened.
    pub fn trie_index(&self) -> Option<&PartitionIndex> {
        match &self.index {
            Some(KeyIndex::Bti(index)) => Some(index),
            Some(KeyIndex::Big(_)) | None => None,
        }
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
