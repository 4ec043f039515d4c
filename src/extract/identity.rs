//! What tells one run from another: what all of its agents share, and the files that one of them reads.

use std::collections::BTreeMap;

use serde_json::json;

use crate::dht::{Ring, RingMember};
use crate::discover::Source;
use crate::error::Result;
use crate::output::Profile;
use crate::output::manifest::{FORMAT_VERSION, TokenInterval, tool};
use crate::output::run::{RingNode, RunInfo, fingerprint};
use crate::output::state::SourceFiles;
use crate::progress::UnixMillis;
use crate::schema::write_schema;

use super::options::ExtractOptions;
use super::overlay;
use super::plan::{Plan, TablePlan};
use super::share::Ownership;

/// `run.json` as this agent would write it.
pub(super) fn run_info(options: &ExtractOptions, source: &Source, plan: &Plan) -> Result<RunInfo> {
    let records = &options.records;
    let mut given = BTreeMap::new();
    given.insert("fileSize".to_owned(), json!(options.file_size));
    given.insert("writetime".to_owned(), json!(records.writetime));
    given.insert("expiresColumn".to_owned(), json!(records.expires_column));
    given.insert("includeColumns".to_owned(), json!(records.include_columns));
    given.insert("excludeColumns".to_owned(), json!(records.exclude_columns));
    given.insert("rename".to_owned(), json!(records.rename));
    given.insert("columnTypes".to_owned(), json!(records.column_types));
    given.insert(
        "jsonNumbers".to_owned(),
        json!(format!("{:?}", records.json_numbers).to_lowercase()),
    );
    if records.profile == Profile::DdbJson {
        given.insert("ddbShape".to_owned(), json!(records.ddb_shape.as_str()));
        given.insert("ddbKeys".to_owned(), json!(records.ddb_keys.as_str()));
    }
    given.insert("onCorrupt".to_owned(), json!(format!("{:?}", options.on_corrupt).to_lowercase()));
    if options.deletes {
        given.insert("deletes".to_owned(), json!(true));
    }
    if plan.overlays.is_some() {
        given.insert("commitLog".to_owned(), json!(true));
    }
    let tables: Vec<&str> = plan.tables.iter().map(|table| table.job.name.as_str()).collect();
    given.insert("tables".to_owned(), json!(tables));
    let schema = write_schema(&source.schema, &|table| plan.selects(table));
    let cluster = source.nodes.iter().find_map(|node| node.host.as_ref()?.cluster_name.clone());
    RunInfo {
        format_version: FORMAT_VERSION,
        tool: tool(),
        clock: UnixMillis(options.now.saturating_mul(1000)).to_string(),
        profile: records.profile.as_str().to_owned(),
        metadata: records.metadata.as_str().to_owned(),
        compression: records.compression.as_str().to_owned(),
        cluster,
        partitioner: format!("org.apache.cassandra.dht.{}", plan.partitioner.name()),
        ownership: plan.share.ownership.as_str().to_owned(),
        agents: plan.share.agents,
        options: given,
        schema_fingerprint: fingerprint(&[schema.as_bytes()]),
        ring: source.ring.whole().map(ring_nodes).unwrap_or_default(),
        ranges: plan.share.wanted.iter().copied().map(TokenInterval::from).collect(),
        table_ranges: replica_ranges(plan),
        fingerprint: String::new(),
    }
    .seal_fingerprint()
}

fn ring_nodes(ring: &Ring) -> Vec<RingNode> {
    let node = |member: &RingMember| RingNode {
        host_id: member.host_id.to_string(),
        data_center: Some(member.data_center.clone()),
        rack: Some(member.rack.clone()),
        tokens: member.tokens.iter().map(ToString::to_string).collect(),
    };
    ring.members().iter().map(node).collect()
}

/// What one node alone is to extract as a replica, by table: how much that is depends on the keyspace.
fn replica_ranges(plan: &Plan) -> BTreeMap<String, Vec<TokenInterval>> {
    let of_table = |table: &TablePlan| {
        let ranges = table.ranges.iter().copied().map(TokenInterval::from).collect();
        (table.job.name.clone(), ranges)
    };
    let replica = plan.share.ownership == Ownership::Replica;
    plan.tables.iter().filter(|_| replica).map(of_table).collect()
}

/// The input files, and a fingerprint of them and of the splits made from them.
pub(super) fn source_files(source: &Source, plan: &Plan) -> SourceFiles {
    let mut text = String::new();
    let mut sstables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in &plan.tables {
        text.push_str(&table.job.name);
        let opened = table.job.readers.iter().map(|reader| reader.descriptor());
        for descriptor in opened.chain(table.left_out.iter().map(|sstable| &sstable.descriptor)) {
            let names = sstables.entry(source.relative(&descriptor.directory)).or_default();
            names.push(descriptor.prefix().trim_end_matches('-').to_owned());
        }
        for reader in &table.job.readers {
            let (stored, data) = (reader.chunks().stored_len(), reader.chunks().data_len());
            text.push_str(&format!("\n{}{stored} {data}", reader.descriptor().prefix()));
        }
        for sstable in &table.left_out {
            text.push_str(&format!("\n{}", sstable.fingerprint));
        }
        for split in &table.splits {
            text.push_str(&format!("\n{} {} {}", split.number, split.range.start, split.range.end));
        }
        text.push('\n');
    }
    if let Some(logs) = &plan.overlays {
        text.push_str(&overlay::fingerprint(logs));
    }
    SourceFiles { fingerprint: fingerprint(&[text.as_bytes()]), sstables }
}
