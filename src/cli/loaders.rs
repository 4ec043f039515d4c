//! The command of the loader that reads what was written, with every option that it needs.
//!
//! Tried with the loaders themselves: an option that is left out loads other values without a word.

use crate::cql::quote_name;
use crate::extract::SealedTable;
use crate::output::manifest::{
    FileEntry, ManifestColumn, ManifestDeletes, ManifestTable, OutputColumnKind,
};
use crate::output::names::table_folder;
use crate::output::{Compression, MetadataMode, Profile};
use crate::store::Location;

/// Tables whose commands are said.
const MAX_TABLES: usize = 20;
/// Python's limit of a field, which cqlsh raises by its configuration only.
const CQLSH_FIELD: u64 = 131_072;
/// Columns that DSBulk takes unless told otherwise.
const DSBULK_COLUMNS: usize = 512;

/// A table that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// Records.
    pub rows: u64,
    /// Files.
    pub files: u64,
    /// Files of partitions without rows among them.
    pub static_files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Columns in the order of the files.
    pub columns: Vec<WrittenColumn>,
    /// Records of deletions, if they were asked for.
    pub deletions: Option<u64>,
}

/// A column of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenColumn {
    /// Name in the output.
    pub name: String,
    /// What it is for.
    pub kind: OutputColumnKind,
    /// Bytes of the longest value.
    pub longest: u64,
    /// It has a list of values: write times or TTLs of the elements of a collection.
    pub is_list: bool,
}

impl Written {
    fn new(
        keyspace: &str,
        table: &str,
        rows: u64,
        files: &[FileEntry],
        columns: &[ManifestColumn],
        deletes: Option<&ManifestDeletes>,
    ) -> Self {
        let folder = table_folder(keyspace, table);
        let is_static = |file: &&FileEntry| {
            file.name.strip_prefix(&folder).is_some_and(|name| name.starts_with("STATIC"))
        };
        Self {
            keyspace: keyspace.to_owned(),
            table: table.to_owned(),
            rows,
            files: files.len() as u64,
            static_files: files.iter().filter(is_static).count() as u64,
            bytes: files.iter().map(|file| file.bytes).sum(),
            columns: columns
                .iter()
                .map(|column| WrittenColumn {
                    name: column.name.clone(),
                    kind: column.kind,
                    longest: column.stats.max_bytes,
                    is_list: column.cql_type.starts_with("list<"),
                })
                .collect(),
            deletions: deletes.map(|deletes| deletes.records),
        }
    }

    /// What one agent wrote.
    pub fn of_agent(table: &ManifestTable) -> Self {
        let deletes = table.deletes.as_ref();
        Self::new(&table.keyspace, &table.table, table.rows, &table.files, &table.columns, deletes)
    }

    /// What all agents wrote.
    pub fn of_all(table: &SealedTable) -> Self {
        let deletes = table.deletes.as_ref();
        Self::new(&table.keyspace, &table.table, table.rows, &table.files, &table.columns, deletes)
    }

    fn name(&self) -> String {
        format!("{}.{}", self.keyspace, self.table)
    }

    /// The columns of the files; an expires column is one of the target's.
    fn own_columns(&self) -> Vec<String> {
        let is_wanted = |column: &&WrittenColumn| column.kind != OutputColumnKind::CompositeKey;
        self.columns.iter().filter(is_wanted).map(|column| quote_name(&column.name)).collect()
    }
}

/// How files look, as far as a loader must be told.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Profile.
    pub profile: Profile,
    /// Metadata.
    pub metadata: MetadataMode,
    /// Compression.
    pub compression: Compression,
}

