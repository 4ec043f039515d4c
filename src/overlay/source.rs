//! The overlay of one table as a source of the merge.

use std::sync::Arc;

use crate::commitlog::CommitLogPosition;
use crate::dht::{Token, TokenRange};
use crate::error::{DecodeError, DecodeErrorKind, Error, ErrorClass, Result};
use crate::merge::{TieBreak, UpdateCombiner};
use crate::rows::{
    DeletionTime, PartitionSource, PartitionUpdate, Row, RowView, Unfiltered, UpdateSource,
};
use crate::schema::TableMetadata;

use super::encoding::decode;
use super::large::{SourceMemory, SplitMemory};
use super::replay::Overlay;
use super::run::{RunCursor, least};

/// Updates that are combined at a time. Fixed, like [`BATCH_BYTES`], since where one deletion covers some shards of a counter
/// the order in which Cassandra meets them matters: the outcome must not depend on the memory.
const BATCH: usize = 32;
const BATCH_BYTES: usize = 1 << 20;

/// The partitions of one table in a range of tokens, each with all that was written to it and not flushed.
#[derive(Debug)]
pub struct OverlaySource {
    table: Arc<TableMetadata>,
    /// What is at or before it was truncated.
    truncated_at: Option<CommitLogPosition>,
    cursors: Vec<RunCursor>,
    combiner: UpdateCombiner,
    memory: SourceMemory,
    log: std::path::PathBuf,
    /// The partition at hand, and its token.
    partition: UpdateSource,
    token: Token,
}

impl OverlaySource {
    /// What `overlay` has of its table number `table` in `range`. `rule` and `now` as in the merge; `memory`: that of the split.
    pub fn new(
        overlay: &Overlay,
        table: u32,
        range: TokenRange,
        rule: TieBreak,
        now: i64,
        memory: &Arc<SplitMemory>,
    ) -> Result<Self> {
        let Some(of_table) = overlay.table(table) else {
            return Err(Error::Bug(format!("the overlay has no table {table}")));
        };
        let cursors = overlay.runs().iter().map(|run| RunCursor::new(run, Some((table, range))));
        let mut source = Self {
            table: Arc::clone(&of_table.table),
            truncated_at: overlay.truncated_at(table),
            cursors: cursors.collect::<Result<_>>()?,
            combiner: UpdateCombiner::new(&of_table.table, rule, now),
            memory: SourceMemory::new(memory),
            log: overlay.directory().to_path_buf(),
            partition: UpdateSource::new(Vec::new())?,
            token: Token(0),
        };
        source.load()?;
        Ok(source)
    }

    /// Makes the next partition that holds anything the one at hand.
    fn load(&mut self) -> Result<()> {
        loop {
            // What is at hand goes first, and then the place that it had.
            self.partition = UpdateSource::new(Vec::new())?;
            self.memory.release();
            let Some(first) = least(&self.cursors)? else { return Ok(()) };
            let Some(entry) = self.cursors.get(first).map(RunCursor::entry).transpose()?.flatten()
            else {
                return Ok(());
            };
            let (key, token) = (entry.key.to_vec(), entry.token);
            let update = self.partition_of(&key)?;
            if let Some(update) = update.filter(|update| !update.is_empty()) {
                self.partition = UpdateSource::new(vec![update])?;
                self.token = token;
                return Ok(());
            }
        }
    }

    /// All updates of the partition `key`, which is the least one, as one; none if all were truncated.
    fn partition_of(&mut self, key: &[u8]) -> Result<Option<PartitionUpdate>> {
        let mut whole: Option<PartitionUpdate> = None;
        let mut batch: Vec<PartitionUpdate> = Vec::new();
        let mut bytes = 0_usize;
        while let Some(i) = least(&self.cursors)? {
            let Some(cursor) = self.cursors.get_mut(i) else { break };
            match cursor.entry()? {
                Some(entry) if entry.key == key => {
                    if self.truncated_at.is_none_or(|at| entry.position > at) {
                        let update = decode(&self.table, key, entry.update).map_err(|error| {
                            Error::Bug(format!("a run of the overlay: {error}"))
                        })?;
                        bytes += update.memory();
                        batch.push(update);
                    }
                }
                Some(_) | None => break,
            }
            cursor.advance()?;
            let held = whole.as_ref().map_or(0, PartitionUpdate::memory);
            // As much again for what they are combined into.
            let needed = 2 * (held + bytes);
            if needed > self.memory.limit() {
                return Err(self.too_large(key, needed));
            }
            self.memory.reserve(needed);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                whole = self.combined(whole, &mut batch)?;
                bytes = 0;
            }
        }
        self.combined(whole, &mut batch)
    }

    fn combined(
        &mut self,
        whole: Option<PartitionUpdate>,
        batch: &mut Vec<PartitionUpdate>,
    ) -> Result<Option<PartitionUpdate>> {
        let updates: Vec<_> = whole.iter().chain(batch.iter()).collect();
        let combined =
            if updates.is_empty() { None } else { Some(self.combiner.combine(&updates)?) };
        batch.clear();
        Ok(combined)
    }

    fn too_large(&self, key: &[u8], found: usize) -> Error {
        let what = "changes of one partition in memory";
        let kind =
            DecodeErrorKind::Limit { what, found: found as u64, limit: self.memory.limit() as u64 };
        DecodeError::new(kind, 0).in_file(&self.log).map_damage(|damage| {
            damage.what = Some("commit log".into());
            damage.table = Some(self.table.qualified_name());
            damage.offset = None;
            damage.cause = format!(
                "{} (partition key 0x{})",
                damage.cause,
                hex_simd::encode_to_string(key, hex_simd::AsciiCase::Lower)
            );
            damage.class = ErrorClass::Unsupported;
            damage.hint = Some(
                "give more --memory; or have the node flush and extract without --commitlog-dir"
                    .into(),
            );
        })
    }
}

impl PartitionSource for OverlaySource {
    fn is_done(&self) -> bool {
        self.partition.is_done()
    }

    fn token(&self) -> Token {
        self.token
    }

    fn key(&self) -> &[u8] {
        self.partition.key()
    }

    fn begin(&mut self) -> Result<()> {
        self.partition.begin()
    }

    fn deletion(&self) -> DeletionTime {
        self.partition.deletion()
    }

    fn static_row(&self) -> Option<RowView<'_>> {
        self.partition.static_row()
    }

    fn next(&mut self) -> Result<Unfiltered> {
        self.partition.next()
    }

    fn row(&self) -> RowView<'_> {
        self.partition.row()
    }

    fn row_mut(&mut self) -> (&mut Row, &[u8]) {
        self.partition.row_mut()
    }

    fn out_of_order(&self) -> Error {
        self.partition.out_of_order()
    }

    fn finish(&mut self) -> Result<()> {
        self.load()
    }
}
