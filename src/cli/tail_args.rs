//! `tail` as typed, and as checked.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use uuid::Uuid;

use super::args::{DdbKeysArg, DdbShapeArg, InputArgs, S3Args};
use super::commitlog_args::{KeyArgs, encryption_keys};
use super::config::{input_options, s3_options};
use super::listen_args::ListenArgs;
use super::sequence_args::{LEAST_MEMORY, cdc_path, change_file_size, tie_break};
use super::settings::{Origin, Settings};
use super::units::{ByteSize, parse_clock, parse_duration};
use crate::error::{Error, Result};
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::sequence::{SequenceOptions, SequenceProfile};
use crate::store::Location;
use crate::tail::{Base, Follow, Shipped, TailOptions};

/// `tail`.
#[derive(Debug, clap::Args)]
pub struct TailArgs {
    /// Schema, host and stored rows.
    #[command(flatten)]
    pub input: InputArgs,
    /// What to follow.
    #[command(flatten)]
    pub changes: ChangeArgs,
    /// How to ship.
    #[command(flatten)]
    pub ship: ShipArgs,
    /// What `sequence` does, in the same process.
    #[command(flatten)]
    pub rows: RowsArgs,
    /// How S3 is reached.
    #[command(flatten)]
    pub s3: S3Args,
    /// How to look at it.
    #[command(flatten)]
    pub observation: ListenArgs,
}

/// Where changes come from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Changes")]
pub struct ChangeArgs {
    /// The node's cdc_raw_directory (3.8 and later, with cdc_enabled): tables with `cdc = true` are shipped
    #[arg(long, value_name = "DIR")]
    pub cdc_raw: Option<PathBuf>,
    /// The node's commitlog_directory: for 2.1 to 3.x, and where CDC is off
    ///
    /// Segments are read as they are synced. Beside --cdc-raw it makes 3.8 to 3.11 faster, where a segment comes to cdc_raw
    /// only when Cassandra needs it no more.
    #[arg(long, value_name = "DIR")]
    pub commitlog_dir: Option<PathBuf>,
    /// Where archive_command of commitlog_archiving.properties puts segments
    ///
    /// One that is still being copied is read as far as it is there. It counts as whole when it has not changed for 10 seconds
    /// and ends where a section ends.
    #[arg(long, value_name = "DIR")]
    pub archive: Option<PathBuf>,
    /// How far to read into a segment of cdc_raw that is being written
    #[arg(long, value_enum, value_name = "HOW", default_value_t = FollowArg::Synced)]
    pub follow: FollowArg,
    /// Ship the stored row too when a key is touched for the first time
    ///
    /// `sequence` makes full rows with it. Reads single rows from the SSTables of --data-dir.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = BaseArg::Auto)]
    pub base: BaseArg,
    /// What becomes of a segment in cdc_raw once all of it is shipped
    ///
    /// No default: `keep` leaves the removal to somebody else, and Cassandra refuses writes when cdc_total_space is used up.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub shipped: Option<ShippedArg>,
    /// cdc_total_space of cassandra.yaml, to warn before it is used up [default: 4GiB or an eighth of the volume]
    #[arg(long, value_name = "SIZE")]
    pub cdc_total_space: Option<ByteSize>,
    /// commitlog_sync_period of cassandra.yaml: how long a write may go unseen
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s")]
    pub sync_period: Duration,
    /// Keys of encrypted segments.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// The host whose changes these are, where --data-dir does not say it
    #[arg(long, value_name = "UUID")]
    pub host_id: Option<Uuid>,
}

/// How changes are shipped.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shipping")]
pub struct ShipArgs {
    /// Ship to this directory or s3://BUCKET/PREFIX: that of the extract
    #[arg(short, long, value_name = "DIR|s3://BUCKET/PREFIX")]
    pub output: Option<PathBuf>,
    /// Where positions are kept; one tail for each
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Ship what is there, then end
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub once: bool,
    /// How old the first record of a file may become before it is shipped
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5s")]
    pub flush_interval: Duration,
    /// How large a file may become (uncompressed) before it is shipped
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub flush_size: ByteSize,
    /// The clock by which stored rows of equal write times are told apart up to 3.11 [default: the time of the touch]
    ///
    /// RFC 3339 or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = parse_clock, allow_negative_numbers = true)]
    pub now: Option<i64>,
    /// Memory for stored rows and for remembering which keys were touched
    #[arg(long, value_name = "SIZE", default_value = "256MiB")]
    pub memory: ByteSize,
}

