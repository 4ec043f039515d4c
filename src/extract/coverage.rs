//! Do the token ranges of all agents make the whole, without gap or overlap?

use std::fmt;

use crate::dht::{Token, TokenRange, joined};

/// A range that an agent is responsible for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The agent's number.
    pub agent: u32,
    /// Its range.
    pub range: TokenRange,
}

/// Why ranges do not make the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverageFault {
    /// No agent has this.
    Gap(TokenRange),
    /// Two agents, or one twice, have this.
    Overlap {
        /// What both have.
        range: TokenRange,
        /// One agent.
        first: u32,
        /// The other.
        second: u32,
    },
    /// An agent has this although nobody was to extract it.
    Outside {
        /// The range, or its part.
        range: TokenRange,
        /// The agent.
        agent: u32,
    },
}

impl fmt::Display for CoverageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |range: &TokenRange| format!("tokens ({}, {}]", range.start, range.end);
        match self {
            Self::Gap(range) => write!(f, "no agent extracted {}", shown(range)),
            Self::Overlap { range, first, second } if first == second => {
                write!(f, "agent {first} extracted {} twice", shown(range))
            }
            Self::Overlap { range, first, second } => {
                write!(f, "agents {first} and {second} both extracted {}", shown(range))
            }
            Self::Outside { range, agent } => {
                write!(f, "agent {agent} extracted {}, which is not part of the run", shown(range))
            }
        }
    }
}

