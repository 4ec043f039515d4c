//! Filter.db: a Bloom filter over the partition keys (`BloomFilter`, `OffHeapBitSet`).
//!
//! ```text
//! i32 k        number of hashes
//! i32 n        number of longs
//! n × 8 bytes  bits
//! ```
//! Bit `i` is bit `i & 7` of byte `i >> 3`; up to `me` the eight bytes of each long stand in reverse order. Bits
//! are `base + j × increment` with the halves of the key's hash, the first as increment; in 2.x the other way round. The file is not
//! read on opening: a filter of a hundred million keys has more than a hundred megabytes.

use crate::dht::murmur3_128;
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile, ReadMode};
use crate::sstable::{Component, Descriptor, Version};

const HEADER_LEN: u64 = 8;
/// Cassandra uses at most 20 (`BloomCalculations.probs`).
const MAX_HASHES: u32 = 64;

/// An open Filter.db.
#[derive(Debug)]
pub struct Filter {
    file: InputFile,
    version: Version,
    hash_count: u32,
    bit_count: i64,
}

impl Filter {
    /// Opens Filter.db of `descriptor`; `None` if there is none, as with `bloom_filter_fp_chance = 1`.
    pub fn open(descriptor: &Descriptor, mode: ReadMode) -> Result<Option<Self>> {
        let file = match InputFile::open(&descriptor.path(Component::Filter), mode) {
            Ok(file) => file,
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut buf = Vec::new();
        let len = usize::try_from(file.len().min(HEADER_LEN)).unwrap_or_default();
        let header = file.slice(0, len, &mut buf)?.unwrap_or_default();
        let (hash_count, bit_count) =
            read_header(header, file.len()).map_err(|e| e.in_file(file.path()))?;
        Ok(Some(Self { file, version: descriptor.version, hash_count, bit_count }))
    }

    /// False if the SSTable has no partition with this key.
    pub fn may_contain(&self, key: &[u8]) -> Result<bool> {
        let old = self.version.has_old_bloom_filter_order();
        let hash = murmur3_128(key);
        if self.version.has_old_bloom_filter_hash() {
            // Files of 3.0's development have either hash.
            return Ok(self.all_set((hash.1, hash.0), old)? || self.all_set(hash, old)?);
        }
        if self.all_set(hash, old)? {
            return Ok(true);
        }
        // Files of 4.0's development have either order.
        Ok(self.version.has_development_variants() && self.all_set(hash, !old)?)
    }

    fn all_set(&self, (increment, base): (u64, u64), old_order: bool) -> Result<bool> {
        let mut base = base.cast_signed();
        let mut buf = Vec::new();
        for _ in 0..self.hash_count {
            let bit = (base % self.bit_count).unsigned_abs();
            base = base.wrapping_add(increment.cast_signed());
            let byte = bit >> 3;
            let byte = if old_order { byte ^ 7 } else { byte };
            let read = self.file.slice(HEADER_LEN + byte, 1, &mut buf)?;
            let set = read.and_then(<[u8]>::first).is_some_and(|byte| (byte >> (bit & 7)) & 1 == 1);
            if !set {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn read_header(bytes: &[u8], file_len: u64) -> Result<(u32, i64), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let hash_count = r.read_u32("number of hashes")?;
    let longs = r.read_u32("number of longs")?;
    if !(1..=MAX_HASHES).contains(&hash_count) {
        let what = "number of hashes";
        let (found, limit) = (hash_count.into(), MAX_HASHES.into());
        return Err(DecodeError::new(DecodeErrorKind::Limit { what, found, limit }, 0));
    }
    let expected = HEADER_LEN + 8 * u64::from(longs);
    if longs == 0 || expected != file_len {
        let what = "length of Filter.db";
        let kind = DecodeErrorKind::Mismatch { what, found: file_len, expected };
        return Err(DecodeError::new(kind, 4));
    }
    Ok((hash_count, 64 * i64::from(longs)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sstable::Format;
    use crate::sstable::big::PrimaryIndex;
    use crate::sstable::fixtures::sstables;
    use crate::sstable::stats::Statistics;

    /// Section 17.1 of the format notes: the one key is int 1.
    const ONE: [u8; 16] = [0, 0, 0, 5, 0, 0, 0, 1, 0x10, 0, 0, 0x40, 0x40, 0x20, 0x20, 0];

    fn open(version: &str, bytes: &[u8]) -> Result<Filter> {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join(format!("{version}-1-big-Data.db"));
        let (descriptor, _) = Descriptor::parse(&name).unwrap().unwrap();
        std::fs::write(descriptor.path(Component::Filter), bytes).unwrap();
        Filter::open(&descriptor, ReadMode::Map).map(Option::unwrap)
    }

    #[test]
    fn the_worked_example_knows_its_key_in_both_orders() {
        let key = [0, 0, 0, 1];
        let mut old = ONE;
        old[8..].reverse();
        for (version, bytes) in [("oa", ONE), ("me", old), ("na", ONE), ("na", old)] {
            let filter = open(version, &bytes).unwrap();
            assert!(filter.may_contain(&key).unwrap(), "{version}");
            assert!(!filter.may_contain(&[0, 0, 0, 2]).unwrap(), "{version}");
        }
        assert!(!open("oa", &old).unwrap().may_contain(&key).unwrap());
        assert!(!open("me", &ONE).unwrap().may_contain(&key).unwrap());
    }

    #[test]
    fn prefixes_and_lying_lengths_are_refused() {
        for len in 0..ONE.len() {
            assert!(open("oa", &ONE[..len]).is_err(), "{len} bytes");
        }
        assert!(open("oa", &[&ONE[..], &[0]].concat()).is_err(), "one byte more");
        for bit in 0..64 {
            let mut bytes = ONE;
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(filter) = open("oa", &bytes) {
                filter.may_contain(b"key").unwrap();
            }
        }
        assert!(open("oa", &[0, 0, 0, 1, 0, 0, 0, 0]).is_err(), "no bits");
    }

    #[test]
    fn real_filters_know_all_keys_of_their_indexes() {
        let (mut asked, mut known) = (0, 0);
        // Tries have no whole keys.
        for descriptor in sstables().into_iter().filter(|found| found.format == Format::Big) {
            let path = descriptor.path(Component::Statistics);
            let validation = Statistics::read(&path, descriptor.version).unwrap().validation;
            let index =
                PrimaryIndex::open(&descriptor, &validation.partitioner, ReadMode::Map).unwrap();
            let index = index.unwrap();
            for mode in [ReadMode::Map, ReadMode::Read] {
                let mut entries = index.entries();
                let Some(filter) = Filter::open(&descriptor, mode).unwrap() else {
                    assert!((validation.bloom_filter_fp_chance - 1.0).abs() < 1e-9);
                    continue;
                };
                while let Some(entry) = entries.next_entry().unwrap() {
                    assert!(filter.may_contain(entry.key).unwrap(), "{descriptor}");
                }
                for i in 0..200_u32 {
                    asked += 1;
                    known +=
                        u32::from(filter.may_contain(&i.to_be_bytes().map(|b| b ^ 0x77)).unwrap());
                }
            }
        }
        assert!(known <= asked / 20, "{known} of {asked} keys that are not there");
    }
}
