use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cql::{CqlType, UdtType};
use crate::output::{ColumnType, FormatOptions, MetadataMode, RefusalKind};
use crate::rows::{LivenessInfo, LocalDeletionTime, NO_TTL, Span};
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, RowOrder, TableMetadata};

const NOW: i64 = 1_700_000_000;

pub(in crate::output) fn table(
    partition: &[(&str, CqlType)],
    clustering: &[(&str, CqlType)],
    statics: &[(&str, CqlType)],
    regulars: &[(&str, CqlType)],
) -> TableMetadata {
    let columns = |columns: &[(&str, CqlType)], kind| {
        columns
            .iter()
            .map(|(name, cql_type)| ColumnMetadata {
                name: (*name).into(),
                cql_type: cql_type.clone(),
                kind,
                reversed: false,
                mask: None,
            })
            .collect()
    };
    let mut table = TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: None,
        partition_key: columns(partition, ColumnKind::PartitionKey),
        clustering: columns(clustering, ColumnKind::Clustering),
        statics: columns(statics, ColumnKind::Static),
        regulars: columns(regulars, ColumnKind::Regular),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    };
    table.sort_columns();
    table
}

/// A row and its bytes, with some behind as a decoder leaves them.
#[derive(Default)]
pub(in crate::output) struct Built {
    row: Row,
    data: Vec<u8>,
}

impl Built {
    fn span(&mut self, bytes: &[u8]) -> Span {
        let start = u32::try_from(self.data.len()).unwrap();
        self.data.extend(bytes);
        Span { start, len: u32::try_from(bytes.len()).unwrap() }
    }

    pub(in crate::output) fn clustering(mut self, bytes: &[u8]) -> Self {
        let span = self.span(bytes);
        self.row.clustering.push(ClusteringValue::Value(span));
        self
    }

    fn marker(mut self, timestamp: i64, ttl: i32, expires: i64) -> Self {
        let local_deletion_time = deletion_time(ttl, expires);
        self.row.has_times |= ttl != NO_TTL;
        self.row.liveness = LivenessInfo { timestamp, ttl, local_deletion_time };
        self
    }

    pub(in crate::output) fn cell(self, table: &TableMetadata, name: &str, value: &[u8]) -> Self {
        self.timed(table, name, &[], value, (1, NO_TTL, 0))
    }

    pub(in crate::output) fn element(
        self,
        table: &TableMetadata,
        name: &str,
        path: &[u8],
        value: &[u8],
    ) -> Self {
        self.timed(table, name, path, value, (1, NO_TTL, 0))
    }

    fn timed(
        mut self,
        table: &TableMetadata,
        name: &str,
        path: &[u8],
        value: &[u8],
        (timestamp, ttl, expires): (i64, i32, i64),
    ) -> Self {
        let column = table.regulars.iter().position(|c| c.name == name);
        let column = column.or_else(|| table.statics.iter().position(|c| c.name == name)).unwrap();
        let cell = Cell {
            timestamp,
            local_deletion_time: deletion_time(ttl, expires),
            ttl,
            column: u16::try_from(column).unwrap(),
            source: 0,
            value: self.span(value),
            path: self.span(path),
        };
        self.row.has_times |= ttl != NO_TTL;
        self.row.cells.push(cell);
        self.row.cells.sort_by_key(|cell| cell.column);
        self
    }

    pub(in crate::output) fn view(&self) -> RowView<'_> {
        RowView { row: &self.row, data: &self.data }
    }
}

fn deletion_time(ttl: i32, expires: i64) -> LocalDeletionTime {
    if ttl == NO_TTL { LocalDeletionTime::NONE } else { LocalDeletionTime(expires) }
}

fn options(profile: Profile) -> FormatOptions {
    FormatOptions::new(profile, NOW)
}

fn writer(table: &TableMetadata, options: &FormatOptions) -> RecordWriter {
    RecordWriter::new(Arc::new(RecordFormat::new(table, options).unwrap()))
}

fn text(writer: &mut RecordWriter) -> String {
    String::from_utf8(writer.take()).unwrap()
}

fn int(value: i32) -> [u8; 4] {
    value.to_be_bytes()
}

fn set_of(element: CqlType) -> CqlType {
    CqlType::Set { element: Box::new(element), frozen: false }
}

