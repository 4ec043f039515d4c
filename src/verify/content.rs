//! The data of one SSTable, read once from beginning to end: its order, and what its index and its statistics say of it.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::{DecodeError, Error, Result};
use crate::merge::ClusteringOrder;
use crate::rows::{ClusteringKind, DeletionTime, RowView};
use crate::schema::TableMetadata;
use crate::sstable::big::{IndexEntries, PrimaryIndex, RowIndex, RowIndexLocation};
use crate::sstable::{
    Component, DataWalk, Filter, SstableReader, WalkStep, WalkedPartition, WorkerRows,
};

use super::checks::{CheckKind, Finding, SstableChecks, words};
use super::index::{FilterCheck, Indexed};
use super::legacy_blocks::LegacyBlocks;
use super::prefix::Prefix;
use super::statistics::Observed;
use super::trie_index::{AgainstTrie, TrieBlocks};

/// Rows between two looks at whether the work is to stop.
const CHECK_EVERY: u32 = 16_384;

/// What the walk is given.
pub(super) struct Content<'a> {
    pub(super) table: &'a TableMetadata,
    pub(super) reader: &'a Arc<SstableReader>,
    pub(super) indexed: &'a Indexed,
    /// A writer other than Cassandra, which counts otherwise.
    pub(super) foreign: bool,
    /// The schema was made up of headers: a type of a user that is frozen cannot be told from one that is not.
    pub(super) guessed: bool,
}

