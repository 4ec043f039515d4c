//! One cell, and the times in it.

/// A part of the bytes that a row came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The bytes in `data`; empty if they are not there (which a decoder never makes).
    #[inline]
    pub fn of<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        data.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// When a cell is or was deleted: seconds since 1970.
///
/// Read with the signedness of the file's version; [`LocalDeletionTime::NONE`] for "never". Negative values come from
/// times that overflowed before CASSANDRA-14092 and count as long past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalDeletionTime(pub i64);

impl LocalDeletionTime {
    /// Neither deleted nor expiring.
    pub const NONE: Self = Self(i64::MAX);

    /// True unless it is [`LocalDeletionTime::NONE`].
    #[inline]
    pub fn is_some(self) -> bool {
        self.0 != i64::MAX
    }
}

/// The TTL of a cell that does not expire.
pub const NO_TTL: i32 = 0;

/// One cell (`Cell`, `BufferCell`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Write time, µs.
    pub timestamp: i64,
    /// When it expires or was deleted.
    pub local_deletion_time: LocalDeletionTime,
    /// Seconds; [`NO_TTL`] if it does not expire.
    pub ttl: i32,
    /// Index of the column among the table's static or regular columns in disk order.
    pub column: u16,
    /// Which input it came from, as the merge numbers them; 0 from a decoder.
    pub source: u16,
    /// The value; empty for tombstones.
    pub value: Span,
    /// The path of an element of a complex column, else empty.
    pub path: Span,
}

impl Cell {
    /// A deletion: it has a deletion time and no TTL.
    #[inline]
    pub fn is_tombstone(&self) -> bool {
        self.local_deletion_time.is_some() && self.ttl == NO_TTL
    }

    /// It has a TTL.
    #[inline]
    pub fn is_expiring(&self) -> bool {
        self.ttl != NO_TTL
    }

    /// What a read at `now` (seconds) sees (`AbstractCell.isLive`).
    #[inline]
    pub fn is_live(&self, now: i64) -> bool {
        !self.local_deletion_time.is_some()
            || self.ttl != NO_TTL && now < self.local_deletion_time.0
    }
}
