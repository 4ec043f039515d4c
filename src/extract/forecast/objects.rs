//! Which splits become files, and how much of each SSTable a list of token ranges takes; from the index files alone, and of BTI keys from Data.db.

use std::sync::Arc;

use crate::dht::{Token, TokenRange};
use crate::error::Result;
use crate::extract::plan::TablePlan;
use crate::extract::split::Split;
use crate::rows::LocalDeletionTime;
use crate::sstable::SstableReader;

use super::facts::figures;
use super::model::{SourceFigures, WrittenFigures};

/// Where the partitions of a table's SSTables are, as far as they may hold something that lives.
pub(super) struct PartitionMap<'a> {
    table: &'a TablePlan,
    /// SSTables that have something that lives.
    live: Spans<'a>,
    /// Tokens at which a partition of these is known to be, in order.
    known: Vec<Token>,
    /// SSTables that have something deleted or expiring, where deletions are asked for.
    deleted: Spans<'a>,
}

/// SSTables with their first and last token.
#[derive(Default)]
struct Spans<'a> {
    spans: Vec<Span<'a>>,
    /// Without an index one of them may have partitions anywhere.
    blind: bool,
}

struct Span<'a> {
    reader: &'a Arc<SstableReader>,
    first: Token,
    last: Token,
}

/// True if something in it is deleted or will expire, whatever it is of.
fn may_be_deleted(reader: &SstableReader) -> bool {
    reader.statistics().stats.tombstone_drop_times.count() > 0
}

/// Expired and deleted things only, or nothing at all, make no row.
fn may_live(reader: &SstableReader, now: i64) -> bool {
    let stats = &reader.statistics().stats;
    let last = stats.max_local_deletion_time;
    // 2.x does not count them, and writes no SSTable without any.
    let has_any = |count: Option<i64>| count.is_none_or(|count| count > 0);
    (has_any(stats.total_rows) || has_any(stats.total_columns_set))
        && (last == LocalDeletionTime::NONE || last.0 > now)
}

impl<'a> PartitionMap<'a> {
    pub(super) fn of(table: &'a TablePlan) -> Result<Self> {
        let mut map =
            Self { table, live: Spans::default(), known: Vec::new(), deleted: Spans::default() };
        let mut all_live = true;
        let asked = table.job.deletes.is_some();
        for reader in table.job.readers.iter().filter(|reader| asked && may_be_deleted(reader)) {
            map.deleted.add(reader)?;
        }
        for reader in &table.job.readers {
            if !may_live(reader, table.job.now) {
                all_live = false;
                continue;
            }
            map.live.add(reader)?;
        }
        map.known.extend(map.live.spans.iter().flat_map(|span| [span.first, span.last]));
        // A border is the token of a partition.
        if all_live {
            map.known.extend(&table.borders);
        }
        map.known.sort_unstable();
        map.known.dedup();
        Ok(map)
    }

    /// True if a partition that may hold something that lives has its token in `range`.
    fn is_inhabited(&self, range: TokenRange) -> Result<bool> {
        let inside = self.known.partition_point(|token| *token <= range.start);
        if self.known.get(inside).is_some_and(|token| *token <= range.end) {
            return Ok(true);
        }
        self.live.any_in(range)
    }

    /// How many of the splits become files; of `rows` and `bytes` nothing is said.
    pub(super) fn objects(&self, splits: &[Split]) -> Result<WrittenFigures> {
        let mut written = WrittenFigures::default();
        for split in splits {
            let sure = self.is_inhabited(split.range)?;
            written.objects += u64::from(sure || self.live.blind);
            written.objects_unsure += u64::from(!sure && self.live.blind);
        }
        for split in splits {
            written.deletes_objects_at_most +=
                u64::from(self.deleted.blind || self.deleted.any_in(split.range)?);
        }
        if self.table.job.format.separate_static_only() {
            written.static_objects_at_most = written.objects;
        }
        Ok(written)
    }

    /// What of the SSTables lies in `ranges`. Bytes are exact where there is an index; what is counted is taken in
    /// proportion to them, and by tokens where there is none.
    pub(super) fn source_in(&self, ranges: &[TokenRange]) -> Result<SourceFigures> {
        let mut sum = SourceFigures::default();
        for reader in &self.table.job.readers {
            let all = figures(reader, &self.table.job.table);
            if let [TokenRange::ALL] = ranges {
                sum.add(&all);
                continue;
            }
            let (part, whole) = match reader.has_index() {
                true => (bytes_in(reader, ranges)?, u128::from(all.data_bytes)),
                false => (ranges.iter().map(tokens).sum(), tokens(&TokenRange::ALL)),
            };
            if part == 0 {
                continue;
            }
            let share = |count: u64| {
                let share = u128::from(count) * part / whole.max(1);
                u64::try_from(share).unwrap_or(u64::MAX)
            };
            sum.add(&SourceFigures {
                sstables: 1,
                disk_bytes: share(all.disk_bytes),
                data_bytes: share(all.data_bytes),
                partitions: share(all.partitions),
                rows: share(all.rows),
                cells: share(all.cells),
                unrepaired_bytes: share(all.unrepaired_bytes),
                tombstones: share(all.tombstones),
            });
        }
        Ok(sum)
    }
}

impl<'a> Spans<'a> {
    fn add(&mut self, reader: &'a Arc<SstableReader>) -> Result<()> {
        if !reader.has_index() {
            self.blind = true;
        } else if let (Some(first), Some(last)) = (reader.first_after(None)?, reader.last_token()?)
        {
            self.spans.push(Span { reader, first: first.token, last });
        }
        Ok(())
    }

    /// True if one of those with an index has a partition with its token in `range`.
    fn any_in(&self, range: TokenRange) -> Result<bool> {
        for span in self.spans.iter().filter(|s| s.first <= range.end && s.last > range.start) {
            let next = span.reader.first_after(Some(range.start))?;
            if next.is_some_and(|next| next.token <= range.end) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn tokens(range: &TokenRange) -> u128 {
    u128::try_from(i128::from(range.end.0) - i128::from(range.start.0)).unwrap_or(0)
}

/// Uncompressed bytes of the partitions with tokens in `ranges`, which are in order.
fn bytes_in(reader: &SstableReader, ranges: &[TokenRange]) -> Result<u128> {
    let end = reader.chunks().data_len();
    let begins_after = |token: Token| -> Result<u64> {
        match token {
            Token::MIN => Ok(0),
            Token::MAX => Ok(end),
            token => Ok(reader.first_after(Some(token))?.map_or(end, |found| found.offset)),
        }
    };
    let mut bytes = 0;
    let mut former: Option<(Token, u64)> = None;
    for range in ranges {
        let start = match former {
            Some((token, offset)) if token == range.start => offset,
            // Behind the last partition there is nothing more.
            Some((_, offset)) if offset == end => break,
            _ => begins_after(range.start)?,
        };
        let stop = if start == end { end } else { begins_after(range.end)? };
        bytes += u128::from(stop.saturating_sub(start));
        former = Some((range.end, stop));
    }
    Ok(bytes)
}
