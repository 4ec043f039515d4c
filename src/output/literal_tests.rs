use std::sync::Arc;

use super::*;

fn frozen(pieces: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        match piece {
            None => bytes.extend((-1_i32).to_be_bytes()),
            Some(piece) => {
                bytes.extend(i32::try_from(piece.len()).unwrap().to_be_bytes());
                bytes.extend(*piece);
            }
        }
    }
    bytes
}

fn collection(count: i32, pieces: &[Option<&[u8]>]) -> Vec<u8> {
    [&count.to_be_bytes()[..], &frozen(pieces)].concat()
}

fn literal(cql_type: &CqlType, bytes: &[u8]) -> Result<String, RefusalKind> {
    let mut out = TextBuffer::default();
    let mut notes = Notes::default();
    LiteralWriter {
        out: &mut out,
        tables: DateTables::new(),
        notes: &mut notes,
        null_token: b"\\N",
        depth: 0,
    }
    .value(cql_type, Piece::new(bytes))
    .map_err(|cause| cause.refuse(None).kind.unwrap())?;
    Ok(String::from_utf8(out.take()).unwrap())
}

fn list(element: CqlType) -> CqlType {
    CqlType::List { element: Box::new(element), frozen: true }
}

fn map(key: CqlType, value: CqlType) -> CqlType {
    CqlType::Map { key: Box::new(key), value: Box::new(value), frozen: true }
}

fn udt(name: &str, fields: &[(&str, CqlType)]) -> CqlType {
    let fields = fields.iter().map(|(name, field)| ((*name).into(), field.clone())).collect();
    let udt = UdtType { keyspace: "ks".into(), name: name.into(), fields };
    CqlType::Udt { udt: Arc::new(udt), frozen: true }
}

#[test]
fn collections_are_what_cqlsh_takes_apart() {
    let one = collection(1, &[Some(b"it's, [\"odd\"] {x: y}")]);
    assert_eq!(literal(&list(CqlType::Text), &one).unwrap(), "['it''s, [\"odd\"] {x: y}']");
    assert_eq!(literal(&list(CqlType::Text), &collection(0, &[])).unwrap(), "[]");
    let set = CqlType::Set { element: Box::new(CqlType::Int), frozen: true };
    let bytes = collection(2, &[Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 2])]);
    assert_eq!(literal(&set, &bytes).unwrap(), "{1,2}");
    let bytes = collection(1, &[Some(b""), Some(&[1])]);
    assert_eq!(literal(&map(CqlType::Text, CqlType::Boolean), &bytes).unwrap(), "{'':True}");
    let pair = CqlType::Tuple(vec![CqlType::Date, CqlType::Timestamp]);
    let bytes = frozen(&[Some(&[0x80, 0, 0, 0]), Some(&[0xff; 8])]);
    assert_eq!(literal(&pair, &bytes).unwrap(), "('1970-01-01',-1)");
    let point = udt("point", &[("x", CqlType::Int), ("label", CqlType::Text)]);
    assert_eq!(literal(&point, &frozen(&[None, Some(b"a")])).unwrap(), "{label:'a'}");
    assert_eq!(literal(&point, &[]).unwrap(), "{}");
    let vector = CqlType::Vector { element: Box::new(CqlType::Float), dimension: 2 };
    assert_eq!(literal(&vector, &[0, 0, 0, 0, 0x80, 0, 0, 0]).unwrap(), "[0.0,-0.0]");
    assert_eq!(literal(&list(CqlType::Blob), &collection(1, &[Some(b"")])).unwrap(), "[0x]");
}

