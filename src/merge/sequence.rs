//! Whether the rows and markers of one source come in order: what a merge relies on, and what Cassandra's `verify` checks.
//!
//! Rows written twice, or in a wrong order, are known of nodes that were upgraded from 2.x (CASSANDRA-12144, CASSANDRA-15789).
//! A merge would hand them on as they come, and as different rows.

use crate::rows::{ClusteringValue, Row, RowView, Span, Unfiltered};

use crate::rows::ClusteringOrder;

/// Remembers the clustering of the row or marker before, by a copy: a source overwrites it. About 10 ns a row.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The clustering, in `data`, but with the spans it had: what they point to begins at `base`.
    row: Row,
    base: u32,
    data: Vec<u8>,
    leading: Option<u64>,
    side: i8,
    begun: bool,
}

impl Sequence {
    /// Before the first row of a partition.
    pub(super) fn begin(&mut self) {
        self.begun = false;
    }

    /// True if `at`, whose clustering `view` gives, comes after what was there before; a row must not be equal to it either.
    #[inline]
    pub(super) fn follows<'v>(
        &mut self,
        order: &ClusteringOrder,
        at: &Unfiltered,
        view: impl FnOnce() -> RowView<'v>,
    ) -> bool {
        let side = match at {
            Unfiltered::Row => 0,
            Unfiltered::Marker(marker) => marker.kind.side(),
            Unfiltered::End => return true,
        };
        let view = view();
        let leading = order.leading(view);
        let follows = !self.begun
            || match (self.leading, leading) {
                (Some(before), Some(now)) if before != now => before < now,
                _ => self.comes_before(order, view, side),
            };
        self.begun = true;
        self.leading = leading;
        self.side = side;
        self.remember(view);
        follows
    }

    fn comes_before(&mut self, order: &ClusteringOrder, view: RowView<'_>, side: i8) -> bool {
        let base = std::mem::take(&mut self.base);
        for value in &mut self.row.clustering {
            if let ClusteringValue::Value(span) = value {
                span.start = span.start.saturating_sub(base);
            }
        }
        let before = RowView { row: &self.row, data: &self.data };
        let found = order.compare(before, self.side, view, side);
        match (found.is_eq(), side) {
            (true, 0) => false,
            // Two bounds at one place: the end of one range and the start of another.
            (true, _) => true,
            (false, _) => found.is_lt() || !order.is_known(),
        }
    }

    #[inline]
    fn remember(&mut self, view: RowView<'_>) {
        let values = &view.row.clustering;
        self.row.clustering.clear();
        self.row.clustering.extend_from_slice(values);
        // The values lie one behind the other, with lengths between them: one copy takes all.
        let value = |value: &ClusteringValue| match value {
            ClusteringValue::Value(span) => Some(*span),
            ClusteringValue::Null => None,
        };
        let first = values.iter().find_map(value).unwrap_or_default();
        let last = values.iter().rev().find_map(value).unwrap_or_default();
        let end = last.start.saturating_add(last.len);
        let whole = Span { start: first.start, len: end.saturating_sub(first.start) };
        self.base = first.start;
        self.data.clear();
        self.data.extend_from_slice(whole.of(view.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ClusteringKind, DeletionTime, Marker};
    use crate::schema::parse_schema;

    fn order(clustering: &str) -> ClusteringOrder {
        let text = format!("CREATE TABLE ks.t (k int, {clustering});");
        ClusteringOrder::new(parse_schema(&text, None).unwrap().table("ks", "t").unwrap())
    }

    fn marker(kind: ClusteringKind) -> Unfiltered {
        Unfiltered::Marker(Marker { kind, end: DeletionTime::LIVE, start: DeletionTime::LIVE })
    }

    /// Which of these follow the one before them. The bytes lie as in a file: lengths between the values.
    fn follow(order: &ClusteringOrder, places: &[(Unfiltered, &[&[u8]])]) -> Vec<bool> {
        let mut sequence = Sequence::default();
        sequence.begin();
        let one = |(at, values): &(Unfiltered, &[&[u8]])| {
            let (mut row, mut data) = (Row::EMPTY, b"before".to_vec());
            for value in *values {
                data.push(0xaa);
                let start = u32::try_from(data.len()).unwrap();
                data.extend(*value);
                let len = u32::try_from(value.len()).unwrap();
                row.clustering.push(ClusteringValue::Value(Span { start, len }));
            }
            data.extend(b"behind");
            sequence.follows(order, at, || RowView { row: &row, data: &data })
        };
        places.iter().map(one).collect()
    }

    const ROW: Unfiltered = Unfiltered::Row;
    const INT_AND_TEXT: &str = "a int, b text, PRIMARY KEY (k, a, b)";

    #[test]
    fn rows_in_order_follow_each_other() {
        let order = order(INT_AND_TEXT);
        let places: [(Unfiltered, &[&[u8]]); 4] = [
            (ROW, &[&[0xff; 4], b"x"]),
            (ROW, &[&[0, 0, 0, 1], b"a"]),
            (ROW, &[&[0, 0, 0, 1], b"aa"]),
            (ROW, &[&[0, 0, 0, 2], b""]),
        ];
        assert_eq!(follow(&order, &places), [true; 4]);
        for (x, y) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
            assert_eq!(follow(&order, &[places[y], places[x]]), [true, false], "{y} {x}");
            assert_eq!(follow(&order, &[places[x], places[x]]), [true, false], "{x} twice");
        }
    }

    #[test]
    fn a_descending_column_turns_the_order_round() {
        let order = order("a int, PRIMARY KEY (k, a)) WITH CLUSTERING ORDER BY (a DESC");
        let (one, two): (&[&[u8]], &[&[u8]]) = (&[&[0, 0, 0, 1]], &[&[0, 0, 0, 2]]);
        assert_eq!(follow(&order, &[(ROW, two), (ROW, one)]), [true, true]);
        assert_eq!(follow(&order, &[(ROW, one), (ROW, two)]), [true, false]);
    }

    #[test]
    fn the_leading_number_never_contradicts_the_order() {
        let texts: [&[u8]; 7] =
            [b"", b"\0", b"a", b"a\0", b"abcdefgh", b"abcdefghi", b"abcdefgi\xff"];
        let ints: [&[u8]; 6] =
            [b"", &[0x80, 0, 0, 0], &[0xff; 4], &[0; 4], &[0, 0, 0, 1], &[0x7f; 4]];
        let longs: [&[u8]; 5] = [b"", &[0x80; 8], &[0xff; 8], &[0; 8], &[0x7f; 8]];
        let uuid = |time: u64, low: u8| [&time.to_be_bytes()[..], &[low; 8]].concat();
        // Version 1: low, middle and high part of the time.
        let uuids: Vec<Vec<u8>> = vec![
            Vec::new(),
            uuid(0x0000_0001_0000_1000, 0x80),
            uuid(0x0000_0001_0000_1000, 0x7f),
            uuid(0xffff_ffff_0000_1000, 0),
            uuid(0x0000_0000_0001_1000, 0),
            uuid(0x0000_0000_0000_1001, 0),
        ];
        let uuids: Vec<&[u8]> = uuids.iter().map(Vec::as_slice).collect();
        for (cql_type, values) in [
            ("text", &texts[..]),
            ("blob", &texts),
            ("int", &ints),
            ("bigint", &longs),
            ("timestamp", &longs),
            ("timeuuid", &uuids),
        ] {
            for direction in ["ASC", "DESC"] {
                let order = order(&format!(
                    "a {cql_type}, PRIMARY KEY (k, a)) WITH CLUSTERING ORDER BY (a {direction}"
                ));
                for (i, x) in values.iter().enumerate() {
                    for (j, y) in values.iter().enumerate() {
                        let expected = if direction == "ASC" { i < j } else { i > j };
                        let found = follow(&order, &[(ROW, &[x]), (ROW, &[y])]);
                        assert_eq!(found, [true, expected], "{cql_type} {direction} {x:?} {y:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn without_clustering_there_is_one_row() {
        let order = order("v int, PRIMARY KEY (k)");
        assert_eq!(follow(&order, &[(ROW, &[]), (ROW, &[])]), [true, false]);
        assert_eq!(follow(&order, &[(ROW, &[]), (Unfiltered::End, &[])]), [true, true]);
    }

    #[test]
    fn bounds_lie_beside_the_rows_that_begin_with_them() {
        use ClusteringKind::{ExclStartBound, InclEndBound, InclStartBound};
        let order = order(INT_AND_TEXT);
        let one: &[&[u8]] = &[&[0, 0, 0, 1]];
        let row: &[&[u8]] = &[&[0, 0, 0, 1], b"x"];
        let (start, end) = (marker(InclStartBound), marker(InclEndBound));
        assert_eq!(follow(&order, &[(start, one), (ROW, row), (end, one)]), [true; 3]);
        assert_eq!(follow(&order, &[(end, one), (ROW, row)]), [true, false]);
        assert_eq!(follow(&order, &[(ROW, row), (start, one)]), [true, false]);
        // One range ends where the next one begins.
        let next = marker(ExclStartBound);
        assert_eq!(follow(&order, &[(end, one), (next, one)]), [true, true]);
        // No bound at all: the whole partition.
        assert_eq!(follow(&order, &[(start, &[]), (ROW, row), (end, &[])]), [true; 3]);
    }

    #[test]
    fn of_types_of_others_only_equality_is_known() {
        let order = order("a 'org.example.Own', PRIMARY KEY (k, a)");
        assert!(!order.is_known());
        let (a, b): (&[&[u8]], &[&[u8]]) = (&[b"a"], &[b"b"]);
        assert_eq!(follow(&order, &[(ROW, b), (ROW, a)]), [true, true]);
        assert_eq!(follow(&order, &[(ROW, b), (ROW, b)]), [true, false]);
    }
}
