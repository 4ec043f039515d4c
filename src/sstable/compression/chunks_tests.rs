use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::io::{Compressor, Dictionary};
use crate::sstable::fixtures::sstables;

const CHUNK: usize = 4096;

/// Text that compresses, different in every chunk.
fn sample(len: usize) -> Vec<u8> {
    (0..)
        .flat_map(|i: u32| format!("row {i}, {}; ", i.wrapping_mul(2_654_435_761)).into_bytes())
        .take(len)
        .collect()
}

fn compress(compressor: Compressor, dictionary: Option<&[u8]>, data: &[u8]) -> Vec<u8> {
    match compressor {
        Compressor::Lz4 => {
            let mut out = u32::try_from(data.len()).unwrap().to_le_bytes().to_vec();
            out.extend_from_slice(&lz4_flex::block::compress(data));
            out
        }
        Compressor::Snappy => snap::raw::Encoder::new().compress_vec(data).unwrap(),
        Compressor::Deflate if data.is_empty() => Vec::new(),
        Compressor::Deflate => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(data).unwrap();
            out.finish().unwrap()
        }
        Compressor::Zstd => zstd::bulk::compress(data, 3).unwrap(),
        Compressor::ZstdDictionary => {
            zstd::bulk::Compressor::with_dictionary(3, dictionary.unwrap())
                .unwrap()
                .compress(data)
                .unwrap()
        }
        Compressor::Noop => data.to_vec(),
    }
}

fn class(compressor: Compressor) -> &'static str {
    match compressor {
        Compressor::Lz4 => "LZ4Compressor",
        Compressor::Snappy => "SnappyCompressor",
        Compressor::Deflate => "org.apache.cassandra.io.compress.DeflateCompressor",
        Compressor::Zstd => "ZstdCompressor",
        Compressor::ZstdDictionary => "ZstdDictionaryCompressor",
        Compressor::Noop => "NoopCompressor",
    }
}

/// An SSTable's Data.db and CompressionInfo.db in a directory of its own.
struct Written {
    dir: tempfile::TempDir,
    descriptor: Descriptor,
}

impl Written {
    fn new(version: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join(format!("{version}-1-big-Data.db"));
        let (descriptor, _) = Descriptor::parse(&name).unwrap().unwrap();
        Self { dir, descriptor }
    }

    fn write(&self, component: Component, bytes: &[u8]) {
        std::fs::write(self.descriptor.path(component), bytes).unwrap();
    }

    /// Writes payloads as chunks.
    fn payloads(&self, class: &str, max: u32, data_len: usize, payloads: &[Vec<u8>], tail: &[u8]) {
        let (mut data, mut offsets) = (Vec::new(), Vec::new());
        for payload in payloads {
            offsets.extend_from_slice(&(data.len() as u64).to_be_bytes());
            data.extend_from_slice(payload);
            data.extend_from_slice(&crc32fast::hash(payload).to_be_bytes());
        }
        let mut info = u16::try_from(class.len()).unwrap().to_be_bytes().to_vec();
        info.extend_from_slice(class.as_bytes());
        info.extend_from_slice(&[0; 4]);
        info.extend_from_slice(&u32::try_from(CHUNK).unwrap().to_be_bytes());
        if self.descriptor.version.has_max_compressed_length() {
            info.extend_from_slice(&max.to_be_bytes());
        }
        info.extend_from_slice(&(data_len as u64).to_be_bytes());
        info.extend_from_slice(&u32::try_from(payloads.len()).unwrap().to_be_bytes());
        info.extend_from_slice(&offsets);
        info.extend_from_slice(tail);
        self.write(Component::Data, &data);
        self.write(Component::CompressionInfo, &info);
    }

    fn open(&self, mode: ReadMode) -> DataChunks {
        DataChunks::open(&self.descriptor, mode).unwrap()
    }
}

fn read_all(chunks: &DataChunks) -> Result<Vec<u8>> {
    let mut scratch = ChunkScratch::default();
    let mut buffer = vec![0; chunks.chunk_len() + 64];
    let mut out = Vec::new();
    for index in 0..chunks.chunk_count() {
        let len = chunks.read_chunk(index, &mut scratch, &mut buffer)?;
        out.extend_from_slice(&buffer[..len]);
    }
    Ok(out)
}

