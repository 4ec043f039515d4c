//! Rows and partitions as the state keeps them.
//!
//! ```text
//! row        layout (uvint), what was shown, [expiry], [other spellings of its clustering], cells
//! partition  layout, flags, live rows, what was shown of it alone, [expiry], deletion, static row, range tombstones
//! ```
//! All numbers are variable-length, all bytes have their length before them. A layout is a list of the names of the static and
//! the regular columns when it was written, so that columns which are added later change nothing.

use std::sync::Arc;

use super::spelling::Clustering;
use crate::error::{DecodeError, Error, Result};
use crate::io::{ByteReader, put_svint, put_uvint};
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, DeletionTime, LivenessInfo,
    LocalDeletionTime, Marker, NO_TTL, PartitionUpdate, Row, RowView, Span, UpdateContent,
};
use crate::schema::TableMetadata;

/// What the target has of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    /// Nothing that we know of.
    #[default]
    Never,
    /// It came with the extract: a node had it stored.
    Stored,
    /// We wrote it; a digest of its text.
    Row(u128),
    /// We wrote its deletion.
    Deleted,
}

impl Shown {
    /// True if the target has a row.
    pub(super) fn is_there(self) -> bool {
        matches!(self, Self::Stored | Self::Row(_))
    }
}

/// A row of the state.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredRow {
    /// The row, alone in its partition.
    pub(super) update: Option<PartitionUpdate>,
    pub(super) shown: Shown,
    /// When something of it expires next; seconds since 1970.
    pub(super) expires: Option<i64>,
    /// Other spellings of its clustering.
    pub(super) spellings: Vec<Spelling>,
}

/// A spelling of a row's clustering that does not stand for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spelling {
    pub(super) clustering: Clustering,
    /// We wrote its deletion.
    pub(super) is_deleted: bool,
}

/// What the state has of a partition besides its rows.
#[derive(Debug, Clone)]
pub(super) struct StoredPartition {
    /// Deletion, static row and range tombstones.
    pub(super) update: PartitionUpdate,
    /// A change wrote static columns, or may end rows: then rows of the partition are known if there are any.
    pub(super) whole: bool,
    /// A change wrote its static columns or deleted it: rows that become known now missed that, and are not as the target has them.
    pub(super) statics_written: bool,
    /// Rows that the target has, as far as we know.
    pub(super) live_rows: u64,
    /// What the target has of the record for a partition without rows.
    pub(super) shown: Shown,
    /// When something of the static row expires next.
    pub(super) expires: Option<i64>,
}

impl StoredPartition {
    /// One of which nothing was written, with this deletion, static row and range tombstones.
    pub(super) fn unwritten(update: PartitionUpdate) -> Self {
        Self {
            update,
            whole: false,
            statics_written: false,
            live_rows: 0,
            shown: Shown::Never,
            expires: None,
        }
    }
}

/// Columns of an older layout among those of the table: none for one that is gone.
pub(super) type ColumnMap = Vec<Option<u16>>;

/// How the columns of a layout are found in the table: static ones and regular ones.
#[derive(Debug, Clone)]
pub(super) struct LayoutMap {
    pub(super) statics: ColumnMap,
    pub(super) regulars: ColumnMap,
}

