//! What an agent says of itself while it works: the beat of its claim, and `status.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::error::{Error, Result};
use crate::output::manifest::write_json;
use crate::output::names::agent_file;
use crate::output::state::{Phase, Status, TablePhase, TableStatus};
use crate::progress::{Events, Quarantine, clock};
use crate::store::{Store, host_name};

/// Listens along, counts for `status.json`, and hands everything on.
pub(super) struct Tally<'a> {
    inner: &'a dyn Events,
    began: Instant,
    tables: Mutex<BTreeMap<String, TableTally>>,
}

#[derive(Debug, Default)]
struct TableTally {
    began: Option<Instant>,
    ended: Option<Instant>,
    splits: u64,
    done: u64,
    rows: u64,
    bytes_read: u64,
    bytes_written: u64,
    errors: u64,
}

impl<'a> Tally<'a> {
    pub(super) fn new(inner: &'a dyn Events) -> Self {
        Self { inner, began: Instant::now(), tables: Mutex::default() }
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, TableTally>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, table: &str, change: impl FnOnce(&mut TableTally)) {
        if let Some(known) = self.tables().get_mut(table) {
            change(known);
        }
    }

    /// What `status.json` says now.
    fn status(&self, agent: u32, phase: Phase, last_error: Option<String>) -> Status {
        let tables = self.tables();
        let statuses: Vec<TableStatus> =
            tables.iter().map(|(name, table)| table.status(name)).collect();
        let count = |state: TablePhase| statuses.iter().filter(|t| t.state == state).count() as u64;
        let sum = |of: fn(&TableTally) -> u64| tables.values().map(of).sum::<u64>();
        Status {
            agent,
            host: host_name(),
            phase,
            updated: clock::now().to_string(),
            elapsed_seconds: self.began.elapsed().as_secs(),
            percent: percent(sum(|t| t.done), sum(|t| t.splits)),
            tables_loaded: count(TablePhase::Completed),
            tables_loading: count(TablePhase::FullLoad),
            tables_queued: count(TablePhase::BeforeLoad),
            tables_errored: count(TablePhase::Error),
            rows: sum(|t| t.rows),
            bytes_read: sum(|t| t.bytes_read),
            bytes_written: sum(|t| t.bytes_written),
            lag_seconds: None,
            last_error,
            tables: statuses,
        }
    }
}

impl TableTally {
    fn status(&self, name: &str) -> TableStatus {
        let (keyspace, table) = name.split_once('.').unwrap_or(("", name));
        let state = match (self.errors, self.began, self.ended) {
            (1.., ..) => TablePhase::Error,
            (0, _, Some(_)) => TablePhase::Completed,
            (0, Some(_), None) => TablePhase::FullLoad,
            (0, None, None) => TablePhase::BeforeLoad,
        };
        let seconds = self.began.map_or(0, |began| {
            self.ended.map_or_else(|| began.elapsed(), |ended| ended - began).as_secs()
        });
        TableStatus {
            keyspace: keyspace.to_owned(),
            table: table.to_owned(),
            state,
            percent: percent(self.done, self.splits),
            rows: self.rows,
            elapsed_seconds: seconds,
            errors: self.errors,
        }
    }
}

/// Of splits, which are about equally large.
#[expect(clippy::cast_precision_loss, reason = "splits are below 2^52")]
fn percent(done: u64, all: u64) -> f64 {
    if all == 0 { 100.0 } else { (done as f64 / all as f64 * 1000.0).round() / 10.0 }
}

impl Events for Tally<'_> {
    fn table_planned(&self, table: &str, splits: u64, bytes: u64) {
        self.tables().entry(table.to_owned()).or_default().splits = splits;
        self.inner.table_planned(table, splits, bytes);
    }

    fn splits_resumed(&self, table: &str, splits: u64, rows: u64, bytes: u64) {
        self.with(table, |known| {
            known.began.get_or_insert_with(Instant::now);
            known.done += splits;
            known.rows += rows;
            known.end_if_done();
        });
        self.inner.splits_resumed(table, splits, rows, bytes);
    }

    fn split_started(&self, table: &str, split: u64) {
        self.with(table, |known| {
            known.began.get_or_insert_with(Instant::now);
        });
        self.inner.split_started(table, split);
    }

    fn bytes_read(&self, table: &str, bytes: u64) {
        self.with(table, |known| known.bytes_read += bytes);
        self.inner.bytes_read(table, bytes);
    }

    fn rows_written(&self, table: &str, rows: u64, bytes: u64) {
        self.with(table, |known| {
            known.rows += rows;
            known.bytes_written += bytes;
        });
        self.inner.rows_written(table, rows, bytes);
    }

    fn split_finished(&self, table: &str, split: u64) {
        self.with(table, |known| {
            known.done += 1;
            known.end_if_done();
        });
        self.inner.split_finished(table, split);
    }

    fn table_finished(&self, table: &str) {
        self.inner.table_finished(table);
    }

    fn table_failed(&self, table: &str, error: &Error) {
        self.with(table, |known| known.errors += 1);
        self.inner.table_failed(table, error);
    }

    fn quarantined(&self, what: &Quarantine) {
        self.inner.quarantined(what);
    }

    fn rows_refused(&self, table: &str, rows: u64) {
        self.inner.rows_refused(table, rows);
    }

    fn ready(&self) {
        self.inner.ready();
    }

    fn warning(&self, words: &str) {
        self.inner.warning(words);
    }

    fn file_warning(&self, file: &Path, words: &str) {
        self.inner.file_warning(file, words);
    }

    fn object_written(&self, location: &str) {
        self.inner.object_written(location);
    }
}

impl TableTally {
    fn end_if_done(&mut self) {
        if self.done >= self.splits {
            self.ended.get_or_insert_with(Instant::now);
        }
    }
}

/// Writes what [`Tally`] counted.
pub(super) fn write_status(
    store: &dyn Store,
    agent: u32,
    tally: &Tally<'_>,
    phase: Phase,
    last_error: Option<String>,
) -> Result<()> {
    let status = tally.status(agent, phase, last_error);
    store.put(&agent_file(agent, "status.json"), &write_json(&status)?).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoEvents;

    #[test]
    fn a_status_follows_the_events() {
        let tally = Tally::new(&NoEvents);
        tally.table_planned("ks.a", 4, 100);
        tally.table_planned("ks.b", 0, 0);
        tally.table_planned("ks.c", 1, 1);
        let state = |status: &Status| status.tables.iter().map(|t| t.state).collect::<Vec<_>>();
        let status = tally.status(7, Phase::Extracting, None);
        assert_eq!(state(&status), [TablePhase::BeforeLoad; 3]);
        tally.splits_resumed("ks.a", 2, 10, 0);
        tally.split_started("ks.a", 3);
        tally.rows_written("ks.a", 5, 50);
        tally.bytes_read("ks.a", 30);
        tally.split_finished("ks.a", 3);
        let status = tally.status(7, Phase::Extracting, None);
        assert_eq!((status.rows, status.bytes_read, status.bytes_written), (15, 30, 50));
        assert_eq!((status.percent, status.tables_loading, status.tables_queued), (60.0, 1, 2));
        tally.split_finished("ks.a", 4);
        tally.table_failed("ks.c", &Error::usage("x"));
        let status = tally.status(7, Phase::Failed, Some("x".into()));
        assert_eq!((status.tables_loaded, status.tables_errored), (1, 1));
        assert_eq!(status.last_error.as_deref(), Some("x"));
    }
}
