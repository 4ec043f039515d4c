//! The positions of a tail: what the store has confirmed, segment by segment.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::io::replace_file;

/// Version of `tail.json`.
const FORMAT_VERSION: u32 = 1;
/// Finished segments that are remembered: Cassandra links a segment anew when it replays it after a crash, so one that was
/// shipped and deleted can come back.
const REMEMBERED: usize = 20_000;

/// What is known of one segment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SegmentState {
    /// Everything up to this logical position is shipped.
    pub(super) offset: u64,
    /// Where the next object of this segment begins: the end of the last record shipped.
    pub(super) next_object: u64,
    /// Read to its end, everything shipped.
    pub(super) finished: bool,
    /// It had a `_cdc.idx`, is archived, or is in `cdc_raw` of 3.8 to 3.11: it holds changes, and Cassandra does not remove it.
    #[serde(default)]
    pub(super) indexed: bool,
    /// When it was last looked at, all of it was shipped and a later segment was in use: it may vanish.
    #[serde(default)]
    pub(super) passed: bool,
    /// It is followed in the commit-log directory itself, where Cassandra removes it.
    #[serde(default)]
    pub(super) live: bool,
    /// Parts of it could not be read.
    #[serde(default)]
    pub(super) damaged: bool,
}

impl SegmentState {
    /// True if nothing is lost when it is gone: a segment without an index holds no changes of tables with CDC, and one that
    /// was passed by had been shipped.
    pub(super) fn may_vanish(&self) -> bool {
        if self.live { self.passed } else { !self.indexed }
    }
}

/// `tail.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TailFile {
    format_version: u32,
    host_id: String,
    output: String,
    segments: BTreeMap<i64, SegmentState>,
    /// SSTables of `backups` folders that are shipped, and how many records of the one under way.
    #[serde(default)]
    backups: BTreeMap<String, BackupState>,
}

/// What is known of one SSTable of a `backups` folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupState {
    /// Number of the record that the next object begins with.
    pub(super) records: u64,
    /// All of it.
    pub(super) finished: bool,
}

/// The state directory of one tail, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct TailState {
    path: PathBuf,
    file: TailFile,
    /// Held by the kernel: a process that dies locks nobody out.
    _lock: File,
}

