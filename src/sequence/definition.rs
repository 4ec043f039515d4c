//! The definition of a table as schema records change it.
//!
//! Nodes learn of a change at different times, and their streams are read in any order: so a definition only grows. A column
//! is there from the first record on that has it, unless a record says that it was dropped.

use crate::cql::CqlType;
use crate::schema::{ColumnMetadata, TableMetadata};

/// What a newer definition makes of the one at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evolution {
    /// It says nothing new.
    Same,
    /// The definition from now on, and the columns that are new in it.
    Changed {
        /// The definition.
        table: Box<TableMetadata>,
        /// Names of the new columns.
        added: Vec<String>,
    },
    /// They cannot be brought together: why.
    Conflict(String),
}

/// Brings the definition at hand and one from a record together.
pub(super) fn evolve(current: &TableMetadata, new: &TableMetadata) -> Evolution {
    if let (Some(here), Some(there)) = (current.id, new.id)
        && here != there
    {
        return Evolution::Conflict(format!(
            "the table was dropped and made again: its id was {here} and is {there}"
        ));
    }
    if current.compact != new.compact || current.counter != new.counter {
        return Evolution::Conflict("it is stored in another way now".to_owned());
    }
    let mut table = current.clone();
    for (kind, ours, theirs) in [
        ("partition key", &mut table.partition_key, &new.partition_key),
        ("clustering", &mut table.clustering, &new.clustering),
    ] {
        if ours.len() != theirs.len() {
            return Evolution::Conflict(format!("its {kind} has other columns"));
        }
        for (column, newer) in ours.iter_mut().zip(theirs) {
            // Key columns can be renamed, which changes nothing of what is stored; but the output has the old name.
            if column.name != newer.name {
                return Evolution::Conflict(format!(
                    "key column {} was renamed to {}",
                    column.name, newer.name
                ));
            }
            match wider(&column.cql_type, &newer.cql_type) {
                Some(cql_type) if cql_type != column.cql_type && has_fields(&cql_type) => {
                    return Evolution::Conflict(format!(
                        "a field was added to a type of key column {}: the keys of all rows are written otherwise from now on",
                        column.name
                    ));
                }
                Some(cql_type) => column.cql_type = cql_type,
                None => return Evolution::Conflict(type_changed(column, newer)),
            }
        }
    }
    for dropped in &new.dropped {
        let again = new.statics.iter().chain(&new.regulars).any(|c| c.name == dropped.name);
        if again || table.dropped.iter().any(|known| known == dropped) {
            continue;
        }
        table.dropped.retain(|known| known.name != dropped.name);
        table.dropped.push(dropped.clone());
        table.statics.retain(|column| column.name != dropped.name);
        table.regulars.retain(|column| column.name != dropped.name);
    }
    let mut added = Vec::new();
    for (ours, theirs) in [(&mut table.statics, &new.statics), (&mut table.regulars, &new.regulars)]
    {
        for newer in theirs {
            let gone = table.dropped.iter().any(|dropped| dropped.name == newer.name);
            let again = new.dropped.iter().any(|dropped| dropped.name == newer.name);
            match ours.iter_mut().find(|column| column.name == newer.name) {
                Some(column) => match wider(&column.cql_type, &newer.cql_type) {
                    Some(cql_type) => column.cql_type = cql_type,
                    None => return Evolution::Conflict(type_changed(column, newer)),
                },
                // From a node that does not know yet that the column was dropped.
                None if gone && !again => {}
                None => {
                    added.push(newer.name.clone());
                    ours.push(newer.clone());
                }
            }
        }
    }
    table.dropped.retain(|dropped| !added.contains(&dropped.name));
    table.sort_columns();
    let same = table.partition_key == current.partition_key
        && table.clustering == current.clustering
        && table.statics == current.statics
        && table.regulars == current.regulars
        && table.dropped == current.dropped;
    if same { Evolution::Same } else { Evolution::Changed { table: Box::new(table), added } }
}

fn has_fields(cql_type: &CqlType) -> bool {
    match cql_type {
        CqlType::Udt { .. } => true,
        CqlType::List { element, .. }
        | CqlType::Set { element, .. }
        | CqlType::Vector { element, .. } => has_fields(element),
        CqlType::Map { key, value, .. } => has_fields(key) || has_fields(value),
        CqlType::Tuple(elements) => elements.iter().any(has_fields),
        _ => false,
    }
}

