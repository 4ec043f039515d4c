//! The tables whose changes may come by: their definitions as they are on the disk now, and which of them are shipped.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::discover::{InputOptions, Source};
use crate::error::Result;
use crate::schema::{Schema, TableId, TableMetadata};

/// What is known of one table.
#[derive(Debug, Clone)]
struct Known {
    metadata: Arc<TableMetadata>,
    wanted: bool,
}

/// Definitions by table id.
#[derive(Debug, Default)]
pub(super) struct Tables {
    by_id: FxHashMap<TableId, Known>,
}

/// What reading the definitions anew has shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Tables that are shipped and whose definition is new or another one, by name.
    pub(super) changed: Vec<Arc<TableMetadata>>,
}

impl Tables {
    /// The tables of `source`; those that `options` select are wanted.
    ///
    /// `cdc_only`: of those only the ones with `cdc = true`, unless a table is named. Returns also, in words, what is left
    /// out for that.
    pub(super) fn new(
        source: &Source,
        options: &InputOptions,
        cdc_only: bool,
    ) -> Result<(Self, Vec<String>)> {
        let mut tables = Self::default();
        let mut words = Vec::new();
        let wanted = wanted(source, options, cdc_only, &mut words)?;
        tables.fill(&source.schema, &wanted);
        Ok((tables, words))
    }

    /// Takes the definitions of `source` in place of those known.
    pub(super) fn renew(
        &mut self,
        source: &Source,
        options: &InputOptions,
        cdc_only: bool,
    ) -> Result<Changes> {
        let wanted = wanted(source, options, cdc_only, &mut Vec::new())?;
        Ok(self.fill(&source.schema, &wanted))
    }

    /// Tables that are gone from the schema stay known: what was written to them before may still come.
    fn fill(&mut self, schema: &Schema, wanted: &[TableId]) -> Changes {
        let mut changes = Changes::default();
        for table in schema.tables() {
            let Some(id) = table.id else { continue };
            let wanted = wanted.contains(&id);
            match self.by_id.get_mut(&id) {
                Some(known) if *known.metadata == *table => known.wanted = wanted,
                _ => {
                    // The decoder knows by the address that it has seen a definition: an unchanged one keeps its own.
                    let metadata = Arc::new(table.clone());
                    if wanted {
                        changes.changed.push(Arc::clone(&metadata));
                    }
                    self.by_id.insert(id, Known { metadata, wanted });
                }
            }
        }
        changes.changed.sort_by_key(|table| table.qualified_name());
        changes
    }

    /// The definition of a table.
    pub(super) fn get(&self, id: TableId) -> Option<Arc<TableMetadata>> {
        self.by_id.get(&id).map(|known| Arc::clone(&known.metadata))
    }

    /// True if its changes are shipped.
    pub(super) fn is_wanted(&self, id: TableId) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.wanted)
    }

    /// True if nothing is known of it.
    pub(super) fn is_unknown(&self, id: TableId) -> bool {
        !self.by_id.contains_key(&id)
    }

    /// The tables that are shipped.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Arc<TableMetadata>> {
        self.by_id.values().filter(|known| known.wanted).map(|known| &known.metadata)
    }
}

fn has_cdc(table: &TableMetadata) -> bool {
    table.options.get("cdc").is_some_and(|value| value == "true")
}

/// Ids of the tables to ship.
fn wanted(
    source: &Source,
    options: &InputOptions,
    cdc_only: bool,
    words: &mut Vec<String>,
) -> Result<Vec<TableId>> {
    let selection = source.select(options)?;
    let named = !options.tables.is_empty();
    let mut ids = Vec::new();
    let mut without = Vec::new();
    for selected in &selection.tables {
        let table = &selected.metadata;
        let Some(id) = table.id else { continue };
        if cdc_only && !has_cdc(table) {
            without.push(table.qualified_name());
            if !named {
                continue;
            }
        }
        ids.push(id);
    }
    if !without.is_empty() {
        let names = without.join(", ");
        words.push(if named {
            format!(
                "without `cdc = true`: {names}. Cassandra keeps their changes only by chance, in segments that it keeps for \
                 other tables"
            )
        } else {
            format!("not shipped, for they are without `cdc = true`: {names}")
        });
    }
    Ok(ids)
}
