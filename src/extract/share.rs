//! Which part of the ring an agent does, and which number it has.

use crate::dht::{Replication, Ring, Token, TokenRange, common};
use crate::discover::{KnownRing, Source};
use crate::error::{Error, Result};
use crate::output::names::MAX_AGENT;

/// Which of the tokens found are this agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ownership {
    /// All.
    #[default]
    All,
    /// Those of which the node is a replica.
    Replica,
    /// Those of which the node is the first replica in its own data center.
    Primary,
}

impl Ownership {
    /// As options and `run.json` spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Replica => "replica",
            Self::Primary => "primary",
        }
    }
}

/// One of several equal parts of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// How many there are; at least 1.
    pub count: u32,
}

impl Shard {
    /// Its tokens: the ring of 2^64 tokens cut into equal parts.
    fn range(self) -> TokenRange {
        let border = |i: u32| {
            let tokens = (i128::from(i) << 64) / i128::from(self.count.max(1));
            let token = i128::from(i64::MIN) + tokens;
            Token(i64::try_from(token).unwrap_or(i64::MAX))
        };
        TokenRange { start: border(self.index), end: border(self.index.saturating_add(1)) }
    }
}

/// What the user says of an agent's share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShareOptions {
    /// By owner.
    pub ownership: Ownership,
    /// By equal parts.
    pub shard: Option<Shard>,
    /// Only these tokens, in order and without overlap; empty for all.
    pub token_ranges: Vec<TokenRange>,
    /// The agent's number, if not the usual one.
    pub agent: Option<u32>,
}

/// An agent's share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    /// Its number.
    pub agent: u32,
    /// How many agents make the whole.
    pub agents: u32,
    /// By owner.
    pub ownership: Ownership,
    /// What all agents together are to extract, in token order.
    pub wanted: Vec<TokenRange>,
    shard: Option<Shard>,
    /// Its ring and place in it, where owners matter.
    owner: Option<(Ring, usize)>,
}

impl Share {
    /// Settles the share of the node that `source` is of.
    pub(crate) fn settle(options: &ShareOptions, source: &Source) -> Result<Self> {
        let wanted = match options.token_ranges.as_slice() {
            [] => vec![TokenRange::ALL],
            given => given.to_vec(),
        };
        let owner = match options.ownership {
            Ownership::All => None,
            ownership => Some(place_in_ring(ownership, source)?),
        };
        let (number, agents) = match (&owner, options.shard, options.ownership) {
            (Some((ring, place)), _, Ownership::Primary) => {
                let center = ring.members().get(*place).map(|member| &member.data_center);
                let beside = ring.members().iter().filter(|m| Some(&m.data_center) == center);
                (*place, beside.count())
            }
            (_, Some(Shard { index, count }), _) => (whole(index), whole(count)),
            _ => (0, 1),
        };
        let limit = |number: usize| {
            u32::try_from(number).ok().filter(|&number| number <= MAX_AGENT).ok_or_else(|| {
                Error::usage(format!(
                    "the ring has more than {MAX_AGENT} nodes; --agent numbers them by hand"
                ))
            })
        };
        let agent = match options.agent {
            Some(agent) => agent,
            None => limit(number)?,
        };
        Ok(Self {
            agent,
            agents: limit(agents)?,
            ownership: options.ownership,
            wanted,
            shard: options.shard,
            owner,
        })
    }

    /// The share of an agent that does all, under a number.
    #[cfg(test)]
    pub(crate) fn of_number(agent: u32) -> Self {
        Self {
            agent,
            agents: 1,
            ownership: Ownership::All,
            wanted: vec![TokenRange::ALL],
            shard: None,
            owner: None,
        }
    }

    /// The tokens of a keyspace that this agent extracts, in order.
    pub(crate) fn ranges(&self, source: &Source, keyspace: &str) -> Result<Vec<TokenRange>> {
        let mut ranges = self.wanted.clone();
        if let Some(shard) = self.shard {
            ranges = common(&ranges, &[shard.range()]);
        }
        let Some((ring, place)) = &self.owner else { return Ok(ranges) };
        let refused = |why: String| Error::Usage {
            what: format!("--ownership {}: keyspace {keyspace}: {why}", self.ownership.as_str()),
            hint: Some("leave it out with --exclude, or use --ownership all".into()),
        };
        let found = source.schema.keyspaces.get(keyspace).map(|k| &k.replication);
        let replication = found
            .filter(|options| !options.is_empty())
            .ok_or_else(|| "its replication is not known here".to_owned())
            .and_then(Replication::from_options)
            .map_err(refused)?;
        let owned = match self.ownership {
            Ownership::Primary => ring.primary_ranges(*place, &replication).map_err(refused)?,
            Ownership::Replica | Ownership::All if replication == Replication::Local => {
                vec![TokenRange::ALL]
            }
            Ownership::Replica | Ownership::All => ring.replica_ranges(*place, &replication),
        };
        Ok(common(&ranges, &owned))
    }
}

fn whole(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The ring, and the place in it of the one node that is read.
fn place_in_ring(ownership: Ownership, source: &Source) -> Result<(Ring, usize)> {
    let refused = |why: String, hint: &str| Error::Missing {
        what: format!("--ownership {}: {why}", ownership.as_str()),
        hint: Some(hint.to_owned()),
    };
    let id = match source.nodes.as_slice() {
        [node] => node.host.as_ref().and_then(|host| host.host_id),
        _ => {
            return Err(Error::Usage {
                what: format!(
                    "--ownership {} is of one node, several are given",
                    ownership.as_str()
                ),
                hint: Some("--shard divides the work on the directories of several nodes".into()),
            });
        }
    };
    let Some(id) = id else {
        return Err(refused(
            "who this node is cannot be told without its system.local".to_owned(),
            "give the whole data directory, with keyspace system",
        ));
    };
    match &source.ring {
        KnownRing::Whole(ring) => match ring.place(id) {
            Some(place) => Ok((ring.clone(), place)),
            None => Err(Error::Bug(format!("node {id} is not in its own ring"))),
        },
        KnownRing::Unclear(why) => Err(refused(
            format!("the ring is not known: {why}"),
            "what a node knows of others may only be in its commit log: run nodetool flush system (or drain) before the copy is made, or give all nodes' directories with --nodes-file",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_join_and_cover_the_ring() {
        for count in [1, 2, 3, 7, 4096] {
            let ranges: Vec<_> = (0..count).map(|index| Shard { index, count }.range()).collect();
            assert_eq!(ranges[0].start, Token::MIN);
            assert_eq!(ranges[ranges.len() - 1].end, Token::MAX);
            for pair in ranges.windows(2) {
                assert_eq!(pair[0].end, pair[1].start);
                let tokens =
                    |range: &TokenRange| i128::from(range.end.0) - i128::from(range.start.0);
                assert!((tokens(&pair[0]) - tokens(&pair[1])).abs() <= 1);
            }
        }
        assert_eq!(Shard { index: 1, count: 2 }.range().start, Token(0));
    }
}
