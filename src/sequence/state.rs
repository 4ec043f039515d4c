//! The state on the local disk: touched rows, what is read of which object, and what expires when, in one `redb` file.
//!
//! Each batch is one transaction, committed after its files are confirmed: a process that dies leaves the state of the batch
//! before. What the state says can all be made again from the journal and the change records.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::dht::Token;
use crate::error::{Error, Result};
use crate::io::rename_file;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const INPUTS: TableDefinition<'_, &str, u64> = TableDefinition::new("inputs");
const TABLES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tables");
const PARTITIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("partitions");
const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const EXPIRIES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("expiries");

/// Version of what stands in it.
const VERSION: u32 = 1;
/// Of [`INPUTS`]: all of the object was read.
const DONE: u64 = u64::MAX;
const FILE: &str = "sequence.redb";
/// While it is made.
const UNFINISHED: &str = ".sequence.redb.tmp";

/// Where the sequencer stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Standing {
    version: u32,
    /// The settings' id.
    pub(super) id: String,
    /// Batches done.
    pub(super) batches: u64,
    /// Change files written; of `dms` and `jsonl` the number of the last one.
    pub(super) files: u64,
    /// Of `datalake`: the time in the name of the last file.
    pub(super) stamp: i64,
    /// The clock of the last batch.
    pub(super) clock: i64,
    /// Fingerprint of its entry.
    pub(super) entry: String,
    /// Rows written.
    pub(super) rows: u64,
}

/// A table as the state keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptTable {
    /// In keys.
    pub(super) number: u32,
    /// Schema records that made its definition, in order.
    pub(super) definitions: Vec<String>,
    /// Names of static and regular columns, of each layout.
    pub(super) layouts: Vec<(Vec<String>, Vec<String>)>,
    /// Why nothing of it is written any more.
    pub(super) stopped: Option<String>,
    /// Records that were not used for that.
    pub(super) held: u64,
    /// Rows that the profile cannot carry.
    pub(super) refused: u64,
    /// Rows written.
    pub(super) rows: u64,
}

/// The file.
pub(super) struct StateStore {
    path: PathBuf,
    database: Database,
}

/// What of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadSoFar {
    /// So many records.
    Records(u64),
    /// All of it.
    All,
}

fn failed(path: &Path, action: &'static str, error: impl std::fmt::Display) -> Error {
    Error::Output {
        action,
        path: path.to_path_buf(),
        source: std::io::Error::other(error.to_string()),
    }
}

