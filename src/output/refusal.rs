//! Why a row cannot be carried by a profile.

use std::fmt;

/// What kind of value it was; each is counted under a name of its own in the report and the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// Bytes that are no value of their type.
    Invalid,
    /// Text with CR or LF where the loader takes the end of a line for the end of a record.
    LineEnd,
    /// Text that the loader would read as NULL.
    NullToken,
    /// A NULL where the loader has no word for it.
    Null,
    /// A value of no bytes of a type that has such, which the loader cannot write.
    EmptyValue,
    /// A day or an instant outside the years that the loader knows.
    OutOfRange,
    /// A number that is too large or too long for the column or the loader.
    NumberTooLarge,
    /// NaN or an infinity.
    NonFinite,
    /// A value of a type that the loader does not know.
    UnsupportedType,
    /// A NULL beside counters that are none: the loader would make 0 of it.
    NullCounter,
    /// A set or map within a value, of which the loader loses the order, so that it is another value.
    Unordered,
    /// A partition without rows, which the loader has no way to write.
    StaticOnly,
    /// Static counters, which the loader would add up once a row.
    StaticCounter,
    /// A key that has the text of another one.
    SameKey,
}

impl RefusalKind {
    /// The name of its counter.
    pub fn counter(self) -> &'static str {
        match self {
            Self::Invalid => "refusedInvalid",
            Self::LineEnd => "refusedLineEnd",
            Self::NullToken => "refusedNullToken",
            Self::Null => "refusedNull",
            Self::EmptyValue => "refusedEmptyValue",
            Self::OutOfRange => "refusedOutOfRange",
            Self::NumberTooLarge => "refusedNumberTooLarge",
            Self::NonFinite => "refusedNonFinite",
            Self::UnsupportedType => "refusedUnsupportedType",
            Self::NullCounter => "refusedNullCounter",
            Self::Unordered => "refusedUnordered",
            Self::StaticOnly => "refusedStaticOnly",
            Self::StaticCounter => "refusedStaticCounter",
            Self::SameKey => "refusedSameKey",
        }
    }
}

/// What the names of all counters of refused rows begin with.
pub const REFUSED: &str = "refused";

/// Why a row cannot be carried by the profile. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The output column at fault, if one is.
    pub column: Option<String>,
    /// What kind of value it was; none where the writer of a typed profile has counted it.
    pub kind: Option<RefusalKind>,
    /// Why, in words.
    pub cause: String,
    /// The row's key as `jsonl` writes it, where the profile is typed.
    pub key: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "key {key}: ")?;
        }
        match &self.column {
            Some(column) => write!(f, "column '{column}': {}", self.cause),
            None => f.write_str(&self.cause),
        }
    }
}
