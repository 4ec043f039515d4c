//! What the model and the merge both read: tables, writes in several sources, and a [`PartitionSource`] over them.
//!
//! The spaces are small on purpose (five write times, three deletion times around the clock, a handful of values), so that
//! ties, coverings and expiry at the clock are the rule and not the exception.

use std::collections::BTreeMap;

use crate::cql::CqlType;
use crate::dht::Token;
use crate::error::{Error, Result};
use crate::rows::{
    Cell, ClusteringKind, ClusteringValue, ComplexDeletion, DeletionTime, LivenessInfo,
    LocalDeletionTime, Marker, NO_TTL, PartitionSource, Row, RowView, Span, Unfiltered,
};
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, RowOrder, TableMetadata};

pub(super) const NOW: i64 = 1_000;
pub(super) const NEVER: i64 = i64::MAX;

/// Values in ascending order, each with all ways to write it.
pub(super) type Domain = &'static [&'static [&'static [u8]]];

pub(super) const INTS: Domain = &[&[b""], &[&[0xff; 4]], &[&[0; 4]], &[&[0, 0, 0, 7]]];
pub(super) const TEXTS: Domain = &[&[b""], &[b"a"], &[b"ab"], &[b"\xe1"]];
// 1.0 and 1.00 are the same element.
pub(super) const DECIMALS: Domain = &[
    &[&[0, 0, 0, 0, 0xff]],
    &[&[0, 0, 0, 1, 10], &[0, 0, 0, 2, 100], &[0, 0, 0, 0, 1]],
    &[&[0, 0, 0, 0, 2]],
];
pub(super) const NO_PATH: Domain = &[&[b""]];
pub(super) const CLUSTERINGS: [(CqlType, Domain); 3] =
    [(CqlType::Int, INTS), (CqlType::Text, TEXTS), (CqlType::Decimal, DECIMALS)];
/// The first two differ in signed and unsigned order.
pub(super) const VALUES: [&[u8]; 5] = [&[0x51], &[0xe1], b"", &[0x51, 0xe1], &[0x51, 0]];

pub(super) type Time = (i64, i64);

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) cql_type: CqlType,
    /// Of the paths, if it is complex.
    pub(super) paths: Domain,
    pub(super) complex: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) clustering: Vec<(CqlType, Domain, bool)>,
    /// Trailing clustering values may be null, as in dense tables.
    pub(super) nulls: bool,
    pub(super) statics: Vec<Column>,
    pub(super) regulars: Vec<Column>,
    pub(super) counter: bool,
    /// Counter shards of 2.0, which merging twice counts twice.
    pub(super) local_shards: bool,
    /// A view: shadowable deletions, liveness that was taken back.
    pub(super) view: bool,
    pub(super) strict: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModelCell {
    pub(super) timestamp: i64,
    pub(super) ttl: i32,
    pub(super) ldt: i64,
    pub(super) path: &'static [u8],
    pub(super) value: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ModelRow {
    pub(super) clustering: Vec<Option<&'static [u8]>>,
    /// Write time, TTL, expiry.
    pub(super) liveness: Option<(i64, i32, i64)>,
    pub(super) deletion: Option<Time>,
    pub(super) complex: BTreeMap<u16, Time>,
    /// By column and rank of the path.
    pub(super) cells: BTreeMap<(u16, usize), ModelCell>,
}

/// Where a row or a bound lies: the ranks of its values, and last 0 for a row or something far out for a bound.
pub(super) type Place = Vec<i32>;
pub(super) const FAR: i32 = 1_000;
pub(super) const NULL: i32 = -500;

#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) place: Place,
    pub(super) values: Vec<Option<&'static [u8]>>,
}

#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) start: Bound,
    pub(super) end: Bound,
    pub(super) deletion: Time,
}

#[derive(Debug, Clone, Default)]
pub(super) struct ModelPartition {
    pub(super) deletion: Option<Time>,
    pub(super) static_row: ModelRow,
    pub(super) rows: BTreeMap<Place, ModelRow>,
    pub(super) ranges: Vec<Range>,
}

/// The content of one source: partitions by number of the key.
pub(super) type ModelSource = BTreeMap<usize, ModelPartition>;

