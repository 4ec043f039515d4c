//! Flag bytes of `UnfilteredSerializer` and `Cell.Serializer`.

/// Nothing follows in the partition.
pub(super) const END_OF_PARTITION: u8 = 0x01;
/// A range tombstone marker; such flags are exactly this.
pub(super) const IS_MARKER: u8 = 0x02;
/// The row has a liveness.
pub(super) const HAS_TIMESTAMP: u8 = 0x04;
/// The liveness expires.
pub(super) const HAS_TTL: u8 = 0x08;
/// The row has a deletion.
pub(super) const HAS_DELETION: u8 = 0x10;
/// No column subset follows.
pub(super) const HAS_ALL_COLUMNS: u8 = 0x20;
/// Every complex column of the row has a deletion time.
pub(super) const HAS_COMPLEX_DELETION: u8 = 0x40;
/// A byte of extended flags follows.
pub(super) const EXTENSION: u8 = 0x80;

/// Extended: the static row.
pub(super) const EXT_IS_STATIC: u8 = 0x01;
/// Extended: the row deletion is shadowable (materialized views of 3.x).
pub(super) const EXT_SHADOWABLE: u8 = 0x02;
/// Extended: written by ScyllaDB only, a second, shadowable deletion follows the row deletion.
pub(super) const EXT_SCYLLA_SHADOWABLE: u8 = 0x80;

/// The cell is a tombstone.
pub(super) const CELL_DELETED: u8 = 0x01;
/// The cell expires.
pub(super) const CELL_EXPIRING: u8 = 0x02;
/// No value follows.
pub(super) const CELL_EMPTY_VALUE: u8 = 0x04;
/// The write time is that of the row's liveness.
pub(super) const CELL_ROW_TIMESTAMP: u8 = 0x08;
/// TTL and expiry are those of the row's liveness.
pub(super) const CELL_ROW_TTL: u8 = 0x10;
/// Everything above these is an error.
pub(super) const CELL_ALL: u8 = 0x1f;
