//! Profiles with types of their own: every row of every committed corpus, read back from Parquet and from DynamoDB JSON and
//! compared with Cassandra's answer, write times and TTLs included; and items of shape `dms` with the CSV of profile `dms`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::corpora::{
    Tally, answer, compare_rows_by, corpora, described, extract_corpus, lines, may_hold, same,
};
use crate::support::{Json, cassport, run};

/// The files of a table's rows, in their order.
fn files(output: &Path, keyspace: &str, table: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(output.join(keyspace).join(table)) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.file_name().unwrap() != "_SUCCESS");
    files.sort();
    files
}

/// `2020-01-02 03:04:05.678Z`, with a sign before years of other than four digits.
fn instant(millis: i64, separator: char) -> String {
    let (day, rest) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    format!(
        "{}{separator}{:02}:{:02}:{:02}.{:03}Z",
        date(day),
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000
    )
}

/// Year, month and day (Howard Hinnant's algorithm).
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

fn date(day: i64) -> String {
    let (year, month, day) = civil(day);
    let sign = if year < 0 {
        "-"
    } else if year > 9999 {
        "+"
    } else {
        ""
    };
    format!("{sign}{:04}-{month:02}-{day:02}", year.abs())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn float(value: f64, text: String) -> Json {
    match value {
        value if value.is_nan() => Json::Text("NaN".into()),
        f64::INFINITY => Json::Text("Infinity".into()),
        f64::NEG_INFINITY => Json::Text("-Infinity".into()),
        _ => Json::Number(text),
    }
}

/// A value of Parquet as `jsonl` has it, as far as its type says.
fn of_parquet(array: &dyn Array, row: usize) -> Json {
    let number = |value: String| Json::Number(value);
    if array.is_null(row) {
        return Json::Null;
    }
    match array.data_type() {
        DataType::Boolean => Json::Bool(array.as_boolean().value(row)),
        DataType::Int8 => number(array.as_primitive::<Int8Type>().value(row).to_string()),
        DataType::Int16 => number(array.as_primitive::<Int16Type>().value(row).to_string()),
        DataType::Int32 => number(array.as_primitive::<Int32Type>().value(row).to_string()),
        DataType::Int64 => number(array.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(value.into(), value.to_string())
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(value, value.to_string())
        }
        DataType::Decimal128(..) => {
            Json::Number(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Date32 => Json::Text(date(array.as_primitive::<Date32Type>().value(row).into())),
        DataType::Timestamp(..) => {
            let millis = array.as_primitive::<TimestampMillisecondType>().value(row);
            match instant(millis, ' ') {
                text if text.starts_with(['+', '-']) || text.starts_with("0000") => {
                    Json::Number(millis.to_string())
                }
                text => Json::Text(text),
            }
        }
        DataType::Utf8 => Json::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Json::Text(hex(array.as_binary::<i32>().value(row))),
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            Json::Array((0..elements.len()).map(|i| of_parquet(&elements, i)).collect())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry = |i| (key_text(&of_parquet(keys, i)), of_parquet(values, i));
            Json::Object((0..entries.len()).map(entry).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let values = columns.iter().map(|column| of_parquet(column, row));
            if fields.first().is_some_and(|field| field.name() == "_1") {
                return Json::Array(values.collect());
            }
            Json::Object(fields.iter().map(|field| field.name().clone()).zip(values).collect())
        }
        other => panic!("no column of ours is {other}"),
    }
}

/// What a map's key is in JSON.
fn key_text(key: &Json) -> String {
    match key {
        Json::Text(text) | Json::Number(text) => text.clone(),
        Json::Bool(truth) => truth.to_string(),
        nested => json_text(nested),
    }
}

fn json_text(value: &Json) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    match value {
        Json::Null => "null".into(),
        Json::Bool(truth) => truth.to_string(),
        Json::Number(number) => number.clone(),
        Json::Text(text) => quoted(text),
        Json::Array(elements) => {
            format!("[{}]", elements.iter().map(json_text).collect::<Vec<_>>().join(","))
        }
        Json::Object(members) => {
            let member =
                |(name, value): &(String, Json)| format!("{}:{}", quoted(name), json_text(value));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
        }
    }
}

/// An attribute of an item as `jsonl` has it, as far as its type says.
fn of_item(attribute: &Json) -> Json {
    let [(kind, value)] = attribute.members() else { panic!("no attribute: {attribute:?}") };
    let all = |of: &dyn Fn(&Json) -> Json| Json::Array(value.elements().iter().map(of).collect());
    match kind.as_str() {
        "S" => value.clone(),
        "N" => Json::Number(value.text().to_owned()),
        "BOOL" => value.clone(),
        "NULL" => Json::Null,
        "B" => Json::Text(hex(&base64(value.text()))),
        "L" => all(&of_item),
        "M" => Json::Object(
            value.members().iter().map(|(name, value)| (name.clone(), of_item(value))).collect(),
        ),
        "SS" => value.clone(),
        "NS" => all(&|number| Json::Number(number.text().to_owned())),
        "BS" => all(&|bytes| Json::Text(hex(&base64(bytes.text())))),
        other => panic!("DynamoDB has no type {other}"),
    }
}

fn base64(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}

/// The columns by the names that the answers have, write times and TTLs by those of CQL; what is absent is null.
fn with_names_of_cql(table: &Json, row: Vec<(String, Json)>) -> Json {
    let mut renamed: Vec<(String, Json)> = row
        .into_iter()
        .map(|(name, value)| {
            let of = |prefix: &str| name.strip_prefix(prefix).map(str::to_owned);
            match (of("cp_writetime_"), of("cp_ttl_")) {
                (Some(column), _) => (format!("writetime({column})"), value),
                (_, Some(column)) => (format!("ttl({column})"), value),
                _ => (name, value),
            }
        })
        .collect();
    for (column, _) in table.get("columns").unwrap().members() {
        for name in [column.clone(), format!("writetime({column})"), format!("ttl({column})")] {
            let lower = name.to_lowercase();
            match renamed.iter_mut().find(|(found, _)| *found == name || *found == lower) {
                Some((found, _)) => *found = name,
                None => renamed.push((name, Json::Null)),
            }
        }
    }
    Json::Object(renamed)
}

fn parquet_rows(output: &Path, table: &Json) -> Vec<Json> {
    let text = |name: &str| table.get(name).unwrap().text();
    let mut rows = Vec::new();
    for file in files(output, text("keyspace"), text("table")) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch: RecordBatch = batch.unwrap();
            let schema = batch.schema();
            for row in 0..batch.num_rows() {
                let values = batch.columns().iter().map(|column| of_parquet(column, row));
                let names = schema.fields().iter().map(|field| field.name().clone());
                rows.push(with_names_of_cql(table, names.zip(values).collect()));
            }
        }
    }
    rows
}

