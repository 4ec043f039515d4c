use super::*;
use crate::rows::codec::{UpdateDecoder, UpdateError};
use crate::rows::{PartitionUpdate, UpdateContent};
use crate::schema::{TableId, parse_schema};

const ID: TableId = TableId(uuid::Uuid::from_u128(7));

fn encode(table: &TestTable, partition: &TestPartition) -> Vec<u8> {
    let clustering: Vec<_> = table.clustering.iter().map(|c| c.1).collect();
    let layouts = |columns: &[TestColumn]| columns.iter().map(|c| c.layout).collect::<Vec<_>>();
    let encoder = Encoder {
        bases: table.bases,
        clustering: &clustering,
        statics: &layouts(&table.statics),
        regulars: &layouts(&table.regulars),
        message: true,
    };
    let statics: Vec<&[u8]> = table.statics.iter().map(|c| c.name.as_bytes()).collect();
    let regulars: Vec<&[u8]> = table.regulars.iter().map(|c| c.name.as_bytes()).collect();
    encoder.update(
        partition.deletion,
        [&statics, &regulars],
        &partition.unfiltereds,
        partition.name_all,
    )
}

/// Decodes an update with bytes before it, to its last byte, and compares its rows as those of SSTables are compared. `update`:
/// whatever was decoded before, also if that failed.
fn decode(
    decoder: &mut UpdateDecoder,
    update: &mut PartitionUpdate,
    table: &Arc<TableMetadata>,
    key: &[u8],
    bytes: &[u8],
) -> Result<PlainPartition, UpdateError> {
    let before = b"what stands before";
    let bytes = [before, bytes].concat();
    let mut r = ByteReader::at(&bytes, before.len());
    let mut left_out = super::super::CellsLeftOut::default();
    decoder.read_into(&mut r, ID, table, key, &mut left_out, update)?;
    r.finish("update")?;
    assert!(Arc::ptr_eq(&update.table, table));
    Ok(plain(update, left_out))
}

fn decode_one(
    decoder: &mut UpdateDecoder,
    table: &Arc<TableMetadata>,
    key: &[u8],
    bytes: &[u8],
) -> Result<PlainPartition, UpdateError> {
    let mut update = PartitionUpdate::new(Arc::clone(table), Vec::new());
    decode(decoder, &mut update, table, key, bytes)
}

fn plain(update: &PartitionUpdate, left_out: super::super::CellsLeftOut) -> PlainPartition {
    let data = &update.data;
    let row = |row: &Row| {
        check_spans(row, data.len());
        Plain::Row(plain_row(row, data))
    };
    let content = update.content.iter().map(|content| match content {
        UpdateContent::Row(r) => row(r),
        UpdateContent::Marker(marker, bound) => {
            check_spans(bound, data.len());
            Plain::Marker(plain_clustering(bound, data), *marker)
        }
    });
    PlainPartition {
        key: update.key.clone(),
        deletion: update.deletion,
        unfiltereds: update.static_row.iter().map(row).chain(content).collect(),
        dropped: left_out.dropped,
        hidden: left_out.hidden,
    }
}

fn unknown(table: &TestTable) -> bool {
    let mut columns = table.statics.iter().chain(&table.regulars);
    columns.any(|c| c.fate == TestFate::Unknown)
}

fn check_updates(choices: &[u16]) {
    let mut t = Tape::new(choices);
    let table = test_table(&mut t);
    let schema = Arc::new(table.schema());
    let mut decoder = UpdateDecoder::new(table.bases.oa);
    let mut update = PartitionUpdate::new(Arc::new(table.schema()), b"another".to_vec());
    for _ in 0..3 {
        let partition = table.partition(&mut t);
        let bytes = encode(&table, &partition);
        let found = decode(&mut decoder, &mut update, &schema, &partition.key, &bytes);
        match found {
            Err(UpdateError::UnknownColumn { table: name, column }) => {
                assert_eq!(name, "ks.t");
                let mut columns = table.statics.iter().chain(&table.regulars);
                let named = columns.find(|c| c.name == column.name).unwrap();
                assert_eq!(named.fate, TestFate::Unknown);
            }
            found => {
                assert!(!unknown(&table));
                assert_eq!(found.unwrap(), table.expected(&partition));
            }
        }
    }
}

