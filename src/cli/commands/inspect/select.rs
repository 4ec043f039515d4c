//! Which tables were asked for.

use glob_match::glob_match;

use crate::discover::InputOptions;

/// Keyspaces of Cassandra itself, left out unless named.
const SYSTEM: [&str; 8] = [
    "system",
    "system_auth",
    "system_cluster_metadata",
    "system_distributed",
    "system_schema",
    "system_traces",
    "system_views",
    "system_virtual_schema",
];

/// True if the options ask for this table.
pub(super) fn is_selected(options: &InputOptions, keyspace: &str, table: &str) -> bool {
    let qualified = format!("{keyspace}.{table}");
    let matches_table = |pattern: &String| {
        let subject = if pattern.contains('.') { qualified.as_str() } else { table };
        glob_match(pattern, subject)
    };
    let in_keyspace = |pattern: &String| glob_match(pattern, keyspace);
    let excluded = options.exclude.iter().any(|pattern| {
        if pattern.contains('.') { glob_match(pattern, &qualified) } else { in_keyspace(pattern) }
    });
    if excluded {
        return false;
    }
    if SYSTEM.contains(&keyspace) {
        // A glob that happens to match does not name it.
        let named = options.keyspaces.iter().any(|name| name == keyspace)
            || options.tables.iter().any(|name| name.split('.').next() == Some(keyspace));
        if !named {
            return false;
        }
    }
    (options.keyspaces.is_empty() || options.keyspaces.iter().any(in_keyspace))
        && (options.tables.is_empty() || options.tables.iter().any(matches_table))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(keyspaces: &[&str], tables: &[&str], exclude: &[&str]) -> Vec<&'static str> {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let options = InputOptions {
            keyspaces: owned(keyspaces),
            tables: owned(tables),
            exclude: owned(exclude),
            ..InputOptions::default()
        };
        let all = ["shop.orders", "shop.log", "web.orders", "system.local", "system_auth.roles"];
        let is = |name: &&str| {
            let (keyspace, table) = name.split_once('.').unwrap();
            is_selected(&options, keyspace, table)
        };
        all.into_iter().filter(is).collect()
    }

    #[test]
    fn names_and_globs_select() {
        assert_eq!(selected(&[], &[], &[]), ["shop.orders", "shop.log", "web.orders"]);
        assert_eq!(selected(&["shop"], &[], &[]), ["shop.orders", "shop.log"]);
        assert_eq!(selected(&[], &["orders"], &[]), ["shop.orders", "web.orders"]);
        assert_eq!(selected(&[], &["shop.*"], &["shop.l*"]), ["shop.orders"]);
        assert_eq!(selected(&["w*"], &["orders"], &[]), ["web.orders"]);
        assert_eq!(selected(&[], &[], &["shop"]), ["web.orders"]);
    }

    #[test]
    fn system_keyspaces_have_to_be_named() {
        assert_eq!(selected(&["*"], &[], &["shop", "web"]), [""; 0]);
        assert_eq!(selected(&["system"], &[], &[]), ["system.local"]);
        assert_eq!(selected(&[], &["system_auth.roles"], &[]), ["system_auth.roles"]);
    }
}
