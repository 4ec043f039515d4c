//! The commit log beside the SSTables, as typed and as checked.

use std::path::{Path, PathBuf};

use crate::commitlog::EncryptionKeys;
use crate::discover::{InputOptions, NodeDirs};
use crate::error::{Error, Result};
use crate::extract::{CommitLogOptions, LogDirectory};

use super::config::data_dirs;
use super::settings::Settings;
use super::units::Pair;

/// A file with a password is a line.
const LARGEST_SECRET: u64 = 64 << 10;

/// Where mutations are that were never flushed.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Commit log")]
pub struct CommitLogArgs {
    /// Lay the mutations in the commit log of the node over its SSTables, so that it need not flush (repeatable)
    ///
    /// A directory with CommitLog-*.log. The node must be stopped, or the directory be copied at the same moment as the SSTables, or
    /// after them. With --node the log of each node is NAME=DIR. In the variable several are separated by ':'.
    #[arg(long, value_name = "[NAME=]DIR")]
    pub commitlog_dir: Vec<PathBuf>,
    /// Keys of encrypted segments.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Where mutations go that do not fit into memory [default: that of TMPDIR, or /var/tmp]
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<PathBuf>,
}

/// Keys of encrypted segments.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// A key of encrypted segments: ALIAS=HEX, or ALIAS=@FILE with the hex digits in a file (repeatable)
    #[arg(long, value_name = "ALIAS=HEX", hide_env_values = true)]
    pub commitlog_key: Vec<Pair>,
    /// The key store of transparent_data_encryption_options (JCEKS)
    #[arg(long, value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    /// A file with the password of --keystore
    #[arg(long, value_name = "FILE")]
    pub keystore_password_file: Option<PathBuf>,
}

/// Checks the options of the commit log.
///
/// `input`: the SSTables that it belongs to.
pub fn commit_log_options(
    args: &CommitLogArgs,
    input: &InputOptions,
    settings: &Settings,
) -> Result<CommitLogOptions> {
    if input.snapshot.is_some() && !args.commitlog_dir.is_empty() {
        return Err(Error::Usage {
            what: "--commitlog-dir belongs to the live SSTables, not to a snapshot".to_owned(),
            hint: Some(
                "a snapshot has been flushed; leave out --commitlog-dir, or --snapshot".to_owned(),
            ),
        });
    }
    Ok(CommitLogOptions {
        directories: data_dirs(&args.commitlog_dir, settings.origin("commitlog-dir"))
            .iter()
            .map(|path| log_directory(path, &input.nodes))
            .collect(),
        keys: encryption_keys(&args.keys)?,
        spill_dir: args.spill_dir.clone(),
    })
}

/// The keys that the options give.
pub(super) fn encryption_keys(args: &KeyArgs) -> Result<EncryptionKeys> {
    let mut keys = EncryptionKeys::default();
    for pair in &args.commitlog_key {
        let hex = match pair.right.strip_prefix('@') {
            Some(file) => secret(file.as_ref())?,
            None => pair.right.clone(),
        };
        keys.insert_hex(&format!("{}={hex}", pair.left))?;
    }
    if let Some(store) = &args.keystore {
        let Some(file) = &args.keystore_password_file else {
            return Err(Error::Usage {
                what: "--keystore needs its password".into(),
                hint: Some("--keystore-password-file FILE".into()),
            });
        };
        keys.extend(EncryptionKeys::from_jceks(store, &secret(file)?, None)?);
    }
    Ok(keys)
}

/// A line of a file.
fn secret(path: &std::path::Path) -> Result<String> {
    let bytes = crate::io::InputFile::read_all(path, LARGEST_SECRET)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::usage(format!("{} is not text", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Takes the name of a node from before a directory; of one node alone it may be left out.
fn log_directory(typed: &Path, nodes: &[NodeDirs]) -> LogDirectory {
    let named = typed.to_str().and_then(|text| {
        let (name, path) = text.split_once('=')?;
        nodes.iter().find(|node| node.name == name).map(|node| (node, PathBuf::from(path)))
    });
    match named {
        Some((node, path)) => LogDirectory { node: Some(node.name.clone()), path },
        None => LogDirectory { node: None, path: typed.to_path_buf() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_of_the_node_whose_name_stands_before_it() {
        let node = |name: &str| NodeDirs { name: name.to_owned(), dirs: Vec::new() };
        let of = |text: &str, nodes: &[NodeDirs]| {
            let LogDirectory { node, path } = log_directory(Path::new(text), nodes);
            (node, path.display().to_string())
        };
        let two = [node("a"), node("b")];
        assert_eq!(of("b=/log", &two), (Some("b".to_owned()), "/log".to_owned()));
        // A directory may have such a name.
        assert_eq!(of("c=/log", &two), (None, "c=/log".to_owned()));
        assert_eq!(of("a=/log", &[]), (None, "a=/log".to_owned()));
    }
}
