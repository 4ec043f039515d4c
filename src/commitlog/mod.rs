//! The commit log: segments of 2.1 to 5.0 (versions 4 to 8), those of `cdc_raw` included, and the mutations in them.
//!
//! [`SegmentReader`] goes through one segment, also while it is written; how far it may is a [`Bound`], in `cdc_raw` from
//! [`CdcIndex`]. [`MutationDecoder`] makes updates of partitions out of an entry, whatever release wrote it.

mod cdc_index;
mod descriptor;
mod encryption;
mod java_object;
mod key_store;
mod legacy_mutation;
mod mutation;
mod position;
mod section;
mod segment;
mod step;
mod system_changes;

#[cfg(test)]
mod encoder;

pub use cdc_index::CdcIndex;
pub use descriptor::{CommitLogDescriptor, EncryptionParameters, LogVersion};
pub use encryption::EncryptionKeys;
pub use legacy_mutation::{LegacyMutation, decode_legacy_mutation};
pub use mutation::{Mutation, MutationDecoder, MutationError, MutationPeek, TableLookup};
pub use position::{CommitLogPosition, SegmentName};
pub use segment::SegmentReader;
pub use step::{Bound, DamageExtent, SegmentDamage, SegmentStep, WaitFor};
pub use system_changes::{SystemChange, is_schema_table, system_table_id};
