//! Packages out of files, folders, exports and the storage of other servers.
//!
//! What a folder is, its own files tell: documents that list versions bring tags and deprecations
//! along, lists of a repository say into which distribution and component a file goes. Everything
//! else is a folder of package files.

mod find;
mod listing;
mod packument;
mod work;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use hayloft_core::{Actor, LookupError, NativeError, Overwrite, Store, StoreError};

/// How packages are imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// What is said about files of which nothing else is known, such as their `distribution`.
    pub hints: BTreeMap<String, String>,
    /// Whether stored files may be replaced by other bytes.
    pub overwrite: Overwrite,
    /// Reads and judges everything, and stores nothing.
    pub dry_run: bool,
    /// Files that are read at the same time; zero lets the machine decide.
    pub workers: usize,
}

/// What became of a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fate<'a> {
    /// It was stored, or would be.
    Stored,
    /// The same bytes were there.
    Unchanged,
    /// It is no package that the feed takes, with the reason.
    Refused(&'a str),
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// Files that were stored, or would be.
    pub stored: u64,
    /// Files that were there.
    pub unchanged: u64,
    /// Files and statements that were refused.
    pub refused: u64,
    /// Files that are no packages by their names.
    pub ignored: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Tags that were set.
    pub tags: u64,
    /// Versions that were deprecated.
    pub deprecated: u64,
}

/// An import could not be made or ended early; what was stored stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no such feed, or its type is not known here.
    #[error(transparent)]
    Feed(#[from] NativeError),
    /// A path that was named cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Source {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There are more files than an import takes at once.
    #[error("there are more than {limit} files; import parts of the folder one after the other")]
    TooMany {
        /// Files allowed.
        limit: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<LookupError> for ImportError {
    fn from(error: LookupError) -> Self {
        Self::Feed(error.into())
    }
}

/// Stores all packages that are found in files and folders into a feed.
///
/// Files that are there already are left as they are, so that an import that ended early is simply
/// made again. A refused file stops nothing. `observe` is told of each file, from any thread.
pub fn import(
    store: &Store,
    feed: &str,
    paths: &[PathBuf],
    options: &ImportOptions,
    actor: &Actor,
    observe: &(dyn Fn(&std::path::Path, Fate<'_>) + Sync),
) -> Result<ImportReport, ImportError> {
    let about = store.feed(feed)?;
    let feed_type = store.native_view(&about.name)?.feed_type().clone();
    let found = find::find(paths, feed_type.as_ref(), &options.hints, observe)?;
    work::Work { store, feed: &about.name, feed_type: feed_type.as_ref(), options, actor, observe }
        .run(found)
}
