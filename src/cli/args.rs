//! The command line as typed.
//!
//! Nothing here is checked against the world or against other options: [`super::config`] makes of it what a job sees.
//! Every option with a long name can also be given as `CASSPORT_` and that name, and in the configuration file:
//! [`command`] and [`super::settings`] see to both, so that no option can be forgotten.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::commitlog_args::CommitLogArgs;
use super::listen_args::ListenArgs;
use super::plan_args::PlanArgs;
use super::sequence_args::SequenceArgs;
use super::share_args::{NodeArg, ShareArgs};
use super::tail_args::TailArgs;
use super::units::{ByteSize, Pair, WriteTime, parse_clock, parse_duration, parse_rate};
use super::verify_args::VerifyArgs;
use crate::output::dynamodb::{DdbKeys, DdbShape};

const AFTER_HELP: &str = "\
Every option can also be given as a variable, CASSPORT_ and its name (--data-dir: CASSPORT_DATA_DIR), or in a TOML file \
(--config) under its name without the dashes (data-dir = [\"/var/lib/cassandra/data\"]). The command line wins over \
variables, variables over the file. `cassport config` shows what is in force.

Exit codes: 0 complete; 1 finished, but something was skipped (the report lists it); 2 usage or configuration; 3 input \
missing, unsupported or damaged; 4 output could not be written or was refused; 5 verification found differences; 101 a \
bug of cassport; 128+N stopped by signal N, the same command again continues.";

/// Takes data out of Apache Cassandra by reading its files, with no live cluster.
///
/// Reads the SSTables of Cassandra 3.0 to 5.0 (a data directory, a snapshot, a single file), merges them as Cassandra
/// would answer SELECT *, and writes CSV or JSON lines for AWS DMS, DSBulk and others. Inputs are never modified.
#[derive(Debug, Parser)]
#[command(name = "cassport", version, after_long_help = AFTER_HELP, max_term_width = 120)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct Args {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Take options from this TOML file
    ///
    /// Keys are the long names of options without the dashes. One file serves all commands: an option that a command
    /// does not have is left alone, a name that no command knows is an error.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How messages look on standard error
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Say more: -v for debugging, -vv for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but errors: no progress, no summary, no warnings
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub quiet: bool,
    /// Colours in messages on standard error
    ///
    /// `auto` means on a terminal, unless the variable NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto)]
    pub color: ColorWhen,
    /// How often a line of progress is written where there is no terminal
    #[arg(long, global = true, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    pub progress_interval: Duration,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write tables as files for a loader: CSV or JSON lines
    ///
    /// Finds the live SSTables and their schema, merges them as Cassandra would answer SELECT *, and writes one file per
    /// split of the token ring, a manifest with digests, and what AWS DMS or another loader needs beside them. The same
    /// command again continues a run that was stopped.
    Extract(Box<ExtractArgs>),
    /// Print the schema found on the disk as CQL
    ///
    /// Of the selected tables, with their keyspaces, types, indexes and views; Cassandra accepts it as it is.
    Schema(SchemaArgs),
    /// Show what is in a directory, and whether it is whole
    ///
    /// Tables, SSTables, versions, sizes, compression, rows, tombstones, what expires when, what is repaired, and what is
    /// left over of operations that did not finish. Reads directory listings and Statistics.db; with --check all data.
    /// Damage gives exit code 3.
    Inspect(InspectArgs),
    /// Show rows as JSON lines: merged, raw, or explained
    ///
    /// Of one table or, with --key, of one partition: as a read would answer, with write times and TTLs; with --raw as each
    /// SSTable has it; with --explain which version of each cell won, and what the others lost to.
    Cat(CatArgs),
    /// Ship ongoing changes from the commit log as change records
    ///
    /// Runs on (or next to) every node and is started before the snapshot or clone is taken. Follows the segments in cdc_raw,
    /// the commit log itself, an archive of it, or incremental backups, and writes every change with its exact write times
    /// below _cassport/changes/ of the output; `sequence` makes final rows of them. Runs until it is told to stop (SIGTERM
    /// finishes the open file and ends with 0), or with --once until everything there is shipped. The same command again
    /// continues.
    Tail(Box<TailArgs>),
    /// Tell what an extract would read, write, take and cost, without reading data
    ///
    /// Takes the options of `extract`. Rows and bytes are estimates from Statistics.db, the number of files is exact. Shows
    /// what the target will refuse or change, and the command for each agent. Nothing is written.
    Plan(Box<PlanArgs>),
    /// Check that the parts of all agents make the whole, and write what loaders need of it
    ///
    /// Run once after all agents (a run of one agent does it by itself): row counts, digests and token ranges must fit
    /// together, or the exit code is 5. Then it writes the settings and lists for the loader of the profile, and
    /// _cassport/complete.json last.
    Seal(SealArgs),
    /// Turn the change records of all nodes into rows for a loader
    ///
    /// Merges the streams that tail ships by write time, and writes a row whenever it is another one than before: change
    /// files for DMS (INSERT, UPDATE, DELETE), numbered upwards, one writer for all tables. Goes on until it is stopped, or
    /// with --once until all is done; the same command again continues.
    Sequence(Box<SequenceArgs>),
    /// Show how far all agents of an output are, in one table
    ///
    /// From what each last said of itself (every 10 seconds), by agent and by table, in DMS's words. Nothing is written.
    Status(StatusArgs),
    /// Check SSTables, an output, or a source against an output
    ///
    /// With --data-dir: checksums, order of keys and rows, index, summary, Bloom filter and statistics of every SSTable.
    /// With --output: every file against its manifest. With --data-dir and --against: what the source gives now against an
    /// output. Differences give exit code 5, inputs that cannot be read 3.
    Verify(Box<VerifyArgs>),
    /// Show the options in force, where each comes from, as a configuration file
    ///
    /// Takes the options of `extract`, beside the variables and the file, and prints TOML: what it prints can be given
    /// back with --config. Values of options that hold secrets are hidden.
    Config(Box<ExtractArgs>),
    /// Write the manual page or shell completions to standard output
    Generate(GenerateArgs),
}

