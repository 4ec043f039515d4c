//! A copy with older data, to which what lives and what is deleted is written, answers as all sources do together.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::combine::tests::{answer, updates};
use super::super::model_source::{NOW, Tape, metadata, plain_shape, shape};
use super::super::{PartitionMerge, TieBreak};
use super::*;
use crate::dht::Token;
use crate::rows::{
    ClusteringKind, LocalDeletionTime, Marker, PartitionUpdate, UpdateContent, UpdateSource,
};
use crate::schema::TableMetadata;

/// What a sink is told, as updates: rows, and apart from them deletions.
struct Told {
    table: Arc<TableMetadata>,
    live: Vec<PartitionUpdate>,
    dead: Vec<PartitionUpdate>,
}

impl Told {
    fn of(table: &Arc<TableMetadata>, rule: TieBreak, sources: Vec<Vec<PartitionUpdate>>) -> Self {
        let sources = sources.into_iter().map(|s| UpdateSource::new(s).unwrap()).collect();
        let mut merge = PartitionMerge::new(table, rule, NOW, false, sources);
        let mut told = Self { table: Arc::clone(table), live: Vec::new(), dead: Vec::new() };
        while merge.step(&mut told).unwrap() {}
        told
    }

    fn dead(&mut self) -> &mut PartitionUpdate {
        self.dead.last_mut().unwrap()
    }

    fn push_marker(
        &mut self,
        kind: ClusteringKind,
        of: (DeletionTime, DeletionTime),
        at: RowView<'_>,
    ) {
        let marker = Marker { kind, end: of.0, start: of.1 };
        self.dead().push_marker(marker, at).unwrap();
    }
}

impl RowSink for Told {
    const DELETIONS: bool = true;

    fn partition(&mut self, key: &[u8], _: Token) -> Result<()> {
        for to in [&mut self.live, &mut self.dead] {
            to.push(PartitionUpdate::new(Arc::clone(&self.table), key.to_vec()));
        }
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        row.map_or(Ok(()), |row| {
            // Of a row that is handed on only what lives counts.
            let live = Row { complex: Vec::new(), deletion: DeletionTime::LIVE, ..row.row.clone() };
            self.live.last_mut().unwrap().set_static_row(RowView { row: &live, data: row.data })
        })
    }

    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        let live = Row {
            complex: Vec::new(),
            deletion: DeletionTime::LIVE,
            shadowable: false,
            ..row.row.clone()
        };
        self.live.last_mut().unwrap().push_row(RowView { row: &live, data: row.data })
    }

    fn end_partition(&mut self) -> Result<()> {
        Ok(())
    }

    fn deleted_partition(&mut self, deletion: DeletionTime) -> Result<()> {
        self.dead().deletion = deletion;
        Ok(())
    }

    fn deleted_row(&mut self, row: RowView<'_>, is_static: bool) -> Result<()> {
        let Row { liveness, cells, .. } = row.row;
        assert!(!liveness.is_live(NOW) && cells.iter().all(Cell::is_tombstone));
        match is_static {
            true => self.dead().set_static_row(row),
            false => self.dead().push_row(row),
        }
    }

    fn deleted_range(
        &mut self,
        deletion: DeletionTime,
        start: RangeBound<'_>,
        end: RangeBound<'_>,
    ) -> Result<()> {
        use ClusteringKind::{ExclEndBound, ExclStartBound, InclEndBound, InclStartBound};
        assert!(deletion.marked_for_delete_at > self.dead().deletion.marked_for_delete_at);
        let live = DeletionTime::LIVE;
        let kind = if start.inclusive { InclStartBound } else { ExclStartBound };
        self.push_marker(kind, (live, deletion), start.prefix);
        let kind = if end.inclusive { InclEndBound } else { ExclEndBound };
        self.push_marker(kind, (deletion, live), end.prefix);
        Ok(())
    }
}

