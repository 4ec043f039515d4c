//! [`ColumnarWriter`]: rows into row groups.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::column::{ColumnBuffer, Scratch};
use super::format::ColumnarFormat;
use super::node::Node;
use crate::error::{Error, Result};
use crate::output::elements::members_of_cells;
use crate::output::format::{Field, Source};
use crate::output::json::piece_of;
use crate::output::record::cells_of;
use crate::output::scalar::Cause;
use crate::output::stats::RecordStats;
use crate::output::text::Piece;
use crate::output::typed::{Facts, Fault, Refused, TypedRecord};
use crate::rows::{Cell, ClusteringValue, RowView, Span};

/// Bytes of values that are handed to the encoder together.
const BATCH: usize = 4 << 20;
/// Bytes of values in a row group, about.
const ROW_GROUP: usize = 32 << 20;

/// The static row of a partition, kept while its rows come.
#[derive(Debug, Default)]
struct StaticRow {
    cells: Vec<Cell>,
    slots: Vec<(u32, u32)>,
    data: Vec<u8>,
}

impl StaticRow {
    fn set(&mut self, row: Option<RowView<'_>>, slots: &[(u32, u32)]) {
        self.cells.clear();
        self.slots.clear();
        self.data.clear();
        let Some(RowView { row, data }) = row else { return };
        self.slots.extend_from_slice(slots);
        for cell in &row.cells {
            let mut keep = |span: Span| {
                let start = self.data.len();
                self.data.extend_from_slice(span.of(data));
                Span { start: u32::try_from(start).unwrap_or(u32::MAX), len: span.len }
            };
            let (value, path) = (keep(cell.value), keep(cell.path));
            self.cells.push(Cell { value, path, ..*cell });
        }
    }

    fn cells(&self, column: u16) -> &[Cell] {
        cells_of(&self.slots, column, &self.cells)
    }
}

/// Writes files; one per worker and file.
pub(in crate::output) struct ColumnarWriter {
    columns: Vec<ColumnBuffer>,
    /// Rows that are not to be taken back.
    rows: usize,
    /// Bytes of the values in `columns`, and in the row group begun.
    batch_bytes: usize,
    group_bytes: usize,
    scratch: Scratch,
    /// The components of the partition key, one after the other.
    key: Vec<Vec<u8>>,
    static_row: StaticRow,
    encoder: Option<ArrowWriter<Vec<u8>>>,
    /// Encoded bytes that are to go to the file.
    out: Vec<u8>,
}

impl fmt::Debug for ColumnarWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnarWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn refused(format: &ColumnarFormat, field: &Field, fault: Fault) -> Refused {
    let column = format.target.columns().get(field.index);
    fault.of_column(column.map_or("", |column| column.name.as_str()))
}

#[cold]
fn encoding(error: ParquetError) -> Error {
    Error::Bug(format!("Parquet cannot be encoded: {error}"))
}

#[cold]
fn making(error: ArrowError) -> Error {
    Error::Bug(format!("columns cannot be put together: {error}"))
}

/// A column to which one value is added.
struct Place<'w> {
    column: &'w mut ColumnBuffer,
    node: &'w Node,
    field: &'w Field,
    scratch: &'w mut Scratch,
}

impl Place<'_> {
    fn null(self) -> Result<(), Fault> {
        self.column.null(self.scratch);
        Ok(())
    }

    fn value(self, value: Piece<'_>) -> Result<(), Fault> {
        self.column.value(self.node, &self.field.cql_type, value, self.scratch)
    }

    fn cells(self, cells: &[Cell], data: &[u8]) -> Result<(), Fault> {
        let Some(first) = cells.first() else { return self.null() };
        if !self.field.multi_cell {
            return self.value(piece_of(first.value, data));
        }
        let cql_type = &self.field.cql_type;
        if *self.node == Node::Json {
            return self.column.json(self.scratch, |json| json.cells(cql_type, cells, data));
        }
        let members = members_of_cells(cql_type, cells, data)?;
        self.column.members(self.node, &members, self.scratch)
    }

    fn integer(self, value: Option<i64>) -> Result<(), Fault> {
        match value {
            Some(value) => self.column.integer(value, self.scratch),
            None => self.null(),
        }
    }

    fn facts(self, facts: &Facts) -> Result<(), Fault> {
        match facts {
            Facts::None => self.null(),
            Facts::One(value) => self.integer(*value),
            Facts::Many(values) => self.column.integers(values, self.scratch),
        }
    }
}

impl ColumnarWriter {
    pub(in crate::output) fn new(format: &ColumnarFormat) -> Self {
        Self {
            columns: format.nodes.iter().map(ColumnBuffer::new).collect(),
            rows: 0,
            batch_bytes: 0,
            group_bytes: 0,
            scratch: Scratch::new(),
            key: Vec::new(),
            static_row: StaticRow::default(),
            encoder: None,
            out: Vec::new(),
        }
    }

    pub(in crate::output) fn start_partition(&mut self, components: &[&[u8]]) {
        self.key.resize_with(components.len(), Vec::new);
        for (kept, component) in self.key.iter_mut().zip(components) {
            kept.clear();
            kept.extend_from_slice(component);
        }
    }

    pub(in crate::output) fn set_static(&mut self, row: Option<RowView<'_>>, slots: &[(u32, u32)]) {
        self.static_row.set(row, slots);
    }

