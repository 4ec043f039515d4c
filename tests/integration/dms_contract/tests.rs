//! Each rule is broken once in a small good output.

use std::path::PathBuf;

use cassport::extract::{SealOptions, seal};
use cassport::output::dms::DmsTarget;
use cassport::progress::NoEvents;
use cassport::store::LocalStore;
use serde_json::{Value, json};

use super::{
    Violation, check_change_times, check_changed_output, check_import, check_output,
    check_row_counts,
};

const EVENTS_0: &str = r#"a#b,2026-11-21,10,hello,"{""a"":""1"",""b"":""x,y""}",a%23b#2026-11-21,800000000000000A
x,2026-11-22,-1,"\N",\N,x#2026-11-22,7FFFFFFFFFFFFFFF
"#;

/// A partition without rows, and one whose key needs quotes.
const EVENTS_1: &str = r#"y,2026-11-23,\N,say,\N,y#2026-11-23,%53%54
" z","line
two",0,,{}," z#line%0Atwo",8000000000000000
"#;

const T_0: &str = "\
1,12.50,2026-11-21 10:00:00.000,text,2026-11-21,0e9f0000-0000-4000-8000-000000000001,::1,123,true,1.5e100,0aff,10:00:00.000000001
2,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N,,\\N
";

/// Both tables in order of their columns: name, CQL type, kind.
const EVENTS: [(&str, &str, &str); 7] = [
    ("tenant", "text", "partition_key"),
    ("day", "text", "partition_key"),
    ("seq", "bigint", "clustering"),
    ("value", "text", "static"),
    ("m", "map<text, text>", "regular"),
    ("cp_pk", "text", "composite_key"),
    ("cp_sk", "text", "composite_key"),
];

const T: [(&str, &str, &str); 12] = [
    ("pk", "int", "partition_key"),
    ("amount", "decimal", "regular"),
    ("at", "timestamp", "regular"),
    ("body", "text", "regular"),
    ("d", "date", "regular"),
    ("id", "uuid", "regular"),
    ("ip", "inet", "regular"),
    ("n", "varint", "regular"),
    ("ok", "boolean", "regular"),
    ("ratio", "double", "regular"),
    ("raw", "blob", "regular"),
    ("tod", "time", "regular"),
];

const EVENTS_FILE: &str = "ks/events/LOAD00000001.csv";
const T_FILE: &str = "ks/t/LOAD00000001.csv";
const DEFINITION: &str = "_cassport/external-table-definition.json";
const MAPPINGS: &str = "_cassport/table-mappings.json";
const SETTINGS: &str = "_cassport/task-settings.json";
const SOURCE: &str = "_cassport/s3-source-settings.json";

/// An output of two agents and two tables: rows and manifests by hand, side files by `seal`.
struct Sample {
    directory: tempfile::TempDir,
}

