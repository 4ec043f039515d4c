//! The last words of a run: what was written, what was not, and what to do next.

use std::time::Duration;

use super::loaders::{Look, Written, next};
use super::progress::per_second;
use super::units::{human_bytes, human_count};
use crate::extract::OutputTarget;
use crate::output::manifest::Manifest;
use crate::output::names::agent_file;
use crate::progress::{CommitLogReport, Report};

/// Tables and damages listed one by one; the report has them all.
const MAX_LISTED: usize = 20;

/// The tables of an agent's manifest.
pub fn written(manifest: &Manifest) -> Vec<Written> {
    manifest.tables.iter().map(Written::of_agent).collect()
}

/// How an extract ended.
#[derive(Debug)]
pub struct Ending<'a> {
    /// Where it wrote.
    pub output: &'a OutputTarget,
    /// How the files look.
    pub look: Look,
    /// The tables.
    pub tables: &'a [Written],
    /// The books.
    pub report: &'a Report,
    /// How long it took.
    pub elapsed: Duration,
    /// Nothing was done, as a former run had done it all.
    pub already_complete: bool,
    /// What needs the whole was written too: this was the only agent.
    pub sealed: bool,
}

/// The last words.
pub fn words(ending: &Ending<'_>) -> String {
    let mut lines = Vec::new();
    if ending.already_complete {
        lines.push("already complete: a former run of the same command did it all".to_owned());
    }
    tables(ending.tables, &mut lines);
    totals(ending, &mut lines);
    lost(ending.report, &mut lines);
    lines.extend(ending.report.commit_logs.iter().map(commit_log));
    not_read(ending.report, &mut lines);
    if let OutputTarget::Store(location) = ending.output {
        let report = location.join(&agent_file(ending.report.agent, "report.json"));
        lines.push(format!("report: {report}"));
        if ending.sealed {
            next(ending.look, ending.tables, location, &mut lines);
        } else {
            lines
                .push(format!("next, when all agents are done: cassport seal --output {location}"));
        }
    }
    lines.join("\n")
}

fn tables(tables: &[Written], lines: &mut Vec<String>) {
    let name = |table: &Written| format!("{}.{}", table.keyspace, table.table);
    let shown = tables.get(..tables.len().min(MAX_LISTED)).unwrap_or_default();
    let width = shown.iter().map(|table| name(table).chars().count()).max().unwrap_or(0);
    for table in shown {
        let deletions = table
            .deletions
            .map_or(String::new(), |deletions| format!("  {:>12}", amount(deletions, "deletion")));
        lines.push(format!(
            "{:<width$}  {:>9}  {:>9}  {:>9}{deletions}",
            name(table),
            amount(table.rows, "row"),
            amount(table.files, "file"),
            human_bytes(table.bytes),
        ));
    }
    if tables.len() > shown.len() {
        lines.push(format!("and {} tables more", tables.len() - shown.len()));
    }
}

fn totals(ending: &Ending<'_>, lines: &mut Vec<String>) {
    let sum = |of: fn(&Written) -> u64| ending.tables.iter().map(of).sum::<u64>();
    let place = match ending.output {
        OutputTarget::Store(location) => format!("in {location}"),
        OutputTarget::Stdout => "on standard output".to_owned(),
        OutputTarget::Discard => "written nowhere".to_owned(),
    };
    let profile = ending.look.profile.as_str();
    // Without a manifest there are no files to count: the books know the rows.
    let (rows, tables, content) = match ending.output {
        OutputTarget::Store(_) => {
            let bytes = human_bytes(sum(|table| table.bytes));
            (sum(|table| table.rows), ending.tables.len(), format!("{bytes}, profile {profile}"))
        }
        OutputTarget::Stdout | OutputTarget::Discard => {
            let report = ending.report;
            (report.total.records_emitted, report.tables.len(), format!("profile {profile}"))
        }
    };
    let mut line = format!(
        "{} of {} {place} ({content})",
        amount(rows, "row"),
        amount(tables as u64, "table")
    );
    if !ending.already_complete {
        let read = ending.report.total.bytes_read;
        line.push_str(&format!(
            "; {} read in {}, {}/s",
            human_bytes(read),
            human_duration(ending.elapsed),
            human_bytes(per_second(read, ending.elapsed)),
        ));
    }
    lines.push(line);
}

