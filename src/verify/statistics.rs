//! Statistics.db against what was read.
//!
//! What is compared is what reads and compactions of Cassandra rely on, and what every writer of it counts alike. Times need
//! only lie within what is recorded: nothing says that the recorded ends occur. The number of rows is compared where all
//! columns of the file are known (a static row of unknown columns may be empty or not) and the writer was no other one
//! (ScyllaDB). The histogram of cells in a partition is not: releases that write `mc` and `na` fill it with other numbers.

use std::cmp::Ordering;

use crate::merge::ClusteringOrder;
use crate::rows::{
    ClusteringKind, DeletionTime, LivenessInfo, LocalDeletionTime, NO_TTL, Row, RowView,
};
use crate::sstable::Version;
use crate::sstable::stats::{Bound, EstimatedHistogram, Statistics, StatsMetadata};

use super::prefix::Prefix;

/// Least and greatest of what was seen.
#[derive(Debug, Clone, Copy)]
struct Extent<T> {
    ends: Option<(T, T)>,
}

impl<T: Ord + Copy> Extent<T> {
    const NONE: Self = Self { ends: None };

    #[inline]
    fn add(&mut self, value: T) {
        self.ends = Some(match self.ends {
            Some((least, greatest)) => (least.min(value), greatest.max(value)),
            None => (value, value),
        });
    }
}

/// What was seen in the data.
#[derive(Debug)]
pub(super) struct Observed {
    times: Extent<i64>,
    deletion_times: Extent<LocalDeletionTime>,
    ttls: Extent<i32>,
    /// Partitions, by the buckets of the recorded histogram.
    sizes: Histogram,
    /// Rows, static ones that are not empty among them.
    rows: u64,
    partition_deletions: bool,
    first_key: Option<Vec<u8>>,
    last_key: Vec<u8>,
    bounds: Option<(Prefix, Prefix)>,
    /// The first row that is not within the recorded clusterings: its offset.
    outside: Option<u64>,
}

/// Counts by the bounds of a histogram.
#[derive(Debug)]
struct Histogram {
    bounds: Vec<u64>,
    counts: Vec<u64>,
}

impl Histogram {
    fn like(recorded: &EstimatedHistogram) -> Self {
        let bounds: Vec<u64> = recorded.buckets().filter_map(|(bound, _)| bound).collect();
        Self { counts: vec![0; bounds.len() + 1], bounds }
    }

    fn add(&mut self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
    }

    fn is(&self, recorded: &EstimatedHistogram) -> bool {
        recorded.buckets().map(|(_, count)| count).eq(self.counts.iter().copied())
    }
}

/// Where the recorded clusterings end, if the version can be relied on and says it.
fn recorded_bounds(stats: &StatsMetadata, version: Version) -> Option<(Prefix, Prefix)> {
    if let Some(covered) = &stats.covered_clustering {
        let prefix =
            |bound: &Bound| Prefix::of(bound.kind, bound.values.iter().map(Option::as_deref));
        return Some((prefix(&covered.start), prefix(&covered.end)));
    }
    if !version.has_accurate_min_max() {
        return None;
    }
    let prefix =
        |kind, values: &[Vec<u8>]| Prefix::of(kind, values.iter().map(|v| Some(v.as_slice())));
    Some((
        prefix(ClusteringKind::InclStartBound, &stats.min_clustering),
        prefix(ClusteringKind::InclEndBound, &stats.max_clustering),
    ))
}

impl Observed {
    /// Nothing yet, to be compared with `statistics`.
    pub(super) fn new(statistics: &Statistics, version: Version) -> Self {
        let stats = &statistics.stats;
        Self {
            times: Extent::NONE,
            deletion_times: Extent::NONE,
            ttls: Extent::NONE,
            sizes: Histogram::like(&stats.partition_sizes),
            rows: 0,
            partition_deletions: false,
            first_key: None,
            last_key: Vec::new(),
            bounds: recorded_bounds(stats, version),
            outside: None,
        }
    }

