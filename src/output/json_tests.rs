use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::cql::UdtType;

const REFERENCE: JsonStyle =
    JsonStyle { spaces: true, decimals_as_text: false, signed_years: false };

fn write(
    style: JsonStyle,
    write: impl FnOnce(&mut JsonWriter<'_, false>) -> Written,
) -> Result<String, String> {
    let mut out = TextBuffer::default();
    let mut notes = Notes::default();
    let mut json =
        JsonWriter { out: &mut out, style, tables: DateTables::new(), notes: &mut notes };
    write(&mut json).map_err(Cause::into_words)?;
    Ok(String::from_utf8(out.take()).unwrap())
}

fn json(cql_type: &CqlType, bytes: &[u8]) -> String {
    write(REFERENCE, |json| json.value(cql_type, Piece::new(bytes))).unwrap()
}

fn refused(cql_type: &CqlType, bytes: &[u8]) -> String {
    write(REFERENCE, |json| json.value(cql_type, Piece::new(bytes))).unwrap_err()
}

fn list(element: CqlType) -> CqlType {
    CqlType::List { element: Box::new(element), frozen: true }
}

fn map(key: CqlType, value: CqlType) -> CqlType {
    CqlType::Map { key: Box::new(key), value: Box::new(value), frozen: true }
}

/// Count, then each value with its length; none is null.
fn frozen(count: i32, values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = count.to_be_bytes().to_vec();
    bytes.extend(fields(values));
    bytes
}

fn fields(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        let len = value.map_or(-1, |v| i32::try_from(v.len()).unwrap());
        bytes.extend(len.to_be_bytes());
        bytes.extend(value.unwrap_or_default());
    }
    bytes
}

