use std::path::PathBuf;

use super::*;
use crate::cli::args::{Command, ExtractArgs, LogFormat, ProfileArg};
use crate::cli::units::{ByteSize, Pair};

fn settings(file: &str, argv: &[&str]) -> std::result::Result<Settings, Rejected> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cassport.toml");
    std::fs::write(&path, file).unwrap();
    let mut words: Vec<OsString> = vec!["cassport".into()];
    words.extend(argv.iter().map(OsString::from));
    words.extend(["--config".into(), path.into_os_string()]);
    Settings::parse(words)
}

fn config_args(settings: &Settings) -> &ExtractArgs {
    match &settings.args.command {
        Command::Config(args) => args,
        other => panic!("{other:?}"),
    }
}

fn refused(file: &str) -> (String, Option<String>) {
    match settings(file, &["config"]) {
        Err(Rejected::File(error)) => (error.to_string(), error.hint().map(ToOwned::to_owned)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_gives_values_of_every_kind() {
    let settings = settings(
        r#"
        data-dir = ["/a", "/b"]
        keyspace = "shop"
        file-size = "64MiB"
        threads = 3
        now = 2026-11-21T10:00:00Z
        no-mmap = true
        overwrite = false
        verbose = 2
        log-format = "json"
        profile = "dsbulk"
        rename = { "shop.orders.total" = "amount" }
        column-type = ["total=NUMERIC(38,10)"]
        "#,
        &["config"],
    )
    .unwrap();
    let args = config_args(&settings);
    assert_eq!(args.input.data_dir, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(args.input.keyspace, ["shop"]);
    assert_eq!(args.records.file_size, ByteSize(64 << 20));
    assert_eq!(args.run.threads, Some(3));
    assert_eq!(args.run.now, Some(1_795_255_200));
    assert!(args.input.no_mmap && !args.records.overwrite);
    assert_eq!(settings.args.global.verbose, 2);
    assert_eq!(settings.args.global.log_format, LogFormat::Json);
    assert_eq!(args.records.profile, ProfileArg::Csv);
    let pair = |left: &str, right: &str| Pair { left: left.into(), right: right.into() };
    assert_eq!(args.records.rename, [pair("shop.orders.total", "amount")]);
    assert_eq!(args.records.column_type, [pair("total", "NUMERIC(38,10)")]);
}

#[test]
fn the_command_line_wins_over_the_file_and_the_file_over_defaults() {
    let settings = settings(
        "threads = 3\nmemory = '2GiB'\ndata-dir = ['/a', '/b']\nquiet = true",
        &["config", "--threads", "5", "--data-dir", "/c"],
    )
    .unwrap();
    let args = config_args(&settings);
    assert_eq!(args.run.threads, Some(5));
    assert_eq!(args.run.memory, ByteSize(2 << 30));
    assert_eq!(args.input.data_dir, [PathBuf::from("/c")], "lists are replaced, not joined");
    for (long, origin) in [
        ("threads", Origin::CommandLine),
        ("data-dir", Origin::CommandLine),
        ("memory", Origin::File),
        ("quiet", Origin::File),
        ("file-size", Origin::Default),
        ("snapshot", Origin::Default),
        ("log-format", Origin::Default),
    ] {
        assert_eq!(settings.origin(long), origin, "{long}");
    }
}

#[test]
fn an_option_of_another_command_is_left_alone() {
    assert!(settings("threads = 3\nprofile = 'jsonl'", &["generate", "man"]).is_ok());
}

#[test]
fn an_unknown_name_is_pointed_at() {
    let (words, hint) = refused("threads = 1\nthread = 4\n");
    let expected = "there is no option \"thread\"\n  file   ";
    assert!(words.starts_with(expected), "{words}");
    let pointed = "  at     line 2, column 1\n    2 | thread = 4\n      | ^^^^^^";
    assert!(words.ends_with(pointed), "{words}");
    assert!(hint.unwrap().contains("--help"));
    assert_eq!(refused("data_dir = 'x'").1.as_deref(), Some("its name is data-dir"));
    // A file cannot name another one.
    assert!(refused("config = 'x'").0.contains("no option"));
}

#[test]
fn a_value_that_cannot_be_is_pointed_at() {
    for (file, words, carets) in [
        ("file-size = 'big'", "\"big\" is not a size", "            ^^^^^"),
        (
            "profile = 'xml'",
            "[possible values: dms, csv, jsonl, cqlsh, datalake, ddb-json, parquet]",
            "          ^^^^^",
        ),
        ("threads = 0", "0 is not in 1..=1024", "          ^"),
        ("no-mmap = 'yes'", "true or false expected, string found", "          ^^^^^"),
        ("verbose = 300", "a small number expected", "          ^^^"),
        ("threads = [1]", "text or a number expected, array found", "          ^^^"),
        ("memory = true", "text or a number expected, boolean found", "         ^^^^"),
        ("rename = ['a']", "no name on each side", "         ^^^^^"),
        ("now = 'later'", "is not a time", "      ^^^^^^^"),
    ] {
        let (found, _) = refused(file);
        assert!(found.contains(words), "{file}: {found}");
        assert!(found.ends_with(&format!("\n      | {carets}")), "{file}: {found}");
        assert!(!found.contains("For more information"), "{found}");
    }
}

#[test]
fn what_is_not_toml_is_pointed_at() {
    let (words, _) = refused("threads = 1\nmemory 2\n");
    assert!(words.starts_with("the configuration file is not TOML: "), "{words}");
    assert!(words.contains("line 2, column"), "{words}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let argv = ["cassport", "config", "--config", "/nowhere/cassport.toml"];
    match Settings::parse(argv.map(OsString::from)) {
        Err(Rejected::File(error)) => {
            assert!(error.to_string().contains("\n  file   /nowhere/cassport.toml"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_span_of_several_lines_is_marked_in_its_first() {
    let text = "a = 1\nб = [\n 1]";
    let at = text.find('[').unwrap();
    assert_eq!(
        pointer(text, at..text.len()),
        "  at     line 2, column 5\n    2 | б = [\n      |     ^"
    );
    assert_eq!(pointer("", 0..0), "  at     line 1, column 1\n    1 | \n      | ^");
}
