//! Records of a file that is read piece by piece: their number and the sum of their digests.

use std::collections::VecDeque;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::output::Profile;
use crate::output::manifest::RecordDigest;

/// How records are told apart in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSplitter {
    /// Line ends between quotes belong to a field.
    pub quotes: bool,
    /// The first line names the columns and is no record.
    pub header: bool,
}

impl RecordSplitter {
    /// That of a profile.
    pub fn of(profile: Profile) -> Self {
        match profile {
            // Lines are told apart in `ddb-json` as in `jsonl`; its digests are not those of its lines.
            Profile::Jsonl | Profile::DdbJson | Profile::Parquet => {
                Self { quotes: false, header: false }
            }
            Profile::Dms | Profile::Csv | Profile::Cqlsh | Profile::Datalake => {
                Self { quotes: true, header: profile.has_header() }
            }
        }
    }
}

/// Cuts a text that comes in pieces into records.
#[derive(Debug)]
pub(super) struct Lines {
    splitter: RecordSplitter,
    in_quotes: bool,
    in_header: bool,
}

impl Lines {
    pub(super) fn new(splitter: RecordSplitter) -> Self {
        Self { splitter, in_quotes: false, in_header: splitter.header }
    }

    /// The next bytes: `each` gets parts of records, and whether a part is the last of its record.
    pub(super) fn add(&mut self, mut piece: &[u8], each: &mut impl FnMut(&[u8], bool)) {
        while let Some(end) = self.line_end(piece) {
            let (record, rest) = piece.split_at(end);
            if !std::mem::take(&mut self.in_header) {
                each(record, true);
            }
            piece = rest.get(1..).unwrap_or_default();
        }
        if !piece.is_empty() && !self.in_header {
            each(piece, false);
        }
    }

    /// Where the record at hand ends, if it ends in this piece.
    fn line_end(&mut self, piece: &[u8]) -> Option<usize> {
        if !self.splitter.quotes {
            return memchr::memchr(b'\n', piece);
        }
        let mut from = 0;
        while let Some(at) = memchr::memchr2(b'"', b'\n', piece.get(from..)?) {
            let at = from + at;
            from = at + 1;
            match piece.get(at) {
                // A quote that is doubled ends the field and begins it again.
                Some(b'"') => self.in_quotes = !self.in_quotes,
                _ if self.in_quotes => {}
                _ => return Some(at),
            }
        }
        None
    }
}

/// Number and digests of records. Nothing of them is kept: one of any length takes no memory.
pub struct RecordSum {
    lines: Lines,
    /// The record that began in an earlier piece.
    begun: Option<Box<Xxh3>>,
    /// Records so far.
    pub rows: u64,
    /// Sum of their digests.
    pub digest: RecordDigest,
}

impl std::fmt::Debug for RecordSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordSum").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl RecordSum {
    /// Before the first byte.
    pub fn new(splitter: RecordSplitter) -> Self {
        let lines = Lines::new(splitter);
        Self { lines, begun: None, rows: 0, digest: RecordDigest::default() }
    }

    /// The next bytes of the file.
    pub fn add(&mut self, piece: &[u8]) {
        let Self { lines, begun, rows, digest } = self;
        lines.add(piece, &mut |part, is_last| match (begun.as_mut(), is_last) {
            (None, true) => {
                *rows += 1;
                digest.merge(RecordDigest(xxh3_128(part)));
            }
            (None, false) => {
                let mut hasher = Box::new(Xxh3::new());
                hasher.update(part);
                *begun = Some(hasher);
            }
            (Some(hasher), is_last) => {
                hasher.update(part);
                if is_last {
                    *rows += 1;
                    digest.merge(RecordDigest(hasher.digest128()));
                    *begun = None;
                }
            }
        });
    }

    /// The end of the file; false if its last line has no end.
    pub fn finish(&mut self) -> bool {
        self.begun.take().is_none()
    }
}

/// Puts records together, one by one.
#[derive(Debug)]
pub(super) struct Collector {
    lines: Lines,
    begun: Vec<u8>,
    pub(super) whole: VecDeque<Vec<u8>>,
}

impl Collector {
    pub(super) fn new(splitter: RecordSplitter) -> Self {
        Self { lines: Lines::new(splitter), begun: Vec::new(), whole: VecDeque::new() }
    }

    /// The next bytes.
    pub(super) fn add(&mut self, piece: &[u8]) {
        let Self { lines, begun, whole } = self;
        lines.add(piece, &mut |part, is_last| {
            begun.extend_from_slice(part);
            if is_last {
                whole.push_back(std::mem::take(begun));
            }
        });
    }

    /// The end: what is left without a line end is a record too, if a broken one.
    pub(super) fn finish(&mut self) {
        if !self.begun.is_empty() {
            self.whole.push_back(std::mem::take(&mut self.begun));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(text: &str, splitter: RecordSplitter, piece: usize) -> (u64, u128, bool) {
        let mut sum = RecordSum::new(splitter);
        text.as_bytes().chunks(piece).for_each(|piece| sum.add(piece));
        let whole = sum.finish();
        (sum.rows, sum.digest.0, whole)
    }

    fn expected(records: &[&str]) -> (u64, u128, bool) {
        let mut digest = RecordDigest::default();
        records.iter().for_each(|record| digest.add_record(record.as_bytes()));
        (records.len() as u64, digest.0, true)
    }

    #[test]
    fn records_are_the_same_in_pieces_of_every_length() {
        let csv = "a,b\n1,\"x\ny\"\"\n\"\n2,\"\"\n\n";
        let records = ["1,\"x\ny\"\"\n\"", "2,\"\"", ""];
        let rows = csv.strip_prefix("a,b\n").unwrap();
        let jsonl = "{\"a\":\"\\\"\"}\n{\"b\":\"\\\"x\"}\n";
        for piece in 1..=csv.len() {
            let with_header = RecordSplitter::of(Profile::Csv);
            assert_eq!(sum(csv, with_header, piece), expected(&records), "{piece}");
            let without = RecordSplitter::of(Profile::Dms);
            assert_eq!(sum(rows, without, piece), expected(&records), "{piece}");
            let lines = ["{\"a\":\"\\\"\"}", "{\"b\":\"\\\"x\"}"];
            assert_eq!(sum(jsonl, RecordSplitter::of(Profile::Jsonl), piece), expected(&lines));
        }
    }

    #[test]
    fn a_file_that_ends_within_a_record_is_told() {
        for text in ["a", "a\nb", "\"a\n", "a,\"x\n\n"] {
            assert!(!sum(text, RecordSplitter::of(Profile::Dms), 2).2, "{text:?}");
        }
        assert!(sum("", RecordSplitter::of(Profile::Dms), 1).2);
    }
}