fn map_of(key: CqlType, value: CqlType) -> CqlType {
    CqlType::Map { key: Box::new(key), value: Box::new(value), frozen: false }
}

/// pk, ck, v text, m map<text, text>: the table of the contract.
fn contract_table() -> TableMetadata {
    table(
        &[("pk", CqlType::Text)],
        &[("ck", CqlType::Int)],
        &[],
        &[("v", CqlType::Text), ("m", map_of(CqlType::Text, CqlType::Text))],
    )
}

fn contract_rows(writer: &mut RecordWriter, table: &TableMetadata) {
    writer.start_partition(b"alice").unwrap();
    let first = Built::default()
        .clustering(&int(1))
        .cell(table, "v", b"hello")
        .element(table, "m", b"a", b"1")
        .element(table, "m", b"b", b"x,y");
    assert_eq!(writer.write_row(first.view()), Ok(1));
    assert_eq!(writer.write_row(Built::default().clustering(&int(2)).view()), Ok(1));
    writer.start_partition(b"bob").unwrap();
    let second = Built::default().clustering(&int(10)).cell(table, "v", b"say \"hi\"").element(
        table,
        "m",
        b"k",
        b"line1\nline2",
    );
    assert_eq!(writer.write_row(second.view()), Ok(1));
}

#[test]
fn every_profile_writes_the_table_of_the_contract() {
    let table = contract_table();
    for (profile, header, expected) in [
        (
            Profile::Dms,
            None,
            concat!(
                "alice,1,\"{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"x,y\"\"}\",hello,80000001\n",
                "alice,2,\\N,\\N,80000002\n",
                "bob,10,\"{\"\"k\"\":\"\"line1\\nline2\"\"}\",\"say \"\"hi\"\"\",8000000A\n",
            ),
        ),
        (
            Profile::Csv,
            Some("pk,ck,m,v\n"),
            concat!(
                "alice,1,\"{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"x,y\"\"}\",hello\n",
                "alice,2,,\n",
                "bob,10,\"{\"\"k\"\":\"\"line1\\nline2\"\"}\",\"say \"\"hi\"\"\"\n",
            ),
        ),
        (
            Profile::Jsonl,
            None,
            concat!(
                "{\"pk\": \"alice\", \"ck\": 1, \"m\": {\"a\": \"1\", \"b\": \"x,y\"}, \"v\": \"hello\"}\n",
                "{\"pk\": \"alice\", \"ck\": 2, \"m\": null, \"v\": null}\n",
                "{\"pk\": \"bob\", \"ck\": 10, \"m\": {\"k\": \"line1\\nline2\"}, \"v\": \"say \\\"hi\\\"\"}\n",
            ),
        ),
    ] {
        let mut writer = writer(&table, &options(profile));
        let header_found = writer.format().header().map(|h| String::from_utf8(h).unwrap());
        assert_eq!(header_found.as_deref(), header);
        contract_rows(&mut writer, &table);
        assert_eq!(text(&mut writer), expected, "{profile:?}");
    }
}

#[test]
fn the_digest_is_the_sum_over_records_in_any_order_and_the_sizes_are_those_of_the_values() {
    let table = contract_table();
    let mut writer = writer(&table, &options(Profile::Dms));
    contract_rows(&mut writer, &table);
    let expected = [
        &b"alice,1,\"{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"x,y\"\"}\",hello,80000001"[..],
        b"alice,2,\\N,\\N,80000002",
        b"bob,10,\"{\"\"k\"\":\"\"line1\\nline2\"\"}\",\"say \"\"hi\"\"\",8000000A",
    ]
    .iter()
    .fold(0_u128, |sum, record| sum.wrapping_add(xxh3_128(record)));
    assert_eq!(writer.digest(), expected);
    let sizes: Vec<_> = writer.stats().columns.iter().map(|c| c.max_bytes).collect();
    assert_eq!(sizes, [5, 2, "{\"k\":\"line1\\nline2\"}".len() as u64, 8, 8]);
}

