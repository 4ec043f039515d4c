//! What a store in S3 is told.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// S3's least size of a part that is not the last.
const LEAST_PART: u64 = 5 * MIB;

/// The usual size of a part.
const USUAL_PART: u64 = 16 * MIB;

/// S3's greatest size of a part.
const GREATEST_PART: u64 = 5 << 30;

/// S3's greatest number of parts.
pub(super) const MAX_PARTS: u32 = 10_000;

/// After so many parts the size doubles.
const PARTS_OF_A_SIZE: u32 = 1_000;

/// How objects are stored and reached. Credentials, profile and the rest come by AWS's own chain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct S3Options {
    /// URL of a compatible store; none for AWS.
    pub endpoint: Option<String>,
    /// The bucket stands in the path and not in the host name.
    pub path_style: bool,
    /// Region; none for the one of AWS's chain.
    pub region: Option<String>,
    /// How objects are encrypted.
    pub encryption: Encryption,
    /// Storage class of data files; state and side files, which are read and rewritten, keep the bucket's default.
    pub storage_class: Option<StorageClass>,
    /// Account that must own the bucket.
    pub expected_bucket_owner: Option<String>,
    /// Bytes per second that may be sent.
    pub upload_rate: Option<u64>,
    /// Memory for uploads.
    pub transfer: Transfer,
    /// Patience.
    pub retry: RetryPolicy,
}

/// How objects are encrypted on the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Encryption {
    /// As the bucket says.
    #[default]
    BucketDefault,
    /// SSE-S3.
    Aes256,
    /// SSE-KMS.
    Kms {
        /// Key id, ARN or alias; none for the account's `aws/s3`.
        key_id: Option<String>,
        /// One data key for many objects: fewer requests to KMS. None as the bucket says.
        bucket_key: Option<bool>,
    },
}

/// Storage classes that can be read at once; loaders cannot wait for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageClass {
    /// The usual one.
    Standard,
    /// Infrequent access.
    StandardIa,
    /// Infrequent access, one zone.
    OnezoneIa,
    /// Moved by use.
    IntelligentTiering,
    /// Archive that can be read at once.
    GlacierIr,
}

/// How memory for uploads is divided.
///
/// Each writer gathers one part in a buffer of its own (`part_size`, of two writers per worker: rows and statics). A full
/// part waits for room among the parts in flight (`in_flight`), which needs nothing but time to become free. Objects of
/// more than a thousand parts get larger ones, so that 10,000 suffice; their buffers grow beyond `part_size` only in the
/// one place there is for that (`largest_part`), and whoever has it waits for nothing but parts in flight. So nothing can
/// deadlock, as long as no thread fills two such giants at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Bytes of the first thousand parts.
    pub part_size: u64,
    /// Most bytes of any part.
    pub largest_part: u64,
    /// Bytes of parts that may be under way at a time; one part may be always.
    pub in_flight: u64,
}

impl Transfer {
    /// The division for a program that may allocate `memory` bytes; the same memory gives the same parts.
    pub fn of(memory: u64) -> Self {
        let part_size = (memory / 64 / MIB * MIB).clamp(LEAST_PART, USUAL_PART);
        Self {
            part_size,
            largest_part: (part_size + memory / 16).min(GREATEST_PART),
            in_flight: (memory / 8).max(part_size),
        }
    }

    /// Memory that does not depend on the number of workers.
    pub fn fixed(&self) -> u64 {
        self.in_flight + self.largest_part.saturating_sub(self.part_size)
    }

    /// Memory of one worker: it writes two objects at a time.
    pub fn per_worker(&self) -> u64 {
        2 * self.part_size
    }

    /// Bytes of part `number`, counted from 1.
    pub(super) fn size_of(&self, number: u32) -> u64 {
        let doublings = number.saturating_sub(1) / PARTS_OF_A_SIZE;
        let grown = self.part_size.saturating_mul(1_u64 << doublings.min(20));
        grown.min(self.largest_part.max(self.part_size))
    }
}

impl Default for Transfer {
    fn default() -> Self {
        Self::of(1 << 30)
    }
}

/// How long a request that fails in passing is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts of one request, once the store has answered anything; with the delays below some ten minutes.
    pub attempts: u32,
    /// Attempts while the store has never answered: a wrong endpoint should not take ten minutes to notice.
    pub first_attempts: u32,
    /// Attempts of a body that arrives damaged, or that comes back with another checksum.
    pub damaged_attempts: u32,
    /// The first delay; each is twice the one before it, less up to half of it by chance.
    pub first_delay: Duration,
    /// The longest delay.
    pub longest_delay: Duration,
    /// How long one attempt may take, beside its bytes at [`RetryPolicy::least_rate`].
    pub timeout: Duration,
    /// Bytes per second below which an attempt is given up.
    pub least_rate: u64,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long a body may stand still.
    pub stall: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 40,
            first_attempts: 5,
            damaged_attempts: 5,
            first_delay: Duration::from_millis(200),
            longest_delay: Duration::from_secs(20),
            timeout: Duration::from_secs(60),
            least_rate: 32 << 10,
            connect_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_so_that_ten_thousand_suffice_and_stay_in_the_memory() {
        let usual = Transfer::of(1 << 30);
        assert_eq!(usual.part_size, 16 * MIB);
        assert_eq!((usual.largest_part, usual.in_flight), (80 * MIB, 128 * MIB));
        assert_eq!(usual.size_of(1), 16 * MIB);
        assert_eq!(usual.size_of(1000), 16 * MIB);
        assert_eq!(usual.size_of(1001), 32 * MIB);
        assert_eq!(usual.size_of(2001), 64 * MIB);
        assert_eq!(usual.size_of(3001), 80 * MIB);
        let most: u64 = (1..=MAX_PARTS).map(|number| usual.size_of(number)).sum();
        assert!(most > 600 << 30, "{most}");
        let small = Transfer::of(64 << 20);
        assert_eq!(small.part_size, LEAST_PART);
        assert!(small.fixed() + small.per_worker() < 32 << 20);
        let large = Transfer::of(64 << 40);
        assert_eq!(large.size_of(MAX_PARTS), GREATEST_PART);
        assert!((1..=MAX_PARTS).map(|number| large.size_of(number)).sum::<u64>() > 5 << 40);
    }
}
