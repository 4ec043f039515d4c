//! A forecast, from its options to the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicI32;

use crate::discover::{InputOptions, NodeDirs, Source};
use crate::error::{Error, Result};
use crate::extract::options::{ExtractOptions, OutputTarget};
use crate::extract::plan::{Purpose, TablePlan, prepare};
use crate::extract::run::output_memory;
use crate::extract::share::{Ownership, Shard};
use crate::output::manifest::tool;
use crate::progress::{Events, UnixMillis};
use crate::store::Location;

use super::agents::{Looked, agent_here, agent_tables, agents_elsewhere, is_of, nodes, shares};
use super::cost::{Drivers, Price, cost};
use super::facts::TableFacts;
use super::model::{
    AgentForecast, Basis, Excluded, Forecast, NodeForecast, Speed, TableForecast, TotalForecast,
    WrittenFigures,
};
use super::objects::PartitionMap;
use super::size::record_size;
use super::target::Target;

/// Version of the document.
const FORMAT_VERSION: u32 = 1;

/// Uncompressed bytes that a thread does in a second: what is measured with a usual table, text written to files.
pub const USUAL_RATE: u64 = 500_000_000;

/// What to tell, and of which run.
pub struct ForecastOptions<'a> {
    /// The run. Where it would write matters little: nothing is looked at there.
    pub extract: ExtractOptions,
    /// Uncompressed bytes that an agent does in a second; none for [`USUAL_RATE`] times its threads.
    pub rate: Option<u64>,
    /// Written bytes that the loader takes in a second.
    pub load_rate: Option<u64>,
    /// Prices.
    pub prices: Vec<Price>,
    /// Makes the command of an agent.
    pub command: &'a dyn Fn(&AgentPlace<'_>) -> String,
    /// The command for when all are done.
    pub seal: String,
}

/// Where an agent runs, and what its command has that those of others do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentPlace<'a> {
    /// As the options say.
    AsGiven,
    /// A part of the ring, of the directories given.
    Shard(Shard),
    /// The directories of one of the nodes given.
    Node(&'a NodeDirs),
    /// A node whose directories are not known here.
    Elsewhere,
}

/// What is gathered over all sources.
#[derive(Default)]
struct Gathered {
    nodes: Vec<NodeForecast>,
    agents: Vec<AgentForecast>,
    /// One plan of each table, with what all sources have of it.
    tables: BTreeMap<String, (TablePlan, TableFacts, WrittenFigures)>,
    elsewhere: Vec<AgentForecast>,
    excluded: BTreeSet<Excluded>,
    warnings: Vec<String>,
    splits: u64,
    damaged: bool,
}

/// Tells what the run would do. Fails as the run would, as far as it can be known without data.
pub fn forecast(options: &ForecastOptions<'_>, events: &dyn Events) -> Result<Forecast> {
    let run = &options.extract;
    if run.output == OutputTarget::Stdout {
        return Err(Error::Usage {
            what: "a plan is of an output that is kept".into(),
            hint: Some("--output DIR or s3://BUCKET/PREFIX, or none".into()),
        });
    }
    let threads = run.threads as u64;
    let speed = Speed {
        bytes_per_second: options.rate.unwrap_or(USUAL_RATE.saturating_mul(threads)),
        given: options.rate.is_some(),
        threads,
        read_rate: run.read_rate,
        upload_rate: match run.output {
            OutputTarget::Store(Location::Directory(_)) => None,
            _ => run.s3.upload_rate,
        },
    };
    let mut gathered = Gathered::default();
    // Owners are those of one node: of several, each is planned by itself, as its own agent would.
    if run.share.ownership != Ownership::All && !run.input.nodes.is_empty() {
        for node in &run.input.nodes {
            let input = InputOptions {
                data_dirs: node.dirs.clone(),
                nodes: Vec::new(),
                ..run.input.clone()
            };
            gathered.look_at(options, &input, Some(node), &speed, events)?;
        }
    } else {
        gathered.look_at(options, &run.input, None, &speed, events)?;
    }
    gathered.into_forecast(options, speed)
}

