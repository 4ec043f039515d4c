//! Index.db: an entry for each partition, in the order of Data.db.
//!
//! ```text
//! bytes16  partition key
//! uv       where the partition begins in the uncompressed Data.db
//! uv n     length of what follows; 0 for most partitions
//! n bytes  index of the partition's rows, see RowIndex
//! ```
//! In 2.x the two numbers are `i64` and `i32`, and the index of the rows is that of [`super::LegacyRowIndex`].
//!
//! [`PrimaryIndex`] opens in constant time. Searches go by Summary.db: each probe reads one of its entries and the entry of
//! Index.db it points to, and what is read there decides, so that a wrong Summary.db can cost time but not give a wrong
//! answer. Where Summary.db is missing or damaged, Index.db is read once and every n-th position is kept.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::summary::Summary;
use crate::dht::{Token, murmur3_token};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile, ReadMode};
use crate::sstable::{Component, Descriptor, Partitioner};

/// Key with its length, and two vints.
const MAX_HEAD_LEN: u64 = 2 + 65_535 + 9 + 9;
/// What a search reads at once where the file is not mapped; most keys are shorter.
const PROBE_LEN: u64 = 512;
/// What an iteration reads at once where the file is not mapped.
const WINDOW_LEN: u64 = 256 << 10;
/// Positions kept by a scan: half a megabyte, and at most some thousand entries between two of them.
const MAX_SAMPLES: usize = 65_536;
/// Entries between two positions, until there are too many.
const FIRST_INTERVAL: u64 = 128;
const HINT: &str = "restore this file from another copy or a snapshot, or remove it: Data.db is then read without it";

/// An open Index.db.
#[derive(Debug)]
pub struct PrimaryIndex {
    file: InputFile,
    /// Numbers have a fixed length.
    legacy: bool,
    partitioner: Partitioner,
    summary: Option<Summary>,
    summary_is_wrong: AtomicBool,
    samples: OnceLock<Vec<u64>>,
}

/// Where the index of a partition's rows lies in Index.db.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowIndexLocation {
    /// Offset in the file.
    pub offset: u64,
    /// Its length.
    pub len: u64,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry<'a> {
    /// Partition key.
    pub key: &'a [u8],
    /// Where the partition begins in the uncompressed Data.db.
    pub data_offset: u64,
    /// Where the entry begins in Index.db.
    pub position: u64,
    /// The index of its rows, if the partition is large.
    pub row_index: Option<RowIndexLocation>,
}

/// Why a search by Summary.db went no further.
enum Probe {
    /// Summary.db does not fit Index.db.
    Wrong(String),
    /// Index.db itself cannot be read.
    Failed(Error),
}

impl PrimaryIndex {
    /// Opens Index.db of `descriptor`; `None` if there is none.
    pub fn open(
        descriptor: &Descriptor,
        partitioner: &Partitioner,
        mode: ReadMode,
    ) -> Result<Option<Self>> {
        let file = match InputFile::open(&descriptor.path(Component::Index), mode) {
            Ok(file) => file,
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let summary = Summary::open(descriptor).unwrap_or_else(|error| {
            tracing::info!(path = %file.path().display(), %error, "Summary.db cannot be used, Index.db is read once instead");
            None
        });
        Ok(Some(Self {
            file,
            legacy: descriptor.version.has_atoms(),
            partitioner: partitioner.clone(),
            summary,
            summary_is_wrong: AtomicBool::new(false),
            samples: OnceLock::new(),
        }))
    }

    /// The path of Index.db.
    pub fn path(&self) -> &std::path::Path {
        self.file.path()
    }

    /// Length of Index.db.
    pub fn file_len(&self) -> u64 {
        self.file.len()
    }

    /// Summary.db, where there is one that can be opened.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// About how many partitions there are.
    pub fn estimated_partition_count(&self) -> Result<u64> {
        if let Some(summary) = &self.summary {
            return Ok(summary.estimated_partition_count());
        }
        // The mean over the first entries, row indexes included.
        let mut entries = self.entries();
        let mut count = 0;
        while count < FIRST_INTERVAL && entries.next_entry()?.is_some() {
            count += 1;
        }
        let mean = entries.position.div_ceil(count.max(1)).max(1);
        Ok(if entries.position == self.file.len() { count } else { self.file.len() / mean })
    }

    /// All entries in order.
    pub fn entries(&self) -> IndexEntries<'_> {
        self.entries_from(0)
    }

