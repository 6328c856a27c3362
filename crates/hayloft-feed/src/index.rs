//! What a native index needs, derived in the commit of the change.

use std::collections::BTreeMap;

use crate::native::{FeedView, ViewError};
use crate::{
    Digests, FileId, FileRole, NameKey, PackageName, Qualifiers, Status, Timestamp, Version,
};

/// A piece of an index that one file brings along, such as the entry of its version in a
/// document.
///
/// Made by [`FeedType::inspect`](crate::FeedType::inspect) out of the file alone: it holds nothing
/// of feed, arrival or status, so that promoting copies it. All fragments of a package are read in
/// one range, ordered by version, file and kind. A file may have 1 MiB in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Which of the file's fragments, from 1 to [`Fragment::LAST_KIND`]; each once.
    pub kind: u8,
    /// Content.
    pub bytes: Vec<u8>,
}

impl Fragment {
    /// The kind under which the store keeps [`Inspected::manifest`](crate::Inspected::manifest).
    pub const MANIFEST: u8 = 0;
    /// The highest kind that a type may give; those above are the store's own.
    pub const LAST_KIND: u8 = 191;
    /// Most bytes of one fragment; a file with a larger one is refused.
    pub const LONGEST: usize = 1 << 20;
}

/// One stored file, as indexes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileCard {
    /// Names the file in answers.
    pub id: FileId,
    /// Package or companion.
    pub role: FileRole,
    /// Which file of its version.
    pub qualifiers: Qualifiers,
    /// What the file is called when downloaded.
    pub file_name: String,
    /// Length in bytes.
    pub size: u64,
    /// Digests of the content.
    pub digests: Digests,
    /// When it was stored in this feed, or replaced.
    pub published: Timestamp,
    /// By whom.
    pub published_by: String,
    /// Names of the documents kept with it.
    pub documents: Vec<String>,
    /// Downloads as of the last flush; zero inside a change.
    pub downloads: u64,
}

impl FileCard {
    /// A card with what every file has.
    pub fn new(id: FileId, role: FileRole, file_name: &str, size: u64, digests: Digests) -> Self {
        Self {
            id,
            role,
            qualifiers: Qualifiers::none(),
            file_name: file_name.to_owned(),
            size,
            digests,
            published: Timestamp::default(),
            published_by: String::new(),
            documents: Vec::new(),
            downloads: 0,
        }
    }
}

/// One package of a feed, as indexes see it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackageHead {
    /// Group and name as first spelled, and their key.
    pub name: PackageName,
    /// Versions.
    pub versions: u64,
    /// Text of the highest version.
    pub latest: Option<String>,
    /// Text of the highest stable version.
    pub latest_stable: Option<String>,
    /// Tag to version text.
    pub tags: BTreeMap<String, String>,
    /// Grows with every change of the package, its versions, tags and status, and is never given
    /// twice in a store; download counts do not change it.
    pub revision: u64,
    /// When the first version was stored.
    pub created: Timestamp,
    /// When anything was last changed.
    pub changed: Timestamp,
    /// Downloads of all versions as of the last flush; zero inside a change.
    pub downloads: u64,
}

impl PackageHead {
    /// A package of which nothing but name and revision is known.
    pub fn new(name: PackageName, revision: u64) -> Self {
        Self {
            name,
            versions: 0,
            latest: None,
            latest_stable: None,
            tags: BTreeMap::new(),
            revision,
            created: Timestamp::default(),
            changed: Timestamp::default(),
            downloads: 0,
        }
    }
}

/// A version before or after a change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VersionState {
    /// Listed, blocked, deprecated.
    pub status: Status,
    /// When the version came to this feed.
    pub published: Timestamp,
    /// All its files.
    pub files: Vec<FileCard>,
    /// Fragments of the files by file number; empty in what was before the change.
    pub fragments: Vec<(u32, Fragment)>,
}

impl VersionState {
    /// A version with these files.
    pub fn new(status: Status, published: Timestamp, files: Vec<FileCard>) -> Self {
        Self { status, published, files, fragments: Vec::new() }
    }

    /// The fragment of a file.
    pub fn fragment(&self, file: u32, kind: u8) -> Option<&[u8]> {
        let mut fragments = self.fragments.iter();
        fragments
            .find(|(number, fragment)| *number == file && fragment.kind == kind)
            .map(|(_, fragment)| fragment.bytes.as_slice())
    }
}

/// What became of one version in a change.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VersionChange {
    /// Which version.
    pub version: Version,
    /// What it was; `None` if it is new.
    pub before: Option<VersionState>,
    /// What it is; `None` if it is gone.
    pub after: Option<VersionState>,
}

