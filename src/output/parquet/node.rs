//! [`Node`]: what a CQL type is in a column of Parquet.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use crate::cql::CqlType;
use crate::output::scalar::Form;
use crate::output::types::ColumnType;

/// Levels of types in each other, so that a definition cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

/// How values become those of a column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Boolean,
    Int8,
    Int16,
    Int32,
    /// `bigint`, and integers that were asked for as such.
    Int64,
    Counter,
    Float,
    Double,
    Date,
    /// Milliseconds in the range that readers take.
    Timestamp,
    /// Any milliseconds, as INT64.
    Millis,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Text {
        ascii: bool,
    },
    Binary,
    /// The text of a scalar.
    TextOf(Form),
    /// JSON of what is nested.
    Json,
    List(Box<Child>),
    Map(Box<Child>, Box<Child>),
    Struct(Vec<(String, Child)>),
}

/// A type and what its values become.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Child {
    pub(super) cql_type: CqlType,
    pub(super) node: Node,
}

fn child(cql_type: &CqlType, depth: usize) -> Box<Child> {
    Box::new(Child { cql_type: cql_type.clone(), node: node_at(cql_type, depth) })
}

/// What a type is unless told otherwise.
pub(super) fn node_of(cql_type: &CqlType) -> Node {
    node_at(cql_type, 0)
}

fn node_at(cql_type: &CqlType, depth: usize) -> Node {
    let inner = depth + 1;
    match cql_type {
        CqlType::Boolean => Node::Boolean,
        CqlType::Tinyint => Node::Int8,
        CqlType::Smallint => Node::Int16,
        CqlType::Int => Node::Int32,
        CqlType::Bigint => Node::Int64,
        CqlType::Counter => Node::Counter,
        CqlType::Float => Node::Float,
        CqlType::Double => Node::Double,
        CqlType::Date => Node::Date,
        CqlType::Timestamp | CqlType::LegacyTimestamp => Node::Timestamp,
        CqlType::Text => Node::Text { ascii: false },
        CqlType::Ascii => Node::Text { ascii: true },
        CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => Node::Binary,
        CqlType::Time
        | CqlType::Uuid
        | CqlType::Timeuuid
        | CqlType::LexicalUuid
        | CqlType::Inet
        | CqlType::Duration
        | CqlType::Varint
        | CqlType::Decimal
        | CqlType::Empty => text_of(cql_type),
        _ if depth > MAX_DEPTH => Node::Json,
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => Node::List(child(element, inner)),
        // No reader has maps as keys of maps.
        CqlType::Map { key, value, .. } if has_map(key) => {
            let key = Child { cql_type: (**key).clone(), node: Node::Json };
            Node::Map(Box::new(key), child(value, inner))
        }
        CqlType::Map { key, value, .. } => Node::Map(child(key, inner), child(value, inner)),
        CqlType::Tuple(types) => Node::Struct(
            types
                .iter()
                .zip(1_u32..)
                .map(|(of, number)| (format!("_{number}"), *child(of, inner)))
                .collect(),
        ),
        CqlType::Udt { udt, .. } => Node::Struct(
            udt.fields.iter().map(|(name, of)| (name.clone(), *child(of, inner))).collect(),
        ),
    }
}

fn has_map(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Map { .. } => true,
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => has_map(element),
        CqlType::Tuple(types) => types.iter().any(has_map),
        CqlType::Udt { udt, .. } => udt.fields.iter().any(|(_, of)| has_map(of)),
        _ => false,
    }
}

/// The text of a scalar.
fn text_of(cql_type: &CqlType) -> Node {
    use crate::output::dynamodb::scalar_form;
    match scalar_form(cql_type) {
        Some(form) => Node::TextOf(form),
        None => Node::Json,
    }
}

/// What a type is where the user asked for another; none if it cannot be that.
pub(super) fn node_asked(cql_type: &CqlType, asked: ColumnType) -> Option<Node> {
    let integer = matches!(
        cql_type,
        CqlType::Tinyint | CqlType::Smallint | CqlType::Int | CqlType::Bigint | CqlType::Counter
    );
    Some(match (cql_type, asked) {
        (CqlType::Text | CqlType::Ascii, ColumnType::String) => node_of(cql_type),
        (CqlType::Blob, ColumnType::String) => Node::TextOf(Form::Blob { prefix: false }),
        (_, ColumnType::String) => text_of(cql_type),
        (CqlType::Timestamp | CqlType::LegacyTimestamp, ColumnType::Int8) => Node::Millis,
        (CqlType::Tinyint, ColumnType::Int2) => Node::Int16,
        (CqlType::Tinyint | CqlType::Smallint, ColumnType::Int4) => Node::Int32,
        (CqlType::Tinyint | CqlType::Smallint | CqlType::Int, ColumnType::Int8) => Node::Int64,
        (CqlType::Varint, ColumnType::Int8) => Node::Int64,
        (CqlType::Float, ColumnType::Real8) => Node::Double,
        (CqlType::Varint | CqlType::Decimal, ColumnType::Numeric(Some((precision, scale)))) => {
            Node::Decimal { precision, scale }
        }
        (_, ColumnType::Numeric(Some((precision, scale)))) if integer => {
            Node::Decimal { precision, scale }
        }
        (CqlType::Varint, ColumnType::Numeric(None)) => Node::Decimal { precision: 38, scale: 0 },
        (of, asked) if asked == ColumnType::default_for(of) && *of != CqlType::Decimal => {
            node_of(of)
        }
        _ => return None,
    })
}

impl Node {
    /// The type of Arrow, which the Parquet writer makes Parquet's of.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 | Self::Counter | Self::Millis => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Decimal { precision, scale } => {
                DataType::Decimal128(*precision, scale.cast_signed())
            }
            Self::Text { .. } | Self::TextOf(_) | Self::Json => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::List(element) => DataType::List(Arc::new(element_field(element))),
            Self::Map(key, value) => DataType::Map(Arc::new(entries_field(key, value)), false),
            Self::Struct(fields) => DataType::Struct(struct_fields(fields)),
        }
    }
}

/// The element of a list, by the name that the Parquet specification gives it.
pub(super) fn element_field(element: &Child) -> Field {
    Field::new("element", element.node.data_type(), true)
}

/// Key and value of a map.
pub(super) fn entry_fields(key: &Child, value: &Child) -> Fields {
    Fields::from(vec![
        Field::new("key", key.node.data_type(), false),
        Field::new("value", value.node.data_type(), true),
    ])
}

/// The entries of a map.
pub(super) fn entries_field(key: &Child, value: &Child) -> Field {
    Field::new("key_value", DataType::Struct(entry_fields(key, value)), false)
}

/// The fields of a tuple or user-defined type.
pub(super) fn struct_fields(fields: &[(String, Child)]) -> Fields {
    fields.iter().map(|(name, child)| Field::new(name, child.node.data_type(), true)).collect()
}
