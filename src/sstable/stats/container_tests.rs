use super::*;
use crate::cql::CqlType;
use crate::error::ErrorClass;
use crate::rows::{ClusteringKind, LocalDeletionTime};
use crate::sstable::fixtures::sstables;
use crate::sstable::stats::CommitLogPosition;
use crate::sstable::{Component, Partitioner};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// A histogram with the bounds of `EstimatedHistogram.newOffsets` and one value.
fn histogram(buckets: usize, value: u64) -> Vec<u8> {
    let mut bounds = vec![1_u64];
    while bounds.len() < buckets - 1 {
        let last = *bounds.last().unwrap();
        // Math.round(last * 1.2), in whole numbers.
        bounds.push(((last * 12 + 5) / 10).max(last + 1));
    }
    let bucket = bounds.iter().position(|&bound| bound >= value).unwrap();
    let mut bytes = u32::try_from(buckets).unwrap().to_be_bytes().to_vec();
    for i in 0..buckets {
        bytes.extend_from_slice(&bounds[i.saturating_sub(1)].to_be_bytes());
        bytes.extend_from_slice(&u64::from(i == bucket).to_be_bytes());
    }
    bytes
}

/// Section 17.1 of the format notes, with the checksums that the real file has.
fn example() -> Vec<u8> {
    let mut bytes = hex(
        "00000004 26291b05 00000000 0000002c 00000001 00000065 00000002 00000079 00000003 00001263 19c6a4b1",
    );
    bytes.extend_from_slice(b"\0\x2borg.apache.cassandra.dht.Murmur3Partitioner");
    bytes.extend_from_slice(&hex(
        "3f847ae147ae147b cfddb849 0000000c fffffffe0d190101a28dfb09 fa34302b",
    ));
    assert_eq!(bytes.len(), 121);
    bytes.extend_from_slice(&histogram(156, 17));
    bytes.extend_from_slice(&histogram(119, 1));
    bytes.extend_from_slice(&hex(
        "0000019919f6e814 0000f5d4 00063e0d7558f027 00063e0d7558f027 ffffffff ffffffff 00000000 00000000
         3ff5a5a5a5a5a5a6 00000000 00000000 00000000 0000000000000000 00 01 0000 06 0000 00
         0000000000000001 0000000000000001 0000019919f6e814 0000f48b
         00000001 0000019919f6e814 0000f48b 0000019919f6e814 0000f5d4
         00 00 01 a449e84a12bc4ee597d8f02a5a0178ee 00 04 00000001 04 00000001 7ff8000000000000 8eb1c636",
    ));
    assert_eq!(bytes.len(), 4707);
    bytes.extend_from_slice(&hex("fd1dc2c77e7027 00 00 29"));
    bytes.extend_from_slice(b"org.apache.cassandra.db.marshal.Int32Type\0\0\x01\x04col1\x29");
    bytes.extend_from_slice(b"org.apache.cassandra.db.marshal.Int32Type\xeb\x5a\x87\xaf");
    bytes
}

#[test]
fn the_worked_example_reads_as_described() {
    let read = Statistics::decode(&example(), Version::Oa).unwrap();
    assert_eq!(read.validation.partitioner, Partitioner::Murmur3);
    assert!((read.validation.bloom_filter_fp_chance - 0.01).abs() < 1e-9);
    assert_eq!(read.partition_count(), 1);
    let stats = &read.stats;
    assert_eq!(stats.partition_sizes.largest_bound(), Some(17));
    assert_eq!(stats.cells_per_partition.largest_bound(), Some(1));
    let position = |position| CommitLogPosition { segment_id: 0x0199_19f6_e814, position };
    assert_eq!(stats.commit_log_upper_bound, position(0xf5d4));
    assert_eq!(stats.commit_log_lower_bound, Some(position(0xf48b)));
    let intervals = stats.commit_log_intervals.as_ref().unwrap();
    assert_eq!((intervals[0].start, intervals[0].end), (position(0xf48b), position(0xf5d4)));
    assert_eq!(stats.min_timestamp, 1_757_077_384_523_815);
    assert_eq!(stats.max_timestamp, stats.min_timestamp);
    assert_eq!(stats.min_local_deletion_time, LocalDeletionTime::NONE);
    assert_eq!(stats.max_local_deletion_time, LocalDeletionTime::NONE);
    assert_eq!((stats.min_ttl, stats.max_ttl, stats.sstable_level), (0, 0, 0));
    assert!(stats.compression_ratio.is_some_and(|ratio| ratio > 1.3));
    assert_eq!(stats.tombstone_drop_times.count(), 0);
    let covered = stats.covered_clustering.as_ref().unwrap();
    assert_eq!(covered.start.kind, ClusteringKind::InclStartBound);
    assert!(covered.end.values.is_empty());
    assert_eq!((stats.total_columns_set, stats.total_rows), (Some(1), Some(1)));
    assert!(!stats.has_legacy_counter_shards && !stats.is_transient);
    assert_eq!(stats.pending_repair, None);
    assert_eq!(
        stats.originating_host_id.unwrap().to_string(),
        "a449e84a-12bc-4ee5-97d8-f02a5a0178ee"
    );
    assert_eq!(stats.has_partition_level_deletions, Some(false));
    assert_eq!(stats.key_range, Some((vec![0, 0, 0, 1], vec![0, 0, 0, 1])));
    assert_eq!(stats.token_space_coverage, None);
    let header = read.header.unwrap();
    assert_eq!(header.min_timestamp, stats.min_timestamp);
    assert_eq!(header.key_type, CqlType::Int);
    assert_eq!(header.regulars[0].name, "col1");
}

