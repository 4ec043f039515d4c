//! [`RowCodec`]: what the header of one SSTable and the schema of its table say about each column, worked out once.

use crate::cql::CqlType;
use crate::error::DecodeError;
use crate::schema::{ColumnKind, ColumnMetadata, DroppedColumn, TableMetadata};

use super::header::{HeaderColumn, SerializationHeader, sort_columns};

/// What becomes of a column's cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// They are cells of the table's column with this index.
    Keep(u16),
    /// The column was dropped and not added again.
    Dropped,
    /// The schema does not know the column at all.
    Unknown,
}

/// What to do with one column of the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColumnPlan {
    pub(super) fate: Fate,
    /// One cell per element.
    pub(super) complex: bool,
    /// Its cells are kept whatever their write time: the common case, which the hot path asks for first.
    pub(super) plain: bool,
    /// Length of values that are written without one; `u32::MAX` for those written with one.
    pub(super) fixed_len: u32,
    /// Cells written up to this are gone, although the column is there (dropped and added again).
    pub(super) dropped_micros: i64,
}

impl ColumnPlan {
    /// The column of the table, if cells need nothing but to be read and kept.
    #[inline]
    pub(super) fn plain(&self) -> Option<u16> {
        if self.plain { self.kept() } else { None }
    }

    /// The column of the table, unless it was dropped for good or is unknown.
    #[inline]
    pub(super) fn kept(&self) -> Option<u16> {
        match self.fate {
            Fate::Keep(column) => Some(column),
            Fate::Dropped | Fate::Unknown => None,
        }
    }
}

/// `u32::MAX`: the value has its length before it.
pub(super) const VARIABLE: u32 = u32::MAX;

/// A column that the SSTable has and the schema does not (for Cassandra an error; its cells are counted as hidden).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownColumn {
    /// Name.
    pub name: String,
    /// Static or regular.
    pub kind: ColumnKind,
}

/// How to take a dropped column of a user-defined type whose header has no `FrozenType` around it, while the schema
/// remembers a frozen tuple.
///
/// 3.0 writes frozen types so, 3.6 to 3.11 non-frozen ones, and both remember the dropped column as a frozen tuple: only the
/// data can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DroppedUdts {
    /// One cell per field, as the header says.
    MultiCell,
    /// One cell, as the schema says.
    Frozen,
}

/// How to decode the rows of one SSTable into rows of one table.
#[derive(Debug, Clone)]
pub struct RowCodec {
    pub(super) min_timestamp: i64,
    pub(super) min_local_deletion_time: i64,
    pub(super) min_ttl: i32,
    /// Unsigned local deletion times and one-byte live deletions, from `oa` on.
    pub(super) uint_deletion_time: bool,
    /// Fixed length or [`VARIABLE`] of each clustering column.
    pub(super) clustering: Vec<u32>,
    pub(super) statics: Vec<ColumnPlan>,
    pub(super) regulars: Vec<ColumnPlan>,
    /// False if the columns of the file come in another order than those of the table, so that cells must be sorted.
    pub(super) in_order: bool,
    /// Values of the `empty` type may hold bytes all the same (CASSANDRA-15778): only the row's size can be trusted.
    pub(super) empty_value_column: bool,
}

