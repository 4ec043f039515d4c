//! What a writer saw: sizes per column for the side files, and the counters of the manifest.

use serde::Serialize;

use super::numbers::NumberSize;

/// What one output column held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnStats {
    /// Longest value in bytes of text, without quoting.
    pub max_bytes: u64,
    /// Most digits of a number in plain notation (decimal, varint).
    pub max_digits: u64,
    /// Most digits before the point.
    pub max_integer_digits: u64,
    /// Most digits behind the point.
    pub max_scale: u64,
    /// Values that are NaN or infinite, or contain such.
    pub non_finite: u64,
}

impl ColumnStats {
    /// Adds what another worker saw.
    pub fn merge(&mut self, other: &Self) {
        self.max_bytes = self.max_bytes.max(other.max_bytes);
        self.max_digits = self.max_digits.max(other.max_digits);
        self.max_integer_digits = self.max_integer_digits.max(other.max_integer_digits);
        self.max_scale = self.max_scale.max(other.max_scale);
        self.non_finite += other.non_finite;
    }
}

/// What had to be said about records that were written; names as in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct RecordCounters {
    /// Text equal to the NULL token (written in quotes).
    #[serde(rename = "textEqualToNullToken")]
    pub text_equal_to_null_token: u64,
    /// NaN and infinities.
    #[serde(rename = "nonFiniteNumbers")]
    pub non_finite_numbers: u64,
    /// Decimals and varints of more than 38 digits in plain notation.
    #[serde(rename = "numbersOver38Digits")]
    pub numbers_over_38_digits: u64,
    /// Records whose names and values exceed what a DynamoDB item may have.
    #[serde(rename = "itemsOver400KB")]
    pub items_over_400_kb: u64,
    /// `cp_pk` or `cp_sk` over their limits, ending in a hash.
    #[serde(rename = "keysShortened")]
    pub keys_shortened: u64,
    /// Rows of which some but not all expires, or not all at once.
    #[serde(rename = "rowsMixedTtl")]
    pub rows_mixed_ttl: u64,
    /// Floats that are -0.0 (`csv`: DSBulk makes 0.0 of them).
    #[serde(rename = "negativeZero")]
    pub negative_zero: u64,
    /// Values of no bytes of types other than text and blob, written as NULL.
    #[serde(rename = "emptyValues")]
    pub empty_values: u64,
    /// Sort keys that would be empty, written as `%00`.
    #[serde(rename = "emptySortKeys")]
    pub empty_sort_keys: u64,
}

impl RecordCounters {
    /// Adds what another worker counted.
    pub fn merge(&mut self, other: &Self) {
        self.text_equal_to_null_token += other.text_equal_to_null_token;
        self.non_finite_numbers += other.non_finite_numbers;
        self.numbers_over_38_digits += other.numbers_over_38_digits;
        self.items_over_400_kb += other.items_over_400_kb;
        self.keys_shortened += other.keys_shortened;
        self.rows_mixed_ttl += other.rows_mixed_ttl;
        self.negative_zero += other.negative_zero;
        self.empty_values += other.empty_values;
        self.empty_sort_keys += other.empty_sort_keys;
    }
}

/// What typed profiles count besides, each by the name that the manifest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Values of no bytes of types other than text and blob, which are absent.
    EmptyValues,
    /// Numbers that DynamoDB's do not hold (38 digits, 1E-130 to 9.99E+125, no NaN), written as text.
    NumbersAsText,
    /// Sets with members that no set of DynamoDB can have beside each other, written as lists.
    SetsAsLists,
    /// Sets without members, which are absent.
    EmptySets,
    /// Maps with an empty key, and what is nested too deep, written as JSON text.
    ValuesAsJsonText,
    /// Sort keys that would be empty, written as `%00`.
    EmptySortKeys,
    /// Rows refused: the key is empty.
    RefusedEmptyKeys,
    /// Rows refused: the key is longer than DynamoDB takes.
    RefusedLongKeys,
    /// Rows refused: a number that the target's type does not hold.
    RefusedNumbers,
    /// Rows refused: the item is larger than 400 KB.
    RefusedLargeItems,
    /// Rows refused: a timestamp that readers do not take.
    RefusedTimestamps,
    /// Rows refused: text or bytes that are no value of their type.
    RefusedBadValues,
}

