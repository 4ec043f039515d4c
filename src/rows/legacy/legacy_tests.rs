use std::fmt::Write as _;
use std::sync::Arc;

use super::names::same;
use super::*;
use crate::io::ByteReader;
use crate::rows::codec::CellsLeftOut;
use crate::rows::{
    ClusteringValue, DeletionTime, LocalDeletionTime, Marker, NO_TTL, PartitionUpdate, Row, Span,
    UpdateContent,
};
use crate::schema::{ColumnKind, CompactKind, DroppedColumn, TableMetadata, parse_schema};

const MARKER: &[u8] = b"";

fn table(columns: &str) -> TableMetadata {
    let text = format!("CREATE TABLE ks.t ({columns})");
    parse_schema(&text, None).unwrap().table("ks", "t").unwrap().clone()
}

fn compact_table(columns: &str) -> TableMetadata {
    let text = format!("CREATE TABLE ks.t ({columns}) WITH COMPACT STORAGE");
    parse_schema(&text, None).unwrap().table("ks", "t").unwrap().clone()
}

/// A composite; the last end-of-component byte is `eoc`.
fn composite(components: &[&[u8]], eoc: i8) -> Vec<u8> {
    let mut out = Vec::new();
    for component in components {
        out.extend(u16::try_from(component.len()).unwrap().to_be_bytes());
        out.extend(*component);
        out.push(0);
    }
    if let Some(last) = out.last_mut() {
        *last = eoc.cast_unsigned();
    }
    out
}

fn static_name(components: &[&[u8]], eoc: i8) -> Vec<u8> {
    [&[0xff, 0xff], composite(components, eoc).as_slice()].concat()
}

fn raw_cell(name: &[u8], mask: u8, body: &[&[u8]]) -> Vec<u8> {
    let len = u16::try_from(name.len()).unwrap().to_be_bytes();
    [&len[..], name, &[mask], &body.concat()].concat()
}

fn value(value: &[u8]) -> Vec<u8> {
    [&u32::try_from(value.len()).unwrap().to_be_bytes()[..], value].concat()
}

fn cell_of(name: &[u8], timestamp: i64, bytes: &[u8]) -> Vec<u8> {
    raw_cell(name, 0, &[&timestamp.to_be_bytes(), &value(bytes)])
}

fn cell(components: &[&[u8]], timestamp: i64, bytes: &[u8]) -> Vec<u8> {
    cell_of(&composite(components, 0), timestamp, bytes)
}

fn deleted(components: &[&[u8]], timestamp: i64, seconds: i32) -> Vec<u8> {
    let name = composite(components, 0);
    raw_cell(&name, 1, &[&timestamp.to_be_bytes(), &value(&seconds.to_be_bytes())])
}

fn expiring(components: &[&[u8]], timestamp: i64, bytes: &[u8]) -> Vec<u8> {
    let (ttl, at) = (60_i32.to_be_bytes(), 1000_i32.to_be_bytes());
    let name = composite(components, 0);
    raw_cell(&name, 2, &[&ttl, &at, &timestamp.to_be_bytes(), &value(bytes)])
}

fn range_of(start: &[u8], end: &[u8], timestamp: i64) -> Vec<u8> {
    let end_len = u16::try_from(end.len()).unwrap().to_be_bytes();
    raw_cell(start, 0x10, &[&end_len, end, &9_i32.to_be_bytes(), &timestamp.to_be_bytes()])
}

/// The tombstone of everything that begins with `components`.
fn range(components: &[&[u8]], timestamp: i64) -> Vec<u8> {
    range_of(&composite(components, -1), &composite(components, 1), timestamp)
}

