//! Objects as [`Read`], and files in pieces.

use std::fs::File;
use std::io::{ErrorKind, Read};

use super::ObjectReader;
use crate::error::Error;

/// An object as [`Read`], for decoders. An error of the store comes out as one of [`std::io::Error`]; the store's own is kept for
/// [`ObjectPieces::take_error`].
pub struct ObjectPieces {
    reader: Box<dyn ObjectReader>,
    piece: Vec<u8>,
    at: usize,
    failed: Option<Error>,
}

impl ObjectPieces {
    /// From the start of an object that was just opened.
    pub fn new(reader: Box<dyn ObjectReader>) -> Self {
        Self { reader, piece: Vec::new(), at: 0, failed: None }
    }

    /// The store's error, if that is why reading failed.
    pub fn take_error(&mut self) -> Option<Error> {
        self.failed.take()
    }
}

impl std::fmt::Debug for ObjectPieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectPieces").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Read for ObjectPieces {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        while self.at >= self.piece.len() {
            match self.reader.next_piece() {
                Ok(Some(piece)) => {
                    self.piece.clear();
                    self.piece.extend_from_slice(piece);
                    self.at = 0;
                }
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(std::io::Error::other("the store failed"));
                }
            }
        }
        let rest = self.piece.get(self.at..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.at += len;
        Ok(len)
    }
}

/// The next bytes of `file`, as many as one read into `buf` gives; none at the end.
pub(super) fn read_piece<'b>(file: &mut File, buf: &'b mut [u8]) -> std::io::Result<&'b [u8]> {
    loop {
        match file.read(buf) {
            Ok(len) => return Ok(buf.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
