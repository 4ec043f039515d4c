//! [`ItemWriter`]: rows into items.

use super::format::{Attribute, ItemFormat, KeyRole};
use super::sized::{CONTAINER, MAX_ITEM_LEN, MEMBER};
use super::value::{AttributeForm, Encoder};
use crate::cql::CqlType;
use crate::output::buffer::TextBuffer;
use crate::output::dms::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use crate::output::format::{Field, Source};
use crate::output::json::{piece_of, takes_empty};
use crate::output::keys::{
    EMPTY_SORT_KEY, KeyWriter, PARTITION_LIMIT, SORT_LIMIT, STATIC_SORT_KEY,
};
use crate::output::record::cells_of;
use crate::output::scalar::{Cause, Form};
use crate::output::stats::{Count, Counts, RecordStats};
use crate::output::text::Piece;
use crate::output::typed::{Facts, Fault, Refused, TypedRecord};
use crate::rows::{Cell, ClusteringValue, RowView};

/// Attributes that were written once and are repeated in each item of a partition.
#[derive(Debug, Default)]
struct Repeated {
    /// With a comma before each.
    text: TextBuffer,
    size: usize,
    counts: Counts,
    keys_shortened: u64,
}

impl Repeated {
    fn clear(&mut self) {
        self.text.truncate(0);
        self.size = 0;
        self.counts = Counts::default();
        self.keys_shortened = 0;
    }
}

/// Writes items; one per worker, reused.
#[derive(Debug, Default)]
pub(in crate::output) struct ItemWriter {
    /// Keys are written, and nothing else.
    pub(in crate::output) keys_only: bool,
    out: TextBuffer,
    /// Where the items end that are not to be taken back.
    committed: usize,
    key: Repeated,
    /// `cp_pk`.
    composite: Repeated,
    statics: Repeated,
    static_facts: Repeated,
    key_text: KeyWriter,
    scratch: TextBuffer,
    counts: Counts,
    keys_shortened: u64,
}

/// Writes attributes, each after a comma, and adds up their sizes.
struct Attributes<'o> {
    format: &'o ItemFormat,
    encoder: Encoder<'o>,
    size: usize,
}

fn refused(format: &ItemFormat, field: &Field, fault: Fault) -> Refused {
    let column = format.target.columns().get(field.index);
    fault.of_column(column.map_or("", |column| column.name.as_str()))
}

