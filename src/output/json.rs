//! Values as JSON, as Cassandra 5.0's `SELECT JSON` writes them; what is better here is listed in `output.md` 2.
//!
//! The writer goes straight into the line: inside a quoted CSV field (`CSV`) every quote is doubled on the way.

use super::buffer::TextBuffer;
use super::dates::{DateTables, is_common_millis};
use super::numbers::put_i64;
use super::scalar::{Cause, Form, NumberLimit, Written, day, fixed, millis, put_scalar};
use super::stats::Notes;
use super::text::{Piece, Special, below, copy_unless, equal_to, put_hex, put_uuid, valid_text};
use crate::cql::{CqlType, UdtType};
use crate::io::ByteReader;
use crate::rows::{Cell, Span};

/// What differs between profiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonStyle {
    /// A blank after commas and colons, as Cassandra has it.
    pub(super) spaces: bool,
    /// Decimal and varint as strings.
    pub(super) decimals_as_text: bool,
    /// Timestamps outside the years 0001 to 9999 as text with a signed year, not as numbers.
    pub(super) signed_years: bool,
}

/// A value's place in the bytes that a row came with.
#[inline]
pub(super) fn piece_of(span: Span, data: &[u8]) -> Piece<'_> {
    Piece::within(data.get(span.start as usize..).unwrap_or_default(), span.len as usize)
}

/// True for types of which a value of no bytes is an ordinary one.
#[inline]
pub(super) fn takes_empty(cql_type: &CqlType) -> bool {
    matches!(
        cql_type,
        CqlType::Text
            | CqlType::Ascii
            | CqlType::Blob
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_)
            | CqlType::Tuple(_)
            | CqlType::Udt { .. }
    )
}

/// Writes JSON to a buffer.
#[derive(Debug)]
pub(super) struct JsonWriter<'o, const CSV: bool> {
    pub(super) out: &'o mut TextBuffer,
    pub(super) style: JsonStyle,
    pub(super) tables: DateTables,
    pub(super) notes: &'o mut Notes,
}

/// Bytes that a JSON string of ours cannot have as they are, and those of other than ASCII, which must be valid first.
#[derive(Debug)]
pub(super) struct InJson;

impl Special for InJson {
    #[inline(always)]
    fn mark(word: u64) -> u64 {
        word | equal_to(word, b'"') | equal_to(word, b'\\') | below(word, 0x20)
    }
}

/// Reads a value with an i32 length before it; negative for null.
#[inline]
pub(super) fn read_value<'a>(r: &mut ByteReader<'a>) -> Result<Option<Piece<'a>>, Cause> {
    let len = r.read_i32("length of a value in a collection")?;
    let Ok(len) = usize::try_from(len) else {
        return Ok(None);
    };
    let piece = Piece::within(r.rest(), len);
    r.skip(len, "a value in a collection")?;
    Ok(Some(piece))
}

/// Reads a field of a tuple or user-defined type. Fields that were added to the type later are missing in older values.
pub(super) fn read_field<'a>(r: &mut ByteReader<'a>) -> Result<Option<Piece<'a>>, Cause> {
    if r.is_empty() { Ok(None) } else { read_value(r) }
}

/// Reads the number of elements that a collection begins with.
pub(super) fn read_count(r: &mut ByteReader<'_>) -> Result<u32, Cause> {
    let count = r.read_i32("number of elements of a collection")?;
    u32::try_from(count).map_err(|_| Cause::new(format!("a collection of {count} elements")))
}

