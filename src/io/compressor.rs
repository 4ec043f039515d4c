//! The compressors of Cassandra, of SSTables and of the commit log, as far as reading goes.
//!
//! | compressor | payload of a chunk |
//! |---|---|
//! | LZ4Compressor | u32 *little-endian* uncompressed length, then one raw LZ4 block |
//! | SnappyCompressor | one raw Snappy block |
//! | DeflateCompressor | a zlib stream |
//! | ZstdCompressor, ZstdDictionaryCompressor | a Zstd frame |
//! | NoopCompressor | the bytes themselves |

use std::sync::Arc;

use crate::error::DecodeErrorKind;

/// A Zstd dictionary (`CompressionDictionary`, after 5.0).
#[derive(Debug)]
pub struct Dictionary {
    /// Its id.
    pub id: i64,
    /// The dictionary in Zstd's form.
    pub bytes: Vec<u8>,
}

/// A compressor that this program reads (`ICompressor`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressor {
    /// `LZ4Compressor`, the default.
    Lz4,
    /// `SnappyCompressor`.
    Snappy,
    /// `DeflateCompressor`.
    Deflate,
    /// `ZstdCompressor`, 4.0 and later.
    Zstd,
    /// `ZstdDictionaryCompressor`, after 5.0.
    ZstdDictionary,
    /// `NoopCompressor`, 4.0 and later: checksums only.
    Noop,
}

impl Compressor {
    /// The compressor of this class, with or without its package.
    pub fn parse(class: &str) -> Result<Self, DecodeErrorKind> {
        Ok(match class.rsplit('.').next().unwrap_or(class) {
            "LZ4Compressor" => Self::Lz4,
            "SnappyCompressor" => Self::Snappy,
            "DeflateCompressor" => Self::Deflate,
            "ZstdCompressor" => Self::Zstd,
            "ZstdDictionaryCompressor" => Self::ZstdDictionary,
            "NoopCompressor" => Self::Noop,
            // `EncryptingLZ4Compressor` and the like, of DataStax Enterprise.
            name if name.to_ascii_lowercase().contains("encrypt") => {
                return Err(DecodeErrorKind::Unsupported(format!(
                    "encrypted by the class {class:?} of a fork of Cassandra, which alone reads it: have it rewrite the table without \
                     encryption (ALTER TABLE, then nodetool upgradesstables -a)"
                )));
            }
            _ => {
                return Err(DecodeErrorKind::Unsupported(format!(
                    "compressed by the class {class:?}, which is not one of Cassandra's own compressors"
                )));
            }
        })
    }

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "LZ4",
            Self::Snappy => "Snappy",
            Self::Deflate => "Deflate",
            Self::Zstd => "Zstd",
            Self::ZstdDictionary => "Zstd with dictionary",
            Self::Noop => "Noop",
        }
    }
}

/// Decompressors that keep their memory from chunk to chunk; each is made when first needed.
#[derive(Default)]
pub struct Decompressors {
    snappy: snap::raw::Decoder,
    deflate: Option<flate2::Decompress>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// What `zstd` was last prepared with.
    dictionary: Option<Arc<Dictionary>>,
}

impl std::fmt::Debug for Decompressors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressors").finish_non_exhaustive()
    }
}

impl Decompressors {
    /// Decompresses `payload`, which must give exactly `expected` bytes, into the beginning of `out`. What lies behind
    /// them in `out` may be overwritten; the fast copies of LZ4 use it.
    pub fn decompress(
        &mut self,
        compressor: Compressor,
        dictionary: Option<&Arc<Dictionary>>,
        payload: &[u8],
        expected: usize,
        out: &mut [u8],
    ) -> Result<(), DecodeErrorKind> {
        if out.len() < expected {
            return Err(DecodeErrorKind::Decompress {
                reason: format!("the buffer has {} bytes, {expected} are needed", out.len()),
            });
        }
        let found = match compressor {
            Compressor::Lz4 => lz4(payload, expected, out)?,
            Compressor::Snappy => self.snappy.decompress(payload, out).map_err(|e| failed(&e))?,
            Compressor::Deflate => self.deflate(payload, expected, out)?,
            Compressor::Zstd => self.zstd(None, payload, expected, out)?,
            Compressor::ZstdDictionary => self.zstd(dictionary, payload, expected, out)?,
            Compressor::Noop => {
                if let Some(place) = out.get_mut(..payload.len()) {
                    place.copy_from_slice(payload);
                }
                payload.len()
            }
        };
        if found != expected {
            return Err(DecodeErrorKind::Mismatch {
                what: "uncompressed length of the chunk",
                found: found as u64,
                expected: expected as u64,
            });
        }
        Ok(())
    }