#[test]
fn a_refused_row_leaves_nothing_behind() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[],
        &[],
        &[("a", CqlType::Varint), ("d", CqlType::Double), ("t", CqlType::Text)],
    );
    let mut writer = writer(&table, &options(Profile::Dms));
    writer.start_partition(&int(1)).unwrap();
    let good = Built::default().cell(&table, "t", b"x");
    writer.write_row(good.view()).unwrap();
    let (before, digest) = (writer.buffer().to_vec(), writer.digest());
    let stats = writer.stats();
    let nan = Built::default()
        .cell(&table, "a", &[1, 2, 3])
        .cell(&table, "d", &f64::NAN.to_be_bytes())
        .cell(&table, "t", b"\\N");
    let refusal = writer.write_row(nan.view()).unwrap_err();
    assert_eq!(refusal.column.as_deref(), Some("d"));
    assert_eq!(refusal.to_string(), "column 'd': NaN, which only a column of type STRING holds");
    let bad_text = Built::default().cell(&table, "t", &[0xff]);
    assert!(writer.write_row(bad_text.view()).is_err());
    assert_eq!((writer.buffer(), writer.digest()), (&before[..], digest));
    assert_eq!(writer.stats().counters, stats.counters);
    assert_eq!(writer.stats().columns[1], stats.columns[1]);
    writer.write_row(good.view()).unwrap();
    assert_eq!(text(&mut writer), "1,\\N,\\N,x\n1,\\N,\\N,x\n");
}

#[test]
fn what_does_not_fit_a_column_type_fits_the_type_asked_for() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[],
        &[],
        &[
            ("b", CqlType::Date),
            ("c", CqlType::Timestamp),
            ("d", CqlType::Double),
            ("v", CqlType::Varint),
            ("z", CqlType::Decimal),
        ],
    );
    let row = Built::default()
        .cell(&table, "b", &[0; 4])
        .cell(&table, "c", &i64::MAX.to_be_bytes())
        .cell(&table, "d", &f64::INFINITY.to_be_bytes())
        .cell(&table, "v", &[0x7f; 20])
        .cell(&table, "z", &[0x80, 0, 0, 0, 1]);
    let mut asked = options(Profile::Dms);
    for (name, column_type) in
        [("b", "STRING"), ("c", "INT8"), ("d", "STRING"), ("v", "STRING"), ("z", "STRING")]
    {
        let mut writer = writer(&table, &asked);
        writer.start_partition(&int(1)).unwrap();
        let refusal = writer.write_row(row.view()).unwrap_err();
        assert_eq!(refusal.column.as_deref(), Some(name));
        asked.column_types.insert(name.into(), column_type.parse().unwrap());
    }
    let mut writer = writer(&table, &asked);
    writer.start_partition(&int(1)).unwrap();
    writer.write_row(row.view()).unwrap();
    assert_eq!(
        text(&mut writer),
        "1,-5877641-06-23,9223372036854775807,Infinity,\
         727885129180488904360266563744972327436484050815,1E+2147483648\n"
    );
    let stats = writer.stats();
    assert_eq!(stats.counters.numbers_over_38_digits, 2);
    assert_eq!(stats.counters.non_finite_numbers, 1);
    assert_eq!((stats.columns[3].non_finite, stats.columns[4].max_digits), (1, 48));
}

#[test]
fn static_columns_are_repeated_and_stand_alone_where_there_are_no_rows() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[("ck", CqlType::Int)],
        &[("s", CqlType::Text)],
        &[("v", CqlType::Int)],
    );
    let statics = Built::default().cell(&table, "s", b"x");
    let row = Built::default().clustering(&int(1)).cell(&table, "v", &int(5));
    for (profile, rows, alone, separate) in [
        (Profile::Dms, "1,1,x,5,80000001\n", "1,\\N,x,\\N,%53%54\n", ""),
        (Profile::Csv, "1,1,x,5\n", "", "1,x\n"),
        (
            Profile::Jsonl,
            "{\"pk\": 1, \"ck\": 1, \"s\": \"x\", \"v\": 5}\n",
            "{\"pk\": 1, \"ck\": null, \"s\": \"x\", \"v\": null}\n",
            "",
        ),
    ] {
        let mut writer = writer(&table, &options(profile));
        writer.start_partition(&int(1)).unwrap();
        assert_eq!(writer.write_static_only(), Ok(0));
        writer.set_static(Some(statics.view()));
        writer.write_row(row.view()).unwrap();
        assert_eq!(text(&mut writer), rows);
        assert_eq!(writer.write_static_only(), Ok(1));
        assert_eq!(text(&mut writer), alone);
        assert_eq!(std::str::from_utf8(writer.static_buffer()).unwrap(), separate);
        let expected = if separate.is_empty() { 0 } else { xxh3_128(b"1,x") };
        assert_eq!(writer.static_digest(), expected);
        let header = writer.format().static_header();
        assert_eq!(header, (profile == Profile::Csv).then(|| b"pk,s\n".to_vec()));
        writer.start_partition(&int(2)).unwrap();
        writer.write_row(row.view()).unwrap();
        assert!(!text(&mut writer).contains('x'), "static values of the partition before");
    }
}

