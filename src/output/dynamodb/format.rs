//! [`ItemFormat`]: the attributes of a table's items, settled once for all workers.

use super::options::{DdbKeys, DdbShape};
use super::value::{AttributeForm, Kind, is_too_deep, kind_of, scalar_form};
use crate::cql::CqlType;
use crate::error::{Error, Result};
use crate::output::dms::{
    AttributeType, ColumnRole, DmsColumn, DmsTable, GeneratedKeys, asked_type, dms_type,
};
use crate::output::format::{Field, OutputColumn, OutputKind, RecordFormat};
use crate::output::manifest::ColumnStats;
use crate::output::names::SORT_KEY_COLUMN;
use crate::output::options::{FormatOptions, Profile};
use crate::output::scalar::{Form, TimestampForm};
use crate::output::typed::json_name;
use crate::output::types::ColumnType;
use crate::schema::{ColumnKind, CompactKind, TableMetadata};

/// What an attribute is to DynamoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyRole {
    Partition,
    Sort,
    None,
}

/// An attribute.
#[derive(Debug)]
pub(super) struct Attribute {
    /// Its name as it stands in JSON, with the colon.
    pub(super) lead: Box<[u8]>,
    /// Bytes of its name.
    pub(super) name_len: usize,
    pub(super) form: AttributeForm,
    pub(super) key: KeyRole,
}

/// How a table's rows become items; shared by all workers.
#[derive(Debug)]
pub(in crate::output) struct ItemFormat {
    /// The columns; their places are those of `attributes`.
    pub(super) target: RecordFormat,
    pub(super) attributes: Vec<Attribute>,
    pub(in crate::output) shape: DdbShape,
}

/// Which generated keys a table's items have.
pub(in crate::output) fn generated_keys(
    table: &TableMetadata,
    options: &FormatOptions,
) -> GeneratedKeys {
    let clustering = if table.compact == CompactKind::StaticCompact {
        0
    } else {
        table.clustering.len() + usize::from(super_column_is_key(table))
    };
    if options.ddb_shape == DdbShape::Dms {
        return GeneratedKeys::of(table.partition_key.len(), clustering);
    }
    let several = table.partition_key.len() > 1 || clustering > 1;
    // An empty text is a legal clustering and no legal sort key; a partition without rows has no clustering at all. And
    // numbers that differ in CQL, 1.0 and 1.00, are one to DynamoDB.
    let unfit = |cql_type: &CqlType| {
        matches!(cql_type, CqlType::Float | CqlType::Double | CqlType::Decimal)
    };
    let unfit_sort = |cql_type: &CqlType| {
        unfit(cql_type)
            || matches!(cql_type, CqlType::Text | CqlType::Ascii)
            || matches!(kind_of(cql_type), Kind::Binary | Kind::Nested)
    };
    let composite = options.ddb_keys == DdbKeys::Composite
        || several
        || clustering > 0 && (!table.statics.is_empty() || super_column_is_key(table))
        || table.partition_key.iter().any(|column| unfit(&column.cql_type))
        || clustering > 0 && table.clustering.iter().any(|column| unfit_sort(&column.cql_type));
    GeneratedKeys { partition: composite, sort: composite && clustering > 0 }
}

/// In a super column family the keys of the map's entries are clusterings too.
fn super_column_is_key(table: &TableMetadata) -> bool {
    table.compact == CompactKind::Super
        && table
            .regulars
            .iter()
            .any(|column| column.name.is_empty() && matches!(column.cql_type, CqlType::Map { .. }))
}

/// The options of the columns: names and types are those of profile `dms`.
pub(in crate::output) fn target_options(options: &FormatOptions) -> FormatOptions {
    FormatOptions { profile: Profile::Dms, ..options.clone() }
}

