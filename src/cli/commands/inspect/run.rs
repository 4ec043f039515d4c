//! `inspect` from its options to its exit code.

use super::model::Inspection;
use super::{gather, text};
use crate::cli::config::InspectOptions;
use crate::cli::{ExitCode, Ui};
use crate::discover::{DataDirs, ScanOptions};
use crate::error::{Error, Result};
use crate::progress::clock;

/// Prints what is there. Damage and formats that are not read are exit code 3, after everything has been said.
pub fn run(options: &InspectOptions, ui: &Ui) -> Result<ExitCode> {
    let scan =
        ScanOptions { snapshot: options.input.snapshot.clone(), backups: options.input.backups };
    let dirs = DataDirs::scan(&options.input.data_dirs, &scan)?;
    let events = ui.events();
    let inspection = gather::inspect(&dirs, options, events.as_ref())?;
    let printed = if options.json {
        let mut json = serde_json::to_string_pretty(&inspection)
            .map_err(|error| Error::Bug(format!("the inspection is no JSON: {error}")))?;
        json.push('\n');
        json
    } else {
        text::render(&inspection, clock::now().seconds())
    };
    ui.close();
    ui.print(&printed)?;
    Ok(exit_code(&inspection))
}

fn exit_code(inspection: &Inspection) -> ExitCode {
    let unsupported = inspection.tables.iter().any(|table| !table.unsupported.is_empty());
    if inspection.damage.is_empty() && !unsupported { ExitCode::COMPLETE } else { ExitCode::INPUT }
}
