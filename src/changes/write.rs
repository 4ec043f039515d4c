//! [`ChangeRecordWriter`]: what a mutation says of a partition, as lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::canonical::{is_canonical, is_canonical_if_written};
use super::origin::{LogPosition, Origin, Position};
use super::table_text::{Op, TableText, quoted, table_head};
use crate::cql::CqlType;
use crate::error::{DecodeError, Error, Result};
use crate::io::ByteReader;
use crate::output::JsonText;
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, DeletionTime, NO_TTL, PartitionUpdate,
    RangeBound, RowView, ShardKind, Span, UpdateContent, read_shards,
};
use crate::schema::{ColumnMetadata, TableMetadata};

/// Tables remembered at most; a schema that keeps changing makes new ones.
const MAX_TABLES: usize = 4096;

/// A number and the text with it, which mostly is that of the cell before.
#[derive(Debug, Default)]
struct NumberText {
    number: Option<i64>,
    text: JsonText,
}

impl NumberText {
    /// `lead`, the number, `tail`; lead and tail are always the same.
    #[inline]
    fn of(&mut self, lead: &str, number: i64, tail: &str) -> &JsonText {
        if self.number != Some(number) {
            self.number = Some(number);
            self.text.truncate(0);
            self.text.text(lead);
            self.text.number(number);
            self.text.text(tail);
        }
        &self.text
    }
}

/// Writes change records, byte for byte the same for the same input.
///
/// For each mutation (or partition of a backup's SSTable) one [`ChangeRecordWriter::begin`], then the base records, then the
/// updates, truncations and schema changes in order: the writer counts their `index`. Lines gather in
/// [`ChangeRecordWriter::buffer`].
///
/// What is not one mutation's but stored, as several have left it (deletions beside an extract), has no position: without a `begin`
/// records have neither host, position nor index. It is written piece by piece: [`ChangeRecordWriter::partition`], then what there is
/// of it.
#[derive(Debug, Default)]
pub struct ChangeRecordWriter {
    pen: Pen,
    tables: BTreeMap<usize, Arc<TableText>>,
    /// Table of the partition at hand.
    text: Option<Arc<TableText>>,
    /// The partition key of the partition at hand.
    key: JsonText,
    /// `partitionKeyBytes`, if there are any.
    key_bytes: String,
}

#[derive(Debug, Default)]
struct Pen {
    out: JsonText,
    /// Host, position, and all up to the index.
    origin: JsonText,
    /// Host and segment in it, if it is one in a log, and where their text ends.
    segment: Option<(uuid::Uuid, i64, usize)>,
    index: u32,
    /// The write time of a cell that does not expire, to the end of the cell.
    write_time: NumberText,
    /// Bytes of clustering values whose text does not read back.
    exact: Vec<Option<Vec<u8>>>,
}

impl ChangeRecordWriter {
    /// Begins the records of one mutation: their index counts from 0.
    pub fn begin(&mut self, origin: &Origin) {
        let host = origin.host_id;
        self.pen.index = 0;
        match &origin.position {
            Position::Log(at) => self.pen.begin_in_log(host, *at),
            Position::Sstable { sstable, record } => {
                self.pen.segment = None;
                self.pen.origin.truncate(0);
                self.pen.origin.text(&format!(
                    ",\"hostId\":\"{host}\",\"position\":{{\"sstable\":{},\"record\":{record}}},\"index\":",
                    quoted(sstable)
                ));
            }
        }
    }

