use std::sync::Arc;

use super::*;
use crate::cql::CqlType;
use crate::output::dms::{ColumnRole, DmsColumn, DmsTable, DmsTarget, DmsType};
use crate::output::manifest::{ColumnStats, ManifestColumn, OutputColumnKind};
use crate::output::record::tests::{Built, table};
use crate::output::{Count, FormatOptions, Profile, RecordFormat, RecordWriter};
use crate::schema::TableMetadata;

fn writer(table: &TableMetadata, change: impl FnOnce(&mut FormatOptions)) -> RecordWriter {
    let mut options = FormatOptions::new(Profile::DdbJson, 0);
    change(&mut options);
    RecordWriter::new(Arc::new(RecordFormat::new(table, &options).unwrap()))
}

fn lines(writer: &RecordWriter) -> String {
    String::from_utf8(writer.buffer().to_vec()).unwrap()
}

fn set(element: CqlType) -> CqlType {
    CqlType::Set { element: Box::new(element), frozen: true }
}

/// A collection from its elements.
fn collection(elements: &[&[u8]]) -> Vec<u8> {
    let count = i32::try_from(elements.len()).unwrap();
    elements.iter().fold(count.to_be_bytes().to_vec(), |mut bytes, element| {
        bytes.extend(i32::try_from(element.len()).unwrap().to_be_bytes());
        bytes.extend(*element);
        bytes
    })
}

#[test]
fn the_example_of_the_contract() {
    let map = CqlType::Map {
        key: Box::new(CqlType::Text),
        value: Box::new(CqlType::Text),
        frozen: false,
    };
    let table = table(
        &[("pk", CqlType::Text)],
        &[("ck", CqlType::Int)],
        &[],
        &[("v", CqlType::Text), ("m", map)],
    );
    let mut writer = writer(&table, |_| {});
    writer.start_partition(b"alice").unwrap();
    let row = Built::default()
        .clustering(&[0, 0, 0, 1])
        .cell(&table, "v", b"say \"hi\"")
        .element(&table, "m", b"a", b"1")
        .element(&table, "m", b"b", b"x\ny");
    writer.write_row(row.view()).unwrap();
    writer.write_row(Built::default().clustering(&[0, 0, 0, 2]).view()).unwrap();
    assert_eq!(
        lines(&writer),
        concat!(
            r#"{"Item":{"pk":{"S":"alice"},"ck":{"N":"1"},"m":{"M":{"a":{"S":"1"},"b":{"S":"x\ny"}}},"v":{"S":"say \"hi\""}}}"#,
            "\n",
            r#"{"Item":{"pk":{"S":"alice"},"ck":{"N":"2"}}}"#,
            "\n"
        )
    );
    // Digests are those of the reference form.
    let mut jsonl = RecordWriter::new(Arc::new(
        RecordFormat::new(&table, &FormatOptions::new(Profile::Jsonl, 0)).unwrap(),
    ));
    jsonl.start_partition(b"alice").unwrap();
    jsonl.write_row(row.view()).unwrap();
    jsonl.write_row(Built::default().clustering(&[0, 0, 0, 2]).view()).unwrap();
    assert_eq!(writer.digest(), jsonl.digest());
}

#[test]
fn sets_that_dynamodb_has_not_are_lists_and_counted() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[],
        &[],
        &[("d", set(CqlType::Double)), ("t", set(CqlType::Text)), ("b", set(CqlType::Blob))],
    );
    let mut writer = writer(&table, |_| {});
    writer.start_partition(&[0; 4]).unwrap();
    let double = |value: f64| value.to_be_bytes();
    let row = |doubles: &[f64]| {
        let bytes: Vec<[u8; 8]> = doubles.iter().map(|&value| double(value)).collect();
        let elements: Vec<&[u8]> = bytes.iter().map(<[u8; 8]>::as_slice).collect();
        Built::default().cell(&table, "d", &collection(&elements))
    };
    writer.write_row(row(&[1.0, 2.5]).view()).unwrap();
    writer.write_row(row(&[-0.0, 0.0]).view()).unwrap();
    writer.write_row(row(&[f64::NAN, 1.0]).view()).unwrap();
    let empty = Built::default().cell(&table, "t", &collection(&[]));
    writer.write_row(empty.view()).unwrap();
    let of_bytes = Built::default().cell(&table, "t", &collection(&[b"", b"a"])).cell(
        &table,
        "b",
        &collection(&[b"", b"\xff"]),
    );
    writer.write_row(of_bytes.view()).unwrap();
    let text = lines(&writer);
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(
        found,
        [
            r#"{"Item":{"pk":{"N":"0"},"d":{"NS":["1.0","2.5"]}}}"#,
            r#"{"Item":{"pk":{"N":"0"},"d":{"L":[{"N":"-0.0"},{"N":"0.0"}]}}}"#,
            r#"{"Item":{"pk":{"N":"0"},"d":{"L":[{"S":"NaN"},{"N":"1.0"}]}}}"#,
            r#"{"Item":{"pk":{"N":"0"}}}"#,
            r#"{"Item":{"pk":{"N":"0"},"b":{"BS":["","/w=="]},"t":{"SS":["","a"]}}}"#,
        ]
    );
    let counts = writer.stats().counts;
    assert_eq!(counts.of(Count::SetsAsLists), 2);
    assert_eq!(counts.of(Count::NumbersAsText), 1);
    assert_eq!(counts.of(Count::EmptySets), 1);
}

