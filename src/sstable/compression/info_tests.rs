use super::*;
use crate::sstable::fixtures::sstables;
use crate::sstable::{Component, Descriptor};

/// Section 17.1 of the format notes: one row of a 5.0 table.
pub(crate) const OA: &[u8] = b"\x00\x0dLZ4Compressor\0\0\0\0\0\0\x40\0\x7f\xff\xff\xff\
    \0\0\0\0\0\0\0\x11\0\0\0\x01\0\0\0\0\0\0\0\0";

fn info(class: &str, version: Version, chunk_len: u32, data_len: u64, offsets: &[u64]) -> Vec<u8> {
    let mut bytes = u16::try_from(class.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(class.as_bytes());
    bytes.extend_from_slice(b"\0\0\0\x01\0\x01k\0\x01v");
    bytes.extend_from_slice(&chunk_len.to_be_bytes());
    if version.has_max_compressed_length() {
        bytes.extend_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    }
    bytes.extend_from_slice(&data_len.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(offsets.len()).unwrap().to_be_bytes());
    for offset in offsets {
        bytes.extend_from_slice(&offset.to_be_bytes());
    }
    bytes
}

fn open(bytes: &[u8], version: Version) -> Result<CompressionInfo> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nb-1-big-CompressionInfo.db");
    std::fs::write(&path, bytes).unwrap();
    let mapped = CompressionInfo::open(&path, version, ReadMode::Map);
    let read = CompressionInfo::open(&path, version, ReadMode::Read);
    assert_eq!(mapped.is_ok(), read.is_ok());
    mapped
}

#[test]
fn the_worked_example_reads_as_described() {
    let info = open(OA, Version::Oa).unwrap();
    assert_eq!(info.compressor(), Compressor::Lz4);
    assert_eq!((info.chunk_len(), info.max_compressed_len()), (16384, None));
    assert_eq!((info.data_len(), info.chunk_count()), (17, 1));
    assert_eq!((info.chunk_offset(0), info.chunk_offset(1)), (Some(0), None));
    assert_eq!(info.chunk_span(0, 27), Ok((0, 27)));
}

#[test]
fn every_prefix_is_an_error_and_every_flipped_bit_at_worst_one() {
    for len in 0..OA.len() {
        assert!(parse(&OA[..len], Version::Oa).is_err(), "{len} bytes");
    }
    let mut refused = 0;
    for bit in 0..OA.len() * 8 {
        let mut bytes = OA.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match parse(&bytes, Version::Oa) {
            Ok(parsed) => assert!(parsed.chunk_count <= 2 && parsed.options.is_empty()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > OA.len() * 4, "{refused}");
}

#[test]
fn numbers_that_do_not_fit_together_are_refused() {
    let nb = Version::Nb;
    let good = |offsets: &[u64]| info("LZ4Compressor", nb, 4096, 8192, offsets);
    assert!(parse(&good(&[0, 10]), nb).is_ok());
    assert!(parse(&good(&[0, 10, 20]), nb).is_ok(), "a surplus chunk");
    for (bytes, words) in [
        (good(&[0, 10, 20, 30]), "number of chunks"),
        (good(&[0]), "number of chunks"),
        (good(&[]), "number of chunks"),
        (good(&[5, 10]), "first chunk"),
        (info("LZ4Compressor", nb, 4095, 4000, &[0]), "power of two"),
        (info("LZ4Compressor", nb, 1 << 30, 4000, &[0]), "power of two"),
        (info("LZ4Compressor", nb, 0, 4000, &[0]), "chunk length"),
        (info("LZ4Compressor", nb, 4096, u64::MAX, &[0]), "negative"),
        (info("com.example.Rot13", nb, 4096, 1, &[0]), "com.example.Rot13"),
        ([good(&[0, 10]), vec![0]].concat(), "length of CompressionInfo.db"),
    ] {
        let error = parse(&bytes, nb).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    }
    let mut many = good(&[0, 10]);
    let at = many.len() - 20;
    many[at..at + 4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
    assert!(parse(&many, nb).is_err());
}

#[test]
fn chunks_that_do_not_follow_each_other_are_refused_when_used() {
    let bytes = info("LZ4Compressor", Version::Ma, 1024, 4096, &[0, 50, 40, 99_999]);
    let info = open(&bytes, Version::Ma).unwrap();
    assert_eq!(info.chunk_span(0, 100_000), Ok((0, 50)));
    assert!(info.chunk_span(1, 100_000).is_err(), "descending");
    assert!(info.chunk_span(2, 100_000).unwrap_err().contains("1024"), "too long");
    assert!(info.chunk_span(3, 100_000).is_err(), "no room for the checksum");
    assert!(info.chunk_span(3, 90_000).unwrap_err().contains("cut off"));
    assert!(info.chunk_span(2, 90_000).unwrap_err().contains("cut off"));
    assert!(info.chunk_span(4, 100_000).is_err());
}

#[test]
fn a_dictionary_is_read_and_checked() {
    let mut bytes = info("ZstdDictionaryCompressor", Version::Oa, 1024, 10, &[0]);
    assert!(parse(&bytes, Version::Oa).unwrap().dictionary.is_none());
    let mut section = vec![0];
    section.extend_from_slice(&7_i64.to_be_bytes());
    section.extend_from_slice(b"words");
    let crc = u32::try_from(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &section));
    bytes.extend_from_slice(&section[..9]);
    bytes.extend_from_slice(&5_u32.to_be_bytes());
    bytes.extend_from_slice(b"words");
    bytes.extend_from_slice(&crc.unwrap().to_be_bytes());
    let dictionary = parse(&bytes, Version::Oa).unwrap().dictionary.unwrap();
    assert_eq!((dictionary.id, dictionary.bytes.as_slice()), (7, &b"words"[..]));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert!(parse(&bytes, Version::Oa).is_err());
}

#[test]
fn real_files_read_and_their_prefixes_do_not() {
    for descriptor in sstables() {
        let path = descriptor.path(Component::CompressionInfo);
        let Descriptor { version, .. } = descriptor;
        if !path.is_file() {
            assert!(descriptor.path(Component::Crc).is_file(), "{descriptor}");
            continue;
        }
        let info = CompressionInfo::open(&path, version, ReadMode::Map).unwrap();
        assert!(info.data_len() > 0, "{}", path.display());
        let bytes = std::fs::read(&path).unwrap();
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], version).is_err(), "{}: {len} bytes", path.display());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _either = parse(&bytes, version);
        }
    }
}
