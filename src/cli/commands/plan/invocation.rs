//! The commands that a plan is of, from the options in force: complete, whatever variables and files said.

use std::path::PathBuf;

use clap::{Arg, ArgAction};

use crate::cli::config::data_dirs;
use crate::cli::settings::{Origin, Settings};
use crate::extract::forecast::AgentPlace;

/// Options of `plan` alone, and what makes options of other commands.
const NOT_EXTRACT: [&str; 6] = ["config", "json", "rate", "load-rate", "price", "help"];
/// What differs from agent to agent.
const OUTPUT: &str = "REPLACE-WITH-OUTPUT";
const DATA_DIR: &str = "REPLACE-WITH-DATA-DIR";
const COMMITLOG_DIR: &str = "REPLACE-WITH-COMMITLOG-DIR";

/// The `extract` of one agent.
pub(super) fn extract(settings: &Settings, place: &AgentPlace<'_>) -> String {
    let dropped: &[&str] = match place {
        AgentPlace::AsGiven => &[],
        AgentPlace::Shard(_) => &["shard", "agent"],
        AgentPlace::Node(_) | AgentPlace::Elsewhere => {
            &["data-dir", "node", "nodes-file", "agent", "commitlog-dir"]
        }
    };
    let mut words = vec!["cassport".to_owned(), "extract".to_owned()];
    let plan = settings.command.find_subcommand("plan");
    let log = plan
        .and_then(|plan| plan.get_arguments().find(|arg| arg.get_long() == Some("commitlog-dir")));
    let logs = log.map(|arg| values(settings, arg, "commitlog-dir")).unwrap_or_default();
    match place {
        AgentPlace::AsGiven => {}
        AgentPlace::Shard(shard) => {
            words.push(format!("--shard={}/{}", shard.index, shard.count));
        }
        AgentPlace::Node(node) => {
            words.extend(node.dirs.iter().map(|dir| format!("--data-dir={}", dir.display())));
            let name = format!("{}=", node.name);
            let logs = logs.iter().filter_map(|log| log.strip_prefix(&name));
            words.extend(logs.map(|dir| format!("--commitlog-dir={dir}")));
        }
        AgentPlace::Elsewhere => {
            words.push(format!("--data-dir={DATA_DIR}"));
            if !logs.is_empty() {
                words.push(format!("--commitlog-dir={COMMITLOG_DIR}"));
            }
        }
    }
    // Nodes from the command line or a file stand in place of directories that a variable or a file has for other runs.
    let several = ["node", "nodes-file"].iter().any(|o| settings.origin(o) > Origin::Default);
    let keep = |long: &str| {
        let given_elsewhere = long == "data-dir" && several;
        !(NOT_EXTRACT.contains(&long) || dropped.contains(&long) || given_elsewhere)
    };
    options(settings, &keep, &mut words);
    line(&words)
}

/// The `seal` of the whole.
pub(super) fn seal(settings: &Settings) -> String {
    let mut words = vec!["cassport".to_owned(), "seal".to_owned()];
    let known = settings.command.find_subcommand("seal");
    let keep = |long: &str| {
        !NOT_EXTRACT.contains(&long)
            && known.is_some_and(|seal| seal.get_arguments().any(|a| a.get_long() == Some(long)))
    };
    options(settings, &keep, &mut words);
    line(&words)
}

/// Appends every option in force that is not a default and that `keep` keeps.
fn options(settings: &Settings, keep: &dyn Fn(&str) -> bool, words: &mut Vec<String>) {
    let Some((_, matches)) = settings.matches.subcommand() else { return };
    let Some(command) = settings.command.find_subcommand("plan") else { return };
    let mut seen: Vec<&str> = Vec::new();
    let mut has_output = false;
    for arg in command.get_arguments().chain(settings.command.get_arguments()) {
        let Some(long) = arg.get_long().filter(|long| keep(long)) else { continue };
        // After parsing, a command has the global options too.
        if seen.contains(&long) || settings.origin(long) == Origin::Default {
            continue;
        }
        seen.push(long);
        has_output |= long == "output";
        match arg.get_action() {
            ArgAction::SetTrue => {
                if matches.get_flag(arg.get_id().as_str()) {
                    words.push(format!("--{long}"));
                }
            }
            ArgAction::Count => {
                let times = usize::from(matches.get_count(arg.get_id().as_str()));
                words.extend(std::iter::repeat_n(format!("--{long}"), times));
            }
            _ => words.extend(values(settings, arg, long).iter().map(|v| format!("--{long}={v}"))),
        }
    }
    if !has_output && keep("output") {
        words.push(format!("--output={OUTPUT}"));
    }
}

