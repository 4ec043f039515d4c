use std::sync::Arc;

use super::super::fixtures::{Corpus, FoundRow, NOW, answer, answer_one, corpora};
use super::super::table::ReadLimits;
use super::*;
use crate::io::ReadMode;
use crate::rows::{ClusteringKind, LocalDeletionTime, Marker};

struct Fixture {
    corpus: Corpus,
    base: BaseRows,
    touched: Touched,
}

impl Fixture {
    fn new(table: &str, rows: usize) -> Self {
        let corpus = corpora(&["4.1"], |t| t.qualified_name() == table).remove(0);
        let limits = ReadLimits { rows, ..ReadLimits::default() };
        let stored =
            StoredRows::open(&corpus.table, corpus.folders(), corpus.rule, ReadMode::Map, limits);
        Self { corpus, base: BaseRows::new(stored.unwrap()), touched: Touched::new(1_000) }
    }

    fn change(&self, key: &[u8]) -> PartitionUpdate {
        PartitionUpdate::new(Arc::clone(&self.corpus.table), key.to_vec())
    }

    /// The live rows handed on for `change`, and whether a static row came.
    fn first_touches(&mut self, change: &PartitionUpdate) -> (Vec<FoundRow>, usize) {
        let (mut rows, mut statics) = (Vec::new(), 0);
        let (table, rule) = (&self.corpus.table, self.corpus.rule);
        let mut each = |update: PartitionUpdate| {
            assert!(update.deletion.is_live() || !table.statics.is_empty());
            assert!(update.content.iter().all(|c| matches!(c, UpdateContent::Row(_))));
            statics += usize::from(update.static_row.is_some());
            rows.extend(answer_one(table, rule, update).rows);
            Ok(())
        };
        self.base.first_touches(&mut self.touched, change, NOW, &mut each).unwrap();
        (rows, statics)
    }

    fn first_touches_of_any(&mut self, change: &PartitionUpdate) {
        self.base.first_touches(&mut self.touched, change, NOW, &mut |_| Ok(())).unwrap();
    }

    /// The partition with the most rows.
    fn largest(&self) -> (Vec<u8>, Vec<FoundRow>) {
        let all = self.corpus.live.iter();
        let (key, found) = all.max_by_key(|(_, found)| found.rows.len()).unwrap();
        (key.clone(), found.rows.clone())
    }
}

fn with_row(change: &mut PartitionUpdate, row: &FoundRow) {
    let mut copy = Row::EMPTY;
    for value in &row.0 {
        let span = change.append(value.as_deref().unwrap_or_default()).unwrap();
        copy.clustering.push(crate::rows::ClusteringValue::Value(span));
    }
    change.content.push(UpdateContent::Row(copy));
}

fn deletion(at: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at: at, local_deletion_time: LocalDeletionTime(NOW) }
}

fn with_range(
    change: &mut PartitionUpdate,
    from: &FoundRow,
    to: &FoundRow,
    deletion: DeletionTime,
) {
    let live = DeletionTime::LIVE;
    for (row, kind, end, start) in [
        (from, ClusteringKind::InclStartBound, live, deletion),
        (to, ClusteringKind::ExclEndBound, deletion, live),
    ] {
        with_row(change, row);
        let Some(UpdateContent::Row(row)) = change.content.pop() else { panic!() };
        change.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
    }
}

#[test]
fn a_row_comes_with_its_first_touch_and_the_static_row_with_the_first_of_the_partition() {
    let mut fixture = Fixture::new("statics.mixed", 1_000);
    let live = fixture.corpus.live.clone();
    let (key, found) =
        live.iter().find(|(_, f)| f.static_row.is_some() && f.rows.len() >= 2).unwrap();
    for (row, statics) in [(&found.rows[0], 1), (&found.rows[1], 0)] {
        let mut change = fixture.change(key);
        with_row(&mut change, row);
        assert_eq!(fixture.first_touches(&change), (vec![row.clone()], statics));
        assert_eq!(fixture.first_touches(&change), (Vec::new(), 0), "touched before");
    }
    let mut change = fixture.change(b"no such key");
    with_row(&mut change, &found.rows[0]);
    assert_eq!(fixture.first_touches(&change), (Vec::new(), 0), "not stored");
}