impl LayoutMap {
    /// Finds the columns `statics` and `regulars` in `table`.
    pub(super) fn new(table: &TableMetadata, statics: &[String], regulars: &[String]) -> Self {
        let find = |columns: &[crate::schema::ColumnMetadata], names: &[String]| {
            let place = |name: &String| {
                let place = columns.iter().position(|column| column.name == *name)?;
                u16::try_from(place).ok()
            };
            names.iter().map(place).collect()
        };
        Self { statics: find(&table.statics, statics), regulars: find(&table.regulars, regulars) }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_shown(out: &mut Vec<u8>, shown: Shown, expires: Option<i64>, spellings: &[Spelling]) {
    let (code, digest) = match shown {
        Shown::Never => (0, None),
        Shown::Stored => (1, None),
        Shown::Row(digest) => (2, Some(digest)),
        Shown::Deleted => (3, None),
    };
    out.push(code | u8::from(expires.is_some()) << 2 | u8::from(!spellings.is_empty()) << 3);
    if let Some(digest) = digest {
        out.extend_from_slice(&digest.to_be_bytes());
    }
    if let Some(expires) = expires {
        put_svint(out, expires);
    }
    if !spellings.is_empty() {
        put_uvint(out, spellings.len() as u64);
    }
    for Spelling { clustering, is_deleted } in spellings {
        out.push(u8::from(*is_deleted));
        put_values(out, clustering.iter().map(Option::as_deref));
    }
}

fn put_deletion(out: &mut Vec<u8>, deletion: DeletionTime) {
    put_svint(out, deletion.marked_for_delete_at);
    put_svint(out, deletion.local_deletion_time.0);
}

fn put_clustering(out: &mut Vec<u8>, view: RowView<'_>) {
    put_values(out, view.row.clustering.iter().map(|value| value.bytes(view.data)));
}

fn put_values<'v>(out: &mut Vec<u8>, values: impl ExactSizeIterator<Item = Option<&'v [u8]>>) {
    put_uvint(out, values.len() as u64);
    for value in values {
        match value {
            None => put_uvint(out, 0),
            Some(bytes) => {
                put_uvint(out, bytes.len() as u64 + 1);
                out.extend_from_slice(bytes);
            }
        }
    }
}

fn put_row(out: &mut Vec<u8>, view: RowView<'_>) {
    let RowView { row, data } = view;
    put_clustering(out, view);
    let (liveness, deletion) = (row.liveness, row.deletion);
    let expiring = liveness.ttl != NO_TTL;
    out.push(
        u8::from(!liveness.is_empty())
            | u8::from(expiring) << 1
            | u8::from(!deletion.is_live()) << 2
            | u8::from(row.shadowable) << 3,
    );
    if !liveness.is_empty() {
        put_svint(out, liveness.timestamp);
    }
    if expiring {
        put_svint(out, i64::from(liveness.ttl));
        put_svint(out, liveness.local_deletion_time.0);
    }
    if !deletion.is_live() {
        put_deletion(out, deletion);
    }
    put_uvint(out, row.complex.len() as u64);
    for complex in &row.complex {
        put_uvint(out, u64::from(complex.column));
        put_deletion(out, complex.deletion);
    }
    put_uvint(out, row.cells.len() as u64);
    for cell in &row.cells {
        let (has_time, has_ttl) = (cell.local_deletion_time.is_some(), cell.ttl != NO_TTL);
        put_uvint(out, u64::from(cell.column));
        out.push(u8::from(has_time) | u8::from(has_ttl) << 1);
        put_svint(out, cell.timestamp);
        if has_time {
            put_svint(out, cell.local_deletion_time.0);
        }
        if has_ttl {
            put_svint(out, i64::from(cell.ttl));
        }
        put_bytes(out, cell.path.of(data));
        put_bytes(out, cell.value.of(data));
    }
}

/// Writes a row of the state.
pub(super) fn encode_row(layout: u32, stored: &StoredRow) -> Vec<u8> {
    let mut out = Vec::new();
    put_uvint(&mut out, u64::from(layout));
    put_shown(&mut out, stored.shown, stored.expires, &stored.spellings);
    if let Some(update) = &stored.update
        && let Some(UpdateContent::Row(row)) = update.content.first()
    {
        put_row(&mut out, RowView { row, data: &update.data });
    }
    out
}

/// Writes a partition of the state.
pub(super) fn encode_partition(layout: u32, stored: &StoredPartition) -> Vec<u8> {
    let mut out = Vec::new();
    let update = &stored.update;
    put_uvint(&mut out, u64::from(layout));
    put_shown(&mut out, stored.shown, stored.expires, &[]);
    put_uvint(&mut out, stored.live_rows);
    out.push(
        u8::from(stored.whole)
            | u8::from(!update.deletion.is_live()) << 1
            | u8::from(update.static_row.is_some()) << 2
            | u8::from(stored.statics_written) << 3,
    );
    if !update.deletion.is_live() {
        put_deletion(&mut out, update.deletion);
    }
    if let Some(row) = &update.static_row {
        put_row(&mut out, RowView { row, data: &update.data });
    }
    let markers = update.content.iter().filter_map(|content| match content {
        UpdateContent::Marker(marker, row) => Some((marker, row)),
        UpdateContent::Row(_) => None,
    });
    put_uvint(&mut out, markers.clone().count() as u64);
    for (marker, row) in markers {
        out.push(kind_code(marker.kind));
        if marker.kind.is_end() {
            put_deletion(&mut out, marker.end);
        }
        if marker.kind.is_start() {
            put_deletion(&mut out, marker.start);
        }
        put_clustering(&mut out, RowView { row, data: &update.data });
    }
    out
}

fn kind_code(kind: ClusteringKind) -> u8 {
    match kind {
        ClusteringKind::ExclEndBound => 0,
        ClusteringKind::InclStartBound => 1,
        ClusteringKind::ExclEndInclStartBoundary => 2,
        ClusteringKind::Clustering => 4,
        ClusteringKind::InclEndExclStartBoundary => 5,
        ClusteringKind::InclEndBound => 6,
        ClusteringKind::ExclStartBound => 7,
    }
}

/// Reads what was written, into the columns that the table has now.
pub(super) struct StateReader<'a> {
    r: ByteReader<'a>,
    update: PartitionUpdate,
}