#[test]
fn scalars_are_written_as_select_json_does() {
    for (cql_type, bytes, expected) in [
        (CqlType::Int, &[0xff; 4][..], "-1"),
        (CqlType::Bigint, &[0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808"),
        (CqlType::Boolean, &[1], "true"),
        (CqlType::Double, &[0x7f, 0xf8, 0, 0, 0, 0, 0, 0], "\"NaN\""),
        (CqlType::Float, &[0x7f, 0x80, 0, 0], "\"Infinity\""),
        (CqlType::Float, &[0x4b, 0x80, 0, 0], "1.6777216E7"),
        (CqlType::Decimal, &[0xff, 0xff, 0xff, 0xfd, 5], "5E+3"),
        (CqlType::Varint, &[1, 0, 0, 0, 0, 0, 0, 0, 0], "18446744073709551616"),
        (CqlType::Blob, &[0xca, 0xfe], "\"0xcafe\""),
        (CqlType::Blob, &[], "\"0x\""),
        (CqlType::Text, &[], "\"\""),
        (CqlType::Int, &[], "\"\""),
        (CqlType::Boolean, &[], "\"\""),
        (CqlType::Inet, &[127, 0, 0, 1], "\"127.0.0.1\""),
        (CqlType::Duration, &[0, 0, 0], "\"0s\""),
        (CqlType::Date, &[0, 0, 0, 0], "\"-5877641-06-23\""),
        (CqlType::Time, &[0; 8], "\"00:00:00.000000000\""),
        (CqlType::Timestamp, &[0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808"),
        (CqlType::Timestamp, &[0; 8], "\"1970-01-01 00:00:00.000Z\""),
        (CqlType::Counter, &[0, 0], "0"),
        (CqlType::Custom("x.Y".into()), &[1], "\"0x01\""),
        (CqlType::Empty, &[], "\"\""),
    ] {
        assert_eq!(json(&cql_type, bytes), expected, "{cql_type}");
    }
    let text = JsonStyle { decimals_as_text: true, ..REFERENCE };
    let varint = write(text, |json| json.value(&CqlType::Varint, Piece::new(&[5]))).unwrap();
    assert_eq!(varint, "\"5\"");
    let signed = JsonStyle { signed_years: true, ..REFERENCE };
    let far = [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let year = write(signed, |json| json.value(&CqlType::Timestamp, Piece::new(&far))).unwrap();
    assert_eq!(year, "\"+292278994-08-17 07:12:55.807Z\"");
}

#[test]
fn strings_are_escaped_as_jackson_does() {
    let text = "a\"b\\c\n\r\t\u{8}\u{c}\u{1}\u{1f}\u{7f}é\u{2028}";
    assert_eq!(
        json(&CqlType::Text, text.as_bytes()),
        "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001F\u{7f}é\u{2028}\""
    );
    assert!(refused(&CqlType::Text, &[b'a', 0xff]).contains("byte 1"));
    assert!(refused(&CqlType::Ascii, "é".as_bytes()).contains("0x7f"));
}

#[test]
fn collections_nest() {
    let numbers = frozen(2, &[Some(&[0, 0, 0, 1]), None]);
    assert_eq!(json(&list(CqlType::Int), &numbers), "[1, null]");
    assert_eq!(json(&list(CqlType::Int), &[0; 4]), "[]");
    let lists = frozen(1, &[Some(&numbers)]);
    assert_eq!(json(&list(list(CqlType::Int)), &lists), "[[1, null]]");
    let entries = frozen(1, &[Some(&[0, 0, 0, 7]), Some(b"x")]);
    assert_eq!(json(&map(CqlType::Int, CqlType::Text), &entries), "{\"7\": \"x\"}");
    let by_list = frozen(1, &[Some(&frozen(1, &[Some(b"a")])), Some(&[1])]);
    assert_eq!(
        json(&map(list(CqlType::Text), CqlType::Boolean), &by_list),
        "{\"[\\\"a\\\"]\": true}"
    );
    let tuple = CqlType::Tuple(vec![CqlType::Int, CqlType::Text, CqlType::Text]);
    assert_eq!(json(&tuple, &fields(&[None, Some(b"x")])), "[null, \"x\", null]");
    assert_eq!(json(&tuple, &[]), "[null, null, null]");
    let compact = JsonStyle { spaces: false, ..REFERENCE };
    let text = write(compact, |json| json.value(&list(CqlType::Int), Piece::new(&numbers)));
    assert_eq!(text.unwrap(), "[1,null]");
}

#[test]
fn user_defined_types_have_their_fields_with_plain_names() {
    let udt = Arc::new(UdtType {
        keyspace: "k".into(),
        name: "u".into(),
        fields: vec![("a".into(), CqlType::Int), ("B c".into(), CqlType::Text)],
    });
    let frozen_udt = CqlType::Udt { udt: Arc::clone(&udt), frozen: true };
    let value = fields(&[Some(&[0, 0, 0, 1])]);
    assert_eq!(json(&frozen_udt, &value), "{\"a\": 1, \"B c\": null}");
    let more = fields(&[None, Some(b"x"), Some(b"of a newer type")]);
    assert_eq!(json(&frozen_udt, &more), "{\"a\": null, \"B c\": \"x\"}");
}

#[test]
fn map_keys_are_strings_whatever_their_type() {
    for (key, bytes, expected) in [
        (CqlType::Boolean, &[0][..], "false"),
        (CqlType::Double, &[0; 8], "0.0"),
        (CqlType::Double, &[0x7f, 0xf8, 0, 0, 0, 0, 0, 0], "NaN"),
        (CqlType::Decimal, &[0, 0, 0, 1, 5], "0.5"),
        (CqlType::Timestamp, &[0; 8], "1970-01-01 00:00:00.000Z"),
        (CqlType::Timestamp, &[0x80, 0, 0, 0, 0, 0, 0, 0], "-9223372036854775808"),
        (CqlType::Int, &[], ""),
        (CqlType::Blob, &[1], "0x01"),
        (CqlType::Uuid, &[0; 16], "00000000-0000-0000-0000-000000000000"),
    ] {
        let value = frozen(1, &[Some(bytes), Some(&[0, 0, 0, 1])]);
        let text = json(&map(key.clone(), CqlType::Int), &value);
        assert_eq!(text, format!("{{\"{expected}\": 1}}"), "{key}");
    }
}

#[test]
fn vectors_have_no_count() {
    let floats = CqlType::Vector { element: Box::new(CqlType::Float), dimension: 2 };
    assert_eq!(json(&floats, &[0x3f, 0x80, 0, 0, 0, 0, 0, 0]), "[1.0, 0.0]");
    let texts = CqlType::Vector { element: Box::new(CqlType::Text), dimension: 2 };
    assert_eq!(json(&texts, &[1, b'a', 2, b'b', b'c']), "[\"a\", \"bc\"]");
    refused(&floats, &[0; 7]);
    refused(&floats, &[0; 12]);
}

#[test]
fn damaged_collections_are_refused_and_cost_nothing() {
    let ints = list(CqlType::Int);
    for bytes in [
        &[0, 0, 0][..],
        &[0xff; 4],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 1, 0, 0, 0, 4, 1],
        &[0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0, 9],
    ] {
        refused(&ints, bytes);
    }
    refused(&map(CqlType::Int, CqlType::Int), &frozen(1, &[None, Some(&[0; 4])]));
}

fn any_type() -> impl Strategy<Value = CqlType> {
    let scalar = prop::sample::select(vec![
        CqlType::Ascii,
        CqlType::Bigint,
        CqlType::Blob,
        CqlType::Boolean,
        CqlType::Counter,
        CqlType::Date,
        CqlType::Decimal,
        CqlType::Double,
        CqlType::Duration,
        CqlType::Empty,
        CqlType::Float,
        CqlType::Inet,
        CqlType::Int,
        CqlType::Smallint,
        CqlType::Text,
        CqlType::Time,
        CqlType::Timestamp,
        CqlType::Timeuuid,
        CqlType::Tinyint,
        CqlType::Varint,
    ]);
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(list),
            (inner.clone(), inner.clone()).prop_map(|(k, v)| map(k, v)),
            prop::collection::vec(inner.clone(), 1..4).prop_map(CqlType::Tuple),
            (inner, 0_u32..4)
                .prop_map(|(e, dimension)| CqlType::Vector { element: Box::new(e), dimension }),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_of_any_type_are_json_or_refused(
        cql_type in any_type(),
        bytes in prop::collection::vec(prop_oneof![0_u8..9, any::<u8>()], 0..60),
    ) {
        let written = write(REFERENCE, |json| json.value(&cql_type, Piece::new(&bytes)));
        if let Ok(text) = written {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
            // Numbers beyond a double are JSON, but not for a reader that makes doubles.
            if let Err(e) = parsed {
                prop_assert!(e.to_string().contains("number out of range"), "{text}: {e}");
            }
        }
    }

    #[test]
    fn any_text_reads_back(text: String) {
        let written = json(&CqlType::Text, text.as_bytes());
        let read: String = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(read, text);
    }
}
