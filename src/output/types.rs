//! The column types of DMS's external table definition, and which of them a CQL type can be written as.

use std::fmt;
use std::str::FromStr;

use crate::cql::CqlType;
use crate::error::Error;

/// `ColumnType` of an external table definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// Bytes, as hexadecimal digits.
    Byte,
    /// Day.
    Date,
    /// Day and time; milliseconds for a CQL timestamp.
    Datetime,
    /// Signed, one byte.
    Int1,
    /// Signed, two bytes.
    Int2,
    /// Signed, four bytes.
    Int4,
    /// Signed, eight bytes.
    Int8,
    /// Decimal number: precision (at most 38) and scale (at most 31); none if they come from the values.
    Numeric(Option<(u8, u8)>),
    /// Four-byte float.
    Real4,
    /// Eight-byte float.
    Real8,
    /// Text.
    String,
    /// Large bytes.
    Blob,
    /// Large text.
    Clob,
    /// `true` or `false`.
    Boolean,
}

/// What `--column-type ks.t.c=TYPE` says.
pub type ColumnTypeOverride = ColumnType;

/// Largest precision of NUMERIC.
pub(super) const MAX_PRECISION: u64 = 38;
/// Largest scale of NUMERIC.
pub(super) const MAX_SCALE: u64 = 31;

