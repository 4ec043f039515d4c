//! `CommitLog-<version>-<id>_cdc.idx`: how far a segment in `cdc_raw` is synced (CASSANDRA-12148, 4.0 and later).
//!
//! ```text
//! decimal offset                    rewritten at every sync of a segment with CDC data
//! decimal offset, 0a, COMPLETED     the segment is closed
//! ```
//! Cassandra truncates the file and writes it anew in place, so a reader often meets it empty, and may meet a part of it: an
//! offset without all of its digits cannot be told from a smaller one. It is never greater than the true one, and the next
//! look gives that.

use std::path::Path;

use super::step::Bound;
use crate::error::{DecodeError, Error, Result};
use crate::io::{InputFile, ReadMode};

const COMPLETED: &str = "COMPLETED";
/// Twenty digits, a line end, the mark and whatever white space.
const MAX_LEN: u64 = 256;

/// What an index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CdcIndex {
    /// Position of the next sync marker as [`super::CommitLogPosition`] counts: beyond the file's end for compressed
    /// segments. After a crash and a restart it is the length of the file.
    pub offset: u64,
    /// Cassandra writes nothing more to the segment.
    pub completed: bool,
}

impl CdcIndex {
    /// Reads the index at `path`; none if there is no such file, or it is empty or a part, as it is while Cassandra rewrites
    /// it. That is no offset of 0, and says nothing about the segment: look again.
    ///
    /// What cannot be a part of an index is an error.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let file = match InputFile::open(path, ReadMode::Read) {
            Ok(file) => file,
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        let len = usize::try_from(file.len().min(MAX_LEN + 1)).unwrap_or(0);
        match file.slice(0, len, &mut bytes) {
            Ok(found) => Self::parse(found.unwrap_or_default()).map_err(|e| e.in_file(path)),
            // Truncated between the look at its length and the read.
            Err(Error::Input { source, .. })
                if source.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Parses the content of an index; none for a part of one.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let unknown = || {
            let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(60)).unwrap_or(bytes));
            DecodeError::invalid(format!("not an index of a commit-log segment: {text:?}"), 0)
        };
        if bytes.len() as u64 > MAX_LEN {
            return Err(unknown());
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return Err(unknown()) };
        if text.is_empty() {
            return Ok(None);
        }
        let (number, mark) = match text.split_once('\n') {
            Some((number, mark)) => (number, Some(mark.trim_end())),
            None => (text, None),
        };
        let number = number.trim_end_matches('\r');
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(unknown());
        }
        let offset: u64 = number.parse().map_err(|_| unknown())?;
        // `CommitLogPosition.position` is an i32.
        if offset > i32::MAX.unsigned_abs().into() {
            return Err(unknown());
        }
        match mark {
            None => Ok(Some(Self { offset, completed: false })),
            Some(mark) if mark == COMPLETED => Ok(Some(Self { offset, completed: true })),
            // The offset is whole, since something follows it; but whether the segment is closed is just being written.
            Some(mark) if COMPLETED.starts_with(mark) => Ok(None),
            Some(_) => Err(unknown()),
        }
    }

    /// What a reader of the segment may take for written: all of it if it is closed, else what is synced.
    pub fn bound(&self) -> Bound {
        if self.completed { Bound::whole() } else { Bound::synced(self.offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(offset: u64, completed: bool) -> Option<CdcIndex> {
        Some(CdcIndex { offset, completed })
    }

    #[test]
    fn offset_and_mark_are_read() {
        for (text, expected) in [
            ("33554432", index(33_554_432, false)),
            ("33554432\nCOMPLETED", index(33_554_432, true)),
            ("33554432\nCOMPLETED\n", index(33_554_432, true)),
            ("0", index(0, false)),
            ("", None),
            ("33554432\n", None),
            ("33554432\nCOMPLE", None),
        ] {
            assert_eq!(CdcIndex::parse(text.as_bytes()).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_prefix_never_promises_more_than_the_whole() {
        let whole = b"33554432\nCOMPLETED";
        for len in 0..whole.len() {
            match CdcIndex::parse(&whole[..len]).unwrap() {
                None => {}
                Some(part) => assert!(part.offset <= 33_554_432 && !part.completed, "{part:?}"),
            }
        }
        assert!(CdcIndex::parse(b"").unwrap().is_none());
    }

    #[test]
    fn a_flipped_bit_gives_an_error_or_an_index() {
        let whole = b"33554432\nCOMPLETED".to_vec();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Some(index)) = CdcIndex::parse(&bytes) {
                assert!(index.offset <= i32::MAX.unsigned_abs().into(), "{index:?}");
                // A flipped mark does not close the segment.
                assert!(!index.completed || bit / 8 < 8, "{}", String::from_utf8_lossy(&bytes));
            }
        }
        for text in ["abc", "-1", "99999999999", "12\nDONE", " 12", "12 13"] {
            assert!(CdcIndex::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(CdcIndex::parse(&[b'1'; 300]).is_err());
    }

    #[test]
    fn no_file_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("CommitLog-7-1_cdc.idx");
        assert_eq!(CdcIndex::read(&path).unwrap(), None);
        std::fs::write(&path, "").unwrap();
        assert_eq!(CdcIndex::read(&path).unwrap(), None);
        std::fs::write(&path, "120\nCOMPLETED").unwrap();
        assert_eq!(CdcIndex::read(&path).unwrap(), index(120, true));
        assert_eq!(CdcIndex::read(&path).unwrap().unwrap().bound(), Bound::whole());
        std::fs::write(&path, "120").unwrap();
        assert_eq!(CdcIndex::read(&path).unwrap().unwrap().bound(), Bound::synced(120));
    }
}