impl VersionChange {
    /// A version that was and is.
    pub fn new(
        version: Version,
        before: Option<VersionState>,
        after: Option<VersionState>,
    ) -> Self {
        Self { version, before, after }
    }
}

/// What became of one package in one commit.
#[derive(Debug)]
#[non_exhaustive]
pub struct IndexChange<'a> {
    /// Its name.
    pub name: &'a PackageName,
    /// The package before; `None` if it is new.
    pub before: Option<&'a PackageHead>,
    /// The package now, with its new revision; `None` if it is gone.
    pub after: Option<&'a PackageHead>,
    /// The versions that changed, in ascending order. Empty if only tags did.
    pub versions: &'a [VersionChange],
    /// Time of the commit.
    pub now: Timestamp,
}

impl<'a> IndexChange<'a> {
    /// A change of one package.
    pub fn new(
        name: &'a PackageName,
        before: Option<&'a PackageHead>,
        after: Option<&'a PackageHead>,
        versions: &'a [VersionChange],
        now: Timestamp,
    ) -> Self {
        Self { name, before, after, versions, now }
    }
}

/// The newest state of a log: what is appended to it is never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogHead {
    /// Counts the restarts of this log; never given twice.
    pub generation: u64,
    /// Bytes.
    pub length: u64,
    /// MD5 of all bytes.
    pub md5: [u8; 16],
    /// SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// Time of the last append.
    pub changed: Timestamp,
}

impl LogHead {
    /// A head with these values.
    pub fn new(
        generation: u64,
        length: u64,
        md5: [u8; 16],
        sha256: [u8; 32],
        changed: Timestamp,
    ) -> Self {
        Self { generation, length, md5, sha256, changed }
    }
}

/// What a package is found by. At most [`SearchRecord::TERMS`] terms of
/// [`SearchRecord::TERM_LENGTH`] bytes count; the rest is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchRecord {
    /// Words in lower case: the name's parts, title, tags, the beginning of the description.
    pub terms: Vec<String>,
    /// Bits of the type's own that queries may demand, such as "has a stable version".
    pub flags: u8,
}

impl SearchRecord {
    /// Most terms of a package.
    pub const TERMS: usize = 32;
    /// Most bytes of a term.
    pub const TERM_LENGTH: usize = 64;
}

/// Takes what [`FeedType::index`](crate::FeedType::index) derives; all of it becomes part of the
/// commit, or none.
///
/// Keys of rows, subjects and logs are the type's own, within one feed, and have at most 1,024
/// bytes; a value has at most 1 MiB.
pub trait IndexWriter {
    /// Inserts or replaces a row.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), IndexError>;
    /// Removes a row; a missing one is no error.
    fn remove(&mut self, key: &[u8]) -> Result<(), IndexError>;
    /// Gives a subject the revision and the time of this commit: validators of what depends on it
    /// change.
    fn bump(&mut self, subject: &[u8]) -> Result<(), IndexError>;
    /// Appends to a log, which begins empty, and tells its head after that.
    fn append(&mut self, log: &[u8], bytes: &[u8]) -> Result<LogHead, IndexError>;
    /// Begins a log anew, empty; readers of the old generation may finish.
    fn restart(&mut self, log: &[u8]) -> Result<LogHead, IndexError>;
    /// Removes a log.
    fn remove_log(&mut self, log: &[u8]) -> Result<(), IndexError>;
    /// Sets what the changed package is found by; `None` takes it out of searches.
    fn search(&mut self, record: Option<&SearchRecord>) -> Result<(), IndexError>;
    /// Says that [`Native::refresh`](crate::native::Native::refresh) of this subject has work to
    /// do.
    fn stale(&mut self, subject: &[u8]) -> Result<(), IndexError>;
}

/// An index could not be derived.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// What was there could not be read.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A fragment or row is not what this type wrote.
    #[error("the index of `{package}` cannot be derived: {what}")]
    Unexpected {
        /// Name of the package.
        package: String,
        /// What is wrong.
        what: String,
    },
    /// A key, value, subject or log is larger than allowed.
    #[error("an index row of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes asked for.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// Reads every version of a package again and tells it to [`FeedType::index`] as new: how an index
/// is rebuilt.
///
/// [`FeedType::index`]: crate::FeedType::index
pub fn rebuild_change(
    view: &dyn FeedView,
    name: &NameKey,
) -> Result<Option<(PackageHead, Vec<VersionChange>)>, ViewError> {
    let Some(head) = view.package(name)? else { return Ok(None) };
    let mut versions = Vec::new();
    view.versions(name, &crate::native::Want::everything(), &mut |entry| {
        versions.push(entry.to_change());
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(Some((head, versions)))
}
