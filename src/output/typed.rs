//! Profiles whose files hold typed values: beside each record's `jsonl` form, of which digests are made, a writer of its own
//! turns the same row into the profile's bytes.

use super::buffer::TextBuffer;
use super::dynamodb::{self, ItemFormat, ItemWriter};
use super::format::{Builder, Field, RecordFormat, Source};
use super::metadata::{CellFact, TimeStyle, Times};
use super::options::{FormatOptions, Profile};
use super::parquet::{ColumnarFormat, ColumnarWriter};
use super::record::cells_of;
use super::refusal::Refusal;
use super::scalar::Cause;
use super::stats::{Count, RecordStats};
use crate::error::Result;
use crate::rows::{Cell, Row, RowView};
use crate::schema::TableMetadata;

/// How a typed profile writes a table.
#[derive(Debug)]
pub(super) enum TypedFormat {
    Items(Box<ItemFormat>),
    Columnar(Box<ColumnarFormat>),
}

/// Why a value cannot be carried, and what counts it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) cause: Cause,
    pub(super) count: Count,
}

impl Fault {
    #[cold]
    pub(super) fn new(count: Count, words: impl Into<String>) -> Self {
        Self { cause: Cause::new(words), count }
    }

    #[cold]
    pub(super) fn of_column(self, column: &str) -> Refused {
        Refused { column: Some(column.to_owned()), fault: self }
    }
}

impl From<Cause> for Fault {
    #[cold]
    fn from(cause: Cause) -> Self {
        Self { cause, count: Count::RefusedBadValues }
    }
}

impl From<crate::error::DecodeError> for Fault {
    #[cold]
    fn from(error: crate::error::DecodeError) -> Self {
        Cause::from(error).into()
    }
}

/// A fault and the column that it is in.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) column: Option<String>,
    pub(super) fault: Fault,
}

impl Refused {
    /// What the caller of a writer sees of it.
    pub(super) fn into_refusal(self) -> (Refusal, Count) {
        let Fault { cause, count } = self.fault;
        (Refusal { column: self.column, kind: None, cause: cause.into_words(), key: None }, count)
    }
}

/// A row, or the partition alone, as a typed writer gets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TypedRecord<'r> {
    /// The row, and the entry of a super column that it is about; none for a partition without rows.
    pub(super) row: Option<(RowView<'r>, Option<&'r Cell>)>,
    /// First and one past the last cell of each regular column.
    pub(super) slots: &'r [(u32, u32)],
    /// Times of the row with the static columns, and without them.
    pub(super) all: Times,
    pub(super) own: Times,
}

impl<'r> TypedRecord<'r> {
    /// The cells of a regular column, and the bytes that they point into.
    pub(super) fn regular(&self, source: Source) -> (&'r [Cell], &'r [u8]) {
        let Some((RowView { row, data }, entry)) = self.row else { return (&[], &[]) };
        let cells = match (source, entry) {
            (Source::Regular(column) | Source::RegularFact(_, column), None) => {
                cells_of(self.slots, column, &row.cells)
            }
            (_, Some(cell)) => std::slice::from_ref(cell),
            _ => &[],
        };
        (cells, data)
    }

    /// A fact of the whole row.
    pub(super) fn row_fact(&self, times: &TimeStyle, source: Source) -> Option<i64> {
        let row = self.row.map(|(view, _)| view.row);
        row_fact(times, source, row, self.all, self.own)
    }
}

/// A fact of the whole row. `all` counts the static columns in, which are written with the row; `own` does not, as they do
/// not keep it alive.
pub(super) fn row_fact(
    times: &TimeStyle,
    source: Source,
    row: Option<&Row>,
    all: Times,
    own: Times,
) -> Option<i64> {
    match source {
        Source::RowWriteTime => all.newest().and_then(|newest| times.shown(newest)),
        Source::RowTtl => all.common_expiry().map(|at| at.saturating_sub(times.now)),
        Source::Expires => own.last_expiry(),
        Source::MarkerFact(fact) => {
            let marker = row.map(|row| row.liveness).filter(|marker| !marker.is_empty())?;
            match fact {
                CellFact::WriteTime => times.shown(marker.timestamp),
                CellFact::Ttl => times.ttl_left(marker.ttl, marker.local_deletion_time),
            }
        }
        _ => None,
    }
}

/// Writes a typed profile; between a record and the next either [`TypedWriter::commit`] or [`TypedWriter::roll_back`].
#[derive(Debug)]
pub(super) enum TypedWriter {
    Items(Box<ItemWriter>),
    Columnar(Box<ColumnarWriter>),
}

impl TypedWriter {
    /// The writer of a format, if it is of a typed profile.
    pub(super) fn of(format: &RecordFormat) -> Option<Self> {
        match format.typed.as_deref()? {
            TypedFormat::Items(_) => Some(Self::Items(Box::default())),
            TypedFormat::Columnar(columnar) => {
                Some(Self::Columnar(Box::new(ColumnarWriter::new(columnar))))
            }
        }
    }

    /// The same, for keys of items in place of items.
    pub(super) fn of_keys(format: &RecordFormat) -> Option<Self> {
        let mut writer = Self::of(format)?;
        if let Self::Items(items) = &mut writer {
            items.keys_only = true;
        }
        Some(writer)
    }