fn show_row(row: &Row, data: &[u8], out: &mut String) {
    show_clustering(row, data, out);
    if !row.liveness.is_empty() {
        write!(out, " live@{}", row.liveness.timestamp).unwrap();
        if row.liveness.ttl != NO_TTL {
            write!(out, "/{}", row.liveness.ttl).unwrap();
        }
    }
    if !row.deletion.is_live() {
        write!(out, " del@{}", row.deletion.marked_for_delete_at).unwrap();
    }
    for complex in &row.complex {
        write!(out, " {}:del@{}", complex.column, complex.deletion.marked_for_delete_at).unwrap();
    }
    for cell in &row.cells {
        let text = |span: &Span| String::from_utf8_lossy(span.of(data)).into_owned();
        write!(out, " {}", cell.column).unwrap();
        if cell.path.len > 0 {
            write!(out, "[{}]", text(&cell.path)).unwrap();
        }
        if cell.is_tombstone() {
            write!(out, " gone@{}", cell.timestamp).unwrap();
        } else {
            write!(out, "={}@{}", text(&cell.value), cell.timestamp).unwrap();
        }
        if cell.is_expiring() {
            write!(out, "/{}", cell.ttl).unwrap();
        }
    }
}

fn show_clustering(row: &Row, data: &[u8], out: &mut String) {
    let text = |value: &ClusteringValue| match value.bytes(data) {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => "null".into(),
    };
    let values: Vec<String> = row.clustering.iter().map(text).collect();
    write!(out, "({})", values.join(",")).unwrap();
}

fn show_marker(marker: &Marker, row: &Row, data: &[u8], out: &mut String) {
    write!(out, "{:?} ", marker.kind).unwrap();
    show_clustering(row, data, out);
    for (word, deletion) in [("end", marker.end), ("start", marker.start)] {
        if !deletion.is_live() {
            write!(out, " {word}@{}", deletion.marked_for_delete_at).unwrap();
        }
    }
}

/// By the way of SSTables.
fn stream(table: &TableMetadata, bytes: &[u8]) -> (Vec<String>, CellsLeftOut) {
    let mut assembler = RowAssembler::new(Arc::new(LegacyLayout::new(table)));
    assembler.begin_partition();
    let mut reader = ByteReader::new(bytes);
    let mut atoms = Vec::new();
    while let Some(atom) = read_atom(&mut reader).unwrap() {
        atoms.push(atom);
    }
    let mut shown = Vec::new();
    let mut rest = atoms.iter().peekable();
    while let Some(atom) = rest.peek()
        && assembler.offer_static(bytes, atom).unwrap()
    {
        rest.next();
    }
    assembler.finish_static();
    if let Some(view) = assembler.static_row() {
        let mut line = "static".to_owned();
        show_row(view.row, view.data, &mut line);
        shown.push(line);
    }
    let mut rest = rest.copied();
    let mut atom = rest.next();
    loop {
        let offer = match &atom {
            Some(atom) => assembler.offer(bytes, atom).unwrap(),
            None => assembler.end(bytes),
        };
        let mut line = String::new();
        match offer {
            Offer::Taken => {
                atom = rest.next();
                continue;
            }
            Offer::End => return (shown, assembler.left_out),
            Offer::Row => show_row(assembler.row(), bytes, &mut line),
            Offer::Marker(marker) => {
                let view = assembler.marker_row();
                show_marker(&marker, view.row, view.data, &mut line);
            }
        }
        shown.push(line);
    }
}

fn show_update(update: &PartitionUpdate) -> Vec<String> {
    let mut shown = Vec::new();
    if let Some(row) = &update.static_row {
        let mut line = "static".to_owned();
        show_row(row, &update.data, &mut line);
        shown.push(line);
    }
    for content in &update.content {
        let mut line = String::new();
        match content {
            UpdateContent::Row(row) => show_row(row, &update.data, &mut line),
            UpdateContent::Marker(marker, row) => {
                show_marker(marker, row, &update.data, &mut line);
            }
        }
        shown.push(line);
    }
    shown
}

