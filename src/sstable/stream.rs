//! The uncompressed stream of one Data.db as a window that slides over it.
//!
//! Several chunks are decompressed into one reused buffer and parsed in place. What is left of an incomplete row moves to
//! the front before the next chunks come behind it, so that a decoder always sees whole rows and no row is copied twice.
//!
//! The window is normally [`DataStream::BATCH`] bytes, or one chunk if that is more. A row that does not fit makes it grow.
//! Growing is bounded by [`LargeRows`]: a window beyond the normal size needs the one permit that all workers share, so
//! that at any time at most one worker holds large rows, and these together have at most the given number of bytes. A
//! worker takes the permit once however many of its sources hold a part of the same large row, and gives it back when the
//! last of them is small again; it never waits for anything else while it holds it, so nobody waits for ever.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::error::{DecodeError, DecodeErrorKind, Result};
use crate::progress::vitals;

use super::compression::{ChunkScratch, DataChunks};
use super::read_rate::ReadRate;

/// The permit for large rows that all workers of a run share.
#[derive(Debug)]
pub struct LargeRows {
    limit: usize,
    taken: Mutex<bool>,
    freed: Condvar,
}

impl LargeRows {
    /// At most `limit` bytes of large rows at a time.
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Mutex::new(false), freed: Condvar::new() }
    }

    fn take(&self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken {
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
    }

    fn give_back(&self) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.freed.notify_one();
    }
}

/// One worker's share of [`LargeRows`], common to all its streams.
#[derive(Debug)]
pub struct WorkerRows {
    shared: Arc<LargeRows>,
    held: Mutex<usize>,
    bytes_read: AtomicU64,
    rate: Option<Arc<ReadRate>>,
}

impl WorkerRows {
    /// A worker's share.
    pub fn new(shared: Arc<LargeRows>) -> Self {
        Self { shared, held: Mutex::new(0), bytes_read: AtomicU64::new(0), rate: None }
    }

    /// The same, reading no faster than `rate`.
    #[must_use]
    pub fn at_rate(self, rate: Option<Arc<ReadRate>>) -> Self {
        Self { rate, ..self }
    }

    /// Takes the number of uncompressed bytes that the worker's streams have read since this was last asked.
    pub fn take_bytes_read(&self) -> u64 {
        self.bytes_read.swap(0, Ordering::Relaxed)
    }

    /// Asks for `more` bytes; false if that is beyond the limit.
    fn grow(&self, more: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.saturating_add(more) > self.shared.limit {
            return false;
        }
        if *held == 0 {
            self.shared.take();
        }
        *held += more;
        true
    }

    fn shrink(&self, less: usize) {
        if less == 0 {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(less);
        if *held == 0 {
            self.shared.give_back();
        }
    }
}

/// A window over the uncompressed stream of a Data.db.
#[derive(Debug)]
pub(super) struct DataStream {
    chunks: Arc<DataChunks>,
    scratch: ChunkScratch,
    rows: Arc<WorkerRows>,
    buf: Vec<u8>,
    /// The window is `buf[start..end]`.
    start: usize,
    end: usize,
    /// Offset in the stream of `buf[0]`.
    base: u64,
    next_chunk: u64,
    /// Bytes of the buffer beyond the normal size, asked of `rows`.
    large: usize,
    batch: usize,
    /// Chunk up to which pages of the file were given back.
    forgotten: u64,
    pub(super) chunks_read: u64,
}

/// Room behind the last chunk, for the decompressor's wide copies.
const SLACK: usize = 64;
/// How far reading goes before the pages behind it are given back.
const FORGET_EVERY: u64 = 8 << 20;

impl DataStream {
    /// Normal size of a window.
    const BATCH: usize = 64 << 10;

    pub(super) fn new(chunks: Arc<DataChunks>, rows: Arc<WorkerRows>, small: bool) -> Self {
        let batch = if small { chunks.chunk_len() } else { Self::BATCH.max(chunks.chunk_len()) };
        Self {
            chunks,
            scratch: ChunkScratch::default(),
            rows,
            buf: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            next_chunk: 0,
            large: 0,
            batch,
            forgotten: 0,
            chunks_read: 0,
        }
    }

    /// The bytes at hand.
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// Offset of the window in the stream.
    #[inline]
    pub(super) fn position(&self) -> u64 {
        self.base + self.start as u64
    }

    /// True at the end of the stream.
    pub(super) fn at_end(&self) -> bool {
        self.position() >= self.chunks.data_len()
    }

    /// Moves on by `len` bytes of the window.
    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// The largest row that may be held, bytes.
    pub(super) fn row_limit(&self) -> usize {
        self.rows.shared.limit
    }

