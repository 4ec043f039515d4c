//! Names of the objects of an output.

use crate::error::{Error, Result};

/// Folder of everything that is not rows.
pub const OWN: &str = "_cassport";
/// What all agents share.
pub const RUN: &str = "_cassport/run.json";
/// The recovered schema.
pub const SCHEMA: &str = "_cassport/schema.cql";
/// Written by `seal`: the output is whole.
pub const COMPLETE: &str = "_cassport/complete.json";
/// Folders of the agents.
pub const AGENTS: &str = "_cassport/agents/";
/// Where `sequence` writes changes for DMS.
pub const CDC_PATH: &str = "cdc-changes";

const DELETES: &str = "-deletes";

/// The whole partition key as one text.
pub const PARTITION_KEY_COLUMN: &str = "cp_pk";
/// The whole clustering as one text.
pub const SORT_KEY_COLUMN: &str = "cp_sk";

/// Greatest agent number: three hex digits.
pub const MAX_AGENT: u32 = 0xfff;
/// Greatest split number: five hex digits.
pub const MAX_SPLIT: u64 = 0xf_ffff;

/// A file in an agent's folder: `_cassport/agents/00A/manifest.json`.
pub fn agent_file(agent: u32, file: &str) -> String {
    format!("{AGENTS}{agent:03X}/{file}")
}

/// Folder of a table's rows, with its final `/`.
pub fn table_folder(keyspace: &str, table: &str) -> String {
    format!("{keyspace}/{table}/")
}

/// Name of the folder of a table's deletions. No table has a name with `-` in it.
pub fn deletes_of(table: &str) -> String {
    format!("{table}{DELETES}")
}

/// True for the name of a file of deletions: `ks/t-deletes/LOAD00000001.jsonl`.
pub fn is_of_deletes(name: &str) -> bool {
    name.split('/').nth(1).is_some_and(|folder| folder.ends_with(DELETES))
}

/// Beginning of the names of all files of rows that one agent writes for a table.
pub fn load_prefix(keyspace: &str, table: &str, agent: u32) -> String {
    format!("{keyspace}/{table}/LOAD{agent:03X}")
}

/// The same of the files of partitions that have static columns only.
pub fn static_prefix(keyspace: &str, table: &str, agent: u32) -> String {
    format!("{keyspace}/{table}/STATIC{agent:03X}")
}

/// The file of a split, counted from 1: `ks/t/LOAD00000001.csv`.
///
/// `kind` is `LOAD`, or `STATIC` where static-only partitions have files of their own; `extension` has no dot before it.
pub fn split_file(
    keyspace: &str,
    table: &str,
    kind: &str,
    agent: u32,
    split: u64,
    extension: &str,
) -> Result<String> {
    if agent > MAX_AGENT || split == 0 || split > MAX_SPLIT {
        return Err(Error::Usage {
            what: format!(
                "{keyspace}.{table}: split {split} of agent {agent} has no file name \
                 (at most {MAX_SPLIT} splits, agents 0 to {MAX_AGENT})"
            ),
            hint: Some("raise --file-size".to_owned()),
        });
    }
    Ok(format!("{keyspace}/{table}/{kind}{agent:03X}{split:05X}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upper_case_hex_of_agent_and_split() {
        let name = |agent, split| split_file("ks", "t", "LOAD", agent, split, "csv");
        assert_eq!(name(0, 1).unwrap(), "ks/t/LOAD00000001.csv");
        assert_eq!(name(1, 1).unwrap(), "ks/t/LOAD00100001.csv");
        assert_eq!(name(0xfff, 0xfffff).unwrap(), "ks/t/LOADFFFFFFFF.csv");
        assert!(name(0, 0).is_err() && name(0x1000, 1).is_err() && name(0, 0x10_0000).is_err());
        assert!(name(0xabc, 1).unwrap().starts_with(&load_prefix("ks", "t", 0xabc)));
        let of_statics = split_file("ks", "t", "STATIC", 0xabc, 1, "csv").unwrap();
        assert!(of_statics.starts_with(&static_prefix("ks", "t", 0xabc)));
        let deletes = split_file("ks", &deletes_of("t"), "LOAD", 1, 1, "jsonl").unwrap();
        assert_eq!(deletes, "ks/t-deletes/LOAD00100001.jsonl");
        assert!(is_of_deletes(&deletes) && !is_of_deletes(&of_statics));
        assert_eq!(agent_file(10, "manifest.json"), "_cassport/agents/00A/manifest.json");
    }
}
