//! What is handed to AWS: every document against AWS's own description of the request that takes it, imports into DynamoDB on
//! a server of the tests.

use std::io::Write;
use std::process::Stdio;

use cassport::store::Store;
use serde_json::{Value, json};

use super::{COMMANDS, Request};
use crate::s3::command;
use crate::s3::servers::{self, Bucket};
use crate::support::{repository, run, stderr};

fn document(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(repository(path)).unwrap()).unwrap()
}

/// `register-job-definition` is `RegisterJobDefinition` in the description of the service.
fn operation(word: &str) -> String {
    word.split('-').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

/// An extract into the bucket: what it said, and what reads its side files.
fn extracted(
    bucket: &Bucket,
    prefix: &str,
    more: &[&str],
) -> (String, impl Fn(&str) -> String + use<>) {
    let (url, endpoint) = (bucket.url(prefix), format!("http://{}", bucket.server.address));
    let mut extract =
        command(&["extract", "--output", &url, "--now", "1795279700", "-k", "shop,storage"]);
    extract.args(["--s3-endpoint", &endpoint, "--s3-path-style"]).args(more);
    extract.arg("--data-dir").arg(repository("testdata/4.1/data"));
    let said = stderr(&run(extract, 0));
    let store = bucket.store(prefix);
    let read = move |name: &str| {
        let bytes = store.get(&format!("_cassport/{name}")).unwrap();
        String::from_utf8(bytes.unwrap_or_else(|| panic!("{name} is not there"))).unwrap()
    };
    (said, read)
}

#[test]
fn what_is_handed_to_aws_is_what_its_requests_take() {
    let Some(server) = servers::moto() else { return };
    let bucket = server.bucket();
    let mut shapes = Vec::new();
    for (command, _) in COMMANDS.iter().filter(|(_, fate)| *fate == Request) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let ["aws", service, name, "--cli-input-json", file] = words.as_slice() else {
            panic!("{command}");
        };
        let path = file.strip_prefix("file://").unwrap();
        shapes.push(json!([service, operation(name), document(path)]));
    }
    assert_eq!(shapes.len(), 2);

    let (said, read) = extracted(&bucket, "dms", &["--profile", "dms"]);
    let named = format!("{}/_cassport/s3-source-settings.json", bucket.url("dms"));
    assert!(said.contains(&named), "{said}");
    let settings: Value = serde_json::from_str(&read("s3-source-settings.json")).unwrap();
    shapes.push(json!(["dms", "CreateEndpoint", {
        "EndpointIdentifier": "source", "EndpointType": "source", "EngineName": "s3", "S3Settings": settings,
    }]));
    // Both are JSON in a text.
    let (mappings, task) = (read("table-mappings.json"), read("task-settings.json"));
    let parsed: Value = serde_json::from_str(&mappings).unwrap();
    assert!(!parsed["rules"].as_array().unwrap().is_empty(), "{mappings}");
    assert!(serde_json::from_str::<Value>(&task).unwrap().is_object(), "{task}");
    shapes.push(json!(["dms", "CreateReplicationTask", {
        "ReplicationTaskIdentifier": "task", "SourceEndpointArn": "s", "TargetEndpointArn": "t",
        "ReplicationInstanceArn": "i", "MigrationType": "full-load-and-cdc", "TableMappings": mappings,
        "ReplicationTaskSettings": task,
    }]));

    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let told = "aws dynamodb import-table --cli-input-json file://<ks>.<t>.import-table.json";
    assert!(readme.contains(told));
    let (mut imports, mut rows) = (Vec::new(), Vec::new());
    for (prefix, more) in [
        ("native", &["--compression", "gzip"][..]),
        ("composite", &["--ddb-keys", "composite"]),
        ("shape", &["--ddb-shape", "dms"]),
    ] {
        let (said, read) = extracted(&bucket, prefix, &[&["--profile", "ddb-json"], more].concat());
        let lines =
            said.lines().filter(|line| line.starts_with("next:") || line.starts_with("and "));
        for line in lines {
            // "next: aws s3 cp URL . && aws dynamodb import-table --cli-input-json file://NAME"
            let (_, name) =
                line.split_once("aws dynamodb import-table --cli-input-json file://").unwrap();
            let copied = format!("aws s3 cp {}/_cassport/{name} . && ", bucket.url(prefix));
            assert!(line.contains(&copied), "{line}");
            let mut request: Value = serde_json::from_str(&read(name)).unwrap();
            // One table in one account: the same one comes three times here.
            let table = &mut request["TableCreationParameters"]["TableName"];
            *table = format!("{}.{prefix}", table.as_str().unwrap()).into();
            shapes.push(json!(["dynamodb", "ImportTable", request]));
            if prefix == "shape" {
                // JSON within texts, which the server here takes apart as items of their own.
                continue;
            }
            imports.push(request);
            let own = name.strip_suffix(".import-table.json").unwrap();
            let (keyspace, table) = own.split_once('.').unwrap();
            rows.push(counted(&bucket, prefix, keyspace, table));
        }
    }
    assert!(imports.len() >= 4 && shapes.len() >= 10, "{imports:?}");

    let python = servers::python();
    let mut child = std::process::Command::new(python)
        .arg(repository("tests/integration/guide/aws_requests.py"))
        .args([format!("http://{}", server.address), bucket.name.clone()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({"shapes": shapes, "imports": imports}).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let imported: Vec<u64> = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(imported, rows);
    assert!(rows.iter().sum::<u64>() > 50, "{rows:?}");
}

/// The rows of a table by the manifest.
fn counted(bucket: &Bucket, prefix: &str, keyspace: &str, table: &str) -> u64 {
    let bytes = bucket.store(prefix).get("_cassport/agents/000/manifest.json").unwrap().unwrap();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let tables = manifest["tables"].as_array().unwrap();
    let found = tables.iter().find(|t| t["keyspace"] == keyspace && t["table"] == table).unwrap();
    found["rows"].as_u64().unwrap()
}