impl<const CSV: bool> JsonWriter<'_, CSV> {
    #[inline]
    pub(super) fn quote(&mut self) {
        if CSV {
            self.out.array(b"\"\"");
            self.out.surplus += 1;
        } else {
            self.out.byte(b'"');
        }
    }

    #[inline]
    pub(super) fn comma(&mut self) {
        self.out.byte(b',');
        if self.style.spaces {
            self.out.byte(b' ');
        }
    }

    #[inline]
    fn colon(&mut self) {
        self.out.byte(b':');
        if self.style.spaces {
            self.out.byte(b' ');
        }
    }

    #[inline]
    pub(super) fn null(&mut self) {
        self.out.array(b"null");
    }

    /// A string.
    #[inline]
    pub(super) fn string(&mut self, text: Piece<'_>, ascii: bool) -> Written {
        if let Some(chunk) = text.plain_chunk::<InJson>() {
            self.out.quoted_chunk::<CSV>(chunk, text.bytes.len());
            self.out.surplus += if CSV { 2 } else { 0 };
            return Ok(());
        }
        self.other_string(text, ascii)
    }

    #[inline(never)]
    fn other_string(&mut self, text: Piece<'_>, ascii: bool) -> Written {
        self.quote();
        if !copy_unless::<InJson>(self.out, text) {
            self.escaped(valid_text(text.bytes, ascii)?);
        }
        self.quote();
        Ok(())
    }

    /// The inside of a string, escaped as Jackson's `quoteAsString` does.
    fn escaped(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\') {
            let (plain, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.out.slice(plain);
            let Some((&special, behind)) = behind.split_first() else {
                break;
            };
            match special {
                b'"' if CSV => {
                    self.out.array(b"\\\"\"");
                    self.out.surplus += 1;
                }
                b'"' => self.out.array(b"\\\""),
                b'\\' => self.out.array(b"\\\\"),
                b'\n' => self.out.array(b"\\n"),
                b'\r' => self.out.array(b"\\r"),
                b'\t' => self.out.array(b"\\t"),
                0x08 => self.out.array(b"\\b"),
                0x0c => self.out.array(b"\\f"),
                other => {
                    let digit = |nibble: u8| b"0123456789ABCDEF".get(usize::from(nibble));
                    self.out.array(b"\\u00");
                    self.out.byte(*digit(other >> 4).unwrap_or(&b'0'));
                    self.out.byte(*digit(other & 15).unwrap_or(&b'0'));
                }
            }
            rest = behind;
        }
        self.out.slice(rest);
    }

    #[inline]
    fn scalar(&mut self, form: Form, bytes: &[u8]) -> Written {
        put_scalar(self.out, self.tables, form, bytes, self.notes)
    }

    #[inline]
    fn quoted_scalar(&mut self, form: Form, bytes: &[u8]) -> Written {
        self.quote();
        self.scalar(form, bytes)?;
        self.quote();
        Ok(())
    }

    fn maybe_quoted(&mut self, form: Form, bytes: &[u8], quoted: bool) -> Written {
        if quoted { self.quoted_scalar(form, bytes) } else { self.scalar(form, bytes) }
    }

    #[inline]
    fn integer(&mut self, value: i64, quoted: bool) {
        if quoted {
            self.quote();
        }
        put_i64(self.out, value);
        if quoted {
            self.quote();
        }
    }

    /// A float, which is a string where it is no number; `as_key` makes a string of the others too.
    fn float(&mut self, form: Form, finite: bool, bytes: &[u8], as_key: bool) -> Written {
        self.maybe_quoted(form, bytes, as_key || !finite)
    }

    fn timestamp(&mut self, bytes: &[u8], as_key: bool) -> Written {
        let millis = millis(bytes)?;
        if is_common_millis(millis) || self.style.signed_years {
            self.quote();
            self.tables.put_millis(self.out, millis, b' ');
            self.out.byte(b'Z');
            self.quote();
            return Ok(());
        }
        self.integer(millis, as_key);
        Ok(())
    }

    /// A value.
    pub(super) fn value(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        self.any(cql_type, value, false)
    }

    /// A map key: always a string.
    fn key(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        self.any(cql_type, value, true)
    }

    fn any(&mut self, cql_type: &CqlType, value: Piece<'_>, as_key: bool) -> Written {
        let bytes = value.bytes;
        if bytes.is_empty() && !takes_empty(cql_type) {
            self.quote();
            self.quote();
            return Ok(());
        }
        let quoted_decimal = as_key || self.style.decimals_as_text;
        match cql_type {
            CqlType::Text => self.string(value, false),
            CqlType::Ascii => self.string(value, true),
            CqlType::Blob
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => {
                self.quote();
                self.out.array(b"0x");
                put_hex(self.out, bytes);
                self.quote();
                Ok(())
            }
            CqlType::Int => {
                self.integer(i64::from(i32::from_be_bytes(fixed(bytes, "int")?)), as_key);
                Ok(())
            }
            CqlType::Bigint => {
                self.integer(i64::from_be_bytes(fixed(bytes, "bigint")?), as_key);
                Ok(())
            }
            CqlType::Boolean => self.maybe_quoted(Form::Boolean, bytes, as_key),
            CqlType::Tinyint => self.maybe_quoted(Form::Tinyint, bytes, as_key),
            CqlType::Smallint => self.maybe_quoted(Form::Smallint, bytes, as_key),
            CqlType::Counter => self.maybe_quoted(Form::Counter, bytes, as_key),
            CqlType::Varint => {
                self.maybe_quoted(Form::Varint(NumberLimit::None), bytes, quoted_decimal)
            }
            CqlType::Decimal => {
                let form = Form::Decimal { plain: false, limit: NumberLimit::None };
                self.maybe_quoted(form, bytes, quoted_decimal)
            }
            CqlType::Float => {
                let finite = f32::from_be_bytes(fixed(bytes, "float")?).is_finite();
                self.float(Form::Float { finite_only: false }, finite, bytes, as_key)
            }
            CqlType::Double => {
                let finite = f64::from_be_bytes(fixed(bytes, "double")?).is_finite();
                self.float(Form::Double { finite_only: false }, finite, bytes, as_key)
            }
            CqlType::Timestamp | CqlType::LegacyTimestamp => self.timestamp(bytes, as_key),
            CqlType::Date => {
                self.quote();
                self.tables.put_day(self.out, day(bytes)?);
                self.quote();
                Ok(())
            }
            CqlType::Time => self.quoted_scalar(Form::Time, bytes),
            CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => {
                self.quote();
                put_uuid(self.out, &fixed(bytes, "uuid")?);
                self.quote();
                Ok(())
            }
            CqlType::Inet => self.quoted_scalar(Form::Inet, bytes),
            CqlType::Duration => self.quoted_scalar(Form::Duration, bytes),
            CqlType::Empty => self.scalar(Form::Empty, bytes),
            _ if as_key => self.nested_key(cql_type, value),
            CqlType::List { element, .. } | CqlType::Set { element, .. } => {
                self.frozen_elements(element, bytes)
            }
            CqlType::Map { key, value, .. } => self.frozen_entries(key, value, bytes),
            CqlType::Tuple(elements) => self.tuple(elements, bytes),
            CqlType::Udt { udt, .. } => self.udt(udt, bytes),
            CqlType::Vector { element, dimension } => self.vector(element, *dimension, bytes),
        }
    }

    /// A collection as a map key: its JSON text as a string.
    #[cold]
    fn nested_key(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        let mut text = TextBuffer::default();
        JsonWriter::<false> {
            out: &mut text,
            style: self.style,
            tables: self.tables,
            notes: self.notes,
        }
        .value(cql_type, value)?;
        self.quote();
        self.escaped(valid_text(text.written(), false)?);
        self.quote();
        Ok(())
    }

    fn frozen_elements(&mut self, element: &CqlType, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let count = read_count(&mut r)?;
        self.out.byte(b'[');
        for i in 0..count {
            if i > 0 {
                self.comma();
            }
            match read_value(&mut r)? {
                Some(value) => self.value(element, value)?,
                None => self.null(),
            }
        }
        self.out.byte(b']');
        Ok(r.finish("collection")?)
    }

    fn frozen_entries(&mut self, key: &CqlType, value: &CqlType, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let count = read_count(&mut r)?;
        self.out.byte(b'{');
        for i in 0..count {
            if i > 0 {
                self.comma();
            }
            let Some(key_bytes) = read_value(&mut r)? else {
                return Err(Cause::new("a map with a null key"));
            };
            self.key(key, key_bytes)?;
            self.colon();
            match read_value(&mut r)? {
                Some(piece) => self.value(value, piece)?,
                None => self.null(),
            }
        }
        self.out.byte(b'}');
        Ok(r.finish("collection")?)
    }

    /// Entries of a map that were read already.
    pub(super) fn entries(
        &mut self,
        key_type: &CqlType,
        value_type: &CqlType,
        entries: &[(Piece<'_>, Option<Piece<'_>>)],
    ) -> Written {
        self.out.byte(b'{');
        for (i, (key, value)) in entries.iter().enumerate() {
            if i > 0 {
                self.comma();
            }
            self.key(key_type, *key)?;
            self.colon();
            match value {
                Some(value) => self.value(value_type, *value)?,
                None => self.null(),
            }
        }
        self.out.byte(b'}');
        Ok(())
    }

    fn tuple(&mut self, elements: &[CqlType], bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        self.out.byte(b'[');
        for (i, element) in elements.iter().enumerate() {
            if i > 0 {
                self.comma();
            }
            match read_field(&mut r)? {
                Some(value) => self.value(element, value)?,
                None => self.null(),
            }
        }
        self.out.byte(b']');
        Ok(())
    }

    #[inline]
    fn field_name(&mut self, index: usize, name: &str) -> Written {
        if index > 0 {
            self.comma();
        }
        self.string(Piece::new(name.as_bytes()), false)?;
        self.colon();
        Ok(())
    }

    fn udt(&mut self, udt: &UdtType, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        self.out.byte(b'{');
        for (i, (name, field)) in udt.fields.iter().enumerate() {
            self.field_name(i, name)?;
            match read_field(&mut r)? {
                Some(value) => self.value(field, value)?,
                None => self.null(),
            }
        }
        self.out.byte(b'}');
        Ok(())
    }

    fn vector(&mut self, element: &CqlType, dimension: u32, bytes: &[u8]) -> Written {
        let mut r = ByteReader::new(bytes);
        let fixed_len = element.fixed_len();
        self.out.byte(b'[');
        for i in 0..dimension {
            if i > 0 {
                self.comma();
            }
            let len = match fixed_len {
                Some(len) => len,
                None => r.read_vint_len("length of a vector's element")?,
            };
            let value = Piece::within(r.rest(), len);
            r.skip(len, "an element of a vector")?;
            self.value(element, value)?;
        }
        self.out.byte(b']');
        Ok(r.finish("vector")?)
    }

    /// An element of a collection, most often text.
    #[inline]
    fn element(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Written {
        match cql_type {
            CqlType::Text => self.string(value, false),
            _ => self.value(cql_type, value),
        }
    }

    /// A non-frozen collection or user-defined type from its cells, which are ascending by path.
    pub(super) fn cells(&mut self, cql_type: &CqlType, cells: &[Cell], data: &[u8]) -> Written {
        match cql_type {
            CqlType::List { element, .. } => {
                self.out.byte(b'[');
                for (i, cell) in cells.iter().enumerate() {
                    if i > 0 {
                        self.comma();
                    }
                    self.element(element, piece_of(cell.value, data))?;
                }
                self.out.byte(b']');
            }
            CqlType::Set { element, .. } => {
                self.out.byte(b'[');
                for (i, cell) in cells.iter().enumerate() {
                    if i > 0 {
                        self.comma();
                    }
                    self.element(element, piece_of(cell.path, data))?;
                }
                self.out.byte(b']');
            }
            CqlType::Map { key, value, .. } => {
                self.out.byte(b'{');
                for (i, cell) in cells.iter().enumerate() {
                    if i > 0 {
                        self.comma();
                    }
                    match **key {
                        CqlType::Text => self.string(piece_of(cell.path, data), false)?,
                        _ => self.key(key, piece_of(cell.path, data))?,
                    }
                    self.colon();
                    self.element(value, piece_of(cell.value, data))?;
                }
                self.out.byte(b'}');
            }
            CqlType::Udt { udt, .. } => {
                self.out.byte(b'{');
                for (i, (name, field)) in udt.fields.iter().enumerate() {
                    self.field_name(i, name)?;
                    match udt_cell(cells, i, data) {
                        Some(cell) => self.value(field, piece_of(cell.value, data))?,
                        None => self.null(),
                    }
                }
                self.out.byte(b'}');
            }
            other => return Err(Cause::new(format!("{other} has no cells of its own"))),
        }
        Ok(())
    }
}

/// The cell of field `index` of a non-frozen user-defined type.
pub(super) fn udt_cell<'c>(cells: &'c [Cell], index: usize, data: &[u8]) -> Option<&'c Cell> {
    let index = u16::try_from(index).ok()?;
    cells.iter().find(|cell| cell.path.of(data) == index.to_be_bytes())
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
