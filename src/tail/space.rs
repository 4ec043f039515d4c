//! How far `cdc_raw` is from the size at which Cassandra refuses writes.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::statvfs;

use super::options::{Shipped, TailOptions};

/// `cdc_total_space` where it is not set: 4 GiB or an eighth of the volume, what is smaller (`DatabaseDescriptor`).
const DEFAULT_SPACE: u64 = 4096 << 20;
/// `commitlog_segment_size`: a segment is refused when it would not fit any more, so the limit strikes one segment early.
pub(super) const SEGMENT_SIZE: u64 = 32 << 20;
/// Part of the limit from which on it is said.
const WARN_PERCENT: u64 = 50;

/// The space that segments in `cdc_raw` take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CdcSpace {
    /// Bytes of all files there.
    pub(super) used: u64,
    /// From here on writes to tables with CDC are refused (`cdc_block_writes`), or the oldest segments deleted.
    pub(super) limit: u64,
}

impl CdcSpace {
    /// Looks at `directory`; `total` is `cdc_total_space`. None if the directory cannot be read.
    pub(super) fn look(directory: &Path, total: Option<u64>) -> Option<Self> {
        let mut used = 0u64;
        for entry in std::fs::read_dir(directory).ok()? {
            // One that Cassandra removes meanwhile takes no space.
            used += entry.and_then(|entry| entry.metadata()).map_or(0, |found| found.len());
        }
        let total = total.unwrap_or_else(|| {
            statvfs(directory).map_or(DEFAULT_SPACE, |volume| {
                DEFAULT_SPACE.min(volume.f_blocks.saturating_mul(volume.f_frsize) / 8)
            })
        });
        Some(Self { used, limit: total.saturating_sub(SEGMENT_SIZE) })
    }

    /// Percent of the limit in use.
    pub(super) fn percent(&self) -> u64 {
        self.used.saturating_mul(100).checked_div(self.limit).unwrap_or(100)
    }

    /// True from half of the limit on.
    pub(super) fn is_worth_a_warning(&self) -> bool {
        self.percent() >= WARN_PERCENT
    }
}

/// Looks at the space now and then, and says when it becomes scarce.
#[derive(Debug)]
pub(super) struct SpaceWatch {
    directory: Option<PathBuf>,
    total: Option<u64>,
    shipped: Shipped,
    last: Option<(Instant, u64)>,
    found: Option<CdcSpace>,
    /// Percent that were told last.
    told: u64,
}

/// It is said again when this many percent more are in use.
const STEP_PERCENT: u64 = 5;

impl SpaceWatch {
    /// Watches `cdc_raw` of the options, if there is one.
    pub(super) fn new(options: &TailOptions) -> Self {
        Self {
            directory: options.cdc_raw.clone(),
            total: options.cdc_total_space,
            shipped: options.shipped,
            last: None,
            found: None,
            told: 0,
        }
    }

    /// What the last look found.
    pub(super) fn found(&self) -> Option<CdcSpace> {
        self.found
    }

    /// What there is to say now.
    pub(super) fn look(&mut self) -> Option<String> {
        let space = CdcSpace::look(self.directory.as_deref()?, self.total)?;
        self.found = Some(space);
        let now = Instant::now();
        let grown = self.last.replace((now, space.used));
        if !space.is_worth_a_warning() {
            self.told = 0;
            return None;
        }
        if space.percent() < self.told.saturating_add(STEP_PERCENT) && self.told != 0 {
            return None;
        }
        self.told = space.percent();
        let left = grown.and_then(|(at, used)| {
            let grown = space.used.checked_sub(used).filter(|&grown| grown > 0)?;
            let seconds = now.duration_since(at).as_secs().max(1);
            Some(space.limit.saturating_sub(space.used).saturating_mul(seconds) / grown)
        });
        let when = left.map_or_else(
            || "before it is full".to_owned(),
            |seconds| format!("in about {} min, as fast as it grows now", seconds / 60),
        );
        let what = match self.shipped {
            Shipped::Keep => "remove what is shipped, or give --shipped delete",
            Shipped::Delete => {
                "shipping is too slow, or segments are held back by damage or unknown tables"
            }
        };
        Some(format!(
            "cdc_raw takes {} of {} MiB: Cassandra refuses writes to tables with CDC {when}; {what}",
            space.used >> 20,
            space.limit >> 20
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_strikes_a_segment_early() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("CommitLog-7-1.log"), vec![0; 3 << 20]).unwrap();
        let space = CdcSpace::look(dir.path(), Some(SEGMENT_SIZE + (4 << 20))).unwrap();
        assert_eq!(space, CdcSpace { used: 3 << 20, limit: 4 << 20 });
        assert_eq!((space.percent(), space.is_worth_a_warning()), (75, true));
        let roomy = CdcSpace::look(dir.path(), Some(4096 << 20)).unwrap();
        assert!(!roomy.is_worth_a_warning());
        assert_eq!(CdcSpace { used: 1, limit: 0 }.percent(), 100);
        assert!(CdcSpace::look(Path::new("/nowhere/at/all"), None).is_none());
    }
}
