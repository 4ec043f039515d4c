//! What the node's own tables say of its commit log: up to where tables were truncated, and what of the log is flushed.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::raw_row::RawValue;
use super::source::Source;
use super::system_table;
use crate::commitlog::{is_schema_table, system_table_id};
use crate::error::{DecodeError, Result};
use crate::io::{ByteReader, ReadMode};
use crate::schema::TableId;
use crate::sstable::Component;
use crate::sstable::stats::{CommitLogPosition, Statistics, StatsMetadata};

impl Source {
    /// The truncations that `system.local` of a node records: what of a table is in its log at or before the position is gone.
    /// `node`: its place among [`Source::nodes`]; `now`: the clock, seconds.
    pub fn truncations(
        &self,
        node: usize,
        mode: ReadMode,
        now: i64,
    ) -> Result<BTreeMap<TableId, CommitLogPosition>> {
        let mut found = BTreeMap::new();
        for row in self.system_rows_of(node, &system_table("system", "local")?, mode, now)? {
            let Some(RawValue::Elements(elements)) = row.get("truncated_at") else { continue };
            for (id, value) in elements {
                let (id, position) =
                    read_truncation(id, value).map_err(|e| e.in_file("system.local".as_ref()))?;
                found.insert(id, position);
            }
        }
        Ok(found)
    }

    /// Statistics of the SSTables of the tables that hold the schema, by table id: of those of a node that are there and readable.
    pub fn schema_statistics(&self, node: usize) -> BTreeMap<TableId, Vec<StatsMetadata>> {
        let mut found = BTreeMap::new();
        for dir in self.dirs.tables.iter().chain(&self.dirs.surrounding) {
            let id = system_table_id(&dir.keyspace, &dir.table);
            if !is_schema_table(id) || dir.id.is_some_and(|other| other != id) {
                continue;
            }
            let sstables = dir.sstables.iter().map(|sstable| &sstable.descriptor);
            let of_node = sstables.filter(|d| self.node_of(&d.directory) == Some(node));
            let statistics = of_node.filter_map(|descriptor| {
                let path = descriptor.path(Component::Statistics);
                Statistics::read(&path, descriptor.version).ok()
            });
            let statistics = statistics.map(|statistics| statistics.stats);
            found.entry(id).or_insert_with(Vec::new).extend(statistics);
        }
        found
    }
}

/// `i64 segment, i32 position, i64 time in ms`; the key is the table's id.
fn read_truncation(id: &[u8], value: &[u8]) -> Result<(TableId, CommitLogPosition), DecodeError> {
    let mut r = ByteReader::new(id);
    let id = TableId(Uuid::from_bytes(*r.read_uuid("truncated table")?.as_bytes()));
    r.finish("truncated table")?;
    let mut r = ByteReader::new(value);
    let segment_id = r.read_i64("segment of a truncation")?;
    let position = r.read_i32("position of a truncation")?;
    r.skip(8, "time of a truncation")?;
    r.finish("truncation")?;
    Ok((id, CommitLogPosition { segment_id, position }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncation_is_a_position_and_a_time() {
        let value = [&7_i64.to_be_bytes()[..], &9_i32.to_be_bytes(), &1_i64.to_be_bytes()].concat();
        let expected = CommitLogPosition { segment_id: 7, position: 9 };
        let (id, position) = read_truncation(&[3; 16], &value).unwrap();
        assert_eq!((id, position), (TableId(Uuid::from_bytes([3; 16])), expected));
        assert!(read_truncation(&[3; 15], &value).is_err());
        assert!(read_truncation(&[3; 16], &value[..19]).is_err());
        assert!(read_truncation(&[3; 16], &[&value[..], &[0]].concat()).is_err());
    }
}
