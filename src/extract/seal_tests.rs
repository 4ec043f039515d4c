use super::*;
use crate::error::ErrorClass;
use crate::output::manifest::ColumnStats;
use crate::output::names::split_file;
use crate::output::run::RingNode;
use crate::progress::{NoEvents, NotRead, Quarantine};
use crate::store::{LocalStore, ObjectMeta};

/// Two agents, each with half of the ring and one file of `ks.t (pk int PRIMARY KEY, v varint)`.
struct Sample {
    _directory: tempfile::TempDir,
    store: LocalStore,
    run: RunInfo,
    manifests: Vec<Manifest>,
}

const HALVES: [(&str, &str); 2] = [("-9223372036854775808", "0"), ("0", "9223372036854775807")];

fn interval((start, end): (&str, &str)) -> TokenInterval {
    TokenInterval { start: start.into(), end: end.into() }
}

fn column(name: &str, cql_type: &str, kind: OutputColumnKind) -> ManifestColumn {
    let stats = ColumnStats { max_bytes: 3, ..ColumnStats::default() };
    ManifestColumn { name: name.into(), cql_type: cql_type.into(), kind, stats, column_type: None }
}

fn ring_node((data_center, number): (&str, u32)) -> RingNode {
    RingNode {
        host_id: number.to_string(),
        data_center: Some(data_center.to_owned()),
        rack: Some("r1".to_owned()),
        tokens: vec![number.to_string()],
    }
}

impl Sample {
    fn new(profile: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        let run = RunInfo {
            format_version: 1,
            tool: tool(),
            clock: "2026-11-21T00:00:00Z".into(),
            profile: profile.into(),
            metadata: "none".into(),
            compression: "none".into(),
            cluster: None,
            partitioner: "org.apache.cassandra.dht.Murmur3Partitioner".into(),
            ownership: "primary".into(),
            agents: 2,
            options: BTreeMap::new(),
            schema_fingerprint: "s".into(),
            // Of two data centers: the nodes of dc1 are the first and the third.
            ring: ["dc1", "dc2", "dc1"].into_iter().zip(0..).map(ring_node).collect(),
            ranges: vec![TokenRange::ALL.into()],
            table_ranges: BTreeMap::new(),
            fingerprint: String::new(),
        }
        .seal_fingerprint()
        .unwrap();
        let mut sample = Self { _directory: directory, store, run, manifests: Vec::new() };
        for agent in 0..2 {
            let manifest = sample.manifest(agent);
            sample.manifests.push(manifest);
        }
        sample
    }

    fn manifest(&self, agent: u32) -> Manifest {
        let name = split_file("ks", "t", "LOAD", agent, 1, "csv").unwrap();
        let record = format!("{agent},{agent}00");
        let ObjectMeta { bytes, crc64nvme } =
            self.store.put(&name, format!("{record}\n").as_bytes()).unwrap();
        let mut digest = RecordDigest::default();
        digest.add_record(record.as_bytes());
        let range = interval(HALVES[agent as usize]);
        let mut counters = TableCounters { keys_shortened: 1, ..TableCounters::default() };
        counters.more.insert("negativeZero".into(), 2);
        Manifest {
            format_version: 1,
            tool: tool(),
            agent,
            agents: 2,
            host_id: None,
            cluster: None,
            data_center: Some("dc1".into()),
            snapshot: None,
            profile: self.run.profile.clone(),
            metadata: "none".into(),
            compression: "none".into(),
            clock: self.run.clock.clone(),
            started: "2026-11-21T00:00:00Z".into(),
            finished: format!("2026-11-21T00:00:0{agent}Z"),
            release_version: None,
            schema_version: None,
            partitioner: self.run.partitioner.clone(),
            ownership: "primary".into(),
            options: BTreeMap::new(),
            fingerprint: self.run.fingerprint.clone(),
            source_fingerprint: "x".into(),
            hosts: vec![],
            tables: vec![ManifestTable {
                keyspace: "ks".into(),
                table: "t".into(),
                table_id: None,
                columns: vec![
                    column("pk", "int", OutputColumnKind::PartitionKey),
                    column("v", "varint", OutputColumnKind::Regular),
                ],
                ranges: vec![range.clone()],
                rows: 1,
                digest,
                files: vec![FileEntry { name, bytes, rows: 1, crc64nvme, digest, range }],
                deletes: None,
                sources: vec![],
                counters,
            }],
            excluded: vec![],
            commit_logs: vec![],
            complete: true,
        }
    }

