//! `cp_pk` and `cp_sk`: composite keys as one text each (`dms-contract.md` 7.3).
//!
//! Components are joined by `#`; `%`, `#` and control characters in them are written `%XX`. `cp_sk` keeps the order of
//! numbers, dates, times and time uuids; descending columns are to be read backwards.

use sha2::{Digest, Sha256};

use super::buffer::TextBuffer;
use super::dates::{DateTables, is_common_millis};
use super::json::{JsonStyle, JsonWriter};
use super::scalar::{Cause, Form, NumberLimit, TimestampForm, Written, fixed, millis, put_scalar};
use super::stats::Notes;
use super::text::{Piece, put_uuid, upper_hex_word, valid_text};
use crate::cql::CqlType;

/// Most bytes of `cp_pk` and `cp_sk`.
pub(super) const PARTITION_LIMIT: KeyLimit = KeyLimit { most: 2048, kept: 1900 };
pub(super) const SORT_LIMIT: KeyLimit = KeyLimit { most: 1024, kept: 900 };
/// The `cp_sk` of a partition without rows: escaped letters occur nowhere else.
pub(super) const STATIC_SORT_KEY: &[u8] = b"%53%54";
/// The `cp_sk` in place of an empty one, which no sort key may be.
pub(super) const EMPTY_SORT_KEY: &[u8] = b"%00";

/// Nested values in keys.
const KEY_JSON: JsonStyle =
    JsonStyle { spaces: false, decimals_as_text: false, signed_years: false };

/// How long a key may be, and how much of a longer one is kept before its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyLimit {
    most: usize,
    kept: usize,
}

