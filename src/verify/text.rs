//! [`ObjectText`]: the text of an object, whatever it is compressed with, and the checksum of its bytes.

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::Result;
use crate::output::Compression;
use crate::store::{Checksum, ObjectMeta, ObjectPieces, Store};

/// Text that is handed on at a time.
const PIECE: usize = 64 << 10;
/// As a power of two, the longest window of a zstd frame that is taken: our frames have 2 MiB.
const ZSTD_WINDOW: u32 = 23;

/// An object whose bytes are summed as they are read.
struct Summed {
    pieces: ObjectPieces,
    checksum: Checksum,
    bytes: u64,
}

impl Read for Summed {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = self.pieces.read(buf)?;
        self.checksum.update(buf.get(..len).unwrap_or_default());
        self.bytes += len as u64;
        Ok(len)
    }
}

enum Decoder {
    Plain(Box<Summed>),
    Gzip(Box<MultiGzDecoder<BufReader<Summed>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<Summed>>>),
}

/// The text of an object, in pieces.
pub(super) struct ObjectText {
    decoder: Decoder,
    piece: Vec<u8>,
    /// Why it is not what it should be compressed with.
    damage: Option<String>,
}

impl ObjectText {
    /// Opens the object `name`; none if there is none.
    pub(super) fn open(
        store: &dyn Store,
        name: &str,
        compression: Compression,
    ) -> Result<Option<Self>> {
        let Some(reader) = store.read(name)? else { return Ok(None) };
        let pieces = ObjectPieces::new(reader);
        let summed = Summed { pieces, checksum: Checksum::default(), bytes: 0 };
        let decoder = match compression {
            Compression::None | Compression::Snappy => Decoder::Plain(Box::new(summed)),
            Compression::Gzip => {
                Decoder::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(summed))))
            }
            Compression::Zstd => {
                let decoder = zstd::stream::read::Decoder::new(summed).and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW)?;
                    Ok(decoder)
                });
                Decoder::Zstd(Box::new(decoder.map_err(|e| {
                    crate::error::Error::Bug(format!("zstd cannot be set up: {e}"))
                })?))
            }
        };
        Ok(Some(Self { decoder, piece: vec![0; PIECE], damage: None }))
    }

    fn summed(&mut self) -> &mut Summed {
        match &mut self.decoder {
            Decoder::Plain(summed) => summed,
            Decoder::Gzip(gzip) => gzip.get_mut().get_mut(),
            Decoder::Zstd(zstd) => zstd.get_mut().get_mut(),
        }
    }

    /// The next piece; none at the end, and where the text is damaged ([`ObjectText::damage`]).
    pub(super) fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        if self.damage.is_some() {
            return Ok(None);
        }
        let read = match &mut self.decoder {
            Decoder::Plain(summed) => summed.read(&mut self.piece),
            Decoder::Gzip(gzip) => gzip.read(&mut self.piece),
            Decoder::Zstd(zstd) => zstd.read(&mut self.piece),
        };
        if let Some(error) = self.summed().pieces.take_error() {
            return Err(error);
        }
        match read {
            Ok(0) => Ok(None),
            Ok(len) => Ok(self.piece.get(..len)),
            Err(error) => {
                self.damage = Some(format!("what is compressed in it is damaged: {error}"));
                Ok(None)
            }
        }
    }

    /// Bytes of the object read so far.
    pub(super) fn bytes_read(&mut self) -> u64 {
        self.summed().bytes
    }

    /// Reads what is left, and sums up the whole object.
    pub(super) fn finish(&mut self) -> Result<ObjectMeta> {
        let mut rest = std::mem::take(&mut self.piece);
        let summed = self.summed();
        let failed = loop {
            match summed.read(&mut rest) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
        };
        match (summed.pieces.take_error(), failed) {
            (Some(error), _) => Err(error),
            (None, Some(error)) => {
                Err(crate::error::Error::Bug(format!("a store failed without a word: {error}")))
            }
            (None, None) => Ok(summed.checksum.finish()),
        }
    }

    /// Why the text is not whole, if that could be told.
    pub(super) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Compressor;
    use crate::store::LocalStore;

    fn read(bytes: &[u8], compression: Compression) -> (Vec<u8>, Option<String>) {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        store.put("a", bytes).unwrap();
        let mut text = ObjectText::open(&store, "a", compression).unwrap().unwrap();
        let mut found = Vec::new();
        while let Some(piece) = text.next_piece().unwrap() {
            found.extend_from_slice(piece);
        }
        assert_eq!(text.finish().unwrap(), Checksum::of(bytes));
        (found, text.damage().map(str::to_owned))
    }

    #[test]
    fn text_of_several_members_is_read_and_what_is_damaged_is_told() {
        let parts = ["one\n".repeat(50_000), "two\n".to_owned()];
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut bytes = Vec::new();
            let mut write = |made: &[u8]| {
                bytes.extend_from_slice(made);
                Ok(())
            };
            let mut compressor = Compressor::new(compression).unwrap();
            for part in &parts {
                compressor.add(part.as_bytes(), &mut write).unwrap();
                compressor.finish(&mut write).unwrap();
            }
            assert_eq!(read(&bytes, compression), (parts.concat().into_bytes(), None));
            for end in 1..bytes.len() {
                let (text, damage) = read(&bytes[..end], compression);
                // Where a member ends nothing shows that another should follow: the checksum does.
                let whole = text == parts[0].as_bytes();
                assert!(whole || damage.is_some(), "{compression:?} {end}");
            }
            let mut damaged = bytes.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 0x40;
            let (text, damage) = read(&damaged, compression);
            assert!(damage.is_some(), "{compression:?} {}", text.len());
        }
        assert_eq!(read(b"plain", Compression::None), (b"plain".to_vec(), None));
        assert_eq!(read(b"", Compression::Gzip).0, b"");
    }
}
