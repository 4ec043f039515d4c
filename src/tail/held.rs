//! Mutations that cannot be decoded yet: kept whole until the schema on the disk knows their table.

use std::path::{Path, PathBuf};

use crate::commitlog::{CommitLogPosition, LogVersion};
use crate::error::{Error, Result};
use crate::io::replace_file;

/// Bytes that may be kept: then something is wrong that waiting does not mend.
const LIMIT: u64 = 1 << 30;
const EXTENSION: &str = ".mutation";

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldMutation {
    /// Where its entry ends.
    pub(super) end: CommitLogPosition,
    /// Version of its segment.
    pub(super) version: LogVersion,
    path: PathBuf,
    bytes: u64,
}

/// The folder they are kept in: a file each, `<segment>-<position>-<version>.mutation`, with the mutation as it was logged.
#[derive(Debug)]
pub(super) struct HeldMutations {
    directory: PathBuf,
    held: Vec<HeldMutation>,
}

impl HeldMutations {
    /// Those in `<state_dir>/held`.
    pub(super) fn open(state_dir: &Path) -> Result<Self> {
        let directory = state_dir.join("held");
        let fail = |action: &'static str| {
            let path = directory.clone();
            move |source| Error::Output { action, path, source }
        };
        std::fs::create_dir_all(&directory).map_err(fail("create"))?;
        let mut held = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(fail("list"))? {
            let entry = entry.map_err(fail("list"))?;
            let name = entry.file_name();
            let Some((end, version)) = name.to_str().and_then(parse) else { continue };
            let bytes = entry.metadata().map_err(fail("list"))?.len();
            held.push(HeldMutation { end, version, path: entry.path(), bytes });
        }
        held.sort_by_key(|mutation| mutation.end);
        Ok(Self { directory, held })
    }

    /// Keeps one. Durable when it returns.
    pub(super) fn keep(
        &mut self,
        end: CommitLogPosition,
        version: LogVersion,
        payload: &[u8],
    ) -> Result<()> {
        if self.held.iter().any(|mutation| mutation.end == end) {
            return Ok(());
        }
        let bytes = payload.len() as u64;
        if self.held.iter().map(|mutation| mutation.bytes).sum::<u64>() + bytes > LIMIT {
            return Err(Error::Refused {
                what: format!("{} holds 1 GiB of mutations of unknown tables", self.directory.display()),
                hint: Some(
                    "is --data-dir of the node whose commit log this is? If the tables were dropped, remove the files there"
                        .into(),
                ),
            });
        }
        let name = format!("{}-{}-{}{EXTENSION}", end.segment_id, end.position, version.number());
        let path = self.directory.join(name);
        replace_file(&path, payload)?;
        self.held.push(HeldMutation { end, version, path, bytes });
        Ok(())
    }

    /// Those held, in order of position.
    pub(super) fn all(&self) -> &[HeldMutation] {
        &self.held
    }

    /// How many are of one segment.
    pub(super) fn of_segment(&self, id: i64) -> u64 {
        self.held.iter().filter(|mutation| mutation.end.segment_id == id).count() as u64
    }

    /// The mutation itself.
    pub(super) fn payload(&self, mutation: &HeldMutation) -> Result<Vec<u8>> {
        std::fs::read(&mutation.path).map_err(|source| Error::Input {
            action: "read",
            path: mutation.path.clone(),
            source,
        })
    }

    /// Forgets one that is shipped.
    pub(super) fn remove(&mut self, end: CommitLogPosition) -> Result<()> {
        let Some(at) = self.held.iter().position(|mutation| mutation.end == end) else {
            return Ok(());
        };
        let mutation = self.held.remove(at);
        std::fs::remove_file(&mutation.path).map_err(|source| Error::Output {
            action: "remove",
            path: mutation.path,
            source,
        })
    }
}

fn parse(name: &str) -> Option<(CommitLogPosition, LogVersion)> {
    let mut parts = name.strip_suffix(EXTENSION)?.split('-');
    let (segment, position, version) = (parts.next()?, parts.next()?, parts.next()?);
    let end =
        CommitLogPosition { segment_id: segment.parse().ok()?, position: position.parse().ok()? };
    Some((end, LogVersion::parse(version.parse().ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let version = LogVersion::parse(7).unwrap();
        let at = |position| CommitLogPosition { segment_id: 5, position };
        let mut held = HeldMutations::open(dir.path()).unwrap();
        held.keep(at(20), version, b"two").unwrap();
        held.keep(at(10), version, b"one").unwrap();
        held.keep(at(10), version, b"one").unwrap();
        std::fs::write(dir.path().join("held/other"), b"").unwrap();
        let mut held = HeldMutations::open(dir.path()).unwrap();
        assert_eq!(held.all().iter().map(|m| m.end).collect::<Vec<_>>(), [at(10), at(20)]);
        assert_eq!((held.of_segment(5), held.of_segment(6)), (2, 0));
        assert_eq!(held.payload(&held.all()[1]).unwrap(), b"two");
        held.remove(at(10)).unwrap();
        held.remove(at(11)).unwrap();
        assert_eq!(HeldMutations::open(dir.path()).unwrap().all().len(), 1);
    }
}
