//! An object being written: one PutObject if it stays small, else parts that are uploaded while the next are gathered.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::failure::{Failure, Fate};
use super::options::MAX_PARTS;
use super::requests::{Begun, Body, Condition, PartDone, Purpose, Shared};
use super::store::Carrier;
use crate::error::{Error, Result};
use crate::store::object::{Checksum, ObjectMeta, ObjectWriter};

/// How long a writer that is dropped may take to abort its upload; what stays is found at the next start.
const DROP_TIMEOUT: Duration = Duration::from_secs(10);

/// An object being written to S3.
pub(super) struct UploadWriter {
    shared: Arc<Shared>,
    carrier: Arc<Carrier>,
    name: String,
    /// The part that is being gathered.
    buffer: Vec<u8>,
    part: Checksum,
    whole: Checksum,
    upload: Option<Upload>,
    /// Room for what the buffer of a giant has beyond the usual.
    giant: Option<OwnedSemaphorePermit>,
    /// It replaces nothing.
    only_if_absent: bool,
}

/// A multipart upload under way.
struct Upload {
    begun: Begun,
    tasks: JoinSet<Result<PartDone, Failure>>,
    done: Vec<PartDone>,
    parts: u32,
}

impl UploadWriter {
    pub(super) fn new(shared: Arc<Shared>, carrier: Arc<Carrier>, name: &str) -> Self {
        Self {
            shared,
            carrier,
            name: name.to_owned(),
            buffer: Vec::new(),
            part: Checksum::default(),
            whole: Checksum::default(),
            upload: None,
            giant: None,
            only_if_absent: false,
        }
    }

    /// The same of an object that is made only where there is none.
    pub(super) fn only_if_absent(mut self) -> Self {
        self.only_if_absent = true;
        self
    }

    /// Makes the object appear, unless there is one: none then.
    pub(super) fn publish_if_absent(mut self) -> Result<Option<ObjectMeta>> {
        match self.try_publish()? {
            Ok(meta) => Ok(Some(meta)),
            Err(failure) if failure.is_precondition() => {
                self.give_up()?;
                Ok(None)
            }
            Err(failure) => Err(self.error(failure)),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        self.shared.error("write", &self.name, "s3:PutObject", failure)
    }

    /// Bytes of the part that is being gathered.
    fn part_size(&self) -> usize {
        let number = self.upload.as_ref().map_or(0, |upload| upload.parts) + 1;
        usize::try_from(self.shared.options.transfer.size_of(number)).unwrap_or(usize::MAX)
    }

    /// Waits for room for a buffer that is larger than the usual.
    fn grow(&mut self, size: usize) -> Result<()> {
        let usual = usize::try_from(self.shared.options.transfer.part_size).unwrap_or(usize::MAX);
        if size > usual && self.giant.is_none() {
            let more = (size - usual) as u64;
            self.giant = self.carrier.wait(self.shared.giants.take(more))?;
        }
        Ok(())
    }

    /// Sends the gathered part on its way, when there is room for it.
    fn send_part(&mut self) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            None => {
                let begun = self.carrier.wait(shared.begin(&self.name))?.map_err(|failure| {
                    shared.error("write", &self.name, "s3:PutObject", failure)
                })?;
                self.upload.insert(Upload {
                    begun,
                    tasks: JoinSet::new(),
                    done: Vec::new(),
                    parts: 0,
                })
            }
        };
        if upload.parts == MAX_PARTS {
            let failure = Failure::new(Fate::Fatal, "it needs more parts than S3 allows");
            return Err(match self.error(failure) {
                Error::Output { action, path, source } => Error::Refused {
                    what: format!("cannot {action} {}: {source}", path.display()),
                    hint: Some("raise --memory: parts grow with it".to_owned()),
                },
                other => other,
            });
        }
        // A part that has failed for good ends it here, before more is read.
        while let Some(joined) = upload.tasks.try_join_next() {
            match joined_part(joined) {
                Ok(part) => upload.done.push(part),
                Err(failure) => return Err(self.error(failure)),
            }
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let body = Body::new(std::mem::take(&mut self.buffer), self.part.finish());
        self.part = Checksum::default();
        upload.parts += 1;
        let number = i32::try_from(upload.parts).unwrap_or(i32::MAX);
        let room = self.carrier.wait(shared.room.take(body.meta().bytes))?;
        let giant = self.giant.take();
        let (name, id) = (self.name.clone(), upload.begun.id.clone());
        let Some(handle) = self.carrier.handle() else { return Ok(()) };
        let task = async move {
            let done = shared.part(&name, &id, number, &body).await;
            // The memory goes before the room for it is given to others.
            drop(body);
            drop((room, giant));
            done
        };
        upload.tasks.spawn_on(task, handle);
        Ok(())
    }

