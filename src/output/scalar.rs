//! Values of one piece as text without quotes: everything but text itself and what is written as JSON.

use super::buffer::TextBuffer;
use super::dates::{DateTables, day_of_date, is_common_day, is_common_millis, put_duration};
use super::numbers::{
    NumberSize, non_finite_text, put_decimal, put_f32, put_f64, put_i64, put_varint,
};
use super::refusal::{Refusal, RefusalKind};
use super::stats::Notes;
use super::text::{put_hex, put_inet, put_uuid};
use super::types::{MAX_PRECISION, MAX_SCALE};
use crate::error::DecodeError;
use crate::rows::counter_total;

/// Why a value cannot be written. One pointer, so that outcomes are handed back in a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause(Box<Words>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Words {
    kind: RefusalKind,
    text: String,
}

impl Cause {
    #[cold]
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self::of(RefusalKind::Invalid, words)
    }

    #[cold]
    pub(super) fn of(kind: RefusalKind, words: impl Into<String>) -> Self {
        Self(Box::new(Words { kind, text: words.into() }))
    }

    pub(super) fn into_words(self) -> String {
        self.0.text
    }

    #[cold]
    pub(super) fn refuse(self, column: Option<String>) -> Refusal {
        Refusal { column, kind: Some(self.0.kind), cause: self.0.text, key: None }
    }
}

impl From<DecodeError> for Cause {
    #[cold]
    fn from(e: DecodeError) -> Self {
        Self::new(e.kind.to_string())
    }
}

/// Outcome of writing a value.
pub(super) type Written = Result<(), Cause>;

/// Which timestamps are written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimestampForm {
    /// `YYYY-MM-DD HH:MM:SS.mmm`, years 0001 to 9999 only.
    Datetime,
    /// The same, with signed years outside.
    DatetimeAnyYear,
    /// `YYYY-MM-DDTHH:MM:SS.mmmZ`, with signed years outside 0000 to 9999.
    Iso,
    /// Milliseconds since 1970.
    Millis,
}

/// Which numbers fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberLimit {
    /// All.
    None,
    /// Those of eight bytes.
    Int8,
    /// Those that some NUMERIC can hold.
    SomeNumeric,
    /// Those that this NUMERIC can hold.
    Numeric { precision: u8, scale: u8 },
}

impl NumberLimit {
    fn check(self, size: NumberSize) -> Written {
        let (precision, scale) = match self {
            Self::None => return Ok(()),
            // 19 digits are checked exactly by the caller.
            Self::Int8 => (19, 0),
            Self::SomeNumeric => {
                if size.digits() <= MAX_PRECISION && size.scale <= MAX_SCALE {
                    return Ok(());
                }
                return Err(Cause::of(
                    RefusalKind::NumberTooLarge,
                    format!(
                        "a number with {} digits before and {} behind the point; NUMERIC holds 38, 31 of them behind it",
                        size.integer_digits, size.scale
                    ),
                ));
            }
            Self::Numeric { precision, scale } => (precision, scale),
        };
        let integer_digits = u64::from(precision - scale.min(precision));
        if size.integer_digits <= integer_digits && size.scale <= u64::from(scale) {
            return Ok(());
        }
        Err(Cause::of(
            RefusalKind::NumberTooLarge,
            format!(
                "a number with {} digits before and {} behind the point; the column holds {integer_digits} and {scale}",
                size.integer_digits, size.scale
            ),
        ))
    }
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text {
        ascii: bool,
    },
    Boolean,
    /// `True` or `False`.
    BooleanWord,
    Tinyint,
    Smallint,
    Int,
    Bigint,
    Counter,
    Float {
        finite_only: bool,
    },
    Double {
        finite_only: bool,
    },
    Uuid,
    Timestamp(TimestampForm),
    Date {
        common_only: bool,
    },
    Time,
    /// Hexadecimal digits, after `0x` or not.
    Blob {
        prefix: bool,
    },
    Varint(NumberLimit),
    Decimal {
        plain: bool,
        limit: NumberLimit,
    },
    /// In plain notation if some NUMERIC holds it, else with an exponent.
    DecimalOfAnySize,
    Inet,
    Duration,
    /// Collections, tuples, vectors.
    Json,
    /// Tuples and user-defined types, of which no bytes mean that every field is null.
    JsonFields,
    /// The same as CQL literals.
    Literal,
    /// [`Form::JsonFields`] as CQL literals.
    LiteralFields,
    /// The profile's loader cannot take any value of the type.
    Unsupported(&'static str),
    /// A type without values.
    Empty,
}

impl Form {
    /// True if a value of no bytes is an ordinary one.
    #[inline]
    pub(super) fn takes_empty(self) -> bool {
        matches!(
            self,
            Self::Text { .. }
                | Self::Blob { .. }
                | Self::JsonFields
                | Self::LiteralFields
                | Self::Unsupported(_)
        )
    }
}

/// `bytes` as the array that a type of fixed length must have.
#[inline]
pub(super) fn fixed<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], Cause> {
    match bytes.try_into() {
        Ok(array) => Ok(array),
        Err(_) => Err(wrong_length(bytes.len(), N, what)),
    }
}

