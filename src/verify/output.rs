//! An output against the manifests of its agents: every object by HEAD, or by reading it, and nothing beside them that a
//! loader would read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::output::manifest::{
    FileEntry, Manifest, ManifestDeletes, ManifestTable, RecordDigest, read_json,
};
use crate::output::names::{AGENTS, RUN, agent_file, is_of_deletes};
use crate::output::run::RunInfo;
use crate::output::{Compression, Profile};
use crate::progress::Events;
use crate::store::Store;

use super::records::RecordSplitter;
use super::sum::{ContentSum, Summed};
use super::text::ObjectText;

/// How an output is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOptions {
    /// Read every object, and do not only ask the store for it.
    pub full: bool,
    /// Objects that are looked at, at a time; at least 1.
    pub threads: usize,
}

/// Something wrong with an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectFinding {
    /// Path or URL.
    pub object: String,
    /// What.
    pub cause: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputReport {
    /// Agents whose manifest is there.
    pub agents: u64,
    /// Objects that the manifests name.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their records of what is deleted.
    pub deletions: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects whose bytes were compared with a checksum: by the store, or by reading.
    pub checksums: u64,
    /// Objects that were read.
    pub read: u64,
    /// What is wrong.
    pub findings: Vec<ObjectFinding>,
}

/// What is in the files of an output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) form: Form,
    pub(super) splitter: RecordSplitter,
    pub(super) compression: Compression,
}

/// What is in the files of a run: of rows, and of deletions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents {
    pub(super) rows: Content,
    pub(super) deletes: Content,
}

impl Contents {
    /// Of the files of a profile that were compressed so.
    pub(super) fn new(profile: Profile, compression: Compression) -> Self {
        let rows = Content::new(profile, compression);
        let deletes = Content::new(Profile::Jsonl, rows.compression);
        Self { rows, deletes }
    }

    /// Of the file `name`.
    pub(super) fn of(&self, name: &str) -> Content {
        if is_of_deletes(name) { self.deletes } else { self.rows }
    }
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Records as text, of which digests are.
    Text,
    /// An item a line.
    Items,
    Parquet,
}

impl Content {
    /// What the files of a profile hold that were compressed so.
    fn new(profile: Profile, compression: Compression) -> Self {
        let form = match profile {
            Profile::DdbJson => Form::Items,
            Profile::Parquet => Form::Parquet,
            Profile::Dms | Profile::Csv | Profile::Jsonl | Profile::Cqlsh | Profile::Datalake => {
                Form::Text
            }
        };
        Self {
            form,
            splitter: RecordSplitter::of(profile),
            // Parquet compresses its pages.
            compression: if form == Form::Parquet { Compression::None } else { compression },
        }
    }
}

/// The manifests of an output, and what its agents share.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) run: RunInfo,
    pub(super) manifests: BTreeMap<u32, Manifest>,
}

/// Reads what describes an output.
pub(super) fn read_parts(store: &dyn Store, findings: &mut Vec<ObjectFinding>) -> Result<Parts> {
    let Some(bytes) = store.get(RUN)? else {
        return Err(Error::Missing {
            what: format!("{} is not there: no output of extract", store.location(RUN)),
            hint: Some("give the --output of the extract".to_owned()),
        });
    };
    let run: RunInfo = read_json(&store.location(RUN), &bytes)?;
    let mut agents = BTreeSet::new();
    for object in store.list(AGENTS)? {
        let folder = object.name.strip_prefix(AGENTS).and_then(|rest| rest.split_once('/'));
        agents.extend(folder.and_then(|(folder, _)| u32::from_str_radix(folder, 16).ok()));
    }
    let mut manifests = BTreeMap::new();
    for agent in agents {
        let name = agent_file(agent, "manifest.json");
        let cause = match store.get(&name)? {
            None => format!("agent {agent} is not complete: it has no manifest"),
            Some(bytes) => {
                let manifest: Manifest = read_json(&store.location(&name), &bytes)?;
                if manifest.agent != agent {
                    format!("it is the manifest of agent {}", manifest.agent)
                } else if manifest.fingerprint != run.fingerprint {
                    "it is of another run".to_owned()
                } else {
                    manifests.insert(agent, manifest);
                    continue;
                }
            }
        };
        findings.push(ObjectFinding { object: store.location(&name), cause });
    }
    let wanted = usize::try_from(run.agents).unwrap_or(usize::MAX);
    if manifests.len() != wanted && findings.is_empty() {
        let cause = format!("{} of {wanted} agents are complete", manifests.len());
        findings.push(ObjectFinding { object: store.location(AGENTS), cause });
    }
    Ok(Parts { run, manifests })
}

