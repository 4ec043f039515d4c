//! One split: scan, merge, write.
//!
//! A worker owns its buffers and reuses them from split to split. The object of a split appears under its name only when
//! the split is complete; a split that fails leaves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::dht::{Token, TokenRange};
use crate::error::{Error, Result};
use crate::merge::{MergeBooks, PartitionMerge, RowSink, TieBreak};
use crate::output::{ColumnTypeOverride, RecordFormat, RecordWriter, Refusal};
use crate::overlay::{OverlaySource, SplitMemory};
use crate::progress::{Books, Events, Quarantine};
use crate::rows::codec::CellsLeftOut;
use crate::rows::{DeletionTime, PartitionSource, RangeBound, RowView};
use crate::schema::{CompactKind, TableMetadata};
use crate::sstable::{SstableReader, SstableScanner, WorkerRows};

use super::deletes::{DeletesFormat, SplitDeletes};
use super::overlay::{JobOverlay, TableOverlay};
use super::sink::{Destination, FileDone, FileKind, SplitFile};
use super::split_source::{SplitScan, SplitSource};

/// What all workers share about one table.
#[derive(Debug)]
pub(crate) struct TableJob {
    /// The table.
    pub table: TableMetadata,
    /// `keyspace.table`.
    pub name: String,
    /// Its SSTables.
    pub readers: Vec<Arc<SstableReader>>,
    /// How its records look.
    pub format: Arc<RecordFormat>,
    /// How its deletions are written, if they are.
    pub deletes: Option<DeletesFormat>,
    /// Types that the user asked for, by column.
    pub column_types: BTreeMap<String, ColumnTypeOverride>,
    /// How ties are broken.
    pub rule: TieBreak,
    /// The clock.
    pub now: i64,
    /// See [`PartitionMerge::new`].
    pub strict_liveness: bool,
    /// What of it was never flushed, if there is any.
    pub overlay: Option<JobOverlay>,
}

/// What came of a split.
#[derive(Debug, Default)]
pub(crate) struct SplitDone {
    /// Its row file, and the file of partitions without rows if the profile keeps these apart.
    pub files: Vec<FileDone>,
    /// Its file of deletions.
    pub deletes: Option<FileDone>,
    /// Its books.
    pub books: Books,
    /// What each SSTable was read from and to, for the proof that splits join without gap.
    pub extents: Vec<(u64, u64)>,
    /// Rows in which something expires after the clock.
    pub rows_expiring: u64,
    /// Rows refused, by the name of their counter.
    pub refused: BTreeMap<&'static str, u64>,
    /// Rows refused, and token ranges lost to damage.
    pub quarantine: Vec<Quarantine>,
}

/// At most this many refused rows are listed by name per split; all are counted.
const LISTED: usize = 20;
/// The output buffer goes to the file at this size: small enough that its text is still in the cache of the core.
const FLUSH: usize = 256 << 10;
/// Partitions and rows between two looks at the cancel flag.
const CHECK_EVERY: u32 = 4096;

/// A worker.
pub(crate) struct Worker<'a> {
    /// Where files go.
    pub destination: &'a Destination,
    /// Who listens.
    pub events: &'a dyn Events,
    /// Set to a signal's number, or to -1 by another worker's failure, to stop.
    pub cancel: &'a AtomicI32,
    /// This worker's share of the memory for large rows.
    pub rows: Arc<WorkerRows>,
    /// See [`super::budget::MemoryBudget`].
    pub small_windows: bool,
}

