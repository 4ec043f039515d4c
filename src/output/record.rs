//! [`RecordWriter`]: rows into lines.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use super::buffer::TextBuffer;
use super::csv::Shown;
use super::dates::DateTables;
use super::format::{Field, RecordFormat, Source};
use super::json::{JsonWriter, piece_of};
use super::keys::{EMPTY_SORT_KEY, KeyWriter, PARTITION_LIMIT, SORT_LIMIT, STATIC_SORT_KEY};
use super::metadata::{CellFact, Times};
use super::numbers::put_i64;
use super::options::Profile;
use super::refusal::{Refusal, RefusalKind};
use super::scalar::{Cause, Form, Written};
use super::stats::{ColumnStats, Count, Notes, RecordStats};
use super::text::Piece;
use super::typed::{TypedRecord, TypedWriter, row_fact};
use crate::error::Error;
use crate::io::ByteReader;
use crate::rows::{Cell, ClusteringValue, Row, RowView};

/// What DynamoDB takes as one item.
const MAX_ITEM_LEN: usize = 409_600;
/// Room made for a row before it is written; long values make more.
const ROW_RESERVE: usize = 2048;

/// Where fields are written, and what they had to tell.
#[derive(Debug)]
struct Pen<'a> {
    format: &'a RecordFormat,
    out: &'a mut TextBuffer,
    marks: &'a mut Marks,
}

/// Sizes of the fields of the present record, and what is to be counted once it is complete.
#[derive(Debug, Default)]
struct Marks {
    /// Bytes of each column's value. Signed, as the processor has a vector maximum of signed numbers in all its versions.
    lens: Vec<i32>,
    /// The largest of each so far.
    longest: Vec<i32>,
    notes: Notes,
    pending: Vec<(usize, Notes)>,
}

impl Pen<'_> {
    /// Writes a field. `first` leaves out the separator before it.
    #[inline(always)]
    fn field(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Self) -> Result<Shown, Cause>,
    ) -> Result<(), Refusal> {
        if self.format.is_json {
            self.out.short(&field.lead);
        } else if !field.lead.is_empty() {
            self.out.byte(b',');
        }
        let (start, surplus) = (self.out.len(), self.out.surplus);
        match write(self) {
            Ok(shown) => {
                let len = match shown {
                    Shown::Null => 0,
                    Shown::Value => self.out.len() - start - (self.out.surplus - surplus),
                };
                if let Some(place) = self.marks.lens.get_mut(field.index) {
                    *place = i32::try_from(len).unwrap_or(i32::MAX);
                }
            }
            Err(cause) => return Err(self.refusal(field, cause)),
        }
        if self.marks.notes.any {
            self.keep_notes(field.index);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn refusal(&mut self, field: &Field, cause: Cause) -> Refusal {
        self.marks.notes = Notes::default();
        let column = self.format.columns().get(field.index).map(|column| column.name.clone());
        cause.refuse(column)
    }

    #[inline(never)]
    fn keep_notes(&mut self, index: usize) {
        let notes = std::mem::take(&mut self.marks.notes);
        self.marks.pending.push((index, notes));
    }

    #[inline]
    fn null(&mut self) -> Shown {
        if self.format.is_json {
            self.out.array(b"null");
        } else {
            self.out.slice(&self.format.csv.null_token);
        }
        Shown::Null
    }

    #[inline]
    fn tables(&self) -> DateTables {
        self.format.tables
    }

    fn json(&mut self) -> JsonWriter<'_, false> {
        JsonWriter {
            style: self.format.json,
            tables: self.format.tables,
            out: &mut *self.out,
            notes: &mut self.marks.notes,
        }
    }

    /// A value of one piece.
    #[inline(never)]
    fn value(&mut self, field: &Field, value: Piece<'_>) -> Result<Shown, Cause> {
        if self.format.is_json {
            self.json().value(&field.cql_type, value)?;
            return Ok(Shown::Value);
        }
        self.format.csv.put_field(
            self.out,
            self.format.tables,
            field.form,
            &field.cql_type,
            value,
            &mut self.marks.notes,
        )
    }

    /// The cells of a column.
    #[inline(always)]
    fn cells(&mut self, field: &Field, cells: &[Cell], data: &[u8]) -> Result<Shown, Cause> {
        let Some(first) = cells.first() else {
            if field.form == Form::Counter && self.format.csv.cqlsh {
                let words = "a null counter, of which cqlsh would make 0";
                return Err(Cause::of(RefusalKind::NullCounter, words));
            }
            return Ok(self.null());
        };
        if !field.multi_cell {
            return self.value(field, piece_of(first.value, data));
        }
        self.elements(field, cells, data)
    }

    /// The cells of a collection or user-defined type.
    #[inline(never)]
    fn elements(&mut self, field: &Field, cells: &[Cell], data: &[u8]) -> Result<Shown, Cause> {
        if self.format.is_json {
            self.json().cells(&field.cql_type, cells, data)?;
        } else if let Form::Unsupported(words) = field.form {
            return Err(Cause::of(RefusalKind::UnsupportedType, words));
        } else if self.format.csv.cqlsh {
            let (tables, notes) = (self.format.tables, &mut self.marks.notes);
            self.format.csv.put_literal(self.out, tables, notes, |writer| {
                writer.cells(&field.cql_type, cells, data)
            })?;
        } else {
            let (tables, notes) = (self.format.tables, &mut self.marks.notes);
            self.format.csv.put_json(self.out, tables, notes, |json| {
                json.cells(&field.cql_type, cells, data)
            })?;
        }
        Ok(Shown::Value)
    }

    /// Write times or TTLs of a column's cells.
    fn facts(
        &mut self,
        field: &Field,
        fact: CellFact,
        cells: &[Cell],
        data: &[u8],
    ) -> Result<Shown, Cause> {
        let times = &self.format.times;
        let Some(first) = cells.first() else {
            return Ok(self.null());
        };
        if times.counter {
            return Ok(self.null());
        }
        if !field.multi_cell {
            return Ok(self.fact(fact, fact.of(first, times)));
        }
        if self.format.is_json {
            self.json().cell_facts(fact, times, &field.cql_type, cells, data)?;
        } else {
            let (tables, notes) = (self.format.tables, &mut self.marks.notes);
            self.format.csv.put_json(self.out, tables, notes, |json| {
                json.cell_facts(fact, times, &field.cql_type, cells, data)
            })?;
        }
        Ok(Shown::Value)
    }

    fn fact(&mut self, fact: CellFact, shown: Option<i64>) -> Shown {
        match shown {
            None => self.null(),
            Some(micros) if fact == CellFact::WriteTime => {
                let (times, tables) = (self.format.times, self.tables());
                times.put_time(self.out, tables, micros);
                Shown::Value
            }
            Some(seconds) => {
                put_i64(self.out, seconds);
                Shown::Value
            }
        }
    }
}

