//! Whole runs into a bucket, as a user has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use cassport::store::Store;

use super::servers::{
    self, ACCESS_KEY, Bucket, Kind, SECRET_KEY, SESSION_TOKEN, block_on, raw_client,
};
use crate::support::{Json, cassport, repository, run, tree, without_times};

const CLOCK: &str = "1795279700";

/// A command with the tests' credentials and nothing of the caller's.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = cassport(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_SESSION_TOKEN", SESSION_TOKEN);
    command
}

fn extract(output: &str, more: &[&str]) -> Command {
    let mut command = command(&[
        "extract",
        "--now",
        CLOCK,
        "--output",
        output,
        "-k",
        "shop,storage,statics,deletes,counters",
    ]);
    command.arg("--data-dir").arg(repository("testdata/4.1/data")).args(more);
    command
}

fn endpoint(bucket: &Bucket) -> String {
    format!("http://{}", bucket.server.address)
}

fn in_bucket(bucket: &Bucket, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let below = bucket.objects().into_iter().filter_map(|(key, bytes)| {
        Some((key.strip_prefix(prefix)?.strip_prefix('/')?.to_owned(), bytes))
    });
    without_times(below)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_run_into_a_bucket_makes_the_objects_that_a_directory_gets() {
    let scratch = tempfile::tempdir().unwrap();
    let local = scratch.path().join("out");
    run(extract(local.to_str().unwrap(), &[]), 0);
    let expected = without_times(tree(&local));
    assert!(expected.len() > 20, "{}", expected.len());
    for server in servers::all() {
        let bucket = server.bucket();
        let s3 = ["--s3-endpoint", &endpoint(&bucket), "--s3-path-style"];
        let url = bucket.url("some/run");
        let words = said(&run(extract(&url, &s3), 0));
        assert!(words.contains(&format!("{url}/_cassport/s3-source-settings.json")), "{words}");
        assert!(!words.contains("aws s3 sync"), "{words}");
        let mut found = in_bucket(&bucket, "some/run");
        let settings = "_cassport/s3-source-settings.json";
        let text = String::from_utf8(found[settings].clone()).unwrap();
        let json = Json::parse(&text);
        assert_eq!(json.get("BucketName").unwrap().text(), bucket.name);
        assert_eq!(json.get("BucketFolder").unwrap().text(), "some/run");
        found.insert(settings.to_owned(), expected[settings].clone());
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "{:?}",
            server.kind
        );
        for (name, bytes) in &expected {
            // It lists the side files with their sums of their own.
            assert!(found[name] == *bytes, "{:?}: {name} differs", server.kind);
        }
        let words = said(&run(extract(&url, &s3), 0));
        assert!(words.contains("already complete"), "{words}");
        let mut seal = command(&["seal", "--output", &url]);
        seal.args(s3);
        run(seal, 0);
        let mut seal = command(&["seal", "--output", &url]);
        seal.args(s3);
        let words = said(&run(seal, 0));
        assert!(words.contains("already sealed"), "{words}");
        // By variables and at the root of a bucket.
        let bucket = server.bucket();
        let mut rooted = extract(&bucket.url(""), &[]);
        rooted.env("CASSPORT_S3_ENDPOINT", endpoint(&bucket)).env("CASSPORT_S3_PATH_STYLE", "true");
        run(rooted, 0);
        let text = in_root(&bucket, settings);
        assert!(!text.contains("BucketFolder") && text.contains(&bucket.name), "{text}");
    }
}

