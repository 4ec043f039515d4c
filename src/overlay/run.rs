//! Sorted runs of encoded updates: in memory, or in a file without a name.
//!
//! ```text
//! entry := u32 length of what follows, u32 table, i64 token, i64 segment, i32 position, u32 n, n bytes key, update
//! ```
//! Entries are in order of table, token, key and position in the log. Of a file the place of one entry in each 64 KiB is kept
//! in memory. The file is removed as soon as it is open, so that nothing is left however the process ends.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

use crate::commitlog::CommitLogPosition;
use crate::dht::{Token, TokenRange};
use crate::error::{DecodeError, Error, Result};
use crate::io::ByteReader;
use crate::rows::PartitionUpdate;

use super::encoding::encode;

const LEN: usize = 4;
/// Bytes of a file between two entries whose place is kept; also what is read at once.
const INTERVAL: usize = 64 << 10;

/// What an entry says before its update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) table: u32,
    pub(super) token: Token,
    pub(super) position: CommitLogPosition,
    pub(super) key: &'a [u8],
    pub(super) update: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads an entry without its length.
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let mut r = ByteReader::new(bytes);
        let mut read = || -> Result<Self, DecodeError> {
            let table = r.read_u32("table")?;
            let token = Token(r.read_i64("token")?);
            let segment_id = r.read_i64("segment")?;
            let position = CommitLogPosition { segment_id, position: r.read_i32("position")? };
            let key = r.read_bytes32("key")?;
            Ok(Self { table, token, position, key, update: r.rest() })
        };
        read().map_err(|error| Error::Bug(format!("a run of the overlay: {error}")))
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let place = |e: &Self| (e.table, e.token);
        place(self)
            .cmp(&place(other))
            .then_with(|| self.key.cmp(other.key))
            .then_with(|| self.position.cmp(&other.position))
    }
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) table: u32,
    pub(super) token: Token,
    offset: u64,
}

/// Entries one behind the other, not yet in order.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Arena {
    /// Appends an entry; its length.
    pub(super) fn push(
        &mut self,
        table: u32,
        token: Token,
        position: CommitLogPosition,
        update: &PartitionUpdate,
    ) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; LEN]);
        self.bytes.extend(table.to_be_bytes());
        self.bytes.extend(token.0.to_be_bytes());
        self.bytes.extend(position.segment_id.to_be_bytes());
        self.bytes.extend(position.position.to_be_bytes());
        self.bytes.extend(u32::try_from(update.key.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(&update.key);
        encode(update, &mut self.bytes);
        let len = u32::try_from(self.bytes.len() - start - LEN).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(start..start + LEN) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        self.places.push(Place { table, token, offset: start as u64 });
        self.bytes.len() - start
    }

    /// Memory it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The bytes of an entry, with its length.
    fn entry(&self, place: Place) -> &[u8] {
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let len = rest.first_chunk::<LEN>().map_or(0, |len| u32::from_be_bytes(*len) as usize);
        rest.get(..LEN + len).unwrap_or_default()
    }

    /// Puts the entries in order.
    pub(super) fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_by(|a, b| {
            (a.table, a.token).cmp(&(b.table, b.token)).then_with(|| {
                let entry = |place| Entry::read(self.entry(place).get(LEN..).unwrap_or_default());
                match (entry(*a), entry(*b)) {
                    (Ok(a), Ok(b)) => a.order(&b),
                    _ => Ordering::Equal,
                }
            })
        });
        self.places = places;
    }

    /// The entries, with their lengths, in the order in which they are.
    pub(super) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().map(|place| self.entry(*place))
    }
}

/// A sorted run.
#[derive(Debug)]
pub(super) enum Run {
    Memory(Arena),
    File(FileRun),
}

/// A run in a file.
#[derive(Debug)]
pub(super) struct FileRun {
    file: File,
    path: PathBuf,
    len: u64,
    /// Of the first entry, and of one in each interval.
    places: Vec<Place>,
}

/// Writes a run into a file.
#[derive(Debug)]
pub(super) struct RunWriter {
    run: FileRun,
    buf: Vec<u8>,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl RunWriter {
    /// A new file in `directory`.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Atomic::Relaxed);
        let path = directory.join(format!(".cassport-{}-{number}.run", std::process::id()));
        let fail = |action| {
            let path = path.clone();
            move |source| Error::Output { action, path, source }
        };
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(fail("create"))?;
        std::fs::remove_file(&path).map_err(fail("remove"))?;
        let run = FileRun { file, path, len: 0, places: Vec::new() };
        Ok(Self { run, buf: Vec::with_capacity(2 * INTERVAL) })
    }

