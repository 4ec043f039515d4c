//! Rules 14 to 18: table mappings, task settings, source settings.

use std::collections::{BTreeMap, BTreeSet};

use cassport::output::dms::is_reserved;
use serde_json::Value;

use super::Findings;
use super::definition::TableDefinition;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Rules 14 to 16.
pub(super) fn check_mappings(
    findings: &mut Findings,
    object: &str,
    mappings: &Value,
    tables: &[TableDefinition],
) {
    let rules = mappings["rules"].as_array().cloned().unwrap_or_default();
    let known = mappings.as_object().is_some_and(|map| map.keys().eq(["rules"]));
    if rules.is_empty() || !known {
        findings.add(object, 14, "is not one object with rules");
    }
    let (mut ids, mut names, mut targets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut selected, mut mapped) = (BTreeSet::new(), BTreeMap::new());
    for rule in &rules {
        let (id, name) = (text(rule, "rule-id"), text(rule, "rule-name"));
        let fresh = id.parse::<u64>().is_ok_and(|id| ids.insert(id));
        if !fresh || name.is_empty() || !names.insert(name) {
            findings.add(object, 14, format!("rule {id} {name}: id or name is not its own"));
        }
        let locator = &rule["object-locator"];
        let place = (text(locator, "schema-name"), text(locator, "table-name"));
        let table = tables.iter().find(|t| (t.owner.as_str(), t.name.as_str()) == place);
        let Some(table) = table else {
            findings.add(object, 14, format!("rule {id}: {place:?} is not in the definition"));
            continue;
        };
        match (text(rule, "rule-type"), text(rule, "rule-action")) {
            ("selection", "explicit") => {
                selected.insert(place);
            }
            ("selection", "include") if !place.0.contains('_') && !place.1.contains('_') => {
                selected.insert(place);
            }
            ("object-mapping", "map-record-to-record") => {
                if mapped.insert(place, rule).is_some() {
                    findings.add(object, 16, format!("rule {id}: a second mapping of {place:?}"));
                }
                if !targets.insert(text(rule, "target-table-name")) {
                    findings.add(object, 15, format!("rule {id}: the target table is another's"));
                }
                for what in mapping_faults(rule, table) {
                    findings.add(object, 15, format!("rule {id}: {what}"));
                }
            }
            (kind, action) => {
                findings.add(object, 14, format!("rule {id}: unexpected {kind} {action}"));
            }
        }
    }
    for place in mapped.keys().filter(|place| !selected.contains(*place)) {
        findings.add(object, 14, format!("{place:?} is mapped but not selected"));
    }
    for table in tables {
        let place = (table.owner.as_str(), table.name.as_str());
        if !selected.contains(&place) {
            findings.add(object, 14, format!("{place:?} is not selected"));
        }
        let keys = table.columns.iter().filter(|column| column.is_key).count();
        let reserved = table.columns.iter().any(|column| is_reserved(&column.name));
        if (keys > 1 || reserved) && !mapped.contains_key(&place) {
            findings.add(object, 15, format!("{place:?} needs a mapping rule"));
        }
    }
}

/// What is wrong with an object-mapping rule.
fn mapping_faults(rule: &Value, table: &TableDefinition) -> Vec<String> {
    let mut faults = Vec::new();
    let target = text(rule, "target-table-name");
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !(3..=255).contains(&target.len()) || !target.chars().all(legal) {
        faults.push(format!("{target:?} is not a table name of DynamoDB"));
    }
    let parameters = &rule["mapping-parameters"];
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let excluded = strings(&parameters["exclude-columns"]);
    let column = |name: &str| table.columns.iter().find(|column| column.name == name);
    faults.extend(
        excluded
            .iter()
            .filter(|name| column(name).is_none())
            .map(|name| format!("excluded column {name:?} does not exist")),
    );
    // Every attribute that will be created, and the column that a mapped one is made of.
    let mut attributes: Vec<(String, Option<String>)> = table
        .columns
        .iter()
        .filter(|column| !excluded.contains(&column.name))
        .map(|column| (column.name.clone(), None))
        .collect();
    for mapping in parameters["attribute-mappings"].as_array().into_iter().flatten() {
        let name = text(mapping, "target-attribute-name");
        let template = text(mapping, "value");
        let source = template.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        match source {
            Some(source) if column(source).is_some() => {
                attributes.push((name.to_owned(), Some(source.to_owned())));
            }
            _ => faults.push(format!("{template:?} is not one existing column")),
        }
        if (text(mapping, "attribute-type"), text(mapping, "attribute-sub-type"))
            != ("scalar", "string")
        {
            faults.push(format!("{name:?} has a type that is not known to work"));
        }
    }
    let mut names = BTreeSet::new();
    for (name, _) in &attributes {
        if is_reserved(name) {
            faults.push(format!("attribute {name:?} is a reserved word"));
        }
        if name.is_empty() || name.len() > 65_535 || !names.insert(name) {
            faults.push(format!("attribute {name:?} is there twice, or has no possible name"));
        }
    }
    let keys: Vec<_> = table.columns.iter().filter(|column| column.is_key).collect();
    let wanted = ["partition-key-name", "sort-key-name"];
    for (index, key) in wanted.iter().enumerate() {
        let named = parameters[*key].as_str();
        let Some(name) = named else {
            if index < keys.len().max(1) {
                faults.push(format!("{key} is missing"));
            }
            continue;
        };
        let source = attributes
            .iter()
            .find(|(attribute, _)| attribute == name)
            .and_then(|(_, source)| source.as_deref())
            .and_then(column);
        match source {
            Some(column) if column.is_key && !column.nullable => {}
            _ => faults.push(format!("{key} {name:?} is not made of one key column")),
        }
    }
    if keys.len() > 2 {
        faults.push(format!("{} key columns, DynamoDB has two", keys.len()));
    }
    faults
}

