//! Where output and state go: a directory, or an object store.
//!
//! Names are relative, with `/` between their parts. An object appears whole or not at all, whatever happens to the
//! writer: a reader never sees half of one.

mod local;
mod object;

pub use local::LocalStore;
pub use object::{Checksum, ListedObject, ObjectMeta, ObjectWriter, PutOutcome, Store, check_name};
