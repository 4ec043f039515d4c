//! Errors, in three levels.
//!
//! * [`DecodeError`]: small, made in the readers of bytes; knows what was wrong and at which offset, and no file.
//! * [`Error`]: the same with the file around it, or what went wrong with a file, the schema, the configuration, the output.
//! * The binary prints an [`Error`] with its hint and turns [`Error::class`] into the exit code; nothing else looks at the class.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of everything above the byte readers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was wrong with a piece of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// A read went past the end.
    #[error("{what} needs {wanted} bytes, {left} left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Bytes asked for.
        wanted: u64,
        /// Bytes left.
        left: u64,
    },
    /// A tag, flag byte or enum value that no version writes.
    #[error("{what} has the invalid value {value:#x}")]
    InvalidTag {
        /// What was being read.
        what: &'static str,
        /// The value found.
        value: u64,
    },
    /// A length or count that cannot be.
    #[error("{what} says {found}, but the limit is {limit}")]
    Limit {
        /// What was being read.
        what: &'static str,
        /// The value found.
        found: u64,
        /// The largest value that can be right.
        limit: u64,
    },
    /// A checksum that does not match.
    #[error("{what} has checksum {found:#010x}, {expected:#010x} is recorded")]
    Checksum {
        /// What was checked.
        what: &'static str,
        /// The checksum computed.
        found: u32,
        /// The checksum recorded in the file.
        expected: u32,
    },
    /// Two numbers that must agree and do not.
    #[error("{what}: {found} found, {expected} expected")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// The value found.
        found: u64,
        /// The value expected.
        expected: u64,
    },
    /// Text that is not UTF-8.
    #[error("{what} is not valid UTF-8")]
    Utf8 {
        /// What was being read.
        what: &'static str,
    },
    /// A compressed chunk that does not decompress.
    #[error("chunk does not decompress: {reason}")]
    Decompress {
        /// The decompressor's words.
        reason: String,
    },
    /// Anything else that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Well formed, but not a thing this program reads.
    #[error("{0}")]
    Unsupported(String),
}

/// A [`DecodeErrorKind`] and where it was found.
///
/// One pointer, so that a `Result` of a number comes back in registers: the readers of bytes are the hot path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.kind)]
pub struct DecodeError(Box<DecodeFault>);

/// What a [`DecodeError`] says; reached through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeFault {
    /// What was wrong.
    pub kind: DecodeErrorKind,
    /// Where: an offset in the bytes the reader was given; of Data.db in its uncompressed stream.
    pub offset: u64,
}

impl std::ops::Deref for DecodeError {
    type Target = DecodeFault;

    fn deref(&self) -> &DecodeFault {
        &self.0
    }
}

impl DecodeError {
    /// An error of `kind` at `offset`.
    #[cold]
    pub fn new(kind: DecodeErrorKind, offset: u64) -> Self {
        Self(Box::new(DecodeFault { kind, offset }))
    }

    /// An [`DecodeErrorKind::Invalid`] in words.
    #[cold]
    pub fn invalid(words: impl Into<String>, offset: u64) -> Self {
        Self::new(DecodeErrorKind::Invalid(words.into()), offset)
    }

    /// The same error at another offset: for one found in a text that was taken out of a file.
    #[must_use]
    pub fn at(mut self, offset: u64) -> Self {
        self.0.offset = offset;
        self
    }

    /// The same error with `base` added to its offset: for a reader over a part of a file.
    #[must_use]
    pub fn shifted(mut self, base: u64) -> Self {
        self.0.offset = self.0.offset.saturating_add(base);
        self
    }

    /// Adds the file.
    pub fn in_file(self, path: &Path) -> Error {
        let class = match self.kind {
            DecodeErrorKind::Unsupported(_) => ErrorClass::Unsupported,
            _ => ErrorClass::Corrupt,
        };
        Error::Damaged(Box::new(Damage {
            path: path.to_path_buf(),
            what: None,
            format: None,
            table: None,
            offset: Some(self.offset),
            chunk: None,
            partition_key: None,
            cause: self.kind.to_string(),
            hint: None,
            class,
        }))
    }
}

