//! Numbers as text.
//!
//! Integers come eight digits at once. Floats have the shortest digits that read back, in Java's notation
//! (`Double.toString`: `1.0E10`, `0.001`, `100.0`). Decimals are Java's `BigDecimal.toString`, or plain where a profile
//! wants that.

use num_bigint::{BigInt, Sign};

use super::buffer::TextBuffer;
use super::scalar::{Cause, Written};

/// The longest varint that is turned into digits: the conversion takes time by the square.
const MAX_VARINT_LEN: usize = 256 * 1024;

const HUNDRED_MILLION: u64 = 100_000_000;
const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight digits of `value` (below 10^8) as numbers, one a byte, the first in the lowest byte.
#[inline]
pub(super) fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds + ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens + ((twos - 10 * tens) << 8)
}

#[inline]
fn put_first_digits(out: &mut TextBuffer, value: u64) {
    let digits = eight_digits(value);
    // The lowest byte that is not zero is the first digit; of 0 the last byte stays.
    let zeros = (digits.trailing_zeros() / 8).min(7);
    let text = (digits | ASCII_ZEROS) >> (8 * zeros);
    out.chunk(&text.to_le_bytes(), 8 - zeros as usize);
}

#[inline]
fn put_eight_digits(out: &mut TextBuffer, value: u64) {
    out.array(&(eight_digits(value) | ASCII_ZEROS).to_le_bytes());
}

/// Digits of `value`.
#[inline]
pub(super) fn put_u64(out: &mut TextBuffer, value: u64) {
    if value < HUNDRED_MILLION {
        put_first_digits(out, value);
        return;
    }
    let (high, low) = (value / HUNDRED_MILLION, value % HUNDRED_MILLION);
    if high < HUNDRED_MILLION {
        put_first_digits(out, high);
    } else {
        put_first_digits(out, high / HUNDRED_MILLION);
        put_eight_digits(out, high % HUNDRED_MILLION);
    }
    put_eight_digits(out, low);
}

/// Digits of `value`, with `-` if it is negative.
#[inline]
pub(super) fn put_i64(out: &mut TextBuffer, value: i64) {
    if value < 0 {
        out.byte(b'-');
    }
    put_u64(out, value.unsigned_abs());
}

/// `value` (below 10^`width`) with leading zeros to `width` (at most eight) digits.
#[inline]
pub(super) fn put_padded(out: &mut TextBuffer, value: u64, width: usize) {
    let text = (eight_digits(value) | ASCII_ZEROS).to_be_bytes();
    // Big-endian bytes are the digits from the last to the first.
    for &digit in text.iter().take(width).rev() {
        out.byte(digit);
    }
}

/// The text of a float that is no number: `NaN`, `Infinity`, `-Infinity`.
pub(super) fn non_finite_text(value: f64) -> &'static [u8] {
    if value.is_nan() {
        b"NaN"
    } else if value > 0.0 {
        b"Infinity"
    } else {
        b"-Infinity"
    }
}

/// A finite double.
#[inline]
pub(super) fn put_f64(out: &mut TextBuffer, value: f64) {
    let magnitude = value.abs();
    if (1.0e-3..1.0e7).contains(&magnitude) {
        // Two decimals are the shortest digits if they read back, and in this range a hundredth of an integer reads
        // back as that hundredth. Most prices and measures are such.
        let hundredths = magnitude * 100.0;
        if let Some(hundredths) = exact_u64(hundredths)
            && small_f64(hundredths) / 100.0 == magnitude
        {
            if value < 0.0 {
                out.byte(b'-');
            }
            put_hundredths(out, hundredths);
            return;
        }
    }
    put_long_f64(out, value);
}

#[inline(never)]
fn put_long_f64(out: &mut TextBuffer, value: f64) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if (1.0e-3..1.0e7).contains(&value.abs()) {
        out.short(text.as_bytes());
    } else {
        put_java_notation(out, text);
    }
}

/// A finite float.
#[inline]
pub(super) fn put_f32(out: &mut TextBuffer, value: f32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if (1.0e-3..1.0e7).contains(&value.abs()) {
        out.short(text.as_bytes());
    } else {
        put_java_notation(out, text);
    }
}

/// `value` if it is a whole number; it is below 10^9.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 10^9, and a float that rounds differently is refused by the comparison"
)]
fn exact_u64(value: f64) -> Option<u64> {
    let rounded = (value + 0.5) as u64;
    (small_f64(rounded) == value).then_some(rounded)
}

