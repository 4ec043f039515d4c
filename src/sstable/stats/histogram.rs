//! Histograms in Statistics.db.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;

/// Reads a count of things of at least `least_len` bytes each.
pub(super) fn read_count(
    r: &mut ByteReader<'_>,
    what: &'static str,
    least_len: usize,
) -> Result<usize, DecodeError> {
    let at = r.position() as u64;
    let found = r.read_u32(what)?;
    let limit = r.remaining() / least_len;
    match usize::try_from(found) {
        Ok(count) if count <= limit => Ok(count),
        _ => {
            let kind = DecodeErrorKind::Limit { what, found: found.into(), limit: limit as u64 };
            Err(DecodeError::new(kind, at))
        }
    }
}

/// Counts of values in buckets that grow by a fifth (`EstimatedHistogram`).
///
/// ```text
/// i32 n, n × { i64 offset, i64 count }
/// ```
/// Bucket `i` counts values up to `offset[i + 1]`, the last one everything above; the first offset is written twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EstimatedHistogram {
    bounds: Vec<u64>,
    counts: Vec<u64>,
}

impl EstimatedHistogram {
    pub(super) fn read(r: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let count = read_count(r, "number of buckets", 16)?;
        let mut histogram = Self::default();
        for i in 0..count {
            let bound = r.read_u64("bucket offset")?;
            if i > 0 {
                histogram.bounds.push(bound);
            }
            histogram.counts.push(r.read_u64("bucket count")?);
        }
        Ok(histogram)
    }

    /// Number of values counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The buckets in ascending order: upper bound (inclusive; none for the last) and count.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let bounds = self.bounds.iter().copied().map(Some).chain(std::iter::once(None));
        bounds.zip(self.counts.iter().copied())
    }

    /// Upper bound of the largest value counted; none without values, or beyond all bounds.
    pub fn largest_bound(&self) -> Option<u64> {
        self.buckets().filter(|(_, count)| *count > 0).last().and_then(|(bound, _)| bound)
    }
}

/// When tombstones and expiring cells may go (`TombstoneHistogram`, before 4.0 `StreamingHistogram`).
///
/// ```text
/// i32 greatest number of bins
/// i32 n, n × { f64 time, i64 count }     before oa; unordered in 3.x
/// i32 n, n × { i64 time, i32 count }     oa
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TombstoneHistogram {
    /// Local deletion time in seconds and number, ascending.
    pub bins: Vec<(i64, u64)>,
}

impl TombstoneHistogram {
    pub(super) fn read(r: &mut ByteReader<'_>, integers: bool) -> Result<Self, DecodeError> {
        r.skip(4, "greatest number of bins")?;
        let count = read_count(r, "number of bins", if integers { 12 } else { 16 })?;
        let mut bins = Vec::new();
        for _ in 0..count {
            if integers {
                let time = r.read_i64("time of a bin")?;
                bins.push((time, r.read_u32("count of a bin")?.into()));
            } else {
                let time = whole_seconds(r.read_f64("time of a bin")?);
                bins.push((time, r.read_u64("count of a bin")?));
            }
        }
        bins.sort_unstable();
        Ok(Self { bins })
    }

    /// Number of tombstones and expiring cells.
    pub fn count(&self) -> u64 {
        self.bins.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "bins are averages, so they have fractions; the cast saturates, and takes NaN for 0"
)]
fn whole_seconds(time: f64) -> i64 {
    time as i64
}
