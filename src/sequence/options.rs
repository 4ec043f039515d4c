//! What a sequencer is told, validated: `cli` makes it, the job sees nothing else.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::merge::TieBreak;
use crate::output::Profile;
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::store::Location;
use crate::store::s3::S3Options;

/// Who is to read the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SequenceProfile {
    /// Change files for AWS DMS with S3 as a source: `dms-contract.md` 3.7.
    Dms,
    /// Change files as DMS itself writes them to S3, with a header: `dms-contract.md` 4.
    Datalake,
    /// One JSON object per row.
    Jsonl,
    /// One write request of DynamoDB per row: `{"Put":{"TableName":…,"Item":…}}` or `{"Delete":{"TableName":…,"Key":…}}`, as
    /// `TransactWriteItems` has them.
    #[serde(rename = "ddb-json")]
    DdbJson,
}

impl SequenceProfile {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dms => "dms",
            Self::Datalake => "datalake",
            Self::Jsonl => "jsonl",
            Self::DdbJson => "ddb-json",
        }
    }

    /// What its rows are written with.
    pub(super) fn of_records(self) -> Profile {
        match self {
            Self::Dms => Profile::Dms,
            Self::Datalake => Profile::Datalake,
            Self::Jsonl => Profile::Jsonl,
            Self::DdbJson => Profile::DdbJson,
        }
    }
}

impl FromStr for SequenceProfile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "dms" => Ok(Self::Dms),
            "datalake" => Ok(Self::Datalake),
            "jsonl" => Ok(Self::Jsonl),
            "ddb-json" => Ok(Self::DdbJson),
            other => Err(Error::Usage {
                what: format!("changes cannot be written for profile {other}"),
                hint: Some("--profile dms, datalake, jsonl or ddb-json".to_owned()),
            }),
        }
    }
}

/// A run of `sequence`.
#[derive(Debug, Clone)]
pub struct SequenceOptions {
    /// Where the change records are, and where the rows go.
    pub output: Location,
    /// How a bucket is reached, where the output is one.
    pub s3: S3Options,
    /// The profile; none for that of the extract.
    pub profile: Option<SequenceProfile>,
    /// What items look like; none for what those of the extract do.
    pub ddb_shape: Option<DdbShape>,
    /// What their keys are made of, likewise.
    pub ddb_keys: Option<DdbKeys>,
    /// Folder of the change files of all profiles but `datalake` in the output.
    pub cdc_path: String,
    /// Where the touched rows are kept, on a local disk.
    pub state_dir: PathBuf,
    /// Time between two looks for new changes, which is how long they wait for others to share a file with.
    pub flush_interval: Duration,
    /// Bytes after which a file ends.
    pub flush_size: u64,
    /// Write before the extract is sealed.
    pub release: bool,
    /// Do what there is to do and end.
    pub once: bool,
    /// The clock (seconds since 1970) that decides what has expired; none for the machine's.
    pub now: Option<i64>,
    /// The rule for cells of one write time; none for that of the release that the extract's manifests name.
    pub tie_break: Option<TieBreak>,
    /// How often the claim is renewed.
    pub heartbeat: Duration,
    /// Bytes of memory that may be allocated.
    pub memory: u64,
}
