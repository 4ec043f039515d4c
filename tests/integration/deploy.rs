//! What `deploy/` says of the program: names of metrics, options, rights.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cassport::progress::vitals::Operation;
use cassport::serve::metric_names;

use crate::support::{cassport, repository, run};

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder}");
    found
}

fn json(path: &PathBuf) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a text that look like names of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("cassport_") || word.starts_with("process_"))
        .collect()
}

/// The members `name` at any depth, as text.
fn texts<'v>(value: &'v serde_json::Value, name: &str, into: &mut Vec<&'v str>) {
    match value {
        serde_json::Value::Object(members) => {
            for (key, member) in members {
                if key == name {
                    into.extend(member.as_str());
                }
                texts(member, name, into);
            }
        }
        serde_json::Value::Array(elements) => {
            elements.iter().for_each(|element| texts(element, name, into));
        }
        _ => {}
    }
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_exist() {
    let known = metric_names();
    let dashboard = json(&repository("deploy/grafana/cassport.json"));
    let mut queries = Vec::new();
    texts(&dashboard, "expr", &mut queries);
    texts(&dashboard, "definition", &mut queries);
    assert!(queries.len() > 25, "{queries:?}");
    let alerts = std::fs::read_to_string(repository("deploy/prometheus/alerts.yaml")).unwrap();
    let mut asked = BTreeSet::new();
    for text in queries.iter().copied().chain([alerts.as_str()]) {
        asked.extend(metrics_in(text));
    }
    let unknown: Vec<_> = asked.iter().filter(|name| !known.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {known:?}");
    // And what matters is asked for.
    for name in [
        "cassport_tail_lag_seconds",
        "cassport_tail_lost_ranges_total",
        "cassport_cdc_used_bytes",
        "cassport_healthy",
        "cassport_quarantined_rows_total",
        "cassport_sequence_stopped",
    ] {
        assert!(metrics_in(&alerts).contains(name), "no alert on {name}");
    }
}

#[test]
fn the_example_configurations_are_understood() {
    let mut configurations = files("deploy/config", "toml");
    for job in ["extract", "tail", "sequence"] {
        configurations.extend(files(&format!("deploy/kubernetes/{job}"), "toml"));
    }
    let mut seen = 0;
    for path in configurations {
        let text = std::fs::read_to_string(&path).unwrap();
        if path.ends_with("nodes.toml") {
            let mut plan = cassport(["plan", "--output", "/nowhere"]);
            plan.arg("--nodes-file").arg(&path);
            // The directories are not here; the file is understood.
            let words = String::from_utf8(run(plan, 3).stderr).unwrap();
            assert!(words.contains("/snapshots/node1/data"), "{}: {words}", path.display());
            continue;
        }
        let mut config = cassport(["config", "--config"]);
        config.arg(&path);
        let shown = String::from_utf8(run(config, 0).stdout).unwrap();
        assert!(text.contains("output = "), "{}", path.display());
        assert!(shown.contains("# file"), "{}: {shown}", path.display());
        seen += 1;
    }
    assert!(seen >= 9, "{seen}");
}

/// The right that each request needs.
fn right(operation: Operation) -> &'static str {
    match operation {
        Operation::PutObject
        | Operation::CreateMultipartUpload
        | Operation::UploadPart
        | Operation::CompleteMultipartUpload => "s3:PutObject",
        Operation::AbortMultipartUpload => "s3:AbortMultipartUpload",
        Operation::ListMultipartUploads => "s3:ListBucketMultipartUploads",
        Operation::GetObject | Operation::HeadObject => "s3:GetObject",
        Operation::ListObjectsV2 => "s3:ListBucket",
        Operation::DeleteObject => "s3:DeleteObject",
    }
}

fn allowed(policy: &serde_json::Value) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for statement in policy["Statement"].as_array().unwrap() {
        if statement["Effect"] != "Allow" {
            continue;
        }
        match &statement["Action"] {
            serde_json::Value::String(action) => drop(rights.insert(action.clone())),
            actions => {
                let actions = actions.as_array().unwrap().iter();
                rights.extend(actions.map(|action| action.as_str().unwrap().to_owned()));
            }
        }
        let resources = statement["Resource"].to_string();
        assert!(resources.contains("example-bucket") || resources.contains("arn:aws:kms:"));
        assert_ne!(statement["Resource"], "*", "{statement}");
    }
    rights
}

#[test]
fn policies_allow_the_requests_that_are_made_and_no_others() {
    let policy = |name: &str| json(&repository("deploy/aws/iam").join(format!("{name}.json")));
    let all: BTreeSet<String> =
        Operation::ALL.into_iter().map(|operation| right(operation).to_owned()).collect();
    let s3 = |rights: BTreeSet<String>| -> BTreeSet<String> {
        rights.into_iter().filter(|right| right.starts_with("s3:")).collect()
    };
    assert_eq!(s3(allowed(&policy("extract"))), all);
    assert_eq!(s3(allowed(&policy("tail"))), all);
    let reading = BTreeSet::from(["s3:GetObject".to_owned(), "s3:ListBucket".to_owned()]);
    for reader in ["loader", "status"] {
        assert_eq!(s3(allowed(&policy(reader))), reading, "{reader}");
    }
    // It makes no uploads in parts.
    let sequence = s3(allowed(&policy("sequence")));
    assert!(sequence.is_superset(&reading) && sequence.contains("s3:PutObject"), "{sequence:?}");
    assert!(!sequence.contains("s3:AbortMultipartUpload"), "{sequence:?}");
    // Without it S3 says of an object that is not there that it may not be read.
    for name in ["extract", "tail", "sequence", "loader", "status"] {
        let text = policy(name).to_string();
        assert!(text.contains(r#""StringLikeIfExists":{"s3:prefix""#), "{name}: {text}");
    }
}

#[test]
fn the_units_name_options_that_exist() {
    for path in files("deploy/systemd", "service") {
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/cassport "));
        let mut words = line.unwrap().split(' ');
        let command = words.next().unwrap();
        let help = run(cassport([command, "--help"]), 0);
        let help = String::from_utf8(help.stdout).unwrap();
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(help.contains(option), "{option} is not an option of {command}");
        }
        let notifies = text.contains("Type=notify\n") && text.contains("WatchdogSec=");
        assert!(notifies || text.contains("Type=oneshot\n"), "{}", path.display());
    }
}
