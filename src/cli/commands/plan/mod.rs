//! `cassport plan`.

mod invocation;
mod run;
mod text;

pub use run::run;
