//! Values as the CQL literals that cqlsh's `COPY FROM` takes apart, which are fewer than CQL has.
//!
//! What it cannot read back is refused: its parser (`copyutil.py`, `ImportConversion`) knows no durations, no NULL within a
//! collection or tuple, makes Python objects of collections, and takes a line end for the end of a record wherever it stands.

use super::buffer::TextBuffer;
use super::dates::DateTables;
use super::json::{piece_of, read_count, read_field, read_value, udt_cell};
use super::refusal::RefusalKind;
use super::scalar::{Cause, Form, NumberLimit, TimestampForm, Written, put_scalar};
use super::stats::Notes;
use super::text::{Piece, put_hex, valid_text};
use crate::cql::{CqlType, UdtType};
use crate::io::ByteReader;
use crate::rows::Cell;

/// Python's `int()` takes 4300 digits, which no number of so many bytes has more of.
pub(super) const MAX_NUMBER_BYTES: usize = 1785;

/// Why cqlsh cannot load any value of this type.
pub(crate) fn unsupported_by_cqlsh(cql_type: &CqlType) -> Option<&'static str> {
    match cql_type {
        CqlType::Duration => Some("cqlsh cannot load durations"),
        CqlType::Composite(_) | CqlType::DynamicComposite(_) | CqlType::Custom(_) => {
            Some("cqlsh does not know this type")
        }
        CqlType::Set { element, .. } => of_hashed(element),
        CqlType::Map { key, value, .. } => of_hashed(key).or_else(|| of_hashed(value)),
        CqlType::List { element, .. } => unsupported_by_cqlsh(element),
        CqlType::Vector { element, .. } => unsupported_by_cqlsh(element),
        CqlType::Tuple(elements) => elements.iter().find_map(unsupported_by_cqlsh),
        CqlType::Udt { udt, .. } => unsupported_udt(udt),
        _ => None,
    }
}

/// The same of what it keeps in a Python set.
fn of_hashed(cql_type: &CqlType) -> Option<&'static str> {
    if has_vector(cql_type) {
        return Some("cqlsh cannot load vectors within a set or map");
    }
    unsupported_by_cqlsh(cql_type)
}

fn has_vector(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Vector { .. } => true,
        CqlType::List { element, .. } | CqlType::Set { element, .. } => has_vector(element),
        CqlType::Map { key, value, .. } => has_vector(key) || has_vector(value),
        CqlType::Tuple(elements) => elements.iter().any(has_vector),
        CqlType::Udt { udt, .. } => udt.fields.iter().any(|(_, field)| has_vector(field)),
        _ => false,
    }
}

/// cqlsh makes a Python class of a user-defined type.
fn unsupported_udt(udt: &UdtType) -> Option<&'static str> {
    const KEYWORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return",
        "try", "while", "with", "yield",
    ];
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !KEYWORDS.contains(&name)
    };
    if !is_name(udt.name.trim_start_matches('_'))
        || !udt.fields.iter().all(|(name, _)| is_name(name))
    {
        return Some("cqlsh cannot load a type whose name, or a field of it, is no name in Python");
    }
    udt.fields.iter().find_map(|(_, field)| unsupported_by_cqlsh(field))
}

/// Writes literals to a buffer, without the quotes of CSV.
pub(super) struct LiteralWriter<'o> {
    pub(super) out: &'o mut TextBuffer,
    pub(super) tables: DateTables,
    pub(super) notes: &'o mut Notes,
    /// What cqlsh reads as NULL, in map values and fields too.
    pub(super) null_token: &'o [u8],
    /// How many values the one at hand lies within.
    pub(super) depth: u32,
}

