use std::collections::BTreeMap;

use super::*;
use crate::schema::RowOrder;

fn table() -> TableMetadata {
    let column = |name: &str, cql_type, kind| ColumnMetadata {
        name: name.into(),
        cql_type,
        kind,
        reversed: false,
        mask: None,
    };
    TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: None,
        partition_key: vec![column("pk", CqlType::Int, ColumnKind::PartitionKey)],
        clustering: Vec::new(),
        statics: Vec::new(),
        regulars: vec![
            column("v", CqlType::Int, ColumnKind::Regular),
            column("w", CqlType::Decimal, ColumnKind::Regular),
        ],
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

fn refused(profile: Profile, change: impl FnOnce(&mut FormatOptions)) -> String {
    let mut options = FormatOptions::new(profile, 0);
    change(&mut options);
    RecordFormat::new(&table(), &options).unwrap_err().to_string()
}

#[test]
fn options_that_cannot_be_are_refused_with_the_name() {
    let names = |name: &str| BTreeSet::from([name.to_owned()]);
    let unknown = refused(Profile::Csv, |o| o.include = Some(names("x")));
    assert!(unknown.contains("'x'"), "{unknown}");
    assert!(refused(Profile::Csv, |o| o.exclude = names("x")).contains("'x'"));
    assert!(refused(Profile::Csv, |o| o.exclude = names("pk")).contains("key"));
    let rename = |from: &str, to: &str| BTreeMap::from([(from.to_owned(), to.to_owned())]);
    assert!(refused(Profile::Csv, |o| o.rename = rename("x", "y")).contains("'x'"));
    assert!(refused(Profile::Csv, |o| o.rename = rename("v", "pk")).contains("'pk'"));
    assert!(refused(Profile::Csv, |o| o.rename = rename("v", "")).contains("no name"));
    assert!(refused(Profile::Csv, |o| o.expires_column = Some("v".into())).contains("'v'"));
    let int2 = || BTreeMap::from([("v".to_owned(), ColumnType::Int2)]);
    assert!(refused(Profile::Dms, |o| o.column_types = int2()).contains("INT2"));
    assert!(refused(Profile::Csv, |o| o.column_types = int2()).contains("csv"));
    assert!(refused(Profile::Dms, |o| o.null_token = Some("a,b".into())).contains("NULL"));
}

#[test]
fn a_single_key_column_stays_as_it_is() {
    let format = RecordFormat::new(&table(), &FormatOptions::new(Profile::Dms, 0)).unwrap();
    let keys: Vec<_> = format.columns().iter().map(|c| (c.name.as_str(), c.primary_key)).collect();
    assert_eq!(keys, [("pk", true), ("v", false), ("w", false)]);
    assert_eq!(format.extension(), "csv");
    assert_eq!(format.header(), None);
}