/// Compares the output in `store` with its manifests. `cancel` is set to a signal's number to stop.
pub fn verify_output(
    store: &dyn Store,
    options: &OutputOptions,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<OutputReport> {
    let mut report = OutputReport::default();
    let parts = read_parts(store, &mut report.findings)?;
    check_sums(store, &parts, &mut report.findings);
    let profile: Profile = parts.run.profile.parse()?;
    let contents = Contents::new(profile, parts.run.compression.parse()?);
    let (files, twice) = named_files(&parts);
    for name in twice {
        let cause = "two manifests name it".to_owned();
        report.findings.push(ObjectFinding { object: store.location(name), cause });
    }
    report.agents = parts.manifests.len() as u64;
    report.files = files.len() as u64;
    let records = |of_deletes: bool| {
        let of_kind = files.values().filter(|file| is_of_deletes(&file.name) == of_deletes);
        of_kind.map(|file| file.rows).sum()
    };
    (report.rows, report.deletions) = (records(false), records(true));
    report.bytes = files.values().map(|file| file.bytes).sum();
    for object in store.list("")? {
        if is_of_rows(&object.name, &parts) && !files.contains_key(object.name.as_str()) {
            let cause = "no manifest names it; loaders would read it all the same".to_owned();
            report.findings.push(ObjectFinding { object: store.location(&object.name), cause });
        }
    }
    let name = "output";
    events.table_planned(name, report.files, if options.full { report.bytes } else { 0 });
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads)
        .build()
        .map_err(|error| Error::Bug(format!("cannot start threads: {error}")))?;
    let files: Vec<&FileEntry> = files.into_values().collect();
    let look = |file: &&FileEntry| {
        let progress = &mut |bytes: u64| {
            events.bytes_read(name, bytes);
            match cancel.load(Ordering::Relaxed) {
                0 => Ok(()),
                signal => Err(Error::Stopped(signal)),
            }
        };
        progress(0)?;
        look_at(store, file, options.full.then(|| contents.of(&file.name)), progress)
    };
    let looked: Result<Vec<Looked>> = pool.install(|| files.par_iter().map(look).collect());
    events.table_finished(name);
    for (file, looked) in files.iter().zip(looked?) {
        report.checksums += u64::from(looked.checksum);
        report.read += u64::from(looked.content.is_some());
        let object = store.location(&file.name);
        report.findings.extend(
            looked.causes.into_iter().map(|cause| ObjectFinding { object: object.clone(), cause }),
        );
    }
    Ok(report)
}

/// The files of all manifests by name, and those named twice.
fn named_files(parts: &Parts) -> (BTreeMap<&str, &FileEntry>, Vec<&str>) {
    let (mut files, mut twice) = (BTreeMap::new(), Vec::new());
    let all = parts.manifests.values().flat_map(|manifest| &manifest.tables);
    for file in all.flat_map(ManifestTable::all_files) {
        if files.insert(file.name.as_str(), file).is_some() {
            twice.push(file.name.as_str());
        }
    }
    (files, twice)
}

