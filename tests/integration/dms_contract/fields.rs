//! Rules 7 and 9: single values.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::definition::ColumnDefinition;

/// Says what is wrong with a value of a column; rule 7.
pub(super) fn check(column: &ColumnDefinition, text: &str) -> Result<(), String> {
    let signed = |bits: u32| integer(text, -(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1);
    let unsigned = |bits: u32| integer(text, 0, (1_i128 << bits) - 1);
    match column.column_type.as_str() {
        "INT1" => signed(8),
        "INT2" => signed(16),
        "INT4" => signed(32),
        "INT8" => signed(64),
        "UINT1" => unsigned(8),
        "UINT2" => unsigned(16),
        "UINT4" => unsigned(32),
        "UINT8" => unsigned(64),
        "NUMERIC" => {
            let (whole, fraction) = decimal(text).ok_or("is not a plain number")?;
            let too_long = whole.len() as u64 + column.scale > column.precision;
            if too_long && whole != "0" || fraction.len() as u64 > column.scale {
                return Err(format!("does not fit ({},{})", column.precision, column.scale));
            }
            Ok(())
        }
        "REAL4" | "REAL8" => {
            let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
            let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
            let narrow =
                column.column_type == "REAL8" || text.parse::<f32>().is_ok_and(f32::is_finite);
            let sound = decimal(mantissa).is_some() && is_digits(exponent) && finite && narrow;
            if sound { Ok(()) } else { Err("is not a finite float".to_owned()) }
        }
        "BOOLEAN" if matches!(text, "true" | "false") => Ok(()),
        "BOOLEAN" => Err("is neither true nor false".to_owned()),
        "DATE" => date(text),
        "DATETIME" => date_time(column, text),
        "TIME" => time(text),
        "STRING" | "BYTE" if text.len() as u64 > column.length => {
            Err(format!("has {} bytes, ColumnLength is {}", text.len(), column.length))
        }
        "BYTE" | "BLOB" => hex(text),
        _ => Ok(()),
    }
}

/// Says what is wrong with the text of a value of a CQL type that the definition calls STRING.
pub(super) fn check_cql(cql: &str, text: &str) -> Result<(), (u8, String)> {
    let seven = |result: Result<(), String>| result.map_err(|what| (7, what));
    match cql {
        "blob" => seven(hex(text)),
        "uuid" | "timeuuid" => {
            let sound =
                uuid::Uuid::parse_str(text).is_ok_and(|uuid| uuid.hyphenated().to_string() == text);
            seven(if sound { Ok(()) } else { Err("is not a lower-case uuid".to_owned()) })
        }
        "inet" => {
            seven(text.parse::<std::net::IpAddr>().map(drop).map_err(|error| error.to_string()))
        }
        "time" => {
            let (seconds, nanos) = text.split_once('.').unwrap_or((text, ""));
            seven(if nanos.len() == 9 && is_digits(nanos) {
                time(seconds)
            } else {
                Err("has no nanoseconds".to_owned())
            })
        }
        "varint" => seven(integer_text(text)),
        "decimal" => seven(decimal(text).map(drop).ok_or("is not a plain number".to_owned())),
        "ascii" | "text" | "varchar" | "date" | "timestamp" | "duration" | "float" | "double" => {
            Ok(())
        }
        custom if custom.starts_with('\'') => seven(hex(text)),
        native if NATIVE_NUMBERS.contains(&native) => Ok(()),
        _ => json(text).map_err(|what| (9, what)),
    }
}

const NATIVE_NUMBERS: [&str; 6] = ["tinyint", "smallint", "int", "bigint", "counter", "boolean"];

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn integer_text(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical =
        is_digits(digits) && (digits == "0" || !digits.starts_with('0')) && text != "-0";
    if canonical { Ok(()) } else { Err("is not an integer in its shortest form".to_owned()) }
}

fn integer(text: &str, least: i128, greatest: i128) -> Result<(), String> {
    integer_text(text)?;
    match text.parse::<i128>() {
        Ok(value) if (least..=greatest).contains(&value) => Ok(()),
        _ => Err(format!("is not in {least}..={greatest}")),
    }
}

/// Digits before and behind the point.
pub(super) fn decimal(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return None,
        None => (digits, ""),
    };
    (is_digits(whole) && (whole == "0" || !whole.starts_with('0'))).then_some((whole, fraction))
}

fn hex(text: &str) -> Result<(), String> {
    let sound = text.len().is_multiple_of(2)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if sound { Ok(()) } else { Err("is not lower-case hex of even length".to_owned()) }
}

fn numbers(text: &str, separator: char, lens: [usize; 3]) -> Option<[u32; 3]> {
    let parts: Vec<_> = text.split(separator).collect();
    let parts: [&str; 3] = parts.try_into().ok()?;
    let sound = parts.iter().zip(lens).all(|(part, len)| part.len() == len && is_digits(part));
    let [a, b, c] = parts.map(|part| part.parse::<u32>().ok());
    if sound { Some([a?, b?, c?]) } else { None }
}

fn date(text: &str) -> Result<(), String> {
    let Some([year, month, day]) = numbers(text, '-', [4, 2, 2]) else {
        return Err("is not YYYY-MM-DD".to_owned());
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    if year > 0 && (1..=days).contains(&day) { Ok(()) } else { Err("is no day".to_owned()) }
}

fn time(text: &str) -> Result<(), String> {
    match numbers(text, ':', [2, 2, 2]) {
        Some([hour, minute, second]) if hour < 24 && minute < 60 && second < 60 => Ok(()),
        _ => Err("is not HH:MM:SS".to_owned()),
    }
}

/// The one format that we declare; another would need its own parser here.
fn date_time(column: &ColumnDefinition, text: &str) -> Result<(), String> {
    if column.date_format.as_deref() != Some("YYYY-MM-dd HH:mm:ss.F") {
        return Err(format!("is of the unexpected format {:?}", column.date_format));
    }
    let (day, rest) = text.split_once(' ').ok_or("has no blank")?;
    let (seconds, fraction) = rest.split_once('.').ok_or("has no fraction")?;
    date(day)?;
    time(seconds)?;
    if !is_digits(fraction) || fraction.len() as u64 != column.scale {
        return Err(format!("has not {} digits of a second", column.scale));
    }
    Ok(())
}

/// Rule 9: JSON without duplicate keys and at most 32 levels deep. Raw control characters are refused by the parser.
fn json(text: &str) -> Result<(), String> {
    let Depth(depth) = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if depth > 32 { Err(format!("is nested {depth} levels deep")) } else { Ok(()) }
}

/// Levels of nesting of a JSON value whose objects have no key twice.
struct Depth(usize);

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DepthVisitor)
    }
}

struct DepthVisitor;

impl<'de> Visitor<'de> for DepthVisitor {
    type Value = Depth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_unit<E>(self) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Depth, A::Error> {
        let mut deepest = 0;
        while let Some(Depth(depth)) = items.next_element()? {
            deepest = deepest.max(depth);
        }
        Ok(Depth(deepest + 1))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Depth, A::Error> {
        let (mut deepest, mut keys) = (0, BTreeSet::new());
        while let Some((key, Depth(depth))) = entries.next_entry::<String, Depth>()? {
            deepest = deepest.max(depth);
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format!("key {twice:?} is there twice")));
            }
        }
        Ok(Depth(deepest + 1))
    }
}