impl Sample {
    fn good() -> Self {
        let sample = Self { directory: tempfile::tempdir().unwrap() };
        let ring = |start: &str, end: &str| json!({"start": start, "end": end});
        let (least, greatest) = ("-9223372036854775808", "9223372036854775807");
        sample.write(EVENTS_FILE, EVENTS_0);
        sample.write("ks/events/LOAD00100001.csv", EVENTS_1);
        sample.write(T_FILE, T_0);
        let run = json!({
            "formatVersion": 1, "tool": "by hand", "clock": "2026-11-21T00:00:00Z", "profile": "dms",
            "metadata": "none", "compression": "none", "cluster": null, "partitioner": "Murmur3Partitioner",
            "ownership": "primary", "agents": 2, "options": {}, "schemaFingerprint": "s", "ring": [],
            "ranges": [ring(least, greatest)], "fingerprint": "f"
        });
        sample.write("_cassport/run.json", run.to_string());
        for (agent, range) in [(0, ring(least, "0")), (1, ring("0", greatest))] {
            let table = |name: &str,
                         columns: &[(&str, &str, &str)],
                         text: Option<&str>,
                         tokens: u64| {
                let columns: Vec<_> = columns
                    .iter()
                    .map(|(name, cql, kind)| {
                        let asked = (*name == "body").then_some("CLOB");
                        json!({"name": name, "type": cql, "kind": kind, "maxBytes": 40, "maxDigits": 4,
                            "maxScale": 2, "nonFinite": 0, "columnType": asked})
                    })
                    .collect();
                let digest = "0".repeat(32);
                let files: Vec<_> = text
                    .iter()
                    .map(|text| {
                        json!({"name": format!("ks/{name}/LOAD{agent:03X}00001.csv"), "bytes": text.len(),
                            "rows": 2, "crc64nvme": "", "digest": digest, "range": range})
                    })
                    .collect();
                json!({"keyspace": "ks", "table": name, "tableId": null, "columns": columns, "ranges": [range],
                    "rows": 2 * files.len(), "digest": digest, "files": files, "sources": [],
                    "counters": {"textEqualToNullToken": tokens}})
            };
            let events = if agent == 0 { EVENTS_0 } else { EVENTS_1 };
            let manifest = json!({
                "formatVersion": 1, "tool": "by hand", "agent": agent, "agents": 2, "hostId": null, "cluster": null,
                "dataCenter": null, "snapshot": null, "profile": "dms", "metadata": "none", "compression": "none",
                "clock": "2026-11-21T00:00:00Z", "started": "", "finished": "", "releaseVersion": null,
                "schemaVersion": null, "partitioner": "Murmur3Partitioner", "ownership": "primary", "options": {},
                "fingerprint": "f", "sourceFingerprint": "g", "excluded": [], "complete": true,
                "tables": [
                    table("events", &EVENTS, Some(events), u64::from(agent == 0)),
                    table("t", &T, (agent == 0).then_some(T_0), 0),
                ]
            });
            sample.write(
                &format!("_cassport/agents/{agent:03X}/manifest.json"),
                manifest.to_string(),
            );
        }
        let store = LocalStore::open(sample.directory.path()).unwrap();
        let target = DmsTarget { cdc_path: Some("cdc-changes".into()), ..DmsTarget::default() };
        let options = SealOptions {
            schema_cql: None,
            dms: target,
            side_files: None,
            accept_unproven_handoff: false,
            events: &NoEvents,
        };
        seal(&store, &options).unwrap();
        sample
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Replaces text in a file, which must be there once.
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    fn append(&self, name: &str, more: &str) {
        let text = std::fs::read_to_string(self.path(name)).unwrap();
        self.write(name, text + more);
    }

    fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap();
        change(&mut value);
        self.write(name, value.to_string());
    }

    /// Changes the definition, in the file and in the endpoint settings.
    fn define(&self, change: impl FnOnce(&mut Value)) {
        self.edit(DEFINITION, change);
        let text = std::fs::read_to_string(self.path(DEFINITION)).unwrap();
        self.edit(SOURCE, |settings| settings["ExternalTableDefinition"] = text.into());
    }

    fn check(&self) -> Vec<Violation> {
        check_output(self.directory.path())
    }
}

fn shown(found: &[Violation]) -> String {
    found.iter().map(|violation| format!("{violation}\n")).collect()
}

/// Breaks the good sample; that rule, and no other, must be seen broken.
#[track_caller]
fn broken(rule: u8, change: impl FnOnce(&Sample)) -> Vec<Violation> {
    let sample = Sample::good();
    change(&sample);
    let found = sample.check();
    assert!(!found.is_empty(), "nothing found");
    assert!(found.iter().all(|violation| violation.rule == rule), "{}", shown(&found));
    found
}

fn column<'a>(definition: &'a mut Value, table: usize, name: &str) -> &'a mut Value {
    let columns = definition["Tables"][table]["TableColumns"].as_array_mut().unwrap();
    columns.iter_mut().find(|column| column["ColumnName"] == name).unwrap()
}

fn rule<'a>(mappings: &'a mut Value, id: &str) -> &'a mut Value {
    let rules = mappings["rules"].as_array_mut().unwrap();
    rules.iter_mut().find(|rule| rule["rule-id"] == id).unwrap()
}

#[test]
fn the_good_sample_keeps_all_rules() {
    let found = Sample::good().check();
    assert!(found.is_empty(), "{}", shown(&found));
}

#[test]
fn rule_1_files_have_the_names_of_loads() {
    for name in [
        "ks/t/LOAD00000002.csv.gz",
        "ks/t/LOAD0000000a.csv",
        "ks/t/LOAD00100000.csv",
        "ks/t/LOAD001.csv",
        "ks/t/_SUCCESS",
        "ks/t/.LOAD00000002.csv.tmp",
        "ks/other/LOAD00000001.csv",
        "README",
    ] {
        let sample = Sample::good();
        sample.write(name, "3,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N,\\N\n");
        let found = sample.check();
        assert_eq!((found.len(), found[0].rule), (1, 1), "{name}: {}", shown(&found));
    }
}