impl Attributes<'_> {
    /// An attribute whose value `write` writes.
    fn put(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Encoder<'_>, &Attribute) -> Result<usize, Fault>,
    ) -> Result<(), Refused> {
        let format = self.format;
        let attribute =
            format.attribute(field).map_err(|cause| refused(format, field, cause.into()))?;
        self.encoder.out.byte(b',');
        self.encoder.out.short(&attribute.lead);
        let size =
            write(&mut self.encoder, attribute).map_err(|fault| refused(format, field, fault))?;
        self.size += attribute.name_len + size;
        Ok(())
    }

    /// A value of one piece; absent where the type has no value of no bytes.
    fn value(&mut self, field: &Field, value: Piece<'_>) -> Result<(), Refused> {
        let attribute = self.format.attribute(field);
        let key = attribute.as_ref().map_or(KeyRole::None, |attribute| attribute.key);
        if value.bytes.is_empty() && !takes_empty(&field.cql_type) {
            if key != KeyRole::None {
                let fault = Fault::new(Count::RefusedEmptyKeys, "an empty value in a key");
                return Err(refused(self.format, field, fault));
            }
            self.encoder.counts.add(Count::EmptyValues);
            return Ok(());
        }
        if is_empty_set(&field.cql_type, value.bytes) && key == KeyRole::None {
            // Sets of DynamoDB have members; that of profile `dms` is text.
            if attribute.is_ok_and(|attribute| attribute.form == AttributeForm::Native) {
                self.encoder.counts.add(Count::EmptySets);
                return Ok(());
            }
        }
        self.put(field, |encoder, attribute| {
            if attribute.key != KeyRole::None {
                check_plain_decimal(&attribute.form, value.bytes)?;
            }
            let size = one_value(encoder, &attribute.form, &field.cql_type, value)?;
            check_key(attribute.key, size)?;
            Ok(size)
        })
    }

    /// The cells of a column.
    fn cells(&mut self, field: &Field, cells: &[Cell], data: &[u8]) -> Result<(), Refused> {
        let Some(first) = cells.first() else { return Ok(()) };
        if !field.multi_cell {
            return self.value(field, piece_of(first.value, data));
        }
        self.put(field, |encoder, attribute| match attribute.form {
            AttributeForm::Native => encoder.native_cells(&field.cql_type, cells, data),
            _ => Ok(encoder.json_of_cells(&field.cql_type, cells, data)?),
        })
    }

    /// A number of ours.
    fn integer(&mut self, field: &Field, value: i64) -> Result<(), Refused> {
        self.put(field, |encoder, _| Ok(encoder.integer(value)))
    }

    /// Write times or TTLs.
    fn facts(&mut self, field: &Field, facts: &Facts) -> Result<(), Refused> {
        let values = match facts {
            Facts::None | Facts::One(None) => return Ok(()),
            Facts::One(Some(value)) => return self.integer(field, *value),
            Facts::Many(values) => values,
        };
        self.put(field, |encoder, attribute| {
            if attribute.form == AttributeForm::Json {
                let texts: Vec<String> = values
                    .iter()
                    .map(|value| value.map_or("null".to_owned(), |value| value.to_string()))
                    .collect();
                let text = format!("[{}]", texts.join(","));
                return Ok(encoder.text(Piece::new(text.as_bytes()), true)?);
            }
            let mut size = CONTAINER;
            encoder.out.array(b"{\"L\":[");
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    encoder.out.byte(b',');
                }
                size += MEMBER
                    + match value {
                        Some(value) => encoder.integer(*value),
                        None => encoder.null(),
                    };
            }
            encoder.out.array(b"]}");
            Ok(size)
        })
    }
}

fn is_empty_set(cql_type: &CqlType, bytes: &[u8]) -> bool {
    matches!(cql_type, CqlType::Set { .. }) && bytes == [0; 4]
}

fn one_value(
    encoder: &mut Encoder<'_>,
    form: &AttributeForm,
    cql_type: &CqlType,
    value: Piece<'_>,
) -> Result<usize, Fault> {
    match form {
        AttributeForm::Native => encoder.native(cql_type, value),
        AttributeForm::Text(form) => Ok(encoder.text_of(*form, value.bytes)?),
        AttributeForm::Number(form) => encoder.number(*form, value.bytes)?.map_err(|words| {
            Fault::new(
                Count::RefusedNumbers,
                format!("{words} is none of DynamoDB's numbers (38 digits, 1E-130 to 9.99E+125)"),
            )
        }),
        AttributeForm::Boolean => Ok(encoder.boolean(value.bytes)?),
        AttributeForm::Json => Ok(encoder.json_of(cql_type, value)?),
        AttributeForm::Binary => Ok(encoder.binary(value.bytes)),
    }
}

/// In plain notation 1E+2 and 100 have one text, and are two keys.
fn check_plain_decimal(form: &AttributeForm, bytes: &[u8]) -> Result<(), Fault> {
    let negative_scale = bytes.first().is_some_and(|first| first & 0x80 != 0);
    match form {
        AttributeForm::Text(Form::Decimal { plain: true, .. }) if negative_scale => {
            Err(Fault::new(
                Count::RefusedNumbers,
                "a decimal with a negative scale in a key: in plain notation it has the text of another one (--column-type STRING keeps them apart)",
            ))
        }
        _ => Ok(()),
    }
}

/// Keys are not empty and have a greatest length.
fn check_key(key: KeyRole, size: usize) -> Result<(), Fault> {
    let most = match key {
        KeyRole::None => return Ok(()),
        KeyRole::Partition => MAX_PARTITION_KEY_BYTES,
        KeyRole::Sort => MAX_SORT_KEY_BYTES,
    };
    if size == 0 {
        return Err(Fault::new(Count::RefusedEmptyKeys, "an empty value in a key"));
    }
    if size as u64 > most {
        let words = format!(
            "a key of {size} bytes; DynamoDB takes {most} (--ddb-keys composite shortens it)"
        );
        return Err(Fault::new(Count::RefusedLongKeys, words));
    }
    Ok(())
}

