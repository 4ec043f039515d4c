//! The index of the BIG format: Index.db ([`PrimaryIndex`]), its sample Summary.db ([`Summary`]) and the index of the rows
//! of a large partition ([`RowIndex`]).

mod legacy_row_index;
mod primary_index;
mod row_index;
mod summary;

pub use legacy_row_index::{LegacyIndexBlock, LegacyRowIndex};
pub use primary_index::{IndexEntries, IndexEntry, PrimaryIndex, RowIndexLocation};
pub use row_index::{IndexBlock, IndexPrefix, RowIndex};
pub use summary::Summary;
