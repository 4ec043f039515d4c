//! What a run is told, validated: `cli` makes it, the job sees nothing else.

use std::time::Duration;

use super::overlay::CommitLogOptions;
use super::share::ShareOptions;
use crate::discover::InputOptions;
use crate::output::RecordOptions;
use crate::store::Location;
use crate::store::s3::S3Options;

/// What to do when an input is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnCorrupt {
    /// Stop with exit code 3.
    #[default]
    Fail,
    /// Leave out the damaged token ranges, list them, go on, exit with 1.
    Skip,
}

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputTarget {
    /// A directory or a bucket.
    Store(Location),
    /// Standard output; one table.
    Stdout,
    /// Nowhere: everything is done but writing. For measuring.
    Discard,
}

/// A run of `extract`.
#[derive(Debug, Clone)]
pub struct ExtractOptions {
    /// What to read.
    pub input: InputOptions,
    /// Mutations that were never flushed.
    pub commit_log: CommitLogOptions,
    /// Where to write.
    pub output: OutputTarget,
    /// How a bucket is reached and written, where the output is one.
    pub s3: S3Options,
    /// Which part of it.
    pub share: ShareOptions,
    /// How records look.
    pub records: RecordOptions,
    /// Write what is deleted too, as change records.
    pub deletes: bool,
    /// The clock: seconds since 1970. Decides what has expired.
    pub now: i64,
    /// The user said `--now`; else the clock of an output that is continued is kept.
    pub now_given: bool,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Bytes of memory that this program may allocate.
    pub memory: u64,
    /// Bytes of uncompressed source data in a split, about.
    pub file_size: u64,
    /// Bytes of Data.db that may be read in a second.
    pub read_rate: Option<u64>,
    /// What to do with damage.
    pub on_corrupt: OnCorrupt,
    /// How often an agent says that it lives and how far it is.
    pub heartbeat: Duration,
    /// Start afresh over an existing output of this agent.
    pub overwrite: bool,
}
