//! What Cassandra would answer: every committed corpus is extracted and compared, cell for cell, with Cassandra's own answer.
//!
//! A corpus is `testdata/<line>`, or a failure of the random differential test kept under `testdata/regressions`:
//! `corpus.json`, `data/`, and per table a file of `{"row":…,"writetime":…,"ttl":…}` in the order of `SELECT`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{BTI_LINE, Json, LEGACY_LINES, LINES, cassport, repository, run};

/// Corpora of nodes that were killed, with the commit log that they left behind.
const UNFLUSHED: [&str; 2] = ["2.2-unflushed", "4.1-unflushed"];

/// All corpora, regressions included.
pub(crate) fn corpora() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = LEGACY_LINES
        .iter()
        .chain(&LINES)
        .chain([&BTI_LINE])
        .map(|line| repository("testdata").join(line))
        .collect();
    found.extend(UNFLUSHED.iter().map(|name| repository("testdata").join(name)));
    let kept = std::fs::read_dir(repository("testdata/regressions")).unwrap();
    found.extend(kept.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()));
    found.sort();
    found
}

/// True for types whose numbers may be written with other digits that read back to the same bits.
pub(crate) fn may_hold(cql_type: &str, names: &[&str]) -> bool {
    let words = cql_type.split(|c: char| !c.is_alphanumeric() && c != '_');
    const BUILT_IN: [&str; 27] = [
        "ascii",
        "bigint",
        "blob",
        "boolean",
        "counter",
        "date",
        "decimal",
        "double",
        "duration",
        "empty",
        "float",
        "inet",
        "int",
        "smallint",
        "text",
        "time",
        "timestamp",
        "timeuuid",
        "tinyint",
        "uuid",
        "varint",
        "list",
        "set",
        "map",
        "tuple",
        "frozen",
        "vector",
    ];
    words.filter(|w| !w.is_empty()).any(|word| {
        names.contains(&word)
            || !BUILT_IN.contains(&word) && !word.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Equal, but for the digits of floats and the spelling of addresses.
pub(crate) fn same(cql_type: &str, expected: &Json, got: &Json) -> bool {
    match (expected, got) {
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(cql_type, a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((x, a), (y, b))| {
                    same(cql_type, &Json::Text(x.clone()), &Json::Text(y.clone()))
                        && same(cql_type, a, b)
                })
        }
        (Json::Number(a), Json::Number(b)) => a == b || same_float(cql_type, a, b),
        (Json::Text(a), Json::Text(b)) => {
            a == b
                || same_float(cql_type, a, b)
                || may_hold(cql_type, &["inet"])
                    && matches!((a.parse::<IpAddr>(), b.parse::<IpAddr>()), (Ok(a), Ok(b)) if a == b)
                || same_inside(cql_type, a, b)
        }
        (a, b) => a == b,
    }
}

/// Keys of maps that are themselves JSON.
fn same_inside(cql_type: &str, a: &str, b: &str) -> bool {
    let both = |c| a.starts_with(c) && b.starts_with(c);
    (both('[') || both('{'))
        && cql_type.contains("map<")
        && same(cql_type, &Json::parse(a), &Json::parse(b))
}

fn same_float(cql_type: &str, a: &str, b: &str) -> bool {
    let double = || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits());
    let float = || matches!((a.parse::<f32>(), b.parse::<f32>()), (Ok(a), Ok(b)) if a.to_bits() == b.to_bits());
    may_hold(cql_type, &["double"]) && double() || may_hold(cql_type, &["float"]) && float()
}

/// What was compared.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows: usize,
    pub(crate) cells: usize,
    pub(crate) different: Vec<String>,
}

/// The documents of a file of lines.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Json> {
    text.split('\n').filter(|line| !line.is_empty()).map(Json::parse)
}

/// Cassandra's answer about a table of a corpus.
pub(crate) fn answer(corpus: &Path, table: &Json) -> Vec<Json> {
    let path = corpus.join(table.get("answers").unwrap().text());
    lines(&std::fs::read_to_string(path).unwrap()).collect()
}