fn values(settings: &Settings, arg: &Arg, long: &str) -> Vec<String> {
    let Some((_, matches)) = settings.matches.subcommand() else { return Vec::new() };
    let Some(raw) = matches.get_raw(arg.get_id().as_str()) else { return Vec::new() };
    let mut raw: Vec<PathBuf> = raw.map(PathBuf::from).collect();
    if ["data-dir", "commitlog-dir"].contains(&long) {
        raw = data_dirs(&raw, settings.origin(long));
    }
    if !matches!(arg.get_action(), ArgAction::Append) {
        // Of an option that is said twice the last counts.
        raw = raw.into_iter().next_back().into_iter().collect();
    }
    raw.iter().map(|value| value.to_string_lossy().into_owned()).collect()
}

/// Words as a shell takes them.
fn line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=,+@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::*;
    use crate::cli::args;
    use crate::discover::NodeDirs;
    use crate::extract::Shard;

    fn settings(argv: &[&str]) -> Settings {
        let argv = ["cassport", "plan"].iter().chain(argv).map(OsString::from);
        Settings::parse(argv.collect::<Vec<_>>()).unwrap()
    }

    /// What a shell makes of a line, as far as it is quoted here.
    fn split(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut inside = false;
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => inside = !inside,
                '\\' if !inside => words.last_mut().unwrap().extend(chars.next()),
                ' ' if !inside => words.push(String::new()),
                c => words.last_mut().unwrap().push(c),
            }
        }
        words
    }

    #[test]
    fn commands_have_what_was_said_and_are_understood() {
        let given = settings(&[
            "--data-dir",
            "/d one",
            "--data-dir=/d'2",
            "--rate=5MB/s",
            "--json",
            "--price=import=0.15",
            "-t",
            "a.b,c.d",
            "--no-mmap",
            "-vv",
            "--s3-endpoint=http://127.0.0.1:9",
            "--output=s3://b/p",
            "--token-range=-5:7",
        ]);
        let text = extract(&given, &AgentPlace::AsGiven);
        let words = split(&text);
        for word in [
            "--data-dir=/d one",
            "--data-dir=/d'2",
            "--table=a.b",
            "--table=c.d",
            "--no-mmap",
            "--verbose",
            "--token-range=-5:7",
            "--output=s3://b/p",
        ] {
            assert!(words.iter().any(|found| found == word), "{word} in {text}");
        }
        assert!(!text.contains("rate") && !text.contains("json") && !text.contains("threads"));
        args::command().try_get_matches_from(&words).unwrap();
        let seal = seal(&given);
        assert!(
            seal.starts_with("cassport seal --output=s3://b/p --s3-endpoint=http://"),
            "{seal}"
        );
        args::command().try_get_matches_from(split(&seal)).unwrap();
    }

    #[test]
    fn each_agent_has_its_own_place() {
        let given = settings(&["--node=a=/a1,/a2", "--node=b=/b", "--shard=0/2", "--agent=3"]);
        let shard = extract(&given, &AgentPlace::Shard(Shard { index: 1, count: 2 }));
        assert_eq!(
            shard,
            "cassport extract --shard=1/2 --node=a=/a1,/a2 --node=b=/b --output=REPLACE-WITH-OUTPUT"
        );
        let dirs = vec![Path::new("/a1").to_owned(), Path::new("/a2").to_owned()];
        let a = NodeDirs { name: "a".to_owned(), dirs };
        let logs = ["--commitlog-dir=a=/la", "--commitlog-dir=b=/lb"];
        let given = settings(&[&["--node=a=/a1,/a2", "--output=/o"][..], &logs].concat());
        let line = "cassport extract --data-dir=/a1 --data-dir=/a2 --commitlog-dir=/la --output=/o";
        assert_eq!(extract(&given, &AgentPlace::Node(&a)), line);
        let elsewhere = extract(&given, &AgentPlace::Elsewhere);
        assert!(elsewhere.contains("--commitlog-dir=REPLACE-WITH-COMMITLOG-DIR"), "{elsewhere}");
        let given = settings(&["--node=a=/a1,/a2", "--ownership=primary", "--output=/o"]);
        let node = extract(&given, &AgentPlace::Node(&a));
        let rest = "--output=/o --ownership=primary";
        assert_eq!(node, format!("cassport extract --data-dir=/a1 --data-dir=/a2 {rest}"));
        let elsewhere = extract(&given, &AgentPlace::Elsewhere);
        assert_eq!(elsewhere, format!("cassport extract --data-dir=REPLACE-WITH-DATA-DIR {rest}"));
    }
}
