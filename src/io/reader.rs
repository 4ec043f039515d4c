//! [`ByteReader`]: a cursor over bytes that never panics and never moves on an error.

use crate::error::{DecodeError, DecodeErrorKind};

/// A cursor over a slice. All integers are big-endian, as Cassandra writes them.
///
/// [`ByteReader::take`] is the only place that splits bytes; a failed read leaves the cursor where it was.
#[derive(Debug, Clone)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl<'a> ByteReader<'a> {
    /// A cursor at the start of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, pos: 0 }
    }

    /// A cursor at `pos` of `bytes`; at the end if `pos` lies beyond it.
    #[inline]
    pub fn at(bytes: &'a [u8], pos: usize) -> Self {
        Self { bytes, pos: pos.min(bytes.len()) }
    }

    /// All its bytes, those before the cursor too.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Offset of the next byte.
    #[inline]
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Bytes left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.pos
    }

    /// True at the end.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pos == self.bytes.len()
    }

    /// An error of `kind` at the cursor.
    #[cold]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.pos as u64)
    }

    /// An error in words at the cursor.
    #[cold]
    pub fn invalid(&self, words: impl Into<String>) -> DecodeError {
        DecodeError::invalid(words, self.pos as u64)
    }

    #[cold]
    fn truncated(&self, what: &'static str, wanted: u64) -> DecodeError {
        self.error(DecodeErrorKind::Truncated { what, wanted, left: self.remaining() as u64 })
    }

    /// Takes the next `len` bytes.
    #[inline]
    pub fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.bytes.get(self.pos..).and_then(|rest| rest.get(..len)) {
            Some(piece) => {
                self.pos += len;
                Ok(piece)
            }
            None => Err(self.truncated(what, len as u64)),
        }
    }

    /// Moves on by `len` bytes.
    #[inline]
    pub fn skip(&mut self, len: usize, what: &'static str) -> Result<(), DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(what, len as u64));
        }
        self.pos += len;
        Ok(())
    }

    /// The rest, without moving.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.pos..).unwrap_or_default()
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.pos += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(what, N as u64)),
        }
    }

    /// Reads one byte.
    #[inline]
    pub fn read_u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        match self.bytes.get(self.pos) {
            Some(&b) => {
                self.pos += 1;
                Ok(b)
            }
            None => Err(self.truncated(what, 1)),
        }
    }

    /// Reads a u16.
    #[inline]
    pub fn read_u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array(what)?))
    }

    /// Reads a u32.
    #[inline]
    pub fn read_u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array(what)?))
    }

    /// Reads an i32.
    #[inline]
    pub fn read_i32(&mut self, what: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    /// Reads a u64.
    #[inline]
    pub fn read_u64(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array(what)?))
    }

    /// Reads an i64.
    #[inline]
    pub fn read_i64(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(what)?))
    }

    /// Reads an f64.
    #[inline]
    pub fn read_f64(&mut self, what: &'static str) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array(what)?))
    }

    /// Reads 16 bytes.
    #[inline]
    pub fn read_uuid(&mut self, what: &'static str) -> Result<uuid::Uuid, DecodeError> {
        Ok(uuid::Uuid::from_bytes(self.array(what)?))
    }

    /// Reads an unsigned variable-length integer (`VIntCoding.readUnsignedVInt`): the leading one bits of the first
    /// byte count the bytes that follow.
    #[inline]
    pub fn read_uvint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        match self.bytes.get(self.pos) {
            Some(&b) if b < 0x80 => {
                self.pos += 1;
                Ok(u64::from(b))
            }
            Some(&b) => self.read_uvint_slow(b, what),
            None => Err(self.truncated(what, 1)),
        }
    }

    #[inline]
    fn read_uvint_slow(&mut self, first: u8, what: &'static str) -> Result<u64, DecodeError> {
        let extra = first.leading_ones() as usize;
        let rest = self.bytes.get(self.pos + 1..).unwrap_or_default();
        // One load of eight bytes and a shift, where the slice has them; the last few bytes of a slice go byte by byte.
        let tail = match rest.first_chunk::<8>() {
            Some(chunk) => {
                let loaded = u64::from_be_bytes(*chunk);
                loaded >> (64 - 8 * extra)
            }
            None => {
                let Some(bytes) = rest.get(..extra) else {
                    return Err(self.truncated(what, extra as u64 + 1));
                };
                bytes.iter().fold(0_u64, |value, &b| (value << 8) | u64::from(b))
            }
        };
        self.pos += 1 + extra;
        if extra == 8 {
            return Ok(tail);
        }
        let high = u64::from(first) & (0xff >> extra);
        Ok((high << (8 * extra)) | tail)
    }

    /// Reads a signed variable-length integer: zig-zag over [`ByteReader::read_uvint`] (`VIntCoding.readVInt`).
    #[inline]
    pub fn read_svint(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let raw = self.read_uvint(what)?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// Reads an unsigned variable-length integer that is a length of something in the rest of these bytes.
    #[inline]
    pub fn read_vint_len(&mut self, what: &'static str) -> Result<usize, DecodeError> {
        let start = self.pos;
        let len = self.read_uvint(what)?;
        match usize::try_from(len) {
            Ok(len) if len <= self.remaining() => Ok(len),
            _ => {
                let left = self.remaining() as u64;
                self.pos = start;
                Err(self.error(DecodeErrorKind::Truncated { what, wanted: len, left }))
            }
        }
    }

    /// Reads bytes with a u16 length before them.
    #[inline]
    pub fn read_bytes16(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let start = self.pos;
        let len = usize::from(self.read_u16(what)?);
        self.take(len, what).inspect_err(|_| self.pos = start)
    }

    /// Reads bytes with an i32 length before them; a negative length is an error.
    #[inline]
    pub fn read_bytes32(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let start = self.pos;
        let len = self.read_i32(what)?;
        let Ok(len) = usize::try_from(len) else {
            self.pos = start;
            return Err(self.invalid(format!("{what} has the negative length {len}")));
        };
        self.take(len, what).inspect_err(|_| self.pos = start)
    }

    /// Reads bytes with an unsigned vint length before them.
    #[inline]
    pub fn read_bytesv(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let start = self.pos;
        let len = self.read_vint_len(what).inspect_err(|_| self.pos = start)?;
        self.take(len, what)
    }

    /// Reads text with a u16 length before it. (Java's modified UTF-8; the strings Cassandra writes so are ASCII.)
    pub fn read_utf16len(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let start = self.pos;
        let bytes = self.read_bytes16(what)?;
        std::str::from_utf8(bytes).map_err(|_| {
            self.pos = start;
            self.error(DecodeErrorKind::Utf8 { what })
        })
    }

    /// Fails unless everything was consumed.
    pub fn finish(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(self.error(DecodeErrorKind::Mismatch {
            what,
            found: self.bytes.len() as u64,
            expected: self.pos as u64,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(value: u64) -> Vec<u8> {
        let bits = 64 - (value | 1).leading_zeros() as usize;
        let extra = if bits > 56 { 8 } else { bits.saturating_sub(1) / 7 };
        if extra == 8 {
            let mut out = vec![0xff];
            out.extend_from_slice(&value.to_be_bytes());
            return out;
        }
        let mut out = value.to_be_bytes()[7 - extra..].to_vec();
        out[0] |= !(0xff_u8 >> extra);
        out
    }

    #[test]
    fn vints_around_every_power_of_two_read_back_at_every_distance_from_the_end() {
        for shift in 0..64 {
            for delta in [-1_i64, 0, 1] {
                let value = (1_u64 << shift).wrapping_add_signed(delta);
                for slack in [0, 3, 9] {
                    let mut bytes = encode(value);
                    let len = bytes.len();
                    bytes.resize(len + slack, 0xaa);
                    let mut r = ByteReader::new(&bytes);
                    assert_eq!(
                        r.read_uvint("v"),
                        Ok(value),
                        "{value:#x} with {slack} bytes behind"
                    );
                    assert_eq!(r.position(), len);
                }
            }
        }
    }

    #[test]
    fn signed_vints_are_zig_zag() {
        for (raw, value) in
            [(0, 0), (1, -1), (2, 1), (3, -2), (u64::MAX, i64::MIN), (u64::MAX - 1, i64::MAX)]
        {
            assert_eq!(ByteReader::new(&encode(raw)).read_svint("v"), Ok(value));
        }
    }

    #[test]
    fn a_failed_read_leaves_the_cursor_where_it_was() {
        let bytes = [0xf0, 1, 2];
        let mut r = ByteReader::new(&bytes);
        assert!(r.read_uvint("v").is_err());
        assert_eq!(r.position(), 0);
        assert!(r.read_u32("v").is_err());
        assert!(r.read_bytes16("v").is_err());
        assert!(r.read_bytes32("v").is_err());
        assert!(r.read_bytesv("v").is_err());
        assert!(r.take(4, "v").is_err());
        assert_eq!(r.position(), 0);
        assert_eq!(r.take(3, "v").unwrap(), &bytes);
        assert!(r.finish("v").is_ok());
    }

    #[test]
    fn a_length_of_the_maximum_is_an_error_and_not_an_allocation() {
        let mut r = ByteReader::new(&[0xff; 12]);
        assert!(r.read_bytesv("v").is_err());
        let mut r = ByteReader::new(&[0x7f, 0xff, 0xff, 0xff, 0]);
        assert!(r.read_bytes32("v").is_err());
    }
}
