use super::*;
use crate::changes::{lost_object, watermark_object};
use crate::output::manifest::{RecordDigest, SourceEntry, TableCounters};
use crate::progress::CommitLogReport;
use crate::store::LocalStore;

const HOST: Uuid = Uuid::from_u128(0xa);
const OTHER: Uuid = Uuid::from_u128(0xb);
/// The tail began when the log stood at 20:500 and began with segment 18.
const BEGAN: StreamBeginning = StreamBeginning {
    from: Some(LogPosition { segment: 18, offset: 0 }),
    oldest_segment: Some(18),
    reached: Some(LogPosition { segment: 20, offset: 500 }),
    time: 1_000_000,
};

struct World {
    _dir: tempfile::TempDir,
    store: LocalStore,
}

impl World {
    fn new(began: Option<StreamBeginning>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path()).unwrap();
        store.put(&watermark_object(HOST), b"{}").unwrap();
        if let Some(began) = began {
            store.put(&beginning_object(HOST), &began.to_json().unwrap()).unwrap();
        }
        Self { _dir: dir, store }
    }

    fn told(&self, manifests: &[Manifest]) -> std::result::Result<HandOffProof, String> {
        hand_offs(&self.store, manifests, false)
            .map(|found| found[0].proof)
            .map_err(|error| error.to_string())
    }
}

fn host(id: Uuid, flushed_to: Option<PositionPair>) -> ManifestHost {
    ManifestHost { host_id: id.to_string(), flushed_to, is_snapshot: false, snapshot_time: None }
}

fn snapshot(flushed_to: PositionPair, made: Option<&str>) -> ManifestHost {
    let snapshot_time = made.map(str::to_owned);
    ManifestHost { is_snapshot: true, snapshot_time, ..host(HOST, Some(flushed_to)) }
}

/// Of tables whose SSTables have these intervals each.
fn manifest(hosts: Vec<ManifestHost>, tables: &[&[(PositionPair, PositionPair)]]) -> Manifest {
    let source = |interval: &(PositionPair, PositionPair)| SourceEntry {
        path: "x".into(),
        format: "nb".into(),
        bytes: 1,
        partitions: None,
        commit_log_intervals: vec![*interval],
        originating_host_id: None,
        repaired_at: 0,
    };
    let table = |intervals: &&[(PositionPair, PositionPair)]| ManifestTable {
        keyspace: "ks".into(),
        table: "t".into(),
        table_id: None,
        columns: vec![],
        ranges: vec![],
        rows: 0,
        digest: RecordDigest::default(),
        files: vec![],
        deletes: None,
        sources: intervals.iter().map(source).collect(),
        counters: TableCounters::default(),
    };
    let text = String::new;
    Manifest {
        format_version: 1,
        tool: text(),
        agent: 0,
        agents: 1,
        host_id: None,
        cluster: None,
        data_center: None,
        snapshot: None,
        profile: text(),
        metadata: text(),
        compression: text(),
        clock: text(),
        started: text(),
        finished: text(),
        release_version: None,
        schema_version: None,
        partitioner: text(),
        ownership: text(),
        options: BTreeMap::new(),
        fingerprint: text(),
        source_fingerprint: text(),
        hosts,
        tables: tables.iter().map(table).collect(),
        excluded: vec![],
        commit_logs: vec![],
        complete: true,
    }
}

/// Of tables that were not written to for long.
fn idle(host: ManifestHost) -> Manifest {
    manifest(vec![host], &[&[((1, 0), (2, 0))]])
}

#[test]
fn without_streams_there_is_nothing_to_prove() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::open(dir.path()).unwrap();
    assert_eq!(hand_offs(&store, &[idle(host(HOST, None))], false).unwrap(), []);
}

#[test]
fn sstables_that_reach_the_stream_are_a_proof() {
    let world = World::new(Some(StreamBeginning { oldest_segment: None, ..BEGAN }));
    let of = |tables: &[&[(PositionPair, PositionPair)]]| {
        world.told(&[manifest(vec![host(HOST, Some((19, 0)))], tables)])
    };
    assert_eq!(of(&[&[((1, 0), (18, 0))], &[((1, 0), (19, 7))]]), Ok(HandOffProof::Positions));
    // Intervals that touch are one.
    assert_eq!(of(&[&[((5, 0), (18, 0)), ((1, 0), (5, 0))]]), Ok(HandOffProof::Positions));
    // A hole, a table that ends before, one without SSTables.
    assert!(of(&[&[((1, 0), (5, 0)), ((6, 0), (18, 0))]]).is_err());
    assert!(of(&[&[((1, 0), (18, 0))], &[((1, 0), (17, 9))]]).is_err());
    assert!(of(&[&[((1, 0), (18, 0))], &[]]).is_err());
}

