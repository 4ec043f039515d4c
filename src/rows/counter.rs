//! Counter contexts (`CounterContext`): the value of a counter cell.
//!
//! ```text
//! i16                 n: number of header elements; negative: local shards count as remote ones (a cleared context)
//! |n| × i16           e >= 0: shard e is local; e < 0: shard e + 32768 is global; shards not named are remote
//! 32 bytes each:      counter id (16), clock i64, count i64; ascending by id
//! ```
//! Since 2.1 all shards are global. Local ones come from 2.0 data and from static compact tables of early 3.0.

use std::cmp::Ordering;

use crate::error::DecodeError;
use crate::io::ByteReader;

/// How a shard counts (`CounterContext.ContextState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardKind {
    /// Since 2.1.
    Global,
    /// Deltas of this node, added up.
    Local,
    /// Totals of other nodes.
    Remote,
}

/// One shard of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterShard {
    /// Counter id: the host that counted.
    pub id: [u8; 16],
    /// Clock: which count is newer.
    pub clock: i64,
    /// Count.
    pub count: i64,
    /// How it counts.
    pub kind: ShardKind,
}

/// Reads a context into its shards.
pub(crate) fn read_shards(context: &[u8]) -> Result<Vec<CounterShard>, DecodeError> {
    let mut r = ByteReader::new(context);
    let n = r.read_u16("counter header")?.cast_signed();
    let cleared = n < 0;
    let elements = usize::from(n.unsigned_abs());
    let mut header = ByteReader::new(r.take(elements * 2, "counter header")?);
    let body = r.rest();
    if !body.len().is_multiple_of(32) {
        return Err(r.invalid(format!(
            "a counter's shards have {} bytes, not a multiple of 32",
            body.len()
        )));
    }
    let mut shards = Vec::with_capacity(body.len() / 32);
    let mut bodies = ByteReader::new(body);
    while !bodies.is_empty() {
        shards.push(CounterShard {
            id: *bodies.read_uuid("counter id")?.as_bytes(),
            clock: bodies.read_i64("counter clock")?,
            count: bodies.read_i64("counter count")?,
            kind: ShardKind::Remote,
        });
    }
    while !header.is_empty() {
        let element = header.read_u16("counter header element")?;
        let (index, kind) = if element & 0x8000 == 0 {
            (element, ShardKind::Local)
        } else {
            (element & 0x7fff, ShardKind::Global)
        };
        if cleared && kind == ShardKind::Local {
            continue;
        }
        match shards.get_mut(usize::from(index)) {
            Some(shard) => shard.kind = kind,
            None => {
                return Err(
                    r.invalid(format!("counter header names shard {index}, which is not there"))
                );
            }
        }
    }
    Ok(shards)
}

/// The value of a counter: the sum of its shards' counts (`CounterContext.total`), wrapping as Java does.
pub fn counter_total(context: &[u8]) -> Result<i64, DecodeError> {
    let mut r = ByteReader::new(context);
    let elements = usize::from(r.read_u16("counter header")?.cast_signed().unsigned_abs());
    r.skip(elements * 2, "counter header")?;
    if !r.remaining().is_multiple_of(32) {
        return Err(r.invalid(format!(
            "a counter's shards have {} bytes, not a multiple of 32",
            r.remaining()
        )));
    }
    let mut total = 0_i64;
    while !r.is_empty() {
        r.skip(24, "counter shard")?;
        total = total.wrapping_add(r.read_i64("counter count")?);
    }
    Ok(total)
}

fn newer(a: CounterShard, b: CounterShard) -> CounterShard {
    // CounterContext.compare for remote shards: of two negative clocks the smaller wins, a negative one beats a positive.
    let a_wins = match (a.kind, a.clock < 0, b.clock < 0) {
        (ShardKind::Remote, true, true) => (b.clock, a.count) > (a.clock, b.count),
        (ShardKind::Remote, true, false) => true,
        (ShardKind::Remote, false, true) => false,
        _ => (a.clock, a.count) >= (b.clock, b.count),
    };
    if a_wins { a } else { b }
}

