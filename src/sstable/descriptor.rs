//! File names of SSTables.
//!
//! ```text
//! <version>-<id>-<format>-<component>          3.0 and later, here: nb-42-big-Data.db, da-42-bti-Data.db
//! <version>-<id>-big-<component>               2.2, with "tmp-" or "tmplink-" before it while unfinished
//! <keyspace>-<table>-<version>-<id>-<component>  2.1 and older, the same before the version
//! ```
//! The id is a decimal number, or from 4.1 on also a time UUID in base 36, `dddd_ssss_nnnnnrrrrrrrrrrrrrr`: days since
//! 1582-10-15, second of the day, 100-ns ticks of the second, low 64 bits of the UUID.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};

use super::component::Component;
use super::version::{Format, Version};
use crate::error::{Damage, Error, ErrorClass};

const TICKS_PER_SECOND: u64 = 10_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
const UNFINISHED: &str = "one that was not finished, of a compaction or stream of 2.x";

/// What tells apart the SSTables of one directory (`SSTableId`).
///
/// Ordered as Cassandra orders them: any UUID after any number, otherwise by number or time. The order says which file
/// is newer, and nothing about the cells in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SstableId {
    /// A number (`SequenceBasedSSTableId`).
    Sequence(u64),
    /// A time UUID (`UUIDBasedSSTableId`): its timestamp in 100-ns ticks and its low 64 bits.
    Uuid {
        /// 100-ns ticks since 1582-10-15.
        ticks: u64,
        /// The low half.
        low: u64,
    },
}

impl SstableId {
    /// Reads an id as file names have it.
    pub fn parse(text: &str) -> Option<Self> {
        if (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::Sequence);
        }
        if text.len() != 28 || !text.is_ascii() {
            return None;
        }
        let part = |from: usize, to: usize| {
            let digits = text.get(from..to)?;
            // The standard parser would take a sign.
            if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return None;
            }
            u128::from_str_radix(digits, 36).ok().and_then(|value| u64::try_from(value).ok())
        };
        if text.get(4..5) != Some("_") || text.get(9..10) != Some("_") {
            return None;
        }
        let (days, seconds, ticks) = (part(0, 4)?, part(5, 9)?, part(10, 15)?);
        let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_add(seconds)?;
        let ticks = seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(ticks)?;
        Some(Self::Uuid { ticks, low: part(15, 28)? })
    }
}

impl Ord for SstableId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Sequence(a), Self::Sequence(b)) => a.cmp(b),
            (Self::Sequence(_), Self::Uuid { .. }) => Ordering::Less,
            (Self::Uuid { .. }, Self::Sequence(_)) => Ordering::Greater,
            // TimeUUID.compareTo compares the low half as a signed number.
            (Self::Uuid { ticks, low }, Self::Uuid { ticks: other_ticks, low: other_low }) => {
                ticks.cmp(other_ticks).then(low.cast_signed().cmp(&other_low.cast_signed()))
            }
        }
    }
}

impl PartialOrd for SstableId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn write_base36(f: &mut fmt::Formatter<'_>, mut value: u64, width: usize) -> fmt::Result {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = [b'0'; 13];
    for place in text.iter_mut().rev() {
        let digit = usize::try_from(value % 36).unwrap_or_default();
        *place = DIGITS.get(digit).copied().unwrap_or(b'0');
        value /= 36;
    }
    let shown = text.get(text.len().saturating_sub(width)..).unwrap_or_default();
    f.write_str(std::str::from_utf8(shown).unwrap_or_default())
}

impl fmt::Display for SstableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Sequence(number) => number.fmt(f),
            Self::Uuid { ticks, low } => {
                let seconds = ticks / TICKS_PER_SECOND;
                write_base36(f, seconds / SECONDS_PER_DAY, 4)?;
                f.write_str("_")?;
                write_base36(f, seconds % SECONDS_PER_DAY, 4)?;
                f.write_str("_")?;
                write_base36(f, ticks % TICKS_PER_SECOND, 5)?;
                write_base36(f, low, 13)
            }
        }
    }
}

/// One SSTable: its directory and what its file names begin with (`Descriptor`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Descriptor {
    /// The directory.
    pub directory: PathBuf,
    /// The format version.
    pub version: Version,
    /// The id.
    pub id: SstableId,
    /// The format.
    pub format: Format,
    /// Keyspace and table, `<keyspace>-<table>`, as the file names of 2.1 and older begin; none from 2.2 on.
    pub table_in_name: Option<String>,
}

