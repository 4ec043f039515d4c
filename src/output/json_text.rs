//! [`JsonText`]: JSON that grows, of values as `jsonl` writes them and the texts between them.

use super::buffer::TextBuffer;
use super::dates::DateTables;
use super::json::{JsonStyle, JsonWriter, piece_of};
use super::numbers::put_i64;
use super::scalar::Cause;
use super::stats::Notes;
use super::text::Piece;
use crate::cql::CqlType;
use crate::rows::Span;

/// What a text is copied by if it is no longer: one store instead of a call.
const SHORT: usize = 32;

/// A text that is written over and over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    first: [u8; SHORT],
    /// Of `first`.
    len: usize,
    rest: Box<[u8]>,
}

impl Stamp {
    /// A stamp of `text`.
    pub fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (short, rest) = bytes.split_at_checked(SHORT).unwrap_or((bytes, &[]));
        let mut first = [b' '; SHORT];
        first.iter_mut().zip(short).for_each(|(to, from)| *to = *from);
        Self { first, len: short.len(), rest: rest.into() }
    }
}

/// JSON that grows; its memory is reused.
#[derive(Debug)]
pub struct JsonText {
    text: TextBuffer,
    tables: DateTables,
}

impl Default for JsonText {
    fn default() -> Self {
        Self { text: TextBuffer::default(), tables: DateTables::new() }
    }
}

impl JsonText {
    /// What was written.
    #[inline]
    pub fn written(&self) -> &[u8] {
        self.text.written()
    }

    /// Bytes written.
    #[inline]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// True if nothing was written.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.text.len() == 0
    }

    /// Forgets everything from `len` on, keeping the memory.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
    }

    /// Hands over what was written.
    pub fn take(&mut self) -> Vec<u8> {
        self.text.take()
    }

    /// Appends one byte.
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.text.byte(byte);
    }

    /// Appends `text`: without a call if it is known where this is compiled.
    #[inline(always)]
    pub fn text(&mut self, text: &str) {
        self.text.slice(text.as_bytes());
    }

    /// Appends the text of a stamp.
    #[inline]
    pub fn stamp(&mut self, stamp: &Stamp) {
        self.text.chunk(&stamp.first, stamp.len);
        if !stamp.rest.is_empty() {
            self.text.slice(&stamp.rest);
        }
    }

    /// Appends what `other` has.
    #[inline]
    pub fn copy(&mut self, other: &Self) {
        let piece = other.text.as_piece();
        match piece.window {
            Some(window) if piece.bytes.len() <= SHORT => {
                self.text.chunk(window, piece.bytes.len())
            }
            _ => self.text.slice(piece.bytes),
        }
    }

    /// Appends a number.
    #[inline]
    pub fn number(&mut self, number: i64) {
        put_i64(&mut self.text, number);
    }

    /// Appends the serialized value `bytes` of `cql_type`. If they are no value of the type, nothing; the error says why.
    pub fn value(&mut self, cql_type: &CqlType, bytes: &[u8]) -> Result<(), String> {
        self.piece(cql_type, Piece::new(bytes))
    }

    /// The same for a part of `data`: what stands behind it there saves a closer look at its end.
    #[inline]
    pub fn value_in(&mut self, cql_type: &CqlType, value: Span, data: &[u8]) -> Result<(), String> {
        self.piece(cql_type, piece_of(value, data))
    }

    #[inline]
    fn piece(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Result<(), String> {
        let start = self.text.len();
        let mut notes = Notes::default();
        let style = JsonStyle { spaces: true, decimals_as_text: false, signed_years: false };
        JsonWriter::<false> { out: &mut self.text, style, tables: self.tables, notes: &mut notes }
            .value(cql_type, value)
            .map_err(|cause| {
                self.text.truncate(start);
                Cause::into_words(cause)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_texts_follow_each_other_and_what_is_no_value_leaves_nothing() {
        let mut out = JsonText::default();
        out.text("[");
        out.value(&CqlType::Int, &[0, 0, 0, 7]).unwrap();
        out.byte(b',');
        let list = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
        // It is written up to where it proves to be none.
        out.value(&list, &[0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 1]).unwrap_err();
        let span = Span { start: 1, len: 2 };
        out.value_in(&CqlType::Text, span, b"xab\"").unwrap();
        out.number(-12);
        assert_eq!(out.written(), b"[7,\"ab\"-12");
        out.truncate(1);
        assert_eq!((out.take(), out.is_empty()), (b"[".to_vec(), true));
    }

    #[test]
    fn texts_of_every_length_are_copied_whole() {
        for len in 0..100 {
            let text: String = ('0'..='9').cycle().take(len).collect();
            let (mut out, mut other) = (JsonText::default(), JsonText::default());
            out.stamp(&Stamp::new(&text));
            assert_eq!(out.written(), text.as_bytes());
            other.copy(&out);
            other.copy(&out);
            assert_eq!(other.written(), text.repeat(2).as_bytes());
            assert_eq!(other.len(), 2 * len);
        }
    }
}
