//! The schema as Cassandra knows it (`KeyspaceMetadata`, `TableMetadata`, `ColumnMetadata`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::cql::{CqlType, UdtType};

/// Identity of a table (`TableId`); a dropped and re-created table has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub Uuid);

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// What a column is for (`ColumnMetadata.Kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Part of the partition key.
    PartitionKey,
    /// Part of the clustering.
    Clustering,
    /// One value per partition.
    Static,
    /// One value per row.
    Regular,
}

impl ColumnKind {
    /// As `system_schema.columns.kind` and our manifest spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PartitionKey => "partition_key",
            Self::Clustering => "clustering",
            Self::Static => "static",
            Self::Regular => "regular",
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMetadata {
    /// Name in its stored case.
    pub name: String,
    /// Type.
    pub cql_type: CqlType,
    /// Kind.
    pub kind: ColumnKind,
    /// Descending clustering order (`ReversedType`).
    pub reversed: bool,
    /// Masking function of 5.0, as CQL has it after `MASKED WITH`; stored data is clear text all the same.
    pub mask: Option<String>,
}

impl ColumnMetadata {
    /// Order of columns of one kind in SSTables (`ColumnMetadata.comparisonOrder`): simple columns before complex ones,
    /// then by the first six bytes of the name with the top bit of the first one flipped (so that names beginning with a
    /// byte from 0x80 on sort first), then by the name's bytes.
    pub fn disk_order(a_complex: bool, a: &[u8], b_complex: bool, b: &[u8]) -> Ordering {
        fn prefix(name: &[u8]) -> u64 {
            let mut bytes = [0_u8; 8];
            for (to, from) in bytes.iter_mut().skip(2).zip(name.iter()) {
                *to = *from;
            }
            // Six bytes in the low 48 bits; the highest of them is the sign bit of Java's shifted long.
            u64::from_be_bytes(bytes) ^ (1 << 47)
        }
        a_complex.cmp(&b_complex).then_with(|| prefix(a).cmp(&prefix(b))).then_with(|| a.cmp(b))
    }
}

/// A column that was dropped: what was written before is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedColumn {
    /// Name.
    pub name: String,
    /// Type at the time, with user-defined types expanded to tuples.
    pub cql_type: CqlType,
    /// True if the type stood without `frozen<…>`: a non-frozen user-defined type is a plain `tuple<…>` here.
    pub multi_cell: bool,
    /// Static or regular.
    pub kind: ColumnKind,
    /// Cells with a write time up to this (µs) are gone.
    pub dropped_micros: i64,
}

/// How a table that is not an ordinary CQL table is stored (`TableMetadata.Flag`, COMPACT STORAGE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompactKind {
    /// An ordinary table.
    None,
    /// Visible columns are static; hidden `column1` and `value` hold Thrift's dynamic columns. Flags: none of compound,
    /// dense, super.
    StaticCompact,
    /// One value column per row (dense), whose type may be [`CqlType::Empty`].
    Dense,
    /// A super column family: one map column with an empty name.
    Super,
}

/// A secondary index; only for printing the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexMetadata {
    /// Name.
    pub name: String,
    /// `COMPOSITES`, `KEYS` or `CUSTOM`.
    pub kind: String,
    /// Options; `target`, and `class_name` for custom ones.
    pub options: BTreeMap<String, String>,
}

/// What a materialized view adds to its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewMetadata {
    /// Base table.
    pub base_table: String,
    /// The WHERE clause.
    pub where_clause: String,
    /// `SELECT *`.
    pub include_all_columns: bool,
}

/// What of the order of rows depends on the release and, for one of them, the table ([`Schema::order_as`]). The default is that
/// of new releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowOrder {
    /// Clustering values without bytes come first in descending columns too.
    pub empty_first: bool,
    /// Clustering values are ordered by their bytes and not as their type orders them.
    pub by_bytes: bool,
    /// A clustering value of a tuple or user-defined type comes before one that has null fields behind the same ones.
    pub short_tuples_first: bool,
}

/// A table (or view).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMetadata {
    /// Keyspace in its stored case.
    pub keyspace: String,
    /// Name in its stored case.
    pub name: String,
    /// Identity; none where the schema was written by hand without `WITH ID`.
    pub id: Option<TableId>,
    /// Partition key columns in order.
    pub partition_key: Vec<ColumnMetadata>,
    /// Clustering columns in order. For static compact and dense tables with the hidden ones, as the SSTables have them.
    pub clustering: Vec<ColumnMetadata>,
    /// Static columns in disk order ([`ColumnMetadata::disk_order`]).
    pub statics: Vec<ColumnMetadata>,
    /// Regular columns in disk order.
    pub regulars: Vec<ColumnMetadata>,
    /// Dropped columns.
    pub dropped: Vec<DroppedColumn>,
    /// How it is stored.
    pub compact: CompactKind,
    /// True if the columns are counters.
    pub counter: bool,
    /// `gc_grace_seconds`.
    pub gc_grace_seconds: i64,
    /// `default_time_to_live`.
    pub default_time_to_live: i64,
    /// All table options as CQL writes them after `WITH`: name and literal (`comment`, `'x'`), in order of names.
    pub options: BTreeMap<String, String>,
    /// Set for materialized views.
    pub view: Option<ViewMetadata>,
    /// Secondary indexes.
    pub indexes: Vec<IndexMetadata>,
    /// What of the order of its rows depends on the release.
    pub order: RowOrder,
}

