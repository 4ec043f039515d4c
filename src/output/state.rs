//! `state.json`, `status.json` and `complete.json`: what is done so far, how far it is, and that all is done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::manifest::{ColumnStats, FORMAT_VERSION, FileEntry, RecordDigest, TableCounters};
use super::run::RunInfo;
use crate::progress::{Books, Quarantine};

/// The splits that an agent has finished, while it runs. Removed when its manifest is there.
///
/// It is written after the objects it names: what it does not name is done again, with the same names and bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The run's fingerprint.
    pub fingerprint: String,
    /// Fingerprint of the input files and of the splits made from them.
    pub source_fingerprint: String,
    /// The SSTables it was planned with, by folder, to say which of them are gone.
    #[serde(default)]
    pub sources: BTreeMap<String, Vec<String>>,
    /// The agent's number.
    pub agent: u32,
    /// When the agent first began.
    pub started: String,
    /// Tables by `keyspace.table`.
    pub tables: BTreeMap<String, TableState>,
}

/// The splits of one table that are finished.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TableState {
    /// By split number.
    pub splits: BTreeMap<u64, SplitState>,
}

/// What a finished split left: everything that manifest and report need of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SplitState {
    /// Files written; none for an empty split.
    pub files: Vec<FileEntry>,
    /// Files of deletions written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletes: Vec<FileEntry>,
    /// Per column of the output.
    pub columns: Vec<ColumnStats>,
    /// Counts of values that a target may not like.
    pub counters: TableCounters,
    /// Its books.
    pub books: Books,
    /// What was skipped in it.
    pub quarantine: Vec<Quarantine>,
}

/// What an agent's part is made from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceFiles {
    /// Fingerprint of the input files and of the splits made from them.
    pub fingerprint: String,
    /// Names of SSTables (`nb-1-big`) by folder, as the manifest names folders.
    pub sstables: BTreeMap<String, Vec<String>>,
}

impl SourceFiles {
    /// An SSTable of `planned` that is not here.
    fn missing_of(&self, planned: &BTreeMap<String, Vec<String>>) -> Option<String> {
        planned.iter().find_map(|(folder, names)| {
            let here = self.sstables.get(folder);
            let is_here = |name: &&String| here.is_some_and(|here| here.contains(name));
            Some(format!("{folder}/{}", names.iter().find(|name| !is_here(name))?))
        })
    }
}

impl StateFile {
    /// The SSTable that it was planned with and that is gone, if there is one.
    pub fn gone(&self, source: &SourceFiles) -> Option<String> {
        source.missing_of(&self.sources)
    }

    /// The state of an agent that begins.
    pub fn new(run: &RunInfo, agent: u32, source: &SourceFiles, started: &str) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            fingerprint: run.fingerprint.clone(),
            source_fingerprint: source.fingerprint.clone(),
            sources: source.sstables.clone(),
            agent,
            started: started.to_owned(),
            tables: BTreeMap::new(),
        }
    }
}

/// `status.json`: progress in the words of DMS, for `cassport status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The agent's number.
    pub agent: u32,
    /// Its host name.
    pub host: String,
    /// What it is doing.
    pub phase: Phase,
    /// When this was written; RFC 3339.
    pub updated: String,
    /// Seconds since it began.
    pub elapsed_seconds: u64,
    /// 0 to 100.
    pub percent: f64,
    /// Tables done.
    pub tables_loaded: u64,
    /// Tables under way.
    pub tables_loading: u64,
    /// Tables not begun.
    pub tables_queued: u64,
    /// Tables that failed.
    pub tables_errored: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// How far changes are behind; none while extracting.
    pub lag_seconds: Option<f64>,
    /// The last error.
    pub last_error: Option<String>,
    /// Per table.
    pub tables: Vec<TableStatus>,
}

impl Status {
    /// What is known of one that has said nothing but what it does: all numbers are 0.
    pub fn new(agent: u32, phase: Phase) -> Self {
        Self {
            agent,
            host: String::new(),
            phase,
            updated: String::new(),
            elapsed_seconds: 0,
            percent: 0.0,
            tables_loaded: 0,
            tables_loading: 0,
            tables_queued: 0,
            tables_errored: 0,
            rows: 0,
            bytes_read: 0,
            bytes_written: 0,
            lag_seconds: None,
            last_error: None,
            tables: Vec::new(),
        }
    }
}

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Writing rows.
    Extracting,
    /// Shipping changes.
    Tailing,
    /// Merging changes.
    Sequencing,
    /// Done.
    Complete,
    /// Stopped by an error.
    Failed,
}

/// Progress of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableStatus {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// DMS's word for it.
    pub state: TablePhase,
    /// 0 to 100.
    pub percent: f64,
    /// Rows written.
    pub rows: u64,
    /// Seconds since its first split began.
    pub elapsed_seconds: u64,
    /// Rows and files skipped.
    pub errors: u64,
}

