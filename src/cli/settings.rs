//! Where option values come from: the command line, then variables, then the configuration file, then defaults.
//!
//! The file's values become the defaults of the command line's own definition, so that clap decides who wins, checks
//! every value by the same rules, and an option exists in the file because it exists on the command line. Names that no
//! command has, and values that cannot be, are errors with their line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, FromArgMatches};
use toml::de::{DeTable, DeValue};

use super::args::{self, Args};
use crate::error::{Error, Result};

/// A configuration file is small; more is some other file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where a value comes from, the stronger the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// A `CASSPORT_*` variable.
    Variable,
    /// The command line.
    CommandLine,
}

impl Origin {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Variable => "variable",
            Self::CommandLine => "command line",
        }
    }
}

/// The command line as understood, and where its values come from.
#[derive(Debug)]
pub struct Settings {
    /// The typed arguments, all sources considered.
    pub args: Args,
    pub(super) command: clap::Command,
    pub(super) matches: ArgMatches,
    pub(super) file: FileValues,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum Rejected {
    /// clap has its own words, and its own exit code: `--help` comes this way too.
    Usage(clap::Error),
    /// The configuration file.
    File(Error),
}

/// Values of the configuration file by long option name.
#[derive(Debug, Default)]
pub(super) struct FileValues {
    pub(super) path: Option<PathBuf>,
    values: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// Reads a command line, and the configuration file if one is named.
    pub fn parse(argv: impl IntoIterator<Item = OsString>) -> std::result::Result<Self, Rejected> {
        let argv: Vec<OsString> = argv.into_iter().collect();
        let mut command = args::command();
        let mut matches = command.try_get_matches_from_mut(&argv).map_err(Rejected::Usage)?;
        let mut file = FileValues::default();
        if let Some(path) = matches.get_one::<PathBuf>("config") {
            file = FileValues::read(path).map_err(Rejected::File)?;
            command = file.as_defaults(args::command());
            matches = command.try_get_matches_from_mut(&argv).map_err(Rejected::Usage)?;
        }
        let args = Args::from_arg_matches(&matches)
            .map_err(|error| Rejected::Usage(error.format(&mut command)))?;
        Ok(Self { args, command, matches, file })
    }

    /// Where the value of an option comes from; `id` is its long name.
    pub fn origin(&self, long: &str) -> Origin {
        let id = long.replace('-', "_");
        let mut origin = Origin::Default;
        let mut matches = Some(&self.matches);
        while let Some(level) = matches {
            // A command does not have every option: asking for one that it has not is an error of clap, not a panic.
            if matches!(level.try_contains_id(&id), Ok(true)) {
                origin = origin.max(match level.value_source(&id) {
                    Some(ValueSource::CommandLine) => Origin::CommandLine,
                    Some(ValueSource::EnvVariable) => Origin::Variable,
                    Some(_) | None if self.file.values.contains_key(long) => Origin::File,
                    Some(_) | None => Origin::Default,
                });
            }
            matches = level.subcommand().map(|(_, deeper)| deeper);
        }
        origin
    }
}

impl FileValues {
    fn read(path: &Path) -> Result<Self> {
        let fail = |words: String| Error::usage(format!("{words}\n  file   {}", path.display()));
        let len = std::fs::metadata(path)
            .map_err(|error| fail(format!("cannot read the configuration file: {error}")))?
            .len();
        if len > MAX_FILE_BYTES {
            return Err(fail(format!("{len} bytes are too many for a configuration file")));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| fail(format!("cannot read the configuration file: {error}")))?;
        let mut this = Self::from_toml(&text, path)?;
        this.path = Some(path.to_path_buf());
        Ok(this)
    }

