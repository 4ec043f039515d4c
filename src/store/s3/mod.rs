//! S3, and stores that speak its protocol.
//!
//! * **Whole or not at all.** A small object is one PutObject; a larger one is a multipart upload that becomes visible when
//!   it is completed. Whatever is given up is aborted; what a killed process left is found by name at the next start.
//! * **Checked.** The CRC-64/NVME of every request body and of the whole object is computed here, sent, and compared with
//!   what the store says it has. A store that does not know this checksum gets Content-MD5, and its ETags are compared; a
//!   warning says so.
//! * **Retried.** A request that fails in passing is sent again, alone, after a growing and random delay. If the reply to
//!   one that changes something is lost, the store is asked what became of it before anything is said. What will not go
//!   away by itself (no permission, no bucket) ends the run at once.
//! * **Bounded.** Parts in flight share one budget of bytes ([`Transfer`]); a writer waits while it is spent.
//!
//! Async code is inside this module only: one small runtime carries the requests, callers block.

mod client;
mod failure;
mod limits;
mod options;
mod requests;
mod retry;
mod store;
mod upload;

pub use options::{Encryption, RetryPolicy, S3Options, StorageClass, Transfer};
pub use store::S3Store;
