//! What is deleted, as change records beside the rows (`--deletes`): for copies that have older data.
//!
//! The records are those of [`ChangeRecordWriter`], without a position, as several SSTables made them. They name columns as the rows
//! do, and leave out the columns that the rows leave out.

use std::sync::Arc;

use crate::changes::ChangeRecordWriter;
use crate::cql::CqlType;
use crate::error::Result;
use crate::output::manifest::RecordDigest;
use crate::output::{Compression, FormatOptions, Profile};
use crate::rows::{DeletionTime, RangeBound, Row, RowView};
use crate::schema::{ColumnMetadata, CompactKind, TableMetadata};

use super::sink::{FileDone, SplitFile};

/// Records go to the file when they have so many bytes.
const FLUSH: usize = 256 << 10;

/// What a worker takes for them: the buffer, which may be filled twice.
pub(super) const MEMORY: u64 = 1 << 20;

/// How the deletions of a table are written; shared by all workers.
#[derive(Debug)]
pub(crate) struct DeletesFormat {
    /// The table with its columns named as in the output.
    table: Arc<TableMetadata>,
    statics: Vec<Part>,
    regulars: Vec<Part>,
    /// Rows of the table are not shown by CQL.
    without_rows: bool,
    compression: Compression,
}

/// What a column's tombstone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A part of the row.
    Cell,
    /// The row itself, which is nothing but this column, and this has no value.
    Row,
    /// Nothing: the column is not written.
    LeftOut,
}

impl DeletesFormat {
    pub(super) fn new(table: &TableMetadata, options: &FormatOptions) -> Self {
        let mut named = table.clone();
        let columns = named
            .partition_key
            .iter_mut()
            .chain(&mut named.clustering)
            .chain(&mut named.statics)
            .chain(&mut named.regulars);
        for column in columns {
            if let Some(name) = options.rename.get(&column.name) {
                column.name.clone_from(name);
            }
        }
        let part = |column: &ColumnMetadata| {
            let name = &column.name;
            match column.cql_type {
                CqlType::Empty => Part::Row,
                // The map of a super column family, whose entries are rows.
                _ if name.is_empty() || options.selects(name) => Part::Cell,
                _ => Part::LeftOut,
            }
        };
        Self {
            statics: table.statics.iter().map(part).collect(),
            regulars: table.regulars.iter().map(part).collect(),
            table: Arc::new(named),
            without_rows: table.compact == CompactKind::StaticCompact,
            compression: match options.profile {
                // It compresses its pages, and these files have none.
                Profile::Parquet => Compression::None,
                _ => options.compression,
            },
        }
    }

    pub(super) fn compression(&self) -> Compression {
        self.compression
    }

    pub(super) fn extension(&self) -> String {
        format!("{}{}", Profile::Jsonl.extension(), self.compression.suffix())
    }
}

/// The deletions of one split on their way to its file.
pub(super) struct SplitDeletes<'a> {
    format: &'a DeletesFormat,
    records: ChangeRecordWriter,
    file: SplitFile<'a>,
    /// Bytes of the buffer whose digests are taken.
    digested: usize,
    digest: RecordDigest,
    pub(super) count: u64,
    /// A row without the columns that are left out.
    row: Row,
}

impl<'a> SplitDeletes<'a> {
    pub(super) fn new(format: &'a DeletesFormat, file: SplitFile<'a>) -> Self {
        Self {
            format,
            records: ChangeRecordWriter::default(),
            file,
            digested: 0,
            digest: RecordDigest::default(),
            count: 0,
            row: Row::EMPTY,
        }
    }

    pub(super) fn partition_key(&mut self, key: &[u8]) -> Result<()> {
        self.records.partition(&self.format.table, key)
    }

    pub(super) fn partition(&mut self, deletion: DeletionTime) -> Result<()> {
        self.records.partition_deletion(deletion, false);
        self.written()
    }

    pub(super) fn row(&mut self, view: RowView<'_>, is_static: bool) -> Result<()> {
        if self.format.without_rows && !is_static {
            return Ok(());
        }
        let parts = if is_static { &self.format.statics } else { &self.format.regulars };
        if parts.iter().all(|part| *part == Part::Cell) {
            self.records.row(view, is_static, false);
            return self.written();
        }
        let part = |column: u16| parts.get(usize::from(column)).copied().unwrap_or(Part::LeftOut);
        let row = &mut self.row;
        row.clear();
        row.clustering.extend_from_slice(&view.row.clustering);
        (row.liveness, row.deletion) = (view.row.liveness, view.row.deletion);
        (row.shadowable, row.has_times) = (view.row.shadowable, view.row.has_times);
        row.complex
            .extend(view.row.complex.iter().filter(|complex| part(complex.column) == Part::Cell));
        for cell in &view.row.cells {
            match part(cell.column) {
                Part::Cell => row.cells.push(*cell),
                Part::Row => {
                    row.deletion = row.deletion.max(DeletionTime {
                        marked_for_delete_at: cell.timestamp,
                        local_deletion_time: cell.local_deletion_time,
                    });
                }
                Part::LeftOut => {}
            }
        }
        if row.says_nothing() {
            return Ok(());
        }
        self.records.row(RowView { row, data: view.data }, is_static, false);
        self.written()
    }

    pub(super) fn range(
        &mut self,
        deletion: DeletionTime,
        start: RangeBound<'_>,
        end: RangeBound<'_>,
    ) -> Result<()> {
        if self.format.without_rows {
            return Ok(());
        }
        self.records.range(deletion, start, end, false);
        self.written()
    }

    fn written(&mut self) -> Result<()> {
        let buffer = self.records.buffer();
        let record = buffer.get(self.digested..buffer.len().saturating_sub(1));
        self.digest.add_record(record.unwrap_or_default());
        self.digested = buffer.len();
        self.count += 1;
        if self.digested >= FLUSH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write(self.records.buffer())?;
        self.records.clear();
        self.digested = 0;
        Ok(())
    }

    /// Makes the file appear, if there is any record.
    pub(super) fn finish(mut self) -> Result<Option<FileDone>> {
        self.flush()?;
        self.file.finish(self.count, self.digest.0)
    }
}
