//! One file per command, each with a `run`.

pub mod config;
pub mod generate;

use super::args::Command;
use super::settings::Settings;
use super::{ExitCode, Ui};
use crate::error::Result;

/// Runs the command that the settings name.
pub fn run(settings: &Settings, ui: &Ui) -> Result<ExitCode> {
    match &settings.args.command {
        Command::Config(_) => config::run(settings, ui),
        Command::Generate(args) => generate::run(args, ui),
    }
}
