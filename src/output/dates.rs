//! Dates, times of day, timestamps and durations as text.
//!
//! Days from 1970 to 2099 come from a table, minutes of a day from another; other days are computed.

use std::sync::LazyLock;

use super::buffer::TextBuffer;
use super::numbers::{eight_digits, put_padded, put_u64};
use super::scalar::{Cause, Written};
use crate::io::ByteReader;
use crate::progress::clock::civil_from_days;

/// Days from 1970-01-01 to 2099-12-31.
const TABLE_DAYS: i64 = 47_482;
const MILLIS_PER_DAY: i64 = 86_400_000;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const NANOS_PER_DAY: i64 = 86_400_000_000_000;
/// First and last day of the years 0001 to 9999.
const FIRST_COMMON_DAY: i64 = -719_162;
const LAST_COMMON_DAY: i64 = 2_932_896;

const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// `YYYY-MM-DD` and six bytes to fill up.
static DAYS: LazyLock<Vec<[u8; 16]>> = LazyLock::new(|| {
    let mut out = TextBuffer::default();
    (0..TABLE_DAYS)
        .map(|day| {
            out.truncate(0);
            put_computed_day(&mut out, day);
            let mut text = [b' '; 16];
            text.iter_mut().zip(out.written()).for_each(|(to, from)| *to = *from);
            text
        })
        .collect()
});

/// `HH:MM:` and two bytes to fill up.
static MINUTES: LazyLock<Vec<[u8; 8]>> = LazyLock::new(|| {
    (0..1440_u64)
        .map(|minute| {
            let [.., h1, h0] = (eight_digits(minute / 60) | ASCII_ZEROS).to_le_bytes();
            let [.., m1, m0] = (eight_digits(minute % 60) | ASCII_ZEROS).to_le_bytes();
            [h1, h0, b':', m1, m0, b':', b' ', b' ']
        })
        .collect()
});

/// The tables, looked up once: a lazy static costs a test at each use.
#[derive(Debug, Clone, Copy)]
pub(super) struct DateTables {
    days: &'static [[u8; 16]],
    minutes: &'static [[u8; 8]],
}

impl DateTables {
    /// The tables; the first call fills them.
    pub(super) fn new() -> Self {
        Self { days: &DAYS, minutes: &MINUTES }
    }

    /// The day `day` after 1970-01-01 as `YYYY-MM-DD`; with a sign outside the years 0000 to 9999.
    #[inline]
    pub(super) fn put_day(&self, out: &mut TextBuffer, day: i64) {
        match usize::try_from(day).ok().and_then(|day| self.days.get(day)) {
            Some(text) => out.chunk(text, 10),
            None => put_computed_day(out, day),
        }
    }

    #[inline]
    fn put_minute(&self, out: &mut TextBuffer, minute: u64) {
        if let Some(text) = usize::try_from(minute).ok().and_then(|minute| self.minutes.get(minute))
        {
            out.chunk(text, 6);
        }
    }

    /// A day, `separator`, and a time of day with milliseconds.
    #[inline]
    pub(super) fn put_millis(&self, out: &mut TextBuffer, millis: i64, separator: u8) {
        // Days as they lie from 1970 on need no division of signed numbers.
        let (day, of_day) = match u64::try_from(millis) {
            Ok(millis) => {
                let day = millis / MILLIS_PER_DAY.unsigned_abs();
                (day.cast_signed(), millis - day * MILLIS_PER_DAY.unsigned_abs())
            }
            Err(_) => (
                millis.div_euclid(MILLIS_PER_DAY),
                millis.rem_euclid(MILLIS_PER_DAY).unsigned_abs(),
            ),
        };
        self.put_day(out, day);
        out.byte(separator);
        let minute = of_day / 60_000;
        self.put_minute(out, minute);
        // Of the digits 000SSmmm the last five, with a point in between.
        let digits = (eight_digits(of_day - minute * 60_000) | ASCII_ZEROS) >> 24;
        let text = (digits & 0xffff) | (u64::from(b'.') << 16) | ((digits >> 16) << 24);
        out.chunk(&text.to_le_bytes(), 6);
    }

    /// A time in microseconds as ISO 8601 in UTC: `2026-11-21T10:00:00.123456Z`.
    pub(super) fn put_micros_iso(&self, out: &mut TextBuffer, micros: i64) {
        self.put_micros_with(out, micros, b'T');
        out.byte(b'Z');
    }

