//! Changes that are no writes of a user's table: of the schema, and TRUNCATE. Both are mutations of the node's own tables, in
//! the log of every node that has them.
//!
//! A truncation is an update of the map `truncated_at` of `system.local`: id of the table to
//! `i64 segment, i32 position, i64 time in ms`. It takes effect at that position, which lies before the one it stands at: what is
//! at or before it is gone, what was written between the two stays. Tombstones in the map (first start, DROP TABLE) are no
//! truncations.

use std::sync::LazyLock;

use md5::{Digest, Md5};
use rustc_hash::FxHashSet;
use uuid::Uuid;

use super::mutation::{Mutation, MutationPeek};
use super::position::CommitLogPosition;
use crate::error::DecodeError;
use crate::io::ByteReader;
use crate::rows::{PartitionUpdate, Row, UpdateContent};
use crate::schema::TableId;

/// Tables with the schema (`SchemaKeyspace`): keyspace and name; the partition key of all is the name of a keyspace.
const SCHEMA_TABLES: [(&str, &[&str]); 2] = [
    (
        "system_schema",
        &[
            "keyspaces",
            "tables",
            "columns",
            "column_masks",
            "dropped_columns",
            "triggers",
            "views",
            "types",
            "functions",
            "aggregates",
            "indexes",
        ],
    ),
    (
        "system",
        &[
            "schema_keyspaces",
            "schema_columnfamilies",
            "schema_columns",
            "schema_triggers",
            "schema_usertypes",
            "schema_functions",
            "schema_aggregates",
        ],
    ),
];

static SCHEMA_IDS: LazyLock<FxHashSet<TableId>> = LazyLock::new(|| {
    let ids = SCHEMA_TABLES.iter().flat_map(|(keyspace, names)| {
        names.iter().map(move |name| system_table_id(keyspace, name))
    });
    ids.collect()
});

static LOCAL_ID: LazyLock<TableId> = LazyLock::new(|| system_table_id("system", "local"));

/// The id of one of the node's own tables, the same on every node: the name UUID of its keyspace's and its own name
/// (`CFMetaData.generateLegacyCfId`).
pub fn system_table_id(keyspace: &str, name: &str) -> TableId {
    let hash: [u8; 16] = Md5::digest(format!("{keyspace}{name}")).into();
    TableId(uuid::Builder::from_md5_bytes(hash).into_uuid())
}

/// A change of the node's own tables that matters to who follows its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemChange {
    /// CREATE, ALTER or DROP of something in a keyspace. The tables of the schema are flushed at once: they can be read anew.
    SchemaChanged {
        /// The keyspace.
        keyspace: String,
    },
    /// TRUNCATE.
    Truncated {
        /// Id of the table.
        table: TableId,
        /// What is at or before it is gone.
        position: CommitLogPosition,
        /// When, ms since 1970.
        time_ms: i64,
    },
}

impl MutationPeek<'_> {
    /// The keyspace whose schema the mutation changes, if it does. It need not be decoded to know.
    pub fn schema_change(&self) -> Option<SystemChange> {
        is_schema_table(self.first).then(|| changed(self.key))
    }

    /// True if it may hold truncations: it must be decoded, with the schema of `system.local`.
    pub fn may_truncate(&self) -> bool {
        self.first == *LOCAL_ID
    }
}

/// True for a table that holds a part of the schema, in any release.
pub fn is_schema_table(id: TableId) -> bool {
    // Ids of system tables are made of their names (version 3), those of others mostly of the time (version 1).
    id.0.get_version_num() == 3 && SCHEMA_IDS.contains(&id)
}

fn changed(key: &[u8]) -> SystemChange {
    SystemChange::SchemaChanged { keyspace: String::from_utf8_lossy(key).into_owned() }
}

impl Mutation {
    /// The changes of the schema and the truncations in it.
    pub fn system_changes(&self) -> Result<Vec<SystemChange>, DecodeError> {
        let mut found = Vec::new();
        let mut known = self.updates.iter().filter_map(|update| update.table.id);
        if known.any(is_schema_table) || self.unknown.iter().copied().any(is_schema_table) {
            found.push(changed(&self.key));
        }
        for update in self.updates.iter().filter(|update| update.table.id == Some(*LOCAL_ID)) {
            read_truncations(update, &mut found)?;
        }
        Ok(found)
    }
}

