//! Statistics.db: what was counted while the SSTable was written, and the header that its rows are decoded with.

mod container;
mod histogram;
mod stats_metadata;
mod validation;

pub use crate::commitlog::CommitLogPosition;
pub use container::Statistics;
pub use histogram::{EstimatedHistogram, TombstoneHistogram};
pub use stats_metadata::{Bound, CommitLogInterval, CoveredClustering, StatsMetadata};
pub use validation::ValidationMetadata;
