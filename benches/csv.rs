//! Rows into text: nanoseconds of CPU per row and cell, and MB of text per CPU second, for each profile.
//!
//! The table is that of `speed.md`: 13 columns (3 key, 8 simple, a set and a map), 15 cells and some 650 bytes a row, 12 rows
//! a partition. CPU time, not wall clock, so that other work on the machine does not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use cassport::cql::CqlType;
use cassport::output::{FormatOptions, Profile, RecordFormat, RecordWriter};
use cassport::rows::{
    Cell, ClusteringValue, LivenessInfo, LocalDeletionTime, NO_TTL, Row, RowView, Span,
};
use cassport::schema::{ColumnKind, ColumnMetadata, CompactKind, RowOrder, TableMetadata};

const ROWS: usize = 4096;
const ROWS_PER_PARTITION: usize = 12;
/// The kernel adds CPU time up at its ticks, so a measurement must be many of these long.
const ROUNDS: u64 = 100;
const BATCHES: usize = 5;
const FLUSH_LEN: usize = 1 << 20;

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

fn columns(columns: &[(&str, CqlType)], kind: ColumnKind) -> Vec<ColumnMetadata> {
    let column = |(name, cql_type): &(&str, CqlType)| ColumnMetadata {
        name: (*name).to_owned(),
        cql_type: cql_type.clone(),
        kind,
        reversed: false,
        mask: None,
    };
    columns.iter().map(column).collect()
}

fn table() -> TableMetadata {
    let text = || Box::new(CqlType::Text);
    let mut table = TableMetadata {
        keyspace: "bench".into(),
        name: "orders".into(),
        id: None,
        partition_key: columns(
            &[("tenant", CqlType::Text), ("device", CqlType::Uuid)],
            ColumnKind::PartitionKey,
        ),
        clustering: columns(&[("at", CqlType::Timestamp)], ColumnKind::Clustering),
        statics: Vec::new(),
        regulars: columns(
            &[
                ("name", CqlType::Text),
                ("note", CqlType::Text),
                ("price", CqlType::Double),
                ("quantity", CqlType::Int),
                ("total", CqlType::Bigint),
                ("paid", CqlType::Boolean),
                ("payload", CqlType::Blob),
                ("updated", CqlType::Timestamp),
                ("tags", CqlType::Set { element: text(), frozen: false }),
                ("attributes", CqlType::Map { key: text(), value: text(), frozen: false }),
            ],
            ColumnKind::Regular,
        ),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    };
    table.sort_columns();
    table
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn text(&mut self, len: u64) -> Vec<u8> {
        let words = ["lorem ", "ipsum ", "dolor ", "sit ", "amet ", "elit ", "sed ", "do "];
        let mut text = Vec::new();
        while (text.len() as u64) < len {
            let word = usize::try_from(self.next() % 8).unwrap_or_default();
            text.extend_from_slice(words.get(word).copied().unwrap_or_default().as_bytes());
        }
        text.truncate(usize::try_from(len).unwrap_or_default());
        text.pop();
        text.push(b'x');
        text
    }
}

