//! The rules between two things, one line each.

use std::cmp::Ordering;

use super::TieBreak::{self, From40, Until22, Until311};
use super::model_source::NOW;
use super::reconcile::{RowMerge, wins};
use super::{PartitionMerge, RowSink};
use crate::dht::Token;
use crate::error::Result;
use crate::rows::{
    Cell, ClusteringValue, DeletionTime, LivenessInfo, LocalDeletionTime, NO_TIMESTAMP, NO_TTL,
    PartitionUpdate, Row, RowView, Span, UpdateContent, UpdateSource,
};
use crate::schema::parse_schema;

fn cell(timestamp: i64, ttl: i32, ldt: i64) -> Cell {
    Cell {
        timestamp,
        local_deletion_time: LocalDeletionTime(ldt),
        ttl,
        column: 0,
        source: 0,
        value: Span::default(),
        path: Span::default(),
    }
}

const NEVER: i64 = i64::MAX;

fn live(timestamp: i64) -> Cell {
    cell(timestamp, NO_TTL, NEVER)
}

fn tombstone(timestamp: i64, ldt: i64) -> Cell {
    cell(timestamp, NO_TTL, ldt)
}

fn expiring(timestamp: i64, ldt: i64) -> Cell {
    cell(timestamp, 10, ldt)
}

/// `a` against `b`: Greater if only `a` wins, Equal if either may.
fn outcome(rule: TieBreak, a: (Cell, &[u8]), b: (Cell, &[u8])) -> Ordering {
    outcome_in("CREATE TABLE k.t (p int PRIMARY KEY, v int);", rule, a, b)
}

/// The same in a table.
fn outcome_in(table: &str, rule: TieBreak, a: (Cell, &[u8]), b: (Cell, &[u8])) -> Ordering {
    let schema = parse_schema(table, None).unwrap();
    let rules = RowMerge::new(schema.table("k", "t").unwrap(), rule, NOW, false);
    let a_wins = wins(&rules, (&a.0, a.1), (&b.0, b.1));
    let b_wins = wins(&rules, (&b.0, b.1), (&a.0, a.1));
    assert!(a_wins || b_wins, "neither wins: {a:?} {b:?}");
    b_wins.cmp(&a_wins).reverse()
}

