//! Atoms of one partition, in order, into rows and markers (`LegacyLayout.CellGrouper`, `UnfilteredDeserializer`).

use std::sync::Arc;

use crate::error::DecodeError;
use crate::rows::codec::CellsLeftOut;
use crate::rows::{
    Cell, ComplexDeletion, DeletionTime, LivenessInfo, LocalDeletionTime, Marker, NO_TTL, Row,
    RowView, Span,
};

use super::atom::{LegacyAtom, LegacyCell, LegacyRange, RANGE_TOMBSTONE};
use super::bounds::{DecodedRange, Scope, StaticScope};
use super::names::{LegacyLayout, Naming, Target, same};
use super::ranges::OpenRanges;

/// What became of an atom that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It was taken: offer the next one.
    Taken,
    /// The row before it is complete: [`RowAssembler::row`]. Offer the atom again.
    Row,
    /// A marker lies before it: its values are in [`RowAssembler::marker_row`]. Offer the atom again.
    Marker(Marker),
    /// Only of [`RowAssembler::end`]: the partition has ended.
    End,
}

/// Makes rows of atoms, one row at a time.
///
/// The static row is asked for first: [`RowAssembler::offer_static`] takes atoms as long as they are of it. Then
/// [`RowAssembler::offer`] takes the others, and [`RowAssembler::end`] gives what is left. Rows keep the spans of their atoms:
/// the bytes that an open row was made of must stay where they are until it was handed out
/// ([`RowAssembler::is_row_open`]). The static row and the markers have bytes of their own.
#[derive(Debug)]
pub struct RowAssembler {
    layout: Arc<LegacyLayout>,
    row: Row,
    state: State,
    /// The bytes that the names of the open row begin with, up to the last end-of-component byte, which tombstones have
    /// otherwise than cells.
    prefix: Vec<u8>,
    /// Length of that byte: none where the clustering is no composite.
    prefix_skip: usize,
    /// The name is all clustering.
    whole_names: bool,
    /// Cells of collections of the open row, which come among the others by name, and behind them in the table's order.
    elements: Vec<Cell>,
    /// The cells of the row came in another order than that of the table's columns, even so.
    unsorted: bool,
    /// Nothing but tombstones is in the row so far.
    only_tombstones: bool,
    hint: usize,
    /// Liveness of cells that no row should have (CASSANDRA-15365), and whether the row has others.
    invalid: LivenessInfo,
    has_valid: bool,
    ranges: OpenRanges,
    static_row: Row,
    static_data: Vec<u8>,
    other: Row,
    /// Cells that were read and not kept, so far.
    pub left_out: CellsLeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No row is open.
    Between,
    /// A row is open.
    Open,
    /// A row is complete, but markers may come before it.
    Complete,
    /// The row was handed out.
    Out,
}

fn copy(span: Span, data: &[u8], to: &mut Vec<u8>) -> Result<Span, DecodeError> {
    let start = u32::try_from(to.len());
    to.extend_from_slice(span.of(data));
    match start {
        Ok(start) if u32::try_from(to.len()).is_ok() => Ok(Span { start, len: span.len }),
        _ => Err(DecodeError::invalid("a row of more than 4 GiB", span.start.into())),
    }
}

fn tombstone(column: u16, path: Span, deletion: DeletionTime) -> Cell {
    Cell {
        timestamp: deletion.marked_for_delete_at,
        local_deletion_time: deletion.local_deletion_time,
        ttl: NO_TTL,
        column,
        source: 0,
        value: Span::default(),
        path,
    }
}

fn liveness(cell: &LegacyCell) -> LivenessInfo {
    // Compaction makes deleted cells of expired row markers: the row does not exist by them, whatever the clock says.
    let deleted = cell.ttl == NO_TTL && cell.local_deletion_time.is_some();
    LivenessInfo {
        timestamp: cell.timestamp,
        ttl: if deleted { LivenessInfo::EXPIRED_TTL } else { cell.ttl },
        local_deletion_time: cell.local_deletion_time,
    }
}

impl RowAssembler {
    /// An assembler for atoms of tables with this layout.
    pub fn new(layout: Arc<LegacyLayout>) -> Self {
        let simple = layout.naming == Naming::SimpleDense;
        Self {
            prefix_skip: usize::from(!simple && layout.clustering > 0),
            whole_names: simple || layout.naming == Naming::Dense,
            layout,
            row: Row::EMPTY,
            state: State::Between,
            prefix: Vec::new(),
            elements: Vec::new(),
            unsorted: false,
            only_tombstones: false,
            hint: 0,
            invalid: LivenessInfo::NONE,
            has_valid: false,
            ranges: OpenRanges::default(),
            static_row: Row::EMPTY,
            static_data: Vec::new(),
            other: Row::EMPTY,
            left_out: CellsLeftOut::default(),
        }
    }

