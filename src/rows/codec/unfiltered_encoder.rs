//! An encoder of partitions after the description of the format, for tests. It shares no code with the decoder.

/// What `UnfilteredSerializer` calls the sentinel of "no deletion time".
pub(super) const NEVER: i64 = i64::MAX;

/// What the header says about times, and how the writer's release computes with them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bases {
    pub(super) timestamp: i64,
    pub(super) deletion_time: i64,
    pub(super) ttl: i32,
    /// `oa` and later.
    pub(super) oa: bool,
    /// Differences of deletion times are computed in 32 bits (up to 4.1) and not in 64 (5.0).
    pub(super) wrap32: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) at: i64,
    pub(super) deleted: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Forever,
    Expiring { ttl: i32, expires: i64 },
    Tombstone { deleted: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncCell {
    pub(super) timestamp: i64,
    pub(super) life: Life,
    pub(super) path: Vec<u8>,
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncColumn {
    pub(super) deletion: Option<Deletion>,
    pub(super) cells: Vec<EncCell>,
}

/// How a column of the file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) complex: bool,
    pub(super) fixed: Option<usize>,
}

/// A clustering value: null, or bytes.
pub(super) type Value = Option<Vec<u8>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncRow {
    pub(super) is_static: bool,
    pub(super) clustering: Vec<Value>,
    /// Write time; TTL and expiry.
    pub(super) liveness: Option<(i64, Option<(i32, i64)>)>,
    pub(super) deletion: Option<Deletion>,
    pub(super) shadowable: bool,
    /// One for each column of the file, none if the row does not have it.
    pub(super) columns: Vec<Option<EncColumn>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EncMarker {
    pub(super) kind: u8,
    pub(super) clustering: Vec<Value>,
    /// The range that ends, for a boundary; else the only one.
    pub(super) first: Deletion,
    /// The range that begins, for a boundary.
    pub(super) second: Option<Deletion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EncUnfiltered {
    Row(EncRow),
    Marker(EncMarker),
}

/// `VIntCoding.writeUnsignedVInt`: as many leading ones as bytes follow the first.
pub(super) fn uvint(out: &mut Vec<u8>, value: u64) {
    let groups = (1..=8).find(|bytes| value < 1 << (7 * bytes)).unwrap_or(9);
    let bytes = value.to_be_bytes();
    match groups {
        9 => {
            out.push(0xff);
            out.extend(bytes);
        }
        n => {
            let mut first = bytes[8 - n];
            for bit in 0..n - 1 {
                first |= 0x80 >> bit;
            }
            out.push(first);
            out.extend(&bytes[9 - n..]);
        }
    }
}

pub(super) fn bytes16(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend(bytes);
}

pub(super) fn bytesv(out: &mut Vec<u8>, bytes: &[u8]) {
    uvint(out, bytes.len() as u64);
    out.extend(bytes);
}

/// The low 32 bits, as the i32 that Java's cast makes.
pub(super) fn int(value: i64) -> i32 {
    let bytes = value.to_be_bytes();
    i32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// Writes partitions of one SSTable.
#[derive(Debug)]
pub(super) struct Encoder<'t> {
    pub(super) bases: Bases,
    /// Fixed length of each clustering column.
    pub(super) clustering: &'t [Option<usize>],
    pub(super) statics: &'t [Layout],
    pub(super) regulars: &'t [Layout],
    /// Without sizes, as mutations have rows and markers.
    pub(super) message: bool,
}

impl Encoder<'_> {
    fn timestamp(&self, out: &mut Vec<u8>, value: i64) {
        uvint(out, value.wrapping_sub(self.bases.timestamp).cast_unsigned());
    }

    fn deletion_time(&self, out: &mut Vec<u8>, value: i64) {
        let value = if value == NEVER && !self.bases.oa { i64::from(i32::MAX) } else { value };
        let delta = if self.bases.wrap32 {
            i64::from(int(value).wrapping_sub(int(self.bases.deletion_time)))
        } else {
            value.wrapping_sub(self.bases.deletion_time)
        };
        uvint(out, delta.cast_unsigned());
    }

    fn ttl(&self, out: &mut Vec<u8>, value: i32) {
        uvint(out, i64::from(value.wrapping_sub(self.bases.ttl)).cast_unsigned());
    }

    fn deletion(&self, out: &mut Vec<u8>, deletion: Option<Deletion>) {
        let deletion = deletion.unwrap_or(Deletion { at: i64::MIN, deleted: NEVER });
        self.timestamp(out, deletion.at);
        self.deletion_time(out, deletion.deleted);
    }

    fn values(&self, out: &mut Vec<u8>, values: &[Value]) {
        for (batch, fixed) in values.chunks(32).zip(self.clustering.chunks(32)) {
            let mut header = 0_u64;
            for (i, value) in batch.iter().enumerate() {
                match value {
                    None => header |= 2 << (2 * i),
                    Some(v) if v.is_empty() => header |= 1 << (2 * i),
                    Some(_) => {}
                }
            }
            uvint(out, header);
            for (value, fixed) in batch.iter().zip(fixed) {
                let Some(value) = value.as_ref().filter(|v| !v.is_empty()) else { continue };
                match fixed {
                    Some(len) => {
                        assert_eq!(value.len(), *len);
                        out.extend(value);
                    }
                    None => bytesv(out, value),
                }
            }
        }
    }

    fn cell(&self, out: &mut Vec<u8>, layout: Layout, row: &EncRow, cell: &EncCell) {
        let row_timestamp = row.liveness.is_some_and(|(at, _)| at == cell.timestamp);
        let row_ttl = match (row.liveness, cell.life) {
            (Some((_, Some(expiry))), Life::Expiring { ttl, expires }) => expiry == (ttl, expires),
            _ => false,
        };
        let mut flags = match cell.life {
            Life::Forever => 0,
            Life::Tombstone { .. } => 0x01,
            Life::Expiring { .. } => 0x02,
        };
        flags |= if cell.value.is_empty() { 0x04 } else { 0 };
        flags |= if row_timestamp { 0x08 } else { 0 };
        flags |= if row_ttl { 0x10 } else { 0 };
        out.push(flags);
        if !row_timestamp {
            self.timestamp(out, cell.timestamp);
        }
        match cell.life {
            Life::Tombstone { deleted } => self.deletion_time(out, deleted),
            Life::Expiring { ttl, expires } if !row_ttl => {
                self.deletion_time(out, expires);
                self.ttl(out, ttl);
            }
            Life::Expiring { .. } | Life::Forever => {}
        }
        if layout.complex {
            bytesv(out, &cell.path);
        }
        if !cell.value.is_empty() {
            match layout.fixed {
                Some(_) => out.extend(&cell.value),
                None => bytesv(out, &cell.value),
            }
        }
    }

    fn subset(out: &mut Vec<u8>, columns: &[Option<EncColumn>]) {
        let missing: Vec<u64> =
            (0..).zip(columns).filter(|(_, c)| c.is_none()).map(|c| c.0).collect();
        let present: Vec<u64> =
            (0..).zip(columns).filter(|(_, c)| c.is_some()).map(|c| c.0).collect();
        if columns.len() < 64 {
            uvint(out, missing.iter().map(|i| 1_u64 << i).sum());
            return;
        }
        uvint(out, missing.len() as u64);
        if missing.is_empty() {
            return;
        }
        let listed = if present.len() < columns.len() / 2 { present } else { missing };
        listed.into_iter().for_each(|i| uvint(out, i));
    }

    /// Appends a row; `name_all` leaves the column subset out where the row has all columns, as Cassandra does.
    pub(super) fn row(&self, out: &mut Vec<u8>, row: &EncRow, previous: u64, name_all: bool) {
        let layouts = if row.is_static { self.statics } else { self.regulars };
        assert_eq!(row.columns.len(), layouts.len());
        let all = name_all && row.columns.iter().all(Option::is_some);
        let complex_deletion = row.columns.iter().flatten().any(|c| c.deletion.is_some());
        let mut flags = 0_u8;
        flags |= if row.liveness.is_some() { 0x04 } else { 0 };
        flags |= if row.liveness.is_some_and(|l| l.1.is_some()) { 0x08 } else { 0 };
        flags |= if row.deletion.is_some() { 0x10 } else { 0 };
        flags |= if all { 0x20 } else { 0 };
        flags |= if complex_deletion { 0x40 } else { 0 };
        let extended = u8::from(row.is_static) | if row.shadowable { 2 } else { 0 };
        if extended != 0 {
            out.extend([flags | 0x80, extended]);
        } else {
            out.push(flags);
        }
        if !row.is_static {
            assert_eq!(row.clustering.len(), self.clustering.len());
            self.values(out, &row.clustering);
        }
        let mut body = Vec::new();
        if !self.message {
            uvint(&mut body, if row.is_static { 0 } else { previous });
        }
        if let Some((at, expiry)) = row.liveness {
            self.timestamp(&mut body, at);
            if let Some((ttl, expires)) = expiry {
                self.ttl(&mut body, ttl);
                self.deletion_time(&mut body, expires);
            }
        }
        if row.deletion.is_some() {
            self.deletion(&mut body, row.deletion);
        }
        if !all {
            Self::subset(&mut body, &row.columns);
        }
        for (column, &layout) in row.columns.iter().zip(layouts) {
            let Some(column) = column else { continue };
            if layout.complex {
                if complex_deletion {
                    self.deletion(&mut body, column.deletion);
                }
                uvint(&mut body, column.cells.len() as u64);
            } else {
                assert_eq!(column.cells.len(), 1);
            }
            column.cells.iter().for_each(|cell| self.cell(&mut body, layout, row, cell));
        }
        self.append(out, &body);
    }

    pub(super) fn marker(&self, out: &mut Vec<u8>, marker: &EncMarker, previous: u64) {
        out.extend([2, marker.kind]);
        out.extend(u16::try_from(marker.clustering.len()).unwrap().to_be_bytes());
        self.values(out, &marker.clustering);
        let mut body = Vec::new();
        if !self.message {
            uvint(&mut body, previous);
        }
        self.deletion(&mut body, Some(marker.first));
        if marker.second.is_some() {
            self.deletion(&mut body, marker.second);
        }
        self.append(out, &body);
    }

    fn append(&self, out: &mut Vec<u8>, body: &[u8]) {
        if self.message {
            out.extend(body);
        } else {
            bytesv(out, body);
        }
    }

    /// An update from its flags on; `columns` are the names of the static and of the regular columns.
    pub(super) fn update(
        &self,
        deletion: Option<Deletion>,
        columns: [&[&[u8]]; 2],
        unfiltereds: &[EncUnfiltered],
        name_all: bool,
    ) -> Vec<u8> {
        assert!(self.message);
        let [statics, regulars] = columns;
        let has_static =
            matches!(unfiltereds.first(), Some(EncUnfiltered::Row(row)) if row.is_static);
        let mut out = vec![
            0x10 | if deletion.is_some() { 0x04 } else { 0 } | if has_static { 0x08 } else { 0 },
        ];
        uvint(&mut out, self.bases.timestamp.wrapping_sub(1_442_880_000_000_000).cast_unsigned());
        let least = int(self.bases.deletion_time).wrapping_sub(1_442_880_000);
        uvint(&mut out, i64::from(least).cast_unsigned());
        uvint(&mut out, i64::from(self.bases.ttl).cast_unsigned());
        let mut list = |names: &[&[u8]]| {
            uvint(&mut out, names.len() as u64);
            names.iter().for_each(|name| bytesv(&mut out, name));
        };
        if has_static {
            list(statics);
        }
        list(regulars);
        if deletion.is_some() {
            self.deletion(&mut out, deletion);
        }
        let (head, rest) = unfiltereds.split_at(usize::from(has_static));
        for unfiltered in head {
            let EncUnfiltered::Row(row) = unfiltered else { unreachable!() };
            self.row(&mut out, row, 0, name_all);
        }
        let rows = rest.iter().filter(|u| matches!(u, EncUnfiltered::Row(_))).count();
        uvint(&mut out, rows as u64);
        for unfiltered in rest {
            match unfiltered {
                EncUnfiltered::Row(row) => self.row(&mut out, row, 0, name_all),
                EncUnfiltered::Marker(marker) => self.marker(&mut out, marker, 0),
            }
        }
        out.push(0x01);
        out
    }

    /// Appends the partition's key and deletion.
    pub(super) fn head(&self, out: &mut Vec<u8>, key: &[u8], deletion: Option<Deletion>) {
        bytes16(out, key);
        match (self.bases.oa, deletion) {
            (true, None) => out.push(0x80),
            (true, Some(d)) => {
                out.extend(d.at.to_be_bytes());
                out.extend(int(d.deleted).to_be_bytes());
            }
            (false, None) => {
                out.extend(i32::MAX.to_be_bytes());
                out.extend(i64::MIN.to_be_bytes());
            }
            (false, Some(d)) => {
                out.extend(int(d.deleted).to_be_bytes());
                out.extend(d.at.to_be_bytes());
            }
        }
    }

    /// A whole partition, and where its head ends and each of its unfiltereds begins.
    pub(super) fn partition(
        &self,
        key: &[u8],
        deletion: Option<Deletion>,
        unfiltereds: &[EncUnfiltered],
        name_all: bool,
    ) -> (Vec<u8>, Vec<usize>) {
        let mut out = Vec::new();
        self.head(&mut out, key, deletion);
        let mut starts = Vec::new();
        // The distance to the start of the one before; the static row is part of the head.
        let mut before = 0;
        for unfiltered in unfiltereds {
            let start = out.len();
            starts.push(start);
            let previous = (start - before) as u64;
            match unfiltered {
                EncUnfiltered::Row(row) => self.row(&mut out, row, previous, name_all),
                EncUnfiltered::Marker(marker) => self.marker(&mut out, marker, previous),
            }
            let is_static = matches!(unfiltered, EncUnfiltered::Row(row) if row.is_static);
            before = if is_static { before } else { start };
        }
        starts.push(out.len());
        out.push(0x01);
        (out, starts)
    }
}
