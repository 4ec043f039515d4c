//! What a check of an SSTable found.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, ErrorClass, Result};

/// Findings listed by a check: what is wrong throughout need not be told place by place.
const MAX_FINDINGS: usize = 20;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckKind {
    /// Data.db against Digest.crc32.
    Digest,
    /// Every chunk of Data.db against its CRC.
    Chunks,
    /// Every partition and row can be decoded.
    Rows,
    /// Partitions in the order of the partitioner.
    KeyOrder,
    /// Rows and range tombstones in clustering order.
    RowOrder,
    /// Entries of Index.db against the partitions of Data.db.
    Index,
    /// The index of the rows of large partitions against these.
    RowIndex,
    /// Summary.db against Index.db.
    Summary,
    /// The Bloom filter contains every key.
    Filter,
    /// Statistics.db against the content.
    Statistics,
}

impl CheckKind {
    /// Those that walk through the rows of Data.db.
    pub(super) const OF_WALK: [Self; 5] =
        [Self::KeyOrder, Self::RowOrder, Self::Index, Self::RowIndex, Self::Statistics];

    /// All, in the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::Digest,
        Self::Chunks,
        Self::Rows,
        Self::KeyOrder,
        Self::RowOrder,
        Self::Index,
        Self::RowIndex,
        Self::Summary,
        Self::Filter,
        Self::Statistics,
    ];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Chunks => "chunk checksums",
            Self::Rows => "rows",
            Self::KeyOrder => "key order",
            Self::RowOrder => "row order",
            Self::Index => "index",
            Self::RowIndex => "row index",
            Self::Summary => "summary",
            Self::Filter => "Bloom filter",
            Self::Statistics => "statistics",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Where: of the uncompressed stream for Data.db, of the file otherwise.
    pub offset: Option<u64>,
    /// Key of the partition, in hexadecimal, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// What.
    pub cause: String,
}

impl Finding {
    /// A finding at `offset` of `file`.
    pub(super) fn at(file: PathBuf, offset: u64, cause: impl Into<String>) -> Self {
        Self { file, offset: Some(offset), partition_key: None, cause: cause.into() }
    }

    /// A finding about all of `file`.
    pub(super) fn of(file: PathBuf, cause: impl Into<String>) -> Self {
        Self { file, offset: None, partition_key: None, cause: cause.into() }
    }

    /// Adds the key of the partition.
    pub(super) fn with_key(mut self, key: &[u8]) -> Self {
        let hex = hex_simd::encode_to_string(key, hex_simd::AsciiCase::Lower);
        self.partition_key = Some(format!("0x{hex}"));
        self
    }
}

/// What came of one check. It passed if it has nothing to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at.
    pub kind: CheckKind,
    /// What is wrong, at most twenty places.
    pub findings: Vec<Finding>,
    /// More places that are wrong.
    pub more: u64,
    /// Why it could not be made, or not to its end.
    pub not_possible: Option<String>,
    /// It could not be made because a file cannot be read.
    pub unreadable: bool,
}

impl Check {
    fn new(kind: CheckKind) -> Self {
        Self { kind, findings: Vec::new(), more: 0, not_possible: None, unreadable: false }
    }

    /// True if it was made and found nothing.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty() && self.not_possible.is_none()
    }

    /// One word for it.
    pub fn word(&self) -> &'static str {
        match (self.findings.is_empty(), &self.not_possible) {
            (false, _) => "failed",
            (true, Some(_)) if self.unreadable => "unreadable",
            (true, Some(_)) => "not possible",
            (true, None) => "ok",
        }
    }
}

/// All checks of one SSTable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SstableChecks {
    /// `keyspace.table`.
    pub table: String,
    /// Its Data.db.
    pub file: PathBuf,
    /// Partitions read.
    pub partitions: u64,
    /// Rows read, static ones not counted.
    pub rows: u64,
    /// One of each kind, in order.
    pub checks: Vec<Check>,
}

impl SstableChecks {
    /// Before anything was looked at.
    pub(super) fn new(table: &str, file: PathBuf) -> Self {
        let checks = CheckKind::ALL.into_iter().map(Check::new).collect();
        Self { table: table.to_owned(), file, partitions: 0, rows: 0, checks }
    }

    /// The check of a kind.
    pub fn check(&self, kind: CheckKind) -> Option<&Check> {
        self.checks.iter().find(|check| check.kind == kind)
    }

    /// Takes a check away, of what a format does not have.
    pub(super) fn leave_out(&mut self, kind: CheckKind) {
        self.checks.retain(|check| check.kind != kind);
    }

    fn check_mut(&mut self, kind: CheckKind) -> Option<&mut Check> {
        self.checks.iter_mut().find(|check| check.kind == kind)
    }

    /// True if `kind` has found something.
    pub(super) fn has_failed(&self, kind: CheckKind) -> bool {
        self.check(kind).is_some_and(|check| !check.findings.is_empty())
    }

    /// Enters something that is wrong.
    pub(super) fn add(&mut self, kind: CheckKind, finding: Finding) {
        let Some(check) = self.check_mut(kind) else { return };
        if check.findings.contains(&finding) {
            return;
        }
        if check.findings.len() == MAX_FINDINGS {
            check.more += 1;
        } else {
            check.findings.push(finding);
        }
    }

    /// Enters that a check cannot be made; the first reason stands.
    pub(super) fn not_possible(&mut self, kind: CheckKind, why: impl Into<String>) {
        if let Some(check) = self.check_mut(kind) {
            check.not_possible.get_or_insert_with(|| why.into());
        }
    }

    /// Enters what an error says: damage is a finding, a file that cannot be read makes the check impossible. What has
    /// nothing to do with the file is handed back.
    pub(super) fn add_error(&mut self, kind: CheckKind, error: Error) -> Result<()> {
        match (error.class(), error) {
            (ErrorClass::Corrupt, Error::Damaged(damage)) => {
                let damage = *damage;
                let finding = Finding {
                    file: damage.path,
                    offset: damage.offset,
                    partition_key: damage.partition_key,
                    cause: damage.cause,
                };
                self.add(kind, finding);
                Ok(())
            }
            (ErrorClass::Input | ErrorClass::Missing | ErrorClass::Unsupported, error) => {
                self.not_possible(kind, words(&error));
                if let Some(check) = self.check_mut(kind) {
                    check.unreadable = true;
                }
                Ok(())
            }
            (_, error) => Err(error),
        }
    }

    /// True if a check found something wrong.
    pub fn has_findings(&self) -> bool {
        self.checks.iter().any(|check| !check.findings.is_empty())
    }

    /// True if a file could not be read.
    pub fn is_unreadable(&self) -> bool {
        self.checks.iter().any(|check| check.unreadable)
    }
}

/// An error in one line, with what the operating system said.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Input { source, .. } | Error::Output { source, .. } => format!("{error}: {source}"),
        Error::Damaged(damage) => format!("{}: {}", damage.path.display(), damage.cause),
        other => other.to_string(),
    }
}
