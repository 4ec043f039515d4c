//! [`RecordFormat`]: the columns of a table's records and how each is written, settled once for all workers.

use std::collections::{BTreeMap, BTreeSet};

use super::buffer::TextBuffer;
use super::compression::Compression;
use super::csv::{CsvStyle, put_name};
use super::dates::DateTables;
use super::dms::GeneratedKeys;
use super::dynamodb::DdbShape;
use super::json::{JsonStyle, JsonWriter};
use super::literal::unsupported_by_cqlsh;
use super::metadata::{CellFact, TimeStyle};
use super::options::{FormatOptions, JsonNumbers, MetadataMode, Profile};
use super::scalar::{Form, NumberLimit, TimestampForm};
use super::stats::Notes;
use super::text::Piece;
use super::typed::{TypedFormat, typed_format};
use super::types::ColumnType;
use crate::cql::CqlType;
use crate::error::{Error, Result};
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, TableMetadata};

/// What an output column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A column of the table.
    Column(ColumnKind),
    /// Write times and TTLs.
    Metadata,
    /// A composite key as one text (`cp_pk`, `cp_sk`).
    CompositeKey,
}

impl OutputKind {
    /// As the manifest spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Column(kind) => kind.as_str(),
            Self::Metadata => "metadata",
            Self::CompositeKey => "composite_key",
        }
    }
}

/// A column of the output, for headers, the manifest and side files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Name in the output.
    pub name: String,
    /// The table's column that it is, or belongs to.
    pub source: Option<String>,
    /// Type as CQL.
    pub cql_type: String,
    /// What it holds.
    pub kind: OutputKind,
    /// Type in an external table definition.
    pub column_type: ColumnType,
    /// Most bytes of its text, where the type says so.
    pub length: Option<u32>,
    /// It may hold NULL.
    pub nullable: bool,
    /// It belongs to the key of the output's rows.
    pub primary_key: bool,
}

/// Where a field's content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Partition(usize),
    Clustering(usize),
    /// The key of an entry of a super column.
    SuperKey,
    /// Its value.
    SuperValue,
    Static(u16),
    Regular(u16),
    StaticFact(CellFact, u16),
    RegularFact(CellFact, u16),
    MarkerFact(CellFact),
    RowWriteTime,
    RowTtl,
    Expires,
    PartitionText,
    SortText,
    /// `I`.
    Operation,
    /// The newest write time of the row.
    ChangeTime,
}

/// One field of a record.
#[derive(Debug)]
pub(super) struct Field {
    /// What stands before its value: the separator, and the name in JSON.
    pub(super) lead: Box<[u8]>,
    /// Its place among the columns.
    pub(super) index: usize,
    pub(super) source: Source,
    pub(super) form: Form,
    pub(super) cql_type: CqlType,
    /// It has one cell per element.
    pub(super) multi_cell: bool,
}

/// A component of `cp_sk`.
#[derive(Debug)]
pub(super) struct SortPart {
    pub(super) cql_type: CqlType,
    pub(super) timestamp_as_millis: bool,
}

/// How a table's rows are written; shared by all workers.
#[derive(Debug)]
pub struct RecordFormat {
    columns: Vec<OutputColumn>,
    pub(super) profile: Profile,
    /// What a typed profile writes beside the `jsonl` form that the fields here are of.
    pub(super) typed: Option<Box<TypedFormat>>,
    compression: Compression,
    pub(super) is_json: bool,
    pub(super) csv: CsvStyle,
    pub(super) json: JsonStyle,
    pub(super) times: TimeStyle,
    pub(super) tables: DateTables,
    pub(super) sort_parts: Vec<SortPart>,
    /// Number of static and regular columns in disk order.
    pub(super) static_count: usize,
    pub(super) regular_count: usize,
    /// The map of a super column family, whose entries are rows.
    pub(super) super_map: Option<u16>,
    /// Rows of this table come from static rows alone.
    pub(super) static_compact: bool,
    /// Times of whole rows are asked for.
    pub(super) wants_times: bool,
    /// Bytes of all names, for the size of an item.
    pub(super) names_len: usize,
    /// Static columns are counters and would be repeated in rows that a loader adds up.
    pub(super) repeats_counters: bool,
    /// What stands before the key.
    pub(super) lead: Vec<Field>,
    pub(super) partition: Vec<Field>,
    pub(super) clustering: Vec<Field>,
    pub(super) statics: Vec<Field>,
    pub(super) regulars: Vec<Field>,
    /// Facts of static columns, then `regular_facts`, then `row_facts`.
    pub(super) static_facts: Vec<Field>,
    pub(super) regular_facts: Vec<Field>,
    pub(super) row_facts: Vec<Field>,
    pub(super) keys: Vec<Field>,
}

