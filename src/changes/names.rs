//! Names of the objects that change records stand in.
//!
//! ```text
//! _cassport/changes/<hostId>/<segment, 19 digits>-<start, 10 digits>.jsonl.zst    records whose mutations end behind start
//! _cassport/changes/<hostId>/<sstable>-<record, 10 digits>.jsonl.zst              records of an SSTable of the backups
//! _cassport/changes/<hostId>/watermark.json                                       everything up to here is shipped
//! ```

use uuid::Uuid;

use super::origin::{LogPosition, Position};
use crate::error::{Error, Result};

/// Folder of the folders of all hosts, with its final `/`.
pub const CHANGES: &str = "_cassport/changes/";
const EXTENSION: &str = ".jsonl.zst";
const WATERMARK: &str = "watermark.json";
const SEGMENT_DIGITS: usize = 19;
const START_DIGITS: usize = 10;

/// The host of an object of changes, and where its records begin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectPosition {
    /// Host id.
    pub host_id: Uuid,
    /// Where the records begin.
    pub start: Position,
}

/// Folder of a host's changes, with its final `/`.
pub fn change_folder(host_id: Uuid) -> String {
    format!("{CHANGES}{}/", host_id.hyphenated())
}

/// The object whose records begin at `start`. Names of one host in order of text are in order of position.
pub fn change_object(host_id: Uuid, start: &Position) -> Result<String> {
    let folder = change_folder(host_id);
    match start {
        Position::Log(LogPosition { segment, offset }) => {
            if *segment < 0 {
                return Err(Error::Bug(format!("commit-log segment {segment} has no object name")));
            }
            Ok(format!("{folder}{segment:019}-{offset:010}{EXTENSION}"))
        }
        Position::Sstable { sstable, record } => {
            Ok(format!("{folder}{sstable}-{record:010}{EXTENSION}"))
        }
    }
}

/// The object that says how far a host has come.
pub fn watermark_object(host_id: Uuid) -> String {
    format!("{}{WATERMARK}", change_folder(host_id))
}

/// The object in which a host's tail says what it does: `status.json` of `output.md` section 5.
pub fn change_status_object(host_id: Uuid) -> String {
    format!("{}status.json", change_folder(host_id))
}

/// What [`change_object`] made `name` of; none if it did not.
pub fn parse_change_object(name: &str) -> Option<ObjectPosition> {
    let (host, file) = name.strip_prefix(CHANGES)?.split_once('/')?;
    let host_id = Uuid::parse_str(host).ok()?;
    let (before, start) = file.strip_suffix(EXTENSION)?.rsplit_once('-')?;
    if start.len() < START_DIGITS || !start.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let is_segment = before.len() == SEGMENT_DIGITS && before.bytes().all(|b| b.is_ascii_digit());
    let start = if is_segment {
        Position::Log(LogPosition { segment: before.parse().ok()?, offset: start.parse().ok()? })
    } else {
        if before.is_empty() || before.contains('/') {
            return None;
        }
        Position::Sstable { sstable: before.to_owned(), record: start.parse().ok()? }
    };
    Some(ObjectPosition { host_id, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Uuid = Uuid::from_u128(0x0e9f_0000_0000_0000_0000_0000_0000_0001);

    fn log(segment: i64, offset: u32) -> Position {
        Position::Log(LogPosition { segment, offset })
    }

    #[test]
    fn names_read_back_and_sort_as_positions_do() {
        let starts = [
            log(7, 0),
            log(1_700_000_000_123, 0),
            log(1_700_000_000_123, 4711),
            log(1_700_000_000_123, u32::MAX),
            log(i64::MAX, 1),
        ];
        let names: Vec<_> =
            starts.iter().map(|start| change_object(HOST, start).unwrap()).collect();
        assert!(names.is_sorted());
        assert_eq!(
            names[2],
            "_cassport/changes/0e9f0000-0000-0000-0000-000000000001/0000001700000000123-0000004711.jsonl.zst"
        );
        let backup = Position::Sstable { sstable: "nb-12-big".into(), record: 9 };
        for start in starts.into_iter().chain([backup]) {
            let name = change_object(HOST, &start).unwrap();
            assert_eq!(parse_change_object(&name), Some(ObjectPosition { host_id: HOST, start }));
        }
        assert!(change_object(HOST, &log(-1, 0)).is_err());
    }

    #[test]
    fn other_names_are_none() {
        let folder = change_folder(HOST);
        for name in [
            watermark_object(HOST),
            format!("{folder}x.jsonl.zst"),
            format!("{folder}0000001700000000123-47.jsonl.zst"),
            format!("{folder}0000001700000000123-9999999999.jsonl.zst"),
            format!("{folder}0000001700000000123-0000004711.jsonl"),
            format!("{CHANGES}x/0000001700000000123-0000004711.jsonl.zst"),
            format!("{folder}-0000004711.jsonl.zst"),
            "_cassport/run.json".to_owned(),
        ] {
            assert_eq!(parse_change_object(&name), None, "{name}");
        }
    }
}