/// A file of an SSTable that this program does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedSstable {
    /// The file.
    pub path: PathBuf,
    /// The letters of its version.
    pub version: String,
    /// Its id.
    pub id: SstableId,
    /// Last part of its name, such as `Data.db`.
    pub component: String,
    /// It belongs to an unfinished compaction (the `tmp` and `tmplink` of 2.x).
    pub temporary: bool,
    /// What it is, in words.
    pub reason: &'static str,
}

impl From<UnsupportedSstable> for Error {
    fn from(file: UnsupportedSstable) -> Self {
        Self::Damaged(Box::new(Damage {
            path: file.path,
            what: Some("SSTable".into()),
            format: Some(file.version),
            table: None,
            offset: None,
            chunk: None,
            partition_key: None,
            cause: format!("its format is {}", file.reason),
            hint: Some(
                "let Cassandra rewrite it (nodetool upgradesstables), or leave its table out with --exclude"
                    .into(),
            ),
            class: ErrorClass::Unsupported,
        }))
    }
}

impl Descriptor {
    /// Takes a path or a bare file name apart. `None`: not a file of an SSTable; an error: of one that is not read.
    pub fn parse(path: &Path) -> Result<Option<(Self, Component)>, Box<UnsupportedSstable>> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
        let parts: Vec<&str> = name.split('-').collect();
        let unsupported = |version: &str, id, component: &str, temporary, reason| {
            Box::new(UnsupportedSstable {
                path: path.to_path_buf(),
                version: version.to_owned(),
                id,
                component: component.to_owned(),
                temporary,
                reason,
            })
        };
        // 2.2 and later: the third part from the end is the id's neighbour, the format.
        if let [head @ .., version, id, format, component] = parts.as_slice()
            && matches!(head, [] | ["tmp" | "tmplink"])
            && is_version(version)
            && is_format(format)
            && let Some(id) = SstableId::parse(id)
        {
            let temporary = !head.is_empty();
            let Some(parsed) = Component::parse(component) else { return Ok(None) };
            return match (Version::parse(version), *format) {
                (Ok(version), format)
                    if format == version.format().name()
                        && !temporary
                        && !version.has_table_in_file_name() =>
                {
                    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
                    let format = version.format();
                    Ok(Some((Self { directory, version, id, format, table_in_name: None }, parsed)))
                }
                (Ok(read), "big") if temporary && read.has_atoms() => {
                    Err(unsupported(version, id, component, temporary, UNFINISHED))
                }
                (Ok(_), _) => Err(unsupported(
                    version,
                    id,
                    component,
                    temporary,
                    "a version and a format that no release of Cassandra writes together",
                )),
                (Err(reason), _) => Err(unsupported(version, id, component, temporary, reason)),
            };
        }
        // 2.1 and older.
        if let [head @ .., version, id, component] = parts.as_slice()
            && head.len() >= 2
            && is_version(version)
            && id.bytes().all(|b| b.is_ascii_digit())
            && let Some(id) = SstableId::parse(id)
        {
            let temporary = matches!(head.last(), Some(&("tmp" | "tmplink")));
            return match Version::parse(version) {
                Ok(version) if version.has_table_in_file_name() && !temporary => {
                    let Some(parsed) = Component::parse(component) else { return Ok(None) };
                    let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
                    let table_in_name = Some(head.join("-"));
                    Ok(Some((
                        Self { directory, version, id, format: Format::Big, table_in_name },
                        parsed,
                    )))
                }
                Ok(read) if read.has_table_in_file_name() => {
                    Err(unsupported(version, id, component, temporary, UNFINISHED))
                }
                Ok(_) => Ok(None),
                Err(reason) => Err(unsupported(version, id, component, temporary, reason)),
            };
        }
        Ok(None)
    }

    /// What the names of all its files begin with, such as `nb-42-big-`.
    pub fn prefix(&self) -> String {
        match &self.table_in_name {
            Some(table) => format!("{table}-{}-{}-", self.version, self.id),
            None => format!("{}-{}-{}-", self.version, self.id, self.format),
        }
    }

    /// The path of one of its files.
    pub fn path(&self, component: impl Borrow<Component>) -> PathBuf {
        let name = match component.borrow() {
            Component::Digest => self.version.digest_name(),
            other => other.name(),
        };
        self.directory.join(format!("{}{name}", self.prefix()))
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path(Component::Data).display())
    }
}