/// Finds the first fault, in token order, of `claims` as a partition of `wanted`.
///
/// Ranges in `wanted` must not overlap each other. Empty ranges (start equal to end) claim nothing.
pub fn check_coverage(wanted: &[TokenRange], claims: &[Claim]) -> Result<(), CoverageFault> {
    let mut wanted: Vec<_> =
        wanted.iter().copied().filter(|range| range.start < range.end).collect();
    wanted.sort_by_key(|range| range.start);
    let mut claims: Vec<_> =
        claims.iter().copied().filter(|claim| claim.range.start < claim.range.end).collect();
    claims.sort_by_key(|claim| (claim.range.start, claim.range.end));
    let mut wanted = joined(&wanted).into_iter();
    let mut previous: Option<Claim> = None;
    let mut target = wanted.next();
    // Up to where the current target is covered.
    let mut covered = target.map_or(Token::MIN, |range| range.start);
    for claim in claims {
        if let Some(previous) = previous
            && claim.range.start < previous.range.end
        {
            let end = claim.range.end.min(previous.range.end);
            let range = TokenRange { start: claim.range.start, end };
            return Err(CoverageFault::Overlap {
                range,
                first: previous.agent,
                second: claim.agent,
            });
        }
        previous = Some(claim);
        let mut left = claim.range;
        while left.start < left.end {
            let Some(current) = target else {
                return Err(CoverageFault::Outside { range: left, agent: claim.agent });
            };
            if left.start < covered {
                let range = TokenRange { start: left.start, end: left.end.min(covered) };
                return Err(CoverageFault::Outside { range, agent: claim.agent });
            }
            if left.start > covered {
                let end = left.start.min(current.end);
                return Err(CoverageFault::Gap(TokenRange { start: covered, end }));
            }
            covered = left.end.min(current.end);
            left.start = covered;
            if covered == current.end {
                target = wanted.next();
                covered = target.map_or(Token::MAX, |range| range.start);
            }
        }
    }
    match target {
        Some(current) => Err(CoverageFault::Gap(TokenRange { start: covered, end: current.end })),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(start: i64, end: i64) -> TokenRange {
        TokenRange { start: Token(start), end: Token(end) }
    }

    fn claims(ranges: &[(u32, i64, i64)]) -> Vec<Claim> {
        ranges
            .iter()
            .map(|(agent, start, end)| Claim { agent: *agent, range: range(*start, *end) })
            .collect()
    }

    #[test]
    fn parts_of_the_ring_that_make_the_whole_are_fine_in_any_order() {
        let parts =
            claims(&[(2, 5, i64::MAX), (1, i64::MIN, -7), (1, 0, 5), (2, -7, 0), (1, 3, 3)]);
        assert_eq!(check_coverage(&[TokenRange::ALL], &parts), Ok(()));
        assert_eq!(check_coverage(&[range(0, 9), range(-9, 0)], &claims(&[(0, -9, 9)])), Ok(()));
        assert_eq!(check_coverage(&[], &[]), Ok(()));
    }

    #[test]
    fn gaps_are_found_at_the_start_in_the_middle_and_at_the_end() {
        let ring = [range(-10, 10)];
        for (parts, gap) in [
            (claims(&[]), range(-10, 10)),
            (claims(&[(0, -9, 10)]), range(-10, -9)),
            (claims(&[(0, -10, 0), (1, 1, 10)]), range(0, 1)),
            (claims(&[(0, -10, 9)]), range(9, 10)),
        ] {
            assert_eq!(check_coverage(&ring, &parts), Err(CoverageFault::Gap(gap)));
        }
        let two = [range(-10, -5), range(5, 10)];
        let fault = check_coverage(&two, &claims(&[(0, -10, -5)]));
        assert_eq!(fault, Err(CoverageFault::Gap(range(5, 10))));
        let fault = check_coverage(&two, &claims(&[(0, -10, -5), (0, 7, 10)]));
        assert_eq!(fault.unwrap_err().to_string(), "no agent extracted tokens (5, 7]");
    }

    #[test]
    fn overlaps_name_both_agents() {
        let ring = [range(-10, 10)];
        for (parts, words) in [
            (
                claims(&[(1, -10, 10), (2, -10, 10)]),
                "agents 1 and 2 both extracted tokens (-10, 10]",
            ),
            (claims(&[(1, -10, 5), (2, 4, 10)]), "agents 1 and 2 both extracted tokens (4, 5]"),
            (claims(&[(1, -10, 10), (2, 4, 6)]), "agents 1 and 2 both extracted tokens (4, 6]"),
            (claims(&[(3, -10, 5), (3, 0, 10)]), "agent 3 extracted tokens (0, 5] twice"),
        ] {
            assert_eq!(check_coverage(&ring, &parts).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn what_was_not_asked_for_is_a_fault_too() {
        let wanted = [range(-10, 0), range(5, 10)];
        for (parts, outside) in [
            (claims(&[(1, -12, 0), (1, 5, 10)]), range(-12, -10)),
            (claims(&[(1, -10, 10)]), range(0, 5)),
            (claims(&[(1, -10, 0), (1, 5, 12)]), range(10, 12)),
        ] {
            let fault = check_coverage(&wanted, &parts);
            assert_eq!(fault, Err(CoverageFault::Outside { range: outside, agent: 1 }));
        }
    }

    proptest! {
        /// Against counting, token by token, who claims it.
        #[test]
        fn the_sweep_agrees_with_counting(
            parts in prop::collection::vec((-12_i64..12, 0_i64..8), 0..6),
            wanted in prop::sample::select(vec![
                vec![(-10_i64, 10_i64)], vec![(-10, -3), (2, 10)], vec![(-10, 0), (0, 3)],
            ]),
        ) {
            let parts: Vec<_> = parts.iter().map(|(start, len)| (0, *start, start + len)).collect();
            let wanted: Vec<_> = wanted.iter().map(|(start, end)| range(*start, *end)).collect();
            let parts = claims(&parts);
            let whole = (-20..=25).all(|token| {
                let token = Token(token);
                let times = parts.iter().filter(|part| part.range.contains(token)).count();
                times == usize::from(wanted.iter().any(|range| range.contains(token)))
            });
            prop_assert_eq!(check_coverage(&wanted, &parts).is_ok(), whole);
        }
    }
}
