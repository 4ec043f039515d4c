//! `claim.json`: of each agent's number there is one living process.
//!
//! Its holder rewrites it at an interval, on condition that nobody else did. Whoever finds one watches it: a holder on the same
//! machine that is gone is replaced at once, another one when it has missed three beats. So no clocks are compared, and a
//! holder that comes back late finds its claim changed and stops.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::output::manifest::{FORMAT_VERSION, read_json, write_json};
use crate::output::names::agent_file;
use crate::progress::{Events, clock};
use crate::store::{ObjectVersion, PutOutcome, ReplaceOutcome, Store};

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

    /// True if it can be known from here that the process is gone.
    fn is_gone(&self) -> bool {
        !self.machine.is_empty()
            && self.machine == machine()
            && process_started(self.pid) != Some(self.process_started)
    }
}

/// What this machine calls itself.
pub(super) fn host_name() -> String {
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

/// This process's claim on an agent's number.
pub(super) struct Claim {
    store: Arc<dyn Store>,
    name: String,
    held: Mutex<(Holder, ObjectVersion)>,
}

impl Claim {
    /// Takes the number, at once if it is free; else after watching its holder for as long as three beats of `interval`.
    pub(super) fn take(
        store: &Arc<dyn Store>,
        agent: u32,
        interval: Duration,
        cancel: &AtomicI32,
        events: &dyn Events,
    ) -> Result<Self> {
        let name = agent_file(agent, "claim.json");
        let mine = Holder::this_process();
        let bytes = write_json(&mine)?;
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
            let holder: Holder = read_json(&store.location(&name), &found.bytes)?;
            let since = match &watched {
                Some((version, since)) if *version == found.version => *since,
                Some(_) => return Err(taken(agent, &holder)),
                None => Instant::now(),
            };
            if holder.is_gone() || since.elapsed() >= interval * MISSED {
                match store.put_if_unchanged(&name, &bytes, &found.version)? {
                    ReplaceOutcome::Replaced(version) => {
                        return Ok(Self::of(store, name, mine, version));
                    }
                    ReplaceOutcome::Changed => return Err(taken(agent, &holder)),
                }
            }
            if watched.is_none() {
                events.warning(&format!(
                    "agent {agent} is claimed by process {} on {}; waiting {} s to see whether it still lives",
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
    pub(super) fn remove_if_gone(store: &dyn Store, agent: u32) -> Result<()> {
        let name = agent_file(agent, "claim.json");
        let Some(found) = store.get_versioned(&name)? else { return Ok(()) };
        let holder: Holder = read_json(&store.location(&name), &found.bytes)?;
        if holder.is_gone() && store.is_conditional() {
            let mine = write_json(&Holder::this_process())?;
            if let ReplaceOutcome::Replaced(_) =
                store.put_if_unchanged(&name, &mine, &found.version)?
            {
                store.delete(&name)?;
            }
        }
        Ok(())
    }

    fn of(store: &Arc<dyn Store>, name: String, holder: Holder, version: ObjectVersion) -> Self {
        Self { store: Arc::clone(store), name, held: Mutex::new((holder, version)) }
    }

    /// Says that this process lives; an error if another one has taken the number.
    pub(super) fn beat(&self) -> Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (holder, version) = &mut *held;
        holder.beat += 1;
        holder.heartbeat = clock::now().to_string();
        match self.store.put_if_unchanged(&self.name, &write_json(&*holder)?, version)? {
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
    pub(super) fn release(self) -> Result<()> {
        self.beat()?;
        self.store.delete(&self.name)
    }
}

fn taken(agent: u32, holder: &Holder) -> Error {
    Error::Refused {
        what: format!(
            "agent {agent} of this output is being run by process {} on {}",
            holder.pid, holder.host
        ),
        hint: Some(
            "one process per agent: let that one finish or stop it, or write to another --output"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::NoEvents;
    use crate::store::LocalStore;

    const INTERVAL: Duration = Duration::from_millis(40);

    fn store() -> (tempfile::TempDir, Arc<dyn Store>) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        (directory, Arc::new(store))
    }

    fn take(store: &Arc<dyn Store>, agent: u32) -> Result<Claim> {
        Claim::take(store, agent, INTERVAL, &AtomicI32::new(0), &NoEvents)
    }

    fn put(store: &Arc<dyn Store>, change: impl FnOnce(&mut Holder)) {
        let mut holder = Holder::this_process();
        change(&mut holder);
        store.put(&agent_file(3, "claim.json"), &write_json(&holder).unwrap()).unwrap();
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
            Claim::take(&store, 3, Duration::from_secs(3600), &AtomicI32::new(0), &NoEvents)
                .unwrap();
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
        assert!(store.get(&agent_file(3, "claim.json")).unwrap().is_some());
    }

    #[test]
    fn waiting_ends_with_a_signal() {
        let (_directory, store) = store();
        put(&store, |holder| holder.machine = "elsewhere".into());
        let cancel = AtomicI32::new(15);
        let waited = Claim::take(&store, 3, Duration::from_secs(3600), &cancel, &NoEvents);
        assert!(matches!(waited.map(drop), Err(Error::Stopped(15))));
    }
}
