//! `seal`: checks that the parts of all agents make the whole, and writes what needs the whole.
//!
//! It is run once after all agents, and may be run again: the same parts give the same bytes, and what is there already is
//! left alone. `complete.json` is written last, so its presence means that everything else is there.

use std::collections::{BTreeMap, BTreeSet};

use super::coverage::{Claim, check_coverage};
use super::handoff::hand_offs;
use super::share::Ownership;
use super::side_files::{FOLDER_MANIFEST, SUCCESS, side_files};
use crate::dht::TokenRange;
use crate::error::{Error, Result};
use crate::output::Profile;
use crate::output::dms::{
    ColumnRole, DmsColumn, DmsTable, DmsTarget, asked_type, dms_type, write_dms_files,
};
use crate::output::dynamodb::{DdbShape, ImportedTable, import_requests};
use crate::output::manifest::{
    FORMAT_VERSION, FileEntry, Manifest, ManifestColumn, ManifestDeletes, ManifestTable,
    OutputColumnKind, RecordDigest, TableCounters, TokenInterval, read_json, tool, write_json,
};
use crate::output::names::{
    AGENTS, COMPLETE, OWN, RUN, SCHEMA, SORT_KEY_COLUMN, agent_file, deletes_of, table_folder,
};
use crate::output::run::RunInfo;
use crate::output::state::{Complete, CompleteDeletes, CompleteTable, HandOffProof};
use crate::progress::{Events, Report};
use crate::schema::parse_schema;
use crate::store::Store;

/// Makes further side files: object name and bytes.
pub type SideFiles<'a> = dyn Fn(&RunInfo, &[SealedTable]) -> Result<Vec<(String, Vec<u8>)>> + 'a;

/// What `seal` needs to know besides what lies in the output.
pub struct SealOptions<'a> {
    /// The recovered schema as CQL; none if an agent has written it already.
    pub schema_cql: Option<&'a str>,
    /// Where DMS finds the output.
    pub dms: DmsTarget,
    /// Makes the side files of other profiles (import requests, schemas for Spark).
    pub side_files: Option<&'a SideFiles<'a>>,
    /// Seal also where changes may be missing between the extract and a change stream.
    pub accept_unproven_handoff: bool,
    /// Who listens.
    pub events: &'a dyn Events,
}

/// What `seal` found and did.
#[derive(Debug, Clone, PartialEq)]
pub struct SealOutcome {
    /// What `complete.json` says.
    pub complete: Complete,
    /// The tables of all agents together.
    pub tables: Vec<SealedTable>,
    /// True if everything was there already, byte for byte.
    pub already_sealed: bool,
    /// False if an agent's report says that something was skipped: exit code 1.
    pub whole: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A table of all agents together.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedTable {
    /// Keyspace in its stored case.
    pub keyspace: String,
    /// Table in its stored case.
    pub table: String,
    /// Identity, where it is known.
    pub table_id: Option<String>,
    /// Columns in the order of the files, with what all agents saw in them.
    pub columns: Vec<ManifestColumn>,
    /// Files of all agents, by agent.
    pub files: Vec<FileEntry>,
    /// What is deleted; none if that was not asked for.
    pub deletes: Option<ManifestDeletes>,
    /// Records.
    pub rows: u64,
    /// Sum of all digests.
    pub digest: RecordDigest,
    /// Counts of values that a target may not like.
    pub counters: TableCounters,
}

impl SealedTable {
    /// All files, those of deletions behind those of rows.
    fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().chain(self.deletes.iter().flat_map(|deletes| &deletes.files))
    }
}

