//! When the files were taken from a node: what tells whether they are older than something else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use uuid::Uuid;

use super::segments::segment_id;
use super::{Source, TableDir};
use crate::commitlog::CommitLogPosition;
use crate::progress::UnixMillis;
use crate::sstable::stats::{Statistics, StatsMetadata};
use crate::sstable::{Component, Descriptor};

/// What the files of one node say of when they were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The node.
    pub host_id: Uuid,
    /// The greatest position of its commit log that an SSTable has.
    pub flushed_to: Option<CommitLogPosition>,
    /// They are of a snapshot, for which `nodetool` flushes first.
    pub is_snapshot: bool,
    /// When the snapshot was made (`created_at` of its `manifest.json`, from 4.1 on: CASSANDRA-16789).
    pub snapshot_time: Option<UnixMillis>,
}

#[derive(Deserialize)]
struct SnapshotManifest {
    created_at: Option<String>,
}

impl Source {
    /// What the files of each node that says who it is tell of when they were taken.
    ///
    /// `known`: SSTables whose statistics are read already; those of other tables are read where `also` says so.
    pub fn taken(
        &self,
        known: &[(&Descriptor, &StatsMetadata)],
        also: &dyn Fn(&TableDir) -> bool,
    ) -> Vec<Taken> {
        let mut nodes: BTreeMap<usize, Taken> = BTreeMap::new();
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(host_id) = node.host.as_ref().and_then(|host| host.host_id) {
                let taken =
                    Taken { host_id, flushed_to: None, is_snapshot: false, snapshot_time: None };
                nodes.insert(place, taken);
            }
        }
        let folders: BTreeSet<&Path> = self
            .dirs
            .tables
            .iter()
            .flat_map(|dir| &dir.sstables)
            .map(|sstable| sstable.descriptor.directory.as_path())
            .collect();
        // Beside a snapshot of one keyspace there are live files of others, which are of another time.
        let snapshots_only = folders.iter().any(|folder| is_snapshot(folder));
        for folder in folders.iter().filter(|folder| is_snapshot(folder)) {
            let node = self.node_of(folder).and_then(|place| nodes.get_mut(&place));
            let Some(node) = node else { continue };
            let made = snapshot_time(folder);
            // Of several the first, for all of it has to be later than something else.
            node.snapshot_time = match (node.is_snapshot, node.snapshot_time, made) {
                (false, _, made) => made,
                (true, Some(a), Some(b)) => Some(a.min(b)),
                (true, _, _) => None,
            };
            node.is_snapshot = true;
        }
        let mut note = |descriptor: &Descriptor, stats: &StatsMetadata| {
            if snapshots_only && !is_snapshot(&descriptor.directory) {
                return;
            }
            let node = self.node_of(&descriptor.directory).and_then(|place| nodes.get_mut(&place));
            let Some(node) = node else { return };
            let end = stats.flushed_to(Some(node.host_id));
            node.flushed_to = node.flushed_to.max(end.filter(|end| end.segment_id >= 0));
        };
        let mut read = BTreeSet::new();
        for (descriptor, stats) in known {
            note(descriptor, stats);
            read.insert(descriptor.path(Component::Data));
        }
        for dir in self.dirs.tables.iter().chain(&self.dirs.surrounding).filter(|dir| also(dir)) {
            for sstable in &dir.sstables {
                let descriptor = &sstable.descriptor;
                if read.contains(&descriptor.path(Component::Data)) {
                    continue;
                }
                // One that cannot be read tells nothing; whoever needs it will say what is wrong with it.
                match Statistics::read(&descriptor.path(Component::Statistics), descriptor.version)
                {
                    Ok(statistics) => note(descriptor, &statistics.stats),
                    Err(error) => {
                        tracing::info!(%error, "the statistics of an SSTable are not looked at")
                    }
                }
            }
        }
        nodes.into_values().collect()
    }

    /// The oldest commit-log segment beside the data directories; none where there is none or it cannot be seen.
    pub fn oldest_segment(&self) -> Option<i64> {
        let segments = self.dirs.commitlog_segments();
        segments.iter().filter_map(|path| segment_id(path.file_name()?.to_str()?)).min()
    }
}

/// `<table>/snapshots/<tag>`
fn is_snapshot(folder: &Path) -> bool {
    folder.parent().and_then(Path::file_name).is_some_and(|name| name == "snapshots")
}

fn snapshot_time(folder: &Path) -> Option<UnixMillis> {
    let bytes = std::fs::read(folder.join("manifest.json")).ok()?;
    let manifest: SnapshotManifest = serde_json::from_slice(&bytes).ok()?;
    manifest.created_at?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::InputOptions;

    /// Tests run in the package's directory.
    fn source() -> Source {
        let data = Path::new("testdata/4.1/data").to_owned();
        Source::open(&InputOptions { data_dirs: vec![data], ..InputOptions::default() }, 0).unwrap()
    }

    #[test]
    fn a_node_has_its_log_as_far_as_its_newest_sstable() {
        let source = source();
        let none = source.taken(&[], &|_| false);
        assert_eq!(none.len(), 1);
        assert_eq!(none[0].flushed_to, None);
        let system = source.taken(&[], &|dir| dir.keyspace.starts_with("system"))[0];
        let all = source.taken(&[], &|_| true)[0];
        assert!(all.flushed_to >= system.flushed_to && system.flushed_to.is_some());
        assert!(!all.is_snapshot && all.snapshot_time.is_none());
    }

    #[test]
    fn a_snapshot_says_when_it_was_made() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("t-1/snapshots/now");
        std::fs::create_dir_all(&folder).unwrap();
        assert!(is_snapshot(&folder) && !is_snapshot(dir.path()));
        assert_eq!(snapshot_time(&folder), None);
        for (text, millis) in [
            (r#"{"files":["nb-1-big-Data.db"]}"#, None),
            (
                r#"{"created_at":"2026-11-21T00:00:01.250Z","expires_at":null,"files":[]}"#,
                Some(1_795_219_201_250),
            ),
            ("{", None),
        ] {
            std::fs::write(folder.join("manifest.json"), text).unwrap();
            assert_eq!(snapshot_time(&folder), millis.map(UnixMillis), "{text}");
        }
    }
}
