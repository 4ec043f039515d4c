//! The store in S3, against servers on this machine: the suite that a directory passes too, faults on the way, whole runs.

mod conformance;
mod faults;
pub(crate) mod proxy;
mod runs;
pub(crate) mod servers;

pub(crate) use runs::command;