    /// Writes the records of one update: partition deletion, static row, then ranges and rows in clustering order (a range
    /// where it begins). Returns their number; an update that says nothing has none.
    ///
    /// `base`: the update is not a change but what is stored of the partition. Then rows that say nothing are written too:
    /// they say that the row is there.
    ///
    /// Fails if range tombstone markers do not pair; what was written before is kept.
    pub fn update(&mut self, update: &PartitionUpdate, base: bool) -> Result<u32> {
        let before = self.pen.index;
        let table = &*update.table;
        self.partition(&update.table, &update.key)?;
        if !update.deletion.is_live() {
            self.partition_deletion(update.deletion, base);
        }
        if let Some(row) = &update.static_row
            && (base || !row.says_nothing())
        {
            self.row(RowView { row, data: &update.data }, true, base);
        }
        for (i, content) in update.content.iter().enumerate() {
            match content {
                UpdateContent::Row(row) if base || !row.says_nothing() => {
                    self.row(RowView { row, data: &update.data }, false, base);
                }
                UpdateContent::Row(_) => {}
                UpdateContent::Marker(marker, start) if !marker.start.is_live() => {
                    let end = update.content.get(i + 1..).unwrap_or_default().iter().find_map(
                        |c| match c {
                            UpdateContent::Marker(marker, row) => Some((marker, row)),
                            UpdateContent::Row(_) => None,
                        },
                    );
                    let Some((end_marker, end)) = end.filter(|(end, _)| end.kind.is_end()) else {
                        return Err(unpaired(table, "a range tombstone has no end"));
                    };
                    let bound = |row, inclusive| RangeBound {
                        prefix: RowView { row, data: &update.data },
                        inclusive,
                    };
                    let (start, end) = (
                        bound(start, starts_inclusive(marker.kind)),
                        bound(end, ends_inclusive(end_marker.kind)),
                    );
                    self.range(marker.start, start, end, base);
                }
                UpdateContent::Marker(marker, _) if marker.kind.is_end() => {}
                UpdateContent::Marker(..) => {
                    return Err(unpaired(table, "a range tombstone begins without a deletion"));
                }
            }
        }
        Ok(self.pen.index - before)
    }

    /// Begins the records of the partition `key` of `table`.
    ///
    /// Fails if the key's components have no end.
    pub fn partition(&mut self, table: &Arc<TableMetadata>, key: &[u8]) -> Result<()> {
        let is_at_hand = |text: &Arc<TableText>| Arc::ptr_eq(&text.table, table);
        let text = match self.text.take().filter(is_at_hand) {
            Some(text) => text,
            None => {
                if self.tables.len() > MAX_TABLES {
                    self.tables.clear();
                }
                let id = Arc::as_ptr(table) as usize;
                let text = self.tables.entry(id);
                Arc::clone(text.or_insert_with(|| Arc::new(TableText::new(table))))
            }
        };
        partition_key(table, &text, key, &mut self.key, &mut self.key_bytes)?;
        self.text = Some(text);
        Ok(())
    }

    /// Writes that the partition at hand is deleted.
    pub fn partition_deletion(&mut self, deletion: DeletionTime, base: bool) {
        self.record(|pen, key| {
            pen.head(Op::DeletePartition, key, &[], &[]);
            pen.deletion(deletion);
            pen.end(base);
        });
    }

    /// Writes a row of the partition at hand, its static row if `is_static`.
    pub fn row(&mut self, row: RowView<'_>, is_static: bool, base: bool) {
        self.record(|pen, key| pen.row(key, row, is_static, base));
    }

    /// Writes that a range of the partition at hand is deleted.
    pub fn range(
        &mut self,
        deletion: DeletionTime,
        start: RangeBound<'_>,
        end: RangeBound<'_>,
        base: bool,
    ) {
        self.record(|pen, key| pen.range(key, deletion, start, end, base));
    }

