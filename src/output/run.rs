//! `run.json`: what all agents of a run share. The first agent makes it, later ones adopt it or are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, TokenInterval, write_json};
use super::state::{SourceFiles, StateFile};
use crate::error::{Error, Result};

/// What all agents of a run share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// [`super::manifest::FORMAT_VERSION`].
    pub format_version: u32,
    /// Program and version that made it.
    pub tool: String,
    /// Decides what has expired; RFC 3339.
    pub clock: String,
    /// Profile.
    pub profile: String,
    /// `none`, `row` or `cell`.
    pub metadata: String,
    /// `none`, `gzip` or `zstd`.
    pub compression: String,
    /// Name of the cluster.
    pub cluster: Option<String>,
    /// Partitioner, the class name.
    pub partitioner: String,
    /// `all`, `replica` or `primary`.
    pub ownership: String,
    /// Number of agents.
    pub agents: u32,
    /// Options that decide the bytes written.
    pub options: BTreeMap<String, serde_json::Value>,
    /// Fingerprint of the schema of the tables extracted.
    pub schema_fingerprint: String,
    /// Nodes of the ring, in order of their host ids.
    pub ring: Vec<RingNode>,
    /// Token ranges that all agents together must cover.
    pub ranges: Vec<TokenInterval>,
    /// The same by table (`keyspace.table`), where one node alone is extracted as a replica; takes the place of `ranges`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub table_ranges: BTreeMap<String, Vec<TokenInterval>>,
    /// Fingerprint of all of this but the program; manifests and states carry it.
    pub fingerprint: String,
}

/// A node of the ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingNode {
    /// Host id.
    pub host_id: String,
    /// Data center.
    pub data_center: Option<String>,
    /// Rack.
    pub rack: Option<String>,
    /// Its tokens, ascending.
    pub tokens: Vec<String>,
}

/// Where an agent stands in an output.
#[derive(Debug)]
pub enum AgentProgress {
    /// It has not begun.
    Fresh,
    /// It was stopped: these splits are done.
    Resume(StateFile),
    /// Its part is done: "already complete".
    Complete(Box<Manifest>),
}

impl RunInfo {
    /// Fills in the fingerprint: to be called once, when everything else is there.
    pub fn seal_fingerprint(mut self) -> Result<Self> {
        let tool = std::mem::take(&mut self.tool);
        self.fingerprint = String::new();
        self.fingerprint = fingerprint(&[&write_json(&self)?]);
        self.tool = tool;
        Ok(self)
    }

    /// Compares what this agent would have made (`self`) with what is there, and adopts that if both are the same run.
    ///
    /// The clock of the run is adopted unless the user asked for another (`clock_given`). The program's version is not
    /// compared: a run may be finished by a later one.
    pub fn adopt(self, existing: Self, clock_given: bool, location: &str) -> Result<Self> {
        let mut differences = Vec::new();
        let mut compare = |what: &str, there: &str, here: &str| {
            if there != here {
                differences.push(format!("{what} is {there} there and {here} here"));
            }
        };
        if clock_given {
            compare("the clock (--now)", &existing.clock, &self.clock);
        }
        let named = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
        compare("the profile", &existing.profile, &self.profile);
        compare("--metadata", &existing.metadata, &self.metadata);
        compare("--compression", &existing.compression, &self.compression);
        compare("the cluster", &named(&existing.cluster), &named(&self.cluster));
        compare("the partitioner", &existing.partitioner, &self.partitioner);
        compare("--ownership", &existing.ownership, &self.ownership);
        compare("the number of agents", &existing.agents.to_string(), &self.agents.to_string());
        let keys: BTreeSet<_> = existing.options.keys().chain(self.options.keys()).collect();
        for key in keys {
            let shown = |options: &BTreeMap<String, serde_json::Value>| {
                options.get(key).map_or_else(|| "not given".to_owned(), ToString::to_string)
            };
            compare(&format!("option {key}"), &shown(&existing.options), &shown(&self.options));
        }
        compare("the schema", &existing.schema_fingerprint, &self.schema_fingerprint);
        if existing.ring != self.ring {
            differences.push(ring_difference(&existing.ring, &self.ring));
        }
        if existing.ranges != self.ranges || existing.table_ranges != self.table_ranges {
            differences.push("the token range to extract is another".to_owned());
        }
        if differences.is_empty() {
            return Ok(existing);
        }
        Err(Error::Refused {
            what: format!("{location} belongs to another run: {}", differences.join("; ")),
            hint: Some(
                "give the same options, choose another --output, or start afresh with --overwrite"
                    .to_owned(),
            ),
        })
    }

    /// Says where an agent stands, given its manifest and state if they are there.
    ///
    /// Both are refused if they are of another run or were made from other input files. What was begun cannot go on when an
    /// SSTable that it was planned with is gone: [`Error::Missing`].
    pub fn agent_progress(
        &self,
        manifest: Option<Manifest>,
        state: Option<StateFile>,
        source: &SourceFiles,
        location: &str,
    ) -> Result<AgentProgress> {
        let check = |what: &str, run: &str, made_from: &str| {
            let difference = if run != self.fingerprint {
                "is of another run"
            } else if made_from != source.fingerprint {
                "was made from other input files"
            } else {
                return Ok(());
            };
            Err(Error::Refused {
                what: format!("{location}: the {what} there {difference}"),
                hint: Some(
                    "extract from the same snapshot, choose another --output, or start afresh with --overwrite"
                        .to_owned(),
                ),
            })
        };
        if let Some(manifest) = manifest {
            check("manifest", &manifest.fingerprint, &manifest.source_fingerprint)?;
            return Ok(AgentProgress::Complete(Box::new(manifest)));
        }
        if let Some(state) = state {
            if state.fingerprint == self.fingerprint
                && let Some(sstable) = state.gone(source)
            {
                return Err(Error::Missing {
                    what: format!(
                        "{location}: the run there was planned with SSTable {sstable}, which is gone"
                    ),
                    hint: Some(
                        "compactions replace the files of a live node: take a snapshot (nodetool snapshot -t TAG), and extract \
                         it with --snapshot TAG and --overwrite"
                            .to_owned(),
                    ),
                });
            }
            check("state", &state.fingerprint, &state.source_fingerprint)?;
            return Ok(AgentProgress::Resume(state));
        }
        Ok(AgentProgress::Fresh)
    }
}

/// A fingerprint of pieces of bytes: 32 hex digits that depend on the borders between the pieces too.
pub fn fingerprint(pieces: &[&[u8]]) -> String {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for piece in pieces {
        hasher.update(&(piece.len() as u64).to_be_bytes());
        hasher.update(piece);
    }
    format!("{:032x}", hasher.digest128())
}

fn ring_difference(there: &[RingNode], here: &[RingNode]) -> String {
    let ids = |ring: &[RingNode]| ring.iter().map(|n| n.host_id.clone()).collect::<BTreeSet<_>>();
    let (there_ids, here_ids) = (ids(there), ids(here));
    if let Some(id) = there_ids.difference(&here_ids).next() {
        return format!("the ring has node {id} there and not here");
    }
    if let Some(id) = here_ids.difference(&there_ids).next() {
        return format!("the ring has node {id} here and not there");
    }
    let changed = here.iter().find(|node| !there.contains(node));
    let id = changed.map_or("", |node| node.host_id.as_str());
    format!("node {id} of the ring has other tokens, or is in another data center or rack")
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