/// By the way of mutations: tombstones apart and, as nothing promises their order, the wrong way round.
fn mutation(table: &TableMetadata, bytes: &[u8]) -> (Vec<String>, CellsLeftOut) {
    let mut partition = LegacyPartition { data: bytes.to_vec(), ..LegacyPartition::default() };
    let mut reader = ByteReader::new(bytes);
    while let Some(atom) = read_atom(&mut reader).unwrap() {
        match atom {
            LegacyAtom::Cell(cell) => partition.cells.push(cell),
            LegacyAtom::Range(range) => partition.ranges.insert(0, range),
        }
    }
    let layout = Arc::new(LegacyLayout::new(table));
    let mut left_out = CellsLeftOut::default();
    let table = Arc::new(table.clone());
    let update = partition.into_update(&layout, table, b"key".to_vec(), &mut left_out).unwrap();
    (show_update(&update), left_out)
}

/// Both ways; they must agree.
fn rows(table: &TableMetadata, atoms: &[Vec<u8>]) -> (Vec<String>, CellsLeftOut) {
    let bytes = [atoms.concat().as_slice(), &[0, 0]].concat();
    let streamed = stream(table, &bytes);
    assert_eq!(mutation(table, &bytes), streamed);
    streamed
}

fn lines(table: &TableMetadata, atoms: &[Vec<u8>]) -> Vec<String> {
    let (lines, left_out) = rows(table, atoms);
    assert_eq!(left_out, CellsLeftOut::default());
    lines
}

fn sparse() -> TableMetadata {
    table(
        "k text, c text, d text, a map<text, text>, b text, e text, s text static, \
         t set<text> static, PRIMARY KEY (k, c, d)",
    )
}

#[test]
fn cells_of_one_clustering_are_a_row_in_the_order_of_3_0() {
    // Simple columns come before complex ones: b is 0, e 1, a 2.
    let atoms = [
        cell(&[b"x", b"1", MARKER], 5, b""),
        range(&[b"x", b"1", b"a"], 4),
        cell(&[b"x", b"1", b"a", b"k1"], 5, b"v1"),
        deleted(&[b"x", b"1", b"a", b"k2"], 6, 9),
        cell(&[b"x", b"1", b"b"], 5, b"B"),
        expiring(&[b"x", b"1", b"e"], 7, b"E"),
        cell(&[b"x", b"2", b"b"], 5, b"B"),
        expiring(&[b"y", b"1", MARKER], 5, b""),
        deleted(&[b"y", b"2", MARKER], 5, 9),
    ];
    assert_eq!(
        lines(&sparse(), &atoms),
        [
            "(x,1) live@5 2:del@4 0=B@5 1=E@7/60 2[k1]=v1@5 2[k2] gone@6",
            "(x,2) 0=B@5",
            "(y,1) live@5/60",
            "(y,2) live@5/2147483647",
        ]
    );
}

#[test]
fn static_cells_and_collections_come_first() {
    let t: &[&[u8]] = &[b"", b"", b"t"];
    let atoms = [
        cell_of(&static_name(&[b"", b"", b"s"], 0), 5, b"S"),
        range_of(&static_name(t, -1), &static_name(t, 1), 4),
        cell_of(&static_name(&[b"", b"", b"t", b"el"], 0), 5, b""),
        cell(&[b"x", b"1", MARKER], 5, b""),
    ];
    assert_eq!(lines(&sparse(), &atoms), ["static() 1:del@4 0=S@5 1[el]=@5", "(x,1) live@5"]);
}

#[test]
fn a_table_without_clustering_has_one_row() {
    let table = table("k text PRIMARY KEY, v text, l set<text>");
    let atoms = [
        cell(&[MARKER], 5, b""),
        range(&[b"l"], 4),
        cell(&[b"l", b"el"], 5, b""),
        cell(&[b"v"], 5, b"V"),
    ];
    assert_eq!(lines(&table, &atoms), ["() live@5 1:del@4 0=V@5 1[el]=@5"]);
}