    pub(in crate::output) fn record(
        &mut self,
        format: &ColumnarFormat,
        record: &TypedRecord<'_>,
    ) -> Result<(), Refused> {
        let target = &format.target;
        self.scratch.bytes = 0;
        for (i, field) in target.partition.iter().enumerate() {
            let component = self.key.get(i).map(Vec::as_slice).unwrap_or_default();
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            place.value(Piece::new(component)).map_err(|fault| refused(format, field, fault))?;
        }
        for field in &target.clustering {
            let value = record.row.and_then(|(view, entry)| match field.source {
                Source::Clustering(i) => view.row.clustering.get(i).copied(),
                _ => entry.map(|cell| ClusteringValue::Value(cell.path)),
            });
            let data = record.row.map_or(&[][..], |(view, _)| view.data);
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            match value {
                Some(ClusteringValue::Value(span)) => place.value(piece_of(span, data)),
                Some(ClusteringValue::Null) | None => place.null(),
            }
            .map_err(|fault| refused(format, field, fault))?;
        }
        for field in &target.statics {
            let cells = match field.source {
                Source::Static(column) => self.static_row.cells(column),
                _ => &[],
            };
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            place
                .cells(cells, &self.static_row.data)
                .map_err(|fault| refused(format, field, fault))?;
        }
        for field in &target.regulars {
            let (cells, data) = record.regular(field.source);
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            place.cells(cells, data).map_err(|fault| refused(format, field, fault))?;
        }
        for field in target.static_facts.iter().chain(&target.regular_facts) {
            let (fact, (cells, data)) = match field.source {
                Source::StaticFact(fact, column) => {
                    (fact, (self.static_row.cells(column), &self.static_row.data[..]))
                }
                Source::RegularFact(fact, _) => (fact, record.regular(field.source)),
                _ => continue,
            };
            let facts = Facts::of(field, fact, &target.times, cells, data);
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            place.facts(&facts).map_err(|fault| refused(format, field, fault))?;
        }
        for field in &target.row_facts {
            let value = record.row_fact(&target.times, field.source);
            let place = place(&mut self.columns, &mut self.scratch, format, field)?;
            place.integer(value).map_err(|fault| refused(format, field, fault))?;
        }
        Ok(())
    }

    pub(in crate::output) fn roll_back(&mut self) {
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.scratch.counts = Default::default();
        self.scratch.bytes = 0;
    }

    pub(in crate::output) fn commit(&mut self, stats: &mut RecordStats) {
        self.rows = self.columns.first().map_or(0, ColumnBuffer::len);
        self.batch_bytes += std::mem::take(&mut self.scratch.bytes);
        stats.counts.merge(&std::mem::take(&mut self.scratch.counts));
    }

    pub(in crate::output) fn settle(&mut self, format: &ColumnarFormat) -> Result<()> {
        if self.batch_bytes >= BATCH {
            self.encode(format)?;
            if self.group_bytes >= ROW_GROUP {
                self.end_row_group()?;
            }
        }
        Ok(())
    }

    /// Hands the rows to the encoder.
    fn encode(&mut self, format: &ColumnarFormat) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, node) in self.columns.iter_mut().zip(&format.nodes) {
            arrays.push(column.take(node).map_err(making)?);
        }
        self.rows = 0;
        self.group_bytes += std::mem::take(&mut self.batch_bytes);
        let batch =
            RecordBatch::try_new(std::sync::Arc::clone(&format.schema), arrays).map_err(making)?;
        if self.encoder.is_none() {
            let schema = std::sync::Arc::clone(&format.schema);
            let properties = format.properties.clone();
            let encoder =
                ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(encoding)?;
            self.encoder = Some(encoder);
        }
        match &mut self.encoder {
            Some(encoder) => encoder.write(&batch).map_err(encoding),
            None => Ok(()),
        }
    }

    fn end_row_group(&mut self) -> Result<()> {
        self.group_bytes = 0;
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        encoder.flush().map_err(encoding)?;
        let flushed = encoder.sync();
        flushed.map_err(|error| Error::Bug(format!("Parquet cannot be encoded: {error}")))?;
        // The encoder counts what it has written, not what is there: offsets stay right.
        let bytes = std::mem::take(encoder.inner_mut());
        self.keep(bytes);
        Ok(())
    }

    fn keep(&mut self, bytes: Vec<u8>) {
        if self.out.is_empty() {
            self.out = bytes;
        } else {
            self.out.extend_from_slice(&bytes);
        }
    }

    pub(in crate::output) fn finish_file(&mut self, format: &ColumnarFormat) -> Result<()> {
        self.encode(format)?;
        self.group_bytes = 0;
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        let bytes = encoder.into_inner().map_err(encoding)?;
        self.keep(bytes);
        Ok(())
    }

    pub(in crate::output) fn buffer(&self) -> &[u8] {
        &self.out
    }

    pub(in crate::output) fn clear(&mut self) {
        // A row group is large, and comes once in a while.
        self.out = Vec::new();
    }
}

/// The column of a field.
fn place<'w>(
    columns: &'w mut [ColumnBuffer],
    scratch: &'w mut Scratch,
    format: &'w ColumnarFormat,
    field: &'w Field,
) -> Result<Place<'w>, Refused> {
    match (columns.get_mut(field.index), format.node(field)) {
        (Some(column), Some(node)) => Ok(Place { column, node, field, scratch }),
        _ => Err(refused(format, field, Cause::new("a column without a type").into())),
    }
}
