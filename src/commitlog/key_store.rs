//! JCEKS key stores: where `JKSKeyProvider` keeps the keys of transparent data encryption.
//!
//! ```text
//! u32 cececece, i32 version 2, i32 n, n × entry, SHA-1 of: password as UTF-16BE, "Mighty Aphrodite", all bytes before
//! entry   := i32 tag, utf16len alias, i64 created (ms), then
//!            tag 1 (private key): bytes32, i32 n, n × certificate
//!            tag 2 (certificate): certificate
//!            tag 3 (secret key):  a serialized SealedObjectForKeyProtector: encodedParams, encryptedContent, paramsAlg, sealAlg
//! certificate := utf16len type, bytes32
//! encodedParams := DER SEQUENCE { OCTET STRING salt (8 bytes), INTEGER iterations }
//! ```
//! `PBEWithMD5AndTripleDES`: for each half of the salt MD5(value, password) is applied to it as often as `iterations` says; the
//! first 24 of the 32 bytes are the key of 3DES in CBC mode, the other 8 the IV. Inside is a serialized `SecretKeySpec`.

use std::path::Path;

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::{Digest, Md5};
use sha1::Sha1;

use super::encryption::EncryptionKeys;
use super::java_object::{JavaValue, read_java_object};
use crate::error::{DecodeError, DecodeErrorKind, Error, Result};
use crate::io::{ByteReader, InputFile};

const JCEKS: u32 = 0xcece_cece;
const JKS: u32 = 0xfeed_feed;
const DIGEST_LEN: usize = 20;
const SALT_LEN: usize = 8;
const MAX_LEN: u64 = 16 << 20;
/// What Java itself refuses to go beyond (`jdk.jceks.iterationCount`).
const MAX_ITERATIONS: u64 = 5_000_000;

impl EncryptionKeys {
    /// The AES keys in the JCEKS key store at `path`. `key_password`: that of the keys; none if it is the store's, as
    /// `JKSKeyProvider` takes it.
    ///
    /// Entries that are no AES keys are passed over; one that cannot be opened is an error of the segment that needs it. Other
    /// kinds of stores are refused.
    pub fn from_jceks(path: &Path, password: &str, key_password: Option<&str>) -> Result<Self> {
        let bytes = InputFile::read_all(path, MAX_LEN)?;
        let wrong_password = || Error::Usage {
            what: format!("the password of the key store {} is wrong", path.display()),
            hint: Some("it is keystore_password in cassandra.yaml; or the file is damaged".into()),
        };
        check_kind(&bytes).map_err(|e| e.in_file(path))?;
        let Some((content, digest)) = bytes.split_last_chunk::<DIGEST_LEN>() else {
            return Err(wrong_password());
        };
        let mut sha = Sha1::new();
        password.encode_utf16().for_each(|unit| sha.update(unit.to_be_bytes()));
        sha.update(b"Mighty Aphrodite");
        sha.update(content);
        if sha.finalize().as_slice() != digest {
            return Err(wrong_password());
        }
        let sealed = read_entries(content).map_err(|e| e.in_file(path))?;
        let mut keys = Self::none();
        for (alias, sealed) in sealed {
            match sealed.open(key_password.unwrap_or(password)) {
                Ok(Some(key)) => keys.insert(&alias, key)?,
                Ok(None) => {}
                // Keys of other uses may have other passwords; it matters only if a segment needs this one.
                Err(error) => keys.insert_closed(&alias, error.to_string()),
            }
        }
        Ok(keys)
    }
}

fn check_kind(bytes: &[u8]) -> Result<(), DecodeError> {
    let mut r = ByteReader::new(bytes);
    let magic = r.read_u32("key store")?;
    let version = r.read_u32("version of the key store")?;
    let words = match magic {
        JCEKS if version == 2 => return Ok(()),
        JCEKS => format!("JCEKS key store of version {version}"),
        JKS => "JKS key store, which cannot hold the keys of encrypted commit logs".into(),
        _ => {
            "not a JCEKS key store; convert it by keytool -importkeystore -deststoretype JCEKS, or give the key itself"
                .into()
        }
    };
    Err(DecodeError::new(DecodeErrorKind::Unsupported(words), 0))
}

/// A secret key as it stands in the store.
struct Sealed {
    parameters: Vec<u8>,
    content: Vec<u8>,
    algorithm: String,
    /// Where it was found.
    at: u64,
}

fn read_entries(content: &[u8]) -> Result<Vec<(String, Sealed)>, DecodeError> {
    let mut r = ByteReader::new(content);
    r.skip(8, "key store")?;
    let mut sealed = Vec::new();
    for _ in 0..r.read_u32("number of entries")? {
        let tag = r.read_u32("entry")?;
        let alias = r.read_utf16len("alias")?.to_owned();
        r.skip(8, "time of an entry")?;
        match tag {
            1 => {
                r.read_bytes32("private key")?;
                for _ in 0..r.read_u32("number of certificates")? {
                    skip_certificate(&mut r)?;
                }
            }
            2 => skip_certificate(&mut r)?,
            3 => {
                let at = r.position() as u64;
                let object = read_java_object(&mut r)?;
                sealed.push((alias, Sealed::from_object(object, at)?));
            }
            _ => {
                let kind =
                    DecodeErrorKind::InvalidTag { what: "kind of an entry", value: tag.into() };
                return Err(r.error(kind));
            }
        }
    }
    r.finish("key store")?;
    Ok(sealed)
}