/// Checks the parts of all agents in `store` and writes what needs the whole.
///
/// Parts that are missing, of another run, or that do not fit together are an [`Error::Different`] that names agent,
/// table and range.
pub fn seal(store: &dyn Store, options: &SealOptions<'_>) -> Result<SealOutcome> {
    let Some(bytes) = store.get(RUN)? else {
        return Err(Error::Missing {
            what: format!("{} is not there: no run to seal", store.location(RUN)),
            hint: Some("give the --output of the extract".to_owned()),
        });
    };
    let run: RunInfo = read_json(&store.location(RUN), &bytes)?;
    let manifests = read_manifests(store, &run)?;
    for manifest in manifests.values() {
        check_sums(manifest)?;
    }
    let tables = sum_tables(&manifests)?;
    check_ranges(&run, &manifests)?;
    check_objects(store, &tables)?;
    let (whole, mut warnings) = read_reports(store, manifests.keys())?;
    let hand_off = hand_offs(store, manifests.values(), options.accept_unproven_handoff)?;
    warnings.extend(
        hand_off
            .iter()
            .filter(|host| host.proof == HandOffProof::Unproven)
            .map(|host| format!("changes may be missing: {}", host.words)),
    );

    let mut sealed = SideObjects::default();
    if let Some(cql) = options.schema_cql {
        sealed.objects.push((SCHEMA.to_owned(), cql.as_bytes().to_vec()));
    }
    profile_side_files(store, &run, &tables, options, &mut sealed)?;
    if let Some(make) = options.side_files {
        sealed.objects.extend(make(&run, &tables)?);
    }
    warnings.extend(sealed.warnings);

    let complete = Complete {
        format_version: FORMAT_VERSION,
        tool: tool(),
        profile: run.profile.clone(),
        clock: run.clock.clone(),
        finished: manifests.values().map(|m| m.finished.clone()).max().unwrap_or_default(),
        fingerprint: run.fingerprint.clone(),
        agents: manifests.keys().copied().collect(),
        rows: tables.iter().map(|table| table.rows).sum(),
        bytes: tables.iter().flat_map(SealedTable::all_files).map(|file| file.bytes).sum(),
        tables: tables.iter().map(complete_table).collect(),
        side_files: sealed.objects.iter().map(|(name, _)| name.clone()).collect(),
        dms_endpoints: sealed.dms_endpoints,
        hand_off,
    };
    remove_stale(store, &complete)?;
    let mut already_sealed = true;
    sealed.objects.push((COMPLETE.to_owned(), write_json(&complete)?));
    let mut rewritten = None;
    for (name, bytes) in &sealed.objects {
        let folder = name.strip_suffix(FOLDER_MANIFEST);
        // What says that a folder is whole is the newest in it.
        let is_older = name.strip_suffix(SUCCESS).is_some_and(|folder| rewritten == Some(folder));
        if is_older || store.get(name)?.as_ref() != Some(bytes) {
            rewritten = folder.or(rewritten);
            store.put(name, bytes)?;
            options.events.object_written(&store.location(name));
            already_sealed = false;
        }
    }
    Ok(SealOutcome { complete, tables, already_sealed, whole, warnings })
}

/// Objects to be written beside `complete.json`.
#[derive(Default)]
struct SideObjects {
    objects: Vec<(String, Vec<u8>)>,
    dms_endpoints: Vec<Vec<String>>,
    warnings: Vec<String>,
}