#[test]
fn files_that_are_newer_than_the_tail_are_a_proof() {
    let world = World::new(Some(BEGAN));
    let of = |host: ManifestHost| world.told(&[idle(host)]);
    assert_eq!(of(host(HOST, Some((20, 501)))), Ok(HandOffProof::Order));
    assert!(of(host(HOST, Some((20, 500)))).unwrap_err().contains("20:500"));
    assert!(of(host(HOST, None)).is_err());
    // A snapshot flushes: where nothing was written since it ends where the tail began.
    assert_eq!(of(snapshot((20, 500), None)), Ok(HandOffProof::Order));
    assert!(of(snapshot((20, 499), None)).unwrap_err().contains("take a snapshot and extract it"));
    // 1,000,000 ms are 16 minutes and 40 seconds.
    assert_eq!(of(snapshot((2, 0), Some("1970-01-01T00:16:40Z"))), Ok(HandOffProof::Order));
    assert!(of(snapshot((2, 0), Some("1970-01-01T00:16:39.999Z"))).is_err());
    // All of several agents that read files of the host.
    let both = [idle(host(HOST, Some((21, 0)))), idle(host(HOST, Some((19, 0))))];
    assert!(world.told(&both).is_err());
}

#[test]
fn what_was_not_flushed_and_is_not_in_the_stream_needs_a_snapshot() {
    for oldest_segment in [Some(17), None] {
        let world = World::new(Some(StreamBeginning { oldest_segment, ..BEGAN }));
        let words = world.told(&[idle(host(HOST, Some((21, 0))))]).unwrap_err();
        assert!(words.contains("extract a snapshot"), "{words}");
        assert_eq!(world.told(&[idle(snapshot((21, 0), None))]), Ok(HandOffProof::Order));
    }
    // Incremental backups have no positions: what was not flushed comes with them later.
    let began = StreamBeginning { from: None, oldest_segment: None, ..BEGAN };
    let world = World::new(Some(began));
    assert_eq!(world.told(&[idle(host(HOST, Some((21, 0))))]), Ok(HandOffProof::Order));
}

#[test]
fn a_commit_log_that_was_extracted_up_to_the_stream_is_a_proof() {
    let world = World::new(Some(StreamBeginning { oldest_segment: None, ..BEGAN }));
    let of = |reads: &[Option<PositionPair>]| {
        let agent = |read_to: &Option<PositionPair>| {
            let log = CommitLogReport {
                host_id: Some(HOST.to_string()),
                read_to: *read_to,
                ..CommitLogReport::default()
            };
            Manifest { commit_logs: vec![log], ..idle(host(HOST, None)) }
        };
        world.told(&reads.iter().map(agent).collect::<Vec<_>>())
    };
    assert_eq!(of(&[Some((18, 0))]), Ok(HandOffProof::Positions));
    assert_eq!(of(&[Some((19, 0)), Some((18, 1))]), Ok(HandOffProof::Positions));
    assert!(of(&[Some((17, 99))]).is_err());
    assert!(of(&[Some((19, 0)), None]).is_err());
}

#[test]
fn a_host_without_stream_a_stream_without_beginning_and_a_loss_are_no_proof() {
    let good = || host(HOST, Some((21, 0)));
    let world = World::new(Some(BEGAN));
    let words = world.told(&[manifest(vec![good(), host(OTHER, Some((21, 0)))], &[])]).unwrap_err();
    assert!(
        words.contains("has no change stream") && words.contains(&OTHER.to_string()),
        "{words}"
    );
    assert!(world.told(&[manifest(vec![], &[])]).unwrap_err().contains("whose files"));
    let lost = LostChanges { segment: 19, offset: 3, time: 4, words: "segment 19 is gone".into() };
    world.store.put(&lost_object(HOST, 19), &lost.to_json().unwrap()).unwrap();
    assert!(world.told(&[idle(good())]).unwrap_err().contains("segment 19 is gone"));
    // It can be accepted, and is noted.
    let accepted = hand_offs(&world.store, &[idle(good())], true).unwrap();
    assert_eq!(accepted[0].proof, HandOffProof::Unproven);
    assert!(accepted[0].words.contains("segment 19 is gone"));
    let words = World::new(None).told(&[idle(good())]).unwrap_err();
    assert!(words.contains("seal again in a minute"), "{words}");
}
