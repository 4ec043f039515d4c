//! The commit log laid over the SSTables: what of it is read, and what the report says of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crate::commitlog::EncryptionKeys;
use crate::discover::{Source, system_tables};
use crate::error::{Error, Result};
use crate::overlay::{
    Overlay, OverlayTable, PersistedPositions, ReplayOptions, find_segments, replay,
};
use crate::progress::{CommitLogReport, Events, OffsetRange, OverlaidSegment, Quarantine};
use crate::schema::{TableId, TableMetadata};

use super::options::{ExtractOptions, OnCorrupt};
use super::plan::TablePlan;

/// The commit log to lay over the SSTables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitLogOptions {
    /// Directories with segments, all of one node; none to read SSTables only.
    pub directories: Vec<PathBuf>,
    /// Keys of encrypted segments.
    pub keys: EncryptionKeys,
    /// Where what does not fit into memory goes; none for the system's directory for temporary files.
    pub spill_dir: Option<PathBuf>,
}

/// Of the memory for the whole run: what updates take that are held, and as much for the partitions at hand in all workers.
const SHARE: u64 = 8;

/// Bytes of updates that are held.
pub(super) fn held(memory: u64) -> u64 {
    memory / SHARE
}

/// Bytes of one partition of the overlay that a worker may hold, the windows of the runs beside it.
pub(super) fn per_worker(memory: u64, threads: usize) -> u64 {
    memory / SHARE / threads.max(1) as u64
}

/// A table's part of an overlay.
#[derive(Debug, Clone)]
pub(crate) struct JobOverlay {
    /// The overlay of all tables.
    pub overlay: Arc<Overlay>,
    /// The number of the table in it.
    pub number: u32,
    /// Bytes of one partition.
    pub limit: usize,
}

/// Reads the commit log that `options` name, as far as it is of `tables`; none if they name none.
pub(super) fn read_overlay(
    source: &Source,
    options: &ExtractOptions,
    tables: &[TablePlan],
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<Option<Overlay>> {
    let log = &options.commit_log;
    if log.directories.is_empty() {
        return Ok(None);
    }
    refuse_what_has_no_log(options)?;
    let segments = find_segments(&log.directories)?;
    let host = source.host.as_ref().and_then(|host| host.host_id);
    let mut known: BTreeMap<TableId, Arc<TableMetadata>> = BTreeMap::new();
    for table in source.schema.tables().chain(system_tables()?.tables()) {
        if let Some(id) = table.id {
            known.entry(id).or_insert_with(|| Arc::new(table.clone()));
        }
    }
    let mut wanted = Vec::new();
    for plan in tables {
        let table = plan.job.table.id.and_then(|id| known.get(&id));
        let Some(table) = table else {
            events.warning(&format!(
                "{}: the schema has no id for it, and the commit log names tables by their ids: none of its mutations are read; add \
                 WITH ID = … to its CREATE TABLE",
                plan.job.name
            ));
            continue;
        };
        let statistics = plan.job.readers.iter().map(|reader| &reader.statistics().stats);
        wanted.push(OverlayTable {
            table: Arc::clone(table),
            persisted: PersistedPositions::of(statistics, host),
        });
    }
    let schema = source.schema_statistics()?.into_iter();
    let schema = schema.map(|(id, stats)| (id, PersistedPositions::of(&stats, host))).collect();
    let directory = log.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
    let overlay = replay(
        wanted,
        &ReplayOptions {
            segments: &segments,
            keys: &log.keys,
            known: &|id| known.get(&id).cloned(),
            truncated_at: &source.truncations(options.input.read_mode, options.now)?,
            schema_persisted: &schema,
            memory: usize::try_from(held(options.memory)).unwrap_or(usize::MAX),
            directory: &directory,
            skip_damage: options.on_corrupt == OnCorrupt::Skip,
            cancel,
        },
    )?;
    tracing::info!(
        segments = overlay.segments.len(),
        updates = overlay.updates.iter().sum::<u64>(),
        flushed = overlay.persisted,
        spilled = overlay.spilled,
        "commit log read"
    );
    for entry in quarantine(&overlay) {
        events.quarantined(&entry);
    }
    Ok(Some(overlay))
}

fn refuse_what_has_no_log(options: &ExtractOptions) -> Result<()> {
    let usage = |what: &str, hint: &str| {
        Err(Error::Usage { what: what.to_owned(), hint: Some(hint.to_owned()) })
    };
    if !options.input.nodes.is_empty() {
        return usage(
            "--commitlog-dir is of one node, and several are given with --node",
            "extract each node with its own commit log, or have the nodes flush first",
        );
    }
    if options.input.snapshot.is_some() {
        return usage(
            "--commitlog-dir belongs to the live SSTables, not to a snapshot",
            "a snapshot has been flushed; leave out --commitlog-dir, or --snapshot",
        );
    }
    Ok(())
}

/// The damage in the segments, as the report lists it.
pub(super) fn quarantine(overlay: &Overlay) -> Vec<Quarantine> {
    let entry = |damage: &crate::overlay::ReplayDamage| Quarantine {
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

/// The segments, as report and manifest list them.
pub(super) fn segments(overlay: &Overlay) -> Vec<OverlaidSegment> {
    let entry = |segment: &crate::overlay::OverlaidSegment| OverlaidSegment {
        name: segment.name.clone(),
        bytes: segment.bytes,
        // Neither is ever negative.
        end: (u64::try_from(segment.id).unwrap_or(0), u64::try_from(segment.end).unwrap_or(0)),
        mutations: segment.mutations,
    };
    overlay.segments.iter().map(entry).collect()
}

/// What the report says of the log.
pub(super) fn report(overlay: &Overlay) -> CommitLogReport {
    CommitLogReport {
        segments: segments(overlay),
        updates_taken: overlay.updates.iter().sum(),
        updates_flushed: overlay.persisted,
        updates_unknown: overlay.unknown.updates,
        cells_left_out: overlay.cells_left_out,
    }
}

/// What tells one overlay from another.
pub(super) fn fingerprint(overlay: &Overlay) -> String {
    let line = |segment: &crate::overlay::OverlaidSegment| {
        format!("{} {} {}\n", segment.name, segment.end, segment.mutations)
    };
    overlay.segments.iter().map(line).collect()
}
