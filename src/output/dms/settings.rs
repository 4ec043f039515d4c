//! Settings of the source endpoint and of the task.

use serde::Serialize;

use super::{DmsTable, DmsTarget};
use crate::error::{Error, Result};

/// The settings that fit an S3 source and a DynamoDB target without LOB columns. Every value is written out, as the
/// documented defaults contradict each other.
const TASK_SETTINGS: &str = include_str!("task-settings.json");

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SourceSettings {
    service_access_role_arn: String,
    bucket_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket_folder: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cdc_path: Option<String>,
    csv_delimiter: &'static str,
    csv_row_delimiter: &'static str,
    csv_null_value: &'static str,
    ignore_header_rows: u8,
    rfc4180: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_bucket_owner: Option<String>,
    external_table_definition: String,
}

/// Settings of one source endpoint. With several, each has its own folder of changes (`suffix`): a folder is one
/// sequence of files for exactly the tables of its endpoint.
pub(super) fn source_settings(
    target: &DmsTarget,
    suffix: &str,
    definition: String,
) -> impl Serialize + use<> {
    let replace = |with: &str| format!("REPLACE-WITH-{with}");
    let bucket_folder = match (&target.bucket, target.folder.as_str()) {
        (None, _) => Some(replace("FOLDER")),
        (Some(_), "") => None,
        (Some(_), folder) => Some(folder.to_owned()),
    };
    SourceSettings {
        service_access_role_arn: target.role_arn.clone().unwrap_or_else(|| replace("ROLE-ARN")),
        bucket_name: target.bucket.clone().unwrap_or_else(|| replace("BUCKET")),
        bucket_folder,
        cdc_path: target.cdc_path.as_ref().map(|path| format!("{path}{suffix}")),
        csv_delimiter: ",",
        csv_row_delimiter: "\n",
        csv_null_value: "\\N",
        ignore_header_rows: 0,
        rfc4180: true,
        expected_bucket_owner: target.bucket_owner.clone(),
        external_table_definition: definition,
    }
}

/// Settings of the task. With LOB columns, which only `--column-type` makes, the limited mode with room for twice the
/// longest value: the default of 32 KB would cut values off.
pub(super) fn task_settings(tables: &[DmsTable]) -> Result<String> {
    let lobs = tables.iter().flat_map(|table| &table.columns);
    let longest =
        lobs.filter(|column| column.column_type.is_lob()).map(|column| column.max_bytes).max();
    let Some(longest) = longest else { return Ok(TASK_SETTINGS.to_owned()) };
    let kilobytes = longest.saturating_mul(2).div_ceil(1024).max(32);
    let mut text = TASK_SETTINGS.to_owned();
    for (without, with) in [
        ("\"SupportLobs\": false,", "\"SupportLobs\": true,".to_owned()),
        ("\"LimitedSizeLobMode\": false,", "\"LimitedSizeLobMode\": true,".to_owned()),
        ("\"LobMaxSize\": 0,", format!("\"LobMaxSize\": {kilobytes},")),
    ] {
        if text.matches(without).count() != 1 {
            return Err(Error::Bug(format!("task-settings.json has not one {without}")));
        }
        text = text.replace(without, &with);
    }
    Ok(text)
}
