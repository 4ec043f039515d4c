//! How many bytes may be under way, and how fast they may go.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Room is given out in units of this many bytes, as a semaphore counts in 32 bits.
const UNIT: u64 = 4096;

/// Room for bytes; a waiter gets all it asked for or nothing, in order of asking.
#[derive(Debug)]
pub(super) struct Room {
    free: Arc<Semaphore>,
    units: u32,
}

impl Room {
    pub(super) fn new(bytes: u64) -> Self {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX))), units }
    }

    /// Waits for room; what is larger than all of it gets all of it. None if there never will be any.
    pub(super) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units);
        Arc::clone(&self.free).acquire_many_owned(units).await.ok()
    }
}

/// A bucket of tokens, one per byte: an upload waits until its turn comes.
#[derive(Debug)]
pub(super) struct Rate {
    bytes_per_second: u64,
    next: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), next: Mutex::new(Instant::now()) }
    }

    /// When `bytes` may go.
    pub(super) fn turn(&self, bytes: u64) -> Instant {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(Instant::now());
        *next = turn + takes;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn room_is_shared_and_comes_back() {
        block_on(async {
            let room = Room::new(10 * UNIT);
            let first = room.take(6 * UNIT).await.unwrap();
            let short = Duration::from_millis(5);
            assert!(tokio::time::timeout(short, room.take(5 * UNIT)).await.is_err());
            drop(first);
            drop(room.take(5 * UNIT).await.unwrap());
            // A part that is larger than the budget goes alone.
            let all = room.take(1 << 60).await.unwrap();
            assert!(tokio::time::timeout(short, room.take(1)).await.is_err());
            drop(all);
        });
    }

    #[test]
    fn bytes_wait_for_their_turn() {
        let rate = Rate::new(100_000);
        let start = Instant::now();
        let first = rate.turn(5_000);
        assert!(first <= Instant::now(), "the first goes at once");
        let second = rate.turn(5_000);
        assert_eq!(second - first, Duration::from_millis(50));
        assert!(rate.turn(1) >= start + Duration::from_millis(100));
    }
}
