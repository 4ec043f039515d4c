//! CQL's numbers as DECIMAL(precision, scale): 16 bytes, exact or not at all.

use num_bigint::BigInt;

use crate::output::scalar::Cause;
use crate::output::stats::Count;
use crate::output::typed::Fault;

/// Bytes of a number that could have at most 38 digits, leading bytes that repeat the sign not counted.
const MAX_LEN: usize = 16;

/// The integer in `bytes`, if sixteen hold it.
fn integer(bytes: &[u8]) -> Option<i128> {
    let (&first, _) = bytes.split_first()?;
    let filling = if first & 0x80 == 0 { 0 } else { 0xff };
    let surplus = bytes.len().saturating_sub(MAX_LEN);
    let (surplus, kept) = bytes.split_at_checked(surplus)?;
    if surplus.iter().any(|&b| b != filling)
        || kept.first().is_some_and(|b| b & 0x80 != filling & 0x80)
    {
        return None;
    }
    let start = if filling == 0 { 0 } else { -1 };
    Some(kept.iter().fold(start, |value, &b| (value << 8) | i128::from(b)))
}

fn does_not_fit(words: &str, precision: u8, scale: u8) -> Fault {
    Fault::new(Count::RefusedNumbers, format!("{words} does not fit DECIMAL({precision},{scale})"))
}

/// `unscaled` / 10^`from` with the scale of the column.
fn rescaled(unscaled: i128, from: i64, precision: u8, scale: u8) -> Option<i128> {
    if unscaled == 0 {
        return Some(0);
    }
    let shift = i64::from(scale).checked_sub(from)?;
    let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
    let value = if shift >= 0 {
        unscaled.checked_mul(power?)?
    } else {
        // Digits behind the column's last one must be zeros.
        let power = power?;
        if unscaled % power != 0 {
            return None;
        }
        unscaled / power
    };
    (value.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some(value)
}

/// A varint.
pub(super) fn of_varint(bytes: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    integer(bytes).and_then(|value| rescaled(value, 0, precision, scale)).ok_or_else(|| {
        does_not_fit(&format!("a varint of {} bytes", bytes.len()), precision, scale)
    })
}

/// An integer.
pub(super) fn of_integer(value: i64, precision: u8, scale: u8) -> Result<i128, Fault> {
    rescaled(i128::from(value), 0, precision, scale)
        .ok_or_else(|| does_not_fit(&value.to_string(), precision, scale))
}

/// A decimal.
pub(super) fn of_decimal(bytes: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    let Some((from, unscaled)) = bytes.split_first_chunk::<4>() else {
        return Err(Cause::new(format!("a decimal of {} bytes", bytes.len())).into());
    };
    if unscaled.is_empty() {
        return Err(Cause::new("a decimal without digits").into());
    }
    let from = i64::from(i32::from_be_bytes(*from));
    integer(unscaled).and_then(|value| rescaled(value, from, precision, scale)).ok_or_else(|| {
        let number = match unscaled.len() {
            0..=64 => format!("{} with scale {from}", BigInt::from_signed_bytes_be(unscaled)),
            len => format!("a decimal of {len} bytes"),
        };
        does_not_fit(&number, precision, scale)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(unscaled: i128, scale: i32) -> Vec<u8> {
        let mut bytes = scale.to_be_bytes().to_vec();
        bytes.extend(BigInt::from(unscaled).to_signed_bytes_be());
        bytes
    }

    #[test]
    fn numbers_that_fit_are_exact_and_others_are_refused() {
        let of =
            |unscaled, scale, to: (u8, u8)| of_decimal(&decimal(unscaled, scale), to.0, to.1).ok();
        assert_eq!(of(150, 2, (5, 2)), Some(150));
        assert_eq!(of(15, 1, (5, 2)), Some(150));
        assert_eq!(of(1500, 3, (5, 2)), Some(150));
        assert_eq!(of(1501, 3, (5, 2)), None);
        assert_eq!(of(-1, -3, (6, 2)), Some(-100_000));
        assert_eq!(of(-1, -3, (5, 2)), None);
        assert_eq!(of(99_999, 2, (5, 2)), Some(99_999));
        assert_eq!(of(100_000, 2, (5, 2)), None);
        assert_eq!(of(0, i32::MIN, (5, 2)), Some(0));
        assert_eq!(of(1, i32::MIN, (38, 0)), None);
        assert_eq!(of(1, i32::MAX, (38, 0)), None);
        let most = 10_i128.pow(38) - 1;
        assert_eq!(of(most, 0, (38, 0)), Some(most));
        assert_eq!(of(-most, 0, (38, 0)), Some(-most));
        assert_eq!(of(most + 1, 0, (38, 0)), None);
        assert!(of_decimal(&[0, 0, 0, 1], 5, 2).is_err());
        assert!(of_decimal(&[0], 5, 2).is_err());
    }

    #[test]
    fn varints_with_surplus_bytes_are_the_same_numbers() {
        let padded = |filling: u8, last: u8| {
            let mut bytes = vec![filling; 30];
            bytes.push(last);
            bytes
        };
        assert_eq!(of_varint(&padded(0xff, 0xfe), 38, 0).unwrap(), -2);
        assert_eq!(of_varint(&padded(0, 5), 38, 0).unwrap(), 5);
        assert!(of_varint(&[0x7f; 17], 38, 0).is_err());
        assert!(of_varint(&[], 38, 0).is_err());
        assert_eq!(of_integer(-7, 5, 2).unwrap(), -700);
        assert!(of_integer(1000, 5, 2).is_err());
    }
}