fn merge_shard(a: CounterShard, b: CounterShard) -> CounterShard {
    use ShardKind::{Global, Local, Remote};
    match (a.kind, b.kind) {
        (Global, Global) | (Remote, Remote) => newer(a, b),
        (Local, Local) => CounterShard {
            clock: a.clock.wrapping_add(b.clock),
            count: a.count.wrapping_add(b.count),
            ..a
        },
        (Global, Local | Remote) | (Local, Remote) => a,
        (Local | Remote, Global) | (Remote, Local) => b,
    }
}

/// Appends the merge of two contexts to `out` (`CounterContext.merge`).
pub fn merge_counter_contexts(a: &[u8], b: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    let (a, b) = (read_shards(a)?, read_shards(b)?);
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        let order = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => x.id.cmp(&y.id),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        match order {
            Ordering::Less => merged.extend(a.next()),
            Ordering::Greater => merged.extend(b.next()),
            Ordering::Equal => {
                if let (Some(x), Some(y)) = (a.next(), b.next()) {
                    merged.push(merge_shard(x, y));
                }
            }
        }
    }
    write_shards(&merged, out);
    Ok(())
}

/// Appends the context of `shards`, which are ascending by id, to `out`.
pub(crate) fn write_shards(shards: &[CounterShard], out: &mut Vec<u8>) {
    let mut header = Vec::new();
    for (index, shard) in shards.iter().enumerate() {
        let index = u16::try_from(index).unwrap_or(u16::MAX) & 0x7fff;
        match shard.kind {
            ShardKind::Global => header.push(index | 0x8000),
            ShardKind::Local => header.push(index),
            ShardKind::Remote => {}
        }
    }
    out.extend_from_slice(&u16::try_from(header.len()).unwrap_or(u16::MAX).to_be_bytes());
    for element in header {
        out.extend_from_slice(&element.to_be_bytes());
    }
    for shard in shards {
        out.extend_from_slice(&shard.id);
        out.extend_from_slice(&shard.clock.to_be_bytes());
        out.extend_from_slice(&shard.count.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(header: &[u16], shards: &[(u8, i64, i64)]) -> Vec<u8> {
        let mut out = u16::try_from(header.len()).unwrap().to_be_bytes().to_vec();
        header.iter().for_each(|e| out.extend(e.to_be_bytes()));
        for (id, clock, count) in shards {
            out.extend([*id; 16]);
            out.extend(clock.to_be_bytes());
            out.extend(count.to_be_bytes());
        }
        out
    }

    fn merged_total(a: &[u8], b: &[u8]) -> i64 {
        let (mut ab, mut ba) = (Vec::new(), Vec::new());
        merge_counter_contexts(a, b, &mut ab).unwrap();
        merge_counter_contexts(b, a, &mut ba).unwrap();
        let total = counter_total(&ab).unwrap();
        assert_eq!(total, counter_total(&ba).unwrap(), "merging must not depend on order");
        total
    }

    #[test]
    fn global_shards_of_one_id_keep_the_higher_clock_and_others_add_up() {
        let a = context(&[0x8000], &[(1, 5, 10)]);
        assert_eq!(merged_total(&a, &context(&[0x8000], &[(1, 6, 7)])), 7);
        assert_eq!(merged_total(&a, &context(&[0x8000], &[(1, 5, 11)])), 11);
        assert_eq!(merged_total(&a, &context(&[0x8000], &[(2, 1, 3)])), 13);
    }

    #[test]
    fn local_shards_add_and_beat_remote_ones_and_lose_to_global_ones() {
        let local = context(&[0], &[(1, 5, 10)]);
        let remote = context(&[], &[(1, 9, 100)]);
        let global = context(&[0x8000], &[(1, 1, 1)]);
        assert_eq!(merged_total(&local, &local), 20);
        assert_eq!(merged_total(&local, &remote), 10);
        assert_eq!(merged_total(&local, &global), 1);
        assert_eq!(merged_total(&remote, &global), 1);
    }

    #[test]
    fn bad_contexts_are_errors() {
        assert!(counter_total(&[]).is_err());
        assert!(counter_total(&[0, 0, 1]).is_err());
        assert!(counter_total(&[0, 1]).is_err());
        assert_eq!(counter_total(&[0, 0]), Ok(0));
        let mut out = Vec::new();
        assert!(
            merge_counter_contexts(&context(&[0x8005], &[(1, 1, 1)]), &[0, 0], &mut out).is_err()
        );
    }
}
