//! `cat --explain`: which SSTable's version of each cell won, and what the others lost to.
//!
//! The merge itself is asked, twice over: what it hands on carries the number of its source, and what it does not hand on
//! is compared with the deletions that were in force. So the explanation cannot disagree with what `extract` writes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::json;
use super::run::{Shown, each_partition, print};
use crate::dht::Token;
use crate::error::{Error, Result};
use crate::merge::{ClusteringOrder, PartitionMerge, RowSink};
use crate::rows::{Cell, DeletionTime, Marker, PartitionSource, Row, RowView, Unfiltered};

/// A row or marker of one SSTable, copied out of its window.
struct Version {
    source: usize,
    row: Row,
    data: Vec<u8>,
    marker: Option<Marker>,
}

impl Version {
    fn view(&self) -> RowView<'_> {
        RowView { row: &self.row, data: &self.data }
    }

    fn side(&self) -> i8 {
        self.marker.map_or(0, |marker| marker.kind.side())
    }
}

/// One partition as all SSTables have it.
#[derive(Default)]
struct Partition {
    deletions: Vec<(usize, DeletionTime)>,
    statics: Vec<Version>,
    versions: Vec<Version>,
}

/// What the merge handed on of a partition: for each row (by its place in clustering order) the live cells.
type Winner = (usize, u16, Vec<u8>, i64, u16);

struct Winners<'a> {
    shown: &'a Shown<'a>,
    wanted: bool,
    rows: Vec<(Row, Vec<u8>)>,
    statics: Option<(Row, Vec<u8>)>,
}

impl RowSink for Winners<'_> {
    fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
        self.wanted = self.shown.wants(key);
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        if self.wanted {
            self.statics = row.map(|view| (view.row.clone(), view.data.to_vec()));
        }
        Ok(())
    }

    fn row(&mut self, view: RowView<'_>) -> Result<()> {
        if self.wanted {
            self.rows.push((view.row.clone(), view.data.to_vec()));
        }
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Prints one line per row of the partition: its versions, cell by cell, each with its fate.
pub(super) fn show(shown: &Shown<'_>) -> Result<()> {
    let Some(key) = &shown.key else {
        return Err(Error::Usage {
            what: "--explain needs the partition".into(),
            hint: Some("name it with --key".into()),
        });
    };
    let mut partition = Partition::default();
    each_partition(shown, |i, scanner| {
        partition.deletions.push((i, scanner.deletion()));
        let copy = |view: RowView<'_>, marker| Version {
            source: i,
            row: view.row.clone(),
            data: view.data.to_vec(),
            marker,
        };
        partition.statics.extend(scanner.static_row().map(|view| copy(view, None)));
        loop {
            match scanner.next()? {
                Unfiltered::Row => partition.versions.push(copy(scanner.row(), None)),
                Unfiltered::Marker(marker) => {
                    partition.versions.push(copy(scanner.row(), Some(marker)))
                }
                Unfiltered::End => return Ok(()),
            }
        }
    })?;
    let mut winners = Winners { shown, wanted: false, rows: Vec::new(), statics: None };
    let mut merge =
        PartitionMerge::new(shown.table, shown.rule, shown.now, false, shown.scanners()?);
    while merge.step(&mut winners)? {}

    let order = ClusteringOrder::new(shown.table);
    partition.versions.sort_by(|a, b| order.compare(a.view(), a.side(), b.view(), b.side()));
    let mut out = Vec::new();
    let mut line = |value: Value| -> Result<()> {
        out.extend_from_slice(value.to_string().as_bytes());
        out.push(b'\n');
        print(&mut out, false)
    };
    let name = |source: usize| source_name(shown, source);
    let partition_deletion = strongest(
        partition
            .deletions
            .iter()
            .map(|(s, d)| (*d, format!("partition deletion in {}", name(*s)))),
    );
    line(
        json!({ "kind": "partition", "key": json::key(shown.table, key), "deletedBy": partition_deletion.1 }),
    )?;
    if !partition.statics.is_empty() {
        let winner = winners.statics.as_ref().map(|(row, data)| RowView { row, data });
        let versions: Vec<&Version> = partition.statics.iter().collect();
        line(explained(shown, &versions, winner, &partition_deletion, true))?;
    }
    let mut open: BTreeMap<usize, DeletionTime> = BTreeMap::new();
    let mut at = 0;
    while let Some(first) = partition.versions.get(at) {
        let group: Vec<&Version> = partition
            .versions
            .iter()
            .skip(at)
            .take_while(|v| order.compare(first.view(), first.side(), v.view(), v.side()).is_eq())
            .collect();
        at += group.len();
        if first.marker.is_some() {
            for version in &group {
                if let Some(marker) = &version.marker {
                    open.insert(version.source, marker.start);
                    let mut shown_marker = json::marker(shown.table, version.view(), marker);
                    if let Some(object) = shown_marker.as_object_mut() {
                        object.insert("kind".into(), "range".into());
                        object.insert("sstable".into(), name(version.source).into());
                    }
                    line(shown_marker)?;
                }
            }
            continue;
        }
        let ranges = open.iter().map(|(s, d)| (*d, format!("range deletion in {}", name(*s))));
        let active = strongest(ranges.chain(std::iter::once((
            partition_deletion.0,
            partition_deletion.1.clone().unwrap_or_default(),
        ))));
        let winner = winners
            .rows
            .iter()
            .map(|(row, data)| RowView { row, data })
            .find(|view| order.compare(*view, 0, first.view(), 0).is_eq());
        line(explained(shown, &group, winner, &active, false))?;
    }
    print(&mut out, true)
}

