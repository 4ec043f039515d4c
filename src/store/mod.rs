//! Where output and state go: a directory, or an object store.
//!
//! Names are relative, with `/` between their parts. An object appears whole or not at all, whatever happens to the
//! writer: a reader never sees half of one.

mod claim;
mod local;
mod location;
mod lock;
mod object;
mod pieces;
pub mod s3;
mod syncer;

pub use claim::{Claim, host_name};
pub use local::LocalStore;
pub use location::{Location, S3Location, open};
pub use object::{
    Checksum, ListedObject, ObjectMeta, ObjectReader, ObjectVersion, ObjectWriter, PutOutcome,
    ReplaceOutcome, Store, VersionedObject, check_name,
};
pub use pieces::ObjectPieces;