    fn deflate(
        &mut self,
        payload: &[u8],
        expected: usize,
        out: &mut [u8],
    ) -> Result<usize, DecodeErrorKind> {
        let inflate = self.deflate.get_or_insert_with(|| flate2::Decompress::new(true));
        inflate.reset(true);
        let out = out.get_mut(..expected).unwrap_or_default();
        let status = inflate
            .decompress(payload, out, flate2::FlushDecompress::Finish)
            .map_err(|e| failed(&e))?;
        match status {
            flate2::Status::StreamEnd => {
                Ok(usize::try_from(inflate.total_out()).unwrap_or(usize::MAX))
            }
            flate2::Status::Ok | flate2::Status::BufError => Err(DecodeErrorKind::Decompress {
                reason: format!(
                    "the stream goes on after {} of {} bytes, or gives more than {expected}",
                    inflate.total_in(),
                    payload.len()
                ),
            }),
        }
    }

    fn zstd(
        &mut self,
        dictionary: Option<&Arc<Dictionary>>,
        payload: &[u8],
        expected: usize,
        out: &mut [u8],
    ) -> Result<usize, DecodeErrorKind> {
        let same = match (&self.dictionary, dictionary) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, Some(_)) | (Some(_), None) => false,
        };
        let decompressor = match &mut self.zstd {
            Some(decompressor) if same => decompressor,
            other => {
                let bytes = dictionary.map_or(&[][..], |d| d.bytes.as_slice());
                let fresh =
                    zstd::bulk::Decompressor::with_dictionary(bytes).map_err(|e| failed(&e))?;
                self.dictionary = dictionary.cloned();
                other.insert(fresh)
            }
        };
        let out = out.get_mut(..expected).unwrap_or_default();
        decompressor.decompress_to_buffer(payload, out).map_err(|e| failed(&e))
    }
}

fn lz4(payload: &[u8], expected: usize, out: &mut [u8]) -> Result<usize, DecodeErrorKind> {
    let Some((len, block)) = payload.split_first_chunk::<4>() else {
        return Err(DecodeErrorKind::Truncated {
            what: "length before the LZ4 block",
            wanted: 4,
            left: payload.len() as u64,
        });
    };
    let len = u32::from_le_bytes(*len);
    if u64::from(len) != expected as u64 {
        return Err(DecodeErrorKind::Mismatch {
            what: "length before the LZ4 block",
            found: len.into(),
            expected: expected as u64,
        });
    }
    lz4_flex::block::decompress_into(block, out).map_err(|e| failed(&e))
}

#[cold]
fn failed(error: &dyn std::error::Error) -> DecodeErrorKind {
    DecodeErrorKind::Decompress { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_cannot_be_read_are_refused_in_their_own_words() {
        assert_eq!(Compressor::parse("LZ4Compressor").unwrap(), Compressor::Lz4);
        let own = "org.apache.cassandra.io.compress.ZstdCompressor";
        assert_eq!(Compressor::parse(own).unwrap(), Compressor::Zstd);
        for (class, words) in [
            ("EncryptingLZ4Compressor", "have it rewrite the table without encryption"),
            ("com.datastax.bdp.cassandra.crypto.Encryptor", "of a fork of Cassandra"),
            ("com.example.BrotliCompressor", "not one of Cassandra's own"),
        ] {
            let error = Compressor::parse(class).unwrap_err();
            let DecodeErrorKind::Unsupported(text) = &error else { panic!("{error:?}") };
            assert!(text.contains(words) && text.contains(class), "{text}");
        }
    }
}
