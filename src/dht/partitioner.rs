//! Partitioners: in which order partitions stand in Data.db and in the index, and where in the ring.

use std::cmp::Ordering;

use md5::{Digest, Md5};

use super::{Token, murmur3_token};
use crate::cql::{CqlType, compare_values};

/// A partitioner by its class (`IPartitioner`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioner {
    /// `Murmur3Partitioner`, the default since 1.2.
    Murmur3,
    /// `RandomPartitioner`.
    Random,
    /// `ByteOrderedPartitioner`.
    ByteOrdered,
    /// `LocalPartitioner`: ordered by the type of the key, none where it is not known; the batch log and index tables.
    Local(Option<CqlType>),
    /// Another class, whose order is not known.
    Other(String),
}

impl Partitioner {
    /// The partitioner of this class, with or without its package.
    pub fn from_class(class: &str) -> Self {
        match class.rsplit('.').next().unwrap_or(class) {
            "Murmur3Partitioner" => Self::Murmur3,
            "RandomPartitioner" => Self::Random,
            "ByteOrderedPartitioner" => Self::ByteOrdered,
            "LocalPartitioner" => Self::Local(None),
            _ => Self::Other(class.to_owned()),
        }
    }

    /// Name of the class without its package.
    pub fn name(&self) -> &str {
        match self {
            Self::Murmur3 => "Murmur3Partitioner",
            Self::Random => "RandomPartitioner",
            Self::ByteOrdered => "ByteOrderedPartitioner",
            Self::Local(_) => "LocalPartitioner",
            Self::Other(class) => class.rsplit('.').next().unwrap_or(class),
        }
    }

    /// This partitioner for a table whose partition key has columns of these types.
    pub fn of_key(&self, types: impl IntoIterator<Item = CqlType>) -> Self {
        match self {
            Self::Local(_) => {
                let types: Vec<CqlType> = types.into_iter().collect();
                Self::Local(match types.as_slice() {
                    [] => None,
                    [one] => Some(one.clone()),
                    // Keys of several columns are composites.
                    _ => Some(CqlType::Composite(types)),
                })
            }
            other => other.clone(),
        }
    }

    /// True if partitions stand in the order of [`Partitioner::token`], so that a table can be divided by tokens.
    pub fn has_token_order(&self) -> bool {
        match self {
            Self::Murmur3 | Self::Random | Self::ByteOrdered => true,
            Self::Local(of_key) => of_key.is_some(),
            Self::Other(_) => false,
        }
    }

    /// The place of a key in the ring, as 64 bits that have the order of the partitioner's tokens: of RandomPartitioner the upper
    /// 64 of 127 bits, of ByteOrderedPartitioner the first 8 bytes. Keys that share one are ordered by their bytes. Of the others all
    /// keys have the same token; those of LocalPartitioner are ordered by [`Partitioner::compare`].
    pub fn token(&self, key: &[u8]) -> Token {
        match self {
            Self::Murmur3 => murmur3_token(key),
            // `RandomPartitioner.MINIMUM`
            Self::Random if key.is_empty() => Token::MIN,
            Self::Random => upper_bits(random_token(key)),
            Self::ByteOrdered => first_bytes(key),
            Self::Local(_) | Self::Other(_) => Token(0),
        }
    }

    /// The place of a token as `system.local` writes it (`Token.TokenFactory.toString`): decimal, of ByteOrderedPartitioner hex
    /// digits. None if it is none, or cannot be told from others by 64 bits.
    pub fn parse_token(&self, text: &str) -> Option<Token> {
        match self {
            Self::Murmur3 => text.parse().ok().map(Token),
            Self::Random => {
                let token: u128 = text.parse().ok()?;
                (token <= 1 << RANDOM_BITS).then(|| upper_bits(token))
            }
            Self::ByteOrdered => {
                let is_hex = text.len() <= 16 && text.len().is_multiple_of(2);
                let digits = is_hex && text.bytes().all(|b| b.is_ascii_hexdigit());
                // Empty bytes are less than every key, as the first is.
                let padded = format!("{text:0<16}");
                let number = u64::from_str_radix(&padded, 16).ok().filter(|_| digits)?;
                Some(in_order(number))
            }
            Self::Local(_) | Self::Other(_) => None,
        }
    }

    /// The order of two partition keys: by token (of LocalPartitioner by type), then by unsigned bytes. None where it is not
    /// known.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Option<Ordering> {
        match self {
            Self::Murmur3 => Some((murmur3_token(a), a).cmp(&(murmur3_token(b), b))),
            Self::Random => Some((random_token(a), a).cmp(&(random_token(b), b))),
            Self::ByteOrdered => Some(a.cmp(b)),
            Self::Local(of_key) => {
                of_key.as_ref().map(|of_key| compare_values(of_key, a, b).then_with(|| a.cmp(b)))
            }
            Self::Other(_) => None,
        }
    }
}

/// Tokens of RandomPartitioner are at most 2^127.
const RANDOM_BITS: u32 = 127;

/// The number among signed ones that it is among unsigned ones.
fn in_order(number: u64) -> Token {
    Token((number ^ (1 << 63)).cast_signed())
}

fn upper_bits(token: u128) -> Token {
    in_order(u64::try_from(token >> (RANDOM_BITS - u64::BITS)).unwrap_or(u64::MAX))
}

