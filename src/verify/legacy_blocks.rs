//! The index of the rows of a large partition of 2.x, against the partition.
//!
//! Its blocks end between atoms, in the middle of rows too, so they are compared with the partition as a whole: they begin
//! behind its head, each where the one before it ends, and the last ends where the partition does.

use crate::error::{Error, Result};
use crate::sstable::WalkedPartition;
use crate::sstable::big::{LegacyRowIndex, PrimaryIndex, RowIndexLocation};

use super::checks::{CheckKind, Finding, SstableChecks};

/// What ends a partition and is in no block.
const END_LEN: u64 = 2;

/// A partition that was read to its end.
pub(super) struct LegacyBlocks {
    pub(super) partition: WalkedPartition,
    /// Key with its length, and deletion.
    pub(super) head_len: u64,
    /// Where it ends.
    pub(super) end: u64,
}

impl LegacyBlocks {
    /// Compares it with the index at `at`.
    pub(super) fn check(
        &self,
        index: &PrimaryIndex,
        at: RowIndexLocation,
        buf: &mut Vec<u8>,
        report: &mut SstableChecks,
    ) -> Result<()> {
        let bytes = match index.row_index(at, buf) {
            Ok(bytes) => bytes,
            Err(error) => return report.add_error(CheckKind::RowIndex, error),
        };
        let rows = match LegacyRowIndex::decode(bytes) {
            Ok(rows) => rows,
            Err(error) => {
                if let Error::Damaged(damage) = index.row_index_error(at, error) {
                    let offset = damage.offset.unwrap_or(at.offset);
                    let finding = Finding::at(damage.path.clone(), offset, damage.cause.clone());
                    report.add(CheckKind::RowIndex, finding);
                }
                return Ok(());
            }
        };
        let start = self.partition.offset;
        let mut wrong = |words: String| {
            let finding = Finding::at(index.path().to_path_buf(), at.offset, words);
            report.add(CheckKind::RowIndex, finding);
        };
        if rows.partition_deletion != self.partition.deletion {
            wrong(format!("its deletion of the partition is not that at {start} of Data.db"));
        }
        let (Some(first), Some(last)) = (rows.blocks.first(), rows.blocks.last()) else {
            wrong("it has no blocks".into());
            return Ok(());
        };
        if first.offset != self.head_len {
            wrong(format!(
                "its first block begins {} bytes behind the partition at {start} of Data.db, the first row {}",
                first.offset, self.head_len
            ));
        }
        let end = last.offset.saturating_add(last.width).saturating_add(start);
        if end.saturating_add(END_LEN) != self.end {
            wrong(format!(
                "its last block ends at {end} of Data.db, the partition at {}",
                self.end
            ));
        }
        Ok(())
    }
}