const NO_MAX: u32 = 0x7fff_ffff;

#[test]
fn every_compressor_reads_back_with_and_without_a_surplus_chunk() {
    let words = sample(2000);
    for compressor in [
        Compressor::Lz4,
        Compressor::Snappy,
        Compressor::Deflate,
        Compressor::Zstd,
        Compressor::ZstdDictionary,
        Compressor::Noop,
    ] {
        for len in [0, 1, 17, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 5 * CHUNK + 7] {
            let data = sample(len);
            let mut payloads: Vec<_> =
                data.chunks(CHUNK).map(|c| compress(compressor, Some(&words), c)).collect();
            let mut tail = Vec::new();
            if compressor == Compressor::ZstdDictionary {
                let head = [&[0][..], &5_i64.to_be_bytes()].concat();
                let crc = crc_fast::checksum(
                    crc_fast::CrcAlgorithm::Crc32Iscsi,
                    &[&head[..], &words].concat(),
                );
                tail = [&head[..], &2000_u32.to_be_bytes(), &words].concat();
                tail.extend_from_slice(&u32::try_from(crc).unwrap().to_be_bytes());
            }
            for surplus in [false, true] {
                if surplus {
                    payloads.push(compress(compressor, Some(&words), &[]));
                } else if len == 0 {
                    continue;
                }
                let files = Written::new("nb");
                files.payloads(class(compressor), NO_MAX, len, &payloads, &tail);
                for mode in [ReadMode::Map, ReadMode::Read] {
                    let chunks = files.open(mode);
                    assert_eq!(chunks.data_len(), len as u64);
                    assert_eq!(chunks.compression_name(), compressor.name());
                    assert!(chunks.is_checked());
                    assert!(read_all(&chunks).unwrap() == data, "{compressor:?} {len} {surplus}");
                    assert_eq!(chunks.stored_offset(chunks.chunk_count()), chunks.stored_len());
                    chunks.forget(0, chunks.stored_len());
                    assert!(read_all(&chunks).unwrap() == data, "read again");
                }
            }
        }
    }
}

#[test]
fn scratch_serves_files_with_different_dictionaries() {
    // The same words at different distances.
    let dictionaries: Vec<_> = [900, 200]
        .map(|len| Arc::new(Dictionary { id: 1, bytes: [sample(500), vec![b'.'; len]].concat() }))
        .to_vec();
    let data = sample(700);
    let mut decompressors = Decompressors::default();
    let mut out = [0; 700];
    for round in 0..4 {
        let dictionary = &dictionaries[round % 2];
        let payload = compress(Compressor::ZstdDictionary, Some(&dictionary.bytes), &data);
        let with = Compressor::ZstdDictionary;
        decompressors.decompress(with, Some(dictionary), &payload, 700, &mut out).unwrap();
        assert_eq!(out[..], data);
        let payload = compress(Compressor::Zstd, None, &data);
        decompressors.decompress(Compressor::Zstd, None, &payload, 700, &mut out).unwrap();
        assert_eq!(out[..], data);
    }
}

