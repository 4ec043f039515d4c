//! Where a split's records go.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::output::names::{deletes_of, split_file};
use crate::output::{Compression, Compressor, RecordFormat};
use crate::store::{ObjectMeta, ObjectWriter, Store};

use super::worker::TableJob;

/// Where files go.
pub(crate) enum Destination {
    /// Into a store, one object per split.
    Store {
        /// The store.
        store: Arc<dyn Store>,
        /// The agent's number, the first three digits in file names.
        agent: u32,
    },
    /// To standard output, split after split; one header for all.
    Stdout(Mutex<StdoutState>),
    /// Nowhere.
    Discard,
}

/// What standard output has seen.
#[derive(Debug, Default)]
pub(crate) struct StdoutState {
    header_written: bool,
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDone {
    /// Name below the output.
    pub name: String,
    /// Length and checksum.
    pub meta: ObjectMeta,
    /// Records in it.
    pub records: u64,
    /// Sum of their digests.
    pub digest: u128,
}

/// What is in a file of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Rows.
    Rows,
    /// Partitions without rows, where the profile keeps these apart.
    Statics,
    /// Deletions.
    Deletes,
}

/// One file of a split; made at the first record, so that an empty split has none.
pub(super) struct SplitFile<'a> {
    destination: &'a Destination,
    format: &'a RecordFormat,
    name: String,
    kind: FileKind,
    compression: Compression,
    open: Option<OpenFile>,
    written: u64,
}

/// An object being written, and what its text goes through before.
struct OpenFile {
    object: Box<dyn ObjectWriter>,
    compressor: Option<Compressor>,
}

impl OpenFile {
    fn write(&mut self, text: &[u8]) -> Result<()> {
        match &mut self.compressor {
            None => self.object.write_all(text),
            Some(compressor) => compressor.add(text, |bytes| self.object.write_all(bytes)),
        }
    }

    fn finish(mut self) -> Result<ObjectMeta> {
        if let Some(compressor) = &mut self.compressor {
            compressor.finish(|bytes| self.object.write_all(bytes))?;
        }
        self.object.finish()
    }
}

impl<'a> SplitFile<'a> {
    pub(super) fn new(
        destination: &'a Destination,
        job: &'a TableJob,
        number: u32,
        kind: FileKind,
    ) -> Result<Self> {
        let (keyspace, table) = (&job.table.keyspace, job.table.name.as_str());
        let of_deletes = job.deletes.as_ref().filter(|_| kind == FileKind::Deletes);
        let (folder, compression, extension) = match of_deletes {
            Some(deletes) => (deletes_of(table), deletes.compression(), deletes.extension()),
            None => (table.to_owned(), job.format.compression(), job.format.extension()),
        };
        let begins = if kind == FileKind::Statics { "STATIC" } else { "LOAD" };
        let name = match destination {
            Destination::Store { agent, .. } => {
                split_file(keyspace, &folder, begins, *agent, number.into(), &extension)?
            }
            Destination::Stdout(_) | Destination::Discard => String::new(),
        };
        let format = &job.format;
        Ok(Self { destination, format, name, kind, compression, open: None, written: 0 })
    }

    fn header(&self) -> Option<Vec<u8>> {
        match self.kind {
            FileKind::Rows => self.format.header(),
            FileKind::Statics => self.format.static_header(),
            FileKind::Deletes => None,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.written += bytes.len() as u64;
        match self.destination {
            Destination::Discard => Ok(()),
            Destination::Stdout(state) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                let mut out = std::io::stdout().lock();
                let header = if state.header_written { None } else { self.header() };
                state.header_written = true;
                out.write_all(&header.unwrap_or_default())
                    .and_then(|()| out.write_all(bytes))
                    .and_then(|()| out.flush())
                    .map_err(|source| Error::Output {
                        action: "write to",
                        path: "standard output".into(),
                        source,
                    })
            }
            Destination::Store { store, .. } => {
                if self.open.is_none() {
                    let mut open = OpenFile {
                        object: store.create(&self.name)?,
                        compressor: Compressor::new(self.compression),
                    };
                    if let Some(header) = self.header() {
                        open.write(&header)?;
                    }
                    self.open = Some(open);
                }
                match &mut self.open {
                    Some(open) => open.write(bytes),
                    None => Ok(()),
                }
            }
        }
    }

    /// Makes the file appear, if anything was written.
    pub(super) fn finish(&mut self, records: u64, digest: u128) -> Result<Option<FileDone>> {
        if self.written == 0 {
            return Ok(None);
        }
        let meta = match self.open.take() {
            Some(open) => open.finish()?,
            None => ObjectMeta { bytes: self.written, crc64nvme: String::new() },
        };
        Ok(Some(FileDone { name: std::mem::take(&mut self.name), meta, records, digest }))
    }
}
