//! CompressionInfo.db: how Data.db is compressed and where its chunks are (`CompressionMetadata`).
//!
//! ```text
//! utf16len  class name of the compressor
//! i32 n, n × { utf16len key, utf16len value }   other options
//! i32       chunk length, uncompressed: a power of two
//! i32       from this length on a payload is stored as it is     [na and later]
//! i64       length of the uncompressed stream
//! i32       number of chunks, at least 1
//! n × i64   where each chunk begins in Data.db; the first at 0
//! u8 kind, i64 id, i32 len, dictionary, u32 CRC32C of kind, id and dictionary     [ZstdDictionaryCompressor only]
//! ```
//! A chunk ends where the next one begins, the last with the file. Some writers add a chunk of zero uncompressed bytes
//! at the end, so the number of chunks says nothing about the length of the data.
//!
//! The table can be large (8 bytes for each 16 KiB of data), so it stays where it is, in the map of the file, and each
//! entry is checked when it is used. What can be said without reading all of it is checked on opening.

use std::path::Path;
use std::sync::Arc;

use crate::error::{DecodeError, DecodeErrorKind, Result};
use crate::io::{ByteReader, Compressor, Dictionary, InputFile, ReadMode};
use crate::sstable::Version;

/// Far above what anybody configures; buffers are sized by it.
pub(super) const MAX_CHUNK_LEN: u64 = 64 << 20;
/// The table of 2 TiB in chunks of 16 KiB, where it cannot be mapped.
const MAX_UNMAPPED_LEN: u64 = 1 << 30;
/// `Integer.MAX_VALUE`: every chunk is compressed.
const NO_MAX_COMPRESSED_LEN: u32 = 0x7fff_ffff;

/// A whole small file: mapped, or read where mapping is not wanted.
#[derive(Debug)]
pub(super) enum TableFile {
    Mapped(InputFile),
    Read(Vec<u8>),
}

impl TableFile {
    pub(super) fn open(path: &Path, mode: ReadMode) -> Result<Self> {
        if mode == ReadMode::Map {
            let file = InputFile::open(path, mode)?;
            if file.mapped().is_some() {
                return Ok(Self::Mapped(file));
            }
        }
        Ok(Self::Read(InputFile::read_all(path, MAX_UNMAPPED_LEN)?))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file.mapped().unwrap_or_default(),
            Self::Read(bytes) => bytes,
        }
    }
}

/// The content of one CompressionInfo.db.
#[derive(Debug)]
pub struct CompressionInfo {
    compressor: Compressor,
    options: Vec<(String, String)>,
    chunk_len: usize,
    max_compressed_len: Option<usize>,
    data_len: u64,
    chunk_count: u64,
    dictionary: Option<Arc<Dictionary>>,
    file: TableFile,
    table_at: usize,
}

/// What stands before the table, and where the table is.
struct Parsed {
    compressor: Compressor,
    options: Vec<(String, String)>,
    chunk_len: usize,
    max_compressed_len: Option<usize>,
    data_len: u64,
    chunk_count: u64,
    dictionary: Option<Arc<Dictionary>>,
    table_at: usize,
}

impl CompressionInfo {
    /// Opens and checks `path`.
    pub fn open(path: &Path, version: Version, mode: ReadMode) -> Result<Self> {
        let file = TableFile::open(path, mode)?;
        let parsed = parse(file.bytes(), version).map_err(|e| {
            e.in_file(path).map_damage(|d| d.what = Some("CompressionInfo.db".into()))
        })?;
        let Parsed {
            compressor,
            options,
            chunk_len,
            max_compressed_len,
            data_len,
            chunk_count,
            dictionary,
            table_at,
        } = parsed;
        Ok(Self {
            compressor,
            options,
            chunk_len,
            max_compressed_len,
            data_len,
            chunk_count,
            dictionary,
            file,
            table_at,
        })
    }

    /// The compressor.
    pub fn compressor(&self) -> Compressor {
        self.compressor
    }

    /// Options besides the chunk length, such as `compression_level`.
    pub fn options(&self) -> &[(String, String)] {
        &self.options
    }

    /// Uncompressed bytes in every chunk but the last ones.
    pub fn chunk_len(&self) -> usize {
        self.chunk_len
    }

    /// From this length on a payload is stored as it is; none if all chunks are compressed.
    pub fn max_compressed_len(&self) -> Option<usize> {
        self.max_compressed_len
    }

    /// Length of the uncompressed stream.
    pub fn data_len(&self) -> u64 {
        self.data_len
    }

    /// Number of chunks in the file, one of which may be empty.
    pub fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// The dictionary, if there is one.
    pub fn dictionary(&self) -> Option<&Arc<Dictionary>> {
        self.dictionary.as_ref()
    }

    /// Where chunk `index` begins in Data.db; none if there is no such chunk.
    #[inline]
    pub fn chunk_offset(&self, index: u64) -> Option<u64> {
        if index >= self.chunk_count {
            return None;
        }
        let at = usize::try_from(index).ok()?.checked_mul(8)?.checked_add(self.table_at)?;
        let bytes = self.file.bytes().get(at..)?.first_chunk::<8>()?;
        Some(u64::from_be_bytes(*bytes))
    }

