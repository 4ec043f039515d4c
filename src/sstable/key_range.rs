//! The first and the last key of an SSTable that may be too damaged to be opened.

use super::big::{PrimaryIndex, Summary};
use super::stats::Statistics;
use super::{Component, Descriptor};
use crate::dht::{Partitioner, Token, TokenRange};
use crate::error::Result;
use crate::io::ReadMode;

/// The tokens of an SSTable, as far as what is readable of its index tells: Index.db, read to its end, with
/// Summary.db, or either of them where the other is missing. All tokens where they are damaged or do not agree.
pub fn recorded_token_range(descriptor: &Descriptor) -> TokenRange {
    // What cannot be read does not say it; then it is the one that nearly all have.
    let partitioner = Statistics::read(&descriptor.path(Component::Statistics), descriptor.version)
        .map_or(Partitioner::Murmur3, |statistics| statistics.validation.partitioner);
    match recorded_keys(descriptor, &partitioner) {
        Ok(Some((first, last))) => {
            let (first, last) = (partitioner.token(&first), partitioner.token(&last));
            // The start is exclusive; an empty key has the least token and belongs to the range that starts there.
            let start = Token(first.0.saturating_sub(1));
            if first <= last { TokenRange { start, end: last } } else { TokenRange::ALL }
        }
        Ok(None) | Err(_) => TokenRange::ALL,
    }
}

type Keys = Option<(Vec<u8>, Vec<u8>)>;

fn recorded_keys(descriptor: &Descriptor, partitioner: &Partitioner) -> Result<Keys> {
    let Some(index) = PrimaryIndex::open(descriptor, partitioner, ReadMode::Read)? else {
        let summary = Summary::open(descriptor)?;
        return Ok(summary.map(|s| (s.first_key().to_vec(), s.last_key().to_vec())));
    };
    let statistics =
        Statistics::read(&descriptor.path(Component::Statistics), descriptor.version).ok();
    // A damaged Summary.db is not noticed by the index, which does without it; here it must be whole or absent.
    Summary::open(descriptor)?;
    index.check_key_range(statistics.and_then(|s| s.stats.key_range).as_ref())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sstable::fixtures;

    /// A copy of an SSTable of the corpora without the named components; what is recorded of its tokens.
    fn range_without(absent: &[&str], change: impl Fn(&str, &mut Vec<u8>)) -> TokenRange {
        let scratch = tempfile::tempdir().unwrap();
        let original = fixtures::sstables()
            .into_iter()
            .find(|d| d.directory.to_string_lossy().contains("testdata/4.1/data/shop/orders-"))
            .unwrap();
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
}