fn is_version(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_format(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for (name, version, id, component) in [
            ("nb-42-big-Data.db", Version::Nb, SstableId::Sequence(42), Component::Data),
            ("ma-1-big-Digest.crc32", Version::Ma, SstableId::Sequence(1), Component::Digest),
            (
                "oa-3gsm_0lob_1zdg02we44my8dy25w-big-Statistics.db",
                Version::Oa,
                SstableId::Uuid { ticks: 0x1f0_7362_ddc7_bf50, low: 0xbeaf_3829_db28_2c74 },
                Component::Statistics,
            ),
            (
                "da-3gsm_0lob_1zdg02we44my8dy25w-bti-Rows.db",
                Version::Da,
                SstableId::Uuid { ticks: 0x1f0_7362_ddc7_bf50, low: 0xbeaf_3829_db28_2c74 },
                Component::Rows,
            ),
            (
                "nb-7-big-SAI+aa+ix+Meta.db",
                Version::Nb,
                SstableId::Sequence(7),
                Component::SecondaryIndex("SAI+aa+ix+Meta.db".into()),
            ),
        ] {
            let path = Path::new("/data/ks/t-0123").join(name);
            let (descriptor, found) = Descriptor::parse(&path).unwrap().unwrap();
            assert_eq!((descriptor.version, descriptor.id), (version, id), "{name}");
            assert_eq!(found, component);
            assert_eq!(descriptor.path(&found), path);
        }
        for (name, version) in [
            ("ks-table-ka-12-Data.db", Version::Ka),
            ("ks-t.idx-jb-1-Digest.sha1", Version::Jb),
            ("la-1-big-Digest.adler32", Version::La),
            ("lb-3-big-Digest.adler32", Version::Lb),
        ] {
            let path = Path::new("/data/ks/t-0123").join(name);
            let (descriptor, found) = Descriptor::parse(&path).unwrap().unwrap();
            assert_eq!(descriptor.version, version, "{name}");
            assert_eq!(descriptor.path(&found), path);
        }
        let (bare, _) = Descriptor::parse(Path::new("nb-1-big-Data.db")).unwrap().unwrap();
        assert_eq!(bare.path(Component::Toc), Path::new("nb-1-big-TOC.txt"));
    }

    #[test]
    fn other_files_are_not_sstables() {
        for name in [
            "manifest.json",
            "schema.cql",
            "nb_txn_compaction_8f1c2a40-1111-11ee-9c6b-0242ac110002.log",
            "nb-1-big-Statistics.db.tmp",
            "nb-x-big-Data.db",
            "nb-12345678901-big-Data.db",
            "nbb-1-big-Data.db",
            "nb-1-Data.db",
            "ks-t-nb-1-Data.db",
            "",
            "nb-3gsm_0lob_1zdg0+we44my8dy25w-big-Data.db",
            "nb-3gsm-0lob-1zdg02we44my8dy25w-big-Data.db",
        ] {
            assert!(matches!(Descriptor::parse(Path::new(name)), Ok(None)), "{name}");
        }
    }

    #[test]
    fn sstables_of_other_formats_are_named_as_such() {
        for (name, version, temporary, word) in [
            ("da-1-big-Data.db", "da", false, "together"),
            ("ea-1-bti-Data.db", "ea", false, "after"),
            ("tmp-la-1-big-Data.db", "la", true, "not finished"),
            ("ks-table.idx-tmplink-ka-12-Index.db", "ka", true, "not finished"),
            ("ks-t-ic-1-Data.db", "ic", false, "2.0"),
            ("ka-1-big-Data.db", "ka", false, "together"),
            ("pa-1-big-Data.db", "pa", false, "after"),
            ("nb-1-bti-Data.db", "nb", false, "together"),
            ("tmp-nb-1-big-Data.db", "nb", true, "together"),
        ] {
            let error = Descriptor::parse(Path::new(name)).unwrap_err();
            assert_eq!((error.version.as_str(), error.temporary), (version, temporary), "{name}");
            assert!(error.reason.contains(word), "{name}: {}", error.reason);
            assert_eq!(Error::from(*error).class(), ErrorClass::Unsupported);
        }
    }

    #[test]
    fn ids_are_ordered_as_cassandra_orders_them() {
        let ids = [
            SstableId::Sequence(2),
            SstableId::Sequence(10),
            SstableId::Uuid { ticks: 1, low: u64::MAX },
            SstableId::Uuid { ticks: 1, low: 1 },
            SstableId::Uuid { ticks: 2, low: 0 },
        ];
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_beyond_64_bits_is_refused() {
        assert_eq!(SstableId::parse("zzzz_zzzz_zzzzzzzzzzzzzzzzzz"), None);
        let last = SstableId::Uuid { ticks: 3, low: u64::MAX };
        assert_eq!(SstableId::parse(&last.to_string()), Some(last));
    }
}
