//! A directory as a store.
//!
//! An object is written under a hidden temporary name beside its own and renamed when it is whole. Data files are made
//! durable behind the back of their writers: [`LocalStore::sync`] waits for that, before the manifest that names them is
//! written, so a crash of the machine can lose them only while no manifest says that they are there.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::lock::{PathLock, is_lock};
use super::object::{
    Checksum, ListedObject, ObjectMeta, ObjectReader, ObjectVersion, ObjectWriter, PutOutcome,
    ReplaceOutcome, Store, VersionedObject, check_name,
};
use super::pieces::read_piece;
use super::syncer::Syncer;
use crate::error::{Error, Result};
use crate::io::replace_file;

/// Attempts at a temporary name that no other process uses.
const TEMPORARY_NAMES: u32 = 1000;

/// Folders below folders that [`Store::list`] follows; our layout has four.
const MAX_DEPTH: usize = 64;

/// Bytes that are read of an object at once.
const PIECE: usize = 256 << 10;

/// A directory as a store.
#[derive(Debug, Clone)]
pub struct LocalStore {
    root: PathBuf,
    syncer: Arc<Syncer>,
}

impl LocalStore {
    /// The store in `root`; the directory is made if it is not there.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(output("create the directory", root))?;
        Ok(Self { root: root.to_path_buf(), syncer: Arc::default() })
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.root.join(name))
    }

    /// The path of an object to be written, with the folders above it made.
    fn new_path(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name)?;
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(output("create the directory", parent))?;
        }
        Ok(path)
    }

    /// Calls `visit` with name, path and file name of every file whose name begins with `prefix`, temporary ones too.
    fn walk(&self, prefix: &str, visit: &mut dyn FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        // Only the folder part is a place to look in; it may be of somebody else's making.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() {
            check_name(folder)?;
        }
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.walk_folder(&self.root.join(folder), &start, prefix, MAX_DEPTH, visit)
    }

    fn walk_folder(
        &self,
        folder: &Path,
        above: &str,
        prefix: &str,
        depth: usize,
        visit: &mut dyn FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(());
            }
            Err(error) => return Err(output("list", folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(output("list", folder))?;
            let path = entry.path();
            let file_name = entry.file_name().to_string_lossy().into_owned();
            let name = format!("{above}{file_name}");
            // Links are not followed into folders (they may lead round in circles), but a link to a file is a file.
            let kind = entry.file_type().map_err(output("list", &path))?;
            if kind.is_dir() {
                let below = format!("{name}/");
                if below.starts_with(prefix) || prefix.starts_with(&below) {
                    if depth == 0 {
                        return Err(output("list", &path)(std::io::Error::other(
                            "folders are nested too deeply",
                        )));
                    }
                    self.walk_folder(&path, &below, prefix, depth - 1, visit)?;
                }
                continue;
            }
            if is_lock(&file_name) {
                continue;
            }
            let finished = temporary_of(&file_name).map(|of| format!("{above}{of}"));
            if finished.as_deref().unwrap_or(&name).starts_with(prefix) {
                visit(Found { name, path: &path, temporary: finished.is_some() })?;
            }
        }
        Ok(())
    }

    /// Lets `write` fill a file that gets the name if that is free.
    fn create_if_absent(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut File) -> std::io::Result<ObjectMeta>,
    ) -> Result<PutOutcome> {
        let path = self.new_path(name)?;
        if path.try_exists().map_err(output("look for", &path))? {
            return Ok(PutOutcome::Exists);
        }
        // A name of its own: agents on several hosts may do this at once in one shared directory.
        let (temporary, mut file) = unused_temporary(&path)?;
        let published = write(&mut file)
            .and_then(|meta| file.sync_all().map(|()| meta))
            .map_err(output("write", &temporary))
            .and_then(|meta| Ok(publish_if_absent(&temporary, &path)?.then_some(meta)));
        drop(file);
        remove_quietly(&temporary);
        let Some(meta) = published? else { return Ok(PutOutcome::Exists) };
        sync_directory(path.parent().unwrap_or(&self.root))?;
        Ok(PutOutcome::Created(meta))
    }
}

