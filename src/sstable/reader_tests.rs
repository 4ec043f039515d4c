//! Partitions found with and without an index.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::cql::{CqlType, MarshalType};
use crate::rows::codec::HeaderColumn;
use crate::schema::{ColumnKind, ColumnMetadata, CompactKind, RowOrder};

/// A table made of what the header says, good enough to decode with.
fn table_of(descriptor: &Descriptor) -> TableMetadata {
    let path = descriptor.path(Component::Statistics);
    let header = Statistics::read(&path, descriptor.version).unwrap().header.unwrap();
    let column = |name: &str, cql_type: &CqlType, kind| ColumnMetadata {
        name: name.into(),
        cql_type: cql_type.clone(),
        kind,
        reversed: false,
        mask: None,
    };
    let columns = |columns: &[HeaderColumn], kind| {
        columns.iter().map(|c| column(&c.name, &c.cql_type, kind)).collect()
    };
    let clustering = |t: &MarshalType| ColumnMetadata {
        reversed: t.reversed,
        ..column("ck", &t.cql_type, ColumnKind::Clustering)
    };
    TableMetadata {
        keyspace: "ks".into(),
        name: "t".into(),
        id: None,
        partition_key: vec![column("pk", &header.key_type, ColumnKind::PartitionKey)],
        clustering: header.clustering_types.iter().map(clustering).collect(),
        statics: columns(&header.statics, ColumnKind::Static),
        regulars: columns(&header.regulars, ColumnKind::Regular),
        dropped: Vec::new(),
        compact: CompactKind::None,
        counter: false,
        gc_grace_seconds: 0,
        default_time_to_live: 0,
        options: BTreeMap::new(),
        view: None,
        indexes: Vec::new(),
        order: RowOrder::default(),
    }
}

fn partitions(
    descriptor: &Descriptor,
    table: &TableMetadata,
    index: bool,
) -> Vec<PartitionPosition> {
    let reader = SstableReader::open(descriptor, table, ReadMode::Read).unwrap();
    assert_eq!(reader.has_index(), index, "{}", descriptor.path(Component::Data).display());
    let mut out: Vec<PartitionPosition> = Vec::new();
    while let Some(next) = reader.first_after(out.last().map(|p| p.token)).unwrap() {
        out.push(next);
    }
    out
}

fn data_files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            data_files(&path, out);
        } else if path.to_string_lossy().ends_with("-Data.db") {
            out.push(path);
        }
    }
}

#[test]
fn without_index_the_same_partitions_are_found_static_rows_or_not() {
    let mut with_statics = 0;
    for line in ["3.0", "3.11", "4.0", "4.1", "5.0", "5.0-bti"] {
        let mut files = Vec::new();
        for table in ["statics", "deletes"] {
            let data = format!("testdata/{line}/data/{table}");
            data_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(data), &mut files);
        }
        assert!(files.len() > 3, "{line}");
        for file in files {
            let (descriptor, _) = Descriptor::parse(&file).unwrap().unwrap();
            let table = table_of(&descriptor);
            with_statics += usize::from(!table.statics.is_empty());
            let folder = tempfile::tempdir().unwrap();
            let prefix = descriptor.prefix();
            let own = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
            for path in own {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let indexed = ["-Index.db", "-Summary.db", "-Partitions.db", "-Rows.db"]
                    .iter()
                    .any(|component| name.ends_with(component));
                if name.starts_with(&prefix) && !indexed {
                    std::fs::copy(&path, folder.path().join(name)).unwrap();
                }
            }
            let copy = folder.path().join(file.file_name().unwrap());
            let (copy, _) = Descriptor::parse(&copy).unwrap().unwrap();
            let expected = partitions(&descriptor, &table, true);
            assert!(!expected.is_empty());
            assert_eq!(partitions(&copy, &table, false), expected, "{}", file.display());
        }
    }
    assert!(with_statics >= 5);
}
