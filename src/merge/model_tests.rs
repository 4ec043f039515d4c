//! The merge against a naive model of Cassandra: for each cell the candidates of all sources, without those under any
//! deletion, and the best of the rest by a key that says the rule in one line.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::model_source::{
    DECIMALS, FAR, INTS, KEYS, ModelCell, ModelPartition, ModelRow, ModelSource, NEVER, NOW, Place,
    Shape, Tape, VALUES, is_shadowable, memory_source, metadata, plain_shape, shape,
};
use super::{MergeBooks, PartitionMerge, RowSink, TieBreak};
use crate::dht::Token;
use crate::error::Result;
use crate::rows::{LivenessInfo, LocalDeletionTime, NO_TTL, RowView, counter_total};

pub(super) type ColumnCell = (u16, FoundCell);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundCell {
    pub(super) timestamp: i64,
    pub(super) ttl: i32,
    pub(super) ldt: i64,
    pub(super) path: Vec<u8>,
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundRow {
    pub(super) clustering: Vec<Option<Vec<u8>>>,
    pub(super) liveness: LivenessInfo,
    pub(super) cells: Vec<ColumnCell>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundPartition {
    pub(super) token: i64,
    pub(super) key: Vec<u8>,
    pub(super) static_row: Option<FoundRow>,
    pub(super) rows: Vec<FoundRow>,
}

#[derive(Debug, Default)]
pub(super) struct Collect {
    pub(super) partitions: Vec<FoundPartition>,
    pub(super) static_seen: bool,
    pub(super) inside: bool,
}

fn found_row(view: RowView<'_>) -> FoundRow {
    let cells = view.row.cells.iter().map(|c| {
        let cell = FoundCell {
            timestamp: c.timestamp,
            ttl: c.ttl,
            ldt: c.local_deletion_time.0,
            path: c.path.of(view.data).to_vec(),
            value: c.value.of(view.data).to_vec(),
        };
        (c.column, cell)
    });
    FoundRow {
        clustering: view
            .row
            .clustering
            .iter()
            .map(|v| v.bytes(view.data).map(<[u8]>::to_vec))
            .collect(),
        liveness: view.row.liveness,
        cells: cells.collect(),
    }
}

impl RowSink for Collect {
    fn partition(&mut self, key: &[u8], token: Token) -> Result<()> {
        assert!(!self.inside);
        (self.inside, self.static_seen) = (true, false);
        let (token, key) = (token.0, key.to_vec());
        self.partitions.push(FoundPartition { token, key, static_row: None, rows: Vec::new() });
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        assert!(self.inside && !self.static_seen);
        self.static_seen = true;
        self.partitions.last_mut().unwrap().static_row = row.map(found_row);
        Ok(())
    }

    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        assert!(self.inside && self.static_seen);
        self.partitions.last_mut().unwrap().rows.push(found_row(row));
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        assert!(self.inside && self.static_seen);
        self.inside = false;
        Ok(())
    }
}

fn run(
    shape: &Shape,
    rule: TieBreak,
    sources: &[&ModelSource],
) -> (Vec<FoundPartition>, MergeBooks) {
    let sources = sources.iter().map(|s| memory_source(shape, s)).collect();
    let mut merge = PartitionMerge::new(&metadata(shape), rule, NOW, shape.strict, sources);
    let mut collect = Collect::default();
    while merge.step(&mut collect).unwrap() {}
    assert!(!collect.inside);
    (collect.partitions, merge.books)
}

/// What a cell has to be: any of these (they tie in all that the rule looks at), or a counter.
#[derive(Debug, Clone)]
enum Expected {
    AnyOf(Vec<ModelCell>),
    Counter { timestamp: i64, total: i64 },
}

#[derive(Debug)]
struct ExpectedRow {
    place: Place,
    liveness: Option<(i64, i32, i64)>,
    cells: Vec<(u16, Expected)>,
}

fn is_live(cell: &ModelCell) -> bool {
    cell.ldt == NEVER || cell.ttl != NO_TTL && NOW < cell.ldt
}

/// The greatest key wins.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Until311(i64, bool, Vec<i8>, i64),
    From40(i64, bool, bool, i64, &'a [u8]),
}

fn key(rule: TieBreak, cell: &ModelCell) -> Key<'_> {
    match rule {
        TieBreak::Until22 | TieBreak::Until311 => Key::Until311(
            cell.timestamp,
            !is_live(cell),
            cell.value.iter().map(|b| b.cast_signed()).collect(),
            cell.ldt,
        ),
        TieBreak::From40 => {
            let timed = cell.ldt != NEVER;
            let tombstone = timed && cell.ttl == NO_TTL;
            Key::From40(cell.timestamp, timed, tombstone, cell.ldt, &cell.value)
        }
    }
}