#[test]
fn keys_that_a_target_cannot_hold_become_one_text_each() {
    let table = table(
        &[("tenant", CqlType::Text), ("day", CqlType::Date)],
        &[("seq", CqlType::Bigint)],
        &[],
        &[("value", CqlType::Text)],
    );
    let format = RecordFormat::new(&table, &options(Profile::Dms)).unwrap();
    let shown: Vec<_> = format
        .columns()
        .iter()
        .map(|c| (c.name.as_str(), c.primary_key, c.nullable, c.column_type))
        .collect();
    assert_eq!(
        shown,
        [
            ("tenant", false, true, ColumnType::String),
            ("day", false, true, ColumnType::Date),
            ("seq", false, true, ColumnType::Int8),
            ("value", false, true, ColumnType::String),
            ("cp_pk", true, false, ColumnType::String),
            ("cp_sk", true, false, ColumnType::String),
        ]
    );
    let mut writer = writer(&table, &options(Profile::Dms));
    let mut key = vec![0, 3];
    key.extend(b"a#b\0");
    key.extend([0, 4]);
    key.extend((20_778_u32 + (1 << 31)).to_be_bytes());
    key.push(0);
    writer.start_partition(&key).unwrap();
    let row = Built::default().clustering(&10_i64.to_be_bytes()).cell(&table, "value", b"v");
    writer.write_row(row.view()).unwrap();
    assert_eq!(text(&mut writer), "a#b,2026-11-21,10,v,a%23b#2026-11-21,800000000000000A\n");
    assert!(writer.start_partition(b"\0\x09abc").is_err());
    assert!(writer.write_row(row.view()).is_err(), "rows of a partition without a key");
    assert_eq!(text(&mut writer), "");
}

#[test]
fn of_decimals_that_have_one_text_one_is_refused_as_a_key_for_dms() {
    let (hundred, one_by_hundred) = ([0, 0, 0, 0, 100], [0xff, 0xff, 0xff, 0xfe, 1]);
    let single = table(&[("pk", CqlType::Decimal)], &[], &[], &[]);
    let mut dms = writer(&single, &options(Profile::Dms));
    dms.start_partition(&hundred).unwrap();
    let refusal = dms.start_partition(&one_by_hundred).unwrap_err();
    assert_eq!(refusal.kind, Some(RefusalKind::SameKey));
    assert!(refusal.to_string().contains("column 'pk'"), "{refusal}");
    // As text they differ, and as parts of a generated key.
    let mut asked = options(Profile::Dms);
    asked.column_types.insert("pk".into(), "STRING".parse().unwrap());
    writer(&single, &asked).start_partition(&one_by_hundred).unwrap();
    let two = table(&[("pk", CqlType::Decimal), ("pl", CqlType::Int)], &[], &[], &[]);
    let key = [&[0, 5][..], &one_by_hundred, &[0, 0, 4, 0, 0, 0, 1, 0]].concat();
    writer(&two, &options(Profile::Dms)).start_partition(&key).unwrap();
    writer(&single, &options(Profile::Jsonl)).start_partition(&one_by_hundred).unwrap();
}

#[test]
fn an_empty_sort_key_is_written_as_an_escape_and_a_long_one_shortened() {
    let table = table(&[("pk", CqlType::Int)], &[("ck", CqlType::Text)], &[], &[]);
    let mut writer = writer(&table, &options(Profile::Dms));
    writer.start_partition(&int(1)).unwrap();
    writer.write_row(Built::default().clustering(b"").view()).unwrap();
    assert_eq!(text(&mut writer), "1,,%00\n");
    writer.write_row(Built::default().clustering(&[b'x'; 2000]).view()).unwrap();
    let counters = writer.stats().counters;
    assert_eq!((counters.empty_sort_keys, counters.keys_shortened), (1, 1));
}

