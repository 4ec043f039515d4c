//! What a run will do: the tables, their SSTables opened, their splits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use crate::dht::{Partitioner, Token, TokenRange};
use crate::discover::{SelectedTable, Selection, Source};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::open_files_limit;
use crate::output::{RecordFormat, RecordOptions};
use crate::progress::{Events, vitals};
use crate::schema::{Schema, TableMetadata};
use crate::sstable::{Component, SstableReader};

use super::budget::{MemoryBudget, OutputMemory};
use super::damage::{LeftOut, add_range};
use super::deletes::DeletesFormat;
use super::open_files::check_open_files;
use super::options::{ExtractOptions, OnCorrupt};
use super::overlay::{Overlays, forecast_words, memory_of, read_overlays};
use super::share::{Ownership, Share};
use super::split::{Split, borders, plan_splits, step};
use super::worker::TableJob;

/// One table of the plan.
#[derive(Debug)]
pub(crate) struct TablePlan {
    /// What workers share.
    pub job: TableJob,
    /// The tokens to extract, in order.
    pub ranges: Vec<TokenRange>,
    /// Where it may be cut.
    pub borders: Vec<Token>,
    /// Its splits in token order.
    pub splits: Vec<Split>,
    /// SSTables that cannot be opened.
    pub left_out: Vec<LeftOut>,
}

impl TablePlan {
    /// The tokens of which nothing is written, because an SSTable that cannot be opened may hold them; in order.
    pub(crate) fn lost(&self) -> Vec<TokenRange> {
        let mut lost = Vec::new();
        self.left_out.iter().for_each(|sstable| add_range(&mut lost, sstable.lost));
        lost
    }

    /// Adds what was never flushed, which offers borders like one more SSTable.
    fn lay_over(&mut self, overlays: &Overlays, file_size: u64) {
        self.job.overlay = overlays.of(&self.job.table);
        for node in self.job.overlay.iter().flat_map(|overlay| &overlay.nodes) {
            self.borders.extend(node.overlay.borders(node.number, step(file_size)));
        }
        self.borders.sort_unstable();
        self.splits = plan_splits(&self.borders, &self.ranges, file_size);
    }

    /// Bytes of uncompressed data in its SSTables.
    pub(crate) fn bytes(&self) -> u64 {
        self.job.readers.iter().map(|reader| reader.chunks().data_len()).sum()
    }

    /// Bytes of SSTables that no repair has covered.
    pub(crate) fn unrepaired_bytes(&self) -> u64 {
        let unrepaired = |reader: &&Arc<SstableReader>| reader.statistics().stats.repaired_at == 0;
        self.job.readers.iter().filter(unrepaired).map(|reader| reader.chunks().data_len()).sum()
    }
}

/// What a run will do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The agent's share.
    pub share: Share,
    /// Tables in the order of their names.
    pub tables: Vec<TablePlan>,
    /// What was selected and what was left out.
    pub selection: Selection,
    /// How partitions are ordered and placed.
    pub partitioner: Partitioner,
    /// Words for the report.
    pub warnings: Vec<String>,
    /// The commit logs laid over the SSTables, if any are.
    pub overlays: Option<Overlays>,
}

impl Plan {
    /// True if it is one of the tables.
    pub(crate) fn selects(&self, table: &TableMetadata) -> bool {
        let same = |t: &TablePlan| {
            t.job.table.keyspace == table.keyspace && t.job.table.name == table.name
        };
        self.tables.iter().any(same)
    }

    /// How its SSTables can be worked on within the memory that `options` give.
    pub(crate) fn memory_budget(
        &self,
        options: &ExtractOptions,
        mut output: OutputMemory,
    ) -> Result<MemoryBudget> {
        if self.overlays.is_some() {
            let (fixed, per_worker) = memory_of(options.memory, options.threads);
            output.fixed += fixed;
            output.per_worker += per_worker;
        }
        let sstables = || self.tables.iter().map(|table| table.job.readers.len() as u64);
        let readers = self.tables.iter().flat_map(|table| &table.job.readers);
        let largest_chunk = readers.map(|reader| reader.chunks().chunk_len() as u64).max();
        MemoryBudget::divide(
            options.memory,
            options.threads,
            sstables().sum(),
            sstables().max().unwrap_or(0),
            largest_chunk.unwrap_or(0),
            output,
        )
    }
}

