//! What is kept of finished splits: for the report, the manifest and the state of an unfinished run.

use std::collections::BTreeMap;

use crate::dht::TokenRange;
use crate::output::RecordStats;
use crate::output::manifest::{ColumnStats, FileEntry, RecordDigest, TableCounters, TokenInterval};
use crate::output::state::SplitState;
use crate::progress::{Books, Quarantine};

use super::sink::FileDone;
use super::worker::SplitDone;

/// One table's share of the results, filled in as its splits end.
#[derive(Debug, Default)]
pub(super) struct TableResult {
    pub(super) splits: BTreeMap<u32, SplitOutcome>,
}

/// What is kept of a finished split.
#[derive(Debug, Clone)]
pub(super) struct SplitOutcome {
    pub(super) files: Vec<FileEntry>,
    pub(super) deletes: Vec<FileEntry>,
    pub(super) stats: RecordStats,
    pub(super) counters: TableCounters,
    pub(super) books: Books,
    pub(super) quarantine: Vec<Quarantine>,
    pub(super) extents: Vec<(u64, u64)>,
    /// Token ranges were left out, so that extents do not join.
    pub(super) damaged: bool,
}

/// What is kept of the split over `range`; `damaged` if token ranges were left out of it.
pub(super) fn outcome(
    range: TokenRange,
    done: SplitDone,
    stats: RecordStats,
    damaged: bool,
) -> SplitOutcome {
    let entry = |file: FileDone| FileEntry {
        name: file.name,
        bytes: file.meta.bytes,
        rows: file.records,
        crc64nvme: file.meta.crc64nvme,
        digest: RecordDigest(file.digest),
        range: TokenInterval::from(range),
    };
    SplitOutcome {
        files: done.files.into_iter().map(entry).collect(),
        deletes: done.deletes.into_iter().map(entry).collect(),
        counters: table_counters(&stats, done.rows_expiring, &done.refused),
        stats,
        books: done.books,
        quarantine: done.quarantine,
        extents: done.extents,
        damaged,
    }
}

/// Column statistics of a table: those of its splits together.
pub(super) fn table_stats(result: &TableResult) -> RecordStats {
    let mut all = RecordStats::default();
    for split in result.splits.values() {
        all.merge(&split.stats);
    }
    all
}

/// Statistics of one column; zero where no split wrote it.
pub(super) fn column_stats(stats: &RecordStats, column: usize) -> crate::output::ColumnStats {
    stats.columns.get(column).copied().unwrap_or_default()
}
pub(super) fn from_state(kept: &SplitState) -> SplitOutcome {
    let columns = kept
        .columns
        .iter()
        .map(|c| crate::output::ColumnStats {
            max_bytes: c.max_bytes,
            max_digits: c.max_digits.unwrap_or(0),
            max_integer_digits: c.max_integer_digits.unwrap_or(0),
            max_scale: c.max_scale.unwrap_or(0),
            non_finite: c.non_finite,
        })
        .collect();
    SplitOutcome {
        files: kept.files.clone(),
        deletes: kept.deletes.clone(),
        stats: RecordStats { columns, ..RecordStats::default() },
        counters: kept.counters.clone(),
        books: kept.books,
        quarantine: kept.quarantine.clone(),
        // Its own run proved its joints; they are not kept.
        extents: Vec::new(),
        damaged: false,
    }
}

pub(super) fn to_state(outcome: &SplitOutcome) -> SplitState {
    SplitState {
        files: outcome.files.clone(),
        deletes: outcome.deletes.clone(),
        columns: outcome.stats.columns.iter().map(manifest_stats).collect(),
        counters: outcome.counters.clone(),
        books: outcome.books,
        quarantine: outcome.quarantine.clone(),
    }
}

pub(super) fn manifest_stats(stats: &crate::output::ColumnStats) -> ColumnStats {
    ColumnStats {
        max_bytes: stats.max_bytes,
        max_digits: (stats.max_digits > 0).then_some(stats.max_digits),
        max_integer_digits: (stats.max_digits > 0).then_some(stats.max_integer_digits),
        max_scale: (stats.max_digits > 0).then_some(stats.max_scale),
        non_finite: stats.non_finite,
    }
}

/// The manifest's counters from a writer's, from the rows that expire, and from those refused.
pub(super) fn table_counters(
    stats: &RecordStats,
    rows_expiring: u64,
    refused: &BTreeMap<&'static str, u64>,
) -> TableCounters {
    let counters = &stats.counters;
    let mut more = vec![
        ("negativeZero", counters.negative_zero),
        ("emptyValues", counters.empty_values),
        ("emptySortKeys", counters.empty_sort_keys),
        ("rowsExpiring", rows_expiring),
    ];
    more.extend(stats.counts.named());
    TableCounters {
        text_equal_to_null_token: counters.text_equal_to_null_token,
        non_finite_numbers: counters.non_finite_numbers,
        numbers_over38_digits: counters.numbers_over_38_digits,
        items_over_400_kb: counters.items_over_400_kb,
        keys_shortened: counters.keys_shortened,
        rows_mixed_ttl: counters.rows_mixed_ttl,
        more: more
            .into_iter()
            .chain(refused.iter().map(|(name, n)| (*name, *n)))
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| (name.to_owned(), n))
            .collect(),
    }
}
