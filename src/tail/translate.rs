//! From a mutation to the lines of its change records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::changes::{ChangeRecordWriter, LogPosition, Origin, Position};
use crate::commitlog::{
    CommitLogPosition, LogVersion, Mutation, MutationDecoder, MutationError, MutationPeek,
    SystemChange,
};
use crate::discover::{InputOptions, Source};
use crate::error::Result;
use crate::progress::clock;
use crate::rows::PartitionUpdate;
use crate::schema::{Schema, TableId, TableMetadata, write_schema};

use super::base::StoredBase;
use super::schema_dirs::SchemaDirs;
use super::sink::Sink;
use super::tables::Tables;

/// Cassandra logs a change of the schema before it flushes the tables that hold it: for this long after one has come by the
/// disk is read again, at most once a [`RELOAD_PAUSE`].
const RELOAD_FOR: Duration = Duration::from_secs(30);
const RELOAD_PAUSE: Duration = Duration::from_millis(500);

/// Objects that are read in the order in which they were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stream {
    /// Those of a segment.
    Segment(i64),
    /// Those of the SSTable of a `backups` folder that is at hand.
    Sstable,
}

/// What became of a mutation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Translated {
    /// The sink has its records, as many as said (none if it is of no table that is shipped).
    Records(u32),
    /// It cannot be decoded with the schema on the disk, for this reason: to be kept until it can.
    Unknown(String),
    /// Its checksums are right, but it is no mutation as far as the schema tells.
    Undecodable(String),
}

/// Makes change records of mutations.
pub(super) struct Translator {
    host: Uuid,
    input: InputOptions,
    cdc_only: bool,
    tables: Tables,
    schema: Schema,
    decoders: BTreeMap<LogVersion, MutationDecoder>,
    writer: ChangeRecordWriter,
    base: Option<StoredBase>,
    /// Number of the definition of each table that is shipped, which is another one whenever it changes.
    numbers: FxHashMap<TableId, u64>,
    next_number: u64,
    /// Numbers of the definitions that were told in each stream. Objects of different streams may be read in any order, so
    /// each says by itself what its records need.
    told: FxHashMap<Stream, FxHashMap<TableId, u64>>,
    schema_dirs: SchemaDirs,
    dirty_until: Option<Instant>,
    last_reload: Option<Instant>,
    /// To look takes longer than to read a small mutation.
    looked_at_clock: Instant,
    /// Things the user should know, since they were last taken.
    pub(super) words: Vec<String>,
}

impl Translator {
    /// A translator of the commit log of `host`, whose directories `source` was read from.
    pub(super) fn new(
        host: Uuid,
        source: &Source,
        input: &InputOptions,
        cdc_only: bool,
        base: Option<StoredBase>,
    ) -> Result<Self> {
        let (tables, words) = Tables::new(source, input, cdc_only)?;
        let mut this = Self {
            host,
            input: input.clone(),
            cdc_only,
            tables,
            schema: source.schema.clone(),
            decoders: BTreeMap::new(),
            writer: ChangeRecordWriter::default(),
            base,
            numbers: FxHashMap::default(),
            next_number: 0,
            told: FxHashMap::default(),
            schema_dirs: SchemaDirs::new(source, input),
            dirty_until: None,
            last_reload: None,
            looked_at_clock: Instant::now(),
            words,
        };
        let ids: Vec<TableId> = this.tables.wanted().filter_map(|table| table.id).collect();
        this.number(ids);
        Ok(this)
    }

    /// Gives the definitions of these tables a new number, so that they are told before the next record of their table.
    fn number(&mut self, ids: Vec<TableId>) {
        for id in ids {
            self.next_number += 1;
            self.numbers.insert(id, self.next_number);
        }
    }

    /// Nothing more comes of this segment, or what was told in it is not known: a mutation that was held stands by itself.
    pub(super) fn forget_told(&mut self, segment: i64) {
        self.told.remove(&Stream::Segment(segment));
    }