    fn record(&mut self, write: impl FnOnce(&mut Pen, &Key<'_>)) {
        let Some(text) = &self.text else { return };
        let key = Key { partition: &self.key, bytes: &self.key_bytes, table: &text.table, text };
        write(&mut self.pen, &key);
    }

    /// Writes that a table was truncated: what is at or before `truncated_at` in the commit log of this host is gone.
    /// `time`: when, in milliseconds since 1970.
    pub fn truncate(&mut self, table: &TableMetadata, truncated_at: LogPosition, time: i64) {
        let pen = &mut self.pen;
        pen.text("{\"op\":\"truncate\",");
        pen.text(&table_head(table));
        pen.number(",\"truncatedAt\":{\"segment\":", truncated_at.segment);
        pen.number(",\"offset\":", i64::from(truncated_at.offset));
        pen.number("},\"time\":", time);
        pen.end(false);
    }

    /// Writes the definition that decodes what follows: `cql` are the statements that make the table and the types it uses
    /// ([`crate::schema::write_schema`]).
    pub fn schema(&mut self, table: &TableMetadata, cql: &str) {
        let pen = &mut self.pen;
        pen.text("{\"op\":\"schema\",");
        pen.text(&table_head(table));
        pen.text(",\"cql\":");
        pen.text(&quoted(cql));
        pen.end(false);
    }

    /// Records of the present mutation so far.
    pub fn index(&self) -> u32 {
        self.pen.index
    }

    /// The lines written since the last [`ChangeRecordWriter::clear`] or [`ChangeRecordWriter::take`].
    pub fn buffer(&self) -> &[u8] {
        self.pen.out.written()
    }

    /// Forgets them, keeping the memory.
    pub fn clear(&mut self) {
        self.pen.out.truncate(0);
    }

    /// Hands them over.
    pub fn take(&mut self) -> Vec<u8> {
        self.pen.out.take()
    }
}

fn starts_inclusive(kind: ClusteringKind) -> bool {
    !matches!(kind, ClusteringKind::ExclStartBound | ClusteringKind::InclEndExclStartBoundary)
}

fn ends_inclusive(kind: ClusteringKind) -> bool {
    match kind {
        ClusteringKind::InclEndBound | ClusteringKind::InclEndExclStartBoundary => true,
        ClusteringKind::ExclEndBound
        | ClusteringKind::ExclEndInclStartBoundary
        | ClusteringKind::Clustering
        | ClusteringKind::InclStartBound
        | ClusteringKind::ExclStartBound => false,
    }
}

/// Key and table of the records of one partition.
struct Key<'a> {
    partition: &'a JsonText,
    bytes: &'a str,
    table: &'a TableMetadata,
    text: &'a TableText,
}

fn unpaired(table: &TableMetadata, what: &str) -> Error {
    DecodeError::invalid(format!("{}: {what}", table.qualified_name()), 0)
        .in_file("(in memory)".as_ref())
}

/// Fills `out` with the partition key's columns, and `exact` with its bytes if the text does not read back to them.
fn partition_key(
    table: &TableMetadata,
    text: &TableText,
    key: &[u8],
    out: &mut JsonText,
    exact: &mut String,
) -> Result<()> {
    out.truncate(0);
    exact.clear();
    let mut canonical = true;
    let mut r = ByteReader::new(key);
    let single = table.partition_key.len() == 1;
    for (column, lead) in table.partition_key.iter().zip(&text.partition) {
        out.stamp(lead);
        let component = if single {
            key
        } else {
            let component = r.read_bytes16("component of a partition key");
            canonical &= r.read_u8("end of a component").is_ok_and(|end| end == 0);
            component.unwrap_or_default()
        };
        let written = out.value(&column.cql_type, component).is_ok();
        canonical &= reads_back(out, written, &column.cql_type, component);
    }
    canonical &= single || r.is_empty();
    if !canonical {
        exact.push_str(",\"partitionKeyBytes\":");
        exact.push_str(&hex(key));
    }
    Ok(())
}

/// What comes of a value that was `written` or not: false if its text does not read back to the bytes. If there is none, null
/// takes its place.
#[inline]
fn reads_back(out: &mut JsonText, written: bool, cql_type: &CqlType, bytes: &[u8]) -> bool {
    if !written {
        out.text("null");
    }
    written && (is_canonical_if_written(cql_type) || is_canonical(cql_type, bytes))
}

