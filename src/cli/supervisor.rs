//! What systemd is told (`Type=notify`): that the job is ready, how far it is, that it lives, that it ends.
//!
//! | word | when |
//! |---|---|
//! | `READY=1` | once: the plan is made, or the position read, and the store has answered |
//! | `STATUS=` | a line for `systemctl status`, when it has changed, at most every second |
//! | `WATCHDOG=1` | at half of `WATCHDOG_USEC`, only while the work goes on |
//! | `STOPPING=1` | once: a signal came, or the job is done |

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::progress::{Board, Ticker};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Between two lines of status.
const STATUS: Duration = Duration::from_secs(1);

/// Tells the service manager, until it is dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    ticker: Arc<Ticker>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts, if there is a service manager that wants to hear (`NOTIFY_SOCKET`).
    pub(super) fn start(board: Arc<Board>, cancel: Arc<AtomicI32>) -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())?;
        let variable = |name| std::env::var(name).ok();
        let watchdog = watchdog(variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let ticker = Arc::new(Ticker::default());
        let stopped = Arc::clone(&ticker);
        let mut telling = Telling { board, cancel, watchdog, said: Said::default() };
        let thread = std::thread::Builder::new()
            .name("supervisor".into())
            .spawn(move || {
                let pause = watchdog.map_or(LOOK, |half| half.min(LOOK)).max(LOOK / 100);
                loop {
                    telling.look();
                    if !stopped.wait(pause) {
                        break;
                    }
                }
                telling.end();
            })
            .ok();
        Some(Self { ticker, thread })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.ticker.stop();
        if let Some(thread) = self.thread.take() {
            // If it panicked, the panic has been printed.
            drop(thread.join());
        }
    }
}

struct Telling {
    board: Arc<Board>,
    cancel: Arc<AtomicI32>,
    /// Half of the interval in which a sign of life is expected.
    watchdog: Option<Duration>,
    said: Said,
}

#[derive(Default)]
struct Said {
    ready: bool,
    stopping: bool,
    alive: Option<Instant>,
    status: Option<(Instant, String)>,
}

impl Telling {
    fn look(&mut self) {
        let now = Instant::now();
        if !self.said.ready && self.board.is_ready() {
            self.said.ready = true;
            tell(&[NotifyState::Ready]);
        }
        if let Some(half) = self.watchdog
            && self.said.alive.is_none_or(|at| now.duration_since(at) >= half)
            && self.board.unhealthy().is_none()
        {
            self.said.alive = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
        if self.said.status.as_ref().is_none_or(|(at, _)| now.duration_since(*at) >= STATUS) {
            let line = self.board.line();
            if !line.is_empty()
                && self.said.status.as_ref().is_none_or(|(_, former)| *former != line)
            {
                tell(&[NotifyState::Status(&line)]);
            }
            self.said.status = Some((now, line));
        }
        if self.cancel.load(Ordering::Relaxed) != 0 {
            self.end();
        }
    }

    fn end(&mut self) {
        if !self.said.stopping {
            self.said.stopping = true;
            tell(&[NotifyState::Stopping]);
        }
    }
}

/// How often a sign of life is to be given: twice as often as one is expected. A process id that is another's means that the
/// variables were inherited; none means that they are for whoever reads them (`sd_watchdog_enabled(3)`).
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    let micros: u64 = micros?.parse().ok().filter(|&micros| micros > 0)?;
    let ours = pid.is_none_or(|pid| pid == std::process::id().to_string());
    ours.then(|| Duration::from_micros(micros) / 2)
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_given_twice_as_often_as_it_is_expected_if_it_is_expected_of_us() {
        let of = |micros: &str, pid: Option<String>| watchdog(Some(micros.to_owned()), pid);
        assert_eq!(of("200000", None), Some(Duration::from_millis(100)));
        assert_eq!(of("2", Some(std::process::id().to_string())), Some(Duration::from_micros(1)));
        assert_eq!(of("200000", Some("1".to_owned())), None);
        assert_eq!((of("0", None), of("x", None), watchdog(None, None)), (None, None, None));
    }
}
