//! [`CqlType`]: every type of CQL up to 5.0, and those of old tables.

use std::sync::Arc;

/// A type of CQL (`CQL3Type`, `AbstractType`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CqlType {
    /// `ascii` (AsciiType).
    Ascii,
    /// `bigint` (LongType).
    Bigint,
    /// `blob` (BytesType).
    Blob,
    /// `boolean` (BooleanType).
    Boolean,
    /// `counter` (CounterColumnType).
    Counter,
    /// `date` (SimpleDateType).
    Date,
    /// `decimal` (DecimalType).
    Decimal,
    /// `double` (DoubleType).
    Double,
    /// `duration` (DurationType).
    Duration,
    /// The type of the hidden column of dense tables without a value (EmptyType).
    Empty,
    /// `float` (FloatType).
    Float,
    /// `inet` (InetAddressType).
    Inet,
    /// `int` (Int32Type).
    Int,
    /// `smallint` (ShortType).
    Smallint,
    /// `text`, `varchar` (UTF8Type).
    Text,
    /// `time` (TimeType).
    Time,
    /// `timestamp` (TimestampType).
    Timestamp,
    /// The old class behind `timestamp` (DateType): the same bytes, compared as unsigned bytes.
    LegacyTimestamp,
    /// `timeuuid` (TimeUUIDType).
    Timeuuid,
    /// `tinyint` (ByteType).
    Tinyint,
    /// `uuid` (UUIDType).
    Uuid,
    /// A uuid in Java's own order (LexicalUUIDType).
    LexicalUuid,
    /// `varint` (IntegerType).
    Varint,
    /// `list<T>` (ListType).
    List {
        /// Type of the elements.
        element: Box<CqlType>,
        /// One cell if frozen, else one per element.
        frozen: bool,
    },
    /// `set<T>` (SetType).
    Set {
        /// Type of the elements.
        element: Box<CqlType>,
        /// One cell if frozen, else one per element.
        frozen: bool,
    },
    /// `map<K, V>` (MapType).
    Map {
        /// Type of the keys.
        key: Box<CqlType>,
        /// Type of the values.
        value: Box<CqlType>,
        /// One cell if frozen, else one per entry.
        frozen: bool,
    },
    /// `tuple<T, ...>` (TupleType); always frozen.
    Tuple(Vec<CqlType>),
    /// A user-defined type (UserType).
    Udt {
        /// Name and fields.
        udt: Arc<UdtType>,
        /// One cell if frozen, else one per field.
        frozen: bool,
    },
    /// `vector<T, n>` (VectorType, 5.0).
    Vector {
        /// Type of the elements.
        element: Box<CqlType>,
        /// Their number.
        dimension: u32,
    },
    /// Several values in one (CompositeType): partition keys of several columns, and custom columns.
    Composite(Vec<CqlType>),
    /// Values with their types before them (DynamicCompositeType); the aliases with their types.
    DynamicComposite(Vec<(u8, CqlType)>),
    /// A class that this program does not know; its values are opaque bytes.
    Custom(String),
}

/// A user-defined type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UdtType {
    /// Keyspace.
    pub keyspace: String,
    /// Name in its stored case.
    pub name: String,
    /// Fields in order: name and type.
    pub fields: Vec<(String, CqlType)>,
}

impl CqlType {
    /// Length of a value that is written without its length, in clusterings and simple cells (`valueLengthIfFixed`).
    ///
    /// `tinyint`, `smallint`, `date` and `time` are *not* fixed, although their values are.
    pub fn fixed_len(&self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Int | Self::Float => Some(4),
            Self::Bigint | Self::Double | Self::Timestamp | Self::LegacyTimestamp => Some(8),
            Self::Uuid | Self::Timeuuid | Self::LexicalUuid => Some(16),
            Self::Empty => Some(0),
            Self::Vector { element, dimension } => {
                element.fixed_len()?.checked_mul(usize::try_from(*dimension).ok()?)
            }
            Self::Ascii
            | Self::Blob
            | Self::Counter
            | Self::Date
            | Self::Decimal
            | Self::Duration
            | Self::Inet
            | Self::Smallint
            | Self::Text
            | Self::Time
            | Self::Tinyint
            | Self::Varint
            | Self::List { .. }
            | Self::Set { .. }
            | Self::Map { .. }
            | Self::Tuple(_)
            | Self::Udt { .. }
            | Self::Composite(_)
            | Self::DynamicComposite(_)
            | Self::Custom(_) => None,
        }
    }

    /// True if a column of this type has one cell per element (`isMultiCell`).
    pub fn is_multi_cell(&self) -> bool {
        matches!(
            self,
            Self::List { frozen: false, .. }
                | Self::Set { frozen: false, .. }
                | Self::Map { frozen: false, .. }
                | Self::Udt { frozen: false, .. }
        )
    }

    /// Type of the paths of its cells, for a type with one cell per element (`ColumnMetadata.cellPathComparator`).
    pub fn cell_path_type(&self) -> Self {
        match self {
            // The path of a list element is a time uuid that orders the list.
            Self::List { .. } => Self::Timeuuid,
            Self::Set { element, .. } => (**element).clone(),
            Self::Map { key, .. } => (**key).clone(),
            // The path of a field is its index as a 16-bit number.
            Self::Udt { .. } => Self::Smallint,
            _ => Self::Blob,
        }
    }

    /// The same type with `frozen` set, and everything inside it frozen too (`AbstractType.freeze`).
    #[must_use]
    pub fn freeze(self) -> Self {
        match self {
            Self::List { element, .. } => {
                Self::List { element: Box::new(element.freeze()), frozen: true }
            }
            Self::Set { element, .. } => {
                Self::Set { element: Box::new(element.freeze()), frozen: true }
            }
            Self::Map { key, value, .. } => Self::Map {
                key: Box::new(key.freeze()),
                value: Box::new(value.freeze()),
                frozen: true,
            },
            Self::Udt { udt, .. } => Self::Udt { udt, frozen: true },
            other => other,
        }
    }
}