impl Content<'_> {
    /// Makes the checks that need the data.
    pub(super) fn check(
        &self,
        rows: Arc<WorkerRows>,
        report: &mut SstableChecks,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let order = ClusteringOrder::new(self.table);
        if !order.is_known() {
            let why = "a clustering column has a type whose order only its own code knows";
            report.not_possible(CheckKind::RowOrder, why);
        }
        if self.reader.partitioner().compare(&[], &[]).is_none() {
            let why = format!("the order of {} is not known", self.reader.partitioner().name());
            report.not_possible(CheckKind::KeyOrder, why);
        }
        let version = self.reader.descriptor().version;
        let mut walk = Walk {
            content: self,
            data: DataWalk::new(Arc::clone(self.reader), rows),
            observed: Observed::new(self.reader.statistics(), version),
            index: self.indexed.index.as_ref().map(|index| Against {
                index,
                entries: index.entries(),
                broken: false,
                row_index: Vec::new(),
            }),
            trie: self.indexed.trie.as_ref().map(AgainstTrie::new),
            filter: self
                .indexed
                .filter
                .as_ref()
                .map(|filter: &Filter| FilterCheck::new(self.reader.descriptor(), filter)),
            order,
            previous_key: None,
            previous: Prefix::default(),
            until_check: CHECK_EVERY,
            told: 0,
        };
        match walk.run(report, progress) {
            Ok(()) => {
                self.statistics(&walk, report);
                Ok(())
            }
            Err(Failed::Data(error)) => self.stopped(error, report),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    fn statistics(&self, walk: &Walk<'_, '_>, report: &mut SstableChecks) {
        let statistics = self.reader.statistics();
        let known = |columns: &[crate::rows::codec::HeaderColumn], table: &[_]| {
            columns.iter().all(|column| {
                table.iter().any(|known: &crate::schema::ColumnMetadata| known.name == column.name)
            })
        };
        let complete = statistics.header.as_ref().is_some_and(|header| {
            known(&header.statics, &self.table.statics)
                && known(&header.regulars, &self.table.regulars)
        });
        let path = self.reader.descriptor().path(Component::Statistics);
        for words in walk.observed.differences(&statistics.stats, complete && !self.foreign) {
            report.add(CheckKind::Statistics, Finding::of(path.clone(), words));
        }
    }

    /// The data cannot be read beyond some place.
    fn stopped(&self, error: Error, report: &mut SstableChecks) -> Result<()> {
        let at = match &error {
            Error::Damaged(damage) => damage.offset,
            _ => None,
        };
        let of_chunk = matches!(&error, Error::Damaged(d) if d.what.as_deref() == Some("chunk"));
        let place = at.map_or_else(String::new, |at| format!(" from offset {at} on"));
        let why = format!("Data.db cannot be read{place}");
        for kind in CheckKind::OF_WALK {
            report.not_possible(kind, why.clone());
        }
        if self.indexed.filter.is_some() {
            report.not_possible(CheckKind::Filter, why);
        }
        if self.guessed {
            let words = format!(
                "the schema from headers does not fit, which may be its fault and not the file's: {}",
                words(&error)
            );
            report.not_possible(CheckKind::Rows, words);
            return Ok(());
        }
        if of_chunk && report.has_failed(CheckKind::Chunks) {
            report.not_possible(CheckKind::Rows, format!("a chunk is damaged{place}"));
            return Ok(());
        }
        report.add_error(CheckKind::Rows, error)
    }
}

/// Why a walk ended early.
enum Failed {
    /// The data cannot be read on.
    Data(Error),
    /// Something else.
    Other(Error),
}

struct Walk<'c, 'a> {
    content: &'c Content<'a>,
    data: DataWalk,
    observed: Observed,
    index: Option<Against<'c>>,
    trie: Option<AgainstTrie<'c>>,
    filter: Option<FilterCheck<'c>>,
    order: ClusteringOrder,
    previous_key: Option<Vec<u8>>,
    /// The row or marker before.
    previous: Prefix,
    until_check: u32,
    told: u64,
}

/// What is known within a partition.
struct Inside {
    partition: WalkedPartition,
    /// Rows and markers before.
    count: u64,
    /// The range that is open.
    open: Option<DeletionTime>,
    last_row: u64,
}

impl Walk<'_, '_> {
    fn run(
        &mut self,
        report: &mut SstableChecks,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<(), Failed> {
        while let Some(partition) = self.data.next_partition().map_err(Failed::Data)? {
            report.partitions += 1;
            self.key(partition.offset, report);
            self.observed.partition(self.data.key(), partition.deletion);
            if let Some(filter) = &mut self.filter {
                filter.ask(self.data.key(), report).map_err(Failed::Other)?;
            }
            let location = match &mut self.index {
                Some(index) => {
                    index.entry(self.data.key(), partition.offset, report).map_err(Failed::Other)?
                }
                None => None,
            };
            let entry = match &mut self.trie {
                Some(trie) => {
                    trie.entry(self.data.key(), partition, report).map_err(Failed::Other)?
                }
                None => None,
            };
            let header = self.content.reader.statistics().header.as_ref();
            let mut blocks = self.content.indexed.trie.as_ref().zip(entry).map(|(index, entry)| {
                let types = header.map(|h| h.clustering_types.as_slice()).unwrap_or_default();
                TrieBlocks::new(index, &entry, partition, types)
            });
            self.partition(partition, location, blocks.as_mut(), report, progress)?;
            if let Some(blocks) = blocks {
                blocks.end(self.data.end(), report).map_err(Failed::Other)?;
            }
        }
        self.tell(progress)?;
        if let Some(index) = &mut self.index {
            index.end(report).map_err(Failed::Other)?;
        }
        if let Some(trie) = &mut self.trie {
            let last = self.previous_key.as_deref().unwrap_or_default();
            trie.end(last, report).map_err(Failed::Other)?;
        }
        Ok(())
    }

    fn data_finding(&self, offset: u64, words: impl Into<String>) -> Finding {
        let path = self.content.reader.descriptor().path(Component::Data);
        Finding::at(path, offset, words).with_key(self.data.key())
    }

    fn key(&mut self, offset: u64, report: &mut SstableChecks) {
        let key = self.data.key();
        if let Some(before) = &self.previous_key
            && let Some(order) = self.content.reader.partitioner().compare(before, key)
            && order != Ordering::Less
        {
            let words = if order == Ordering::Equal {
                "the partition is there twice".to_owned()
            } else {
                format!(
                    "the partition does not come after the one before it in the order of {}",
                    self.content.reader.partitioner().name()
                )
            };
            report.add(CheckKind::KeyOrder, self.data_finding(offset, words));
        }
        let kept = self.previous_key.get_or_insert_default();
        kept.clear();
        kept.extend_from_slice(self.data.key());
    }

    fn tell(&mut self, progress: &mut dyn FnMut(u64) -> Result<()>) -> Result<(), Failed> {
        let chunks = self.content.reader.chunks();
        let chunk = self.data.end() / chunks.chunk_len().max(1) as u64;
        let read = if self.data.end() >= chunks.data_len() {
            chunks.stored_len()
        } else {
            chunks.stored_offset(chunk)
        };
        let more = read.saturating_sub(self.told);
        self.told = self.told.max(read);
        progress(more).map_err(Failed::Other)
    }

    fn partition(
        &mut self,
        partition: WalkedPartition,
        location: Option<RowIndexLocation>,
        mut trie_blocks: Option<&mut TrieBlocks<'_>>,
        report: &mut SstableChecks,
        progress: &mut dyn FnMut(u64) -> Result<()>,
    ) -> Result<(), Failed> {
        let content = self.content;
        let legacy = content.reader.descriptor().version.has_atoms();
        let against = self.index.as_mut().zip(location.filter(|_| !legacy));
        let mut buf = Vec::new();
        let mut blocks = match against {
            Some((against, at)) => {
                buf = std::mem::take(&mut against.row_index);
                let index = against.index;
                Blocks::open(content, partition, index, at, &mut buf, report)
                    .map_err(Failed::Other)?
            }
            None => None,
        };
        let mut inside = Inside { partition, count: 0, open: None, last_row: 0 };
        loop {
            self.until_check -= 1;
            if self.until_check == 0 {
                self.until_check = CHECK_EVERY;
                self.tell(progress)?;
            }
            let step = self.data.next_step().map_err(Failed::Data)?;
            match step {
                WalkStep::Static => {
                    self.observed.row(self.data.row().row, true);
                    continue;
                }
                WalkStep::End => break,
                WalkStep::Row => {
                    report.rows += 1;
                    self.observed.row(self.data.row().row, false);
                }
                WalkStep::Marker(marker) => {
                    self.observed.deletion(marker.end);
                    self.observed.deletion(marker.start);
                }
            }
            if let Some(blocks) = &mut blocks {
                blocks.before(&self.data, step, report);
            }
            if let Some(blocks) = &mut trie_blocks {
                let side = kind_of(step).side();
                blocks.before(&self.data, side, inside.open, report).map_err(Failed::Other)?;
            }
            self.in_order(step, &mut inside, report);
            if let Some(blocks) = &mut blocks {
                blocks.after(self.data.end(), &self.previous, inside.open, report);
            }
        }
        self.end(&inside, report);
        if let Some(blocks) = blocks {
            blocks.end(self.data.end(), &self.previous, report);
        }
        if let Some(against) = &mut self.index {
            against.row_index = buf;
            if let Some(at) = location.filter(|_| legacy) {
                let head_len = (2 + self.data.key().len() + 12) as u64;
                let whole = LegacyBlocks { partition, head_len, end: self.data.end() };
                whole
                    .check(against.index, at, &mut against.row_index, report)
                    .map_err(Failed::Other)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, inside: &Inside, report: &mut SstableChecks) {
        if inside.open.is_some() {
            let words = "a range tombstone is still open at the end of the partition";
            report.add(CheckKind::RowOrder, self.data_finding(self.data.position(), words));
        }
        if inside.count > 0 && inside.last_row > 0 && self.order.is_known() {
            self.observed.end_row(&self.order, self.previous.view(), inside.last_row);
        }
        self.observed.end_partition(self.data.end() - inside.partition.offset);
    }

    /// Compares the row or marker at hand with the one before, and remembers it.
    fn in_order(&mut self, step: WalkStep, inside: &mut Inside, report: &mut SstableChecks) {
        let kind = kind_of(step);
        let view = self.data.row();
        let at = self.data.position();
        if self.order.is_known() && inside.count > 0 {
            let order = self.previous.compare(&self.order, view, kind.side());
            // Two bounds may lie at one place: the end of one range and the start of another.
            // 3.x writes a bound behind the row that it lies before, and reads it so (see `merge::sequence`).
            let is_late_bound = inside.last_row > 0
                && kind != ClusteringKind::Clustering
                && view.row.clustering.len() == self.previous.view().row.clustering.len()
                && self.previous.compare(&self.order, view, 0) == Ordering::Equal;
            let words = match (order, kind) {
                (Ordering::Greater, _) if is_late_bound => None,
                (Ordering::Greater, _) => Some("the row does not come after the one before it"),
                (Ordering::Equal, ClusteringKind::Clustering) => Some("the row is there twice"),
                _ => None,
            };
            if let Some(words) = words {
                report.add(CheckKind::RowOrder, self.data_finding(at, words));
            }
        }
        if let WalkStep::Marker(marker) = step {
            let ends = marker.kind.is_end().then_some(marker.end);
            if ends != inside.open {
                let words = match (ends, inside.open) {
                    (None, _) => "a range tombstone begins while another is open",
                    (Some(_), None) => "a range tombstone ends that has not begun",
                    (Some(_), Some(_)) => {
                        "a range tombstone ends with another deletion than it began with"
                    }
                };
                report.add(CheckKind::RowOrder, self.data_finding(at, words));
            }
            inside.open = marker.kind.is_start().then_some(marker.start);
            inside.last_row = 0;
        } else {
            if inside.count == 0 && self.order.is_known() {
                self.observed.end_row(&self.order, view, at);
            }
            inside.last_row = at;
        }
        self.previous.set(kind, self.data.row());
        inside.count += 1;
    }
}

fn kind_of(step: WalkStep) -> ClusteringKind {
    match step {
        WalkStep::Marker(marker) => marker.kind,
        WalkStep::Static | WalkStep::Row | WalkStep::End => ClusteringKind::Clustering,
    }
}

/// Index.db, entry for entry beside the data.
struct Against<'i> {
    index: &'i PrimaryIndex,
    entries: IndexEntries<'i>,
    /// It was told once; what follows is not compared.
    broken: bool,
    row_index: Vec<u8>,
}

impl Against<'_> {
    /// Compares the next entry with a partition; where the index of its rows is.
    fn entry(
        &mut self,
        key: &[u8],
        offset: u64,
        report: &mut SstableChecks,
    ) -> Result<Option<RowIndexLocation>> {
        if self.broken {
            return Ok(None);
        }
        let entry = match self.entries.next_entry() {
            Ok(entry) => entry,
            Err(error) => {
                self.broken = true;
                report.add_error(CheckKind::Index, error)?;
                return Ok(None);
            }
        };
        let (at, words) = match entry {
            Some(entry) if entry.key == key && entry.data_offset == offset => {
                return Ok(entry.row_index);
            }
            Some(entry) if entry.key == key => (
                entry.position,
                format!(
                    "the partition begins at {offset} of Data.db, the entry says {}",
                    entry.data_offset
                ),
            ),
            Some(entry) => (
                entry.position,
                format!(
                    "the partition that begins at {offset} of Data.db has another key than the entry"
                ),
            ),
            None => (
                self.index.file_len(),
                format!("it ends before the partition that begins at {offset} of Data.db"),
            ),
        };
        self.broken = true;
        let finding = Finding::at(self.index.path().to_path_buf(), at, words).with_key(key);
        report.add(CheckKind::Index, finding);
        Ok(None)
    }

    fn end(&mut self, report: &mut SstableChecks) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        match self.entries.next_entry() {
            Ok(None) => Ok(()),
            Ok(Some(entry)) => {
                let words = format!(
                    "it names a partition at {} of Data.db, which has none there",
                    entry.data_offset
                );
                let path = self.index.path().to_path_buf();
                let finding = Finding::at(path, entry.position, words).with_key(entry.key);
                report.add(CheckKind::Index, finding);
                Ok(())
            }
            Err(error) => report.add_error(CheckKind::Index, error),
        }
    }
}

/// The index of the rows of the partition at hand, block for block beside the rows.
struct Blocks<'b> {
    index: &'b PrimaryIndex,
    at: RowIndexLocation,
    rows: RowIndex<'b>,
    partition: WalkedPartition,
    start: u64,
    next: usize,
    /// The block at hand.
    block: Option<crate::sstable::big::IndexBlock<'b>>,
    broken: bool,
}

