//! The output of a run that goes into a store: `run.json`, the state of finished splits, the manifest, the seal.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::dht::{Ring, RingMember};
use crate::discover::Source;
use crate::error::{Error, Result};
use crate::output::dms::DmsTarget;
use crate::output::manifest::{
    ColumnStats, ExcludedTable, FORMAT_VERSION, Manifest, ManifestColumn, ManifestTable,
    OutputColumnKind, RecordDigest, SourceEntry, TableCounters, TokenInterval, read_json, tool,
    write_json,
};
use crate::output::names::{AGENTS, COMPLETE, OWN, RUN, agent_file, load_prefix, static_prefix};
use crate::output::run::{AgentProgress, RingNode, RunInfo, fingerprint};
use crate::output::state::{Phase, SplitState, StateFile};
use crate::output::{OutputColumn, OutputKind, RecordStats};
use crate::progress::{Events, NoEvents, Report, UnixMillis, clock};
use crate::schema::{ColumnKind, TableMetadata, write_schema};
use crate::sstable::stats::CommitLogPosition;
use crate::sstable::{Component, SstableReader};
use crate::store::s3::S3Options;
use crate::store::{Location, PutOutcome, Store};

use super::claim::Claim;
use super::heartbeat::{Tally, write_status};
use super::options::ExtractOptions;
use super::plan::{Plan, TablePlan};
use super::run::{SplitOutcome, TableResult, column_stats, table_stats};
use super::seal::{SealOptions, seal};
use super::share::Ownership;
use super::sink::Destination;
use super::worker::TableJob;

/// What opening an output found.
#[derive(Debug)]
pub(super) enum Opened {
    /// There is work to do.
    Ready(Box<Publication>),
    /// The same command has finished before; its report.
    AlreadyComplete(Box<Report>, Box<Manifest>),
}

/// An output that is being made.
pub(super) struct Publication {
    store: Arc<dyn Store>,
    agent: u32,
    root: String,
    dms: DmsTarget,
    run: RunInfo,
    started: String,
    source_fingerprint: String,
    state: Mutex<StateFile>,
    /// None where the store cannot hold one.
    claim: Mutex<Option<Claim>>,
}

/// An output before it is known to be this agent's.
struct Here<'a> {
    store: &'a dyn Store,
    agent: u32,
    location: &'a str,
    options: &'a ExtractOptions,
}