    fn try_publish(&mut self) -> Result<Result<ObjectMeta, Failure>> {
        let meta = self.whole.finish();
        if self.upload.is_none() {
            let body = Body::new(std::mem::take(&mut self.buffer), meta.clone());
            let condition = if self.only_if_absent { Condition::Absent } else { Condition::Always };
            let put = self.shared.put(&self.name, &body, Purpose::Data, condition);
            return Ok(self.carrier.wait(put)?.map(|_| meta));
        }
        if !self.buffer.is_empty() {
            self.send_part()?;
        }
        let Some(upload) = &mut self.upload else { return Ok(Ok(meta)) };
        let shared = &self.shared;
        let name = &self.name;
        let completed = self.carrier.wait(async {
            while let Some(joined) = upload.tasks.join_next().await {
                upload.done.push(joined_part(joined)?);
            }
            upload.done.sort_by_key(|part| part.number);
            let (begun, done) = (&upload.begun, &upload.done);
            shared.complete(name, begun, done, &meta, self.only_if_absent).await?;
            if upload.begun.unsure {
                abort_others(shared, name, "").await?;
            }
            Ok(())
        })?;
        if completed.is_ok() {
            self.upload = None;
        }
        Ok(completed.map(|()| meta))
    }

    /// Ends the tasks and aborts the upload, if there is one.
    fn give_up(&mut self) -> Result<()> {
        let Some(upload) = self.upload.take() else { return Ok(()) };
        let withdrawn = self.carrier.wait(withdraw(&self.shared, &self.name, upload))?;
        withdrawn.map_err(|failure| {
            self.shared.error("abort the upload of", &self.name, "s3:AbortMultipartUpload", failure)
        })
    }
}

/// Ends the tasks of an upload and aborts it.
async fn withdraw(shared: &Shared, name: &str, mut upload: Upload) -> Result<(), Failure> {
    // A part that arrives behind the abort would stay.
    upload.tasks.shutdown().await;
    shared.abort(&shared.place.key(name), &upload.begun.id).await?;
    if upload.begun.unsure {
        abort_others(shared, name, &upload.begun.id).await?;
    }
    Ok(())
}

/// Aborts what an attempt to begin, whose answer was lost, may have begun. There is one writer of a name at a time, so
/// nothing else of this name is anybody's.
async fn abort_others(shared: &Shared, name: &str, but: &str) -> Result<(), Failure> {
    let uploads = match shared.uploads(name).await {
        Ok(uploads) => uploads,
        Err(failure) if failure.is_denied() || failure.is_unknown_to_store() => return Ok(()),
        Err(failure) => return Err(failure),
    };
    let key = shared.place.key(name);
    for (found, id) in uploads {
        if found == key && id != but {
            shared.abort(&key, &id).await?;
        }
    }
    Ok(())
}

fn joined_part(
    joined: Result<Result<PartDone, Failure>, tokio::task::JoinError>,
) -> Result<PartDone, Failure> {
    joined.unwrap_or_else(|error| {
        Err(Failure::new(Fate::Fatal, format!("a task of the upload broke off: {error}")))
    })
}

impl ObjectWriter for UploadWriter {
    fn write_all(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let size = self.part_size();
            self.grow(size)?;
            let room = size.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            let needed = self.buffer.len() + now.len();
            if needed > self.buffer.capacity() {
                // Doubling, but never beyond the part: what is more is not in the budget.
                let capacity = needed.max(self.buffer.capacity().saturating_mul(2)).min(size);
                self.buffer.reserve_exact(capacity - self.buffer.len());
            }
            self.buffer.extend_from_slice(now);
            self.part.update(now);
            self.whole.update(now);
            bytes = later;
            if self.buffer.len() >= size {
                self.send_part()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<ObjectMeta> {
        self.try_publish()?.map_err(|failure| self.error(failure))
    }

    fn abort(mut self: Box<Self>) -> Result<()> {
        self.give_up()
    }
}

impl Drop for UploadWriter {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else { return };
        let (shared, name) = (&self.shared, &self.name);
        // A timer can be made only where the runtime is.
        let withdrawn = self.carrier.wait(async {
            tokio::time::timeout(DROP_TIMEOUT, withdraw(shared, name, upload)).await
        });
        match withdrawn {
            Ok(Ok(Ok(()))) => {}
            // Another error is on its way, or nobody is there to hear of this one.
            Ok(Ok(Err(failure))) => {
                tracing::warn!("{}: unfinished upload stays: {failure}", self.name)
            }
            Ok(Err(_)) | Err(_) => tracing::warn!("{}: unfinished upload stays", self.name),
        }
    }
}