impl StateStore {
    /// Opens the state in `directory`, which is made if it is not there.
    pub(super) fn open(directory: &Path, cache: usize) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|source| Error::Output {
            action: "create the directory",
            path: directory.to_path_buf(),
            source,
        })?;
        let path = directory.join(FILE);
        let is_there = path.try_exists().map_err(|e| failed(&path, "look for", e))?;
        if is_there { Self::open_file(path, cache) } else { Self::make(path, cache) }
    }

    /// Makes the state under another name first: a process that dies meanwhile, or a full disk, leaves what is none.
    fn make(path: PathBuf, cache: usize) -> Result<Self> {
        let unfinished = path.with_file_name(UNFINISHED);
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::Output { action: "remove", path: unfinished, source: error });
            }
            _ => {}
        }
        let made = Self::open_file(unfinished.clone(), cache)?;
        rename_file(&unfinished, &path)?;
        Ok(Self { path, ..made })
    }

    fn open_file(path: PathBuf, cache: usize) -> Result<Self> {
        let opened = redb::Builder::new().set_cache_size(cache).create(&path);
        let database = opened.map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::Refused {
                what: format!("another sequencer uses the state {}", path.display()),
                hint: Some("one process per --state-dir".to_owned()),
            },
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() != std::io::ErrorKind::InvalidData =>
            {
                Error::Output { action: "open", path: path.clone(), source }
            }
            other => Error::Refused {
                what: format!("the state {} cannot be opened: {other}", path.display()),
                hint: Some("remove it: it is made again from the change records".to_owned()),
            },
        })?;
        let this = Self { path, database };
        this.prepare()?;
        Ok(this)
    }

    /// Makes the tables, so that reading finds them.
    fn prepare(&self) -> Result<()> {
        let transaction = self.begin()?;
        transaction.tables()?;
        transaction.commit()
    }

    fn fail(&self, action: &'static str, error: impl std::fmt::Display) -> Error {
        failed(&self.path, action, error)
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Result<Transaction<'_>> {
        let inner = self.database.begin_write().map_err(|e| self.fail("write", e))?;
        Ok(Transaction { path: &self.path, inner })
    }

    /// Where the sequencer stands; the default if nothing was done.
    pub(super) fn standing(&self) -> Result<Standing> {
        let read = self.database.begin_read().map_err(|e| self.fail("read", e))?;
        let table = read.open_table(META).map_err(|e| self.fail("read", e))?;
        let Some(bytes) = table.get("standing").map_err(|e| self.fail("read", e))? else {
            return Ok(Standing { version: VERSION, ..Standing::default() });
        };
        let standing: Standing =
            serde_json::from_slice(bytes.value()).map_err(|e| self.fail("read", e))?;
        if standing.version != VERSION {
            return Err(Error::Refused {
                what: format!(
                    "the state {} has version {}, this program has {VERSION}",
                    self.path.display(),
                    standing.version
                ),
                hint: Some("remove it: it is made again from the change records".to_owned()),
            });
        }
        Ok(standing)
    }

    /// All tables, by `keyspace.table`.
    pub(super) fn tables(&self) -> Result<Vec<(String, KeptTable)>> {
        let read = self.database.begin_read().map_err(|e| self.fail("read", e))?;
        let table = read.open_table(TABLES).map_err(|e| self.fail("read", e))?;
        let mut out = Vec::new();
        for entry in table.iter().map_err(|e| self.fail("read", e))? {
            let (name, bytes) = entry.map_err(|e| self.fail("read", e))?;
            let kept = serde_json::from_slice(bytes.value()).map_err(|e| self.fail("read", e))?;
            out.push((name.value().to_owned(), kept));
        }
        Ok(out)
    }

    /// What was read of the object `name`.
    pub(super) fn read_so_far(&self, name: &str) -> Result<ReadSoFar> {
        let read = self.database.begin_read().map_err(|e| self.fail("read", e))?;
        let table = read.open_table(INPUTS).map_err(|e| self.fail("read", e))?;
        let found = table.get(name).map_err(|e| self.fail("read", e))?;
        Ok(match found.map(|found| found.value()) {
            None => ReadSoFar::Records(0),
            Some(DONE) => ReadSoFar::All,
            Some(records) => ReadSoFar::Records(records),
        })
    }

    /// When something expires next, in seconds since 1970.
    pub(super) fn next_expiry(&self) -> Result<Option<i64>> {
        let read = self.database.begin_read().map_err(|e| self.fail("read", e))?;
        let table = read.open_table(EXPIRIES).map_err(|e| self.fail("read", e))?;
        let first = table.first().map_err(|e| self.fail("read", e))?;
        Ok(first.and_then(|(key, _)| expiry_time(key.value())))
    }
}

/// A batch's transaction; dropped, it changes nothing.
pub(super) struct Transaction<'a> {
    path: &'a Path,
    inner: WriteTransaction,
}

impl Transaction<'_> {
    /// Opens the tables.
    pub(super) fn tables(&self) -> Result<StateTables<'_>> {
        let fail = |e: redb::TableError| failed(self.path, "read", e);
        Ok(StateTables {
            path: self.path,
            meta: self.inner.open_table(META).map_err(fail)?,
            inputs: self.inner.open_table(INPUTS).map_err(fail)?,
            tables: self.inner.open_table(TABLES).map_err(fail)?,
            partitions: self.inner.open_table(PARTITIONS).map_err(fail)?,
            rows: self.inner.open_table(ROWS).map_err(fail)?,
            expiries: self.inner.open_table(EXPIRIES).map_err(fail)?,
        })
    }

    /// Makes it all durable.
    pub(super) fn commit(self) -> Result<()> {
        let path = self.path;
        self.inner.commit().map_err(|e| failed(path, "write", e))
    }
}

/// The tables, open for writing.
pub(super) struct StateTables<'t> {
    path: &'t Path,
    meta: redb::Table<'t, &'static str, &'static [u8]>,
    inputs: redb::Table<'t, &'static str, u64>,
    tables: redb::Table<'t, &'static str, &'static [u8]>,
    partitions: redb::Table<'t, &'static [u8], &'static [u8]>,
    rows: redb::Table<'t, &'static [u8], &'static [u8]>,
    expiries: redb::Table<'t, &'static [u8], ()>,
}