#[test]
fn chunks_that_did_not_shrink_are_stored_as_they_are_and_padded_at_the_end() {
    let data = sample(CHUNK + 100);
    let limit = 3000;
    let mut last = data[CHUNK..].to_vec();
    last.resize(limit, 0);
    let files = Written::new("nb");
    let max = u32::try_from(limit).unwrap();
    files.payloads("LZ4Compressor", max, data.len(), &[data[..CHUNK].to_vec(), last], &[]);
    assert_eq!(read_all(&files.open(ReadMode::Map)).unwrap(), data);
    // Neither the chunk nor the limit has this length.
    files.payloads("LZ4Compressor", max, data.len(), &[data[..3500].to_vec(), vec![0; 3001]], &[]);
    let chunks = files.open(ReadMode::Map);
    let mut out = vec![0; CHUNK];
    for index in 0..2 {
        let error = chunks.read_chunk(index, &mut ChunkScratch::default(), &mut out).unwrap_err();
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_a_chunk_names_chunk_and_offset() {
    let data = sample(3 * CHUNK);
    let payloads: Vec<_> = data.chunks(CHUNK).map(|c| compress(Compressor::Lz4, None, c)).collect();
    let files = Written::new("me");
    files.payloads("LZ4Compressor", 0, data.len(), &payloads, &[]);
    let path = files.descriptor.path(Component::Data);
    let mut bytes = std::fs::read(&path).unwrap();
    let at = payloads[0].len() + 4 + payloads[1].len() / 2;
    bytes[at] ^= 0x10;
    std::fs::write(&path, &bytes).unwrap();
    let chunks = files.open(ReadMode::Map);
    let (mut scratch, mut out) = (ChunkScratch::default(), vec![0; CHUNK]);
    assert_eq!(chunks.read_chunk(0, &mut scratch, &mut out).unwrap(), CHUNK);
    let Err(Error::Damaged(damage)) = chunks.read_chunk(1, &mut scratch, &mut out) else {
        panic!("the flipped bit was not noticed")
    };
    assert_eq!((damage.chunk, damage.offset), (Some(1), Some(CHUNK as u64)));
    assert!(damage.cause.contains("checksum") && damage.hint.is_some(), "{damage}");
    assert_eq!(damage.format.as_deref(), Some("me, LZ4"));
    assert_eq!(chunks.read_chunk(2, &mut scratch, &mut out).unwrap(), CHUNK);
    assert_eq!(out, data[2 * CHUNK..]);
}

#[test]
fn a_payload_that_lies_with_a_right_checksum_is_an_error() {
    let data = sample(CHUNK);
    let files = Written::new("nb");
    for compressor in [
        Compressor::Lz4,
        Compressor::Snappy,
        Compressor::Deflate,
        Compressor::Zstd,
        Compressor::Noop,
    ] {
        let good = compress(compressor, None, &data);
        let long = compress(compressor, None, &sample(CHUNK + 1));
        let short = compress(compressor, None, &sample(CHUNK - 1));
        for bad in [long, short, good[..good.len() - 1].to_vec(), good[..3].to_vec(), Vec::new()] {
            files.payloads(class(compressor), NO_MAX, CHUNK, &[bad], &[]);
            let error = read_all(&files.open(ReadMode::Map)).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Corrupt, "{compressor:?}: {error}");
        }
        // The decompressor itself, behind the checksum: whatever comes, no panic and nothing outside the buffer.
        let mut decompressors = Decompressors::default();
        let mut out = vec![0; CHUNK + 64];
        for bit in 0..good.len().min(200) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _either = decompressors.decompress(compressor, None, &bad, CHUNK, &mut out);
        }
        for len in 0..good.len().min(600) {
            let _either = decompressors.decompress(compressor, None, &good[..len], CHUNK, &mut out);
        }
    }
}

#[test]
fn a_data_file_that_was_cut_off_says_so() {
    let data = sample(3 * CHUNK);
    let payloads: Vec<_> = data.chunks(CHUNK).map(|c| compress(Compressor::Lz4, None, c)).collect();
    let files = Written::new("nb");
    files.payloads("LZ4Compressor", NO_MAX, data.len(), &payloads, &[]);
    let path = files.descriptor.path(Component::Data);
    let bytes = std::fs::read(&path).unwrap();
    for len in (0..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..len]).unwrap();
        for mode in [ReadMode::Map, ReadMode::Read] {
            let error = read_all(&files.open(mode)).unwrap_err();
            assert_eq!(error.class(), ErrorClass::Corrupt, "{len}: {error}");
        }
    }
    std::fs::write(&path, &bytes[..20]).unwrap();
    let error = read_all(&files.open(ReadMode::Map)).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}

fn crc_file(data: &[u8], surplus: bool) -> Vec<u8> {
    let mut crc = u32::try_from(CHUNK).unwrap().to_be_bytes().to_vec();
    for chunk in data.chunks(CHUNK) {
        crc.extend_from_slice(&crc32fast::hash(chunk).to_be_bytes());
    }
    if surplus {
        crc.extend_from_slice(&[0; 4]);
    }
    crc
}

