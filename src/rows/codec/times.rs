//! Times as rows have them: differences to the minima of the header, and deletions in their full form.

use crate::error::DecodeError;
use crate::io::ByteReader;
use crate::rows::{DeletionTime, LocalDeletionTime, NO_TIMESTAMP};

use super::header::low_i32;
use super::plan::RowCodec;

impl RowCodec {
    #[inline]
    pub(super) fn read_timestamp(&self, r: &mut ByteReader<'_>) -> Result<i64, DecodeError> {
        Ok(self.min_timestamp.wrapping_add(r.read_uvint("write time")?.cast_signed()))
    }

    pub(super) fn read_ttl(&self, r: &mut ByteReader<'_>) -> Result<i32, DecodeError> {
        let ttl = self.min_ttl.wrapping_add(low_i32(r.read_uvint("TTL")?));
        if ttl <= 0 {
            return Err(r.invalid(format!("a TTL of {ttl} seconds")));
        }
        Ok(ttl)
    }

    pub(super) fn read_local_deletion_time(
        &self,
        r: &mut ByteReader<'_>,
    ) -> Result<LocalDeletionTime, DecodeError> {
        let delta = r.read_uvint("local deletion time")?.cast_signed();
        let sum = self.min_local_deletion_time.wrapping_add(delta);
        Ok(local_deletion_time(low_i32(sum.cast_unsigned()), self.uint_deletion_time))
    }

    pub(super) fn read_delta_deletion(
        &self,
        r: &mut ByteReader<'_>,
    ) -> Result<DeletionTime, DecodeError> {
        let marked_for_delete_at = self.read_timestamp(r)?;
        let local_deletion_time = self.read_local_deletion_time(r)?;
        if marked_for_delete_at == NO_TIMESTAMP {
            return Ok(DeletionTime::LIVE);
        }
        Ok(DeletionTime { marked_for_delete_at, local_deletion_time })
    }
}

/// A local deletion time of 32 bits with the signedness of the version.
fn local_deletion_time(raw: i32, unsigned: bool) -> LocalDeletionTime {
    if unsigned {
        match raw.cast_unsigned() {
            u32::MAX => LocalDeletionTime::NONE,
            seconds => LocalDeletionTime(i64::from(seconds)),
        }
    } else {
        match raw {
            i32::MAX => LocalDeletionTime::NONE,
            seconds => LocalDeletionTime(i64::from(seconds)),
        }
    }
}

/// Reads a deletion in its full form (`DeletionTime.Serializer`); see the module header.
pub(crate) fn read_deletion_time(
    r: &mut ByteReader<'_>,
    unsigned: bool,
) -> Result<DeletionTime, DecodeError> {
    if !unsigned {
        let raw = r.read_i32("deletion time")?;
        let marked_for_delete_at = r.read_i64("deletion time")?;
        if marked_for_delete_at == NO_TIMESTAMP {
            return Ok(DeletionTime::LIVE);
        }
        return Ok(DeletionTime {
            marked_for_delete_at,
            local_deletion_time: local_deletion_time(raw, false),
        });
    }
    if r.rest().first() == Some(&0x80) {
        r.skip(1, "deletion time")?;
        return Ok(DeletionTime::LIVE);
    }
    let marked_for_delete_at = r.read_i64("deletion time")?;
    let raw = r.read_i32("deletion time")?;
    Ok(DeletionTime { marked_for_delete_at, local_deletion_time: local_deletion_time(raw, true) })
}
