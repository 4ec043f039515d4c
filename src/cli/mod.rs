//! The command line: the only module that prints.
//!
//! * [`args`]: as typed. `settings`: where values come from. [`config`]: as validated, what a job sees.
//! * [`commands`]: one file per command.
//! * [`ui`]: what a job may tell the user while it runs, and how the user stops it.
//! * [`exit`]: the exit codes.
//!
//! Data goes to standard output and only when asked for; everything else goes to standard error.

pub mod args;
pub mod commands;
pub mod commitlog_args;
pub mod config;
pub mod exit;
mod generate;
pub mod listen_args;
pub mod loaders;
mod logging;
mod message;
pub mod plan_args;
mod progress;
pub mod report;
mod run;
mod screen;
pub mod sequence_args;
pub mod settings;
pub mod share_args;
mod signals;
mod supervisor;
mod table;
pub mod tail_args;
pub mod ui;
pub mod units;
pub mod verify_args;

pub use exit::ExitCode;
pub use run::run;
pub use ui::Ui;
