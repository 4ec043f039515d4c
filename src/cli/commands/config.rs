//! `cassport config`: what is in force, as a configuration file.

use std::path::PathBuf;

use clap::{Arg, ArgAction};

use crate::cli::config::data_dirs;
use crate::cli::settings::{Origin, Settings};
use crate::cli::{ExitCode, Ui};
use crate::error::Result;

/// Prints every option of `extract`, where it comes from, and nothing secret.
pub fn run(settings: &Settings, ui: &Ui) -> Result<ExitCode> {
    ui.print(&render(settings))?;
    Ok(ExitCode::COMPLETE)
}

/// Options stand under their headings in the order of the help; those without a value are comments.
fn render(settings: &Settings) -> String {
    let mut text = String::from("# Options in force, and where each comes from.\n");
    if let Some(path) = &settings.file.path {
        text.push_str(&format!("# Configuration file: {}\n", path.display()));
    }
    let Some(command) = settings.command.find_subcommand("config") else { return text };
    let own = command.get_arguments();
    let global = settings.command.get_arguments();
    let mut heading = None;
    let mut seen = Vec::new();
    for arg in own.chain(global) {
        let Some(long) =
            arg.get_long().filter(|long| !matches!(*long, "config" | "help" | "version"))
        else {
            continue;
        };
        // After parsing, a command has the global options too.
        if arg.is_hide_set() || seen.contains(&long) {
            continue;
        }
        seen.push(long);
        if heading != arg.get_help_heading() {
            heading = arg.get_help_heading();
            text.push_str(&format!("\n# {}\n", heading.unwrap_or("Options")));
        }
        text.push_str(&line(arg, long, settings));
    }
    text
}

fn line(arg: &Arg, long: &str, settings: &Settings) -> String {
    let origin = settings.origin(long);
    let value = match value(arg, long, origin, settings) {
        // clap's own mark for variables whose values must not be shown.
        Some(_) if arg.is_hide_env_values_set() => "\"(hidden)\"".to_owned(),
        Some(value) => value,
        None => {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let default = help
                .split_once("[default: ")
                .and_then(|(_, rest)| rest.strip_suffix(']'))
                .map_or("not set".to_owned(), |default| format!("default: {default}"));
            return format!("# {long}: {default}\n");
        }
    };
    format!("{:<32} # {}\n", format!("{long} = {value}"), origin.as_str())
}

/// The value in TOML; none if there is none.
fn value(arg: &Arg, long: &str, origin: Origin, settings: &Settings) -> Option<String> {
    let (_, matches) = settings.matches.subcommand()?;
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue => return Some(matches.get_flag(id).to_string()),
        ArgAction::Count => return Some(matches.get_count(id).to_string()),
        _ => {}
    }
    let mut raw: Vec<PathBuf> = matches.get_raw(id)?.map(PathBuf::from).collect();
    if long == "data-dir" {
        raw = data_dirs(&raw, origin);
    }
    let quoted: Vec<String> = raw.iter().map(|value| quote(&value.to_string_lossy())).collect();
    if matches!(arg.get_action(), ArgAction::Append) {
        return Some(format!("[{}]", quoted.join(", ")));
    }
    quoted.into_iter().next_back()
}

/// A basic string of TOML: JSON's escapes are a part of TOML's, but for DEL, which TOML wants escaped.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn settings(argv: &[&str]) -> Settings {
        let argv = ["cassport", "config"].iter().chain(argv).map(OsString::from);
        Settings::parse(argv.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn every_option_is_listed_with_its_origin() {
        let argv =
            ["--data-dir", "/a", "--data-dir", "/b\"c", "--threads", "3", "--rename", "a=b", "-v"];
        let text = render(&settings(&argv));
        for line in [
            r#"data-dir = ["/a", "/b\"c"]       # command line"#,
            r#"threads = "3"                    # command line"#,
            r#"rename = ["a=b"]                 # command line"#,
            r#"file-size = "256MiB"             # default"#,
            "backups = false                  # default",
            "verbose = 1                      # command line",
            "# snapshot: not set",
            "# now: default: the start of the run",
            "# Global options",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("discard"), "{text}");
    }

    #[test]
    fn what_is_printed_can_be_given_back() {
        let argv =
            ["--data-dir", "/a", "--now", "17", "--profile", "jsonl", "-k", "x,y", "--no-mmap"];
        let text = render(&settings(&argv));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        std::fs::write(&path, &text).unwrap();
        let again = render(&settings(&["--config", path.to_str().unwrap()]));
        let values = |text: &str| -> Vec<String> {
            let lines = text.lines().filter(|line| !line.starts_with("# Configuration file"));
            lines.map(|line| line.split(" # ").next().unwrap().trim().to_owned()).collect()
        };
        assert_eq!(values(&again), values(&text));
        assert!(again.contains("# file"), "{again}");
    }

    #[test]
    fn secrets_are_hidden() {
        let mut settings = settings(&["--snapshot", "s3cret"]);
        let hide = |arg: Arg| arg.hide_env_values(true);
        settings.command =
            settings.command.mut_subcommand("config", |sub| sub.mut_arg("snapshot", hide));
        let text = render(&settings);
        assert!(text.contains("snapshot = \"(hidden)\""), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}