    fn write(&self) {
        self.store.put(RUN, &write_json(&self.run).unwrap()).unwrap();
        for (manifest, agent) in self.manifests.iter().zip(0..) {
            self.put_agent(agent, "manifest.json", &write_json(manifest).unwrap());
            let report = Report::new(manifest.agent, vec![], NotRead::default());
            self.put_agent(agent, "report.json", &write_json(&report).unwrap());
        }
    }

    fn put_agent(&self, agent: u32, file: &str, bytes: &[u8]) {
        self.store.put(&agent_file(agent, file), bytes).unwrap();
    }

    fn seal(&self) -> Result<SealOutcome> {
        let options = SealOptions {
            schema_cql: Some("CREATE KEYSPACE ks;\n"),
            dms: DmsTarget::default(),
            side_files: None,
            accept_unproven_handoff: false,
            events: &NoEvents,
        };
        seal(&self.store, &options)
    }

    /// Seals after a change; must fail without leaving a complete.json.
    fn fault(change: impl FnOnce(&mut Self)) -> String {
        let mut sample = Self::new("dms");
        change(&mut sample);
        sample.write();
        sample.seal_fault()
    }

    fn seal_fault(&self) -> String {
        let error = self.seal().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Different, "{error}");
        assert_eq!(self.store.head(COMPLETE).unwrap(), None, "{error}");
        error.to_string()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.store.get(name).unwrap().unwrap()).unwrap()
    }

    fn table(&mut self, agent: usize) -> &mut ManifestTable {
        &mut self.manifests[agent].tables[0]
    }
}

#[test]
fn parts_of_two_agents_make_the_whole() {
    let sample = Sample::new("dms");
    sample.write();
    let outcome = sample.seal().unwrap();
    assert!(outcome.whole && !outcome.already_sealed);
    assert_eq!(outcome.warnings, [""; 0]);
    let complete = &outcome.complete;
    assert_eq!((complete.rows, complete.bytes, complete.agents.as_slice()), (2, 12, &[0, 1][..]));
    assert_eq!(complete.finished, "2026-11-21T00:00:01Z");
    let table = &complete.tables[0];
    let mut digest = RecordDigest::default();
    digest.add_record(b"0,000");
    digest.add_record(b"1,100");
    assert_eq!((table.rows, table.files, table.digest), (2, 2, digest));
    assert_eq!((table.counters.keys_shortened, table.counters.more["negativeZero"]), (2, 4));
    assert_eq!(complete.dms_endpoints, [["ks.t"]]);
    assert_eq!(
        complete.side_files,
        [
            "_cassport/schema.cql",
            "_cassport/external-table-definition.json",
            "_cassport/table-mappings.json",
            "_cassport/s3-source-settings.json",
            "_cassport/task-settings.json",
        ]
    );
    for name in &complete.side_files {
        assert!(sample.store.head(name).unwrap().is_some(), "{name}");
    }
    assert_eq!(sample.text(SCHEMA), "CREATE KEYSPACE ks;\n");
    let read: Complete = read_json("c", sample.text(COMPLETE).as_bytes()).unwrap();
    assert_eq!(&read, complete);
}

#[test]
fn sealing_again_changes_nothing() {
    let sample = Sample::new("dms");
    sample.write();
    let first = sample.seal().unwrap();
    let before = sample.text(COMPLETE);
    let second = sample.seal().unwrap();
    assert!(second.already_sealed);
    assert_eq!(second.complete, first.complete);
    assert_eq!(sample.text(COMPLETE), before);
    // Killed before it was done: the rest is made.
    sample.store.delete(COMPLETE).unwrap();
    sample.store.delete("_cassport/task-settings.json").unwrap();
    assert!(!sample.seal().unwrap().already_sealed);
    assert_eq!(sample.text(COMPLETE), before);
}

#[test]
fn a_former_seal_of_other_parts_is_taken_back_with_its_files() {
    let sample = Sample::new("dms");
    sample.write();
    sample.seal().unwrap();
    let mut former: Complete = read_json("c", sample.text(COMPLETE).as_bytes()).unwrap();
    former.rows = 77;
    former.side_files.push("_cassport/table-mappings-2.json".into());
    sample.store.put("_cassport/table-mappings-2.json", b"{}").unwrap();
    sample.store.put(COMPLETE, &write_json(&former).unwrap()).unwrap();
    assert_eq!(sample.seal().unwrap().complete.rows, 2);
    assert_eq!(sample.store.head("_cassport/table-mappings-2.json").unwrap(), None);
}

