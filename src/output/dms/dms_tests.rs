use super::definition::write_dms_files_within;
use super::*;

fn column(name: &str, role: ColumnRole, column_type: DmsType, max_bytes: u64) -> DmsColumn {
    DmsColumn { name: name.into(), role, column_type, max_bytes }
}

fn text(name: &str, role: ColumnRole, max_bytes: u64) -> DmsColumn {
    column(name, role, DmsType::String { length: None }, max_bytes)
}

/// `CREATE TABLE ks.events (tenant text, day text, seq bigint, value text, m map<text, text>,
/// PRIMARY KEY ((tenant, day), seq))`: the example of `dms-contract.md` 5.7.
fn events() -> DmsTable {
    DmsTable {
        keyspace: "ks".into(),
        table: "events".into(),
        columns: vec![
            text("tenant", ColumnRole::PartitionKey, 3),
            text("day", ColumnRole::PartitionKey, 10),
            column("seq", ColumnRole::Clustering, DmsType::Int8, 2),
            text("m", ColumnRole::Other, 700),
            text("value", ColumnRole::Other, 5),
            text("cp_pk", ColumnRole::GeneratedPartitionKey, 16),
            text("cp_sk", ColumnRole::GeneratedSortKey, 16),
        ],
    }
}

fn simple() -> DmsTable {
    DmsTable {
        keyspace: "ks".into(),
        table: "t".into(),
        columns: vec![
            column("pk", ColumnRole::PartitionKey, DmsType::Int4, 4),
            column("price", ColumnRole::Other, DmsType::Numeric { precision: 38, scale: 10 }, 5),
            column("created", ColumnRole::Other, DmsType::Datetime, 23),
        ],
    }
}

fn file(files: &DmsFiles, name: &str) -> String {
    let (_, bytes) = files.files.iter().find(|(found, _)| found == name).unwrap();
    String::from_utf8(bytes.clone()).unwrap()
}

fn json(files: &DmsFiles, name: &str) -> serde_json::Value {
    serde_json::from_str(&file(files, name)).unwrap()
}

fn target() -> DmsTarget {
    DmsTarget {
        bucket: Some("b".into()),
        folder: "cassport/run-1".into(),
        role_arn: Some("arn:aws:iam::111122223333:role/r".into()),
        bucket_owner: Some("111122223333".into()),
        cdc_path: Some("cdc-changes".into()),
    }
}

#[test]
fn the_definition_of_a_simple_table_is_this_text() {
    let files = write_dms_files(&[simple()], &target()).unwrap();
    assert_eq!(
        file(&files, "external-table-definition.json"),
        r#"{
  "TableCount": "1",
  "Tables": [
    {
      "TableName": "t",
      "TablePath": "ks/t/",
      "TableOwner": "ks",
      "TableColumns": [
        {
          "ColumnName": "pk",
          "ColumnType": "INT4",
          "ColumnNullable": "false",
          "ColumnIsPk": "true"
        },
        {
          "ColumnName": "price",
          "ColumnType": "NUMERIC",
          "ColumnPrecision": "38",
          "ColumnScale": "10",
          "ColumnNullable": "true",
          "ColumnIsPk": "false"
        },
        {
          "ColumnName": "created",
          "ColumnType": "DATETIME",
          "ColumnScale": "3",
          "ColumnDateFormat": "YYYY-MM-dd HH:mm:ss.F",
          "ColumnNullable": "true",
          "ColumnIsPk": "false"
        }
      ],
      "TableColumnsTotal": "3"
    }
  ]
}
"#
    );
    assert_eq!(files.endpoints, [["ks.t"]]);
    assert_eq!(files.warnings, [""; 0]);
}

