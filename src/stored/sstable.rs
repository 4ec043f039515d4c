//! One partition of one SSTable, by key.

use std::sync::Arc;

use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::ReadMode;
use crate::merge::ClusteringOrder;
use crate::rows::legacy::LegacyLayout;
use crate::rows::{
    ClusteringKind, DeletionTime, PartitionSource, PartitionUpdate, Row, RowView, Span, Unfiltered,
};
use crate::schema::TableMetadata;
use crate::sstable::big::{
    LegacyIndexBlock, LegacyRowIndex, PrimaryIndex, RowIndex, RowIndexLocation,
};
use crate::sstable::bti::{TrieIndexEntry, TrieRowIndex, write_clustering};
use crate::sstable::{
    Component, Descriptor, Filter, PartitionPosition, RowIndexPlace, SstableReader, SstableScanner,
    WorkerRows,
};

use super::slice::{Placed, Slice, SliceBound, SliceCollector};

/// An SSTable with what finds a partition in it.
#[derive(Debug)]
pub(super) struct StoredSstable {
    reader: Arc<SstableReader>,
    filter: Option<Filter>,
}

/// How much is taken of one SSTable at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct PartLimits {
    /// Rows and markers.
    pub(super) items: usize,
    /// Memory; what is over it when a row has been taken ends the part.
    pub(super) bytes: usize,
}

/// What one SSTable has of a slice.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) update: PartitionUpdate,
    /// Where it ends if a limit ended it: what lies there and behind is not in it.
    pub(super) cut: Option<SliceBound>,
}

impl StoredSstable {
    pub(super) fn open(
        descriptor: &Descriptor,
        table: &TableMetadata,
        mode: ReadMode,
    ) -> Result<Self> {
        let reader = Arc::new(SstableReader::open(descriptor, table, mode)?);
        // The filter only saves a look into the index.
        let filter = Filter::open(descriptor, mode).unwrap_or_else(|error| {
            tracing::info!(path = %descriptor.path(Component::Filter).display(), %error, "Filter.db cannot be used");
            None
        });
        Ok(Self { reader, filter })
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        self.reader.descriptor()
    }

    /// Where the partition is, if it is there.
    pub(super) fn find(
        &self,
        key: &[u8],
    ) -> Result<Option<(PartitionPosition, Option<RowIndexPlace>)>> {
        if let Some(filter) = &self.filter
            && !filter.may_contain(key)?
        {
            return Ok(None);
        }
        self.reader.locate(key)
    }

    /// The partition's deletion and static row, and of its rows those in `slice`; none of them without a slice.
    pub(super) fn read(
        &self,
        table: &Arc<TableMetadata>,
        order: &ClusteringOrder,
        at: (PartitionPosition, Option<RowIndexPlace>),
        slice: Option<&Slice>,
        limits: PartLimits,
        rows: &Arc<WorkerRows>,
    ) -> Result<Part> {
        let (position, row_index) = at;
        let mut update = PartitionUpdate::new(Arc::clone(table), position.key.clone());
        let mut scanner = SstableScanner::at(Arc::clone(&self.reader), position, Arc::clone(rows));
        scanner.begin()?;
        update.deletion = scanner.deletion();
        if let Some(view) = scanner.static_row() {
            update.set_static_row(view)?;
        }
        let Some(slice) = slice else { return Ok(Part { update, cut: None }) };
        let mut open = DeletionTime::LIVE;
        if let Some(place) = row_index
            && let Some((offset, before)) = self.block_of(&place, order, &slice.start)?
        {
            scanner.skip_to(offset)?;
            open = before;
        }
        let mut collector = SliceCollector::new(order, slice, update, open);
        let mut taken = 0;
        loop {
            let found = scanner.next()?;
            let (side, marker) = match found {
                Unfiltered::End => break,
                Unfiltered::Row => (0, None),
                Unfiltered::Marker(marker) => (marker.kind.side(), Some(marker)),
            };
            let view = scanner.row();
            let place = collector.place(view, side);
            if place == Placed::Behind {
                break;
            }
            if place == Placed::Inside {
                if taken >= limits.items || taken > 0 && collector.memory() >= limits.bytes {
                    let kind = marker.map_or(ClusteringKind::Clustering, |marker| marker.kind);
                    let cut = SliceBound::of(kind, view);
                    // A marker may lie where a row begins: there is nothing between them.
                    if slice.start.compare_to(order, cut.view(), cut.side()).is_lt() {
                        return Ok(Part { update: collector.finish(&cut)?, cut: Some(cut) });
                    }
                }
                taken += 1;
            }
            match marker {
                Some(marker) => collector.marker(marker, view, place)?,
                None if place == Placed::Inside => collector.row(view)?,
                None => {}
            }
        }
        Ok(Part { update: collector.finish(&slice.end)?, cut: None })
    }

    /// The first block of the partition's rows that may have some behind `start`: its offset from the partition's beginning, and
    /// the range deletion that is open before it. None for the first block.
    fn block_of(
        &self,
        place: &RowIndexPlace,
        order: &ClusteringOrder,
        start: &SliceBound,
    ) -> Result<Option<(u64, DeletionTime)>> {
        match (place, self.reader.index()) {
            (RowIndexPlace::Bti(entry), _) => self.trie_block_of(entry, start),
            (RowIndexPlace::Big(location), Some(index)) => {
                self.big_block_of(index, *location, order, start)
            }
            (RowIndexPlace::Big(_), None) => Ok(None),
        }
    }

