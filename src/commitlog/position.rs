//! Names of segments, and places in them.

use std::fmt;

/// A position in the commit log of one host (`CommitLogPosition`), ordered by segment and then by offset.
///
/// Ids of segments grow, but 3.8 to 3.11 hand full segments over in another order, and a clock set back can make them
/// smaller: an order of writes holds only within a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitLogPosition {
    /// Id of the segment.
    pub segment_id: i64,
    /// Offset in the segment as if it were neither compressed nor encrypted; of a mutation, the end of its entry.
    pub position: i32,
}

impl fmt::Display for CommitLogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment_id, self.position)
    }
}

/// What the name of a segment says: `CommitLog-<version>-<id>.log`.
///
/// The id is base plus counter: it looks like the time in ms and is not the time of creation. The version is that of the
/// log's format, not of Cassandra (5.0 writes 7 or 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Id.
    pub id: i64,
    /// Version of the format, which may be one that this program does not read.
    pub version: u32,
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn parse_stem(stem: &str) -> Option<SegmentName> {
    let (version, id) = stem.strip_prefix("CommitLog-")?.split_once('-')?;
    if !digits(version) || !digits(id) {
        return None;
    }
    Some(SegmentName { id: id.parse().ok()?, version: version.parse().ok()? })
}

impl SegmentName {
    /// The segment that a file of this name (without its directory) is; none if it is not a segment.
    pub fn parse(file_name: &str) -> Option<Self> {
        parse_stem(file_name.strip_suffix(".log")?)
    }

    /// The segment that an index of this name (`CommitLog-<version>-<id>_cdc.idx`) belongs to; none if it is not an index.
    pub fn parse_index(file_name: &str) -> Option<Self> {
        parse_stem(file_name.strip_suffix("_cdc.idx")?)
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("CommitLog-{}-{}.log", self.version, self.id)
    }

    /// The name of its index in `cdc_raw` (4.0 and later); see [`super::CdcIndex`].
    pub fn index_name(&self) -> String {
        format!("CommitLog-{}-{}_cdc.idx", self.version, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_segments_or_of_indexes() {
        let name = SegmentName { id: 1_699_285_478_684, version: 7 };
        assert_eq!(SegmentName::parse("CommitLog-7-1699285478684.log"), Some(name));
        assert_eq!(SegmentName::parse(&name.file_name()), Some(name));
        assert_eq!(SegmentName::parse_index(&name.index_name()), Some(name));
        assert_eq!(SegmentName::parse(&name.index_name()), None);
        assert_eq!(SegmentName::parse_index(&name.file_name()), None);
        for other in [
            "CommitLog-1699285478684.log",
            "CommitLog-7-.log",
            "CommitLog--7-1.log",
            "CommitLog-7--1.log",
            "CommitLog-+7-1.log",
            "CommitLog-7-1.log.gz",
            "commitlog-7-1.log",
            "CommitLog-7-99999999999999999999.log",
            "CommitLog-99999999999-1.log",
            "a.log",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn positions_are_ordered_by_segment_first() {
        let at = |segment_id, position| CommitLogPosition { segment_id, position };
        assert!(at(1, 500) < at(2, 20));
        assert!(at(2, 20) < at(2, 21));
        assert_eq!(at(2, 20).to_string(), "2:20");
    }
}