#[test]
fn generated_keys_are_the_primary_key_of_dms_and_the_original_columns_are_not() {
    let files = write_dms_files(&[events()], &target()).unwrap();
    let definition = json(&files, "external-table-definition.json");
    let columns = definition["Tables"][0]["TableColumns"].as_array().unwrap();
    let keys: Vec<_> = columns
        .iter()
        .filter(|column| column["ColumnIsPk"] == "true")
        .map(|column| column["ColumnName"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["cp_pk", "cp_sk"]);
    for column in columns {
        assert_ne!(column["ColumnNullable"], column["ColumnIsPk"], "{column}");
    }
    assert_eq!(columns[3]["ColumnLength"], "2048");
}

#[test]
fn mappings_of_ready_made_keys_and_reserved_words_are_those_of_the_contract() {
    let files = write_dms_files(&[events()], &target()).unwrap();
    let mut expected = serde_json::json!({
      "rules": [
        {
          "rule-type": "selection", "rule-id": "1", "rule-name": "select-ks-events",
          "object-locator": { "schema-name": "ks", "table-name": "events" },
          "rule-action": "explicit"
        },
        {
          "rule-type": "object-mapping", "rule-id": "2", "rule-name": "map-ks-events",
          "rule-action": "map-record-to-record",
          "object-locator": { "schema-name": "ks", "table-name": "events" },
          "target-table-name": "ks.events",
          "mapping-parameters": {
            "partition-key-name": "cp_pk",
            "sort-key-name": "cp_sk",
            "exclude-columns": ["day", "value", "cp_pk", "cp_sk"],
            "attribute-mappings": []
          }
        }
      ]
    });
    let mapped = [("c_day", "day"), ("c_value", "value"), ("cp_pk", "cp_pk"), ("cp_sk", "cp_sk")];
    expected["rules"][1]["mapping-parameters"]["attribute-mappings"] = mapped
        .iter()
        .map(|(attribute, column)| {
            serde_json::json!({
                "target-attribute-name": attribute, "attribute-type": "scalar",
                "attribute-sub-type": "string", "value": format!("${{{column}}}")
            })
        })
        .collect();
    assert_eq!(json(&files, "table-mappings.json"), expected);
}

#[test]
fn a_native_key_that_is_a_reserved_word_gets_another_name_that_is_free() {
    let mut table = simple();
    table.columns[0].name = "Key".into();
    table.columns[1].name = "c_Key".into();
    table.columns[2].name = "count".into();
    let files = write_dms_files(&[table.clone()], &target()).unwrap();
    let parameters = &json(&files, "table-mappings.json")["rules"][1]["mapping-parameters"];
    assert_eq!(parameters["partition-key-name"], "c_c_Key");
    assert_eq!(parameters.get("sort-key-name"), None);
    assert_eq!(parameters["exclude-columns"], serde_json::json!(["Key", "count"]));
    let attributes = table.attributes();
    let shown: Vec<_> =
        attributes.iter().map(|a| (a.attribute.as_str(), a.attribute_type, a.mapped)).collect();
    use AttributeType::{Number, String};
    assert_eq!(
        shown,
        [("c_c_Key", String, true), ("c_Key", Number, false), ("c_count", String, true)]
    );
}

#[test]
fn which_keys_are_generated_depends_on_the_number_of_columns() {
    let keys = |partition, clustering| {
        let GeneratedKeys { partition, sort } = GeneratedKeys::of(partition, clustering);
        (partition, sort)
    };
    assert_eq!(keys(1, 0), (false, false));
    assert_eq!(keys(1, 1), (false, true));
    assert_eq!(keys(1, 2), (true, true));
    assert_eq!(keys(2, 0), (true, false));
    assert_eq!(keys(2, 1), (true, true));
}

#[test]
fn the_source_settings_hold_the_definition_as_one_string() {
    let files = write_dms_files(&[simple()], &target()).unwrap();
    let settings = json(&files, "s3-source-settings.json");
    let embedded: serde_json::Value =
        serde_json::from_str(settings["ExternalTableDefinition"].as_str().unwrap()).unwrap();
    assert_eq!(embedded, json(&files, "external-table-definition.json"));
    let mut rest = settings.as_object().unwrap().clone();
    rest.remove("ExternalTableDefinition");
    assert_eq!(
        serde_json::Value::Object(rest),
        serde_json::json!({
            "ServiceAccessRoleArn": "arn:aws:iam::111122223333:role/r",
            "BucketName": "b", "BucketFolder": "cassport/run-1", "CdcPath": "cdc-changes",
            "CsvDelimiter": ",", "CsvRowDelimiter": "\n", "CsvNullValue": "\\N",
            "IgnoreHeaderRows": 0, "Rfc4180": true, "ExpectedBucketOwner": "111122223333"
        })
    );
}

#[test]
fn what_is_not_known_is_a_placeholder_that_cannot_be_overlooked() {
    let files = write_dms_files(&[simple()], &DmsTarget::default()).unwrap();
    let settings = json(&files, "s3-source-settings.json");
    assert_eq!(settings["BucketName"], "REPLACE-WITH-BUCKET");
    assert_eq!(settings["BucketFolder"], "REPLACE-WITH-FOLDER");
    assert_eq!(settings["ServiceAccessRoleArn"], "REPLACE-WITH-ROLE-ARN");
    assert_eq!(settings.get("CdcPath"), None);
    let root = DmsTarget { bucket: Some("b".into()), ..DmsTarget::default() };
    let files = write_dms_files(&[simple()], &root).unwrap();
    assert_eq!(json(&files, "s3-source-settings.json").get("BucketFolder"), None);
}

#[test]
fn lob_columns_switch_the_limited_mode_on_with_room_for_the_longest() {
    let files = write_dms_files(&[simple()], &target()).unwrap();
    let metadata = json(&files, "task-settings.json")["TargetMetadata"].clone();
    assert_eq!((&metadata["SupportLobs"], &metadata["LobMaxSize"]), (&false.into(), &0.into()));
    let mut table = simple();
    table.columns.push(column("body", ColumnRole::Other, DmsType::Clob, 100_000));
    table.columns.push(text("long", ColumnRole::Other, 300_000));
    let files = write_dms_files(&[table], &target()).unwrap();
    let metadata = json(&files, "task-settings.json")["TargetMetadata"].clone();
    assert_eq!(metadata["SupportLobs"], true);
    assert_eq!(metadata["LimitedSizeLobMode"], true);
    assert_eq!(metadata["FullLobMode"], false);
    assert_eq!(metadata["LobMaxSize"], 196);
}

#[test]
fn a_definition_over_the_limit_is_cut_into_several_endpoints() {
    let tables: Vec<_> = (0..10).map(|i| DmsTable { table: format!("t{i}"), ..simple() }).collect();
    let whole = write_dms_files(&tables, &target()).unwrap();
    let one = file(&whole, "external-table-definition.json").len();
    let files = write_dms_files_within(&tables, &target(), one / 2).unwrap();
    assert!(files.endpoints.len() >= 2, "{:?}", files.endpoints);
    let all: Vec<_> = files.endpoints.concat();
    assert_eq!(all, (0..10).map(|i| format!("ks.t{i}")).collect::<Vec<_>>());
    for (index, names) in files.endpoints.iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { format!("-{}", index + 1) };
        let definition = file(&files, &format!("external-table-definition{suffix}.json"));
        assert!(definition.len() <= one / 2);
        let definition: serde_json::Value = serde_json::from_str(&definition).unwrap();
        assert_eq!(definition["TableCount"], names.len().to_string());
        let mappings = json(&files, &format!("table-mappings{suffix}.json"));
        assert_eq!(mappings["rules"].as_array().unwrap().len(), 2 * names.len());
        let settings = json(&files, &format!("s3-source-settings{suffix}.json"));
        assert_eq!(settings["CdcPath"], format!("cdc-changes{suffix}"));
    }
    assert!(files.warnings[0].contains("source endpoints"), "{:?}", files.warnings);
    // What just fits is not cut.
    assert_eq!(write_dms_files_within(&tables, &target(), one + 40).unwrap().endpoints.len(), 1);
    let error = write_dms_files_within(&tables, &target(), 100).unwrap_err();
    assert!(error.to_string().starts_with("ks.t0 has 3 columns"), "{error}");
}

