//! The commit log laid over the SSTables: what of it is read, and what the report says of it.
//!
//! Each node has a log of its own, and an overlay of its own: what is flushed, what was truncated and the positions of both are
//! the node's. Overlays are merged like the SSTables of one more replica.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crate::commitlog::{CommitLogPosition, EncryptionKeys};
use crate::dht::Partitioner;
use crate::discover::{SchemaOption, Source, system_tables};
use crate::error::{Error, Result};
use crate::overlay::{
    LogHost, Overlay, OverlayTable, PartitionMemory, PersistedPositions, ReplayDamage,
    ReplayOptions, find_segments, replay,
};
use crate::progress::{CommitLogReport, Events, OffsetRange, OverlaidSegment, Quarantine};
use crate::schema::{TableId, TableMetadata};
use crate::sstable::Component;

use super::manifest::pair;
use super::options::{ExtractOptions, OnCorrupt};
use super::plan::TablePlan;

/// A directory with segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirectory {
    /// Name of the node it is of; none where there is only one.
    pub node: Option<String>,
    /// The directory.
    pub path: PathBuf,
}

/// The commit log to lay over the SSTables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitLogOptions {
    /// Directories with segments; none to read SSTables only.
    pub directories: Vec<LogDirectory>,
    /// Keys of encrypted segments.
    pub keys: EncryptionKeys,
    /// Where what does not fit into memory goes; none for `TMPDIR`, or else `/var/tmp`.
    pub spill_dir: Option<PathBuf>,
}

/// The commit log of one node.
#[derive(Debug)]
pub(crate) struct NodeOverlay {
    /// What the user calls the node; empty where there is only one.
    pub node: String,
    /// Its host id, where that is known.
    pub host_id: Option<String>,
    /// What of its log no SSTable has.
    pub overlay: Arc<Overlay>,
}

/// The commit logs of a run.
#[derive(Debug)]
pub(crate) struct Overlays {
    /// One for each node whose log is given.
    pub nodes: Vec<NodeOverlay>,
    /// Memory for partitions at hand.
    pub memory: Arc<PartitionMemory>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Of the whole memory: what updates take while they are read (half of it stays for those that are held), and the large partition
/// of one worker then.
const SHARE: u64 = 8;
/// Of the whole memory: held updates; and, divided by the workers, partitions that are not large.
const SMALL_SHARE: u64 = 16;

/// Bytes that overlays take at most, for the budget: whatever the number of workers, and each of them.
pub(super) fn memory_of(memory: u64, threads: usize) -> (u64, u64) {
    let small = memory / SMALL_SHARE;
    (memory / SHARE + small, small / threads.max(1) as u64)
}

/// A node's part of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableOverlay {
    /// The overlay of all tables.
    pub overlay: Arc<Overlay>,
    /// The number of the table in it.
    pub number: u32,
}

/// What of a table was never flushed.
#[derive(Debug, Clone)]
pub(crate) struct JobOverlay {
    /// By node.
    pub nodes: Vec<TableOverlay>,
    /// Memory of all workers for the partitions at hand.
    pub memory: Arc<PartitionMemory>,
}

impl Overlays {
    /// What they have of a table; none if nothing.
    pub(super) fn of(&self, table: &TableMetadata) -> Option<JobOverlay> {
        let of_node = |node: &NodeOverlay| {
            let overlay = Arc::clone(&node.overlay);
            overlay.number_of(table).map(|number| TableOverlay { overlay, number })
        };
        let nodes: Vec<_> = self.nodes.iter().filter_map(of_node).collect();
        (!nodes.is_empty()).then(|| JobOverlay { nodes, memory: Arc::clone(&self.memory) })
    }
}