fn in_root(bucket: &Bucket, name: &str) -> String {
    let objects = bucket.objects();
    let (_, bytes) = objects.iter().find(|(key, _)| key == name).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

#[test]
fn objects_are_encrypted_and_stored_as_asked_for() {
    let Some(moto) = servers::moto() else { return };
    let bucket = moto.bucket();
    let endpoint = endpoint(&bucket);
    let key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555";
    let options = [
        "--s3-endpoint",
        &endpoint,
        "--s3-path-style",
        "--sse",
        "aws:kms",
        "--sse-kms-key-id",
        key,
        "--sse-bucket-key",
        "--storage-class",
        "STANDARD_IA",
        "--expected-bucket-owner",
        "123456789012",
    ];
    run(extract(&bucket.url("p"), &options), 0);
    let client = raw_client(moto.address);
    let mut data = 0;
    for (name, _) in bucket.objects() {
        let head = block_on(client.head_object().bucket(&bucket.name).key(&name).send()).unwrap();
        assert_eq!(head.server_side_encryption().unwrap().as_str(), "aws:kms", "{name}");
        assert_eq!(head.ssekms_key_id(), Some(key), "{name}");
        assert_eq!(head.bucket_key_enabled(), Some(true), "{name}");
        let class = head.storage_class().map(|class| class.as_str().to_owned());
        if name.contains("/_cassport/") {
            assert_eq!(class, None, "{name}: state is rewritten and read");
        } else {
            assert_eq!(class.as_deref(), Some("STANDARD_IA"), "{name}");
            data += 1;
        }
    }
    assert!(data > 5, "{data}");
    let settings = in_root(&bucket, "p/_cassport/s3-source-settings.json");
    assert!(settings.contains("\"ExpectedBucketOwner\": \"123456789012\""), "{settings}");
}

#[test]
fn what_is_refused_is_said_with_a_hint_and_exit_code_4() {
    for server in servers::all() {
        let bucket = server.bucket();
        let endpoint = endpoint(&bucket);
        let s3 = ["--s3-endpoint", &endpoint, "--s3-path-style"];
        let refused = |url: &str, environment: &[(&str, Option<&str>)]| {
            let mut command = extract(url, &s3);
            for (name, value) in environment {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            said(&run(command, 4))
        };
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let words = refused(&bucket.url("p"), &names.map(|name| (name, None)));
        assert!(words.contains("no AWS credentials") && words.contains("AWS_PROFILE"), "{words}");
        assert!(!words.contains("warning: failed to load"), "the SDK talks to users: {words}");
        match server.kind {
            Kind::S3sFs => {
                let wrong = "other5ecretOfTheTestsThatNobodyMaySee000";
                let words = refused(&bucket.url("p"), &[("AWS_SECRET_ACCESS_KEY", Some(wrong))]);
                assert!(words.contains("403"), "{words}");
                assert!(!words.contains(wrong), "{words}");
            }
            Kind::Moto => {
                let words = refused("s3://no-such-bucket-here/p", &[]);
                assert!(words.contains("NoSuchBucket"), "{words}");
                assert!(words.contains("make the bucket no-such-bucket-here"), "{words}");
            }
        }
        assert!(bucket.objects().is_empty());
    }
}

#[test]
fn credentials_are_never_seen_in_what_is_said_or_written() {
    let secrets = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN];
    let clean = |what: &str, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{what} has {secret}: {text}");
        }
    };
    for server in servers::all() {
        let bucket = server.bucket();
        let endpoint = endpoint(&bucket);
        let s3 = ["--s3-endpoint", &endpoint, "--s3-path-style"];
        let check = |mut command: Command| {
            let output = command.output().unwrap();
            clean("stdout", &output.stdout);
            clean("stderr", &output.stderr);
            output
        };
        for (url, more) in [
            (bucket.url("p"), vec!["-vv"]),
            (bucket.url("p"), vec!["-vv", "--log-format", "json", "--overwrite"]),
            ("s3://no-such-bucket-here/p".to_owned(), vec!["-vv"]),
        ] {
            let mut command = extract(&url, &s3);
            command.args(&more);
            check(command);
        }
        let mut command = extract(&bucket.url("q"), &s3);
        command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY.replace('5', "6")).arg("-vv");
        check(command);
        let mut config = command_config(&bucket);
        config.args(s3);
        check(config);
        let objects = bucket.objects();
        assert!(objects.len() > 20);
        for (name, bytes) in objects {
            clean(&name, &bytes);
        }
    }
}

