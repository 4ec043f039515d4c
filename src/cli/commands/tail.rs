//! `cassport tail`.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use super::sequence::words as rows_words;

use crate::cli::units::{human_bytes, human_count};
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::progress::Events;
use crate::sequence::{SequenceOptions, SequenceOutcome, run as sequence};
use crate::tail::{Shipped, TailOptions, TailReport, run as tail};

/// Between two looks whether one of both has ended, or a signal came.
const LOOK: Duration = Duration::from_millis(50);

/// Ships changes, and says at the end how many, and what could not be shipped; with `sequencer` the final rows are written by
/// the same process.
pub fn run(
    options: &TailOptions,
    sequencer: Option<&SequenceOptions>,
    ui: &Ui,
) -> Result<ExitCode> {
    let started = Instant::now();
    let cancel = ui.cancel()?;
    let events = ui.events();
    let events = events.as_ref();
    let (report, outcome) = match sequencer {
        None => (tail(options, events, &cancel)?, None),
        // Everything that is there, one after the other.
        Some(rows) if options.once => {
            let report = tail(options, events, &cancel)?;
            (report, Some(sequence(rows, events, &cancel)?))
        }
        Some(rows) => {
            let (report, outcome) = both(options, rows, events, &cancel)?;
            (report, Some(outcome))
        }
    };
    ui.close();
    let mut text = words(options, &report, started.elapsed().as_secs());
    let mut whole = report.is_whole();
    if let Some((outcome, rows)) = outcome.zip(sequencer) {
        text += &rows_words(&outcome, rows);
        // Before the extract is sealed there is nothing to write yet.
        whole &= outcome.is_whole() || outcome.held_back && !options.once;
    }
    ui.say(&text);
    Ok(if whole { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
}

/// Runs both until a signal comes. If one of them fails the other ends too: whoever watches the process has to know.
fn both(
    options: &TailOptions,
    rows: &SequenceOptions,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<(TailReport, SequenceOutcome)> {
    let stop = AtomicI32::new(0);
    std::thread::scope(|scope| {
        let stop = &stop;
        let shipping = scope.spawn(move || tail(options, events, stop));
        let sequencing = scope.spawn(move || sequence(rows, events, stop));
        while !shipping.is_finished() && !sequencing.is_finished() {
            let signal = cancel.load(Ordering::Relaxed);
            if signal != 0 {
                stop.store(signal, Ordering::Relaxed);
            }
            std::thread::sleep(LOOK);
        }
        if stop.load(Ordering::Relaxed) == 0 {
            stop.store(rustix::process::Signal::TERM.as_raw(), Ordering::Relaxed);
        }
        let panicked = || Error::Bug("a thread of the tail panicked".to_owned());
        let report = shipping.join().map_err(|_| panicked())?;
        let outcome = sequencing.join().map_err(|_| panicked())?;
        Ok((report?, outcome?))
    })
}

fn words(options: &TailOptions, report: &TailReport, seconds: u64) -> String {
    let mut text = format!(
        "{} records in {} objects ({}) shipped to {} in {seconds} s, from {} mutations ({}); {} segments shipped to their end\n",
        human_count(report.records),
        human_count(report.objects),
        human_bytes(report.bytes_written),
        options.output,
        human_count(report.mutations),
        human_bytes(report.bytes_read),
        report.segments,
    );
    if report.adopted > 0 {
        text += &format!(
            "{} objects were there already, from a run that was cut off\n",
            report.adopted
        );
    }
    for words in &report.lost {
        text += &format!("lost: {words}\n");
    }
    for words in &report.damage {
        text += &format!("not read: {words}\n");
    }
    let more = report.damages.saturating_sub(report.damage.len() as u64);
    if more > 0 {
        text += &format!("and {more} more\n");
    }
    if report.late_deletions > 0 {
        text += &format!(
            "{} deletions of many rows were in SSTables before they were read here, and no snapshot was there: rows that a compaction \
             dropped for them may stay in the target; compare it at the cut-over (verify --against)\n",
            report.late_deletions
        );
    }
    if report.held > 0 {
        text += &format!(
            "{} mutations are held in {}/held until they can be decoded: {}\n",
            report.held,
            options.state_dir.display(),
            report.held_why.iter().cloned().collect::<Vec<_>>().join("; ")
        );
    }
    if options.cdc_raw.is_some() && options.shipped == Shipped::Keep {
        text += "shipped segments stay in cdc_raw (--shipped keep): remove them before Cassandra refuses writes\n";
    }
    text
}