/// Two keys share a token; order is by token and then by key.
pub(super) const KEYS: [(i64, &[u8]); 3] = [(-5, b"z"), (3, b"a"), (3, b"b")];

/// As in the decoder's tests: one list of numbers makes, and proptest shrinks, a whole case.
pub(super) struct Tape<'a> {
    pub(super) choices: &'a [u16],
    pub(super) at: usize,
}

impl Tape<'_> {
    pub(super) fn below(&mut self, n: usize) -> usize {
        let choice = self.choices.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        usize::from(choice) % n
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(super) fn timestamp(&mut self) -> i64 {
        self.pick(&[2, 1, 3, 0, -1])
    }

    pub(super) fn seconds(&mut self) -> i64 {
        self.pick(&[NOW + 1, NOW, NOW - 1])
    }

    pub(super) fn deletion(&mut self) -> Time {
        (self.timestamp(), self.seconds())
    }
}

pub(super) fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap()
}

/// A TTL that follows from the expiry, so that what ties in everything else is the same.
pub(super) fn ttl_of(ldt: i64) -> i32 {
    i32::try_from(ldt - NOW + 50).unwrap()
}

/// Two deletions of the same time are both shadowable or both not: Cassandra's answer depends on their order otherwise.
pub(super) fn is_shadowable(deletion: Time) -> bool {
    deletion.1 == NOW
}

pub(super) fn shape(t: &mut Tape<'_>) -> Shape {
    let counter = t.one_in(5);
    let column = |name, complex: Option<(CqlType, Domain)>| match complex {
        Some((element, paths)) => {
            let cql_type = CqlType::Set { element: Box::new(element), frozen: false };
            Column { name, cql_type, paths, complex: true }
        }
        None => Column { name, cql_type: CqlType::Blob, paths: NO_PATH, complex: false },
    };
    let (ints, decimals) = ((CqlType::Int, INTS), (CqlType::Decimal, DECIMALS));
    let (statics, regulars) = if counter {
        (vec![column("c", None)], vec![column("a", None), column("b", None)])
    } else {
        (
            vec![column("c", None), column("d", Some(decimals.clone()))],
            vec![
                column("a", None),
                column("b", None),
                column("s", Some(ints)),
                column("t", Some(decimals)),
            ],
        )
    };
    let clustering = (0..t.below(4))
        .map(|_| {
            let (cql_type, domain) = CLUSTERINGS[t.below(3)].clone();
            (cql_type, domain, t.one_in(2))
        })
        .collect();
    let view = !counter && t.one_in(4);
    Shape {
        clustering,
        nulls: t.one_in(4),
        statics,
        regulars,
        counter,
        local_shards: counter && t.one_in(3),
        view,
        strict: view && t.one_in(2),
    }
}

