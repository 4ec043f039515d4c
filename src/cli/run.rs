//! From the command line to the exit code.

use std::ffi::OsString;

use super::args::variable;
use super::exit::ExitCode;
use super::settings::{Rejected, Settings};
use super::{Ui, commands, message};
use crate::io::raise_open_files_limit;

/// Does what the command line says, prints what went wrong, and returns how the process should end.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    message::install_panic_hook();
    let argv: Vec<OsString> = argv.into_iter().collect();
    let json = wants_json(&argv);
    let settings = match Settings::parse(argv) {
        Ok(settings) => settings,
        Err(Rejected::Usage(error)) if json && error.use_stderr() => {
            message::print_usage_as_json(&error.render().to_string(), ExitCode::USAGE.code());
            return ExitCode::USAGE;
        }
        Err(Rejected::File(error)) if json => {
            let code = ExitCode::of_error(&error);
            message::print_usage_as_json(&error.to_string(), code.code());
            return code;
        }
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

/// Whether a command line that cannot be understood as a whole asks for messages in JSON, or the variable does.
fn wants_json(argv: &[OsString]) -> bool {
    let option = "--log-format";
    let joined = format!("{option}=json");
    let typed = argv.iter().any(|word| word.to_str() == Some(joined.as_str()))
        || argv.windows(2).any(|pair| match pair {
            [name, value] => name.to_str() == Some(option) && value.to_str() == Some("json"),
            _ => false,
        });
    typed || std::env::var_os(variable("log-format")).is_some_and(|value| value == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_asked_for_in_either_spelling() {
        let of = |words: &[&str]| wants_json(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(of(&["cassport", "x", "--log-format=json"]));
        assert!(of(&["cassport", "--log-format", "json", "--wrong"]));
        assert!(!of(&["cassport", "--log-format", "text", "json"]));
        assert!(!of(&["cassport"]));
    }
}