    fn trie_block_of(
        &self,
        entry: &TrieIndexEntry,
        start: &SliceBound,
    ) -> Result<Option<(u64, DeletionTime)>> {
        let Some(index) = self.reader.trie_index() else { return Ok(None) };
        let header = self.reader.statistics().header.as_ref();
        let types = header.map(|header| header.clustering_types.as_slice()).unwrap_or_default();
        let view = start.view();
        let values = view.row.clustering.iter().map(|value| value.bytes(view.data));
        let mut bound = Vec::new();
        if write_clustering(types, values, start.side(), &mut bound).is_err() {
            // Without a place in the trie there is still the whole partition.
            return Ok(None);
        }
        let block = TrieRowIndex::new(index, entry).floor(&bound)?;
        Ok(block.map(|block| (block.offset, block.open.unwrap_or(DeletionTime::LIVE))))
    }

    fn big_block_of(
        &self,
        index: &PrimaryIndex,
        location: RowIndexLocation,
        order: &ClusteringOrder,
        start: &SliceBound,
    ) -> Result<Option<(u64, DeletionTime)>> {
        let mut buf = Vec::new();
        let bytes = index.row_index(location, &mut buf)?;
        let fail = |error| index.row_index_error(location, error);
        if let Some(layout) = self.reader.legacy_layout() {
            // The ranges that are open where it begins are repeated there.
            let offset = legacy_block(layout, bytes, order, start).map_err(fail)?;
            return Ok(offset.map(|offset| (offset, DeletionTime::LIVE)));
        }
        let header = self.reader.statistics().header.as_ref();
        let types = header.map(|header| header.clustering_types.as_slice()).unwrap_or_default();
        let blocks = RowIndex::decode(bytes, self.descriptor().version, types).map_err(fail)?;
        let (mut low, mut high) = (0, blocks.block_count());
        while low < high {
            let middle = low + (high - low) / 2;
            let block = blocks.block(middle).map_err(fail)?;
            let side = block.last.kind.side();
            let last = SliceBound::new(&block.last.values, side);
            if start.compare_to(order, last.view(), side).is_gt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // The last block if all lie before: there is nothing to find behind it but the end of an open range.
        let Some(before) = low.min(blocks.block_count().saturating_sub(1)).checked_sub(1) else {
            return Ok(None);
        };
        let block = blocks.block(before).map_err(fail)?;
        let offset = block.offset.checked_add(block.width).ok_or_else(|| {
            let words = "a block of rows ends beyond all files";
            fail(DecodeError::invalid(words, 0))
        })?;
        Ok(Some((offset, block.open_marker.unwrap_or(DeletionTime::LIVE))))
    }
}

/// The offset of the block of atoms to read from for what lies behind `start`; none for the first block.
///
/// It is the last one that ends before `start`, not the next: a block may begin within a row, and a range tombstone is only
/// repeated in the blocks whose first atom it reaches, which one that ends between two blocks does not.
fn legacy_block(
    layout: &LegacyLayout,
    bytes: &[u8],
    order: &ClusteringOrder,
    start: &SliceBound,
) -> Result<Option<u64>, DecodeError> {
    let blocks = LegacyRowIndex::decode(bytes)?.blocks;
    let mut row = Row::EMPTY;
    // True if all of the block, and so of those before it, lies before `start`.
    let mut ends_before = |block: &LegacyIndexBlock<'_>| -> Result<bool, DecodeError> {
        // Not longer than the 65,535 bytes that its length can say.
        let name = Span { start: 0, len: u32::try_from(block.last.len()).unwrap_or(u32::MAX) };
        if !layout.read_prefix(block.last, name, &mut row.clustering)? {
            return Ok(false);
        }
        let last = RowView { row: &row, data: block.last };
        Ok(start.compare_to(order, last, 1).is_gt())
    };
    let (mut low, mut high) = (0, blocks.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let Some(block) = blocks.get(middle) else { break };
        if ends_before(block)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let Some(found) = low.checked_sub(1).filter(|&found| found > 0) else { return Ok(None) };
    let (Some(block), Some(before)) = (blocks.get(found), blocks.get(found - 1)) else {
        return Ok(None);
    };
    // What follows the last static cell may be static too, and is read with the partition's head.
    let is_static = layout.is_static_name(before.last);
    Ok((!is_static).then_some(block.offset))
}

/// The error of a part of a partition that takes more memory than a read may.
pub(super) fn too_large(sstable: &Descriptor, key: &[u8], found: usize, limit: usize) -> Error {
    let what = "rows of one read in memory";
    let kind = DecodeErrorKind::Limit { what, found: found as u64, limit: limit as u64 };
    let error = DecodeError::new(kind, 0).in_file(&sstable.path(Component::Data));
    error.map_damage(|damage| {
        damage.what = Some("stored row".into());
        damage.partition_key =
            Some(format!("0x{}", hex_simd::encode_to_string(key, hex_simd::AsciiCase::Lower)));
        damage.hint = Some(
            "give more memory to reads of stored rows, or go on without them (--base none)".into(),
        );
        damage.class = crate::error::ErrorClass::Unsupported;
    })
}

#[cfg(test)]
#[path = "sstable_tests.rs"]
mod tests;
