//! What `--compression` does to files of text.
//!
//! A file is a sequence of members (gzip) or frames (zstd), each whole and of whole records, so that readers can begin at any of
//! them and what is cut off is told. Where one ends depends on the text alone: the same text gives the same bytes.

use std::io::Write;
use std::str::FromStr;

use flate2::write::GzEncoder;

use crate::error::{Error, Result};

/// Text in a member, about: it ends with the piece that reaches it.
const MEMBER: u64 = 16 << 20;
/// Text that is handed to a codec at a time.
const STEP: usize = 256 << 10;
/// As `gzip` and `zstd` have it where they are not told.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// How files are compressed (`--compression`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Compression {
    /// Not.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// Snappy, of the pages of Parquet.
    Snappy,
}

impl Compression {
    /// Bytes that the two [`Compressor`]s of a worker allocate.
    pub const MEMORY: u64 = 8 << 20;

    /// Its name on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
        }
    }

    /// What files of text have at the end of their names.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::None | Self::Snappy => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::None, Self::Gzip, Self::Zstd, Self::Snappy]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| Error::Usage {
                what: format!("there is no compression '{text}'"),
                hint: Some("one of none, gzip, zstd, snappy".into()),
            })
    }
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

/// Compresses text that comes in pieces of whole records.
pub struct Compressor {
    compression: Compression,
    encoder: Option<Encoder>,
    /// Text in the member at hand.
    in_member: u64,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("compression", &self.compression).finish_non_exhaustive()
    }
}

fn cannot(error: std::io::Error) -> Error {
    Error::Bug(format!("records cannot be compressed: {error}"))
}

fn begin(compression: Compression) -> Result<Encoder> {
    Ok(match compression {
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(cannot)?;
            // So that a damaged file says so by itself, as gzip's does.
            encoder.include_checksum(true).map_err(cannot)?;
            Encoder::Zstd(encoder)
        }
        Compression::None | Compression::Gzip | Compression::Snappy => {
            // No time and no name: they would differ from run to run.
            let builder = flate2::GzBuilder::new().mtime(0);
            Encoder::Gzip(builder.write(Vec::new(), flate2::Compression::new(GZIP_LEVEL)))
        }
    })
}

impl Compressor {
    /// None where nothing is compressed.
    pub fn new(compression: Compression) -> Option<Self> {
        let this = Self { compression, encoder: None, in_member: 0 };
        matches!(compression, Compression::Gzip | Compression::Zstd).then_some(this)
    }

    /// The next piece of text, of whole records; `write` gets what comes of it, in pieces too.
    pub fn add(&mut self, text: &[u8], mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        // A record of any length takes no memory here.
        for text in text.chunks(STEP) {
            let encoder = match &mut self.encoder {
                Some(encoder) => encoder,
                none => none.insert(begin(self.compression)?),
            };
            let made = match encoder {
                Encoder::Gzip(gzip) => gzip.write_all(text).map(|()| gzip.get_mut()),
                Encoder::Zstd(zstd) => zstd.write_all(text).map(|()| zstd.get_mut()),
            };
            let made = made.map_err(cannot)?;
            if !made.is_empty() {
                write(made)?;
                made.clear();
            }
            self.in_member += text.len() as u64;
        }
        if self.in_member >= MEMBER { self.finish(write) } else { Ok(()) }
    }

    /// The end of the text, or of a member.
    pub fn finish(&mut self, mut write: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.in_member = 0;
        let last = match self.encoder.take() {
            None => return Ok(()),
            Some(Encoder::Gzip(gzip)) => gzip.finish(),
            Some(Encoder::Zstd(zstd)) => zstd.finish(),
        };
        write(&last.map_err(cannot)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn compressed(compression: Compression, pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut compressor = Compressor::new(compression).unwrap();
        let mut bytes = Vec::new();
        let mut write = |made: &[u8]| {
            assert!(made.len() < 2 * STEP);
            bytes.extend_from_slice(made);
            Ok(())
        };
        pieces.iter().for_each(|piece| compressor.add(piece, &mut write).unwrap());
        compressor.finish(&mut write).unwrap();
        bytes
    }

    /// Members that each read as a whole by themselves.
    fn members(compression: Compression, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let mut text = Vec::new();
            match compression {
                Compression::Gzip => {
                    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
                    decoder.read_to_end(&mut text).unwrap();
                    bytes = decoder.into_inner();
                }
                _ => {
                    let mut decoder =
                        zstd::stream::read::Decoder::with_buffer(bytes).unwrap().single_frame();
                    decoder.read_to_end(&mut text).unwrap();
                    bytes = decoder.finish();
                }
            }
            found.push(text);
        }
        found
    }

    #[test]
    fn members_are_whole_and_end_where_a_piece_ends() {
        let line = |i: u32| format!("{i},{}\n", i.wrapping_mul(2_654_435_761)).into_bytes();
        let piece: Vec<u8> = (0..300_000).flat_map(line).collect();
        let pieces = vec![piece.clone(); 5];
        let per_member = usize::try_from(MEMBER).unwrap().div_ceil(piece.len());
        assert!((2..5).contains(&per_member), "{per_member}");
        for compression in [Compression::Gzip, Compression::Zstd] {
            let bytes = compressed(compression, &pieces);
            assert_eq!(bytes, compressed(compression, &pieces));
            assert!(bytes.len() * 2 < piece.len() * 5);
            let found = members(compression, &bytes);
            assert_eq!(found.len(), 5_usize.div_ceil(per_member), "{compression:?}");
            assert_eq!(found[0].len(), per_member * piece.len());
            assert_eq!(found.concat(), pieces.concat());
        }
    }

    #[test]
    fn names_read_back_and_what_is_not_compressed_has_no_compressor() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(compression.as_str().parse::<Compression>().unwrap(), compression);
        }
        assert!("lz4".parse::<Compression>().is_err());
        assert!(Compressor::new(Compression::None).is_none());
    }
}