fn items(output: &Path, table: &Json) -> Vec<Json> {
    let text = |name: &str| table.get(name).unwrap().text();
    files(output, text("keyspace"), text("table"))
        .iter()
        .flat_map(|file| {
            lines(&std::fs::read_to_string(file).unwrap())
                .map(|line| line.get("Item").unwrap().clone())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What Parquet has for it.
fn same_in_parquet(cql_type: &str, expected: &Json, got: &Json) -> bool {
    match (expected, got) {
        // Numbers without a greatest precision are text.
        (Json::Number(a), Json::Text(b)) => a == b && may_hold(cql_type, &["decimal", "varint"]),
        // Values of no bytes.
        (Json::Text(a), Json::Null) => a.is_empty() && cql_type != "text" && cql_type != "ascii",
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_in_parquet(cql_type, a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((x, a), (y, b))| {
                    same_key(same_in_parquet, cql_type, x, y) && same_in_parquet(cql_type, a, b)
                })
        }
        (a, b) => same(cql_type, a, b),
    }
}

/// Keys of maps that are JSON themselves are compared as JSON.
fn same_key(
    values: fn(&str, &Json, &Json) -> bool,
    cql_type: &str,
    expected: &str,
    got: &str,
) -> bool {
    let nested = |text: &str| text.starts_with(['[', '{']);
    if expected != got && nested(expected) && nested(got) && cql_type.contains("map<") {
        return values(cql_type, &Json::parse(expected), &Json::parse(got));
    }
    values(cql_type, &Json::Text(expected.into()), &Json::Text(got.into()))
}

/// What items have for it.
fn same_in_items(cql_type: &str, expected: &Json, got: &Json) -> bool {
    let is_timestamp = || may_hold(cql_type, &["timestamp"]);
    match (expected, got) {
        (Json::Number(a), Json::Text(b)) => {
            let at = |text: &String| text.parse().is_ok_and(|millis| instant(millis, 'T') == *b);
            a == b
                || is_timestamp() && at(a)
                // Floats out of the range of its numbers.
                || same(cql_type, &Json::Text(a.clone()), got)
        }
        (Json::Text(a), Json::Null) => a.is_empty() && cql_type != "text" && cql_type != "ascii",
        // A set without members is absent.
        (Json::Array(a), Json::Null) => a.is_empty() && cql_type.contains("set<"),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_in_items(cql_type, a, b))
        }
        // Null fields are absent.
        (Json::Object(a), Json::Object(b)) => {
            let mut found = b.iter().peekable();
            let each = a.iter().all(|(x, a)| match found.peek() {
                Some((y, b)) if same_key(same_in_items, cql_type, x, y) => {
                    found.next();
                    same_in_items(cql_type, a, b)
                }
                _ => *a == Json::Null,
            });
            each && found.next().is_none()
        }
        // A map with an empty key; keys that are nested values.
        (Json::Object(_) | Json::Array(_), Json::Text(b)) => {
            same(cql_type, expected, &Json::parse(b))
        }
        (Json::Text(a), Json::Text(b)) => {
            same(cql_type, expected, got)
                || is_timestamp() && (a.replacen(' ', "T", 1) == *b)
                || is_timestamp() && a.parse().is_ok_and(|millis| instant(millis, 'T') == *b)
        }
        (a, b) => same(cql_type, a, b),
    }
}

