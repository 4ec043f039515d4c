//! How many files this process may hold open (`RLIMIT_NOFILE`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one: a table has thousands of SSTables, and the usual 1,024 serves programs of another age.
pub fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        // What was allowed before still is; a job that needs more says so before it begins.
        tracing::info!(%error, "the limit of open files cannot be raised");
    }
}

/// How many files may be open at a time; none for any number.
pub fn open_files_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