#[test]
fn rule_3_table_paths_are_the_folders() {
    broken(3, |sample| {
        sample.edit(SOURCE, |settings| settings["CdcPath"] = "ks/t/changes".into());
    });
    // Files are then looked for in another folder.
    let sample = Sample::good();
    sample.define(|definition| definition["Tables"][1]["TablePath"] = "/ks/t".into());
    let found = sample.check();
    assert!(found.iter().any(|violation| violation.rule == 3), "{}", shown(&found));
}

#[test]
fn rule_4_files_are_plain_text_with_a_last_newline() {
    broken(4, |sample| sample.write("ks/t/LOAD00000002.csv", ""));
    broken(4, |sample| sample.write("ks/t/LOAD00000002.csv", [0x1f, 0x8b, 8, 0]));
    let sample = Sample::good();
    sample.write(EVENTS_FILE, EVENTS_0.trim_end());
    let found = sample.check();
    let rules: Vec<_> = found.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [4, 10], "{}", shown(&found));
    broken(4, |sample| {
        // In front of a text, so that nothing else is wrong.
        sample.write(
            "ks/events/LOAD00100001.csv",
            format!("\u{feff}{EVENTS_1}").replace("y#", "\u{feff}y#"),
        );
    });
}

#[test]
fn rule_5_files_are_strict_csv_in_utf_8() {
    for line in [
        "a\"b,1,0,\\N,\\N,k#1,8000000000000000\n",
        "\"a\"b,1,0,\\N,\\N,k#1,8000000000000000\n",
        "a\r,1,0,\\N,\\N,k#1,8000000000000000\n",
        "\"a,1,0,\\N,\\N,k#1,8000000000000000\n",
    ] {
        let found = broken(5, |sample| sample.append("ks/events/LOAD00100001.csv", line));
        assert_eq!(found[0].line, 4, "a quoted newline counts as a line");
    }
    broken(5, |sample| sample.write("ks/t/LOAD00000002.csv", b"\xff\n"));
}

#[test]
fn rule_6_every_record_has_all_fields() {
    broken(6, |sample| sample.append(T_FILE, "3,\\N\n"));
    broken(6, |sample| sample.append(T_FILE, &format!("3{}\n", ",\\N".repeat(12))));
}

#[test]
fn rule_7_values_are_of_their_types() {
    for (from, to) in [
        ("\n2,", "\n2147483648,"),
        ("\n2,", "\n02,"),
        ("\n2,", "\n-0,"),
        ("12.50", "1.25E+1"),
        ("12.50", "12.12345678901"),
        ("12.50", "12345678901234567890123456789.5"),
        ("2026-11-21 10:00:00.000", "2026-11-21T10:00:00.000Z"),
        ("2026-11-21 10:00:00.000", "2026-11-21 10:00:00"),
        ("2026-11-21 10:00:00.000", "2026-11-21 24:00:00.000"),
        (",2026-11-21,", ",2026-02-29,"),
        (",2026-11-21,", ",+2026-11-21,"),
        ("0e9f0000-", "0E9F0000-"),
        ("::1", "1.2.3"),
        (",123,", ",1e3,"),
        (",true,", ",True,"),
        (",1.5e100,", ",NaN,"),
        (",0aff,", ",0af,"),
        (",0aff,", ",0x0aff,"),
        ("10:00:00.000000001", "10:00:00"),
        ("10:00:00.000000001", "10:00:00.0000000011"),
    ] {
        let sample = Sample::good();
        sample.replace(T_FILE, from, to);
        let found = sample.check();
        // What is no number of the type is none of DynamoDB's either.
        let sevens = found.iter().filter(|violation| violation.rule == 7).count();
        assert_eq!(sevens, 1, "{from} -> {to}: {}", shown(&found));
        assert!(found.iter().all(|v| matches!(v.rule, 7 | 19)), "{}", shown(&found));
    }
    let long = "x".repeat(1025);
    broken(7, |sample| sample.replace(EVENTS_FILE, "hello", &long));
}

