use uuid::Uuid;

use super::*;
use crate::rows::{LivenessInfo, LocalDeletionTime, NO_TTL, UpdateContent};
use crate::schema::parse_schema;

fn id(number: u128) -> TableId {
    TableId(Uuid::from_u128(0x1000_0000_0000_1000_8000_0000_0000_0000 + number))
}

fn table(text: &str) -> Arc<TableMetadata> {
    Arc::new(parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone())
}

fn plain_table() -> Arc<TableMetadata> {
    table("CREATE TABLE ks.t (k blob PRIMARY KEY, v blob);")
}

fn vbytes(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let head = match len {
        0..0x80 => vec![low],
        0x80..0x4000 => vec![0x80 | high, low],
        _ => vec![0xc0, high, low],
    };
    [head, bytes.to_vec()].concat()
}

/// An update of table `number` with one row that has `value` in its column `v`.
fn update(number: u128, key: &[u8], value: &[u8]) -> Vec<u8> {
    let head = [id(number).0.as_bytes().to_vec(), vbytes(key)].concat();
    let row = [&b"\x10\0\0\0\x01\x01v\x01\x24\0\x08"[..], &vbytes(value), &[1]].concat();
    [head, row].concat()
}

fn mutation(updates: &[Vec<u8>]) -> Vec<u8> {
    [vec![u8::try_from(updates.len()).unwrap()], updates.concat()].concat()
}

/// Decodes with tables below 10 known.
fn decode(payload: &[u8]) -> Result<Mutation, MutationError> {
    let known = plain_table();
    let lookup = |wanted: TableId| (0..10).any(|n| id(n) == wanted).then(|| Arc::clone(&known));
    MutationDecoder::new(LogVersion::V40).decode(payload, &lookup)
}

fn values(mutation: &Mutation) -> Vec<Vec<u8>> {
    let rows = mutation.updates.iter().flat_map(|u| u.content.iter().map(move |c| (c, u)));
    let values = rows.map(|(content, update)| match content {
        UpdateContent::Row(row) => row.cells[0].value.of(&update.data).to_vec(),
        UpdateContent::Marker(..) => unreachable!(),
    });
    values.collect()
}

#[test]
fn every_update_of_a_mutation_is_decoded() {
    for key in [vec![], b"k".to_vec(), vec![7; 127], vec![7; 128], vec![7; 20_000]] {
        let payload = mutation(&[update(1, &key, b"one"), update(2, &key, b"two")]);
        let found = decode(&payload).unwrap();
        assert_eq!(found.key, key);
        assert_eq!(values(&found), [b"one", b"two"]);
        assert!(found.unknown.is_empty() && found.not_reached == 0);
        for len in 0..payload.len() {
            assert!(decode(&payload[..len]).is_err(), "{len}");
        }
        assert!(decode(&[&payload[..], &[0]].concat()).is_err());
        let peek = MutationPeek::read(LogVersion::V40, &payload).unwrap();
        assert_eq!((peek.updates, peek.first, peek.key), (2, id(1), &key[..]));
        assert!(peek.may_be_of(&|t| t == id(2)) && peek.may_be_of(&|t| t == id(1)));
        assert!(!peek.may_be_of(&|t| t == id(3)));
    }
}

#[test]
fn unknown_tables_are_passed_by() {
    let key = b"key";
    let (known, unknown) = (|n, v: &[u8]| update(n, key, v), |n| update(n, key, b"?"));
    for (updates, expected, unknown_ids, not_reached) in [
        (vec![unknown(10)], vec![], vec![10], 0),
        (vec![known(1, b"a"), unknown(10)], vec!["a"], vec![10], 0),
        (vec![unknown(10), known(1, b"a")], vec!["a"], vec![10], 0),
        (vec![known(1, b"a"), unknown(10), known(2, b"b")], vec!["a", "b"], vec![10], 0),
        (vec![unknown(10), known(1, b"a"), unknown(11)], vec!["a"], vec![10, 11], 0),
        (
            vec![unknown(10), known(1, b"a"), unknown(11), known(2, b"b")],
            vec!["a", "b"],
            vec![10, 11],
            0,
        ),
        // The second unknown one cannot be found, but is passed by too.
        (vec![unknown(10), unknown(11), known(1, b"a")], vec!["a"], vec![10], 0),
        (vec![unknown(10), unknown(11)], vec![], vec![10], 1),
        (vec![unknown(10), known(1, b"a"), unknown(11), unknown(12)], vec!["a"], vec![10, 11], 1),
    ] {
        let found = decode(&mutation(&updates)).unwrap();
        let expected: Vec<Vec<u8>> =
            expected.iter().map(|v: &&str| v.as_bytes().to_vec()).collect();
        assert_eq!(values(&found), expected);
        assert_eq!(found.unknown, unknown_ids.into_iter().map(id).collect::<Vec<_>>());
        assert_eq!(found.not_reached, not_reached);
    }
}

