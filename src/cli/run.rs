//! From the command line to the exit code.

use std::ffi::OsString;

use super::exit::ExitCode;
use super::settings::{Rejected, Settings};
use super::{Ui, commands, message};
use crate::io::raise_open_files_limit;

/// Does what the command line says, prints what went wrong, and returns how the process should end.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    message::install_panic_hook();
    let settings = match Settings::parse(argv) {
        Ok(settings) => settings,
        Err(Rejected::Usage(error)) => {
            // Help and version come this way too, and go to standard output. That it was closed changes nothing.
            drop(error.print());
            return if error.use_stderr() { ExitCode::USAGE } else { ExitCode::COMPLETE };
        }
        Err(Rejected::File(error)) => {
            message::print_error_plainly(&error);
            return ExitCode::of_error(&error);
        }
    };
    let ui = Ui::new(&settings);
    raise_open_files_limit();
    let result = commands::run(&settings, &ui);
    ui.close();
    result.unwrap_or_else(|error| {
        ui.error(&error);
        ExitCode::of_error(&error)
    })
}
