//! [`MutationDecoder`]: mutations of all versions; those of 3.0 and later (`Mutation.MutationSerializer`, log versions 6 to 8)
//! are described here, those before in `legacy_mutation.rs`.
//!
//! ```text
//! mutation := uv n, n × { uuid table id, bytesV partition key, update }
//! ```
//! All updates are of one keyspace and one key. An update is described in `rows/codec/update.rs`; it has no length, and its
//! types are in the schema only, so one of a table that is not known cannot be passed by. What comes behind it is searched
//! for: a known table id before the same key, from where on everything decodes and ends where the mutation ends.
//!
//! A mutation must decode to its last byte: nothing else tells that the schema is the one it was written with.

use std::sync::Arc;

use memchr::memmem;
use rustc_hash::FxHashMap;

use super::descriptor::LogVersion;
use super::legacy_mutation::{
    decode_legacy_mutation, read_legacy_head, read_legacy_table, skip_family,
};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::PartitionUpdate;
use crate::rows::codec::{CellsLeftOut, UnknownColumn, UpdateDecoder, UpdateError};
use crate::rows::legacy::LegacyLayout;
use crate::schema::{TableId, TableMetadata};

/// An id, a key without bytes, and flags.
const MIN_UPDATE_LEN: u64 = 18;

/// Why a mutation could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MutationError {
    /// A column that the schema does not have: it is older than the mutation, or much newer. To be tried again with the
    /// schema as it is now.
    #[error("table {table} ({id}) has no {} column {:?}", column.kind.as_str(), column.name)]
    UnknownColumn {
        /// Id of the table.
        id: TableId,
        /// `keyspace.table`.
        table: String,
        /// The column.
        column: UnknownColumn,
    },
    /// The bytes are not a mutation as far as the schema tells.
    #[error("{0}")]
    Decode(#[from] DecodeError),
}

/// Bytes of the largest mutation whose memory is kept for the next one.
const MAX_SPARE: usize = 64 << 10;

/// How many places are tried behind updates of unknown tables.
const MAX_ATTEMPTS: u32 = 200;

/// A decoded mutation.
#[derive(Debug, Default)]
pub struct Mutation {
    /// Partition key of all updates, serialized.
    pub key: Vec<u8>,
    /// The updates of tables that are known, in the order of the log.
    pub updates: Vec<PartitionUpdate>,
    /// Ids of tables that are not known, as far as they were found.
    pub unknown: Vec<TableId>,
    /// How many updates could not be found behind one of an unknown table. They are of unknown tables too: no known table's
    /// id stands before the key there.
    pub not_reached: u64,
    /// Cells that were left out: of dropped columns, and of columns that the schema does not know in mutations of 2.x, where
    /// only the name of the cell tells its column.
    pub left_out: CellsLeftOut,
}

impl Mutation {
    fn take(&mut self, tail: Tail) {
        self.updates.extend(tail.updates);
        self.unknown.extend(tail.unknown);
        self.not_reached = tail.not_reached;
        self.left_out.dropped += tail.left_out.dropped;
        self.left_out.hidden += tail.left_out.hidden;
    }
}

/// What a mutation says of itself before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MutationPeek<'a> {
    /// Number of updates.
    pub updates: u64,
    /// Table of the first one.
    pub first: TableId,
    /// Partition key of all of them.
    pub key: &'a [u8],
    rest: Rest<'a>,
}

/// What follows the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest<'a> {
    /// Behind the first key.
    Rows(&'a [u8]),
    /// All column families.
    Families(&'a [u8]),
}

impl<'a> MutationPeek<'a> {
    /// Reads the beginning of a mutation of a segment of `version`.
    pub fn read(version: LogVersion, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = ByteReader::new(payload);
        if version.has_rows() {
            let updates = read_count(&mut r)?;
            let (first, key) = read_id_and_key(&mut r)?;
            return Ok(Self { updates, first, key, rest: Rest::Rows(r.rest()) });
        }
        let (key, families) = read_legacy_head(&mut r)?;
        let rest = Rest::Families(r.rest());
        let first = read_legacy_table(&mut r)?;
        Ok(Self { updates: families as u64, first, key, rest })
    }

    /// False if none of its updates can be of a table that is `wanted`: then it need not be decoded. True may be wrong where
    /// it has several updates.
    pub fn may_be_of(&self, wanted: &dyn Fn(TableId) -> bool) -> bool {
        if wanted(self.first) || self.updates <= 1 {
            return wanted(self.first);
        }
        match self.rest {
            // What stands before the key again: ids of tables, or other bytes.
            Rest::Rows(rest) => tables_before(rest, self.key).any(|(_, id)| wanted(id)),
            Rest::Families(rest) => any_family(rest, self.updates, wanted).unwrap_or(true),
        }
    }
}

fn any_family(
    bytes: &[u8],
    families: u64,
    wanted: &dyn Fn(TableId) -> bool,
) -> Result<bool, DecodeError> {
    let mut r = ByteReader::new(bytes);
    for _ in 0..families {
        if wanted(read_legacy_table(&mut r)?) {
            return Ok(true);
        }
        skip_family(&mut r)?;
    }
    Ok(false)
}

fn read_count(r: &mut ByteReader<'_>) -> Result<u64, DecodeError> {
    let count = r.read_uvint("number of updates")?;
    let limit = r.remaining() as u64 / MIN_UPDATE_LEN;
    if count == 0 || count > limit {
        let what = "number of updates";
        return Err(r.error(DecodeErrorKind::Limit { what, found: count, limit }));
    }
    Ok(count)
}

fn read_id_and_key<'a>(r: &mut ByteReader<'a>) -> Result<(TableId, &'a [u8]), DecodeError> {
    let id = TableId(r.read_uuid("table id")?);
    Ok((id, r.read_bytesv("partition key")?))
}