#[test]
fn a_static_change_brings_all_rows_that_were_not_there_before() {
    for rows in [1_000, 1] {
        let mut fixture = Fixture::new("statics.mixed", rows);
        let live = fixture.corpus.live.clone();
        let (key, found) = live.iter().max_by_key(|(_, found)| found.rows.len()).unwrap();
        let mut first = fixture.change(key);
        with_row(&mut first, &found.rows[0]);
        fixture.first_touches(&first);
        let mut change = fixture.change(key);
        change.static_row = Some(Row::EMPTY);
        assert_eq!(fixture.first_touches(&change).0, found.rows[1..]);
        assert_eq!(fixture.first_touches(&change).0, []);
        let mut later = fixture.change(key);
        with_row(&mut later, &found.rows[1]);
        assert_eq!(fixture.first_touches(&later), (Vec::new(), 0), "the whole partition was");
    }
}

#[test]
fn deletions_bring_traces_of_what_they_delete_and_all_of_what_survives() {
    let mut fixture = Fixture::new("deletes.mixed", 2);
    let (key, rows) = fixture.largest();
    assert!(rows.len() >= 4);
    let (from, to) = (&rows[1], &rows[rows.len() - 1]);
    let mut change = fixture.change(&key);
    with_range(&mut change, from, to, deletion(i64::MAX - 1));
    let (found, _) = fixture.first_touches(&change);
    let clusterings = |rows: &[FoundRow]| rows.iter().map(|r| r.0.clone()).collect::<Vec<_>>();
    assert_eq!(clusterings(&found), clusterings(&rows[1..rows.len() - 1]));
    for row in &found {
        assert_eq!(row.2.len() + usize::from(!row.1.is_empty()), 1, "more than a trace");
    }
    // Older than everything: nothing is deleted, so all of the rest is needed.
    let mut change = fixture.change(&key);
    change.deletion = deletion(-1_000_000);
    let (found, _) = fixture.first_touches(&change);
    assert_eq!(found, [&rows[..1], &rows[rows.len() - 1..]].concat());
    assert_eq!(fixture.first_touches(&change).0, []);
}

/// Rows that were deleted by range before anybody looked, and a write to each that is older than anything stored.
#[test]
fn a_write_that_comes_late_does_not_bring_back_what_was_deleted() {
    let mut fixture = Fixture::new("deletes.mixed", 3);
    let (table, rule) = (Arc::clone(&fixture.corpus.table), fixture.corpus.rule);
    let keys: Vec<Vec<u8>> = fixture.corpus.live.keys().cloned().collect();
    let (mut gone, mut there) = (0, 0);
    for key in &keys {
        let stored = fixture.base.stored().read(key, &Slice::all(), NOW).unwrap();
        let mut all = vec![];
        let mut page = stored;
        while let Some(found) = page {
            let next = found.next.map(|start| Slice { start, end: SliceBound::after(&[]) });
            all.push(found.update);
            page = next.and_then(|slice| fixture.base.stored().read(key, &slice, NOW).unwrap());
        }
        for (a, b, c) in (0..3_i32).flat_map(|a| {
            [("x", 0), ("x", 1), ("y", 0), ("y", 1), ("z", 5_i32)].map(|(b, c)| (a, b, c))
        }) {
            let values = [a.to_be_bytes().to_vec(), b.into(), c.to_be_bytes().to_vec()];
            let row: FoundRow = (values.map(Some).to_vec(), Row::EMPTY.liveness, Vec::new());
            let mut late = fixture.change(key);
            with_row(&mut late, &row);
            let Some(UpdateContent::Row(written)) = late.content.last_mut() else { panic!() };
            written.liveness.timestamp = 1;
            let at = |updates: Vec<PartitionUpdate>| {
                let found = answer(&table, rule, updates).into_values().next().unwrap_or_default();
                found.rows.into_iter().find(|found| found.0 == row.0)
            };
            let expected = at(all.iter().cloned().chain([late.clone()]).collect());
            for by_the_partition in [false, true] {
                fixture.touched.clear();
                let mut known = Vec::new();
                let mut each = |update: PartitionUpdate| {
                    known.push(update);
                    Ok(())
                };
                if by_the_partition {
                    let mut change = PartitionUpdate::new(Arc::clone(&table), key.clone());
                    change.static_row = Some(Row::EMPTY);
                    let (base, touched) = (&mut fixture.base, &mut fixture.touched);
                    base.first_touches(touched, &change, NOW, &mut each).unwrap();
                }
                let (base, touched) = (&mut fixture.base, &mut fixture.touched);
                base.first_touches(touched, &late, NOW, &mut each).unwrap();
                known.push(late.clone());
                assert_eq!(at(known), expected, "{key:?} {row:?} {by_the_partition}");
            }
            gone += u32::from(expected.is_none());
            there += u32::from(expected.is_some());
        }
    }
    assert!(gone > 20 && there > 20, "{gone} {there}");
}