#[inline]
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
fn small_f64(value: u64) -> f64 {
    value as f64
}

#[inline]
fn put_hundredths(out: &mut TextBuffer, hundredths: u64) {
    put_u64(out, hundredths / 100);
    out.byte(b'.');
    let fraction = eight_digits(hundredths % 100) | ASCII_ZEROS;
    let [.., tens, ones] = fraction.to_le_bytes();
    if ones == b'0' {
        out.byte(tens);
    } else {
        out.array(&[tens, ones]);
    }
}

/// Rewrites the shortest digits of a value outside `[0.001, 10^7)` as `Double.toString` writes it: `1.0E10`.
fn put_java_notation(out: &mut TextBuffer, text: &str) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let mut exponent: i64 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = [0_u8; 40];
    let mut count = 0;
    for (place, digit) in digits.iter_mut().zip(whole.bytes().chain(fraction.bytes())) {
        *place = digit;
        count += 1;
    }
    let digits = digits.get(..count).unwrap_or_default();
    exponent += i64::try_from(whole.len()).unwrap_or_default() - 1;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    let digits = digits.get(zeros..).unwrap_or_default();
    exponent -= i64::try_from(zeros).unwrap_or_default();
    let kept = digits.len() - digits.iter().rev().take_while(|&&digit| digit == b'0').count();
    let digits = digits.get(..kept).unwrap_or_default();
    if sign {
        out.byte(b'-');
    }
    let Some((first, rest)) = digits.split_first() else {
        out.array(b"0.0");
        return;
    };
    out.byte(*first);
    out.byte(b'.');
    if rest.is_empty() {
        out.byte(b'0');
    }
    out.slice(rest);
    out.byte(b'E');
    put_i64(out, exponent);
}

/// Size of a number, for columns of fixed precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NumberSize {
    /// Digits before the point in plain notation, without leading zeros.
    pub(super) integer_digits: u64,
    /// Digits behind the point in plain notation.
    pub(super) scale: u64,
}

impl NumberSize {
    /// Digits in plain notation.
    pub(super) fn digits(self) -> u64 {
        self.integer_digits.saturating_add(self.scale)
    }
}

/// The digits of a varint, without a sign; `-` alone is returned.
fn integer_digits<'a>(
    bytes: &[u8],
    small: &'a mut itoa::Buffer,
    large: &'a mut String,
) -> Result<(bool, &'a str), Cause> {
    if bytes.len() <= 16 {
        let Some(&first) = bytes.first() else {
            return Err(Cause::new("a varint without bytes"));
        };
        let sign = if first & 0x80 == 0 { 0 } else { -1_i128 };
        let value = bytes.iter().fold(sign, |value, &b| (value << 8) | i128::from(b));
        return Ok((value < 0, small.format(value.unsigned_abs())));
    }
    if bytes.len() > MAX_VARINT_LEN {
        return Err(Cause::new(format!(
            "a number of {} bytes; those over {MAX_VARINT_LEN} are not turned into digits",
            bytes.len()
        )));
    }
    let value = BigInt::from_signed_bytes_be(bytes);
    *large = value.magnitude().to_string();
    Ok((value.sign() == Sign::Minus, large))
}

fn len_u64(text: &str) -> u64 {
    text.len() as u64
}

/// A varint; `check` sees its size before anything is written.
#[inline]
pub(super) fn put_varint(
    out: &mut TextBuffer,
    bytes: &[u8],
    check: impl FnOnce(NumberSize) -> Written,
) -> Written {
    let (mut small, mut large) = (itoa::Buffer::new(), String::new());
    let (negative, digits) = integer_digits(bytes, &mut small, &mut large)?;
    let integer_digits = if digits == "0" { 0 } else { len_u64(digits) };
    check(NumberSize { integer_digits, scale: 0 })?;
    if negative {
        out.byte(b'-');
    }
    out.slice(digits.as_bytes());
    Ok(())
}

