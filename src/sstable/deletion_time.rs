//! Deletions of partitions and open ranges where they stand in full: before the rows of a partition and in its index.

use crate::error::DecodeError;
use crate::io::ByteReader;
use crate::rows::{DeletionTime, LocalDeletionTime};
use crate::sstable::Version;

/// A first byte that says "no deletion" (`DeletionTime.Serializer.IS_LIVE_DELETION`).
const LIVE: u8 = 0x80;

/// Reads a deletion in its full form.
///
/// With signed deletion times (up to `nc`): i32 local deletion time, then i64 marked-for-delete-at.
/// With unsigned ones: the single byte 0x80 for no deletion; otherwise i64 marked-for-delete-at, then u32 local deletion
/// time. Cassandra 5.0 writes deletions at negative times so too, and cannot read them back itself; they are told apart
/// by their first byte, which is 0x80 only for times hundreds of thousands of years ago.
pub(crate) fn read_deletion_time(
    r: &mut ByteReader<'_>,
    version: Version,
) -> Result<DeletionTime, DecodeError> {
    if version.has_uint_deletion_time() {
        if r.rest().first() == Some(&LIVE) {
            r.skip(1, "deletion time")?;
            return Ok(DeletionTime::LIVE);
        }
        let mut ahead = r.clone();
        let marked_for_delete_at = ahead.read_i64("deletion time")?;
        let seconds = ahead.read_u32("local deletion time")?;
        *r = ahead;
        let local_deletion_time = if seconds == u32::MAX {
            LocalDeletionTime::NONE
        } else {
            LocalDeletionTime(seconds.into())
        };
        return Ok(DeletionTime { marked_for_delete_at, local_deletion_time });
    }
    let mut ahead = r.clone();
    let seconds = ahead.read_i32("local deletion time")?;
    let marked_for_delete_at = ahead.read_i64("deletion time")?;
    *r = ahead;
    let local_deletion_time = if seconds == i32::MAX {
        LocalDeletionTime::NONE
    } else {
        LocalDeletionTime(seconds.into())
    };
    Ok(DeletionTime { marked_for_delete_at, local_deletion_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], version: Version) -> Result<(DeletionTime, usize), DecodeError> {
        let mut r = ByteReader::new(bytes);
        let read = read_deletion_time(&mut r, version);
        let at = r.position();
        assert!(read.is_ok() || at == 0, "moved on an error");
        read.map(|deletion| (deletion, at))
    }

    #[test]
    fn both_forms_read() {
        let old_live = [0x7f, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&old_live, Version::Nb), Ok((DeletionTime::LIVE, 12)));
        assert_eq!(read(&[0x80, 0, 0], Version::Oa), Ok((DeletionTime::LIVE, 1)));
        let deleted = |seconds| DeletionTime {
            marked_for_delete_at: 5,
            local_deletion_time: LocalDeletionTime(seconds),
        };
        let old = [0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(read(&old, Version::Ma), Ok((deleted(-2), 12)));
        let new = [0, 0, 0, 0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xfd];
        assert_eq!(read(&new, Version::Oa), Ok((deleted(0xffff_fffd), 12)));
        let negative = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb, 0, 0, 0, 1];
        let (deletion, _) = read(&negative, Version::Oa).unwrap();
        assert_eq!(deletion.marked_for_delete_at, -5);
        for len in 0..12 {
            assert!(read(&new[..len], Version::Oa).is_err());
            assert!(read(&old[..len], Version::Ma).is_err());
        }
    }
}
