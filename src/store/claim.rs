//! `claim.json`: of each agent's number, and of the sequencer, there is one living process.
//!
//! Its holder rewrites it at an interval, on condition that nobody else did. Whoever finds one watches it: a holder on the same
//! machine that is gone is replaced at once, another one when it has missed three beats. So no clocks are compared, and a
//! holder that comes back late finds its claim changed and stops.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::progress::{Events, clock};

use super::object::{ObjectVersion, PutOutcome, ReplaceOutcome, Store};

/// Version of the claim's own format.
const FORMAT_VERSION: u32 = 1;

/// Beats that a holder may miss.
const MISSED: u32 = 3;
/// Between two looks at somebody else's claim.
const LOOK: Duration = Duration::from_millis(250);

/// A process, so that others on its machine can see whether it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    format_version: u32,
    /// Host name.
    host: String,
    /// Which boot of which machine, and which namespace of processes.
    machine: String,
    pid: u32,
    /// When the process began, in ticks since the machine did: numbers of processes are used again.
    process_started: u64,
    /// When it last wrote this.
    heartbeat: String,
    /// Grows with each beat, so that two never have the same bytes.
    beat: u64,
}

impl Holder {
    fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            format_version: FORMAT_VERSION,
            host: host_name(),
            machine: machine(),
            pid,
            process_started: process_started(pid).unwrap_or(0),
            heartbeat: clock::now().to_string(),
            beat: 0,
        }
    }

    fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::Bug(format!("cannot write JSON: {error}")))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    fn parse(location: &str, bytes: &[u8]) -> Result<Self> {
        let refused = |what: String| Error::Refused {
            what: format!("{location} {what}"),
            hint: Some("remove it if no process of this output is running".to_owned()),
        };
        let holder: Self = serde_json::from_slice(bytes)
            .map_err(|error| refused(format!("is not a claim: {error}")))?;
        if holder.format_version != FORMAT_VERSION {
            return Err(refused(format!("has format version {}", holder.format_version)));
        }
        Ok(holder)
    }

    /// True if it can be known from here that the process is gone.
    fn is_gone(&self) -> bool {
        !self.machine.is_empty()
            && self.machine == machine()
            && process_started(self.pid) != Some(self.process_started)
    }
}

/// What this machine calls itself.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Empty where the system does not tell.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    if boot.is_empty() || namespace.as_os_str().is_empty() {
        return String::new();
    }
    format!("{} {}", boot.trim(), namespace.display())
}

/// Field 22 of `/proc/PID/stat`; the name before it may hold anything, a bracket too.
fn process_started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// This process's claim on a part of an output.
pub struct Claim {
    store: Arc<dyn Store>,
    name: String,
    held: Mutex<(Holder, ObjectVersion)>,
}

