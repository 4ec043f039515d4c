//! [`DataChunks`]: an open Data.db, read chunk by chunk, every checksum verified before anything else is done.
//!
//! Three layouts:
//!
//! * compressed, with a CompressionInfo.db: a chunk is `payload ++ u32 CRC32 of the payload`, of 2.x the Adler-32;
//! * not compressed, with a CRC.db (`i32 chunk length`, then one `u32 CRC32` a chunk, maybe one more of an empty
//!   chunk; Adler-32 in `ka`, `la` and `lb`);
//! * not compressed and without CRC.db: nothing to check ([`DataChunks::is_checked`]).
//!
//! This is the hot path: [`DataChunks::read_chunk`] allocates nothing once its scratch has grown.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::info::{CompressionInfo, MAX_CHUNK_LEN, TableFile};
use crate::error::{Damage, DecodeError, DecodeErrorKind, Error, ErrorClass, Result};
use crate::io::{ByteReader, Decompressors, InputFile, ReadMode};
use crate::sstable::{Component, Descriptor, Toc, Version};

/// Chunks of an uncompressed Data.db without CRC.db.
const PLAIN_CHUNK_LEN: usize = 64 << 10;
/// Every chunk of a compressed Data.db ends with its CRC32.
const CHECKSUM_LEN: usize = 4;
const HINT: &str = "restore this file from another copy or a snapshot; --on-corrupt=skip goes on without this range";

/// Buffers and decompressors that a reader keeps from chunk to chunk.
#[derive(Debug, Default)]
pub struct ChunkScratch {
    stored: Vec<u8>,
    decompressors: Decompressors,
}

/// An open Data.db.
#[derive(Debug)]
pub struct DataChunks {
    data: InputFile,
    version: Version,
    layout: Layout,
    chunk_len: usize,
    data_len: u64,
    chunk_count: u64,
    /// Bytes read and not given back by readers that have ended.
    left_behind: AtomicU64,
}

#[derive(Debug)]
enum Layout {
    Compressed(CompressionInfo),
    Checked(TableFile),
    Unchecked,
}

