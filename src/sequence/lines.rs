//! Rows as lines of the profile: what a read at the clock sees of them.

use std::sync::Arc;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::options::SequenceProfile;
use super::outbox::Outbox;
use crate::cql::CqlType;
use crate::dht::Token;
use crate::error::Result;
use crate::io::ByteReader;
use crate::merge::{PartitionMerge, RowSink, TieBreak};
use crate::output::dms::table_name;
use crate::output::{
    MetadataMode, RecordFormat, RecordOptions, RecordWriter, Refusal, ValueWriter,
};
use crate::progress::UnixMillis;
use crate::rows::{
    DeletionTime, NO_TIMESTAMP, NO_TTL, PartitionUpdate, Row, RowView, UpdateContent, UpdateSource,
};
use crate::schema::{CompactKind, TableMetadata};

/// What becomes of a row in the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Insert,
    Update,
    Delete,
}

/// How ties are broken and what has expired.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) rule: TieBreak,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// What a read sees of a row.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Image {
    /// Digest of what is written; none if there is no row.
    pub(super) digest: Option<u128>,
    /// When something of it expires next.
    pub(super) expires: Option<i64>,
    /// The newest time that anything in it was written or deleted at: a row that lost its newest cell is not older than before.
    pub(super) newest: i64,
    /// Why the profile cannot carry it.
    pub(super) refusal: Option<Refusal>,
}

/// Writes the rows of one table.
pub(super) struct TableLines {
    head: LineHead,
    images: RecordWriter,
    deletes: RecordWriter,
    /// Write times and expiry are written too, so that they belong to the digest.
    exact_times: bool,
    header: Vec<u8>,
    /// [`TableLines::deletes`] has begun with the partition key.
    deletes_begun: bool,
    statics: Image,
}

/// What stands before a row.
struct LineHead {
    table: Arc<TableMetadata>,
    profile: SequenceProfile,
    values: ValueWriter,
    /// Partition key.
    key: Vec<u8>,
    text: Vec<u8>,
}

impl TableLines {
    /// Lines of `table` with the options of the run, at the clock `now`.
    pub(super) fn new(
        table: &Arc<TableMetadata>,
        profile: SequenceProfile,
        options: &RecordOptions,
        now: i64,
    ) -> Result<Self> {
        let mut options = options.clone();
        options.profile = profile.of_records();
        let mut format = options.of_table(table, now)?;
        // They are written here, as they are known here.
        format.operation = false;
        let exact_times = format.metadata != MetadataMode::None || format.expires_column.is_some();
        let format = Arc::new(RecordFormat::new(table, &format)?);
        let mut header = b"Op,cp_ts".to_vec();
        for column in format.columns() {
            header.push(b',');
            put_name(&mut header, &column.name);
        }
        header.push(b'\n');
        let head = LineHead {
            table: Arc::clone(table),
            profile,
            values: ValueWriter::default(),
            key: Vec::new(),
            text: Vec::new(),
        };
        Ok(Self {
            head,
            images: RecordWriter::new(Arc::clone(&format)),
            deletes: RecordWriter::of_deletes(format),
            exact_times,
            header,
            deletes_begun: false,
            statics: Image::default(),
        })
    }

    /// The first line of files of this table alone.
    pub(super) fn header(&self) -> &[u8] {
        &self.header
    }

    /// Rows of this table come from its static rows.
    pub(super) fn is_of_statics(&self) -> bool {
        self.head.table.compact == CompactKind::StaticCompact
    }

    /// Begins a partition, of which `update` has the deletion and the static row. What a read sees of that.
    pub(super) fn begin(&mut self, update: &PartitionUpdate, rules: Rules) -> Result<Image> {
        self.head.key.clear();
        self.head.key.extend_from_slice(&update.key);
        self.deletes_begun = false;
        self.images.clear();
        self.statics = Image::default();
        // A key that the profile cannot carry is told with each of its rows.
        drop(self.images.start_partition(&update.key));
        let only_static = PartitionUpdate { content: Vec::new(), ..update.clone() };
        let mut sink = Seen {
            writer: &mut self.images,
            exact_times: self.exact_times,
            statics: true,
            base: 0,
            image: Image { newest: NO_TIMESTAMP, ..Image::default() },
        };
        let newest = newest_in(&only_static, DeletionTime::LIVE);
        see(only_static, rules, &mut sink)?;
        self.statics = sink.image;
        self.statics.newest = self.statics.newest.max(newest);
        Ok(self.statics.clone())
    }

