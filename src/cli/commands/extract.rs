//! `cassport extract`.

use std::time::Instant;

use crate::cli::loaders::Look;
use crate::cli::report::{Ending, words, written};
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::extract::{ExtractOptions, run as extract};

/// Extracts, and says what was written, what was skipped, and what to do next.
pub fn run(options: &ExtractOptions, ui: &Ui) -> Result<ExitCode> {
    let started = Instant::now();
    let cancel = ui.cancel()?;
    let events = ui.events();
    let outcome = extract(options, events.as_ref(), &cancel)?;
    let tables = outcome.manifest.as_deref().map(written).unwrap_or_default();
    ui.close();
    ui.say(&words(&Ending {
        output: &options.output,
        look: Look {
            profile: options.records.profile,
            metadata: options.records.metadata,
            compression: options.records.compression,
        },
        tables: &tables,
        report: &outcome.report,
        elapsed: started.elapsed(),
        already_complete: outcome.already_complete,
        sealed: outcome.manifest.as_deref().is_some_and(|manifest| manifest.agents == 1),
    }));
    if !outcome.report.balanced {
        return Err(Error::Bug(format!(
            "the books do not balance: {}",
            outcome.report.imbalances.join("; ")
        )));
    }
    Ok(if outcome.report.is_whole() { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
}