/// Says the commands that load `tables` from `place`.
pub fn next(look: Look, tables: &[Written], place: &Location, lines: &mut Vec<String>) {
    deletes(tables, place, lines);
    let filled: Vec<&Written> = tables.iter().filter(|table| table.files > 0).collect();
    if filled.is_empty() {
        return;
    }
    if look.profile == Profile::Dms {
        dms(place, lines);
        return;
    }
    let mut commands = Vec::new();
    for table in filled.iter().take(MAX_TABLES) {
        match look.profile {
            Profile::Dms => {}
            Profile::Csv => dsbulk(look, table, place, &mut commands),
            Profile::Cqlsh => copy_from(table, place, &mut commands),
            Profile::Datalake => spark(look, table, place, &mut commands),
            Profile::DdbJson => import_table(table, place, &mut commands),
            Profile::Parquet => commands.push(format!(
                "spark.read.parquet('{place}/{0}/{1}') in PySpark, or SELECT * FROM read_parquet('{place}/{0}/{1}/*.parquet') in DuckDB, \
                 or {place}/_cassport/{0}.{1}.athena.sql in Athena",
                table.keyspace, table.table
            )),
            Profile::Jsonl => commands.push(format!(
                "SELECT * FROM read_json('{place}/{}/{}/*.jsonl{}') in DuckDB, or any reader of JSON lines",
                table.keyspace,
                table.table,
                look.compression.suffix(),
            )),
        }
    }
    for (i, command) in commands.into_iter().enumerate() {
        lines.push(format!("{} {command}", if i == 0 { "next:" } else { "and  " }));
    }
    if filled.len() > MAX_TABLES {
        lines.push(format!("and so for {} tables more", filled.len() - MAX_TABLES));
    }
    match look.profile {
        Profile::Csv if look.metadata == MetadataMode::Cell => lines.push(
            "DSBulk ignores writetime(primary key) and those of collections: these get the time of the load".to_owned(),
        ),
        Profile::Cqlsh => {
            let columns = || filled.iter().flat_map(|table| &table.columns);
            let longest = columns().map(|column| column.longest).max().unwrap_or(0);
            if longest >= CQLSH_FIELD {
                lines.push(format!(
                    "there are values of {longest} bytes: cqlshrc needs [csv] field_size_limit = {}",
                    longest.saturating_mul(2)
                ));
            }
        }
        _ => {}
    }
}

/// What to do with deletions: there is no loader of them.
fn deletes(tables: &[Written], place: &Location, lines: &mut Vec<String>) {
    let first = tables.iter().find(|table| table.deletions.is_some_and(|deletions| deletions > 0));
    if let Some(Written { keyspace, table, .. }) = first {
        lines.push(format!(
            "if the target has older data: apply the deletions of each table, such as {place}/{keyspace}/{table}-deletes, before its rows \
             (README, Deletions)"
        ));
    }
}

fn dms(place: &Location, lines: &mut Vec<String>) {
    let first = match place {
        Location::Directory(_) => {
            lines.push(format!("next: aws s3 sync {place} s3://BUCKET/PREFIX"));
            "then"
        }
        Location::S3(_) => "next:",
    };
    lines.push(format!(
        "{first} a DMS source endpoint with {place}/_cassport/s3-source-settings.json, and a task with \
         table-mappings.json and task-settings.json beside it"
    ));
}

/// DSBulk, for rows and for partitions without rows.
fn dsbulk(look: Look, table: &Written, place: &Location, commands: &mut Vec<String>) {
    // Of a number that it would write with other digits it says that it does not fit, unless told to round.
    let mut options = String::from(
        " -header true --connector.csv.escape '\\\"' --connector.csv.maxCharsPerColumn -1 \
         --codec.overflowStrategy TRUNCATE",
    );
    if table.columns.len() > DSBULK_COLUMNS {
        options.push_str(&format!(" --connector.csv.maxColumns {}", table.columns.len()));
    }
    if look.compression != Compression::None {
        options.push_str(&format!(" --connector.csv.compression {}", look.compression.as_str()));
    }
    let mut load = |kind: &str, what: &str, how: &str| {
        let list = format!("{}.{kind}", table.name());
        let (before, list) = match place {
            Location::Directory(_) => (String::new(), format!("{place}/_cassport/{list}")),
            // DSBulk reads the list from a disk, and wants the region in each URL.
            Location::S3(_) => (
                format!(
                    "aws s3 cp {place}/_cassport/{list} - | sed 's/$/?region=REGION/' > {list} && "
                ),
                list,
            ),
        };
        commands.push(format!(
            "{before}dsbulk load{what} --connector.csv.urlfile {list}{options}{how}"
        ));
    };
    if table.files > table.static_files {
        let how = match look.metadata {
            MetadataMode::None => "",
            MetadataMode::Row => {
                " -m '*=*, \\\"writetime(*)\\\"=__timestamp, \\\"ttl(*)\\\"=__ttl'"
            }
            MetadataMode::Cell => " --schema.preserveTimestamp true --schema.preserveTtl true",
        };
        load("urls", &format!(" -k {} -t {}", table.keyspace, table.table), how);
    }
    if table.static_files > 0 {
        for query in static_inserts(look.metadata, table) {
            let query = query.replace('"', "\\\"").replace('\'', "'\\''");
            load("static.urls", "", &format!(" --schema.query '{query}'"));
        }
    }
}

