//! One file per command, each with a `run`.

pub mod cat;
pub mod config;
pub mod extract;
pub mod generate;
pub mod inspect;
pub mod plan;
pub mod schema;
pub mod seal;
pub mod sequence;
pub mod status;
pub mod tail;
pub mod verify;

use super::args::Command;
use super::sequence_args::sequence_options;
use super::settings::Settings;
use super::tail_args::tail_options;
use super::verify_args::verify_options;
use super::{ExitCode, Ui, config as options};
use crate::error::Result;

/// Runs the command that the settings name.
pub fn run(settings: &Settings, ui: &Ui) -> Result<ExitCode> {
    match &settings.args.command {
        Command::Extract(args) => extract::run(&options::extract_options(args, settings)?, ui),
        Command::Tail(args) => tail::run(&tail_options(args, settings)?, ui),
        Command::Schema(args) => {
            schema::run(&options::input_options(&args.input, &[], settings)?, ui)
        }
        Command::Cat(args) => cat::run(&options::cat_options(args, settings)?, ui),
        Command::Inspect(args) => inspect::run(&options::inspect_options(args, settings)?, ui),
        Command::Plan(args) => plan::run(args, settings, ui),
        Command::Seal(args) => seal::run(&options::seal_target(args)?, ui),
        Command::Status(args) => status::run(&options::seal_target(&args.target)?, args, ui),
        Command::Sequence(args) => sequence::run(&sequence_options(args)?, ui),
        Command::Verify(args) => verify::run(&verify_options(args, settings)?, ui),
        Command::Config(_) => config::run(settings, ui),
        Command::Generate(args) => generate::run(args, ui),
    }
}
