//! The index of the BTI format of Cassandra 5.0 (CEP-25): the trie of partition keys Partitions.db ([`PartitionIndex`]) and,
//! in Rows.db, a trie for the rows of each large partition ([`TrieRowIndex`]).
//!
//! Neither is needed to read Data.db from one end to the other.

mod keys;
mod partitions;
mod rows;
mod trie;

pub use keys::write_clustering;
pub use partitions::{FoundPartition, IndexedPartitions, PartitionIndex};
pub use rows::{RowBlock, RowBlocks, TrieIndexEntry, TrieRowIndex};
