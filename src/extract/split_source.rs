//! What a split merges: SSTables, and the overlay where there is one.

use std::cmp::Ordering;

use crate::dht::Token;
use crate::error::{Error, Result};
use crate::overlay::OverlaySource;
use crate::rows::{DeletionTime, PartitionSource, Row, RowView, Unfiltered};
use crate::sstable::SstableScanner;

/// A source of which it can be asked what it read.
pub(super) trait SplitScan: PartitionSource {
    /// The scan, if it is of an SSTable.
    fn scanner(&self) -> Option<&SstableScanner>;
}

impl SplitScan for SstableScanner {
    fn scanner(&self) -> Option<&SstableScanner> {
        Some(self)
    }
}

/// One of both kinds: where there is no overlay scanners are merged as they are, for every row asks which kind this is.
#[derive(Debug)]
pub(super) enum SplitSource {
    Sstable(Box<SstableScanner>),
    Overlay(Box<OverlaySource>),
}

impl SplitScan for SplitSource {
    fn scanner(&self) -> Option<&SstableScanner> {
        match self {
            Self::Sstable(scanner) => Some(scanner),
            Self::Overlay(_) => None,
        }
    }
}

macro_rules! of_both {
    ($self:ident, $source:ident => $call:expr) => {
        match $self {
            Self::Sstable($source) => $call,
            Self::Overlay($source) => $call,
        }
    };
}

impl PartitionSource for SplitSource {
    fn is_done(&self) -> bool {
        of_both!(self, source => source.is_done())
    }

    fn token(&self) -> Token {
        of_both!(self, source => source.token())
    }

    fn key(&self) -> &[u8] {
        of_both!(self, source => source.key())
    }

    fn compare_key(&self, other: &[u8]) -> Ordering {
        of_both!(self, source => source.compare_key(other))
    }

    fn begin(&mut self) -> Result<()> {
        of_both!(self, source => source.begin())
    }

    fn deletion(&self) -> DeletionTime {
        of_both!(self, source => source.deletion())
    }

    fn static_row(&self) -> Option<RowView<'_>> {
        of_both!(self, source => source.static_row())
    }

    #[inline]
    fn next(&mut self) -> Result<Unfiltered> {
        of_both!(self, source => source.next())
    }

    #[inline]
    fn row(&self) -> RowView<'_> {
        of_both!(self, source => source.row())
    }

    #[inline]
    fn row_mut(&mut self) -> (&mut Row, &[u8]) {
        of_both!(self, source => source.row_mut())
    }

    fn out_of_order(&self) -> Error {
        of_both!(self, source => source.out_of_order())
    }

    fn finish(&mut self) -> Result<()> {
        of_both!(self, source => source.finish())
    }
}