fn source_name(shown: &Shown<'_>, source: usize) -> String {
    let prefix =
        shown.readers.get(source).map(|reader| reader.descriptor().prefix()).unwrap_or_default();
    prefix.trim_end_matches('-').to_owned()
}

/// The deletion that supersedes the others, and its words.
fn strongest(
    deletions: impl Iterator<Item = (DeletionTime, String)>,
) -> (DeletionTime, Option<String>) {
    let mut best = (DeletionTime::LIVE, None);
    for (deletion, words) in deletions {
        if deletion.supersedes(&best.0) {
            best = (deletion, Some(words));
        }
    }
    best
}

fn explained(
    shown: &Shown<'_>,
    versions: &[&Version],
    winner: Option<RowView<'_>>,
    active: &(DeletionTime, Option<String>),
    is_static: bool,
) -> Value {
    let columns = if is_static { &shown.table.statics } else { &shown.table.regulars };
    let name = |source: usize| source_name(shown, source);
    let rows =
        versions.iter().map(|v| (v.row.deletion, format!("row deletion in {}", name(v.source))));
    let above = std::iter::once((active.0, active.1.clone().unwrap_or_default()));
    let row_deletion = strongest(above.chain(rows));
    let live: Vec<Winner> = winner
        .map(|view| {
            let cells = view.row.cells.iter();
            cells
                .map(|c| (0, c.column, c.path.of(view.data).to_vec(), c.timestamp, c.source))
                .collect()
        })
        .unwrap_or_default();
    let mut cells = Vec::new();
    for version in versions {
        for cell in &version.row.cells {
            let Some(column) = columns.get(usize::from(cell.column)) else { continue };
            let complex = versions.iter().flat_map(|v| {
                let of_column = v.row.complex.iter().filter(|c| c.column == cell.column);
                of_column
                    .map(|c| (c.deletion, format!("deletion of the column in {}", name(v.source))))
            });
            let above =
                std::iter::once((row_deletion.0, row_deletion.1.clone().unwrap_or_default()));
            let deletion = strongest(above.chain(complex));
            let mut value = json::cell(column, cell, &version.data);
            if let Some(object) = value.as_object_mut() {
                object.insert("sstable".into(), name(version.source).into());
                object.insert(
                    "fate".into(),
                    fate(shown, versions, version, cell, &live, &deletion).into(),
                );
            }
            cells.push(value);
        }
    }
    let head = if is_static { json!(true) } else { Value::Null };
    let clustering =
        versions.first().map_or(Value::Null, |v| json::clustering(shown.table, v.view()));
    json!({
        "kind": if is_static { "static" } else { "row" },
        "clustering": if is_static { head } else { clustering },
        "exists": winner.is_some(),
        "markers": versions.iter().filter(|v| !v.row.liveness.is_empty()).map(|v| json!({
            "sstable": name(v.source), "writetime": v.row.liveness.timestamp,
            "ttl": if v.row.liveness.ttl == crate::rows::NO_TTL { Value::Null } else { v.row.liveness.ttl.into() },
            "fate": if row_deletion.0.deletes(v.row.liveness.timestamp) && !row_deletion.0.is_live() {
                format!("under the {}", row_deletion.1.clone().unwrap_or_default())
            } else if !v.row.liveness.is_live(shown.now) { "expired".to_owned() } else { "live".to_owned() },
        })).collect::<Vec<_>>(),
        "cells": cells,
    })
}

fn fate(
    shown: &Shown<'_>,
    versions: &[&Version],
    version: &Version,
    cell: &Cell,
    live: &[Winner],
    deletion: &(DeletionTime, Option<String>),
) -> String {
    if !deletion.0.is_live() && deletion.0.deletes(cell.timestamp) {
        return format!("under the {}", deletion.1.clone().unwrap_or_default());
    }
    let path = cell.path.of(&version.data);
    // With one version there is no merge, and the cell's source is not numbered.
    let only = versions.len() == 1;
    let winner = live.iter().find(|(_, column, p, ..)| *column == cell.column && p == path);
    match winner {
        Some((.., timestamp, source))
            if *timestamp == cell.timestamp && (only || usize::from(*source) == version.source) =>
        {
            "won".to_owned()
        }
        Some((.., source)) if !only => {
            format!("lost to {}", source_name(shown, usize::from(*source)))
        }
        _ if cell.is_tombstone() => "a tombstone".to_owned(),
        _ if !cell.is_live(shown.now) => "expired".to_owned(),
        _ => "lost to a tombstone or to an expired cell".to_owned(),
    }
}
