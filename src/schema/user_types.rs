//! User-defined types that use each other, in any order of definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cql::{CqlType, UdtType, parse_cql_type};
use crate::error::{Error, Result};

/// How many types one may consist of, all levels expanded: a few definitions that use each other twice would otherwise
/// take forever to print or compare.
const MAX_EXPANDED: usize = 100_000;
/// How many levels of user-defined types may be in each other, as each costs stack.
const MAX_LEVELS: usize = 64;

/// Fields of a type as they are written: name and CQL type.
pub(crate) type RawFields = Vec<(String, String)>;

/// Resolves the types of a keyspace. Fields are frozen, as values inside another always are.
pub(crate) fn resolve_types(
    keyspace: &str,
    raw: &BTreeMap<String, RawFields>,
) -> Result<BTreeMap<String, Arc<UdtType>>> {
    let mut resolved: BTreeMap<String, Arc<UdtType>> = BTreeMap::new();
    let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
    let mut open: Vec<(&String, &RawFields)> = raw.iter().collect();
    while !open.is_empty() {
        let mut left = Vec::new();
        let mut reason = String::new();
        let before = open.len();
        for (name, fields) in open {
            match resolve(fields, &resolved) {
                Ok(fields) => {
                    let mut size = Size { types: 1, levels: 0 };
                    for (_, field) in &fields {
                        size.add(field, &sizes);
                    }
                    size.levels += 1;
                    if size.types > MAX_EXPANDED || size.levels > MAX_LEVELS {
                        return Err(error(keyspace, name, "it is nested too deeply"));
                    }
                    sizes.insert(name.clone(), size);
                    let udt = UdtType { keyspace: keyspace.to_owned(), name: name.clone(), fields };
                    resolved.insert(name.clone(), Arc::new(udt));
                }
                Err(why) => {
                    reason = why;
                    left.push((name, fields));
                }
            }
        }
        if let Some((name, _)) = left.last().filter(|_| left.len() == before) {
            return Err(error(keyspace, name, &reason));
        }
        open = left;
    }
    Ok(resolved)
}

fn error(keyspace: &str, name: &str, why: &str) -> Error {
    Error::Schema { what: format!("type {keyspace}.{name}: {why}"), hint: None }
}

fn resolve(
    fields: &RawFields,
    resolved: &BTreeMap<String, Arc<UdtType>>,
) -> Result<Vec<(String, CqlType)>, String> {
    let mut out = Vec::new();
    for (field, text) in fields {
        let cql_type = parse_cql_type(text, &|name| resolved.get(name).cloned())
            .map_err(|e| format!("field {field}: {e}"))?;
        out.push((field.clone(), cql_type.freeze()));
    }
    Ok(out)
}

/// What a type amounts to with all user-defined types in it written out.
#[derive(Clone, Copy)]
struct Size {
    types: usize,
    levels: usize,
}

impl Size {
    fn add(&mut self, cql_type: &CqlType, sizes: &BTreeMap<String, Self>) {
        self.types = self.types.saturating_add(1);
        match cql_type {
            CqlType::List { element, .. }
            | CqlType::Set { element, .. }
            | CqlType::Vector { element, .. } => self.add(element, sizes),
            CqlType::Map { key, value, .. } => {
                self.add(key, sizes);
                self.add(value, sizes);
            }
            CqlType::Tuple(elements) | CqlType::Composite(elements) => {
                for element in elements {
                    self.add(element, sizes);
                }
            }
            CqlType::Udt { udt, .. } => {
                if let Some(inner) = sizes.get(&udt.name) {
                    self.types = self.types.saturating_add(inner.types);
                    self.levels = self.levels.max(inner.levels);
                }
            }
            _ => {}
        }
    }
}

