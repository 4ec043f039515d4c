//! Digest.crc32: the CRC32 of Data.db as it is on disk, in decimal digits.
//!
//! In 2.x it is an Adler-32, in Digest.adler32 (`la`, `lb`) or Digest.sha1 (`ka`, in spite of the name). Of compressed files
//! releases up to 2.1.4 left the checksums behind the chunks out of it (CASSANDRA-8778); nothing says which release wrote a
//! file. Digest.sha1 of `jb` holds a real SHA-1, which is not compared: chunks have their own checksums.

use crate::error::{Damage, DecodeError, DecodeErrorKind, Error, ErrorClass, Result};
use crate::io::{InputFile, ReadMode};
use crate::sstable::compression::DataChunks;
use crate::sstable::{Component, Descriptor};

/// Ten digits and a line end that somebody may have added.
const MAX_LEN: u64 = 64;
const BLOCK_LEN: u64 = 1 << 20;
/// The checksum behind each compressed chunk.
const CHECKSUM_LEN: u64 = 4;

/// Reads Digest.crc32; `None` if there is none that can be compared.
pub fn read_digest(descriptor: &Descriptor) -> Result<Option<u32>> {
    if descriptor.version.has_atoms() && !descriptor.version.has_adler32_files() {
        return Ok(None);
    }
    let path = descriptor.path(Component::Digest);
    let bytes = match InputFile::read_all(&path, MAX_LEN) {
        Ok(bytes) => bytes,
        Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let digits = std::str::from_utf8(&bytes).ok().map(str::trim);
    let number = digits.filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    match number.and_then(|text| text.parse().ok()) {
        Some(digest) => Ok(Some(digest)),
        None => {
            Err(DecodeError::invalid("it is not a checksum in decimal digits", 0).in_file(&path))
        }
    }
}

/// Computes the digest of one Data.db from its bytes.
pub enum DigestHasher<'a> {
    /// CRC32.
    Crc32(crc32fast::Hasher),
    /// Adler-32: of the whole file and, where it is compressed, of the file without the checksums of its chunks.
    Adler32(simd_adler32::Adler32, Option<Payloads<'a>>),
}

/// The Adler-32 of the chunks without their checksums.
pub struct Payloads<'a> {
    adler: simd_adler32::Adler32,
    chunks: &'a DataChunks,
    /// Bytes of the file so far.
    at: u64,
    /// The chunk that the next byte is of.
    chunk: u64,
}

impl std::fmt::Debug for DigestHasher<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Crc32(_) => "Crc32",
            Self::Adler32(..) => "Adler32",
        })
    }
}

impl std::fmt::Debug for Payloads<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payloads").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Payloads<'_> {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.chunk < self.chunks.chunk_count() {
            let end = self.chunks.stored_offset(self.chunk + 1);
            let checksum = end.saturating_sub(CHECKSUM_LEN);
            let is_payload = self.at < checksum;
            let wanted = if is_payload { checksum } else { end }.saturating_sub(self.at);
            let len = usize::try_from(wanted).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
            if is_payload {
                self.adler.write(piece);
            }
            self.at += piece.len() as u64;
            bytes = rest;
            self.chunk += u64::from(self.at >= end);
        }
    }
}

impl<'a> DigestHasher<'a> {
    /// For Data.db of `descriptor`; `chunks`, where they could be opened.
    pub fn new(descriptor: &Descriptor, chunks: Option<&'a DataChunks>) -> Self {
        if !descriptor.version.has_adler32_files() {
            return Self::Crc32(crc32fast::Hasher::new());
        }
        let payloads = chunks.filter(|chunks| chunks.compression().is_some()).map(|chunks| {
            Payloads { adler: simd_adler32::Adler32::new(), chunks, at: 0, chunk: 0 }
        });
        Self::Adler32(simd_adler32::Adler32::new(), payloads)
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(crc) => crc.update(bytes),
            Self::Adler32(adler, payloads) => {
                adler.write(bytes);
                if let Some(payloads) = payloads {
                    payloads.update(bytes);
                }
            }
        }
    }

    /// Compares with the digest that is recorded; the one that was computed if it is another.
    pub fn compare(self, expected: u32) -> Result<(), u32> {
        let found = match self {
            Self::Crc32(crc) => crc.finalize(),
            Self::Adler32(adler, payloads) => {
                if payloads.is_some_and(|payloads| payloads.adler.finish() == expected) {
                    return Ok(());
                }
                adler.finish()
            }
        };
        if found == expected { Ok(()) } else { Err(found) }
    }
}

