//! `cassport tail`.

use std::time::Instant;

use crate::cli::units::{human_bytes, human_count};
use crate::cli::{ExitCode, Ui};
use crate::error::Result;
use crate::tail::{Shipped, TailOptions, TailReport, run as tail};

/// Ships changes, and says at the end how many, and what could not be shipped.
pub fn run(options: &TailOptions, ui: &Ui) -> Result<ExitCode> {
    let started = Instant::now();
    let cancel = ui.cancel()?;
    let report = tail(options, ui.events().as_ref(), &cancel)?;
    ui.close();
    ui.say(&words(options, &report, started.elapsed().as_secs()));
    Ok(if report.is_whole() { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
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
