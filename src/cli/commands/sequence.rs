//! `cassport sequence`.

use crate::cli::report::amount;
use crate::cli::{ExitCode, Ui};
use crate::error::Result;
use crate::output::names::COMPLETE;
use crate::sequence::{SequenceOptions, SequenceOutcome, run as sequence};

/// Turns change records into rows until it is stopped, and says what came of it.
pub fn run(options: &SequenceOptions, ui: &Ui) -> Result<ExitCode> {
    let cancel = ui.cancel()?;
    let events = ui.events();
    let outcome = sequence(options, events.as_ref(), &cancel)?;
    ui.close();
    ui.say(&words(&outcome, options));
    // Before the extract is sealed there is nothing to write yet: to be stopped then is no failure.
    let whole = outcome.is_whole() || outcome.held_back && !options.once;
    Ok(if whole { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
}

/// What came of a run.
pub(super) fn words(outcome: &SequenceOutcome, options: &SequenceOptions) -> String {
    if outcome.held_back {
        return format!(
            "nothing written: changes are held back until {} is there (from seal); --release writes them before",
            options.output.join(COMPLETE)
        );
    }
    let mut lines = vec![format!(
        "sequenced: {} so far; {} of {} bytes by this process; {}",
        amount(outcome.rows, "row"),
        amount(outcome.files, "file"),
        outcome.bytes,
        options.output,
    )];
    for table in &outcome.tables {
        if let Some(why) = &table.stopped {
            lines.push(format!(
                "  {} is stopped: {why}; {} not used",
                table.name,
                amount(table.held, "record")
            ));
        } else if table.held > 0 {
            lines.push(format!(
                "  {} is in no definition of this profile: {} not used",
                table.name,
                amount(table.held, "record")
            ));
        }
        if table.refused > 0 {
            lines.push(format!(
                "  {}: {} that the profile cannot carry",
                table.name,
                amount(table.refused, "row")
            ));
        }
    }
    lines.join("\n")
}
