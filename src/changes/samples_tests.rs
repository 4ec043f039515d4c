//! Random tables, values and updates of every type, made from a list of numbers that proptest shrinks.

use std::sync::Arc;

use super::value::put_duration;
use crate::cql::{CqlType, UdtType};
use crate::io::put_uvint;
use crate::merge::ClusteringOrder;
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, CounterShard, DeletionTime,
    LivenessInfo, LocalDeletionTime, Marker, NO_TTL, PartitionUpdate, Row, RowView, ShardKind,
    Span, UpdateContent, write_shards,
};
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, RowOrder, TableId, TableMetadata};

pub(crate) struct Tape<'a> {
    pub(crate) choices: &'a [u16],
    pub(crate) at: usize,
}

impl Tape<'_> {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let choice = self.choices.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(choice) % n
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    pub(crate) fn i64(&mut self) -> i64 {
        match self.below(4) {
            0 => i64::from(i8::try_from(self.below(256).cast_signed() - 128).unwrap()),
            1 => self.pick(&[i64::MAX, i64::MIN, 0, -1, 1]),
            _ => i64::from_be_bytes(self.bytes(8).try_into().unwrap()),
        }
    }
}

const SCALARS: [CqlType; 22] = [
    CqlType::Text,
    CqlType::Ascii,
    CqlType::Bigint,
    CqlType::Blob,
    CqlType::Boolean,
    CqlType::Date,
    CqlType::Decimal,
    CqlType::Double,
    CqlType::Duration,
    CqlType::Float,
    CqlType::Inet,
    CqlType::Int,
    CqlType::Smallint,
    CqlType::Time,
    CqlType::Timestamp,
    CqlType::LegacyTimestamp,
    CqlType::Timeuuid,
    CqlType::Tinyint,
    CqlType::Uuid,
    CqlType::LexicalUuid,
    CqlType::Varint,
    CqlType::Custom(String::new()),
];

pub(crate) fn scalar(t: &mut Tape<'_>) -> CqlType {
    SCALARS[t.below(SCALARS.len())].clone()
}

/// Any type; collections and user-defined types inside are frozen, the outermost by `frozen`.
pub(crate) fn cql_type(t: &mut Tape<'_>, depth: usize, frozen: bool) -> CqlType {
    if depth == 0 || t.one_in(2) {
        return scalar(t);
    }
    let inner = |t: &mut Tape<'_>| Box::new(cql_type(t, depth - 1, true));
    match t.below(6) {
        0 => CqlType::List { element: inner(t), frozen },
        1 => CqlType::Set { element: inner(t), frozen },
        2 => CqlType::Map { key: inner(t), value: inner(t), frozen },
        3 => CqlType::Tuple((0..1 + t.below(3)).map(|_| *inner(t)).collect()),
        4 => {
            let fields = (0..1 + t.below(3)).map(|i| (format!("f \"{i}"), *inner(t))).collect();
            let udt = UdtType { keyspace: "ks".into(), name: "u".into(), fields };
            CqlType::Udt { udt: Arc::new(udt), frozen }
        }
        _ => {
            CqlType::Vector { element: inner(t), dimension: 1 + u32::try_from(t.below(3)).unwrap() }
        }
    }
}

fn varint(t: &mut Tape<'_>) -> Vec<u8> {
    let len = 1 + t.below(20);
    num_bigint::BigInt::from_signed_bytes_be(&t.bytes(len)).to_signed_bytes_be()
}