    /// The layout.
    pub fn layout(&self) -> &LegacyLayout {
        &self.layout
    }

    /// Forgets everything of the partition before.
    pub fn begin_partition(&mut self) {
        self.forget_rows();
        self.static_row.clear();
        self.static_data.clear();
    }

    /// Forgets the row and the ranges that are open, and keeps the static row.
    pub fn forget_rows(&mut self) {
        self.state = State::Between;
        self.row.clear();
        self.elements.clear();
        self.ranges.clear();
    }

    /// True while the bytes of the atoms taken last are needed.
    pub fn is_row_open(&self) -> bool {
        self.state != State::Between
    }

    /// The row that was handed out; its spans point into what its atoms came with.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The same, to be changed in place.
    pub fn row_mut(&mut self) -> &mut Row {
        &mut self.row
    }

    /// The clustering of the marker handed out last.
    pub fn marker_row(&self) -> RowView<'_> {
        self.ranges.marker_row()
    }

    /// The same, to be changed in place.
    pub fn marker_row_mut(&mut self) -> (&mut Row, &[u8]) {
        self.ranges.marker_row_mut()
    }

    /// The static row, if the partition says anything of one.
    pub fn static_row(&self) -> Option<RowView<'_>> {
        let row = &self.static_row;
        let says = !row.cells.is_empty() || !row.complex.is_empty() || !row.deletion.is_live();
        says.then_some(RowView { row, data: &self.static_data })
    }

    /// Bytes of the static row so far.
    pub fn static_len(&self) -> usize {
        self.static_data.len()
    }

    /// Takes an atom of the static row, whose bytes are copied; false, and not taken, if it is not of it. A range tombstone
    /// that begins with the static row and reaches beyond it is taken whole.
    pub fn offer_static(&mut self, data: &[u8], atom: &LegacyAtom) -> Result<bool, DecodeError> {
        let name = match atom {
            LegacyAtom::Cell(cell) => cell.name,
            LegacyAtom::Range(range) => range.start,
        };
        // Only a mutation has tombstones with an empty start: they are taken apart by its own reader.
        if !self.layout.is_static_name(name.of(data)) {
            return Ok(false);
        }
        match atom {
            LegacyAtom::Cell(cell) => self.add_static_cell(data, cell)?,
            LegacyAtom::Range(range) if self.layout.is_all_static() => {
                self.delete_simple_columns(data, range);
            }
            LegacyAtom::Range(range) => {
                let decoded = DecodedRange::new(&self.layout, data, range)?;
                self.delete_static(data, &decoded);
                if decoded.scope == Scope::Range {
                    let bounds = (&decoded.start, &decoded.end);
                    self.ranges.open(&self.layout, data, bounds, decoded.deletion);
                }
            }
        }
        Ok(true)
    }

    fn add_static_cell(&mut self, data: &[u8], cell: &LegacyCell) -> Result<(), DecodeError> {
        let target = if self.layout.is_all_static() {
            self.layout.simple_target(cell.name.of(data), &mut self.hint)
        } else {
            let mut values = std::mem::take(&mut self.other.clustering);
            let at = self.layout.read_clustering(data, cell.name, &mut values);
            self.other.clustering = values;
            self.layout.target(data, cell.name, at?, true, &mut self.hint)?
        };
        let Target::Column { column, path, dropped_micros, .. } = target else {
            match target {
                Target::Dropped => self.left_out.dropped += 1,
                _ => self.left_out.hidden += 1,
            }
            return Ok(());
        };
        if cell.timestamp <= dropped_micros && dropped_micros != i64::MIN {
            self.left_out.dropped += 1;
            return Ok(());
        }
        let value = copy(cell.value, data, &mut self.static_data)?;
        let path = copy(path, data, &mut self.static_data)?;
        let cell = Cell {
            timestamp: cell.timestamp,
            local_deletion_time: cell.local_deletion_time,
            ttl: cell.ttl,
            column,
            source: 0,
            value,
            path,
        };
        push_cell(&mut self.static_row, cell, self.layout.is_all_static(), &self.static_data);
        Ok(())
    }

    fn delete_simple_columns(&mut self, data: &[u8], range: &LegacyRange) {
        // Of a single cell a range tombstone is the same as a deleted cell.
        let (start, end) = (range.start.of(data), range.end.of(data));
        for column in self.layout.simple_columns_in(start, end) {
            let cell = tombstone(column, Span::default(), range.deletion);
            push_cell(&mut self.static_row, cell, true, &self.static_data);
        }
    }

    /// Applies what a range tombstone says of the static row.
    pub(super) fn delete_static(&mut self, data: &[u8], range: &DecodedRange) {
        match range.static_scope {
            StaticScope::Nothing => {}
            StaticScope::All => {
                self.static_row.deletion = self.static_row.deletion.max(range.deletion);
            }
            StaticScope::Column(name) => {
                let found = self.layout.complex_column(name.of(data), true, &mut self.hint);
                push_complex(&mut self.static_row, found, range.deletion);
            }
        }
    }

    /// Opens a range of rows that lies before all of them.
    pub(super) fn open_range(&mut self, data: &[u8], range: &DecodedRange) {
        let bounds = (&range.start, &range.end);
        self.ranges.open(&self.layout, data, bounds, range.deletion);
    }

    /// Brings the cells of the static row into order, once all its atoms have been offered.
    pub fn finish_static(&mut self) {
        self.static_row.cells.sort_by_key(|cell| cell.column);
        self.static_row.complex.sort_by_key(|complex| complex.column);
    }

    /// Offers the next atom that is not of the static row. `data` is what its spans, and those of the open row, point into.
    #[inline(always)]
    pub fn offer(&mut self, data: &[u8], atom: &LegacyAtom) -> Result<Offer, DecodeError> {
        match self.state {
            State::Complete => return Ok(self.hand_out(data)),
            State::Out => self.state = State::Between,
            State::Between | State::Open => {}
        }
        match atom {
            LegacyAtom::Cell(cell) => {
                let was_open = self.state == State::Open;
                let Some(at) = self.enter_row(data, cell.name)? else {
                    return Ok(self.hand_out(data));
                };
                let is_tombstone = cell.local_deletion_time.is_some() && cell.ttl == NO_TTL;
                if !was_open {
                    self.only_tombstones = is_tombstone;
                } else if self.only_tombstones && !is_tombstone {
                    // Of clusterings that are equal and not of the same bytes, a read shows that of the first live cell.
                    self.layout.read_clustering(data, cell.name, &mut self.row.clustering)?;
                    self.only_tombstones = false;
                }
                self.add_cell(data, cell, at)?;
                Ok(Offer::Taken)
            }
            LegacyAtom::Range(range) => self.offer_range(data, range),
        }
    }

    /// After the last atom, until it gives [`Offer::End`].
    pub fn end(&mut self, data: &[u8]) -> Offer {
        match self.state {
            State::Open | State::Complete => return self.hand_out(data),
            State::Out => self.state = State::Between,
            State::Between => {}
        }
        match self.ranges.next_before(&self.layout, None) {
            Some(marker) => Offer::Marker(marker),
            None => Offer::End,
        }
    }

    /// Hands out the open row, where it is known by other means that it is complete.
    pub fn end_row(&mut self, data: &[u8]) -> Offer {
        self.hand_out(data)
    }

    /// True if there is a row to hand out before the atom with this name and mask, of which no more need be known.
    pub fn ends_before(&mut self, data: &[u8], name: Span, mask: u8) -> bool {
        match self.state {
            State::Complete => true,
            // A name that is not one is for the one who reads the whole atom.
            State::Open if mask != RANGE_TOMBSTONE => {
                matches!(self.enter_row(data, name), Ok(None))
            }
            State::Open | State::Between | State::Out => false,
        }
    }

    /// Goes into the row that `name` is of: opens one if none is open. Returns where the rest of the name begins; none if
    /// another row is open.
    #[inline(always)]
    fn enter_row(&mut self, data: &[u8], name: Span) -> Result<Option<usize>, DecodeError> {
        if self.state == State::Open {
            let bytes = name.of(data);
            let end = self.prefix.len() + self.prefix_skip;
            if starts_with(bytes, &self.prefix) && (!self.whole_names || bytes.len() == end) {
                return Ok(Some(name.start as usize + end));
            }
            // What is no name is for the one who reads it as the first of its row.
            if self.layout.exact {
                return Ok(None);
            }
            return self.enter_open_row(data, name);
        }
        self.open_row(data, name).map(Some)
    }

    /// The same where the row that is open is named by other bytes.
    fn enter_open_row(&mut self, data: &[u8], name: Span) -> Result<Option<usize>, DecodeError> {
        let mut other = std::mem::take(&mut self.other);
        let at = self.layout.read_clustering(data, name, &mut other.clustering);
        // Values may be equal and yet not of the same bytes (decimals).
        let order = self.layout.compare((&other, data, 0), (&self.row, data, 0));
        self.other = other;
        let at = at?;
        Ok(order.is_eq().then_some(at))
    }

    /// Opens the row that `name` is of. Returns where the rest of the name begins.
    fn open_row(&mut self, data: &[u8], name: Span) -> Result<usize, DecodeError> {
        self.row.clear();
        self.elements.clear();
        let at = self.layout.read_clustering(data, name, &mut self.row.clustering)?;
        self.state = State::Open;
        self.prefix.clear();
        let end = at.saturating_sub(self.prefix_skip);
        self.prefix.extend_from_slice(data.get(name.start as usize..end).unwrap_or_default());
        self.unsorted = false;
        self.only_tombstones = false;
        self.invalid = LivenessInfo::NONE;
        self.has_valid = false;
        self.hint = 0;
        Ok(at)
    }

    fn hand_out(&mut self, data: &[u8]) -> Offer {
        if self.state == State::Open {
            self.state = State::Complete;
            let last = self.row.cells.last().map(|cell| cell.column);
            self.unsorted |= self.elements.first().is_some_and(|first| Some(first.column) < last);
            self.row.cells.append(&mut self.elements);
            if self.unsorted {
                self.row.cells.sort_by_key(|cell| cell.column);
            }
            if !self.has_valid && self.row.cells.is_empty() && self.row.liveness.is_empty() {
                self.row.liveness = self.invalid;
                self.row.has_times |= self.invalid.ttl != NO_TTL;
            }
        }
        if !self.ranges.is_empty()
            && let Some(marker) = self.ranges.next_before(&self.layout, Some((&self.row, data, 0)))
        {
            return Offer::Marker(marker);
        }
        self.state = State::Out;
        Offer::Row
    }

    #[inline(always)]
    fn add_cell(&mut self, data: &[u8], cell: &LegacyCell, at: usize) -> Result<(), DecodeError> {
        let target = self.layout.target(data, cell.name, at, false, &mut self.hint)?;
        match target {
            Target::Column { column, complex, path, dropped_micros } => {
                if cell.timestamp <= dropped_micros && dropped_micros != i64::MIN {
                    self.left_out.dropped += 1;
                    return Ok(());
                }
                let is_element = complex && self.layout.naming == Naming::Sparse;
                let cells = if is_element { &mut self.elements } else { &mut self.row.cells };
                self.unsorted |= cells.last().is_some_and(|last| last.column > column);
                self.row.has_times |= cell.local_deletion_time.is_some();
                let cell = Cell {
                    timestamp: cell.timestamp,
                    local_deletion_time: cell.local_deletion_time,
                    ttl: cell.ttl,
                    column,
                    source: 0,
                    value: cell.value,
                    path,
                };
                if self.layout.naming == Naming::Super
                    && let Some(last) = cells.last_mut()
                    && last.column == column
                    && last.path.of(data) == path.of(data)
                {
                    // Behind a tombstone of the same subcolumn.
                    if cell.timestamp > last.timestamp {
                        *last = cell;
                    }
                    return Ok(());
                }
                cells.push(cell);
            }
            Target::Marker => {
                let liveness = liveness(cell);
                if self.row.liveness.is_empty() || liveness.supersedes(&self.row.liveness) {
                    self.row.liveness = liveness;
                }
                self.row.has_times |= liveness.ttl != NO_TTL;
                self.has_valid = true;
            }
            Target::Key => {
                self.left_out.hidden += 1;
                let liveness = liveness(cell);
                if self.invalid.is_empty() || liveness.supersedes(&self.invalid) {
                    self.invalid = liveness;
                }
            }
            Target::Dropped => self.left_out.dropped += 1,
            Target::Hidden => self.left_out.hidden += 1,
        }
        Ok(())
    }

    fn offer_range(&mut self, data: &[u8], range: &LegacyRange) -> Result<Offer, DecodeError> {
        if let Some(name) = self.collection_of_open_row(data, range) {
            self.delete_column(data, range, name, range.deletion)?;
            self.has_valid = true;
            return Ok(Offer::Taken);
        }
        let decoded = DecodedRange::new(&self.layout, data, range)?;
        self.offer_decoded(data, range, &decoded)
    }

    /// The collection of the open row that a range tombstone deletes, as every INSERT of a collection has one: what
    /// [`DecodedRange::new`] would find, without taking the clustering apart again. None for all others.
    #[inline]
    fn collection_of_open_row(&self, data: &[u8], range: &LegacyRange) -> Option<Span> {
        if self.state != State::Open || self.layout.naming != Naming::Sparse {
            return None;
        }
        let skip = self.prefix.len() + self.prefix_skip;
        let column = |bound: Span| {
            let bytes = bound.of(data);
            let rest =
                if starts_with(bytes, &self.prefix) { bytes.get(skip..)? } else { return None };
            let (len, rest) = rest.split_first_chunk::<2>()?;
            let (_end_of_component, name) = rest.split_last()?;
            (name.len() == usize::from(u16::from_be_bytes(*len))).then_some(name)
        };
        let name = column(range.start).filter(|name| column(range.end) == Some(name))?;
        let start = range.start.start + u32::try_from(skip).ok()? + 2;
        Some(Span { start, len: u32::try_from(name.len()).ok()? })
    }

    /// [`RowAssembler::offer`] for a range tombstone that was taken apart.
    pub(super) fn offer_piece(
        &mut self,
        data: &[u8],
        range: &LegacyRange,
        decoded: &DecodedRange,
    ) -> Result<Offer, DecodeError> {
        match self.state {
            State::Complete => return Ok(self.hand_out(data)),
            State::Out => self.state = State::Between,
            State::Between | State::Open => {}
        }
        self.offer_decoded(data, range, decoded)
    }

    fn offer_decoded(
        &mut self,
        data: &[u8],
        range: &LegacyRange,
        decoded: &DecodedRange,
    ) -> Result<Offer, DecodeError> {
        match decoded.scope {
            Scope::Nothing => Ok(Offer::Taken),
            Scope::Row | Scope::Column(_) => {
                let was_open = self.state == State::Open;
                let Some(_) = self.enter_row(data, range.start)? else {
                    return Ok(self.hand_out(data));
                };
                self.only_tombstones |= !was_open;
                if let Scope::Column(name) = decoded.scope {
                    self.delete_column(data, range, name, decoded.deletion)?;
                } else {
                    self.row.deletion = self.row.deletion.max(decoded.deletion);
                }
                self.has_valid = true;
                Ok(Offer::Taken)
            }
            Scope::Range => {
                let start = (&decoded.start.row, data, decoded.start.side);
                if self.state == State::Open
                    && self.layout.compare(start, (&self.row, data, 0)).is_gt()
                {
                    return Ok(self.hand_out(data));
                }
                // A row can be open that it begins before: by a tombstone of that row, or where it is repeated at a block of the
                // index, or a part of one that was cut around a collection.
                if let Some(marker) = self.ranges.next_before(&self.layout, Some(start)) {
                    return Ok(Offer::Marker(marker));
                }
                self.open_range(data, decoded);
                Ok(Offer::Taken)
            }
        }
    }

    fn delete_column(
        &mut self,
        data: &[u8],
        range: &LegacyRange,
        name: Span,
        deletion: DeletionTime,
    ) -> Result<(), DecodeError> {
        if self.layout.naming == Naming::Super {
            let at = name.start as usize - 2;
            let target = self.layout.target(data, range.start, at, false, &mut self.hint)?;
            if let Target::Column { column, path, .. } = target {
                push_cell(&mut self.row, tombstone(column, path, deletion), true, data);
            }
            return Ok(());
        }
        let column = self.layout.complex_column(name.of(data), false, &mut self.hint);
        push_complex(&mut self.row, column, deletion);
        Ok(())
    }
}