impl<'b> Blocks<'b> {
    fn open(
        content: &'b Content<'_>,
        partition: WalkedPartition,
        index: &'b PrimaryIndex,
        at: RowIndexLocation,
        buf: &'b mut Vec<u8>,
        report: &mut SstableChecks,
    ) -> Result<Option<Self>> {
        let header = content.reader.statistics().header.as_ref();
        let types = header.map(|header| header.clustering_types.as_slice()).unwrap_or_default();
        let version = content.reader.descriptor().version;
        let bytes = match index.row_index(at, buf) {
            Ok(bytes) => bytes,
            Err(error) => {
                report.add_error(CheckKind::RowIndex, error)?;
                return Ok(None);
            }
        };
        match RowIndex::decode(bytes, version, types) {
            Ok(rows) => Ok(Some(Self {
                index,
                at,
                rows,
                partition,
                start: partition.offset,
                next: 0,
                block: None,
                broken: false,
            })),
            Err(error) => {
                report.add_error(CheckKind::RowIndex, index.row_index_error(at, error))?;
                Ok(None)
            }
        }
    }

    fn wrong(&mut self, words: String, report: &mut SstableChecks) {
        self.broken = true;
        let finding = Finding::at(self.index.path().to_path_buf(), self.at.offset, words);
        report.add(CheckKind::RowIndex, finding);
    }