#[test]
fn agents_that_are_missing_unfinished_or_of_another_run_are_named() {
    let fault = Sample::fault(|sample| drop(sample.manifests.pop()));
    assert_eq!(fault, "1 of 2 agents are complete, for instance nothing of 2");
    let fault = Sample::fault(|sample| sample.put_agent(2, "state.json", b"{}"));
    assert_eq!(fault, "agent 2 is not complete: it has no _cassport/agents/002/manifest.json");
    let fault = Sample::fault(|sample| sample.run.agents = 1);
    assert_eq!(fault, "2 of 1 agents are complete");
    let fault = Sample::fault(|sample| sample.manifests[1].fingerprint = "x".into());
    assert_eq!(fault, "_cassport/agents/001/manifest.json is of another run");
    let fault = Sample::fault(|sample| sample.manifests[1].agent = 7);
    assert_eq!(fault, "_cassport/agents/001/manifest.json is the manifest of agent 7");
    let fault = Sample::fault(|sample| sample.manifests[0].complete = false);
    assert!(fault.contains("agents/000/manifest.json says that the agent is not complete"));
}

#[test]
fn gaps_and_overlaps_are_named_with_table_and_agents() {
    let fault = Sample::fault(|sample| sample.table(0).ranges[0].end = "-5".into());
    assert_eq!(fault, "ks.t: no agent extracted tokens (-5, 0]");
    let fault = Sample::fault(|sample| sample.table(1).ranges[0].start = "-5".into());
    assert_eq!(fault, "ks.t: agents 0 and 1 both extracted tokens (-5, 0]");
    let fault = Sample::fault(|sample| {
        sample.run.ranges = vec![interval(("-9223372036854775808", "100"))];
    });
    assert!(fault.contains("agent 1 extracted tokens (100, 9223372036854775807], which is not"));
    let fault = Sample::fault(|sample| sample.table(1).ranges[0].start = "x".into());
    assert_eq!(fault, "agent 1, ks.t: (x, 9223372036854775807] is no token range");
}

#[test]
fn tables_must_be_alike_in_all_agents() {
    let fault = Sample::fault(|sample| sample.manifests[1].tables.clear());
    assert_eq!(fault, "agent 1 did not extract table ks.t");
    let fault = Sample::fault(|sample| sample.table(1).columns[1].cql_type = "int".into());
    assert_eq!(fault, "ks.t: agents 0 and 1 wrote different columns: v varint and v int");
    let fault = Sample::fault(|sample| drop(sample.table(1).columns.pop()));
    assert_eq!(fault, "ks.t: agents 0 and 1 wrote different numbers of columns");
    let fault = Sample::fault(|sample| sample.table(1).table_id = Some("other".into()));
    assert!(fault.contains("different ids"), "{fault}");
}

#[test]
fn sums_must_be_those_of_the_files() {
    let fault = Sample::fault(|sample| sample.table(1).rows = 2);
    assert_eq!(fault, "agent 1, ks.t: the manifest says 2 rows, its files have 1");
    let fault = Sample::fault(|sample| sample.table(1).digest.0 ^= 1);
    assert!(fault.starts_with("agent 1, ks.t: the manifest says digest "), "{fault}");
}

#[test]
fn the_folder_of_a_table_holds_the_files_of_the_manifests_and_nothing_else() {
    let at = |sample: &Sample, name: &str| sample.store.location(name);
    let sample = Sample::new("dms");
    sample.write();
    sample.store.put("ks/t/LOAD00000002.csv", b"9,9\n").unwrap();
    let name = at(&sample, "ks/t/LOAD00000002.csv");
    let fault = sample.seal_fault();
    assert_eq!(fault, format!("{name} is in no manifest; loaders would read it all the same"));
    sample.store.delete("ks/t/LOAD00000002.csv").unwrap();
    sample.store.put("ks/t/LOAD00100001.csv", b"1,").unwrap();
    let name = at(&sample, "ks/t/LOAD00100001.csv");
    assert_eq!(sample.seal_fault(), format!("{name} has 2 bytes, its manifest says 6"));
    sample.store.delete("ks/t/LOAD00100001.csv").unwrap();
    assert_eq!(sample.seal_fault(), format!("{name} is not there"));
}

