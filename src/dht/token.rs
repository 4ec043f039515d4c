//! Tokens and intervals of them.

use std::fmt;

/// A token of Murmur3Partitioner, or the place that [`super::Partitioner::token`] gives a key of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub i64);

impl Token {
    /// The least token (`Murmur3Partitioner.MINIMUM`); only the empty key has it.
    pub const MIN: Self = Self(i64::MIN);
    /// The greatest.
    pub const MAX: Self = Self(i64::MAX);
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An interval of tokens, not wrapping: `start` exclusive, `end` inclusive, as Cassandra's `Range`.
///
/// The one key with the least token (the empty key) belongs to the interval that starts at [`Token::MIN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRange {
    /// Exclusive.
    pub start: Token,
    /// Inclusive.
    pub end: Token,
}

impl TokenRange {
    /// All tokens.
    pub const ALL: Self = Self { start: Token::MIN, end: Token::MAX };

    /// True if `token` lies in it.
    pub fn contains(&self, token: Token) -> bool {
        (token > self.start || token == Token::MIN && self.start == Token::MIN) && token <= self.end
    }
}
