use std::path::Path;
use std::sync::atomic::AtomicI32;
use std::time::Duration;

use super::*;
use crate::discover::{InputOptions, Source};
use crate::extract::forecast::facts::Keys;
use crate::extract::options::{ExtractOptions, OnCorrupt, OutputTarget};
use crate::extract::overlay::CommitLogOptions;
use crate::extract::plan::{Plan, Purpose, prepare};
use crate::extract::share::ShareOptions;
use crate::output::RecordOptions;
use crate::output::{Compression, JsonNumbers};
use crate::progress::NoEvents;
use crate::store::s3::S3Options;

/// A table of the corpus of 4.1.
fn planned(table: &str) -> Plan {
    let input = InputOptions {
        data_dirs: vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/4.1/data")],
        tables: vec![table.to_owned()],
        ..InputOptions::default()
    };
    let options = ExtractOptions {
        input,
        commit_log: CommitLogOptions::default(),
        output: OutputTarget::Discard,
        s3: S3Options::default(),
        share: ShareOptions::default(),
        records: RecordOptions {
            profile: Profile::Dms,
            metadata: MetadataMode::None,
            writetime: None,
            expires_column: None,
            include_columns: Vec::new(),
            exclude_columns: Vec::new(),
            rename: Default::default(),
            column_types: Default::default(),
            json_numbers: JsonNumbers::Number,
            compression: Compression::None,
            ..RecordOptions::new(Profile::Dms)
        },
        now: 0,
        now_given: true,
        deletes: false,
        threads: 1,
        memory: 1 << 30,
        file_size: 1 << 28,
        read_rate: None,
        on_corrupt: OnCorrupt::Fail,
        heartbeat: Duration::from_secs(10),
        overwrite: false,
    };
    let source = Source::open(&options.input, 0).unwrap();
    prepare(&source, &options, Purpose::Forecast, &NoEvents, &AtomicI32::new(0)).unwrap()
}

/// Kinds and codes of what is found about sizes, with what is found otherwise left out.
fn sizes(table: &str, facts: TableFacts) -> Vec<(FindingKind, &'static str)> {
    let plan = planned(table);
    let target = Target {
        table: &plan.tables[0],
        facts: &facts,
        size: RecordSize::default(),
        metadata: MetadataMode::None,
        has_expires_column: false,
    };
    let found = target.findings().unwrap().into_iter();
    found.filter(|f| f.code.ends_with("-size")).map(|f| (f.kind, f.code)).collect()
}

#[test]
fn keys_over_the_limits_are_cut_where_they_are_ours_and_refused_where_they_are_not() {
    let keys = |longest| TableFacts {
        keys: Keys { longest, looked_at: 1, ..Keys::default() },
        longest_clustering: 1025,
        ..TableFacts::default()
    };
    // One partition column and no clustering: DynamoDB gets it as it is.
    assert_eq!(sizes("storage.lz4", keys(2048)), [(FindingKind::Changed, "sort-key-size")]);
    let refused = (FindingKind::Refused, "partition-key-size");
    assert_eq!(sizes("storage.lz4", keys(2049))[0], refused);
    let changed = (FindingKind::Changed, "partition-key-size");
    assert!(sizes("types.clustered_a", keys(2049)).contains(&changed));
}

#[test]
fn an_item_is_as_large_as_its_partition_where_there_is_no_clustering() {
    let partition = |above, at_most| TableFacts {
        largest_partition: Some((above, at_most)),
        ..TableFacts::default()
    };
    let (refused, possible) = (FindingKind::Refused, FindingKind::Possible);
    for (table, facts, expected) in [
        ("storage.lz4", partition(1000, Some(1200)), None),
        ("storage.lz4", partition(204_000, Some(204_801)), Some(possible)),
        ("storage.lz4", partition(819_201, Some(900_000)), Some(refused)),
        ("types.clustered_a", partition(819_201, Some(900_000)), Some(possible)),
        ("types.clustered_a", partition(819_201, None), Some(possible)),
    ] {
        let found = sizes(table, facts);
        let wanted: Vec<_> = expected.into_iter().map(|kind| (kind, "item-size")).collect();
        assert_eq!(found, wanted, "{table}");
    }
}
