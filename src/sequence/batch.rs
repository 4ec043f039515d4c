//! One batch: records in, a transaction and files out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::input::Lines;
use super::journal::{BatchEntry, BatchInput, SequenceSettings};
use super::lines::{Rules, TableLines};
use super::outbox::{Expected, Outbox};
use super::partition::{PartitionWork, RefusedRow, TableStep};
use super::state::{ReadSoFar, Standing, StateStore};
use super::tables::{SchemaEffect, Tables};
use crate::changes::{Change, ChangeRecordReader, RecordError};
use crate::dht::Token;
use crate::error::{Error, Result};
use crate::merge::{ClusteringOrder, TieBreak};
use crate::output::manifest::FORMAT_VERSION;
use crate::output::run::fingerprint;
use crate::progress::{Events, vitals};
use crate::schema::TableMetadata;
use crate::store::Store;

/// Expiries of a batch at most; the next one has the others.
const MAX_DUE: usize = 50_000;
/// Warnings about rows that the profile cannot carry, each time the process runs.
const MAX_WARNINGS: u64 = 20;

/// The changes of a batch by partition.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) inputs: Vec<BatchInput>,
    /// By `keyspace.table`, then by token and key.
    tables: BTreeMap<String, BTreeMap<(Token, Vec<u8>), PartitionWork>>,
    /// Bytes of records.
    bytes: u64,
}

/// What batches need.
pub(super) struct Batcher<'a> {
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) settings: &'a SequenceSettings,
    pub(super) tie_break: TieBreak,
    pub(super) state: &'a StateStore,
    pub(super) tables: Tables,
    pub(super) standing: Standing,
    /// Bytes of records in a batch, about.
    pub(super) batch_bytes: u64,
    pub(super) events: &'a dyn Events,
    /// Warnings about refused rows so far.
    pub(super) warned: u64,
    /// Bytes of change files written by this process.
    pub(super) bytes_written: u64,
    /// Names of the files made by this process.
    pub(super) written: u64,
    /// The object of which the last batch read a part: an object may be as large as many batches, and to find the place again is
    /// to decompress everything before it.
    pub(super) begun: Option<Begun>,
}

/// An object that is read to some place.
pub(super) struct Begun {
    object: String,
    /// Records that are done with.
    records: u64,
    /// At the one behind them.
    lines: Lines,
}

enum Taken {
    Yes,
    /// The record changes the definition of a table that the batch has changes of: it begins the next one.
    NotNow,
}