fn read_truncations(
    update: &PartitionUpdate,
    found: &mut Vec<SystemChange>,
) -> Result<(), DecodeError> {
    let columns = &update.table.regulars;
    let Some(column) = columns.iter().position(|c| c.name == "truncated_at") else {
        return Ok(());
    };
    let rows = update.content.iter().filter_map(|content| match content {
        UpdateContent::Row(row) => Some(row),
        UpdateContent::Marker(..) => None,
    });
    for Row { cells, .. } in rows {
        let cells = cells.iter().filter(|c| usize::from(c.column) == column && !c.is_tombstone());
        for cell in cells {
            let mut r = ByteReader::new(cell.path.of(&update.data));
            let table = TableId(Uuid::from_bytes(*r.read_uuid("truncated table")?.as_bytes()));
            r.finish("truncated table")?;
            let mut r = ByteReader::new(cell.value.of(&update.data));
            let position = CommitLogPosition {
                segment_id: r.read_i64("segment of a truncation")?,
                position: r.read_i32("position of a truncation")?,
            };
            let time_ms = r.read_i64("time of a truncation")?;
            r.finish("truncation")?;
            found.push(SystemChange::Truncated { table, position, time_ms });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::commitlog::LogVersion;
    use crate::rows::{Cell, LocalDeletionTime, NO_TTL, Span};
    use crate::schema::parse_schema;

    #[test]
    fn ids_of_system_tables_are_those_of_real_logs() {
        let id = |digits: &str| TableId(digits.parse().unwrap());
        let local = id("7ad54392-bcdd-35a6-8417-4e047860b377");
        assert_eq!(system_table_id("system", "local"), local);
        assert!(is_schema_table(id("24101c25-a2ae-3af7-87c1-b40ee1aca33f")));
        assert!(is_schema_table(id("b0f22357-4458-3cdb-9631-c43e59ce3676")));
        assert!(!is_schema_table(local));
    }

    fn local(value: &[u8], deleted: bool) -> Mutation {
        let text = "CREATE TABLE system.local (key text PRIMARY KEY, truncated_at map<uuid, blob>) WITH ID = '7ad54392bcdd35a684174e047860b377';";
        let table = parse_schema(text, None).unwrap().table("system", "local").unwrap().clone();
        let mut update = PartitionUpdate::new(Arc::new(table), b"local".to_vec());
        update.data = [&[7; 16], value].concat();
        let deleted_at = if deleted { LocalDeletionTime(5) } else { LocalDeletionTime::NONE };
        let cell = Cell {
            timestamp: 1,
            local_deletion_time: deleted_at,
            ttl: NO_TTL,
            column: 0,
            source: 0,
            value: Span { start: 16, len: u32::try_from(value.len()).unwrap() },
            path: Span { start: 0, len: 16 },
        };
        update.content.push(UpdateContent::Row(Row { cells: vec![cell], ..Row::EMPTY }));
        Mutation { key: b"local".to_vec(), updates: vec![update], ..Mutation::default() }
    }

    #[test]
    fn a_truncation_has_the_position_up_to_which_it_deletes() {
        let value = [&42_i64.to_be_bytes()[..], &77_i32.to_be_bytes(), &9_i64.to_be_bytes()];
        let value = value.concat();
        let expected = SystemChange::Truncated {
            table: TableId(Uuid::from_bytes([7; 16])),
            position: CommitLogPosition { segment_id: 42, position: 77 },
            time_ms: 9,
        };
        assert_eq!(local(&value, false).system_changes().unwrap(), [expected]);
        assert_eq!(local(&[], true).system_changes().unwrap(), []);
        for len in 0..value.len() {
            assert!(local(&value[..len], false).system_changes().is_err(), "{len}");
        }
        assert!(local(&[&value[..], &[0]].concat(), false).system_changes().is_err());
    }

    #[test]
    fn a_change_of_the_schema_is_known_without_decoding() {
        let id = system_table_id("system_schema", "columns");
        let payload = [&[4], &id.0.as_bytes()[..], b"\x02ks", &[0; 80]].concat();
        let expected = SystemChange::SchemaChanged { keyspace: "ks".into() };
        let peek = MutationPeek::read(LogVersion::V40, &payload).unwrap();
        assert_eq!(peek.schema_change(), Some(expected.clone()));
        assert!(!peek.may_truncate());
        let mutation = Mutation { key: b"ks".to_vec(), unknown: vec![id], ..Mutation::default() };
        assert_eq!(mutation.system_changes().unwrap(), [expected]);
    }
}