/// Counter id -> kind (2 global, 1 local, 0 remote), clock, count.
fn shards(context: &[u8]) -> Vec<(u8, u8, i64, i64)> {
    let n = usize::from(context[1]);
    let (header, body) = context[2..].split_at(2 * n);
    let mut out: Vec<_> = body
        .chunks(32)
        .map(|s| {
            let long = |at: usize| i64::from_be_bytes(s[at..at + 8].try_into().unwrap());
            (s[0], 0, long(16), long(24))
        })
        .collect();
    for e in header.chunks(2) {
        out[usize::from(e[1])].1 = if e[0] & 0x80 != 0 { 2 } else { 1 };
    }
    out
}

fn model_counter(cells: &[&ModelCell]) -> i64 {
    let all: Vec<_> = cells.iter().flat_map(|c| shards(&c.value)).collect();
    let mut total = 0;
    for id in 1..=3 {
        let own = all.iter().filter(|s| s.0 == id);
        let Some(kind) = own.clone().map(|s| s.1).max() else { continue };
        let best = own.filter(|s| s.1 == kind);
        total += match kind {
            2 => best.map(|s| (s.2, s.3)).max().unwrap().1,
            1 => best.map(|s| s.3).sum::<i64>(),
            // Negative clocks win, the smaller the more.
            _ => {
                best.map(|s| (if s.2 < 0 { i64::from(FAR) - s.2 } else { s.2 }, s.3))
                    .max()
                    .unwrap()
                    .1
            }
        };
    }
    total
}

/// What became of a row's cells.
#[derive(Debug, Default, Clone, Copy)]
struct Fates {
    shadowed: u64,
    superseded: u64,
    expired: u64,
    tombstones: u64,
}

struct Model<'m> {
    shape: &'m Shape,
    rule: TieBreak,
    books: MergeBooks,
    /// Cells tied that the books count differently.
    ambiguous: bool,
}

