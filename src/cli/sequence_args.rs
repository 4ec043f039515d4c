//! `sequence` as typed, and as checked.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;

use super::args::{DdbKeysArg, DdbShapeArg, S3Args};
use super::config::s3_options;
use super::listen_args::ListenArgs;
use super::units::{ByteSize, parse_clock, parse_duration};
use crate::error::{Error, Result};
use crate::merge::TieBreak;
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::sequence::{SequenceOptions, SequenceProfile};
use crate::store::{Location, check_name};

/// A file is one PUT.
const MAX_FLUSH_SIZE: u64 = 1 << 30;
/// Below that the database under the state has no room.
pub(super) const LEAST_MEMORY: u64 = 16 << 20;

/// `sequence`.
#[derive(Debug, clap::Args)]
pub struct SequenceArgs {
    /// Where, what and how.
    #[command(flatten)]
    pub sequence: SequenceHowArgs,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
    /// How to look at it.
    #[command(flatten)]
    pub observation: ListenArgs,
}

/// How `sequence` runs.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sequence")]
pub struct SequenceHowArgs {
    /// The directory or s3://BUCKET/PREFIX that tail writes to, and that change files are written to
    #[arg(short, long, value_name = "DIR|s3://BUCKET/PREFIX")]
    pub output: Option<PathBuf>,
    /// Who is to read the change files: dms, datalake, jsonl or ddb-json [default: the profile of the extract]
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<SequenceProfile>,
    /// What items of `ddb-json` look like [default: as those of the extract; `dms` if it has that profile]
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub ddb_shape: Option<DdbShapeArg>,
    /// What the keys of `ddb-json` items are made of [default: as those of the extract]
    #[arg(long, value_enum, value_name = "KEYS")]
    pub ddb_keys: Option<DdbKeysArg>,
    /// Folder of the change files in the output, of all profiles but `datalake`
    #[arg(long, value_name = "FOLDER", default_value = "cdc-changes")]
    pub cdc_path: String,
    /// Local directory in which touched rows are kept; if it is lost, it is made again from the change records
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// How often new change records are looked for
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    pub flush_interval: Duration,
    /// About how large change files become
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub flush_size: ByteSize,
    /// Write change files before the extract is sealed
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub release: bool,
    /// Do what there is to do, then end
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub once: bool,
    /// The clock that decides what has expired [default: the machine's]
    ///
    /// RFC 3339 or seconds since 1970. It stands still; without it, what expires is written when its time has come.
    #[arg(long, value_name = "TIME", value_parser = parse_clock, allow_negative_numbers = true)]
    pub now: Option<i64>,
    /// The release that wrote the changes, such as 3.11.19
    ///
    /// Decides how ties between cells of equal write time are broken. By default it is the one that the extract found.
    #[arg(long, value_name = "VERSION")]
    pub cassandra_version: Option<String>,
    /// How often the claim of the sequencer is renewed; one that is silent for three times as long may be replaced
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    pub heartbeat: Duration,
    /// Memory that may be allocated; the changes of one record must fit a part of it
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub memory: ByteSize,
}

/// Checks the options of `sequence`.
pub fn sequence_options(args: &SequenceArgs) -> Result<SequenceOptions> {
    let how = &args.sequence;
    let missing = |what: &str, hint: &str| Error::Usage {
        what: what.to_owned(),
        hint: Some(hint.to_owned()),
    };
    let Some(output) = &how.output else {
        return Err(missing(
            "sequence needs to know where the changes are",
            "--output, as tail had it",
        ));
    };
    let Some(state_dir) = &how.state_dir else {
        return Err(missing(
            "sequence needs a directory for the rows that changes touch",
            "--state-dir DIR, on a local disk",
        ));
    };
    if how.memory.0 < LEAST_MEMORY {
        return Err(Error::usage("--memory must be at least 16MiB"));
    }
    Ok(SequenceOptions {
        output: Location::parse(output)?,
        s3: s3_options(&args.s3, how.memory.0)?,
        profile: how.profile,
        ddb_shape: how.ddb_shape.map(DdbShape::from),
        ddb_keys: how.ddb_keys.map(DdbKeys::from),
        cdc_path: cdc_path(&how.cdc_path)?,
        state_dir: state_dir.clone(),
        flush_interval: how.flush_interval,
        flush_size: change_file_size(how.flush_size)?,
        release: how.release,
        once: how.once,
        now: how.now,
        tie_break: tie_break(how.cassandra_version.as_deref())?,
        heartbeat: how.heartbeat,
        memory: how.memory.0,
    })
}

/// The folder of change files.
pub(super) fn cdc_path(given: &str) -> Result<String> {
    let folder = given.trim_matches('/').to_owned();
    let own = folder.split('/').next() == Some(crate::output::names::OWN);
    if own || check_name(&folder).is_err() {
        return Err(Error::usage(format!("--cdc-path: {given:?} cannot be a folder")));
    }
    Ok(folder)
}

/// Bytes after which a change file ends.
pub(super) fn change_file_size(given: ByteSize) -> Result<u64> {
    if given.0 == 0 || given.0 > MAX_FLUSH_SIZE {
        return Err(Error::usage("a change file must be at least 1 byte and at most 1GiB large"));
    }
    Ok(given.0)
}

/// The rule for cells of one write time that a release has.
pub(super) fn tie_break(version: Option<&str>) -> Result<Option<TieBreak>> {
    let rule = |version: &str| {
        TieBreak::of_release(version).ok_or_else(|| {
            Error::usage(format!("{version:?} is not a release such as 3.11 or 4.1.9"))
        })
    };
    version.map(rule).transpose()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::args::Command;
    use crate::cli::settings::Settings;

    fn options(argv: &[&str]) -> Result<SequenceOptions> {
        let argv = ["cassport", "sequence"].iter().chain(argv).map(OsString::from);
        let settings = Settings::parse(argv.collect::<Vec<_>>()).unwrap();
        let Command::Sequence(args) = &settings.args.command else { panic!() };
        sequence_options(args)
    }

    #[test]
    fn what_is_missing_or_cannot_be_is_said() {
        for (argv, words) in [
            (&["--state-dir", "/s"][..], "where the changes are"),
            (&["--output", "/o"], "a directory for the rows"),
            (&["--output", "/o", "--state-dir", "/s", "--cdc-path", "_cassport/x"], "--cdc-path"),
            (&["--output", "/o", "--state-dir", "/s", "--cdc-path", "../x"], "--cdc-path"),
            (&["--output", "/o", "--state-dir", "/s", "--flush-size", "2GiB"], "at most 1GiB"),
            (&["--output", "/o", "--state-dir", "/s", "--memory", "1MiB"], "--memory"),
            (&["--output", "/o", "--state-dir", "/s", "--cassandra-version", "x"], "not a release"),
        ] {
            let error = options(argv).unwrap_err().to_string();
            assert!(error.contains(words), "{argv:?}: {error}");
        }
        let argv =
            ["--output", "/o", "--state-dir", "/s", "--cdc-path", "/a/b/", "--profile", "dms"];
        let good = options(&argv).unwrap();
        assert_eq!((good.cdc_path.as_str(), good.profile), ("a/b", Some(SequenceProfile::Dms)));
        assert_eq!((good.flush_size, good.once, good.tie_break), (32 << 20, false, None));
    }
}
