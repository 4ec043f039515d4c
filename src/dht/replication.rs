//! Replication strategies, as `system_schema.keyspaces` has them.

use std::collections::BTreeMap;

/// How a keyspace is replicated (`AbstractReplicationStrategy`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// `SimpleStrategy`: so many nodes, whatever their data center.
    Simple(u32),
    /// `NetworkTopologyStrategy`: so many nodes by data center.
    NetworkTopology(BTreeMap<String, u32>),
    /// `LocalStrategy`: each node has rows of its own.
    Local,
    /// `EverywhereStrategy`: every node has every row.
    Everywhere,
}

impl Replication {
    /// From the map of options; the error says in words what cannot be understood.
    pub fn from_options(options: &BTreeMap<String, String>) -> Result<Self, String> {
        let Some(class) = options.get("class") else {
            return Err("its replication has no class".to_owned());
        };
        let mut factors =
            options.iter().filter(|(name, _)| *name != "class").map(|(name, text)| {
                factor(text).map(|factor| (name.clone(), factor)).ok_or_else(|| {
                    format!("its replication factor {name} is {text:?}, which is no number")
                })
            });
        match class.rsplit('.').next().unwrap_or(class) {
            "SimpleStrategy" => {
                let found =
                    factors.find(|f| !matches!(f, Ok((name, _)) if name != "replication_factor"));
                let (_, factor) = found
                    .unwrap_or(Err("its SimpleStrategy has no replication_factor".to_owned()))?;
                Ok(Self::Simple(factor))
            }
            "NetworkTopologyStrategy" => {
                Ok(Self::NetworkTopology(factors.collect::<Result<_, _>>()?))
            }
            "LocalStrategy" => Ok(Self::Local),
            "EverywhereStrategy" => Ok(Self::Everywhere),
            _ => Err(format!("its replication strategy {class} is not known here")),
        }
    }
}

/// `3`, or with transient replicas `3/1`: of three, one is transient. They are replicas all the same.
fn factor(text: &str) -> Option<u32> {
    let (all, transient) = text.split_once('/').unwrap_or((text, "0"));
    let (all, transient) = (all.trim().parse::<u32>().ok()?, transient.trim().parse::<u32>().ok()?);
    (transient <= all).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[(&str, &str)]) -> Result<Replication, String> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Replication::from_options(&options)
    }

    #[test]
    fn strategies_are_read_with_short_and_full_names() {
        let simple =
            [("class", "org.apache.cassandra.locator.SimpleStrategy"), ("replication_factor", "3")];
        assert_eq!(parse(&simple), Ok(Replication::Simple(3)));
        let topology = [("class", "NetworkTopologyStrategy"), ("dc1", "3/1"), ("dc2", "0")];
        let factors = [("dc1".to_owned(), 3), ("dc2".to_owned(), 0)].into();
        assert_eq!(parse(&topology), Ok(Replication::NetworkTopology(factors)));
        assert_eq!(
            parse(&[("class", "org.apache.cassandra.locator.LocalStrategy")]),
            Ok(Replication::Local)
        );
        assert_eq!(parse(&[("class", "EverywhereStrategy")]), Ok(Replication::Everywhere));
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (options, words) in [
            (&[][..], "no class"),
            (&[("class", "SimpleStrategy")], "no replication_factor"),
            (&[("class", "SimpleStrategy"), ("replication_factor", "x")], "\"x\""),
            (&[("class", "NetworkTopologyStrategy"), ("dc1", "1/2")], "\"1/2\""),
            (&[("class", "a.OtherStrategy")], "a.OtherStrategy"),
        ] {
            let error = parse(options).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