/// Turns rows into lines; one per worker, reused.
///
/// For each partition: [`RecordWriter::start_partition`], [`RecordWriter::set_static`], then a
/// [`RecordWriter::write_row`] for each live row, or one [`RecordWriter::write_static_only`] if there is none (for static
/// compact tables always that one).
#[derive(Debug)]
pub struct RecordWriter {
    format: Arc<RecordFormat>,
    state: State,
}

/// What a writer changes; apart from the format, so that a row borrows both without counting references, which all
/// workers would do in one place.
#[derive(Debug)]
struct State {
    out: TextBuffer,
    static_out: TextBuffer,
    digest: u128,
    static_digest: u128,
    stats: RecordStats,
    marks: Marks,
    partition: PartitionTexts,
    /// First and one past the last cell of each regular column in the present row.
    slots: Vec<(u32, u32)>,
    sort_key: KeyWriter,
    record_ends: Vec<usize>,
    /// Writes what a typed profile's files hold; the text of the records is for digests only then.
    typed: Option<TypedWriter>,
    /// Where the key of the present record ends in `out`.
    key_end: usize,
}

/// What is written once a partition and repeated in each of its records.
#[derive(Debug, Default)]
struct PartitionTexts {
    key: TextBuffer,
    composite: KeyWriter,
    /// `composite` as a field.
    composite_field: TextBuffer,
    statics: TextBuffer,
    static_facts: TextBuffer,
    static_times: Option<Times>,
    static_is_empty: bool,
    refusal: Option<Refusal>,
    pending: Vec<(usize, Notes)>,
    static_pending: Vec<(usize, Notes)>,
}

/// Cells of a row by column.
fn fill_slots(slots: &mut Vec<(u32, u32)>, count: usize, cells: &[Cell]) {
    slots.clear();
    slots.resize(count, (0, 0));
    for (next, cell) in (0_u32..).zip(cells) {
        if let Some(slot) = slots.get_mut(usize::from(cell.column)) {
            if slot.1 == 0 {
                slot.0 = next;
            }
            slot.1 = next + 1;
        }
    }
}

#[inline]
pub(super) fn cells_of<'c>(slots: &[(u32, u32)], column: u16, cells: &'c [Cell]) -> &'c [Cell] {
    match slots.get(usize::from(column)) {
        Some(&(start, end)) => cells.get(start as usize..end as usize).unwrap_or_default(),
        None => &[],
    }
}