#[test]
fn row_metadata_tells_the_newest_write_and_what_expires_together() {
    let table =
        table(&[("pk", CqlType::Int)], &[], &[], &[("v", CqlType::Int), ("w", CqlType::Int)]);
    let mut asked = options(Profile::Csv);
    asked.metadata = MetadataMode::Row;
    asked.expires_column = Some("gone".into());
    let soon = NOW + 60;
    let cell = |built: Built, name, time| built.timed(&table, name, &[], &int(5), time);
    let together = cell(Built::default().marker(7, 100, soon), "v", (1_000_000, 100, soon));
    let mixed = cell(Built::default().marker(7, NO_TTL, 0), "v", (1, 100, soon));
    let apart = cell(cell(Built::default(), "v", (1, 100, soon)), "w", (2, 100, soon + 5));
    let mut csv = writer(&table, &asked);
    assert_eq!(csv.format().header().unwrap(), b"pk,v,w,writetime(*),ttl(*),gone\n");
    csv.start_partition(&int(1)).unwrap();
    for row in [&together, &mixed, &apart] {
        csv.write_row(row.view()).unwrap();
    }
    assert_eq!(
        text(&mut csv),
        "1,5,,1970-01-01T00:00:01.000000Z,60,1700000060\n\
         1,5,,1970-01-01T00:00:00.000007Z,,\n\
         1,5,5,1970-01-01T00:00:00.000002Z,,1700000065\n"
    );
    assert_eq!(csv.stats().counters.rows_mixed_ttl, 2);
    asked.profile = Profile::Dms;
    asked.writetime = Some(42);
    let mut dms = writer(&table, &asked);
    let names: Vec<_> = dms.format().columns().iter().map(|c| c.name.clone()).collect();
    assert_eq!(names, ["pk", "v", "w", "cp_writetime", "cp_ttl", "gone"]);
    dms.start_partition(&int(1)).unwrap();
    dms.write_row(together.view()).unwrap();
    assert_eq!(text(&mut dms), "1,5,\\N,42,60,1700000060\n");
}

#[test]
fn cell_metadata_lists_elements_and_fields() {
    let udt = UdtType {
        keyspace: "ks".into(),
        name: "u".into(),
        fields: vec![("a".into(), CqlType::Int), ("b".into(), CqlType::Int)],
    };
    let table = table(
        &[("pk", CqlType::Int)],
        &[("ck", CqlType::Int)],
        &[("s", CqlType::Int)],
        &[
            ("l", set_of(CqlType::Int)),
            ("u", CqlType::Udt { udt: Arc::new(udt), frozen: false }),
            ("v", CqlType::Int),
        ],
    );
    let mut asked = options(Profile::Jsonl);
    asked.metadata = MetadataMode::Cell;
    let statics = Built::default().timed(&table, "s", &[], &int(3), (9, NO_TTL, 0));
    let row = Built::default()
        .clustering(&int(1))
        .marker(8, NO_TTL, 0)
        .timed(&table, "l", &int(1), &[], (1, NO_TTL, 0))
        .timed(&table, "l", &int(2), &[], (2, 50, NOW + 20))
        .timed(&table, "u", &[0, 1], &int(7), (4, NO_TTL, 0));
    let mut json = writer(&table, &asked);
    json.start_partition(&int(1)).unwrap();
    json.set_static(Some(statics.view()));
    json.write_row(row.view()).unwrap();
    assert_eq!(
        text(&mut json),
        "{\"pk\": 1, \"ck\": 1, \"s\": 3, \"l\": [1, 2], \"u\": {\"a\": null, \"b\": 7}, \"v\": null, \
         \"writetime(s)\": 9, \"ttl(s)\": null, \"writetime(l)\": [1, 2], \"ttl(l)\": [null, 20], \
         \"writetime(u)\": [null, 4], \"ttl(u)\": [null, null], \"writetime(v)\": null, \"ttl(v)\": null, \
         \"writetime(primary key)\": 8, \"ttl(primary key)\": null}\n"
    );
    asked.profile = Profile::Csv;
    let mut csv = writer(&table, &asked);
    csv.start_partition(&int(1)).unwrap();
    csv.set_static(Some(statics.view()));
    csv.write_row(row.view()).unwrap();
    let line = text(&mut csv);
    assert!(
        line.contains(
            "\"[\"\"1970-01-01T00:00:00.000001Z\"\",\"\"1970-01-01T00:00:00.000002Z\"\"]\",\"[null,20]\""
        ),
        "{line}"
    );
    assert_eq!(csv.write_static_only(), Ok(1));
    assert_eq!(csv.format().static_header().unwrap(), b"pk,s,writetime(s),ttl(s)\n");
    assert_eq!(csv.static_buffer(), b"1,3,1970-01-01T00:00:00.000009Z,\n");
}