fn lost(report: &Report, lines: &mut Vec<String>) {
    if !report.balanced {
        lines.push("the books do not balance, which is a bug: please report it".to_owned());
        lines.extend(report.imbalances.iter().map(|words| format!("  {words}")));
    }
    if report.is_whole() {
        return;
    }
    lines.push(format!(
        "NOT COMPLETE: {} skipped, {} and {} chunks lost",
        amount(report.quarantine.len() as u64, "place"),
        amount(report.total.rows_quarantined, "row"),
        report.total.chunks_failed,
    ));
    for table in &report.tables {
        for (counter, rows) in &table.refused {
            lines.push(format!("  {}.{}: {counter} {rows}", table.keyspace, table.table));
        }
    }
    for damage in report.quarantine.iter().take(MAX_LISTED) {
        let file = damage.file.as_deref().map_or(String::new(), |file| format!(", {file}"));
        lines.push(format!("  {}{file}: {}", damage.table, damage.cause));
    }
    if report.quarantine.len() > MAX_LISTED {
        lines.push(format!("  and {} more in the report", report.quarantine.len() - MAX_LISTED));
    }
}

fn commit_log(log: &CommitLogReport) -> String {
    let node = log.node.as_deref().map_or(String::new(), |node| format!(" of {node}"));
    let end = log.read_to.map_or(String::new(), |(segment, at)| format!(" up to {segment}:{at}"));
    format!(
        "commit log{node}: {} that no SSTable has, from {}{end}",
        amount(log.updates_taken, "update"),
        amount(log.segments.len() as u64, "segment"),
    )
}