/// The key as it stands in a mutation.
fn key_pattern(key: &[u8]) -> Vec<u8> {
    let len = key.len() as u64;
    // Keys have at most 65,535 bytes.
    let mut pattern = match len {
        0..0x80 => vec![low_byte(len)],
        0x80..0x4000 => vec![0x80 | low_byte(len >> 8), low_byte(len)],
        _ => vec![0xc0 | low_byte(len >> 16), low_byte(len >> 8), low_byte(len)],
    };
    pattern.extend(key);
    pattern
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest byte is what is wanted")]
fn low_byte(value: u64) -> u8 {
    value as u8
}

/// The 16 bytes before each occurrence of `key` in `bytes`, and where they begin.
fn tables_before(bytes: &[u8], key: &[u8]) -> impl Iterator<Item = (usize, TableId)> {
    let pattern = key_pattern(key);
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let found = from + memmem::find(bytes.get(from..)?, &pattern)?;
            from = found + 1;
            let Some(start) = found.checked_sub(16) else { continue };
            let id = ByteReader::at(bytes, start).read_uuid("table id").ok()?;
            return Some((start, TableId(id)));
        }
    })
}

/// Finds the schema of a table.
pub type TableLookup<'a> = dyn Fn(TableId) -> Option<Arc<TableMetadata>> + 'a;

/// Decodes the mutations of one version of the log; keeps what it worked out about each table.
#[derive(Debug)]
pub struct MutationDecoder {
    version: LogVersion,
    updates: UpdateDecoder,
    /// How the cells of 2.x are named, by table.
    layouts: FxHashMap<TableId, (Arc<TableMetadata>, Arc<LegacyLayout>)>,
    /// One that was recycled, to be overwritten.
    spare: Mutation,
}

impl MutationDecoder {
    /// A decoder for segments of `version`.
    pub fn new(version: LogVersion) -> Self {
        Self {
            version,
            updates: UpdateDecoder::new(version.has_uint_deletion_time()),
            layouts: FxHashMap::default(),
            spare: Mutation::default(),
        }
    }

    /// The version it is for.
    pub fn version(&self) -> LogVersion {
        self.version
    }

    /// Takes back a mutation that is not needed any more: the next one is decoded into its memory, unless that is much.
    pub fn recycle(&mut self, mut mutation: Mutation) {
        let memory: usize = mutation.updates.iter().map(PartitionUpdate::memory).sum();
        if mutation.key.len() + memory <= MAX_SPARE {
            mutation.unknown.clear();
            mutation.not_reached = 0;
            mutation.left_out = CellsLeftOut::default();
            self.spare = mutation;
        }
    }

    /// Decodes the mutation in `payload`.
    ///
    /// `tables` must know every table whose updates are wanted, and the more it knows the less has to be searched for. It must
    /// give the same `Arc` for the same schema: by that the decoder knows that it need not work it out anew.
    pub fn decode(
        &mut self,
        payload: &[u8],
        tables: &TableLookup<'_>,
    ) -> Result<Mutation, MutationError> {
        if !self.version.has_rows() {
            return self.decode_legacy(payload, tables);
        }
        let mut r = ByteReader::new(payload);
        let mut left = read_count(&mut r)?;
        let mut mutation = std::mem::take(&mut self.spare);
        // Updates behind these are of another mutation.
        let mut count = 0;
        while left > 0 {
            let at = r.position();
            let (id, key) = read_id_and_key(&mut r)?;
            if count == 0 {
                mutation.key.clear();
                mutation.key.extend_from_slice(key);
            } else if mutation.key != key {
                return Err(DecodeError::invalid(
                    "an update of another partition than the one before it",
                    at as u64,
                )
                .into());
            }
            left -= 1;
            let Some(table) = tables(id) else {
                mutation.updates.truncate(count);
                mutation.unknown.push(id);
                if left == 0 {
                    return Ok(mutation);
                }
                let mut attempts = MAX_ATTEMPTS;
                let tail = self.search(payload, r.position(), left, key, tables, &mut attempts)?;
                mutation.take(tail);
                return Ok(mutation);
            };
            let update = match mutation.updates.get_mut(count) {
                Some(update) => update,
                None => {
                    mutation.updates.push_mut(PartitionUpdate::new(Arc::clone(&table), Vec::new()))
                }
            };
            let read =
                self.updates.read_into(&mut r, id, &table, key, &mut mutation.left_out, update);
            read.map_err(|e| of_table(e, id))?;
            count += 1;
        }
        mutation.updates.truncate(count);
        r.finish("mutation")?;
        Ok(mutation)
    }

