//! The STATS component (`StatsMetadata`).
//!
//! ```text
//! histogram partition sizes, histogram cells of a partition
//! i64 segment, i32 position                  end of the commit log covered
//! i64, i64                                   least and greatest write time, µs
//! i32, i32 (u32, u32 in oa)                  least [ma and later] and greatest local deletion time, s
//! i32, i32                                   least and greatest TTL                  [ma and later]
//! f64, f64, utf16len, i32 n, n × i32         see jb below                            [jb]
//! f64                                        compression ratio, -1 without compression
//! histogram of tombstone drop times
//! i32 level, i64 repaired at (ms)
//! i32 n, n × bytes16, twice                  least and greatest clustering           [up to nc]
//! uv n, n × bytesV; bound, bound             clustering types, covered clusterings   [oa]
//! u8                                         has counter shards of before 2.1
//! i64, i64                                   columns set, rows                       [ma and later]
//! i64 segment, i32 position                  beginning of the commit log covered     [lb, mb and later]
//! i32 n, n × { i64, i32, i64, i32 }          commit-log intervals                    [mc and later]
//! u8 present, [uuid]                         pending repair                          [na and later]
//! u8                                         transient                               [na and later, not all na]
//! u8 present, [uuid]                         host that wrote it                      [me, nb and later]
//! u8                                         has deletions of whole partitions       [nc, oa]
//! uv n, n × bytesV; bound, bound             as above, appended                      [nc]
//! bytesV, bytesV                             first and last key                      [nc, oa]
//! f64                                        share of the ring covered               [oa]
//! ```
//! A bound is `u8 kind, u16 n` and n clustering values.
//!
//! In `jb` this is all of Statistics.db: between the greatest local deletion time and the histogram of tombstones stand the
//! false-positive chance, the compression ratio, the partitioner's class and the ancestors; it ends behind the clusterings.
//! Up to `lb` the clusterings are lists of components of cell names.

use uuid::Uuid;

use super::histogram::{EstimatedHistogram, TombstoneHistogram, read_count};
use super::validation::ValidationMetadata;
use crate::commitlog::CommitLogPosition;
use crate::cql::{MarshalType, parse_marshal_type};
use crate::dht::Partitioner;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::{ClusteringKind, LocalDeletionTime};
use crate::sstable::Version;
use crate::sstable::clustering_bytes::read_clustering_values;

/// A part of the commit log whose mutations are in the SSTable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitLogInterval {
    /// Where it begins.
    pub start: CommitLogPosition,
    /// Where it ends.
    pub end: CommitLogPosition,
}

/// One end of a slice of clusterings (`ClusteringBound`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Which side.
    pub kind: ClusteringKind,
    /// Values, a null one as none; no values at all: unbounded.
    pub values: Vec<Option<Vec<u8>>>,
}

/// The clusterings that occur (`StatsMetadata.coveredClustering`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredClustering {
    /// Least.
    pub start: Bound,
    /// Greatest.
    pub end: Bound,
}

/// What was counted while the SSTable was written (`StatsMetadata`).
#[derive(Debug, Clone, PartialEq)]
pub struct StatsMetadata {
    /// Partition sizes in bytes; the count is the number of partitions.
    pub partition_sizes: EstimatedHistogram,
    /// Cells of a partition.
    pub cells_per_partition: EstimatedHistogram,
    /// End of the commit log covered.
    pub commit_log_upper_bound: CommitLogPosition,
    /// Beginning of the commit log covered.
    pub commit_log_lower_bound: Option<CommitLogPosition>,
    /// The parts of the commit log covered; none where the version does not say.
    pub commit_log_intervals: Option<Vec<CommitLogInterval>>,
    /// Least write time, µs; `i64::MIN` or `i64::MAX` if there is none.
    pub min_timestamp: i64,
    /// Greatest write time, µs.
    pub max_timestamp: i64,
    /// Least local deletion time of a tombstone or expiring cell; that of 2.x files, which do not say, is the least there is.
    pub min_local_deletion_time: LocalDeletionTime,
    /// Greatest; [`LocalDeletionTime::NONE`] if there is data that does not expire.
    pub max_local_deletion_time: LocalDeletionTime,
    /// Least TTL, s; 0 in 2.x, which does not say.
    pub min_ttl: i32,
    /// Greatest TTL, s; `i32::MAX` in 2.x.
    pub max_ttl: i32,
    /// Stored bytes by uncompressed bytes; none without compression.
    pub compression_ratio: Option<f64>,
    /// When tombstones may go.
    pub tombstone_drop_times: TombstoneHistogram,
    /// Level of leveled compaction.
    pub sstable_level: i32,
    /// When it was repaired, ms since 1970; 0 for never.
    pub repaired_at: i64,
    /// Values of the least clustering; to be used only if [`Version::has_accurate_min_max`].
    pub min_clustering: Vec<Vec<u8>>,
    /// Values of the greatest clustering; to be used only if [`Version::has_accurate_min_max`].
    pub max_clustering: Vec<Vec<u8>>,
    /// The clusterings that occur.
    pub covered_clustering: Option<CoveredClustering>,
    /// There are local or remote counter shards, which add up when read twice.
    pub has_legacy_counter_shards: bool,
    /// Cells written; none in 2.x.
    pub total_columns_set: Option<i64>,
    /// Rows written; none in 2.x.
    pub total_rows: Option<i64>,
    /// The repair session it belongs to.
    pub pending_repair: Option<Uuid>,
    /// It holds data of a transient replica.
    pub is_transient: bool,
    /// The host that wrote it.
    pub originating_host_id: Option<Uuid>,
    /// There are deletions of whole partitions; none where the version does not say.
    pub has_partition_level_deletions: Option<bool>,
    /// First and last partition key.
    pub key_range: Option<(Vec<u8>, Vec<u8>)>,
    /// Share of the ring between its first and last token; none where it was not computed.
    pub token_space_coverage: Option<f64>,
}

