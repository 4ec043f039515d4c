use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::schema::{DroppedColumn, RowOrder, TableId, parse_schema};

const TEXT: &str = r#"CREATE KEYSPACE "Ks" WITH replication = {'class': 'org.apache.cassandra.locator.SimpleStrategy', 'replication_factor': '3'} AND durable_writes = true;

CREATE TYPE "Ks".z (
    n int
);

CREATE TYPE "Ks".a (
    x frozen<z>,
    "Y" frozen<list<text>>
);

CREATE TABLE "Ks"."select" (
    k int,
    "K" text,
    c int,
    s a static,
    v text MASKED WITH system.mask_inner(1, 'a'),
    gone int,
    v2 int,
    PRIMARY KEY ((k, "K"), c)
) WITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c18
    AND CLUSTERING ORDER BY (c DESC)
    AND comment = 'it''s'
    AND gc_grace_seconds = 5;
ALTER TABLE "Ks"."select" DROP gone USING TIMESTAMP 5000;
ALTER TABLE "Ks"."select" DROP v2 USING TIMESTAMP 6000;
ALTER TABLE "Ks"."select" ADD v2 bigint static;
CREATE CUSTOM INDEX sai ON "Ks"."select" (v) USING 'sai' WITH OPTIONS = {'x': 'y'};
CREATE INDEX vi ON "Ks"."select" (v);

CREATE TABLE "Ks".st (
    k int,
    a text,
    PRIMARY KEY (k)
) WITH COMPACT STORAGE;

/*
Warning: Table "Ks".super omitted because it has constructs not compatible with CQL (was created via legacy API).

Approximate structure, for reference:
(this should not be used to reproduce this schema)

CREATE TABLE "Ks".super (
    k int,
    column1 text,
    "" map<int, blob>,
    PRIMARY KEY (k, column1)
) WITH COMPACT STORAGE
    AND CLUSTERING ORDER BY (column1 ASC);
*/

CREATE MATERIALIZED VIEW "Ks".mv AS
    SELECT c, k, "K"
    FROM "Ks"."select"
    WHERE c IS NOT NULL AND k IS NOT NULL
    PRIMARY KEY (c, k, "K")
    WITH CLUSTERING ORDER BY (k ASC, "K" ASC)
    AND comment = 'x';

"#;

#[test]
fn a_schema_is_written_as_cassandra_writes_it() {
    let schema = parse_schema(TEXT, None).unwrap();
    assert_eq!(write_schema(&schema, &|_| true), TEXT);
}

#[test]
fn only_what_is_asked_for_is_written() {
    let mut schema = parse_schema(TEXT, None).unwrap();
    schema.skipped.insert("CREATE\nROLE".into());
    let text = write_schema(&schema, &|table| table.name == "mv");
    assert!(text.contains("CREATE TYPE") && !text.contains("CREATE TABLE"), "{text}");
    assert!(text.contains("-- materialized view mv: its table is not taken"), "{text}");
    assert!(text.ends_with("-- not read: CREATE ROLE\n"), "{text}");
    assert!(!write_schema(&schema, &|_| false).contains("KEYSPACE"));
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,4}",
        "[A-Za-z \"'é*-][A-Za-z0-9 ]{0,3}",
        Just("primary".to_owned()),
        Just("table".to_owned()),
    ]
    .boxed()
}

fn cql_type(udts: Vec<Arc<UdtType>>) -> BoxedStrategy<CqlType> {
    let leaf = prop_oneof![
        Just(CqlType::Int),
        Just(CqlType::Text),
        Just(CqlType::Timeuuid),
        Just(CqlType::LegacyTimestamp),
        Just(CqlType::Duration),
        Just(CqlType::Vector { element: Box::new(CqlType::Float), dimension: 3 }),
        Just(CqlType::Custom("com.example.MyType(x)".into())),
        Just(CqlType::Composite(vec![CqlType::Int, CqlType::Text])),
    ]
    .boxed();
    let leaf = if udts.is_empty() {
        leaf
    } else {
        let udt =
            proptest::sample::select(udts).prop_map(|udt| CqlType::Udt { udt, frozen: false });
        prop_oneof![3 => leaf, 1 => udt].boxed()
    };
    leaf.prop_recursive(3, 8, 2, |inner| {
        let frozen = inner.prop_map(CqlType::freeze).boxed();
        prop_oneof![
            frozen.clone().prop_map(|t| CqlType::List { element: Box::new(t), frozen: false }),
            frozen.clone().prop_map(|t| CqlType::Set { element: Box::new(t), frozen: true }),
            (frozen.clone(), frozen.clone()).prop_map(|(k, v)| CqlType::Map {
                key: Box::new(k),
                value: Box::new(v),
                frozen: false
            }),
            proptest::collection::vec(frozen, 1..3).prop_map(CqlType::Tuple),
        ]
    })
    .boxed()
}

fn options() -> BoxedStrategy<BTreeMap<String, String>> {
    let text = "[a-z'\" ;*-]{0,6}";
    let map = proptest::collection::btree_map(text, text, 0..3);
    (text, map, 0_i64..1_000_000)
        .prop_map(|(comment, map, grace)| {
            BTreeMap::from([
                ("comment".to_owned(), text_literal(&comment)),
                ("compaction".to_owned(), map_literal(&map)),
                ("gc_grace_seconds".to_owned(), grace.to_string()),
                ("bloom_filter_fp_chance".to_owned(), "0.01".to_owned()),
            ])
        })
        .boxed()
}

fn column(name: String, cql_type: CqlType, kind: ColumnKind) -> ColumnMetadata {
    ColumnMetadata { name, cql_type, kind, reversed: false, mask: None }
}