/// True if the row has a timestamp that is no microseconds in 64 bits, as far as its columns say.
fn is_beyond_micros(table: &Json, row: &Json) -> bool {
    fn holds(value: &Json) -> bool {
        match value {
            Json::Number(text) => {
                text.parse::<i64>().is_ok_and(|n| n.unsigned_abs() > 9_223_372_036_854_775)
            }
            Json::Array(elements) => elements.iter().any(holds),
            Json::Object(members) => members.iter().any(|(key, value)| {
                holds(value)
                    || holds(&Json::Number(key.clone()))
                    || key.starts_with(['[', '{']) && holds(&Json::parse(key))
            }),
            _ => false,
        }
    }
    let columns = table.get("columns").unwrap().members();
    columns.iter().any(|(column, cql_type)| {
        may_hold(cql_type.text(), &["timestamp"]) && row.get(column).is_some_and(holds)
    })
}

/// The answer without the rows that the run refused: those that are missing among `got`, and may be.
fn accepted(table: &Json, answer: Vec<Json>, got: &[Json]) -> (Vec<Json>, usize) {
    let mut missing = answer.len().checked_sub(got.len()).expect("rows too many");
    let refused = missing;
    let mut kept: Vec<Json> = Vec::new();
    for line in answer {
        let row = line.get("row").unwrap();
        let is_next = || {
            let mut tally = Tally::default();
            let next = got.get(kept.len()).map(std::slice::from_ref).unwrap_or_default();
            compare_rows_by(same_in_parquet, table, std::slice::from_ref(&line), next, &mut tally);
            tally.different.is_empty()
        };
        if missing > 0 && is_beyond_micros(table, row) && !is_next() {
            missing -= 1;
        } else {
            kept.push(line);
        }
    }
    (kept, refused)
}

