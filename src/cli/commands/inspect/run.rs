//! `inspect` from its options to its exit code.

use super::model::{Inspection, Node};
use super::{gather, text};
use crate::cli::config::InspectOptions;
use crate::cli::{ExitCode, Ui};
use crate::discover::{DataDirs, ScanOptions, Source};
use crate::error::{Error, ErrorClass, Result};
use crate::progress::clock;

/// Prints what is there. Damage and formats that are not read are exit code 3, after everything has been said.
pub fn run(options: &InspectOptions, ui: &Ui) -> Result<ExitCode> {
    let now = clock::now().seconds();
    let events = ui.events();
    let (dirs, node, words) = match Source::open(&options.input, now) {
        Ok(source) => {
            let node = gather::node(&source)?;
            (source.dirs, node, None)
        }
        Err(error) if error.class() == ErrorClass::Usage => return Err(error),
        Err(error) => {
            // Files can be looked at without their schema; whoever looks has often nothing else.
            let scan = ScanOptions {
                snapshot: options.input.snapshot.clone(),
                backups: options.input.backups,
            };
            let dirs = DataDirs::scan(&options.input.data_dirs, &scan)?;
            let why = error.to_string().replace('\n', " ");
            let words = format!("without a schema no folder can be told to be an orphan: {why}");
            (dirs, Node::default(), Some(words))
        }
    };
    let mut inspection = gather::inspect(&dirs, options, events.as_ref())?;
    inspection.node = node;
    inspection.warnings.extend(words);
    let printed = if options.json {
        let mut json = serde_json::to_string_pretty(&inspection)
            .map_err(|error| Error::Bug(format!("the inspection is no JSON: {error}")))?;
        json.push('\n');
        json
    } else {
        text::render(&inspection, now)
    };
    ui.close();
    ui.print(&printed)?;
    Ok(exit_code(&inspection))
}

fn exit_code(inspection: &Inspection) -> ExitCode {
    let unsupported = inspection.tables.iter().any(|table| !table.unsupported.is_empty());
    if inspection.damage.is_empty() && !unsupported { ExitCode::COMPLETE } else { ExitCode::INPUT }
}
