//! Whether a commit-log segment holds mutations that were never flushed: by its name and its chain of sections, without decoding
//! a mutation.
//!
//! ```text
//! i32 version, i64 id, [from version 5: u16 n, n bytes of JSON], u32 CRC32
//! section   := i32 position of the next section, u32 CRC32, mutations
//! ```
//! A section without mutations ends 8 bytes behind its beginning; behind the last one are zeros, or the end of the file. Where a
//! segment is compressed or encrypted the positions in SSTables are not those of the file: then it counts if it has any section.

use std::path::Path;

use crate::commitlog::{CommitLogPosition, SegmentName};
use crate::error::Result;
use crate::io::{ByteReader, InputFile, ReadMode};

const MARKER_LEN: u64 = 8;
/// Version, id and the length of the JSON.
const FIXED_LEN: usize = 14;
/// The JSON names a compressor or a cipher; the longest seen has some hundred bytes.
const MAX_PARAMETERS: usize = u16::MAX as usize;

/// The id in the name `CommitLog-<version>-<id>.log`.
pub(super) fn segment_id(name: &str) -> Option<i64> {
    SegmentName::parse(name).map(|name| name.id)
}

/// True if the segment may hold mutations behind `flushed`, up to which the SSTables have all (none: they tell nothing). What
/// cannot be read may.
pub(super) fn may_hold_more(path: &Path, flushed: Option<CommitLogPosition>) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let Some(id) = name.as_deref().and_then(segment_id) else { return true };
    let from = match flushed {
        Some(flushed) if id < flushed.segment_id => return false,
        Some(flushed) if id == flushed.segment_id => u64::try_from(flushed.position).unwrap_or(0),
        _ => 0,
    };
    ends_behind(path, from).unwrap_or(true)
}

fn ends_behind(path: &Path, from: u64) -> Result<bool> {
    let file = InputFile::open(path, ReadMode::Read)?;
    let mut buf = Vec::new();
    let head_len = FIXED_LEN + MAX_PARAMETERS;
    let head_len = usize::try_from(file.len()).unwrap_or(head_len).min(head_len);
    let head = file.slice(0, head_len, &mut buf)?.unwrap_or_default();
    // A header that is cut off: a segment that was just being made.
    let Some((mut at, plain)) = header(head) else { return Ok(file.len() > FIXED_LEN as u64) };
    let from = if plain { from } else { 0 };
    loop {
        let Some(bytes) = file.slice(at, 4, &mut buf)? else { return Ok(false) };
        let end = bytes.first_chunk::<4>().map_or(0, |b| u64::from(u32::from_be_bytes(*b)));
        if end == 0 {
            return Ok(false);
        }
        // Also what is no chain at all, so that this ends.
        if end > (at + MARKER_LEN).max(from) || end <= at {
            return Ok(true);
        }
        at = end;
    }
}

/// Length of the header, and whether positions are those of the file.
fn header(bytes: &[u8]) -> Option<(u64, bool)> {
    let mut r = ByteReader::new(bytes);
    let version = r.read_u32("version").ok()?;
    r.skip(8, "segment id").ok()?;
    let mut plain = true;
    if version >= 5 {
        let len = usize::from(r.read_u16("length of the parameters").ok()?);
        let start = r.position();
        r.skip(len, "parameters").ok()?;
        let text = String::from_utf8_lossy(bytes.get(start..start + len)?);
        plain = !text.contains("compressionClass") && !text.contains("encCipher");
    }
    r.skip(4, "checksum").ok()?;
    Some((r.position() as u64, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(parameters: &str, sections: &[u32], tail: usize) -> Vec<u8> {
        let mut out = 7_u32.to_be_bytes().to_vec();
        out.extend(42_u64.to_be_bytes());
        out.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
        out.extend(parameters.as_bytes());
        out.extend([9; 4]);
        for len in sections {
            let end = u32::try_from(out.len()).unwrap() + 8 + len;
            out.extend(end.to_be_bytes());
            out.extend([9; 4]);
            out.extend(vec![7; *len as usize]);
        }
        out.extend(vec![0; tail]);
        out
    }

    fn more(bytes: &[u8], flushed: Option<(i64, i32)>) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("CommitLog-7-42.log");
        std::fs::write(&path, bytes).unwrap();
        let flushed =
            flushed.map(|(segment_id, position)| CommitLogPosition { segment_id, position });
        may_hold_more(&path, flushed)
    }

    #[test]
    fn names_have_ids() {
        assert_eq!(segment_id("CommitLog-7-1699285478684.log"), Some(1_699_285_478_684));
        for other in ["CommitLog-7-1_cdc.idx", "CommitLog-1.log", "CommitLog-x-1.log", "a.log"] {
            assert_eq!(segment_id(other), None, "{other}");
        }
    }

    #[test]
    fn a_segment_without_mutations_holds_nothing() {
        for bytes in [segment("{}", &[], 0), segment("{}", &[], 4096), segment("{}", &[0, 0], 100)]
        {
            assert!(!more(&bytes, None));
        }
        assert!(more(&segment("{}", &[0, 0, 50], 100), None));
        assert!(more(&segment("{\"compressionClass\":\"LZ4Compressor\"}", &[50], 0), None));
        assert!(!more(b"", None) && !more(&segment("{}", &[], 0)[..10], None));
    }

    #[test]
    fn what_the_sstables_have_does_not_count() {
        let bytes = segment("{}", &[50, 30], 100);
        // The header has 20 bytes, so the sections end at 78 and 116.
        for (flushed, expected) in [
            (Some((41, 10_000)), true),
            (Some((42, 77)), true),
            (Some((42, 115)), true),
            (Some((42, 116)), false),
            (Some((43, 0)), false),
        ] {
            assert_eq!(more(&bytes, flushed), expected, "{flushed:?}");
        }
        // Positions in a compressed segment are others.
        let bytes = segment("{\"compressionClass\":\"LZ4Compressor\"}", &[50], 0);
        assert!(more(&bytes, Some((42, 10_000))));
        assert!(!more(&bytes, Some((43, 0))));
    }

    #[test]
    fn what_cannot_be_read_may_hold_anything() {
        let flushed = CommitLogPosition { segment_id: 43, position: 0 };
        assert!(may_hold_more(Path::new("/nowhere/CommitLog-7-44.log"), Some(flushed)));
        assert!(may_hold_more(Path::new("/nowhere/other.log"), Some(flushed)));
        // A chain that leads back.
        let mut bytes = segment("{}", &[50], 100);
        bytes[20..24].copy_from_slice(&20_u32.to_be_bytes());
        assert!(more(&bytes, Some((42, 10_000))));
    }
}
