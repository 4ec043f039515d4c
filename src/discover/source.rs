//! The input of a run: data directories, the schema, the node.

use std::path::{Path, PathBuf};

use crate::dht::Partitioner;
use crate::error::{Error, Result};
use crate::io::ReadMode;
use crate::merge::TieBreak;
use crate::schema::{Schema, TableMetadata};
use crate::sstable::Component;
use crate::sstable::stats::Statistics;

use super::data_dir::named;
use super::legacy_leftovers::{Unfinished, leave_out, unfinished_compactions};
use super::options::{InputOptions, NodeDirs};
use super::ring::{Addresses, KnownRing, read_ring};
use super::system_rows::read_rows;
use super::{
    DataDirs, HostInfo, LiveSstable, RawRow, ScanOptions, Selection, SystemTables, TablePatterns,
    find_schema, read_legacy_schema, select_tables, system_table,
};

/// Everything that is known about the input before a row is read.
#[derive(Debug)]
pub struct Source {
    /// Directories and live SSTables.
    pub dirs: DataDirs,
    /// The schema.
    pub schema: Schema,
    /// The node, from `system.local`; none where that is not there, and of several nodes.
    pub host: Option<HostInfo>,
    /// The nodes given, in the order given; one without a name where only directories were.
    pub nodes: Vec<SourceNode>,
    /// The ring that these nodes are part of.
    pub ring: KnownRing,
    /// Where its nodes are reached, as far as that is known.
    pub addresses: Addresses,
    /// How partitions are ordered and placed.
    pub partitioner: Partitioner,
    release: Option<String>,
    warnings: Vec<String>,
}

/// One node of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceNode {
    /// What the user calls it; empty where there is only one.
    pub name: String,
    /// Its directories.
    dirs: Vec<PathBuf>,
    /// What it says of itself.
    pub host: Option<HostInfo>,
}

/// Reads system tables from the SSTables of the directories.
struct DiskTables<'a> {
    dirs: &'a DataDirs,
    mode: ReadMode,
    now: i64,
}

impl SystemTables for DiskTables<'_> {
    fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>> {
        match self.dirs.system_table(table) {
            Some(dir) => read_live(table, &dir.sstables, self.mode, self.now),
            None => Ok(Vec::new()),
        }
    }
}

fn read_live(
    table: &TableMetadata,
    sstables: &[LiveSstable],
    mode: ReadMode,
    now: i64,
) -> Result<Vec<RawRow>> {
    let descriptors: Vec<_> = sstables.iter().map(|sstable| sstable.descriptor.clone()).collect();
    read_rows(table, &descriptors, mode, now)
}

impl Source {
    /// Looks at the directories and reads schema and node from them. `now`: the clock, seconds.
    pub fn open(options: &InputOptions, now: i64) -> Result<Self> {
        let scan = ScanOptions { snapshot: options.snapshot.clone(), backups: options.backups };
        let given = given_nodes(options);
        let paths: Vec<PathBuf> = given.iter().flat_map(|node| node.dirs.clone()).collect();
        let mut dirs = DataDirs::scan(&paths, &scan)?;
        let mode = options.read_mode;
        let unfinished = unfinished_compactions(&mut DiskTables { dirs: &dirs, mode, now })
            .unwrap_or_else(|error| {
                dirs.warnings
                    .push(format!("system.compactions_in_progress cannot be read: {error}"));
                Unfinished::new()
            });
        leave_out(&mut dirs, &unfinished);
        let mut tables = DiskTables { dirs: &dirs, mode, now };
        let mut legacy = DiskTables { dirs: &dirs, mode, now };
        let mut schema = find_schema(&dirs, &options.schema, &mut tables, &mut || {
            read_legacy_schema(&mut legacy)
        })?;
        let mut warnings = dirs.warnings.clone();
        let nodes = read_nodes(given, &dirs, mode, now, &mut warnings)?;
        let hosts: Vec<&HostInfo> = nodes.iter().filter_map(|node| node.host.as_ref()).collect();
        let partitioner = find_partitioner(&hosts, &dirs);
        let (ring, addresses) =
            read_ring(&hosts, &partitioner, &mut tables).unwrap_or_else(|error| {
                let why = format!("system.peers cannot be read: {error}");
                (KnownRing::Unclear(why), Addresses::new())
            });
        let mut releases: Vec<_> =
            hosts.iter().filter_map(|host| host.release_version.clone()).collect();
        releases.dedup();
        if releases.len() > 1 && options.cassandra_version.is_none() {
            warnings.push(format!(
                "the nodes ran different releases ({}): cells with equal write times are told apart as the first does; \
                 --cassandra-version says otherwise",
                releases.join(", ")
            ));
        }
        let release = options.cassandra_version.clone().or_else(|| releases.into_iter().next());
        if let Some(release) = &release {
            schema.order_as(release);
        }
        let host = match nodes.as_slice() {
            [only] => only.host.clone(),
            _ => None,
        };
        if release.as_deref().and_then(TieBreak::of_release).is_none() {
            warnings.push(
                "the release of Cassandra is not known (no system.local): cells with equal write times are told apart as \
                 from 4.0 on; --cassandra-version says otherwise"
                    .into(),
            );
        }
        Ok(Self { dirs, schema, host, nodes, ring, addresses, partitioner, release, warnings })
    }

