//! What a user says about a tail.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use crate::discover::InputOptions;
use crate::store::Location;
use crate::store::s3::S3Options;

/// How far into a segment that is being written a tail reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Up to what is on the disk for certain: the offset in `_cdc.idx`, one `commitlog_sync_period` behind.
    Synced,
    /// Up to the last sync marker, some 100 ms behind: a node that loses power may forget the last of it.
    Marked,
}

/// Whether the stored row behind the first touch of a key is shipped too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Yes.
    Auto,
    /// No: changes only.
    None,
}

/// What becomes of a segment in `cdc_raw` that is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    /// It stays; somebody else has to remove it before Cassandra refuses writes.
    Keep,
    /// Segment and index are deleted once the store has confirmed everything in them.
    Delete,
}

/// A run of `tail`.
#[derive(Debug, Clone)]
pub struct TailOptions {
    /// Data directories (schema, host, stored rows) and the tables to ship.
    pub input: InputOptions,
    /// `cdc_raw`.
    pub cdc_raw: Option<PathBuf>,
    /// The commit log itself.
    pub commitlog_dir: Option<PathBuf>,
    /// Where `archive_command` puts segments.
    pub archive: Option<PathBuf>,
    /// Incremental backups in the table folders.
    pub backups: bool,
    /// Where to ship to.
    pub output: Location,
    /// How S3 is reached.
    pub s3: S3Options,
    /// Where positions are kept; one tail at a time.
    pub state_dir: PathBuf,
    /// How far to read.
    pub follow: Follow,
    /// Stored rows behind first touches.
    pub base: Base,
    /// An object is shipped when its first record is this old.
    pub flush_interval: Duration,
    /// An object is shipped when its records have this many bytes.
    pub flush_size: u64,
    /// Ship what is there, then end.
    pub once: bool,
    /// What becomes of shipped segments.
    pub shipped: Shipped,
    /// The clock by which ties up to 3.11 are broken in stored rows: seconds; none for the time of the touch.
    pub now: Option<i64>,
    /// Memory for stored rows and for remembering which keys were touched.
    pub memory: u64,
    /// `cdc_total_space`, bytes; none to work it out as Cassandra does.
    pub cdc_total_space: Option<u64>,
    /// `commitlog_sync_period`: how long a write may be acknowledged before a segment shows it.
    pub sync_period: Duration,
    /// The host, where the data directories do not say it.
    pub host_id: Option<Uuid>,
    /// Keys of encrypted segments.
    pub keys: crate::commitlog::EncryptionKeys,
}
