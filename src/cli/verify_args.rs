//! `verify` as typed, and as checked.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;

use super::args::{InputArgs, S3Args};
use super::commitlog_args::{CommitLogArgs, commit_log_options};
use super::config::{input_options, s3_options};
use super::settings::{Origin, Settings};
use super::units::ByteSize;
use crate::error::{Error, Result};
use crate::progress::clock;
use crate::store::Location;
use crate::store::s3::S3Options;
use crate::verify::{AgainstOptions, OutputOptions, SourceOptions};

/// `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// What to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// What was never flushed, where the output of --against has it.
    #[command(flatten)]
    pub commit_log: CommitLogArgs,
    /// What to compare.
    #[command(flatten)]
    pub verify: VerifyWhatArgs,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
}

/// What `verify` compares, and how.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Verification")]
pub struct VerifyWhatArgs {
    /// Verify this output of `extract` against its manifests, and no source
    ///
    /// Every file by HEAD: that it is there in its length, and with its CRC64NVME where the store keeps one.
    #[arg(short, long, value_name = "DIR|s3://BUCKET/PREFIX")]
    pub output: Option<PathBuf>,
    /// Verify that --data-dir gives what is in this output
    ///
    /// Extracts in memory, with the options of the run that wrote the output, and compares the digests of all ranges of
    /// tokens. Where they differ, the first differing rows are shown.
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX", conflicts_with = "output")]
    pub against: Option<PathBuf>,
    /// Read every file of the output: length, CRC64NVME, rows and their digest
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub full: bool,
    /// How many differing rows --against shows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub differences: u16,
    /// Print one JSON document in place of text
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// Worker threads [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Memory that --against may allocate; one row and one collection must fit half of it
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub memory: ByteSize,
}

/// A run of `verify`.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// What is compared with what.
    pub what: VerifyWhat,
    /// JSON in place of text.
    pub json: bool,
}

/// What is compared with what.
#[derive(Debug, Clone)]
pub enum VerifyWhat {
    /// SSTables within themselves.
    Source(SourceOptions),
    /// An output with its manifests.
    Output(Location, Box<S3Options>, OutputOptions),
    /// A source with an output.
    Against(Location, Box<S3Options>, AgainstOptions),
}

/// Checks the options of `verify`.
pub fn verify_options(args: &VerifyArgs, settings: &Settings) -> Result<VerifyOptions> {
    let what = &args.verify;
    let threads = match what.threads {
        Some(threads) => usize::from(threads),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let s3 = || s3_options(&args.s3, what.memory.0).map(Box::new);
    let typed = |long| settings.origin(long) == Origin::CommandLine;
    let is_source = ["data-dir", "node", "nodes-file"].into_iter().any(typed);
    if is_source && typed("output") {
        return Err(Error::Usage {
            what: "--data-dir and --output are two things to verify".into(),
            hint: Some("--against OUTPUT compares them with each other".into()),
        });
    }
    let has_source = !args.input.data_dir.is_empty()
        || !args.input.node.is_empty()
        || args.input.nodes_file.is_some();
    let verified = if let Some(against) = &what.against {
        let input = input_options(&args.input, &[], settings)?;
        let options = AgainstOptions {
            commit_log: commit_log_options(&args.commit_log, &input, settings)?,
            input,
            threads,
            memory: what.memory.0,
            full: what.full,
            rows: usize::from(what.differences),
        };
        VerifyWhat::Against(Location::parse(against)?, s3()?, options)
    } else if let Some(output) = what.output.as_ref().filter(|_| typed("output") || !has_source) {
        let options = OutputOptions { full: what.full, threads };
        VerifyWhat::Output(Location::parse(output)?, s3()?, options)
    } else {
        if what.full {
            return Err(Error::Usage {
                what: "--full is for outputs".into(),
                hint: Some("of a source everything is read anyway".into()),
            });
        }
        let input = input_options(&args.input, &[], settings)?;
        VerifyWhat::Source(SourceOptions { input, threads, now: clock::now().seconds() })
    };
    Ok(VerifyOptions { what: verified, json: what.json })
}
