use super::*;
use crate::dht::TokenRange;
use crate::error::ErrorClass;
use crate::output::manifest::{read_json, tool};

fn run() -> RunInfo {
    RunInfo {
        format_version: 1,
        tool: tool(),
        clock: "2026-11-21T00:00:00Z".into(),
        profile: "dms".into(),
        metadata: "none".into(),
        compression: "none".into(),
        cluster: Some("prod".into()),
        partitioner: "org.apache.cassandra.dht.Murmur3Partitioner".into(),
        ownership: "primary".into(),
        agents: 2,
        options: BTreeMap::from([("nullToken".to_owned(), serde_json::json!("\\N"))]),
        schema_fingerprint: "s1".into(),
        ring: vec![RingNode {
            host_id: "h1".into(),
            data_center: Some("dc1".into()),
            rack: None,
            tokens: vec!["-5".into()],
        }],
        ranges: vec![TokenRange::ALL.into()],
        table_ranges: BTreeMap::new(),
        fingerprint: String::new(),
    }
    .seal_fingerprint()
    .unwrap()
}

#[test]
fn the_same_run_is_adopted_with_its_clock() {
    let first = run();
    let mut second = run();
    second.clock = "2026-11-21T00:00:09Z".into();
    second.tool = "cassport 99".into();
    let second = second.seal_fingerprint().unwrap();
    assert_ne!(first.fingerprint, second.fingerprint);
    assert_eq!(second.adopt(first.clone(), false, "out").unwrap(), first);
    let bytes = write_json(&first).unwrap();
    assert_eq!(read_json::<RunInfo>("run.json", &bytes).unwrap(), first);
}

#[test]
fn the_fingerprint_does_not_depend_on_the_program() {
    let mut other = run();
    other.tool = "cassport 99".into();
    assert_eq!(other.seal_fingerprint().unwrap().fingerprint, run().fingerprint);
}

#[test]
fn every_difference_is_refused_and_named() {
    type Change = fn(&mut RunInfo);
    let changes: [(Change, &str); 12] = [
        (
            |r| r.clock = "2026-11-22T00:00:00Z".into(),
            "the clock (--now) is 2026-11-21T00:00:00Z there",
        ),
        (|r| r.profile = "csv".into(), "the profile is dms there and csv here"),
        (|r| r.metadata = "row".into(), "--metadata is none there and row here"),
        (|r| r.compression = "gzip".into(), "--compression"),
        (|r| r.cluster = None, "the cluster is prod there and unknown here"),
        (|r| r.partitioner = "x".into(), "the partitioner"),
        (|r| r.ownership = "all".into(), "--ownership"),
        (|r| r.agents = 3, "the number of agents is 2 there and 3 here"),
        (
            |r| drop(r.options.remove("nullToken")),
            r#"option nullToken is "\\N" there and not given here"#,
        ),
        (|r| r.schema_fingerprint = "s2".into(), "the schema"),
        (|r| r.ring[0].host_id = "h2".into(), "the ring has node h1 there and not here"),
        (|r| r.ring[0].tokens = vec![], "node h1 of the ring has other tokens"),
    ];
    for (change, words) in changes {
        let mut mine = run();
        change(&mut mine);
        let error = mine.adopt(run(), true, "out").unwrap_err();
        assert_eq!(error.class(), ErrorClass::Output);
        let text = error.to_string();
        assert!(text.starts_with("out belongs to another run: ") && text.contains(words), "{text}");
        assert!(!text.contains(';'), "only what differs is named: {text}");
    }
    let mut mine = run();
    mine.ranges = vec![];
    mine.profile = "csv".into();
    let text = mine.adopt(run(), false, "out").unwrap_err().to_string();
    assert!(text.contains("csv here; the token range"), "{text}");
}

#[test]
fn an_agent_begins_goes_on_or_is_complete() {
    let run = run();
    let mut manifest: Manifest =
        read_json("m", crate::output::manifest::tests::SAMPLE.as_bytes()).unwrap();
    manifest.fingerprint.clone_from(&run.fingerprint);
    let source = |fingerprint: &str, names: &[&str]| SourceFiles {
        fingerprint: fingerprint.to_owned(),
        sstables: BTreeMap::from([(
            "ks/t-1".to_owned(),
            names.iter().map(|n| (*n).to_owned()).collect(),
        )]),
    };
    let both_there = source("g", &["nb-1-big", "nb-2-big"]);
    let state = StateFile::new(&run, 0, &both_there, "2026-11-21T00:00:00Z");
    let progress = |manifest: Option<&Manifest>, state: Option<&StateFile>, fingerprint: &str| {
        let source = source(fingerprint, &["nb-1-big", "nb-2-big"]);
        run.agent_progress(manifest.cloned(), state.cloned(), &source, "out")
    };
    let compacted = source("h", &["nb-1-big", "nb-3-big"]);
    let gone = run.agent_progress(None, Some(state.clone()), &compacted, "out").unwrap_err();
    assert_eq!(gone.class(), ErrorClass::Missing);
    assert!(gone.to_string().contains("SSTable ks/t-1/nb-2-big, which is gone"), "{gone}");
    assert!(gone.hint().unwrap().contains("take a snapshot"));
    assert!(matches!(progress(None, None, "g"), Ok(AgentProgress::Fresh)));
    assert!(matches!(progress(None, Some(&state), "g"), Ok(AgentProgress::Resume(_))));
    // Killed between manifest and removal of the state: the manifest counts.
    let both = progress(Some(&manifest), Some(&state), "g");
    assert!(matches!(both, Ok(AgentProgress::Complete(_))));
    for (error, words) in [
        (progress(None, Some(&state), "other"), "state there was made from other input files"),
        (
            progress(Some(&manifest), None, "other"),
            "manifest there was made from other input files",
        ),
        (
            progress(Some(&Manifest { fingerprint: "x".into(), ..manifest.clone() }), None, "g"),
            "manifest there is of another run",
        ),
    ] {
        let error = error.map(|_| ()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Output);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn fingerprints_see_the_borders_between_pieces() {
    assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
    assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    assert_ne!(fingerprint(&[]), fingerprint(&[b""]));
}
