//! The commit log beside the SSTables, as typed and as checked.

use std::path::PathBuf;

use crate::commitlog::EncryptionKeys;
use crate::error::Result;
use crate::extract::CommitLogOptions;

use super::config::data_dirs;
use super::settings::Settings;

/// Where mutations are that were never flushed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Commit log")]
pub struct CommitLogArgs {
    /// Lay the mutations in the commit log of the node over its SSTables, so that it need not flush (repeatable)
    ///
    /// A directory with CommitLog-*.log. The node must be stopped, or the directory a copy that is not older than the SSTables.
    /// In the variable several are separated by ':'.
    #[arg(long, value_name = "DIR")]
    pub commitlog_dir: Vec<PathBuf>,
    /// The key of encrypted segments (repeatable)
    ///
    /// The alias is that of transparent_data_encryption_options in cassandra.yaml.
    #[arg(long, value_name = "ALIAS=HEX", hide_env_values = true)]
    pub commitlog_key: Vec<String>,
    /// Where mutations go that do not fit into memory [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,
}

/// Checks the options of the commit log.
pub fn commit_log_options(args: &CommitLogArgs, settings: &Settings) -> Result<CommitLogOptions> {
    let mut keys = EncryptionKeys::none();
    for key in &args.commitlog_key {
        keys.insert_hex(key)?;
    }
    Ok(CommitLogOptions {
        directories: data_dirs(&args.commitlog_dir, settings.origin("commitlog-dir")),
        keys,
        spill_dir: args.spill_dir.clone(),
    })
}
