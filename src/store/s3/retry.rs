//! One request, tried until it succeeds or there is no point.
//!
//! The SDK's own retries are off: it cannot say whether an earlier attempt may have been carried out, does not retry bodies
//! that stall, and gives up for good when many requests fail at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use tokio::time::Instant;

use super::client::Connector;
use super::failure::{Failure, Fate};
use super::limits::Rate;
use super::options::RetryPolicy;
use crate::progress::vitals::{self, Operation, traffic};

/// Attempts after which the user hears of it.
const QUIET_ATTEMPTS: u32 = 4;

/// How often whoever waits looks whether it should stop.
const LOOK: Duration = Duration::from_millis(50);

/// How long requests may still be tried after the user has asked to stop: last words, and the abort of an upload.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a request may take that begins after that.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What came of a request that succeeded.
#[derive(Debug)]
pub(super) struct Done<T> {
    pub(super) value: T,
    /// An attempt before this one may have been carried out as well.
    pub(super) unsure_before: bool,
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Sender {
    connector: Connector,
    policy: RetryPolicy,
    rate: Option<Rate>,
    /// The store has answered once.
    reached: AtomicBool,
    /// Set to a signal's number when the user wants to stop.
    stop: OnceLock<Arc<AtomicI32>>,
    /// When that was noticed.
    stopped_at: OnceLock<Instant>,
}

impl Sender {
    pub(super) fn new(connector: Connector, policy: RetryPolicy, rate: Option<u64>) -> Self {
        Self {
            connector,
            policy,
            rate: rate.map(Rate::new),
            reached: AtomicBool::new(false),
            stop: OnceLock::new(),
            stopped_at: OnceLock::new(),
        }
    }

    /// From when `flag` is no longer 0, nobody waits for a better time; the first flag counts.
    pub(super) fn stop_on(&self, flag: &Arc<AtomicI32>) {
        self.stop.get_or_init(|| Arc::clone(flag));
    }

    /// The signal by which the user has asked to stop, and until when last words may be tried.
    fn stopped(&self) -> Option<(i32, Instant)> {
        match self.stop.get()?.load(Ordering::Relaxed) {
            0 => None,
            signal => Some((signal, *self.stopped_at.get_or_init(Instant::now) + LAST_WORDS)),
        }
    }

    /// Waits until `until`, or until the user asks to stop.
    async fn pause(&self, until: Instant) {
        while self.stopped().is_none() {
            // What is waited for comes to an end by itself.
            vitals::sign();
            let now = Instant::now();
            if now >= until {
                return;
            }
            tokio::time::sleep_until(until.min(now + LOOK)).await;
        }
    }

    /// One attempt, which may take `limit`; less when the user has asked to stop.
    async fn attempt<T>(
        &self,
        limit: Duration,
        sending: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let began = Instant::now();
        let mut sending = pin!(sending);
        loop {
            if let Ok(done) = tokio::time::timeout(LOOK, &mut sending).await {
                return done;
            }
            vitals::sign();
            let now = Instant::now();
            if now >= began + limit {
                return Err(Failure::timed_out(limit));
            }
            if let Some((_, until)) = self.stopped()
                && now >= until.max(began + LAST_WORD)
            {
                return Err(Failure::timed_out(now - began));
            }
        }
    }

    /// Sends a request of `bytes` bytes until it succeeds or fails for good.
    pub(super) async fn call<T, F, Fut>(
        &self,
        operation: Operation,
        bytes: u64,
        send: F,
    ) -> Result<Done<T>, Failure>
    where
        F: Fn(Client) -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let limit = self.policy.timeout
            + Duration::from_secs(bytes.checked_div(self.policy.least_rate).unwrap_or(0));
        let mut unsure_before = false;
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some(rate) = self.rate.as_ref().filter(|_| bytes > 0) {
                self.pause(rate.turn(bytes)).await;
            }
            traffic().attempt(operation, bytes, attempts > 1);
            let (generation, client) = self.connector.client();
            let failure = match self.attempt(limit, send(client)).await {
                Ok(value) => {
                    self.reached.store(true, Ordering::Relaxed);
                    traffic().answered();
                    return Ok(Done { value, unsure_before });
                }
                Err(failure) => failure,
            };
            if failure.status.is_some() {
                self.reached.store(true, Ordering::Relaxed);
            }
            if failure.fate == Fate::Fatal {
                traffic().answered();
            } else {
                traffic().failed();
            }
            if attempts >= self.most_attempts(failure.fate) {
                if !(failure.is_absent() || failure.is_precondition()) {
                    traffic().gave_up();
                }
                let asked = self.stopped().filter(|_| failure.fate != Fate::Fatal);
                let stopped = asked.map(|(signal, _)| signal);
                return Err(Failure { attempts, unsure_before, stopped, ..failure });
            }
            unsure_before |= failure.unsure;
            let delay = self.delay(attempts);
            if attempts == QUIET_ATTEMPTS {
                tracing::warn!("S3: {failure}; trying on");
            } else {
                tracing::debug!(attempts, ?delay, "S3: {failure}");
            }
            self.pause(Instant::now() + delay).await;
            if let Some((signal, until)) = self.stopped() {
                // A moment more for a store that is only busy, none for one that is gone.
                let next = Instant::now() + self.policy.first_delay;
                if next >= until {
                    let stopped = Some(signal);
                    return Err(Failure { attempts, unsure_before, stopped, ..failure });
                }
                tokio::time::sleep_until(next).await;
            }
            if failure.fate == Fate::Credentials {
                self.connector.refresh(generation).await;
            }
        }
    }

    fn most_attempts(&self, fate: Fate) -> u32 {
        match fate {
            Fate::Fatal => 1,
            Fate::Damaged => self.policy.damaged_attempts,
            Fate::Retry | Fate::Credentials if self.reached.load(Ordering::Relaxed) => {
                self.policy.attempts
            }
            Fate::Retry | Fate::Credentials => self.policy.first_attempts,
        }
    }

    /// Doubles up to the longest, less up to half by chance, so that many do not come back at once.
    fn delay(&self, attempts: u32) -> Duration {
        let factor = 1_u32 << attempts.saturating_sub(1).min(20);
        let longest = self.policy.longest_delay;
        let delay = self.policy.first_delay.saturating_mul(factor).min(longest);
        let half = delay / 2;
        let nanos = u64::try_from(half.as_nanos()).unwrap_or(u64::MAX);
        half + Duration::from_nanos(random().checked_rem(nanos.saturating_add(1)).unwrap_or(0))
    }
}

/// The standard library's hash keys are the only randomness that is needed.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
