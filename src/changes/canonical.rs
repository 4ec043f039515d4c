//! Whether the text of a value reads back to the very same bytes.

use crate::cql::CqlType;
use crate::io::{ByteReader, put_uvint};

use super::value::put_duration;

/// The longest number that is written as digits.
const MAX_VARINT_LEN: usize = 256 * 1024;
const FLOAT_NAN: u32 = 0x7fc0_0000;
const DOUBLE_NAN: u64 = 0x7ff8_0000_0000_0000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// True if `bytes` are a value of `cql_type` in the one form that Cassandra itself writes.
pub(super) fn is_canonical(cql_type: &CqlType, bytes: &[u8]) -> bool {
    match cql_type {
        CqlType::Text => std::str::from_utf8(bytes).is_ok(),
        CqlType::Ascii => bytes.is_ascii(),
        CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => true,
        CqlType::Tuple(elements) => fields(elements.iter(), bytes),
        CqlType::Udt { udt, .. } => fields(udt.fields.iter().map(|(_, field)| field), bytes),
        _ if bytes.is_empty() => true,
        CqlType::Boolean => matches!(bytes, [0 | 1]),
        CqlType::Tinyint => bytes.len() == 1,
        CqlType::Smallint => bytes.len() == 2,
        CqlType::Int | CqlType::Date => bytes.len() == 4,
        CqlType::Bigint | CqlType::Timestamp | CqlType::LegacyTimestamp => bytes.len() == 8,
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => bytes.len() == 16,
        CqlType::Float => <[u8; 4]>::try_from(bytes)
            .is_ok_and(|b| !f32::from_be_bytes(b).is_nan() || u32::from_be_bytes(b) == FLOAT_NAN),
        CqlType::Double => <[u8; 8]>::try_from(bytes)
            .is_ok_and(|b| !f64::from_be_bytes(b).is_nan() || u64::from_be_bytes(b) == DOUBLE_NAN),
        CqlType::Time => <[u8; 8]>::try_from(bytes)
            .is_ok_and(|b| (0..NANOS_PER_DAY).contains(&i64::from_be_bytes(b))),
        // An IPv4 address in IPv6 form is written as the IPv4 address, as Java does.
        CqlType::Inet => match bytes {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ..] => false,
            other => matches!(other.len(), 4 | 16),
        },
        CqlType::Varint => is_least(bytes),
        CqlType::Decimal => bytes.split_first_chunk::<4>().is_some_and(|(_, rest)| is_least(rest)),
        CqlType::Duration => is_duration(bytes).unwrap_or(false),
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            collection(bytes, |r| optional(element, r)).unwrap_or(false)
        }
        CqlType::Map { key, value, .. } => collection(bytes, |r| {
            Some(r.rest().first()? & 0x80 == 0 && optional(key, r)? && optional(value, r)?)
        })
        .unwrap_or(false),
        CqlType::Vector { element, dimension } => {
            vector(element, *dimension, bytes).unwrap_or(false)
        }
        CqlType::Counter | CqlType::Empty => false,
    }
}

/// True for types of which every value that has a text is canonical: one that was written need not be looked at again.
#[inline]
pub(super) fn is_canonical_if_written(cql_type: &CqlType) -> bool {
    matches!(
        cql_type,
        CqlType::Text
            | CqlType::Ascii
            | CqlType::Blob
            | CqlType::Smallint
            | CqlType::Int
            | CqlType::Bigint
            | CqlType::Timestamp
            | CqlType::Date
            | CqlType::Uuid
            | CqlType::Timeuuid
    )
}

/// A number in two's complement without bytes that only repeat the sign.
fn is_least(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [0, second, ..] => *second >= 0x80 && bytes.len() <= MAX_VARINT_LEN,
        [0xff, second, ..] => *second < 0x80 && bytes.len() <= MAX_VARINT_LEN,
        _ => bytes.len() <= MAX_VARINT_LEN,
    }
}

fn is_duration(bytes: &[u8]) -> Option<bool> {
    let mut r = ByteReader::new(bytes);
    let parts = [r.read_svint("").ok()?, r.read_svint("").ok()?, r.read_svint("").ok()?];
    let one_sign = parts.iter().all(|part| *part >= 0) || parts.iter().all(|part| *part <= 0);
    let [months, days, nanos] = parts;
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    let mut again = Vec::with_capacity(bytes.len());
    put_duration(&mut again, months, days, nanos);
    Some(one_sign && again == bytes)
}

/// A value with an i32 length before it, -1 for null.
fn optional(cql_type: &CqlType, r: &mut ByteReader<'_>) -> Option<bool> {
    let len = r.read_i32("").ok()?;
    let Ok(len) = usize::try_from(len) else { return Some(len == -1) };
    Some(is_canonical(cql_type, r.take(len, "").ok()?))
}

fn fields<'t>(mut types: impl Iterator<Item = &'t CqlType>, bytes: &[u8]) -> bool {
    let mut r = ByteReader::new(bytes);
    types.all(|field| optional(field, &mut r).unwrap_or(false)) && r.is_empty()
}

fn collection(
    bytes: &[u8],
    mut element: impl FnMut(&mut ByteReader<'_>) -> Option<bool>,
) -> Option<bool> {
    let mut r = ByteReader::new(bytes);
    let count = r.read_i32("").ok()?;
    for _ in 0..u32::try_from(count).ok()? {
        if !element(&mut r)? {
            return Some(false);
        }
    }
    Some(r.is_empty())
}

fn vector(element: &CqlType, dimension: u32, bytes: &[u8]) -> Option<bool> {
    let mut r = ByteReader::new(bytes);
    for _ in 0..dimension {
        let len = match element.fixed_len() {
            Some(len) => len,
            None => {
                let start = r.position();
                let len = r.read_vint_len("").ok()?;
                let mut again = Vec::new();
                put_uvint(&mut again, len as u64);
                if again.len() != r.position() - start {
                    return Some(false);
                }
                len
            }
        };
        if !is_canonical(element, r.take(len, "").ok()?) {
            return Some(false);
        }
    }
    Some(r.is_empty())
}
