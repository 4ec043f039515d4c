//! How long the text of a record is on the average.
//!
//! Statistics.db says how many bytes, partitions, rows and cells an SSTable has, not which columns they are of. So a row is
//! taken apart: what frames it is known, types of fixed length say what they take, cells are shared out evenly over the
//! columns, and the rest of the bytes belongs to columns of any length. Then each part gets the length of its text.

use crate::cql::CqlType;
use crate::extract::worker::TableJob;
use crate::output::{OutputKind, Profile};
use crate::schema::{ColumnKind, ColumnMetadata};

use super::facts::TableFacts;

/// Key length, deletion, end of a partition.
const PARTITION_FRAME: f64 = 2.0 + 12.0 + 1.0;
/// Flags, two sizes and the distance in time of a row.
const ROW_FRAME: f64 = 6.0;
/// What stands before the clustering of a row.
const CLUSTERING_FRAME: f64 = 1.0;
/// Flags and length of a cell.
const CELL_FRAME: f64 = 2.0;

/// What an average record takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RecordSize {
    /// Bytes in the file.
    pub(super) record: u64,
    /// Bytes of names and values as an item of DynamoDB.
    pub(super) item: u64,
    /// Values of an average record that are not null.
    pub(super) values: u64,
}

/// How long values of a type are.
#[derive(Debug, Clone, Copy)]
enum Width {
    /// Bytes stored, and of text.
    Fixed(f64, f64),
    /// Bytes of text for each that is stored.
    Any(f64),
}

fn width(cql_type: &CqlType) -> Width {
    match cql_type {
        CqlType::Boolean => Width::Fixed(1.0, 5.0),
        CqlType::Tinyint => Width::Fixed(1.0, 3.0),
        CqlType::Smallint => Width::Fixed(2.0, 4.0),
        CqlType::Int => Width::Fixed(4.0, 6.0),
        CqlType::Bigint => Width::Fixed(8.0, 12.0),
        // One shard, its id and clock.
        CqlType::Counter => Width::Fixed(36.0, 4.0),
        CqlType::Float => Width::Fixed(4.0, 8.0),
        CqlType::Double => Width::Fixed(8.0, 10.0),
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => Width::Fixed(16.0, 36.0),
        CqlType::Timestamp | CqlType::LegacyTimestamp => Width::Fixed(8.0, 23.0),
        CqlType::Date => Width::Fixed(4.0, 10.0),
        CqlType::Time => Width::Fixed(8.0, 18.0),
        CqlType::Inet => Width::Fixed(4.0, 12.0),
        CqlType::Duration => Width::Fixed(4.0, 8.0),
        CqlType::Empty => Width::Fixed(0.0, 0.0),
        CqlType::Vector { element, dimension } => match width(element) {
            Width::Fixed(stored, text) => {
                Width::Fixed(stored * f64::from(*dimension), (text + 2.0) * f64::from(*dimension))
            }
            Width::Any(factor) => Width::Any(factor),
        },
        CqlType::Ascii | CqlType::Text => Width::Any(1.0),
        // Lengths and frames of the elements go, quotes and names come.
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Tuple(_)
        | CqlType::Udt { .. } => Width::Any(1.5),
        CqlType::Blob
        | CqlType::Varint
        | CqlType::Decimal
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => Width::Any(2.0),
    }
}

/// Bytes of the text of a value that has `stored` bytes: exact for text and blobs, usual for others.
pub(super) fn text_len(cql_type: &CqlType, stored: u64) -> u64 {
    match width(cql_type) {
        Width::Fixed(_, text) => whole(text),
        Width::Any(factor) => whole(factor * float(stored)),
    }
}

