use std::path::Path;

use super::*;

/// Section 17.1 of the format notes.
const ONE: &[u8] = b"\0\0\0\x80\0\0\0\x01\0\0\0\0\0\0\0\x10\0\0\0\x80\0\0\0\x01\
    \x04\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x01";

fn open(dir: &Path, bytes: &[u8]) -> Result<Summary> {
    let (descriptor, _) = Descriptor::parse(&dir.join("oa-1-big-Data.db")).unwrap().unwrap();
    std::fs::write(descriptor.path(Component::Summary), bytes).unwrap();
    Summary::open(&descriptor).map(Option::unwrap)
}

#[test]
fn the_worked_example_reads_as_described() {
    let dir = tempfile::tempdir().unwrap();
    let summary = open(dir.path(), ONE).unwrap();
    assert_eq!((summary.entry_count(), summary.estimated_partition_count()), (1, 128));
    let mut key = vec![9; 100];
    assert_eq!(summary.entry(0, &mut key).unwrap(), 0);
    assert_eq!(key, [0, 0, 0, 1]);
    assert_eq!((summary.first_key(), summary.last_key()), (&[0, 0, 0, 1][..], &[0, 0, 0, 1][..]));
    assert!(summary.entry(1, &mut key).is_err());
}

#[test]
fn every_prefix_is_an_error_and_flipped_bits_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let whole = |bytes: &[u8]| -> Result<()> {
        let summary = open(dir.path(), bytes)?;
        (0..summary.entry_count()).try_for_each(|i| summary.entry(i, &mut Vec::new()).map(drop))
    };
    whole(ONE).unwrap();
    for len in 0..ONE.len() {
        assert!(whole(&ONE[..len]).is_err(), "{len} bytes");
    }
    assert!(whole(&[ONE, &[0]].concat()).is_err(), "one byte more");
    for bit in 0..ONE.len() * 8 {
        let mut bytes = ONE.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _either = whole(&bytes);
    }
    let (nowhere, _) = Descriptor::parse(Path::new("/nowhere/oa-1-big-Data.db")).unwrap().unwrap();
    assert!(Summary::open(&nowhere).unwrap().is_none());
}