#[test]
fn target_tables_have_legal_names_and_no_two_the_same() {
    let table = |name: &str| DmsTable { table: name.into(), ..simple() };
    let files = write_dms_files(&[table("a b"), table("a_b"), table("é")], &target()).unwrap();
    let rules = json(&files, "table-mappings.json");
    let names: Vec<_> = rules["rules"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|rule| rule.get("target-table-name")?.as_str())
        .collect();
    assert_eq!(names, ["ks.a_b", "ks.a_b-2", "ks._"]);
    assert_eq!(files.warnings.len(), 3);
    let long = write_dms_files(&[table(&"x".repeat(400))], &target()).unwrap();
    assert!(long.warnings[0].contains("the DynamoDB table is named ks.xxx"));
}

#[test]
fn no_tables_make_no_files() {
    let files = write_dms_files(&[], &target()).unwrap();
    assert_eq!((files.files.len(), files.warnings.len()), (0, 1));
}

#[test]
fn a_composite_key_without_generated_columns_is_a_bug_of_ours() {
    for missing in ["cp_pk", "cp_sk"] {
        let mut table = events();
        table.columns[3].role = ColumnRole::Clustering;
        table.columns.retain(|column| column.name != missing);
        let error = write_dms_files(&[table], &target()).unwrap_err();
        assert_eq!(error.class(), crate::error::ErrorClass::Bug, "{missing}");
    }
}
