//! What a forecast says; the fields are those of `cassport plan --json`.

use serde::Serialize;

use super::cost::Cost;

/// A forecast of one run over all of its agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Version of this document.
    pub format_version: u32,
    /// Program and version.
    pub tool: String,
    /// The clock that decides what has expired; RFC 3339.
    pub clock: String,
    /// Profile.
    pub profile: String,
    /// Metadata mode.
    pub metadata: String,
    /// Ownership.
    pub ownership: String,
    /// Where the run would write; none if that was not said.
    pub output: Option<String>,
    /// The nodes whose directories were looked at.
    pub nodes: Vec<NodeForecast>,
    /// The agents of the run.
    pub agents: Vec<AgentForecast>,
    /// The tables, over all nodes and agents that are known here.
    pub tables: Vec<TableForecast>,
    /// The sum of the tables.
    pub total: TotalForecast,
    /// Speed of one agent.
    pub speed: Speed,
    /// Seconds until the slowest agent that is known here is done.
    pub seconds: f64,
    /// The command to run when all agents are done; none where the one agent does it by itself.
    pub seal: Option<String>,
    /// What costs.
    pub cost: Cost,
    /// Tables that are left out, and why.
    pub excluded: Vec<Excluded>,
    /// What the estimates rest on.
    pub basis: Basis,
    /// What the user should know; the run would say the same.
    pub warnings: Vec<String>,
    /// False if something was left out because it is damaged (`--on-corrupt skip`).
    pub whole: bool,
}

/// A node, and what is in its directories, whoever extracts it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeForecast {
    /// What the user calls it; empty where there is only one.
    pub name: String,
    /// Host id.
    pub host_id: Option<String>,
    /// Address.
    pub address: Option<String>,
    /// Data center.
    pub data_center: Option<String>,
    /// Rack.
    pub rack: Option<String>,
    /// Release of Cassandra.
    pub release_version: Option<String>,
    /// Tables with SSTables there.
    pub tables: Vec<NodeTable>,
    /// Their sum.
    pub total: SourceFigures,
}

/// A table on a node.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeTable {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// What is there.
    #[serde(flatten)]
    pub source: SourceFigures,
}

/// What is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFigures {
    /// SSTables.
    pub sstables: u64,
    /// Bytes of Data.db as stored.
    pub disk_bytes: u64,
    /// Bytes of them uncompressed.
    pub data_bytes: u64,
    /// Partitions over SSTables: an estimate, one in two SSTables counts twice.
    pub partitions: u64,
    /// Rows over SSTables: an estimate in the same way, deleted and expired ones included.
    pub rows: u64,
    /// Cells, in the same way.
    pub cells: u64,
    /// Uncompressed bytes in SSTables that no repair has covered.
    pub unrepaired_bytes: u64,
    /// What is deleted or expires, in the same way: cells, rows, ranges, partitions, columns.
    pub tombstones: u64,
}

impl SourceFigures {
    /// Adds what is elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.sstables += other.sstables;
        self.disk_bytes += other.disk_bytes;
        self.data_bytes += other.data_bytes;
        self.partitions += other.partitions;
        self.rows += other.rows;
        self.cells += other.cells;
        self.unrepaired_bytes += other.unrepaired_bytes;
        self.tombstones += other.tombstones;
    }
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenFigures {
    /// Files of rows: one for each split that holds a partition. Fewer only where all rows of a split are deleted.
    pub objects: u64,
    /// How many of these are not sure, because an SSTable without an index may hold the partitions.
    pub objects_unsure: u64,
    /// Files of partitions without rows, at most; the data decides.
    pub static_objects_at_most: u64,
    /// Files of deletions, at most, where `--deletes` asks for them: one for each split with an SSTable that has any there.
    pub deletes_objects_at_most: u64,
    /// Rows, an estimate: those of the source.
    pub rows: u64,
    /// Bytes, an estimate.
    pub bytes: u64,
}

impl WrittenFigures {
    /// Adds what is written elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.objects_unsure += other.objects_unsure;
        self.static_objects_at_most += other.static_objects_at_most;
        self.deletes_objects_at_most += other.deletes_objects_at_most;
        self.rows += other.rows;
        self.bytes += other.bytes;
    }
}