    /// What a read sees of a row of the partition, alone in its update, under the deletion of its partition or range. The
    /// line of it is kept until the next row.
    pub(super) fn row(
        &mut self,
        mut update: PartitionUpdate,
        active: DeletionTime,
        rules: Rules,
    ) -> Result<Image> {
        update.deletion = active;
        self.images.clear();
        let mut sink = Seen {
            writer: &mut self.images,
            exact_times: self.exact_times,
            statics: false,
            base: self.statics.digest.unwrap_or_default(),
            image: Image { newest: self.statics.newest, ..Image::default() },
        };
        let newest = newest_in(&update, active);
        see(update, rules, &mut sink)?;
        sink.image.newest = sink.image.newest.max(newest);
        Ok(sink.image)
    }

    /// The record of the partition alone, for one without rows, from its static row.
    pub(super) fn static_record(&mut self) -> Image {
        self.images.clear();
        match self.images.write_static_only() {
            Ok(0) => Image { newest: self.statics.newest, ..Image::default() },
            Ok(_) => Image {
                digest: Some(if self.exact_times {
                    self.statics.digest.unwrap_or_default()
                } else {
                    xxh3_128(self.images.buffer())
                }),
                ..self.statics.clone()
            },
            Err(refusal) => Image { refusal: Some(refusal), ..self.statics.clone() },
        }
    }

    /// Writes the line that [`TableLines::row`] or [`TableLines::static_record`] kept.
    pub(super) fn put(
        &mut self,
        operation: Operation,
        clustering: Option<RowView<'_>>,
        newest: i64,
        out: &mut Outbox,
    ) -> Result<()> {
        self.head.put_line(operation, clustering, newest, self.images.buffer(), out)
    }

    /// Writes the deletion of a row; of the record of the partition alone without `clustering`. False if the profile cannot
    /// carry the key.
    pub(super) fn put_delete(
        &mut self,
        clustering: Option<RowView<'_>>,
        newest: i64,
        out: &mut Outbox,
    ) -> Result<Result<(), Refusal>> {
        if let Err(refusal) = self.write_key(clustering) {
            return Ok(Err(refusal));
        }
        let newest = newest.max(self.statics.newest);
        let body = self.deletes.buffer();
        self.head.put_line(Operation::Delete, clustering, newest, body, out).map(Ok)
    }

    /// What tells a row of the partition from others in the target; none if the profile cannot carry it.
    pub(super) fn key_text(&mut self, clustering: RowView<'_>) -> Option<&[u8]> {
        self.write_key(Some(clustering)).ok()?;
        Some(self.deletes.buffer())
    }

    fn write_key(&mut self, clustering: Option<RowView<'_>>) -> Result<(), Refusal> {
        if !self.deletes_begun {
            drop(self.deletes.start_partition(&self.head.key));
            self.deletes_begun = true;
        }
        self.deletes.clear();
        match clustering {
            Some(view) => {
                let row = Row { clustering: view.row.clustering.clone(), ..Row::EMPTY };
                self.deletes.write_row(RowView { row: &row, data: view.data }).map(drop)
            }
            None => self.deletes.write_key_only().map(drop),
        }
    }
}