impl ItemFormat {
    /// The format of the items of `table`, whose columns are `target`'s.
    pub(in crate::output) fn new(
        table: &TableMetadata,
        target: RecordFormat,
        options: &FormatOptions,
    ) -> Result<Self> {
        let attributes = match options.ddb_shape {
            DdbShape::Native => native_attributes(&target, options)?,
            DdbShape::Dms => dms_attributes(table, &target, options)?,
        };
        Ok(Self { target, attributes, shape: options.ddb_shape })
    }

    /// The columns.
    pub(in crate::output) fn columns(&self) -> Vec<OutputColumn> {
        self.target.columns().to_vec()
    }

    /// True if the attribute of `field` belongs to the key of items.
    pub(super) fn is_key(&self, field: &Field) -> bool {
        self.attributes.get(field.index).is_some_and(|attribute| attribute.key != KeyRole::None)
    }

    pub(super) fn attribute(
        &self,
        field: &Field,
    ) -> Result<&Attribute, crate::output::scalar::Cause> {
        self.attributes
            .get(field.index)
            .ok_or_else(|| crate::output::scalar::Cause::new("a column without an attribute"))
    }
}

/// All fields of a format, with the types of their values.
fn fields(target: &RecordFormat) -> impl Iterator<Item = &Field> {
    let columns = target.partition.iter().chain(&target.clustering).chain(&target.statics);
    columns.chain(&target.regulars)
}

fn key_roles(target: &RecordFormat) -> Vec<KeyRole> {
    let generated = target.columns().iter().any(|c| c.kind == OutputKind::CompositeKey);
    let generated_partition = target
        .columns()
        .iter()
        .any(|c| c.kind == OutputKind::CompositeKey && c.name != SORT_KEY_COLUMN);
    let role = |column: &OutputColumn| match column.kind {
        OutputKind::CompositeKey if column.name == SORT_KEY_COLUMN => KeyRole::Sort,
        OutputKind::CompositeKey => KeyRole::Partition,
        OutputKind::Column(ColumnKind::PartitionKey) if !generated_partition => KeyRole::Partition,
        OutputKind::Column(ColumnKind::Clustering) if !generated => KeyRole::Sort,
        OutputKind::Column(_) | OutputKind::Metadata => KeyRole::None,
    };
    target.columns().iter().map(role).collect()
}

fn native_attributes(target: &RecordFormat, options: &FormatOptions) -> Result<Vec<Attribute>> {
    let roles = key_roles(target);
    let mut attributes = Vec::with_capacity(target.columns().len());
    for (column, key) in target.columns().iter().zip(roles) {
        attributes.push(Attribute {
            lead: json_name(&column.name)?,
            name_len: column.name.len(),
            form: match column.kind {
                OutputKind::CompositeKey => AttributeForm::Text(Form::Text { ascii: false }),
                OutputKind::Metadata | OutputKind::Column(_) => AttributeForm::Native,
            },
            key,
        });
    }
    for field in fields(target) {
        let Some(attribute) = attributes.get_mut(field.index) else { continue };
        let asked = target.columns().get(field.index).and_then(|column| {
            options.column_types.get(column.source.as_deref().unwrap_or_default())
        });
        attribute.form = match asked {
            None if attribute.key == KeyRole::None => {
                if is_too_deep(&field.cql_type) {
                    AttributeForm::Json
                } else {
                    AttributeForm::Native
                }
            }
            // Keys are S, N or B.
            None => match kind_of(&field.cql_type) {
                Kind::Binary => AttributeForm::Binary,
                Kind::Nested => AttributeForm::Json,
                Kind::Number => AttributeForm::Number(form_of(&field.cql_type)),
                Kind::Boolean | Kind::Text => AttributeForm::Text(form_of(&field.cql_type)),
            },
            Some(ColumnType::Int8) if is_timestamp(&field.cql_type) => {
                AttributeForm::Number(Form::Timestamp(TimestampForm::Millis))
            }
            Some(ColumnType::String) => match kind_of(&field.cql_type) {
                Kind::Nested => AttributeForm::Json,
                Kind::Binary => AttributeForm::Text(Form::Blob { prefix: false }),
                Kind::Number | Kind::Boolean | Kind::Text => {
                    AttributeForm::Text(form_of(&field.cql_type))
                }
            },
            Some(other) => {
                return Err(Error::Usage {
                    what: format!("--column-type: attributes of shape native cannot be {other}"),
                    hint: Some(
                        "STRING for S, INT8 for timestamps as milliseconds; the others have DynamoDB's own types"
                            .to_owned(),
                    ),
                });
            }
        };
    }
    Ok(attributes)
}

