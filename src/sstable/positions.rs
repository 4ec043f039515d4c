//! Where partitions begin: by Index.db, by Partitions.db, or, where these are not there, by Data.db alone, which is read once
//! then and of which a partition is remembered every [`SAMPLE`] bytes.
//!
//! Index.db has the keys. Partitions.db has their beginnings only, so that the key is read from Data.db, which also tells
//! whether the trie leads where it says. If it does not, or cannot be read, it is as if it were not there. If the part of
//! Data.db cannot be read, the least token that the key can have stands for it, and the scan that begins there fails with
//! the error of Data.db.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::dht::{Partitioner, Token};
use crate::error::{DecodeError, Error, ErrorClass, Result};
use crate::rows::Row;
use crate::rows::codec::Step;

use super::Component;
use super::bti::{FoundPartition, PartitionIndex};
use super::cursor::RowCursor;
use super::reader::{KeyIndex, PartitionPosition, RowIndexPlace, SstableReader};
use super::stream::{DataStream, LargeRows, WorkerRows};

/// Bytes between the partitions that are remembered when there is no index.
const SAMPLE: u64 = 1 << 20;

/// Partitions in order.
pub(super) type Samples = Vec<PartitionPosition>;

/// What is known of the partition at a place that the trie names.
enum Named {
    /// Its key.
    Key(PartitionPosition),
    /// The data there cannot be read: its least token, and no key.
    Unreadable(PartitionPosition),
}

impl SstableReader {
    /// True if there is an index.
    pub fn has_index(&self) -> bool {
        self.index.is_some()
    }

    /// The partition with this key, and where the index of its rows is, if it is large.
    pub fn locate(&self, key: &[u8]) -> Result<Option<(PartitionPosition, Option<RowIndexPlace>)>> {
        let token = self.token(key);
        let at = |offset| PartitionPosition { token, key: key.to_vec(), offset };
        if let Some(index) = self.index() {
            let found = index.lookup(key)?;
            return Ok(found.map(|(offset, rows)| (at(offset), rows.map(RowIndexPlace::Big))));
        }
        if let Some(answer) = self.ask_trie(|index| {
            let Some(found) = self.look_up(index, key)? else { return Ok(None) };
            let is_it = match self.named(index, &found)? {
                Named::Key(position) => position.key == key,
                // It can be this one, and then nothing of it can be read.
                Named::Unreadable(..) => true,
            };
            let rows = found.row_index.map(RowIndexPlace::Bti);
            Ok(is_it.then(|| (at(found.data_offset), rows)))
        })? {
            return Ok(answer);
        }
        let compare = |other: &[u8]| self.partitioner().compare(other, key);
        let samples = self.samples();
        let first =
            samples.partition_point(|sample| compare(&sample.key).is_some_and(Ordering::is_le));
        let Some(sample) = samples.get(first.saturating_sub(1)) else { return Ok(None) };
        let behind = |other: &[u8]| compare(other).is_some_and(Ordering::is_gt);
        let found = self.walk(sample.offset, |at| at.key == key || behind(&at.key))?;
        Ok(found.filter(|found| found.key == key).map(|found| (found, None)))
    }

