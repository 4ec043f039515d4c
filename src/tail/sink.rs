//! Where the records of a mutation go while they are made.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::changes::ChangeRecordWriter;
use crate::error::{Error, Result};
use crate::progress::vitals;

use super::object::{ChangeObject, Workshop};

/// Takes the records of a mutation into an object, which is begun with the first of them.
pub(super) struct Sink<'a> {
    /// The object.
    pub(super) object: &'a mut Option<ChangeObject>,
    /// Where it begins, if it is not begun.
    pub(super) start: u64,
    /// Where it is made.
    pub(super) workshop: &'a Workshop,
    /// The number of the signal to end by: then [`Sink::take_if_large`] fails.
    pub(super) cancel: &'a AtomicI32,
}

impl Sink<'_> {
    /// Takes what `writer` has.
    pub(super) fn take(&mut self, writer: &mut ChangeRecordWriter) -> Result<()> {
        let lines = writer.buffer();
        if !lines.is_empty() {
            let object = match &mut *self.object {
                Some(object) => object,
                None => self.object.insert(ChangeObject::new(self.start, self.workshop)?),
            };
            object.add(lines)?;
            writer.clear();
        }
        Ok(())
    }

    /// Takes what `writer` has, if that is much. The stored rows of a mutation may be those of hours: here the process shows
    /// that it lives, and gives up if it is to end ([`Error::Stopped`]).
    pub(super) fn take_if_large(&mut self, writer: &mut ChangeRecordWriter) -> Result<()> {
        if writer.buffer().len() < self.workshop.large {
            return Ok(());
        }
        vitals::sign();
        match self.cancel.load(Ordering::Relaxed) {
            0 => self.take(writer),
            signal => Err(Error::Stopped(signal)),
        }
    }
}