/// The decimals 1E+2 and 100 are two keys in Cassandra, whose partitions are told apart by their bytes, and have one text in the plain
/// notation that NUMERIC needs: DMS would write one row over the other.
fn check_plain_key(form: Form, bytes: &[u8]) -> Written {
    let negative_scale = bytes.first().is_some_and(|first| first & 0x80 != 0);
    match form {
        Form::Decimal { plain: true, .. } if negative_scale => Err(Cause::of(
            RefusalKind::SameKey,
            "a decimal with a negative scale in a key: in plain notation it has the text of another one (--column-type STRING keeps them apart)",
        )),
        _ => Ok(()),
    }
}

impl RecordWriter {
    /// A writer of `format`.
    pub fn new(format: Arc<RecordFormat>) -> Self {
        let columns = format.columns().len();
        let state = State {
            out: TextBuffer::default(),
            static_out: TextBuffer::default(),
            digest: 0,
            static_digest: 0,
            stats: RecordStats {
                columns: vec![ColumnStats::default(); columns],
                ..RecordStats::default()
            },
            marks: Marks { lens: vec![0; columns], longest: vec![0; columns], ..Marks::default() },
            partition: PartitionTexts { static_is_empty: true, ..PartitionTexts::default() },
            slots: Vec::new(),
            sort_key: KeyWriter::default(),
            record_ends: Vec::new(),
            typed: TypedWriter::of(&format),
            key_end: 0,
        };
        Self { format, state }
    }

    /// A writer for rows that are to be deleted: of profile `ddb-json` it writes `{"Key":…}` in place of `{"Item":…}`, of the others
    /// what [`RecordWriter::new`] does.
    pub fn of_deletes(format: Arc<RecordFormat>) -> Self {
        let mut writer = Self::new(format);
        writer.state.typed = TypedWriter::of_keys(&writer.format);
        writer
    }

    /// The format.
    pub fn format(&self) -> &RecordFormat {
        &self.format
    }

    /// Begins a partition: its key as stored. If the key cannot be carried, all records of the partition are refused.
    pub fn start_partition(&mut self, key: &[u8]) -> Result<(), Refusal> {
        let written = self.state.start_partition(&self.format, key);
        // The null texts of static columns, until the caller gives a static row.
        self.state.set_static(&self.format, None);
        if let Err(refusal) = &written {
            self.state.partition.refusal = Some(refusal.clone());
        }
        written
    }

    /// Gives the static row of the partition begun, with its live cells only. If it cannot be carried, all records of
    /// the partition are refused.
    pub fn set_static(&mut self, row: Option<RowView<'_>>) {
        self.state.set_static(&self.format, row);
    }

    /// Writes the records of a live row; returns their number. It is one, but for super column families, where each entry
    /// is one.
    pub fn write_row(&mut self, view: RowView<'_>) -> Result<usize, Refusal> {
        self.state.write_row(&self.format, view)
    }

    /// Writes the one record of a partition without live rows, from its static row; none if that is empty too.
    pub fn write_static_only(&mut self) -> Result<usize, Refusal> {
        self.state.write_static_only(&self.format)
    }

    /// Writes a record that has the partition key and nothing else: the deletion of what
    /// [`RecordWriter::write_static_only`] wrote.
    pub fn write_key_only(&mut self) -> Result<usize, Refusal> {
        self.set_static(None);
        let state = &mut self.state;
        if let Some(refusal) = &state.partition.refusal {
            return Err(refusal.clone());
        }
        let start = state.out.len();
        let written = state
            .write_partition_record(&self.format)
            .and_then(|()| state.write_typed(&self.format, None, start));
        match written {
            Ok(()) => {
                state.commit(&self.format, start);
                Ok(1)
            }
            Err(refusal) => Err(state.roll_back(start, refusal)),
        }
    }

    /// The lines written since the last [`RecordWriter::clear`].
    pub fn buffer(&self) -> &[u8] {
        match &self.state.typed {
            None => self.state.out.written(),
            Some(typed) => typed.buffer(),
        }
    }

    /// Turns rows that lie ready into bytes of [`RecordWriter::buffer`], where a profile encodes many rows together. To be
    /// called after every row or so.
    pub fn settle(&mut self) -> Result<(), Error> {
        match &mut self.state.typed {
            None => Ok(()),
            Some(typed) => typed.settle(&self.format),
        }
    }

    /// Writes the end of the file, where the profile's files have one. No row may follow.
    pub fn finish_file(&mut self) -> Result<(), Error> {
        match &mut self.state.typed {
            None => Ok(()),
            Some(typed) => typed.finish_file(&self.format),
        }
    }

    /// Takes them out; the writer starts a new buffer.
    pub fn take(&mut self) -> Vec<u8> {
        self.state.out.take()
    }

