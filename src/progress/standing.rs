//! Where a job stands, as somebody sees it who looks from outside: `/status.json`, and what metrics are made of.

use serde::Serialize;

use super::clock::UnixMillis;

/// Everything that is known of a job at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Version of the program.
    pub version: String,
    /// The command.
    pub command: String,
    /// The machine.
    pub host: String,
    /// Where the output is.
    pub output: String,
    /// When this was taken; RFC 3339.
    pub updated: String,
    /// Seconds since the process began.
    pub elapsed_seconds: f64,
    /// What is wrong with the process, if anything is.
    pub unhealthy: Option<String>,
    /// What it waits for before it is ready, or without which it cannot go on.
    pub not_ready: Option<String>,
    /// Seconds since the work last moved; none while nothing works.
    pub silent_seconds: Option<f64>,
    /// Tables being extracted, by name.
    pub tables: Vec<TableStanding>,
    /// Seconds until all of them are done, at the pace so far.
    pub seconds_left: Option<u64>,
    /// Streams of changes.
    pub streams: Vec<StreamStanding>,
    /// Space for them in `cdc_raw`.
    pub cdc_space: Option<CdcSpace>,
    /// The sequencer.
    pub sequencer: Option<SequencerStanding>,
    /// Agents of an output, where one looks at all of it.
    pub agents: Vec<AgentStanding>,
    /// Memory.
    pub memory: Option<MemoryUse>,
    /// Warnings and errors: how many there were.
    pub warnings: u64,
    /// Errors that tables failed with.
    pub errors: u64,
    /// The last of them, the newest first.
    pub messages: Vec<Message>,
}

/// A table being extracted.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableStanding {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// DMS's word for how far it is.
    pub state: String,
    /// 0 to 100.
    pub percent: f64,
    /// Rows written.
    pub rows: u64,
    /// Uncompressed bytes to read.
    pub bytes_planned: u64,
    /// Uncompressed bytes read by this process.
    pub bytes_read: u64,
    /// Bytes of records.
    pub bytes_written: u64,
    /// Splits to do.
    pub splits: u64,
    /// Splits done, those of a former run included.
    pub splits_done: u64,
    /// Seconds since its first split began.
    pub elapsed_seconds: f64,
    /// Errors that it failed with.
    pub errors: u64,
    /// Damages that something was lost to.
    pub damages: u64,
    /// Rows that the profile cannot carry.
    pub rows_refused: u64,
}

/// The changes of one host.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStanding {
    /// Host id.
    pub host_id: String,
    /// The segment up to which all is shipped.
    pub segment: i64,
    /// Offset in it.
    pub offset: u64,
    /// Everything that was written to the host before is shipped: milliseconds since 1970; none where that is not known.
    pub shipped_until_millis: Option<i64>,
    /// Seconds between that and the clock of whoever asks.
    pub lag_seconds: Option<f64>,
    /// Segments that are followed.
    pub segments_followed: u64,
    /// Segments shipped to their end.
    pub segments_shipped: u64,
    /// Mutations read.
    pub mutations: u64,
    /// Records shipped.
    pub records: u64,
    /// Objects stored.
    pub objects: u64,
    /// Bytes of mutations read.
    pub bytes_read: u64,
    /// Bytes of objects.
    pub bytes_written: u64,
    /// Mutations that wait for the definition of their table.
    pub held: u64,
    /// Parts of segments that could not be read.
    pub damages: u64,
    /// Ranges of changes that are lost.
    pub lost: u64,
}

/// Space of `cdc_raw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CdcSpace {
    /// Bytes in use.
    pub bytes_used: u64,
    /// Bytes from which on Cassandra refuses writes to tables with CDC.
    pub bytes_limit: u64,
}

/// The sequencer.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SequencerStanding {
    /// It writes nothing before the extract is sealed.
    pub held_back: bool,
    /// Batches done, of all processes.
    pub batches: u64,
    /// Rows written, of all processes.
    pub rows: u64,
    /// Change files written by this process.
    pub files: u64,
    /// Bytes of them.
    pub bytes_written: u64,
    /// Objects of change records that are listed and not read.
    pub objects_pending: u64,
    /// All hosts have shipped what was written before, and it is in the files: milliseconds since 1970; none where not known.
    pub written_until_millis: Option<i64>,
    /// Seconds between that and the clock of whoever asks.
    pub lag_seconds: Option<f64>,
    /// Per table.
    pub tables: Vec<SequencedTable>,
}

/// A table whose changes are sequenced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SequencedTable {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Rows written.
    pub rows: u64,
    /// Records not used, as the table is stopped or unknown.
    pub held: u64,
    /// Rows that the profile cannot carry.
    pub refused: u64,
    /// Why nothing of it is written any more.
    pub stopped: Option<String>,
}

/// An agent of an output.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentStanding {
    /// Its number.
    pub agent: u32,
    /// Its machine.
    pub host: String,
    /// What it does.
    pub phase: String,
    /// 0 to 100.
    pub percent: f64,
    /// Rows written.
    pub rows: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Seconds since it last said something; none once it is complete.
    pub silent_seconds: Option<i64>,
    /// Its last error.
    pub last_error: Option<String>,
}

/// Memory of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryUse {
    /// Allocated, without the pages of mapped files.
    pub bytes_used: u64,
    /// `--memory`.
    pub bytes_budget: u64,
}

/// A warning or an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// When; RFC 3339.
    pub time: String,
    /// True for an error.
    pub error: bool,
    /// What was said.
    pub words: String,
}

/// Seconds from `until` to `now`, not below zero.
pub(super) fn lag(until: Option<i64>, now: UnixMillis) -> Option<f64> {
    until.map(|until| now.seconds_since(UnixMillis(until)).max(0.0))
}
