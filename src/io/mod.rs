//! Bytes: a cursor over a slice, variable-length integers, mapped files, checksums, durable replacement of small files.

mod atomic;
mod file;
mod mmap;
mod reader;

pub use atomic::replace_file;
pub use file::{InputFile, ReadMode};
pub use mmap::MappedFile;
pub use reader::ByteReader;
