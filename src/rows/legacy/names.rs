//! Cell names of 2.x (`CellNameType`, `CompositeType`): which row, column and element a cell is of.
//!
//! ```text
//! composite  := [ff ff] if static, (bytes16 component, i8 end of component)*
//! sparse     c1..cn, column [, element]    an empty column is the row marker
//! dense      c1..cn, trailing ones may be missing; alone (n = 1) without lengths
//! static     raw column name (COMPACT STORAGE without clustering)
//! super      super column, subcolumn
//! ```
//! Which of them a table has stands in its schema and not in the file.

use std::cmp::Ordering;

use crate::cql::{CqlType, compare_values};
use crate::error::DecodeError;
use crate::rows::{ClusteringOrder, ClusteringValue, Row, RowView, Span};
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, TableMetadata};

const STATIC_PREFIX: [u8; 2] = [0xff, 0xff];

/// How the cells of a table are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Composite: clustering, column, element.
    Sparse,
    /// Composite: clustering. The column is the only one.
    Dense,
    /// The clustering value itself.
    SimpleDense,
    /// The column name itself.
    SimpleSparse,
    /// Composite: super column, subcolumn.
    Super,
}

/// What a column name stands for.
#[derive(Debug, Clone)]
pub(super) struct NamedColumn {
    pub(super) name: Vec<u8>,
    /// Its first bytes, which mostly are all of it, as a number.
    head: u64,
    /// The end of a composite name that names it and no element.
    tail: Vec<u8>,
    /// The table's column with this name, and whether it has elements.
    pub(super) column: Option<(u16, bool)>,
    /// Set if a column of this name was dropped: what was written up to then is gone.
    pub(super) dropped_micros: Option<i64>,
}

/// The first eight bytes as a number: cheaper to compare than a call.
#[inline]
fn head(name: &[u8]) -> u64 {
    match name.first_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => name.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

impl NamedColumn {
    fn new(name: Vec<u8>, column: Option<(u16, bool)>, dropped_micros: Option<i64>) -> Self {
        let head = head(&name);
        let mut tail = Vec::new();
        // A longer name is in no composite.
        if let Ok(len) = u16::try_from(name.len()) {
            tail.extend_from_slice(&len.to_be_bytes());
            tail.extend_from_slice(&name);
            tail.push(0);
        }
        Self { name, head, tail, column, dropped_micros }
    }

    #[inline]
    fn is_named(&self, name: &[u8], name_head: u64) -> bool {
        self.head == name_head
            && self.name.len() == name.len()
            && (name.len() <= 8 || self.name == name)
    }
}

/// What a cell is of, besides its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// The row marker.
    Marker,
    /// A column, whole or (`complex`) an element of it. What was written up to `dropped_micros` is gone.
    Column { column: u16, complex: bool, path: Span, dropped_micros: i64 },
    /// A column that was dropped.
    Dropped,
    /// A column that the schema does not know, or a dynamic one that CQL cannot show.
    Hidden,
    /// A key column, which no cell should be of (CASSANDRA-15365).
    Key,
}

/// How the atoms of one table become rows: naming, columns, order.
#[derive(Debug, Clone)]
pub struct LegacyLayout {
    pub(super) naming: Naming,
    pub(super) clustering: usize,
    pub(super) order: ClusteringOrder,
    /// Names that begin with other bytes are of other rows: no two clusterings are equal and not of the same bytes.
    pub(super) exact: bool,
    /// Ascending by name.
    pub(super) statics: Vec<NamedColumn>,
    /// Ascending by name.
    pub(super) regulars: Vec<NamedColumn>,
    keys: Vec<Vec<u8>>,
    /// Type of the names of simple sparse tables.
    name_type: CqlType,
    /// The only regular column of dense tables; the map of super ones.
    value: Option<u16>,
}

fn named(
    columns: &[ColumnMetadata],
    table: &TableMetadata,
    kind: ColumnKind,
    bytes: impl Fn(&str) -> Vec<u8>,
) -> Vec<NamedColumn> {
    let mut named: Vec<NamedColumn> = columns
        .iter()
        .zip(0_u16..)
        .map(|(column, index)| {
            let place = (index, column.cql_type.is_multi_cell());
            NamedColumn::new(bytes(&column.name), Some(place), None)
        })
        .collect();
    for dropped in &table.dropped {
        let name = bytes(&dropped.name);
        match named.iter_mut().find(|c| c.name == name) {
            Some(column) if dropped.kind == kind => {
                column.dropped_micros = Some(dropped.dropped_micros);
            }
            Some(_) => {}
            // The schema of 2.x does not say whether a dropped column was static.
            None => named.push(NamedColumn::new(name, None, Some(dropped.dropped_micros))),
        }
    }
    named.sort_by(|a, b| a.name.cmp(&b.name));
    named
}