    /// Forgets them, keeping the memory.
    pub fn clear(&mut self) {
        self.state.out.truncate(0);
        if let Some(typed) = &mut self.state.typed {
            typed.clear();
        }
    }

    /// The lines of partitions without rows, where these go to files of their own.
    pub fn static_buffer(&self) -> &[u8] {
        self.state.static_out.written()
    }

    /// Forgets them, keeping the memory.
    pub fn clear_static(&mut self) {
        self.state.static_out.truncate(0);
    }

    /// Sum modulo 2^128 of the XXH3-128 of every record written, without line ends.
    pub fn digest(&self) -> u128 {
        self.state.digest
    }

    /// The same for the records of [`RecordWriter::static_buffer`].
    pub fn static_digest(&self) -> u128 {
        self.state.static_digest
    }

    /// Starts both digests afresh, for a new file.
    pub fn reset_digests(&mut self) {
        self.state.digest = 0;
        self.state.static_digest = 0;
    }

    /// What was seen so far.
    pub fn stats(&self) -> RecordStats {
        let mut stats = self.state.stats.clone();
        for (column, len) in stats.columns.iter_mut().zip(&self.state.marks.longest) {
            column.max_bytes = u64::from(len.unsigned_abs());
        }
        stats
    }
}

impl State {
    fn start_partition(&mut self, format: &RecordFormat, key: &[u8]) -> Result<(), Refusal> {
        let texts = &mut self.partition;
        texts.key.truncate(0);
        texts.composite.clear();
        texts.composite_field.truncate(0);
        texts.refusal = None;
        texts.pending.clear();
        let written = self.write_partition_key(format, key);
        if written.is_ok() {
            std::mem::swap(&mut self.marks.pending, &mut self.partition.pending);
        }
        self.marks.pending.clear();
        written?;
        self.start_typed_partition(format, key)
    }

    /// The same for a typed profile.
    fn start_typed_partition(&mut self, format: &RecordFormat, key: &[u8]) -> Result<(), Refusal> {
        let Some(typed) = &mut self.typed else { return Ok(()) };
        let single = [key];
        let several;
        let components = if format.partition.len() == 1 {
            &single[..]
        } else {
            several = components_of(key, format.partition.len());
            &several[..]
        };
        let started = typed.start_partition(format, components);
        started.map_err(|refused| {
            let (refusal, count) = refused.into_refusal();
            self.stats.counts.add(count);
            Refusal { key: Some(shown_key(self.partition.key.written())), ..refusal }
        })
    }

    fn write_partition_key(&mut self, format: &RecordFormat, key: &[u8]) -> Result<(), Refusal> {
        let whole = |cause: Cause| cause.refuse(None);
        let composite_field =
            format.keys.iter().find(|field| field.source == Source::PartitionText);
        let single = format.partition.len() == 1;
        let mut r = ByteReader::new(key);
        for (i, field) in format.partition.iter().enumerate() {
            let component = if single {
                key
            } else {
                let component = r
                    .read_bytes16("component of a partition key")
                    .and_then(|bytes| r.skip(1, "end of a component").map(|()| bytes));
                component.map_err(|e| whole(e.into()))?
            };
            let mut pen = Pen { format, out: &mut self.partition.key, marks: &mut self.marks };
            let is_key = format.columns().get(field.index).is_some_and(|column| column.primary_key);
            pen.field(field, |pen| {
                if format.profile == Profile::Dms && is_key {
                    check_plain_key(field.form, component)?;
                }
                let shown = pen.value(field, Piece::new(component))?;
                if shown == Shown::Null && format.profile.is_for_cql() {
                    let words = "an empty value in the key would be read as NULL";
                    return Err(Cause::of(RefusalKind::EmptyValue, words));
                }
                Ok(shown)
            })?;
            if composite_field.is_some() {
                self.partition
                    .composite
                    .partition_component(i, format.tables, &field.cql_type, component)
                    .map_err(whole)?;
            }
        }
        if !single {
            r.finish("partition key").map_err(|e| whole(e.into()))?;
        }
        let texts = &mut self.partition;
        if let Some(field) = composite_field {
            let shortened = texts.composite.shorten(PARTITION_LIMIT).map_err(whole)?;
            let mut pen = Pen { format, out: &mut texts.composite_field, marks: &mut self.marks };
            pen.marks.notes.any |= shortened;
            pen.marks.notes.counters.keys_shortened += u64::from(shortened);
            let text = texts.composite.text.as_piece();
            pen.field(field, |pen| pen.key_text(text))?;
        }
        Ok(())
    }

