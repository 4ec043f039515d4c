//! Partitions of many sources in token order.

use crate::dht::Token;
use crate::error::Result;
use crate::rows::{DeletionTime, PartitionSource, RangeBound, RowView};
use crate::schema::TableMetadata;

use super::heap::SourceHeap;
use super::purge::MergeBooks;
use super::reconcile::{RowMerge, TieBreak};
use super::unfiltereds::PartitionWalk;

/// Takes what the merge hands on: of each partition first its key, then its static row (or that it has none), then its
/// live rows, then its end.
///
/// A sink that asks for it ([`RowSink::DELETIONS`]) also gets what is deleted: of the partition behind its key, of the static row
/// before that, of a row before that, ranges where they end.
pub trait RowSink {
    /// True to be told of deletions; without it nothing is asked of the rows for them.
    const DELETIONS: bool = false;

    /// A partition begins.
    fn partition(&mut self, key: &[u8], token: Token) -> Result<()>;
    /// Its static row, with live cells only; none if it has none.
    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()>;
    /// One live row with live cells only.
    fn row(&mut self, row: RowView<'_>) -> Result<()>;
    /// The partition has ended.
    fn end_partition(&mut self) -> Result<()>;
    /// What was written to the partition up to this time is deleted.
    fn deleted_partition(&mut self, _deletion: DeletionTime) -> Result<()> {
        Ok(())
    }
    /// What is deleted of a row, with nothing that lives: its deletion, those of columns, tombstones, and a row marker that has
    /// expired. `row` is the static row if `is_static`.
    fn deleted_row(&mut self, _row: RowView<'_>, _is_static: bool) -> Result<()> {
        Ok(())
    }
    /// A range is deleted. Ranges do not overlap.
    fn deleted_range(
        &mut self,
        _deletion: DeletionTime,
        _start: RangeBound<'_>,
        _end: RangeBound<'_>,
    ) -> Result<()> {
        Ok(())
    }
}

/// Merges the partitions of `S` and hands live rows to a [`RowSink`].
#[derive(Debug)]
pub struct PartitionMerge<S> {
    sources: Vec<S>,
    rules: RowMerge,
    heap: SourceHeap,
    shared: Vec<u32>,
    walk: PartitionWalk,
    /// What was read and what became of it.
    pub books: MergeBooks,
}

fn before<S: PartitionSource>(sources: &[S], a: u32, b: u32) -> bool {
    match (sources.get(a as usize), sources.get(b as usize)) {
        (Some(x), Some(y)) => {
            x.token().cmp(&y.token()).then_with(|| x.compare_key(y.key())).is_lt()
        }
        _ => a < b,
    }
}

impl<S: PartitionSource> PartitionMerge<S> {
    /// A merge of `sources` of `table` as a read at `now` (seconds) sees them.
    ///
    /// `strict_liveness`: the table is a materialized view whose key has a column that is no key of its base table.
    pub fn new(
        table: &TableMetadata,
        rule: TieBreak,
        now: i64,
        strict_liveness: bool,
        sources: Vec<S>,
    ) -> Self {
        let rules = RowMerge::new(table, rule, now, strict_liveness);
        let mut merge = Self {
            sources,
            rules,
            heap: SourceHeap::default(),
            shared: Vec::new(),
            walk: PartitionWalk::default(),
            books: MergeBooks::default(),
        };
        for i in 0..u32::try_from(merge.sources.len()).unwrap_or(u32::MAX) {
            merge.restore(i);
        }
        merge
    }

    fn restore(&mut self, i: u32) {
        if self.sources.get(i as usize).is_some_and(|source| !source.is_done()) {
            let sources = &self.sources;
            self.heap.push(i, &|a, b| before(sources, a, b));
        }
    }

    /// Hands the next partition to `sink`; false when there is none.
    pub fn step<K: RowSink>(&mut self, sink: &mut K) -> Result<bool> {
        let sources = &self.sources;
        let less = |a, b| before(sources, a, b);
        let Some(first) = self.heap.pop(&less) else { return Ok(false) };
        self.shared.clear();
        self.shared.push(first);
        while let Some(next) = self.heap.peek() {
            let same = match (sources.get(first as usize), sources.get(next as usize)) {
                (Some(x), Some(y)) => x.token() == y.token() && x.key() == y.key(),
                _ => false,
            };
            if !same {
                break;
            }
            self.shared.extend(self.heap.pop(&less));
        }
        self.shared.sort_unstable();
        if self.shared.len() == 1 {
            if let Some(source) = self.sources.get_mut(first as usize) {
                self.walk.single(&self.rules, source, sink, &mut self.books)?;
            }
        } else {
            self.walk.merge(&self.rules, &mut self.sources, &self.shared, sink, &mut self.books)?;
        }
        let shared = std::mem::take(&mut self.shared);
        for &i in &shared {
            self.restore(i);
        }
        self.shared = shared;
        Ok(true)
    }

    /// The sources.
    pub fn sources(&self) -> &[S] {
        &self.sources
    }
}
