//! Records, their text, and the files beside them.

pub mod dms;
pub mod manifest;
pub mod names;
pub mod run;
pub mod state;