impl<'a> StateReader<'a> {
    /// Over the bytes of a row or a partition with the key `key` of `table`.
    pub(super) fn new(bytes: &'a [u8], table: &Arc<TableMetadata>, key: &[u8]) -> Self {
        let update = PartitionUpdate::new(Arc::clone(table), key.to_vec());
        Self { r: ByteReader::new(bytes), update }
    }

    /// The layout that it was written with: to be read first.
    pub(super) fn layout(&mut self) -> Result<u32> {
        let layout = self.r.read_uvint("layout").map_err(damaged)?;
        u32::try_from(layout).map_err(|_| damaged(self.r.invalid("no such layout")))
    }

    /// The rest of a row.
    pub(super) fn row(mut self, map: &LayoutMap) -> Result<StoredRow> {
        let read = |this: &mut Self| -> Result<StoredRow, DecodeError> {
            let (shown, expires, spellings) = this.shown()?;
            if this.r.is_empty() {
                return Ok(StoredRow { update: None, shown, expires, spellings });
            }
            let row = this.read_row(&map.regulars)?;
            this.update.content.push(UpdateContent::Row(row));
            this.r.finish("row")?;
            Ok(StoredRow { update: None, shown, expires, spellings })
        };
        let mut stored = read(&mut self).map_err(damaged)?;
        stored.update = (!self.update.content.is_empty()).then_some(self.update);
        Ok(stored)
    }

    /// The rest of a partition.
    pub(super) fn partition(mut self, map: &LayoutMap) -> Result<StoredPartition> {
        let (shown, expires, live_rows, flags) = self.read_partition(map).map_err(damaged)?;
        let (whole, statics_written) = (flags & 1 != 0, flags & 8 != 0);
        Ok(StoredPartition {
            update: self.update,
            whole,
            statics_written,
            live_rows,
            shown,
            expires,
        })
    }