#[test]
fn a_tombstone_of_a_whole_clustering_deletes_a_row_and_others_are_ranges() {
    let one: &[&[u8]] = &[b"x", b"1"];
    let atoms = [
        range(&[b"a"], 3),
        range_of(&composite(one, 0), &composite(one, 1), 6),
        cell(&[b"x", b"1", b"b"], 7, b"B"),
        range(&[b"x", b"2"], 6),
        range(&[b"y"], 3),
        cell(&[b"y", b"5", b"b"], 7, b"B"),
    ];
    assert_eq!(
        lines(&sparse(), &atoms),
        [
            "InclStartBound (a) start@3",
            "InclEndBound (a) end@3",
            "(x,1) del@6 0=B@7",
            "(x,2) del@6",
            "InclStartBound (y) start@3",
            "(y,5) 0=B@7",
            "InclEndBound (y) end@3",
        ]
    );
}

#[test]
fn overlapping_tombstones_become_boundaries() {
    let span = |from: &[u8], to: &[u8], timestamp| {
        range_of(&composite(&[from], -1), &composite(&[to], 1), timestamp)
    };
    let atoms = [
        span(b"a", b"f", 3),
        span(b"c", b"d", 2),
        span(b"c", b"d", 5),
        cell(&[b"c", b"1", b"b"], 7, b"B"),
        span(b"e", b"h", 1),
    ];
    assert_eq!(
        lines(&sparse(), &atoms),
        [
            "InclStartBound (a) start@3",
            "ExclEndInclStartBoundary (c) end@3 start@5",
            "(c,1) 0=B@7",
            "InclEndExclStartBoundary (d) end@5 start@3",
            "InclEndExclStartBoundary (f) end@3 start@1",
            "InclEndBound (h) end@1",
        ]
    );
}

#[test]
fn tombstones_repeated_at_a_block_of_the_index_change_nothing() {
    let (all, row) = (range(&[b"x"], 3), range(&[b"x", b"1"], 4));
    let atoms = [
        all.clone(),
        row.clone(),
        cell(&[b"x", b"1", MARKER], 5, b""),
        all.clone(),
        row,
        cell(&[b"x", b"1", b"b"], 5, b"B"),
        all,
        cell(&[b"x", b"2", b"b"], 5, b"B"),
    ];
    assert_eq!(
        lines(&sparse(), &atoms),
        [
            "InclStartBound (x) start@3",
            "(x,1) live@5 del@4 0=B@5",
            "(x,2) 0=B@5",
            "InclEndBound (x) end@3",
        ]
    );
}

#[test]
fn a_tombstone_cut_around_a_collection_covers_the_row() {
    let a: &[&[u8]] = &[b"x", b"1", b"a"];
    let (x, row): (&[&[u8]], &[&[u8]]) = (&[b"x"], &[b"x", b"1"]);
    let whole = [
        range_of(&composite(row, -1), &composite(a, -1), 3),
        range(a, 5),
        range_of(&composite(a, 1), &composite(row, 1), 3),
        cell(&[b"x", b"1", b"b"], 7, b"B"),
    ];
    assert_eq!(lines(&sparse(), &whole), ["(x,1) del@3 2:del@5 0=B@7"]);
    let prefix = [
        range_of(&composite(x, -1), &composite(a, -1), 3),
        range(a, 5),
        range_of(&composite(a, 1), &composite(x, 1), 3),
        cell(&[b"x", b"1", b"b"], 7, b"B"),
        cell(&[b"x", b"2", b"b"], 7, b"B"),
    ];
    assert_eq!(
        lines(&sparse(), &prefix),
        [
            "InclStartBound (x) start@3",
            "(x,1) 2:del@5 0=B@7",
            "(x,2) 0=B@7",
            "InclEndBound (x) end@3",
        ]
    );
}

#[test]
fn a_tombstone_from_the_start_of_the_partition_covers_the_static_row() {
    let x: &[&[u8]] = &[b"x"];
    let atoms = [range_of(&static_name(&[b"", b""], -1), &composite(x, 1), 3)];
    let expected = ["static() del@3", "InclStartBound () start@3", "InclEndBound (x) end@3"];
    assert_eq!(lines(&sparse(), &atoms), expected);
    // With an empty start, which no SSTable has.
    let name = composite(x, 1);
    let data = name.clone();
    let range = LegacyRange {
        start: Span::default(),
        end: Span { start: 0, len: u32::try_from(name.len()).unwrap() },
        deletion: DeletionTime {
            marked_for_delete_at: 3,
            local_deletion_time: LocalDeletionTime(9),
        },
    };
    let partition = LegacyPartition { ranges: vec![range], data, ..LegacyPartition::default() };
    let table = Arc::new(sparse());
    let layout = Arc::new(LegacyLayout::new(&table));
    let update =
        partition.into_update(&layout, table, Vec::new(), &mut CellsLeftOut::default()).unwrap();
    assert_eq!(show_update(&update), expected);
}