impl Worker<'_> {
    /// Does one split; `lost` are token ranges to leave out because an SSTable is damaged there.
    pub(crate) fn run(
        &self,
        job: &TableJob,
        range: TokenRange,
        number: u32,
        lost: &[TokenRange],
        writer: &mut RecordWriter,
    ) -> Result<SplitDone, SplitError> {
        match &job.deletes {
            None => self.run_with::<false>(job, range, number, lost, writer),
            Some(_) => self.run_with::<true>(job, range, number, lost, writer),
        }
    }

    fn run_with<const DELETES: bool>(
        &self,
        job: &TableJob,
        range: TokenRange,
        number: u32,
        lost: &[TokenRange],
        writer: &mut RecordWriter,
    ) -> Result<SplitDone, SplitError> {
        let mut done =
            SplitDone { extents: vec![(u64::MAX, 0); job.readers.len()], ..SplitDone::default() };
        let file =
            |kind| SplitFile::new(self.destination, job, number, kind).map_err(|e| (e, Vec::new()));
        let deletes = match &job.deletes {
            Some(format) => Some(SplitDeletes::new(format, file(FileKind::Deletes)?)),
            None => None,
        };
        let mut sink = SplitSink::<DELETES> {
            job,
            writer,
            rows: file(FileKind::Rows)?,
            statics: file(FileKind::Statics)?,
            deletes,
            books: Books::default(),
            quarantine: Vec::new(),
            events: self.events,
            cancel: self.cancel,
            until_check: CHECK_EVERY,
            static_live: false,
            rows_in_partition: false,
            static_cells: 0,
            worker_rows: &self.rows,
            refused: (0, 0),
            refused_kinds: BTreeMap::new(),
            told_refused: 0,
            hidden: (0, 0),
            refused_static_cells: 0,
            told: 0,
            refused_partition: None,
            row_records: 0,
            static_records: 0,
            expanded_away: 0,
            rows_expiring: 0,
        };
        for part in without(range, lost) {
            let mut scanners = Vec::new();
            let mut numbers = Vec::new();
            for (i, reader) in job.readers.iter().enumerate() {
                let scanner = SstableScanner::new(
                    Arc::clone(reader),
                    part,
                    Arc::clone(&self.rows),
                    self.small_windows,
                )
                .map_err(|e| (e, Vec::new()))?;
                if let Some(extent) = done.extents.get_mut(i) {
                    extent.0 = extent.0.min(scanner.extent().0);
                    extent.1 = extent.1.max(scanner.extent().1);
                }
                if !scanner.is_done() {
                    scanners.push(scanner);
                    numbers.push(i);
                }
            }
            match &job.overlay {
                None => merge_part(job, scanners, &numbers, &mut sink, &mut done)?,
                Some(JobOverlay { nodes, memory }) => {
                    let mut sources: Vec<_> =
                        scanners.into_iter().map(|s| SplitSource::Sstable(Box::new(s))).collect();
                    let memory = SplitMemory::new(memory);
                    for TableOverlay { overlay, number } in nodes {
                        let log =
                            OverlaySource::new(overlay, *number, part, job.rule, job.now, &memory);
                        let log = log.map_err(|e| (e, Vec::new()))?;
                        sources.push(SplitSource::Overlay(Box::new(log)));
                    }
                    merge_part(job, sources, &numbers, &mut sink, &mut done)?;
                }
            }
        }
        sink.finish(&mut done).map_err(|e| (e, Vec::new()))?;
        Ok(done)
    }
}

/// The error of a split, and what each scan stood at, with the number of its SSTable.
type SplitError = (Error, Vec<(usize, crate::sstable::ScanState)>);

/// Merges `sources` into `sink`; the first of them are the SSTables with these numbers.
fn merge_part<S: SplitScan, const DELETES: bool>(
    job: &TableJob,
    sources: Vec<S>,
    numbers: &[usize],
    sink: &mut SplitSink<'_, '_, DELETES>,
    done: &mut SplitDone,
) -> Result<(), SplitError> {
    let mut merge =
        PartitionMerge::new(&job.table, job.rule, job.now, job.strict_liveness, sources);
    loop {
        match merge.step(sink) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let scanners = merge.sources().iter().filter_map(SplitScan::scanner);
                let states = scanners
                    .zip(numbers)
                    .map(|(scanner, &number)| (number, scanner.state()))
                    .collect();
                return Err((error, states));
            }
        }
    }
    let scanners = merge.sources().iter().filter_map(SplitScan::scanner);
    for (scanner, &i) in scanners.zip(numbers) {
        if let Some(extent) = done.extents.get_mut(i) {
            extent.1 = extent.1.max(scanner.extent().1);
        }
        let CellsLeftOut { dropped, hidden } = scanner.cells_left_out();
        sink.books.cells_dropped += dropped;
        sink.books.cells_hidden += hidden;
        sink.books.cells_read += dropped + hidden;
        sink.books.chunks_read += scanner.chunks_read();
        sink.books.bytes_read += scanner.extent().1.saturating_sub(scanner.extent().0);
    }
    enter(&mut sink.books, &merge.books);
    Ok(())
}

