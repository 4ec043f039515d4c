//! The contract of a store, whatever is behind it.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crc_fast::{CrcAlgorithm, Digest};

use crate::error::{Error, Result};

/// What is known about an object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Length.
    pub bytes: u64,
    /// CRC-64/NVME of its bytes as S3 reports it: Base64 of the eight bytes, the highest first.
    pub crc64nvme: String,
}

/// What is known about an object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its name.
    pub name: String,
    /// Length.
    pub bytes: u64,
}

/// What came of [`Store::put_if_absent`] or [`Store::put_file_if_absent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOutcome {
    /// It was absent and is now there with the bytes given.
    Created(ObjectMeta),
    /// Something is there; it was left as it is.
    Exists,
}

/// Which state of an object was read: two are equal if nobody wrote other bytes between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion(pub(super) String);

/// An object, and which state of it this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedObject {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// For [`Store::put_if_unchanged`].
    pub version: ObjectVersion,
}

/// What came of [`Store::put_if_unchanged`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplaceOutcome {
    /// It was as expected and now has the bytes given; this is its version.
    Replaced(ObjectVersion),
    /// Somebody wrote or removed it meanwhile; it was left as it is.
    Changed,
}

/// A place for objects. Calls block; any number of threads may call at once.
///
/// Every error is an [`Error::Output`] or [`Error::Refused`] that names the object. Retries are the store's business:
/// an error that comes out is final.
pub trait Store: Send + Sync {
    /// The object's path or URL, for lists and messages.
    fn location(&self, name: &str) -> String;

    /// Writes an object, replacing what is there. Durable when it returns: for small objects such as state.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<ObjectMeta>;

    /// Writes an object unless one of that name is there; of several that try at once, one succeeds. Durable when it returns.
    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<PutOutcome>;

    /// Like [`Store::put_if_absent`], with the bytes that `file` has from where it stands to its end: in bounded memory, for
    /// objects of any size.
    ///
    /// [`PutOutcome::Exists`] is also the answer if an earlier request of this very call had made it and only S3's answer was
    /// lost: whoever cares compares what is there.
    fn put_file_if_absent(&self, name: &str, file: &mut File) -> Result<PutOutcome>;

    /// Replaces an object unless it is no longer the one that was read; of several that try at once, one succeeds.
    /// Durable when it returns.
    fn put_if_unchanged(
        &self,
        name: &str,
        bytes: &[u8],
        version: &ObjectVersion,
    ) -> Result<ReplaceOutcome>;

    /// Hands over the flag that is set to a signal's number when the user wants to stop: from then on nothing waits for a
    /// better time to be tried again, and what is given up for that is [`Error::Stopped`].
    fn stop_on(&self, flag: &Arc<AtomicI32>) {
        let _waits_for_nothing = flag;
    }

    /// False if the store is known to ignore conditions: [`Store::put_if_unchanged`] then fails.
    fn is_conditional(&self) -> bool {
        true
    }

    /// The bytes of an object, or none if there is none.
    fn get(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Opens an object to be read piece by piece, in bounded memory; none if there is none.
    fn read(&self, name: &str) -> Result<Option<Box<dyn ObjectReader>>>;

    /// Like [`Store::get`], with what [`Store::put_if_unchanged`] needs.
    fn get_versioned(&self, name: &str) -> Result<Option<VersionedObject>>;

    /// Looks for an object.
    ///
    /// The checksum is empty where the store does not keep one (a directory).
    fn head(&self, name: &str) -> Result<Option<ObjectMeta>>;

    /// All objects whose names begin with `prefix` (as text: `ks/t` also finds `ks/t2/x`), in order of their names.
    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>>;

    /// Removes an object; one that is not there is no error.
    fn delete(&self, name: &str) -> Result<()>;

    /// Starts an object that is written piece by piece and appears, replacing what is there, when it is finished.
    ///
    /// It need not be durable before [`Store::sync`]. Of one name there must be one writer at a time.
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>>;

    /// Makes the finished objects `names` durable: to be called once, before the manifest that names them is written.
    fn sync(&self, names: &[&str]) -> Result<()>;

    /// Removes what a dead run left of unfinished objects whose names begin with `prefix`; returns how many there were.
    ///
    /// The prefix must be the caller's own (`ks/t/LOAD003`), so that nobody else's living writer is hurt.
    fn clean_temporaries(&self, prefix: &str) -> Result<u64>;
}

/// An object being read.
pub trait ObjectReader: Send {
    /// The next bytes, some MiB at most; none at the end. It is an error if the object is replaced meanwhile, or ends early.
    fn next_piece(&mut self) -> Result<Option<&[u8]>>;
}

/// An object being written. Dropped unfinished, it leaves nothing behind.
pub trait ObjectWriter: Send {
    /// Appends. Callers hand over large pieces: nothing is gathered here.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the object appear.
    fn finish(self: Box<Self>) -> Result<ObjectMeta>;

    /// Gives the object up. The same as dropping it, but errors are seen.
    fn abort(self: Box<Self>) -> Result<()>;
}

/// Computes length and checksum of an object while it is written.
#[derive(Debug)]
pub struct Checksum {
    digest: Digest,
    bytes: u64,
}

impl Default for Checksum {
    fn default() -> Self {
        Self { digest: Digest::new(CrcAlgorithm::Crc64Nvme), bytes: 0 }
    }
}

impl Checksum {
    /// Appends.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Length and checksum of all so far.
    pub fn finish(&self) -> ObjectMeta {
        let crc64nvme =
            base64_simd::STANDARD.encode_to_string(self.digest.finalize().to_be_bytes());
        ObjectMeta { bytes: self.bytes, crc64nvme }
    }

    /// Length and checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> ObjectMeta {
        let mut checksum = Self::default();
        checksum.update(bytes);
        checksum.finish()
    }
}

/// Refuses names that would leave the output or hide in it: parts that are empty, `.` or `..`, control characters, and
/// the names of our own temporary files.
pub fn check_name(name: &str) -> Result<()> {
    let bad_part = |part: &str| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.starts_with('.') && (part.ends_with(".tmp") || part.ends_with(".lock"))
            || part.chars().any(char::is_control)
    };
    if name.split('/').any(bad_part) {
        return Err(Error::Refused {
            what: format!("{name:?} cannot be the name of an object in the output"),
            hint: Some(
                "a keyspace or table of that name can be left out with --exclude".to_owned(),
            ),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_s3_reports() {
        // The check value of CRC-64/NVME, 0xae8b14860a799888, in Base64.
        let meta = Checksum::of(b"123456789");
        assert_eq!(meta.crc64nvme, "rosUhgp5mIg=");
        assert_eq!(meta.bytes, 9);
        assert_eq!(Checksum::of(b"").crc64nvme, "AAAAAAAAAAA=");
        let mut pieces = Checksum::default();
        pieces.update(b"1234");
        pieces.update(b"");
        pieces.update(b"56789");
        assert_eq!(pieces.finish(), meta);
    }

    #[test]
    fn names_stay_inside_the_output() {
        for good in
            ["a", "ks/t/LOAD00000001.csv", "_cassport/run.json", "ks/t-deletes/x", "a/.b", "ü/x y"]
        {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "a//b",
            "a/",
            "../a",
            "a/../b",
            "a/.",
            "a/.x.tmp",
            "a/.x.lock",
            "a\0b",
            "a\nb",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
