//! `began.json` and `lost/`: where a host's stream begins, and what it is without.
//!
//! `seal` reads them: they are what tells whether something fell between an extract and the changes behind it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::origin::LogPosition;
use crate::error::{Error, Result};

/// Where the stream of a host begins; written once, by the first tail that had caught up with its own start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamBeginning {
    /// The stream has every change from here on; none where it is made of incremental backups, which have no positions.
    pub from: Option<LogPosition>,
    /// The oldest segment in the node's commit-log directory then, where that could be seen: what was written before it was
    /// in SSTables, for Cassandra removes a segment only then.
    pub oldest_segment: Option<i64>,
    /// Everything that was written before `time` stands before this position; so what is flushed with a later position was
    /// flushed after the tail had begun.
    pub reached: Option<LogPosition>,
    /// When the tail began, in milliseconds since 1970 by the host's clock.
    pub time: i64,
}

impl StreamBeginning {
    /// The object's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json(self)
    }

    /// Reads the object; `object` is its name, for the error.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self> {
        parse(bytes, object, "the beginning of a stream")
    }
}

/// Changes of a host that were gone before its tail had read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostChanges {
    /// The segment.
    pub segment: i64,
    /// Behind this offset.
    pub offset: u64,
    /// When that was seen, in milliseconds since 1970.
    pub time: i64,
    /// What happened.
    pub words: String,
}

impl LostChanges {
    /// The object's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        json(self)
    }

    /// Reads the object; `object` is its name, for the error.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self> {
        parse(bytes, object, "a loss that a tail noted")
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)
        .map_err(|error| Error::Bug(format!("a note of a tail has no JSON: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], object: &str, what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Refused {
        what: format!("{object} is not {what}: {error}"),
        hint: Some("it is written by tail; another program has changed it".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_and_losses_read_back_and_other_bytes_are_refused_by_name() {
        let began = StreamBeginning {
            from: Some(LogPosition { segment: 1_700_000_000_123, offset: 0 }),
            oldest_segment: None,
            reached: Some(LogPosition { segment: 1_700_000_000_124, offset: 77 }),
            time: 1_700_000_099_999,
        };
        let bytes = began.to_json().unwrap();
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            "{\"from\":{\"segment\":1700000000123,\"offset\":0},\"oldestSegment\":null,\
             \"reached\":{\"segment\":1700000000124,\"offset\":77},\"time\":1700000099999}\n"
        );
        assert_eq!(StreamBeginning::parse(&bytes, "b").unwrap(), began);
        let lost = LostChanges { segment: 7, offset: 9, time: 1, words: "gone".into() };
        assert_eq!(LostChanges::parse(&lost.to_json().unwrap(), "l").unwrap(), lost);
        for error in [
            StreamBeginning::parse(b"{}", "a/began.json").unwrap_err(),
            LostChanges::parse(b"", "a/began.json").unwrap_err(),
        ] {
            assert!(error.to_string().contains("a/began.json"), "{error}");
        }
    }
}
