//! Objects on their way into the store, while the next ones are made.

use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Error, Result};
use crate::progress::vitals;
use crate::store::{PutOutcome, Store};

use super::object::Packed;

/// Objects that wait while one is stored: with more a stalled store would fill the memory.
const WAITING: usize = 1;

/// An object to store, with what its sender wants to know of it when it is there.
#[derive(Debug)]
struct Parcel<T> {
    name: String,
    packed: Packed,
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
                    let outcome = put(&*store, &parcel.name, parcel.packed).map(|()| parcel.tag);
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
        packed: Packed,
        tag: T,
        confirmed: &mut Vec<T>,
    ) -> Result<()> {
        let mut parcel = Parcel { name, packed, tag };
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
fn put(store: &dyn Store, name: &str, packed: Packed) -> Result<()> {
    let is_ours = match packed {
        Packed::Memory(bytes) => match store.put_if_absent(name, &bytes)? {
            PutOutcome::Created(_) => true,
            PutOutcome::Exists => is_same(store, name, &mut &*bytes)?,
        },
        Packed::File { mut file, .. } => match store.put_file_if_absent(name, &mut file)? {
            PutOutcome::Created(_) => true,
            PutOutcome::Exists => {
                let again = file.rewind().map_err(|source| Error::Output {
                    action: "read again what is to become",
                    path: store.location(name).into(),
                    source,
                });
                again.and_then(|()| is_same(store, name, &mut file))?
            }
        },
    };
    if is_ours {
        return Ok(());
    }
    Err(Error::Refused {
        what: format!("{} is there already, with other bytes", store.location(name)),
        hint: Some(
            "does another tail ship the changes of this host? Each host has one; start this one again to adopt what is there"
                .into(),
        ),
    })
}

/// True if the object `name` has the bytes that `ours` gives.
fn is_same(store: &dyn Store, name: &str, ours: &mut dyn Read) -> Result<bool> {
    let Some(mut theirs) = store.read(name)? else { return Ok(false) };
    let mut piece = Vec::new();
    while let Some(there) = theirs.next_piece()? {
        piece.resize(there.len(), 0);
        if ours.read_exact(&mut piece).is_err() || piece != there {
            return Ok(false);
        }
    }
    Ok(ours.read(&mut [0]).is_ok_and(|more| more == 0))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
            shipper.ship(format!("o/{i}"), Packed::Memory(bytes), i, &mut confirmed).unwrap();
        }
        shipper.drain(&mut confirmed).unwrap();
        assert_eq!(confirmed, (0..20).collect::<Vec<_>>());
        assert_eq!(std::fs::read(dir.path().join("o/7")).unwrap(), [7]);
    }

    fn in_memory(bytes: &[u8]) -> Packed {
        Packed::Memory(bytes.to_vec())
    }

    fn in_file(bytes: &[u8]) -> Packed {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Packed::File { file, bytes: bytes.len() as u64 }
    }

    #[test]
    fn an_object_that_is_there_is_adopted_or_refused_and_then_nothing_more_is_stored() {
        for pack in [in_memory, in_file] {
            existing_objects(pack);
        }
    }

    fn existing_objects(pack: fn(&[u8]) -> Packed) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("o")).unwrap();
        for (name, bytes) in [("o/0", "same"), ("o/1", "some")] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        let mut shipper = shipper(dir.path());
        let mut confirmed = Vec::new();
        let mut failure = None;
        for i in 0..3 {
            let shipped = shipper.ship(format!("o/{i}"), pack(b"same"), i, &mut confirmed);
            failure = failure.or(shipped.err());
        }
        let failure = failure.or(shipper.drain(&mut confirmed).err()).unwrap();
        assert!(failure.to_string().contains("is there already"), "{failure}");
        assert_eq!(confirmed, [0]);
        drop(shipper);
        assert!(!dir.path().join("o/2").exists());
        for longer_or_shorter in ["samesame", "sam", ""] {
            let store = LocalStore::open(dir.path()).unwrap();
            store.put("o/3", longer_or_shorter.as_bytes()).unwrap();
            assert!(put(&store, "o/3", pack(b"same")).is_err(), "{longer_or_shorter}");
        }
        let store = LocalStore::open(dir.path()).unwrap();
        put(&store, "o/4", pack(b"new")).unwrap();
        assert_eq!(std::fs::read(dir.path().join("o/4")).unwrap(), b"new");
    }
}
