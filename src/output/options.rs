//! What the user can ask of the output.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use super::compression::Compression;
use super::dynamodb::{DdbKeys, DdbShape};
use super::types::ColumnTypeOverride;
use crate::error::Error;

/// Who is to read the files (`--profile`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Profile {
    /// AWS DMS with S3 as a source.
    Dms,
    /// Plain CSV with a header, what DSBulk reads.
    Csv,
    /// JSON lines, the reference form.
    Jsonl,
    /// CSV that cqlsh's `COPY FROM` reads: collections as CQL literals.
    Cqlsh,
    /// CSV as DMS itself writes it to S3, for Spark, Glue, Athena and Redshift.
    Datalake,
    /// DynamoDB JSON, what DynamoDB's import from S3 reads.
    DdbJson,
    /// Parquet, what Spark, Athena, DuckDB and pyarrow read.
    Parquet,
}

impl Profile {
    /// Its name on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dms => "dms",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Cqlsh => "cqlsh",
            Self::Datalake => "datalake",
            Self::DdbJson => "ddb-json",
            Self::Parquet => "parquet",
        }
    }

    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Dms,
        Self::Csv,
        Self::Jsonl,
        Self::Cqlsh,
        Self::Datalake,
        Self::DdbJson,
        Self::Parquet,
    ];

    /// Bytes of memory that a worker takes for it, beside what every worker takes.
    pub fn memory_per_worker(self) -> u64 {
        match self {
            Self::Parquet => super::parquet::PER_WORKER,
            Self::Dms | Self::Csv | Self::Jsonl | Self::Cqlsh | Self::Datalake | Self::DdbJson => 0,
        }
    }

    /// True if its files hold typed values and no text of ours: digests are then those of the `jsonl` form.
    pub fn is_typed(self) -> bool {
        match self {
            Self::DdbJson | Self::Parquet => true,
            Self::Dms | Self::Csv | Self::Jsonl | Self::Cqlsh | Self::Datalake => false,
        }
    }

    /// The first line of its files of rows names the columns.
    pub fn has_header(self) -> bool {
        match self {
            Self::Csv | Self::Cqlsh | Self::Datalake => true,
            Self::Dms | Self::Jsonl | Self::DdbJson | Self::Parquet => false,
        }
    }

    /// It is read into CQL tables: no column of a key may be NULL.
    pub fn is_for_cql(self) -> bool {
        match self {
            Self::Csv | Self::Cqlsh => true,
            Self::Dms | Self::Jsonl | Self::Datalake | Self::DdbJson | Self::Parquet => false,
        }
    }

    /// Its columns have types of their own, which `--column-type` changes.
    pub fn has_column_types(self) -> bool {
        match self {
            Self::Dms | Self::Datalake | Self::DdbJson | Self::Parquet => true,
            Self::Csv | Self::Jsonl | Self::Cqlsh => false,
        }
    }

    /// Extension of its files, without a point and before that of a compression.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Dms | Self::Csv | Self::Cqlsh | Self::Datalake => "csv",
            Self::Jsonl => "jsonl",
            Self::DdbJson => "json",
            Self::Parquet => "parquet",
        }
    }

    /// How its files may be compressed; the first is the one that is taken unless another is asked for.
    pub fn compressions(self) -> &'static [Compression] {
        match self {
            // S3 as a source of DMS and COPY FROM of cqlsh have no setting for it.
            Self::Dms | Self::Cqlsh => &[Compression::None],
            Self::Datalake => &[Compression::None, Compression::Gzip],
            Self::Csv | Self::Jsonl | Self::DdbJson => {
                &[Compression::None, Compression::Gzip, Compression::Zstd]
            }
            // Of its pages.
            Self::Parquet => &[Compression::Zstd, Compression::Snappy, Compression::None],
        }
    }

    /// The compression of its files where the user asks for `asked`.
    pub fn compression(self, asked: Option<Compression>) -> Result<Compression, Error> {
        let allowed = self.compressions();
        match asked {
            None => Ok(allowed.first().copied().unwrap_or_default()),
            Some(asked) if allowed.contains(&asked) => Ok(asked),
            Some(asked) => {
                let names: Vec<&str> = allowed.iter().map(|one| one.as_str()).collect();
                Err(Error::Usage {
                    what: format!(
                        "--compression {}: files of profile {} cannot be compressed like that",
                        asked.as_str(),
                        self.as_str()
                    ),
                    hint: Some(format!("--compression {}", names.join(" or "))),
                })
            }
        }
    }
}