/// The average record of a table.
pub(super) fn record_size(job: &TableJob, facts: &TableFacts) -> RecordSize {
    let source = &facts.source;
    if source.rows == 0 {
        return RecordSize::default();
    }
    let rows = float(source.rows);
    let partitions = float(source.partitions) / rows;
    let cells = float(source.cells) / rows;
    let keys = float(facts.keys.looked_at.max(1));
    let (key_stored, key_text) = (float(facts.keys.stored) / keys, float(facts.keys.text) / keys);

    let table = &job.table;
    let others: Vec<&ColumnMetadata> = table.statics.iter().chain(&table.regulars).collect();
    let present = (cells / float(others.len() as u64).max(1.0)).min(1.0);
    let fixed = |columns: &mut dyn Iterator<Item = &ColumnMetadata>| -> f64 {
        let stored = columns.map(|column| match width(&column.cql_type) {
            Width::Fixed(stored, _) => stored,
            Width::Any(_) => 0.0,
        });
        stored.sum()
    };
    let clustering_frame = if table.clustering.is_empty() { 0.0 } else { CLUSTERING_FRAME };
    let framed = partitions * (PARTITION_FRAME + key_stored)
        + ROW_FRAME
        + clustering_frame
        + cells * CELL_FRAME
        + fixed(&mut table.clustering.iter())
        + present * fixed(&mut others.iter().copied());
    let variable = (float(source.data_bytes) / rows - framed).max(0.0);
    let all = table.clustering.iter().chain(others.iter().copied());
    let takers = all.filter(|column| matches!(width(&column.cql_type), Width::Any(_))).count();
    let each = variable / float((takers as u64).max(1));

    let mut text = Text::new(job);
    let mut clustering = 0.0;
    for column in job.format.columns() {
        let of_table = column.source.as_deref().and_then(|name| {
            let mut all =
                table.partition_key.iter().chain(&table.clustering).chain(others.iter().copied());
            all.find(|column| column.name == name)
        });
        let value = |cql_type: &CqlType| match width(cql_type) {
            Width::Fixed(_, text) => text,
            Width::Any(factor) => factor * each,
        };
        match (column.kind, of_table) {
            // One text for the whole key below.
            (OutputKind::Column(ColumnKind::PartitionKey), _) => {
                let columns = float((table.partition_key.len() as u64).max(1));
                text.column(&column.name, key_text / columns, 1.0);
            }
            (OutputKind::Column(ColumnKind::Clustering), Some(of_table)) => {
                let len = value(&of_table.cql_type);
                clustering += len + 1.0;
                text.column(&column.name, len, 1.0);
            }
            (OutputKind::Column(_), Some(of_table)) => {
                // What is in every row is so in the rest too: the length of what any length is shared out over has it.
                let often = match width(&of_table.cql_type) {
                    Width::Fixed(..) => present,
                    Width::Any(_) => 1.0,
                };
                text.column(&column.name, value(&of_table.cql_type), often);
            }
            (OutputKind::CompositeKey, _)
                if column.name == crate::output::names::SORT_KEY_COLUMN =>
            {
                text.column(&column.name, clustering, 1.0);
            }
            (OutputKind::CompositeKey, _) => text.column(&column.name, key_text, 1.0),
            // A write time; TTLs are null in most rows.
            (OutputKind::Metadata, _) if column.name.contains("ttl") => {
                text.column(&column.name, 6.0, 0.0);
            }
            (OutputKind::Metadata | OutputKind::Column(_), _) => {
                text.column(&column.name, 16.0, present);
            }
        }
    }
    RecordSize {
        record: whole(text.record).max(1),
        item: whole(text.item).max(1),
        values: whole(text.values),
    }
}

/// A record as it grows.
#[derive(Debug, Clone, Copy)]
struct Text {
    profile: Profile,
    record: f64,
    item: f64,
    values: f64,
}

impl Text {
    fn new(job: &TableJob) -> Self {
        Self { profile: job.format.profile(), record: 1.0, item: 0.0, values: 0.0 }
    }

    /// Adds a column whose values have `len` bytes of text, in that part of the rows.
    fn column(&mut self, name: &str, len: f64, present: f64) {
        let name = float(name.len() as u64);
        let (frame, null) = match self.profile {
            Profile::Dms | Profile::Cqlsh | Profile::Datalake => (1.0, 2.0),
            Profile::Csv => (1.0, 0.0),
            // Quotes, colon, comma and blanks; half of the values have quotes of their own.
            Profile::Jsonl => (name + 7.0, 4.0),
            // The name and the type with their quotes; what is null is absent.
            Profile::DdbJson => (present * (name + 13.0), 0.0),
            // Values by column, with a length each; names stand in the footer once.
            Profile::Parquet => (2.0, 0.0),
        };
        self.record += frame + present * len + (1.0 - present) * null;
        self.item += present * (name + len);
        self.values += present;
    }
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "estimates need no more than 52 bits")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// An estimate as a count.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and takes NaN for 0"
)]
pub(super) fn whole(estimate: f64) -> u64 {
    estimate.round() as u64
}
