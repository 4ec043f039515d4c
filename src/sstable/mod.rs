//! SSTables: Data.db and the files beside it, as Cassandra 3.0 to 5.0 writes them in the BIG format (`ma` to `oa`).
//!
//! A table directory holds files named `<version>-<id>-<format>-<component>`. A [`Descriptor`] is everything but the
//! component; [`Descriptor::path`] adds it.

mod clustering_bytes;
mod component;
pub mod compression;
mod descriptor;
mod partitioner;
pub mod stats;
mod toc;
mod version;

#[cfg(test)]
mod fixtures;

pub use component::Component;
pub use descriptor::{Descriptor, SstableId, UnsupportedSstable};
pub use partitioner::Partitioner;
pub use toc::Toc;
pub use version::{Format, Version};