struct Data {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

impl Data {
    fn span(&mut self, bytes: &[u8]) -> Anyhow<Span> {
        let start = u32::try_from(self.bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(Span { start, len: u32::try_from(bytes.len())? })
    }
}

fn cell(column: usize, value: Span, path: Span) -> Anyhow<Cell> {
    Ok(Cell {
        timestamp: 1,
        local_deletion_time: LocalDeletionTime::NONE,
        ttl: NO_TTL,
        column: u16::try_from(column)?,
        source: 0,
        value,
        path,
    })
}

fn rows(table: &TableMetadata) -> Anyhow<Data> {
    let mut data = Data { bytes: Vec::new(), rows: Vec::new() };
    let mut numbers = Numbers(7);
    for _ in 0..ROWS {
        let mut row =
            Row { liveness: LivenessInfo { timestamp: 1, ..LivenessInfo::NONE }, ..Row::EMPTY };
        let at = 1_600_000_000_000_u64 + numbers.next() % 150_000_000_000;
        row.clustering.push(ClusteringValue::Value(data.span(&at.to_be_bytes())?));
        for (i, column) in table.regulars.iter().enumerate() {
            let random = numbers.next();
            let value = match &column.cql_type {
                CqlType::Text if column.name == "name" => numbers.text(12 + random % 12),
                CqlType::Text => numbers.text(180 + random % 60),
                CqlType::Double => {
                    let cents = u32::try_from(random % 10_000_000)?;
                    (f64::from(cents) / 100.0).to_be_bytes().to_vec()
                }
                CqlType::Int => u32::try_from(random % 10_000)?.to_be_bytes().to_vec(),
                CqlType::Bigint => (random * 1000).to_be_bytes().to_vec(),
                CqlType::Boolean => vec![u8::from(random.is_multiple_of(2))],
                CqlType::Timestamp => (at + random % 86_400_000).to_be_bytes().to_vec(),
                CqlType::Blob => numbers.text(96),
                CqlType::Set { .. } => {
                    for _ in 0..3 {
                        let path = numbers.text(8 + random % 5);
                        let path = data.span(&path)?;
                        row.cells.push(cell(i, Span::default(), path)?);
                    }
                    continue;
                }
                _ => {
                    for _ in 0..4 {
                        let (path, value) =
                            (numbers.text(6 + random % 4), numbers.text(10 + random % 8));
                        let (path, value) = (data.span(&path)?, data.span(&value)?);
                        row.cells.push(cell(i, value, path)?);
                    }
                    continue;
                }
            };
            let value = data.span(&value)?;
            row.cells.push(cell(i, value, Span::default())?);
        }
        data.rows.push(row);
    }
    data.bytes.extend([0; 64]);
    Ok(data)
}

fn partition_key(number: usize) -> Vec<u8> {
    let mut key = vec![0, 9];
    key.extend_from_slice(b"tenant-12\0\0\x10");
    key.extend_from_slice(
        &(number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_1234_5678_9abc_def1).to_be_bytes(),
    );
    key.push(0);
    key
}

/// CPU time of this process, ns.
fn cpu_nanos() -> Anyhow<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// Writes all rows once; returns the bytes of their text.
fn write_all(writer: &mut RecordWriter, data: &Data) -> Anyhow<usize> {
    let mut text_len = 0;
    for (i, rows) in data.rows.chunks(ROWS_PER_PARTITION).enumerate() {
        writer.start_partition(&partition_key(i)).map_err(|e| e.to_string())?;
        for row in rows {
            writer.write_row(RowView { row, data: &data.bytes }).map_err(|e| e.to_string())?;
        }
        if writer.buffer().len() > FLUSH_LEN {
            text_len += writer.buffer().len();
            writer.clear();
        }
    }
    text_len += writer.buffer().len();
    writer.clear();
    Ok(text_len)
}

fn main() -> Anyhow<()> {
    let table = table();
    let data = rows(&table)?;
    let cells: usize = data.rows.iter().map(|row| row.cells.len()).sum();
    eprintln!("{} bytes of values and {} cells a row", data.bytes.len() / ROWS, cells / ROWS);
    for profile in [Profile::Dms, Profile::Csv, Profile::Jsonl] {
        let format = RecordFormat::new(&table, &FormatOptions::new(profile, 1_700_000_000))?;
        let mut writer = RecordWriter::new(Arc::new(format));
        let mut text_len = 0;
        let mut best = u64::MAX;
        for _ in 0..BATCHES {
            let start = cpu_nanos()?;
            for _ in 0..ROUNDS {
                text_len = write_all(&mut writer, &data)?;
            }
            best = best.min((cpu_nanos()? - start) / ROUNDS);
        }
        let per_row = best / ROWS as u64;
        eprintln!(
            "{:<6} {per_row} ns/row  {} ns/cell  {} bytes/row  {} MB of text per CPU s",
            profile.as_str(),
            best / cells as u64,
            text_len / ROWS,
            text_len as u64 * 1000 / best.max(1),
        );
    }
    Ok(())
}