    /// Appends an entry, with its length.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let offset = self.run.len + self.buf.len() as u64;
        let last = self.run.places.last().map(|place| place.offset);
        if last.is_none_or(|last| offset - last >= INTERVAL as u64) {
            let entry = Entry::read(bytes.get(LEN..).unwrap_or_default())?;
            self.run.places.push(Place { table: entry.table, token: entry.token, offset });
        }
        self.buf.extend_from_slice(bytes);
        if self.buf.len() >= INTERVAL {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.run.file.write_all(&self.buf).map_err(|source| Error::Output {
            action: "write",
            path: self.run.path.clone(),
            source,
        })?;
        self.run.len += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// The run.
    pub(super) fn finish(mut self) -> Result<FileRun> {
        self.flush()?;
        Ok(self.run)
    }
}

impl FileRun {
    /// Bytes in the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, len: usize, buf: &mut Vec<u8>) -> Result<()> {
        let left = self.len.saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(len);
        buf.resize(len, 0);
        self.file.read_exact_at(buf, offset).map_err(|source| Error::Input {
            action: "read",
            path: self.path.clone(),
            source,
        })
    }
}

/// Goes through a run, or through the part of it that is of one table and a range of tokens.
#[derive(Debug)]
pub(super) struct RunCursor {
    run: Arc<Run>,
    /// Number of the next entry in memory, or offset of the next one in the file.
    next: u64,
    only: Option<(u32, TokenRange)>,
    window: Vec<u8>,
    window_at: u64,
    /// The entry at hand, without its length.
    entry: Vec<u8>,
    done: bool,
}

/// Where reading must begin for what is in `range` of `table`: the last place that is known to lie before it.
fn start(places: &[Place], table: u32, range: TokenRange) -> usize {
    places.partition_point(|place| (place.table, place.token) < (table, range.start))
}

impl RunCursor {
    /// A cursor at the first entry; `only`: of that table and range.
    pub(super) fn new(run: &Arc<Run>, only: Option<(u32, TokenRange)>) -> Result<Self> {
        let next = match (&**run, only) {
            (_, None) => 0,
            (Run::Memory(arena), Some((table, range))) => start(&arena.places, table, range) as u64,
            (Run::File(file), Some((table, range))) => {
                let before = start(&file.places, table, range).checked_sub(1);
                before.and_then(|i| file.places.get(i)).map_or(0, |place| place.offset)
            }
        };
        let mut cursor = Self {
            run: Arc::clone(run),
            next,
            only,
            window: Vec::new(),
            window_at: 0,
            entry: Vec::new(),
            done: false,
        };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The entry at hand; none at the end.
    pub(super) fn entry(&self) -> Result<Option<Entry<'_>>> {
        if self.done { Ok(None) } else { Entry::read(&self.entry).map(Some) }
    }

    /// The bytes of the entry at hand, without its length.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.entry
    }

    /// Moves on.
    pub(super) fn advance(&mut self) -> Result<()> {
        loop {
            if self.done || !self.load()? {
                self.done = true;
                return Ok(());
            }
            let Some((table, range)) = self.only else { return Ok(()) };
            let entry = Entry::read(&self.entry)?;
            if entry.table > table || entry.table == table && entry.token > range.end {
                self.done = true;
            } else if entry.table == table && range.contains(entry.token) {
                return Ok(());
            }
        }
    }

    /// Reads the next entry; false at the end.
    fn load(&mut self) -> Result<bool> {
        let run = Arc::clone(&self.run);
        self.entry.clear();
        match &*run {
            Run::Memory(arena) => {
                let place = usize::try_from(self.next).ok().and_then(|i| arena.places.get(i));
                let Some(place) = place else { return Ok(false) };
                self.entry.extend_from_slice(arena.entry(*place).get(LEN..).unwrap_or_default());
                self.next += 1;
            }
            Run::File(file) => {
                if self.next >= file.len {
                    self.window = Vec::new();
                    return Ok(false);
                }
                let len = self.take(file, LEN)?;
                let len = len.first_chunk::<LEN>().map_or(0, |len| u32::from_be_bytes(*len));
                let bytes = self.take(file, len as usize)?;
                let bytes = bytes.to_vec();
                self.entry = bytes;
            }
        }
        Ok(true)
    }

    /// The next `len` bytes of the file.
    fn take(&mut self, file: &FileRun, len: usize) -> Result<&[u8]> {
        let at =
            |window_at: u64, next: u64| usize::try_from(next - window_at).unwrap_or(usize::MAX);
        let inside = self.next >= self.window_at
            && at(self.window_at, self.next).saturating_add(len) <= self.window.len();
        if !inside {
            file.read(self.next, len.max(INTERVAL), &mut self.window)?;
            self.window_at = self.next;
        }
        let start = at(self.window_at, self.next);
        self.next += len as u64;
        self.window.get(start..start + len).ok_or_else(|| {
            Error::Bug(format!(
                "a run of the overlay ends inside an entry ({})",
                file.path.display()
            ))
        })
    }
}

/// The cursor with the least entry; none when all are at their end.
pub(super) fn least(cursors: &[RunCursor]) -> Result<Option<usize>> {
    let mut best: Option<(usize, Entry<'_>)> = None;
    for (i, cursor) in cursors.iter().enumerate() {
        let Some(entry) = cursor.entry()? else { continue };
        if best.as_ref().is_none_or(|(_, least)| entry.order(least).is_lt()) {
            best = Some((i, entry));
        }
    }
    Ok(best.map(|(i, _)| i))
}
