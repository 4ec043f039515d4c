//! The order of rows and bounds in a partition, and of elements in a complex column.

use std::cmp::Ordering;

use crate::cql::{CqlType, compare_values};
use crate::rows::{ClusteringValue, RowView};
use crate::schema::{ColumnMetadata, TableMetadata};

/// Compares clusterings and cell paths of one table (`ClusteringComparator`, `ColumnMetadata.cellPathComparator`).
#[derive(Debug, Clone)]
pub struct ClusteringOrder {
    clustering: Vec<(CqlType, bool)>,
    static_paths: Vec<CqlType>,
    regular_paths: Vec<CqlType>,
}

fn path_type(column: &ColumnMetadata) -> CqlType {
    match &column.cql_type {
        // The path of a list element is a time uuid that orders the list.
        CqlType::List { .. } => CqlType::Timeuuid,
        CqlType::Set { element, .. } => (**element).clone(),
        CqlType::Map { key, .. } => (**key).clone(),
        // The path of a field is its index as a 16-bit number.
        CqlType::Udt { .. } => CqlType::Smallint,
        _ => CqlType::Blob,
    }
}

impl ClusteringOrder {
    /// The order of `table`.
    pub fn new(table: &TableMetadata) -> Self {
        Self {
            clustering: table.clustering.iter().map(|c| (c.cql_type.clone(), c.reversed)).collect(),
            static_paths: table.statics.iter().map(path_type).collect(),
            regular_paths: table.regulars.iter().map(path_type).collect(),
        }
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

    /// Compares two elements of a complex column.
    pub fn compare_paths(&self, is_static: bool, column: u16, a: &[u8], b: &[u8]) -> Ordering {
        let types = if is_static { &self.static_paths } else { &self.regular_paths };
        match types.get(usize::from(column)) {
            Some(cql_type) => compare_values(cql_type, a, b),
            None => a.cmp(b),
        }
    }

    /// True if columns of this index are complex in `table`'s static or regular columns.
    pub fn has_clustering(&self) -> bool {
        !self.clustering.is_empty()
    }
}
