use proptest::prelude::*;

use super::*;
use crate::changes::ChangeRecordWriter;
use crate::changes::samples::{Tape, table, update};
use crate::rows::RowView;
use crate::schema::parse_schema;

fn origin(t: &mut Tape<'_>) -> Origin {
    let position = if t.one_in(3) {
        Position::Sstable { sstable: "nb-1-big".into(), record: u64::MAX }
    } else {
        Position::Log(LogPosition { segment: t.i64(), offset: u32::MAX })
    };
    Origin { host_id: Uuid::from_u128(99), position }
}

/// What a row says, spelled out.
fn spelled_row(view: RowView<'_>) -> String {
    let RowView { row, data } = view;
    let clustering: Vec<_> = row.clustering.iter().map(|value| value.bytes(data)).collect();
    let deletion = |d: &DeletionTime| d.marked_for_delete_at;
    let complex: Vec<_> = row.complex.iter().map(|c| (c.column, deletion(&c.deletion))).collect();
    let cells: Vec<_> = row
        .cells
        .iter()
        .map(|c| {
            let time = if c.is_tombstone() { None } else { Some(c.local_deletion_time.0) };
            let value = c.value.of(data);
            (c.column, c.path.of(data), value, c.timestamp, c.ttl, c.is_tombstone(), time)
        })
        .collect();
    let (liveness, has_times) = (row.liveness, row.has_times);
    format!(
        "{clustering:?} {liveness:?} {} {complex:?} {cells:?} {has_times}",
        deletion(&row.deletion)
    )
}

/// What updates of one partition say: deletions, ranges and rows.
fn spelled(updates: &[PartitionUpdate]) -> Vec<String> {
    let mut out = Vec::new();
    for update in updates {
        let view = |row| RowView { row, data: &update.data };
        if !update.deletion.is_live() {
            out.push(format!("partition {}", update.deletion.marked_for_delete_at));
        }
        let says = |row: &Row| {
            !(row.liveness.is_empty()
                && row.deletion.is_live()
                && row.cells.is_empty()
                && row.complex.is_empty())
        };
        out.extend(update.static_row.iter().filter(|r| says(r)).map(|r| spelled_row(view(r))));
        let mut open: Option<String> = None;
        for content in &update.content {
            match content {
                UpdateContent::Row(row) if says(row) => out.push(spelled_row(view(row))),
                UpdateContent::Row(_) => {}
                UpdateContent::Marker(marker, row) => {
                    let at = spelled_row(view(row));
                    let side = marker.kind.side();
                    if marker.kind.is_end() {
                        let start = open.take().unwrap();
                        out.push(format!("{start} to {side} {at}"));
                    }
                    if marker.kind.is_start() {
                        let time = marker.start.marked_for_delete_at;
                        open = Some(format!("range {time} from {side} {at}"));
                    }
                }
            }
        }
        assert!(open.is_none());
    }
    out.sort();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn updates_of_every_type_read_back_and_write_again_to_the_same_lines(
        choices in proptest::collection::vec(any::<u16>(), 0..700),
    ) {
        let mut t = Tape { choices: &choices, at: 0 };
        let (origin, base) = (origin(&mut t), t.one_in(4));
        let table = table(&mut t);
        let update = update(&mut t, &table);
        let mut writer = ChangeRecordWriter::default();
        writer.begin(&origin);
        writer.update(&update, base).unwrap();
        let text = String::from_utf8(writer.take()).unwrap();
        let mut read = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let record = ChangeRecordReader::parse(line.as_bytes()).unwrap();
            prop_assert!(record.unknown_columns(&table).is_empty());
            let record = record.record(&table).unwrap();
            prop_assert_eq!(&record.head.origin, &origin);
            prop_assert_eq!(record.head.base, base);
            prop_assert_eq!(record.head.index, u32::try_from(i).unwrap());
            let Change::Update(one) = record.change else { panic!() };
            prop_assert_eq!(&one.key, &update.key);
            writer.begin(&origin);
            writer.update(&one, true).unwrap();
            let again = String::from_utf8(writer.take()).unwrap();
            let numbered = again.replace(",\"base\":true", if base { ",\"base\":true" } else { "" });
            let numbered = numbered.replace(",\"index\":0}\n", &format!(",\"index\":{i}}}"));
            prop_assert_eq!(numbered, line);
            read.push(one);
        }
        prop_assert_eq!(spelled(&read), spelled(std::slice::from_ref(&update)));
    }

    #[test]
    fn a_damaged_line_is_read_or_refused(
        choices in proptest::collection::vec(any::<u16>(), 0..200),
        damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4),
    ) {
        let mut t = Tape { choices: &choices, at: 0 };
        let table = table(&mut t);
        let update = update(&mut t, &table);
        let mut writer = ChangeRecordWriter::default();
        writer.begin(&origin(&mut t));
        writer.update(&update, true).unwrap();
        for line in writer.buffer().split(|b| *b == b'\n') {
            let mut line = line.to_vec();
            for (at, byte) in &damage {
                let at = usize::from(*at) % line.len().max(1);
                if let Some(place) = line.get_mut(at) {
                    *place = *byte;
                }
            }
            // Whatever it is, it must not end the program.
            drop(ChangeRecordReader::parse(&line).and_then(|record| record.record(&table)));
        }
    }
}