fn not_read(report: &Report, lines: &mut Vec<String>) {
    let counts = &report.not_read;
    let seen: Vec<String> = [
        (counts.hints, "files of hints"),
        (counts.batchlog, "partitions of the batch log"),
        (counts.paxos, "partitions of the Paxos state"),
        (counts.unflushed_segments, "commit-log segments newer than the SSTables"),
        (counts.indexes, "index tables"),
        (counts.index_components, "files of attached indexes"),
        (counts.views, "materialized views"),
        (counts.unknown_table_ids, "tables that the schema does not have"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{what} {count}"))
    .collect();
    if !seen.is_empty() {
        lines.push(format!("seen but not read: {}", seen.join(", ")));
    }
    if counts.unflushed_segments > 0 {
        lines.push(
            "what was not flushed is missing: --commitlog-dir lays the commit log over the SSTables"
                .to_owned(),
        );
    }
}

/// `1 row`, `2 rows`.
pub(in crate::cli) fn amount(count: u64, what: &str) -> String {
    format!("{} {what}{}", human_count(count), if count == 1 { "" } else { "s" })
}

fn human_duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    match seconds {
        0..10 => format!("{}.{} s", seconds, elapsed.subsec_millis() / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Compression, MetadataMode, Profile};
    use crate::progress::{Books, NotRead, Quarantine, TableReport};
    use crate::store::Location;

    fn table(name: &str, rows: u64) -> Written {
        Written {
            keyspace: "shop".into(),
            table: name.into(),
            rows,
            files: rows.min(1),
            static_files: 0,
            columns: Vec::new(),
            deletions: None,
            bytes: rows * 10,
        }
    }

    fn report(rows: u64) -> Report {
        let books = Books {
            rows_read: rows,
            rows_emitted: rows,
            records_emitted: rows,
            bytes_read: 3_000_000,
            ..Books::default()
        };
        let tables = vec![TableReport {
            keyspace: "shop".into(),
            table: "orders".into(),
            books,
            refused: Default::default(),
        }];
        Report::new(0, tables, NotRead::default())
    }

    fn said(report: &Report, change: impl FnOnce(&mut Ending<'_>)) -> String {
        let output = OutputTarget::Store(Location::Directory("/out".into()));
        let tables = [table("orders", 12), table("empty", 0)];
        let mut ending = Ending {
            output: &output,
            look: Look {
                profile: Profile::Dms,
                metadata: MetadataMode::None,
                compression: Compression::None,
            },
            tables: &tables,
            report,
            elapsed: Duration::from_millis(1500),
            already_complete: false,
            sealed: true,
        };
        change(&mut ending);
        words(&ending)
    }

    #[test]
    fn a_run_ends_with_what_was_written_and_what_comes_next() {
        assert_eq!(
            said(&report(12), |_| {}),
            "shop.orders    12 rows     1 file      120 B\n\
             shop.empty      0 rows    0 files        0 B\n\
             12 rows of 2 tables in /out (120 B, profile dms); 3.0 MB read in 1.5 s, 2.0 MB/s\n\
             report: /out/_cassport/agents/000/report.json\n\
             next: aws s3 sync /out s3://BUCKET/PREFIX\n\
             then a DMS source endpoint with /out/_cassport/s3-source-settings.json, and a task with \
             table-mappings.json and task-settings.json beside it"
        );
    }

    #[test]
    fn the_next_command_is_that_of_the_profile() {
        let text = said(&report(12), |ending| {
            ending.look.profile = Profile::Jsonl;
        });
        assert!(text.contains("/out/shop/orders/*.jsonl"), "{text}");
        static BUCKET: std::sync::LazyLock<OutputTarget> = std::sync::LazyLock::new(|| {
            OutputTarget::Store(Location::parse("s3://bucket/p".as_ref()).unwrap())
        });
        let text = said(&report(12), |ending| ending.output = &BUCKET);
        assert!(
            text.contains("report: s3://bucket/p/_cassport/agents/000/report.json\nnext: a DMS"),
            "{text}"
        );
        let text = said(&report(12), |ending| ending.sealed = false);
        assert!(text.ends_with("cassport seal --output /out"), "{text}");
        let text = said(&report(12), |ending| ending.tables = &[]);
        assert!(!text.contains("next"), "{text}");
        let text = said(&report(12), |ending| ending.output = &OutputTarget::Stdout);
        assert!(
            text.contains("\n12 rows of 1 table on standard output (profile dms); 3.0 MB"),
            "{text}"
        );
        assert!(text.ends_with("2.0 MB/s"), "{text}");
        let text = said(&report(12), |ending| ending.already_complete = true);
        assert!(text.starts_with("already complete") && !text.contains("MB/s"), "{text}");
    }

    #[test]
    fn what_was_skipped_is_said_loudly() {
        let mut report = report(12);
        report.not_read.hints = 3;
        for at in 0..25 {
            report.quarantine.push(Quarantine {
                table: "shop.orders".into(),
                file: Some("nb-1-big-Data.db".into()),
                offsets: None,
                tokens: None,
                cause: format!("checksum {at}"),
            });
        }
        let text = said(&report, |_| {});
        assert!(text.contains("\nNOT COMPLETE: 25 places skipped"), "{text}");
        assert!(
            text.contains(
                "\n  shop.orders, nb-1-big-Data.db: checksum 19\n  and 5 more in the report"
            ),
            "{text}"
        );
        assert!(text.contains("\nseen but not read: files of hints 3\n"), "{text}");
        report.balanced = false;
        assert!(said(&report, |_| {}).contains("do not balance"));
    }

    #[test]
    fn many_tables_are_cut_short() {
        let many: Vec<_> = (0..30).map(|at| table(&format!("t{at}"), 1)).collect();
        // The closure may be given any lifetime.
        let many: &'static [Written] = many.leak();
        let text = said(&report(12), |ending| ending.tables = many);
        assert!(
            text.contains("\nand 10 tables more\n") && text.contains("30 rows of 30 tables"),
            "{text}"
        );
    }

    #[test]
    fn durations_are_rounded() {
        for (seconds, text) in
            [(3, "3.0 s"), (90, "90 s"), (150, "2 min 30 s"), (7260, "2 h 1 min")]
        {
            assert_eq!(human_duration(Duration::from_secs(seconds)), text);
        }
    }
}