/// Final rows from the process that ships the changes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rows")]
pub struct RowsArgs {
    /// Write the final rows too, as `sequence` does: dms, datalake, jsonl or ddb-json. For a cluster of one node
    ///
    /// On the command line only: the profile of a configuration file is that of the extract.
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<String>,
    /// What items of `ddb-json` look like [default: as those of the extract; `dms` if it has that profile]
    ///
    /// On the command line only, as --profile.
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub ddb_shape: Option<DdbShapeArg>,
    /// What the keys of `ddb-json` items are made of [default: as those of the extract]
    ///
    /// On the command line only, as --profile.
    #[arg(long, value_enum, value_name = "KEYS")]
    pub ddb_keys: Option<DdbKeysArg>,
    /// Folder of the change files in the output, of all profiles but `datalake`
    #[arg(long, value_name = "FOLDER", default_value = "cdc-changes")]
    pub cdc_path: String,
    /// Write change files before the extract is sealed
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub release: bool,
    /// About how large change files become
    #[arg(long, value_name = "SIZE", default_value = "32MiB")]
    pub change_file_size: ByteSize,
}

/// `--follow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FollowArg {
    /// What is on the disk for certain: the offset in _cdc.idx, up to one commitlog_sync_period behind
    Synced,
    /// Up to the last marker, some 100 ms behind: a power failure of the node may take the last of it back
    Marked,
}

/// `--base`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BaseArg {
    /// The row as stored, and of range and partition deletions the rows they hit
    Auto,
    /// Changes only
    None,
}

/// `--shipped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShippedArg {
    /// It stays
    Keep,
    /// It is deleted, and its index
    Delete,
}

/// How often the claim of a sequencer in this process is renewed.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Checks the options of `tail`.
pub fn tail_options(args: &TailArgs, settings: &Settings) -> Result<TailOptions> {
    let usage =
        |what: &str, hint: &str| Error::Usage { what: what.into(), hint: Some(hint.into()) };
    let (changes, ship) = (&args.changes, &args.ship);
    let input = input_options(&args.input, &[], settings)?;
    if !input.nodes.is_empty() {
        return Err(usage(
            "a tail follows one node",
            "--data-dir with its directories, and one tail for each node",
        ));
    }
    if changes.cdc_raw.is_none()
        && changes.commitlog_dir.is_none()
        && changes.archive.is_none()
        && !input.backups
    {
        return Err(usage(
            "tail needs to know what to follow",
            "--cdc-raw DIR, --commitlog-dir DIR, --archive DIR or --backups",
        ));
    }
    let shipped = match changes.shipped {
        Some(ShippedArg::Delete) => Shipped::Delete,
        Some(ShippedArg::Keep) => Shipped::Keep,
        None if changes.cdc_raw.is_none() => Shipped::Keep,
        None => {
            return Err(usage(
                "what becomes of shipped segments has to be decided",
                "--shipped delete, or --shipped keep if somebody else removes them before Cassandra refuses writes",
            ));
        }
    };
    let output = ship.output.as_ref().ok_or_else(|| {
        usage("tail needs to know where to ship to", "--output DIR or --output s3://BUCKET/PREFIX")
    })?;
    let state_dir = ship.state_dir.clone().ok_or_else(|| {
        usage("tail needs a place for its positions", "--state-dir DIR, on a disk that stays")
    })?;
    Ok(TailOptions {
        backups: input.backups,
        // Backups are changes here, not a part of what is stored.
        input: crate::discover::InputOptions { backups: false, ..input },
        cdc_raw: changes.cdc_raw.clone(),
        commitlog_dir: changes.commitlog_dir.clone(),
        archive: changes.archive.clone(),
        output: Location::parse(output)?,
        s3: s3_options(&args.s3, ship.memory.0)?,
        state_dir,
        follow: match changes.follow {
            FollowArg::Synced => Follow::Synced,
            FollowArg::Marked => Follow::Marked,
        },
        base: match changes.base {
            BaseArg::Auto => Base::Auto,
            BaseArg::None => Base::None,
        },
        flush_interval: ship.flush_interval,
        flush_size: ship.flush_size.0,
        once: ship.once,
        shipped,
        now: ship.now,
        memory: ship.memory.0,
        cdc_total_space: changes.cdc_total_space.map(|size| size.0),
        sync_period: changes.sync_period,
        host_id: changes.host_id,
        keys: encryption_keys(&changes.keys)?,
    })
}

