//! Progress of a run: bars on a terminal, a line per interval otherwise.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::logging::PROGRESS;
use super::screen::Screen;
use super::units::{human_bytes, human_count};
use crate::error::Error;
use crate::progress::{Events, Quarantine};

const BAR: &str = "{prefix:<28} {bar:24} {percent:>3}%  {msg}  {decimal_bytes_per_sec}  {eta} left";

/// A table that took so long gets a line when it is done; the others are in the last words of the run.
const WORTH_A_LINE: Duration = Duration::from_secs(10);

/// Draws what [`Events`] tell.
#[derive(Debug)]
pub(super) struct Progress {
    screen: Screen,
    quiet: bool,
    interval: Duration,
    state: Arc<Mutex<State>>,
    ticker: Mutex<Option<Ticker>>,
    /// Whether the user knows that something is skipped.
    skipping: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, Table>,
    started: Option<Instant>,
    /// Bytes read and when, at the last line.
    last: Option<(u64, Instant)>,
}

#[derive(Debug, Default)]
struct Table {
    bytes_planned: u64,
    bytes_read: u64,
    rows: u64,
    bytes_written: u64,
    splits_planned: u64,
    splits_finished: u64,
    finished: bool,
    started: Option<Instant>,
    bar: Option<ProgressBar>,
}

/// The sum over all tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Totals {
    tables: usize,
    tables_finished: usize,
    bytes_planned: u64,
    bytes_read: u64,
    rows: u64,
}

/// The thread that writes a line per interval, also when nothing happens: a run that hangs should be seen to.
#[derive(Debug)]
struct Ticker {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    pub(super) fn new(screen: Screen, quiet: bool, interval: Duration) -> Self {
        let state = Arc::default();
        let ticker = Mutex::default();
        Self { screen, quiet, interval, state, ticker, skipping: AtomicBool::new(false) }
    }

    /// Takes bars away and stops the lines.
    pub(super) fn close(&self) {
        let ticker = lock(&self.ticker).take();
        if let Some(Ticker { stop, thread }) = ticker {
            drop(stop);
            // The thread only prints: if it panicked, the panic has been printed, and there is nothing to wait for.
            drop(thread.join());
        }
        for table in lock(&self.state).tables.values_mut() {
            if let Some(bar) = table.bar.take() {
                bar.finish_and_clear();
            }
        }
    }

    fn start_ticker(&self) {
        let mut ticker = lock(&self.ticker);
        if self.quiet || self.screen.bars().is_some() || ticker.is_some() {
            return;
        }
        let (stop, stopped) = channel();
        let (state, interval) = (Arc::clone(&self.state), self.interval);
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                lock(&state).tell(Instant::now());
            }
        });
        // Without the thread there are no lines; that is not worth a failed run.
        *ticker = thread.ok().map(|thread| Ticker { stop, thread });
    }

    fn with_table(&self, table: &str, change: impl FnOnce(&mut Table)) {
        let mut state = lock(&self.state);
        match state.tables.get_mut(table) {
            Some(known) => change(known),
            None => change(state.tables.entry(table.to_owned()).or_default()),
        }
    }
}

impl State {
    fn totals(&self) -> Totals {
        let mut totals = Totals { tables: self.tables.len(), ..Totals::default() };
        for table in self.tables.values() {
            totals.tables_finished += usize::from(table.finished);
            totals.bytes_planned += table.bytes_planned;
            totals.bytes_read += table.bytes_read;
            totals.rows += table.rows;
        }
        totals
    }

    /// Tells how far all tables are; the rate is that since the last time.
    fn tell(&mut self, now: Instant) {
        let totals = self.totals();
        let started = *self.started.get_or_insert(now);
        let (last_bytes, last_at) =
            self.last.replace((totals.bytes_read, now)).unwrap_or((0, started));
        let rate = per_second(totals.bytes_read.saturating_sub(last_bytes), now - last_at);
        let left = totals.left(now - started);
        tracing::info!(
            target: PROGRESS,
            percent = totals.percent(),
            tables = totals.tables,
            tables_finished = totals.tables_finished,
            rows = totals.rows,
            bytes_read = totals.bytes_read,
            bytes_per_second = rate,
            seconds_left = left.map(|left| left.as_secs()),
            "reading"
        );
    }
}

impl Table {
    /// Takes the bar away; what is to be said of a table that one had to wait for.
    fn take_bar(&mut self, name: &str) -> Option<String> {
        self.bar.take()?.finish_and_clear();
        let elapsed = self.started.map_or(Duration::ZERO, |started| started.elapsed());
        (elapsed >= WORTH_A_LINE).then(|| {
            format!(
                "{name}: {} rows, {} written, {}/s read\n",
                human_count(self.rows),
                human_bytes(self.bytes_written),
                human_bytes(per_second(self.bytes_read, elapsed)),
            )
        })
    }
}

impl Totals {
    fn percent(&self) -> u64 {
        match self.bytes_planned {
            0 => 0,
            planned => (u128::from(self.bytes_read) * 100 / u128::from(planned))
                .min(100)
                .try_into()
                .unwrap_or(100),
        }
    }

