//! Table mappings: which tables DMS takes, and what DynamoDB's keys and attributes are made of.

use std::collections::BTreeSet;

use serde::Serialize;

use super::reserved::is_reserved;
use super::{ColumnRole, DmsColumn, DmsTable};
use crate::error::{Error, Result};

/// Length limits of a DynamoDB table name.
const TABLE_NAME: std::ops::RangeInclusive<usize> = 3..=255;

/// What DynamoDB gets for a column through DMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmsAttribute {
    /// The column of the file.
    pub column: String,
    /// The attribute.
    pub attribute: String,
    /// Its type.
    pub attribute_type: AttributeType,
    /// True if a rule makes it; else DMS carries the column over by itself.
    pub mapped: bool,
}

/// Types of DynamoDB that DMS makes of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// `S`.
    String,
    /// `N`.
    Number,
    /// `BOOL`.
    Boolean,
}

impl DmsTable {
    /// The column that becomes DynamoDB's partition attribute.
    pub fn partition_attribute_column(&self) -> Option<&DmsColumn> {
        self.key_column(ColumnRole::GeneratedPartitionKey, ColumnRole::PartitionKey)
    }

    /// The column that becomes DynamoDB's sort attribute.
    pub fn sort_attribute_column(&self) -> Option<&DmsColumn> {
        self.key_column(ColumnRole::GeneratedSortKey, ColumnRole::Clustering)
    }

    fn key_column(&self, generated: ColumnRole, native: ColumnRole) -> Option<&DmsColumn> {
        let with = |role| self.columns.iter().find(move |column| column.role == role);
        with(generated).or_else(|| with(native))
    }

    /// True if `column` is one of the two that become DynamoDB's key. For DMS that is the primary key: where there are
    /// generated keys, the original columns are ordinary ones.
    pub fn is_key(&self, column: &DmsColumn) -> bool {
        let is = |key: Option<&DmsColumn>| key.is_some_and(|key| key.name == column.name);
        is(self.partition_attribute_column()) || is(self.sort_attribute_column())
    }

    /// The attribute of each column, in order. The keys are strings, as the rules that name them make strings; so are
    /// columns that need another name, because theirs is a reserved word.
    pub fn attributes(&self) -> Vec<DmsAttribute> {
        let mut taken: BTreeSet<String> = self
            .columns
            .iter()
            .filter(|column| !is_reserved(&column.name))
            .map(|column| column.name.clone())
            .collect();
        let attribute = |column: &DmsColumn| {
            let reserved = is_reserved(&column.name);
            let mapped = reserved || self.is_key(column);
            let mut name = column.name.clone();
            while reserved && (name == column.name || taken.contains(&name)) {
                name.insert_str(0, "c_");
            }
            taken.insert(name.clone());
            let attribute_type = match column.column_type {
                _ if mapped => AttributeType::String,
                number if number.is_number() => AttributeType::Number,
                super::DmsType::Boolean => AttributeType::Boolean,
                _ => AttributeType::String,
            };
            DmsAttribute { column: column.name.clone(), attribute: name, attribute_type, mapped }
        };
        self.columns.iter().map(attribute).collect()
    }
}

#[derive(Serialize)]
struct Mappings {
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    rule_type: &'static str,
    rule_id: String,
    rule_name: String,
    rule_action: &'static str,
    object_locator: Locator,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_table_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping_parameters: Option<Parameters>,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "kebab-case")]