fn read_manifests(store: &dyn Store, run: &RunInfo) -> Result<BTreeMap<u32, Manifest>> {
    let mut agents = BTreeSet::new();
    for object in store.list(AGENTS)? {
        let folder = object.name.strip_prefix(AGENTS).and_then(|rest| rest.split_once('/'));
        let agent = folder.and_then(|(folder, _)| u32::from_str_radix(folder, 16).ok());
        agents.extend(agent);
    }
    let mut manifests = BTreeMap::new();
    for agent in agents {
        let name = agent_file(agent, "manifest.json");
        let Some(bytes) = store.get(&name)? else {
            return Err(Error::Different(format!(
                "agent {agent} is not complete: it has no {name}"
            )));
        };
        let manifest: Manifest = read_json(&store.location(&name), &bytes)?;
        let fault = if manifest.agent != agent {
            format!("is the manifest of agent {}", manifest.agent)
        } else if manifest.fingerprint != run.fingerprint {
            "is of another run".to_owned()
        } else if !manifest.complete {
            "says that the agent is not complete".to_owned()
        } else {
            manifests.insert(agent, manifest);
            continue;
        };
        return Err(Error::Different(format!("{name} {fault}")));
    }
    let wanted = usize::try_from(run.agents).unwrap_or(usize::MAX);
    if manifests.len() != wanted {
        let missing: Vec<_> = expected_agents(run, &manifests)
            .into_iter()
            .filter(|agent| !manifests.contains_key(agent))
            .take(10)
            .map(|agent| agent.to_string())
            .collect();
        let whose = if missing.is_empty() || manifests.len() > wanted {
            String::new()
        } else {
            format!(", for instance nothing of {}", missing.join(", "))
        };
        return Err(Error::Different(format!(
            "{} of {wanted} agents are complete{whose}",
            manifests.len()
        )));
    }
    Ok(manifests)
}

/// Numbers of the agents that there should be, as far as they are known: shards are numbered from 0, nodes by their places in
/// the ring, of which those in the data center of the agents that are there take part. (`--agent` may have said otherwise.)
fn expected_agents(run: &RunInfo, manifests: &BTreeMap<u32, Manifest>) -> Vec<u32> {
    if run.ownership != Ownership::Primary.as_str() {
        return (0..run.agents).collect();
    }
    let center = manifests.values().find_map(|manifest| manifest.data_center.as_ref());
    (0..)
        .zip(&run.ring)
        .filter(|(_, node)| node.data_center.as_ref() == center)
        .map(|(place, _)| place)
        .collect()
}

/// Checks that the sums in a manifest are those of its files.
fn check_sums(manifest: &Manifest) -> Result<()> {
    for table in &manifest.tables {
        let mut digest = RecordDigest::default();
        let mut rows = 0_u64;
        for file in &table.files {
            digest.merge(file.digest);
            rows = rows.saturating_add(file.rows);
        }
        let name = format!("agent {}, {}.{}", manifest.agent, table.keyspace, table.table);
        if let Some(deletes) = &table.deletes
            && *deletes != ManifestDeletes::of(deletes.files.clone())
        {
            return Err(Error::Different(format!(
                "{name}: the number or digest of deletions in the manifest is not that of its files"
            )));
        }
        if rows != table.rows {
            return Err(Error::Different(format!(
                "{name}: the manifest says {} rows, its files have {rows}",
                table.rows
            )));
        }
        if digest != table.digest {
            return Err(Error::Different(format!(
                "{name}: the manifest says digest {}, its files have {digest}",
                table.digest
            )));
        }
    }
    Ok(())
}

/// Puts the tables of all agents together; each agent must have all of them, alike.
fn sum_tables(manifests: &BTreeMap<u32, Manifest>) -> Result<Vec<SealedTable>> {
    let mut sums: BTreeMap<(&str, &str), (u32, SealedTable)> = BTreeMap::new();
    for manifest in manifests.values() {
        for table in &manifest.tables {
            let key = (table.keyspace.as_str(), table.table.as_str());
            match sums.get_mut(&key) {
                None => {
                    sums.insert(key, (manifest.agent, first_part(table)));
                }
                Some((first, sum)) => {
                    add_part(sum, table).map_err(|fault| {
                        Error::Different(format!(
                            "{}.{}: agents {first} and {} {fault}",
                            table.keyspace, table.table, manifest.agent
                        ))
                    })?;
                }
            }
        }
    }
    for (keyspace, table) in sums.keys() {
        for manifest in manifests.values() {
            let has = |found: &&ManifestTable| found.keyspace == *keyspace && found.table == *table;
            let count = manifest.tables.iter().filter(has).count();
            if count != 1 {
                let words = if count == 0 { "did not extract" } else { "lists more than once" };
                return Err(Error::Different(format!(
                    "agent {} {words} table {keyspace}.{table}",
                    manifest.agent
                )));
            }
        }
    }
    Ok(sums.into_values().map(|(_, table)| table).collect())
}