fn is_timestamp(cql_type: &CqlType) -> bool {
    matches!(cql_type, CqlType::Timestamp | CqlType::LegacyTimestamp)
}

fn form_of(cql_type: &CqlType) -> Form {
    scalar_form(cql_type).unwrap_or(Form::Text { ascii: *cql_type == CqlType::Ascii })
}

/// The table as DMS sees it before any value is known.
fn dms_table(
    table: &TableMetadata,
    target: &RecordFormat,
    options: &FormatOptions,
) -> Result<DmsTable> {
    let stats = ColumnStats::default();
    let column = |column: &OutputColumn| {
        let asked = options.column_types.get(column.source.as_deref().unwrap_or_default());
        let column_type = match asked {
            None => dms_type(&column.cql_type, &stats),
            Some(asked) => asked_type(&asked.to_string(), &column.cql_type, &stats)
                .map_err(|words| Error::usage(format!("--column-type {}: {words}", column.name)))?,
        };
        Ok(DmsColumn {
            name: column.name.clone(),
            role: match column.kind {
                OutputKind::Column(ColumnKind::PartitionKey) => ColumnRole::PartitionKey,
                OutputKind::Column(ColumnKind::Clustering) => ColumnRole::Clustering,
                OutputKind::CompositeKey if column.name == SORT_KEY_COLUMN => {
                    ColumnRole::GeneratedSortKey
                }
                OutputKind::CompositeKey => ColumnRole::GeneratedPartitionKey,
                OutputKind::Column(_) | OutputKind::Metadata => ColumnRole::Other,
            },
            column_type,
            max_bytes: 0,
        })
    };
    Ok(DmsTable {
        keyspace: table.keyspace.clone(),
        table: table.name.clone(),
        columns: target.columns().iter().map(column).collect::<Result<_>>()?,
    })
}

fn dms_attributes(
    table: &TableMetadata,
    target: &RecordFormat,
    options: &FormatOptions,
) -> Result<Vec<Attribute>> {
    let dms = dms_table(table, target, options)?;
    let partition = dms.partition_attribute_column().map(|column| column.name.as_str());
    let sort = dms.sort_attribute_column().map(|column| column.name.as_str());
    let mut forms = vec![Form::Text { ascii: false }; target.columns().len()];
    for field in fields(target) {
        if let Some(form) = forms.get_mut(field.index) {
            *form = field.form;
        }
    }
    let made = dms.attributes();
    let mut attributes = Vec::with_capacity(made.len());
    for ((attribute, column), form) in made.iter().zip(target.columns()).zip(forms) {
        let is_fact = column.kind == OutputKind::Metadata;
        attributes.push(Attribute {
            lead: json_name(&attribute.attribute)?,
            name_len: attribute.attribute.len(),
            form: match (attribute.attribute_type, form) {
                // Lists of write times are text as every list is; single ones are numbers.
                _ if is_fact && column.cql_type.starts_with("list<") => AttributeForm::Json,
                _ if is_fact => AttributeForm::Native,
                (_, Form::Json | Form::JsonFields) => AttributeForm::Json,
                (AttributeType::String, form) => AttributeForm::Text(form),
                (AttributeType::Number, form) => AttributeForm::Number(form),
                (AttributeType::Boolean, _) => AttributeForm::Boolean,
            },
            key: match Some(column.name.as_str()) {
                name if name == partition => KeyRole::Partition,
                name if name == sort => KeyRole::Sort,
                _ => KeyRole::None,
            },
        });
    }
    Ok(attributes)
}
