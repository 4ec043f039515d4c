//! Partitions.db and Rows.db of the BTI format, beside the data.

use crate::cql::MarshalType;
use crate::error::Result;
use crate::rows::DeletionTime;
use crate::sstable::bti::{
    IndexedPartitions, PartitionIndex, RowBlock, RowBlocks, TrieIndexEntry, TrieRowIndex,
    write_clustering,
};
use crate::sstable::{DataWalk, WalkedPartition};

use super::checks::{CheckKind, Finding, SstableChecks};

/// The trie of partitions, path for path beside the data.
pub(super) struct AgainstTrie<'i> {
    index: &'i PartitionIndex,
    partitions: IndexedPartitions<'i>,
    /// Partitions of Data.db.
    seen: u64,
    /// It was told once; what follows is not compared.
    broken: bool,
}

impl<'i> AgainstTrie<'i> {
    pub(super) fn new(index: &'i PartitionIndex) -> Self {
        Self { index, partitions: index.partitions(), seen: 0, broken: false }
    }

    fn tell(&mut self, at: u64, words: String, key: &[u8], report: &mut SstableChecks) {
        self.broken = true;
        let finding = Finding::at(self.index.path().to_path_buf(), at, words).with_key(key);
        report.add(CheckKind::Index, finding);
    }

    /// Compares the next path with a partition; where the index of its rows is.
    pub(super) fn entry(
        &mut self,
        key: &[u8],
        partition: WalkedPartition,
        report: &mut SstableChecks,
    ) -> Result<Option<TrieIndexEntry>> {
        self.seen += 1;
        if self.broken {
            return Ok(None);
        }
        let offset = partition.offset;
        if self.seen == 1 && self.index.first_key() != key {
            let words = "its first key is not that of Data.db".to_owned();
            self.tell(self.index.footer_position(), words, key, report);
            return Ok(None);
        }
        let found = match self.partitions.next_partition() {
            Ok(Some(found)) => found,
            Ok(None) => {
                let words =
                    format!("it ends before the partition that begins at {offset} of Data.db");
                self.tell(self.index.footer_position(), words, key, report);
                return Ok(None);
            }
            Err(error) => {
                self.broken = true;
                report.add_error(CheckKind::Index, error)?;
                return Ok(None);
            }
        };
        let words = if found.data_offset != offset {
            format!(
                "the partition begins at {offset} of Data.db, the trie says {}",
                found.data_offset
            )
        } else if !self.index.may_be(&found, key) {
            format!(
                "the partition that begins at {offset} of Data.db has another key than the trie"
            )
        } else {
            let Some(entry) = found.row_index else { return Ok(None) };
            let path = self.index.rows_path().to_path_buf();
            let words = if entry.key != key {
                "its key is not that of Data.db"
            } else if entry.partition_deletion != partition.deletion {
                "its deletion of the partition is not that of Data.db"
            } else {
                return Ok(Some(entry));
            };
            let finding = Finding::at(path, entry.position, words).with_key(key);
            report.add(CheckKind::RowIndex, finding);
            return Ok(None);
        };
        self.tell(found.position, words, key, report);
        Ok(None)
    }

    /// Behind the last partition, whose key is `last`.
    pub(super) fn end(&mut self, last: &[u8], report: &mut SstableChecks) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        match self.partitions.next_partition() {
            Ok(None) => {}
            Ok(Some(found)) => {
                let words = format!(
                    "it names a partition at {} of Data.db, which has none there",
                    found.data_offset
                );
                self.tell(found.position, words, last, report);
                return Ok(());
            }
            Err(error) => return report.add_error(CheckKind::Index, error),
        }
        let count = self.index.partition_count();
        if self.index.last_key() != last {
            let words = "its last key is not that of Data.db".to_owned();
            self.tell(self.index.footer_position(), words, last, report);
        } else if count != self.seen {
            let words = format!("it says that there are {count} partitions, and {} are", self.seen);
            self.tell(self.index.footer_position(), words, last, report);
        }
        Ok(())
    }
}

/// The trie of the rows of a partition, block for block beside the rows.
pub(super) struct TrieBlocks<'b> {
    path: std::path::PathBuf,
    blocks: RowBlocks<'b>,
    position: u64,
    start: u64,
    block_count: u64,
    types: &'b [MarshalType],
    /// Blocks that were met.
    met: u64,
    next: Option<RowBlock>,
    begun: bool,
    broken: bool,
    /// The row or marker before, as in the trie; none where it cannot be written so.
    previous: Option<Vec<u8>>,
    here: Vec<u8>,
}

