//! Values from their CQL text: what a user types to name a partition.
//!
//! Text may stand in single quotes or without. Any value, of any type, can be given by its serialized bytes as `0x…`.

use std::net::IpAddr;

use num_bigint::BigInt;

use super::CqlType;
use crate::error::DecodeError;
use crate::progress::clock::days_from_civil;

/// Serializes the CQL literal `text` as a value of `cql_type`.
pub fn encode_literal(cql_type: &CqlType, text: &str) -> Result<Vec<u8>, DecodeError> {
    let text = text.trim();
    let is_text = matches!(cql_type, CqlType::Ascii | CqlType::Text);
    if let Some(hex) = text.strip_prefix("0x").filter(|_| !is_text) {
        return hex_simd::decode_to_vec(hex).map_err(|_| wrong(cql_type, text));
    }
    let quoted = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let plain = quoted.map_or_else(|| text.to_owned(), |inner| inner.replace("''", "'"));
    encode(cql_type, &plain).ok_or_else(|| wrong(cql_type, text))
}

fn wrong(cql_type: &CqlType, text: &str) -> DecodeError {
    DecodeError::invalid(
        format!("{text} is no {cql_type}; serialized bytes can be given as 0x…"),
        0,
    )
}

fn encode(cql_type: &CqlType, text: &str) -> Option<Vec<u8>> {
    Some(match cql_type {
        CqlType::Ascii | CqlType::Text => text.as_bytes().to_vec(),
        CqlType::Tinyint => text.parse::<i8>().ok()?.to_be_bytes().to_vec(),
        CqlType::Smallint => text.parse::<i16>().ok()?.to_be_bytes().to_vec(),
        CqlType::Int => text.parse::<i32>().ok()?.to_be_bytes().to_vec(),
        CqlType::Bigint | CqlType::Counter => text.parse::<i64>().ok()?.to_be_bytes().to_vec(),
        CqlType::Varint => text.parse::<BigInt>().ok()?.to_signed_bytes_be(),
        CqlType::Decimal => decimal(text)?,
        CqlType::Float => text.parse::<f32>().ok()?.to_be_bytes().to_vec(),
        CqlType::Double => text.parse::<f64>().ok()?.to_be_bytes().to_vec(),
        CqlType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => vec![1],
            "false" => vec![0],
            _ => return None,
        },
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => {
            uuid::Uuid::parse_str(text).ok()?.as_bytes().to_vec()
        }
        CqlType::Inet => match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
        CqlType::Date => date(text)?.to_be_bytes().to_vec(),
        CqlType::Time => time_nanos(text)?.to_be_bytes().to_vec(),
        CqlType::Timestamp | CqlType::LegacyTimestamp => {
            timestamp_millis(text)?.to_be_bytes().to_vec()
        }
        CqlType::Blob
        | CqlType::Empty
        | CqlType::Duration
        | CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Tuple(_)
        | CqlType::Udt { .. }
        | CqlType::Vector { .. }
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => return None,
    })
}

fn decimal(text: &str) -> Option<Vec<u8>> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unscaled: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let mut out = i32::try_from(scale).ok()?.to_be_bytes().to_vec();
    out.extend(unscaled.to_signed_bytes_be());
    Some(out)
}

