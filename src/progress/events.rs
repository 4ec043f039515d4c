//! What a run tells while it goes on.

use std::path::Path;

use super::report::Quarantine;
use super::standing::{SequencerStanding, StreamStanding};

/// One method per event; the command line draws progress from them, tests wait for them. All do nothing by default.
///
/// Tables are named `keyspace.table`. Methods are called from workers, several at once, and must not block.
pub trait Events: Send + Sync {
    /// A table was planned: splits to do (those of a resumed run not counted) and their bytes, uncompressed.
    fn table_planned(&self, table: &str, splits: u64, bytes: u64) {
        let _ = (table, splits, bytes);
    }

    /// Splits that a former run of the same command finished are not done again.
    fn splits_resumed(&self, table: &str, splits: u64, rows: u64, bytes: u64) {
        let _ = (table, splits, rows, bytes);
    }

    /// A worker took a split.
    fn split_started(&self, table: &str, split: u64) {
        let _ = (table, split);
    }

    /// Uncompressed bytes were read: called every few MB, not per row.
    fn bytes_read(&self, table: &str, bytes: u64) {
        let _ = (table, bytes);
    }

    /// Rows and bytes were written: called with the same rhythm.
    fn rows_written(&self, table: &str, rows: u64, bytes: u64) {
        let _ = (table, rows, bytes);
    }

    /// A split is done and its object, if it has one, is there.
    fn split_finished(&self, table: &str, split: u64) {
        let _ = (table, split);
    }

    /// All splits of a table are done.
    fn table_finished(&self, table: &str) {
        let _ = table;
    }

    /// A table failed; the run stops or goes on without it.
    fn table_failed(&self, table: &str, error: &crate::error::Error) {
        let _ = (table, error);
    }

    /// Something was skipped; it is in the report too.
    fn quarantined(&self, what: &Quarantine) {
        let _ = what;
    }

    /// Something that the user should know; whole sentences, what to do included.
    fn warning(&self, words: &str) {
        let _ = words;
    }

    /// A damaged or odd file that does not stop the run.
    fn file_warning(&self, file: &Path, words: &str) {
        let _ = (file, words);
    }

    /// Rows of a table cannot be written in this profile; the first of them come by [`Events::quarantined()`] too.
    fn rows_refused(&self, table: &str, rows: u64) {
        let _ = (table, rows);
    }

    /// What the job needs is there: its plan is made, or its position read, and the store has answered.
    fn ready(&self) {}

    /// Where a tail stands; said in each of its rounds.
    fn stream(&self, standing: &StreamStanding) {
        let _ = standing;
    }

    /// What `cdc_raw` takes, and from where on Cassandra refuses writes, in bytes.
    fn cdc_space(&self, used: u64, limit: u64) {
        let _ = (used, limit);
    }

    /// Where the sequencer stands.
    fn sequencer(&self, standing: &SequencerStanding) {
        let _ = standing;
    }

    /// An object of the run's own (manifest, report, side file) was written.
    fn object_written(&self, location: &str) {
        let _ = location;
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl Events for NoEvents {}
