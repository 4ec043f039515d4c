//! [`ColumnBuffer`]: the values of a column, before they are encoded. The last ones can be taken back.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray, StructArray,
    TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

use super::decimal::{of_decimal, of_integer, of_varint};
use super::node::{Child, Node, element_field, entries_field, entry_fields, struct_fields};
use crate::cql::CqlType;
use crate::output::buffer::TextBuffer;
use crate::output::dates::DateTables;
use crate::output::elements::{Members, members};
use crate::output::json::{JsonStyle, JsonWriter};
use crate::output::scalar::{Cause, day, fixed, millis, put_scalar};
use crate::output::stats::{Count, Counts, Notes};
use crate::output::text::{Piece, valid_text};
use crate::output::typed::Fault;
use crate::rows::counter_total;

/// Milliseconds beyond which they are no microseconds in 64 bits: Spark and DuckDB refuse a file that has such a timestamp.
const MOST_MILLIS: u64 = 9_223_372_036_854_775;
/// Bytes that a value counts beside its own: its place among nulls and offsets.
const OVERHEAD: usize = 5;

/// Nested values as text.
const JSON: JsonStyle = JsonStyle { spaces: false, decimals_as_text: false, signed_years: false };

/// What values are turned into text with, and where their peculiarities are counted.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) text: TextBuffer,
    pub(super) tables: DateTables,
    pub(super) counts: Counts,
    /// Bytes of the values since it was set to 0.
    pub(super) bytes: usize,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            text: TextBuffer::default(),
            tables: DateTables::new(),
            counts: Counts::default(),
            bytes: 0,
        }
    }

    fn json(
        &mut self,
        write: impl FnOnce(&mut JsonWriter<'_, false>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        self.text.truncate(0);
        write(&mut JsonWriter {
            out: &mut self.text,
            style: JSON,
            tables: self.tables,
            notes: &mut Notes::default(),
        })
    }
}

