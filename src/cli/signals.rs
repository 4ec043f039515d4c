//! SIGINT and SIGTERM: the first asks the job to stop, a second one ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit::ExitCode;
use crate::error::{Error, Result};

/// Sets `cancel` to the number of the first signal that comes, and says by `say` what a second one would do.
pub(super) fn listen(
    cancel: Arc<AtomicI32>,
    say: impl Fn(&'static str) + Send + 'static,
) -> Result<()> {
    let bug = |error: std::io::Error| Error::Bug(format!("cannot listen for signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(bug)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for number in signals.forever() {
                if cancel.swap(number, Ordering::SeqCst) != 0 {
                    // Nothing is lost: files appear whole or not at all, and unfinished splits are done again.
                    std::process::exit(ExitCode::signal(number).code().into());
                }
                say("stopping; once more to stop at once");
            }
        })
        .map(drop)
        .map_err(bug)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_signal_sets_the_flag() {
        let cancel = Arc::new(AtomicI32::new(0));
        listen(Arc::clone(&cancel), |_| {}).unwrap();
        signal_hook::low_level::raise(SIGTERM).unwrap();
        let start = Instant::now();
        while cancel.load(Ordering::SeqCst) == 0 && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(cancel.load(Ordering::SeqCst), SIGTERM);
    }
}
