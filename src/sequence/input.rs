//! Change records from their objects, line by line, in bounded memory.

use std::io::{BufRead, BufReader, Read};

use crate::error::{DecodeError, Error, Result};
use crate::store::{ObjectPieces, Store};

/// The longest line. A mutation is at most half a commit-log segment, whose text is some times as long.
const MAX_LINE: u64 = 1 << 30;

/// The lines of one object.
pub(super) struct Lines {
    location: String,
    reader: BufReader<zstd::stream::read::Decoder<'static, BufReader<ObjectPieces>>>,
    line: Vec<u8>,
    /// Number of the line at hand, from 1.
    number: u64,
}

impl Lines {
    /// Opens the object `name`.
    pub(super) fn open(store: &dyn Store, name: &str) -> Result<Self> {
        let location = store.location(name);
        let Some(reader) = store.read(name)? else {
            return Err(Error::Missing {
                what: format!("{location} is gone, and the sequencer has not done with it"),
                hint: Some("change records are kept until the migration is over".to_owned()),
            });
        };
        let decoder = zstd::stream::read::Decoder::new(ObjectPieces::new(reader))
            .map_err(|error| not_readable(&location, 0, &error.to_string()))?;
        Ok(Self { location, reader: BufReader::new(decoder), line: Vec::new(), number: 0 })
    }

    /// The object, for messages.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Number of the line at hand, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Moves to the next line; false at the end.
    pub(super) fn advance(&mut self) -> Result<bool> {
        self.line.clear();
        let read = (&mut self.reader).take(MAX_LINE + 1).read_until(b'\n', &mut self.line);
        if let Some(error) = self.reader.get_mut().get_mut().get_mut().take_error() {
            return Err(error);
        }
        let read =
            read.map_err(|e| not_readable(&self.location, self.number + 1, &e.to_string()))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.pop() != Some(b'\n') {
            let words = if self.line.len() as u64 >= MAX_LINE {
                "a line of more than 1 GiB"
            } else {
                "the last line has no end: the object is cut off"
            };
            return Err(not_readable(&self.location, self.number, words));
        }
        Ok(true)
    }

    /// The line at hand, without its end.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }
}

fn not_readable(location: &str, line: u64, words: &str) -> Error {
    DecodeError::invalid(format!("line {line}: {words}"), 0).in_file(location.as_ref()).map_damage(
        |damage| {
            damage.what = Some("change records".to_owned());
            damage.offset = None;
            damage.hint = Some(
                "remove the object and let tail ship it again from the segment it is named after"
                    .to_owned(),
            );
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    fn lines(bytes: &[u8]) -> (Vec<String>, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        store.put("a/b.jsonl.zst", bytes).unwrap();
        let mut found = Vec::new();
        let mut read = || -> Result<()> {
            let mut lines = Lines::open(&store, "a/b.jsonl.zst")?;
            while lines.advance()? {
                found.push(String::from_utf8(lines.line().to_vec()).unwrap());
                assert_eq!(lines.number(), found.len() as u64);
            }
            Ok(())
        };
        let error = read().err().map(|error| error.to_string());
        (found, error)
    }

    #[test]
    fn lines_come_one_by_one_and_what_is_cut_off_is_an_error_with_its_line() {
        let whole = zstd::encode_all(&b"one\n\ntwo\n"[..], 3).unwrap();
        assert_eq!(lines(&whole), (vec!["one".to_owned(), String::new(), "two".to_owned()], None));
        assert_eq!(lines(&zstd::encode_all(&b""[..], 3).unwrap()), (vec![], None));
        let (_, error) = lines(&zstd::encode_all(&b"one\ntwo"[..], 3).unwrap());
        assert!(error.unwrap().contains("line 2: the last line has no end"));
        for end in 1..whole.len() {
            let (_, error) = lines(&whole[..end]);
            let error = error.unwrap();
            assert!(error.contains("a/b.jsonl.zst") && error.contains("line"), "{error}");
        }
        assert!(lines(b"{\"op\":1}\n").1.is_some());
    }

    #[test]
    fn an_object_that_is_gone_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        let error = Lines::open(&store, "a/b.jsonl.zst").map(drop).unwrap_err().to_string();
        assert!(error.contains("a/b.jsonl.zst is gone"), "{error}");
    }
}