    /// What the trie has for a key; where it does not know the order of keys, all partitions are gone through.
    fn look_up(&self, index: &PartitionIndex, key: &[u8]) -> Result<Option<FoundPartition>> {
        if index.knows_order() {
            return index.lookup(key);
        }
        let mut partitions = index.partitions();
        while let Some(found) = partitions.next_partition()? {
            if !index.may_be(&found, key) {
                continue;
            }
            if let Named::Key(position) = self.named(index, &found)?
                && position.key == key
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first partition with a token greater than `after`, or the very first one for none.
    pub fn first_after(&self, after: Option<Token>) -> Result<Option<PartitionPosition>> {
        self.first_in(after, Token::MAX)
    }

    /// The same; of a partition whose token is greater than `end`, that may be all that is right besides its offset.
    pub(super) fn first_in(
        &self,
        after: Option<Token>,
        end: Token,
    ) -> Result<Option<PartitionPosition>> {
        if let Some(index) = self.index() {
            let found = match after {
                Some(token) => index.first_after(token)?,
                None => index.first()?,
            };
            if found.is_none() && after.is_none() && self.chunks().data_len() > 0 {
                let path = self.descriptor().path(Component::Index);
                let error =
                    DecodeError::invalid("it names no partition, but Data.db is not empty", 0);
                let hint = self.descriptor().format.index_hint();
                return Err(error.in_file(&path).map_damage(|d| d.hint = Some(hint.into())));
            }
            return Ok(found.map(|(key, offset)| PartitionPosition {
                token: self.token(&key),
                key,
                offset,
            }));
        }
        let answer = self.ask_trie(|index| match after {
            None => self.first_by_trie(index),
            Some(token) => self.first_after_by_trie(index, token, end),
        })?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let samples = self.samples();
        let from = match after {
            None => samples.first(),
            Some(token) => {
                let later = samples.partition_point(|sample| sample.token <= token);
                samples.get(later.saturating_sub(1))
            }
        };
        match from {
            Some(from) => self.walk(from.offset, |at| after.is_none_or(|token| at.token > token)),
            None if self.chunks().data_len() > 0 => {
                let path = self.descriptor().path(Component::Data);
                Err(Error::Bug(format!(
                    "nothing is known of where partitions begin in {}",
                    path.display()
                )))
            }
            None => Ok(None),
        }
    }

    fn first_by_trie(&self, index: &PartitionIndex) -> Result<Option<PartitionPosition>> {
        if self.chunks().data_len() == 0 {
            return Ok(None);
        }
        let Some(found) = index.first_at_or_after(0)?.filter(|found| found.data_offset == 0) else {
            let words = "its first partition is not at the beginning of Data.db";
            let error = DecodeError::invalid(words, index.footer_position());
            return Err(error.in_file(index.path()));
        };
        let position = match self.named(index, &found)? {
            Named::Key(position) if position.key != index.first_key() => {
                let words = "its first key is not that of Data.db";
                let error = DecodeError::invalid(words, index.footer_position());
                return Err(error.in_file(index.path()));
            }
            Named::Key(position) | Named::Unreadable(position) => position,
        };
        Ok(Some(position))
    }

    fn first_after_by_trie(
        &self,
        index: &PartitionIndex,
        token: Token,
        end: Token,
    ) -> Result<Option<PartitionPosition>> {
        let mut partitions = index.after(token)?;
        let mut first = true;
        while let Some(found) = partitions.next_partition()? {
            let is_first = std::mem::take(&mut first);
            let least = found.least_token();
            let position = if least > end {
                PartitionPosition { token: least, key: Vec::new(), offset: found.data_offset }
            } else {
                match self.named(index, &found)? {
                    Named::Key(position) => position,
                    // Without its token it cannot be told on which side it lies: it is lost with both.
                    Named::Unreadable(position) if least > token => position,
                    Named::Unreadable(position) => {
                        let token = Token(token.0.saturating_add(1));
                        PartitionPosition { token, ..position }
                    }
                }
            };
            if position.token <= token {
                continue;
            }
            // One whose path has a wrong byte would be passed over, and nothing else would tell.
            if is_first
                && least <= end
                && let Some(before) = partitions.before()?
                && let Named::Key(position) = self.named(index, &before)?
                && position.token > token
            {
                return Err(index.leads_astray(&before));
            }
            return Ok(Some(position));
        }
        Ok(None)
    }

    /// The first partition at or after `offset` of the uncompressed stream.
    pub fn first_at_or_after(&self, offset: u64) -> Result<Option<PartitionPosition>> {
        if let Some(index) = self.index() {
            return Ok(index.first_at_or_after(offset)?.map(|(key, offset)| PartitionPosition {
                token: self.token(&key),
                key,
                offset,
            }));
        }
        let answer = self.ask_trie(|index| match index.first_at_or_after(offset)? {
            Some(found) => match self.named(index, &found)? {
                Named::Key(position) | Named::Unreadable(position) => Ok(Some(position)),
            },
            None => Ok(None),
        })?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        let samples = self.samples();
        let later = samples.partition_point(|sample| sample.offset <= offset);
        match samples.get(later.saturating_sub(1)) {
            Some(from) => self.walk(from.offset, |at| at.offset >= offset),
            None => Ok(None),
        }
    }

    /// The token of the last partition, if there is an index and any partition in it.
    pub fn last_token(&self) -> Result<Option<Token>> {
        if let Some(index) = self.index() {
            return Ok(index.last()?.map(|(key, _)| self.token(&key)));
        }
        Ok(self.trie_index().map(|index| self.token(index.last_key())))
    }

    /// Asks the trie, if there is one that can be relied on; none if there is not.
    fn ask_trie<T>(&self, ask: impl FnOnce(&PartitionIndex) -> Result<T>) -> Result<Option<T>> {
        let Some(KeyIndex::Bti(index)) = &self.index else { return Ok(None) };
        // The trie has the tokens themselves, and those of these are not ours.
        if matches!(
            self.partitioner(),
            Partitioner::Random | Partitioner::ByteOrdered | Partitioner::Local(_)
        ) {
            if self.samples.get().is_none() {
                self.sample_once()?;
            }
            return Ok(None);
        }
        if self.samples.get().is_some() {
            return Ok(None);
        }
        match ask(index) {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if self.may_read_data() && self.is_trie_damage(&error) => {
                self.warn_of_trie(&error);
                self.sample_once()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// True for damage of Partitions.db or Rows.db.
    pub(super) fn is_trie_damage(&self, error: &Error) -> bool {
        let is_one = |path: &std::path::Path| {
            [Component::Partitions, Component::Rows]
                .iter()
                .any(|component| self.descriptor().path(component) == path)
        };
        error.class() == ErrorClass::Corrupt
            && matches!(error, Error::Damaged(damage) if is_one(&damage.path))
    }

    pub(super) fn warn_of_trie(&self, error: &Error) {
        let Error::Damaged(damage) = error else { return };
        tracing::warn!(path = %damage.path.display(), cause = damage.cause, "the index is damaged, reading Data.db once to find partitions");
    }

    /// The key of the partition that the trie names; it is an error of the trie if it is that of another partition.
    fn named(&self, index: &PartitionIndex, found: &FoundPartition) -> Result<Named> {
        let offset = found.data_offset;
        let error = match self.key_at(offset) {
            Ok(position) if index.may_be(found, &position.key) => {
                let rows = found.row_index.as_ref();
                if rows.is_none_or(|rows| rows.key == position.key) {
                    return Ok(Named::Key(position));
                }
                return Err(index.leads_astray(found));
            }
            Ok(_) => return Err(index.leads_astray(found)),
            Err(error) => error,
        };
        let is_chunk = match &error {
            Error::Damaged(damage) => damage.what.as_deref() == Some("chunk"),
            _ => return Err(error),
        };
        // What can be decompressed and makes no sense is the trie's fault, unless Data.db makes no sense without it.
        if !is_chunk && (!self.may_read_data() || self.walk(0, |_| false).is_ok()) {
            return Err(index.leads_astray(found));
        }
        let (token, key) = (found.least_token(), Vec::new());
        Ok(Named::Unreadable(PartitionPosition { token, key, offset }))
    }

    /// The key of the partition at `offset`.
    fn key_at(&self, offset: u64) -> Result<PartitionPosition> {
        let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(usize::MAX))));
        let mut stream = DataStream::new(Arc::clone(self.chunks()), rows, true);
        stream.seek(offset);
        let head = self.read_head(&mut stream)?;
        let key = head.key.of(stream.window()).to_vec();
        Ok(PartitionPosition { token: self.token(&key), key, offset })
    }

    /// Walks over the partitions from `offset` on to the first that `wanted` says yes to.
    pub(super) fn walk(
        &self,
        offset: u64,
        mut wanted: impl FnMut(&PartitionPosition) -> bool,
    ) -> Result<Option<PartitionPosition>> {
        let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(usize::MAX))));
        let mut stream = DataStream::new(Arc::clone(self.chunks()), rows, false);
        let mut cursor = RowCursor::new(self);
        let mut row = Row::EMPTY;
        stream.seek(offset);
        while !stream.at_end() {
            let head = self.read_head(&mut stream)?;
            let key = head.key.of(stream.window()).to_vec();
            let at = PartitionPosition { token: self.token(&key), key, offset: stream.position() };
            if wanted(&at) {
                return Ok(Some(at));
            }
            stream.consume(head.len);
            cursor.begin(self, &mut stream, head.len)?;
            loop {
                let step = cursor.next(self, &mut stream, &mut row)?;
                stream.consume(cursor.step_len(&step));
                if step == Step::End {
                    break;
                }
            }
        }
        Ok(None)
    }

    /// Reads Data.db and remembers some of its partitions.
    pub(super) fn sample_once(&self) -> Result<()> {
        let mut samples = Samples::new();
        let mut next = 0;
        self.walk(0, |at| {
            if at.offset >= next {
                next = at.offset + SAMPLE;
                samples.push(at.clone());
            }
            false
        })?;
        self.samples.get_or_init(|| samples);
        Ok(())
    }

    fn samples(&self) -> &[PartitionPosition] {
        self.samples.get().map(Vec::as_slice).unwrap_or_default()
    }
}