/// Ranges come where they end: each to where it begins, with the rows in it behind.
fn in_order(updates: &mut [PartitionUpdate], table: &TableMetadata) {
    let order = crate::rows::ClusteringOrder::new(table);
    for update in updates {
        let data = &update.data;
        let place = |content: &UpdateContent| match content {
            UpdateContent::Row(row) => (row.clone(), 0),
            UpdateContent::Marker(marker, row) => (row.clone(), marker.kind.side()),
        };
        update.content.sort_by(|a, b| {
            let ((a, a_side), (b, b_side)) = (place(a), place(b));
            order.compare(RowView { row: &a, data }, a_side, RowView { row: &b, data }, b_side)
        });
    }
}

fn check_case(choices: &[u16]) {
    let mut t = Tape { choices, at: 0 };
    let mut shape = shape(&mut t);
    // Of a view's own deletions more is to be known than what stays; shards of before 2.1 add up when they are read twice.
    (shape.view, shape.strict, shape.local_shards) = (false, false, false);
    let table = Arc::new(metadata(&shape));
    let mut models: Vec<_> = (0..1 + t.below(4)).map(|_| shape.source(&mut t)).collect();
    if shape.counter {
        // Cassandra's own merges of counters and deletions depend on the order.
        for partition in models.iter_mut().flat_map(|m| m.values_mut()) {
            partition.deletion = None;
            partition.ranges.clear();
            partition.static_row.complex.clear();
            partition.rows.values_mut().for_each(|row| row.deletion = None);
        }
    }
    let parts: Vec<_> = models.iter().map(|m| updates(&shape, &table, m)).collect();
    let older = t.below(parts.len() + 1);
    for rule in [TieBreak::Until311, TieBreak::From40] {
        let expected = answer(&shape, &table, rule, parts.clone());
        let mut told = Told::of(&table, rule, parts.clone());
        in_order(&mut told.dead, &table);
        let mut copy = parts[..older].to_vec();
        copy.push(told.dead.clone());
        copy.push(told.live.clone());
        assert_eq!(answer(&shape, &table, rule, copy), expected, "upon {older} of the sources");
        // What is told again of that is the same: nothing is left out that would matter, nothing is there that does not.
        let mut again = Told::of(&table, rule, vec![told.dead, told.live]);
        in_order(&mut again.dead, &table);
        assert_eq!(answer(&shape, &table, rule, vec![again.dead, again.live]), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_lives_and_what_is_deleted_makes_of_an_older_copy_what_all_sources_are(
        choices in proptest::collection::vec(any::<u16>(), 0..600),
    ) {
        check_case(&choices);
    }
}

fn at(marked_for_delete_at: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at, local_deletion_time: LocalDeletionTime(NOW) }
}

/// The deletions of one partition in these sources, in words.
fn told(sources: &[&dyn Fn(&mut PartitionUpdate)]) -> Vec<String> {
    let table = Arc::new(metadata(&plain_shape()));
    let one = |write: &&dyn Fn(&mut PartitionUpdate)| {
        let mut update = PartitionUpdate::new(Arc::clone(&table), b"k".to_vec());
        write(&mut update);
        vec![update]
    };
    let told = Told::of(&table, TieBreak::From40, sources.iter().map(one).collect());
    let [update] = told.dead.as_slice() else { panic!("one partition") };
    let mut words = Vec::new();
    if !update.deletion.is_live() {
        words.push(format!("partition {}", update.deletion.marked_for_delete_at));
    }
    for content in &update.content {
        let value = |row: &Row| row.clustering[0].bytes(&update.data).unwrap()[3];
        words.push(match content {
            UpdateContent::Marker(Marker { kind, start, .. }, row) => {
                let time = if start.is_live() {
                    String::new()
                } else {
                    format!(" {}", start.marked_for_delete_at)
                };
                format!("{kind:?} {}{time}", value(row))
            }
            UpdateContent::Row(row) => format!(
                "row {} {:?} {:?} {:?}",
                value(row),
                (!row.deletion.is_live()).then_some(row.deletion.marked_for_delete_at),
                row.complex.iter().map(|c| c.deletion.marked_for_delete_at).collect::<Vec<_>>(),
                row.cells.iter().map(|c| (c.column, c.timestamp)).collect::<Vec<_>>(),
            ),
        });
    }
    words
}

fn bound(update: &mut PartitionUpdate, value: u8) -> Row {
    let span = update.append(&[0, 0, 0, value]).unwrap();
    Row { clustering: vec![ClusteringValue::Value(span)], ..Row::EMPTY }
}

fn put_range(update: &mut PartitionUpdate, from: u8, to: u8, deletion: DeletionTime) {
    let live = DeletionTime::LIVE;
    for (kind, value, end, start) in [
        (ClusteringKind::InclStartBound, from, live, deletion),
        (ClusteringKind::InclEndBound, to, deletion, live),
    ] {
        let row = bound(update, value);
        update.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
    }
}

#[test]
fn deletions_under_newer_ones_are_not_told() {
    let range = |from, to, time| move |u: &mut PartitionUpdate| put_range(u, from, to, at(time));
    assert_eq!(
        told(&[&range(1, 6, 5), &range(3, 4, 7)]),
        [
            "InclStartBound 1 5",
            "ExclEndBound 3",
            "InclStartBound 3 7",
            "InclEndBound 4",
            "ExclStartBound 4 5",
            "InclEndBound 6"
        ]
    );
    let partition = |u: &mut PartitionUpdate| u.deletion = at(6);
    assert_eq!(
        told(&[&range(1, 6, 5), &range(3, 4, 7), &partition]),
        ["partition 6", "InclStartBound 3 7", "InclEndBound 4"]
    );
    // One that ends where the next of the same time begins goes on.
    let two = |u: &mut PartitionUpdate| {
        put_range(u, 1, 2, at(5));
        let later = DeletionTime { local_deletion_time: LocalDeletionTime(NOW + 5), ..at(5) };
        for (kind, end, start) in [
            (ClusteringKind::ExclStartBound, DeletionTime::LIVE, later),
            (ClusteringKind::InclEndBound, later, DeletionTime::LIVE),
        ] {
            let row = bound(u, if start.is_live() { 6 } else { 2 });
            u.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
        }
    };
    let words = told(&[&two]);
    assert_eq!(words.len(), 4, "two markers in one source end and begin: {words:?}");
}

#[test]
fn of_a_row_what_is_deleted_and_has_expired_is_told() {
    let cell = |timestamp, ttl, ldt| Cell {
        timestamp,
        local_deletion_time: LocalDeletionTime(ldt),
        ttl,
        column: 0,
        source: 0,
        value: Span::default(),
        path: Span::default(),
    };
    let row = |time: i64, cells: Vec<Cell>| {
        move |update: &mut PartitionUpdate| {
            let row = bound(update, 3);
            let deletion = if time > 0 { at(time) } else { DeletionTime::LIVE };
            let cells = cells.clone();
            update.content.push(UpdateContent::Row(Row {
                deletion,
                cells,
                has_times: true,
                ..row
            }));
        }
    };
    let never = i64::MAX;
    assert_eq!(told(&[&row(5, vec![cell(4, NO_TTL, NOW)])]), ["row 3 Some(5) [] []"]);
    assert_eq!(told(&[&row(5, vec![cell(6, NO_TTL, NOW)])]), ["row 3 Some(5) [] [(0, 6)]"]);
    assert_eq!(told(&[&row(0, vec![cell(6, 10, NOW)])]), ["row 3 None [] [(0, 6)]"]);
    assert_eq!(told(&[&row(0, vec![cell(6, 10, NOW + 1)])]), [""; 0]);
    let newer = row(0, vec![cell(7, NO_TTL, never)]);
    assert_eq!(told(&[&row(0, vec![cell(6, NO_TTL, NOW)]), &newer]), [""; 0]);
    assert_eq!(told(&[&row(6, Vec::new()), &newer]), ["row 3 Some(6) [] []"]);
}
