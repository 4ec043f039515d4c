//! Clustering values where they stand outside of rows: in Statistics.db and in the index of a partition.

use crate::cql::MarshalType;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;

/// Values whose states share one header.
const BATCH: usize = 32;

/// Reads `count` clustering values, a null one as none, and hands them to `each` in order
/// (`ClusteringPrefix.Serializer`): for every 32 of them a vint with two bits for each, the low one for an empty value,
/// the high one for null; then the others, of fixed length or with a vint length.
pub(super) fn read_clustering_values<'a>(
    r: &mut ByteReader<'a>,
    types: &[MarshalType],
    count: usize,
    mut each: impl FnMut(Option<&'a [u8]>),
) -> Result<(), DecodeError> {
    let Some(types) = types.get(..count) else {
        return Err(r.error(DecodeErrorKind::Limit {
            what: "number of clustering values",
            found: count as u64,
            limit: types.len() as u64,
        }));
    };
    for batch in types.chunks(BATCH) {
        let mut states = r.read_uvint("clustering header")?;
        for marshal in batch {
            match states & 3 {
                0 => each(Some(match marshal.cql_type.fixed_len() {
                    Some(len) => r.take(len, "clustering value")?,
                    None => r.read_bytesv("clustering value")?,
                })),
                1 => each(Some(&[])),
                _ => each(None),
            }
            states >>= 2;
        }
        if states != 0 {
            let what = "clustering header";
            return Err(r.error(DecodeErrorKind::InvalidTag { what, value: states }));
        }
    }
    Ok(())
}
