//! Values as bytes whose unsigned order is the order of their type (`ByteComparable`, version OSS50): the paths of the tries
//! in BTI SSTables are made of them.
//!
//! | type | bytes |
//! | --- | --- |
//! | ascii, text, blob, inet | as they are; k zeros become `00`, `fe` k-1 times, `ff`; at the end `fe` for `ff`; a `00` behind what does not end in zeros |
//! | tinyint, smallint, int, timestamp | the sign bit inverted |
//! | bigint | of variable length: inverted sign, as many bits equal to it as bytes follow, one that differs, the value |
//! | varint | up to 6 bytes as bigint; longer ones `ff` or `00`, their length less 7, their bytes |
//! | float, double | the sign bit inverted, of negative ones all bits |
//! | decimal | sign and length of the exponent to base 100, the exponent, digits to base 100 and `80`, `00`; `80` for zero |
//! | uuid, timeuuid | the version or the parts of the time moved to the front |
//! | date, time, old timestamp, boolean | as they are |
//! | collections, tuples, user types, vectors | `40` and the value, or `3e`, for each; `38` |
//!
//! A value without bytes of a type that gives that no meaning has no encoding: what stands before it says so.

use num_bigint::{BigInt, Sign};

use super::CqlType;
use crate::io::ByteReader;

/// Before a component that has bytes (`ByteSource.NEXT_COMPONENT`).
pub const NEXT_COMPONENT: u8 = 0x40;
/// A component that has none, where another may follow (`NEXT_COMPONENT_NULL`).
const NULL_COMPONENT: u8 = 0x3e;
/// Behind the last component (`TERMINATOR`).
pub const TERMINATOR: u8 = 0x38;

/// Types in types: what is nested deeper has no encoding here, so that no schema exhausts the stack.
const MAX_DEPTH: u32 = 64;
/// Bytes from which on a varint has its length before it (`IntegerType.FULL_FORM_THRESHOLD`).
const FULL_VARINT: usize = 7;
/// Digits of a decimal that are written: far more than a clustering value can have.
const MAX_DECIMAL_LEN: usize = 65_535;

/// Why a value has no such bytes: its type has no order of this kind, or it is no value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotByteComparable;