pub(super) fn metadata(shape: &Shape) -> TableMetadata {
    let columns = |columns: &[Column], kind| {
        let one = |c: &Column| ColumnMetadata {
            name: c.name.into(),
            cql_type: if shape.counter { CqlType::Counter } else { c.cql_type.clone() },
            kind,
            reversed: false,
            mask: None,
        };
        columns.iter().map(one).collect::<Vec<_>>()
    };
    let clustering = shape.clustering.iter().map(|(cql_type, _, reversed)| ColumnMetadata {
        name: "ck".into(),
        cql_type: cql_type.clone(),
        kind: ColumnKind::Clustering,
        reversed: *reversed,
        mask: None,
    });
    TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: None,
        partition_key: Vec::new(),
        clustering: clustering.collect(),
        statics: columns(&shape.statics, ColumnKind::Static),
        regulars: columns(&shape.regulars, ColumnKind::Regular),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: shape.counter,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

pub(super) fn context(t: &mut Tape<'_>, local: bool) -> Vec<u8> {
    let (mut header, mut shards) = (Vec::new(), Vec::new());
    let mut index = 0_u16;
    for id in 1..=3_u8 {
        if !t.one_in(2) {
            continue;
        }
        match t.below(if local { 4 } else { 3 }) {
            0 | 1 => header.push(index | 0x8000),
            2 => {}
            _ => header.push(index),
        }
        shards.extend([id; 16]);
        shards.extend(t.pick(&[1_i64, 2, 3, -1, -2]).to_be_bytes());
        shards.extend(t.pick(&[1_i64, 10, -100]).to_be_bytes());
        index += 1;
    }
    let mut out = u16::try_from(header.len()).unwrap().to_be_bytes().to_vec();
    header.iter().for_each(|e| out.extend(e.to_be_bytes()));
    out.extend(shards);
    out
}

impl Shape {
    pub(super) fn cell(&self, t: &mut Tape<'_>, path: &'static [u8]) -> ModelCell {
        let timestamp = t.timestamp();
        let kind = t.below(6);
        if kind >= 4 {
            return ModelCell { timestamp, ttl: NO_TTL, ldt: t.seconds(), path, value: Vec::new() };
        }
        if self.counter {
            let value = context(t, self.local_shards);
            return ModelCell { timestamp, ttl: NO_TTL, ldt: NEVER, path, value };
        }
        let value = t.pick(&VALUES).to_vec();
        if kind >= 2 {
            let ldt = t.seconds();
            return ModelCell { timestamp, ttl: ttl_of(ldt), ldt, path, value };
        }
        ModelCell { timestamp, ttl: NO_TTL, ldt: NEVER, path, value }
    }

    pub(super) fn write_cell(&self, t: &mut Tape<'_>, columns: &[Column], row: &mut ModelRow) {
        let index = t.below(columns.len());
        let rank = t.below(columns[index].paths.len());
        let path = t.pick(columns[index].paths[rank]);
        let cell = self.cell(t, path);
        row.cells.insert((u16::try_from(index).unwrap(), rank), cell);
    }

    pub(super) fn delete_column(t: &mut Tape<'_>, columns: &[Column], row: &mut ModelRow) {
        let complex = columns.iter().enumerate().filter(|(_, c)| c.complex);
        let complex: Vec<_> = complex.map(|(i, _)| u16::try_from(i).unwrap()).collect();
        if !complex.is_empty() {
            row.complex.insert(t.pick(&complex), t.deletion());
        }
    }

    pub(super) fn values(
        &self,
        t: &mut Tape<'_>,
        size: usize,
    ) -> (Place, Vec<Option<&'static [u8]>>) {
        let (mut place, mut values) = (Vec::new(), Vec::new());
        let nulls = if self.nulls && t.one_in(3) { t.below(size + 1) } else { 0 };
        for (i, (_, domain, reversed)) in self.clustering.iter().take(size).enumerate() {
            if i + nulls >= size {
                place.push(NULL);
                values.push(None);
                continue;
            }
            let rank = t.below(domain.len());
            place.push(if *reversed { -number(rank) } else { number(rank) });
            values.push(Some(t.pick(domain[rank])));
        }
        (place, values)
    }

    pub(super) fn row<'p>(
        &self,
        t: &mut Tape<'_>,
        partition: &'p mut ModelPartition,
    ) -> &'p mut ModelRow {
        let (mut place, clustering) = self.values(t, self.clustering.len());
        place.push(0);
        let new = ModelRow { clustering, ..ModelRow::default() };
        partition.rows.entry(place).or_insert(new)
    }

    pub(super) fn bound(&self, t: &mut Tape<'_>) -> Bound {
        let size = t.below(self.clustering.len() + 1);
        let (mut place, values) = self.values(t, size);
        place.push(t.pick(&[-FAR, FAR]));
        Bound { place, values }
    }

    /// The place of clustering values that came out of the merge.
    pub(super) fn place_of(&self, values: &[Option<Vec<u8>>]) -> Place {
        assert_eq!(values.len(), self.clustering.len());
        let mut place: Place = values
            .iter()
            .zip(&self.clustering)
            .map(|(value, (_, domain, reversed))| match value {
                None => NULL,
                Some(v) => {
                    let rank = domain.iter().position(|ways| ways.contains(&v.as_slice())).unwrap();
                    if *reversed { -number(rank) } else { number(rank) }
                }
            })
            .collect();
        place.push(0);
        place
    }

    pub(super) fn partition(&self, t: &mut Tape<'_>) -> ModelPartition {
        let mut partition = ModelPartition::default();
        for _ in 0..1 + t.below(9) {
            match t.below(16) {
                0..=4 => {
                    let row = self.row(t, &mut partition);
                    self.write_cell(t, &self.regulars, row);
                }
                5..=7 => {
                    let view = self.view;
                    let row = self.row(t, &mut partition);
                    let ldt = t.seconds();
                    row.liveness = Some(match t.below(4) {
                        2 => (t.timestamp(), ttl_of(ldt), ldt),
                        3 if view => (t.timestamp(), LivenessInfo::EXPIRED_TTL, ldt),
                        _ => (t.timestamp(), NO_TTL, NEVER),
                    });
                    if t.one_in(2) {
                        self.write_cell(t, &self.regulars, row);
                    }
                }
                8 => self.row(t, &mut partition).deletion = Some(t.deletion()),
                9 => {
                    let row = self.row(t, &mut partition);
                    Self::delete_column(t, &self.regulars, row);
                }
                10..=12 => {
                    let (start, end) = (self.bound(t), self.bound(t));
                    if start.place < end.place {
                        partition.ranges.push(Range { start, end, deletion: t.deletion() });
                    }
                }
                13 => partition.deletion = Some(t.deletion()),
                14 => Self::delete_column(t, &self.statics, &mut partition.static_row),
                _ => self.write_cell(t, &self.statics, &mut partition.static_row),
            }
        }
        partition
    }

    pub(super) fn source(&self, t: &mut Tape<'_>) -> ModelSource {
        let mut source = ModelSource::new();
        for key in 0..KEYS.len() {
            // Most cases are about one partition.
            let present = if key == 1 { !t.one_in(8) } else { t.one_in(6) };
            if present {
                source.insert(key, self.partition(t));
            }
        }
        source
    }
}

