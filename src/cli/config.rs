//! Options as validated: what the command line says, turned into what a job sees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::args::{
    CatArgs, CompressionArg, ExtractArgs, InputArgs, InspectArgs, JsonNumbersArg, MetadataArg,
    OnCorruptArg, OutputArgs, ProfileArg, RecordArgs, S3Args, SseArg, StorageClassArg,
};
use super::commitlog_args::commit_log_options;
use super::settings::{Origin, Settings};
use super::share_args::{nodes, share_options};
use super::units::{Pair, WriteTime, split_literals};
use crate::discover::{InputOptions, SchemaOption};
use crate::error::{Error, Result};
use crate::extract::{ExtractOptions, OnCorrupt, OutputTarget, RecordOptions};
use crate::io::ReadMode;
use crate::output::{Compression, JsonNumbers, MetadataMode, Profile};
use crate::progress::clock;
use crate::store::Location;
use crate::store::s3::{Encryption, S3Options, StorageClass, Transfer};

/// A chunk is 64 KiB, seldom more.
const LEAST_READ_RATE: u64 = 64 << 10;
/// `seal` writes small files only.
const SEAL_MEMORY: u64 = 64 << 20;

/// A run of `inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectOptions {
    /// What to read.
    pub input: InputOptions,
    /// JSON in place of text.
    pub json: bool,
    /// Read all data and compare checksums.
    pub check: bool,
}

/// A run of `cat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatOptions {
    /// What to read.
    pub input: InputOptions,
    /// CQL literals of the partition key's columns; empty for all partitions.
    pub key: Vec<String>,
    /// Say which source won.
    pub explain: bool,
    /// Unmerged.
    pub raw: bool,
    /// The clock: seconds since 1970.
    pub now: i64,
}

/// Checks the options of `extract`.
pub fn extract_options(args: &ExtractArgs, settings: &Settings) -> Result<ExtractOptions> {
    let Some(output) = output_target(&args.records)? else {
        return Err(Error::Usage {
            what: "extract needs to know where to write".into(),
            hint: Some(
                "--output DIR, --output s3://BUCKET/PREFIX, or --output - for standard output"
                    .into(),
            ),
        });
    };
    run_options(args, output, settings)
}

/// Where to write, if that was said.
pub(super) fn output_target(args: &RecordArgs) -> Result<Option<OutputTarget>> {
    Ok(match (&args.output, args.discard) {
        (_, true) => Some(OutputTarget::Discard),
        (Some(output), false) if output.as_os_str() == "-" => Some(OutputTarget::Stdout),
        (Some(output), false) => Some(OutputTarget::Store(Location::parse(output)?)),
        (None, false) => None,
    })
}

/// Checks the options of a run into `output`.
pub(super) fn run_options(
    args: &ExtractArgs,
    output: OutputTarget,
    settings: &Settings,
) -> Result<ExtractOptions> {
    let input = input_options(&args.input, &[], settings)?;
    // One chunk must not take longer than a person waits for Ctrl-C.
    if args.run.read_rate.is_some_and(|rate| rate.0 < LEAST_READ_RATE) {
        return Err(Error::usage("--read-rate must be at least 64KiB/s"));
    }
    check_deletes(&args.records, &output)?;
    let threads = match args.run.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    Ok(ExtractOptions {
        commit_log: commit_log_options(&args.commit_log, &input, settings)?,
        input,
        output,
        s3: s3_options(&args.s3, args.run.memory.0)?,
        share: share_options(&args.share, &|name| std::env::var(name).ok())?,
        records: record_options(&args.records)?,
        deletes: args.records.deletes,
        now: args.run.now.unwrap_or_else(|| clock::now().seconds()),
        now_given: args.run.now.is_some(),
        threads,
        memory: args.run.memory.0,
        file_size: args.records.file_size.0,
        on_corrupt: match args.run.on_corrupt {
            OnCorruptArg::Fail => OnCorrupt::Fail,
            OnCorruptArg::Skip => OnCorrupt::Skip,
        },
        heartbeat: args.run.heartbeat,
        read_rate: args.run.read_rate.map(|rate| rate.0),
        overwrite: args.records.overwrite,
    })
}

