//! The order of rows and bounds in a partition, and of elements in a complex column.

use std::cmp::Ordering;

use super::{ClusteringValue, RowView};
use crate::cql::{CqlType, compare_values, fields_present};
use crate::schema::{ColumnMetadata, RowOrder, TableMetadata};

/// Compares clusterings and cell paths of one table (`ClusteringComparator`, `ColumnMetadata.cellPathComparator`).
#[derive(Debug, Clone)]
pub struct ClusteringOrder {
    clustering: Vec<(CqlType, bool)>,
    of_release: RowOrder,
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

fn is_tuple(cql_type: &CqlType) -> bool {
    matches!(cql_type, CqlType::Tuple(_) | CqlType::Udt { .. })
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
            of_release: table.order,
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
                (ClusteringValue::Value(x), ClusteringValue::Value(y))
                    if self.of_release.by_bytes =>
                {
                    x.of(a.data).cmp(y.of(b.data))
                }
                (ClusteringValue::Value(x), ClusteringValue::Value(y)) => {
                    let (x_bytes, y_bytes) = (x.of(a.data), y.of(b.data));
                    let mut order = compare_values(cql_type, x_bytes, y_bytes);
                    if order.is_eq() && self.of_release.short_tuples_first && is_tuple(cql_type) {
                        order = fields_present(x_bytes).cmp(&fields_present(y_bytes));
                    }
                    let as_others = self.of_release.empty_first && (x.len == 0 || y.len == 0);
                    if *reversed && !as_others { order.reverse() } else { order }
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
        Some(match reversed {
            true if self.of_release.empty_first && bytes.is_empty() => 0,
            true => !number,
            false => number,
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Row, Span};
    use crate::schema::parse_schema;

    #[test]
    fn empty_values_of_descending_columns_are_where_the_release_has_them() {
        let text = "CREATE TABLE k.t (p int, a text, b text, PRIMARY KEY (p, a, b)) \
                    WITH CLUSTERING ORDER BY (a DESC, b ASC);";
        let data = b"xy";
        // `len` bytes from `start` on.
        let row = |values: [(u32, u32); 2]| Row {
            clustering: values
                .map(|(start, len)| ClusteringValue::Value(Span { start, len }))
                .to_vec(),
            ..Row::EMPTY
        };
        let (x, y, empty) = ((0, 1), (1, 1), (0, 0));
        for (release, in_order) in [
            ("2.2.7", [[empty, empty], [empty, x], [y, empty], [x, empty], [x, x]]),
            ("2.2.8", [[y, empty], [x, empty], [x, x], [empty, empty], [empty, x]]),
        ] {
            let mut schema = parse_schema(text, None).unwrap();
            schema.order_as(release);
            let order = ClusteringOrder::new(schema.table("k", "t").unwrap());
            let rows = in_order.map(row);
            let views: Vec<_> = rows.iter().map(|row| RowView { row, data }).collect();
            for (i, &a) in views.iter().enumerate() {
                for (j, &b) in views.iter().enumerate() {
                    assert_eq!(order.compare(a, 0, b, 0), i.cmp(&j), "{release}, {i}, {j}");
                    let leading = order.leading(a).cmp(&order.leading(b));
                    assert!(leading.is_eq() || leading == i.cmp(&j), "{release}, {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn sets_and_maps_that_are_whole_names_are_ordered_by_their_bytes_in_2_x() {
        // {0x}, {0xff} and {0x, 0xff}; as maps the same with empty values.
        let values: [&[u8]; 3] = [
            b"\0\0\0\x01\0\0\0\0",
            b"\0\0\0\x01\0\0\0\x01\xff",
            b"\0\0\0\x02\0\0\0\0\0\0\0\x01\xff",
        ];
        let compact = "WITH COMPACT STORAGE";
        for (cql_type, with, release, by_bytes) in [
            ("frozen<set<blob>>", compact, "2.1.22", true),
            ("frozen<set<blob>>", compact, "3.0.29", false),
            ("frozen<set<blob>>", "", "2.1.22", false),
            ("frozen<set<int>>", compact, "2.1.22", false),
            ("frozen<list<blob>>", compact, "2.1.22", false),
            ("frozen<map<blob, int>>", compact, "2.2.19", true),
        ] {
            let text = format!(
                "CREATE TABLE k.t (p int, c {cql_type}, v int, PRIMARY KEY (p, c)) {with};"
            );
            let mut schema = parse_schema(&text, None).unwrap();
            schema.order_as(release);
            let table = schema.table("k", "t").unwrap();
            assert_eq!(table.order.by_bytes, by_bytes, "{text} {release}");
            if !cql_type.contains("set<blob>") {
                continue;
            }
            let data = values.concat();
            let mut start = 0;
            let rows = values.map(|value| {
                let len = u32::try_from(value.len()).unwrap();
                let span = Span { start, len };
                start += len;
                Row { clustering: vec![ClusteringValue::Value(span)], ..Row::EMPTY }
            });
            let order = ClusteringOrder::new(table);
            let compare = |i: usize, j: usize| {
                let view = |i: usize| RowView { row: &rows[i], data: &data };
                order.compare(view(i), 0, view(j), 0)
            };
            assert_eq!(compare(0, 2), Ordering::Less);
            assert_eq!(compare(1, 2), if by_bytes { Ordering::Less } else { Ordering::Greater });
        }
    }

    #[test]
    fn a_tuple_without_its_last_field_is_where_the_release_has_it() {
        let text =
            "CREATE TABLE k.t (p int, c frozen<tuple<int, decimal>>, v int, PRIMARY KEY (p, c));";
        // (7), (7, null), (7, 1) and (7, 1.0), which is as much.
        let values: [&[u8]; 4] = [
            b"\0\0\0\x04\0\0\0\x07",
            b"\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff",
            b"\0\0\0\x04\0\0\0\x07\0\0\0\x05\0\0\0\0\x01",
            b"\0\0\0\x04\0\0\0\x07\0\0\0\x05\0\0\0\x01\x0a",
        ];
        for (release, order_of_short) in [
            ("2.1.22", Ordering::Less),
            ("2.2.18", Ordering::Less),
            ("2.2.19", Ordering::Equal),
            ("3.0.23", Ordering::Less),
            ("3.0.24", Ordering::Equal),
            ("3.10", Ordering::Less),
            ("3.11.8", Ordering::Less),
            ("3.11.9", Ordering::Equal),
            ("4.0.0", Ordering::Equal),
        ] {
            let mut schema = parse_schema(text, None).unwrap();
            schema.order_as(release);
            let order = ClusteringOrder::new(schema.table("k", "t").unwrap());
            let compare = |a: &[u8], b: &[u8]| {
                let data = [a, b].concat();
                let (a_len, b_len) =
                    (u32::try_from(a.len()).unwrap(), u32::try_from(b.len()).unwrap());
                let row = |start, len| Row {
                    clustering: vec![ClusteringValue::Value(Span { start, len })],
                    ..Row::EMPTY
                };
                let (a, b) = (row(0, a_len), row(a_len, b_len));
                let view = |row| RowView { row, data: &data };
                order.compare(view(&a), 0, view(&b), 0)
            };
            assert_eq!(compare(values[0], values[1]), order_of_short, "{release}");
            assert_eq!(compare(values[1], values[0]), order_of_short.reverse(), "{release}");
            assert_eq!(compare(values[1], values[2]), Ordering::Less, "{release}");
            assert_eq!(compare(values[2], values[3]), Ordering::Equal, "{release}");
        }
    }

    #[test]
    fn releases_before_the_change_have_empty_values_first() {
        let mut schema = parse_schema("CREATE TABLE k.t (p int PRIMARY KEY);", None).unwrap();
        let mut empty_first = |release: &str| {
            schema.order_as(release);
            schema.table("k", "t").unwrap().order.empty_first
        };
        for release in ["2.0.17", "2.1.15", "2.1.9-SNAPSHOT", "2.2.7", "3.0.8", "3.1", "3.7"] {
            assert!(empty_first(release), "{release}");
        }
        for release in
            ["2.1.16", "2.2.8", "3.0.9", "3.0.29", "3.8", "3.11.19", "4.0", "5.0-rc1", "x"]
        {
            assert!(!empty_first(release), "{release}");
        }
    }
}
