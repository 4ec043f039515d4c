//! Chunks of Data.db: where they are ([`CompressionInfo`]), how they are compressed ([`crate::io::Compressor`]), and reading them
//! ([`DataChunks`]).

mod chunks;
mod info;

pub use chunks::{ChunkScratch, DataChunks};
pub use info::CompressionInfo;
