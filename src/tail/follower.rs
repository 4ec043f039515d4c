//! One segment while it is followed.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::commitlog::{
    Bound, CdcIndex, CommitLogPosition, EncryptionKeys, SegmentReader, WaitFor,
};
use crate::error::Result;
use crate::progress::clock;

use super::listing::{Found, SegmentFile};
use super::object::ChangeObject;
use super::options::Follow;
use super::state::SegmentState;

/// Segments in use behind one in the commit-log directory, after which nothing is written to it any more: the one after it
/// may be in use while its own last writes end.
const PASSED_BY: usize = 2;

/// For this long an archived file has to be seen without a change before its end is believed. Until then, and behind, what
/// is there is shipped all the same: to wait costs nothing.
const COPIED_AFTER: Duration = Duration::from_secs(10);
/// Or this old, by the clock of the file system: `--once` does not wait.
const OLD_SECONDS: u64 = 60;

/// How a segment stood when it was last read as far as it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not read yet.
    Unread,
    /// Everything that is marked is read.
    Drained,
    /// There is more, which is not known to be synced.
    Unsynced,
    /// There is something half written, or damaged.
    Unclear,
    /// It is final, and all of it is read.
    Ended,
}

/// A segment that is followed.
pub(super) struct Follower {
    /// The segment.
    pub(super) file: SegmentFile,
    /// None until its header is written.
    pub(super) reader: Option<SegmentReader>,
    /// What the store has confirmed, and what else is kept of it over a restart.
    pub(super) state: SegmentState,
    /// Up to here its mutations are in objects.
    pub(super) offset: u64,
    /// Where the next object begins.
    pub(super) next_object: u64,
    /// The object being made.
    pub(super) object: Option<ChangeObject>,
    /// Objects on their way.
    pub(super) under_way: usize,
    /// How it stood.
    pub(super) standing: Standing,
    /// It is no longer in its directory.
    pub(super) vanished: bool,
    /// Objects of it that a former run stored have been looked for.
    pub(super) adopted: bool,
    /// The greatest offset that an index has promised.
    synced: u64,
    completed: bool,
    /// It could not be opened since then.
    unreadable: Option<Instant>,
    /// Length and time of change of an archived file, and since when they are so.
    shape: Option<((u64, i64, i64), Instant)>,
}

impl Follower {
    /// A follower that goes on where `state` says.
    pub(super) fn new(file: SegmentFile, state: SegmentState) -> Self {
        let (offset, next_object) = (state.offset, state.next_object);
        Self {
            file,
            reader: None,
            state,
            offset,
            next_object,
            object: None,
            under_way: 0,
            standing: Standing::Unread,
            vanished: false,
            adopted: false,
            synced: 0,
            completed: false,
            unreadable: None,
            shape: None,
        }
    }

    /// Its id.
    pub(super) fn id(&self) -> i64 {
        self.file.name.id
    }

    /// `_cdc.idx` beside it.
    pub(super) fn index_path(&self) -> PathBuf {
        self.file.path.with_file_name(self.file.name.index_name())
    }

    /// Opens it, unless it is open; false while its header is not written.
    pub(super) fn open(&mut self, keys: &EncryptionKeys) -> Result<bool> {
        if self.reader.is_none() {
            let Some(mut reader) = SegmentReader::open(&self.file.path, keys)? else {
                return Ok(false);
            };
            reader.seek(self.offset);
            self.reader = Some(reader);
        }
        Ok(true)
    }

    /// For how long it could not be opened; from now on, if this is the first time.
    pub(super) fn unreadable_for(&mut self) -> Duration {
        self.unreadable.get_or_insert_with(Instant::now).elapsed()
    }

    /// Goes on at another offset.
    pub(super) fn seek(&mut self, offset: u64) {
        self.offset = offset;
        if let Some(reader) = &mut self.reader {
            reader.seek(offset);
        }
    }

