//! `manifest.json`: what one agent wrote and from what. Written last, so its presence means that the agent's part is complete.
//!
//! Also what all of our JSON files share: the way they are written (pretty, keys in a fixed order, a newline at the end,
//! so that the same content has the same bytes) and the check of `formatVersion` when they are read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::dht::{Token, TokenRange};
use crate::error::{Error, Result};
use crate::progress::CommitLogReport;

/// The `formatVersion` of all files described here.
pub const FORMAT_VERSION: u32 = 1;

/// Program and version, as the files have it.
pub fn tool() -> String {
    format!("cassport {}", env!("CARGO_PKG_VERSION"))
}

/// What one agent wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Program and version.
    pub tool: String,
    /// The agent's number.
    pub agent: u32,
    /// Number of agents of the run.
    pub agents: u32,
    /// Host id of the node that was read, where one is known.
    pub host_id: Option<String>,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Data center of the node.
    pub data_center: Option<String>,
    /// Tag of the snapshot read.
    pub snapshot: Option<String>,
    /// Profile.
    pub profile: String,
    /// `none`, `row` or `cell`.
    pub metadata: String,
    /// `none`, `gzip` or `zstd`.
    pub compression: String,
    /// The clock of the run, RFC 3339.
    pub clock: String,
    /// When the agent began.
    pub started: String,
    /// When the agent ended.
    pub finished: String,
    /// Release of Cassandra whose rules hold.
    pub release_version: Option<String>,
    /// Version of the schema.
    pub schema_version: Option<String>,
    /// Partitioner, the class name.
    pub partitioner: String,
    /// `all`, `replica` or `primary`.
    pub ownership: String,
    /// Options that decide the bytes written.
    pub options: BTreeMap<String, serde_json::Value>,
    /// The run's fingerprint ([`super::run::RunInfo::fingerprint`]).
    pub fingerprint: String,
    /// Fingerprint of the input files.
    pub source_fingerprint: String,
    /// The nodes whose files were read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<ManifestHost>,
    /// Tables, in the order of their names.
    pub tables: Vec<ManifestTable>,
    /// Tables that were not extracted.
    pub excluded: Vec<ExcludedTable>,
    /// The commit logs that were laid over the SSTables, one for each node: what is in them is in the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commit_logs: Vec<CommitLogReport>,
    /// Always true: a manifest is written when all is done.
    pub complete: bool,
}

/// What one agent wrote of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestTable {
    /// Keyspace in its stored case.
    pub keyspace: String,
    /// Table in its stored case.
    pub table: String,
    /// Identity of the table, where it is known.
    pub table_id: Option<String>,
    /// Columns in the order of the file, those that are not the table's own included.
    pub columns: Vec<ManifestColumn>,
    /// Token ranges that this agent is responsible for: ascending, apart from each other.
    pub ranges: Vec<TokenInterval>,
    /// Records written.
    pub rows: u64,
    /// Sum of the digests of the files.
    pub digest: RecordDigest,
    /// Files in token order.
    pub files: Vec<FileEntry>,
    /// What is deleted; none if that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes: Option<ManifestDeletes>,
    /// What was read.
    pub sources: Vec<SourceEntry>,
    /// What a target may not like.
    pub counters: TableCounters,
}

/// What one agent wrote of what is deleted of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ManifestDeletes {
    /// Change records written.
    pub records: u64,
    /// Sum of the digests of the files.
    pub digest: RecordDigest,
    /// Files in token order; their `rows` are records.
    pub files: Vec<FileEntry>,
}

impl ManifestDeletes {
    /// Of these files.
    pub fn of(files: Vec<FileEntry>) -> Self {
        let mut digest = RecordDigest::default();
        files.iter().for_each(|file| digest.merge(file.digest));
        Self { records: files.iter().map(|file| file.rows).sum(), digest, files }
    }

