//! The books of a run: every row and cell read is accounted for once.

use serde::{Deserialize, Serialize};

/// Makes a struct of `u64` counters with a `merge` that cannot forget one.
macro_rules! counters {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl $name {
            /// Adds what another counted.
            pub fn merge(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }
    };
}

counters! {
    /// What was read from a table and what became of it. Counted per split, merged at its end.
    ///
    /// A row fragment is one row in one SSTable (or in the overlay of the commit log); in 2.x what would be one.
    /// Each fragment and each cell counts once: quarantined goes before filtered, shadowed, expired, in this order.
    Books {
        /// Row fragments read.
        rows_read,
        /// Fragments that joined another of the same row.
        rows_merged,
        /// Rows written.
        rows_emitted,
        /// Rows hidden by a deletion.
        rows_shadowed,
        /// Rows of which everything had expired.
        rows_expired,
        /// Rows of tombstones only.
        rows_only_tombstones,
        /// Rows outside the token range, or otherwise not asked for.
        rows_filtered,
        /// Rows that could not be read or written, each named in the report.
        rows_quarantined,
        /// Records written.
        records_emitted,
        /// Records of partitions with static content and no rows.
        static_only_emitted,
        /// Records more than rows (super columns and the like).
        records_expanded,
        /// Cells read.
        cells_read,
        /// Cells written.
        cells_emitted,
        /// Cells for which there was a newer one.
        cells_superseded,
        /// Cells hidden by a deletion.
        cells_shadowed,
        /// Cells whose time to live was over.
        cells_expired,
        /// Cells of columns that were dropped after them.
        cells_dropped,
        /// Cells that CQL cannot show.
        cells_hidden,
        /// Cells of rows and columns not asked for.
        cells_filtered,
        /// Cells of rows quarantined.
        cells_quarantined,
        /// Cells that are tombstones.
        cell_tombstones,
        /// Bytes read, uncompressed.
        bytes_read,
        /// Compressed chunks read.
        chunks_read,
        /// Chunks whose checksum was wrong or that did not decompress.
        chunks_failed,
        /// Partition fragments read.
        partitions_read,
        /// Partition deletions read.
        partition_deletions,
        /// Range deletions read.
        range_deletions,
        /// Records of what is deleted, written (`--deletes`).
        deletions_emitted,
        /// Bytes of SSTables not yet repaired.
        unrepaired_bytes,
    }
}

counters! {
    /// What was seen but is not read.
    NotRead {
        /// Files of hints; in 2.x partitions of their table.
        hints,
        /// Partitions in SSTables of the batch log.
        batchlog,
        /// Partitions in SSTables of the Paxos state.
        paxos,
        /// Commit-log segments with mutations that the SSTables do not have, or may not have.
        unflushed_segments,
        /// Secondary-index tables.
        indexes,
        /// Files of indexes that are attached to SSTables (SASI, SAI).
        index_components,
        /// Materialized views.
        views,
        /// Table folders that the schema does not have.
        unknown_table_ids,
    }
}

impl Books {
    /// Checks the three equations: what was read equals the sum of what became of it.
    ///
    /// The error names the equation and both sides: it is a bug of ours.
    pub fn check(&self) -> Result<(), String> {
        equal(
            ("rowsRead", self.rows_read),
            &[
                ("rowsMerged", self.rows_merged),
                ("rowsEmitted", self.rows_emitted),
                ("rowsShadowed", self.rows_shadowed),
                ("rowsExpired", self.rows_expired),
                ("rowsOnlyTombstones", self.rows_only_tombstones),
                ("rowsFiltered", self.rows_filtered),
                ("rowsQuarantined", self.rows_quarantined),
            ],
        )?;
        equal(
            ("recordsEmitted", self.records_emitted),
            &[
                ("rowsEmitted", self.rows_emitted),
                ("staticOnlyEmitted", self.static_only_emitted),
                ("recordsExpanded", self.records_expanded),
            ],
        )?;
        equal(
            ("cellsRead", self.cells_read),
            &[
                ("cellsEmitted", self.cells_emitted),
                ("cellsSuperseded", self.cells_superseded),
                ("cellsShadowed", self.cells_shadowed),
                ("cellsExpired", self.cells_expired),
                ("cellsDropped", self.cells_dropped),
                ("cellsHidden", self.cells_hidden),
                ("cellsFiltered", self.cells_filtered),
                ("cellsQuarantined", self.cells_quarantined),
                ("cellTombstones", self.cell_tombstones),
            ],
        )
    }
}

fn equal(total: (&str, u64), parts: &[(&str, u64)]) -> Result<(), String> {
    let sum: u128 = parts.iter().map(|(_, value)| u128::from(*value)).sum();
    if sum == u128::from(total.1) {
        return Ok(());
    }
    let parts: Vec<_> = parts.iter().map(|(name, value)| format!("{name} {value}")).collect();
    Err(format!("{} {} is not the sum {sum} of {}", total.0, total.1, parts.join(" + ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balanced() -> Books {
        Books {
            rows_read: 28,
            rows_merged: 1,
            rows_emitted: 2,
            rows_shadowed: 3,
            rows_expired: 4,
            rows_only_tombstones: 5,
            rows_filtered: 6,
            rows_quarantined: 7,
            records_emitted: 19,
            static_only_emitted: 8,
            records_expanded: 9,
            cells_read: 45,
            cells_emitted: 1,
            cells_superseded: 2,
            cells_shadowed: 3,
            cells_expired: 4,
            cells_dropped: 5,
            cells_hidden: 6,
            cells_filtered: 7,
            cells_quarantined: 8,
            cell_tombstones: 9,
            ..Books::default()
        }
    }

    #[test]
    fn every_counter_of_an_equation_matters() {
        assert_eq!(balanced().check(), Ok(()));
        let value = serde_json::to_value(balanced()).unwrap();
        let mut broken = 0;
        for (name, _) in value.as_object().unwrap() {
            let mut changed = value.clone();
            changed[name] = serde_json::json!(changed[name].as_u64().unwrap() + 1);
            let books: Books = serde_json::from_value(changed).unwrap();
            if let Err(words) = books.check() {
                assert!(words.contains(name.as_str()), "{words}");
                broken += 1;
            }
        }
        // 8 of rows, 3 more of records, 10 of cells.
        assert_eq!(broken, 21);
    }

    #[test]
    fn merging_adds_every_counter() {
        let value = serde_json::to_value(Books::default()).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
        let numbered: serde_json::Map<_, _> =
            names.iter().enumerate().map(|(i, name)| (name.clone(), (i + 1).into())).collect();
        let books: Books = serde_json::from_value(numbered.clone().into()).unwrap();
        let mut sum = books;
        sum.merge(&books);
        let sum = serde_json::to_value(sum).unwrap();
        for (name, one) in &numbered {
            assert_eq!(sum[name].as_u64().unwrap(), 2 * one.as_u64().unwrap(), "{name}");
        }
        assert_eq!(names.len(), 29);
    }
}
