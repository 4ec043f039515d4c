//! Keys of rows in the state: rows that Cassandra takes for one have the same key, however their values are written.
//!
//! Of most types equal values have equal bytes. Not of booleans, floats (many NaN), numbers with leading bytes that repeat
//! the sign, decimals (1.0 and 1.00), and what has such inside. The order of keys says nothing.

use num_bigint::{BigInt, Sign};

use crate::cql::CqlType;
use crate::io::ByteReader;
use crate::rows::RowView;
use crate::schema::TableMetadata;

/// Appends the key of the row `view` of `table`.
pub(super) fn put_row_key(table: &TableMetadata, view: RowView<'_>, out: &mut Vec<u8>) {
    for (column, value) in table.clustering.iter().zip(&view.row.clustering) {
        match value.bytes(view.data) {
            None => out.push(0),
            Some(bytes) => {
                out.push(1);
                let start = out.len();
                out.extend_from_slice(&[0; 4]);
                put_normal(&column.cql_type, bytes, out);
                put_len(out, start);
            }
        }
    }
}

/// Fills the four bytes at `start` with the length of what stands behind them.
fn put_len(out: &mut [u8], start: usize) {
    let len = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// Appends a form of the value that equal values share.
fn put_normal(cql_type: &CqlType, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let written = match cql_type {
        _ if bytes.is_empty() && !matches!(cql_type, CqlType::Tuple(_) | CqlType::Udt { .. }) => {
            Some(())
        }
        CqlType::Boolean => {
            out.push(u8::from(bytes.first().is_some_and(|b| *b != 0)));
            Some(())
        }
        CqlType::Float => <[u8; 4]>::try_from(bytes).ok().map(|b| {
            let value = f32::from_be_bytes(b);
            let value = if value.is_nan() { f32::NAN } else { value };
            out.extend_from_slice(&value.to_be_bytes());
        }),
        CqlType::Double => <[u8; 8]>::try_from(bytes).ok().map(|b| {
            let value = f64::from_be_bytes(b);
            let value = if value.is_nan() { f64::NAN } else { value };
            out.extend_from_slice(&value.to_be_bytes());
        }),
        CqlType::Varint => {
            out.extend_from_slice(least(bytes));
            Some(())
        }
        CqlType::Decimal => put_decimal(bytes, out),
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            put_collection(&[element], bytes, out)
        }
        CqlType::Map { key, value, .. } => put_collection(&[key, value], bytes, out),
        CqlType::Tuple(elements) => put_fields(elements.iter(), bytes, out),
        CqlType::Udt { udt, .. } => put_fields(udt.fields.iter().map(|(_, t)| t), bytes, out),
        CqlType::Vector { element, .. } => put_vector(element, bytes, out),
        CqlType::Ascii
        | CqlType::Bigint
        | CqlType::Blob
        | CqlType::Counter
        | CqlType::Date
        | CqlType::Duration
        | CqlType::Empty
        | CqlType::Inet
        | CqlType::Int
        | CqlType::Smallint
        | CqlType::Text
        | CqlType::Time
        | CqlType::Timestamp
        | CqlType::LegacyTimestamp
        | CqlType::Timeuuid
        | CqlType::Tinyint
        | CqlType::Uuid
        | CqlType::LexicalUuid
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => None,
    };
    if written.is_none() {
        // What does not decode is compared by its bytes.
        out.truncate(start);
        out.extend_from_slice(bytes);
    }
}

/// Without leading bytes that only repeat the sign.
fn least(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        let Some(next) = rest.first() else { break };
        if *first == 0 && next & 0x80 == 0 || *first == 0xff && next & 0x80 != 0 {
            bytes = rest;
        } else {
            break;
        }
    }
    bytes
}

/// The digits without zeros at the end, and where the point stands.
fn put_decimal(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (scale, unscaled) = bytes.split_first_chunk::<4>()?;
    if unscaled.is_empty() {
        return None;
    }
    let value = BigInt::from_signed_bytes_be(unscaled);
    if value.sign() == Sign::NoSign {
        out.push(b'0');
        return Some(());
    }
    let digits = value.to_string();
    let kept = digits.trim_end_matches('0');
    let zeros = i64::try_from(digits.len() - kept.len()).ok()?;
    out.extend_from_slice(kept.as_bytes());
    let scale = i64::from(i32::from_be_bytes(*scale)) - zeros;
    out.extend_from_slice(format!("e{scale}").as_bytes());
    Some(())
}

