//! The order of values (`AbstractType.compare`): what clusterings and cell paths are sorted by.

use std::cmp::Ordering;

use super::CqlType;
use crate::io::ByteReader;

/// Compares two serialized values of one type.
///
/// Total for any bytes: what does not decode is compared as unsigned bytes, so that a merge over damaged data still
/// ends. Reversed clustering columns swap the arguments at the caller.
pub fn compare_values(cql_type: &CqlType, a: &[u8], b: &[u8]) -> Ordering {
    match cql_type {
        CqlType::Ascii
        | CqlType::Text
        | CqlType::Blob
        | CqlType::Inet
        | CqlType::Date
        | CqlType::Time
        | CqlType::LegacyTimestamp
        | CqlType::Duration
        | CqlType::Counter
        | CqlType::Custom(_) => a.cmp(b),
        CqlType::Empty => Ordering::Equal,
        CqlType::Boolean => empty_first(a, b, |a, b| {
            let truth = |v: &[u8]| v.first().is_some_and(|&x| x != 0);
            truth(a).cmp(&truth(b))
        }),
        CqlType::Tinyint => {
            fixed::<1>(a, b, |a, b| i8::from_be_bytes(a).cmp(&i8::from_be_bytes(b)))
        }
        CqlType::Smallint => {
            fixed::<2>(a, b, |a, b| i16::from_be_bytes(a).cmp(&i16::from_be_bytes(b)))
        }
        CqlType::Int => fixed::<4>(a, b, |a, b| i32::from_be_bytes(a).cmp(&i32::from_be_bytes(b))),
        CqlType::Bigint | CqlType::Timestamp => {
            fixed::<8>(a, b, |a, b| i64::from_be_bytes(a).cmp(&i64::from_be_bytes(b)))
        }
        CqlType::Float => fixed::<4>(a, b, |a, b| {
            java_order(f64::from(f32::from_be_bytes(a)), f64::from(f32::from_be_bytes(b)))
        }),
        CqlType::Double => {
            fixed::<8>(a, b, |a, b| java_order(f64::from_be_bytes(a), f64::from_be_bytes(b)))
        }
        CqlType::Varint => empty_first(a, b, compare_varint),
        CqlType::Decimal => empty_first(a, b, compare_decimal),
        CqlType::Uuid => fixed::<16>(a, b, compare_uuid),
        CqlType::Timeuuid => fixed::<16>(a, b, compare_timeuuid),
        CqlType::LexicalUuid => fixed::<16>(a, b, |a, b| {
            let halves = |v: [u8; 16]| {
                let bits = u128::from_be_bytes(v);
                // Java's UUID.compareTo compares both halves as signed longs.
                (high_half(bits).cast_signed(), low_half(bits).cast_signed())
            };
            halves(a).cmp(&halves(b))
        }),
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            empty_first(a, b, |a, b| compare_collections(a, b, &[element]))
        }
        CqlType::Map { key, value, .. } => {
            empty_first(a, b, |a, b| compare_collections(a, b, &[key, value]))
        }
        CqlType::Tuple(elements) => compare_tuples(a, b, elements.iter()),
        CqlType::Udt { udt, .. } => compare_tuples(a, b, udt.fields.iter().map(|(_, t)| t)),
        CqlType::Vector { element, .. } => empty_first(a, b, |a, b| compare_vectors(a, b, element)),
        CqlType::Composite(elements) => compare_composites(a, b, elements),
        CqlType::DynamicComposite(_) => a.cmp(b),
    }
}

fn high_half(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or_default()
}

fn low_half(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default()
}

fn empty_first(a: &[u8], b: &[u8], compare: impl Fn(&[u8], &[u8]) -> Ordering) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare(a, b),
    }
}

fn fixed<const N: usize>(
    a: &[u8],
    b: &[u8],
    compare: impl Fn([u8; N], [u8; N]) -> Ordering,
) -> Ordering {
    match (<[u8; N]>::try_from(a), <[u8; N]>::try_from(b)) {
        (Ok(a), Ok(b)) => compare(a, b),
        _ => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
    }
}

