//! Reads all of a Data.db and compares it with its checksums.

use crate::discover::LiveSstable;
use crate::error::{Error, Result};
use crate::io::{InputFile, ReadMode};
use crate::progress::Events;
use crate::sstable::Component;
use crate::sstable::compression::{ChunkScratch, DataChunks};

/// Damages listed per SSTable: a file that is wrong throughout need not be told chunk by chunk.
const MAX_DAMAGES: usize = 20;

/// Chunks are told and given back in groups of about this many bytes.
const STEP: u64 = 4 << 20;

/// What is wrong with the data of an SSTable; nothing, if all of it is as its checksums say.
pub(super) fn check(
    sstable: &LiveSstable,
    table: &str,
    mode: ReadMode,
    events: &dyn Events,
) -> Vec<Error> {
    let mut damages = Vec::new();
    if let Err(error) = read_all(sstable, table, mode, events, &mut damages) {
        damages.push(error);
    }
    damages
}

fn read_all(
    sstable: &LiveSstable,
    table: &str,
    mode: ReadMode,
    events: &dyn Events,
    damages: &mut Vec<Error>,
) -> Result<()> {
    let chunks = DataChunks::open(&sstable.descriptor, mode)?;
    if !chunks.is_checked() {
        return digest(sstable, &chunks, table, events);
    }
    let mut scratch = ChunkScratch::default();
    let mut out = vec![0; chunks.chunk_len()];
    let (mut told, mut since) = (0, 0);
    for index in 0..chunks.chunk_count() {
        if let Err(error) = chunks.read_chunk(index, &mut scratch, &mut out) {
            damages.push(error);
            if damages.len() == MAX_DAMAGES {
                return Ok(());
            }
        }
        since += chunks.uncompressed_len(index) as u64;
        if since >= STEP || index + 1 == chunks.chunk_count() {
            events.bytes_read(table, since);
            chunks.forget(told..index + 1);
            (told, since) = (index + 1, 0);
        }
    }
    Ok(())
}

/// Without checksums of chunks there is that of the whole file, as decimal text in Digest.crc32.
fn digest(
    sstable: &LiveSstable,
    chunks: &DataChunks,
    table: &str,
    events: &dyn Events,
) -> Result<()> {
    let path = sstable.descriptor.path(Component::Digest);
    if !sstable.components.contains(&Component::Digest) {
        let data = sstable.descriptor.path(Component::Data);
        events.file_warning(&data, "there is no checksum of any kind to compare it with");
        return Ok(());
    }
    let text = InputFile::read_all(&path, 64)?;
    let recorded = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let Some(expected) = recorded else {
        return Err(crate::error::DecodeError::invalid("no decimal number", 0).in_file(&path));
    };
    let file = chunks.file();
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = Vec::new();
    let mut offset = 0;
    while offset < file.len() {
        let len = STEP.min(file.len() - offset);
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        if let Some(bytes) = file.slice(offset, wanted, &mut buffer)? {
            crc.update(bytes);
        }
        events.bytes_read(table, len);
        file.forget(offset, len);
        offset += len;
    }
    let found = crc.finalize();
    if found == expected {
        return Ok(());
    }
    let kind = crate::error::DecodeErrorKind::Checksum { what: "Data.db", found, expected };
    Err(crate::error::DecodeError::new(kind, 0).in_file(file.path()))
}
