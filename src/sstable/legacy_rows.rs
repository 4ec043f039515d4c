//! Rows of the partitions of 2.x SSTables: atoms from the window of a Data.db into an assembler.
//!
//! A row keeps the spans of its atoms, so the window holds all atoms of the row at hand; what is not of a row (tombstones, the
//! static row) is copied and left behind at once.

use std::sync::Arc;

use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::ByteReader;
use crate::rows::codec::{CellsLeftOut, Step};
use crate::rows::legacy::{LegacyAtom, LegacyLayout, Offer, RowAssembler, read_atom, read_name};
use crate::rows::{Row, RowView};

use super::reader::SstableReader;
use super::stream::DataStream;

/// What ends a partition: an empty name.
pub(super) const END_LEN: usize = 2;

/// Reads the rows of one SSTable, one partition after the other.
#[derive(Debug)]
pub(super) struct LegacyRows {
    assembler: RowAssembler,
    /// Bytes of the window that the open row has taken.
    taken: usize,
    /// The last step was a marker, whose values are the assembler's.
    at_marker: bool,
}

impl LegacyRows {
    pub(super) fn new(layout: Arc<LegacyLayout>) -> Self {
        Self { assembler: RowAssembler::new(layout), taken: 0, at_marker: false }
    }

    pub(super) fn left_out(&self) -> CellsLeftOut {
        self.assembler.left_out
    }

    /// The static row of the open partition, if there is anything in it.
    pub(super) fn static_row(&self) -> Option<RowView<'_>> {
        self.assembler.static_row()
    }

    /// The values of the marker at hand; none if a row is.
    #[inline]
    pub(super) fn marker_row(&self) -> Option<RowView<'_>> {
        if self.at_marker { Some(self.assembler.marker_row()) } else { None }
    }

    /// The same, to be changed in place.
    pub(super) fn marker_row_mut(&mut self) -> (&mut Row, &[u8]) {
        self.assembler.marker_row_mut()
    }

    /// Begins a partition, whose head is behind the stream's position: reads the static row and leaves it behind.
    pub(super) fn begin(&mut self, reader: &SstableReader, stream: &mut DataStream) -> Result<()> {
        self.assembler.begin_partition();
        self.taken = 0;
        self.at_marker = false;
        if !self.assembler.layout().may_have_static() {
            return Ok(());
        }
        let limit = stream.row_limit();
        while let Some((atom, end)) = self.read(reader, stream)? {
            let taken = self
                .assembler
                .offer_static(stream.window(), &atom)
                .map_err(|e| reader.damage(e, stream.position()))?;
            if !taken {
                break;
            }
            if self.assembler.static_len() > limit {
                let kind = DecodeErrorKind::Limit {
                    what: "static row (stored bytes)",
                    found: self.assembler.static_len() as u64,
                    limit: limit as u64,
                };
                return Err(reader.damage(DecodeError::new(kind, 0), stream.position()));
            }
            stream.consume(end);
        }
        self.assembler.finish_static();
        Ok(())
    }

    /// Goes on where a block of rows begins; ranges that are open there are repeated in it.
    pub(super) fn skip(&mut self) {
        self.assembler.forget_rows();
        self.taken = 0;
        self.at_marker = false;
    }

    /// Moves on within the partition; the row that was handed out is behind the stream's position. Of a row it gives the bytes
    /// to leave behind; a marker has none. At the end the stream stands at the partition's end.
    #[inline]
    pub(super) fn next(
        &mut self,
        reader: &SstableReader,
        stream: &mut DataStream,
        row: &mut Row,
    ) -> Result<Step> {
        self.at_marker = false;
        loop {
            let offer = match self.read(reader, stream) {
                Ok(Some((atom, end))) => {
                    let offer = self.assembler.offer(stream.window(), &atom);
                    if let Ok(Offer::Taken) = offer {
                        self.taken = end;
                        if !self.assembler.is_row_open() {
                            stream.consume(std::mem::take(&mut self.taken));
                        }
                    }
                    offer
                }
                Ok(None) => Ok(self.assembler.end(stream.window())),
                Err(Unread::NotOfRow) => Ok(self.assembler.end_row(stream.window())),
                Err(Unread::Failed(error)) => return Err(error),
            };
            match offer.map_err(|e| reader.damage(e, stream.position()))? {
                Offer::Taken => {}
                Offer::Row => {
                    std::mem::swap(row, self.assembler.row_mut());
                    return Ok(Step::Row(std::mem::take(&mut self.taken)));
                }
                Offer::Marker(marker) => {
                    self.at_marker = true;
                    return Ok(Step::Marker(0, marker));
                }
                Offer::End => return Ok(Step::End),
            }
        }
    }

    /// Reads the next atom: itself and where it ends in the window. None at the end of the partition.
    #[inline]
    fn read(
        &mut self,
        reader: &SstableReader,
        stream: &mut DataStream,
    ) -> Result<Option<(LegacyAtom, usize)>, Unread> {
        loop {
            let mut r = ByteReader::at(stream.window(), self.taken);
            match read_atom(&mut r) {
                Ok(Some(atom)) => return Ok(Some((atom, r.position()))),
                Ok(None) => return Ok(None),
                Err(error) => self.read_more(reader, stream, error)?,
            }
        }
    }

    /// Makes more bytes available for an atom that could not be read.
    #[cold]
    fn read_more(
        &mut self,
        reader: &SstableReader,
        stream: &mut DataStream,
        error: DecodeError,
    ) -> Result<(), Unread> {
        let DecodeErrorKind::Truncated { wanted, left, .. } = error.kind else {
            return Err(Unread::Failed(reader.damage(error, stream.position())));
        };
        let had = stream.window().len();
        let mut r = ByteReader::at(stream.window(), self.taken);
        // The row at hand can be handed out without all of the atom behind it, which may be large.
        if let Ok(name) = read_name(&mut r, "cell name")
            && let Ok(mask) = r.read_u8("cell mask")
            && self.assembler.ends_before(stream.window(), name, mask)
        {
            return Err(Unread::NotOfRow);
        }
        let more = usize::try_from(wanted.saturating_sub(left)).unwrap_or(usize::MAX);
        let needed = had.saturating_add(more);
        match stream.ensure(needed) {
            Ok(false) if stream.window().len() == had => {
                Err(Unread::Failed(reader.cut_off(stream, needed)))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Unread::Failed(error)),
        }
    }
}

/// Why there is no atom.
enum Unread {
    /// It is not all there, but it is not of the row at hand.
    NotOfRow,
    Failed(Error),
}

impl From<Unread> for Error {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Failed(error) => error,
            Unread::NotOfRow => Self::Bug("a row of 2.x ended before it began".into()),
        }
    }
}

#[cfg(test)]
#[path = "legacy_rows_tests.rs"]
mod tests;
