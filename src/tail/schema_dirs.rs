//! Whether anything has changed where the definitions of tables are read from.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::discover::{InputOptions, SchemaOption, Source};

/// For this long after a change the directories count as changed: the times of files have the grain of the kernel's clock, so
/// a second change may not show.
const SETTLES: Duration = Duration::from_secs(2);
/// Keyspaces whose tables hold definitions.
const OF_SCHEMA: [&str; 2] = ["system_schema", "system"];
/// Of the keyspace `system`, tables with these names.
const OF_SYSTEM: [&str; 2] = ["schema_", "local"];

/// Change time and inode; none if it is not there.
type Stamp = Option<(i64, i64, u64)>;

/// The directories that [`Source::open`] reads definitions and folders of tables from, as they were when it did. To look at
/// them costs a system call each; to read a large node's directories anew takes seconds.
#[derive(Debug, Default)]
pub(super) struct SchemaDirs {
    stamps: BTreeMap<PathBuf, Stamp>,
    changed_at: Option<Instant>,
}

impl SchemaDirs {
    /// The directories of `source`, which was just read.
    pub(super) fn new(source: &Source, input: &InputOptions) -> Self {
        let mut dirs = Self::default();
        dirs.renew(source, input);
        dirs
    }

    /// True if they may be otherwise than when they were read. Nothing is known of input without a data root: that is always
    /// otherwise.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut changed = self.stamps.is_empty();
        for (path, stamp) in &mut self.stamps {
            let now = stamp_of(path);
            changed |= now != *stamp;
            *stamp = now;
        }
        if changed {
            self.changed_at = Some(Instant::now());
        }
        self.changed_at.is_some_and(|at| at.elapsed() < SETTLES)
    }

    /// They were not read after all: they count as changed until they are.
    pub(super) fn were_not_read(&mut self) {
        self.stamps.clear();
    }

    /// Takes the directories of `source`, which was read after the last [`SchemaDirs::have_changed`].
    pub(super) fn renew(&mut self, source: &Source, input: &InputOptions) {
        let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
        let dirs = &source.dirs;
        paths.extend(dirs.roots.iter().chain(&dirs.enclosing).cloned());
        if paths.is_empty() {
            self.stamps.clear();
            return;
        }
        for table in dirs.tables.iter().chain(&dirs.surrounding) {
            // New folders of tables show in the keyspace's.
            paths.extend(table.folders.iter().filter_map(|folder| folder.parent()).map(Into::into));
            let of_schema = OF_SCHEMA.contains(&table.keyspace.as_str())
                && (table.keyspace != "system"
                    || OF_SYSTEM.iter().any(|name| table.table.starts_with(name)));
            if of_schema {
                paths.extend(table.folders.iter().cloned());
            }
        }
        if let SchemaOption::File(path) = &input.schema {
            paths.insert(path.clone());
        }
        // Those known have the stamps of before they were read; of new ones a change meanwhile cannot be excluded.
        let known = std::mem::take(&mut self.stamps);
        for path in paths {
            let stamp = known.get(&path).copied().unwrap_or_else(|| {
                self.changed_at = Some(Instant::now());
                stamp_of(&path)
            });
            self.stamps.insert(path, stamp);
        }
    }
}

fn stamp_of(path: &PathBuf) -> Stamp {
    std::fs::metadata(path).ok().map(|found| (found.ctime(), found.ctime_nsec(), found.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_schema_shows_and_one_of_a_table_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        for keyspace in ["system", "system_schema", "shop"] {
            for folder in std::fs::read_dir(format!("testdata/4.1/data/{keyspace}")).unwrap() {
                let folder = folder.unwrap();
                let to = root.join(keyspace).join(folder.file_name());
                std::fs::create_dir_all(&to).unwrap();
                for file in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
                    if file.file_type().unwrap().is_file() {
                        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
                    }
                }
            }
        }
        let input = InputOptions { data_dirs: vec![root.clone()], ..InputOptions::default() };
        let source = Source::open(&input, 0).unwrap();
        let mut dirs = SchemaDirs::new(&source, &input);
        assert!(dirs.have_changed(), "they may have changed while they were read");
        dirs.changed_at = None;
        assert!(!dirs.have_changed());
        let folder = |keyspace: &str, table: &str| {
            let dirs = source.dirs.tables.iter();
            let mut found = dirs.filter(|d| d.keyspace == keyspace && d.table.starts_with(table));
            found.next().unwrap().folders[0].clone()
        };
        let user = source.dirs.tables.iter().find(|t| !t.keyspace.starts_with("system")).unwrap();
        std::fs::write(user.folders[0].join("nb-99-big-Data.db"), b"").unwrap();
        assert!(!dirs.have_changed());
        std::fs::write(folder("system_schema", "columns").join("nb-99-big-Data.db"), b"").unwrap();
        assert!(dirs.have_changed());
        assert!(dirs.have_changed(), "more may come in the same tick");
        dirs.changed_at = None;
        assert!(!dirs.have_changed());
        std::fs::create_dir(root.join(&user.keyspace).join("new-00000000000000000000000000000001"))
            .unwrap();
        assert!(dirs.have_changed());
        dirs.changed_at = None;
        dirs.were_not_read();
        assert!(dirs.have_changed());
    }
}
