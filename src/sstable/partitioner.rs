//! Partitioners: in which order partitions stand in Data.db and Index.db.

use std::cmp::Ordering;

use md5::{Digest, Md5};

use crate::dht::murmur3_token;

/// A partitioner by its class (`IPartitioner`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioner {
    /// `Murmur3Partitioner`, the default since 1.2.
    Murmur3,
    /// `RandomPartitioner`.
    Random,
    /// `ByteOrderedPartitioner`.
    ByteOrdered,
    /// `LocalPartitioner`: ordered by a type; system tables and index tables.
    Local,
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
            "LocalPartitioner" => Self::Local,
            _ => Self::Other(class.to_owned()),
        }
    }

    /// Name of the class without its package.
    pub fn name(&self) -> &str {
        match self {
            Self::Murmur3 => "Murmur3Partitioner",
            Self::Random => "RandomPartitioner",
            Self::ByteOrdered => "ByteOrderedPartitioner",
            Self::Local => "LocalPartitioner",
            Self::Other(class) => class.rsplit('.').next().unwrap_or(class),
        }
    }

    /// The order of two partition keys: by token, then by unsigned bytes. None where it is not known.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Option<Ordering> {
        match self {
            Self::Murmur3 => Some((murmur3_token(a), a).cmp(&(murmur3_token(b), b))),
            Self::Random => Some((random_token(a), a).cmp(&(random_token(b), b))),
            Self::ByteOrdered => Some(a.cmp(b)),
            Self::Local | Self::Other(_) => None,
        }
    }
}

/// `RandomPartitioner.getToken`: absolute value of the MD5 as a signed number.
fn random_token(key: &[u8]) -> u128 {
    i128::from_be_bytes(Md5::digest(key).into()).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
