//! From a plan to a whole output.

mod budget;
mod coverage;
mod damage;
mod deletes;
pub mod forecast;
mod handoff;
mod heartbeat;
mod identity;
mod manifest;
mod open_files;
mod options;
mod overlay;
mod overview;
mod plan;
mod publish;
mod replay;
mod results;
mod run;
mod seal;
mod share;
mod side_files;
mod sink;
mod split;
mod split_source;
mod worker;

pub use crate::output::RecordOptions;
pub use budget::{LEAST_MEMORY, MemoryBudget, OutputMemory};
pub use coverage::{Claim, CoverageFault, check_coverage};
pub use options::{ExtractOptions, OnCorrupt, OutputTarget};
pub use overlay::{CommitLogOptions, LogDirectory};
pub use overview::{AgentOverview, Overview, StreamOverview, overview, streams};
pub use publish::dms_target;
pub use replay::{RangeSum, Replay, Tap};
pub use run::{Outcome, run};
pub use seal::{SealOptions, SealOutcome, SealedTable, SideFiles, seal};
pub use share::{Ownership, Shard, ShareOptions};