#[test]
fn counters_have_their_total_and_no_times() {
    let mut table = table(&[("pk", CqlType::Int)], &[], &[], &[("c", CqlType::Counter)]);
    table.counter = true;
    let mut asked = options(Profile::Jsonl);
    asked.metadata = MetadataMode::Cell;
    let mut context = vec![0, 0];
    for count in [5_i64, -7] {
        context.extend([1; 24]);
        context.extend(count.to_be_bytes());
    }
    let row = Built::default().cell(&table, "c", &context);
    let mut json = writer(&table, &asked);
    json.start_partition(&int(1)).unwrap();
    json.write_row(row.view()).unwrap();
    assert_eq!(
        text(&mut json),
        "{\"pk\": 1, \"c\": -2, \"writetime(c)\": null, \"ttl(c)\": null, \
         \"writetime(primary key)\": null, \"ttl(primary key)\": null}\n"
    );
}

#[test]
fn columns_are_chosen_and_renamed() {
    let table = contract_table();
    let mut asked = options(Profile::Csv);
    asked.include = Some(BTreeSet::from(["v".to_owned()]));
    asked.rename = BTreeMap::from([("v".to_owned(), "my, v".to_owned())]);
    let mut csv = writer(&table, &asked);
    assert_eq!(csv.format().header().unwrap(), b"pk,ck,\"my, v\"\n");
    contract_rows(&mut csv, &table);
    assert_eq!(text(&mut csv), "alice,1,hello\nalice,2,\nbob,10,\"say \"\"hi\"\"\"\n");
}

#[test]
fn tables_of_thrift_show_what_cql_shows() {
    let mut compact = table(
        &[("key", CqlType::Int)],
        &[("column1", CqlType::Text)],
        &[("b", CqlType::Int), ("a", CqlType::Int)],
        &[("value", CqlType::Blob)],
    );
    compact.compact = CompactKind::StaticCompact;
    let mut csv = writer(&compact, &options(Profile::Csv));
    assert_eq!(csv.format().header().unwrap(), b"key,a,b\n");
    assert!(!csv.format().separate_static_only());
    csv.start_partition(&int(1)).unwrap();
    csv.set_static(Some(Built::default().cell(&compact, "b", &int(2)).view()));
    assert_eq!(csv.write_static_only(), Ok(1));
    assert_eq!(text(&mut csv), "1,,2\n");

    let mut dense = table(
        &[("key", CqlType::Int)],
        &[("column1", CqlType::Text), ("column2", CqlType::Text)],
        &[],
        &[("value", CqlType::Empty)],
    );
    dense.compact = CompactKind::Dense;
    let mut json = writer(&dense, &options(Profile::Jsonl));
    json.start_partition(&int(1)).unwrap();
    let mut row = Built::default().clustering(b"x").cell(&dense, "value", &[]);
    row.row.clustering.push(ClusteringValue::Null);
    json.write_row(row.view()).unwrap();
    assert_eq!(text(&mut json), "{\"key\": 1, \"column1\": \"x\", \"column2\": null}\n");
    let mut csv = writer(&dense, &options(Profile::Csv));
    csv.start_partition(&int(1)).unwrap();
    assert_eq!(csv.write_row(row.view()).unwrap_err().column.as_deref(), Some("column2"));
}