    fn decode_legacy(
        &mut self,
        payload: &[u8],
        tables: &TableLookup<'_>,
    ) -> Result<Mutation, MutationError> {
        let found = decode_legacy_mutation(payload, &|id| tables(id).is_some())?;
        let mut mutation =
            Mutation { key: found.key, unknown: found.unknown, ..Mutation::default() };
        for (id, partition) in found.updates {
            let Some(table) = tables(id) else { continue };
            let fresh = || (Arc::clone(&table), Arc::new(LegacyLayout::new(&table)));
            let known = self.layouts.entry(id).or_insert_with(fresh);
            if !Arc::ptr_eq(&known.0, &table) {
                *known = fresh();
            }
            let left_out = &mut mutation.left_out;
            let update =
                partition.into_update(&known.1, table.clone(), mutation.key.clone(), left_out)?;
            mutation.updates.push(update);
        }
        Ok(mutation)
    }

    /// Finds the updates behind one of an unknown table, which begins at `from`; `left` of them are to come. `attempts` bounds
    /// how much is tried on bytes that look like many updates and are none.
    fn search(
        &mut self,
        payload: &[u8],
        from: usize,
        left: u64,
        key: &[u8],
        tables: &TableLookup<'_>,
        attempts: &mut u32,
    ) -> Result<Tail, MutationError> {
        let rest = payload.get(from..).unwrap_or_default();
        let mut failed = None;
        for (at, id) in tables_before(rest, key) {
            if tables(id).is_none() {
                continue;
            }
            let Some(less) = attempts.checked_sub(1) else { break };
            *attempts = less;
            match self.decode_tail(payload, from + at, left, key, tables, attempts) {
                Ok(tail) => return Ok(tail),
                // The first place that looks like an update is the most likely one.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(Tail { not_reached: left, ..Tail::default() }), Err)
    }

    /// Decodes updates from `at` on, at most `left` of them, to the end of the mutation.
    fn decode_tail(
        &mut self,
        payload: &[u8],
        at: usize,
        mut left: u64,
        key: &[u8],
        tables: &TableLookup<'_>,
        attempts: &mut u32,
    ) -> Result<Tail, MutationError> {
        let mut r = ByteReader::at(payload, at);
        let mut tail = Tail::default();
        while !r.is_empty() {
            let at = r.position() as u64;
            left = left.checked_sub(1).ok_or_else(|| r.invalid("more updates than said"))?;
            let (id, found_key) = read_id_and_key(&mut r)?;
            if found_key != key {
                return Err(DecodeError::invalid("no update of this partition", at).into());
            }
            let Some(table) = tables(id) else {
                tail.unknown.push(id);
                if left > 0 {
                    let at = r.position();
                    tail.extend(self.search(payload, at, left, key, tables, attempts)?);
                }
                return Ok(tail);
            };
            let mut update = PartitionUpdate::new(Arc::clone(&table), Vec::new());
            let left_out = &mut tail.left_out;
            let read = self.updates.read_into(&mut r, id, &table, key, left_out, &mut update);
            read.map_err(|e| of_table(e, id))?;
            tail.updates.push(update);
        }
        Ok(tail)
    }
}

/// What was found behind an update of an unknown table.
#[derive(Default)]
struct Tail {
    updates: Vec<PartitionUpdate>,
    unknown: Vec<TableId>,
    not_reached: u64,
    left_out: CellsLeftOut,
}

impl Tail {
    fn extend(&mut self, other: Self) {
        self.updates.extend(other.updates);
        self.unknown.extend(other.unknown);
        self.not_reached += other.not_reached;
        self.left_out.dropped += other.left_out.dropped;
        self.left_out.hidden += other.left_out.hidden;
    }
}

fn of_table(error: UpdateError, id: TableId) -> MutationError {
    match error {
        UpdateError::UnknownColumn { table, column } => {
            MutationError::UnknownColumn { id, table, column }
        }
        UpdateError::Decode(error) => MutationError::Decode(error),
    }
}

#[cfg(test)]
#[path = "mutation_tests.rs"]
mod tests;
