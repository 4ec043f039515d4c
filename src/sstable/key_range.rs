//! The first and the last key of an SSTable that may be too damaged to be opened.

use super::big::{PrimaryIndex, Summary};
use super::bti::PartitionIndex;
use super::stats::Statistics;
use super::{Component, Descriptor, Format};
use crate::dht::{Partitioner, Token, TokenRange};
use crate::error::Result;
use crate::io::ReadMode;

/// The tokens of an SSTable, as far as what is readable of its index tells: Index.db, read to its end, with Summary.db, or either
/// of them where the other is missing; of BTI Partitions.db, read to its end, with Rows.db. All tokens where they are damaged or
/// do not agree.
pub fn recorded_token_range(descriptor: &Descriptor) -> TokenRange {
    let statistics =
        Statistics::read(&descriptor.path(Component::Statistics), descriptor.version).ok();
    // What cannot be read does not say it; then it is the one that nearly all have.
    let (partitioner, recorded) = match statistics {
        Some(statistics) => (statistics.validation.partitioner, statistics.stats.key_range),
        None => (Partitioner::Murmur3, None),
    };
    match recorded_keys(descriptor, &partitioner, recorded.as_ref()) {
        Ok(Some((first, last))) => {
            let (first, last) = (partitioner.token(&first), partitioner.token(&last));
            // The start is exclusive; an empty key has the least token and belongs to the range that starts there.
            let start = Token(first.0.saturating_sub(1));
            if first <= last { TokenRange { start, end: last } } else { TokenRange::ALL }
        }
        Ok(None) | Err(_) => TokenRange::ALL,
    }
}

/// The first and the last.
type Keys = (Vec<u8>, Vec<u8>);

/// `recorded`: what Statistics.db says of them, if it does.
fn recorded_keys(
    descriptor: &Descriptor,
    partitioner: &Partitioner,
    recorded: Option<&Keys>,
) -> Result<Option<Keys>> {
    if descriptor.format == Format::Bti {
        return recorded_in_trie(descriptor, partitioner, recorded);
    }
    let Some(index) = PrimaryIndex::open(descriptor, partitioner, ReadMode::Read)? else {
        let summary = Summary::open(descriptor)?;
        return Ok(summary.map(|s| (s.first_key().to_vec(), s.last_key().to_vec())));
    };
    // A damaged Summary.db is not noticed by the index, which does without it; here it must be whole or absent.
    Summary::open(descriptor)?;
    index.check_key_range(recorded)?;
    let mut entries = index.entries();
    let (mut first, mut last) = (None, Vec::new());
    while let Some(entry) = entries.next_entry()? {
        if first.is_none() {
            first = Some(entry.key.to_vec());
        }
        last.clear();
        last.extend_from_slice(entry.key);
    }
    Ok(first.map(|first| (first, last)))
}

fn recorded_in_trie(
    descriptor: &Descriptor,
    partitioner: &Partitioner,
    recorded: Option<&Keys>,
) -> Result<Option<Keys>> {
    // How long the data is, only Data.db can tell, and that may be what is damaged.
    let opened = PartitionIndex::open(descriptor, partitioner, u64::MAX, ReadMode::Read)?;
    let Some(index) = opened else { return Ok(None) };
    let (first, last) = (index.first_key().to_vec(), index.last_key().to_vec());
    if recorded.is_some_and(|recorded| (&recorded.0, &recorded.1) != (&first, &last)) {
        return Ok(None);
    }
    let mut partitions = index.partitions();
    let mut before = None;
    while let Some(found) = partitions.next_partition()? {
        if before.is_none() && !index.may_be(&found, &first) {
            return Ok(None);
        }
        before = Some(found);
    }
    let ends = before.is_some_and(|found| index.may_be(&found, &last));
    Ok((ends && partitions.count() == index.partition_count()).then_some((first, last)))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn range_without(absent: &[&str], change: impl Fn(&str, &mut Vec<u8>)) -> TokenRange {
        range_in("4.1", absent, change)
    }

    /// A copy of an SSTable of a corpus without the named components; what is recorded of its tokens.
    fn range_in(line: &str, absent: &[&str], change: impl Fn(&str, &mut Vec<u8>)) -> TokenRange {
        let scratch = tempfile::tempdir().unwrap();
        let corpus = format!("{}/testdata/{line}/data/shop", env!("CARGO_MANIFEST_DIR"));
        let mut folders = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path());
        let is_orders = |folder: &PathBuf| folder.to_string_lossy().contains("/data/shop/orders-");
        let folder = folders.find(is_orders).unwrap();
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let data = files.iter().find(|path| path.to_string_lossy().ends_with("-Data.db"));
        let original = Descriptor::parse(data.unwrap()).unwrap().unwrap().0;
        for entry in std::fs::read_dir(&original.directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() || absent.iter().any(|a| name.ends_with(a)) {
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            change(&name, &mut bytes);
            std::fs::write(scratch.path().join(name), bytes).unwrap();
        }
        let copy = Descriptor { directory: scratch.path().to_path_buf(), ..original };
        recorded_token_range(&copy)
    }

    #[test]
    fn either_file_tells_the_range_and_nothing_else_does() {
        let whole = range_without(&[], |_, _| {});
        assert_ne!(whole, TokenRange::ALL);
        assert!(whole.start < whole.end);
        for absent in ["Index.db", "Summary.db", "Statistics.db", "Data.db", "CompressionInfo.db"] {
            assert_eq!(range_without(&[absent], |_, _| {}), whole, "{absent}");
        }
        assert_eq!(range_without(&["Index.db", "Summary.db"], |_, _| {}), TokenRange::ALL);
    }

    #[test]
    fn what_is_damaged_is_not_believed() {
        let cut = |what: &'static str, by: usize| {
            range_without(&[], move |name, bytes| {
                if name.ends_with(what) {
                    bytes.truncate(bytes.len() - by);
                }
            })
        };
        for by in [1, 5] {
            assert_eq!(cut("Index.db", by), TokenRange::ALL);
            assert_eq!(cut("Summary.db", by), TokenRange::ALL);
        }
        let other_last_key = range_without(&[], |name, bytes| {
            if name.ends_with("Summary.db") {
                *bytes.last_mut().unwrap() ^= 1;
            }
        });
        assert_eq!(other_last_key, TokenRange::ALL);
    }

    #[test]
    fn a_trie_tells_the_range_while_all_of_it_is_there() {
        let whole = range_in("5.0-bti", &[], |_, _| {});
        assert_ne!(whole, TokenRange::ALL);
        assert!(whole.start < whole.end);
        for absent in ["Data.db", "CompressionInfo.db", "Statistics.db", "Filter.db"] {
            assert_eq!(range_in("5.0-bti", &[absent], |_, _| {}), whole, "{absent}");
        }
        for absent in ["Partitions.db", "Rows.db"] {
            assert_eq!(range_in("5.0-bti", &[absent], |_, _| {}), TokenRange::ALL, "{absent}");
        }
        let without = |bit: usize| {
            range_in("5.0-bti", &["Statistics.db"], |name, bytes| {
                if name.ends_with("Partitions.db") {
                    let len = bytes.len();
                    bytes[len - 1 - bit / 8] ^= 1 << (bit % 8);
                }
            })
        };
        // Whatever of the footer is wrong, and the number of partitions and the keys without Statistics.db too.
        for bit in 0..8 * 28 {
            assert_eq!(without(bit), TokenRange::ALL, "bit {bit}");
        }
    }
}
