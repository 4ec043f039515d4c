//! `cassport cat`: the rows of a table, or of one partition, as JSON lines.
//!
//! Three views: merged as a read would answer (with write times and TTLs), raw as each SSTable has it, and explained: for
//! each cell of a partition which SSTable's version won and what the others lost to.

mod explain;
mod json;
mod raw;
mod run;

pub use run::run;
