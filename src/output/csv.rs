//! Fields of CSV: RFC 4180 with doubled quotes.
//!
//! A field is quoted if it contains `"`, `,`, LF or CR, begins or ends with a blank or tab, is textually equal to the NULL
//! token, or (where DSBulk reads) begins with U+0000, or (where Spark reads) is empty and no NULL, and not otherwise.

use super::buffer::TextBuffer;
use super::dates::DateTables;
use super::json::{JsonStyle, JsonWriter};
use super::literal::{LiteralWriter, check_line_ends, check_number, null_token};
use super::scalar::{Cause, Form, Written, put_scalar_here};
use super::stats::Notes;
use super::text::{Piece, Special, all_ascii, copy_unless, equal_to, valid_text};
use crate::cql::CqlType;

/// What differs between CSV profiles.
#[derive(Debug, Clone)]
pub(super) struct CsvStyle {
    /// What stands for NULL.
    pub(super) null_token: Box<[u8]>,
    /// DSBulk takes a line that begins with U+0000 for a comment.
    pub(super) quote_leading_nul: bool,
    /// Empty text is written in quotes, so that it is no NULL.
    pub(super) quote_empty: bool,
    /// For cqlsh: collections are CQL literals, and what it cannot read back is refused.
    pub(super) cqlsh: bool,
    /// Collections.
    pub(super) json: JsonStyle,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A value.
    Value,
    /// NULL.
    Null,
}

/// Bytes that need quotes, and those of other than ASCII, which must be valid first.
#[derive(Debug)]
pub(super) struct InCsv;

impl Special for InCsv {
    #[inline(always)]
    fn mark(word: u64) -> u64 {
        word | equal_to(word, b'"')
            | equal_to(word, b',')
            | equal_to(word, b'\n')
            | equal_to(word, b'\r')
    }
}

impl CsvStyle {
    /// A field of text.
    #[inline]
    pub(super) fn put_text(
        &self,
        out: &mut TextBuffer,
        text: Piece<'_>,
        ascii: bool,
        notes: &mut Notes,
    ) -> Written {
        if let (Some(&first), Some(&last)) = (text.bytes.first(), text.bytes.last())
            && first > b' '
            && last > b' '
            && *text.bytes != *self.null_token
            && copy_unless::<InCsv>(out, text)
        {
            return Ok(());
        }
        self.put_unusual_text(out, text.bytes, ascii, notes)
    }

    #[inline(never)]
    fn put_unusual_text(
        &self,
        out: &mut TextBuffer,
        bytes: &[u8],
        ascii: bool,
        notes: &mut Notes,
    ) -> Written {
        if !all_ascii(bytes) {
            valid_text(bytes, ascii)?;
        }
        let is_token = *bytes == *self.null_token;
        if self.cqlsh {
            check_line_ends(bytes)?;
            if is_token {
                return Err(null_token());
            }
        }
        if is_token && !bytes.is_empty() {
            notes.null_token();
        }
        let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
        let quoted = is_token
            || blank(bytes.first())
            || blank(bytes.last())
            || self.quote_empty && bytes.is_empty()
            || self.quote_leading_nul && bytes.first() == Some(&0)
            || memchr::memchr3(b'"', b',', b'\n', bytes).is_some()
            || memchr::memchr(b'\r', bytes).is_some();
        if quoted {
            put_quoted(out, bytes);
        } else {
            out.slice(bytes);
        }
        Ok(())
    }

    /// A field of any type, from a value of one piece.
    #[inline]
    pub(super) fn put_field(
        &self,
        out: &mut TextBuffer,
        tables: DateTables,
        form: Form,
        cql_type: &CqlType,
        value: Piece<'_>,
        notes: &mut Notes,
    ) -> Result<Shown, Cause> {
        match form {
            Form::Text { ascii } => self.put_text(out, value, ascii, notes)?,
            _ if value.bytes.is_empty() && !form.takes_empty() => {
                notes.empty_value();
                out.slice(&self.null_token);
                return Ok(Shown::Null);
            }
            Form::Blob { prefix: false } if value.bytes.is_empty() => {
                self.put_text(out, value, false, notes)?;
            }
            Form::Json | Form::JsonFields => {
                self.put_json(out, tables, notes, |json| json.value(cql_type, value))?;
            }
            Form::Literal | Form::LiteralFields => {
                self.put_literal(out, tables, notes, |writer| writer.value(cql_type, value))?;
            }
            Form::Varint(_) | Form::Decimal { .. } if self.cqlsh => {
                check_number(value.bytes)?;
                put_scalar_here(out, tables, form, value.bytes, notes)?;
            }
            _ => put_scalar_here(out, tables, form, value.bytes, notes)?,
        }
        Ok(Shown::Value)
    }

    /// A field of CQL literals.
    pub(super) fn put_literal(
        &self,
        out: &mut TextBuffer,
        tables: DateTables,
        notes: &mut Notes,
        write: impl FnOnce(&mut LiteralWriter<'_>) -> Written,
    ) -> Written {
        let start = out.len();
        let null_token = &self.null_token;
        write(&mut LiteralWriter { out: &mut *out, tables, notes, null_token, depth: 0 })?;
        // Line ends and blanks at its ends it has none.
        if memchr::memchr2(b'"', b',', out.written_from(start)).is_some() {
            let literal = out.written_from(start).to_vec();
            out.truncate(start);
            put_quoted(out, &literal);
        }
        Ok(())
    }

    /// A field of JSON.
    #[inline]
    pub(super) fn put_json(
        &self,
        out: &mut TextBuffer,
        tables: DateTables,
        notes: &mut Notes,
        write: impl FnOnce(&mut JsonWriter<'_, true>) -> Written,
    ) -> Written {
        out.byte(b'"');
        out.surplus += 1;
        let start = out.len();
        write(&mut JsonWriter { out: &mut *out, style: self.json, tables, notes })?;
        // JSON has no raw control characters and begins and ends with a bracket; most has a comma or a quote soon.
        if memchr::memchr2(b'"', b',', out.written_from(start)).is_some() {
            out.byte(b'"');
            out.surplus += 1;
        } else {
            out.drop_byte_before(start);
            out.surplus -= 1;
        }
        Ok(())
    }
}

/// A field in quotes.
pub(super) fn put_quoted(out: &mut TextBuffer, bytes: &[u8]) {
    out.byte(b'"');
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'"', rest) {
        let (plain, behind) = rest.split_at_checked(at + 1).unwrap_or((rest, &[]));
        out.slice(plain);
        out.byte(b'"');
        out.surplus += 1;
        rest = behind;
    }
    out.slice(rest);
    out.byte(b'"');
    out.surplus += 2;
}

/// A field of a header line.
pub(super) fn put_name(out: &mut TextBuffer, name: &str) {
    let bytes = name.as_bytes();
    if bytes.is_empty()
        || bytes.iter().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r' | 0))
        || name.trim() != name
    {
        put_quoted(out, bytes);
    } else {
        out.slice(bytes);
    }
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
