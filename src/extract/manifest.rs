//! A table's entry in the manifest.

use crate::discover::{Source, TableDir, Taken};
use crate::output::manifest::{
    ManifestColumn, ManifestDeletes, ManifestHost, ManifestTable, OutputColumnKind, PositionPair,
    RecordDigest, SourceEntry, TableCounters, TokenInterval,
};
use crate::output::{OutputColumn, OutputKind};
use crate::schema::ColumnKind;
use crate::sstable::stats::CommitLogPosition;
use crate::sstable::{Component, SstableReader};

use super::plan::TablePlan;
use super::results::{TableResult, column_stats, manifest_stats, table_stats};

/// The entry of a table whose splits are all done.
pub(super) fn manifest_table(
    source: &Source,
    table: &TablePlan,
    result: &TableResult,
) -> ManifestTable {
    let stats = table_stats(result);
    let columns = table
        .job
        .format
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| manifest_column(table, column, &column_stats(&stats, i)))
        .collect();
    let mut files: Vec<_> =
        result.splits.values().flat_map(|split| split.files.iter().cloned()).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let deletes = table.job.deletes.is_some().then(|| {
        let mut files: Vec<_> =
            result.splits.values().flat_map(|split| split.deletes.iter().cloned()).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        ManifestDeletes::of(files)
    });
    let mut digest = RecordDigest::default();
    files.iter().for_each(|file| digest.merge(file.digest));
    let mut counters = TableCounters::default();
    result.splits.values().for_each(|split| counters.merge(&split.counters));
    ManifestTable {
        keyspace: table.job.table.keyspace.clone(),
        table: table.job.table.name.clone(),
        table_id: table.job.table.id.map(|id| id.to_string()),
        columns,
        ranges: table.ranges.iter().copied().map(TokenInterval::from).collect(),
        rows: files.iter().map(|file| file.rows).sum(),
        digest,
        files,
        deletes,
        sources: table.job.readers.iter().map(|reader| source_entry(source, reader)).collect(),
        counters,
    }
}

pub(super) fn manifest_column(
    table: &TablePlan,
    column: &OutputColumn,
    stats: &crate::output::ColumnStats,
) -> ManifestColumn {
    ManifestColumn {
        name: column.name.clone(),
        cql_type: column.cql_type.clone(),
        kind: match column.kind {
            OutputKind::Column(ColumnKind::PartitionKey) => OutputColumnKind::PartitionKey,
            OutputKind::Column(ColumnKind::Clustering) => OutputColumnKind::Clustering,
            OutputKind::Column(ColumnKind::Static) => OutputColumnKind::Static,
            OutputKind::Column(ColumnKind::Regular) => OutputColumnKind::Regular,
            OutputKind::Metadata => OutputColumnKind::Metadata,
            OutputKind::CompositeKey => OutputColumnKind::CompositeKey,
        },
        stats: manifest_stats(stats),
        column_type: table
            .job
            .column_types
            .get(column.source.as_deref().unwrap_or(""))
            .map(|t| t.to_string()),
    }
}

/// The nodes whose files are read, and when these were taken.
pub(super) fn manifest_hosts(source: &Source, tables: &[TablePlan]) -> Vec<ManifestHost> {
    let readers = tables.iter().flat_map(|table| &table.job.readers);
    let known: Vec<_> =
        readers.map(|reader| (reader.descriptor(), &reader.statistics().stats)).collect();
    // A node writes and flushes its own tables also while nobody writes to those of users.
    let own = |dir: &TableDir| dir.keyspace == "system" || dir.keyspace.starts_with("system_");
    let taken = source.taken(&known, &own);
    let host = |node: Taken| ManifestHost {
        host_id: node.host_id.to_string(),
        flushed_to: node.flushed_to.as_ref().map(pair),
        is_snapshot: node.is_snapshot,
        snapshot_time: node.snapshot_time.map(|time| time.to_string()),
    };
    taken.into_iter().map(host).collect()
}

/// A position as our files have it.
pub(super) fn pair(at: &CommitLogPosition) -> PositionPair {
    // Ids and offsets are never negative, but for the position "none".
    (u64::try_from(at.segment_id).unwrap_or(0), u64::try_from(at.position).unwrap_or(0))
}

fn source_entry(source: &Source, reader: &SstableReader) -> SourceEntry {
    let path = reader.descriptor().path(Component::Data);
    let stats = &reader.statistics().stats;
    let host = stats.originating_host_id.map(|id| id.to_string());
    let intervals = stats
        .commit_log_intervals
        .iter()
        .flatten()
        .map(|i| (pair(&i.start), pair(&i.end)))
        .collect();
    SourceEntry {
        path: source.relative(&path),
        format: reader.descriptor().version.to_string(),
        bytes: reader.chunks().stored_len(),
        partitions: Some(reader.statistics().partition_count()),
        commit_log_intervals: intervals,
        originating_host_id: host,
        repaired_at: stats.repaired_at,
    }
}