    fn set_static(&mut self, format: &RecordFormat, row: Option<RowView<'_>>) {
        self.partition.statics.truncate(0);
        self.partition.static_facts.truncate(0);
        self.partition.static_pending.clear();
        self.partition.static_times = None;
        self.partition.static_is_empty = row.is_none_or(|view| view.row.cells.is_empty());
        if let Err(refusal) = self.write_statics(format, row) {
            self.partition.refusal.get_or_insert(refusal);
        }
        if let Some(typed) = &mut self.typed
            && !format.statics.is_empty()
            && let Err(refused) = typed.set_static(format, row, &self.slots)
        {
            let (refusal, count) = refused.into_refusal();
            self.stats.counts.add(count);
            let key = Some(shown_key(self.partition.key.written()));
            self.partition.refusal.get_or_insert(Refusal { key, ..refusal });
        }
        std::mem::swap(&mut self.marks.pending, &mut self.partition.static_pending);
        self.marks.pending.clear();
    }

    fn write_statics(
        &mut self,
        format: &RecordFormat,
        view: Option<RowView<'_>>,
    ) -> Result<(), Refusal> {
        if format.statics.is_empty() {
            return Ok(());
        }
        let (cells, data) =
            view.map_or((&[][..], &[][..]), |view| (&view.row.cells[..], view.data));
        fill_slots(&mut self.slots, format.static_count, cells);
        let texts = &mut self.partition;
        let mut pen = Pen { format, out: &mut texts.statics, marks: &mut self.marks };
        for field in &format.statics {
            if let Source::Static(column) = field.source {
                let cells = cells_of(&self.slots, column, cells);
                pen.field(field, |pen| pen.cells(field, cells, data))?;
            }
        }
        let mut pen = Pen { format, out: &mut texts.static_facts, marks: &mut self.marks };
        for field in &format.static_facts {
            if let Source::StaticFact(fact, column) = field.source {
                let cells = cells_of(&self.slots, column, cells);
                pen.field(field, |pen| pen.facts(field, fact, cells, data))?;
            }
        }
        if let Some(view) = view {
            let mut times = Times::NOTHING;
            times.add_row(view.row);
            texts.static_times = Some(times);
        }
        Ok(())
    }

    #[inline]
    fn write_row(&mut self, format: &RecordFormat, view: RowView<'_>) -> Result<usize, Refusal> {
        if let Some(refusal) = &self.partition.refusal {
            return Err(refusal.clone());
        }
        let start = self.out.len();
        self.record_ends.clear();
        let Some(map) = format.super_map else {
            let written = self
                .write_record(format, view, None)
                .and_then(|()| self.write_typed(format, Some((view, None)), start));
            return match written {
                Ok(()) => {
                    self.commit(format, start);
                    Ok(1)
                }
                Err(refusal) => Err(self.roll_back(start, refusal)),
            };
        };
        let mut records = 0;
        for cell in view.row.cells.iter().filter(|cell| cell.column == map) {
            let begin = self.out.len();
            let written = self
                .write_record(format, view, Some(cell))
                .and_then(|()| self.write_typed(format, Some((view, Some(cell))), begin));
            if let Err(refusal) = written {
                return Err(self.roll_back(start, refusal));
            }
            self.record_ends.push(self.out.len());
            records += 1;
        }
        let ends = std::mem::take(&mut self.record_ends);
        let mut next = start;
        for &end in &ends {
            self.digest_record(next, end);
            next = end;
        }
        self.record_ends = ends;
        self.count_pending(format);
        self.commit_typed(start);
        Ok(records)
    }