    /// Where chunk `index` lies in a Data.db of `file_len` bytes, its checksum included: offset and length, with all that
    /// can be checked about them.
    #[inline]
    pub(super) fn chunk_span(&self, index: u64, file_len: u64) -> Result<(u64, usize), String> {
        let Some(start) = self.chunk_offset(index) else {
            return Err(format!("there is no chunk {index}, only {}", self.chunk_count));
        };
        let end = if index + 1 == self.chunk_count {
            file_len
        } else {
            self.chunk_offset(index + 1).unwrap_or(file_len)
        };
        // Also stops a read of gigabytes for one bad entry of the table.
        let limit = 2 * self.chunk_len as u64 + 1024;
        if end > file_len || start >= file_len {
            return Err(format!(
                "the chunk lies at {start}..{} according to CompressionInfo.db, but Data.db has only {file_len} bytes: it is cut off",
                if start >= file_len { "end".to_owned() } else { end.to_string() },
            ));
        }
        match end.checked_sub(start) {
            Some(len) if (4..=limit).contains(&len) => {
                Ok((start, usize::try_from(len).unwrap_or(usize::MAX)))
            }
            _ => Err(format!(
                "CompressionInfo.db says that the chunk begins at {start} and the next one at {end}, with chunks of {} bytes",
                self.chunk_len
            )),
        }
    }
}

fn positive(r: &mut ByteReader<'_>, what: &'static str) -> Result<u32, DecodeError> {
    let at = r.position() as u64;
    let value = r.read_i32(what)?;
    match u32::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(DecodeError::invalid(format!("{what} is {value}"), at)),
    }
}

fn parse(bytes: &[u8], version: Version) -> Result<Parsed, DecodeError> {
    let mut r = ByteReader::new(bytes);
    let compressor = Compressor::parse(r.read_utf16len("compressor class")?)
        .map_err(|kind| DecodeError::new(kind, 0))?;

    let at = r.position() as u64;
    let count = r.read_u32("number of compressor options")?;
    // An option takes at least the two lengths of its strings.
    let limit = r.remaining() as u64 / 4;
    if u64::from(count) > limit {
        let kind = DecodeErrorKind::Limit {
            what: "number of compressor options",
            found: count.into(),
            limit,
        };
        return Err(DecodeError::new(kind, at));
    }
    let mut options = Vec::new();
    for _ in 0..count {
        let key = r.read_utf16len("compressor option")?.to_owned();
        options.push((key, r.read_utf16len("value of a compressor option")?.to_owned()));
    }

    let at = r.position() as u64;
    let chunk_len = positive(&mut r, "chunk length")?;
    if !chunk_len.is_power_of_two() || u64::from(chunk_len) > MAX_CHUNK_LEN {
        return Err(DecodeError::invalid(
            format!(
                "chunk length {chunk_len} is not a power of two of at most {MAX_CHUNK_LEN} bytes"
            ),
            at,
        ));
    }
    let max_compressed_len = if version.has_max_compressed_length() {
        match positive(&mut r, "maximum compressed length")? {
            NO_MAX_COMPRESSED_LEN => None,
            len => usize::try_from(len).ok(),
        }
    } else {
        None
    };
    let at = r.position() as u64;
    let data_len = r.read_u64("data length")?;
    if data_len > i64::MAX.cast_unsigned() {
        return Err(DecodeError::invalid(format!("data length {data_len:#x} is negative"), at));
    }

    let at = r.position() as u64;
    let chunk_count = u64::from(positive(&mut r, "number of chunks")?);
    let table_at = r.position();
    let table_len = usize::try_from(chunk_count).unwrap_or(usize::MAX).saturating_mul(8);
    let first = r.clone().read_u64("chunk table")?;
    r.skip(table_len, "chunk table")?;
    let needed = data_len.div_ceil(u64::from(chunk_len));
    if chunk_count != needed && chunk_count != needed + 1 {
        let what = "number of chunks";
        let kind = DecodeErrorKind::Mismatch { what, found: chunk_count, expected: needed };
        return Err(DecodeError::new(kind, at));
    }
    if first != 0 {
        let what = "offset of the first chunk";
        let kind = DecodeErrorKind::Mismatch { what, found: first, expected: 0 };
        return Err(DecodeError::new(kind, table_at as u64));
    }

    let dictionary = match compressor {
        Compressor::ZstdDictionary if !r.is_empty() => Some(Arc::new(read_dictionary(&mut r)?)),
        Compressor::ZstdDictionary
        | Compressor::Lz4
        | Compressor::Snappy
        | Compressor::Deflate
        | Compressor::Zstd
        | Compressor::Noop => None,
    };
    r.finish("length of CompressionInfo.db")?;
    let chunk_len = usize::try_from(chunk_len).unwrap_or(usize::MAX);
    Ok(Parsed {
        compressor,
        options,
        chunk_len,
        max_compressed_len,
        data_len,
        chunk_count,
        dictionary,
        table_at,
    })
}

/// Reads the dictionary section. Read from the source of a release that is not out; never seen in a file.
fn read_dictionary(r: &mut ByteReader<'_>) -> Result<Dictionary, DecodeError> {
    let at = r.position() as u64;
    let kind = r.read_u8("kind of dictionary")?;
    if kind != 0 {
        let what = "kind of dictionary";
        return Err(DecodeError::new(DecodeErrorKind::InvalidTag { what, value: kind.into() }, at));
    }
    let id = r.read_i64("dictionary id")?;
    let bytes = r.read_bytes32("dictionary")?;
    let expected = r.read_u32("checksum of the dictionary")?;
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&[kind]);
    digest.update(&id.to_be_bytes());
    digest.update(bytes);
    // The 32-bit algorithms leave the upper half empty.
    let found = u32::try_from(digest.finalize()).unwrap_or_default();
    if found != expected {
        let kind = DecodeErrorKind::Checksum { what: "dictionary", found, expected };
        return Err(DecodeError::new(kind, at));
    }
    Ok(Dictionary { id, bytes: bytes.to_vec() })
}

#[cfg(test)]
#[path = "info_tests.rs"]
pub(super) mod tests;
