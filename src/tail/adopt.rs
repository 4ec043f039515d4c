//! Objects that are there already.

use std::io::{BufRead, BufReader, Read};

use crate::changes::{ChangeRecordReader, Position};
use crate::error::{Error, Result};
use crate::progress::vitals;
use crate::store::{ObjectPieces, Store};

/// Where the object `name`, whose records begin at `start`, ends: the position of its last record. None if there is none.
///
/// Of an SSTable of a `backups` folder the last record may be of the update that the object begins with.
pub(super) fn adopted_end(
    store: &dyn Store,
    name: &str,
    start: &Position,
) -> Result<Option<Position>> {
    let Some(reader) = store.read(name)? else { return Ok(None) };
    let odd = |words: String| Error::Refused {
        what: format!("{}: {words}", store.location(name)),
        hint: Some(
            "it is not what a tail of this host writes there; choose another --output".into(),
        ),
    };
    let mut pieces = BufReader::new(ObjectPieces::new(reader));
    let last = last_line(&mut pieces).map_err(|error| {
        let of_the_store = pieces.get_mut().take_error();
        of_the_store.unwrap_or_else(|| odd(format!("does not decompress: {error}")))
    })?;
    let reader = ChangeRecordReader::parse(&last)
        .map_err(|error| odd(format!("its last line is not a change record: {error}")))?;
    let end = &reader.head().origin.position;
    let follows = match (start, end) {
        (Position::Log(start), Position::Log(end)) => {
            end.segment == start.segment && end.offset > start.offset
        }
        (Position::Sstable { record: start, .. }, Position::Sstable { record: end, .. }) => {
            end >= start
        }
        _ => false,
    };
    if !follows {
        return Err(odd(format!(
            "its last record is at {end:?}, which is not behind its beginning"
        )));
    }
    Ok(Some(end.clone()))
}

/// The longest line, as for whoever reads them.
const MAX_LINE: usize = 1 << 30;

/// The last line of compressed text, read in pieces: it may be any number of stored rows before the change itself.
fn last_line(packed: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut reader = zstd::Decoder::with_buffer(packed)?;
    let mut piece = vec![0; 256 << 10];
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let n = reader.read(&mut piece)?;
        if n == 0 {
            break;
        }
        tail.extend_from_slice(piece.get(..n).unwrap_or_default());
        // Keep the last line and the one that ends before it, not more.
        let before = tail.get(..tail.len().saturating_sub(1)).unwrap_or_default();
        if let Some(at) = memchr::memrchr(b'\n', before) {
            tail.drain(..=at);
        } else if tail.len() > MAX_LINE {
            return Err(std::io::Error::other("a line of more than 1 GiB"));
        }
        vitals::sign();
    }
    if tail.last() == Some(&b'\n') {
        tail.pop();
    }
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_in_any_length() {
        for lines in [&["one"][..], &["one", "two"], &["", "x"]] {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
            assert_eq!(last_line(&mut &*packed).unwrap(), lines.last().unwrap().as_bytes());
        }
        let long = format!("{}\n{}\n", "a".repeat(700_000), "b".repeat(600_000));
        let packed = zstd::encode_all(long.as_bytes(), 1).unwrap();
        assert_eq!(last_line(&mut &*packed).unwrap(), vec![b'b'; 600_000]);
        assert!(last_line(&mut &b"no frame"[..]).is_err());
    }
}
