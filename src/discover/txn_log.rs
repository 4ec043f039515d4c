//! Transaction logs of 3.0 and later (`LogFile`, `LogRecord`, `LogReplicaSet`): which SSTables an operation made and
//! which it made obsolete.
//!
//! ```text
//! [<format>-]<version>_txn_<operation>_<time uuid>.log     one copy in every directory that holds one of its SSTables
//!
//! ADD:[<path up to the '-' before the component>,0,<files>][<crc>]
//! REMOVE:[<path>,<newest modification time, ms>,<files>][<crc>]
//! COMMIT:[,0,0][2613697770]     ABORT:[,0,0][737437348]
//! ```
//! The checksum is the CRC32 of the path, the type in upper case, the low and the high half of the time and the number of
//! files, as big-endian integers. Only the last record may be damaged or differ between the copies (one being a prefix of
//! the other): the operation was cut short while it was written, and it counts as not written.
//!
//! The paths are those of the machine that wrote them, so only their last part is used.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::{Damage, Error, ErrorClass, Result};
use crate::io::InputFile;

/// A record takes some 150 bytes and an operation has some thousand of them at most.
const MAX_LOG_LEN: u64 = 64 << 20;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RecordKind {
    Add,
    Remove,
    Commit,
    Abort,
}

impl RecordKind {
    fn parse(word: &str) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Commit, Self::Abort]
            .into_iter()
            .find(|kind| kind.word().eq_ignore_ascii_case(word))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Remove => "REMOVE",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
        }
    }

    fn is_final(self) -> bool {
        match self {
            Self::Commit | Self::Abort => true,
            Self::Add | Self::Remove => false,
        }
    }
}

/// One valid record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: RecordKind,
    path: String,
    /// Newest modification time of the files, ms; 0 if not recorded.
    pub(super) time: i64,
    /// How many files the SSTable had.
    pub(super) files: u64,
}

impl Record {
    /// The directory on the machine that wrote the log: only to tell disks apart.
    pub(super) fn directory(&self) -> &str {
        self.path.rsplit_once(['/', '\\']).map_or("", |(directory, _)| directory)
    }

    /// What the names of the SSTable's files begin with.
    pub(super) fn prefix(&self) -> &str {
        self.path.rsplit_once(['/', '\\']).map_or(self.path.as_str(), |(_, name)| name)
    }

    fn parse(line: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|_| "is not valid UTF-8".to_owned())?;
        let fields = || -> Option<(RecordKind, &str, i64, i32, u32)> {
            let (word, rest) = text.split_once(":[")?;
            let (body, checksum) = rest.strip_suffix(']')?.rsplit_once("][")?;
            // From the right: a path may hold commas.
            let mut parts = body.rsplitn(3, ',');
            let files = parts.next()?.parse().ok()?;
            let time = parts.next()?.parse().ok()?;
            Some((RecordKind::parse(word)?, parts.next()?, time, files, checksum.parse().ok()?))
        };
        let (kind, path, time, files, recorded) =
            fields().ok_or_else(|| "is not a record".to_owned())?;
        let computed = checksum(kind, path, time, files);
        if computed != recorded {
            return Err(format!("has checksum {computed}, {recorded} is recorded"));
        }
        Ok(Self { kind, path: path.to_owned(), time, files: u64::try_from(files).unwrap_or(0) })
    }
}

fn checksum(kind: RecordKind, path: &str, time: i64, files: i32) -> u32 {
    let time = time.to_be_bytes();
    let (high, low) = time.split_at(4);
    let mut crc = crc32fast::Hasher::new();
    for part in [path.as_bytes(), kind.word().as_bytes(), low, high, &files.to_be_bytes()] {
        crc.update(part);
    }
    crc.finalize()
}

/// True for the name of a transaction log: `^((?:[a-z]+-)?.{2}_)?txn_(.*)_(.*)\.log$`.
pub(super) fn is_log_name(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".log") else { return false };
    let Some((before, after)) = stem.split_once("txn_") else { return false };
    let Some(version) = before.strip_suffix('_') else {
        return before.is_empty() && after.contains('_');
    };
    let letters = version
        .rsplit_once('-')
        .map_or(version, |(format, letters)| if format.is_empty() { "" } else { letters });
    letters.chars().count() == 2 && after.contains('_')
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The new SSTables count.
    Committed,
    /// The old ones count, and it is known that nothing more will happen.
    Aborted,
    /// The old ones count, provided that they are all there.
    Unfinished,
}

