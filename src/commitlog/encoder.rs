//! An encoder of segments after the description of the format, for tests. It shares no code with the reader.

use super::LogVersion;
use crate::io::Compressor;

/// How the sections of a test segment are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Compressed(Compressor),
    /// Encrypted with AES-128 in chunks of so many plain bytes.
    Encrypted {
        key: [u8; 16],
        iv: [u8; 16],
        chunk: usize,
    },
}

fn crc(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Low half of the id, then the high half.
fn swapped(id: i64) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h] = id.to_be_bytes();
    [e, f, g, h, a, b, c, d]
}

/// The header of a segment.
pub(super) fn header(version: LogVersion, id: i64, json: &str) -> Vec<u8> {
    let mut out = version.number().to_be_bytes().to_vec();
    out.extend(id.to_be_bytes());
    let mut parts = vec![version.number().to_be_bytes().to_vec(), swapped(id).to_vec()];
    if version != LogVersion::V21 {
        out.extend(u16::try_from(json.len()).unwrap().to_be_bytes());
        out.extend(json.as_bytes());
        parts.push(u32::try_from(json.len()).unwrap().to_be_bytes().to_vec());
        parts.push(json.as_bytes().to_vec());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    out.extend(crc(&parts).to_be_bytes());
    out
}

/// An entry of a section.
pub(super) fn entry(payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = len.to_vec();
    out.extend(crc(&[&len]).to_be_bytes());
    out.extend(payload);
    out.extend(crc(&[&len, payload]).to_be_bytes());
    out
}

/// What `LZ4Compressor` writes.
fn lz4(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(bytes)
}

fn compress(compressor: Compressor, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    match compressor {
        Compressor::Lz4 => lz4(bytes),
        Compressor::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        Compressor::Deflate => {
            let mut encoder =
                flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compressor::Zstd => zstd::bulk::compress(bytes, 3).unwrap(),
        Compressor::Noop => bytes.to_vec(),
        Compressor::ZstdDictionary => unreachable!("not for commit logs"),
    }
}

/// A segment that is being written, section by section.
#[derive(Debug, Clone)]
pub(super) struct SegmentWriter {
    pub(super) bytes: Vec<u8>,
    id: i64,
    packing: Packing,
    /// Where the next marker is as positions count.
    pub(super) logical: usize,
    /// Position and payload of each entry.
    pub(super) entries: Vec<(usize, Vec<u8>)>,
}

impl SegmentWriter {
    pub(super) fn new(version: LogVersion, id: i64, packing: Packing) -> Self {
        let json = match &packing {
            Packing::Plain => "{}".to_owned(),
            Packing::Compressed(compressor) => {
                let name = match compressor {
                    Compressor::Lz4 => "LZ4".to_owned(),
                    other => format!("{other:?}"),
                };
                format!(r#"{{"compressionClass":"{name}Compressor","compressionParameters":{{}}}}"#)
            }
            Packing::Encrypted { iv, .. } => format!(
                r#"{{"encCipher":"AES\/CBC\/PKCS5Padding","encIV":"{}","encKeyAlias":"testing:1"}}"#,
                hex_simd::encode_to_string(iv, hex_simd::AsciiCase::Lower)
            ),
        };
        let bytes = header(version, id, &json);
        let logical = bytes.len();
        Self { bytes, id, packing, logical, entries: Vec::new() }
    }

    /// Appends a section with these mutations.
    pub(super) fn section(&mut self, payloads: &[&[u8]]) {
        let mut plain = Vec::new();
        for payload in payloads {
            plain.extend(entry(payload));
            self.entries.push((self.logical + 8 + plain.len(), payload.to_vec()));
        }
        self.raw_section(&plain);
    }

    /// Appends a section with these bytes for entries.
    pub(super) fn raw_section(&mut self, plain: &[u8]) {
        let len = u32::try_from(plain.len()).unwrap().to_be_bytes();
        let body = match &self.packing {
            Packing::Plain => plain.to_vec(),
            Packing::Compressed(compressor) => [&len[..], &compress(*compressor, plain)].concat(),
            Packing::Encrypted { key, iv, chunk } => {
                use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7};
                let mut out = len.to_vec();
                for part in plain.chunks(*chunk) {
                    let mut text = u32::try_from(part.len()).unwrap().to_be_bytes().to_vec();
                    text.extend(lz4(part));
                    let cipher = cbc::Encryptor::<aes::Aes128>::new(key.into(), iv.into());
                    let encrypted = cipher.encrypt_padded_vec::<Pkcs7>(&text);
                    out.extend(u32::try_from(encrypted.len()).unwrap().to_be_bytes());
                    out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                    out.extend(encrypted);
                }
                out
            }
        };
        let at = self.bytes.len();
        let end = u32::try_from(at + 8 + body.len()).unwrap();
        self.bytes.extend(end.to_be_bytes());
        self.bytes.extend(self.marker_crc(at));
        self.bytes.extend(body);
        self.logical += 8 + plain.len();
    }

    /// The checksum of a marker at `at`.
    pub(super) fn marker_crc(&self, at: usize) -> [u8; 4] {
        crc(&[&swapped(self.id), &u32::try_from(at).unwrap().to_be_bytes()]).to_be_bytes()
    }
}
