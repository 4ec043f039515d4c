//! A source against an output: the source is extracted once more in memory, with the options of the run, and compared range
//! by range. An output whose store keeps no checksums is read for it, for nothing else says that it is as its manifest says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::dht::{Token, TokenRange};
use crate::discover::{InputOptions, Source};
use crate::error::{Error, ErrorClass, Result};
use crate::extract::{
    CommitLogOptions, ExtractOptions, OnCorrupt, OutputTarget, RangeSum, RecordOptions, Replay,
    ShareOptions,
};
use crate::output::manifest::{FileEntry, Manifest, ManifestTable};
use crate::output::names::{agent_file, is_of_deletes};
use crate::output::run::RunInfo;
use crate::output::{JsonNumbers, MetadataMode, OutputColumn, Profile};
use crate::progress::{Events, UnixMillis};
use crate::store::Store;
use crate::store::s3::S3Options;

use super::checks::words;
use super::differ::{Differ, Side};
use super::output::{Content, Contents, Form, ObjectFinding, Parts, look_at, read_parts};
use super::records::Collector;
use super::text::ObjectText;

/// A replay that has seen enough stops itself; no signal has this number.
const ENOUGH: i32 = i32::MIN;

/// What to compare.
#[derive(Debug, Clone)]
pub struct AgainstOptions {
    /// What to read; without tables named, those of the run.
    pub input: InputOptions,
    /// The commit log that was laid over the SSTables.
    pub commit_log: CommitLogOptions,
    /// Threads, at least 1.
    pub threads: usize,
    /// Bytes of memory that may be allocated.
    pub memory: u64,
    /// Read every object of the output, also where the store keeps a checksum.
    pub full: bool,
    /// Differing rows that are shown, over all.
    pub rows: usize,
}

/// A range of tokens in which source and output differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DifferentRange {
    /// `keyspace.table`.
    pub table: String,
    /// Exclusive.
    pub start: String,
    /// Inclusive.
    pub end: String,
    /// Paths or URLs of its files; none where the output has no rows there.
    pub files: Vec<String>,
    /// Rows of the source.
    pub source_rows: u64,
    /// Rows of the output.
    pub output_rows: u64,
    /// Records of deletions of the source, if the run wrote them.
    pub source_deletions: u64,
    /// Those of the output.
    pub output_deletions: u64,
    /// Digest of the source.
    pub source_digest: String,
    /// Digest of the output.
    pub output_digest: String,
    /// The first differing rows.
    pub differing: Vec<(Side, String)>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgainstReport {
    /// Tables that were compared.
    pub tables: u64,
    /// Ranges of tokens that were compared.
    pub ranges: u64,
    /// Rows of the source.
    pub rows: u64,
    /// Records of deletions of the source, if the run wrote them.
    pub deletions: u64,
    /// Objects of the output that were read.
    pub read: u64,
    /// What is wrong with the output itself, and with what was to be compared.
    pub findings: Vec<ObjectFinding>,
    /// Where they differ.
    pub different: Vec<DifferentRange>,
    /// What of the source cannot be read.
    pub unreadable: Vec<String>,
}

impl AgainstReport {
    /// True if anything differs.
    pub fn has_findings(&self) -> bool {
        !self.findings.is_empty() || !self.different.is_empty()
    }
}

/// A range to compare, and the files that hold it.
struct Piece<'m> {
    table: String,
    range: TokenRange,
    files: Vec<&'m FileEntry>,
}

/// What came of a piece.
struct Compared {
    source: RangeSum,
    output: RangeSum,
    read: u64,
    findings: Vec<ObjectFinding>,
}

