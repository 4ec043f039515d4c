//! `tail`: ongoing changes, from the commit log into change records.
//!
//! One [`run()`] follows the segments of one node, each by a reader of its own, and makes of every
//! mutation the records of `output.md` section 3. Records of one segment gather in an object; objects are stored one after
//! the other while the next ones are made; a position moves when the store has confirmed everything before it.
//!
//! An object is named by where it begins, which is where the one before it ended: after a restart the name of the next one is
//! known, and if it is there already, stored by a run that died before it could say so, it is adopted as it is.
//!
//! All records of a mutation are in one object. Stored rows before it, of a partition that it deletes, may be more than the memory
//! holds: they are read page by page, and the object grows in a file of the state directory until it is whole.
//!
//! A segment does not say whose it is: neither host nor cluster is in it, only ids of tables, and those are the same on all nodes of
//! a cluster. Its changes are shipped as those of the host of `--data-dir` (or `--host-id`). Segments of another node of the same
//! cluster in a directory that is followed would be shipped too; they are that node's true writes, so the rows come out right, but
//! positions, watermark and the proof of the hand-off would be of nobody. Segments of another cluster are held, as their tables
//! are unknown, and said.

mod adopt;
mod backups;
mod base;
mod beginning;
mod clock_watch;
mod delivery;
mod follower;
mod held;
mod listing;
mod object;
mod options;
mod reading;
mod report;
mod run;
mod schema_dirs;
mod segments;
mod shipper;
mod sink;
mod space;
mod state;
mod tables;
mod translate;
mod wake;
mod watermark;

pub use options::{Base, Follow, Shipped, TailOptions};
pub use report::TailReport;
pub use run::run;
