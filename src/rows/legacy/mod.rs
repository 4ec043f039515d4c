//! Rows as the storage engine of 2.x knows them: a partition is a list of atoms, cells and range tombstones, whose names carry
//! clustering, column and element. Here they become the rows and markers of 3.0, so that the merge meets one kind of row.
//!
//! * `atom` reads atoms; [`LegacyLayout`] knows, from the schema, how those of one table are named.
//! * [`RowAssembler`] makes rows and markers of the atoms of an SSTable, one at a time.
//! * [`LegacyPartition`] does the same for a mutation, whose range tombstones stand apart from its cells.
//!
//! The rules are those of `LegacyLayout` of 3.0 and 3.11, but what a tombstone deletes is what 2.x says it does.

mod assembler;
mod atom;
mod bounds;
mod mutation;
mod names;
mod ranges;

#[cfg(test)]
mod legacy_tests;

pub use assembler::{Offer, RowAssembler};
pub use atom::{LegacyAtom, LegacyCell, LegacyRange, read_atom, read_name};
pub use mutation::LegacyPartition;
pub use names::LegacyLayout;
