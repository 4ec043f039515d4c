//! Bytes: a cursor over a slice, variable-length integers, mapped files, compressors, durable replacement of small files,
//! the limit of open files.

mod atomic;
mod compressor;
mod file;
mod mmap;
mod open_files;
mod reader;
mod writer;

pub use atomic::{rename_file, replace_file};
pub use compressor::{Compressor, Decompressors, Dictionary};
pub use file::{InputFile, ReadMode};
pub use mmap::MappedFile;
pub use open_files::{open_files_limit, raise_open_files_limit};
pub use reader::ByteReader;
pub use writer::{put_svint, put_uvint};
