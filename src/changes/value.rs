//! Values from their JSON text to the bytes that Cassandra serializes them to: the inverse of [`crate::output::ValueWriter`].

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::line::{Entries, Texts};
use crate::cql::{CqlType, encode_literal};
use crate::io::{put_svint, put_uvint};

/// Why a value cannot be read.
pub(super) type Decoded = Result<(), String>;

/// Appends a duration.
pub(super) fn put_duration(out: &mut Vec<u8>, months: i32, days: i32, nanos: i64) {
    put_svint(out, i64::from(months));
    put_svint(out, i64::from(days));
    put_svint(out, nanos);
}

fn wrong(cql_type: &CqlType, text: &str) -> String {
    let shown: String = text.chars().take(60).collect();
    format!("{shown} is no {cql_type}")
}

fn json<'a, T: serde::Deserialize<'a>>(cql_type: &CqlType, text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|_| wrong(cql_type, text))
}

/// Appends the bytes of the value whose JSON is `text`.
pub(super) fn decode(cql_type: &CqlType, text: &str, out: &mut Vec<u8>) -> Decoded {
    let is_empty = text == "\"\"";
    match cql_type {
        CqlType::List { .. } | CqlType::Set { .. } | CqlType::Map { .. } if is_empty => Ok(()),
        CqlType::Vector { .. } if is_empty => Ok(()),
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            let elements: Vec<&RawValue> = json(cql_type, text)?;
            put_count(out, elements.len())?;
            elements.into_iter().try_for_each(|one| optional(element, one, out))
        }
        CqlType::Map { key, value, .. } => {
            let entries: Entries<'_> = json(cql_type, text)?;
            put_count(out, entries.0.len())?;
            entries.0.into_iter().try_for_each(|(text, one)| {
                with_len(out, |out| decode_key(key, &text, out))?;
                optional(value, one, out)
            })
        }
        CqlType::Tuple(types) => {
            let elements: Vec<&RawValue> = json(cql_type, text)?;
            if elements.len() != types.len() {
                return Err(wrong(cql_type, text));
            }
            types.iter().zip(elements).try_for_each(|(element, one)| optional(element, one, out))
        }
        CqlType::Udt { udt, .. } => {
            let entries: Entries<'_> = json(cql_type, text)?;
            if let Some((name, _)) =
                entries.0.iter().find(|(name, _)| !udt.fields.iter().any(|(n, _)| n == name))
            {
                return Err(format!("{cql_type} has no field {name}"));
            }
            for (name, field) in &udt.fields {
                match entries.0.iter().find(|(n, _)| n == name) {
                    Some((_, one)) => optional(field, one, out)?,
                    None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                }
            }
            Ok(())
        }
        CqlType::Vector { element, dimension } => {
            let elements: Vec<&RawValue> = json(cql_type, text)?;
            if u32::try_from(elements.len()) != Ok(*dimension) {
                return Err(wrong(cql_type, text));
            }
            vector(element, elements, out)
        }
        _ => {
            let text = if text.starts_with('"') {
                json::<Texts<'_>>(cql_type, text)?.0
            } else {
                Cow::Borrowed(text)
            };
            scalar(cql_type, &text, out)
        }
    }
}

/// Appends the bytes of a map key, which JSON has as a string.
fn decode_key(cql_type: &CqlType, text: &str, out: &mut Vec<u8>) -> Decoded {
    match cql_type {
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Vector { .. }
            if text.is_empty() =>
        {
            Ok(())
        }
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Vector { .. }
        | CqlType::Tuple(_)
        | CqlType::Udt { .. } => decode(cql_type, text, out),
        _ => scalar(cql_type, text, out),
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) -> Decoded {
    let count = i32::try_from(count).map_err(|_| "a collection of 2^31 elements".to_owned())?;
    out.extend_from_slice(&count.to_be_bytes());
    Ok(())
}

/// Appends what `write` appends, with its length before it.
fn with_len(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Decoded) -> Decoded {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let len = i32::try_from(out.len() - start - 4).map_err(|_| "a value of 2 GiB".to_owned())?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

fn optional(cql_type: &CqlType, one: &RawValue, out: &mut Vec<u8>) -> Decoded {
    if one.get() == "null" {
        out.extend_from_slice(&(-1_i32).to_be_bytes());
        return Ok(());
    }
    with_len(out, |out| decode(cql_type, one.get(), out))
}

fn vector(element: &CqlType, elements: Vec<&RawValue>, out: &mut Vec<u8>) -> Decoded {
    let fixed_len = element.fixed_len();
    let mut bytes = Vec::new();
    for one in elements {
        bytes.clear();
        decode(element, one.get(), &mut bytes)?;
        match fixed_len {
            Some(len) if len == bytes.len() => {}
            Some(_) => return Err(wrong(element, one.get())),
            None => put_uvint(out, bytes.len() as u64),
        }
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

fn scalar(cql_type: &CqlType, text: &str, out: &mut Vec<u8>) -> Decoded {
    match cql_type {
        CqlType::Text => out.extend_from_slice(text.as_bytes()),
        CqlType::Ascii if text.is_ascii() => out.extend_from_slice(text.as_bytes()),
        CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => hex(text, out)?,
        _ if text.is_empty() => {}
        CqlType::Duration => duration(text, out).ok_or_else(|| wrong(cql_type, text))?,
        CqlType::Ascii | CqlType::Empty | CqlType::Counter => return Err(wrong(cql_type, text)),
        _ if text.starts_with("0x") => return Err(wrong(cql_type, text)),
        _ => {
            let bytes = encode_literal(cql_type, text).map_err(|_| wrong(cql_type, text))?;
            out.extend_from_slice(&bytes);
        }
    }
    Ok(())
}

/// Appends the bytes of `0x…`.
pub(super) fn hex(text: &str, out: &mut Vec<u8>) -> Decoded {
    let digits = text.strip_prefix("0x").ok_or_else(|| wrong(&CqlType::Blob, text))?;
    let bytes = hex_simd::decode_to_vec(digits).map_err(|_| wrong(&CqlType::Blob, text))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn duration(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (mut months, mut days, mut nanos) = (0_i128, 0_i128, 0_i128);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (amount, behind) = rest.split_at_checked(digits)?;
        let unit_len = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(unit_len)?;
        let amount = i128::from(amount.parse::<u64>().ok()?);
        match unit {
            "y" => months += 12 * amount,
            "mo" => months += amount,
            "d" => days += amount,
            "h" => nanos += 3_600_000_000_000 * amount,
            "m" => nanos += 60_000_000_000 * amount,
            "s" => nanos += 1_000_000_000 * amount,
            "ms" => nanos += 1_000_000 * amount,
            "us" => nanos += 1000 * amount,
            "ns" => nanos += amount,
            _ => return None,
        }
        rest = behind;
    }
    let (months, days) = (i32::try_from(sign * months).ok()?, i32::try_from(sign * days).ok()?);
    put_duration(out, months, days, i64::try_from(sign * nanos).ok()?);
    Some(())
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
