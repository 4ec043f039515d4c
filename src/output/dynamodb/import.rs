//! `<keyspace>.<table>.import-table.json`: the request of `aws dynamodb import-table --cli-input-json`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::options::DdbShape;
use crate::error::{Error, Result};
use crate::output::dms::{DmsTable, DmsTarget, legal_table_name};
use crate::output::manifest::{ManifestColumn, OutputColumnKind, write_json};
use crate::output::names::{OWN, SORT_KEY_COLUMN, table_folder};

/// The name of a bucket that only the user knows.
const UNKNOWN_BUCKET: &str = "REPLACE-WITH-BUCKET";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImportTable {
    #[serde(rename = "S3BucketSource")]
    source: BucketSource,
    input_format: &'static str,
    input_compression_type: &'static str,
    table_creation_parameters: TableCreation,
}

#[derive(Serialize)]
struct BucketSource {
    #[serde(rename = "S3BucketOwner", skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(rename = "S3Bucket")]
    bucket: String,
    #[serde(rename = "S3KeyPrefix")]
    prefix: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TableCreation {
    table_name: String,
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeySchema>,
    billing_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeySchema {
    attribute_name: String,
    key_type: &'static str,
}

/// A table whose items are to be imported: names, and the columns of its manifests with the same as DMS has it.
pub struct ImportedTable<'a> {
    /// Keyspace.
    pub keyspace: &'a str,
    /// Table.
    pub table: &'a str,
    /// Columns of the output.
    pub columns: &'a [ManifestColumn],
    /// The same for DMS.
    pub dms: DmsTable,
}

/// Import requests, all to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportFiles {
    /// Object name and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// The import requests of `tables` whose items lie at `target` with `compression` (`none`, `gzip`, `zstd`).
pub fn import_requests(
    tables: &[ImportedTable<'_>],
    shape: DdbShape,
    compression: &str,
    target: &DmsTarget,
) -> Result<ImportFiles> {
    let (mut made, mut taken) = (ImportFiles::default(), BTreeSet::new());
    for table in tables {
        let table_name = legal_table_name(&table.dms, &mut taken, &mut made.warnings);
        let keys = match shape {
            DdbShape::Native => native_keys(table),
            DdbShape::Dms => dms_keys(table),
        };
        if keys.is_empty() || keys.len() > 2 {
            return Err(Error::Bug(format!(
                "{}.{}: no single columns for DynamoDB's keys",
                table.keyspace, table.table
            )));
        }
        let folder = table_folder(table.keyspace, table.table);
        let prefix = match target.folder.as_str() {
            "" => folder,
            parent => format!("{parent}/{folder}"),
        };
        let request = ImportTable {
            source: BucketSource {
                owner: target.bucket_owner.clone(),
                bucket: target.bucket.clone().unwrap_or_else(|| UNKNOWN_BUCKET.to_owned()),
                prefix,
            },
            input_format: "DYNAMODB_JSON",
            input_compression_type: match compression {
                "gzip" => "GZIP",
                "zstd" => "ZSTD",
                _ => "NONE",
            },
            table_creation_parameters: TableCreation {
                table_name,
                attribute_definitions: keys
                    .iter()
                    .map(|(name, attribute_type)| AttributeDefinition {
                        attribute_name: name.clone(),
                        attribute_type,
                    })
                    .collect(),
                key_schema: keys
                    .into_iter()
                    .zip(["HASH", "RANGE"])
                    .map(|((attribute_name, _), key_type)| KeySchema { attribute_name, key_type })
                    .collect(),
                billing_mode: "PAY_PER_REQUEST",
            },
        };
        let name = format!("{OWN}/{}.{}.import-table.json", table.keyspace, table.table);
        made.files.push((name, write_json(&request)?));
    }
    Ok(made)
}

fn native_keys(table: &ImportedTable<'_>) -> Vec<(String, &'static str)> {
    let of = |kind| table.columns.iter().filter(move |column| column.kind == kind);
    let generated: Vec<_> = of(OutputColumnKind::CompositeKey).collect();
    if !generated.is_empty() {
        let (sort, partition): (Vec<_>, Vec<_>) =
            generated.into_iter().partition(|column| column.name == SORT_KEY_COLUMN);
        return partition.into_iter().chain(sort).map(|c| (c.name.clone(), "S")).collect();
    }
    let keys = of(OutputColumnKind::PartitionKey).chain(of(OutputColumnKind::Clustering));
    keys.map(|column| (column.name.clone(), native_type(column))).collect()
}

/// `S`, `N` or `B`, as `format` decides it for a key.
fn native_type(column: &ManifestColumn) -> &'static str {
    match (column.column_type.as_deref(), column.cql_type.as_str()) {
        (Some("INT8"), "timestamp") => "N",
        (Some(_), _) => "S",
        (
            None,
            "tinyint" | "smallint" | "int" | "bigint" | "counter" | "varint" | "decimal" | "float"
            | "double",
        ) => "N",
        (None, "blob") => "B",
        // A class that CQL does not know is opaque bytes.
        (None, cql_type) if cql_type.starts_with('\'') => "B",
        (None, _) => "S",
    }
}

fn dms_keys(table: &ImportedTable<'_>) -> Vec<(String, &'static str)> {
    let attributes = table.dms.attributes();
    let columns = [table.dms.partition_attribute_column(), table.dms.sort_attribute_column()];
    let of_column = |name: &str| attributes.iter().find(|attribute| attribute.column == name);
    columns
        .into_iter()
        .flatten()
        .filter_map(|column| of_column(&column.name))
        .map(|attribute| (attribute.attribute.clone(), "S"))
        .collect()
}
