//! The ring: which node holds which tokens (`TokenMetadata`, `AbstractReplicationStrategy.calculateNaturalReplicas`).

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::replication::Replication;
use super::token::{Token, TokenRange};

/// A node of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingMember {
    /// Host id.
    pub host_id: Uuid,
    /// Data center.
    pub data_center: String,
    /// Rack.
    pub rack: String,
    /// Its tokens.
    pub tokens: Vec<Token>,
}

/// All nodes and their tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// In order of host ids.
    members: Vec<RingMember>,
    /// Tokens in order, each with its member.
    points: Vec<(Token, usize)>,
}

impl Ring {
    /// A ring of `members`. Two of one host id, or with one token in common, are an error in words; so is a member without
    /// tokens.
    pub fn new(mut members: Vec<RingMember>) -> Result<Self, String> {
        members.sort_by_key(|member| member.host_id);
        let mut owners = BTreeMap::new();
        let mut known = BTreeSet::new();
        for (i, member) in members.iter().enumerate() {
            if !known.insert(member.host_id) {
                return Err(format!("node {} is there twice", member.host_id));
            }
            if member.tokens.is_empty() {
                return Err(format!("node {} has no tokens", member.host_id));
            }
            for &token in &member.tokens {
                if let Some(other) = owners.insert(token, i)
                    && other != i
                {
                    let other = members.get(other).map_or(Uuid::nil(), |other| other.host_id);
                    return Err(format!(
                        "nodes {other} and {} both have token {token}",
                        member.host_id
                    ));
                }
            }
        }
        Ok(Self { members, points: owners.into_iter().collect() })
    }

    /// The nodes in order of their host ids.
    pub fn members(&self) -> &[RingMember] {
        &self.members
    }

    /// The place of a node among [`Ring::members`].
    pub fn place(&self, host_id: Uuid) -> Option<usize> {
        self.members.iter().position(|member| member.host_id == host_id)
    }

    /// The nodes met when walking the ring from point `start` on, each once.
    fn walk(&self, start: usize) -> impl Iterator<Item = usize> {
        let (before, from) = self.points.split_at_checked(start).unwrap_or((&[], &[]));
        let mut seen = vec![false; self.members.len()];
        from.iter().chain(before).map(|&(_, member)| member).filter(move |&member| {
            seen.get_mut(member).is_some_and(|seen| !std::mem::replace(seen, true))
        })
    }

    /// The replicas of the range that ends at point `start`, the primary first.
    fn replicas(&self, start: usize, replication: &Replication) -> Vec<usize> {
        match replication {
            Replication::Simple(factor) => self.walk(start).take(count(*factor)).collect(),
            Replication::Everywhere => self.walk(start).collect(),
            Replication::Local => Vec::new(),
            Replication::NetworkTopology(factors) => self.topology_replicas(start, factors),
        }
    }

    /// `NetworkTopologyStrategy`: of each data center its number, racks spread as far as they go.
    fn topology_replicas(&self, start: usize, factors: &BTreeMap<String, u32>) -> Vec<usize> {
        struct Wanted<'a> {
            left: usize,
            repeats: usize,
            racks: BTreeSet<&'a str>,
        }
        let mut wanted: BTreeMap<&str, Wanted<'_>> = BTreeMap::new();
        for (name, &factor) in factors {
            let nodes = || self.members.iter().filter(|member| member.data_center == *name);
            let racks = nodes().map(|member| member.rack.as_str()).collect::<BTreeSet<_>>().len();
            let left = count(factor).min(nodes().count());
            let repeats = count(factor).saturating_sub(racks);
            wanted.insert(name, Wanted { left, repeats, racks: BTreeSet::new() });
        }
        let mut replicas = Vec::new();
        for place in self.walk(start) {
            let Some(member) = self.members.get(place) else { continue };
            let Some(wanted) = wanted.get_mut(member.data_center.as_str()) else { continue };
            if wanted.left == 0 {
                continue;
            }
            if !wanted.racks.insert(&member.rack) {
                if wanted.repeats == 0 {
                    continue;
                }
                wanted.repeats -= 1;
            }
            wanted.left -= 1;
            replicas.push(place);
        }
        replicas
    }

    /// The ranges of which `chosen`, given their replicas, is true; in token order, joined where they touch.
    fn ranges_where(
        &self,
        mut chosen: impl FnMut(usize) -> Result<bool, String>,
    ) -> Result<Vec<TokenRange>, String> {
        let mut ranges = Vec::new();
        let last = self.points.last().map_or(Token::MAX, |&(token, _)| token);
        let mut start = Token::MIN;
        for (i, &(end, _)) in self.points.iter().enumerate() {
            if chosen(i)? {
                ranges.push(TokenRange { start, end });
                if i == 0 {
                    // It wraps around: the other end of the ring belongs to it too.
                    ranges.push(TokenRange { start: last, end: Token::MAX });
                }
            }
            start = end;
        }
        ranges.retain(|range| range.start < range.end);
        ranges.sort_by_key(|range| range.start);
        Ok(joined(&ranges))
    }

    /// The ranges that `node` (its place) is a replica of.
    pub fn replica_ranges(&self, node: usize, replication: &Replication) -> Vec<TokenRange> {
        self.ranges_where(|i| Ok(self.replicas(i, replication).contains(&node))).unwrap_or_default()
    }

    /// The ranges of which `node` is the first replica in its own data center, so that the nodes of that center together
    /// have each token once (`getPrimaryRangeForEndpointWithinDC`). The error says why there is no such division.
    pub fn primary_ranges(
        &self,
        node: usize,
        replication: &Replication,
    ) -> Result<Vec<TokenRange>, String> {
        let Some(me) = self.members.get(node) else { return Ok(Vec::new()) };
        if *replication == Replication::Local {
            return Err("each node has rows of its own (LocalStrategy)".to_owned());
        }
        self.ranges_where(|i| {
            let here = |&place: &usize| {
                self.members.get(place).is_some_and(|member| member.data_center == me.data_center)
            };
            match self.replicas(i, replication).into_iter().find(here) {
                Some(first) => Ok(first == node),
                None => Err(format!(
                    "data center {} does not hold all of it: no replica there of the tokens up to {}",
                    me.data_center,
                    self.points.get(i).map_or(Token::MAX, |&(token, _)| token)
                )),
            }
        })
    }
}

