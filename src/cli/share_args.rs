//! Which part of the ring `extract` does, and of which nodes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use serde::Deserialize;

use crate::dht::{Token, TokenRange};
use crate::discover::NodeDirs;
use crate::error::{Error, Result};
use crate::extract::{Ownership, Shard, ShareOptions};
use crate::output::names::MAX_AGENT;

/// Kubernetes gives each pod of an indexed job its place, AWS Batch each child of an array job.
const INDEX_VARIABLES: [&str; 2] = ["JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];
/// AWS Batch also says how many there are.
const COUNT_VARIABLE: &str = "AWS_BATCH_JOB_ARRAY_SIZE";
const MAX_AGENTS: u32 = MAX_AGENT + 1;
/// A list of nodes is small; more is some other file.
const MAX_NODES_FILE: u64 = 4 << 20;

/// The share of one agent.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Several agents")]
pub struct ShareArgs {
    /// Which of the tokens found here are this agent's
    ///
    /// From system.local, system.peers and the replication found on the disk.
    #[arg(long, value_enum, value_name = "WHICH", default_value_t = OwnershipArg::All)]
    pub ownership: OwnershipArg,
    /// Only part I of N equal parts of the ring, I from 0: `2/16`, `auto/16` or `auto`
    ///
    /// `auto` takes I from JOB_COMPLETION_INDEX (Kubernetes indexed jobs) or AWS_BATCH_JOB_ARRAY_INDEX, and without N also
    /// that from AWS_BATCH_JOB_ARRAY_SIZE. The agent's number is I.
    #[arg(long, value_name = "I/N")]
    pub shard: Option<ShardArg>,
    /// Only tokens after A up to and with B (repeatable)
    #[arg(long, value_name = "A:B", allow_hyphen_values = true, value_parser = token_range)]
    pub token_range: Vec<TokenRange>,
    /// Number of this agent, the first three digits in its files' names [default: from the ring or the shard, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..i64::from(MAX_AGENTS)))]
    pub agent: Option<u32>,
}

/// `--ownership`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnershipArg {
    /// All of them
    All,
    /// Those of which this node is a replica: without stale rows that Cassandra would not return
    Replica,
    /// Those of which this node is the first replica in its data center: agents on all nodes of that center write each row
    /// once
    Primary,
}