impl Model<'_> {
    /// The live cells of the versions of a row under deletions of everything up to `deleted`.
    fn cells(
        &mut self,
        versions: &[&ModelRow],
        deleted: Option<i64>,
        fates: &mut Fates,
    ) -> Vec<(u16, Expected)> {
        let mut paths: BTreeMap<(u16, usize), Vec<&ModelCell>> = BTreeMap::new();
        for row in versions {
            self.books.cells_read += row.cells.len() as u64;
            row.cells.iter().for_each(|(&path, cell)| paths.entry(path).or_default().push(cell));
        }
        let mut out = Vec::new();
        for ((column, _), candidates) in paths {
            let all = candidates.len();
            let complex = versions.iter().filter_map(|r| r.complex.get(&column)).map(|d| d.0);
            let deleted = complex.chain(deleted).max();
            // Up to 2.2 a deletion takes counters away whatever their times are (CASSANDRA-7346).
            let all_times = self.shape.counter && self.rule == TieBreak::Until22;
            let left: Vec<_> = candidates
                .into_iter()
                .filter(|c| deleted.is_none_or(|d| !all_times && c.timestamp > d))
                .collect();
            fates.shadowed += (all - left.len()) as u64;
            fates.superseded += left.len().saturating_sub(1) as u64;
            if left.is_empty() {
                continue;
            }
            if self.shape.counter {
                if left.iter().any(|c| c.ldt != NEVER) {
                    fates.tombstones += 1;
                } else {
                    let timestamp = left.iter().map(|c| c.timestamp).max().unwrap();
                    out.push((
                        column,
                        Expected::Counter { timestamp, total: model_counter(&left) },
                    ));
                }
                continue;
            }
            let best = left.iter().map(|c| key(self.rule, c)).max().unwrap();
            let best: Vec<_> =
                left.into_iter().filter(|c| key(self.rule, c) == best).cloned().collect();
            assert!(best.iter().all(|c| is_live(c) == is_live(&best[0])));
            if is_live(&best[0]) {
                out.push((column, Expected::AnyOf(best)));
                continue;
            }
            self.ambiguous |= best.iter().any(|c| (c.ttl == NO_TTL) != (best[0].ttl == NO_TTL));
            *(if best[0].ttl == NO_TTL { &mut fates.tombstones } else { &mut fates.expired }) += 1;
        }
        out
    }

    fn enter(&mut self, fates: Fates, emitted: usize) {
        self.books.cells_shadowed += fates.shadowed;
        self.books.cells_superseded += fates.superseded;
        self.books.cells_expired += fates.expired;
        self.books.cell_tombstones += fates.tombstones;
        self.books.cells_emitted += emitted as u64;
    }

    fn row(
        &mut self,
        place: &Place,
        versions: &[&ModelRow],
        partition_and_ranges: Option<i64>,
    ) -> Option<ExpectedRow> {
        self.books.rows_read += versions.len() as u64;
        self.books.rows_merged += versions.len() as u64 - 1;
        let liveness = versions.iter().filter_map(|r| r.liveness).max_by_key(|&(at, ttl, ldt)| {
            (at, ttl == LivenessInfo::EXPIRED_TTL, ttl != NO_TTL, ldt)
        });
        let row_deletion = versions.iter().filter_map(|r| r.deletion).max().filter(|d| {
            let newer = liveness.is_some_and(|(at, ..)| at > d.0);
            !(self.shape.view && is_shadowable(*d) && newer)
        });
        let deleted = partition_and_ranges.into_iter().chain(row_deletion.map(|d| d.0)).max();
        let mut fates = Fates::default();
        let mut cells = self.cells(versions, deleted, &mut fates);
        let (mut shadowed, mut expired) = (fates.shadowed > 0, fates.expired > 0);
        let liveness = liveness.filter(|&(at, ttl, ldt)| {
            if deleted.is_some_and(|d| at <= d) {
                shadowed = true;
                return false;
            }
            let live = ttl == NO_TTL || ttl != LivenessInfo::EXPIRED_TTL && NOW < ldt;
            expired |= !live;
            live
        });
        if self.shape.strict && liveness.is_none() && !cells.is_empty() {
            fates.shadowed += cells.len() as u64;
            shadowed = true;
            cells.clear();
        }
        self.enter(fates, cells.len());
        if liveness.is_some() || !cells.is_empty() {
            self.books.rows_emitted += 1;
            return Some(ExpectedRow { place: place.clone(), liveness, cells });
        }
        *(match (shadowed, expired) {
            (true, _) => &mut self.books.rows_shadowed,
            (_, true) => &mut self.books.rows_expired,
            _ => &mut self.books.rows_only_tombstones,
        }) += 1;
        None
    }

    fn partition(&mut self, parts: &[&ModelPartition]) -> (Vec<(u16, Expected)>, Vec<ExpectedRow>) {
        self.books.partitions_merged += 1;
        self.books.partitions_read += parts.len() as u64;
        let deletions = parts.iter().filter_map(|p| p.deletion);
        self.books.partition_deletions += deletions.clone().count() as u64;
        let deletion = deletions.map(|d| d.0).max();
        let mut fates = Fates::default();
        let statics: Vec<_> = parts.iter().map(|p| &p.static_row).collect();
        let static_cells = self.cells(&statics, deletion, &mut fates);
        self.enter(fates, static_cells.len());
        let mut places: BTreeMap<&Place, Vec<&ModelRow>> = BTreeMap::new();
        for (place, row) in parts.iter().flat_map(|p| &p.rows) {
            places.entry(place).or_default().push(row);
        }
        let mut rows = Vec::new();
        for (place, versions) in places {
            let ranges = parts.iter().flat_map(|p| &p.ranges);
            let covering = ranges.filter(|r| r.start.place < *place && *place < r.end.place);
            let deleted = covering.map(|r| r.deletion.0).chain(deletion).max();
            rows.extend(self.row(place, &versions, deleted));
        }
        (static_cells, rows)
    }
}