/// `Double.compare`: -0.0 before 0.0, all NaN equal and last.
fn java_order(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.total_cmp(&b),
    }
}

/// Strips bytes that only repeat the sign, so that padded numbers compare as numbers.
fn minimal(mut v: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = v {
        let Some(next) = rest.first() else { break };
        if *first == 0 && next & 0x80 == 0 || *first == 0xff && next & 0x80 != 0 {
            v = rest;
        } else {
            break;
        }
    }
    v
}

fn is_negative(v: &[u8]) -> bool {
    v.first().is_some_and(|b| b & 0x80 != 0)
}

fn compare_varint(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (minimal(a), minimal(b));
    match (is_negative(a), is_negative(b)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        // Of two's complement numbers with the same sign and length the unsigned order is the numeric one.
        (false, false) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        (true, true) => b.len().cmp(&a.len()).then_with(|| a.cmp(b)),
    }
}

fn compare_decimal(a: &[u8], b: &[u8]) -> Ordering {
    match (split_decimal(a), split_decimal(b)) {
        (Some((a_scale, a)), Some((b_scale, b))) => {
            if a_scale == b_scale {
                return compare_varint(a, b);
            }
            compare_scaled(a_scale, a, b_scale, b)
        }
        _ => a.cmp(b),
    }
}

fn split_decimal(v: &[u8]) -> Option<(i32, &[u8])> {
    let (scale, unscaled) = v.split_first_chunk::<4>()?;
    (!unscaled.is_empty()).then_some((i32::from_be_bytes(*scale), unscaled))
}

fn compare_scaled(a_scale: i32, a: &[u8], b_scale: i32, b: &[u8]) -> Ordering {
    use num_bigint::{BigInt, Sign};
    let (a, b) = (BigInt::from_signed_bytes_be(a), BigInt::from_signed_bytes_be(b));
    let rank = |n: &BigInt| match n.sign() {
        Sign::Minus => -1,
        Sign::NoSign => 0,
        Sign::Plus => 1,
    };
    if rank(&a) != rank(&b) || rank(&a) == 0 {
        return rank(&a).cmp(&rank(&b));
    }
    // Compare by the place of the first digit, so that scales far apart do not make numbers of gigabytes.
    let (a_text, b_text) = (a.magnitude().to_string(), b.magnitude().to_string());
    let place = |digits: &str, scale: i32| {
        i128::try_from(digits.len()).unwrap_or(i128::MAX) - i128::from(scale)
    };
    let magnitude = place(&a_text, a_scale).cmp(&place(&b_text, b_scale)).then_with(|| {
        let (a, b) = (a_text.trim_end_matches('0'), b_text.trim_end_matches('0'));
        a.cmp(b)
    });
    if rank(&a) < 0 { magnitude.reverse() } else { magnitude }
}

fn compare_uuid(a: [u8; 16], b: [u8; 16]) -> Ordering {
    let (a, b) = (u128::from_be_bytes(a), u128::from_be_bytes(b));
    let version = |v: u128| (high_half(v) >> 12) & 0xf;
    version(a).cmp(&version(b)).then_with(|| {
        let by_time = version(a) == 1;
        let high = |v| if by_time { uuid_timestamp(high_half(v)) } else { high_half(v) };
        high(a).cmp(&high(b)).then_with(|| low_half(a).cmp(&low_half(b)))
    })
}

/// The timestamp of a version-1 uuid in comparable order: high, mid, low, without the version.
fn uuid_timestamp(high: u64) -> u64 {
    ((high & 0x0fff) << 48) | ((high & 0xffff_0000) << 16) | (high >> 32)
}

