//! The container of Statistics.db (`MetadataSerializer`).
//!
//! ```text
//! i32 n                          number of components
//! u32 CRC32 of n                 [na and later]
//! n × { i32 type, i32 offset }   0 VALIDATION, 1 COMPACTION, 2 STATS, 3 HEADER
//! u32 CRC32 of n and the list    [na and later]
//! components, each with a CRC32 behind it [na and later]
//! ```
//! Cassandra lists them by type, other writers in any order. COMPACTION holds a cardinality estimate of the keys, which
//! nothing here needs: only its checksum is verified. In 2.x it begins with `i32 n, n × i32 ancestor`, and there is no HEADER.
//! In `jb` there is no container; see [`StatsMetadata`].

use std::path::Path;

use super::stats_metadata::{StatsMetadata, ancestors};
use super::validation::ValidationMetadata;
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile};
use crate::rows::codec::SerializationHeader;
use crate::sstable::Version;

/// Two histograms, a few hundred bins, some keys and type names: real files have 5 to 50 KB.
const MAX_LEN: u64 = 64 << 20;
/// Cassandra knows four.
const MAX_COMPONENTS: usize = 64;
const CHECKSUM_LEN: usize = 4;

const VALIDATION: u32 = 0;
const COMPACTION: u32 = 1;
const STATS: u32 = 2;
const HEADER: u32 = 3;

/// The content of Statistics.db.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// What must fit the node.
    pub validation: ValidationMetadata,
    /// What was counted.
    pub stats: StatsMetadata,
    /// What the rows are decoded with, as the file says it: types of columns may have to be frozen by the schema. None in 2.x,
    /// whose files say nothing of it.
    pub header: Option<SerializationHeader>,
    /// Numbers of the SSTables that it was compacted from; only 2.x says.
    pub ancestors: Vec<u32>,
}

impl Statistics {
    /// Reads the Statistics.db at `path`.
    pub fn read(path: &Path, version: Version) -> Result<Self> {
        let bytes = match InputFile::read_all(path, MAX_LEN) {
            Ok(bytes) => bytes,
            Err(Error::Input { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Missing {
                    what: format!(
                        "{} is missing, and without it the rows of its SSTable cannot be decoded",
                        path.display()
                    ),
                    hint: Some(
                        "copy all files of the SSTable, or restore it from a snapshot".into(),
                    ),
                });
            }
            Err(error) => return Err(error),
        };
        Self::decode(&bytes, version).map_err(|(component, error)| {
            error.in_file(path).map_damage(|damage| {
                damage.what = Some(match component {
                    Some(component) => format!("Statistics.db ({component})"),
                    None => "Statistics.db".into(),
                });
                damage.format = Some(version.to_string());
                damage.hint.get_or_insert_with(|| {
                    "restore this file from another copy or a snapshot; without it the SSTable cannot be decoded"
                        .into()
                });
            })
        })
    }

    /// Number of partitions, as counted by the histogram of their sizes.
    pub fn partition_count(&self) -> u64 {
        self.stats.partition_sizes.count()
    }

    fn decode(bytes: &[u8], version: Version) -> Result<Self, (Option<&'static str>, DecodeError)> {
        if !version.has_metadata_components() {
            return Self::decode_flat(bytes, version).map_err(|e| (None, e));
        }
        let listed = components(bytes, version).map_err(|e| (None, e))?;
        let (mut validation, mut stats, mut header) = (None, None, None);
        let mut found_ancestors = Vec::new();
        for component in listed {
            let name = match component.kind {
                VALIDATION => "VALIDATION",
                COMPACTION => "COMPACTION",
                STATS => "STATS",
                HEADER => "HEADER",
                _ => "component of an unknown type",
            };
            let at = component.offset as u64;
            let in_component = |e: DecodeError| (Some(name), e.shifted(at));
            let body = checked_body(component.bytes, version).map_err(in_component)?;
            let mut r = ByteReader::new(body);
            match component.kind {
                VALIDATION => {
                    let read = ValidationMetadata::read(&mut r).map_err(in_component)?;
                    validation = Some(read);
                }
                STATS => {
                    stats = Some(StatsMetadata::read(&mut r, version).map_err(in_component)?);
                }
                COMPACTION if version.has_atoms() => {
                    found_ancestors = ancestors(&mut r).map_err(in_component)?;
                    r.read_bytes32("cardinality estimate").map_err(in_component)?;
                }
                HEADER => {
                    header = Some(SerializationHeader::read(&mut r).map_err(in_component)?);
                }
                _ => continue,
            }
            if component.kind == STATS && version.has_uint_deletion_time() {
                let bins = stats.as_ref().map_or(0, |stats| stats.tombstone_drop_times.bins.len());
                skip_unused_room(&mut r, bins);
            }
            r.finish("length of the component").map_err(in_component)?;
        }
        let absent = |name| (Some(name), DecodeError::invalid("the component is not there", 0));
        Ok(Self {
            validation: validation.ok_or_else(|| absent("VALIDATION"))?,
            stats: stats.ok_or_else(|| absent("STATS"))?,
            header: match header {
                None if !version.has_atoms() => return Err(absent("HEADER")),
                header => header,
            },
            ancestors: found_ancestors,
        })
    }