impl RowCodec {
    /// Works out the plan for an SSTable with `header` of `table`, and the columns that the schema does not know.
    ///
    /// `uint_deletion_time`: `Version::has_uint_deletion_time`.
    pub fn new(
        table: &TableMetadata,
        header: &SerializationHeader,
        uint_deletion_time: bool,
        dropped_udts: DroppedUdts,
    ) -> Result<(Self, Vec<UnknownColumn>), DecodeError> {
        if header.clustering_types.len() != table.clustering.len() {
            return Err(DecodeError::invalid(
                format!(
                    "the file has {} clustering columns, the schema of {} has {}",
                    header.clustering_types.len(),
                    table.qualified_name(),
                    table.clustering.len()
                ),
                0,
            ));
        }
        let clustering = header.clustering_types.iter().map(|t| fixed(&t.cql_type)).collect();
        let mut unknown = Vec::new();
        let statics = plans(
            &header.statics,
            &table.statics,
            ColumnKind::Static,
            table,
            dropped_udts,
            &mut unknown,
        );
        let regulars = plans(
            &header.regulars,
            &table.regulars,
            ColumnKind::Regular,
            table,
            dropped_udts,
            &mut unknown,
        );
        let in_order = are_in_order(&statics) && are_in_order(&regulars);
        let empty_value_column = header.regulars.iter().any(|c| c.cql_type == CqlType::Empty);
        let codec = Self {
            min_timestamp: header.min_timestamp,
            min_local_deletion_time: header.min_local_deletion_time,
            min_ttl: header.min_ttl,
            uint_deletion_time,
            clustering,
            statics,
            regulars,
            in_order,
            empty_value_column,
        };
        Ok((codec, unknown))
    }

    /// Works out the plan for updates of `table` with these columns, whose types are those of the schema; or which column the
    /// schema does not have. Times are set for each update.
    pub(super) fn for_update(
        table: &TableMetadata,
        statics: &[&[u8]],
        regulars: &[&[u8]],
        uint_deletion_time: bool,
        dropped_udts: DroppedUdts,
    ) -> Result<Self, UnknownColumn> {
        let plans = |names: &[&[u8]], kind| update_plans(names, table, kind, dropped_udts);
        let statics = plans(statics, ColumnKind::Static)?;
        let regulars = plans(regulars, ColumnKind::Regular)?;
        let in_order = are_in_order(&statics) && are_in_order(&regulars);
        Ok(Self {
            min_timestamp: 0,
            min_local_deletion_time: 0,
            min_ttl: 0,
            uint_deletion_time,
            clustering: table.clustering.iter().map(|c| fixed(&c.cql_type)).collect(),
            statics,
            regulars,
            in_order,
            empty_value_column: false,
        })
    }

    /// True if the header alone does not say how a dropped column is stored; see [`DroppedUdts`].
    pub fn has_ambiguous_dropped_column(
        table: &TableMetadata,
        header: &SerializationHeader,
    ) -> bool {
        let ambiguous = |columns: &[HeaderColumn], known: &[ColumnMetadata], kind| {
            columns.iter().any(|column| {
                matches!(column.cql_type, CqlType::Udt { frozen: false, .. })
                    && !known.iter().any(|k| k.name == column.name)
                    && dropped(table, column, kind).is_some_and(|d| !d.multi_cell)
            })
        };
        ambiguous(&header.statics, &table.statics, ColumnKind::Static)
            || ambiguous(&header.regulars, &table.regulars, ColumnKind::Regular)
    }

    /// True if every partition has a static row (possibly empty).
    pub fn has_static(&self) -> bool {
        !self.statics.is_empty()
    }
}

fn are_in_order(plans: &[ColumnPlan]) -> bool {
    plans.iter().filter_map(ColumnPlan::kept).is_sorted()
}

fn fixed(cql_type: &CqlType) -> u32 {
    cql_type.fixed_len().and_then(|len| u32::try_from(len).ok()).unwrap_or(VARIABLE)
}

