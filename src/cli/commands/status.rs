//! `cassport status`.

use std::time::Duration;

use crate::cli::config::SealTarget;
use crate::cli::table::columns;
use crate::cli::units::{human_bytes, human_count};
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::extract::{Overview, overview};
use crate::output::state::Phase;
use crate::progress::clock;
use crate::store::open;

/// Prints how far the agents of an output are; with `watch` again and again until all are complete or one has failed.
pub fn run(target: &SealTarget, json: bool, watch: Option<Duration>, ui: &Ui) -> Result<ExitCode> {
    if !target.location.may_exist() {
        return Err(Error::Missing {
            what: format!("{} is not a directory", target.location),
            hint: Some("give the --output of the extract".to_owned()),
        });
    }
    let store = open(&target.location, &target.s3)?;
    loop {
        let found = overview(&*store, clock::now())?;
        let text = if json {
            serde_json::to_string(&found)
                .map_err(|error| Error::Bug(format!("the overview has no JSON: {error}")))?
        } else {
            text(&found)
        };
        ui.print(&format!("{text}\n"))?;
        let all = found.complete() >= usize::try_from(found.agents_wanted).unwrap_or(usize::MAX);
        let failed = found.agents.iter().any(|agent| agent.status.phase == Phase::Failed);
        match watch {
            Some(interval) if !all && !failed => std::thread::sleep(interval),
            _ => return Ok(ExitCode::COMPLETE),
        }
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Extracting => "extracting",
        Phase::Tailing => "tailing",
        Phase::Sequencing => "sequencing",
        Phase::Complete => "complete",
        Phase::Failed => "failed",
    }
}

/// A table for people: agents, then tables.
fn text(found: &Overview) -> String {
    let mut rows = vec![
        ["agent", "host", "phase", "%", "tables", "rows", "read", "written", "elapsed", "heard"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for agent in &found.agents {
        let status = &agent.status;
        let tables = status.tables_loaded
            + status.tables_loading
            + status.tables_queued
            + status.tables_errored;
        rows.push(vec![
            status.agent.to_string(),
            if status.host.is_empty() { "-".to_owned() } else { status.host.clone() },
            phase(status.phase).to_owned(),
            format!("{:.1}", status.percent),
            format!("{}/{tables}", status.tables_loaded),
            human_count(status.rows),
            human_bytes(status.bytes_read),
            human_bytes(status.bytes_written),
            format!("{} s", status.elapsed_seconds),
            agent.silent_seconds.map_or_else(|| "-".to_owned(), |s| format!("{s} s ago")),
        ]);
    }
    let mut out = columns(&rows);
    let errors = found.agents.iter().filter_map(|agent| {
        let words = agent.status.last_error.as_ref()?;
        Some(format!("agent {}: {words}\n", agent.status.agent))
    });
    out.extend(errors);
    out.push('\n');
    let mut rows = vec![["table", "state", "%", "rows", "errors"].map(str::to_owned).to_vec()];
    for table in &found.tables {
        let state = serde_json::to_value(table.state).unwrap_or_default();
        rows.push(vec![
            format!("{}.{}", table.keyspace, table.table),
            state.as_str().unwrap_or_default().to_owned(),
            format!("{:.1}", table.percent),
            human_count(table.rows),
            table.errors.to_string(),
        ]);
    }
    out += &columns(&rows);
    out += &format!(
        "\n{} of {} agents complete{}",
        found.complete(),
        found.agents_wanted,
        if found.sealed { ", sealed" } else { "" }
    );
    out
}
