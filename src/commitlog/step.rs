//! What a reader of a segment is told and what it says.

use std::path::Path;

use super::position::CommitLogPosition;
use crate::error::{DecodeError, DecodeErrorKind, Error};

/// How much of a segment may be read, and whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Up to which offset (as positions count) the segment is known to be synced: [`super::CdcIndex::offset`]; 0 if nothing
    /// says so. What is found damaged before it is damaged for good, what is behind it may still be in the making.
    pub synced: u64,
    /// Sections behind it are read too, as soon as their marker is there: a power failure of the node may still take them
    /// back.
    pub marked: bool,
    /// Nothing is written to the segment any more: the index says `COMPLETED`, the file is from an archive or from
    /// `cdc_raw` of 3.8 to 3.11, Cassandra has given up its own name for it, or it is a copy of a stopped node.
    pub is_final: bool,
    /// The file is a copy that somebody may still be making: a section that ends behind it is waited for.
    pub may_grow: bool,
}

impl Bound {
    /// All of a segment that is not written to any more.
    pub const fn whole() -> Self {
        Self { synced: u64::MAX, marked: true, is_final: true, may_grow: false }
    }

    /// All of a copy of a segment that Cassandra does not write to any more. `is_final`: nobody seems to be making the copy any
    /// more either, so that it ends where it seems to end.
    pub const fn copied(is_final: bool) -> Self {
        Self { synced: 0, marked: true, is_final, may_grow: true }
    }

    /// What is synced of a segment that is being written.
    pub const fn synced(offset: u64) -> Self {
        Self { synced: offset, marked: false, is_final: false, may_grow: false }
    }

    /// All that has a marker in a segment that is being written, of which `synced` is known to be synced (0: nothing is).
    pub const fn marked(synced: u64) -> Self {
        Self { synced, marked: true, is_final: false, may_grow: false }
    }

    /// True if what ends at `end` may be read.
    pub(super) fn covers(&self, end: u64) -> bool {
        self.marked || end <= self.synced
    }

    /// True if what ends at `end` will not change any more.
    pub(super) fn is_settled(&self, end: u64) -> bool {
        self.is_final || end <= self.synced
    }
}

/// One step through a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum SegmentStep<'a> {
    /// A mutation whose checksums are right.
    Entry {
        /// Its position: where its entry ends. Reading goes on there after a restart ([`super::SegmentReader::seek`]).
        end: CommitLogPosition,
        /// The mutation, for [`super::MutationDecoder`].
        payload: &'a [u8],
    },
    /// Nothing more for now. To be asked again when the file or its index has changed.
    Wait(WaitFor),
    /// The end of a segment that is final; every further step says the same.
    End {
        /// Something to tell that is no loss: a marker that was being written when the node stopped.
        notice: Option<String>,
    },
    /// Something could not be read and was left out; the next step goes on behind it.
    Damage(SegmentDamage),
}

/// What a reader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// More to be written.
    Data,
    /// What is written to be synced.
    Sync,
    /// What is there to become readable: a marker, a section or an entry that looks half written. If it stays so, it is
    /// reported as damage when the segment is final or the index has passed it.
    Rewrite,
}

/// How much was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageExtent {
    /// One mutation.
    Entry,
    /// What was left of a section: all mutations between two syncs, or the later of them.
    Section,
    /// Everything to the end of the file: the chain of sections is broken.
    Rest,
}

/// A part of a segment that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentDamage {
    /// Where it begins. Behind compressed or encrypted sections whose length was not readable, positions are too small.
    pub position: CommitLogPosition,
    /// Where in the file: of the entry, or of the section's marker where the segment is compressed or encrypted.
    pub file_offset: u64,
    /// How many bytes of the file are left out, those missing at its end included.
    pub bytes: u64,
    /// How far it goes.
    pub extent: DamageExtent,
    /// Why.
    pub cause: DecodeErrorKind,
}

impl SegmentDamage {
    /// As an error of the segment at `path`.
    pub fn to_error(&self, path: &Path) -> Error {
        let what = match self.extent {
            DamageExtent::Entry => "mutation",
            DamageExtent::Section => "section of the commit log",
            DamageExtent::Rest => "rest of the commit log",
        };
        DecodeError::new(self.cause.clone(), self.file_offset).in_file(path).map_damage(|damage| {
            damage.what = Some(format!("{what} ({} bytes, position {})", self.bytes, self.position));
            damage.hint = Some(
                "its writes are on other replicas, and in the SSTables of this node once they are flushed".into(),
            );
        })
    }
}