fn first_part(table: &ManifestTable) -> SealedTable {
    SealedTable {
        keyspace: table.keyspace.clone(),
        table: table.table.clone(),
        table_id: table.table_id.clone(),
        columns: table.columns.clone(),
        files: table.files.clone(),
        deletes: table.deletes.clone(),
        rows: table.rows,
        digest: table.digest,
        counters: table.counters.clone(),
    }
}

fn add_part(sum: &mut SealedTable, part: &ManifestTable) -> Result<(), String> {
    if sum.table_id != part.table_id {
        return Err("extracted tables of different ids: it was dropped and made again".to_owned());
    }
    if sum.columns.len() != part.columns.len() {
        return Err("wrote different numbers of columns".to_owned());
    }
    for (column, other) in sum.columns.iter_mut().zip(&part.columns) {
        let same = column.name == other.name
            && column.cql_type == other.cql_type
            && column.kind == other.kind
            && column.column_type == other.column_type;
        if !same {
            return Err(format!(
                "wrote different columns: {} {} and {} {}",
                column.name, column.cql_type, other.name, other.cql_type
            ));
        }
        column.stats.merge(&other.stats);
    }
    match (&mut sum.deletes, &part.deletes) {
        (None, None) => {}
        (Some(sum), Some(part)) => sum.merge(part),
        (None, Some(_)) | (Some(_), None) => {
            return Err("are not both with deletions".to_owned());
        }
    }
    sum.files.extend_from_slice(&part.files);
    sum.rows = sum.rows.saturating_add(part.rows);
    sum.digest.merge(part.digest);
    sum.counters.merge(&part.counters);
    Ok(())
}

/// Checks that the ranges of all agents cover what the run was to extract, each token once.
fn check_ranges(run: &RunInfo, manifests: &BTreeMap<u32, Manifest>) -> Result<()> {
    let wanted =
        ranges(&run.ranges).map_err(|fault| Error::Different(format!("{RUN}: {fault}")))?;
    let mut claims: BTreeMap<(&str, &str), Vec<Claim>> = BTreeMap::new();
    for manifest in manifests.values() {
        for table in &manifest.tables {
            let ranges = ranges(&table.ranges).map_err(|fault| {
                Error::Different(format!(
                    "agent {}, {}.{}: {fault}",
                    manifest.agent, table.keyspace, table.table
                ))
            })?;
            let of_table = claims.entry((&table.keyspace, &table.table)).or_default();
            of_table.extend(ranges.into_iter().map(|range| Claim { agent: manifest.agent, range }));
        }
    }
    for ((keyspace, table), claims) in claims {
        let own = run.table_ranges.get(&format!("{keyspace}.{table}")).map(|own| ranges(own));
        let own = own.transpose().map_err(|fault| Error::Different(format!("{RUN}: {fault}")))?;
        check_coverage(own.as_ref().unwrap_or(&wanted), &claims)
            .map_err(|fault| Error::Different(format!("{keyspace}.{table}: {fault}")))?;
    }
    Ok(())
}

fn ranges(intervals: &[TokenInterval]) -> Result<Vec<TokenRange>, String> {
    intervals
        .iter()
        .map(|interval| {
            interval
                .to_range()
                .ok_or_else(|| format!("({}, {}] is no token range", interval.start, interval.end))
        })
        .collect()
}