/// Reads the commit logs that `options` name, as far as they are of `tables`; none if they name none.
pub(super) fn read_overlays(
    source: &Source,
    options: &ExtractOptions,
    tables: &[TablePlan],
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<Option<Overlays>> {
    let log = &options.commit_log;
    if log.directories.is_empty() {
        return Ok(None);
    }
    // Cassandra's own tables, of which the log of a node has most to say: nobody migrates them.
    let is_local = |plan: &&TablePlan| {
        plan.job.readers.iter().any(|reader| matches!(reader.partitioner(), Partitioner::Local(_)))
    };
    if let Some(plan) = tables.iter().find(is_local) {
        return Err(Error::Usage {
            what: format!(
                "{}: its partitions are ordered by LocalPartitioner, and --commitlog-dir puts mutations in the order of {}",
                plan.job.name,
                source.partitioner.name()
            ),
            hint: Some("extract it by itself, without --commitlog-dir".into()),
        });
    }
    let by_node = by_node(source, &log.directories)?;
    let count = by_node.len().max(1);
    let large = options.memory / SHARE;
    let (_, each) = memory_of(options.memory, options.threads);
    let bytes = |bytes: u64| usize::try_from(bytes / count as u64).unwrap_or(usize::MAX);
    let mut known: BTreeMap<TableId, Arc<TableMetadata>> = BTreeMap::new();
    for table in source.schema.tables().chain(system_tables()?.tables()) {
        if let Some(id) = table.id {
            known.entry(id).or_insert_with(|| Arc::new(table.clone()));
        }
    }
    let mut overlays = Overlays {
        nodes: Vec::new(),
        memory: PartitionMemory::new(bytes(each), bytes(large)),
        warnings: lost_with_memtables(source, tables),
    };
    for plan in tables {
        if plan.job.table.id.is_none_or(|id| !known.contains_key(&id)) {
            overlays.warnings.push(format!(
                "{}: the schema has no id for it, and the commit log names tables by their ids: none of its mutations are read; \
                 add WITH ID = … to its CREATE TABLE",
                plan.job.name
            ));
        }
    }
    for (node, directories) in by_node {
        let one = NodeLog { source, options, tables, known: &known, node, cancel };
        overlays.nodes.push(one.read(&directories, bytes(large), &mut overlays.warnings)?);
    }
    for entry in overlays.nodes.iter().flat_map(|node| quarantine(&node.overlay)) {
        events.quarantined(&entry);
    }
    Ok(Some(overlays))
}

/// What a plan says of the logs: nothing of them is read for it.
pub(super) fn forecast_words(options: &CommitLogOptions) -> Result<Option<String>> {
    if options.directories.is_empty() {
        return Ok(None);
    }
    let (mut segments, mut bytes) = (0, 0);
    for directory in &options.directories {
        for path in find_segments(std::slice::from_ref(&directory.path))? {
            segments += 1;
            bytes += std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        }
    }
    let mib = bytes.div_ceil(1 << 20);
    Ok(Some(format!(
        "{segments} segments of the commit log (at most {mib} MiB) are laid over the SSTables: what they add is in no figure here"
    )))
}

/// The directories by the place of their node.
fn by_node(source: &Source, directories: &[LogDirectory]) -> Result<BTreeMap<usize, Vec<PathBuf>>> {
    let mut found: BTreeMap<usize, Vec<PathBuf>> = BTreeMap::new();
    for LogDirectory { node, path } in directories {
        let place = match (node, source.nodes.as_slice()) {
            (None, [_]) => Some(0),
            (Some(name), nodes) => nodes.iter().position(|node| node.name == *name),
            (None, _) => None,
        };
        let place = place.ok_or_else(|| Error::Usage {
            what: format!("--commitlog-dir {}: of which node is it?", path.display()),
            hint: Some("with --node the log of each node is --commitlog-dir NAME=DIR".to_owned()),
        })?;
        found.entry(place).or_default().push(path.clone());
    }
    Ok(found)
}

/// Tables of keyspaces that no log is written for.
fn lost_with_memtables(source: &Source, tables: &[TablePlan]) -> Vec<String> {
    let mut names: Vec<&str> = Vec::new();
    for plan in tables {
        let keyspace = source.schema.keyspaces.get(&plan.job.table.keyspace);
        let name = plan.job.table.keyspace.as_str();
        if keyspace.is_some_and(|keyspace| !keyspace.durable_writes) && names.last() != Some(&name)
        {
            names.push(name);
        }
    }
    let words = |name: &&str| {
        format!(
            "keyspace {name} has durable_writes = false: its writes are in no commit log, and what was not flushed is not here"
        )
    };
    names.iter().map(words).collect()
}

/// A directory for temporary files that is on a disk: `/tmp` is in memory in many places.
fn usual_spill_dir() -> PathBuf {
    let on_disk = PathBuf::from("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && on_disk.is_dir() {
        return on_disk;
    }
    std::env::temp_dir()
}

/// The log of one node.
struct NodeLog<'a> {
    source: &'a Source,
    options: &'a ExtractOptions,
    tables: &'a [TablePlan],
    known: &'a BTreeMap<TableId, Arc<TableMetadata>>,
    /// The place of the node.
    node: usize,
    cancel: &'a AtomicI32,
}