/// Two upper-case hexadecimal digits.
fn upper_hex(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

/// Text as a component; the text of other types has nothing to escape.
fn escape(text: &str, out: &mut TextBuffer) {
    let escaped = |b: u8| b == b'%' || b == b'#' || b < 0x20 || b == 0x7f;
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| escaped(b)) {
        let (plain, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.slice(plain);
        let Some((special, behind)) = behind.split_first() else {
            break;
        };
        out.byte(b'%');
        out.array(&upper_hex(*special));
        rest = behind;
    }
    out.slice(rest);
}

/// Writes keys; keeps its memory.
#[derive(Debug, Default)]
pub(super) struct KeyWriter {
    /// The key.
    pub(super) text: TextBuffer,
    piece: TextBuffer,
    notes: Notes,
}

impl KeyWriter {
    /// Starts a key.
    pub(super) fn clear(&mut self) {
        self.text.truncate(0);
    }

    /// Adds a component in the text form of its column.
    pub(super) fn partition_component(
        &mut self,
        index: usize,
        tables: DateTables,
        cql_type: &CqlType,
        bytes: &[u8],
    ) -> Written {
        if index > 0 {
            self.text.byte(b'#');
        }
        self.put_plain(tables, cql_type, bytes)
    }

    /// Adds a component in a text form that sorts as its values do.
    pub(super) fn sort_component(
        &mut self,
        index: usize,
        tables: DateTables,
        cql_type: &CqlType,
        timestamp_as_millis: bool,
        bytes: &[u8],
    ) -> Written {
        if index > 0 {
            self.text.byte(b'#');
        }
        if bytes.is_empty() {
            return Ok(());
        }
        match cql_type {
            CqlType::Tinyint => {
                let value = u8::from_be_bytes(fixed(bytes, "tinyint")?);
                self.put_ordered(u64::from(value ^ 0x80), 2);
            }
            CqlType::Smallint => {
                let value = u16::from_be_bytes(fixed(bytes, "smallint")?);
                self.put_ordered(u64::from(value ^ 0x8000), 4);
            }
            CqlType::Int => {
                let value = u32::from_be_bytes(fixed(bytes, "int")?);
                self.put_ordered(u64::from(value ^ 0x8000_0000), 8);
            }
            CqlType::Bigint => self.put_ordered_i64(fixed(bytes, "bigint")?),
            CqlType::Float => {
                let bits = u32::from_be_bytes(fixed(bytes, "float")?);
                let ordered = if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits };
                self.put_ordered(u64::from(ordered), 8);
            }
            CqlType::Double => {
                let bits = u64::from_be_bytes(fixed(bytes, "double")?);
                let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
                self.put_ordered(ordered, 16);
            }
            CqlType::Timestamp | CqlType::LegacyTimestamp => {
                if timestamp_as_millis || !is_common_millis(millis(bytes)?) {
                    self.put_ordered_i64(fixed(bytes, "timestamp")?);
                } else {
                    self.put_plain(tables, cql_type, bytes)?;
                }
            }
            CqlType::Time => {
                let nanos = i64::from_be_bytes(fixed(bytes, "time")?);
                self.put_ordered(nanos.unsigned_abs(), 16);
            }
            CqlType::Boolean => {
                let [truth] = fixed(bytes, "boolean")?;
                self.text.byte(if truth == 0 { b'0' } else { b'1' });
            }
            CqlType::Timeuuid => {
                let uuid: [u8; 16] = fixed(bytes, "timeuuid")?;
                let [l0, l1, l2, l3, m0, m1, h0, h1, ..] = uuid;
                let time = u64::from_be_bytes([h0 & 0x0f, h1, m0, m1, l0, l1, l2, l3]);
                self.put_ordered(time, 16);
                self.text.byte(b'~');
                put_uuid(&mut self.text, &uuid);
            }
            _ => self.put_plain(tables, cql_type, bytes)?,
        }
        Ok(())
    }

    fn put_ordered_i64(&mut self, bytes: [u8; 8]) {
        self.put_ordered(u64::from_be_bytes(bytes) ^ (1 << 63), 16);
    }

    fn put_ordered(&mut self, value: u64, digits: usize) {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        let low = u32::from_be_bytes([e, f, g, h]);
        match digits {
            16 => {
                self.text.array(&upper_hex_word(u32::from_be_bytes([a, b, c, d])));
                self.text.array(&upper_hex_word(low));
            }
            8 => self.text.array(&upper_hex_word(low)),
            // Of the shorter ones the first digits are the highest.
            fewer => self.text.chunk(&upper_hex_word(low << (32 - 4 * fewer)), fewer),
        }
    }

    /// A value in the text form that it has as a component.
    fn put_plain(&mut self, tables: DateTables, cql_type: &CqlType, bytes: &[u8]) -> Written {
        let form = match cql_type {
            CqlType::Text | CqlType::Ascii => {
                escape(valid_text(bytes, *cql_type == CqlType::Ascii)?, &mut self.text);
                return Ok(());
            }
            CqlType::List { .. }
            | CqlType::Set { .. }
            | CqlType::Map { .. }
            | CqlType::Tuple(_)
            | CqlType::Udt { .. }
            | CqlType::Vector { .. } => {
                self.piece.truncate(0);
                JsonWriter::<false> {
                    out: &mut self.piece,
                    style: KEY_JSON,
                    tables,
                    notes: &mut self.notes,
                }
                .value(cql_type, Piece::new(bytes))?;
                escape(valid_text(self.piece.written(), false)?, &mut self.text);
                return Ok(());
            }
            CqlType::Blob
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => Form::Blob { prefix: false },
            CqlType::Boolean => Form::Boolean,
            CqlType::Tinyint => Form::Tinyint,
            CqlType::Smallint => Form::Smallint,
            CqlType::Int => Form::Int,
            CqlType::Bigint => Form::Bigint,
            CqlType::Counter => Form::Counter,
            CqlType::Float => Form::Float { finite_only: false },
            CqlType::Double => Form::Double { finite_only: false },
            CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => Form::Uuid,
            CqlType::Timestamp | CqlType::LegacyTimestamp => Form::Timestamp(TimestampForm::Iso),
            CqlType::Date => Form::Date { common_only: false },
            CqlType::Time => Form::Time,
            CqlType::Varint => Form::Varint(NumberLimit::None),
            // Plain text would make one of 1E+1 and 10, which are two keys.
            CqlType::Decimal => Form::Decimal { plain: false, limit: NumberLimit::None },
            CqlType::Inet => Form::Inet,
            CqlType::Duration => Form::Duration,
            CqlType::Empty => Form::Empty,
        };
        if bytes.is_empty() {
            return Ok(());
        }
        put_scalar(&mut self.text, tables, form, bytes, &mut self.notes)
    }

    /// Shortens what is too long; true if it was.
    pub(super) fn shorten(&mut self, limit: KeyLimit) -> Result<bool, Cause> {
        if self.text.len() <= limit.most {
            return Ok(false);
        }
        let whole = valid_text(self.text.written(), false)?;
        let mut kept = limit.kept;
        while !whole.is_char_boundary(kept) {
            kept -= 1;
        }
        let hash = Sha256::digest(whole.as_bytes());
        self.text.truncate(kept);
        self.text.byte(b'~');
        super::text::put_hex(&mut self.text, &hash);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(components: &[(CqlType, &[u8])]) -> String {
        let mut keys = KeyWriter::default();
        for (i, (cql_type, bytes)) in components.iter().enumerate() {
            keys.partition_component(i, DateTables::new(), cql_type, bytes).unwrap();
        }
        String::from_utf8(keys.text.take()).unwrap()
    }

    fn sort(cql_type: &CqlType, bytes: &[u8]) -> String {
        let mut keys = KeyWriter::default();
        keys.sort_component(0, DateTables::new(), cql_type, false, bytes).unwrap();
        String::from_utf8(keys.text.take()).unwrap()
    }

    #[test]
    fn the_example_of_the_contract() {
        let day = (18_321_u32 + 2457 + (1 << 31)).to_be_bytes();
        let key = partition(&[(CqlType::Text, b"a#b"), (CqlType::Date, &day)]);
        assert_eq!(key, "a%23b#2026-11-21");
        assert_eq!(sort(&CqlType::Bigint, &10_i64.to_be_bytes()), "800000000000000A");
    }

    #[test]
    fn components_are_escaped_so_that_no_two_keys_are_the_same() {
        let text = |parts: &[&str]| {
            let parts: Vec<_> = parts.iter().map(|p| (CqlType::Text, p.as_bytes())).collect();
            partition(&parts)
        };
        assert_eq!(text(&["a", "", "b"]), "a##b");
        assert_eq!(text(&["%", "\u{1}\u{7f}\n"]), "%25#%01%7F%0A");
        assert_ne!(text(&["a#", "b"]), text(&["a", "#b"]));
        let ten = partition(&[(CqlType::Decimal, &[0, 0, 0, 0, 10])]);
        let one_by_ten = partition(&[(CqlType::Decimal, &[0xff, 0xff, 0xff, 0xff, 1])]);
        assert_ne!(ten, one_by_ten);
        let time = partition(&[(CqlType::Timestamp, &1_577_934_245_678_i64.to_be_bytes())]);
        assert_eq!(time, "2020-01-02T03:04:05.678Z");
        assert_eq!(partition(&[(CqlType::Blob, &[1, 0xab])]), "01ab");
    }

    #[test]
    fn sort_keys_sort_as_their_values() {
        let doubles = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let texts: Vec<_> =
            doubles.iter().map(|d| sort(&CqlType::Double, &d.to_be_bytes())).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        let ints = [i32::MIN, -1, 0, 1, i32::MAX];
        let texts: Vec<_> = ints.iter().map(|v| sort(&CqlType::Int, &v.to_be_bytes())).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert_eq!(sort(&CqlType::Tinyint, &[0x80]), "00");
        assert_eq!(sort(&CqlType::Smallint, &[0, 1]), "8001");
        assert_eq!(sort(&CqlType::Boolean, &[1]), "1");
        assert_eq!(sort(&CqlType::Time, &1_i64.to_be_bytes()), "0000000000000001");
        let uuid = [1, 2, 3, 4, 5, 6, 0x17, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(
            sort(&CqlType::Timeuuid, &uuid),
            "0708050601020304~01020304-0506-1708-090a-0b0c0d0e0f10"
        );
    }

    #[test]
    fn long_keys_end_in_a_hash_of_the_whole() {
        let mut keys = KeyWriter::default();
        let long = "é".repeat(1000);
        keys.sort_component(0, DateTables::new(), &CqlType::Text, false, long.as_bytes()).unwrap();
        assert!(keys.shorten(SORT_LIMIT).unwrap());
        let text = String::from_utf8(keys.text.take()).unwrap();
        assert!(text.starts_with(&"é".repeat(450)));
        assert_eq!(text.len(), 900 + 1 + 64);
        assert!(!keys.shorten(SORT_LIMIT).unwrap());
    }
}
