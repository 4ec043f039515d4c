//! One chunk of Data.db: its checksum, and each compressor that Cassandra has, through the product's own code.

mod measure;

use std::hint::black_box;
use std::io::Write;

use cassport::io::{Compressor, Decompressors};

const REPETITIONS: u32 = 7;
/// Fast copies of LZ4 write up to here behind the chunk.
const SLACK: usize = 64;
/// Cassandra's default since 4.0, and the one before.
const CHUNK_LENS: [usize; 2] = [16 << 10, 64 << 10];

fn main() -> anyhow::Result<()> {
    if !measure::asked_for() {
        return Ok(());
    }
    for len in CHUNK_LENS {
        let chunk = rows(len);
        let crc = measure::cheapest(REPETITIONS, || {
            black_box(crc32fast::hash(black_box(&chunk)));
            Ok(())
        })?;
        measure::print(&format!("CRC, {} KiB", len >> 10), len as u64, 1, crc);
        decompress(Compressor::Noop, &chunk, &chunk)?;
        decompress(Compressor::Lz4, &chunk, &lz4_flex::block::compress_prepend_size(&chunk))?;
        decompress(Compressor::Snappy, &chunk, &snap::raw::Encoder::new().compress_vec(&chunk)?)?;
        decompress(Compressor::Deflate, &chunk, &deflate(&chunk)?)?;
        decompress(Compressor::Zstd, &chunk, &zstd::bulk::compress(&chunk, 3)?)?;
    }
    Ok(())
}

fn decompress(compressor: Compressor, chunk: &[u8], payload: &[u8]) -> anyhow::Result<()> {
    let mut decompressors = Decompressors::default();
    let mut out = vec![0; chunk.len() + SLACK];
    let cost = measure::cheapest(REPETITIONS, || {
        decompressors.decompress(compressor, None, black_box(payload), chunk.len(), &mut out)?;
        black_box(&out);
        Ok(())
    })?;
    anyhow::ensure!(out.starts_with(chunk), "{} gives something else", compressor.name());
    let percent = payload.len() * 100 / chunk.len();
    let name = format!("{}, {} KiB, stored as {percent} %", compressor.name(), chunk.len() >> 10);
    measure::print(&name, chunk.len() as u64, 1, cost);
    Ok(())
}

fn deflate(chunk: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(chunk)?;
    encoder.finish()
}

/// Something like rows: lengths and numbers, words that come again, and a part that does not compress.
fn rows(len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "delivered",
        "received",
        "channel",
        "warehouse",
        "express",
        "the",
        "order",
        "was",
        "packed",
        "on",
        "time",
        "again",
    ];
    let mut bytes = Vec::with_capacity(len);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    while bytes.len() < len {
        bytes.extend([0x24, 0, 8]);
        bytes.extend((1_700_000_000_000 + (random() >> 44)).to_be_bytes());
        for _ in 0..40 {
            let words = WORDS.iter().cycle().skip((random() >> 60) as usize);
            bytes.extend(words.take(1).flat_map(|word| word.bytes()));
            bytes.push(b' ');
        }
        for _ in 0..20 {
            bytes.extend(random().to_be_bytes());
        }
    }
    bytes.truncate(len);
    bytes
}
