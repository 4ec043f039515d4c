//! Cassandra's variant of MurmurHash3 x64/128 (`org.apache.cassandra.utils.MurmurHash`).
//!
//! It differs from the published algorithm in one thing: the bytes of the last, partial block are sign-extended before
//! they are combined. Both halves are used: the first is the token, both feed the Bloom filter.

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

#[inline]
fn mix(mut k: u64) -> u64 {
    k ^= k >> 33;
    k = k.wrapping_mul(0xff51_afd7_ed55_8ccd);
    k ^= k >> 33;
    k = k.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

/// Both halves of the hash of `key`, seed 0.
#[inline]
pub fn murmur3_128(key: &[u8]) -> (u64, u64) {
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let mut blocks = key.chunks_exact(16);
    for block in &mut blocks {
        let (low, high) = block.split_at(8);
        let mut k1 = u64::from_le_bytes(low.try_into().unwrap_or_default());
        let mut k2 = u64::from_le_bytes(high.try_into().unwrap_or_default());
        k1 = k1.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
        h1 ^= k1;
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        k2 = k2.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
        h2 ^= k2;
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let tail = blocks.remainder();
    let (mut k1, mut k2) = (0_u64, 0_u64);
    for (i, &byte) in tail.iter().enumerate() {
        // The deviation: a Java byte is signed, and nothing masks it here.
        let extended = i64::from(byte.cast_signed()).cast_unsigned();
        if i < 8 {
            k1 ^= extended << (8 * i);
        } else {
            k2 ^= extended << (8 * (i - 8));
        }
    }
    if tail.len() > 8 {
        h2 ^= k2.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    }
    if !tail.is_empty() {
        h1 ^= k1.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    }
    h1 ^= key.len() as u64;
    h2 ^= key.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    h1 = mix(h1);
    h2 = mix(h2);
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2)
}

/// Token of a partition key (`Murmur3Partitioner.getToken`): the first half, where the least value becomes the greatest;
/// the empty key has the least token.
#[inline]
pub fn murmur3_token(key: &[u8]) -> super::Token {
    if key.is_empty() {
        return super::Token::MIN;
    }
    let token = murmur3_128(key).0.cast_signed();
    super::Token(if token == i64::MIN { i64::MAX } else { token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_cassandra() {
        let cases: [(&[u8], i64); 7] = [
            (b"key", -6_847_573_755_651_342_660),
            (&[0, 0, 0, 1], -4_069_959_284_402_364_209),
            (&[0xff], -4_442_228_696_663_692_417),
            ("привет".as_bytes(), 7_587_623_345_598_067_263),
            (b"0123456789abcdef", 5_467_490_433_528_156_583),
            (
                &[
                    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c,
                    0x8d, 0x8e, 0x8f, 0x90,
                ],
                -3_616_694_464_407_856_223,
            ),
            (b"", i64::MIN),
        ];
        for (key, token) in cases {
            assert_eq!(murmur3_token(key).0, token, "{key:x?}");
        }
    }
}
