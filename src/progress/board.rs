//! What a job tells, gathered for whoever looks from outside while it runs.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::clock;
use super::events::Events;
use super::report::Quarantine;
use super::standing::{
    CdcSpace, MemoryUse, Message, SequencerStanding, Snapshot, StreamStanding, TableStanding, lag,
};
use super::vitals;
use crate::error::Error;

/// Messages that are kept.
const MESSAGES: usize = 50;
/// Bytes of one message.
const WORDS: usize = 2000;
/// Work that has not moved for so long will not move any more: no single step takes that long, and requests to S3, which may
/// be tried for ten minutes, give signs while they are tried.
const STALLED: Duration = Duration::from_secs(300);
/// Attempts that fail one after the other before the store counts as out of reach.
const OUT_OF_REACH: u32 = 4;

/// Listens along, keeps what it heard, and hands everything on.
pub struct Board {
    inner: Arc<dyn Events>,
    began: Instant,
    ready: AtomicBool,
    heard: Mutex<Heard>,
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Heard {
    command: &'static str,
    host: String,
    output: String,
    memory: Option<u64>,
    tables: BTreeMap<String, Table>,
    streams: BTreeMap<String, StreamStanding>,
    cdc_space: Option<CdcSpace>,
    sequencer: Option<SequencerStanding>,
    warnings: u64,
    errors: u64,
    messages: VecDeque<Message>,
}

#[derive(Debug, Default)]
struct Table {
    standing: TableStanding,
    /// Bytes of splits of a former run, about.
    bytes_resumed: u64,
    began: Option<Instant>,
    ended: Option<Instant>,
}

impl Board {
    /// A board that hands everything on to `inner`.
    pub fn new(inner: Arc<dyn Events>) -> Self {
        Self { inner, began: Instant::now(), ready: AtomicBool::default(), heard: Mutex::default() }
    }

    /// Notes what the job is: the command, the machine, where its output is, and what memory it may use.
    pub fn introduce(&self, command: &'static str, host: String, output: String, memory: u64) {
        let mut heard = self.heard();
        (heard.command, heard.host, heard.output) = (command, host, output);
        heard.memory = Some(memory);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Numbers for people: after a panic elsewhere they are as good as they were.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, table: &str, change: impl FnOnce(&mut Table)) {
        if let Some(known) = self.heard().tables.get_mut(table) {
            change(known);
        }
    }

    /// True once the job has all it needs to work.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// What is wrong with the process, so that it had better be started anew; none if its work goes on, or none is to do.
    pub fn unhealthy(&self) -> Option<String> {
        let (role, silent) = vitals::silence()?;
        stalled(role, silent)
    }

    /// What keeps the job from working, in words.
    pub fn not_ready(&self) -> Option<String> {
        if !self.is_ready() {
            return Some(match self.heard().command {
                "extract" => "the plan is not made yet".to_owned(),
                _ => "what is needed to begin has not been read yet".to_owned(),
            });
        }
        let failing = vitals::traffic().read().failing;
        (failing >= OUT_OF_REACH)
            .then(|| format!("S3 is out of reach: the last {failing} attempts failed"))
    }

    /// Everything that is known now.
    pub fn snapshot(&self) -> Snapshot {
        let now = clock::now();
        let (unhealthy, not_ready) = (self.unhealthy(), self.not_ready());
        let heard = self.heard();
        let mut streams: Vec<StreamStanding> = heard.streams.values().cloned().collect();
        for stream in &mut streams {
            stream.lag_seconds = lag(stream.shipped_until_millis, now);
        }
        let mut sequencer = heard.sequencer.clone();
        if let Some(sequencer) = &mut sequencer {
            sequencer.lag_seconds = lag(sequencer.written_until_millis, now);
        }
        let memory = heard
            .memory
            .and_then(|bytes_budget| Some(MemoryUse { bytes_used: allocated()?, bytes_budget }));
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: heard.command.to_owned(),
            host: heard.host.clone(),
            output: heard.output.clone(),
            updated: now.to_string(),
            elapsed_seconds: self.began.elapsed().as_secs_f64(),
            unhealthy,
            not_ready,
            silent_seconds: vitals::silence().map(|(_, silent)| silent.as_secs_f64()),
            tables: heard.tables.values().map(Table::standing).collect(),
            seconds_left: seconds_left(heard.tables.values()),
            streams,
            cdc_space: heard.cdc_space,
            sequencer,
            agents: Vec::new(),
            memory,
            warnings: heard.warnings,
            errors: heard.errors,
            messages: heard.messages.iter().rev().cloned().collect(),
        }
    }

