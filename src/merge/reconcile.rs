//! Which of two cells wins, and the merge of one row's versions.

use std::cmp::Ordering;
use std::path::Path;

use crate::error::{Error, Result};
use crate::rows::{
    Cell, ComplexDeletion, DeletionTime, LivenessInfo, NO_TTL, Row, RowView, Span,
    merge_counter_contexts,
};

use super::purge::{MergeBooks, row_deletion};
use crate::rows::ClusteringOrder;
use crate::schema::{CompactKind, TableMetadata};

/// Rule for two cells with the same write time (CASSANDRA-14592), chosen by the node's release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TieBreak {
    /// Up to 2.2: as [`TieBreak::Until311`]; and of clusterings that are equal and not of the same bytes (decimals), which also
    /// compete, a read shows that of the newest row marker or, without one, of the first column's newest cell.
    ///
    /// Tables with COMPACT STORAGE and no clustering are read by name (`SSTableNamesIterator`), so that cells with a TTL stay
    /// such when they have expired, and of two the larger value wins (`BufferExpiringCell.reconcile`). Against a cell without
    /// a TTL it depends on the order in which 2.x meets the SSTables, and what is not live wins here.
    Until22,
    /// Up to 3.11 (`Conflicts.resolveRegular`): what is not live at the clock wins, then the larger value, compared as
    /// *signed* bytes, then the later local deletion time.
    Until311,
    /// From 4.0 on (`Cells.resolveRegular`): what is deleted or expires wins, a tombstone before an expiring cell, then the
    /// later local deletion time, then the larger value, compared as unsigned bytes.
    From40,
}

impl TieBreak {
    /// The rule of a release such as `3.11.19` or `5.0-beta1`.
    pub fn of_release(release: &str) -> Option<Self> {
        let major: u32 = release.split('.').next()?.trim().parse().ok()?;
        Some(match major {
            0..=2 => Self::Until22,
            3 => Self::Until311,
            _ => Self::From40,
        })
    }
}

fn compare_signed(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(|b| b.cast_signed()).cmp(b.iter().map(|b| b.cast_signed()))
}

/// True if `a` wins over `b` or is as good; for cells that are not counters.
#[inline]
pub(super) fn wins(rules: &RowMerge, a: (&Cell, &[u8]), b: (&Cell, &[u8])) -> bool {
    let ((a, a_value), (b, b_value)) = (a, b);
    if a.timestamp != b.timestamp {
        return a.timestamp > b.timestamp;
    }
    let (a_time, b_time) = (a.local_deletion_time, b.local_deletion_time);
    match rules.rule {
        TieBreak::From40 => {
            if a_time.is_some() != b_time.is_some() {
                return a_time.is_some();
            }
            if a_time.is_some() {
                if a.is_tombstone() != b.is_tombstone() {
                    return a.is_tombstone();
                }
                if a_time != b_time {
                    return a_time > b_time;
                }
            }
            a_value >= b_value
        }
        TieBreak::Until22 | TieBreak::Until311 => {
            let (a_live, b_live) = (a.is_live(rules.now), b.is_live(rules.now));
            let by_value = rules.read_by_name && a.is_expiring() && b.is_expiring();
            if a_live != b_live && !by_value {
                return !a_live;
            }
            match compare_signed(a_value, b_value) {
                Ordering::Less => false,
                Ordering::Greater => true,
                Ordering::Equal => a_time >= b_time,
            }
        }
    }
}

/// What a pair of counter cells becomes (`Conflicts.resolveCounter`).
#[derive(Debug, PartialEq, Eq)]
enum CounterOutcome {
    First,
    Second,
    Merge,
}

