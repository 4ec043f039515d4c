//! Clustering prefixes and range tombstone markers.

use super::cell::Span;
use super::deletion::DeletionTime;

/// One value of a clustering prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusteringValue {
    /// No value: trailing components of compact tables.
    Null,
    /// A value, possibly of zero bytes.
    Value(Span),
}

impl ClusteringValue {
    /// The bytes in `data`, or none.
    #[inline]
    pub fn bytes<'a>(&self, data: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Null => None,
            Self::Value(span) => Some(span.of(data)),
        }
    }
}

/// Kind of a clustering prefix (`ClusteringPrefix.Kind`); the numbers are those in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusteringKind {
    /// 0: an end before the prefix.
    ExclEndBound,
    /// 1: a start before the prefix.
    InclStartBound,
    /// 2: one range ends and one begins before the prefix.
    ExclEndInclStartBoundary,
    /// 4: a row.
    Clustering,
    /// 5: one range ends and one begins after the prefix.
    InclEndExclStartBoundary,
    /// 6: an end after the prefix.
    InclEndBound,
    /// 7: a start after the prefix.
    ExclStartBound,
}

impl ClusteringKind {
    /// The kind numbered `code`; none for 3 (a static row, never stored) and from 8 on.
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::ExclEndBound,
            1 => Self::InclStartBound,
            2 => Self::ExclEndInclStartBoundary,
            4 => Self::Clustering,
            5 => Self::InclEndExclStartBoundary,
            6 => Self::InclEndBound,
            7 => Self::ExclStartBound,
            _ => return None,
        })
    }

    /// -1 if it lies before the rows that have its values as prefix, 1 if after them, 0 for a row.
    #[inline]
    pub fn side(self) -> i8 {
        match self {
            Self::ExclEndBound | Self::InclStartBound | Self::ExclEndInclStartBoundary => -1,
            Self::Clustering => 0,
            Self::InclEndExclStartBoundary | Self::InclEndBound | Self::ExclStartBound => 1,
        }
    }

    /// True if a range begins here.
    pub fn is_start(self) -> bool {
        matches!(self, Self::InclStartBound | Self::ExclStartBound) || self.is_boundary()
    }

    /// True if a range ends here.
    pub fn is_end(self) -> bool {
        matches!(self, Self::ExclEndBound | Self::InclEndBound) || self.is_boundary()
    }

    /// True if one range ends and another begins here.
    pub fn is_boundary(self) -> bool {
        matches!(self, Self::ExclEndInclStartBoundary | Self::InclEndExclStartBoundary)
    }
}

/// A range tombstone marker (`RangeTombstoneBoundMarker`, `RangeTombstoneBoundaryMarker`). Its values stand in the
/// clustering of the [`super::Row`] it was decoded into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Which bound.
    pub kind: ClusteringKind,
    /// Deletion of the range that ends here; [`DeletionTime::LIVE`] if none does.
    pub end: DeletionTime,
    /// Deletion of the range that begins here; [`DeletionTime::LIVE`] if none does.
    pub start: DeletionTime,
}