#[test]
fn dense_tables_have_one_cell_a_row() {
    let table = compact_table("k text, c text, d text, v text, PRIMARY KEY (k, c, d)");
    assert_eq!(table.compact, CompactKind::Dense);
    let atoms = [
        cell(&[b"x"], 5, b"1"),
        cell(&[b"x", b"1"], 5, b"2"),
        deleted(&[b"x", b"2"], 5, 9),
        range(&[b"y"], 3),
        cell(&[b"y", b""], 5, b"3"),
    ];
    assert_eq!(
        lines(&table, &atoms),
        [
            "(x,null) 0=1@5",
            "(x,1) 0=2@5",
            "(x,2) 0 gone@5",
            "InclStartBound (y) start@3",
            "(y,) 0=3@5",
            "InclEndBound (y) end@3",
        ]
    );
}

#[test]
fn with_one_clustering_column_a_dense_name_is_its_value() {
    let table = compact_table("k text, c text, v text, PRIMARY KEY (k, c)");
    let atoms = [
        cell_of(b"x", 5, b"1"),
        range_of(b"xa", b"xa", 3),
        cell_of(b"xa", 5, b"2"),
        range_of(b"y", b"z", 3),
    ];
    assert_eq!(
        lines(&table, &atoms),
        ["(x) 0=1@5", "(xa) del@3 0=2@5", "InclStartBound (y) start@3", "InclEndBound (z) end@3",]
    );
}

#[test]
fn without_clustering_a_compact_table_is_its_static_row_and_the_rest_is_hidden() {
    let table = compact_table("k text PRIMARY KEY, b text, d text");
    assert_eq!(table.compact, CompactKind::StaticCompact);
    let atoms = [
        range_of(b"a", b"c", 4),
        cell_of(b"a", 5, b"dynamic"),
        cell_of(b"b", 3, b"old"),
        cell_of(b"c", 5, b"dynamic"),
        cell_of(b"d", 5, b"D"),
    ];
    let (lines, left_out) = rows(&table, &atoms);
    assert_eq!(lines, ["static() 0 gone@4 1=D@5"]);
    assert_eq!(left_out, CellsLeftOut { dropped: 0, hidden: 2 });
}

#[test]
fn subcolumns_are_elements_of_a_map() {
    let mut table = table("k text, c text, m map<text, text>, PRIMARY KEY (k, c)");
    table.compact = CompactKind::Super;
    table.regulars[0].name = String::new();
    let atoms = [
        range(&[b"x"], 3),
        cell(&[b"x", b"1"], 5, b"a"),
        range(&[b"x", b"2"], 4),
        cell(&[b"x", b"2"], 3, b"old"),
        range(&[b"x", b"3"], 4),
        cell(&[b"x", b"3"], 5, b"b"),
        cell(&[b"y", b"1"], 5, b"c"),
    ];
    assert_eq!(lines(&table, &atoms), ["(x) del@3 0[1]=a@5 0[2] gone@4 0[3]=b@5", "(y) 0[1]=c@5"]);
}