/// Appends the encoding of `value` to `out`; false if it is one that has no bytes, and then nothing is appended.
pub fn write_byte_comparable(
    cql_type: &CqlType,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, NotByteComparable> {
    write_nested(cql_type, value, out, 0)
}

/// Appends bytes that are ordered as they are, escaped so that none is the beginning of another.
pub fn write_escaped(value: &[u8], out: &mut Vec<u8>) {
    let mut zeros = false;
    for &byte in value {
        match (byte, zeros) {
            (0, false) => out.push(0),
            (0, true) => out.push(0xfe),
            (_, true) => out.extend_from_slice(&[0xff, byte]),
            (_, false) => out.push(byte),
        }
        zeros = byte == 0;
    }
    out.push(if zeros { 0xfe } else { 0 });
}

fn write_nested(
    cql_type: &CqlType,
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<bool, NotByteComparable> {
    if depth > MAX_DEPTH {
        return Err(NotByteComparable);
    }
    match cql_type {
        CqlType::Ascii | CqlType::Text | CqlType::Blob | CqlType::Inet => {
            write_escaped(value, out);
            return Ok(true);
        }
        CqlType::Counter
        | CqlType::Duration
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => return Err(NotByteComparable),
        CqlType::Empty => return Ok(false),
        _ if value.is_empty() => return Ok(false),
        CqlType::Boolean => out.push(u8::from(*fixed::<1>(value)? != [0])),
        CqlType::Tinyint => write_signed(fixed::<1>(value)?, out),
        CqlType::Smallint => write_signed(fixed::<2>(value)?, out),
        CqlType::Int => write_signed(fixed::<4>(value)?, out),
        CqlType::Timestamp => write_signed(fixed::<8>(value)?, out),
        CqlType::Date => out.extend_from_slice(fixed::<4>(value)?),
        CqlType::Time | CqlType::LegacyTimestamp => out.extend_from_slice(fixed::<8>(value)?),
        CqlType::Bigint => write_integer(i64::from_be_bytes(*fixed(value)?), out),
        CqlType::Float => write_float(fixed::<4>(value)?, out),
        CqlType::Double => write_float(fixed::<8>(value)?, out),
        CqlType::Varint => write_varint(value, out),
        CqlType::Decimal => write_decimal(value, out)?,
        CqlType::Uuid => write_uuid(u128::from_be_bytes(*fixed(value)?), out),
        CqlType::Timeuuid => {
            let bits = u128::from_be_bytes(*fixed(value)?);
            out.extend_from_slice(&by_time(high_half(bits)).to_be_bytes());
            out.extend_from_slice(&(low_half(bits) ^ 0x8080_8080_8080_8080).to_be_bytes());
        }
        CqlType::LexicalUuid => {
            let bits = u128::from_be_bytes(*fixed(value)?);
            let signs = (1 << 127) | (1 << 63);
            out.extend_from_slice(&(bits ^ signs).to_be_bytes());
        }
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            write_collection(&[element], value, out, depth)?;
        }
        CqlType::Map { key, value: of, .. } => write_collection(&[key, of], value, out, depth)?,
        CqlType::Tuple(elements) => write_tuple(elements.iter(), value, out, depth)?,
        CqlType::Udt { udt, .. } => {
            write_tuple(udt.fields.iter().map(|(_, t)| t), value, out, depth)?;
        }
        CqlType::Vector { element, dimension } => {
            write_vector(element, *dimension, value, out, depth)?;
        }
    }
    Ok(true)
}

fn fixed<const N: usize>(value: &[u8]) -> Result<&[u8; N], NotByteComparable> {
    value.try_into().map_err(|_| NotByteComparable)
}

fn write_signed(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(value);
    if let Some(first) = out.get_mut(start) {
        *first ^= 0x80;
    }
}

fn write_float(value: &[u8], out: &mut Vec<u8>) {
    if value.first().is_some_and(|first| first & 0x80 != 0) {
        out.extend(value.iter().map(|byte| !byte));
    } else {
        write_signed(value, out);
    }
}

/// `ByteSource.VariableLengthInteger`.
fn write_integer(value: i64, out: &mut Vec<u8>) {
    // Of n bytes n + 1 bits say the sign and the length.
    let fits = |len: u32| {
        let bits = 7 * len - 1;
        (value >> bits) == 0 || (value >> bits) == -1
    };
    let Some(len) = (1..=8_u32).find(|&len| fits(len)) else {
        // The sign and eight bits equal to it, and no bit that differs.
        let (first, rest) = match value < 0 {
            true => (0, value.cast_unsigned() & !(1 << 63)),
            false => (0xff, value.cast_unsigned() | (1 << 63)),
        };
        out.push(first);
        out.extend_from_slice(&rest.to_be_bytes());
        return;
    };
    let bits = 7 * len - 1;
    let payload = value.cast_unsigned() & ((1 << bits) - 1);
    let prefix = if value < 0 { 1 } else { ((1_u64 << len) - 1) << 1 };
    let bytes = (payload | prefix << bits).to_be_bytes();
    out.extend_from_slice(bytes.get(8 - len as usize..).unwrap_or_default());
}

/// `ByteSource.VariableLengthUnsignedInteger`, of numbers below 2^56.
fn write_length(value: u64, flip: u8, out: &mut Vec<u8>) {
    let len = (1..8_u32).find(|&len| value >> (7 * len) == 0).unwrap_or(8);
    // One leading 1 bit for each byte that follows the first.
    let ones = ((1_u64 << (len - 1)) - 1) << (7 * len + 1);
    let bytes = (value | ones).to_be_bytes();
    out.extend(bytes.get(8 - len as usize..).unwrap_or_default().iter().map(|byte| byte ^ flip));
}

/// `IntegerType.asComparableBytes`.
fn write_varint(value: &[u8], out: &mut Vec<u8>) {
    let sign = if value.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let signs = value.iter().take(value.len().saturating_sub(1)).take_while(|b| **b == sign);
    let bytes = value.get(signs.count()..).unwrap_or_default();
    if bytes.len() < FULL_VARINT {
        let start = if sign == 0xff { -1 } else { 0 };
        write_integer(bytes.iter().fold(start, |sum, byte| sum << 8 | i64::from(*byte)), out);
        return;
    }
    out.push(!sign);
    write_length((bytes.len() - FULL_VARINT) as u64, sign, out);
    out.extend_from_slice(bytes);
}

/// `DecimalType.asComparableBytes`.
fn write_decimal(value: &[u8], out: &mut Vec<u8>) -> Result<(), NotByteComparable> {
    let Some((scale, unscaled)) = value.split_first_chunk::<4>().filter(|(_, v)| !v.is_empty())
    else {
        return Err(NotByteComparable);
    };
    if unscaled.len() > MAX_DECIMAL_LEN {
        return Err(NotByteComparable);
    }
    let number = BigInt::from_signed_bytes_be(unscaled);
    if number.sign() == Sign::NoSign {
        out.push(0x80);
        return Ok(());
    }
    let negative = number.sign() == Sign::Minus;
    let digits = number.magnitude().to_string();
    let precision = i64::try_from(digits.len()).map_err(|_| NotByteComparable)?;
    // Rounded down to an even number: digits go two by two.
    let place = (i64::from(i32::from_be_bytes(*scale)) - precision) & !1;
    let exponent = -place >> 1;
    let modulated = if negative { -exponent } else { exponent };
    let bytes = modulated.to_be_bytes();
    let len = (64 - modulated.unsigned_abs().leading_zeros()).div_ceil(8);
    let header = i64::from(len) * modulated.signum() + if negative { 0x40 } else { 0xc0 };
    out.push(u8::try_from(header).map_err(|_| NotByteComparable)?);
    out.extend_from_slice(bytes.get(8 - len as usize..).unwrap_or_default());
    let odd = (i64::from(i32::from_be_bytes(*scale)) - precision) & 1 == 1;
    let text = digits.trim_end_matches('0');
    let places = odd.then_some(b'0').into_iter().chain(text.bytes()).map(|digit| digit - b'0');
    let pairs: Vec<u8> = places.collect::<Vec<_>>().chunks(2).map(pair).collect();
    let last = pairs.len().saturating_sub(1);
    for (i, pair) in pairs.into_iter().enumerate() {
        // A negative number is rounded down to its first pair, and what is left over is added.
        let digit = match (negative, i) {
            (false, _) => 0x80 + pair,
            (true, 0) => 0x80 - pair - u8::from(last > 0),
            (true, _) => 0x80 + 99 - pair + u8::from(i == last),
        };
        out.push(digit);
    }
    out.push(0);
    Ok(())
}

fn pair(digits: &[u8]) -> u8 {
    let digit = |i: usize| digits.get(i).copied().unwrap_or_default();
    10 * digit(0) + digit(1)
}

/// `UUIDType.asComparableBytes`.
fn write_uuid(bits: u128, out: &mut Vec<u8>) {
    let high = high_half(bits);
    let version = (high >> 12) & 0xf;
    let first = match version {
        1 => by_time(high),
        _ => version << 60 | ((high >> 4) & 0x0fff_ffff_ffff_f000) | (high & 0xfff),
    };
    out.extend_from_slice(&first.to_be_bytes());
    out.extend_from_slice(&low_half(bits).to_be_bytes());
}

/// `TimeUUIDType.reorderTimestampBytes`.
fn by_time(high: u64) -> u64 {
    (high << 48) | ((high << 16) & 0xffff_0000_0000) | (high >> 32)
}

fn high_half(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or_default()
}

fn low_half(bits: u128) -> u64 {
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default()
}

fn write_component(
    cql_type: &CqlType,
    value: Option<&[u8]>,
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotByteComparable> {
    let start = out.len();
    out.push(NEXT_COMPONENT);
    let written = match value {
        Some(value) => write_nested(cql_type, value, out, depth + 1)?,
        None => false,
    };
    if let Some(first) = out.get_mut(start).filter(|_| !written) {
        *first = NULL_COMPONENT;
    }
    Ok(())
}

/// `i32` number of elements, each with an `i32` length before it.
fn write_collection(
    types: &[&CqlType],
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotByteComparable> {
    let mut r = ByteReader::new(value);
    let count = r.read_u32("count").map_err(|_| NotByteComparable)?;
    for _ in 0..count {
        for element in types {
            let bytes = r.read_bytes32("element").map_err(|_| NotByteComparable)?;
            write_component(element, Some(bytes), out, depth)?;
        }
    }
    out.push(TERMINATOR);
    Ok(())
}

/// Fields with an `i32` length before each, negative for null; the last ones may be missing.
fn write_tuple<'t>(
    types: impl Iterator<Item = &'t CqlType>,
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotByteComparable> {
    let mut r = ByteReader::new(value);
    // Where the last field that is there ends: null ones behind it are not written.
    let mut end = out.len();
    for field in types {
        if r.is_empty() {
            break;
        }
        let len = r.read_i32("length of a field").map_err(|_| NotByteComparable)?;
        let bytes = match usize::try_from(len) {
            Ok(len) => Some(r.take(len, "field").map_err(|_| NotByteComparable)?),
            Err(_) => None,
        };
        write_component(field, bytes, out, depth)?;
        if bytes.is_some() {
            end = out.len();
        }
    }
    out.truncate(end);
    out.push(TERMINATOR);
    Ok(())
}

/// Elements of fixed length one behind the other, others with a vint length before each.
fn write_vector(
    element: &CqlType,
    dimension: u32,
    value: &[u8],
    out: &mut Vec<u8>,
    depth: u32,
) -> Result<(), NotByteComparable> {
    let mut r = ByteReader::new(value);
    for _ in 0..dimension {
        let bytes = match element.fixed_len() {
            Some(len) => r.take(len, "element"),
            None => r.read_bytesv("element"),
        };
        write_component(element, Some(bytes.map_err(|_| NotByteComparable)?), out, depth)?;
    }
    r.finish("vector").map_err(|_| NotByteComparable)?;
    out.push(TERMINATOR);
    Ok(())
}

#[cfg(test)]
#[path = "byte_comparable_tests.rs"]
mod tests;
