use super::super::fixtures::{Corpus, Found, FoundRow, NOW, answer, answer_one, corpora};
use super::*;
use crate::rows::{DeletionTime, UpdateContent};
use crate::sstable::Component;

const RELEASES: [&str; 8] = ["2.1", "2.2", "3.0", "3.11", "4.0", "4.1", "5.0", "5.0-bti"];

fn open(corpus: &Corpus, mode: ReadMode, limits: ReadLimits) -> StoredRows {
    StoredRows::open(&corpus.table, corpus.folders(), corpus.rule, mode, limits).unwrap()
}

fn check_markers(update: &PartitionUpdate) {
    let mut open = DeletionTime::LIVE;
    for content in &update.content {
        if let UpdateContent::Marker(marker, _) = content {
            assert_eq!(marker.end, open);
            open = marker.start;
        }
    }
    assert!(open.is_live(), "a range that does not end");
}

fn slice_of(row: &FoundRow) -> Slice {
    let values: Vec<_> = row.0.iter().map(Option::as_deref).collect();
    Slice::with_prefix(&values)
}

#[test]
fn partitions_by_key_are_what_a_scan_finds() {
    let (mut partitions, mut row_reads) = (0, 0);
    for corpus in corpora(&RELEASES, |_| true) {
        let name = corpus.table.qualified_name();
        let mut stored = open(&corpus, ReadMode::Map, ReadLimits::default());
        assert_eq!(stored.sstable_count(), corpus.selected.sstables.len());
        for (key, live) in &corpus.live {
            partitions += 1;
            let page = stored.read(key, &Slice::all(), NOW).unwrap().unwrap();
            assert!(page.next.is_none());
            check_markers(&page.update);
            assert_eq!(&answer_one(&corpus.table, corpus.rule, page.update), live, "{name}");
            let update = stored.read_static(key, NOW).unwrap().unwrap();
            assert!(update.content.is_empty());
            let found = answer_one(&corpus.table, corpus.rule, update);
            assert_eq!(found, Found { rows: Vec::new(), ..live.clone() }, "{name}");
            for row in live.rows.iter().step_by(live.rows.len() / 40 + 1) {
                row_reads += 1;
                let page = stored.read(key, &slice_of(row), NOW).unwrap().unwrap();
                check_markers(&page.update);
                let found = answer_one(&corpus.table, corpus.rule, page.update);
                assert_eq!(found.rows, std::slice::from_ref(row), "{name}");
            }
        }
        assert!(stored.read(b"no such key, surely", &Slice::all(), NOW).unwrap().is_none());
    }
    assert!(partitions > 300 && row_reads > 1_000, "{partitions} {row_reads}");
}

#[test]
fn pages_join_to_the_whole_and_ranges_are_cut_between_them() {
    let mut pages = 0;
    for corpus in
        corpora(&["2.1", "2.2", "3.11", "5.0", "5.0-bti"], |table| !table.clustering.is_empty())
    {
        for rows in [1, 3] {
            let limits = ReadLimits { rows, ..ReadLimits::default() };
            let mut stored = open(&corpus, ReadMode::Read, limits);
            for (key, live) in &corpus.live {
                let mut parts = Vec::new();
                let mut next = Some(Slice::all());
                while let Some(slice) = next {
                    pages += 1;
                    let page = stored.read(key, &slice, NOW).unwrap().unwrap();
                    check_markers(&page.update);
                    assert!(page.update.content.len() <= (rows + 4) * stored.sstable_count());
                    assert_ne!(page.next.as_ref(), Some(&slice.start), "no progress");
                    next = page.next.map(|start| Slice { start, end: slice.end });
                    parts.push(page.update);
                }
                let found = answer(&corpus.table, corpus.rule, parts).into_values().next();
                assert_eq!(&found.unwrap_or_default(), live, "{}", corpus.table.qualified_name());
            }
        }
    }
    assert!(pages > 1_000, "{pages}");
}

#[test]
fn a_row_of_a_large_partition_is_found_by_the_index_of_its_rows() {
    let mut saved = 0;
    for corpus in corpora(&RELEASES, |table| table.qualified_name() == "storage.wide") {
        let mut stored = open(&corpus, ReadMode::Map, ReadLimits::default());
        let (key, live) = corpus.live.iter().max_by_key(|(_, found)| found.rows.len()).unwrap();
        stored.rows.take_bytes_read();
        stored.read(key, &Slice::all(), NOW).unwrap().unwrap();
        let whole = stored.rows.take_bytes_read();
        stored.read(key, &slice_of(live.rows.last().unwrap()), NOW).unwrap().unwrap();
        saved += u64::from(stored.rows.take_bytes_read() < whole);
        // Every block begins somewhere: each row is found from its own.
        for row in &live.rows {
            let page = stored.read(key, &slice_of(row), NOW).unwrap().unwrap();
            let found = answer_one(&corpus.table, corpus.rule, page.update);
            assert_eq!(found.rows, std::slice::from_ref(row));
        }
    }
    assert!(saved >= 2, "chunks left out in {saved} corpora");
}

