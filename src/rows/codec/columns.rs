//! The columns of a row, and their cells.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::{Cell, ComplexDeletion, LivenessInfo, LocalDeletionTime, NO_TTL, Row, Span};

use super::common::{self, RowTimes};
use super::flags::{
    CELL_ALL, CELL_DELETED, CELL_EMPTY_VALUE, CELL_EXPIRING, CELL_ROW_TIMESTAMP, CELL_ROW_TTL,
};
use super::plan::{ColumnPlan, Fate, RowCodec, VARIABLE};
use super::unfiltered::{tag, take_span};

/// Cells that were read and not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CellsLeftOut {
    /// Of dropped columns.
    pub dropped: u64,
    /// Of columns that the schema does not know.
    pub hidden: u64,
}

/// Reads the columns of one row.
#[derive(Debug)]
pub(super) struct ColumnReader<'c> {
    codec: &'c RowCodec,
    left_out: &'c mut CellsLeftOut,
    /// Each complex column begins with a deletion.
    complex_deletion: bool,
    times: RowTimes,
}

impl<'c> ColumnReader<'c> {
    /// For a row whose liveness has been read.
    pub(super) fn new(
        codec: &'c RowCodec,
        left_out: &'c mut CellsLeftOut,
        complex_deletion: bool,
        row: &Row,
    ) -> Self {
        let times = RowTimes {
            row: (!row.liveness.is_empty()).then_some(row.liveness.timestamp),
            least: codec.min_timestamp,
        };
        Self { codec, left_out, complex_deletion, times }
    }

    /// Reads the columns that the row has.
    #[inline(always)]
    pub(super) fn read_each<'p>(
        &mut self,
        r: &mut ByteReader<'_>,
        plans: impl Iterator<Item = &'p ColumnPlan>,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        // The place is a number of its own, which stays in a register, and not the cursor's.
        let (bytes, mut at) = (r.bytes(), r.position());
        for plan in plans {
            if !plan.complex
                && let Some(column) = plan.plain()
                && let Some((cell, end)) = common::cell(bytes, at, plan, column, self.times)
            {
                row.cells.push(cell);
                at = end;
                continue;
            }
            let mut here = ByteReader::at(bytes, at);
            self.read(&mut here, plan, row)?;
            at = here.position();
        }
        *r = ByteReader::at(bytes, at);
        Ok(())
    }

    #[inline(never)]
    fn read(
        &mut self,
        r: &mut ByteReader<'_>,
        plan: &ColumnPlan,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        if plan.complex { self.read_complex(r, plan, row) } else { self.read_cell(r, plan, row) }
    }

    fn read_complex(
        &mut self,
        r: &mut ByteReader<'_>,
        plan: &ColumnPlan,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        if self.complex_deletion {
            let deletion = self.codec.read_delta_deletion(r)?;
            if let Some(column) = plan.kept()
                && !deletion.is_live()
                && deletion.marked_for_delete_at > plan.dropped_micros
            {
                row.complex.push(ComplexDeletion { column, deletion });
            }
        }
        let mut count = r.read_uvint("number of elements")?;
        // The least element is a byte of flags, a row timestamp and an empty path.
        if count > r.remaining() as u64 {
            return Err(r.error(DecodeErrorKind::Limit {
                what: "number of elements",
                found: count,
                limit: r.remaining() as u64,
            }));
        }
        if let Some(column) = plan.plain() {
            let (bytes, mut at) = (r.bytes(), r.position());
            while count > 0
                && let Some((cell, end)) = common::cell(bytes, at, plan, column, self.times)
            {
                row.cells.push(cell);
                at = end;
                count -= 1;
            }
            *r = ByteReader::at(bytes, at);
        }
        for _ in 0..count {
            self.read_cell(r, plan, row)?;
        }
        Ok(())
    }

    fn keep(&mut self, plan: &ColumnPlan, mut cell: Cell, row: &mut Row) {
        match plan.fate {
            Fate::Keep(column)
                if cell.timestamp > plan.dropped_micros || plan.dropped_micros == i64::MIN =>
            {
                cell.column = column;
                row.has_times |= cell.local_deletion_time.is_some();
                row.cells.push(cell);
            }
            Fate::Keep(_) | Fate::Dropped => self.left_out.dropped += 1,
            Fate::Unknown => self.left_out.hidden += 1,
        }
    }

    /// Any cell; see [`common`] for the usual one.
    #[inline(never)]
    fn read_cell(
        &mut self,
        r: &mut ByteReader<'_>,
        plan: &ColumnPlan,
        row: &mut Row,
    ) -> Result<(), DecodeError> {
        let liveness = row.liveness;
        let flags = r.read_u8("cell flags")?;
        let mut cell = Cell {
            timestamp: liveness.timestamp,
            local_deletion_time: LocalDeletionTime::NONE,
            ttl: NO_TTL,
            column: 0,
            source: 0,
            value: Span::default(),
            path: Span::default(),
        };
        if flags & !(CELL_ROW_TIMESTAMP | CELL_EMPTY_VALUE) != 0 {
            self.read_cell_times(r, flags, liveness, &mut cell)?;
        } else if flags & CELL_ROW_TIMESTAMP == 0 {
            cell.timestamp = self.codec.read_timestamp(r)?;
        } else if liveness.is_empty() {
            return Err(tag("cell flags", u64::from(flags), r.position() as u64 - 1));
        }
        if plan.complex {
            let len = r.read_vint_len("cell path")?;
            cell.path = take_span(r, len, "cell path")?;
        }
        if flags & CELL_EMPTY_VALUE == 0 {
            let len = if plan.fixed_len == VARIABLE {
                r.read_vint_len("value")?
            } else {
                plan.fixed_len as usize
            };
            cell.value = take_span(r, len, "value")?;
        }
        self.keep(plan, cell, row);
        Ok(())
    }

    fn read_cell_times(
        &self,
        r: &mut ByteReader<'_>,
        flags: u8,
        liveness: LivenessInfo,
        cell: &mut Cell,
    ) -> Result<(), DecodeError> {
        let at = r.position() as u64 - 1;
        let timed = flags & (CELL_DELETED | CELL_EXPIRING);
        let row_timestamp = flags & CELL_ROW_TIMESTAMP != 0;
        let row_ttl = flags & CELL_ROW_TTL != 0;
        if flags & !CELL_ALL != 0
            || timed == CELL_DELETED | CELL_EXPIRING
            || row_timestamp && liveness.is_empty()
            || row_ttl && liveness.ttl == NO_TTL
        {
            return Err(tag("cell flags", u64::from(flags), at));
        }
        if !row_timestamp {
            cell.timestamp = self.codec.read_timestamp(r)?;
        }
        if timed == 0 {
            return Ok(());
        }
        if row_ttl {
            cell.local_deletion_time = liveness.local_deletion_time;
            cell.ttl = liveness.ttl;
        } else {
            cell.local_deletion_time = self.codec.read_local_deletion_time(r)?;
            if timed == CELL_EXPIRING {
                cell.ttl = self.codec.read_ttl(r)?;
            }
        }
        if timed == CELL_DELETED {
            cell.ttl = NO_TTL;
        }
        if !cell.local_deletion_time.is_some() {
            // A deletion time of "never" on something deleted: no release writes it, but it must stay a deletion.
            cell.local_deletion_time = LocalDeletionTime(i64::MAX - 1);
        }
        Ok(())
    }
}