    /// Adds what another agent wrote.
    pub fn merge(&mut self, other: &Self) {
        self.records = self.records.saturating_add(other.records);
        self.digest.merge(other.digest);
        self.files.extend_from_slice(&other.files);
    }
}

impl ManifestTable {
    /// All files, those of deletions behind those of rows.
    pub fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().chain(self.deletes.iter().flat_map(|deletes| &deletes.files))
    }
}

/// A column of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestColumn {
    /// Name in the output.
    pub name: String,
    /// CQL type.
    #[serde(rename = "type")]
    pub cql_type: String,
    /// What it is for.
    pub kind: OutputColumnKind,
    /// What the values were like.
    #[serde(flatten)]
    pub stats: ColumnStats,
    /// The target's type where `--column-type` says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column_type: Option<String>,
}

/// What a column of the output is for: the four kinds of CQL, and ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputColumnKind {
    /// Part of the partition key.
    PartitionKey,
    /// Part of the clustering.
    Clustering,
    /// One value per partition.
    Static,
    /// One value per row.
    Regular,
    /// Write times, TTLs, the expires column, `Op` and `cp_ts`.
    Metadata,
    /// `cp_pk` and `cp_sk`: the whole partition key or clustering as one text.
    CompositeKey,
}

/// What the values of a column were like; decides the target's type, never the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ColumnStats {
    /// Bytes of the longest text (NULL counts none).
    pub max_bytes: u64,
    /// `varint`, `decimal`: most digits of a value in plain notation, on both sides of the point. None if there was no value.
    pub max_digits: Option<u64>,
    /// `decimal`: most digits before the point; where it is missing, `max_digits` stands for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_integer_digits: Option<u64>,
    /// `decimal`: most digits behind the point.
    pub max_scale: Option<u64>,
    /// `float`, `double`: values that are not finite.
    pub non_finite: u64,
}

impl ColumnStats {
    /// Adds what was seen elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.max_bytes = self.max_bytes.max(other.max_bytes);
        // An agent that saw numbers and does not say it makes it unknown for all.
        self.max_integer_digits = match (self.max_integer_digits, other.max_integer_digits) {
            (None, _) if self.max_digits.is_some() => None,
            (_, None) if other.max_digits.is_some() => None,
            (ours, theirs) => ours.max(theirs),
        };
        self.max_digits = self.max_digits.max(other.max_digits);
        self.max_scale = self.max_scale.max(other.max_scale);
        self.non_finite = self.non_finite.saturating_add(other.non_finite);
    }
}

/// A token range as our files have it: start exclusive, end inclusive, tokens as text because they exceed what readers
/// of JSON keep exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInterval {
    /// Exclusive.
    pub start: String,
    /// Inclusive.
    pub end: String,
}

impl From<TokenRange> for TokenInterval {
    fn from(range: TokenRange) -> Self {
        Self { start: range.start.to_string(), end: range.end.to_string() }
    }
}

impl TokenInterval {
    /// As numbers; none if it is no range of Murmur3Partitioner.
    pub fn to_range(&self) -> Option<TokenRange> {
        let start = Token(self.start.parse().ok()?);
        let end = Token(self.end.parse().ok()?);
        (start <= end).then_some(TokenRange { start, end })
    }
}

/// A file of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Object name, relative to the output.
    pub name: String,
    /// Length.
    pub bytes: u64,
    /// Records in it.
    pub rows: u64,
    /// CRC-64/NVME of the object as S3 reports it.
    pub crc64nvme: String,
    /// Sum of the digests of its records.
    pub digest: RecordDigest,
    /// Tokens that its split covers.
    pub range: TokenInterval,
}

/// A position in the commit log: segment and offset.
pub type PositionPair = (u64, u64);