impl FromStr for Profile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wanted = if text == "dsbulk" { "csv" } else { text };
        Self::ALL.into_iter().find(|known| known.as_str() == wanted).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::Usage {
                what: format!("there is no profile '{text}'"),
                hint: Some(format!("one of {names} (csv is also dsbulk)")),
            }
        })
    }
}

/// Write times and TTLs beside the values (`--metadata`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetadataMode {
    /// None.
    #[default]
    None,
    /// One write time and one TTL a row.
    Row,
    /// Those of every column, and of the row marker.
    Cell,
}

impl MetadataMode {
    /// Its name on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Row => "row",
            Self::Cell => "cell",
        }
    }
}

/// How decimal and varint are written in JSON (`--json-numbers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum JsonNumbers {
    /// As numbers of any length.
    #[default]
    Number,
    /// As strings, for readers that would go through double.
    Text,
}

/// Options that decide the bytes of a table's records, names already cut down to this table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatOptions {
    /// Profile.
    pub profile: Profile,
    /// Write times and TTLs.
    pub metadata: MetadataMode,
    /// One write time (µs) to print in place of the original ones.
    pub writetime: Option<i64>,
    /// Name of a column with the epoch second at which the whole row is gone.
    pub expires_column: Option<String>,
    /// Columns to write beside the key; all if none.
    pub include: Option<BTreeSet<String>>,
    /// Columns to leave out.
    pub exclude: BTreeSet<String>,
    /// New names by old ones.
    pub rename: BTreeMap<String, String>,
    /// Types by columns (old names), for profiles that have types.
    pub column_types: BTreeMap<String, ColumnTypeOverride>,
    /// How `jsonl` and `datalake` write decimal and varint in JSON.
    pub json_numbers: JsonNumbers,
    /// How files are compressed.
    pub compression: Compression,
    /// What stands for NULL, in place of the profile's own token (nothing in `csv`, `\N` in the others that need one).
    pub null_token: Option<String>,
    /// Begin records with `Op` and `cp_ts` where the profile has them (`datalake`).
    pub operation: bool,
    /// Add composite keys as one text (`cp_pk`, `cp_sk`) where `dms` needs them.
    pub composite_keys: bool,
    /// What items of `ddb-json` look like.
    pub ddb_shape: DdbShape,
    /// What their keys are made of.
    pub ddb_keys: DdbKeys,
    /// The run's clock, seconds since 1970.
    pub now: i64,
}

impl FormatOptions {
    /// True if the values of this column, which is no key, are written.
    pub fn selects(&self, column: &str) -> bool {
        self.include.as_ref().is_none_or(|names| names.contains(column))
            && !self.exclude.contains(column)
    }

    /// The defaults of `profile` at the clock `now`.
    pub fn new(profile: Profile, now: i64) -> Self {
        Self {
            profile,
            metadata: MetadataMode::None,
            writetime: None,
            expires_column: None,
            include: None,
            exclude: BTreeSet::new(),
            rename: BTreeMap::new(),
            column_types: BTreeMap::new(),
            json_numbers: JsonNumbers::Number,
            compression: profile.compressions().first().copied().unwrap_or_default(),
            null_token: None,
            operation: true,
            composite_keys: true,
            ddb_shape: DdbShape::default(),
            ddb_keys: DdbKeys::default(),
            now,
        }
    }
}