    /// Moves to `offset` of the stream.
    pub(super) fn seek(&mut self, offset: u64) {
        self.chunks.leave_behind(self.behind(), FORGET_EVERY);
        let chunk_len = self.chunks.chunk_len() as u64;
        let chunk = offset / chunk_len;
        self.base = chunk * chunk_len;
        self.next_chunk = chunk;
        self.start = usize::try_from(offset - self.base).unwrap_or(usize::MAX);
        self.end = 0;
        self.forgotten = chunk;
    }

    /// Gives the buffer's memory back; the next read allocates it again.
    pub(super) fn release(&mut self) {
        self.buf = Vec::new();
        (self.start, self.end) = (0, 0);
        self.rows.shrink(std::mem::take(&mut self.large));
    }

    /// Makes at least `wanted` bytes available, and more if that is cheap; false if the stream ends before.
    pub(super) fn ensure(&mut self, wanted: usize) -> Result<bool> {
        if self.end.saturating_sub(self.start) >= wanted {
            return Ok(true);
        }
        let left = self.chunks.data_len().saturating_sub(self.position());
        let possible = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
        // After a seek the window begins behind its end: the first chunk has to come before there is anything to move.
        if self.start <= self.end {
            self.buf.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        self.forget();
        let chunk_len = self.chunks.chunk_len();
        let target =
            self.start + possible.max(self.batch.min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.reserve(target, self.start + possible)?;
        while self.end < self.start + possible
            || (self.end + chunk_len + SLACK <= self.buf.len() && self.end < target)
        {
            if self.next_chunk >= self.chunks.chunk_count() {
                break;
            }
            let Some(out) = self.buf.get_mut(self.end..) else { break };
            if let Some(rate) = &self.rows.rate {
                let end = self.chunks.stored_offset(self.next_chunk + 1);
                rate.take(end.saturating_sub(self.chunks.stored_offset(self.next_chunk)));
            }
            let len = self.chunks.read_chunk(self.next_chunk, &mut self.scratch, out)?;
            self.end += len;
            self.next_chunk += 1;
            self.chunks_read += 1;
            self.rows.bytes_read.fetch_add(len as u64, Ordering::Relaxed);
            vitals::sign();
        }
        Ok(self.end.saturating_sub(self.start) >= wanted)
    }

    /// Sizes the buffer for a window that ends at `target` at the latest, or at `least` if there is no room.
    fn reserve(&mut self, target: usize, least: usize) -> Result<()> {
        let chunk_len = self.chunks.chunk_len();
        let normal = self.batch + 2 * chunk_len + SLACK;
        let needed = least + chunk_len + SLACK;
        if needed <= normal {
            if self.buf.len() > normal {
                // The large row is behind us; `end` is small enough, since only whole rows are ever left over.
                if self.end + chunk_len + SLACK <= normal && target <= normal {
                    self.buf.truncate(normal);
                    self.buf.shrink_to_fit();
                    self.rows.shrink(std::mem::take(&mut self.large));
                }
            } else if self.buf.len() < normal {
                self.buf.resize(normal, 0);
            }
            return Ok(());
        }
        if needed > self.buf.len() {
            // Half as much again, so that a row that says its size late does not grow chunk by chunk.
            let wanted = needed.max(self.buf.len() / 2 * 3);
            let size = if self.grow_to(wanted, normal) { wanted } else { needed };
            if size == needed && self.buf.len() < needed && !self.grow_to(needed, normal) {
                let limit = self.rows.shared.limit as u64;
                let error = DecodeErrorKind::Limit {
                    what: "row (stored bytes, of all its versions)",
                    found: needed as u64,
                    limit,
                };
                return Err(DecodeError::new(error, self.position())
                    .in_file(self.chunks.path())
                    .map_damage(|d| {
                        d.what = Some("row".into());
                        d.hint = Some("give more --memory: a row may take an eighth of it".into());
                    }));
            }
            self.buf.resize(size, 0);
        }
        Ok(())
    }

    fn grow_to(&mut self, size: usize, normal: usize) -> bool {
        let more = size.saturating_sub(normal).saturating_sub(self.large);
        if more > 0 && !self.rows.grow(more) {
            return false;
        }
        self.large += more;
        true
    }

    /// Bytes of the stream that were read since pages of the file were given back.
    fn behind(&self) -> u64 {
        let chunks = self.next_chunk.saturating_sub(self.forgotten);
        chunks.saturating_mul(self.chunks.chunk_len() as u64)
    }

    fn forget(&mut self) {
        if self.behind() >= FORGET_EVERY {
            let start = self.chunks.stored_offset(self.forgotten);
            let end = self.chunks.stored_offset(self.next_chunk);
            self.chunks.forget(start, end.saturating_sub(start));
            self.forgotten = self.next_chunk;
        }
    }
}

impl Drop for DataStream {
    fn drop(&mut self) {
        self.chunks.leave_behind(self.behind(), FORGET_EVERY);
        self.rows.shrink(std::mem::take(&mut self.large));
    }
}
