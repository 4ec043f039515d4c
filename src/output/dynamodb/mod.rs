//! Profile `ddb-json`: one `{"Item":{…}}` per line, as DynamoDB's import from S3 reads it (`dms-contract.md` 7).
//!
//! A table has one of two shapes. `native` uses all of DynamoDB's types: maps, lists, sets, binary. `dms` has the keys, names
//! and types that AWS DMS makes of profile `dms`, so that changes that come through DMS fit the imported table.
//!
//! DynamoDB knows one partition and one sort attribute. Where the table's own columns cannot be these without two keys
//! becoming one, an empty one, or a null one, items have `cp_pk` and `cp_sk` besides ([`DdbKeys`]).
//!
//! What DynamoDB does not take is refused row by row and counted: items over 400 KB, keys that are empty or too long, key
//! numbers out of range. What it takes in another type only (a NaN, a number of 50 digits, a set with members that are equal
//! as numbers) is written in that type, and counted too ([`super::Count`]).

mod format;
mod import;
mod item;
mod number;
mod options;
mod sized;
mod value;

pub use import::{ImportFiles, ImportedTable, import_requests};
pub use options::{DdbKeys, DdbShape};

pub(super) use format::{ItemFormat, generated_keys, target_options};
pub(super) use item::ItemWriter;
pub(super) use value::scalar_form;

#[cfg(test)]
#[path = "dynamodb_tests.rs"]
mod tests;
