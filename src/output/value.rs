//! One value as JSON, outside of records: for what people look at.

use super::json_text::JsonText;
use crate::cql::CqlType;

/// A serialized value as `jsonl` writes it; bytes that are no value of the type as `"0x…"`.
pub fn value_json(cql_type: &CqlType, bytes: &[u8]) -> String {
    let mut out = JsonText::default();
    match out.value(cql_type, bytes) {
        Ok(()) => String::from_utf8_lossy(out.written()).into_owned(),
        Err(_) => {
            format!("\"0x{}\"", hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower))
        }
    }
}

/// Writes values as `jsonl` does, one after the other, to bytes of others; its memory is reused.
#[derive(Debug, Default)]
pub struct ValueWriter {
    text: JsonText,
}

impl ValueWriter {
    /// Appends the serialized value `bytes` of `cql_type` to `out`. If they are no value of the type, `out` is left as it
    /// is; the error says why.
    pub fn append(
        &mut self,
        cql_type: &CqlType,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        self.text.truncate(0);
        self.text.value(cql_type, bytes)?;
        out.extend_from_slice(self.text.written());
        Ok(())
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

    #[test]
    fn values_follow_each_other_and_what_is_none_leaves_nothing() {
        let (mut writer, mut out) = (ValueWriter::default(), b"[".to_vec());
        writer.append(&CqlType::Int, &[0, 0, 0, 7], &mut out).unwrap();
        writer.append(&CqlType::Int, &[1, 2], &mut out).unwrap_err();
        writer.append(&CqlType::Text, b"a", &mut out).unwrap();
        assert_eq!(out, b"[7\"a\"");
    }
}