/// Enters what a merge counted.
fn enter(books: &mut Books, merged: &MergeBooks) {
    books.merge(&Books {
        rows_read: merged.rows_read,
        rows_merged: merged.rows_merged,
        rows_emitted: merged.rows_emitted,
        rows_shadowed: merged.rows_shadowed,
        rows_expired: merged.rows_expired,
        rows_only_tombstones: merged.rows_only_tombstones,
        cells_read: merged.cells_read,
        cells_emitted: merged.cells_emitted,
        cells_superseded: merged.cells_superseded,
        cells_shadowed: merged.cells_shadowed,
        cells_expired: merged.cells_expired,
        cell_tombstones: merged.cell_tombstones,
        partitions_read: merged.partitions_read,
        partition_deletions: merged.partition_deletions,
        range_deletions: merged.range_deletions,
        ..Books::default()
    });
}

/// The parts of `range` that are not in `lost` (which is in token order and does not overlap itself).
fn without(range: TokenRange, lost: &[TokenRange]) -> Vec<TokenRange> {
    let mut parts = Vec::new();
    let mut start = range.start;
    for gap in lost {
        if gap.end <= start || gap.start >= range.end {
            continue;
        }
        if gap.start > start {
            parts.push(TokenRange { start, end: gap.start });
        }
        start = start.max(gap.end);
    }
    if start < range.end {
        parts.push(TokenRange { start, end: range.end });
    }
    parts
}

/// Turns merged rows into records and these into the split's files.
struct SplitSink<'a, 'w, const DELETES: bool> {
    job: &'a TableJob,
    writer: &'w mut RecordWriter,
    rows: SplitFile<'a>,
    statics: SplitFile<'a>,
    /// There if `DELETES`.
    deletes: Option<SplitDeletes<'a>>,
    books: Books,
    quarantine: Vec<Quarantine>,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
    until_check: u32,
    static_live: bool,
    rows_in_partition: bool,
    static_cells: u64,
    worker_rows: &'a WorkerRows,
    /// Rows and cells that the merge handed on and the profile refused.
    refused: (u64, u64),
    /// Records refused, by the name of their counter.
    refused_kinds: BTreeMap<&'static str, u64>,
    /// Rows of these of which the listener was told.
    told_refused: u64,
    /// Rows and cells that the merge handed on and CQL does not show.
    hidden: (u64, u64),
    refused_static_cells: u64,
    /// Records of which the listener was told.
    told: u64,
    /// Why the key of the partition at hand cannot be written, if it cannot.
    refused_partition: Option<Refusal>,
    row_records: u64,
    static_records: u64,
    /// Rows of which CQL shows no record at all (super columns without entries).
    expanded_away: u64,
    rows_expiring: u64,
}

impl<const DELETES: bool> SplitSink<'_, '_, DELETES> {
    #[cold]
    fn refuse(&mut self, refusal: &Refusal, cells: u64) {
        self.refused.0 += 1;
        self.refused.1 += cells;
        self.list(refusal);
    }

    #[cold]
    fn list(&mut self, refusal: &Refusal) {
        if let Some(kind) = refusal.kind {
            *self.refused_kinds.entry(kind.counter()).or_default() += 1;
        }
        if self.quarantine.len() < LISTED {
            let entry = Quarantine {
                table: self.job.name.clone(),
                file: None,
                offsets: None,
                tokens: None,
                cause: refusal.to_string(),
            };
            self.events.quarantined(&entry);
            self.quarantine.push(entry);
        }
    }