/// What to read: the options that `extract`, `inspect`, `schema` and `cat` share.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Where Cassandra's files are (repeatable)
    ///
    /// A data directory of a node (all of them for JBOD), a keyspace or table folder, a snapshot folder, or a single
    /// Data.db. All must be of one node. In the variable several are separated by ':'.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Vec<PathBuf>,
    /// The data directories of one of several nodes, whose replicas are reconciled into one copy (repeatable)
    ///
    /// In place of --data-dir. What comes out is what a read with consistency ALL would give.
    #[arg(long, value_name = "NAME=DIR[,DIR]")]
    pub node: Vec<NodeArg>,
    /// The same from a TOML file with a table `nodes`: a line NAME = `["DIR", "DIR"]` for each
    #[arg(long, value_name = "FILE")]
    pub nodes_file: Option<PathBuf>,
    /// Read the snapshot of this name in place of the live SSTables
    #[arg(long, value_name = "TAG")]
    pub snapshot: Option<String>,
    /// Read incremental backups (the `backups` folders) as well
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub backups: bool,
    /// Where the schema comes from: a file of CQL, or `header`
    ///
    /// By default the schema is read from the disk: the SSTables of system_schema, else a snapshot's schema.cql. `header`
    /// makes the best of Statistics.db alone, which does not know the names of key columns. (A file that is named so:
    /// ./header.)
    #[arg(long, value_name = "FILE|header")]
    pub schema: Option<PathBuf>,
    /// Only these keyspaces (repeatable, comma-separated, globs such as `shop_*`)
    ///
    /// System keyspaces are left out unless named.
    #[arg(short, long, value_name = "KEYSPACE", value_delimiter = ',')]
    pub keyspace: Vec<String>,
    /// Only these tables: TABLE or KEYSPACE.TABLE (repeatable, comma-separated, globs such as `shop.*`)
    ///
    /// A bare name must be unique. Views and index tables are left out unless named.
    #[arg(short, long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Leave out these: KEYSPACE or KEYSPACE.TABLE (repeatable, comma-separated, globs)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Read files in place of mapping them into memory
    ///
    /// Slower, but a file that somebody cuts short while it is read gives an error in place of a crash (SIGBUS).
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub no_mmap: bool,
    /// The release that wrote the files, such as 3.11.19
    ///
    /// Decides how ties between cells of equal write time are broken. By default it is read from system.local.
    #[arg(long, value_name = "VERSION")]
    pub cassandra_version: Option<String>,
}

/// `extract`.
#[derive(Debug, clap::Args)]
pub struct ExtractArgs {
    /// What to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// What was never flushed.
    #[command(flatten)]
    pub commit_log: CommitLogArgs,
    /// Where and how to write.
    #[command(flatten)]
    pub records: RecordArgs,
    /// Which part of it.
    #[command(flatten)]
    pub share: ShareArgs,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
    /// How to run.
    #[command(flatten)]
    pub run: RunArgs,
    /// How to look at it.
    #[command(flatten)]
    pub observation: ListenArgs,
}

