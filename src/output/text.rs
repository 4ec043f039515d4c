//! Pieces of text that are the same in every profile: uuid, inet, hexadecimal, and the look at 32 bytes of text at a time.

use hex_simd::{AsOut, AsciiCase};

use super::buffer::TextBuffer;
use super::numbers::put_u64;
use super::scalar::{Cause, Written};

/// A value, and 32 bytes from its first one on where its surroundings have them: short text is looked at and copied
/// as one chunk of constant size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) window: Option<&'a [u8; 32]>,
}

impl<'a> Piece<'a> {
    /// A value without surroundings.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, window: bytes.first_chunk() }
    }

    /// The first `len` bytes of `rest`.
    #[inline]
    pub(super) fn within(rest: &'a [u8], len: usize) -> Self {
        Self { bytes: rest.get(..len).unwrap_or_default(), window: rest.first_chunk() }
    }

    /// The window, if it holds all of the value and none of these bytes.
    #[inline(always)]
    pub(super) fn plain_chunk<S: Special>(&self) -> Option<&'a [u8; 32]> {
        let len = self.bytes.len();
        self.window.filter(|chunk| len <= 32 && !any_in::<S>(chunk, len))
    }
}

/// 32 bytes of ones and 32 of zeros: the 32 from `32 - n` on keep the first `n` bytes of a chunk.
static KEEP: [[u8; 32]; 2] = [[0xff; 32], [0; 32]];

/// A set of bytes that text is searched for, eight at a time.
pub(super) trait Special {
    /// Sets the top bit of each byte of `word` that is in the set. Above the first such byte other bits may be set too.
    ///
    /// Made of sums and not of comparisons, of which a compiler makes vectors today and branches tomorrow.
    fn mark(word: u64) -> u64;
}

const fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// For [`Special::mark`]: the bytes equal to `byte`, if all are ASCII. (Only a zero borrows.)
#[inline(always)]
pub(super) fn equal_to(word: u64, byte: u8) -> u64 {
    (word ^ repeated(byte)).wrapping_sub(repeated(1))
}

/// For [`Special::mark`]: the bytes below `byte`, if all are ASCII.
#[inline(always)]
pub(super) fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(repeated(byte))
}

/// True if one of the first `len` bytes of `chunk` is in the set.
#[inline(always)]
fn any_in<S: Special>(chunk: &[u8; 32], len: usize) -> bool {
    let from = 32_usize.saturating_sub(len);
    let Some(keep) = KEEP.as_flattened().get(from..).and_then(|keep| keep.first_chunk::<32>())
    else {
        return true;
    };
    let words = chunk.as_chunks::<8>().0.iter().zip(keep.as_chunks::<8>().0);
    let marks = words.fold(0, |marks, (word, keep)| {
        // The first byte in the lowest bits: borrows go from there upwards, to what is behind.
        marks | S::mark(u64::from_le_bytes(*word)) & u64::from_le_bytes(*keep)
    });
    marks & repeated(0x80) != 0
}

/// Copies `text` if it has no byte of the set; else leaves `out` as it is and returns false.
#[inline(always)]
pub(super) fn copy_unless<S: Special>(out: &mut TextBuffer, text: Piece<'_>) -> bool {
    let len = text.bytes.len();
    if len > 32 {
        return copy_long_unless::<S>(out, text.bytes);
    }
    let Some(chunk) = text.window else {
        return copy_last_unless::<S>(out, text.bytes);
    };
    if any_in::<S>(chunk, len) {
        return false;
    }
    out.chunk(chunk, len);
    true
}

/// For short text at the very end of its surroundings.
#[cold]
fn copy_last_unless<S: Special>(out: &mut TextBuffer, bytes: &[u8]) -> bool {
    if bytes.iter().any(|&b| S::mark(u64::from(b) | repeated(b'a') << 8) & 0x80 != 0) {
        return false;
    }
    out.slice(bytes);
    true
}

#[inline]
fn copy_long_unless<S: Special>(out: &mut TextBuffer, bytes: &[u8]) -> bool {
    let (chunks, _) = bytes.as_chunks::<32>();
    if chunks.iter().chain(bytes.last_chunk()).any(|chunk| any_in::<S>(chunk, 32)) {
        return false;
    }
    out.slice(bytes);
    true
}

