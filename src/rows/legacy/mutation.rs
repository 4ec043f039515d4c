//! A partition of 2.x that is held in memory: cells, and the range tombstones apart from them (`ColumnFamily`).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::error::DecodeError;
use crate::rows::codec::CellsLeftOut;
use crate::rows::{Cell, ClusteringValue, DeletionTime, PartitionUpdate, Row, Span, UpdateContent};
use crate::schema::TableMetadata;

use super::assembler::{Offer, RowAssembler};
use super::atom::{LegacyAtom, LegacyCell, LegacyRange};
use super::bounds::{DecodedRange, Scope};
use super::names::LegacyLayout;

/// What a mutation of 2.0 to 2.2 says of one partition of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegacyPartition {
    /// Deletion of the whole partition; none for no deletion.
    pub deletion: Option<DeletionTime>,
    /// Range tombstones (`DeletionInfo.ranges`).
    pub ranges: Vec<LegacyRange>,
    /// Cells in order of their names.
    pub cells: Vec<LegacyCell>,
    /// What the spans point into.
    pub data: Vec<u8>,
}

enum Piece {
    Cell(LegacyCell),
    Range(LegacyRange, Box<DecodedRange>),
}

struct Placed {
    row: Row,
    side: i8,
    piece: Piece,
}

fn as_bytes(cell: &Cell, data: &[u8]) -> impl Ord {
    cell.value.of(data).iter().map(|b| b.cast_signed()).collect::<Vec<_>>()
}

/// True if `a` stays where both are of one column and element (`Cell.reconcile`).
fn stays(a: &Cell, b: &Cell, data: &[u8]) -> bool {
    let rank = |cell: &Cell| (cell.timestamp, cell.is_tombstone());
    match rank(a).cmp(&rank(b)) {
        Ordering::Equal => {
            (as_bytes(a, data), a.local_deletion_time) >= (as_bytes(b, data), b.local_deletion_time)
        }
        order => order.is_gt(),
    }
}

/// Cells in order of columns and elements, one of each.
fn settle(row: &mut Row, layout: &LegacyLayout, is_static: bool, data: &[u8]) {
    let order = |a: &Cell, b: &Cell| {
        a.column.cmp(&b.column).then_with(|| {
            let (a_path, b_path) = (a.path.of(data), b.path.of(data));
            layout.order.compare_paths(is_static, a.column, a_path, b_path)
        })
    };
    row.cells.sort_by(order);
    row.cells.dedup_by(|later, kept| {
        let same = order(later, kept).is_eq();
        if same && !stays(kept, later, data) {
            *kept = *later;
        }
        same
    });
}

/// Moves the spans of `row`, which points into `from`, to a copy of it behind `to`.
fn append(row: &mut Row, from: &[u8], to: &mut Vec<u8>) -> Result<(), DecodeError> {
    let base = match (u32::try_from(to.len()), u32::try_from(to.len() + from.len())) {
        (Ok(base), Ok(_)) => base,
        _ => return Err(DecodeError::invalid("a mutation of more than 4 GiB", 0)),
    };
    to.extend_from_slice(from);
    let shift = |span: &mut Span| span.start += base;
    for value in &mut row.clustering {
        if let ClusteringValue::Value(span) = value {
            shift(span);
        }
    }
    for cell in &mut row.cells {
        shift(&mut cell.value);
        shift(&mut cell.path);
    }
    Ok(())
}

impl LegacyPartition {
    /// The same in the model of 3.0. Cells that are not kept are counted in `left_out`.
    pub fn into_update(
        self,
        layout: &Arc<LegacyLayout>,
        table: Arc<TableMetadata>,
        key: Vec<u8>,
        left_out: &mut CellsLeftOut,
    ) -> Result<PartitionUpdate, DecodeError> {
        let mut update = PartitionUpdate::new(table, key);
        let mut assembler = RowAssembler::new(Arc::clone(layout));
        let Self { deletion, ranges, cells, data } = self;
        update.deletion = deletion.unwrap_or(DeletionTime::LIVE);
        let placed = place(layout, &mut assembler, &data, &ranges, &cells)?;
        assembler.finish_static();
        let mut content = Vec::new();
        let mut extra = Vec::new();
        for Placed { piece, .. } in &placed {
            loop {
                let offer = match piece {
                    Piece::Cell(cell) => assembler.offer(&data, &LegacyAtom::Cell(*cell))?,
                    Piece::Range(range, decoded) => assembler.offer_piece(&data, range, decoded)?,
                };
                if offer == Offer::Taken {
                    break;
                }
                take(&mut assembler, layout, offer, &data, &mut extra, &mut content);
            }
        }
        loop {
            let offer = assembler.end(&data);
            if offer == Offer::End {
                break;
            }
            take(&mut assembler, layout, offer, &data, &mut extra, &mut content);
        }
        update.data = data;
        for (index, bytes) in extra {
            if let Some(UpdateContent::Marker(_, row)) = content.get_mut(index) {
                append(row, &bytes, &mut update.data)?;
            }
        }
        update.content = content;
        if let Some(view) = assembler.static_row() {
            let mut row = view.row.clone();
            settle(&mut row, layout, true, view.data);
            append(&mut row, view.data, &mut update.data)?;
            update.static_row = Some(row);
        }
        left_out.dropped += assembler.left_out.dropped;
        left_out.hidden += assembler.left_out.hidden;
        Ok(update)
    }
}

/// What is not of the static row, in the order of an SSTable; the rest goes to the assembler at once.
fn place(
    layout: &LegacyLayout,
    assembler: &mut RowAssembler,
    data: &[u8],
    ranges: &[LegacyRange],
    cells: &[LegacyCell],
) -> Result<Vec<Placed>, DecodeError> {
    let mut placed = Vec::with_capacity(ranges.len() + cells.len());
    for range in ranges {
        if layout.is_all_static() {
            assembler.offer_static(data, &LegacyAtom::Range(*range))?;
            continue;
        }
        let decoded = DecodedRange::new(layout, data, range)?;
        assembler.delete_static(data, &decoded);
        let side = match decoded.scope {
            Scope::Nothing => continue,
            Scope::Row | Scope::Column(_) => 0,
            Scope::Range => decoded.start.side,
        };
        let row = decoded.start.row.clone();
        placed.push(Placed { row, side, piece: Piece::Range(*range, Box::new(decoded)) });
    }
    for cell in cells {
        if assembler.offer_static(data, &LegacyAtom::Cell(*cell))? {
            continue;
        }
        let mut row = Row::EMPTY;
        layout.read_clustering(data, cell.name, &mut row.clustering)?;
        placed.push(Placed { row, side: 0, piece: Piece::Cell(*cell) });
    }
    placed.sort_by(|a, b| layout.compare((&a.row, data, a.side), (&b.row, data, b.side)));
    Ok(placed)
}

fn take(
    assembler: &mut RowAssembler,
    layout: &LegacyLayout,
    offer: Offer,
    data: &[u8],
    extra: &mut Vec<(usize, Vec<u8>)>,
    content: &mut Vec<UpdateContent>,
) {
    match offer {
        Offer::Row => {
            let mut row = assembler.row().clone();
            settle(&mut row, layout, false, data);
            if !row.says_nothing() {
                content.push(UpdateContent::Row(row));
            }
        }
        Offer::Marker(marker) => {
            let view = assembler.marker_row();
            extra.push((content.len(), view.data.to_vec()));
            content.push(UpdateContent::Marker(marker, view.row.clone()));
        }
        Offer::Taken | Offer::End => {}
    }
}
