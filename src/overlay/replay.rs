//! Goes through the segments of a commit log (`CommitLogReplayer`).
//!
//! What is the same as in Cassandra: segments in the order of their ids; mutations that the SSTables of their table have, and
//! such as lie at or before the table's truncation, are left out; a segment that was being written when the node stopped may end
//! in anything, but none before it. What is not: a mutation of a table that nobody has asked for need not be readable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::commitlog::{
    Bound, CommitLogPosition, EncryptionKeys, MutationDecoder, MutationError, MutationPeek,
    SegmentDamage, SegmentName, SegmentReader, SegmentStep, SystemChange,
};
use crate::dht::{Partitioner, Token};
use crate::error::{Error, Result};
use crate::progress::vitals;
use crate::schema::{TableId, TableMetadata};

use super::persisted::PersistedPositions;
use super::run::Run;
use super::sorter::UpdateSorter;

/// Mutations between two looks at the cancel flag.
const CHECK_EVERY: u64 = 4096;
/// Mutations between two signs of life.
const SIGN_EVERY: u64 = 256;
/// Parts of the ring whose bytes are counted, for [`Overlay::borders`].
const BUCKETS: usize = 1024;
/// Tokens of such a part, as a shift.
const BUCKET_SHIFT: u32 = 64 - BUCKETS.ilog2();

/// The part of the ring that a token is in.
fn bucket(token: Token) -> usize {
    let place = (token.0 ^ i64::MIN).cast_unsigned() >> BUCKET_SHIFT;
    usize::try_from(place).unwrap_or(0).min(BUCKETS - 1)
}

/// The first token of a part.
fn first_token(bucket: usize) -> Token {
    Token(((bucket as u64) << BUCKET_SHIFT).cast_signed() ^ i64::MIN)
}

/// A table whose mutations are wanted.
#[derive(Debug, Clone)]
pub struct OverlayTable {
    /// Its definition, with its id.
    pub table: Arc<TableMetadata>,
    /// What of the log its SSTables have.
    pub persisted: PersistedPositions,
}

/// How to replay.
pub struct ReplayOptions<'a> {
    /// Segments, of one node; [`find_segments`] finds them.
    pub segments: &'a [PathBuf],
    /// Keys of encrypted segments.
    pub keys: &'a EncryptionKeys,
    /// All tables of the schema, the node's own included, by id: the same `Arc` each time.
    pub known: &'a dyn Fn(TableId) -> Option<Arc<TableMetadata>>,
    /// The truncations that the node's SSTables record (`system.local.truncated_at`).
    pub truncated_at: &'a BTreeMap<TableId, CommitLogPosition>,
    /// Partitioner of the cluster, one whose order is known.
    pub partitioner: &'a Partitioner,
    /// What of the log the SSTables of the node's schema tables have, by table id.
    pub schema_persisted: &'a BTreeMap<TableId, PersistedPositions>,
    /// Bytes of updates to hold in memory.
    pub memory: usize,
    /// Where updates go that do not fit.
    pub directory: &'a Path,
    /// Go on behind damage, and list it.
    pub skip_damage: bool,
    /// Not 0: stop with this signal's error.
    pub cancel: &'a AtomicI32,
}

/// A segment that was gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlaidSegment {
    /// Its file name.
    pub name: String,
    /// Its id.
    pub id: i64,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Position behind its last mutation.
    pub end: i32,
    /// Mutations in it, of whatever table.
    pub mutations: u64,
}

/// Damage that was gone around, or that a segment ends in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayDamage {
    /// The segment.
    pub path: PathBuf,
    /// Where in the file, and how much.
    pub offset: u64,
    /// Bytes of the file that were not read.
    pub bytes: u64,
    /// Why.
    pub cause: String,
}

/// Updates of tables that the schema does not have: dropped since, or of another cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownUpdates {
    /// Ids of the tables.
    pub tables: BTreeSet<TableId>,
    /// Number of updates, as far as they could be counted.
    pub updates: u64,
}

