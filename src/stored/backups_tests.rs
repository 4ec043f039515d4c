use std::path::Path;

use super::super::fixtures::{Corpus, answer, corpora};
use super::*;
use crate::rows::UpdateContent;
use crate::sstable::Component;

fn link(corpus: &Corpus, which: usize, folder: &Path, component: &Component) {
    std::fs::create_dir_all(folder.join("backups")).unwrap();
    let from = corpus.selected.sstables[which].descriptor.path(component);
    std::fs::copy(&from, folder.join("backups").join(from.file_name().unwrap())).unwrap();
}

fn link_all(corpus: &Corpus, which: usize, folder: &Path) {
    for component in &corpus.selected.sstables[which].components {
        link(corpus, which, folder, component);
    }
}

fn source(corpus: &Corpus, folder: &Path) -> BackupSource {
    let folders = [folder.to_path_buf()];
    BackupSource::new(Arc::clone(&corpus.table), &folders, ReadMode::Map, 1 << 20)
}

#[test]
fn an_sstable_is_taken_when_all_that_the_toc_lists_is_there() {
    let corpus = corpora(&["4.1"], |t| t.qualified_name() == "shop.orders").remove(0);
    let dir = tempfile::tempdir().unwrap();
    let mut source = source(&corpus, dir.path());
    assert_eq!(source.poll().unwrap(), None, "no folder yet");
    let sstable = &corpus.selected.sstables[1];
    let name = name_of(&sstable.descriptor);
    for (i, component) in sstable.components.iter().enumerate() {
        assert_eq!(source.poll().unwrap(), None, "{i} of {}", sstable.components.len());
        let known = sstable.components.iter().take(i).any(|c| *c == Component::Data);
        assert_eq!(source.incomplete(), if known { vec![name.clone()] } else { Vec::new() });
        link(&corpus, 1, dir.path(), component);
    }
    // One that comes later but is older is next.
    link_all(&corpus, 0, dir.path());
    let taken: Vec<_> = std::iter::from_fn(|| source.poll().unwrap()).map(|s| s.name()).collect();
    assert_eq!(taken, [name_of(&corpus.selected.sstables[0].descriptor), name.clone()]);
    assert_eq!(source.taken().collect::<Vec<_>>(), taken);
    let mut again = self::source(&corpus, dir.path());
    again.set_taken(taken[0].clone());
    assert_eq!(again.poll().unwrap().unwrap().name(), name);
    std::fs::remove_dir_all(dir.path().join("backups")).unwrap();
    assert_eq!(again.poll().unwrap(), None);
    assert_eq!(again.taken().count(), 0, "what is removed is not remembered");
}

#[test]
fn what_backups_hold_is_what_the_tables_hold() {
    let mut updates_read = 0;
    for corpus in corpora(&["3.0", "5.0"], |_| true) {
        let dir = tempfile::tempdir().unwrap();
        for which in 0..corpus.selected.sstables.len() {
            link_all(&corpus, which, dir.path());
        }
        for items in [UPDATE_ITEMS, 2] {
            let mut source = source(&corpus, dir.path());
            source.items = items;
            let mut all = Vec::new();
            while let Some(sstable) = source.poll().unwrap() {
                let mut expected = 0;
                for update in source.read(&sstable).unwrap() {
                    let (origin, update) = update.unwrap();
                    assert_eq!((origin.sstable, origin.record), (sstable.name(), expected));
                    let markers = update
                        .content
                        .iter()
                        .filter(|content| matches!(content, UpdateContent::Marker(..)));
                    assert!(update.content.len() <= items + 2, "{}", markers.count());
                    expected += update.content.len() as u64
                        + u64::from(update.static_row.is_some())
                        + u64::from(!update.deletion.is_live());
                    updates_read += 1;
                    all.push(update);
                }
            }
            let found = answer(&corpus.table, corpus.rule, all);
            assert_eq!(found, corpus.live, "{}", corpus.table.qualified_name());
        }
    }
    assert!(updates_read > 1_000, "{updates_read}");
}