    /// The live rows of one of the own tables of the node at a place among [`Source::nodes`].
    pub(super) fn system_rows_of(
        &self,
        node: usize,
        table: &TableMetadata,
        mode: ReadMode,
        now: i64,
    ) -> Result<Vec<RawRow>> {
        let Some(dir) = self.dirs.system_table(table) else { return Ok(Vec::new()) };
        let sstables = dir.sstables.iter();
        let of_node = |s: &&LiveSstable| self.node_of(&s.descriptor.directory) == Some(node);
        let sstables: Vec<_> = sstables.filter(of_node).cloned().collect();
        read_live(table, &sstables, mode, now)
    }

    /// Things the user should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The release whose rules hold.
    pub fn release_version(&self) -> Option<String> {
        self.release.clone()
    }

    /// How cells of equal write time are told apart.
    pub fn tie_break(&self) -> TieBreak {
        self.release.as_deref().and_then(TieBreak::of_release).unwrap_or(TieBreak::From40)
    }

    /// The tables that `options` select, and why others are left out.
    pub fn select(&self, options: &InputOptions) -> Result<Selection> {
        let patterns = TablePatterns {
            keyspaces: options.keyspaces.clone(),
            tables: options.tables.clone(),
            excludes: options.exclude.clone(),
        };
        select_tables(&self.schema, &self.dirs, &patterns)
    }

    /// The place among [`Source::nodes`] of the node that a file is of.
    pub fn node_of(&self, path: &Path) -> Option<usize> {
        match self.nodes.as_slice() {
            [_] => Some(0),
            nodes => {
                nodes.iter().position(|node| node.dirs.iter().any(|dir| path.starts_with(dir)))
            }
        }
    }

    /// A path as the manifest names it: relative to its data root, after the name of its node if there are several.
    pub fn relative(&self, path: &Path) -> String {
        let inside = self.in_root(path);
        let node = self.nodes.iter().find(|node| node.dirs.iter().any(|dir| path.starts_with(dir)));
        match node {
            Some(node) if !node.name.is_empty() => format!("{}/{inside}", node.name),
            _ => inside,
        }
    }

    fn in_root(&self, path: &Path) -> String {
        let mut roots = self.dirs.roots.iter().chain(&self.dirs.enclosing);
        match roots.find_map(|root| path.strip_prefix(root).ok()) {
            Some(inside) => inside.display().to_string(),
            None => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        }
    }
}

