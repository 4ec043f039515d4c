//! What the loaders of the profiles `csv`, `cqlsh` and `datalake` refuse or change.

use crate::cql::CqlType;
use crate::output::{ColumnType, MetadataMode, OutputColumn, OutputKind, unsupported_by_cqlsh};
use crate::schema::ColumnKind;

use super::model::FindingKind;
use super::target::{Found, Target};

impl Target<'_> {
    pub(super) fn csv(&self, found: &mut Found) {
        self.for_cql(found);
        if self.metadata().counter && self.metadata != MetadataMode::None {
            let what = "a counter table cannot be loaded with write times or TTLs";
            found.table(FindingKind::Refused, "counter-metadata", what, Some("--metadata none"));
        }
        for (column, cql_type) in self.columns() {
            if has(cql_type, &|t| matches!(t, CqlType::Vector { .. })) {
                let what =
                    "DSBulk 1.10 refuses vectors, and does not start where the cluster has any"
                        .to_owned();
                let hint = Some("a later DSBulk, or --profile cqlsh".to_owned());
                found.column(FindingKind::Possible, "vector", &column.name, what, hint);
            }
            if self.metadata == MetadataMode::Cell && cql_type.is_multi_cell() {
                let what = "DSBulk ignores the write times of collections: they get the time of the load, and win over \
                            newer writes"
                    .to_owned();
                let hint = Some("--metadata row, or --writetime".to_owned());
                found.column(
                    FindingKind::Changed,
                    "collection-writetime",
                    &column.name,
                    what,
                    hint,
                );
            }
        }
    }

    pub(super) fn cqlsh(&self, found: &mut Found) {
        self.for_cql(found);
        let table = self.metadata();
        if !table.statics.is_empty() {
            let what = "partitions without rows are refused: COPY FROM wants the whole key";
            found.table(
                FindingKind::Possible,
                "static-only-partitions",
                what,
                Some("--profile csv"),
            );
        }
        let to_csv = || Some("--profile csv".to_owned());
        let mut counters = 0;
        for (column, cql_type) in self.columns() {
            if let Some(words) = unsupported_by_cqlsh(cql_type) {
                let words = format!("{words}: rows with a value here are refused");
                found.column(FindingKind::Refused, "type", &column.name, words, to_csv());
                continue;
            }
            let mut possible = |code, what: &str| {
                found.column(FindingKind::Possible, code, &column.name, what.to_owned(), to_csv());
            };
            if has(cql_type, &|t| matches!(t, CqlType::Text | CqlType::Ascii)) {
                possible("line-end", "text with a line end, or equal to \\N, is refused");
            }
            if has(cql_type, &|t| matches!(t, CqlType::Tuple(_))) {
                possible("tuple-null", "tuples with a null are refused");
            }
            if within(cql_type).into_iter().any(|inner| has(inner, &is_unordered)) {
                possible("order", "sets and maps of several elements within a value are refused");
            }
            if has(cql_type, &|t| *t == CqlType::Date) {
                possible("date", "dates outside the years 0001 to 9999 are refused");
            }
            let is_value = !matches!(
                column.kind,
                OutputKind::Column(ColumnKind::PartitionKey | ColumnKind::Clustering)
            );
            counters += u32::from(*cql_type == CqlType::Counter && is_value);
            // It puts names into the statements of counters as they are.
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if table.counter && !column.name.chars().all(is_plain) {
                let what = "cqlsh does not quote the names of a counter table: it refuses this one";
                let hint = to_csv();
                found.column(FindingKind::Refused, "name", &column.name, what.to_owned(), hint);
            }
        }
        if counters > 1 {
            let what =
                "a null counter beside one that is none would become 0: such rows are refused";
            found.table(FindingKind::Possible, "null-counter", what, Some("--profile csv"));
        }
    }

    pub(super) fn datalake(&self, found: &mut Found) {
        for (column, cql_type) in self.columns() {
            let (what, hint) = match (cql_type, column.column_type) {
                (CqlType::Timestamp | CqlType::LegacyTimestamp, ColumnType::Datetime) => {
                    ("timestamps outside the years 0001 to 9999 are refused", "INT8")
                }
                (CqlType::Date, ColumnType::Date) => {
                    ("dates outside the years 0001 to 9999 are refused", "STRING")
                }
                _ => continue,
            };
            let name = format!("{}.{}", self.metadata().qualified_name(), column.name);
            let hint = Some(format!("--column-type '{name}={hint}'"));
            found.column(
                FindingKind::Possible,
                "value-may-not-fit",
                &column.name,
                what.to_owned(),
                hint,
            );
        }
    }

    /// What is the same for all that is loaded into CQL tables.
    fn for_cql(&self, found: &mut Found) {
        let table = self.metadata();
        if self.table.job.format.separate_static_only() {
            let what = "partitions without rows have files of their own (STATIC…), which are loaded by themselves";
            found.table(FindingKind::Changed, "static-only-partitions", what, None);
        }
        if table.counter && !table.statics.is_empty() && !table.clustering.is_empty() {
            let what = "the loader would add static counters up once a row: rows of partitions that have any are refused";
            let hint = "--exclude-columns with the static columns";
            found.table(FindingKind::Refused, "static-counters", what, Some(hint));
        }
    }

    fn columns(&self) -> impl Iterator<Item = (&OutputColumn, &CqlType)> {
        let columns = self.table.job.format.columns().iter();
        columns.filter_map(|column| {
            matches!(column.kind, OutputKind::Column(_)).then_some(())?;
            Some((column, self.type_in_table(column)?))
        })
    }
}

fn is_unordered(cql_type: &CqlType) -> bool {
    matches!(cql_type, CqlType::Set { .. } | CqlType::Map { .. })
}

/// The types directly within one.
fn within(cql_type: &CqlType) -> Vec<&CqlType> {
    match cql_type {
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => vec![element],
        CqlType::Map { key, value, .. } => vec![key, value],
        CqlType::Tuple(elements) => elements.iter().collect(),
        CqlType::Udt { udt, .. } => udt.fields.iter().map(|(_, field)| field).collect(),
        _ => Vec::new(),
    }
}

/// True if `wanted` holds for the type or one within it.
fn has(cql_type: &CqlType, wanted: &dyn Fn(&CqlType) -> bool) -> bool {
    wanted(cql_type) || within(cql_type).into_iter().any(|inner| has(inner, wanted))
}