#[test]
fn entries_of_super_columns_are_records_and_stand_or_fall_together() {
    let mut table = table(
        &[("key", CqlType::Int)],
        &[("column1", CqlType::Text)],
        &[],
        &[("", map_of(CqlType::Int, CqlType::Text))],
    );
    table.compact = CompactKind::Super;
    let mut dms = writer(&table, &options(Profile::Dms));
    dms.start_partition(&int(1)).unwrap();
    let row = Built::default().clustering(b"x").element(&table, "", &int(1), b"a").element(
        &table,
        "",
        &int(2),
        b"b",
    );
    assert_eq!(dms.write_row(row.view()), Ok(2));
    assert_eq!(text(&mut dms), "1,x,1,a,1,x#80000001\n1,x,2,b,1,x#80000002\n");
    let expected =
        xxh3_128(b"1,x,1,a,1,x#80000001").wrapping_add(xxh3_128(b"1,x,2,b,1,x#80000002"));
    assert_eq!(dms.digest(), expected);
    let bad = row.element(&table, "", &int(3), &[0xff]);
    assert!(dms.write_row(bad.view()).is_err());
    assert_eq!((text(&mut dms), dms.digest()), (String::new(), expected));
}

#[test]
fn values_no_item_can_hold_are_counted() {
    let table = contract_table();
    let mut dms = writer(&table, &options(Profile::Dms));
    dms.start_partition(b"k").unwrap();
    let big = vec![b'x'; MAX_ITEM_LEN];
    dms.write_row(Built::default().clustering(&int(1)).cell(&table, "v", &big).view()).unwrap();
    assert_eq!(dms.stats().counters.items_over_400_kb, 1);
    let mut sum = dms.stats();
    sum.merge(&dms.stats());
    assert_eq!(sum.counters.items_over_400_kb, 2);
    assert_eq!(sum.columns[3].max_bytes, MAX_ITEM_LEN as u64);
}

#[test]
fn datalake_records_begin_with_operation_and_time_and_tell_null_from_empty() {
    let table = table(
        &[("pk", CqlType::Text)],
        &[("ck", CqlType::Int)],
        &[("s", CqlType::Text)],
        &[
            ("b", CqlType::Blob),
            ("d", CqlType::Double),
            ("de", CqlType::Decimal),
            ("t", CqlType::Text),
            ("ts", CqlType::Timestamp),
        ],
    );
    let mut writer = writer(&table, &options(Profile::Datalake));
    let header = writer.format().header().unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), "Op,cp_ts,pk,ck,s,b,d,de,t,ts\n");
    writer.start_partition(b"p").unwrap();
    let row = Built::default()
        .clustering(&int(1))
        .cell(&table, "b", b"")
        .cell(&table, "d", &f64::NAN.to_be_bytes())
        .cell(&table, "de", &[0xff, 0xff, 0xff, 0xd0, 7])
        .cell(&table, "t", b"")
        .timed(&table, "ts", b"", &0_i64.to_be_bytes(), (1_700_000_000_000_001, NO_TTL, 0));
    assert_eq!(writer.write_row(row.view()), Ok(1));
    let token = Built::default().clustering(&int(2)).cell(&table, "t", b"\\N");
    assert_eq!(writer.write_row(token.view()), Ok(1));
    assert_eq!(
        text(&mut writer),
        "I,2023-11-14 22:13:20.000001,p,1,\\N,\"\",NaN,7E+48,\"\",1970-01-01 00:00:00.000\n\
         I,1970-01-01 00:00:00.000001,p,2,\\N,\\N,\\N,\\N,\"\\N\",\\N\n"
    );
    assert_eq!(writer.stats().counters.text_equal_to_null_token, 1);
    let late = Built::default().clustering(&int(3)).cell(
        &table,
        "ts",
        &253_402_300_800_000_i64.to_be_bytes(),
    );
    assert_eq!(writer.write_row(late.view()).unwrap_err().kind.unwrap(), RefusalKind::OutOfRange);
    writer.set_static(Some(Built::default().cell(&table, "s", b"x").view()));
    assert_eq!(writer.write_static_only(), Ok(1));
    assert_eq!(text(&mut writer), "I,1970-01-01 00:00:00.000001,p,\\N,x,\\N,\\N,\\N,\\N,\\N\n");
    // One time in place of all holds for this one too.
    let mut one = options(Profile::Datalake);
    one.writetime = Some(0);
    let mut writer = self::writer(&table, &one);
    writer.start_partition(b"p").unwrap();
    writer.write_row(row.view()).unwrap();
    assert!(text(&mut writer).starts_with("I,1970-01-01 00:00:00.000000,p,1,"));
}

