//! The files that make up an SSTable.

use std::fmt;

/// One file of an SSTable (`Component`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Data.db: the partitions.
    Data,
    /// Index.db: partition key to position in Data.db.
    Index,
    /// Summary.db: a sample of Index.db.
    Summary,
    /// Partitions.db: the trie of partition keys of the BTI format.
    Partitions,
    /// Rows.db: the row indexes of the BTI format.
    Rows,
    /// Statistics.db: statistics and the serialization header.
    Statistics,
    /// CompressionInfo.db: where the chunks of Data.db are.
    CompressionInfo,
    /// Filter.db: the Bloom filter over the partition keys.
    Filter,
    /// Digest.crc32 (of 2.x: Digest.adler32, Digest.sha1): checksum of Data.db.
    Digest,
    /// CRC.db: checksums of the chunks of a Data.db that is not compressed.
    Crc,
    /// TOC.txt: the list of components.
    Toc,
    /// A file of an index attached to the SSTable (SASI `SI_…`, SAI `SAI+…`), by its name.
    SecondaryIndex(String),
    /// A file that Cassandra's readers do not know, by its name.
    Other(String),
}

impl Component {
    /// The last part of the file name.
    pub fn name(&self) -> &str {
        match self {
            Self::Data => "Data.db",
            Self::Index => "Index.db",
            Self::Summary => "Summary.db",
            Self::Partitions => "Partitions.db",
            Self::Rows => "Rows.db",
            Self::Statistics => "Statistics.db",
            Self::CompressionInfo => "CompressionInfo.db",
            Self::Filter => "Filter.db",
            Self::Digest => "Digest.crc32",
            Self::Crc => "CRC.db",
            Self::Toc => "TOC.txt",
            Self::SecondaryIndex(name) | Self::Other(name) => name,
        }
    }

    /// The component with this name; none for temporary files and for what has no name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Data.db" => Self::Data,
            "Index.db" => Self::Index,
            "Summary.db" => Self::Summary,
            "Partitions.db" => Self::Partitions,
            "Rows.db" => Self::Rows,
            "Statistics.db" => Self::Statistics,
            "CompressionInfo.db" => Self::CompressionInfo,
            "Filter.db" => Self::Filter,
            "Digest.crc32" | "Digest.adler32" | "Digest.sha1" => Self::Digest,
            "CRC.db" => Self::Crc,
            "TOC.txt" => Self::Toc,
            _ if name.is_empty() || name.ends_with(".tmp") => return None,
            _ if name.starts_with("SI_") || name.starts_with("SAI+") => {
                Self::SecondaryIndex(name.to_owned())
            }
            _ => Self::Other(name.to_owned()),
        })
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in [
            "Data.db",
            "Index.db",
            "Summary.db",
            "Partitions.db",
            "Rows.db",
            "Statistics.db",
            "CompressionInfo.db",
            "Filter.db",
            "Digest.crc32",
            "CRC.db",
            "TOC.txt",
            "SI_by_name.db",
            "SAI+aa+GroupComplete.db",
            "Scylla.db",
        ] {
            assert_eq!(Component::parse(name).unwrap().name(), name);
        }
        assert_eq!(Component::parse("Statistics.db.tmp"), None);
        assert_eq!(Component::parse(""), None);
        assert!(matches!(Component::parse("SAI+aa+x.db"), Some(Component::SecondaryIndex(_))));
        assert!(matches!(Component::parse("Scylla.db"), Some(Component::Other(_))));
    }
}