fn command_config(bucket: &Bucket) -> Command {
    let mut command = command(&["config", "--output", &bucket.url("p")]);
    command.arg("--data-dir").arg(Path::new("/d"));
    command
}

#[test]
fn a_run_aborts_the_uploads_that_its_dead_predecessor_left_and_no_others() {
    let Some(moto) = servers::moto() else { return };
    let bucket = moto.bucket();
    let client = raw_client(moto.address);
    let others = [
        "p/shop/orders/LOAD00100001.csv",
        "p/shop/orders2/LOAD00000001.csv",
        "q/shop/orders/LOAD00000001.csv",
        "somebody/else",
    ];
    for key in ["p/shop/orders/LOAD00000001.csv", "p/statics/mixed/STATIC00000009.csv"]
        .iter()
        .chain(&others)
    {
        let begin = client.create_multipart_upload().bucket(&bucket.name).key(*key).send();
        block_on(begin).unwrap();
    }
    assert_eq!(bucket.dangling_uploads(), 2 + others.len());
    let s3 = ["--s3-endpoint", &endpoint(&bucket), "--s3-path-style"];
    run(extract(&bucket.url("p"), &s3), 0);
    assert_eq!(bucket.dangling_uploads(), others.len());
}

#[test]
fn a_memory_that_uploads_do_not_fit_is_refused_with_one_that_suffices() {
    let bucket = servers::s3s_fs().bucket();
    let endpoint = endpoint(&bucket);
    let with = |memory: &str, code: i32| {
        let s3 = ["--s3-endpoint", &endpoint, "--s3-path-style", "--memory", memory];
        said(&run(extract(&bucket.url("p"), &s3), code))
    };
    let words = with("64MiB", 2);
    let (_, memory) = words.split_once("give --memory ").unwrap();
    with(memory.split(' ').next().unwrap(), 0);
}

#[test]
fn an_output_in_a_bucket_is_verified_and_compared_with_its_source() {
    for server in servers::all() {
        let bucket = server.bucket();
        let s3 = ["--s3-endpoint", &endpoint(&bucket), "--s3-path-style"];
        let url = bucket.url("some/run");
        run(extract(&url, &s3), 0);
        let verify = |more: &[&str], code: i32| {
            let mut verify = command(&["verify"]);
            verify.args(s3).args(more);
            String::from_utf8(run(verify, code).stdout).unwrap()
        };
        for full in [&[][..], &["--full"]] {
            let text = verify(&[&["--output", &url][..], full].concat(), 0);
            assert!(text.contains("as the manifests say"), "{:?}: {text}", server.kind);
            assert_eq!(text.contains("0 read"), full.is_empty(), "{text}");
        }
        let data = repository("testdata/4.1/data");
        let against = ["--data-dir", data.to_str().unwrap(), "--against", &url];
        let text = verify(&against, 0);
        assert!(text.contains("source and output are the same"), "{:?}: {text}", server.kind);
        let name = "shop/orders/LOAD00000001.csv";
        let store = bucket.store("some/run");
        let mut bytes = store.get(name).unwrap().unwrap();
        let at = bytes.iter().rposition(u8::is_ascii_digit).unwrap();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        store.put(name, &bytes).unwrap();
        store.put("shop/orders/LOAD0000FFFF.csv", b"1\n").unwrap();
        let object = bucket.url(&format!("some/run/{name}"));
        // A store that keeps the checksum tells it by HEAD.
        let keeps = !store.head(name).unwrap().unwrap().crc64nvme.is_empty();
        let text = verify(&["--output", &url], 5);
        assert_eq!(text.contains(&format!("{object}: the store has CRC64NVME")), keeps, "{text}");
        assert!(text.contains("LOAD0000FFFF.csv: no manifest names it"), "{text}");
        let text = verify(&["--output", &url, "--full"], 5);
        assert!(text.contains(&format!("{object}: the digest of its records")), "{text}");
        assert!(verify(&against, 5).contains(&object));
        store.delete(name).unwrap();
        let text = verify(&["--output", &url], 5);
        assert!(text.contains(&format!("{object}: it is not there")), "{text}");
    }
}