/// The sequencer that runs beside the tail, if `--profile` asks for one.
pub fn beside_options(
    args: &TailArgs,
    tail: &TailOptions,
    settings: &Settings,
) -> Result<Option<SequenceOptions>> {
    let Some(profile) = &args.rows.profile else { return Ok(None) };
    if settings.origin("profile") != Origin::CommandLine {
        return Ok(None);
    }
    let profile: SequenceProfile = profile.parse()?;
    let typed = |option: &str| settings.origin(option) == Origin::CommandLine;
    Ok(Some(SequenceOptions {
        output: tail.output.clone(),
        s3: tail.s3.clone(),
        profile: Some(profile),
        ddb_shape: args.rows.ddb_shape.filter(|_| typed("ddb-shape")).map(DdbShape::from),
        ddb_keys: args.rows.ddb_keys.filter(|_| typed("ddb-keys")).map(DdbKeys::from),
        cdc_path: cdc_path(&args.rows.cdc_path)?,
        state_dir: tail.state_dir.join("sequence"),
        flush_interval: tail.flush_interval,
        flush_size: change_file_size(args.rows.change_file_size)?,
        release: args.rows.release,
        once: tail.once,
        now: tail.now,
        tie_break: tie_break(tail.input.cassandra_version.as_deref())?,
        heartbeat: HEARTBEAT,
        memory: tail.memory.max(LEAST_MEMORY),
    }))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::args::Command;

    fn beside(argv: &[&str]) -> Result<Option<SequenceOptions>> {
        let tail = [
            "cassport",
            "tail",
            "--data-dir",
            "/d",
            "-o",
            "/o",
            "--state-dir",
            "/s",
            "--archive",
            "/a",
        ];
        let argv: Vec<OsString> = tail.iter().chain(argv).map(OsString::from).collect();
        let settings = Settings::parse(argv).unwrap();
        let Command::Tail(args) = &settings.args.command else { panic!() };
        beside_options(args, &tail_options(args, &settings)?, &settings)
    }

    #[test]
    fn rows_are_made_beside_the_changes_when_a_profile_is_asked_for() {
        assert!(beside(&[]).unwrap().is_none());
        let argv = [
            "--profile",
            "dms",
            "--once",
            "--cassandra-version",
            "3.11.19",
            "--change-file-size",
            "1MiB",
        ];
        let options = beside(&argv).unwrap().unwrap();
        assert_eq!((options.profile, options.once), (Some(SequenceProfile::Dms), true));
        assert_eq!(
            (options.flush_size, options.tie_break),
            (1 << 20, Some(crate::merge::TieBreak::Until311))
        );
        assert_eq!(options.state_dir, PathBuf::from("/s/sequence"));
        assert!(beside(&["--profile", "csv"]).unwrap_err().to_string().contains("csv"));
        assert!(beside(&["--profile", "dms", "--cdc-path", "../x"]).is_err());
    }

    #[test]
    fn the_profile_of_a_configuration_file_is_the_extracts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "profile = \"csv\"\n").unwrap();
        assert!(beside(&["--config", file.to_str().unwrap()]).unwrap().is_none());
    }
}