/// A value in the one form that Cassandra itself writes.
pub(crate) fn value(t: &mut Tape<'_>, cql_type: &CqlType) -> Vec<u8> {
    let optional = |t: &mut Tape<'_>, element: &CqlType, out: &mut Vec<u8>| {
        if t.one_in(6) {
            out.extend((-1_i32).to_be_bytes());
        } else {
            let bytes = value(t, element);
            out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
            out.extend(bytes);
        }
    };
    let takes_empty =
        !matches!(cql_type, CqlType::Tuple(_) | CqlType::Udt { .. } | CqlType::Vector { .. });
    if takes_empty && t.one_in(12) {
        return Vec::new();
    }
    match cql_type {
        CqlType::Text => t
            .pick(&["", "a", "key", "it's \"x\"\n\\", "ü€🙂", "null", "0x00", "\u{1}\u{7f}"])
            .into(),
        CqlType::Ascii => t.pick(&["", "abc", "\t\"", "\u{7f}"]).into(),
        CqlType::Blob | CqlType::Custom(_) => {
            let len = t.below(5);
            t.bytes(len)
        }
        CqlType::Boolean => vec![u8::from(t.one_in(2))],
        CqlType::Tinyint => t.bytes(1),
        CqlType::Smallint => t.bytes(2),
        CqlType::Int | CqlType::Date => t.bytes(4),
        CqlType::Bigint => t.i64().to_be_bytes().to_vec(),
        CqlType::Timestamp | CqlType::LegacyTimestamp => match t.below(3) {
            0 => t.i64(),
            1 => t.i64() % 400_000_000_000_000,
            _ => t.pick(&[0, -1, 253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_001]),
        }
        .to_be_bytes()
        .to_vec(),
        CqlType::Uuid | CqlType::LexicalUuid => t.bytes(16),
        CqlType::Timeuuid => {
            let mut bytes = t.bytes(16);
            bytes[6] = bytes[6] & 0x0f | 0x10;
            bytes
        }
        CqlType::Float => {
            let value = f32::from_bits(u32::from_be_bytes(t.bytes(4).try_into().unwrap()));
            let value = if value.is_nan() { f32::NAN } else { value };
            t.pick(&[value, 0.0, -0.0, 1.5, f32::INFINITY, f32::NEG_INFINITY, 1e10])
                .to_be_bytes()
                .to_vec()
        }
        CqlType::Double => {
            let value = f64::from_bits(t.i64().cast_unsigned());
            let value = if value.is_nan() { f64::NAN } else { value };
            t.pick(&[value, 0.0, -0.0, 19.99, f64::INFINITY, f64::NEG_INFINITY, 1e-300])
                .to_be_bytes()
                .to_vec()
        }
        CqlType::Time => (t.i64().rem_euclid(86_400_000_000_000)).to_be_bytes().to_vec(),
        CqlType::Inet => {
            let len = t.pick(&[4, 16]);
            let mut bytes = t.bytes(len);
            bytes[0] |= 1;
            bytes
        }
        CqlType::Varint => varint(t),
        CqlType::Decimal => {
            let scale = t.pick(&[0, 1, 2, -3, 30, i32::MAX, i32::MIN, 7]);
            let mut out = scale.to_be_bytes().to_vec();
            out.extend(varint(t));
            out
        }
        CqlType::Duration => {
            let sign = t.pick(&[1_i64, -1]);
            let (months, days, nanos) = (t.below(40), t.below(400), t.i64().saturating_abs());
            let small = |n: usize| i32::try_from(sign * i64::try_from(n).unwrap()).unwrap();
            let mut out = Vec::new();
            put_duration(&mut out, small(months), small(days), sign * nanos);
            out
        }
        CqlType::List { element, .. } | CqlType::Set { element, .. } => {
            let count = t.below(4);
            let mut out = i32::try_from(count).unwrap().to_be_bytes().to_vec();
            (0..count).for_each(|_| optional(t, element, &mut out));
            out
        }
        CqlType::Map { key, value: of, .. } => {
            let count = t.below(4);
            let mut out = i32::try_from(count).unwrap().to_be_bytes().to_vec();
            for _ in 0..count {
                let bytes = value(t, key);
                out.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
                out.extend(bytes);
                optional(t, of, &mut out);
            }
            out
        }
        CqlType::Tuple(elements) => {
            let mut out = Vec::new();
            elements.iter().for_each(|element| optional(t, element, &mut out));
            out
        }
        CqlType::Udt { udt, .. } => {
            let mut out = Vec::new();
            udt.fields.iter().for_each(|(_, field)| optional(t, field, &mut out));
            out
        }
        CqlType::Vector { element, dimension } => {
            let mut out = Vec::new();
            for _ in 0..*dimension {
                let mut bytes = value(t, element);
                if let Some(len) = element.fixed_len() {
                    // An empty value has no place in a vector of values of fixed length.
                    bytes.resize(len, 0);
                } else {
                    put_uvint(&mut out, bytes.len() as u64);
                }
                out.extend(bytes);
            }
            out
        }
        CqlType::Counter => context(t),
        other => panic!("no values of {other}"),
    }
}

pub(crate) fn context(t: &mut Tape<'_>) -> Vec<u8> {
    let shards: Vec<CounterShard> = (1..=3_u8)
        .filter(|_| t.one_in(2))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|id| CounterShard {
            id: [id; 16],
            clock: t.i64(),
            count: t.i64(),
            kind: t.pick(&[
                ShardKind::Global,
                ShardKind::Global,
                ShardKind::Local,
                ShardKind::Remote,
            ]),
        })
        .collect();
    let mut out = Vec::new();
    write_shards(&shards, &mut out);
    out
}

