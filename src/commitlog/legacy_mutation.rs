//! Mutations of 2.1 and 2.2 (log versions 4 and 5; `Mutation.MutationSerializer`, `ColumnFamilySerializer`).
//!
//! ```text
//! mutation := bytes16 partition key, i32 n, n × family
//! family   := u8 01 (not null), uuid table id, i32 local deletion time, i64 marked-for-delete-at (live: 7fffffff, i64::MIN),
//!             i32 n, n × range, i32 n, n × cell
//! range    := bytes16 start, bytes16 end, i32 local deletion time, i64 marked-for-delete-at
//! cell     := bytes16 name, u8 flags, [04 counter: i64 timestamp of the last delete], [02 expiring: i32 TTL, i32 expiration],
//!             i64 write time, bytes32 value; of a deleted cell (01) the value is its i32 local deletion time
//! ```
//! All has its length, so that of tables that are not known can be passed by.

use super::mutation::MutationError;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::rows::codec::read_deletion_time;
use crate::rows::legacy::{
    LegacyAtom, LegacyCell, LegacyPartition, LegacyRange, read_atom, read_name,
};
use crate::schema::TableId;

/// Not null, an id, a deletion, two counts.
const MIN_FAMILY_LEN: usize = 1 + 16 + 12 + 8;
/// Two lengths and a deletion.
const MIN_RANGE_LEN: usize = 4 + 12;
/// A length, flags, a time, a length.
const MIN_CELL_LEN: usize = 2 + 1 + 8 + 4;

/// A mutation of 2.1 or 2.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyMutation {
    /// Partition key of all updates, serialized.
    pub key: Vec<u8>,
    /// The updates of tables that are wanted.
    pub updates: Vec<(TableId, LegacyPartition)>,
    /// Ids of the tables of the others.
    pub unknown: Vec<TableId>,
}

fn count(r: &mut ByteReader<'_>, what: &'static str, least: usize) -> Result<usize, DecodeError> {
    let at = r.position() as u64;
    let found = r.read_u32(what)?;
    let limit = r.remaining() / least;
    match usize::try_from(found) {
        Ok(found) if found <= limit => Ok(found),
        _ => {
            let kind = DecodeErrorKind::Limit { what, found: found.into(), limit: limit as u64 };
            Err(DecodeError::new(kind, at))
        }
    }
}

fn read_cell(r: &mut ByteReader<'_>) -> Result<LegacyCell, DecodeError> {
    let at = r.position() as u64;
    match read_atom(r)? {
        Some(LegacyAtom::Cell(cell)) => Ok(cell),
        Some(LegacyAtom::Range(_)) => {
            Err(DecodeError::invalid("a range tombstone among the cells of a mutation", at))
        }
        None => Err(DecodeError::invalid("a cell without a name", at)),
    }
}

fn read_range(r: &mut ByteReader<'_>) -> Result<LegacyRange, DecodeError> {
    Ok(LegacyRange {
        start: read_name(r, "start of a range tombstone")?,
        end: read_name(r, "end of a range tombstone")?,
        deletion: read_deletion_time(r, false)?,
    })
}

fn read_family(r: &mut ByteReader<'_>) -> Result<LegacyPartition, DecodeError> {
    let base = r.position() as u64;
    let bytes = r.rest();
    // Of its own, so that the spans begin where the bytes that are kept begin.
    let mut own = ByteReader::new(bytes);
    let partition = read_family_body(&mut own).map_err(|e| e.shifted(base))?;
    r.skip(own.position(), "column family")?;
    let data = bytes.get(..own.position()).unwrap_or_default().to_vec();
    Ok(LegacyPartition { data, ..partition })
}

fn read_family_body(r: &mut ByteReader<'_>) -> Result<LegacyPartition, DecodeError> {
    let deletion = read_deletion_time(r, false)?;
    let ranges = count(r, "number of range tombstones", MIN_RANGE_LEN)?;
    let ranges = (0..ranges).map(|_| read_range(r)).collect::<Result<_, _>>()?;
    let cells = count(r, "number of cells", MIN_CELL_LEN)?;
    let cells = (0..cells).map(|_| read_cell(r)).collect::<Result<_, _>>()?;
    let deletion = (!deletion.is_live()).then_some(deletion);
    Ok(LegacyPartition { deletion, ranges, cells, data: Vec::new() })
}

/// Reads past a column family without keeping anything of it.
pub(super) fn skip_family(r: &mut ByteReader<'_>) -> Result<(), DecodeError> {
    read_deletion_time(r, false)?;
    for _ in 0..count(r, "number of range tombstones", MIN_RANGE_LEN)? {
        read_range(r)?;
    }
    for _ in 0..count(r, "number of cells", MIN_CELL_LEN)? {
        read_cell(r)?;
    }
    Ok(())
}

/// Reads the key and the number of column families.
pub(super) fn read_legacy_head<'a>(
    r: &mut ByteReader<'a>,
) -> Result<(&'a [u8], usize), DecodeError> {
    let key = r.read_bytes16("partition key")?;
    let families = count(r, "number of column families", MIN_FAMILY_LEN)?;
    if families == 0 {
        return Err(r.invalid("a mutation of nothing"));
    }
    Ok((key, families))
}

/// Reads the table of a column family.
pub(super) fn read_legacy_table(r: &mut ByteReader<'_>) -> Result<TableId, DecodeError> {
    let at = r.position() as u64;
    let present = r.read_u8("column family")?;
    if present != 1 {
        let kind = DecodeErrorKind::InvalidTag { what: "column family", value: present.into() };
        return Err(DecodeError::new(kind, at));
    }
    Ok(TableId(r.read_uuid("table id")?))
}

