//! [`ChangeRecordReader`]: a line back into what the mutation said.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::line::{BoundLine, CellLine, Entries, Line, Op, ShardLine, Texts};
use super::origin::{LogPosition, Origin, Position};
use super::value::{decode, hex};
use crate::cql::CqlType;
use crate::error::{DecodeError, Error};
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, CounterShard, DeletionTime,
    LivenessInfo, LocalDeletionTime, Marker, NO_TTL, PartitionUpdate, Row, ShardKind, Span,
    UpdateContent, write_shards,
};
use crate::schema::{ColumnMetadata, TableId, TableMetadata};

/// Why a line is not a change record: the cause alone, until [`RecordError::in_object`] adds the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError(String);

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for RecordError {
    fn from(cause: String) -> Self {
        Self(cause)
    }
}

impl RecordError {
    fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }

    /// The error with its place: the object's name, and the number of the line from 1.
    pub fn in_object(self, object: &str, line: u64) -> Error {
        DecodeError::invalid(format!("line {line}: {}", self.0), 0)
            .in_file(object.as_ref())
            .map_damage(|damage| {
                damage.what = Some("change records".to_owned());
                damage.offset = None;
            })
    }
}

type Outcome<T> = Result<T, RecordError>;

/// What a record is about, known before its table's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHead {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// The table's identity, where its schema has one.
    pub table_id: Option<TableId>,
    /// Where it comes from.
    pub origin: Origin,
    /// Its place among the records of its mutation.
    pub index: u32,
    /// Not a change but what was stored when the key was first touched.
    pub base: bool,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// One row, static row, range or partition deletion of one partition.
    Update(PartitionUpdate),
    /// The table was truncated.
    Truncate {
        /// What is at or before this position of the host's commit log is gone.
        truncated_at: LogPosition,
        /// When, in milliseconds since 1970.
        time: i64,
    },
    /// The definition that decodes what follows.
    Schema {
        /// The statements that make the table and its types.
        cql: String,
    },
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeRecord {
    /// What it is about.
    pub head: RecordHead,
    /// What it says.
    pub change: Change,
}

/// A line, parsed: first its head, then, with the table's definition, its content.
#[derive(Debug)]
pub struct ChangeRecordReader<'a> {
    line: Line<'a>,
    head: RecordHead,
}

impl<'a> ChangeRecordReader<'a> {
    /// Parses a line, with or without its line end.
    pub fn parse(line: &'a [u8]) -> Outcome<Self> {
        let text = std::str::from_utf8(line).map_err(|_| RecordError::new("not valid UTF-8"))?;
        let line: Line<'a> =
            serde_json::from_str(text).map_err(|e| RecordError(format!("not a record: {e}")))?;
        let uuid = |what: &str, text: &str| {
            Uuid::parse_str(text).map_err(|_| RecordError(format!("{what} {text} is no uuid")))
        };
        let table_id =
            line.table_id.as_deref().map(|id| uuid("tableId", id)).transpose()?.map(TableId);
        let position = &line.position;
        let position = match (position.segment, position.offset, &position.sstable, position.record)
        {
            (Some(segment), Some(offset), None, None) => {
                Position::Log(LogPosition { segment, offset })
            }
            (None, None, Some(sstable), Some(record)) => {
                Position::Sstable { sstable: sstable.clone().into_owned(), record }
            }
            _ => return Err(RecordError::new("position is neither of a log nor of an SSTable")),
        };
        let head = RecordHead {
            keyspace: line.keyspace.clone().into_owned(),
            table: line.table.clone().into_owned(),
            table_id,
            origin: Origin { host_id: uuid("hostId", &line.host_id)?, position },
            index: line.index,
            base: line.base,
        };
        Ok(Self { line, head })
    }

    /// What it is about.
    pub fn head(&self) -> &RecordHead {
        &self.head
    }

    /// True if the content needs the table's definition: not for truncations and definitions themselves.
    pub fn is_update(&self) -> bool {
        !matches!(self.line.op, Op::Truncate | Op::Schema)
    }