impl ItemWriter {
    pub(in crate::output) fn start_partition(
        &mut self,
        format: &ItemFormat,
        components: &[&[u8]],
    ) -> Result<(), Refused> {
        self.key.clear();
        self.composite.clear();
        let mut attributes = Attributes {
            format,
            encoder: Encoder {
                out: &mut self.key.text,
                tables: format.target.tables,
                counts: &mut self.key.counts,
                scratch: &mut self.scratch,
            },
            size: 0,
        };
        for (field, component) in format.target.partition.iter().zip(components) {
            if !self.keys_only || format.is_key(field) {
                attributes.value(field, Piece::new(component))?;
            }
        }
        self.key.size = attributes.size;
        let composite =
            format.target.keys.iter().find(|field| field.source == Source::PartitionText);
        let Some(field) = composite else { return Ok(()) };
        let whole = |cause: Cause| refused(format, field, cause.into());
        self.key_text.clear();
        for (i, (of, component)) in format.target.partition.iter().zip(components).enumerate() {
            self.key_text
                .partition_component(i, format.target.tables, &of.cql_type, component)
                .map_err(whole)?;
        }
        let shortened = self.key_text.shorten(PARTITION_LIMIT).map_err(whole)?;
        self.composite.keys_shortened = u64::from(shortened);
        let text = self.key_text.text.as_piece();
        let mut attributes = Attributes {
            format,
            encoder: Encoder {
                out: &mut self.composite.text,
                tables: format.target.tables,
                counts: &mut self.composite.counts,
                scratch: &mut self.scratch,
            },
            size: 0,
        };
        attributes.put(field, |encoder, attribute| {
            let size = encoder.text(text, false)?;
            check_key(attribute.key, size)?;
            Ok(size)
        })?;
        self.composite.size = attributes.size;
        Ok(())
    }

    pub(in crate::output) fn set_static(
        &mut self,
        format: &ItemFormat,
        row: Option<RowView<'_>>,
        slots: &[(u32, u32)],
    ) -> Result<(), Refused> {
        self.statics.clear();
        self.static_facts.clear();
        let Some(RowView { row, data }) = row.filter(|_| !self.keys_only) else { return Ok(()) };
        let target = &format.target;
        let mut attributes = Attributes {
            format,
            encoder: Encoder {
                out: &mut self.statics.text,
                tables: target.tables,
                counts: &mut self.statics.counts,
                scratch: &mut self.scratch,
            },
            size: 0,
        };
        for field in &target.statics {
            if let Source::Static(column) = field.source {
                attributes.cells(field, cells_of(slots, column, &row.cells), data)?;
            }
        }
        self.statics.size = attributes.size;
        let mut attributes = Attributes {
            format,
            encoder: Encoder {
                out: &mut self.static_facts.text,
                tables: target.tables,
                counts: &mut self.static_facts.counts,
                scratch: &mut self.scratch,
            },
            size: 0,
        };
        for field in &target.static_facts {
            if let Source::StaticFact(fact, column) = field.source {
                let cells = cells_of(slots, column, &row.cells);
                attributes.facts(field, &Facts::of(field, fact, &target.times, cells, data))?;
            }
        }
        self.static_facts.size = attributes.size;
        Ok(())
    }

