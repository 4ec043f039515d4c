//! The bytes of sections: as they stand in the file, or unpacked into memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::descriptor::CommitLogDescriptor;
use super::encryption::{ChunkCipher, EncryptionKeys};
use crate::error::{DecodeErrorKind, Error, Result};
use crate::io::{Compressor, Decompressors};

/// End of the section and checksum.
pub(super) const MARKER_LEN: u64 = 8;
/// The marker, and the uncompressed length of a compressed or encrypted section.
const PACKED_HEAD_LEN: u64 = MARKER_LEN + 4;
/// A section holds what was written between two syncs, at most a segment (32 MiB unless configured otherwise). It is unpacked
/// in one piece, so this bounds the memory of a reader.
const MAX_SECTION_LEN: u64 = 512 << 20;
/// How much of a plain section is read at once.
const WINDOW_LEN: u64 = 256 << 10;

/// Reads up to `len` bytes at `offset` into `out`: fewer where the file ends.
pub(super) fn read_at_most(
    file: &File,
    path: &Path,
    offset: u64,
    len: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.resize(len, 0);
    let mut filled = 0;
    while let Some(space) = out.get_mut(filled..).filter(|space| !space.is_empty()) {
        match file.read_at(space, offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => {
                return Err(Error::Input { action: "read", path: path.to_path_buf(), source });
            }
        }
    }
    out.truncate(filled);
    Ok(())
}

/// A section was unpacked.
pub(super) struct SectionBytes;

#[derive(Debug)]
enum Packing {
    Plain,
    Compressed(Compressor),
    Encrypted(ChunkCipher),
}

/// The file, and what is in memory of the section at hand.
#[derive(Debug)]
pub(super) struct SectionReader {
    file: File,
    path: PathBuf,
    packing: Packing,
    decompressors: Decompressors,
    /// The bytes as they stand in the file, of packed sections.
    stored: Vec<u8>,
    /// A part of a plain section, or all of an unpacked one; where in the section it begins.
    window: Vec<u8>,
    window_at: u64,
    /// Where the section at hand begins and ends in the file, if it is plain.
    file_start: u64,
    file_end: u64,
}

fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