/// The type with user-defined types replaced by tuples: how dropped columns keep theirs (`expandUserTypes`).
pub(crate) fn expand_user_types(cql_type: CqlType) -> CqlType {
    let boxed = |inner: Box<CqlType>| Box::new(expand_user_types(*inner));
    match cql_type {
        CqlType::Udt { udt, .. } => CqlType::Tuple(
            udt.fields.iter().map(|(_, field)| expand_user_types(field.clone())).collect(),
        ),
        CqlType::List { element, frozen } => CqlType::List { element: boxed(element), frozen },
        CqlType::Set { element, frozen } => CqlType::Set { element: boxed(element), frozen },
        CqlType::Map { key, value, frozen } => {
            CqlType::Map { key: boxed(key), value: boxed(value), frozen }
        }
        CqlType::Vector { element, dimension } => {
            CqlType::Vector { element: boxed(element), dimension }
        }
        CqlType::Tuple(elements) => {
            CqlType::Tuple(elements.into_iter().map(expand_user_types).collect())
        }
        other => other,
    }
}

/// True if a dropped column of this type had a cell per element. A dropped user-defined type is recorded as a tuple, and
/// only `frozen<…>` around it tells how it was stored; tuples proper never stand without it.
pub(crate) fn was_multi_cell(cql_type: &CqlType, text: &str) -> bool {
    let is_tuple = matches!(cql_type, CqlType::Tuple(_));
    cql_type.is_multi_cell() || is_tuple && !text.trim_start().starts_with("frozen")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(types: &[(&str, &[(&str, &str)])]) -> BTreeMap<String, RawFields> {
        types
            .iter()
            .map(|(name, fields)| {
                let fields = fields.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned()));
                ((*name).to_owned(), fields.collect())
            })
            .collect()
    }

    #[test]
    fn types_may_use_types_that_come_later() {
        let types = resolve_types(
            "k",
            &raw(&[
                ("a", &[("x", "frozen<z>"), ("l", "list<int>")]),
                ("m", &[("x", "int")]),
                ("z", &[("x", "frozen<map<text, frozen<m>>>")]),
            ]),
        )
        .unwrap();
        let CqlType::Udt { udt, frozen: true } = &types["a"].fields[0].1 else { panic!() };
        assert_eq!(**udt, *types["z"]);
        assert_eq!(types["a"].fields[1].1.to_string(), "frozen<list<int>>");
        let tuple = expand_user_types(types["a"].fields[0].1.clone());
        assert_eq!(tuple.to_string(), "frozen<tuple<frozen<map<text, frozen<tuple<int>>>>>>");
    }

    #[test]
    fn a_dropped_tuple_without_frozen_was_a_user_defined_type() {
        for (text, expected) in [
            ("tuple<int, text>", true),
            ("frozen<tuple<int, text>>", false),
            ("map<int, text>", true),
            ("frozen<map<int, text>>", false),
            ("int", false),
        ] {
            let cql_type = parse_cql_type(text, &|_| None).unwrap();
            assert_eq!(was_multi_cell(&cql_type, text), expected, "{text}");
        }
    }

    #[test]
    fn cycles_and_unknown_types_are_named() {
        for types in [
            raw(&[("a", &[("x", "frozen<b>")]), ("b", &[("y", "frozen<a>")])]),
            raw(&[("b", &[("y", "frozen<nowhere>")])]),
        ] {
            let error = resolve_types("k", &types).unwrap_err().to_string();
            assert!(error.contains("type k.b: field y"), "{error}");
        }
    }

    #[test]
    fn types_that_grow_without_bound_are_refused() {
        let mut types = raw(&[("t000", &[("x", "int")])]);
        for (fields, levels) in [(2, 30), (1, 100)] {
            for i in 1..levels {
                let field = ("a".to_owned(), format!("frozen<t{:03}>", i - 1));
                types.insert(format!("t{i:03}"), vec![field; fields]);
            }
            assert!(resolve_types("k", &types).unwrap_err().to_string().contains("too deeply"));
        }
    }
}