impl<'b> TrieBlocks<'b> {
    pub(super) fn new(
        index: &'b PartitionIndex,
        entry: &TrieIndexEntry,
        partition: WalkedPartition,
        types: &'b [MarshalType],
    ) -> Self {
        Self {
            path: index.rows_path().to_path_buf(),
            blocks: TrieRowIndex::new(index, entry).blocks(),
            position: entry.position,
            start: partition.offset,
            block_count: entry.block_count,
            types,
            met: 0,
            next: None,
            begun: false,
            broken: false,
            previous: None,
            here: Vec::new(),
        }
    }

    fn wrong(&mut self, at: u64, words: String, report: &mut SstableChecks) {
        self.broken = true;
        report.add(CheckKind::RowIndex, Finding::at(self.path.clone(), at, words));
    }

    fn advance(&mut self, report: &mut SstableChecks) -> Result<()> {
        match self.blocks.next_block() {
            Ok(next) => self.next = next,
            Err(error) => {
                self.broken = true;
                report.add_error(CheckKind::RowIndex, error)?;
            }
        }
        Ok(())
    }

    /// Before the row or marker at hand; `open` is the range deletion in force there.
    pub(super) fn before(
        &mut self,
        data: &DataWalk,
        side: i8,
        open: Option<DeletionTime>,
        report: &mut SstableChecks,
    ) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        let at = data.position();
        let first = !std::mem::replace(&mut self.begun, true);
        if first {
            self.advance(report)?;
        }
        let view = data.row();
        let values = view.row.clustering.iter().map(|value| value.bytes(view.data));
        let mut here = std::mem::take(&mut self.here);
        here.clear();
        let known = write_clustering(self.types, values, side, &mut here).is_ok();
        if let Some(block) = self.next {
            let begins = self.start.saturating_add(block.offset);
            if begins == at {
                self.block(block, at, open, known.then_some(&here), report);
                self.advance(report)?;
            } else if begins < at || first {
                let words = format!(
                    "block {} begins at {begins} of Data.db according to it, a row begins at {at}",
                    self.met
                );
                self.wrong(block.position, words, report);
            }
        }
        let before = self.previous.replace(here).unwrap_or_default();
        self.here = before;
        if !known {
            self.previous = None;
        }
        Ok(())
    }

    /// A block that begins at the row at hand.
    fn block(
        &mut self,
        block: RowBlock,
        at: u64,
        open: Option<DeletionTime>,
        here: Option<&Vec<u8>>,
        report: &mut SstableChecks,
    ) {
        let separator = self.blocks.separator();
        let behind = self.previous.as_deref().is_none_or(|before| before < separator);
        let not_before = here.is_none_or(|here| separator <= here.as_slice());
        let words = if block.open != open {
            "the range tombstone that is open there is another"
        } else if self.met > 0 && !behind {
            "its place is not behind the row before it"
        } else if !not_before {
            "its place is behind its first row"
        } else {
            self.met += 1;
            return;
        };
        let words = format!("block {} at {at} of Data.db: {words}", self.met);
        self.wrong(block.position, words, report);
    }

    /// Behind the last row of the partition, which ends at `end`: with one byte.
    pub(super) fn end(mut self, end: u64, report: &mut SstableChecks) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        let marker = end.saturating_sub(1);
        let last = self.next.take();
        let ends_at = last.map(|last| self.start.saturating_add(last.offset));
        let separator = self.blocks.separator();
        let behind = self.previous.as_deref().is_none_or(|before| before < separator);
        let position = last.map_or(self.position, |last| last.position);
        if ends_at != Some(marker) || last.is_some_and(|last| last.open.is_some()) || !behind {
            let words =
                format!("its last place is not the end of the partition at {marker} of Data.db");
            self.wrong(position, words, report);
        } else if self.met != self.block_count {
            let words =
                format!("it says that there are {} blocks, and {} are", self.block_count, self.met);
            self.wrong(self.position, words, report);
        } else {
            self.advance(report)?;
            if let Some(more) = self.next {
                let words = "it goes on behind the end of the partition".to_owned();
                self.wrong(more.position, words, report);
            }
        }
        Ok(())
    }
}