impl LiteralWriter<'_> {
    fn scalar(&mut self, form: Form, bytes: &[u8]) -> Written {
        put_scalar(self.out, self.tables, form, bytes, self.notes)
    }

    fn quoted_scalar(&mut self, form: Form, bytes: &[u8]) -> Written {
        self.out.byte(b'\'');
        self.scalar(form, bytes)?;
        self.out.byte(b'\'');
        Ok(())
    }

    fn string(&mut self, bytes: &[u8], ascii: bool, may_be_null: bool) -> Written {
        valid_text(bytes, ascii)?;
        check_line_ends(bytes)?;
        // Of ascii it does not know that it is text.
        if (may_be_null || ascii) && bytes == self.null_token {
            return Err(null_token());
        }
        self.out.byte(b'\'');
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\'', rest) {
            let (plain, behind) = rest.split_at_checked(at + 1).unwrap_or((rest, &[]));
            self.out.slice(plain);
            self.out.byte(b'\'');
            rest = behind;
        }
        self.out.slice(rest);
        self.out.byte(b'\'');
        Ok(())
    }

    /// Python hands sets and maps over in an order of its own, which the server corrects only where they are the whole value.
    fn check_order(&self, elements: u32) -> Written {
        if self.depth > 0 && elements > 1 {
            let words =
                "a set or map within a value, whose order cqlsh loses: it would be another value";
            return Err(Cause::of(RefusalKind::Unordered, words));
        }
        Ok(())
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.out.byte(b',');
        }
    }

    /// A value.
    pub(super) fn value(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        self.any(cql_type, value, false)
    }

    /// A value within another.
    fn inner(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        self.depth += 1;
        self.any(cql_type, value, false)?;
        self.depth -= 1;
        Ok(())
    }

    /// The same where NULL could stand.
    fn nullable(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        self.depth += 1;
        self.any(cql_type, value, true)?;
        self.depth -= 1;
        Ok(())
    }

    fn any(&mut self, cql_type: &CqlType, value: Piece<'_>, may_be_null: bool) -> Written {
        let bytes = value.bytes;
        let none = NumberLimit::None;
        match cql_type {
            CqlType::Text => self.string(bytes, false, may_be_null),
            CqlType::Ascii => self.string(bytes, true, may_be_null),
            CqlType::Blob => {
                self.out.array(b"0x");
                put_hex(self.out, bytes);
                Ok(())
            }
            CqlType::Tuple(elements) => self.tuple(elements, bytes),
            CqlType::Udt { udt, .. } => self.udt(udt, bytes),
            _ if bytes.is_empty() => Err(Cause::of(
                RefusalKind::EmptyValue,
                "an empty value within a collection or type, which cqlsh cannot write",
            )),
            CqlType::Int => self.scalar(Form::Int, bytes),
            CqlType::Bigint => self.scalar(Form::Bigint, bytes),
            CqlType::Boolean => self.scalar(Form::BooleanWord, bytes),
            CqlType::Tinyint => self.scalar(Form::Tinyint, bytes),
            CqlType::Smallint => self.scalar(Form::Smallint, bytes),
            CqlType::Counter => self.scalar(Form::Counter, bytes),
            CqlType::Varint => {
                check_number(bytes)?;
                self.scalar(Form::Varint(none), bytes)
            }
            CqlType::Decimal => {
                check_number(bytes)?;
                self.scalar(Form::Decimal { plain: false, limit: none }, bytes)
            }
            CqlType::Float => self.scalar(Form::Float { finite_only: false }, bytes),
            CqlType::Double => self.scalar(Form::Double { finite_only: false }, bytes),
            CqlType::Timestamp | CqlType::LegacyTimestamp => {
                self.scalar(Form::Timestamp(TimestampForm::Millis), bytes)
            }
            CqlType::Date => self.quoted_scalar(Form::Date { common_only: true }, bytes),
            CqlType::Time => self.quoted_scalar(Form::Time, bytes),
            CqlType::Inet => self.quoted_scalar(Form::Inet, bytes),
            CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => {
                self.scalar(Form::Uuid, bytes)
            }
            CqlType::Empty => self.scalar(Form::Empty, bytes),
            CqlType::List { element, .. } => self.frozen_elements(element, bytes, *b"[]"),
            CqlType::Set { element, .. } => self.frozen_elements(element, bytes, *b"{}"),
            CqlType::Map { key, value, .. } => self.frozen_entries(key, value, bytes),
            CqlType::Vector { element, dimension } => self.vector(element, *dimension, bytes),
            CqlType::Duration
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => {
                Err(Cause::of(RefusalKind::UnsupportedType, "cqlsh does not know this type"))
            }
        }
    }

    fn frozen_elements(
        &mut self,
        element: &CqlType,
        bytes: &[u8],
        [open, close]: [u8; 2],
    ) -> Written {
        let mut r = ByteReader::new(bytes);
        let count = read_count(&mut r)?;
        if open == b'{' {
            self.check_order(count)?;
        }
        self.out.byte(open);
        for i in 0..count {
            self.separate(i as usize);
            let value = read_value(&mut r)?.ok_or_else(null_within)?;
            self.inner(element, value)?;
        }
        self.out.byte(close);
        Ok(r.finish("collection")?)
    }

    fn frozen_entries(&mut self, key: &CqlType, value: &CqlType, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let count = read_count(&mut r)?;
        self.check_order(count)?;
        self.out.byte(b'{');
        for i in 0..count {
            self.separate(i as usize);
            let piece = read_value(&mut r)?.ok_or_else(null_within)?;
            self.inner(key, piece)?;
            self.out.byte(b':');
            let piece = read_value(&mut r)?.ok_or_else(null_within)?;
            self.nullable(value, piece)?;
        }
        self.out.byte(b'}');
        Ok(r.finish("collection")?)
    }

    fn tuple(&mut self, elements: &[CqlType], bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        self.out.byte(b'(');
        for (i, element) in elements.iter().enumerate() {
            self.separate(i);
            let value = read_field(&mut r)?.ok_or_else(null_within)?;
            self.inner(element, value)?;
        }
        self.out.byte(b')');
        Ok(())
    }

    /// Fields that are null are left out.
    fn udt(&mut self, udt: &UdtType, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let mut written = 0;
        self.out.byte(b'{');
        for (name, field) in &udt.fields {
            if let Some(value) = read_field(&mut r)? {
                self.field(&mut written, name, field, value)?;
            }
        }
        self.out.byte(b'}');
        Ok(())
    }

    fn field(
        &mut self,
        written: &mut usize,
        name: &str,
        cql_type: &CqlType,
        value: Piece<'_>,
    ) -> Written {
        self.separate(*written);
        *written += 1;
        self.out.slice(name.as_bytes());
        self.out.byte(b':');
        self.nullable(cql_type, value)
    }

    fn vector(&mut self, element: &CqlType, dimension: u32, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let fixed_len = element.fixed_len();
        self.out.byte(b'[');
        for i in 0..dimension {
            self.separate(i as usize);
            let len = match fixed_len {
                Some(len) => len,
                None => r.read_vint_len("length of a vector's element")?,
            };
            let value = Piece::within(r.rest(), len);
            r.skip(len, "an element of a vector")?;
            self.inner(element, value)?;
        }
        self.out.byte(b']');
        Ok(r.finish("vector")?)
    }

    /// A non-frozen collection or user-defined type from its cells, which are ascending by path.
    pub(super) fn cells(&mut self, cql_type: &CqlType, cells: &[Cell], data: &[u8]) -> Written {
        match cql_type {
            CqlType::List { element, .. } => {
                self.out.byte(b'[');
                for (i, cell) in cells.iter().enumerate() {
                    self.separate(i);
                    self.inner(element, piece_of(cell.value, data))?;
                }
                self.out.byte(b']');
            }
            CqlType::Set { element, .. } => {
                self.out.byte(b'{');
                for (i, cell) in cells.iter().enumerate() {
                    self.separate(i);
                    self.inner(element, piece_of(cell.path, data))?;
                }
                self.out.byte(b'}');
            }
            CqlType::Map { key, value, .. } => {
                self.out.byte(b'{');
                for (i, cell) in cells.iter().enumerate() {
                    self.separate(i);
                    self.inner(key, piece_of(cell.path, data))?;
                    self.out.byte(b':');
                    self.nullable(value, piece_of(cell.value, data))?;
                }
                self.out.byte(b'}');
            }
            CqlType::Udt { udt, .. } => {
                let mut written = 0;
                self.out.byte(b'{');
                for (i, (name, field)) in udt.fields.iter().enumerate() {
                    if let Some(cell) = udt_cell(cells, i, data) {
                        self.field(&mut written, name, field, piece_of(cell.value, data))?;
                    }
                }
                self.out.byte(b'}');
            }
            other => return Err(Cause::new(format!("{other} has no cells of its own"))),
        }
        Ok(())
    }
}

/// Text without line ends.
pub(super) fn check_line_ends(bytes: &[u8]) -> Written {
    match memchr::memchr2(b'\n', b'\r', bytes) {
        Some(_) => Err(Cause::of(
            RefusalKind::LineEnd,
            "text with a line end, which cqlsh takes for the end of a record",
        )),
        None => Ok(()),
    }
}

/// A number that Python reads.
pub(super) fn check_number(bytes: &[u8]) -> Written {
    if bytes.len() > MAX_NUMBER_BYTES {
        let words = "a number of more than 4300 digits, which cqlsh cannot read";
        return Err(Cause::of(RefusalKind::NumberTooLarge, words));
    }
    Ok(())
}

#[cold]
pub(super) fn null_token() -> Cause {
    Cause::of(RefusalKind::NullToken, "text that cqlsh would read as NULL")
}

#[cold]
fn null_within() -> Cause {
    Cause::of(RefusalKind::Null, "a null within a tuple or collection, which cqlsh cannot load")
}

#[cfg(test)]
#[path = "literal_tests.rs"]
mod tests;
