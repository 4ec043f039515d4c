use proptest::prelude::*;

use super::super::model_source::{
    ModelSource, NOW, Shape, Tape, memory_source, metadata, plain_shape, shape,
};
use super::super::model_tests::{Collect, FoundPartition};
use super::super::{PartitionMerge, TieBreak};
use super::*;
use crate::cql::CqlType;
use crate::rows::{LocalDeletionTime, NO_TTL, Unfiltered, UpdateSource};
use crate::schema::ViewMetadata;

/// The partitions of a source of the model, each with its place among the model's keys.
pub(in super::super) fn updates(
    shape: &Shape,
    table: &Arc<TableMetadata>,
    model: &ModelSource,
) -> Vec<PartitionUpdate> {
    let one = |partition: super::super::model_source::MemoryPartition| {
        let mut update = PartitionUpdate::new(Arc::clone(table), partition.key.to_vec());
        update.deletion = partition.deletion;
        if let Some((row, data)) = &partition.static_row {
            update.set_static_row(RowView { row, data }).unwrap();
        }
        for (unfiltered, row, data) in &partition.unfiltereds {
            let view = RowView { row, data };
            match unfiltered {
                Unfiltered::Row => update.push_row(view).unwrap(),
                Unfiltered::Marker(marker) => update.push_marker(*marker, view).unwrap(),
                Unfiltered::End => unreachable!(),
            }
        }
        update
    };
    memory_source(shape, model).partitions.into_iter().map(one).collect()
}

/// All updates of each key combined, first to last.
fn combined(rule: TieBreak, sources: &[&Vec<PartitionUpdate>]) -> Vec<PartitionUpdate> {
    let mut out: Vec<PartitionUpdate> = Vec::new();
    for first in sources.iter().copied().flatten() {
        if out.iter().any(|done| done.key == first.key) {
            continue;
        }
        let own = sources.iter().copied().flatten().filter(|u| u.key == first.key);
        out.push(combine(rule, NOW, &own.collect::<Vec<_>>()).unwrap());
    }
    out
}

pub(in super::super) fn answer(
    shape: &Shape,
    table: &TableMetadata,
    rule: TieBreak,
    sources: Vec<Vec<PartitionUpdate>>,
) -> Vec<FoundPartition> {
    let sources = sources.into_iter().map(|s| UpdateSource::new(s).unwrap()).collect();
    let mut merge = PartitionMerge::new(table, rule, NOW, shape.strict, sources);
    let mut collect = Collect::default();
    while merge.step(&mut collect).unwrap() {}
    let mut found = collect.partitions;
    for row in found.iter_mut().flat_map(|p| &mut p.rows) {
        for (value, (cql_type, _, _)) in row.clustering.iter_mut().zip(&shape.clustering) {
            // Which way of writing 1.0 stays depends on versions that are covered.
            if *cql_type == CqlType::Decimal && value.as_ref().is_some_and(|v| v.last() != Some(&2))
            {
                let low = value.as_ref().is_some_and(|v| v.last() == Some(&0xff));
                *value = Some(vec![u8::from(low)]);
            }
        }
    }
    found
}

/// Markers open and close by turns, and each one closes what the one before it opened.
fn check_markers(update: &PartitionUpdate) {
    let mut open = DeletionTime::LIVE;
    for content in &update.content {
        if let UpdateContent::Marker(marker, _) = content {
            assert_eq!(marker.end, open);
            assert_ne!(marker.start, open, "a marker that changes nothing");
            assert_eq!(marker.kind.is_end(), !open.is_live());
            assert_eq!(marker.kind.is_start(), !marker.start.is_live());
            assert!(marker.start.is_live() || marker.start.supersedes(&update.deletion));
            open = marker.start;
        }
    }
    assert!(open.is_live(), "a range that does not end");
}

fn check_case(choices: &[u16]) {
    let mut t = Tape { choices, at: 0 };
    let shape = shape(&mut t);
    let mut table = metadata(&shape);
    table.view = shape.view.then(|| ViewMetadata {
        base_table: "base".into(),
        include_all_columns: true,
        where_clause: String::new(),
    });
    let table = Arc::new(table);
    let mut models: Vec<_> = (0..2 + t.below(4)).map(|_| shape.source(&mut t)).collect();
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
    let cut = 1 + t.below(parts.len() - 1);
    for rule in [TieBreak::Until311, TieBreak::From40] {
        let expected = answer(&shape, &table, rule, parts.clone());
        let all = combined(rule, &parts.iter().collect::<Vec<_>>());
        all.iter().for_each(check_markers);
        assert_eq!(answer(&shape, &table, rule, vec![all]), expected, "all combined");
        let (head, tail) = parts.split_at(cut);
        let head = combined(rule, &head.iter().collect::<Vec<_>>());
        let mut sources = vec![head.clone()];
        sources.extend(tail.iter().cloned());
        assert_eq!(answer(&shape, &table, rule, sources), expected, "the first {cut} combined");
        let mut steps = vec![&head];
        steps.extend(tail);
        let steps = combined(rule, &steps);
        steps.iter().for_each(check_markers);
        assert_eq!(answer(&shape, &table, rule, vec![steps]), expected, "combined in steps");
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
    fn what_is_combined_answers_as_its_parts_do(
        choices in proptest::collection::vec(any::<u16>(), 0..600),
    ) {
        check_case(&choices);
    }
}

#[test]
fn a_deletion_in_a_view_that_a_newer_one_takes_the_place_of() {
    check_case(&[
        0, 8537, 10157, 0, 10447, 3900, 3486, 0, 5808, 264, 4416, 650, 0, 41108, 5207, 3726, 0,
        2708, 0, 0, 23663, 0, 0, 0, 0, 21448, 0, 656, 0, 0, 0, 0, 0, 0, 7048, 0, 26394, 2051, 0, 0,
        23233, 4664, 22177, 0, 0, 41520, 3381, 0, 0, 0, 0, 20054, 27968, 0, 19602, 16776, 8854,
        3503, 6126, 0, 54222, 0, 0, 0, 0, 9414, 0, 15754, 34616, 2378, 46852, 444, 0, 31950, 0, 0,
        0, 7824, 1777, 0, 0, 0, 0, 0, 15574, 0, 11408, 0, 0, 377, 0, 0, 0, 46250, 0, 0, 18261,
        3399, 0, 0, 0, 20475, 15230, 0, 0, 0, 0, 0, 0, 0,
    ]);
}

fn table() -> Arc<TableMetadata> {
    Arc::new(metadata(&plain_shape()))
}

fn at(marked_for_delete_at: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at, local_deletion_time: LocalDeletionTime(NOW) }
}