#[test]
fn a_deletion_that_was_flushed_before_anybody_looked_brings_the_rows_it_hit() {
    use std::collections::BTreeSet;
    type Clustering = Vec<Option<Vec<u8>>>;
    fn there(update: &PartitionUpdate) -> BTreeSet<Clustering> {
        let rows = update.content.iter().filter_map(|content| match content {
            UpdateContent::Row(row) => Some(row),
            UpdateContent::Marker(..) => None,
        });
        rows.filter(|row| {
            !row.liveness.is_empty() || row.cells.iter().any(|cell| !cell.is_tombstone())
        })
        .map(|row| {
            row.clustering.iter().map(|v| v.bytes(&update.data).map(<[u8]>::to_vec)).collect()
        })
        .collect()
    }
    let mut fixture = Fixture::new("deletes.mixed", 1_000);
    let keys: Vec<Vec<u8>> = fixture.corpus.live.keys().cloned().collect();
    let mut hidden = 0;
    for key in &keys {
        let page = fixture.base.stored().read(key, &Slice::all(), NOW).unwrap().unwrap();
        let parts: BTreeSet<_> = page.parts.iter().flat_map(there).collect();
        hidden += parts.difference(&there(&page.update)).count();
        let mut change = fixture.change(key);
        change.deletion = deletion(i64::MAX - 1);
        let mut found = BTreeSet::new();
        let mut each = |update: PartitionUpdate| {
            found.extend(there(&update));
            Ok(())
        };
        let (base, touched) = (&mut fixture.base, &mut fixture.touched);
        base.first_touches(touched, &change, NOW, &mut each).unwrap();
        assert_eq!(found, parts, "{key:?}");
        // One that is older than what it would have hit names nothing.
        fixture.touched.clear();
        let mut old = fixture.change(key);
        old.deletion = deletion(-1_000_000);
        let mut count = 0;
        let mut each = |update: PartitionUpdate| {
            count += there(&update).len();
            Ok(())
        };
        let (base, touched) = (&mut fixture.base, &mut fixture.touched);
        base.first_touches(touched, &old, NOW, &mut each).unwrap();
        assert_eq!(count, there(&page.update).len());
    }
    assert!(hidden > 0);
}

#[test]
fn what_may_end_a_row_brings_another_one_that_stays_where_there_are_static_columns() {
    let mut fixture = Fixture::new("statics.mixed", 1_000);
    let live = fixture.corpus.live.clone();
    let with_statics = live.iter().filter(|(_, found)| found.static_row.is_some());
    let (key, found) = with_statics.max_by_key(|(_, found)| found.rows.len()).unwrap();
    let rows = &found.rows;
    assert!(rows.len() > 1);
    let stays = |row: &FoundRow| {
        row.1.timestamp > 0 && row.1.ttl == NO_TTL || row.2.iter().any(|cell| !cell.0.is_expiring())
    };
    for ends in 0..3 {
        let mut change = fixture.change(key);
        with_row(&mut change, &rows[0]);
        let Some(UpdateContent::Row(row)) = change.content.last_mut() else { panic!() };
        match ends {
            0 => row.deletion = deletion(5),
            1 => row.has_times = true,
            _ => {}
        }
        let (mut brought, statics) = fixture.first_touches(&change);
        assert_eq!((brought.pop().as_ref(), statics), (Some(&rows[0]), 1), "{ends}");
        let others = rows[1..].iter().position(stays).map_or(rows.len(), |at| at + 2);
        assert_eq!(brought, rows[1..if ends < 2 { others } else { 1 }], "{ends}");
        // The same again, of a row after it, until none is left.
        for (i, row) in rows.iter().enumerate().skip(1).take_while(|_| ends == 0) {
            let mut change = fixture.change(key);
            for row in &rows[..=i] {
                with_row(&mut change, row);
                let Some(UpdateContent::Row(row)) = change.content.last_mut() else { panic!() };
                row.deletion = deletion(5);
            }
            let (brought, _) = fixture.first_touches(&change);
            let counted = fixture.touched.is_counted(&fixture.corpus.table, key);
            assert_eq!(counted, !rows[i + 1..].iter().any(stays), "{i}");
            assert!(brought.iter().all(|found| found == row || rows[i + 1..].contains(found)));
        }
        fixture.touched.clear();
    }
}

