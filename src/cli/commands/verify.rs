//! `cassport verify`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use crate::cli::report::amount;
use crate::cli::verify_args::{VerifyOptions, VerifyWhat};
use crate::cli::{ExitCode, Ui};
use crate::error::{Error, Result};
use crate::store::s3::S3Options;
use crate::store::{Location, Store, open};
use crate::verify::{
    AgainstReport, Check, Finding, OutputReport, Side, SourceReport, SstableChecks, verify_against,
    verify_output, verify_source,
};

/// Prints what was found. Differences are exit code 5, inputs that cannot be read 3.
pub fn run(options: &VerifyOptions, ui: &Ui) -> Result<ExitCode> {
    let cancel = ui.cancel()?;
    let events = ui.events();
    let (printed, code) = match &options.what {
        VerifyWhat::Source(source) => {
            let report = verify_source(source, events.as_ref(), &cancel)?;
            let code = code(report.has_findings(), report.is_unreadable());
            let printed = if options.json { source_json(&report)? } else { source_text(&report) };
            (printed, code)
        }
        VerifyWhat::Output(location, s3, output) => {
            let store = existing(location, s3)?;
            store.stop_on(&cancel);
            let report = verify_output(&*store, output, events.as_ref(), &cancel)?;
            let code = code(!report.findings.is_empty(), false);
            (if options.json { document(&report)? } else { output_text(&report) }, code)
        }
        VerifyWhat::Against(location, s3, against) => {
            let store = existing(location, s3)?;
            store.stop_on(&cancel);
            let report = verify_against(&*store, against, events.as_ref(), &cancel)?;
            let code = code(report.has_findings(), !report.unreadable.is_empty());
            (if options.json { document(&report)? } else { against_text(&report) }, code)
        }
    };
    ui.close();
    ui.print(&printed)?;
    Ok(code)
}

/// What differs is certain; what could not be read may be anything.
fn code(different: bool, unreadable: bool) -> ExitCode {
    match (different, unreadable) {
        (true, _) => ExitCode::DIFFERENT,
        (false, true) => ExitCode::INPUT,
        (false, false) => ExitCode::COMPLETE,
    }
}

fn existing(location: &Location, s3: &S3Options) -> Result<Arc<dyn Store>> {
    // Opening a store makes its directory: a mistyped name must not leave one behind.
    if !location.may_exist() {
        return Err(Error::Missing {
            what: format!("{location} is not a directory"),
            hint: Some("give the --output of the extract".to_owned()),
        });
    }
    open(location, s3)
}

fn document<T: Serialize>(value: &T) -> Result<String> {
    let mut json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::Bug(format!("the report is no JSON: {error}")))?;
    json.push('\n');
    Ok(json)
}

fn source_json(report: &SourceReport) -> Result<String> {
    let check = |check: &Check| {
        json!({
            "check": check.kind, "result": check.word(), "findings": check.findings,
            "more": check.more, "notPossible": check.not_possible,
        })
    };
    let sstable = |found: &SstableChecks| {
        json!({
            "table": found.table, "file": found.file, "partitions": found.partitions,
            "rows": found.rows, "checks": found.checks.iter().map(check).collect::<Vec<_>>(),
        })
    };
    let unsupported: Vec<_> =
        report.unsupported.iter().map(|(file, why)| json!({"file": file, "why": why})).collect();
    document(&json!({
        "sound": !report.has_findings() && !report.is_unreadable(),
        "sstables": report.sstables.iter().map(sstable).collect::<Vec<_>>(),
        "unsupported": unsupported,
    }))
}

fn place(finding: &Finding) -> String {
    let mut text = finding.file.display().to_string();
    if let Some(offset) = finding.offset {
        text.push_str(&format!(" at {offset}"));
    }
    if let Some(key) = &finding.partition_key {
        text.push_str(&format!(", partition key {key}"));
    }
    text
}

/// Adds a line.
macro_rules! line {
    ($out:expr, $($words:tt)*) => {{
        $out.push_str(&format!($($words)*));
        $out.push('\n');
    }};
}