impl Here<'_> {
    /// Makes `run.json`, or adopts the one that is there.
    fn adopt(&self, wanted: RunInfo) -> Result<RunInfo> {
        match self.store.put_if_absent(RUN, &write_json(&wanted)?)? {
            PutOutcome::Created(_) => Ok(wanted),
            PutOutcome::Exists => {
                let bytes = self.store.get(RUN)?.unwrap_or_default();
                let existing: RunInfo = read_json(&self.store.location(RUN), &bytes)?;
                wanted.adopt(existing, self.options.now_given, self.location)
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>> {
        let name = agent_file(self.agent, file);
        let bytes = self.store.get(&name)?;
        bytes.map(|bytes| read_json(&self.store.location(&name), &bytes)).transpose()
    }

    /// Where this agent stands.
    fn progress(&self, run: &RunInfo, plan: &Plan) -> Result<AgentProgress> {
        let (manifest, state) = (self.read("manifest.json")?, self.read("state.json")?);
        run.agent_progress(manifest, state, &source_fingerprint(plan), self.location)
    }

    /// The claim, or none with a word to the user where the store has no conditional writes.
    fn claim(
        &self,
        store: &Arc<dyn Store>,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Option<Claim>> {
        // Whether conditions hold may only turn out at the first one.
        let taken = match store.is_conditional() {
            true => Some(Claim::take(store, self.agent, self.options.heartbeat, cancel, events)),
            false => None,
        };
        match taken {
            Some(taken) if store.is_conditional() => taken.map(Some),
            Some(_) | None => {
                events.warning(&format!(
                    "{} has no conditional writes: nothing keeps two processes from being agent {} at once; start only one",
                    self.location, self.agent
                ));
                store.delete(&agent_file(self.agent, "claim.json"))?;
                Ok(None)
            }
        }
    }

    fn already_complete(
        &self,
        run: &RunInfo,
        manifest: Manifest,
        place: &Location,
        source: &Source,
        plan: &Plan,
    ) -> Result<Opened> {
        let report = self.read("report.json")?.ok_or_else(|| Error::Missing {
            what: format!("{}: the agent's report is gone", self.location),
            hint: Some("start afresh with --overwrite".into()),
        })?;
        // The run may have ended between the manifest and what comes after it.
        let state = agent_file(self.agent, "state.json");
        if self.store.head(&state)?.is_some() {
            self.store.delete(&state)?;
        }
        Claim::remove_if_gone(self.store, self.agent)?;
        if run.agents == 1 && self.store.get(COMPLETE)?.is_none() {
            self.store.clean_temporaries(OWN)?;
            let dms = dms_target(place, &self.options.s3);
            seal_output(self.store, source, dms, plan, &NoEvents)?;
        }
        Ok(Opened::AlreadyComplete(Box::new(report), Box::new(manifest)))
    }
}

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publication").field("root", &self.root).finish_non_exhaustive()
    }
}

/// The clock of the run that an output belongs to, if it has one.
pub(super) fn clock_of_output(store: &dyn Store) -> Result<Option<i64>> {
    let Some(bytes) = store.get(RUN)? else { return Ok(None) };
    let run: RunInfo = read_json(&store.location(RUN), &bytes)?;
    Ok(run.clock.parse::<UnixMillis>().ok().map(UnixMillis::seconds))
}

impl Publication {
    pub(super) fn open(
        store: Arc<dyn Store>,
        place: &Location,
        options: &ExtractOptions,
        source: &Source,
        plan: &Plan,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Opened> {
        let agent = plan.share.agent;
        let location = place.to_string();
        let wanted = run_info(options, source, plan)?;
        let here = Here { store: &*store, agent, location: &location, options };
        if !options.overwrite {
            // Without the claim: a part that is complete needs nobody.
            let run = here.adopt(wanted.clone())?;
            if let AgentProgress::Complete(manifest) = here.progress(&run, plan)? {
                return here.already_complete(&run, *manifest, place, source, plan);
            }
        }
        let claim = here.claim(&store, cancel, events)?;
        if options.overwrite {
            remove_output(&*store, agent)?;
        }
        let run = here.adopt(wanted)?;
        let started = clock::now().to_string();
        let source_fingerprint = source_fingerprint(plan);
        let state = match here.progress(&run, plan)? {
            AgentProgress::Complete(manifest) => {
                if let Some(claim) = claim {
                    claim.release()?;
                }
                return here.already_complete(&run, *manifest, place, source, plan);
            }
            AgentProgress::Resume(state) => state,
            AgentProgress::Fresh => StateFile::new(&run, agent, &source_fingerprint, &started),
        };
        // What a dead run left half-written. Of what all agents share only where there is no other agent.
        store.clean_temporaries(&agent_file(agent, ""))?;
        if run.agents == 1 {
            store.clean_temporaries(OWN)?;
        }
        for table in &plan.tables {
            let (keyspace, name) = (&table.job.table.keyspace, &table.job.table.name);
            store.clean_temporaries(&load_prefix(keyspace, name, agent))?;
            store.clean_temporaries(&static_prefix(keyspace, name, agent))?;
        }
        Ok(Opened::Ready(Box::new(Self {
            store,
            agent,
            dms: dms_target(place, &options.s3),
            root: location,
            run,
            started: state.started.clone(),
            source_fingerprint,
            state: Mutex::new(state),
            claim: Mutex::new(claim),
        })))
    }

    fn claim(&self) -> MutexGuard<'_, Option<Claim>> {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that this agent lives and how far it is.
    pub(super) fn beat(&self, tally: &Tally<'_>) -> Result<()> {
        if let Some(claim) = &*self.claim() {
            claim.beat()?;
        }
        write_status(&*self.store, self.agent, tally, Phase::Extracting, None)
    }

    /// The last words, and the end of the claim. What fails here changes nothing of what was done: the claim runs out by
    /// itself, and a status that is old says so.
    pub(super) fn leave(&self, tally: &Tally<'_>, error: Option<&Error>) {
        let phase = if error.is_some() { Phase::Failed } else { Phase::Complete };
        let words = error.map(ToString::to_string);
        let claim = self.claim().take();
        let left = match claim.map_or(Ok(()), Claim::release) {
            Ok(()) => write_status(&*self.store, self.agent, tally, phase, words),
            Err(error) => Err(error),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "the last status could not be written");
        }
    }

    pub(super) fn destination(&self) -> Destination {
        Destination::Store { store: Arc::clone(&self.store), agent: self.agent }
    }

    pub(super) fn location(&self) -> String {
        self.root.clone()
    }

    /// Takes over the splits that an earlier run of the same command finished, if their files are there in full.
    pub(super) fn resume(
        &self,
        results: &[Mutex<TableResult>],
        events: &dyn Events,
        plan: &Plan,
    ) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (table, result) in plan.tables.iter().zip(results) {
            let Some(done) = state.tables.get_mut(&table.job.name) else { continue };
            let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut rows, mut splits) = (0, 0);
            for split in &table.splits {
                let Some(kept) = done.splits.get(&u64::from(split.number)) else { continue };
                let mut whole = true;
                for file in &kept.files {
                    whole &=
                        self.store.head(&file.name)?.is_some_and(|meta| meta.bytes == file.bytes);
                }
                if !whole {
                    done.splits.remove(&u64::from(split.number));
                    continue;
                }
                splits += 1;
                rows += kept.files.iter().map(|file| file.rows).sum::<u64>();
                result.splits.insert(split.number, from_state(kept));
            }
            if splits > 0 {
                events.splits_resumed(&table.job.name, splits, rows, 0);
            }
        }
        Ok(())
    }

    /// Notes a finished split, so that a run that is stopped need not do it again.
    pub(super) fn split_finished(
        &self,
        job: &TableJob,
        number: u32,
        outcome: &SplitOutcome,
    ) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let table = state.tables.entry(job.name.clone()).or_default();
        table.splits.insert(u64::from(number), to_state(outcome));
        self.store.put(&agent_file(self.agent, "state.json"), &write_json(&*state)?)?;
        Ok(())
    }

    /// Writes report and manifest, removes the state, seals.
    pub(super) fn complete(
        &self,
        options: &ExtractOptions,
        source: &Source,
        plan: &Plan,
        results: &[TableResult],
        report: &Report,
        events: &dyn Events,
    ) -> Result<Manifest> {
        let tables: Vec<ManifestTable> = plan
            .tables
            .iter()
            .zip(results)
            .map(|(table, result)| manifest_table(source, table, result))
            .collect();
        let names: Vec<&str> =
            tables.iter().flat_map(|t| &t.files).map(|f| f.name.as_str()).collect();
        self.store.sync(&names)?;
        let excluded = plan
            .selection
            .excluded
            .iter()
            .map(|e| ExcludedTable {
                keyspace: e.keyspace.clone(),
                table: e.table.clone(),
                why: e.why.clone(),
            })
            .collect();
        let host = source.host.as_ref();
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            tool: tool(),
            agent: self.agent,
            agents: self.run.agents,
            host_id: host.and_then(|h| h.host_id).map(|id| id.to_string()),
            cluster: self.run.cluster.clone(),
            data_center: host.and_then(|h| h.data_center.clone()),
            snapshot: options.input.snapshot.clone(),
            profile: self.run.profile.clone(),
            metadata: self.run.metadata.clone(),
            compression: self.run.compression.clone(),
            clock: self.run.clock.clone(),
            started: self.started.clone(),
            finished: clock::now().to_string(),
            release_version: source.release_version(),
            schema_version: host.and_then(|h| h.schema_version).map(|id| id.to_string()),
            partitioner: self.run.partitioner.clone(),
            ownership: self.run.ownership.clone(),
            options: self.run.options.clone(),
            fingerprint: self.run.fingerprint.clone(),
            source_fingerprint: self.source_fingerprint.clone(),
            tables,
            excluded,
            complete: true,
        };
        // Whoever lost its claim in the meantime must not say that its part is complete.
        if let Some(claim) = &*self.claim() {
            claim.beat()?;
        }
        self.store.put(&agent_file(self.agent, "report.json"), &write_json(report)?)?;
        self.store.put(&agent_file(self.agent, "manifest.json"), &write_json(&manifest)?)?;
        self.store.delete(&agent_file(self.agent, "state.json"))?;
        // The last of several agents does not know that it is the last.
        if self.run.agents > 1 {
            return Ok(manifest);
        }
        for warning in seal_output(&*self.store, source, self.dms.clone(), plan, events)? {
            events.warning(&warning);
        }
        Ok(manifest)
    }
}