/// Key of a partition: what rows and expiries of it begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartitionKey(pub(super) Vec<u8>);

impl PartitionKey {
    /// Of the table with the number `table`. Keys are in order of token and key; none is the beginning of another.
    pub(super) fn new(table: u32, token: Token, key: &[u8]) -> Self {
        let mut out = Vec::with_capacity(key.len() + 16);
        out.extend_from_slice(&table.to_be_bytes());
        out.extend_from_slice(&(token.0 ^ i64::MIN).to_be_bytes());
        out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(key);
        Self(out)
    }

    /// Key of a row in the table of rows.
    fn row(&self, row: &[u8]) -> Vec<u8> {
        [self.0.as_slice(), row].concat()
    }
}

/// Something that expires: a row, or a static row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) table: u32,
    pub(super) token: Token,
    /// Partition key.
    pub(super) key: Vec<u8>,
    /// Row key; none for the static row.
    pub(super) row: Option<Vec<u8>>,
}

fn expiry_key(at: i64, partition: &PartitionKey, row: Option<&[u8]>) -> Vec<u8> {
    let mut out = (at ^ i64::MIN).to_be_bytes().to_vec();
    out.extend_from_slice(&partition.0);
    out.push(u8::from(row.is_some()));
    out.extend_from_slice(row.unwrap_or_default());
    out
}

fn expiry_time(key: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(*key.first_chunk::<8>()?) ^ i64::MIN)
}