impl LineHead {
    fn put_line(
        &mut self,
        operation: Operation,
        clustering: Option<RowView<'_>>,
        newest: i64,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<()> {
        let mut head = std::mem::take(&mut self.text);
        head.clear();
        match self.profile {
            SequenceProfile::Dms => {
                head.extend_from_slice(match operation {
                    Operation::Insert => b"INSERT,",
                    Operation::Update => b"UPDATE,",
                    Operation::Delete => b"DELETE,",
                });
                put_name(&mut head, &self.table.name);
                head.push(b',');
                put_name(&mut head, &self.table.keyspace);
                head.push(b',');
                out.line(&[&head, body])?;
            }
            SequenceProfile::Datalake => {
                head.extend_from_slice(match operation {
                    Operation::Insert => b"I,",
                    Operation::Update => b"U,",
                    Operation::Delete => b"D,",
                });
                put_micros(&mut head, newest);
                head.push(b',');
                out.line(&[&head, body])?;
            }
            SequenceProfile::DdbJson => {
                head.extend_from_slice(match operation {
                    Operation::Insert | Operation::Update => b"{\"Put\":{\"TableName\":\"",
                    Operation::Delete => b"{\"Delete\":{\"TableName\":\"",
                });
                // Nothing in such a name is to be escaped.
                let name = table_name(&self.table.keyspace, &self.table.name);
                head.extend_from_slice(name.as_bytes());
                head.extend_from_slice(b"\",");
                let item = body.strip_prefix(b"{").unwrap_or(body);
                out.line(&[&head, item.strip_suffix(b"\n").unwrap_or(item), b"}\n"])?;
            }
            SequenceProfile::Jsonl => {
                head.extend_from_slice(match operation {
                    Operation::Insert | Operation::Update => b"{\"op\":\"upsert\",",
                    Operation::Delete => b"{\"op\":\"delete\",",
                });
                let quoted = |text: &str| serde_json::Value::from(text).to_string();
                head.extend_from_slice(
                    format!(
                        "\"keyspace\":{},\"table\":{},\"key\":{{",
                        quoted(&self.table.keyspace),
                        quoted(&self.table.name)
                    )
                    .as_bytes(),
                );
                self.put_key(&mut head, clustering);
                if operation == Operation::Delete {
                    head.extend_from_slice(b"},\"row\":null}\n");
                    out.line(&[&head])?;
                } else {
                    head.extend_from_slice(b"},\"row\":");
                    let body = body.strip_suffix(b"\n").unwrap_or(body);
                    out.line(&[&head, body, b"}\n"])?;
                }
            }
        }
        self.text = head;
        Ok(())
    }

    /// The columns of the key as `jsonl` writes them.
    fn put_key(&mut self, out: &mut Vec<u8>, clustering: Option<RowView<'_>>) {
        let table = Arc::clone(&self.table);
        let mut r = ByteReader::new(&self.key);
        let single = table.partition_key.len() == 1;
        let mut put = |name: &str, cql_type: &CqlType, bytes: Option<&[u8]>, first: bool| {
            if !first {
                out.push(b',');
            }
            out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
            out.push(b':');
            let written =
                bytes.is_some_and(|bytes| self.values.append(cql_type, bytes, out).is_ok());
            if !written {
                out.extend_from_slice(b"null");
            }
        };
        for (i, column) in table.partition_key.iter().enumerate() {
            let bytes = if single {
                self.key.as_slice()
            } else {
                let bytes = r.read_bytes16("key component").unwrap_or_default();
                // The byte behind each component says nothing in a key.
                drop(r.skip(1, "end of a component"));
                bytes
            };
            put(&column.name, &column.cql_type, Some(bytes), i == 0);
        }
        if let Some(view) = clustering
            && table.compact != CompactKind::StaticCompact
        {
            for (column, value) in table.clustering.iter().zip(&view.row.clustering) {
                put(&column.name, &column.cql_type, value.bytes(view.data), false);
            }
        }
    }
}

/// A name in CSV.
fn put_name(out: &mut Vec<u8>, name: &str) {
    if name.contains([',', '"', '\n', '\r']) || name.trim() != name {
        out.push(b'"');
        out.extend_from_slice(name.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(name.as_bytes());
    }
}

/// A write time as `2026-11-21 10:00:00.000001`, in UTC.
fn put_micros(out: &mut Vec<u8>, micros: i64) {
    let seconds = UnixMillis(micros.div_euclid(1_000_000).saturating_mul(1000)).to_string();
    let text = seconds.trim_end_matches('Z').replace('T', " ");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(format!(".{:06}", micros.rem_euclid(1_000_000)).as_bytes());
}

/// True if a read sees anything of `update`, which is one row or static row.
pub(super) fn is_live(update: &PartitionUpdate, rules: Rules) -> Result<bool> {
    #[derive(Default)]
    struct Any(bool);
    impl RowSink for Any {
        fn partition(&mut self, _key: &[u8], _token: Token) -> Result<()> {
            Ok(())
        }
        fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
            self.0 |= row.is_some();
            Ok(())
        }
        fn row(&mut self, _row: RowView<'_>) -> Result<()> {
            self.0 = true;
            Ok(())
        }
        fn end_partition(&mut self) -> Result<()> {
            Ok(())
        }
    }
    let mut any = Any::default();
    see(update.clone(), rules, &mut any)?;
    Ok(any.0)
}

/// Hands what a read sees of `update` to `sink`.
fn see<K: RowSink>(update: PartitionUpdate, rules: Rules, sink: &mut K) -> Result<()> {
    let table = Arc::clone(&update.table);
    let source = UpdateSource::new(vec![update])?;
    let mut merge = PartitionMerge::new(&table, rules.rule, rules.now, false, vec![source]);
    while merge.step(sink)? {}
    Ok(())
}

/// Takes what a read sees.
struct Seen<'w> {
    writer: &'w mut RecordWriter,
    exact_times: bool,
    /// The static row is what is asked for.
    statics: bool,
    /// Digest of the static row.
    base: u128,
    image: Image,
}

