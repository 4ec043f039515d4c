use proptest::prelude::*;

use super::*;

fn style(null_token: &str) -> CsvStyle {
    CsvStyle {
        null_token: null_token.as_bytes().into(),
        quote_leading_nul: null_token.is_empty(),
        quote_empty: false,
        cqlsh: false,
        json: JsonStyle { spaces: false, decimals_as_text: true, signed_years: true },
    }
}

fn field(style: &CsvStyle, form: Form, cql_type: &CqlType, bytes: &[u8]) -> (String, usize, u64) {
    let mut out = TextBuffer::default();
    let mut notes = Notes::default();
    let tables = DateTables::new();
    style.put_field(&mut out, tables, form, cql_type, Piece::new(bytes), &mut notes).unwrap();
    let surplus = out.surplus;
    let counted = notes.counters.text_equal_to_null_token + notes.counters.empty_values;
    (String::from_utf8(out.take()).unwrap(), surplus, counted)
}

fn text(style: &CsvStyle, value: &str) -> String {
    field(style, Form::Text { ascii: false }, &CqlType::Text, value.as_bytes()).0
}

#[test]
fn a_field_is_quoted_only_if_it_must_be() {
    let dms = style("\\N");
    for (value, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("two words", "two words"),
        ("comma,", "\"comma,\""),
        ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("line\nbreak", "\"line\nbreak\""),
        ("return\r", "\"return\r\""),
        (" leading", "\" leading\""),
        ("trailing ", "\"trailing \""),
        ("\ttab", "\"\ttab\""),
        ("\\N", "\"\\N\""),
        ("\\", "\\"),
        ("é", "é"),
        ("\0x", "\0x"),
        ("0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789"),
        (
            "012345678901234567890123456789012345678,",
            "\"012345678901234567890123456789012345678,\"",
        ),
    ] {
        assert_eq!(text(&dms, value), expected);
    }
    let csv = style("");
    assert_eq!(text(&csv, ""), "\"\"");
    assert_eq!(text(&csv, "\0x"), "\"\0x\"");
    assert_eq!(text(&csv, "\\N"), "\\N");
}

#[test]
fn text_equal_to_the_token_and_empty_values_are_counted() {
    let dms = style("\\N");
    let counted = |form, cql_type: &CqlType, bytes: &[u8]| field(&dms, form, cql_type, bytes).2;
    assert_eq!(counted(Form::Text { ascii: false }, &CqlType::Text, b"\\N"), 1);
    assert_eq!(counted(Form::Text { ascii: false }, &CqlType::Text, b""), 0);
    assert_eq!(counted(Form::Int, &CqlType::Int, b""), 1);
    assert_eq!(field(&dms, Form::Int, &CqlType::Int, b"").0, "\\N");
    assert_eq!(counted(Form::Blob { prefix: false }, &CqlType::Blob, b""), 0);
    assert_eq!(field(&dms, Form::Blob { prefix: false }, &CqlType::Blob, b"").0, "");
    assert_eq!(field(&style(""), Form::Blob { prefix: true }, &CqlType::Blob, b"").0, "0x");
}

#[test]
fn json_is_quoted_where_it_has_commas_or_quotes_and_its_length_is_known() {
    let ints = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
    let one = [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 5];
    let two = [0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0, 6];
    let csv = style("");
    assert_eq!(field(&csv, Form::Json, &ints, &one), ("[5]".into(), 0, 0));
    assert_eq!(field(&csv, Form::Json, &ints, &two), ("\"[5,6]\"".into(), 2, 0));
    let texts = CqlType::List { element: Box::new(CqlType::Text), frozen: true };
    let value = [0, 0, 0, 1, 0, 0, 0, 2, b'a', b'"'];
    let (quoted, surplus, _) = field(&csv, Form::Json, &texts, &value);
    assert_eq!(quoted, r#""[""a\""""]""#);
    assert_eq!(quoted.len() - surplus, r#"["a\""]"#.len());
}

proptest! {
    #[test]
    fn any_fields_read_back_with_the_csv_crate(
        values in prop::collection::vec("[a-c,\"\n\r\\\\ \t\0é]{0,40}", 1..6),
        dms: bool,
    ) {
        let style = style(if dms { "\\N" } else { "" });
        let line = values.iter().map(|v| text(&style, v)).collect::<Vec<_>>().join(",") + "\n";
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line.as_bytes());
        let records: Vec<_> = reader.records().map(Result::unwrap).collect();
        if values.len() > 1 || !values[0].is_empty() || !dms {
            prop_assert_eq!(records.len(), 1);
            prop_assert_eq!(records[0].iter().collect::<Vec<_>>(), values);
        }
    }

    #[test]
    fn json_in_a_field_reads_back_as_the_json_outside_of_one(
        values in prop::collection::vec("[a-c,\"\n\\\\é]{0,40}", 0..6),
    ) {
        let texts = CqlType::Set { element: Box::new(CqlType::Text), frozen: true };
        let mut bytes = u32::try_from(values.len()).unwrap().to_be_bytes().to_vec();
        for value in &values {
            bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            bytes.extend(value.as_bytes());
        }
        let (line, surplus, _) = field(&style(""), Form::Json, &texts, &bytes);
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        prop_assert_eq!(record.len(), 1);
        prop_assert_eq!(record[0].len(), line.len() - surplus);
        let read: Vec<String> = serde_json::from_str(&record[0]).unwrap();
        prop_assert_eq!(read, values);
    }
}