    fn read_partition(
        &mut self,
        map: &LayoutMap,
    ) -> Result<(Shown, Option<i64>, u64, u8), DecodeError> {
        let (shown, expires, _) = self.shown()?;
        let live_rows = self.r.read_uvint("live rows")?;
        let flags = self.r.read_u8("flags")?;
        if flags & 2 != 0 {
            self.update.deletion = self.deletion()?;
        }
        if flags & 4 != 0 {
            let row = self.read_row(&map.statics)?;
            self.update.static_row = Some(row);
        }
        for _ in 0..self.r.read_uvint("number of markers")? {
            let code = self.r.read_u8("kind of a marker")?;
            let kind = ClusteringKind::from_code(code)
                .filter(|kind| *kind != ClusteringKind::Clustering)
                .ok_or_else(|| self.r.invalid(format!("no kind of a marker: {code}")))?;
            let end = if kind.is_end() { self.deletion()? } else { DeletionTime::LIVE };
            let start = if kind.is_start() { self.deletion()? } else { DeletionTime::LIVE };
            let mut row = Row::EMPTY;
            self.clustering(&mut row)?;
            self.update.content.push(UpdateContent::Marker(Marker { kind, end, start }, row));
        }
        self.r.finish("partition")?;
        Ok((shown, expires, live_rows, flags))
    }

    fn shown(&mut self) -> Result<(Shown, Option<i64>, Vec<Spelling>), DecodeError> {
        let flags = self.r.read_u8("what was shown")?;
        let shown = match flags & 3 {
            0 => Shown::Never,
            1 => Shown::Stored,
            2 => Shown::Row(self.r.read_uuid("digest")?.as_u128()),
            _ => Shown::Deleted,
        };
        let expires = if flags & 4 != 0 { Some(self.r.read_svint("expiry")?) } else { None };
        let mut spellings = Vec::new();
        if flags & 8 != 0 {
            for _ in 0..self.r.read_uvint("number of spellings")? {
                let is_deleted = self.r.read_u8("whether a spelling is deleted")? != 0;
                let mut clustering = Clustering::new();
                for _ in 0..self.r.read_uvint("number of clustering values")? {
                    clustering.push(self.clustering_value()?.map(<[u8]>::to_vec));
                }
                spellings.push(Spelling { clustering, is_deleted });
            }
        }
        Ok((shown, expires, spellings))
    }

    fn span(&mut self, bytes: &[u8]) -> Result<Span, DecodeError> {
        let (start, len) = (u32::try_from(self.update.data.len()), u32::try_from(bytes.len()));
        self.update.data.extend_from_slice(bytes);
        match (start, len) {
            (Ok(start), Ok(len)) => Ok(Span { start, len }),
            _ => Err(self.r.invalid("a row of more than 4 GiB")),
        }
    }

    fn deletion(&mut self) -> Result<DeletionTime, DecodeError> {
        Ok(DeletionTime {
            marked_for_delete_at: self.r.read_svint("deletion")?,
            local_deletion_time: LocalDeletionTime(self.r.read_svint("deletion")?),
        })
    }

    fn clustering(&mut self, row: &mut Row) -> Result<(), DecodeError> {
        for _ in 0..self.r.read_uvint("number of clustering values")? {
            let value = match self.clustering_value()? {
                None => ClusteringValue::Null,
                Some(bytes) => ClusteringValue::Value(self.span(bytes)?),
            };
            row.clustering.push(value);
        }
        Ok(())
    }

