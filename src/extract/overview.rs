//! How far all agents of an output are, from what each last said.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use crate::changes::{CHANGES, Watermark, change_status_object, watermark_object};
use crate::error::{Error, Result};
use crate::output::manifest::{Manifest, read_json};
use crate::output::names::{AGENTS, COMPLETE, RUN, agent_file};
use crate::output::run::RunInfo;
use crate::output::state::{Phase, Status, TablePhase, TableStatus};
use crate::progress::UnixMillis;
use crate::store::Store;

/// An output and its agents.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Profile.
    pub profile: String,
    /// The run's clock; RFC 3339.
    pub clock: String,
    /// How many agents make the whole.
    pub agents_wanted: u32,
    /// `seal` has found all parts whole.
    pub sealed: bool,
    /// Agents that have begun, by number.
    pub agents: Vec<AgentOverview>,
    /// Tables of all agents together, by name.
    pub tables: Vec<TableStatus>,
    /// Change streams, by host id.
    pub streams: Vec<StreamOverview>,
}

/// The changes of one host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamOverview {
    /// Host id.
    pub host_id: String,
    /// Id of the segment that its tail stands in.
    pub segment: i64,
    /// Offset in it.
    pub offset: u32,
    /// Everything that was written to the host before is shipped; RFC 3339.
    pub shipped_until: String,
    /// The same in milliseconds since 1970.
    pub shipped_until_millis: i64,
    /// Seconds between that and the clock of whoever asks.
    pub lag_seconds: f64,
    /// What its tail said last; none where it said nothing yet.
    pub status: Option<Status>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentOverview {
    /// Seconds since it last said something, by the clock of whoever asks; none once it is complete.
    pub silent_seconds: Option<i64>,
    /// What it said; of one that said nothing yet (it does so at its first beat) only the number is known.
    #[serde(flatten)]
    pub status: Status,
}

impl Overview {
    /// Agents whose part is complete.
    pub fn complete(&self) -> usize {
        self.agents.iter().filter(|agent| agent.status.phase == Phase::Complete).count()
    }
}

impl StreamOverview {
    /// True if everything that was written to the host before `time` is shipped.
    pub fn has_passed(&self, time: UnixMillis) -> bool {
        self.shipped_until_millis >= time.0
    }

    /// True if its tail works and cannot say up to when everything is shipped, as it reads what Cassandra is done with.
    pub fn is_blind(&self) -> bool {
        self.shipped_until_millis == 0 && self.status.is_some()
    }
}

/// The change streams of the output in `store`; `now` is the time to measure their lag by.
pub fn streams(store: &dyn Store, now: UnixMillis) -> Result<Vec<StreamOverview>> {
    let mut hosts = BTreeSet::new();
    for object in store.list(CHANGES)? {
        let folder = object.name.strip_prefix(CHANGES).and_then(|rest| rest.split_once('/'));
        hosts.extend(folder.and_then(|(host, _)| Uuid::parse_str(host).ok()));
    }
    let mut streams = Vec::new();
    for host in hosts {
        let name = watermark_object(host);
        // A tail that has shipped something and no watermark yet stands at the beginning of time.
        let mark = match store.get(&name)? {
            Some(bytes) => Watermark::parse(&bytes, &store.location(&name))?,
            None => Watermark { segment: 0, offset: 0, time: 0 },
        };
        let status = match store.get(&change_status_object(host))? {
            Some(bytes) => serde_json::from_slice(&bytes).ok(),
            None => None,
        };
        streams.push(StreamOverview {
            host_id: host.to_string(),
            segment: mark.segment,
            offset: mark.offset,
            shipped_until: UnixMillis(mark.time).to_string(),
            shipped_until_millis: mark.time,
            lag_seconds: now.seconds_since(UnixMillis(mark.time)),
            status,
        });
    }
    Ok(streams)
}