    /// How far the job is, in one line: for `systemctl status`.
    pub fn line(&self) -> String {
        let found = self.snapshot();
        if let Some(words) = found.unhealthy.or(found.not_ready) {
            return words;
        }
        let mut parts = Vec::new();
        if !found.tables.is_empty() {
            let done = found.tables.iter().filter(|table| table.percent >= 100.0).count();
            let rows: u64 = found.tables.iter().map(|table| table.rows).sum();
            let left = found.seconds_left.map_or_else(String::new, |s| format!(", {s} s left"));
            parts.push(format!("{done} of {} tables, {rows} rows{left}", found.tables.len()));
        }
        for stream in &found.streams {
            let lag = match stream.lag_seconds {
                Some(lag) => format!("{lag:.1} s behind"),
                None => "lag unknown".to_owned(),
            };
            let lost = if stream.lost > 0 {
                format!(", {} ranges lost", stream.lost)
            } else {
                String::new()
            };
            parts.push(format!("{} records shipped, {lag}{lost}", stream.records));
        }
        if let Some(sequencer) = &found.sequencer {
            parts.push(if sequencer.held_back {
                "held back until the extract is sealed".to_owned()
            } else {
                format!("{} rows sequenced, {} files", sequencer.rows, sequencer.files)
            });
        }
        parts.join("; ")
    }

    fn note(&self, words: &str, error: bool) {
        let mut heard = self.heard();
        if error {
            heard.errors += 1;
        } else {
            heard.warnings += 1;
        }
        if heard.messages.len() >= MESSAGES {
            heard.messages.pop_front();
        }
        let end = (0..=words.len().min(WORDS)).rev().find(|&end| words.is_char_boundary(end));
        let words = words.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        heard.messages.push_back(Message { time: clock::now().to_string(), error, words });
    }
}

impl Table {
    fn standing(&self) -> TableStanding {
        let known = &self.standing;
        let state = match (known.errors, self.began, self.ended) {
            (1.., ..) => "Table error",
            (0, _, Some(_)) => "Table completed",
            (0, Some(_), None) => "Full load",
            (0, None, None) => "Before load",
        };
        let elapsed = self.began.map_or(Duration::ZERO, |began| {
            self.ended.map_or_else(|| began.elapsed(), |ended| ended - began)
        });
        let percent = match (self.ended, known.bytes_planned) {
            (Some(_), _) => 100.0,
            (None, 0) => 0.0,
            // The plan is an estimate: what is not done is not complete.
            (None, planned) => (percent(self.bytes_done(), planned)).min(99.9),
        };
        TableStanding {
            state: state.to_owned(),
            percent,
            elapsed_seconds: elapsed.as_secs_f64(),
            ..known.clone()
        }
    }

    fn bytes_done(&self) -> u64 {
        self.standing.bytes_read.saturating_add(self.bytes_resumed)
    }

    fn end_if_done(&mut self) {
        if self.standing.splits_done >= self.standing.splits {
            self.ended.get_or_insert_with(Instant::now);
        }
    }
}

fn stalled(role: vitals::Role, silent: Duration) -> Option<String> {
    (silent >= STALLED)
        .then(|| format!("the work of {} has not moved for {} s", role.as_str(), silent.as_secs()))
}

#[expect(clippy::cast_precision_loss, reason = "a part of a percent")]
fn percent(done: u64, all: u64) -> f64 {
    (done as f64 / all.max(1) as f64 * 1000.0).round() / 10.0
}

