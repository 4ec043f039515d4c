//! One value as DynamoDB JSON: `{"S":"a"}`, `{"N":"1"}`, `{"L":[…]}`.

use base64_simd::AsOut;

use super::number::Canonical;
use super::sized::{CONTAINER, MEMBER, ONE};
use crate::cql::{CqlType, UdtType};
use crate::output::buffer::TextBuffer;
use crate::output::dates::DateTables;
use crate::output::elements::{Members, members, members_of_cells};
use crate::output::json::{JsonStyle, JsonWriter};
use crate::output::scalar::{Cause, Form, NumberLimit, TimestampForm, put_scalar};
use crate::output::stats::{Count, Counts, Notes};
use crate::output::text::{Piece, valid_text};
use crate::output::typed::Fault;
use crate::rows::Cell;

/// Levels of lists and maps that DynamoDB takes.
const MAX_DEPTH: u32 = 32;

/// Collections as text: as in profile `dms`.
const JSON: JsonStyle = JsonStyle { spaces: false, decimals_as_text: false, signed_years: false };

/// How the values of a column become an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AttributeForm {
    /// By its CQL type.
    Native,
    /// `S` with the text of the form.
    Text(Form),
    /// `N`; a number that does not fit is refused.
    Number(Form),
    /// `BOOL`.
    Boolean,
    /// `S` with JSON.
    Json,
    /// `B`.
    Binary,
}

/// Which kind of set, list or scalar a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Binary,
    Boolean,
    /// Lists, sets, maps, tuples, user-defined types.
    Nested,
}

pub(super) fn kind_of(cql_type: &CqlType) -> Kind {
    match cql_type {
        CqlType::Tinyint
        | CqlType::Smallint
        | CqlType::Int
        | CqlType::Bigint
        | CqlType::Counter
        | CqlType::Varint
        | CqlType::Decimal
        | CqlType::Float
        | CqlType::Double => Kind::Number,
        CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => Kind::Binary,
        CqlType::Boolean => Kind::Boolean,
        CqlType::Ascii
        | CqlType::Text
        | CqlType::Date
        | CqlType::Time
        | CqlType::Timestamp
        | CqlType::LegacyTimestamp
        | CqlType::Duration
        | CqlType::Empty
        | CqlType::Inet
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::LexicalUuid => Kind::Text,
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Tuple(_)
        | CqlType::Udt { .. }
        | CqlType::Vector { .. } => Kind::Nested,
    }
}

/// The text form of scalars; text, blobs and what is nested have none.
pub(in crate::output) fn scalar_form(cql_type: &CqlType) -> Option<Form> {
    Some(match cql_type {
        CqlType::Tinyint => Form::Tinyint,
        CqlType::Smallint => Form::Smallint,
        CqlType::Int => Form::Int,
        CqlType::Bigint => Form::Bigint,
        CqlType::Counter => Form::Counter,
        CqlType::Varint => Form::Varint(NumberLimit::None),
        CqlType::Decimal => Form::Decimal { plain: false, limit: NumberLimit::None },
        CqlType::Float => Form::Float { finite_only: false },
        CqlType::Double => Form::Double { finite_only: false },
        CqlType::Boolean => Form::Boolean,
        CqlType::Date => Form::Date { common_only: false },
        CqlType::Time => Form::Time,
        CqlType::Timestamp | CqlType::LegacyTimestamp => Form::Timestamp(TimestampForm::Iso),
        CqlType::Duration => Form::Duration,
        CqlType::Inet => Form::Inet,
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => Form::Uuid,
        CqlType::Empty => Form::Empty,
        CqlType::Ascii
        | CqlType::Text
        | CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_)
        | CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Tuple(_)
        | CqlType::Udt { .. }
        | CqlType::Vector { .. } => return None,
    })
}

