//! Borders and splits: how a table is cut into pieces that workers take one by one.
//!
//! Each SSTable offers a border every [`BORDER`] bytes of its uncompressed data: the token of the first partition at or
//! after that position. All borders of the table's SSTables, in token order, stand for that many bytes each; where they
//! add up to the split size the ring is cut. So splits depend on the files and the split size alone, and two borders of one
//! partition never cut it.

use crate::dht::{Token, TokenRange};
use crate::error::Result;
use crate::sstable::SstableReader;

/// Bytes between the borders that an SSTable offers.
const BORDER: u64 = 16 << 20;

/// A piece of a table: all its partitions with tokens in the range. One split is one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    /// From 1, in token order; the number in the file's name.
    pub number: u32,
    /// Its tokens.
    pub range: TokenRange,
}

/// The borders that one SSTable offers for splits of `size` bytes of uncompressed data.
pub(crate) fn borders(reader: &SstableReader, size: u64) -> Result<Vec<Token>> {
    let step = step(size);
    let mut borders = Vec::new();
    let len = reader.chunks().data_len();
    let mut at = step;
    while at < len {
        match reader.first_at_or_after(at)? {
            Some(border) => {
                borders.push(border.token);
                // A partition longer than the step offers its end only once.
                at = (border.offset.max(at) / step + 1) * step;
            }
            None => break,
        }
    }
    Ok(borders)
}

/// Cuts `ranges` into splits of about `size` bytes of uncompressed data, at the borders of all SSTables; both are in token
/// order.
pub(crate) fn plan_splits(borders: &[Token], ranges: &[TokenRange], size: u64) -> Vec<Split> {
    let mut splits = Vec::new();
    for &range in ranges {
        cut(borders, range, step(size), size, &mut splits);
    }
    splits
}

/// Bytes that a border stands for in splits of `size` bytes.
pub(super) fn step(size: u64) -> u64 {
    BORDER.min(size).max(1)
}

/// Cuts `whole` at every so many of the borders in it that they stand for `size` bytes.
fn cut(borders: &[Token], whole: TokenRange, step: u64, size: u64, splits: &mut Vec<Split>) {
    let mut start = whole.start;
    let mut bytes = 0_u64;
    let mut push = |range| {
        let number = u32::try_from(splits.len() + 1).unwrap_or(u32::MAX);
        splits.push(Split { number, range });
    };
    let inside = borders.partition_point(|&border| border <= whole.start);
    for &border in borders.iter().skip(inside).take_while(|&&border| border <= whole.end) {
        bytes += step;
        // The partition at the border belongs to the next split.
        let end = Token(border.0.saturating_sub(1));
        if bytes >= size && end > start {
            push(TokenRange { start, end });
            start = end;
            bytes = 0;
        }
    }
    push(TokenRange { start, end: whole.end });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(borders: &[Token], ranges: &[TokenRange], size: u64) -> Vec<Split> {
        let mut splits = Vec::new();
        for &range in ranges {
            cut(borders, range, 10, size, &mut splits);
        }
        splits
    }

    #[test]
    fn each_range_is_cut_by_itself_and_numbers_go_on() {
        let tokens: Vec<Token> = [-50, -50, -20, 0, 7, 7, 9].map(Token).to_vec();
        let range = |start, end| TokenRange { start: Token(start), end: Token(end) };
        let found = splits(&tokens, &[range(-30, 0), range(5, 100), range(200, 300)], 20);
        let shown: Vec<_> =
            found.iter().map(|s| (s.number, s.range.start.0, s.range.end.0)).collect();
        assert_eq!(shown, [(1, -30, -1), (2, -1, 0), (3, 5, 6), (4, 6, 100), (5, 200, 300)]);
    }

    #[test]
    fn splits_cover_the_ring_without_gap_or_overlap_and_never_cut_a_token() {
        let tokens: Vec<Token> = [-50, -50, -50, -20, 0, 7, 7, 9].map(Token).to_vec();
        for size in [1, 10, 25, 1000] {
            let splits = splits(&tokens, &[TokenRange::ALL], size);
            assert_eq!(splits[0].range.start, Token::MIN);
            assert_eq!(splits.last().unwrap().range.end, Token::MAX);
            for (i, pair) in splits.windows(2).enumerate() {
                assert_eq!(pair[0].range.end, pair[1].range.start);
                assert!(
                    tokens.contains(&Token(pair[0].range.end.0 + 1)),
                    "a split ends before a border"
                );
                assert_eq!(pair[0].number as usize, i + 1);
            }
        }
        assert_eq!(splits(&tokens, &[TokenRange::ALL], 1000).len(), 1);
        assert_eq!(splits(&tokens, &[TokenRange::ALL], 30).len(), 3);
    }
}
