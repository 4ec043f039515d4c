//! How fast files may be read: what a node that serves live traffic can spare.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes a second that all workers share.
#[derive(Debug)]
pub struct ReadRate {
    bytes_per_second: u64,
    next: Mutex<Instant>,
}

impl ReadRate {
    /// At most so many bytes a second.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// Waits until `bytes` may be read.
    pub(super) fn take(&self, bytes: u64) {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(now);
            *next = turn + takes;
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_the_rate() {
        let rate = ReadRate::new(1_000_000);
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| rate.take(10_000)));
            }
        });
        // 400,000 bytes but the last ones, whose time nobody waits for.
        assert!(start.elapsed() >= Duration::from_millis(380), "{:?}", start.elapsed());
    }
}