    fn damaged(&mut self, error: DecodeError, report: &mut SstableChecks) {
        self.broken = true;
        if let Error::Damaged(damage) = self.index.row_index_error(self.at, error) {
            let damage = *damage;
            let at = damage.offset.unwrap_or(self.at.offset);
            report.add(CheckKind::RowIndex, Finding::at(damage.path, at, damage.cause));
        }
    }

    /// Before the row or marker at hand.
    fn before(&mut self, data: &DataWalk, step: WalkStep, report: &mut SstableChecks) {
        if self.broken || self.block.is_some() {
            return;
        }
        let at = data.position();
        if self.next == 0 && self.start.checked_add(self.rows.header_len()) != Some(at) {
            let words = format!(
                "the first row begins {} bytes behind the partition at {} of Data.db, it says {}",
                at - self.start,
                self.start,
                self.rows.header_len()
            );
            return self.wrong(words, report);
        }
        if self.next == 0 && self.rows.partition_deletion() != self.partition.deletion {
            let words =
                format!("its deletion of the partition is not that at {} of Data.db", self.start);
            return self.wrong(words, report);
        }
        if self.next == self.rows.block_count() {
            return self.wrong(
                format!("its last block ends at {at} of Data.db, where the partition goes on"),
                report,
            );
        }
        let block = match self.rows.block(self.next) {
            Ok(block) => block,
            Err(error) => return self.damaged(error, report),
        };
        let row: RowView<'_> = data.row();
        let values = row.row.clustering.iter().map(|value| value.bytes(row.data));
        let first_fits =
            block.first.kind == kind_of(step) && values.eq(block.first.values.iter().copied());
        if self.start.checked_add(block.offset) != Some(at) {
            let words = format!(
                "block {} begins at {} of Data.db according to it, a row begins at {at}",
                self.next,
                self.start.saturating_add(block.offset)
            );
            return self.wrong(words, report);
        }
        if !first_fits {
            let words = format!(
                "the first clustering of block {} is not that of the row at {at} of Data.db",
                self.next
            );
            return self.wrong(words, report);
        }
        self.block = Some(block);
    }

