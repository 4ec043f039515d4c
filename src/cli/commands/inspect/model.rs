//! What `inspect` finds, as `--json` prints it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

/// Everything found.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Program and version.
    pub tool: String,
    /// What was looked at.
    pub paths: Vec<PathBuf>,
    /// The snapshot asked for.
    pub snapshot: Option<String>,
    /// The node.
    pub node: Node,
    /// True if all data was read and compared with its checksums.
    pub checked: bool,
    /// Tables in order of their names.
    pub tables: Vec<TableFacts>,
    /// Sums over the tables.
    pub total: Sums,
    /// Files of hints beside the data directories.
    pub hints: u64,
    /// Commit-log segments beside them.
    pub commit_log_segments: u64,
    /// Segments in `cdc_raw` beside them.
    pub cdc_segments: u64,
    /// What could not be read.
    pub damage: Vec<Damaged>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What the schema and `system.local` say; nothing where they are not there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Release of Cassandra.
    pub release_version: Option<String>,
    /// Id of the host.
    pub host_id: Option<String>,
    /// Where the schema was found.
    pub schema: Option<String>,
    /// Folders of tables that the schema does not have.
    pub orphans: Vec<Orphan>,
}

/// A folder of a table that the schema does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The folder, on each disk.
    pub folders: Vec<PathBuf>,
    /// SSTables in it.
    pub sstables: u64,
    /// Why it is one.
    pub why: String,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Damaged {
    /// `keyspace.table`.
    pub table: String,
    /// The file.
    pub file: PathBuf,
    /// The place in it, where one is known.
    pub offset: Option<u64>,
    /// Why.
    pub cause: String,
}

/// A table's folder, over all disks.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableFacts {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Id from the folder's name.
    pub table_id: Option<String>,
    /// Its folders, one per disk.
    pub folders: Vec<PathBuf>,
    /// Tags of snapshots.
    pub snapshots: Vec<String>,
    /// SSTables in backups that were not asked for.
    pub backups: u64,
    /// Folders of secondary indexes.
    pub index_folders: u64,
    /// What is left of operations that did not finish, by kind; kinds without any are left out.
    pub leftovers: BTreeMap<&'static str, u64>,
    /// SSTables that this program does not read, and why.
    pub unsupported: Vec<(PathBuf, String)>,
    /// Sums over its SSTables.
    pub sums: Sums,
    /// The SSTables.
    pub sstables: Vec<SstableFacts>,
    /// Partition sizes in bytes.
    pub partition_sizes: Histogram,
    /// When tombstones and expiring cells are due, in seconds since 1970.
    pub due_times: Histogram,
}

/// Sums over SSTables.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sums {
    /// SSTables.
    pub sstables: u64,
    /// Bytes of Data.db on disk.
    pub stored_bytes: u64,
    /// Bytes without compression; of SSTables whose chunks could not be looked at, what is stored.
    pub data_bytes: u64,
    /// Stored bytes of SSTables that were repaired.
    pub repaired_bytes: u64,
    /// Partitions; one that is in several SSTables counts in each.
    pub partitions: u64,
    /// Rows, in the same way.
    pub rows: u64,
    /// Cells.
    pub cells: u64,
    /// SSTables of 2.x, which do not say how many rows and cells they have.
    pub uncounted: u64,
    /// Tombstones and expiring cells.
    pub due: u64,
    /// SSTables with a damaged file.
    pub damaged: u64,
}

/// One SSTable.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SstableFacts {
    /// Its Data.db.
    pub file: PathBuf,
    /// Format version.
    pub format: String,
    /// Compressor; none if it could not be looked at.
    pub compression: Option<String>,
    /// Bytes of Data.db on disk.
    pub stored_bytes: u64,
    /// Bytes without compression.
    pub data_bytes: Option<u64>,
    /// What Statistics.db says; none if it could not be read.
    pub statistics: Option<StatisticsFacts>,
    /// Components that are listed in TOC.txt and not there.
    pub missing_components: Vec<String>,
}

/// What Statistics.db says.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatisticsFacts {
    /// Partitions.
    pub partitions: u64,
    /// Rows; none in 2.x, which does not count them.
    pub rows: Option<u64>,
    /// Cells; none in 2.x.
    pub cells: Option<u64>,
    /// Tombstones and expiring cells.
    pub due: u64,
    /// Least write time, µs.
    pub min_write_time: Option<i64>,
    /// Greatest write time, µs.
    pub max_write_time: Option<i64>,
    /// Least TTL, s; none without TTLs.
    pub min_ttl: Option<i32>,
    /// Greatest TTL, s.
    pub max_ttl: Option<i32>,
    /// When it was repaired, ms; none for never.
    pub repaired_at: Option<i64>,
    /// The repair session that is going on.
    pub pending_repair: Option<String>,
    /// Level of leveled compaction.
    pub level: i32,
    /// Token of the first partition; from 4.1 on.
    pub first_token: Option<String>,
    /// Token of the last partition.
    pub last_token: Option<String>,
    /// Share of the ring between them, as 5.0 computed it.
    pub token_space_coverage: Option<f64>,
    /// Partitioner.
    pub partitioner: String,
    /// The host that wrote it.
    pub originating_host_id: Option<String>,
}

/// Counts by value.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Histogram(
    /// Upper bound of the values (inclusive), and their number.
    pub BTreeMap<i64, u64>,
);

impl Histogram {
    /// Counts `count` values of at most `bound`.
    pub fn add(&mut self, bound: i64, count: u64) {
        if count > 0 {
            let sum = self.0.entry(bound).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Number of values counted.
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Sums {
    /// Adds an SSTable.
    pub fn add(&mut self, sstable: &SstableFacts, damaged: bool) {
        let mut of = Self {
            sstables: 1,
            stored_bytes: sstable.stored_bytes,
            data_bytes: sstable.data_bytes.unwrap_or(sstable.stored_bytes),
            damaged: damaged.into(),
            ..Self::default()
        };
        if let Some(facts) = &sstable.statistics {
            of.partitions = facts.partitions;
            of.rows = facts.rows.unwrap_or(0);
            of.cells = facts.cells.unwrap_or(0);
            of.uncounted = facts.rows.is_none().into();
            of.due = facts.due;
            if facts.repaired_at.is_some() {
                of.repaired_bytes = sstable.stored_bytes;
            }
        }
        self.merge(&of);
    }

    /// Adds other sums. The numbers come from files: a wrong one must not stop the others from being shown.
    pub fn merge(&mut self, other: &Self) {
        for (sum, other) in [
            (&mut self.sstables, other.sstables),
            (&mut self.stored_bytes, other.stored_bytes),
            (&mut self.data_bytes, other.data_bytes),
            (&mut self.repaired_bytes, other.repaired_bytes),
            (&mut self.partitions, other.partitions),
            (&mut self.rows, other.rows),
            (&mut self.cells, other.cells),
            (&mut self.uncounted, other.uncounted),
            (&mut self.due, other.due),
            (&mut self.damaged, other.damaged),
        ] {
            *sum = sum.saturating_add(other);
        }
    }
}
