use super::*;
use crate::output::manifest::OutputColumnKind;

fn column(
    name: &str,
    cql_type: &str,
    column_type: Option<&str>,
    stats: ColumnStats,
) -> ManifestColumn {
    ManifestColumn {
        name: name.into(),
        cql_type: cql_type.into(),
        kind: OutputColumnKind::Regular,
        stats,
        column_type: column_type.map(str::to_owned),
    }
}

fn digits(all: u64, before: u64, behind: u64) -> ColumnStats {
    ColumnStats {
        max_digits: Some(all),
        max_integer_digits: Some(before),
        max_scale: Some(behind),
        ..ColumnStats::default()
    }
}

#[test]
fn spark_types_are_those_that_all_values_have() {
    let none = ColumnStats::default();
    for (cql_type, asked, stats, expected) in [
        ("int", None, none, "INT"),
        ("tinyint", None, none, "TINYINT"),
        ("counter", None, none, "BIGINT"),
        ("float", None, none, "FLOAT"),
        ("boolean", None, none, "BOOLEAN"),
        ("timestamp", None, none, "TIMESTAMP"),
        ("timestamp", Some("INT8"), none, "BIGINT"),
        ("timestamp", Some("STRING"), none, "STRING"),
        ("date", None, none, "DATE"),
        ("time", None, none, "STRING"),
        ("blob", None, none, "STRING"),
        ("frozen<map<text, int>>", None, none, "STRING"),
        ("frozen<address>", None, none, "STRING"),
        ("list<bigint>", None, none, "STRING"),
        ("varint", None, digits(38, 38, 0), "DECIMAL(38,0)"),
        ("varint", None, digits(39, 39, 0), "STRING"),
        ("varint", None, none, "DECIMAL(1,0)"),
        ("decimal", None, digits(5, 3, 4), "DECIMAL(7,4)"),
        ("decimal", None, digits(30, 20, 19), "STRING"),
        ("decimal", Some("NUMERIC(10,2)"), none, "DECIMAL(10,2)"),
    ] {
        let found = spark_type(&column("c", cql_type, asked, stats)).unwrap();
        assert_eq!(found, expected, "{cql_type} {asked:?}");
    }
    let ddl = spark_schema(&[column("a`b", "int", None, none), column("c", "text", None, none)]);
    assert_eq!(ddl.unwrap(), b"`a``b` INT,\n`c` STRING\n");
}
