//! The one place that reads the clock of the machine, and times as text.
//!
//! A run reads the clock once and shares it with all its agents: what has expired must not depend on when a worker
//! looked.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

const MILLIS_PER_DAY: i64 = 86_400_000;

/// An instant in milliseconds since 1970, printed and read as RFC 3339 in UTC (`2026-11-21T10:00:00Z`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

/// The current time.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the clock of the machine is read"
)]
pub fn now() -> UnixMillis {
    let since = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)
        }
    };
    UnixMillis(since)
}

impl UnixMillis {
    /// Whole seconds since 1970, rounded down: Cassandra's `nowInSec`.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds from `earlier` to this; negative if it is later.
    #[expect(clippy::cast_precision_loss, reason = "285,000 years would lose a millisecond")]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1000.0
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MILLIS_PER_DAY));
        let of_day = self.0.rem_euclid(MILLIS_PER_DAY);
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if millis != 0 {
            write!(f, ".{millis:03}")?;
        }
        f.write_str("Z")
    }
}

/// A text that is not a time; says how one looks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time such as 2026-11-21T10:00:00Z")]
pub struct NotATime(pub String);

impl FromStr for UnixMillis {
    type Err = NotATime;

    /// Reads RFC 3339: date, `T` or a blank, time, an optional fraction (milliseconds count), and `Z` or an offset.
    fn from_str(text: &str) -> Result<Self, NotATime> {
        parse(text.as_bytes()).ok_or_else(|| NotATime(text.to_owned()))
    }
}

fn parse(text: &[u8]) -> Option<UnixMillis> {
    let (head, tail) = text.split_at_checked(19)?;
    let number = |from: usize, len: usize| digits(head.get(from..from + len)?);
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if separators.iter().any(|(at, byte)| head.get(*at..*at + 1) != Some(byte.as_slice()))
        || !matches!(head.get(10)?, b'T' | b't' | b' ')
    {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (millis, zone) = match tail.split_first()? {
        (b'.', rest) => {
            let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at_checked(len)?;
            if fraction.is_empty() || fraction.len() > 18 {
                return None;
            }
            let padded = fraction.iter().copied().chain([b'0'; 2]).take(3).collect::<Vec<_>>();
            (digits(&padded)?, zone)
        }
        _ => (0, tail),
    };
    let offset_minutes = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 60 + minutes;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds = hour * 3600 + minute * 60 + second - offset_minutes * 60;
    Some(UnixMillis(days * MILLIS_PER_DAY + seconds * 1000 + millis))
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'))
    })
}

/// Year, month and day of a day number since 1970-01-01 in the proleptic Gregorian calendar.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Years are counted from the first of March, so that the leap day is the last of one; eras have 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The inverse of [`civil_from_days`]; days and months out of range give some other day.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_rfc_3339_and_read_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_255_200_000, "2026-11-21T10:00:00Z"),
            (951_782_400_005, "2000-02-29T00:00:00.005Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(UnixMillis(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(UnixMillis(millis)), "{text}");
        }
        assert_eq!(UnixMillis(-1).seconds(), -1);
        assert_eq!(UnixMillis(1999).seconds(), 1);
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        let same = UnixMillis(1_795_255_200_120);
        for text in [
            "2026-11-21T10:00:00.12Z",
            "2026-11-21 11:30:00.1209+01:30",
            "2026-11-21t08:00:00.120-02:00",
        ] {
            assert_eq!(text.parse(), Ok(same), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T10:00:00",
            "2026-02-29T10:00:00Z",
            "2026-13-01T10:00:00Z",
            "2026-00-01T10:00:00Z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00+1:00",
            "2026-11-21T10:00:00ZZ",
            "2026/11/21T10:00:00Z",
            "2026-11-21X10:00:00Z",
            "+026-11-21T10:00:00Z",
            "２０２６-11-21T10:00:00Z",
        ] {
            assert!(text.parse::<UnixMillis>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_800_years_goes_there_and_back() {
        let mut previous = civil_from_days(-146_098);
        for days in -146_097..146_097 {
            let civil = civil_from_days(days);
            assert!(civil > previous, "{days}");
            assert_eq!(days_from_civil(civil.0, civil.1, civil.2), days);
            previous = civil;
        }
    }
}
