//! Objects on their way into the store, while the next ones are made.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::progress::vitals;
use crate::store::{PutOutcome, Store};

/// Objects that wait while one is stored: with more a stalled store would fill the memory.
const WAITING: usize = 1;

/// An object to store, with what its sender wants to know of it when it is there.
#[derive(Debug)]
struct Parcel<T> {
    name: String,
    bytes: Vec<u8>,
    tag: T,
}

/// Stores objects one after the other, in the order in which they come, on a thread of its own.
#[derive(Debug)]
pub(super) struct Shipper<T> {
    parcels: Option<SyncSender<Parcel<T>>>,
    outcomes: Receiver<Result<T>>,
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Shipper<T> {
    /// A shipper to `store`.
    pub(super) fn start(store: Arc<dyn Store>) -> Result<Self> {
        let (parcels, inbox) = sync_channel::<Parcel<T>>(WAITING);
        let (sender, outcomes) = channel();
        let role = vitals::role();
        let thread = std::thread::Builder::new()
            .name("shipper".into())
            .spawn(move || {
                vitals::join(role);
                for parcel in inbox {
                    let outcome = put(&*store, &parcel.name, &parcel.bytes).map(|()| parcel.tag);
                    let failed = outcome.is_err();
                    // After a failure nothing that comes later may be stored: positions go by the order.
                    if sender.send(outcome).is_err() || failed {
                        return;
                    }
                }
            })
            .map_err(|error| Error::Bug(format!("no thread for the shipper: {error}")))?;
        Ok(Self { parcels: Some(parcels), outcomes, under_way: 0, thread: Some(thread) })
    }

    /// Hands over an object. Waits while as many as may wait do; objects confirmed meanwhile are put into `confirmed`.
    pub(super) fn ship(
        &mut self,
        name: String,
        bytes: Vec<u8>,
        tag: T,
        confirmed: &mut Vec<T>,
    ) -> Result<()> {
        let mut parcel = Parcel { name, bytes, tag };
        loop {
            let sent = match &self.parcels {
                Some(parcels) => parcels.try_send(parcel),
                None => Err(TrySendError::Disconnected(parcel)),
            };
            match sent {
                Ok(()) => {
                    self.under_way += 1;
                    return Ok(());
                }
                Err(TrySendError::Full(back)) => parcel = back,
                Err(TrySendError::Disconnected(_)) => {
                    // It ended after a failure, which is among the outcomes.
                    self.take(confirmed)?;
                    return Err(Error::Bug("the shipper ended without a word".into()));
                }
            }
            self.wait(confirmed)?;
        }
    }

    /// Objects that are stored by now.
    pub(super) fn take(&mut self, confirmed: &mut Vec<T>) -> Result<()> {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.under_way -= 1;
            confirmed.push(outcome?);
        }
        Ok(())
    }

    /// Waits for the next object to be stored.
    fn wait(&mut self, confirmed: &mut Vec<T>) -> Result<()> {
        let outcome = self
            .outcomes
            .recv()
            .map_err(|_| Error::Bug("the shipper ended without a word".into()))?;
        self.under_way -= 1;
        confirmed.push(outcome?);
        self.take(confirmed)
    }

    /// Waits until all objects handed over are stored.
    pub(super) fn drain(&mut self, confirmed: &mut Vec<T>) -> Result<()> {
        while self.under_way > 0 {
            self.wait(confirmed)?;
        }
        Ok(())
    }
}

impl<T> Drop for Shipper<T> {
    fn drop(&mut self) {
        self.parcels = None;
        if let Some(thread) = self.thread.take() {
            // What it panicked with is on standard error already.
            drop(thread.join());
        }
    }
}

/// Stores an object that must not be there, unless it is there with the same bytes: then a former try came through.
fn put(store: &dyn Store, name: &str, bytes: &[u8]) -> Result<()> {
    match store.put_if_absent(name, bytes)? {
        PutOutcome::Created(_) => Ok(()),
        PutOutcome::Exists if store.get(name)?.as_deref() == Some(bytes) => Ok(()),
        PutOutcome::Exists => Err(Error::Refused {
            what: format!("{} is there already, with other bytes", store.location(name)),
            hint: Some(
                "does another tail ship the changes of this host? Each host has one; start this one again to adopt \
                 what is there"
                    .into(),
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    fn shipper(dir: &std::path::Path) -> Shipper<u32> {
        Shipper::start(Arc::new(LocalStore::open(dir).unwrap())).unwrap()
    }

    #[test]
    fn objects_are_confirmed_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut shipper = shipper(dir.path());
        let mut confirmed = Vec::new();
        for i in 0..20 {
            let bytes = vec![u8::try_from(i).unwrap()];
            shipper.ship(format!("o/{i}"), bytes, i, &mut confirmed).unwrap();
        }
        shipper.drain(&mut confirmed).unwrap();
        assert_eq!(confirmed, (0..20).collect::<Vec<_>>());
        assert_eq!(std::fs::read(dir.path().join("o/7")).unwrap(), [7]);
    }

    #[test]
    fn an_object_that_is_there_is_adopted_or_refused_and_then_nothing_more_is_stored() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("o")).unwrap();
        for (name, bytes) in [("o/0", b"same"), ("o/1", b"else")] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut shipper = shipper(dir.path());
        let mut confirmed = Vec::new();
        let mut failure = None;
        for i in 0..3 {
            let shipped = shipper.ship(format!("o/{i}"), b"same".to_vec(), i, &mut confirmed);
            failure = failure.or(shipped.err());
        }
        let failure = failure.or(shipper.drain(&mut confirmed).err()).unwrap();
        assert!(failure.to_string().contains("is there already"), "{failure}");
        assert_eq!(confirmed, [0]);
        drop(shipper);
        assert!(!dir.path().join("o/2").exists());
    }
}
