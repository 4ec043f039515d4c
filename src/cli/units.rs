//! Sizes, durations, times and `OLD=NEW` as users type them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::progress::UnixMillis;

/// A number of bytes: `64MiB`, `1.5GB`, `4096`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Longest first, as every unit ends in the shortest one.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size such as 64MiB, 1.5GB or 4096");
        let lower = text.trim().to_ascii_lowercase();
        let (number, factor) = strip_unit(&lower, &SIZE_UNITS).unwrap_or((&lower, 1));
        let bytes = scaled(number.trim_end(), factor).ok_or_else(wrong)?;
        if bytes == 0 {
            return Err("a size of nothing cannot be".to_owned());
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ByteSize {
    /// The largest binary unit that divides it, so that it reads back as the same number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in
            [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        {
            if self.0 != 0 && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// Reads bytes per second: `50MB/s`.
pub fn parse_rate(text: &str) -> Result<ByteSize, String> {
    let size = text.trim().trim_end_matches("/s");
    size.parse().map_err(|_| format!("{text:?} is not a rate such as 50MB/s"))
}

/// Reads a duration: `30s`, `1.5m`, `250ms`; a unit is needed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30s, 5m or 250ms");
    let lower = text.trim().to_ascii_lowercase();
    let (number, factor) = strip_unit(&lower, &DURATION_UNITS).ok_or_else(wrong)?;
    match scaled(number.trim_end(), factor).ok_or_else(wrong)? {
        0 => Err("a duration of nothing cannot be".to_owned()),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// Reads the clock of a run, in seconds since 1970: RFC 3339, or the number itself.
pub fn parse_clock(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(seconds) => Ok(seconds),
        Err(_) => text
            .parse::<UnixMillis>()
            .map(UnixMillis::seconds)
            .map_err(|error| format!("{error} or a number of seconds since 1970")),
    }
}

/// Reads a write time in µs since 1970: RFC 3339 with up to six digits after the point, or the number itself.
pub fn parse_micros(text: &str) -> Result<i64, String> {
    if let Ok(micros) = text.parse::<i64>() {
        return Ok(micros);
    }
    let time = text
        .parse::<UnixMillis>()
        .map_err(|error| format!("{error} or a number of microseconds since 1970"))?;
    let fraction = text.split_once('.').map_or("", |(_, behind)| behind);
    let micros_of_second = fraction
        .bytes()
        .take_while(u8::is_ascii_digit)
        .chain(std::iter::repeat(b'0'))
        .take(6)
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Ok(time.seconds() * 1_000_000 + micros_of_second)
}

/// `--writetime`: the original ones, or one time (µs) in place of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteTime {
    /// As stored.
    Original,
    /// This one.
    At(i64),
}

impl FromStr for WriteTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "original" { Ok(Self::Original) } else { parse_micros(text).map(Self::At) }
    }
}

/// `LEFT=RIGHT`, both not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Before the first `=`.
    pub left: String,
    /// Behind it.
    pub right: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((left, right)) if !left.trim().is_empty() && !right.trim().is_empty() => {
                Ok(Self { left: left.trim().to_owned(), right: right.trim().to_owned() })
            }
            _ => Err(format!("{text:?} has no name on each side of a '='")),
        }
    }
}

/// Splits CQL literals at the commas between them: those inside quotes and brackets stay.
pub fn split_literals(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut depth = 0_u32;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            // A doubled quote closes and opens again: the text is kept as it is either way.
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => {
                depth = depth.checked_sub(1).ok_or(format!("{text:?} closes what is not open"))?;
            }
            (None, ',') if depth == 0 => {
                parts.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            (None, _) => {}
        }
        part.push(c);
    }
    parts.push(part.trim().to_owned());
    if quote.is_some() || depth > 0 {
        return Err(format!("{text:?} has an open quote or bracket"));
    }
    if parts.iter().any(String::is_empty) {
        return Err(format!("{text:?} has an empty part; empty text is ''"));
    }
    Ok(parts)
}

