//! Known encodings, and the order of encodings against that of the values.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::cql::{UdtType, compare_values};

fn encode(cql_type: &CqlType, value: &[u8]) -> Option<Vec<u8>> {
    let mut out = b"before".to_vec();
    let written = write_byte_comparable(cql_type, value, &mut out).unwrap();
    assert_eq!(written, out.len() > 6, "{cql_type} {value:x?}");
    written.then(|| out.split_off(6))
}

fn hex(cql_type: &CqlType, value: &[u8]) -> String {
    hex_simd::encode_to_string(encode(cql_type, value).unwrap(), hex_simd::AsciiCase::Lower)
}

fn decimal(scale: i32, unscaled: &[u8]) -> Vec<u8> {
    [&scale.to_be_bytes()[..], unscaled].concat()
}

/// From `ByteComparable.md` and the comments of `DecimalType` and `ByteSource`.
#[test]
fn known_values_have_the_encodings_that_cassandra_documents() {
    for (value, expected) in [
        (0, "80"),
        (1, "81"),
        (-1, "7f"),
        (63, "bf"),
        (64, "c040"),
        (-64, "40"),
        (-65, "3fbf"),
        (8191, "dfff"),
        (8192, "e02000"),
        (i64::MAX, "ffffffffffffffffff"),
        (i64::MIN, "000000000000000000"),
        (i64::MIN + 1, "000000000000000001"),
    ] {
        assert_eq!(hex(&CqlType::Bigint, &value.to_be_bytes()), expected, "{value}");
    }
    for (value, expected) in [
        (&b""[..], "00"),
        (b"ab", "616200"),
        (b"a\0", "6100fe"),
        (b"a\0b", "6100ff6200"),
        (b"\0\0\0", "00fefefe"),
        (b"\0\0\0a", "00fefeff6100"),
    ] {
        assert_eq!(hex(&CqlType::Blob, value), expected, "{value:?}");
    }
    for (value, expected) in [
        (decimal(5, &[0]), "80"),
        (decimal(1, &[11]), "c101818a00"),
        (decimal(0, &[0xff]), "3fff7f00"),
        (decimal(1, &[0xfc, 0x19]), "3fff1c8a00"),
        (decimal(-4, &[0xff]), "3ffd7f00"),
        (decimal(2, &[1]), "c08100"),
        (decimal(4, &[1]), "bfff8100"),
    ] {
        assert_eq!(hex(&CqlType::Decimal, &value), expected, "{value:x?}");
    }
    // 2^1024 and -2^2048, the rows of the document that the code writes.
    let power = [&[1][..], &[0; 128]].concat();
    let expected = format!("ff7a01{}", "00".repeat(128));
    assert_eq!(hex(&CqlType::Varint, &power), expected);
    let power = [&[0xff][..], &[0; 256]].concat();
    let expected = format!("007f06{}", "00".repeat(256));
    assert_eq!(hex(&CqlType::Varint, &power), expected);
    assert_eq!(hex(&CqlType::Varint, &[0, 0, 64]), "c040");
    let uuid = |text: &str| *uuid::Uuid::parse_str(text).unwrap().as_bytes();
    let time = uuid("50554d6e-29bb-11e5-b345-feff819cdc9f");
    assert_eq!(hex(&CqlType::Timeuuid, &time), "11e529bb50554d6e33c57e7f011c5c1f");
    assert_eq!(hex(&CqlType::Uuid, &time), "11e529bb50554d6eb345feff819cdc9f");
    let random = uuid("62c36092-82a1-4a00-93d1-46196ee77204");
    assert_eq!(hex(&CqlType::Uuid, &random), "462c3609282a1a0093d146196ee77204");
}

#[test]
fn what_has_no_bytes_or_no_order_says_so() {
    for cql_type in [CqlType::Int, CqlType::Varint, CqlType::Uuid, CqlType::Date, CqlType::Boolean]
    {
        assert_eq!(encode(&cql_type, b""), None, "{cql_type}");
    }
    assert_eq!(encode(&CqlType::Inet, b"").unwrap(), [0]);
    let mut out = Vec::new();
    for (cql_type, value) in [
        (CqlType::Duration, &[1, 2, 3][..]),
        (CqlType::Custom("org.example.Mine".into()), b"x"),
        (CqlType::Int, b"123"),
        (CqlType::Decimal, b"123"),
        (CqlType::List { element: Box::new(CqlType::Int), frozen: true }, &[0, 0, 0, 9]),
        (CqlType::Vector { element: Box::new(CqlType::Int), dimension: 2 }, &[0; 9]),
    ] {
        assert_eq!(
            write_byte_comparable(&cql_type, value, &mut out),
            Err(NotByteComparable),
            "{cql_type}"
        );
    }
    let mut deep = CqlType::Int;
    for _ in 0..200 {
        deep = CqlType::List { element: Box::new(deep), frozen: true };
    }
    let nested = (0..199_u32).rev().flat_map(|left| {
        let len = 8 * left + 4;
        [[0, 0, 0, 1], len.to_be_bytes()].concat()
    });
    let nested: Vec<u8> = nested.chain([0; 4]).collect();
    assert!(write_byte_comparable(&deep, &nested, &mut Vec::new()).is_err());
}

/// Bytes that are often zero, all ones, or at a border.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(0xff), Just(0x80), Just(0x7f), Just(1), any::<u8>()]
}