/// The bytes of a Thrift column's name, which the schema has as text.
fn name_bytes(name: &str, name_type: &CqlType) -> Vec<u8> {
    let parsed = match name_type {
        CqlType::Int => name.parse::<i32>().ok().map(|n| n.to_be_bytes().to_vec()),
        CqlType::Bigint => name.parse::<i64>().ok().map(|n| n.to_be_bytes().to_vec()),
        CqlType::Varint => name.parse::<num_bigint::BigInt>().ok().map(|n| n.to_signed_bytes_be()),
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => {
            name.parse::<uuid::Uuid>().ok().map(|id| id.as_bytes().to_vec())
        }
        CqlType::Blob => hex_simd::decode_to_vec(name.trim_start_matches("0x")).ok(),
        _ => None,
    };
    parsed.unwrap_or_else(|| name.as_bytes().to_vec())
}

/// A composite taken apart, one component after the other.
#[derive(Debug, Clone)]
pub(super) struct Components<'a> {
    data: &'a [u8],
    at: usize,
    end: usize,
    /// End-of-component byte of the last one: 0, 1 (END) or -1 (START).
    pub(super) eoc: i8,
    pub(super) is_static: bool,
}

impl<'a> Components<'a> {
    /// Of the composite at `name` in `data`.
    pub(super) fn new(data: &'a [u8], name: Span) -> Self {
        let is_static = name.of(data).starts_with(&STATIC_PREFIX);
        let at = name.start as usize + if is_static { STATIC_PREFIX.len() } else { 0 };
        Self { data, at, end: name.start as usize + name.len as usize, eoc: 0, is_static }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Span>, DecodeError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let rest = self.data.get(self.at..self.end).unwrap_or_default();
        let bad = || DecodeError::invalid("a cell name is not a composite", self.at as u64);
        let (len, body) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let eoc = *body.get(len).ok_or_else(bad)?;
        let start = u32::try_from(self.at + 2).map_err(|_| bad())?;
        let component = Span { start, len: u32::try_from(len).map_err(|_| bad())? };
        self.at += 2 + len + 1;
        self.eoc = eoc.cast_signed();
        Ok(Some(component))
    }
}

impl LegacyLayout {
    /// The layout of `table`, whose columns are those of 3.0: hidden clustering and value columns of compact tables are there.
    pub fn new(table: &TableMetadata) -> Self {
        let clustering = table.clustering.len();
        let naming = match table.compact {
            CompactKind::None => Naming::Sparse,
            CompactKind::Dense if clustering == 1 => Naming::SimpleDense,
            CompactKind::Dense => Naming::Dense,
            CompactKind::StaticCompact => Naming::SimpleSparse,
            CompactKind::Super => Naming::Super,
        };
        let name_type = match (naming, table.clustering.first()) {
            (Naming::SimpleSparse, Some(column)) => column.cql_type.clone(),
            _ => CqlType::Text,
        };
        let bytes = |name: &str| name_bytes(name, &name_type);
        let regulars = named(&table.regulars, table, ColumnKind::Regular, bytes);
        let value = match naming {
            Naming::Dense | Naming::SimpleDense => (!table.regulars.is_empty()).then_some(0),
            Naming::Super => {
                let map = regulars.iter().find(|c| c.name.is_empty());
                map.and_then(|c| c.column).map(|(index, _)| index)
            }
            Naming::Sparse | Naming::SimpleSparse => None,
        };
        let keys = table.partition_key.iter().chain(&table.clustering);
        Self {
            naming,
            clustering,
            order: ClusteringOrder::new(table),
            exact: naming == Naming::Sparse
                && table.clustering.iter().all(|column| is_exact(&column.cql_type)),
            statics: named(&table.statics, table, ColumnKind::Static, bytes),
            regulars,
            keys: keys.map(|c| c.name.as_bytes().to_vec()).collect(),
            name_type,
            value,
        }
    }

    /// True if all of a partition is its static row: tables with COMPACT STORAGE and no clustering.
    pub fn is_all_static(&self) -> bool {
        self.naming == Naming::SimpleSparse
    }