/// Compares a source with the output in `store`. `cancel` is set to a signal's number to stop.
pub fn verify_against(
    store: &dyn Store,
    options: &AgainstOptions,
    events: &dyn Events,
    cancel: &AtomicI32,
) -> Result<AgainstReport> {
    let mut report = AgainstReport::default();
    let parts = read_parts(store, &mut report.findings)?;
    let extract = options_of_run(&parts, options)?;
    let source = Source::open(&extract.input, extract.now)?;
    source.warnings().iter().for_each(|words| events.warning(words));
    let manifests = of_source(&parts, &source)?;
    let replay = Replay::open(&source, &extract, events)?;
    let contents = Contents::new(extract.records.profile, extract.records.compression);
    let mut pieces = Vec::new();
    for (name, columns) in replay.tables() {
        report.tables += 1;
        for manifest in &manifests {
            let is_it = |t: &&ManifestTable| format!("{}.{}", t.keyspace, t.table) == name;
            let fault = match manifest.tables.iter().find(is_it) {
                Some(table) => {
                    pieces.extend(pieces_of(name, table)?);
                    column_fault(columns, table)
                }
                None => Some("it was not extracted".to_owned()),
            };
            if let Some(fault) = fault {
                let object = store.location(&agent_file(manifest.agent, "manifest.json"));
                report.findings.push(ObjectFinding { object, cause: format!("{name}: {fault}") });
            }
        }
    }
    report.ranges = pieces.len() as u64;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(replay.workers())
        .build()
        .map_err(|error| Error::Bug(format!("cannot start threads: {error}")))?;
    let job = Job { store, replay: &replay, contents, full: options.full, events, cancel };
    let compared: Vec<Result<Compared>> =
        pool.install(|| pieces.par_iter().map(|piece| job.compare(piece)).collect());
    replay.tables().for_each(|(name, _)| events.table_finished(name));
    let mut left = options.rows;
    for (piece, compared) in pieces.iter().zip(compared) {
        let compared = match compared {
            Ok(compared) => compared,
            Err(error) if is_of_input(&error) => {
                let (start, end) = (piece.range.start, piece.range.end);
                report.unreadable.push(format!(
                    "{}, tokens ({start}, {end}]: {}",
                    piece.table,
                    words(&error)
                ));
                continue;
            }
            Err(error) => return Err(error),
        };
        report.rows += compared.source.rows;
        report.deletions += compared.source.deletions;
        report.read += compared.read;
        report.findings.extend(compared.findings);
        if compared.source == compared.output {
            continue;
        }
        let differing = if left > 0 { job.differing(piece, left)? } else { Vec::new() };
        left = left.saturating_sub(differing.len());
        report.different.push(DifferentRange {
            table: piece.table.clone(),
            start: piece.range.start.to_string(),
            end: piece.range.end.to_string(),
            files: piece.files.iter().map(|file| store.location(&file.name)).collect(),
            source_rows: compared.source.rows,
            output_rows: compared.output.rows,
            source_deletions: compared.source.deletions,
            output_deletions: compared.output.deletions,
            source_digest: compared.source.digest.to_string(),
            output_digest: compared.output.digest.to_string(),
            differing,
        });
    }
    Ok(report)
}

fn is_of_input(error: &Error) -> bool {
    matches!(
        error.class(),
        ErrorClass::Corrupt | ErrorClass::Input | ErrorClass::Missing | ErrorClass::Unsupported
    )
}

/// The options that the run had, as `run.json` and the manifests have them.
fn options_of_run(parts: &Parts, options: &AgainstOptions) -> Result<ExtractOptions> {
    let run = &parts.run;
    let mut input = options.input.clone();
    if input.cassandra_version.is_none() {
        let mut releases = parts.manifests.values().filter_map(|m| m.release_version.clone());
        input.cassandra_version = releases.next();
    }
    if input.keyspaces.is_empty() && input.tables.is_empty() && input.exclude.is_empty() {
        input.tables = option(run, "tables")?;
    }
    let with_log = run.options.contains_key("commitLog");
    if with_log && options.commit_log.directories.is_empty() {
        return Err(Error::Usage {
            what: "the output has what was never flushed in it".into(),
            hint: Some("give the same --commitlog-dir as extract had".into()),
        });
    }
    let metadata = match run.metadata.as_str() {
        "none" => MetadataMode::None,
        "row" => MetadataMode::Row,
        "cell" => MetadataMode::Cell,
        _ => return Err(unknown(run, "metadata")),
    };
    let json_numbers = match option::<String>(run, "jsonNumbers")?.as_str() {
        "number" => JsonNumbers::Number,
        "text" => JsonNumbers::Text,
        _ => return Err(unknown(run, "jsonNumbers")),
    };
    let on_corrupt = match option::<String>(run, "onCorrupt")?.as_str() {
        "fail" => OnCorrupt::Fail,
        "skip" => OnCorrupt::Skip,
        _ => return Err(unknown(run, "onCorrupt")),
    };
    let clock: UnixMillis = run.clock.parse().map_err(|_| unknown(run, "clock"))?;
    Ok(ExtractOptions {
        // Nothing is written, so nobody waits for a word of it.
        heartbeat: Duration::MAX,
        read_rate: None,
        input,
        commit_log: options.commit_log.clone(),
        output: OutputTarget::Discard,
        s3: S3Options::default(),
        share: ShareOptions::default(),
        records: RecordOptions {
            profile: run.profile.parse::<Profile>()?,
            metadata,
            writetime: option(run, "writetime")?,
            expires_column: option(run, "expiresColumn")?,
            include_columns: option(run, "includeColumns")?,
            exclude_columns: option(run, "excludeColumns")?,
            rename: option::<BTreeMap<String, String>>(run, "rename")?,
            column_types: option::<BTreeMap<String, String>>(run, "columnTypes")?,
            json_numbers,
            compression: run.compression.parse()?,
            ..RecordOptions::of_run(run, run.profile.parse()?)?
        },
        deletes: run.options.contains_key("deletes"),
        now: clock.seconds(),
        now_given: true,
        threads: options.threads,
        memory: options.memory,
        file_size: option(run, "fileSize")?,
        on_corrupt,
        overwrite: false,
    })
}