/// Extracts a corpus; 1 is the code of a run that refused rows.
fn extract(corpus: &Path, description: &Json, profile: &str, more: &[&str], output: &Path) -> u64 {
    let mut command = extract_corpus(corpus, description, profile, output);
    command.args(more);
    let ended = command.output().unwrap();
    let code = ended.status.code();
    assert!(
        matches!(code, Some(0 | 1)),
        "{}: {code:?}\n{}",
        corpus.display(),
        String::from_utf8_lossy(&ended.stderr)
    );
    let report = std::fs::read_to_string(output.join("_cassport/agents/000/report.json")).unwrap();
    let report = Json::parse(&report);
    let refused = report.get("total").unwrap().get("rowsQuarantined").unwrap();
    let Json::Number(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(code == Some(1), refused != "0", "{report:?}");
    refused.parse().unwrap()
}

fn finish(what: &str, tally: &Tally) {
    println!("{what}: {} rows, {} cells compared", tally.rows, tally.cells);
    assert!(tally.cells > 0);
    assert!(
        tally.different.is_empty(),
        "{} cells differ:\n{}",
        tally.different.len(),
        tally.different.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn parquet_holds_what_cassandra_would_answer() {
    let mut tally = Tally::default();
    for corpus in corpora() {
        let description = described(&corpus);
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out");
        let refused = extract(&corpus, &description, "parquet", &[], &output);
        let mut expected_refused = 0;
        for table in description.get("tables").unwrap().elements() {
            let got = parquet_rows(&output, table);
            let (answer, out) = accepted(table, answer(&corpus, table), &got);
            expected_refused += out;
            compare_rows_by(same_in_parquet, table, &answer, &got, &mut tally);
        }
        assert_eq!(refused, expected_refused as u64, "{}", corpus.display());
        let mut verify = cassport(["verify", "--full", "--output"]);
        verify.arg(&output);
        run(verify, 0);
    }
    finish("parquet", &tally);
}

/// Keys of all items of a table by its import request, which must all be distinct.
fn check_keys(output: &Path, table: &Json, items: &[Json]) {
    let text = |name: &str| table.get(name).unwrap().text();
    let name = format!("{}.{}", text("keyspace"), text("table"));
    let request = output.join(format!("_cassport/{name}.import-table.json"));
    let request = Json::parse(&std::fs::read_to_string(request).unwrap());
    let parameters = request.get("TableCreationParameters").unwrap();
    let keys: Vec<(&str, &str)> = parameters
        .get("AttributeDefinitions")
        .unwrap()
        .elements()
        .iter()
        .map(|definition| {
            let of = |name: &str| definition.get(name).unwrap().text();
            (of("AttributeName"), of("AttributeType"))
        })
        .collect();
    let mut seen = BTreeSet::new();
    for item in items {
        let key: Vec<&str> = keys
            .iter()
            .map(|(name, kind)| {
                let attribute = item.get(name).unwrap_or_else(|| panic!("{name} in {item:?}"));
                let value = attribute.get(kind).unwrap_or_else(|| panic!("{kind}: {attribute:?}"));
                assert!(!value.text().is_empty(), "{item:?}");
                value.text()
            })
            .collect();
        assert!(seen.insert(key.clone()), "{name}: two items with key {key:?}");
    }
}

#[test]
fn items_hold_what_cassandra_would_answer() {
    let mut tally = Tally::default();
    for corpus in corpora() {
        let description = described(&corpus);
        let directory = tempfile::tempdir().unwrap();
        for keys in ["auto", "composite"] {
            let output = directory.path().join(keys);
            let refused =
                extract(&corpus, &description, "ddb-json", &["--ddb-keys", keys], &output);
            assert_eq!(refused, 0, "{}", corpus.display());
            for table in description.get("tables").unwrap().elements() {
                let items = items(&output, table);
                check_keys(&output, table, &items);
                let of = |item: &Json| {
                    let members = item.members().iter();
                    let row = members.map(|(name, value)| (name.clone(), of_item(value)));
                    with_names_of_cql(table, row.collect())
                };
                let got: Vec<Json> = items.iter().map(of).collect();
                compare_rows_by(same_in_items, table, &answer(&corpus, table), &got, &mut tally);
            }
        }
    }
    finish("ddb-json", &tally);
}

#[test]
fn typed_outputs_are_verified_against_their_manifests_and_their_source() {
    let corpus = crate::support::repository("testdata/4.0");
    let description = described(&corpus);
    for (profile, more) in [("parquet", "snappy"), ("ddb-json", "gzip")] {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out");
        extract(&corpus, &description, profile, &["--compression", more], &output);
        let verify = |code| {
            let mut verify = cassport(["verify", "--full", "--output"]);
            verify.arg(&output);
            String::from_utf8(run(verify, code).stdout).unwrap()
        };
        verify(0);
        let mut against = cassport(["verify", "--against"]);
        against.arg(&output).arg("--data-dir").arg(corpus.join("data"));
        run(against, 0);
        let table = &description.get("tables").unwrap().elements()[0];
        let text = |name: &str| table.get(name).unwrap().text();
        let file = &files(&output, text("keyspace"), text("table"))[0];
        let whole = std::fs::read(file).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        std::fs::write(file, &damaged).unwrap();
        assert!(verify(5).contains("CRC64NVME"), "{profile}");
        std::fs::write(file, &whole[..whole.len() - 1]).unwrap();
        verify(5);
        if profile == "ddb-json" {
            let name = format!("{}.{}", text("keyspace"), text("table"));
            let request = output.join(format!("_cassport/{name}.import-table.json"));
            let request = std::fs::read_to_string(request).unwrap();
            assert!(request.contains(r#""InputCompressionType": "GZIP""#), "{request}");
        } else {
            let folder = output.join(text("keyspace")).join(text("table"));
            assert!(folder.join("_SUCCESS").exists());
        }
    }
}
