//! `cassport seal`.

use crate::cli::args::SealArgs;
use crate::cli::config::SealTarget;
use crate::cli::loaders::{Look, Written, next};
use crate::cli::report::amount;
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::extract::{SealOptions, SealOutcome, dms_target, seal};
use crate::output::MetadataMode;
use crate::output::manifest::read_json;
use crate::output::names::{COMPLETE, RUN};
use crate::output::run::RunInfo;
use crate::output::state::HandOffProof;
use crate::store::{Location, open};

/// Checks the parts of all agents and writes what needs the whole.
pub fn run(target: &SealTarget, args: &SealArgs, ui: &Ui) -> Result<ExitCode> {
    // Opening a store makes its directory: a mistyped name must not leave one behind.
    if !target.location.may_exist() {
        return Err(Error::Missing {
            what: format!("{} is not a directory", target.location),
            hint: Some("give the --output of the extract".to_owned()),
        });
    }
    let store = open(&target.location, &target.s3)?;
    let events = ui.events();
    let outcome = seal(
        &*store,
        &SealOptions {
            schema_cql: None,
            dms: dms_target(&target.location, &target.s3),
            side_files: None,
            accept_unproven_handoff: args.accept_unproven_handoff,
            events: events.as_ref(),
        },
    )?;
    for words in &outcome.warnings {
        events.warning(words);
    }
    let run: RunInfo = match store.get(RUN)? {
        Some(bytes) => read_json(&store.location(RUN), &bytes)?,
        None => return Err(Error::Bug(format!("{RUN} vanished while it was sealed"))),
    };
    ui.say(&words(&outcome, &run, &target.location)?);
    Ok(if outcome.whole { ExitCode::COMPLETE } else { ExitCode::SKIPPED })
}

fn words(outcome: &SealOutcome, run: &RunInfo, location: &Location) -> Result<String> {
    let complete = &outcome.complete;
    let done = if outcome.already_sealed { "already sealed" } else { "sealed" };
    let mut lines = vec![format!(
        "{done}: {} of {} by {}; {}",
        amount(complete.rows, "row"),
        amount(complete.tables.len() as u64, "table"),
        amount(complete.agents.len() as u64, "agent"),
        location.join(COMPLETE),
    )];
    lines.extend(complete.hand_off.iter().filter(|host| host.proof != HandOffProof::Unproven).map(
        |host| {
            format!(
                "nothing is missing between extract and tail of host {}: {}",
                host.host_id, host.words
            )
        },
    ));
    let tables: Vec<Written> = outcome.tables.iter().map(Written::of_all).collect();
    let metadata = match run.metadata.as_str() {
        "row" => MetadataMode::Row,
        "cell" => MetadataMode::Cell,
        _ => MetadataMode::None,
    };
    let look =
        Look { profile: run.profile.parse()?, metadata, compression: run.compression.parse()? };
    next(look, &tables, location, &mut lines);
    Ok(lines.join("\n"))
}