    /// Behind a row or marker, which is `last` and ends at `end`.
    fn after(
        &mut self,
        end: u64,
        last: &Prefix,
        open: Option<DeletionTime>,
        report: &mut SstableChecks,
    ) {
        let Some(block) = &self.block else { return };
        let block_end = self.start.saturating_add(block.offset).saturating_add(block.width);
        // The last block has the byte that ends the partition besides.
        if end < block_end {
            return;
        }
        let number = self.next;
        if end > block_end {
            let words = format!(
                "block {number} ends at {block_end} of Data.db, within a row that ends at {end}"
            );
            return self.wrong_block(words, report);
        }
        let open_fits = block.open_marker == open;
        let last_fits = last.is(block.last.kind, block.last.values.iter().copied());
        if !last_fits {
            let words = format!(
                "the last clustering of block {number} is not that of the row that ends at {end} of Data.db"
            );
            return self.wrong_block(words, report);
        }
        if !open_fits {
            let words = format!(
                "the range tombstone that is open behind block {number} is not that of Data.db at {end}"
            );
            return self.wrong_block(words, report);
        }
        self.block = None;
        self.next += 1;
    }

    fn wrong_block(&mut self, words: String, report: &mut SstableChecks) {
        self.block = None;
        self.wrong(words, report);
    }

    /// At the end of the partition, whose last row or marker is `last`.
    fn end(mut self, end: u64, last: &Prefix, report: &mut SstableChecks) {
        if self.broken {
            return;
        }
        if let Some(block) = self.block.take() {
            let block_end = self.start.saturating_add(block.offset).saturating_add(block.width);
            let number = self.next;
            self.next += 1;
            if block_end != end {
                return self.wrong(
                    format!(
                        "block {number} ends at {block_end} of Data.db, the partition at {end}"
                    ),
                    report,
                );
            }
            if !last.is(block.last.kind, block.last.values.iter().copied()) {
                return self.wrong(format!("the last clustering of block {number} is not that of the last row of the partition, which ends at {end} of Data.db"), report);
            }
        }
        if self.next != self.rows.block_count() {
            let words = format!(
                "it has {} blocks, the partition that ends at {end} of Data.db has {}",
                self.rows.block_count(),
                self.next
            );
            self.wrong(words, report);
        }
    }
}