/// Opens what may be missing.
fn optional<T>(opened: Result<T>) -> Result<Option<T>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl DataChunks {
    /// Opens Data.db of `descriptor` with what describes its chunks.
    pub fn open(descriptor: &Descriptor, mode: ReadMode) -> Result<Self> {
        let version = descriptor.version;
        let data = InputFile::open(&descriptor.path(Component::Data), mode)?;
        let info_path = descriptor.path(Component::CompressionInfo);
        if let Some(info) = optional(CompressionInfo::open(&info_path, version, mode))? {
            return Ok(Self {
                data,
                version,
                chunk_len: info.chunk_len(),
                data_len: info.data_len(),
                chunk_count: info.chunk_count(),
                layout: Layout::Compressed(info),
                left_behind: AtomicU64::new(0),
            });
        }
        let toc = Toc::read(descriptor)?.unwrap_or_default();
        if toc.lists(&Component::CompressionInfo) {
            return Err(Error::Missing {
                what: format!(
                    "{} is missing, and without it Data.db cannot be decompressed (TOC.txt lists it)",
                    info_path.display()
                ),
                hint: Some("copy all files of the SSTable, or restore it from a snapshot".into()),
            });
        }
        let crc_path = descriptor.path(Component::Crc);
        let Some(crcs) = optional(TableFile::open(&crc_path, mode))? else {
            if toc.lists(&Component::Crc) {
                tracing::warn!(path = %crc_path.display(), "CRC.db is missing, damage in Data.db will not be noticed by checksum");
            }
            let data_len = data.len();
            return Ok(Self {
                data,
                version,
                layout: Layout::Unchecked,
                chunk_len: PLAIN_CHUNK_LEN,
                data_len,
                chunk_count: data_len.div_ceil(PLAIN_CHUNK_LEN as u64),
                left_behind: AtomicU64::new(0),
            });
        };
        let (chunk_len, data_len, chunk_count) = read_crc_header(crcs.bytes(), data.len())
            .map_err(|e| e.in_file(&crc_path).map_damage(|d| d.what = Some("CRC.db".into())))?;
        let layout = Layout::Checked(crcs);
        let left_behind = AtomicU64::new(0);
        Ok(Self { data, version, layout, chunk_len, data_len, chunk_count, left_behind })
    }

    /// Length of the uncompressed stream.
    pub fn data_len(&self) -> u64 {
        self.data_len
    }

    /// Uncompressed bytes in a chunk; the last ones may have fewer.
    pub fn chunk_len(&self) -> usize {
        self.chunk_len
    }

    /// Number of chunks in the file: as many as hold data, and maybe an empty one behind them.
    pub fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// Length of Data.db as it is on disk.
    pub fn stored_len(&self) -> u64 {
        self.data.len()
    }

    /// Name of the compressor, `none` without one.
    pub fn compression_name(&self) -> &'static str {
        match &self.layout {
            Layout::Compressed(info) => info.compressor().name(),
            Layout::Checked(_) | Layout::Unchecked => "none",
        }
    }

    /// The compression, if there is one.
    pub fn compression(&self) -> Option<&CompressionInfo> {
        match &self.layout {
            Layout::Compressed(info) => Some(info),
            Layout::Checked(_) | Layout::Unchecked => None,
        }
    }

    /// True if every chunk has a checksum.
    pub fn is_checked(&self) -> bool {
        !matches!(self.layout, Layout::Unchecked)
    }

    /// The path of Data.db.
    pub fn path(&self) -> &Path {
        self.data.path()
    }

    /// Uncompressed bytes in chunk `index`; none in an empty chunk at the end.
    #[inline]
    pub fn uncompressed_len(&self, index: u64) -> usize {
        let start = index.saturating_mul(self.chunk_len as u64);
        let left = self.data_len.saturating_sub(start);
        usize::try_from(left).unwrap_or(usize::MAX).min(self.chunk_len)
    }

    /// Reads chunk `index` into the beginning of `out`, which must have room for [`DataChunks::chunk_len`] bytes, and
    /// returns how many it has. What lies behind them in `out` may be overwritten. Slack of 64 bytes behind the chunk
    /// makes LZ4 faster.
    pub fn read_chunk(
        &self,
        index: u64,
        scratch: &mut ChunkScratch,
        out: &mut [u8],
    ) -> Result<usize> {
        if index >= self.chunk_count || out.len() < self.chunk_len {
            return Err(Error::Bug(format!(
                "chunk {index} of {} asked for, buffer {} of {} bytes",
                self.chunk_count,
                out.len(),
                self.chunk_len
            )));
        }
        let expected = self.uncompressed_len(index);
        match &self.layout {
            Layout::Compressed(info) => {
                self.read_compressed(info, index, expected, scratch, out)?
            }
            Layout::Checked(crcs) => {
                let at = usize::try_from(index).unwrap_or(usize::MAX).saturating_mul(4);
                let recorded = crcs
                    .bytes()
                    .get(at.saturating_add(4)..)
                    .and_then(|rest| rest.first_chunk::<4>())
                    .ok_or_else(|| {
                        self.damage(index, "CRC.db has no checksum for the chunk".into())
                    })?;
                let recorded = u32::from_be_bytes(*recorded);
                self.read_plain(index, expected, Some(recorded), scratch, out)?;
            }
            Layout::Unchecked => self.read_plain(index, expected, None, scratch, out)?,
        }
        Ok(expected)
    }

    fn read_compressed(
        &self,
        info: &CompressionInfo,
        index: u64,
        expected: usize,
        scratch: &mut ChunkScratch,
        out: &mut [u8],
    ) -> Result<()> {
        let (offset, len) =
            info.chunk_span(index, self.data.len()).map_err(|cause| self.damage(index, cause))?;
        let stored = self.data.slice(offset, len, &mut scratch.stored)?.unwrap_or_default();
        let Some((payload, recorded)) = stored.split_last_chunk::<CHECKSUM_LEN>() else {
            return Err(self.damage(index, format!("the chunk has only {len} bytes")));
        };
        self.check(index, payload, u32::from_be_bytes(*recorded))?;
        if expected == 0 {
            // The surplus chunk some writers add. Deflate's has no payload at all, which zlib would not take.
            return Ok(());
        }
        match info.max_compressed_len() {
            Some(limit) if payload.len() >= limit => {
                // Stored as it is; a last chunk that is shorter than the limit is filled up with zeros to it.
                let wanted = expected.max(limit);
                match (payload.get(..expected), out.get_mut(..expected)) {
                    (Some(raw), Some(place)) if payload.len() == wanted => {
                        place.copy_from_slice(raw);
                        Ok(())
                    }
                    _ => Err(self.damage(
                        index,
                        format!(
                            "the uncompressed chunk has {} bytes, {wanted} expected",
                            payload.len()
                        ),
                    )),
                }
            }
            _ => scratch
                .decompressors
                .decompress(info.compressor(), info.dictionary(), payload, expected, out)
                .map_err(|kind| self.damage(index, kind.to_string())),
        }
    }

    fn read_plain(
        &self,
        index: u64,
        expected: usize,
        recorded: Option<u32>,
        scratch: &mut ChunkScratch,
        out: &mut [u8],
    ) -> Result<()> {
        if expected == 0 {
            return Ok(());
        }
        let offset = index.saturating_mul(self.chunk_len as u64);
        let stored = self.data.slice(offset, expected, &mut scratch.stored)?;
        let (Some(stored), Some(place)) = (stored, out.get_mut(..expected)) else {
            return Err(self.damage(
                index,
                format!(
                    "CRC.db has checksums of {} chunks, but Data.db has only {} bytes: it is cut off",
                    self.chunk_count,
                    self.data.len()
                ),
            ));
        };
        if let Some(recorded) = recorded {
            self.check(index, stored, recorded)?;
        }
        place.copy_from_slice(stored);
        Ok(())
    }

    #[inline]
    fn check(&self, index: u64, bytes: &[u8], recorded: u32) -> Result<()> {
        let adler32 = match &self.layout {
            Layout::Compressed(_) => self.version.has_adler32_chunks(),
            Layout::Checked(_) | Layout::Unchecked => self.version.has_adler32_files(),
        };
        let found = if adler32 { simd_adler32::adler32(&bytes) } else { crc32fast::hash(bytes) };
        if found != recorded {
            let kind = DecodeErrorKind::Checksum { what: "chunk", found, expected: recorded };
            return Err(self.damage(index, kind.to_string()));
        }
        Ok(())
    }

    /// Where chunk `index` begins in Data.db; the end of the file for those behind the last.
    pub fn stored_offset(&self, index: u64) -> u64 {
        let len = self.data.len();
        match &self.layout {
            Layout::Compressed(info) => info.chunk_offset(index).map_or(len, |at| at.min(len)),
            Layout::Checked(_) | Layout::Unchecked => {
                index.saturating_mul(self.chunk_len as u64).min(len)
            }
        }
    }

    /// Gives back the page cache of a part of Data.db, as it is on disk, that is not needed again.
    pub fn forget(&self, offset: u64, len: u64) {
        self.data.forget(offset, len);
    }

    /// Notes that a reader has ended that read so many bytes and did not give them back. Many short ones would have all of the
    /// file mapped in the end: when it is `most` that they left, all is given back.
    pub fn leave_behind(&self, bytes: u64, most: u64) {
        let before = self.left_behind.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) >= most {
            self.left_behind.store(0, Ordering::Relaxed);
            self.forget(0, self.stored_len());
        }
    }

    /// Format version and compressor, as errors name them.
    pub fn format_name(&self) -> String {
        match &self.layout {
            Layout::Compressed(info) => format!("{}, {}", self.version, info.compressor().name()),
            Layout::Checked(_) | Layout::Unchecked => format!("{}, uncompressed", self.version),
        }
    }

    #[cold]
    fn damage(&self, index: u64, cause: String) -> Error {
        Error::Damaged(Box::new(Damage {
            path: self.data.path().to_path_buf(),
            what: Some("chunk".into()),
            format: Some(self.format_name()),
            table: None,
            offset: Some(index.saturating_mul(self.chunk_len as u64)),
            chunk: Some(index),
            partition_key: None,
            cause,
            hint: Some(HINT.into()),
            class: ErrorClass::Corrupt,
        }))
    }
}

