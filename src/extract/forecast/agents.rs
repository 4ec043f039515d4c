//! Who does what: the agents of a run, and what each finds.

use uuid::Uuid;

use crate::dht::{Ring, RingMember};
use crate::discover::{Addresses, HostInfo, Source};
use crate::error::{Error, Result};
use crate::extract::plan::{Plan, TablePlan};
use crate::extract::share::{Ownership, Shard, Share, ShareOptions};
use crate::extract::split::plan_splits;
use crate::output::names::split_file;

use super::facts::{TableFacts, figures};
use super::model::{
    AgentForecast, AgentTable, NodeForecast, NodeTable, SourceFigures, Speed, WrittenFigures,
};
use super::objects::PartitionMap;
use super::size::{RecordSize, float};

/// A table of one source, looked at.
pub(super) struct Looked<'a> {
    pub(super) table: &'a TablePlan,
    pub(super) map: PartitionMap<'a>,
    pub(super) facts: TableFacts,
    pub(super) size: RecordSize,
}

/// The shares of all agents that read this source: its own, or those of all parts of the ring.
pub(super) fn shares(
    options: &ShareOptions,
    source: &Source,
    own: &Share,
) -> Result<Vec<(Share, Option<Shard>)>> {
    let Some(Shard { count, .. }) = options.shard else { return Ok(vec![(own.clone(), None)]) };
    let of_shard = |index| {
        let shard = Shard { index, count };
        // A number given by hand is that of one agent.
        let options = ShareOptions { shard: Some(shard), agent: None, ..options.clone() };
        Ok((Share::settle(&options, source)?, Some(shard)))
    };
    (0..count).map(of_shard).collect()
}

