//! `cat --raw`: what each SSTable holds, unmerged (what `sstabledump` shows, over all SSTables of a table).

use serde_json::{Value, json};

use super::json;
use super::run::{Shown, each_partition, print};
use crate::error::Result;
use crate::rows::{PartitionSource, Unfiltered};

/// Prints a line per partition head, static row, row and marker.
pub(super) fn show(shown: &Shown<'_>) -> Result<()> {
    let mut out = Vec::new();
    each_partition(shown, |i, scanner| {
        let name =
            shown.readers.get(i).map(|reader| reader.descriptor().prefix()).unwrap_or_default();
        let name = name.trim_end_matches('-').to_owned();
        let key = json::key(shown.table, scanner.key());
        let mut line = |what: &str, mut value: Value| -> Result<()> {
            if let Some(object) = value.as_object_mut() {
                object.insert("sstable".into(), name.clone().into());
                object.insert("kind".into(), what.into());
                object.insert("key".into(), key.clone());
            }
            out.extend_from_slice(value.to_string().as_bytes());
            out.push(b'\n');
            print(&mut out, false)
        };
        line(
            "partition",
            json!({ "token": scanner.token().to_string(), "deletion": json::deletion(&scanner.deletion()) }),
        )?;
        if let Some(view) = scanner.static_row() {
            line("static", json::row(shown.table, view, true))?;
        }
        loop {
            match scanner.next()? {
                Unfiltered::Row => line("row", json::row(shown.table, scanner.row(), false))?,
                Unfiltered::Marker(marker) => {
                    line("range", json::marker(shown.table, scanner.row(), &marker))?
                }
                Unfiltered::End => return Ok(()),
            }
        }
    })?;
    print(&mut out, true)
}