    fn entries_from(&self, position: u64) -> IndexEntries<'_> {
        IndexEntries {
            index: self,
            position,
            window: Vec::new(),
            window_at: 0,
            previous: None,
            previous_key: Vec::new(),
        }
    }

    /// The first partition: its key and its offset in the uncompressed Data.db.
    pub fn first(&self) -> Result<Option<(Vec<u8>, u64)>> {
        Ok(self.entries().next_entry()?.map(|entry| entry.found()))
    }

    /// The first partition with a token greater than `token`: its key and its offset. An error unless the partitioner is Murmur3Partitioner.
    pub fn first_after(&self, token: Token) -> Result<Option<(Vec<u8>, u64)>> {
        if self.partitioner != Partitioner::Murmur3 {
            let words = format!(
                "its partitions are ordered by {}, and token ranges are those of Murmur3Partitioner",
                self.partitioner.name()
            );
            return Err(
                DecodeError::new(DecodeErrorKind::Unsupported(words), 0).in_file(self.file.path())
            );
        }
        self.find(|entry| murmur3_token(entry.key) <= token)
    }

    /// The first partition that begins at or after `data_offset` of the uncompressed Data.db: its key and its offset.
    pub fn first_at_or_after(&self, data_offset: u64) -> Result<Option<(Vec<u8>, u64)>> {
        self.find(|entry| entry.data_offset < data_offset)
    }

    /// The partition with this key: its offset in the uncompressed Data.db, and the index of its rows if it is large.
    ///
    /// By single reads; only where the order of keys is not known are all entries gone through.
    pub fn lookup(&self, key: &[u8]) -> Result<Option<(u64, Option<RowIndexLocation>)>> {
        let known = self.partitioner.compare(key, key).is_some();
        let is_before = |entry: &IndexEntry<'_>| {
            self.partitioner.compare(entry.key, key).is_some_and(std::cmp::Ordering::is_lt)
        };
        let start = if known { self.start_of_search(&is_before)? } else { 0 };
        let mut entries = self.entries_from(start);
        while let Some(entry) = entries.next_entry()? {
            if entry.key == key {
                return Ok(Some((entry.data_offset, entry.row_index)));
            }
            if known && !is_before(&entry) {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Reads the index of a partition's rows into `buf` or gives it from the map; decode it with
    /// [`super::RowIndex::decode`] or [`super::LegacyRowIndex::decode`], and add its file with [`PrimaryIndex::row_index_error`].
    pub fn row_index<'a>(&'a self, at: RowIndexLocation, buf: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        let len = usize::try_from(at.len).unwrap_or(usize::MAX);
        Ok(self.file.slice(at.offset, len, buf)?.unwrap_or_default())
    }

    /// The error of decoding the row index at `at`, with its file.
    pub fn row_index_error(&self, at: RowIndexLocation, error: DecodeError) -> Error {
        self.damage(error.shifted(at.offset))
    }

    /// The last partition: its key and its offset in the uncompressed Data.db.
    pub fn last(&self) -> Result<Option<(Vec<u8>, u64)>> {
        let mut entries = self.entries_from(self.start_of_search(&|_| true)?);
        let mut last = None;
        while let Some(entry) = entries.next_entry()? {
            last = Some(entry.data_offset);
        }
        Ok(last.map(|data_offset| (std::mem::take(&mut entries.previous_key), data_offset)))
    }

    /// Compares the first and the last key with those in Summary.db and in Statistics.db, where these have them: they
    /// differ where Index.db was cut off between two entries, or where files of two SSTables were mixed.
    pub fn check_key_range(&self, recorded: Option<&(Vec<u8>, Vec<u8>)>) -> Result<()> {
        let ends = match (self.first()?, self.last()?) {
            (Some((first, _)), Some((last, _))) => Some((first, last)),
            _ => None,
        };
        let summary = self.summary.as_ref();
        let summary = summary.map(|s| (s.first_key().to_vec(), s.last_key().to_vec()));
        for (range, name) in [(recorded, "Statistics.db"), (summary.as_ref(), "Summary.db")] {
            if range.is_some() && range != ends.as_ref() {
                let words = format!("its first and last key are not those that {name} has");
                return Err(self.damage(DecodeError::invalid(words, 0)));
            }
        }
        Ok(())
    }

    /// The first entry of which `is_before` is false; it must be true of all entries before some place and false of all
    /// from there on.
    fn find(&self, is_before: impl Fn(&IndexEntry<'_>) -> bool) -> Result<Option<(Vec<u8>, u64)>> {
        let mut entries = self.entries_from(self.start_of_search(&is_before)?);
        while let Some(entry) = entries.next_entry()? {
            if !is_before(&entry) {
                return Ok(Some(entry.found()));
            }
        }
        Ok(None)
    }

    /// The position of an entry that lies before the one looked for, but not far; 0 at the beginning.
    fn start_of_search(&self, is_before: &impl Fn(&IndexEntry<'_>) -> bool) -> Result<u64> {
        if let Some(summary) = &self.summary
            && !self.summary_is_wrong.load(Ordering::Relaxed)
        {
            let probe = |i: u64| self.probe_summary(summary, i, is_before);
            match search(summary.entry_count(), probe) {
                Ok(start) => return Ok(start),
                Err(Probe::Failed(error)) => return Err(error),
                Err(Probe::Wrong(cause)) => {
                    tracing::info!(path = %self.file.path().display(), cause, "Summary.db does not fit Index.db, which is read once instead");
                    self.summary_is_wrong.store(true, Ordering::Relaxed);
                }
            }
        }
        let samples = match self.samples.get() {
            Some(samples) => samples,
            None => {
                let sampled = self.sample()?;
                self.samples.get_or_init(|| sampled)
            }
        };
        let probe = |i: u64| {
            let sample = usize::try_from(i).ok().and_then(|i| samples.get(i));
            let position = sample.copied().unwrap_or_default();
            let mut buf = Vec::new();
            self.entry_at(position, &mut buf).map(|entry| (position, is_before(&entry)))
        };
        search(samples.len() as u64, probe)
    }

    fn probe_summary(
        &self,
        summary: &Summary,
        i: u64,
        is_before: &impl Fn(&IndexEntry<'_>) -> bool,
    ) -> Result<(u64, bool), Probe> {
        let wrong = |error: Error| match error {
            Error::Damaged(damage) => Probe::Wrong(damage.cause),
            other => Probe::Failed(other),
        };
        let (mut key, mut buf) = (Vec::new(), Vec::new());
        let position = summary.entry(i, &mut key).map_err(wrong)?;
        // A position inside an entry gives garbage, which says nothing about Index.db.
        let entry = self.entry_at(position, &mut buf).map_err(wrong)?;
        if entry.key != key {
            let words = format!("entry {i} has another key than Index.db at {position}");
            return Err(Probe::Wrong(words));
        }
        Ok((position, is_before(&entry)))
    }

    /// Reads all of Index.db and keeps the positions of entries at even distances.
    fn sample(&self) -> Result<Vec<u64>> {
        if self.summary.is_none() {
            tracing::info!(path = %self.file.path().display(), "no usable Summary.db, reading Index.db once");
        }
        let (mut samples, mut interval, mut count) = (Vec::new(), FIRST_INTERVAL, 0_u64);
        let mut entries = self.entries();
        while let Some(entry) = entries.next_entry()? {
            if count.is_multiple_of(interval) {
                if samples.len() == MAX_SAMPLES {
                    let mut nth = 0_usize;
                    samples.retain(|_| {
                        nth += 1;
                        nth % 2 == 1
                    });
                    interval *= 2;
                }
                if count.is_multiple_of(interval) {
                    samples.push(entry.position);
                }
            }
            count += 1;
        }
        Ok(samples)
    }

    /// Reads the entry at `position`.
    fn entry_at<'a>(&'a self, position: u64, buf: &'a mut Vec<u8>) -> Result<IndexEntry<'a>> {
        let left = self.file.len().saturating_sub(position);
        let first = slice(&self.file, position, left.min(PROBE_LEN), buf)?;
        let key_len = first.first_chunk::<2>().map_or(0, |len| u16::from_be_bytes(*len));
        let needed = left.min(2 + u64::from(key_len) + 18);
        let bytes = slice(&self.file, position, needed, buf)?;
        read_entry(bytes, self.legacy, position, self.file.len())
            .map(|(entry, _)| entry)
            .map_err(|e| self.damage(e))
    }

    #[cold]
    fn damage(&self, error: DecodeError) -> Error {
        error.in_file(self.file.path()).map_damage(|damage| {
            damage.what = Some("Index.db".into());
            damage.hint = Some(HINT.into());
        })
    }
}

fn slice<'a>(
    file: &'a InputFile,
    position: u64,
    len: u64,
    buf: &'a mut Vec<u8>,
) -> Result<&'a [u8]> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    Ok(file.slice(position, len, buf)?.unwrap_or_default())
}

/// The position of the last sample that lies before what is looked for; 0 if none does. `probe` gives a sample's position
/// and whether it lies before.
fn search<E>(count: u64, mut probe: impl FnMut(u64) -> Result<(u64, bool), E>) -> Result<u64, E> {
    let (mut low, mut high, mut start) = (0, count, 0);
    while low < high {
        let middle = low + (high - low) / 2;
        match probe(middle)? {
            (position, true) => {
                start = position;
                low = middle + 1;
            }
            (_, false) => high = middle,
        }
    }
    Ok(start)
}

/// Decodes the entry at the beginning of `bytes`, which lies at `position` of a file of `file_len` bytes, and says where
/// the next one begins.
fn read_entry(
    bytes: &[u8],
    legacy: bool,
    position: u64,
    file_len: u64,
) -> Result<(IndexEntry<'_>, u64), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let mut read = || -> Result<_, DecodeError> {
        let key = r.read_bytes16("partition key")?;
        if legacy {
            let data_offset = r.read_u64("position in Data.db")?;
            return Ok((key, data_offset, r.read_u32("length of the row index")?.into()));
        }
        let data_offset = r.read_uvint("position in Data.db")?;
        Ok((key, data_offset, r.read_uvint("length of the row index")?))
    };
    let (key, data_offset, len) = read().map_err(|e| e.shifted(position))?;
    let offset = position + r.position() as u64;
    let left = file_len.saturating_sub(offset);
    if len > left {
        let what = "row index";
        return Err(DecodeError::new(
            DecodeErrorKind::Truncated { what, wanted: len, left },
            offset,
        ));
    }
    let row_index = (len > 0).then_some(RowIndexLocation { offset, len });
    Ok((IndexEntry { key, data_offset, position, row_index }, offset + len))
}