    pub(in crate::output) fn record(
        &mut self,
        format: &ItemFormat,
        record: &TypedRecord<'_>,
    ) -> Result<(), Refused> {
        let target = &format.target;
        self.out.slice(if self.keys_only { b"{\"Key\":{" } else { b"{\"Item\":{" });
        let start = self.out.len();
        self.out.slice(self.key.text.written());
        let mut attributes = Attributes {
            format,
            encoder: Encoder {
                out: &mut self.out,
                tables: target.tables,
                counts: &mut self.counts,
                scratch: &mut self.scratch,
            },
            size: self.key.size + self.composite.size + self.statics.size + self.static_facts.size,
        };
        if let Some((RowView { row, data }, entry)) = record.row {
            for field in &target.clustering {
                let value = match field.source {
                    Source::Clustering(i) => row.clustering.get(i).copied(),
                    _ => entry.map(|cell| ClusteringValue::Value(cell.path)),
                };
                if let Some(ClusteringValue::Value(span)) = value
                    && (!self.keys_only || format.is_key(field))
                {
                    attributes.value(field, piece_of(span, data))?;
                }
            }
        }
        attributes.encoder.out.slice(self.statics.text.written());
        let others = !self.keys_only;
        for field in target.regulars.iter().filter(|_| others) {
            let (cells, data) = record.regular(field.source);
            attributes.cells(field, cells, data)?;
        }
        attributes.encoder.out.slice(self.static_facts.text.written());
        for field in target.regular_facts.iter().filter(|_| others) {
            if let Source::RegularFact(fact, _) = field.source {
                let (cells, data) = record.regular(field.source);
                attributes.facts(field, &Facts::of(field, fact, &target.times, cells, data))?;
            }
        }
        for field in target.row_facts.iter().filter(|_| others) {
            if let Some(value) = record.row_fact(&target.times, field.source) {
                attributes.integer(field, value)?;
            }
        }
        attributes.encoder.out.slice(self.composite.text.written());
        if let Some(field) = target.keys.iter().find(|field| field.source == Source::SortText) {
            self.key_text.clear();
            let shortened = sort_key(format, record, &mut self.key_text, attributes.encoder.counts)
                .map_err(|cause| refused(format, field, cause.into()))?;
            self.keys_shortened += u64::from(shortened);
            let text = self.key_text.text.as_piece();
            attributes.put(field, |encoder, attribute| {
                let size = encoder.text(text, false)?;
                check_key(attribute.key, size)?;
                Ok(size)
            })?;
        }
        let size = attributes.size;
        if size > MAX_ITEM_LEN {
            let words = format!("an item of {size} bytes; DynamoDB takes {MAX_ITEM_LEN}");
            let fault = Fault::new(Count::RefusedLargeItems, words);
            return Err(Refused { column: None, fault });
        }
        // The comma before the first attribute.
        self.out.drop_byte_before(start + 1);
        self.out.array(b"}}\n");
        for repeated in [&self.key, &self.composite, &self.statics, &self.static_facts] {
            self.counts.merge(&repeated.counts);
            self.keys_shortened += repeated.keys_shortened;
        }
        Ok(())
    }

    pub(in crate::output) fn roll_back(&mut self) {
        self.out.truncate(self.committed);
        self.counts = Counts::default();
        self.keys_shortened = 0;
    }

    pub(in crate::output) fn commit(&mut self, stats: &mut RecordStats) {
        self.committed = self.out.len();
        stats.counts.merge(&std::mem::take(&mut self.counts));
        stats.counters.keys_shortened += std::mem::take(&mut self.keys_shortened);
    }

    pub(in crate::output) fn buffer(&self) -> &[u8] {
        self.out.written()
    }

    pub(in crate::output) fn clear(&mut self) {
        self.out.truncate(0);
        self.committed = 0;
    }
}

/// Writes `cp_sk`; true if it had to be shortened.
fn sort_key(
    format: &ItemFormat,
    record: &TypedRecord<'_>,
    key: &mut KeyWriter,
    counts: &mut Counts,
) -> Result<bool, Cause> {
    let Some((RowView { row, data }, entry)) = record.row else {
        key.text.slice(STATIC_SORT_KEY);
        return Ok(false);
    };
    let entry = entry.map(|cell| ClusteringValue::Value(cell.path));
    let values = row.clustering.iter().copied().chain(entry);
    for (i, (part, value)) in format.target.sort_parts.iter().zip(values).enumerate() {
        let bytes = value.bytes(data).unwrap_or_default();
        let millis = part.timestamp_as_millis;
        key.sort_component(i, format.target.tables, &part.cql_type, millis, bytes)?;
    }
    let shortened = key.shorten(SORT_LIMIT)?;
    if key.text.len() == 0 {
        counts.add(Count::EmptySortKeys);
        key.text.slice(EMPTY_SORT_KEY);
    }
    Ok(shortened)
}
