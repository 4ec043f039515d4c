//! [`Store`] over the requests.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

use aws_sdk_s3::config::SharedCredentialsProvider;
use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::client::Connector;
use super::failure::Failure;
use super::options::S3Options;
use super::requests::{Body, Condition, Purpose, Shared};
use super::retry::Sender;
use super::upload::UploadWriter;
use crate::error::{Error, Result};
use crate::progress::vitals;
use crate::store::location::S3Location;
use crate::store::object::{
    ListedObject, ObjectMeta, ObjectReader, ObjectVersion, ObjectWriter, PutOutcome,
    ReplaceOutcome, Store, VersionedObject, check_name,
};
use crate::store::pieces::read_piece;

/// Threads that carry requests: they wait and copy, the checksums are made by the callers.
const THREADS: usize = 2;

/// Bytes of an object that one request asks for.
const READ_PART: u64 = 8 << 20;

/// Bytes of a file that are read at once.
const FILE_PIECE: usize = 1 << 20;

/// It is not known whether the store heeds conditions; it does; it does not.
const CONDITIONS_UNKNOWN: u8 = 0;
const CONDITIONS_HEEDED: u8 = 1;
const CONDITIONS_IGNORED: u8 = 2;

/// A bucket, or a folder in one, as a store.
#[derive(Debug)]
pub struct S3Store {
    shared: Arc<Shared>,
    runtime: Arc<Carrier>,
    conditions: AtomicU8,
}

/// The runtime of a store. Its threads must not keep the process from ending.
#[derive(Debug)]
pub(super) struct Carrier(Option<Runtime>);

impl Carrier {
    fn start() -> Result<Self> {
        let role = vitals::role();
        Builder::new_multi_thread()
            .on_thread_start(move || vitals::join(role))
            .worker_threads(THREADS)
            .thread_name("s3")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(|error| Error::Bug(format!("cannot start threads for S3: {error}")))
    }

