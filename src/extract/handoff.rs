//! Nothing fell between the extract and the change streams: proven host by host, or said to be unproven.
//!
//! Two things prove it. Either the SSTables have the commit log up to where the stream begins: Cassandra's own rule, by which
//! it decides from where to replay (`CommitLogReplayer.firstNotCovered`). Mostly they do not say so, for a table that was not
//! written to for long ends long before. Then: what Cassandra had not flushed when the tail began stood in segments that the
//! stream has from their beginning, and what it had flushed is in the extract, if its files were taken after that.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::changes::{
    CHANGES, LogPosition, LostChanges, StreamBeginning, beginning_object, host_of_object,
    lost_folder,
};
use crate::error::{Error, Result};
use crate::output::manifest::{Manifest, ManifestHost, ManifestTable, PositionPair};
use crate::output::state::{HandOff, HandOffProof};
use crate::progress::UnixMillis;
use crate::store::Store;

/// Proves the hand-off of each host of the extract, if there are change streams.
///
/// A host whose hand-off cannot be proven is an [`Error::Different`] that says why; with `accept` it is noted as unproven.
pub(super) fn hand_offs<'m>(
    store: &dyn Store,
    manifests: impl IntoIterator<Item = &'m Manifest>,
    accept: bool,
) -> Result<Vec<HandOff>> {
    let streams: BTreeSet<Uuid> =
        store.list(CHANGES)?.iter().filter_map(|object| host_of_object(&object.name)).collect();
    if streams.is_empty() {
        return Ok(Vec::new());
    }
    let mut hosts: BTreeMap<Uuid, Extracted<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for manifest in manifests {
        if manifest.hosts.is_empty() {
            found.push(HandOff {
                host_id: String::new(),
                proof: HandOffProof::Unproven,
                words: format!(
                    "agent {} does not know whose files it read (no system.local), so nothing joins them to a stream",
                    manifest.agent
                ),
            });
        }
        for host in &manifest.hosts {
            let id = Uuid::parse_str(&host.host_id).map_err(|error| {
                Error::Different(format!(
                    "agent {}: host {}: {error}",
                    manifest.agent, host.host_id
                ))
            })?;
            hosts.entry(id).or_default().parts.push((manifest, host));
        }
    }
    for (id, host) in hosts {
        let told =
            if streams.contains(&id) { prove(store, id, &host)? } else { Err(no_stream(id)) };
        let (proof, words) = match told {
            Ok((proof, words)) => (proof, words),
            Err(words) => (HandOffProof::Unproven, words),
        };
        found.push(HandOff { host_id: id.to_string(), proof, words });
    }
    let open: Vec<&str> = found
        .iter()
        .filter(|host| host.proof == HandOffProof::Unproven)
        .map(|host| host.words.as_str())
        .collect();
    if open.is_empty() || accept {
        return Ok(found);
    }
    Err(Error::Different(format!(
        "changes may be missing between the extract and the change streams: {}. --accept-unproven-handoff seals all the same",
        open.join("; ")
    )))
}

fn no_stream(id: Uuid) -> String {
    format!(
        "host {id} was extracted and has no change stream, while others have: run its tail, and take its snapshot after that"
    )
}

/// What the agents say of one host: one part for each agent that read its files.
#[derive(Default)]
struct Extracted<'m> {
    parts: Vec<(&'m Manifest, &'m ManifestHost)>,
}

impl Extracted<'_> {
    /// Where its tables are not in SSTables; none if that is not known of one of them.
    fn first_not_covered(&self) -> Option<PositionPair> {
        let of_part = |&(manifest, host): &(&Manifest, &ManifestHost)| {
            let alone = manifest.hosts.len() == 1;
            let of_table = |table| first_not_covered(table, &host.host_id, alone);
            manifest.tables.iter().map(of_table).min()
        };
        self.parts.iter().filter_map(of_part).min().flatten()
    }

    /// How far its commit log was laid over them; none if one agent did not.
    fn read_to(&self) -> Option<PositionPair> {
        let of_part = |(manifest, host): &(&Manifest, &ManifestHost)| {
            let mut logs = manifest.commit_logs.iter();
            logs.find(|log| log.host_id.as_ref() == Some(&host.host_id)).and_then(|log| log.read_to)
        };
        self.parts.iter().map(of_part).min().flatten()
    }
}

