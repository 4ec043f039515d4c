//! [`TextBuffer`]: where lines grow.
//!
//! The vector is kept at its full length, so that a piece of constant size is stored with one compare (is there room?)
//! and no call; a piece may be stored longer than it is, the next one overwrites the surplus.

use super::text::Piece;

/// Bytes being written, reused from row to row.
#[derive(Debug, Default)]
pub(super) struct TextBuffer {
    bytes: Vec<u8>,
    len: usize,
    /// Bytes that are there for the sake of quoting only; whoever measures a value takes the difference.
    pub(super) surplus: usize,
}

impl TextBuffer {
    /// Bytes written.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What was written.
    #[inline]
    pub(super) fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// What was written, with the bytes behind it that a short piece may be copied with.
    #[inline]
    pub(super) fn as_piece(&self) -> Piece<'_> {
        Piece::within(&self.bytes, self.len)
    }

    /// What was written from `start` on.
    #[inline]
    pub(super) fn written_from(&self, start: usize) -> &[u8] {
        self.bytes.get(start..self.len).unwrap_or_default()
    }

    /// Forgets everything from `len` on.
    #[inline]
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Hands over what was written.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.len);
        self.len = 0;
        bytes
    }

    /// Makes room for `more` bytes, so that the pieces of one row find it.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) {
        if self.bytes.len() - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let wanted = self.len.saturating_add(more).max(self.bytes.len().saturating_mul(2));
        self.bytes.resize(wanted.max(4096), 0);
    }

    /// Appends one byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        match self.bytes.get_mut(self.len) {
            Some(place) => {
                *place = byte;
                self.len += 1;
            }
            None => self.slice_slow(&[byte]),
        }
    }

    /// Appends the first `len` bytes of `chunk`.
    #[inline]
    pub(super) fn chunk<const N: usize>(&mut self, chunk: &[u8; N], len: usize) {
        match self.bytes.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            Some(place) => {
                *place = *chunk;
                self.len += len;
            }
            None => self.slice_slow(chunk.get(..len).unwrap_or(chunk)),
        }
    }

    /// Appends all of `bytes`, whose number is known where this is inlined.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.chunk(bytes, N);
    }

    /// Appends `bytes`.
    #[inline]
    pub(super) fn slice(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len())) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.slice_slow(bytes),
        }
    }

    /// Appends `bytes` of some dozens at most, without a call.
    #[inline]
    pub(super) fn short(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
            self.array(chunk);
            rest = behind;
        }
        for &byte in rest {
            self.byte(byte);
        }
    }

    /// Appends the first `len` bytes of `chunk` between two quotes, or between two pairs of them.
    ///
    /// One move of the end for all three: it is what the next piece waits for.
    #[inline(always)]
    pub(super) fn quoted_chunk<const DOUBLED: bool>(&mut self, chunk: &[u8; 32], len: usize) {
        let quote = if DOUBLED { 2 } else { 1 };
        let rest = self.bytes.get_mut(self.len..);
        if let Some(place) = rest.and_then(|rest| rest.first_chunk_mut::<40>())
            && let Some((before, behind)) = place.split_first_chunk_mut::<2>()
        {
            *before = *b"\"\"";
            if DOUBLED {
                if let Some(inside) = behind.first_chunk_mut::<32>() {
                    *inside = *chunk;
                }
            } else if let Some(inside) = place.get_mut(1..).and_then(|p| p.first_chunk_mut::<32>())
            {
                *inside = *chunk;
            }
            let after = place.get_mut(quote + len..).and_then(|rest| rest.first_chunk_mut::<2>());
            if let Some(after) = after {
                *after = *b"\"\"";
                self.len += quote + len + quote;
                return;
            }
        }
        self.slice_slow(if DOUBLED { b"\"\"" } else { b"\"" });
        self.slice_slow(chunk.get(..len).unwrap_or(chunk));
        self.slice_slow(if DOUBLED { b"\"\"" } else { b"\"" });
    }

    /// `count` times `byte`.
    pub(super) fn repeat(&mut self, byte: u8, count: usize) {
        self.reserve(count);
        if let Some(place) = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..count)) {
            place.fill(byte);
            self.len += count;
        }
    }

    /// Appends `len` bytes that `fill` writes.
    #[inline]
    pub(super) fn fill(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) {
        self.reserve(len);
        if let Some(place) = self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..len)) {
            fill(place);
            self.len += len;
        }
    }

    /// Moves what was written from `start` on by one byte to the front, over the byte before it.
    pub(super) fn drop_byte_before(&mut self, start: usize) {
        if start > 0 && start <= self.len {
            self.bytes.copy_within(start..self.len, start - 1);
            self.len -= 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn slice_slow(&mut self, bytes: &[u8]) {
        self.grow(bytes.len().saturating_add(64));
        if let Some(place) =
            self.bytes.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()))
        {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_every_kind_follow_each_other_while_the_buffer_grows() {
        let mut out = TextBuffer::default();
        let mut expected = Vec::new();
        for i in 0..2000_usize {
            let byte = u8::try_from(i % 251).unwrap();
            out.byte(byte);
            out.chunk(&[byte; 16], i % 17);
            out.slice(&vec![byte; i % 70]);
            out.short(&vec![byte; i % 30]);
            out.repeat(byte, i % 5);
            out.fill(3, |place| place.fill(byte));
            expected.extend(vec![byte; 1 + i % 17 + i % 70 + i % 30 + i % 5 + 3]);
        }
        assert_eq!(out.written(), expected);
        assert_eq!(out.take(), expected);
        assert_eq!(out.len(), 0);
    }

    #[test]
    fn truncating_forgets_and_dropping_moves() {
        let mut out = TextBuffer::default();
        out.slice(b"abc\"[1]");
        out.drop_byte_before(4);
        assert_eq!(out.written(), b"abc[1]");
        out.truncate(2);
        assert_eq!(out.written(), b"ab");
        assert_eq!(out.written_from(1), b"b");
    }
}