/// The partitioner of the cluster: as `system.local` says, else that of the first SSTable whose partitions it orders.
fn find_partitioner(hosts: &[&HostInfo], dirs: &DataDirs) -> Partitioner {
    if let Some(class) = hosts.iter().find_map(|host| host.partitioner.as_deref()) {
        return Partitioner::from_class(class);
    }
    let sstables = dirs.tables.iter().flat_map(|dir| &dir.sstables);
    let of_sstable = |sstable: &LiveSstable| {
        let path = sstable.descriptor.path(Component::Statistics);
        // What cannot be read is told when it is opened.
        let statistics = Statistics::read(&path, sstable.descriptor.version).ok()?;
        Some(statistics.validation.partitioner)
    };
    sstables
        .filter_map(of_sstable)
        .find(Partitioner::has_token_order)
        .unwrap_or(Partitioner::Murmur3)
}

/// The nodes as given; directories alone are of one node.
fn given_nodes(options: &InputOptions) -> Vec<NodeDirs> {
    if options.nodes.is_empty() {
        return vec![NodeDirs { name: String::new(), dirs: options.data_dirs.clone() }];
    }
    options.nodes.clone()
}

/// Reads who each node is. Directories of several nodes given as one are refused, for replicas are not disks, and so is one
/// node given as two, which would count its counters twice over in the books.
fn read_nodes(
    given: Vec<NodeDirs>,
    dirs: &DataDirs,
    mode: ReadMode,
    now: i64,
    warnings: &mut Vec<String>,
) -> Result<Vec<SourceNode>> {
    let local = system_table("system", "local")?;
    let by_root = dirs.by_root(&local);
    let mut nodes = Vec::new();
    for NodeDirs { name, dirs } in given {
        // As the roots are named, whatever the working directory is.
        let dirs = dirs.iter().map(|dir| named(dir)).collect::<Result<Vec<_>>>()?;
        let mut known: Option<(HostInfo, &Path)> = None;
        let ours =
            |root: &Path| dirs.iter().any(|dir| root.starts_with(dir) || dir.starts_with(root));
        for (root, sstables) in by_root.iter().filter(|(root, _)| ours(root)) {
            // A node that cannot be read is not worth stopping for where nothing but its name and its ties are asked of it.
            let host = match read_live(&local, sstables, mode, now)
                .and_then(|rows| HostInfo::from_rows(&rows))
            {
                Ok(Some(host)) => host,
                Ok(None) => continue,
                Err(error) => {
                    warnings.push(format!("system.local cannot be read: {error}"));
                    continue;
                }
            };
            match &known {
                Some((other, first)) if other.host_id != host.host_id => {
                    let id =
                        |host: &HostInfo| host.host_id.map(|id| id.to_string()).unwrap_or_default();
                    return Err(Error::Usage {
                        what: format!(
                            "{} and {} are of different nodes ({} and {})",
                            first.display(),
                            root.display(),
                            id(other),
                            id(&host)
                        ),
                        hint: Some(
                            "give each node with --node NAME=DIR, which reconciles their replicas, or extract one node at a time"
                                .into(),
                        ),
                    });
                }
                _ => known = Some((host, root)),
            }
        }
        let host = known.map(|(host, _)| host);
        let same = |node: &&SourceNode| {
            let id = |host: &Option<HostInfo>| host.as_ref().and_then(|host| host.host_id);
            id(&host).is_some() && id(&node.host) == id(&host)
        };
        if let Some(other) = nodes.iter().find(same) {
            return Err(Error::usage(format!(
                "--node {} and --node {name} are the same node",
                other.name
            )));
        }
        nodes.push(SourceNode { name, dirs, host });
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests run in the package's directory.
    #[test]
    fn a_node_is_known_by_a_relative_path_too() {
        let options = |dir: &Path| InputOptions {
            data_dirs: vec![dir.to_owned()],
            ..InputOptions::default()
        };
        let relative = Path::new("testdata/3.11/data");
        for dir in [
            relative,
            &std::path::absolute(relative).unwrap(),
            Path::new("src/../testdata/3.11/data"),
        ] {
            let source = Source::open(&options(dir), 0).unwrap();
            assert_eq!(source.release_version().as_deref(), Some("3.11.19"), "{}", dir.display());
            let file = source.dirs.tables[0].sstables[0].descriptor.directory.join("x");
            assert!(!Path::new(&source.relative(&file)).is_absolute());
        }
    }
}
