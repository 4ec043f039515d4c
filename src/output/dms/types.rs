//! Types of an external table definition, and which one a CQL type gets.

use std::fmt;
use std::str::FromStr;

use crate::output::manifest::ColumnStats;

/// An item of DynamoDB cannot be larger, so no value can.
pub const MAX_ITEM_BYTES: u64 = 409_600;

/// Most bytes of DynamoDB's partition key.
pub const MAX_PARTITION_KEY_BYTES: u64 = 2048;

/// Most bytes of DynamoDB's sort key.
pub const MAX_SORT_KEY_BYTES: u64 = 1024;

/// Greatest `ColumnLength`.
const MAX_LENGTH: u64 = 2_147_483_647;

/// Least `ColumnLength` of a text whose length is not fixed.
const MIN_LENGTH: u64 = 64;

/// Digits that NUMERIC and DynamoDB's numbers have.
const MAX_PRECISION: u64 = 38;

/// Digits behind the point that NUMERIC has.
const MAX_SCALE: u64 = 31;

/// Digits behind the point that a decimal column has room for if that costs nothing: later changes may have more than
/// the full load had.
const SPARE_SCALE: u64 = 10;

/// A `ColumnType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DmsType {
    /// `BYTE`: bytes as hexadecimal digits.
    Byte {
        /// Length, or by the rule of [`column_length`].
        length: Option<u64>,
    },
    /// `DATE`.
    Date,
    /// `TIME`: whole seconds.
    Time,
    /// `DATETIME` with milliseconds.
    Datetime,
    /// `INT1`.
    Int1,
    /// `INT2`.
    Int2,
    /// `INT4`.
    Int4,
    /// `INT8`.
    Int8,
    /// `UINT1`.
    Uint1,
    /// `UINT2`.
    Uint2,
    /// `UINT4`.
    Uint4,
    /// `UINT8`.
    Uint8,
    /// `NUMERIC`.
    Numeric {
        /// Digits in all.
        precision: u64,
        /// Digits behind the point.
        scale: u64,
    },
    /// `REAL4`.
    Real4,
    /// `REAL8`.
    Real8,
    /// `STRING`.
    String {
        /// Length, or by the rule of [`column_length`].
        length: Option<u64>,
    },
    /// `BLOB`.
    Blob,
    /// `CLOB`.
    Clob,
    /// `BOOLEAN`.
    Boolean,
}

impl DmsType {
    /// The word in the definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Byte { .. } => "BYTE",
            Self::Date => "DATE",
            Self::Time => "TIME",
            Self::Datetime => "DATETIME",
            Self::Int1 => "INT1",
            Self::Int2 => "INT2",
            Self::Int4 => "INT4",
            Self::Int8 => "INT8",
            Self::Uint1 => "UINT1",
            Self::Uint2 => "UINT2",
            Self::Uint4 => "UINT4",
            Self::Uint8 => "UINT8",
            Self::Numeric { .. } => "NUMERIC",
            Self::Real4 => "REAL4",
            Self::Real8 => "REAL8",
            Self::String { .. } => "STRING",
            Self::Blob => "BLOB",
            Self::Clob => "CLOB",
            Self::Boolean => "BOOLEAN",
        }
    }

    /// True for the types that DMS cuts at `LobMaxSize`.
    pub fn is_lob(self) -> bool {
        matches!(self, Self::Blob | Self::Clob)
    }

    /// True for the types that become a DynamoDB number.
    pub fn is_number(self) -> bool {
        match self {
            Self::Int1
            | Self::Int2
            | Self::Int4
            | Self::Int8
            | Self::Uint1
            | Self::Uint2
            | Self::Uint4
            | Self::Uint8
            | Self::Numeric { .. }
            | Self::Real4
            | Self::Real8 => true,
            Self::Byte { .. }
            | Self::Date
            | Self::Time
            | Self::Datetime
            | Self::String { .. }
            | Self::Blob
            | Self::Clob
            | Self::Boolean => false,
        }
    }
}