impl NodeLog<'_> {
    fn read(
        &self,
        directories: &[PathBuf],
        memory: usize,
        warnings: &mut Vec<String>,
    ) -> Result<NodeOverlay> {
        let (source, options) = (self.source, self.options);
        let node = source.nodes.get(self.node);
        let host = node.and_then(|node| node.host.as_ref());
        let host_id = host.and_then(|host| host.host_id);
        let release = host.and_then(|host| host.release_version.as_deref());
        let log_host = LogHost::new(host_id, release);
        let segments = find_segments(directories)?;
        if host.is_none() {
            warnings.push(
                "system.local is not here: what it says of truncated tables is not known, and rows that a TRUNCATE took away may come \
                 back from the commit log"
                    .to_owned(),
            );
        }
        let mut wanted = Vec::new();
        for plan in self.tables {
            let Some(table) = plan.job.table.id.and_then(|id| self.known.get(&id)) else {
                continue;
            };
            let readers = plan.job.readers.iter().filter(|reader| {
                let path = reader.descriptor().path(Component::Data);
                source.node_of(&path) == Some(self.node)
            });
            let statistics = readers.map(|reader| &reader.statistics().stats);
            let persisted = PersistedPositions::of(statistics, log_host);
            wanted.push(OverlayTable { table: Arc::clone(table), persisted });
        }
        let flushed_to = wanted.iter().filter_map(|table| table.persisted.end()).max();
        let schema = match options.input.schema {
            SchemaOption::Auto => source.schema_statistics(self.node),
            // Whoever gives a schema knows which.
            SchemaOption::File(_) | SchemaOption::Header => BTreeMap::new(),
        };
        let persisted = |stats: &Vec<_>| PersistedPositions::of(stats, log_host);
        let schema = schema.iter().map(|(id, stats)| (*id, persisted(stats))).collect();
        let directory = options.commit_log.spill_dir.clone().unwrap_or_else(usual_spill_dir);
        let overlay = replay(
            wanted,
            &ReplayOptions {
                segments: &segments,
                keys: &options.commit_log.keys,
                known: &|id| self.known.get(&id).cloned(),
                truncated_at: &source.truncations(
                    self.node,
                    options.input.read_mode,
                    options.now,
                )?,
                partitioner: &source.partitioner,
                schema_persisted: &schema,
                memory,
                directory: &directory,
                skip_damage: options.on_corrupt == OnCorrupt::Skip,
                cancel: self.cancel,
            },
        )?;
        if let (Some(flushed), Some(last)) = (flushed_to, overlay.last_segment)
            && flushed.segment_id > last
        {
            warnings.push(format!(
                "the SSTables have mutations of segment {} of the commit log, and the last one in {} is {last}: the log is older than \
                 they are, or of another node",
                flushed.segment_id,
                directories.first().map_or(String::new(), |path| path.display().to_string()),
            ));
        }
        warnings.extend(overlay.notices.iter().cloned());
        tracing::info!(
            segments = overlay.segments.len(),
            updates = overlay.updates.iter().sum::<u64>(),
            flushed = overlay.persisted,
            spilled = overlay.spilled,
            "commit log read"
        );
        Ok(NodeOverlay {
            node: node.map(|node| node.name.clone()).unwrap_or_default(),
            host_id: host_id.map(|id| id.to_string()),
            overlay: Arc::new(overlay),
        })
    }
}

/// The damage in the segments, as the report lists it.
pub(super) fn quarantine(overlay: &Overlay) -> Vec<Quarantine> {
    let entry = |damage: &ReplayDamage| Quarantine {
        table: "(commit log)".to_owned(),
        file: damage.path.file_name().map(|name| name.to_string_lossy().into_owned()),
        offsets: Some(OffsetRange {
            start: damage.offset,
            end: damage.offset.saturating_add(damage.bytes),
        }),
        tokens: None,
        cause: damage.cause.clone(),
    };
    overlay.damage.iter().map(entry).collect()
}

/// What report and manifest say of the logs.
pub(super) fn reports(overlays: Option<&Overlays>) -> Vec<CommitLogReport> {
    let of_segment = |segment: &crate::overlay::OverlaidSegment| OverlaidSegment {
        name: segment.name.clone(),
        bytes: segment.bytes,
        end: pair(&CommitLogPosition { segment_id: segment.id, position: segment.end }),
        mutations: segment.mutations,
    };
    let of_node = |node: &NodeOverlay| CommitLogReport {
        node: Some(node.node.clone()).filter(|name| !name.is_empty()),
        host_id: node.host_id.clone(),
        read_to: node.overlay.read_to.as_ref().map(pair),
        segments: node.overlay.segments.iter().map(of_segment).collect(),
        updates_taken: node.overlay.updates.iter().sum(),
        updates_flushed: node.overlay.persisted,
        updates_unknown: node.overlay.unknown.updates,
        cells_left_out: node.overlay.cells_left_out,
        bytes_spilled: node.overlay.spilled,
    };
    overlays.iter().flat_map(|all| &all.nodes).map(of_node).collect()
}

/// What tells one overlay from another.
pub(super) fn fingerprint(overlays: &Overlays) -> String {
    let line = |segment: &crate::overlay::OverlaidSegment| {
        format!("{} {} {}\n", segment.name, segment.end, segment.mutations)
    };
    let of_node = |node: &NodeOverlay| {
        let lines: String = node.overlay.segments.iter().map(line).collect();
        format!("commit log {}\n{lines}", node.node)
    };
    overlays.nodes.iter().map(of_node).collect()
}