fn unknown(run: &RunInfo, what: &str) -> Error {
    Error::Refused {
        what: format!("run.json, made by {}, has no {what} that this program knows", run.tool),
        hint: Some("use the release of cassport that wrote the output".to_owned()),
    }
}

fn option<T: DeserializeOwned>(run: &RunInfo, name: &str) -> Result<T> {
    let value = run.options.get(name).cloned().unwrap_or(serde_json::Value::Null);
    serde_json::from_value(value).map_err(|_| unknown(run, name))
}

/// The manifests of what was read from this source: of its node, where manifests say of which they are.
fn of_source<'p>(parts: &'p Parts, source: &Source) -> Result<Vec<&'p Manifest>> {
    let host = source.host.as_ref().and_then(|host| host.host_id).map(|id| id.to_string());
    let all = || parts.manifests.values();
    let Some(host) = host else { return Ok(all().collect()) };
    let ours = |manifest: &&Manifest| manifest.host_id.as_ref().is_none_or(|id| *id == host);
    let found: Vec<&Manifest> = all().filter(ours).collect();
    if found.is_empty() && !parts.manifests.is_empty() {
        let mut others: Vec<&str> = all().filter_map(|m| m.host_id.as_deref()).collect();
        others.sort_unstable();
        others.dedup();
        return Err(Error::Usage {
            what: format!(
                "the output is of other nodes: {} and not {host}",
                others.into_iter().take(5).collect::<Vec<_>>().join(", ")
            ),
            hint: Some("give the directories that were extracted".to_owned()),
        });
    }
    Ok(found)
}

fn column_fault(columns: &[OutputColumn], table: &ManifestTable) -> Option<String> {
    let ours: Vec<(&str, &str)> =
        columns.iter().map(|c| (c.name.as_str(), c.cql_type.as_str())).collect();
    let theirs: Vec<(&str, &str)> =
        table.columns.iter().map(|c| (c.name.as_str(), c.cql_type.as_str())).collect();
    if ours == theirs {
        return None;
    }
    let first = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    let at = first.unwrap_or(ours.len().min(theirs.len()));
    let shown = |columns: &[(&str, &str)]| {
        columns.get(at).map_or_else(|| "none".to_owned(), |(name, t)| format!("{name} {t}"))
    };
    Some(format!(
        "column {} is {} in the source and {} in the output: the schema was changed",
        at + 1,
        shown(&ours),
        shown(&theirs)
    ))
}

/// Cuts the ranges of a table at those of its files; what no file covers must be empty in the source.
fn pieces_of<'m>(name: &str, table: &'m ManifestTable) -> Result<Vec<Piece<'m>>> {
    let range_of = |interval: &crate::output::manifest::TokenInterval| {
        interval.to_range().ok_or_else(|| Error::Refused {
            what: format!("{name}: ({}, {}] is no token range", interval.start, interval.end),
            hint: None,
        })
    };
    let mut by_range: BTreeMap<(Token, Token), Vec<&FileEntry>> = BTreeMap::new();
    for file in table.all_files() {
        let range = range_of(&file.range)?;
        by_range.entry((range.start, range.end)).or_default().push(file);
    }
    let mut pieces = Vec::new();
    let mut piece = |start, end, files| {
        let range = TokenRange { start, end };
        pieces.push(Piece { table: name.to_owned(), range, files });
    };
    for interval in &table.ranges {
        let whole = range_of(interval)?;
        let mut from = whole.start;
        for (&(start, end), files) in by_range.range((whole.start, Token::MIN)..) {
            if start >= whole.end {
                break;
            }
            if start > from {
                piece(from, start, Vec::new());
            }
            piece(start, end, files.clone());
            from = from.max(end);
        }
        if from < whole.end {
            piece(from, whole.end, Vec::new());
        }
    }
    Ok(pieces)
}

