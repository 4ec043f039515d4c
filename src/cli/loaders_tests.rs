use super::*;

fn table(statics: u64) -> Written {
    let column = |name: &str, kind| WrittenColumn {
        name: name.into(),
        kind,
        longest: 10,
        is_list: name == "writetime(tags)",
    };
    Written {
        keyspace: "shop".into(),
        table: "Orders".into(),
        rows: 3,
        files: 1 + statics,
        static_files: statics,
        deletions: None,
        bytes: 30,
        columns: vec![
            column("id", OutputColumnKind::PartitionKey),
            column("at", OutputColumnKind::Clustering),
            column("owner", OutputColumnKind::Static),
            column("select", OutputColumnKind::Regular),
            column("writetime(*)", OutputColumnKind::Metadata),
        ],
    }
}

fn look(profile: Profile) -> Look {
    Look { profile, metadata: MetadataMode::None, compression: Compression::None }
}

fn said(look: Look, tables: &[Written], place: &str) -> String {
    let mut lines = Vec::new();
    next(look, tables, &Location::parse(place.as_ref()).unwrap(), &mut lines);
    lines.join("\n")
}

#[test]
fn dsbulk_gets_both_lists_and_the_mapping_of_the_metadata() {
    let row = Look { metadata: MetadataMode::Row, ..look(Profile::Csv) };
    let options = " -header true --connector.csv.escape '\\\"' --connector.csv.maxCharsPerColumn -1 \
                   --codec.overflowStrategy TRUNCATE";
    let expected = format!(
        "next: dsbulk load -k shop -t Orders --connector.csv.urlfile /out/_cassport/shop.Orders.urls{options} \
         -m '*=*, \\\"writetime(*)\\\"=__timestamp, \\\"ttl(*)\\\"=__ttl'\n\
         and   dsbulk load --connector.csv.urlfile /out/_cassport/shop.Orders.static.urls{options} \
         --schema.query 'INSERT INTO shop.\\\"Orders\\\" (id, owner) VALUES (:id, :owner) \
         USING TIMESTAMP :\\\"writetime(*)\\\" AND TTL :\\\"ttl(*)\\\"'"
    );
    assert_eq!(said(row, &[table(1)], "/out"), expected);
    let cell =
        Look { metadata: MetadataMode::Cell, compression: Compression::Zstd, ..look(Profile::Csv) };
    let text = said(cell, &[table(0)], "s3://bucket/p");
    let copied = "next: aws s3 cp s3://bucket/p/_cassport/shop.Orders.urls - | sed";
    assert!(text.starts_with(copied), "{text}");
    let ways = " --connector.csv.compression zstd --schema.preserveTimestamp true";
    assert!(text.contains(ways), "{text}");
    assert!(text.ends_with("these get the time of the load"), "{text}");
    let mut wide = table(0);
    wide.columns = vec![wide.columns[0].clone(); 513];
    assert!(said(row, &[wide], "/out").contains(" --connector.csv.maxColumns 513 "));
}

#[test]
fn static_columns_with_times_of_their_own_have_statements_of_their_own() {
    let mut with = table(1);
    let kinds = [
        ("tags", OutputColumnKind::Static),
        ("writetime(owner)", OutputColumnKind::Metadata),
        ("writetime(tags)", OutputColumnKind::Metadata),
    ];
    for (name, kind) in kinds {
        let is_list = name == "writetime(tags)";
        with.columns.push(WrittenColumn { name: name.into(), kind, longest: 1, is_list });
    }
    let into = "INSERT INTO shop.\"Orders\"";
    assert_eq!(
        static_inserts(MetadataMode::Cell, &with),
        [
            format!(
                "{into} (id, owner) VALUES (:id, :owner) USING TIMESTAMP :\"writetime(owner)\" AND TTL :\"ttl(owner)\""
            ),
            format!("{into} (id, tags) VALUES (:id, :tags)"),
        ]
    );
    assert_eq!(
        static_inserts(MetadataMode::None, &with),
        [format!("{into} (id, owner, tags) VALUES (:id, :owner, :tags)")]
    );
}

#[test]
fn cqlsh_gets_names_as_cql_has_them_and_its_limit_is_told() {
    let mut long = table(0);
    long.columns[3].longest = 200_000;
    long.columns.pop();
    assert_eq!(
        said(look(Profile::Cqlsh), &[long], "/out"),
        "next: COPY shop.\"Orders\" (id, at, owner, \"select\") FROM '/out/shop/Orders/LOAD*.csv' WITH HEADER=TRUE AND ESCAPE='\"' \
         AND NULL='\\N' AND MAXPARSEERRORS=0 AND MAXINSERTERRORS=0; in cqlsh\n\
         there are values of 200000 bytes: cqlshrc needs [csv] field_size_limit = 400000"
    );
}

#[test]
fn spark_reads_where_the_files_are_and_redshift_from_buckets_only() {
    let local = said(look(Profile::Datalake), &[table(0)], "/out");
    assert!(local.contains(".csv('/out/shop/Orders', header=True, multiLine=True"), "{local}");
    assert!(local.contains("nullValue='\\\\N'") && !local.contains("Redshift"), "{local}");
    let gzip = Look { compression: Compression::Gzip, ..look(Profile::Datalake) };
    let text = said(gzip, &[table(0)], "s3://bucket/p");
    assert!(text.contains("'s3a://bucket/p/_cassport/shop.Orders.spark-schema.ddl'"), "{text}");
    assert!(
        text.contains("FROM 's3://bucket/p/_cassport/shop.Orders.redshift-manifest.json'"),
        "{text}"
    );
    assert!(text.ends_with("NULL AS '\\\\N' TIMEFORMAT 'auto' GZIP; in Redshift"), "{text}");
}

#[test]
fn tables_without_files_are_left_out_and_many_are_cut_short() {
    assert_eq!(said(look(Profile::Csv), &[Written { files: 0, ..table(0) }], "/out"), "");
    let text = said(look(Profile::Jsonl), &vec![table(0); 25], "/out");
    assert!(text.contains("read_json('/out/shop/Orders/*.jsonl')"), "{text}");
    assert!(text.ends_with("and so for 5 tables more"), "{text}");
}
