//! Updates as bytes, for the runs: written and read by one process, so nothing here is a format of files.
//!
//! ```text
//! update  := deletion, u8 has a static row, [row], u32 n, n × item, u32 n, n bytes
//! item    := u8 0, row | u8 1 + kind of the marker, deletion that ends, deletion that begins, row
//! row     := u32 n, n × (u8 1, span | u8 0), marker (i64, i32, i64), deletion, u8 flags, u32 n, n × (u16 column, deletion),
//!            u32 n, n × cell
//! cell    := i64 write time, i64 local deletion time, i32 TTL, u16 column, span of the value, span of the path
//! ```
//! The key and the table stand before it ([`super::run`]).

use std::sync::Arc;

use crate::error::DecodeError;
use crate::io::ByteReader;
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, DeletionTime, LivenessInfo,
    LocalDeletionTime, Marker, PartitionUpdate, Row, Span, UpdateContent,
};
use crate::schema::TableMetadata;

const SHADOWABLE: u8 = 1;
const HAS_TIMES: u8 = 2;

const KINDS: [ClusteringKind; 6] = [
    ClusteringKind::ExclEndBound,
    ClusteringKind::InclStartBound,
    ClusteringKind::ExclEndInclStartBoundary,
    ClusteringKind::InclEndExclStartBoundary,
    ClusteringKind::InclEndBound,
    ClusteringKind::ExclStartBound,
];

fn put_len(out: &mut Vec<u8>, len: usize) {
    // Nothing in an update has more than the 4 GiB that its spans can say.
    out.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_span(out: &mut Vec<u8>, span: Span) {
    out.extend(span.start.to_be_bytes());
    out.extend(span.len.to_be_bytes());
}

fn put_deletion(out: &mut Vec<u8>, deletion: DeletionTime) {
    out.extend(deletion.marked_for_delete_at.to_be_bytes());
    out.extend(deletion.local_deletion_time.0.to_be_bytes());
}

fn put_row(out: &mut Vec<u8>, row: &Row) {
    put_len(out, row.clustering.len());
    for value in &row.clustering {
        match value {
            ClusteringValue::Null => out.push(0),
            ClusteringValue::Value(span) => {
                out.push(1);
                put_span(out, *span);
            }
        }
    }
    out.extend(row.liveness.timestamp.to_be_bytes());
    out.extend(row.liveness.ttl.to_be_bytes());
    out.extend(row.liveness.local_deletion_time.0.to_be_bytes());
    put_deletion(out, row.deletion);
    let shadowable = if row.shadowable { SHADOWABLE } else { 0 };
    out.push(shadowable | if row.has_times { HAS_TIMES } else { 0 });
    put_len(out, row.complex.len());
    for complex in &row.complex {
        out.extend(complex.column.to_be_bytes());
        put_deletion(out, complex.deletion);
    }
    put_len(out, row.cells.len());
    for cell in &row.cells {
        out.extend(cell.timestamp.to_be_bytes());
        out.extend(cell.local_deletion_time.0.to_be_bytes());
        out.extend(cell.ttl.to_be_bytes());
        out.extend(cell.column.to_be_bytes());
        put_span(out, cell.value);
        put_span(out, cell.path);
    }
}

/// Appends `update`, without table and key.
pub(super) fn encode(update: &PartitionUpdate, out: &mut Vec<u8>) {
    put_deletion(out, update.deletion);
    out.push(u8::from(update.static_row.is_some()));
    if let Some(row) = &update.static_row {
        put_row(out, row);
    }
    put_len(out, update.content.len());
    for content in &update.content {
        match content {
            UpdateContent::Row(row) => {
                out.push(0);
                put_row(out, row);
            }
            UpdateContent::Marker(marker, row) => {
                let kind = KINDS.iter().position(|kind| *kind == marker.kind);
                out.push(kind.and_then(|kind| u8::try_from(kind + 1).ok()).unwrap_or(0));
                put_deletion(out, marker.end);
                put_deletion(out, marker.start);
                put_row(out, row);
            }
        }
    }
    put_len(out, update.data.len());
    out.extend_from_slice(&update.data);
}

fn read_len(r: &mut ByteReader<'_>) -> Result<usize, DecodeError> {
    let len = r.read_u32("length")?;
    Ok(usize::try_from(len).unwrap_or(usize::MAX))
}

fn read_span(r: &mut ByteReader<'_>) -> Result<Span, DecodeError> {
    Ok(Span { start: r.read_u32("span")?, len: r.read_u32("span")? })
}

fn read_deletion(r: &mut ByteReader<'_>) -> Result<DeletionTime, DecodeError> {
    Ok(DeletionTime {
        marked_for_delete_at: r.read_i64("deletion")?,
        local_deletion_time: LocalDeletionTime(r.read_i64("deletion")?),
    })
}

fn read_row(r: &mut ByteReader<'_>) -> Result<Row, DecodeError> {
    let mut row = Row::EMPTY;
    for _ in 0..read_len(r)? {
        row.clustering.push(match r.read_u8("clustering value")? {
            0 => ClusteringValue::Null,
            _ => ClusteringValue::Value(read_span(r)?),
        });
    }
    row.liveness = LivenessInfo {
        timestamp: r.read_i64("row marker")?,
        ttl: r.read_i32("row marker")?,
        local_deletion_time: LocalDeletionTime(r.read_i64("row marker")?),
    };
    row.deletion = read_deletion(r)?;
    let flags = r.read_u8("flags")?;
    row.shadowable = flags & SHADOWABLE != 0;
    row.has_times = flags & HAS_TIMES != 0;
    for _ in 0..read_len(r)? {
        let column = r.read_u16("column")?;
        row.complex.push(ComplexDeletion { column, deletion: read_deletion(r)? });
    }
    for _ in 0..read_len(r)? {
        row.cells.push(Cell {
            timestamp: r.read_i64("cell")?,
            local_deletion_time: LocalDeletionTime(r.read_i64("cell")?),
            ttl: r.read_i32("cell")?,
            column: r.read_u16("cell")?,
            source: 0,
            value: read_span(r)?,
            path: read_span(r)?,
        });
    }
    Ok(row)
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(
    table: &Arc<TableMetadata>,
    key: &[u8],
    bytes: &[u8],
) -> Result<PartitionUpdate, DecodeError> {
    let mut r = ByteReader::new(bytes);
    let mut update = PartitionUpdate::new(Arc::clone(table), key.to_vec());
    update.deletion = read_deletion(&mut r)?;
    if r.read_u8("static row")? != 0 {
        update.static_row = Some(read_row(&mut r)?);
    }
    for _ in 0..read_len(&mut r)? {
        let kind = usize::from(r.read_u8("kind")?);
        let Some(kind) = kind.checked_sub(1) else {
            update.content.push(UpdateContent::Row(read_row(&mut r)?));
            continue;
        };
        let kind = *KINDS.get(kind).ok_or_else(|| r.invalid("no kind of a marker"))?;
        let (end, start) = (read_deletion(&mut r)?, read_deletion(&mut r)?);
        let marker = Marker { kind, end, start };
        update.content.push(UpdateContent::Marker(marker, read_row(&mut r)?));
    }
    let len = read_len(&mut r)?;
    update.data = r.take(len, "data")?.to_vec();
    r.finish("update")?;
    Ok(update)
}