struct Job<'a> {
    store: &'a dyn Store,
    replay: &'a Replay,
    contents: Contents,
    full: bool,
    events: &'a dyn Events,
    cancel: &'a AtomicI32,
}

/// Takes the records of the source as they are made.
struct Taker {
    kind: Kind,
    collector: Collector,
    differ: Differ<'static>,
}

impl Job<'_> {
    fn compare(&self, piece: &Piece<'_>) -> Result<Compared> {
        let mut compared = Compared {
            source: RangeSum::default(),
            output: RangeSum::default(),
            read: 0,
            findings: Vec::new(),
        };
        let progress = &mut |_| match self.cancel.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Stopped(signal)),
        };
        for file in &piece.files {
            let mut looked = look_at(self.store, file, None, progress)?;
            let is_there = looked.causes.is_empty();
            if is_there && (self.full || !looked.checksum) {
                let content = self.contents.of(&file.name);
                looked = look_at(self.store, file, Some(content), progress)?;
            }
            compared.read += u64::from(looked.content.is_some());
            let object = self.store.location(&file.name);
            compared.findings.extend(
                looked
                    .causes
                    .into_iter()
                    .map(|cause| ObjectFinding { object: object.clone(), cause }),
            );
            let (rows, digest) = looked.content.unwrap_or((file.rows, file.digest));
            compared.output.merge(RangeSum::of_file(is_of_deletes(&file.name), rows, digest));
        }
        compared.source = self.replay.sum(&piece.table, piece.range, self.events, self.cancel)?;
        Ok(compared)
    }

    /// The first differing rows of a piece, at most `most`.
    fn differing(&self, piece: &Piece<'_>, most: usize) -> Result<Vec<(Side, String)>> {
        let mut found = Vec::new();
        for kind in [Kind::Rows, Kind::Statics, Kind::Deletes] {
            // Of Parquet there are no lines to be shown.
            if found.len() < most && self.content(kind).form != Form::Parquet {
                found.extend(self.differing_of(kind, piece, most - found.len())?);
            }
        }
        Ok(found)
    }

    fn content(&self, kind: Kind) -> Content {
        match kind {
            Kind::Rows | Kind::Statics => self.contents.rows,
            Kind::Deletes => self.contents.deletes,
        }
    }

    fn differing_of(
        &self,
        kind: Kind,
        piece: &Piece<'_>,
        most: usize,
    ) -> Result<Vec<(Side, String)>> {
        let is_kind = |file: &&&FileEntry| Kind::of(&file.name) == Some(kind);
        let content = self.content(kind);
        let object = match piece.files.iter().find(is_kind) {
            Some(file) => ObjectText::open(self.store, &file.name, content.compression)?,
            None => None,
        };
        let mut object = object;
        let mut collector = Collector::new(content.splitter);
        let records = move || loop {
            if let Some(record) = collector.whole.pop_front() {
                return Ok(Some(record));
            }
            let Some(open) = &mut object else { return Ok(None) };
            match open.next_piece()? {
                Some(piece) => collector.add(piece),
                None => {
                    collector.finish();
                    object = None;
                }
            }
        };
        let taker = Arc::new(Mutex::new(Some(Taker {
            kind,
            collector: Collector::new(content.splitter),
            differ: Differ::new(Box::new(records), most),
        })));
        let shared = Arc::clone(&taker);
        let tap = move |name: &str, bytes: &[u8]| {
            let mut taker = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *taker {
                Some(taker) => taker.take(name, bytes),
                None => Ok(()),
            }
        };
        let tapped =
            self.replay.tap(&piece.table, piece.range, Box::new(tap), self.events, self.cancel);
        let taker = taker.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(taker) = taker else { return Ok(Vec::new()) };
        match tapped {
            Ok(_) => taker.differ.finish(),
            Err(Error::Stopped(ENOUGH)) => Ok(taker.differ.into_found()),
            Err(error) => Err(error),
        }
    }
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rows,
    Statics,
    Deletes,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        let file = name.rsplit('/').next()?;
        match file {
            _ if is_of_deletes(name) => Some(Self::Deletes),
            _ if file.starts_with("LOAD") => Some(Self::Rows),
            _ if file.starts_with("STATIC") => Some(Self::Statics),
            _ => None,
        }
    }
}

impl Taker {
    fn take(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        if Kind::of(name) != Some(self.kind) {
            return Ok(());
        }
        self.collector.add(bytes);
        while let Some(record) = self.collector.whole.pop_front() {
            if !self.differ.source(&record)? {
                return Err(Error::Stopped(ENOUGH));
            }
        }
        Ok(())
    }
}
