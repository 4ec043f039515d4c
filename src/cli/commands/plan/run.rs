//! `plan` from its options to its exit code.

use super::{invocation, text};
use crate::cli::plan_args::{PlanArgs, plan_options};
use crate::cli::settings::Settings;
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::extract::forecast::{ForecastOptions, forecast};

/// Prints what the run would do. Nothing is written, and no data is read.
pub fn run(args: &PlanArgs, settings: &Settings, ui: &Ui) -> Result<ExitCode> {
    let (extract, prices) = plan_options(args, settings)?;
    let events = ui.events();
    let found = forecast(
        &ForecastOptions {
            extract,
            rate: args.report.rate.map(|rate| rate.0),
            load_rate: args.report.load_rate.map(|rate| rate.0),
            prices,
            command: &|place| invocation::extract(settings, place),
            seal: invocation::seal(settings),
        },
        events.as_ref(),
    )?;
    let printed = if args.report.json {
        let mut json = serde_json::to_string_pretty(&found)
            .map_err(|error| Error::Bug(format!("the plan is no JSON: {error}")))?;
        json.push('\n');
        json
    } else {
        text::render(&found)
    };
    ui.close();
    for warning in &found.warnings {
        events.warning(warning);
    }
    ui.print(&printed)?;
    Ok(if found.whole { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
}
