//! cassport takes data out of Apache Cassandra by reading its files, with no live cluster.
//!
//! Layers, each using only what stands below it (`tests/integration/layers.rs` checks the arrows):
//!
//! ```text
//! cli        the command line
//! serve      metrics and the status page of a running job
//! verify     SSTables, outputs, one against the other
//! tail       ongoing changes: segments followed, records shipped
//! extract    plan, splits, workers, seal               sequence  change records into final rows
//! changes    change records, their objects
//! stored     stored rows by key, incremental backups      overlay  mutations that were never flushed
//! discover   data directories, live SSTables, schema      output   records, text, side files      store   where they go
//! merge      partitions, rows, cells of many sources into one; expiry
//! sstable    Data.db and its companions
//! commitlog  segments and the mutations in them
//! rows       rows, cells, deletions, and their encoding
//! schema     keyspaces and tables                          dht      tokens
//! cql        types and their order                         io       bytes and files
//! ```

pub mod changes;
pub mod cli;
pub mod commitlog;
pub mod cql;
pub mod dht;
pub mod discover;
pub mod error;
pub mod extract;
pub mod io;
pub mod merge;
pub mod output;
pub mod overlay;
pub mod progress;
pub mod rows;
pub mod schema;
pub mod sequence;
pub mod serve;
pub mod sstable;
pub mod store;
pub mod stored;
pub mod tail;
pub mod verify;

pub use error::{Error, ErrorClass, Result};
