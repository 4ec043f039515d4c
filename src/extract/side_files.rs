//! What loaders want beside the files: lists of them, and the types of their columns.

use serde::Serialize;

use super::seal::SealedTable;
use crate::cql::{CqlType, parse_cql_type};
use crate::error::{Error, Result};
use crate::output::manifest::{ColumnStats, FileEntry, ManifestColumn};
use crate::output::names::{OWN, table_folder};
use crate::output::{ColumnType, Profile, athena_table};
use crate::schema::Schema;
use crate::store::Store;

/// Empty object that says that a table's folder is whole; the last one of it that is written.
pub(super) const SUCCESS: &str = "_SUCCESS";
/// The list of a table's files in their own folder.
pub(super) const FOLDER_MANIFEST: &str = "_manifest.json";

/// Side files of one table: name and content, in the order in which they are written.
pub(super) fn side_files(
    store: &dyn Store,
    profile: Profile,
    table: &SealedTable,
    schema: Option<&Schema>,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = table_folder(&table.keyspace, &table.table);
    let own = format!("{OWN}/{}.{}", table.keyspace, table.table);
    let mut files = Vec::new();
    match profile {
        Profile::Dms | Profile::Jsonl | Profile::Cqlsh | Profile::DdbJson => {}
        Profile::Parquet => {
            match athena(store, table, schema) {
                Ok(text) => files.push((format!("{own}.athena.sql"), text)),
                // The files are as good without it.
                Err(error) => warnings.push(format!(
                    "no statement for Athena: {}.{}: {error}",
                    table.keyspace, table.table
                )),
            }
            files.push((format!("{folder}{SUCCESS}"), Vec::new()));
        }
        Profile::Csv => {
            files.extend(url_lists(store, table, &own));
            files.extend(redshift_manifest(store, table, &own)?);
        }
        Profile::Datalake => {
            files.push((format!("{own}.spark-schema.ddl"), spark_schema(&table.columns)?));
            files.extend(redshift_manifest(store, table, &own)?);
            let all: Vec<&FileEntry> = table.files.iter().collect();
            files.push((format!("{folder}{FOLDER_MANIFEST}"), file_manifest(store, &all)?));
            // Readers that wait for it see a whole folder; a table without rows has one all the same.
            files.push((format!("{folder}{SUCCESS}"), Vec::new()));
        }
    }
    Ok(files)
}

/// Static-only partitions have other columns than rows, so their files have lists of their own.
fn by_kind(table: &SealedTable) -> (Vec<&FileEntry>, Vec<&FileEntry>) {
    let folder = table_folder(&table.keyspace, &table.table);
    let is_static = |file: &&FileEntry| {
        file.name.strip_prefix(&folder).is_some_and(|name| name.starts_with("STATIC"))
    };
    let (statics, rows) = table.files.iter().partition(is_static);
    (rows, statics)
}

/// Lists for DSBulk's `urlfile`.
fn url_lists(store: &dyn Store, table: &SealedTable, own: &str) -> Vec<(String, Vec<u8>)> {
    let list = |files: Vec<&FileEntry>| {
        files.iter().map(|file| store.location(&file.name) + "\n").collect::<String>().into_bytes()
    };
    let (rows, statics) = by_kind(table);
    let mut lists = vec![(format!("{own}.urls"), list(rows))];
    if !statics.is_empty() {
        lists.push((format!("{own}.static.urls"), list(statics)));
    }
    lists
}

#[derive(Serialize)]
struct FileManifest {
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    url: String,
    mandatory: bool,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    content_length: u64,
}