    /// The content of a truncation or a definition; none if it is an update.
    pub fn event(&self) -> Outcome<Option<Change>> {
        match self.line.op {
            Op::Truncate => {
                let (Some(at), Some(time)) = (self.line.truncated_at, self.line.time) else {
                    return Err(RecordError::new("a truncate without truncatedAt and time"));
                };
                let truncated_at = LogPosition { segment: at.segment, offset: at.offset };
                Ok(Some(Change::Truncate { truncated_at, time }))
            }
            Op::Schema => match &self.line.cql {
                Some(cql) => Ok(Some(Change::Schema { cql: cql.clone().into_owned() })),
                None => Err(RecordError::new("a schema without cql")),
            },
            Op::Upsert | Op::Delete | Op::DeleteRange | Op::DeletePartition => Ok(None),
        }
    }

    /// Names of the columns in `cells` that `table` does not have and did not have before they were dropped.
    pub fn unknown_columns(&self, table: &TableMetadata) -> Vec<&str> {
        let columns = if self.line.is_static { &table.statics } else { &table.regulars };
        let cells = self.line.cells.iter().flat_map(|cells| &cells.0);
        cells
            .map(|(name, _)| &**name)
            .filter(|name| !columns.iter().any(|column| column.name == *name))
            .filter(|name| !table.dropped.iter().any(|dropped| dropped.name == *name))
            .collect()
    }

    /// The content of an update of `table`. Cells of columns that it says were dropped are left out.
    pub fn update(&self, table: &Arc<TableMetadata>) -> Outcome<PartitionUpdate> {
        let mut update = Builder { update: PartitionUpdate::new(Arc::clone(table), Vec::new()) };
        update.read(&self.line)?;
        Ok(update.update)
    }

    /// The whole record; `table` is the definition of an update's table.
    pub fn record(self, table: &Arc<TableMetadata>) -> Outcome<ChangeRecord> {
        let change = match self.event()? {
            Some(event) => event,
            None => Change::Update(self.update(table)?),
        };
        Ok(ChangeRecord { head: self.head, change })
    }
}

/// A deletion made at `micros`. When it was made is not in a record; no read depends on it.
fn deletion_at(micros: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at: micros, local_deletion_time: made_at(micros) }
}

fn made_at(micros: i64) -> LocalDeletionTime {
    LocalDeletionTime(micros.div_euclid(1_000_000))
}

struct Builder {
    update: PartitionUpdate,
}

impl Builder {
    fn read(&mut self, line: &Line<'_>) -> Outcome<()> {
        let table = Arc::clone(&self.update.table);
        let Some(key) = &line.key else { return Err(RecordError::new("no key")) };
        self.partition_key(&table, key, line.partition_key_bytes.as_deref())?;
        let deleted = |what: &str| {
            let micros = line.deleted.ok_or_else(|| RecordError(format!("{what} without deleted")));
            micros.map(deletion_at)
        };
        match line.op {
            Op::DeletePartition => self.update.deletion = deleted("delete_partition")?,
            Op::DeleteRange => {
                let deletion = deleted("delete_range")?;
                let Some(range) = &line.range else {
                    return Err(RecordError::new("delete_range without range"));
                };
                self.bound(&table, range.start.as_ref(), true, deletion)?;
                self.bound(&table, range.end.as_ref(), false, deletion)?;
            }
            Op::Upsert | Op::Delete => {
                let mut row = Row::EMPTY;
                if !line.is_static {
                    self.clustering(&table, key, line.clustering_bytes.as_deref(), &mut row)?;
                }
                self.row(&table, line, &mut row)?;
                if line.op == Op::Delete && row.deletion.is_live() {
                    return Err(RecordError::new("delete without deleted"));
                }
                if line.is_static {
                    self.update.static_row = Some(row);
                } else {
                    self.update.content.push(UpdateContent::Row(row));
                }
            }
            Op::Truncate | Op::Schema => return Err(RecordError::new("not an update")),
        }
        Ok(())
    }

