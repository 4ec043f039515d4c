//! The decoder on worked examples of real files and on single rows written by hand.

use std::sync::Arc;

use super::super::header::{HeaderColumn, SerializationHeader};
use super::encoder::{
    Bases, Deletion, EncCell, EncColumn, EncMarker, EncRow, EncUnfiltered, Encoder, Layout, Life,
    bytesv, uvint,
};
use super::tests::{
    Plain, PlainCell, PlainPartition, PlainRow, column, decode_partition, no_table,
};
use super::*;
use crate::cql::{CqlType, MarshalType, parse_marshal_type};
use crate::rows::{ComplexDeletion, LivenessInfo, LocalDeletionTime, NO_TTL};
use crate::schema::{ColumnKind, ColumnMetadata, DroppedColumn, TableMetadata};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    hex_simd::decode_to_vec(digits).unwrap()
}

fn set_of_int() -> CqlType {
    CqlType::Set { element: Box::new(CqlType::Int), frozen: false }
}

/// A table whose columns are all known, and the header of a file that has them all.
fn known(
    clustering: &[CqlType],
    statics: &[(&str, CqlType)],
    regulars: &[(&str, CqlType)],
) -> (TableMetadata, SerializationHeader) {
    let mut table = no_table();
    let of = |columns: &[(&str, CqlType)], kind| -> Vec<ColumnMetadata> {
        columns.iter().map(|(name, t)| column(name, t.clone(), kind)).collect()
    };
    table.clustering =
        clustering.iter().map(|t| column("ck", t.clone(), ColumnKind::Clustering)).collect();
    table.statics = of(statics, ColumnKind::Static);
    table.regulars = of(regulars, ColumnKind::Regular);
    table.sort_columns();
    let list = |columns: &[ColumnMetadata]| -> Vec<HeaderColumn> {
        let both = |c: &ColumnMetadata| HeaderColumn {
            name: c.name.clone(),
            cql_type: c.cql_type.clone(),
        };
        columns.iter().map(both).collect()
    };
    let header = SerializationHeader {
        min_timestamp: 0,
        min_local_deletion_time: 0,
        min_ttl: 0,
        key_type: CqlType::Int,
        clustering_types: clustering
            .iter()
            .map(|t| MarshalType { cql_type: t.clone(), reversed: false })
            .collect(),
        statics: list(&table.statics),
        regulars: list(&table.regulars),
    };
    (table, header)
}

fn codec(table: &TableMetadata, header: &SerializationHeader, oa: bool) -> Arc<RowCodec> {
    let (codec, unknown) =
        RowCodec::new(table, header, oa, crate::rows::codec::DroppedUdts::Frozen).unwrap();
    assert_eq!(unknown, []);
    Arc::new(codec)
}

fn ldt(seconds: i64) -> LocalDeletionTime {
    LocalDeletionTime(seconds)
}

fn deletion(marked_for_delete_at: i64, seconds: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at, local_deletion_time: ldt(seconds) }
}

fn live_cell(column: u16, timestamp: i64, value: &[u8]) -> PlainCell {
    PlainCell {
        column,
        timestamp,
        local_deletion_time: LocalDeletionTime::NONE,
        ttl: NO_TTL,
        path: Vec::new(),
        value: value.to_vec(),
    }
}

fn no_row() -> PlainRow {
    PlainRow {
        clustering: Vec::new(),
        liveness: LivenessInfo::NONE,
        deletion: DeletionTime::LIVE,
        shadowable: false,
        complex: Vec::new(),
        cells: Vec::new(),
        has_times: false,
    }
}

fn written_at(timestamp: i64) -> LivenessInfo {
    LivenessInfo { timestamp, ..LivenessInfo::NONE }
}

fn whole(key: &[u8], unfiltereds: Vec<Plain>) -> PlainPartition {
    PlainPartition {
        key: key.to_vec(),
        deletion: DeletionTime::LIVE,
        unfiltereds,
        dropped: 0,
        hidden: 0,
    }
}