/// What SSTables are opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be extracted.
    Extract,
    /// To be planned with: nothing of Data.db is read but, of BTI, keys at borders.
    Forecast,
}

/// Opens the selected tables and cuts them into splits.
pub(crate) fn prepare(
    source: &Source,
    options: &ExtractOptions,
    purpose: Purpose,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<Plan> {
    let selection = source.select(&options.input)?;
    check_column_options(&options.records, &selection)?;
    let share = Share::settle(&options.share, source)?;
    let sstables = selection.tables.iter().map(|table| table.sstables.len() as u64).sum();
    let (mode, threads) = (options.input.read_mode, options.threads);
    check_open_files(sstables, mode, threads, options.deletes, open_files_limit())?;
    let mut tables = Vec::new();
    let mut warnings = Vec::new();
    for selected in &selection.tables {
        let plan = prepare_table(source, selected, options, purpose, &share, &mut warnings)?;
        plan.left_out.iter().for_each(|sstable| events.quarantined(&sstable.quarantine));
        tables.push(plan);
    }
    let overlays = match purpose {
        Purpose::Extract => read_overlays(source, options, &tables, events, cancel)?,
        Purpose::Forecast => {
            warnings.extend(forecast_words(&options.commit_log)?);
            None
        }
    };
    if let Some(overlays) = &overlays {
        warnings.extend(overlays.warnings.iter().cloned());
        for plan in &mut tables {
            plan.lay_over(overlays, options.file_size);
        }
    }
    for plan in &tables {
        events.table_planned(&plan.job.name, plan.splits.len() as u64, plan.bytes());
    }
    for warning in &warnings {
        events.warning(warning);
    }
    if let Some(words) = several_nodes(source, &share) {
        events.warning(&words);
        warnings.push(words);
    }
    let partitioner = source.partitioner.clone();
    Ok(Plan { share, tables, selection, partitioner, warnings, overlays })
}

fn prepare_table(
    source: &Source,
    selected: &SelectedTable,
    options: &ExtractOptions,
    purpose: Purpose,
    share: &Share,
    warnings: &mut Vec<String>,
) -> Result<TablePlan> {
    let table = selected.metadata.clone();
    let format_options = options.records.of_table(&table, options.now)?;
    let format = RecordFormat::new(&table, &format_options)?;
    if let Some((path, why)) = selected.unsupported.first() {
        return Err(DecodeError::new(DecodeErrorKind::Unsupported(why.clone()), 0).in_file(path).map_damage(|d| {
            d.what = Some("SSTable".into());
            d.offset = None;
            d.table = Some(table.qualified_name());
            d.hint = Some("upgradesstables rewrites it in the node's own format; an extract without it would not be whole".into());
        }));
    }
    let mut readers = Vec::with_capacity(selected.sstables.len());
    let mut unknown = BTreeSet::new();
    let mut all_borders = Vec::new();
    let mut left_out = Vec::new();
    for sstable in &selected.sstables {
        vitals::sign();
        let descriptor = &sstable.descriptor;
        let open = match purpose {
            Purpose::Extract => SstableReader::open,
            Purpose::Forecast => SstableReader::open_to_plan,
        };
        let opened = open(descriptor, &table, options.input.read_mode)
            .and_then(|reader| Ok((borders(&reader, options.file_size)?, reader)));
        let (offered, reader) = match opened {
            Ok(opened) => opened,
            Err(error) if options.on_corrupt == OnCorrupt::Skip => {
                let name = table.qualified_name();
                left_out.push(LeftOut::new(&name, descriptor, &error).ok_or(error)?);
                continue;
            }
            Err(error) => return Err(error),
        };
        check_partitioner(&reader, &source.partitioner, &table)?;
        all_borders.extend(offered);
        unknown.extend(reader.unknown_columns().iter().map(|column| column.name.clone()));
        readers.push(Arc::new(reader));
    }
    if !unknown.is_empty() {
        let names = unknown.into_iter().collect::<Vec<_>>().join(", ");
        warnings.push(format!(
            "{}: the schema does not know the columns {names}; their cells are counted as hidden",
            table.qualified_name()
        ));
    }
    let ranges = share.ranges(source, &table.keyspace)?;
    all_borders.sort_unstable();
    let splits = plan_splits(&all_borders, &ranges, options.file_size);
    let strict_liveness = has_strict_liveness(&source.schema, &table);
    let job = TableJob {
        name: table.qualified_name(),
        deletes: options.deletes.then(|| DeletesFormat::new(&table, &format_options)),
        table,
        readers,
        format: Arc::new(format),
        column_types: format_options.column_types,
        rule: source.tie_break(),
        now: options.now,
        strict_liveness,
        overlay: None,
    };
    Ok(TablePlan { job, ranges, borders: all_borders, splits, left_out })
}

/// What to know where one node of several is extracted as if it were alone.
fn several_nodes(source: &Source, share: &Share) -> Option<String> {
    let nodes = source.ring.whole()?.members().len();
    let alone = source.nodes.len() == 1 && share.ownership == Ownership::All;
    (nodes > 1 && alone).then(|| {
        format!(
            "this node is one of {nodes}, and all that it holds is extracted, also what others hold too: --ownership primary \
             on each node of a data center gives each row once"
        )
    })
}

/// Splits are ranges of tokens, and all nodes of a cluster have one partitioner; but for tables that Cassandra itself keeps for
/// a node, which are one split.
fn check_partitioner(
    reader: &SstableReader,
    of_cluster: &Partitioner,
    table: &TableMetadata,
) -> Result<()> {
    let words = match reader.partitioner() {
        found if found == of_cluster => return Ok(()),
        found @ Partitioner::Local(_) if found.has_token_order() => return Ok(()),
        found if found.has_token_order() => format!(
            "its partitioner is {}, that of the cluster {}: Cassandra does not read it either",
            found.name(),
            of_cluster.name()
        ),
        found => format!(
            "its partitions are ordered by {}, which is none of Cassandra's own partitioners: they cannot be divided by tokens; `cat` \
             shows them",
            found.name()
        ),
    };
    let path = reader.descriptor().path(Component::Data);
    Err(DecodeError::new(DecodeErrorKind::Unsupported(words), 0).in_file(&path).map_damage(|d| {
        d.what = Some("SSTable".into());
        d.offset = None;
        d.table = Some(table.qualified_name());
    }))
}

/// A materialized view whose key has a column that is no key of its base table (`TableMetadata.enforceStrictLiveness`).
fn has_strict_liveness(schema: &Schema, table: &TableMetadata) -> bool {
    let Some(base) =
        table.view.as_ref().and_then(|view| schema.table(&table.keyspace, &view.base_table))
    else {
        return false;
    };
    let is_base_key = |name: &str| {
        base.partition_key.iter().chain(&base.clustering).any(|column| column.name == name)
    };
    table.partition_key.iter().chain(&table.clustering).any(|column| !is_base_key(&column.name))
}

/// A column option that no selected table has a column for is a mistake.
fn check_column_options(records: &RecordOptions, selection: &Selection) -> Result<()> {
    let options = [
        ("--include-columns", records.include_columns.iter().collect::<Vec<_>>()),
        ("--exclude-columns", records.exclude_columns.iter().collect()),
        ("--rename", records.rename.keys().collect()),
        ("--column-type", records.column_types.keys().collect()),
    ];
    for (option, names) in options {
        for name in names {
            let known =
                selection.tables.iter().any(|t| RecordOptions::names_column_of(name, &t.metadata));
            if !known {
                return Err(Error::Usage {
                    what: format!("{option} names {name}, which no selected table has"),
                    hint: Some(
                        "columns are named column, table.column or keyspace.table.column".into(),
                    ),
                });
            }
        }
    }
    Ok(())
}
