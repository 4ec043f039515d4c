//! The decoder against worked examples of real files, and against [`super::encoder`] over random tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::header::SerializationHeader;
use super::encoder::{
    Bases, Deletion, EncCell, EncColumn, EncMarker, EncRow, EncUnfiltered, Encoder, Layout, Life,
    NEVER, Value, bytesv, int, uvint,
};
use super::*;
use crate::cql::{CqlType, parse_marshal_type};
use crate::rows::{ComplexDeletion, LivenessInfo, LocalDeletionTime};
use crate::schema::{
    ColumnKind, ColumnMetadata, CompactKind, DroppedColumn, RowOrder, TableMetadata,
};

/// A row with its bytes, as a test compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainRow {
    pub(super) clustering: Vec<Value>,
    pub(super) liveness: LivenessInfo,
    pub(super) deletion: DeletionTime,
    pub(super) shadowable: bool,
    pub(super) complex: Vec<ComplexDeletion>,
    pub(super) cells: Vec<PlainCell>,
    pub(super) has_times: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainCell {
    pub(super) column: u16,
    pub(super) timestamp: i64,
    pub(super) local_deletion_time: LocalDeletionTime,
    pub(super) ttl: i32,
    pub(super) path: Vec<u8>,
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plain {
    Row(PlainRow),
    Marker(Vec<Value>, Marker),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlainPartition {
    pub(super) key: Vec<u8>,
    pub(super) deletion: DeletionTime,
    pub(super) unfiltereds: Vec<Plain>,
    pub(super) dropped: u64,
    pub(super) hidden: u64,
}

fn plain_clustering(row: &Row, window: &[u8]) -> Vec<Value> {
    row.clustering.iter().map(|v| v.bytes(window).map(<[u8]>::to_vec)).collect()
}

fn plain_row(row: &Row, window: &[u8]) -> PlainRow {
    let cells = row.cells.iter().map(|cell| {
        assert_eq!(cell.source, 0);
        PlainCell {
            column: cell.column,
            timestamp: cell.timestamp,
            local_deletion_time: cell.local_deletion_time,
            ttl: cell.ttl,
            path: cell.path.of(window).to_vec(),
            value: cell.value.of(window).to_vec(),
        }
    });
    PlainRow {
        clustering: plain_clustering(row, window),
        liveness: row.liveness,
        deletion: row.deletion,
        shadowable: row.shadowable,
        complex: row.complex.clone(),
        cells: cells.collect(),
        has_times: row.has_times,
    }
}

/// Nothing a decoder hands out may point outside the unfiltered it came from.
fn check_spans(row: &Row, len: usize) {
    let clustering = row.clustering.iter().filter_map(|v| match v {
        ClusteringValue::Null => None,
        ClusteringValue::Value(span) => Some(*span),
    });
    for span in clustering.chain(row.cells.iter().flat_map(|c| [c.path, c.value])) {
        assert!(span.start as usize + span.len as usize <= len, "{span:?} is beyond {len}");
    }
    assert!(row.cells.is_sorted_by_key(|c| c.column));
    assert!(row.complex.is_sorted_by_key(|c| c.column));
}

/// Decodes a partition of which each window has `first` bytes to begin with and grows exactly as the decoder asks.
pub(super) fn decode_partition(
    codec: &Arc<RowCodec>,
    bytes: &[u8],
    first: usize,
) -> Result<PlainPartition, DecodeError> {
    let cut = |at: usize, has: usize, needed: usize| -> Result<usize, DecodeError> {
        assert!(needed > has, "asked for {needed} bytes where {has} were there");
        let left = bytes.len() - at;
        if has == left {
            let what = "partition";
            return Err(DecodeError::new(
                DecodeErrorKind::Truncated { what, wanted: needed as u64, left: left as u64 },
                at as u64,
            ));
        }
        Ok(needed.min(left))
    };
    let mut decoder = RowDecoder::new(Arc::clone(codec));
    let mut window = first.min(bytes.len());
    let head = loop {
        match partition_head(&bytes[..window], codec.uint_deletion_time)? {
            Ok(head) => break head,
            Err(needed) => window = cut(0, window, needed)?,
        }
    };
    let mut out = PlainPartition {
        key: head.key.of(bytes).to_vec(),
        deletion: head.deletion,
        unfiltereds: Vec::new(),
        dropped: 0,
        hidden: 0,
    };
    let mut at = head.len;
    let mut previous = if codec.has_static() { 0 } else { head.len as u64 };
    let mut row = Row::EMPTY;
    loop {
        let mut window = first.min(bytes.len() - at);
        let step = loop {
            match decoder.decode(&bytes[at..at + window], previous, &mut row)? {
                Step::Need(needed) => window = cut(at, window, needed)?,
                step => break step,
            }
        };
        let here = &bytes[at..at + window];
        let len = match step {
            Step::End => {
                (out.dropped, out.hidden) = (decoder.left_out.dropped, decoder.left_out.hidden);
                return Ok(out);
            }
            Step::Row(len) => {
                check_spans(&row, len);
                out.unfiltereds.push(Plain::Row(plain_row(&row, here)));
                len
            }
            Step::Marker(len, marker) => {
                check_spans(&row, len);
                assert!(row.cells.is_empty() && row.liveness.is_empty());
                out.unfiltereds.push(Plain::Marker(plain_clustering(&row, here), marker));
                len
            }
            Step::Need(_) => unreachable!(),
        };
        // The first unfiltered behind the static row counts from the start of the partition.
        previous = if previous == 0 { (head.len + len) as u64 } else { len as u64 };
        at += len;
    }
}

/// Column of a test table: name, class in the header, type in the schema.
#[derive(Debug, Clone)]
struct TestColumn {
    name: String,
    class: String,
    cql_type: CqlType,
    layout: Layout,
    fate: TestFate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TestFate {
    Known,
    /// Dropped at this time and added again.
    Again(i64),
    /// Dropped at this time.
    Gone(i64),
    Unknown,
}

#[derive(Debug, Clone)]
struct TestTable {
    bases: Bases,
    clustering: Vec<(&'static str, Option<usize>)>,
    /// In the order of the cells.
    statics: Vec<TestColumn>,
    regulars: Vec<TestColumn>,
    /// Columns that only the schema has.
    extra: Vec<String>,
    /// The schema lists its columns backwards.
    unsorted_schema: bool,
    /// The header lists its columns backwards.
    unsorted_header: bool,
}

pub(super) fn column(name: &str, cql_type: CqlType, kind: ColumnKind) -> ColumnMetadata {
    ColumnMetadata { name: name.into(), cql_type, kind, reversed: false, mask: None }
}

pub(super) fn no_table() -> TableMetadata {
    TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: None,
        partition_key: vec![column("pk", CqlType::Int, ColumnKind::PartitionKey)],
        clustering: Vec::new(),
        statics: Vec::new(),
        regulars: Vec::new(),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: 864_000,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

impl TestTable {
    fn header_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        uvint(&mut out, self.bases.timestamp.wrapping_sub(1_442_880_000_000_000).cast_unsigned());
        let deletion_time = int(self.bases.deletion_time).wrapping_sub(1_442_880_000);
        uvint(&mut out, i64::from(deletion_time).cast_unsigned());
        uvint(&mut out, i64::from(self.bases.ttl).cast_unsigned());
        bytesv(&mut out, b"org.apache.cassandra.db.marshal.Int32Type");
        uvint(&mut out, self.clustering.len() as u64);
        self.clustering.iter().for_each(|(class, _)| bytesv(&mut out, class.as_bytes()));
        for columns in [&self.statics, &self.regulars] {
            uvint(&mut out, columns.len() as u64);
            let mut columns: Vec<_> = columns.iter().collect();
            if self.unsorted_header {
                columns.reverse();
            }
            for column in columns {
                bytesv(&mut out, column.name.as_bytes());
                bytesv(&mut out, column.class.as_bytes());
            }
        }
        out
    }

    fn schema(&self) -> TableMetadata {
        let mut table = no_table();
        table.clustering = self
            .clustering
            .iter()
            .map(|(class, _)| {
                let parsed = parse_marshal_type(class).unwrap();
                ColumnMetadata {
                    reversed: parsed.reversed,
                    ..column("ck", parsed.cql_type, ColumnKind::Clustering)
                }
            })
            .collect();
        for (columns, kind) in
            [(&self.statics, ColumnKind::Static), (&self.regulars, ColumnKind::Regular)]
        {
            for c in columns {
                if let TestFate::Again(at) | TestFate::Gone(at) = c.fate {
                    table.dropped.push(DroppedColumn {
                        name: c.name.clone(),
                        cql_type: c.cql_type.clone(),
                        multi_cell: c.layout.complex,
                        kind,
                        dropped_micros: at,
                    });
                }
            }
            let known = columns
                .iter()
                .filter(|c| matches!(c.fate, TestFate::Known | TestFate::Again(_)))
                .map(|c| column(&c.name, c.cql_type.clone(), kind))
                .chain(self.extra.iter().map(|name| column(name, CqlType::Int, kind)));
            match kind {
                ColumnKind::Static => table.statics = known.collect(),
                _ => table.regulars = known.collect(),
            }
        }
        table.sort_columns();
        if self.unsorted_schema {
            table.statics.reverse();
            table.regulars.reverse();
        }
        table
    }

    fn codec(&self) -> Arc<RowCodec> {
        let bytes = self.header_bytes();
        let mut r = ByteReader::new(&bytes);
        let header = SerializationHeader::read(&mut r).unwrap();
        r.finish("header").unwrap();
        let (codec, unknown) = RowCodec::new(
            &self.schema(),
            &header,
            self.bases.oa,
            crate::rows::codec::DroppedUdts::Frozen,
        )
        .unwrap();
        let expected = [&self.statics, &self.regulars].into_iter().flatten();
        let expected: Vec<_> =
            expected.filter(|c| c.fate == TestFate::Unknown).map(|c| c.name.clone()).collect();
        assert_eq!(unknown.into_iter().map(|c| c.name).collect::<Vec<_>>(), expected);
        Arc::new(codec)
    }

    fn encode(&self, partition: &TestPartition) -> (Vec<u8>, Vec<usize>) {
        let clustering: Vec<_> = self.clustering.iter().map(|c| c.1).collect();
        let layouts = |columns: &[TestColumn]| columns.iter().map(|c| c.layout).collect::<Vec<_>>();
        let encoder = Encoder {
            bases: self.bases,
            clustering: &clustering,
            statics: &layouts(&self.statics),
            regulars: &layouts(&self.regulars),
            message: false,
        };
        encoder.partition(
            &partition.key,
            partition.deletion,
            &partition.unfiltereds,
            partition.name_all,
        )
    }

    fn ldt(&self, seconds: i64) -> LocalDeletionTime {
        let never = if self.bases.oa { u32::MAX.into() } else { i64::from(i32::MAX) };
        if seconds == NEVER || seconds == never {
            LocalDeletionTime::NONE
        } else {
            LocalDeletionTime(seconds)
        }
    }

    fn deletion(&self, deletion: Option<Deletion>) -> DeletionTime {
        deletion.map_or(DeletionTime::LIVE, |d| DeletionTime {
            marked_for_delete_at: d.at,
            local_deletion_time: self.ldt(d.deleted),
        })
    }

    /// What the decoder has to make of a row, by the rules for dropped and unknown columns.
    fn expected_row(
        &self,
        row: &EncRow,
        schema: &TableMetadata,
        counts: &mut (u64, u64),
    ) -> PlainRow {
        let (columns, known) = if row.is_static {
            (&self.statics, &schema.statics)
        } else {
            (&self.regulars, &schema.regulars)
        };
        let liveness =
            row.liveness.map_or(LivenessInfo::NONE, |(timestamp, expiry)| LivenessInfo {
                timestamp,
                ttl: expiry.map_or(0, |e| e.0),
                local_deletion_time: expiry.map_or(LocalDeletionTime::NONE, |e| self.ldt(e.1)),
            });
        let mut complex = Vec::new();
        let mut cells = Vec::new();
        for (column, stored) in columns.iter().zip(&row.columns) {
            let Some(stored) = stored else { continue };
            let dropped = match column.fate {
                TestFate::Known => i64::MIN,
                TestFate::Again(at) => at,
                TestFate::Gone(_) => {
                    counts.0 += stored.cells.len() as u64;
                    continue;
                }
                TestFate::Unknown => {
                    counts.1 += stored.cells.len() as u64;
                    continue;
                }
            };
            let index = known.iter().position(|k| k.name == column.name).unwrap();
            let index = u16::try_from(index).unwrap();
            if let Some(deletion) = stored.deletion.filter(|d| d.at > dropped) {
                complex.push(ComplexDeletion {
                    column: index,
                    deletion: self.deletion(Some(deletion)),
                });
            }
            for cell in &stored.cells {
                if cell.timestamp <= dropped {
                    counts.0 += 1;
                    continue;
                }
                let (ttl, ldt) = match cell.life {
                    Life::Forever => (0, LocalDeletionTime::NONE),
                    Life::Expiring { ttl, expires } => (ttl, self.ldt(expires)),
                    Life::Tombstone { deleted } => (0, self.ldt(deleted)),
                };
                cells.push(PlainCell {
                    column: index,
                    timestamp: cell.timestamp,
                    local_deletion_time: ldt,
                    ttl,
                    path: cell.path.clone(),
                    value: cell.value.clone(),
                });
            }
        }
        cells.sort_by_key(|c| c.column);
        complex.sort_by_key(|c| c.column);
        let has_times = liveness.ttl != 0 || cells.iter().any(|c| c.local_deletion_time.is_some());
        PlainRow {
            clustering: row.clustering.clone(),
            liveness,
            deletion: self.deletion(row.deletion),
            shadowable: row.shadowable,
            complex,
            cells,
            has_times,
        }
    }

    fn expected(&self, partition: &TestPartition) -> PlainPartition {
        let schema = self.schema();
        let mut counts = (0, 0);
        let unfiltereds = partition
            .unfiltereds
            .iter()
            .map(|unfiltered| match unfiltered {
                EncUnfiltered::Row(row) => Plain::Row(self.expected_row(row, &schema, &mut counts)),
                EncUnfiltered::Marker(marker) => {
                    let first = self.deletion(Some(marker.first));
                    let (kind, end, start) = match marker.kind {
                        0 => (ClusteringKind::ExclEndBound, first, DeletionTime::LIVE),
                        1 => (ClusteringKind::InclStartBound, DeletionTime::LIVE, first),
                        2 => (
                            ClusteringKind::ExclEndInclStartBoundary,
                            first,
                            self.deletion(marker.second),
                        ),
                        5 => (
                            ClusteringKind::InclEndExclStartBoundary,
                            first,
                            self.deletion(marker.second),
                        ),
                        6 => (ClusteringKind::InclEndBound, first, DeletionTime::LIVE),
                        _ => (ClusteringKind::ExclStartBound, DeletionTime::LIVE, first),
                    };
                    Plain::Marker(marker.clustering.clone(), Marker { kind, end, start })
                }
            })
            .collect();
        PlainPartition {
            key: partition.key.clone(),
            deletion: self.deletion(partition.deletion),
            unfiltereds,
            dropped: counts.0,
            hidden: counts.1,
        }
    }
}

#[derive(Debug, Clone)]
struct TestPartition {
    key: Vec<u8>,
    deletion: Option<Deletion>,
    unfiltereds: Vec<EncUnfiltered>,
    name_all: bool,
}

/// Random choices, so that one list of numbers makes (and proptest shrinks) a whole table with a partition.
struct Tape<'a> {
    choices: &'a [u16],
    at: usize,
}

impl<'a> Tape<'a> {
    fn new(choices: &'a [u16]) -> Self {
        Self { choices, at: 0 }
    }

    /// A number below `n`; 0 where the tape has ended.
    fn below(&mut self, n: usize) -> usize {
        let choice = self.choices.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(choice) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }
}

const M: &str = "org.apache.cassandra.db.marshal.";
const UDT: &str = "UserType(ks,75,61:Int32Type,62:UTF8Type)";

/// Class in the header, fixed length, complex; "udt30" is a frozen type as 3.0 writes it, without FrozenType.
const CLASSES: [(&str, Option<usize>, bool); 18] = [
    ("Int32Type", Some(4), false),
    ("UTF8Type", None, false),
    ("BooleanType", Some(1), false),
    ("LongType", Some(8), false),
    ("TimeUUIDType", Some(16), false),
    ("ShortType", None, false),
    ("SimpleDateType", None, false),
    ("CounterColumnType", None, false),
    ("FrozenType(ListType(Int32Type))", None, false),
    ("VectorType(FloatType , 3)", Some(12), false),
    ("VectorType(UTF8Type , 3)", None, false),
    ("com.example.Strange", None, false),
    ("udt30", None, false),
    ("EmptyType", Some(0), false),
    ("ListType(Int32Type)", None, true),
    ("SetType(LongType)", None, true),
    ("MapType(Int32Type,BooleanType)", None, true),
    ("udt", None, true),
];

const CLUSTERING: [(&str, Option<usize>); 5] = [
    ("Int32Type", Some(4)),
    ("ReversedType(UTF8Type)", None),
    ("BooleanType", Some(1)),
    ("ShortType", None),
    ("ReversedType(VectorType(Int32Type , 2))", Some(8)),
];

/// Names that differ from the order of their bytes: the first byte counts with its top bit flipped.
const NAMES: [&str; 7] = ["c", "", "Z", "ü", "abcdef", "é\u{80}", "a"];

fn test_column(t: &mut Tape<'_>, number: usize) -> TestColumn {
    let (class, fixed, complex) = t.pick(&CLASSES);
    let (class, frozen) = match class {
        "udt30" => (UDT, true),
        "udt" => (UDT, false),
        class => (class, false),
    };
    let parsed = parse_marshal_type(class).unwrap().cql_type;
    let fate = match t.below(8) {
        0..=4 => TestFate::Known,
        5 => TestFate::Again(dropped_at(t)),
        6 => TestFate::Gone(dropped_at(t)),
        // Nothing but the schema could say that it is frozen.
        _ if frozen => TestFate::Known,
        _ => TestFate::Unknown,
    };
    TestColumn {
        name: format!("{}{number}", t.pick(&NAMES)),
        class: if class.contains('.') { class.to_owned() } else { format!("{M}{class}") },
        cql_type: if frozen { parsed.freeze() } else { parsed },
        layout: Layout { complex, fixed },
        fate,
    }
}

fn dropped_at(t: &mut Tape<'_>) -> i64 {
    t.pick(&[BASE + 2, BASE, i64::MIN, i64::MAX])
}

/// The order of cells, told in another way than `ColumnMetadata::disk_order` does.
fn order_columns(columns: &mut [TestColumn]) {
    columns.sort_by_key(|c| {
        let mut six: Vec<u8> = c.name.bytes().chain([0; 6]).take(6).collect();
        six[0] ^= 0x80;
        (c.layout.complex, six, c.name.clone())
    });
}

const BASE: i64 = 1_700_000_000_000_000;

fn test_table(t: &mut Tape<'_>) -> TestTable {
    let oa = t.one_in(2);
    let bases = Bases {
        timestamp: t.pick(&[BASE, 0, -5, i64::MAX, 1_442_880_000_000_000]),
        deletion_time: if oa {
            t.pick(&[1_700_000_000, 0, 4_294_967_290])
        } else {
            t.pick(&[1_700_000_000, 0, -1, i64::from(i32::MAX)])
        },
        ttl: t.pick(&[0, 90, i32::MAX]),
        oa,
        wrap32: t.one_in(2),
    };
    let clustering = if t.one_in(8) { 31 + t.below(36) } else { t.below(4) };
    let clustering = (0..clustering).map(|_| t.pick(&CLUSTERING)).collect();
    let mut count = |usual| if t.one_in(8) { 61 + t.below(9) } else { t.below(usual) };
    let (statics, regulars) = (count(4), count(7));
    let mut columns =
        |n: usize, from: usize| (from..from + n).map(|i| test_column(t, i)).collect::<Vec<_>>();
    let (mut statics, mut regulars) = (columns(statics, 0), columns(regulars, 100));
    order_columns(&mut statics);
    order_columns(&mut regulars);
    let extra = ["c", "zz"].into_iter().filter(|_| t.one_in(3)).map(str::to_owned).collect();
    TestTable {
        bases,
        clustering,
        statics,
        regulars,
        extra,
        unsorted_schema: t.one_in(4),
        unsorted_header: t.one_in(4),
    }
}

impl TestTable {
    fn time(&self, t: &mut Tape<'_>) -> i64 {
        let base = self.bases.timestamp;
        let choices = [
            BASE,
            BASE + 1,
            BASE + 2,
            BASE + 3,
            base,
            -1,
            i64::MAX,
            i64::MIN + 1,
            BASE + (1 << 40),
        ];
        t.pick(&choices).max(i64::MIN + 1)
    }

    fn seconds(&self, t: &mut Tape<'_>) -> i64 {
        if self.bases.oa {
            t.pick(&[
                1_700_000_001,
                0,
                i64::from(i32::MAX),
                1 << 31,
                (1 << 31) + 5,
                4_294_967_293,
                4_294_967_294,
            ])
        } else {
            t.pick(&[1_700_000_001, 0, 2_147_483_646, -1, i64::from(i32::MIN)])
        }
    }

    fn some_deletion(&self, t: &mut Tape<'_>) -> Deletion {
        Deletion { at: self.time(t), deleted: self.seconds(t) }
    }

    fn some_ttl(t: &mut Tape<'_>) -> i32 {
        t.pick(&[90, 1, 630_720_000, i32::MAX])
    }

    fn value(t: &mut Tape<'_>, fixed: Option<usize>) -> Vec<u8> {
        match fixed {
            _ if t.one_in(4) => Vec::new(),
            Some(len) => t.bytes(len),
            None => {
                let len = t.pick(&[1, 4, 5, 130]);
                t.bytes(len)
            }
        }
    }

    fn cell(
        &self,
        t: &mut Tape<'_>,
        layout: Layout,
        row: Option<(i64, Option<(i32, i64)>)>,
    ) -> EncCell {
        let timestamp = match row {
            Some((at, _)) if t.one_in(2) => at,
            _ => self.time(t),
        };
        let life = match (t.below(5), row) {
            (0..=2, _) => Life::Forever,
            (3, Some((_, Some((ttl, expires))))) => Life::Expiring { ttl, expires },
            (3, _) => Life::Expiring { ttl: Self::some_ttl(t), expires: self.seconds(t) },
            _ => Life::Tombstone { deleted: self.seconds(t) },
        };
        let path = if layout.complex { Self::value(t, None) } else { Vec::new() };
        let value = match life {
            Life::Tombstone { .. } => Vec::new(),
            Life::Forever | Life::Expiring { .. } => Self::value(t, layout.fixed),
        };
        EncCell { timestamp, life, path, value }
    }

    fn clustering(&self, t: &mut Tape<'_>, size: usize) -> Vec<Value> {
        self.clustering
            .iter()
            .take(size)
            .map(|(_, fixed)| if t.one_in(6) { None } else { Some(Self::value(t, *fixed)) })
            .collect()
    }

    fn row(&self, t: &mut Tape<'_>, is_static: bool) -> EncRow {
        let liveness = (!is_static && t.one_in(2)).then(|| {
            let expiry = t.one_in(2).then(|| (Self::some_ttl(t), self.seconds(t)));
            (self.time(t), expiry)
        });
        let deletion = (!is_static && t.one_in(4)).then(|| self.some_deletion(t));
        let columns = if is_static { &self.statics } else { &self.regulars };
        // Whole rows, nearly whole ones, nearly empty ones: both lists of large subsets.
        let presence = t.below(4);
        let with_deletions = t.one_in(2);
        let columns = columns
            .iter()
            .map(|c| {
                let present = match presence {
                    0 => true,
                    1 => !t.one_in(8),
                    2 => t.one_in(2),
                    _ => t.one_in(8),
                };
                present.then(|| {
                    if !c.layout.complex {
                        let cell = self.cell(t, c.layout, liveness);
                        return EncColumn { deletion: None, cells: vec![cell] };
                    }
                    let deletion = (with_deletions && t.one_in(2)).then(|| self.some_deletion(t));
                    let cells = (0..t.below(4)).map(|_| self.cell(t, c.layout, liveness)).collect();
                    EncColumn { deletion, cells }
                })
            })
            .collect();
        EncRow {
            is_static,
            clustering: if is_static { Vec::new() } else { self.clustering(t, usize::MAX) },
            liveness,
            deletion,
            shadowable: deletion.is_some() && t.one_in(3),
            columns,
        }
    }

    fn partition(&self, t: &mut Tape<'_>) -> TestPartition {
        let mut unfiltereds = Vec::new();
        let key_len = t.pick(&[4, 0, 1, 300]);
        let key = t.bytes(key_len);
        // A time whose first byte is 0x80 alone cannot be told from a live deletion in `oa`.
        let deletion = t.one_in(2).then(|| self.some_deletion(t)).filter(|d| d.at > i64::MIN >> 1);
        if !self.statics.is_empty() {
            unfiltereds.push(EncUnfiltered::Row(self.row(t, true)));
        }
        for _ in 0..t.below(5) {
            if t.one_in(3) {
                let kind = t.pick(&[0, 1, 2, 5, 6, 7]);
                let boundary = matches!(kind, 2 | 5);
                let size = t.below(self.clustering.len() + 1);
                unfiltereds.push(EncUnfiltered::Marker(EncMarker {
                    kind,
                    clustering: self.clustering(t, size),
                    first: self.some_deletion(t),
                    second: boundary.then(|| self.some_deletion(t)),
                }));
            } else {
                unfiltereds.push(EncUnfiltered::Row(self.row(t, false)));
            }
        }
        TestPartition { key, deletion, unfiltereds, name_all: !t.one_in(4) }
    }
}

fn check_round_trip(choices: &[u16]) {
    let mut t = Tape::new(choices);
    let table = test_table(&mut t);
    let codec = table.codec();
    for _ in 0..3 {
        let partition = table.partition(&mut t);
        let (bytes, _) = table.encode(&partition);
        let decoded = decode_partition(&codec, &bytes, usize::MAX).unwrap();
        assert_eq!(decoded, table.expected(&partition));
    }
}

/// Each unfiltered of a partition with its own `previous`.
fn each_unfiltered<'b>(
    codec: &RowCodec,
    bytes: &'b [u8],
    starts: &[usize],
) -> Vec<(u64, &'b [u8])> {
    let first = if codec.has_static() { 0 } else { starts[0] };
    let mut out = Vec::new();
    for (i, &start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(bytes.len());
        let previous = match i {
            0 => first,
            1 if codec.has_static() => start,
            _ => start - starts[i - 1],
        };
        out.push((previous as u64, &bytes[start..end]));
    }
    out
}

/// No prefix of an unfiltered is taken for a whole one, and what the decoder asks for is enough.
fn check_prefixes(choices: &[u16]) {
    let mut t = Tape::new(choices);
    let table = test_table(&mut t);
    let codec = table.codec();
    let partition = table.partition(&mut t);
    let (bytes, starts) = table.encode(&partition);
    let expected = table.expected(&partition);
    let mut decoder = RowDecoder::new(Arc::clone(&codec));
    for cut in 0..starts[0] {
        let needed = partition_head(&bytes[..cut], codec.uint_deletion_time).unwrap().unwrap_err();
        assert!(needed > cut);
    }
    let mut row = Row::EMPTY;
    for (previous, unfiltered) in each_unfiltered(&codec, &bytes, &starts) {
        for cut in 0..unfiltered.len() {
            match decoder.decode(&unfiltered[..cut], previous, &mut row) {
                Ok(Step::Need(needed)) => assert!(needed > cut),
                other => panic!("{other:?} of {cut} of {unfiltered:x?}"),
            }
        }
    }
    for first in 0..bytes.len() {
        assert_eq!(decode_partition(&codec, &bytes, first).as_ref(), Ok(&expected), "{first}");
        // Of a file that ends in the middle there is an error, never a shorter partition.
        assert!(decode_partition(&codec, &bytes[..first], usize::MAX).is_err());
    }
}

fn check_flips(choices: &[u16]) {
    let mut t = Tape::new(choices);
    let table = test_table(&mut t);
    let codec = table.codec();
    let (mut bytes, _) = table.encode(&table.partition(&mut t));
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(partition) = decode_partition(&codec, &bytes, 64) {
            let statics = partition.unfiltereds.iter().enumerate().filter(|(i, u)| match u {
                Plain::Row(row) => *i > 0 && row.clustering.len() != table.clustering.len(),
                Plain::Marker(..) => false,
            });
            assert_eq!(statics.count(), 0, "a static row among the rows: bit {bit} of {bytes:x?}");
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn whatever_is_encoded_decodes_to_itself(
        choices in proptest::collection::vec(any::<u16>(), 0..1200),
    ) {
        check_round_trip(&choices);
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn a_window_cut_anywhere_gives_the_same_rows_once_grown_as_asked(
        choices in proptest::collection::vec(any::<u16>(), 0..400),
    ) {
        check_prefixes(&choices);
    }

    #[test]
    fn no_flipped_bit_panics_or_moves_a_static_row(
        choices in proptest::collection::vec(any::<u16>(), 0..400),
    ) {
        check_flips(&choices);
    }
}

/// Updates as mutations have them.
#[path = "update_tests.rs"]
mod updates;