/// True if no byte has its top bit set. (`is_ascii` of the standard library takes three times as long for 100 to 250
/// bytes, which is where most text is.)
#[inline]
pub(super) fn all_ascii(bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<32>();
    let in_chunks = chunks.iter().fold([0_u64; 4], |mut seen, chunk| {
        for (seen, word) in seen.iter_mut().zip(chunk.as_chunks::<8>().0) {
            *seen |= u64::from_le_bytes(*word);
        }
        seen
    });
    let in_rest = rest.iter().fold(0, |seen, &byte| seen | byte);
    in_chunks.iter().fold(u64::from(in_rest), |seen, word| seen | word) & repeated(0x80) == 0
}

/// `bytes` as text; a value of a text type that is none is refused.
pub(super) fn valid_text(bytes: &[u8], ascii: bool) -> Result<&str, Cause> {
    if ascii && !bytes.is_ascii() {
        return Err(Cause::new("ascii with a byte over 0x7f"));
    }
    std::str::from_utf8(bytes).map_err(|e| {
        Cause::new(format!("text that is not UTF-8 from its byte {} on", e.valid_up_to()))
    })
}

#[inline(always)]
fn hex_digit(nibble: u8) -> u8 {
    nibble + b'0' + (u8::from(nibble > 9).wrapping_neg() & (b'a' - b'0' - 10))
}

/// What `a` is more than the digit after 9.
const LOWER: u8 = b'a' - b'0' - 10;

/// Four bytes, the first the highest, as eight hexadecimal digits; `letters` is what `a` or `A` is more than the digit
/// after 9.
#[inline]
fn hex_word(value: u32, letters: u8) -> [u8; 8] {
    let spread = |mut v: u64| {
        v = (v | (v << 16)) & 0x0000_ffff_0000_ffff;
        v = (v | (v << 8)) & 0x00ff_00ff_00ff_00ff;
        (v | (v << 4)) & 0x0f0f_0f0f_0f0f_0f0f
    };
    let nibbles = spread(u64::from(value));
    // A one in each byte whose nibble is over 9.
    let over = ((nibbles + repeated(6)) >> 4) & repeated(1);
    (nibbles + repeated(b'0') + over * u64::from(letters)).to_be_bytes()
}

/// Eight upper-case hexadecimal digits.
#[inline]
pub(super) fn upper_hex_word(value: u32) -> [u8; 8] {
    hex_word(value, b'A' - b'0' - 10)
}

/// Sixteen bytes as 32 lower-case digits.
#[inline]
fn hex_of_16(bytes: &[u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (digits, four) in text.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *digits = hex_word(u32::from_be_bytes(*four), LOWER);
    }
    text
}

/// `bytes` in lower-case hexadecimal digits.
#[inline]
pub(super) fn put_hex(out: &mut TextBuffer, bytes: &[u8]) {
    if let Ok(sixteen) = bytes.try_into() {
        out.array(&hex_of_16(sixteen));
        return;
    }
    out.fill(bytes.len() * 2, |place| {
        let written = hex_simd::encode(bytes, place.as_out(), AsciiCase::Lower).len();
        debug_assert_eq!(written, bytes.len() * 2);
    });
}

/// A uuid in lower case.
#[inline]
pub(super) fn put_uuid(out: &mut TextBuffer, uuid: &[u8; 16]) {
    let hex = hex_of_16(uuid);
    let (a, hex) = hex.split_first_chunk::<8>().unwrap_or((&[b'0'; 8], &[]));
    let (b, hex) = hex.split_first_chunk::<4>().unwrap_or((&[b'0'; 4], &[]));
    let (c, hex) = hex.split_first_chunk::<4>().unwrap_or((&[b'0'; 4], &[]));
    let (d, hex) = hex.split_first_chunk::<4>().unwrap_or((&[b'0'; 4], &[]));
    let e = hex.first_chunk::<12>().unwrap_or(&[b'0'; 12]);
    let mut text = [b'-'; 36];
    for (to, from) in [(0, &a[..]), (9, &b[..]), (14, &c[..]), (19, &d[..]), (24, &e[..])] {
        if let Some(place) = text.get_mut(to..).and_then(|rest| rest.get_mut(..from.len())) {
            place.copy_from_slice(from);
        }
    }
    out.array(&text);
}