    /// Waits for `future` in the calling thread.
    pub(super) fn wait<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        match &self.0 {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => Err(Error::Bug("the runtime of S3 has ended".to_owned())),
        }
    }

    pub(super) fn handle(&self) -> Option<&tokio::runtime::Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl S3Store {
    /// The store at `place`, with credentials by AWS's own chain. Sends nothing yet.
    pub fn open(place: &S3Location, options: &S3Options) -> Result<Self> {
        Self::open_with(place, options, None)
    }

    /// The store at `place`, with credentials from `credentials`.
    pub fn open_with(
        place: &S3Location,
        options: &S3Options,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self> {
        let runtime = Carrier::start()?;
        let connector = runtime.wait(Connector::new(options, credentials))??;
        let sender = Sender::new(connector, options.retry, options.upload_rate);
        Ok(Self {
            shared: Arc::new(Shared::new(place.clone(), options.clone(), sender)),
            runtime: Arc::new(runtime),
            // AWS does; others are asked when it first matters.
            conditions: AtomicU8::new(if options.endpoint.is_none() {
                CONDITIONS_HEEDED
            } else {
                CONDITIONS_UNKNOWN
            }),
        })
    }

    fn error(&self, action: &'static str, name: &str, right: &str, failure: Failure) -> Error {
        self.shared.error(action, name, right, failure)
    }

    fn cannot_condition(&self, name: &str) -> Error {
        Error::Refused {
            what: format!("{}: the store does not do conditional writes", self.location(name)),
            hint: Some("use a store that knows If-None-Match and If-Match, or a directory".into()),
        }
    }

    /// A put that came out well, or the one before it whose answer was lost: true if the object is as we wrote it.
    async fn is_ours(&self, name: &str, bytes: &[u8], failure: &Failure) -> Result<bool, Failure> {
        if !failure.unsure_before {
            return Ok(false);
        }
        let found = self.shared.get(name).await?;
        Ok(found.is_some_and(|(found, _)| found == bytes))
    }

    /// Puts once more what was just put only because it was absent: a store that allows that ignores the condition.
    async fn probe_conditions(&self, name: &str, body: &Body) -> Result<(), Failure> {
        if self.conditions.load(Ordering::Relaxed) != CONDITIONS_UNKNOWN {
            return Ok(());
        }
        let again = self.shared.put(name, body, Purpose::State, Condition::Absent).await;
        let heeded = match again {
            Ok(_) => false,
            Err(failure) if failure.is_precondition() => true,
            Err(failure) => return Err(failure),
        };
        let known = if heeded { CONDITIONS_HEEDED } else { CONDITIONS_IGNORED };
        self.conditions.store(known, Ordering::Relaxed);
        if !heeded {
            tracing::warn!(
                "this store ignores If-None-Match: make sure that no two agents of one number ever run at a time"
            );
        }
        Ok(())
    }

    async fn create_if_absent(&self, name: &str, body: &Body, bytes: &[u8]) -> Result<PutOutcome> {
        let wrong = |right, failure| self.error("write", name, right, failure);
        if self.shared.head(name).await.map_err(|f| wrong("s3:GetObject", f))?.is_some() {
            return Ok(PutOutcome::Exists);
        }
        let put = self.shared.put(name, body, Purpose::State, Condition::Absent).await;
        let ours = match put {
            Ok(_) => true,
            Err(failure) if failure.is_precondition() => {
                self.is_ours(name, bytes, &failure).await.map_err(|f| wrong("s3:GetObject", f))?
            }
            Err(failure) if failure.is_unknown_to_store() => {
                return Err(self.cannot_condition(name));
            }
            Err(failure) => return Err(wrong("s3:PutObject", failure)),
        };
        if !ours {
            return Ok(PutOutcome::Exists);
        }
        self.probe_conditions(name, body).await.map_err(|f| wrong("s3:PutObject", f))?;
        Ok(PutOutcome::Created(body.meta().clone()))
    }
}

/// Reads an object part by part; each request can be tried again, which one for all of it could not.
struct RangeReader {
    shared: Arc<Shared>,
    runtime: Arc<Carrier>,
    name: String,
    etag: String,
    at: u64,
    len: u64,
    piece: Bytes,
}

impl ObjectReader for RangeReader {
    fn next_piece(&mut self) -> Result<Option<&[u8]>> {
        if self.at >= self.len {
            return Ok(None);
        }
        // The one before is given back first.
        self.piece = Bytes::new();
        let len = (self.len - self.at).min(READ_PART);
        let read = self.shared.get_range(&self.name, &self.etag, self.at, len);
        self.piece = self
            .runtime
            .wait(read)?
            .map_err(|failure| self.shared.error("read", &self.name, "s3:GetObject", failure))?;
        self.at += len;
        Ok(Some(&self.piece))
    }
}

impl Store for S3Store {
    fn location(&self, name: &str) -> String {
        self.shared.place.url(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<ObjectMeta> {
        check_name(name)?;
        let body = Body::of(bytes);
        self.runtime
            .wait(self.shared.put(name, &body, Purpose::State, Condition::Always))?
            .map_err(|failure| self.error("write", name, "s3:PutObject", failure))?;
        Ok(body.meta().clone())
    }

    fn put_if_absent(&self, name: &str, bytes: &[u8]) -> Result<PutOutcome> {
        check_name(name)?;
        let body = Body::of(bytes);
        self.runtime.wait(self.create_if_absent(name, &body, bytes))?
    }

    fn put_file_if_absent(&self, name: &str, file: &mut File) -> Result<PutOutcome> {
        // Before all of it is sent in vain.
        if self.head(name)?.is_some() {
            return Ok(PutOutcome::Exists);
        }
        let (shared, runtime) = (Arc::clone(&self.shared), Arc::clone(&self.runtime));
        let mut writer = UploadWriter::new(shared, runtime, name).only_if_absent();
        let mut piece = vec![0; FILE_PIECE];
        loop {
            let read = read_piece(file, &mut piece).map_err(|source| Error::Output {
                action: "read what is to become",
                path: self.location(name).into(),
                source,
            })?;
            if read.is_empty() {
                break;
            }
            writer.write_all(read)?;
        }
        Ok(writer.publish_if_absent()?.map_or(PutOutcome::Exists, PutOutcome::Created))
    }

    fn stop_on(&self, flag: &Arc<AtomicI32>) {
        self.shared.sender.stop_on(flag);
    }

    fn is_conditional(&self) -> bool {
        self.conditions.load(Ordering::Relaxed) != CONDITIONS_IGNORED
    }

    fn put_if_unchanged(
        &self,
        name: &str,
        bytes: &[u8],
        version: &ObjectVersion,
    ) -> Result<ReplaceOutcome> {
        check_name(name)?;
        if self.conditions.load(Ordering::Relaxed) == CONDITIONS_IGNORED {
            return Err(self.cannot_condition(name));
        }
        let body = Body::of(bytes);
        let condition = Condition::Unchanged(&version.0);
        let put = self.runtime.wait(self.shared.put(name, &body, Purpose::State, condition))?;
        match put {
            Ok(done) => Ok(ReplaceOutcome::Replaced(ObjectVersion(done.value))),
            Err(failure) if failure.is_precondition() || failure.is_absent() => {
                if !failure.unsure_before {
                    return Ok(ReplaceOutcome::Changed);
                }
                Ok(match self.get_versioned(name)? {
                    Some(found) if found.bytes == bytes => ReplaceOutcome::Replaced(found.version),
                    Some(_) | None => ReplaceOutcome::Changed,
                })
            }
            Err(failure) if failure.is_unknown_to_store() => Err(self.cannot_condition(name)),
            Err(failure) => Err(self.error("write", name, "s3:PutObject", failure)),
        }
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.get_versioned(name)?.map(|found| found.bytes))
    }

    fn get_versioned(&self, name: &str) -> Result<Option<VersionedObject>> {
        check_name(name)?;
        let found = self
            .runtime
            .wait(self.shared.get(name))?
            .map_err(|failure| self.error("read", name, "s3:GetObject", failure))?;
        Ok(found.map(|(bytes, etag)| VersionedObject { bytes, version: ObjectVersion(etag) }))
    }

    fn read(&self, name: &str) -> Result<Option<Box<dyn ObjectReader>>> {
        check_name(name)?;
        let found = self
            .runtime
            .wait(self.shared.head(name))?
            .map_err(|failure| self.error("look for", name, "s3:GetObject", failure))?;
        Ok(found.map(|head| -> Box<dyn ObjectReader> {
            Box::new(RangeReader {
                shared: Arc::clone(&self.shared),
                runtime: Arc::clone(&self.runtime),
                name: name.to_owned(),
                etag: head.etag,
                at: 0,
                len: head.meta.bytes,
                piece: Bytes::new(),
            })
        }))
    }

    fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        check_name(name)?;
        let found = self
            .runtime
            .wait(self.shared.head(name))?
            .map_err(|failure| self.error("look for", name, "s3:GetObject", failure))?;
        Ok(found.map(|head| head.meta))
    }

    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>> {
        if let Some((folder, _)) = prefix.rsplit_once('/') {
            check_name(folder)?;
        }
        self.runtime
            .wait(self.shared.list(prefix))?
            .map_err(|failure| self.error("list", prefix, "s3:ListBucket", failure))
    }

    fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.runtime
            .wait(self.shared.delete(name))?
            .map_err(|failure| self.error("remove", name, "s3:DeleteObject", failure))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>> {
        check_name(name)?;
        Ok(Box::new(UploadWriter::new(Arc::clone(&self.shared), Arc::clone(&self.runtime), name)))
    }

    fn sync(&self, _names: &[&str]) -> Result<()> {
        // What S3 has confirmed is durable.
        Ok(())
    }

    fn clean_temporaries(&self, prefix: &str) -> Result<u64> {
        let uploads = match self.runtime.wait(self.shared.uploads(prefix))? {
            Ok(uploads) => uploads,
            // They cost money and hurt nothing: no reason to stop.
            Err(failure) if failure.is_denied() || failure.is_unknown_to_store() => {
                tracing::warn!(
                    "unfinished uploads of dead runs cannot be looked for: {failure}; allow \
                     s3:ListBucketMultipartUploads, or have the bucket's lifecycle abort them"
                );
                return Ok(0);
            }
            Err(failure) => {
                let right = "s3:ListBucketMultipartUploads";
                return Err(self.error("list uploads of", prefix, right, failure));
            }
        };
        let mut aborted = 0;
        for (key, id) in uploads {
            let Some(name) = self.shared.place.name(&key) else { continue };
            self.runtime.wait(self.shared.abort(&key, &id))?.map_err(|failure| {
                self.error("abort the upload of", name, "s3:AbortMultipartUpload", failure)
            })?;
            aborted += 1;
        }
        Ok(aborted)
    }
}
