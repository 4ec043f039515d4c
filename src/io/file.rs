//! An open input file, mapped or read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::MappedFile;
use crate::error::{Error, Result};

/// How Data.db is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadMode {
    /// Through a memory map; plain reads where mapping fails.
    #[default]
    Map,
    /// By positioned reads.
    Read,
}

/// An input file that is held open, so that it stays readable when Cassandra removes it. While it is mapped the map holds it,
/// and no descriptor is taken.
#[derive(Debug)]
pub struct InputFile {
    path: PathBuf,
    len: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(MappedFile),
    Open(File),
}

impl InputFile {
    /// Opens `path`, mapping it if `mode` says so and the system allows it.
    pub fn open(path: &Path, mode: ReadMode) -> Result<Self> {
        let fail = |action| move |source| Error::Input { action, path: path.to_path_buf(), source };
        let file = File::open(path).map_err(fail("open"))?;
        let len = file.metadata().map_err(fail("read the size of"))?.len();
        let map = match mode {
            ReadMode::Map if len > 0 => match MappedFile::map(&file) {
                Ok(map) => Some(map),
                Err(error) => {
                    tracing::info!(path = %path.display(), %error, "cannot map the file, reading it instead");
                    None
                }
            },
            ReadMode::Map | ReadMode::Read => None,
        };
        let content = map.map_or(Content::Open(file), Content::Mapped);
        Ok(Self { path: path.to_path_buf(), len, content })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length when it was opened.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for a file without bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes `offset .. offset + len`: a part of the map, or read into `buf`. Nothing beyond the file's end: `None`.
    pub fn slice<'a>(
        &'a self,
        offset: u64,
        len: usize,
        buf: &'a mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Ok(None);
        }
        let file = match &self.content {
            Content::Mapped(map) => {
                let Ok(start) = usize::try_from(offset) else { return Ok(None) };
                return Ok(map.bytes().get(start..start + len));
            }
            Content::Open(file) => file,
        };
        buf.resize(len, 0);
        file.read_exact_at(buf, offset).map_err(|source| Error::Input {
            action: "read",
            path: self.path.clone(),
            source,
        })?;
        Ok(Some(buf))
    }

    /// All its bytes, if it is mapped.
    pub fn mapped(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Mapped(map) => Some(map.bytes()),
            Content::Open(_) => None,
        }
    }

    /// Gives back the page cache of a range that was read and is not needed again.
    pub fn forget(&self, offset: u64, len: u64) {
        if let (Content::Mapped(map), Ok(offset), Ok(len)) =
            (&self.content, usize::try_from(offset), usize::try_from(len))
        {
            map.forget(offset, len);
        }
    }

    /// Reads a whole file of at most `limit` bytes: for the small components.
    pub fn read_all(path: &Path, limit: u64) -> Result<Vec<u8>> {
        let file = Self::open(path, ReadMode::Read)?;
        if file.len > limit {
            return Err(crate::error::DecodeError::new(
                crate::error::DecodeErrorKind::Limit { what: "file size", found: file.len, limit },
                0,
            )
            .in_file(path));
        }
        let mut bytes = Vec::new();
        let len = usize::try_from(file.len).unwrap_or(usize::MAX);
        file.slice(0, len, &mut bytes)?;
        Ok(bytes)
    }
}
