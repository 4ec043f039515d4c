use std::path::Path;
use std::sync::Arc;

use crate::dht::TokenRange;
use crate::error::Result;
use crate::io::ReadMode;
use crate::rows::{PartitionSource, Unfiltered};
use crate::schema::{TableMetadata, parse_schema};
use crate::sstable::{
    Component, DataWalk, Descriptor, LargeRows, SstableReader, SstableScanner, WalkStep, WorkerRows,
};

/// An SSTable of 2.2 that is not compressed, with this Data.db and nothing else but its statistics.
fn sstable(directory: &Path, data: &[u8]) -> Descriptor {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/2.2/data/storage");
    let plain = std::fs::read_dir(tables)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_string_lossy().starts_with("plain-"))
        .unwrap();
    let path = directory.join("lb-1-big-Data.db");
    std::fs::copy(plain.join("lb-1-big-Statistics.db"), directory.join("lb-1-big-Statistics.db"))
        .unwrap();
    std::fs::write(&path, data).unwrap();
    Descriptor::parse(&path).unwrap().unwrap().0
}

fn table() -> TableMetadata {
    let text =
        "CREATE TABLE ks.t (k int, c int, d int, v text, s text static, PRIMARY KEY (k, c, d))";
    parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone()
}

fn bytes16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn name(components: &[&[u8]], eoc: u8) -> Vec<u8> {
    let mut out: Vec<u8> = components.iter().flat_map(|c| [bytes16(c), vec![0]].concat()).collect();
    if let Some(last) = out.last_mut() {
        *last = eoc;
    }
    out
}

fn cell(name: &[u8], value: &[u8]) -> Vec<u8> {
    let len = u32::try_from(value.len()).unwrap().to_be_bytes();
    [&bytes16(name), &[0][..], &5_i64.to_be_bytes(), &len, value].concat()
}

fn int(value: i32) -> [u8; 4] {
    value.to_be_bytes()
}

fn row(c: i32, d: i32, value: &[u8]) -> Vec<u8> {
    cell(&name(&[&int(c), &int(d), b"v"], 0), value)
}

fn range(c: i32, timestamp: i64) -> Vec<u8> {
    let (start, end) = (name(&[&int(c)], 0xff), name(&[&int(c)], 1));
    [&bytes16(&start), &[0x10][..], &bytes16(&end), &9_i32.to_be_bytes(), &timestamp.to_be_bytes()]
        .concat()
}

/// A partition of these atoms, with the key 1.
fn partition(atoms: &[Vec<u8>]) -> Vec<u8> {
    let head = [&[0x7f, 0xff, 0xff, 0xff, 0x80][..], &[0; 7]].concat();
    [&bytes16(&int(1)), &head, &atoms.concat(), &[0, 0][..]].concat()
}

fn open(directory: &Path, data: &[u8], limit: usize) -> (Arc<SstableReader>, Arc<WorkerRows>) {
    let descriptor = sstable(directory, data);
    let reader = SstableReader::open_data(&descriptor, &table(), ReadMode::Read).unwrap();
    (Arc::new(reader), Arc::new(WorkerRows::new(Arc::new(LargeRows::new(limit)))))
}

/// Each step with its clustering and the length of its value, until an error.
fn steps(data: &[u8], limit: usize) -> (Vec<String>, Result<()>) {
    let directory = tempfile::tempdir().unwrap();
    let (reader, rows) = open(directory.path(), data, limit);
    let mut walk = DataWalk::new(reader, rows);
    let mut found = Vec::new();
    let mut read = || -> Result<()> {
        while walk.next_partition()?.is_some() {
            loop {
                let step = walk.next_step()?;
                if step == WalkStep::End {
                    break;
                }
                let view = walk.row();
                let values: Vec<String> = view
                    .row
                    .clustering
                    .iter()
                    .map(|v| v.bytes(view.data).unwrap_or_default()[3].to_string())
                    .collect();
                let len = view.row.cells.first().map_or(0, |cell| cell.value.of(view.data).len());
                found.push(match step {
                    WalkStep::Static => format!("static {len}"),
                    WalkStep::Row => format!("row {} {len}", values.join(",")),
                    WalkStep::Marker(marker) => format!("{:?} {}", marker.kind, values.join(",")),
                    WalkStep::End => "end".to_owned(),
                });
            }
        }
        Ok(())
    };
    let done = read();
    (found, done)
}

#[test]
fn rows_longer_than_the_window_are_read_and_a_row_needs_no_room_for_the_one_behind_it() {
    let large = vec![b'x'; 300_000];
    let data = partition(&[
        cell(&[&[0xff, 0xff][..], &name(&[b"", b"", b"s"], 0)].concat(), b"static"),
        range(1, 3),
        row(1, 1, b"small"),
        row(1, 2, &large),
        row(2, 1, b"small"),
    ]);
    let expected = [
        "static 6",
        "InclStartBound 1",
        "row 1,1 5",
        "row 1,2 300000",
        "InclEndBound 1",
        "row 2,1 5",
    ];
    let (found, done) = steps(&data, 1 << 20);
    assert_eq!(found, expected);
    done.unwrap();
    let (found, done) = steps(&data, 100_000);
    assert_eq!(found, expected[..3]);
    let error = done.unwrap_err();
    assert!(error.hint().unwrap().contains("--memory"), "{error}");
}

#[test]
fn what_is_cut_off_or_no_atom_is_damage_with_its_place() {
    let data = partition(&[row(1, 1, b"a"), range(2, 3), row(2, 1, b"b")]);
    for len in 1..data.len() {
        let (_, done) = steps(&data[..len], 1 << 20);
        let text = done.unwrap_err().to_string();
        assert!(text.contains("lb-1-big-Data.db"), "{len}: {text}");
    }
    let mut bad = data;
    let mask = 2 + 4 + 12 + 2 + 18;
    assert_eq!(bad[mask], 0);
    bad[mask] = 0x40;
    let error = steps(&bad, 1 << 20).1.unwrap_err();
    assert!(error.to_string().contains("cell mask"), "{error}");
}

#[test]
fn a_small_window_and_a_search_without_index_give_the_same_rows() {
    let many: Vec<Vec<u8>> =
        (0..2000).map(|d| row(1, d % 100 + 100 * (d / 100), b"value")).collect();
    let data = partition(&many);
    let directory = tempfile::tempdir().unwrap();
    let (_, rows) = open(directory.path(), &data, 1 << 20);
    let descriptor = sstable(directory.path(), &data);
    let reader = Arc::new(SstableReader::open(&descriptor, &table(), ReadMode::Read).unwrap());
    assert!(!reader.has_index());
    assert!(!descriptor.path(Component::Index).exists());
    for small in [true, false] {
        let mut scanner =
            SstableScanner::new(Arc::clone(&reader), TokenRange::ALL, Arc::clone(&rows), small)
                .unwrap();
        scanner.begin().unwrap();
        let mut count = 0;
        while scanner.next().unwrap() != Unfiltered::End {
            let view = scanner.row();
            let number = view.row.clustering[1].bytes(view.data).unwrap();
            assert_eq!(number, int(count));
            assert_eq!(view.row.cells[0].value.of(view.data), b"value");
            count += 1;
        }
        assert_eq!(count, 2000);
        scanner.finish().unwrap();
        assert!(scanner.is_done());
    }
}
