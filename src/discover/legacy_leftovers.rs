//! What interrupted compactions of 2.x left behind (`ColumnFamilyStore.removeUnfinishedCompactionLeftovers`).
//!
//! 2.x has no transaction logs. Each SSTable names the ones that it was compacted from, its ancestors, and
//! `system.compactions_in_progress` the inputs of compactions that may not have ended. As Cassandra does when it starts:
//!
//! * an SSTable whose ancestors are all inputs of such compactions, and all still there, was not finished: it is left out;
//! * the ancestors of all others are obsolete: where they are still there, they are left out.
//!
//! Snapshots and backups hold nothing unfinished, and ancestors mean nothing in them.

use std::collections::{BTreeMap, BTreeSet};

use super::data_dir::{DataDirs, TableDir};
use super::legacy_schema::legacy_system_tables;
use super::live_set::LiveSstable;
use super::raw_row::{RawValue, SystemTables};
use crate::error::Result;
use crate::sstable::stats::Statistics;
use crate::sstable::{Component, SstableId};

/// Numbers of the SSTables that unfinished compactions read, by keyspace and table.
pub(super) type Unfinished = BTreeMap<(String, String), BTreeSet<u64>>;

/// Reads `system.compactions_in_progress`.
pub(super) fn unfinished_compactions(tables: &mut dyn SystemTables) -> Result<Unfinished> {
    let definitions = legacy_system_tables()?;
    let mut unfinished = Unfinished::new();
    let Some(table) = definitions.table("system", "compactions_in_progress") else {
        return Ok(unfinished);
    };
    for row in tables.rows(table)? {
        let text = |name: &str| match row.get(name) {
            Some(RawValue::Simple(bytes)) => String::from_utf8(bytes.clone()).unwrap_or_default(),
            Some(RawValue::Elements(_)) | None => String::new(),
        };
        let Some(RawValue::Elements(inputs)) = row.get("inputs") else { continue };
        let numbers = inputs.iter().filter_map(|(path, _)| {
            let number = i32::from_be_bytes(path.as_slice().try_into().ok()?);
            u64::try_from(number).ok()
        });
        let key = (text("keyspace_name"), text("columnfamily_name"));
        unfinished.entry(key).or_default().extend(numbers);
    }
    Ok(unfinished)
}

/// Takes the leftovers out of the live SSTables and counts them.
pub(super) fn leave_out(dirs: &mut DataDirs, unfinished: &Unfinished) {
    for dir in dirs.tables.iter_mut().chain(&mut dirs.surrounding) {
        let key = (dir.keyspace.clone(), dir.table.clone());
        leave_out_of(dir, unfinished.get(&key));
    }
}

fn leave_out_of(dir: &mut TableDir, unfinished: Option<&BTreeSet<u64>>) {
    let folders = dir.folders.clone();
    let is_ours = |sstable: &LiveSstable| {
        sstable.descriptor.version.has_atoms() && folders.contains(&sstable.descriptor.directory)
    };
    let number = |sstable: &LiveSstable| match sstable.descriptor.id {
        SstableId::Sequence(number) => Some(number),
        SstableId::Uuid { .. } => None,
    };
    let mut ancestors = BTreeMap::new();
    for sstable in dir.sstables.iter().filter(|sstable| is_ours(sstable)) {
        let path = sstable.descriptor.path(Component::Statistics);
        // A file that cannot be read is an error of the one who reads the SSTable.
        let statistics = Statistics::read(&path, sstable.descriptor.version);
        let of = statistics.map(|s| s.ancestors).unwrap_or_default();
        if let Some(number) = number(sstable) {
            let of: BTreeSet<u64> = of.into_iter().map(u64::from).collect();
            ancestors.entry(number).or_insert_with(BTreeSet::new).extend(of);
        }
    }
    let none = BTreeSet::new();
    let found = leftovers(&ancestors, unfinished.unwrap_or(&none));
    dir.sstables.retain(|sstable| {
        let number = number(sstable).filter(|_| is_ours(sstable));
        !number.is_some_and(|n| found.unfinished.contains(&n) || found.obsolete.contains(&n))
    });
    dir.leftovers.unfinished += found.unfinished.len() as u64;
    dir.leftovers.obsolete += found.obsolete.len() as u64;
}

/// Which SSTables of a table are leftovers.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    unfinished: BTreeSet<u64>,
    obsolete: BTreeSet<u64>,
}

/// `ancestors`: of all SSTables that are there; `inputs`: of compactions that may not have ended.
fn leftovers(ancestors: &BTreeMap<u64, BTreeSet<u64>>, inputs: &BTreeSet<u64>) -> Found {
    let mut found = Found { unfinished: BTreeSet::new(), obsolete: BTreeSet::new() };
    for (number, own) in ancestors {
        let is_unfinished = !own.is_empty()
            && own.is_subset(inputs)
            && own.iter().all(|ancestor| ancestors.contains_key(ancestor));
        if is_unfinished {
            found.unfinished.insert(*number);
        } else {
            found.obsolete.extend(own.iter().filter(|ancestor| ancestors.contains_key(ancestor)));
        }
    }
    found.obsolete.retain(|number| !found.unfinished.contains(number));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbered = (u64, &'static [u64]);

    fn found(sstables: &[Numbered], inputs: &[u64]) -> (Vec<u64>, Vec<u64>) {
        let ancestors = sstables.iter().map(|(n, of)| (*n, of.iter().copied().collect())).collect();
        let found = leftovers(&ancestors, &inputs.iter().copied().collect());
        (found.unfinished.into_iter().collect(), found.obsolete.into_iter().collect())
    }

    #[test]
    fn the_new_one_goes_while_all_old_ones_are_there_and_else_the_old_ones_go() {
        let (flushed, compacted): (Numbered, Numbered) = ((1, &[]), (3, &[1, 2]));
        assert_eq!(found(&[flushed, (2, &[]), compacted], &[1, 2]), (vec![3], vec![]));
        // Nothing says that the compaction is not finished.
        assert_eq!(found(&[flushed, (2, &[]), compacted], &[]), (vec![], vec![1, 2]));
        // One of the inputs was deleted already, so the compaction had ended.
        assert_eq!(found(&[flushed, compacted], &[1, 2]), (vec![], vec![1]));
        assert_eq!(found(&[flushed, (2, &[])], &[1, 2]), (vec![], vec![]));
        // Two generations of compactions.
        assert_eq!(found(&[(2, &[]), compacted, (5, &[3, 4])], &[]), (vec![], vec![2, 3]));
    }
}