pub(crate) fn table(t: &mut Tape<'_>) -> Arc<TableMetadata> {
    let counter = t.one_in(6);
    let key = |t: &mut Tape<'_>, name: String, kind| {
        let cql_type = if t.one_in(4) { cql_type(t, 2, true) } else { scalar(t) };
        let reversed = kind == ColumnKind::Clustering && t.one_in(3);
        ColumnMetadata { name, cql_type, kind, reversed, mask: None }
    };
    let partition_key =
        (0..1 + t.below(3)).map(|i| key(t, format!("pk{i}"), ColumnKind::PartitionKey)).collect();
    let clustering: Vec<_> =
        (0..t.below(4)).map(|i| key(t, format!("Ck \"{i}"), ColumnKind::Clustering)).collect();
    let column = |t: &mut Tape<'_>, name: String, kind| {
        let frozen = t.one_in(3);
        let cql_type = if counter { CqlType::Counter } else { cql_type(t, 2, frozen) };
        ColumnMetadata { name, cql_type, kind, reversed: false, mask: None }
    };
    let statics = if clustering.is_empty() { 0 } else { t.below(3) };
    let statics = (0..statics).map(|i| column(t, format!("s{i}"), ColumnKind::Static)).collect();
    let regulars =
        (0..1 + t.below(4)).map(|i| column(t, format!("v{i}"), ColumnKind::Regular)).collect();
    let mut table = TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: (!t.one_in(3)).then(|| TableId(uuid::Uuid::from_u128(7))),
        partition_key,
        clustering,
        statics,
        regulars,
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter,
        gc_grace_seconds: 864_000,
        default_time_to_live: 0,
        options: Default::default(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    };
    table.sort_columns();
    Arc::new(table)
}

/// A value that is most often one of the type, and sometimes just bytes.
fn wild(t: &mut Tape<'_>, cql_type: &CqlType) -> Vec<u8> {
    if t.one_in(8) {
        let len = t.below(9);
        t.bytes(len)
    } else {
        value(t, cql_type)
    }
}

fn span(data: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = u32::try_from(data.len()).unwrap();
    data.extend_from_slice(bytes);
    Span { start, len: u32::try_from(bytes.len()).unwrap() }
}

pub(crate) fn key(t: &mut Tape<'_>, table: &TableMetadata) -> Vec<u8> {
    if let [only] = table.partition_key.as_slice() {
        return wild(t, &only.cql_type);
    }
    let mut out = Vec::new();
    for column in &table.partition_key {
        let bytes = wild(t, &column.cql_type);
        out.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        out.extend(bytes);
        out.push(u8::from(t.one_in(20)));
    }
    out
}

fn time(t: &mut Tape<'_>) -> i64 {
    t.pick(&[1_700_000_000_000_001, 5, -7, i64::MAX, 0])
}

fn deletion(t: &mut Tape<'_>) -> DeletionTime {
    DeletionTime {
        marked_for_delete_at: time(t),
        local_deletion_time: LocalDeletionTime(t.pick(&[9, 1_700_000_000])),
    }
}