/// A list of files with their lengths, as Redshift's `COPY` takes it.
fn file_manifest(store: &dyn Store, files: &[&FileEntry]) -> Result<Vec<u8>> {
    let entry = |file: &&FileEntry| Entry {
        url: store.location(&file.name),
        mandatory: true,
        meta: Meta { content_length: file.bytes },
    };
    let manifest = FileManifest { entries: files.iter().map(entry).collect() };
    let mut bytes = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| Error::Bug(format!("cannot write JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// For Redshift, which reads from buckets only. Rows alone: files of partitions without rows have other columns.
fn redshift_manifest(
    store: &dyn Store,
    table: &SealedTable,
    own: &str,
) -> Result<Option<(String, Vec<u8>)>> {
    let (rows, _) = by_kind(table);
    if !store.location("").starts_with("s3://") || rows.is_empty() {
        return Ok(None);
    }
    Ok(Some((format!("{own}.redshift-manifest.json"), file_manifest(store, &rows)?)))
}

/// The statement for Athena, which reads from buckets only: where the files are elsewhere, the bucket is to be put into it.
fn athena(store: &dyn Store, table: &SealedTable, schema: Option<&Schema>) -> Result<Vec<u8>> {
    let folder = table_folder(&table.keyspace, &table.table);
    let location = match store.location(&folder) {
        there if there.starts_with("s3://") => there,
        _ => format!("s3://BUCKET/PREFIX/{folder}"),
    };
    let keyspace = schema.and_then(|schema| schema.keyspaces.get(&table.keyspace));
    let udt = |name: &str| keyspace.and_then(|keyspace| keyspace.types.get(name)).cloned();
    let text = athena_table(&table.keyspace, &table.table, &location, &table.columns, &udt)?;
    Ok(text.into_bytes())
}

/// The columns as Spark's `StructType.fromDDL` reads them.
fn spark_schema(columns: &[ManifestColumn]) -> Result<Vec<u8>> {
    let mut text = String::new();
    for (i, column) in columns.iter().enumerate() {
        let separator = if i == 0 { "" } else { ",\n" };
        let name = column.name.replace('`', "``");
        text.push_str(&format!("{separator}`{name}` {}", spark_type(column)?));
    }
    text.push('\n');
    Ok(text.into_bytes())
}

/// The narrowest type that all values of a column have.
fn spark_type(column: &ManifestColumn) -> Result<String> {
    let not_written = |what: &str| Error::Different(format!("column {}: {what}", column.name));
    let cql_type = parse_cql_type(&column.cql_type, &|_| None);
    let asked = column.column_type.as_deref().map(str::parse::<ColumnType>).transpose();
    let asked = asked.map_err(|_| not_written("its type is none of the profile"))?;
    // Of user-defined types only the name is known here: they are JSON.
    let Ok(cql_type) = cql_type else { return Ok("STRING".to_owned()) };
    let asked = asked.unwrap_or_else(|| ColumnType::default_for(&cql_type));
    Ok(match asked {
        ColumnType::Int1 => "TINYINT".to_owned(),
        ColumnType::Int2 => "SMALLINT".to_owned(),
        ColumnType::Int4 => "INT".to_owned(),
        ColumnType::Int8 => "BIGINT".to_owned(),
        ColumnType::Numeric(None) => decimal(&column.stats, None),
        ColumnType::Numeric(Some((_, 0))) if cql_type == CqlType::Varint => {
            decimal(&column.stats, Some(0))
        }
        ColumnType::Numeric(Some((precision, scale))) => format!("DECIMAL({precision},{scale})"),
        ColumnType::Real4 => "FLOAT".to_owned(),
        ColumnType::Real8 => "DOUBLE".to_owned(),
        ColumnType::Boolean => "BOOLEAN".to_owned(),
        ColumnType::Date => "DATE".to_owned(),
        ColumnType::Datetime => "TIMESTAMP".to_owned(),
        ColumnType::Byte | ColumnType::Blob | ColumnType::Clob | ColumnType::String => {
            "STRING".to_owned()
        }
    })
}

/// All values of a column as one type, or text if there is none.
fn decimal(stats: &ColumnStats, scale: Option<u64>) -> String {
    let scale = scale.unwrap_or_else(|| stats.max_scale.unwrap_or(0));
    let digits = stats.max_digits.unwrap_or(0);
    let precision = match stats.max_integer_digits {
        Some(integer_digits) => integer_digits.saturating_add(scale),
        None => digits.saturating_add(scale),
    };
    let precision = precision.max(digits).max(scale).max(1);
    if precision > 38 { "STRING".to_owned() } else { format!("DECIMAL({precision},{scale})") }
}

#[cfg(test)]
#[path = "side_files_tests.rs"]
mod tests;