fn parse_due(key: &[u8]) -> Option<Due> {
    let (_, rest) = key.split_first_chunk::<8>()?;
    let (table, rest) = rest.split_first_chunk::<4>()?;
    let (token, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    let (is_row, row) = rest.split_first()?;
    Some(Due {
        table: u32::from_be_bytes(*table),
        token: Token(i64::from_be_bytes(*token) ^ i64::MIN),
        key: key.to_vec(),
        row: (*is_row != 0).then(|| row.to_vec()),
    })
}

impl StateTables<'_> {
    fn fail(&self, error: impl std::fmt::Display) -> Error {
        failed(self.path, "write", error)
    }

    fn put_json<T: Serialize>(&self, value: &T) -> Result<Vec<u8>> {
        serde_json::to_vec(value).map_err(|e| self.fail(e))
    }

    /// Notes where the sequencer stands.
    pub(super) fn put_standing(&mut self, standing: &Standing) -> Result<()> {
        let bytes = self.put_json(standing)?;
        self.meta
            .insert("standing", bytes.as_slice())
            .map_err(|e| failed(self.path, "write", e))?;
        Ok(())
    }

    /// Notes a table.
    pub(super) fn put_table(&mut self, name: &str, kept: &KeptTable) -> Result<()> {
        let bytes = self.put_json(kept)?;
        self.tables.insert(name, bytes.as_slice()).map_err(|e| failed(self.path, "write", e))?;
        Ok(())
    }

    /// Notes what was read of an object.
    pub(super) fn put_read(&mut self, object: &str, read: ReadSoFar) -> Result<()> {
        let records = match read {
            ReadSoFar::Records(records) => records,
            ReadSoFar::All => DONE,
        };
        self.inputs.insert(object, records).map_err(|e| failed(self.path, "write", e))?;
        Ok(())
    }

    /// The bytes of a partition.
    pub(super) fn partition(&self, key: &PartitionKey) -> Result<Option<Vec<u8>>> {
        let found = self.partitions.get(key.0.as_slice()).map_err(|e| self.fail(e))?;
        Ok(found.map(|bytes| bytes.value().to_vec()))
    }

    /// Writes a partition.
    pub(super) fn put_partition(&mut self, key: &PartitionKey, bytes: &[u8]) -> Result<()> {
        let path = self.path;
        self.partitions.insert(key.0.as_slice(), bytes).map_err(|e| failed(path, "write", e))?;
        Ok(())
    }

    /// The bytes of a row.
    pub(super) fn row(&self, partition: &PartitionKey, row: &[u8]) -> Result<Option<Vec<u8>>> {
        let key = partition.row(row);
        let found = self.rows.get(key.as_slice()).map_err(|e| self.fail(e))?;
        Ok(found.map(|bytes| bytes.value().to_vec()))
    }

    /// Writes a row.
    pub(super) fn put_row(
        &mut self,
        partition: &PartitionKey,
        row: &[u8],
        bytes: &[u8],
    ) -> Result<()> {
        let path = self.path;
        self.rows
            .insert(partition.row(row).as_slice(), bytes)
            .map_err(|e| failed(path, "write", e))?;
        Ok(())
    }

    /// Keys of at most `most` rows of a partition from `from` on, or behind it.
    pub(super) fn row_keys(
        &self,
        partition: &PartitionKey,
        behind: Option<&[u8]>,
        most: usize,
    ) -> Result<Vec<Vec<u8>>> {
        let mut start = partition.row(behind.unwrap_or_default());
        if behind.is_some() {
            // The key right behind it.
            start.push(0);
        }
        let mut out = Vec::new();
        for entry in self.rows.range::<&[u8]>(start.as_slice()..).map_err(|e| self.fail(e))? {
            let (key, _) = entry.map_err(|e| self.fail(e))?;
            let Some(row) = key.value().strip_prefix(partition.0.as_slice()) else { break };
            out.push(row.to_vec());
            if out.len() >= most {
                break;
            }
        }
        Ok(out)
    }

    /// Moves the time at which something expires.
    pub(super) fn move_expiry(
        &mut self,
        partition: &PartitionKey,
        row: Option<&[u8]>,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<()> {
        let path = self.path;
        if from == to {
            return Ok(());
        }
        if let Some(from) = from {
            let key = expiry_key(from, partition, row);
            self.expiries.remove(key.as_slice()).map_err(|e| failed(path, "write", e))?;
        }
        if let Some(to) = to {
            let key = expiry_key(to, partition, row);
            self.expiries.insert(key.as_slice(), ()).map_err(|e| failed(path, "write", e))?;
        }
        Ok(())
    }

    /// What is due at `now`, at most `most` of it, the oldest first. It stays until it is moved.
    pub(super) fn due(&self, now: i64, most: usize) -> Result<Vec<Due>> {
        let mut out = Vec::new();
        for entry in self.expiries.iter().map_err(|e| self.fail(e))? {
            let (key, _) = entry.map_err(|e| self.fail(e))?;
            let key = key.value();
            if out.len() >= most || expiry_time(key).is_none_or(|at| at > now) {
                break;
            }
            out.extend(parse_due(key));
        }
        Ok(out)
    }

    /// Takes away what is due of a table of which nothing is written any more.
    pub(super) fn forget_due(&mut self, table: u32, now: i64) -> Result<()> {
        let path = self.path;
        let is_forgotten = |key: &[u8]| {
            expiry_time(key).is_some_and(|at| at <= now)
                && parse_due(key).is_none_or(|due| due.table == table)
        };
        self.expiries.retain(|key, ()| !is_forgotten(key)).map_err(|e| failed(path, "write", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_was_not_made_to_its_end_is_none() {
        let directory = tempfile::tempdir().unwrap();
        // As a process leaves it that is killed meanwhile.
        std::fs::write(directory.path().join(UNFINISHED), vec![0; 5000]).unwrap();
        let state = StateStore::open(directory.path(), 1 << 20).unwrap();
        assert_eq!(state.standing().unwrap().batches, 0);
        let again = StateStore::open(directory.path(), 1 << 20).map(drop).unwrap_err();
        assert!(again.to_string().contains("another sequencer"), "{again}");
        drop(state);
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        StateStore::open(directory.path(), 1 << 20).unwrap();
        std::fs::write(directory.path().join(FILE), vec![0; 5000]).unwrap();
        let damaged = StateStore::open(directory.path(), 1 << 20).map(drop).unwrap_err();
        assert!(damaged.to_string().contains("cannot be opened"), "{damaged}");
    }

    #[test]
    fn rows_of_a_partition_come_in_pieces_and_those_of_others_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateStore::open(directory.path(), 1 << 20).unwrap();
        let transaction = state.begin().unwrap();
        let mut tables = transaction.tables().unwrap();
        let key = |table, token, key: &[u8]| PartitionKey::new(table, Token(token), key);
        let mine = key(1, 5, b"a");
        let others = [key(1, 5, b"ab"), key(1, 5, b""), key(2, 5, b"a"), key(1, -5, b"a")];
        for (i, partition) in others.iter().enumerate() {
            tables.put_row(partition, &[u8::try_from(i).unwrap()], b"x").unwrap();
        }
        for row in [&b""[..], b"\0", b"\0\0", b"b", b"ba"] {
            tables.put_row(&mine, row, row).unwrap();
        }
        let mut seen = Vec::new();
        let mut behind: Option<Vec<u8>> = None;
        loop {
            let piece = tables.row_keys(&mine, behind.as_deref(), 2).unwrap();
            let Some(last) = piece.last().cloned() else { break };
            seen.extend(piece);
            behind = Some(last);
        }
        assert_eq!(seen, [&b""[..], b"\0", b"\0\0", b"b", b"ba"]);
        assert_eq!(tables.row(&mine, b"b").unwrap(), Some(b"b".to_vec()));
        assert_eq!(tables.row(&mine, b"c").unwrap(), None);
    }

    #[test]
    fn what_expires_comes_in_order_of_time_until_it_is_moved() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateStore::open(directory.path(), 1 << 20).unwrap();
        let transaction = state.begin().unwrap();
        let mut tables = transaction.tables().unwrap();
        let partition = PartitionKey::new(3, Token(-9), b"key");
        tables.move_expiry(&partition, Some(b"r"), None, Some(20)).unwrap();
        tables.move_expiry(&partition, None, None, Some(-10)).unwrap();
        tables.move_expiry(&partition, Some(b""), None, Some(30)).unwrap();
        let due = |row: Option<&[u8]>| Due {
            table: 3,
            token: Token(-9),
            key: b"key".to_vec(),
            row: row.map(<[u8]>::to_vec),
        };
        assert_eq!(tables.due(29, 9).unwrap(), [due(None), due(Some(b"r"))]);
        assert_eq!(tables.due(30, 1).unwrap(), [due(None)]);
        tables.move_expiry(&partition, None, Some(-10), Some(40)).unwrap();
        tables.move_expiry(&partition, Some(b"r"), Some(20), None).unwrap();
        assert_eq!(tables.due(39, 9).unwrap(), [due(Some(b""))]);
        tables.forget_due(4, 100).unwrap();
        assert_eq!(tables.due(100, 9).unwrap().len(), 2);
        tables.forget_due(3, 30).unwrap();
        assert_eq!(tables.due(100, 9).unwrap(), [due(None)]);
        drop(tables);
        transaction.commit().unwrap();
        assert_eq!(state.next_expiry().unwrap(), Some(40));
    }

    #[test]
    fn a_state_is_one_processs_and_keeps_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateStore::open(directory.path(), 1 << 20).unwrap();
        assert_eq!(state.standing().unwrap().batches, 0);
        let standing = Standing { batches: 7, id: "x".into(), ..state.standing().unwrap() };
        let kept = KeptTable { number: 4, held: 2, ..KeptTable::default() };
        let write = |commit: bool| {
            let transaction = state.begin().unwrap();
            let mut tables = transaction.tables().unwrap();
            tables.put_standing(&standing).unwrap();
            tables.put_table("ks.t", &kept).unwrap();
            tables.put_read("a", ReadSoFar::All).unwrap();
            tables.put_read("b", ReadSoFar::Records(3)).unwrap();
            drop(tables);
            if commit {
                transaction.commit().unwrap();
            }
        };
        write(false);
        assert_eq!(state.standing().unwrap().batches, 0);
        write(true);
        let error = StateStore::open(directory.path(), 1 << 20).map(drop).unwrap_err();
        assert!(error.to_string().contains("another sequencer"), "{error}");
        drop(state);
        let state = StateStore::open(directory.path(), 1 << 20).unwrap();
        assert_eq!(state.standing().unwrap(), standing);
        assert_eq!(state.tables().unwrap(), [("ks.t".to_owned(), kept)]);
        assert_eq!(state.read_so_far("a").unwrap(), ReadSoFar::All);
        assert_eq!(state.read_so_far("b").unwrap(), ReadSoFar::Records(3));
        assert_eq!(state.read_so_far("c").unwrap(), ReadSoFar::Records(0));
        drop(state);
        std::fs::write(directory.path().join(FILE), b"not a database").unwrap();
        let error = StateStore::open(directory.path(), 1 << 20).map(drop).unwrap_err();
        assert!(error.to_string().contains("cannot be opened"), "{error}");
    }
}
