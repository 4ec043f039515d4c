//! Summary.db: every 128th entry of Index.db (`IndexSummary`), fewer where memory was short.
//!
//! ```text
//! i32 entries of Index.db for each entry here, at full sampling
//! i32 n        number of entries
//! i64          length of the offsets and the entries
//! i32          sampling level, 128 for full         [not in jb]
//! i32          number of entries at full sampling   [not in jb]
//! n × u32 LE   offset of the entry, from the start of these offsets
//! entries      key, u64 LE position in Index.db
//! bytes32, bytes32   first and last key of the SSTable
//! boundaries of the maps of Index.db and Data.db       [2.x]
//! ```
//! The little-endian numbers are in the byte order of the machine that wrote them; no other one is known to occur. A node
//! may replace the file, so it is read and not mapped; the entries are read one by one, when a search asks for them.

use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile, ReadMode};
use crate::sstable::{Component, Descriptor, Version};

const HEADER_LEN: u64 = 24;
const SHORT_HEADER_LEN: u64 = 16;
/// `Downsampling.BASE_SAMPLING_LEVEL`.
const FULL_SAMPLING: u64 = 128;
const POSITION_LEN: u64 = 8;
const MAX_KEY_LEN: u64 = 65_535;

/// An open Summary.db.
#[derive(Debug)]
pub struct Summary {
    file: InputFile,
    header_len: u64,
    index_interval: u64,
    entry_count: u64,
    summary_len: u64,
    sampling_level: u64,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
}

impl Summary {
    /// Opens Summary.db of `descriptor`; `None` if there is none.
    pub fn open(descriptor: &Descriptor) -> Result<Option<Self>> {
        let path = descriptor.path(Component::Summary);
        match InputFile::open(&path, ReadMode::Read) {
            Ok(file) => Self::read(file, descriptor.version).map(Some),
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(file: InputFile, version: Version) -> Result<Self> {
        let mut buf = Vec::new();
        let header_len =
            if version.has_summary_sampling_level() { HEADER_LEN } else { SHORT_HEADER_LEN };
        let header = slice(&file, 0, header_len, &mut buf, "header")?;
        let parsed = read_header(header, file.len()).map_err(|e| e.in_file(file.path()))?;
        let (index_interval, entry_count, summary_len, sampling_level) = parsed;
        let keys_at = header_len + summary_len;
        // Two keys with their lengths. What a damaged length claims beyond that is not read.
        let keys_len = (file.len() - keys_at).min(2 * (4 + MAX_KEY_LEN));
        let keys = slice(&file, keys_at, keys_len, &mut buf, "first and last key")?;
        let (first_key, last_key) =
            read_keys(keys).map_err(|e| e.shifted(keys_at).in_file(file.path()))?;
        let end = keys_at + 8 + (first_key.len() + last_key.len()) as u64;
        // What 2.x writes behind the keys depends on how the node reads its files.
        if end != file.len() && !version.has_atoms() {
            let what = "length of Summary.db";
            let kind = DecodeErrorKind::Mismatch { what, found: file.len(), expected: end };
            return Err(DecodeError::new(kind, end).in_file(file.path()));
        }
        Ok(Self {
            file,
            header_len,
            index_interval,
            entry_count,
            summary_len,
            sampling_level,
            first_key,
            last_key,
        })
    }

    /// Number of entries.
    pub fn entry_count(&self) -> u64 {
        self.entry_count
    }

    /// The first partition key of the SSTable.
    pub fn first_key(&self) -> &[u8] {
        &self.first_key
    }

    /// The last partition key of the SSTable.
    pub fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// About how many partitions there are: off by less than the distance of two entries.
    pub fn estimated_partition_count(&self) -> u64 {
        let distance = self.index_interval.saturating_mul(FULL_SAMPLING) / self.sampling_level;
        self.entry_count.saturating_mul(distance)
    }

    /// Reads entry `index`: its key into `key`, and its position in Index.db.
    pub fn entry(&self, index: u64, key: &mut Vec<u8>) -> Result<u64> {
        if index >= self.entry_count {
            let n = self.entry_count;
            return Err(Error::Bug(format!("entry {index} of {n} of Summary.db asked for")));
        }
        let is_last = index + 1 == self.entry_count;
        let at = self.header_len + 4 * index;
        let offsets = slice(&self.file, at, if is_last { 4 } else { 8 }, key, "offset")?;
        let mut numbers = offsets
            .chunks_exact(4)
            .map(|number| u64::from(u32::from_le_bytes(number.try_into().unwrap_or_default())));
        let start = numbers.next().unwrap_or_default();
        let end = if is_last { self.summary_len } else { numbers.next().unwrap_or_default() };
        let len = end.saturating_sub(start);
        if start < 4 * self.entry_count
            || end > self.summary_len
            || !(POSITION_LEN..=POSITION_LEN + MAX_KEY_LEN).contains(&len)
        {
            let words = format!("entry {index} lies at {start}..{end} of {}", self.summary_len);
            return Err(DecodeError::invalid(words, at).in_file(self.file.path()));
        }
        slice(&self.file, self.header_len + start, len, key, "entry")?;
        let position = key.last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
        key.truncate(key.len().saturating_sub(8));
        Ok(position.unwrap_or_default())
    }
}

/// Reads into `buf`, which is then exactly what was asked for.
fn slice<'a>(
    file: &'a InputFile,
    offset: u64,
    len: u64,
    buf: &'a mut Vec<u8>,
    what: &'static str,
) -> Result<&'a [u8]> {
    let wanted = usize::try_from(len).unwrap_or(usize::MAX);
    file.slice(offset, wanted, buf)?.ok_or_else(|| {
        let left = file.len().saturating_sub(offset);
        DecodeError::new(DecodeErrorKind::Truncated { what, wanted: len, left }, offset)
            .in_file(file.path())
    })
}

fn read_header(bytes: &[u8], file_len: u64) -> Result<(u64, u64, u64, u64), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let index_interval = r.read_u32("index interval")?;
    let entry_count = u64::from(r.read_u32("number of entries")?);
    let summary_len = r.read_u64("length of the summary")?;
    let mut sampling_level = FULL_SAMPLING;
    if !r.is_empty() {
        sampling_level = u64::from(r.read_u32("sampling level")?);
        r.skip(4, "number of entries at full sampling")?;
    }
    let header_len = r.position() as u64;
    if index_interval == 0 || index_interval > i32::MAX.cast_unsigned() {
        return Err(DecodeError::invalid(format!("index interval is {index_interval}"), 0));
    }
    if !(1..=FULL_SAMPLING).contains(&sampling_level) {
        return Err(DecodeError::invalid(format!("sampling level is {sampling_level}"), 16));
    }
    // Behind the summary stand the lengths of two keys; an entry has at least an offset and a position.
    if summary_len > file_len.saturating_sub(header_len + 8) {
        let what = "length of the summary";
        let kind =
            DecodeErrorKind::Limit { what, found: summary_len, limit: file_len - header_len };
        return Err(DecodeError::new(kind, 8));
    }
    let limit = summary_len / (4 + POSITION_LEN);
    if entry_count > limit {
        let what = "number of entries";
        return Err(DecodeError::new(
            DecodeErrorKind::Limit { what, found: entry_count, limit },
            4,
        ));
    }
    Ok((index_interval.into(), entry_count, summary_len, sampling_level))
}

fn read_keys(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let first = r.read_bytes32("first key")?.to_vec();
    Ok((first, r.read_bytes32("last key")?.to_vec()))
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
