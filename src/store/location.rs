//! Where an output is, as the user names it, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::LocalStore;
use super::object::{Store, check_name};
use super::s3::{S3Options, S3Store};
use crate::error::{Error, Result};

/// The place of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A local directory.
    Directory(PathBuf),
    /// A bucket, or a part of one.
    S3(S3Location),
}

/// A bucket and the beginning of the names of our objects in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// Bucket.
    pub bucket: String,
    /// Folder in it, without slashes around it; empty for the bucket itself.
    pub prefix: String,
}

impl Location {
    /// Reads `s3://bucket/prefix`, or a path.
    pub fn parse(text: &Path) -> Result<Self> {
        let shown = text.to_string_lossy();
        let scheme = shown.split_once("://").map(|(scheme, rest)| (scheme.to_lowercase(), rest));
        match scheme {
            Some((scheme, rest)) if scheme == "s3" => Ok(Self::S3(S3Location::parse(rest)?)),
            Some((scheme, _))
                if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) =>
            {
                Err(Error::Usage {
                    what: format!("{shown} is neither a directory nor an S3 URL"),
                    hint: Some("outputs are directories or s3://BUCKET/PREFIX".into()),
                })
            }
            // What was meant is plain, and a directory named "s3:" is not it.
            None if shown.to_lowercase().starts_with("s3:") => Err(Error::Usage {
                what: format!("{shown} is not an S3 URL"),
                hint: Some("s3://BUCKET/PREFIX".into()),
            }),
            Some(_) | None if shown.is_empty() => Err(Error::usage("--output needs a directory")),
            Some(_) | None => Ok(Self::Directory(text.to_path_buf())),
        }
    }

    /// The path or URL of the object `name`.
    pub fn join(&self, name: &str) -> String {
        match self {
            Self::Directory(directory) => directory.join(name).display().to_string(),
            Self::S3(place) => place.url(name),
        }
    }

    /// False if it is certain that nothing is there yet: opening a directory makes it.
    pub fn may_exist(&self) -> bool {
        match self {
            Self::Directory(directory) => directory.is_dir(),
            Self::S3(_) => true,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::S3(place) => f.write_str(place.url("").trim_end_matches('/')),
        }
    }
}

impl S3Location {
    fn parse(text: &str) -> Result<Self> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let is_bucket = (3..=255).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
        if !is_bucket {
            return Err(Error::Usage {
                what: format!("{bucket:?} is not the name of a bucket"),
                hint: Some("s3://BUCKET/PREFIX".into()),
            });
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() && check_name(prefix).is_err() {
            return Err(Error::usage(format!("{prefix:?} is not a folder in a bucket")));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The key of the object `name`, or of all objects that begin so.
    pub(super) fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// The name of the object of this key; none if it is not below the prefix.
    pub(super) fn name<'k>(&self, key: &'k str) -> Option<&'k str> {
        let name = match self.prefix.as_str() {
            "" => key,
            prefix => key.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        // The empty object that consoles make for a folder.
        (!name.is_empty()).then_some(name)
    }

    /// The URL of the object `name`.
    pub(super) fn url(&self, name: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.key(name))
    }
}

/// Opens the store at `location`; `options` matter to S3 only. A directory is made if it is not there.
pub fn open(location: &Location, options: &S3Options) -> Result<Arc<dyn Store>> {
    Ok(match location {
        Location::Directory(root) => Arc::new(LocalStore::open(root)?),
        Location::S3(place) => Arc::new(S3Store::open(place, options)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Location> {
        Location::parse(Path::new(text))
    }

    #[test]
    fn a_url_is_a_bucket_and_a_folder_and_anything_else_a_directory() {
        for (text, bucket, prefix, shown) in [
            ("s3://bucket", "bucket", "", "s3://bucket"),
            ("s3://bucket/", "bucket", "", "s3://bucket"),
            ("S3://My_old.Bucket/a/b/", "My_old.Bucket", "a/b", "s3://My_old.Bucket/a/b"),
        ] {
            let place = S3Location { bucket: bucket.into(), prefix: prefix.into() };
            assert_eq!(parse(text).unwrap(), Location::S3(place));
            assert_eq!(parse(text).unwrap().to_string(), shown);
        }
        for text in ["out", "/out", "./s3:/x", "a:b"] {
            assert_eq!(parse(text).unwrap(), Location::Directory(text.into()));
        }
        for text in [
            "",
            "s3:",
            "s3:/b/p",
            "s3://",
            "s3://b",
            "s3://bu cket/p",
            "s3://bucket/../x",
            "gs://b/p",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_and_names_belong_together() {
        let place = |prefix: &str| S3Location { bucket: "b".into(), prefix: prefix.into() };
        assert_eq!(place("").key("ks/t/a"), "ks/t/a");
        assert_eq!(place("p/q").key("ks/t/a"), "p/q/ks/t/a");
        assert_eq!(place("p/q").name("p/q/ks/t/a"), Some("ks/t/a"));
        assert_eq!(place("").name("ks/t/a"), Some("ks/t/a"));
        assert_eq!(place("p/q").name("p/qq/ks"), None);
        assert_eq!(place("p/q").name("p/q/"), None);
        assert_eq!(Location::S3(place("p")).join("ks/t"), "s3://b/p/ks/t");
    }
}
