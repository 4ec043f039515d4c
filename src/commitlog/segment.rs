//! [`SegmentReader`]: the mutations of one segment, also of one that is still being written.
//!
//! ```text
//! header    see `descriptor.rs`
//! section   := i32 position in the file of the next section, u32 CRC32 of the id's low half, its high half and the position of
//!              this section; then up to the next section
//!              plain:      entries
//!              compressed: i32 uncompressed length, one block of the compressor
//!              encrypted:  i32 plain length, chunks (see `encryption.rs`)
//! entry     := i32 n, u32 CRC32 of these four bytes, n bytes, u32 CRC32 of the four bytes and the n bytes
//! ```
//! Positions count as if the segment were plain: behind the header, 8 bytes for each marker and the uncompressed length of
//! each section.
//!
//! A section is read when its marker says where it ends, for Cassandra writes the marker after the section. Whatever is
//! behind is not looked at: in a segment that is being mapped and written it may still be zeros, and bytes that were read too
//! early would stay zeros here.
//!
//! What the reader takes for what, in a segment that is open and in one that is final:
//!
//! | seen | open | final |
//! |---|---|---|
//! | no marker, or a marker of zeros | wait | the end |
//! | checksum of the marker | wait | 2.1: the end (what stands behind is of the life before); zeros behind it: the end, with a notice; else damage, and nothing behind is read |
//! | section ends behind the file (a copy: wait, also if it is final) | wait | plain: its entries as far as they go, then damage; else damage |
//! | entry: length or its checksum | wait, unless it is synced | damage; on with the next section |
//! | entry: checksum of the mutation | wait, unless it is synced | damage; on with the next entry |
//! | section does not decompress or decrypt | wait, if it is the last and not synced | damage; on with the next section |

use std::fs::File;
use std::path::{Path, PathBuf};

use super::descriptor::{CommitLogDescriptor, MAX_HEADER_LEN, crc_of, id_halves};
use super::encryption::EncryptionKeys;
use super::position::{CommitLogPosition, SegmentName};
use super::section::{MARKER_LEN, SectionBytes, SectionReader, read_at_most};
use super::step::{Bound, DamageExtent, SegmentDamage, SegmentStep, WaitFor};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};

/// Length, its checksum, and the checksum behind the mutation.
const ENTRY_OVERHEAD: u64 = 12;
/// No mutation is shorter (CASSANDRA-2128).
const MIN_ENTRY_LEN: u64 = 10;

/// The mutations of one segment, one after the other.
///
/// The file stays open: a segment can be read to its end after Cassandra has removed it.
#[derive(Debug)]
pub struct SegmentReader {
    path: PathBuf,
    descriptor: CommitLogDescriptor,
    sections: SectionReader,
    /// The next marker, or that of the section at hand.
    marker: Marker,
    section: Option<Section>,
    /// What ends here or before was read by somebody else, or by this reader before it had to wait.
    from: u64,
    /// Set at the end.
    ended: Option<Option<String>>,
}

/// Where a marker is.
#[derive(Debug, Clone, Copy)]
struct Marker {
    file: u64,
    /// As positions count.
    logical: u64,
}

/// The section at hand.
#[derive(Debug)]
struct Section {
    /// Of the entries' beginning, as positions count.
    logical: u64,
    next: Marker,
    /// Length of the entries as the marker has it, and as far as they are there.
    full_len: u64,
    len: u64,
    /// Offset of the next entry.
    at: u64,
}

/// What one look at the file came to.
enum Look {
    /// There is more to look at.
    On,
    Entry {
        start: u64,
        len: u64,
        end: u64,
    },
    Wait(WaitFor),
    End(Option<String>),
    Damage(SegmentDamage),
}

fn checksum(what: &'static str, found: u32, expected: u32) -> DecodeErrorKind {
    DecodeErrorKind::Checksum { what, found, expected }
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b))
}