impl Count {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::EmptyValues,
        Self::NumbersAsText,
        Self::SetsAsLists,
        Self::EmptySets,
        Self::ValuesAsJsonText,
        Self::EmptySortKeys,
        Self::RefusedEmptyKeys,
        Self::RefusedLongKeys,
        Self::RefusedNumbers,
        Self::RefusedLargeItems,
        Self::RefusedTimestamps,
        Self::RefusedBadValues,
    ];

    /// Its name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmptyValues => "emptyValues",
            Self::NumbersAsText => "numbersAsText",
            Self::SetsAsLists => "setsAsLists",
            Self::EmptySets => "emptySets",
            Self::ValuesAsJsonText => "valuesAsJsonText",
            Self::EmptySortKeys => "emptySortKeys",
            Self::RefusedEmptyKeys => "refusedEmptyKeys",
            Self::RefusedLongKeys => "refusedLongKeys",
            Self::RefusedNumbers => "refusedNumbers",
            Self::RefusedLargeItems => "refusedLargeItems",
            Self::RefusedTimestamps => "refusedTimestamps",
            Self::RefusedBadValues => "refusedBadValues",
        }
    }
}

/// A number for each [`Count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; Count::ALL.len()]);

impl Counts {
    /// Adds one.
    pub fn add(&mut self, count: Count) {
        self.add_many(count, 1);
    }

    /// Adds `many`.
    pub fn add_many(&mut self, count: Count, many: u64) {
        if let Some(place) = self.0.get_mut(count as usize) {
            *place += many;
        }
    }

    /// How many were counted.
    pub fn of(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or_default()
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours += theirs);
    }

    /// Those that are not zero, with their names.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Count::ALL.iter().zip(self.0).filter(|(_, n)| *n > 0).map(|(count, n)| (count.name(), n))
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordStats {
    /// By output column, as [`super::RecordFormat::columns`].
    pub columns: Vec<ColumnStats>,
    /// Counters.
    pub counters: RecordCounters,
    /// What a typed profile counted besides.
    pub counts: Counts,
}

impl RecordStats {
    /// Adds what another worker saw of the same table.
    pub fn merge(&mut self, other: &Self) {
        if self.columns.len() < other.columns.len() {
            self.columns.resize(other.columns.len(), ColumnStats::default());
        }
        for (ours, theirs) in self.columns.iter_mut().zip(&other.columns) {
            ours.merge(theirs);
        }
        self.counters.merge(&other.counters);
        self.counts.merge(&other.counts);
    }
}

/// What the values of one field had to tell; nothing for most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes {
    /// Anything below is set.
    pub(super) any: bool,
    /// Number seen: the largest of each part.
    pub(super) number: Option<NumberSize>,
    pub(super) counters: RecordCounters,
}

impl Notes {
    #[cold]
    pub(super) fn non_finite(&mut self) {
        self.any = true;
        self.counters.non_finite_numbers += 1;
    }

    #[cold]
    pub(super) fn negative_zero(&mut self) {
        self.any = true;
        self.counters.negative_zero += 1;
    }

    #[cold]
    pub(super) fn empty_value(&mut self) {
        self.any = true;
        self.counters.empty_values += 1;
    }

    #[cold]
    pub(super) fn null_token(&mut self) {
        self.any = true;
        self.counters.text_equal_to_null_token += 1;
    }

    pub(super) fn number(&mut self, size: NumberSize) {
        self.any = true;
        if size.digits() > super::types::MAX_PRECISION {
            self.counters.numbers_over_38_digits += 1;
        }
        let seen = self.number.get_or_insert_default();
        seen.integer_digits = seen.integer_digits.max(size.integer_digits);
        seen.scale = seen.scale.max(size.scale);
    }
}
