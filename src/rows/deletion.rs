//! Deletions and row markers.

use super::cell::{LocalDeletionTime, NO_TTL};

/// The write time of what was never written.
pub const NO_TIMESTAMP: i64 = i64::MIN;

/// A deletion of a partition, a range, a row or a complex column (`DeletionTime`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletionTime {
    /// Everything written up to this (µs) is deleted; [`NO_TIMESTAMP`] for no deletion.
    pub marked_for_delete_at: i64,
    /// When the deletion was made.
    pub local_deletion_time: LocalDeletionTime,
}

impl DeletionTime {
    /// No deletion.
    pub const LIVE: Self =
        Self { marked_for_delete_at: NO_TIMESTAMP, local_deletion_time: LocalDeletionTime::NONE };

    /// True for no deletion.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.marked_for_delete_at == NO_TIMESTAMP
    }

    /// True if something written at `timestamp` is deleted; equality deletes.
    #[inline]
    pub fn deletes(&self, timestamp: i64) -> bool {
        timestamp <= self.marked_for_delete_at
    }

    /// `DeletionTime.supersedes`.
    #[inline]
    pub fn supersedes(&self, other: &Self) -> bool {
        (self.marked_for_delete_at, self.local_deletion_time.0)
            > (other.marked_for_delete_at, other.local_deletion_time.0)
            && !(self.is_live() && other.is_live())
    }

    /// The one that supersedes.
    #[inline]
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.supersedes(&self) { other } else { self }
    }
}

/// What an INSERT leaves on a row besides its cells (`LivenessInfo`): the row exists, even if all columns are null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessInfo {
    /// Write time, µs; [`NO_TIMESTAMP`] if there was no INSERT.
    pub timestamp: i64,
    /// Seconds; [`NO_TTL`] if it does not expire.
    pub ttl: i32,
    /// When it expires.
    pub local_deletion_time: LocalDeletionTime,
}

impl LivenessInfo {
    /// The TTL of a liveness that was taken back (`LivenessInfo.EXPIRED_LIVENESS_TTL`); materialized views only.
    pub const EXPIRED_TTL: i32 = i32::MAX;

    /// No INSERT.
    pub const NONE: Self =
        Self { timestamp: NO_TIMESTAMP, ttl: NO_TTL, local_deletion_time: LocalDeletionTime::NONE };

    /// True if there was no INSERT.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.timestamp == NO_TIMESTAMP
    }

    /// What a read at `now` (seconds) sees (`LivenessInfo.isLive`).
    #[inline]
    pub fn is_live(&self, now: i64) -> bool {
        !self.is_empty()
            && (self.ttl == NO_TTL
                || self.ttl != Self::EXPIRED_TTL && now < self.local_deletion_time.0)
    }

    /// `LivenessInfo.supersedes`.
    pub fn supersedes(&self, other: &Self) -> bool {
        if self.timestamp != other.timestamp {
            return self.timestamp > other.timestamp;
        }
        let (expired, other_expired) =
            (self.ttl == Self::EXPIRED_TTL, other.ttl == Self::EXPIRED_TTL);
        if expired != other_expired {
            return expired;
        }
        if (self.ttl != NO_TTL) == (other.ttl != NO_TTL) {
            return self.local_deletion_time > other.local_deletion_time;
        }
        self.ttl != NO_TTL
    }
}