fn row(t: &mut Tape<'_>, table: &TableMetadata, is_static: bool, data: &mut Vec<u8>) -> Row {
    let mut row = Row::EMPTY;
    if !is_static {
        let (timestamp, expires) = (time(t), LocalDeletionTime(t.pick(&[100, 1_700_086_400])));
        row.liveness = match t.below(3) {
            0 => LivenessInfo::NONE,
            1 => LivenessInfo { timestamp, ..LivenessInfo::NONE },
            _ => LivenessInfo { timestamp, ttl: 86400, local_deletion_time: expires },
        };
        if t.one_in(4) {
            row.deletion = deletion(t);
        }
    }
    let columns = if is_static { &table.statics } else { &table.regulars };
    for (i, column) in columns.iter().enumerate() {
        let index = u16::try_from(i).unwrap();
        if t.one_in(3) {
            continue;
        }
        let mut cell = |t: &mut Tape<'_>, path: Vec<u8>, value_type: Option<&CqlType>| {
            let path = span(data, &path);
            let mut cell = Cell {
                timestamp: time(t),
                local_deletion_time: LocalDeletionTime::NONE,
                ttl: NO_TTL,
                column: index,
                source: 0,
                value: Span::default(),
                path,
            };
            match t.below(if table.counter { 3 } else { 4 }) {
                0 => cell.local_deletion_time = LocalDeletionTime(11),
                n => {
                    if n == 3 {
                        cell.ttl = 60;
                        cell.local_deletion_time = LocalDeletionTime(1_700_000_060);
                    }
                    if let Some(value_type) = value_type {
                        let bytes = wild(t, value_type);
                        cell.value = span(data, &bytes);
                    }
                }
            }
            cell
        };
        if !column.cql_type.is_multi_cell() {
            row.cells.push(cell(t, Vec::new(), Some(&column.cql_type)));
            continue;
        }
        if t.one_in(2) {
            row.complex.push(ComplexDeletion { column: index, deletion: deletion(t) });
        }
        let path_type = column.cql_type.cell_path_type();
        let mut paths: Vec<Vec<u8>> = (0..t.below(4))
            .map(|_| match &column.cql_type {
                CqlType::Udt { udt, .. } => {
                    let index = t.below(udt.fields.len() + 1);
                    u16::try_from(index).unwrap().to_be_bytes().to_vec()
                }
                CqlType::List { .. } => value(t, &CqlType::Timeuuid),
                _ => wild(t, &path_type),
            })
            .collect();
        paths.sort_by(|a, b| crate::cql::compare_values(&path_type, a, b));
        paths.dedup_by(|a, b| crate::cql::compare_values(&path_type, a, b).is_eq());
        for path in paths {
            let value_type = match &column.cql_type {
                CqlType::List { element, .. } => Some((**element).clone()),
                CqlType::Map { value, .. } => Some((**value).clone()),
                CqlType::Udt { udt, .. } => {
                    let index = u16::from_be_bytes(path.clone().try_into().unwrap());
                    let field = udt.fields.get(usize::from(index));
                    Some(field.map_or(CqlType::Blob, |(_, field)| field.clone()))
                }
                _ => None,
            };
            row.cells.push(cell(t, path, value_type.as_ref()));
        }
    }
    row.has_times = row.liveness.ttl != NO_TTL
        || row.cells.iter().any(|cell| cell.local_deletion_time.is_some());
    row
}

/// An update with rows and ranges in order.
pub(crate) fn update(t: &mut Tape<'_>, table: &Arc<TableMetadata>) -> PartitionUpdate {
    let mut update = PartitionUpdate::new(Arc::clone(table), key(t, table));
    if t.one_in(5) {
        update.deletion = deletion(t);
    }
    if !table.statics.is_empty() && t.one_in(2) {
        update.static_row = Some(row(t, table, true, &mut update.data));
    }
    let order = ClusteringOrder::new(table);
    let mut places: Vec<(Row, i8)> = Vec::new();
    for _ in 0..t.below(7) {
        let side = if table.clustering.is_empty() { 0 } else { t.pick(&[0, 0, 0, -1, 1]) };
        let values = match side {
            0 => table.clustering.len(),
            _ => 1 + t.below(table.clustering.len()),
        };
        let mut place = if side == 0 { row(t, table, false, &mut update.data) } else { Row::EMPTY };
        for column in table.clustering.iter().take(values) {
            let bytes = wild(t, &column.cql_type);
            place.clustering.push(ClusteringValue::Value(span(&mut update.data, &bytes)));
        }
        places.push((place, side));
    }
    let data = &update.data;
    let compare = |(a, a_side): &(Row, i8), (b, b_side): &(Row, i8)| {
        order.compare(RowView { row: a, data }, *a_side, RowView { row: b, data }, *b_side)
    };
    places.sort_by(compare);
    places.dedup_by(|a, b| compare(a, b).is_eq());
    let mut open: Option<DeletionTime> = None;
    for (row, side) in places {
        if side == 0 {
            update.content.push(UpdateContent::Row(row));
            continue;
        }
        use ClusteringKind::*;
        let (start, end, boundary) = match side {
            -1 => (InclStartBound, ExclEndBound, ExclEndInclStartBoundary),
            _ => (ExclStartBound, InclEndBound, InclEndExclStartBoundary),
        };
        let next = deletion(t);
        let marker = match (open, t.one_in(3)) {
            (None, _) => Marker { kind: start, end: DeletionTime::LIVE, start: next },
            (Some(open), true) => Marker { kind: boundary, end: open, start: next },
            (Some(open), false) => Marker { kind: end, end: open, start: DeletionTime::LIVE },
        };
        open = marker.kind.is_start().then_some(marker.start);
        update.content.push(UpdateContent::Marker(marker, row));
    }
    if let Some(end) = open {
        let marker = Marker { kind: ClusteringKind::InclEndBound, end, start: DeletionTime::LIVE };
        update.content.push(UpdateContent::Marker(marker, Row::EMPTY));
    }
    update
}
