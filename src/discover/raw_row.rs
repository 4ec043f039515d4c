//! Rows of the node's own tables, reconciled but not yet typed, and how their values are read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use crate::error::{DecodeError, Error, Result};
use crate::io::ByteReader;
use crate::schema::TableMetadata;

/// A live row: values by column name, key columns included. A column without a value is absent.
pub type RawRow = BTreeMap<String, RawValue>;

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawValue {
    /// One cell, or a key column.
    Simple(Vec<u8>),
    /// The cells of a column with one per element, in order: path and value.
    Elements(Vec<(Vec<u8>, Vec<u8>)>),
}

/// Where the live rows of the node's own tables come from.
pub trait SystemTables {
    /// The live rows of `table`, over all SSTables of the node; none where the table is not there.
    fn rows(&mut self, table: &TableMetadata) -> Result<Vec<RawRow>>;
}

/// Entries of a map of texts to bytes.
type Entries<'a> = Vec<(String, &'a [u8])>;

/// Reads typed values from a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) table: &'a str,
    pub(super) row: &'a RawRow,
}

impl<'a> Columns<'a> {
    fn error(&self, column: &str, what: impl std::fmt::Display) -> Error {
        Error::Schema {
            what: format!("{}: column {column}: {what}", self.table),
            hint: Some("give the schema as CQL with --schema FILE".into()),
        }
    }