fn put_optional(cql_type: &CqlType, bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(bytes) = bytes else {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return;
    };
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    put_normal(cql_type, bytes, out);
    put_len(out, start);
}

fn read_optional<'a>(r: &mut ByteReader<'a>) -> Option<Option<&'a [u8]>> {
    let len = r.read_i32("").ok()?;
    let Ok(len) = usize::try_from(len) else { return Some(None) };
    r.take(len, "").ok().map(Some)
}

fn put_collection(types: &[&CqlType], bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut r = ByteReader::new(bytes);
    let count = r.read_i32("").ok()?;
    out.extend_from_slice(&count.to_be_bytes());
    for _ in 0..count.max(0) {
        for cql_type in types {
            let value = read_optional(&mut r)?;
            put_optional(cql_type, value, out);
        }
    }
    Some(())
}

/// Fields that are missing at the end equal null ones.
fn put_fields<'t>(
    types: impl Iterator<Item = &'t CqlType>,
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut r = ByteReader::new(bytes);
    for cql_type in types {
        let value = if r.is_empty() { None } else { read_optional(&mut r).flatten() };
        put_optional(cql_type, value, out);
    }
    Some(())
}

fn put_vector(element: &CqlType, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if let Some(len) = element.fixed_len().filter(|len| *len > 0) {
        bytes.chunks(len).for_each(|one| put_optional(element, Some(one), out));
        return Some(());
    }
    let mut r = ByteReader::new(bytes);
    while !r.is_empty() {
        let one = r.read_bytesv("").ok()?;
        put_optional(element, Some(one), out);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::changes::samples::{Tape, cql_type, value};
    use crate::cql::compare_values;

    fn normal(of: &CqlType, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_normal(of, bytes, &mut out);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]

        #[test]
        fn values_share_a_key_exactly_if_they_are_equal(
            choices in proptest::collection::vec(any::<u16>(), 0..80),
            first in proptest::collection::vec(any::<u16>(), 0..40),
            second in proptest::collection::vec(any::<u16>(), 0..40),
        ) {
            let of = cql_type(&mut Tape { choices: &choices, at: 0 }, 2, true);
            let a = value(&mut Tape { choices: &first, at: 0 }, &of);
            let b = value(&mut Tape { choices: &second, at: 0 }, &of);
            let equal = compare_values(&of, &a, &b).is_eq();
            prop_assert_eq!(normal(&of, &a) == normal(&of, &b), equal, "{} {:?} {:?}", of, a, b);
        }
    }

    #[test]
    fn values_that_can_be_written_in_several_ways_have_one_key() {
        let decimals = CqlType::List { element: Box::new(CqlType::Decimal), frozen: true };
        let pair = CqlType::Tuple(vec![CqlType::Int, CqlType::Varint]);
        let cases: [(&CqlType, &[u8], &[u8], bool); 12] = [
            (&CqlType::Decimal, &[0, 0, 0, 1, 10], &[0, 0, 0, 2, 100], true),
            (&CqlType::Decimal, &[0, 0, 0, 1, 10], &[0, 0, 0, 0, 0, 1], true),
            (&CqlType::Decimal, &[0, 0, 0, 1, 0], &[0, 0, 0, 9, 0], true),
            (&CqlType::Decimal, &[0, 0, 0, 1, 10], &[0, 0, 0, 1, 11], false),
            (&CqlType::Decimal, &[0, 0, 0, 1, 246], &[0, 0, 0, 0, 255], true),
            (&CqlType::Varint, &[0, 5], &[5], true),
            (&CqlType::Varint, &[0, 0x85], &[0x85], false),
            (&CqlType::Boolean, &[1], &[7], true),
            (&CqlType::Float, &[0x7f, 0xc0, 0, 0], &[0xff, 0xc0, 0, 1], true),
            (&CqlType::Float, &[0x80, 0, 0, 0], &[0, 0, 0, 0], false),
            (
                &decimals,
                &[0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 1, 10],
                &[0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 0, 1],
                true,
            ),
            (
                &pair,
                &[0, 0, 0, 4, 0, 0, 0, 1],
                &[0, 0, 0, 4, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
                true,
            ),
        ];
        for (of, a, b, same) in cases {
            assert_eq!(compare_values(of, a, b).is_eq(), same, "{of} {a:?} {b:?}");
            assert_eq!(normal(of, a) == normal(of, b), same, "{of} {a:?} {b:?}");
        }
    }
}
