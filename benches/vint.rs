//! Variable-length integers: the smallest thing that is read for every cell, several times.

mod measure;

use std::hint::black_box;

use cassport::error::DecodeError;
use cassport::io::ByteReader;

const COUNT: u32 = 64 << 10;
const REPETITIONS: u32 = 7;

fn main() -> anyhow::Result<()> {
    if !measure::asked_for() {
        return Ok(());
    }
    compare("1 byte (lengths)", |random| random & 0x7f)?;
    compare("2 bytes (row sizes)", |random| 0x80 | random & 0x3fff)?;
    compare("7 bytes (write times)", |random| 1 << 48 | random >> 16)?;
    compare("9 bytes", |random| random | 1 << 63)?;
    compare("mixed, 3 of 4 with 1 byte", |random| {
        let shift = if random & 3 == 0 { random >> 8 & 63 } else { 57 };
        random >> shift
    })
}

/// Measures reading numbers that `number` makes from pseudo-random ones.
fn compare(name: &str, number: impl Fn(u64) -> u64) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..COUNT {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        write_uvint(&mut bytes, number(state));
    }
    reads(&format!("unsigned, {name}"), &bytes, |r| r.read_uvint("number"))?;
    reads(&format!("signed, {name}"), &bytes, |r| r.read_svint("number").map(i64::cast_unsigned))
}

fn reads(
    name: &str,
    bytes: &[u8],
    read: impl Fn(&mut ByteReader<'_>) -> Result<u64, DecodeError>,
) -> anyhow::Result<()> {
    let cost = measure::cheapest(REPETITIONS, || {
        let mut reader = ByteReader::new(black_box(bytes));
        let mut all = 0;
        for _ in 0..COUNT {
            all ^= read(&mut reader)?;
        }
        black_box(all);
        Ok(reader.finish("numbers")?)
    })?;
    measure::print(name, bytes.len() as u64, COUNT.into(), cost);
    Ok(())
}

/// Cassandra's unsigned vint: as many leading ones in the first byte as bytes follow it.
fn write_uvint(out: &mut Vec<u8>, value: u64) {
    let bits = 64 - (value | 1).leading_zeros();
    let extra = ((bits - 1) / 7).min(8);
    if extra == 8 {
        out.push(0xff);
        out.extend(value.to_be_bytes());
        return;
    }
    // The ones stand in front of the value's own bits, in the first of the bytes that are written.
    let ones = !(0xff_u64 >> extra) & 0xff;
    let marked = value | ones << (8 * extra);
    out.extend(marked.to_be_bytes().into_iter().skip(7 - extra as usize));
}