fn first_bytes(key: &[u8]) -> Token {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(key) {
        *to = *from;
    }
    in_order(u64::from_be_bytes(bytes))
}

/// `RandomPartitioner.getToken`: absolute value of the MD5 as a signed number.
fn random_token(key: &[u8]) -> u128 {
    i128::from_be_bytes(Md5::digest(key).into()).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_order_of_the_partitioner() {
        let keys: Vec<Vec<u8>> = (0..2000_u32)
            .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[..(i % 5) as usize].to_vec())
            .chain([b"long enough to share".to_vec(), b"long enough to differ".to_vec()])
            .collect();
        for partitioner in [Partitioner::Murmur3, Partitioner::Random, Partitioner::ByteOrdered] {
            for pair in keys.windows(2) {
                let [a, b] = pair else { continue };
                let by_token = (partitioner.token(a), a).cmp(&(partitioner.token(b), b));
                let empty = a.is_empty() || b.is_empty();
                assert!(
                    empty || Some(by_token) == partitioner.compare(a, b),
                    "{partitioner:?} {a:?} {b:?}"
                );
            }
            assert_eq!(partitioner.token(b""), Token::MIN, "{partitioner:?}");
        }
        assert_eq!(Partitioner::Local(None).token(b"x"), Token(0));
    }

    #[test]
    fn tokens_are_read_as_cassandra_writes_them() {
        let random = Partitioner::Random;
        assert_eq!(random.parse_token("0"), Some(Token::MIN));
        assert_eq!(random.parse_token("170141183460469231731687303715884105728"), Some(Token::MAX));
        assert_eq!(
            random.parse_token("80325066489831061459460196859901989661"),
            Some(random.token(b"key"))
        );
        assert_eq!(random.parse_token("-1"), None);
        assert_eq!(random.parse_token("170141183460469231731687303715884105729"), None);
        let bytes = Partitioner::ByteOrdered;
        assert_eq!(bytes.parse_token("6b6579"), Some(bytes.token(b"key")));
        assert_eq!(bytes.parse_token(""), Some(Token::MIN));
        for wrong in ["6b657", "xx", "+b", "6b65796b65796b65796b"] {
            assert_eq!(bytes.parse_token(wrong), None, "{wrong}");
        }
        assert_eq!(Partitioner::Murmur3.parse_token("-7"), Some(Token(-7)));
        assert_eq!(Partitioner::Local(Some(CqlType::Int)).parse_token("7"), None);
    }

    #[test]
    fn orders_are_those_of_cassandra() {
        assert_eq!(random_token(b"key"), 80_325_066_489_831_061_459_460_196_859_901_989_661);
        // A digest with its first bit set.
        assert_eq!(random_token(b"b"), 144_992_942_750_327_304_334_463_589_818_972_416_113);
        let by = |class: &str, a: &[u8], b: &[u8]| Partitioner::from_class(class).compare(a, b);
        assert_eq!(
            by("org.apache.cassandra.dht.ByteOrderedPartitioner", b"a", b"\xff"),
            Some(Ordering::Less)
        );
        // -4442228696663692417 and -6847573755651342660.
        assert_eq!(by("Murmur3Partitioner", b"\xff", b"key"), Some(Ordering::Greater));
        assert_eq!(by("Murmur3Partitioner", b"", b"key"), Some(Ordering::Less));
        assert_eq!(by("RandomPartitioner", b"key", b"key"), Some(Ordering::Equal));
        assert_eq!(by("LocalPartitioner", b"a", b"b"), None);
        assert_eq!(by("com.example.Mine", b"a", b"b"), None);
    }

    #[test]
    fn local_partitions_have_the_order_of_the_type_of_their_key() {
        let local = Partitioner::from_class("org.apache.cassandra.dht.LocalPartitioner");
        assert!(!local.has_token_order());
        let of_int = local.of_key([CqlType::Int]);
        assert!(of_int.has_token_order() && of_int.token(b"\0\0\0\x01") == of_int.token(b""));
        let less = Some(Ordering::Less);
        assert_eq!(of_int.compare(&(-1_i32).to_be_bytes(), &1_i32.to_be_bytes()), less);
        let of_two = local.of_key([CqlType::Int, CqlType::Text]);
        let key = |number: i32, text: &str| {
            let len = u8::try_from(text.len()).unwrap();
            [&[0, 4][..], &number.to_be_bytes(), &[0, 0, len], text.as_bytes(), &[0]].concat()
        };
        assert_eq!(of_two.compare(&key(-1, "z"), &key(1, "a")), less);
        assert_eq!(of_two.compare(&key(1, "a"), &key(1, "b")), less);
        assert_eq!(of_two.compare(&key(1, "a"), &key(1, "a")), Some(Ordering::Equal));
        assert_eq!(of_two.compare(&key(1, "a")[..6], &key(1, "a")), less);
        // Equal as numbers, and not the same keys.
        let of_decimal = local.of_key([CqlType::Decimal]);
        assert_eq!(of_decimal.compare(&[0, 0, 0, 0, 1], &[0, 0, 0, 1, 10]), less);
        assert_eq!(Partitioner::Murmur3.of_key([CqlType::Int]), Partitioner::Murmur3);
    }
}
