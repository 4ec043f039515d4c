//! Encrypted sections (transparent data encryption, 3.4 and later), and the keys to them.
//!
//! ```text
//! section := i32 plain length, chunks up to the section's end
//! chunk   := i32 e, i32 p, e bytes of cipher text; decrypted and without padding p bytes:
//! plain   := i32 u, what LZ4Compressor made of u bytes, whatever compressor is configured
//! ```
//! Every chunk begins anew with the IV of the header and has a padding of its own. Entries go on from chunk to chunk.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};

use super::descriptor::EncryptionParameters;
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, Compressor, Decompressors};

/// What Cassandra configures unless told otherwise, and the only cipher that is read here.
const CIPHER: &str = "AES/CBC/PKCS5Padding";
const BLOCK_LEN: usize = 16;

/// Keys of encrypted segments, by alias.
///
/// A segment names the alias it was written with, so keys of before are needed as long as their segments are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EncryptionKeys {
    /// Aliases in lower case, as a JCEKS store has them.
    keys: BTreeMap<String, Vec<u8>>,
    /// Aliases of keys that are there and could not be opened, with the reason.
    closed: BTreeMap<String, String>,
}

impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

impl EncryptionKeys {
    /// No keys: for segments that are not encrypted.
    pub fn none() -> Self {
        Self::default()
    }

    /// True without keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The aliases there are keys for, in lower case.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Adds the AES key of `alias`, of 16, 24 or 32 bytes.
    pub fn insert(&mut self, alias: &str, key: Vec<u8>) -> Result<()> {
        if ![16, 24, 32].contains(&key.len()) {
            return Err(Error::usage(format!(
                "the key {alias:?} has {} bytes; an AES key has 16, 24 or 32",
                key.len()
            )));
        }
        self.keys.insert(alias.to_lowercase(), key);
        Ok(())
    }

    /// Adds a key as a user writes it: `alias=hexadecimal digits`.
    pub fn insert_hex(&mut self, text: &str) -> Result<()> {
        // An alias may have '=' in it, digits not.
        let Some((alias, digits)) = text.rsplit_once('=') else {
            return Err(Error::usage("an encryption key must be given as ALIAS=HEXADECIMAL"));
        };
        match hex_simd::decode_to_vec(digits.trim()) {
            Ok(key) => self.insert(alias.trim(), key),
            Err(_) => {
                Err(Error::usage(format!("the key {alias:?} is not given in hexadecimal digits")))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn key(&self, alias: &str) -> Option<&[u8]> {
        self.keys.get(alias).map(Vec::as_slice)
    }

    pub(super) fn insert_closed(&mut self, alias: &str, reason: String) {
        self.closed.insert(alias.to_lowercase(), reason);
    }

    /// Takes over all keys of `other`.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.closed.extend(other.closed);
    }

    /// The cipher of a segment with these parameters.
    pub(super) fn cipher(
        &self,
        parameters: &EncryptionParameters,
        path: &Path,
    ) -> Result<ChunkCipher> {
        let EncryptionParameters { cipher, key_alias, iv } = parameters;
        if !cipher.eq_ignore_ascii_case(CIPHER) {
            let words = format!("encrypted with the cipher {cipher:?}; only {CIPHER} is read");
            let kind = DecodeErrorKind::Unsupported(words);
            return Err(DecodeError::new(kind, 14).in_file(path));
        }
        let Ok(iv) = <[u8; BLOCK_LEN]>::try_from(iv.as_slice()) else {
            let words = format!("encIV has {} bytes, AES needs {BLOCK_LEN}", iv.len());
            return Err(DecodeError::invalid(words, 14).in_file(path));
        };
        let alias = key_alias.to_lowercase();
        let Some(key) = self.keys.get(&alias) else {
            if let Some(reason) = self.closed.get(&alias) {
                return Err(Error::Missing {
                    what: format!(
                        "the key {key_alias:?}, with which {} is encrypted, cannot be opened: {reason}",
                        path.display()
                    ),
                    hint: Some(
                        "give key_password of cassandra.yaml, if it is another than that of the store".into(),
                    ),
                });
            }
            return Err(Error::Missing {
                what: format!("no key {key_alias:?}, with which {} is encrypted", path.display()),
                hint: Some(
                    "give the key store of transparent_data_encryption_options in cassandra.yaml, or the key itself"
                        .into(),
                ),
            });
        };
        Ok(ChunkCipher { key: key.clone(), iv })
    }
}

/// Decrypts the chunks of one segment.
pub(super) struct ChunkCipher {
    key: Vec<u8>,
    iv: [u8; BLOCK_LEN],
}

impl fmt::Debug for ChunkCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkCipher").finish_non_exhaustive()
    }
}

