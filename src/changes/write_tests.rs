use uuid::Uuid;

use super::*;
use crate::rows::{LivenessInfo, LocalDeletionTime, Marker, Row, Span};
use crate::schema::parse_schema;

fn table(columns: &str) -> Arc<TableMetadata> {
    let text = format!(
        "CREATE TABLE shop.orders ({columns}) WITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c18;"
    );
    Arc::new(parse_schema(&text, None).unwrap().table("shop", "orders").unwrap().clone())
}

const HOST: Uuid = Uuid::from_u128(0x0e9f_0000_0000_4000_8000_0000_0000_0001);

fn origin() -> Origin {
    let position = Position::Log(LogPosition { segment: 1_700_000_000_123, offset: 4711 });
    Origin { host_id: HOST, position }
}

fn lines(update: &PartitionUpdate, base: bool) -> Vec<String> {
    let mut writer = ChangeRecordWriter::default();
    writer.begin(&origin());
    let count = writer.update(update, base).unwrap();
    let text = String::from_utf8(writer.take()).unwrap();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), usize::try_from(count).unwrap());
    lines
}

struct Draft(PartitionUpdate);

impl Draft {
    fn span(&mut self, bytes: &[u8]) -> Span {
        let start = u32::try_from(self.0.data.len()).unwrap();
        self.0.data.extend_from_slice(bytes);
        Span { start, len: u32::try_from(bytes.len()).unwrap() }
    }

    fn row(&mut self, clustering: &[&[u8]]) -> Row {
        let clustering =
            clustering.iter().map(|value| ClusteringValue::Value(self.span(value))).collect();
        Row { clustering, ..Row::EMPTY }
    }

    fn cell(&mut self, column: u16, timestamp: i64, path: &[u8], value: &[u8]) -> Cell {
        Cell {
            timestamp,
            local_deletion_time: LocalDeletionTime::NONE,
            ttl: NO_TTL,
            column,
            source: 0,
            path: self.span(path),
            value: self.span(value),
        }
    }
}

fn deletion(micros: i64) -> DeletionTime {
    DeletionTime { marked_for_delete_at: micros, local_deletion_time: LocalDeletionTime(3) }
}

fn dead(mut cell: Cell) -> Cell {
    cell.local_deletion_time = LocalDeletionTime(5);
    cell
}

const TAIL: &str = r#""hostId":"0e9f0000-0000-4000-8000-000000000001","position":{"segment":1700000000123,"offset":4711}"#;
const HEAD: &str =
    r#""keyspace":"shop","table":"orders","tableId":"5a1c395e-b41f-11e5-9f22-ba0be0483c18""#;

#[test]
fn an_insert_has_marker_cells_tombstones_and_elements() {
    let table = table(
        "customer text, id int, total decimal, note text, tags set<text>, PRIMARY KEY (customer, id)",
    );
    let mut draft = Draft(PartitionUpdate::new(Arc::clone(&table), b"c1".to_vec()));
    let mut row = draft.row(&[&[0, 0, 0, 7]]);
    row.liveness = LivenessInfo {
        timestamp: 1_700_000_000_000_001,
        ttl: 86400,
        local_deletion_time: LocalDeletionTime(1_700_086_400),
    };
    // In disk order: note, total, and the complex one last.
    row.cells.push(dead(draft.cell(0, 1_700_000_000_000_001, b"", b"")));
    row.cells.push(draft.cell(1, 1_700_000_000_000_001, b"", &[0, 0, 0, 2, 4, 0xe2]));
    row.complex.push(ComplexDeletion { column: 2, deletion: deletion(1_700_000_000_000_000) });
    row.cells.push(draft.cell(2, 1_700_000_000_000_001, b"a", b""));
    row.cells.push(dead(draft.cell(2, 1_700_000_000_000_002, b"b", b"")));
    draft.0.content.push(UpdateContent::Row(row));
    let expected = format!(
        r#"{{"op":"upsert",{HEAD},"key":{{"customer":"c1","id":7}},"marker":{{"writetime":1700000000000001,"ttl":86400,"expires":1700086400}},"cells":{{"note":{{"deleted":true,"writetime":1700000000000001}},"total":{{"value":12.50,"writetime":1700000000000001}},"tags":{{"reset":1700000000000000,"elements":[{{"key":"a","writetime":1700000000000001}},{{"key":"b","deleted":true,"writetime":1700000000000002}}]}}}},{TAIL},"index":0}}"#
    );
    assert_eq!(lines(&draft.0, false), [expected]);
}