    fn bytes(&self, column: &str) -> Result<Option<&'a [u8]>> {
        match self.row.get(column) {
            None => Ok(None),
            Some(RawValue::Simple(bytes)) => Ok(Some(bytes)),
            Some(RawValue::Elements(_)) => {
                Err(self.error(column, "several cells where one is expected"))
            }
        }
    }

    fn utf8(&self, column: &str, bytes: &[u8]) -> Result<String> {
        let text = std::str::from_utf8(bytes).map_err(|_| self.error(column, "not valid UTF-8"))?;
        Ok(text.to_owned())
    }

    fn fixed<const N: usize>(&self, column: &str) -> Result<Option<[u8; N]>> {
        match self.bytes(column)? {
            // A value of no bytes is as good as none.
            None | Some([]) => Ok(None),
            Some(bytes) => match bytes.try_into() {
                Ok(array) => Ok(Some(array)),
                Err(_) => Err(self.error(column, format!("{} bytes instead of {N}", bytes.len()))),
            },
        }
    }

    pub(super) fn text(&self, column: &str) -> Result<Option<String>> {
        self.bytes(column)?.map(|bytes| self.utf8(column, bytes)).transpose()
    }

    pub(super) fn need_text(&self, column: &str) -> Result<String> {
        self.text(column)?.ok_or_else(|| self.error(column, "no value"))
    }

    pub(super) fn int(&self, column: &str) -> Result<Option<i32>> {
        Ok(self.fixed(column)?.map(i32::from_be_bytes))
    }

    pub(super) fn bigint(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.fixed(column)?.map(i64::from_be_bytes))
    }

    pub(super) fn double(&self, column: &str) -> Result<Option<f64>> {
        Ok(self.fixed(column)?.map(f64::from_be_bytes))
    }

    pub(super) fn boolean(&self, column: &str) -> Result<Option<bool>> {
        Ok(self.fixed::<1>(column)?.map(|[byte]| byte != 0))
    }

    pub(super) fn uuid(&self, column: &str) -> Result<Option<Uuid>> {
        Ok(self.fixed(column)?.map(Uuid::from_bytes))
    }

    pub(super) fn inet(&self, column: &str) -> Result<Option<IpAddr>> {
        let Some(bytes) = self.bytes(column)? else { return Ok(None) };
        if let Ok(four) = <[u8; 4]>::try_from(bytes) {
            return Ok(Some(four.into()));
        }
        Ok(self.fixed::<16>(column)?.map(IpAddr::from))
    }

    /// The elements of a frozen collection: of each entry `parts` values.
    fn frozen(&self, column: &str, bytes: &'a [u8], parts: usize) -> Result<Vec<Vec<&'a [u8]>>> {
        let mut r = ByteReader::new(bytes);
        let mut read = || -> Result<Vec<Vec<&'a [u8]>>, DecodeError> {
            let mut entries = Vec::new();
            for _ in 0..r.read_u32("number of elements")? {
                let mut entry = Vec::new();
                for _ in 0..parts {
                    entry.push(r.read_bytes32("element")?);
                }
                entries.push(entry);
            }
            r.finish("collection")?;
            Ok(entries)
        };
        read().map_err(|error| self.error(column, error))
    }

    /// Elements of a list, or of a set, frozen or not.
    pub(super) fn texts(&self, column: &str) -> Result<Option<Vec<String>>> {
        let elements: Vec<&[u8]> = match self.row.get(column) {
            None => return Ok(None),
            Some(RawValue::Elements(cells)) => {
                cells.iter().map(|(path, _)| path.as_slice()).collect()
            }
            Some(RawValue::Simple(bytes)) => {
                self.frozen(column, bytes, 1)?.into_iter().flatten().collect()
            }
        };
        elements.into_iter().map(|bytes| self.utf8(column, bytes)).collect::<Result<_>>().map(Some)
    }

    /// The values of a list with one cell per element; none of no list.
    pub(super) fn list(&self, column: &str) -> Result<Vec<String>> {
        match self.row.get(column) {
            None => Ok(Vec::new()),
            Some(RawValue::Elements(cells)) => {
                cells.iter().map(|(_, value)| self.utf8(column, value)).collect()
            }
            Some(RawValue::Simple(_)) => {
                Err(self.error(column, "one cell where several are expected"))
            }
        }
    }

    /// A map of texts to numbers; empty for none.
    pub(super) fn bigint_map(&self, column: &str) -> Result<BTreeMap<String, i64>> {
        let entries = self.map(column)?.unwrap_or_default();
        let number = |value: &[u8]| match value.try_into() {
            Ok(array) => Ok(i64::from_be_bytes(array)),
            Err(_) => Err(self.error(column, format!("{} bytes instead of 8", value.len()))),
        };
        entries.into_iter().map(|(key, value)| Ok((key, number(value)?))).collect()
    }

    pub(super) fn text_set(&self, column: &str) -> Result<Option<BTreeSet<String>>> {
        Ok(self.texts(column)?.map(|texts| texts.into_iter().collect()))
    }

    pub(super) fn booleans(&self, column: &str) -> Result<Vec<bool>> {
        let Some(bytes) = self.bytes(column)? else { return Ok(Vec::new()) };
        let entries = self.frozen(column, bytes, 1)?;
        Ok(entries.iter().flatten().map(|value| value.first().is_some_and(|b| *b != 0)).collect())
    }

    fn map(&self, column: &str) -> Result<Option<Entries<'a>>> {
        let mut out = Vec::new();
        match self.row.get(column) {
            None => return Ok(None),
            Some(RawValue::Elements(cells)) => {
                for (path, value) in cells {
                    out.push((self.utf8(column, path)?, value.as_slice()));
                }
            }
            Some(RawValue::Simple(bytes)) => {
                for entry in self.frozen(column, bytes, 2)? {
                    if let [key, value] = entry.as_slice() {
                        out.push((self.utf8(column, key)?, *value));
                    }
                }
            }
        }
        Ok(Some(out))
    }

    pub(super) fn text_map(&self, column: &str) -> Result<Option<BTreeMap<String, String>>> {
        let Some(entries) = self.map(column)? else { return Ok(None) };
        entries
            .into_iter()
            .map(|(key, value)| Ok((key, self.utf8(column, value)?)))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// A map of blobs, each as CQL writes it.
    pub(super) fn blob_map(&self, column: &str) -> Result<Option<BTreeMap<String, String>>> {
        let hex = |bytes| hex_simd::encode_to_string(bytes, hex_simd::AsciiCase::Lower);
        let entries = self.map(column)?;
        Ok(entries.map(|entries| {
            entries.into_iter().map(|(key, value)| (key, format!("0x{}", hex(value)))).collect()
        }))
    }
}