/// Compares Data.db with its digest, reading it once from beginning to end. `progress` is told of every block that was read,
/// and stops the work by an error. False if there is no digest; an error if they differ.
pub fn verify_digest(
    descriptor: &Descriptor,
    mut progress: impl FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let Some(expected) = read_digest(descriptor)? else { return Ok(false) };
    let path = descriptor.path(Component::Data);
    let chunks = match descriptor.version.has_adler32_files() {
        true => DataChunks::open(descriptor, ReadMode::Read).ok(),
        false => None,
    };
    let mut hasher = DigestHasher::new(descriptor, chunks.as_ref());
    let file = InputFile::open(&path, ReadMode::Read)?;
    let (mut buf, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let len = (file.len() - at).min(BLOCK_LEN);
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        hasher.update(file.slice(at, wanted, &mut buf)?.unwrap_or_default());
        at += len;
        progress(len)?;
    }
    if let Err(found) = hasher.compare(expected) {
        return Err(Error::Damaged(Box::new(Damage {
            path,
            what: Some("Data.db".into()),
            format: Some(descriptor.version.to_string()),
            table: None,
            offset: None,
            chunk: None,
            partition_key: None,
            cause: DecodeErrorKind::Checksum { what: "the file", found, expected }.to_string(),
            hint: Some(
                "the checksums of its chunks tell where it is damaged; restore it from another copy or a snapshot"
                    .into(),
            ),
            class: ErrorClass::Corrupt,
        })));
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sstable::fixtures::sstables;

    #[test]
    fn real_files_have_the_digest_that_is_recorded() {
        for descriptor in sstables() {
            let mut read = 0;
            let verified = verify_digest(&descriptor, |len| {
                read += len;
                Ok(())
            });
            assert!(verified.unwrap_or_else(|e| panic!("{e}")), "{descriptor}");
            assert_eq!(read, descriptor.path(Component::Data).metadata().unwrap().len());
        }
    }

    #[test]
    fn a_difference_is_damage_and_no_digest_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("nb-1-big-Data.db");
        let (descriptor, _) = Descriptor::parse(&name).unwrap().unwrap();
        let data: Vec<u8> = (0..750_000_u32).flat_map(u32::to_be_bytes).collect();
        std::fs::write(&name, &data).unwrap();
        let quiet = |_| Ok(());
        assert!(!verify_digest(&descriptor, quiet).unwrap());
        let digest = descriptor.path(Component::Digest);
        std::fs::write(&digest, format!("{}\n", crc32fast::hash(&data))).unwrap();
        assert!(verify_digest(&descriptor, quiet).unwrap());
        let stopped = verify_digest(&descriptor, |_| Err(Error::Stopped(15)));
        assert_eq!(stopped.unwrap_err().class(), ErrorClass::Stopped(15));
        std::fs::write(&digest, "4711").unwrap();
        let error = verify_digest(&descriptor, quiet).unwrap_err();
        assert!(error.to_string().contains("checksum") && error.hint().is_some(), "{error}");
        for bad in ["", "-1", "4294967296", "abc", "\u{00e9}", &"1".repeat(100)] {
            std::fs::write(&digest, bad).unwrap();
            assert_eq!(read_digest(&descriptor).unwrap_err().class(), ErrorClass::Corrupt);
        }
    }
}