#[test]
fn uncompressed_data_is_read_with_checksums_and_without() {
    let files = Written::new("nb");
    let data = sample(2 * CHUNK + 5);
    files.write(Component::Data, &data);
    for mode in [ReadMode::Map, ReadMode::Read] {
        let chunks = files.open(mode);
        assert!(!chunks.is_checked());
        assert_eq!(read_all(&chunks).unwrap(), data);
    }
    for surplus in [false, true] {
        files.write(Component::Crc, &crc_file(&data, surplus));
        for mode in [ReadMode::Map, ReadMode::Read] {
            let chunks = files.open(mode);
            assert!(chunks.is_checked());
            assert_eq!((chunks.chunk_len(), chunks.data_len()), (CHUNK, data.len() as u64));
            assert_eq!(chunks.compression_name(), "none");
            assert_eq!(read_all(&chunks).unwrap(), data);
        }
    }
    // Cut off at a border between chunks, where nothing but CRC.db can tell.
    files.write(Component::Data, &data[..CHUNK]);
    let chunks = files.open(ReadMode::Map);
    let error = read_all(&chunks).unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    assert!(chunks.data_len() > CHUNK as u64);
    // Longer than the list of checksums.
    files.write(Component::Data, &sample(4 * CHUNK));
    assert!(read_all(&files.open(ReadMode::Map)).is_err());
    let mut flipped = data.clone();
    flipped[CHUNK] ^= 1;
    files.write(Component::Data, &flipped);
    let error = read_all(&files.open(ReadMode::Map)).unwrap_err();
    assert!(error.to_string().contains("checksum"), "{error}");
    for bad in [&b"\0\0"[..], &b"\0\0\0\0"[..], &b"\x7f\xff\xff\xff"[..], &b"\0\0\x10\0\0"[..]] {
        files.write(Component::Crc, bad);
        assert!(DataChunks::open(&files.descriptor, ReadMode::Map).is_err(), "{bad:?}");
    }
}

#[test]
fn a_missing_compression_info_is_not_taken_for_uncompressed_data() {
    let files = Written::new("nb");
    files.write(Component::Data, b"compressed");
    files.write(Component::Toc, b"Data.db\nCompressionInfo.db\n");
    let error = DataChunks::open(&files.descriptor, ReadMode::Map).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Missing);
    assert!(error.to_string().contains("CompressionInfo.db") && error.hint().is_some());
    assert!(Path::new(files.dir.path()).is_dir());
}

#[test]
fn the_worked_example_reads_as_described() {
    let files = Written::new("oa");
    files.write(Component::CompressionInfo, super::super::info::tests::OA);
    let stored =
        *b"\x11\0\0\0\xf0\x02\0\x04\0\0\0\x01\x80\x24\x07\x07\0\x08\0\0\0\x0a\x01\x7e\x76\xf2\x45";
    files.write(Component::Data, &stored);
    files.write(Component::Digest, b"246851467");
    assert!(crate::sstable::verify_digest(&files.descriptor, |_| Ok(())).unwrap());
    let chunks = files.open(ReadMode::Map);
    assert_eq!((chunks.stored_len(), chunks.data_len(), chunks.chunk_count()), (27, 17, 1));
    assert_eq!(read_all(&chunks).unwrap(), stored[6..23]);
    for bit in 0..stored.len() * 8 {
        let mut bytes = stored;
        bytes[bit / 8] ^= 1 << (bit % 8);
        files.write(Component::Data, &bytes);
        assert!(read_all(&files.open(ReadMode::Map)).is_err(), "bit {bit}");
    }
}

#[test]
fn every_chunk_of_real_files_has_its_checksum_and_its_length() {
    for descriptor in sstables() {
        for mode in [ReadMode::Map, ReadMode::Read] {
            let chunks = DataChunks::open(&descriptor, mode).unwrap();
            let data = read_all(&chunks).unwrap_or_else(|e| panic!("{descriptor}: {e}"));
            assert_eq!(data.len() as u64, chunks.data_len(), "{descriptor}");
        }
    }
}
