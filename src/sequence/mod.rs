//! The change streams of all nodes merged into final rows, in order, by one writer (`design.md`, sequence).
//!
//! * A **batch** is a number of change records of any hosts. What it reads, and its clock, are written to the output before it
//!   is done (`journal`), then its files, each only if absent and after the one before (`outbox`), then the state. So a batch
//!   that was interrupted is done again by whoever comes next, and gives the same files.
//! * Each touched **partition** is merged with what the state has of it by Cassandra's rules ([`crate::merge`]), and a row is
//!   written when what a read sees of it is not what was written last (`partition`). The order in which streams come does not
//!   matter, and a copy from another replica changes nothing.
//! * What a row was before its first change: the base records that tail ships. Without any (`--base none`) a row is what the
//!   changes say: the first one is an INSERT with the columns that were written, whatever the extract had.
//! * What expires is written when the clock has passed it: as DELETE, or as UPDATE where other columns live on.
//! * A partition without rows is one record of its static columns: it is written once a change has written static columns of it
//!   or may have ended a row, with which tail ships all of its rows, or one that stays.
//! * A row whose clustering was written in several ways (decimals: 1.0 and 1.00) is one row, spelled in one of them, and is
//!   deleted under the others (`spelling`).

mod batch;
mod codec;
mod definition;
mod input;
mod journal;
mod lines;
mod options;
mod outbox;
mod partition;
mod row_key;
mod run;
mod spelling;
mod state;
mod tables;

#[cfg(test)]
#[path = "model_tests.rs"]
mod model_tests;

pub use journal::sequenced_until;
pub use options::{SequenceOptions, SequenceProfile};
pub use run::{SequenceOutcome, SequencedTable, run};
