//! Durable replacement of small files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes `bytes` to `path` so that at any instant either the old content or the new one is there: a temporary file
/// beside it, synced, renamed over it, and the directory synced.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let fail = |action: &'static str, at: &Path| {
        let path = at.to_path_buf();
        move |source| Error::Output { action, path, source }
    };
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(fail("create", &temporary))?;
        file.write_all(bytes).map_err(fail("write", &temporary))?;
        file.sync_all().map_err(fail("sync", &temporary))?;
        std::fs::rename(&temporary, path).map_err(fail("rename a file to", path))
    })();
    if written.is_err() {
        // The first error is the one to report; a temporary file that cannot be removed either is overwritten next time.
        drop(std::fs::remove_file(&temporary));
    }
    written?;
    sync_parent(path)
}

/// Gives the file `from` the name `to` in the same directory, in place of what has it; durable when it returns.
pub fn rename_file(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| Error::Output {
        action: "rename a file to",
        path: to.to_path_buf(),
        source,
    })?;
    sync_parent(to)
}

fn sync_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else { return Ok(()) };
    File::open(parent).and_then(|directory| directory.sync_all()).map_err(|source| Error::Output {
        action: "sync the directory",
        path: parent.to_path_buf(),
        source,
    })
}
