//! Puts the facts together.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::check::check;
use super::model::{Damaged, Inspection, Node, Orphan, SstableFacts, StatisticsFacts, TableFacts};
use super::select::is_selected;
use crate::cli::config::InspectOptions;
use crate::dht::murmur3_token;
use crate::discover::{DataDirs, InputOptions, Leftovers, LiveSstable, Source, TableDir};
use crate::error::{Error, Result};
use crate::progress::Events;
use crate::sstable::compression::DataChunks;
use crate::sstable::stats::{EstimatedHistogram, Statistics};
use crate::sstable::{Component, Partitioner, Toc};

/// What the schema and `system.local` say.
pub(super) fn node(source: &Source) -> Result<Node> {
    // Orphans are looked for everywhere, whatever tables were asked for.
    let selection = source.select(&InputOptions::default())?;
    let host = source.host.as_ref();
    Ok(Node {
        release_version: source.release_version(),
        host_id: host.and_then(|host| host.host_id).map(|id| id.to_string()),
        schema: Some(source.schema.origin.clone()),
        orphans: selection
            .orphans
            .into_iter()
            .map(|orphan| Orphan {
                folders: orphan.folders,
                sstables: orphan.sstables,
                why: orphan.why,
            })
            .collect(),
    })
}

/// What was found out about one SSTable.
struct Looked {
    facts: SstableFacts,
    statistics: Option<Statistics>,
    damage: Vec<Error>,
}

/// Looks at every SSTable of the tables asked for.
pub(super) fn inspect(
    dirs: &DataDirs,
    options: &InspectOptions,
    events: &dyn Events,
) -> Result<Inspection> {
    let other = dirs.other_data();
    let mut inspection = Inspection {
        tool: format!("cassport {}", env!("CARGO_PKG_VERSION")),
        paths: dirs.looked_at.clone(),
        snapshot: dirs.snapshot.clone(),
        checked: options.check,
        hints: other.hints,
        commit_log_segments: other.commitlog_segments,
        cdc_segments: other.cdc_segments,
        warnings: dirs.warnings.clone(),
        ..Inspection::default()
    };
    let wanted: Vec<&TableDir> = dirs
        .tables
        .iter()
        .filter(|dir| is_selected(&options.input, &dir.keyspace, &dir.table))
        .collect();
    if wanted.is_empty() {
        let places: Vec<String> =
            dirs.looked_at.iter().map(|path| path.display().to_string()).collect();
        return Err(Error::Missing {
            what: format!("no table that was asked for in {}", places.join(", ")),
            hint: Some("system keyspaces are left out unless named: -k system".into()),
        });
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .build()
        .map_err(|error| Error::Bug(format!("cannot start threads: {error}")))?;
    for dir in wanted {
        let (facts, damage) = pool.install(|| table(dir, options, events));
        inspection.total.merge(&facts.sums);
        inspection.tables.push(facts);
        inspection.damage.extend(damage);
    }
    Ok(inspection)
}

fn table(
    dir: &TableDir,
    options: &InspectOptions,
    events: &dyn Events,
) -> (TableFacts, Vec<Damaged>) {
    let name = format!("{}.{}", dir.keyspace, dir.table);
    if options.check {
        let bytes = dir.sstables.iter().map(|sstable| sstable.data_len).sum();
        events.table_planned(&name, dir.sstables.len() as u64, bytes);
        events.split_started(&name, 0);
    }
    let looked: Vec<Looked> =
        dir.sstables.par_iter().map(|found| sstable(found, &name, options, events)).collect();
    if options.check {
        events.table_finished(&name);
    }
    let mut facts = TableFacts {
        keyspace: dir.keyspace.clone(),
        table: dir.table.clone(),
        table_id: dir.id.map(|id| id.to_string()),
        folders: dir.folders.clone(),
        snapshots: dir.snapshots.iter().cloned().collect(),
        backups: dir.backups,
        index_folders: dir.index_folders,
        leftovers: leftovers(&dir.leftovers),
        unsupported: dir.unsupported.clone(),
        ..TableFacts::default()
    };
    let mut damages = Vec::new();
    for looked in looked {
        facts.sums.add(&looked.facts, !looked.damage.is_empty());
        if let Some(statistics) = &looked.statistics {
            add_sizes(&statistics.stats.partition_sizes, &mut facts);
            for (time, count) in &statistics.stats.tombstone_drop_times.bins {
                facts.due_times.add(*time, *count);
            }
        }
        damages.extend(looked.damage.iter().map(|error| damaged(error, &name, &looked.facts)));
        facts.sstables.push(looked.facts);
    }
    (facts, damages)
}

fn add_sizes(sizes: &EstimatedHistogram, facts: &mut TableFacts) {
    for (bound, count) in sizes.buckets() {
        let bound = bound.and_then(|bound| i64::try_from(bound).ok()).unwrap_or(i64::MAX);
        facts.partition_sizes.add(bound, count);
    }
}

fn damaged(error: &Error, table: &str, facts: &SstableFacts) -> Damaged {
    let (file, offset, cause) = match error {
        Error::Damaged(damage) => (damage.path.clone(), damage.offset, damage.cause.clone()),
        Error::Input { action, path, source } => {
            (path.clone(), None, format!("cannot {action}: {source}"))
        }
        other => (facts.file.clone(), None, other.to_string()),
    };
    Damaged { table: table.to_owned(), file, offset, cause }
}

fn leftovers(found: &Leftovers) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("obsolete", found.obsolete),
        ("unfinished", found.unfinished),
        ("temporary", found.temporary),
        ("withoutData", found.without_data),
        ("empty", found.empty),
        ("indexSstables", found.index_sstables),
        ("logs", found.logs),
    ])
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .collect()
}