fn hex(bytes: &[u8]) -> String {
    format!("\"0x{}\"", hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
}

impl Pen {
    fn begin_in_log(&mut self, host: uuid::Uuid, LogPosition { segment, offset }: LogPosition) {
        let prefix = match self.segment {
            Some((known_host, known, prefix)) if (known_host, known) == (host, segment) => prefix,
            _ => {
                self.origin.truncate(0);
                self.origin.text(&format!(
                    ",\"hostId\":\"{host}\",\"position\":{{\"segment\":{segment},\"offset\":"
                ));
                let prefix = self.origin.len();
                self.segment = Some((host, segment, prefix));
                prefix
            }
        };
        self.origin.truncate(prefix);
        self.origin.number(i64::from(offset));
        self.origin.text("},\"index\":");
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.out.byte(byte);
    }

    // Inlined, so that texts known when this is compiled are stored and not copied by a call.
    #[inline(always)]
    fn text(&mut self, text: &str) {
        self.out.text(text);
    }

    #[inline]
    fn number(&mut self, lead: &str, number: i64) {
        self.text(lead);
        self.out.number(number);
    }

    /// Writes a value, or null if it is none; false if the text does not read back to the bytes.
    #[inline]
    fn value(&mut self, cql_type: &CqlType, value: Span, data: &[u8]) -> bool {
        let written = self.out.value_in(cql_type, value, data).is_ok();
        reads_back(&mut self.out, written, cql_type, value.of(data))
    }

    /// A value, and `"bytes_name":"0x…"` behind it if its text does not read back.
    #[inline]
    fn exact_value(&mut self, bytes_name: &str, cql_type: &CqlType, value: Span, data: &[u8]) {
        if !self.value(cql_type, value, data) {
            self.text(bytes_name);
            self.text(&hex(value.of(data)));
        }
    }

    /// A clustering value; its bytes are kept in `exact` if the text does not read back.
    fn clustering_value(
        &mut self,
        column: &ColumnMetadata,
        value: Option<&ClusteringValue>,
        data: &[u8],
    ) {
        let kept = match value {
            None | Some(ClusteringValue::Null) => {
                self.text("null");
                None
            }
            Some(ClusteringValue::Value(span)) => {
                let exact = self.value(&column.cql_type, *span, data);
                (!exact).then(|| span.of(data).to_vec())
            }
        };
        self.exact.push(kept);
    }

    fn exact_clustering(&mut self, lead: &str) {
        let exact = std::mem::take(&mut self.exact);
        if exact.iter().any(Option::is_some) {
            self.text(lead);
            for (i, bytes) in exact.iter().enumerate() {
                self.byte(if i == 0 { b'[' } else { b',' });
                match bytes {
                    Some(bytes) => self.text(&hex(bytes)),
                    None => self.text("null"),
                }
            }
            self.byte(b']');
        }
        self.exact = exact;
        self.exact.clear();
    }

    /// The beginning of a record up to its key; the clustering columns are those that `clustering` has.
    fn head(&mut self, op: Op, key: &Key<'_>, clustering: &[ClusteringValue], data: &[u8]) {
        self.out.stamp(key.text.head(op));
        self.out.copy(key.partition);
        self.exact.clear();
        if !clustering.is_empty() {
            let mut values = clustering.iter();
            for (column, lead) in key.table.clustering.iter().zip(&key.text.clustering) {
                self.out.stamp(lead);
                self.clustering_value(column, values.next(), data);
            }
        }
        self.byte(b'}');
        if !key.bytes.is_empty() {
            self.text(key.bytes);
        }
        self.exact_clustering(",\"clusteringBytes\":");
    }

    fn end(&mut self, base: bool) {
        if base {
            self.text(",\"base\":true");
        }
        if !self.origin.is_empty() {
            self.out.copy(&self.origin);
            self.out.number(i64::from(self.index));
        }
        self.text("}\n");
        self.index = self.index.wrapping_add(1);
    }

    fn row(&mut self, key: &Key<'_>, view: RowView<'_>, is_static: bool, base: bool) {
        let RowView { row, data } = view;
        let deleted = !row.deletion.is_live();
        let only_deleted =
            deleted && row.liveness.is_empty() && row.cells.is_empty() && row.complex.is_empty();
        let clustering = if is_static { &[][..] } else { row.clustering.as_slice() };
        let op = if only_deleted { Op::Delete } else { Op::Upsert };
        self.head(op, key, clustering, data);
        if is_static {
            self.text(",\"static\":true");
        }
        let marker = row.liveness;
        if !marker.is_empty() {
            self.number(",\"marker\":{\"writetime\":", marker.timestamp);
            if marker.ttl != NO_TTL {
                self.number(",\"ttl\":", i64::from(marker.ttl));
                self.number(",\"expires\":", marker.local_deletion_time.0);
            }
            self.byte(b'}');
        }
        if deleted {
            self.number(",\"deleted\":", row.deletion.marked_for_delete_at);
            if row.shadowable {
                self.text(",\"shadowable\":true");
            }
        }
        self.cells(key, view, is_static);
        self.end(base);
    }

    fn cells(&mut self, key: &Key<'_>, RowView { row, data }: RowView<'_>, is_static: bool) {
        let (columns, texts) = if is_static {
            (&key.table.statics, &key.text.statics)
        } else {
            (&key.table.regulars, &key.text.regulars)
        };
        let (mut cells, mut complex) = (row.cells.as_slice(), row.complex.as_slice());
        let mut first = true;
        loop {
            let at = match (cells.first(), complex.first()) {
                (Some(cell), Some(reset)) => cell.column.min(reset.column),
                (Some(cell), None) => cell.column,
                (None, Some(reset)) => reset.column,
                (None, None) => break,
            };
            let own = cells.iter().take_while(|cell| cell.column == at).count();
            let (mine, rest) = cells.split_at_checked(own).unwrap_or((cells, &[]));
            cells = rest;
            let reset = complex.first().filter(|c| c.column == at).copied();
            if reset.is_some() {
                complex = complex.get(1..).unwrap_or_default();
            }
            let place = usize::from(at);
            // A decoder makes no cells of columns that the table does not have.
            let (Some(column), Some(text)) = (columns.get(place), texts.get(place)) else {
                continue;
            };
            self.out.stamp(if first { &text.first } else { &text.next });
            first = false;
            if column.cql_type.is_multi_cell() {
                self.complex(&column.cql_type, reset, mine, data);
            } else if let Some(cell) = mine.first() {
                self.simple(key.table.counter, &column.cql_type, cell, data);
            } else {
                self.byte(b'}');
            }
        }
        if !first {
            self.byte(b'}');
        }
    }

    fn simple(&mut self, counter: bool, cql_type: &CqlType, cell: &Cell, data: &[u8]) {
        if cell.is_tombstone() {
            self.text("\"deleted\":true,");
        } else if counter {
            self.shards(cell.value.of(data));
        } else {
            self.text("\"value\":");
            self.exact_value(",\"bytes\":", cql_type, cell.value, data);
            return self.times_behind(cell);
        }
        self.times(cell);
    }

    fn times(&mut self, cell: &Cell) {
        self.number("\"writetime\":", cell.timestamp);
        if cell.is_expiring() {
            self.number(",\"ttl\":", i64::from(cell.ttl));
            self.number(",\"expires\":", cell.local_deletion_time.0);
        }
        self.byte(b'}');
    }

    /// The same behind a value.
    #[inline]
    fn times_behind(&mut self, cell: &Cell) {
        if cell.is_expiring() {
            self.byte(b',');
            return self.times(cell);
        }
        let text = self.write_time.of(",\"writetime\":", cell.timestamp, "}");
        self.out.copy(text);
    }

    fn shards(&mut self, context: &[u8]) {
        let shards = read_shards(context).unwrap_or_default();
        self.text("\"shards\":[");
        for (i, shard) in shards.iter().enumerate() {
            self.text(if i == 0 { "{\"id\":\"" } else { ",{\"id\":\"" });
            let id = uuid::Uuid::from_bytes(shard.id);
            self.text(id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            self.number("\",\"clock\":", shard.clock);
            self.number(",\"count\":", shard.count);
            self.text(match shard.kind {
                ShardKind::Global => "}",
                ShardKind::Local => ",\"kind\":\"local\"}",
                ShardKind::Remote => ",\"kind\":\"remote\"}",
            });
        }
        self.byte(b']');
        let mut again = Vec::with_capacity(context.len());
        crate::rows::write_shards(&shards, &mut again);
        if again != context {
            self.text(",\"bytes\":");
            self.text(&hex(context));
        }
        self.byte(b',');
    }

    fn complex(
        &mut self,
        cql_type: &CqlType,
        reset: Option<ComplexDeletion>,
        cells: &[Cell],
        data: &[u8],
    ) {
        if let Some(reset) = reset {
            self.number("\"reset\":", reset.deletion.marked_for_delete_at);
            if !cells.is_empty() {
                self.byte(b',');
            }
        }
        for (i, cell) in cells.iter().enumerate() {
            self.text(if i == 0 { "\"elements\":[" } else { "," });
            self.element(cql_type, cell, data);
        }
        self.text(if cells.is_empty() { "}" } else { "]}" });
    }

    fn element(&mut self, cql_type: &CqlType, cell: &Cell, data: &[u8]) {
        let path = cell.path.of(data);
        let bytes = ",\"keyBytes\":";
        self.text("{\"key\":");
        let mut value_type = None;
        match cql_type {
            CqlType::Map { key: key_type, value, .. } => {
                self.exact_value(bytes, key_type, cell.path, data);
                value_type = Some(&**value);
            }
            CqlType::Set { element, .. } => self.exact_value(bytes, element, cell.path, data),
            CqlType::List { element, .. } => {
                self.exact_value(bytes, &CqlType::Timeuuid, cell.path, data);
                value_type = Some(&**element);
            }
            CqlType::Udt { udt, .. } => {
                let index = path.try_into().map(u16::from_be_bytes).ok();
                match index.and_then(|index| udt.fields.get(usize::from(index))) {
                    Some((name, field)) => {
                        self.text(&quoted(name));
                        value_type = Some(field);
                    }
                    None => {
                        self.text("null,\"keyBytes\":");
                        self.text(&hex(path));
                        value_type = Some(&CqlType::Blob);
                    }
                }
            }
            _ => {}
        }
        let value = cell.value.of(data);
        match value_type {
            _ if cell.is_tombstone() => self.text(",\"deleted\":true"),
            Some(value_type) => {
                self.text(",\"value\":");
                self.exact_value(",\"bytes\":", value_type, cell.value, data);
            }
            // The value of a set's element is empty, but for what Thrift clients wrote.
            None if !value.is_empty() => {
                self.text(",\"bytes\":");
                self.text(&hex(value));
            }
            None => {}
        }
        self.times_behind(cell);
    }

    fn range(
        &mut self,
        key: &Key<'_>,
        deletion: DeletionTime,
        start: RangeBound<'_>,
        end: RangeBound<'_>,
        base: bool,
    ) {
        self.head(Op::DeleteRange, key, &[], &[]);
        self.text(",\"range\":{");
        let wrote = self.bound("\"start\":", key, start);
        if wrote && !end.prefix.row.clustering.is_empty() {
            self.byte(b',');
        }
        self.bound("\"end\":", key, end);
        self.byte(b'}');
        self.deletion(deletion);
        self.end(base);
    }

    fn deletion(&mut self, deletion: DeletionTime) {
        self.number(",\"deleted\":", deletion.marked_for_delete_at);
    }

    /// A bound; nothing, and false, if it is open.
    fn bound(&mut self, name: &str, key: &Key<'_>, bound: RangeBound<'_>) -> bool {
        let RangeBound { prefix: RowView { row, data }, inclusive } = bound;
        if row.clustering.is_empty() {
            return false;
        }
        self.text(name);
        self.text("{\"values\":[");
        self.exact.clear();
        for (i, (column, value)) in key.table.clustering.iter().zip(&row.clustering).enumerate() {
            if i > 0 {
                self.byte(b',');
            }
            self.clustering_value(column, Some(value), data);
        }
        self.byte(b']');
        self.exact_clustering(",\"bytes\":");
        self.text(if inclusive { ",\"inclusive\":true}" } else { ",\"inclusive\":false}" });
        true
    }
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
