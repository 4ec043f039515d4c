//! Who the node is, from `system.local`.

use std::net::IpAddr;

use uuid::Uuid;

use super::raw_row::{Columns, RawRow};
use crate::error::Result;

/// What a node says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostInfo {
    /// Host id.
    pub host_id: Option<Uuid>,
    /// Name of the cluster.
    pub cluster_name: Option<String>,
    /// Data center.
    pub data_center: Option<String>,
    /// Rack.
    pub rack: Option<String>,
    /// Release of Cassandra that ran last.
    pub release_version: Option<String>,
    /// Class name of the partitioner.
    pub partitioner: Option<String>,
    /// Version of the schema.
    pub schema_version: Option<Uuid>,
    /// Tokens, as decimal text.
    pub tokens: Vec<String>,
    /// Where other nodes reach it.
    pub address: Option<IpAddr>,
}

impl HostInfo {
    /// From the rows of `system.local`; none if there is none.
    pub fn from_rows(rows: &[RawRow]) -> Result<Option<Self>> {
        let Some(row) = rows.first() else { return Ok(None) };
        let row = Columns { table: "system.local", row };
        Ok(Some(Self {
            host_id: row.uuid("host_id")?,
            cluster_name: row.text("cluster_name")?,
            data_center: row.text("data_center")?,
            rack: row.text("rack")?,
            release_version: row.text("release_version")?,
            partitioner: row.text("partitioner")?,
            schema_version: row.uuid("schema_version")?,
            tokens: row.texts("tokens")?.unwrap_or_default(),
            address: row.inet("broadcast_address")?.or(row.inet("listen_address")?),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw_row::RawValue;
    use super::*;

    #[test]
    fn a_node_is_read_from_its_row() {
        let simple = |bytes: &[u8]| RawValue::Simple(bytes.to_vec());
        let tokens = [b"-12".to_vec(), b"7".to_vec()].map(|path| (path, Vec::new())).to_vec();
        let row = RawRow::from([
            ("key".to_owned(), simple(b"local")),
            ("host_id".to_owned(), simple(&[7; 16])),
            ("cluster_name".to_owned(), simple(b"c")),
            ("release_version".to_owned(), simple(b"4.1.9")),
            ("schema_version".to_owned(), simple(b"")),
            ("tokens".to_owned(), RawValue::Elements(tokens)),
            ("broadcast_address".to_owned(), simple(&[127, 0, 0, 3])),
        ]);
        let expected = HostInfo {
            host_id: Some(Uuid::from_bytes([7; 16])),
            cluster_name: Some("c".into()),
            release_version: Some("4.1.9".into()),
            tokens: vec!["-12".into(), "7".into()],
            address: Some("127.0.0.3".parse().unwrap()),
            ..HostInfo::default()
        };
        assert_eq!(HostInfo::from_rows(std::slice::from_ref(&row)).unwrap(), Some(expected));
        assert_eq!(HostInfo::from_rows(&[]).unwrap(), None);
        let mut bad = row;
        bad.insert("host_id".into(), simple(&[7; 15]));
        let error = HostInfo::from_rows(&[bad]).unwrap_err().to_string();
        assert!(error.contains("system.local: column host_id: 15 bytes instead of 16"), "{error}");
    }
}
