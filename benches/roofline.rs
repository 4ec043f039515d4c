//! What the machine allows: the least that any exporter has to do with a table's files, and nothing else.
//!
//! ```text
//! cargo bench --bench roofline -- --table DIR [--text-bytes N --scratch DIR] [--json]
//! ```
//!
//! DIR is searched for SSTables compressed by LZ4. Decompression includes the checksums, and these the page faults; writing
//! stands alone:
//!
//! * map the files and touch every page;
//! * the CRC of every compressed chunk;
//! * decompress every chunk, by the library that the product uses and, for comparison, by the C library;
//! * write N bytes, as many as the text has that the table turns into, to files, 1 MiB at a time.
//!
//! The files are read here and not by the product's own code, so that this limit stays where it is when that code changes.

mod measure;

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cassport::io::{ByteReader, InputFile, ReadMode};
use clap::Parser;
use measure::Cost;

const REPETITIONS: u32 = 3;
const PAGE: usize = 4096;
const BLOCK: usize = 1 << 20;
/// As large as the product makes files, so that the kernel has as many of them to make.
const FILE_LEN: u64 = 256 << 20;
/// What is claimed beside the text before it is written.
const SPARE: u64 = 1 << 30;
/// Fast copies of decompressors write up to here behind the chunk.
const SLACK: usize = 64;
const CHECKSUM_LEN: usize = 4;
/// Far above that of any table worth measuring.
const LARGEST_INFO: u64 = 1 << 30;

#[derive(Parser)]
struct Arguments {
    /// A table directory.
    #[arg(long)]
    table: Option<PathBuf>,
    /// How much to write.
    #[arg(long, default_value_t = 0)]
    text_bytes: u64,
    /// Where to write it.
    #[arg(long, requires = "text_bytes")]
    scratch: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Takes the payload of a chunk, and a place for as many bytes as it has uncompressed.
type Decompress = fn(&[u8], &mut [u8]) -> anyhow::Result<usize>;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // Without a table it was started along with all other benchmarks.
    let Some(table) = arguments.table.as_deref().filter(|_| measure::asked_for()) else {
        return Ok(());
    };
    let mut sstables = Vec::new();
    find_sstables(table, &mut sstables)?;
    ensure!(!sstables.is_empty(), "no SSTable with a CompressionInfo.db under {}", table.display());
    let bytes = sstables.iter().map(|s| s.data_len).sum();
    let chunks = sstables.iter().map(|s| s.offsets.len() as u64).sum();
    let show = |name: &str, bytes, cost| print(&arguments, name, bytes, chunks, cost);

    let touched = measure::cheapest(REPETITIONS, || sstables.iter().try_for_each(touch))?;
    show("map and touch", bytes, touched)?;
    let stages: [(&str, Option<Decompress>); 3] = [
        ("CRC", None),
        ("CRC, LZ4 by lz4_flex", Some(by_lz4_flex)),
        ("CRC, LZ4 by the C library", Some(by_c_library)),
    ];
    for (name, decompress) in stages {
        let cost = measure::cheapest(REPETITIONS, || {
            sstables.iter().try_for_each(|sstable| read_chunks(sstable, decompress))
        })?;
        show(name, bytes, cost)?;
    }
    if let Some(scratch) = &arguments.scratch {
        let mut costs = Vec::new();
        for _ in 0..REPETITIONS {
            let mut paths = Vec::new();
            claim_memory(arguments.text_bytes + SPARE)?;
            costs.push(measure::cheapest(1, || {
                paths = write_files(scratch, arguments.text_bytes)?;
                Ok(())
            })?);
            paths.iter().try_for_each(std::fs::remove_file)?;
        }
        let cheapest = costs.into_iter().min_by(|a, b| a.cpu.total_cmp(&b.cpu));
        show("write files", arguments.text_bytes, cheapest.context("never written")?)?;
    }
    Ok(())
}

