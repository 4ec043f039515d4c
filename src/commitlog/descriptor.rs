//! The header of a segment (`CommitLogDescriptor`).
//!
//! ```text
//! i32       version
//! i64       segment id
//! u16 n     [version 5 and later]
//! n bytes   JSON object, UTF-8 [version 5 and later]: compressionClass, compressionParameters, encCipher, encKeyAlias, encIV
//! u32       CRC32 of: version (4 bytes), low half of the id (4), high half (4); from version 5 on n as *four* bytes, the JSON
//! ```
//! Where both compression and encryption are named, encryption wins.

use serde::Deserialize;

use crate::error::{DecodeError, DecodeErrorKind};
use crate::io::{ByteReader, Compressor};

/// Version of the log's format; the names are those of the release that brought it (`CommitLogDescriptor.VERSION_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogVersion {
    /// 4: Cassandra 2.1.
    V21,
    /// 5: Cassandra 2.2.
    V22,
    /// 6: Cassandra 3.0 to 3.11.
    V30,
    /// 7: Cassandra 4.0 and 4.1; 5.0 while `storage_compatibility_mode` is `CASSANDRA_4`, its default.
    V40,
    /// 8: Cassandra 5.0 otherwise.
    V50,
}

impl LogVersion {
    /// The version numbered `number`, or words why it is not read.
    pub fn parse(number: u32) -> Result<Self, DecodeErrorKind> {
        Ok(match number {
            4 => Self::V21,
            5 => Self::V22,
            6 => Self::V30,
            7 => Self::V40,
            8 => Self::V50,
            0..=3 => {
                return Err(DecodeErrorKind::Unsupported(format!(
                    "commit log of version {number}, from before Cassandra 2.1"
                )));
            }
            9 => {
                return Err(DecodeErrorKind::Unsupported(
                    "commit log of version 9, from a release after 5.0: builds wrote two forms of it that contradict each other"
                        .into(),
                ));
            }
            _ => {
                return Err(DecodeErrorKind::Unsupported(format!(
                    "commit log of version {number}, from a release after 5.0"
                )));
            }
        })
    }

    /// Its number in files and names.
    pub fn number(self) -> u32 {
        match self {
            Self::V21 => 4,
            Self::V22 => 5,
            Self::V30 => 6,
            Self::V40 => 7,
            Self::V50 => 8,
        }
    }

    /// The header has JSON parameters.
    pub fn has_parameters(self) -> bool {
        self >= Self::V22
    }

    /// Old segments are used again: behind the last section stand bytes of the life before, with good entries among them.
    pub fn is_recycled(self) -> bool {
        self == Self::V21
    }

    /// Mutations are of the storage engine of 3.0 and later: rows, with the names of the columns of each update.
    pub fn has_rows(self) -> bool {
        self >= Self::V30
    }

    /// Local deletion times are unsigned (CASSANDRA-14227).
    pub fn has_uint_deletion_time(self) -> bool {
        self >= Self::V50
    }
}

/// How an encrypted segment is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionParameters {
    /// Java's name of the cipher, such as `AES/CBC/PKCS5Padding`.
    pub cipher: String,
    /// Alias of the key, which may be older than the one configured now.
    pub key_alias: String,
    /// Initialisation vector of every chunk.
    pub iv: Vec<u8>,
}

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitLogDescriptor {
    /// Version of the format.
    pub version: LogVersion,
    /// Id.
    pub id: i64,
    /// Compressor of the sections, if they are compressed and not encrypted.
    pub compressor: Option<Compressor>,
    /// Set if the sections are encrypted.
    pub encryption: Option<EncryptionParameters>,
    /// Length of the header in the file.
    pub header_len: u32,
}

#[derive(Deserialize, Default)]
struct Parameters {
    #[serde(rename = "compressionClass")]
    compression_class: Option<String>,
    #[serde(rename = "encCipher")]
    cipher: Option<String>,
    #[serde(rename = "encKeyAlias")]
    key_alias: Option<String>,
    #[serde(rename = "encIV")]
    iv: Option<String>,
}

/// The longest header: 14 bytes, 65,535 of JSON, the checksum.
pub(super) const MAX_HEADER_LEN: usize = 14 + 65_535 + 4;

/// A CRC32 of numbers as Java's `FBUtilities.updateChecksumInt` adds them.
pub(super) fn crc_of(numbers: &[u32]) -> crc32fast::Hasher {
    let mut crc = crc32fast::Hasher::new();
    for number in numbers {
        crc.update(&number.to_be_bytes());
    }
    crc
}

/// The halves of a segment id, low one first, as the checksums take them.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
pub(super) fn id_halves(id: i64) -> [u32; 2] {
    let id = id.cast_unsigned();
    [id as u32, (id >> 32) as u32]
}