#[test]
fn deletions_are_records_of_their_own_in_clustering_order() {
    let table = table("k int, a int, b int, v int, s int STATIC, PRIMARY KEY (k, a, b)");
    let mut draft = Draft(PartitionUpdate::new(Arc::clone(&table), vec![0, 0, 0, 1]));
    draft.0.deletion = deletion(10);
    let mut of_partition = Row::EMPTY;
    of_partition.cells.push(draft.cell(0, 11, b"", &[0, 0, 0, 9]));
    draft.0.static_row = Some(of_partition);
    let (one, two) = ([0, 0, 0, 1], [0, 0, 0, 2]);
    let open = Marker {
        kind: ClusteringKind::InclStartBound,
        end: DeletionTime::LIVE,
        start: deletion(20),
    };
    let middle = Marker {
        kind: ClusteringKind::InclEndExclStartBoundary,
        end: deletion(20),
        start: deletion(21),
    };
    let close =
        Marker { kind: ClusteringKind::InclEndBound, end: deletion(21), start: DeletionTime::LIVE };
    let mut gone = draft.row(&[&one, &two]);
    gone.deletion = deletion(30);
    let (first, second) = (draft.row(&[]), draft.row(&[&one]));
    let nothing = draft.row(&[&two, &one]);
    draft.0.content = vec![
        UpdateContent::Marker(open, first),
        UpdateContent::Row(gone),
        UpdateContent::Marker(middle, second),
        UpdateContent::Row(nothing),
        UpdateContent::Marker(close, Row::EMPTY),
    ];
    let expected = [
        format!(
            r#"{{"op":"delete_partition",{HEAD},"key":{{"k":1}},"deleted":10,{TAIL},"index":0}}"#
        ),
        format!(
            r#"{{"op":"upsert",{HEAD},"key":{{"k":1}},"static":true,"cells":{{"s":{{"value":9,"writetime":11}}}},{TAIL},"index":1}}"#
        ),
        format!(
            r#"{{"op":"delete_range",{HEAD},"key":{{"k":1}},"range":{{"end":{{"values":[1],"inclusive":true}}}},"deleted":20,{TAIL},"index":2}}"#
        ),
        format!(
            r#"{{"op":"delete",{HEAD},"key":{{"k":1,"a":1,"b":2}},"deleted":30,{TAIL},"index":3}}"#
        ),
        format!(
            r#"{{"op":"delete_range",{HEAD},"key":{{"k":1}},"range":{{"start":{{"values":[1],"inclusive":false}}}},"deleted":21,{TAIL},"index":4}}"#
        ),
    ];
    assert_eq!(lines(&draft.0, false), expected);
    // As base, a row that says nothing says that it is there.
    let base = lines(&draft.0, true);
    let known = format!(
        r#"{{"op":"upsert",{HEAD},"key":{{"k":1,"a":2,"b":1}},"base":true,{TAIL},"index":5}}"#
    );
    assert_eq!(base.last(), Some(&known));
}

#[test]
fn counters_are_shards() {
    let table = table("k text PRIMARY KEY, c counter");
    let mut draft = Draft(PartitionUpdate::new(Arc::clone(&table), b"x".to_vec()));
    let mut context = vec![0, 1, 0x80, 0];
    context.extend([7; 16]);
    context.extend(3_i64.to_be_bytes());
    context.extend((-12_i64).to_be_bytes());
    let mut row = draft.row(&[]);
    row.cells.push(draft.cell(0, 4, b"", &context));
    draft.0.content.push(UpdateContent::Row(row));
    let expected = format!(
        r#"{{"op":"upsert",{HEAD},"key":{{"k":"x"}},"cells":{{"c":{{"shards":[{{"id":"07070707-0707-0707-0707-070707070707","clock":3,"count":-12}}],"writetime":4}}}},{TAIL},"index":0}}"#
    );
    assert_eq!(lines(&draft.0, false), [expected]);
}