/// Decodes a mutation of log version 4 or 5; updates of tables that are not `wanted` are passed by.
pub fn decode_legacy_mutation(
    payload: &[u8],
    wanted: &dyn Fn(TableId) -> bool,
) -> Result<LegacyMutation, MutationError> {
    let mut r = ByteReader::new(payload);
    let key = r.read_bytes16("partition key")?.to_vec();
    let families = count(&mut r, "number of column families", MIN_FAMILY_LEN)?;
    let mut mutation = LegacyMutation { key, updates: Vec::new(), unknown: Vec::new() };
    if families == 0 {
        return Err(r.invalid("a mutation of nothing").into());
    }
    for _ in 0..families {
        let present = r.read_u8("column family")?;
        if present != 1 {
            let kind = DecodeErrorKind::InvalidTag { what: "column family", value: present.into() };
            return Err(r.error(kind).into());
        }
        let table = TableId(r.read_uuid("table id")?);
        if wanted(table) {
            mutation.updates.push((table, read_family(&mut r)?));
        } else {
            skip_family(&mut r)?;
            mutation.unknown.push(table);
        }
    }
    r.finish("mutation")?;
    Ok(mutation)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::rows::LocalDeletionTime;

    fn hex(text: &str) -> Vec<u8> {
        hex_simd::decode_to_vec(text.replace([' ', '\n'], "")).unwrap()
    }

    const LIVE: &str = "7fffffff 8000000000000000";

    fn any(payload: &[u8]) -> Result<LegacyMutation, MutationError> {
        decode_legacy_mutation(payload, &|_| true)
    }

    /// The smallest mutation of a log of 2.2.
    #[test]
    fn a_mutation_of_a_real_log() {
        let payload = hex(
            "0003 204341 00000001 01 b28a7000360d11e5ae92afadad37221d 7fffffff 8000000000000000
             00000000 00000001 0005 6e616d6530 00 0000014eda9d5565 00000000",
        );
        let mutation = any(&payload).unwrap();
        assert_eq!(mutation.key, b" CA");
        let [(table, update)] = &mutation.updates[..] else { panic!() };
        let id: Uuid = "b28a7000-360d-11e5-ae92-afadad37221d".parse().unwrap();
        assert_eq!((*table, update.deletion), (TableId(id), None));
        let [cell] = &update.cells[..] else { panic!() };
        assert_eq!(cell.name.of(&update.data), b"name0");
        assert_eq!(cell.timestamp, 0x014e_da9d_5565);
        let passed = decode_legacy_mutation(&payload, &|_| false).unwrap();
        assert_eq!(passed.unknown, [TableId(id)]);
    }

    fn all_kinds() -> Vec<u8> {
        let id = "00000000000000000000000000000007";
        let range = "0002 6161 0003 616263 00000009 0000000000000005";
        let plain = "0001 61 00 0000000000000001 00000002 7676";
        let deleted = "0001 62 01 0000000000000002 00000004 00000063";
        let expiring = "0001 63 02 0000003c 00000064 0000000000000003 00000001 78";
        let counter = "0001 64 04 8000000000000000 0000000000000004 00000002 0000";
        let first = format!(
            "01 {id} 00000008 0000000000000006 00000001 {range} 00000004 {plain} {deleted} {expiring} {counter}"
        );
        let second = format!("01 {id} {LIVE} 00000000 00000001 {plain}");
        hex(&format!("0001 6b 00000002 {first} {second}"))
    }

    #[test]
    fn every_kind_of_cell_is_read() {
        let mutation = any(&all_kinds()).unwrap();
        let [(_, first), (_, second)] = &mutation.updates[..] else { panic!() };
        assert_eq!(first.deletion.unwrap().marked_for_delete_at, 6);
        let [range] = &first.ranges[..] else { panic!() };
        assert_eq!(range.start.of(&first.data), b"aa");
        assert_eq!(range.end.of(&first.data), b"abc");
        assert_eq!(range.deletion.marked_for_delete_at, 5);
        let cells: Vec<_> = first
            .cells
            .iter()
            .map(|c| {
                let (name, value) = (c.name.of(&first.data), c.value.of(&first.data));
                (name, value, c.timestamp, c.local_deletion_time, c.ttl)
            })
            .collect();
        let none = LocalDeletionTime::NONE;
        assert_eq!(
            cells,
            [
                (&b"a"[..], &b"vv"[..], 1, none, 0),
                (b"b", b"", 2, LocalDeletionTime(99), 0),
                (b"c", b"x", 3, LocalDeletionTime(100), 60),
                (b"d", b"\0\0", 4, none, 0),
            ]
        );
        assert_eq!(second.cells[0].value.of(&second.data), b"vv");
    }

    #[test]
    fn no_prefix_is_a_mutation_and_no_flipped_bit_panics() {
        let payload = all_kinds();
        for len in 0..payload.len() {
            assert!(any(&payload[..len]).is_err(), "{len}");
            assert!(decode_legacy_mutation(&payload[..len], &|_| false).is_err(), "{len}");
        }
        assert!(any(&[&payload[..], &[0]].concat()).is_err());
        for bit in 0..payload.len() * 8 {
            let mut payload = payload.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            let found = any(&payload);
            let passed = decode_legacy_mutation(&payload, &|_| false);
            assert_eq!(found.is_ok(), passed.is_ok(), "bit {bit}");
            for (_, update) in found.iter().flat_map(|m| &m.updates) {
                let spans = update.cells.iter().flat_map(|c| [c.name, c.value]);
                for span in spans.chain(update.ranges.iter().flat_map(|r| [r.start, r.end])) {
                    assert!(span.start as usize + span.len as usize <= update.data.len());
                }
            }
        }
    }
}
