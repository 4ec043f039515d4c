//! Updates of partitions as mutations have them (`PartitionUpdate.PartitionUpdateSerializer`, from 3.0 on).
//!
//! ```text
//! update  := u8 flags, header, [statics: columns], regulars: columns, [deletion: uv ts, uv ldt], [static row], [uv rows],
//!            unfiltereds up to a u8 01
//! flags   := 01 nothing follows, 02 reversed (never in a mutation), 04 deletion, 08 statics and a static row, 10 number of rows
//! header  := uv least write time, uv least local deletion time, uv least TTL, as in Statistics.db
//! columns := uv n, n × bytesV name
//! ```
//! Rows and markers are those of SSTables without their sizes; see `unfiltered.rs`. The columns are those of this update, or
//! all of the table; their types are not written, so they are taken from the schema.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::columns::CellsLeftOut;
use super::flags::{END_OF_PARTITION, EXT_IS_STATIC};
use super::header::{DELETION_TIME_EPOCH, TIMESTAMP_EPOCH, low_i32};
use super::plan::{DroppedUdts, RowCodec, UnknownColumn, has_ambiguous_column};
use super::unfiltered::{Prefix, RowDecoder, tag};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::{DeletionTime, PartitionUpdate, Row, UpdateContent};
use crate::schema::{ColumnKind, TableId, TableMetadata};

const IS_EMPTY: u8 = 0x01;
const HAS_PARTITION_DELETION: u8 = 0x04;
const HAS_STATIC_ROW: u8 = 0x08;
const HAS_ROW_ESTIMATE: u8 = 0x10;

/// Plans kept for a table: statements name different columns, but not that many different sets of them.
const PLANS_PER_TABLE: usize = 16;

/// Why an update could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// A column that the schema neither has nor remembers as dropped: the schema is older than the update. To be tried again
    /// with the schema as it is now.
    #[error("table {table} has no {} column {:?}", column.kind.as_str(), column.name)]
    UnknownColumn {
        /// `keyspace.table`.
        table: String,
        /// The column.
        column: UnknownColumn,
    },
    /// The bytes are not an update of the table as the schema has it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// How to read updates of one table with the same columns.
#[derive(Debug)]
struct Plan {
    /// The lists of columns as they are written, and whether there are two of them.
    columns: Vec<u8>,
    has_statics: bool,
    decoder: RowDecoder,
}

/// Decodes updates; keeps what it worked out about each table and its columns.
#[derive(Debug)]
pub struct UpdateDecoder {
    uint_deletion_time: bool,
    tables: FxHashMap<TableId, (Arc<TableMetadata>, Vec<Plan>)>,
}

/// What stands before the rows.
struct Head<'a> {
    flags: u8,
    min_timestamp: i64,
    min_local_deletion_time: i64,
    min_ttl: i32,
    statics: Vec<&'a [u8]>,
    regulars: Vec<&'a [u8]>,
    /// The bytes of both lists.
    columns: &'a [u8],
}

/// Reads past a list of columns.
fn skip_columns(r: &mut ByteReader<'_>) -> Result<(), DecodeError> {
    let count = r.read_uvint("number of columns")?;
    if count > r.remaining() as u64 {
        return Err(r.error(DecodeErrorKind::Limit {
            what: "number of columns",
            found: count,
            limit: r.remaining() as u64,
        }));
    }
    for _ in 0..count {
        r.read_bytesv("column name")?;
    }
    Ok(())
}

fn columns<'a>(r: &mut ByteReader<'a>) -> Result<Vec<&'a [u8]>, DecodeError> {
    let count = r.read_uvint("number of columns")?;
    (0..count).map(|_| r.read_bytesv("column name")).collect()
}

impl Plan {
    fn new(
        table: &TableMetadata,
        head: &Head<'_>,
        uint_deletion_time: bool,
        dropped_udts: DroppedUdts,
    ) -> Result<Self, UpdateError> {
        let codec = RowCodec::for_update(
            table,
            &head.statics,
            &head.regulars,
            uint_deletion_time,
            dropped_udts,
        );
        let codec = codec.map_err(|column| UpdateError::UnknownColumn {
            table: table.qualified_name(),
            column,
        })?;
        Ok(Self {
            columns: head.columns.to_vec(),
            has_statics: head.has_statics(),
            decoder: RowDecoder::new(Arc::new(codec)),
        })
    }

