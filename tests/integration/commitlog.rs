//! Commit logs that Cassandra's own tests come with: every mutation is decoded, and what is in them is what Cassandra wrote
//! beside them (`CommitLogUpgradeTest`): how many cells have a name that begins with "name", and a hash of their values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cassport::commitlog::{
    Bound, DamageExtent, EncryptionKeys, MutationDecoder, SegmentReader, SegmentStep,
    decode_legacy_mutation,
};
use cassport::discover::system_tables;
use cassport::rows::UpdateContent;
use cassport::schema::{TableId, TableMetadata, parse_schema};

use crate::support::shared;

/// What was found in the segments of one directory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Replay {
    entries: u64,
    cells: u64,
    hash: i32,
    damaged_entries: u64,
    damaged_sections: u64,
    /// Updates of tables whose schema is not known here.
    unknown: u64,
}

impl Replay {
    /// `CommitLogUpgradeTest.hash`.
    fn add(&mut self, value: &[u8]) {
        self.cells += 1;
        for (i, &byte) in value.iter().enumerate() {
            let shift = u32::try_from(i * 8 % 32).unwrap();
            self.hash = self.hash.wrapping_add(i32::from(byte).wrapping_shl(shift));
        }
    }
}

fn properties(directory: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(directory.join("hash.txt")).unwrap();
    let pairs = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        (name.trim().to_owned(), value.trim().to_owned())
    });
    pairs.collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "log")).collect();
    paths.sort();
    paths
}

/// The table of Cassandra's test, and the system tables as far as we have their schema.
fn tables(id: &str, rows: bool) -> BTreeMap<TableId, Arc<TableMetadata>> {
    // In 2.x with COMPACT STORAGE and one value, as a Thrift table is.
    let text = if rows {
        format!(
            "CREATE TABLE ks.standard1 (key ascii, col ascii, val blob, val0 blob, PRIMARY KEY (key, col)) WITH ID = '{id}';"
        )
    } else {
        format!(
            "CREATE TABLE ks.standard1 (key ascii, col ascii, val blob, PRIMARY KEY (key, col)) WITH COMPACT STORAGE AND ID = '{id}';"
        )
    };
    let schema = parse_schema(&text, None).unwrap();
    let own = schema.table("ks", "standard1").unwrap().clone();
    let system = system_tables().unwrap();
    let all = system.tables().cloned().chain([own]);
    all.filter_map(|table| Some((table.id?, Arc::new(table)))).collect()
}

fn replay(directory: &Path, keys: &EncryptionKeys) -> Replay {
    let properties = properties(directory);
    let rows = !segments(directory).iter().any(|path| {
        SegmentReader::open(path, keys).unwrap().is_some_and(|r| !r.descriptor().version.has_rows())
    });
    let known = tables(&properties["cfid"], rows);
    let own: TableId = TableId(properties["cfid"].parse().unwrap());
    let mut replay = Replay::default();
    for path in segments(directory) {
        let Some(mut reader) = SegmentReader::open(&path, keys).unwrap() else { continue };
        let version = reader.descriptor().version;
        let mut decoder = MutationDecoder::new(version);
        let mut last = reader.position();
        loop {
            match reader.next(Bound::whole()).unwrap() {
                SegmentStep::Entry { end, payload } => {
                    assert!(end > last, "{end} after {last}");
                    last = end;
                    replay.entries += 1;
                    decode_rows(&mut decoder, payload, &known, own, &mut replay);
                    if !version.has_rows() {
                        decode_cells(payload);
                    }
                }
                SegmentStep::Damage(damage) => match damage.extent {
                    DamageExtent::Entry => replay.damaged_entries += 1,
                    DamageExtent::Section => replay.damaged_sections += 1,
                    DamageExtent::Rest => panic!("{damage:?}"),
                },
                SegmentStep::End { notice } => {
                    assert_eq!(notice, None);
                    break;
                }
                SegmentStep::Wait(what) => panic!("{what:?}"),
            }
        }
    }
    replay
}