fn bytes(len: impl Into<proptest::collection::SizeRange>) -> BoxedStrategy<Vec<u8>> {
    proptest::collection::vec(byte(), len).boxed()
}

/// A type, and two values of it.
fn type_and_values() -> impl Strategy<Value = (CqlType, Vec<u8>, Vec<u8>)> {
    let of = |cql_type: CqlType, values: BoxedStrategy<Vec<u8>>| {
        (Just(cql_type), values.clone(), values).boxed()
    };
    let decimals = (-9..9_i32, bytes(1..12)).prop_map(|(scale, v)| decimal(scale, &v)).boxed();
    let element = |v: Vec<u8>| [&u32::try_from(v.len()).unwrap().to_be_bytes()[..], &v].concat();
    let list = |values: BoxedStrategy<Vec<u8>>| {
        proptest::collection::vec(values, 0..4)
            .prop_map(move |values| {
                let count = u32::try_from(values.len()).unwrap();
                [
                    &count.to_be_bytes()[..],
                    &values.into_iter().flat_map(element).collect::<Vec<_>>(),
                ]
                .concat()
            })
            .boxed()
    };
    let field = |values: BoxedStrategy<Vec<u8>>| {
        prop_oneof![values.prop_map(element), Just(vec![0xff; 4])].boxed()
    };
    let tuple =
        (field(bytes(4)), field(bytes(0..4)), 0..3_usize).prop_map(|(a, b, fields)| match fields {
            0 => a,
            _ => [a, b].concat(),
        });
    let udt = Arc::new(UdtType {
        keyspace: "ks".into(),
        name: "t".into(),
        fields: vec![("a".into(), CqlType::Int), ("b".into(), CqlType::Blob)],
    });
    let boxed = |t: CqlType| Box::new(t);
    prop_oneof![
        of(CqlType::Blob, bytes(0..8)),
        of(CqlType::Boolean, prop_oneof![Just(vec![0]), Just(vec![1])].boxed()),
        of(CqlType::Tinyint, bytes(1)),
        of(CqlType::Smallint, bytes(2)),
        of(CqlType::Int, bytes(4)),
        of(CqlType::Timestamp, bytes(8)),
        of(CqlType::LegacyTimestamp, bytes(8)),
        of(CqlType::Date, bytes(4)),
        of(CqlType::Time, bytes(8)),
        of(CqlType::Bigint, bytes(8)),
        of(
            CqlType::Bigint,
            (any::<i64>(), 0..64_u32).prop_map(|(v, s)| (v >> s).to_be_bytes().to_vec()).boxed()
        ),
        of(CqlType::Float, bytes(4)),
        of(CqlType::Double, bytes(8)),
        of(CqlType::Varint, bytes(1..12)),
        of(CqlType::Varint, bytes(120..150)),
        of(CqlType::Decimal, decimals.clone()),
        of(CqlType::Uuid, bytes(16)),
        of(CqlType::Timeuuid, bytes(16)),
        of(CqlType::LexicalUuid, bytes(16)),
        of(CqlType::List { element: boxed(CqlType::Varint), frozen: true }, list(bytes(1..4))),
        of(CqlType::Set { element: boxed(CqlType::Blob), frozen: true }, list(bytes(0..4))),
        of(CqlType::Tuple(vec![CqlType::Int, CqlType::Blob]), tuple.clone().boxed()),
        of(CqlType::Udt { udt, frozen: true }, tuple.boxed()),
        of(CqlType::Vector { element: boxed(CqlType::Float), dimension: 2 }, bytes(8)),
    ]
}

/// True for a NaN, all of which are one value to Java's comparison and many to its encoding.
fn has_nan(cql_type: &CqlType, value: &[u8]) -> bool {
    match cql_type {
        CqlType::Float => f32::from_be_bytes(value.try_into().unwrap()).is_nan(),
        CqlType::Double => f64::from_be_bytes(value.try_into().unwrap()).is_nan(),
        CqlType::Vector { .. } => value.chunks(4).any(|v| has_nan(&CqlType::Float, v)),
        _ => false,
    }
}

/// What can stand behind a component: a bound, the end, or a separator.
const SEPARATORS: [u8; 7] = [0x20, 0x38, 0x3e, 0x3f, 0x40, 0x41, 0x60];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn encodings_have_the_order_of_their_values((cql_type, a, b) in type_and_values()) {
        prop_assume!(!has_nan(&cql_type, &a) && !has_nan(&cql_type, &b));
        let (one, other) = (encode(&cql_type, &a).unwrap(), encode(&cql_type, &b).unwrap());
        let order = compare_values(&cql_type, &a, &b);
        prop_assert_eq!(one.cmp(&other), order, "{} {:x?} {:x?}: {:x?} {:x?}", cql_type, a, b, one, other);
        // Whatever stands behind a component does not change the order, and inverting it all turns the order round.
        for (behind, behind_other) in SEPARATORS.iter().flat_map(|a| SEPARATORS.map(|b| (*a, b))) {
            let with = |bytes: &[u8], behind: u8, flip: u8| {
                bytes.iter().map(|byte| byte ^ flip).chain([behind]).collect::<Vec<u8>>()
            };
            if order.is_ne() {
                let up = with(&one, behind, 0).cmp(&with(&other, behind_other, 0));
                let down = with(&one, behind, 0xff).cmp(&with(&other, behind_other, 0xff));
                prop_assert_eq!((up, down), (order, order.reverse()), "{:x?} {:x?}", one, other);
            }
        }
    }
}