    /// True if a cell can have an empty name, which is what ends a partition: a DELETE of the empty clustering of a table with
    /// COMPACT STORAGE and one clustering column makes one. Cassandra reads no further in such a partition.
    pub fn may_have_empty_name(&self) -> bool {
        self.naming == Naming::SimpleDense
    }

    /// True if partitions may have a static row.
    pub fn has_static(&self) -> bool {
        !self.statics.is_empty()
    }

    /// True if partitions may begin with static cells, of columns that the schema has or had.
    pub fn may_have_static(&self) -> bool {
        match self.naming {
            Naming::SimpleSparse => true,
            Naming::Sparse => self.clustering > 0,
            Naming::Dense | Naming::SimpleDense | Naming::Super => false,
        }
    }

    /// True if `name` is of the static row.
    pub fn is_static_name(&self, name: &[u8]) -> bool {
        match self.naming {
            Naming::SimpleSparse => true,
            Naming::Sparse => name.starts_with(&STATIC_PREFIX),
            Naming::Dense | Naming::SimpleDense | Naming::Super => false,
        }
    }

    /// Reads the clustering that the cell name at `name` begins with; returns where its bytes end.
    pub(super) fn read_clustering(
        &self,
        data: &[u8],
        name: Span,
        values: &mut Vec<ClusteringValue>,
    ) -> Result<usize, DecodeError> {
        values.clear();
        if self.naming == Naming::SimpleDense {
            values.push(ClusteringValue::Value(name));
            return Ok(name.start as usize + name.len as usize);
        }
        let mut components = Components::new(data, name);
        while values.len() < self.clustering {
            match components.next()? {
                Some(value) => values.push(ClusteringValue::Value(value)),
                None if self.naming == Naming::Dense => values.push(ClusteringValue::Null),
                None => {
                    let words = format!(
                        "a cell name has {} components, the table has {} clustering columns",
                        values.len(),
                        self.clustering
                    );
                    return Err(DecodeError::invalid(words, name.start.into()));
                }
            }
        }
        Ok(components.position())
    }

    /// Reads the values of clustering columns that a name begins with, of a cell or a bound, into `values`; false for a static
    /// one and for one that says nothing.
    pub fn read_prefix(
        &self,
        data: &[u8],
        name: Span,
        values: &mut Vec<ClusteringValue>,
    ) -> Result<bool, DecodeError> {
        values.clear();
        if name.len == 0 || self.is_static_name(name.of(data)) {
            return Ok(false);
        }
        if self.naming == Naming::SimpleDense {
            values.push(ClusteringValue::Value(name));
            return Ok(true);
        }
        let mut components = Components::new(data, name);
        while values.len() < self.clustering
            && let Some(value) = components.next()?
        {
            values.push(ClusteringValue::Value(value));
        }
        Ok(true)
    }

    /// What the rest of a cell name, from `at` on, says. `hint` remembers the place behind the last column that was found.
    #[inline(always)]
    pub(super) fn target(
        &self,
        data: &[u8],
        name: Span,
        at: usize,
        is_static: bool,
        hint: &mut usize,
    ) -> Result<Target, DecodeError> {
        if let Naming::Dense | Naming::SimpleDense = self.naming {
            return Ok(match self.value {
                Some(column) => Target::Column {
                    column,
                    complex: false,
                    path: Span::default(),
                    dropped_micros: i64::MIN,
                },
                None => Target::Marker,
            });
        }
        let end = name.start as usize + name.len as usize;
        let columns = if is_static { &self.statics } else { &self.regulars };
        // Mostly the column after the last one, whole.
        let tail = data.get(at..end).unwrap_or_default();
        if let Some(next) = columns.get(*hint)
            && same(&next.tail, tail)
            && self.naming == Naming::Sparse
        {
            *hint += 1;
            return Ok(self.resolve(Some(next), &[], None));
        }
        let mut rest = Components { data, at, end, eoc: 0, is_static };
        let Some(column) = rest.next()? else {
            let words = "a cell name without a column";
            return Err(DecodeError::invalid(words, name.start.into()));
        };
        if column.len == 0 && self.naming == Naming::Sparse {
            return Ok(Target::Marker);
        }
        let element = rest.next()?;
        if element.is_some() && rest.next()?.is_some() {
            let words = "a cell name with components after the element";
            return Err(DecodeError::invalid(words, name.start.into()));
        }
        let found = find(columns, column.of(data), hint);
        if self.naming == Naming::Super && found.is_none_or(|c| c.name.is_empty()) {
            return Ok(match self.value {
                Some(map) => Target::Column {
                    column: map,
                    complex: true,
                    path: column,
                    dropped_micros: i64::MIN,
                },
                None => Target::Hidden,
            });
        }
        Ok(self.resolve(found, column.of(data), element))
    }