fn flag(r: &mut ByteReader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    let at = r.position() as u64;
    match r.read_u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        value => {
            Err(DecodeError::new(DecodeErrorKind::InvalidTag { what, value: value.into() }, at))
        }
    }
}

fn optional_uuid(r: &mut ByteReader<'_>, what: &'static str) -> Result<Option<Uuid>, DecodeError> {
    if flag(r, what)? { r.read_uuid(what).map(Some) } else { Ok(None) }
}

fn position(r: &mut ByteReader<'_>) -> Result<CommitLogPosition, DecodeError> {
    Ok(CommitLogPosition {
        segment_id: r.read_i64("commit-log segment")?,
        position: r.read_i32("commit-log position")?,
    })
}

fn local_deletion_time(
    r: &mut ByteReader<'_>,
    version: Version,
) -> Result<LocalDeletionTime, DecodeError> {
    let what = "local deletion time";
    if version.has_uint_deletion_time() {
        let time = r.read_u32(what)?;
        return Ok(if time == u32::MAX {
            LocalDeletionTime::NONE
        } else {
            LocalDeletionTime(time.into())
        });
    }
    let time = r.read_i32(what)?;
    Ok(if time == i32::MAX { LocalDeletionTime::NONE } else { LocalDeletionTime(time.into()) })
}

fn clustering_list(r: &mut ByteReader<'_>) -> Result<Vec<Vec<u8>>, DecodeError> {
    let count = read_count(r, "number of clustering values", 2)?;
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(r.read_bytes16("clustering value")?.to_vec());
    }
    Ok(values)
}

fn bound(r: &mut ByteReader<'_>, types: &[MarshalType]) -> Result<Bound, DecodeError> {
    let at = r.position() as u64;
    let code = r.read_u8("kind of a bound")?;
    let Some(kind) = ClusteringKind::from_code(code) else {
        let what = "kind of a bound";
        return Err(DecodeError::new(DecodeErrorKind::InvalidTag { what, value: code.into() }, at));
    };
    let count = usize::from(r.read_u16("number of values of a bound")?);
    let mut values = Vec::new();
    read_clustering_values(r, types, count, |value| values.push(value.map(<[u8]>::to_vec)))?;
    Ok(Bound { kind, values })
}

fn covered_clustering(r: &mut ByteReader<'_>) -> Result<CoveredClustering, DecodeError> {
    let at = r.position() as u64;
    let what = "number of clustering types";
    let found = r.read_uvint(what)?;
    let limit = r.remaining() as u64;
    if found > limit {
        return Err(DecodeError::new(DecodeErrorKind::Limit { what, found, limit }, at));
    }
    let mut types = Vec::new();
    for _ in 0..found {
        let at = r.position() as u64;
        let what = "clustering type";
        let text = std::str::from_utf8(r.read_bytesv(what)?)
            .map_err(|_| DecodeError::new(DecodeErrorKind::Utf8 { what }, at))?;
        types.push(parse_marshal_type(text).map_err(|e| e.at(at))?);
    }
    Ok(CoveredClustering { start: bound(r, &types)?, end: bound(r, &types)? })
}

impl StatsMetadata {
    /// The greatest position of the commit log of `host` that it has; none if its positions are in the log of another node, from
    /// which it was streamed here as a whole file.
    pub fn flushed_to(&self, host: Option<Uuid>) -> Option<CommitLogPosition> {
        if let (Some(host), Some(origin)) = (host, self.originating_host_id)
            && host != origin
        {
            return None;
        }
        match &self.commit_log_intervals {
            Some(intervals) => intervals.iter().map(|interval| interval.end).max(),
            None => Some(self.commit_log_upper_bound),
        }
    }

    pub(super) fn read(r: &mut ByteReader<'_>, version: Version) -> Result<Self, DecodeError> {
        Self::read_with_flat(r, version).map(|(stats, _)| stats)
    }

