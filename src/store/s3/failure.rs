//! What went wrong with a request, whether it is worth trying again, and what the user can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::options::{Encryption, S3Options};
use crate::error::Error;
use crate::store::location::S3Location;

/// Longest text of others that goes into a message.
const MAX_WORDS: usize = 400;

/// What to do about a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It may go away: the same again.
    Retry,
    /// The credentials are too old: others, then the same again.
    Credentials,
    /// What was sent or received is damaged: the same again, a few times.
    Damaged,
    /// It will not go away by itself.
    Fatal,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) fate: Fate,
    /// HTTP status, if there was an answer.
    pub(super) status: Option<u16>,
    /// S3's error code, if it gave one.
    pub(super) code: Option<String>,
    /// It may have been carried out all the same.
    pub(super) unsure: bool,
    /// An earlier attempt of the same request may have been carried out.
    pub(super) unsure_before: bool,
    /// Attempts so far.
    pub(super) attempts: u32,
    /// Where the bucket really is.
    pub(super) region: Option<String>,
    pub(super) no_credentials: bool,
    /// It was given up because the user asked to stop, by this signal.
    pub(super) stopped: Option<i32>,
    pub(super) words: String,
}

impl Failure {
    pub(super) fn new(fate: Fate, words: impl Into<String>) -> Self {
        Self {
            fate,
            status: None,
            code: None,
            unsure: fate != Fate::Fatal,
            unsure_before: false,
            attempts: 1,
            region: None,
            no_credentials: false,
            stopped: None,
            words: words.into(),
        }
    }

    pub(super) fn timed_out(after: Duration) -> Self {
        Self::new(Fate::Retry, format!("no answer within {after:?}"))
    }

    /// What was sent is not what the store says it has.
    pub(super) fn mismatch(what: &str, found: &str, expected: &str) -> Self {
        Self::new(Fate::Damaged, format!("{what}: the store has {found}, {expected} was sent"))
    }

