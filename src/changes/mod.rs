//! Change records: one line of JSON for each changed row (`output.md` section 3), and the objects they stand in.
//!
//! `tail` writes them, `sequence`, `seal` and `status` read them. [`ChangeRecordWriter`] turns what a mutation says of one
//! partition into lines, [`ChangeRecordReader`] turns a line back into the same bytes: values are written as `jsonl` writes
//! them, and where that text would not read back to the bytes (a boolean of 7, a varint with a leading zero byte, what is no
//! value of its type) the bytes stand beside it:
//!
//! * `"bytes":"0x…"` beside `value`, of a cell or an element;
//! * `"keyBytes":"0x…"` beside `key`, of an element;
//! * `"partitionKeyBytes":"0x…"` and `"clusteringBytes":["0x…",null]` beside a record's `key`, a null where the text will do;
//! * `"bytes":["0x…",null]` beside `values`, of a bound.
//!
//! What records do not carry, as no read depends on it: the local deletion time of tombstones, rows that say nothing, and
//! whether two ranges that touch are two markers or one boundary. An upsert without marker, cells and deletion exists as a
//! base record only: it says that the row was there.

mod beginning;
mod canonical;
mod line;
mod names;
mod origin;
mod read;
mod table_text;
mod value;
mod watermark;
mod write;

#[cfg(test)]
#[path = "samples_tests.rs"]
pub(crate) mod samples;

pub use beginning::{LostChanges, StreamBeginning};
pub use names::{
    CHANGES, ObjectPosition, beginning_object, change_folder, change_object, change_status_object,
    host_of_object, lost_folder, lost_object, parse_change_object, watermark_object,
};
pub use origin::{LogPosition, Origin, Position};
pub use read::{Change, ChangeRecord, ChangeRecordReader, RecordError, RecordHead};
pub use watermark::Watermark;
pub use write::ChangeRecordWriter;
