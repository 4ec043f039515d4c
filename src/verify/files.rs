//! Data.db against its checksums: that of the whole file and those of its chunks, in one pass over it.

use crate::error::{DecodeErrorKind, Result};
use crate::io::{InputFile, ReadMode};
use crate::sstable::compression::{ChunkScratch, DataChunks};
use crate::sstable::{Component, Descriptor, DigestHasher, read_digest};

use super::checks::{CheckKind, Finding, SstableChecks};

/// Bytes that are read for the digest before their chunks are looked at, which are then still in memory.
const STEP: u64 = 1 << 20;

/// Makes both checks; `progress` is told the bytes read, as they are on disk, and may stop the work.
pub(super) fn check(
    descriptor: &Descriptor,
    mode: ReadMode,
    report: &mut SstableChecks,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let expected = match read_digest(descriptor) {
        Ok(None) => {
            let words = match descriptor.version.has_atoms() {
                true => format!("there is no {} with a checksum", descriptor.version.digest_name()),
                false => "there is no Digest.crc32".to_owned(),
            };
            report.not_possible(CheckKind::Digest, words);
            None
        }
        Ok(digest) => digest,
        Err(error) => {
            report.add_error(CheckKind::Digest, error)?;
            None
        }
    };
    let chunks = match DataChunks::open(descriptor, mode) {
        Ok(chunks) if chunks.is_checked() => Some(chunks),
        Ok(_) => {
            report.not_possible(CheckKind::Chunks, "there is no CRC.db");
            None
        }
        Err(error) => {
            report.add_error(CheckKind::Chunks, error)?;
            None
        }
    };
    let path = descriptor.path(Component::Data);
    let file = match InputFile::open(&path, mode) {
        Ok(file) => file,
        Err(error) => return report.add_error(CheckKind::Digest, error),
    };
    let mut of_chunks = chunks.as_ref().map(ChunkCheck::new);
    let mut hasher = DigestHasher::new(descriptor, chunks.as_ref());
    let (mut buf, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let len = (file.len() - at).min(STEP);
        match file.slice(at, usize::try_from(len).unwrap_or(usize::MAX), &mut buf) {
            Ok(bytes) => hasher.update(bytes.unwrap_or_default()),
            Err(error) => return report.add_error(CheckKind::Digest, error),
        }
        at += len;
        if let Some(chunks) = &mut of_chunks {
            chunks.up_to(at, report)?;
        }
        file.forget(at - len, len);
        progress(len)?;
    }
    if let Some(chunks) = &mut of_chunks {
        // What lies behind the end of a file that was cut off.
        chunks.up_to(u64::MAX, report)?;
    }
    if let Some(expected) = expected
        && let Err(found) = hasher.compare(expected)
    {
        let kind = DecodeErrorKind::Checksum { what: "Data.db", found, expected };
        report.add(CheckKind::Digest, Finding::of(path, kind.to_string()));
    }
    Ok(())
}

/// The chunks of a file, looked at while it is read.
struct ChunkCheck<'a> {
    chunks: &'a DataChunks,
    scratch: ChunkScratch,
    out: Vec<u8>,
    next: u64,
}

impl<'a> ChunkCheck<'a> {
    fn new(chunks: &'a DataChunks) -> Self {
        Self { chunks, scratch: ChunkScratch::default(), out: vec![0; chunks.chunk_len()], next: 0 }
    }

    /// Looks at all chunks that end before `offset` of the file.
    fn up_to(&mut self, offset: u64, report: &mut SstableChecks) -> Result<()> {
        while self.next < self.chunks.chunk_count()
            && (offset == u64::MAX || self.chunks.stored_offset(self.next + 1) <= offset)
        {
            let read = self.chunks.read_chunk(self.next, &mut self.scratch, &mut self.out);
            if let Err(error) = read {
                report.add_error(CheckKind::Chunks, error)?;
            }
            self.next += 1;
        }
        Ok(())
    }
}
