//! Rows and digest of a file that is read piece by piece, by its profile.
//!
//! Digests are of records' text. A typed file has none: its rows are counted, and that its bytes are those that were written
//! is what its checksum says.

use parquet::file::metadata::ParquetMetaDataReader;

use crate::output::manifest::RecordDigest;

use super::output::{Content, Form};
use super::records::RecordSum;

/// Bytes at the end of a file that are kept: its footer must lie in them.
const TAIL: usize = 16 << 20;
/// What a file of Parquet ends with, after the length of its footer in four bytes.
const MAGIC: &[u8; 4] = b"PAR1";

/// What a file comes to.
#[derive(Debug)]
pub(super) struct Summed {
    pub(super) rows: u64,
    /// None where the file has no text of which digests are.
    pub(super) digest: Option<RecordDigest>,
    /// Why it is not whole.
    pub(super) fault: Option<String>,
}

/// What a file's bytes are summed up to.
#[derive(Debug)]
pub(super) enum ContentSum {
    Text(RecordSum),
    Items(RecordSum),
    Parquet(Vec<u8>),
}

impl ContentSum {
    /// Before the first byte.
    pub(super) fn new(content: Content) -> Self {
        match content.form {
            Form::Text => Self::Text(RecordSum::new(content.splitter)),
            Form::Items => Self::Items(RecordSum::new(content.splitter)),
            Form::Parquet => Self::Parquet(Vec::new()),
        }
    }

    /// The next bytes.
    pub(super) fn add(&mut self, piece: &[u8]) {
        match self {
            Self::Text(records) | Self::Items(records) => records.add(piece),
            Self::Parquet(tail) => {
                tail.extend_from_slice(piece);
                if tail.len() > 2 * TAIL {
                    tail.drain(..tail.len() - TAIL);
                }
            }
        }
    }

    /// The end.
    pub(super) fn finish(self) -> Summed {
        let (mut records, has_digest) = match self {
            Self::Text(records) => (records, true),
            Self::Items(records) => (records, false),
            Self::Parquet(tail) => {
                let (rows, fault) = match rows_of_footer(&tail) {
                    Ok(rows) => (rows, None),
                    Err(fault) => (0, Some(fault)),
                };
                return Summed { rows, digest: None, fault };
            }
        };
        let whole = records.finish();
        Summed {
            rows: records.rows,
            digest: has_digest.then_some(records.digest),
            fault: (!whole).then(|| "it ends within a record".to_owned()),
        }
    }
}

/// The rows that the footer at the end of `tail` tells of.
fn rows_of_footer(tail: &[u8]) -> Result<u64, String> {
    let ended = tail
        .strip_suffix(MAGIC)
        .and_then(|rest| rest.split_last_chunk::<4>())
        .ok_or("it does not end as a file of Parquet does")?;
    let (before, len) = (ended.0, u32::from_le_bytes(*ended.1));
    let start = usize::try_from(len).ok().and_then(|len| before.len().checked_sub(len));
    let footer = start
        .and_then(|start| before.get(start..))
        .ok_or_else(|| format!("its footer of {len} bytes is longer than what is there of it"))?;
    let metadata = ParquetMetaDataReader::decode_metadata(footer)
        .map_err(|error| format!("its footer cannot be read: {error}"))?;
    u64::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| "its footer tells of a negative number of rows".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_that_lie_are_told() {
        for tail in [&b""[..], b"PAR1", b"xxxx\xff\xff\xff\xffPAR1", b"ab\x02\0\0\0PAR1", b"PARE"] {
            assert!(rows_of_footer(tail).is_err(), "{tail:?}");
        }
    }
}