fn skip_certificate(r: &mut ByteReader<'_>) -> Result<(), DecodeError> {
    r.read_utf16len("kind of a certificate")?;
    r.read_bytes32("certificate").map(|_| ())
}

impl Sealed {
    fn from_object(object: JavaValue, at: u64) -> Result<Self, DecodeError> {
        let incomplete = || DecodeError::invalid("a secret key without its parts", at);
        let JavaValue::Object(mut fields) = object else { return Err(incomplete()) };
        let mut take = |name: &str| fields.remove(name);
        match (take("encodedParams"), take("encryptedContent"), take("sealAlg")) {
            (
                Some(JavaValue::Bytes(parameters)),
                Some(JavaValue::Bytes(content)),
                Some(JavaValue::Text(algorithm)),
            ) => Ok(Self { parameters, content, algorithm, at }),
            _ => Err(incomplete()),
        }
    }

    /// The key, if it is one of AES.
    fn open(&self, password: &str) -> Result<Option<Vec<u8>>, DecodeError> {
        if !self.algorithm.eq_ignore_ascii_case("PBEWithMD5AndTripleDES") {
            let words = format!("a key sealed by {}, which is not read here", self.algorithm);
            return Err(DecodeError::new(DecodeErrorKind::Unsupported(words), self.at));
        }
        let (salt, iterations) = read_parameters(&self.parameters).map_err(|e| e.at(self.at))?;
        let mut derived = [0; 32];
        for (half, out) in salt_halves(salt).into_iter().zip(derived.chunks_exact_mut(16)) {
            out.copy_from_slice(&digest_often(&half, password.as_bytes(), iterations));
        }
        let (key, iv) = derived.split_at(24);
        let failed = || DecodeError::invalid("the password of the key is wrong", self.at);
        let cipher = cbc::Decryptor::<des::TdesEde3>::new_from_slices(key, iv);
        let mut content = self.content.clone();
        let cipher = cipher.map_err(|_| failed())?;
        let plain = cipher.decrypt_padded::<Pkcs7>(&mut content).map_err(|_| failed())?;
        let object = read_java_object(&mut ByteReader::new(plain)).map_err(|_| failed())?;
        let JavaValue::Object(mut fields) = object else { return Err(failed()) };
        let is_aes = matches!(
            fields.get("algorithm"),
            Some(JavaValue::Text(name)) if name.eq_ignore_ascii_case("AES")
        );
        // `SecretKeySpec` has `key`, `KeyRep` has `encoded`.
        match fields.remove("key").or_else(|| fields.remove("encoded")) {
            Some(JavaValue::Bytes(key)) => Ok(is_aes.then_some(key)),
            _ => Err(failed()),
        }
    }
}

/// MD5 of the value and the password, applied again and again.
fn digest_often(value: &[u8], password: &[u8], iterations: u64) -> [u8; 16] {
    let once = |value: &[u8]| -> [u8; 16] {
        let mut md5 = Md5::new();
        md5.update(value);
        md5.update(password);
        md5.finalize().into()
    };
    let mut found = once(value);
    for _ in 1..iterations {
        found = once(&found);
    }
    found
}

/// The halves of the salt; where they are equal, the first is changed as Java changes it, which means to reverse it and does
/// not (`PBES1Core.deriveCipherKey`).
fn salt_halves(salt: [u8; SALT_LEN]) -> [[u8; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = salt;
    let second = [e, f, g, h];
    if [a, b, c, d] == second { [[d, a, b, d], second] } else { [[a, b, c, d], second] }
}

fn read_parameters(der: &[u8]) -> Result<([u8; SALT_LEN], u64), DecodeError> {
    let mut r = ByteReader::new(der);
    let mut r = ByteReader::new(der_value(&mut r, 0x30)?);
    let salt = der_value(&mut r, 0x04)?;
    let Ok(salt) = <[u8; SALT_LEN]>::try_from(salt) else {
        return Err(r.invalid(format!("a salt of {} bytes", salt.len())));
    };
    let number = der_value(&mut r, 0x02)?;
    let iterations = if number.len() > 8 {
        u64::MAX
    } else {
        number.iter().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte))
    };
    if iterations == 0 || iterations > MAX_ITERATIONS {
        return Err(r.error(DecodeErrorKind::Limit {
            what: "number of iterations of a key store",
            found: iterations,
            limit: MAX_ITERATIONS,
        }));
    }
    Ok((salt, iterations))
}

/// The content of the DER element with `tag` at the cursor.
fn der_value<'a>(r: &mut ByteReader<'a>, tag: u8) -> Result<&'a [u8], DecodeError> {
    let found = r.read_u8("DER")?;
    // Everything here is shorter than 128 bytes, which is the short form of a length.
    let len = r.read_u8("DER")?;
    if found != tag || len >= 0x80 {
        return Err(r.invalid("the parameters of a key are not what Java writes"));
    }
    r.take(len.into(), "DER")
}

#[cfg(test)]
#[path = "key_store_tests.rs"]
mod tests;