/// At the pace of this process so far; none before anything was read, or when nothing is left.
fn seconds_left<'a>(tables: impl Iterator<Item = &'a Table> + Clone) -> Option<u64> {
    let began = tables.clone().filter_map(|table| table.began).min()?;
    let read: u64 = tables.clone().map(|table| table.standing.bytes_read).sum();
    let left = tables.filter(|table| table.ended.is_none());
    let left: u64 =
        left.map(|table| table.standing.bytes_planned.saturating_sub(table.bytes_done())).sum();
    let millis = u128::from(left) * began.elapsed().as_millis();
    let seconds = millis.checked_div(u128::from(read))?.div_ceil(1000);
    (left > 0).then(|| u64::try_from(seconds).unwrap_or(u64::MAX))
}

/// Memory that the process has allocated and touched, without the page cache of mapped files (Linux's `RssAnon`).
fn allocated() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

impl Events for Board {
    fn table_planned(&self, table: &str, splits: u64, bytes: u64) {
        let (keyspace, name) = table.split_once('.').unwrap_or(("", table));
        let mut heard = self.heard();
        let known = heard.tables.entry(table.to_owned()).or_default();
        known.standing.keyspace = keyspace.to_owned();
        known.standing.table = name.to_owned();
        known.standing.splits = splits;
        known.standing.bytes_planned = bytes;
        // A table without data is done when the plan is.
        if splits == 0 {
            known.end_if_done();
        }
        drop(heard);
        self.inner.table_planned(table, splits, bytes);
    }

    fn splits_resumed(&self, table: &str, splits: u64, rows: u64, bytes: u64) {
        self.with(table, |known| {
            known.began.get_or_insert_with(Instant::now);
            let (planned, all) = (known.standing.bytes_planned, known.standing.splits);
            // Splits are about equally large.
            let part = u128::from(planned) * u128::from(splits) / u128::from(all.max(1));
            known.bytes_resumed = u64::try_from(part).unwrap_or(u64::MAX);
            known.standing.splits_done += splits;
            known.standing.rows += rows;
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
        self.with(table, |known| known.standing.bytes_read += bytes);
        self.inner.bytes_read(table, bytes);
    }

    fn rows_written(&self, table: &str, rows: u64, bytes: u64) {
        self.with(table, |known| {
            known.standing.rows += rows;
            known.standing.bytes_written += bytes;
        });
        self.inner.rows_written(table, rows, bytes);
    }

    fn split_finished(&self, table: &str, split: u64) {
        self.with(table, |known| {
            known.standing.splits_done += 1;
            known.end_if_done();
        });
        self.inner.split_finished(table, split);
    }

    fn table_finished(&self, table: &str) {
        self.inner.table_finished(table);
    }

    fn table_failed(&self, table: &str, error: &Error) {
        self.with(table, |known| known.standing.errors += 1);
        self.note(&format!("{table}: {error}"), true);
        self.inner.table_failed(table, error);
    }

    fn quarantined(&self, what: &Quarantine) {
        if what.file.is_some() {
            self.with(&what.table, |known| known.standing.damages += 1);
        }
        self.note(&format!("{}: skipped: {}", what.table, what.cause), true);
        self.inner.quarantined(what);
    }

    fn rows_refused(&self, table: &str, rows: u64) {
        self.with(table, |known| known.standing.rows_refused += rows);
        self.inner.rows_refused(table, rows);
    }

    fn warning(&self, words: &str) {
        self.note(words, false);
        self.inner.warning(words);
    }

    fn file_warning(&self, file: &Path, words: &str) {
        self.note(&format!("{}: {words}", file.display()), false);
        self.inner.file_warning(file, words);
    }

    fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
        self.inner.ready();
    }

    fn stream(&self, standing: &StreamStanding) {
        {
            let mut heard = self.heard();
            match heard.streams.get_mut(&standing.host_id) {
                Some(known) => known.clone_from(standing),
                None => drop(heard.streams.insert(standing.host_id.clone(), standing.clone())),
            }
        }
        self.inner.stream(standing);
    }

    fn cdc_space(&self, used: u64, limit: u64) {
        self.heard().cdc_space = Some(CdcSpace { bytes_used: used, bytes_limit: limit });
        self.inner.cdc_space(used, limit);
    }

    fn sequencer(&self, standing: &SequencerStanding) {
        {
            let mut heard = self.heard();
            // Between two looks at the watermarks what is known of them stays true.
            let until = heard.sequencer.as_ref().and_then(|known| known.written_until_millis);
            let mut standing = standing.clone();
            standing.written_until_millis = standing.written_until_millis.or(until);
            heard.sequencer = Some(standing);
        }
        self.inner.sequencer(standing);
    }

    fn object_written(&self, location: &str) {
        self.inner.object_written(location);
    }
}

#[cfg(test)]
mod tests {
    use super::super::events::NoEvents;
    use super::*;