/// The first position that SSTables do not have (`CommitLogReplayer.firstNotCovered`): the end of the first interval. None if
/// they do not say.
fn first_not_covered(table: &ManifestTable, host: &str, alone: bool) -> Option<PositionPair> {
    let of_host = table.sources.iter().filter(|source| {
        source.originating_host_id.as_deref().map_or(alone, |origin| origin == host)
    });
    let mut intervals: Vec<(PositionPair, PositionPair)> =
        of_host.flat_map(|source| source.commit_log_intervals.iter().copied()).collect();
    intervals.sort_unstable();
    let mut covered: Option<PositionPair> = None;
    for (start, end) in intervals {
        covered = match covered {
            None => Some(end),
            Some(until) if start <= until => Some(until.max(end)),
            Some(until) => return Some(until),
        };
    }
    covered
}

/// The proof and its words, or why there is none.
type Proof = std::result::Result<(HandOffProof, String), String>;

fn prove(store: &dyn Store, id: Uuid, host: &Extracted<'_>) -> Result<Proof> {
    if let Some(lost) = store.list(&lost_folder(id))?.first() {
        let bytes = store.get(&lost.name)?.unwrap_or_default();
        let lost = LostChanges::parse(&bytes, &store.location(&lost.name))?;
        return Ok(Err(lost.words));
    }
    let name = beginning_object(id);
    let Some(bytes) = store.get(&name)? else {
        return Ok(Err(format!(
            "the tail of host {id} has not yet caught up with its own start: seal again in a minute"
        )));
    };
    let began = StreamBeginning::parse(&bytes, &store.location(&name))?;
    if let (Some(from), Some(covered)) = (began.from, host.first_not_covered())
        && pair(from) <= covered
    {
        let words = format!(
            "its SSTables have the log up to {}, the stream begins at {from}",
            show(covered)
        );
        return Ok(Ok((HandOffProof::Positions, words)));
    }
    if let (Some(from), Some(read_to)) = (began.from, host.read_to())
        && pair(from) <= read_to
    {
        let words = format!(
            "its commit log was extracted up to {}, the stream begins at {from}",
            show(read_to)
        );
        return Ok(Ok((HandOffProof::Positions, words)));
    }
    for (_, part) in &host.parts {
        if let Err(words) = follows(id, &began, part) {
            return Ok(Err(words));
        }
    }
    let at = UnixMillis(began.time);
    let words = format!("its tail began at {at}, before the files were taken");
    Ok(Ok((HandOffProof::Order, words)))
}

/// True if the stream has what was not flushed when the tail began, and `part` was taken later; else why not.
fn follows(
    id: Uuid,
    began: &StreamBeginning,
    part: &ManifestHost,
) -> std::result::Result<(), String> {
    // A snapshot has everything that was written before it, flushed or not.
    if let (Some(from), false) = (began.from, part.is_snapshot)
        && began.oldest_segment.is_none_or(|oldest| oldest < from.segment)
    {
        let oldest = match began.oldest_segment {
            Some(oldest) => format!("the commit log began with segment {oldest}"),
            None => "the commit-log directory could not be seen".to_owned(),
        };
        return Err(format!(
            "the stream of host {id} begins with segment {}, and when its tail began {oldest}: what was not flushed then may be \
             in neither; extract a snapshot (nodetool snapshot flushes first), or with --commitlog-dir",
            from.segment
        ));
    }
    let snapshot_time =
        part.snapshot_time.as_ref().and_then(|time| time.parse::<UnixMillis>().ok());
    let by_time = snapshot_time.is_some_and(|time| time.0 >= began.time);
    let by_position = match (part.flushed_to, began.reached) {
        // What a snapshot flushed may end where nothing was written since.
        (Some(flushed), Some(reached)) if part.is_snapshot => flushed >= pair(reached),
        (Some(flushed), Some(reached)) => flushed > pair(reached),
        _ => false,
    };
    if by_time || by_position {
        return Ok(());
    }
    let flushed = part.flushed_to.map_or_else(|| "nowhere".to_owned(), show);
    let reached =
        began.reached.map_or_else(|| "an unknown position".to_owned(), |at| at.to_string());
    Err(format!(
        "nothing shows that the files of host {id} were taken after its tail began at {}: they have its commit log up to {flushed}, \
         and it stood at {reached} then; write something (CREATE KEYSPACE will do), take a snapshot and extract it",
        UnixMillis(began.time)
    ))
}

fn pair(at: LogPosition) -> PositionPair {
    (u64::try_from(at.segment).unwrap_or(0), u64::from(at.offset))
}

fn show(at: PositionPair) -> String {
    format!("{}:{}", at.0, at.1)
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