impl Claim {
    /// Takes the claim `name` on `part` ("agent 3", "the sequencer"), at once if it is free; else after watching its holder
    /// for as long as three beats of `interval`. None, with a word to the user, where the store has no conditional writes.
    pub fn take(
        store: &Arc<dyn Store>,
        name: &str,
        part: &str,
        interval: Duration,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Option<Self>> {
        // Whether conditions hold may only turn out at the first one.
        let taken = match store.is_conditional() {
            true => Some(Self::take_conditional(store, name, part, interval, cancel, events)),
            false => None,
        };
        match taken {
            Some(taken) if store.is_conditional() => taken.map(Some),
            Some(_) | None => {
                events.warning(&format!(
                    "{} has no conditional writes: nothing keeps two processes from being {part} at once; start only one",
                    store.location("")
                ));
                store.delete(name)?;
                Ok(None)
            }
        }
    }

    fn take_conditional(
        store: &Arc<dyn Store>,
        name: &str,
        part: &str,
        interval: Duration,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Self> {
        let name = name.to_owned();
        let mine = Holder::this_process();
        let bytes = mine.to_json()?;
        let mut watched: Option<(ObjectVersion, Instant)> = None;
        loop {
            if let PutOutcome::Created(_) = store.put_if_absent(&name, &bytes)? {
                let Some(found) = store.get_versioned(&name)? else { continue };
                return Ok(Self::of(store, name, mine, found.version));
            }
            let Some(found) = store.get_versioned(&name)? else { continue };
            if found.bytes == bytes {
                // The reply to our own request was lost.
                return Ok(Self::of(store, name, mine, found.version));
            }
            let holder = Holder::parse(&store.location(&name), &found.bytes)?;
            let since = match &watched {
                Some((version, since)) if *version == found.version => *since,
                Some(_) => return Err(taken(part, &holder)),
                None => Instant::now(),
            };
            if holder.is_gone() || since.elapsed() >= interval * MISSED {
                match store.put_if_unchanged(&name, &bytes, &found.version)? {
                    ReplaceOutcome::Replaced(version) => {
                        return Ok(Self::of(store, name, mine, version));
                    }
                    ReplaceOutcome::Changed => return Err(taken(part, &holder)),
                }
            }
            if watched.is_none() {
                events.warning(&format!(
                    "{part} is claimed by process {} on {}; waiting {} s to see whether it still lives",
                    holder.pid,
                    holder.host,
                    (interval * MISSED).as_secs()
                ));
                watched = Some((found.version, since));
            }
            match cancel.load(Ordering::Relaxed) {
                0 => std::thread::sleep(LOOK.min(interval)),
                signal => return Err(Error::Stopped(signal)),
            }
        }
    }

    /// Removes the claim of a process on this machine that ended between its last word and the release.
    pub fn remove_if_gone(store: &dyn Store, name: &str) -> Result<()> {
        let Some(found) = store.get_versioned(name)? else { return Ok(()) };
        let holder = Holder::parse(&store.location(name), &found.bytes)?;
        if holder.is_gone() && store.is_conditional() {
            let mine = Holder::this_process().to_json()?;
            if let ReplaceOutcome::Replaced(_) =
                store.put_if_unchanged(name, &mine, &found.version)?
            {
                store.delete(name)?;
            }
        }
        Ok(())
    }

    fn of(store: &Arc<dyn Store>, name: String, holder: Holder, version: ObjectVersion) -> Self {
        Self { store: Arc::clone(store), name, held: Mutex::new((holder, version)) }
    }

    /// Says that this process lives; an error if another one has taken the number.
    pub fn beat(&self) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (holder, version) = &mut *held;
        holder.beat += 1;
        holder.heartbeat = clock::now().to_string();
        match self.store.put_if_unchanged(&self.name, &holder.to_json()?, version)? {
            ReplaceOutcome::Replaced(next) => {
                *version = next;
                Ok(())
            }
            ReplaceOutcome::Changed => Err(Error::Refused {
                what: format!(
                    "{} is no longer this process's: another one took it while nothing was heard of this one",
                    self.store.location(&self.name)
                ),
                hint: Some("let the other process finish; the work done so far is not lost".into()),
            }),
        }
    }

    /// Gives the number up, if it is still this process's.
    pub fn release(self) -> Result<()> {
        self.beat()?;
        self.store.delete(&self.name)
    }
}

fn taken(part: &str, holder: &Holder) -> Error {
    Error::Refused {
        what: format!(
            "{part} of this output is being run by process {} on {}",
            holder.pid, holder.host
        ),
        hint: Some(
            "one process for each part: let that one finish or stop it, or write to another --output"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoEvents;
    use crate::store::LocalStore;

    fn name(agent: u32) -> String {
        format!("{agent}/claim.json")
    }

    const INTERVAL: Duration = Duration::from_millis(40);

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        (directory, Arc::new(store))
    }

    fn take(store: &Arc<dyn Store>, agent: u32) -> Result<Claim> {
        let part = format!("agent {agent}");
        Claim::take(store, &name(agent), &part, INTERVAL, &AtomicI32::new(0), &NoEvents)
            .map(Option::unwrap)
    }

    fn put(store: &Arc<dyn Store>, change: impl FnOnce(&mut Holder)) {
        let mut holder = Holder::this_process();
        change(&mut holder);
        store.put(&name(3), &holder.to_json().unwrap()).unwrap();
    }

    #[test]
    fn a_number_has_one_holder_until_it_is_given_up() {
        let (_directory, store) = store();
        let first = take(&store, 3).unwrap();
        let other = take(&store, 4).unwrap();
        let done = AtomicI32::new(0);
        std::thread::scope(|scope| {
            let (done, first) = (&done, &first);
            scope.spawn(move || {
                while done.load(Ordering::Relaxed) == 0 {
                    first.beat().unwrap();
                    std::thread::sleep(INTERVAL / 4);
                }
            });
            let error = take(&store, 3).map(drop).unwrap_err().to_string();
            done.store(1, Ordering::Relaxed);
            assert!(error.contains("agent 3 of this output is being run by process"), "{error}");
        });
        first.release().unwrap();
        take(&store, 3).unwrap().release().unwrap();
        other.release().unwrap();
        assert_eq!(store.list("").unwrap(), []);
    }

    #[test]
    fn a_holder_on_this_machine_that_is_gone_is_replaced_at_once() {
        for change in
            [(|holder: &mut Holder| holder.process_started += 1) as fn(&mut Holder), |holder| {
                holder.pid = u32::MAX
            }]
        {
            let (_directory, store) = store();
            put(&store, change);
            let start = Instant::now();
            let (hour, go) = (Duration::from_secs(3600), AtomicI32::new(0));
            Claim::take(&store, &name(3), "agent 3", hour, &go, &NoEvents).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60));
        }
    }

    #[test]
    fn a_holder_elsewhere_is_replaced_when_it_has_missed_three_beats() {
        let (_directory, store) = store();
        put(&store, |holder| holder.machine = "elsewhere".into());
        let start = Instant::now();
        let claim = take(&store, 3).unwrap();
        assert!(start.elapsed() >= INTERVAL * MISSED);
        claim.beat().unwrap();
    }

    #[test]
    fn a_holder_that_was_replaced_is_told_so() {
        let (_directory, store) = store();
        let claim = take(&store, 3).unwrap();
        put(&store, |holder| holder.beat = 77);
        let error = claim.beat().unwrap_err().to_string();
        assert!(error.contains("no longer this process's"), "{error}");
        // And it does not take away what is not its own.
        assert!(claim.release().is_err());
        assert!(store.get(&name(3)).unwrap().is_some());
    }

    #[test]
    fn waiting_ends_with_a_signal() {
        let (_directory, store) = store();
        put(&store, |holder| holder.machine = "elsewhere".into());
        let cancel = AtomicI32::new(15);
        let hour = Duration::from_secs(3600);
        let waited = Claim::take(&store, &name(3), "agent 3", hour, &cancel, &NoEvents);
        assert!(matches!(waited.map(drop), Err(Error::Stopped(15))));
    }
}
