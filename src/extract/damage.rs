//! `--on-corrupt skip`: which tokens are lost when an SSTable is damaged.
//!
//! A lost partition of one SSTable cannot be replaced by what other SSTables have of it: that may be old, or deleted by
//! what was lost. So nothing at all is written of the tokens that the damage may have held, and these are listed. An SSTable
//! that cannot even be opened costs all tokens between its first and its last key.

use std::path::Path;

use crate::dht::{Token, TokenRange};
use crate::error::Error;
use crate::progress::{OffsetRange, Quarantine, TokenSpan};
use crate::sstable::stats::Statistics;
use crate::sstable::{Component, Descriptor, Partitioner, ScanState, recorded_token_range};

use super::worker::TableJob;

/// The tokens lost to `error`, which stopped a scan of `range`; none if it is no damage of an input.
///
/// `states`: what each scan of the merge stood at, with the number of its SSTable.
pub(super) fn lost_range(
    job: &TableJob,
    error: &Error,
    states: &[(usize, ScanState)],
    range: TokenRange,
) -> Option<(TokenRange, Quarantine)> {
    let Error::Damaged(damage) = error else { return None };
    let number = job.readers.iter().position(|reader| {
        let descriptor = reader.descriptor();
        damage.path.starts_with(&descriptor.directory)
            && damage
                .path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&descriptor.prefix()))
    });
    let state = number.and_then(|number| states.iter().find(|(n, _)| *n == number));
    let (lost, offsets) = match (number.and_then(|n| job.readers.get(n)), state) {
        (Some(reader), Some((_, state))) => {
            let chunk_len = reader.chunks().chunk_len() as u64;
            let behind = match damage.chunk {
                Some(chunk) if damage.what.as_deref() == Some("chunk") => {
                    ((chunk + 1) * chunk_len).max(state.partition_offset + 1)
                }
                _ => state.partition_offset + 1,
            };
            // Without a next partition, or without an index that could tell, everything behind is lost.
            let next = reader.first_at_or_after(behind).ok().flatten();
            let last =
                next.as_ref().map_or(range.end, |next| Token(next.token.0.saturating_sub(1)));
            let start = Token(state.first_lost.0.saturating_sub(1)).max(range.start).min(range.end);
            let end = last.min(range.end).max(Token(start.0.saturating_add(1)));
            let end_offset = next.map_or(reader.chunks().data_len(), |next| next.offset);
            (
                TokenRange { start, end },
                Some(OffsetRange { start: state.partition_offset, end: end_offset }),
            )
        }
        _ => (range, None),
    };
    Some((lost, quarantine(&job.name, &damage.path, damage.cause.clone(), lost, offsets)))
}

/// An SSTable that cannot be opened, and so is left out.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Which it is.
    pub(super) descriptor: Descriptor,
    /// Its name, and what of it could be seen: part of what tells one source from another.
    pub(super) fingerprint: String,
    /// The tokens it may hold.
    pub(super) lost: TokenRange,
    /// What the report says.
    pub(super) quarantine: Quarantine,
}

impl LeftOut {
    /// The SSTable that `error` keeps from being opened; none if that is no damage, or nothing that tokens can tell.
    pub(super) fn new(table: &str, descriptor: &Descriptor, error: &Error) -> Option<Self> {
        let data = descriptor.path(Component::Data);
        let (path, cause) = match error {
            Error::Damaged(damage) => (damage.path.as_path(), damage.cause.clone()),
            // A component that is missing. Without Data.db it is no SSTable: a live node may have just removed it.
            Error::Missing { what, .. } if data.exists() => (data.as_path(), what.clone()),
            _ => return None,
        };
        let statistics =
            Statistics::read(&descriptor.path(Component::Statistics), descriptor.version);
        if statistics.is_ok_and(|s| s.validation.partitioner != Partitioner::Murmur3) {
            return None;
        }
        let lost = recorded_token_range(descriptor);
        Some(Self {
            descriptor: descriptor.clone(),
            fingerprint: format!("{}unreadable {} {}", descriptor.prefix(), lost.start, lost.end),
            lost,
            quarantine: quarantine(table, path, cause, lost, None),
        })
    }
}

fn quarantine(
    table: &str,
    path: &Path,
    cause: String,
    lost: TokenRange,
    offsets: Option<OffsetRange>,
) -> Quarantine {
    let file = path.file_name().map(|name| {
        let directory = path.parent().and_then(|parent| parent.file_name()).unwrap_or_default();
        format!("{}/{}", directory.to_string_lossy(), name.to_string_lossy())
    });
    Quarantine {
        table: table.to_owned(),
        file,
        offsets,
        tokens: Some(TokenSpan { start: lost.start.to_string(), end: lost.end.to_string() }),
        cause,
    }
}

/// Adds a range to a list of ranges in token order, joining what touches.
pub(super) fn add_range(ranges: &mut Vec<TokenRange>, new: TokenRange) {
    ranges.push(new);
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<TokenRange> = Vec::with_capacity(ranges.len());
    for range in ranges.drain(..) {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    *ranges = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept_in_order_and_joined() {
        let range = |start, end| TokenRange { start: Token(start), end: Token(end) };
        let mut ranges = Vec::new();
        for (start, end) in [(10, 20), (-5, 0), (20, 25), (3, 4), (12, 15)] {
            add_range(&mut ranges, range(start, end));
        }
        assert_eq!(ranges, [range(-5, 0), range(3, 4), range(10, 25)]);
    }
}