/// Checks what cannot be beside deletions.
fn check_deletes(args: &RecordArgs, output: &OutputTarget) -> Result<()> {
    if !args.deletes {
        return Ok(());
    }
    if *output == OutputTarget::Stdout {
        return Err(Error::Usage {
            what: "--deletes writes files beside those of rows, and standard output is none".into(),
            hint: Some("--output DIR".into()),
        });
    }
    if args.writetime != WriteTime::Original {
        return Err(Error::Usage {
            what: "--deletes gives deletions their own write times, and --writetime rows another one: rows would be deleted by what is older than they are".into(),
            hint: Some("leave --writetime out".into()),
        });
    }
    Ok(())
}

/// The output that a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealTarget {
    /// Where it is.
    pub location: Location,
    /// How S3 is reached, where it is a bucket.
    pub s3: S3Options,
}

/// Checks where an output is.
pub fn seal_target(args: &OutputArgs) -> Result<SealTarget> {
    let Some(output) = &args.output else {
        return Err(Error::Usage {
            what: "which output is not said".into(),
            hint: Some("--output, as extract had it".into()),
        });
    };
    Ok(SealTarget { location: Location::parse(output)?, s3: s3_options(&args.s3, SEAL_MEMORY)? })
}

/// Checks how S3 is reached.
pub(super) fn s3_options(args: &S3Args, memory: u64) -> Result<S3Options> {
    let usage = |what: &str, hint: &str| {
        Err(Error::Usage { what: what.to_owned(), hint: Some(hint.to_owned()) })
    };
    if let Some(endpoint) = &args.s3_endpoint {
        let host = ["http://", "https://"]
            .iter()
            .find_map(|scheme| endpoint.strip_prefix(scheme))
            .unwrap_or_default();
        // The URL itself is not shown: what does not belong in it may be a secret.
        if host.contains(['@', '?', '#', ' ']) {
            return usage(
                "--s3-endpoint has more in it than a host",
                "credentials come from AWS_ACCESS_KEY_ID or an AWS profile",
            );
        }
        if host.trim_matches('/').is_empty() {
            return usage("--s3-endpoint is not a URL", "http://HOST:PORT or https://HOST");
        }
    }
    if args.s3_region.as_ref().is_some_and(|region| {
        region.is_empty() || !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    }) {
        return usage("--s3-region is not the name of a region", "such as eu-central-1");
    }
    let encryption = match args.sse {
        SseArg::None => Encryption::BucketDefault,
        SseArg::Aes256 => Encryption::Aes256,
        SseArg::Kms => Encryption::Kms {
            key_id: args.sse_kms_key_id.clone(),
            bucket_key: args.sse_bucket_key.then_some(true),
        },
    };
    if args.sse != SseArg::Kms && (args.sse_kms_key_id.is_some() || args.sse_bucket_key) {
        return usage("--sse-kms-key-id and --sse-bucket-key are for KMS", "add --sse aws:kms");
    }
    if args
        .expected_bucket_owner
        .as_ref()
        .is_some_and(|id| id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()))
    {
        return usage("--expected-bucket-owner is not an account", "an account has twelve digits");
    }
    Ok(S3Options {
        endpoint: args.s3_endpoint.clone(),
        path_style: args.s3_path_style,
        region: args.s3_region.clone(),
        encryption,
        storage_class: args.storage_class.map(|class| match class {
            StorageClassArg::Standard => StorageClass::Standard,
            StorageClassArg::StandardIa => StorageClass::StandardIa,
            StorageClassArg::OnezoneIa => StorageClass::OnezoneIa,
            StorageClassArg::IntelligentTiering => StorageClass::IntelligentTiering,
            StorageClassArg::GlacierIr => StorageClass::GlacierIr,
        }),
        expected_bucket_owner: args.expected_bucket_owner.clone(),
        upload_rate: args.upload_rate.map(|rate| rate.0),
        transfer: Transfer::of(memory),
        ..S3Options::default()
    })
}