    /// How far it may be read now. `in_use_behind`: later segments that hold mutations.
    pub(super) fn bound(&mut self, follow: Follow, in_use_behind: usize) -> Result<Bound> {
        if self.vanished {
            return Ok(Bound::whole());
        }
        match self.file.found {
            Found::Archive => Ok(Bound::copied(self.is_copied())),
            Found::Live if in_use_behind >= PASSED_BY => Ok(Bound::whole()),
            // Nothing says what is synced: markers are all there is.
            Found::Live => Ok(Bound::marked(0)),
            Found::CdcRaw if !self.file.has_index() => Ok(Bound::whole()),
            Found::CdcRaw => {
                self.look_at_index()?;
                if self.completed || self.is_given_up() {
                    return Ok(Bound::whole());
                }
                Ok(match follow {
                    Follow::Synced => Bound::synced(self.synced),
                    Follow::Marked => Bound::marked(self.synced),
                })
            }
        }
    }

    /// An index that is empty or a part, as it often is while Cassandra rewrites it, says nothing new.
    fn look_at_index(&mut self) -> Result<()> {
        if self.completed {
            return Ok(());
        }
        if let Some(index) = CdcIndex::read(&self.index_path())? {
            self.state.indexed = true;
            self.synced = self.synced.max(index.offset);
            self.completed = index.completed;
        }
        Ok(())
    }

    /// Cassandra has removed its own name for the file, or the directory is a copy.
    fn is_given_up(&self) -> bool {
        std::fs::metadata(&self.file.path).is_ok_and(|found| found.nlink() == 1)
    }

    /// True if nobody seems to be copying the archived file any more: it was last written to a while ago, or is seen not to
    /// change for as long as that.
    fn is_copied(&mut self) -> bool {
        let Ok(found) = std::fs::metadata(&self.file.path) else { return false };
        let shape = (found.len(), found.mtime(), found.mtime_nsec());
        let since = match self.shape {
            Some((known, since)) if known == shape => since,
            _ => self.shape.insert((shape, Instant::now())).1,
        };
        let age = clock::now().seconds().saturating_sub(found.mtime());
        since.elapsed() >= COPIED_AFTER || u64::try_from(age).is_ok_and(|age| age >= OLD_SECONDS)
    }

    /// True if it is read from an archived file that may still be growing: writes may be missing at its end and not show.
    pub(super) fn may_be_cut_off(&self) -> bool {
        let from_there = self.reader.as_ref().is_none_or(|r| r.path() == self.file.path);
        self.file.found == Found::Archive && from_there && self.standing != Standing::Ended
    }

    /// Notes how the reader answered.
    pub(super) fn waits_for(&mut self, what: WaitFor) {
        self.standing = match what {
            WaitFor::Data => Standing::Drained,
            WaitFor::Sync => Standing::Unsynced,
            WaitFor::Rewrite => Standing::Unclear,
        };
    }

    /// True if it holds mutations.
    pub(super) fn is_in_use(&self) -> bool {
        let header = self.reader.as_ref().map_or(0, |r| u64::from(r.descriptor().header_len));
        self.offset > header || matches!(self.standing, Standing::Unsynced | Standing::Ended)
    }

    /// True if everything of it is stored and nothing can come any more.
    pub(super) fn is_done(&self) -> bool {
        self.standing == Standing::Ended && self.object.is_none() && self.under_way == 0
    }

    /// Up to where it is read.
    pub(super) fn position(&self) -> CommitLogPosition {
        let position = i32::try_from(self.offset).unwrap_or(i32::MAX);
        CommitLogPosition { segment_id: self.id(), position }
    }

    /// Its header is not written yet; if it is gone, it never will be.
    pub(super) fn ended_unread(&mut self) {
        if self.vanished {
            self.standing = Standing::Ended;
        }
    }

    /// Up to where its mutations are confirmed by the store; those without records need no confirmation.
    pub(super) fn confirmed(&self) -> u64 {
        if self.object.is_none() && self.under_way == 0 { self.offset } else { self.state.offset }
    }

    /// True if it is neither compressed nor encrypted: then markers come all the time.
    pub(super) fn is_plain(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| {
            let header = reader.descriptor();
            header.compressor.is_none() && header.encryption.is_none()
        })
    }
}
