//! DynamoDB's numbers: at most 38 significant digits, magnitudes of 1E-130 to 9.99…E+125, and zero.

/// Significant digits of a number.
const MAX_DIGITS: usize = 38;
/// Exponents of the first digit.
const LEAST_EXPONENT: i64 = -130;
const GREATEST_EXPONENT: i64 = 125;

/// A number as DynamoDB compares it: two texts of one number give the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Canonical {
    negative: bool,
    /// Exponent of the first digit.
    exponent: i64,
    /// Digits without zeros at either end; none for zero, which has no sign.
    digits: Vec<u8>,
}

impl Canonical {
    /// Reads `-1.50E+10` and the like; none for what is no number (`NaN`).
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, rest) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, text),
        };
        let mark = rest.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(rest.len());
        let (mantissa, exponent) = rest.split_at_checked(mark)?;
        let exponent: i64 = match exponent.split_first() {
            None => 0,
            Some((_, digits)) => std::str::from_utf8(digits).ok()?.parse().ok()?,
        };
        let point = mantissa.iter().position(|&b| b == b'.').unwrap_or(mantissa.len());
        let mut digits: Vec<u8> = mantissa.iter().copied().filter(|&b| b != b'.').collect();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = digits.iter().take_while(|&&b| b == b'0').count();
        digits.drain(..zeros);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits });
        }
        let before_point = i64::try_from(point).ok()?.checked_sub(i64::try_from(zeros).ok()?)?;
        let exponent = exponent.checked_add(before_point)?.checked_sub(1)?;
        Some(Self { negative, exponent, digits })
    }

    /// True if DynamoDB has this number.
    pub(super) fn fits(&self) -> bool {
        self.digits.is_empty()
            || self.digits.len() <= MAX_DIGITS
                && (LEAST_EXPONENT..=GREATEST_EXPONENT).contains(&self.exponent)
    }

    /// Bytes that it counts in an item: one for two digits, one more, and one for a sign.
    pub(super) fn size(&self) -> usize {
        self.digits.len().div_ceil(2) + 1 + usize::from(self.negative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Canonical {
        Canonical::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn texts_of_one_number_are_the_same() {
        for (a, b) in [
            ("1.0", "1"),
            ("100", "1.00E+2"),
            ("-0.0", "0"),
            ("0E+400", "0"),
            ("0.0010", "1E-3"),
            ("-12.50", "-0.1250E2"),
        ] {
            assert_eq!(number(a), number(b), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("1", "10"), ("0.1", "0.01"), ("1.5", "15")] {
            assert_ne!(number(a), number(b), "{a} {b}");
        }
    }

    #[test]
    fn digits_and_magnitudes_have_limits() {
        for text in [
            "0",
            "99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999000",
            "9.99E125",
            "1E-130",
            "0.00E-5000",
        ] {
            assert!(number(text).fits(), "{text}");
        }
        for text in [
            "100000000000000000000000000000000000001",
            "1E126",
            "9.9E-131",
            "1.7976931348623157E308",
        ] {
            assert!(!number(text).fits(), "{text}");
        }
        for text in ["NaN", "Infinity", "-Infinity", "", "-", "1E", "1x"] {
            assert!(Canonical::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_guide() {
        assert_eq!((number("0").size(), number("7").size(), number("-123").size()), (1, 2, 4));
    }
}