#[test]
fn rule_8_keys_are_neither_null_nor_empty_and_null_tokens_are_counted() {
    broken(8, |sample| sample.replace(T_FILE, "\n2,", "\n\\N,"));
    broken(8, |sample| sample.replace(EVENTS_FILE, "7FFFFFFFFFFFFFFF", "\\N"));
    broken(8, |sample| sample.replace(EVENTS_FILE, "\"\\N\"", "plain"));
    broken(8, |sample| sample.replace(EVENTS_FILE, "hello", "\"\\N\""));
    // The mapping rule then makes its key of a nullable column, too.
    let sample = Sample::good();
    sample.define(|definition| column(definition, 1, "pk")["ColumnNullable"] = "true".into());
    let rules: Vec<_> = sample.check().iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [8, 15]);
    let sample = Sample::good();
    sample.replace(T_FILE, "\n2,", "\n,");
    assert!(sample.check().iter().any(|violation| violation.rule == 8));
}

#[test]
fn rule_9_collections_are_json_that_all_readers_take() {
    let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
    for bad in [
        "{a:1}",
        "\"{\"\"a\"\":1,\"\"a\"\":2}\"",
        "\"{\"\"a\"\":\"\"raw\nnewline\"\"}\"",
        &deep,
        "text",
    ] {
        let found = broken(9, |sample| {
            sample.replace(EVENTS_FILE, r#""{""a"":""1"",""b"":""x,y""}""#, bad);
        });
        assert_eq!(found[0].column, "m");
    }
}

#[test]
fn rule_10_records_are_in_their_canonical_form() {
    broken(10, |sample| sample.replace(EVENTS_FILE, ",hello,", ",\"hello\","));
    broken(10, |sample| sample.replace("ks/events/LOAD00100001.csv", "\" z\"", " z"));
    broken(10, |sample| sample.replace(T_FILE, ",text,", ",\"\","));
}

#[test]
fn rule_11_no_row_is_there_twice_in_all_files() {
    let found = broken(11, |sample| {
        let first = EVENTS_0.lines().next().unwrap();
        sample.append("ks/events/LOAD00100001.csv", &format!("{first}\n"));
    });
    assert_eq!(found[0].object, "ks/events/LOAD00100001.csv");
}

#[test]
fn rule_12_the_definition_is_complete_and_of_strings() {
    let changes: [fn(&mut Value); 13] = [
        |d| d["TableCount"] = "3".into(),
        |d| d["TableCount"] = 2.into(),
        |d| d["Extra"] = "x".into(),
        |d| d["Tables"][1]["TableColumnsTotal"] = "11".into(),
        |d| d["Tables"][1]["TableColumnsTotal"] = 12.into(),
        |d| column(d, 1, "n")["ColumnPrecision"] = Value::Null,
        |d| column(d, 1, "n")["ColumnPrecision"] = "39".into(),
        |d| drop(column(d, 1, "amount").as_object_mut().unwrap().remove("ColumnScale")),
        |d| column(d, 1, "at")["ColumnDateFormat"] = "YYYY-MM-ddTHH:mm:ss".into(),
        |d| column(d, 1, "ok")["ColumnLength"] = "5".into(),
        |d| column(d, 1, "ok")["ColumnType"] = "BOOL".into(),
        |d| column(d, 1, "ok")["Nullable"] = "true".into(),
        |d| column(d, 1, "ok")["ColumnIsPk"] = "no".into(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let sample = Sample::good();
        sample.define(change);
        let found = sample.check();
        assert!(found.iter().any(|v| v.rule == 12), "change {index}: {}", shown(&found));
    }
    broken(12, |sample| {
        sample.define(|definition| {
            definition["Tables"][0]["TableColumns"].as_array_mut().unwrap().swap(3, 4);
        });
    });
    let sample = Sample::good();
    sample.define(|definition| {
        let again = definition["Tables"][1].clone();
        definition["Tables"].as_array_mut().unwrap().push(again);
        definition["TableCount"] = "3".into();
    });
    assert!(sample.check().iter().any(|v| v.what == "ks.t is there twice"));
    let sample = Sample::good();
    let padding = " ".repeat(2_000_000);
    sample.append(DEFINITION, &padding);
    assert!(sample.check().iter().any(|v| v.rule == 12 && v.what.contains("more than 2 MB")));
    let sample = Sample::good();
    std::fs::remove_file(sample.path(DEFINITION)).unwrap();
    assert!(sample.check().iter().any(|v| v.rule == 12 && v.what == "is not there"));
}

#[test]
fn rule_13_columns_outside_the_key_are_nullable() {
    broken(13, |sample| {
        // One without a NULL in the data, which would be rule 8.
        sample.define(|definition| {
            column(definition, 0, "tenant")["ColumnNullable"] = "false".into();
        });
    });
}

#[test]
fn rule_14_rules_have_ids_and_places_of_their_own() {
    let changes: [fn(&mut Value); 7] = [
        |m| rule(m, "2")["rule-id"] = "1".into(),
        |m| rule(m, "2")["rule-id"] = "x".into(),
        |m| rule(m, "2")["rule-name"] = "select-ks-events".into(),
        |m| rule(m, "1")["rule-action"] = "exclude".into(),
        |m| drop(m["rules"].as_array_mut().unwrap().remove(0)),
        |m| m["more"] = 1.into(),
        |m| rule(m, "3")["object-locator"]["table-name"] = "t_".into(),
    ];
    for change in changes {
        broken(14, |sample| sample.edit(MAPPINGS, change));
    }
    broken(14, |sample| sample.write(MAPPINGS, "{"));
}

#[test]
fn rule_15_keys_and_attributes_are_what_dynamodb_takes() {
    let changes: [fn(&mut Value); 12] = [
        |m| rule(m, "2")["target-table-name"] = "x".into(),
        |m| rule(m, "2")["target-table-name"] = "ks:events".into(),
        |m| rule(m, "2")["target-table-name"] = "ks.t".into(),
        |m| rule(m, "2")["mapping-parameters"]["partition-key-name"] = "tenant".into(),
        |m| rule(m, "2")["mapping-parameters"]["sort-key-name"] = Value::Null,
        |m| rule(m, "2")["mapping-parameters"]["exclude-columns"][0] = "none".into(),
        |m| {
            rule(m, "2")["mapping-parameters"]["exclude-columns"] = json!(["day", "cp_pk", "cp_sk"])
        },
        |m| rule(m, "2")["mapping-parameters"]["attribute-mappings"][0]["value"] = "${none}".into(),
        |m| {
            rule(m, "2")["mapping-parameters"]["attribute-mappings"][2]["value"] =
                "${cp_pk}x".into()
        },
        |m| {
            rule(m, "2")["mapping-parameters"]["attribute-mappings"][1]["target-attribute-name"] =
                "Value".into()
        },
        |m| {
            rule(m, "2")["mapping-parameters"]["attribute-mappings"][1]["target-attribute-name"] =
                "tenant".into()
        },
        |m| {
            rule(m, "2")["mapping-parameters"]["attribute-mappings"][0]["attribute-sub-type"] =
                "number".into()
        },
    ];
    for change in changes {
        broken(15, |sample| sample.edit(MAPPINGS, change));
    }
    broken(15, |sample| {
        sample.edit(MAPPINGS, |m| drop(m["rules"].as_array_mut().unwrap().remove(1)));
    });
}

#[test]
fn rule_16_a_table_is_mapped_once() {
    broken(16, |sample| {
        sample.edit(MAPPINGS, |m| {
            let mut again = rule(m, "4").clone();
            again["rule-id"] = "5".into();
            again["rule-name"] = "again".into();
            again["target-table-name"] = "ks.again".into();
            m["rules"].as_array_mut().unwrap().push(again);
        });
    });
}

#[test]
fn rule_17_the_task_does_what_dynamodb_can() {
    let changes: [fn(&mut Value); 13] = [
        |s| s["FullLoadSettings"]["TargetTablePrepMode"] = "TRUNCATE_BEFORE_LOAD".into(),
        |s| s["TargetMetadata"]["BatchApplyEnabled"] = true.into(),
        |s| s["TargetMetadata"]["TaskRecoveryTableEnabled"] = true.into(),
        |s| s["TargetMetadata"]["FullLobMode"] = true.into(),
        |s| s["ValidationSettings"]["EnableValidation"] = true.into(),
        |s| s["TargetMetadata"]["ParallelLoadThreads"] = 201.into(),
        |s| s["TargetMetadata"]["ParallelLoadBufferSize"] = 1001.into(),
        |s| s["FullLoadSettings"]["MaxFullLoadSubTasks"] = 50.into(),
        |s| s["FullLoadSettings"]["CommitRate"] = 50_001.into(),
        |s| s["Section"] = json!({}),
        |s| s["TargetMetadata"]["LimitedSizeLobMode"] = false.into(),
        |s| s["TargetMetadata"]["SupportLobs"] = false.into(),
        |s| s["TargetMetadata"]["LobMaxSize"] = 0.into(),
    ];
    for change in changes {
        broken(17, |sample| sample.edit(SETTINGS, change));
    }
    broken(17, |sample| {
        sample.replace(T_FILE, ",text,", &format!(",{},", "x".repeat(32 * 1024 + 1)));
    });
    broken(17, |sample| sample.write(SETTINGS, ""));
}

#[test]
fn rule_18_the_endpoint_reads_what_was_written() {
    for key in [
        "CsvNullValue",
        "CsvDelimiter",
        "CsvRowDelimiter",
        "Rfc4180",
        "IgnoreHeaderRows",
        "BucketName",
    ] {
        broken(18, |sample| {
            sample.edit(SOURCE, |s| drop(s.as_object_mut().unwrap().remove(key)));
        });
    }
    broken(18, |sample| sample.edit(SOURCE, |s| s["CsvNullValue"] = "NULL".into()));
    broken(18, |sample| sample.edit(SOURCE, |s| s["ExternalTableDefinition"] = "{}".into()));
    broken(18, |sample| std::fs::remove_file(sample.path(SOURCE)).unwrap());
}

#[test]
fn rule_19_items_and_keys_are_what_dynamodb_takes() {
    for (from, to) in [
        ("a%23b#", "a#b#"),
        ("a%23b#", "a%24b#"),
        ("#2026-11-22,7", "#2026-11-29,7"),
        ("800000000000000A", "800000000000000B"),
        ("800000000000000A", "%53%54"),
    ] {
        broken(19, |sample| sample.replace(EVENTS_FILE, from, to));
    }
    let long = "k".repeat(2049);
    let sample = Sample::good();
    sample.define(|definition| column(definition, 0, "cp_pk")["ColumnLength"] = "4096".into());
    sample.replace(EVENTS_FILE, "a%23b#2026-11-21", &long);
    let found = sample.check();
    assert!(
        found.iter().any(|v| v.rule == 19 && v.what == "a key of 2049 bytes"),
        "{}",
        shown(&found)
    );
    broken(19, |sample| {
        sample
            .define(|definition| column(definition, 0, "value")["ColumnLength"] = "500000".into());
        sample.replace(EVENTS_FILE, "hello", &"x".repeat(409_600));
    });
    broken(19, |sample| sample.replace(T_FILE, "1.5e100", "1.5e300"));
}

const CHANGES: &str = "cdc-changes/CDC0000000001.csv";
const MORE_CHANGES: &str = "cdc-changes/CDC0000000002.csv";

impl Sample {
    /// The good sample with change files behind it.
    fn changed() -> Self {
        let sample = Self::good();
        let none = ",\\N".repeat(11);
        sample.write(CHANGES, format!("INSERT,t,ks,3{none}\nDELETE,t,ks,2{none}\n"));
        let events = EVENTS_1.split_once('\n').unwrap().0;
        sample.write(MORE_CHANGES, format!("U,events,ks,{events}\nUPDATE,t,ks,1{none}\n"));
        sample
    }
}

/// Breaks the sample with change files.
#[track_caller]
fn broken_change(rule: u8, change: impl FnOnce(&Sample)) -> Vec<Violation> {
    let sample = Sample::changed();
    change(&sample);
    if rule != 2 {
        // Files come one after the other, whichever was written last.
        for name in [MORE_CHANGES, "cdc-changes/CDC0000000003.csv"] {
            if let Ok(text) = std::fs::read(sample.path(name)) {
                sample.write(name, text);
            }
        }
    }
    let found = sample.check();
    assert!(!found.is_empty(), "nothing found");
    assert!(found.iter().all(|violation| violation.rule == rule), "{}", shown(&found));
    found
}

#[test]
fn the_changed_sample_keeps_all_rules() {
    let found = Sample::changed().check();
    assert!(found.is_empty(), "{}", shown(&found));
}

#[test]
fn rule_2_change_files_have_numbers_in_the_order_of_their_times() {
    for name in ["CDC00003.csv", "CDC0000000003.csv.gz", "CDC000000000A.csv", "LOAD00000001.csv"] {
        let line = format!("DELETE,t,ks,2{}\n", ",\\N".repeat(11));
        broken_change(2, |sample| sample.write(&format!("cdc-changes/{name}"), line));
    }
    let found = broken_change(2, |sample| {
        let first = std::fs::File::options().append(true).open(sample.path(CHANGES)).unwrap();
        let written = first.metadata().unwrap().modified().unwrap();
        let later = written + std::time::Duration::from_secs(60);
        first.set_modified(later).unwrap();
    });
    assert_eq!(found[0].object, MORE_CHANGES);
}

#[test]
fn rules_4_to_10_hold_for_changes_too() {
    broken_change(4, |sample| sample.write("cdc-changes/CDC0000000003.csv", ""));
    broken_change(5, |sample| sample.replace(CHANGES, "INSERT,", "INS\"ERT,"));
    broken_change(7, |sample| sample.replace(CHANGES, "t,ks,3", "t,ks,x"));
    broken_change(8, |sample| sample.replace(CHANGES, "t,ks,3", "t,ks,\\N"));
    broken_change(10, |sample| sample.replace(CHANGES, "INSERT,", "\"INSERT\","));
}

#[test]
fn rule_6_changes_have_an_operation_a_table_and_all_fields() {
    for (from, to) in [
        ("INSERT,", "UPSERT,"),
        ("INSERT,", ""),
        ("INSERT,t,", "INSERT,none,"),
        ("INSERT,t,ks", "INSERT,ks,t"),
        ("INSERT,t,ks,3,", "INSERT,t,ks,3,\\N,"),
    ] {
        let found = broken_change(6, |sample| sample.replace(CHANGES, from, to));
        assert_eq!((found[0].object.as_str(), found[0].line), (CHANGES, 1));
    }
}

#[test]
fn rule_22_load_and_changes_lead_to_the_end() {
    let (sample, end) = (Sample::changed(), Sample::good());
    let none = ",\\N".repeat(11);
    let rows = format!("1{none}\n3{none}\n");
    end.write(T_FILE, &rows);
    let against = || check_changed_output(sample.directory.path(), Some(end.directory.path()));
    assert_eq!(shown(&against()), "");
    for (rows, key) in [
        (format!("1{none}\n"), "3"),
        (format!("1{none}\n2{none}\n3{none}\n"), "2"),
        (format!("1,12.50{}\n3{none}\n", ",\\N".repeat(10)), "1"),
    ] {
        end.write(T_FILE, rows);
        let found = against();
        assert_eq!((found.len(), found[0].rule), (1, 22), "{}", shown(&found));
        assert!(found[0].what.contains(&format!("Some(\\\"{key}\\\")")), "{}", shown(&found));
    }
}

#[test]
fn rule_21_there_are_as_many_rows_as_live() {
    let sample = Sample::good();
    let counts = |t| [("ks.events".to_owned(), 4), ("ks.t".to_owned(), t)].into();
    assert!(check_row_counts(sample.directory.path(), &counts(2)).is_empty());
    let found = check_row_counts(sample.directory.path(), &counts(3));
    assert_eq!((found.len(), found[0].rule), (1, 21), "{}", shown(&found));
    let report = json!({"tables": [{"keyspace": "ks", "table": "t", "rowsQuarantined": 1}]});
    sample.write("_cassport/agents/000/report.json", report.to_string());
    assert!(check_row_counts(sample.directory.path(), &counts(3)).is_empty());
}

#[test]
fn rule_23_times_of_a_row_do_not_go_back() {
    let sample = Sample::good();
    let file = |n: u32| format!("ks/t/20261121-10000000{n}.csv");
    let line =
        |op: &str, micros: u32, key: u32| format!("{op},2026-11-21 10:00:00.{micros:06},{key}\n");
    std::fs::remove_dir_all(sample.path("ks")).unwrap();
    sample.write(&file(1), format!("Op,cp_ts,pk\n{}{}", line("I", 7, 1), line("I", 3, 2)));
    sample.write(&file(2), format!("Op,cp_ts,pk\n{}", line("D", 7, 1)));
    assert!(check_change_times(sample.directory.path()).is_empty());
    sample.write(&file(2), format!("Op,cp_ts,pk\n{}{}", line("U", 3, 2), line("U", 6, 1)));
    let found = check_change_times(sample.directory.path());
    assert_eq!((found.len(), found[0].rule, found[0].line), (1, 23, 3), "{}", shown(&found));
    sample.write(&file(2), "Op,pk\nD,1\n");
    assert_eq!(check_change_times(sample.directory.path())[0].rule, 23);
}

/// Items with their import request, and write requests behind them.
fn items() -> Sample {
    let sample = Sample { directory: tempfile::tempdir().unwrap() };
    let attribute = |name: &str, kind: &str| json!({"AttributeName": name, "AttributeType": kind});
    let request = json!({
        "S3BucketSource": {"S3Bucket": "b", "S3KeyPrefix": "ks/t/"}, "InputFormat": "DYNAMODB_JSON",
        "InputCompressionType": "NONE", "TableCreationParameters": {"TableName": "ks.t",
            "AttributeDefinitions": [attribute("k", "S"), attribute("c", "N")],
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}, {"AttributeName": "c", "KeyType": "RANGE"}],
            "BillingMode": "PAY_PER_REQUEST"}
    });
    sample.write("_cassport/ks.t.import-table.json", request.to_string());
    sample.write(
        "ks/t/LOAD00000001.json",
        r#"{"Item":{"k":{"S":"a"},"c":{"N":"1"},"s":{"SS":["x","y"]},"m":{"M":{"l":{"L":[{"B":"AA=="}]}}}}}
{"Item":{"k":{"S":"a"},"c":{"N":"2"}}}
"#,
    );
    sample.write(
        "cdc-changes/CDC0000000001.json",
        r#"{"Put":{"TableName":"ks.t","Item":{"k":{"S":"b"},"c":{"N":"1"}}}}
{"Delete":{"TableName":"ks.t","Key":{"k":{"S":"a"},"c":{"N":"2"}}}}
"#,
    );
    assert_eq!(shown(&check_import(sample.directory.path())), "");
    sample
}