/// A damaged or unreadable input: which file, where in it, and why.
#[derive(Debug, Clone)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// What could not be read, such as "partition" or "Statistics.db".
    pub what: Option<String>,
    /// Format version and compressor.
    pub format: Option<String>,
    /// `keyspace.table`.
    pub table: Option<String>,
    /// Offset: of the uncompressed stream for Data.db, of the file otherwise.
    pub offset: Option<u64>,
    /// Chunk number, where the file is compressed.
    pub chunk: Option<u64>,
    /// The partition key as CQL text, where one is known.
    pub partition_key: Option<String>,
    /// Why.
    pub cause: String,
    /// What to do.
    pub hint: Option<String>,
    /// Corrupt or Unsupported.
    pub class: ErrorClass,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.as_deref().unwrap_or("file");
        write!(f, "{what} not readable\n  file   {}", self.path.display())?;
        match (&self.format, &self.table) {
            (Some(format), Some(table)) => write!(f, " (format {format}), table {table}")?,
            (Some(format), None) => write!(f, " (format {format})")?,
            (None, Some(table)) => write!(f, ", table {table}")?,
            (None, None) => {}
        }
        if let Some(offset) = self.offset {
            write!(f, "\n  at     offset {offset}")?;
            if let Some(chunk) = self.chunk {
                write!(f, ", chunk {chunk}")?;
            }
            if let Some(key) = &self.partition_key {
                write!(f, ", partition key {key}")?;
            }
        }
        write!(f, "\n  cause  {}", self.cause)
    }
}

/// What kind of failure it is; exit code, retry and skip policy look only at this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Usage or configuration: exit 2.
    Usage,
    /// An input that is missing: exit 3.
    Missing,
    /// An input of a kind that this program does not read: exit 3.
    Unsupported,
    /// An input that is damaged: exit 3.
    Corrupt,
    /// The operating system refused a read: exit 3.
    Input,
    /// Output or state could not be written, or was refused: exit 4.
    Output,
    /// Verification found differences: exit 5.
    Different,
    /// Stopped by a signal: exit 128+N.
    Stopped(i32),
    /// A bug of ours: exit 101.
    Bug,
}

/// Everything that can go wrong, with the file known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input file is damaged or of an unknown kind.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// An input could not be read.
    #[error("cannot {action} {}", path.display())]
    Input {
        /// Verb in the infinitive: `open`, `read`, `map`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Something needed is not there.
    #[error("{what}")]
    Missing {
        /// What is missing, with the places looked at.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The schema cannot be read or understood.
    #[error("schema: {what}")]
    Schema {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// An option or configuration value that cannot be.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The output could not be written.
    #[error("cannot {action} {}", path.display())]
    Output {
        /// Verb in the infinitive: `create`, `write`, `rename`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The output is another run's, or otherwise not ours to write.
    #[error("{what}")]
    Refused {
        /// What was refused and why.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Verification found differences.
    #[error("{0}")]
    Different(String),
    /// Stopped by a signal, or because another worker failed first (signal 0).
    #[error("stopped by signal {0}")]
    Stopped(i32),
    /// A bug of ours.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Error {
    /// A usage error without a hint.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: None }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Damaged(d) => d.class,
            Self::Input { .. } => ErrorClass::Input,
            Self::Missing { .. } | Self::Schema { .. } => ErrorClass::Missing,
            Self::Usage { .. } => ErrorClass::Usage,
            Self::Output { .. } | Self::Refused { .. } => ErrorClass::Output,
            Self::Different(_) => ErrorClass::Different,
            Self::Stopped(n) => ErrorClass::Stopped(*n),
            Self::Bug(_) => ErrorClass::Bug,
        }
    }

    /// What the user can do about it, if we know.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Damaged(d) => d.hint.as_deref(),
            Self::Missing { hint, .. }
            | Self::Schema { hint, .. }
            | Self::Usage { hint, .. }
            | Self::Refused { hint, .. } => hint.as_deref(),
            Self::Output { source, .. } => match source.kind() {
                std::io::ErrorKind::StorageFull => Some("free space or choose another --output"),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    Some("make the directory writable or choose another --output")
                }
                _ => None,
            },
            Self::Input { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    Some("run as a user that may read Cassandra's files")
                }
                std::io::ErrorKind::NotFound => {
                    Some("the file vanished: on a live node take a snapshot and read that")
                }
                _ => None,
            },
            Self::Different(_) | Self::Stopped(_) | Self::Bug(_) => None,
        }
    }

    /// Changes the damage inside, if it is one: adds what the caller knows.
    #[must_use]
    pub fn map_damage(mut self, change: impl FnOnce(&mut Damage)) -> Self {
        if let Self::Damaged(damage) = &mut self {
            change(damage);
        }
        self
    }
}