/// State of a table, in DMS's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TablePhase {
    /// Not begun.
    #[serde(rename = "Before load")]
    BeforeLoad,
    /// Under way.
    #[serde(rename = "Full load")]
    FullLoad,
    /// Done.
    #[serde(rename = "Table completed")]
    Completed,
    /// Stopped before it was done.
    #[serde(rename = "Table cancelled")]
    Cancelled,
    /// Failed.
    #[serde(rename = "Table error")]
    Error,
}

/// `complete.json`: all agents are done and their parts make the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Complete {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Program and version.
    pub tool: String,
    /// Profile.
    pub profile: String,
    /// The clock of the run.
    pub clock: String,
    /// When the last agent ended.
    pub finished: String,
    /// The run's fingerprint.
    pub fingerprint: String,
    /// Numbers of the agents.
    pub agents: Vec<u32>,
    /// Records written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Tables in order of their names.
    pub tables: Vec<CompleteTable>,
    /// Objects written by `seal` beside this one.
    pub side_files: Vec<String>,
    /// For DMS: the tables of each external table definition, as one endpoint takes 2 MB of it. Empty for other profiles.
    pub dms_endpoints: Vec<Vec<String>>,
    /// The hosts with a change stream, and why nothing is missing between the extract and the stream.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hand_off: Vec<HandOff>,
}

/// What joins the extract of a host to its change stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HandOff {
    /// Host id.
    pub host_id: String,
    /// Why there is no gap.
    pub proof: HandOffProof,
    /// In words; of what is not proven: why not.
    pub words: String,
}

/// Why nothing is missing between an extract and a change stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HandOffProof {
    /// The SSTables have the commit log up to where the stream begins.
    Positions,
    /// The stream has everything that was not flushed when the tail began, and the files were taken later.
    Order,
    /// There is none; the user said to go on.
    Unproven,
}

/// One table of a whole output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteTable {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Identity, where it is known.
    pub table_id: Option<String>,
    /// Records of all agents.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Sum of all digests.
    pub digest: RecordDigest,
    /// Counts of values that a target may not like.
    pub counters: TableCounters,
    /// What is deleted; none if that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<CompleteDeletes>,
}

/// The deletions of one table of a whole output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CompleteDeletes {
    /// Records of all agents.
    pub records: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of files.
    pub files: u64,
    /// Sum of all digests.
    pub digest: RecordDigest,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::manifest::{read_json, write_json};

    #[test]
    fn a_state_reads_back_with_its_splits() {
        let mut state = StateFile {
            format_version: 1,
            fingerprint: "f".into(),
            source_fingerprint: "g".into(),
            sources: BTreeMap::from([("ks/t-1".to_owned(), vec!["nb-1-big".to_owned()])]),
            agent: 3,
            started: "2026-11-21T00:00:00Z".into(),
            tables: BTreeMap::new(),
        };
        let split = SplitState {
            columns: vec![ColumnStats { max_digits: Some(3), ..ColumnStats::default() }],
            books: Books { rows_read: 7, ..Books::default() },
            ..SplitState::default()
        };
        state.tables.entry("ks.t".into()).or_default().splits.insert(11, split);
        let bytes = write_json(&state).unwrap();
        assert_eq!(read_json::<StateFile>("state.json", &bytes).unwrap(), state);
    }

    #[test]
    fn a_status_has_the_names_of_the_reference() {
        let status = Status {
            agent: 0,
            host: "n1".into(),
            phase: Phase::Extracting,
            updated: "u".into(),
            elapsed_seconds: 1,
            percent: 12.5,
            tables_loaded: 1,
            tables_loading: 2,
            tables_queued: 3,
            tables_errored: 0,
            rows: 5,
            bytes_read: 6,
            bytes_written: 7,
            lag_seconds: None,
            last_error: None,
            tables: vec![TableStatus {
                keyspace: "ks".into(),
                table: "t".into(),
                state: TablePhase::FullLoad,
                percent: 1.0,
                rows: 5,
                elapsed_seconds: 1,
                errors: 0,
            }],
        };
        let text = serde_json::to_string(&status).unwrap();
        assert_eq!(
            text,
            r#"{"agent":0,"host":"n1","phase":"extracting","updated":"u","elapsedSeconds":1,"percent":12.5,"tablesLoaded":1,"tablesLoading":2,"tablesQueued":3,"tablesErrored":0,"rows":5,"bytesRead":6,"bytesWritten":7,"lagSeconds":null,"lastError":null,"tables":[{"keyspace":"ks","table":"t","state":"Full load","percent":1.0,"rows":5,"elapsedSeconds":1,"errors":0}]}"#
        );
    }
}
