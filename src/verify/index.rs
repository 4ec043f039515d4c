//! The index by itself: its own order, Summary.db against it, the Bloom filter against its keys. The trie of the BTI format has no
//! whole keys: it is compared with those of the data, and so is the filter.

use crate::error::Result;
use crate::io::ReadMode;
use crate::sstable::big::{PrimaryIndex, Summary};
use crate::sstable::bti::PartitionIndex;
use crate::sstable::compression::DataChunks;
use crate::sstable::stats::Statistics;
use crate::sstable::{Component, Descriptor, Filter, Format};

use super::checks::{CheckKind, Finding, SstableChecks};

/// Entries between two looks at whether the work is to stop.
const CHECK_EVERY: u64 = 65_536;

/// What of the index can be used to compare the data with.
pub(super) struct Indexed {
    /// Index.db, if it is there and can be read.
    pub(super) index: Option<PrimaryIndex>,
    /// Partitions.db and Rows.db, likewise.
    pub(super) trie: Option<PartitionIndex>,
    /// The Bloom filter, if keys of the data are still to be asked for.
    pub(super) filter: Option<Filter>,
}

/// Makes the checks that need no data.
pub(super) fn check(
    descriptor: &Descriptor,
    statistics: &Statistics,
    mode: ReadMode,
    report: &mut SstableChecks,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Indexed> {
    let partitioner = &statistics.validation.partitioner;
    let filter = match Filter::open(descriptor, mode) {
        Ok(Some(filter)) => Some(filter),
        Ok(None) => {
            report.not_possible(CheckKind::Filter, "there is no Filter.db");
            None
        }
        Err(error) => {
            report.add_error(CheckKind::Filter, error)?;
            None
        }
    };
    if descriptor.format == Format::Bti {
        let trie = open_trie(descriptor, statistics, mode, report)?;
        return Ok(Indexed { index: None, trie, filter });
    }
    let index = match PrimaryIndex::open(descriptor, partitioner, mode) {
        Ok(Some(index)) => index,
        Ok(None) => {
            for kind in [CheckKind::Index, CheckKind::RowIndex, CheckKind::Summary] {
                report.not_possible(kind, "there is no Index.db");
            }
            return Ok(Indexed { index: None, trie: None, filter });
        }
        Err(error) => {
            report.add_error(CheckKind::Index, error)?;
            return Ok(Indexed { index: None, trie: None, filter });
        }
    };
    let summary = match Summary::open(descriptor) {
        Ok(Some(summary)) => Some(summary),
        Ok(None) => {
            report.not_possible(CheckKind::Summary, "there is no Summary.db");
            None
        }
        Err(error) => {
            report.add_error(CheckKind::Summary, error)?;
            None
        }
    };
    let whole = walk(descriptor, &index, summary.as_ref(), filter.as_ref(), report, progress)?;
    // The keys of a damaged index are not all keys.
    let filter = filter.filter(|_| !whole);
    Ok(Indexed { index: Some(index), trie: None, filter })
}

/// Opens the trie and compares its ends with those that Statistics.db has.
fn open_trie(
    descriptor: &Descriptor,
    statistics: &Statistics,
    mode: ReadMode,
    report: &mut SstableChecks,
) -> Result<Option<PartitionIndex>> {
    report.leave_out(CheckKind::Summary);
    // A Data.db that cannot be opened is told elsewhere; the trie can be, as if the data had no end.
    let data_len = DataChunks::open(descriptor, mode).map_or(u64::MAX, |chunks| chunks.data_len());
    let partitioner = &statistics.validation.partitioner;
    let index = match PartitionIndex::open(descriptor, partitioner, data_len, mode) {
        Ok(Some(index)) => index,
        Ok(None) => {
            for kind in [CheckKind::Index, CheckKind::RowIndex] {
                report.not_possible(kind, "there is no Partitions.db or no Rows.db");
            }
            return Ok(None);
        }
        Err(error) => {
            report.add_error(CheckKind::Index, error)?;
            report.not_possible(CheckKind::RowIndex, "Partitions.db is damaged");
            return Ok(None);
        }
    };
    if let Some((first, last)) = &statistics.stats.key_range
        && (first.as_slice(), last.as_slice()) != (index.first_key(), index.last_key())
    {
        let words = "its first and last key are not those that Statistics.db has";
        let path = index.path().to_path_buf();
        report.add(CheckKind::Index, Finding::at(path, index.footer_position(), words));
    }
    Ok(Some(index))
}

/// Goes through all entries once; false if that was not possible.
fn walk(
    descriptor: &Descriptor,
    index: &PrimaryIndex,
    summary: Option<&Summary>,
    filter: Option<&Filter>,
    report: &mut SstableChecks,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let mut sampled = summary.map(|summary| Sampled::new(descriptor, summary));
    let mut filter = filter.map(|filter| FilterCheck::new(descriptor, filter));
    let mut entries = index.entries();
    let (mut count, mut last) = (0_u64, Vec::new());
    loop {
        let entry = match entries.next_entry() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => {
                report.add_error(CheckKind::Index, error)?;
                report.not_possible(CheckKind::Summary, "Index.db is damaged");
                return Ok(false);
            }
        };
        if let Some(sampled) = &mut sampled {
            if count == 0 {
                sampled.first(entry.key, report);
            }
            sampled.entry(entry.position, entry.key, report)?;
        }
        if let Some(filter) = &mut filter {
            filter.ask(entry.key, report)?;
        }
        last.clear();
        last.extend_from_slice(entry.key);
        count += 1;
        if count.is_multiple_of(CHECK_EVERY) {
            progress(0)?;
        }
    }
    if let Some(sampled) = &mut sampled {
        sampled.end(index.file_len(), &last, report)?;
    }
    Ok(true)
}