impl SegmentReader {
    /// Opens the segment at `path`, whose name must be that of a segment; none if its header is not written yet.
    ///
    /// `keys`: of encrypted segments. Versions that are not read, and a key that is missing, are errors of class
    /// `Unsupported` and `Missing`.
    pub fn open(path: &Path, keys: &EncryptionKeys) -> Result<Option<Self>> {
        let file = File::open(path).map_err(|source| Error::Input {
            action: "open",
            path: path.to_path_buf(),
            source,
        })?;
        let mut head = Vec::new();
        read_at_most(&file, path, 0, MAX_HEADER_LEN, &mut head)?;
        let Some(descriptor) = CommitLogDescriptor::read(&head).map_err(|e| e.in_file(path))?
        else {
            return Ok(None);
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let named = name.as_deref().and_then(SegmentName::parse);
        if let Some(named) = named
            && (named.id != descriptor.id || named.version != descriptor.version.number())
        {
            return Err(DecodeError::invalid(
                format!(
                    "the header is of segment {} of version {}, not of the one in the name",
                    descriptor.id,
                    descriptor.version.number()
                ),
                0,
            )
            .in_file(path));
        }
        let sections = SectionReader::new(file, path, &descriptor, keys)?;
        let start = u64::from(descriptor.header_len);
        let marker = Marker { file: start, logical: start };
        Ok(Some(Self {
            path: path.to_path_buf(),
            descriptor,
            sections,
            marker,
            section: None,
            from: start,
            ended: None,
        }))
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the header says.
    pub fn descriptor(&self) -> &CommitLogDescriptor {
        &self.descriptor
    }

    /// Where the next step begins: behind the last entry, or behind what was left out. To go on here after a restart, give
    /// the offset to [`SegmentReader::seek`].
    pub fn position(&self) -> CommitLogPosition {
        self.at(self.offset())
    }

    fn offset(&self) -> u64 {
        let here = self.section.as_ref().map_or(self.marker.logical, |s| s.logical + s.at);
        here.max(self.from)
    }

    fn at(&self, offset: u64) -> CommitLogPosition {
        // Sections that end behind it are refused, as Cassandra has an i32 for it.
        let position = i32::try_from(offset).unwrap_or(i32::MAX);
        CommitLogPosition { segment_id: self.descriptor.id, position }
    }

    /// Length of the file now, in bytes.
    pub fn file_len(&self) -> Result<u64> {
        self.sections.file_len()
    }

    /// Makes the next step begin at `offset`, which is the position of an entry, or of [`SegmentReader::position`]; what
    /// ends there or before is not shown. The sections before are passed by without reading them.
    pub fn seek(&mut self, offset: u64) {
        let start = u64::from(self.descriptor.header_len);
        self.marker = Marker { file: start, logical: start };
        self.close_section();
        self.from = offset.max(start);
        self.ended = None;
    }

    fn close_section(&mut self) {
        self.section = None;
        self.sections.forget();
    }

    /// The next mutation, or why there is none. Reads nothing that `bound` does not cover.
    pub fn next(&mut self, bound: Bound) -> Result<SegmentStep<'_>> {
        let look = loop {
            if let Some(notice) = &self.ended {
                break Look::End(notice.clone());
            }
            let look = if self.section.is_some() {
                self.look_at_entry(bound)?
            } else {
                self.look_at_marker(bound)?
            };
            match look {
                Look::On => {}
                other => break other,
            }
        };
        match look {
            Look::Entry { start, len, end } => {
                let end = self.at(end);
                let payload = self.sections.held(start, len).ok_or_else(|| {
                    Error::Bug("a mutation that was checked is not in the buffer".into())
                })?;
                Ok(SegmentStep::Entry { end, payload })
            }
            Look::Wait(what) => {
                // Nothing that was read may stay: the bytes may be others when we look again.
                self.from = self.offset();
                self.close_section();
                Ok(SegmentStep::Wait(what))
            }
            Look::End(notice) => {
                self.ended = Some(notice.clone());
                Ok(SegmentStep::End { notice })
            }
            Look::Damage(damage) => {
                if damage.extent == DamageExtent::Rest {
                    self.ended = Some(None);
                }
                Ok(SegmentStep::Damage(damage))
            }
            Look::On => Err(Error::Bug("no step".into())),
        }
    }

    fn rest(&self, cause: DecodeErrorKind, file_len: u64) -> Look {
        Look::Damage(SegmentDamage {
            position: self.position(),
            file_offset: self.marker.file,
            bytes: file_len.saturating_sub(self.marker.file),
            extent: DamageExtent::Rest,
            cause,
        })
    }

    fn look_at_marker(&mut self, bound: Bound) -> Result<Look> {
        let file_len = self.sections.file_len()?;
        let at = self.marker.file;
        let idle = if bound.is_final { Look::End(None) } else { Look::Wait(WaitFor::Data) };
        let Some(bytes) = self.sections.marker(at)? else { return Ok(idle) };
        let [end, expected] = bytes;
        if end == 0 && expected == 0 {
            return Ok(idle);
        }
        let [low, high] = id_halves(self.descriptor.id);
        let found = crc_of(&[low, high, u32::try_from(at).unwrap_or(u32::MAX)]).finalize();
        if found != expected {
            if !bound.is_final {
                return Ok(Look::Wait(WaitFor::Rewrite));
            }
            if self.descriptor.version.is_recycled() {
                return Ok(Look::End(None));
            }
            if self.sections.is_zero(at + MARKER_LEN, file_len)? {
                return Ok(Look::End(Some(format!(
                    "the last sync marker, at offset {at}, was not written to its end"
                ))));
            }
            return Ok(self.rest(checksum("sync marker", found, expected), file_len));
        }
        let end = u64::from(end);
        if end < at + MARKER_LEN || end > i32::MAX.unsigned_abs().into() {
            if !bound.is_final {
                return Ok(Look::Wait(WaitFor::Rewrite));
            }
            let words = format!("the section at offset {at} is said to end at {end}");
            return Ok(self.rest(DecodeErrorKind::Invalid(words), file_len));
        }
        if end > file_len && bound.may_grow {
            return Ok(Look::Wait(WaitFor::Rewrite));
        }
        if end > file_len && !bound.is_final {
            return Ok(Look::Wait(WaitFor::Data));
        }
        if self.sections.is_plain() {
            self.look_at_plain(end, file_len, bound)
        } else {
            self.look_at_packed(end, file_len, bound)
        }
    }

    /// What to do where a section is there and not covered.
    fn not_covered(&self, bound: Bound) -> Look {
        if bound.is_final {
            let words =
                format!("sections behind position {} are not known to be synced", bound.synced);
            return Look::End(Some(words));
        }
        Look::Wait(WaitFor::Sync)
    }

    fn look_at_plain(&mut self, end: u64, file_len: u64, bound: Bound) -> Result<Look> {
        let next = Marker { file: end, logical: end };
        if end <= self.from {
            self.marker = next;
            return Ok(Look::On);
        }
        if !bound.covers(end) {
            return Ok(self.not_covered(bound));
        }
        let start = self.marker.file + MARKER_LEN;
        self.open_section(start, next, end - start, end.min(file_len).saturating_sub(start));
        self.sections.show_file(start, end);
        Ok(Look::On)
    }

    fn open_section(&mut self, logical: u64, next: Marker, full_len: u64, len: u64) {
        let at = self.from.saturating_sub(logical).min(full_len);
        self.section = Some(Section { logical, next, full_len, len, at });
    }

    fn look_at_packed(&mut self, end: u64, file_len: u64, bound: Bound) -> Result<Look> {
        let at = self.marker.file;
        let logical = self.marker.logical + MARKER_LEN;
        let declared = if end <= file_len { self.sections.declared_len(at, end)? } else { Ok(0) };
        let len = match &declared {
            Ok(len) if logical + len <= i32::MAX.unsigned_abs().into() => *len,
            Ok(_) | Err(_) => 0,
        };
        let next = Marker { file: end, logical: logical + len };
        if end <= file_len && declared.is_ok() && next.logical <= self.from {
            self.marker = next;
            return Ok(Look::On);
        }
        if !bound.covers(next.logical) {
            return Ok(self.not_covered(bound));
        }
        let unpacked = if end > file_len {
            let words = format!(
                "the file ends {} bytes before the section that begins at offset {at} does",
                end - file_len
            );
            Err(DecodeErrorKind::Invalid(words))
        } else {
            match declared {
                Err(kind) => Err(kind),
                Ok(declared) if declared != len => Err(DecodeErrorKind::Limit {
                    what: "position of the end of a section",
                    found: logical + declared,
                    limit: i32::MAX.unsigned_abs().into(),
                }),
                Ok(_) => self.sections.unpack(at, end, len)?,
            }
        };
        match unpacked {
            Ok(SectionBytes) => {
                self.open_section(logical, next, len, len);
                Ok(Look::On)
            }
            Err(_) if end >= file_len && !bound.is_settled(next.logical) => {
                Ok(Look::Wait(WaitFor::Rewrite))
            }
            Err(cause) => {
                let damage = SegmentDamage {
                    position: self.position(),
                    file_offset: at,
                    bytes: end - at,
                    extent: DamageExtent::Section,
                    cause,
                };
                self.marker = next;
                self.from = self.from.max(next.logical);
                Ok(Look::Damage(damage))
            }
        }
    }

    fn look_at_entry(&mut self, bound: Bound) -> Result<Look> {
        let Some(section) = &self.section else { return Ok(Look::On) };
        let (at, left, full_left) =
            (section.at, section.len.saturating_sub(section.at), section.full_len - section.at);
        let truncated = section.len < section.full_len;
        if full_left < 4 {
            self.marker = section.next;
            self.close_section();
            return Ok(Look::On);
        }
        let too_short = |wanted| DecodeErrorKind::Truncated { what: "entry", wanted, left };
        if left < 8 && truncated {
            return Ok(self.leave_section(too_short(8), bound));
        }
        let head = self.sections.bytes(at, left.min(8))?;
        let len_bytes = head.first_chunk::<4>().copied().unwrap_or_default();
        let expected = be_u32(head.get(4..).unwrap_or_default());
        if len_bytes == [0; 4] {
            return self.look_at_zeros(bound);
        }
        if left < 8 {
            return Ok(self.leave_section(too_short(8), bound));
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&len_bytes);
        let found = crc.clone().finalize();
        if found != expected {
            return Ok(self.leave_section(checksum("length of a mutation", found, expected), bound));
        }
        let len = u64::from(u32::from_be_bytes(len_bytes));
        let limit = full_left.saturating_sub(ENTRY_OVERHEAD);
        if len < MIN_ENTRY_LEN || len > limit {
            let kind = DecodeErrorKind::Limit { what: "length of a mutation", found: len, limit };
            return Ok(self.leave_section(kind, bound));
        }
        let entry_len = len + ENTRY_OVERHEAD;
        if entry_len > left {
            return Ok(self.leave_section(too_short(entry_len), bound));
        }
        let bytes = self.sections.bytes(at, entry_len)?;
        let split = bytes.split_last_chunk::<4>().map(|(head, crc)| (head.get(8..), crc));
        let Some((Some(payload), expected)) = split else {
            return Err(Error::Bug("an entry without its checksum".into()));
        };
        crc.update(payload);
        let (found, expected) = (crc.finalize(), u32::from_be_bytes(*expected));
        let Some(section) = &mut self.section else { return Ok(Look::On) };
        let end = section.logical + at + entry_len;
        if found != expected {
            if !bound.is_settled(end) {
                return Ok(Look::Wait(WaitFor::Rewrite));
            }
            section.at += entry_len;
            let damage = SegmentDamage {
                position: self.at(end - entry_len),
                file_offset: self.file_offset(end - entry_len),
                bytes: entry_len,
                extent: DamageExtent::Entry,
                cause: checksum("mutation", found, expected),
            };
            return Ok(Look::Damage(damage));
        }
        section.at += entry_len;
        Ok(Look::Entry { start: at + 8, len, end })
    }

    /// Where in the file what is at `offset` stands; the section's marker where it is compressed or encrypted.
    fn file_offset(&self, offset: u64) -> u64 {
        if self.sections.is_plain() { offset } else { self.marker.file }
    }

    /// Zeros where an entry should begin. Up to 3.x a closed segment's last section ends with the file, and the unused rest of
    /// it is zeros; in a recycled one, what was there before.
    fn look_at_zeros(&mut self, bound: Bound) -> Result<Look> {
        let Some(section) = &self.section else { return Ok(Look::On) };
        let next = section.next;
        let last = self.sections.is_plain()
            && section.len == section.full_len
            && next.file + MARKER_LEN > self.sections.file_len()?
            && (self.descriptor.version.is_recycled()
                || self.sections.is_zero(section.logical + section.at, next.file)?);
        if last {
            self.marker = next;
            self.from = self.from.max(next.logical);
            self.close_section();
            return Ok(Look::On);
        }
        Ok(self.leave_section(
            DecodeErrorKind::Invalid("zeros where a mutation should begin".into()),
            bound,
        ))
    }

    /// Leaves the section at hand, whose next entry cannot be found.
    fn leave_section(&mut self, cause: DecodeErrorKind, bound: Bound) -> Look {
        let Some(section) = &self.section else { return Look::On };
        if !bound.is_settled(section.next.logical) {
            return Look::Wait(WaitFor::Rewrite);
        }
        let here = section.logical + section.at;
        let next = section.next;
        let cause = if section.len < section.full_len {
            let words = format!(
                "the file ends {} bytes before the section that begins at offset {} does",
                section.full_len - section.len,
                self.marker.file
            );
            DecodeErrorKind::Invalid(words)
        } else {
            cause
        };
        let damage = SegmentDamage {
            position: self.at(here),
            file_offset: self.file_offset(here),
            bytes: section.full_len - section.at,
            extent: DamageExtent::Section,
            cause,
        };
        self.marker = next;
        self.from = self.from.max(next.logical);
        self.close_section();
        Look::Damage(damage)
    }
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