/// `bytes.starts_with(prefix)`: names of one row share some dozen bytes.
#[inline]
fn starts_with(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes.get(..prefix.len()).is_some_and(|head| same(head, prefix))
}

fn push_complex(row: &mut Row, column: Option<(u16, i64)>, deletion: DeletionTime) {
    let Some((column, dropped_micros)) = column else { return };
    if deletion.is_live() || deletion.marked_for_delete_at <= dropped_micros {
        return;
    }
    let place = row.complex.partition_point(|complex| complex.column < column);
    match row.complex.get_mut(place).filter(|complex| complex.column == column) {
        Some(complex) => complex.deletion = complex.deletion.max(deletion),
        None => row.complex.insert(place, ComplexDeletion { column, deletion }),
    }
}

/// Adds a cell. `reconcile`: there may be a tombstone of the same column, and the newer of the two stays.
fn push_cell(row: &mut Row, cell: Cell, reconcile: bool, data: &[u8]) {
    row.has_times |= cell.local_deletion_time != LocalDeletionTime::NONE;
    if reconcile
        && let Some(there) = row
            .cells
            .iter_mut()
            .find(|c| c.column == cell.column && c.path.of(data) == cell.path.of(data))
    {
        if cell.timestamp > there.timestamp
            || cell.timestamp == there.timestamp && cell.is_tombstone()
        {
            *there = cell;
        }
        return;
    }
    row.cells.push(cell);
}