/// True if lists and maps lie in each other deeper than DynamoDB takes.
pub(super) fn is_too_deep(cql_type: &CqlType) -> bool {
    fn depth(cql_type: &CqlType) -> u32 {
        match cql_type {
            CqlType::List { element, .. }
            | CqlType::Set { element, .. }
            | CqlType::Vector { element, .. } => 1 + depth(element),
            // Keys are text, whatever they are.
            CqlType::Map { value, .. } => 1 + depth(value),
            CqlType::Tuple(of) => 1 + of.iter().map(depth).max().unwrap_or(0),
            CqlType::Udt { udt, .. } => {
                1 + udt.fields.iter().map(|(_, of)| depth(of)).max().unwrap_or(0)
            }
            _ => 0,
        }
    }
    depth(cql_type) > MAX_DEPTH
}

/// Writes values and counts what becomes of them. Every function returns the bytes that DynamoDB counts.
pub(super) struct Encoder<'o> {
    pub(super) out: &'o mut TextBuffer,
    pub(super) tables: DateTables,
    pub(super) counts: &'o mut Counts,
    pub(super) scratch: &'o mut TextBuffer,
}

fn json_writer<'w>(
    out: &'w mut TextBuffer,
    tables: DateTables,
    notes: &'w mut Notes,
) -> JsonWriter<'w, false> {
    JsonWriter { out, style: JSON, tables, notes }
}