#[cold]
fn wrong_length(found: usize, expected: usize, what: &'static str) -> Cause {
    Cause::new(format!("{what} of {found} bytes, not {expected}"))
}

/// A finite float that is -0.0, which some loaders turn into 0.0.
#[inline]
pub(super) fn note_zero(value: f64, notes: &mut Notes) {
    if value == 0.0 && value.is_sign_negative() {
        notes.negative_zero();
    }
}

/// The milliseconds of a timestamp.
#[inline]
pub(super) fn millis(bytes: &[u8]) -> Result<i64, Cause> {
    Ok(i64::from_be_bytes(fixed(bytes, "timestamp")?))
}

/// The day of a date.
#[inline]
pub(super) fn day(bytes: &[u8]) -> Result<i64, Cause> {
    Ok(day_of_date(u32::from_be_bytes(fixed(bytes, "date")?)))
}

fn put_non_finite(
    out: &mut TextBuffer,
    value: f64,
    finite_only: bool,
    notes: &mut Notes,
) -> Written {
    let text = non_finite_text(value);
    if finite_only {
        let words =
            format!("{}, which only a column of type STRING holds", String::from_utf8_lossy(text));
        return Err(Cause::of(RefusalKind::NonFinite, words));
    }
    notes.non_finite();
    out.slice(text);
    Ok(())
}

/// Writes a value of a scalar type that is no text and has bytes.
pub(super) fn put_scalar(
    out: &mut TextBuffer,
    tables: DateTables,
    form: Form,
    bytes: &[u8],
    notes: &mut Notes,
) -> Written {
    put_scalar_here(out, tables, form, bytes, notes)
}

/// The same inside its caller, for the one place where all values of a row pass.
#[inline(always)]
pub(super) fn put_scalar_here(
    out: &mut TextBuffer,
    tables: DateTables,
    form: Form,
    bytes: &[u8],
    notes: &mut Notes,
) -> Written {
    match form {
        Form::Int => put_i64(out, i64::from(i32::from_be_bytes(fixed(bytes, "int")?))),
        Form::Bigint => put_i64(out, i64::from_be_bytes(fixed(bytes, "bigint")?)),
        Form::Boolean => match fixed::<1>(bytes, "boolean")? {
            [0] => out.array(b"false"),
            [_] => out.array(b"true"),
        },
        Form::Tinyint => put_i64(out, i64::from(i8::from_be_bytes(fixed(bytes, "tinyint")?))),
        Form::Smallint => put_i64(out, i64::from(i16::from_be_bytes(fixed(bytes, "smallint")?))),
        Form::Counter => put_i64(out, counter_total(bytes)?),
        Form::Double { finite_only } => {
            let value = f64::from_be_bytes(fixed(bytes, "double")?);
            if !value.is_finite() {
                return put_non_finite(out, value, finite_only, notes);
            }
            note_zero(value, notes);
            put_f64(out, value);
        }
        Form::Uuid => put_uuid(out, &fixed(bytes, "uuid")?),
        Form::Timestamp(form) => {
            let millis = millis(bytes)?;
            match form {
                TimestampForm::Datetime if !is_common_millis(millis) => {
                    return Err(Cause::of(
                        RefusalKind::OutOfRange,
                        format!(
                            "timestamp {millis} ms lies outside the years 0001 to 9999; a column of type INT8 holds it"
                        ),
                    ));
                }
                TimestampForm::Datetime | TimestampForm::DatetimeAnyYear => {
                    tables.put_millis(out, millis, b' ');
                }
                TimestampForm::Iso => {
                    tables.put_millis(out, millis, b'T');
                    out.byte(b'Z');
                }
                TimestampForm::Millis => put_i64(out, millis),
            }
        }
        Form::Date { common_only } => {
            let day = day(bytes)?;
            if common_only && !is_common_day(day) {
                return Err(Cause::of(
                    RefusalKind::OutOfRange,
                    format!(
                        "date {day} days from 1970 lies outside the years 0001 to 9999; a column of type STRING holds it"
                    ),
                ));
            }
            tables.put_day(out, day);
        }
        Form::Blob { prefix } => {
            if prefix {
                out.array(b"0x");
            }
            put_hex(out, bytes);
        }
        _ => put_rarer_scalar(out, tables, form, bytes, notes)?,
    }
    Ok(())
}