    /// Reads what follows the lists of columns, into the memory of what `update` has of another one.
    fn read(
        &mut self,
        r: &mut ByteReader<'_>,
        head: &Head<'_>,
        update: &mut PartitionUpdate,
    ) -> Result<(), DecodeError> {
        let decoder = &mut self.decoder;
        let codec = Arc::make_mut(&mut decoder.codec);
        codec.min_timestamp = head.min_timestamp;
        codec.min_local_deletion_time = head.min_local_deletion_time;
        codec.min_ttl = head.min_ttl;
        update.deletion = if head.flags & HAS_PARTITION_DELETION != 0 {
            codec.read_delta_deletion(r)?
        } else {
            DeletionTime::LIVE
        };
        let static_row = update.static_row.take();
        if head.has_statics() {
            let mut row = static_row.unwrap_or(Row::EMPTY);
            match decoder.read_prefix(r, &mut row)? {
                Prefix::Row { flags, extended } if extended & EXT_IS_STATIC != 0 => {
                    decoder.read_body(r, flags, extended, &mut row)?;
                }
                Prefix::Row { .. } | Prefix::Marker(_) | Prefix::End => {
                    return Err(r.invalid("no static row"));
                }
            }
            update.static_row = Some(row);
        }
        if head.flags & HAS_ROW_ESTIMATE != 0 {
            // Two bytes are the least row. It is right in all logs seen, but it is called an estimate.
            let rows = r.read_uvint("number of rows")?.min(r.remaining() as u64 / 2);
            let more = usize::try_from(rows).unwrap_or(0).min(1 << 12);
            update.content.reserve(more.saturating_sub(update.content.len()));
        }
        let mut count = 0;
        loop {
            // The end needs no row.
            if r.rest().first() == Some(&END_OF_PARTITION) {
                update.content.truncate(count);
                return r.skip(1, "end of partition");
            }
            // What is there is of another update, and overwritten.
            let place = match update.content.get_mut(count) {
                Some(place) => place,
                None => update.content.push_mut(UpdateContent::Row(Row::EMPTY)),
            };
            let (UpdateContent::Row(row) | UpdateContent::Marker(_, row)) = place;
            match decoder.read_prefix(r, row)? {
                Prefix::Row { flags, extended } => {
                    if extended & EXT_IS_STATIC != 0 {
                        return Err(r.invalid("a static row among the rows"));
                    }
                    decoder.read_body(r, flags, extended, row)?;
                    if let UpdateContent::Marker(_, row) = place {
                        *place = UpdateContent::Row(std::mem::take(row));
                    }
                }
                Prefix::Marker(kind) => {
                    let marker = decoder.read_marker(r, kind)?;
                    *place = UpdateContent::Marker(marker, std::mem::take(row));
                }
                Prefix::End => {
                    update.content.truncate(count);
                    return Ok(());
                }
            }
            count += 1;
        }
    }
}

impl UpdateDecoder {
    /// A decoder of updates whose local deletion times are unsigned (5.0, log version 8) or not.
    pub fn new(uint_deletion_time: bool) -> Self {
        Self { uint_deletion_time, tables: FxHashMap::default() }
    }

    /// Reads the update of partition `key` of `table` at the cursor, which stands behind the key, into the memory of `update`,
    /// which may be any; it is of no use if this fails. `left_out` counts the cells of dropped columns in it.
    pub fn read_into(
        &mut self,
        r: &mut ByteReader<'_>,
        id: TableId,
        table: &Arc<TableMetadata>,
        key: &[u8],
        left_out: &mut CellsLeftOut,
        update: &mut PartitionUpdate,
    ) -> Result<(), UpdateError> {
        let base = r.position() as u64;
        if !Arc::ptr_eq(&update.table, table) {
            update.table = Arc::clone(table);
        }
        update.key.clear();
        update.key.extend_from_slice(key);
        update.data.clear();
        match self.read_at(r.rest(), id, table, left_out, update) {
            Ok(len) => Ok(r.skip(len, "update")?),
            Err(UpdateError::Decode(error)) => Err(error.shifted(base).into()),
            Err(error) => Err(error),
        }
    }