/// The values of a type.
#[derive(Debug)]
enum Values {
    Boolean(Vec<bool>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I128(Vec<i128>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    Bytes { ends: Vec<i32>, data: Vec<u8> },
    List { ends: Vec<i32>, elements: Box<ColumnBuffer> },
    Map { ends: Vec<i32>, keys: Box<ColumnBuffer>, values: Box<ColumnBuffer> },
    Struct(Vec<ColumnBuffer>),
}

/// Values and which of them are null.
#[derive(Debug)]
pub(super) struct ColumnBuffer {
    valid: Vec<bool>,
    values: Values,
}

fn end_of(len: usize) -> Result<i32, Fault> {
    i32::try_from(len).map_err(|_| {
        Fault::new(Count::RefusedLargeItems, "values of one column that are over 2 GiB together")
    })
}

impl ColumnBuffer {
    pub(super) fn new(node: &Node) -> Self {
        let of = |child: &Child| Box::new(Self::new(&child.node));
        let values = match node {
            Node::Boolean => Values::Boolean(Vec::new()),
            Node::Int8 => Values::I8(Vec::new()),
            Node::Int16 => Values::I16(Vec::new()),
            Node::Int32 | Node::Date => Values::I32(Vec::new()),
            Node::Int64 | Node::Counter | Node::Timestamp | Node::Millis => Values::I64(Vec::new()),
            Node::Decimal { .. } => Values::I128(Vec::new()),
            Node::Float => Values::F32(Vec::new()),
            Node::Double => Values::F64(Vec::new()),
            Node::Text { .. } | Node::TextOf(_) | Node::Json | Node::Binary => {
                Values::Bytes { ends: vec![0], data: Vec::new() }
            }
            Node::List(element) => Values::List { ends: vec![0], elements: of(element) },
            Node::Map(key, value) => {
                Values::Map { ends: vec![0], keys: of(key), values: of(value) }
            }
            Node::Struct(fields) => {
                Values::Struct(fields.iter().map(|(_, child)| Self::new(&child.node)).collect())
            }
        };
        Self { valid: Vec::new(), values }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.valid.len()
    }

    /// Forgets all values from `len` on.
    pub(super) fn truncate(&mut self, len: usize) {
        // Bytes and elements are added before their end is, so that a value that failed half-way has none.
        fn cut(ends: &mut Vec<i32>, len: usize) -> usize {
            ends.truncate(len + 1);
            usize::try_from(ends.last().copied().unwrap_or_default()).unwrap_or_default()
        }
        self.valid.truncate(len);
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::I8(values) => values.truncate(len),
            Values::I16(values) => values.truncate(len),
            Values::I32(values) => values.truncate(len),
            Values::I64(values) => values.truncate(len),
            Values::I128(values) => values.truncate(len),
            Values::F32(values) => values.truncate(len),
            Values::F64(values) => values.truncate(len),
            Values::Bytes { ends, data } => {
                let end = cut(ends, len);
                data.truncate(end);
            }
            Values::List { ends, elements } => {
                let end = cut(ends, len);
                elements.truncate(end);
            }
            Values::Map { ends, keys, values } => {
                let end = cut(ends, len);
                keys.truncate(end);
                values.truncate(end);
            }
            Values::Struct(fields) => fields.iter_mut().for_each(|field| field.truncate(len)),
        }
    }

    /// Adds null.
    pub(super) fn null(&mut self, scratch: &mut Scratch) {
        scratch.bytes += 1;
        self.valid.push(false);
        match &mut self.values {
            Values::Boolean(values) => values.push(false),
            Values::I8(values) => values.push(0),
            Values::I16(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::I128(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::Bytes { ends, .. } | Values::List { ends, .. } | Values::Map { ends, .. } => {
                ends.push(ends.last().copied().unwrap_or_default());
            }
            Values::Struct(fields) => fields.iter_mut().for_each(|field| field.null(scratch)),
        }
    }

    /// Adds a number of ours.
    pub(super) fn integer(&mut self, value: i64, scratch: &mut Scratch) -> Result<(), Fault> {
        match &mut self.values {
            Values::I32(values) => values.push(i32::try_from(value).map_err(|_| {
                Fault::new(Count::RefusedNumbers, format!("{value} does not fit INT32"))
            })?),
            Values::I64(values) => values.push(value),
            _ => return Err(Cause::new("a number in a column of another type").into()),
        }
        scratch.bytes += 8 + OVERHEAD;
        self.valid.push(true);
        Ok(())
    }

    /// Adds a list of numbers of ours.
    pub(super) fn integers(
        &mut self,
        all: &[Option<i64>],
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let Values::List { ends, elements } = &mut self.values else {
            return Err(Cause::new("a list in a column of another type").into());
        };
        for value in all {
            match value {
                Some(value) => elements.integer(*value, scratch)?,
                None => elements.null(scratch),
            }
        }
        ends.push(end_of(elements.len())?);
        self.valid.push(true);
        Ok(())
    }

    /// Adds a value; null where the type has none of no bytes.
    pub(super) fn value(
        &mut self,
        node: &Node,
        cql_type: &CqlType,
        value: Piece<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let bytes = value.bytes;
        let takes_empty = matches!(node, Node::Text { .. } | Node::Binary | Node::Struct(_))
            || matches!(cql_type, CqlType::Tuple(_) | CqlType::Udt { .. } | CqlType::Blob);
        if bytes.is_empty() && !takes_empty {
            scratch.counts.add(Count::EmptyValues);
            self.null(scratch);
            return Ok(());
        }
        match (node, &mut self.values) {
            (Node::Boolean, Values::Boolean(values)) => {
                let [truth] = fixed(bytes, "boolean")?;
                values.push(truth != 0);
            }
            (Node::Int8, Values::I8(values)) => {
                values.push(i8::from_be_bytes(fixed(bytes, "tinyint")?));
            }
            (Node::Int16, Values::I16(values)) => {
                let value = small_integer(cql_type, bytes)?;
                values.push(i16::try_from(value).map_err(|_| wrong_type())?);
            }
            (Node::Int32, Values::I32(values)) => {
                let value = small_integer(cql_type, bytes)?;
                values.push(i32::try_from(value).map_err(|_| wrong_type())?);
            }
            (Node::Int64, Values::I64(values)) => values.push(small_integer(cql_type, bytes)?),
            (Node::Counter, Values::I64(values)) => values.push(counter_total(bytes)?),
            (Node::Float, Values::F32(values)) => {
                values.push(f32::from_be_bytes(fixed(bytes, "float")?));
            }
            (Node::Double, Values::F64(values)) => values.push(match cql_type {
                CqlType::Float => f64::from(f32::from_be_bytes(fixed(bytes, "float")?)),
                _ => f64::from_be_bytes(fixed(bytes, "double")?),
            }),
            (Node::Date, Values::I32(values)) => {
                values.push(i32::try_from(day(bytes)?).map_err(|_| wrong_type())?);
            }
            (Node::Timestamp, Values::I64(values)) => {
                let millis = millis(bytes)?;
                if millis.unsigned_abs() > MOST_MILLIS {
                    let words = format!(
                        "timestamp {millis} ms is beyond the range of microseconds, which Spark and DuckDB refuse a file for; a column of type INT8 holds it"
                    );
                    return Err(Fault::new(Count::RefusedTimestamps, words));
                }
                values.push(millis);
            }
            (Node::Millis, Values::I64(values)) => values.push(millis(bytes)?),
            (Node::Decimal { precision, scale }, Values::I128(values)) => {
                values.push(match cql_type {
                    CqlType::Decimal => of_decimal(bytes, *precision, *scale)?,
                    CqlType::Varint => of_varint(bytes, *precision, *scale)?,
                    _ => of_integer(small_integer(cql_type, bytes)?, *precision, *scale)?,
                });
            }
            (Node::Text { ascii }, Values::Bytes { ends, data }) => {
                data.extend_from_slice(valid_text(bytes, *ascii)?.as_bytes());
                ends.push(end_of(data.len())?);
            }
            (Node::Binary, Values::Bytes { ends, data }) => {
                data.extend_from_slice(bytes);
                ends.push(end_of(data.len())?);
            }
            (Node::TextOf(form), Values::Bytes { ends, data }) => {
                scratch.text.truncate(0);
                put_scalar(&mut scratch.text, scratch.tables, *form, bytes, &mut Notes::default())?;
                data.extend_from_slice(scratch.text.written());
                ends.push(end_of(data.len())?);
            }
            (Node::Json, Values::Bytes { ends, data }) => {
                scratch.json(|json| json.value(cql_type, value))?;
                data.extend_from_slice(scratch.text.written());
                ends.push(end_of(data.len())?);
            }
            (Node::List(_) | Node::Map(..) | Node::Struct(_), _) => {
                return self.members(node, &members(cql_type, bytes)?, scratch);
            }
            _ => return Err(wrong_type()),
        }
        scratch.bytes += bytes.len() + OVERHEAD;
        self.valid.push(true);
        Ok(())
    }

    /// Adds a value from its parts.
    pub(super) fn members(
        &mut self,
        node: &Node,
        members: &Members<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        fn optional(
            column: &mut ColumnBuffer,
            child: &Child,
            value: Option<Piece<'_>>,
            scratch: &mut Scratch,
        ) -> Result<(), Fault> {
            match value {
                Some(value) => column.value(&child.node, &child.cql_type, value, scratch),
                None => {
                    column.null(scratch);
                    Ok(())
                }
            }
        }
        match (node, &mut self.values, members) {
            (Node::List(element), Values::List { ends, elements }, Members::Values(values)) => {
                for value in values {
                    optional(elements, element, *value, scratch)?;
                }
                ends.push(end_of(elements.len())?);
            }
            (
                Node::Map(key_of, value_of),
                Values::Map { ends, keys, values },
                Members::Entries(entries),
            ) => {
                for (key, value) in entries {
                    keys.value(&key_of.node, &key_of.cql_type, *key, scratch)?;
                    if keys.valid.last() == Some(&false) {
                        return Err(Cause::new("a map with a key that has no bytes").into());
                    }
                    optional(values, value_of, *value, scratch)?;
                }
                ends.push(end_of(keys.len())?);
            }
            (Node::Struct(of), Values::Struct(fields), Members::Values(values)) => {
                let of = of.iter().map(|(_, child)| child);
                for ((field, child), value) in fields.iter_mut().zip(of).zip(values) {
                    optional(field, child, *value, scratch)?;
                }
            }
            _ => return Err(wrong_type()),
        }
        scratch.bytes += OVERHEAD;
        self.valid.push(true);
        Ok(())
    }

    /// Adds the JSON of a column of several cells.
    pub(super) fn json(
        &mut self,
        scratch: &mut Scratch,
        write: impl FnOnce(&mut JsonWriter<'_, false>) -> Result<(), Cause>,
    ) -> Result<(), Fault> {
        let Values::Bytes { ends, data } = &mut self.values else { return Err(wrong_type()) };
        scratch.json(write)?;
        data.extend_from_slice(scratch.text.written());
        ends.push(end_of(data.len())?);
        scratch.bytes += scratch.text.len() + OVERHEAD;
        self.valid.push(true);
        Ok(())
    }

    /// Takes all values out as an array.
    pub(super) fn take(&mut self, node: &Node) -> Result<ArrayRef, ArrowError> {
        let valid = std::mem::take(&mut self.valid);
        let len = valid.len();
        let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
        // The vectors begin anew: the old ones are the array's.
        let begun = Self::new(node);
        Ok(match (node, std::mem::replace(&mut self.values, begun.values)) {
            (_, Values::Boolean(values)) => {
                Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
            }
            (_, Values::I8(values)) => Arc::new(Int8Array::try_new(values.into(), nulls)?),
            (_, Values::I16(values)) => Arc::new(Int16Array::try_new(values.into(), nulls)?),
            (Node::Date, Values::I32(values)) => {
                Arc::new(Date32Array::try_new(values.into(), nulls)?)
            }
            (_, Values::I32(values)) => Arc::new(Int32Array::try_new(values.into(), nulls)?),
            (Node::Timestamp, Values::I64(values)) => Arc::new(
                TimestampMillisecondArray::try_new(values.into(), nulls)?.with_timezone("UTC"),
            ),
            (_, Values::I64(values)) => Arc::new(Int64Array::try_new(values.into(), nulls)?),
            (Node::Decimal { precision, scale }, Values::I128(values)) => Arc::new(
                Decimal128Array::try_new(values.into(), nulls)?
                    .with_precision_and_scale(*precision, scale.cast_signed())?,
            ),
            (_, Values::F32(values)) => Arc::new(Float32Array::try_new(values.into(), nulls)?),
            (_, Values::F64(values)) => Arc::new(Float64Array::try_new(values.into(), nulls)?),
            (Node::Binary, Values::Bytes { ends, data }) => {
                Arc::new(BinaryArray::try_new(offsets(ends), Buffer::from_vec(data), nulls)?)
            }
            (_, Values::Bytes { ends, data }) => {
                Arc::new(StringArray::try_new(offsets(ends), Buffer::from_vec(data), nulls)?)
            }
            (Node::List(element), Values::List { ends, mut elements }) => {
                let field = Arc::new(element_field(element));
                let values = elements.take(&element.node)?;
                Arc::new(ListArray::try_new(field, offsets(ends), values, nulls)?)
            }
            (Node::Map(key, value), Values::Map { ends, mut keys, mut values }) => {
                let arrays = vec![keys.take(&key.node)?, values.take(&value.node)?];
                let entries = StructArray::try_new(entry_fields(key, value), arrays, None)?;
                let field = Arc::new(entries_field(key, value));
                Arc::new(MapArray::try_new(field, offsets(ends), entries, nulls, false)?)
            }
            (Node::Struct(of), Values::Struct(mut fields)) => {
                let arrays: Result<Vec<ArrayRef>, ArrowError> = fields
                    .iter_mut()
                    .zip(of)
                    .map(|(field, (_, child))| field.take(&child.node))
                    .collect();
                let fields = struct_fields(of);
                Arc::new(StructArray::try_new_with_length(fields, arrays?, nulls, len)?)
            }
            _ => {
                return Err(ArrowError::InvalidArgumentError(
                    "values that are not of their column's type".to_owned(),
                ));
            }
        })
    }
}

fn offsets(ends: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(ends))
}

fn wrong_type() -> Fault {
    Cause::new("a value in a column of another type").into()
}

/// Integers of CQL, and varints that fit.
fn small_integer(cql_type: &CqlType, bytes: &[u8]) -> Result<i64, Fault> {
    Ok(match cql_type {
        CqlType::Tinyint => i64::from(i8::from_be_bytes(fixed(bytes, "tinyint")?)),
        CqlType::Smallint => i64::from(i16::from_be_bytes(fixed(bytes, "smallint")?)),
        CqlType::Int => i64::from(i32::from_be_bytes(fixed(bytes, "int")?)),
        CqlType::Bigint => i64::from_be_bytes(fixed(bytes, "bigint")?),
        CqlType::Counter => counter_total(bytes)?,
        CqlType::Varint => {
            let value = of_varint(bytes, 38, 0)?;
            i64::try_from(value).map_err(|_| {
                Fault::new(Count::RefusedNumbers, format!("{value} does not fit INT64"))
            })?
        }
        _ => return Err(wrong_type()),
    })
}
