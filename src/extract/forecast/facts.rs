//! What Statistics.db and the index files tell of a table.

use crate::cql::CqlType;
use crate::error::Result;
use crate::extract::plan::TablePlan;
use crate::io::ByteReader;
use crate::schema::{CompactKind, TableMetadata};
use crate::sstable::SstableReader;
use crate::sstable::stats::StatsMetadata;

use super::model::{KeyLength, SourceFigures};
use super::size::text_len;

/// Partition keys of a table that are looked at, over all its SSTables.
const MOST_KEYS: u64 = 1 << 16;
/// Of each SSTable at least so many.
const LEAST_KEYS: u64 = 16;

/// What is known of a table before its data is read.
#[derive(Debug, Clone, Default)]
pub(super) struct TableFacts {
    /// Sums over SSTables.
    pub(super) source: SourceFigures,
    /// Bounds of the bucket with the largest partition: it has more than the first, and at most the second.
    pub(super) largest_partition: Option<(u64, Option<u64>)>,
    /// Something was written with a TTL.
    pub(super) has_ttl: bool,
    /// Counter shards of before 2.1, which add up when they are read twice.
    pub(super) has_legacy_shards: bool,
    /// Partition keys.
    pub(super) keys: Keys,
    /// Bytes of text of the longest clustering seen at either end of an SSTable.
    pub(super) longest_clustering: u64,
}

/// Partition keys that were looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keys {
    /// How many.
    pub(super) looked_at: u64,
    /// Keys that were not.
    pub(super) left: bool,
    /// Their bytes.
    pub(super) stored: u64,
    /// Bytes of their text.
    pub(super) text: u64,
    /// Bytes of text of the longest.
    pub(super) longest: u64,
}

impl Keys {
    pub(super) fn length(&self) -> Option<KeyLength> {
        (self.looked_at > 0).then_some(KeyLength {
            bytes: self.longest,
            looked_at: self.looked_at,
            all: !self.left,
        })
    }
}

impl TableFacts {
    /// Looks at the SSTables of `table`.
    pub(super) fn of(table: &TablePlan) -> Result<Self> {
        let mut facts = Self::default();
        let readers = &table.job.readers;
        let most = (MOST_KEYS / (readers.len() as u64).max(1)).max(LEAST_KEYS);
        let types: Vec<&CqlType> =
            table.job.table.partition_key.iter().map(|column| &column.cql_type).collect();
        for reader in readers {
            facts.source.add(&figures(reader, &table.job.table));
            let stats = &reader.statistics().stats;
            facts.has_ttl |= stats.max_ttl > 0;
            facts.has_legacy_shards |= stats.has_legacy_counter_shards;
            facts.largest_partition = facts.largest_partition.max(largest_partition(stats));
            let longest = clusterings(stats)
                .map(|values| clustering_text(table, values))
                .max()
                .unwrap_or_default();
            facts.longest_clustering = facts.longest_clustering.max(longest);
            look_at_keys(reader, &types, most, &mut facts.keys)?;
        }
        Ok(facts)
    }

    /// Adds what another node has of the table.
    pub(super) fn merge(&mut self, other: &Self) {
        self.source.add(&other.source);
        self.largest_partition = self.largest_partition.max(other.largest_partition);
        self.has_ttl |= other.has_ttl;
        self.has_legacy_shards |= other.has_legacy_shards;
        self.longest_clustering = self.longest_clustering.max(other.longest_clustering);
        self.keys.looked_at += other.keys.looked_at;
        self.keys.left |= other.keys.left;
        self.keys.stored += other.keys.stored;
        self.keys.text += other.keys.text;
        self.keys.longest = self.keys.longest.max(other.keys.longest);
    }
}

/// What Statistics.db counted in one SSTable of `table`.
pub(super) fn figures(reader: &SstableReader, table: &TableMetadata) -> SourceFigures {
    let statistics = reader.statistics();
    let stats = &statistics.stats;
    let data_bytes = reader.chunks().data_len();
    let partitions = statistics.partition_count();
    let counted = |count: i64| u64::try_from(count).unwrap_or(0);
    let (rows, cells) = match (stats.total_rows, stats.total_columns_set) {
        (Some(rows), Some(cells)) => (counted(rows), counted(cells)),
        _ => legacy_counts(stats, table, partitions),
    };
    SourceFigures {
        sstables: 1,
        disk_bytes: reader.chunks().stored_len(),
        data_bytes,
        partitions,
        // Every row and cell has a byte of its own: more is damage.
        rows: rows.min(data_bytes),
        cells: cells.min(data_bytes),
        unrepaired_bytes: if stats.repaired_at == 0 { data_bytes } else { 0 },
        tombstones: stats.tombstone_drop_times.count().min(data_bytes),
    }
}

