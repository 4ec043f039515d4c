//! Goes through the rows of one partition after the other, whatever they are stored as.

use std::sync::Arc;

use crate::error::{DecodeError, Result};
use crate::rows::codec::{CellsLeftOut, PREVIOUS_UNKNOWN, RowDecoder, Step};
use crate::rows::{Row, RowView};

use super::legacy_rows::{END_LEN, LegacyRows};
use super::reader::{RowFormat, SstableReader};
use super::stream::DataStream;

/// Decodes the rows of one SSTable.
#[derive(Debug)]
pub(super) struct RowCursor {
    decoder: Decoder,
    /// Size of the unfiltered before the next one.
    previous: u64,
    static_row: Row,
    static_data: Vec<u8>,
}

#[derive(Debug)]
enum Decoder {
    Rows(RowDecoder),
    Atoms(Box<LegacyRows>),
}

impl RowCursor {
    pub(super) fn new(reader: &SstableReader) -> Self {
        let decoder = match reader.rows() {
            RowFormat::Rows(codec) => Decoder::Rows(RowDecoder::new(Arc::clone(codec))),
            RowFormat::Atoms(layout) => {
                Decoder::Atoms(Box::new(LegacyRows::new(Arc::clone(layout))))
            }
        };
        Self { decoder, previous: 0, static_row: Row::EMPTY, static_data: Vec::new() }
    }

    /// Cells that were read and not kept, so far.
    pub(super) fn left_out(&self) -> CellsLeftOut {
        match &self.decoder {
            Decoder::Rows(decoder) => decoder.left_out,
            Decoder::Atoms(rows) => rows.left_out(),
        }
    }

    /// Begins a partition, behind whose head of `head_len` bytes the stream stands: reads the static row and leaves it behind.
    pub(super) fn begin(
        &mut self,
        reader: &SstableReader,
        stream: &mut DataStream,
        head_len: usize,
    ) -> Result<()> {
        self.previous = head_len as u64;
        let decoder = match &mut self.decoder {
            Decoder::Rows(decoder) => decoder,
            Decoder::Atoms(rows) => return rows.begin(reader, stream),
        };
        self.static_row.clear();
        if !decoder.codec().has_static() {
            return Ok(());
        }
        let step = reader.read_unfiltered(stream, decoder, 0, &mut self.static_row)?;
        let Step::Row(len) = step else {
            let error = DecodeError::invalid("no static row where the table has static columns", 0);
            return Err(reader.damage(error, stream.position()));
        };
        // The window moves on with the rows; the static row is wanted for all of them.
        self.static_data.clear();
        self.static_data.extend_from_slice(stream.window().get(..len).unwrap_or_default());
        stream.consume(len);
        // The first row counts its distance from the partition's head.
        self.previous += len as u64;
        Ok(())
    }

    /// Goes on at another place of the open partition, where the index of its rows says that a block begins.
    pub(super) fn skip(&mut self) {
        match &mut self.decoder {
            Decoder::Rows(_) => self.previous = PREVIOUS_UNKNOWN,
            Decoder::Atoms(rows) => rows.skip(),
        }
    }

    /// The static row of the open partition, if there is anything in it.
    pub(super) fn static_row(&self) -> Option<RowView<'_>> {
        match &self.decoder {
            Decoder::Atoms(rows) => rows.static_row(),
            Decoder::Rows(_) => {
                let row = &self.static_row;
                let says = !row.cells.is_empty() || !row.complex.is_empty();
                says.then_some(RowView { row, data: &self.static_data })
            }
        }
    }

    /// Decodes what the stream stands at into `row`; never [`Step::Need`]. Afterwards [`RowCursor::step_len`] bytes are to be
    /// left behind.
    #[inline]
    pub(super) fn next(
        &mut self,
        reader: &SstableReader,
        stream: &mut DataStream,
        row: &mut Row,
    ) -> Result<Step> {
        let decoder = match &mut self.decoder {
            Decoder::Rows(decoder) => decoder,
            Decoder::Atoms(rows) => return rows.next(reader, stream, row),
        };
        let step = reader.read_unfiltered(stream, decoder, self.previous, row)?;
        if let Step::Row(len) | Step::Marker(len, _) = step {
            self.previous = len as u64;
        }
        Ok(step)
    }

    /// Length of what [`RowCursor::next`] came to.
    #[inline]
    pub(super) fn step_len(&self, step: &Step) -> usize {
        match step {
            Step::Row(len) | Step::Marker(len, _) => *len,
            Step::End | Step::Need(_) => match &self.decoder {
                Decoder::Rows(_) => 1,
                Decoder::Atoms(_) => END_LEN,
            },
        }
    }

    /// The values of the marker that [`RowCursor::next`] came to, where they are not in the row and the window.
    #[inline]
    pub(super) fn marker_row(&self) -> Option<RowView<'_>> {
        match &self.decoder {
            Decoder::Rows(_) => None,
            Decoder::Atoms(rows) => rows.marker_row(),
        }
    }

    /// The same, to be changed in place.
    pub(super) fn marker_row_mut(&mut self) -> Option<(&mut Row, &[u8])> {
        match &mut self.decoder {
            Decoder::Rows(_) => None,
            Decoder::Atoms(rows) if rows.marker_row().is_some() => Some(rows.marker_row_mut()),
            Decoder::Atoms(_) => None,
        }
    }
}