fn seal_output(
    store: &dyn Store,
    source: &Source,
    dms: DmsTarget,
    plan: &Plan,
    events: &dyn Events,
) -> Result<Vec<String>> {
    let cql = write_schema(&source.schema, &|table| is_selected(plan, table));
    let options = SealOptions { schema_cql: Some(&cql), dms, side_files: None, events };
    Ok(seal(store, &options)?.warnings)
}

/// Where DMS finds an output. What lies in a directory is copied to a bucket that only the user knows.
pub fn dms_target(place: &Location, options: &S3Options) -> DmsTarget {
    match place {
        Location::Directory(_) => DmsTarget::default(),
        Location::S3(place) => DmsTarget {
            bucket: Some(place.bucket.clone()),
            folder: place.prefix.clone(),
            bucket_owner: options.expected_bucket_owner.clone(),
            ..DmsTarget::default()
        },
    }
}

fn is_selected(plan: &Plan, table: &TableMetadata) -> bool {
    plan.tables
        .iter()
        .any(|t| t.job.table.keyspace == table.keyspace && t.job.table.name == table.name)
}

/// Removes what an earlier run of this agent left: its files, its folder, and what the seal wrote.
fn remove_output(store: &dyn Store, agent: u32) -> Result<()> {
    let mut names = Vec::new();
    let remember = |bytes: Option<Vec<u8>>, names: &mut Vec<String>| {
        let text = bytes.unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        collect_names(&value, names);
    };
    remember(store.get(&agent_file(agent, "manifest.json"))?, &mut names);
    remember(store.get(&agent_file(agent, "state.json"))?, &mut names);
    let other_agents =
        store.list(AGENTS)?.iter().any(|o| !o.name.starts_with(&agent_file(agent, "")));
    names.extend(store.list(&agent_file(agent, ""))?.into_iter().map(|object| object.name));
    if !other_agents {
        names.extend(store.list(&format!("{OWN}/"))?.into_iter().map(|object| object.name));
    }
    // The claim is this process's by now.
    names.retain(|name| *name != agent_file(agent, "claim.json"));
    // First, for without this agent's files it would not be true.
    store.delete(COMPLETE)?;
    for name in names {
        store.delete(&name)?;
    }
    Ok(())
}

