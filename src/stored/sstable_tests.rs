use super::*;
use crate::merge::ClusteringOrder;
use crate::rows::UpdateContent;
use crate::schema::parse_schema;
use crate::sstable::LargeRows;
use crate::sstable::fixtures::sstables;

/// From every row and marker of the large partitions of 2.x, what is read from a block on is what is read from the beginning on.
#[test]
fn blocks_of_atoms_give_what_the_whole_partition_gives() {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fixtures-legacy.cql");
    let schema = parse_schema(&std::fs::read_to_string(path).unwrap(), None).unwrap();
    let rows = Arc::new(WorkerRows::new(Arc::new(LargeRows::new(usize::MAX))));
    let limits = PartLimits { items: usize::MAX, bytes: usize::MAX };
    let (mut tables, mut skipped) = (0, 0);
    for descriptor in sstables().into_iter().filter(|found| found.version.has_atoms()) {
        let name = descriptor.directory.file_name().unwrap().to_str().unwrap();
        let Some(table) = schema.table("legacy_tables", name) else { continue };
        let table = Arc::new(table.clone());
        let order = ClusteringOrder::new(&table);
        let stored = StoredSstable::open(&descriptor, &table, ReadMode::Map).unwrap();
        tables += 1;
        let mut entries = stored.reader.index().unwrap().entries();
        while let Some(entry) = entries.next_entry().unwrap() {
            let Some((position, Some(place))) = stored.find(entry.key).unwrap() else {
                continue;
            };
            let read = |slice: &Slice, place| {
                let at = (position.clone(), place);
                let part = stored.read(&table, &order, at, Some(slice), limits, &rows).unwrap();
                (format!("{:?} {:?}", part.update.static_row, part.update.content), part.update)
            };
            let (_, whole) = read(&Slice::all(), None);
            let every = whole.content.len() / 12 + 1;
            for content in whole.content.iter().step_by(every) {
                let (UpdateContent::Row(row) | UpdateContent::Marker(_, row)) = content;
                let values: Vec<_> = row.clustering.iter().map(|v| v.bytes(&whole.data)).collect();
                for start in [SliceBound::before(&values), SliceBound::after(&values)] {
                    let block = stored.block_of(&place, &order, &start).unwrap();
                    skipped += u64::from(block.is_some());
                    for end in [SliceBound::after(&values), SliceBound::after(&[])] {
                        let slice = Slice { start: start.clone(), end };
                        let (by_index, update) = read(&slice, Some(place.clone()));
                        let (from_begin, expected) = read(&slice, None);
                        assert_eq!(by_index, from_begin, "{descriptor} {slice:?}");
                        assert_eq!(update.data, expected.data, "{descriptor} {slice:?}");
                    }
                }
            }
        }
    }
    assert!(tables == 0 || tables > 20 && skipped > 100, "{tables} {skipped}");
}