/// The SSTables of the corpus are in a snapshot alone, as after a compaction that a deletion has left nothing of.
#[test]
fn rows_that_a_compaction_dropped_for_a_deletion_are_found_in_a_snapshot() {
    let corpus = corpora(&["4.1"], |t| t.qualified_name() == "deletes.mixed").remove(0);
    let directory = tempfile::tempdir().unwrap();
    let (folder, mut touched) = (directory.path().to_path_buf(), Touched::new(1_000));
    let snapshot = folder.join("snapshots/handoff");
    std::fs::create_dir_all(&snapshot).unwrap();
    for from in corpus.folders() {
        for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            if file.file_type().unwrap().is_file() {
                std::fs::copy(file.path(), snapshot.join(file.file_name())).unwrap();
            }
        }
    }
    let open = |since: Option<u64>| {
        let (limits, folders) = (ReadLimits::default(), vec![folder.clone()]);
        let stored =
            StoredRows::open(&corpus.table, folders, corpus.rule, ReadMode::Map, limits).unwrap();
        let base = BaseRows::new(stored);
        let at = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        match since {
            Some(seconds) => base.with_snapshots(at(seconds)),
            None => base,
        }
    };
    let (key, rows) = corpus.live.iter().max_by_key(|(_, found)| found.rows.len()).unwrap();
    let rows = &rows.rows;
    let wanted: Vec<_> = rows.iter().map(|row| row.0.clone()).collect();
    let mut ask = |base: &mut BaseRows, change: &PartitionUpdate| {
        let mut found = Vec::new();
        let mut each = |update: PartitionUpdate| {
            found.extend(answer_one(&corpus.table, corpus.rule, update).rows);
            Ok(())
        };
        base.first_touches(&mut touched, change, NOW, &mut each).unwrap();
        touched.clear();
        let of: Vec<_> = found.into_iter().map(|row| row.0).collect();
        wanted.iter().filter(|row| of.contains(row)).count()
    };
    let mut change = PartitionUpdate::new(Arc::clone(&corpus.table), key.clone());
    change.deletion = deletion(i64::MAX - 1);
    let mut range = PartitionUpdate::new(Arc::clone(&corpus.table), key.clone());
    with_range(&mut range, &rows[1], &rows[3], deletion(i64::MAX - 1));
    assert_eq!(ask(&mut open(Some(0)), &change), rows.len());
    assert_eq!(ask(&mut open(Some(0)), &range), 2);
    // Of one from before the stream began nothing is taken.
    let tomorrow = u64::try_from(crate::progress::clock::now().seconds() + 86_400).unwrap();
    assert_eq!(ask(&mut open(Some(tomorrow)), &change), 0);
    assert_eq!(ask(&mut open(None), &change), 0);
    // A deletion that is stored already, and nothing that shows what it hit before.
    let mut fixture = Fixture::new("deletes.mixed", 1_000);
    let keys: Vec<Vec<u8>> = fixture.corpus.live.keys().cloned().collect();
    for key in &keys {
        for at in [-1_000_000, i64::MAX - 1] {
            let mut change = fixture.change(key);
            change.deletion = deletion(at);
            fixture.first_touches_of_any(&change);
            let stored = fixture.base.stored().read(key, &Slice::all(), NOW).unwrap().unwrap();
            let is_late = deletion_of_all(&stored.update).marked_for_delete_at >= at;
            assert_eq!(fixture.base.take_late(), u64::from(is_late), "{key:?} {at}");
            fixture.touched.clear();
        }
    }
}

#[test]
fn every_spelling_of_a_clustering_that_is_stored_is_handed_on() {
    let text = "CREATE TABLE ks.t (k int, d decimal, v int, PRIMARY KEY (k, d));";
    let schema = crate::schema::parse_schema(text, None).unwrap();
    let table = Arc::new(schema.table("ks", "t").unwrap().clone());
    let of = |scales: &[u8]| {
        let mut update = PartitionUpdate::new(Arc::clone(&table), vec![0, 0, 0, 1]);
        for (i, scale) in (1_u8..).zip(scales) {
            let span = update.append(&[0, 0, 0, *scale, i * u8::from(*scale < 9)]).unwrap();
            let clustering = vec![crate::rows::ClusteringValue::Value(span)];
            update.content.push(UpdateContent::Row(Row { clustering, ..Row::EMPTY }));
        }
        update
    };
    let spelled = |page: StoredPage| {
        let mut found = Vec::new();
        let mut each = |update: PartitionUpdate| {
            found.push(update.data);
            Ok(())
        };
        spellings(&page, &mut each).unwrap();
        found
    };
    // 0 is spelled with ten places in the second, and 2 in one way.
    let (merged, other) = (of(&[10, 0]), of(&[9, 0]));
    let page =
        StoredPage { parts: vec![merged.clone(), other.clone()], update: merged, next: None };
    assert_eq!(spelled(page), [vec![0, 0, 0, 9, 0]]);
    let page = StoredPage { parts: vec![other.clone(), other.clone()], update: other, next: None };
    assert_eq!(spelled(page), Vec::<Vec<u8>>::new());
}
