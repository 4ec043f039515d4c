//! What real nodes wrote, read by a full scan: what reads by key are compared with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::dht::{Token, TokenRange};
use crate::discover::{InputOptions, SelectedTable, Source};
use crate::error::Result;
use crate::io::ReadMode;
use crate::merge::{PartitionMerge, RowSink, TieBreak};
use crate::rows::{Cell, LivenessInfo, PartitionSource, PartitionUpdate, RowView, UpdateSource};
use crate::schema::TableMetadata;
use crate::sstable::{LargeRows, SstableReader, SstableScanner, WorkerRows};

/// Before every expiry in the corpora but those that had expired when they were made.
pub(super) const NOW: i64 = 1_700_000_000;

/// A live row: clustering, marker, cells with their values and paths.
pub(super) type FoundRow = (Vec<Option<Vec<u8>>>, LivenessInfo, Vec<(Cell, Vec<u8>, Vec<u8>)>);

/// A partition: its static row and its rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) static_row: Option<FoundRow>,
    pub(super) rows: Vec<FoundRow>,
}

#[derive(Debug, Default)]
struct Collect {
    key: Vec<u8>,
    found: BTreeMap<Vec<u8>, Found>,
}

fn found_row(view: RowView<'_>) -> FoundRow {
    let values = view.row.clustering.iter().map(|v| v.bytes(view.data).map(<[u8]>::to_vec));
    let cells = view.row.cells.iter().map(|cell| {
        let (value, path) = (cell.value.of(view.data).to_vec(), cell.path.of(view.data).to_vec());
        let none = crate::rows::Span::default();
        (Cell { source: 0, value: none, path: none, ..*cell }, value, path)
    });
    (values.collect(), view.row.liveness, cells.collect())
}

impl Collect {
    fn partition(&mut self) -> &mut Found {
        self.found.entry(self.key.clone()).or_default()
    }
}

impl RowSink for Collect {
    fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
        self.key = key.to_vec();
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        if let Some(row) = row {
            self.partition().static_row = Some(found_row(row));
        }
        Ok(())
    }

    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        self.partition().rows.push(found_row(row));
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        Ok(())
    }
}

fn merged<S: PartitionSource>(
    table: &TableMetadata,
    rule: TieBreak,
    sources: Vec<S>,
) -> BTreeMap<Vec<u8>, Found> {
    let mut merge = PartitionMerge::new(table, rule, NOW, false, sources);
    let mut collect = Collect::default();
    while merge.step(&mut collect).unwrap() {}
    collect.found
}

/// The live partitions of `updates`, those of one key in several sources.
pub(super) fn answer(
    table: &TableMetadata,
    rule: TieBreak,
    updates: Vec<PartitionUpdate>,
) -> BTreeMap<Vec<u8>, Found> {
    let sources = updates.into_iter().map(|update| UpdateSource::new(vec![update]).unwrap());
    merged(table, rule, sources.collect())
}

/// The live rows of one partition.
pub(super) fn answer_one(table: &TableMetadata, rule: TieBreak, update: PartitionUpdate) -> Found {
    answer(table, rule, vec![update]).into_values().next().unwrap_or_default()
}

/// A table of a corpus, and what a scan of all its SSTables answers.
pub(super) struct Corpus {
    pub(super) table: Arc<TableMetadata>,
    pub(super) rule: TieBreak,
    pub(super) selected: SelectedTable,
    pub(super) live: BTreeMap<Vec<u8>, Found>,
}

impl Corpus {
    pub(super) fn folders(&self) -> Vec<std::path::PathBuf> {
        let first = self.selected.sstables.first().unwrap();
        vec![first.descriptor.directory.clone()]
    }
}

/// The tables of the corpora of these releases, and of them those that `wanted` says; a line says so if there are none.
pub(super) fn corpora(releases: &[&str], wanted: impl Fn(&TableMetadata) -> bool) -> Vec<Corpus> {
    let mut corpora = Vec::new();
    for release in releases {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(release);
        if !data.is_dir() {
            eprintln!("SKIPPED: no corpus {release}");
            continue;
        }
        let options =
            InputOptions { data_dirs: vec![data.join("data")], ..InputOptions::default() };
        let source = Source::open(&options, NOW).unwrap();
        let rule = source.tie_break();
        for selected in source.select(&options).unwrap().tables {
            if selected.sstables.is_empty() || !wanted(&selected.metadata) {
                continue;
            }
            let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(usize::MAX))));
            let scanners = selected.sstables.iter().map(|sstable| {
                let reader =
                    SstableReader::open(&sstable.descriptor, &selected.metadata, ReadMode::Map);
                let reader = Arc::new(reader.unwrap());
                SstableScanner::new(reader, TokenRange::ALL, Arc::clone(&rows), false).unwrap()
            });
            let live = merged(&selected.metadata, rule, scanners.collect());
            let table = Arc::new(selected.metadata.clone());
            corpora.push(Corpus { table, rule, selected, live });
        }
    }
    corpora
}