    /// Begins a partition with its key's components.
    pub(super) fn start_partition(
        &mut self,
        format: &RecordFormat,
        components: &[&[u8]],
    ) -> Result<(), Refused> {
        match (self, format.typed.as_deref()) {
            (Self::Items(writer), Some(TypedFormat::Items(format))) => {
                writer.start_partition(format, components)
            }
            (Self::Columnar(writer), Some(TypedFormat::Columnar(_))) => {
                writer.start_partition(components);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives the static row of the partition begun; `slots` are those of its columns.
    pub(super) fn set_static(
        &mut self,
        format: &RecordFormat,
        row: Option<RowView<'_>>,
        slots: &[(u32, u32)],
    ) -> Result<(), Refused> {
        match (self, format.typed.as_deref()) {
            (Self::Items(writer), Some(TypedFormat::Items(format))) => {
                writer.set_static(format, row, slots)
            }
            (Self::Columnar(writer), Some(TypedFormat::Columnar(_))) => {
                writer.set_static(row, slots);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Adds a record.
    pub(super) fn record(
        &mut self,
        format: &RecordFormat,
        record: &TypedRecord<'_>,
    ) -> Result<(), Refused> {
        match (self, format.typed.as_deref()) {
            (Self::Items(writer), Some(TypedFormat::Items(format))) => {
                writer.record(format, record)
            }
            (Self::Columnar(writer), Some(TypedFormat::Columnar(format))) => {
                writer.record(format, record)
            }
            _ => Ok(()),
        }
    }

    /// Forgets what was added since the last commit.
    pub(super) fn roll_back(&mut self) {
        match self {
            Self::Items(writer) => writer.roll_back(),
            Self::Columnar(writer) => writer.roll_back(),
        }
    }

    /// Keeps what was added, and counts what there is to say of it.
    pub(super) fn commit(&mut self, stats: &mut RecordStats) {
        match self {
            Self::Items(writer) => writer.commit(stats),
            Self::Columnar(writer) => writer.commit(stats),
        }
    }

    /// Encodes what is complete.
    pub(super) fn settle(&mut self, format: &RecordFormat) -> Result<()> {
        match (self, format.typed.as_deref()) {
            (Self::Columnar(writer), Some(TypedFormat::Columnar(format))) => writer.settle(format),
            _ => Ok(()),
        }
    }

    /// Writes the end of the file.
    pub(super) fn finish_file(&mut self, format: &RecordFormat) -> Result<()> {
        match (self, format.typed.as_deref()) {
            (Self::Columnar(writer), Some(TypedFormat::Columnar(format))) => {
                writer.finish_file(format)
            }
            _ => Ok(()),
        }
    }

    /// The bytes to go to the file.
    pub(super) fn buffer(&self) -> &[u8] {
        match self {
            Self::Items(writer) => writer.buffer(),
            Self::Columnar(writer) => writer.buffer(),
        }
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Items(writer) => writer.clear(),
            Self::Columnar(writer) => writer.clear(),
        }
    }
}

/// The format of a typed profile: the `jsonl` form, with the profile's own columns and format beside it.
pub(super) fn typed_format(table: &TableMetadata, options: &FormatOptions) -> Result<RecordFormat> {
    let reference = FormatOptions {
        profile: Profile::Jsonl,
        column_types: Default::default(),
        ..options.clone()
    };
    let mut format = Builder::new(table, &reference)?.build()?;
    let typed = match options.profile {
        Profile::Parquet => {
            let target =
                FormatOptions { profile: Profile::Dms, composite_keys: false, ..options.clone() };
            let target = Builder::new(table, &target)?.build()?;
            TypedFormat::Columnar(Box::new(ColumnarFormat::new(table, target, options)?))
        }
        Profile::DdbJson => {
            let keys = dynamodb::generated_keys(table, options);
            let target = dynamodb::target_options(options);
            let target = Builder::new(table, &target)?.with_keys(keys).build()?;
            TypedFormat::Items(Box::new(ItemFormat::new(table, target, options)?))
        }
        Profile::Dms | Profile::Csv | Profile::Jsonl | Profile::Cqlsh | Profile::Datalake => {
            return Ok(format);
        }
    };
    let columns = match &typed {
        TypedFormat::Items(items) => items.columns(),
        TypedFormat::Columnar(columnar) => columnar.columns(),
    };
    format.become_typed(options.profile, columns, typed);
    Ok(format)
}

/// `"name":` as it stands in JSON.
pub(super) fn json_name(name: &str) -> Result<Box<[u8]>> {
    use super::dates::DateTables;
    use super::json::{JsonStyle, JsonWriter};
    use super::stats::Notes;
    use super::text::Piece;

    let mut out = TextBuffer::default();
    JsonWriter::<false> {
        out: &mut out,
        style: JsonStyle { spaces: false, decimals_as_text: false, signed_years: false },
        tables: DateTables::new(),
        notes: &mut Notes::default(),
    }
    .string(Piece::new(name.as_bytes()), false)
    .map_err(|cause| crate::error::Error::Bug(cause.into_words()))?;
    out.byte(b':');
    Ok(out.take().into())
}

/// Write times or TTLs of a column's cells: none for the whole column if it has no cells or no times.
pub(super) enum Facts {
    None,
    One(Option<i64>),
    Many(Vec<Option<i64>>),
}

impl Facts {
    pub(super) fn of(
        field: &Field,
        fact: CellFact,
        times: &TimeStyle,
        cells: &[Cell],
        data: &[u8],
    ) -> Self {
        let Some(first) = cells.first().filter(|_| !times.counter) else { return Self::None };
        if !field.multi_cell {
            return Self::One(fact.of(first, times));
        }
        if let crate::cql::CqlType::Udt { udt, .. } = &field.cql_type {
            let of_field = |i| super::json::udt_cell(cells, i, data);
            let all = (0..udt.fields.len()).map(|i| of_field(i).and_then(|c| fact.of(c, times)));
            return Self::Many(all.collect());
        }
        Self::Many(cells.iter().map(|cell| fact.of(cell, times)).collect())
    }
}