    /// The next updates are those of another SSTable of a `backups` folder.
    pub(super) fn begin_sstable(&mut self) {
        self.told.remove(&Stream::Sstable);
    }

    /// The tables that are shipped.
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Deletions of ranges and partitions, since the last call, of which it is not certain that all rows that they hit were
    /// found.
    pub(super) fn take_late(&mut self) -> u64 {
        self.base.as_mut().map_or(0, StoredBase::take_late)
    }

    /// Notes what time it is. To be called every now and then: it decides when definitions are read anew.
    pub(super) fn look_at_clock(&mut self) {
        self.looked_at_clock = Instant::now();
    }

    /// Makes the records of the mutation that ends at `end` in a segment of `version`. After an error the sink may have some of
    /// them.
    pub(super) fn mutation(
        &mut self,
        version: LogVersion,
        end: CommitLogPosition,
        payload: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<Translated> {
        if !self.may_matter(version, payload) {
            return Ok(Translated::Records(0));
        }
        if self.is_dirty() {
            self.reload()?;
        }
        let mut decoded = self.decode(version, payload);
        let unclear = match &decoded {
            Ok(mutation) => !mutation.unknown.is_empty() || mutation.not_reached > 0,
            Err(_) => true,
        };
        // The definition may be newer than what we know.
        if unclear && self.reload_is_worth_it(Instant::now()) && self.reload()?.is_some() {
            decoded = self.decode(version, payload);
        }
        let mut mutation = match decoded {
            Ok(mutation) => mutation,
            Err(error @ MutationError::UnknownColumn { .. }) => {
                return Ok(Translated::Unknown(error.to_string()));
            }
            Err(error) => return Ok(Translated::Undecodable(error.to_string())),
        };
        if let Some(id) = mutation.unknown.first() {
            // What is known of it besides would be shipped twice, or in two pieces: it waits as a whole.
            return Ok(Translated::Unknown(format!("table id {id} is not in the schema")));
        }
        let changes = match mutation.system_changes() {
            Ok(changes) => changes,
            Err(error) => return Ok(Translated::Undecodable(error.to_string())),
        };
        let wanted = |id| self.tables.is_wanted(id);
        mutation.updates.retain(|u| u.table.id.is_some_and(wanted) && !u.is_empty());
        self.write(Position::Log(LogPosition::try_from(end)?), &mutation.updates, sink)?;
        self.watch(changes);
        sink.take(&mut self.writer)?;
        if let Some(decoder) = self.decoders.get_mut(&version) {
            decoder.recycle(mutation);
        }
        Ok(Translated::Records(self.writer.index()))
    }

    /// Makes the records of an update from the SSTable `sstable` of a `backups` folder; returns their number.
    pub(super) fn backup(
        &mut self,
        sstable: &str,
        record: u64,
        update: &PartitionUpdate,
        sink: &mut Sink<'_>,
    ) -> Result<u32> {
        self.write(
            Position::Sstable { sstable: sstable.to_owned(), record },
            std::slice::from_ref(update),
            sink,
        )?;
        sink.take(&mut self.writer)?;
        Ok(self.writer.index())
    }

    /// Writes the records of `updates`, which stand at `position`: definitions that changed, stored rows, changes.
    fn write(
        &mut self,
        position: Position,
        updates: &[PartitionUpdate],
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        // What a former mutation left that ended in an error.
        self.writer.clear();
        let stream = match &position {
            Position::Log(at) => Stream::Segment(at.segment),
            Position::Sstable { .. } => Stream::Sstable,
        };
        self.writer.begin(&Origin { host_id: self.host, position });
        for update in updates {
            self.tell_definition(stream, &update.table);
        }
        if let Some(base) = &mut self.base {
            let writer = &mut self.writer;
            for update in updates {
                base.before(update, &mut |stored| {
                    writer.update(&stored, true)?;
                    sink.take_if_large(writer)
                })?;
            }
        }
        for update in updates {
            self.writer.update(update, false)?;
        }
        Ok(())
    }

    /// Reads the schema anew, if there may be another one, and gives what was read to `with`.
    pub(super) fn refresh(
        &mut self,
        with: impl FnOnce(&Source, &Tables) -> Result<()>,
    ) -> Result<()> {
        match self.reload()? {
            Some(source) => with(&source, &self.tables),
            None => Ok(()),
        }
    }

    /// False if no table of the mutation is shipped, watched or unknown: most of a log need not be decoded.
    fn may_matter(&mut self, version: LogVersion, payload: &[u8]) -> bool {
        // What cannot be read is decoded, which says what is wrong with it.
        let Ok(peek) = MutationPeek::read(version, payload) else { return true };
        if peek.schema_change().is_some() {
            self.dirty_until = Some(Instant::now() + RELOAD_FOR);
            return false;
        }
        peek.may_truncate()
            || self.tables.is_unknown(peek.first)
            || peek.may_be_of(&|id| self.tables.is_wanted(id))
    }

    fn decode(&mut self, version: LogVersion, payload: &[u8]) -> Result<Mutation, MutationError> {
        let decoder = self.decoders.entry(version).or_insert_with(|| MutationDecoder::new(version));
        let tables = &self.tables;
        decoder.decode(payload, &|id| tables.get(id))
    }

    fn tell_definition(&mut self, stream: Stream, table: &Arc<TableMetadata>) {
        let Some(id) = table.id else { return };
        let Some(&number) = self.numbers.get(&id) else { return };
        let told = self.told.entry(stream).or_default();
        if told.insert(id, number) == Some(number) {
            return;
        }
        let known = self.schema.tables().any(|candidate| candidate.id == Some(id));
        // One that was dropped is in the schema no more; what was told of it before holds.
        if known {
            let cql = write_schema(&self.schema, &|candidate| candidate.id == Some(id));
            self.writer.schema(table, &cql);
        }
    }

    /// Tells of truncations, and notes changes of the schema.
    fn watch(&mut self, changes: Vec<SystemChange>) {
        for change in changes {
            match change {
                SystemChange::SchemaChanged { .. } => {
                    self.dirty_until = Some(Instant::now() + RELOAD_FOR);
                }
                SystemChange::Truncated { table, position, time_ms } => {
                    let known = self.tables.get(table).filter(|_| self.tables.is_wanted(table));
                    if let (Some(known), Ok(at)) = (known, LogPosition::try_from(position)) {
                        self.writer.truncate(&known, at, time_ms);
                    }
                }
            }
        }
    }

    fn is_dirty(&mut self) -> bool {
        let Some(until) = self.dirty_until else { return false };
        if self.looked_at_clock >= until {
            self.dirty_until = None;
            return false;
        }
        self.reload_is_worth_it(self.looked_at_clock)
    }

    /// A mutation that is unclear is worth a look at the disk, unless there was one just now.
    fn reload_is_worth_it(&self, now: Instant) -> bool {
        self.last_reload.is_none_or(|at| now.duration_since(at) >= RELOAD_PAUSE)
    }

    /// Reads the definitions anew, if there may be others; returns what was read.
    fn reload(&mut self) -> Result<Option<Source>> {
        self.last_reload = Some(Instant::now());
        if !self.schema_dirs.have_changed() {
            return Ok(None);
        }
        let source = match Source::open(&self.input, clock::now().seconds()) {
            Ok(source) => source,
            // SSTables of the schema may be compacted away under our hands: what is known holds until the next look.
            Err(error) => {
                self.words.push(format!("the schema cannot be read anew: {error}"));
                self.schema_dirs.were_not_read();
                return Ok(None);
            }
        };
        self.schema_dirs.renew(&source, &self.input);
        let changes = self.tables.renew(&source, &self.input, self.cdc_only)?;
        self.schema = source.schema.clone();
        self.number(changes.changed.iter().filter_map(|table| table.id).collect());
        if let Some(base) = &mut self.base {
            base.renew(&source);
        }
        Ok(Some(source))
    }
}