fn sstable(
    found: &LiveSstable,
    table: &str,
    options: &InspectOptions,
    events: &dyn Events,
) -> Looked {
    let descriptor = &found.descriptor;
    let mode = options.input.read_mode;
    let mut damage = Vec::new();
    let mut facts = SstableFacts {
        file: descriptor.path(Component::Data),
        format: descriptor.version.letters().to_owned(),
        stored_bytes: found.data_len,
        ..SstableFacts::default()
    };
    match missing(found) {
        Ok(missing) => facts.missing_components = missing,
        Err(error) => damage.push(error),
    }
    let statistics = Statistics::read(&descriptor.path(Component::Statistics), descriptor.version)
        .map_err(|error| damage.push(error))
        .ok();
    facts.statistics = statistics.as_ref().map(statistics_facts);
    match DataChunks::open(descriptor, mode) {
        Ok(chunks) => {
            facts.compression = Some(chunks.compression_name().to_owned());
            facts.data_bytes = Some(chunks.data_len());
            if options.check {
                damage.extend(check(found, table, mode, events));
            }
        }
        Err(error) => damage.push(error),
    }
    Looked { facts, statistics, damage }
}

/// Components that TOC.txt lists and that are not there.
fn missing(found: &LiveSstable) -> Result<Vec<String>> {
    let Some(toc) = Toc::read(&found.descriptor)? else { return Ok(Vec::new()) };
    let gone = toc.components().iter().filter(|component| !found.components.contains(component));
    Ok(gone.map(ToString::to_string).collect())
}

fn statistics_facts(statistics: &Statistics) -> StatisticsFacts {
    let stats = &statistics.stats;
    let token = |key: &Vec<u8>| {
        (statistics.validation.partitioner == Partitioner::Murmur3)
            .then(|| murmur3_token(key).0.to_string())
    };
    let (first, last) =
        stats.key_range.as_ref().map_or((None, None), |(a, b)| (token(a), token(b)));
    // Cassandra's own marks for "there is none".
    let time = |micros: i64| (micros != i64::MIN && micros != i64::MAX).then_some(micros);
    let ttl = |seconds: i32| (stats.max_ttl > 0 && seconds != i32::MAX).then_some(seconds);
    StatisticsFacts {
        partitions: statistics.partition_count(),
        rows: stats.total_rows.map(|rows| u64::try_from(rows).unwrap_or(0)),
        cells: stats.total_columns_set.map(|cells| u64::try_from(cells).unwrap_or(0)),
        due: stats.tombstone_drop_times.count(),
        min_write_time: time(stats.min_timestamp),
        max_write_time: time(stats.max_timestamp),
        min_ttl: ttl(stats.min_ttl),
        max_ttl: ttl(stats.max_ttl),
        repaired_at: (stats.repaired_at > 0).then_some(stats.repaired_at),
        pending_repair: stats.pending_repair.map(|id| id.to_string()),
        level: stats.sstable_level,
        first_token: first,
        last_token: last,
        token_space_coverage: stats.token_space_coverage,
        partitioner: statistics.validation.partitioner.name().to_owned(),
        originating_host_id: stats.originating_host_id.map(|id| id.to_string()),
    }
}
