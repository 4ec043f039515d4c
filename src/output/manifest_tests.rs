use super::*;
use crate::error::ErrorClass;

/// A manifest as `output.md` section 4 shows it.
pub(crate) const SAMPLE: &str = r#"{"formatVersion":1,"tool":"cassport 0.1.0","agent":0,"agents":1,"hostId":"h","cluster":"c",
 "dataCenter":"dc1","snapshot":null,"profile":"dms","metadata":"none","compression":"none",
 "clock":"2026-11-21T00:00:00Z","started":"2026-11-21T00:00:01Z","finished":"2026-11-21T00:00:02Z",
 "releaseVersion":"4.1.9","schemaVersion":"s","partitioner":"org.apache.cassandra.dht.Murmur3Partitioner",
 "ownership":"all","options":{"nullToken":"\\N"},"fingerprint":"f","sourceFingerprint":"g",
 "tables":[{"keyspace":"ks","table":"t","tableId":"5a1c395e-b41f-11e5-9f22-ba0be0483c18",
   "columns":[{"name":"pk","type":"int","kind":"partition_key","maxBytes":4,"maxDigits":null,"maxScale":null,"nonFinite":0}],
   "ranges":[{"start":"-9223372036854775808","end":"9223372036854775807"}],
   "rows":3,"digest":"000000000000000000000000000000ff",
   "files":[{"name":"ks/t/LOAD00000001.csv","bytes":105,"rows":3,"crc64nvme":"x","digest":"000000000000000000000000000000ff",
     "range":{"start":"-9223372036854775808","end":"9223372036854775807"}}],
   "sources":[{"path":"t-1/nb-1-big-Data.db","format":"nb","bytes":9,"partitions":2,"commitLogIntervals":[[[1,2],[3,4]]],
     "originatingHostId":"h","repairedAt":0}],
   "counters":{"textEqualToNullToken":0,"nonFiniteNumbers":0,"numbersOver38Digits":0,"itemsOver400KB":0,"keysShortened":0,
     "rowsMixedTtl":0,"negativeZero":2}}],
 "excluded":[{"keyspace":"ks","table":"v","why":"materialized view"}],"complete":true}"#;

#[test]
fn a_manifest_has_the_names_of_the_reference_and_reads_back() {
    let manifest: Manifest = read_json("manifest.json", SAMPLE.as_bytes()).unwrap();
    let table = &manifest.tables[0];
    assert_eq!(table.ranges[0].to_range(), Some(TokenRange::ALL));
    assert_eq!(table.digest, RecordDigest(255));
    assert_eq!(table.counters.more["negativeZero"], 2);
    assert_eq!(table.sources[0].commit_log_intervals, [((1, 2), (3, 4))]);
    let written = write_json(&manifest).unwrap();
    let (ours, reference): (serde_json::Value, serde_json::Value) =
        (serde_json::from_slice(&written).unwrap(), serde_json::from_str(SAMPLE).unwrap());
    assert_eq!(ours, reference);
    let text = String::from_utf8(written).unwrap();
    assert!(text.starts_with("{\n  \"formatVersion\": 1,\n  \"tool\": "), "{text}");
    assert!(text.ends_with("\n  \"complete\": true\n}\n"), "{text}");
    assert!(text.find("\"excluded\"") > text.find("\"tables\""), "the order of the structure");
}

#[test]
fn files_of_another_version_or_with_other_content_are_refused() {
    let newer = SAMPLE.replace("\"formatVersion\":1", "\"formatVersion\":2");
    // The version is looked at first: the rest may be quite different.
    for (text, words) in [
        (newer.as_str(), "has format version 2, this program reads 1"),
        (r#"{"formatVersion":9,"new":[]}"#, "has format version 9"),
        ("{}", "is not what cassport wrote there"),
        (r#"{"formatVersion":1}"#, "is not what cassport wrote there"),
        ("", "is not what cassport wrote there"),
        (&SAMPLE.replace("0000ff\"", "00ff\""), "is not a digest"),
        (&SAMPLE.replace("\"partition_key\"", "\"other\""), "is not what cassport wrote there"),
    ] {
        let error = read_json::<Manifest>("out/manifest.json", text.as_bytes()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Output);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().starts_with("out/manifest.json"), "{error}");
    }
}

#[test]
fn digests_do_not_depend_on_order_or_on_files() {
    let records: [&[u8]; 4] = [b"a,1", b"b,2", b"", b"a,1"];
    let mut one = RecordDigest::default();
    records.iter().for_each(|record| one.add_record(record));
    let (mut first, mut second) = (RecordDigest::default(), RecordDigest::default());
    second.add_record(records[3]);
    second.add_record(records[2]);
    first.add_record(records[1]);
    first.add_record(records[0]);
    first.merge(second);
    assert_eq!(one, first);
    // XXH3-128 of the empty input, from its reference implementation.
    let mut empty = RecordDigest::default();
    empty.add_record(b"");
    assert_eq!(empty.to_string(), "99aa06d3014798d86001c324468d497f");
    let mut wrapped = RecordDigest(u128::MAX);
    wrapped.merge(RecordDigest(2));
    assert_eq!(wrapped, RecordDigest(1));
}

#[test]
fn column_statistics_keep_the_greatest() {
    let stats = |max_bytes, max_digits, max_integer_digits, max_scale, non_finite| ColumnStats {
        max_bytes,
        max_digits,
        max_integer_digits,
        max_scale,
        non_finite,
    };
    let merged = |mut a: ColumnStats, b: ColumnStats| {
        a.merge(&b);
        a
    };
    let none = ColumnStats::default();
    let (a, b) = (stats(3, Some(4), Some(2), Some(2), 1), stats(2, Some(9), Some(9), None, 4));
    assert_eq!(merged(a, b), stats(3, Some(9), Some(9), Some(2), 5));
    assert_eq!(merged(a, none), a);
    assert_eq!(merged(none, a), a);
    let unsaid = stats(1, Some(7), None, None, 0);
    assert_eq!(merged(a, unsaid).max_integer_digits, None);
    assert_eq!(merged(unsaid, a).max_integer_digits, None);
}

#[test]
fn counters_of_single_profiles_are_added_by_name() {
    let mut counters = TableCounters { keys_shortened: 1, ..TableCounters::default() };
    let mut other =
        TableCounters { keys_shortened: 2, rows_mixed_ttl: 3, ..TableCounters::default() };
    other.more.insert("negativeZero".into(), 4);
    counters.merge(&other);
    counters.merge(&other);
    assert_eq!((counters.keys_shortened, counters.rows_mixed_ttl), (5, 6));
    assert_eq!(counters.more["negativeZero"], 8);
}

#[test]
fn ranges_that_are_none_are_recognised() {
    let interval = |start: &str, end: &str| TokenInterval { start: start.into(), end: end.into() };
    assert_eq!(TokenInterval::from(TokenRange::ALL).to_range(), Some(TokenRange::ALL));
    assert_eq!(interval("5", "4").to_range(), None);
    assert_eq!(interval("0", "9223372036854775808").to_range(), None);
    assert_eq!(interval("", "1").to_range(), None);
}
