//! Chunks of Data.db: where they are ([`CompressionInfo`]), how they are compressed ([`Compressor`]), and reading them
//! ([`DataChunks`]).

mod chunks;
mod compressor;
mod info;

pub use chunks::{ChunkScratch, DataChunks};
pub use compressor::{Compressor, Decompressors};
pub use info::{CompressionInfo, Dictionary};