prop_compose! {
    fn table(udts: Vec<Arc<UdtType>>)(
        names in proptest::collection::btree_set(name(), 7..10),
        types in proptest::collection::vec(cql_type(udts), 10),
        shape_of in 0..5_u8,
        descending in any::<bool>(),
        id in any::<Option<u128>>(),
        dropped in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..i64::MAX), 2),
        options in options(),
        masked in any::<bool>(),
    ) -> TableMetadata {
        let mut rest = names.into_iter().zip(types);
        let mut next = |kind: ColumnKind| {
            let (name, cql_type) = rest.next().unwrap();
            let is_key = matches!(kind, ColumnKind::PartitionKey | ColumnKind::Clustering);
            column(name, if is_key { cql_type.freeze() } else { cql_type }, kind)
        };
        let mut table = TableMetadata {
            keyspace: "Ks".into(),
            name: String::new(),
            id: id.map(|id| TableId(uuid::Uuid::from_u128(id))),
            partition_key: vec![next(ColumnKind::PartitionKey)],
            clustering: Vec::new(),
            statics: Vec::new(),
            regulars: Vec::new(),
            dropped: Vec::new(),
            compact: CompactKind::None,
            counter: false,
            gc_grace_seconds: options["gc_grace_seconds"].parse().unwrap(),
            default_time_to_live: 0,
            options,
            view: None,
            indexes: Vec::new(),
            order: RowOrder::default(),
        };
        match shape_of {
            0 => {
                table.partition_key.push(next(ColumnKind::PartitionKey));
                table.clustering.push(next(ColumnKind::Clustering));
                table.clustering[0].reversed = descending;
                table.statics.push(next(ColumnKind::Static));
                table.regulars.push(next(ColumnKind::Regular));
                table.regulars[0].mask = masked.then(|| "mask_inner(1, 'a) b')".to_owned());
                for (again, is_static, dropped_micros) in dropped {
                    let gone = next(ColumnKind::Regular);
                    let kind = if is_static { ColumnKind::Static } else { ColumnKind::Regular };
                    let cql_type = crate::schema::user_types::expand_user_types(gone.cql_type.clone());
                    let multi_cell = gone.cql_type.is_multi_cell();
                    let name = gone.name.clone();
                    table.dropped.push(DroppedColumn { name, cql_type, multi_cell, kind, dropped_micros });
                    if again {
                        table.regulars.push(gone);
                    }
                }
                table.dropped.sort_by(|a, b| a.name.cmp(&b.name));
            }
            1 => {
                table.regulars.push(next(ColumnKind::Regular));
                table.indexes.push(IndexMetadata {
                    name: "i".into(),
                    kind: "COMPOSITES".into(),
                    options: BTreeMap::from([("target".into(), Identifier(&table.regulars[0].name).to_string())]),
                });
            }
            2 => {
                table.regulars.push(next(ColumnKind::Regular));
                table.regulars.push(next(ColumnKind::Regular));
                shape(&mut table, false);
                if descending {
                    // A Thrift comparator, which CQL cannot say.
                    table.clustering[0].cql_type = CqlType::Int;
                }
            }
            3 => {
                table.clustering.push(next(ColumnKind::Clustering));
                table.clustering.push(next(ColumnKind::Clustering));
                if descending {
                    table.regulars.push(next(ColumnKind::Regular));
                }
                shape(&mut table, false);
            }
            _ => {
                table.clustering.push(next(ColumnKind::Clustering));
                let map = CqlType::Map { key: Box::new(CqlType::Int), value: Box::new(CqlType::Blob), frozen: false };
                table.regulars.push(column(String::new(), map, ColumnKind::Regular));
                table.compact = CompactKind::Super;
            }
        }
        table.sort_columns();
        table
    }
}

fn udts() -> BoxedStrategy<Vec<Arc<UdtType>>> {
    let fields = || proptest::collection::btree_map(name(), cql_type(Vec::new()), 1..3);
    (fields(), fields(), name())
        .prop_map(|(first, second, odd)| {
            let make = |name: &str, fields: BTreeMap<String, CqlType>, more: Option<CqlType>| {
                let mut fields: Vec<_> = fields.into_iter().map(|(n, t)| (n, t.freeze())).collect();
                fields.extend(more.map(|t| ("zz_more".to_owned(), t)));
                Arc::new(UdtType { keyspace: "Ks".into(), name: name.into(), fields })
            };
            let inner = make(&format!("z{odd}"), first, None);
            let used = CqlType::Udt { udt: inner.clone(), frozen: true };
            vec![make("a type", second, Some(used)), inner]
        })
        .boxed()
}

fn schemas() -> BoxedStrategy<Schema> {
    udts()
        .prop_flat_map(|udts| {
            let tables = proptest::collection::btree_map(name(), table(udts.clone()).boxed(), 1..4);
            (
                Just(udts),
                tables,
                proptest::collection::btree_map("[a-z_']{1,5}", "[a-z'0-9]{0,5}", 0..3),
            )
        })
        .prop_map(|(udts, tables, replication)| {
            let mut keyspace = KeyspaceMetadata {
                name: "Ks".into(),
                durable_writes: true,
                replication,
                types: udts.into_iter().map(|udt| (udt.name.clone(), udt)).collect(),
                ..KeyspaceMetadata::default()
            };
            for (name, mut table) in tables {
                table.name.clone_from(&name);
                keyspace.tables.insert(name, table);
            }
            Schema { keyspaces: BTreeMap::from([("Ks".to_owned(), keyspace)]), ..Schema::default() }
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(schema in schemas()) {
        let text = write_schema(&schema, &|_| true);
        let read = parse_schema(&text, None).unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(&read, &schema, "{}", text);
    }
}