/// What a commit log adds to the SSTables of some tables.
#[derive(Debug)]
pub struct Overlay {
    tables: Vec<OverlayTable>,
    truncated_at: BTreeMap<TableId, CommitLogPosition>,
    runs: Vec<Arc<Run>>,
    directory: PathBuf,
    /// Of each table, bytes of updates in [`BUCKETS`] equal parts of the ring.
    weights: Vec<Vec<u64>>,
    /// Position of the last mutation of the log: all of it up to there was gone through. None where something was left out for
    /// being damaged, and where no segment has a header.
    pub read_to: Option<CommitLogPosition>,
    /// Id of the last segment that there is, mutations in it or not.
    pub last_segment: Option<i64>,
    /// The segments with mutations, in order.
    pub segments: Vec<OverlaidSegment>,
    /// Updates taken, of each table.
    pub updates: Vec<u64>,
    /// Updates left out because an SSTable has them.
    pub persisted: u64,
    /// Cells of dropped columns, and of columns that the schema does not know, left out of the updates taken.
    pub cells_left_out: u64,
    /// Updates of unknown tables.
    pub unknown: UnknownUpdates,
    /// Damage that was gone around.
    pub damage: Vec<ReplayDamage>,
    /// What the user should know, and is no loss.
    pub notices: Vec<String>,
    /// Bytes that did not fit into memory.
    pub spilled: u64,
}

impl Overlay {
    pub(super) fn table(&self, number: u32) -> Option<&OverlayTable> {
        usize::try_from(number).ok().and_then(|i| self.tables.get(i))
    }

    pub(super) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is at or before it of the table numbered `number` was truncated.
    pub fn truncated_at(&self, number: u32) -> Option<CommitLogPosition> {
        let id = self.table(number)?.table.id?;
        self.truncated_at.get(&id).copied()
    }

    /// Where the table numbered `number` may be cut into pieces of about `size` bytes of updates, as the log has them: so they depend on
    /// the log alone. In order.
    pub fn borders(&self, number: u32, size: u64) -> Vec<Token> {
        let weights = usize::try_from(number).ok().and_then(|i| self.weights.get(i));
        let (mut borders, mut bytes) = (Vec::new(), 0_u64);
        for (i, weight) in weights.into_iter().flatten().enumerate() {
            // As often as the pieces that lie before it are.
            for _ in 0..bytes / size.max(1) {
                borders.push(first_token(i));
            }
            bytes = bytes % size.max(1) + weight;
        }
        borders
    }

    /// The number of a table; none if nothing of it is in the log.
    pub fn number_of(&self, table: &TableMetadata) -> Option<u32> {
        let i = self.tables.iter().position(|t| t.table.id.is_some() && t.table.id == table.id)?;
        let any = self.updates.get(i).is_some_and(|updates| *updates > 0);
        any.then(|| u32::try_from(i).ok()).flatten()
    }
}

/// The segments in `directories`, in the order of their ids; of one that is there twice the longer file.
pub fn find_segments(directories: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found: BTreeMap<i64, (u64, PathBuf)> = BTreeMap::new();
    for directory in directories {
        let fail = |source| Error::Input { action: "list", path: directory.clone(), source };
        let before = found.len();
        for entry in std::fs::read_dir(directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(segment) = SegmentName::parse(&name) else { continue };
            let path = entry.path();
            let len = std::fs::metadata(&path)
                .map_err(|source| Error::Input { action: "look at", path: path.clone(), source })?
                .len();
            match found.get(&segment.id) {
                Some((other, _)) if *other >= len => {}
                _ => {
                    found.insert(segment.id, (len, path));
                }
            }
        }
        if found.len() == before && directories.len() == 1 {
            return Err(Error::Missing {
                what: format!("no commit-log segments in {}", directory.display()),
                hint: Some(
                    "give the directory with CommitLog-*.log, often /var/lib/cassandra/commitlog; of a node that was drained there may be none: \
                     leave --commitlog-dir out"
                        .into(),
                ),
            });
        }
    }
    Ok(found.into_values().map(|(_, path)| path).collect())
}

/// Goes through the segments and takes what `tables` do not have in their SSTables.
pub fn replay(tables: Vec<OverlayTable>, options: &ReplayOptions<'_>) -> Result<Overlay> {
    let numbers = tables.iter().enumerate().filter_map(|(i, t)| Some((t.table.id?, i)));
    let replayer = Replayer {
        numbers: numbers.collect(),
        options,
        sorter: UpdateSorter::new(options.memory, options.directory),
        decoders: Vec::new(),
        pending: Vec::new(),
        schema_changes: BTreeSet::new(),
        seen: 0,
        overlay: Overlay {
            updates: vec![0; tables.len()],
            weights: vec![Vec::new(); tables.len()],
            read_to: None,
            last_segment: None,
            tables,
            truncated_at: options.truncated_at.clone(),
            runs: Vec::new(),
            directory: options
                .segments
                .first()
                .and_then(|path| path.parent())
                .unwrap_or(Path::new(""))
                .to_path_buf(),
            segments: Vec::new(),
            persisted: 0,
            cells_left_out: 0,
            unknown: UnknownUpdates::default(),
            damage: Vec::new(),
            notices: Vec::new(),
            spilled: 0,
        },
    };
    replayer.run()
}

