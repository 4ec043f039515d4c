//! What a sequencer decided, in the output itself: `_cassport/sequence/`.
//!
//! ```text
//! _cassport/sequence/settings.json           what decides bytes; create-if-absent, later runs adopt it or are refused
//! _cassport/sequence/<batch, 10 digits>.json what a batch reads, and its clock; create-if-absent, before its files
//! _cassport/sequence/claim.json              one sequencer per output
//! _cassport/sequence/status.json             progress
//! _cassport/sequence/watermark.json          everything that was shipped by this time is sequenced
//! ```
//! The files of a batch depend on the state before it and on its entry alone. So a state that is gone, or behind, is made again
//! from the entries and the change records, whatever order they came in; and what a sequencer that died was about to write is
//! written by the next one, with the same names and bytes.

use serde::{Deserialize, Serialize};

use super::options::SequenceProfile;
use crate::error::{Error, Result};
use crate::output::dynamodb::{DdbKeys, DdbShape};
use crate::progress::UnixMillis;
use crate::store::Store;

/// Folder, with its final `/`.
pub(super) const FOLDER: &str = "_cassport/sequence/";
/// What decides bytes.
pub(super) const SETTINGS: &str = "_cassport/sequence/settings.json";
/// The claim.
pub(super) const CLAIM: &str = "_cassport/sequence/claim.json";
/// Progress.
pub(super) const STATUS: &str = "_cassport/sequence/status.json";
/// How far all streams are sequenced.
pub(super) const WATERMARK: &str = "_cassport/sequence/watermark.json";

/// `watermark.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct SequencedUntil {
    /// Milliseconds since 1970.
    pub(super) time: i64,
}

impl SequencedUntil {
    /// The object's bytes.
    pub(super) fn to_json(self) -> Vec<u8> {
        format!("{{\"time\":{}}}\n", self.time).into_bytes()
    }
}

/// Up to when the changes of the output in `store` are in the sequencer's files: none if no sequencer has ever begun.
///
/// What was written before it to any host that has a stream is in them. One that began and has not finished a round stands at
/// the beginning of time.
pub fn sequenced_until(store: &dyn Store) -> Result<Option<UnixMillis>> {
    if store.head(SETTINGS)?.is_none() {
        return Ok(None);
    }
    let Some(bytes) = store.get(WATERMARK)? else { return Ok(Some(UnixMillis(0))) };
    let mark: SequencedUntil = serde_json::from_slice(&bytes).map_err(|error| Error::Refused {
        what: format!("{} is not a watermark: {error}", store.location(WATERMARK)),
        hint: Some("it is written by sequence; another program has changed it".to_owned()),
    })?;
    Ok(Some(UnixMillis(mark.time)))
}

/// `settings.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SequenceSettings {
    pub(super) format_version: u32,
    pub(super) tool: String,
    pub(super) profile: SequenceProfile,
    /// What items look like, and what their keys are made of; of profile `ddb-json` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ddb_shape: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ddb_keys: Option<String>,
    pub(super) cdc_path: String,
    pub(super) flush_size: u64,
    /// `3.11` or `4.0`: the rule for ties up to the one and from the other on.
    pub(super) tie_break: String,
    /// Fingerprint of the extract's run; none if there was none when sequencing began.
    pub(super) run: Option<String>,
    /// Fingerprint of the output's `schema.cql`, likewise.
    pub(super) schema: Option<String>,
    /// Random, so that a state is not taken for another output's.
    pub(super) id: String,
}

impl SequenceSettings {
    /// Shape and keys of items, if they are written.
    pub(super) fn items(&self) -> Result<Option<(DdbShape, DdbKeys)>> {
        match (&self.ddb_shape, &self.ddb_keys) {
            (Some(shape), Some(keys)) => Ok(Some((shape.parse()?, keys.parse()?))),
            _ => Ok(None),
        }
    }
}

/// What a batch reads of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchInput {
    /// Name.
    pub(super) object: String,
    /// Records before the first one taken.
    pub(super) from: u64,
    /// Records taken.
    pub(super) records: u64,
    /// These were its last.
    pub(super) end: bool,
}

/// A batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchEntry {
    pub(super) format_version: u32,
    /// Its number, from 1.
    pub(super) batch: u64,
    /// Milliseconds since 1970: decides what has expired; never less than that of the batch before.
    pub(super) clock: i64,
    pub(super) inputs: Vec<BatchInput>,
}

/// The name of a batch's entry.
pub(super) fn entry_name(batch: u64) -> String {
    format!("{FOLDER}{batch:010}.json")
}

/// The batch whose entry has this name; none if it is no entry.
pub(super) fn batch_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(FOLDER)?.strip_suffix(".json")?;
    (digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LocalStore;

    #[test]
    fn entries_are_named_by_their_batch() {
        assert_eq!(entry_name(12), "_cassport/sequence/0000000012.json");
        assert_eq!(batch_of(&entry_name(12)), Some(12));
        for other in [SETTINGS, CLAIM, STATUS, WATERMARK, "_cassport/sequence/12.json"] {
            assert_eq!(batch_of(other), None);
        }
    }

    #[test]
    fn a_sequencer_that_has_begun_and_not_finished_a_round_holds_back_the_signal() {
        let directory = tempfile::tempdir().unwrap();
        let store = LocalStore::open(directory.path()).unwrap();
        assert_eq!(sequenced_until(&store).unwrap(), None);
        store.put(SETTINGS, b"{}").unwrap();
        assert_eq!(sequenced_until(&store).unwrap(), Some(UnixMillis(0)));
        store.put(WATERMARK, &SequencedUntil { time: 77 }.to_json()).unwrap();
        assert_eq!(sequenced_until(&store).unwrap(), Some(UnixMillis(77)));
        store.put(WATERMARK, b"77").unwrap();
        let error = sequenced_until(&store).unwrap_err().to_string();
        assert!(error.contains("is not a watermark"), "{error}");
    }
}
