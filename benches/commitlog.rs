//! The commit log: how fast a segment is read, and its mutations decoded into updates of partitions.
//!
//! The mutations are INSERTs into the table of `speed.md`: 13 columns (3 key, 8 simple, a set and a map), 15 cells and some 650
//! bytes each, in a plain segment of 32 MiB with a section for each 100 of them. In the page cache, on one thread.

mod measure;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use cassport::commitlog::{
    Bound, EncryptionKeys, LogVersion, MutationDecoder, MutationPeek, SegmentReader, SegmentStep,
};
use cassport::schema::{TableMetadata, parse_schema};

const REPETITIONS: u32 = 5;
const SEGMENT_LEN: usize = 32 << 20;
const MUTATIONS_PER_SECTION: usize = 100;
const ID: i64 = 1_700_000_000_000;
const TABLE: &str = "CREATE TABLE bench.orders (tenant text, device uuid, at timestamp, name text, note text, price double,
    quantity int, total bigint, paid boolean, payload blob, updated timestamp, tags set<text>, attributes map<text, text>,
    PRIMARY KEY ((tenant, device), at)) WITH ID = '00000000-0000-1000-8000-000000000007';";

fn main() -> anyhow::Result<()> {
    if !measure::asked_for() {
        return Ok(());
    }
    let schema = parse_schema(TABLE, None)?;
    let table = Arc::new(schema.table("bench", "orders").context("no table")?.clone());
    let directory = std::env::temp_dir().join(format!("commitlog-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let path = directory.join(format!("CommitLog-7-{ID}.log"));
    let measured = write_segment(&path).and_then(|sizes| measure_all(&path, sizes, &table));
    std::fs::remove_dir_all(&directory)?;
    measured
}

fn measure_all(path: &Path, sizes: (u64, u64), table: &Arc<TableMetadata>) -> anyhow::Result<()> {
    let (bytes, mutations) = sizes;
    let read = measure::cheapest(REPETITIONS, || {
        each(path, mutations, |payload| {
            black_box(payload);
            Ok(())
        })
    })?;
    measure::print("entries, checksums", bytes, mutations, read);
    let peeked = measure::cheapest(REPETITIONS, || {
        each(path, mutations, |payload| {
            black_box(MutationPeek::read(LogVersion::V40, payload)?.may_be_of(&|_| false));
            Ok(())
        })
    })?;
    measure::print("entries, of a table that nobody wants", bytes, mutations, peeked);
    let decoded = measure::cheapest(REPETITIONS, || {
        let mut decoder = MutationDecoder::new(LogVersion::V40);
        each(path, mutations, |payload| {
            let mutation = decoder.decode(payload, &|_| Some(Arc::clone(table)))?;
            ensure!(mutation.updates.len() == 1, "not one update");
            black_box(mutation);
            Ok(())
        })
    })?;
    measure::print("entries, decoded into updates", bytes, mutations, decoded);
    Ok(())
}

/// Goes through the segment.
fn each(
    path: &Path,
    mutations: u64,
    mut visit: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = SegmentReader::open(path, &EncryptionKeys::none())?.context("no header")?;
    let mut found = 0;
    loop {
        match reader.next(Bound::whole())? {
            SegmentStep::Entry { payload, .. } => {
                found += 1;
                visit(payload)?;
            }
            SegmentStep::End { .. } => break,
            other => bail!("{other:?}"),
        }
    }
    ensure!(found == mutations, "{found} of {mutations} mutations");
    Ok(())
}

/// Writes the segment; returns the bytes of its entries and their number.
fn write_segment(path: &Path) -> anyhow::Result<(u64, u64)> {
    let [low, high] = halves(ID);
    let mut out = Vec::new();
    out.extend(7_u32.to_be_bytes());
    out.extend(ID.to_be_bytes());
    out.extend(2_u16.to_be_bytes());
    out.extend(b"{}");
    let crc = crc(&[&7_u32.to_be_bytes(), &low, &high, &2_u32.to_be_bytes(), b"{}"]);
    out.extend(crc.to_be_bytes());
    let (mut bytes, mut mutations) = (0, 0);
    let mut payload = Vec::new();
    while out.len() + MUTATIONS_PER_SECTION * 1000 < SEGMENT_LEN {
        let marker = out.len();
        out.extend([0; 8]);
        for _ in 0..MUTATIONS_PER_SECTION {
            payload.clear();
            write_mutation(&mut payload, mutations)?;
            let len = u32::try_from(payload.len())?.to_be_bytes();
            out.extend(len);
            out.extend(self::crc(&[&len]).to_be_bytes());
            out.extend(&payload);
            out.extend(self::crc(&[&len, &payload]).to_be_bytes());
            mutations += 1;
        }
        bytes += (out.len() - marker) as u64;
        let end = u32::try_from(out.len())?.to_be_bytes();
        let at = u32::try_from(marker)?.to_be_bytes();
        let mark = [end, self::crc(&[&low, &high, &at]).to_be_bytes()].concat();
        out.splice(marker..marker + 8, mark);
    }
    out.resize(SEGMENT_LEN, 0);
    std::fs::write(path, &out)?;
    Ok((bytes, mutations))
}

fn halves(id: i64) -> [[u8; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = id.to_be_bytes();
    [[e, f, g, h], [a, b, c, d]]
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A length as an unsigned vint of one or two bytes, and the bytes.
fn vbytes(out: &mut Vec<u8>, bytes: &[u8]) -> anyhow::Result<()> {
    let [high, low] = u16::try_from(bytes.len())?.to_be_bytes();
    if bytes.len() < 0x80 {
        out.push(low);
    } else {
        ensure!(bytes.len() < 0x4000, "too long");
        out.extend([0x80 | high, low]);
    }
    out.extend(bytes);
    Ok(())
}

/// A simple cell that has the time of its row.
fn cell(out: &mut Vec<u8>, fixed: bool, value: &[u8]) -> anyhow::Result<()> {
    out.push(0x08);
    if fixed {
        out.extend(value)
    } else {
        vbytes(out, value)?
    }
    Ok(())
}

fn write_mutation(out: &mut Vec<u8>, number: u64) -> anyhow::Result<()> {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let text = |len: usize| b"lorem ipsum dolor sit amet ".iter().copied().cycle().take(len);
    out.push(1);
    out.extend([0, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0, 0, 0, 0, 7]);
    let mut key = vec![0, 8];
    key.extend(b"tenant-1");
    key.extend([0, 0, 16]);
    key.extend(number.repeat(2));
    key.push(0);
    vbytes(out, &key)?;
    out.push(0x10);
    // Seven bytes of time since 2015, no deletion time and no TTL.
    out.extend([0xfc, 0xe9, 0x32, 0xd4, 0x44, 0xb8, 0x30, 0, 0]);
    let columns = [
        "name",
        "note",
        "paid",
        "payload",
        "price",
        "quantity",
        "total",
        "updated",
        "attributes",
        "tags",
    ];
    out.push(u8::try_from(columns.len())?);
    columns.iter().try_for_each(|name| vbytes(out, name.as_bytes()))?;
    // One row with a time, all columns, and deletions of its collections a microsecond before.
    out.extend([1, 0x64, 0]);
    out.extend(number);
    out.push(1);
    cell(out, false, &text(24).collect::<Vec<_>>())?;
    cell(out, false, &text(180).collect::<Vec<_>>())?;
    cell(out, true, &[1])?;
    cell(out, false, &number.repeat(12))?;
    cell(out, true, &number)?;
    cell(out, true, &[0, 0, 0, 7])?;
    cell(out, true, &number)?;
    cell(out, true, &number)?;
    let live = [0, 0];
    out.extend(live);
    out.push(4);
    for i in 0..4 {
        out.push(0x08);
        vbytes(out, &[b'k', b'e', b'y', i])?;
        vbytes(out, &text(20).collect::<Vec<_>>())?;
    }
    out.extend(live);
    out.push(3);
    for i in 0..3 {
        out.push(0x0c);
        vbytes(out, &[b't', b'a', b'g', i])?;
    }
    out.push(0x01);
    Ok(())
}