/// The first field of a user-defined type, anywhere in two types, that has another name in the second.
fn renamed_field<'t>(a: &'t CqlType, b: &'t CqlType) -> Option<(&'t str, &'t str, &'t str)> {
    match (a, b) {
        (CqlType::List { element: a, .. }, CqlType::List { element: b, .. })
        | (CqlType::Set { element: a, .. }, CqlType::Set { element: b, .. })
        | (CqlType::Vector { element: a, .. }, CqlType::Vector { element: b, .. }) => {
            renamed_field(a, b)
        }
        (
            CqlType::Map { key, value, .. },
            CqlType::Map { key: other_key, value: other_value, .. },
        ) => renamed_field(key, other_key).or_else(|| renamed_field(value, other_value)),
        (CqlType::Tuple(a), CqlType::Tuple(b)) => {
            a.iter().zip(b).find_map(|(a, b)| renamed_field(a, b))
        }
        (CqlType::Udt { udt: a, .. }, CqlType::Udt { udt: b, .. }) => {
            a.fields.iter().zip(&b.fields).find_map(|((name, a_type), (other, b_type))| {
                if name == other {
                    renamed_field(a_type, b_type)
                } else {
                    Some((a.name.as_str(), name.as_str(), other.as_str()))
                }
            })
        }
        _ => None,
    }
}

fn type_changed(column: &ColumnMetadata, newer: &ColumnMetadata) -> String {
    if let Some((of, old, new)) = renamed_field(&column.cql_type, &newer.cql_type) {
        return format!(
            "field {old} of type {of}, which column {} has, is {new} now, and nothing says which of the names is the newer",
            column.name
        );
    }
    format!("the type of {} was {} and is {}", column.name, column.cql_type, newer.cql_type)
}

