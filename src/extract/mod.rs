//! From a plan to a whole output.

mod coverage;
mod seal;

pub use coverage::{Claim, CoverageFault, check_coverage};
pub use seal::{SealOptions, SealOutcome, SealedTable, SideFiles, seal};