/// True for the name of a file of rows, `ks/t/LOAD…` or `ks/t/STATIC…`, but those of agents that have no manifest yet.
fn is_of_rows(name: &str, parts: &Parts) -> bool {
    let mut pieces = name.split('/');
    let (Some(_), Some(_), Some(file), None) =
        (pieces.next(), pieces.next(), pieces.next(), pieces.next())
    else {
        return false;
    };
    let Some(number) = file.strip_prefix("LOAD").or_else(|| file.strip_prefix("STATIC")) else {
        return false;
    };
    let agent = number.get(..3).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let wanted = usize::try_from(parts.run.agents).unwrap_or(usize::MAX);
    agent
        .is_none_or(|agent| parts.manifests.len() >= wanted || parts.manifests.contains_key(&agent))
}

/// The sums in each manifest are those of its files.
fn check_sums(store: &dyn Store, parts: &Parts, findings: &mut Vec<ObjectFinding>) {
    for manifest in parts.manifests.values() {
        for table in &manifest.tables {
            let (mut rows, mut digest) = (0_u64, RecordDigest::default());
            for file in &table.files {
                rows = rows.saturating_add(file.rows);
                digest.merge(file.digest);
            }
            let of_deletes =
                |deletes: &ManifestDeletes| *deletes == ManifestDeletes::of(deletes.files.clone());
            if rows != table.rows
                || digest != table.digest
                || !table.deletes.as_ref().is_none_or(of_deletes)
            {
                let object = store.location(&agent_file(manifest.agent, "manifest.json"));
                let cause = format!(
                    "{}.{}: rows or digest are not the sums over its files",
                    table.keyspace, table.table
                );
                findings.push(ObjectFinding { object, cause });
            }
        }
    }
}

/// What was found out about one object.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) causes: Vec<String>,
    /// Its bytes were compared with a checksum.
    pub(super) checksum: bool,
    /// Rows and digest, if it was read.
    pub(super) content: Option<(u64, RecordDigest)>,
}

/// Looks at one object: by HEAD, and by reading it if `read` says how.
pub(super) fn look_at(
    store: &dyn Store,
    file: &FileEntry,
    read: Option<Content>,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Looked> {
    let mut looked = Looked::default();
    let Some(head) = store.head(&file.name)? else {
        looked.causes.push("it is not there".to_owned());
        return Ok(looked);
    };
    if head.bytes != file.bytes {
        looked
            .causes
            .push(format!("{} bytes are there, {} in the manifest", head.bytes, file.bytes));
    }
    if !head.crc64nvme.is_empty() && !file.crc64nvme.is_empty() {
        looked.checksum = true;
        if head.crc64nvme != file.crc64nvme {
            looked.causes.push(format!(
                "the store has CRC64NVME {}, the manifest {}",
                head.crc64nvme, file.crc64nvme
            ));
        }
    }
    let Some(content) = read else { return Ok(looked) };
    let Some(mut text) = ObjectText::open(store, &file.name, content.compression)? else {
        looked.causes.push("it vanished while it was looked at".to_owned());
        return Ok(looked);
    };
    let mut records = ContentSum::new(content);
    let mut seen = 0;
    while let Some(piece) = text.next_piece()? {
        records.add(piece);
        let read = text.bytes_read();
        progress(read - std::mem::replace(&mut seen, read))?;
    }
    let found = text.finish()?;
    looked.checksum = true;
    if found.bytes != head.bytes {
        looked.causes.push(format!("{} bytes were read of {}", found.bytes, head.bytes));
    }
    if found.crc64nvme != file.crc64nvme {
        looked.causes.push(format!(
            "its CRC64NVME is {}, in the manifest {}",
            found.crc64nvme, file.crc64nvme
        ));
    }
    looked.causes.extend(text.damage().map(str::to_owned));
    let Summed { rows, digest, fault } = records.finish();
    looked.causes.extend(fault);
    // Of what has no digest of its own the bytes are known to be those that were written, or a cause is told.
    let digest = digest.unwrap_or(file.digest);
    looked.content = Some((rows, digest));
    if rows != file.rows {
        looked.causes.push(format!("{rows} rows are there, {} in the manifest", file.rows));
    }
    if digest != file.digest {
        looked.causes.push(format!(
            "the digest of its records is {digest}, in the manifest {}",
            file.digest
        ));
    }
    Ok(looked)
}
