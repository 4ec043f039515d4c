//! The beat of a thread that does something now and then.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes at an interval until it is stopped.
#[derive(Debug, Default)]
pub struct Ticker {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Ticker {
    /// Waits for the next beat; false once stopped.
    pub fn wait(&self, interval: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, interval, |stopped| !*stopped);
        let (stopped, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }

    /// Stops it; a wait ends at once.
    pub fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_ticker_ends_its_wait_when_it_is_stopped() {
        let ticker = Ticker::default();
        assert!(ticker.wait(Duration::from_millis(1)));
        let start = Instant::now();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| ticker.wait(Duration::from_secs(3600)));
            ticker.stop();
            assert!(!waiter.join().unwrap());
        });
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
