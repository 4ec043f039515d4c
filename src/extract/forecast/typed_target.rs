//! What DynamoDB's import and the readers of Parquet refuse or get in another form.

use crate::cql::CqlType;
use crate::error::Result;
use crate::extract::manifest::manifest_column;
use crate::extract::seal::dms_table;
use crate::output::dms::is_reserved;
use crate::output::dynamodb::DdbShape;
use crate::output::{ColumnType, OutputColumn, OutputKind};
use crate::schema::ColumnKind;

use super::model::FindingKind;
use super::target::{Found, Target};

/// True if the type or one inside it is such.
fn holds(cql_type: &CqlType, is: &dyn Fn(&CqlType) -> bool) -> bool {
    is(cql_type)
        || match cql_type {
            CqlType::List { element, .. }
            | CqlType::Set { element, .. }
            | CqlType::Vector { element, .. } => holds(element, is),
            CqlType::Map { key, value, .. } => holds(key, is) || holds(value, is),
            CqlType::Tuple(types) => types.iter().any(|of| holds(of, is)),
            CqlType::Udt { udt, .. } => udt.fields.iter().any(|(_, of)| holds(of, is)),
            _ => false,
        }
}

fn is_float(cql_type: &CqlType) -> bool {
    matches!(cql_type, CqlType::Float | CqlType::Double)
}

fn is_large_number(cql_type: &CqlType) -> bool {
    matches!(cql_type, CqlType::Varint | CqlType::Decimal)
}

impl Target<'_> {
    /// Profile `ddb-json`.
    pub(super) fn items(&self, found: &mut Found) -> Result<()> {
        if self.table.job.format.ddb_shape() == Some(DdbShape::Dms) {
            return self.dms(found);
        }
        let table = &self.table.job.table;
        let columns = self.table.job.format.columns();
        let none = crate::output::ColumnStats::default();
        let of_manifest: Vec<_> =
            columns.iter().map(|column| manifest_column(self.table, column, &none)).collect();
        let dms = dms_table(&table.keyspace, &table.name, &of_manifest)?;
        self.generated_keys(found);
        let has_composite = columns.iter().any(|c| c.kind == OutputKind::CompositeKey);
        for column in columns {
            if is_reserved(&column.name) {
                let what =
                    "the name is a reserved word: expressions need a placeholder (#name) for it";
                let hint = Some("--rename".to_owned());
                found.column(
                    FindingKind::Changed,
                    "reserved-word",
                    &column.name,
                    what.to_owned(),
                    hint,
                );
            }
            self.item_type(column, has_composite, found);
        }
        self.sizes(&dms, found);
        Ok(())
    }

    /// What DynamoDB has for a type.
    fn item_type(&self, column: &OutputColumn, has_composite: bool, found: &mut Found) {
        let OutputKind::Column(kind) = column.kind else { return };
        let Some(cql_type) = self.type_in_table(column) else { return };
        if column.column_type == ColumnType::String && is_large_number(cql_type) {
            return;
        }
        let is_key =
            !has_composite && matches!(kind, ColumnKind::PartitionKey | ColumnKind::Clustering);
        let mut changed = |code, what: &str| {
            found.column(FindingKind::Changed, code, &column.name, what.to_owned(), None);
        };
        if holds(cql_type, &|of| *of == CqlType::Duration) {
            changed(
                "type-as-string",
                "duration becomes a string such as 1mo2d3ns: there is no counterpart",
            );
        }
        if holds(cql_type, &|of| *of == CqlType::Decimal) {
            changed("number-scale", "numbers have no scale: 1.00 becomes 1");
        }
        if holds(cql_type, &is_large_number) && !is_key {
            let what = "numbers of more than 38 digits, or beyond 1E-130 to 9.99E+125, become strings (numbersAsText)";
            changed("number-as-string", what);
        }
        if holds(cql_type, &is_float) && !is_key {
            let what = "NaN, infinities and numbers beyond 1E-130 to 9.99E+125 become strings (numbersAsText); -0.0 becomes 0";
            changed("number-as-string", what);
        }
        let is_nested_set = |of: &CqlType| {
            matches!(of, CqlType::Set { element, .. } if matches!(
                **element,
                CqlType::Boolean
                    | CqlType::List { .. }
                    | CqlType::Set { .. }
                    | CqlType::Map { .. }
                    | CqlType::Tuple(_)
                    | CqlType::Udt { .. }
                    | CqlType::Vector { .. }
            ))
        };
        if holds(cql_type, &is_nested_set) {
            changed(
                "set-as-list",
                "sets of such members become lists: DynamoDB's are of strings, numbers or binaries",
            );
        }
        if is_key && *cql_type == CqlType::Varint {
            found.column(
                FindingKind::Possible,
                "value-may-not-fit",
                &column.name,
                "varints of more than 38 digits do not fit: such rows are quarantined with their key".to_owned(),
                Some("--ddb-keys composite".to_owned()),
            );
        }
    }

    /// Profile `parquet`.
    pub(super) fn columnar(&self, found: &mut Found) {
        for column in self.table.job.format.columns() {
            if let Some(source) = column.source.as_deref()
                && source.to_lowercase() == column.name
                && source != column.name
            {
                let what = format!(
                    "the name is {} in Parquet: Athena and Glue have lower-case names only",
                    column.name
                );
                found.column(FindingKind::Changed, "lower-case-name", source, what, None);
            }
            self.column_type(column, found);
        }
    }

    /// What Parquet has for a type.
    fn column_type(&self, column: &OutputColumn, found: &mut Found) {
        let OutputKind::Column(_) = column.kind else { return };
        let Some(cql_type) = self.type_in_table(column) else { return };
        let name = format!(
            "{}.{}",
            self.table.job.table.qualified_name(),
            column.source.as_deref().unwrap_or(&column.name)
        );
        let mut note = |kind, code, what: &str, hint| {
            found.column(kind, code, &column.name, what.to_owned(), hint);
        };
        let asked = self.table.job.column_types.get(column.source.as_deref().unwrap_or_default());
        if let Some(ColumnType::Numeric(_)) = asked {
            let what = "numbers that do not fit the DECIMAL exactly are quarantined with their row";
            let hint = Some(format!("--column-type '{name}=STRING'"));
            note(FindingKind::Possible, "value-may-not-fit", what, hint);
        }
        if asked.is_none() && holds(cql_type, &is_large_number) {
            let what = "decimals and varints become strings: they have no greatest precision";
            let hint = is_large_number(cql_type)
                .then(|| format!("--column-type '{name}=DECIMAL(38,10)', where all values fit"));
            note(FindingKind::Changed, "type-as-string", what, hint);
        }
        let is_text = |of: &CqlType| matches!(of, CqlType::Time | CqlType::Duration);
        if holds(cql_type, &is_text) {
            let what = "time and duration become strings: Spark refuses files with TIME, and there is no duration";
            note(FindingKind::Changed, "type-as-string", what, None);
        }
        let is_timestamp =
            |of: &CqlType| matches!(of, CqlType::Timestamp | CqlType::LegacyTimestamp);
        if asked.is_none() && holds(cql_type, &is_timestamp) {
            let what = "timestamps beyond the range of microseconds (292,000 years) are quarantined with their row: Spark and DuckDB refuse a file with one";
            let hint = is_timestamp(cql_type).then(|| format!("--column-type '{name}=INT8'"));
            note(FindingKind::Possible, "value-may-not-fit", what, hint);
        }
    }
}
