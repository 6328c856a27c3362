//! How many files a server may have open.

/// Files that a server needs beside one for each connection: those of the store, and of packages
/// on their way.
const BESIDE: u64 = 512;

/// Allows this process as many open files as the system lets it, and gives the number of
/// connections that are possible then.
///
/// Many systems begin with 1,024, which strangers could use up by connecting alone: then not even
/// the store could open a file.
#[cfg(unix)]
pub(super) fn connections_possible() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    // A download has a file, too.
    let files = getrlimit(Resource::Nofile).current?;
    usize::try_from(files.saturating_sub(BESIDE) / 2).ok()
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(super) fn connections_possible() -> Option<usize> {
    None
}