#[test]
fn bytes_that_text_does_not_carry_stand_beside_it() {
    let table = table("k boolean, c int, v varint, m map<int, ascii>, PRIMARY KEY (k, c)");
    let mut draft = Draft(PartitionUpdate::new(Arc::clone(&table), vec![7]));
    let mut row = draft.row(&[&[1, 2]]);
    // Simple columns first: v, then the map.
    row.cells.push(draft.cell(0, 4, b"", &[0, 5]));
    row.cells.push(draft.cell(1, 4, &[9], &[0xff]));
    draft.0.content.push(UpdateContent::Row(row));
    let expected = format!(
        r#"{{"op":"upsert",{HEAD},"key":{{"k":true,"c":null}},"partitionKeyBytes":"0x07","clusteringBytes":["0x0102"],"cells":{{"v":{{"value":5,"bytes":"0x0005","writetime":4}},"m":{{"elements":[{{"key":null,"keyBytes":"0x09","value":null,"bytes":"0xff","writetime":4}}]}}}},{TAIL},"index":0}}"#
    );
    assert_eq!(lines(&draft.0, false), [expected]);
}

#[test]
fn truncations_and_definitions_need_no_key_and_backups_name_their_sstable() {
    let table = table("k text PRIMARY KEY, v int");
    let mut writer = ChangeRecordWriter::default();
    writer.begin(&origin());
    writer.truncate(&table, LogPosition { segment: 5, offset: 6 }, 1_700_000_000_999);
    writer.schema(&table, "CREATE TABLE \"x\";\n");
    assert_eq!(writer.index(), 2);
    let position = Position::Sstable { sstable: "nb-12-big".into(), record: 3 };
    writer.begin(&Origin { host_id: HOST, position });
    writer.schema(&table, "");
    let expected = format!(
        "{{\"op\":\"truncate\",{HEAD},\"truncatedAt\":{{\"segment\":5,\"offset\":6}},\"time\":1700000000999,{TAIL},\"index\":0}}\n\
         {{\"op\":\"schema\",{HEAD},\"cql\":\"CREATE TABLE \\\"x\\\";\\n\",{TAIL},\"index\":1}}\n\
         {{\"op\":\"schema\",{HEAD},\"cql\":\"\",\"hostId\":\"{HOST}\",\"position\":{{\"sstable\":\"nb-12-big\",\"record\":3}},\"index\":0}}\n"
    );
    assert_eq!(String::from_utf8(writer.buffer().to_vec()).unwrap(), expected);
    writer.clear();
    assert!(writer.buffer().is_empty());
}

#[test]
fn markers_that_do_not_pair_are_an_error() {
    let table = table("k int, c int, PRIMARY KEY (k, c)");
    let mut update = PartitionUpdate::new(table, vec![0, 0, 0, 1]);
    let open = Marker {
        kind: ClusteringKind::InclStartBound,
        end: DeletionTime::LIVE,
        start: deletion(1),
    };
    update.content.push(UpdateContent::Marker(open, Row::EMPTY));
    let mut writer = ChangeRecordWriter::default();
    writer.begin(&origin());
    assert!(writer.update(&update, false).unwrap_err().to_string().contains("no end"));
    update.content.push(UpdateContent::Marker(open, Row::EMPTY));
    assert!(writer.update(&update, false).is_err());
    let nothing = Marker { start: DeletionTime::LIVE, ..open };
    update.content = vec![UpdateContent::Marker(nothing, Row::EMPTY)];
    assert!(writer.update(&update, false).is_err());
}
