use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hayloft_feed::{Digests, FeedType, Purl};

use crate::operation::{
    Algorithm, ApiKey, AuditQuery, AuditRow, DeleteError, Deleted, FindError, Finding, FoundFile,
    KeyError, KeyGrant, KeyText, LatestQuery, PackageHistory, PromoteError, PromoteOutcome,
    PromoteRequest, Promotion, PromotionQuery, RepackageError, RepackageOutcome, RepackageRequest,
    Repackaging, Repair, StatusChange, StatusError, StatusOutcome, TagError, UploadError,
    UploadRequest, Uploaded, VerifyError, VerifyLevel, VerifySummary, VersionsQuery,
};
use crate::{
    Actor, Feed, FeedDraft, FeedError, FeedStats, FeedTypes, FileId, LookupError, Metrics,
    NoSuchFeed, OpenOptions, PackageFile, PackageInfo, SelectError, Selector, StoreError,
    Timestamp, Wanted,
};

/// A directory that holds feeds; owned by one process at a time.
///
/// A cheap handle: clones share one store, from any thread. All methods block; a change has
/// reached the disk when its method returns `Ok`, and readers see whole changes only. A feed is
/// named by its name or an alternate name, without ASCII case.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    types: FeedTypes,
    options: OpenOptions,
}

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store, and none was to be made.
    #[error("`{}` holds no store", directory.display())]
    Missing {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory has files of another kind.
    #[error("`{}` is not empty and holds no store; name an empty or new directory", directory.display())]
    NotAStore {
        /// The directory.
        directory: PathBuf,
    },
    /// Another process, or another handle of this one, owns it.
    #[error("the store `{}` is in use by another process; stop it, or go through its server", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A newer release has written it.
    #[error(
        "the store has format {found}, this program knows formats up to {known}; use a newer release"
    )]
    NewerFormat {
        /// Format of the store.
        found: u32,
        /// Newest format of this program.
        known: u32,
    },
    /// The store lies on a network file system, whose locks and flushes cannot be relied on.
    #[error("`{}` lies on a network file system ({kind}); use a local disk", directory.display())]
    Network {
        /// The directory.
        directory: PathBuf,
        /// Kind of file system.
        kind: String,
    },
    /// The metadata file could not be opened.
    #[error("the metadata could not be opened")]
    Meta(#[source] crate::OpenMetaError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether opening found a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// It was there.
    Existing,
    /// It was made.
    Created,
}

/// A file on its way into a store: write the bytes, then [`Staging::finish`].
///
/// Hashes while it writes, in one pass. Nothing refers to it; dropping it removes it.
#[derive(Debug)]
pub struct Staging {}

impl Write for Staging {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Staging {
    /// Ends the file.
    pub fn finish(self) -> Result<Staged, StoreError> {
        Err(StoreError::Closed)
    }
}

/// A complete file in staging; dropping it removes it.
#[derive(Debug)]
pub struct Staged {
    size: u64,
    digests: Digests,
}

impl Staged {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digests of the whole file.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }
}

/// A stored file being read, from its start.
#[derive(Debug)]
pub struct Download {
    file: PackageFile,
}

impl Download {
    /// The file.
    pub fn file(&self) -> &PackageFile {
        &self.file
    }
}

impl Read for Download {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Seek for Download {
    fn seek(&mut self, _to: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Rows of a list, read as they are asked for.
///
/// Memory does not grow with the list. Each page of about a thousand rows is a view of its own, so
/// a list under change is not one moment; no row that stands still is missed or repeated.
#[derive(Debug)]
pub struct Rows<T> {
    next: Option<T>,
}

impl<T> Iterator for Rows<T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next.take().map(Ok)
    }
}

impl Store {
    /// Opens the store in `directory`, or makes one there.
    pub fn open(
        directory: impl AsRef<Path>,
        types: FeedTypes,
        options: OpenOptions,
    ) -> Result<Self, OpenError> {
        let directory = directory.as_ref().to_owned();
        Ok(Self { inner: Arc::new(Inner { directory, types, options }) })
    }