    /// A body that broke off or does not fit its checksum.
    pub(super) fn of_body(error: &(dyn StdError + 'static)) -> Self {
        let words = chain(error);
        let damaged = words.to_lowercase().contains("checksum");
        Self::new(if damaged { Fate::Damaged } else { Fate::Retry }, words)
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// The object, or the upload, is not there. HEAD has no code.
    pub(super) fn is_absent(&self) -> bool {
        self.status == Some(404) && !self.is("NoSuchBucket")
    }

    /// Somebody else was there first.
    pub(super) fn is_precondition(&self) -> bool {
        self.status == Some(412)
    }

    /// The store does not do this at all.
    pub(super) fn is_unknown_to_store(&self) -> bool {
        self.status == Some(501)
            || self.code.as_deref().is_some_and(|code| code.contains("NotImplemented"))
    }

    pub(super) fn is_denied(&self) -> bool {
        self.status == Some(403)
    }

    /// The error to be shown. `action` is a verb for what was done with `url`; `right` is the IAM action it needs.
    pub(super) fn into_error(
        self,
        action: &'static str,
        url: String,
        right: &str,
        place: &S3Location,
        options: &S3Options,
    ) -> Error {
        if let Some(signal) = self.stopped {
            return Error::Stopped(signal);
        }
        match self.hint(right, place, options) {
            Some(hint) => {
                Error::Refused { what: format!("cannot {action} {url}: {self}"), hint: Some(hint) }
            }
            None => Error::Output {
                action,
                path: PathBuf::from(url),
                source: std::io::Error::other(self.to_string()),
            },
        }
    }

    fn hint(&self, right: &str, place: &S3Location, options: &S3Options) -> Option<String> {
        let bucket = &place.bucket;
        if self.no_credentials {
            return Some(
                "AWS credentials are looked for in AWS_ACCESS_KEY_ID, in the profile AWS_PROFILE and in the \
                 machine's or container's role"
                    .to_owned(),
            );
        }
        if let Some(region) = &self.region {
            return Some(format!("the bucket is in {region}: --s3-region {region}"));
        }
        let code = self.code.as_deref().unwrap_or_default();
        if code.starts_with("KMS") {
            return Some(
                "--sse-kms-key-id must name an enabled key in the bucket's region, and this role needs \
                 kms:GenerateDataKey and kms:Decrypt on it"
                    .to_owned(),
            );
        }
        match (code, self.status) {
            ("NoSuchBucket", _) => Some(format!("make the bucket {bucket}, or correct --output")),
            ("InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken", _) => Some(
                "the credentials are not valid here: `aws sts get-caller-identity` shows whose they are"
                    .to_owned(),
            ),
            ("RequestTimeTooSkewed", _) => Some("set the clock of this machine".to_owned()),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed", _) | (_, Some(301)) => {
                Some("give the region of the bucket: --s3-region".to_owned())
            }
            (_, _) if self.fate == Fate::Credentials => Some(
                "renew the credentials; the same command again continues".to_owned(),
            ),
            (_, Some(403)) => {
                let mut hint =
                    format!("allow {right} on arn:aws:s3:::{}", resource(right, place));
                if right == "s3:GetObject" {
                    hint.push_str(&format!(
                        ", and s3:ListBucket on arn:aws:s3:::{bucket}: without it an object that is not there looks forbidden"
                    ));
                }
                if matches!(options.encryption, Encryption::Kms { .. }) {
                    hint.push_str("; with --sse aws:kms also kms:GenerateDataKey and kms:Decrypt on the key");
                }
                if let Some(owner) = &options.expected_bucket_owner {
                    hint.push_str(&format!(
                        "; or the bucket is not account {owner}'s (--expected-bucket-owner)"
                    ));
                }
                Some(hint)
            }
            _ => None,
        }
    }
}

fn resource(right: &str, place: &S3Location) -> String {
    if right.starts_with("s3:List") {
        return place.bucket.clone();
    }
    format!("{}/{}", place.bucket, place.key("*"))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)?;
        if self.attempts > 1 {
            write!(f, " ({} attempts)", self.attempts)?;
        }
        Ok(())
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        if let Some(credentials) = find_source::<CredentialsError>(&error) {
            let none = matches!(
                credentials,
                CredentialsError::CredentialsNotLoaded(_)
                    | CredentialsError::InvalidConfiguration(_)
            );
            let mut failure = Self::new(
                if none { Fate::Fatal } else { Fate::Retry },
                format!("no AWS credentials: {}", chain(credentials)),
            );
            (failure.unsure, failure.no_credentials) = (false, true);
            return failure;
        }
        let Some(response) = error.raw_response() else {
            let fatal = match &error {
                SdkError::ConstructionFailure(_) => true,
                SdkError::DispatchFailure(failure) => failure.is_user(),
                _ => false,
            };
            let words = error.source().map_or_else(|| error.to_string(), chain);
            return Self::new(if fatal { Fate::Fatal } else { Fate::Retry }, words);
        };
        let status = response.status().as_u16();
        let region = response.headers().get("x-amz-bucket-region").map(clean);
        let id = response.headers().get("x-amz-request-id").map(clean);
        let service = match &error {
            SdkError::ServiceError(inner) => Some(inner.err()),
            _ => None,
        };
        let code = service.and_then(|e| e.code()).map(clean);
        let message = service.and_then(|e| e.message()).map(clean);
        let fate = fate(status, code.as_deref(), service.is_some());
        let mut words = status.to_string();
        if let Some(code) = &code {
            words.push_str(&format!(" {code}"));
        }
        match message {
            Some(message) => words.push_str(&format!(": {message}")),
            None if service.is_none() => words.push_str(" and an answer that cannot be read"),
            None => {}
        }
        if let Some(id) = id {
            words.push_str(&format!(", request {id}"));
        }
        let moved = status == 301 || code.as_deref() == Some("AuthorizationHeaderMalformed");
        Self {
            status: Some(status),
            code,
            unsure: !(400..500).contains(&status),
            region: region.filter(|region| moved && !region.is_empty()),
            ..Self::new(fate, words)
        }
    }
}

fn fate(status: u16, code: Option<&str>, readable: bool) -> Fate {
    match code.unwrap_or_default() {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            return Fate::Credentials;
        }
        "BadDigest"
        | "InvalidDigest"
        | "XAmzContentSHA256Mismatch"
        | "XAmzContentChecksumMismatch" => {
            return Fate::Damaged;
        }
        "RequestTimeout"
        | "IncompleteBody"
        | "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "InternalError" => return Fate::Retry,
        _ => {}
    }
    match status {
        501 => Fate::Fatal,
        // HEAD has no body for a code; this is what it says where GET says ExpiredToken.
        400 if code.is_none() => Fate::Credentials,
        408 | 429 | 500.. => Fate::Retry,
        // Success that nobody can read: the connection broke off, or a proxy answered.
        200..300 if !readable => Fate::Retry,
        _ => Fate::Fatal,
    }
}

/// The error and what caused it, in one line, each once.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = clean(&error.to_string());
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    let mut text = words.join(": ");
    shorten(&mut text);
    text
}

