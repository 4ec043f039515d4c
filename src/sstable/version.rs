//! Format versions, and what each of them has.
//!
//! Decoders ask for a feature by its name and never compare versions. Every question is one exhaustive match, so that a
//! new version cannot be added without answering all of them.

use std::fmt;

/// A version of the SSTable format (`BigFormat.BigVersion`, `BtiFormat.BtiVersion`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 2.0.1.
    Jb,
    /// 2.1.
    Ka,
    /// 2.2.0.
    La,
    /// 2.2.7.
    Lb,
    /// 3.0.0.
    Ma,
    /// 3.0.7, 3.7.
    Mb,
    /// 3.0.8, 3.9.
    Mc,
    /// 3.0.18, 3.11.4.
    Md,
    /// 3.0.25, 3.11.11.
    Me,
    /// 4.0 before its release.
    Na,
    /// 4.0, 4.1, and 5.0 in its default compatibility mode.
    Nb,
    /// A step on the way to 5.0 that no release wrote.
    Nc,
    /// 5.0.
    Oa,
    /// 5.0, BTI: the rows of `oa`.
    Da,
}

/// How partitions are indexed (`SSTableFormat`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Index.db and Summary.db.
    Big,
    /// Partitions.db and Rows.db (5.0).
    Bti,
}