const SECTIONS: [&str; 9] = [
    "TargetMetadata",
    "FullLoadSettings",
    "Logging",
    "ControlTablesSettings",
    "StreamBufferSettings",
    "ChangeProcessingTuning",
    "ChangeProcessingDdlHandlingPolicy",
    "ErrorBehavior",
    "ValidationSettings",
];

/// Rule 17. `longest_lob`: bytes of the longest value in a LOB column, if there are such columns.
pub(super) fn check_settings(
    findings: &mut Findings,
    object: &str,
    settings: &Value,
    longest_lob: Option<usize>,
) {
    let mut wrong = |what: String| findings.add(object, 17, what);
    for section in settings.as_object().into_iter().flat_map(|map| map.keys()) {
        if !SECTIONS.contains(&section.as_str()) {
            wrong(format!("unknown section {section}"));
        }
    }
    for (section, key) in [
        ("TargetMetadata", "BatchApplyEnabled"),
        ("TargetMetadata", "TaskRecoveryTableEnabled"),
        ("TargetMetadata", "FullLobMode"),
        ("ValidationSettings", "EnableValidation"),
    ] {
        if settings[section][key] != Value::Bool(false) {
            wrong(format!("{key} must be false"));
        }
    }
    for (section, key, greatest) in [
        ("TargetMetadata", "ParallelLoadThreads", 200),
        ("TargetMetadata", "ParallelLoadBufferSize", 1000),
        ("FullLoadSettings", "MaxFullLoadSubTasks", 49),
        ("FullLoadSettings", "CommitRate", 50_000),
    ] {
        if settings[section][key].as_u64().is_none_or(|value| value > greatest) {
            wrong(format!("{key} is missing or over {greatest}"));
        }
    }
    let mode = text(&settings["FullLoadSettings"], "TargetTablePrepMode");
    if !matches!(mode, "DO_NOTHING" | "DROP_AND_CREATE") {
        wrong(format!("TargetTablePrepMode {mode:?} does not work with DynamoDB"));
    }
    let target = &settings["TargetMetadata"];
    let supported = target["SupportLobs"].as_bool();
    let limited = target["LimitedSizeLobMode"].as_bool();
    if supported.is_none() || limited != supported {
        wrong("LOBs are supported without one mode, or a mode is on without them".to_owned());
    }
    if let Some(longest) = longest_lob {
        let room = target["LobMaxSize"].as_u64().unwrap_or(0).saturating_mul(1024);
        if supported != Some(true) || room < longest as u64 {
            wrong(format!("LOB values have up to {longest} bytes, the settings take {room}"));
        }
    }
}

/// Rule 18: the settings say what the writer did, and hold the definition.
pub(super) fn check_source(
    findings: &mut Findings,
    object: &str,
    settings: &Value,
    definition: &[u8],
) {
    let mut wrong = |what: String| findings.add(object, 18, what);
    for (key, value) in [
        ("CsvNullValue", Value::from("\\N")),
        ("CsvDelimiter", Value::from(",")),
        ("CsvRowDelimiter", Value::from("\n")),
        ("Rfc4180", Value::from(true)),
        ("IgnoreHeaderRows", Value::from(0)),
    ] {
        if settings[key] != value {
            wrong(format!("{key} is {}, the writer used {value}", settings[key]));
        }
    }
    for key in ["BucketName", "ServiceAccessRoleArn"] {
        if text(settings, key).is_empty() {
            wrong(format!("{key} is missing"));
        }
    }
    let embedded: Option<Value> =
        serde_json::from_str(text(settings, "ExternalTableDefinition")).ok();
    if embedded.is_none() || embedded != serde_json::from_slice(definition).ok() {
        wrong("ExternalTableDefinition is not the definition".to_owned());
    }
}