/// An SSTable that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceEntry {
    /// Path relative to the data directory.
    pub path: String,
    /// Format version.
    pub format: String,
    /// Bytes of Data.db.
    pub bytes: u64,
    /// Partitions, where the file says it.
    pub partitions: Option<u64>,
    /// Parts of the commit log whose mutations it holds.
    pub commit_log_intervals: Vec<(PositionPair, PositionPair)>,
    /// The node whose commit log that is.
    pub originating_host_id: Option<String>,
    /// When it was repaired (ms); 0 if not.
    pub repaired_at: i64,
}

/// A node whose files were read, and what they say of when they were taken from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestHost {
    /// Host id.
    pub host_id: String,
    /// The greatest position of its commit log that its SSTables have, those of keyspaces `system*` included.
    pub flushed_to: Option<PositionPair>,
    /// True if they are of a snapshot, for which `nodetool` flushes first.
    pub is_snapshot: bool,
    /// When the snapshot was made, where it says so (from 4.1 on).
    pub snapshot_time: Option<String>,
}

/// A table that was not extracted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedTable {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Why.
    pub why: String,
}

/// Counts of values that a target may not like.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TableCounters {
    /// Text that is the NULL token, letter for letter.
    pub text_equal_to_null_token: u64,
    /// NaN and infinities.
    pub non_finite_numbers: u64,
    /// Numbers with more than 38 digits.
    pub numbers_over38_digits: u64,
    /// Items that DynamoDB refuses for their size.
    #[serde(rename = "itemsOver400KB")]
    pub items_over_400_kb: u64,
    /// Generated keys that were cut.
    pub keys_shortened: u64,
    /// Rows of which only a part expires.
    pub rows_mixed_ttl: u64,
    /// What single profiles count besides.
    #[serde(flatten)]
    pub more: BTreeMap<String, u64>,
}

impl TableCounters {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            text_equal_to_null_token,
            non_finite_numbers,
            numbers_over38_digits,
            items_over_400_kb,
            keys_shortened,
            rows_mixed_ttl,
            more,
        } = other;
        self.text_equal_to_null_token += text_equal_to_null_token;
        self.non_finite_numbers += non_finite_numbers;
        self.numbers_over38_digits += numbers_over38_digits;
        self.items_over_400_kb += items_over_400_kb;
        self.keys_shortened += keys_shortened;
        self.rows_mixed_ttl += rows_mixed_ttl;
        for (name, count) in more {
            *self.more.entry(name.clone()).or_default() += count;
        }
    }
}

/// The sum modulo 2^128 of the XXH3-128 of each record's bytes, without the line end.
///
/// It does not depend on the order of records or on how they are split over files and agents. As text 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordDigest(pub u128);

impl RecordDigest {
    /// Adds one record.
    #[inline]
    pub fn add_record(&mut self, record: &[u8]) {
        self.0 = self.0.wrapping_add(xxhash_rust::xxh3::xxh3_128(record));
    }

    /// Adds the records of another sum.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for RecordDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for RecordDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(&text, 16) {
            Ok(sum) if digits => Ok(Self(sum)),
            _ => Err(serde::de::Error::custom(format!("{text:?} is not a digest"))),
        }
    }
}

/// Writes one of our JSON files: pretty, keys in the order of the structure, a newline at the end.
pub fn write_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::Bug(format!("cannot write JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads one of our JSON files, refusing versions that this program does not know. `location` is for the message.
pub fn read_json<T: DeserializeOwned>(location: &str, bytes: &[u8]) -> Result<T> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        format_version: u32,
    }
    let damaged = |error: serde_json::Error| Error::Refused {
        what: format!("{location} is not what cassport wrote there: {error}"),
        hint: Some("choose another --output, or --overwrite to start afresh".to_owned()),
    };
    let Version { format_version } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format_version != FORMAT_VERSION {
        return Err(Error::Refused {
            what: format!(
                "{location} has format version {format_version}, this program reads {FORMAT_VERSION}"
            ),
            hint: Some("use the release of cassport that wrote the output".to_owned()),
        });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
pub(crate) mod tests;