fn count(factor: u32) -> usize {
    usize::try_from(factor).unwrap_or(usize::MAX)
}

/// Ranges in token order, made one where they touch or overlap.
pub fn joined(sorted: &[TokenRange]) -> Vec<TokenRange> {
    let mut joined: Vec<TokenRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => joined.push(*range),
        }
    }
    joined
}

/// What two lists of ranges, each in token order and without overlap, have in common.
pub fn common(one: &[TokenRange], other: &[TokenRange]) -> Vec<TokenRange> {
    let mut both = Vec::new();
    for a in one {
        for b in other {
            let range = TokenRange { start: a.start.max(b.start), end: a.end.min(b.end) };
            if range.start < range.end {
                both.push(range);
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(id: u8, data_center: &str, rack: &str, tokens: &[i64]) -> RingMember {
        RingMember {
            host_id: Uuid::from_bytes([id; 16]),
            data_center: data_center.to_owned(),
            rack: rack.to_owned(),
            tokens: tokens.iter().copied().map(Token).collect(),
        }
    }

    fn topology(factors: &[(&str, u32)]) -> Replication {
        Replication::NetworkTopology(factors.iter().map(|(dc, n)| ((*dc).to_owned(), *n)).collect())
    }

    fn range(start: i64, end: i64) -> TokenRange {
        TokenRange { start: Token(start), end: Token(end) }
    }

    #[test]
    fn one_node_has_it_all_whatever_its_tokens() {
        for tokens in [&[5][..], &[i64::MIN], &[i64::MAX], &[-7, 0, 9], &[i64::MIN, i64::MAX]] {
            let ring = Ring::new(vec![member(1, "dc1", "r1", tokens)]).unwrap();
            for replication in
                [Replication::Simple(3), topology(&[("dc1", 1)]), Replication::Everywhere]
            {
                assert_eq!(ring.primary_ranges(0, &replication), Ok(vec![TokenRange::ALL]));
                assert_eq!(ring.replica_ranges(0, &replication), vec![TokenRange::ALL]);
            }
        }
    }

    #[test]
    fn the_first_range_wraps_around() {
        let ring =
            Ring::new(vec![member(1, "dc1", "r1", &[-10]), member(2, "dc1", "r1", &[10])]).unwrap();
        let one = Replication::Simple(1);
        let outer = vec![range(i64::MIN, -10), range(10, i64::MAX)];
        assert_eq!(ring.primary_ranges(0, &one), Ok(outer.clone()));
        assert_eq!(ring.replica_ranges(0, &one), outer);
        assert_eq!(ring.primary_ranges(1, &one), Ok(vec![range(-10, 10)]));
        assert_eq!(ring.replica_ranges(1, &Replication::Simple(2)), vec![TokenRange::ALL]);
    }

    /// The example of `NetworkTopologyStrategy`: racks are spread first, and repeated only as far as there are too few.
    #[test]
    fn racks_are_spread_before_they_are_repeated() {
        let ring = Ring::new(vec![
            member(1, "dc1", "r1", &[0]),
            member(2, "dc1", "r1", &[10]),
            member(3, "dc1", "r1", &[20]),
            member(4, "dc1", "r2", &[30]),
            member(5, "dc2", "r1", &[5]),
        ])
        .unwrap();
        // Points: 0, 5, 10, 20, 30.
        assert_eq!(ring.replicas(0, &topology(&[("dc1", 2)])), vec![0, 3]);
        assert_eq!(ring.replicas(0, &topology(&[("dc1", 3)])), vec![0, 1, 3]);
        assert_eq!(ring.replicas(1, &topology(&[("dc1", 2), ("dc2", 3)])), vec![4, 1, 3]);
        assert_eq!(ring.replicas(0, &topology(&[("dc1", 9)])), vec![0, 1, 2, 3]);
        assert_eq!(ring.replicas(0, &topology(&[("dc1", 0), ("dc3", 1)])), Vec::<usize>::new());
        assert_eq!(ring.replicas(1, &Replication::Simple(2)), vec![4, 1]);
    }

    #[test]
    fn a_center_that_does_not_hold_everything_cannot_be_divided() {
        let ring =
            Ring::new(vec![member(1, "dc1", "r1", &[0]), member(2, "dc2", "r1", &[10])]).unwrap();
        let error = ring.primary_ranges(0, &Replication::Simple(1)).unwrap_err();
        assert!(error.contains("data center dc1") && error.contains("up to 10"), "{error}");
        assert!(ring.primary_ranges(0, &topology(&[("dc2", 1)])).is_err());
        assert_eq!(ring.primary_ranges(0, &topology(&[("dc1", 1)])), Ok(vec![TokenRange::ALL]));
        assert_eq!(ring.primary_ranges(0, &Replication::Simple(2)), Ok(vec![TokenRange::ALL]));
        assert!(ring.primary_ranges(0, &Replication::Local).is_err());
    }

    #[test]
    fn rings_that_cannot_be_are_refused() {
        for (members, words) in [
            (vec![member(1, "d", "r", &[1]), member(2, "d", "r", &[1])], "both have token 1"),
            (vec![member(1, "d", "r", &[1]), member(1, "d", "r", &[2])], "twice"),
            (vec![member(1, "d", "r", &[])], "no tokens"),
        ] {
            let error = Ring::new(members).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        /// Every token has exactly one primary in each data center, and as many replicas as the strategy says.
        #[test]
        fn primaries_divide_the_ring_and_replicas_have_their_number(
            nodes in prop::collection::vec((0_u8..2, 0_u8..3, prop::collection::btree_set(-1000_i64..1000, 1..5)), 1..9),
            factors in (1_u32..4, 1_u32..4),
            simple in any::<bool>(),
            probes in prop::collection::vec(-1100_i64..1100, 20),
        ) {
            let mut used = BTreeSet::new();
            let mut members = Vec::new();
            for (i, (dc, rack, tokens)) in (1_u8..).zip(&nodes) {
                let tokens: Vec<i64> = tokens.iter().copied().filter(|t| used.insert(*t)).collect();
                if !tokens.is_empty() {
                    members.push(member(i, &format!("dc{dc}"), &format!("r{rack}"), &tokens));
                }
            }
            let ring = Ring::new(members).unwrap();
            let of_dc = |dc: &str| ring.members().iter().filter(|m| m.data_center == dc).count();
            let replication = if simple {
                Replication::Simple(factors.0)
            } else {
                topology(&[("dc0", factors.0), ("dc1", factors.1)])
            };
            let expected = if simple {
                count(factors.0).min(ring.members().len())
            } else {
                count(factors.0).min(of_dc("dc0")) + count(factors.1).min(of_dc("dc1"))
            };
            for &probe in &probes {
                let holding = |ranges: &[TokenRange]| ranges.iter().filter(|r| r.contains(Token(probe))).count();
                let replicas: usize =
                    (0..ring.members().len()).map(|n| holding(&ring.replica_ranges(n, &replication))).sum();
                prop_assert_eq!(replicas, expected);
                for dc in ["dc0", "dc1"] {
                    let nodes = (0..ring.members().len()).filter(|&n| ring.members()[n].data_center == dc);
                    let parts: Result<Vec<_>, _> =
                        nodes.map(|n| ring.primary_ranges(n, &replication)).collect();
                    if let Ok(parts) = parts {
                        let once: usize = parts.iter().map(|ranges| holding(ranges)).sum();
                        prop_assert_eq!(once, usize::from(!parts.is_empty()));
                    } else {
                        prop_assert!(simple);
                    }
                }
            }
        }
    }
}