/// The same for the other types: apart, so that the common ones do not pay for their buffers.
#[inline(never)]
fn put_rarer_scalar(
    out: &mut TextBuffer,
    tables: DateTables,
    form: Form,
    bytes: &[u8],
    notes: &mut Notes,
) -> Written {
    match form {
        Form::Float { finite_only } => {
            let value = f32::from_be_bytes(fixed(bytes, "float")?);
            if !value.is_finite() {
                return put_non_finite(out, f64::from(value), finite_only, notes);
            }
            note_zero(f64::from(value), notes);
            put_f32(out, value);
        }
        Form::Time => tables.put_time(out, i64::from_be_bytes(fixed(bytes, "time")?))?,
        Form::Varint(limit) => put_limited_varint(out, bytes, limit, notes)?,
        Form::Decimal { plain, limit } => put_decimal(out, bytes, plain, |size| {
            limit.check(size)?;
            notes.number(size);
            Ok(())
        })?,
        Form::DecimalOfAnySize => {
            let mut fits = true;
            let mut check = |size: NumberSize| {
                fits = NumberLimit::SomeNumeric.check(size).is_ok();
                if fits {
                    notes.number(size);
                    return Ok(());
                }
                Err(Cause::new(String::new()))
            };
            let plain = put_decimal(out, bytes, true, &mut check);
            if fits {
                return plain;
            }
            put_decimal(out, bytes, false, |size| {
                notes.number(size);
                Ok(())
            })?;
        }
        Form::BooleanWord => match fixed::<1>(bytes, "boolean")? {
            [0] => out.array(b"False"),
            [_] => out.array(b"True"),
        },
        Form::Unsupported(words) => {
            return Err(Cause::of(RefusalKind::UnsupportedType, words));
        }
        Form::Inet => put_inet(out, bytes)?,
        Form::Duration => put_duration(out, bytes)?,
        Form::Empty => return Err(Cause::new("a value of the type without values has bytes")),
        _ => return Err(Cause::new("a value of this type has no text of its own")),
    }
    Ok(())
}

