//! Keyspaces, tables and columns, and the CQL that makes them.

mod model;

pub use model::{
    ColumnKind, ColumnMetadata, CompactKind, DroppedColumn, IndexMetadata, KeyspaceMetadata,
    Schema, TableId, TableMetadata, ViewMetadata,
};