impl fmt::Display for DmsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Numeric { precision, scale } => write!(f, "({precision},{scale})"),
            Self::Byte { length: Some(length) } | Self::String { length: Some(length) } => {
                write!(f, "({length})")
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for DmsType {
    type Err = String;

    /// Reads what `--column-type` takes: `STRING`, `STRING(100)`, `NUMERIC(10,2)`, `INT8`, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let (name, arguments) = match upper.split_once('(') {
            None => (upper.as_str(), None),
            Some((name, rest)) => {
                let inner = rest.strip_suffix(')').ok_or_else(|| wrong(text))?;
                let numbers: Result<Vec<u64>, _> =
                    inner.split(',').map(|part| part.trim().parse()).collect();
                (name.trim_end(), Some(numbers.map_err(|_| wrong(text))?))
            }
        };
        let length = match arguments.as_deref() {
            None => None,
            Some([length]) if (1..=MAX_LENGTH).contains(length) => Some(*length),
            Some([precision, scale])
                if name == "NUMERIC"
                    && (1..=MAX_PRECISION).contains(precision)
                    && scale <= &MAX_SCALE.min(*precision) =>
            {
                return Ok(Self::Numeric { precision: *precision, scale: *scale });
            }
            Some(_) => return Err(wrong(text)),
        };
        match (name, length) {
            ("BYTE", length) => Ok(Self::Byte { length }),
            ("STRING", length) => Ok(Self::String { length }),
            ("DATE", None) => Ok(Self::Date),
            ("TIME", None) => Ok(Self::Time),
            ("DATETIME", None) => Ok(Self::Datetime),
            ("INT1", None) => Ok(Self::Int1),
            ("INT2", None) => Ok(Self::Int2),
            ("INT4", None) => Ok(Self::Int4),
            ("INT8", None) => Ok(Self::Int8),
            ("UINT1", None) => Ok(Self::Uint1),
            ("UINT2", None) => Ok(Self::Uint2),
            ("UINT4", None) => Ok(Self::Uint4),
            ("UINT8", None) => Ok(Self::Uint8),
            ("REAL4", None) => Ok(Self::Real4),
            ("REAL8", None) => Ok(Self::Real8),
            ("BLOB", None) => Ok(Self::Blob),
            ("CLOB", None) => Ok(Self::Clob),
            ("BOOLEAN", None) => Ok(Self::Boolean),
            _ => Err(wrong(text)),
        }
    }
}

fn wrong(text: &str) -> String {
    format!(
        "{text:?} is not a column type of DMS: STRING, STRING(bytes), NUMERIC(digits,scale) with at most 38 and 31, INT1, \
         INT2, INT4, INT8, REAL4, REAL8, BOOLEAN, DATE, TIME, DATETIME, BYTE, CLOB, BLOB"
    )
}

/// The type of a column of CQL type `cql` (as CQL writes it) whose values were like `stats`.
///
/// All types that one CQL type can get here read the same text.
pub fn dms_type(cql: &str, stats: &ColumnStats) -> DmsType {
    let by_rule = DmsType::String { length: None };
    let fixed = |bytes| DmsType::String { length: Some(bytes) };
    match cql {
        "tinyint" => DmsType::Int1,
        "smallint" => DmsType::Int2,
        "int" => DmsType::Int4,
        "bigint" | "counter" => DmsType::Int8,
        "varint" if stats.max_digits.unwrap_or(0) <= MAX_PRECISION => {
            DmsType::Numeric { precision: MAX_PRECISION, scale: 0 }
        }
        "decimal" => decimal_type(stats).unwrap_or(by_rule),
        "float" if stats.non_finite == 0 => DmsType::Real4,
        "double" if stats.non_finite == 0 => DmsType::Real8,
        "boolean" => DmsType::Boolean,
        "date" => DmsType::Date,
        "timestamp" => DmsType::Datetime,
        "time" => fixed(18),
        "uuid" | "timeuuid" => fixed(36),
        "inet" => fixed(45),
        "duration" => fixed(64),
        // Text, blobs (hexadecimal, as DynamoDB takes no binary from DMS), collections and all else (JSON).
        _ => by_rule,
    }
}

