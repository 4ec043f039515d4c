//! Reads all of a Data.db and compares it with its checksums.

use crate::discover::LiveSstable;
use crate::error::{Error, Result};
use crate::io::ReadMode;
use crate::progress::Events;
use crate::sstable::compression::{ChunkScratch, DataChunks};
use crate::sstable::{Component, verify_digest};

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
        return digest(sstable, table, events);
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
            // In bytes on disk, as the plan has them: those are known without opening anything.
            let start = chunks.stored_offset(told);
            let len = chunks.stored_offset(index + 1).saturating_sub(start);
            events.bytes_read(table, len);
            chunks.forget(start, len);
            (told, since) = (index + 1, 0);
        }
    }
    Ok(())
}

/// Without checksums of chunks there is that of the whole file, as decimal text in Digest.crc32.
fn digest(sstable: &LiveSstable, table: &str, events: &dyn Events) -> Result<()> {
    let read = verify_digest(&sstable.descriptor, |bytes| {
        events.bytes_read(table, bytes);
        Ok(())
    })?;
    if !read {
        let data = sstable.descriptor.path(Component::Data);
        events.file_warning(&data, "there is no checksum of any kind to compare it with");
    }
    Ok(())
}
