//! [`ColumnarFormat`]: the columns of a table's files, settled once for all workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{Field as ArrowField, Schema, SchemaRef};
use parquet::basic::{Compression as Codec, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::node::{Child, Node, node_asked, node_of};
use crate::cql::CqlType;
use crate::error::{Error, Result};
use crate::output::compression::Compression;
use crate::output::format::{Field, OutputColumn, OutputKind, RecordFormat};
use crate::output::manifest::tool;
use crate::output::options::FormatOptions;
use crate::schema::TableMetadata;

/// How a table's rows become columns; shared by all workers.
#[derive(Debug)]
pub(in crate::output) struct ColumnarFormat {
    /// The columns; their places are those of `nodes`.
    pub(super) target: RecordFormat,
    pub(super) nodes: Vec<Node>,
    pub(super) schema: SchemaRef,
    pub(super) properties: WriterProperties,
}

impl ColumnarFormat {
    /// The format of the files of `table`, whose columns are `target`'s.
    pub(in crate::output) fn new(
        table: &TableMetadata,
        mut target: RecordFormat,
        options: &FormatOptions,
    ) -> Result<Self> {
        target.lower_names();
        let mut nodes: Vec<Node> = target
            .columns()
            .iter()
            .map(|column| match column.kind {
                OutputKind::Metadata => fact_node(&column.cql_type),
                // A placeholder.
                _ => Node::Json,
            })
            .collect();
        let columns = target.partition.iter().chain(&target.clustering).chain(&target.statics);
        for field in columns.chain(&target.regulars) {
            let column = target.columns().get(field.index);
            let source = column.and_then(|column| column.source.as_deref()).unwrap_or_default();
            let node = match options.column_types.get(source) {
                None => node_of(&field.cql_type),
                Some(asked) => {
                    node_asked(&field.cql_type, *asked).ok_or_else(|| Error::Usage {
                        what: format!(
                            "--column-type: '{source}' of {} is {}, which cannot be {asked} in Parquet",
                            table.qualified_name(),
                            field.cql_type
                        ),
                        hint: Some(
                            "STRING holds any type, DECIMAL(p,s) numbers, INT8 timestamps and integers, REAL8 floats"
                                .to_owned(),
                        ),
                    })?
                }
            };
            if let Some(place) = nodes.get_mut(field.index) {
                *place = node;
            }
        }
        let fields: Vec<ArrowField> = target
            .columns()
            .iter()
            .zip(&nodes)
            .map(|(column, node)| ArrowField::new(&column.name, node.data_type(), true))
            .collect();
        let codec = match options.compression {
            Compression::None => Codec::UNCOMPRESSED,
            Compression::Snappy => Codec::SNAPPY,
            Compression::Zstd | Compression::Gzip => Codec::ZSTD(ZstdLevel::default()),
        };
        let properties = WriterProperties::builder()
            .set_created_by(tool())
            .set_compression(codec)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_key_value_metadata(Some(schema_metadata(table, &target)?))
            .build();
        Ok(Self { target, nodes, schema: Arc::new(Schema::new(fields)), properties })
    }

    /// The columns.
    pub(in crate::output) fn columns(&self) -> Vec<OutputColumn> {
        self.target.columns().to_vec()
    }

    pub(super) fn node(&self, field: &Field) -> Option<&Node> {
        self.nodes.get(field.index)
    }
}

/// The type of a column of write times or TTLs.
pub(super) fn fact_node(cql_type: &str) -> Node {
    let list = |cql_type, node| Node::List(Box::new(Child { cql_type, node }));
    match cql_type {
        "int" => Node::Int32,
        "list<int>" => list(CqlType::Int, Node::Int32),
        "list<bigint>" => list(CqlType::Bigint, Node::Int64),
        _ => Node::Int64,
    }
}

/// What the file says of where it comes from: keyspace, table, and of each column its CQL type and kind.
fn schema_metadata(table: &TableMetadata, target: &RecordFormat) -> Result<Vec<KeyValue>> {
    let columns: Vec<BTreeMap<&str, &str>> = target
        .columns()
        .iter()
        .map(|column| {
            let mut entry = BTreeMap::from([
                ("name", column.name.as_str()),
                ("type", column.cql_type.as_str()),
                ("kind", column.kind.as_str()),
            ]);
            if let Some(source) = column.source.as_deref().filter(|source| *source != column.name) {
                entry.insert("of", source);
            }
            entry
        })
        .collect();
    let columns = serde_json::to_string(&columns)
        .map_err(|error| Error::Bug(format!("cannot write JSON: {error}")))?;
    Ok(vec![
        KeyValue::new("cassport.keyspace".to_owned(), table.keyspace.clone()),
        KeyValue::new("cassport.table".to_owned(), table.name.clone()),
        KeyValue::new("cassport.columns".to_owned(), columns),
    ])
}