fn compare_timeuuid(a: [u8; 16], b: [u8; 16]) -> Ordering {
    let (a, b) = (u128::from_be_bytes(a), u128::from_be_bytes(b));
    // TimeUUIDType.reorderTimestampBytes keeps the version nibble at the top.
    let time = |v: u128| {
        let high = high_half(v);
        (high << 48) | ((high << 16) & 0xffff_0000_0000) | (high >> 32)
    };
    // Low halves compare as signed bytes: flip the sign bit of each.
    let low = |v: u128| low_half(v) ^ 0x8080_8080_8080_8080;
    time(a).cmp(&time(b)).then_with(|| low(a).cmp(&low(b)))
}

fn next_element<'a>(r: &mut ByteReader<'a>) -> Option<Option<&'a [u8]>> {
    let len = r.read_i32("element").ok()?;
    if len < 0 {
        return Some(None);
    }
    r.take(usize::try_from(len).ok()?, "element").ok().map(Some)
}

fn compare_optional(t: &CqlType, a: Option<&[u8]>, b: Option<&[u8]>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => compare_values(t, a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

/// Elements pairwise, then their number (`ListType.compareListOrSet`, `MapType.compareMaps`).
fn compare_collections(a: &[u8], b: &[u8], types: &[&CqlType]) -> Ordering {
    let (mut ra, mut rb) = (ByteReader::new(a), ByteReader::new(b));
    let (Ok(a_count), Ok(b_count)) = (ra.read_i32("count"), rb.read_i32("count")) else {
        return a.cmp(b);
    };
    for _ in 0..a_count.min(b_count).max(0) {
        for t in types {
            let (Some(x), Some(y)) = (next_element(&mut ra), next_element(&mut rb)) else {
                return a.cmp(b);
            };
            let order = compare_optional(t, x, y);
            if order.is_ne() {
                return order;
            }
        }
    }
    a_count.cmp(&b_count)
}

/// Field by field, null first; missing trailing fields equal null (`TupleType.compareCustom`).
fn compare_tuples<'t>(a: &[u8], b: &[u8], types: impl Iterator<Item = &'t CqlType>) -> Ordering {
    let (mut ra, mut rb) = (ByteReader::new(a), ByteReader::new(b));
    for t in types {
        let x = if ra.is_empty() { None } else { next_element(&mut ra).flatten() };
        let y = if rb.is_empty() { None } else { next_element(&mut rb).flatten() };
        let order = compare_optional(t, x, y);
        if order.is_ne() {
            return order;
        }
        if ra.is_empty() && rb.is_empty() {
            break;
        }
    }
    Ordering::Equal
}

/// Fields that a tuple or user-defined type has, null ones at its end too: a value written before a field was added to the type
/// has fewer.
pub fn fields_present(tuple: &[u8]) -> usize {
    let mut fields = ByteReader::new(tuple);
    std::iter::from_fn(|| if fields.is_empty() { None } else { next_element(&mut fields) }).count()
}

fn compare_vectors(a: &[u8], b: &[u8], element: &CqlType) -> Ordering {
    if let Some(len) = element.fixed_len().filter(|&len| len > 0) {
        for (x, y) in a.chunks(len).zip(b.chunks(len)) {
            let order = compare_values(element, x, y);
            if order.is_ne() {
                return order;
            }
        }
        return a.len().cmp(&b.len());
    }
    let (mut ra, mut rb) = (ByteReader::new(a), ByteReader::new(b));
    while !ra.is_empty() && !rb.is_empty() {
        let (Ok(x), Ok(y)) = (ra.read_bytesv("element"), rb.read_bytesv("element")) else {
            return a.cmp(b);
        };
        let order = compare_values(element, x, y);
        if order.is_ne() {
            return order;
        }
    }
    ra.remaining().cmp(&rb.remaining())
}

fn compare_composites(a: &[u8], b: &[u8], elements: &[CqlType]) -> Ordering {
    let (mut ra, mut rb) = (ByteReader::new(a), ByteReader::new(b));
    for t in elements {
        if ra.is_empty() || rb.is_empty() {
            break;
        }
        let (Ok(x), Ok(y)) = (ra.read_bytes16("component"), rb.read_bytes16("component")) else {
            return a.cmp(b);
        };
        let order = compare_values(t, x, y).then_with(|| {
            let eoc = |r: &mut ByteReader<'_>| {
                r.read_u8("end of component").unwrap_or_default().cast_signed()
            };
            eoc(&mut ra).cmp(&eoc(&mut rb))
        });
        if order.is_ne() {
            return order;
        }
    }
    ra.remaining().cmp(&rb.remaining())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ascending(cql_type: &CqlType, values: &[&[u8]]) {
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(
                    compare_values(cql_type, a, b),
                    i.cmp(&j),
                    "{cql_type}: {a:x?} and {b:x?}"
                );
            }
        }
    }

    #[test]
    fn numbers_are_in_numeric_order_with_the_empty_value_first() {
        ascending(
            &CqlType::Int,
            &[b"", &[0x80, 0, 0, 0], &[0xff; 4], &[0; 4], &[0x7f, 0xff, 0xff, 0xff]],
        );
        ascending(
            &CqlType::Varint,
            &[b"", &[0xfe, 0xff], &[0x80], &[0xff], &[0], &[0x7f], &[0, 0x80], &[1, 0]],
        );
        assert_eq!(compare_values(&CqlType::Varint, &[0, 1], &[1]), Ordering::Equal);
        let decimal = |scale: i32, unscaled: &[u8]| [&scale.to_be_bytes()[..], unscaled].concat();
        let values = [
            decimal(-5, &[0xff]),
            decimal(0, &[0xf6]),
            decimal(1, &[0xff]),
            decimal(3, &[0]),
            decimal(200, &[1]),
            decimal(1, &[5]),
            decimal(0, &[1]),
            decimal(1, &[11]),
            decimal(-1_000_000_000, &[1]),
        ];
        ascending(&CqlType::Decimal, &values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(
            compare_values(&CqlType::Decimal, &decimal(0, &[1]), &decimal(2, &[100])),
            Ordering::Equal
        );
        let double = |v: f64| v.to_be_bytes();
        ascending(
            &CqlType::Double,
            &[
                b"",
                &double(f64::NEG_INFINITY),
                &double(-0.0),
                &double(0.0),
                &double(f64::INFINITY),
                &double(f64::NAN),
            ],
        );
    }

    #[test]
    fn timeuuids_go_by_time_and_then_by_signed_bytes() {
        let uuid = |text: &str| *uuid::Uuid::parse_str(text).unwrap().as_bytes();
        let values = [
            uuid("ffffffff-0000-1000-8000-000000000000"),
            uuid("00000000-0001-1000-8000-000000000000"),
            uuid("00000000-0001-1000-8000-0000000000ff"),
            uuid("00000000-0000-1001-8000-000000000000"),
        ];
        let mut order = [0, 1, 2, 3];
        order.sort_by(|&a, &b| compare_values(&CqlType::Timeuuid, &values[a], &values[b]));
        assert_eq!(order, [0, 2, 1, 3]);
        order.sort_by(|&a, &b| compare_values(&CqlType::Uuid, &values[a], &values[b]));
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn collections_and_tuples_compare_element_by_element() {
        let list = |elements: &[i32]| {
            let mut out = i32::try_from(elements.len()).unwrap().to_be_bytes().to_vec();
            elements.iter().for_each(|e| {
                out.extend(4_i32.to_be_bytes());
                out.extend(e.to_be_bytes());
            });
            out
        };
        let t = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
        let values = [list(&[]), list(&[-1, 5]), list(&[1]), list(&[1, 0]), list(&[2])];
        ascending(&t, &values.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let tuple = CqlType::Tuple(vec![CqlType::Int, CqlType::Text]);
        let null = [0xff; 4];
        let one = [0, 0, 0, 4, 0, 0, 0, 1];
        let one_a = [&one[..], &[0, 0, 0, 1, b'a']].concat();
        ascending(&tuple, &[&null, &one, &one_a]);
        assert_eq!(compare_values(&tuple, &one, &[&one[..], &null].concat()), Ordering::Equal);
    }
}