fn resolve_counter(a: (&Cell, &[u8]), b: (&Cell, &[u8])) -> CounterOutcome {
    let ((a, a_value), (b, b_value)) = (a, b);
    let pick = |first| if first { CounterOutcome::First } else { CounterOutcome::Second };
    // A tombstone wins whatever the times are (CASSANDRA-7346).
    match (a.is_tombstone(), b.is_tombstone()) {
        (true, true) => pick(a.timestamp > b.timestamp),
        (true, false) => CounterOutcome::First,
        (false, true) => CounterOutcome::Second,
        (false, false) => match (a_value.is_empty(), b_value.is_empty()) {
            (true, true) => pick(a.timestamp > b.timestamp),
            (true, false) => CounterOutcome::First,
            (false, true) => CounterOutcome::Second,
            (false, false) => CounterOutcome::Merge,
        },
    }
}

/// What a merge of rows needs to know.
#[derive(Debug, Clone)]
pub(super) struct RowMerge {
    pub(super) order: ClusteringOrder,
    pub(super) rule: TieBreak,
    pub(super) now: i64,
    pub(super) counter: bool,
    pub(super) strict_liveness: bool,
    /// See [`TieBreak::Until22`].
    read_by_name: bool,
}

impl RowMerge {
    pub(super) fn new(
        table: &TableMetadata,
        rule: TieBreak,
        now: i64,
        strict_liveness: bool,
    ) -> Self {
        Self {
            order: ClusteringOrder::new(table),
            rule,
            now,
            counter: table.counter,
            strict_liveness,
            read_by_name: rule == TieBreak::Until22 && table.compact == CompactKind::StaticCompact,
        }
    }

    /// A deletion as it counts for cells: up to 2.2 it takes counters away whatever their times are (CASSANDRA-7346,
    /// `DeletionInfo.isDeleted`), from 3.0 on only older ones.
    #[inline]
    pub(super) fn reach(&self, deletion: DeletionTime) -> DeletionTime {
        if self.counter && self.rule == TieBreak::Until22 && !deletion.is_live() {
            DeletionTime { marked_for_delete_at: i64::MAX, ..deletion }
        } else {
            deletion
        }
    }
}

/// One row's versions becoming one; its memory is reused.
#[derive(Debug, Default)]
pub(super) struct MergedRow {
    pub(super) row: Row,
    pub(super) data: Vec<u8>,
    /// True if a cell was left out because it was deleted with the row, the range or the column.
    pub(super) shadowed: bool,
    /// Next cell of each version.
    heads: Vec<usize>,
    /// Next complex deletion of each version.
    complex_heads: Vec<usize>,
    /// Merged counter contexts, before they are copied to `data`.
    context: Vec<u8>,
}