/// Checks the options of `inspect`.
pub fn inspect_options(args: &InspectArgs, settings: &Settings) -> Result<InspectOptions> {
    let input = input_options(&args.input, &[], settings)?;
    Ok(InspectOptions { input, json: args.json, check: args.check })
}

/// Checks the options of `cat`.
pub fn cat_options(args: &CatArgs, settings: &Settings) -> Result<CatOptions> {
    let mut key = Vec::new();
    for text in &args.key {
        key.extend(split_literals(text).map_err(|words| Error::usage(format!("--key: {words}")))?);
    }
    Ok(CatOptions {
        input: input_options(&args.input, &args.file, settings)?,
        key,
        explain: args.explain,
        raw: args.raw,
        now: args.now.unwrap_or_else(|| clock::now().seconds()),
    })
}

/// Checks what to read; `files` are added to the directories.
pub fn input_options(
    args: &InputArgs,
    files: &[PathBuf],
    settings: &Settings,
) -> Result<InputOptions> {
    let nodes = nodes(&args.node, args.nodes_file.as_deref())?;
    let mut data_dirs = data_dirs(&args.data_dir, settings.origin("data-dir"));
    if !nodes.is_empty() {
        if !files.is_empty() || settings.origin("data-dir") == Origin::CommandLine {
            return Err(Error::Usage {
                what: "--node and --data-dir both say what to read".into(),
                hint: Some("--data-dir is for the directories of one node".into()),
            });
        }
        data_dirs.clear();
    }
    // Files named on the command line stand in place of directories that a file or a variable has for other runs.
    if !files.is_empty() && settings.origin("data-dir") != Origin::CommandLine {
        data_dirs.clear();
    }
    data_dirs.extend_from_slice(files);
    if data_dirs.is_empty() && nodes.is_empty() {
        return Err(Error::Usage {
            what: "nothing to read".into(),
            hint: Some(
                "--data-dir DIR: a data directory, a table or snapshot folder, or a Data.db".into(),
            ),
        });
    }
    let all = nodes.iter().flat_map(|node| &node.dirs).chain(&data_dirs);
    if let Some(url) = all.into_iter().find(|path| is_url(path)) {
        return Err(Error::Usage {
            what: format!("{} is not a path: inputs are read from local disks", url.display()),
            hint: Some("mount or copy the files first".into()),
        });
    }
    let snapshot = args.snapshot.clone();
    if snapshot.as_ref().is_some_and(|tag| tag.is_empty() || tag.contains('/')) {
        return Err(Error::Usage {
            what: format!("{:?} is not the name of a snapshot", snapshot.unwrap_or_default()),
            hint: Some("--snapshot takes the tag; a snapshot folder goes to --data-dir".into()),
        });
    }
    let cassandra_version = args.cassandra_version.clone();
    if let Some(version) = cassandra_version.as_ref().filter(|version| !is_release(version)) {
        return Err(Error::usage(format!("{version:?} is not a release such as 3.11 or 4.1.9")));
    }
    let names = |option: &str, names: &[String], most_dots: usize| {
        for name in names {
            let parts = name.split('.').count();
            if name.split('.').any(str::is_empty) || parts > most_dots + 1 {
                return Err(Error::usage(format!("--{option}: {name:?} is not a name")));
            }
        }
        Ok(names.to_vec())
    };
    Ok(InputOptions {
        data_dirs,
        nodes,
        snapshot,
        backups: args.backups,
        schema: match &args.schema {
            None => SchemaOption::Auto,
            Some(path) if path.as_os_str() == "header" => SchemaOption::Header,
            Some(path) => SchemaOption::File(path.clone()),
        },
        keyspaces: names("keyspace", &args.keyspace, 0)?,
        tables: names("table", &args.table, 1)?,
        exclude: names("exclude", &args.exclude, 1)?,
        read_mode: if args.no_mmap { ReadMode::Read } else { ReadMode::Map },
        cassandra_version,
    })
}

