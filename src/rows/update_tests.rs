use super::*;
use crate::rows::{ClusteringKind, ClusteringValue, LocalDeletionTime, Span};
use crate::schema::parse_schema;

fn keyed_table() -> TableMetadata {
    let text = "CREATE TABLE ks.t (k blob, c blob, v int, PRIMARY KEY (k, c));";
    parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone()
}

fn keys(source: &mut UpdateSource) -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    while !source.is_done() {
        source.begin().unwrap();
        let key = source.key().to_vec();
        assert_eq!(source.token(), murmur3_token(&key));
        let mut rows = Vec::new();
        while source.next().unwrap() != Unfiltered::End {
            let view = source.row();
            let value = view.row.clustering.first().and_then(|v| v.bytes(view.data));
            rows.push(value.unwrap_or_default().to_vec());
        }
        found.push((key, rows));
        source.finish().unwrap();
    }
    found
}

fn update(key: &[u8], rows: &[&[u8]]) -> PartitionUpdate {
    let mut update = PartitionUpdate::new(Arc::new(keyed_table()), key.to_vec());
    for value in rows {
        let start = u32::try_from(update.data.len()).unwrap();
        update.data.extend_from_slice(value);
        let len = u32::try_from(value.len()).unwrap();
        let clustering = vec![ClusteringValue::Value(Span { start, len })];
        update.content.push(UpdateContent::Row(Row { clustering, ..Row::EMPTY }));
    }
    update
}

#[test]
fn partitions_come_in_token_order_with_their_rows() {
    let updates = vec![update(b"a", &[b"1", b"2"]), update(b"b", &[]), update(b"c", &[b"3"])];
    let mut expected: Vec<_> = updates.iter().map(|u| (u.token(), u.key.clone())).collect();
    expected.sort();
    let found = keys(&mut UpdateSource::new(updates).unwrap());
    let order: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(order, expected.into_iter().map(|(_, key)| key).collect::<Vec<_>>());
    let rows = |wanted: &[u8]| found.iter().find(|(key, _)| key == wanted).unwrap().1.clone();
    assert_eq!(rows(b"a"), [b"1", b"2"]);
    assert!(rows(b"b").is_empty());
    assert_eq!(rows(b"c"), [b"3"]);
}

#[test]
fn a_marker_shows_its_bound() {
    let mut one = update(b"a", &[]);
    let deletion =
        DeletionTime { marked_for_delete_at: 5, local_deletion_time: LocalDeletionTime(9) };
    let marker =
        Marker { kind: ClusteringKind::InclStartBound, end: DeletionTime::LIVE, start: deletion };
    one.data.push(b'x');
    let clustering = vec![ClusteringValue::Value(Span { start: 0, len: 1 })];
    one.content.push(UpdateContent::Marker(marker, Row { clustering, ..Row::EMPTY }));
    assert!(!one.is_empty());
    let mut source = UpdateSource::new(vec![one]).unwrap();
    source.begin().unwrap();
    assert_eq!(source.next().unwrap(), Unfiltered::Marker(marker));
    let view = source.row();
    assert_eq!(view.row.clustering.first().unwrap().bytes(view.data), Some(&b"x"[..]));
    assert_eq!(source.next().unwrap(), Unfiltered::End);
}

#[test]
fn a_key_twice_is_refused() {
    let error = UpdateSource::new(vec![update(b"a", &[]), update(b"a", &[])]).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn nothing_said_is_empty() {
    assert!(update(b"a", &[]).is_empty());
    assert!(!update(b"a", &[b"1"]).is_empty());
}
