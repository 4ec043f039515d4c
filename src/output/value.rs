//! One value as JSON, outside of records: for what people look at.

use super::buffer::TextBuffer;
use super::dates::DateTables;
use super::json::{JsonStyle, JsonWriter};
use super::stats::Notes;
use super::text::Piece;
use crate::cql::CqlType;

/// A serialized value as `jsonl` writes it; bytes that are no value of the type as `"0x…"`.
pub fn value_json(cql_type: &CqlType, bytes: &[u8]) -> String {
    let mut out = TextBuffer::default();
    let mut notes = Notes::default();
    out.reserve(bytes.len().saturating_mul(8).saturating_add(64));
    let style = JsonStyle { spaces: true, decimals_as_text: false, signed_years: false };
    let written =
        JsonWriter::<false> { out: &mut out, style, tables: DateTables::new(), notes: &mut notes }
            .value(cql_type, Piece::new(bytes));
    match written {
        Ok(()) => String::from_utf8_lossy(out.written()).into_owned(),
        Err(_) => {
            format!("\"0x{}\"", hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_in_records_and_what_is_none_as_bytes() {
        assert_eq!(value_json(&CqlType::Int, &[0, 0, 0, 7]), "7");
        assert_eq!(value_json(&CqlType::Text, b"a\"b"), r#""a\"b""#);
        assert_eq!(value_json(&CqlType::Int, &[1, 2]), "\"0x0102\"");
        assert_eq!(value_json(&CqlType::Text, &[0xff]), "\"0xff\"");
    }
}