/// The type of a column for which `--column-type` (or the writer of the records) says `asked`. `NUMERIC` alone leaves
/// precision and scale to the values, and STRING keeps the length that the CQL type has.
pub fn asked_type(asked: &str, cql: &str, stats: &ColumnStats) -> Result<DmsType, String> {
    let by_rule = DmsType::String { length: None };
    if asked.trim().eq_ignore_ascii_case("NUMERIC") {
        return Ok(decimal_type(stats).unwrap_or(by_rule));
    }
    let asked = asked.parse()?;
    match dms_type(cql, stats) {
        fixed @ DmsType::String { length: Some(_) } if asked == by_rule => Ok(fixed),
        _ => Ok(asked),
    }
}

/// NUMERIC if every value surely fits: the value with most digits before the point and the one with most behind it may
/// be two.
fn decimal_type(stats: &ColumnStats) -> Option<DmsType> {
    let digits = stats.max_integer_digits.or(stats.max_digits).unwrap_or(0);
    let scale = stats.max_scale.unwrap_or(0);
    [scale.max(SPARE_SCALE), scale]
        .into_iter()
        .find(|scale| *scale <= MAX_SCALE && digits.saturating_add(*scale) <= MAX_PRECISION)
        .map(|scale| DmsType::Numeric { precision: MAX_PRECISION, scale })
}

