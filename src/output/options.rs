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
            Self::DdbJson => "ddb-json",
            Self::Parquet => "parquet",
        }
    }

    /// Bytes of memory that a worker takes for it, beside what every worker takes.
    pub fn memory_per_worker(self) -> u64 {
        match self {
            Self::Parquet => super::parquet::PER_WORKER,
            Self::Dms | Self::Csv | Self::Jsonl | Self::DdbJson => 0,
        }
    }

    /// True if its files hold typed values and no text of ours: digests are then those of the `jsonl` form.
    pub fn is_typed(self) -> bool {
        match self {
            Self::DdbJson | Self::Parquet => true,
            Self::Dms | Self::Csv | Self::Jsonl => false,
        }
    }

    /// Extension of its files, without a point and before that of a compression.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Dms | Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::DdbJson => "json",
            Self::Parquet => "parquet",
        }
    }

    /// How its files may be compressed; the first is the one that is taken unless another is asked for.
    pub fn compressions(self) -> &'static [Compression] {
        match self {
            // S3 as a source of DMS has no setting for it.
            Self::Dms => &[Compression::None],
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
        match text {
            "dms" => Ok(Self::Dms),
            "csv" | "dsbulk" => Ok(Self::Csv),
            "jsonl" => Ok(Self::Jsonl),
            "ddb-json" => Ok(Self::DdbJson),
            "parquet" => Ok(Self::Parquet),
            other => Err(Error::Usage {
                what: format!("there is no profile '{other}'"),
                hint: Some("one of dms, csv (also dsbulk), jsonl, ddb-json, parquet".into()),
            }),
        }
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

/// How `jsonl` writes decimal and varint (`--json-numbers`).
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
    /// How `jsonl` writes decimal and varint.
    pub json_numbers: JsonNumbers,
    /// How files are compressed.
    pub compression: Compression,
    /// What stands for NULL, in place of the profile's own token (`\N` in `dms`, nothing in `csv`).
    pub null_token: Option<String>,
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
            composite_keys: true,
            ddb_shape: DdbShape::default(),
            ddb_keys: DdbKeys::default(),
            now,
        }
    }
}
