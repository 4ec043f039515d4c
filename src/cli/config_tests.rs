use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::*;
use crate::output::dynamodb::{DdbKeys, DdbShape};

#[derive(Parser)]
struct Extract {
    #[command(flatten)]
    args: ExtractArgs,
}

#[derive(Parser)]
struct Cat {
    #[command(flatten)]
    args: CatArgs,
}

#[derive(Parser)]
struct Seal {
    #[command(flatten)]
    args: OutputArgs,
}

fn settings(argv: &[&str]) -> Settings {
    let argv = ["cassport", "config"].iter().chain(argv).map(OsString::from);
    Settings::parse(argv.collect::<Vec<_>>()).unwrap()
}

fn extract(argv: &[&str]) -> Result<ExtractOptions> {
    let matches = Extract::command()
        .no_binary_name(true)
        .try_get_matches_from(argv)
        .unwrap_or_else(|error| panic!("{error}"));
    extract_options(&Extract::from_arg_matches(&matches).unwrap().args, &settings(argv))
}

fn refused(argv: &[&str]) -> String {
    let error = extract(argv).unwrap_err();
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn extract_has_defaults_for_all_but_input_and_output() {
    let options = extract(&["--data-dir", "/d", "-o", "/out"]).unwrap();
    assert_eq!(options.input, InputOptions { data_dirs: vec!["/d".into()], ..Default::default() });
    assert_eq!(options.output, OutputTarget::Store(Location::Directory("/out".into())));
    assert_eq!(options.s3, S3Options::default());
    assert!(options.threads >= 1 && !options.now_given && options.now > 1_700_000_000);
    assert_eq!((options.memory, options.file_size), (1 << 30, 256 << 20));
    assert_eq!(options.on_corrupt, OnCorrupt::Fail);
    assert_eq!(options.records.profile, Profile::Dms);
    assert_eq!(options.records.metadata, MetadataMode::None);
    assert_eq!(options.records.json_numbers, JsonNumbers::Number);
    assert_eq!(options.records.writetime, None);
    assert!(!options.overwrite);
}

#[test]
fn every_option_of_extract_arrives() {
    let options = extract(&[
        "--data-dir",
        "/a",
        "--data-dir",
        "/b",
        "--snapshot",
        "s1",
        "--backups",
        "--schema",
        "x.cql",
        "-k",
        "shop,web_*",
        "-t",
        "shop.*",
        "-t",
        "a,b",
        "--exclude",
        "shop.log",
        "--no-mmap",
        "--cassandra-version",
        "3.11.19",
        "--output",
        "-",
        "--s3-endpoint",
        "http://127.0.0.1:9000",
        "--s3-path-style",
        "--s3-region",
        "eu-central-1",
        "--sse",
        "aws:kms",
        "--sse-kms-key-id",
        "alias/x",
        "--sse-bucket-key",
        "--storage-class",
        "STANDARD_IA",
        "--expected-bucket-owner",
        "111122223333",
        "--upload-rate",
        "50MB/s",
        "--profile",
        "dsbulk",
        "--metadata",
        "cell",
        "--writetime",
        "17",
        "--expires-column",
        "ttl",
        "--json-numbers",
        "text",
        "--ddb-shape",
        "dms",
        "--ddb-keys",
        "composite",
        "--include-columns",
        "a,b",
        "--exclude-columns",
        "t.c",
        "--rename",
        "a=b",
        "--column-type",
        "ks.t.c=NUMERIC(38,10)",
        "--file-size",
        "1MiB",
        "--overwrite",
        "--threads",
        "4",
        "--memory",
        "64MiB",
        "--now",
        "-5",
        "--on-corrupt",
        "skip",
    ])
    .unwrap();
    let map = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
    assert_eq!(
        options.input,
        InputOptions {
            data_dirs: vec!["/a".into(), "/b".into()],
            nodes: Vec::new(),
            snapshot: Some("s1".into()),
            backups: true,
            schema: SchemaOption::File("x.cql".into()),
            keyspaces: vec!["shop".into(), "web_*".into()],
            tables: vec!["shop.*".into(), "a".into(), "b".into()],
            exclude: vec!["shop.log".into()],
            read_mode: ReadMode::Read,
            cassandra_version: Some("3.11.19".into()),
        }
    );
    assert_eq!(
        options.records,
        RecordOptions {
            profile: Profile::Csv,
            metadata: MetadataMode::Cell,
            writetime: Some(17),
            expires_column: Some("ttl".into()),
            include_columns: vec!["a".into(), "b".into()],
            exclude_columns: vec!["t.c".into()],
            rename: map("a", "b"),
            column_types: map("ks.t.c", "NUMERIC(38,10)"),
            json_numbers: JsonNumbers::Text,
            ddb_shape: DdbShape::Dms,
            ddb_keys: DdbKeys::Composite,
            compression: Compression::None,
        }
    );
    assert_eq!(options.output, OutputTarget::Stdout);
    assert_eq!(
        options.s3,
        S3Options {
            endpoint: Some("http://127.0.0.1:9000".into()),
            path_style: true,
            region: Some("eu-central-1".into()),
            encryption: Encryption::Kms { key_id: Some("alias/x".into()), bucket_key: Some(true) },
            storage_class: Some(StorageClass::StandardIa),
            expected_bucket_owner: Some("111122223333".into()),
            upload_rate: Some(50_000_000),
            transfer: Transfer::of(64 << 20),
            ..S3Options::default()
        }
    );
    assert_eq!((options.now, options.now_given, options.threads), (-5, true, 4));
    assert_eq!((options.memory, options.file_size), (64 << 20, 1 << 20));
    assert_eq!(options.on_corrupt, OnCorrupt::Skip);
    assert!(options.overwrite);
}

#[test]
fn the_output_is_a_directory_or_a_bucket() {
    let output = |output| refused(&["--data-dir", "/d", "--output", output]);
    assert_eq!(output("gs://b/p"), "gs://b/p is neither a directory nor an S3 URL");
    assert_eq!(output("s3:/b/p"), "s3:/b/p is not an S3 URL");
    let bucket = extract(&["--data-dir", "/d", "-o", "s3://bucket/p"]).unwrap().output;
    assert!(matches!(bucket, OutputTarget::Store(Location::S3(_))), "{bucket:?}");
    assert!(refused(&["--data-dir", "/d"]).contains("where to write"));
    assert!(refused(&["-o", "/out"]).contains("nothing to read"));
    assert!(refused(&["--data-dir", "s3://b", "-o", "/out"]).contains("local disks"));
    let discard = extract(&["--data-dir", "/d", "--discard"]).unwrap();
    assert_eq!(discard.output, OutputTarget::Discard);
}

#[test]
fn options_of_s3_that_cannot_be_are_refused_and_secrets_in_them_not_repeated() {
    for (argv, words) in [
        (["--s3-endpoint", "127.0.0.1:9000"], "not a URL"),
        (["--s3-endpoint", "https://"], "not a URL"),
        (["--s3-endpoint", "https://key:s3cret@host"], "more in it than a host"),
        (["--s3-region", "eu central"], "not the name of a region"),
        (["--sse-kms-key-id", "alias/x"], "are for KMS"),
        (["--expected-bucket-owner", "me"], "not an account"),
    ] {
        let found = refused(&["--data-dir", "/d", "-o", "s3://bucket", argv[0], argv[1]]);
        assert!(found.contains(words), "{argv:?}: {found}");
        assert!(!found.contains("s3cret"), "{found}");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    for (argv, words) in [
        (["--snapshot", "a/b"], "not the name of a snapshot"),
        (["--cassandra-version", "new"], "not a release"),
        (["--cassandra-version", "4"], "not a release"),
        (["-t", "a.b.c"], "\"a.b.c\" is not a name"),
        (["-k", "a.b"], "\"a.b\" is not a name"),
        (["--exclude", "a."], "\"a.\" is not a name"),
    ] {
        let found = refused(&["--data-dir", "/d", "-o", "/o", argv[0], argv[1]]);
        assert!(found.contains(words), "{argv:?}: {found}");
    }
    assert!(is_release("5.0-rc1") && is_release("4.1") && !is_release("4.x"));
    let twice = ["--data-dir", "/d", "-o", "/o", "--rename", "a=b", "--rename", "a=c"];
    assert_eq!(refused(&twice), "--rename says two things about a");
}

#[test]
fn the_schema_can_come_from_the_headers() {
    let schema =
        |value| extract(&["--data-dir", "/d", "-o", "/o", "--schema", value]).unwrap().input.schema;
    assert_eq!(schema("header"), SchemaOption::Header);
    assert_eq!(schema("./header"), SchemaOption::File("./header".into()));
}

#[test]
fn a_variable_has_several_directories() {
    let typed = [PathBuf::from("/a:/b:")];
    assert_eq!(data_dirs(&typed, Origin::Variable), [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(data_dirs(&typed, Origin::CommandLine), typed);
}

#[test]
fn cat_takes_keys_and_files() {
    let cat = |argv: &[&str]| {
        let matches = Cat::command().no_binary_name(true).try_get_matches_from(argv).unwrap();
        cat_options(&Cat::from_arg_matches(&matches).unwrap().args, &settings(&[]))
    };
    let options = cat(&["a-Data.db", "--key", "'x,y',7", "--key", "-1", "--explain"]).unwrap();
    assert_eq!(options.key, ["'x,y'", "7", "-1"]);
    assert_eq!(options.input.data_dirs, [PathBuf::from("a-Data.db")]);
    assert!(options.explain && !options.raw);
    assert!(cat(&["a-Data.db", "--key", "'x"]).unwrap_err().to_string().starts_with("--key: "));
    assert!(cat(&[]).is_err());
}

#[test]
fn a_read_rate_below_a_chunk_a_second_is_refused() {
    let parse = |rate: &str| extract(&["--data-dir", "/d", "--output", "/o", "--read-rate", rate]);
    assert_eq!(parse("50MB/s").unwrap().read_rate, Some(50_000_000));
    assert_eq!(parse("64KiB/s").unwrap().read_rate, Some(65_536));
    assert!(parse("63KiB/s").unwrap_err().to_string().contains("at least 64KiB/s"));
}

#[test]
fn seal_needs_an_output() {
    let seal = |argv: &[&str]| {
        let matches = Seal::command().no_binary_name(true).try_get_matches_from(argv).unwrap();
        seal_target(&Seal::from_arg_matches(&matches).unwrap().args)
    };
    let target = seal(&["-o", "/out"]).unwrap();
    assert_eq!(target.location, Location::Directory("/out".into()));
    let target = seal(&["-o", "s3://bucket", "--s3-region", "x"]).unwrap();
    assert_eq!(
        (target.location.to_string().as_str(), target.s3.region.as_deref()),
        ("s3://bucket", Some("x"))
    );
    assert!(seal(&[]).is_err() && seal(&["-o", "s3://b"]).is_err());
}
