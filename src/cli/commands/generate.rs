//! `cassport generate`.

use crate::cli::args::{self, Generate, GenerateArgs};
use crate::cli::{ExitCode, Ui, generate};
use crate::error::{Error, Result};

/// Writes the manual page or completions to standard output.
pub fn run(args: &GenerateArgs, ui: &Ui) -> Result<ExitCode> {
    let bytes = match args.what {
        Generate::Man => generate::manual(&args::command())
            .map_err(|error| Error::Bug(format!("the manual page cannot be made: {error}")))?,
        Generate::Completions { shell } => generate::completions(args::command(), shell),
    };
    ui.print(&String::from_utf8_lossy(&bytes))?;
    Ok(ExitCode::COMPLETE)
}
