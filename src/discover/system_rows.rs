//! Reads the rows of system tables with the same scan and merge as any table.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dht::{Token, TokenRange};
use crate::error::Result;
use crate::io::ReadMode;
use crate::merge::{PartitionMerge, RowSink, TieBreak};
use crate::rows::RowView;
use crate::schema::{ColumnMetadata, CompactKind, TableMetadata};
use crate::sstable::{Descriptor, LargeRows, SstableReader, SstableScanner, WorkerRows};

use super::raw_row::{RawRow, RawValue};

/// System rows are small; a window beyond this is damage.
const LARGEST_ROW: usize = 64 << 20;

/// Reads all live rows of `table` from `sstables`.
///
/// The tie rule is the newer one: system tables are written by one node with times that do not tie.
pub(super) fn read_rows(
    table: &TableMetadata,
    sstables: &[Descriptor],
    mode: ReadMode,
    now: i64,
) -> Result<Vec<RawRow>> {
    let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(LARGEST_ROW))));
    let mut scanners = Vec::new();
    for descriptor in sstables {
        let reader = Arc::new(SstableReader::open(descriptor, table, mode)?);
        scanners.push(SstableScanner::new(reader, TokenRange::ALL, Arc::clone(&rows), true)?);
    }
    let mut merge = PartitionMerge::new(table, TieBreak::From40, now, false, scanners);
    let mut sink = Collector {
        table,
        key: RawRow::new(),
        statics: RawRow::new(),
        rows: Vec::new(),
        before: 0,
    };
    while merge.step(&mut sink)? {}
    Ok(sink.rows)
}

struct Collector<'a> {
    table: &'a TableMetadata,
    key: RawRow,
    statics: RawRow,
    rows: Vec<RawRow>,
    /// Rows of the partitions before.
    before: usize,
}

fn key_values(table: &TableMetadata, key: &[u8]) -> RawRow {
    let mut out = BTreeMap::new();
    if let [only] = table.partition_key.as_slice() {
        out.insert(only.name.clone(), RawValue::Simple(key.to_vec()));
        return out;
    }
    let mut r = crate::io::ByteReader::new(key);
    for column in &table.partition_key {
        if let Ok(component) = r.read_bytes16("key component") {
            out.insert(column.name.clone(), RawValue::Simple(component.to_vec()));
            drop(r.read_u8("end of component"));
        }
    }
    out
}

fn cells(columns: &[ColumnMetadata], view: RowView<'_>, out: &mut RawRow) {
    for cell in &view.row.cells {
        let Some(column) = columns.get(usize::from(cell.column)) else { continue };
        let value = cell.value.of(view.data).to_vec();
        if column.cql_type.is_multi_cell() {
            let path = cell.path.of(view.data).to_vec();
            match out.entry(column.name.clone()).or_insert_with(|| RawValue::Elements(Vec::new())) {
                RawValue::Elements(elements) => elements.push((path, value)),
                RawValue::Simple(_) => {}
            }
        } else {
            out.insert(column.name.clone(), RawValue::Simple(value));
        }
    }
}

impl RowSink for Collector<'_> {
    fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
        self.key = key_values(self.table, key);
        self.before = self.rows.len();
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        self.statics.clear();
        if let Some(view) = row {
            cells(&self.table.statics, view, &mut self.statics);
        }
        Ok(())
    }

    fn row(&mut self, view: RowView<'_>) -> Result<()> {
        if self.table.compact == CompactKind::StaticCompact {
            // A dynamic column of Thrift, which the table is not read for.
            return Ok(());
        }
        let mut row = self.key.clone();
        row.extend(self.statics.clone());
        for (column, value) in self.table.clustering.iter().zip(&view.row.clustering) {
            if let Some(bytes) = value.bytes(view.data) {
                row.insert(column.name.clone(), RawValue::Simple(bytes.to_vec()));
            }
        }
        cells(&self.table.regulars, view, &mut row);
        self.rows.push(row);
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        if self.rows.len() == self.before && !self.statics.is_empty() {
            let mut row = self.key.clone();
            row.append(&mut self.statics);
            self.rows.push(row);
        }
        Ok(())
    }
}