    /// Reads what the update at the start of `bytes` says into `update`; returns its length.
    fn read_at(
        &mut self,
        bytes: &[u8],
        id: TableId,
        table: &Arc<TableMetadata>,
        left_out: &mut CellsLeftOut,
        update: &mut PartitionUpdate,
    ) -> Result<usize, UpdateError> {
        let mut r = ByteReader::new(bytes);
        let flags = r.read_u8("flags of an update")?;
        if flags == IS_EMPTY {
            update.deletion = DeletionTime::LIVE;
            update.static_row = None;
            update.content.clear();
            return Ok(1);
        }
        if flags & !(HAS_PARTITION_DELETION | HAS_STATIC_ROW | HAS_ROW_ESTIMATE) != 0 {
            return Err(tag("flags of an update", flags.into(), 0).into());
        }
        let mut head = Head {
            flags,
            min_timestamp: TIMESTAMP_EPOCH
                .wrapping_add(r.read_uvint("least write time")?.cast_signed()),
            min_local_deletion_time: DELETION_TIME_EPOCH
                .wrapping_add(r.read_uvint("least local deletion time")?.cast_signed()),
            min_ttl: low_i32(r.read_uvint("least TTL")?),
            statics: Vec::new(),
            regulars: Vec::new(),
            columns: &[],
        };
        let (known, plans) =
            self.tables.entry(id).or_insert_with(|| (Arc::clone(table), Vec::new()));
        if !Arc::ptr_eq(known, table) {
            *known = Arc::clone(table);
            plans.clear();
        }
        // Lists say where they end: what begins as one of a plan is that one.
        let (start, rest) = (r.position(), r.rest());
        let same =
            |plan: &Plan| plan.has_statics == head.has_statics() && rest.starts_with(&plan.columns);
        let found = plans.iter().position(same);
        match found.and_then(|at| plans.get(at)) {
            Some(plan) => r.skip(plan.columns.len(), "columns")?,
            None => {
                if head.has_statics() {
                    skip_columns(&mut r)?;
                }
                skip_columns(&mut r)?;
            }
        }
        head.columns = bytes.get(start..r.position()).unwrap_or_default();
        let at = match found {
            Some(at) => at,
            None => {
                head.read_columns()?;
                let plan = Plan::new(table, &head, self.uint_deletion_time, DroppedUdts::Frozen)?;
                if plans.len() >= PLANS_PER_TABLE {
                    plans.pop();
                }
                plans.insert(0, plan);
                0
            }
        };
        let Some(plan) = plans.get_mut(at) else {
            return Err(DecodeError::invalid("no plan", 0).into());
        };
        let before = r.position();
        plan.decoder.left_out = CellsLeftOut::default();
        let found = plan.read(&mut r, &head, update);
        let mut counted = plan.decoder.left_out;
        if let Err(error) = found {
            // A column dropped in 3.x may have been of a user-defined type with a cell per field: only the data can tell.
            head.read_columns()?;
            let ambiguous = has_ambiguous_column(&head.statics, table, ColumnKind::Static)
                || has_ambiguous_column(&head.regulars, table, ColumnKind::Regular);
            if !ambiguous {
                return Err(error.into());
            }
            let mut other =
                Plan::new(table, &head, self.uint_deletion_time, DroppedUdts::MultiCell)?;
            r = ByteReader::at(bytes, before);
            if other.read(&mut r, &head, update).is_err() {
                return Err(error.into());
            }
            counted = other.decoder.left_out;
        }
        left_out.dropped += counted.dropped;
        left_out.hidden += counted.hidden;
        let len = r.position();
        update.data.extend_from_slice(bytes.get(..len).unwrap_or_default());
        Ok(len)
    }
}

impl Head<'_> {
    fn has_statics(&self) -> bool {
        self.flags & HAS_STATIC_ROW != 0
    }

    fn read_columns(&mut self) -> Result<(), DecodeError> {
        let mut r = ByteReader::new(self.columns);
        if self.has_statics() {
            self.statics = columns(&mut r)?;
        }
        self.regulars = columns(&mut r)?;
        Ok(())
    }
}