    /// Hands the record whose text begins at `start` to the writer of a typed profile.
    #[inline]
    fn write_typed(
        &mut self,
        format: &RecordFormat,
        row: Option<(RowView<'_>, Option<&Cell>)>,
        start: usize,
    ) -> Result<(), Refusal> {
        let Some(typed) = &mut self.typed else { return Ok(()) };
        let (mut own, statics) =
            (Times::NOTHING, self.partition.static_times.unwrap_or(Times::NOTHING));
        match row {
            Some((view, _)) if !format.row_facts.is_empty() => own.add_row(view.row),
            Some(_) => {}
            None => own = statics,
        }
        let record = TypedRecord { row, slots: &self.slots, all: own.with(&statics), own };
        typed.record(format, &record).map_err(|refused| {
            let (refusal, count) = refused.into_refusal();
            self.stats.counts.add(count);
            if count == Count::RefusedLargeItems {
                self.stats.counters.items_over_400_kb += 1;
            }
            let key = self.out.written().get(start..self.key_end).unwrap_or_default();
            Refusal { key: Some(shown_key(key)), ..refusal }
        })
    }

    /// Keeps the records that the writer of a typed profile got, and drops their text.
    #[inline]
    fn commit_typed(&mut self, start: usize) {
        if let Some(typed) = &mut self.typed {
            typed.commit(&mut self.stats);
            self.out.truncate(start);
        }
    }

    #[cold]
    #[inline(never)]
    fn roll_back(&mut self, start: usize, refusal: Refusal) -> Refusal {
        self.out.truncate(start);
        self.marks.pending.clear();
        if let Some(typed) = &mut self.typed {
            typed.roll_back();
        }
        refusal
    }

    fn write_record(
        &mut self,
        format: &RecordFormat,
        view: RowView<'_>,
        entry: Option<&Cell>,
    ) -> Result<(), Refusal> {
        let RowView { row, data } = view;
        self.out.reserve(ROW_RESERVE);
        if !format.lead.is_empty() {
            let mut own = Times::NOTHING;
            own.add_row(row);
            self.write_lead(format, self.partition.static_times.map_or(own, |t| own.with(&t)))?;
        }
        if format.repeats_counters && !self.partition.static_is_empty {
            return Err(Refusal {
                column: None,
                kind: Some(RefusalKind::StaticCounter),
                key: None,
                cause: "static counters, which the loader would add up once for each row of their partition; \
                        --exclude-columns leaves them out"
                    .to_owned(),
            });
        }
        self.out.slice(self.partition.key.written());
        let mut pen = Pen { format, out: &mut self.out, marks: &mut self.marks };
        for field in &format.clustering {
            let value = match field.source {
                Source::Clustering(i) => row.clustering.get(i).copied(),
                _ => entry.map(|cell| ClusteringValue::Value(cell.path)),
            };
            pen.field(field, |pen| {
                let shown = match value {
                    Some(ClusteringValue::Value(span)) => pen.value(field, piece_of(span, data))?,
                    Some(ClusteringValue::Null) | None => pen.null(),
                };
                if shown == Shown::Null && format.profile.is_for_cql() {
                    let words = "a clustering column that would be read as NULL";
                    return Err(Cause::of(RefusalKind::EmptyValue, words));
                }
                Ok(shown)
            })?;
        }
        self.key_end = pen.out.len();
        pen.out.slice(self.partition.statics.written());
        let cells = &row.cells[..];
        fill_slots(&mut self.slots, format.regular_count, cells);
        for field in &format.regulars {
            match field.source {
                Source::Regular(column) => {
                    let cells = cells_of(&self.slots, column, cells);
                    pen.field(field, |pen| pen.cells(field, cells, data))?;
                }
                _ => {
                    let cells = entry.map_or(&[][..], std::slice::from_ref);
                    pen.field(field, |pen| pen.cells(field, cells, data))?;
                }
            }
        }
        if !format.regular_facts.is_empty() || !format.static_facts.is_empty() {
            pen.out.slice(self.partition.static_facts.written());
            for field in &format.regular_facts {
                if let Source::RegularFact(fact, column) = field.source {
                    let cells = match entry {
                        Some(cell) => std::slice::from_ref(cell),
                        None => cells_of(&self.slots, column, cells),
                    };
                    pen.field(field, |pen| pen.facts(field, fact, cells, data))?;
                }
            }
        }
        if format.wants_times || row.has_times || !format.row_facts.is_empty() {
            let mut own = Times::NOTHING;
            own.add_row(row);
            let all = match &self.partition.static_times {
                Some(times) => own.with(times),
                None => own,
            };
            if own.is_mixed() {
                pen.marks.notes.any = true;
                pen.marks.notes.counters.rows_mixed_ttl = 1;
                pen.keep_notes(0);
            }
            write_row_facts(&mut pen, Some(row), all, own)?;
        }
        if !format.keys.is_empty() {
            self.write_keys(format, Some((view, entry)))?;
        }
        self.end_line(format);
        Ok(())
    }

    /// `Op` and `cp_ts`.
    fn write_lead(&mut self, format: &RecordFormat, times: Times) -> Result<(), Refusal> {
        let mut pen = Pen { format, out: &mut self.out, marks: &mut self.marks };
        for field in &format.lead {
            pen.field(field, |pen| {
                let newest = match field.source {
                    Source::ChangeTime => times.newest(),
                    _ => {
                        pen.out.byte(b'I');
                        return Ok(Shown::Value);
                    }
                };
                // Counters have a time of their last change too.
                let Some(newest) = newest else { return Ok(pen.null()) };
                let shown = pen.format.times.writetime.unwrap_or(newest);
                pen.tables().put_micros(pen.out, shown);
                Ok(Shown::Value)
            })?;
        }
        Ok(())
    }

    fn write_keys(
        &mut self,
        format: &RecordFormat,
        row: Option<(RowView<'_>, Option<&Cell>)>,
    ) -> Result<(), Refusal> {
        for field in &format.keys {
            if field.source == Source::PartitionText {
                self.out.slice(self.partition.composite_field.written());
                continue;
            }
            let mut pen = Pen { format, out: &mut self.out, marks: &mut self.marks };
            let Some((RowView { row, data }, entry)) = row else {
                pen.field(field, |pen| pen.key_text(Piece::new(STATIC_SORT_KEY)))?;
                continue;
            };
            let sort_key = &mut self.sort_key;
            pen.field(field, |pen| {
                sort_key.clear();
                let entry = entry.map(|cell| ClusteringValue::Value(cell.path));
                let values = row.clustering.iter().copied().chain(entry);
                for (i, (part, value)) in format.sort_parts.iter().zip(values).enumerate() {
                    let bytes = value.bytes(data).unwrap_or_default();
                    let millis = part.timestamp_as_millis;
                    sort_key.sort_component(i, format.tables, &part.cql_type, millis, bytes)?;
                }
                if sort_key.shorten(SORT_LIMIT)? {
                    pen.marks.notes.any = true;
                    pen.marks.notes.counters.keys_shortened += 1;
                }
                if sort_key.text.len() == 0 {
                    pen.marks.notes.any = true;
                    pen.marks.notes.counters.empty_sort_keys += 1;
                    return pen.key_text(Piece::new(EMPTY_SORT_KEY));
                }
                pen.key_text(sort_key.text.as_piece())
            })?;
        }
        Ok(())
    }

    fn write_static_only(&mut self, format: &RecordFormat) -> Result<usize, Refusal> {
        if let Some(refusal) = &self.partition.refusal {
            return Err(refusal.clone());
        }
        if self.partition.static_is_empty {
            return Ok(0);
        }
        if format.profile == Profile::Cqlsh && !format.clustering.is_empty() {
            return Err(Refusal {
                column: None,
                kind: Some(RefusalKind::StaticOnly),
                key: None,
                cause: "a partition without rows, which COPY FROM cannot load as it wants the whole key; --profile csv can"
                    .to_owned(),
            });
        }
        if format.separate_static_only() {
            return self.write_separate_static(format);
        }
        let start = self.out.len();
        let written = self
            .write_partition_record(format)
            .and_then(|()| self.write_typed(format, None, start));
        match written {
            Ok(()) => {
                self.commit(format, start);
                Ok(1)
            }
            Err(refusal) => Err(self.roll_back(start, refusal)),
        }
    }

    fn write_partition_record(&mut self, format: &RecordFormat) -> Result<(), Refusal> {
        self.write_lead(format, self.partition.static_times.unwrap_or(Times::NOTHING))?;
        self.out.slice(self.partition.key.written());
        self.key_end = self.out.len();
        let mut pen = Pen { format, out: &mut self.out, marks: &mut self.marks };
        for field in &format.clustering {
            pen.field(field, |pen| Ok(pen.null()))?;
        }
        pen.out.slice(self.partition.statics.written());
        for field in &format.regulars {
            pen.field(field, |pen| Ok(pen.null()))?;
        }
        pen.out.slice(self.partition.static_facts.written());
        for field in &format.regular_facts {
            pen.field(field, |pen| Ok(pen.null()))?;
        }
        let times = self.partition.static_times.unwrap_or(Times::NOTHING);
        if times.is_mixed() {
            pen.marks.notes.any = true;
            pen.marks.notes.counters.rows_mixed_ttl = 1;
            pen.keep_notes(0);
        }
        write_row_facts(&mut pen, None, times, times)?;
        self.write_keys(format, None)?;
        self.end_line(format);
        Ok(())
    }

    fn write_separate_static(&mut self, format: &RecordFormat) -> Result<usize, Refusal> {
        let start = self.static_out.len();
        let out = &mut self.static_out;
        out.slice(self.partition.key.written());
        out.slice(self.partition.statics.written());
        out.slice(self.partition.static_facts.written());
        let times = self.partition.static_times.unwrap_or(Times::NOTHING);
        let mut pen = Pen { format, out, marks: &mut self.marks };
        if times.is_mixed() {
            pen.marks.notes.any = true;
            pen.marks.notes.counters.rows_mixed_ttl = 1;
            pen.keep_notes(0);
        }
        for field in format.row_facts.iter() {
            if !matches!(field.source, Source::MarkerFact(_))
                && let Err(refusal) = write_row_fact(&mut pen, field, None, times, times)
            {
                self.static_out.truncate(start);
                self.marks.pending.clear();
                return Err(refusal);
            }
        }
        self.static_digest =
            self.static_digest.wrapping_add(xxh3_128(self.static_out.written_from(start)));
        self.static_out.byte(b'\n');
        for field in format.static_only_fields() {
            let len = self.marks.lens.get(field.index).copied().unwrap_or_default();
            if let Some(longest) = self.marks.longest.get_mut(field.index) {
                *longest = (*longest).max(len);
            }
        }
        self.count_pending(format);
        Ok(1)
    }

    #[inline]
    fn end_line(&mut self, format: &RecordFormat) {
        if format.is_json {
            self.out.array(b"}\n");
        } else {
            self.out.byte(b'\n');
        }
        for (longest, &len) in self.marks.longest.iter_mut().zip(&self.marks.lens) {
            *longest = (*longest).max(len);
        }
    }

    #[inline]
    fn commit(&mut self, format: &RecordFormat, start: usize) {
        let end = self.out.len();
        self.digest_record(start, end);
        if self.typed.is_none() && end - start + format.names_len > MAX_ITEM_LEN {
            let lens = self.marks.lens.iter();
            let values: u64 = lens.map(|&len| u64::from(len.unsigned_abs())).sum();
            if values + format.names_len as u64 > MAX_ITEM_LEN as u64 {
                self.stats.counters.items_over_400_kb += 1;
            }
        }
        if !self.marks.pending.is_empty()
            || !self.partition.pending.is_empty()
            || !self.partition.static_pending.is_empty()
        {
            self.count_pending(format);
        }
        self.commit_typed(start);
    }

    #[inline]
    fn digest_record(&mut self, start: usize, end: usize) {
        let written = self.out.written();
        let record = written.get(start..end.saturating_sub(1)).unwrap_or_default();
        self.digest = self.digest.wrapping_add(xxh3_128(record));
    }

    #[inline(never)]
    fn count_pending(&mut self, format: &RecordFormat) {
        let repeated = self.partition.pending.iter().chain(&self.partition.static_pending);
        for (index, notes) in self.marks.pending.iter().chain(repeated) {
            let mut counters = notes.counters;
            if !matches!(format.profile, Profile::Csv | Profile::DdbJson) {
                counters.negative_zero = 0;
            }
            self.stats.counters.merge(&counters);
            if let Some(column) = self.stats.columns.get_mut(*index) {
                column.non_finite += u64::from(counters.non_finite_numbers > 0);
                if let Some(size) = notes.number {
                    column.max_digits = column.max_digits.max(size.digits());
                    column.max_integer_digits = column.max_integer_digits.max(size.integer_digits);
                    column.max_scale = column.max_scale.max(size.scale);
                }
            }
        }
        self.marks.pending.clear();
    }
}

/// The components of a partition key of several columns; those that are there, if it is cut.
fn components_of(key: &[u8], count: usize) -> Vec<&[u8]> {
    let mut r = ByteReader::new(key);
    let component = |_| {
        let bytes = r.read_bytes16("component of a partition key").ok()?;
        r.skip(1, "end of a component").ok()?;
        Some(bytes)
    };
    (0..count).map_while(component).collect()
}

/// Characters of a key that a refusal shows.
const SHOWN_KEY: usize = 300;

/// The beginning of a record as an object of its own.
fn shown_key(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if text.len() <= SHOWN_KEY {
        return format!("{text}}}");
    }
    let kept: String = text.chars().take(SHOWN_KEY).collect();
    format!("{kept}…}}")
}

impl Pen<'_> {
    /// A composite key, which is a value and never NULL.
    fn key_text(&mut self, text: Piece<'_>) -> Result<Shown, Cause> {
        let csv = &self.format.csv;
        csv.put_text(self.out, text, false, &mut self.marks.notes)?;
        Ok(Shown::Value)
    }
}

fn write_row_facts(
    pen: &mut Pen<'_>,
    row: Option<&Row>,
    all: Times,
    own: Times,
) -> Result<(), Refusal> {
    let format = pen.format;
    for field in &format.row_facts {
        write_row_fact(pen, field, row, all, own)?;
    }
    Ok(())
}

/// Writes a fact of the whole row. `all` counts the static columns in, which are written with the row; `own` does not,
/// as they do not keep it alive.
fn write_row_fact(
    pen: &mut Pen<'_>,
    field: &Field,
    row: Option<&Row>,
    all: Times,
    own: Times,
) -> Result<(), Refusal> {
    let times = pen.format.times;
    let fact = match field.source {
        Source::RowWriteTime => CellFact::WriteTime,
        Source::MarkerFact(fact) => fact,
        _ => CellFact::Ttl,
    };
    let shown = row_fact(&times, field.source, row, all, own);
    pen.field(field, |pen| Ok(pen.fact(fact, shown)))
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