impl TableMetadata {
    /// Sorts static and regular columns into disk order; to be called once after they are filled in.
    pub fn sort_columns(&mut self) {
        for columns in [&mut self.statics, &mut self.regulars] {
            columns.sort_by(|a, b| {
                ColumnMetadata::disk_order(
                    a.cql_type.is_multi_cell(),
                    a.name.as_bytes(),
                    b.cql_type.is_multi_cell(),
                    b.name.as_bytes(),
                )
            });
        }
    }

    /// `keyspace.table`.
    pub fn qualified_name(&self) -> String {
        format!("{}.{}", self.keyspace, self.name)
    }
}

/// True if 2.x orders the clustering values of a table by their bytes where that is another order than that of their type.
fn names_are_ordered_by_bytes(table: &TableMetadata) -> bool {
    match (table.compact, table.clustering.as_slice()) {
        (CompactKind::Dense, [ColumnMetadata { cql_type, reversed: false, .. }]) => {
            matches!(cql_type, CqlType::Set { .. } | CqlType::Map { .. })
                && is_byte_order_comparable(cql_type)
        }
        _ => false,
    }
}

/// `AbstractType.isByteOrderComparable` of 2.x.
fn is_byte_order_comparable(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Ascii
        | CqlType::Blob
        | CqlType::Date
        | CqlType::Inet
        | CqlType::Text
        | CqlType::Time => true,
        CqlType::Set { element, .. } => is_byte_order_comparable(element),
        CqlType::Map { key, .. } => is_byte_order_comparable(key),
        _ => false,
    }
}

/// A keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyspaceMetadata {
    /// Name in its stored case.
    pub name: String,
    /// `durable_writes`.
    pub durable_writes: bool,
    /// Replication options, `class` among them. Empty if unknown (a snapshot's `schema.cql` has none).
    pub replication: BTreeMap<String, String>,
    /// User-defined types by name.
    pub types: BTreeMap<String, Arc<UdtType>>,
    /// Tables and views by name.
    pub tables: BTreeMap<String, TableMetadata>,
    /// Functions, aggregates and triggers, which are not printed: their names, for a word in the output.
    pub not_printed: BTreeSet<String>,
}

/// All keyspaces found, and where.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    /// Keyspaces by name.
    pub keyspaces: BTreeMap<String, KeyspaceMetadata>,
    /// Where it was read from, in words.
    pub origin: String,
    /// Statements of a CQL text that were not understood: their first words.
    pub skipped: BTreeSet<String>,
}

impl Schema {
    /// The table `keyspace.name`.
    pub fn table(&self, keyspace: &str, name: &str) -> Option<&TableMetadata> {
        self.keyspaces.get(keyspace)?.tables.get(name)
    }

    /// Orders rows as `release` (such as `2.2.6`) does: up to 2.1.15, 2.2.7, 3.0.8 and 3.7 an empty value is the first one in
    /// descending columns too (`ReversedType.compare`, CASSANDRA-12127). In 2.x the names of cells that are one clustering value
    /// (COMPACT STORAGE) are ordered by their bytes if the type says so, and sets and maps do that say it for what they have,
    /// though their bytes begin with their size (`AbstractSimpleCellNameType.compare`, `SetType.isByteOrderComparable`).
    /// Up to 2.2.18, 3.0.23 and 3.11.8 a tuple is another value than the same with null fields behind it (`TupleType.compare`).
    pub fn order_as(&mut self, release: &str) {
        let mut parts = release.split(['.', '-']).map(|part| part.trim().parse().unwrap_or(0));
        let mut next = || -> u32 { parts.next().unwrap_or(0) };
        let (major, minor, patch) = (next(), next(), next());
        let empty_first = match (major, minor, patch) {
            (2, 1, patch) => patch < 16,
            (2, 2, patch) => patch < 8,
            (3, 0, patch) => patch < 9,
            (major, minor, _) => (major, minor) < (3, 8) && major > 0,
        };
        let short_tuples_first = match (major, minor, patch) {
            (2, 2, patch) => patch < 19,
            (3, 0, patch) => patch < 24,
            (3, 11, patch) => patch < 9,
            (major, ..) => (1..=3).contains(&major),
        };
        for keyspace in self.keyspaces.values_mut() {
            keyspace.tables.values_mut().for_each(|table| {
                let by_bytes = major == 2 && names_are_ordered_by_bytes(table);
                table.order = RowOrder { empty_first, by_bytes, short_tuples_first };
            });
        }
    }

    /// All tables and views in order of their names.
    pub fn tables(&self) -> impl Iterator<Item = &TableMetadata> {
        self.keyspaces.values().flat_map(|keyspace| keyspace.tables.values())
    }
}
