//! Memory maps of input files.
//!
//! A map is as good as the file under it. Cassandra never changes a Data.db once it is published, and removing one leaves
//! a map whole, so maps of SSTables are safe on a live node, a clone and a snapshot alike. What is *not* safe is a file
//! that someone truncates while it is mapped: touching a page beyond the new end raises SIGBUS and ends the process. We
//! cannot prevent that; `--no-mmap` reads instead of mapping, for disks that are not trusted. Statistics.db and
//! Summary.db may be replaced (by rename) on a live node and are read whole, never mapped. Commit-log segments that are
//! still written are read, never mapped.

use std::fs::File;

/// A read-only map of a whole file.
#[derive(Debug)]
pub struct MappedFile {
    map: memmap2::Mmap,
}

impl MappedFile {
    /// Maps `file`.
    #[expect(
        unsafe_code,
        reason = "the module header argues why a map of an SSTable component is sound enough"
    )]
    pub(crate) fn map(file: &File) -> std::io::Result<Self> {
        // SAFETY: the file is opened read-only and by its format never changed in place; see the module header.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self { map })
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Tells the kernel that `len` bytes at `offset` are not needed again, so that a long scan does not keep the page
    /// cache of the whole file mapped. A refusal only costs memory, so it is ignored.
    #[expect(
        unsafe_code,
        reason = "advice on a read-only map of a file; the pages are read again from the file"
    )]
    pub(crate) fn forget(&self, offset: usize, len: usize) {
        if len == 0 || offset.saturating_add(len) > self.map.len() {
            return;
        }
        // SAFETY: MADV_DONTNEED on a shared read-only file map drops pages that a later access reads again from the file.
        if let Err(error) = unsafe {
            self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, len)
        } {
            tracing::trace!(%error, "advice refused");
        }
    }
}