/// The `ColumnLength`: what the type says, or twice the longest text seen, as changes may bring longer ones, rounded up
/// to KiB and at most an item of DynamoDB; never less than the longest text. None for types without a length.
pub fn column_length(column_type: DmsType, max_bytes: u64) -> Option<u64> {
    let (DmsType::String { length } | DmsType::Byte { length }) = column_type else { return None };
    let length = match length {
        Some(length) => length,
        None => max_bytes.saturating_mul(2).div_ceil(1024).saturating_mul(1024).min(MAX_ITEM_BYTES),
    };
    let least =
        if matches!(column_type, DmsType::String { length: None } | DmsType::Byte { length: None })
        {
            MIN_LENGTH
        } else {
            1
        };
    Some(length.max(max_bytes).max(least).min(MAX_LENGTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cql: &str, digits: Option<u64>, scale: Option<u64>, non_finite: u64) -> String {
        let stats = ColumnStats {
            max_digits: digits,
            max_scale: scale,
            non_finite,
            ..ColumnStats::default()
        };
        dms_type(cql, &stats).to_string()
    }

    #[test]
    fn every_cql_type_has_its_type() {
        for (cql, expected) in [
            ("ascii", "STRING"),
            ("text", "STRING"),
            ("varchar", "STRING"),
            ("tinyint", "INT1"),
            ("smallint", "INT2"),
            ("int", "INT4"),
            ("bigint", "INT8"),
            ("counter", "INT8"),
            ("varint", "NUMERIC(38,0)"),
            ("decimal", "NUMERIC(38,10)"),
            ("float", "REAL4"),
            ("double", "REAL8"),
            ("boolean", "BOOLEAN"),
            ("date", "DATE"),
            ("time", "STRING(18)"),
            ("timestamp", "DATETIME"),
            ("uuid", "STRING(36)"),
            ("timeuuid", "STRING(36)"),
            ("inet", "STRING(45)"),
            ("blob", "STRING"),
            ("duration", "STRING(64)"),
            ("list<int>", "STRING"),
            ("frozen<tuple<int, text>>", "STRING"),
            ("vector<float, 3>", "STRING"),
            ("my_type", "STRING"),
            ("'org.example.Custom'", "STRING"),
        ] {
            assert_eq!(of(cql, None, None, 0), expected, "{cql}");
        }
    }

    #[test]
    fn numbers_that_do_not_fit_make_the_column_a_string() {
        assert_eq!(of("varint", Some(38), None, 0), "NUMERIC(38,0)");
        assert_eq!(of("varint", Some(39), None, 0), "STRING");
        assert_eq!(of("decimal", Some(28), Some(2), 0), "NUMERIC(38,10)");
        assert_eq!(of("decimal", Some(29), Some(2), 0), "NUMERIC(38,2)");
        assert_eq!(of("decimal", Some(7), Some(31), 0), "NUMERIC(38,31)");
        assert_eq!(of("decimal", Some(8), Some(31), 0), "STRING");
        assert_eq!(of("decimal", Some(1), Some(32), 0), "STRING");
        assert_eq!(of("decimal", Some(u64::MAX), Some(5), 0), "STRING");
        assert_eq!(of("float", None, None, 1), "STRING");
        assert_eq!(of("double", None, None, 1), "STRING");
    }

    #[test]
    fn what_is_asked_for_wins() {
        let stats = ColumnStats {
            max_digits: Some(40),
            max_integer_digits: Some(20),
            max_scale: Some(18),
            ..ColumnStats::default()
        };
        let of = |asked, cql| asked_type(asked, cql, &stats).unwrap().to_string();
        assert_eq!(of("NUMERIC", "decimal"), "NUMERIC(38,18)");
        assert_eq!(of("numeric(20,4)", "decimal"), "NUMERIC(20,4)");
        assert_eq!(of("NUMERIC(38,0)", "varint"), "NUMERIC(38,0)");
        assert_eq!(of("REAL8", "double"), "REAL8");
        assert_eq!(of("INT8", "timestamp"), "INT8");
        assert_eq!(of("STRING", "uuid"), "STRING(36)");
        assert_eq!(of("STRING(50)", "uuid"), "STRING(50)");
        assert_eq!(of("STRING", "text"), "STRING");
        let many = ColumnStats { max_integer_digits: Some(21), ..stats };
        assert_eq!(asked_type("NUMERIC", "decimal", &many), Ok(DmsType::String { length: None }));
        assert!(asked_type("TEXT", "text", &stats).is_err());
    }

    #[test]
    fn lengths_leave_room_for_changes() {
        let rule = DmsType::String { length: None };
        for (max, length) in [
            (0, 64),
            (1, 1024),
            (512, 1024),
            (513, 2048),
            (204_800, 409_600),
            (300_000, 409_600),
            (500_000, 500_000),
            (u64::MAX, 2_147_483_647),
        ] {
            assert_eq!(column_length(rule, max), Some(length), "{max}");
        }
        assert_eq!(column_length(DmsType::String { length: Some(36) }, 36), Some(36));
        assert_eq!(column_length(DmsType::String { length: Some(36) }, 40), Some(40));
        assert_eq!(column_length(DmsType::Byte { length: None }, 10), Some(1024));
        assert_eq!(column_length(DmsType::Int4, 10), None);
        assert_eq!(column_length(DmsType::Clob, 10), None);
    }

    #[test]
    fn what_the_user_types_is_read_and_printed() {
        for (text, shown) in [
            ("string", "STRING"),
            (" String ( 100 ) ", "STRING(100)"),
            ("numeric(10, 2)", "NUMERIC(10,2)"),
            ("NUMERIC(38,31)", "NUMERIC(38,31)"),
            ("INT8", "INT8"),
            ("uint2", "UINT2"),
            ("clob", "CLOB"),
        ] {
            let read: DmsType = text.parse().unwrap();
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse::<DmsType>().unwrap(), read);
        }
        for bad in [
            "",
            "TEXT",
            "NUMERIC",
            "NUMERIC(39,0)",
            "NUMERIC(38,32)",
            "NUMERIC(0,0)",
            "NUMERIC(2,3)",
            "INT4(4)",
            "STRING(0)",
            "STRING(1,2)",
            "STRING(-1)",
            "STRING(5",
            "STRING(3000000000)",
            "STRING()",
        ] {
            let words = bad.parse::<DmsType>().unwrap_err();
            assert!(words.contains("STRING(bytes)"), "{bad}");
        }
    }
}