const TAIL: &str = r#""hostId":"0e9f0000-0000-4000-8000-000000000001","position":{"segment":1,"offset":2},"index":0}"#;

#[test]
fn lines_that_are_no_records_say_why_and_where() {
    let text = "CREATE TABLE ks.t (k int, c int, v int, m map<int, int>, PRIMARY KEY (k, c));";
    let table = Arc::new(parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone());
    let cases = [
        (r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1},"#, "the key has no c"),
        (r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":"x","c":1},"#, "column k: "),
        (r#"{"op":"upsert","keyspace":"ks","table":"t","#, "no key"),
        (r#"{"op":"merge","keyspace":"ks","table":"t","key":{"k":1,"c":1},"#, "unknown variant"),
        (
            r#"{"op":"delete","keyspace":"ks","table":"t","key":{"k":1,"c":1},"#,
            "delete without deleted",
        ),
        (
            r#"{"op":"delete_range","keyspace":"ks","table":"t","key":{"k":1},"deleted":1,"#,
            "delete_range without range",
        ),
        (
            r#"{"op":"delete_range","keyspace":"ks","table":"t","key":{"k":1},"deleted":1,"range":{"start":{"values":[1,2],"inclusive":true}},"#,
            "more values",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"x":{"value":1,"writetime":2}},"#,
            "no such column: x",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"v":{"value":"a","writetime":2}},"#,
            "column v: a is no int",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"v":{"value":1,"writetime":2,"ttl":3}},"#,
            "ttl and expires",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"v":{"writetime":2}},"#,
            "without value",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"v":{"value":1,"writetime":1},"v":{"value":1,"writetime":1}},"#,
            "a column twice",
        ),
        (
            r#"{"op":"upsert","keyspace":"ks","table":"t","key":{"k":1,"c":1},"cells":{"m":{"elements":[{"value":1,"writetime":1}]}},"#,
            "an element without key",
        ),
        (r#"{"op":"truncate","keyspace":"ks","table":"t","#, "a truncate without"),
        (r#"{"op":"schema","keyspace":"ks","table":"t","#, "a schema without cql"),
    ];
    for (start, cause) in cases {
        let line = format!("{start}{TAIL}");
        let error = ChangeRecordReader::parse(line.as_bytes())
            .and_then(|record| record.record(&table))
            .unwrap_err();
        assert!(error.to_string().contains(cause), "{line}\n{error}");
    }
    for line in [&b"\xff"[..], b"", b"{}", b"[]", b"{\"op\":"] {
        assert!(ChangeRecordReader::parse(line).is_err());
    }
    let error = ChangeRecordReader::parse(b"{}").unwrap_err().in_object("s3://b/x", 12).to_string();
    assert!(error.contains("s3://b/x") && error.contains("line 12"), "{error}");
}

#[test]
fn columns_that_the_table_does_not_have_are_named() {
    let text = "CREATE TABLE ks.t (k int PRIMARY KEY, v int);";
    let table = Arc::new(parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone());
    let line = format!(
        r#"{{"op":"upsert","keyspace":"ks","table":"t","key":{{"k":1}},"cells":{{"v":{{"value":1,"writetime":2}},"n":{{"value":1,"writetime":2}}}},{TAIL}"#
    );
    let record = ChangeRecordReader::parse(line.as_bytes()).unwrap();
    assert_eq!(record.unknown_columns(&table), ["n"]);
    assert!(record.update(&table).is_err());
}