    /// Whether opening found the store or made it.
    pub fn opened(&self) -> Opened {
        Opened::Existing
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// The feed types that this handle knows.
    pub fn types(&self) -> &FeedTypes {
        &self.inner.types
    }

    /// The options it was opened with.
    pub fn options(&self) -> &OpenOptions {
        &self.inner.options
    }

    /// Saves download counters, ends the store's threads and gives the directory free. All other
    /// calls on any clone fail from now on. Dropping the last clone does the same, without telling
    /// of errors.
    pub fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// What the store did since it was opened.
    pub fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    /// Saves download counters, continues unfinished work, removes garbage older than the grace
    /// period and sweeps what crashes left behind. Runs by itself under
    /// [`Background::Thread`](crate::Background::Thread).
    pub fn run_maintenance(&self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Makes a feed. Its name is 1 to 50 of `A-Z a-z 0-9 - . _`.
    pub fn create_feed(&self, draft: FeedDraft, actor: &Actor) -> Result<Feed, FeedError> {
        let _ = (draft, actor);
        Err(StoreError::Closed.into())
    }

    /// All feeds by name, without ASCII case.
    pub fn feeds(&self) -> Result<Vec<Feed>, StoreError> {
        Err(StoreError::Closed)
    }

    /// A feed by its name or alternate name.
    pub fn feed(&self, name: &str) -> Result<Feed, LookupError> {
        Err(NoSuchFeed { name: name.to_owned() }.into())
    }

    /// The type of a feed, if this program knows it.
    pub fn feed_type(&self, feed: &Feed) -> Option<Arc<dyn FeedType>> {
        self.inner.types.get(&feed.feed_type).cloned()
    }

    /// Changes a feed: `change` gets it as it is and says what it is to be. No other change comes
    /// between, so read-modify-write is safe; an error from `change` leaves all as it was.
    pub fn update_feed(
        &self,
        name: &str,
        change: impl FnOnce(&mut FeedDraft) -> Result<(), hayloft_feed::Detail> + Send + 'static,
        actor: &Actor,
    ) -> Result<Feed, FeedError> {
        let _ = (name, change, actor);
        Err(StoreError::Closed.into())
    }

    /// Deletes a feed with all its packages. It is gone for all readers when this returns; its
    /// rows and files are removed step by step by maintenance.
    pub fn delete_feed(&self, name: &str, actor: &Actor) -> Result<(), FeedError> {
        let _ = (name, actor);
        Err(StoreError::Closed.into())
    }

    /// How much a feed holds.
    pub fn feed_stats(&self, feed: &str) -> Result<FeedStats, LookupError> {
        Err(NoSuchFeed { name: feed.to_owned() }.into())
    }

    /// Values in use of the qualifiers that the feed's type wants remembered, such as Debian's
    /// `distro`, with the number of files that have each: qualifier to value to count.
    pub fn facets(
        &self,
        feed: &str,
    ) -> Result<BTreeMap<String, BTreeMap<String, u64>>, LookupError> {
        Err(NoSuchFeed { name: feed.to_owned() }.into())
    }

    /// Begins a file of at most `limit` bytes; `None` is the store's own limit.
    pub fn stage(&self, limit: Option<u64>) -> Result<Staging, StoreError> {
        let _ = limit;
        Err(StoreError::Closed)
    }

    /// Stores a staged file as a package file of a feed.
    pub fn upload_staged(
        &self,
        feed: &str,
        request: &UploadRequest,
        staged: Staged,
        actor: &Actor,
    ) -> Result<Uploaded, UploadError> {
        let _ = (feed, request, staged, actor);
        Err(StoreError::Closed.into())
    }

    /// Stores all that `content` yields as a package file of a feed.
    pub fn upload(
        &self,
        feed: &str,
        request: &UploadRequest,
        content: &mut dyn Read,
        actor: &Actor,
    ) -> Result<Uploaded, UploadError> {
        let _ = (feed, request, content, actor);
        Err(StoreError::Closed.into())
    }

    /// One row per package file of the picked version of each package, by group and name.
    pub fn latest(
        &self,
        feed: &str,
        query: &LatestQuery,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let _ = (feed, query);
        Err(StoreError::Closed.into())
    }

    /// One row per file of each version, by group and name, highest version first.
    ///
    /// A filter that matches nothing gives an empty list.
    pub fn versions(
        &self,
        feed: &str,
        query: &VersionsQuery,
    ) -> Result<Rows<PackageFile>, SelectError> {
        let _ = (feed, query);
        Err(StoreError::Closed.into())
    }

    /// All packages of a feed, by group and name; only those of `group` if given.
    pub fn packages(
        &self,
        feed: &str,
        group: Option<&str>,
    ) -> Result<Rows<PackageInfo>, SelectError> {
        let _ = (feed, group);
        Err(StoreError::Closed.into())
    }

    /// One package; the name matches as in [`Selector`].
    pub fn package(&self, feed: &str, group: &str, name: &str) -> Result<PackageInfo, SelectError> {
        let _ = (feed, group, name);
        Err(StoreError::Closed.into())
    }

    /// What a package URL asks for, ready for [`Store::file`]; `missing` stands for a version that
    /// it does not name.
    pub fn read_purl(
        &self,
        feed: &str,
        purl: &Purl,
        missing: Wanted,
    ) -> Result<Selector, SelectError> {
        let _ = (feed, purl, missing);
        Err(StoreError::Closed.into())
    }

    /// The one file that a selector names.
    pub fn file(&self, feed: &str, selector: &Selector) -> Result<PackageFile, SelectError> {
        let _ = (feed, selector);
        Err(StoreError::Closed.into())
    }

    /// All files of a version, companions included, that satisfy the selector's qualifiers; the
    /// role does not count. Never empty.
    pub fn files(&self, feed: &str, selector: &Selector) -> Result<Vec<PackageFile>, SelectError> {
        let _ = (feed, selector);
        Err(StoreError::Closed.into())
    }

    /// The manifest of a file as JSON text; `None` once the file is gone.
    pub fn manifest(&self, file: FileId) -> Result<Option<String>, StoreError> {
        let _ = file;
        Err(StoreError::Closed)
    }

    /// A document that the feed type has kept with a file; `None` if there is none of that name.
    pub fn document(&self, file: FileId, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = (file, name);
        Err(StoreError::Closed)
    }

    /// Opens a file for reading. Blocked versions are an error. Does not count as a download: see
    /// [`Store::count_download`].
    pub fn download(&self, feed: &str, selector: &Selector) -> Result<Download, SelectError> {
        let _ = (feed, selector);
        Err(StoreError::Closed.into())
    }

    /// Counts one download of a file, without a commit. Survives a crash of the process; a loss of
    /// power may lose the last ten seconds.
    pub fn count_download(&self, file: FileId) -> Result<(), StoreError> {
        let _ = file;
        Err(StoreError::Closed)
    }

    /// Deletes the one file that the selector names. With the last package file its version goes,
    /// companions included.
    pub fn delete_file(
        &self,
        feed: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<Deleted, DeleteError> {
        let _ = (feed, selector, actor);
        Err(StoreError::Closed.into())
    }

    /// Deletes a version with all its files; the selector's qualifiers and role do not count.
    pub fn delete_version(
        &self,
        feed: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<Deleted, DeleteError> {
        let _ = (feed, selector, actor);
        Err(StoreError::Closed.into())
    }

    /// Changes the status of a version; all its files share it.
    pub fn set_status(
        &self,
        feed: &str,
        selector: &Selector,
        change: &StatusChange,
        actor: &Actor,
    ) -> Result<StatusOutcome, StatusError> {
        let _ = (feed, selector, change, actor);
        Err(StoreError::Closed.into())
    }

    /// Changes the status of several versions, all or none. `check` sees them as they are, with no
    /// other change in between, and may refuse.
    pub fn set_status_many(
        &self,
        feed: &str,
        changes: Vec<(Selector, StatusChange)>,
        check: impl FnOnce(&[PackageFile]) -> Result<(), hayloft_feed::Detail> + Send + 'static,
        actor: &Actor,
    ) -> Result<Vec<StatusOutcome>, StatusError> {
        let _ = (feed, changes, check, actor);
        Err(StoreError::Closed.into())
    }

    /// Writes a version again under another one, in the same or another feed of the type.
    pub fn repackage(
        &self,
        feed: &str,
        request: &RepackageRequest,
        actor: &Actor,
    ) -> Result<RepackageOutcome, RepackageError> {
        let _ = (feed, request, actor);
        Err(StoreError::Closed.into())
    }

    /// Brings the same bytes into another feed of the type; writes rows only.
    pub fn promote(
        &self,
        feed: &str,
        request: &PromoteRequest,
        actor: &Actor,
    ) -> Result<PromoteOutcome, PromoteError> {
        let _ = (feed, request, actor);
        Err(StoreError::Closed.into())
    }

    /// How a version came to be: what is embedded in its files, and what this store did to the
    /// package.
    pub fn history(&self, feed: &str, selector: &Selector) -> Result<PackageHistory, SelectError> {
        let _ = (feed, selector);
        Err(StoreError::Closed.into())
    }

    /// Promotions, oldest first.
    pub fn promotions(&self, query: &PromotionQuery) -> Result<Rows<Promotion>, StoreError> {
        let _ = query;
        Err(StoreError::Closed)
    }

    /// Repackagings, oldest first, under the same filters; the version is that of either end.
    pub fn repackagings(&self, query: &PromotionQuery) -> Result<Rows<Repackaging>, StoreError> {
        let _ = query;
        Err(StoreError::Closed)
    }

    /// The audit log, newest first.
    pub fn audit_log(&self, query: &AuditQuery) -> Result<Rows<AuditRow>, StoreError> {
        let _ = query;
        Err(StoreError::Closed)
    }

    /// Files in all feeds whose content has this digest, in hex. Without an algorithm the length
    /// decides; 64 digits are taken as SHA-256 and as BLAKE3.
    ///
    /// SHA-1, SHA-256 and BLAKE3 cost a few reads; MD5 and SHA-512 scan all contents.
    pub fn find_by_hash(
        &self,
        algorithm: Option<Algorithm>,
        digest: &str,
    ) -> Result<Vec<FoundFile>, FindError> {
        let _ = (algorithm, digest);
        Err(StoreError::Closed.into())
    }

    /// Points a tag at a version, in place of the one it pointed at.
    pub fn set_tag(
        &self,
        feed: &str,
        tag: &str,
        selector: &Selector,
        actor: &Actor,
    ) -> Result<PackageInfo, TagError> {
        let _ = (feed, tag, selector, actor);
        Err(StoreError::Closed.into())
    }

    /// Removes a tag.
    pub fn remove_tag(
        &self,
        feed: &str,
        group: &str,
        name: &str,
        tag: &str,
        actor: &Actor,
    ) -> Result<PackageInfo, TagError> {
        let _ = (feed, group, name, tag, actor);
        Err(StoreError::Closed.into())
    }

    /// Makes an API key. With `None` its text is made up here from 160 random bits; it is not
    /// kept.
    pub fn create_key(
        &self,
        grant: KeyGrant,
        text: Option<&str>,
        actor: &Actor,
    ) -> Result<(ApiKey, KeyText), KeyError> {
        let _ = (grant, text, actor);
        Err(StoreError::Closed.into())
    }

    /// All API keys by number, expired ones included.
    pub fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        Err(StoreError::Closed)
    }

    /// The key with this text, unless it has expired.
    pub fn find_key(&self, text: &str) -> Result<Option<ApiKey>, StoreError> {
        let _ = text;
        Err(StoreError::Closed)
    }

    /// Deletes an API key.
    pub fn delete_key(&self, id: u64, actor: &Actor) -> Result<(), KeyError> {
        let _ = (id, actor);
        Err(StoreError::Closed.into())
    }

    /// A setting by name.
    pub fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let _ = name;
        Err(StoreError::Closed)
    }

    /// All settings.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        Err(StoreError::Closed)
    }

    /// Sets a setting, or removes it with `None`. Names have 1 to 256 bytes.
    pub fn set_setting(
        &self,
        name: &str,
        value: Option<&str>,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let _ = (name, value, actor);
        Err(StoreError::Closed)
    }

    /// Looks for damage and reports each finding as it is made. The store can be used meanwhile.
    pub fn verify(
        &self,
        level: VerifyLevel,
        repair: Repair,
        report: &mut dyn FnMut(Finding),
    ) -> Result<VerifySummary, VerifyError> {
        let _ = (level, repair, report);
        Err(StoreError::Closed.into())
    }

    /// Now, by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.inner.options.clock.now()
    }
}