/// Checks that each table's folders hold the files of the manifests in full length and nothing else: DMS and DynamoDB's
/// import read whatever is there.
fn check_objects(store: &dyn Store, tables: &[SealedTable]) -> Result<()> {
    for table in tables {
        let folder = table_folder(&table.keyspace, &table.table);
        check_folder(store, table, &folder, &table.files)?;
        let deletes = table_folder(&table.keyspace, &deletes_of(&table.table));
        let files = table.deletes.as_ref().map_or(&[][..], |deletes| &deletes.files);
        check_folder(store, table, &deletes, files)?;
    }
    Ok(())
}

fn check_folder(
    store: &dyn Store,
    table: &SealedTable,
    folder: &str,
    files: &[FileEntry],
) -> Result<()> {
    let mut expected = BTreeMap::new();
    for file in files {
        if !file.name.starts_with(folder) || expected.insert(&file.name, file.bytes).is_some() {
            return Err(Error::Different(format!(
                "{}.{}: two agents wrote {}, or it is not the table's",
                table.keyspace, table.table, file.name
            )));
        }
    }
    for object in store.list(folder)? {
        let location = store.location(&object.name);
        match expected.remove(&object.name) {
            Some(bytes) if bytes == object.bytes => {}
            Some(bytes) => {
                return Err(Error::Different(format!(
                    "{location} has {} bytes, its manifest says {bytes}",
                    object.bytes
                )));
            }
            None if is_side_file(&object.name, folder) => {}
            None => {
                return Err(Error::Different(format!(
                    "{location} is in no manifest; loaders would read it all the same"
                )));
            }
        }
    }
    match expected.first_key_value() {
        Some((name, _)) => Err(Error::Different(format!("{} is not there", store.location(name)))),
        None => Ok(()),
    }
}

/// Not a file of rows, but there for their readers.
fn is_side_file(name: &str, folder: &str) -> bool {
    name.strip_prefix(folder).is_some_and(|name| [SUCCESS, FOLDER_MANIFEST].contains(&name))
}

/// Reads the reports: true if nothing was skipped by any agent.
fn read_reports<'a>(
    store: &dyn Store,
    agents: impl Iterator<Item = &'a u32>,
) -> Result<(bool, Vec<String>)> {
    let (mut whole, mut warnings) = (true, Vec::new());
    for agent in agents {
        let name = agent_file(*agent, "report.json");
        let Some(bytes) = store.get(&name)? else {
            whole = false;
            warnings.push(format!("agent {agent} left no report: what it skipped is not known"));
            continue;
        };
        let report: Report = read_json(&store.location(&name), &bytes)?;
        if !report.is_whole() || !report.balanced {
            whole = false;
            warnings.push(format!("agent {agent} skipped something: {}", store.location(&name)));
        }
    }
    Ok((whole, warnings))
}

fn profile_side_files(
    store: &dyn Store,
    run: &RunInfo,
    tables: &[SealedTable],
    options: &SealOptions<'_>,
    sealed: &mut SideObjects,
) -> Result<()> {
    match run.profile.parse()? {
        Profile::Dms => {
            let of = |t: &SealedTable| dms_table(&t.keyspace, &t.table, &t.columns);
            let tables = tables.iter().map(of).collect::<Result<Vec<_>>>()?;
            let made = write_dms_files(&tables, &options.dms)?;
            let objects =
                made.files.into_iter().map(|(name, bytes)| (format!("{OWN}/{name}"), bytes));
            sealed.objects.extend(objects);
            sealed.dms_endpoints = made.endpoints;
            sealed.warnings.extend(made.warnings);
        }
        Profile::DdbJson => {
            let imported = |t: &'_ SealedTable| -> Result<DmsTable> {
                dms_table(&t.keyspace, &t.table, &t.columns)
            };
            let dms = tables.iter().map(imported).collect::<Result<Vec<_>>>()?;
            let of_tables: Vec<_> = tables
                .iter()
                .zip(dms)
                .map(|(table, dms)| ImportedTable {
                    keyspace: &table.keyspace,
                    table: &table.table,
                    columns: &table.columns,
                    dms,
                })
                .collect();
            let shape = run.options.get("ddbShape").and_then(|shape| shape.as_str());
            let shape: DdbShape = shape.unwrap_or(DdbShape::Native.as_str()).parse()?;
            let made = import_requests(&of_tables, shape, &run.compression, &options.dms)?;
            sealed.objects.extend(made.files);
            sealed.warnings.extend(made.warnings);
        }
        profile => {
            let schema = match options.schema_cql {
                Some(cql) => Some(cql.to_owned()),
                None => {
                    let bytes = store.get(SCHEMA)?.unwrap_or_default();
                    String::from_utf8(bytes).ok()
                }
            };
            // It is read for the fields of user-defined types only; where they are missing, that is told of the table.
            let schema = schema.and_then(|cql| parse_schema(&cql, None).ok());
            for table in tables {
                let made =
                    side_files(store, profile, table, schema.as_ref(), &mut sealed.warnings)?;
                sealed.objects.extend(made);
            }
        }
    }
    Ok(())
}