fn failed(reason: &str) -> DecodeErrorKind {
    DecodeErrorKind::Decompress { reason: reason.into() }
}

fn decrypt_with<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    bytes: &mut [u8],
) -> Result<usize, DecodeErrorKind> {
    let cipher =
        C::new_from_slices(key, iv).map_err(|_| failed("key or IV of the wrong length"))?;
    let plain = cipher.decrypt_padded::<Pkcs7>(bytes);
    plain.map(<[u8]>::len).map_err(|_| failed("wrong padding: another key, or damaged"))
}

impl ChunkCipher {
    /// Decrypts `bytes` in place; returns how many of them are plain text.
    fn decrypt(&self, bytes: &mut [u8]) -> Result<usize, DecodeErrorKind> {
        match self.key.len() {
            16 => decrypt_with::<cbc::Decryptor<aes::Aes128>>(&self.key, &self.iv, bytes),
            24 => decrypt_with::<cbc::Decryptor<aes::Aes192>>(&self.key, &self.iv, bytes),
            _ => decrypt_with::<cbc::Decryptor<aes::Aes256>>(&self.key, &self.iv, bytes),
        }
    }

    /// Decrypts the chunks in `stored`, which is overwritten, into `out`: `len` bytes in all.
    pub(super) fn decrypt_section(
        &self,
        stored: &mut [u8],
        len: usize,
        decompressors: &mut Decompressors,
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeErrorKind> {
        out.clear();
        let mut rest = stored;
        while !rest.is_empty() {
            let mut r = ByteReader::new(rest);
            let sizes = r.read_u32("chunk").and_then(|e| Ok((e, r.read_u32("chunk")?)));
            let (e, p) = sizes.map_err(|e| e.kind.clone())?;
            let (chunk, behind) = rest
                .split_at_mut_checked(8)
                .and_then(|(_, rest)| rest.split_at_mut_checked(usize::try_from(e).ok()?))
                .ok_or_else(|| failed("a chunk ends behind its section"))?;
            rest = behind;
            let plain_len = self.decrypt(chunk)?;
            if plain_len as u64 != u64::from(p) {
                return Err(DecodeErrorKind::Mismatch {
                    what: "length of a decrypted chunk",
                    found: plain_len as u64,
                    expected: p.into(),
                });
            }
            let plain = chunk.get(..plain_len).unwrap_or_default();
            let Some((u, block)) = plain.split_first_chunk::<4>() else {
                return Err(failed("a chunk without its length"));
            };
            let u = usize::try_from(u32::from_be_bytes(*u)).unwrap_or(usize::MAX);
            let start = out.len();
            // The block says its length too; both must be right before memory is taken.
            let said = block.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
            if said.map(u64::from) != Some(u as u64) || u > len - start {
                return Err(failed("the lengths of a chunk contradict each other"));
            }
            out.resize(start + u, 0);
            let space = out.get_mut(start..).unwrap_or_default();
            decompressors.decompress(Compressor::Lz4, None, block, u, space)?;
        }
        if out.len() != len {
            return Err(DecodeErrorKind::Mismatch {
                what: "plain length of the section",
                found: out.len() as u64,
                expected: len as u64,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_given_as_alias_and_digits() {
        let mut keys = EncryptionKeys::none();
        keys.insert_hex("Testing:1=000102030405060708090a0b0c0d0e0f").unwrap();
        keys.insert_hex("a=b = 000102030405060708090a0b0c0d0e0f0001020304050607").unwrap();
        assert_eq!(keys.aliases().collect::<Vec<_>>(), ["a=b", "testing:1"]);
        for wrong in ["abc", "a=00", "a=xy", "a="] {
            assert!(keys.insert_hex(wrong).is_err(), "{wrong}");
        }
        assert!(!format!("{keys:?}").contains("10"), "{keys:?}");
    }

    #[test]
    fn what_cannot_be_decrypted_is_said() {
        let mut keys = EncryptionKeys::none();
        keys.insert("known", vec![7; 16]).unwrap();
        let cipher = |cipher: &str, alias: &str, iv: usize| {
            let parameters = EncryptionParameters {
                cipher: cipher.into(),
                key_alias: alias.into(),
                iv: vec![0; iv],
            };
            keys.cipher(&parameters, Path::new("CommitLog-6-1.log")).map(|_| ())
        };
        assert!(cipher(CIPHER, "KNOWN", 16).is_ok());
        for (found, words) in [
            (cipher("AES/GCM/NoPadding", "known", 16), "AES/GCM/NoPadding"),
            (cipher(CIPHER, "known", 12), "12 bytes"),
            (cipher(CIPHER, "other", 16), "other"),
        ] {
            let error = found.unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