#[test]
fn what_does_not_fit_is_an_error_that_says_so() {
    let corpus = &corpora(&["4.1"], |table| table.qualified_name() == "storage.wide")[0];
    let limits = ReadLimits { rows: 1_000, bytes: 1_000 };
    let mut stored = open(corpus, ReadMode::Map, limits);
    let (key, _) = corpus.live.iter().max_by_key(|(_, found)| found.rows.len()).unwrap();
    let error = stored.read(key, &Slice::all(), NOW).unwrap_err();
    assert!(error.to_string().contains("the limit is"), "{error}");
    assert!(error.hint().unwrap().contains("memory"), "{error}");
    // Less than a partition, but more than one row: pages.
    let limits = ReadLimits { rows: 1_000_000, bytes: 4 << 20 };
    let mut stored = open(corpus, ReadMode::Map, limits);
    let page = stored.read(key, &Slice::all(), NOW).unwrap().unwrap();
    assert!(page.update.memory() < 4 << 20);
}

fn copy(corpus: &Corpus, which: usize, to: &Path) -> Vec<PathBuf> {
    let sstable = &corpus.selected.sstables[which];
    let copied = sstable.components.iter().map(|component| {
        let from = sstable.descriptor.path(component);
        let target = to.join(from.file_name().unwrap());
        std::fs::copy(&from, &target).unwrap();
        target
    });
    copied.collect()
}

#[test]
fn compactions_under_way_are_followed() {
    let corpus = &corpora(&["4.1"], |table| table.qualified_name() == "shop.orders")[0];
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("orders");
    let mut stored = StoredRows::open(
        &corpus.table,
        vec![folder.clone(), dir.path().join("another disk")],
        corpus.rule,
        ReadMode::Map,
        ReadLimits::default(),
    )
    .unwrap();
    assert_eq!(stored.sstable_count(), 0, "a folder that is not there yet");
    std::fs::create_dir(&folder).unwrap();
    let first = copy(corpus, 0, &folder);
    assert!(stored.refresh().unwrap());
    assert_eq!(stored.sstable_count(), 1);
    assert!(!stored.refresh().unwrap(), "nothing has changed");
    copy(corpus, 1, &folder);
    assert!(stored.refresh().unwrap());
    // Removed, but open: what it holds is still read until the next look.
    first.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let mut found = 0;
    for key in corpus.live.keys() {
        found += usize::from(stored.read(key, &Slice::all(), NOW).unwrap().is_some());
    }
    assert!(stored.refresh().unwrap());
    assert_eq!(stored.sstable_count(), 1);
    assert!(found > 0);
    // An SSTable that is listed and never there.
    let gone = folder.join("nb-99-big-Data.db");
    std::os::unix::fs::symlink(dir.path().join("nowhere"), gone).unwrap();
    let error = stored.refresh().unwrap_err();
    assert!(error.to_string().contains("vanish faster than they can be opened"), "{error}");
    assert_eq!(stored.sstable_count(), 1, "what was open stays so");
}

#[test]
fn an_index_and_a_filter_may_be_missing() {
    for corpus in corpora(&["2.1", "3.0", "5.0", "5.0-bti"], |table| {
        table.qualified_name() == "deletes.mixed"
    }) {
        for absent in [
            &[Component::Filter][..],
            &[Component::Summary],
            &[Component::Index, Component::Summary, Component::Filter],
            &[Component::Partitions],
            &[Component::Rows],
        ] {
            let dir = tempfile::tempdir().unwrap();
            for which in 0..corpus.selected.sstables.len() {
                copy(&corpus, which, dir.path());
                for component in absent {
                    let original = &corpus.selected.sstables[which].descriptor;
                    let name = original.path(component);
                    let copied = dir.path().join(name.file_name().unwrap());
                    // Each of the formats has some of them.
                    drop(std::fs::remove_file(copied));
                }
            }
            let folders = vec![dir.path().to_path_buf()];
            let limits = ReadLimits::default();
            let opened =
                StoredRows::open(&corpus.table, folders, corpus.rule, ReadMode::Map, limits);
            let mut stored = opened.unwrap();
            for (key, live) in &corpus.live {
                let page = stored.read(key, &Slice::all(), NOW).unwrap().unwrap();
                assert_eq!(&answer_one(&corpus.table, corpus.rule, page.update), live);
            }
            assert!(stored.read(b"none", &Slice::all(), NOW).unwrap().is_none());
        }
    }
}