impl ColumnType {
    /// As the definition spells it, without precision.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Byte => "BYTE",
            Self::Date => "DATE",
            Self::Datetime => "DATETIME",
            Self::Int1 => "INT1",
            Self::Int2 => "INT2",
            Self::Int4 => "INT4",
            Self::Int8 => "INT8",
            Self::Numeric(_) => "NUMERIC",
            Self::Real4 => "REAL4",
            Self::Real8 => "REAL8",
            Self::String => "STRING",
            Self::Blob => "BLOB",
            Self::Clob => "CLOB",
            Self::Boolean => "BOOLEAN",
        }
    }

    /// The type that values of `cql_type` have unless told otherwise.
    pub fn default_for(cql_type: &CqlType) -> Self {
        match cql_type {
            CqlType::Tinyint => Self::Int1,
            CqlType::Smallint => Self::Int2,
            CqlType::Int => Self::Int4,
            CqlType::Bigint | CqlType::Counter => Self::Int8,
            CqlType::Varint => Self::Numeric(Some((38, 0))),
            CqlType::Decimal => Self::Numeric(None),
            CqlType::Float => Self::Real4,
            CqlType::Double => Self::Real8,
            CqlType::Boolean => Self::Boolean,
            CqlType::Date => Self::Date,
            CqlType::Timestamp | CqlType::LegacyTimestamp => Self::Datetime,
            CqlType::Ascii
            | CqlType::Text
            | CqlType::Blob
            | CqlType::Duration
            | CqlType::Empty
            | CqlType::Inet
            | CqlType::Time
            | CqlType::Timeuuid
            | CqlType::Uuid
            | CqlType::LexicalUuid
            | CqlType::List { .. }
            | CqlType::Set { .. }
            | CqlType::Map { .. }
            | CqlType::Tuple(_)
            | CqlType::Udt { .. }
            | CqlType::Vector { .. }
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => Self::String,
        }
    }

    /// True if values of `cql_type` can be asked for as this type (some may still not fit).
    pub fn can_hold(self, cql_type: &CqlType) -> bool {
        if self == Self::String || self == Self::default_for(cql_type) {
            return true;
        }
        match cql_type {
            CqlType::Tinyint => {
                matches!(self, Self::Int2 | Self::Int4 | Self::Int8 | Self::Numeric(_))
            }
            CqlType::Smallint => matches!(self, Self::Int4 | Self::Int8 | Self::Numeric(_)),
            CqlType::Int => matches!(self, Self::Int8 | Self::Numeric(_)),
            CqlType::Bigint | CqlType::Counter => matches!(self, Self::Numeric(_)),
            CqlType::Varint => matches!(self, Self::Int8 | Self::Numeric(_)),
            CqlType::Decimal => matches!(self, Self::Numeric(_)),
            CqlType::Float => self == Self::Real8,
            CqlType::Timestamp | CqlType::LegacyTimestamp => self == Self::Int8,
            CqlType::Blob => matches!(self, Self::Byte | Self::Blob | Self::Clob),
            CqlType::Ascii
            | CqlType::Text
            | CqlType::List { .. }
            | CqlType::Set { .. }
            | CqlType::Map { .. }
            | CqlType::Tuple(_)
            | CqlType::Udt { .. }
            | CqlType::Vector { .. }
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => self == Self::Clob,
            CqlType::Boolean
            | CqlType::Date
            | CqlType::Double
            | CqlType::Duration
            | CqlType::Empty
            | CqlType::Inet
            | CqlType::Time
            | CqlType::Timeuuid
            | CqlType::Uuid
            | CqlType::LexicalUuid => false,
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        if let Self::Numeric(Some((precision, scale))) = self {
            write!(f, "({precision},{scale})")?;
        }
        Ok(())
    }
}

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let upper = text.trim().to_ascii_uppercase();
        let (name, arguments) = match upper.split_once('(') {
            Some((name, rest)) => (name.trim_end(), rest.strip_suffix(')')),
            None => (upper.as_str(), None),
        };
        let bad = || Error::Usage {
            what: format!("'{text}' is no column type"),
            hint: Some(
                "one of STRING, CLOB, BYTE, BLOB, INT1, INT2, INT4, INT8, NUMERIC, \
                 NUMERIC(precision,scale), REAL4, REAL8, BOOLEAN, DATE, DATETIME"
                    .into(),
            ),
        };
        if matches!(name, "NUMERIC" | "DECIMAL") && upper.contains('(') {
            let (precision, scale) =
                arguments.and_then(|text| text.split_once(',')).ok_or_else(bad)?;
            let precision: u8 = precision.trim().parse().map_err(|_| bad())?;
            let scale: u8 = scale.trim().parse().map_err(|_| bad())?;
            if precision == 0
                || u64::from(precision) > MAX_PRECISION
                || u64::from(scale) > MAX_SCALE
                || scale > precision
            {
                return Err(Error::Usage {
                    what: format!("'{text}' is no column type"),
                    hint: Some(
                        "NUMERIC has a precision of at most 38 and a scale of at most 31".into(),
                    ),
                });
            }
            return Ok(Self::Numeric(Some((precision, scale))));
        }
        if upper.contains('(') {
            return Err(bad());
        }
        Ok(match name {
            "BYTE" => Self::Byte,
            "DATE" => Self::Date,
            "DATETIME" => Self::Datetime,
            "INT1" => Self::Int1,
            "INT2" => Self::Int2,
            "INT4" => Self::Int4,
            "INT8" => Self::Int8,
            "NUMERIC" | "DECIMAL" => Self::Numeric(None),
            "REAL4" => Self::Real4,
            "REAL8" => Self::Real8,
            "STRING" => Self::String,
            "BLOB" => Self::Blob,
            "CLOB" => Self::Clob,
            "BOOLEAN" => Self::Boolean,
            _ => return Err(bad()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_read_back_from_their_text() {
        for text in ["STRING", "NUMERIC", "NUMERIC(38,10)", "INT8", "DATETIME", "CLOB"] {
            assert_eq!(text.parse::<ColumnType>().unwrap().to_string(), text);
        }
        assert_eq!("numeric( 5 , 2 )".parse::<ColumnType>().unwrap().to_string(), "NUMERIC(5,2)");
        for text in
            ["", "TEXT", "NUMERIC(39,0)", "NUMERIC(5)", "NUMERIC(2,3)", "STRING(5)", "NUMERIC(5,2"]
        {
            assert!(text.parse::<ColumnType>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_integer_can_be_widened_and_not_narrowed() {
        assert!(ColumnType::Int8.can_hold(&CqlType::Int));
        assert!(!ColumnType::Int2.can_hold(&CqlType::Int));
        assert!(ColumnType::Int8.can_hold(&CqlType::Timestamp));
        assert!(ColumnType::String.can_hold(&CqlType::Double));
        assert!(!ColumnType::Numeric(None).can_hold(&CqlType::Text));
    }
}