fn decode_rows(
    decoder: &mut MutationDecoder,
    payload: &[u8],
    known: &BTreeMap<TableId, Arc<TableMetadata>>,
    own: TableId,
    replay: &mut Replay,
) {
    let mutation = decoder.decode(payload, &|id| known.get(&id).cloned()).unwrap();
    replay.unknown += mutation.unknown.len() as u64 + mutation.not_reached;
    for update in mutation.updates.iter().filter(|update| update.table.id == Some(own)) {
        for content in &update.content {
            let UpdateContent::Row(row) = content else { panic!("a marker in {update:?}") };
            let name = row.clustering[0].bytes(&update.data).unwrap();
            if name.starts_with(b"name") {
                row.cells.iter().for_each(|cell| replay.add(cell.value.of(&update.data)));
            }
        }
    }
}

/// Of 2.x also the tables without a known schema can be read to the last byte.
fn decode_cells(payload: &[u8]) {
    let mutation = decode_legacy_mutation(payload, &|_| true).unwrap();
    assert!(mutation.unknown.is_empty() && !mutation.updates.is_empty());
}

fn check(name: &str, keys: &EncryptionKeys, expected: (u64, u64, u64)) {
    let Some(directory) = shared(&format!("fixtures/apache-cassandra/legacy-commitlog/{name}"))
    else {
        return;
    };
    let found = replay(&directory, keys);
    let properties = properties(&directory);
    let (entries, damaged_entries, damaged_sections) = expected;
    println!("{name}: {found:?}");
    assert_eq!(
        (found.entries, found.damaged_entries, found.damaged_sections),
        (entries, damaged_entries, damaged_sections),
        "{name}"
    );
    assert_eq!(
        (found.cells.to_string(), found.hash.to_string()),
        (properties["cells"].clone(), properties["hash"].clone()),
        "{name}: {found:?}"
    );
}

#[test]
fn logs_of_3_0_and_4_0_hold_what_cassandra_says() {
    let none = EncryptionKeys::none();
    check("3.0.13-encrypted", &none, (1480, 0, 0));
    check("3.0.29-encrypted", &none, (176, 0, 0));
    check("4.0.11-encrypted", &none, (358, 0, 0));
}

#[test]
fn logs_of_2_1_and_2_2_hold_what_cassandra_says() {
    let none = EncryptionKeys::none();
    check("2.1", &none, (5243, 0, 0));
    check("2.2", &none, (6449, 0, 0));
    check("2.2-lz4", &none, (6134, 0, 0));
    check("2.2-snappy", &none, (6133, 0, 0));
}

/// What Cassandra itself replays of them when it is told to ignore errors.
#[test]
fn damaged_logs_lose_what_is_damaged_and_no_more() {
    let none = EncryptionKeys::none();
    check("2.2-lz4-truncated", &none, (6119, 0, 1));
    check("2.2-lz4-bitrot", &none, (6133, 1, 0));
    check("2.2-lz4-bitrot2", &none, (6119, 0, 1));
}

/// Without its key it is refused by the key's name; with it, where somebody has put the key store of Cassandra's tests (which
/// is not among the fixtures) beside the log, it is read.
#[test]
fn an_encrypted_log_of_3_4_asks_for_its_key() {
    let directory = "fixtures/apache-cassandra/legacy-commitlog/3.4-encrypted";
    let Some(directory) = shared(directory) else { return };
    for path in segments(&directory) {
        let error = SegmentReader::open(&path, &EncryptionKeys::none()).unwrap_err().to_string();
        assert!(error.contains("testing:1"), "{error}");
    }
    let store = directory.join("cassandra.keystore");
    if !store.exists() {
        eprintln!("not decrypted: {} is not there", store.display());
        return;
    }
    let keys = EncryptionKeys::from_jceks(&store, "cassandra", None).unwrap();
    assert_eq!(keys.aliases().collect::<Vec<_>>(), ["testing:1", "testing:2"]);
    check("3.4-encrypted", &keys, (14_562, 0, 0));
}
