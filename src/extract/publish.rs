//! The output of a run that goes into a store: `run.json`, the state of finished splits, the manifest, the seal.

use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use crate::discover::Source;
use crate::error::{Error, Result};
use crate::output::dms::DmsTarget;
use crate::output::manifest::{
    ExcludedTable, FORMAT_VERSION, Manifest, ManifestTable, read_json, tool, write_json,
};
use crate::output::names::{
    AGENTS, COMPLETE, OWN, RUN, SCHEMA, agent_file, deletes_of, load_prefix, static_prefix,
};
use crate::output::run::{AgentProgress, RunInfo};
use crate::output::state::{Phase, SourceFiles, StateFile};
use crate::progress::{CommitLogReport, Events, NoEvents, Report, UnixMillis, clock};
use crate::schema::write_schema;
use crate::store::s3::S3Options;
use crate::store::{Claim, Location, PutOutcome, Store, check_name};

use super::heartbeat::{Tally, write_status};
use super::identity::{run_info, source_files};
use super::manifest::{manifest_hosts, manifest_table};
use super::options::ExtractOptions;
use super::overlay;
use super::plan::Plan;
use super::results::{SplitOutcome, TableResult, from_state, to_state};
use super::seal::{SealOptions, seal};
use super::side_files::{FOLDER_MANIFEST, SUCCESS};
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
    source_files: &'a SourceFiles,
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
    fn progress(&self, run: &RunInfo) -> Result<AgentProgress> {
        let (manifest, state) = (self.read("manifest.json")?, self.read("state.json")?);
        run.agent_progress(manifest, state, self.source_files, self.location)
    }

    /// The claim, or none with a word to the user where the store has no conditional writes.
    fn claim(
        &self,
        store: &Arc<dyn Store>,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Option<Claim>> {
        let (name, part) = (agent_file(self.agent, "claim.json"), format!("agent {}", self.agent));
        Claim::take(store, &name, &part, self.options.heartbeat, cancel, events)
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
        let claim = agent_file(self.agent, "claim.json");
        Claim::remove_if_gone(self.store, &claim)?;
        // It may have been killed while it said that it is complete.
        if self.store.head(&claim)?.is_none() {
            self.store.clean_temporaries(&agent_file(self.agent, ""))?;
        }
        if run.agents == 1 && self.store.get(COMPLETE)?.is_none() {
            clean_shared(self.store, plan)?;
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
        let source_files = source_files(source, plan);
        let here = Here {
            store: &*store,
            agent,
            location: &location,
            options,
            source_files: &source_files,
        };
        if !options.overwrite {
            // Without the claim: a part that is complete needs nobody.
            let run = here.adopt(wanted.clone())?;
            if let AgentProgress::Complete(manifest) = here.progress(&run)? {
                return here.already_complete(&run, *manifest, place, source, plan);
            }
        }
        let claim = here.claim(&store, cancel, events)?;
        if options.overwrite {
            remove_output(&*store, agent)?;
        }
        let run = here.adopt(wanted)?;
        let started = clock::now().to_string();
        let state = match here.progress(&run)? {
            AgentProgress::Complete(manifest) => {
                if let Some(claim) = claim {
                    claim.release()?;
                }
                return here.already_complete(&run, *manifest, place, source, plan);
            }
            AgentProgress::Resume(state) => state,
            AgentProgress::Fresh => StateFile::new(&run, agent, &source_files, &started),
        };
        // What a dead run left half-written. Of what all agents share only where there is no other agent.
        store.clean_temporaries(&agent_file(agent, ""))?;
        if run.agents == 1 {
            clean_shared(&*store, plan)?;
        }
        for table in &plan.tables {
            let (keyspace, name) = (&table.job.table.keyspace, &table.job.table.name);
            store.clean_temporaries(&load_prefix(keyspace, name, agent))?;
            store.clean_temporaries(&load_prefix(keyspace, &deletes_of(name), agent))?;
            store.clean_temporaries(&static_prefix(keyspace, name, agent))?;
        }
        Ok(Opened::Ready(Box::new(Self {
            store,
            agent,
            dms: dms_target(place, &options.s3),
            root: location,
            run,
            started: state.started.clone(),
            source_fingerprint: source_files.fingerprint,
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
                for file in kept.files.iter().chain(&kept.deletes) {
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
            tables.iter().flat_map(ManifestTable::all_files).map(|f| f.name.as_str()).collect();
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
            hosts: manifest_hosts(source, &plan.tables),
            tables,
            excluded,
            commit_logs: overlay::reports(plan.overlays.as_ref())
                .into_iter()
                .map(|log| CommitLogReport { bytes_spilled: 0, ..log })
                .collect(),
            complete: true,
        };
        // Whoever lost its claim in the meantime must not say that its part is complete.
        if let Some(claim) = &*self.claim() {
            claim.beat()?;
        }
        self.store.put(&agent_file(self.agent, "report.json"), &write_json(report)?)?;
        if self.run.agents > 1 {
            // Whoever seals them has no source; all have the same schema, by its fingerprint in `run.json`.
            let cql = schema_of(source, plan);
            if self.store.get(SCHEMA)?.as_deref() != Some(cql.as_bytes()) {
                self.store.put(SCHEMA, cql.as_bytes())?;
            }
        }
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

fn schema_of(source: &Source, plan: &Plan) -> String {
    write_schema(&source.schema, &|table| plan.selects(table))
}

fn seal_output(
    store: &dyn Store,
    source: &Source,
    dms: DmsTarget,
    plan: &Plan,
    events: &dyn Events,
) -> Result<Vec<String>> {
    let cql = schema_of(source, plan);
    let options = SealOptions {
        schema_cql: Some(&cql),
        dms,
        side_files: None,
        accept_unproven_handoff: false,
        events,
    };
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

/// Removes what a dead run left half-written of the files that all agents share. By their names, not by their folder: tails
/// and a sequencer may be writing below it.
fn clean_shared(store: &dyn Store, plan: &Plan) -> Result<()> {
    const SIDE_FILES: [&str; 4] =
        ["external-table-definition", "table-mappings", "task-settings", "s3-source-settings"];
    for name in [RUN, SCHEMA, COMPLETE] {
        store.clean_temporaries(name)?;
    }
    for name in SIDE_FILES {
        store.clean_temporaries(&format!("{OWN}/{name}"))?;
    }
    for table in &plan.tables {
        let table = &table.job.table;
        store.clean_temporaries(&format!("{OWN}/{}.{}", table.keyspace, table.name))?;
    }
    Ok(())
}

/// True for `ks/t/_SUCCESS` and the like, which readers of the folder take for its state.
fn is_in_table_folder(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    [SUCCESS, FOLDER_MANIFEST].contains(&file) && check_name(name).is_ok()
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
        // Not what is in folders below: changes and what was made of them are not an extract's.
        let own = format!("{OWN}/");
        let shared = store.list(&own)?.into_iter().map(|object| object.name);
        names.extend(
            shared.filter(|name| name.strip_prefix(&own).is_some_and(|file| !file.contains('/'))),
        );
    }
    // The claim is this process's by now.
    names.retain(|name| *name != agent_file(agent, "claim.json"));
    // What says that all is there goes first, for without this agent's files it would not be true.
    if let Some(bytes) = store.get(COMPLETE)? {
        let complete: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let side_files = complete.get("sideFiles").and_then(|names| names.as_array());
        let names = side_files.into_iter().flatten().filter_map(|name| name.as_str());
        for name in names.filter(|name| is_in_table_folder(name)) {
            store.delete(name)?;
        }
    }
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
