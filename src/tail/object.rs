//! One object of change records while it is made.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::{SpooledData, SpooledTempFile, spooled_tempfile_in};

use crate::error::{Error, Result};

/// Records are compressed while others are decoded: the fastest level costs a third of what making them does.
const LEVEL: i32 = 1;
/// Records are like the ones just before: 128 KiB, which is a block, hold what there is to find, and stay in the core's cache.
/// Since the window is no longer than a block, what is searched is always one piece, which takes a sixth less time.
const WINDOW_LOG: u32 = 17;
/// Bytes of records that are compressed at once.
const ENCODED_AT_ONCE: usize = 64 << 10;

/// Where objects are made. All records of a mutation are in one object, and with the stored rows behind the deletion of a
/// partition they may be as large as that partition.
#[derive(Debug, Clone)]
pub(super) struct Workshop {
    /// Holds objects that outgrow the memory, as files without a name: nothing stays of them when the process is killed.
    pub(super) directory: PathBuf,
    /// Compressed bytes that an object may have in memory.
    pub(super) memory: usize,
    /// Bytes of records of stored rows that are handed on at once.
    pub(super) large: usize,
}

/// Records of one segment that will become one object. It ends with its last record, where the next one begins.
pub(super) struct ChangeObject {
    encoder: zstd::Encoder<'static, SpooledTempFile>,
    directory: PathBuf,
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

/// What an object is, compressed.
#[derive(Debug)]
pub(super) enum Packed {
    /// In memory, as nearly all are.
    Memory(Vec<u8>),
    /// In a file, which stands at its beginning.
    File {
        /// The file.
        file: File,
        /// Its length.
        bytes: u64,
    },
}

impl Packed {
    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }
}

/// An object that is whole.
#[derive(Debug)]
pub(super) struct FinishedObject {
    /// Where it begins.
    pub(super) start: u64,
    /// The end of its last record.
    pub(super) end: u64,
    /// Number of records.
    pub(super) records: u64,
    /// What to store.
    pub(super) packed: Packed,
}

impl ChangeObject {
    /// An object that begins at `start`.
    pub(super) fn new(start: u64, workshop: &Workshop) -> Result<Self> {
        let directory = workshop.directory.clone();
        let file = spooled_tempfile_in(workshop.memory, &directory);
        let prepare = || {
            let mut encoder = zstd::Encoder::new(file, LEVEL)?;
            // What is read back from a disk or a bucket long after shall say itself whether it is whole.
            encoder.include_checksum(true)?;
            encoder.window_log(WINDOW_LOG)?;
            Ok(encoder)
        };
        let encoder = prepare().map_err(|error: std::io::Error| {
            Error::Bug(format!("records cannot be compressed: {error}"))
        })?;
        let lines = Vec::with_capacity(ENCODED_AT_ONCE);
        let since = Instant::now();
        Ok(Self { encoder, directory, lines, start, end: start, bytes: 0, records: 0, since })
    }

    /// Adds lines of records, whole ones.
    pub(super) fn add(&mut self, lines: &[u8]) -> Result<()> {
        self.bytes += lines.len() as u64;
        self.lines.extend_from_slice(lines);
        if self.lines.len() >= ENCODED_AT_ONCE {
            self.encode()?;
        }
        Ok(())
    }

    /// Notes that what was added since the last call are the `records` of one mutation, which ends at `end`.
    pub(super) fn end_mutation(&mut self, records: u64, end: u64) {
        self.records += records;
        self.end = end;
    }

    fn encode(&mut self) -> Result<()> {
        self.encoder.write_all(&self.lines).map_err(cannot_write(&self.directory))?;
        self.lines.clear();
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
        self.encode()?;
        let wrong = cannot_write(&self.directory);
        let pack = |encoder: zstd::Encoder<'static, SpooledTempFile>| {
            Ok(match encoder.finish()?.into_inner() {
                SpooledData::InMemory(bytes) => Packed::Memory(bytes.into_inner()),
                SpooledData::OnDisk(mut file) => {
                    let bytes = file.stream_position()?;
                    file.rewind()?;
                    Packed::File { file, bytes }
                }
            })
        };
        Ok(FinishedObject {
            start: self.start,
            end: self.end,
            records: self.records,
            packed: pack(self.encoder).map_err(wrong)?,
        })
    }
}

/// In memory nothing can fail.
fn cannot_write(directory: &std::path::Path) -> impl Fn(std::io::Error) -> Error {
    let path = directory.to_path_buf();
    move |source| Error::Output {
        action: "put change records that do not fit in memory into",
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn object(memory: usize, lines: &[&[u8]]) -> ChangeObject {
        let workshop = Workshop { directory: std::env::temp_dir(), memory, large: 0 };
        let mut object = ChangeObject::new(10, &workshop).unwrap();
        for (i, line) in lines.iter().enumerate() {
            object.add(line).unwrap();
            object.end_mutation(1, 20 + i as u64);
        }
        object
    }

    fn bytes(object: FinishedObject) -> Vec<u8> {
        let len = object.packed.len();
        let bytes = match object.packed {
            Packed::Memory(bytes) => bytes,
            Packed::File { mut file, .. } => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                bytes
            }
        };
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    #[test]
    fn the_same_records_give_the_same_bytes() {
        let a = object(1 << 20, &[b"one\n", b"two\n"]).finish().unwrap();
        assert_eq!((a.start, a.end, a.records), (10, 21, 2));
        let mut a = bytes(a);
        assert_eq!(a, bytes(object(1 << 20, &[b"one\n", b"two\n"]).finish().unwrap()));
        assert_eq!(zstd::decode_all(&*a).unwrap(), b"one\ntwo\n");
        *a.last_mut().unwrap() ^= 1;
        assert!(zstd::decode_all(&*a).is_err());
    }

    #[test]
    fn what_outgrows_the_memory_is_in_a_file_and_is_the_same() {
        let noise = |i: u64| format!("{}\n", i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes();
        let lines: Vec<Vec<u8>> = (0..20_000).map(noise).collect();
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let small = object(4_096, &lines).finish().unwrap();
        assert!(matches!(&small.packed, Packed::File { bytes, .. } if *bytes > 100_000));
        let large = object(1 << 20, &lines).finish().unwrap();
        assert!(matches!(&large.packed, Packed::Memory(_)));
        let small = bytes(small);
        assert_eq!(zstd::decode_all(&*small).unwrap(), lines.concat());
        assert_eq!(small, bytes(large));
    }

    #[test]
    fn a_directory_that_cannot_be_written_to_is_named() {
        let directory = tempfile::tempdir().unwrap().path().join("gone");
        let mut object =
            ChangeObject::new(10, &Workshop { directory, memory: 0, large: 0 }).unwrap();
        object.add(b"one\n").unwrap();
        let error = object.finish().unwrap_err().to_string();
        assert!(error.contains("/gone"), "{error}");
    }

    #[test]
    fn it_is_due_by_size_or_age() {
        let hour = Duration::from_secs(3600);
        let object = object(1 << 20, &[b"12345678"]);
        assert!(object.is_full(8) && !object.is_full(9));
        assert!(object.is_old(Duration::ZERO) && !object.is_old(hour));
        assert!(object.due_in(hour) > Duration::from_secs(3000));
    }
}
