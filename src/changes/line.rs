//! The JSON of a change record, field by field, borrowed from its line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A string.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Texts<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// An object whose entries keep their order and their text.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some((Texts(name), value)) = map.next_entry::<Texts<'de>, &RawValue>()? {
                    out.push((name, value));
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(Collect).map(Entries)
    }
}

/// What kind of change a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    Upsert,
    Delete,
    DeleteRange,
    DeletePartition,
    Truncate,
    Schema,
}

/// A whole record.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line<'a> {
    pub(super) op: Op,
    #[serde(borrow)]
    pub(super) keyspace: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) table: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) table_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) key: Option<Entries<'a>>,
    #[serde(borrow)]
    pub(super) partition_key_bytes: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) clustering_bytes: Option<Vec<Option<Texts<'a>>>>,
    #[serde(default, rename = "static")]
    pub(super) is_static: bool,
    pub(super) marker: Option<MarkerLine>,
    pub(super) deleted: Option<i64>,
    #[serde(default)]
    pub(super) shadowable: bool,
    #[serde(borrow, default)]
    pub(super) cells: Option<Entries<'a>>,
    #[serde(borrow)]
    pub(super) range: Option<RangeLine<'a>>,
    #[serde(default)]
    pub(super) base: bool,
    #[serde(borrow)]
    pub(super) host_id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) position: PositionLine<'a>,
    pub(super) index: u32,
    pub(super) truncated_at: Option<LogPositionLine>,
    pub(super) time: Option<i64>,
    #[serde(borrow)]
    pub(super) cql: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct MarkerLine {
    pub(super) writetime: i64,
    pub(super) ttl: Option<i32>,
    pub(super) expires: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RangeLine<'a> {
    #[serde(borrow)]
    pub(super) start: Option<BoundLine<'a>>,
    #[serde(borrow)]
    pub(super) end: Option<BoundLine<'a>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct BoundLine<'a> {
    #[serde(borrow)]
    pub(super) values: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub(super) bytes: Option<Vec<Option<Texts<'a>>>>,
    pub(super) inclusive: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PositionLine<'a> {
    pub(super) segment: Option<i64>,
    pub(super) offset: Option<u32>,
    #[serde(borrow)]
    pub(super) sstable: Option<Cow<'a, str>>,
    pub(super) record: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct LogPositionLine {
    pub(super) segment: i64,
    pub(super) offset: u32,
}

/// A column of `cells`, or an element of a non-frozen collection or user-defined type.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CellLine<'a> {
    #[serde(borrow)]
    pub(super) key: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) key_bytes: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) value: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) bytes: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) shards: Option<Vec<ShardLine<'a>>>,
    #[serde(default)]
    pub(super) deleted: bool,
    pub(super) writetime: Option<i64>,
    pub(super) ttl: Option<i32>,
    pub(super) expires: Option<i64>,
    pub(super) reset: Option<i64>,
    #[serde(borrow)]
    pub(super) elements: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ShardLine<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    pub(super) clock: i64,
    pub(super) count: i64,
    #[serde(borrow)]
    pub(super) kind: Option<Cow<'a, str>>,
}
