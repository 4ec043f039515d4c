//! The inspection for people.

use std::collections::{BTreeMap, BTreeSet};

use super::chart::{bars, group};
use super::model::{Inspection, SstableFacts, Sums, TableFacts};
use crate::cli::units::{human_bytes, human_count};
use crate::progress::UnixMillis;

const DAY: i64 = 86_400;

const SIZES: [(i64, &str); 8] = [
    (100, "to 100 B"),
    (1_000, "to 1 kB"),
    (10_000, "to 10 kB"),
    (100_000, "to 100 kB"),
    (1_000_000, "to 1 MB"),
    (10_000_000, "to 10 MB"),
    (100_000_000, "to 100 MB"),
    (1_000_000_000, "to 1 GB"),
];

/// SSTables listed per table; `--json` has them all.
const MAX_LISTED: usize = 50;

/// The whole text; `now` (seconds since 1970) tells what is due.
pub(super) fn render(inspection: &Inspection, now: i64) -> String {
    let mut lines = Vec::new();
    if let Some(release) = &inspection.node.release_version {
        let host = inspection.node.host_id.as_deref().unwrap_or("of unknown id");
        lines.push(format!("Cassandra {release}, host {host}"));
        lines.push(String::new());
    }
    for table in &inspection.tables {
        render_table(table, now, &mut lines);
        lines.push(String::new());
    }
    let total = &inspection.total;
    lines.push(format!(
        "{} tables, {} SSTables, {} on disk, {} of data, {} rows in SSTables{}",
        inspection.tables.len(),
        total.sstables,
        human_bytes(total.stored_bytes),
        human_bytes(total.data_bytes),
        human_count(total.rows),
        uncounted(total),
    ));
    let beside = [
        (inspection.hints, "files of hints"),
        (inspection.commit_log_segments, "commit-log segments (for --commitlog-dir of extract)"),
        (inspection.cdc_segments, "CDC segments"),
    ];
    let beside: Vec<String> = beside
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !beside.is_empty() {
        lines.push(format!("beside the data directories: {}", beside.join(", ")));
    }
    for orphan in &inspection.node.orphans {
        let folders: Vec<String> =
            orphan.folders.iter().map(|folder| folder.display().to_string()).collect();
        lines.push(format!(
            "orphan: {} ({} SSTables): {}",
            folders.join(", "),
            orphan.sstables,
            orphan.why
        ));
    }
    lines.extend(inspection.warnings.iter().map(|words| format!("warning: {words}")));
    if inspection.damage.is_empty() {
        lines.push(match inspection.checked {
            true => "no damage: all data was read and is as its checksums say".to_owned(),
            false => "no damage seen; --check reads all data and compares it with its checksums"
                .to_owned(),
        });
    } else {
        lines.push(format!("DAMAGED: {} places", inspection.damage.len()));
        for damage in &inspection.damage {
            lines.push(format!("  {}: {}", damage.table, damage.file.display()));
            let at = damage.offset.map_or(String::new(), |offset| format!("offset {offset}: "));
            lines.push(format!("    {at}{}", damage.cause));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn render_table(table: &TableFacts, now: i64, lines: &mut Vec<String>) {
    lines.push(format!("{}.{}", table.keyspace, table.table));
    let mut say = |label: &str, words: String| lines.push(format!("  {label:<12}{words}"));
    for folder in &table.folders {
        say("folder", folder.display().to_string());
    }
    let sums = &table.sums;
    say(
        "SSTables",
        format!(
            "{} ({}), {} on disk, {} of data",
            sums.sstables,
            formats(table),
            human_bytes(sums.stored_bytes),
            human_bytes(sums.data_bytes),
        ),
    );
    say(
        "content",
        format!(
            "{} partitions, {} rows, {} cells, {} tombstones and expiring cells (each SSTable by itself){}",
            human_count(sums.partitions),
            human_count(sums.rows),
            human_count(sums.cells),
            human_count(sums.due),
            uncounted(sums),
        ),
    );
    if let Some(words) = write_times(table) {
        say("written", words);
    }
    if let Some(words) = ttls(table) {
        say("TTL", words);
    }
    if sums.stored_bytes > 0 {
        say(
            "repaired",
            format!("{} % of the bytes on disk", percent(sums.repaired_bytes, sums.stored_bytes)),
        );
    }
    if let Some(words) = tokens(table) {
        say("tokens", words);
    }
    for (label, words) in beside(table) {
        say(label, words);
    }
    charts(table, now, lines);
    sstables(table, lines);
}

fn formats(table: &TableFacts) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for sstable in &table.sstables {
        let compression = sstable.compression.as_deref().unwrap_or("?");
        *counts.entry(format!("{} {compression}", sstable.format)).or_default() += 1;
    }
    match counts.len() {
        0 => "none".to_owned(),
        1 => counts.into_keys().collect(),
        _ => {
            let each: Vec<String> =
                counts.iter().map(|(format, count)| format!("{count} {format}")).collect();
            each.join(", ")
        }
    }
}

fn range<T: Ord + Copy>(
    table: &TableFacts,
    least: impl Fn(&SstableFacts) -> Option<T>,
    greatest: impl Fn(&SstableFacts) -> Option<T>,
) -> Option<(T, T)> {
    let least = table.sstables.iter().filter_map(least).min()?;
    let greatest = table.sstables.iter().filter_map(greatest).max()?;
    Some((least, greatest))
}

fn write_times(table: &TableFacts) -> Option<String> {
    let (first, last) = range(
        table,
        |sstable| sstable.statistics.as_ref()?.min_write_time,
        |sstable| sstable.statistics.as_ref()?.max_write_time,
    )?;
    Some(format!("{} to {}", time(first), time(last)))
}

/// A write time; clients may have written any number, so those out of all reason are shown as such.
fn time(micros: i64) -> String {
    match micros {
        0..=32_503_680_000_000_000 => UnixMillis(micros / 1_000_000 * 1000).to_string(),
        _ => format!("{micros} µs"),
    }
}

fn ttls(table: &TableFacts) -> Option<String> {
    let (least, greatest) = range(
        table,
        |sstable| sstable.statistics.as_ref()?.min_ttl,
        |sstable| sstable.statistics.as_ref()?.max_ttl,
    )?;
    // The least is 0 as soon as one cell has none.
    Some(match least {
        0 => format!("up to {greatest} s; some cells have none"),
        _ if least == greatest => format!("{least} s"),
        _ => format!("{least} s to {greatest} s"),
    })
}

fn tokens(table: &TableFacts) -> Option<String> {
    let token = |text: &Option<String>| text.as_ref()?.parse::<i64>().ok();
    let (first, last) = range(
        table,
        |sstable| token(&sstable.statistics.as_ref()?.first_token),
        |sstable| token(&sstable.statistics.as_ref()?.last_token),
    )?;
    Some(format!("{first} to {last}"))
}

fn beside(table: &TableFacts) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if !table.snapshots.is_empty() {
        all.push(("snapshots", table.snapshots.join(", ")));
    }
    if table.backups > 0 {
        all.push(("backups", format!("{} SSTables", table.backups)));
    }
    if table.index_folders > 0 {
        all.push(("indexes", format!("{} folders", table.index_folders)));
    }
    if !table.leftovers.is_empty() {
        let each: Vec<String> = table
            .leftovers
            .iter()
            .map(|(kind, count)| format!("{count} {}", kind_words(kind)))
            .collect();
        all.push(("leftovers", each.join(", ")));
    }
    for (path, why) in &table.unsupported {
        all.push(("not read", format!("{}: {why}", path.display())));
    }
    let missing: BTreeSet<&str> = table
        .sstables
        .iter()
        .flat_map(|sstable| sstable.missing_components.iter().map(String::as_str))
        .collect();
    if !missing.is_empty() {
        let names: Vec<&str> = missing.into_iter().collect();
        all.push(("missing", format!("listed in TOC.txt and not there: {}", names.join(", "))));
    }
    all
}

fn kind_words(kind: &str) -> &str {
    match kind {
        "obsolete" => "old SSTables of finished operations",
        "unfinished" => "new SSTables of unfinished operations",
        "temporary" => "temporary files",
        "withoutData" => "SSTables without Data.db",
        "empty" => "SSTables with an empty Data.db",
        "indexSstables" => "SSTables of indexes",
        "logs" => "transaction logs",
        other => other,
    }
}

fn charts(table: &TableFacts, now: i64, lines: &mut Vec<String>) {
    let due = [
        (now - 10 * DAY, "over 10 days ago"),
        (now, "to now"),
        (now + DAY, "in a day"),
        (now + 7 * DAY, "in a week"),
        (now + 30 * DAY, "in 30 days"),
        (now + 365 * DAY, "in a year"),
    ];
    let sizes = group(&table.partition_sizes, &SIZES, "larger");
    let due = group(&table.due_times, &due, "later");
    for (title, groups) in [("partition sizes", sizes), ("deleted or expiring", due)] {
        if !groups.is_empty() {
            lines.push(format!("  {title}"));
            lines.extend(bars(&groups).into_iter().map(|bar| format!("    {bar}")));
        }
    }
}

/// How many SSTables are not in the numbers of rows and cells.
fn uncounted(sums: &Sums) -> String {
    match sums.uncounted {
        0 => String::new(),
        _ => format!(", without the rows of {} SSTables of 2.x", human_count(sums.uncounted)),
    }
}

fn sstables(table: &TableFacts, lines: &mut Vec<String>) {
    for sstable in table.sstables.iter().take(MAX_LISTED) {
        let name = sstable.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut words = vec![human_bytes(sstable.stored_bytes)];
        match &sstable.statistics {
            Some(facts) => {
                words.push(format!("{} partitions", human_count(facts.partitions)));
                words.extend(facts.rows.map(|rows| format!("{} rows", human_count(rows))));
                if facts.level > 0 {
                    words.push(format!("level {}", facts.level));
                }
                words.push(match (&facts.repaired_at, &facts.pending_repair) {
                    (_, Some(session)) => format!("repair {session} pending"),
                    (Some(at), None) => format!("repaired {}", UnixMillis(*at)),
                    (None, None) => "unrepaired".to_owned(),
                });
            }
            None => words.push("Statistics.db not readable".to_owned()),
        }
        lines.push(format!("  {name}  {}", words.join(", ")));
    }
    if table.sstables.len() > MAX_LISTED {
        lines
            .push(format!("  and {} SSTables more: see --json", table.sstables.len() - MAX_LISTED));
    }
}

fn percent(part: u64, whole: u64) -> u128 {
    (u128::from(part) * 100).checked_div(whole.into()).unwrap_or(0)
}
