//! The files with which AWS DMS loads an output into DynamoDB: external table definition, endpoint settings, table
//! mappings and task settings.
//!
//! The text of a value never depends on other data; the *type* that the definition gives a column may, where several
//! types read the same text: a `varint` column is NUMERIC(38,0) while all its values fit and STRING otherwise. That is
//! decided once, by `seal`, from what all agents saw.

mod definition;
mod mapping;
mod reserved;
mod settings;
mod types;

pub use definition::{MAX_DEFINITION_BYTES, write_dms_files};
pub(in crate::output) use mapping::legal_table_name;
pub(crate) use mapping::table_name;
pub use mapping::{AttributeType, DmsAttribute};
pub use reserved::{RESERVED_WORDS, is_reserved};
pub use types::{
    DmsType, MAX_ITEM_BYTES, MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, asked_type,
    column_length, dms_type,
};

/// A table as DMS sees it: the columns in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmsTable {
    /// Keyspace: DMS's schema.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// All columns of the file.
    pub columns: Vec<DmsColumn>,
}

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmsColumn {
    /// Name.
    pub name: String,
    /// What it is for.
    pub role: ColumnRole,
    /// Type.
    pub column_type: DmsType,
    /// Bytes of the longest text.
    pub max_bytes: u64,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnRole {
    /// Part of the CQL partition key.
    PartitionKey,
    /// Part of the CQL clustering.
    Clustering,
    /// Neither.
    Other,
    /// `cp_pk`.
    GeneratedPartitionKey,
    /// `cp_sk`.
    GeneratedSortKey,
}

/// Which generated columns a table needs, so that DynamoDB's partition and sort attribute are one column each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GeneratedKeys {
    /// `cp_pk` is needed.
    pub partition: bool,
    /// `cp_sk` is needed.
    pub sort: bool,
}

impl GeneratedKeys {
    /// For a table with so many partition and clustering columns.
    ///
    /// A single partition column without clustering is DynamoDB's key as it is. One clustering column goes through
    /// `cp_sk`, as DMS makes a string of it and the order of numbers would be lost. With several columns in either there
    /// are both.
    pub fn of(partition_columns: usize, clustering_columns: usize) -> Self {
        let partition = partition_columns > 1 || clustering_columns > 1;
        Self { partition, sort: clustering_columns > 0 }
    }
}

/// Where the output lies and how DMS reaches it. What is not known becomes a placeholder that begins with `REPLACE-WITH-`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DmsTarget {
    /// Bucket; none if the output is a directory.
    pub bucket: Option<String>,
    /// Folder in the bucket, without slashes around it; empty if the output is the bucket itself.
    pub folder: String,
    /// Role that DMS assumes to read the bucket.
    pub role_arn: Option<String>,
    /// Account that owns the bucket.
    pub bucket_owner: Option<String>,
    /// Folder of the changes; none for a task that does not capture changes.
    pub cdc_path: Option<String>,
}

/// Files for DMS, all to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DmsFiles {
    /// File name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// For each source endpoint its tables, as `keyspace.table`. More than one where the definition would exceed 2 MB.
    pub endpoints: Vec<Vec<String>>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

#[cfg(test)]
#[path = "dms_tests.rs"]
mod tests;