/// An agent of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentForecast {
    /// Its number.
    pub agent: u32,
    /// What the user calls its node; none for all nodes given.
    pub node: Option<String>,
    /// Host id of its node, where it is of one.
    pub host_id: Option<String>,
    /// Address of that node.
    pub address: Option<String>,
    /// Data center of that node.
    pub data_center: Option<String>,
    /// Rack of that node.
    pub rack: Option<String>,
    /// Its part of the ring, `I/N`, if parts are asked for.
    pub shard: Option<String>,
    /// The command to run.
    pub command: String,
    /// What it does of each table; none if its directories are not here.
    pub tables: Option<Vec<AgentTable>>,
    /// Their sum.
    pub source: Option<SourceFigures>,
    /// Their sum.
    pub written: Option<WrittenFigures>,
    /// Seconds it takes.
    pub seconds: Option<f64>,
}

/// What an agent does of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentTable {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Ranges of tokens.
    pub ranges: u64,
    /// What it reads. Of an SSTable that is read in part the counts are in proportion to the bytes.
    pub source: SourceFigures,
    /// What it writes.
    pub written: WrittenFigures,
}

/// A table over all agents that are known here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableForecast {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// What is read.
    pub source: SourceFigures,
    /// What is written.
    pub written: WrittenFigures,
    /// Bytes of an average record, an estimate.
    pub record_bytes: u64,
    /// Bytes of names and values of an average record, as DynamoDB counts an item; an estimate.
    pub item_bytes: u64,
    /// Bytes of the largest partition in one SSTable, uncompressed: at most this, and more than five sixths of it.
    pub largest_partition: Option<u64>,
    /// The longest partition key seen.
    pub longest_key: Option<KeyLength>,
    /// What the target will refuse or change, and what is lost.
    pub findings: Vec<Finding>,
}

/// How long partition keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyLength {
    /// Bytes of text of the longest.
    pub bytes: u64,
    /// Keys looked at, all of them in index files.
    pub looked_at: u64,
    /// Those were all keys.
    pub all: bool,
}

/// Something about a table or a column that its owner should know before the load.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What becomes of it.
    pub kind: FindingKind,
    /// A word that does not change, for programs.
    pub code: &'static str,
    /// The column; none for the table as a whole.
    pub column: Option<String>,
    /// In words.
    pub what: String,
    /// What can be done.
    pub hint: Option<String>,
}

/// What becomes of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingKind {
    /// The target does not take it.
    Refused,
    /// It is not carried over.
    Lost,
    /// It may be refused; the data decides.
    Possible,
    /// It arrives in another form.
    Changed,
}

/// The sum of all tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TotalForecast {
    /// What is read.
    pub source: SourceFigures,
    /// What is written.
    pub written: WrittenFigures,
}

/// How fast an agent is taken to be, and what holds it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Speed {
    /// Uncompressed bytes a second.
    pub bytes_per_second: u64,
    /// The user said so; else it is the usual speed of a thread times the threads.
    pub given: bool,
    /// Threads.
    pub threads: u64,
    /// Stored bytes that may be read in a second.
    pub read_rate: Option<u64>,
    /// Bytes that may be sent in a second.
    pub upload_rate: Option<u64>,
}

/// A table that is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Excluded {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Why.
    pub why: String,
}

/// What the estimates rest on, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Basis {
    /// Partitions and rows.
    pub rows: &'static str,
    /// Objects.
    pub objects: &'static str,
    /// Bytes written.
    pub bytes: &'static str,
    /// Time.
    pub seconds: &'static str,
    /// Cost.
    pub cost: &'static str,
}

impl Basis {
    /// How everything here is estimated.
    pub const OF_ALL: Self = Self {
        rows: "estimate: sums over SSTables of what Statistics.db counted; what is in several of them, deleted or expired counts too; 2.x counts cells only, taken as rows with all columns",
        objects: "exact, by the index files: splits that hold a partition; one less where all rows of a split turn out to be deleted",
        bytes: "estimate: rows times an average record, from Statistics.db, the lengths of keys in the index, and usual lengths of text for each type",
        seconds: "the slowest of: uncompressed bytes at the speed, stored bytes at --read-rate, written bytes at --upload-rate",
        cost: "quantities for the estimated rows and bytes; DynamoDB write units of 1 KB, rounded up for the average item",
    };
}