fn plans(
    header: &[HeaderColumn],
    columns: &[ColumnMetadata],
    kind: ColumnKind,
    table: &TableMetadata,
    dropped_udts: DroppedUdts,
    unknown: &mut Vec<UnknownColumn>,
) -> Vec<ColumnPlan> {
    let mut header = header.to_vec();
    for column in &mut header {
        let frozen_in_schema = match columns.iter().find(|c| c.name == column.name) {
            Some(known) => !known.cql_type.is_multi_cell(),
            None => {
                dropped_udts == DroppedUdts::Frozen
                    && dropped(table, column, kind).is_some_and(|d| !d.multi_cell)
            }
        };
        // CASSANDRA-15035: 3.0 does not write FrozenType around a user-defined type, 3.6 and later do.
        if frozen_in_schema && matches!(column.cql_type, CqlType::Udt { .. }) {
            column.cql_type = column.cql_type.clone().freeze();
        }
    }
    sort_columns(&mut header);
    header
        .iter()
        .map(|column| {
            let dropped = dropped(table, column, kind);
            let complex = column.cql_type.is_multi_cell();
            let known = columns
                .iter()
                .position(|c| c.name == column.name && c.cql_type.is_multi_cell() == complex)
                .and_then(|index| u16::try_from(index).ok());
            let fate = match (known, dropped) {
                (Some(index), _) => Fate::Keep(index),
                (None, Some(_)) => Fate::Dropped,
                (None, None) => {
                    unknown.push(UnknownColumn { name: column.name.clone(), kind });
                    Fate::Unknown
                }
            };
            let dropped_micros = dropped.map_or(i64::MIN, |d| d.dropped_micros);
            ColumnPlan {
                fate,
                complex,
                plain: matches!(fate, Fate::Keep(_)) && dropped_micros == i64::MIN,
                fixed_len: fixed(&column.cql_type),
                dropped_micros,
            }
        })
        .collect()
}

fn dropped<'t>(
    table: &'t TableMetadata,
    column: &HeaderColumn,
    kind: ColumnKind,
) -> Option<&'t DroppedColumn> {
    table.dropped.iter().find(|d| d.name == column.name && d.kind == kind)
}

/// True if a dropped column was recorded as a frozen tuple, which it need not have been; see [`DroppedUdts`].
fn may_be_multi_cell(dropped: &DroppedColumn) -> bool {
    matches!(dropped.cql_type, CqlType::Tuple(_)) && !dropped.multi_cell
}

fn update_plans(
    names: &[&[u8]],
    table: &TableMetadata,
    kind: ColumnKind,
    dropped_udts: DroppedUdts,
) -> Result<Vec<ColumnPlan>, UnknownColumn> {
    let columns = match kind {
        ColumnKind::Static => &table.statics,
        ColumnKind::Regular | ColumnKind::PartitionKey | ColumnKind::Clustering => &table.regulars,
    };
    let mut plans = Vec::with_capacity(names.len());
    for &name in names {
        let known = columns.iter().position(|c| c.name.as_bytes() == name);
        let known = known.and_then(|at| Some((u16::try_from(at).ok()?, columns.get(at)?)));
        let dropped = table.dropped.iter().find(|d| d.name.as_bytes() == name && d.kind == kind);
        let (fate, cql_type, complex) = match (known, dropped) {
            (Some((at, column)), _) => {
                (Fate::Keep(at), &column.cql_type, column.cql_type.is_multi_cell())
            }
            (None, Some(column)) => {
                let multi_cell = column.multi_cell
                    || dropped_udts == DroppedUdts::MultiCell && may_be_multi_cell(column);
                (Fate::Dropped, &column.cql_type, multi_cell)
            }
            (None, None) => {
                return Err(UnknownColumn {
                    name: String::from_utf8_lossy(name).into_owned(),
                    kind,
                });
            }
        };
        let dropped_micros = dropped.map_or(i64::MIN, |d| d.dropped_micros);
        let plan = ColumnPlan {
            fate,
            complex,
            plain: matches!(fate, Fate::Keep(_)) && dropped_micros == i64::MIN,
            fixed_len: fixed(cql_type),
            dropped_micros,
        };
        plans.push((name, plan));
    }
    // As Cassandra does on reading: the order of the writer is that of its own types.
    plans.sort_by(|(a, x), (b, y)| ColumnMetadata::disk_order(x.complex, a, y.complex, b));
    Ok(plans.into_iter().map(|(_, plan)| plan).collect())
}

/// True if one of the columns was dropped and may have been stored otherwise than the schema remembers.
pub(super) fn has_ambiguous_column(
    names: &[&[u8]],
    table: &TableMetadata,
    kind: ColumnKind,
) -> bool {
    let ambiguous = table.dropped.iter().filter(|d| d.kind == kind && may_be_multi_cell(d));
    ambiguous.into_iter().any(|d| names.contains(&d.name.as_bytes()))
}