impl Encoder<'_> {
    fn scalar(&mut self, form: Form, bytes: &[u8]) -> Result<(), Cause> {
        put_scalar(self.out, self.tables, form, bytes, &mut Notes::default())
    }

    /// A JSON string.
    fn string(&mut self, text: Piece<'_>, ascii: bool) -> Result<usize, Cause> {
        json_writer(self.out, self.tables, &mut Notes::default()).string(text, ascii)?;
        Ok(text.bytes.len())
    }

    /// `bytes` between quotes as Base64.
    fn base64(&mut self, bytes: &[u8]) -> usize {
        let base64 = base64_simd::STANDARD;
        self.out.byte(b'"');
        self.out.fill(base64.encoded_length(bytes.len()), |place| {
            let _written = base64.encode(bytes, place.as_out());
        });
        self.out.byte(b'"');
        bytes.len()
    }

    /// The text of a scalar between quotes: nothing in it has to be escaped.
    fn quoted(&mut self, form: Form, bytes: &[u8]) -> Result<usize, Cause> {
        self.out.byte(b'"');
        let start = self.out.len();
        self.scalar(form, bytes)?;
        let len = self.out.len() - start;
        self.out.byte(b'"');
        Ok(len)
    }

    /// `{"S":"…"}` with a scalar's text.
    pub(super) fn text_of(&mut self, form: Form, bytes: &[u8]) -> Result<usize, Cause> {
        self.out.array(b"{\"S\":");
        let size = match form {
            Form::Text { ascii } => self.string(Piece::new(bytes), ascii)?,
            form => self.quoted(form, bytes)?,
        };
        self.out.byte(b'}');
        Ok(size)
    }

    /// `{"S":"…"}` with text.
    pub(super) fn text(&mut self, text: Piece<'_>, ascii: bool) -> Result<usize, Cause> {
        self.out.array(b"{\"S\":");
        let size = self.string(text, ascii)?;
        self.out.byte(b'}');
        Ok(size)
    }

    /// `{"B":"…"}`.
    pub(super) fn binary(&mut self, bytes: &[u8]) -> usize {
        self.out.array(b"{\"B\":");
        let size = self.base64(bytes);
        self.out.byte(b'}');
        size
    }

    /// `{"N":"…"}`, or what the number is where DynamoDB has no such number.
    pub(super) fn number(
        &mut self,
        form: Form,
        bytes: &[u8],
    ) -> Result<Result<usize, String>, Cause> {
        let start = self.out.len();
        self.out.array(b"{\"N\":");
        self.quoted(form, bytes)?;
        if matches!(form, Form::Tinyint | Form::Smallint | Form::Int | Form::Bigint | Form::Counter)
        {
            let len = self.out.len() - start - 7;
            self.out.byte(b'}');
            return Ok(Ok(len.div_ceil(2) + 1));
        }
        let text = self.out.written_from(start + 6);
        let text = text.get(..text.len() - 1).unwrap_or_default();
        match Canonical::parse(text).filter(Canonical::fits) {
            Some(number) => {
                self.out.byte(b'}');
                Ok(Ok(number.size()))
            }
            None => {
                let mut words = String::from_utf8_lossy(text).into_owned();
                if words.len() > 60 {
                    words = format!("a number of {} characters", words.len());
                }
                self.out.truncate(start);
                Ok(Err(words))
            }
        }
    }

    /// `{"N":"…"}` of an integer of ours.
    pub(super) fn integer(&mut self, value: i64) -> usize {
        self.out.array(b"{\"N\":\"");
        let start = self.out.len();
        crate::output::numbers::put_i64(self.out, value);
        let len = self.out.len() - start;
        self.out.array(b"\"}");
        len.div_ceil(2) + 1
    }

    /// `{"NULL":true}`.
    pub(super) fn null(&mut self) -> usize {
        self.out.slice(b"{\"NULL\":true}");
        ONE
    }

    /// `{"BOOL":…}`.
    pub(super) fn boolean(&mut self, bytes: &[u8]) -> Result<usize, Cause> {
        self.out.array(b"{\"BOOL\":");
        self.scalar(Form::Boolean, bytes)?;
        self.out.byte(b'}');
        Ok(ONE)
    }

    /// `{"S":"…"}` with the JSON that `write` writes.
    fn json(
        &mut self,
        write: impl FnOnce(&mut JsonWriter<'_, false>) -> Result<(), Cause>,
    ) -> Result<usize, Cause> {
        self.set_scratch(write)?;
        self.out.array(b"{\"S\":");
        let size = self.scratch_as_string()?;
        self.out.byte(b'}');
        Ok(size)
    }

    /// Makes what `write` writes the whole of `scratch`.
    fn set_scratch(
        &mut self,
        write: impl FnOnce(&mut JsonWriter<'_, false>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        self.scratch.truncate(0);
        write(&mut json_writer(self.scratch, self.tables, &mut Notes::default()))
    }

    /// `scratch` as a JSON string.
    fn scratch_as_string(&mut self) -> Result<usize, Cause> {
        let mut notes = Notes::default();
        json_writer(self.out, self.tables, &mut notes).string(self.scratch.as_piece(), false)?;
        Ok(self.scratch.len())
    }

    /// `{"S":"…"}` with a value's JSON.
    pub(super) fn json_of(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Result<usize, Cause> {
        self.json(|json| json.value(cql_type, value))
    }

    /// `{"S":"…"}` with the JSON of a column of several cells.
    pub(super) fn json_of_cells(
        &mut self,
        cql_type: &CqlType,
        cells: &[Cell],
        data: &[u8],
    ) -> Result<usize, Cause> {
        self.json(|json| json.cells(cql_type, cells, data))
    }

    /// A value by its CQL type. One of no bytes where the type has none such is NULL.
    pub(super) fn native(&mut self, cql_type: &CqlType, value: Piece<'_>) -> Result<usize, Fault> {
        let bytes = value.bytes;
        match (cql_type, kind_of(cql_type)) {
            (CqlType::Text, _) => return Ok(self.text(value, false)?),
            (CqlType::Ascii, _) => return Ok(self.text(value, true)?),
            (_, Kind::Binary) => return Ok(self.binary(bytes)),
            (CqlType::Tuple(_) | CqlType::Udt { .. }, _) => {}
            _ if bytes.is_empty() => {
                self.counts.add(Count::EmptyValues);
                return Ok(self.null());
            }
            _ => {}
        }
        let Some(form) = scalar_form(cql_type) else {
            return self.nested(cql_type, &members(cql_type, bytes)?);
        };
        match kind_of(cql_type) {
            Kind::Boolean => Ok(self.boolean(bytes)?),
            Kind::Number => match self.number(form, bytes)? {
                Ok(size) => Ok(size),
                Err(_) => {
                    self.counts.add(Count::NumbersAsText);
                    Ok(self.text_of(form, bytes)?)
                }
            },
            _ => Ok(self.text_of(form, bytes)?),
        }
    }

    /// The cells of a column.
    pub(super) fn native_cells(
        &mut self,
        cql_type: &CqlType,
        cells: &[Cell],
        data: &[u8],
    ) -> Result<usize, Fault> {
        self.nested(cql_type, &members_of_cells(cql_type, cells, data)?)
    }

    fn nested(&mut self, cql_type: &CqlType, members: &Members<'_>) -> Result<usize, Fault> {
        match (cql_type, members) {
            (CqlType::Set { element, .. }, Members::Values(values)) => self.set(element, values),
            (
                CqlType::List { element, .. } | CqlType::Vector { element, .. },
                Members::Values(values),
            ) => self.list(values.iter().map(|value| (&**element, *value))),
            (CqlType::Tuple(types), Members::Values(values)) => {
                self.list(types.iter().zip(values.iter().copied()))
            }
            (CqlType::Udt { udt, .. }, Members::Values(values)) => self.fields(udt, values),
            (CqlType::Map { key, value, .. }, Members::Entries(entries)) => {
                self.map(key, value, entries)
            }
            _ => Err(Cause::new(format!("{cql_type} has no such parts")).into()),
        }
    }

    fn list<'t, 'v>(
        &mut self,
        members: impl Iterator<Item = (&'t CqlType, Option<Piece<'v>>)>,
    ) -> Result<usize, Fault> {
        let mut size = CONTAINER;
        self.out.array(b"{\"L\":[");
        for (i, (cql_type, value)) in members.enumerate() {
            if i > 0 {
                self.out.byte(b',');
            }
            size += MEMBER
                + match value {
                    Some(value) => self.native(cql_type, value)?,
                    None => self.null(),
                };
        }
        self.out.array(b"]}");
        Ok(size)
    }

    fn fields(&mut self, udt: &UdtType, values: &[Option<Piece<'_>>]) -> Result<usize, Fault> {
        let mut size = CONTAINER;
        self.out.array(b"{\"M\":{");
        let start = self.out.len();
        for ((name, cql_type), value) in udt.fields.iter().zip(values) {
            let Some(value) = value else { continue };
            if self.out.len() > start {
                self.out.byte(b',');
            }
            size += MEMBER + self.string(Piece::new(name.as_bytes()), false)?;
            self.out.byte(b':');
            size += self.native(cql_type, *value)?;
        }
        self.out.array(b"}}");
        Ok(size)
    }

    fn map(
        &mut self,
        key_type: &CqlType,
        value_type: &CqlType,
        entries: &[(Piece<'_>, Option<Piece<'_>>)],
    ) -> Result<usize, Fault> {
        // DynamoDB has no empty attribute names; a key without bytes has no other text.
        let no_name = |key: &Piece<'_>| {
            key.bytes.is_empty()
                && !matches!(key_type, CqlType::Tuple(_) | CqlType::Udt { .. })
                && kind_of(key_type) != Kind::Binary
        };
        if entries.iter().any(|(key, _)| no_name(key)) {
            self.counts.add(Count::ValuesAsJsonText);
            return self.entries_as_text(key_type, value_type, entries);
        }
        let mut size = CONTAINER;
        self.out.array(b"{\"M\":{");
        for (i, (key, value)) in entries.iter().enumerate() {
            if i > 0 {
                self.out.byte(b',');
            }
            size += MEMBER + self.key(key_type, *key)?;
            self.out.byte(b':');
            size += match value {
                Some(value) => self.native(value_type, *value)?,
                None => self.null(),
            };
        }
        self.out.array(b"}}");
        Ok(size)
    }

    fn entries_as_text(
        &mut self,
        key_type: &CqlType,
        value_type: &CqlType,
        entries: &[(Piece<'_>, Option<Piece<'_>>)],
    ) -> Result<usize, Fault> {
        Ok(self.json(|json| json.entries(key_type, value_type, entries))?)
    }

    /// A map key: the text that a scalar has as an attribute, JSON of what is nested.
    fn key(&mut self, cql_type: &CqlType, key: Piece<'_>) -> Result<usize, Cause> {
        match (cql_type, scalar_form(cql_type)) {
            (CqlType::Text, _) => self.string(key, false),
            (CqlType::Ascii, _) => self.string(key, true),
            (_, Some(form)) => self.quoted(form, key.bytes),
            (_, None) if kind_of(cql_type) == Kind::Binary => {
                self.quoted(Form::Blob { prefix: true }, key.bytes)
            }
            (_, None) => {
                self.set_scratch(|json| json.value(cql_type, key))?;
                valid_text(self.scratch.written(), false)?;
                self.scratch_as_string()
            }
        }
    }

    /// A set: of strings, numbers or binaries if DynamoDB can have these members beside each other, else a list.
    fn set(&mut self, element: &CqlType, values: &[Option<Piece<'_>>]) -> Result<usize, Fault> {
        let as_list = |this: &mut Self| this.list(values.iter().map(|value| (element, *value)));
        let kind = kind_of(element);
        let is_text = matches!(element, CqlType::Text | CqlType::Ascii);
        let whole: Option<Vec<Piece<'_>>> = values.iter().copied().collect();
        let whole = whole.filter(|members| {
            is_text || kind == Kind::Binary || members.iter().all(|member| !member.bytes.is_empty())
        });
        if matches!(kind, Kind::Boolean | Kind::Nested) || values.is_empty() {
            return as_list(self);
        }
        let start = self.out.len();
        let size = match whole {
            Some(members) => self.members_of_set(element, kind, &members)?,
            None => None,
        };
        match size {
            Some(size) => Ok(size),
            None => {
                self.out.truncate(start);
                self.counts.add(Count::SetsAsLists);
                as_list(self)
            }
        }
    }

    fn members_of_set(
        &mut self,
        element: &CqlType,
        kind: Kind,
        members: &[Piece<'_>],
    ) -> Result<Option<usize>, Fault> {
        let mut size = 0;
        let mut seen = Vec::new();
        self.out.array(match kind {
            Kind::Number => b"{\"NS\":[",
            Kind::Binary => b"{\"BS\":[",
            Kind::Text | Kind::Boolean | Kind::Nested => b"{\"SS\":[",
        });
        for (i, member) in members.iter().enumerate() {
            if i > 0 {
                self.out.byte(b',');
            }
            size += match (kind, scalar_form(element)) {
                (Kind::Binary, _) => self.base64(member.bytes),
                (Kind::Number, Some(form)) => {
                    let start = self.out.len() + 1;
                    self.quoted(form, member.bytes)?;
                    let text = self.out.written_from(start);
                    let text = text.get(..text.len() - 1).unwrap_or_default();
                    let Some(number) = Canonical::parse(text).filter(Canonical::fits) else {
                        return Ok(None);
                    };
                    let size = number.size();
                    seen.push(number);
                    size
                }
                (_, Some(form)) => self.quoted(form, member.bytes)?,
                (_, None) => self.string(*member, *element == CqlType::Ascii)?,
            };
        }
        self.out.array(b"]}");
        seen.sort_unstable();
        let distinct = seen.iter().zip(seen.iter().skip(1)).all(|(a, b)| a != b);
        Ok(distinct.then_some(size))
    }
}