#[test]
fn two_cells_by_the_rule_of_each_release() {
    use Ordering::{Equal, Greater, Less};
    let (past, future) = (NOW - 5, NOW + 5);
    type Side = (Cell, &'static [u8]);
    // What the first is to the second until 3.11, and from 4.0 on.
    let cases: [(&str, Side, Side, Ordering, Ordering); 20] = [
        ("time", (live(2), b"a"), (live(1), b"b"), Greater, Greater),
        ("negative time", (live(-2), b"b"), (live(-1), b"a"), Less, Less),
        ("time over tombstone", (live(2), b""), (tombstone(1, past), b""), Greater, Greater),
        ("same", (live(1), b"a"), (live(1), b"a"), Equal, Equal),
        ("value", (live(1), b"b"), (live(1), b"a"), Greater, Greater),
        ("prefix", (live(1), b"ab"), (live(1), b"a"), Greater, Greater),
        ("empty value", (live(1), b""), (live(1), b"\x00"), Less, Less),
        ("signs", (live(1), b"\x51"), (live(1), b"\xe1"), Greater, Less),
        ("signs behind", (live(1), b"a\xff"), (live(1), b"a\x00"), Less, Greater),
        ("sign and length", (live(1), b"\xe1"), (live(1), b""), Greater, Greater),
        ("tombstone", (tombstone(1, past), b""), (live(1), b"z"), Greater, Greater),
        ("expired", (expiring(1, past), b"a"), (live(1), b"z"), Greater, Greater),
        ("expired at the clock", (expiring(1, NOW), b"a"), (live(1), b"z"), Greater, Greater),
        // Until 3.11 what expires later is as live as the rest.
        ("expiring, less", (expiring(1, future), b"a"), (live(1), b"z"), Less, Greater),
        ("expiring, same", (expiring(1, future), b"a"), (live(1), b"a"), Less, Greater),
        (
            "tombstone and expiring",
            (tombstone(1, past), b""),
            (expiring(1, future), b"z"),
            Greater,
            Greater,
        ),
        // Both dead at the clock: until 3.11 the value decides, which a tombstone has none of.
        (
            "tombstone and expired",
            (tombstone(1, NOW), b""),
            (expiring(1, past), b"z"),
            Less,
            Greater,
        ),
        ("tombstones", (tombstone(1, NOW), b""), (tombstone(1, past), b""), Greater, Greater),
        ("expiries", (expiring(1, future + 1), b"a"), (expiring(1, future), b"b"), Less, Greater),
        (
            "expiries, same value",
            (expiring(1, future + 1), b"a"),
            (expiring(1, future), b"a"),
            Greater,
            Greater,
        ),
    ];
    for (name, a, b, until_311, from_40) in cases {
        assert_eq!(outcome(Until311, a, b), until_311, "{name}, until 3.11");
        assert_eq!(outcome(From40, a, b), from_40, "{name}, from 4.0");
    }
    // Negative deletion times of overflowed TTLs are long past, and still times.
    assert_eq!(outcome(Until311, (expiring(1, -1), b"a"), (live(1), b"z")), Greater);
    assert_eq!(outcome(From40, (expiring(1, -1), b"a"), (expiring(1, past), b"z")), Less);
}

#[test]
fn of_two_expiring_cells_of_a_compact_table_without_clustering_the_value_wins_in_2_x() {
    let compact = "CREATE TABLE k.t (p int PRIMARY KEY, v int, w int) WITH COMPACT STORAGE;";
    let expired = |value: &'static [u8]| (expiring(1, NOW - 5), value);
    let waiting = |value: &'static [u8]| (expiring(1, NOW + 5), value);
    for (a, b, in_compact, in_others) in [
        (expired(b"a"), waiting(b"b"), Ordering::Less, Ordering::Greater),
        (expired(b"b"), waiting(b"a"), Ordering::Greater, Ordering::Greater),
        (expired(b"a"), waiting(b"a"), Ordering::Less, Ordering::Greater),
        // Against others 2.x has no fixed answer, and a tombstone always wins.
        (expired(b"a"), (live(1), b"b"), Ordering::Greater, Ordering::Greater),
        ((tombstone(1, NOW - 5), b""), waiting(b"b"), Ordering::Greater, Ordering::Greater),
    ] {
        assert_eq!(outcome_in(compact, Until22, a, b), in_compact, "{a:?} {b:?}");
        assert_eq!(outcome_in(compact, Until311, a, b), in_others, "{a:?} {b:?}");
        assert_eq!(outcome(Until22, a, b), in_others, "{a:?} {b:?}");
    }
}

#[test]
fn rules_are_chosen_by_release() {
    for (release, rule) in [
        ("2.1.22", Some(Until22)),
        ("2.2", Some(Until22)),
        ("3.0.29", Some(Until311)),
        ("3.11.19-SNAPSHOT", Some(Until311)),
        ("4.0-rc1", Some(From40)),
        ("4", Some(From40)),
        ("5.0-beta1", Some(From40)),
        ("10.0", Some(From40)),
        ("", None),
        ("v4.0", None),
    ] {
        assert_eq!(TieBreak::of_release(release), rule, "{release}");
    }
}

#[test]
fn cells_live_until_the_second_of_their_expiry() {
    for (cell, is_live) in [
        (live(1), true),
        (expiring(1, NOW + 1), true),
        (expiring(1, NOW), false),
        (expiring(1, NOW - 1), false),
        (expiring(1, -1), false),
        (tombstone(1, NOW + 1), false),
        (tombstone(1, NOW - 1), false),
    ] {
        assert_eq!(cell.is_live(NOW), is_live, "{cell:?}");
    }
    assert!(tombstone(1, 5).is_tombstone() && !tombstone(1, 5).is_expiring());
    assert!(!expiring(1, 5).is_tombstone() && expiring(1, 5).is_expiring());
    assert!(!live(1).is_tombstone() && !live(1).is_expiring());
}

fn liveness(timestamp: i64, ttl: i32, ldt: i64) -> LivenessInfo {
    LivenessInfo { timestamp, ttl, local_deletion_time: LocalDeletionTime(ldt) }
}

#[test]
fn of_two_livenesses_the_one_that_supersedes() {
    let none = LivenessInfo::NONE;
    let taken_back = |at, ldt| liveness(at, LivenessInfo::EXPIRED_TTL, ldt);
    // Ascending; each supersedes all before it.
    let order = [
        none,
        liveness(NO_TIMESTAMP + 1, NO_TTL, NEVER),
        liveness(-1, 5, NOW),
        liveness(1, NO_TTL, NEVER),
        liveness(1, 5, NOW - 1),
        liveness(1, 5, NOW + 1),
        taken_back(1, NOW - 1),
        taken_back(1, NOW),
        liveness(2, NO_TTL, NEVER),
    ];
    for (i, a) in order.iter().enumerate() {
        for (j, b) in order.iter().enumerate() {
            assert_eq!(a.supersedes(b), i > j, "{a:?} {b:?}");
        }
    }
    for (info, is_live) in [
        (none, false),
        (liveness(0, NO_TTL, NEVER), true),
        (liveness(-7, NO_TTL, NEVER), true),
        (liveness(1, 5, NOW + 1), true),
        (liveness(1, 5, NOW), false),
        (taken_back(1, NOW + 1), false),
    ] {
        assert_eq!(info.is_live(NOW), is_live, "{info:?}");
    }
}

#[test]
fn of_two_deletions_the_one_that_supersedes_and_equality_deletes() {
    let deletion = |at, ldt| DeletionTime {
        marked_for_delete_at: at,
        local_deletion_time: LocalDeletionTime(ldt),
    };
    let order = [
        DeletionTime::LIVE,
        deletion(-5, NOW),
        deletion(3, -1),
        deletion(3, NOW - 1),
        deletion(3, NOW),
        deletion(4, 0),
    ];
    for (i, a) in order.iter().enumerate() {
        for (j, b) in order.iter().enumerate() {
            assert_eq!(a.supersedes(b), i > j, "{a:?} {b:?}");
            assert_eq!(a.max(*b), order[i.max(j)]);
        }
    }
    let five = deletion(5, 0);
    assert!(five.deletes(4) && five.deletes(5) && !five.deletes(6));
    assert!(!DeletionTime::LIVE.deletes(i64::MIN + 1));
    assert!(DeletionTime::LIVE.is_live() && !deletion(-5, NOW).is_live());
}

/// Keeps the first clustering value of each row.
#[derive(Default)]
struct Shown(Vec<Vec<u8>>);

impl RowSink for Shown {
    fn partition(&mut self, _: &[u8], _: Token) -> Result<()> {
        Ok(())
    }

    fn static_row(&mut self, _: Option<RowView<'_>>) -> Result<()> {
        Ok(())
    }

    fn row(&mut self, view: RowView<'_>) -> Result<()> {
        self.0.push(view.row.clustering[0].bytes(view.data).unwrap().to_vec());
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn of_equal_clusterings_2_x_shows_that_of_the_newest_marker_or_first_cell() {
    let text = "CREATE TABLE ks.t (k int, c decimal, \"\u{dc}\" int, a int, PRIMARY KEY (k, c))";
    let table = parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone();
    let table = std::sync::Arc::new(table);
    // 1, 1.0 and 1.00.
    let forms: [&[u8]; 3] = [&[0, 0, 0, 0, 1], &[0, 0, 0, 1, 10], &[0, 0, 0, 2, 100]];
    // On disk the column with a first byte from 0x80 on is the first, by name the second.
    assert_eq!(table.regulars[1].name, "a");
    let shown = |rule, versions: &[(Option<i64>, u16, i64)]| {
        let source = |(form, (marker, column, timestamp)): (&&[u8], &(Option<i64>, u16, i64))| {
            let mut update = PartitionUpdate::new(table.clone(), vec![0, 0, 0, 1]);
            update.data = form.to_vec();
            let span = Span { start: 0, len: u32::try_from(form.len()).unwrap() };
            let mut row = Row { clustering: vec![ClusteringValue::Value(span)], ..Row::EMPTY };
            if let Some(timestamp) = marker {
                row.liveness = LivenessInfo { timestamp: *timestamp, ..LivenessInfo::NONE };
            }
            row.cells.push(Cell { column: *column, ..live(*timestamp) });
            update.content.push(UpdateContent::Row(row));
            UpdateSource::new(vec![update]).unwrap()
        };
        let sources = forms.iter().zip(versions).map(source).collect();
        let mut merge = PartitionMerge::new(&table, rule, NOW, false, sources);
        let mut shown = Shown::default();
        while merge.step(&mut shown).unwrap() {}
        assert_eq!(shown.0.len(), 1);
        forms.iter().position(|form| *form == shown.0[0]).unwrap()
    };
    let newest_marker = [(Some(1), 0, 1), (Some(3), 0, 1), (Some(2), 0, 9)];
    assert_eq!((shown(Until22, &newest_marker), shown(Until311, &newest_marker)), (1, 0));
    let first_column = [(None, 0, 9), (None, 1, 1), (None, 1, 2)];
    assert_eq!((shown(Until22, &first_column), shown(From40, &first_column)), (2, 0));
}
