//! The order of rows and bounds in a partition, and of elements in a complex column.

use std::cmp::Ordering;

use super::{ClusteringValue, RowView};
use crate::cql::{CqlType, compare_values};
use crate::schema::{ColumnMetadata, TableMetadata};

/// Compares clusterings and cell paths of one table (`ClusteringComparator`, `ColumnMetadata.cellPathComparator`).
#[derive(Debug, Clone)]
pub struct ClusteringOrder {
    clustering: Vec<(CqlType, bool)>,
    static_paths: Vec<CqlType>,
    regular_paths: Vec<CqlType>,
    static_ranks: Vec<u16>,
    regular_ranks: Vec<u16>,
    is_known: bool,
}

/// Types of others, which only their own code can order.
fn is_known(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Custom(_) | CqlType::DynamicComposite(_) => false,
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => is_known(element),
        CqlType::Map { key, value, .. } => is_known(key) && is_known(value),
        CqlType::Tuple(elements) | CqlType::Composite(elements) => elements.iter().all(is_known),
        CqlType::Udt { udt, .. } => udt.fields.iter().all(|(_, field)| is_known(field)),
        _ => true,
    }
}

/// For each column its place in the order of names.
fn name_ranks(columns: &[ColumnMetadata]) -> Vec<u16> {
    let mut names: Vec<&[u8]> = columns.iter().map(|column| column.name.as_bytes()).collect();
    names.sort_unstable();
    let rank = |column: &ColumnMetadata| names.partition_point(|n| *n < column.name.as_bytes());
    columns.iter().map(|column| u16::try_from(rank(column)).unwrap_or(u16::MAX)).collect()
}

impl ClusteringOrder {
    /// The order of `table`.
    pub fn new(table: &TableMetadata) -> Self {
        Self {
            clustering: table.clustering.iter().map(|c| (c.cql_type.clone(), c.reversed)).collect(),
            static_paths: table.statics.iter().map(|c| c.cql_type.cell_path_type()).collect(),
            regular_paths: table.regulars.iter().map(|c| c.cql_type.cell_path_type()).collect(),
            static_ranks: name_ranks(&table.statics),
            regular_ranks: name_ranks(&table.regulars),
            is_known: table.clustering.iter().all(|column| is_known(&column.cql_type)),
        }
    }

    /// True if [`Self::compare`] orders rows as Cassandra does: not where a clustering column has a type of others.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Compares two rows or bounds; `side` is [`crate::rows::ClusteringKind::side`], 0 for a row.
    pub fn compare(&self, a: RowView<'_>, a_side: i8, b: RowView<'_>, b_side: i8) -> Ordering {
        let (a_values, b_values) = (&a.row.clustering, &b.row.clustering);
        for ((cql_type, reversed), (x, y)) in
            self.clustering.iter().zip(a_values.iter().zip(b_values))
        {
            let order = match (x, y) {
                (ClusteringValue::Value(x), ClusteringValue::Value(y)) => {
                    let order = compare_values(cql_type, x.of(a.data), y.of(b.data));
                    if *reversed { order.reverse() } else { order }
                }
                (ClusteringValue::Null, ClusteringValue::Null) => Ordering::Equal,
                (ClusteringValue::Null, ClusteringValue::Value(_)) => Ordering::Less,
                (ClusteringValue::Value(_), ClusteringValue::Null) => Ordering::Greater,
            };
            if order.is_ne() {
                return order;
            }
        }
        match a_values.len().cmp(&b_values.len()) {
            // The side says where the shorter one lies among the rows that begin with its values.
            Ordering::Less => a_side.cmp(&0),
            Ordering::Greater => 0.cmp(&b_side),
            Ordering::Equal => a_side.cmp(&b_side),
        }
    }

    /// A number that grows with the first clustering value: of two rows with different numbers the one with the smaller comes
    /// first. None where the type has no such number, or there is no value.
    #[inline]
    pub fn leading(&self, view: RowView<'_>) -> Option<u64> {
        let (cql_type, reversed) = self.clustering.first()?;
        let bytes = view.row.clustering.first()?.bytes(view.data)?;
        let number = match cql_type {
            CqlType::Int => {
                u64::from((i32::from_be_bytes(bytes.try_into().ok()?) ^ i32::MIN).cast_unsigned())
            }
            CqlType::Bigint | CqlType::Timestamp => {
                (i64::from_be_bytes(bytes.try_into().ok()?) ^ i64::MIN).cast_unsigned()
            }
            CqlType::Ascii | CqlType::Text | CqlType::Blob | CqlType::Date | CqlType::Time => {
                match bytes.first_chunk::<8>() {
                    Some(first) => u64::from_be_bytes(*first),
                    None => bytes.iter().rev().fold(0, |rest, &b| rest >> 8 | u64::from(b) << 56),
                }
            }
            CqlType::Timeuuid => {
                let high = u64::from_be_bytes(*<&[u8; 16]>::try_from(bytes).ok()?.first_chunk()?);
                (high << 48) | ((high << 16) & 0xffff_0000_0000) | (high >> 32)
            }
            _ => return None,
        };
        Some(if *reversed { !number } else { number })
    }

    /// The place of a column in the order of names, in which 2.x stores them.
    pub fn name_rank(&self, is_static: bool, column: u16) -> u16 {
        let ranks = if is_static { &self.static_ranks } else { &self.regular_ranks };
        ranks.get(usize::from(column)).copied().unwrap_or(u16::MAX)
    }

    /// Compares two elements of a complex column.
    pub fn compare_paths(&self, is_static: bool, column: u16, a: &[u8], b: &[u8]) -> Ordering {
        let types = if is_static { &self.static_paths } else { &self.regular_paths };
        match types.get(usize::from(column)) {
            Some(cql_type) => compare_values(cql_type, a, b),
            None => a.cmp(b),
        }
    }
}