#[derive(Debug)]
pub(super) struct MemoryPartition {
    pub(super) token: Token,
    pub(super) key: &'static [u8],
    pub(super) deletion: DeletionTime,
    pub(super) static_row: Option<(Row, Vec<u8>)>,
    pub(super) unfiltereds: Vec<(Unfiltered, Row, Vec<u8>)>,
}

#[derive(Debug)]
pub(super) struct MemorySource {
    pub(super) partitions: Vec<MemoryPartition>,
    pub(super) at: usize,
    pub(super) next: usize,
}

pub(super) fn deletion_time(time: Option<Time>) -> DeletionTime {
    time.map_or(DeletionTime::LIVE, |(marked_for_delete_at, seconds)| DeletionTime {
        marked_for_delete_at,
        local_deletion_time: LocalDeletionTime(seconds),
    })
}

pub(super) fn put(data: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = u32::try_from(data.len()).unwrap();
    data.extend_from_slice(bytes);
    Span { start, len: u32::try_from(bytes.len()).unwrap() }
}

pub(super) fn put_clustering(row: &mut Row, data: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    for value in values {
        row.clustering.push(match value {
            None => ClusteringValue::Null,
            Some(v) => ClusteringValue::Value(put(data, v)),
        });
    }
}

pub(super) fn memory_row(model: &ModelRow) -> (Row, Vec<u8>) {
    // Something in front, so that a span taken from another row's bytes shows.
    let (mut row, mut data) = (Row::EMPTY, vec![0xaa; 3]);
    put_clustering(&mut row, &mut data, &model.clustering);
    if let Some((timestamp, ttl, ldt)) = model.liveness {
        row.liveness = LivenessInfo { timestamp, ttl, local_deletion_time: LocalDeletionTime(ldt) };
        row.has_times = ttl != NO_TTL;
    }
    row.deletion = deletion_time(model.deletion);
    for (&column, &time) in &model.complex {
        row.complex.push(ComplexDeletion { column, deletion: deletion_time(Some(time)) });
    }
    for (&(column, _), cell) in &model.cells {
        row.has_times |= cell.ldt != NEVER;
        row.cells.push(Cell {
            timestamp: cell.timestamp,
            local_deletion_time: LocalDeletionTime(cell.ldt),
            ttl: cell.ttl,
            column,
            source: 0,
            value: put(&mut data, &cell.value),
            path: put(&mut data, cell.path),
        });
    }
    (row, data)
}

