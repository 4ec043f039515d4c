//! The cassport binary: everything is in [`cassport::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    cassport::cli::run(std::env::args_os()).into()
}
