//! Whether the SSTables of a run can all be open at a time, asked before the first one is.

use crate::error::{Error, Result};
use crate::io::ReadMode;

/// Summary.db; what is mapped needs no descriptor.
const PER_MAPPED_SSTABLE: u64 = 1;
/// Data.db, Index.db, Summary.db; of BTI Data.db, Partitions.db, Rows.db.
const PER_READ_SSTABLE: u64 = 3;
/// Linux allows a process 65,530 maps unless told otherwise, and an SSTable has three; then files are read.
const MAPPED_SSTABLES: u64 = 20_000;
/// Standard streams, lock and state of the output, what libraries hold.
const FIXED: u64 = 32;
/// Files that a worker writes, and one that it looks into.
const PER_WORKER: u64 = 3;

/// An error if `sstables` cannot all be open in a process that may have `limit` files open (none for any number); `deletes` if
/// workers write deletions too.
pub(super) fn check_open_files(
    sstables: u64,
    mode: ReadMode,
    threads: usize,
    deletes: bool,
    limit: Option<u64>,
) -> Result<()> {
    let mapped = match mode {
        ReadMode::Map => sstables.min(MAPPED_SSTABLES),
        ReadMode::Read => 0,
    };
    let needed = FIXED
        + (PER_WORKER + u64::from(deletes)) * threads as u64
        + PER_MAPPED_SSTABLE * mapped
        + PER_READ_SSTABLE * (sstables - mapped);
    match limit {
        Some(limit) if limit < needed => Err(Error::Usage {
            what: format!(
                "{sstables} SSTables need {needed} open files, and this process may have {limit}"
            ),
            hint: Some(
                "raise the hard limit (ulimit -Hn, or LimitNOFILE= in a systemd unit), or extract fewer tables at a time with -t"
                    .into(),
            ),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_sstables_fit_where_they_are_mapped() {
        let check = |sstables, mode, limit| check_open_files(sstables, mode, 2, false, limit);
        assert!(check(10_000, ReadMode::Map, Some(10_038)).is_ok());
        assert!(check(10_000, ReadMode::Read, None).is_ok());
        let error = check(10_000, ReadMode::Map, Some(10_037)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "10000 SSTables need 10038 open files, and this process may have 10037"
        );
        assert!(error.hint().unwrap().contains("LimitNOFILE"));
        assert!(check(10_000, ReadMode::Read, Some(30_037)).is_err());
        assert!(check(30_000, ReadMode::Map, Some(50_037)).is_err(), "beyond what can be mapped");
        assert!(check(30_000, ReadMode::Map, Some(50_038)).is_ok());
        assert!(check_open_files(30_000, ReadMode::Map, 2, true, Some(50_039)).is_err());
    }
}