struct Locator {
    schema_name: String,
    table_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Parameters {
    partition_key_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sort_key_name: Option<String>,
    exclude_columns: Vec<String>,
    attribute_mappings: Vec<AttributeMapping>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct AttributeMapping {
    target_attribute_name: String,
    attribute_type: &'static str,
    attribute_sub_type: &'static str,
    value: String,
}

/// The rules for some tables, as a document. Names of target tables are remembered in `targets`, so that no two tables
/// of the output get the same.
///
/// Selection is `explicit`: in the other forms `_` stands for any character.
pub(super) fn mappings(
    tables: &[DmsTable],
    targets: &mut BTreeSet<String>,
    warnings: &mut Vec<String>,
) -> Result<impl Serialize + use<>> {
    let mut rules = Vec::with_capacity(tables.len() * 2);
    for table in tables {
        let locator =
            Locator { schema_name: table.keyspace.clone(), table_name: table.table.clone() };
        rules.push(Rule {
            rule_type: "selection",
            rule_id: (rules.len() + 1).to_string(),
            rule_name: format!("select-{}-{}", table.keyspace, table.table),
            rule_action: "explicit",
            object_locator: locator.clone(),
            target_table_name: None,
            mapping_parameters: None,
        });
        rules.push(Rule {
            rule_type: "object-mapping",
            rule_id: (rules.len() + 1).to_string(),
            rule_name: format!("map-{}-{}", table.keyspace, table.table),
            rule_action: "map-record-to-record",
            object_locator: locator,
            target_table_name: Some(legal_table_name(table, targets, warnings)),
            mapping_parameters: Some(parameters(table, warnings)?),
        });
    }
    Ok(Mappings { rules })
}

fn parameters(table: &DmsTable, warnings: &mut Vec<String>) -> Result<Parameters> {
    let attributes = table.attributes();
    let attribute_of = |column: &DmsColumn| {
        attributes
            .iter()
            .find(|found| found.column == column.name)
            .map(|found| found.attribute.clone())
    };
    let several = |generated, native| {
        let count = |role| table.columns.iter().filter(|column| column.role == role).count();
        count(generated) == 0 && count(native) > 1
    };
    let partition = table.partition_attribute_column().and_then(attribute_of);
    let (Some(partition_key_name), false, false) = (
        partition,
        several(ColumnRole::GeneratedPartitionKey, ColumnRole::PartitionKey),
        several(ColumnRole::GeneratedSortKey, ColumnRole::Clustering),
    ) else {
        let name = format!("{}.{}", table.keyspace, table.table);
        return Err(Error::Bug(format!("{name}: no single columns for DynamoDB's keys")));
    };
    let mapped: Vec<_> = attributes.iter().filter(|attribute| attribute.mapped).collect();
    for attribute in &mapped {
        if attribute.column.contains(['{', '}', '$']) {
            warnings.push(format!(
                "{}.{}: DMS may not find column {:?} in a rule; give it another name with --rename",
                table.keyspace, table.table, attribute.column
            ));
        }
    }
    Ok(Parameters {
        partition_key_name,
        sort_key_name: table.sort_attribute_column().and_then(attribute_of),
        exclude_columns: mapped.iter().map(|attribute| attribute.column.clone()).collect(),
        attribute_mappings: mapped
            .iter()
            .map(|attribute| AttributeMapping {
                target_attribute_name: attribute.attribute.clone(),
                attribute_type: "scalar",
                attribute_sub_type: "string",
                value: format!("${{{}}}", attribute.column),
            })
            .collect(),
    })
}

/// The name of a DynamoDB table: `keyspace.table`, with what is not allowed in a name replaced.
pub(crate) fn table_name(keyspace: &str, table: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    format!("{keyspace}.{table}")
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        // All are ASCII now; room is left for a number behind the name.
        .take(TABLE_NAME.end() - 8)
        .collect()
}

/// [`table_name()`], which is another one for each table; where it is not that of Cassandra a warning says so.
pub(in crate::output) fn legal_table_name(
    table: &DmsTable,
    targets: &mut BTreeSet<String>,
    warnings: &mut Vec<String>,
) -> String {
    let wanted = format!("{}.{}", table.keyspace, table.table);
    let legal = table_name(&table.keyspace, &table.table);
    let mut name = legal.clone();
    let mut number = 2;
    while !targets.insert(name.clone()) {
        name = format!("{legal}-{number}");
        number += 1;
    }
    if name != wanted {
        warnings.push(format!("{wanted}: the DynamoDB table is named {name}"));
    }
    name
}