impl Format {
    /// The name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Big => "big",
            Self::Bti => "bti",
        }
    }

    /// The files of its index, in words.
    pub fn index_names(self) -> &'static str {
        match self {
            Self::Big => "Index.db",
            Self::Bti => "Partitions.db or Rows.db",
        }
    }

    /// What to do about an index that leads astray.
    pub fn index_hint(self) -> &'static str {
        match self {
            Self::Big => "move Index.db and Summary.db of this SSTable away: they are not needed",
            Self::Bti => "move Partitions.db and Rows.db of this SSTable away: they are not needed",
        }
    }

    /// The component that leads from keys to partitions.
    pub fn index_component(self) -> super::Component {
        match self {
            Self::Big => super::Component::Index,
            Self::Bti => super::Component::Partitions,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 14] = [
        Self::Jb,
        Self::Ka,
        Self::La,
        Self::Lb,
        Self::Ma,
        Self::Mb,
        Self::Mc,
        Self::Md,
        Self::Me,
        Self::Na,
        Self::Nb,
        Self::Nc,
        Self::Oa,
        Self::Da,
    ];

    /// The version with these two letters; what is known of other letters as an error, in words.
    pub fn parse(letters: &str) -> Result<Self, &'static str> {
        Self::ALL
            .into_iter()
            .find(|version| version.letters() == letters)
            .ok_or_else(|| describe_unsupported(letters))
    }

    /// The name of the component with the checksum of Data.db.
    pub fn digest_name(self) -> &'static str {
        match self {
            // In `ka` it holds an Adler-32 all the same.
            Self::Jb | Self::Ka => "Digest.sha1",
            Self::La | Self::Lb => "Digest.adler32",
            Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => "Digest.crc32",
        }
    }

    /// How its partitions are indexed.
    pub fn format(self) -> Format {
        match self {
            Self::Da => Format::Bti,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa => Format::Big,
        }
    }

    /// The letters in file names.
    pub fn letters(self) -> &'static str {
        match self {
            Self::Jb => "jb",
            Self::Ka => "ka",
            Self::La => "la",
            Self::Lb => "lb",
            Self::Ma => "ma",
            Self::Mb => "mb",
            Self::Mc => "mc",
            Self::Md => "md",
            Self::Me => "me",
            Self::Na => "na",
            Self::Nb => "nb",
            Self::Nc => "nc",
            Self::Oa => "oa",
            Self::Da => "da",
        }
    }

    /// The Statistics component has the commit-log position at which the oldest data of the SSTable begins.
    pub fn has_commit_log_lower_bound(self) -> bool {
        match self {
            Self::Lb
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => true,
            Self::Jb | Self::Ka | Self::La | Self::Ma => false,
        }
    }

    /// The Statistics component has the commit-log intervals that the SSTable covers.
    pub fn has_commit_log_intervals(self) -> bool {
        match self {
            Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => true,
            Self::Jb | Self::Ka | Self::La | Self::Lb | Self::Ma | Self::Mb => false,
        }
    }

    /// The recorded least and greatest clustering can be relied on (CASSANDRA-14861).
    pub fn has_accurate_min_max(self) -> bool {
        match self {
            Self::Md | Self::Me | Self::Na | Self::Nb | Self::Nc => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// The Statistics component has the least and greatest clustering as two lists of values.
    pub fn has_legacy_min_max(self) -> bool {
        match self {
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc => true,
            Self::Oa | Self::Da => false,
        }
    }

    /// The Statistics component has the covered clusterings as a slice, in the place of the two lists
    /// (`hasImprovedMinMax`).
    pub fn has_improved_min_max(self) -> bool {
        match self {
            Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc => false,
        }
    }

    /// The slice of covered clusterings stands behind the partition-deletion flag, besides the two lists.
    pub fn has_appended_improved_min_max(self) -> bool {
        match self {
            Self::Nc => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// The Statistics component has the id of the host that wrote the SSTable.
    pub fn has_originating_host_id(self) -> bool {
        match self {
            Self::Me | Self::Nb | Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Na => false,
        }
    }

    /// CompressionInfo.db has the length from which on a chunk is stored as it is.
    pub fn has_max_compressed_length(self) -> bool {
        match self {
            Self::Na | Self::Nb | Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me => false,
        }
    }

    /// The Statistics component has the repair session that the SSTable belongs to.
    pub fn has_pending_repair(self) -> bool {
        match self {
            Self::Na | Self::Nb | Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me => false,
        }
    }

    /// The Statistics component says whether the SSTable belongs to a transient replica.
    pub fn has_is_transient(self) -> bool {
        match self {
            Self::Na | Self::Nb | Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me => false,
        }
    }

    /// Some files with these letters, written during the development of 4.0, end before the transient flag and have
    /// their Bloom filter in the old byte order.
    pub fn has_development_variants(self) -> bool {
        match self {
            Self::Na => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// The parts of Statistics.db are followed by checksums.
    pub fn has_metadata_checksums(self) -> bool {
        match self {
            Self::Na | Self::Nb | Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me => false,
        }
    }

    /// The bits of the Bloom filter stand in big-endian longs.
    pub fn has_old_bloom_filter_order(self) -> bool {
        match self {
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me => true,
            Self::Na | Self::Nb | Self::Nc | Self::Oa | Self::Da => false,
        }
    }

    /// The Statistics component says whether there are deletions of whole partitions.
    pub fn has_partition_level_deletions_presence_marker(self) -> bool {
        match self {
            Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb => false,
        }
    }

    /// The Statistics component has the first and the last key.
    pub fn has_key_range(self) -> bool {
        match self {
            Self::Nc | Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb => false,
        }
    }

    /// The Statistics component has the share of the ring that the SSTable covers.
    pub fn has_token_space_coverage(self) -> bool {
        match self {
            Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc => false,
        }
    }

    /// Partitions are lists of atoms, before the rows of 3.0: they need the schema to be read, and nothing in the file says
    /// how ([`crate::rows::legacy`]).
    pub fn has_atoms(self) -> bool {
        match self {
            Self::Jb | Self::Ka | Self::La | Self::Lb => true,
            Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// File names begin with keyspace and table, and have no format.
    pub fn has_table_in_file_name(self) -> bool {
        match self {
            Self::Jb | Self::Ka => true,
            Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// Statistics.db has a list of its components.
    pub fn has_metadata_components(self) -> bool {
        match self {
            Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => true,
            Self::Jb => false,
        }
    }

    /// Checksums of compressed chunks are Adler-32.
    pub fn has_adler32_chunks(self) -> bool {
        match self {
            Self::Jb | Self::Ka | Self::La | Self::Lb => true,
            Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// CRC.db and the digest have Adler-32 checksums.
    pub fn has_adler32_files(self) -> bool {
        match self {
            Self::Ka | Self::La | Self::Lb => true,
            Self::Jb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// Summary.db has its sampling level.
    pub fn has_summary_sampling_level(self) -> bool {
        match self {
            Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => true,
            Self::Jb => false,
        }
    }

    /// The two halves of the hash have changed places in the Bloom filter.
    pub fn has_old_bloom_filter_hash(self) -> bool {
        match self {
            Self::Jb | Self::Ka | Self::La | Self::Lb => true,
            Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc
            | Self::Oa
            | Self::Da => false,
        }
    }

    /// Local deletion times are unsigned, and the deletion of a partition is written in its new form.
    pub fn has_uint_deletion_time(self) -> bool {
        match self {
            Self::Oa | Self::Da => true,
            Self::Jb
            | Self::Ka
            | Self::La
            | Self::Lb
            | Self::Ma
            | Self::Mb
            | Self::Mc
            | Self::Md
            | Self::Me
            | Self::Na
            | Self::Nb
            | Self::Nc => false,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// What is known of a version that is not read.
fn describe_unsupported(letters: &str) -> &'static str {
    match letters {
        "pa" | "pb" | "ea" | "eb" => {
            "a format of a release after Cassandra 5.0, which this program does not know"
        }
        "ja" | "ic" | "ib" | "ia" | "hf" | "he" | "hd" | "hc" | "hb" | "ha" => {
            "a format of Cassandra 2.0 or older; only a Cassandra 2.1 can upgrade it (nodetool upgradesstables)"
        }
        _ => "a format version that no known release of Cassandra writes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_back_and_other_letters_are_named() {
        for version in Version::ALL {
            assert_eq!(Version::parse(version.letters()), Ok(version));
        }
        for (letters, word) in [("ic", "2.0"), ("pa", "after"), ("ea", "after"), ("zz", "no known")]
        {
            assert!(Version::parse(letters).unwrap_err().contains(word), "{letters}");
        }
        assert!(Version::parse("NB").is_err());
    }

    #[test]
    fn features_are_those_of_the_version_matrix() {
        type Feature = fn(Version) -> bool;
        let matrix: [(&str, Feature, &str); 23] = [
            ("atoms", Version::has_atoms, "xxxx.........."),
            ("table in names", Version::has_table_in_file_name, "xx............"),
            ("components", Version::has_metadata_components, ".xxxxxxxxxxxxx"),
            ("Adler chunks", Version::has_adler32_chunks, "xxxx.........."),
            ("Adler files", Version::has_adler32_files, ".xxx.........."),
            ("sampling level", Version::has_summary_sampling_level, ".xxxxxxxxxxxxx"),
            ("old Bloom hash", Version::has_old_bloom_filter_hash, "xxxx.........."),
            ("commit-log lower bound", Version::has_commit_log_lower_bound, "...x.xxxxxxxxx"),
            ("commit-log intervals", Version::has_commit_log_intervals, "......xxxxxxxx"),
            ("accurate min/max", Version::has_accurate_min_max, ".......xxxxx.."),
            ("legacy min/max", Version::has_legacy_min_max, "xxxxxxxxxxxx.."),
            ("improved min/max", Version::has_improved_min_max, "............xx"),
            ("appended min/max", Version::has_appended_improved_min_max, "...........x.."),
            ("host id", Version::has_originating_host_id, "........x.xxxx"),
            ("max compressed length", Version::has_max_compressed_length, ".........xxxxx"),
            ("pending repair", Version::has_pending_repair, ".........xxxxx"),
            ("transient", Version::has_is_transient, ".........xxxxx"),
            ("checksums", Version::has_metadata_checksums, ".........xxxxx"),
            ("old Bloom order", Version::has_old_bloom_filter_order, "xxxxxxxxx....."),
            (
                "partition deletions",
                Version::has_partition_level_deletions_presence_marker,
                "...........xxx",
            ),
            ("key range", Version::has_key_range, "...........xxx"),
            ("token coverage", Version::has_token_space_coverage, "............xx"),
            ("unsigned deletion time", Version::has_uint_deletion_time, "............xx"),
        ];
        for (name, feature, expected) in matrix {
            let found: String =
                Version::ALL.iter().map(|&v| if feature(v) { 'x' } else { '.' }).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}
