//! Digest.crc32: the CRC32 of Data.db as it is on disk, in decimal digits.

use std::path::Path;

use crate::error::{Damage, DecodeError, DecodeErrorKind, Error, ErrorClass, Result};
use crate::io::{InputFile, ReadMode};
use crate::sstable::{Component, Descriptor};

/// Ten digits and a line end that somebody may have added.
const MAX_LEN: u64 = 64;
const BLOCK_LEN: u64 = 1 << 20;

/// Reads Digest.crc32; `None` if there is none.
pub fn read_digest(descriptor: &Descriptor) -> Result<Option<u32>> {
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
        None => Err(DecodeError::invalid("it is not a CRC32 in decimal digits", 0).in_file(&path)),
    }
}

/// Computes the digest of the file at `path`, reading it once from beginning to end. `progress` is told of every block
/// that was read, and stops the work by an error.
pub fn compute_digest(path: &Path, mut progress: impl FnMut(u64) -> Result<()>) -> Result<u32> {
    let file = InputFile::open(path, ReadMode::Read)?;
    let mut crc = crc32fast::Hasher::new();
    let (mut buf, mut at) = (Vec::new(), 0);
    while at < file.len() {
        let len = (file.len() - at).min(BLOCK_LEN);
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        crc.update(file.slice(at, wanted, &mut buf)?.unwrap_or_default());
        at += len;
        progress(len)?;
    }
    Ok(crc.finalize())
}

/// Compares Data.db with its digest. False if there is no digest; an error if they differ.
pub fn verify_digest(
    descriptor: &Descriptor,
    progress: impl FnMut(u64) -> Result<()>,
) -> Result<bool> {
    let Some(expected) = read_digest(descriptor)? else { return Ok(false) };
    let path = descriptor.path(Component::Data);
    let found = compute_digest(&path, progress)?;
    if found != expected {
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
