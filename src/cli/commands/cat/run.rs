//! `cat` from its options to its exit code.

use std::io::Write;
use std::sync::Arc;

use super::{explain, raw};
use crate::cli::config::CatOptions;
use crate::cli::{ExitCode, Ui};
use crate::cql::encode_literal;
use crate::dht::{Token, TokenRange};
use crate::discover::{SelectedTable, Source};
use crate::error::{Error, Result};
use crate::merge::{PartitionMerge, RowSink, TieBreak};
use crate::output::{FormatOptions, MetadataMode, Profile, RecordFormat, RecordWriter};
use crate::rows::{PartitionSource, RowView};
use crate::schema::TableMetadata;
use crate::sstable::{LargeRows, SstableReader, SstableScanner, WorkerRows};

/// The largest row that is shown.
const LARGEST_ROW: usize = 256 << 20;
/// Text is handed to standard output in pieces of about this size.
const FLUSH: usize = 64 << 10;

/// What the views share.
pub(super) struct Shown<'a> {
    pub(super) table: &'a TableMetadata,
    pub(super) readers: Vec<Arc<SstableReader>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) rule: TieBreak,
    pub(super) now: i64,
}

impl Shown<'_> {
    /// Scans of all SSTables, over the key's token if there is one.
    pub(super) fn scanners(&self) -> Result<Vec<SstableScanner>> {
        let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(LARGEST_ROW))));
        let scan = |reader: &Arc<SstableReader>| {
            let range = match &self.key {
                // All of it where there are no tokens to find it by.
                Some(key) if reader.partitioner().has_token_order() => {
                    let token = reader.token(key);
                    TokenRange { start: Token(token.0.saturating_sub(1)), end: token }
                }
                _ => TokenRange::ALL,
            };
            SstableScanner::new(Arc::clone(reader), range, Arc::clone(&rows), true)
        };
        self.readers.iter().map(scan).collect()
    }

    /// True for the partition asked for.
    pub(super) fn wants(&self, key: &[u8]) -> bool {
        self.key.as_deref().is_none_or(|wanted| wanted == key)
    }
}

/// Writes text to standard output. That it was closed ends the program in good order.
pub(super) fn print(text: &mut Vec<u8>, all: bool) -> Result<()> {
    if text.len() < FLUSH && !all {
        return Ok(());
    }
    let written = std::io::stdout().lock().write_all(text);
    text.clear();
    written.map_err(|source| Error::Output {
        action: "write to",
        path: "standard output".into(),
        source,
    })
}

/// Shows what the options ask for.
pub fn run(options: &CatOptions, ui: &Ui) -> Result<ExitCode> {
    let source = Source::open(&options.input, options.now)?;
    let selection = source.select(&options.input)?;
    let [selected] = selection.tables.as_slice() else {
        return Err(Error::Usage {
            what: format!("cat shows one table, {} are selected", selection.tables.len()),
            hint: Some("name one with -t keyspace.table".into()),
        });
    };
    let shown = open(&source, selected, options)?;
    ui.close();
    if options.raw {
        raw::show(&shown)?;
    } else if options.explain {
        explain::show(&shown)?;
    } else {
        merged(&shown)?;
    }
    Ok(ExitCode::COMPLETE)
}

fn open<'a>(
    source: &Source,
    selected: &'a SelectedTable,
    options: &CatOptions,
) -> Result<Shown<'a>> {
    let table = &selected.metadata;
    let mut readers = Vec::new();
    for sstable in &selected.sstables {
        readers.push(Arc::new(SstableReader::open(
            &sstable.descriptor,
            table,
            options.input.read_mode,
        )?));
    }
    let key = if options.key.is_empty() { None } else { Some(partition_key(table, &options.key)?) };
    Ok(Shown { table, readers, key, rule: source.tie_break(), now: options.now })
}

/// Serializes the literals of a partition key.
fn partition_key(table: &TableMetadata, literals: &[String]) -> Result<Vec<u8>> {
    if literals.len() != table.partition_key.len() {
        let names: Vec<_> =
            table.partition_key.iter().map(|c| format!("{} {}", c.name, c.cql_type)).collect();
        return Err(Error::usage(format!(
            "the partition key of {} has {} columns ({}), {} are given",
            table.qualified_name(),
            names.len(),
            names.join(", "),
            literals.len()
        )));
    }
    let mut key = Vec::new();
    for (column, literal) in table.partition_key.iter().zip(literals) {
        let value = encode_literal(&column.cql_type, literal)
            .map_err(|e| Error::usage(format!("--key: {}: {e}", column.name)))?;
        if literals.len() == 1 {
            return Ok(value);
        }
        let len = u16::try_from(value.len())
            .map_err(|_| Error::usage("--key: a value of more than 65535 bytes"))?;
        key.extend_from_slice(&len.to_be_bytes());
        key.extend_from_slice(&value);
        key.push(0);
    }
    Ok(key)
}

/// The rows that a read at the clock would answer.
fn merged(shown: &Shown<'_>) -> Result<()> {
    let mut options = FormatOptions::new(Profile::Jsonl, shown.now);
    options.metadata = MetadataMode::Cell;
    let format = Arc::new(RecordFormat::new(shown.table, &options)?);
    let mut sink = Lines {
        shown,
        writer: RecordWriter::new(format),
        wanted: false,
        rows: 0,
        has_static: false,
    };
    let mut merge =
        PartitionMerge::new(shown.table, shown.rule, shown.now, false, shown.scanners()?);
    while merge.step(&mut sink)? {}
    print(&mut sink.writer.take(), true)
}

struct Lines<'a> {
    shown: &'a Shown<'a>,
    writer: RecordWriter,
    wanted: bool,
    rows: u64,
    has_static: bool,
}

impl Lines<'_> {
    fn flush(&mut self) -> Result<()> {
        if self.writer.buffer().len() < FLUSH {
            return Ok(());
        }
        print(&mut self.writer.take(), true)
    }
}

fn refused(refusal: &crate::output::Refusal) -> Error {
    crate::error::DecodeError::invalid(refusal.to_string(), 0)
        .in_file("(a row of the table)".as_ref())
}

impl RowSink for Lines<'_> {
    fn partition(&mut self, key: &[u8], _token: Token) -> Result<()> {
        self.wanted = self.shown.wants(key);
        self.rows = 0;
        self.writer.start_partition(key).map_err(|r| refused(&r))
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        self.has_static = row.is_some();
        self.writer.set_static(row);
        Ok(())
    }

    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        let hidden = self.shown.table.compact == crate::schema::CompactKind::StaticCompact;
        if !self.wanted || hidden {
            return Ok(());
        }
        self.rows += 1;
        self.writer.write_row(row).map_err(|r| refused(&r))?;
        self.flush()
    }

    fn end_partition(&mut self) -> Result<()> {
        if self.wanted && self.rows == 0 && self.has_static {
            self.writer.write_static_only().map_err(|r| refused(&r))?;
        }
        self.flush()
    }
}

/// Moves each scan to the partition that is wanted, partition by partition, and hands it to `show` while it is open.
pub(super) fn each_partition(
    shown: &Shown<'_>,
    mut show: impl FnMut(usize, &mut SstableScanner) -> Result<()>,
) -> Result<()> {
    for (i, mut scanner) in shown.scanners()?.into_iter().enumerate() {
        while !scanner.is_done() {
            scanner.begin()?;
            if shown.wants(scanner.key()) {
                show(i, &mut scanner)?;
            }
            scanner.finish()?;
        }
    }
    Ok(())
}