impl CommitLogDescriptor {
    /// Reads the header at the beginning of `bytes`, which are the beginning of the file; none if it is not written yet: the
    /// bytes end before it does, or all that are there are zeros.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut r = ByteReader::new(bytes);
        let Ok(number) = r.read_u32("version") else { return Ok(None) };
        if number == 0 && bytes.iter().take(32).all(|&b| b == 0) {
            return Ok(None);
        }
        let version = LogVersion::parse(number).map_err(|kind| DecodeError::new(kind, 0))?;
        let Ok(id) = r.read_i64("segment id") else { return Ok(None) };
        let [low, high] = id_halves(id);
        let mut crc = crc_of(&[number, low, high]);
        let mut json: &[u8] = &[];
        if version.has_parameters() {
            let Ok(len) = r.read_u16("length of the parameters") else { return Ok(None) };
            let Ok(text) = r.take(len.into(), "parameters") else { return Ok(None) };
            crc.update(&u32::from(len).to_be_bytes());
            crc.update(text);
            json = text;
        }
        let at = r.position() as u64;
        let Ok(expected) = r.read_u32("checksum of the header") else { return Ok(None) };
        let found = crc.finalize();
        if found != expected {
            let kind = DecodeErrorKind::Checksum { what: "header of the segment", found, expected };
            return Err(DecodeError::new(kind, at));
        }
        let parameters = if version.has_parameters() {
            serde_json::from_slice(json).map_err(|e| {
                DecodeError::invalid(format!("parameters of the segment are not readable: {e}"), 14)
            })?
        } else {
            Parameters::default()
        };
        let header_len = u32::try_from(r.position()).unwrap_or(u32::MAX);
        let (compressor, encryption) = parameters.resolve()?;
        Ok(Some(Self { version, id, compressor, encryption, header_len }))
    }
}

impl Parameters {
    fn resolve(self) -> Result<(Option<Compressor>, Option<EncryptionParameters>), DecodeError> {
        match (self.cipher, self.key_alias, self.iv) {
            (Some(cipher), Some(key_alias), Some(iv)) => {
                let iv = hex_simd::decode_to_vec(&iv).map_err(|_| {
                    DecodeError::invalid(format!("encIV is not hexadecimal: {iv:?}"), 14)
                })?;
                Ok((None, Some(EncryptionParameters { cipher, key_alias, iv })))
            }
            (None, None, None) => {
                let class = self.compression_class.filter(|class| !class.is_empty());
                let compressor = class.map(|class| Compressor::parse(&class)).transpose();
                Ok((compressor.map_err(|kind| DecodeError::new(kind, 14))?, None))
            }
            _ => Err(DecodeError::invalid(
                "the segment is encrypted, but encCipher, encKeyAlias and encIV are not all there",
                14,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commitlog::encoder::header;

    fn hex(text: &str) -> Vec<u8> {
        hex_simd::decode_to_vec(text.replace(' ', "")).unwrap()
    }

    #[test]
    fn headers_of_real_segments() {
        let of_40 = hex("00000007 0000018ba54ead1c 0002 7b7d 943080a5 000001d3 1e5c81d1");
        let descriptor = CommitLogDescriptor::read(&of_40).unwrap().unwrap();
        let expected = CommitLogDescriptor {
            version: LogVersion::V40,
            id: 1_699_285_478_684,
            compressor: None,
            encryption: None,
            header_len: 20,
        };
        assert_eq!(descriptor, expected);
        let of_22 = hex("00000005 0000014eda9d3f52 0002 7b7d 0e98d669");
        assert_eq!(CommitLogDescriptor::read(&of_22).unwrap().unwrap().id, 1_438_186_815_314);
        let of_30 = hex("00000006 0000018ba53ff954 0002 7b7d 195f6795");
        assert_eq!(CommitLogDescriptor::read(&of_30).unwrap().unwrap().version, LogVersion::V30);
    }

    #[test]
    fn a_header_that_is_not_all_there_is_none_yet() {
        for version in [LogVersion::V21, LogVersion::V30] {
            let bytes = header(version, 42, "{}");
            for len in 0..bytes.len() {
                assert_eq!(CommitLogDescriptor::read(&bytes[..len]).unwrap(), None, "{len}");
            }
            assert!(CommitLogDescriptor::read(&bytes).unwrap().is_some());
        }
        assert_eq!(CommitLogDescriptor::read(&[0; 4096]).unwrap(), None);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let json = r#"{"compressionClass":"LZ4Compressor","compressionParameters":null}"#;
        for (version, json) in [(LogVersion::V21, ""), (LogVersion::V22, json)] {
            let bytes = header(version, 42, json);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                // A length that leads behind the end: not there yet.
                if let Ok(Some(found)) = CommitLogDescriptor::read(&bytes) {
                    panic!("bit {bit}: {found:?}");
                }
            }
        }
    }

    #[test]
    fn parameters_name_compressor_or_cipher() {
        let read = |json: &str| CommitLogDescriptor::read(&header(LogVersion::V40, 1, json));
        let lz4 = r#"{"compressionClass":"org.apache.cassandra.io.compress.LZ4Compressor","compressionParameters":{}}"#;
        assert_eq!(read(lz4).unwrap().unwrap().compressor, Some(Compressor::Lz4));
        let both = r#"{"compressionClass":"LZ4Compressor","encCipher":"AES\/CBC\/PKCS5Padding","encIV":"00ff","encKeyAlias":"a:1"}"#;
        let descriptor = read(both).unwrap().unwrap();
        assert_eq!(descriptor.compressor, None);
        let expected = EncryptionParameters {
            cipher: "AES/CBC/PKCS5Padding".into(),
            key_alias: "a:1".into(),
            iv: vec![0, 255],
        };
        assert_eq!(descriptor.encryption, Some(expected));
        for (json, words) in [
            (r#"{"encCipher":"AES/CBC/PKCS5Padding"}"#, "not all there"),
            (r#"{"encCipher":"A","encIV":"xx","encKeyAlias":"a"}"#, "hexadecimal"),
            (r#"{"compressionClass":"com.example.Own"}"#, "com.example.Own"),
            ("[]", "not readable"),
            ("", "not readable"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn other_versions_are_refused_in_words() {
        for (number, words) in [(3, "before Cassandra 2.1"), (9, "contradict"), (10, "after 5.0")] {
            let mut bytes = header(LogVersion::V50, 1, "{}");
            bytes[3] = number;
            let error = CommitLogDescriptor::read(&bytes).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
