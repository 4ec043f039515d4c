//! From a plan to a whole output.

mod coverage;
mod options;
mod seal;

pub use coverage::{Claim, CoverageFault, check_coverage};
pub use options::{
    ExtractOptions, InputOptions, OnCorrupt, OutputTarget, RecordOptions, SchemaSource,
};
pub use seal::{SealOptions, SealOutcome, SealedTable, SideFiles, seal};
