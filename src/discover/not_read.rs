//! What lies here and is not read: counted, so that nobody takes an extract for more than it is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::segments::{may_hold_more, segment_id};
use super::{Selection, Source, TableDir};
use crate::progress::NotRead;
use crate::sstable::Component;
use crate::sstable::stats::{CommitLogPosition, Statistics, StatsMetadata};

/// Tables in which batches wait until all replicas have them: from 3.0 on, and in 2.x.
const BATCH_LOG: [&str; 2] = ["batches", "batchlog"];
const PAXOS: [&str; 1] = ["paxos"];
/// Hints for other nodes, in 2.x; later they are files.
const HINTS: [&str; 1] = ["hints"];

impl Source {
    /// What lies here and is not read.
    ///
    /// `flushed`: for each selected table, how far its SSTables have the commit log ([`Source::flushed_to`]); `overlaid`: ids of
    /// the segments that were read.
    pub fn not_read(
        &self,
        selection: &Selection,
        flushed: impl IntoIterator<Item = Option<CommitLogPosition>>,
        overlaid: &BTreeSet<i64>,
    ) -> NotRead {
        let excluded =
            |why: &str| selection.excluded.iter().filter(|e| e.why.contains(why)).count() as u64;
        // A segment is done with when all tables have it.
        let flushed = flushed.into_iter().min().flatten();
        let is_read = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            name.and_then(|name| segment_id(&name)).is_some_and(|id| overlaid.contains(&id))
        };
        let mut segments = self.dirs.commitlog_segments();
        segments.retain(|path| !is_read(path));
        NotRead {
            hints: self.dirs.other_data().hints + self.partitions(&HINTS, selection),
            batchlog: self.partitions(&BATCH_LOG, selection),
            paxos: self.partitions(&PAXOS, selection),
            unflushed_segments: segments.iter().filter(|path| may_hold_more(path, flushed)).count()
                as u64,
            indexes: self.dirs.tables.iter().map(|dir| dir.index_folders).sum(),
            index_components: self.dirs.tables.iter().map(index_components).sum(),
            views: excluded("view"),
            unknown_table_ids: selection.orphans.len() as u64,
        }
    }

    /// How far the commit log of this node is in the SSTables of a table; none if they do not say.
    pub fn flushed_to<'s>(
        &self,
        sstables: impl IntoIterator<Item = &'s StatsMetadata>,
    ) -> Option<CommitLogPosition> {
        let host = self.host.as_ref().and_then(|host| host.host_id);
        sstables.into_iter().filter_map(|stats| stats.flushed_to(host)).max()
    }

    /// Partitions in the SSTables of tables of keyspace `system` that are not selected.
    fn partitions(&self, names: &[&str], selection: &Selection) -> u64 {
        let is_wanted = |dir: &&TableDir| {
            dir.keyspace == "system"
                && names.contains(&dir.table.as_str())
                && !selection.tables.iter().any(|table| {
                    table.metadata.keyspace == dir.keyspace && table.metadata.name == dir.table
                })
        };
        self.dirs
            .tables
            .iter()
            .chain(&self.dirs.surrounding)
            .filter(is_wanted)
            .map(partitions_in)
            .sum()
    }
}

/// Components of its SSTables that hold an index.
fn index_components(dir: &TableDir) -> u64 {
    let components = dir.sstables.iter().flat_map(|sstable| &sstable.components);
    components.filter(|component| matches!(component, Component::SecondaryIndex(_))).count() as u64
}

/// Partitions of all SSTables; one for each SSTable that does not say how many it has.
fn partitions_in(dir: &TableDir) -> u64 {
    let readable = dir.sstables.iter().map(|sstable| {
        let path = sstable.descriptor.path(Component::Statistics);
        match Statistics::read(&path, sstable.descriptor.version) {
            Ok(statistics) => statistics.partition_count().max(1),
            Err(error) => {
                tracing::info!(%error, "an SSTable of a system table is counted as one partition");
                1
            }
        }
    });
    readable.sum::<u64>() + dir.unsupported.len() as u64
}
