//! What a batch does to one partition: the state before, the changes, the state after, and the lines of the rows that differ.
//!
//! A row is written when what a read sees of it is not what was written last. What a node had stored when a change came
//! (`base`) is no change: it says that the target has the row from the extract, but not with which content, as the stored row
//! may be newer than the snapshot was. So the first real touch of such a row is always written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::codec::{
    LayoutMap, Shown, StateReader, StoredPartition, StoredRow, encode_partition, encode_row,
};
use super::lines::{Image, Operation, Rules, TableLines, is_live, newest_in};
use super::outbox::Outbox;
use super::row_key::put_row_key;
use super::spelling::{Clustering, elect, respell, row_of};
use super::state::{PartitionKey, StateTables};
use crate::dht::Token;
use crate::error::{Error, Result};
use crate::merge::{ClusteringOrder, combine};
use crate::output::Refusal;
use crate::rows::{DeletionTime, PartitionUpdate, Row, RowView, UpdateContent};
use crate::schema::TableMetadata;

/// Keys of rows that are held in memory at once.
const ROWS_AT_ONCE: usize = 512;

/// What a batch has for a partition.
#[derive(Debug, Default)]
pub(super) struct PartitionWork {
    /// Updates of one row, static row, range or partition each, and whether they are `base`.
    pub(super) updates: Vec<(PartitionUpdate, bool)>,
    /// Rows of which something expired.
    pub(super) due_rows: BTreeSet<Vec<u8>>,
    /// Something of the static row expired.
    pub(super) due_statics: bool,
}

/// A row that the profile cannot carry.
#[derive(Debug, Clone)]
pub(super) struct RefusedRow {
    pub(super) partition: Vec<u8>,
    pub(super) refusal: Refusal,
}

/// Goes through the partitions of one table.
pub(super) struct TableStep<'a, 't> {
    pub(super) table: &'a Arc<TableMetadata>,
    pub(super) order: ClusteringOrder,
    /// The table's number in keys.
    pub(super) number: u32,
    /// Of what is written now.
    pub(super) layout: u32,
    /// Of what was written, by layout.
    pub(super) maps: &'a [LayoutMap],
    pub(super) rules: Rules,
    pub(super) state: &'a mut StateTables<'t>,
    pub(super) lines: &'a mut TableLines,
    pub(super) out: &'a mut Outbox,
    /// Rows written.
    pub(super) rows: u64,
    pub(super) refused: Vec<RefusedRow>,
}

/// What the batch has for a row.
#[derive(Debug, Default)]
struct RowWork {
    updates: Vec<PartitionUpdate>,
    /// A node had the row stored.
    stored: bool,
    /// A change named it.
    named: bool,
    due: bool,
}

/// What the batch has for all of a partition.
#[derive(Debug, Default)]
struct Pieces {
    /// Deletion, ranges and static rows.
    whole: Vec<PartitionUpdate>,
    rows: BTreeMap<Vec<u8>, RowWork>,
    /// A change deleted the partition or a range.
    deleted: bool,
    /// A change deleted the partition.
    partition_deleted: bool,
    /// A change wrote static columns.
    static_named: bool,
    /// A change may end rows, at once or when something of it expires.
    ends_rows: bool,
    /// A node had static columns stored.
    static_stored: bool,
}

/// Says whether a row is to be looked at for the sake of its partition.
struct Scope {
    /// Of the partition before, if ranges were deleted.
    before: Option<PartitionUpdate>,
    /// The static row is another one.
    statics_changed: bool,
    /// By a change, or by time.
    statics_touched: bool,
}

fn single_row(update: &PartitionUpdate) -> Option<&Row> {
    match update.content.first() {
        Some(UpdateContent::Row(row)) => Some(row),
        Some(UpdateContent::Marker(..)) | None => None,
    }
}

/// The deletion in force at a row: of its partition, or of the range that it lies in.
fn active_at(update: &PartitionUpdate, order: &ClusteringOrder, row: RowView<'_>) -> DeletionTime {
    let before = update.content.partition_point(|content| match content {
        UpdateContent::Marker(marker, bound) => {
            let bound = RowView { row: bound, data: &update.data };
            order.compare(bound, marker.kind.side(), row, 0).is_lt()
        }
        UpdateContent::Row(_) => false,
    });
    let open = match before.checked_sub(1).and_then(|i| update.content.get(i)) {
        Some(UpdateContent::Marker(marker, _)) => marker.start,
        Some(UpdateContent::Row(_)) | None => DeletionTime::LIVE,
    };
    update.deletion.max(open)
}

