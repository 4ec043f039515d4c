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
use super::settings::{Origin, Settings};
use super::tail_args::{beside_options, tail_options};
use super::verify_args::verify_options;
use super::{ExitCode, Ui, config as options};
use crate::error::{Error, Result};
use crate::extract::OutputTarget;

/// Runs the command that the settings name.
pub fn run(settings: &Settings, ui: &Ui) -> Result<ExitCode> {
    match &settings.args.command {
        Command::Extract(args) => {
            let options = options::extract_options(args, settings)?;
            let output = match &options.output {
                OutputTarget::Store(location) => location.to_string(),
                OutputTarget::Stdout => "standard output".to_owned(),
                OutputTarget::Discard => "nowhere".to_owned(),
            };
            let _observed =
                ui.observe("extract", output, options.memory, args.observation.listen)?;
            extract::run(&options, ui)
        }
        Command::Tail(args) => {
            let options = tail_options(args, settings)?;
            let beside = beside_options(args, &options, settings)?;
            let memory = options.memory + beside.as_ref().map_or(0, |beside| beside.memory);
            let output = options.output.to_string();
            let _observed = ui.observe("tail", output, memory, args.observation.listen)?;
            tail::run(&options, beside.as_ref(), ui)
        }
        Command::Schema(args) => {
            schema::run(&options::input_options(&args.input, &[], settings)?, ui)
        }
        Command::Cat(args) => cat::run(&options::cat_options(args, settings)?, ui),
        Command::Inspect(args) => inspect::run(&options::inspect_options(args, settings)?, ui),
        Command::Plan(args) => plan::run(args, settings, ui),
        Command::Seal(args) => seal::run(&options::seal_target(&args.target)?, args, ui),
        Command::Status(args) => {
            // A variable or a file may have it for the other commands.
            if args.watch.is_none() && settings.origin("listen") == Origin::CommandLine {
                return Err(Error::Usage {
                    what: "--listen shows what --watch looks at".to_owned(),
                    hint: Some("add --watch".to_owned()),
                });
            }
            status::run(&options::seal_target(&args.target)?, args, ui)
        }
        Command::Sequence(args) => {
            let options = sequence_options(args)?;
            let output = options.output.to_string();
            let _observed =
                ui.observe("sequence", output, options.memory, args.observation.listen)?;
            sequence::run(&options, ui)
        }
        Command::Verify(args) => verify::run(&verify_options(args, settings)?, ui),
        Command::Config(_) => config::run(settings, ui),
        Command::Generate(args) => generate::run(args, ui),
    }
}