impl IndexEntry<'_> {
    fn found(&self) -> (Vec<u8>, u64) {
        (self.key.to_vec(), self.data_offset)
    }
}

/// The entries of an Index.db in order; [`IndexEntries::next_entry`] gives one after the other.
#[derive(Debug)]
pub struct IndexEntries<'a> {
    index: &'a PrimaryIndex,
    position: u64,
    window: Vec<u8>,
    window_at: u64,
    /// Data offset of the entry before.
    previous: Option<u64>,
    previous_key: Vec<u8>,
}

impl IndexEntries<'_> {
    /// The next entry; `None` at the end. It is an error if an entry does not come after the one before it, by the order
    /// of keys and by its place in Data.db.
    pub fn next_entry(&mut self) -> Result<Option<IndexEntry<'_>>> {
        let index = self.index;
        let file_len = index.file.len();
        if self.position >= file_len {
            return Ok(None);
        }
        let bytes = match index.file.mapped() {
            Some(all) => {
                usize::try_from(self.position).ok().and_then(|at| all.get(at..)).unwrap_or_default()
            }
            None => read_window(&index.file, self.position, &mut self.window, &mut self.window_at)?,
        };
        let position = self.position;
        let (entry, next) =
            read_entry(bytes, index.legacy, position, file_len).map_err(|e| index.damage(e))?;
        let invalid = |words: String| Err(index.damage(DecodeError::invalid(words, position)));
        if let Some(before) = self.previous {
            if entry.data_offset <= before {
                return invalid(format!(
                    "the partition begins at {} of Data.db, the one before it at {before}",
                    entry.data_offset
                ));
            }
            let order = index.partitioner.compare(&self.previous_key, entry.key);
            if order.is_some_and(std::cmp::Ordering::is_ge) {
                return invalid(format!(
                    "the partition key does not come after the one before it in the order of {}",
                    index.partitioner.name()
                ));
            }
        } else if position == 0 && entry.data_offset != 0 {
            return invalid(format!(
                "the first partition begins at {}, not at 0",
                entry.data_offset
            ));
        }
        self.previous = Some(entry.data_offset);
        self.previous_key.clear();
        self.previous_key.extend_from_slice(entry.key);
        self.position = next;
        Ok(Some(entry))
    }
}

/// The bytes from `position` on, as many as the beginning of an entry can have.
fn read_window<'a>(
    file: &'a InputFile,
    position: u64,
    window: &'a mut Vec<u8>,
    window_at: &mut u64,
) -> Result<&'a [u8]> {
    let left = file.len() - position;
    let end = position + left.min(MAX_HEAD_LEN);
    if position < *window_at || end > *window_at + window.len() as u64 {
        window.clear();
        slice(file, position, left.min(WINDOW_LEN), window)?;
        *window_at = position;
    }
    let at = usize::try_from(position - *window_at).unwrap_or(usize::MAX);
    Ok(window.get(at..).unwrap_or_default())
}

#[cfg(test)]
#[path = "primary_index_tests.rs"]
mod tests;