#[test]
fn mutations_in_the_memory_of_others_are_as_if_they_were_new() {
    let known = plain_table();
    let lookup = |wanted: TableId| (0..10).any(|n| id(n) == wanted).then(|| Arc::clone(&known));
    let mut decoder = MutationDecoder::new(LogVersion::V40);
    let of = |key: &[u8], numbers: &[u128]| {
        let updates = numbers.iter().map(|&n| update(n, key, format!("{n}").as_bytes()));
        mutation(&updates.collect::<Vec<_>>())
    };
    for payload in [
        of(b"first", &[1, 2, 3]),
        of(b"k", &[4, 10, 5]),
        of(b"", &[6]),
        of(&[7; 300], &[10]),
        of(&vec![8; MAX_SPARE - 1], &[7, 8]),
        of(b"last", &[9, 1]),
    ] {
        let (found, fresh) =
            (decoder.decode(&payload, &lookup).unwrap(), decode(&payload).unwrap());
        assert_eq!((&found.key, values(&found)), (&fresh.key, values(&fresh)));
        assert_eq!((&found.unknown, found.not_reached), (&fresh.unknown, fresh.not_reached));
        assert!(found.updates.iter().all(|update| update.key == fresh.key));
        let kept = if found.key.len() < MAX_SPARE - 1 { found.updates.len() } else { 0 };
        decoder.recycle(found);
        assert_eq!(decoder.spare.updates.len(), kept);
    }
}

/// Bytes within an unknown update that look like the beginning of a known one.
#[test]
fn what_only_looks_like_an_update_is_not_taken_for_one() {
    let key = b"key";
    let inner = update(1, key, b"inner");
    let payload = mutation(&[update(10, key, &inner[..inner.len() - 3]), update(2, key, b"real")]);
    let found = decode(&payload).unwrap();
    assert_eq!(values(&found), [b"real"]);
    // With nothing behind it that decodes, it is an error and not a guess.
    let payload = mutation(&[update(10, key, &inner), update(11, key, b"?")]);
    assert!(decode(&payload).is_err());
    // Many places to try.
    let decoys = [id(1).0.as_bytes(), &vbytes(key)[..]].concat().repeat(3000);
    let payload = mutation(&[update(10, key, &decoys), update(11, key, &decoys)]);
    assert!(decode(&payload).is_err());
}

