//! What collections, tuples, user-defined types and vectors consist of, from one serialized value or from cells: the same
//! for both, so that typed profiles see no difference.

use super::json::{piece_of, read_count, read_field, read_value, udt_cell};
use super::scalar::Cause;
use super::text::Piece;
use crate::cql::CqlType;
use crate::io::ByteReader;
use crate::rows::Cell;

/// The parts of a value.
#[derive(Debug)]
pub(super) enum Members<'a> {
    /// Elements, or fields in the order of their type; none where they are null.
    Values(Vec<Option<Piece<'a>>>),
    /// Entries of a map.
    Entries(Vec<(Piece<'a>, Option<Piece<'a>>)>),
}

/// Elements that there can be at most: each has a length of four bytes.
fn most(r: &ByteReader<'_>, count: u32) -> usize {
    (count as usize).min(r.rest().len() / 4)
}

fn elements(bytes: &[u8]) -> Result<Members<'_>, Cause> {
    let mut r = ByteReader::new(bytes);
    let count = read_count(&mut r)?;
    let mut values = Vec::with_capacity(most(&r, count));
    for _ in 0..count {
        values.push(read_value(&mut r)?);
    }
    r.finish("collection")?;
    Ok(Members::Values(values))
}

fn entries(bytes: &[u8]) -> Result<Members<'_>, Cause> {
    let mut r = ByteReader::new(bytes);
    let count = read_count(&mut r)?;
    let mut entries = Vec::with_capacity(most(&r, count) / 2);
    for _ in 0..count {
        let Some(key) = read_value(&mut r)? else {
            return Err(Cause::new("a map with a null key"));
        };
        entries.push((key, read_value(&mut r)?));
    }
    r.finish("collection")?;
    Ok(Members::Entries(entries))
}

fn fields(count: usize, bytes: &[u8]) -> Result<Members<'_>, Cause> {
    let mut r = ByteReader::new(bytes);
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(read_field(&mut r)?);
    }
    Ok(Members::Values(values))
}

fn vector<'a>(element: &CqlType, dimension: u32, bytes: &'a [u8]) -> Result<Members<'a>, Cause> {
    let mut r = ByteReader::new(bytes);
    let fixed_len = element.fixed_len();
    let mut values = Vec::with_capacity((dimension as usize).min(bytes.len()));
    for _ in 0..dimension {
        let len = match fixed_len {
            Some(len) => len,
            None => r.read_vint_len("length of a vector's element")?,
        };
        let value = Piece::within(r.rest(), len);
        r.skip(len, "an element of a vector")?;
        values.push(Some(value));
    }
    r.finish("vector")?;
    Ok(Members::Values(values))
}

/// The parts of a serialized value of a type that has parts.
pub(super) fn members<'a>(cql_type: &CqlType, bytes: &'a [u8]) -> Result<Members<'a>, Cause> {
    match cql_type {
        CqlType::List { .. } | CqlType::Set { .. } => elements(bytes),
        CqlType::Map { .. } => entries(bytes),
        CqlType::Tuple(of) => fields(of.len(), bytes),
        CqlType::Udt { udt, .. } => fields(udt.fields.len(), bytes),
        CqlType::Vector { element, dimension } => vector(element, *dimension, bytes),
        other => Err(Cause::new(format!("{other} has no parts"))),
    }
}

/// The parts of a non-frozen collection or user-defined type from its cells, which are ascending by path.
pub(super) fn members_of_cells<'a>(
    cql_type: &CqlType,
    cells: &[Cell],
    data: &'a [u8],
) -> Result<Members<'a>, Cause> {
    let value = |cell: &Cell| piece_of(cell.value, data);
    let path = |cell: &Cell| piece_of(cell.path, data);
    Ok(match cql_type {
        CqlType::List { .. } => Members::Values(cells.iter().map(|c| Some(value(c))).collect()),
        CqlType::Set { .. } => Members::Values(cells.iter().map(|c| Some(path(c))).collect()),
        CqlType::Map { .. } => {
            Members::Entries(cells.iter().map(|c| (path(c), Some(value(c)))).collect())
        }
        CqlType::Udt { udt, .. } => {
            let of_field = |i| udt_cell(cells, i, data).map(value);
            Members::Values((0..udt.fields.len()).map(of_field).collect())
        }
        other => return Err(Cause::new(format!("{other} has no cells of its own"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lengths_that_lie_are_errors_and_reserve_nothing() {
        let list = CqlType::List { element: Box::new(CqlType::Int), frozen: true };
        let map = CqlType::Map {
            key: Box::new(CqlType::Int),
            value: Box::new(CqlType::Int),
            frozen: true,
        };
        for bytes in [&[0x7f, 0xff, 0xff, 0xff][..], &[0xff; 4], &[0, 0, 0, 1, 0, 0, 0, 9], &[0]] {
            assert!(members(&list, bytes).is_err());
            assert!(members(&map, bytes).is_err());
        }
        let vector = CqlType::Vector { element: Box::new(CqlType::Text), dimension: u32::MAX };
        assert!(members(&vector, &[1, b'a']).is_err());
        assert!(members(&CqlType::Int, &[0; 4]).is_err());
    }

    #[test]
    fn fields_that_were_added_later_are_null() {
        let tuple = CqlType::Tuple(vec![CqlType::Int, CqlType::Int]);
        let Members::Values(values) = members(&tuple, &[0, 0, 0, 4, 0, 0, 0, 1]).unwrap() else {
            panic!()
        };
        assert_eq!(values.len(), 2);
        assert!(values[0].is_some() && values[1].is_none());
    }
}
