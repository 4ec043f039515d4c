//! From a plan to a whole output.

mod budget;
mod coverage;
mod damage;
mod open_files;
mod options;
mod plan;
mod publish;
mod run;
mod seal;
mod sink;
mod split;
mod worker;

pub use budget::{LEAST_MEMORY, MemoryBudget};
pub use coverage::{Claim, CoverageFault, check_coverage};
pub use options::{ExtractOptions, OnCorrupt, OutputTarget, RecordOptions};
pub use run::{Outcome, run};
pub use seal::{SealOptions, SealOutcome, SealedTable, SideFiles, seal};
