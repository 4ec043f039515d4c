//! Write times and TTLs beside the values.

use super::dates::DateTables;
use super::json::{JsonWriter, udt_cell};
use super::numbers::put_i64;
use super::scalar::Written;
use crate::cql::CqlType;
use crate::rows::{Cell, LivenessInfo, LocalDeletionTime, NO_TIMESTAMP, NO_TTL, Row};

use super::buffer::TextBuffer;

/// The times of everything in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// Greatest write time; [`NO_TIMESTAMP`] if there is nothing.
    newest: i64,
    /// Something in it does not expire.
    permanent: bool,
    /// First and last second at which something expires; `first > last` if nothing does.
    first: i64,
    last: i64,
}

impl Times {
    pub(super) const NOTHING: Self =
        Self { newest: NO_TIMESTAMP, permanent: false, first: i64::MAX, last: i64::MIN };

    fn add(&mut self, timestamp: i64, ttl: i32, expires: LocalDeletionTime) {
        self.newest = self.newest.max(timestamp);
        if ttl == NO_TTL {
            self.permanent = true;
        } else {
            self.first = self.first.min(expires.0);
            self.last = self.last.max(expires.0);
        }
    }

    /// Adds the marker and the cells of a row.
    pub(super) fn add_row(&mut self, row: &Row) {
        if !row.liveness.is_empty() {
            let LivenessInfo { timestamp, ttl, local_deletion_time } = row.liveness;
            self.add(timestamp, ttl, local_deletion_time);
        }
        for cell in &row.cells {
            self.add(cell.timestamp, cell.ttl, cell.local_deletion_time);
        }
    }

    /// Both together.
    pub(super) fn with(mut self, other: &Self) -> Self {
        self.newest = self.newest.max(other.newest);
        self.permanent |= other.permanent;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self
    }

    /// Greatest write time.
    pub(super) fn newest(&self) -> Option<i64> {
        (self.newest != NO_TIMESTAMP).then_some(self.newest)
    }

    fn expires(&self) -> bool {
        self.first <= self.last
    }

    /// The second at which all of it expires at once.
    pub(super) fn common_expiry(&self) -> Option<i64> {
        (!self.permanent && self.expires() && self.first == self.last).then_some(self.last)
    }

    /// The second at which the last of it is gone, if all of it expires.
    pub(super) fn last_expiry(&self) -> Option<i64> {
        (!self.permanent && self.expires()).then_some(self.last)
    }

    /// Some of it expires, but not all at once.
    pub(super) fn is_mixed(&self) -> bool {
        self.expires() && (self.permanent || self.first != self.last)
    }
}

/// How write times and TTLs are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeStyle {
    /// As ISO 8601 in place of microseconds since 1970.
    pub(super) iso: bool,
    /// One write time (µs) in place of the original ones.
    pub(super) writetime: Option<i64>,
    /// The run's clock, seconds since 1970.
    pub(super) now: i64,
    /// The table's values have no times that CQL could say.
    pub(super) counter: bool,
}

impl TimeStyle {
    /// The write time to show for `timestamp`.
    pub(super) fn shown(&self, timestamp: i64) -> Option<i64> {
        if self.counter { None } else { Some(self.writetime.unwrap_or(timestamp)) }
    }

    /// The TTL left of what expires at `expires`.
    pub(super) fn ttl_left(&self, ttl: i32, expires: LocalDeletionTime) -> Option<i64> {
        (ttl != NO_TTL && !self.counter).then(|| expires.0.saturating_sub(self.now))
    }

    /// A write time, without quotes.
    pub(super) fn put_time(&self, out: &mut TextBuffer, tables: DateTables, micros: i64) {
        if self.iso {
            tables.put_micros_iso(out, micros);
        } else {
            put_i64(out, micros);
        }
    }
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellFact {
    WriteTime,
    Ttl,
}

impl CellFact {
    /// Of one cell.
    pub(super) fn of(self, cell: &Cell, style: &TimeStyle) -> Option<i64> {
        match self {
            Self::WriteTime => style.shown(cell.timestamp),
            Self::Ttl => style.ttl_left(cell.ttl, cell.local_deletion_time),
        }
    }
}

impl<const CSV: bool> JsonWriter<'_, CSV> {
    /// The fact of every element of a collection or every field of a user-defined type, as Cassandra 5.0 lists them.
    pub(super) fn cell_facts(
        &mut self,
        fact: CellFact,
        style: &TimeStyle,
        cql_type: &CqlType,
        cells: &[Cell],
        data: &[u8],
    ) -> Written {
        self.out.byte(b'[');
        if let CqlType::Udt { udt, .. } = cql_type {
            for i in 0..udt.fields.len() {
                let shown = udt_cell(cells, i, data).and_then(|cell| fact.of(cell, style));
                self.fact(i, fact, style, shown);
            }
        } else {
            for (i, cell) in cells.iter().enumerate() {
                self.fact(i, fact, style, fact.of(cell, style));
            }
        }
        self.out.byte(b']');
        Ok(())
    }

    fn fact(&mut self, index: usize, fact: CellFact, style: &TimeStyle, shown: Option<i64>) {
        if index > 0 {
            self.comma();
        }
        match shown {
            None => self.null(),
            Some(micros) if fact == CellFact::WriteTime && style.iso => {
                self.quote();
                style.put_time(self.out, self.tables, micros);
                self.quote();
            }
            Some(number) => put_i64(self.out, number),
        }
    }
}