fn put_limited_varint(
    out: &mut TextBuffer,
    bytes: &[u8],
    limit: NumberLimit,
    notes: &mut Notes,
) -> Written {
    if limit == NumberLimit::Int8 && bytes.len() > 8 {
        // Leading bytes that repeat the sign do not make a number larger.
        let filling = match bytes.first() {
            Some(first) if first & 0x80 != 0 => 0xff,
            _ => 0,
        };
        let (surplus, kept) = bytes.split_at_checked(bytes.len() - 8).unwrap_or((bytes, &[]));
        let same_sign = kept.first().is_some_and(|b| b & 0x80 == filling & 0x80);
        if !same_sign || surplus.iter().any(|&b| b != filling) {
            return Err(Cause::of(RefusalKind::NumberTooLarge, "a number that INT8 does not hold"));
        }
    }
    put_varint(out, bytes, |size| {
        limit.check(size)?;
        notes.number(size);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form, bytes: &[u8]) -> Result<String, String> {
        let mut out = TextBuffer::default();
        put_scalar(&mut out, DateTables::new(), form, bytes, &mut Notes::default())
            .map_err(Cause::into_words)?;
        Ok(String::from_utf8(out.take()).unwrap())
    }

    #[test]
    fn every_scalar_form_writes_its_extremes() {
        for (form, bytes, expected) in [
            (Form::Boolean, &[0][..], "false"),
            (Form::Boolean, &[7], "true"),
            (Form::Tinyint, &[0x80], "-128"),
            (Form::Smallint, &[0x80, 0], "-32768"),
            (Form::Int, &[0x80, 0, 0, 0], "-2147483648"),
            (Form::Int, &[0x7f, 0xff, 0xff, 0xff], "2147483647"),
            (Form::Bigint, &[0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808"),
            (Form::Counter, &[0, 0], "0"),
            (Form::Float { finite_only: true }, &[0x3d, 0xcc, 0xcc, 0xcd], "0.1"),
            (Form::Float { finite_only: false }, &[0x7f, 0xc0, 0, 0], "NaN"),
            (Form::Double { finite_only: false }, &[0xff, 0xf0, 0, 0, 0, 0, 0, 0], "-Infinity"),
            (Form::Double { finite_only: true }, &[0x80, 0, 0, 0, 0, 0, 0, 0], "-0.0"),
            (Form::Blob { prefix: true }, &[], "0x"),
            (Form::Blob { prefix: false }, &[0xab], "ab"),
            (Form::Date { common_only: true }, &[0x80, 0, 0, 0], "1970-01-01"),
            (Form::Date { common_only: false }, &[0, 0, 0, 0], "-5877641-06-23"),
            (
                Form::Timestamp(TimestampForm::Iso),
                &[0x80, 0, 0, 0, 0, 0, 0, 0],
                "-292275055-05-16T16:47:04.192Z",
            ),
            (Form::Timestamp(TimestampForm::Millis), &[0xff; 8], "-1"),
            (Form::Timestamp(TimestampForm::Datetime), &[0xff; 8], "1969-12-31 23:59:59.999"),
            (Form::Inet, &[1, 2, 3, 4], "1.2.3.4"),
        ] {
            assert_eq!(text(form, bytes).unwrap(), expected, "{form:?}");
        }
    }

    #[test]
    fn values_of_a_wrong_length_and_values_that_do_not_fit_are_refused() {
        for (form, bytes) in [
            (Form::Boolean, &[0, 1][..]),
            (Form::Int, &[0, 0, 0]),
            (Form::Bigint, &[0; 9]),
            (Form::Uuid, &[0; 15]),
            (Form::Date { common_only: true }, &[0; 4]),
            (Form::Timestamp(TimestampForm::Datetime), &[0x80, 0, 0, 0, 0, 0, 0, 0]),
            (Form::Float { finite_only: true }, &[0x7f, 0xc0, 0, 0]),
            (Form::Counter, &[0]),
            (Form::Empty, &[1]),
            (Form::Varint(NumberLimit::Int8), &[0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            (Form::Varint(NumberLimit::SomeNumeric), &[0x7f; 17]),
            (Form::Decimal { plain: true, limit: NumberLimit::SomeNumeric }, &[0, 0, 0, 32, 1]),
            (Form::Decimal { plain: true, limit: NumberLimit::SomeNumeric }, &[0x80, 0, 0, 0, 1]),
            (
                Form::Decimal {
                    plain: true,
                    limit: NumberLimit::Numeric { precision: 3, scale: 2 },
                },
                &[0, 0, 0, 1, 100],
            ),
        ] {
            assert!(text(form, bytes).is_err(), "{form:?}");
        }
        let padded = [0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
        let least = text(Form::Varint(NumberLimit::Int8), &padded).unwrap();
        assert_eq!(least, "-9223372036854775808");
    }
}