impl TableStep<'_, '_> {
    /// Does one partition.
    pub(super) fn partition(
        &mut self,
        token: Token,
        key: &[u8],
        work: PartitionWork,
    ) -> Result<()> {
        let place = PartitionKey::new(self.number, token, key);
        let mut stored = self.read_partition(&place, key)?;
        let due_statics = work.due_statics;
        let mut pieces = self.sort(work)?;
        if !self.table.statics.is_empty() {
            stored.statics_written |= pieces.static_named || pieces.partition_deleted;
        }
        let mut scope = Scope {
            before: pieces.deleted.then(|| stored.update.clone()),
            statics_changed: due_statics,
            statics_touched: pieces.static_named || due_statics,
        };
        if !pieces.whole.is_empty() {
            let statics = |update: &PartitionUpdate| {
                let only = PartitionUpdate { content: Vec::new(), ..update.clone() };
                encode_partition(0, &StoredPartition::unwritten(only))
            };
            let before = statics(&stored.update);
            let all: Vec<&PartitionUpdate> =
                std::iter::once(&stored.update).chain(&pieces.whole).collect();
            stored.update = combine(self.rules.rule, self.rules.now, &all)?;
            let changed = !self.table.statics.is_empty() && before != statics(&stored.update);
            scope.statics_changed |= changed;
        }
        let statics = self.lines.begin(&stored.update, self.rules)?;
        let live_before = stored.live_rows;
        let stored_rows = pieces.rows.values().any(|row| row.stored);
        if !self.lines.is_of_statics() {
            self.rows(&place, &mut stored, &mut pieces, &scope)?;
        }
        if !self.table.statics.is_empty() {
            stored.whole |=
                stored.statics_written || pieces.ends_rows || self.lines.is_of_statics();
            let came_alone = self.lines.is_of_statics() || live_before == 0 && !stored_rows;
            if stored.shown == Shown::Never && pieces.static_stored && came_alone {
                stored.shown = Shown::Stored;
            }
            let touched =
                scope.statics_touched || pieces.deleted || !matches!(stored.shown, Shown::Stored);
            // It has rows: the record of a partition without any, which the target may have, is over.
            let over = stored.live_rows > 0 && stored.update.static_row.is_some();
            if stored.whole && touched || over {
                let ended = over || pieces.static_named || pieces.deleted;
                self.static_record(&mut stored, statics.digest.is_some(), ended)?;
            }
            self.state.move_expiry(&place, None, stored.expires, statics.expires)?;
            stored.expires = statics.expires;
        }
        let bytes = encode_partition(self.layout, &stored);
        self.state.put_partition(&place, &bytes)
    }

    fn map(&self, layout: u32) -> Result<&LayoutMap> {
        usize::try_from(layout).ok().and_then(|layout| self.maps.get(layout)).ok_or_else(|| {
            Error::Refused {
                what: format!("the sequencer's state names layout {layout}, which it has not"),
                hint: Some(
                    "remove the state directory: it is made again from the change records".into(),
                ),
            }
        })
    }

    fn read_partition(&self, place: &PartitionKey, key: &[u8]) -> Result<StoredPartition> {
        let Some(bytes) = self.state.partition(place)? else {
            let update = PartitionUpdate::new(Arc::clone(self.table), key.to_vec());
            return Ok(StoredPartition::unwritten(update));
        };
        let mut reader = StateReader::new(&bytes, self.table, key);
        let layout = reader.layout()?;
        reader.partition(self.map(layout)?)
    }

    fn read_row(&self, place: &PartitionKey, key: &[u8], row: &[u8]) -> Result<StoredRow> {
        let Some(bytes) = self.state.row(place, row)? else { return Ok(StoredRow::default()) };
        let mut reader = StateReader::new(&bytes, self.table, key);
        let layout = reader.layout()?;
        reader.row(self.map(layout)?)
    }

    /// Sorts the updates by what they are about.
    fn sort(&self, work: PartitionWork) -> Result<Pieces> {
        let mut pieces = Pieces::default();
        for key in work.due_rows {
            pieces.rows.entry(key).or_default().due = true;
        }
        for (update, base) in work.updates {
            pieces.partition_deleted |= !base && !update.deletion.is_live();
            pieces.ends_rows |= !base && update.may_end_rows();
            let Some(row) = single_row(&update) else {
                if update.static_row.is_some() {
                    pieces.static_named |= !base;
                    pieces.static_stored |= base && is_live(&update, self.rules)?;
                } else {
                    pieces.deleted |= !base;
                }
                pieces.whole.push(update);
                continue;
            };
            let mut key = Vec::new();
            put_row_key(self.table, RowView { row, data: &update.data }, &mut key);
            let stored = base && (row.says_nothing() || is_live(&update, self.rules)?);
            let entry = pieces.rows.entry(key).or_default();
            entry.stored |= stored;
            entry.named |= !base;
            entry.updates.push(update);
        }
        Ok(pieces)
    }