struct Replayer<'a> {
    numbers: BTreeMap<TableId, usize>,
    options: &'a ReplayOptions<'a>,
    sorter: UpdateSorter,
    decoders: Vec<MutationDecoder>,
    /// Damage at the end of a segment: none, if no segment behind it holds anything.
    pending: Vec<(PathBuf, SegmentDamage)>,
    /// Keyspaces whose schema changed after what the SSTables have.
    schema_changes: BTreeSet<String>,
    seen: u64,
    overlay: Overlay,
}

impl Replayer<'_> {
    fn run(mut self) -> Result<Overlay> {
        for path in self.options.segments {
            self.segment(path)?;
        }
        for (path, damage) in std::mem::take(&mut self.pending) {
            self.overlay.notices.push(format!(
                "{} ends in what was being written when the node stopped: {} bytes from offset {} on ({}); Cassandra leaves them out too",
                path.display(),
                damage.bytes,
                damage.file_offset,
                damage.cause
            ));
        }
        if !self.schema_changes.is_empty() {
            let names: Vec<_> = self.schema_changes.iter().map(String::as_str).collect();
            self.overlay.notices.push(format!(
                "the commit log has changes of the schema of {} that the SSTables of the schema do not have: the schema used is the one \
                 before them; give the present one with --schema",
                names.join(", ")
            ));
        }
        if !self.overlay.damage.is_empty() {
            self.overlay.read_to = None;
        }
        let (runs, spilled) = self.sorter.finish()?;
        self.overlay.runs = runs;
        self.overlay.spilled = spilled;
        Ok(self.overlay)
    }

    fn segment(&mut self, path: &Path) -> Result<()> {
        let opened = SegmentReader::open(path, self.options.keys);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let id = SegmentName::parse(&name).map(|name| name.id);
        self.overlay.last_segment = self.overlay.last_segment.max(id);
        let mut reader = match opened {
            Ok(Some(reader)) => reader,
            // Made in advance, and not written to.
            Ok(None) => return Ok(()),
            Err(error) => return self.unreadable(path, error),
        };
        let mut segment = OverlaidSegment {
            name,
            id: reader.descriptor().id,
            bytes: reader.file_len()?,
            end: reader.position().position,
            mutations: 0,
        };
        let version = reader.descriptor().version;
        let mut decoder = match self.decoders.iter().position(|d| d.version() == version) {
            Some(at) => self.decoders.swap_remove(at),
            None => MutationDecoder::new(version),
        };
        loop {
            match reader.next(Bound::whole())? {
                SegmentStep::Entry { end, payload } => {
                    segment.mutations += 1;
                    segment.end = end.position;
                    if segment.mutations.is_multiple_of(SIGN_EVERY) {
                        vitals::sign();
                    }
                    if !self.pending.is_empty() {
                        self.settle_damage()?;
                    }
                    if self.is_wanted(&decoder, end, payload, path)? {
                        self.take(&mut decoder, end, payload, path)?;
                    }
                }
                SegmentStep::End { notice } => {
                    if let Some(words) = notice {
                        self.overlay.notices.push(format!("{}: {words}", path.display()));
                    }
                    break;
                }
                SegmentStep::Damage(damage) => self.pending.push((path.to_path_buf(), damage)),
                // What is final waits for nothing.
                SegmentStep::Wait(_) => break,
            }
            self.seen += 1;
            if self.seen.is_multiple_of(CHECK_EVERY) {
                match self.options.cancel.load(Ordering::Relaxed) {
                    0 => {}
                    signal => return Err(Error::Stopped(signal)),
                }
            }
        }
        self.decoders.push(decoder);
        // A segment that was made in advance says nothing: the one before it may still have been written to.
        if segment.mutations > 0 || self.overlay.read_to.is_none() {
            let (segment_id, position) = (segment.id, segment.end);
            self.overlay.read_to = Some(CommitLogPosition { segment_id, position });
        }
        if segment.mutations > 0 {
            self.overlay.segments.push(segment);
        }
        Ok(())
    }

    /// Damage with mutations behind it is damage.
    fn settle_damage(&mut self) -> Result<()> {
        for (path, damage) in std::mem::take(&mut self.pending) {
            if !self.options.skip_damage {
                return Err(damage.to_error(&path));
            }
            self.overlay.damage.push(ReplayDamage {
                offset: damage.file_offset,
                bytes: damage.bytes,
                cause: format!("{} (position {})", damage.cause, damage.position),
                path,
            });
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &Path, error: Error) -> Result<()> {
        match error {
            Error::Damaged(damage) if self.options.skip_damage => {
                let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                self.overlay.damage.push(ReplayDamage {
                    path: path.to_path_buf(),
                    offset: damage.offset.unwrap_or(0),
                    bytes,
                    cause: damage.cause,
                });
                Ok(())
            }
            error => Err(error),
        }
    }

    /// True if a mutation has to be decoded; what it says without that is noted.
    fn is_wanted(
        &mut self,
        decoder: &MutationDecoder,
        end: CommitLogPosition,
        payload: &[u8],
        path: &Path,
    ) -> Result<bool> {
        let peek = match MutationPeek::read(decoder.version(), payload) {
            Ok(peek) => peek,
            Err(error) => {
                self.undecodable(path, end, &MutationError::Decode(error))?;
                return Ok(false);
            }
        };
        if let Some(SystemChange::SchemaChanged { keyspace }) = peek.schema_change() {
            let has = self.options.schema_persisted.get(&peek.first);
            if has.is_some_and(|persisted| !persisted.contains(end)) {
                self.schema_changes.insert(keyspace);
            }
        }
        if peek.updates == 1 {
            if let Some(number) = self.numbers.get(&peek.first) {
                if self.has(*number, end) {
                    self.overlay.persisted += 1;
                    return Ok(false);
                }
            } else if !peek.may_truncate() {
                self.note_unknown(peek.first, 1);
                return Ok(false);
            }
        } else if !peek.may_truncate() && !peek.may_be_of(&|id| self.numbers.contains_key(&id)) {
            self.note_unknown(peek.first, peek.updates);
            return Ok(false);
        }
        Ok(true)
    }

    /// Counts `updates`, the first of which is of a table that the schema may not have.
    fn note_unknown(&mut self, id: TableId, updates: u64) {
        if (self.options.known)(id).is_none() {
            self.overlay.unknown.tables.insert(id);
            self.overlay.unknown.updates += updates;
        }
    }

    fn has(&self, number: usize, end: CommitLogPosition) -> bool {
        self.overlay.tables.get(number).is_some_and(|table| table.persisted.contains(end))
    }

    fn take(
        &mut self,
        decoder: &mut MutationDecoder,
        end: CommitLogPosition,
        payload: &[u8],
        path: &Path,
    ) -> Result<()> {
        let mutation = match decoder.decode(payload, self.options.known) {
            Ok(mutation) => mutation,
            Err(error) => return self.undecodable(path, end, &error),
        };
        let changes = match mutation.system_changes() {
            Ok(changes) => changes,
            Err(error) => {
                return self.undecodable(path, end, &MutationError::Decode(error));
            }
        };
        for change in changes {
            if let SystemChange::Truncated { table, position, .. } = change {
                let last = self.overlay.truncated_at.entry(table).or_insert(position);
                *last = position.max(*last);
            }
        }
        self.overlay.unknown.updates += mutation.unknown.len() as u64 + mutation.not_reached;
        self.overlay.unknown.tables.extend(&mutation.unknown);
        let mut taken = false;
        for update in &mutation.updates {
            let number = update.table.id.and_then(|id| self.numbers.get(&id).copied());
            let Some(number) = number else { continue };
            if self.has(number, end) {
                self.overlay.persisted += 1;
                continue;
            }
            taken = true;
            if let Some(updates) = self.overlay.updates.get_mut(number) {
                *updates += 1;
            }
            let table = u32::try_from(number).unwrap_or(u32::MAX);
            let token = self.options.partitioner.token(&update.key);
            let bytes = self.sorter.add(table, token, end, update)?;
            let weights = self.overlay.weights.get_mut(number);
            if let Some(weights) = weights {
                weights.resize(BUCKETS, 0);
                if let Some(weight) = weights.get_mut(bucket(token)) {
                    *weight += bytes as u64;
                }
            }
        }
        if taken {
            self.overlay.cells_left_out += mutation.left_out.dropped + mutation.left_out.hidden;
        }
        Ok(())
    }

    fn undecodable(
        &mut self,
        path: &Path,
        end: CommitLogPosition,
        error: &MutationError,
    ) -> Result<()> {
        let cause = format!("the mutation at position {end}: {error}");
        if self.options.skip_damage {
            let offset = u64::try_from(end.position).unwrap_or(0);
            self.overlay.damage.push(ReplayDamage {
                path: path.to_path_buf(),
                offset,
                bytes: 0,
                cause,
            });
            return Ok(());
        }
        let error = crate::error::DecodeError::invalid(cause, 0).in_file(path);
        Err(error.map_damage(|damage| {
            damage.what = Some("mutation".into());
            damage.offset = None;
            damage.hint = Some(
                "if the schema was changed since the last flush, give the present one with --schema; --on-corrupt=skip leaves the mutation out and lists it"
                    .into(),
            );
        }))
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