#[test]
fn cells_of_other_columns_are_counted() {
    let mut table = table("k text, c text, v text, w text, PRIMARY KEY (k, c)");
    let dropped = |name: &str| DroppedColumn {
        name: name.into(),
        cql_type: crate::cql::CqlType::Text,
        multi_cell: false,
        kind: ColumnKind::Regular,
        dropped_micros: 10,
    };
    table.dropped = vec![dropped("gone"), dropped("w")];
    let atoms = [
        cell(&[b"x", b"c"], 5, b"of a key column"),
        cell(&[b"x", b"gone"], 20, b"dropped"),
        cell(&[b"x", b"unknown"], 5, b"hidden"),
        cell(&[b"x", b"w"], 10, b"before the drop"),
        cell(&[b"y", b"c"], 5, b"of a key column"),
        cell(&[b"y", b"w"], 11, b"after it"),
    ];
    let (lines, left_out) = rows(&table, &atoms);
    assert_eq!(lines, ["(x) live@5", "(y) 1=after it@11"]);
    assert_eq!(left_out, CellsLeftOut { dropped: 2, hidden: 3 });
}

#[test]
fn equal_values_of_other_bytes_are_one_row() {
    let table = table("k text, c decimal, v text, w text, PRIMARY KEY (k, c)");
    let (one, padded): (&[u8], &[u8]) = (&[0, 0, 0, 0, 1], &[0, 0, 0, 1, 10]);
    let atoms = [
        range_of(&composite(&[one], -1), &composite(&[padded], 1), 3),
        deleted(&[one, b"v"], 5, 9),
        cell(&[padded, b"w"], 5, b"W"),
    ];
    // Shown is the clustering of the first cell that is there.
    let shown = String::from_utf8_lossy(padded);
    assert_eq!(lines(&table, &atoms), [format!("({shown}) del@3 0 gone@5 1=W@5")]);
}

#[test]
fn damaged_atoms_are_errors() {
    let good = cell(&[b"x", b"1", b"b"], 5, b"B");
    for len in 1..good.len() {
        assert!(read_atom(&mut ByteReader::new(&good[..len])).is_err(), "{len}");
    }
    let name = composite(&[b"x"], 0);
    for mask in [0x03, 0x08, 0x20, 0x11] {
        let atom = raw_cell(&name, mask, &[&[0; 40]]);
        assert!(read_atom(&mut ByteReader::new(&atom)).is_err(), "{mask}");
    }
    let no_time = raw_cell(&name, 1, &[&[0; 8], &value(b"12")]);
    assert!(read_atom(&mut ByteReader::new(&no_time)).is_err());
    let no_ttl = raw_cell(&name, 2, &[&[0; 16], &value(b"")]);
    assert!(read_atom(&mut ByteReader::new(&no_ttl)).is_err());
    let layout = Arc::new(LegacyLayout::new(&sparse()));
    let names: [&[u8]; 5] = [
        b"x",
        &composite(&[b"x"], 0),
        &composite(&[b"x", b"1"], 0),
        &composite(&[b"x", b"1", b"a", b"b", b"c"], 0),
        &[0, 9, 1],
    ];
    for name in names {
        let data = cell_of(name, 5, b"");
        let atom = read_atom(&mut ByteReader::new(&data)).unwrap().unwrap();
        let mut assembler = RowAssembler::new(Arc::clone(&layout));
        assert!(assembler.offer(&data, &atom).is_err(), "{name:?}");
    }
    let bound = composite(&[b"x", b"1", b"a", b"b"], 1);
    let data = range_of(&composite(&[b"x"], 0), &bound, 3);
    let atom = read_atom(&mut ByteReader::new(&data)).unwrap().unwrap();
    assert!(RowAssembler::new(layout).offer(&data, &atom).is_err());
}

mod model {
    use super::*;
    use proptest::prelude::*;

    /// A bound of one or two letters, and on which side of the names with that prefix it lies.
    fn bound() -> impl Strategy<Value = (Vec<u8>, i8)> {
        (proptest::collection::vec(b'a'..b'e', 1..=2), prop_oneof![Just(-1_i8), Just(1)])
    }

    fn name(letters: &[u8], eoc: i8) -> Vec<u8> {
        let components: Vec<&[u8]> = letters.chunks(1).collect();
        composite(&components, eoc)
    }