/// The one of two types that reads the values of both: fields can be added to a user-defined type, and text can be of ASCII.
/// None if there is none.
fn wider(a: &CqlType, b: &CqlType) -> Option<CqlType> {
    if a == b {
        return Some(a.clone());
    }
    let boxed = |a: &CqlType, b: &CqlType| wider(a, b).map(Box::new);
    match (a, b) {
        (CqlType::Ascii, CqlType::Text) | (CqlType::Text, CqlType::Ascii) => Some(CqlType::Text),
        (CqlType::List { element: a, frozen }, CqlType::List { element: b, frozen: other })
            if frozen == other =>
        {
            Some(CqlType::List { element: boxed(a, b)?, frozen: *frozen })
        }
        (CqlType::Set { element: a, frozen }, CqlType::Set { element: b, frozen: other })
            if frozen == other =>
        {
            Some(CqlType::Set { element: boxed(a, b)?, frozen: *frozen })
        }
        (
            CqlType::Map { key, value, frozen },
            CqlType::Map { key: other_key, value: other_value, frozen: other },
        ) if frozen == other => Some(CqlType::Map {
            key: boxed(key, other_key)?,
            value: boxed(value, other_value)?,
            frozen: *frozen,
        }),
        (CqlType::Tuple(a), CqlType::Tuple(b)) if a.len() == b.len() => {
            let elements = a.iter().zip(b).map(|(a, b)| wider(a, b));
            elements.collect::<Option<Vec<_>>>().map(CqlType::Tuple)
        }
        (
            CqlType::Vector { element: a, dimension },
            CqlType::Vector { element: b, dimension: other },
        ) if dimension == other => {
            Some(CqlType::Vector { element: boxed(a, b)?, dimension: *dimension })
        }
        (CqlType::Udt { udt: a, frozen }, CqlType::Udt { udt: b, frozen: other })
            if frozen == other && a.name == b.name =>
        {
            let (short, long) = if a.fields.len() <= b.fields.len() { (a, b) } else { (b, a) };
            let mut fields = Vec::with_capacity(long.fields.len());
            for (i, (name, field)) in long.fields.iter().enumerate() {
                fields.push(match short.fields.get(i) {
                    Some((other, of)) if other == name => (name.clone(), wider(of, field)?),
                    Some(_) => return None,
                    None => (name.clone(), field.clone()),
                });
            }
            let udt = crate::cql::UdtType { fields, ..(**long).clone() };
            Some(CqlType::Udt { udt: std::sync::Arc::new(udt), frozen: *frozen })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::parse_schema;

    fn table(text: &str) -> TableMetadata {
        parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone()
    }

    fn changed(current: &TableMetadata, new: &TableMetadata) -> (TableMetadata, Vec<String>) {
        match evolve(current, new) {
            Evolution::Changed { table, added } => (*table, added),
            other => panic!("{other:?}"),
        }
    }

    fn regulars(table: &TableMetadata) -> Vec<&str> {
        table.regulars.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn columns_that_are_added_stay_when_a_node_behind_does_not_know_them() {
        let old = table("CREATE TABLE ks.t (k int PRIMARY KEY, v int);");
        let new = table("CREATE TABLE ks.t (k int PRIMARY KEY, v int, n text);");
        assert_eq!(evolve(&old, &old), Evolution::Same);
        let (both, added) = changed(&old, &new);
        assert_eq!((added, regulars(&both)), (vec!["n".to_owned()], vec!["n", "v"]));
        assert_eq!(evolve(&both, &old), Evolution::Same);
    }

    #[test]
    fn columns_that_were_dropped_stay_away_until_they_are_added_again() {
        let old = table("CREATE TABLE ks.t (k int PRIMARY KEY, v int, n text);");
        let drop = "ALTER TABLE ks.t DROP n USING TIMESTAMP 5;";
        let new = table(&format!("CREATE TABLE ks.t (k int PRIMARY KEY, v int, n text); {drop}"));
        let (without, _) = changed(&old, &new);
        assert_eq!(regulars(&without), ["v"]);
        assert_eq!(evolve(&without, &old), Evolution::Same);
        let again = table(&format!(
            "CREATE TABLE ks.t (k int PRIMARY KEY, v int, n text); {drop} ALTER TABLE ks.t ADD n text;"
        ));
        let (with, added) = changed(&without, &again);
        assert_eq!((added, regulars(&with)), (vec!["n".to_owned()], vec!["n", "v"]));
    }

    #[test]
    fn types_of_keys_do_not_grow_and_a_renamed_field_is_named() {
        let of = |fields: &str, key: &str| {
            table(&format!("CREATE TYPE ks.u ({fields}); CREATE TABLE ks.t ({key});"))
        };
        let key = "k int, c frozen<list<frozen<u>>>, v int, PRIMARY KEY (k, c)";
        let (one, two) = (of("a int", key), of("a int, b text", key));
        assert_eq!(evolve(&two, &one), Evolution::Same, "of a node that is behind");
        let Evolution::Conflict(why) = evolve(&one, &two) else { panic!("grown") };
        assert!(why.contains("field was added to a type of key column c"), "{why}");
        let value = "k int PRIMARY KEY, v map<int, frozen<u>>";
        let (one, two) = (of("a int, b int", value), of("a int, z int", value));
        let Evolution::Conflict(why) = evolve(&one, &two) else { panic!("renamed") };
        assert!(why.starts_with("field b of type u, which column v has, is z now"), "{why}");
    }

    #[test]
    fn types_grow_by_fields_and_do_not_change_otherwise() {
        let udt = |fields: &str| {
            table(&format!(
                "CREATE TYPE ks.u ({fields}); CREATE TABLE ks.t (k int PRIMARY KEY, v list<frozen<u>>);"
            ))
        };
        let (one, two) = (udt("a int"), udt("a int, b text"));
        let (both, added) = changed(&one, &two);
        assert!(added.is_empty());
        assert_eq!(both.regulars, two.regulars);
        assert_eq!(evolve(&two, &one), Evolution::Same);
        for (a, b, words) in [
            (one.clone(), udt("b int"), "field a of type u, which column v has, is b now"),
            (
                table("CREATE TABLE ks.t (k int PRIMARY KEY, v int);"),
                table("CREATE TABLE ks.t (k int PRIMARY KEY, v bigint);"),
                "type of v was int and is bigint",
            ),
            (
                table("CREATE TABLE ks.t (k int PRIMARY KEY, v int);"),
                table("CREATE TABLE ks.t (j int PRIMARY KEY, v int);"),
                "renamed",
            ),
            (
                table(
                    "CREATE TABLE ks.t (k int PRIMARY KEY) WITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c18;",
                ),
                table(
                    "CREATE TABLE ks.t (k int PRIMARY KEY) WITH ID = 5a1c395e-b41f-11e5-9f22-ba0be0483c19;",
                ),
                "dropped and made again",
            ),
        ] {
            let Evolution::Conflict(why) = evolve(&a, &b) else { panic!("{words}") };
            assert!(why.contains(words), "{why}");
        }
    }
}
