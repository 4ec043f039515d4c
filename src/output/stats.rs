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

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordStats {
    /// By output column, as [`super::RecordFormat::columns`].
    pub columns: Vec<ColumnStats>,
    /// Counters.
    pub counters: RecordCounters,
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
