//! Keys as the bytes that lead through the tries (`DecoratedKey.asComparableBytes`, `ClusteringComparator.asByteComparable`).

use crate::cql::{
    MarshalType, NEXT_COMPONENT, NotByteComparable, TERMINATOR, write_byte_comparable,
    write_escaped,
};
use crate::dht::{Partitioner, Token, murmur3_token};

/// A component that has no bytes (`ByteSource.NEXT_COMPONENT_EMPTY`), and one of a column in descending order.
const EMPTY_COMPONENT: u8 = 0x3f;
const EMPTY_COMPONENT_REVERSED: u8 = 0x41;
/// What ends a bound that lies before, or after, all that begins with its values (`LT_NEXT_COMPONENT`, `GT_NEXT_COMPONENT`).
const BEFORE_ALL: u8 = 0x20;
const AFTER_ALL: u8 = 0x60;
/// Where the token of a path begins, behind [`NEXT_COMPONENT`].
const TOKEN_AT: usize = 1;
const SIGN: u64 = 1 << 63;

/// A partition key with its token; none where the order of the partitioner is not known.
pub(super) fn decorated_key(partitioner: &Partitioner, key: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![NEXT_COMPONENT];
    match partitioner {
        Partitioner::Murmur3 => out.extend_from_slice(&biased(murmur3_token(key))),
        Partitioner::ByteOrdered => write_escaped(key, &mut out),
        Partitioner::Random | Partitioner::Local(_) | Partitioner::Other(_) => return None,
    }
    out.push(NEXT_COMPONENT);
    write_escaped(key, &mut out);
    out.push(TERMINATOR);
    Some(out)
}

/// What comes behind all keys with this token and before those with a greater one.
pub(super) fn behind_token(token: Token) -> Vec<u8> {
    let mut out = vec![NEXT_COMPONENT];
    out.extend_from_slice(&biased(token));
    out.push(AFTER_ALL);
    out
}

fn biased(token: Token) -> [u8; 8] {
    (token.0.cast_unsigned() ^ SIGN).to_be_bytes()
}

/// The least token that a key below this path can have.
pub(super) fn least_token(path: &[u8]) -> Token {
    let mut token = [0; 8];
    for (to, from) in token.iter_mut().zip(path.get(TOKEN_AT..).unwrap_or_default()) {
        *to = *from;
    }
    Token((u64::from_be_bytes(token) ^ SIGN).cast_signed())
}

/// Appends a clustering, or the bound of a range, as it stands in the trie of a partition. `side` is -1 of a bound before what
/// begins with the values, 1 of one after it, 0 of a row.
pub fn write_clustering<'v>(
    types: &[MarshalType],
    values: impl IntoIterator<Item = Option<&'v [u8]>>,
    side: i8,
    out: &mut Vec<u8>,
) -> Result<(), NotByteComparable> {
    let mut types = types.iter();
    for value in values {
        let (Some(marshal), Some(value)) = (types.next(), value) else {
            return Err(NotByteComparable);
        };
        out.push(NEXT_COMPONENT);
        let start = out.len();
        let written = write_byte_comparable(&marshal.cql_type, value, out)?;
        if marshal.reversed {
            out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
        }
        if let Some(separator) = out.get_mut(start - 1).filter(|_| !written) {
            *separator = if marshal.reversed { EMPTY_COMPONENT_REVERSED } else { EMPTY_COMPONENT };
        }
    }
    out.push(match side {
        ..=-1 => BEFORE_ALL,
        0 => TERMINATOR,
        1.. => AFTER_ALL,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cql::CqlType;

    #[test]
    fn keys_begin_with_their_tokens() {
        let key = decorated_key(&Partitioner::Murmur3, b"key").unwrap();
        // -6847573755651342660 and the sign bit.
        let token = (-6_847_573_755_651_342_660_i64 ^ i64::MIN).to_be_bytes();
        assert_eq!(key, [&[0x40][..], &token, b"\x40key\0\x38"].concat());
        let key = decorated_key(&Partitioner::ByteOrdered, b"0").unwrap();
        assert_eq!(key, b"\x400\0\x400\0\x38");
        assert_eq!(decorated_key(&Partitioner::Local(None), b"0"), None);
    }

    #[test]
    fn a_path_has_a_least_token() {
        for token in [i64::MIN, -6_847_573_755_651_342_660, -1, 0, 1, i64::MAX] {
            let path = behind_token(Token(token));
            assert_eq!(least_token(&path), Token(token));
            let keys = least_token(path.get(..4).unwrap());
            assert!(keys.0 <= token && token - keys.0 < 1 << 40, "{token} {keys}");
        }
        assert_eq!(least_token(&[0x40]), Token::MIN);
    }

    #[test]
    fn descending_columns_are_inverted_and_their_separators_are_not() {
        let types = |reversed| {
            [CqlType::Int, CqlType::Text].map(|cql_type| MarshalType { cql_type, reversed })
        };
        let encode = |reversed, values: [Option<&[u8]>; 2], side| {
            let mut out = Vec::new();
            write_clustering(&types(reversed), values, side, &mut out).map(|()| out)
        };
        let values = [Some(&[0, 0, 0, 7][..]), Some(&b"a"[..])];
        assert_eq!(encode(false, values, 0).unwrap(), b"\x40\x80\0\0\x07\x40a\0\x38");
        assert_eq!(encode(true, values, -1).unwrap(), b"\x40\x7f\xff\xff\xf8\x40\x9e\xff\x20");
        let empty = [Some(&b""[..]), Some(&b""[..])];
        assert_eq!(encode(false, empty, 1).unwrap(), b"\x3f\x40\0\x60");
        assert_eq!(encode(true, empty, 1).unwrap(), b"\x41\x40\xff\x60");
        assert_eq!(encode(false, [Some(&b""[..]), None], 0), Err(NotByteComparable));
        let three = [Some(&b""[..]); 3];
        let mut out = Vec::new();
        assert!(write_clustering(&types(false), three, 0, &mut out).is_err());
    }
}