#[test]
fn rows_that_dynamodb_refuses_are_refused_named_and_counted() {
    let table = table(&[("pk", CqlType::Blob)], &[], &[], &[("v", CqlType::Text)]);
    let mut items = writer(&table, |_| {});
    let longest = [7_u8; 2048];
    items.start_partition(&longest).unwrap();
    items.write_row(Built::default().view()).unwrap();
    let kept = items.buffer().len();
    let refusal = items.start_partition(&[7; 2049]).unwrap_err();
    assert!(refusal.cause.contains("2049 bytes"), "{refusal}");
    assert!(refusal.key.unwrap().starts_with("{\"pk\": \"0x0707"));
    assert!(items.write_row(Built::default().view()).is_err());
    items.start_partition(&[]).unwrap_err();
    // Names and values: "pk", one byte, "v".
    items.start_partition(&[1]).unwrap();
    let most = 409_600 - 2 - 1 - 1;
    let row = |len: usize| Built::default().cell(&table, "v", &vec![b'x'; len]);
    items.write_row(row(most).view()).unwrap();
    let after = items.buffer().len();
    let refusal = items.write_row(row(most + 1).view()).unwrap_err();
    assert!(refusal.cause.contains("409601"), "{refusal}");
    assert_eq!((kept > 0, items.buffer().len()), (true, after));
    let stats = items.stats();
    assert_eq!(stats.counts.of(Count::RefusedLongKeys), 1);
    assert_eq!(stats.counts.of(Count::RefusedEmptyKeys), 1);
    assert_eq!(stats.counts.of(Count::RefusedLargeItems), 1);
    assert_eq!(stats.counters.items_over_400_kb, 1);

    // A shortened key is none of those.
    let mut composite = writer(&table, |options| options.ddb_keys = DdbKeys::Composite);
    composite.start_partition(&[7; 2049]).unwrap();
    composite.write_row(Built::default().view()).unwrap();
    assert_eq!(composite.stats().counters.keys_shortened, 1);
}

#[test]
fn key_numbers_that_dynamodb_has_not_are_refused() {
    let table = table(&[("pk", CqlType::Varint)], &[], &[], &[]);
    let mut items = writer(&table, |_| {});
    items.start_partition(&[0x7f; 15]).unwrap();
    items.start_partition(&[0x7f; 17]).unwrap_err();
    assert_eq!(items.stats().counts.of(Count::RefusedNumbers), 1);
}

#[test]
fn keys_that_would_collide_or_be_empty_are_composite() {
    let generated = |partition: &[(&str, CqlType)], clustering: &[(&str, CqlType)], statics| {
        let table = table(partition, clustering, statics, &[]);
        let options = FormatOptions::new(Profile::DdbJson, 0);
        let keys = generated_keys(&table, &options);
        (keys.partition, keys.sort)
    };
    let (int, text) = (("a", CqlType::Int), ("b", CqlType::Text));
    assert_eq!(generated(std::slice::from_ref(&int), &[], &[]), (false, false));
    assert_eq!(
        generated(std::slice::from_ref(&text), &[("c", CqlType::Timestamp)], &[]),
        (false, false)
    );
    assert_eq!(
        generated(std::slice::from_ref(&int), std::slice::from_ref(&text), &[]),
        (true, true)
    );
    assert_eq!(
        generated(std::slice::from_ref(&text), std::slice::from_ref(&int), &[("s", CqlType::Int)]),
        (true, true)
    );
    assert_eq!(generated(&[int.clone(), text.clone()], &[], &[]), (true, false));
    // 1.0 and 1.00 are two keys of CQL and one number.
    assert_eq!(generated(&[("d", CqlType::Decimal)], &[], &[]), (true, false));
    assert_eq!(generated(&[int], &[("d", CqlType::Double)], &[]), (true, true));
}

