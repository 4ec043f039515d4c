//! The requests, one function each: built, sent, and what came back compared with what was sent.

use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    ServerSideEncryption, StorageClass as SdkStorageClass,
};
use bytes::Bytes;
use md5::{Digest, Md5};

use super::failure::{Failure, Fate};
use super::limits::Room;
use super::options::{Encryption, S3Options, StorageClass};
use super::retry::{Done, Sender};
use crate::error::Error;
use crate::progress::vitals::{Operation, traffic};
use crate::store::location::S3Location;
use crate::store::object::{Checksum, ListedObject, ObjectMeta};

/// Largest object that is read as a whole: state and side files are far smaller.
const MAX_GET: i64 = 4 << 30;

/// What all users of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: S3Location,
    pub(super) options: S3Options,
    pub(super) sender: Sender,
    /// Parts under way.
    pub(super) room: Room,
    /// The part of a giant that is being gathered.
    pub(super) giants: Room,
    /// The store does not know CRC-64/NVME in PutObject, or in uploads of parts.
    puts_without_crc: AtomicBool,
    parts_without_crc: AtomicBool,
}

/// Bytes to be sent, and their checksums.
#[derive(Debug, Clone)]
pub(super) struct Body {
    bytes: Bytes,
    meta: ObjectMeta,
}

impl Body {
    pub(super) fn new(bytes: Vec<u8>, meta: ObjectMeta) -> Self {
        Self { bytes: Bytes::from(bytes), meta }
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: Bytes::copy_from_slice(bytes), meta: Checksum::of(bytes) }
    }

    pub(super) fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn stream(&self) -> ByteStream {
        ByteStream::from(self.bytes.clone())
    }

    fn md5(&self) -> [u8; 16] {
        Md5::digest(&self.bytes).into()
    }
}

/// When a put may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    Always,
    Absent,
    /// The object has this ETag.
    Unchanged(&'a str),
}

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Data,
    State,
}

/// A multipart upload that was begun.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: String,
    /// Another upload may have been begun by an attempt whose answer was lost.
    pub(super) unsure: bool,
}

/// A part that was uploaded.
#[derive(Debug)]
pub(super) struct PartDone {
    pub(super) number: i32,
    etag: String,
    crc64nvme: Option<String>,
    /// Known where the store does not know the other one.
    md5: Option<[u8; 16]>,
}

/// What a store says about an object.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) meta: ObjectMeta,
    pub(super) etag: String,
}

impl Shared {
    pub(super) fn new(place: S3Location, options: S3Options, sender: Sender) -> Self {
        let transfer = &options.transfer;
        Self {
            room: Room::new(transfer.in_flight),
            giants: Room::new(transfer.largest_part.saturating_sub(transfer.part_size)),
            place,
            sender,
            puts_without_crc: AtomicBool::new(false),
            parts_without_crc: AtomicBool::new(false),
            options,
        }
    }

    /// The error of a request about the object `name`.
    pub(super) fn error(
        &self,
        action: &'static str,
        name: &str,
        right: &str,
        failure: Failure,
    ) -> Error {
        failure.into_error(action, self.place.url(name), right, &self.place, &self.options)
    }

    /// PutObject; returns the ETag.
    pub(super) async fn put(
        &self,
        name: &str,
        body: &Body,
        purpose: Purpose,
        condition: Condition<'_>,
    ) -> Result<Done<String>, Failure> {
        let done = self
            .sender
            .call(Operation::PutObject, body.meta.bytes, |client| {
                self.put_once(client, name, body, purpose, condition)
            })
            .await;
        match done {
            Err(failure) if failure.fate == Fate::Damaged && condition == Condition::Always => {
                // It is there, and it is not what was sent. (A store that refuses damaged bodies has kept nothing of it:
                // then there is the former object, which was to be replaced, or none.)
                if failure.status.is_none() {
                    self.delete(name).await?;
                }
                Err(failure)
            }
            done => done,
        }
    }

