//! Whether somebody has put the machine's clock back.

use std::time::Instant;

/// A clock that is this much behind what it should show has been put back; less is the drift that is corrected all the time.
const PUT_BACK_MILLIS: i64 = 500;

/// Compares the clock with one that nobody sets.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(i64, Instant)>,
}

impl ClockWatch {
    /// True if since the last look the clock was put back: `time` (ms since 1970) is what it shows at `at`.
    pub(super) fn was_put_back(&mut self, time: i64, at: Instant) -> bool {
        let Some((before, then)) = self.last.replace((time, at)) else { return false };
        let went_by = at.saturating_duration_since(then).as_millis();
        let expected = before.saturating_add(i64::try_from(went_by).unwrap_or(i64::MAX));
        time.saturating_add(PUT_BACK_MILLIS) < expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_is_put_back_is_noticed_also_if_more_time_went_by() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut watch = ClockWatch::default();
        assert!(!watch.was_put_back(1_000_000, at(0)));
        assert!(!watch.was_put_back(1_010_000, at(10)));
        assert!(watch.was_put_back(1_015_000, at(20)));
        assert!(!watch.was_put_back(1_016_000, at(21)));
        // Ahead by an hour, as after a sleep, and back.
        assert!(!watch.was_put_back(4_616_000, at(22)));
        assert!(watch.was_put_back(1_018_000, at(23)));
    }
}