/// A decimal: plain, or as `BigDecimal.toString` writes it. `check` sees its size before anything is written; a plain one
/// must be refused there if it is long.
#[inline]
pub(super) fn put_decimal(
    out: &mut TextBuffer,
    bytes: &[u8],
    plain: bool,
    check: impl FnOnce(NumberSize) -> Written,
) -> Written {
    let Some((scale, unscaled)) = bytes.split_first_chunk::<4>() else {
        return Err(Cause::new(format!("a decimal of {} bytes", bytes.len())));
    };
    let scale = i64::from(i32::from_be_bytes(*scale));
    let (mut small, mut large) = (itoa::Buffer::new(), String::new());
    let (negative, digits) = integer_digits(unscaled, &mut small, &mut large)?;
    let precision = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let zero = digits == "0";
    let size = NumberSize {
        integer_digits: if zero { 0 } else { u64::try_from(precision - scale).unwrap_or(0) },
        scale: u64::try_from(scale).unwrap_or(0),
    };
    check(size)?;
    if negative {
        out.byte(b'-');
    }
    let digits = digits.as_bytes();
    let adjusted = precision - 1 - scale;
    if scale == 0 {
        out.slice(digits);
    } else if scale > 0 && (plain || adjusted >= -6) {
        match usize::try_from(precision - scale) {
            Ok(whole) if whole > 0 => {
                let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((digits, b""));
                out.slice(whole);
                out.byte(b'.');
                out.slice(fraction);
            }
            _ => {
                out.array(b"0.");
                out.repeat(b'0', usize::try_from(scale - precision).unwrap_or(0));
                out.slice(digits);
            }
        }
    } else if plain {
        out.slice(digits);
        if !zero {
            out.repeat(b'0', usize::try_from(-scale).unwrap_or(0));
        }
    } else {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, b""));
        out.slice(first);
        if !rest.is_empty() {
            out.byte(b'.');
            out.slice(rest);
        }
        if adjusted != 0 {
            out.byte(b'E');
            if adjusted > 0 {
                out.byte(b'+');
            }
            put_i64(out, adjusted);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(put: impl FnOnce(&mut TextBuffer)) -> String {
        let mut out = TextBuffer::default();
        put(&mut out);
        String::from_utf8(out.take()).unwrap()
    }

    fn double(value: f64) -> String {
        text(|out| put_f64(out, value))
    }

    fn float(value: f32) -> String {
        text(|out| put_f32(out, value))
    }

    fn decimal(scale: i32, unscaled: &[u8], plain: bool) -> String {
        let mut bytes = scale.to_be_bytes().to_vec();
        bytes.extend(unscaled);
        text(|out| put_decimal(out, &bytes, plain, |_| Ok(())).unwrap())
    }

    #[test]
    fn integers_have_their_digits() {
        for value in [0, 1, 9, 10, 99_999_999, 100_000_000, 9_999_999_999_999_999, u64::MAX] {
            assert_eq!(text(|out| put_u64(out, value)), value.to_string());
        }
        for shift in 0..63 {
            for value in [1_i64 << shift, -(1 << shift), (1 << shift) - 1] {
                assert_eq!(text(|out| put_i64(out, value)), value.to_string());
            }
        }
        assert_eq!(text(|out| put_i64(out, i64::MIN)), i64::MIN.to_string());
        assert_eq!(text(|out| put_padded(out, 45, 3)), "045");
        assert_eq!(text(|out| put_padded(out, 12_345_678, 8)), "12345678");
    }

    #[test]
    fn floats_are_written_in_java_notation_with_the_shortest_digits() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (19.99, "19.99"),
            (0.05, "0.05"),
            (0.001, "0.001"),
            (0.000_999, "9.99E-4"),
            (9_999_999.99, "9999999.99"),
            (1.0e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (2.0e-3, "0.002"),
            (1.0e22, "1.0E22"),
            (1.0e23, "1.0E23"),
            (2.0e-323, "2.0E-323"),
            (4.9e-324, "5.0E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
        ] {
            assert_eq!(double(value), expected);
        }
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(1.0e10), "1.0E10");
        assert_eq!(float(3.4e38), "3.4E38");
        assert_eq!(float(1.0e-45), "1.0E-45");
        assert_eq!(float(16_777_216.0), "1.6777216E7");
        assert_eq!(float(-0.0), "-0.0");
        assert_eq!(non_finite_text(f64::NAN), b"NaN");
        assert_eq!(non_finite_text(f64::NEG_INFINITY), b"-Infinity");
    }

    #[test]
    fn decimals_are_written_as_big_decimal_does() {
        for (scale, unscaled, expected, plain) in [
            (0, &[0_u8][..], "0", "0"),
            (2, &[0x04, 0xd2], "12.34", "12.34"),
            (2, &[0xfb, 0x2e], "-12.34", "-12.34"),
            (4, &[0x04, 0xd2], "0.1234", "0.1234"),
            (6, &[0x04, 0xd2], "0.001234", "0.001234"),
            (9, &[0x04, 0xd2], "0.000001234", "0.000001234"),
            (10, &[0x04, 0xd2], "1.234E-7", "0.0000001234"),
            (-3, &[5], "5E+3", "5000"),
            (-3, &[0x04, 0xd2], "1.234E+6", "1234000"),
            (-5, &[0], "0E+5", "0"),
            (3, &[0], "0.000", "0.000"),
            (10, &[0], "0E-10", "0.0000000000"),
            (1, &[10], "1.0", "1.0"),
        ] {
            assert_eq!(decimal(scale, unscaled, false), expected);
            assert_eq!(decimal(scale, unscaled, true), plain);
        }
        assert_eq!(decimal(i32::MIN, &[1], false), "1E+2147483648");
        assert_eq!(decimal(i32::MAX, &[0xff], false), "-1E-2147483647");
        assert_eq!(decimal(i32::MIN, &[0], true), "0");
        let mut out = TextBuffer::default();
        assert!(put_decimal(&mut out, &[0, 0, 0], false, |_| Ok(())).is_err());
        assert!(put_decimal(&mut out, &[0, 0, 0, 0], false, |_| Ok(())).is_err());
        assert_eq!(out.len(), 0);
    }

    #[test]
    fn the_size_of_a_number_is_that_of_its_plain_text() {
        let size = |scale: i32, unscaled: &[u8]| {
            let mut seen = NumberSize::default();
            let mut bytes = scale.to_be_bytes().to_vec();
            bytes.extend(unscaled);
            put_decimal(&mut TextBuffer::default(), &bytes, false, |size| {
                seen = size;
                Ok(())
            })
            .unwrap();
            (seen.integer_digits, seen.scale)
        };
        assert_eq!(size(2, &[0x04, 0xd2]), (2, 2));
        assert_eq!(size(5, &[1]), (0, 5));
        assert_eq!(size(-4, &[1]), (5, 0));
        assert_eq!(size(i32::MIN, &[1]), (2_147_483_649, 0));
        assert_eq!(size(0, &[0]), (0, 0));
    }

    #[test]
    fn varints_of_any_length_have_all_their_digits() {
        let varint = |bytes: &[u8]| text(|out| put_varint(out, bytes, |_| Ok(())).unwrap());
        assert_eq!(varint(&[0x80]), "-128");
        assert_eq!(varint(&[0, 0x80]), "128");
        assert_eq!(varint(&[0x80; 16]), i128::from_be_bytes([0x80; 16]).to_string());
        let long = varint(&[0x7f; 40]);
        assert_eq!(long, BigInt::from_signed_bytes_be(&[0x7f; 40]).to_string());
        assert_eq!(varint(&[0x80; 17]), BigInt::from_signed_bytes_be(&[0x80; 17]).to_string());
        let mut out = TextBuffer::default();
        assert!(put_varint(&mut out, &[], |_| Ok(())).is_err());
        assert!(put_varint(&mut out, &vec![1; MAX_VARINT_LEN + 1], |_| Ok(())).is_err());
    }

    proptest! {
        #[test]
        fn any_double_reads_back_to_its_bits(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let read: f64 = double(value).parse().unwrap();
            prop_assert_eq!(read.to_bits(), value.to_bits());
        }

        #[test]
        fn any_price_is_as_short_as_it_can_be(cents in 0_u32..2_000_000_000) {
            let value = f64::from(cents) / 100.0;
            let ours = double(value);
            let read: f64 = ours.parse().unwrap();
            prop_assert_eq!(read.to_bits(), value.to_bits());
            if (1.0e-3..1.0e7).contains(&value) {
                prop_assert_eq!(&ours, &format!("{value:?}"));
            }
        }

        #[test]
        fn any_float_reads_back_to_its_bits(bits: u32) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let read: f32 = float(value).parse().unwrap();
            prop_assert_eq!(read.to_bits(), value.to_bits());
        }

        #[test]
        fn any_integer_has_its_digits(value: i64) {
            prop_assert_eq!(text(|out| put_i64(out, value)), value.to_string());
        }
    }
}