impl Batcher<'_> {
    /// Gathers the records of the objects `pending` that were not read yet, until a batch is full. Takes out what is read.
    pub(super) fn gather(&mut self, pending: &mut VecDeque<String>) -> Result<Work> {
        let mut work = Work::default();
        while let Some(object) = pending.front() {
            let from = match self.state.read_so_far(object)? {
                ReadSoFar::All => {
                    pending.pop_front();
                    continue;
                }
                ReadSoFar::Records(records) => records,
            };
            if work.bytes >= self.batch_bytes {
                break;
            }
            vitals::sign();
            let (mut lines, mut is_read) = match self.begun.take() {
                Some(begun) if begun.object == *object && begun.records == from => {
                    (begun.lines, true)
                }
                Some(_) | None => {
                    let mut lines = Lines::open(&**self.store, object)?;
                    skip(&mut lines, from)?;
                    (lines, false)
                }
            };
            let mut records = 0;
            let end = loop {
                if !is_read && !lines.advance()? {
                    break true;
                }
                is_read = false;
                let is_full = work.bytes >= self.batch_bytes;
                if is_full || matches!(self.take(&lines, &mut work)?, Taken::NotNow) {
                    let (object, records) = (object.clone(), from + records);
                    self.begun = Some(Begun { object, records, lines });
                    break false;
                }
                records += 1;
            };
            work.inputs.push(BatchInput { object: object.clone(), from, records, end });
            if !end {
                break;
            }
            pending.pop_front();
        }
        Ok(work)
    }

    /// Gathers the records that an entry names.
    pub(super) fn gather_again(&mut self, entry: &BatchEntry) -> Result<Work> {
        let mut work = Work { inputs: entry.inputs.clone(), ..Work::default() };
        for input in &entry.inputs {
            let mut lines = Lines::open(&**self.store, &input.object)?;
            skip(&mut lines, input.from)?;
            for _ in 0..input.records {
                let there = lines.advance()?;
                if !there || matches!(self.take(&lines, &mut work)?, Taken::NotNow) {
                    return Err(Error::Refused {
                        what: format!(
                            "{} is not what batch {} read: it was replaced",
                            lines.location(),
                            entry.batch
                        ),
                        hint: Some(
                            "objects of change records are never changed; begin with another --output"
                                .to_owned(),
                        ),
                    });
                }
            }
        }
        Ok(work)
    }

    /// Takes one record into `work`.
    fn take(&mut self, lines: &Lines, work: &mut Work) -> Result<Taken> {
        let at = |error: RecordError| error.in_object(lines.location(), lines.number());
        let record = ChangeRecordReader::parse(lines.line()).map_err(at)?;
        let head = record.head();
        let name = format!("{}.{}", head.keyspace, head.table);
        let begun = work.tables.contains_key(&name);
        match record.event().map_err(at)? {
            Some(Change::Schema { cql }) => {
                let words = |words: String| at(RecordError::from(words));
                let (keyspace, table) = (head.keyspace.as_str(), head.table.as_str());
                if begun && self.tables.would_change(keyspace, table, &cql).map_err(words)? {
                    return Ok(Taken::NotNow);
                }
                let effect = self.tables.apply_record(keyspace, table, &cql).map_err(words)?;
                if effect == SchemaEffect::Stopped {
                    self.say_stopped(&name);
                }
            }
            Some(Change::Truncate { .. }) => {
                let entry = self.tables.entry(&head.keyspace, &head.table);
                if entry.kept.stopped.is_none() {
                    if begun {
                        return Ok(Taken::NotNow);
                    }
                    entry.stop("it was truncated, which change files cannot say".to_owned());
                    self.say_stopped(&name);
                }
            }
            Some(Change::Update(_)) | None => {
                let entry = self.tables.entry(&head.keyspace, &head.table);
                if let (None, Some(table)) = (&entry.kept.stopped, &entry.table)
                    && let Some(why) = cannot_take(&record, table)
                {
                    if begun {
                        return Ok(Taken::NotNow);
                    }
                    entry.stop(why);
                    self.say_stopped(&name);
                }
                let entry = self.tables.entry(&head.keyspace, &head.table);
                match (&entry.kept.stopped, &entry.table) {
                    (None, Some(table)) => {
                        let update = record.update(table).map_err(at)?;
                        let key = (update.token(), update.key.clone());
                        let partitions = work.tables.entry(name).or_default();
                        partitions.entry(key).or_default().updates.push((update, head.base));
                    }
                    (stopped, _) => {
                        let first = stopped.is_none() && entry.kept.held == 0;
                        entry.kept.held += 1;
                        entry.dirty = true;
                        if first {
                            self.events.warning(&format!(
                                "changes of {name} are not written: the table is in no definition that profile {} has",
                                self.settings.profile.as_str()
                            ));
                        }
                    }
                }
            }
        }
        work.bytes += lines.line().len() as u64;
        Ok(Taken::Yes)
    }

    fn say_stopped(&mut self, name: &str) {
        let why = self.tables.get_mut(name).and_then(|entry| entry.kept.stopped.clone());
        self.events.warning(&format!(
            "{name}: {}; nothing of it is written from here on",
            why.unwrap_or_default()
        ));
    }

    /// True if something expires by `clock` (milliseconds).
    pub(super) fn has_due(&self, clock: i64) -> Result<bool> {
        Ok(self.state.next_expiry()?.is_some_and(|at| at <= clock.div_euclid(1000)))
    }

    /// Does a batch whose entry is written.
    pub(super) fn execute(
        &mut self,
        entry: &BatchEntry,
        entry_bytes: &[u8],
        mut work: Work,
        expected: Expected,
    ) -> Result<()> {
        let rules = Rules { rule: self.tie_break, now: entry.clock.div_euclid(1000) };
        let transaction = self.state.begin()?;
        let mut state = transaction.tables()?;
        let mut out = Outbox::new(
            self.store,
            self.settings.profile,
            &self.settings.cdc_path,
            self.settings.flush_size,
            (self.standing.files, self.standing.stamp, entry.clock),
            expected,
        );
        for due in state.due(rules.now, MAX_DUE)? {
            let Some(name) = self.tables.name_of(due.table) else { continue };
            let partitions = work.tables.entry(name.to_owned()).or_default();
            let partition = partitions.entry((due.token, due.key)).or_default();
            match due.row {
                Some(row) => {
                    partition.due_rows.insert(row);
                }
                None => partition.due_statics = true,
            }
        }
        for (name, partitions) in work.tables {
            let options = self.tables.options.clone();
            let Some(of_table) = self.tables.get_mut(&name) else { continue };
            let (None, Some(table)) = (&of_table.kept.stopped, &of_table.table) else {
                // Changes from before it stopped, and what expires of what was written.
                let updates: usize = partitions.values().map(|p| p.updates.len()).sum();
                of_table.kept.held += updates as u64;
                of_table.dirty = true;
                state.forget_due(of_table.kept.number, rules.now)?;
                continue;
            };
            let table = Arc::clone(table);
            let mut lines = TableLines::new(&table, self.settings.profile, &options, rules.now)?;
            out.begin_table(&table.keyspace, &table.name, lines.header())?;
            let mut step = TableStep {
                table: &table,
                order: ClusteringOrder::new(&table),
                number: of_table.kept.number,
                layout: of_table.layout(),
                maps: &of_table.maps,
                rules,
                state: &mut state,
                lines: &mut lines,
                out: &mut out,
                rows: 0,
                refused: Vec::new(),
            };
            for ((token, key), partition) in partitions {
                vitals::sign();
                step.partition(token, &key, partition)?;
            }
            let (rows, refused) = (step.rows, std::mem::take(&mut step.refused));
            of_table.kept.rows += rows;
            of_table.kept.refused += refused.len() as u64;
            of_table.dirty |= rows > 0 || !refused.is_empty();
            for row in refused {
                warn_refused(self.events, &mut self.warned, &name, &row);
            }
        }
        let sent = out.finish()?;
        let mut standing = self.standing.clone();
        standing.batches = entry.batch;
        standing.files = sent.files;
        standing.stamp = sent.stamp;
        standing.clock = entry.clock;
        standing.entry = fingerprint(&[entry_bytes]);
        standing.rows += sent.rows;
        for input in &entry.inputs {
            let read = if input.end {
                ReadSoFar::All
            } else {
                ReadSoFar::Records(input.from + input.records)
            };
            state.put_read(&input.object, read)?;
        }
        for (name, kept) in self.tables.take_dirty() {
            state.put_table(&name, &kept)?;
        }
        state.put_standing(&standing)?;
        drop(state);
        transaction.commit()?;
        self.standing = standing;
        self.bytes_written += sent.bytes;
        self.written += sent.written.len() as u64;
        for name in sent.written {
            self.events.object_written(&self.store.location(&name));
        }
        Ok(())
    }

    /// The entry of the next batch.
    pub(super) fn entry(&self, clock: i64, inputs: &[BatchInput]) -> BatchEntry {
        BatchEntry {
            format_version: FORMAT_VERSION,
            batch: self.standing.batches + 1,
            clock,
            inputs: inputs.to_vec(),
        }
    }
}