/// Asks a filter for keys that it must know.
pub(super) struct FilterCheck<'a> {
    filter: &'a Filter,
    path: std::path::PathBuf,
    broken: bool,
}

impl<'a> FilterCheck<'a> {
    pub(super) fn new(descriptor: &Descriptor, filter: &'a Filter) -> Self {
        Self { filter, path: descriptor.path(Component::Filter), broken: false }
    }

    pub(super) fn ask(&mut self, key: &[u8], report: &mut SstableChecks) -> Result<()> {
        if self.broken {
            return Ok(());
        }
        match self.filter.may_contain(key) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let words = "it denies a key that the SSTable has: reads would miss the partition";
                let finding = Finding::of(self.path.clone(), words).with_key(key);
                report.add(CheckKind::Filter, finding);
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                report.add_error(CheckKind::Filter, error)
            }
        }
    }
}

/// The entries of Summary.db, each of which must be one of Index.db.
struct Sampled<'a> {
    summary: &'a Summary,
    path: std::path::PathBuf,
    next: u64,
    /// Position and key of the next one; none when there is none or the rest cannot be read.
    expected: Option<u64>,
    key: Vec<u8>,
    begun: bool,
}

impl<'a> Sampled<'a> {
    fn new(descriptor: &Descriptor, summary: &'a Summary) -> Self {
        let path = descriptor.path(Component::Summary);
        Self { summary, path, next: 0, expected: None, key: Vec::new(), begun: false }
    }

    fn advance(&mut self, report: &mut SstableChecks) -> Result<()> {
        self.begun = true;
        self.expected = None;
        if self.next < self.summary.entry_count() {
            match self.summary.entry(self.next, &mut self.key) {
                Ok(position) => self.expected = Some(position),
                Err(error) => {
                    report.add_error(CheckKind::Summary, error)?;
                    self.next = self.summary.entry_count();
                    return Ok(());
                }
            }
            self.next += 1;
        }
        Ok(())
    }

    fn finding(&self, words: String, report: &mut SstableChecks) {
        // Where the list of offsets names the entry.
        let offset = 24 + 4 * self.next.saturating_sub(1);
        report.add(CheckKind::Summary, Finding::at(self.path.clone(), offset, words));
    }

    fn first(&self, key: &[u8], report: &mut SstableChecks) {
        if self.summary.first_key() != key {
            let words = "its first key is not that of Index.db";
            report.add(CheckKind::Summary, Finding::of(self.path.clone(), words));
        }
    }

    /// The entry of Index.db at `position`.
    fn entry(&mut self, position: u64, key: &[u8], report: &mut SstableChecks) -> Result<()> {
        if !self.begun {
            self.advance(report)?;
        }
        while let Some(expected) = self.expected.filter(|expected| *expected <= position) {
            if expected < position {
                let words = format!(
                    "entry {} points at {expected} of Index.db, where no entry begins",
                    self.next - 1
                );
                self.finding(words, report);
            } else if self.key != key {
                let words =
                    format!("entry {} has another key than Index.db at {position}", self.next - 1);
                self.finding(words, report);
            }
            self.advance(report)?;
            if expected == position {
                break;
            }
        }
        Ok(())
    }

    fn end(&mut self, index_len: u64, last: &[u8], report: &mut SstableChecks) -> Result<()> {
        if !self.begun {
            self.advance(report)?;
        }
        if let Some(expected) = self.expected {
            let words = format!(
                "entry {} points at {expected} of Index.db, which has no entry there and ends at {index_len}",
                self.next - 1
            );
            self.finding(words, report);
        }
        if self.summary.last_key() != last {
            let words = "its last key is not that of Index.db";
            report.add(CheckKind::Summary, Finding::of(self.path.clone(), words));
        }
        Ok(())
    }
}