/// Names of files of records in a manifest or state, whatever else it holds.
fn collect_names(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let (Some(name), Some(_)) =
                (members.get("name").and_then(|n| n.as_str()), members.get("crc64nvme"))
            {
                names.push(name.to_owned());
            }
            members.values().for_each(|member| collect_names(member, names));
        }
        serde_json::Value::Array(elements) => {
            elements.iter().for_each(|element| collect_names(element, names))
        }
        _ => {}
    }
}

fn run_info(options: &ExtractOptions, source: &Source, plan: &Plan) -> Result<RunInfo> {
    let records = &options.records;
    let mut given = BTreeMap::new();
    given.insert("fileSize".to_owned(), json!(options.file_size));
    given.insert("writetime".to_owned(), json!(records.writetime));
    given.insert("expiresColumn".to_owned(), json!(records.expires_column));
    given.insert("includeColumns".to_owned(), json!(records.include_columns));
    given.insert("excludeColumns".to_owned(), json!(records.exclude_columns));
    given.insert("rename".to_owned(), json!(records.rename));
    given.insert("columnTypes".to_owned(), json!(records.column_types));
    given.insert(
        "jsonNumbers".to_owned(),
        json!(format!("{:?}", records.json_numbers).to_lowercase()),
    );
    given.insert("onCorrupt".to_owned(), json!(format!("{:?}", options.on_corrupt).to_lowercase()));
    let tables: Vec<&str> = plan.tables.iter().map(|table| table.job.name.as_str()).collect();
    given.insert("tables".to_owned(), json!(tables));
    let schema = write_schema(&source.schema, &|table| is_selected(plan, table));
    let cluster = source.nodes.iter().find_map(|node| node.host.as_ref()?.cluster_name.clone());
    RunInfo {
        format_version: FORMAT_VERSION,
        tool: tool(),
        clock: UnixMillis(options.now.saturating_mul(1000)).to_string(),
        profile: records.profile.as_str().to_owned(),
        metadata: records.metadata.as_str().to_owned(),
        compression: "none".to_owned(),
        cluster,
        partitioner: "org.apache.cassandra.dht.Murmur3Partitioner".to_owned(),
        ownership: plan.share.ownership.as_str().to_owned(),
        agents: plan.share.agents,
        options: given,
        schema_fingerprint: fingerprint(&[schema.as_bytes()]),
        ring: source.ring.whole().map(ring_nodes).unwrap_or_default(),
        ranges: plan.share.wanted.iter().copied().map(TokenInterval::from).collect(),
        table_ranges: replica_ranges(plan),
        fingerprint: String::new(),
    }
    .seal_fingerprint()
}