    /// Where a bound lies among rows: after all rows less than it.
    fn place(letters: &[u8], side: i8) -> Vec<i16> {
        let mut place: Vec<i16> = letters.iter().map(|&b| i16::from(b) * 4).collect();
        if let Some(last) = place.last_mut() {
            *last += i16::from(side);
        }
        place
    }

    fn row_place(row: (u8, u8)) -> Vec<i16> {
        vec![i16::from(row.0) * 4, i16::from(row.1) * 4]
    }

    proptest! {
        /// What each row is deleted by is what the tombstones that cover it say.
        #[test]
        fn markers_delete_what_the_tombstones_cover(
            ranges in proptest::collection::vec((bound(), bound(), 1..6_i64), 0..8),
            rows in proptest::collection::btree_set((b'a'..b'e', b'a'..b'e'), 1..8),
        ) {
            let table = table("k text, c text, d text, v text, PRIMARY KEY (k, c, d)");
            let mut atoms: Vec<(Vec<i16>, u8, Vec<u8>)> = Vec::new();
            let mut covering = Vec::new();
            for ((start, start_side), (end, end_side), timestamp) in &ranges {
                let (from, to) = (place(start, *start_side), place(end, *end_side));
                if from >= to {
                    continue;
                }
                let range = range_of(&name(start, *start_side), &name(end, *end_side), *timestamp);
                atoms.push((from.clone(), 0, range));
                covering.push((from, to, *timestamp));
            }
            for &row in &rows {
                let (c, d) = ([row.0], [row.1]);
                atoms.push((row_place(row), 1, cell(&[&c, &d, b"v"], 9, b"")));
            }
            atoms.sort();
            let bytes: Vec<u8> = atoms.into_iter().flat_map(|(_, _, bytes)| bytes).collect();
            let mut partition = LegacyPartition::default();
            let mut reader = ByteReader::new(&bytes);
            while !reader.is_empty() {
                match read_atom(&mut reader).unwrap().unwrap() {
                    LegacyAtom::Cell(cell) => partition.cells.push(cell),
                    LegacyAtom::Range(range) => partition.ranges.push(range),
                }
            }
            partition.data.clone_from(&bytes);
            let streamed = stream(&table, &[bytes.as_slice(), &[0, 0]].concat()).0;
            let table = Arc::new(table);
            let layout = Arc::new(LegacyLayout::new(&table));
            let mut left_out = CellsLeftOut::default();
            let update = partition.into_update(&layout, table, Vec::new(), &mut left_out).unwrap();
            prop_assert_eq!(&show_update(&update), &streamed);
            let mut open = DeletionTime::LIVE;
            let mut found = Vec::new();
            for content in &update.content {
                match content {
                    UpdateContent::Marker(marker, _) => {
                        prop_assert_eq!(marker.end, open);
                        prop_assert_ne!(marker.start, open);
                        open = marker.start;
                    }
                    UpdateContent::Row(row) => {
                        let deletion = open.max(row.deletion);
                        let value = |i: usize| row.clustering[i].bytes(&update.data).unwrap()[0];
                        if !row.cells.is_empty() {
                            found.push(((value(0), value(1)), deletion.marked_for_delete_at));
                        }
                    }
                }
            }
            prop_assert!(open.is_live());
            let expected: Vec<_> = rows.iter().map(|&row| {
                let at = row_place(row);
                let cover = |(from, to, timestamp): &(Vec<i16>, Vec<i16>, i64)| {
                    (*from < at && at < *to).then_some(*timestamp)
                };
                (row, covering.iter().filter_map(cover).max().unwrap_or(i64::MIN))
            }).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn bytes_are_the_same_as_slices_are() {
    let bytes: Vec<u8> = (0..40).collect();
    for len in 0..bytes.len() {
        let a = &bytes[..len];
        assert!(same(a, &bytes[..len]), "{len}");
        assert!(!same(a, &bytes[..=len]) && !same(&bytes[..=len], a), "{len}");
        for at in 0..len {
            let mut other = a.to_vec();
            other[at] ^= 0x80;
            assert!(!same(a, &other), "{len}, {at}");
        }
    }
}