    fn decode_flat(bytes: &[u8], version: Version) -> Result<Self, DecodeError> {
        let mut r = ByteReader::new(bytes);
        let (stats, flat) = StatsMetadata::read_with_flat(&mut r, version)?;
        r.finish("length of Statistics.db")?;
        let Some((validation, ancestors)) = flat else {
            return Err(DecodeError::invalid("no partitioner", 0));
        };
        Ok(Self { validation, stats, header: None, ancestors })
    }
}

/// 5.0.6 reserves 16 bytes for each bin of the histogram of tombstones, as before, and writes 12: what is left of the room
/// comes last, as zeros that the checksum covers.
fn skip_unused_room(r: &mut ByteReader<'_>, bins: usize) {
    let rest = r.rest();
    if rest.len() == 4 * bins && rest.iter().all(|&byte| byte == 0) {
        // It is there: its length was just compared.
        drop(r.skip(rest.len(), "unused room"));
    }
}

struct Listed<'a> {
    kind: u32,
    offset: usize,
    bytes: &'a [u8],
}

/// The components with their checksums, by offset.
fn components(bytes: &[u8], version: Version) -> Result<Vec<Listed<'_>>, DecodeError> {
    let mut r = ByteReader::new(bytes);
    let count = r.read_u32("number of components")?;
    let count_bytes = count.to_be_bytes();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > MAX_COMPONENTS {
        let what = "number of components";
        let (found, limit) = (count as u64, MAX_COMPONENTS as u64);
        return Err(DecodeError::new(DecodeErrorKind::Limit { what, found, limit }, 0));
    }
    let mut crc = crc32fast::Hasher::new();
    crc.update(&count_bytes);
    if version.has_metadata_checksums() {
        check(crc.clone(), r.read_u32("checksum")?, "number of components", 4)?;
    }
    let list_at = r.position();
    let list = r.take(count * 8, "list of components")?;
    if version.has_metadata_checksums() {
        crc.update(list);
        check(crc, r.read_u32("checksum")?, "list of components", list_at as u64)?;
    }
    let first_allowed = r.position();

    let mut entries = Vec::new();
    let mut r = ByteReader::new(list);
    for _ in 0..count {
        let kind = r.read_u32("type of a component")?;
        let offset = r.read_u32("offset of a component")?;
        let at = (list_at + r.position() - 4) as u64;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if offset < first_allowed || offset > bytes.len() {
            return Err(DecodeError::invalid(
                format!(
                    "component {kind} begins at {offset}, outside of {first_allowed}..{}",
                    bytes.len()
                ),
                at,
            ));
        }
        if entries.iter().any(|&(_, other)| other == kind) {
            return Err(DecodeError::invalid(format!("component {kind} is listed twice"), at));
        }
        entries.push((offset, kind));
    }
    entries.sort_unstable();
    let ends: Vec<_> =
        entries.iter().skip(1).map(|&(offset, _)| offset).chain([bytes.len()]).collect();
    Ok(entries
        .into_iter()
        .zip(ends)
        .map(|((offset, kind), end)| Listed {
            kind,
            offset,
            bytes: bytes.get(offset..end).unwrap_or_default(),
        })
        .collect())
}

/// The component without its checksum, which is verified.
fn checked_body(bytes: &[u8], version: Version) -> Result<&[u8], DecodeError> {
    if !version.has_metadata_checksums() {
        return Ok(bytes);
    }
    let Some((body, recorded)) = bytes.split_last_chunk::<CHECKSUM_LEN>() else {
        let (what, left) = ("checksum of the component", bytes.len() as u64);
        return Err(DecodeError::new(DecodeErrorKind::Truncated { what, wanted: 4, left }, 0));
    };
    let mut crc = crc32fast::Hasher::new();
    crc.update(body);
    check(crc, u32::from_be_bytes(*recorded), "component", 0)?;
    Ok(body)
}

fn check(
    crc: crc32fast::Hasher,
    expected: u32,
    what: &'static str,
    offset: u64,
) -> Result<(), DecodeError> {
    let found = crc.finalize();
    if found != expected {
        return Err(DecodeError::new(DecodeErrorKind::Checksum { what, found, expected }, offset));
    }
    Ok(())
}

#[cfg(test)]
#[path = "container_tests.rs"]
mod tests;
