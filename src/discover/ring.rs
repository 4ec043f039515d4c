//! The ring as the disk knows it: `system.local` of the nodes given, `system.peers` and `peers_v2` for the others.
//!
//! Of the peers a node flushes little at once, tokens not at all: on a clone of a ring that changed lately they may only be
//! in the commit log. What is not complete is therefore not a ring, and is said in words.

use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use super::host::HostInfo;
use super::raw_row::{Columns, RawRow, SystemTables};
use super::system_schema::system_table;
use crate::dht::{Ring, RingMember, Token};
use crate::error::Result;

const PEER_TABLES: [&str; 2] = ["peers_v2", "peers"];

/// What is known of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownRing {
    /// All of it.
    Whole(Ring),
    /// Why it is not.
    Unclear(String),
}

impl KnownRing {
    /// The ring, if it is known.
    pub fn whole(&self) -> Option<&Ring> {
        match self {
            Self::Whole(ring) => Some(ring),
            Self::Unclear(_) => None,
        }
    }
}

/// Where nodes are reached, by host id; what a person calls them.
pub type Addresses = BTreeMap<Uuid, IpAddr>;

/// Puts the ring together from the nodes whose `system.local` was read and from what these know of the others.
pub(super) fn read_ring(
    nodes: &[&HostInfo],
    source: &mut dyn SystemTables,
) -> Result<(KnownRing, Addresses)> {
    let mut peers = Vec::new();
    for table in PEER_TABLES {
        peers.extend(source.rows(&system_table("system", table)?)?);
    }
    let ring = ring_of(nodes, &peers)?.map_or_else(KnownRing::Unclear, KnownRing::Whole);
    Ok((ring, addresses(nodes, &peers)?))
}

fn addresses(nodes: &[&HostInfo], peers: &[RawRow]) -> Result<Addresses> {
    let mut found = Addresses::new();
    for row in peers {
        let row = Columns { table: "system.peers", row };
        if let (Some(id), Some(address)) = (row.uuid("host_id")?, row.inet("peer")?) {
            found.insert(id, address);
        }
    }
    let own = nodes.iter().filter_map(|node| node.host_id.zip(node.address));
    found.extend(own);
    Ok(found)
}

fn ring_of(nodes: &[&HostInfo], peers: &[RawRow]) -> Result<Result<Ring, String>> {
    let mut members: BTreeMap<Uuid, RingMember> = BTreeMap::new();
    for node in nodes {
        match member("system.local", node) {
            Ok(member) => drop(members.insert(member.host_id, member)),
            Err(why) => return Ok(Err(why)),
        }
    }
    let own: Vec<Uuid> = members.keys().copied().collect();
    for row in peers {
        let row = Columns { table: "system.peers", row };
        let peer = HostInfo {
            host_id: row.uuid("host_id")?,
            data_center: row.text("data_center")?,
            rack: row.text("rack")?,
            tokens: row.texts("tokens")?.unwrap_or_default(),
            ..HostInfo::default()
        };
        // A node says of itself what is so; others may be behind.
        if peer.host_id.is_some_and(|id| own.contains(&id)) {
            continue;
        }
        match member("system.peers", &peer) {
            Ok(member) => match members.get(&member.host_id) {
                Some(known) if *known != member => {
                    return Ok(Err(format!(
                        "system.peers says different things of node {}",
                        member.host_id
                    )));
                }
                _ => drop(members.insert(member.host_id, member)),
            },
            Err(why) => return Ok(Err(why)),
        }
    }
    if members.is_empty() {
        return Ok(Err("there is no system.local".to_owned()));
    }
    Ok(Ring::new(members.into_values().collect()))
}

/// A node with everything that a ring needs of it.
fn member(table: &str, node: &HostInfo) -> Result<RingMember, String> {
    let name = node.host_id.map_or_else(|| "a node".to_owned(), |id| format!("node {id}"));
    let lacks = |what: &str| format!("{table} does not say the {what} of {name}");
    let tokens = node
        .tokens
        .iter()
        .map(|text| match text.parse() {
            Ok(token) => Ok(Token(token)),
            Err(_) => Err(format!("{table}: {text:?} of {name} is no token of Murmur3Partitioner")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if tokens.is_empty() {
        return Err(lacks("tokens"));
    }
    let mut tokens = tokens;
    tokens.sort_unstable();
    tokens.dedup();
    Ok(RingMember {
        host_id: node.host_id.ok_or_else(|| lacks("host id"))?,
        data_center: node.data_center.clone().ok_or_else(|| lacks("data center"))?,
        rack: node.rack.clone().ok_or_else(|| lacks("rack"))?,
        tokens,
    })
}

#[cfg(test)]
mod tests {
    use super::super::raw_row::RawValue;
    use super::*;

    fn node(id: u8, tokens: &[&str]) -> HostInfo {
        HostInfo {
            host_id: Some(Uuid::from_bytes([id; 16])),
            data_center: Some("dc1".into()),
            rack: Some("r1".into()),
            tokens: tokens.iter().map(|t| (*t).to_owned()).collect(),
            ..HostInfo::default()
        }
    }

    fn row(id: u8, tokens: &[&str]) -> RawRow {
        let text = |text: &str| RawValue::Simple(text.as_bytes().to_vec());
        let tokens = tokens.iter().map(|t| (t.as_bytes().to_vec(), Vec::new())).collect();
        RawRow::from([
            ("host_id".to_owned(), RawValue::Simple(vec![id; 16])),
            ("data_center".to_owned(), text("dc1")),
            ("rack".to_owned(), text("r2")),
            ("tokens".to_owned(), RawValue::Elements(tokens)),
        ])
    }

    #[test]
    fn local_and_both_tables_of_peers_make_one_ring() {
        let local = node(1, &["7", "-3"]);
        let peers = [row(2, &["0"]), row(2, &["0"]), row(1, &["99"]), row(3, &["5"])];
        let ring = ring_of(&[&local], &peers).unwrap().unwrap();
        assert_eq!(ring.members().len(), 3);
        // Of itself the node's own word counts.
        assert_eq!(ring.members()[0].tokens, vec![Token(-3), Token(7)]);
        assert_eq!(ring.members()[1].rack, "r2");
    }

    #[test]
    fn what_is_not_complete_is_no_ring() {
        let local = node(1, &["7"]);
        let mut no_rack = row(2, &["0"]);
        no_rack.remove("rack");
        let mut no_id = row(2, &["0"]);
        no_id.remove("host_id");
        for (peers, words) in [
            (vec![row(2, &[])], "does not say the tokens of node 02020202"),
            (vec![no_rack], "does not say the rack"),
            (vec![no_id], "does not say the host id of a node"),
            (vec![row(2, &["x"])], "\"x\""),
            (vec![row(2, &["0"]), row(2, &["1"])], "different things"),
            (vec![row(2, &["7"])], "both have token 7"),
        ] {
            let why = ring_of(&[&local], &peers).unwrap().unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert!(ring_of(&[], &[]).unwrap().is_err());
    }
}