impl MergedRow {
    pub(super) fn view(&self) -> RowView<'_> {
        RowView { row: &self.row, data: &self.data }
    }

    fn copy(&mut self, bytes: &[u8]) -> Result<Span> {
        let start = u32::try_from(self.data.len());
        let len = u32::try_from(bytes.len());
        self.data.extend_from_slice(bytes);
        match (start, len) {
            (Ok(start), Ok(len)) if u32::try_from(self.data.len()).is_ok() => {
                Ok(Span { start, len })
            }
            _ => Err(Error::Bug("a merged row of more than 4 GiB passed the row limit".into())),
        }
    }

    /// Merges `versions` of a row; `source(i)` is the i-th. `active` is the partition or range deletion in force.
    ///
    /// Cells that lose are counted as superseded; whether the winners are live is [`super::purge`]'s question, so
    /// tombstones and deletions stay in the row.
    pub(super) fn merge<'a>(
        &mut self,
        rules: &RowMerge,
        is_static: bool,
        count: usize,
        version: impl Fn(usize) -> (RowView<'a>, u16),
        active: DeletionTime,
        books: &mut MergeBooks,
    ) -> Result<()> {
        self.merge_versions(rules, is_static, count, version, row_deletion, active, books)
    }

    /// The same for what is merged again later. In a view what a row's own deletion covers stays: a shadowable one, which a
    /// newer version may bring, takes the place of an older one that is not, and is lifted by a newer liveness.
    pub(super) fn merge_for_later<'a>(
        &mut self,
        rules: &RowMerge,
        is_view: bool,
        is_static: bool,
        count: usize,
        version: impl Fn(usize) -> (RowView<'a>, u16),
        active: DeletionTime,
    ) -> Result<()> {
        let holds = |row: &Row| if is_view { DeletionTime::LIVE } else { row.deletion };
        let mut not_counted = MergeBooks::default();
        self.merge_versions(rules, is_static, count, version, holds, active, &mut not_counted)
    }

    #[expect(clippy::too_many_arguments, reason = "two callers, above")]
    fn merge_versions<'a>(
        &mut self,
        rules: &RowMerge,
        is_static: bool,
        count: usize,
        version: impl Fn(usize) -> (RowView<'a>, u16),
        holds: impl Fn(&Row) -> DeletionTime,
        active: DeletionTime,
        books: &mut MergeBooks,
    ) -> Result<()> {
        self.row.clear();
        self.data.clear();
        self.shadowed = false;
        self.heads.clear();
        self.heads.resize(count, 0);
        self.complex_heads.clear();
        self.complex_heads.resize(count, 0);
        // Clusterings may be equal and yet not of the same bytes (decimals): those of the oldest SSTable stay, from 3.0 on.
        if rules.rule != TieBreak::Until22 {
            self.take_clustering(version(0).0)?;
        }
        let mut liveness = LivenessInfo::NONE;
        for i in 0..count {
            let row = version(i).0.row;
            if row.liveness.supersedes(&liveness) {
                liveness = row.liveness;
            }
            if row.deletion.supersedes(&self.row.deletion) {
                self.row.deletion = row.deletion;
                self.row.shadowable = row.shadowable;
            }
        }
        self.row.liveness = liveness;
        self.row.has_times = liveness.ttl != NO_TTL;
        let deletion = rules.reach(holds(&self.row).max(active));
        loop {
            let mut column: Option<u16> = None;
            for (i, (&head, &complex_head)) in
                self.heads.iter().zip(&self.complex_heads).enumerate()
            {
                let row = version(i).0.row;
                let next = row.cells.get(head).map(|c| c.column);
                let next_complex = row.complex.get(complex_head).map(|c| c.column);
                for candidate in [next, next_complex].into_iter().flatten() {
                    column = Some(column.map_or(candidate, |least| least.min(candidate)));
                }
            }
            let Some(column) = column else { break };
            self.merge_column(rules, is_static, column, &version, deletion, books)?;
        }
        if rules.rule == TieBreak::Until22 {
            let shown = (0..count).find(|&i| self.is_shown(rules, is_static, deletion, version(i)));
            self.take_clustering(version(shown.unwrap_or(0)).0)?;
        }
        Ok(())
    }

    /// True if a read of 2.x takes the clustering from this version: it has the row marker that won or, where that is not live,
    /// the first live cell.
    fn is_shown(
        &self,
        rules: &RowMerge,
        is_static: bool,
        deletion: DeletionTime,
        (view, source): (RowView<'_>, u16),
    ) -> bool {
        let liveness = &self.row.liveness;
        if liveness.is_live(rules.now) && !deletion.deletes(liveness.timestamp) {
            return view.row.liveness == *liveness;
        }
        let live = self.row.cells.iter().filter(|cell| cell.is_live(rules.now));
        let first = live.min_by_key(|cell| rules.order.name_rank(is_static, cell.column));
        first.is_some_and(|cell| cell.source == source)
    }

    fn take_clustering(&mut self, from: RowView<'_>) -> Result<()> {
        for value in &from.row.clustering {
            let value = match value {
                crate::rows::ClusteringValue::Null => crate::rows::ClusteringValue::Null,
                crate::rows::ClusteringValue::Value(span) => {
                    crate::rows::ClusteringValue::Value(self.copy(span.of(from.data))?)
                }
            };
            self.row.clustering.push(value);
        }
        Ok(())
    }

    fn merge_column<'a>(
        &mut self,
        rules: &RowMerge,
        is_static: bool,
        column: u16,
        version: &impl Fn(usize) -> (RowView<'a>, u16),
        deletion: DeletionTime,
        books: &mut MergeBooks,
    ) -> Result<()> {
        let mut complex = DeletionTime::LIVE;
        for (i, head) in self.complex_heads.iter_mut().enumerate() {
            let (view, _) = version(i);
            if let Some(found) = view.row.complex.get(*head).filter(|c| c.column == column) {
                complex = complex.max(found.deletion);
                *head += 1;
            }
        }
        let deletion = if complex.supersedes(&deletion) {
            self.row.complex.push(ComplexDeletion { column, deletion: complex });
            complex
        } else {
            deletion
        };
        while let Some(cell) = self.next_cell(rules, is_static, column, version, deletion, books)? {
            self.row.has_times |= cell.local_deletion_time.is_some();
            self.row.cells.push(cell);
        }
        Ok(())
    }

    /// Takes the cells with the least path of `column` from all versions; the winner, copied, or none at the end.
    fn next_cell<'a>(
        &mut self,
        rules: &RowMerge,
        is_static: bool,
        column: u16,
        version: &impl Fn(usize) -> (RowView<'a>, u16),
        deletion: DeletionTime,
        books: &mut MergeBooks,
    ) -> Result<Option<Cell>> {
        let head = |heads: &[usize], i: usize| -> Option<(Cell, &'a [u8], &'a [u8], u16)> {
            let (view, source) = version(i);
            let cell = view.row.cells.get(*heads.get(i)?).filter(|c| c.column == column)?;
            Some((*cell, cell.value.of(view.data), cell.path.of(view.data), source))
        };
        loop {
            let mut least: Option<&'a [u8]> = None;
            for i in 0..self.heads.len() {
                if let Some((_, _, path, _)) = head(&self.heads, i)
                    && least.is_none_or(|l| {
                        rules.order.compare_paths(is_static, column, path, l).is_lt()
                    })
                {
                    least = Some(path);
                }
            }
            let Some(path) = least else { return Ok(None) };
            let mut winner: Option<(Cell, u16)> = None;
            let mut value: &'a [u8] = &[];
            // Equal paths need not be the same bytes (1.0 and 1.00): a cell keeps its own.
            let mut winner_path = path;
            let mut merged = false;
            for i in 0..self.heads.len() {
                let Some((cell, bytes, own_path, source)) = head(&self.heads, i) else { continue };
                if rules.order.compare_paths(is_static, column, own_path, path).is_ne() {
                    continue;
                }
                if let Some(next) = self.heads.get_mut(i) {
                    *next += 1;
                }
                if !deletion.is_live() && deletion.deletes(cell.timestamp) {
                    books.cells_shadowed += 1;
                    self.shadowed = true;
                    continue;
                }
                let Some((best, best_source)) = winner else {
                    winner = Some((cell, source));
                    (value, winner_path) = (bytes, own_path);
                    continue;
                };
                books.cells_superseded += 1;
                if rules.counter {
                    let current = if merged { self.context.as_slice() } else { value };
                    match resolve_counter((&best, current), (&cell, bytes)) {
                        CounterOutcome::First => {}
                        CounterOutcome::Second => {
                            winner = Some((cell, source));
                            (value, winner_path) = (bytes, own_path);
                            merged = false;
                        }
                        CounterOutcome::Merge => {
                            let mut out = Vec::new();
                            merge_counter_contexts(current, bytes, &mut out).map_err(|e| {
                                e.in_file(Path::new("(a counter in several SSTables)"))
                            })?;
                            self.context = out;
                            merged = true;
                            let timestamp = best.timestamp.max(cell.timestamp);
                            winner = Some((Cell { timestamp, ..best }, best_source));
                        }
                    }
                } else if !wins(rules, (&best, value), (&cell, bytes)) {
                    winner = Some((cell, source));
                    (value, winner_path) = (bytes, own_path);
                }
            }
            if let Some((mut cell, source)) = winner {
                cell.source = source;
                cell.value = if merged {
                    let context = std::mem::take(&mut self.context);
                    let span = self.copy(&context)?;
                    self.context = context;
                    span
                } else {
                    self.copy(value)?
                };
                cell.path = self.copy(winner_path)?;
                return Ok(Some(cell));
            }
        }
    }
}