    #[inline]
    fn resolve(&self, found: Option<&NamedColumn>, name: &[u8], element: Option<Span>) -> Target {
        match found {
            Some(NamedColumn { column: Some((column, complex)), dropped_micros, .. })
                if *complex == element.is_some() =>
            {
                let path = element.unwrap_or_default();
                let dropped_micros = dropped_micros.unwrap_or(i64::MIN);
                Target::Column { column: *column, complex: *complex, path, dropped_micros }
            }
            Some(NamedColumn { dropped_micros: Some(_), .. }) => Target::Dropped,
            Some(_) => Target::Hidden,
            None if self.keys.iter().any(|key| key == name) => Target::Key,
            None => Target::Hidden,
        }
    }

    /// The static column of a simple sparse table that is named `name`.
    pub(super) fn simple_target(&self, name: &[u8], hint: &mut usize) -> Target {
        match find(&self.statics, name, hint) {
            None => Target::Hidden,
            found => self.resolve(found, name, None),
        }
    }

    /// The static columns of a simple sparse table with names from `start` to `end`; empty for no bound.
    pub(super) fn simple_columns_in<'s>(
        &'s self,
        start: &'s [u8],
        end: &'s [u8],
    ) -> impl Iterator<Item = u16> + 's {
        let inside = move |name: &[u8]| {
            (start.is_empty() || compare_values(&self.name_type, start, name).is_le())
                && (end.is_empty() || compare_values(&self.name_type, name, end).is_le())
        };
        self.statics.iter().filter(move |c| inside(&c.name)).filter_map(|c| Some(c.column?.0))
    }

    /// The complex column that a bound names, and the time up to which it was dropped; none for one that is not there now.
    pub(super) fn complex_column(
        &self,
        name: &[u8],
        is_static: bool,
        hint: &mut usize,
    ) -> Option<(u16, i64)> {
        let columns = if is_static { &self.statics } else { &self.regulars };
        match find(columns, name, hint)? {
            NamedColumn { column: Some((column, true)), dropped_micros, .. } => {
                Some((*column, dropped_micros.unwrap_or(i64::MIN)))
            }
            NamedColumn { .. } => None,
        }
    }

    /// Compares two clusterings; see [`ClusteringOrder::compare`].
    pub(super) fn compare(
        &self,
        (a, a_data, a_side): (&Row, &[u8], i8),
        (b, b_data, b_side): (&Row, &[u8], i8),
    ) -> Ordering {
        let (a, b) = (RowView { row: a, data: a_data }, RowView { row: b, data: b_data });
        self.order.compare(a, a_side, b, b_side)
    }
}

/// True if two values of the type that are not of the same bytes are not equal; where that is not certain, false.
fn is_exact(cql_type: &CqlType) -> bool {
    matches!(
        cql_type,
        CqlType::Ascii
            | CqlType::Text
            | CqlType::Blob
            | CqlType::Inet
            | CqlType::Int
            | CqlType::Bigint
            | CqlType::Timestamp
            | CqlType::Uuid
    )
}

/// `a == b`, in words and without a call.
#[inline]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(a_last), Some(b_last)) = (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        let word = |bytes: &[u8]| bytes.first_chunk::<8>().map(|word| u64::from_ne_bytes(*word));
        // The last eight bytes differ most often.
        return a_last == b_last
            && a.chunks_exact(8).zip(b.chunks_exact(8)).all(|(a, b)| word(a) == word(b));
    }
    match (a.first_chunk::<4>(), b.first_chunk::<4>()) {
        (Some(a_first), Some(b_first)) => {
            a_first == b_first && a.last_chunk::<4>() == b.last_chunk::<4>()
        }
        _ => a.iter().eq(b),
    }
}

/// The column named `name`; cells come in order of names, so it is mostly the one after the last.
#[inline]
fn find<'c>(columns: &'c [NamedColumn], name: &[u8], hint: &mut usize) -> Option<&'c NamedColumn> {
    let name_head = head(name);
    for at in [hint.saturating_sub(1), *hint] {
        if let Some(column) = columns.get(at)
            && column.is_named(name, name_head)
        {
            *hint = at + 1;
            return Some(column);
        }
    }
    let at = columns.binary_search_by(|c| c.name.as_slice().cmp(name)).ok()?;
    *hint = at + 1;
    columns.get(at)
}
