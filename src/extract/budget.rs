//! How `--memory` is spent.
//!
//! The flag bounds what this program allocates. Maps of input files are the kernel's page cache and do not count; pages
//! behind a reader are given back.
//!
//! ```text
//! fixed        16 MiB                                  program, schema, plan, side files
//! per SSTable  16 KiB                                  statistics, summary sample, plan of columns
//! per worker   4 MiB                                   output buffer, record buffer, text caches
//! per source   3 chunks + slack, or 64 KiB + 2 chunks  window of one SSTable that the worker is reading
//! uploads      `Transfer` in `store::s3`               parts in flight, and two parts per worker, if the output is S3
//! large rows   an eighth of the budget                 windows beyond the normal size, one worker at a time
//! their text   three eighths                           a large row merged, and its record before it is written
//! ```
//! A split reads several SSTables at a time, but a window is allocated when the merge first needs it and freed when its
//! SSTable has no more of the split. The worst case is a split that overlaps all SSTables of its table at every token. If
//! that does not fit, windows shrink to the least, and then workers become fewer; below one worker the run is refused.
//! Neither changes a byte of the output. A row whose stored bytes, in all SSTables together, exceed the eighth is
//! quarantined and named: it cannot be written without holding it.
//!
//! Large rows cannot deadlock: see `sstable::stream`.

use crate::error::{Error, Result};

const FIXED: u64 = 16 << 20;
const PER_SSTABLE: u64 = 16 << 10;
const PER_WORKER: u64 = 4 << 20;
const NORMAL_WINDOW: u64 = 64 << 10;
const SLACK: u64 = 64;

/// The smallest budget that a run may be given.
pub const LEAST_MEMORY: u64 = 64 << 20;

/// Memory that the output takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputMemory {
    /// Whatever the number of workers.
    pub fixed: u64,
    /// Each of them.
    pub per_worker: u64,
}

/// How the budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    /// Workers.
    pub workers: usize,
    /// Windows of the least size.
    pub small_windows: bool,
    /// Bytes of rows that do not fit a window.
    pub large_rows: usize,
}

impl MemoryBudget {
    /// Divides `memory` for `threads` workers over tables of at most `sources` SSTables with chunks of `chunk_len`.
    pub fn divide(
        memory: u64,
        threads: usize,
        sstables: u64,
        sources: u64,
        chunk_len: u64,
        output: OutputMemory,
    ) -> Result<Self> {
        let large_rows = usize::try_from(memory / 8).unwrap_or(usize::MAX);
        let fixed = FIXED + sstables * PER_SSTABLE + output.fixed;
        let per_worker = PER_WORKER + output.per_worker;
        let overhead = fixed + memory / 2;
        let spare = memory.saturating_sub(overhead);
        let least_window = 3 * chunk_len + SLACK;
        let normal_window = NORMAL_WINDOW.max(chunk_len) + 2 * chunk_len + SLACK;
        let threads = threads.max(1) as u64;
        for (window, small_windows) in [(normal_window, false), (least_window, true)] {
            let worker = per_worker + sources * window;
            if threads * worker <= spare {
                let workers = usize::try_from(threads).unwrap_or(1);
                return Ok(Self { workers, small_windows, large_rows });
            }
        }
        let worker = per_worker + sources * least_window;
        let workers = spare / worker;
        if workers == 0 || memory < LEAST_MEMORY {
            // What the output takes may itself grow with the memory: by less than a third of it.
            let slack = if output == OutputMemory::default() { 2 } else { 4 };
            let needed = ((fixed + worker) * slack).max(LEAST_MEMORY).div_ceil(1 << 20);
            return Err(Error::Usage {
                what: format!(
                    "{} MiB of memory are not enough for {sources} SSTables of one table",
                    memory >> 20
                ),
                hint: Some(format!("give --memory {needed}MiB or more")),
            });
        }
        tracing::info!(workers, threads, "fewer workers than threads, to stay within --memory");
        Ok(Self { workers: usize::try_from(workers).unwrap_or(1), small_windows: true, large_rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_before_workers_become_fewer_and_too_little_is_refused() {
        let of = |memory: u64, sources: u64| {
            MemoryBudget::divide(
                memory << 20,
                4,
                sources,
                sources,
                16 << 10,
                OutputMemory::default(),
            )
        };
        let roomy = of(1024, 5).unwrap();
        assert_eq!((roomy.workers, roomy.small_windows), (4, false));
        let tight = of(1024, 1500).unwrap();
        assert_eq!((tight.workers, tight.small_windows), (4, true));
        let tighter = of(1024, 5000).unwrap();
        assert_eq!((tighter.workers, tighter.small_windows), (1, true));
        assert!(of(1024, 100_000).is_err());
        assert!(of(32, 1).is_err());
        assert_eq!(of(64, 1).unwrap().workers, 3);
    }

    #[test]
    fn uploads_are_part_of_the_budget_and_what_is_asked_for_suffices() {
        let of = |memory: u64| {
            let transfer = crate::store::s3::Transfer::of(memory << 20);
            let output =
                OutputMemory { fixed: transfer.fixed(), per_worker: transfer.per_worker() };
            MemoryBudget::divide(memory << 20, 4, 10, 5, 16 << 10, output)
        };
        assert_eq!(of(1024).unwrap().workers, 4);
        assert_eq!(of(256).unwrap().workers, 4);
        assert_eq!(of(128).unwrap().workers, 1);
        let error = of(64).unwrap_err();
        let needed = error.hint().unwrap().split([' ', 'M']).nth(2).unwrap().parse().unwrap();
        assert!(of(needed).is_ok(), "{needed}");
    }
}
