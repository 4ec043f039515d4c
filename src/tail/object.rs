//! One object of change records while it is made.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Records are compressed while others are decoded: the fastest level costs a third of what making them does.
const LEVEL: i32 = 1;
/// Records are like the ones just before: 128 KiB, which is a block, hold what there is to find, and stay in the core's cache.
/// Since the window is no longer than a block, what is searched is always one piece, which takes a sixth less time.
const WINDOW_LOG: u32 = 17;
/// Bytes of records that are compressed at once.
const ENCODED_AT_ONCE: usize = 64 << 10;

/// Records of one segment that will become one object. It ends with its last record, where the next one begins.
pub(super) struct ChangeObject {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    /// Lines that the encoder has not got yet: a call for each mutation costs more than its bytes.
    lines: Vec<u8>,
    /// Where it begins: the end of the last record of the object before, 0 for the first of a segment.
    start: u64,
    /// The end of its last record.
    end: u64,
    bytes: u64,
    records: u64,
    since: Instant,
}

/// An object that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FinishedObject {
    /// Where it begins.
    pub(super) start: u64,
    /// The end of its last record.
    pub(super) end: u64,
    /// Number of records.
    pub(super) records: u64,
    /// Bytes before compression.
    pub(super) uncompressed: u64,
    /// What to store.
    pub(super) bytes: Vec<u8>,
}

fn compress(error: std::io::Error) -> Error {
    Error::Bug(format!("records cannot be compressed: {error}"))
}

impl ChangeObject {
    /// An object that begins at `start`.
    pub(super) fn new(start: u64) -> Result<Self> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(compress)?;
        // What is read back from a disk or a bucket long after shall say itself whether it is whole.
        encoder.include_checksum(true).map_err(compress)?;
        encoder.window_log(WINDOW_LOG).map_err(compress)?;
        let lines = Vec::with_capacity(ENCODED_AT_ONCE);
        Ok(Self { encoder, lines, start, end: start, bytes: 0, records: 0, since: Instant::now() })
    }

    /// Adds the records of one mutation, which ends at `end`.
    pub(super) fn add(&mut self, lines: &[u8], records: u64, end: u64) -> Result<()> {
        self.lines.extend_from_slice(lines);
        if self.lines.len() >= ENCODED_AT_ONCE {
            self.encoder.write_all(&self.lines).map_err(compress)?;
            self.lines.clear();
        }
        self.bytes += lines.len() as u64;
        self.records += records;
        self.end = end;
        Ok(())
    }

    /// True if it should be shipped, however young it is.
    pub(super) fn is_full(&self, size: u64) -> bool {
        self.bytes >= size
    }

    /// True if it should be shipped, however small it is.
    pub(super) fn is_old(&self, interval: Duration) -> bool {
        self.since.elapsed() >= interval
    }

    /// How long until it should be shipped.
    pub(super) fn due_in(&self, interval: Duration) -> Duration {
        interval.saturating_sub(self.since.elapsed())
    }

    /// Closes it.
    pub(super) fn finish(mut self) -> Result<FinishedObject> {
        self.encoder.write_all(&self.lines).map_err(compress)?;
        let bytes = self.encoder.finish().map_err(compress)?;
        Ok(FinishedObject {
            start: self.start,
            end: self.end,
            records: self.records,
            uncompressed: self.bytes,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(lines: &[&[u8]]) -> ChangeObject {
        let mut object = ChangeObject::new(10).unwrap();
        for (i, line) in lines.iter().enumerate() {
            object.add(line, 1, 20 + i as u64).unwrap();
        }
        object
    }

    #[test]
    fn the_same_records_give_the_same_bytes() {
        let a = object(&[b"one\n", b"two\n"]).finish().unwrap();
        let b = object(&[b"one\n", b"two\n"]).finish().unwrap();
        assert_eq!(a, b);
        assert_eq!((a.start, a.end, a.records, a.uncompressed), (10, 21, 2, 8));
        assert_eq!(zstd::decode_all(&*a.bytes).unwrap(), b"one\ntwo\n");
        let mut damaged = a.bytes;
        *damaged.last_mut().unwrap() ^= 1;
        assert!(zstd::decode_all(&*damaged).is_err());
    }

    #[test]
    fn it_is_due_by_size_or_age() {
        let hour = Duration::from_secs(3600);
        let object = object(&[b"12345678"]);
        assert!(object.is_full(8) && !object.is_full(9));
        assert!(object.is_old(Duration::ZERO) && !object.is_old(hour));
        assert!(object.due_in(hour) > Duration::from_secs(3000));
    }
}