impl RecordFormat {
    /// The format of `table`'s records.
    ///
    /// Fails if the options name a column that is not there, leave out a key column, make two columns of one name, or
    /// ask for a type that a column cannot have.
    pub fn new(table: &TableMetadata, options: &FormatOptions) -> Result<Self> {
        if options.profile.is_typed() {
            return typed_format(table, options);
        }
        Builder::new(table, options)?.build()
    }

    /// Makes the names of columns lower-case, as Athena does, where no two become one by it.
    pub(super) fn lower_names(&mut self) {
        let mut taken = BTreeMap::new();
        for column in &self.columns {
            *taken.entry(column.name.to_lowercase()).or_insert(0_usize) += 1;
        }
        for column in &mut self.columns {
            let lower = column.name.to_lowercase();
            if taken.get(&lower) == Some(&1) {
                column.name = lower;
            }
        }
    }

    /// Makes of the `jsonl` form that of a typed profile.
    pub(super) fn become_typed(
        &mut self,
        profile: Profile,
        columns: Vec<OutputColumn>,
        typed: TypedFormat,
    ) {
        if profile == Profile::Parquet {
            // Its pages are compressed, not its files.
            self.compression = Compression::None;
        }
        self.profile = profile;
        self.columns = columns;
        self.typed = Some(Box::new(typed));
    }

    /// The columns of the output in order.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// The profile.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// What items look like, if the profile is `ddb-json`.
    pub fn ddb_shape(&self) -> Option<DdbShape> {
        match self.typed.as_deref()? {
            TypedFormat::Items(items) => Some(items.shape),
            TypedFormat::Columnar(_) => None,
        }
    }

    /// How the files are compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Extension of the files, without the first point: `csv`, `jsonl.gz`.
    pub fn extension(&self) -> String {
        format!("{}{}", self.profile.extension(), self.compression.suffix())
    }

    /// The first line of each file, where the profile has one.
    pub fn header(&self) -> Option<Vec<u8>> {
        let indexes = 0..self.columns.len();
        self.profile.has_header().then(|| self.header_of(indexes))
    }

    /// True if partitions without rows go to files of their own, as their clustering columns could not be loaded.
    pub fn separate_static_only(&self) -> bool {
        self.profile == Profile::Csv && !self.static_compact && !self.statics.is_empty()
    }

    /// The first line of files of partitions without rows.
    pub fn static_header(&self) -> Option<Vec<u8>> {
        self.separate_static_only()
            .then(|| self.header_of(self.static_only_fields().map(|field| field.index)))
    }

    /// The fields of a record of the partition alone.
    pub(super) fn static_only_fields(&self) -> impl Iterator<Item = &Field> {
        let row_facts =
            self.row_facts.iter().filter(|field| !matches!(field.source, Source::MarkerFact(_)));
        self.partition.iter().chain(&self.statics).chain(&self.static_facts).chain(row_facts)
    }

    fn header_of(&self, indexes: impl Iterator<Item = usize>) -> Vec<u8> {
        let mut out = TextBuffer::default();
        for (i, column) in indexes.filter_map(|index| self.columns.get(index)).enumerate() {
            if i > 0 {
                out.byte(b',');
            }
            put_name(&mut out, &column.name);
        }
        out.byte(b'\n');
        out.take()
    }
}

/// A column of the table as CQL shows it.
struct Visible<'a> {
    name: &'a str,
    cql_type: &'a CqlType,
    kind: ColumnKind,
    source: Source,
}

/// Puts a format together.
pub(super) struct Builder<'a> {
    table: &'a TableMetadata,
    options: &'a FormatOptions,
    visible: Vec<Visible<'a>>,
    super_map: Option<u16>,
    columns: Vec<OutputColumn>,
    names: BTreeSet<String>,
    /// Which generated keys there are; by the rules of `dms` if none.
    keys: Option<GeneratedKeys>,
}