    #[inline]
    fn check(&mut self) -> Result<()> {
        self.until_check -= 1;
        if self.until_check > 0 {
            return Ok(());
        }
        self.until_check = CHECK_EVERY;
        match self.cancel.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Stopped(signal)),
        }
    }

    fn tell(&mut self) {
        self.events.bytes_read(&self.job.name, self.worker_rows.take_bytes_read());
        let rows = self.books.records_emitted
            - std::mem::replace(&mut self.told, self.books.records_emitted);
        self.events.rows_written(&self.job.name, rows, self.writer.buffer().len() as u64);
        let refused = self.refused.0 - std::mem::replace(&mut self.told_refused, self.refused.0);
        if refused > 0 {
            self.events.rows_refused(&self.job.name, refused);
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.writer.settle()?;
        if self.writer.buffer().len() >= FLUSH {
            self.rows.write(self.writer.buffer())?;
            self.tell();
            self.writer.clear();
        }
        Ok(())
    }

    fn finish(mut self, done: &mut SplitDone) -> Result<()> {
        self.writer.finish_file()?;
        self.tell();
        self.rows.write(self.writer.buffer())?;
        self.statics.write(self.writer.static_buffer())?;
        self.writer.clear();
        self.writer.clear_static();
        done.files.extend(self.rows.finish(self.row_records, self.writer.digest())?);
        done.files.extend(self.statics.finish(self.static_records, self.writer.static_digest())?);
        if let Some(deletes) = self.deletes.take() {
            self.books.deletions_emitted = deletes.count;
            done.deletes = deletes.finish()?;
        }
        let books = &mut self.books;
        books.rows_quarantined += self.refused.0;
        books.rows_filtered += self.hidden.0 + self.expanded_away;
        books.rows_emitted -= self.refused.0 + self.hidden.0 + self.expanded_away;
        books.cells_quarantined += self.refused.1 + self.refused_static_cells;
        books.cells_hidden += self.hidden.1;
        books.cells_emitted -= self.refused.1 + self.refused_static_cells + self.hidden.1;
        done.books = self.books;
        done.rows_expiring = self.rows_expiring;
        done.quarantine = self.quarantine;
        done.refused = self.refused_kinds;
        Ok(())
    }
}

impl<const DELETES: bool> RowSink for SplitSink<'_, '_, DELETES> {
    const DELETIONS: bool = DELETES;

    fn deleted_partition(&mut self, deletion: DeletionTime) -> Result<()> {
        self.deletes.as_mut().map_or(Ok(()), |deletes| deletes.partition(deletion))
    }

    fn deleted_row(&mut self, row: RowView<'_>, is_static: bool) -> Result<()> {
        self.check()?;
        self.deletes.as_mut().map_or(Ok(()), |deletes| deletes.row(row, is_static))
    }

    fn deleted_range(
        &mut self,
        deletion: DeletionTime,
        start: RangeBound<'_>,
        end: RangeBound<'_>,
    ) -> Result<()> {
        self.check()?;
        self.deletes.as_mut().map_or(Ok(()), |deletes| deletes.range(deletion, start, end))
    }

    fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
        self.rows_in_partition = false;
        self.check()?;
        if let Some(deletes) = &mut self.deletes {
            deletes.partition_key(key)?;
        }
        self.refused_partition = self.writer.start_partition(key).err();
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        self.static_live = row.is_some();
        self.static_cells = row.map_or(0, |view| view.row.cells.len() as u64);
        self.writer.set_static(row);
        Ok(())
    }

    #[inline]
    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        self.check()?;
        let cells = row.row.cells.len() as u64;
        if self.job.table.compact == CompactKind::StaticCompact {
            // Thrift's dynamic columns: rows that CQL does not show.
            self.hidden.0 += 1;
            self.hidden.1 += cells;
            return Ok(());
        }
        self.rows_in_partition = true;
        let written = match self.refused_partition.take() {
            None => self.writer.write_row(row),
            // The key cannot be written, so no row of the partition can; each counts, the first is listed.
            Some(refusal) => {
                self.refused_partition = Some(refusal.clone());
                Err(refusal)
            }
        };
        match written {
            Ok(records) => {
                let records = records as u64;
                self.row_records += records;
                self.books.records_emitted += records;
                self.books.records_expanded += records.saturating_sub(1);
                self.expanded_away += u64::from(records == 0);
                self.rows_expiring += u64::from(row.row.has_times);
            }
            Err(refusal) => self.refuse(&refusal, cells),
        }
        self.flush()
    }

    fn end_partition(&mut self) -> Result<()> {
        if self.rows_in_partition || !self.static_live {
            return Ok(());
        }
        let written = match &self.refused_partition {
            None => self.writer.write_static_only(),
            Some(refusal) => Err(refusal.clone()),
        };
        match written {
            Ok(records) => {
                let records = records as u64;
                if self.job.format.separate_static_only() {
                    self.static_records += records;
                } else {
                    self.row_records += records;
                }
                self.books.records_emitted += records;
                self.books.static_only_emitted += records;
            }
            Err(refusal) => {
                self.refused_static_cells += self.static_cells;
                self.list(&refusal);
            }
        }
        if self.writer.static_buffer().len() >= FLUSH {
            self.statics.write(self.writer.static_buffer())?;
            self.writer.clear_static();
        }
        self.flush()
    }
}
