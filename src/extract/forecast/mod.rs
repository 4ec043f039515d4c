//! What a run would read, write, take and cost, and what its target will refuse or change, told without reading data.
//!
//! Everything comes from directory listings, Statistics.db, the index files, CompressionInfo.db and the schema. The pieces
//! are cut by the same code that a run uses. What only the data could tell is an estimate, and is called one in
//! [`Basis`]: rows over SSTables, as Cassandra counted them when it wrote each; how much of them overlaps is not known.

mod agents;
mod cost;
mod facts;
mod model;
mod objects;
mod run;
mod size;
mod target;
mod target_text;
mod typed_target;

pub use cost::{Cost, Price, PriceItem, Priced, Requests};
pub use model::{
    AgentForecast, AgentTable, Basis, Excluded, Finding, FindingKind, Forecast, KeyLength,
    NodeForecast, NodeTable, SourceFigures, Speed, TableForecast, TotalForecast, WrittenFigures,
};
pub use run::{AgentPlace, ForecastOptions, USUAL_RATE, forecast};