    /// Does the rows: those that the batch is about, and all of the partition where it is about that.
    fn rows(
        &mut self,
        place: &PartitionKey,
        stored: &mut StoredPartition,
        pieces: &mut Pieces,
        scope: &Scope,
    ) -> Result<()> {
        let mut named = std::mem::take(&mut pieces.rows);
        if scope.before.is_some() || scope.statics_changed || scope.statics_touched {
            let mut behind: Option<Vec<u8>> = None;
            loop {
                let keys = self.state.row_keys(place, behind.as_deref(), ROWS_AT_ONCE)?;
                let Some(last) = keys.last().cloned() else { break };
                for key in keys {
                    let work = named.remove(&key).unwrap_or_default();
                    self.row(place, stored, &key, work, scope)?;
                }
                behind = Some(last);
            }
        }
        for (key, work) in named {
            self.row(place, stored, &key, work, scope)?;
        }
        Ok(())
    }

    fn row(
        &mut self,
        place: &PartitionKey,
        partition: &mut StoredPartition,
        row_key: &[u8],
        work: RowWork,
        scope: &Scope,
    ) -> Result<()> {
        let mut stored = self.read_row(place, &partition.update.key, row_key)?;
        let elected = self.spell(&mut stored, &work.updates);
        let update = match (&stored.update, work.updates.as_slice()) {
            (None, []) => return Ok(()),
            (None, [only]) => only.clone(),
            (Some(before), []) => before.clone(),
            (before, updates) => {
                let all: Vec<&PartitionUpdate> = before.iter().chain(updates).collect();
                combine(self.rules.rule, self.rules.now, &all)?
            }
        };
        // A row that says nothing is no row to the merge.
        let mut update = match (single_row(&update), work.updates.first(), &stored.update) {
            (Some(_), ..) => update,
            (None, _, Some(before)) => before.clone(),
            (None, Some(first), None) => first.clone(),
            (None, None, None) => return Ok(()),
        };
        if let Some(elected) = elected {
            respell(&mut update, &elected);
        }
        let Some(row) = single_row(&update) else {
            return Err(Error::Bug("a row of the sequencer's state is no row".to_owned()));
        };
        let view = RowView { row, data: &update.data };
        let active = active_at(&partition.update, &self.order, view);
        let deleted = scope.before.as_ref().is_some_and(|before| {
            active_at(before, &self.order, view).marked_for_delete_at != active.marked_for_delete_at
        });
        let before = stored.shown;
        let mut touched = work.named || work.due || scope.statics_touched || deleted;
        // What changed it may have come before anybody knew that the target has it, from another segment or another host.
        if work.stored && before == Shown::Never {
            stored.shown = Shown::Stored;
            touched |= partition.statics_written;
        }
        let may_have_missed = !touched && stored.shown == Shown::Stored;
        let without = match active.is_live() {
            false if may_have_missed => {
                Some(self.lines.row(update.clone(), DeletionTime::LIVE, self.rules)?.digest)
            }
            _ => None,
        };
        let image = self.lines.row(update.clone(), active, self.rules)?;
        touched |= may_have_missed && image.digest.is_none()
            || without.is_some_and(|digest| digest != image.digest);
        self.state.move_expiry(place, Some(row_key), stored.expires, image.expires)?;
        stored.expires = image.expires;
        if touched || matches!(stored.shown, Shown::Row(_) | Shown::Deleted) {
            let ended = may_have_been_there(row, active);
            self.delete_other_spellings(&mut stored, &image, view, newest_in(&update, active))?;
            self.show(&mut stored.shown, &image, ended, Some(view), &update, active)?;
        }
        partition.live_rows = partition
            .live_rows
            .saturating_add(u64::from(stored.shown.is_there()))
            .saturating_sub(u64::from(before.is_there()));
        stored.update = Some(update);
        let bytes = encode_row(self.layout, &stored);
        self.state.put_row(place, row_key, &bytes)
    }