/// Columns of one kind in the order of `SELECT *` (`Columns.selectOrderIterator`): the simple ones and the complex ones,
/// each in the order that they have on disk, merged by name, compared as signed bytes.
fn select_order(columns: Vec<Visible<'_>>) -> Vec<Visible<'_>> {
    let signed =
        |column: &Visible<'_>| column.name.bytes().map(u8::cast_signed).collect::<Vec<i8>>();
    let (complex, simple): (Vec<_>, Vec<_>) =
        columns.into_iter().partition(|column| column.cql_type.is_multi_cell());
    let mut merged = Vec::with_capacity(simple.len() + complex.len());
    let (mut simple, mut complex) = (simple.into_iter().peekable(), complex.into_iter().peekable());
    loop {
        let from_simple = match (simple.peek(), complex.peek()) {
            (Some(a), Some(b)) => signed(a) <= signed(b),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return merged,
        };
        merged.extend(if from_simple { simple.next() } else { complex.next() });
    }
}

fn disk_index(index: usize) -> Result<u16> {
    u16::try_from(index).map_err(|_| Error::Schema {
        what: "a table of more than 65535 columns".into(),
        hint: None,
    })
}

impl<'a> Builder<'a> {
    pub(super) fn new(table: &'a TableMetadata, options: &'a FormatOptions) -> Result<Self> {
        let mut visible = Vec::new();
        let mut super_map = None;
        let key = |column: &'a ColumnMetadata, source| Visible {
            name: &column.name,
            cql_type: &column.cql_type,
            kind: column.kind,
            source,
        };
        visible.extend(
            table.partition_key.iter().enumerate().map(|(i, c)| key(c, Source::Partition(i))),
        );
        let static_compact = table.compact == CompactKind::StaticCompact;
        if !static_compact {
            visible.extend(
                table.clustering.iter().enumerate().map(|(i, c)| key(c, Source::Clustering(i))),
            );
        }
        let mut statics = Vec::new();
        for (i, column) in table.statics.iter().enumerate() {
            statics.push(key(column, Source::Static(disk_index(i)?)));
        }
        let mut regulars = Vec::new();
        for (i, column) in table.regulars.iter().enumerate() {
            if static_compact || column.cql_type == CqlType::Empty {
                continue;
            }
            let index = disk_index(i)?;
            match &column.cql_type {
                CqlType::Map { key, value, .. }
                    if table.compact == CompactKind::Super && column.name.is_empty() =>
                {
                    super_map = Some(index);
                    visible.push(Visible {
                        name: "column2",
                        cql_type: key,
                        kind: ColumnKind::Clustering,
                        source: Source::SuperKey,
                    });
                    regulars.push(Visible {
                        name: "value",
                        cql_type: value,
                        kind: ColumnKind::Regular,
                        source: Source::SuperValue,
                    });
                }
                _ => regulars.push(key(column, Source::Regular(index))),
            }
        }
        visible.extend(select_order(statics));
        visible.extend(select_order(regulars));
        let mut this = Self {
            table,
            options,
            visible,
            super_map,
            columns: Vec::new(),
            names: BTreeSet::new(),
            keys: None,
        };
        this.check_names()?;
        this.leave_out();
        Ok(this)
    }

    fn check_names(&self) -> Result<()> {
        let known: BTreeMap<&str, &Visible<'_>> =
            self.visible.iter().map(|column| (column.name, column)).collect();
        let options = self.options;
        let named = options
            .include
            .iter()
            .flatten()
            .map(|name| (name, "--include-columns"))
            .chain(options.exclude.iter().map(|name| (name, "--exclude-columns")))
            .chain(options.rename.keys().map(|name| (name, "--rename")))
            .chain(options.column_types.keys().map(|name| (name, "--column-type")));
        for (name, option) in named {
            if !known.contains_key(name.as_str()) {
                return Err(Error::Usage {
                    what: format!(
                        "{option}: table {} has no column '{name}'",
                        self.table.qualified_name()
                    ),
                    hint: Some(format!(
                        "its columns are {}",
                        self.visible.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
                    )),
                });
            }
        }
        for name in &options.exclude {
            let kind = known.get(name.as_str()).map(|column| column.kind);
            if matches!(kind, Some(ColumnKind::PartitionKey | ColumnKind::Clustering)) {
                return Err(Error::Usage {
                    what: format!(
                        "--exclude-columns: '{name}' belongs to the key of {}",
                        self.table.qualified_name()
                    ),
                    hint: Some("rows without their whole key would not be distinct".into()),
                });
            }
        }
        for (name, column_type) in &options.column_types {
            if !options.profile.has_column_types() {
                return Err(Error::usage(format!(
                    "--column-type: columns of profile {} have no types",
                    options.profile.as_str()
                )));
            }
            if let Some(column) = known.get(name.as_str())
                && !column_type.can_hold(column.cql_type)
            {
                return Err(Error::Usage {
                    what: format!(
                        "--column-type: '{name}' of {} is {}, which cannot be written as {column_type}",
                        self.table.qualified_name(),
                        column.cql_type
                    ),
                    hint: Some("STRING holds any type".into()),
                });
            }
        }
        Ok(())
    }

    fn leave_out(&mut self) {
        let options = self.options;
        self.visible.retain(|column| {
            matches!(column.kind, ColumnKind::PartitionKey | ColumnKind::Clustering)
                || options.selects(column.name)
        });
    }

    fn output_name(&self, name: &str) -> String {
        self.options.rename.get(name).map_or(name, String::as_str).to_owned()
    }

    fn is_dms(&self) -> bool {
        self.options.profile == Profile::Dms
    }

    fn is_json(&self) -> bool {
        self.options.profile == Profile::Jsonl
    }

    fn json_style(&self) -> JsonStyle {
        let profile = self.options.profile;
        JsonStyle {
            spaces: profile == Profile::Jsonl,
            decimals_as_text: match profile {
                Profile::Jsonl | Profile::Datalake => {
                    self.options.json_numbers == JsonNumbers::Text
                }
                Profile::Csv => true,
                Profile::Dms | Profile::Cqlsh | Profile::DdbJson | Profile::Parquet => false,
            },
            signed_years: profile == Profile::Csv,
        }
    }

    /// Adds a column; returns its place and what stands before its values.
    fn add(&mut self, column: OutputColumn) -> Result<(usize, Box<[u8]>)> {
        let index = self.columns.len();
        if column.name.is_empty() {
            return Err(Error::usage(format!(
                "a column of {} would have no name",
                self.table.qualified_name()
            )));
        }
        if !self.names.insert(column.name.clone()) {
            return Err(Error::Usage {
                what: format!(
                    "two columns of {} would be named '{}'",
                    self.table.qualified_name(),
                    column.name
                ),
                hint: Some("give one of them another name with --rename".into()),
            });
        }
        let mut lead = TextBuffer::default();
        if self.is_json() {
            lead.slice(if index == 0 { b"{" } else { b", " });
            let mut notes = Notes::default();
            let name = Piece::new(column.name.as_bytes());
            JsonWriter::<false> {
                out: &mut lead,
                style: self.json_style(),
                tables: DateTables::new(),
                notes: &mut notes,
            }
            .string(name, false)
            .map_err(|cause| Error::Bug(cause.into_words()))?;
            lead.slice(b": ");
        } else if index > 0 {
            lead.byte(b',');
        }
        self.columns.push(column);
        Ok((index, lead.take().into()))
    }

    fn column_field(&mut self, column: &Visible<'_>, primary_key: bool) -> Result<Field> {
        let asked = self.options.column_types.get(column.name).copied();
        let column_type = match (asked, column.cql_type) {
            (Some(ColumnType::Numeric(None)), CqlType::Varint) => {
                ColumnType::Numeric(Some((38, 0)))
            }
            (Some(asked), _) => asked,
            (None, cql_type) => ColumnType::default_for(cql_type),
        };
        let (index, lead) = self.add(OutputColumn {
            name: self.output_name(column.name),
            source: Some(column.name.to_owned()),
            cql_type: column.cql_type.to_string(),
            kind: OutputKind::Column(column.kind),
            column_type,
            length: fixed_text_len(column.cql_type),
            nullable: !primary_key,
            primary_key,
        })?;
        Ok(Field {
            lead,
            index,
            source: column.source,
            form: form_of(self.options.profile, column.cql_type, column_type, asked.is_some()),
            cql_type: column.cql_type.clone(),
            multi_cell: column.cql_type.is_multi_cell(),
        })
    }

    /// A field that is no column of the table.
    fn extra_field(
        &mut self,
        name: String,
        of: Option<&str>,
        kind: OutputKind,
        (cql_type, column_type): (&str, ColumnType),
        source: Source,
        multi_cell: Option<&CqlType>,
    ) -> Result<Field> {
        let is_key = kind == OutputKind::CompositeKey;
        let (index, lead) = self.add(OutputColumn {
            name,
            source: of.map(str::to_owned),
            cql_type: cql_type.to_owned(),
            kind,
            column_type,
            length: None,
            nullable: !is_key,
            primary_key: is_key,
        })?;
        Ok(Field {
            lead,
            index,
            source,
            form: Form::Text { ascii: false },
            cql_type: multi_cell.cloned().unwrap_or(CqlType::Text),
            multi_cell: multi_cell.is_some(),
        })
    }

    fn fact_name(&self, fact: CellFact, of: &str) -> String {
        let (dms, cql) = match fact {
            CellFact::WriteTime => ("cp_writetime", "writetime"),
            CellFact::Ttl => ("cp_ttl", "ttl"),
        };
        match (self.options.profile.has_column_types(), of) {
            (true, "*") => dms.to_owned(),
            (true, "primary key") => format!("{dms}_"),
            (true, column) => format!("{dms}_{column}"),
            (false, of) => format!("{cql}({of})"),
        }
    }

    fn fact_types(&self, fact: CellFact, multi_cell: bool) -> (&'static str, ColumnType) {
        let iso = self.options.profile == Profile::Csv;
        match (fact, multi_cell, iso) {
            (CellFact::WriteTime, false, false) => ("bigint", ColumnType::Int8),
            (CellFact::WriteTime, true, false) => ("list<bigint>", ColumnType::String),
            (CellFact::WriteTime, false, true) => ("text", ColumnType::String),
            (CellFact::WriteTime, true, true) => ("list<text>", ColumnType::String),
            (CellFact::Ttl, false, _) => ("int", ColumnType::Int4),
            (CellFact::Ttl, true, _) => ("list<int>", ColumnType::String),
        }
    }

    fn fact_field(&mut self, fact: CellFact, of: &str, source: Source) -> Result<Field> {
        let name = self.fact_name(fact, of);
        let types = self.fact_types(fact, false);
        self.extra_field(name, None, OutputKind::Metadata, types, source, None)
    }

    /// With these generated keys.
    pub(super) fn with_keys(self, keys: GeneratedKeys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    pub(super) fn build(mut self) -> Result<RecordFormat> {
        let visible = std::mem::take(&mut self.visible);
        let static_compact = self.table.compact == CompactKind::StaticCompact;
        // 7.3, rules 1 to 3: DMS itself takes one key column as it is, and nothing else.
        let composite = self.is_dms() && self.options.composite_keys;
        let clustering_count = visible.iter().filter(|c| c.kind == ColumnKind::Clustering).count();
        let generated = match self.keys {
            Some(keys) => keys,
            None if composite => {
                GeneratedKeys::of(self.table.partition_key.len(), clustering_count)
            }
            None => GeneratedKeys { partition: false, sort: false },
        };
        let (has_partition_text, has_sort_text) = (generated.partition, generated.sort);
        let mut lead = Vec::new();
        if self.options.profile == Profile::Datalake && self.options.operation {
            for (name, source) in [("Op", Source::Operation), ("cp_ts", Source::ChangeTime)] {
                let types = ("text", ColumnType::String);
                let kind = OutputKind::Metadata;
                lead.push(self.extra_field(name.to_owned(), None, kind, types, source, None)?);
            }
        }
        let mut partition = Vec::new();
        let mut clustering = Vec::new();
        let mut statics = Vec::new();
        let mut regulars = Vec::new();
        let mut sort_parts = Vec::new();
        for column in &visible {
            let primary_key = match column.kind {
                ColumnKind::PartitionKey => !has_partition_text,
                ColumnKind::Clustering => !has_sort_text,
                ColumnKind::Static | ColumnKind::Regular => false,
            };
            let mut field = self.column_field(column, primary_key)?;
            match column.kind {
                ColumnKind::PartitionKey => partition.push(field),
                ColumnKind::Clustering => {
                    let asked = self.options.column_types.get(column.name);
                    sort_parts.push(SortPart {
                        cql_type: column.cql_type.clone(),
                        timestamp_as_millis: asked == Some(&ColumnType::Int8),
                    });
                    field.multi_cell = false;
                    clustering.push(field);
                }
                ColumnKind::Static => statics.push(field),
                ColumnKind::Regular => regulars.push(field),
            }
        }
        let mut static_facts = Vec::new();
        let mut regular_facts = Vec::new();
        let mut row_facts = Vec::new();
        match self.options.metadata {
            MetadataMode::None => {}
            MetadataMode::Row => {
                row_facts.push(self.fact_field(CellFact::WriteTime, "*", Source::RowWriteTime)?);
                row_facts.push(self.fact_field(CellFact::Ttl, "*", Source::RowTtl)?);
            }
            MetadataMode::Cell => {
                for column in &visible {
                    for fact in [CellFact::WriteTime, CellFact::Ttl] {
                        let source = match column.source {
                            Source::Static(index) => Source::StaticFact(fact, index),
                            Source::Regular(index) => Source::RegularFact(fact, index),
                            Source::SuperValue => {
                                Source::RegularFact(fact, self.super_map.unwrap_or_default())
                            }
                            _ => continue,
                        };
                        let name = self.fact_name(fact, &self.output_name(column.name));
                        let cells = column.cql_type.is_multi_cell().then_some(column.cql_type);
                        let types = self.fact_types(fact, cells.is_some());
                        let of = Some(column.name);
                        let kind = OutputKind::Metadata;
                        let field = self.extra_field(name, of, kind, types, source, cells)?;
                        match column.kind {
                            ColumnKind::Static => static_facts.push(field),
                            _ => regular_facts.push(field),
                        }
                    }
                }
                for fact in [CellFact::WriteTime, CellFact::Ttl] {
                    row_facts.push(self.fact_field(
                        fact,
                        "primary key",
                        Source::MarkerFact(fact),
                    )?);
                }
            }
        }
        if let Some(name) = self.options.expires_column.clone() {
            let kind = OutputKind::Metadata;
            let types = ("bigint", ColumnType::Int8);
            row_facts.push(self.extra_field(name, None, kind, types, Source::Expires, None)?);
        }
        let mut keys = Vec::new();
        for (wanted, name, source) in [
            (has_partition_text, "cp_pk", Source::PartitionText),
            (has_sort_text, "cp_sk", Source::SortText),
        ] {
            if wanted {
                let kind = OutputKind::CompositeKey;
                let types = ("text", ColumnType::String);
                keys.push(self.extra_field(name.to_owned(), None, kind, types, source, None)?);
            }
        }
        let profile = self.options.profile;
        let null_token = self.options.null_token.clone().unwrap_or_else(|| match profile {
            Profile::Dms | Profile::Cqlsh | Profile::Datalake => "\\N".to_owned(),
            Profile::Csv | Profile::Jsonl | Profile::DdbJson | Profile::Parquet => String::new(),
        });
        check_null_token(&null_token)?;
        let wants_times = row_facts.iter().any(|field| {
            matches!(field.source, Source::RowWriteTime | Source::RowTtl | Source::Expires)
        });
        Ok(RecordFormat {
            profile,
            typed: None,
            compression: self.options.compression,
            is_json: self.is_json(),
            csv: CsvStyle {
                null_token: null_token.into_bytes().into(),
                quote_leading_nul: profile == Profile::Csv,
                quote_empty: profile == Profile::Datalake,
                cqlsh: profile == Profile::Cqlsh,
                json: self.json_style(),
            },
            json: self.json_style(),
            times: TimeStyle {
                iso: profile == Profile::Csv,
                writetime: self.options.writetime,
                now: self.options.now,
                counter: self.table.counter,
            },
            tables: DateTables::new(),
            sort_parts,
            static_count: self.table.statics.len(),
            regular_count: self.table.regulars.len(),
            super_map: self.super_map,
            static_compact,
            wants_times,
            names_len: self.columns.iter().map(|column| column.name.len()).sum(),
            columns: self.columns,
            repeats_counters: profile.is_for_cql()
                && self.table.counter
                && clustering_count > 0
                && !statics.is_empty(),
            lead,
            partition,
            clustering,
            statics,
            regulars,
            static_facts,
            regular_facts,
            row_facts,
            keys,
        })
    }
}

fn check_null_token(token: &str) -> Result<()> {
    if token.bytes().any(|b| matches!(b, b'"' | b',' | b'\n' | b'\r')) || token.trim() != token {
        return Err(Error::usage(format!(
            "'{token}' cannot stand for NULL: it would have to be quoted"
        )));
    }
    Ok(())
}

/// Bytes of text that values of this type have at most, where that is small and known.
fn fixed_text_len(cql_type: &CqlType) -> Option<u32> {
    match cql_type {
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => Some(36),
        CqlType::Time => Some(18),
        CqlType::Inet => Some(45),
        CqlType::Duration => Some(64),
        _ => None,
    }
}

fn form_of(profile: Profile, cql_type: &CqlType, column_type: ColumnType, is_asked: bool) -> Form {
    let dms = profile == Profile::Dms;
    // Without an external definition that all values must fit, unless the user gives one.
    let datalake = profile == Profile::Datalake;
    let typed = dms || datalake;
    let cqlsh = profile == Profile::Cqlsh;
    if cqlsh && let Some(words) = unsupported_by_cqlsh(cql_type) {
        return Form::Unsupported(words);
    }
    let limit = match column_type {
        _ if !(dms || datalake && is_asked) => NumberLimit::None,
        ColumnType::Int8 => NumberLimit::Int8,
        ColumnType::Numeric(None) => NumberLimit::SomeNumeric,
        ColumnType::Numeric(Some((precision, scale))) => NumberLimit::Numeric { precision, scale },
        _ => NumberLimit::None,
    };
    let is_text = column_type == ColumnType::String;
    match cql_type {
        CqlType::Text => Form::Text { ascii: false },
        CqlType::Ascii => Form::Text { ascii: true },
        CqlType::Boolean if cqlsh => Form::BooleanWord,
        CqlType::Boolean => Form::Boolean,
        CqlType::Tinyint => Form::Tinyint,
        CqlType::Smallint => Form::Smallint,
        CqlType::Int => Form::Int,
        CqlType::Bigint => Form::Bigint,
        CqlType::Counter => Form::Counter,
        CqlType::Float => Form::Float { finite_only: dms && !is_text },
        CqlType::Double => Form::Double { finite_only: dms && !is_text },
        CqlType::Uuid | CqlType::Timeuuid | CqlType::LexicalUuid => Form::Uuid,
        CqlType::Timestamp | CqlType::LegacyTimestamp => Form::Timestamp(match column_type {
            _ if cqlsh => TimestampForm::Millis,
            _ if !typed => TimestampForm::Iso,
            ColumnType::Int8 => TimestampForm::Millis,
            ColumnType::String => TimestampForm::DatetimeAnyYear,
            _ => TimestampForm::Datetime,
        }),
        CqlType::Date => Form::Date { common_only: cqlsh || typed && !is_text },
        CqlType::Time => Form::Time,
        CqlType::Blob
        | CqlType::Composite(_)
        | CqlType::DynamicComposite(_)
        | CqlType::Custom(_) => Form::Blob { prefix: !typed },
        CqlType::Varint => Form::Varint(limit),
        // Plain notation of a number without a limit could be of any length.
        CqlType::Decimal if datalake && !is_asked => Form::DecimalOfAnySize,
        CqlType::Decimal => Form::Decimal { plain: typed && !is_text, limit },
        CqlType::Inet => Form::Inet,
        CqlType::Duration => Form::Duration,
        CqlType::Empty => Form::Empty,
        CqlType::Tuple(_) | CqlType::Udt { .. } if cqlsh => Form::LiteralFields,
        CqlType::Tuple(_) | CqlType::Udt { .. } => Form::JsonFields,
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Vector { .. }
            if cqlsh =>
        {
            Form::Literal
        }
        CqlType::List { .. }
        | CqlType::Set { .. }
        | CqlType::Map { .. }
        | CqlType::Vector { .. } => Form::Json,
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