    /// Appends what `write` appends to the bytes of the update.
    fn span(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> Outcome<Span> {
        let start = self.update.data.len();
        write(&mut self.update.data)?;
        let len = self.update.data.len() - start;
        match (u32::try_from(start), u32::try_from(len)) {
            (Ok(start), Ok(len)) => Ok(Span { start, len }),
            _ => Err(RecordError::new("a record of more than 4 GiB")),
        }
    }

    fn partition_key(
        &mut self,
        table: &TableMetadata,
        key: &Entries<'_>,
        exact: Option<&str>,
    ) -> Outcome<()> {
        let mut bytes = Vec::new();
        if let Some(exact) = exact {
            hex(exact, &mut bytes)?;
            self.update.key = bytes;
            return Ok(());
        }
        let single = table.partition_key.len() == 1;
        for column in &table.partition_key {
            let start = bytes.len();
            if !single {
                bytes.extend_from_slice(&[0, 0]);
            }
            let text = key_text(key, column)?;
            decode(&column.cql_type, text, &mut bytes).map_err(|e| of_column(column, &e))?;
            if !single {
                let len = u16::try_from(bytes.len() - start - 2)
                    .map_err(|_| of_column(column, "longer than 65535 bytes"))?;
                if let Some(place) = bytes.get_mut(start..start + 2) {
                    place.copy_from_slice(&len.to_be_bytes());
                }
                bytes.push(0);
            }
        }
        self.update.key = bytes;
        Ok(())
    }

    fn clustering(
        &mut self,
        table: &TableMetadata,
        key: &Entries<'_>,
        exact: Option<&[Option<Texts<'_>>]>,
        row: &mut Row,
    ) -> Outcome<()> {
        for (i, column) in table.clustering.iter().enumerate() {
            let exact = exact.and_then(|exact| exact.get(i)).and_then(Option::as_ref);
            let value = match (exact, key_text(key, column)?) {
                (Some(Texts(exact)), _) => {
                    ClusteringValue::Value(self.span(|out| hex(exact, out))?)
                }
                (None, "null") => ClusteringValue::Null,
                (None, text) => self.clustering_value(column, text)?,
            };
            row.clustering.push(value);
        }
        Ok(())
    }

    fn clustering_value(
        &mut self,
        column: &ColumnMetadata,
        text: &str,
    ) -> Outcome<ClusteringValue> {
        let span = self.span(|out| decode(&column.cql_type, text, out));
        span.map(ClusteringValue::Value).map_err(|e| of_column(column, &e.0))
    }

    fn bound(
        &mut self,
        table: &TableMetadata,
        bound: Option<&BoundLine<'_>>,
        is_start: bool,
        deletion: DeletionTime,
    ) -> Outcome<()> {
        let mut row = Row::EMPTY;
        let inclusive = bound.is_none_or(|bound| bound.inclusive);
        if let Some(bound) = bound {
            if bound.values.len() > table.clustering.len() {
                return Err(RecordError::new("a bound with more values than clustering columns"));
            }
            for (i, (value, column)) in bound.values.iter().zip(&table.clustering).enumerate() {
                let exact = bound.bytes.as_ref().and_then(|exact| exact.get(i)?.as_ref());
                row.clustering.push(match (exact, value.get()) {
                    (Some(Texts(exact)), _) => {
                        ClusteringValue::Value(self.span(|out| hex(exact, out))?)
                    }
                    (None, "null") => ClusteringValue::Null,
                    (None, text) => self.clustering_value(column, text)?,
                });
            }
        }
        let kind = match (is_start, inclusive) {
            (true, true) => ClusteringKind::InclStartBound,
            (true, false) => ClusteringKind::ExclStartBound,
            (false, true) => ClusteringKind::InclEndBound,
            (false, false) => ClusteringKind::ExclEndBound,
        };
        let marker = if is_start {
            Marker { kind, end: DeletionTime::LIVE, start: deletion }
        } else {
            Marker { kind, end: deletion, start: DeletionTime::LIVE }
        };
        self.update.content.push(UpdateContent::Marker(marker, row));
        Ok(())
    }

    fn row(&mut self, table: &TableMetadata, line: &Line<'_>, row: &mut Row) -> Outcome<()> {
        if let Some(marker) = line.marker {
            let (ttl, local_deletion_time) = times(marker.ttl, marker.expires)?;
            row.liveness = LivenessInfo { timestamp: marker.writetime, ttl, local_deletion_time };
            row.has_times |= ttl != NO_TTL;
        }
        if let Some(deleted) = line.deleted {
            row.deletion = deletion_at(deleted);
            row.shadowable = line.shadowable;
        }
        let columns = if line.is_static { &table.statics } else { &table.regulars };
        let Some(cells) = &line.cells else { return Ok(()) };
        let mut placed = Vec::with_capacity(cells.0.len());
        for (name, text) in &cells.0 {
            let Some(at) = columns.iter().position(|column| column.name == *name) else {
                if table.dropped.iter().any(|dropped| dropped.name == *name) {
                    continue;
                }
                let table = table.qualified_name();
                return Err(RecordError(format!("{table} has no such column: {name}")));
            };
            placed.push((at, *text));
        }
        placed.sort_by_key(|(at, _)| *at);
        if placed.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            return Err(RecordError::new("a column twice"));
        }
        for (at, text) in placed {
            let Some(column) = columns.get(at) else { continue };
            let index = u16::try_from(at)
                .map_err(|_| RecordError::new("a table of more than 65535 columns"))?;
            self.cells(table, column, index, text, row).map_err(|e| of_column(column, &e.0))?;
        }
        row.has_times |= row.cells.iter().any(|cell| cell.local_deletion_time.is_some());
        Ok(())
    }

    fn cells(
        &mut self,
        table: &TableMetadata,
        column: &ColumnMetadata,
        index: u16,
        text: &RawValue,
        row: &mut Row,
    ) -> Outcome<()> {
        let line: CellLine<'_> =
            serde_json::from_str(text.get()).map_err(|e| RecordError(e.to_string()))?;
        if !column.cql_type.is_multi_cell() {
            if line.deleted || line.writetime.is_some() {
                let mut cell = self.cell(&line, index)?;
                cell.value = self.value(table, &column.cql_type, &line)?;
                row.cells.push(cell);
            }
            return Ok(());
        }
        if let Some(reset) = line.reset {
            row.complex.push(ComplexDeletion { column: index, deletion: deletion_at(reset) });
        }
        let first = row.cells.len();
        for element in line.elements.iter().flatten() {
            let element: CellLine<'_> =
                serde_json::from_str(element.get()).map_err(|e| RecordError(e.to_string()))?;
            let mut cell = self.cell(&element, index)?;
            let value_type = self.path(&column.cql_type, &element, &mut cell)?;
            cell.value = match value_type {
                Some(value_type) => self.value(table, &value_type, &element)?,
                None => match &element.bytes {
                    Some(bytes) => self.span(|out| hex(bytes, out))?,
                    None => Span::default(),
                },
            };
            row.cells.push(cell);
        }
        let paths = column.cql_type.cell_path_type();
        let data = &self.update.data;
        if let Some(cells) = row.cells.get_mut(first..) {
            cells.sort_by(|a, b| {
                crate::cql::compare_values(&paths, a.path.of(data), b.path.of(data))
            });
        }
        Ok(())
    }

    fn cell(&mut self, line: &CellLine<'_>, column: u16) -> Outcome<Cell> {
        let Some(timestamp) = line.writetime else {
            return Err(RecordError::new("a cell without writetime"));
        };
        let (ttl, local_deletion_time) = if line.deleted {
            (NO_TTL, made_at(timestamp))
        } else {
            times(line.ttl, line.expires)?
        };
        Ok(Cell {
            timestamp,
            local_deletion_time,
            ttl,
            column,
            source: 0,
            value: Span::default(),
            path: Span::default(),
        })
    }

    fn value(
        &mut self,
        table: &TableMetadata,
        cql_type: &CqlType,
        line: &CellLine<'_>,
    ) -> Outcome<Span> {
        if line.deleted {
            return Ok(Span::default());
        }
        if let Some(bytes) = &line.bytes {
            return self.span(|out| hex(bytes, out));
        }
        if table.counter {
            let Some(shards) = &line.shards else {
                return Err(RecordError::new("a counter without shards"));
            };
            let shards = shards.iter().map(shard).collect::<Outcome<Vec<_>>>()?;
            return self.span(|out| {
                write_shards(&shards, out);
                Ok(())
            });
        }
        match line.value {
            Some(value) => self.span(|out| decode(cql_type, value.get(), out)),
            None => Err(RecordError::new("a cell without value")),
        }
    }

    /// Reads the path of an element into `cell`; the type of its value, none for a set.
    fn path<'t>(
        &mut self,
        cql_type: &'t CqlType,
        line: &CellLine<'_>,
        cell: &mut Cell,
    ) -> Outcome<Option<Cow<'t, CqlType>>> {
        let exact = line.key_bytes.as_deref();
        let key = line.key.map(RawValue::get);
        let mut by_type = |path_type: &CqlType| match (exact, key) {
            (Some(exact), _) => self.span(|out| hex(exact, out)),
            (None, Some(key)) => self.span(|out| decode(path_type, key, out)),
            (None, None) => Err(RecordError::new("an element without key")),
        };
        match cql_type {
            CqlType::List { element, .. } => {
                cell.path = by_type(&CqlType::Timeuuid)?;
                Ok(Some(Cow::Borrowed(element)))
            }
            CqlType::Set { element, .. } => {
                cell.path = by_type(element)?;
                Ok(None)
            }
            CqlType::Map { key, value, .. } => {
                cell.path = by_type(key)?;
                Ok(Some(Cow::Borrowed(value)))
            }
            CqlType::Udt { udt, .. } => {
                if exact.is_some() {
                    cell.path = by_type(&CqlType::Smallint)?;
                    return Ok(Some(Cow::Owned(CqlType::Blob)));
                }
                let name: Texts<'_> = key
                    .and_then(|key| serde_json::from_str(key).ok())
                    .ok_or_else(|| RecordError::new("a field without name"))?;
                let found = udt.fields.iter().enumerate().find(|(_, (field, _))| *field == name.0);
                let Some((index, (_, field))) = found else {
                    return Err(RecordError(format!("{cql_type} has no field {}", name.0)));
                };
                let index = u16::try_from(index)
                    .map_err(|_| RecordError::new("a type of more than 65535 fields"))?;
                cell.path = self.span(|out| {
                    out.extend_from_slice(&index.to_be_bytes());
                    Ok(())
                })?;
                Ok(Some(Cow::Borrowed(field)))
            }
            other => Err(RecordError(format!("{other} has no elements"))),
        }
    }
}