    fn board() -> Board {
        let board = Board::new(Arc::new(NoEvents));
        board.introduce("extract", "here".into(), "/out".into(), 1 << 30);
        board
    }

    #[test]
    fn tables_are_followed_by_their_bytes() {
        let board = board();
        board.table_planned("ks.a", 4, 400);
        board.table_planned("ks.b", 0, 0);
        board.splits_resumed("ks.a", 1, 10, 0);
        board.split_started("ks.a", 2);
        board.bytes_read("ks.a", 100);
        board.rows_written("ks.a", 5, 50);
        board.rows_refused("ks.a", 2);
        std::thread::sleep(Duration::from_millis(2));
        let found = board.snapshot();
        let [a, b] = found.tables.as_slice() else { panic!("{found:?}") };
        assert_eq!((a.percent, a.state.as_str(), a.rows), (50.0, "Full load", 15));
        assert_eq!((a.splits_done, a.rows_refused, a.bytes_written), (1, 2, 50));
        assert_eq!((b.percent, b.state.as_str()), (100.0, "Table completed"));
        assert!(found.seconds_left.is_some(), "{found:?}");
        board.bytes_read("ks.a", 1000);
        assert_eq!(board.snapshot().tables[0].percent, 99.9, "more read than was planned");
        for split in 2..5 {
            board.split_finished("ks.a", split);
        }
        let found = board.snapshot();
        assert_eq!((found.tables[0].percent, found.seconds_left), (100.0, None));
        board.ready();
        assert_eq!(board.line(), "2 of 2 tables, 15 rows");
    }

    #[test]
    fn a_lag_grows_while_nothing_is_heard() {
        let board = board();
        let until = clock::now().0 - 5_000;
        board.stream(&StreamStanding {
            host_id: "h".into(),
            shipped_until_millis: Some(until),
            ..StreamStanding::default()
        });
        let first = board.snapshot().streams[0].lag_seconds.unwrap();
        assert!((5.0..60.0).contains(&first), "{first}");
        std::thread::sleep(Duration::from_millis(20));
        assert!(board.snapshot().streams[0].lag_seconds.unwrap() > first);
        board.sequencer(&SequencerStanding {
            written_until_millis: Some(until),
            ..SequencerStanding::default()
        });
        board.sequencer(&SequencerStanding { rows: 7, ..SequencerStanding::default() });
        let found = board.snapshot().sequencer.unwrap();
        assert_eq!((found.rows, found.written_until_millis), (7, Some(until)));
    }

    #[test]
    fn the_last_messages_are_kept_and_long_ones_cut() {
        let board = board();
        for number in 0..MESSAGES + 3 {
            board.warning(&format!("{number}"));
        }
        board.table_failed("ks.a", &Error::usage("ä".repeat(WORDS)));
        let found = board.snapshot();
        assert_eq!((found.messages.len(), found.warnings, found.errors), (MESSAGES, 53, 1));
        assert!(found.messages[0].error && found.messages[0].words.len() <= WORDS);
        assert_eq!(found.messages[1].words, "52");
    }

    #[test]
    fn work_that_stands_still_is_called_so() {
        assert_eq!(stalled(vitals::Role::Tail, STALLED - Duration::from_millis(1)), None);
        let words = stalled(vitals::Role::Tail, STALLED).unwrap();
        assert_eq!(words, "the work of tail has not moved for 300 s");
    }

    #[test]
    fn it_is_ready_when_the_job_says_so() {
        let board = board();
        assert_eq!(board.not_ready().as_deref(), Some("the plan is not made yet"));
        assert_eq!(board.line(), "the plan is not made yet");
        board.ready();
        assert_eq!(board.not_ready(), None);
        assert!(board.snapshot().memory.is_some_and(|memory| memory.bytes_used > 100_000));
    }
}