fn ring_nodes(ring: &Ring) -> Vec<RingNode> {
    let node = |member: &RingMember| RingNode {
        host_id: member.host_id.to_string(),
        data_center: Some(member.data_center.clone()),
        rack: Some(member.rack.clone()),
        tokens: member.tokens.iter().map(ToString::to_string).collect(),
    };
    ring.members().iter().map(node).collect()
}

/// What one node alone is to extract as a replica, by table: how much that is depends on the keyspace.
fn replica_ranges(plan: &Plan) -> BTreeMap<String, Vec<TokenInterval>> {
    let of_table = |table: &TablePlan| {
        let ranges = table.ranges.iter().copied().map(TokenInterval::from).collect();
        (table.job.name.clone(), ranges)
    };
    let replica = plan.share.ownership == Ownership::Replica;
    plan.tables.iter().filter(|_| replica).map(of_table).collect()
}

/// Depends on the input files and on the splits made from them.
fn source_fingerprint(plan: &Plan) -> String {
    let mut text = String::new();
    for table in &plan.tables {
        text.push_str(&table.job.name);
        for reader in &table.job.readers {
            let (stored, data) = (reader.chunks().stored_len(), reader.chunks().data_len());
            text.push_str(&format!("\n{}{stored} {data}", reader.descriptor().prefix()));
        }
        for sstable in &table.left_out {
            text.push_str(&format!("\n{}", sstable.fingerprint));
        }
        for split in &table.splits {
            text.push_str(&format!("\n{} {} {}", split.number, split.range.start, split.range.end));
        }
        text.push('\n');
    }
    fingerprint(&[text.as_bytes()])
}

fn from_state(kept: &SplitState) -> SplitOutcome {
    let columns = kept
        .columns
        .iter()
        .map(|c| crate::output::ColumnStats {
            max_bytes: c.max_bytes,
            max_digits: c.max_digits.unwrap_or(0),
            max_integer_digits: c.max_integer_digits.unwrap_or(0),
            max_scale: c.max_scale.unwrap_or(0),
            non_finite: c.non_finite,
        })
        .collect();
    SplitOutcome {
        files: kept.files.clone(),
        stats: RecordStats { columns, ..RecordStats::default() },
        counters: kept.counters.clone(),
        books: kept.books,
        quarantine: kept.quarantine.clone(),
        // Its own run proved its joints; they are not kept.
        extents: Vec::new(),
        damaged: false,
    }
}

fn to_state(outcome: &SplitOutcome) -> SplitState {
    SplitState {
        files: outcome.files.clone(),
        columns: outcome.stats.columns.iter().map(manifest_stats).collect(),
        counters: outcome.counters.clone(),
        books: outcome.books,
        quarantine: outcome.quarantine.clone(),
    }
}

fn manifest_stats(stats: &crate::output::ColumnStats) -> ColumnStats {
    ColumnStats {
        max_bytes: stats.max_bytes,
        max_digits: (stats.max_digits > 0).then_some(stats.max_digits),
        max_integer_digits: (stats.max_digits > 0).then_some(stats.max_integer_digits),
        max_scale: (stats.max_digits > 0).then_some(stats.max_scale),
        non_finite: stats.non_finite,
    }
}

