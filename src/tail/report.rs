//! What a tail has done, and what it could not do.

use std::collections::BTreeSet;

use serde::Serialize;

/// Damages that are listed; the rest are counted.
const LISTED: usize = 100;

/// The account of one run of `tail`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TailReport {
    /// Mutations read, those of tables that are not shipped included.
    pub mutations: u64,
    /// Bytes of them.
    pub bytes_read: u64,
    /// Records shipped.
    pub records: u64,
    /// Objects stored.
    pub objects: u64,
    /// Bytes stored.
    pub bytes_written: u64,
    /// Objects found that a former run had stored.
    pub adopted: u64,
    /// Segments shipped to their end.
    pub segments: u64,
    /// Mutations that wait for the definition of their table.
    pub held: u64,
    /// Why, each reason once.
    pub held_why: BTreeSet<String>,
    /// Parts of segments that could not be read.
    pub damages: u64,
    /// The first of them, in words.
    pub damage: Vec<String>,
    /// Deletions of ranges and partitions that were in SSTables when they were looked up, while there was no snapshot: a
    /// compaction may have dropped rows that they hit and that a target still has.
    pub late_deletions: u64,
    /// Changes that are lost: segments that vanished before they were read to their end.
    pub lost: Vec<String>,
}

impl TailReport {
    /// Notes a damage.
    pub fn damaged(&mut self, words: String) {
        self.damages += 1;
        if self.damage.len() < LISTED {
            self.damage.push(words);
        }
    }

    /// True if everything there was is shipped.
    pub fn is_whole(&self) -> bool {
        self.held == 0 && self.damages == 0 && self.lost.is_empty()
    }
}
