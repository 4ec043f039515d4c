//! Makes finished files durable while others are still being written.
//!
//! A sync waits for the disk. Done for all files at the end, it would keep a run waiting with nothing else to do.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Files that may wait; a writer that is further ahead waits too, so that open files are bounded.
const QUEUE: usize = 16;

/// A thread that syncs what it is given; started at the first file, ended when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Syncer {
    queue: Mutex<Option<SyncSender<(PathBuf, File)>>>,
    done: Arc<Done>,
}

#[derive(Debug, Default)]
struct Done {
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    waiting: usize,
    synced: BTreeSet<PathBuf>,
    failed: Option<(PathBuf, Error)>,
}

impl Syncer {
    /// Takes a file that was written and has its name.
    pub(super) fn submit(&self, path: PathBuf, file: File) -> Result<()> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*queue {
            Some(sender) => sender.clone(),
            None => {
                let (sender, files) = sync_channel(QUEUE);
                let done = Arc::clone(&self.done);
                std::thread::Builder::new()
                    .name("sync".into())
                    .spawn(move || sync_all(&files, &done))?;
                queue.insert(sender).clone()
            }
        };
        drop(queue);
        self.done.with(|progress| progress.waiting += 1);
        // Only a thread that is gone refuses, and it goes only when this is dropped.
        sender.send((path, file)).map_err(|_| Error::other("the thread that syncs files is gone"))
    }

    /// Waits until everything submitted is durable. A failure comes out once, with its path; what could not be synced counts as
    /// not submitted.
    pub(super) fn wait(&self) -> std::result::Result<(), (PathBuf, Error)> {
        let progress = self.done.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.done.changed.wait_while(progress, |progress| progress.waiting > 0);
        let mut progress = waited.unwrap_or_else(PoisonError::into_inner);
        progress.failed.take().map_or(Ok(()), Err)
    }

    /// True if this file was submitted and is durable; it is then forgotten.
    pub(super) fn take(&self, path: &Path) -> bool {
        self.done.with(|progress| progress.synced.remove(path))
    }
}

impl Done {
    fn with<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn sync_all(files: &Receiver<(PathBuf, File)>, done: &Done) {
    for (path, file) in files {
        let synced = file.sync_all();
        drop(file);
        done.with(|progress| {
            progress.waiting -= 1;
            match synced {
                Ok(()) => {
                    progress.synced.insert(path);
                }
                Err(error) => {
                    progress.failed.get_or_insert((path, error));
                }
            }
        });
        done.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_submitted_is_synced_in_the_background_and_known_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let syncer = Syncer::default();
        syncer.wait().unwrap();
        let paths: Vec<_> = (0..50).map(|i| directory.path().join(i.to_string())).collect();
        for path in &paths {
            syncer.submit(path.clone(), File::create(path).unwrap()).unwrap();
        }
        syncer.wait().unwrap();
        assert!(paths.iter().all(|path| syncer.take(path)));
        assert!(!syncer.take(&paths[0]) && !syncer.take(Path::new("/elsewhere")));
    }

    #[test]
    fn a_file_that_cannot_be_synced_is_named_once() {
        let syncer = Syncer::default();
        // A device without a medium behind it knows no sync.
        let (reader, _writer) = std::io::pipe().unwrap();
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        syncer.submit("/the/pipe".into(), pipe).unwrap();
        let (path, _) = syncer.wait().unwrap_err();
        assert_eq!(path, Path::new("/the/pipe"));
        assert!(!syncer.take(Path::new("/the/pipe")));
        syncer.wait().unwrap();
    }
}
