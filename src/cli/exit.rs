//! Exit codes: part of the interface, scripts depend on them.

use std::error::Error as _;

use crate::error::{Error, ErrorClass};
use crate::progress::Report;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Everything asked for was done.
    pub const COMPLETE: Self = Self(0);
    /// Finished, but something was skipped or quarantined: the report lists it.
    pub const SKIPPED: Self = Self(1);
    /// The command line, a variable or the configuration file cannot be.
    pub const USAGE: Self = Self(2);
    /// An input is missing, of an unsupported kind, or damaged.
    pub const INPUT: Self = Self(3);
    /// Output or state could not be written, or was refused.
    pub const OUTPUT: Self = Self(4);
    /// Verification found differences.
    pub const DIFFERENT: Self = Self(5);
    /// A bug of ours, panics included.
    pub const BUG: Self = Self(101);
    /// Whoever read our standard output went away: what a shell reports for a program that SIGPIPE ended.
    pub const CLOSED_PIPE: Self = Self(128 + 13);

    /// Stopped by signal `number`: 128 + N, as shells say it.
    pub fn signal(number: i32) -> Self {
        // Signals are 1 to 64; 0 means that a worker stopped for another's error, which is what should have come here.
        match u8::try_from(number) {
            Ok(n @ 1..=64) => Self(128 + n),
            Ok(_) | Err(_) => Self::BUG,
        }
    }

    /// The code for an error.
    pub fn of_error(error: &Error) -> Self {
        if is_closed_pipe(error) {
            return Self::CLOSED_PIPE;
        }
        match error.class() {
            ErrorClass::Usage => Self::USAGE,
            ErrorClass::Missing
            | ErrorClass::Unsupported
            | ErrorClass::Corrupt
            | ErrorClass::Input => Self::INPUT,
            ErrorClass::Output => Self::OUTPUT,
            ErrorClass::Different => Self::DIFFERENT,
            ErrorClass::Stopped(number) => Self::signal(number),
            ErrorClass::Bug => Self::BUG,
        }
    }

    /// The code for a run that came to its end: books that do not balance are a bug, something skipped is not complete.
    pub fn of_report(report: &Report) -> Self {
        match (report.balanced, report.is_whole()) {
            (false, _) => Self::BUG,
            (true, false) => Self::SKIPPED,
            (true, true) => Self::COMPLETE,
        }
    }

    /// The number.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.0)
    }
}

/// True if the error is that nobody reads our standard output any more.
pub(super) fn is_closed_pipe(error: &Error) -> bool {
    matches!(error, Error::Output { .. })
        && error
            .source()
            .and_then(|source| source.downcast_ref::<std::io::Error>())
            .is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::error::{DecodeError, DecodeErrorKind};
    use crate::progress::{NotRead, Quarantine};

    fn io_error(kind: io::ErrorKind) -> io::Error {
        io::Error::from(kind)
    }

    #[test]
    fn every_class_of_error_has_its_code() {
        let path = || PathBuf::from("x");
        let missing = || "gone".to_owned();
        let kind = io::ErrorKind::PermissionDenied;
        for (error, code) in [
            (Error::usage("x"), 2),
            (Error::Missing { what: missing(), hint: None }, 3),
            (Error::Schema { what: missing(), hint: None }, 3),
            (DecodeError::invalid("x", 0).in_file(&path()), 3),
            (DecodeError::new(DecodeErrorKind::Unsupported("x".into()), 0).in_file(&path()), 3),
            (Error::Input { action: "read", path: path(), source: io_error(kind) }, 3),
            (Error::Output { action: "write", path: path(), source: io_error(kind) }, 4),
            (Error::Refused { what: missing(), hint: None }, 4),
            (Error::Different("x".into()), 5),
            (Error::Bug("x".into()), 101),
            (Error::Stopped(15), 143),
            (Error::Stopped(2), 130),
            (Error::Stopped(0), 101),
        ] {
            assert_eq!(ExitCode::of_error(&error).code(), code, "{error}");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_of_the_output() {
        let source = io_error(io::ErrorKind::BrokenPipe);
        let error = Error::Output { action: "write", path: "standard output".into(), source };
        assert_eq!(ExitCode::of_error(&error), ExitCode::CLOSED_PIPE);
        let source = io_error(io::ErrorKind::BrokenPipe);
        let error = Error::Input { action: "read", path: "x".into(), source };
        assert_eq!(ExitCode::of_error(&error), ExitCode::INPUT);
    }

    #[test]
    fn a_report_with_something_skipped_is_not_complete() {
        let mut report = Report::new(0, vec![], NotRead::default());
        assert_eq!(ExitCode::of_report(&report), ExitCode::COMPLETE);
        report.quarantine.push(Quarantine {
            table: "ks.t".into(),
            file: None,
            offsets: None,
            tokens: None,
            cause: "x".into(),
        });
        assert_eq!(ExitCode::of_report(&report), ExitCode::SKIPPED);
        report.balanced = false;
        assert_eq!(ExitCode::of_report(&report), ExitCode::BUG);
    }
}