/// Text of others goes to a terminal: no control characters, and not without end.
fn clean(text: &str) -> String {
    let mut text: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS * 4).collect();
    shorten(&mut text);
    text
}

fn shorten(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(MAX_WORDS) {
        text.truncate(at);
        text.push('…');
    }
}

fn find_source<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorClass;

    fn place() -> S3Location {
        S3Location { bucket: "b".into(), prefix: "p".into() }
    }

    fn shown(failure: Failure, options: &S3Options, right: &str) -> (String, Option<String>) {
        let error = failure.into_error("write", "s3://b/p/x".into(), right, &place(), options);
        assert_eq!(error.class(), ErrorClass::Output);
        (error.to_string(), error.hint().map(str::to_owned))
    }

    fn answered(status: u16, code: &str) -> Failure {
        let fate = fate(status, Some(code), true);
        Failure {
            status: Some(status),
            code: Some(code.to_owned()),
            ..Failure::new(fate, format!("{status} {code}"))
        }
    }

    #[test]
    fn what_may_go_away_is_retried_and_what_will_not_is_not() {
        for (status, code, expected) in [
            (500, "InternalError", Fate::Retry),
            (503, "SlowDown", Fate::Retry),
            (503, "", Fate::Retry),
            (429, "", Fate::Retry),
            (400, "RequestTimeout", Fate::Retry),
            (409, "OperationAborted", Fate::Retry),
            (409, "ConditionalRequestConflict", Fate::Retry),
            (400, "ExpiredToken", Fate::Credentials),
            (403, "RequestExpired", Fate::Credentials),
            (400, "BadDigest", Fate::Damaged),
            (403, "AccessDenied", Fate::Fatal),
            (404, "NoSuchBucket", Fate::Fatal),
            (404, "NoSuchKey", Fate::Fatal),
            (412, "PreconditionFailed", Fate::Fatal),
            (301, "PermanentRedirect", Fate::Fatal),
            (501, "NotImplemented", Fate::Fatal),
            (409, "BucketNotEmpty", Fate::Fatal),
        ] {
            assert_eq!(fate(status, Some(code), true), expected, "{status} {code}");
        }
        assert_eq!(fate(200, None, false), Fate::Retry);
        assert_eq!(fate(403, None, false), Fate::Fatal);
        assert_eq!(fate(400, None, true), Fate::Credentials);
    }

    #[test]
    fn a_refusal_says_which_right_is_missing() {
        let options = S3Options {
            encryption: Encryption::Kms { key_id: None, bucket_key: None },
            expected_bucket_owner: Some("111122223333".into()),
            ..S3Options::default()
        };
        let (words, hint) = shown(answered(403, "AccessDenied"), &options, "s3:PutObject");
        assert_eq!(words, "cannot write s3://b/p/x: 403 AccessDenied");
        let hint = hint.unwrap();
        for part in [
            "allow s3:PutObject on arn:aws:s3:::b/p/*",
            "kms:GenerateDataKey",
            "account 111122223333's",
        ] {
            assert!(hint.contains(part), "{hint}");
        }
        let (_, hint) = shown(answered(403, ""), &S3Options::default(), "s3:ListBucket");
        assert_eq!(hint.unwrap(), "allow s3:ListBucket on arn:aws:s3:::b");
        let (_, hint) = shown(answered(403, ""), &S3Options::default(), "s3:GetObject");
        assert!(hint.unwrap().contains("s3:ListBucket on arn:aws:s3:::b:"));
        let (_, hint) = shown(answered(404, "NoSuchBucket"), &S3Options::default(), "s3:PutObject");
        assert_eq!(hint.unwrap(), "make the bucket b, or correct --output");
        let mut moved = answered(301, "PermanentRedirect");
        moved.region = Some("eu-west-1".into());
        let (_, hint) = shown(moved, &S3Options::default(), "s3:PutObject");
        assert_eq!(hint.unwrap(), "the bucket is in eu-west-1: --s3-region eu-west-1");
    }

    #[test]
    fn what_was_tried_in_vain_says_how_often() {
        let mut failure = answered(503, "SlowDown");
        failure.attempts = 40;
        let (words, hint) = shown(failure, &S3Options::default(), "s3:PutObject");
        assert_eq!((words.as_str(), hint), ("cannot write s3://b/p/x", None));
    }

    #[test]
    fn text_of_others_is_made_fit_for_a_terminal() {
        assert_eq!(clean("a\x1b[31mb\r\nc"), "a [31mb  c");
        assert_eq!(clean(&"é".repeat(10_000)).chars().count(), MAX_WORDS + 1);
    }
}