/// A file met by [`LocalStore::walk`].
struct Found<'a> {
    name: String,
    path: &'a Path,
    temporary: bool,
}

impl Store for LocalStore {
    fn location(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<ObjectMeta> {
        replace_file(&self.new_path(name)?, bytes)?;
        Ok(Checksum::of(bytes))
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<PutOutcome> {
        self.create_if_absent(name, &mut |file| {
            file.write_all(bytes)?;
            Ok(Checksum::of(bytes))
        })
    }

    fn put_file_if_absent(&self, name: &str, file: &mut File) -> Result<PutOutcome> {
        self.create_if_absent(name, &mut |copy| {
            let mut sum = Checksum::default();
            let mut piece = vec![0; PIECE];
            loop {
                let read = read_piece(file, &mut piece)?;
                if read.is_empty() {
                    return Ok(sum.finish());
                }
                copy.write_all(read)?;
                sum.update(read);
            }
        })
    }

    fn put_if_unchanged(
        &self,
        name: &str,
        bytes: &[u8],
        version: &ObjectVersion,
    ) -> Result<ReplaceOutcome> {
        let path = self.new_path(name)?;
        let lock = PathLock::acquire(&path).map_err(output("lock", &path))?;
        let unchanged = self.get(name)?.is_some_and(|found| version_of(&found) == *version);
        if unchanged {
            replace_file(&path, bytes)?;
        }
        lock.release().map_err(output("unlock", &path))?;
        Ok(if unchanged {
            ReplaceOutcome::Replaced(version_of(bytes))
        } else {
            ReplaceOutcome::Changed
        })
    }

    fn get_versioned(&self, name: &str) -> Result<Option<VersionedObject>> {
        Ok(self.get(name)?.map(|bytes| VersionedObject { version: version_of(&bytes), bytes }))
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name)?;
        match File::open(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(output("read", &path))?;
                Ok(Some(bytes))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(output("read", &path)(error)),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Box<dyn ObjectReader>>> {
        let path = self.path(name)?;
        match File::open(&path) {
            Ok(file) => Ok(Some(Box::new(LocalReader {
                path,
                file,
                buf: vec![0; PIECE].into_boxed_slice(),
            }))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(output("read", &path)(error)),
        }
    }

    fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        let path = self.path(name)?;
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => {
                Ok(Some(ObjectMeta { bytes: found.len(), crc64nvme: String::new() }))
            }
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(output("look for", &path)(error)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>> {
        let mut objects = Vec::new();
        self.walk(prefix, &mut |found| {
            if found.temporary {
                return Ok(());
            }
            match std::fs::metadata(found.path) {
                Ok(metadata) => {
                    objects.push(ListedObject { name: found.name, bytes: metadata.len() });
                    Ok(())
                }
                // Removed while we looked, or a link to nowhere.
                Err(error) if is_absent(&error) => Ok(()),
                Err(error) => Err(output("look for", found.path)(error)),
            }
        })?;
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    }

    fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name)?;
        match std::fs::remove_file(&path) {
            Err(error) if !is_absent(&error) => Err(output("remove", &path)(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>> {
        let path = self.new_path(name)?;
        let temporary = temporary_path(&path, None);
        remove_quietly(&temporary);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(output("create", &temporary))?;
        Ok(Box::new(LocalWriter {
            path,
            temporary,
            file,
            syncer: Arc::clone(&self.syncer),
            sum: Checksum::default(),
            done: false,
        }))
    }

    fn sync(&self, names: &[&str]) -> Result<()> {
        self.syncer.wait().map_err(|(path, error)| output("sync", &path)(error))?;
        let mut folders = BTreeSet::from([self.root.clone()]);
        for name in names {
            let path = self.path(name)?;
            // Those of an earlier run of the same command are nobody's to wait for.
            if !self.syncer.take(&path) {
                File::open(&path)
                    .and_then(|file| file.sync_all())
                    .map_err(output("sync", &path))?;
            }
            // The folder holds the file's name, and the one above it the folder's.
            let above =
                path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
            folders.extend(above.map(Path::to_path_buf));
        }
        folders.iter().try_for_each(|folder| sync_directory(folder))
    }

    fn clean_temporaries(&self, prefix: &str) -> Result<u64> {
        let mut removed = 0;
        self.walk(prefix, &mut |found| {
            if !found.temporary {
                return Ok(());
            }
            std::fs::remove_file(found.path).map_err(output("remove", found.path))?;
            removed += 1;
            Ok(())
        })?;
        Ok(removed)
    }
}

/// A file being read.
struct LocalReader {
    path: PathBuf,
    file: File,
    buf: Box<[u8]>,
}

impl ObjectReader for LocalReader {
    fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        let piece =
            read_piece(&mut self.file, &mut self.buf).map_err(output("read", &self.path))?;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

/// A file under its temporary name.
struct LocalWriter {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    syncer: Arc<Syncer>,
    sum: Checksum,
    /// Renamed or removed: nothing is left to do when it is dropped.
    done: bool,
}

impl ObjectWriter for LocalWriter {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(output("write", &self.path))?;
        self.sum.update(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        std::fs::rename(&self.temporary, &self.path)
            .map_err(output("rename a file to", &self.path))?;
        self.done = true;
        let file = self.file.try_clone().map_err(output("sync", &self.path))?;
        self.syncer.submit(self.path.clone(), file).map_err(output("sync", &self.path))?;
        Ok(self.sum.finish())
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.done = true;
        std::fs::remove_file(&self.temporary).map_err(output("remove", &self.temporary))
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if !self.done {
            remove_quietly(&self.temporary);
        }
    }
}

fn output(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Output { action, path, source }
}

/// As in S3, the version is what the bytes are, not when they were written.
fn version_of(bytes: &[u8]) -> ObjectVersion {
    ObjectVersion(hex_simd::encode_to_string(Sha256::digest(bytes), hex_simd::AsciiCase::Lower))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// Removes a temporary file as far as that is possible: another error is on its way, or the next attempt will say what
/// is wrong; what stays is removed by [`LocalStore::clean_temporaries`].
fn remove_quietly(path: &Path) {
    drop(std::fs::remove_file(path));
}

fn sync_directory(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|directory| directory.sync_all())
        .map_err(output("sync the directory", folder))
}

/// `.NAME.tmp`, or `.NAME.~N.tmp` where several may be written at once.
fn temporary_path(path: &Path, number: Option<u32>) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    path.with_file_name(match number {
        None => format!(".{name}.tmp"),
        Some(number) => format!(".{name}.~{number}.tmp"),
    })
}

/// The name of the object that a temporary file was to become.
fn temporary_of(file_name: &str) -> Option<&str> {
    let name = file_name.strip_prefix('.')?.strip_suffix(".tmp")?;
    Some(match name.rsplit_once(".~") {
        Some((object, number)) if number.parse::<u32>().is_ok() => object,
        _ => name,
    })
}

fn unused_temporary(path: &Path) -> Result<(PathBuf, File)> {
    let mut attempt = 0;
    loop {
        let temporary = temporary_path(path, Some(attempt));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < TEMPORARY_NAMES => {
                attempt += 1;
            }
            Err(error) => return Err(output("create", &temporary)(error)),
        }
    }
}

/// Gives `temporary` the name `path` unless that is taken; false if it was.
fn publish_if_absent(temporary: &Path, path: &Path) -> Result<bool> {
    match std::fs::hard_link(temporary, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        // A file system without hard links (FAT, some network mounts): two processes in the same instant could both
        // think that they were first, which needs two agents on one such mount.
        Err(error)
            if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) =>
        {
            if path.try_exists().map_err(output("look for", path))? {
                return Ok(false);
            }
            std::fs::rename(temporary, path).map_err(output("rename a file to", path))?;
            Ok(true)
        }
        Err(error) => Err(output("create", path)(error)),
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
