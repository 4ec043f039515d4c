//! Files of rows, one after the other, each only if it is not there yet.

use std::sync::Arc;

use super::options::SequenceProfile;
use crate::error::{Error, Result};
use crate::output::names::table_folder;
use crate::progress::clock::civil_from_days;
use crate::store::{Checksum, PutOutcome, Store};

/// What is expected of the files of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// They are made now; what is there already must be the same.
    Make,
    /// A later batch was begun, so they were made: what is still there must be the same. What is gone was removed by whoever
    /// read it, and must not come back.
    Made,
}

/// Gathers lines into files.
pub(super) struct Outbox {
    store: Arc<dyn Store>,
    profile: SequenceProfile,
    cdc_path: String,
    flush_size: usize,
    /// Number of the last file.
    files: u64,
    /// Time in the name of the last file of `datalake`.
    stamp: i64,
    expected: Expected,
    buffer: Vec<u8>,
    /// Of `datalake`: the folder and the first line of the table at hand.
    table: Option<(String, Vec<u8>)>,
    rows: u64,
    bytes: u64,
    written: Vec<String>,
}

/// What came of a batch's files.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) files: u64,
    pub(super) stamp: i64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) written: Vec<String>,
}

/// `20230405-094615814` of milliseconds since 1970.
fn stamp_text(millis: i64) -> String {
    let (year, month, day) = civil_from_days(millis.div_euclid(86_400_000));
    let of_day = millis.rem_euclid(86_400_000);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    format!(
        "{year:04}{month:02}{day:02}-{:02}{:02}{:02}{millis:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

impl Outbox {
    /// An outbox behind `files` files, at the clock `clock` (milliseconds).
    pub(super) fn new(
        store: &Arc<dyn Store>,
        profile: SequenceProfile,
        cdc_path: &str,
        flush_size: u64,
        (files, stamp, clock): (u64, i64, i64),
        expected: Expected,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            profile,
            cdc_path: cdc_path.to_owned(),
            flush_size: usize::try_from(flush_size).unwrap_or(usize::MAX),
            files,
            // The next name has the clock in it, or more if that was used.
            stamp: stamp.max(clock.saturating_sub(1)),
            expected,
            buffer: Vec::new(),
            table: None,
            rows: 0,
            bytes: 0,
            written: Vec::new(),
        }
    }

    /// Rows of this table follow; `header` is the first line of its files.
    pub(super) fn begin_table(&mut self, keyspace: &str, table: &str, header: &[u8]) -> Result<()> {
        if self.profile == SequenceProfile::Datalake {
            self.cut()?;
            self.table = Some((table_folder(keyspace, table), header.to_vec()));
        }
        Ok(())
    }

    /// Appends a line, which ends with a line end, from its parts.
    pub(super) fn line(&mut self, parts: &[&[u8]]) -> Result<()> {
        if self.buffer.is_empty()
            && let Some((_, header)) = &self.table
        {
            self.buffer.extend_from_slice(header);
        }
        parts.iter().for_each(|part| self.buffer.extend_from_slice(part));
        self.rows += 1;
        if self.buffer.len() >= self.flush_size { self.cut() } else { Ok(()) }
    }

    /// Ends the last file.
    pub(super) fn finish(mut self) -> Result<Sent> {
        self.cut()?;
        Ok(Sent {
            files: self.files,
            stamp: self.stamp,
            rows: self.rows,
            bytes: self.bytes,
            written: self.written,
        })
    }

    fn next_name(&mut self) -> Result<String> {
        self.files += 1;
        let extension = match self.profile {
            SequenceProfile::Datalake => {
                self.stamp += 1;
                let folder = self.table.as_ref().map_or("", |(folder, _)| folder);
                return Ok(format!("{folder}{}.csv", stamp_text(self.stamp)));
            }
            SequenceProfile::Dms => "csv",
            SequenceProfile::Jsonl => "jsonl",
            SequenceProfile::DdbJson => "json",
        };
        if self.files > 9_999_999_999 {
            return Err(Error::Refused {
                what: "no number is left for another change file".to_owned(),
                hint: None,
            });
        }
        Ok(format!("{}/CDC{:010}.{extension}", self.cdc_path, self.files))
    }

    fn cut(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let name = self.next_name()?;
        let bytes = std::mem::take(&mut self.buffer);
        let created = self.expected == Expected::Make
            && matches!(self.store.put_if_absent(&name, &bytes)?, PutOutcome::Created(_));
        if created {
            self.written.push(name);
        } else {
            self.compare(&name, &bytes)?;
        }
        self.bytes += bytes.len() as u64;
        self.buffer = bytes;
        self.buffer.clear();
        Ok(())
    }

    /// Checks that a file that is there has these bytes.
    fn compare(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(found) = self.store.head(name)? else {
            return Ok(());
        };
        let expected = Checksum::of(bytes);
        let same = found.bytes == expected.bytes
            && if found.crc64nvme.is_empty() {
                self.store.get(name)?.as_deref() == Some(bytes)
            } else {
                found.crc64nvme == expected.crc64nvme
            };
        if same {
            return Ok(());
        }
        Err(Error::Refused {
            what: format!(
                "{} is there with other bytes ({}) than the change records give ({})",
                self.store.location(name),
                found.bytes,
                expected.bytes
            ),
            hint: Some(
                "somebody else writes change files there, or an object of change records was replaced: use another --output or --cdc-path"
                    .to_owned(),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        (directory, Arc::new(store))
    }

    fn outbox(store: &Arc<dyn Store>, profile: SequenceProfile, expected: Expected) -> Outbox {
        Outbox::new(store, profile, "cdc-changes", 10, (2, 0, 1_680_687_975_814), expected)
    }

    fn names(store: &Arc<dyn Store>) -> Vec<String> {
        store.list("").unwrap().into_iter().map(|object| object.name).collect()
    }

    #[test]
    fn files_are_numbered_on_and_end_when_they_are_full() {
        let (_directory, store) = store();
        let mut out = outbox(&store, SequenceProfile::Dms, Expected::Make);
        out.begin_table("ks", "t", b"not used\n").unwrap();
        for line in [&b"12345\n"[..], b"67890\n", b"x\n"] {
            out.line(&[line]).unwrap();
        }
        let sent = out.finish().unwrap();
        assert_eq!((sent.files, sent.rows, sent.bytes), (4, 3, 14));
        assert_eq!(
            names(&store),
            ["cdc-changes/CDC0000000003.csv", "cdc-changes/CDC0000000004.csv"]
        );
        assert_eq!(store.get(&sent.written[0]).unwrap().unwrap(), b"12345\n67890\n");
        let none = outbox(&store, SequenceProfile::Jsonl, Expected::Make).finish().unwrap();
        assert_eq!((none.files, none.written.len()), (2, 0));
    }

    #[test]
    fn files_of_a_datalake_have_a_table_a_header_and_a_time_of_their_own() {
        let (_directory, store) = store();
        let mut out = outbox(&store, SequenceProfile::Datalake, Expected::Make);
        out.begin_table("ks", "a", b"Op\n").unwrap();
        out.line(&[b"I", b"\n"]).unwrap();
        out.begin_table("ks", "b", b"Op\n").unwrap();
        out.begin_table("ks", "c", b"Op\n").unwrap();
        out.line(&[b"D\n"]).unwrap();
        let sent = out.finish().unwrap();
        assert_eq!(names(&store), ["ks/a/20230405-094615814.csv", "ks/c/20230405-094615815.csv"]);
        assert_eq!(sent.stamp, 1_680_687_975_815);
        assert_eq!(store.get("ks/c/20230405-094615815.csv").unwrap().unwrap(), b"Op\nD\n");
    }

    #[test]
    fn a_file_that_is_there_is_adopted_if_it_is_the_same_and_refused_if_not() {
        let (_directory, store) = store();
        let write = |expected, line: &[u8]| {
            let mut out = outbox(&store, SequenceProfile::Dms, expected);
            out.line(&[line])?;
            out.finish().map(|sent| sent.written.len())
        };
        assert_eq!(write(Expected::Make, b"a\n").unwrap(), 1);
        assert_eq!(write(Expected::Make, b"a\n").unwrap(), 0);
        assert_eq!(write(Expected::Made, b"a\n").unwrap(), 0);
        for expected in [Expected::Make, Expected::Made] {
            let error = write(expected, b"b\n").unwrap_err().to_string();
            assert!(error.contains("CDC0000000003.csv is there with other bytes"), "{error}");
        }
        // What a reader took away does not come back.
        store.delete("cdc-changes/CDC0000000003.csv").unwrap();
        assert_eq!(write(Expected::Made, b"a\n").unwrap(), 0);
        assert_eq!(names(&store), [""; 0]);
    }
}
