//! What is on the disk: data directories, live SSTables, the schema.
//!
//! [`DataDirs::scan`] finds the tables and their live SSTables in what the user points at; [`find_schema`] the schema, from
//! the node's own tables, whose rows come through [`SystemTables`]; [`select_tables`] brings both together.

mod commit_log;
mod data_dir;
mod header_schema;
mod host;
mod legacy_leftovers;
mod legacy_schema;
mod legacy_tables;
mod live_set;
mod not_read;
mod options;
mod raw_row;
mod ring;
mod schema_source;
mod segments;
mod select;
mod source;
mod system_rows;
mod system_schema;
mod taken;
mod txn_log;

pub use data_dir::{DataDirs, OtherData, ScanOptions, TableDir};
pub use header_schema::header_schema;
pub use host::HostInfo;
pub use legacy_schema::{legacy_system_tables, read_legacy_schema};
pub use live_set::{Leftovers, LiveSstable, list_backups, list_live_sstables};
pub use options::{InputOptions, NodeDirs};
pub use raw_row::{RawRow, RawValue, SystemTables};
pub use ring::{Addresses, KnownRing};
pub use schema_source::{SchemaOption, find_schema};
pub use select::{
    ExcludedTable, OrphanDir, SelectedTable, Selection, TablePatterns, select_tables,
};
pub use source::{Source, SourceNode};
pub use system_schema::{SystemRows, build_schema, system_table, system_tables};
pub use taken::Taken;