    fn from_toml(text: &str, path: &Path) -> Result<Self> {
        let at = |words: &str, span: Range<usize>, hint: Option<String>| Error::Usage {
            what: format!("{words}\n  file   {}\n{}", path.display(), pointer(text, span)),
            hint,
        };
        let table = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            at(&format!("the configuration file is not TOML: {}", error.message()), span, None)
        })?;
        let known = known_options();
        let mut values = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let name = key.get_ref().as_ref();
            let Some(option) = known.get(name) else {
                let dashed = name.replace('_', "-");
                let hint = if known.contains_key(&dashed) {
                    format!("its name is {dashed}")
                } else {
                    "names are those of the options, without the dashes: see cassport extract --help"
                        .to_owned()
                };
                return Err(at(&format!("there is no option {name:?}"), key.span(), Some(hint)));
            };
            let texts = texts_of(option, value.get_ref())
                .and_then(|texts| check(option, &texts).map(|()| texts))
                .map_err(|words| at(&format!("{name}: {words}"), value.span(), None))?;
            values.insert(name.to_owned(), texts);
        }
        Ok(Self { path: None, values })
    }

    /// The command line's definition with the file's values as its defaults.
    fn as_defaults(&self, command: clap::Command) -> clap::Command {
        command
            .mut_args(|arg| match arg.get_long().and_then(|long| self.values.get(long)) {
                Some(values) => arg.default_values(values.clone()),
                None => arg,
            })
            .mut_subcommands(|sub| self.as_defaults(sub))
    }
}

/// Every option that a configuration file may have: those with a long name, of all commands.
fn known_options() -> BTreeMap<String, clap::Arg> {
    fn collect(command: &clap::Command, known: &mut BTreeMap<String, clap::Arg>) {
        for arg in command.get_arguments() {
            if let Some(long) = arg.get_long().filter(|long| *long != "config") {
                known.entry(long.to_owned()).or_insert_with(|| arg.clone());
            }
        }
        command.get_subcommands().for_each(|sub| collect(sub, known));
    }
    let mut known = BTreeMap::new();
    collect(&args::command(), &mut known);
    known
}

/// The value as the command line would have it.
fn texts_of(option: &clap::Arg, value: &DeValue<'_>) -> std::result::Result<Vec<String>, String> {
    let flag = matches!(option.get_action(), ArgAction::SetTrue);
    let list = matches!(option.get_action(), ArgAction::Append);
    match value {
        DeValue::Boolean(value) if flag => Ok(vec![value.to_string()]),
        _ if flag => Err(format!("true or false expected, {} found", value.type_str())),
        DeValue::Array(values) if list => {
            values.iter().map(|value| scalar(value.get_ref())).collect()
        }
        // `rename = { old = "new" }` is what --rename old=new says.
        DeValue::Table(table) if list => table
            .iter()
            .map(|(key, value)| Ok(format!("{}={}", key.get_ref(), scalar(value.get_ref())?)))
            .collect(),
        _ => Ok(vec![scalar(value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> std::result::Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Datetime(time) => Ok(time.to_string()),
        DeValue::Integer(_) | DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
            Err(format!("text or a number expected, {} found", value.type_str()))
        }
    }
}

/// Lets clap judge the values by the option's own rules, alone, so that the error is known to be this one's.
fn check(option: &clap::Arg, texts: &[String]) -> std::result::Result<(), String> {
    if !option.get_action().takes_values() {
        return match (option.get_action(), texts) {
            (ArgAction::Count, [text]) => match text.parse::<u8>() {
                Ok(_) => Ok(()),
                Err(_) => Err(format!("a small number expected, {text} found")),
            },
            _ => Ok(()),
        };
    }
    let Some(long) = option.get_long() else { return Ok(()) };
    let alone = option.clone().env(clap::builder::Resettable::<clap::builder::OsStr>::Reset);
    clap::Command::new("file")
        .no_binary_name(true)
        .arg(alone)
        .try_get_matches_from(texts.iter().map(|text| format!("--{long}={text}")))
        .map(|_| ())
        .map_err(|error| {
            let words = error.render().to_string();
            let first: Vec<&str> =
                words.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
            first.join(" ").trim_start_matches("error: ").to_owned()
        })
}

/// The line a span begins in, with carets under the span.
fn pointer(text: &str, span: Range<usize>) -> String {
    let before = text.get(..span.start).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let number = before.matches('\n').count() + 1;
    let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
    let column = text.get(line_start..span.start).map_or(0, |left| left.chars().count());
    let in_line = line.get(span.start - line_start..).map_or(0, |right| right.chars().count());
    let marked = text.get(span).map_or(1, |marked| marked.chars().count());
    let gutter = number.to_string();
    format!(
        "  at     line {number}, column {}\n    {gutter} | {line}\n    {} | {}{}",
        column + 1,
        " ".repeat(gutter.len()),
        " ".repeat(column),
        "^".repeat(marked.min(in_line).max(1)),
    )
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