/// Touches `bytes` of fresh memory and gives them back.
///
/// On a virtual machine the host takes free memory away and hands it out again page by page, at a price that is many times
/// that of the writing which then lands on whoever is measured. What was touched just before is there.
fn claim_memory(bytes: u64) -> anyhow::Result<()> {
    let mut pages = vec![0_u8; usize::try_from(bytes)?];
    pages.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    black_box(&pages);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result")]
fn print(
    arguments: &Arguments,
    name: &str,
    bytes: u64,
    chunks: u64,
    cost: Cost,
) -> anyhow::Result<()> {
    if arguments.json {
        let Cost { cpu, wall } = cost;
        println!("{}", serde_json::json!({"name": name, "bytes": bytes, "cpu": cpu, "wall": wall}));
    } else {
        measure::print(name, bytes, chunks, cost);
    }
    Ok(())
}

/// An SSTable's Data.db, and where its chunks are.
struct Sstable {
    data: PathBuf,
    chunk_len: usize,
    data_len: u64,
    /// Where each chunk begins.
    offsets: Vec<u64>,
}

impl Sstable {
    /// Reads the CompressionInfo.db at `path`. Layout: the header of `sstable::compression::info`.
    fn open(path: &Path) -> anyhow::Result<Self> {
        let bytes = InputFile::read_all(path, LARGEST_INFO)?;
        let mut r = ByteReader::new(&bytes);
        let compressor = r.read_utf16len("compressor")?;
        ensure!(compressor.ends_with("LZ4Compressor"), "{compressor} is not measured here");
        for _ in 0..2 * r.read_u32("options")? {
            r.read_utf16len("option")?;
        }
        let chunk_len = r.read_u32("chunk length")?.try_into()?;
        let never_raw = r.read_u32("longest compressed chunk")? == u32::MAX >> 1;
        ensure!(never_raw, "tables with chunks that are not compressed are not measured here");
        let data_len = r.read_u64("data length")?;
        let offsets =
            (0..r.read_u32("chunks")?).map(|_| r.read_u64("offset")).collect::<Result<_, _>>()?;
        let name = path.file_name().context("no name")?.to_string_lossy();
        let data = path.with_file_name(name.replace("CompressionInfo", "Data"));
        Ok(Self { data, chunk_len, data_len, offsets })
    }
}

fn find_sstables(directory: &Path, found: &mut Vec<Sstable>) -> anyhow::Result<()> {
    let entries = directory.read_dir().with_context(|| directory.display().to_string())?;
    let mut paths = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            find_sstables(&path, found)?;
        } else if path.to_string_lossy().ends_with("-CompressionInfo.db") {
            found.push(Sstable::open(&path).with_context(|| path.display().to_string())?);
        }
    }
    Ok(())
}

fn touch(sstable: &Sstable) -> anyhow::Result<()> {
    let file = InputFile::open(&sstable.data, ReadMode::Map)?;
    let mut unused = Vec::new();
    let bytes = file.slice(0, file.len().try_into()?, &mut unused)?.unwrap_or_default();
    let sum = bytes.iter().step_by(PAGE).fold(0_u8, |sum, &byte| sum.wrapping_add(byte));
    black_box(sum);
    Ok(())
}

/// Checks all chunks, and decompresses each of them into the same buffer.
fn read_chunks(sstable: &Sstable, decompress: Option<Decompress>) -> anyhow::Result<()> {
    let file = InputFile::open(&sstable.data, ReadMode::Map)?;
    let mut unused = Vec::new();
    let mut chunk = vec![0; sstable.chunk_len + SLACK];
    let mut left = sstable.data_len;
    let ends = sstable.offsets.iter().skip(1).copied().chain([file.len()]);
    for (&start, end) in sstable.offsets.iter().zip(ends) {
        let len = end.checked_sub(start).context("chunks overlap")?.try_into()?;
        let stored = file.slice(start, len, &mut unused)?.context("a chunk behind the end")?;
        let (payload, crc) = stored.split_last_chunk::<CHECKSUM_LEN>().context("no checksum")?;
        ensure!(crc32fast::hash(payload) == u32::from_be_bytes(*crc), "checksum at {start}");
        let Some(decompress) = decompress else { continue };
        let expected = left.min(sstable.chunk_len as u64);
        let written = decompress(payload, &mut chunk)?;
        ensure!(written as u64 == expected, "{written} bytes at {start}, {expected} expected");
        left -= expected;
        black_box(&chunk);
    }
    Ok(())
}

/// The payload without its length, which is of no use where all chunks are equally long.
fn block(payload: &[u8]) -> anyhow::Result<(&[u8], usize)> {
    let (len, block) = payload.split_first_chunk::<4>().context("no length")?;
    Ok((block, u32::from_le_bytes(*len).try_into()?))
}

fn by_lz4_flex(payload: &[u8], out: &mut [u8]) -> anyhow::Result<usize> {
    let (block, _) = block(payload)?;
    Ok(lz4_flex::block::decompress_into(block, out)?)
}

fn by_c_library(payload: &[u8], out: &mut [u8]) -> anyhow::Result<usize> {
    let (block, len) = block(payload)?;
    Ok(lz4::block::decompress_to_buffer(block, Some(len.try_into()?), out)?)
}

/// Writes `len` bytes to files in `directory`, and returns their paths.
fn write_files(directory: &Path, len: u64) -> anyhow::Result<Vec<PathBuf>> {
    let block = vec![b'x'; BLOCK];
    let mut left = len;
    let mut paths = Vec::new();
    while left > 0 {
        let path = directory.join(format!("roofline-{}.tmp", paths.len()));
        let mut file = File::create(&path)?;
        paths.push(path);
        let mut room = FILE_LEN.min(left);
        left -= room;
        while room > 0 {
            let part = usize::try_from(room)?.min(BLOCK);
            file.write_all(block.get(..part).unwrap_or_default())?;
            room -= part as u64;
        }
    }
    Ok(paths)
}