    /// The same as DMS writes it: `2026-11-21 10:00:00.123456`.
    pub(super) fn put_micros(&self, out: &mut TextBuffer, micros: i64) {
        self.put_micros_with(out, micros, b' ');
    }

    fn put_micros_with(&self, out: &mut TextBuffer, micros: i64, separator: u8) {
        self.put_day(out, micros.div_euclid(MICROS_PER_DAY));
        out.byte(separator);
        let of_day = micros.rem_euclid(MICROS_PER_DAY).unsigned_abs();
        self.put_minute(out, of_day / 60_000_000);
        put_padded(out, of_day / 1_000_000 % 60, 2);
        out.byte(b'.');
        put_padded(out, of_day % 1_000_000, 6);
    }

    /// Nanoseconds of a day as `HH:MM:SS.nnnnnnnnn`.
    #[inline]
    pub(super) fn put_time(&self, out: &mut TextBuffer, nanos: i64) -> Written {
        if !(0..NANOS_PER_DAY).contains(&nanos) {
            return Err(Cause::new(format!("time {nanos} is not within a day")));
        }
        let nanos = nanos.unsigned_abs();
        self.put_minute(out, nanos / 60_000_000_000);
        put_padded(out, nanos / 1_000_000_000 % 60, 2);
        out.byte(b'.');
        put_padded(out, nanos % 1_000_000_000 / 1_000_000, 3);
        put_padded(out, nanos % 1_000_000, 6);
        Ok(())
    }
}

/// The day number of a `date` value.
#[inline]
pub(super) fn day_of_date(raw: u32) -> i64 {
    i64::from(raw) - (1 << 31)
}

/// True for days of the years 0001 to 9999, which every loader reads.
#[inline]
pub(super) fn is_common_day(day: i64) -> bool {
    (FIRST_COMMON_DAY..=LAST_COMMON_DAY).contains(&day)
}

/// The same for milliseconds since 1970.
#[inline]
pub(super) fn is_common_millis(millis: i64) -> bool {
    (FIRST_COMMON_DAY * MILLIS_PER_DAY..(LAST_COMMON_DAY + 1) * MILLIS_PER_DAY).contains(&millis)
}

/// Proleptic Gregorian calendar; any day that fits is right.
fn put_computed_day(out: &mut TextBuffer, day: i64) {
    let (year, month, day_of_month) = civil_from_days(day);
    if year < 0 {
        out.byte(b'-');
    } else if year > 9999 {
        out.byte(b'+');
    }
    if year.unsigned_abs() > 9999 {
        put_u64(out, year.unsigned_abs());
    } else {
        put_padded(out, year.unsigned_abs(), 4);
    }
    out.byte(b'-');
    put_padded(out, month.unsigned_abs(), 2);
    out.byte(b'-');
    put_padded(out, day_of_month.unsigned_abs(), 2);
}

