//! Range tombstones of 2.x: what they delete, in the terms of 3.0 (`LegacyLayout.decodeBound`, `LegacyRangeTombstone`).
//!
//! A bound is the beginning of a cell name; its last end-of-component byte says on which side of the names that begin with it
//! it lies. One tombstone may stand for a row, a collection of a row, or a range of rows, and may touch the static row.

use crate::error::DecodeError;
use crate::rows::{ClusteringValue, DeletionTime, Row, Span};

use super::atom::LegacyRange;
use super::names::{Components, LegacyLayout, Naming};

/// A place among the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    /// Its values are the clustering.
    pub(super) row: Row,
    /// -1: before the rows that have its values as prefix; 1: after them.
    pub(super) side: i8,
}

/// What a range tombstone deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// One row.
    Row,
    /// A column of one row, named by this: a collection, or a subcolumn.
    Column(Span),
    /// The rows from the start to the end.
    Range,
    /// No rows, only what [`DecodedRange::static_scope`] says.
    Nothing,
}

/// What of the static row is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StaticScope {
    Nothing,
    All,
    Column(Span),
}

/// A range tombstone taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DecodedRange {
    pub(super) start: Bound,
    pub(super) end: Bound,
    pub(super) scope: Scope,
    pub(super) static_scope: StaticScope,
    pub(super) deletion: DeletionTime,
}

struct RawBound {
    bound: Bound,
    column: Option<Span>,
    is_static: bool,
    /// Says nothing: the start or the end of the partition.
    open: bool,
}

fn decode_bound(
    layout: &LegacyLayout,
    data: &[u8],
    name: Span,
    is_start: bool,
) -> Result<RawBound, DecodeError> {
    let mut row = Row::EMPTY;
    let outer = if is_start { -1 } else { 1 };
    let open = name.len == 0;
    let mut found = RawBound {
        bound: Bound { row: Row::EMPTY, side: outer },
        column: None,
        is_static: false,
        open,
    };
    if open {
        return Ok(found);
    }
    if layout.naming == Naming::SimpleDense {
        found.bound.row.clustering.push(ClusteringValue::Value(name));
        return Ok(found);
    }
    let mut components = Components::new(data, name);
    found.is_static = components.is_static;
    let mut count = 0;
    while let Some(component) = components.next()? {
        if count < layout.clustering {
            row.clustering.push(ClusteringValue::Value(component));
        } else if count == layout.clustering && layout.naming != Naming::Dense {
            found.column = Some(component);
        } else {
            let words = "a bound of a range tombstone with more components than a deletion has";
            return Err(DecodeError::invalid(words, name.start.into()));
        }
        count += 1;
    }
    let eoc = components.eoc;
    found.bound.side = if is_start {
        if eoc <= 0 { -1 } else { 1 }
    } else if eoc == 0 && count < layout.clustering {
        // The exact prefix and nothing longer (CASSANDRA-12423).
        row.clustering.push(ClusteringValue::Value(Span { start: name.start, len: 0 }));
        -1
    } else if eoc >= 0 {
        1
    } else {
        -1
    };
    found.bound.row = row;
    Ok(found)
}

/// True if both have the same values; not always the same bytes (decimals).
fn same_values(layout: &LegacyLayout, a: &Bound, b: &Bound, data: &[u8]) -> bool {
    a.row.clustering.len() == b.row.clustering.len()
        && layout.compare((&a.row, data, 0), (&b.row, data, 0)).is_eq()
}

impl DecodedRange {
    /// Takes `range` apart; not for simple sparse tables.
    pub(super) fn new(
        layout: &LegacyLayout,
        data: &[u8],
        range: &LegacyRange,
    ) -> Result<Self, DecodeError> {
        let mut start = decode_bound(layout, data, range.start, true)?;
        let mut end = decode_bound(layout, data, range.end, false)?;
        let column = match (start.column, end.column) {
            (Some(a), Some(b))
                if a.of(data) == b.of(data)
                    && start.is_static == end.is_static
                    && same_values(layout, &start.bound, &end.bound, data) =>
            {
                Some(a)
            }
            (from, to) => {
                // 2.x cuts a larger tombstone around that of a collection. The parts are widened to the whole row: what lies
                // between them is covered by the tombstone they were cut around.
                if layout.naming == Naming::Super && from.is_some() && to.is_some() {
                    let words =
                        "a range tombstone over several subcolumns, which CQL has no form for";
                    let kind = crate::error::DecodeErrorKind::Unsupported(words.into());
                    return Err(DecodeError::new(kind, range.start.start.into()));
                }
                if from.is_some() {
                    start.bound.side = -1;
                }
                if to.is_some() {
                    end.bound.side = 1;
                }
                None
            }
        };
        let mut static_scope = StaticScope::Nothing;
        let mut scope = match column {
            Some(column) => Scope::Column(column),
            None if start.bound.row.clustering.len() == layout.clustering
                && layout.clustering > 0
                && same_values(layout, &start.bound, &end.bound, data) =>
            {
                Scope::Row
            }
            None => Scope::Range,
        };
        if end.is_static {
            static_scope = column.map_or(StaticScope::All, StaticScope::Column);
            scope = Scope::Nothing;
        } else if start.is_static {
            if start.bound.side < 0 {
                static_scope = StaticScope::All;
            }
            start.bound = Bound { row: Row::EMPTY, side: -1 };
            scope = Scope::Range;
        } else if start.open && layout.has_static() {
            static_scope = StaticScope::All;
        }
        Ok(Self {
            start: start.bound,
            end: end.bound,
            scope,
            static_scope,
            deletion: range.deletion,
        })
    }
}
