//! [`TableText`]: what is the same in all records of a table.

use std::sync::Arc;

use crate::output::Stamp;
use crate::schema::{ColumnMetadata, TableMetadata};

/// What is the same in all records of a table.
#[derive(Debug)]
pub(super) struct TableText {
    /// Its address, which it is found by, is not used again while this is here.
    pub(super) table: Arc<TableMetadata>,
    /// The beginning of a record up to its key, of each [`Op`].
    heads: [Stamp; 4],
    pub(super) partition: Vec<Stamp>,
    pub(super) clustering: Vec<Stamp>,
    pub(super) statics: Vec<CellsText>,
    pub(super) regulars: Vec<CellsText>,
}

/// What stands before the cells of a column.
#[derive(Debug)]
pub(super) struct CellsText {
    /// If it is the first one of the row.
    pub(super) first: Stamp,
    /// Behind another column.
    pub(super) next: Stamp,
}

/// Records of one partition.
#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Upsert,
    Delete,
    DeletePartition,
    DeleteRange,
}

const OPS: [&str; 4] = ["upsert", "delete", "delete_partition", "delete_range"];

/// `text` as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What a record says of its table.
pub(super) fn table_head(table: &TableMetadata) -> String {
    let mut head =
        format!("\"keyspace\":{},\"table\":{}", quoted(&table.keyspace), quoted(&table.name));
    if let Some(id) = table.id {
        head.push_str(&format!(",\"tableId\":\"{id}\""));
    }
    head
}

impl TableText {
    pub(super) fn new(table: &Arc<TableMetadata>) -> Self {
        let keys = |columns: &[ColumnMetadata], comma: &str| {
            let lead = |(i, column): (usize, &ColumnMetadata)| {
                let comma = if i == 0 { comma } else { "," };
                Stamp::new(&format!("{comma}{}:", quoted(&column.name)))
            };
            columns.iter().enumerate().map(lead).collect()
        };
        let cells = |columns: &[ColumnMetadata]| {
            let lead = |column: &ColumnMetadata| {
                let lead = format!("{}:{{", quoted(&column.name));
                CellsText {
                    first: Stamp::new(&format!(",\"cells\":{{{lead}")),
                    next: Stamp::new(&format!(",{lead}")),
                }
            };
            columns.iter().map(lead).collect()
        };
        let head = table_head(table);
        Self {
            table: Arc::clone(table),
            heads: OPS.map(|op| Stamp::new(&format!("{{\"op\":\"{op}\",{head},\"key\":{{"))),
            partition: keys(&table.partition_key, ""),
            clustering: keys(&table.clustering, ","),
            statics: cells(&table.statics),
            regulars: cells(&table.regulars),
        }
    }

    /// The beginning of a record up to its key.
    #[inline]
    pub(super) fn head(&self, op: Op) -> &Stamp {
        let [upsert, delete, delete_partition, delete_range] = &self.heads;
        match op {
            Op::Upsert => upsert,
            Op::Delete => delete,
            Op::DeletePartition => delete_partition,
            Op::DeleteRange => delete_range,
        }
    }
}