#[test]
fn what_cqlsh_cannot_read_back_is_refused_by_its_kind() {
    let texts = |text: &[u8]| collection(1, &[Some(text)]);
    let one = |cql_type: CqlType, text: &[u8]| literal(&list(cql_type), &texts(text));
    assert_eq!(one(CqlType::Text, b"a\nb"), Err(RefusalKind::LineEnd));
    assert_eq!(one(CqlType::Text, b"a\r"), Err(RefusalKind::LineEnd));
    assert_eq!(one(CqlType::Text, b"\xff"), Err(RefusalKind::Invalid));
    assert_eq!(one(CqlType::Text, b"\\N").unwrap(), "['\\N']");
    assert_eq!(one(CqlType::Ascii, b"\\N"), Err(RefusalKind::NullToken));
    assert_eq!(one(CqlType::Int, b""), Err(RefusalKind::EmptyValue));
    assert_eq!(one(CqlType::Date, &[0; 4]), Err(RefusalKind::OutOfRange));
    assert_eq!(one(CqlType::Varint, &[1; 1786]), Err(RefusalKind::NumberTooLarge));
    assert!(one(CqlType::Varint, &[1; 1785]).is_ok());
    assert_eq!(one(CqlType::Duration, &[0, 0, 2]), Err(RefusalKind::UnsupportedType));
    let bytes = collection(1, &[Some(b"k"), Some(b"\\N")]);
    let texts = map(CqlType::Text, CqlType::Text);
    assert_eq!(literal(&texts, &bytes), Err(RefusalKind::NullToken));
    let pair = CqlType::Tuple(vec![CqlType::Int, CqlType::Int]);
    let half = frozen(&[Some(&[0, 0, 0, 1])]);
    assert_eq!(literal(&pair, &half), Err(RefusalKind::Null));
    let with_null = frozen(&[Some(&[0, 0, 0, 1]), None]);
    assert_eq!(literal(&pair, &with_null), Err(RefusalKind::Null));
    let named = udt("n", &[("label", CqlType::Text)]);
    assert_eq!(literal(&named, &frozen(&[Some(b"\\N")])), Err(RefusalKind::NullToken));
}

#[test]
fn sets_and_maps_within_values_are_refused_where_their_order_matters() {
    let set = || CqlType::Set { element: Box::new(CqlType::Int), frozen: true };
    let two = collection(2, &[Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 2])]);
    let one = collection(1, &[Some(&[0, 0, 0, 1])]);
    assert!(literal(&set(), &two).is_ok());
    let within = |bytes: &[u8]| literal(&list(set()), &collection(1, &[Some(bytes)]));
    assert_eq!(within(&one).unwrap(), "[{1}]");
    assert_eq!(within(&two), Err(RefusalKind::Unordered));
    let maps = list(map(CqlType::Int, CqlType::Int));
    let entries = |n: u8| {
        let pieces: Vec<[u8; 4]> = (0..2 * n).map(|i| [0, 0, 0, i]).collect();
        let pieces: Vec<Option<&[u8]>> = pieces.iter().map(|piece| Some(&piece[..])).collect();
        collection(1, &[Some(&collection(i32::from(n), &pieces))])
    };
    assert_eq!(literal(&maps, &entries(1)).unwrap(), "[{0:1}]");
    assert_eq!(literal(&maps, &entries(2)), Err(RefusalKind::Unordered));
    let field = udt("t", &[("s", set())]);
    assert_eq!(literal(&field, &frozen(&[Some(&two)])), Err(RefusalKind::Unordered));
}

#[test]
fn types_without_a_way_through_python_are_known_from_the_schema() {
    let vector = || CqlType::Vector { element: Box::new(CqlType::Float), dimension: 2 };
    for supported in [
        list(vector()),
        vector(),
        map(CqlType::Text, list(CqlType::Int)),
        udt("_t", &[("a1_", CqlType::Int)]),
    ] {
        assert_eq!(unsupported_by_cqlsh(&supported), None, "{supported}");
    }
    for not in [
        CqlType::Duration,
        CqlType::Custom("x".into()),
        CqlType::Tuple(vec![CqlType::Int, CqlType::Duration]),
        map(CqlType::Text, vector()),
        CqlType::Set { element: Box::new(CqlType::Tuple(vec![vector()])), frozen: false },
        udt("t", &[("class", CqlType::Int)]),
        udt("t", &[("_a", CqlType::Int)]),
        udt("t", &[("a b", CqlType::Int)]),
        udt("lambda", &[("a", CqlType::Int)]),
    ] {
        assert!(unsupported_by_cqlsh(&not).is_some(), "{not}");
    }
}