#[test]
fn cqlsh_records_are_literals_and_what_it_cannot_load_is_refused_by_its_kind() {
    let table = table(
        &[("pk", CqlType::Int)],
        &[("ck", CqlType::Text)],
        &[],
        &[
            ("b", CqlType::Boolean),
            ("du", CqlType::Duration),
            ("m", map_of(CqlType::Text, CqlType::Int)),
            ("t", CqlType::Text),
            ("ts", CqlType::Timestamp),
        ],
    );
    let mut writer = writer(&table, &options(Profile::Cqlsh));
    let header = writer.format().header().unwrap();
    assert_eq!(String::from_utf8(header).unwrap(), "pk,ck,b,du,m,t,ts\n");
    writer.start_partition(&int(1)).unwrap();
    let row = Built::default()
        .clustering(b"")
        .cell(&table, "b", &[1])
        .element(&table, "m", b"it's \"x\"", &int(5))
        .cell(&table, "t", b"say \"hi\"")
        .cell(&table, "ts", &(-1_i64).to_be_bytes());
    assert_eq!(writer.write_row(row.view()), Ok(1));
    assert_eq!(text(&mut writer), "1,,True,\\N,\"{'it''s \"\"x\"\"':5}\",\"say \"\"hi\"\"\",-1\n");
    let refused = |writer: &mut RecordWriter, built: Built| {
        writer.write_row(built.view()).unwrap_err().kind.unwrap()
    };
    let row = || Built::default().clustering(b"x");
    let w = &mut writer;
    assert_eq!(refused(w, row().cell(&table, "t", b"a\nb")), RefusalKind::LineEnd);
    assert_eq!(refused(w, row().cell(&table, "t", b"\\N")), RefusalKind::NullToken);
    assert_eq!(refused(w, row().cell(&table, "du", &[2, 2, 2])), RefusalKind::UnsupportedType);
    assert_eq!(refused(w, row().element(&table, "m", b"\r", &int(1))), RefusalKind::LineEnd);
    assert_eq!(refused(w, Built::default().clustering(b"\\N")), RefusalKind::NullToken);
    assert_eq!(text(&mut writer), "");
}

#[test]
fn cqlsh_and_dsbulk_would_add_static_counters_up_and_cqlsh_makes_zeros_of_null_counters() {
    let mut table = table(
        &[("pk", CqlType::Int)],
        &[("ck", CqlType::Int)],
        &[("s", CqlType::Counter)],
        &[("a", CqlType::Counter), ("b", CqlType::Counter)],
    );
    table.counter = true;
    // A context of one global shard: count of elements, then id, clock and count.
    let context =
        [&[0, 1, 0x80, 0][..], &[7; 16], &1_i64.to_be_bytes(), &5_i64.to_be_bytes()].concat();
    let both = || Built::default().clustering(&int(1)).cell(&table, "a", &context);
    for (profile, without, kind) in [
        (Profile::Csv, Some("1,1,,5,\n"), RefusalKind::StaticCounter),
        // Without the static row its counter is null, which is refused first.
        (Profile::Cqlsh, None, RefusalKind::NullCounter),
    ] {
        let mut writer = writer(&table, &options(profile));
        writer.start_partition(&int(1)).unwrap();
        match (writer.write_row(both().view()), without) {
            (Ok(1), Some(expected)) => assert_eq!(text(&mut writer), expected),
            (Err(refusal), None) => assert_eq!(refusal.kind.unwrap(), RefusalKind::NullCounter),
            (other, _) => panic!("{profile:?} {other:?}"),
        }
        writer.set_static(Some(Built::default().cell(&table, "s", &context).view()));
        assert_eq!(writer.write_row(both().view()).unwrap_err().kind.unwrap(), kind);
        match writer.write_static_only() {
            Ok(1) if profile == Profile::Csv => assert_eq!(writer.static_buffer(), b"1,5\n"),
            Err(refusal) => assert_eq!(refusal.kind.unwrap(), RefusalKind::NullCounter),
            other => panic!("{profile:?} {other:?}"),
        }
    }
}
