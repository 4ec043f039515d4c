//! `cassport status`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::changes::CHANGES;
use crate::cli::args::StatusArgs;
use crate::cli::config::SealTarget;
use crate::cli::table::columns;
use crate::cli::units::{human_bytes, human_count};
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::extract::{Overview, overview, streams};
use crate::output::state::Phase;
use crate::progress::{
    AgentStanding, Message, Snapshot, StreamStanding, TableStanding, UnixMillis, clock,
};
use crate::sequence::sequenced_until;
use crate::serve::View;
use crate::store::{Store, host_name, open};

/// Between two looks while waiting for streams.
const LOOK: Duration = Duration::from_secs(1);

/// Prints how far the agents and tails of an output are; with `--watch` again and again until all agents are complete or one
/// has failed, with `--wait-caught-up` once every stream has passed the time.
pub fn run(target: &SealTarget, args: &StatusArgs, ui: &Ui) -> Result<ExitCode> {
    if !target.location.may_exist() {
        return Err(Error::Missing {
            what: format!("{} is not a directory", target.location),
            hint: Some("give the --output of the extract".to_owned()),
        });
    }
    let store = open(&target.location, &target.s3)?;
    let shown = Arc::new(Shown::new(target.location.to_string()));
    let listen = args.observation.listen.filter(|_| args.watch.is_some());
    let _server = match listen {
        None => None,
        Some(address) => Some(ui.serve(address, Arc::clone(&shown) as Arc<dyn View>)?),
    };
    if let Some(since) = args.since.filter(|_| args.wait_caught_up) {
        wait_caught_up(&*store, since)?;
    }
    loop {
        let found = overview(&*store, clock::now())?;
        shown.renew(&found);
        let text = if args.json {
            serde_json::to_string(&found)
                .map_err(|error| Error::Bug(format!("the overview has no JSON: {error}")))?
        } else {
            text(&found)
        };
        ui.print(&format!("{text}\n"))?;
        let all = found.complete() >= usize::try_from(found.agents_wanted).unwrap_or(usize::MAX);
        let failed = found.agents.iter().any(|agent| agent.status.phase == Phase::Failed);
        match args.watch {
            // The page is there for as long as somebody may look at it.
            Some(interval) if (listen.is_some() || !all && !failed) && !args.wait_caught_up => {
                std::thread::sleep(interval);
            }
            _ => return Ok(ExitCode::COMPLETE),
        }
    }
}

/// Waits until all streams, and the sequencer if there is one, have passed `since` (seconds since 1970). An output without streams is an error: there is nothing
/// that could ever catch up.
fn wait_caught_up(store: &dyn Store, since: i64) -> Result<()> {
    let since = UnixMillis(since.saturating_mul(1000));
    loop {
        let found = streams(store, clock::now())?;
        if found.is_empty() {
            return Err(Error::Missing {
                what: format!("there are no change streams under {}", store.location(CHANGES)),
                hint: Some("start a tail on each node first".to_owned()),
            });
        }
        if let Some(blind) = found.iter().find(|stream| stream.is_blind()) {
            return Err(Error::Refused {
                what: format!(
                    "the tail of host {} sees a write only when Cassandra is done with a segment or flushes a table: when it has \
                     caught up cannot be told",
                    blind.host_id
                ),
                hint: Some("give that tail --commitlog-dir beside what it has".to_owned()),
            });
        }
        let shipped = found.iter().all(|stream| stream.has_passed(since));
        // Where there is a sequencer, what is shipped is of use when it is in its files.
        if shipped && sequenced_until(store)?.is_none_or(|time| time >= since) {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
}

/// The overview that was last found, for the status page.
struct Shown {
    began: Instant,
    output: String,
    last: Mutex<Option<Snapshot>>,
}

impl Shown {
    fn new(output: String) -> Self {
        Self { began: Instant::now(), output, last: Mutex::default() }
    }

    fn renew(&self, found: &Overview) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(snapshot(found));
    }
}

impl View for Shown {
    fn snapshot(&self) -> Snapshot {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let waits = last.is_none().then(|| "the output was not looked at yet".to_owned());
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "status".to_owned(),
            host: host_name(),
            output: self.output.clone(),
            elapsed_seconds: self.began.elapsed().as_secs_f64(),
            not_ready: waits,
            ..last.unwrap_or_else(|| Snapshot {
                updated: clock::now().to_string(),
                ..Snapshot::default()
            })
        }
    }
}

/// All agents and tails of an output, as the page shows them.
fn snapshot(found: &Overview) -> Snapshot {
    let agents = found.agents.iter().map(|agent| AgentStanding {
        agent: agent.status.agent,
        host: agent.status.host.clone(),
        phase: phase(agent.status.phase).to_owned(),
        percent: agent.status.percent,
        rows: agent.status.rows,
        bytes_read: agent.status.bytes_read,
        bytes_written: agent.status.bytes_written,
        silent_seconds: agent.silent_seconds,
        last_error: agent.status.last_error.clone(),
    });
    let tables = found.tables.iter().map(|table| TableStanding {
        keyspace: table.keyspace.clone(),
        table: table.table.clone(),
        state: serde_json::to_value(table.state)
            .ok()
            .and_then(|state| state.as_str().map(str::to_owned))
            .unwrap_or_default(),
        percent: table.percent,
        rows: table.rows,
        errors: table.errors,
        ..TableStanding::default()
    });
    let streams = found.streams.iter().map(|stream| {
        let known = stream.shipped_until_millis > 0;
        let status = stream.status.as_ref();
        StreamStanding {
            host_id: stream.host_id.clone(),
            segment: stream.segment,
            offset: stream.offset.into(),
            shipped_until_millis: known.then_some(stream.shipped_until_millis),
            lag_seconds: known.then_some(stream.lag_seconds),
            records: status.map_or(0, |status| status.rows),
            bytes_read: status.map_or(0, |status| status.bytes_read),
            bytes_written: status.map_or(0, |status| status.bytes_written),
            ..StreamStanding::default()
        }
    });
    let said = found.streams.iter().filter_map(|stream| stream.status.as_ref());
    let messages = said.filter_map(|status| {
        let words = status.last_error.as_ref()?;
        let words = format!("{}: {words}", status.host);
        Some(Message { time: status.updated.clone(), error: true, words })
    });
    let messages: Vec<Message> = messages.collect();
    Snapshot {
        updated: clock::now().to_string(),
        errors: messages.len() as u64,
        agents: agents.collect(),
        tables: tables.collect(),
        streams: streams.collect(),
        messages,
        ..Snapshot::default()
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
    if !found.streams.is_empty() {
        let heads = ["host", "segment", "offset", "shipped until", "lag", "records"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for stream in &found.streams {
            let records = stream.status.as_ref().map(|status| status.rows);
            // Of a tail that sees a write only when a segment is discarded or a table flushed nobody knows.
            let (until, lag) = match stream.shipped_until_millis {
                ..=0 => ("unknown".to_owned(), "unknown".to_owned()),
                _ => (stream.shipped_until.clone(), format!("{:.1} s", stream.lag_seconds)),
            };
            rows.push(vec![
                stream.host_id.clone(),
                stream.segment.to_string(),
                stream.offset.to_string(),
                until,
                lag,
                records.map_or_else(|| "-".to_owned(), human_count),
            ]);
        }
        out.push('\n');
        out += &columns(&rows);
    }
    out += &format!(
        "\n{} of {} agents complete{}",
        found.complete(),
        found.agents_wanted,
        if found.sealed { ", sealed" } else { "" }
    );
    out
}
