//! What the user can ask of items.

use std::str::FromStr;

use crate::error::Error;

/// What items look like (`--ddb-shape`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DdbShape {
    /// All of DynamoDB's types.
    #[default]
    Native,
    /// The keys, names and types that AWS DMS makes of profile `dms`.
    Dms,
}

impl DdbShape {
    /// Its name on the command line and in `run.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Dms => "dms",
        }
    }
}

impl FromStr for DdbShape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "native" => Ok(Self::Native),
            "dms" => Ok(Self::Dms),
            other => Err(Error::usage(format!("there is no shape '{other}': native or dms"))),
        }
    }
}

/// What the keys of items are made of (`--ddb-keys`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DdbKeys {
    /// The table's own columns where these can be keys, else `cp_pk` and `cp_sk`.
    #[default]
    Auto,
    /// Always `cp_pk`, and `cp_sk` where there is a clustering.
    Composite,
}

impl DdbKeys {
    /// Its name on the command line and in `run.json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Composite => "composite",
        }
    }
}

impl FromStr for DdbKeys {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(Self::Auto),
            "composite" => Ok(Self::Composite),
            other => Err(Error::usage(format!("there are no keys '{other}': auto or composite"))),
        }
    }
}