/// Where `extract` writes, and what records look like.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct RecordArgs {
    /// Write to this directory, to s3://BUCKET/PREFIX, or to standard output: `-` (one table)
    #[arg(short, long, value_name = "DIR|s3://BUCKET/PREFIX|-")]
    pub output: Option<PathBuf>,
    /// Who is to read the files
    #[arg(long, value_enum, default_value_t = ProfileArg::Dms)]
    pub profile: ProfileArg,
    /// Write times and TTLs beside the values
    #[arg(long, value_enum, value_name = "MODE", default_value_t = MetadataArg::None)]
    pub metadata: MetadataArg,
    /// Print the original write times, or this one in place of all: `original` or a time
    ///
    /// A time is RFC 3339 or microseconds since 1970. One that is before the first write to the target lets the load run
    /// below live writes.
    #[arg(long, value_name = "original|TIME", default_value = "original")]
    pub writetime: WriteTime,
    /// Add a column of this name with the epoch second after which the whole row is gone
    ///
    /// For targets with a TTL attribute. Without it, expiring rows are counted and warned about.
    #[arg(long, value_name = "NAME")]
    pub expires_column: Option<String>,
    /// Write what is deleted too, as change records in KEYSPACE/TABLE-deletes: for a target that already has older data
    ///
    /// Deletions of partitions, rows, ranges, columns, elements and static columns with their write times, and what has expired;
    /// in lines of JSON, whatever the profile is. Applied to the target before the rows, or in any order by write time, they
    /// remove what the source does not have any more.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub deletes: bool,
    /// How `jsonl` and JSON in `datalake` write decimal and varint: as numbers of any length, or as strings
    #[arg(long, value_enum, value_name = "FORM", default_value_t = JsonNumbersArg::Number)]
    pub json_numbers: JsonNumbersArg,
    /// What items of `ddb-json` look like
    #[arg(long, value_enum, value_name = "SHAPE", default_value_t = DdbShapeArg::Native)]
    pub ddb_shape: DdbShapeArg,
    /// What the keys of `ddb-json` items are made of
    #[arg(long, value_enum, value_name = "KEYS", default_value_t = DdbKeysArg::Auto)]
    pub ddb_keys: DdbKeysArg,
    /// Write only these columns beside the key: [[KEYSPACE.]TABLE.]COLUMN (repeatable, comma-separated)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub include_columns: Vec<String>,
    /// Do not write these columns: [[KEYSPACE.]TABLE.]COLUMN (repeatable, comma-separated)
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub exclude_columns: Vec<String>,
    /// Write a column under another name: [[KEYSPACE.]TABLE.]OLD=NEW (repeatable)
    #[arg(long, value_name = "OLD=NEW")]
    pub rename: Vec<Pair>,
    /// The type of a column in the target where its default type does not fit (repeatable)
    ///
    /// [[KEYSPACE.]TABLE.]COLUMN=TYPE, such as shop.orders.total=NUMERIC(38,10). Rows that do not fit are quarantined.
    #[arg(long, value_name = "COLUMN=TYPE")]
    pub column_type: Vec<Pair>,
    /// How files are compressed [default: none]
    ///
    /// Not every loader reads every kind: dms has none. Files are members of gzip or frames of zstd, each whole, so that readers
    /// can begin at any of them.
    #[arg(long, value_enum, value_name = "KIND")]
    pub compression: Option<CompressionArg>,
    /// About how much uncompressed source data goes into one file
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub file_size: ByteSize,
    /// Start afresh: remove what this agent wrote to the output before
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub overwrite: bool,
    /// Decode and format everything but write nothing, for measuring
    #[arg(long, hide = true, value_parser = BoolishValueParser::new())]
    pub discard: bool,
}

/// How S3 is reached and written.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "S3 (credentials, profile and region as the AWS CLI finds them)")]
pub struct S3Args {
    /// URL of a compatible store in place of AWS, such as http://127.0.0.1:9000
    #[arg(long, value_name = "URL")]
    pub s3_endpoint: Option<String>,
    /// Put the bucket into the path of requests and not into the host name
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub s3_path_style: bool,
    /// Region of the bucket [default: AWS_REGION, then the AWS profile's]
    #[arg(long, value_name = "REGION")]
    pub s3_region: Option<String>,
    /// Encryption on the server: `none` leaves it to the bucket
    #[arg(long, value_enum, value_name = "HOW", default_value_t = SseArg::None)]
    pub sse: SseArg,
    /// Key for --sse aws:kms: its id, ARN or alias [default: the account's aws/s3]
    #[arg(long, value_name = "KEY")]
    pub sse_kms_key_id: Option<String>,
    /// With --sse aws:kms: one data key for many objects, which asks KMS less often
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub sse_bucket_key: bool,
    /// Storage class of data files; state and side files keep the bucket's default
    #[arg(long, value_enum, value_name = "CLASS")]
    pub storage_class: Option<StorageClassArg>,
    /// Refuse to write unless this account owns the bucket: twelve digits
    #[arg(long, value_name = "ACCOUNT")]
    pub expected_bucket_owner: Option<String>,
    /// Send at most this much, such as 50MB/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub upload_rate: Option<ByteSize>,
}