    /// Time left at the pace of the run so far; none before anything was read.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let to_read = self.bytes_planned.saturating_sub(self.bytes_read);
        let millis =
            (u128::from(to_read) * elapsed.as_millis()).checked_div(self.bytes_read.into())?;
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// Amount per second; of no time at all: 0.
pub(super) fn per_second(amount: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis();
    (u128::from(amount) * 1000)
        .checked_div(millis)
        .map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Numbers for people: after a panic elsewhere they are as good as they were.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events for Progress {
    fn table_planned(&self, table: &str, splits: u64, bytes: u64) {
        tracing::debug!(table, splits, bytes, "planned");
        lock(&self.state).started.get_or_insert_with(Instant::now);
        self.with_table(table, |table| {
            table.bytes_planned += bytes;
            table.splits_planned += splits;
        });
        self.start_ticker();
    }

    fn splits_resumed(&self, table: &str, splits: u64, rows: u64, bytes: u64) {
        tracing::info!(
            target: PROGRESS, table, splits, rows, bytes, "going on where the former run stopped"
        );
    }

    fn split_started(&self, table: &str, split: u64) {
        tracing::debug!(table, split, "split started");
        self.with_table(table, |known| {
            known.started.get_or_insert_with(Instant::now);
            if let (Some(bars), None) = (self.screen.bars(), &known.bar) {
                let style = ProgressStyle::with_template(BAR)
                    .unwrap_or_else(|_| ProgressStyle::default_bar());
                let bar = bars.add(ProgressBar::new(known.bytes_planned).with_style(style));
                bar.set_prefix(table.to_owned());
                bar.enable_steady_tick(Duration::from_millis(500));
                known.bar = Some(bar);
            }
        });
    }

    fn bytes_read(&self, table: &str, bytes: u64) {
        self.with_table(table, |table| {
            table.bytes_read += bytes;
            if let Some(bar) = &table.bar {
                bar.inc(bytes);
            }
        });
    }

    fn rows_written(&self, table: &str, rows: u64, bytes: u64) {
        self.with_table(table, |table| {
            table.rows += rows;
            table.bytes_written += bytes;
            if let Some(bar) = &table.bar {
                bar.set_message(format!("{} rows", human_count(table.rows)));
            }
        });
    }

    fn split_finished(&self, table: &str, split: u64) {
        tracing::debug!(table, split, "split finished");
        let mut line = None;
        self.with_table(table, |known| {
            known.splits_finished += 1;
            // A job may say that a table is finished only when all are: its bar must not stay until then.
            if known.splits_finished >= known.splits_planned {
                line = known.take_bar(table);
            }
        });
        if let Some(line) = line {
            self.screen.write(&line);
        }
    }

    fn table_finished(&self, table: &str) {
        let mut line = None;
        self.with_table(table, |known| {
            known.finished = true;
            line = known.take_bar(table);
        });
        if let Some(line) = line {
            self.screen.write(&line);
        }
        tracing::debug!(table, "table finished");
    }

    fn table_failed(&self, table: &str, error: &Error) {
        self.with_table(table, |known| {
            if let Some(bar) = known.bar.take() {
                bar.finish_and_clear();
            }
        });
        tracing::warn!(table, "table failed: {error}");
    }

    fn quarantined(&self, what: &Quarantine) {
        // There may be thousands, and the last words name what fits on a screen.
        if !self.skipping.swap(true, Ordering::Relaxed) {
            tracing::warn!("something had to be skipped: the end of the run says what");
        }
        let file = what.file.as_deref().unwrap_or("none");
        tracing::debug!(table = what.table, file, "skipped: {}", what.cause);
    }

    fn warning(&self, words: &str) {
        tracing::warn!("{words}");
    }

    fn file_warning(&self, file: &Path, words: &str) {
        tracing::warn!(file = %file.display(), "{words}");
    }

    fn object_written(&self, location: &str) {
        tracing::debug!(location, "written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::ColorWhen;

    fn progress(interval: u64) -> Progress {
        let screen = Screen::new(ColorWhen::Never, false);
        Progress::new(screen, false, Duration::from_millis(interval))
    }

    #[test]
    fn events_add_up() {
        let progress = progress(3_600_000);
        progress.table_planned("ks.a", 2, 100);
        progress.table_planned("ks.b", 1, 300);
        progress.split_started("ks.a", 1);
        progress.bytes_read("ks.a", 60);
        progress.bytes_read("ks.a", 40);
        progress.rows_written("ks.a", 7, 70);
        progress.split_finished("ks.a", 1);
        progress.table_finished("ks.a");
        progress.bytes_read("ks.b", 100);
        progress.rows_written("ks.b", 3, 30);
        let totals = lock(&progress.state).totals();
        let expected =
            Totals { tables: 2, tables_finished: 1, bytes_planned: 400, bytes_read: 200, rows: 10 };
        assert_eq!(totals, expected);
        assert_eq!(totals.percent(), 50);
        assert_eq!(totals.left(Duration::from_secs(7)), Some(Duration::from_secs(7)));
        progress.close();
    }

    #[test]
    fn numbers_that_divide_by_nothing_are_left_out() {
        assert_eq!(Totals::default().percent(), 0);
        assert_eq!(Totals::default().left(Duration::from_secs(1)), None);
        assert_eq!(per_second(10, Duration::ZERO), 0);
        assert_eq!(per_second(10, Duration::from_millis(500)), 20);
        // More read than planned: the plan was an estimate.
        let over = Totals { bytes_planned: 10, bytes_read: 20, ..Totals::default() };
        assert_eq!(
            (over.percent(), over.left(Duration::from_secs(1))),
            (100, Some(Duration::ZERO))
        );
    }

    #[test]
    fn closing_ends_the_thread_at_once() {
        let progress = progress(3_600_000);
        progress.table_planned("ks.a", 1, 1);
        assert!(lock(&progress.ticker).is_some());
        let start = Instant::now();
        progress.close();
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(lock(&progress.ticker).is_none());
    }
}