    async fn put_once(
        &self,
        client: Client,
        name: &str,
        body: &Body,
        purpose: Purpose,
        condition: Condition<'_>,
    ) -> Result<String, Failure> {
        let with_crc = !self.puts_without_crc.load(Ordering::Relaxed);
        let md5 = (!with_crc).then(|| body.md5());
        let (sse, key, bucket_key) = self.encryption();
        let mut request = client
            .put_object()
            .bucket(&self.place.bucket)
            .key(self.place.key(name))
            .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
            .set_server_side_encryption(sse)
            .set_ssekms_key_id(key)
            .set_bucket_key_enabled(bucket_key)
            .set_storage_class(self.storage_class(purpose))
            .body(body.stream());
        request = match md5 {
            None => request
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .checksum_crc64_nvme(&body.meta.crc64nvme),
            Some(md5) => request.content_md5(base64_simd::STANDARD.encode_to_string(md5)),
        };
        request = match condition {
            Condition::Always => request,
            Condition::Absent => request.if_none_match("*"),
            Condition::Unchanged(etag) => request.if_match(etag),
        };
        let request = request.customize();
        let request = if self.is_encrypted_in_transit() {
            request.disable_payload_signing()
        } else {
            request
        };
        let answer = request.send().await.map_err(Failure::from);
        let answer = answer
            .map_err(|failure| self.without_crc(&self.puts_without_crc, with_crc, failure))?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let plain = !is_kms(answer.server_side_encryption());
        let checked = self.check(
            &self.puts_without_crc,
            with_crc,
            answer.checksum_crc64_nvme(),
            &etag,
            plain,
            body,
        );
        match (checked, condition) {
            (Ok(_), _) => Ok(etag),
            (Err(failure), Condition::Always) => Err(failure),
            // Sent again it would meet itself.
            (Err(failure), _) if failure.fate == Fate::Damaged => {
                self.delete(name).await?;
                Err(Failure { fate: Fate::Fatal, unsure: false, ..failure })
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// CreateMultipartUpload.
    pub(super) async fn begin(&self, name: &str) -> Result<Begun, Failure> {
        let done = self
            .sender
            .call(Operation::CreateMultipartUpload, 0, |client| self.begin_once(client, name))
            .await?;
        Ok(Begun { id: done.value, unsure: done.unsure_before })
    }

    async fn begin_once(&self, client: Client, name: &str) -> Result<String, Failure> {
        let with_crc = !self.parts_without_crc.load(Ordering::Relaxed);
        let (sse, key, bucket_key) = self.encryption();
        let request = client
            .create_multipart_upload()
            .bucket(&self.place.bucket)
            .key(self.place.key(name))
            .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
            .set_server_side_encryption(sse)
            .set_ssekms_key_id(key)
            .set_bucket_key_enabled(bucket_key)
            .set_storage_class(self.storage_class(Purpose::Data))
            .set_checksum_algorithm(with_crc.then_some(ChecksumAlgorithm::Crc64Nvme))
            .set_checksum_type(with_crc.then_some(ChecksumType::FullObject));
        let answer = request
            .send()
            .await
            .map_err(Failure::from)
            .map_err(|failure| self.without_crc(&self.parts_without_crc, with_crc, failure))?;
        match answer.upload_id() {
            Some(id) if !id.is_empty() => Ok(id.to_owned()),
            _ => Err(Failure::new(Fate::Retry, "the store gave the upload no id")),
        }
    }

    /// UploadPart.
    pub(super) async fn part(
        &self,
        name: &str,
        upload: &str,
        number: i32,
        body: &Body,
    ) -> Result<PartDone, Failure> {
        let done = self
            .sender
            .call(Operation::UploadPart, body.meta.bytes, |client| {
                self.part_once(client, name, upload, number, body)
            })
            .await?;
        Ok(done.value)
    }

    async fn part_once(
        &self,
        client: Client,
        name: &str,
        upload: &str,
        number: i32,
        body: &Body,
    ) -> Result<PartDone, Failure> {
        let with_crc = !self.parts_without_crc.load(Ordering::Relaxed);
        let md5 = (!with_crc).then(|| body.md5());
        let mut request = client
            .upload_part()
            .bucket(&self.place.bucket)
            .key(self.place.key(name))
            .upload_id(upload)
            .part_number(number)
            .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
            .body(body.stream());
        request = match md5 {
            None => request
                .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
                .checksum_crc64_nvme(&body.meta.crc64nvme),
            Some(md5) => request.content_md5(base64_simd::STANDARD.encode_to_string(md5)),
        };
        let request = request.customize();
        let request = if self.is_encrypted_in_transit() {
            request.disable_payload_signing()
        } else {
            request
        };
        let answer = request.send().await.map_err(Failure::from)?;
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let plain = !is_kms(answer.server_side_encryption());
        let crc = answer.checksum_crc64_nvme();
        let md5 = self.check(&self.parts_without_crc, with_crc, crc, &etag, plain, body)?.or(md5);
        let crc64nvme = crc.map(str::to_owned);
        Ok(PartDone { number, etag, crc64nvme, md5 })
    }

    /// CompleteMultipartUpload: the object appears, whole and as it was written; with `only_if_absent` in nobody's place.
    pub(super) async fn complete(
        &self,
        name: &str,
        begun: &Begun,
        parts: &[PartDone],
        meta: &ObjectMeta,
        only_if_absent: bool,
    ) -> Result<(), Failure> {
        let done = self
            .sender
            .call(Operation::CompleteMultipartUpload, 0, |client| {
                self.complete_once(client, name, begun, parts, meta, only_if_absent)
            })
            .await;
        let crc = match done {
            Ok(done) => done.value,
            // The answer to an earlier attempt was lost, and this one found that there is nothing left to complete.
            Err(failure) if failure.unsure_before && failure.status.is_some() => {
                return match self.head(name).await {
                    Ok(Some(head)) if agrees(&head, meta, parts) => Ok(()),
                    Ok(_) | Err(_) => Err(failure),
                };
            }
            Err(failure) => return Err(failure),
        };
        if crc.as_ref() == Some(&meta.crc64nvme) {
            return Ok(());
        }
        // No checksum, or one of another kind: what the store keeps says more than its answer.
        let head = self.head(name).await?;
        match head {
            Some(head) if crc.is_none() && agrees(&head, meta, parts) => Ok(()),
            found => {
                let length = |bytes: u64| format!("{bytes} bytes");
                let (found, sent) = match (crc, found) {
                    (Some(crc), _) => (crc, meta.crc64nvme.clone()),
                    (None, Some(head)) if head.meta.bytes == meta.bytes => {
                        let found = [head.meta.crc64nvme, head.etag].join(" ");
                        (found.trim().to_owned(), meta.crc64nvme.clone())
                    }
                    (None, Some(head)) => (length(head.meta.bytes), length(meta.bytes)),
                    (None, None) => ("nothing".to_owned(), length(meta.bytes)),
                };
                self.delete(name).await?;
                Err(Failure { unsure: false, ..Failure::mismatch("whole object", &found, &sent) })
            }
        }
    }

    async fn complete_once(
        &self,
        client: Client,
        name: &str,
        begun: &Begun,
        parts: &[PartDone],
        meta: &ObjectMeta,
        only_if_absent: bool,
    ) -> Result<Option<String>, Failure> {
        let with_crc = !self.parts_without_crc.load(Ordering::Relaxed);
        let listed = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(part.number)
                .e_tag(&part.etag)
                .set_checksum_crc64_nvme(part.crc64nvme.clone())
                .build()
        });
        let listed = CompletedMultipartUpload::builder().set_parts(Some(listed.collect())).build();
        let answer = client
            .complete_multipart_upload()
            .bucket(&self.place.bucket)
            .key(self.place.key(name))
            .upload_id(&begun.id)
            .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
            .set_checksum_crc64_nvme(with_crc.then(|| meta.crc64nvme.clone()))
            .set_checksum_type(with_crc.then_some(ChecksumType::FullObject))
            .set_mpu_object_size(i64::try_from(meta.bytes).ok())
            .set_if_none_match(only_if_absent.then(|| "*".to_owned()))
            .multipart_upload(listed)
            .send()
            .await
            .map_err(Failure::from)?;
        // Sums of sums end in the number of parts.
        let full = answer.checksum_crc64_nvme().filter(|crc| !crc.contains('-'));
        Ok(full.map(str::to_owned))
    }

    /// AbortMultipartUpload; one that is gone is no error.
    pub(super) async fn abort(&self, key: &str, upload: &str) -> Result<(), Failure> {
        let send = async |client: Client| {
            let request = client
                .abort_multipart_upload()
                .bucket(&self.place.bucket)
                .key(key)
                .upload_id(upload)
                .set_expected_bucket_owner(self.options.expected_bucket_owner.clone());
            request.send().await.map(drop).map_err(Failure::from)
        };
        match self.sender.call(Operation::AbortMultipartUpload, 0, send).await {
            Err(failure) if !failure.is_absent() => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// ListMultipartUploads: keys and ids of those whose names begin with `prefix`.
    pub(super) async fn uploads(&self, prefix: &str) -> Result<Vec<(String, String)>, Failure> {
        let mut found = Vec::new();
        let mut marker: (Option<String>, Option<String>) = (None, None);
        loop {
            let page = self.sender.call(Operation::ListMultipartUploads, 0, |client| {
                let request = client
                    .list_multipart_uploads()
                    .bucket(&self.place.bucket)
                    .prefix(self.place.key(prefix))
                    .set_key_marker(marker.0.clone())
                    .set_upload_id_marker(marker.1.clone())
                    .set_expected_bucket_owner(self.options.expected_bucket_owner.clone());
                async move { request.send().await.map_err(Failure::from) }
            });
            let page = page.await?.value;
            for upload in page.uploads() {
                if let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) {
                    found.push((key.to_owned(), id.to_owned()));
                }
            }
            let next = (
                page.next_key_marker().map(str::to_owned),
                page.next_upload_id_marker().map(str::to_owned),
            );
            if page.is_truncated() != Some(true) || next == marker || next.0.is_none() {
                return Ok(found);
            }
            marker = next;
        }
    }

    /// GetObject: bytes and ETag.
    pub(super) async fn get(&self, name: &str) -> Result<Option<(Vec<u8>, String)>, Failure> {
        let send = async |client: Client| {
            let answer = client
                .get_object()
                .bucket(&self.place.bucket)
                .key(self.place.key(name))
                .checksum_mode(ChecksumMode::Enabled)
                .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
                .send()
                .await
                .map_err(Failure::from)?;
            let etag = answer.e_tag().unwrap_or_default().to_owned();
            let length = answer.content_length();
            if length.is_some_and(|length| length > MAX_GET) {
                return Err(Failure::new(Fate::Fatal, "too large to be read as a whole"));
            }
            let bytes = answer.body.collect().await.map_err(|error| Failure::of_body(&error))?;
            let bytes = bytes.into_bytes();
            traffic().received(bytes.len() as u64);
            if length.is_some_and(|length| i64::try_from(bytes.len()) != Ok(length)) {
                return Err(Failure::new(Fate::Retry, "the object broke off"));
            }
            Ok((bytes.to_vec(), etag))
        };
        match self.sender.call(Operation::GetObject, 0, send).await {
            Ok(done) => Ok(Some(done.value)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// GetObject of a part: the bytes `from .. from + len` of the object whose ETag is `etag`.
    pub(super) async fn get_range(
        &self,
        name: &str,
        etag: &str,
        from: u64,
        len: u64,
    ) -> Result<Bytes, Failure> {
        let send = async |client: Client| {
            let answer = client
                .get_object()
                .bucket(&self.place.bucket)
                .key(self.place.key(name))
                .range(format!("bytes={from}-{}", from.saturating_add(len).saturating_sub(1)))
                .set_if_match((!etag.is_empty()).then(|| etag.to_owned()))
                .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
                .send()
                .await
                .map_err(Failure::from)?;
            // Some stores do not heed If-Match here.
            if answer.e_tag().is_some_and(|found| !etag.is_empty() && found != etag) {
                return Err(Failure::new(Fate::Fatal, "it was replaced while it was read"));
            }
            // A store that does not know ranges sends all of it.
            if answer.content_length().is_some_and(|sent| u64::try_from(sent) != Ok(len)) {
                return Err(Failure::new(
                    Fate::Fatal,
                    "the store sent another part than asked for",
                ));
            }
            let bytes = answer.body.collect().await.map_err(|error| Failure::of_body(&error))?;
            let bytes = bytes.into_bytes();
            traffic().received(bytes.len() as u64);
            if bytes.len() as u64 != len {
                return Err(Failure::new(Fate::Retry, "the object broke off"));
            }
            Ok(bytes)
        };
        self.sender.call(Operation::GetObject, 0, send).await.map(|done| done.value)
    }

    /// HeadObject.
    pub(super) async fn head(&self, name: &str) -> Result<Option<Head>, Failure> {
        let send = async |client: Client| {
            let answer = client
                .head_object()
                .bucket(&self.place.bucket)
                .key(self.place.key(name))
                .checksum_mode(ChecksumMode::Enabled)
                .set_expected_bucket_owner(self.options.expected_bucket_owner.clone())
                .send()
                .await
                .map_err(Failure::from)?;
            let bytes = u64::try_from(answer.content_length().unwrap_or(0)).unwrap_or(0);
            let crc = answer.checksum_crc64_nvme().filter(|crc| !crc.contains('-'));
            let meta = ObjectMeta { bytes, crc64nvme: crc.unwrap_or_default().to_owned() };
            Ok(Head { meta, etag: answer.e_tag().unwrap_or_default().to_owned() })
        };
        match self.sender.call(Operation::HeadObject, 0, send).await {
            Ok(done) => Ok(Some(done.value)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// ListObjectsV2, all pages.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, Failure> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let page = self.sender.call(Operation::ListObjectsV2, 0, |client| {
                let request = client
                    .list_objects_v2()
                    .bucket(&self.place.bucket)
                    .prefix(self.place.key(prefix))
                    .set_continuation_token(token.clone())
                    .set_expected_bucket_owner(self.options.expected_bucket_owner.clone());
                async move { request.send().await.map_err(Failure::from) }
            });
            let page = page.await?.value;
            for object in page.contents() {
                let Some(name) = object.key().and_then(|key| self.place.name(key)) else {
                    continue;
                };
                let bytes = u64::try_from(object.size().unwrap_or(0)).unwrap_or(0);
                found.push(ListedObject { name: name.to_owned(), bytes });
            }
            let next = page.next_continuation_token().map(str::to_owned);
            if page.is_truncated() != Some(true) || next.is_none() || next == token {
                break;
            }
            token = next;
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// DeleteObject.
    pub(super) async fn delete(&self, name: &str) -> Result<(), Failure> {
        let send = async |client: Client| {
            let request = client
                .delete_object()
                .bucket(&self.place.bucket)
                .key(self.place.key(name))
                .set_expected_bucket_owner(self.options.expected_bucket_owner.clone());
            request.send().await.map(drop).map_err(Failure::from)
        };
        match self.sender.call(Operation::DeleteObject, 0, send).await {
            Err(failure) if !failure.is_absent() => Err(failure),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Compares what the store says it got with what was sent; returns the MD5 if that was needed.
    fn check(
        &self,
        without_crc: &AtomicBool,
        with_crc: bool,
        crc: Option<&str>,
        etag: &str,
        plain: bool,
        body: &Body,
    ) -> Result<Option<[u8; 16]>, Failure> {
        if let Some(crc) = crc {
            return if crc == body.meta.crc64nvme {
                Ok(None)
            } else {
                Err(Failure::mismatch("CRC-64/NVME", crc, &body.meta.crc64nvme))
            };
        }
        let md5 = body.md5();
        let is_md5 = plain && etag_bytes(etag).is_some();
        if is_md5 && etag_bytes(etag) != Some(md5) {
            let sent = hex_simd::encode_to_string(md5, hex_simd::AsciiCase::Lower);
            return Err(Failure::mismatch("ETag", etag, &sent));
        }
        if with_crc {
            warn_without_crc(without_crc);
            if !is_md5 {
                // Nothing says what arrived: again, with a sum that every store must look at.
                return Err(Failure::new(Fate::Retry, "the store returned no checksum"));
            }
        }
        Ok(Some(md5))
    }

    /// A store that refuses the checksum gets another one.
    fn without_crc(&self, flag: &AtomicBool, with_crc: bool, failure: Failure) -> Failure {
        let about_checksum = failure.is_unknown_to_store()
            || matches!(failure.code.as_deref(), Some("InvalidRequest" | "InvalidArgument"))
                && failure.to_string().to_lowercase().contains("checksum");
        if with_crc && about_checksum {
            warn_without_crc(flag);
            return Failure { fate: Fate::Retry, unsure: false, ..failure };
        }
        failure
    }

    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>, Option<bool>) {
        match &self.options.encryption {
            Encryption::BucketDefault => (None, None, None),
            Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None, None),
            Encryption::Kms { key_id, bucket_key } => {
                (Some(ServerSideEncryption::AwsKms), key_id.clone(), *bucket_key)
            }
        }
    }

    fn storage_class(&self, purpose: Purpose) -> Option<SdkStorageClass> {
        let class = self.options.storage_class.filter(|_| purpose == Purpose::Data)?;
        Some(match class {
            StorageClass::Standard => SdkStorageClass::Standard,
            StorageClass::StandardIa => SdkStorageClass::StandardIa,
            StorageClass::OnezoneIa => SdkStorageClass::OnezoneIa,
            StorageClass::IntelligentTiering => SdkStorageClass::IntelligentTiering,
            StorageClass::GlacierIr => SdkStorageClass::GlacierIr,
        })
    }

    /// Signing a body costs as much as making it; TLS and our own checksum say the same.
    fn is_encrypted_in_transit(&self) -> bool {
        self.options.endpoint.as_ref().is_none_or(|url| url.to_lowercase().starts_with("https:"))
    }
}

/// Whether an object is what was written in these parts.
fn agrees(head: &Head, meta: &ObjectMeta, parts: &[PartDone]) -> bool {
    if head.meta.bytes != meta.bytes {
        return false;
    }
    if !head.meta.crc64nvme.is_empty() {
        return head.meta.crc64nvme == meta.crc64nvme;
    }
    // The ETag of an upload in parts is the MD5 of their MD5s. Where it is something else (KMS), the parts, each of which
    // was checked, and the length must do.
    let sums: Option<Vec<[u8; 16]>> = parts.iter().map(|part| part.md5).collect();
    let Some(sums) = sums else { return true };
    let whole: [u8; 16] = Md5::digest(sums.concat()).into();
    let found = head.etag.trim_matches('"').split_once('-');
    match found {
        Some((sum, count)) if count == parts.len().to_string() => {
            etag_bytes(sum).is_none_or(|sum| sum == whole)
        }
        Some(_) | None => true,
    }
}

fn warn_without_crc(flag: &AtomicBool) {
    if !flag.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "this store does not know the checksum CRC-64/NVME: Content-MD5 is sent and ETags are compared in its place"
        );
    }
}

/// The MD5 in an ETag, if it looks like one.
fn etag_bytes(etag: &str) -> Option<[u8; 16]> {
    hex_simd::decode_to_vec(etag.trim_matches('"')).ok()?.try_into().ok()
}

fn is_kms(encryption: Option<&ServerSideEncryption>) -> bool {
    matches!(encryption, Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse))
}