/// `--shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardArg {
    /// Given, or from a variable.
    index: Option<u32>,
    count: Option<u32>,
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a part such as 2/16, auto/16 or auto");
        let (index, count) = match text.split_once('/') {
            Some((index, count)) => (index, Some(count.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let index = match index {
            "auto" => None,
            // A count is needed beside it: that of one agent would be a guess.
            _ if count.is_none() => return Err(wrong()),
            index => Some(index.parse::<u32>().map_err(|_| wrong())?),
        };
        Ok(Self { index, count })
    }
}

/// Reads `A:B`.
fn token_range(text: &str) -> Result<TokenRange, String> {
    let wrong = || format!("{text:?} is not a range of tokens such as -100:9223372036854775807");
    let (start, end) = text.split_once(':').ok_or_else(wrong)?;
    let token = |text: &str| text.trim().parse::<i64>().map(Token).map_err(|_| wrong());
    let range = TokenRange { start: token(start)?, end: token(end)? };
    if range.start >= range.end {
        return Err(format!(
            "{text:?} holds no token; a range over the end of the ring is two: {}:{} and {}:{}",
            range.start,
            Token::MAX,
            Token::MIN,
            range.end
        ));
    }
    Ok(range)
}

/// Checks the share; `variable` looks up a variable of the environment.
pub fn share_options(
    args: &ShareArgs,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<ShareOptions> {
    let mut token_ranges = args.token_range.clone();
    token_ranges.sort_by_key(|range| range.start);
    if let Some([one, other]) = token_ranges.array_windows::<2>().find(|[a, b]| a.end > b.start) {
        return Err(Error::usage(format!(
            "--token-range {}:{} and {}:{} overlap",
            one.start, one.end, other.start, other.end
        )));
    }
    let ownership = match args.ownership {
        OwnershipArg::All => Ownership::All,
        OwnershipArg::Replica => Ownership::Replica,
        OwnershipArg::Primary => Ownership::Primary,
    };
    let shard = args.shard.map(|shard| resolve(shard, variable)).transpose()?;
    if shard.is_some() && ownership != Ownership::All {
        return Err(Error::Usage {
            what: "--shard and --ownership both divide the ring".into(),
            hint: Some("agents beside their nodes need --ownership primary, shards of mounted directories --shard".into()),
        });
    }
    Ok(ShareOptions { ownership, shard, token_ranges, agent: args.agent })
}

fn resolve(shard: ShardArg, variable: &dyn Fn(&str) -> Option<String>) -> Result<Shard> {
    let number = |name: &str| -> Result<Option<u32>> {
        let Some(text) = variable(name) else { return Ok(None) };
        match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => {
                Err(Error::usage(format!("--shard: the variable {name} is {text:?}, not a number")))
            }
        }
    };
    let index = match shard.index {
        Some(index) => Some(index),
        None => INDEX_VARIABLES
            .iter()
            .map(|name| number(name))
            .find_map(Result::transpose)
            .transpose()?,
    };
    let count = match shard.count {
        Some(count) => Some(count),
        None => number(COUNT_VARIABLE)?,
    };
    let (Some(index), Some(count)) = (index, count) else {
        let missing =
            if index.is_none() { INDEX_VARIABLES.join(" nor ") } else { COUNT_VARIABLE.to_owned() };
        return Err(Error::Usage {
            what: format!("--shard: not set: {missing}"),
            hint: Some("--shard I/N".into()),
        });
    };
    if count == 0 || count > MAX_AGENTS || index >= count {
        return Err(Error::usage(format!(
            "--shard {index}/{count}: parts are numbered from 0, and there are {MAX_AGENTS} at most"
        )));
    }
    Ok(Shard { index, count })
}

/// `--node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeArg(pub NodeDirs);

impl FromStr for NodeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not NAME=DIR[,DIR]");
        let (name, dirs) = text.split_once('=').ok_or_else(wrong)?;
        let dirs: Vec<PathBuf> = dirs.split(',').map(PathBuf::from).collect();
        if name.is_empty() || dirs.iter().any(|dir| dir.as_os_str().is_empty()) {
            return Err(wrong());
        }
        Ok(Self(NodeDirs { name: name.to_owned(), dirs }))
    }
}

/// A file of nodes: `[nodes]`, and below it a line `NAME = "DIR"` or `NAME = ["DIR", "DIR"]` for each.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodesFile {
    nodes: BTreeMap<String, OneOrMore>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

/// The nodes of the command line and of the file together.
pub fn nodes(typed: &[NodeArg], file: Option<&Path>) -> Result<Vec<NodeDirs>> {
    let mut nodes: Vec<NodeDirs> = typed.iter().map(|node| node.0.clone()).collect();
    if let Some(path) = file {
        nodes.extend(read_nodes_file(path)?);
    }
    let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.array_windows::<2>().find(|[a, b]| a == b) {
        return Err(Error::usage(format!("two nodes are named {name}")));
    }
    Ok(nodes)
}

