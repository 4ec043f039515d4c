//! What a user says about the input.

use std::path::PathBuf;

use crate::io::ReadMode;

use super::SchemaOption;

/// The data directories of one of several nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeDirs {
    /// What the user calls it; paths in the manifest begin with it.
    pub name: String,
    /// Its data directories.
    pub dirs: Vec<PathBuf>,
}

/// Which data to read and which tables of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputOptions {
    /// Data roots, keyspace, table or snapshot folders, or a single Data.db.
    pub data_dirs: Vec<PathBuf>,
    /// Nodes whose replicas are reconciled into one copy, in place of `data_dirs`.
    pub nodes: Vec<NodeDirs>,
    /// Read this snapshot instead of the live SSTables.
    pub snapshot: Option<String>,
    /// Read incremental backups as well.
    pub backups: bool,
    /// Where the schema comes from.
    pub schema: SchemaOption,
    /// Keyspaces (globs); empty for all.
    pub keyspaces: Vec<String>,
    /// Tables: `table` or `keyspace.table`, globs; empty for all.
    pub tables: Vec<String>,
    /// `keyspace` or `keyspace.table`, globs.
    pub exclude: Vec<String>,
    /// Map or read Data.db.
    pub read_mode: ReadMode,
    /// Overrides the release found in `system.local`, such as `3.11`.
    pub cassandra_version: Option<String>,
}
