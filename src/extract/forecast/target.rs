//! What the target of a profile refuses or changes, and what is lost on the way, per table and column.
//!
//! Names, keys and types are those that the files for DMS will have: the same code makes them. What depends on values is
//! said as possible, with the option that avoids it.

use crate::cql::CqlType;
use crate::error::Result;
use crate::extract::manifest::manifest_column;
use crate::extract::plan::TablePlan;
use crate::extract::seal::dms_table;
use crate::output::dms::{
    AttributeType, DmsTable, DmsTarget, MAX_ITEM_BYTES, MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES, write_dms_files,
};
use crate::output::{ColumnType, MetadataMode, OutputColumn, OutputKind, Profile};
use crate::schema::{ColumnKind, TableMetadata};

use super::facts::TableFacts;
use super::model::{Finding, FindingKind};
use super::size::RecordSize;

/// What is looked at.
pub(super) struct Target<'a> {
    pub(super) table: &'a TablePlan,
    pub(super) facts: &'a TableFacts,
    pub(super) size: RecordSize,
    pub(super) metadata: MetadataMode,
    pub(super) has_expires_column: bool,
}

impl Target<'_> {
    /// Everything that is to be known before the load, what is worst first.
    pub(super) fn findings(&self) -> Result<Vec<Finding>> {
        let mut found = Found(Vec::new());
        match self.table.job.format.profile() {
            Profile::Dms => self.dms(&mut found)?,
            Profile::Csv => self.csv(&mut found),
            Profile::Cqlsh => self.cqlsh(&mut found),
            Profile::Datalake => self.datalake(&mut found),
            Profile::DdbJson => self.items(&mut found)?,
            Profile::Parquet => self.columnar(&mut found),
            Profile::Jsonl => {}
        }
        self.any(&mut found);
        found.0.sort();
        found.0.dedup();
        Ok(found.0)
    }

    pub(super) fn metadata(&self) -> &TableMetadata {
        &self.table.job.table
    }

    /// Whatever the target is.
    fn any(&self, found: &mut Found) {
        let table = self.metadata();
        let expires = self.facts.has_ttl || table.default_time_to_live > 0;
        if expires && !self.has_expires_column {
            let what = if self.facts.has_ttl {
                "there are TTLs; rows that live now will stay in the target for ever"
            } else {
                "the table has a default TTL; rows may expire, and will stay in the target for ever"
            };
            let hint = match self.metadata {
                MetadataMode::None => "--expires-column NAME, for targets with a TTL attribute",
                MetadataMode::Row | MetadataMode::Cell => {
                    "--expires-column NAME, or let the loader use the TTLs of --metadata"
                }
            };
            found.table(FindingKind::Lost, "ttl", what, Some(hint));
        }
        if table.counter {
            let what = "counters arrive as numbers: the target must not add them up once more if a load is repeated, and \
                        they have no write times";
            found.table(FindingKind::Changed, "counters", what, None);
        }
        if self.facts.has_legacy_shards {
            let what = "there are counter shards of before 2.1, which repeated writes may have counted twice";
            found.table(FindingKind::Possible, "legacy-counter-shards", what, None);
        }
        if !table.statics.is_empty() && !self.table.job.format.separate_static_only() {
            let what = "static columns are repeated in every row of their partition, so a change of one is a change of all";
            found.table(FindingKind::Changed, "static-columns", what, None);
        }
    }

    pub(super) fn dms(&self, found: &mut Found) -> Result<()> {
        let table = self.metadata();
        let columns = self.table.job.format.columns();
        let none = crate::output::ColumnStats::default();
        let of_manifest: Vec<_> =
            columns.iter().map(|column| manifest_column(self.table, column, &none)).collect();
        let dms = dms_table(&table.keyspace, &table.name, &of_manifest)?;
        self.names_and_keys(&dms, found)?;
        for column in columns {
            self.type_of(column, found);
        }
        self.sizes(&dms, found);
        Ok(())
    }

    fn names_and_keys(&self, dms: &DmsTable, found: &mut Found) -> Result<()> {
        for attribute in dms.attributes() {
            let column = dms.columns.iter().find(|column| column.name == attribute.column);
            let Some(column) = column else { continue };
            if attribute.attribute != attribute.column {
                found.column(
                    FindingKind::Changed,
                    "reserved-word",
                    &attribute.column,
                    format!(
                        "the name is a reserved word, which DMS cannot migrate: table-mappings.json makes the attribute {}, a string",
                        attribute.attribute
                    ),
                    Some("--rename gives it a name of your own, and then it keeps its type".to_owned()),
                );
            }
            let text = attribute.attribute_type == AttributeType::String;
            if dms.is_key(column) && text && column.column_type.is_number() {
                found.column(
                    FindingKind::Changed,
                    "key-as-string",
                    &attribute.column,
                    "keys are strings: numbers in them sort as text".to_owned(),
                    None,
                );
            }
        }
        self.generated_keys(found);
        let made = write_dms_files(std::slice::from_ref(dms), &DmsTarget::default())?;
        for warning in made.warnings {
            let name = self.metadata().qualified_name();
            let words = warning.strip_prefix(&format!("{name}: ")).unwrap_or(&warning).to_owned();
            found.0.push(Finding {
                kind: FindingKind::Changed,
                code: "dms-name",
                column: None,
                what: words,
                hint: None,
            });
        }
        Ok(())
    }

    /// The columns that are keys of DynamoDB in place of the table's own.
    pub(super) fn generated_keys(&self, found: &mut Found) {
        for column in self.table.job.format.columns() {
            if column.kind == OutputKind::CompositeKey {
                let of = if column.name == crate::output::names::SORT_KEY_COLUMN {
                    "the clustering as one text that sorts as its values do, ascending"
                } else {
                    "the partition key as one text"
                };
                let what = format!("a column more: {of}, for DynamoDB's key");
                found.column(FindingKind::Changed, "generated-key", &column.name, what, None);
            }
        }
    }

    /// What DynamoDB gets for a type through DMS, and which values do not fit.
    fn type_of(&self, column: &OutputColumn, found: &mut Found) {
        let OutputKind::Column(kind) = column.kind else { return };
        let Some(cql_type) = self.type_in_table(column) else { return };
        let changed = match cql_type {
            CqlType::List { .. }
            | CqlType::Set { .. }
            | CqlType::Map { .. }
            | CqlType::Tuple(_)
            | CqlType::Udt { .. }
            | CqlType::Vector { .. } => {
                Some("a string with JSON: DMS makes no maps, lists or sets of it")
            }
            CqlType::Blob
            | CqlType::Composite(_)
            | CqlType::DynamicComposite(_)
            | CqlType::Custom(_) => Some("a string with hexadecimal digits: DMS carries no binary"),
            CqlType::Duration => Some("a string such as 1mo2d3ns: there is no counterpart"),
            _ => None,
        };
        let binary =
            matches!(column.column_type, ColumnType::Byte | ColumnType::Blob | ColumnType::Clob);
        if let Some(what) = changed.filter(|_| !binary) {
            let what = format!("{} becomes {what}", column.cql_type);
            found.column(FindingKind::Changed, "type-as-string", &column.name, what, None);
        }
        if binary {
            let what = format!(
                "{} of an external table definition: DynamoDB takes no binary from DMS, and large objects only in limited mode",
                column.column_type.as_str()
            );
            let kind = match column.column_type {
                ColumnType::Clob => FindingKind::Changed,
                _ => FindingKind::Refused,
            };
            found.column(kind, "binary-type", &column.name, what, None);
        }
        let name = format!(
            "{}.{}",
            self.metadata().qualified_name(),
            column.source.as_deref().unwrap_or(&column.name)
        );
        let hint = |as_type: &str| Some(format!("--column-type '{name}={as_type}'"));
        let string = hint("STRING");
        let (what, hint) = match (cql_type, column.column_type) {
            (_, ColumnType::String) => return,
            (CqlType::Varint, _) => ("varints of more than 38 digits do not fit", string),
            (CqlType::Decimal, ColumnType::Numeric(Some((precision, scale)))) => {
                let what = format!(
                    "decimals of more than {} digits before the point or {scale} behind it do not fit",
                    precision.saturating_sub(scale)
                );
                found.column(
                    FindingKind::Possible,
                    "value-may-not-fit",
                    &column.name,
                    what,
                    string,
                );
                return;
            }
            (CqlType::Decimal, _) => {
                ("decimals of more than 38 digits, or 31 behind the point, do not fit", string)
            }
            (CqlType::Float | CqlType::Double, _) => ("NaN and infinities do not fit", string),
            (CqlType::Date, _) => ("dates outside the years 1 to 9999 do not fit", string),
            (CqlType::Timestamp | CqlType::LegacyTimestamp, ColumnType::Datetime) => {
                ("times outside the years 1 to 9999 do not fit", hint("INT8"))
            }
            _ => return,
        };
        let of_key = matches!(kind, ColumnKind::PartitionKey | ColumnKind::Clustering);
        let what = format!(
            "{what}: such rows are quarantined{}",
            if of_key { " with their key" } else { "" }
        );
        found.column(FindingKind::Possible, "value-may-not-fit", &column.name, what, hint);
    }

    pub(super) fn type_in_table(&self, column: &OutputColumn) -> Option<&CqlType> {
        let name = column.source.as_deref()?;
        let table = self.metadata();
        let mut all = table
            .partition_key
            .iter()
            .chain(&table.clustering)
            .chain(&table.statics)
            .chain(&table.regulars);
        Some(&all.find(|column| column.name == name)?.cql_type)
    }

    /// Keys and items against what DynamoDB allows.
    pub(super) fn sizes(&self, dms: &DmsTable, found: &mut Found) {
        let generated = |name: &str| dms.columns.iter().any(|column| column.name == name);
        let longest = self.facts.keys.longest;
        if longest > MAX_PARTITION_KEY_BYTES {
            let kept = generated(crate::output::names::PARTITION_KEY_COLUMN);
            found.key("partition-key-size", longest, MAX_PARTITION_KEY_BYTES, kept);
        }
        let longest = self.facts.longest_clustering;
        if longest > MAX_SORT_KEY_BYTES {
            let kept = generated(crate::output::names::SORT_KEY_COLUMN)
                || self.metadata().clustering.is_empty();
            found.key("sort-key-size", longest, MAX_SORT_KEY_BYTES, kept);
        }
        let Some((above, at_most)) = self.facts.largest_partition else { return };
        let bytes = at_most
            .map_or_else(|| "more than was counted".to_owned(), |n| format!("up to {n} bytes"));
        let hint = Some(
            "leave out large columns (--exclude-columns) and load them elsewhere, or split the rows before the load".to_owned(),
        );
        // A stored partition is not its text; what is one item must be well over the limit to be sure.
        if self.metadata().clustering.is_empty() && above > 2 * MAX_ITEM_BYTES {
            let what = format!(
                "the largest partition has {bytes}, and each is one item: DynamoDB takes {MAX_ITEM_BYTES}"
            );
            found.whole(FindingKind::Refused, "item-size", what, hint);
        } else if at_most.is_none_or(|n| n.saturating_mul(2) > MAX_ITEM_BYTES)
            || self.size.item > MAX_ITEM_BYTES
        {
            let what = format!(
                "the largest partition has {bytes}: a row of it may be an item of more than {MAX_ITEM_BYTES}, which DynamoDB does not take"
            );
            found.whole(FindingKind::Possible, "item-size", what, hint);
        }
    }
}

/// Findings as they are made.
pub(super) struct Found(Vec<Finding>);

impl Found {
    pub(super) fn table(
        &mut self,
        kind: FindingKind,
        code: &'static str,
        what: &str,
        hint: Option<&str>,
    ) {
        self.whole(kind, code, what.to_owned(), hint.map(str::to_owned));
    }

    fn whole(&mut self, kind: FindingKind, code: &'static str, what: String, hint: Option<String>) {
        self.0.push(Finding { kind, code, column: None, what, hint });
    }

    pub(super) fn column(
        &mut self,
        kind: FindingKind,
        code: &'static str,
        column: &str,
        what: String,
        hint: Option<String>,
    ) {
        self.0.push(Finding { kind, code, column: Some(column.to_owned()), what, hint });
    }

    fn key(&mut self, code: &'static str, longest: u64, most: u64, shortened: bool) {
        let (kind, becomes) = match shortened {
            true => (FindingKind::Changed, "longer ones are cut and end in a hash (keysShortened)"),
            false => (FindingKind::Refused, "DynamoDB refuses longer ones"),
        };
        let what = format!(
            "keys have up to {longest} bytes of text and more, {most} are allowed: {becomes}"
        );
        self.whole(kind, code, what, None);
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
