use super::*;
use crate::cql::parse_marshal_type;

/// Section 17.5 of the format notes: the index of one wide partition, behind key, position and length.
pub(crate) const WIDE: [u8; 100] = [
    0x10, 0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x04, //
    4, 0, 3, 0x30, 0x61, 0x41, 4, 0, 4, 0x31, 0x34, 0x74, 0x58, 0x10, 0x14, 0, //
    4, 0, 4, 0x31, 0x34, 0x74, 0x59, 4, 0, 3, 0x31, 0x6e, 0x42, 0xc1, 0, 0x1a, 0x0e, 0, //
    4, 0, 3, 0x31, 0x6e, 0x43, 4, 0, 3, 0x37, 0x6f, 0x53, 0xc2, 0, 0x21, 0, 0, //
    4, 0, 3, 0x37, 0x6f, 0x54, 4, 0, 3, 0x39, 0x7a, 0x5a, 0xc3, 0, 0x21, 0xc1, 0x32, 0x7b,
    0, //
    0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x22, 0, 0, 0, 0x33,
];

fn text() -> Vec<MarshalType> {
    vec![parse_marshal_type("org.apache.cassandra.db.marshal.UTF8Type").unwrap()]
}

#[test]
fn the_worked_example_reads_as_described() {
    let clustering = text();
    let index = RowIndex::decode(&WIDE, Version::Mc, &clustering).unwrap();
    assert_eq!((index.header_len(), index.block_count()), (16, 4));
    assert!(index.partition_deletion().is_live());
    let blocks: Vec<_> = index.blocks().map(Result::unwrap).collect();
    let places: Vec<_> = blocks.iter().map(|b| (b.offset, b.width)).collect();
    assert_eq!(places, [(16, 65546), (65562, 65543), (131_105, 65536), (196_641, 26306)]);
    let names: Vec<_> =
        blocks.iter().map(|b| (b.first.values[0].unwrap(), b.last.values[0].unwrap())).collect();
    assert_eq!(
        names,
        [(&b"0aA"[..], &b"14tX"[..]), (b"14tY", b"1nB"), (b"1nC", b"7oS"), (b"7oT", b"9zZ")]
    );
    assert!(blocks.iter().all(|b| b.open_marker.is_none()));
    assert!(index.block(4).is_err());
}

#[test]
fn prefixes_and_flipped_bits_do_no_harm() {
    let clustering = text();
    let whole = |bytes: &[u8]| -> Result<usize, DecodeError> {
        let index = RowIndex::decode(bytes, Version::Mc, &clustering)?;
        index.blocks().try_fold(0, |n, block| block.map(|_| n + 1))
    };
    assert_eq!(whole(&WIDE), Ok(4));
    for len in 0..WIDE.len() {
        assert!(whole(&WIDE[..len]).is_err(), "{len} bytes");
    }
    let mut refused = 0;
    for bit in 0..WIDE.len() * 8 {
        let mut bytes = WIDE;
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(whole(&bytes).is_err());
    }
    assert!(refused > 200, "{refused}");
    // A count of blocks that no file could hold.
    let mut bytes = WIDE[..13].to_vec();
    bytes.extend_from_slice(&[0xff; 9]);
    assert!(whole(&bytes).is_err());
}

#[test]
fn markers_and_open_deletions_read() {
    let clustering = text();
    let mut bytes = vec![1, 0x80, 1];
    bytes.extend_from_slice(&[1, 0, 0]);
    bytes.extend_from_slice(&[7, 0, 1, 0, 1, b'x']);
    bytes.extend_from_slice(&[1, 0, 1]);
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 8]);
    bytes.extend_from_slice(&[0; 4]);
    let index = RowIndex::decode(&bytes, Version::Oa, &clustering).unwrap();
    let block = index.block(0).unwrap();
    assert_eq!((block.first.kind, block.first.values.len()), (ClusteringKind::InclStartBound, 0));
    assert_eq!(block.last.values, [Some(&b"x"[..])]);
    assert_eq!(block.open_marker.unwrap().marked_for_delete_at, 9);
    // More values than there are clustering columns.
    bytes[5] = 2;
    assert!(RowIndex::decode(&bytes, Version::Oa, &clustering).unwrap().block(0).is_err());
}
