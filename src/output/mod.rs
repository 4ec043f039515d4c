//! Records, their text, and the files beside them.

pub mod dms;
pub mod manifest;
pub mod names;
pub mod run;
pub mod state;

mod options {
    //! What the user can ask of the output.
    use crate::error::Error;
    use std::str::FromStr;
    /// Who is to read the files (`--profile`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Profile {
        /// AWS DMS with S3 as a source.
        Dms,
        /// Plain CSV with a header, what DSBulk reads.
        Csv,
        /// JSON lines, the reference form.
        Jsonl,
    }

    impl Profile {
        /// Its name on the command line and in the manifest.
        pub fn as_str(self) -> &'static str {
            match self {
                Self::Dms => "dms",
                Self::Csv => "csv",
                Self::Jsonl => "jsonl",
            }
        }
    }

    impl FromStr for Profile {
        type Err = Error;

        fn from_str(text: &str) -> Result<Self, Error> {
            match text {
                "dms" => Ok(Self::Dms),
                "csv" | "dsbulk" => Ok(Self::Csv),
                "jsonl" => Ok(Self::Jsonl),
                other => Err(Error::Usage {
                    what: format!("there is no profile '{other}'"),
                    hint: Some("one of dms, csv (also dsbulk), jsonl".into()),
                }),
            }
        }
    }

    /// Write times and TTLs beside the values (`--metadata`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub enum MetadataMode {
        /// None.
        #[default]
        None,
        /// One write time and one TTL a row.
        Row,
        /// Those of every column, and of the row marker.
        Cell,
    }

    impl MetadataMode {
        /// Its name on the command line and in the manifest.
        pub fn as_str(self) -> &'static str {
            match self {
                Self::None => "none",
                Self::Row => "row",
                Self::Cell => "cell",
            }
        }
    }

    /// How `jsonl` writes decimal and varint (`--json-numbers`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub enum JsonNumbers {
        /// As numbers of any length.
        #[default]
        Number,
        /// As strings, for readers that would go through double.
        Text,
    }
}
pub use options::{JsonNumbers, MetadataMode, Profile};
