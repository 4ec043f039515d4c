//! A lock between processes for one path: compare and replace is two steps in a directory.
//!
//! The lock is a hidden file beside the path, held by the kernel for as long as its holder lives, so a process that dies
//! locks nobody out. It works between hosts where the file system does locks (NFSv4, SMB); on one that does not, taking it
//! fails. It binds only those who take it: plain writes of the same path are not held up.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A path that is locked; dropping it releases it too.
pub(super) struct PathLock {
    lock: PathBuf,
    file: File,
}

impl PathLock {
    /// Waits for the lock of `path`.
    pub(super) fn acquire(path: &Path) -> Result<Self> {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let lock = path.with_file_name(format!(".{name}.lock"));
        loop {
            let file = OpenOptions::new().append(true).create(true).open(&lock)?;
            file.lock()?;
            // The holder before us may have removed the file while we waited for it: then others lock a new one.
            let ours = file.metadata()?;
            match std::fs::metadata(&lock) {
                Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Self { lock, file });
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the lock's file while it is held, then lets go.
    pub(super) fn release(self) -> Result<()> {
        std::fs::remove_file(&self.lock)?;
        self.file.unlock()
    }
}

/// True for the file of a lock.
pub(super) fn is_lock(file_name: &str) -> bool {
    file_name.starts_with('.') && file_name.ends_with(".lock")
}
