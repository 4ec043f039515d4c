//! [`RecordOptions`]: what the user asks of all tables, and what of it is about one.

use std::collections::{BTreeMap, BTreeSet};

use super::compression::Compression;
use super::dynamodb::{DdbKeys, DdbShape};
use super::options::{FormatOptions, JsonNumbers, MetadataMode, Profile};
use super::run::RunInfo;
use super::types::ColumnTypeOverride;
use crate::error::{Error, Result};
use crate::schema::TableMetadata;

/// How records look; profile names and the rest as the user gave them, checked against each table by
/// [`super::RecordFormat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordOptions {
    /// Who is to read the files.
    pub profile: Profile,
    /// Extra columns with write times and TTLs.
    pub metadata: MetadataMode,
    /// Print this write time (µs) in place of the original ones.
    pub writetime: Option<i64>,
    /// Name of a column with the epoch second after which the whole row is gone.
    pub expires_column: Option<String>,
    /// `[keyspace.][table.]column` to write; empty for all.
    pub include_columns: Vec<String>,
    /// `[keyspace.][table.]column` not to write.
    pub exclude_columns: Vec<String>,
    /// `[keyspace.][table.]column` to its new name.
    pub rename: BTreeMap<String, String>,
    /// `[keyspace.][table.]column` to the target's type.
    pub column_types: BTreeMap<String, String>,
    /// Decimal and varint as JSON numbers or strings.
    pub json_numbers: JsonNumbers,
    /// What items of `ddb-json` look like.
    pub ddb_shape: DdbShape,
    /// What their keys are made of.
    pub ddb_keys: DdbKeys,
    /// How files are compressed.
    pub compression: Compression,
}

/// Splits `[keyspace.][table.]column` and says whether it is about `table`; then the column.
fn column_of<'a>(name: &'a str, table: &TableMetadata) -> Option<&'a str> {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        [column] => Some(column),
        [of, column] if *of == table.name => Some(column),
        [keyspace, of, column] if *keyspace == table.keyspace && *of == table.name => Some(column),
        _ => None,
    }
}

fn has_column(table: &TableMetadata, name: &str) -> bool {
    table
        .partition_key
        .iter()
        .chain(&table.clustering)
        .chain(&table.statics)
        .chain(&table.regulars)
        .any(|column| column.name == name)
}

/// Names of `given` that are about a column of `table`, cut down to the column.
fn names_for<'a>(
    given: impl IntoIterator<Item = &'a String>,
    table: &TableMetadata,
) -> BTreeSet<String> {
    given
        .into_iter()
        .filter_map(|name| column_of(name, table))
        .filter(|column| has_column(table, column))
        .map(str::to_owned)
        .collect()
}

impl RecordOptions {
    /// The defaults of a profile.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            metadata: MetadataMode::None,
            writetime: None,
            expires_column: None,
            include_columns: Vec::new(),
            exclude_columns: Vec::new(),
            rename: BTreeMap::new(),
            column_types: BTreeMap::new(),
            json_numbers: JsonNumbers::Number,
            ddb_shape: DdbShape::default(),
            ddb_keys: DdbKeys::default(),
            compression: profile.compressions().first().copied().unwrap_or_default(),
        }
    }

    /// The options of the run that `run.json` tells of, for records of `profile` as they are before compression.
    pub fn of_run(run: &RunInfo, profile: Profile) -> Result<Self> {
        fn option<T: serde::de::DeserializeOwned + Default>(
            run: &RunInfo,
            name: &str,
        ) -> Result<T> {
            let Some(value) = run.options.get(name) else { return Ok(T::default()) };
            serde_json::from_value(value.clone()).map_err(|e| Error::Refused {
                what: format!("run.json: option {name} is not what cassport wrote there: {e}"),
                hint: None,
            })
        }
        let numbers: Option<String> = option(run, "jsonNumbers")?;
        Ok(Self {
            profile,
            metadata: match run.metadata.as_str() {
                "row" => MetadataMode::Row,
                "cell" => MetadataMode::Cell,
                _ => MetadataMode::None,
            },
            writetime: option(run, "writetime")?,
            expires_column: option(run, "expiresColumn")?,
            include_columns: option(run, "includeColumns")?,
            exclude_columns: option(run, "excludeColumns")?,
            rename: option(run, "rename")?,
            // Types belong to the profile that has them.
            column_types: if profile.has_column_types() {
                option(run, "columnTypes")?
            } else {
                BTreeMap::new()
            },
            json_numbers: match numbers.as_deref() {
                Some("text") => JsonNumbers::Text,
                _ => JsonNumbers::Number,
            },
            ddb_shape: match option::<Option<String>>(run, "ddbShape")? {
                Some(shape) => shape.parse()?,
                None => DdbShape::default(),
            },
            ddb_keys: match option::<Option<String>>(run, "ddbKeys")? {
                Some(keys) => keys.parse()?,
                None => DdbKeys::default(),
            },
            compression: Compression::None,
        })
    }

    /// True if `[keyspace.][table.]column` names a column of `table`.
    pub fn names_column_of(name: &str, table: &TableMetadata) -> bool {
        column_of(name, table).is_some_and(|column| has_column(table, column))
    }

    /// The options of one table, at the clock `now` (seconds).
    pub fn of_table(&self, table: &TableMetadata, now: i64) -> Result<FormatOptions> {
        let include = names_for(&self.include_columns, table);
        let mut column_types = BTreeMap::new();
        for (name, text) in &self.column_types {
            if let Some(column) = column_of(name, table).filter(|column| has_column(table, column))
            {
                column_types.insert(column.to_owned(), text.parse::<ColumnTypeOverride>()?);
            }
        }
        let rename = self
            .rename
            .iter()
            .filter_map(|(name, to)| Some((column_of(name, table)?.to_owned(), to.clone())))
            .filter(|(column, _)| has_column(table, column))
            .collect();
        Ok(FormatOptions {
            profile: self.profile,
            metadata: self.metadata,
            writetime: self.writetime,
            expires_column: self.expires_column.clone(),
            include: (!include.is_empty()).then_some(include),
            exclude: names_for(&self.exclude_columns, table),
            rename,
            column_types,
            json_numbers: self.json_numbers,
            compression: self.compression,
            null_token: None,
            operation: true,
            composite_keys: true,
            ddb_shape: self.ddb_shape,
            ddb_keys: self.ddb_keys,
            now,
        })
    }
}