fn record_options(args: &RecordArgs) -> Result<RecordOptions> {
    if args.expires_column.as_ref().is_some_and(String::is_empty) {
        return Err(Error::usage("--expires-column needs a name"));
    }
    let profile = match args.profile {
        ProfileArg::Dms => Profile::Dms,
        ProfileArg::Csv => Profile::Csv,
        ProfileArg::Jsonl => Profile::Jsonl,
        ProfileArg::DdbJson => Profile::DdbJson,
        ProfileArg::Parquet => Profile::Parquet,
        ProfileArg::Cqlsh => Profile::Cqlsh,
        ProfileArg::Datalake => Profile::Datalake,
    };
    let compression =
        profile.compression(args.compression.map(|compression| match compression {
            CompressionArg::None => Compression::None,
            CompressionArg::Gzip => Compression::Gzip,
            CompressionArg::Zstd => Compression::Zstd,
            CompressionArg::Snappy => Compression::Snappy,
        }))?;
    if profile == Profile::Cqlsh && args.metadata != MetadataArg::None {
        return Err(Error::Usage {
            what: "--metadata: COPY FROM of cqlsh takes no columns beside those of the table, and no write times".into(),
            hint: Some("--profile csv: DSBulk loads write times and TTLs".into()),
        });
    }
    let to_stdout = args.output.as_ref().is_some_and(|output| output.as_os_str() == "-");
    if to_stdout && profile == Profile::Parquet {
        return Err(Error::Usage {
            what: "Parquet is for files, and standard output is none".into(),
            hint: Some("--output DIR".into()),
        });
    }
    if to_stdout && args.compression.is_some() && compression != Compression::None {
        return Err(Error::Usage {
            what: "--compression is for files, and standard output is none".into(),
            hint: Some(format!("pipe it through {}", compression.as_str())),
        });
    }
    Ok(RecordOptions {
        profile,
        compression,
        metadata: match args.metadata {
            MetadataArg::None => MetadataMode::None,
            MetadataArg::Row => MetadataMode::Row,
            MetadataArg::Cell => MetadataMode::Cell,
        },
        writetime: match args.writetime {
            WriteTime::Original => None,
            WriteTime::At(micros) => Some(micros),
        },
        expires_column: args.expires_column.clone(),
        include_columns: args.include_columns.clone(),
        exclude_columns: args.exclude_columns.clone(),
        rename: by_name("rename", &args.rename)?,
        column_types: by_name("column-type", &args.column_type)?,
        json_numbers: match args.json_numbers {
            JsonNumbersArg::Number => JsonNumbers::Number,
            JsonNumbersArg::Text => JsonNumbers::Text,
        },
        ddb_shape: args.ddb_shape.into(),
        ddb_keys: args.ddb_keys.into(),
    })
}

/// The directories; a variable has several in one value, as PATH does.
pub(super) fn data_dirs(typed: &[PathBuf], origin: Origin) -> Vec<PathBuf> {
    if origin == Origin::Variable {
        return typed
            .iter()
            .flat_map(|paths| std::env::split_paths(paths).collect::<Vec<_>>())
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
    }
    typed.to_vec()
}

/// A name said twice with two meanings is an error, not the last one's.
fn by_name(option: &str, pairs: &[Pair]) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        let former = map.insert(pair.left.clone(), pair.right.clone());
        if former.is_some_and(|former| former != pair.right) {
            return Err(Error::usage(format!("--{option} says two things about {}", pair.left)));
        }
    }
    Ok(map)
}

fn is_url(path: &Path) -> bool {
    path.to_string_lossy().split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// `major.minor`, then anything that releases have: `4.1.9`, `5.0-rc1`.
fn is_release(text: &str) -> bool {
    let mut parts = text.splitn(3, ['.', '-', '~', '+']);
    let number = |part: Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    };
    number(parts.next()) && number(parts.next())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
