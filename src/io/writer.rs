//! Variable-length integers, written.

/// Appends an unsigned variable-length integer (`VIntCoding.writeUnsignedVInt`).
pub fn put_uvint(out: &mut Vec<u8>, value: u64) {
    let bits = 64 - value.leading_zeros();
    let extra = bits.saturating_sub(1) / 7;
    if extra >= 8 {
        out.push(0xff);
        out.extend_from_slice(&value.to_be_bytes());
        return;
    }
    let lead = !(0xff_u64 >> extra) & 0xff;
    let word = value | lead << (8 * extra);
    out.extend(word.to_be_bytes().iter().skip(7 - extra as usize));
}

/// Appends a signed variable-length integer: zig-zag over [`put_uvint`] (`VIntCoding.writeVInt`).
pub fn put_svint(out: &mut Vec<u8>, value: i64) {
    put_uvint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::ByteReader;

    #[test]
    fn numbers_have_the_bytes_that_the_reader_reads() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) - 1, u64::MAX - (1 << shift)] {
                let mut out = Vec::new();
                put_uvint(&mut out, value);
                let len = (64 - value.leading_zeros()).max(1).div_ceil(7).min(9);
                assert_eq!(out.len(), len as usize);
                put_svint(&mut out, value.cast_signed());
                let mut r = ByteReader::new(&out);
                assert_eq!(r.read_uvint("").unwrap(), value);
                assert_eq!(r.read_svint("").unwrap(), value.cast_signed());
                assert!(r.is_empty(), "{value}");
            }
        }
    }
}
