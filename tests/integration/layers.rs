//! The arrows between modules: an upper layer may use a lower one, never the other way round.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::repository;

/// Each module and what it may use besides `error` and `progress`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("io", &[]),
    ("cql", &["io"]),
    ("dht", &["cql"]),
    ("schema", &["cql"]),
    ("rows", &["schema", "cql", "dht", "io"]),
    ("commitlog", &["rows", "schema", "cql", "dht", "io"]),
    ("sstable", &["commitlog", "rows", "schema", "cql", "dht", "io"]),
    ("merge", &["rows", "schema", "cql", "dht"]),
    ("discover", &["merge", "sstable", "commitlog", "rows", "schema", "cql", "dht", "io"]),
    ("stored", &["discover", "merge", "sstable", "rows", "schema", "cql", "dht", "io"]),
    ("overlay", &["commitlog", "merge", "sstable", "rows", "schema", "cql", "dht", "io"]),
    ("output", &["rows", "schema", "cql", "dht", "io"]),
    ("store", &["io"]),
    ("changes", &["output", "commitlog", "rows", "schema", "cql", "dht", "io"]),
    ("sequence", &["changes", "output", "store", "merge", "rows", "schema", "cql", "dht", "io"]),
    (
        "extract",
        &[
            "overlay",
            "commitlog",
            "changes",
            "discover",
            "output",
            "store",
            "merge",
            "sstable",
            "rows",
            "schema",
            "cql",
            "dht",
            "io",
        ],
    ),
    (
        "tail",
        &[
            "stored",
            "changes",
            "commitlog",
            "discover",
            "output",
            "store",
            "merge",
            "sstable",
            "rows",
            "schema",
            "cql",
            "dht",
            "io",
        ],
    ),
    (
        "verify",
        &[
            "extract", "changes", "discover", "output", "store", "merge", "sstable", "rows",
            "schema", "cql", "dht", "io",
        ],
    ),
    ("serve", &[]),
    ("progress", &[]),
];

fn used_modules(directory: &Path, out: &mut BTreeSet<(String, String)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            used_modules(&path, out);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs")
            || path.to_string_lossy().ends_with("_tests.rs")
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for piece in line.split("crate::").skip(1) {
                let module: String =
                    piece.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                out.insert((module, path.display().to_string()));
            }
        }
    }
}

#[test]
fn no_module_uses_one_above_it() {
    let mut wrong = Vec::new();
    for &(module, allowed) in ALLOWED {
        let mut used = BTreeSet::new();
        used_modules(&repository("src").join(module), &mut used);
        for (other, file) in used {
            let fine = other == module
                || other == "error"
                || other == "progress"
                || allowed.contains(&other.as_str());
            // `crate::Result`, `crate::Error` are of the error module.
            if !fine && !other.is_empty() {
                wrong.push(format!("{module} uses {other} in {file}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