    fn clustering_value(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let Some(len) = self.r.read_uvint("clustering value")?.checked_sub(1) else {
            return Ok(None);
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.r.take(len, "clustering value").map(Some)
    }

    fn ttl(&mut self) -> Result<i32, DecodeError> {
        let ttl = self.r.read_svint("ttl")?;
        i32::try_from(ttl).map_err(|_| self.r.invalid("a ttl of more than 32 bits"))
    }

    fn column(&mut self) -> Result<usize, DecodeError> {
        let column = self.r.read_uvint("column")?;
        usize::try_from(column).map_err(|_| self.r.invalid("no such column"))
    }

    fn read_row(&mut self, map: &ColumnMap) -> Result<Row, DecodeError> {
        let mut row = Row::EMPTY;
        self.clustering(&mut row)?;
        let flags = self.r.read_u8("flags of a row")?;
        if flags & 1 != 0 {
            row.liveness.timestamp = self.r.read_svint("time of the marker")?;
        }
        if flags & 2 != 0 {
            let ttl = self.ttl()?;
            let local_deletion_time = LocalDeletionTime(self.r.read_svint("expiry")?);
            row.liveness = LivenessInfo { ttl, local_deletion_time, ..row.liveness };
        }
        if flags & 4 != 0 {
            row.deletion = self.deletion()?;
        }
        row.shadowable = flags & 8 != 0;
        row.has_times = flags & 2 != 0;
        for _ in 0..self.r.read_uvint("number of columns")? {
            let column = self.column()?;
            let deletion = self.deletion()?;
            if let Some(Some(column)) = map.get(column).copied() {
                row.complex.push(ComplexDeletion { column, deletion });
            }
        }
        for _ in 0..self.r.read_uvint("number of cells")? {
            let column = self.column()?;
            let flags = self.r.read_u8("flags of a cell")?;
            let timestamp = self.r.read_svint("write time")?;
            let mut local_deletion_time = LocalDeletionTime::NONE;
            if flags & 1 != 0 {
                local_deletion_time = LocalDeletionTime(self.r.read_svint("expiry")?);
            }
            let ttl = if flags & 2 != 0 { self.ttl()? } else { NO_TTL };
            let path = self.r.read_bytesv("path")?;
            let value = self.r.read_bytesv("value")?;
            let Some(Some(column)) = map.get(column).copied() else { continue };
            let (path, value) = (self.span(path)?, self.span(value)?);
            row.has_times |= local_deletion_time.is_some();
            row.cells.push(Cell {
                timestamp,
                local_deletion_time,
                ttl,
                column,
                source: 0,
                value,
                path,
            });
        }
        // Columns that were added may stand between the old ones, not change their order: but a type that was widened
        // can make a simple column of one, so nothing is taken for granted.
        row.cells.sort_by_key(|cell| cell.column);
        row.complex.sort_by_key(|complex| complex.column);
        Ok(row)
    }
}

/// The state is ours: bytes in it that are not understood were changed by somebody else, or by the disk.
pub(super) fn damaged(error: DecodeError) -> Error {
    Error::Refused {
        what: format!("the sequencer's state is damaged: {error}"),
        hint: Some("remove the state directory: it is made again from the change records".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::changes::samples::{Tape, table, update};

    fn names(columns: &[crate::schema::ColumnMetadata]) -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).collect()
    }

    fn same_layout(table: &TableMetadata) -> LayoutMap {
        LayoutMap::new(table, &names(&table.statics), &names(&table.regulars))
    }

    /// An update with its bytes laid out anew, so that two can be compared.
    fn spelled(update: &PartitionUpdate) -> String {
        let row = |row: &Row| {
            let data = &update.data;
            let clustering: Vec<_> = row.clustering.iter().map(|v| v.bytes(data)).collect();
            let cells: Vec<_> = row
                .cells
                .iter()
                .map(|c| {
                    let times = (c.timestamp, c.local_deletion_time, c.ttl);
                    (c.column, times, c.path.of(data), c.value.of(data))
                })
                .collect();
            let rest = (row.liveness, row.deletion, row.shadowable, &row.complex, row.has_times);
            format!("{clustering:?} {rest:?} {cells:?}")
        };
        let content: Vec<_> = update
            .content
            .iter()
            .map(|content| match content {
                UpdateContent::Row(of) => format!("row {}", row(of)),
                UpdateContent::Marker(marker, of) => format!("{marker:?} {}", row(of)),
            })
            .collect();
        let statics = update.static_row.as_ref().map(row);
        format!("{:?} {statics:?} {content:?}", update.deletion)
    }

    proptest! {
        #[test]
        fn rows_and_partitions_read_back(choices in proptest::collection::vec(any::<u16>(), 0..500)) {
            let mut t = Tape { choices: &choices, at: 0 };
            let table = table(&mut t);
            let mut whole = update(&mut t, &table);
            let shown = t.pick(&[Shown::Never, Shown::Stored, Shown::Row(u128::MAX - 3), Shown::Deleted]);
            let expires = t.pick(&[None, Some(-1), Some(i64::MAX)]);
            let map = same_layout(&table);
            let rows = std::mem::take(&mut whole.content);
            for content in rows {
                if let UpdateContent::Row(_) = &content {
                    let one = PartitionUpdate {
                        deletion: DeletionTime::LIVE,
                        static_row: None,
                        content: vec![content],
                        ..whole.clone()
                    };
                    let several = vec![
                        Spelling { clustering: vec![None, Some(vec![1, 2])], is_deleted: true },
                        Spelling { clustering: vec![Some(Vec::new())], is_deleted: false },
                    ];
                    let spellings = if t.one_in(2) { several } else { Vec::new() };
                    let update = Some(one.clone());
                    let stored = StoredRow { update, shown, expires, spellings: spellings.clone() };
                    let bytes = encode_row(7, &stored);
                    let mut reader = StateReader::new(&bytes, &table, &one.key);
                    prop_assert_eq!(reader.layout().unwrap(), 7);
                    let back = reader.row(&map).unwrap();
                    prop_assert_eq!((back.shown, back.expires), (shown, expires));
                    prop_assert_eq!(back.spellings, spellings);
                    prop_assert_eq!(spelled(&back.update.unwrap()), spelled(&one));
                } else {
                    whole.content.push(content);
                }
            }
            let stored = StoredPartition {
                update: whole.clone(), whole: expires.is_some(), statics_written: expires.is_none(), live_rows: 300, shown, expires,
            };
            let bytes = encode_partition(0, &stored);
            let mut reader = StateReader::new(&bytes, &table, &whole.key);
            reader.layout().unwrap();
            let back = reader.partition(&map).unwrap();
            prop_assert_eq!((back.shown, back.expires, back.live_rows), (shown, expires, 300));
            prop_assert_eq!((back.whole, back.statics_written), (expires.is_some(), expires.is_none()));
            prop_assert_eq!(spelled(&back.update), spelled(&whole));
            for end in 0..bytes.len() {
                let mut reader = StateReader::new(&bytes[..end], &table, &whole.key);
                prop_assert!(reader.layout().and_then(|_| reader.partition(&map)).is_err());
            }
        }
    }

    #[test]
    fn columns_are_found_by_name_and_what_is_gone_is_left_out() {
        let parse = |columns: &str| {
            let text = format!("CREATE TABLE ks.t (k int PRIMARY KEY, {columns});");
            let schema = crate::schema::parse_schema(&text, None).unwrap();
            Arc::new(schema.table("ks", "t").unwrap().clone())
        };
        let (old, new) = (parse("b int, d int"), parse("a int, c set<int>, d int"));
        let mut one = PartitionUpdate::new(Arc::clone(&old), vec![0, 0, 0, 1]);
        one.data = vec![0, 0, 0, 5];
        let cell = |column| Cell {
            timestamp: 1,
            local_deletion_time: LocalDeletionTime::NONE,
            ttl: NO_TTL,
            column,
            source: 0,
            value: Span { start: 0, len: 4 },
            path: Span::default(),
        };
        one.content.push(UpdateContent::Row(Row { cells: vec![cell(0), cell(1)], ..Row::EMPTY }));
        let bytes = encode_row(0, &StoredRow { update: Some(one), ..StoredRow::default() });
        let mut reader = StateReader::new(&bytes, &new, &[0, 0, 0, 1]);
        reader.layout().unwrap();
        let map = LayoutMap::new(&new, &[], &names(&old.regulars));
        let back = reader.row(&map).unwrap().update.unwrap();
        let Some(UpdateContent::Row(row)) = back.content.first() else { panic!() };
        let columns: Vec<_> = row.cells.iter().map(|cell| cell.column).collect();
        assert_eq!(columns, [1]);
        assert_eq!(new.regulars[1].name, "d");
    }
}