#[test]
fn every_prefix_and_every_flipped_bit_is_noticed_where_there_are_checksums() {
    let good = example();
    for len in 0..good.len() {
        assert!(Statistics::decode(&good[..len], Version::Oa).is_err(), "{len} bytes");
    }
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Statistics::decode(&bytes, Version::Oa).is_err(), "bit {bit}");
    }
}

#[test]
fn unused_room_is_four_zeros_for_each_bin() {
    let fits = |rest: &[u8], bins| {
        let mut r = ByteReader::new(rest);
        skip_unused_room(&mut r, bins);
        r.finish("length of the component").is_ok()
    };
    assert!(fits(&[], 0) && fits(&[0; 4], 1) && fits(&[0; 12], 3));
    // A release that reserves what it needs.
    assert!(fits(&[], 3));
    for (rest, bins) in [(4, 0), (8, 1), (4, 2), (1, 1), (16, 3)] {
        assert!(!fits(&vec![0; rest], bins), "{rest} zeros, {bins} bins");
    }
    assert!(!fits(&[0, 0, 0, 1], 1));
}

#[test]
fn a_list_that_lies_is_refused() {
    let entry = |kind: u32, offset: u32| [kind.to_be_bytes(), offset.to_be_bytes()].concat();
    for (count, list, words) in [
        (1, entry(0, 3), "outside"),
        (1, entry(0, 99), "outside"),
        (2, [entry(0, 20), entry(0, 20)].concat(), "twice"),
        (2, entry(0, 20), "list of components"),
        (u32::MAX, entry(0, 20), "number of components"),
        (0, Vec::new(), "not there"),
    ] {
        let bytes = [&count.to_be_bytes()[..], &list].concat();
        let (_, error) = Statistics::decode(&bytes, Version::Ma).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_missing_file_is_reported_as_missing_input() {
    let error = Statistics::read(Path::new("/nowhere/nb-1-big-Statistics.db"), Version::Nb);
    let error = error.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Missing);
    assert!(error.hint().is_some_and(|hint| hint.contains("snapshot")));
}

#[test]
fn real_files_of_all_versions_read() {
    for descriptor in sstables() {
        let version = descriptor.version;
        let path = descriptor.path(Component::Statistics);
        let read = Statistics::read(&path, version).unwrap_or_else(|e| panic!("{e}"));
        assert!(read.partition_count() > 0, "{descriptor}");
        assert_eq!(read.stats.key_range.is_some(), version.has_key_range());
        assert_eq!(read.header.is_none(), version.has_atoms(), "{descriptor}");
        if let Some(header) = &read.header
            && descriptor.directory.to_string_lossy().contains("legacy_tables")
        {
            assert_eq!(header.min_timestamp, read.stats.min_timestamp, "{descriptor}");
        }
    }
}

#[test]
fn damaged_files_without_checksums_are_survived() {
    let chosen = |d: &crate::sstable::Descriptor| !d.version.has_metadata_checksums();
    for descriptor in sstables().into_iter().filter(chosen).step_by(40) {
        let good = std::fs::read(descriptor.path(Component::Statistics)).unwrap();
        for len in (0..good.len()).step_by(13) {
            assert!(Statistics::decode(&good[..len], descriptor.version).is_err(), "{len} bytes");
        }
        for bit in (0..good.len() * 8).step_by(5) {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _either = Statistics::decode(&bytes, descriptor.version);
        }
    }
}