fn key_text<'k>(key: &'k Entries<'_>, column: &ColumnMetadata) -> Outcome<&'k str> {
    let found = key.0.iter().find(|(name, _)| *name == column.name);
    found
        .map(|(_, value)| value.get())
        .ok_or_else(|| RecordError(format!("the key has no {}", column.name)))
}

fn of_column(column: &ColumnMetadata, cause: &str) -> RecordError {
    RecordError(format!("column {}: {cause}", column.name))
}

fn times(ttl: Option<i32>, expires: Option<i64>) -> Outcome<(i32, LocalDeletionTime)> {
    match (ttl, expires) {
        (None, None) => Ok((NO_TTL, LocalDeletionTime::NONE)),
        (Some(ttl), Some(expires)) if ttl != NO_TTL && expires != i64::MAX => {
            Ok((ttl, LocalDeletionTime(expires)))
        }
        _ => Err(RecordError::new("ttl and expires do not belong together")),
    }
}

fn shard(line: &ShardLine<'_>) -> Outcome<CounterShard> {
    let id = Uuid::parse_str(&line.id)
        .map_err(|_| RecordError(format!("shard id {} is no uuid", line.id)))?;
    let kind = match line.kind.as_deref() {
        None => ShardKind::Global,
        Some("local") => ShardKind::Local,
        Some("remote") => ShardKind::Remote,
        Some(other) => return Err(RecordError(format!("no kind of shard: {other}"))),
    };
    Ok(CounterShard { id: *id.as_bytes(), clock: line.clock, count: line.count, kind })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