    pub(super) fn partition(&mut self, key: &[u8], deletion: DeletionTime) {
        if self.first_key.is_none() {
            self.first_key = Some(key.to_vec());
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        if !deletion.is_live() {
            self.partition_deletions = true;
            self.deletion(deletion);
        }
    }

    /// A partition has ended: its length.
    pub(super) fn end_partition(&mut self, size: u64) {
        self.sizes.add(size);
    }

    pub(super) fn deletion(&mut self, deletion: DeletionTime) {
        if !deletion.is_live() {
            self.times.add(deletion.marked_for_delete_at);
            self.deletion_times.add(deletion.local_deletion_time);
        }
    }

    fn liveness(&mut self, liveness: LivenessInfo) {
        if !liveness.is_empty() {
            self.times.add(liveness.timestamp);
            self.deletion_times.add(liveness.local_deletion_time);
            if liveness.ttl != NO_TTL && liveness.ttl != LivenessInfo::EXPIRED_TTL {
                self.ttls.add(liveness.ttl);
            }
        }
    }

    /// A row, static or not.
    pub(super) fn row(&mut self, row: &Row, is_static: bool) {
        self.rows += u64::from(!(is_static && row.says_nothing()));
        self.liveness(row.liveness);
        self.deletion(row.deletion);
        for complex in &row.complex {
            self.deletion(complex.deletion);
        }
        for cell in &row.cells {
            self.times.add(cell.timestamp);
            self.deletion_times.add(cell.local_deletion_time);
            if cell.is_expiring() {
                self.ttls.add(cell.ttl);
            }
        }
    }

    /// The first or the last row of a partition, which begins at `offset`: those between lie between.
    pub(super) fn end_row(&mut self, order: &ClusteringOrder, row: RowView<'_>, offset: u64) {
        let Some((start, end)) = &self.bounds else { return };
        let before = |bound: &Prefix| bound.compare(order, row, 0);
        let within = (start.is_empty() || before(start) != Ordering::Greater)
            && (end.is_empty() || before(end) != Ordering::Less);
        if !within {
            self.outside.get_or_insert(offset);
        }
    }

    /// What does not fit, in words; `counts`: compare also what only Cassandra counts so, and only of known columns.
    pub(super) fn differences(&self, recorded: &StatsMetadata, counts: bool) -> Vec<String> {
        let mut found = Vec::new();
        let mut outside = |what: &str, there: String, least: String, greatest: String| {
            found.push(format!(
                "{what}: {there} is in the data, {least} to {greatest} are recorded: reads that trust them would miss rows"
            ));
        };
        if let Some((least, greatest)) = self.times.ends {
            let (low, high) = (recorded.min_timestamp, recorded.max_timestamp);
            if let Some(value) = beyond(least, greatest, low, high) {
                outside("write times", value.to_string(), low.to_string(), high.to_string());
            }
        }
        if let Some((least, greatest)) = self.deletion_times.ends {
            let (low, high) = (recorded.min_local_deletion_time, recorded.max_local_deletion_time);
            // Times that overflowed before CASSANDRA-14092 were recorded in various ways.
            if let Some(value) = beyond(least, greatest, low, high).filter(|value| value.0 >= 0) {
                outside("local deletion times", time(value), time(low), time(high));
            }
        }
        if let Some((least, greatest)) = self.ttls.ends {
            let (low, high) = (recorded.min_ttl, recorded.max_ttl);
            if let Some(value) = beyond(least, greatest, low, high) {
                outside("TTLs", value.to_string(), low.to_string(), high.to_string());
            }
        }
        if let Some(offset) = self.outside {
            found.push(format!(
                "clusterings: the row at {offset} of Data.db is not between the least and the greatest that are recorded"
            ));
        }
        if self.partition_deletions && recorded.has_partition_level_deletions == Some(false) {
            found.push("partition deletions: there are some, none is recorded".into());
        }
        let ends = self.first_key.as_ref().map(|first| (first, &self.last_key));
        if let (Some((first, last)), Some((low, high))) = (ends, &recorded.key_range)
            && (first != low || last != high)
        {
            found.push("first and last key are not those of Data.db".into());
        }
        let partitions: u64 = self.sizes.counts.iter().sum();
        if partitions != recorded.partition_sizes.count() {
            found.push(format!(
                "{partitions} partitions are in the data, {} are recorded",
                recorded.partition_sizes.count()
            ));
        } else if !self.sizes.is(&recorded.partition_sizes) {
            found.push("the histogram of partition sizes is not that of the data".into());
        }
        if let Some(rows) = recorded.total_rows
            && counts
            && u64::try_from(rows) != Ok(self.rows)
        {
            found.push(format!("{} rows are in the data, {rows} are recorded", self.rows));
        }
        found
    }
}

/// The value that lies beyond the recorded ends, if one does.
fn beyond<T: Ord + Copy>(least: T, greatest: T, low: T, high: T) -> Option<T> {
    if least < low {
        Some(least)
    } else if greatest > high {
        Some(greatest)
    } else {
        None
    }
}

fn time(time: LocalDeletionTime) -> String {
    if time.is_some() { time.0.to_string() } else { "none".to_owned() }
}