/// The manifest's counters from a writer's, and from the rows that expire.
pub(super) fn table_counters(stats: &RecordStats, rows_expiring: u64) -> TableCounters {
    let counters = &stats.counters;
    let more = [
        ("negativeZero", counters.negative_zero),
        ("emptyValues", counters.empty_values),
        ("emptySortKeys", counters.empty_sort_keys),
        ("rowsExpiring", rows_expiring),
    ];
    TableCounters {
        text_equal_to_null_token: counters.text_equal_to_null_token,
        non_finite_numbers: counters.non_finite_numbers,
        numbers_over38_digits: counters.numbers_over_38_digits,
        items_over_400_kb: counters.items_over_400_kb,
        keys_shortened: counters.keys_shortened,
        rows_mixed_ttl: counters.rows_mixed_ttl,
        more: more
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| (name.to_owned(), n))
            .collect(),
    }
}

fn manifest_table(source: &Source, table: &TablePlan, result: &TableResult) -> ManifestTable {
    let stats = table_stats(result);
    let columns = table
        .job
        .format
        .columns()
        .iter()
        .enumerate()
        .map(|(i, column)| manifest_column(table, column, &column_stats(&stats, i)))
        .collect();
    let mut files: Vec<_> =
        result.splits.values().flat_map(|split| split.files.iter().cloned()).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut digest = RecordDigest::default();
    files.iter().for_each(|file| digest.merge(file.digest));
    let mut counters = TableCounters::default();
    result.splits.values().for_each(|split| counters.merge(&split.counters));
    ManifestTable {
        keyspace: table.job.table.keyspace.clone(),
        table: table.job.table.name.clone(),
        table_id: table.job.table.id.map(|id| id.to_string()),
        columns,
        ranges: table.ranges.iter().copied().map(TokenInterval::from).collect(),
        rows: files.iter().map(|file| file.rows).sum(),
        digest,
        files,
        sources: table.job.readers.iter().map(|reader| source_entry(source, reader)).collect(),
        counters,
    }
}

fn manifest_column(
    table: &TablePlan,
    column: &OutputColumn,
    stats: &crate::output::ColumnStats,
) -> ManifestColumn {
    ManifestColumn {
        name: column.name.clone(),
        cql_type: column.cql_type.clone(),
        kind: match column.kind {
            OutputKind::Column(ColumnKind::PartitionKey) => OutputColumnKind::PartitionKey,
            OutputKind::Column(ColumnKind::Clustering) => OutputColumnKind::Clustering,
            OutputKind::Column(ColumnKind::Static) => OutputColumnKind::Static,
            OutputKind::Column(ColumnKind::Regular) => OutputColumnKind::Regular,
            OutputKind::Metadata => OutputColumnKind::Metadata,
            OutputKind::CompositeKey => OutputColumnKind::CompositeKey,
        },
        stats: manifest_stats(stats),
        column_type: table
            .job
            .column_types
            .get(column.source.as_deref().unwrap_or(""))
            .map(|t| t.to_string()),
    }
}

fn source_entry(source: &Source, reader: &SstableReader) -> SourceEntry {
    let path = reader.descriptor().path(Component::Data);
    let stats = &reader.statistics().stats;
    let host = stats.originating_host_id.map(|id| id.to_string());
    let pair = |at: &CommitLogPosition| {
        // Ids and offsets are never negative, but for the position "none".
        (u64::try_from(at.segment_id).unwrap_or(0), u64::try_from(at.position).unwrap_or(0))
    };
    let intervals = stats
        .commit_log_intervals
        .iter()
        .flatten()
        .map(|i| (pair(&i.start), pair(&i.end)))
        .collect();
    SourceEntry {
        path: source.relative(&path),
        format: reader.descriptor().version.to_string(),
        bytes: reader.chunks().stored_len(),
        partitions: Some(reader.statistics().partition_count()),
        commit_log_intervals: intervals,
        originating_host_id: host,
        repaired_at: stats.repaired_at,
    }
}