#[test]
fn without_a_run_there_is_nothing_to_seal() {
    let sample = Sample::new("dms");
    assert_eq!(sample.seal().unwrap_err().class(), ErrorClass::Missing);
}

#[test]
fn what_agents_skipped_is_passed_on() {
    let sample = Sample::new("dms");
    sample.write();
    let mut report = Report::new(1, vec![], NotRead::default());
    report.quarantine.push(Quarantine {
        table: "ks.t".into(),
        file: None,
        offsets: None,
        tokens: None,
        cause: "row too large".into(),
    });
    sample.put_agent(1, "report.json", &write_json(&report).unwrap());
    let outcome = sample.seal().unwrap();
    assert!(!outcome.whole);
    assert!(outcome.warnings[0].starts_with("agent 1 skipped something"));
    sample.store.delete("_cassport/agents/000/report.json").unwrap();
    assert!(sample.seal().unwrap().warnings[0].starts_with("agent 0 left no report"));
}

#[test]
fn the_type_of_a_column_depends_on_what_all_agents_saw() {
    let definition = |change: fn(&mut Sample)| {
        let mut sample = Sample::new("dms");
        change(&mut sample);
        sample.write();
        sample.seal().map(|_| {
            let text = sample.text("_cassport/external-table-definition.json");
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let column = &value["Tables"][0]["TableColumns"][1];
            format!("{} {}", column["ColumnType"], column["ColumnLength"])
        })
    };
    assert_eq!(definition(|_| ()).unwrap(), "\"NUMERIC\" null");
    let seen = definition(|sample| sample.table(1).columns[1].stats.max_digits = Some(39));
    assert_eq!(seen.unwrap(), "\"STRING\" \"1024\"");
    let asked = definition(|sample| {
        for agent in 0..2 {
            sample.table(agent).columns[1].column_type = Some("STRING(99)".into());
        }
    });
    assert_eq!(asked.unwrap(), "\"STRING\" \"99\"");
    let wrong = definition(|sample| {
        for agent in 0..2 {
            sample.table(agent).columns[1].column_type = Some("TEXT".into());
        }
    });
    let error = wrong.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage);
    assert!(error.to_string().starts_with("--column-type ks.t.v: "), "{error}");
}

#[test]
fn csv_has_lists_for_its_loader_and_static_files_one_of_their_own() {
    let mut sample = Sample::new("csv");
    let mut entry = sample.table(0).files[0].clone();
    entry.name = split_file("ks", "t", "STATIC", 0, 1, "csv").unwrap();
    (entry.rows, entry.digest) = (0, RecordDigest::default());
    sample.store.put(&entry.name, b"0,000\n").unwrap();
    sample.table(0).files.push(entry);
    sample.write();
    sample.seal().unwrap();
    let at = |name: &str| sample.store.location(name) + "\n";
    assert_eq!(
        sample.text("_cassport/ks.t.urls"),
        at("ks/t/LOAD00000001.csv") + &at("ks/t/LOAD00100001.csv")
    );
    assert_eq!(sample.text("_cassport/ks.t.static.urls"), at("ks/t/STATIC00000001.csv"));
    assert_eq!(sample.store.head("_cassport/task-settings.json").unwrap(), None);
}

#[test]
fn datalake_folders_get_a_success_object_and_side_files_may_be_added() {
    let sample = Sample::new("datalake");
    sample.write();
    let ddl = |run: &RunInfo, tables: &[SealedTable]| {
        let name = format!("_cassport/{}.{}.more", tables[0].keyspace, tables[0].table);
        Ok(vec![(name, run.profile.clone().into_bytes())])
    };
    let options = SealOptions {
        schema_cql: None,
        dms: DmsTarget::default(),
        side_files: Some(&ddl),
        accept_unproven_handoff: false,
        events: &NoEvents,
    };
    let outcome = seal(&sample.store, &options).unwrap();
    assert_eq!(
        outcome.complete.side_files,
        [
            "_cassport/ks.t.spark-schema.ddl",
            "ks/t/_manifest.json",
            "ks/t/_SUCCESS",
            "_cassport/ks.t.more"
        ]
    );
    assert_eq!(sample.text("ks/t/_SUCCESS"), "");
    assert_eq!(sample.text("_cassport/ks.t.more"), "datalake");
    assert!(seal(&sample.store, &options).unwrap().already_sealed);
}