/// The rows that an extract wrote of a table of a corpus.
pub(crate) fn extracted(output: &Path, table: &Json) -> Vec<Json> {
    let text = |name: &str| table.get(name).unwrap().text().to_owned();
    let directory = output.join(text("keyspace")).join(text("table"));
    let mut files: Vec<PathBuf> = match std::fs::read_dir(&directory) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    files
        .iter()
        .flat_map(|f| lines(&std::fs::read_to_string(f).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Compares rows with the answer, in its order.
pub(crate) fn compare_rows(table: &Json, expected: &[Json], got: &[Json], tally: &mut Tally) {
    compare_rows_by(same, table, expected, got, tally);
}

/// The same with a notion of equality of one's own: CQL type, what is expected, what was found.
pub(crate) fn compare_rows_by(
    same: impl Fn(&str, &Json, &Json) -> bool,
    table: &Json,
    expected: &[Json],
    got: &[Json],
    tally: &mut Tally,
) {
    let text = |name: &str| table.get(name).unwrap().text().to_owned();
    let name = format!("{}.{}", text("keyspace"), text("table"));
    if expected.len() != got.len() {
        tally.different.push(format!(
            "{name}: {} rows expected, {} found",
            expected.len(),
            got.len()
        ));
    }
    let columns = table.get("columns").unwrap().members();
    for (n, (expected, got)) in expected.iter().zip(got).enumerate() {
        tally.rows += 1;
        for (column, cql_type) in columns {
            tally.cells += 1;
            let wanted = expected.get("row").unwrap().get(column).unwrap();
            let found =
                got.get(column).unwrap_or_else(|| panic!("{name}: no column {column} in {got:?}"));
            if !same(cql_type.text(), wanted, found) {
                tally
                    .different
                    .push(format!("{name} row {n} {column}: expected {wanted:?}, found {found:?}"));
            }
            for what in ["writetime", "ttl"] {
                let Some(wanted) = expected.get(what).unwrap().get(column) else { continue };
                let found = got.get(&format!("{what}({column})"));
                if found != Some(wanted) {
                    tally.different.push(format!(
                        "{name} row {n} {what}({column}): expected {wanted:?}, found {found:?}"
                    ));
                }
            }
        }
    }
}

/// What a corpus says of itself: its clock and tables.
pub(crate) fn described(corpus: &Path) -> Json {
    Json::parse(&std::fs::read_to_string(corpus.join("corpus.json")).unwrap())
}

/// An extract of all tables of a corpus to `output`, with the times of its cells.
pub(crate) fn extract_corpus(
    corpus: &Path,
    description: &Json,
    profile: &str,
    output: &Path,
) -> Command {
    let Some(Json::Number(clock)) = description.get("clock") else {
        panic!("no clock in {}", corpus.display())
    };
    let mut command =
        cassport(["extract", "--profile", profile, "--metadata", "cell", "--now", clock.as_str()]);
    command.arg("--data-dir").arg(corpus.join("data")).arg("--output").arg(output);
    // What its node had not flushed when it was killed.
    let log = corpus.join("commitlog");
    if log.is_dir() {
        command.arg("--commitlog-dir").arg(log);
    }
    for table in description.get("tables").unwrap().elements() {
        let text = |name: &str| table.get(name).unwrap().text();
        command.arg("-t").arg(format!("{}.{}", text("keyspace"), text("table")));
    }
    command
}

fn compare_corpus(corpus: &Path) -> Tally {
    let description = described(corpus);
    let output = tempfile::tempdir().unwrap();
    run(extract_corpus(corpus, &description, "jsonl", &output.path().join("out")), 0);
    let mut tally = Tally::default();
    for table in description.get("tables").unwrap().elements() {
        let got = extracted(&output.path().join("out"), table);
        compare_rows(table, &answer(corpus, table), &got, &mut tally);
    }
    tally
}

#[test]
fn what_cassandra_would_answer() {
    let mut different = Vec::new();
    for corpus in corpora() {
        let tally = compare_corpus(&corpus);
        println!("{}: {} rows, {} cells compared", corpus.display(), tally.rows, tally.cells);
        assert!(tally.cells > 0, "{} has nothing to compare", corpus.display());
        different.extend(tally.different.into_iter().map(|d| format!("{}: {d}", corpus.display())));
    }
    assert!(different.is_empty(), "{} cells differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn the_comparison_sees_a_difference() {
    let parse = Json::parse;
    assert!(same("double", &parse("1.0E-5"), &parse("1e-5")));
    assert!(!same("decimal", &parse("1.0"), &parse("1.00")));
    assert!(!same("double", &parse("0.0"), &parse("-0.0")));
    assert!(same("list<inet>", &parse("[\"0:0:0:0:0:0:0:1\"]"), &parse("[\"::1\"]")));
    assert!(!same("text", &parse("\"0:0:0:0:0:0:0:1\""), &parse("\"::1\"")));
    assert!(!same("int", &parse("null"), &parse("0")));
}