/// What an agent with `share` does of the tables; and how many splits that are.
pub(super) fn agent_tables(
    source: &Source,
    tables: &[Looked<'_>],
    share: &Share,
    file_size: u64,
) -> Result<(Vec<AgentTable>, u64)> {
    let mut found = Vec::new();
    let mut all_splits = 0;
    for looked in tables {
        let (job, borders) = (&looked.table.job, &looked.table.borders);
        let (keyspace, table) = (&job.table.keyspace, &job.table.name);
        let ranges = share.ranges(source, keyspace)?;
        let splits = plan_splits(borders, &ranges, file_size);
        all_splits += splits.len() as u64;
        if let Some(last) = splits.last() {
            let extension = job.format.extension();
            split_file(keyspace, table, "LOAD", share.agent, u64::from(last.number), &extension)?;
        }
        let read = looked.map.source_in(&ranges)?;
        let bytes = read.rows.saturating_mul(looked.size.record);
        let written = WrittenFigures { rows: read.rows, bytes, ..looked.map.objects(&splits)? };
        found.push(AgentTable {
            keyspace: keyspace.clone(),
            table: table.clone(),
            ranges: ranges.len() as u64,
            source: read,
            written,
        });
    }
    Ok((found, all_splits))
}

/// An agent that reads this source.
pub(super) fn agent_here(
    share: &Share,
    shard: Option<Shard>,
    command: String,
    tables: Vec<AgentTable>,
    speed: &Speed,
) -> AgentForecast {
    let mut source = SourceFigures::default();
    let mut written = WrittenFigures::default();
    for table in &tables {
        source.add(&table.source);
        written.add(&table.written);
    }
    AgentForecast {
        agent: share.agent,
        node: None,
        host_id: None,
        address: None,
        data_center: None,
        rack: None,
        shard: shard.map(|shard| format!("{}/{}", shard.index, shard.count)),
        command,
        tables: Some(tables),
        source: Some(source),
        written: Some(written),
        seconds: Some(seconds(&source, &written, speed)),
    }
}

/// Says of which node an agent is.
pub(super) fn is_of(agent: &mut AgentForecast, name: Option<&str>, host: Option<&HostInfo>) {
    agent.node = name.map(str::to_owned);
    agent.host_id = host.and_then(|host| host.host_id).map(|id| id.to_string());
    agent.address = host.and_then(|host| host.address).map(|address| address.to_string());
    agent.data_center = host.and_then(|host| host.data_center.clone());
    agent.rack = host.and_then(|host| host.rack.clone());
}

/// The nodes of the data center that write beside those that are here.
pub(super) fn agents_elsewhere(
    ring: &Ring,
    addresses: &Addresses,
    here: &[AgentForecast],
    command: &dyn Fn() -> String,
) -> Result<Vec<AgentForecast>> {
    let is_here = |id: Uuid| here.iter().any(|a| a.host_id == Some(id.to_string()));
    let centers: std::collections::BTreeSet<&str> = ring
        .members()
        .iter()
        .filter(|member| is_here(member.host_id))
        .map(|member| member.data_center.as_str())
        .collect();
    if centers.len() > 1 {
        let names: Vec<&str> = centers.into_iter().collect();
        return Err(Error::Usage {
            what: format!(
                "--ownership {}: the nodes given are of several data centers ({})",
                Ownership::Primary.as_str(),
                names.join(", ")
            ),
            hint: Some("the nodes of one center write each row once: give those of one".into()),
        });
    }
    let elsewhere = |(place, member): (usize, &RingMember)| AgentForecast {
        agent: u32::try_from(place).unwrap_or(u32::MAX),
        node: None,
        host_id: Some(member.host_id.to_string()),
        address: addresses.get(&member.host_id).map(ToString::to_string),
        data_center: Some(member.data_center.clone()),
        rack: Some(member.rack.clone()),
        shard: None,
        command: command(),
        tables: None,
        source: None,
        written: None,
        seconds: None,
    };
    let members = ring.members().iter().enumerate();
    let beside =
        members.filter(|(_, m)| centers.contains(m.data_center.as_str()) && !is_here(m.host_id));
    Ok(beside.map(elsewhere).collect())
}

/// The nodes of a source, and what is in the directories of each.
pub(super) fn nodes(source: &Source, plan: &Plan, name: Option<&str>) -> Vec<NodeForecast> {
    let node = |(place, node): (usize, &crate::discover::SourceNode)| {
        let mut tables = Vec::new();
        let mut total = SourceFigures::default();
        for table in &plan.tables {
            let mut sum = SourceFigures::default();
            let readers = table.job.readers.iter();
            readers
                .filter(|reader| source.node_of(&reader.descriptor().directory) == Some(place))
                .for_each(|reader| sum.add(&figures(reader, &table.job.table)));
            if sum.sstables > 0 {
                total.add(&sum);
                tables.push(NodeTable {
                    keyspace: table.job.table.keyspace.clone(),
                    table: table.job.table.name.clone(),
                    source: sum,
                });
            }
        }
        let host = node.host.as_ref();
        NodeForecast {
            name: name.unwrap_or(&node.name).to_owned(),
            host_id: host.and_then(|host| host.host_id).map(|id| id.to_string()),
            address: host.and_then(|host| host.address).map(|address| address.to_string()),
            data_center: host.and_then(|host| host.data_center.clone()),
            rack: host.and_then(|host| host.rack.clone()),
            release_version: host.and_then(|host| host.release_version.clone()),
            tables,
            total,
        }
    };
    source.nodes.iter().enumerate().map(node).collect()
}

/// How long an agent takes: as long as the slowest of what it waits for.
fn seconds(source: &SourceFigures, written: &WrittenFigures, speed: &Speed) -> f64 {
    let takes =
        |bytes: u64, rate: Option<u64>| rate.map_or(0.0, |rate| float(bytes) / float(rate.max(1)));
    takes(source.data_bytes, Some(speed.bytes_per_second))
        .max(takes(source.disk_bytes, speed.read_rate))
        .max(takes(written.bytes, speed.upload_rate))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::dht::Token;

    fn member(id: u8, data_center: &str, token: i64) -> RingMember {
        RingMember {
            host_id: Uuid::from_bytes([id; 16]),
            data_center: data_center.to_owned(),
            rack: format!("r{id}"),
            tokens: vec![Token(token)],
        }
    }

    fn here(id: u8) -> AgentForecast {
        let share = Share::of_number(u32::from(id) - 1);
        let speed = Speed {
            bytes_per_second: 1,
            given: true,
            threads: 1,
            read_rate: None,
            upload_rate: None,
        };
        let mut agent = agent_here(&share, None, "x".into(), Vec::new(), &speed);
        agent.host_id = Some(Uuid::from_bytes([id; 16]).to_string());
        agent
    }

    #[test]
    fn the_other_nodes_of_the_data_center_have_an_agent_each() {
        let members = vec![
            member(1, "dc1", 0),
            member(2, "dc2", 5),
            member(3, "dc1", 7),
            member(4, "dc1", 9),
        ];
        let ring = Ring::new(members).unwrap();
        let address: IpAddr = "10.0.0.3".parse().unwrap();
        let addresses = Addresses::from([(Uuid::from_bytes([3; 16]), address)]);
        let command = || "the command".to_owned();
        let others = agents_elsewhere(&ring, &addresses, &[here(1)], &command).unwrap();
        let shown: Vec<_> = others
            .iter()
            .map(|a| (a.agent, a.address.as_deref(), a.rack.as_deref(), a.tables.is_some()))
            .collect();
        assert_eq!(shown, [(2, Some("10.0.0.3"), Some("r3"), false), (3, None, Some("r4"), false)]);
        assert!(others.iter().all(|agent| agent.command == "the command"));
        let both = agents_elsewhere(&ring, &addresses, &[here(1), here(3)], &command).unwrap();
        assert_eq!(both.len(), 1);
        // Each center writes each row once: two of them would write it twice.
        let error = agents_elsewhere(&ring, &addresses, &[here(1), here(2)], &command).unwrap_err();
        assert!(error.to_string().contains("several data centers (dc1, dc2)"), "{error}");
    }

    #[test]
    fn an_agent_takes_as_long_as_the_slowest_of_what_it_waits_for() {
        let source =
            SourceFigures { data_bytes: 1000, disk_bytes: 400, ..SourceFigures::default() };
        let written = WrittenFigures { bytes: 300, ..WrittenFigures::default() };
        let takes = |read_rate, upload_rate| {
            let speed =
                Speed { bytes_per_second: 100, given: true, threads: 2, read_rate, upload_rate };
            seconds(&source, &written, &speed)
        };
        assert_eq!(takes(None, None), 10.0);
        assert_eq!(takes(Some(20), None), 20.0);
        assert_eq!(takes(Some(20), Some(10)), 30.0);
        assert_eq!(takes(Some(2000), Some(1000)), 10.0);
    }
}