impl SectionReader {
    pub(super) fn new(
        file: File,
        path: &Path,
        descriptor: &CommitLogDescriptor,
        keys: &EncryptionKeys,
    ) -> Result<Self> {
        let packing = match (&descriptor.encryption, descriptor.compressor) {
            (Some(parameters), _) => Packing::Encrypted(keys.cipher(parameters, path)?),
            (None, Some(compressor)) => Packing::Compressed(compressor),
            (None, None) => Packing::Plain,
        };
        Ok(Self {
            file,
            path: path.to_path_buf(),
            packing,
            decompressors: Decompressors::default(),
            stored: Vec::new(),
            window: Vec::new(),
            window_at: 0,
            file_start: 0,
            file_end: 0,
        })
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self.packing, Packing::Plain)
    }

    pub(super) fn file_len(&self) -> Result<u64> {
        let fail =
            |source| Error::Input { action: "read the size of", path: self.path.clone(), source };
        Ok(self.file.metadata().map_err(fail)?.len())
    }

    fn read_at_most(&self, offset: u64, len: usize, out: &mut Vec<u8>) -> Result<()> {
        read_at_most(&self.file, &self.path, offset, len, out)
    }

    fn vanished(&self) -> Error {
        Error::Input {
            action: "read",
            path: self.path.clone(),
            source: std::io::Error::new(
                std::io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was read",
            ),
        }
    }

    /// Reads exactly `len` bytes of which the file had all.
    fn read_all(&self, offset: u64, len: u64, out: &mut Vec<u8>) -> Result<()> {
        self.read_at_most(offset, to_usize(len), out)?;
        if out.len() as u64 == len { Ok(()) } else { Err(self.vanished()) }
    }

    /// The two numbers of the marker at `offset`, if it is there.
    pub(super) fn marker(&self, offset: u64) -> Result<Option<[u32; 2]>> {
        let mut bytes = [0; 8];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => {
                let [a, b, c, d, e, f, g, h] = bytes;
                Ok(Some([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]))
            }
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => Err(Error::Input { action: "read", path: self.path.clone(), source }),
        }
    }

    /// True if the bytes from `start` to `end` are zeros.
    pub(super) fn is_zero(&self, start: u64, end: u64) -> Result<bool> {
        let mut buf = Vec::new();
        let mut at = start;
        while at < end {
            self.read_at_most(at, to_usize((end - at).min(WINDOW_LEN)), &mut buf)?;
            if buf.is_empty() {
                break;
            }
            if buf.iter().any(|&b| b != 0) {
                return Ok(false);
            }
            at += buf.len() as u64;
        }
        Ok(true)
    }

    /// The length that the packed section between `start` and `end` says its entries have.
    pub(super) fn declared_len(
        &self,
        start: u64,
        end: u64,
    ) -> Result<Result<u64, DecodeErrorKind>> {
        if end - start < PACKED_HEAD_LEN {
            return Ok(Err(DecodeErrorKind::Truncated {
                what: "uncompressed length of a section",
                wanted: PACKED_HEAD_LEN,
                left: end - start,
            }));
        }
        let mut bytes = Vec::new();
        self.read_all(start + MARKER_LEN, 4, &mut bytes)?;
        let len = bytes.first_chunk::<4>().map_or(0, |b| u64::from(u32::from_be_bytes(*b)));
        if len > MAX_SECTION_LEN {
            return Ok(Err(DecodeErrorKind::Limit {
                what: "uncompressed length of a section",
                found: len,
                limit: MAX_SECTION_LEN,
            }));
        }
        Ok(Ok(len))
    }

    /// Unpacks the section between `start` and `end`, whose entries have `len` bytes.
    pub(super) fn unpack(
        &mut self,
        start: u64,
        end: u64,
        len: u64,
    ) -> Result<Result<SectionBytes, DecodeErrorKind>> {
        let stored_len = end - start - PACKED_HEAD_LEN;
        if stored_len > MAX_SECTION_LEN {
            return Ok(Err(DecodeErrorKind::Limit {
                what: "length of a section",
                found: stored_len,
                limit: MAX_SECTION_LEN,
            }));
        }
        let mut stored = std::mem::take(&mut self.stored);
        self.forget();
        self.read_all(start + PACKED_HEAD_LEN, stored_len, &mut stored)?;
        let window = &mut self.window;
        let unpacked = match &self.packing {
            Packing::Plain => Ok(()),
            Packing::Compressed(compressor) => {
                decompress(*compressor, &mut self.decompressors, &stored, to_usize(len), window)
            }
            Packing::Encrypted(cipher) => {
                cipher.decrypt_section(&mut stored, to_usize(len), &mut self.decompressors, window)
            }
        };
        self.stored = stored;
        Ok(unpacked.map(|()| SectionBytes))
    }

    /// Forgets what was read.
    pub(super) fn forget(&mut self) {
        self.window.clear();
        self.window_at = 0;
    }

    /// Takes the bytes of a plain section from `start` to `end` in the file, and none behind.
    pub(super) fn show_file(&mut self, start: u64, end: u64) {
        self.forget();
        self.file_start = start;
        self.file_end = end;
    }

    /// The bytes of the section at hand from `at` on, `len` of them, which are there.
    pub(super) fn bytes(&mut self, at: u64, len: u64) -> Result<&[u8]> {
        if self.held(at, len).is_none() && self.is_plain() {
            let mut window = std::mem::take(&mut self.window);
            self.forget();
            let start = self.file_start + at;
            let wanted = len.max(WINDOW_LEN).min(self.file_end.saturating_sub(start));
            self.read_at_most(start, to_usize(wanted), &mut window)?;
            self.window = window;
            self.window_at = at;
        }
        match self.held(at, len) {
            Some(bytes) => Ok(bytes),
            None => Err(self.vanished()),
        }
    }

    /// The same, of what is in memory.
    pub(super) fn held(&self, at: u64, len: u64) -> Option<&[u8]> {
        let start = to_usize(at.checked_sub(self.window_at)?);
        self.window.get(start..start.checked_add(to_usize(len))?)
    }
}

/// Decompresses `payload` into `out`, which becomes `len` bytes long. Where the block itself says how long it is, that is
/// compared first, so that a wrong length does not take memory.
pub(super) fn decompress(
    compressor: Compressor,
    decompressors: &mut Decompressors,
    payload: &[u8],
    len: usize,
    out: &mut Vec<u8>,
) -> Result<(), DecodeErrorKind> {
    let said = match compressor {
        Compressor::Lz4 => payload.first_chunk::<4>().map(|b| u64::from(u32::from_le_bytes(*b))),
        Compressor::Snappy => snap::raw::decompress_len(payload).ok().map(|n| n as u64),
        Compressor::Noop => Some(payload.len() as u64),
        Compressor::Deflate | Compressor::Zstd | Compressor::ZstdDictionary => None,
    };
    if let Some(said) = said.filter(|&said| said != len as u64) {
        return Err(DecodeErrorKind::Mismatch {
            what: "uncompressed length of the section",
            found: said,
            expected: len as u64,
        });
    }
    out.clear();
    out.resize(len, 0);
    decompressors.decompress(compressor, None, payload, len, out)
}