fn read_nodes_file(path: &Path) -> Result<Vec<NodeDirs>> {
    let fail = |words: String| Error::Usage {
        what: format!("--nodes-file {}: {words}", path.display()),
        hint: Some("[nodes], and below it a line NAME = [\"DIR\"] for each node".into()),
    };
    let len = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
    if len > MAX_NODES_FILE {
        return Err(fail(format!("{len} bytes are too many for a list of nodes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let file: NodesFile = toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let mut nodes = Vec::new();
    for (name, dirs) in file.nodes {
        let dirs = match dirs {
            OneOrMore::One(dir) => vec![dir],
            OneOrMore::More(dirs) => dirs,
        };
        if name.is_empty() || dirs.is_empty() || dirs.iter().any(|dir| dir.as_os_str().is_empty()) {
            return Err(fail(format!("node {name:?} has no directory")));
        }
        nodes.push(NodeDirs { name, dirs });
    }
    if nodes.is_empty() {
        return Err(fail("it names no node".to_owned()));
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(text: &str, variables: &[(&str, &str)]) -> Result<Shard, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        resolve(text.parse::<ShardArg>()?, &variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_shard_comes_from_the_option_or_from_the_variables_of_a_job() {
        assert_eq!(shard("2/16", &[]), Ok(Shard { index: 2, count: 16 }));
        let kubernetes = [("JOB_COMPLETION_INDEX", "7")];
        assert_eq!(shard("auto/8", &kubernetes), Ok(Shard { index: 7, count: 8 }));
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")];
        assert_eq!(shard("auto", &batch), Ok(Shard { index: 0, count: 3 }));
        assert_eq!(shard("1/2", &batch), Ok(Shard { index: 1, count: 2 }));
    }

    #[test]
    fn parts_that_cannot_be_are_refused() {
        for (text, variables, words) in [
            ("2", &[][..], "not a part"),
            ("a/2", &[], "not a part"),
            ("-1/2", &[], "not a part"),
            ("2/2", &[], "numbered from 0"),
            ("0/0", &[], "numbered from 0"),
            ("0/4097", &[], "4096"),
            ("auto/2", &[], "JOB_COMPLETION_INDEX"),
            ("auto", &[("JOB_COMPLETION_INDEX", "1")], "AWS_BATCH_JOB_ARRAY_SIZE"),
            ("auto/2", &[("JOB_COMPLETION_INDEX", "x")], "\"x\""),
            ("auto/2", &[("JOB_COMPLETION_INDEX", "2")], "numbered from 0"),
        ] {
            let error = shard(text, variables).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn ranges_of_tokens_do_not_wrap_and_do_not_overlap() {
        let range = token_range("-5:7").unwrap();
        assert_eq!((range.start, range.end), (Token(-5), Token(7)));
        assert!(token_range("7:-5").unwrap_err().contains("is two: 7:9223372036854775807 and"));
        assert!(token_range("7").is_err() && token_range("a:b").is_err());
        let args = |ranges: &[&str]| ShareArgs {
            ownership: OwnershipArg::All,
            shard: None,
            token_range: ranges.iter().map(|text| token_range(text).unwrap()).collect(),
            agent: None,
        };
        let share = share_options(&args(&["5:9", "-3:5"]), &|_| None).unwrap();
        assert_eq!(share.token_ranges[0].start, Token(-3));
        let error = share_options(&args(&["0:9", "8:10"]), &|_| None).unwrap_err().to_string();
        assert!(error.contains("0:9 and 8:10 overlap"), "{error}");
    }

    #[test]
    fn shards_and_owners_do_not_mix() {
        let args = ShareArgs {
            ownership: OwnershipArg::Primary,
            shard: Some("0/2".parse().unwrap()),
            token_range: Vec::new(),
            agent: None,
        };
        assert!(share_options(&args, &|_| None).is_err());
    }

    #[test]
    fn nodes_come_from_the_command_line_and_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nodes.toml");
        std::fs::write(&path, "[nodes]\nb = \"/b\"\nc = [\"/c1\", \"/c2\"]\n").unwrap();
        let typed: NodeArg = "a=/a1,/a2".parse().unwrap();
        let found = nodes(std::slice::from_ref(&typed), Some(&path)).unwrap();
        let shown: Vec<_> =
            found.iter().map(|node| (node.name.as_str(), node.dirs.len())).collect();
        assert_eq!(shown, [("a", 2), ("b", 1), ("c", 2)]);
        let twice = nodes(&[typed.clone(), typed], None).unwrap_err().to_string();
        assert!(twice.contains("named a"), "{twice}");
        for bad in ["=/a", "a=", "a", "a=/b,,/c"] {
            assert!(bad.parse::<NodeArg>().is_err(), "{bad}");
        }
        for (text, words) in [
            ("nodes = 3", "invalid type"),
            ("[nodes]\na = []", "no directory"),
            ("[nodes]", "names no node"),
            ("[other]", "unknown field"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = nodes(&[], Some(&path)).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
