//! Where the schema comes from: the node's own tables, the `schema.cql` of a snapshot, a file, or, where nothing says more,
//! the headers of the SSTables.

use std::path::{Path, PathBuf};

use super::data_dir::{DataDirs, TableDir};
use super::header_schema::header_schema;
use super::raw_row::SystemTables;
use super::system_schema::{SystemRows, build_schema, system_table};
use crate::error::{Error, Result};
use crate::io::InputFile;
use crate::schema::{Schema, SchemaBuilder, TableMetadata};

/// The largest CQL text that is read: some hundred thousand tables.
const MAX_CQL_LEN: u64 = 256 << 20;

/// What the user says about the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SchemaOption {
    /// Find it.
    #[default]
    Auto,
    /// Read this CQL.
    File(PathBuf),
    /// Make one up from the headers of the SSTables.
    Header,
}

/// Finds the schema.
///
/// What the user says comes first. Otherwise: `system_schema` on the disk (of the snapshot, if one is read and has it),
/// then what `legacy` finds in the tables of 2.x, then the `schema.cql` of the snapshot. Tables that were dropped since
/// the snapshot was taken are added from there.
pub fn find_schema(
    dirs: &DataDirs,
    option: &SchemaOption,
    tables: &mut dyn SystemTables,
    legacy: &mut dyn FnMut() -> Result<Option<Schema>>,
) -> Result<Schema> {
    match option {
        SchemaOption::File(path) => return read_file(dirs, path),
        SchemaOption::Header => return header_schema(dirs),
        SchemaOption::Auto => {}
    }
    if let Some(mut schema) = own_schema(dirs, tables)? {
        add_dropped(dirs, &mut schema)?;
        return Ok(schema);
    }
    if let Some(schema) = legacy()? {
        return Ok(schema);
    }
    if let Some(schema) = snapshot_schema(dirs)? {
        return Ok(schema);
    }
    Err(no_schema(dirs))
}

fn in_file(path: &Path) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Schema { what, hint } => {
            Error::Schema { what: format!("{}: {what}", path.display()), hint }
        }
        other => other,
    }
}

fn read_text(path: &Path) -> Result<String> {
    let bytes = InputFile::read_all(path, MAX_CQL_LEN)?;
    String::from_utf8(bytes).map_err(|_| Error::Schema {
        what: format!("{} is not valid UTF-8", path.display()),
        hint: Some("give CQL, such as DESCRIBE SCHEMA prints it".into()),
    })
}

fn read_file(dirs: &DataDirs, path: &Path) -> Result<Schema> {
    let mut keyspaces: Vec<&str> = dirs.tables.iter().map(|dir| dir.keyspace.as_str()).collect();
    keyspaces.dedup();
    // Names without a keyspace mean the only one there is.
    let default = match keyspaces.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let mut builder = SchemaBuilder::default();
    builder.add(&read_text(path)?, default).map_err(in_file(path))?;
    let mut schema = builder.finish().map_err(in_file(path))?;
    if schema.tables().next().is_none() {
        return Err(Error::Schema {
            what: format!("{} has no CREATE TABLE", path.display()),
            hint: Some("give CQL, such as DESCRIBE SCHEMA prints it".into()),
        });
    }
    schema.origin = path.display().to_string();
    Ok(schema)
}

fn own_schema(dirs: &DataDirs, tables: &mut dyn SystemTables) -> Result<Option<Schema>> {
    let has_data = match dirs.system_table(&system_table("system_schema", "tables")?) {
        Some(dir) if dir.sstables.is_empty() => match dir.unsupported.first() {
            Some((path, why)) => {
                return Err(Error::Schema {
                    what: format!("{} is in a format that is not read: {why}", path.display()),
                    hint: Some("give the schema as CQL with --schema FILE".into()),
                });
            }
            None => false,
        },
        Some(_) => true,
        None => false,
    };
    if !has_data {
        return Ok(None);
    }
    let rows = SystemRows::read(tables)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut schema = build_schema(&rows)?;
    let roots: Vec<String> =
        dirs.roots.iter().chain(&dirs.enclosing).map(|root| root.display().to_string()).collect();
    schema.origin = format!("system_schema in {}", roots.join(", "));
    Ok(Some(schema))
}

/// The schema of all `schema.cql` beside the SSTables.
fn snapshot_schema(dirs: &DataDirs) -> Result<Option<Schema>> {
    let mut builder = SchemaBuilder::default();
    let mut origin = Vec::new();
    for dir in &dirs.tables {
        for path in &dir.schema_cql {
            builder.add(&read_text(path)?, Some(&dir.keyspace)).map_err(in_file(path))?;
            origin.push(path.display().to_string());
        }
    }
    if origin.is_empty() {
        return Ok(None);
    }
    let mut schema = builder.finish().map_err(in_file(Path::new("schema.cql")))?;
    let more = origin.len() - 1;
    schema.origin = origin.swap_remove(0);
    if more > 0 {
        schema.origin.push_str(&format!(" and {more} more"));
    }
    Ok(Some(schema))
}

/// Tables that are in the snapshot and not in the schema any more.
fn add_dropped(dirs: &DataDirs, schema: &mut Schema) -> Result<()> {
    for dir in &dirs.tables {
        let known = schema.tables().any(|table| table.id.is_some() && table.id == dir.id);
        let taken = schema.table(&dir.keyspace, &dir.table).is_some();
        let (false, false, Some(path)) = (known, taken, dir.schema_cql.first()) else { continue };
        let mut builder = SchemaBuilder::default();
        builder.add(&read_text(path)?, Some(&dir.keyspace)).map_err(in_file(path))?;
        let mut found = builder.finish().map_err(in_file(path))?;
        let table =
            found.keyspaces.get_mut(&dir.keyspace).and_then(|k| k.tables.remove(&dir.table));
        let Some(table) = table.filter(|table| fits(table, dir)) else { continue };
        let keyspace = schema.keyspaces.entry(dir.keyspace.clone()).or_default();
        dir.keyspace.clone_into(&mut keyspace.name);
        for (name, udt) in found.keyspaces.remove(&dir.keyspace).unwrap_or_default().types {
            keyspace.types.entry(name).or_insert(udt);
        }
        keyspace.tables.insert(dir.table.clone(), table);
    }
    Ok(())
}

/// True if a folder may hold the data of a table: the id decides, where both have one.
pub(super) fn fits(table: &TableMetadata, dir: &TableDir) -> bool {
    table.keyspace == dir.keyspace
        && match (table.id, dir.id) {
            (Some(a), Some(b)) => a == b,
            (None, _) | (_, None) => table.name == dir.table,
        }
}

fn no_schema(dirs: &DataDirs) -> Error {
    let mut places = Vec::new();
    for root in dirs.roots.iter().chain(&dirs.enclosing) {
        places.push(format!("{}/system_schema (3.0 and later)", root.display()));
        places.push(format!("{}/system/schema_* (2.x)", root.display()));
    }
    if places.is_empty() {
        places.extend(dirs.looked_at.iter().map(|path| format!("around {}", path.display())));
    }
    let first = dirs.tables.iter().find_map(|dir| dir.directories.first());
    places.extend(
        first.map(|directory| format!("schema.cql in {} and the like", directory.display())),
    );
    Error::Missing {
        what: format!("no schema found; looked at {}", places.join(", ")),
        hint: Some(
            "give the whole data directory, or the schema as CQL with --schema FILE (DESCRIBE SCHEMA prints it), \
             or take invented column names with --schema header"
                .into(),
        ),
    }
}

#[cfg(test)]
#[path = "schema_source_tests.rs"]
mod tests;
