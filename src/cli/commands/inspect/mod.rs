//! `cassport inspect`: what is in these directories, and is it whole?
//!
//! Looks at directory listings, the schema and Statistics.db alone, so thousands of SSTables take seconds; `--check` reads the data.

mod chart;
mod check;
mod gather;
mod model;
mod run;
mod select;
mod text;

pub use model::{
    Damaged, Histogram, Inspection, Node, Orphan, SstableFacts, StatisticsFacts, Sums, TableFacts,
};
pub use run::run;