/// How `extract` runs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    /// Worker threads [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Memory that may be allocated; one row and one collection must fit half of it
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub memory: ByteSize,
    /// The clock that decides what has expired [default: the start of the run]
    ///
    /// RFC 3339 or seconds since 1970. Same input, same options and same clock give the same bytes.
    #[arg(long, value_name = "TIME", value_parser = parse_clock, allow_negative_numbers = true)]
    pub now: Option<i64>,
    /// Read at most this much of Data.db, such as 50MB/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub read_rate: Option<ByteSize>,
    /// How often status and claim of this agent are written; one that is silent for three times as long may be replaced
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    pub heartbeat: Duration,
    /// What to do where an input is damaged
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = OnCorruptArg::Fail)]
    pub on_corrupt: OnCorruptArg,
}

/// `seal`.
#[derive(Debug, clap::Args)]
pub struct SealArgs {
    /// Where the agents wrote.
    #[command(flatten)]
    pub target: OutputArgs,
    /// Seal also where changes may be missing between the extract and a change stream
    ///
    /// Without it `seal` ends with 5 unless it can prove of every host that its change stream begins before the extract ends.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub accept_unproven_handoff: bool,
}

/// The output of a run.
#[derive(Debug, clap::Args)]
pub struct OutputArgs {
    /// The directory or s3://BUCKET/PREFIX that the agents wrote to
    #[arg(short, long, value_name = "DIR|s3://BUCKET/PREFIX")]
    pub output: Option<PathBuf>,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
}

/// `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Where the agents write.
    #[command(flatten)]
    pub target: OutputArgs,
    /// Print one JSON document in place of text
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// Print it again at this interval until all agents are complete or one has failed; with --listen until it is stopped
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, num_args = 0..=1, default_missing_value = "5s")]
    pub watch: Option<Duration>,
    /// Wait until every change stream, and the sequencer if there is one, has passed --since, then end with 0: the signal for cut-over
    #[arg(long, requires = "since", value_parser = BoolishValueParser::new())]
    pub wait_caught_up: bool,
    /// The time of the last write that has to be shipped
    ///
    /// RFC 3339 or seconds since 1970, by the clocks of the nodes.
    #[arg(long, value_name = "TIME", value_parser = parse_clock, allow_negative_numbers = true)]
    pub since: Option<i64>,
    /// A page over the whole output.
    #[command(flatten)]
    pub observation: ListenArgs,
}

/// `inspect`.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// What to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Print one JSON document in place of text
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// Read all data and compare it with its checksums; damage gives exit code 3
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub check: bool,
}

/// `schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// What to read.
    #[command(flatten)]
    pub input: InputArgs,
}

/// `cat`.
#[derive(Debug, clap::Args)]
pub struct CatArgs {
    /// A Data.db to read, as --data-dir takes it
    #[arg(value_name = "DATA.DB")]
    pub file: Vec<PathBuf>,
    /// What to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Only the partition of this key: CQL literals of its columns in order
    ///
    /// Comma-separated or repeated: --key "'c-42',7" or --key "'c-42'" --key 7.
    #[arg(long, value_name = "LITERAL", allow_negative_numbers = true)]
    pub key: Vec<String>,
    /// Say which SSTable, cell or tombstone won, and what it won over
    #[arg(long, conflicts_with = "raw", value_parser = BoolishValueParser::new())]
    pub explain: bool,
    /// Show what each SSTable holds, unmerged: rows, cells and tombstones
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub raw: bool,
    /// The clock that decides what has expired [default: now]
    ///
    /// RFC 3339 or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = parse_clock, allow_negative_numbers = true)]
    pub now: Option<i64>,
}

/// `generate`.
#[derive(Debug, clap::Args)]
pub struct GenerateArgs {
    /// What to write.
    #[command(subcommand)]
    pub what: Generate,
}