/// Reads what the agents of the output in `store` last said; `now` is the time to measure their silence by.
///
/// An output to which only tails have written so far has streams and no agents.
pub fn overview(store: &dyn Store, now: UnixMillis) -> Result<Overview> {
    let streams = streams(store, now)?;
    let run: Option<RunInfo> = match store.get(RUN)? {
        Some(bytes) => Some(read_json(&store.location(RUN), &bytes)?),
        None if streams.is_empty() => {
            return Err(Error::Missing {
                what: format!("{} is not there: no run has begun", store.location(RUN)),
                hint: Some("give the --output of the extract, or of the tail".to_owned()),
            });
        }
        None => None,
    };
    let mut found: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for object in store.list(AGENTS)? {
        let parts = object.name.strip_prefix(AGENTS).and_then(|rest| rest.split_once('/'));
        let Some((folder, file)) = parts else { continue };
        if let Ok(agent) = u32::from_str_radix(folder, 16) {
            found.entry(agent).or_default().insert(file.to_owned());
        }
    }
    let mut agents = Vec::new();
    for (agent, files) in found {
        agents.push(agent_overview(store, agent, &files, now)?);
    }
    let mut tables: BTreeMap<(String, String), TableStatus> = BTreeMap::new();
    for table in agents.iter().flat_map(|agent| &agent.status.tables) {
        let key = (table.keyspace.clone(), table.table.clone());
        match tables.get_mut(&key) {
            Some(sum) => add(sum, table),
            None => drop(tables.insert(key, table.clone())),
        }
    }
    Ok(Overview {
        agents_wanted: run.as_ref().map_or(0, |run| run.agents),
        sealed: store.head(COMPLETE)?.is_some(),
        tables: {
            let wanted = run.as_ref().map_or(0, |run| run.agents);
            tables.into_values().map(|table| average(table, wanted)).collect()
        },
        profile: run.as_ref().map_or_else(String::new, |run| run.profile.clone()),
        clock: run.map_or_else(String::new, |run| run.clock),
        agents,
        streams,
    })
}

fn agent_overview(
    store: &dyn Store,
    agent: u32,
    files: &BTreeSet<String>,
    now: UnixMillis,
) -> Result<AgentOverview> {
    let mut status = said(store, agent)?;
    if files.contains("manifest.json") {
        if status.phase != Phase::Complete {
            // It was killed between its manifest and its last word.
            let name = agent_file(agent, "manifest.json");
            if let Some(bytes) = store.get(&name)? {
                status = of_manifest(read_json(&store.location(&name), &bytes)?, status.host);
            }
        }
        return Ok(AgentOverview { silent_seconds: None, status });
    }
    let updated = status.updated.parse::<UnixMillis>().ok();
    let silent_seconds = updated.map(|at| now.seconds().saturating_sub(at.seconds()));
    Ok(AgentOverview { silent_seconds, status })
}

/// `status.json`; before the first one the agent is known to have begun and nothing else.
fn said(store: &dyn Store, agent: u32) -> Result<Status> {
    let name = agent_file(agent, "status.json");
    let Some(bytes) = store.get(&name)? else {
        return Ok(Status::new(agent, Phase::Extracting));
    };
    serde_json::from_slice(&bytes).map_err(|error| Error::Refused {
        what: format!("{} is not what cassport wrote there: {error}", store.location(&name)),
        hint: None,
    })
}

fn of_manifest(manifest: Manifest, host: String) -> Status {
    let tables: Vec<TableStatus> = manifest
        .tables
        .iter()
        .map(|table| TableStatus {
            keyspace: table.keyspace.clone(),
            table: table.table.clone(),
            state: TablePhase::Completed,
            percent: 100.0,
            rows: table.rows,
            elapsed_seconds: 0,
            errors: 0,
        })
        .collect();
    Status {
        host,
        updated: manifest.finished,
        percent: 100.0,
        tables_loaded: tables.len() as u64,
        rows: manifest.tables.iter().map(|table| table.rows).sum(),
        bytes_written: manifest
            .tables
            .iter()
            .flat_map(|t| t.all_files())
            .map(|file| file.bytes)
            .sum(),
        tables,
        ..Status::new(manifest.agent, Phase::Complete)
    }
}

/// Adds another agent's part of a table. The state is that of the agent that needs most attention; percents are summed here
/// and divided by [`average`].
fn add(sum: &mut TableStatus, part: &TableStatus) {
    let rank = |state| match state {
        TablePhase::Error => 4,
        TablePhase::Cancelled => 3,
        TablePhase::FullLoad => 2,
        TablePhase::BeforeLoad => 1,
        TablePhase::Completed => 0,
    };
    if rank(part.state) > rank(sum.state) {
        sum.state = part.state;
    }
    sum.percent += part.percent;
    sum.rows += part.rows;
    sum.errors += part.errors;
    sum.elapsed_seconds = sum.elapsed_seconds.max(part.elapsed_seconds);
}

fn average(mut table: TableStatus, agents: u32) -> TableStatus {
    table.percent = (table.percent / f64::from(agents.max(1)) * 10.0).round() / 10.0;
    if table.state == TablePhase::Completed && table.percent < 100.0 {
        // Other agents have not begun.
        table.state = TablePhase::FullLoad;
    }
    table
}
