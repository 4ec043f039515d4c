//! The keys whose stored rows were shipped already.

use std::collections::HashSet;

use xxhash_rust::xxh3::Xxh3;

use crate::rows::RowView;
use crate::schema::TableMetadata;

/// Remembers keys in bounded memory: hashes of 128 bits, in two generations of which the older is forgotten as a whole.
///
/// To forget a key costs a repeated base record and nothing else. Two keys of one hash would cost a missing one: with a billion
/// keys the odds are one in 10^20.
#[derive(Debug)]
pub struct Touched {
    capacity: usize,
    young: HashSet<u128>,
    old: HashSet<u128>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Row = 1,
    Static = 2,
    Partition = 3,
    Rows = 4,
    Counted = 5,
}

impl Touched {
    /// Remembers between `keys` / 2 and `keys` of the keys seen last; a key takes some 40 bytes.
    pub fn new(keys: usize) -> Self {
        Self { capacity: keys.max(2), young: HashSet::new(), old: HashSet::new() }
    }

    /// True for the first touch of the row with the clustering of `row`.
    pub fn row(&mut self, table: &TableMetadata, key: &[u8], row: RowView<'_>) -> bool {
        let mut hasher = Self::hasher(Kind::Row, table, key);
        for value in &row.row.clustering {
            match value.bytes(row.data) {
                Some(bytes) => {
                    hasher.update(&(bytes.len() as u64).to_be_bytes());
                    hasher.update(bytes);
                }
                None => hasher.update(&u64::MAX.to_be_bytes()),
            }
        }
        self.insert(hasher.digest128())
    }

    /// True for the first touch of the static row.
    pub fn static_row(&mut self, table: &TableMetadata, key: &[u8]) -> bool {
        self.insert(Self::hasher(Kind::Static, table, key).digest128())
    }

    /// Remembers that all rows of the partition were shipped.
    pub fn partition(&mut self, table: &TableMetadata, key: &[u8]) {
        self.insert(Self::hasher(Kind::Partition, table, key).digest128());
    }

    /// True for the first time that all stored rows of the partition are shipped, which leaves rows that are not stored.
    pub fn stored_rows(&mut self, table: &TableMetadata, key: &[u8]) -> bool {
        self.insert(Self::hasher(Kind::Rows, table, key).digest128())
    }

    /// Remembers that no row of the partition is left that was not shipped and that a read sees.
    pub fn counted(&mut self, table: &TableMetadata, key: &[u8]) {
        self.insert(Self::hasher(Kind::Counted, table, key).digest128());
    }

    /// True if that is remembered, or that all stored rows were shipped.
    pub fn is_counted(&mut self, table: &TableMetadata, key: &[u8]) -> bool {
        self.has(Kind::Counted, table, key) || self.has(Kind::Rows, table, key)
    }

    /// True if all rows of the partition were shipped, as far as it is remembered.
    pub fn has_partition(&mut self, table: &TableMetadata, key: &[u8]) -> bool {
        self.has(Kind::Partition, table, key)
    }

    fn has(&mut self, kind: Kind, table: &TableMetadata, key: &[u8]) -> bool {
        let hash = Self::hasher(kind, table, key).digest128();
        let known = self.young.contains(&hash) || self.old.contains(&hash);
        if known {
            self.insert(hash);
        }
        known
    }

    /// Forgets all: after what was to be shipped could not be.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    /// Number of keys remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// True if no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hasher(kind: Kind, table: &TableMetadata, key: &[u8]) -> Xxh3 {
        let mut hasher = Xxh3::new();
        hasher.update(&[kind as u8]);
        match &table.id {
            Some(id) => hasher.update(id.0.as_bytes()),
            None => {
                hasher.update(table.keyspace.as_bytes());
                hasher.update(b".");
                hasher.update(table.name.as_bytes());
            }
        }
        hasher.update(&(key.len() as u64).to_be_bytes());
        hasher.update(key);
        hasher
    }

    /// True if it was not there. What is asked for often stays young.
    fn insert(&mut self, hash: u128) -> bool {
        if self.young.contains(&hash) {
            return false;
        }
        let known = self.old.remove(&hash);
        if self.young.len() >= self.capacity / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash);
        !known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{ClusteringValue, Row, Span};
    use crate::schema::parse_schema;

    fn table() -> TableMetadata {
        let text = "CREATE TABLE ks.t (k blob, c blob, v int, PRIMARY KEY (k, c));";
        parse_schema(text, None).unwrap().table("ks", "t").unwrap().clone()
    }

    fn row(value: Option<&[u8]>) -> (Row, Vec<u8>) {
        let data = value.unwrap_or_default().to_vec();
        let len = u32::try_from(data.len()).unwrap();
        let value = match value {
            Some(_) => ClusteringValue::Value(Span { start: 0, len }),
            None => ClusteringValue::Null,
        };
        (Row { clustering: vec![value], ..Row::EMPTY }, data)
    }

    #[test]
    fn each_key_is_new_once() {
        let (table, mut touched) = (table(), Touched::new(100));
        let other = TableMetadata { name: "u".into(), ..table.clone() };
        for (value, table, key) in [
            (Some(&b"1"[..]), &table, b"a"),
            (Some(b"2"), &table, b"a"),
            (Some(b""), &table, b"a"),
            (None, &table, b"a"),
            (Some(b"1"), &table, b"b"),
            (Some(b"1"), &other, b"a"),
        ] {
            let (row, data) = row(value);
            let view = RowView { row: &row, data: &data };
            assert!(touched.row(table, key, view), "{value:?}");
            assert!(!touched.row(table, key, view), "{value:?} again");
        }
        assert!(touched.static_row(&table, b"a") && !touched.static_row(&table, b"a"));
        assert!(!touched.has_partition(&table, b"a"));
        touched.partition(&table, b"a");
        assert!(touched.has_partition(&table, b"a") && !touched.has_partition(&table, b"b"));
        assert!(!touched.is_counted(&table, b"a") && touched.stored_rows(&table, b"a"));
        touched.counted(&table, b"b");
        assert!(touched.is_counted(&table, b"a") && touched.is_counted(&table, b"b"));
        touched.clear();
        assert!(touched.is_empty() && touched.static_row(&table, b"a"));
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let (table, mut touched) = (table(), Touched::new(100));
        touched.partition(&table, b"often");
        for i in 0..1_000_u32 {
            assert!(touched.static_row(&table, &i.to_be_bytes()));
            assert!(touched.has_partition(&table, b"often"), "{i}");
            assert!(touched.len() <= 101, "{}", touched.len());
        }
        for i in 960..1_000_u32 {
            assert!(!touched.static_row(&table, &i.to_be_bytes()), "{i} is young");
        }
        assert!(touched.static_row(&table, &1_u32.to_be_bytes()), "1 is forgotten");
    }
}