    /// The same; with it, of `jb`, what later versions have in other components.
    pub(super) fn read_with_flat(
        r: &mut ByteReader<'_>,
        version: Version,
    ) -> Result<(Self, Option<Flat>), DecodeError> {
        let partition_sizes = EstimatedHistogram::read(r)?;
        let cells_per_partition = EstimatedHistogram::read(r)?;
        let commit_log_upper_bound = position(r)?;
        let min_timestamp = r.read_i64("least write time")?;
        let max_timestamp = r.read_i64("greatest write time")?;
        let atoms = version.has_atoms();
        let min_local_deletion_time =
            if atoms { LocalDeletionTime(i64::MIN) } else { local_deletion_time(r, version)? };
        let max_local_deletion_time = local_deletion_time(r, version)?;
        let (min_ttl, max_ttl) = match atoms {
            true => (0, i32::MAX),
            false => (r.read_i32("least TTL")?, r.read_i32("greatest TTL")?),
        };
        let mut flat = None;
        if !version.has_metadata_components() {
            flat = Some(r.read_f64("false-positive chance")?);
        }
        let ratio = r.read_f64("compression ratio")?;
        let flat = match flat {
            Some(bloom_filter_fp_chance) => {
                let class = r.read_utf16len("partitioner class")?;
                let partitioner = Partitioner::from_class(class);
                let validation = ValidationMetadata { partitioner, bloom_filter_fp_chance };
                Some((validation, ancestors(r)?))
            }
            None => None,
        };
        let tombstone_drop_times = TombstoneHistogram::read(r, version.has_uint_deletion_time())?;
        let sstable_level = r.read_i32("level")?;
        let repaired_at = if flat.is_some() { 0 } else { r.read_i64("time of repair")? };
        let (min_clustering, max_clustering) = if version.has_legacy_min_max() {
            (clustering_list(r)?, clustering_list(r)?)
        } else {
            (Vec::new(), Vec::new())
        };
        let mut covered = None;
        if version.has_improved_min_max() {
            covered = Some(covered_clustering(r)?);
        }
        // Before 2.1 every counter has them.
        let has_legacy_counter_shards = flat.is_some() || flag(r, "flag of legacy counter shards")?;
        let (total_columns_set, total_rows) = match atoms {
            true => (None, None),
            false => (Some(r.read_i64("number of cells")?), Some(r.read_i64("number of rows")?)),
        };
        let commit_log_lower_bound =
            version.has_commit_log_lower_bound().then(|| position(r)).transpose()?;
        let commit_log_intervals =
            version.has_commit_log_intervals().then(|| intervals(r)).transpose()?;
        let pending_repair = match version.has_pending_repair() {
            true => optional_uuid(r, "flag of a pending repair")?,
            false => None,
        };
        let ends_early = version.has_development_variants() && r.is_empty();
        let is_transient = version.has_is_transient() && !ends_early && flag(r, "transient flag")?;
        let originating_host_id = match version.has_originating_host_id() {
            true => optional_uuid(r, "flag of the host id")?,
            false => None,
        };
        let has_partition_level_deletions = version
            .has_partition_level_deletions_presence_marker()
            .then(|| flag(r, "flag of partition deletions"))
            .transpose()?;
        if version.has_appended_improved_min_max() {
            covered = Some(covered_clustering(r)?);
        }
        let key_range = match version.has_key_range() {
            true => {
                let first = r.read_bytesv("first key")?.to_vec();
                Some((first, r.read_bytesv("last key")?.to_vec()))
            }
            false => None,
        };
        let coverage = version
            .has_token_space_coverage()
            .then(|| r.read_f64("token space coverage"))
            .transpose()?;
        let stats = Self {
            partition_sizes,
            cells_per_partition,
            commit_log_upper_bound,
            commit_log_lower_bound,
            commit_log_intervals,
            min_timestamp,
            max_timestamp,
            min_local_deletion_time,
            max_local_deletion_time,
            min_ttl,
            max_ttl,
            compression_ratio: (ratio >= 0.0).then_some(ratio),
            tombstone_drop_times,
            sstable_level,
            repaired_at,
            min_clustering,
            max_clustering,
            covered_clustering: covered,
            has_legacy_counter_shards,
            total_columns_set,
            total_rows,
            pending_repair,
            is_transient,
            originating_host_id,
            has_partition_level_deletions,
            key_range,
            token_space_coverage: coverage.filter(|share| !share.is_nan()),
        };
        Ok((stats, flat))
    }
}

/// What `jb` has besides: the validation component and the ancestors.
pub(super) type Flat = (ValidationMetadata, Vec<u32>);

/// The generations that an SSTable of 2.x was compacted from.
pub(super) fn ancestors(r: &mut ByteReader<'_>) -> Result<Vec<u32>, DecodeError> {
    let count = read_count(r, "number of ancestors", 4)?;
    let mut ancestors = Vec::new();
    for _ in 0..count {
        ancestors.push(r.read_u32("ancestor")?);
    }
    Ok(ancestors)
}

fn intervals(r: &mut ByteReader<'_>) -> Result<Vec<CommitLogInterval>, DecodeError> {
    let count = read_count(r, "number of commit-log intervals", 24)?;
    let mut intervals = Vec::new();
    for _ in 0..count {
        intervals.push(CommitLogInterval { start: position(r)?, end: position(r)? });
    }
    Ok(intervals)
}