/// An address as `InetAddress.getHostAddress` writes it: IPv6 in eight groups without `::`, mapped IPv4 as IPv4.
pub(super) fn put_inet(out: &mut TextBuffer, bytes: &[u8]) -> Written {
    let v4 = match bytes {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, v4 @ ..] if v4.len() == 4 => v4,
        other => other,
    };
    match (v4, <[u8; 16]>::try_from(bytes)) {
        (&[a, b, c, d], _) => {
            for (separator, part) in [(None, a), (Some(b'.'), b), (Some(b'.'), c), (Some(b'.'), d)]
            {
                if let Some(separator) = separator {
                    out.byte(separator);
                }
                put_u64(out, u64::from(part));
            }
            Ok(())
        }
        (_, Ok(v6)) => {
            for (i, group) in v6.as_chunks::<2>().0.iter().enumerate() {
                if i > 0 {
                    out.byte(b':');
                }
                let group = u16::from_be_bytes(*group);
                for shift in [12, 8, 4, 0] {
                    if group >> shift != 0 || shift == 0 {
                        let [_, nibble] = ((group >> shift) & 15).to_be_bytes();
                        out.byte(hex_digit(nibble));
                    }
                }
            }
            Ok(())
        }
        _ => Err(Cause::new(format!("an address of {} bytes", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl FnOnce(&mut TextBuffer)) -> String {
        let mut out = TextBuffer::default();
        put(&mut out);
        String::from_utf8(out.take()).unwrap()
    }

    #[test]
    fn hex_and_uuid_have_all_digits_in_lower_case() {
        let bytes: Vec<u8> = (0..=255).collect();
        let all: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(text(|out| put_hex(out, &bytes)), all);
        for start in 0..240 {
            let expected = all.get(2 * start..2 * start + 32).unwrap();
            assert_eq!(text(|out| put_hex(out, &bytes[start..start + 16])), expected);
        }
        assert_eq!(text(|out| put_hex(out, &[])), "");
        let uuid: [u8; 16] = bytes[0xf0..].try_into().unwrap();
        assert_eq!(text(|out| put_uuid(out, &uuid)), "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff");
    }

    #[test]
    fn a_byte_above_ascii_is_seen_wherever_it_is() {
        for len in 0..100 {
            let mut bytes = vec![0x7f; len];
            assert!(all_ascii(&bytes));
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!all_ascii(&bytes), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }

    #[test]
    fn addresses_are_written_as_java_does() {
        let inet = |bytes: &[u8]| text(|out| put_inet(out, bytes).unwrap());
        assert_eq!(inet(&[127, 0, 0, 1]), "127.0.0.1");
        assert_eq!(inet(&[255, 10, 9, 100]), "255.10.9.100");
        let mut v6 = [0; 16];
        v6[15] = 1;
        assert_eq!(inet(&v6), "0:0:0:0:0:0:0:1");
        v6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        v6[14] = 0xab;
        assert_eq!(inet(&v6), "2001:db8:0:0:0:0:0:ab01");
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4];
        assert_eq!(inet(&mapped), "1.2.3.4");
        let mut out = TextBuffer::default();
        assert!(put_inet(&mut out, &[]).is_err());
        assert!(put_inet(&mut out, &[1, 2, 3]).is_err());
        assert!(put_inet(&mut out, &[0; 12]).is_err());
    }

    fn check<S: Special>(contains: fn(u8) -> bool) {
        for b in 0..=255 {
            for at in 0..32 {
                let mut chunk = [b'a'; 32];
                chunk[at] = b;
                assert_eq!(any_in::<S>(&chunk, 32), contains(b), "{b:#x} at {at}");
                assert!(!any_in::<S>(&chunk, at), "{b:#x} behind {at} bytes");
            }
        }
        for len in 0..100 {
            for at in 0..len + 5 {
                let mut data = vec![b'a'; len + 40];
                data[at] = b'"';
                let mut out = TextBuffer::default();
                for piece in [Piece::within(&data, len), Piece::new(&data[..len])] {
                    let copied = copy_unless::<S>(&mut out, piece);
                    assert_eq!(copied, at >= len, "{at} of {len}");
                    assert_eq!(out.take().len(), if copied { len } else { 0 });
                }
            }
        }
    }

    #[test]
    fn a_hit_is_found_at_every_place_and_behind_the_value_it_is_none() {
        check::<super::super::csv::InCsv>(|b| matches!(b, 0x80..|b'"'| b',' | b'\n' | b'\r'));
        check::<super::super::json::InJson>(|b| matches!(b, 0..0x20 | 0x80.. | b'"' | b'\\'));
    }
}