/// Bytes for people: `1.2 GB`.
pub fn human_bytes(bytes: u64) -> String {
    human(
        bytes,
        &[(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")],
        " B",
    )
}

/// A count for people: `1.2 M`.
pub fn human_count(count: u64) -> String {
    human(count, &[(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")], "")
}

fn human(value: u64, units: &[(u64, &str)], plain: &str) -> String {
    for (factor, unit) in units {
        if value >= *factor {
            let tenths = u128::from(value) * 10 / u128::from(*factor);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{value}{plain}")
}

fn strip_unit<'a>(text: &'a str, units: &[(&str, u64)]) -> Option<(&'a str, u64)> {
    units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
}

/// `number * factor`, the number with an optional decimal fraction, rounded down.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    if number.ends_with('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = match fraction {
        "" => 0,
        _ => fraction.parse::<u128>().ok()? * u128::from(factor) / scale,
    };
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("4096B", 4096),
            ("64MiB", 64 << 20),
            ("64mib", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("50MB", 50_000_000),
            ("2kB", 2_000),
            ("1TiB", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in
            ["", "MiB", "1.MiB", ".5MiB", "-1", "1e3", "64M", "64MiBs", "0", "0.1", "17000000TiB"]
        {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_printed_size_reads_back() {
        for (bytes, text) in [
            (1 << 30, "1GiB"),
            (256 << 20, "256MiB"),
            (1000, "1000"),
            (1 << 40, "1TiB"),
            (1536, "1536"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }

    #[test]
    fn rates_are_sizes_per_second() {
        for text in ["50MB/s", "50 MB", "50000000"] {
            assert_eq!(parse_rate(text), Ok(ByteSize(50_000_000)), "{text}");
        }
        assert!(parse_rate("50MB/h").unwrap_err().contains("50MB/s"));
    }

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in
            [("30s", 30_000), ("250ms", 250), ("1.5m", 90_000), ("1d", 86_400_000)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["30", "s", "", "0s", "-1s", "1y"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_clock_is_a_time_or_seconds() {
        assert_eq!(parse_clock("1795255200"), Ok(1_795_255_200));
        assert_eq!(parse_clock("2026-11-21T10:00:00Z"), Ok(1_795_255_200));
        assert_eq!(parse_clock("2026-11-21T11:00:00.999+01:00"), Ok(1_795_255_200));
        assert!(parse_clock("yesterday").unwrap_err().contains("seconds since 1970"));
    }

    #[test]
    fn write_times_keep_their_microseconds() {
        assert_eq!("original".parse(), Ok(WriteTime::Original));
        assert_eq!("17".parse(), Ok(WriteTime::At(17)));
        for (text, micros) in [
            ("2026-11-21T10:00:00.123456Z", 1_795_255_200_123_456),
            ("2026-11-21T10:00:00.1Z", 1_795_255_200_100_000),
            ("2026-11-21T10:00:00.1234567+00:00", 1_795_255_200_123_456),
            ("2026-11-21T10:00:00Z", 1_795_255_200_000_000),
            ("1969-12-31T23:59:59.999999Z", -1),
        ] {
            assert_eq!(parse_micros(text), Ok(micros), "{text}");
        }
        assert!("originally".parse::<WriteTime>().is_err());
    }

    #[test]
    fn pairs_have_two_sides() {
        assert_eq!("a=b=c".parse(), Ok(Pair { left: "a".into(), right: "b=c".into() }));
        for text in ["a", "=b", "a=", " = "] {
            assert!(text.parse::<Pair>().is_err(), "{text}");
        }
    }

    #[test]
    fn literals_are_split_outside_quotes_and_brackets() {
        let split = |text| split_literals(text).unwrap();
        assert_eq!(split("'a,b',7"), ["'a,b'", "7"]);
        assert_eq!(
            split("'it''s, here', [1,2], {'x': (1,2)}"),
            ["'it''s, here'", "[1,2]", "{'x': (1,2)}"]
        );
        assert_eq!(split("''"), ["''"]);
        for text in ["", "1,", ",1", "'open", "[1", "1]"] {
            assert!(split_literals(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_rounded_for_people() {
        assert_eq!(human_bytes(999), "999 B");
        assert_eq!(human_bytes(1_250_000_000), "1.2 GB");
        assert_eq!(human_bytes(u64::MAX), "18446744.0 TB");
        assert_eq!(human_count(999_999), "999999");
        assert_eq!(human_count(1_900_000), "1.9 M");
    }
}
