//! The statement that makes a table of Athena (or Hive) over files of profile `parquet`.
//!
//! Types follow from the same [`Node`](super::node::Node) as those in the files, so that the two cannot differ. Columns are found by name.

use std::sync::Arc;

use arrow_schema::{DataType, Field};

use super::format::fact_node;
use super::node::{node_asked, node_of};
use crate::cql::{UdtType, parse_cql_type};
use crate::error::{Error, Result};
use crate::output::manifest::{ManifestColumn, OutputColumnKind};
use crate::output::types::ColumnType;

/// `CREATE EXTERNAL TABLE` for the files in the folder `location`, which ends in `/`; `udt` finds a user-defined type of the
/// keyspace.
///
/// # Errors
/// A column whose type is not known, or none of Parquet's; a field that has no name that Hive knows, whose types are texts
/// without quotes. (Columns may be called anything.)
pub fn athena_table(
    keyspace: &str,
    table: &str,
    location: &str,
    columns: &[ManifestColumn],
    udt: &dyn Fn(&str) -> Option<Arc<UdtType>>,
) -> Result<String> {
    let mut text =
        format!("CREATE EXTERNAL TABLE IF NOT EXISTS {}.{} (\n", quoted(keyspace), quoted(table));
    for (i, column) in columns.iter().enumerate() {
        let end = if i + 1 < columns.len() { "," } else { "" };
        let data_type = hive_type(&data_type(column, udt)?)?;
        text.push_str(&format!("  {} {data_type}{end}\n", quoted(&column.name)));
    }
    let location = location.replace('\'', "\\'");
    text.push_str(&format!(
        ")\nSTORED AS PARQUET\nLOCATION '{location}'\nTBLPROPERTIES ('classification' = 'parquet');\n"
    ));
    Ok(text)
}

/// The type that the column has in the files.
fn data_type(
    column: &ManifestColumn,
    udt: &dyn Fn(&str) -> Option<Arc<UdtType>>,
) -> Result<DataType> {
    if column.kind == OutputColumnKind::Metadata {
        return Ok(fact_node(&column.cql_type).data_type());
    }
    let unknown = |what: &str| Error::Different(format!("column {}: {what}", column.name));
    let cql_type = parse_cql_type(&column.cql_type, udt)
        .map_err(|_| unknown(&format!("its type {} is not in the schema", column.cql_type)))?;
    let asked = column.column_type.as_deref().map(str::parse::<ColumnType>).transpose();
    let node = match asked.map_err(|_| unknown("it was asked for as an unknown type"))? {
        None => node_of(&cql_type),
        Some(asked) => node_asked(&cql_type, asked)
            .ok_or_else(|| unknown(&format!("{cql_type} cannot be {asked} in Parquet")))?,
    };
    Ok(node.data_type())
}

/// Names are lower-case to Athena, in structs too.
fn quoted(name: &str) -> String {
    format!("`{}`", name.to_lowercase().replace('`', "``"))
}

fn hive_type(data_type: &DataType) -> Result<String> {
    let of = |field: &Field| hive_type(field.data_type());
    Ok(match data_type {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Utf8 => "string".to_owned(),
        DataType::Binary => "binary".to_owned(),
        DataType::List(element) => format!("array<{}>", of(element)?),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let types = fields.iter().map(|field| of(field)).collect::<Result<Vec<_>>>()?;
                format!("map<{}>", types.join(","))
            }
            other => return Err(Error::Bug(format!("a map of {other}"))),
        },
        DataType::Struct(fields) => {
            let mut text = String::new();
            for (i, field) in fields.iter().enumerate() {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if field.name().is_empty() || !field.name().chars().all(plain) {
                    let name = field.name();
                    return Err(Error::Different(format!(
                        "'{name}' in a user-defined type: fields have names of letters, digits and _ there"
                    )));
                }
                let separator = if i == 0 { "" } else { "," };
                text.push_str(&format!("{separator}{}:{}", quoted(field.name()), of(field)?));
            }
            format!("struct<{text}>")
        }
        other => return Err(Error::Bug(format!("{other} is in no file of ours"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::manifest::ColumnStats;

    fn column(name: &str, cql_type: &str, kind: OutputColumnKind) -> ManifestColumn {
        let stats = ColumnStats::default();
        ManifestColumn {
            name: name.into(),
            cql_type: cql_type.into(),
            kind,
            stats,
            column_type: None,
        }
    }

    #[test]
    fn every_column_has_the_type_of_the_files() {
        let address = Arc::new(UdtType {
            keyspace: "ks".into(),
            name: "address".into(),
            fields: vec![
                ("Street".into(), crate::cql::CqlType::Text),
                ("zip_code".into(), crate::cql::CqlType::Int),
            ],
        });
        let udt = |name: &str| (name == "address").then(|| Arc::clone(&address));
        let regular = OutputColumnKind::Regular;
        let mut columns = vec![
            column("pk", "uuid", OutputColumnKind::PartitionKey),
            column("ts", "timestamp", OutputColumnKind::Clustering),
            column("n", "varint", regular),
            column("home", "frozen<address>", regular),
            column("m", "map<text, frozen<tuple<int, blob>>>", regular),
            column("v", "vector<float, 3>", regular),
            column("cp_writetime_m", "list<bigint>", OutputColumnKind::Metadata),
            column("cp_ttl_n", "int", OutputColumnKind::Metadata),
        ];
        columns[2].column_type = Some("NUMERIC(20,0)".into());
        let text = athena_table("ks", "Orders", "s3://b/p/ks/Orders/", &columns, &udt).unwrap();
        assert_eq!(
            text,
            "CREATE EXTERNAL TABLE IF NOT EXISTS `ks`.`orders` (\n  `pk` string,\n  `ts` timestamp,\n  `n` decimal(20,0),\n  \
             `home` struct<`street`:string,`zip_code`:int>,\n  `m` map<string,struct<`_1`:int,`_2`:binary>>,\n  `v` array<float>,\n  \
             `cp_writetime_m` array<bigint>,\n  `cp_ttl_n` int\n)\nSTORED AS PARQUET\nLOCATION 's3://b/p/ks/Orders/'\n\
             TBLPROPERTIES ('classification' = 'parquet');\n"
        );
        let unknown = athena_table("ks", "t", "s3://b/", &columns, &|_| None).unwrap_err();
        assert!(unknown.to_string().contains("home"), "{unknown}");
        let fields = vec![("zip code".into(), crate::cql::CqlType::Int)];
        let odd = Arc::new(UdtType { fields, ..UdtType::clone(&address) });
        let error = athena_table("ks", "t", "s3://b/", &columns, &|_| Some(Arc::clone(&odd)));
        assert!(error.unwrap_err().to_string().contains("'zip code'"));
    }
}
