//! The VALIDATION component.

use crate::dht::Partitioner;
use crate::error::DecodeError;
use crate::io::ByteReader;

/// What must fit the node that opens the file (`ValidationMetadata`).
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationMetadata {
    /// The partitioner.
    pub partitioner: Partitioner,
    /// `bloom_filter_fp_chance` of the table when the file was written.
    pub bloom_filter_fp_chance: f64,
}

impl ValidationMetadata {
    pub(super) fn read(r: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            partitioner: Partitioner::from_class(r.read_utf16len("partitioner class")?),
            bloom_filter_fp_chance: r.read_f64("false-positive chance")?,
        })
    }
}
