//! Records, their text, and the files beside them.

pub mod dms;
pub mod manifest;
pub mod names;
pub mod run;
pub mod state;

#[allow(missing_docs)]
mod options {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Profile {
        Dms,
        Csv,
        Jsonl,
    }
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum MetadataMode {
        None,
        Row,
        Cell,
    }
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum JsonNumbers {
        Number,
        Text,
    }
}
pub use options::{JsonNumbers, MetadataMode, Profile};