    /// The spelling of the clustering that stands for all that were seen, if there are several. Those that are another key in
    /// the target are noted in `stored`.
    fn spell(&mut self, stored: &mut StoredRow, updates: &[PartitionUpdate]) -> Option<Clustering> {
        fn view(update: &PartitionUpdate) -> Option<RowView<'_>> {
            single_row(update).map(|row| RowView { row, data: &update.data })
        }
        let before = stored.update.as_ref().and_then(view);
        let (elected, others) = elect(before, updates.iter().filter_map(view))?;
        let mut text = |clustering: &Clustering| {
            let mut data = Vec::new();
            let row = row_of(clustering, &mut data);
            self.lines.key_text(RowView { row: &row, data: &data }).map(<[u8]>::to_vec)
        };
        let ours = text(&elected);
        for other in others {
            let theirs = text(&other);
            if theirs.is_some() && theirs != ours {
                stored.note_spelling(other);
            }
        }
        Some(elected)
    }

    /// Deletes a row under the spellings that do not stand for it, which the target may have. To a target whose keys are
    /// numbers they are that row: then it is written again.
    fn delete_other_spellings(
        &mut self,
        stored: &mut StoredRow,
        image: &Image,
        view: RowView<'_>,
        newest: i64,
    ) -> Result<()> {
        if image.refusal.is_some() || stored.spellings.iter().all(|spelling| spelling.is_deleted) {
            return Ok(());
        }
        for spelling in stored.spellings.iter_mut().filter(|spelling| !spelling.is_deleted) {
            let mut data = Vec::new();
            let row = row_of(&spelling.clustering, &mut data);
            let other = RowView { row: &row, data: &data };
            if self.lines.put_delete(Some(other), newest, self.out)?.is_ok() {
                self.rows += 1;
            }
            spelling.is_deleted = true;
        }
        if stored.shown.is_there() && self.lines.put_delete(Some(view), newest, self.out)?.is_ok() {
            self.rows += 1;
            stored.shown = Shown::Deleted;
        }
        Ok(())
    }

    /// The record of a partition without rows.
    fn static_record(
        &mut self,
        stored: &mut StoredPartition,
        live: bool,
        ended: bool,
    ) -> Result<()> {
        let alone = self.lines.is_of_statics() || stored.live_rows == 0;
        let image = if alone && live { self.lines.static_record() } else { Image::default() };
        let (update, deletion) = (stored.update.clone(), stored.update.deletion);
        self.show(&mut stored.shown, &image, ended, None, &update, deletion)
    }

    /// Writes what is to be written of a row, and notes it. `ended`: a row of which nothing was known is gone, and the target
    /// may have it.
    fn show(
        &mut self,
        shown: &mut Shown,
        image: &Image,
        ended: bool,
        clustering: Option<RowView<'_>>,
        update: &PartitionUpdate,
        active: DeletionTime,
    ) -> Result<()> {
        if let Some(refusal) = &image.refusal {
            self.refuse(update, refusal.clone());
            return Ok(());
        }
        let operation = match (*shown, image.digest) {
            (Shown::Row(before), Some(digest)) if before == digest => return Ok(()),
            (Shown::Never | Shown::Deleted, Some(_)) => Operation::Insert,
            (Shown::Stored | Shown::Row(_), Some(_)) => Operation::Update,
            (Shown::Stored | Shown::Row(_), None) => Operation::Delete,
            (Shown::Never, None) if ended => Operation::Delete,
            (Shown::Never | Shown::Deleted, None) => return Ok(()),
        };
        match image.digest {
            Some(digest) => {
                self.lines.put(operation, clustering, image.newest, self.out)?;
                *shown = Shown::Row(digest);
            }
            None => {
                let newest = newest_in(update, active);
                match self.lines.put_delete(clustering, newest, self.out)? {
                    Ok(()) => *shown = Shown::Deleted,
                    Err(refusal) => {
                        self.refuse(update, refusal);
                        return Ok(());
                    }
                }
            }
        }
        self.rows += 1;
        Ok(())
    }

    fn refuse(&mut self, update: &PartitionUpdate, refusal: Refusal) {
        self.refused.push(RefusedRow { partition: update.key.clone(), refusal });
    }
}

/// True if anything is known of the row: then the target may have it. A row that nobody inserted is gone with its last cell, and
/// where the tail came late the tombstones are all that is left of it.
fn may_have_been_there(row: &Row, active: DeletionTime) -> bool {
    !active.is_live() || !row.says_nothing()
}