/// A table as DMS sees it.
pub(super) fn dms_table(
    keyspace: &str,
    table: &str,
    columns: &[ManifestColumn],
) -> Result<DmsTable> {
    let column = |column: &ManifestColumn| {
        let column_type = match &column.column_type {
            None => dms_type(&column.cql_type, &column.stats),
            Some(asked) => asked_type(asked, &column.cql_type, &column.stats).map_err(|words| {
                let name = format!("{keyspace}.{table}.{}", column.name);
                Error::usage(format!("--column-type {name}: {words}"))
            })?,
        };
        Ok(DmsColumn {
            name: column.name.clone(),
            role: match column.kind {
                OutputColumnKind::PartitionKey => ColumnRole::PartitionKey,
                OutputColumnKind::Clustering => ColumnRole::Clustering,
                OutputColumnKind::Static
                | OutputColumnKind::Regular
                | OutputColumnKind::Metadata => ColumnRole::Other,
                OutputColumnKind::CompositeKey if column.name == SORT_KEY_COLUMN => {
                    ColumnRole::GeneratedSortKey
                }
                OutputColumnKind::CompositeKey => ColumnRole::GeneratedPartitionKey,
            },
            column_type,
            max_bytes: column.stats.max_bytes,
        })
    };
    Ok(DmsTable {
        keyspace: keyspace.to_owned(),
        table: table.to_owned(),
        columns: columns.iter().map(column).collect::<Result<_>>()?,
    })
}

fn complete_table(table: &SealedTable) -> CompleteTable {
    CompleteTable {
        keyspace: table.keyspace.clone(),
        table: table.table.clone(),
        table_id: table.table_id.clone(),
        rows: table.rows,
        bytes: table.files.iter().map(|file| file.bytes).sum(),
        files: table.files.len() as u64,
        digest: table.digest,
        counters: table.counters.clone(),
        deletes: table.deletes.as_ref().map(|deletes| CompleteDeletes {
            records: deletes.records,
            bytes: deletes.files.iter().map(|file| file.bytes).sum(),
            files: deletes.files.len() as u64,
            digest: deletes.digest,
        }),
    }
}

/// Takes back a former seal of other parts: first its `complete.json`, so that nobody trusts it meanwhile, then the side
/// files that are not made again.
fn remove_stale(store: &dyn Store, complete: &Complete) -> Result<()> {
    let Some(bytes) = store.get(COMPLETE)? else { return Ok(()) };
    if bytes == write_json(complete)? {
        return Ok(());
    }
    let former: Complete = read_json(&store.location(COMPLETE), &bytes)?;
    store.delete(COMPLETE)?;
    for name in former.side_files.iter().filter(|name| !complete.side_files.contains(name)) {
        // The schema may have been written by an agent; it is not of one seal or another.
        if name != SCHEMA {
            store.delete(name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
