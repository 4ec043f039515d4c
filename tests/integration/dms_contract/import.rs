//! Rules 19 and 20: items for DynamoDB's import, and write requests behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::rows::is_dynamodb_number;
use super::{Findings, read_json};

const MOST_OBJECTS: usize = 50_000;

/// What an import request says.
pub(super) struct Request {
    table: String,
    prefix: String,
    /// Name and type of the key's attributes.
    keys: BTreeMap<String, String>,
}

/// Checks all import requests, and the items that they are of.
pub(super) fn check(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
) -> Vec<Request> {
    let mut requests = Vec::new();
    for name in objects.keys().filter(|name| name.ends_with(".import-table.json")) {
        let Some(json) = read_json(findings, directory, name, 20) else { continue };
        let creation = &json["TableCreationParameters"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let definitions = creation["AttributeDefinitions"].as_array().cloned().unwrap_or_default();
        let keys: BTreeMap<String, String> = definitions
            .iter()
            .map(|key| (text(&key["AttributeName"]), text(&key["AttributeType"])))
            .collect();
        let schema: Vec<String> = (creation["KeySchema"].as_array().into_iter().flatten())
            .map(|key| text(&key["AttributeName"]))
            .collect();
        if schema.is_empty() || schema.len() > 2 || !keys.keys().all(|key| schema.contains(key)) {
            findings.add(name, 20, "keys that are not one or two attributes with their types");
        }
        let prefix = text(&json["S3BucketSource"]["S3KeyPrefix"]);
        let request = Request { table: text(&creation["TableName"]), prefix, keys };
        if text(&json["InputFormat"]) != "DYNAMODB_JSON" {
            findings.add(name, 20, "is of another format than DYNAMODB_JSON");
        }
        let compressed = match text(&json["InputCompressionType"]).as_str() {
            "NONE" => ".json",
            "GZIP" => ".json.gz",
            "ZSTD" => ".json.zst",
            _ => "?",
        };
        check_items(findings, directory, objects, &request, compressed);
        requests.push(request);
    }
    requests
}

fn check_items(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    request: &Request,
    extension: &str,
) {
    let files: Vec<&String> =
        objects.keys().filter(|name| name.starts_with(&request.prefix)).collect();
    if files.len() > MOST_OBJECTS {
        findings.add(&request.prefix, 20, format!("{} objects", files.len()));
    }
    let mut seen = BTreeSet::new();
    for object in files {
        if !object.ends_with(extension) {
            findings.add(object, 20, format!("is no {extension}, as the import says"));
            continue;
        }
        let bytes = std::fs::read(directory.join(object)).unwrap();
        let text = match extension {
            ".json.gz" => {
                let mut text = Vec::new();
                std::io::Read::read_to_end(
                    &mut flate2::read::MultiGzDecoder::new(&bytes[..]),
                    &mut text,
                )
                .map(|_| text)
            }
            ".json.zst" => zstd::decode_all(&bytes[..]),
            _ => Ok(bytes),
        };
        let Ok(text) = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else {
            findings.add(object, 20, "is not compressed as the import says");
            continue;
        };
        for (i, line) in text.split_terminator('\n').enumerate() {
            let item = serde_json::from_str::<Value>(line).unwrap_or_default();
            let only = item.as_object().is_some_and(|members| members.len() == 1);
            let at = i as u64 + 1;
            match item["Item"].as_object().filter(|_| only) {
                Some(item) => {
                    let key = check_item(findings, object, at, request, item);
                    if !seen.insert(key) {
                        findings.at(object, at, "", 11, "the key is there twice");
                    }
                }
                None => findings.at(object, at, "", 20, "is not one item"),
            }
        }
    }
}

/// Checks an item, or a key alone; the key's values.
fn check_item(
    findings: &mut Findings,
    object: &str,
    line: u64,
    request: &Request,
    item: &serde_json::Map<String, Value>,
) -> Vec<String> {
    let mut key = Vec::new();
    for (name, kind) in &request.keys {
        match item.get(name).and_then(|value| value.get(kind)).and_then(Value::as_str) {
            Some(value) if !value.is_empty() => key.push(value.to_owned()),
            _ => findings.at(object, line, name, 20, format!("no {kind}, which is of the key")),
        }
    }
    for (name, value) in item {
        if let Err(what) = check_value(value, 1) {
            findings.at(object, line, name, 19, what);
        }
    }
    key
}

/// Rule 19: numbers, sets, depth.
fn check_value(value: &Value, depth: usize) -> Result<(), String> {
    let Some((kind, content)) =
        value.as_object().filter(|v| v.len() == 1).and_then(|v| v.iter().next())
    else {
        return Err(format!("{value} is no value with its type"));
    };
    if depth > 32 {
        return Err("is nested more than 32 deep".to_owned());
    }
    let number = |text: &str| match is_dynamodb_number(text) {
        true => Ok(()),
        false => Err(format!("{text} is no number of DynamoDB")),
    };
    match (kind.as_str(), content) {
        ("S" | "B", Value::String(_)) | ("BOOL", Value::Bool(_)) | ("NULL", Value::Bool(true)) => {
            Ok(())
        }
        ("N", Value::String(text)) => number(text),
        ("SS" | "NS" | "BS", Value::Array(members)) => {
            let texts: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
            let distinct: BTreeSet<&&str> = texts.iter().collect();
            if texts.is_empty() || texts.len() != members.len() || distinct.len() != texts.len() {
                return Err(format!("{content} is no set"));
            }
            if kind == "NS" { texts.into_iter().try_for_each(number) } else { Ok(()) }
        }
        ("L", Value::Array(members)) => members.iter().try_for_each(|m| check_value(m, depth + 1)),
        ("M", Value::Object(members)) => {
            members.values().try_for_each(|m| check_value(m, depth + 1))
        }
        _ => Err(format!("{value} is no value with its type")),
    }
}

/// Write requests of `sequence --profile ddb-json`: names as in rule 2, tables and keys as of the import.
pub(super) fn check_requests(
    findings: &mut Findings,
    directory: &Path,
    objects: &BTreeMap<String, u64>,
    requests: &[Request],
) {
    for object in objects.keys().filter(|name| name.starts_with("cdc-changes/")) {
        let number =
            object.strip_prefix("cdc-changes/CDC").and_then(|rest| rest.strip_suffix(".json"));
        if !number.is_some_and(|n| n.len() == 10 && n.bytes().all(|b| b.is_ascii_digit())) {
            findings.add(object, 2, "is not CDC, ten decimal digits, .json");
            continue;
        }
        let text = std::fs::read_to_string(directory.join(object)).unwrap();
        for (i, line) in text.split_terminator('\n').enumerate() {
            let at = i as u64 + 1;
            let json = serde_json::from_str::<Value>(line).unwrap_or_default();
            let (body, item) = match (&json["Put"], &json["Delete"]) {
                (put @ Value::Object(_), Value::Null) => (put, &put["Item"]),
                (Value::Null, delete @ Value::Object(_)) => (delete, &delete["Key"]),
                _ => {
                    findings.at(object, at, "", 6, "is neither one Put nor one Delete");
                    continue;
                }
            };
            let table = requests.iter().find(|request| body["TableName"] == *request.table);
            let (Some(request), Some(item)) = (table, item.as_object()) else {
                findings.at(object, at, "", 6, "a table that no import request makes, or no item");
                continue;
            };
            check_item(findings, object, at, request, item);
            if json["Delete"].is_object() && item.len() != request.keys.len() {
                findings.at(object, at, "", 6, "a key with other attributes");
            }
        }
    }
}
