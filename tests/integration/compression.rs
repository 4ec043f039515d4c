//! `--compression`: files that are the same text, whatever they are compressed with, and that say so when they are damaged.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::support::{cassport, repository, run, tree};

fn data() -> PathBuf {
    repository("testdata/4.1/data")
}

fn extract(output: &Path, profile: &str, arguments: &[&str]) {
    let mut command = cassport(["extract", "--now=1800000000", "--file-size=64KiB"]);
    command.arg("--data-dir").arg(data()).arg("--output").arg(output);
    command.args(["--profile", profile]).args(arguments);
    let code = command.output().unwrap().status.code();
    assert!(matches!(code, Some(0 | 1)), "{profile} {arguments:?}: {code:?}");
}

fn verify(option: &str, output: &Path, code: i32) -> String {
    let mut command = cassport(["verify", option]);
    command.arg(output);
    match option {
        "--against" => command.arg("--data-dir").arg(data()),
        _ => command.arg("--full"),
    };
    String::from_utf8(run(command, code).stdout).unwrap()
}

/// Files of rows without the suffix of their compression, as text.
fn texts(output: &Path, suffix: &str) -> BTreeMap<String, Vec<u8>> {
    let files = tree(output).into_iter().filter(|(name, _)| !name.starts_with("_cassport"));
    files
        .map(|(name, bytes)| {
            let mut text = Vec::new();
            match suffix {
                ".gz" => {
                    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
                }
                ".zst" => text = zstd::decode_all(&bytes[..]).unwrap(),
                _ => text = bytes,
            }
            (name.strip_suffix(suffix).unwrap_or_else(|| panic!("{name}")).to_owned(), text)
        })
        .collect()
}

fn digests(output: &Path) -> Vec<(String, serde_json::Value)> {
    let bytes = std::fs::read(output.join("_cassport/agents/000/manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let tables = manifest["tables"].as_array().unwrap().iter();
    tables.map(|table| (table["table"].to_string(), table["digest"].clone())).collect()
}

#[test]
fn compressed_files_are_the_same_text_whatever_the_threads() {
    for (profile, kinds) in [("csv", vec!["gzip", "zstd"]), ("jsonl", vec!["gzip", "zstd"])] {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("plain");
        extract(&plain, profile, &[]);
        for kind in kinds {
            let [one, four] = ["1", "4"].map(|threads| {
                let output = directory.path().join(format!("{kind}-{threads}"));
                extract(&output, profile, &["--compression", kind, "--threads", threads]);
                output
            });
            let suffix = if kind == "gzip" { ".gz" } else { ".zst" };
            assert_eq!(texts(&one, suffix), texts(&plain, ""), "{profile} {kind}");
            let files = |output: &Path| {
                let mut files = tree(output);
                files.retain(|name, _| !name.starts_with("_cassport"));
                files
            };
            assert_eq!(files(&one), files(&four));
            assert_eq!(digests(&one), digests(&plain));
            assert!(verify("--output", &one, 0).contains("as the manifests say"));
            assert!(verify("--against", &one, 0).contains("are the same"));
            // The longest file, so that what is altered lies in what is compressed.
            let (name, mut bytes) =
                files(&one).into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            std::fs::write(one.join(name), bytes).unwrap();
            assert!(verify("--output", &one, 5).contains("is damaged"));
        }
    }
}

#[test]
fn what_a_profile_cannot_have_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let refused = |profile: &str, kind: &str, output: &Path| {
        let mut command = cassport(["extract", "--profile", profile, "--compression", kind]);
        command.arg("--data-dir").arg(data()).arg("--output").arg(output);
        String::from_utf8(run(command, 2).stderr).unwrap()
    };
    for kind in ["gzip", "zstd"] {
        let said = refused("dms", kind, &output);
        assert!(said.contains("profile dms") && said.contains("--compression none"), "{said}");
    }
    assert!(!output.exists());
    assert!(refused("csv", "gzip", Path::new("-")).contains("pipe it through gzip"));
    extract(&output, "csv", &["--compression=none", "--table=storage.lz4"]);
    let mut command = cassport(["extract", "--profile=csv", "--compression=gzip"]);
    command.args(["--now=1800000000", "--file-size=64KiB", "--table=storage.lz4"]);
    command.arg("--data-dir").arg(data()).arg("--output").arg(&output);
    let said = String::from_utf8(run(command, 4).stderr).unwrap();
    assert!(said.contains("--compression is none there and gzip here"), "{said}");
}
