//! `report.json`: what a run read, what became of it, and what it did not read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counters::{Books, NotRead};

/// The `formatVersion` written.
pub const REPORT_VERSION: u32 = 1;

/// The report of one agent's run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub format_version: u32,
    /// Program and version.
    pub tool: String,
    /// The agent's number.
    pub agent: u32,
    /// True if the books of every table balance; false is a bug of ours.
    pub balanced: bool,
    /// What does not balance, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imbalances: Vec<String>,
    /// Per table, in the order given.
    pub tables: Vec<TableReport>,
    /// Sum over the tables.
    pub total: Books,
    /// What was seen but is not read.
    pub not_read: NotRead,
    /// The commit logs that were laid over the SSTables, one for each node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commit_logs: Vec<CommitLogReport>,
    /// Each damage that something was lost to.
    pub quarantine: Vec<Quarantine>,
    /// Warnings given.
    pub warnings: Vec<String>,
}

/// The books of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Its books.
    #[serde(flatten)]
    pub books: Books,
    /// Rows that the profile cannot carry, by what was in them; they are among `rowsQuarantined`, but for partitions without rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, u64>,
}

/// What came of the commit log of a node that was laid over its SSTables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CommitLogReport {
    /// What the user calls the node, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The node's id, where that is known.
    pub host_id: Option<String>,
    /// Position of the last mutation of the log, segment and offset as in `commitLogIntervals`: what ends there or before is in the
    /// SSTables or in the files. None where something of the log was left out for being damaged.
    pub read_to: Option<(u64, u64)>,
    /// Segments that hold mutations, in order.
    pub segments: Vec<OverlaidSegment>,
    /// Updates of the tables extracted that were taken.
    pub updates_taken: u64,
    /// Updates of these tables that SSTables have.
    pub updates_flushed: u64,
    /// Updates of tables that the schema does not have.
    pub updates_unknown: u64,
    /// Cells of dropped or unknown columns in the updates taken; they are in no other book.
    pub cells_left_out: u64,
    /// Bytes that did not fit into memory. In no manifest, for it depends on the memory.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes_spilled: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A segment of the commit log that was laid over the SSTables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OverlaidSegment {
    /// File name.
    pub name: String,
    /// Length of the file.
    pub bytes: u64,
    /// Position of its last mutation: segment and offset, as in `commitLogIntervals`.
    pub end: (u64, u64),
    /// Mutations in it, of all tables.
    pub mutations: u64,
}

/// Something that was skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// `keyspace.table`.
    pub table: String,
    /// The input file; none where a row could be read but not written in this profile.
    pub file: Option<String>,
    /// The part of the file, where one is known.
    pub offsets: Option<OffsetRange>,
    /// Tokens of which rows may be missing; none if a single row is named in the cause.
    pub tokens: Option<TokenSpan>,
    /// Why, and for a single row its key.
    pub cause: String,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First byte.
    pub start: u64,
    /// First byte behind it.
    pub end: u64,
}

/// A part of the ring; tokens are text, as they exceed what readers of JSON keep exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSpan {
    /// Exclusive.
    pub start: String,
    /// Inclusive.
    pub end: String,
}

impl Report {
    /// Makes a report: adds up the tables and checks their books.
    pub fn new(agent: u32, tables: Vec<TableReport>, not_read: NotRead) -> Self {
        let mut total = Books::default();
        let mut imbalances = Vec::new();
        for table in &tables {
            total.merge(&table.books);
            if let Err(words) = table.books.check() {
                imbalances.push(format!("{}.{}: {words}", table.keyspace, table.table));
            }
        }
        if let Err(words) = total.check() {
            imbalances.push(format!("total: {words}"));
        }
        Self {
            format_version: REPORT_VERSION,
            tool: format!("cassport {}", env!("CARGO_PKG_VERSION")),
            agent,
            balanced: imbalances.is_empty(),
            imbalances,
            tables,
            total,
            not_read,
            commit_logs: Vec::new(),
            quarantine: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// True if nothing was skipped: the difference between exit codes 0 and 1.
    pub fn is_whole(&self) -> bool {
        self.quarantine.is_empty()
            && self.total.rows_quarantined == 0
            && self.total.cells_quarantined == 0
            && self.total.chunks_failed == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows_read: u64, rows_emitted: u64) -> TableReport {
        let books = Books {
            rows_read,
            rows_emitted,
            records_emitted: rows_emitted,
            bytes_read: 10,
            ..Books::default()
        };
        TableReport { keyspace: "ks".into(), table: name.into(), books, refused: BTreeMap::new() }
    }

    #[test]
    fn a_report_adds_up_its_tables() {
        let report = Report::new(3, vec![table("a", 5, 5), table("b", 7, 7)], NotRead::default());
        assert!(report.balanced && report.is_whole());
        assert_eq!((report.total.rows_read, report.total.bytes_read), (12, 20));
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.starts_with(r#"{"formatVersion":1,"tool":"cassport "#), "{text}");
        assert!(
            text.contains(r#""keyspace":"ks","table":"a","rowsRead":5,"rowsMerged":0"#),
            "{text}"
        );
        assert!(text.contains(r#""notRead":{"hints":0,"#), "{text}");
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn a_table_that_does_not_balance_is_named() {
        // Two errors that cancel out in the sum are errors all the same.
        let report = Report::new(0, vec![table("a", 5, 4), table("b", 7, 8)], NotRead::default());
        assert!(!report.balanced);
        assert_eq!(report.imbalances.len(), 2);
        assert!(report.imbalances[0].starts_with("ks.a: rowsRead 5 is not the sum 4 of"));
    }

    #[test]
    fn a_quarantined_row_makes_it_not_whole() {
        let mut report = Report::new(0, vec![], NotRead::default());
        report.quarantine.push(Quarantine {
            table: "ks.t".into(),
            file: Some("nb-1-big-Data.db".into()),
            offsets: Some(OffsetRange { start: 0, end: 65536 }),
            tokens: Some(TokenSpan { start: "-5".into(), end: "7".into() }),
            cause: "checksum".into(),
        });
        assert!(!report.is_whole());
    }
}
