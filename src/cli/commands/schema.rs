//! `cassport schema`.

use std::collections::BTreeSet;

use crate::cli::{ExitCode, Ui};
use crate::discover::{InputOptions, Source};
use crate::error::Result;
use crate::progress::clock;
use crate::schema::write_schema;

/// Prints the schema of the selected tables as CQL.
pub fn run(options: &InputOptions, ui: &Ui) -> Result<ExitCode> {
    let source = Source::open(options, clock::now().seconds())?;
    let events = ui.events();
    for warning in source.warnings() {
        events.warning(warning);
    }
    let selection = source.select(options)?;
    let mut names: BTreeSet<(String, String)> = selection
        .tables
        .iter()
        .map(|t| (t.metadata.keyspace.clone(), t.metadata.name.clone()))
        .collect();
    // A view is not data of its own but part of its table's definition.
    let views: Vec<_> = source
        .schema
        .tables()
        .filter(|t| {
            t.view
                .as_ref()
                .is_some_and(|v| names.contains(&(t.keyspace.clone(), v.base_table.clone())))
        })
        .map(|t| (t.keyspace.clone(), t.name.clone()))
        .collect();
    names.extend(views);
    ui.close();
    ui.print(&write_schema(&source.schema, &|t| {
        names.contains(&(t.keyspace.clone(), t.name.clone()))
    }))?;
    Ok(ExitCode::COMPLETE)
}
