//! The serialization header: what has to be known to decode the rows of one SSTable (`SerializationHeader.Component`).
//!
//! ```text
//! uv        least write time - 2015-09-22T00:00:00Z in µs, modulo 2^64
//! uv        least local deletion time - 2015-09-22T00:00:00Z in s, a sign-extended i32
//! uv        least TTL
//! bytesV    type of the partition key; CompositeType(…) for several columns
//! uv n, n × bytesV                       types of the clustering columns
//! uv n, n × { bytesV name, bytesV type } static columns
//! uv n, n × { bytesV name, bytesV type } regular columns
//! ```
//! The same in all versions from `ma` to `oa` and `da`. Only columns that occur in the file are listed, and columns dropped
//! later stay listed. Names of key columns are not here: they come from the schema.

use crate::cql::{CqlType, MarshalType, parse_marshal_type};
use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::ByteReader;
use crate::schema::ColumnMetadata;

/// `SerializationHeader.TIMESTAMP_EPOCH`, µs.
pub(super) const TIMESTAMP_EPOCH: i64 = 1_442_880_000_000_000;
/// `SerializationHeader.DELETION_TIME_EPOCH`, s.
pub(super) const DELETION_TIME_EPOCH: i64 = 1_442_880_000;
/// A table has at most this many columns of a kind: their index is a `u16` in [`crate::rows::Cell`].
const MAX_COLUMNS: u64 = 65_535;

/// A column as the file lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderColumn {
    /// Name.
    pub name: String,
    /// Type when the file was written.
    pub cql_type: CqlType,
}

/// The serialization header of one SSTable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerializationHeader {
    /// Write times are stored as differences to this.
    pub min_timestamp: i64,
    /// Local deletion times are stored as differences to this, modulo 2^32.
    pub min_local_deletion_time: i64,
    /// TTLs are stored as differences to this.
    pub min_ttl: i32,
    /// Type of the partition key.
    pub key_type: CqlType,
    /// Types of the clustering columns.
    pub clustering_types: Vec<MarshalType>,
    /// Static columns in disk order.
    pub statics: Vec<HeaderColumn>,
    /// Regular columns in disk order.
    pub regulars: Vec<HeaderColumn>,
}

fn text(r: &mut ByteReader<'_>, what: &'static str) -> Result<String, DecodeError> {
    let at = r.position() as u64;
    let bytes = r.read_bytesv(what)?;
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| DecodeError::new(DecodeErrorKind::Utf8 { what }, at))
}

fn marshal(r: &mut ByteReader<'_>, what: &'static str) -> Result<MarshalType, DecodeError> {
    let at = r.position() as u64;
    parse_marshal_type(&text(r, what)?).map_err(|e| e.at(at))
}

fn count(r: &mut ByteReader<'_>, what: &'static str) -> Result<u64, DecodeError> {
    let n = r.read_uvint(what)?;
    let limit = MAX_COLUMNS.min(r.remaining() as u64);
    if n > limit {
        return Err(r.error(DecodeErrorKind::Limit { what, found: n, limit }));
    }
    Ok(n)
}

fn columns(r: &mut ByteReader<'_>) -> Result<Vec<HeaderColumn>, DecodeError> {
    let n = count(r, "number of columns")?;
    let mut columns = Vec::new();
    for _ in 0..n {
        let name = text(r, "column name")?;
        columns.push(HeaderColumn { name, cql_type: marshal(r, "column type")?.cql_type });
    }
    sort_columns(&mut columns);
    Ok(columns)
}

/// Sorts into the order of the cells. Cassandra writes the list in it, other writers do not, and Cassandra sorts it on
/// reading; so does freezing a type that the header wrongly says is not frozen.
pub(crate) fn sort_columns(columns: &mut [HeaderColumn]) {
    columns.sort_by(|a, b| {
        ColumnMetadata::disk_order(
            a.cql_type.is_multi_cell(),
            a.name.as_bytes(),
            b.cql_type.is_multi_cell(),
            b.name.as_bytes(),
        )
    });
}

impl SerializationHeader {
    /// Reads the HEADER component of Statistics.db.
    pub fn read(r: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let min_timestamp =
            TIMESTAMP_EPOCH.wrapping_add(r.read_uvint("least write time")?.cast_signed());
        let ldt = r.read_uvint("least local deletion time")?.cast_signed();
        let ttl = r.read_uvint("least TTL")?;
        let key_type = marshal(r, "partition key type")?.cql_type;
        let n = count(r, "number of clustering columns")?;
        let mut clustering_types = Vec::new();
        for _ in 0..n {
            clustering_types.push(marshal(r, "clustering type")?);
        }
        Ok(Self {
            min_timestamp,
            min_local_deletion_time: DELETION_TIME_EPOCH.wrapping_add(ldt),
            min_ttl: low_i32(ttl),
            key_type,
            clustering_types,
            statics: columns(r)?,
            regulars: columns(r)?,
        })
    }
}

/// The low 32 bits as a signed number: how 32-bit quantities are read back from 64-bit vints.
#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is what the format says")]
pub(crate) fn low_i32(value: u64) -> i32 {
    (value as u32).cast_signed()
}