/// A transaction log, from all its copies.
#[derive(Debug, Clone)]
pub(super) struct TransactionLog {
    /// The copies.
    pub(super) replicas: Vec<PathBuf>,
    /// Valid records in order.
    pub(super) records: Vec<Record>,
    /// Why the last record was left out.
    pub(super) last_damaged: Option<String>,
}

impl TransactionLog {
    /// Reads all copies and checks every record.
    pub(super) fn read(replicas: Vec<PathBuf>) -> Result<Self> {
        let mut contents = Vec::new();
        for path in &replicas {
            contents.push(InputFile::read_all(path, MAX_LOG_LEN)?);
        }
        let copies: Vec<Vec<&[u8]>> = contents.iter().map(|bytes| lines(bytes)).collect();
        let (records, last_damaged) = parse_copies(&copies).map_err(|(copy, cause)| {
            log_error(replicas.get(copy).cloned().unwrap_or_default(), cause)
        })?;
        Ok(Self { replicas, records, last_damaged })
    }

    /// How the operation ended.
    pub(super) fn outcome(&self) -> Outcome {
        match self.records.last().map(|record| record.kind) {
            Some(RecordKind::Commit) => Outcome::Committed,
            Some(RecordKind::Abort) => Outcome::Aborted,
            Some(RecordKind::Add | RecordKind::Remove) | None => Outcome::Unfinished,
        }
    }

    /// The records that name SSTables of a kind.
    pub(super) fn of_kind(&self, kind: RecordKind) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.kind == kind)
    }
}

/// An error about a log, with what to do.
pub(super) fn log_error(path: PathBuf, cause: String) -> Error {
    Error::Damaged(Box::new(Damage {
        path,
        what: Some("transaction log".into()),
        format: None,
        table: None,
        offset: None,
        chunk: None,
        partition_key: None,
        cause,
        hint: Some(
            "take a snapshot (nodetool snapshot) and read that with --snapshot, or copy all data directories of the node at one instant; \
             a log that is known to be stale can be moved away from the copy"
                .into(),
        ),
        class: ErrorClass::Corrupt,
    }))
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> =
        bytes.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines
}

type Parsed = (Vec<Record>, Option<String>);

/// Unites the copies line by line (`LogReplicaSet.readRecords`, `LogFile.verify`). An error names the copy at fault.
fn parse_copies(copies: &[Vec<&[u8]>]) -> Result<Parsed, (usize, String)> {
    let longest = copies.iter().map(Vec::len).max().unwrap_or(0);
    let mut records: Vec<Record> = Vec::new();
    let mut seen = BTreeSet::new();
    for i in 0..longest {
        let number = i + 1;
        let is_last = number == longest;
        let mut line: Option<(usize, &[u8])> = None;
        let mut cut = false;
        for (copy, lines) in copies.iter().enumerate() {
            let Some(&current) = lines.get(i) else { continue };
            let Some((_, first)) = line else {
                line = Some((copy, current));
                continue;
            };
            if first == current {
                continue;
            }
            let prefix = first.starts_with(current) || current.starts_with(first);
            if !prefix || lines.len() != number {
                return Err((copy, format!("line {number} differs from the copy on another disk")));
            }
            cut = true;
            if current.len() > first.len() {
                line = Some((copy, current));
            }
        }
        let Some((copy, text)) = line else { continue };
        let parsed = if cut {
            Err("is cut short in one of its copies".to_owned())
        } else {
            Record::parse(text)
        };
        match parsed {
            Ok(record) => {
                if !seen.insert((record.kind, record.path.clone())) {
                    return Err((copy, format!("line {number} repeats a record")));
                }
                if record.kind.is_final() && !is_last {
                    return Err((
                        copy,
                        format!("there are records behind line {number}, which ends the operation"),
                    ));
                }
                records.push(record);
            }
            Err(why) if is_last => return Ok((records, Some(format!("line {number} {why}")))),
            Err(why) => return Err((copy, format!("line {number} {why}"))),
        }
    }
    Ok((records, None))
}