/// No prefix is an update, and no flipped bit panics or gives a span that is not there.
fn check_damage(choices: &[u16]) {
    let mut t = Tape::new(choices);
    let table = test_table(&mut t);
    let schema = Arc::new(table.schema());
    let partition = table.partition(&mut t);
    let mut bytes = encode(&table, &partition);
    let mut decoder = UpdateDecoder::new(table.bases.oa);
    let mut update = PartitionUpdate::new(Arc::clone(&schema), Vec::new());
    for len in 0..bytes.len() {
        assert!(decode(&mut decoder, &mut update, &schema, b"k", &bytes[..len]).is_err(), "{len}");
    }
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Whether it is an error does not matter here: the log has checksums. What is decoded is checked by `plain`.
        drop(decode(&mut decoder, &mut update, &schema, b"k", &bytes));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    // What was worked out for damaged ones does not spoil the good one.
    if !unknown(&table) {
        let found = decode(&mut decoder, &mut update, &schema, &partition.key, &bytes).unwrap();
        assert_eq!(found, table.expected(&partition));
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn updates_decode_to_what_was_encoded(
        choices in proptest::collection::vec(any::<u16>(), 0..1200),
    ) {
        check_updates(&choices);
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn damaged_updates_are_errors(choices in proptest::collection::vec(any::<u16>(), 0..400)) {
        check_damage(&choices);
    }
}

fn table_of(text: &str) -> TableMetadata {
    parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone()
}

/// One row with liveness, whose cells have the row's time, in a table without clustering columns.
fn one_row(names: &[&[u8]], layouts: &[Layout], columns: Vec<Option<EncColumn>>) -> Vec<u8> {
    let bases =
        Bases { timestamp: BASE, deletion_time: 1_700_000_000, ttl: 0, oa: false, wrap32: true };
    let row = EncRow {
        is_static: false,
        clustering: Vec::new(),
        liveness: Some((BASE, None)),
        deletion: None,
        shadowable: false,
        columns,
    };
    let encoder =
        Encoder { bases, clustering: &[], statics: &[], regulars: layouts, message: true };
    encoder.update(None, [&[], names], &[EncUnfiltered::Row(row)], true)
}

fn cell(path: &[u8], value: &[u8]) -> EncCell {
    let (path, value) = (path.to_vec(), value.to_vec());
    EncCell { timestamp: BASE, life: Life::Forever, path, value }
}

fn one(path: &[u8], value: &[u8]) -> Option<EncColumn> {
    Some(EncColumn { deletion: None, cells: vec![cell(path, value)] })
}

/// A column of a non-frozen user-defined type, dropped in 3.x, which remembers a frozen tuple for it.
#[test]
fn a_dropped_user_type_is_read_as_the_data_has_it() {
    let mut table = table_of("CREATE TABLE ks.t (k int PRIMARY KEY, v int);");
    table.dropped.push(DroppedColumn {
        name: "u".into(),
        cql_type: CqlType::Tuple(vec![CqlType::Int, CqlType::Text]),
        multi_cell: false,
        kind: ColumnKind::Regular,
        dropped_micros: BASE + 5,
    });
    let table = Arc::new(table);
    let simple = Layout { complex: false, fixed: None };
    let int = Layout { complex: false, fixed: Some(4) };
    let complex = Layout { complex: true, fixed: None };
    let mut decoder = UpdateDecoder::new(false);
    // Frozen: before `v` by its name. One cell a field: behind it.
    let frozen =
        one_row(&[b"u", b"v"], &[simple, int], vec![one(b"", b"tuple bytes"), one(b"", &[1; 4])]);
    let fields = EncColumn {
        deletion: None,
        cells: vec![cell(&[0, 0], &[0, 0, 0, 9]), cell(&[0, 1], b"text")],
    };
    let per_field = one_row(&[b"v", b"u"], &[int, complex], vec![one(b"", &[1; 4]), Some(fields)]);
    for (bytes, dropped) in [(frozen, 1), (per_field, 2)] {
        let found = decode_one(&mut decoder, &table, b"k", &bytes).unwrap();
        assert_eq!(found.dropped, dropped);
        let [Plain::Row(row)] = &found.unfiltereds[..] else { panic!("{found:?}") };
        assert_eq!(row.cells.len(), 1);
        assert_eq!(row.cells[0].value, [1; 4]);
    }
}

#[test]
fn a_schema_that_has_changed_is_used_at_once() {
    let layouts = [Layout { complex: false, fixed: Some(4) }];
    let bytes = one_row(&[b"w"], &layouts, vec![one(b"", &[1; 4])]);
    let mut decoder = UpdateDecoder::new(false);
    let before = Arc::new(table_of("CREATE TABLE ks.t (k int PRIMARY KEY, v int);"));
    let error = decode_one(&mut decoder, &before, b"k", &bytes).unwrap_err();
    assert_eq!(error.to_string(), "table ks.t has no regular column \"w\"");
    let after = Arc::new(table_of("CREATE TABLE ks.t (k int PRIMARY KEY, v int, w int);"));
    let found = decode_one(&mut decoder, &after, b"k", &bytes).unwrap();
    let column = |found: &PlainPartition| match &found.unfiltereds[..] {
        [Plain::Row(row)] => row.cells[0].column,
        other => panic!("{other:?}"),
    };
    assert_eq!(column(&found), 1);
    // The same columns of the same table, which now stand elsewhere.
    let later = Arc::new(table_of("CREATE TABLE ks.t (k int PRIMARY KEY, a int, v int, w int);"));
    assert_eq!(column(&decode_one(&mut decoder, &later, b"k", &bytes).unwrap()), 2);
    assert_eq!(column(&decode_one(&mut decoder, &after, b"k", &bytes).unwrap()), 1);
}

#[test]
fn an_empty_update_says_nothing_and_other_flags_are_refused() {
    let table = Arc::new(table_of("CREATE TABLE ks.t (k int PRIMARY KEY, v int);"));
    let mut decoder = UpdateDecoder::new(false);
    let found = decode_one(&mut decoder, &table, b"k", &[1]).unwrap();
    assert!(found.unfiltereds.is_empty() && found.deletion.is_live());
    for flags in [0x02, 0x12, 0x11, 0x20, 0x80] {
        let error = decode_one(&mut decoder, &table, b"k", &[flags, 0, 0, 0, 0, 0, 1]).unwrap_err();
        assert!(error.to_string().contains("flags of an update"), "{error}");
    }
}