fn source_text(report: &SourceReport) -> String {
    let mut out = String::new();
    let (mut sound, mut rows) = (0_u64, 0);
    for found in &report.sstables {
        rows += found.rows;
        let made = found.checks.iter().filter(|check| check.not_possible.is_none()).count() as u64;
        let is_sound = !found.has_findings() && !found.is_unreadable();
        sound += u64::from(is_sound);
        let word = match (found.has_findings(), is_sound) {
            (true, _) => "FAILED",
            (false, true) => "ok",
            (false, false) => "unreadable",
        };
        line!(
            out,
            "{}  {}: {word} ({}, {}, {})",
            found.table,
            found.file.display(),
            amount(made, "check"),
            amount(found.partitions, "partition"),
            amount(found.rows, "row"),
        );
        for check in found.checks.iter().filter(|check| !check.is_ok()) {
            let name = check.kind.as_str();
            for finding in &check.findings {
                line!(out, "  failed        {name}: {}", place(finding));
                line!(out, "                {}", finding.cause);
            }
            if check.more > 0 {
                line!(out, "                and {} more", check.more);
            }
            if let Some(why) = &check.not_possible {
                let word = if check.unreadable { "unreadable  " } else { "not possible" };
                line!(out, "  {word}  {name}: {}", why.replace('\n', " "));
            }
        }
    }
    for (file, why) in &report.unsupported {
        line!(out, "{}: unreadable, its format is {why}", file.display());
    }
    let all = (report.sstables.len() + report.unsupported.len()) as u64;
    line!(out, "{sound} of {} are sound; {} read", amount(all, "SSTable"), amount(rows, "row"));
    out
}

fn output_text(report: &OutputReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        line!(out, "{}: {}", finding.object, finding.cause);
    }
    let found = match report.findings.len() {
        0 => "as the manifests say".to_owned(),
        count => amount(count as u64, "difference"),
    };
    line!(
        out,
        "{} of {} with {}: {found}; checksums of {} compared, {} read",
        amount(report.files, "file"),
        amount(report.agents, "agent"),
        records(report.rows, report.deletions),
        report.checksums,
        report.read
    );
    if report.checksums < report.files && report.findings.is_empty() {
        line!(out, "the store keeps no checksums: --full reads the files");
    }
    out
}

/// `2 rows`, `2 rows and 1 deletion`.
fn records(rows: u64, deletions: u64) -> String {
    let rows = amount(rows, "row");
    match deletions {
        0 => rows,
        deletions => format!("{rows} and {}", amount(deletions, "deletion")),
    }
}

fn against_text(report: &AgainstReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        line!(out, "{}: {}", finding.object, finding.cause);
    }
    for words in &report.unreadable {
        line!(out, "cannot be read: {words}");
    }
    for found in &report.different {
        line!(
            out,
            "{}, tokens ({}, {}]: the source has {}, the output {}",
            found.table,
            found.start,
            found.end,
            amount(found.source_rows, "row"),
            found.output_rows
        );
        if found.source_deletions.max(found.output_deletions) > 0 {
            let source = amount(found.source_deletions, "deletion");
            line!(out, "  and the source has {source}, the output {}", found.output_deletions);
        }
        line!(out, "  digests {} and {}", found.source_digest, found.output_digest);
        for file in &found.files {
            line!(out, "  {file}");
        }
        for (side, record) in &found.differing {
            let word = match side {
                Side::Source => "source",
                Side::Output => "output",
            };
            line!(out, "  {word}  {record}");
        }
    }
    let verdict = match (report.has_findings(), report.unreadable.is_empty()) {
        (true, _) => "they differ",
        (false, false) => "not all could be compared",
        (false, true) => "source and output are the same",
    };
    line!(
        out,
        "{}, {}, {}: {verdict}",
        amount(report.tables, "table"),
        amount(report.ranges, "range"),
        records(report.rows, report.deletions)
    );
    out
}