#[test]
fn rules_19_and_20_items_are_what_an_import_takes() {
    let load = "ks/t/LOAD00000001.json";
    for (rule, from, to) in [
        (20, r#""c":{"N":"2"}"#, r#""c":{"S":"2"}"#),
        (20, r#""c":{"N":"2"}"#, r#""d":{"N":"2"}"#),
        (20, r#""k":{"S":"a"},"c":{"N":"2"}"#, r#""k":{"S":""},"c":{"N":"2"}"#),
        (20, "{\"Item\":{\"k\":{\"S\":\"a\"},\"c\":{\"N\":\"2\"}}}", "[]"),
        (20, "}}}\n{", "}}}{"),
        (19, r#"["x","y"]"#, r#"["x","x"]"#),
        (19, r#"["x","y"]"#, "[]"),
        (19, r#"{"B":"AA=="}"#, r#"{"B":1}"#),
        (11, r#""c":{"N":"2"}"#, r#""c":{"N":"1"}"#),
    ] {
        let sample = items();
        sample.replace(load, from, to);
        let found = check_import(sample.directory.path());
        assert!(
            !found.is_empty() && found.iter().all(|v| v.rule == rule),
            "{to}: {}",
            shown(&found)
        );
    }
    for (name, text) in [("ks/t/_SUCCESS", ""), ("ks/t/LOAD00000002.json.gz", "x")] {
        let sample = items();
        sample.write(name, text);
        assert_eq!(check_import(sample.directory.path())[0].rule, 20, "{name}");
    }
    let sample = items();
    sample.edit("_cassport/ks.t.import-table.json", |r| r["InputCompressionType"] = "GZIP".into());
    assert_eq!(check_import(sample.directory.path())[0].rule, 20);
}

#[test]
fn rules_2_and_6_write_requests_are_of_tables_and_keys_that_there_are() {
    let changes = "cdc-changes/CDC0000000001.json";
    for (from, to) in [
        ("{\"Delete\"", "{\"Remove\""),
        ("\"Put\":{\"TableName\":\"ks.t\"", "\"Put\":{\"TableName\":\"ks.u\""),
        ("\"c\":{\"N\":\"2\"}", "\"c\":{\"N\":\"2\"},\"v\":{\"N\":\"2\"}"),
    ] {
        let sample = items();
        sample.replace(changes, from, to);
        let found = check_import(sample.directory.path());
        assert_eq!((found.len(), found[0].rule), (1, 6), "{to}: {}", shown(&found));
    }
    let sample = items();
    sample.write("cdc-changes/CDC1.json", "");
    assert_eq!(check_import(sample.directory.path())[0].rule, 2);
}
