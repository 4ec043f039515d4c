use proptest::prelude::*;

use super::*;
use crate::changes::canonical::{is_canonical, is_canonical_if_written};
use crate::changes::samples::{Tape, cql_type, value};
use crate::output::ValueWriter;

fn text_of(cql_type: &CqlType, bytes: &[u8]) -> Result<String, String> {
    let mut out = Vec::new();
    ValueWriter::default().append(cql_type, bytes, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn bytes_of(cql_type: &CqlType, text: &str) -> Result<Vec<u8>, String> {
    let mut out = vec![9];
    decode(cql_type, text, &mut out)?;
    Ok(out[1..].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn values_of_every_type_read_back_to_their_bytes(choices in proptest::collection::vec(any::<u16>(), 0..200)) {
        let mut t = Tape { choices: &choices, at: 0 };
        let of = cql_type(&mut t, 3, true);
        let bytes = value(&mut t, &of);
        prop_assert!(is_canonical(&of, &bytes), "{of} {bytes:?}");
        let text = text_of(&of, &bytes).unwrap();
        prop_assert_eq!(bytes_of(&of, &text), Ok(bytes), "{} {}", of, text);
    }

    #[test]
    fn what_counts_as_canonical_reads_back(
        choices in proptest::collection::vec(any::<u16>(), 0..60),
        bytes in proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 0..24),
    ) {
        let of = cql_type(&mut Tape { choices: &choices, at: 0 }, 2, true);
        let text = text_of(&of, &bytes);
        if is_canonical_if_written(&of) {
            prop_assert_eq!(is_canonical(&of, &bytes), text.is_ok(), "{}", of);
        }
        let back = text.and_then(|text| bytes_of(&of, &text));
        prop_assert_eq!(is_canonical(&of, &bytes), back == Ok(bytes), "{}", of);
    }

    #[test]
    fn any_text_is_read_or_refused(
        choices in proptest::collection::vec(any::<u16>(), 0..60),
        text in "[-0-9a-z\"\\[\\]{}:, .ETZ]{0,20}",
    ) {
        let of = cql_type(&mut Tape { choices: &choices, at: 0 }, 2, true);
        // What is read can be written again.
        if let Ok(bytes) = bytes_of(&of, &text) {
            prop_assert!(text_of(&of, &bytes).is_ok());
        }
    }
}

#[test]
fn what_is_no_value_of_a_type_is_an_error() {
    let list = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
    let map =
        CqlType::Map { key: Box::new(CqlType::Int), value: Box::new(CqlType::Text), frozen: true };
    for (of, text) in [
        (CqlType::Int, "\"x\""),
        (CqlType::Int, "null"),
        (CqlType::Int, "0x00000001"),
        (CqlType::Int, "4294967296"),
        (CqlType::Blob, "\"00\""),
        (CqlType::Blob, "\"0x0\""),
        (CqlType::Ascii, "\"ü\""),
        (CqlType::Duration, "\"1w\""),
        (CqlType::Duration, "\"99999999999d\""),
        (CqlType::Duration, "\"1\""),
        (CqlType::Counter, "1"),
        (list.clone(), "{}"),
        (list, "[\"x\"]"),
        (map.clone(), "[]"),
        (map, "{\"x\": \"y\"}"),
        (CqlType::Tuple(vec![CqlType::Int, CqlType::Int]), "[1]"),
        (CqlType::Vector { element: Box::new(CqlType::Float), dimension: 2 }, "[1.0]"),
    ] {
        assert!(bytes_of(&of, text).is_err(), "{of} {text}");
    }
}