impl Seen<'_> {
    fn note(&mut self, view: RowView<'_>) {
        let RowView { row, data } = view;
        let image = &mut self.image;
        let mut expires = |at: i64| {
            image.expires = Some(image.expires.map_or(at, |before| before.min(at)));
        };
        if row.liveness.ttl != NO_TTL {
            expires(row.liveness.local_deletion_time.0);
        }
        for cell in row.cells.iter().filter(|cell| cell.is_expiring()) {
            expires(cell.local_deletion_time.0);
        }
        let newest = row.cells.iter().map(|cell| cell.timestamp).max();
        image.newest = image.newest.max(row.liveness.timestamp).max(newest.unwrap_or(NO_TIMESTAMP));
        if self.exact_times || self.statics {
            let mut hash = Xxh3::new();
            hash.update(&self.base.to_be_bytes());
            hash.update(&row.liveness.timestamp.to_be_bytes());
            hash.update(&row.liveness.local_deletion_time.0.to_be_bytes());
            // Not of the clustering, which can be written in several ways.
            for cell in &row.cells {
                hash.update(&cell.column.to_be_bytes());
                hash.update(&cell.timestamp.to_be_bytes());
                hash.update(&cell.local_deletion_time.0.to_be_bytes());
                for piece in [cell.path.of(data), cell.value.of(data)] {
                    hash.update(&(piece.len() as u64).to_be_bytes());
                    hash.update(piece);
                }
            }
            image.digest = Some(hash.digest128());
        }
    }
}

impl RowSink for Seen<'_> {
    fn partition(&mut self, _key: &[u8], _token: Token) -> Result<()> {
        Ok(())
    }

    fn static_row(&mut self, row: Option<RowView<'_>>) -> Result<()> {
        if self.statics {
            if let Some(view) = row {
                self.note(view);
            }
            self.writer.set_static(row);
        }
        Ok(())
    }

    fn row(&mut self, row: RowView<'_>) -> Result<()> {
        self.note(row);
        match self.writer.write_row(row) {
            Ok(_) => {
                let text = xxh3_128(self.writer.buffer());
                self.image.digest = Some(match self.image.digest {
                    Some(exact) if self.exact_times => exact,
                    Some(_) | None => text,
                });
            }
            Err(refusal) => {
                self.image.digest = None;
                self.image.refusal = Some(refusal);
            }
        }
        Ok(())
    }

    fn end_partition(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The newest time that anything of a row, or of the static row alone, was written or deleted at.
pub(super) fn newest_in(update: &PartitionUpdate, active: DeletionTime) -> i64 {
    let rows = update.content.iter().filter_map(|content| match content {
        UpdateContent::Row(row) => Some(row),
        UpdateContent::Marker(..) => None,
    });
    let mut newest = active.marked_for_delete_at;
    for row in rows.chain(&update.static_row) {
        newest = newest
            .max(row.liveness.timestamp)
            .max(row.deletion.marked_for_delete_at)
            .max(row.cells.iter().map(|c| c.timestamp).max().unwrap_or(NO_TIMESTAMP));
        let complex = row.complex.iter().map(|c| c.deletion.marked_for_delete_at);
        newest = newest.max(complex.max().unwrap_or(NO_TIMESTAMP));
    }
    newest
}
