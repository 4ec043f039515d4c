//! One request, tried until it succeeds or there is no point.
//!
//! The SDK's own retries are off: it cannot say whether an earlier attempt may have been carried out, does not retry bodies
//! that stall, and gives up for good when many requests fail at once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::Client;

use super::client::Connector;
use super::failure::{Failure, Fate};
use super::limits::Rate;
use super::options::RetryPolicy;

/// Attempts after which the user hears of it.
const QUIET_ATTEMPTS: u32 = 4;

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
}

impl Sender {
    pub(super) fn new(connector: Connector, policy: RetryPolicy, rate: Option<u64>) -> Self {
        Self { connector, policy, rate: rate.map(Rate::new), reached: AtomicBool::new(false) }
    }

    /// Sends a request of `bytes` bytes until it succeeds or fails for good.
    pub(super) async fn call<T, F, Fut>(&self, bytes: u64, send: F) -> Result<Done<T>, Failure>
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
                rate.wait(bytes).await;
            }
            let (generation, client) = self.connector.client();
            let failure = match tokio::time::timeout(limit, send(client)).await {
                Ok(Ok(value)) => {
                    self.reached.store(true, Ordering::Relaxed);
                    return Ok(Done { value, unsure_before });
                }
                Ok(Err(failure)) => failure,
                Err(_) => Failure::timed_out(limit),
            };
            if failure.status.is_some() {
                self.reached.store(true, Ordering::Relaxed);
            }
            if attempts >= self.most_attempts(failure.fate) {
                return Err(Failure { attempts, unsure_before, ..failure });
            }
            unsure_before |= failure.unsure;
            let delay = self.delay(attempts);
            if attempts == QUIET_ATTEMPTS {
                tracing::warn!("S3: {failure}; trying on");
            } else {
                tracing::debug!(attempts, ?delay, "S3: {failure}");
            }
            tokio::time::sleep(delay).await;
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