impl Gathered {
    /// Looks at one source; `node` if it is one of several that are looked at by themselves.
    fn look_at(
        &mut self,
        options: &ForecastOptions<'_>,
        input: &InputOptions,
        node: Option<&NodeDirs>,
        speed: &Speed,
        events: &dyn Events,
    ) -> Result<()> {
        let run = ExtractOptions { input: input.clone(), ..options.extract.clone() };
        let source = Source::open(input, run.now)?;
        let mut plan = prepare(&source, &run, Purpose::Forecast, events, &AtomicI32::new(0))?;
        plan.memory_budget(&run, output_memory(&run))?;
        for words in source.warnings().iter().chain(&plan.warnings) {
            if !self.warnings.contains(words) {
                self.warnings.push(words.clone());
            }
        }
        self.damaged |= plan.tables.iter().any(|table| !table.left_out.is_empty());
        self.excluded.extend(plan.selection.excluded.iter().map(|table| Excluded {
            keyspace: table.keyspace.clone(),
            table: table.table.clone(),
            why: table.why.clone(),
        }));
        let name = node.map(|node| node.name.as_str());
        self.nodes.extend(nodes(&source, &plan, name));
        let mut looked = Vec::new();
        for table in &plan.tables {
            let facts = TableFacts::of(table)?;
            let size = record_size(&table.job, &facts);
            looked.push(Looked { table, map: PartitionMap::of(table)?, facts, size });
        }
        let mut written: Vec<WrittenFigures> = vec![WrittenFigures::default(); looked.len()];
        for (share, shard) in shares(&run.share, &source, &plan.share)? {
            let (tables, splits) = agent_tables(&source, &looked, &share, run.file_size)?;
            self.splits += splits;
            for (sum, table) in written.iter_mut().zip(&tables) {
                sum.add(&table.written);
            }
            let place = match (shard, node) {
                (Some(shard), _) => AgentPlace::Shard(shard),
                (None, Some(node)) => AgentPlace::Node(node),
                (None, None) => AgentPlace::AsGiven,
            };
            let command = (options.command)(&place);
            let mut agent = agent_here(&share, shard, command, tables, speed);
            if shard.is_none() {
                is_of(&mut agent, name, source.host.as_ref());
            }
            self.agents.push(agent);
        }
        let facts: Vec<TableFacts> = looked.into_iter().map(|looked| looked.facts).collect();
        let tables = std::mem::take(&mut plan.tables);
        for ((table, facts), written) in tables.into_iter().zip(facts).zip(written) {
            match self.tables.get_mut(&table.job.name) {
                Some((_, sum, all)) => {
                    sum.merge(&facts);
                    all.add(&written);
                }
                None => {
                    let name = table.job.name.clone();
                    self.tables.insert(name, (table, facts, written));
                }
            }
        }
        if let (Ownership::Primary, Some(ring)) = (run.share.ownership, source.ring.whole()) {
            let place = match node {
                Some(_) => AgentPlace::Elsewhere,
                None => AgentPlace::AsGiven,
            };
            let command = || (options.command)(&place);
            self.elsewhere = agents_elsewhere(ring, &source.addresses, &self.agents, &command)?;
        }
        Ok(())
    }

    fn into_forecast(mut self, options: &ForecastOptions<'_>, speed: Speed) -> Result<Forecast> {
        let run = &options.extract;
        self.agents.append(&mut self.elsewhere);
        self.agents.sort_by_key(|agent| agent.agent);
        let mut tables = Vec::new();
        let mut total = TotalForecast::default();
        for (plan, facts, written) in self.tables.into_values() {
            let size = record_size(&plan.job, &facts);
            let target = Target {
                table: &plan,
                facts: &facts,
                size,
                metadata: run.records.metadata,
                has_expires_column: run.records.expires_column.is_some(),
            };
            let findings = target.findings()?;
            total.source.add(&facts.source);
            total.written.add(&written);
            let table = TableForecast {
                keyspace: plan.job.table.keyspace.clone(),
                table: plan.job.table.name.clone(),
                source: facts.source,
                written,
                record_bytes: size.record,
                item_bytes: size.item,
                largest_partition: facts.largest_partition.and_then(|(_, bound)| bound),
                longest_key: facts.keys.length(),
                findings,
            };
            tables.push((table, size.values));
        }
        let seconds = || self.agents.iter().filter_map(|agent| agent.seconds);
        let cost = cost(
            &tables,
            &Drivers {
                profile: run.records.profile,
                transfer: run.s3.transfer,
                agents: self.agents.len() as u64,
                splits: self.splits,
                seconds: seconds().sum(),
                heartbeat: run.heartbeat,
                load_rate: options.load_rate.or(options.rate),
                prices: &options.prices,
            },
        );
        Ok(Forecast {
            format_version: FORMAT_VERSION,
            tool: tool(),
            clock: UnixMillis(run.now.saturating_mul(1000)).to_string(),
            profile: run.records.profile.as_str().to_owned(),
            metadata: run.records.metadata.as_str().to_owned(),
            ownership: run.share.ownership.as_str().to_owned(),
            output: match &run.output {
                OutputTarget::Store(location) => Some(location.to_string()),
                OutputTarget::Stdout | OutputTarget::Discard => None,
            },
            nodes: self.nodes,
            seconds: seconds().fold(0.0, f64::max),
            seal: (self.agents.len() > 1).then(|| options.seal.clone()),
            agents: self.agents,
            tables: tables.into_iter().map(|(table, _)| table).collect(),
            total,
            speed,
            cost,
            excluded: self.excluded.into_iter().collect(),
            basis: Basis::OF_ALL,
            warnings: self.warnings,
            whole: !self.damaged,
        })
    }
}
