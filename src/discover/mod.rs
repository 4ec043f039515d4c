//! What is on the disk: data directories, live SSTables, the schema.

mod data_dir;
mod live_set;
mod txn_log;

pub use data_dir::{DataDirs, OtherData, ScanOptions, TableDir};
pub use live_set::{Leftovers, LiveSstable};