/// The ranges of one source as Cassandra stores them: one after the other, where two meet a boundary.
pub(super) fn markers(ranges: &[Range]) -> Vec<(Place, Unfiltered, Row, Vec<u8>)> {
    let bounds: BTreeMap<&Place, &Bound> =
        ranges.iter().flat_map(|r| [&r.start, &r.end]).map(|b| (&b.place, b)).collect();
    let mut out = Vec::new();
    let mut open: Option<Time> = None;
    for (&place, bound) in &bounds {
        let covering = ranges.iter().filter(|r| r.start.place <= *place && *place < r.end.place);
        let next = covering.map(|r| r.deletion).max();
        if next == open {
            continue;
        }
        let before = place.last() == Some(&-FAR);
        let kind = match (open.is_some(), next.is_some(), before) {
            (false, _, true) => ClusteringKind::InclStartBound,
            (false, _, false) => ClusteringKind::ExclStartBound,
            (true, false, true) => ClusteringKind::ExclEndBound,
            (true, false, false) => ClusteringKind::InclEndBound,
            (true, true, true) => ClusteringKind::ExclEndInclStartBoundary,
            (true, true, false) => ClusteringKind::InclEndExclStartBoundary,
        };
        let marker = Marker { kind, end: deletion_time(open), start: deletion_time(next) };
        let (mut row, mut data) = (Row::EMPTY, Vec::new());
        put_clustering(&mut row, &mut data, &bound.values);
        out.push((place.clone(), Unfiltered::Marker(marker), row, data));
        open = next;
    }
    assert_eq!(open, None);
    out
}

pub(super) fn memory_source(shape: &Shape, model: &ModelSource) -> MemorySource {
    let partitions = model.iter().map(|(&key, partition)| {
        let mut unfiltereds = markers(&partition.ranges);
        for (place, model) in &partition.rows {
            let (mut row, data) = memory_row(model);
            row.shadowable = shape.view && model.deletion.is_some_and(is_shadowable);
            unfiltereds.push((place.clone(), Unfiltered::Row, row, data));
        }
        unfiltereds.sort_by(|a, b| a.0.cmp(&b.0));
        let s = &partition.static_row;
        let has_static = !s.cells.is_empty() || !s.complex.is_empty();
        MemoryPartition {
            token: Token(KEYS[key].0),
            key: KEYS[key].1,
            deletion: deletion_time(partition.deletion),
            static_row: has_static.then(|| memory_row(s)),
            unfiltereds: unfiltereds.into_iter().map(|(_, u, row, data)| (u, row, data)).collect(),
        }
    });
    MemorySource { partitions: partitions.collect(), at: 0, next: 0 }
}

impl PartitionSource for MemorySource {
    fn is_done(&self) -> bool {
        self.at == self.partitions.len()
    }

    fn token(&self) -> Token {
        self.partitions[self.at].token
    }

    fn key(&self) -> &[u8] {
        self.partitions[self.at].key
    }

    fn begin(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }

    fn deletion(&self) -> DeletionTime {
        self.partitions[self.at].deletion
    }

    fn static_row(&self) -> Option<RowView<'_>> {
        self.partitions[self.at].static_row.as_ref().map(|(row, data)| RowView { row, data })
    }

    fn next(&mut self) -> Result<Unfiltered> {
        let found = self.partitions[self.at].unfiltereds.get(self.next);
        self.next += 1;
        Ok(found.map_or(Unfiltered::End, |u| u.0))
    }

    fn row(&self) -> RowView<'_> {
        let (_, row, data) = &self.partitions[self.at].unfiltereds[self.next - 1];
        RowView { row, data }
    }

    fn row_mut(&mut self) -> (&mut Row, &[u8]) {
        let (_, row, data) = &mut self.partitions[self.at].unfiltereds[self.next - 1];
        (row, data)
    }

    fn out_of_order(&self) -> Error {
        Error::Different(format!("row {} of the partition is out of order", self.next))
    }

    fn finish(&mut self) -> Result<()> {
        assert!(self.next > self.partitions[self.at].unfiltereds.len(), "left before its end");
        self.at += 1;
        Ok(())
    }
}

/// A table with one clustering column (int), and the columns of [`shape`] that are no counters.
pub(super) fn plain_shape() -> Shape {
    let mut shape = shape(&mut Tape { choices: &[], at: 0 });
    shape.clustering = vec![(CqlType::Int, INTS, false)];
    shape
}
