//! Signs of life, and the traffic with the store, of this process.
//!
//! Whoever watches the process from outside (`/healthz`, systemd's watchdog) has to know whether the *work* goes on, not
//! whether some thread answers. So threads that work are on duty, and give a sign whenever something has moved: a window of
//! an SSTable read, a pass over the segments, an attempt of a request that is bounded in time. Threads that only say that
//! the process lives (the beat of a claim) are not on duty, and no sign of theirs counts.
//!
//! The numbers are the process's, like those of the kernel: they only grow, and nothing that is written depends on them.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a thread works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Rows out of SSTables.
    Extract,
    /// Changes out of the commit log.
    Tail,
    /// Changes into rows.
    Sequence,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Extract, Self::Tail, Self::Sequence];

    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Tail => "tail",
            Self::Sequence => "sequence",
        }
    }

    /// Milliseconds since the process began at the last sign, and one; 0 if nobody is on duty.
    fn last(self) -> &'static AtomicU64 {
        static EXTRACT: AtomicU64 = AtomicU64::new(0);
        static TAIL: AtomicU64 = AtomicU64::new(0);
        static SEQUENCE: AtomicU64 = AtomicU64::new(0);
        match self {
            Self::Extract => &EXTRACT,
            Self::Tail => &TAIL,
            Self::Sequence => &SEQUENCE,
        }
    }
}

thread_local! {
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

fn millis() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX - 1).saturating_add(1)
}

/// As long as it lives, its role is expected to give signs.
#[derive(Debug)]
pub struct Duty {
    role: Role,
    before: Option<Role>,
}

/// The calling thread begins to work in a role.
pub fn on_duty(role: Role) -> Duty {
    let before = ROLE.replace(Some(role));
    sign();
    Duty { role, before }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.role.last().store(0, Ordering::Relaxed);
        ROLE.set(self.before);
    }
}

/// The role of the calling thread, for the threads that it starts.
pub fn role() -> Option<Role> {
    ROLE.get()
}

/// The calling thread works for whoever started it; its role is [`role()`] of that thread.
pub fn join(role: Option<Role>) {
    ROLE.set(role);
}

/// Something has moved. Costs a look at the clock: to be called for some ten kilobytes, not for a row.
pub fn sign() {
    if let Some(role) = ROLE.get() {
        role.last().store(millis(), Ordering::Relaxed);
    }
}

/// The role that has been silent longest, and for how long; none if nobody is on duty.
pub fn silence() -> Option<(Role, Duration)> {
    let now = millis();
    let silent = Role::ALL.into_iter().filter_map(|role| {
        let last = role.last().load(Ordering::Relaxed);
        (last > 0).then(|| (role, Duration::from_millis(now.saturating_sub(last))))
    });
    silent.max_by_key(|(_, silent)| *silent)
}

/// The kinds of requests that are sent to S3, by the name of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of S3's API reference")]
pub enum Operation {
    PutObject,
    CreateMultipartUpload,
    UploadPart,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListMultipartUploads,
    GetObject,
    HeadObject,
    ListObjectsV2,
    DeleteObject,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PutObject,
        Self::CreateMultipartUpload,
        Self::UploadPart,
        Self::CompleteMultipartUpload,
        Self::AbortMultipartUpload,
        Self::ListMultipartUploads,
        Self::GetObject,
        Self::HeadObject,
        Self::ListObjectsV2,
        Self::DeleteObject,
    ];

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PutObject => "PutObject",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::UploadPart => "UploadPart",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::GetObject => "GetObject",
            Self::HeadObject => "HeadObject",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::DeleteObject => "DeleteObject",
        }
    }
}

/// What went to S3 and came back.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: [AtomicU64; Operation::ALL.len()],
    retries: AtomicU64,
    given_up: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    failing: AtomicU32,
}

/// That of this process.
pub fn traffic() -> &'static Traffic {
    static TRAFFIC: OnceLock<Traffic> = OnceLock::new();
    TRAFFIC.get_or_init(Traffic::default)
}

impl Traffic {
    /// An attempt to send `bytes` bytes begins; `again` if it is not the first of its request.
    pub fn attempt(&self, operation: Operation, bytes: u64, again: bool) {
        if let Some(count) = self.requests.get(operation as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.retries.fetch_add(u64::from(again), Ordering::Relaxed);
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An attempt was answered, if only with a word that the request cannot be.
    pub fn answered(&self) {
        self.failing.store(0, Ordering::Relaxed);
    }

    /// An attempt failed in passing.
    pub fn failed(&self) {
        self.failing.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was given up.
    pub fn gave_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of objects came in.
    pub fn received(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The numbers.
    pub fn read(&self) -> TrafficCounts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TrafficCounts {
            requests: Operation::ALL.into_iter().zip(self.requests.iter().map(of)).collect(),
            retries: of(&self.retries),
            given_up: of(&self.given_up),
            bytes_sent: of(&self.sent),
            bytes_received: of(&self.received),
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}

/// The numbers of a [`Traffic`] at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrafficCounts {
    /// Attempts, by operation.
    pub requests: Vec<(Operation, u64)>,
    /// Attempts that were not the first of their request.
    pub retries: u64,
    /// Requests that failed for good; that an object is not there is no failure.
    pub given_up: u64,
    /// Bytes of bodies sent, those sent again included.
    pub bytes_sent: u64,
    /// Bytes of objects received.
    pub bytes_received: u64,
    /// Attempts that have failed in passing since the last answer.
    pub failing: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_threads_on_duty_give_signs_and_those_they_start() {
        // Nothing else in the library's tests runs a sequencer's role without a duty of its own for long.
        let role_here = Role::Sequence;
        std::thread::spawn(move || {
            assert_eq!(role(), None);
            let duty = on_duty(role_here);
            assert_eq!(role(), Some(role_here));
            let inherited = role();
            std::thread::sleep(Duration::from_millis(20));
            role_here.last().store(1, Ordering::Relaxed);
            std::thread::spawn(sign).join().unwrap();
            assert_eq!(role_here.last().load(Ordering::Relaxed), 1, "a stranger's sign counts");
            std::thread::spawn(move || {
                join(inherited);
                sign();
            })
            .join()
            .unwrap();
            assert!(role_here.last().load(Ordering::Relaxed) > 1);
            drop(duty);
            assert_eq!(role(), None);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn traffic_is_counted_by_operation() {
        let traffic = Traffic::default();
        traffic.attempt(Operation::DeleteObject, 0, false);
        traffic.attempt(Operation::UploadPart, 7, false);
        traffic.failed();
        traffic.attempt(Operation::UploadPart, 7, true);
        assert_eq!(traffic.read().failing, 1);
        traffic.answered();
        traffic.received(3);
        traffic.gave_up();
        let counts = traffic.read();
        let of = |wanted| counts.requests.iter().find(|(op, _)| *op == wanted).unwrap().1;
        assert_eq!((of(Operation::UploadPart), of(Operation::DeleteObject)), (2, 1));
        assert_eq!(of(Operation::PutObject), 0);
        let TrafficCounts { retries, given_up, bytes_sent, bytes_received, failing, .. } = counts;
        assert_eq!((retries, given_up, bytes_sent, bytes_received, failing), (1, 1, 14, 3, 0));
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
    }
}