/// A duration as `Duration.toString` writes it (`1y2mo3d4h5m6s7ms8us9ns`), and `0s` where that writes nothing.
pub(super) fn put_duration(out: &mut TextBuffer, bytes: &[u8]) -> Written {
    let mut r = ByteReader::new(bytes);
    let months = r.read_svint("months of a duration")?;
    let days = r.read_svint("days of a duration")?;
    let nanos = r.read_svint("nanoseconds of a duration")?;
    r.finish("duration")?;
    if i32::try_from(months).is_err() || i32::try_from(days).is_err() {
        return Err(Cause::new(format!("a duration of {months} months and {days} days")));
    }
    if months < 0 || days < 0 || nanos < 0 {
        out.byte(b'-');
    }
    let start = out.len();
    let mut put = |amount: u64, unit: &[u8]| {
        if amount != 0 {
            put_u64(out, amount);
            out.slice(unit);
        }
    };
    let months = months.unsigned_abs();
    put(months / 12, b"y");
    put(months % 12, b"mo");
    put(days.unsigned_abs(), b"d");
    let nanos = nanos.unsigned_abs();
    put(nanos / 3_600_000_000_000, b"h");
    put(nanos / 60_000_000_000 % 60, b"m");
    put(nanos / 1_000_000_000 % 60, b"s");
    put(nanos / 1_000_000 % 1000, b"ms");
    put(nanos / 1000 % 1000, b"us");
    put(nanos % 1000, b"ns");
    if out.len() == start {
        out.array(b"0s");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut TextBuffer)) -> String {
        let mut out = TextBuffer::default();
        put(&mut out);
        String::from_utf8(out.take()).unwrap()
    }

    fn day(day: i64) -> String {
        text(|out| DateTables::new().put_day(out, day))
    }

    fn millis(millis: i64) -> String {
        text(|out| DateTables::new().put_millis(out, millis, b' '))
    }

    #[test]
    fn days_are_right_in_the_table_beside_it_and_at_the_extremes() {
        for (number, expected) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (18_321, "2020-02-29"),
            (TABLE_DAYS - 1, "2099-12-31"),
            (TABLE_DAYS, "2100-01-01"),
            (FIRST_COMMON_DAY, "0001-01-01"),
            (FIRST_COMMON_DAY - 1, "0000-12-31"),
            (FIRST_COMMON_DAY - 367, "-0001-12-31"),
            (LAST_COMMON_DAY, "9999-12-31"),
            (LAST_COMMON_DAY + 1, "+10000-01-01"),
            (day_of_date(0), "-5877641-06-23"),
            (day_of_date(u32::MAX), "+5881580-07-11"),
        ] {
            assert_eq!(day(number), expected);
        }
    }

    #[test]
    fn every_day_of_the_table_follows_the_one_before() {
        let mut before = day(0);
        for number in 1..TABLE_DAYS + 400 {
            let now = day(number);
            let mut parts = before.split('-');
            let mut part = || parts.next().unwrap().parse::<u32>().unwrap();
            let (year, month, of_month) = (part(), part(), part());
            let next_in_month = format!("{year:04}-{month:02}-{:02}", of_month + 1);
            let next_month = format!("{year:04}-{:02}-01", month + 1);
            let next_year = format!("{:04}-01-01", year + 1);
            assert!([next_in_month, next_month, next_year].contains(&now), "{before} {now}");
            before = now;
        }
    }

    #[test]
    fn timestamps_have_milliseconds_also_before_1970_and_at_the_extremes() {
        assert_eq!(millis(1_577_934_245_678), "2020-01-02 03:04:05.678");
        assert_eq!(millis(0), "1970-01-01 00:00:00.000");
        assert_eq!(millis(-1), "1969-12-31 23:59:59.999");
        assert_eq!(millis(i64::MAX), "+292278994-08-17 07:12:55.807");
        assert_eq!(millis(i64::MIN), "-292275055-05-16 16:47:04.192");
        assert!(is_common_millis(253_402_300_799_999) && !is_common_millis(253_402_300_800_000));
        assert!(is_common_millis(-62_135_596_800_000) && !is_common_millis(-62_135_596_800_001));
        assert!(!is_common_millis(i64::MIN) && !is_common_millis(i64::MAX));
        let micros = |v| text(|out| DateTables::new().put_micros_iso(out, v));
        assert_eq!(micros(1_795_255_200_123_456), "2026-11-21T10:00:00.123456Z");
        assert_eq!(micros(i64::MIN), "-290308-12-21T19:59:05.224192Z");
    }

    #[test]
    fn times_have_nine_digits_behind_the_point() {
        let time = |v| text(|out| DateTables::new().put_time(out, v).unwrap());
        assert_eq!(time(0), "00:00:00.000000000");
        assert_eq!(time(NANOS_PER_DAY - 1), "23:59:59.999999999");
        assert_eq!(time(3_723_000_000_001), "01:02:03.000000001");
        let tables = DateTables::new();
        assert!(tables.put_time(&mut TextBuffer::default(), NANOS_PER_DAY).is_err());
        assert!(tables.put_time(&mut TextBuffer::default(), -1).is_err());
    }

    #[test]
    fn durations_are_written_unit_by_unit() {
        let duration = |bytes: &[u8]| text(|out| put_duration(out, bytes).unwrap());
        assert_eq!(duration(&[0, 0, 0]), "0s");
        assert_eq!(duration(&[28, 6, 18]), "1y2mo3d9ns");
        assert_eq!(duration(&[27, 5, 17]), "-1y2mo3d9ns");
        assert_eq!(duration(&[0, 0, 0xf0, 0xff, 0xff, 0xff, 0xfe]), "2s147ms483us647ns");
        let mut extreme = vec![0xf0, 0xff, 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff, 0xff, 0xff];
        extreme.extend([0xff; 9]);
        assert_eq!(duration(&extreme), "-178956970y8mo2147483648d2562047h47m16s854ms775us808ns");
        let mut out = TextBuffer::default();
        assert!(put_duration(&mut out, &[0, 0]).is_err());
        assert!(put_duration(&mut out, &[0, 0, 0, 0]).is_err());
        assert!(put_duration(&mut out, &[0xf8, 1, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