#[test]
fn what_is_no_mutation_is_an_error() {
    let other_key = mutation(&[update(1, b"a", b"1"), update(2, b"b", b"2")]);
    let error = decode(&other_key).unwrap_err().to_string();
    assert!(error.contains("another partition"), "{error}");
    let mut payload = mutation(&[update(1, b"a", b"1")]);
    for count in [0, 2, 0x7f, 0xff] {
        payload[0] = count;
        assert!(decode(&payload).is_err(), "{count}");
        assert!(count == 2 || MutationPeek::read(LogVersion::V40, &payload).is_err());
    }
    payload[0] = 1;
    let at = payload.iter().position(|&b| b == b'v').unwrap();
    payload[at] = b'w';
    match decode(&payload).unwrap_err() {
        MutationError::UnknownColumn { id: found, table, column } => {
            assert_eq!((found, table.as_str(), column.name.as_str()), (id(1), "ks.t", "w"));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn no_flipped_bit_of_a_mutation_panics() {
    let key = b"key";
    let payload =
        mutation(&[update(10, key, b"?"), update(1, key, b"a"), update(2, key, &[5; 200])]);
    for bit in 0..payload.len() * 8 {
        let mut payload = payload.clone();
        payload[bit / 8] ^= 1 << (bit % 8);
        if let Ok(found) = decode(&payload) {
            values(&found);
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex_simd::decode_to_vec(text.replace([' ', '\n'], "")).unwrap()
}

/// Mutations of real logs: an INSERT of 3.0.13 and an UPDATE in the form of 3.4.
#[test]
fn mutations_of_real_logs() {
    let standard = table(
        "CREATE TABLE ks.t (key ascii, col ascii, val blob, val0 blob, PRIMARY KEY (key, col));",
    );
    let lookup = |_| Some(Arc::clone(&standard));
    let insert = hex("01 26be17107cb911ee9fce59fe9713701b 10 616c6c2061757468656e746963617465 10
         fce932d444b830 00 00 02 03 76616c 04 76616c30 01 04 00 05 6e616d6530 00 02 0c 01");
    let found = MutationDecoder::new(LogVersion::V30).decode(&insert, &lookup).unwrap();
    assert_eq!(found.key, b"all authenticate");
    let [update] = &found.updates[..] else { panic!() };
    assert!(update.deletion.is_live() && update.static_row.is_none());
    let [UpdateContent::Row(row)] = &update.content[..] else { panic!() };
    assert_eq!(row.clustering[0].bytes(&update.data), Some(&b"name0"[..]));
    let timestamp = 1_699_284_518_910_000;
    assert_eq!(row.liveness, LivenessInfo { timestamp, ..LivenessInfo::NONE });
    let [cell] = &row.cells[..] else { panic!() };
    assert_eq!((cell.column, cell.timestamp, cell.ttl), (0, timestamp, NO_TTL));
    assert_eq!(cell.local_deletion_time, LocalDeletionTime::NONE);
    assert!(cell.value.of(&update.data).is_empty());

    let overwrite =
        hex("01 26be17107cb911ee9fce59fe9713701b 01 61 10 fce932d444b830 00 00 01 03 76616c
         01 20 00 05 6e616d6530 04 00 01");
    let found = MutationDecoder::new(LogVersion::V30).decode(&overwrite, &lookup).unwrap();
    let [UpdateContent::Row(row)] = &found.updates[0].content[..] else { panic!() };
    assert!(row.liveness.is_empty());
    assert_eq!(row.cells[0].timestamp, timestamp);
}

/// Two tables of 2.2, of which one is known.
#[test]
fn mutations_of_2_x_become_updates() {
    let family = |number: u128, value: &[u8]| {
        let head = [&[1], &id(number).0.as_bytes()[..], &[0x7f, 0xff, 0xff, 0xff, 0x80]].concat();
        // No deletion, no ranges, one cell: an empty component for the row's prefix is not there without clustering.
        let rest = [&[0; 7][..], &[0; 4], &[0, 0, 0, 1], &[0, 4, 0, 1, b'v', 0], &[0]].concat();
        let time = 77_i64.to_be_bytes();
        let len = u32::try_from(value.len()).unwrap().to_be_bytes();
        [&head[..], &rest, &time, &len, value].concat()
    };
    let payload =
        [&[0, 1, b'k', 0, 0, 0, 2][..], &family(10, b"unknown"), &family(1, b"known")].concat();
    let known = plain_table();
    let lookup = |wanted: TableId| (wanted == id(1)).then(|| Arc::clone(&known));
    let mut decoder = MutationDecoder::new(LogVersion::V22);
    for _ in 0..2 {
        let found = decoder.decode(&payload, &lookup).unwrap();
        assert_eq!((found.key.as_slice(), found.unknown.as_slice()), (&b"k"[..], &[id(10)][..]));
        assert_eq!(values(&found), [b"known"]);
    }
    let peek = MutationPeek::read(LogVersion::V22, &payload).unwrap();
    assert_eq!((peek.updates, peek.first, peek.key), (2, id(10), &b"k"[..]));
    assert!(peek.may_be_of(&|t| t == id(1)) && !peek.may_be_of(&|t| t == id(2)));
    for len in 0..payload.len() {
        assert!(decoder.decode(&payload[..len], &lookup).is_err(), "{len}");
    }
}