/// Statements for partitions without rows: without a clustering DSBulk makes none itself. With a time for each cell, each
/// column has a statement of its own.
fn static_inserts(metadata: MetadataMode, table: &Written) -> Vec<String> {
    let of = |kind: OutputColumnKind| {
        table.columns.iter().filter(move |column| column.kind == kind).map(|column| &column.name)
    };
    let keys: Vec<&String> = of(OutputColumnKind::PartitionKey).collect();
    let statics: Vec<&String> = of(OutputColumnKind::Static).collect();
    let insert = |columns: &[&String], times: Option<&str>| {
        let names: Vec<String> = keys.iter().chain(columns).map(|name| quote_name(name)).collect();
        let values: Vec<String> = names.iter().map(|name| format!(":{name}")).collect();
        let using = times.map_or_else(String::new, |of| {
            let marker = |what: &str| quote_name(&format!("{what}({of})"));
            format!(" USING TIMESTAMP :{} AND TTL :{}", marker("writetime"), marker("ttl"))
        });
        format!(
            "INSERT INTO {}.{} ({}) VALUES ({}){using}",
            quote_name(&table.keyspace),
            quote_name(&table.table),
            names.join(", "),
            values.join(", "),
        )
    };
    match metadata {
        MetadataMode::None => vec![insert(&statics, None)],
        MetadataMode::Row => vec![insert(&statics, Some("*"))],
        MetadataMode::Cell => {
            let is_list = |name: &str| {
                let fact = format!("writetime({name})");
                table.columns.iter().any(|column| column.name == fact && column.is_list)
            };
            let times = |name: &String| (!is_list(name)).then(|| name.clone());
            statics.iter().map(|name| insert(&[*name], times(name).as_deref())).collect()
        }
    }
}

/// cqlsh, for rows.
fn copy_from(table: &Written, place: &Location, commands: &mut Vec<String>) {
    let (keyspace, name) = (quote_name(&table.keyspace), quote_name(&table.table));
    let folder = match place {
        Location::Directory(_) => format!("{place}/{}/{}", table.keyspace, table.table),
        Location::S3(_) => {
            let folder = format!("{}/{}", table.keyspace, table.table);
            commands.push(format!("aws s3 sync {place}/{folder} {folder}"));
            folder
        }
    };
    commands.push(format!(
        "COPY {keyspace}.{name} ({}) FROM '{folder}/LOAD*.csv' WITH HEADER=TRUE AND ESCAPE='\"' AND NULL='\\N' \
         AND MAXPARSEERRORS=0 AND MAXINSERTERRORS=0; in cqlsh",
        table.own_columns().join(", ")
    ));
}

/// DynamoDB's import from S3.
fn import_table(table: &Written, place: &Location, commands: &mut Vec<String>) {
    let request = format!("{}.import-table.json", table.name());
    match place {
        Location::Directory(_) => {
            if commands.is_empty() {
                commands.push(format!("aws s3 sync {place} s3://BUCKET/PREFIX"));
            }
            commands.push(format!(
                "with that bucket and prefix put into it: aws dynamodb import-table --cli-input-json file://{place}/_cassport/{request}"
            ));
        }
        Location::S3(_) => commands.push(format!(
            "aws s3 cp {place}/_cassport/{request} . && aws dynamodb import-table --cli-input-json file://{request}"
        )),
    }
}

/// Spark, and Redshift where the files are in a bucket.
fn spark(look: Look, table: &Written, place: &Location, commands: &mut Vec<String>) {
    let local = match place {
        Location::Directory(_) => place.to_string(),
        Location::S3(_) => place.to_string().replacen("s3://", "s3a://", 1),
    };
    let Written { keyspace, table: name, .. } = table;
    let folder = format!("{keyspace}/{name}");
    let ddl = format!("_cassport/{keyspace}.{name}.spark-schema.ddl");
    commands.push(format!(
        "spark.conf.set('spark.sql.session.timeZone', 'UTC'); \
         spark.read.schema(spark.read.text('{local}/{ddl}', wholetext=True).first()[0]).csv('{local}/{folder}', \
         header=True, multiLine=True, quote='\"', escape='\"', nullValue='\\\\N', positiveInf='Infinity', \
         negativeInf='-Infinity', mode='FAILFAST') in PySpark"
    ));
    if let Location::S3(_) = place {
        let gzip = if look.compression == Compression::Gzip { " GZIP" } else { "" };
        commands.push(format!(
            "COPY {name} FROM '{place}/_cassport/{keyspace}.{name}.redshift-manifest.json' IAM_ROLE default MANIFEST FORMAT AS CSV \
             IGNOREHEADER 1 NULL AS '\\\\N' TIMEFORMAT 'auto'{gzip}; in Redshift"
        ));
    }
}

#[cfg(test)]
#[path = "loaders_tests.rs"]
mod tests;