impl TailState {
    /// Opens the state of `host` in `directory`, which is made if it is not there.
    ///
    /// Refused ([`Error::Refused`]) while another process has it, and when it is the state of another host or output.
    pub(super) fn open(directory: &Path, host: Uuid, output: &str) -> Result<Self> {
        let fail = |action: &'static str, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Output { action, path, source }
        };
        std::fs::create_dir_all(directory).map_err(fail("create", directory))?;
        let lock_path = directory.join("tail.lock");
        let lock = File::options()
            .append(true)
            .create(true)
            .open(&lock_path)
            .map_err(fail("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Refused {
                    what: format!("{} is in use by another tail", directory.display()),
                    hint: Some(
                        "one tail for each state directory: give it its own --state-dir".into(),
                    ),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(Error::Output { action: "lock", path: lock_path, source });
            }
        }
        let path = directory.join("tail.json");
        let fresh = TailFile {
            format_version: FORMAT_VERSION,
            host_id: host.to_string(),
            output: output.to_owned(),
            segments: BTreeMap::new(),
            backups: BTreeMap::new(),
        };
        let file = match std::fs::read(&path) {
            Ok(bytes) => read(&path, &bytes)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => fresh.clone(),
            Err(source) => return Err(Error::Output { action: "read", path, source }),
        };
        let differs = |what: &str, there: &str, here: &str| Error::Refused {
            what: format!("{} is of {what} {there}, not of {here}", path.display()),
            hint: Some("give the same options as before, or another --state-dir".into()),
        };
        if file.host_id != host.to_string() {
            return Err(differs("host", &file.host_id, &host.to_string()));
        }
        if file.output != output {
            return Err(differs("output", &file.output, output));
        }
        Ok(Self { path, file, _lock: lock })
    }

    /// What is known of a segment.
    pub(super) fn segment(&self, id: i64) -> SegmentState {
        self.file.segments.get(&id).cloned().unwrap_or_default()
    }

    /// All segments known.
    pub(super) fn segments(&self) -> impl Iterator<Item = (i64, &SegmentState)> {
        self.file.segments.iter().map(|(&id, state)| (id, state))
    }

    /// Notes what is known of a segment; on disk after [`TailState::save`].
    pub(super) fn set_segment(&mut self, id: i64, state: SegmentState) {
        self.file.segments.insert(id, state);
    }

    /// What is known of an SSTable of a `backups` folder.
    pub(super) fn backup(&self, sstable: &str) -> BackupState {
        self.file.backups.get(sstable).copied().unwrap_or_default()
    }

    /// Names of the SSTables of `backups` folders that are shipped to their end.
    pub(super) fn finished_backups(&self) -> impl Iterator<Item = &str> {
        self.file.backups.iter().filter(|(_, state)| state.finished).map(|(name, _)| name.as_str())
    }

    /// Notes what is known of it; on disk after [`TailState::save`].
    pub(super) fn set_backup(&mut self, sstable: &str, state: BackupState) {
        self.file.backups.insert(sstable.to_owned(), state);
    }

    /// Writes it: at any instant the old state or the new one is there.
    pub(super) fn save(&mut self) -> Result<()> {
        let finished = self.file.segments.values().filter(|state| state.finished).count();
        for _ in REMEMBERED..finished {
            let oldest = self.file.segments.iter().find(|(_, state)| state.finished);
            let Some((&id, _)) = oldest else { break };
            self.file.segments.remove(&id);
        }
        let bytes = serde_json::to_vec(&self.file)
            .map_err(|error| Error::Bug(format!("the state has no JSON: {error}")))?;
        replace_file(&self.path, &bytes)
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<TailFile> {
    let odd = |words: String| {
        Error::Refused {
        what: format!("{}: {words}", path.display()),
        hint: Some(
            "restore it, or remove the state directory: everything still there is then read again, and objects that \
             exist are adopted"
                .into(),
        ),
    }
    };
    let file: TailFile =
        serde_json::from_slice(bytes).map_err(|error| odd(format!("not a state: {error}")))?;
    if file.format_version != FORMAT_VERSION {
        return Err(odd(format!("format version {} is not known here", file.format_version)));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Uuid = Uuid::from_u128(7);

    #[test]
    fn positions_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let mut state = TailState::open(&path, HOST, "out").unwrap();
        assert_eq!(state.segment(5), SegmentState::default());
        let known =
            SegmentState { offset: 77, next_object: 70, indexed: true, ..SegmentState::default() };
        state.set_segment(5, known.clone());
        state.set_backup("ks/t/nb-1-big", BackupState { records: 3, finished: false });
        state.save().unwrap();
        drop(state);
        let state = TailState::open(&path, HOST, "out").unwrap();
        assert_eq!(state.segment(5), known);
        assert_eq!(state.backup("ks/t/nb-1-big").records, 3);
    }

    #[test]
    fn one_process_host_and_output() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = TailState::open(dir.path(), HOST, "out").unwrap();
        let message = |result: Result<TailState>| result.unwrap_err().to_string();
        assert!(message(TailState::open(dir.path(), HOST, "out")).contains("in use"));
        first.save().unwrap();
        drop(first);
        let other = Uuid::from_u128(8);
        assert!(message(TailState::open(dir.path(), other, "out")).contains("of host"));
        assert!(message(TailState::open(dir.path(), HOST, "elsewhere")).contains("of output"));
        std::fs::write(dir.path().join("tail.json"), b"{").unwrap();
        assert!(message(TailState::open(dir.path(), HOST, "out")).contains("not a state"));
    }

    #[test]
    fn finished_segments_are_forgotten_at_last_and_others_never() {
        let dir = tempfile::tempdir().unwrap();
        let mut state = TailState::open(dir.path(), HOST, "out").unwrap();
        state.set_segment(0, SegmentState { offset: 1, ..SegmentState::default() });
        for id in 1..=i64::try_from(REMEMBERED).unwrap() + 2 {
            state.set_segment(id, SegmentState { finished: true, ..SegmentState::default() });
        }
        state.save().unwrap();
        let known: Vec<i64> = state.segments().map(|(id, _)| id).collect();
        assert_eq!(known.len(), REMEMBERED + 1);
        assert_eq!(known[..2], [0, 3]);
    }
}
