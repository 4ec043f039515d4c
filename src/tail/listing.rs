//! Which segments there are.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::commitlog::SegmentName;
use crate::error::{Error, Result};

/// Where a segment was found: what may still happen to it depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// In an archive directory: complete, unless it is still being copied there.
    Archive,
    /// In `cdc_raw`: complete up to 3.11, followed by its `_cdc.idx` from 4.0 on.
    CdcRaw,
    /// In the commit-log directory: written, then removed by Cassandra.
    Live,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentFile {
    /// Version and id.
    pub(super) name: SegmentName,
    /// The file.
    pub(super) path: PathBuf,
    /// Where it is.
    pub(super) found: Found,
}

/// From this version on a segment in `cdc_raw` is linked when it is made and has a `_cdc.idx`; before, it is moved there when
/// it is complete (CASSANDRA-12148).
const FIRST_VERSION_WITH_INDEX: u32 = 7;

impl SegmentFile {
    /// True if Cassandra says of it how far it is synced, by a `_cdc.idx`.
    pub(super) fn has_index(&self) -> bool {
        self.found == Found::CdcRaw && self.name.version >= FIRST_VERSION_WITH_INDEX
    }

    /// True if it is known to hold changes, and not removed by Cassandra: it is archived, or came to `cdc_raw` of 3.8 to 3.11.
    pub(super) fn holds_changes(&self) -> bool {
        match self.found {
            Found::Archive => true,
            Found::CdcRaw => !self.has_index(),
            Found::Live => false,
        }
    }
}

/// The directories that are followed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SegmentDirs {
    /// `--archive`.
    pub(super) archive: Option<PathBuf>,
    /// `--cdc-raw`.
    pub(super) cdc_raw: Option<PathBuf>,
    /// `--commitlog-dir`.
    pub(super) live: Option<PathBuf>,
}

impl SegmentDirs {
    /// The directories, as they are given.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.archive, &self.cdc_raw, &self.live].into_iter().flatten().map(PathBuf::as_path)
    }

    /// All segments by id. One that is in several directories is taken where it changes least: an archive before `cdc_raw`
    /// before the commit log itself.
    pub(super) fn list(&self) -> Result<BTreeMap<i64, SegmentFile>> {
        let mut segments: BTreeMap<i64, SegmentFile> = BTreeMap::new();
        let dirs = [
            (&self.archive, Found::Archive),
            (&self.cdc_raw, Found::CdcRaw),
            (&self.live, Found::Live),
        ];
        for (directory, found) in dirs {
            let Some(directory) = directory else { continue };
            let missing = |source: std::io::Error| match source.kind() {
                ErrorKind::NotFound => Error::Missing {
                    what: format!("{} is not there", directory.display()),
                    hint: Some("give the directories that cassandra.yaml names".into()),
                },
                _ => Error::Input { action: "list", path: directory.clone(), source },
            };
            for entry in std::fs::read_dir(directory).map_err(missing)? {
                let entry = entry.map_err(|source| Error::Input {
                    action: "list",
                    path: directory.clone(),
                    source,
                })?;
                let file_name = entry.file_name();
                let Some(name) = file_name.to_str().and_then(SegmentName::parse) else { continue };
                segments.entry(name.id).or_insert_with(|| SegmentFile {
                    name,
                    path: entry.path(),
                    found,
                });
            }
        }
        Ok(segments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_segment_once_where_it_changes_least() {
        let dir = tempfile::tempdir().unwrap();
        let [archive, cdc, live] = ["archive", "cdc", "live"].map(|name| dir.path().join(name));
        for (directory, files) in [
            (&archive, &["CommitLog-6-1.log"][..]),
            (&cdc, &["CommitLog-6-1.log", "CommitLog-7-2.log", "CommitLog-7-2_cdc.idx"]),
            (&live, &["CommitLog-7-2.log", "CommitLog-7-3.log", "other"]),
        ] {
            std::fs::create_dir(directory).unwrap();
            for file in files {
                std::fs::write(directory.join(file), b"").unwrap();
            }
        }
        let all = SegmentDirs { archive: Some(archive), cdc_raw: Some(cdc), live: Some(live) };
        let found: Vec<_> =
            all.list().unwrap().into_values().map(|s| (s.name.id, s.found)).collect();
        assert_eq!(found, [(1, Found::Archive), (2, Found::CdcRaw), (3, Found::Live)]);
        let gone = SegmentDirs { cdc_raw: Some(dir.path().join("none")), ..SegmentDirs::default() };
        assert!(gone.list().unwrap_err().to_string().contains("is not there"));
    }
}