fn check_cells(found: &[ColumnCell], expected: &[(u16, Expected)]) {
    assert_eq!(found.len(), expected.len(), "{found:?}\n{expected:?}");
    for ((column, cell), (expected_column, expected)) in found.iter().zip(expected) {
        assert_eq!(column, expected_column);
        match expected {
            Expected::Counter { timestamp, total } => {
                assert_eq!((cell.timestamp, counter_total(&cell.value)), (*timestamp, Ok(*total)));
                assert_eq!((cell.ttl, cell.ldt), (NO_TTL, NEVER));
            }
            Expected::AnyOf(cells) => {
                let same = |c: &ModelCell| {
                    (c.timestamp, c.ttl, c.ldt, c.path, c.value.as_slice())
                        == (cell.timestamp, cell.ttl, cell.ldt, &cell.path, &cell.value)
                };
                assert!(cells.iter().any(same), "found {cell:?}, expected one of {cells:?}");
            }
        }
    }
}

fn check_books(found: &MergeBooks, model: &Model<'_>) {
    let b = found;
    let fragments =
        b.rows_merged + b.rows_emitted + b.rows_shadowed + b.rows_expired + b.rows_only_tombstones;
    assert_eq!(b.rows_read, fragments, "{b:?}");
    let cells = b.cells_emitted
        + b.cells_superseded
        + b.cells_shadowed
        + b.cells_expired
        + b.cell_tombstones;
    assert_eq!(b.cells_read, cells, "{b:?}");
    let (mut found, mut expected) = (*found, model.books);
    if model.ambiguous {
        for b in [&mut found, &mut expected] {
            b.cells_expired += std::mem::take(&mut b.cell_tombstones);
            b.rows_expired += std::mem::take(&mut b.rows_only_tombstones);
        }
    }
    // Ranges nested within one source are stored in pieces; how many is not the model's question.
    expected.range_deletions = found.range_deletions;
    assert_eq!(found, expected);
}

fn check_against_model(shape: &Shape, rule: TieBreak, sources: &[&ModelSource]) {
    let (found, books) = run(shape, rule, sources);
    let mut model = Model { shape, rule, books: MergeBooks::default(), ambiguous: false };
    let mut found = found.iter();
    for (key, &(token, bytes)) in KEYS.iter().enumerate() {
        let parts: Vec<_> = sources.iter().filter_map(|s| s.get(&key)).collect();
        if parts.is_empty() {
            continue;
        }
        let (static_cells, rows) = model.partition(&parts);
        let found = found.next().unwrap();
        assert_eq!((found.token, found.key.as_slice()), (token, bytes));
        assert_eq!(found.static_row.is_some(), !static_cells.is_empty());
        if let Some(row) = &found.static_row {
            assert!(row.clustering.is_empty() && row.liveness.is_empty());
            check_cells(&row.cells, &static_cells);
        }
        let places = found.rows.iter().map(|r| shape.place_of(&r.clustering));
        let expected_places = rows.iter().map(|r| r.place.clone());
        assert_eq!(places.collect::<Vec<_>>(), expected_places.collect::<Vec<_>>());
        for (found, expected) in found.rows.iter().zip(&rows) {
            let liveness = expected.liveness.map_or(LivenessInfo::NONE, |(timestamp, ttl, ldt)| {
                LivenessInfo { timestamp, ttl, local_deletion_time: LocalDeletionTime(ldt) }
            });
            assert_eq!(found.liveness, liveness);
            check_cells(&found.cells, &expected.cells);
        }
    }
    assert_eq!(found.next(), None);
    check_books(&books, &model);
}

