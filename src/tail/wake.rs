//! Waiting for something to happen in the directories that are followed.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Wakes when a directory changes, and after a while in any case: what Cassandra writes through a memory map raises no event,
/// and network mounts raise none at all.
#[derive(Debug)]
pub(super) struct Wake {
    /// Kept: it stops when dropped.
    _watcher: Option<RecommendedWatcher>,
    events: Receiver<()>,
}

impl Wake {
    /// Watches `directories`; those that cannot be watched are polled only. The second value says in words why.
    pub(super) fn new<'p>(directories: impl IntoIterator<Item = &'p Path>) -> (Self, Vec<String>) {
        let (sender, events) = sync_channel(1);
        let mut words = Vec::new();
        let told = move |event: notify::Result<Event>| {
            // Our own looks are events too: waking for them would be waking for ever.
            if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
                return;
            }
            // One is as good as many; and nobody waits any more when the tail ends.
            sender.try_send(()).unwrap_or_default();
        };
        let mut watcher = match notify::recommended_watcher(told) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                words.push(format!("no events from the file system ({error}): polling only"));
                None
            }
        };
        if let Some(watcher) = &mut watcher {
            for directory in directories {
                if let Err(error) = watcher.watch(directory, RecursiveMode::NonRecursive) {
                    words.push(format!(
                        "{} cannot be watched ({error}): polling only",
                        directory.display()
                    ));
                }
            }
        }
        (Self { _watcher: watcher, events }, words)
    }

    /// Waits for an event, at most `longest`; true if there was one. Events that came together count as one.
    pub(super) fn wait(&self, longest: Duration) -> bool {
        match self.events.recv_timeout(longest) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(longest);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_new_file_wakes() {
        let dir = tempfile::tempdir().unwrap();
        let (wake, words) = Wake::new([dir.path()]);
        assert!(words.is_empty(), "{words:?}");
        assert!(!wake.wait(Duration::from_millis(20)));
        std::fs::write(dir.path().join("new"), b"x").unwrap();
        let start = Instant::now();
        assert!(wake.wait(Duration::from_secs(30)));
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn looking_does_not_wake() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("old");
        std::fs::write(&file, b"x").unwrap();
        let (wake, _) = Wake::new([dir.path()]);
        for _ in 0..3 {
            assert_eq!(std::fs::read(&file).unwrap(), b"x");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
        assert!(!wake.wait(Duration::from_millis(300)));
    }

    #[test]
    fn a_directory_that_is_not_there_is_said() {
        let (wake, words) = Wake::new([Path::new("/nowhere/at/all")]);
        assert_eq!(words.len(), 1);
        assert!(!wake.wait(Duration::from_millis(1)));
    }
}