/// What `generate` writes.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Generate {
    /// The manual page, for `man -l`
    Man,
    /// Completions for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// `--profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProfileArg {
    /// CSV for AWS DMS with S3 as its source
    Dms,
    /// CSV with a header, as DSBulk reads it (also: dsbulk)
    #[value(alias = "dsbulk")]
    Csv,
    /// One JSON object per row, values as SELECT JSON writes them
    Jsonl,
    /// CSV for COPY FROM of cqlsh
    Cqlsh,
    /// CSV as DMS writes it to S3, for Spark, Glue, Athena and Redshift
    Datalake,
    /// DynamoDB JSON, for DynamoDB's import from S3
    DdbJson,
    /// Parquet, for Spark, Athena, DuckDB and pyarrow
    Parquet,
}

/// `--ddb-shape`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DdbShapeArg {
    /// All of DynamoDB's types: maps, lists, sets, binary
    Native,
    /// Keys, names and types as AWS DMS makes them of profile dms, so that changes through DMS fit the imported table
    Dms,
}

impl From<DdbShapeArg> for DdbShape {
    fn from(shape: DdbShapeArg) -> Self {
        match shape {
            DdbShapeArg::Native => Self::Native,
            DdbShapeArg::Dms => Self::Dms,
        }
    }
}

impl From<DdbKeysArg> for DdbKeys {
    fn from(keys: DdbKeysArg) -> Self {
        match keys {
            DdbKeysArg::Auto => Self::Auto,
            DdbKeysArg::Composite => Self::Composite,
        }
    }
}

/// `--ddb-keys`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DdbKeysArg {
    /// The table's own columns where they can be keys of DynamoDB, else cp_pk and cp_sk
    Auto,
    /// Always cp_pk, and cp_sk where there is a clustering: long keys are shortened and not refused
    Composite,
}

/// `--compression`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressionArg {
    /// Not
    None,
    /// .gz
    Gzip,
    /// .zst; of parquet the pages, which is its default
    Zstd,
    /// Of parquet the pages
    Snappy,
}

/// `--metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetadataArg {
    /// Nothing
    None,
    /// One write time and one TTL per row
    Row,
    /// Those of every column, and of the row marker
    Cell,
}

/// `--json-numbers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum JsonNumbersArg {
    /// Numbers of any length
    Number,
    /// Strings, for readers that would go through double
    Text,
}

/// `--sse`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SseArg {
    /// As the bucket says
    None,
    /// SSE-S3
    #[value(name = "AES256", alias = "aes256")]
    Aes256,
    /// SSE-KMS
    #[value(name = "aws:kms")]
    Kms,
}

/// `--storage-class`: those that can be read at once, as loaders do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StorageClassArg {
    /// The usual one
    Standard,
    /// Infrequent access
    StandardIa,
    /// Infrequent access, in one zone
    OnezoneIa,
    /// Moved by use
    IntelligentTiering,
    /// Archive that can be read at once
    GlacierIr,
}

/// `--on-corrupt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnCorruptArg {
    /// Stop with exit code 3
    Fail,
    /// Leave out the damaged token ranges, list them in the report, go on, exit with code 1
    Skip,
}

/// The variable that stands for an option: `CASSPORT_DATA_DIR` for `data-dir`.
pub(in crate::cli) fn variable(long: &str) -> String {
    format!("CASSPORT_{}", long.replace('-', "_").to_uppercase())
}

/// The whole command line, each option with its variable.
pub fn command() -> clap::Command {
    fn with_variables(command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| match arg.get_long().map(variable) {
                // The rule is said once, at the end of the help.
                Some(name) => arg.env(OsString::from(name)).hide_env(true),
                None => arg,
            })
            .mut_subcommands(with_variables)
    }
    with_variables(Args::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(command: &clap::Command, path: &str, seen: &mut dyn FnMut(&str, &clap::Arg)) {
        for arg in command.get_arguments() {
            seen(path, arg);
        }
        for sub in command.get_subcommands() {
            walk(sub, &format!("{path} {}", sub.get_name()), seen);
        }
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_option_and_command_has_help() {
        let command = command();
        let mut count = 0;
        walk(&command, "cassport", &mut |path, arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 8, "{path}: {} has no help", arg.get_id());
            assert!(
                !help.ends_with('.'),
                "{path}: the short help of {} is a fragment",
                arg.get_id()
            );
            count += 1;
        });
        assert!(count > 20, "{count}");
        for sub in command.get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
        }
    }

    #[test]
    fn every_option_has_its_variable() {
        walk(&command(), "cassport", &mut |path, arg| {
            if let Some(long) = arg.get_long() {
                let name = arg.get_env().unwrap_or_else(|| panic!("{path}: {long}"));
                assert_eq!(name.to_str(), Some(variable(long).as_str()));
            }
        });
        assert_eq!(variable("data-dir"), "CASSPORT_DATA_DIR");
    }
}