#[test]
fn shape_dms_has_the_attributes_that_dms_makes() {
    let list = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
    let table = table(
        &[("pk", CqlType::Int)],
        &[("ck", CqlType::Int)],
        &[],
        &[
            ("value", CqlType::Int),
            ("l", list),
            ("b", CqlType::Blob),
            ("n", CqlType::Double),
            ("t", CqlType::Boolean),
            ("at", CqlType::Timestamp),
        ],
    );
    let mut items = writer(&table, |options| options.ddb_shape = DdbShape::Dms);
    items.start_partition(&[0, 0, 0, 5]).unwrap();
    let row = Built::default()
        .clustering(&[0, 0, 0, 10])
        .cell(&table, "value", &[0, 0, 0, 7])
        .cell(&table, "l", &collection(&[&[0, 0, 0, 1], &[0, 0, 0, 2]]))
        .cell(&table, "b", &[0xab])
        .cell(&table, "n", &0.5_f64.to_be_bytes())
        .cell(&table, "t", &[1])
        .cell(&table, "at", &0_i64.to_be_bytes());
    items.write_row(row.view()).unwrap();
    assert_eq!(
        lines(&items),
        concat!(
            r#"{"Item":{"pk":{"S":"5"},"ck":{"N":"10"},"c_at":{"S":"1970-01-01 00:00:00.000"},"b":{"S":"ab"},"l":{"S":"[1,2]"},"#,
            r#""n":{"N":"0.5"},"t":{"BOOL":true},"c_value":{"S":"7"},"cp_sk":{"S":"8000000A"}}}"#,
            "\n"
        )
    );
    let nan = Built::default().clustering(&[0; 4]).cell(&table, "n", &f64::NAN.to_be_bytes());
    assert!(items.write_row(nan.view()).is_err());
}

#[test]
fn rows_that_are_deleted_have_their_key_and_nothing_else() {
    let table = |statics: &[(&str, CqlType)]| {
        table(&[("pk", CqlType::Int)], &[("ck", CqlType::Int)], statics, &[("v", CqlType::Text)])
    };
    let keys = |table: &TableMetadata, shape, without_rows: bool| {
        let mut options = FormatOptions::new(Profile::DdbJson, 0);
        options.ddb_shape = shape;
        let format = Arc::new(RecordFormat::new(table, &options).unwrap());
        let mut writer = RecordWriter::of_deletes(format);
        writer.start_partition(&[0, 0, 0, 5]).unwrap();
        let row = Built::default().clustering(&[0, 0, 0, 10]).cell(table, "v", b"x");
        writer.write_row(row.view()).unwrap();
        if without_rows {
            writer.write_key_only().unwrap();
        }
        lines(&writer)
    };
    assert_eq!(
        keys(&table(&[]), DdbShape::Native, false),
        "{\"Key\":{\"pk\":{\"N\":\"5\"},\"ck\":{\"N\":\"10\"}}}\n"
    );
    assert_eq!(
        keys(&table(&[("s", CqlType::Int)]), DdbShape::Native, true),
        concat!(
            "{\"Key\":{\"cp_pk\":{\"S\":\"5\"},\"cp_sk\":{\"S\":\"8000000A\"}}}\n",
            "{\"Key\":{\"cp_pk\":{\"S\":\"5\"},\"cp_sk\":{\"S\":\"%53%54\"}}}\n"
        )
    );
    assert_eq!(
        keys(&table(&[]), DdbShape::Dms, false),
        "{\"Key\":{\"pk\":{\"S\":\"5\"},\"cp_sk\":{\"S\":\"8000000A\"}}}\n"
    );
}

#[test]
fn import_requests_name_the_keys_with_their_types() {
    let column = |name: &str, cql_type: &str, kind| ManifestColumn {
        name: name.into(),
        cql_type: cql_type.into(),
        kind,
        stats: ColumnStats::default(),
        column_type: None,
    };
    let columns = [
        column("pk", "blob", OutputColumnKind::PartitionKey),
        column("ck", "bigint", OutputColumnKind::Clustering),
        column("v", "text", OutputColumnKind::Regular),
    ];
    let dms = DmsTable {
        keyspace: "k".into(),
        table: "t".into(),
        columns: vec![DmsColumn {
            name: "pk".into(),
            role: ColumnRole::PartitionKey,
            column_type: DmsType::Int4,
            max_bytes: 0,
        }],
    };
    let table = ImportedTable { keyspace: "k", table: "t", columns: &columns, dms };
    let target =
        DmsTarget { bucket: Some("b".into()), folder: "runs/1".into(), ..DmsTarget::default() };
    let made = import_requests(&[table], DdbShape::Native, "gzip", &target).unwrap();
    let (name, bytes) = &made.files[0];
    assert_eq!(name, "_cassport/k.t.import-table.json");
    let request: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(
        request,
        serde_json::json!({
            "S3BucketSource": {"S3Bucket": "b", "S3KeyPrefix": "runs/1/k/t/"},
            "InputFormat": "DYNAMODB_JSON",
            "InputCompressionType": "GZIP",
            "TableCreationParameters": {
                "TableName": "k.t",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "B"},
                    {"AttributeName": "ck", "AttributeType": "N"},
                ],
                "KeySchema": [
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "ck", "KeyType": "RANGE"},
                ],
                "BillingMode": "PAY_PER_REQUEST",
            },
        })
    );
}