/// Chunk length, length of the data and number of chunks according to a CRC.db beside a Data.db of `file_len` bytes.
///
/// If it has checksums of more chunks than the file has, the file is cut off: the length is then that up to which there
/// must have been data, so that a reader meets the missing part instead of an end.
fn read_crc_header(bytes: &[u8], file_len: u64) -> Result<(usize, u64, u64), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let chunk_len = r.read_u32("chunk length")?;
    if chunk_len == 0 || u64::from(chunk_len) > MAX_CHUNK_LEN {
        let what = "chunk length";
        let kind = DecodeErrorKind::Limit { what, found: chunk_len.into(), limit: MAX_CHUNK_LEN };
        return Err(DecodeError::new(kind, 0));
    }
    if !r.remaining().is_multiple_of(4) {
        return Err(r.invalid("the list of checksums ends inside a checksum"));
    }
    let listed = r.remaining() as u64 / 4;
    let last_is_empty = r.rest().ends_with(&[0; 4]);
    let with_data = if last_is_empty { listed.saturating_sub(1) } else { listed };
    let needed = file_len.div_ceil(u64::from(chunk_len));
    let at_least = match with_data.checked_sub(1) {
        Some(before) if with_data > needed => {
            before.saturating_mul(chunk_len.into()).saturating_add(1)
        }
        _ => 0,
    };
    let chunk_len = usize::try_from(chunk_len).unwrap_or(usize::MAX);
    Ok((chunk_len, file_len.max(at_least), listed.max(needed)))
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