fn civil(text: &str) -> Option<i64> {
    let mut parts = text.rsplitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (year, month, day) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    ((1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| days_from_civil(year, month, day))
}

fn date(text: &str) -> Option<u32> {
    if let Ok(raw) = text.parse::<u32>() {
        return Some(raw);
    }
    u32::try_from(civil(text)? + (1 << 31)).ok()
}

fn time_nanos(text: &str) -> Option<i64> {
    if let Ok(nanos) = text.parse::<i64>() {
        return Some(nanos);
    }
    let mut parts = text.splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (seconds, fraction) = match parts.next() {
        Some(rest) => rest.split_once('.').unwrap_or((rest, "0")),
        None => ("0", "0"),
    };
    if hours > 23 || minutes > 59 || fraction.len() > 9 {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: i64 = seconds.parse().ok().filter(|s| (0..60).contains(s))?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// Milliseconds since 1970: a number, or `2026-11-21`, `2026-11-21 10:00:00.123`, with `T`, with `Z` or `+HH:MM`.
fn timestamp_millis(text: &str) -> Option<i64> {
    if let Ok(millis) = text.parse::<i64>() {
        return Some(millis);
    }
    let Some(split) = text.find(['T', ' ']) else { return Some(civil(text)? * 86_400_000) };
    let (day, rest) = (text.get(..split)?, text.get(split + 1..)?);
    let (time, offset) = match rest.find(['Z', '+', '-']) {
        Some(at) => (rest.get(..at)?, rest.get(at..)?),
        None => (rest, "Z"),
    };
    let offset_minutes = match offset {
        "Z" => 0,
        other => {
            let digits: String = other.chars().filter(char::is_ascii_digit).collect();
            let (hours, minutes) =
                (digits.get(..2)?.parse::<i64>().ok()?, digits.get(2..4).unwrap_or("0"));
            let minutes = hours * 60 + minutes.parse::<i64>().ok()?;
            if other.starts_with('-') { -minutes } else { minutes }
        }
    };
    Some(civil(day)? * 86_400_000 + time_nanos(time)? / 1_000_000 - offset_minutes * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_every_scalar_type_serialize_as_cassandra_does() {
        let cases: [(CqlType, &str, &[u8]); 18] = [
            (CqlType::Text, "it''s", b"it''s"),
            (CqlType::Text, "'it''s'", b"it's"),
            (CqlType::Text, "0x00", b"0x00"),
            (CqlType::Blob, "0x00ff", &[0, 0xff]),
            (CqlType::Int, "-1", &[0xff; 4]),
            (CqlType::Bigint, "1", &[0, 0, 0, 0, 0, 0, 0, 1]),
            (CqlType::Varint, "128", &[0, 0x80]),
            (CqlType::Decimal, "-1.10", &[0, 0, 0, 2, 0x92]),
            (CqlType::Decimal, "1E+3", &[0xff, 0xff, 0xff, 0xfd, 1]),
            (CqlType::Boolean, "True", &[1]),
            (CqlType::Double, "1", &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
            (CqlType::Inet, "127.0.0.1", &[127, 0, 0, 1]),
            (CqlType::Date, "1970-01-02", &[0x80, 0, 0, 1]),
            (CqlType::Time, "00:00:01.5", &[0, 0, 0, 0, 0x59, 0x68, 0x2f, 0]),
            (CqlType::Timestamp, "1970-01-01T00:00:01.5Z", &[0, 0, 0, 0, 0, 0, 5, 0xdc]),
            (CqlType::Timestamp, "1970-01-01 01:00:00+01:00", &[0; 8]),
            (CqlType::Timestamp, "2020-01-01", &[0, 0, 1, 0x6f, 0x5e, 0x66, 0xe8, 0]),
            (CqlType::Tuple(vec![]), "0x0102", &[1, 2]),
        ];
        for (cql_type, text, bytes) in cases {
            assert_eq!(encode_literal(&cql_type, text).unwrap(), bytes, "{cql_type} {text}");
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_an_error() {
        for (cql_type, text) in [
            (CqlType::Int, "x"),
            (CqlType::Tinyint, "128"),
            (CqlType::Uuid, "1"),
            (CqlType::Date, "2020-13-01"),
            (CqlType::Blob, "zz"),
            (CqlType::Blob, "0xz"),
            (CqlType::Time, "25:00:00"),
            (CqlType::Duration, "1d"),
        ] {
            assert!(encode_literal(&cql_type, text).is_err(), "{cql_type} {text}");
        }
    }
}