/// Why a record is not of this table, whose definition came with the extract or with records before it.
fn cannot_take(record: &ChangeRecordReader<'_>, table: &TableMetadata) -> Option<String> {
    if let (Some(here), Some(there)) = (table.id, record.head().table_id)
        && here != there
    {
        return Some(format!(
            "changes are about a table of that name with the id {there}, and the definition is of {here}"
        ));
    }
    let unknown = record.unknown_columns(table);
    let column = unknown.first()?;
    Some(format!("its column {column} is in no definition"))
}

fn skip(lines: &mut Lines, records: u64) -> Result<()> {
    for _ in 0..records {
        if !lines.advance()? {
            return Err(Error::Refused {
                what: format!(
                    "{} has {} records, of which {records} were read: it was replaced",
                    lines.location(),
                    lines.number()
                ),
                hint: Some("objects of change records are never changed".to_owned()),
            });
        }
    }
    Ok(())
}

fn warn_refused(events: &dyn Events, warned: &mut u64, table: &str, row: &RefusedRow) {
    *warned += 1;
    let more = match *warned {
        1..MAX_WARNINGS => "",
        MAX_WARNINGS => "; further such rows are only counted",
        _ => return,
    };
    events.warning(&format!(
        "{table}: a row of partition 0x{} is not written: {}{more}",
        hex_simd::encode_to_string(&row.partition, hex_simd::AsciiCase::Lower),
        row.refusal
    ));
}