fn check_case(choices: &[u16]) {
    let mut t = Tape { choices, at: 0 };
    let shape = shape(&mut t);
    let rotate = t.below(5);
    let sources: Vec<_> = (0..1 + t.below(5)).map(|_| shape.source(&mut t)).collect();
    for rule in [TieBreak::Until22, TieBreak::Until311, TieBreak::From40] {
        let mut order: Vec<_> = sources.iter().collect();
        check_against_model(&shape, rule, &order);
        // The order of the sources is nothing to the answer: the model is asked the same thing.
        let middle = rotate % order.len();
        order.rotate_left(middle);
        check_against_model(&shape, rule, &order);
        order.reverse();
        check_against_model(&shape, rule, &order);
        if !shape.local_shards {
            let doubled: Vec<_> = order.iter().chain(&order).copied().collect();
            let (once, _) = run(&shape, rule, &order);
            let (twice, _) = run(&shape, rule, &doubled);
            assert_eq!(once, twice);
            check_against_model(&shape, rule, &doubled);
        }
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
    fn the_merge_answers_as_the_naive_model_does(
        choices in proptest::collection::vec(any::<u16>(), 0..600),
    ) {
        check_case(&choices);
    }
}

fn one_row(row: ModelRow) -> ModelSource {
    let clustering = vec![Some(INTS[2][0])];
    let rows = BTreeMap::from([(vec![2, 0], ModelRow { clustering, ..row })]);
    BTreeMap::from([(1, ModelPartition { rows, ..ModelPartition::default() })])
}

fn check_both_rules(shape: &Shape, sources: &[&ModelSource]) -> Vec<FoundRow> {
    check_against_model(shape, TieBreak::Until311, sources);
    check_against_model(shape, TieBreak::From40, sources);
    run(shape, TieBreak::From40, sources).0.remove(0).rows
}

#[test]
fn an_expired_insert_in_two_sources_is_no_row() {
    let shape = plain_shape();
    let insert = |at| ModelRow { liveness: Some((at, 50, NOW)), ..ModelRow::default() };
    let (old, new) = (one_row(insert(1)), one_row(insert(2)));
    assert_eq!(check_both_rules(&shape, &[&old, &new]), []);
    // A cell without TTL keeps the row, but does not bring its INSERT back.
    let mut update = ModelRow::default();
    let value = VALUES[0].to_vec();
    let cell = ModelCell { timestamp: 3, ttl: NO_TTL, ldt: NEVER, path: b"", value };
    update.cells.insert((0, 0), cell);
    let rows = check_both_rules(&shape, &[&old, &new, &one_row(update)]);
    assert_eq!((rows.len(), rows[0].liveness, rows[0].cells.len()), (1, LivenessInfo::NONE, 1));
}

#[test]
fn an_element_keeps_the_bytes_of_the_path_it_was_written_with() {
    let shape = plain_shape();
    let element = |timestamp, path| {
        let value = Vec::new();
        let cell = ModelCell { timestamp, ttl: NO_TTL, ldt: NEVER, path, value };
        let mut row = ModelRow::default();
        row.cells.insert((3, 1), cell);
        one_row(row)
    };
    let (old, new) = (element(1, DECIMALS[1][0]), element(2, DECIMALS[1][1]));
    for sources in [[&old, &new], [&new, &old]] {
        let rows = check_both_rules(&shape, &sources);
        assert_eq!(rows[0].cells[0].1.path, DECIMALS[1][1]);
    }
}

#[test]
fn cases_that_failed_before() {
    for choices in [
        // Liveness with a TTL in two sources was taken for one without.
        &[
            25, 45623, 0, 27386, 27678, 0, 0, 0, 10207, 6824, 0, 0, 3937, 0, 3024, 2316, 6952, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8458, 0, 6104, 0, 0, 0, 0, 0, 0,
            0, 0, 2745, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3600, 0, 0, 25071, 17818, 5264, 0, 466, 0, 0, 0,
            0, 0, 0, 0, 16432, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 250, 0, 9256, 0, 0, 508, 0, 0, 0, 0,
            0, 29848, 0, 0, 0, 0, 0, 0, 0, 0, 51512, 0, 0, 0, 0, 0, 0, 0, 0, 1680, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 23258, 55690, 0, 0, 0, 0, 0, 11742, 0, 0, 0, 0, 8941, 0, 0, 0,
            28434, 3584, 1, 3440, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1012, 0, 21365, 8485, 0, 0, 0, 0,
            0, 0, 16527, 0, 39066,
        ][..],
        // Element 1.00 came out as 1.0.
        &[
            360, 10149, 99, 0, 5368, 6988, 0, 17994, 480, 6984, 15347, 38654, 0, 0, 0, 1952, 9201,
            0, 1207, 4267, 37499, 0, 8214, 0, 2901, 0, 0, 0, 0, 0, 0, 0, 0, 56, 24973, 65465, 0, 0,
            0, 0, 0, 32949, 0, 0, 0, 0, 0, 42761, 0, 0, 0, 0, 19210, 0, 8794, 23330, 0, 13482,
            6782, 2784, 0, 0, 0, 0, 0, 0, 9320, 0, 0, 47674, 2231, 3017, 0, 0, 37099, 10648, 0, 0,
            15056, 0, 0, 0, 0, 0, 0, 5476, 0, 6853, 0, 0, 0, 0, 0, 23231, 0, 0, 0, 0, 53218, 0,
            21856, 26745, 0, 33355, 4201, 10188, 256,
        ],
    ] {
        check_case(choices);
    }
}