/// Rows and cells of an SSTable of 2.x, which only has a histogram of the cells of partitions, row markers among them: as many
/// rows as they make if every row has a cell of every column.
fn legacy_counts(stats: &StatsMetadata, table: &TableMetadata, partitions: u64) -> (u64, u64) {
    let (mut stored, mut below) = (0_u64, 0);
    for (bound, count) in stats.cells_per_partition.buckets() {
        below = bound.unwrap_or(below);
        stored = stored.saturating_add(below.saturating_mul(count));
    }
    let (each, has_marker) = match table.compact {
        CompactKind::None => (table.regulars.len() as u64 + 1, true),
        CompactKind::Dense | CompactKind::Super => (1, false),
        // A partition is one row.
        CompactKind::StaticCompact => (u64::MAX, false),
    };
    let rows = stored.div_ceil(each).max(partitions);
    let cells = if has_marker { stored.saturating_sub(rows) } else { stored };
    (rows, cells)
}

fn largest_partition(stats: &StatsMetadata) -> Option<(u64, Option<u64>)> {
    let mut below = 0;
    let mut largest = None;
    for (bound, count) in stats.partition_sizes.buckets() {
        if count > 0 {
            largest = Some((below, bound));
        }
        below = bound.unwrap_or(below);
    }
    largest
}

/// The clusterings at both ends.
fn clusterings(stats: &StatsMetadata) -> impl Iterator<Item = Vec<&[u8]>> {
    let listed = [&stats.min_clustering, &stats.max_clustering];
    let listed = listed.into_iter().map(|values| values.iter().map(Vec::as_slice).collect());
    let covered =
        stats.covered_clustering.iter().flat_map(|covered| [&covered.start, &covered.end]);
    listed.chain(covered.map(|bound| {
        bound.values.iter().map(|value| value.as_deref().unwrap_or_default()).collect()
    }))
}

/// Bytes of text of a clustering as one text, with a separator between two values.
fn clustering_text(table: &TablePlan, values: Vec<&[u8]>) -> u64 {
    let types = table.job.table.clustering.iter().map(|column| &column.cql_type);
    let lengths = types.zip(&values).map(|(t, value)| text_len(t, value.len() as u64));
    lengths.sum::<u64>() + (values.len() as u64).saturating_sub(1)
}

fn look_at_keys(
    reader: &SstableReader,
    types: &[&CqlType],
    most: u64,
    keys: &mut Keys,
) -> Result<()> {
    let mut see = |key: &[u8]| {
        let text = key_text_len(types, key);
        keys.looked_at += 1;
        keys.stored += key.len() as u64;
        keys.text += text;
        keys.longest = keys.longest.max(text);
    };
    if let Some(index) = reader.trie_index() {
        // A trie has only the first and the last key as a whole.
        let more = index.partition_count() > 1;
        see(index.first_key());
        if more {
            see(index.last_key());
        }
        keys.left |= index.partition_count() > 2;
        return Ok(());
    }
    let Some(index) = reader.index() else {
        keys.left = true;
        return Ok(());
    };
    let mut entries = index.entries();
    let mut seen = 0;
    while let Some(entry) = entries.next_entry()? {
        if seen == most {
            keys.left = true;
            return Ok(());
        }
        see(entry.key);
        seen += 1;
    }
    Ok(())
}

/// Bytes of a partition key as one text.
fn key_text_len(types: &[&CqlType], key: &[u8]) -> u64 {
    if let [only] = types {
        return text_len(only, key.len() as u64);
    }
    let mut r = ByteReader::new(key);
    let mut len = (types.len() as u64).saturating_sub(1);
    for cql_type in types {
        let Ok(component) = r.read_bytes16("key component") else { break };
        len += text_len(cql_type, component.len() as u64);
        if r.read_u8("end of component").is_err() {
            break;
        }
    }
    len
}