#[test]
fn example_of_oa_one_insert() {
    let (table, mut header) = known(&[], &[], &[("col1", CqlType::Int)]);
    header.min_timestamp = 1_757_077_384_523_815;
    let bytes = hex("00 04 00 00 00 01 80 24 07 07 00 08 00 00 00 0a 01");
    let decoded = decode_partition(&codec(&table, &header, true), &bytes, usize::MAX);
    let row = PlainRow {
        liveness: written_at(1_757_077_384_523_815),
        cells: vec![live_cell(0, 1_757_077_384_523_815, &[0, 0, 0, 10])],
        ..no_row()
    };
    assert_eq!(decoded, Ok(whole(&[0, 0, 0, 1], vec![Plain::Row(row)])));
}

#[test]
fn example_of_mc_static_row_and_expiring_row() {
    let (table, mut header) =
        known(&[CqlType::Int], &[("st", CqlType::Int)], &[("rc", CqlType::Int)]);
    header.min_timestamp = 1_543_494_402_386_839;
    header.min_local_deletion_time = 1_543_494_492;
    header.min_ttl = 90;
    let bytes = hex("00 04 00 00 00 01  7f ff ff ff 80 00 00 00 00 00 00 00
        a0 01 07 00 00 00 00 00 04 6f
        2c 00 00 00 00 02 09 1c 00 00 00 08 00 00 1e 61  01");
    let decoded = decode_partition(&codec(&table, &header, false), &bytes, usize::MAX);
    let static_row = PlainRow {
        cells: vec![live_cell(0, 1_543_494_402_386_839, &1135_i32.to_be_bytes())],
        ..no_row()
    };
    let row = PlainRow {
        clustering: vec![Some(vec![0, 0, 0, 2])],
        liveness: LivenessInfo {
            timestamp: 1_543_494_402_386_839,
            ttl: 90,
            local_deletion_time: ldt(1_543_494_492),
        },
        cells: vec![live_cell(0, 1_543_494_402_386_839, &7777_i32.to_be_bytes())],
        has_times: true,
        ..no_row()
    };
    let expected = whole(&[0, 0, 0, 1], vec![Plain::Row(static_row), Plain::Row(row)]);
    assert_eq!(decoded, Ok(expected));
}

#[test]
fn example_of_mc_nested_range_tombstones() {
    let (table, mut header) = known(&[CqlType::Text, CqlType::Text, CqlType::Text], &[], &[]);
    let (t, l) = (1_525_385_507_816_568, 1_527_821_291);
    header.min_timestamp = t;
    header.min_local_deletion_time = l;
    let bytes = hex("00 03 6b 65 79  7f ff ff ff 80 00 00 00 00 00 00 00
        02 01 00 01 00 03 61 61 61               03 11 00 00
        02 02 00 02 00 03 61 61 61 03 62 62 62   05 0d 00 00 0a 11
        02 05 00 02 00 03 61 61 61 03 62 62 62   05 13 0a 11 00 00
        02 06 00 01 00 03 61 61 61               03 13 00 00
        01");
    let decoded = decode_partition(&codec(&table, &header, false), &bytes, usize::MAX);
    let (outer, inner) = (deletion(t, l), deletion(t + 10, l + 17));
    let marker = |kind, values: &[&str], end, start| {
        let values = values.iter().map(|v| Some(v.as_bytes().to_vec())).collect();
        Plain::Marker(values, Marker { kind, end, start })
    };
    let expected = vec![
        marker(ClusteringKind::InclStartBound, &["aaa"], DeletionTime::LIVE, outer),
        marker(ClusteringKind::ExclEndInclStartBoundary, &["aaa", "bbb"], outer, inner),
        marker(ClusteringKind::InclEndExclStartBoundary, &["aaa", "bbb"], inner, outer),
        marker(ClusteringKind::InclEndBound, &["aaa"], outer, DeletionTime::LIVE),
    ];
    assert_eq!(decoded, Ok(whole(b"key", expected)));
}

#[test]
fn example_of_mc_set_overwritten() {
    let (table, mut header) = known(&[], &[], &[("col", set_of_int())]);
    let (t, l) = (1_525_385_507_816_567, 1_543_908_589);
    header.min_timestamp = t;
    header.min_local_deletion_time = l;
    let bytes = hex("00 04 00 00 00 01 7f ff ff ff 80 00 00 00 00 00 00 00
        64 11 12 01 00 00 02 0c 04 00 00 00 02 0c 04 00 00 00 03 01");
    let decoded = decode_partition(&codec(&table, &header, false), &bytes, usize::MAX);
    let element = |n: i32| PlainCell { path: n.to_be_bytes().to_vec(), ..live_cell(0, t + 1, &[]) };
    let row = PlainRow {
        liveness: written_at(t + 1),
        complex: vec![ComplexDeletion { column: 0, deletion: deletion(t, l) }],
        cells: vec![element(2), element(3)],
        ..no_row()
    };
    assert_eq!(decoded, Ok(whole(&[0, 0, 0, 1], vec![Plain::Row(row)])));
}

const ZERO: Bases = Bases { timestamp: 0, deletion_time: 0, ttl: 0, oa: true, wrap32: false };

fn enc_cell(timestamp: i64, life: Life, path: &[u8], value: &[u8]) -> EncCell {
    EncCell { timestamp, life, path: path.to_vec(), value: value.to_vec() }
}

fn enc_row(columns: Vec<Option<EncColumn>>) -> EncRow {
    EncRow {
        is_static: false,
        clustering: Vec::new(),
        liveness: None,
        deletion: None,
        shadowable: false,
        columns,
    }
}

fn simple(cell: EncCell) -> Option<EncColumn> {
    Some(EncColumn { deletion: None, cells: vec![cell] })
}

const INT: Layout = Layout { complex: false, fixed: Some(4) };
const COMPLEX: Layout = Layout { complex: true, fixed: None };

fn encoder(bases: Bases, regulars: &[Layout]) -> Encoder<'_> {
    Encoder { bases, clustering: &[], statics: &[], regulars, message: false }
}

/// Rows of one partition without static row; panics if anything else comes out.
fn rows(codec: &Arc<RowCodec>, bytes: &[u8]) -> Vec<PlainRow> {
    let decoded = decode_partition(codec, bytes, usize::MAX).unwrap();
    let row = |u| match u {
        Plain::Row(row) => row,
        Plain::Marker(..) => panic!("a marker"),
    };
    decoded.unfiltereds.into_iter().map(row).collect()
}

#[test]
fn a_header_is_read_whatever_the_order_of_its_columns() {
    // Least times of one before the epoch; one clustering column, descending; no statics; three regulars, the set first.
    let mut bytes = hex("ff ffffffffffffffff  ff ffffffffffffffff  5a");
    let int = "org.apache.cassandra.db.marshal.Int32Type";
    bytesv(&mut bytes, int.as_bytes());
    bytes.push(1);
    bytesv(&mut bytes, b"ReversedType(UTF8Type)");
    bytes.extend([0, 3]);
    for (name, class) in
        [("a", "SetType(Int32Type)"), ("z", int), ("\u{fc}", "FrozenType(SetType(Int32Type))")]
    {
        bytesv(&mut bytes, name.as_bytes());
        bytesv(&mut bytes, class.as_bytes());
    }
    let header = SerializationHeader::read(&mut ByteReader::new(&bytes)).unwrap();
    assert_eq!(header.min_timestamp, 1_442_880_000_000_000 - 1);
    assert_eq!((header.min_local_deletion_time, header.min_ttl), (1_442_880_000 - 1, 90));
    let reversed = MarshalType { cql_type: CqlType::Text, reversed: true };
    assert_eq!((header.key_type, header.clustering_types), (CqlType::Int, vec![reversed]));
    assert_eq!(header.statics, []);
    let names: Vec<_> = header.regulars.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["\u{fc}", "z", "a"]);
    for cut in 0..bytes.len() {
        assert!(SerializationHeader::read(&mut ByteReader::new(&bytes[..cut])).is_err(), "{cut}");
    }
}

#[test]
fn a_live_complex_deletion_beside_a_real_one_is_none() {
    let (table, mut header) = known(&[], &[], &[("s", set_of_int()), ("t", set_of_int())]);
    for oa in [false, true] {
        let bases = Bases { timestamp: 1 << 50, deletion_time: 1_700_000_000, oa, ..ZERO };
        header.min_timestamp = bases.timestamp;
        header.min_local_deletion_time = bases.deletion_time;
        let cell = || enc_cell(bases.timestamp + 5, Life::Forever, &[0, 0, 0, 1], &[]);
        let real = Deletion { at: bases.timestamp + 4, deleted: 1_700_000_003 };
        let row = enc_row(vec![
            Some(EncColumn { deletion: None, cells: vec![cell()] }),
            Some(EncColumn { deletion: Some(real), cells: vec![cell()] }),
        ]);
        let (bytes, _) = encoder(bases, &[COMPLEX, COMPLEX]).partition(
            &[1],
            None,
            &[EncUnfiltered::Row(row)],
            true,
        );
        let found = rows(&codec(&table, &header, oa), &bytes);
        let kept = deletion(bases.timestamp + 4, 1_700_000_003);
        assert_eq!(found[0].complex, [ComplexDeletion { column: 1, deletion: kept }]);
        assert_eq!(found[0].cells.len(), 2);
    }
}

#[test]
fn deletion_times_have_the_signedness_of_the_version() {
    let (table, header) = known(&[], &[], &[("v", CqlType::Int)]);
    let cases: [(bool, i64, LocalDeletionTime); 9] = [
        (true, 1 << 31, ldt(1 << 31)),
        (true, 4_294_967_293, ldt(4_294_967_293)),
        (true, 4_294_967_294, ldt(4_294_967_294)),
        (true, i64::from(i32::MAX), ldt(2_147_483_647)),
        // "Never" on something deleted must not bring it to life.
        (true, 4_294_967_295, ldt(i64::MAX - 1)),
        (false, 2_147_483_646, ldt(2_147_483_646)),
        (false, -1, ldt(-1)),
        (false, i64::from(i32::MIN), ldt(-2_147_483_648)),
        (false, 2_147_483_647, ldt(i64::MAX - 1)),
    ];
    for (oa, seconds, expected) in cases {
        let row =
            enc_row(vec![simple(enc_cell(1, Life::Tombstone { deleted: seconds }, &[], &[]))]);
        let bases = Bases { oa, wrap32: !oa, ..ZERO };
        let (bytes, _) =
            encoder(bases, &[INT]).partition(&[1], None, &[EncUnfiltered::Row(row)], true);
        let found = rows(&codec(&table, &header, oa), &bytes);
        assert_eq!(found[0].cells[0].local_deletion_time, expected, "{seconds} in oa: {oa}");
        assert!(found[0].has_times);
    }
}

#[test]
fn partition_deletions_in_full_form_of_both_versions() {
    let (table, header) = known(&[], &[], &[("v", CqlType::Int)]);
    let cases = [
        (true, "80", DeletionTime::LIVE),
        (true, "00 00 00 00 00 00 00 05  80 00 00 01", deletion(5, 0x8000_0001)),
        // What 5.0 writes for a negative time and cannot read back.
        (true, "ff ff ff ff ff ff ff fb  65 00 00 00", deletion(-5, 0x6500_0000)),
        (true, "81 00 00 00 00 00 00 00  00 00 00 07", deletion(i64::MIN + (1 << 56), 7)),
        (false, "7f ff ff ff  80 00 00 00 00 00 00 00", DeletionTime::LIVE),
        (false, "80 00 00 01  00 00 00 00 00 00 00 05", deletion(5, -0x7fff_ffff)),
        (false, "65 00 00 00  ff ff ff ff ff ff ff fb", deletion(-5, 0x6500_0000)),
    ];
    for (oa, text, expected) in cases {
        let bytes = [&[0, 1, 9], hex(text).as_slice(), &[1]].concat();
        let decoded = decode_partition(&codec(&table, &header, oa), &bytes, usize::MAX).unwrap();
        assert_eq!((decoded.deletion, decoded.key), (expected, vec![9]), "{text}");
    }
}

#[test]
fn cells_of_dropped_columns_are_left_out_by_their_write_time() {
    let (mut table, header) = known(&[], &[], &[("s", set_of_int()), ("v", CqlType::Int)]);
    let dropped = |name: &str, multi_cell, at| DroppedColumn {
        name: name.into(),
        cql_type: CqlType::Int,
        multi_cell,
        kind: ColumnKind::Regular,
        dropped_micros: at,
    };
    table.dropped = vec![dropped("s", true, 100), dropped("v", false, 100)];
    let known_codec = codec(&table, &header, false);
    // A static column of the same name is another column.
    table.dropped.iter_mut().for_each(|d| d.kind = ColumnKind::Static);
    let other_kind = codec(&table, &header, false);
    table.dropped.iter_mut().for_each(|d| d.kind = ColumnKind::Regular);
    table.regulars.clear();
    let gone_codec = codec(&table, &header, false);
    for (at, kept) in [(99, false), (100, false), (101, true)] {
        let row = enc_row(vec![
            simple(enc_cell(at, Life::Forever, &[], &[1, 2, 3, 4])),
            Some(EncColumn {
                deletion: Some(Deletion { at, deleted: 1 }),
                cells: vec![enc_cell(at, Life::Tombstone { deleted: 1 }, &[0, 0, 0, 1], &[])],
            }),
        ]);
        let bases = Bases { oa: false, ..ZERO };
        let (bytes, _) =
            encoder(bases, &[INT, COMPLEX]).partition(&[1], None, &[EncUnfiltered::Row(row)], true);
        let all = decode_partition(&other_kind, &bytes, usize::MAX).unwrap();
        assert_eq!((all.dropped, rows(&other_kind, &bytes)[0].cells.len()), (0, 2));
        let again = decode_partition(&known_codec, &bytes, usize::MAX).unwrap();
        let gone = decode_partition(&gone_codec, &bytes, usize::MAX).unwrap();
        let nothing = whole(&[1], vec![Plain::Row(no_row())]);
        assert_eq!(gone, PlainPartition { dropped: 2, ..nothing.clone() });
        match kept {
            true => assert_eq!(again, all),
            false => assert_eq!(again, PlainPartition { dropped: 2, ..nothing }),
        }
    }
}

#[test]
fn a_udt_frozen_in_the_schema_only_is_one_cell_and_sorted_among_the_simple_ones() {
    let udt = parse_marshal_type("UserType(ks,75,61:Int32Type)").unwrap().cql_type;
    for in_dropped in [false, true] {
        // By the header alone, `a` is complex and would come last.
        let (mut table, header) =
            known(&[], &[], &[("a", udt.clone()), ("b", CqlType::Int), ("s", set_of_int())]);
        assert_eq!(header.regulars[0].name, "b");
        table.regulars.iter_mut().for_each(|c| {
            if c.name == "a" {
                c.cql_type = udt.clone().freeze();
            }
        });
        table.sort_columns();
        if in_dropped {
            table.regulars.retain(|c| c.name != "a");
            table.dropped.push(DroppedColumn {
                name: "a".into(),
                cql_type: CqlType::Tuple(vec![CqlType::Int]),
                multi_cell: false,
                kind: ColumnKind::Regular,
                dropped_micros: 1000,
            });
        }
        let row = enc_row(vec![
            simple(enc_cell(7, Life::Forever, &[], &[0, 0, 0, 4, 0, 0, 0, 9])),
            simple(enc_cell(8, Life::Forever, &[], &[0, 0, 0, 1])),
            Some(EncColumn {
                deletion: None,
                cells: vec![enc_cell(9, Life::Forever, &[0, 0, 0, 2], &[])],
            }),
        ]);
        let udt_layout = Layout { complex: false, fixed: None };
        let (bytes, _) = encoder(ZERO, &[udt_layout, INT, COMPLEX]).partition(
            &[1],
            None,
            &[EncUnfiltered::Row(row)],
            true,
        );
        let found = rows(&codec(&table, &header, true), &bytes).remove(0);
        let names: Vec<_> = found
            .cells
            .iter()
            .map(|c| (table.regulars[usize::from(c.column)].name.as_str(), c.timestamp))
            .collect();
        let expected = [("a", 7), ("b", 8), ("s", 9)];
        assert_eq!(names, expected[usize::from(in_dropped)..]);
    }
}

#[test]
fn an_empty_type_column_with_bytes_loses_only_itself() {
    let (table, header) = known(&[], &[], &[("value", CqlType::Empty)]);
    // CASSANDRA-15778: no HAS_EMPTY_VALUE, three bytes without a length.
    let bytes = hex("00 01 09  80  20 06 04  00 05  aa bb cc  20 03 08  00 06  01");
    let found = rows(&codec(&table, &header, true), &bytes);
    let times: Vec<_> = found.iter().map(|r| r.cells[0].timestamp).collect();
    assert_eq!(times, [5, 6]);
    let (table, header) = known(&[], &[], &[("value", CqlType::Int)]);
    let with_int = decode_partition(&codec(&table, &header, true), &bytes, usize::MAX);
    assert!(with_int.is_err());
}

#[test]
fn a_window_grows_through_a_long_head_and_a_long_body() {
    let (table, header) = known(&[CqlType::Blob, CqlType::Blob], &[], &[("v", CqlType::Blob)]);
    let codec = codec(&table, &header, true);
    let clustering = [None, None];
    let layouts = [Layout { complex: false, fixed: None }];
    let encoder = Encoder {
        bases: ZERO,
        clustering: &clustering,
        statics: &[],
        regulars: &layouts,
        message: false,
    };
    let long = |n: usize| vec![0x5a_u8; n];
    let row = EncRow {
        clustering: vec![Some(long(9_000)), Some(long(5_000))],
        ..enc_row(vec![simple(enc_cell(3, Life::Forever, &[], &long(20_000)))])
    };
    let marker = EncMarker {
        kind: 1,
        clustering: vec![Some(long(9_500))],
        first: Deletion { at: 4, deleted: 5 },
        second: None,
    };
    let unfiltereds = [EncUnfiltered::Row(row), EncUnfiltered::Marker(marker)];
    let (bytes, starts) = encoder.partition(&long(60_000), None, &unfiltereds, true);
    let expected = decode_partition(&codec, &bytes, usize::MAX);
    assert_eq!(expected.as_ref().unwrap().unfiltereds.len(), 2);
    for first in [0, 1, 2, 33, 4_095, 4_097, 8_999, 9_003, 14_100, 34_000, 60_002] {
        assert_eq!(decode_partition(&codec, &bytes, first), expected, "{first}");
    }
    // With the whole head at hand the size is known to the byte.
    let mut decoder = RowDecoder::new(Arc::clone(&codec));
    let row = &bytes[starts[0]..];
    let needed = decoder.decode(&row[..14_100], starts[0] as u64, &mut Row::default());
    assert_eq!(needed, Ok(Step::Need(starts[1] - starts[0])));
}

/// One unfiltered of a table with one clustering column (int), static `s` and regulars `a` (int), `m` (set).
fn decode_one(text: &str, previous: u64) -> Result<Step, DecodeError> {
    let (table, header) =
        known(&[CqlType::Int], &[("s", CqlType::Int)], &[("a", CqlType::Int), ("m", set_of_int())]);
    RowDecoder::new(codec(&table, &header, true)).decode(&hex(text), previous, &mut Row::default())
}

#[test]
fn rows_that_no_release_writes_are_errors() {
    let good = [
        ("01", 7, Step::End),
        ("24 00 00000001 0a 07 00 08 00000005 00", 7, Step::Need(0)),
        ("04 00 00000001 08 07 00 02 08 00000005", 7, Step::Row(15)),
        ("80 01 02 00 01", 0, Step::Row(5)),
        ("02 01 0000 03 07 00 00", 7, Step::Marker(0, BEGIN)),
    ];
    for (text, previous, step) in good {
        let found = decode_one(text, previous).unwrap();
        match (found, step) {
            (Step::Need(n), Step::Need(_)) => assert_eq!(n, 17, "{text}"),
            (Step::Marker(len, marker), Step::Marker(..)) => {
                assert_eq!((len, marker.kind), (8, ClusteringKind::InclStartBound), "{text}");
            }
            (found, expected) => assert_eq!(found, expected, "{text}"),
        }
    }
    let bad = [
        ("03", 7, "end of partition with more bits"),
        ("81 00", 7, "end of partition with more bits"),
        ("06 01 0000 03 07 00 00", 7, "marker flags with more bits"),
        ("82 01 0000 03 07 00 00", 7, "marker flags with more bits"),
        ("02 03 0000 03 07 00 00", 7, "kind of a static row"),
        ("02 04 0000 03 07 00 00", 7, "kind of a row"),
        ("02 08 0000 03 07 00 00", 7, "unknown kind"),
        ("02 01 0002 00 00000001 00000001 03 07 00 00", 7, "a bound longer than the clustering"),
        ("02 01 0000 04 07 00 00 00", 7, "a marker with a byte too many"),
        ("02 01 0000 02 07 00", 7, "a marker with a byte too few"),
        ("02 02 0000 03 07 00 00", 7, "a boundary with one deletion"),
        ("02 01 0000 03 08 00 00", 7, "size of the one before"),
        ("08 00 00000001 04 07 00 00 03", 7, "a TTL without liveness"),
        ("0c 00 00000001 05 07 00 00 00 03", 7, "a TTL of zero"),
        ("84 04 00 00000001 03 07 00 03", 7, "unknown extended flags"),
        ("04 00 00000001 03 06 00 03", 7, "size of the one before"),
        ("04 00 00000001 03 07 00 07", 7, "a subset with a column that is not there"),
        ("04 00 00000001 04 07 00 03 00", 7, "a byte too many"),
        ("04 00 00000001 02 07 00", 7, "a byte too few"),
        ("04 00 00000001 08 07 00 02 28 00000005", 7, "unknown cell flags"),
        ("00 00 00000001 07 07 02 08 00000005", 7, "a row timestamp without liveness"),
        ("04 00 00000001 04 07 00 02 13", 7, "deleted and expiring"),
        ("04 00 00000001 08 07 00 02 1a 00000005", 7, "a row TTL without one"),
        ("04 00 00000001 0c 07 00 01 ff ffffffffffffffff", 7, "a count beyond the row"),
        ("04 00 00000001 07 07 00 01 01 0c 7f 00", 7, "a path beyond the row"),
        ("04 00 00000001 ff ffffffffffffffff 07 00 03", 7, "a size of 2^64"),
    ];
    for (text, previous, why) in bad {
        let found = decode_one(text, previous);
        assert!(found.is_err(), "{why}: {text} gives {found:?}");
    }
}

const BEGIN: Marker = Marker {
    kind: ClusteringKind::InclStartBound,
    end: DeletionTime::LIVE,
    start: DeletionTime::LIVE,
};

#[test]
fn a_static_row_stands_only_at_the_start_of_a_partition() {
    assert_eq!(decode_one("80 01 02 00 01", 0), Ok(Step::Row(5)));
    assert!(decode_one("80 01 02 00 01", 7).is_err());
    assert_eq!(decode_one("04 00 00000001 03 07 00 03", 7), Ok(Step::Row(10)));
    assert!(decode_one("04 00 00000001 03 00 00 03", 0).is_err());
}

#[test]
fn a_large_subset_that_cannot_be_is_an_error() {
    let names: Vec<String> = (0..70).map(|i| format!("c{i:02}")).collect();
    let columns: Vec<_> = names.iter().map(|n| (n.as_str(), CqlType::Int)).collect();
    let (table, header) = known(&[], &[], &columns);
    let codec = codec(&table, &header, true);
    let decode = |subset: &[u64], cells: usize| {
        let mut body = vec![7];
        subset.iter().for_each(|&n| uvint(&mut body, n));
        (0..cells).for_each(|_| body.extend([0, 9, 0, 0, 0, 1]));
        let mut bytes = vec![0];
        uvint(&mut bytes, body.len() as u64);
        bytes.extend(body);
        let mut row = Row::EMPTY;
        let step = RowDecoder::new(Arc::clone(&codec)).decode(&bytes, 7, &mut row);
        step.map(|_| row.cells.iter().map(|c| c.column).collect::<Vec<_>>())
    };
    assert_eq!(decode(&[0], 70).unwrap().len(), 70);
    assert_eq!(decode(&[70], 0), Ok(vec![]));
    // 34 of 70 columns are listed themselves, 35 by the others.
    let few: Vec<u64> = [36].into_iter().chain(0..34).collect();
    assert_eq!(decode(&few, 34), Ok((0..34).collect()));
    let many: Vec<u64> = [35].into_iter().chain(0..35).collect();
    assert_eq!(decode(&many, 35), Ok((35..70).collect()));
    assert_eq!(decode(&[69, 69], 1), Ok(vec![69]));
    assert!(decode(&[69, 70], 1).is_err());
    assert!(decode(&[71], 0).is_err());
    assert!(decode(&[u64::MAX], 0).is_err());
    // A column named twice would leave another one out.
    assert!(decode(&[68, 3, 3], 1).is_err());
    assert!(decode(&[68, 3, 3], 2).is_err());
    assert!(decode(&[2, 3, 3], 69).is_err());
}