fn clustering(update: &mut PartitionUpdate, value: u8) -> Vec<ClusteringValue> {
    vec![ClusteringValue::Value(update.append(&[0, 0, 0, value]).unwrap())]
}

fn put_row(update: &mut PartitionUpdate, value: u8, timestamp: i64) {
    let clustering = clustering(update, value);
    let liveness =
        LivenessInfo { timestamp, ttl: NO_TTL, local_deletion_time: LocalDeletionTime::NONE };
    update.content.push(UpdateContent::Row(Row { clustering, liveness, ..Row::EMPTY }));
}

fn put_range(update: &mut PartitionUpdate, from: u8, to: u8, deletion: DeletionTime) {
    let live = DeletionTime::LIVE;
    for (kind, value, end, start) in [
        (ClusteringKind::InclStartBound, from, live, deletion),
        (ClusteringKind::InclEndBound, to, deletion, live),
    ] {
        let clustering = clustering(update, value);
        let row = Row { clustering, ..Row::EMPTY };
        update.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
    }
}

fn kinds(update: &PartitionUpdate) -> Vec<Option<ClusteringKind>> {
    let kind = |content: &UpdateContent| match content {
        UpdateContent::Row(_) => None,
        UpdateContent::Marker(marker, _) => Some(marker.kind),
    };
    update.content.iter().map(kind).collect()
}

#[test]
fn ranges_that_overlap_become_boundaries_and_those_under_the_partition_go() {
    use ClusteringKind::{
        ExclEndInclStartBoundary, InclEndBound, InclEndExclStartBoundary, InclStartBound,
    };
    let mut parts = [1, 2, 3].map(|_| PartitionUpdate::new(table(), b"k".to_vec()));
    let [a, b, c] = &mut parts;
    put_range(a, 1, 6, at(5));
    put_range(b, 3, 4, at(7));
    put_row(c, 3, 6);
    put_row(c, 5, 6);
    let all = combine(TieBreak::From40, NOW, &[a, b, c]).unwrap();
    assert_eq!(
        kinds(&all),
        [
            Some(InclStartBound),
            Some(ExclEndInclStartBoundary),
            Some(InclEndExclStartBoundary),
            None,
            Some(InclEndBound)
        ]
    );
    c.deletion = at(6);
    let all = combine(TieBreak::From40, NOW, &[a, b, c]).unwrap();
    assert_eq!(kinds(&all), [Some(InclStartBound), Some(InclEndBound)]);
    assert_eq!(all.deletion, at(6));
}

#[test]
fn more_updates_than_fit_one_round() {
    let mut parts = Vec::new();
    for i in 0..100_u8 {
        let mut update = PartitionUpdate::new(table(), b"k".to_vec());
        put_row(&mut update, i % 50, i64::from(i));
        parts.push(update);
    }
    let all = combine(TieBreak::From40, NOW, &parts.iter().collect::<Vec<_>>()).unwrap();
    let times: Vec<_> = all
        .content
        .iter()
        .map(|content| match content {
            UpdateContent::Row(row) => row.liveness.timestamp,
            UpdateContent::Marker(..) => panic!("a marker"),
        })
        .collect();
    assert_eq!(times, (50..100).collect::<Vec<_>>());
}

#[test]
fn rows_out_of_order_and_updates_of_other_partitions_are_refused() {
    let mut update = PartitionUpdate::new(table(), b"k".to_vec());
    put_row(&mut update, 2, 1);
    put_row(&mut update, 1, 1);
    let error = combine(TieBreak::From40, NOW, &[&update]).unwrap_err();
    assert!(error.to_string().contains("not in clustering order"), "{error}");
    let other = PartitionUpdate::new(table(), b"l".to_vec());
    let error = combine(TieBreak::From40, NOW, &[&other, &update]).unwrap_err();
    assert!(error.to_string().contains("different partitions"), "{error}");
    assert!(combine(TieBreak::From40, NOW, &[]).is_err());
}
