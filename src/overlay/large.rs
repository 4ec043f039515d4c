//! Memory for the partitions at hand.
//!
//! A partition of the overlay is put together in memory. Most are small, and each source may hold a small one at any time. Of
//! large ones only those of one split are there at a time: who needs another waits until that split has passed its own. The
//! split that has the permit never waits for it again, so it goes on, and nobody waits for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Limits of all workers together.
#[derive(Debug)]
pub struct PartitionMemory {
    small: usize,
    large: usize,
    taken: Mutex<bool>,
    freed: Condvar,
}

impl PartitionMemory {
    /// `small`: bytes of a partition that any source may hold; `large`: bytes of one that a source of one split at a time may hold.
    pub fn new(small: usize, large: usize) -> Arc<Self> {
        Arc::new(Self { small, large, taken: Mutex::new(false), freed: Condvar::new() })
    }
}

/// The part that the sources of one split have in it.
#[derive(Debug)]
pub struct SplitMemory {
    memory: Arc<PartitionMemory>,
    /// Sources of the split that hold a large partition.
    holders: AtomicUsize,
}

impl SplitMemory {
    /// For the sources of one split, which are all of one thread.
    pub fn new(memory: &Arc<PartitionMemory>) -> Arc<Self> {
        Arc::new(Self { memory: Arc::clone(memory), holders: AtomicUsize::new(0) })
    }
}

/// What one source may hold.
#[derive(Debug)]
pub(super) struct SourceMemory {
    split: Arc<SplitMemory>,
    is_large: bool,
}

impl SourceMemory {
    pub(super) fn new(split: &Arc<SplitMemory>) -> Self {
        Self { split: Arc::clone(split), is_large: false }
    }

    /// Bytes of one partition; no less for being small.
    pub(super) fn limit(&self) -> usize {
        let memory = &self.split.memory;
        memory.large.max(memory.small)
    }

    /// Waits until `bytes` may be held.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let memory = &self.split.memory;
        if self.is_large || bytes <= memory.small {
            return;
        }
        self.is_large = true;
        if self.split.holders.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut taken = memory.taken.lock().unwrap_or_else(PoisonError::into_inner);
            while *taken {
                taken = memory.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
            }
            *taken = true;
        }
    }

    /// The partition is gone.
    pub(super) fn release(&mut self) {
        if !std::mem::take(&mut self.is_large) {
            return;
        }
        if self.split.holders.fetch_sub(1, Ordering::Relaxed) == 1 {
            let memory = &self.split.memory;
            *memory.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
            memory.freed.notify_one();
        }
    }
}

impl Drop for SourceMemory {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_split_at_a_time_holds_large_partitions_and_never_waits_for_itself() {
        let memory = PartitionMemory::new(10, 100);
        let split = SplitMemory::new(&memory);
        let (mut a, mut b) = (SourceMemory::new(&split), SourceMemory::new(&split));
        assert_eq!(a.limit(), 100);
        a.reserve(50);
        b.reserve(60);
        a.reserve(70);
        let others = SplitMemory::new(&memory);
        let passed = Arc::new(AtomicUsize::new(0));
        let waiting = std::thread::spawn({
            let passed = Arc::clone(&passed);
            move || {
                let mut other = SourceMemory::new(&others);
                other.reserve(10);
                passed.store(1, Ordering::SeqCst);
                other.reserve(11);
                passed.store(2, Ordering::SeqCst);
            }
        });
        while passed.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        a.release();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(passed.load(Ordering::SeqCst), 1, "the second source still holds one");
        drop(b);
        waiting.join().unwrap();
        assert_eq!(passed.load(Ordering::SeqCst), 2);
    }
}
