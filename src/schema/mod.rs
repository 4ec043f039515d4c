//! Keyspaces, tables and columns, and the CQL that makes them.

mod ddl;
mod ddl_alter;
mod ddl_build;
mod ddl_lexer;
mod ddl_parse;
mod model;
mod user_types;

pub use ddl::{Identifier, write_schema};
pub use ddl_parse::{SchemaBuilder, parse_schema};
pub use model::{
    ColumnKind, ColumnMetadata, CompactKind, DroppedColumn, IndexMetadata, KeyspaceMetadata,
    RowOrder, Schema, TableId, TableMetadata, ViewMetadata,
};

pub(crate) use ddl::{map_literal, text_literal};
pub(crate) use ddl_build::DEFAULT_GC_GRACE_SECONDS;
pub(crate) use user_types::{RawFields, resolve_types, was_multi_cell};