#[cfg(test)]
pub(super) fn record_line(word: &str, path: &str, time: i64, files: i32) -> String {
    let kind = RecordKind::parse(word).unwrap();
    format!("{word}:[{path},{time},{files}][{}]", checksum(kind, path, time, files))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &str = "ADD:[/var/lib/cassandra/data/ks/t-0123456789abcdef0123456789abcdef/nb-8-big-,0,8][191559686]";
    const REMOVE: &str = "REMOVE:[/var/lib/cassandra/data/ks/t-0123456789abcdef0123456789abcdef/nb-7-big-,1700000000000,8][1717366270]";
    const COMMIT: &str = "COMMIT:[,0,0][2613697770]";
    const ABORT: &str = "ABORT:[,0,0][737437348]";

    fn parse(copies: &[&str]) -> Result<Parsed, (usize, String)> {
        let copies: Vec<Vec<&[u8]>> = copies.iter().map(|text| lines(text.as_bytes())).collect();
        parse_copies(&copies)
    }

    #[test]
    fn checksums_are_those_of_cassandra() {
        for line in [ADD, REMOVE, COMMIT, ABORT, &COMMIT.replace("COMMIT", "commit")] {
            Record::parse(line.as_bytes()).unwrap();
        }
        let record = Record::parse(REMOVE.as_bytes()).unwrap();
        assert_eq!(record.prefix(), "nb-7-big-");
        assert_eq!((record.time, record.files), (1_700_000_000_000, 8));
        assert!(record.directory().ends_with("/ks/t-0123456789abcdef0123456789abcdef"));
        for (from, to) in [("8]", "9]"), ("ADD", "REMOVE"), ("nb-8", "nb-9"), ("][19", "][18")] {
            assert!(Record::parse(ADD.replace(from, to).as_bytes()).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn every_prefix_of_a_log_is_read_as_an_unfinished_operation() {
        let text = format!("{REMOVE}\n{ADD}\n{COMMIT}\n");
        for len in 0..text.len() - 1 {
            let (records, damaged) = parse(&[text.get(..len).unwrap()]).unwrap();
            if text.get(..len).unwrap().ends_with(COMMIT) {
                assert_eq!(records.len(), 3);
                continue;
            }
            assert!(records.iter().all(|r| !r.kind.is_final()), "{len}");
            let whole = [REMOVE.len(), REMOVE.len() + 1 + ADD.len()];
            let at_line_end = len == 0 || whole.contains(&len) || whole.contains(&(len - 1));
            assert_eq!(damaged.is_none(), at_line_end, "{len}");
        }
    }

    #[test]
    fn only_the_last_record_may_be_bad() {
        let bad = ADD.replace("191559686", "1");
        assert!(parse(&[&format!("{bad}\n{COMMIT}\n")]).is_err());
        let (records, damaged) = parse(&[&format!("{REMOVE}\n{bad}\n")]).unwrap();
        assert_eq!(records.len(), 1);
        assert!(damaged.unwrap().contains("line 2"));
    }

    #[test]
    fn repeated_records_and_records_behind_the_end_are_errors() {
        assert!(parse(&[&format!("{ADD}\n{ADD}\n")]).unwrap_err().1.contains("repeats"));
        assert!(parse(&[&format!("{COMMIT}\n{ADD}\n")]).unwrap_err().1.contains("behind"));
    }

    #[test]
    fn copies_on_several_disks_agree_but_for_the_end() {
        let whole = format!("{REMOVE}\n{ADD}\n{COMMIT}\n");
        let (records, damaged) = parse(&[&whole, &whole]).unwrap();
        assert_eq!((records.len(), damaged), (3, None));
        // The second copy was not written yet: the record counts.
        let (records, _) = parse(&[&whole, &format!("{REMOVE}\n{ADD}\n")]).unwrap();
        assert_eq!(records.last().unwrap().kind, RecordKind::Commit);
        // It was being written: it does not.
        let cut = whole.get(..whole.len() - 4).unwrap();
        for copies in [[whole.as_str(), cut], [cut, whole.as_str()]] {
            let (records, damaged) = parse(&copies).unwrap();
            assert_eq!(records.len(), 2);
            assert!(damaged.is_some());
        }
        // They contradict each other.
        let other = whole.replace(COMMIT, ABORT);
        assert_eq!(parse(&[&whole, &other]).unwrap_err().0, 1);
        // A line that is cut with more lines behind it.
        let broken = format!("{}\n{ADD}\n{COMMIT}\n", REMOVE.get(..40).unwrap());
        assert!(parse(&[&whole, &broken]).is_err());
    }

    #[test]
    fn names_of_logs_are_recognised() {
        for name in [
            "nb_txn_compaction_8f1c2a40-1111-11ee-9c6b-0242ac110002.log",
            "bti-da_txn_flush_8f1c2a40-1111-11ee-9c6b-0242ac110002.log",
            "mc_txn_unknowncompactiontype_8f1c2a40-1111-11ee-9c6b-0242ac110002.log",
            "txn_flush_x.log",
        ] {
            assert!(is_log_name(name), "{name}");
        }
        for name in
            ["nb_txn_compaction.log", "system.log", "nb_txn_flush_x.log.tmp", "abc_txn_flush_x.log"]
        {
            assert!(!is_log_name(name), "{name}");
        }
    }
}
