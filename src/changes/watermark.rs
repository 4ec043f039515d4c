//! `watermark.json`: how far a host's changes are shipped.

use serde::{Deserialize, Serialize};

use super::origin::LogPosition;
use crate::error::{Error, Result};

/// Everything of a host's commit log up to a position is in its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Id of the segment.
    pub segment: i64,
    /// Offset in it.
    pub offset: u32,
    /// When that was so, in milliseconds since 1970: what was written before is shipped.
    pub time: i64,
}

impl Watermark {
    /// The position.
    pub fn position(&self) -> LogPosition {
        LogPosition { segment: self.segment, offset: self.offset }
    }

    /// The object's bytes.
    pub fn to_json(&self) -> String {
        format!(
            "{{\"segment\":{},\"offset\":{},\"time\":{}}}\n",
            self.segment, self.offset, self.time
        )
    }

    /// Reads the object; `object` is its name, for the error.
    pub fn parse(bytes: &[u8], object: &str) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::Refused {
            what: format!("{object} is not a watermark: {e}"),
            hint: Some("it is written by tail; another program has changed it".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_reads_back_and_other_bytes_are_refused_by_name() {
        let mark = Watermark { segment: 1_700_000_000_123, offset: 4711, time: 1_700_000_099_999 };
        assert_eq!(Watermark::parse(mark.to_json().as_bytes(), "w").unwrap(), mark);
        assert_eq!(mark.position(), LogPosition { segment: 1_700_000_000_123, offset: 4711 });
        let error = Watermark::parse(b"{\"segment\":1}", "a/watermark.json").unwrap_err();
        assert!(error.to_string().contains("a/watermark.json"), "{error}");
    }
}
